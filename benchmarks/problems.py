"""What is solved: parts, sizes, materials; the model as ours states it and as plain arrays for peers."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import parts

YOUNG, CONDUCTIVITY, FORCE, HEAT = 210e9, 50.0, 2500.0, 20.0
DENSITY, SPECIFIC_HEAT = 7850.0, 470.0
FACETS = {
    "tet": np.array([(1, 2, 3), (0, 3, 2), (0, 1, 3), (0, 2, 1)]),
    "hex": np.array([(0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to solve.

    Parameters
    ----------
    name : str
        Key of the stored lines.
    title : str
        What a reader sees.
    mesh : str
        Kind of mesh of `parts.MAKE`.
    h : float
        Cell size of the part, mm.
    n_dof : int
        Roughly; contenders have limits.
    physics : "elastic", "heat", "transient" or "modes"
    nu : float
        Poisson's ratio.
    stretch : tuple
        Factors on x, y, z: cells get this aspect.
    load_cases : int
        Right-hand sides; only ours takes more than one.
    bonded : bool
        Two copies side by side, second one of other cells, tied; only ours.
    steps, step : int, float
        Implicit Euler steps of a transient case and their size, s.
    group : str
        Table of the page it belongs to.
    peers : tuple of str
        Which contenders.
    threads : tuple of int
    """

    name: str
    title: str
    mesh: str
    h: float
    n_dof: int
    physics: str = "elastic"
    nu: float = 0.3
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)
    load_cases: int = 1
    bonded: bool = False
    steps: int = 0
    step: float = 0.0
    group: str = "size"
    peers: tuple[str, ...] = ("designtwin",)
    threads: tuple[int, ...] = (2,)

    @property
    def kind(self) -> str:
        return self.mesh.split("-")[0]


FEW = ("designtwin", "ngsolve", "gamg")
"""Those that run on one thread as well, and on the hard cases."""
VIBRATORS = ("designtwin", "scikit-fem", "ngsolve", "calculix")
MODES = 10
HEAT_KINDS = ("heat", "transient")
STEPPERS = ("designtwin", "scikit-fem", "ngsolve", "ngsolve-cg")
SOLVERS = ("designtwin", "ngsolve", "gamg", "amgcl", "pyamg", "scikit-fem", "calculix")


def all_cases() -> list[Case]:
    """Every case, small to large."""
    sizes = [("36k", 36_000), ("111k", 120_000), ("324k", 306_000), ("1M", 1_028_000), ("3M", 3_028_000)]
    cases = [
        Case(
            name=f"tet10-{label}",
            title=f"bracket, tet10, {n / 1e6:.3g}M DOF",
            mesh="tet10",
            h=parts.SIZES[label],
            n_dof=n,
            peers=SOLVERS,
            threads=(1, 2) if label in ("324k", "1M") else (2,),
        )
        for label, n in sizes
    ]
    linear = ("designtwin", "gamg", "pyamg")
    heat = ("designtwin", "ngsolve", "boomeramg", "pyamg")
    h = parts.SIZES
    return [
        *cases,
        Case(
            name="tet4-1M",
            title="bracket, tet4",
            mesh="tet4",
            h=1.424,
            n_dof=940_000,
            group="other",
            peers=linear,
        ),
        Case(
            name="hex8-1M", title="L, hex8", mesh="hex8", h=0.71, n_dof=1_010_000, group="other", peers=linear
        ),
        Case(
            name="heat-36k",
            title="bracket, heat, tet10, small",
            mesh="tet10",
            h=h["111k"],
            n_dof=40_000,
            physics="heat",
            group="other",
            peers=heat,
        ),
        Case(
            name="heat-511k",
            title="bracket, heat, tet10",
            mesh="tet10",
            h=1.195,
            n_dof=511_000,
            physics="heat",
            group="other",
            peers=heat,
        ),
        *(
            Case(
                name=f"transient-{label}",
                title=f"bracket, 100 steps of 10 s, tet10, {n / 1e3:.3g}k nodes",
                mesh="tet10",
                h=size,
                n_dof=n,
                physics="transient",
                steps=100,
                step=10.0,
                group="transient",
                peers=STEPPERS,
            )
            for label, size, n in (("40k", h["111k"], 40_000), ("200k", 1.664, 200_000))
        ),
        *(
            Case(
                name=f"modes-{label}",
                title=f"bracket, lowest 10 modes, tet10, {n / 1e6:.3g}M DOF",
                mesh="tet10",
                h=h[label],
                n_dof=n,
                physics="modes",
                group="modes",
                peers=VIBRATORS if n < 400_000 else ("designtwin",),
            )
            for label, n in (("111k", 120_000), ("324k", 306_000), ("1M", 1_028_000))
        ),
        Case(
            name="nu45-324k",
            title="bracket, tet10, ν 0.45",
            mesh="tet10",
            h=h["324k"],
            n_dof=306_000,
            nu=0.45,
            group="hard",
            peers=FEW,
        ),
        Case(
            name="nu45-1M",
            title="bracket, tet10, ν 0.45",
            mesh="tet10",
            h=h["1M"],
            n_dof=1_028_000,
            nu=0.45,
            group="hard",
        ),
        Case(
            name="aspect10-111k",
            title="bracket ten times as long and wide, tet10, cells of aspect 10",
            mesh="tet10",
            h=h["111k"],
            n_dof=120_000,
            stretch=(10, 10, 1),
            group="hard",
            peers=FEW,
        ),
        Case(
            name="aspect10-324k",
            title="bracket ten times as long and wide, tet10, cells of aspect 10",
            mesh="tet10",
            h=h["324k"],
            n_dof=306_000,
            stretch=(10, 10, 1),
            group="hard",
            peers=FEW,
        ),
        Case(
            name="bonded-427k",
            title="two brackets bonded, faces that do not match, tet10",
            mesh="tet10",
            h=h["324k"],
            n_dof=427_000,
            bonded=True,
            group="hard",
        ),
        *(
            Case(
                name=f"loads{n}-111k",
                title=f"bracket, tet10, {n} load cases",
                mesh="tet10",
                h=h["111k"],
                n_dof=120_000,
                load_cases=n,
                group="loads",
            )
            for n in (1, 8, 200)
        ),
        *(
            Case(
                name=f"loads{n}-1M",
                title=f"bracket, tet10, {n} load cases",
                mesh="tet10",
                h=h["1M"],
                n_dof=1_028_000,
                load_cases=n,
                group="loads",
            )
            for n in (1, 2, 8)
        ),
        Case(
            name="tet10-10M",
            title="bracket, tet10, 10M DOF",
            mesh="tet10-refined",
            h=1.27,
            n_dof=10_000_000,
            group="large",
        ),
    ]


def warm_up(case: Case) -> Case:
    """A small case that takes the same path through a program, run before the clock starts."""
    h = {
        "tet10": {"elastic": 5.0, "modes": parts.SIZES["36k"]}.get(case.physics, 3.1),
        "tet4": 5.0,
        "hex8": 2.0,
    }[case.kind]
    stretch = "x".join(f"{factor:g}" for factor in case.stretch)
    name = f"warm-{case.kind}-{case.physics}-{case.nu:g}-{stretch}-{case.load_cases}-{case.bonded:d}"
    return replace(case, name=name, title="", mesh=case.kind, h=h, n_dof=50_000, steps=min(case.steps, 4))


def model(case: dict[str, Any]) -> Any:
    """The case as ours states it; `case` is what `load` gave, `case["mesh"]` a `Mesh`."""
    import designtwin as dtw

    material = dtw.LinearElastic(
        youngs_modulus=YOUNG, poissons_ratio=case["nu"], conductivity=CONDUCTIVITY, density=DENSITY,
        specific_heat=SPECIFIC_HEAT,
    )  # fmt: skip
    here, there = dtw.faces("-x", at="min"), dtw.faces("+x", at="max")
    if case["physics"] in HEAT_KINDS:
        return dtw.Model(
            case["mesh"],
            materials={dtw.everything(): material},
            supports=[dtw.FixedTemperature(on=here, value=f"{case['base']} K")],
            load_cases={"heat": [dtw.HeatFlow(on=there, total=HEAT)]},
        )
    options = {}
    if case["bonded"]:
        options = tied()
    n = case["load_cases"]
    turns = 2 * np.pi * np.arange(n) / n
    return dtw.Model(
        case["mesh"],
        materials={dtw.everything(): material},
        supports=[dtw.FixedSupport(on=here)],
        load_cases={
            f"load {i}": [dtw.Force(on=there, value=(FORCE * s, 0.3 * FORCE * s * c, -FORCE * c))]
            for i, (s, c) in enumerate(zip(np.sin(turns).tolist(), np.cos(turns).tolist(), strict=True))
        },
        **options,
    )


def tied() -> dict[str, Any]:
    """The bond between the two brackets."""
    from designtwin.model.connections import Tie

    return {"connections": [Tie(a="bond_a", b="bond_b")]}


def prepare(case: Case, cache: Path, given: Path | None) -> Path:
    """Plain arrays of the case as npz, made unless there: mesh, held nodes, nodal loads, tagged facets."""
    path = cache / f"{case.name}.npz"
    if path.exists():
        return path
    import designtwin as dtw

    with np.load(parts.mesh(case.mesh, case.h, cache, given)) as stored:
        points, cells = stored["points"] * np.array(case.stretch), stored["cells"]
    name = {"tet10": "tetra10", "tet4": "tetra", "hex8": "hexahedron"}[case.kind]
    if case.bonded:
        points, cells = _two(points, cells, case, cache, given)
    mesh = dtw.Mesh(points=points, cells={name: cells})
    stated = {**asdict(case), "mesh": mesh, "base": 293.15, "bonded": False}
    stated_model = model(stated)
    held = np.flatnonzero(points[:, 0] < 1e-9)
    first = next(iter(stated_model.cases.values()))
    if case.physics in HEAT_KINDS:
        load = sum(one.nodal_heat(stated_model) for one in first.heat_loads)
    else:
        load = sum(one.nodal_forces(stated_model) for one in first.loads)
    local = FACETS[case.kind[:3]]
    facets = cells[:, local].reshape(-1, local.shape[1])
    end = points[:, 0].max() - 1e-9
    x = points[facets, 0]
    tag = np.where((x < 1e-9).all(axis=1), 1, np.where((x > end).all(axis=1), 2, 0))
    temporary = path.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        points=points,
        cells=cells,
        held=held,
        load=load,
        facets=facets[tag > 0],
        tag=tag[tag > 0],
        corners=np.unique(cells[:, : {"tet": 4, "hex": 8}[case.kind[:3]]]),
    )
    os.replace(temporary, path)
    return path


def _two(
    points: np.ndarray, cells: np.ndarray, case: Case, cache: Path, given: Path | None
) -> tuple[np.ndarray, np.ndarray]:
    """The part and, beside it in y, one of other cells."""
    with np.load(parts.mesh(case.mesh, parts.SIZES["111k"], cache, given)) as stored:
        other, more = stored["points"] + np.array([0.0, 0.06, 0.0]), stored["cells"]
    return np.concatenate([points, other]), np.concatenate([cells, more + len(points)])


def load(case: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays of `prepare` with what the case states, for a contender."""
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return {
        **case,
        **arrays,
        "E": YOUNG,
        "k": CONDUCTIVITY,
        "density": DENSITY,
        "capacity": DENSITY * SPECIFIC_HEAT,
        "base": 293.15,
        "force": FORCE,
        "heat": HEAT,
        "kind": case["mesh"].split("-")[0],
    }


def largest(case: dict[str, Any], values: np.ndarray) -> float:
    """What all contenders must agree on: largest displacement (m) or temperature rise (K) over corner nodes.

    Corner nodes, because not every peer keeps its unknowns at mid nodes.
    """
    values = np.asarray(values)[case["corners"]]
    return float(np.abs(values).max() if values.ndim == 1 else np.linalg.norm(values, axis=1).max())
