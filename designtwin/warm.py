"""Compiles all that the standard analyses need into Numba's cache, so that no first run has to wait for it.

Two processes share the work: kernels are cached one by one, so what one has compiled the other only loads.
Each walks small parts through the public functions; what is compiled is what a user's analysis would compile.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import Queue

import numpy as np

import designtwin as dtw
from designtwin.elements import ELEMENTS
from designtwin.errors import DesignTwinError
from designtwin.optimize import MMA
from designtwin.progress import track
from designtwin.typing import FloatArray, IntArray

# Kuhn's six tetrahedra of a cube around the diagonal 0-6: they match from cube to cube.
_KUHN = ((0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6))


@dataclass(frozen=True)
class Warmth:
    """What ``warm`` did: where the compiled kernels lie, and in how many seconds it was done."""

    folder: str
    seconds: float

    def __str__(self) -> str:
        return f"kernels are compiled ({self.seconds:.0f} s); they lie in {self.folder}"


def warm() -> Warmth:
    """Compile the kernels of all analyses for all cells and solvers; seconds where this was done before.

    Raises
    ------
    DesignTwinError
        If a process fails; its last words are in the message.
    """
    from designtwin.kernels import topology

    began = time.perf_counter()
    total = sum(len(steps) for steps in _SHARES.values())
    with track("compile kernels", total=total) as progress:
        _run(("solve", "read"), progress.step)
        _run(("verdict", "time"), progress.step)
        _run(("vibrate", "swing"), progress.step)
        _run(("slope", "layout"), progress.step)
    folder = str(topology.join.stats.cache_path)
    return Warmth(folder, time.perf_counter() - began)


def _run(shares: tuple[str, ...], step: Callable[[str], None]) -> None:
    """Run shares of the work in processes of their own, at once; ``step`` hears what they begin."""
    said: Queue[str | None] = Queue()
    environment = {**os.environ, "DESIGNTWIN_QUIET": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "designtwin.warm", share],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        )
        for share in shares
    ]  # fmt: skip
    errors = [""] * len(running)

    def listen(i: int) -> None:
        stdout, stderr = running[i].stdout, running[i].stderr
        assert stdout is not None
        assert stderr is not None
        for line in stdout:
            said.put(line.strip())
        errors[i] = stderr.read()
        said.put(None)

    try:
        for i in range(len(running)):
            threading.Thread(target=listen, args=(i,), daemon=True).start()
        left = len(running)
        while left:
            line = said.get()
            left -= line is None
            if line:
                step(line)
    finally:
        for process in running:
            if process.poll() is None and sys.exc_info()[0] is not None:
                process.terminate()
            process.wait()
    for process, error in zip(running, errors, strict=True):
        if process.returncode:
            words = error.strip().splitlines() or ["it said nothing"]
            raise DesignTwinError(f"warm: compiling failed: {words[-1]}")


# Small parts


def _box(element: str, n: int) -> dtw.Mesh:
    """A unit box (or square) of n cells along each edge, with node groups at both ends of x."""
    kind = ELEMENTS[element]
    d = kind.dimension
    ticks = np.linspace(0.0, 1.0, n + 1)
    points = np.zeros(((n + 1) ** d, 3))
    points[:, :d] = np.stack(np.meshgrid(*[ticks] * d, indexing="ij"), axis=-1).reshape(-1, d)
    stride = [(n + 1) ** (d - 1 - i) for i in range(d)]
    first = np.array([sum(i * s for i, s in zip(at, stride, strict=True))
                      for at in itertools.product(range(n), repeat=d)])  # fmt: skip
    around = [(0, 0), (1, 0), (1, 1), (0, 1)]
    corners = around if d == 2 else [(*xy, z) for z in (0, 1) for xy in around]
    cells = first[:, None] + np.array([sum(i * s for i, s in zip(c, stride, strict=True)) for c in corners])
    if kind.linear == "tetra":
        cells = cells[:, np.array(_KUHN)].reshape(-1, 4)
    if kind.degree == 2:
        points, cells = _elevated(points, cells, np.array(kind.edges))
    ends = {name: dtw.Group(nodes=np.flatnonzero(points[:, 0] == x)) for name, x in (("held", 0), ("far", 1))}
    return dtw.Mesh(points, {element: cells}, ends)


def _elevated(points: FloatArray, cells: IntArray, edges: IntArray) -> tuple[FloatArray, IntArray]:
    """The same cells with a node in the middle of each edge."""
    ends = np.sort(cells[:, edges], axis=2).reshape(-1, 2)
    unique, number = np.unique(ends, axis=0, return_inverse=True)
    middles = points[unique].mean(axis=1)
    return np.vstack([points, middles]), np.hstack([cells, len(points) + number.reshape(len(cells), -1)])


def _part(element: str, n: int) -> dtw.Model:
    """Such a box under load, and heated."""
    steel = dtw.material("S355")
    flat = ELEMENTS[element].dimension == 2
    return dtw.Model(
        _box(element, n),
        materials={dtw.everything(): dtw.PlaneStress(steel, thickness=0.1) if flat else steel},
        supports=[dtw.FixedSupport(on="held")],
        load_cases={
            "pull": [dtw.Force(on="far", value=(1e3, 0.0, 0.0)), dtw.Gravity(direction="-y")],
            "heat": [dtw.FixedTemperature(on="held", value=300.0), dtw.HeatFlow(on="far", total=1.0)],
        },
    )


# What is walked through


def _static(element: str, n: int, solver: dtw.Direct | dtw.MultigridCG) -> Callable[[], object]:
    return lambda: dtw.solve_static(_part(element, n), solver=solver)


def _thermal(element: str, n: int, solver: dtw.Direct | dtw.MultigridCG) -> Callable[[], object]:
    return lambda: dtw.solve_thermal(_part(element, n), solver=solver)


def _over_time(element: str, n: int, solver: dtw.Direct | dtw.MultigridCG) -> Callable[[], object]:
    return lambda: dtw.solve_transient(
        _part(element, n), duration="3 s", initial="20 degC", step="1 s", solver=solver
    )


def _stress() -> None:
    """Stress and its error of a made-up displacement: all that follows a solution, without one."""
    from designtwin.assembly import cell_blocks
    from designtwin.results import Recovery, SolveInfo, StaticCase

    model = _part("tetra10", 2)
    x = model.mesh.points
    none = np.zeros(3)
    case = StaticCase(
        name="pull", model=model, recovery=Recovery(model.mesh, cell_blocks(model)),
        displacement=1e-4 * x * x, reactions=0.0 * x, applied=none, applied_moment=none,
        residual=0.0, imbalance=0.0, info=SolveInfo("none", x.size, 0, {}), case=model.cases["pull"],
    )  # fmt: skip
    # In this order: what comes last is compiled by the other process meanwhile.
    for result in (case.energy_error, case.displacement_error, case.stress_error(), case.von_mises()):
        assert np.isfinite(result).all()


def _verdicts() -> None:
    model = _part("tetra10", 3)
    dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1.5]).run().failure_zones()
    heated = dtw.ThermalTest(model, requirements=[dtw.temperature("far") <= 400.0]).run()
    heated.result["heat"].heat_flux()


def _radiation() -> None:
    """View factors of a box and its outside in the open, in space and in the plane."""
    for element in ("tetra", "quad"):
        model = _part(element, 2)
        load = dtw.Enclosure(on=dtw.exterior(), emissivity=0.5, ambient="20 degC")
        bound = load.bind(model)
        warm = np.full(model.mesh.n_points, 300.0)
        bound.matrices(warm)
        assert np.isfinite(bound.tangent(warm)(bound.nodal_heat(warm))).all()


def _contact() -> None:
    """Heat over time through a joint of unlike meshes, with properties over temperature and radiation."""
    near, far = _box("tetra10", 2), _box("tetra10", 3)
    points = np.vstack([near.points, far.points + np.eye(3)[0]])
    cells = np.vstack([near.cells["tetra10"], far.cells["tetra10"] + near.n_points])
    mesh = dtw.Mesh(points, {"tetra10": cells})
    conducting = dtw.table(over="temperature", at=[250.0, 450.0], values=[40.0, 50.0])
    model = dtw.Model(
        mesh,
        materials={dtw.everything(): replace(dtw.material("S355"), conductivity=conducting)},
        connections=[
            dtw.ContactConductance(
                a=dtw.faces("+x", at=1.0), b=dtw.faces("-x", at=1.0), conductance=1e3, tolerance=1e-6
            )
        ],
        load_cases={
            "heat": [
                dtw.HeatFlow(on=dtw.faces("-x", at=0.0), total=10.0),
                dtw.Radiation(on=dtw.faces("+x", at=2.0), emissivity=0.5, ambient=290.0),
            ]
        },
    )
    dtw.solve_transient(model, duration="3 s", initial="20 degC", step="1 s")


def _quench() -> None:
    """A verdict over time, the stress that the heat makes, and its temperatures on another mesh."""
    model = _part("tetra10", 3)
    heat = dtw.ThermalTest(
        model, duration="20 s", initial="20 degC", step="1 s",
        requirements=[dtw.temperature("far") <= 400.0, dtw.time_to("far", 350.0) >= 0.0],
    ).run()  # fmt: skip
    course = heat.result["heat"]
    course.history("far", over="max")
    course.at("2.5 s").heat_flux()
    hot = model.with_case("hot", [dtw.Temperature(course, reference="20 degC")])
    dtw.StrengthTest(hot, requirements=[dtw.yield_margin(case="hot") >= 1.5]).run()
    for method in ("interpolate", "conservative"):
        dtw.transfer(course.at("2.5 s"), _box("tetra10", 2), method=method)


def _modes(element: str, n: int, solver: dtw.Direct | dtw.MultigridCG) -> Callable[[], object]:
    """Modes of a held part and of a free one."""

    def walk() -> None:
        part = _part(element, n)
        for supports in (part.supports, ()):
            modes = dtw.solve_modes(part.with_(supports=supports), count=4, solver=solver).modes
            assert np.isfinite(modes.participation).all()

    return walk


def _shaken() -> None:
    """A verdict on a sweep, on random vibration and on a shock."""
    dtw.VibrationTest(
        _part("tetra10", 3), count=4, damping="2 %",
        cases={
            "sweep": dtw.base_harmonic("x", "1 g", low="10 Hz", high="100 Hz"),
            "random": dtw.base_psd("x", [("10 Hz", "0.01 g**2/Hz"), ("100 Hz", "0.01 g**2/Hz")]),
            "shock": dtw.half_sine("x", "10 g", "1 ms"),
        },
        requirements=[dtw.frequency(1) >= "1 Hz", dtw.yield_margin(sigma=3, case="random") >= 1.0],
    ).run()  # fmt: skip


def _loaded() -> None:
    """Modes under load, buckling, a direct sweep, a motion by steps."""
    part = _part("tetra10", 3)
    dtw.solve_modes(part, count=2, prestress="pull")
    dtw.solve_buckling(part, count=2)
    sweep = dtw.base_harmonic("x", "1 g", low="10 Hz", high="20 Hz")
    dtw.solve_harmonic(part, sweep, count=2, damping=dtw.structural("2 %"), method="direct")
    dtw.solve_dynamics(
        part, dtw.half_sine("x", "10 g", "1 ms"), method="generalized-alpha", step="0.2 ms", duration="1 ms"
    )


def _fatigue() -> None:
    """Cycles, strain life and critical planes of a point, damage of a whole field by a log."""
    from designtwin.io.logs import SensorLog

    curve = dtw.fatigue_curve("S355 base metal")
    wave = np.sin(np.arange(40.0))
    assert dtw.rainflow(wave).total > 0.0
    assert curve.life("300 MPa") > 0.0
    assert dtw.StrainLife.uniform_material_law("steel", "600 MPa").damage(4e8 * wave) > 0.0
    assert dtw.critical_plane(4e8 * np.outer(wave, np.eye(6)[0]), curve).damage > 0.0
    log = SensorLog("made up", np.arange(40.0), {"pull": 1e6 * wave}, {"pull": "N"})
    dtw.LifeTest(
        _part("tetra10", 2), requirements=[dtw.damage() <= 0.3], curve=curve, mean_stress="Goodman",
        channels={"pull": dtw.unit_case("pull", per="1 kN")}, history=log,
    ).run()  # fmt: skip


def _slopes() -> None:
    """Adjoints of statics, heat and modes, along a morph."""
    part = _part("tetra10", 3)

    def stretched(factor: float) -> dtw.Model:
        return part.with_(mesh=part.mesh.moved(part.mesh.points * np.array([factor, 1.0, 1.0])))

    moves = dtw.Directions.of(part, [(stretched(1.001), stretched(0.999), 0.002)])
    statics, heat = dtw.solve_static(part, keep=True), dtw.solve_thermal(part, keep=True)
    modes = dtw.solve_modes(part, count=2)
    for result, quantity in (
        (statics, dtw.yield_margin()), (statics, dtw.displacement("far", "x")),
        (heat, dtw.temperature("far")), (modes, dtw.frequency(1)),
    ):  # fmt: skip
        for slope in dtw.sensitivities(result, quantity):
            assert np.isfinite(slope.along(moves)).all()
    for n in (6, 500):  # few variables, and many
        x = MMA(n, 3, 0.0, 1.0).step(np.full(n, 0.5), 1.0, np.ones(n), np.zeros(3), -np.ones((3, n)))
        assert np.isfinite(x).all()


def _layout() -> None:
    """Two steps of a topology on cubes solved without a matrix, and on tetrahedra, with their surfaces."""
    for element, n in (("hexahedron", 17), ("tetra", 6)):
        dtw.Topology(
            _part(element, n), minimize=dtw.compliance(case="pull"), volume_fraction=0.4
        ).run(max_iterations=2).surface()  # fmt: skip


_SHARES: dict[str, dict[str, Callable[[], object]]] = {
    "solve": {
        "tetrahedra, multigrid": _static("tetra10", 8, dtw.MultigridCG()),
        "linear tetrahedra, multigrid": _static("tetra", 8, dtw.MultigridCG()),
        "bricks, multigrid": _static("hexahedron", 8, dtw.MultigridCG()),
        "quadratic bricks, multigrid": _static("hexahedron20", 5, dtw.MultigridCG()),
        "heat, multigrid": _thermal("tetra10", 8, dtw.MultigridCG()),
        "heat over time, multigrid": _over_time("tetra10", 8, dtw.MultigridCG()),
    },
    "read": {
        "stress": _stress,
        "tetrahedra, direct": _static("tetra10", 3, dtw.Direct()),
        "bricks, direct": _static("hexahedron", 3, dtw.Direct()),
        "sheets": _static("quad8", 3, dtw.Direct()),
        "heat, direct": _thermal("tetra10", 3, dtw.Direct()),
        "heat over time, direct": _over_time("hexahedron20", 3, dtw.Direct()),
        "radiation": _radiation,
    },
    "verdict": {"verdicts": _verdicts, "heat between parts": _contact},
    "time": {"thermal stress": _quench, "fatigue": _fatigue},
    "vibrate": {
        "modes, multigrid": _modes("tetra10", 8, dtw.MultigridCG()),
        "vibration of bricks": _modes("hexahedron20", 3, dtw.Direct()),
    },
    "swing": {"vibration": _shaken, "vibration under load, buckling": _loaded},
    "slope": {"slopes": _slopes},
    "layout": {"layout of material": _layout},
}


if __name__ == "__main__":
    for label, walk in _SHARES[sys.argv[1]].items():
        print(label, flush=True)
        walk()
