"""PyAMG: smoothed aggregation with rigid-body modes, CG. Matrix by numpy."""

from __future__ import annotations

import os
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # it has serial loops only; BLAS threads would spin beside them
import numpy as np

NAME = "PyAMG"
SETTINGS = (
    "BSR 3×3 assembled by numpy; `smoothed_aggregation_solver(B=rigid-body modes, max_coarse=300)`, block "
    "Gauss-Seidel, CG; its loops are serial; cell stress by numpy"
)
INSTALL = "pip install pyamg"
PACKAGES = ("pyamg",)


def probe() -> None:
    import pyamg  # noqa: F401


def load(case: dict[str, Any]) -> Any:
    return case


def run(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    import fem
    import problems
    import pyamg

    heat = state["physics"] == "heat"
    with phase("assemble"):
        a = fem.assemble(state)
        f = fem.right_side(state)
    with phase("set up"):
        if heat:
            levels = pyamg.smoothed_aggregation_solver(a, max_coarse=300)
        else:
            modes = fem.rigid_modes(state["points"], state["held"])
            levels = pyamg.smoothed_aggregation_solver(a, B=modes, max_coarse=300)
    residuals: list[float] = []
    with phase("solve"):
        x = levels.solve(f, tol=1e-8, accel="cg", maxiter=1000, residuals=residuals)
    u = x if heat else x.reshape(-1, 3)
    with phase("flux" if heat else "stress"):
        if not heat:
            fem.von_mises(state, u)
    return {
        "largest": problems.largest(state, u), "n_dof": len(x), "iterations": len(residuals) - 1,
        "residual": float(np.linalg.norm(f - a @ x) / np.linalg.norm(f)),
    }  # fmt: skip
