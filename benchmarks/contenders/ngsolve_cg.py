"""NGSolve's steps by CG over its two-level multigrid, each from the last step's answer."""

from __future__ import annotations

from typing import Any

from ngsolve_peer import INSTALL, PACKAGES, load, probe, transient

NAME = "NGSolve, CG"
SETTINGS = (
    "transient only: as NGSolve, but CG over `Preconditioner('multigrid', inverse='sparsecholesky')` to a "
    "residual of 1e-8, each step from the last one's answer"
)
__all__ = ["INSTALL", "NAME", "PACKAGES", "SETTINGS", "load", "probe", "run"]


def run(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    return transient(state, phase, "cg")
