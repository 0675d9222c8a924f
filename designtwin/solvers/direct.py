"""Sparse direct solution: SuperLU from scipy in its symmetric mode, refined and checked.

For small systems, indefinite ones, and what iteration does not solve. Needs neither numba nor definiteness.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

from designtwin.errors import ConvergenceError, ResourceError
from designtwin.solvers.singular import (
    NULL_LEVEL,
    null_share,
    refuse_empty_rows,
    refuse_null_vectors,
    rounding_level,
    singular_error,
)
from designtwin.solvers.solution import Solution, columns_of, relative_residual
from designtwin.solvers.system import SparseMatrix, System
from designtwin.typing import FloatArray

_PROBES = 12  # vectors in the search for free motions: two bodies' worth at once


@dataclass(frozen=True, kw_only=True)
class Direct:
    """Factor the free rows and columns once, then solve for as many right-hand sides as wanted.

    Parameters
    ----------
    memory_limit : float or None
        Bytes the factors may take; None means what is free now. Compared with an estimate before factoring.
    """

    memory_limit: float | None = None

    def factorize(self, system: System) -> DirectFactorization:
        """Factor the system.

        Raises
        ------
        SingularSystemError
            If a free unknown has no stiffness or a motion costs no energy; `.dofs` and `.motions` say which.
        ResourceError
            If the factors would take far more memory than there is.
        """
        started = time.perf_counter()
        refuse_empty_rows(system, system.matrix())
        matrix = system.free_matrix()
        self._refuse_too_large(matrix)
        factors, share = _factor(system, matrix)
        notes: tuple[str, ...] = ()
        if share < 1e-12:
            digits = max(1, int(np.log10(share / np.finfo(float).eps)))
            notes = (f"the softest motion is so soft that about {digits} digits of displacement are safe",)
        return DirectFactorization(system, factors, time.perf_counter() - started, notes)

    def _refuse_too_large(self, matrix: SparseMatrix) -> None:
        need = estimated_bytes(matrix)
        limit = self.memory_limit if self.memory_limit is not None else free_bytes()
        if limit is not None and need > limit:
            raise ResourceError(
                f"a direct solution of {matrix.shape[0]} unknowns needs about {need / 1e9:.1f} GB; "
                f"{limit / 1e9:.1f} GB are free; use MultigridCG(), a coarser mesh, or more memory"
            )


@dataclass(frozen=True, eq=False)
class DirectFactorization:
    """Factors of one system."""

    system: System
    factors: Any
    setup_seconds: float
    notes: tuple[str, ...] = ()

    def solve(self, f: FloatArray) -> Solution:
        """Solve A x = f for f[n_dof] or f[n_dof, n_rhs], with iterative refinement.

        Raises
        ------
        ConvergenceError
            If refinement leaves a residual above what rounding explains.
        ModelError
            If f is not finite.
        """
        started = time.perf_counter()
        system = self.system
        rhs = columns_of(system, f)
        index = system.free_index
        x = np.zeros_like(rhs)
        steps = np.zeros(rhs.shape[1], np.int64)
        residual = np.zeros(rhs.shape[1])
        active = np.flatnonzero(np.abs(rhs).max(axis=0, initial=0.0) > 0.0)
        if active.size and index.size:
            x[np.ix_(index, active)] = self.factors.solve(np.asfortranarray(rhs[np.ix_(index, active)]))
            residual = relative_residual(system, rhs, x)
            for _ in range(4):
                correction = np.zeros_like(x)
                correction[index] = self.factors.solve(np.asfortranarray((rhs - system.apply(x))[index]))
                trial = x + correction
                now = relative_residual(system, rhs, trial)
                better = now < 0.5 * residual
                if not better.any():
                    break
                x[:, better], residual[better] = trial[:, better], now[better]
                steps[better] += 1
            self._check(rhs, x, residual)
        seconds = {"set-up": self.setup_seconds, "solve": time.perf_counter() - started}
        return Solution(
            x=x.reshape(np.shape(f)),
            iterations=steps,
            residual=residual,
            seconds=seconds,
            solver="Direct (SuperLU)",
            notes=self.notes,
        )

    def _check(self, rhs: FloatArray, x: FloatArray, residual: FloatArray) -> None:
        if np.isfinite(residual).all() and (residual < 1e-10).all():
            return
        size = np.linalg.norm(rhs, axis=0)
        failed = ~(residual * size <= np.maximum(1e-10 * size, rounding_level(self.system, rhs, x)))
        if failed.any():
            raise ConvergenceError(
                f"the direct solution left a residual of {residual[failed].max():.1e} after refinement; "
                "the system is close to singular: check supports, stiffness contrasts and cell quality"
            )


def _factor(system: System, matrix: SparseMatrix) -> tuple[Any, float]:
    """SuperLU factors and the softest motion's share, after making sure that no motion is free."""
    if not matrix.shape[0]:
        return None, 1.0
    try:
        factors = _superlu(matrix, definite=system.definite)
    except RuntimeError as broken:  # "Factor is exactly singular": a slightly stiffer system shows what moves
        diagonal = np.abs(matrix.diagonal())
        diagonal[diagonal == 0.0] = diagonal.max(initial=1.0)
        held = matrix + sparse.diags_array(1e-10 * diagonal, format="csc")
        try:
            factors = _superlu(held, definite=system.definite)
        except RuntimeError:
            raise singular_error(system.free_index, "depend on each other") from broken
        _refuse_free_motions(system, factors, diagonal)
        raise singular_error(system.free_index, "depend on each other") from broken
    except MemoryError as error:
        raise ResourceError(
            f"memory ran out while factoring {matrix.shape[0]} unknowns; use MultigridCG() or a coarser mesh"
        ) from error
    diagonal = np.abs(matrix.diagonal())
    diagonal[diagonal == 0.0] = diagonal.max(initial=1.0)
    return factors, _refuse_free_motions(system, factors, diagonal)


def _superlu(matrix: SparseMatrix, *, definite: bool) -> Any:
    return sparse_linalg.splu(
        matrix,
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0 if definite else 0.01,
        options={"SymmetricMode": True, "Equil": False},
    )


def _refuse_free_motions(system: System, factors: Any, diagonal: FloatArray) -> float:
    """Inverse iteration: a motion that costs nothing grows without bound, so two steps show it.

    Returns the share of its forces that the softest motion leaves after cancellation (see
    `singular.null_share`).
    """
    weight = np.sqrt(diagonal)
    for probes in (1, min(_PROBES, diagonal.size)):  # one vector tells whether, several tell which
        z = np.random.default_rng(11).standard_normal((diagonal.size, probes)) / weight[:, None]
        for _ in range(2):
            z = factors.solve(np.asfortranarray(diagonal[:, None] * z))
            if not np.isfinite(z).all():
                raise singular_error(system.free_index, "depend on each other")
            z = np.linalg.qr(weight[:, None] * z)[0] / weight[:, None]
        vectors = np.zeros((system.n_dof, probes))
        vectors[system.free_index] = z
        share = null_share(system, vectors).min()
        if probes == 1 and share > NULL_LEVEL:
            return float(share)
    refuse_null_vectors(system, vectors)
    return float(share)


def estimated_bytes(matrix: SparseMatrix) -> float:
    """Rough size of the factors of a symmetric matrix [n, n], growing as n^(4/3).

    The exponent is fitted to tet10 solids; a mesh-free solver cannot tell a plate, so flat parts are
    overestimated.
    """
    n = matrix.shape[0]
    per_row = matrix.nnz / max(n, 1)
    return float(16.0 * n * (per_row + 0.35 * per_row * max(n, 1) ** (1.0 / 3.0)))


def free_bytes() -> float | None:
    """Memory that is free for use, bytes; None where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024.0 * float(line.split()[1])
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return None
