"""designtwin: `solve_static(model)` and nodal von Mises stress, the model's construction included.

Modes: `solve_modes(model)`. Heat: `solve_thermal(model)` and nodal flux; transient:
`solve_transient(model, ...)` and the last field.
"""

from __future__ import annotations

from typing import Any

NAME = "designtwin"
SETTINGS = (
    "defaults; timed from `Model(...)` to `case.von_mises()`, nodal stress with recovery. Transient: "
    "`solve_transient(model, method='backward Euler', step=...)`, which keeps all fields and solves "
    "each step to a small share of what the step itself errs. Modes: `solve_modes(model, count=10)`, from "
    "the mesh, to 1e-6 in the energy norm of shapes"
)
INSTALL = ""
PACKAGES = ("designtwin", "numba")


def probe() -> None:
    import designtwin  # noqa: F401


def load(case: dict[str, Any]) -> Any:
    import designtwin as dtw

    name = {"tet10": "tetra10", "tet4": "tetra", "hex8": "hexahedron"}[case["kind"]]
    groups = {}
    if case["bonded"]:
        groups = _bond(case)
    mesh = dtw.Mesh(points=case.pop("points"), cells={name: case.pop("cells")}, groups=groups)
    return {**case, "mesh": mesh}


def _bond(case: dict[str, Any]) -> dict[str, Any]:
    """Groups of the two faces that meet at y = 60 mm."""
    import numpy as np
    import problems

    import designtwin as dtw

    cells, y = case["cells"], case["points"][:, 1]
    local = problems.FACETS["tet"]
    on = (np.abs(y[cells[:, local]] - 0.06) < 1e-9).all(axis=2)
    cell, facet = np.nonzero(on)
    inside = y[cells[cell]].mean(axis=1) < 0.06
    pairs = np.column_stack([cell, np.array([2, 3, 1, 0])[facet]])  # a mesh of ours counts facets otherwise
    return {"bond_a": dtw.Group(facets=pairs[inside]), "bond_b": dtw.Group(facets=pairs[~inside])}


def run(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    import problems

    import designtwin as dtw

    with phase("model"):
        model = problems.model(state)
    if state["physics"] == "modes":
        return _modes(model, phase)
    if state["physics"] == "transient":
        return _transient(state, model, phase)
    if state["physics"] == "heat":
        with phase("solve"):
            result = dtw.solve_thermal(model)
        first = next(iter(result.values() if hasattr(result, "values") else [result["heat"]]))
        with phase("flux"):
            first.heat_flux()
        values = first.temperature - state["base"]
    else:
        with phase("solve"):
            result = dtw.solve_static(model)
        before = _peak()
        first = result["load 0"]
        with phase("stress"):
            first.von_mises()
        values = first.displacement
    answer = {
        "largest": problems.largest(state, values), "n_dof": int(first.info.n_dof),
        "iterations": int(first.info.iterations), "residual": float(first.residual),
        "solver": first.info.solver, "seconds": dict(first.info.seconds), "notes": list(first.info.notes),
    }  # fmt: skip
    if state["physics"] != "heat":
        answer["rss_peak_solve_mib"] = before
    return answer


def _modes(model: Any, phase: Any) -> dict[str, Any]:
    import problems

    import designtwin as dtw

    with phase("modes"):
        case = dtw.solve_modes(model, count=problems.MODES).modes
    info = case.info
    return {
        "largest": float(case.frequencies[problems.MODES - 1]), "n_dof": int(info.n_dof),
        "iterations": int(info.iterations), "residual": float(info.residual), "solver": info.solver,
        "seconds": dict(info.seconds), "notes": list(info.notes), "checked": case.checked,
        "frequencies": [float(f) for f in case.frequencies],
    }  # fmt: skip


def _transient(state: dict[str, Any], model: Any, phase: Any) -> dict[str, Any]:
    import designtwin as dtw

    with phase("solve"):
        result = dtw.solve_transient(
            model, duration=state["steps"] * state["step"], initial=f"{state['base']} K",
            method="backward Euler", step=state["step"],
        )  # fmt: skip
        case = result["heat"]
        last = case.frames[-1].temperature
    import problems

    assert len(case.times) == state["steps"] + 1, len(case.times)
    return {
        "largest": problems.largest(state, last - state["base"]), "n_dof": int(case.info.n_dof),
        "iterations": int(case.info.iterations), "residual": float(case.residual),
        "solver": case.info.solver, "seconds": dict(case.info.seconds), "notes": list(case.info.notes),
    }  # fmt: skip


def _peak() -> float:
    import harness

    return harness.peak()
