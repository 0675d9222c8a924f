"""PETSc under MPI, one rank per thread: CG with GAMG, or BoomerAMG for heat. Element matrices by numpy."""

from __future__ import annotations

import glob
import os
import sys
from typing import Any

import numpy as np

NAME = "PETSc"
INSTALL = "apt install python3-petsc4py python3-scipy; named by --petsc-python /usr/bin/python3"
PACKAGES = ()
GAMG = {
    "pc_type": "gamg",
    "pc_gamg_type": "agg",
    "pc_gamg_agg_nsmooths": 1,
    "pc_gamg_threshold": 0.01,
    "mg_levels_ksp_type": "chebyshev",
    "mg_levels_ksp_max_it": 2,
    "mg_levels_pc_type": "jacobi",
}
BOOMER = {
    "pc_type": "hypre",
    "pc_hypre_type": "boomeramg",
    "pc_hypre_boomeramg_strong_threshold": 0.5,
    "pc_hypre_boomeramg_coarsen_type": "HMIS",
    "pc_hypre_boomeramg_interp_type": "ext+i",
    "pc_hypre_boomeramg_P_max": 4,
}
OPTIONS = GAMG
SETTINGS = ""


def _find() -> None:
    if not any("petscdir" in path for path in sys.path):
        sys.path += sorted(glob.glob("/usr/lib/petscdir/*/*real/lib/python3/dist-packages"))


def probe() -> None:
    _find()
    import petsc4py  # noqa: F401
    import scipy.sparse  # noqa: F401


def _petsc() -> Any:
    _find()
    import petsc4py

    petsc4py.init([])
    from petsc4py import PETSc

    return PETSc


def _comm() -> Any:
    return _petsc().COMM_WORLD.tompi4py()


def rank() -> int:
    try:
        return int(_petsc().COMM_WORLD.rank)
    except ImportError:
        return 0


def turn() -> None:
    _comm().Barrier()


def versions() -> dict[str, str]:
    return {"petsc": ".".join(map(str, _petsc().Sys.getVersion()))}


def gather(report: dict[str, Any]) -> dict[str, Any]:
    """CPU and memory are those of all ranks together."""
    everyone = _comm().allgather(report)
    for key in ("rss_before_mib", "rss_peak_mib"):
        report[key] = sum(one[key] for one in everyone)
    report["cpu"] = {phase: sum(one["cpu"][phase] for one in everyone) for phase in report["cpu"]}
    return report


def _along_curve(points: np.ndarray) -> np.ndarray:
    """Order of the points along a Morton curve, so that ranges of rows are compact pieces."""
    scale = 1023.999 / np.ptp(points, axis=0).max()
    grid = ((points - points.min(axis=0)) * scale).astype(np.int64)
    code = np.zeros(len(points), np.int64)
    for bit in range(10):
        for axis in range(3):
            code |= ((grid[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(code, kind="stable")


def load(case: dict[str, Any]) -> Any:
    """Nodes numbered along a curve; every rank keeps the cells that touch its rows."""
    petsc = _petsc()
    order = _along_curve(case["points"])
    held = np.zeros(len(order), bool)
    held[case["held"]] = True
    order = np.concatenate([order[~held[order]], order[held[order]]])  # held last: no unknowns of theirs
    number = np.empty(len(order), np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    case = dict(case)
    case["points"], case["load"] = case["points"][order], case["load"][order]
    case["n_free"] = n = len(order) - len(case["held"])
    case["corners"] = number[case["corners"]]
    cells = number[case["cells"]]
    size, me = petsc.COMM_WORLD.size, petsc.COMM_WORLD.rank
    cut = n * np.arange(size + 1) // size
    owner = np.clip(np.searchsorted(cut, cells.min(axis=1), side="right") - 1, 0, size - 1)
    touching = ((cells >= cut[me]) & (cells < cut[me + 1])).any(axis=1)
    case["touching"] = cells[touching]
    cells = cells[owner == me]
    case["cells"] = cells[np.argsort(cells[:, 0], kind="stable")]
    case["rows"] = (int(cut[me]), int(cut[me + 1]))
    return case


def _matrix(case: dict[str, Any]) -> Any:
    import fem

    petsc = _petsc()
    n, (start, stop) = case["n_free"], case["rows"]
    c = 1 if case["physics"] == "heat" else 3
    pointer, column = fem.pattern(len(case["points"]), case["touching"])
    row = np.repeat(np.arange(len(case["points"]), dtype=np.int32), np.diff(pointer))
    mine = (row >= start) & (row < stop) & (column < n)
    inside = (column >= start) & (column < stop)
    near = np.bincount(row[mine & inside] - start, minlength=stop - start)
    far = np.bincount(row[mine & ~inside] - start, minlength=stop - start)
    del pointer, column, row, mine, inside
    near, far = (np.repeat(c * count, c).astype(np.int32) for count in (near, far))
    local = c * (stop - start)
    matrix = petsc.Mat().createAIJ(((local, c * n), (local, c * n)), bsize=c, nnz=(near, far))
    matrix.setOption(petsc.Mat.Option.SYMMETRIC, True)
    for part, blocks in fem.elements(case, case["cells"]):
        m, nodes = part.shape
        part = np.where(part < n, part, -1).astype(np.int32)  # PETSc leaves out negative rows and columns
        matrix.setValuesBlockedRCV(
            part, part, blocks.reshape(m, nodes * c, nodes * c), petsc.InsertMode.ADD_VALUES
        )
    matrix.assemble()
    return matrix


def run(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    import fem
    import problems

    petsc = _petsc()
    options = petsc.Options()
    for key, value in {**OPTIONS, **json_options()}.items():
        options.setValue(key, value)
    heat = state["physics"] == "heat"
    c, (start, stop) = (1 if heat else 3), state["rows"]
    with phase("assemble"):
        matrix = _matrix(state)
        f = matrix.createVecRight()
        f.setArray(np.array(state["load"][start:stop], float).ravel())
    with phase("set up"):
        if not heat:
            place = f.duplicate()
            place.setBlockSize(3)
            place.setArray(state["points"][start:stop].ravel())
            matrix.setNearNullSpace(petsc.NullSpace().createRigidBody(place))
        solver = petsc.KSP().create()
        solver.setOperators(matrix)
        solver.setType("cg")
        solver.setNormType(petsc.KSP.NormType.UNPRECONDITIONED)
        solver.setTolerances(rtol=1e-8, max_it=1000)
        solver.setFromOptions()
        solver.setUp()
    with phase("solve"):
        x = f.duplicate()
        solver.solve(f, x)
    with phase("flux" if heat else "stress"):
        scatter, everything = petsc.Scatter.toAll(x)
        scatter.scatter(x, everything)
        u = np.zeros((len(state["points"]), c))
        u[: state["n_free"]] = everything.getArray().reshape(-1, c)
        if not heat:
            fem.von_mises(state, u)
    if heat:
        u = u[:, 0]
    r = f.duplicate()
    matrix.mult(x, r)
    r.aypx(-1.0, f)
    return {
        "largest": problems.largest(state, u),
        "n_dof": int(u.size),
        "iterations": int(solver.getIterationNumber()),
        "residual": float(r.norm() / f.norm()),
    }


def json_options() -> dict[str, Any]:
    """More options for trials, from BENCH_PETSC='key=value,...'."""
    text = os.environ.get("BENCH_PETSC", "")
    return dict(word.split("=", 1) for word in text.split(",") if word)
