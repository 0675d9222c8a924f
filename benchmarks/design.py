"""A bracket tuned: 103,653 unknowns, six dimensions, three load cases; stress, deflection, frequency limited.

Told are analyses, gradients and seconds until the search has ended; and what an adjoint costs: each gradient
in turn with the analysis it belongs to, so that both meet the same machine. One gradient with 10,000
variables (each moves some hundred coordinates) tells what the number of variables costs. Heat over time is
the hottest lug within 20 and within 100 steps of one size; CPU seconds, as all of it runs on both cores.

    python benchmarks/design.py
    python benchmarks/design.py --quick --only transient
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

MESHES = Path(__file__).resolve().parents[1] / "meshes"
START = {"upright": 5e-3, "base": 5e-3, "rib": 10e-3, "fillet": 6e-3, "lug": 36e-3, "toe": 62e-3}


def bracket(values: dict[str, float], mesh: Any) -> Any:
    """The bracket of other dimensions, m: both plates, rib, fillet, width at the lug, length of the rib."""
    import designtwin as dtw

    upright, base, rib = values["upright"], values["base"], values["rib"]
    lug, toe = values["lug"], values["toe"]
    shaped = mesh.morphed(
        dtw.stretch("x", {"-5 mm": "-5 mm", "0 mm": upright - 5e-3}),
        dtw.stretch("z", {"0 mm": 5e-3 - base, "5 mm": "5 mm"}),
        dtw.stretch(
            "y", {"-30 mm": "-30 mm", "-5 mm": -rib / 2, "5 mm": rib / 2, "30 mm": "30 mm"},
            only={"z": (None, "36 mm")}, blend="12 mm",
        ),
        dtw.stretch(
            "y", {"-45 mm": "-45 mm", "-18 mm": -lug / 2, "18 mm": lug / 2, "45 mm": "45 mm"},
            only={"z": ("62 mm", None)}, blend="12 mm",
        ),
        dtw.stretch(
            "x", {"-80 mm": "-80 mm", "-62 mm": -toe, "-20 mm": "-20 mm"},
            only={"y": ("-12 mm", "12 mm")}, blend="12 mm",
        ),
        dtw.fillet("root_fillet", values["fillet"]),
    )  # fmt: skip
    return dtw.Model(
        shaped,
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="bolt_holes")],
        load_cases={
            "lift": [dtw.Force(on="lug", value=("0 N", "0 N", "-2.5 kN")), dtw.Gravity(direction="-z")],
            "brake": [dtw.Pressure(on=dtw.faces(normal="+x", at="max"), magnitude="4 MPa")],
            "side": [dtw.Force(on="lug", value=("0 N", "0.8 kN", "0 N")), dtw.Gravity(direction="-z")],
        },
        name="bracket",
    )


def tests(model: Any) -> list[Any]:
    import designtwin as dtw

    margin = dtw.yield_margin(excluding=dtw.near("bolt_holes", "4 mm"))
    return [
        dtw.StrengthTest(model, requirements=[margin >= 1.5, dtw.displacement("lug", "z") <= "0.4 mm"]),
        dtw.VibrationTest(model, requirements=[dtw.frequency(1) >= "550 Hz"]),
    ]


def study(mesh: Any) -> Any:
    import designtwin as dtw

    ranges = {
        "upright": (3e-3, 8e-3), "base": (3e-3, 8e-3), "rib": (4e-3, 20e-3), "fillet": (2e-3, 10e-3),
        "lug": (24e-3, 50e-3), "toe": (45e-3, 75e-3),
    }  # fmt: skip
    variables = {
        name: dtw.variable(low, high, start=START[name], dimension="length")
        for name, (low, high) in ranges.items()
    }
    return dtw.Study(
        build=bracket, mesh=mesh, variables=variables, tests=tests, minimize=dtw.mass(), name="bracket"
    )


def searched(mesh: Any) -> dict[str, Any]:
    """The search, from the first analysis to its end."""
    start, cpu = time.perf_counter(), time.process_time()
    best = study(mesh).run(max_analyses=25, max_time="20 min", tolerance=3e-3)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "search_wall": wall, "search_cpu": cpu, "analyses": len(best.history),
        "feasible": bool(best.feasible), "from_kg": best.history.designs[0].objective,
        "to_kg": best.objective, "stopped": best.stopped,
    }  # fmt: skip


def adjoints(mesh: Any, rounds: int) -> dict[str, float]:
    """What adjoints cost beside the analysis, in wall seconds, by solver."""
    import designtwin as dtw
    from designtwin.analysis.adjoint import sensitivities

    model = bracket(START, mesh)
    one = model.with_(load_cases={"lift": model.cases["lift"].loads})
    n = one.mesh.n_points
    rng = np.random.default_rng(7)
    moves = _many(10_000, n, rng)
    quantity = dtw.displacement("lug", "z")
    found: dict[str, float] = {}
    for name, solver in (("factors", dtw.Direct()), ("multigrid", dtw.MultigridCG())):
        forward, solve, few, many = [], [], [], []
        for _ in range(rounds):
            t = time.perf_counter()
            result = dtw.solve_static(one, solver=solver, keep=True)
            forward.append(time.perf_counter() - t)
            t = time.perf_counter()
            (slope,) = sensitivities(result, quantity)
            whole = time.perf_counter() - t
            spent = sum(slope.info.seconds.values()) if slope.info is not None else 0.0
            solve.append(min(spent, whole))
            t = time.perf_counter()
            _ = slope.points
            slope.along(dtw.Directions.given(one, points=moves[:1]))
            few.append(whole - min(spent, whole) + time.perf_counter() - t)
            t = time.perf_counter()
            slope.along(dtw.Directions.given(one, points=moves))
            many.append(few[-1] + time.perf_counter() - t)
        base = statistics.median(forward)
        found |= {
            f"{name}_forward": base,
            f"{name}_adjoint": statistics.median(solve) / base,
            f"{name}_rest_1": statistics.median(few) / base,
            f"{name}_rest_10000": statistics.median(many) / base,
        }
    return found


def transient(mesh: Any, rounds: int) -> dict[str, float]:
    """What an adjoint of heat over time costs beside its analysis, in CPU seconds, by solver and steps."""
    import designtwin as dtw
    from designtwin.analysis.adjoint import sensitivities

    cooled = dtw.Convection(on=dtw.faces(normal="+x", at="max"), coefficient=20.0, ambient="20 degC")
    model = dtw.Model(
        mesh,
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedTemperature(on="bolt_holes", value="20 degC")],
        load_cases={"hot": [dtw.HeatFlux(on="lug", magnitude=2e4), cooled]},
    )
    quantity = dtw.temperature(on="lug")
    found: dict[str, float] = {}
    for name, solver in (("factors", dtw.Direct()), ("multigrid", dtw.MultigridCG())):
        for steps in (20, 100):
            forward, backward = [], []
            for _ in range(rounds):
                t = time.process_time()
                result = dtw.solve_transient(
                    model,
                    duration=f"{10 * steps} s",
                    initial="20 degC",
                    step="10 s",
                    solver=solver,
                    keep=True,
                )
                forward.append(time.process_time() - t)
                t = time.process_time()
                sensitivities(result, quantity)
                backward.append(time.process_time() - t)
            found[f"{name}_transient_{steps}_forward"] = statistics.median(forward)
            found[f"{name}_transient_{steps}_adjoint"] = statistics.median(backward) / statistics.median(
                forward
            )
    return found


def _many(k: int, n: int, rng: np.random.Generator) -> Any:
    """Directions of k variables, each moving a few hundred coordinates, sparse [k, 3 n]."""
    from scipy import sparse

    each = 300
    columns = rng.integers(0, 3 * n, (k, each))
    rows = np.repeat(np.arange(k), each)
    return sparse.csr_matrix((rng.normal(size=k * each), (rows, columns.ravel())), shape=(k, 3 * n))


PARTS = ("static", "transient", "search")


def figures(quick: bool, only: str | None = None) -> dict[str, Any]:
    """All that is told; or one of `PARTS`."""
    import designtwin as dtw

    mesh = dtw.read_mesh(MESHES / ("bracket.msh" if quick else "bracket_fine.msh"), length_unit="mm")
    small = dtw.read_mesh(MESHES / "bracket.msh", length_unit="mm")
    found: dict[str, Any] = {"unknowns": 3 * mesh.n_points}
    if only in (None, "static"):
        adjoints(small, 1)  # loads or compiles
        found |= adjoints(mesh, 2 if quick else 5)
    if only in (None, "transient"):
        transient(small, 1)
        found |= transient(mesh, 1 if quick else 3)
    if only in (None, "search"):
        study(small).gradients(START)
        found |= searched(mesh)
    return found


def measure(session: Any) -> None:
    """One run, a line of it."""
    import run

    from designtwin import parallel

    options = session.options
    if any(line.get("part") == "design" for line in session.lines) and options.again is None:
        return
    found = figures(options.quick)
    assert found["feasible"], f"the search met no feasible design: {found}"
    line = {
        "part": "design", "name": "bracket", **found, "case": "design-bracket", "contender": "", "round": 0,
        "threads": parallel.threads(), "status": "ok", "loaded": bool(options.loaded), **session.stated,
    }  # fmt: skip
    print(
        f"design         {found['analyses']} analyses, {found['search_wall']:.0f} s, "
        f"{found['search_cpu']:.0f} CPU s",
        flush=True,
    )
    run.add(options.results, line)
    session.lines.append(line)


def main(words: list[str] | None = None) -> None:
    """Measure and print a JSON object; nothing is stored."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the coarse bracket, few rounds")
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    options = parser.parse_args(words)
    print(json.dumps(figures(options.quick, options.only), indent=1))


if __name__ == "__main__":
    main()
