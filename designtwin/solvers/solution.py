"""What a solver gives back, and the door every solver has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from designtwin.errors import ModelError
from designtwin.solvers.system import System
from designtwin.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Solution:
    """Unknowns for every right-hand side, and how they were found.

    Parameters
    ----------
    x : float64[n_dof] or float64[n_dof, n_rhs]
        Shaped as the right-hand side; 0 where fixed.
    iterations : int64[n_rhs]
        Iterations each right-hand side took (refinement steps for a direct solver).
    residual : float64[n_rhs]
        |f - A x| / |f| over the free unknowns, recomputed from x; 0 for a zero right-hand side.
    seconds : mapping of str to float
        Wall time per phase ("set-up", "solve", ...); set-up counts in each solution that used it.
    solver : str
        What ran.
    notes : tuple of str
        What the user should know, e.g. that another solver was asked first.
    """

    x: FloatArray
    iterations: IntArray
    residual: FloatArray
    seconds: Mapping[str, float]
    solver: str
    notes: tuple[str, ...] = field(default=())


@runtime_checkable
class Factorization(Protocol):
    """What set-up leaves behind: factors or levels, used by every load case, adjoint and time step."""

    def solve(self, f: FloatArray) -> Solution:
        """Solve A x = f for f[n_dof] or f[n_dof, n_rhs]."""
        ...


@runtime_checkable
class LinearSolver(Protocol):
    """Settings of a solver; never changes."""

    def factorize(self, system: System) -> Factorization:
        """Do the work that does not depend on the right-hand side."""
        ...


def columns_of(system: System, f: FloatArray) -> FloatArray:
    """f as a new C-ordered float64[n_dof, n_rhs], fixed rows zeroed; refuses what is not a finite number.

    Raises
    ------
    ModelError
        If a load is NaN or infinite; names the unknowns.
    """
    columns = np.array(f, dtype=np.float64, order="C", ndmin=2)
    if np.ndim(f) == 1:
        columns = columns.T.copy()
    if columns.shape[0] != system.n_dof:
        raise ModelError(
            f"right-hand side has {columns.shape[0]} rows; the system has {system.n_dof} unknowns"
        )
    columns[~system.free] = 0.0
    bad = np.unique(np.nonzero(~np.isfinite(columns))[0])
    if bad.size:
        first = ", ".join(str(dof) for dof in bad[:5]) + (", ..." if bad.size > 5 else "")
        raise ModelError(
            f"right-hand side is NaN or infinite at {bad.size} unknowns ({first}); "
            "check load magnitudes, fields and tables for missing values"
        )
    return columns


def relative_residual(system: System, f: FloatArray, x: FloatArray) -> FloatArray:
    """|f - A x| / |f| per column over the free unknowns; 0 where f is zero."""
    size = np.linalg.norm(f, axis=0)
    error = np.linalg.norm(f - system.apply(x), axis=0)
    return np.asarray(np.divide(error, size, out=np.zeros_like(size), where=size > 0.0))
