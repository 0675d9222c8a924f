"""Conjugate gradients in float64, preconditioned by a multigrid cycle, in float32 where that will do.

All right-hand sides go through together and share every pass over the operator.

Source: Saad, Iterative Methods for Sparse Linear Systems, 2nd ed. (2003), sec. 9.2.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from designtwin import parallel
from designtwin.errors import ConvergenceError, ModelError
from designtwin.solvers.hierarchy import STEPS, Cycle, Hierarchy, build, can_group
from designtwin.solvers.singular import refuse_empty_rows, rounding_level
from designtwin.solvers.solution import Solution, columns_of
from designtwin.solvers.system import Array, System
from designtwin.typing import BoolArray, FloatArray

_COLUMNS_AT_ONCE = 16  # right-hand sides that share one pass; more would only cost memory
_ITERATION = 1.2e-7  # seconds per unknown that one takes, two threads, on brackets of tet10
_LOOK_EVERY = 40  # iterations between two looks at whether another solver would be sooner


@dataclass(frozen=True, kw_only=True)
class MultigridCG:
    """Conjugate gradients with p-multigrid (quadratic meshes) and smoothed aggregation.

    All right-hand sides go through together and share every pass over the matrix.

    Parameters
    ----------
    rtol : float
        |f - A x| <= rtol |f| for every right-hand side, checked on the true residual.
    max_iterations : int
        Beyond it, or when it is clear that it would be passed, ConvergenceError.
    degree : int
        Of the smoothing polynomials, 1 to 4: products with A before and after each coarse correction.
    precision : "single" or "double"
        In which the preconditioner runs; the iteration itself is always float64. Where "single" breaks down
        or is slow (a stiff part on one 1e5 times softer), "double" goes on and the solution says so.
    theta : float
        Coupling below which aggregation separates two nodes; halved on each level.
    dense_nodes : int
        A level with at most so many nodes is inverted.
    smoother : "nodes" or "groups"
        "groups" smooths groups of nodes that hang together through the thickness, and bends them on one
        coarse level: for flat and needle cells, on which "nodes" takes hundreds of iterations. For
        displacements in space. Set-up assembles the matrix and takes several times as long, and float64
        whatever `precision` says.
    """

    rtol: float = 1e-8
    max_iterations: int = 500
    degree: int = 2
    precision: Literal["single", "double"] = "single"
    theta: float = 0.02
    dense_nodes: int = 120
    smoother: Literal["nodes", "groups"] = "nodes"

    def __post_init__(self) -> None:
        if not 0.0 < self.rtol < 1.0:
            raise ModelError(f"rtol is {self.rtol}; a number between 0 and 1 is wanted, e.g. 1e-8")
        if self.degree not in STEPS:
            raise ModelError(f"degree is {self.degree}; 1, 2, 3 or 4 is wanted")
        if self.max_iterations < 1:
            raise ModelError(f"max_iterations is {self.max_iterations}; at least 1 is wanted")
        if self.precision not in ("single", "double"):
            raise ModelError(f"precision is {self.precision!r}; 'single' or 'double' is wanted")
        if self.smoother not in ("nodes", "groups"):
            raise ModelError(f"smoother is {self.smoother!r}; 'nodes' or 'groups' is wanted")

    def factorize(self, system: System) -> MultigridFactorization:
        """Build the levels.

        Raises
        ------
        SingularSystemError
            If a free unknown has no stiffness, or a motion that costs no energy is free.
        ConvergenceError
            If the matrix is not positive definite.
        ModelError
            If the system has extra unknowns, which only Direct() takes, or groups are asked for where they
            mean nothing.
        """
        if system.extra:
            raise ModelError(f"the system has {system.extra} unknowns that belong to no node; use Direct()")
        if self.smoother == "groups" and not can_group(system):
            raise ModelError(
                "MultigridCG(smoother='groups') is for displacements in space with rigid motions known; this "
                f"system has {system.block} unknowns per node; use MultigridCG() or Direct()"
            )
        started = time.perf_counter()
        blocks = system.block_diagonal()
        refuse_empty_rows(system, np.einsum("nii->ni", blocks).ravel())
        hierarchy = self.levels(system, self.precision, blocks)
        return MultigridFactorization(self, system, hierarchy, time.perf_counter() - started)

    def levels(
        self,
        system: System,
        precision: Literal["single", "double"],
        blocks: FloatArray | None = None,
        *,
        motions: int = 0,
    ) -> Hierarchy:
        """The levels of a system in a precision; its diagonal blocks, if given, are overwritten.

        So many `motions` of a free body are left out on the last level, not refused.
        """
        dtype = np.float32 if precision == "single" else np.float64
        blocks = system.block_diagonal() if blocks is None else blocks
        return build(
            system, blocks, degree=self.degree, theta=self.theta, dense_nodes=self.dense_nodes, dtype=dtype,
            groups=self.smoother == "groups", motions=motions,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class MultigridFactorization:
    """Levels of one system; `solve` as often as wanted."""

    solver: MultigridCG
    system: System
    hierarchy: Hierarchy
    setup_seconds: float

    @cached_property
    def double(self) -> Hierarchy:
        """The levels in float64, for systems on which float32 breaks down."""
        return self.solver.levels(self.system, "double")

    def solve(self, f: FloatArray, *, unless: Callable[[float], str] | None = None) -> Solution:
        """Solve A x = f for f[n_dof] or f[n_dof, n_rhs].

        Parameters
        ----------
        f : float64[n_dof] or float64[n_dof, n_rhs]
        unless : function of seconds, optional
            Asked now and then whether to go on when so many seconds are to be expected; a reason ends it.

        Raises
        ------
        ConvergenceError
            If a right-hand side does not reach rtol, A is not positive definite, or `unless` says so.
        ModelError
            If f is not finite.
        """
        started = time.perf_counter()
        rhs = columns_of(self.system, f)
        n_rhs = rhs.shape[1]
        x = np.zeros_like(rhs)
        iterations = np.zeros(n_rhs, np.int64)
        residual = np.zeros(n_rhs)
        hierarchy = self.double if "double" in self.__dict__ else self.hierarchy  # as the last time
        for first in range(0, n_rhs, _COLUMNS_AT_ONCE):
            part = slice(first, first + _COLUMNS_AT_ONCE)
            columns = np.ascontiguousarray(rhs[:, part])
            run = _Iteration(self, hierarchy, columns, first, n_rhs, unless)
            run.run()
            hierarchy = run.hierarchy
            x[:, part], iterations[part], residual[part] = run.x, run.iterations, run.residual
        notes: tuple[str, ...] = ()
        if hierarchy is not self.hierarchy:
            notes += ("the preconditioner ran in double precision, for single precision did not converge",)
        if (residual > self.solver.rtol).any():
            notes += (
                f"residual {residual.max():.1e} (asked {self.solver.rtol:.0e}) is the rounding error of "
                "forces in a system this soft or of such contrast; no solver in float64 gets below it",
            )
        seconds = {"set-up": self.setup_seconds, "solve": time.perf_counter() - started}
        groups = ", groups" if self.solver.smoother == "groups" else ""
        return Solution(
            x=x.reshape(np.shape(f)),
            iterations=iterations,
            residual=residual,
            seconds=seconds,
            solver=f"MultigridCG ({len(self.hierarchy.sizes)} levels{groups})",
            notes=notes,
        )


class _Trouble(Exception):
    def __init__(self, columns: BoolArray, why: str, *, final: bool = False) -> None:
        self.columns, self.why, self.final = columns, why, final
        super().__init__(why)


class _Iteration:
    """Conjugate gradients over some columns at once; a column leaves when it has converged.

    Works on right-hand sides scaled to norm 1 (in place: rhs is ours), so that residuals are relative ones.
    `x`, `iterations` and `residual` hold the answer.
    """

    def __init__(
        self,
        owner: MultigridFactorization,
        hierarchy: Hierarchy,
        rhs: FloatArray,
        first: int,
        total: int,
        unless: Callable[[float], str] | None,
    ) -> None:
        from designtwin.kernels import sparse as kernels

        self._kernels, self._owner, self._solver = kernels, owner, owner.solver
        self._operator = owner.system.operator()
        self._free = owner.system.free
        self._first, self._total, self._unless = first, total, unless
        self.hierarchy = hierarchy
        self.x = np.zeros_like(rhs)
        self.iterations = np.zeros(rhs.shape[1], np.int64)
        self.residual = np.zeros(rhs.shape[1])
        self._size = np.sqrt(self._dots(rhs, rhs))
        self._active = np.flatnonzero(self._size > 0.0)
        self._f = rhs if self._active.size == rhs.shape[1] else np.ascontiguousarray(rhs[:, self._active])
        self._f /= self._size[self._active]
        self._y = np.zeros_like(self._f)
        self._start(0)

    def run(self) -> None:
        """Iterate until every column has converged.

        Raises
        ------
        ConvergenceError
            If one does not.
        """
        for count in range(1, self._solver.max_iterations + 1):
            if not self._active.size:
                return
            try:
                self._step()
                self._settle(count)
                if self._active.size:
                    self._judge(count)
            except _Trouble as trouble:
                if trouble.final or self.hierarchy.dtype == np.float64:
                    raise self._error(trouble, count) from None
                self.hierarchy = self._owner.double
                self._y[:, ~(self._norm < 1.0)] = 0.0  # what single precision made worse begins anew
                self._start(count)
        if self._active.size:
            left = np.ones(self._active.size, bool)
            raise self._error(_Trouble(left, "iterations ran out"), self._solver.max_iterations)

    def _start(self, count: int) -> None:
        """Begin at the y that is there."""
        n_rhs = self._active.size
        self._cycle = Cycle(self.hierarchy, n_rhs)
        self._r = self._residual() if count else self._f.copy()
        self._cycle.f[:] = self._r
        self._p = np.zeros_like(self._f)
        self._q = np.empty_like(self._f)
        self._rz = np.full(n_rhs, np.inf)  # makes the first direction the preconditioned residual alone
        self._norm = np.sqrt(self._dots(self._r, self._r))
        self._best, self._best_at = np.full(n_rhs, np.inf), np.full(n_rhs, count)
        self._restarts = np.zeros(n_rhs, np.int64)
        self._began = count

    def _step(self) -> None:
        kernels, scale = self._kernels, self.hierarchy.scale
        z = self._cycle.run()
        rz = scale * self._dots(self._r, z)
        self._refuse(~(rz > 0.0), "the preconditioner is not positive definite")
        self._pass(kernels.next_direction, z, scale, rz / self._rz, self._p)
        self._operator.product(self._p, self._q)
        pq = self._sum(kernels.mask_and_dot, self._free, self._p, self._q)
        self._refuse(~(pq > 0.0), "the matrix is not positive definite")
        work = (rz / pq, self._p, self._q, self._y, self._r, self._cycle.f)
        self._norm = np.sqrt(self._sum(kernels.advance, *work))
        self._rz = rz
        self._refuse(~(self._norm < 1e8), "it diverges")

    def _settle(self, count: int) -> None:
        """Let go of the columns whose true residual is small enough."""
        reached = self._norm <= self._solver.rtol
        if not reached.any():
            return
        true = self._residual()
        norm = np.sqrt(self._dots(true, true))
        done = reached & (norm <= self._solver.rtol)
        stuck = reached & ~done & (self._restarts >= 1)
        if stuck.any():  # as exact as float64 can be?
            done |= stuck & (norm <= rounding_level(self._owner.system, self._f, self._y))
            self._refuse(stuck & ~done & (self._restarts >= 4), "rounding holds it up")
        again = reached & ~done  # the recursion drifted from the truth: start over from here
        self._r[:, again], self._norm[again] = true[:, again], norm[again]
        self._rz[again] = self._best[again] = np.inf
        self._restarts[again] += 1
        if done.any():
            columns = self._active[done]
            if done.all():
                self._p = self._q = self._r = true = np.empty((0, done.size))
            self.x[:, columns] = self._y[:, done] * self._size[columns]
            self.iterations[columns], self.residual[columns] = count, norm[done]
            self._keep(~done)
        elif again.any():
            self._cycle.f[:] = self._r

    def _keep(self, kept: BoolArray) -> None:
        for name in ("_f", "_y", "_r", "_p", "_q"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[:, kept]))
        for name in ("_active", "_rz", "_norm", "_best", "_best_at", "_restarts"):
            setattr(self, name, getattr(self, name)[kept])
        if self._active.size:
            self._cycle = Cycle(self.hierarchy, self._active.size)
            self._cycle.f[:] = self._r

    def _judge(self, count: int) -> None:
        """Give up early where nothing is to be hoped for: the time serves another solver better."""
        # r . M r falls like the energy of the error, while |r| may rise for long before it falls
        better = self._rz < 0.8 * self._best
        self._best = np.where(better, self._rz, self._best)
        self._best_at = np.where(better, count, self._best_at)
        self._refuse(count - self._best_at > 60, "it no longer improves")
        if self._unless is not None and count % _LOOK_EVERY == 0:
            slowest = float(self._norm.max())
            share = math.log(self._solver.rtol) / math.log(min(slowest, 0.5)) if slowest > 0.0 else 1.0
            # Work, not the clock: which solver answers must not depend on how busy the machine is.
            each = _ITERATION * self._free.size * (1.0 + 0.4 * (self._active.size - 1))
            left = each * count * max(0.0, share - 1.0)
            if reason := self._unless(left):
                raise _Trouble(self._norm == slowest, reason, final=True)
        if count - self._began >= 100:
            per_step = np.log(np.minimum(self._norm, 0.999)) / count
            slow = math.log(self._solver.rtol) / per_step > 3 * self._solver.max_iterations
            self._refuse(slow | (self.hierarchy.dtype == np.float32), "it is too slow")

    def _refuse(self, columns: BoolArray, why: str) -> None:
        if columns.any():
            raise _Trouble(columns, why)

    def _error(self, trouble: _Trouble, count: int) -> ConvergenceError:
        column = int(np.flatnonzero(trouble.columns)[0])
        which = "" if self._total == 1 else f" for right-hand side {self._first + int(self._active[column])}"
        advice = (
            "check the sign and size of stiffness, or try Direct()"
            if "definite" in trouble.why
            else "try Direct(), or check for cells of poor quality and a Poisson ratio near 0.5"
        )
        if "definite" not in trouble.why and self._solver.smoother == "nodes":
            advice += "; where cells are flat, MultigridCG(smoother='groups')"
        if trouble.final:
            advice = "cells are flat, or Poisson's ratio is near 0.5"
        return ConvergenceError(
            f"CG stopped at residual {self._norm[column]:.1e} after {count} iterations{which} "
            f"(asked {self._solver.rtol:.0e}): {trouble.why}; {advice}"
        )

    def _residual(self) -> FloatArray:
        """f - A y."""
        out = np.empty_like(self._y)
        self._operator.product(self._y, out)
        np.subtract(self._f, out, out=out)
        out[~self._free] = 0.0
        return out

    def _pass(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """A kernel over all chunks of rows, on all threads."""
        chunks = -(-self._free.size // self._kernels.CHUNK)
        parallel.run(kernel, chunks, *arguments, grain=2)

    def _sum(self, kernel: Callable[..., None], *arguments: Any) -> FloatArray:
        """What a kernel sums over each chunk of rows, added up in order."""
        chunks = -(-self._free.size // self._kernels.CHUNK)
        parts = np.empty((chunks, arguments[-1].shape[1]))
        self._pass(kernel, *arguments, parts)
        return np.asarray(parts.sum(axis=0))

    def _dots(self, x: FloatArray, y: Array) -> FloatArray:
        return self._sum(self._kernels.dots, x, y)
