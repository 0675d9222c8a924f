"""Systems close to one that was set up before: conjugate gradients and GMRES around its factors or levels.

Time steps and Newton's method meet the same system again and again, a little changed. The set-up of the
first serves as preconditioner of those that follow, and they begin where the last one ended.

Sources: Saad, Iterative Methods for Sparse Linear Systems, 2nd ed. (2003), alg. 9.1 and 9.6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from designtwin import parallel
from designtwin.errors import ConvergenceError
from designtwin.solvers.choice import WatchedFactorization, choose_solver
from designtwin.solvers.direct import DirectFactorization
from designtwin.solvers.hierarchy import Cycle
from designtwin.solvers.multigrid import MultigridFactorization
from designtwin.solvers.solution import LinearSolver
from designtwin.solvers.system import System
from designtwin.typing import FloatArray

Product = Callable[[FloatArray], FloatArray]
"""A x for float64[n_dof]; rows and columns of fixed unknowns are seen to by the caller."""

_BASIS = 40  # directions GMRES keeps before it starts anew
_DOUBT = 2.0  # by how much r . z may be larger than it was expected to be
_SPARED = 8  # solves that may go by that expectation before it is looked at again


class Found(NamedTuple):
    """A solution and how it was found.

    Parameters
    ----------
    x : float64[n_dof]
    iterations : int
    rest : float64[n_dof]
        f - A x, as the iteration has it.
    """

    x: FloatArray
    iterations: int
    rest: FloatArray


def dot(x: FloatArray, y: FloatArray) -> float:
    """Scalar product, summed in fixed blocks: the same digits for any number of threads."""
    from designtwin.kernels import sparse as kernels

    chunks = -(-len(x) // kernels.CHUNK)
    parts = np.empty((chunks, 1))
    parallel.run(kernels.dots, chunks, x.reshape(-1, 1), y.reshape(-1, 1), parts, grain=8)
    return float(parts.sum())


class Preconditioner:
    """Factors or levels of one system, as an approximate inverse of systems close to it."""

    def __init__(self, system: System, solver: LinearSolver | None = None) -> None:
        self.system = system
        made = (solver or choose_solver(system)).factorize(system)
        self._made = made.active if isinstance(made, WatchedFactorization) else made
        self.notes = getattr(made, "notes", ())
        self.ended, self.spared = np.inf, 0
        self.exact = not isinstance(self._made, MultigridFactorization)
        """Whether one application nearly solves the system it was made of: factors."""
        self._cycle: Cycle | None = None
        if isinstance(self._made, MultigridFactorization):
            self._cycle = Cycle(self._made.hierarchy, 1)
            self.title = f"multigrid ({len(self._made.hierarchy.sizes)} levels)"
        else:
            self.title = f"factors ({getattr(getattr(self._made, 'factors', None), 'name', 'given solver')})"

    @property
    def expected(self) -> float:
        """What r . z will be over |r|^2 of the residual that a solve ends with: as it was the last time.

        It spares the last z, which would only tell that the iteration is over; infinite when it is time to
        look again.
        """
        return self.ended if self.spared < _SPARED else np.inf

    def expect(self, ended: float) -> None:
        """Note what it was at the end of a solve."""
        self.ended, self.spared = ended, 0

    def __call__(self, r: FloatArray) -> FloatArray:
        """About A^-1 r for r[n_dof]; zero at fixed unknowns."""
        size = float(np.abs(r).max(initial=0.0))
        if size == 0.0:
            return np.zeros_like(r)
        if self._cycle is not None:
            assert isinstance(self._made, MultigridFactorization)
            np.multiply(r, 1.0 / size, out=self._cycle.f[:, 0], casting="same_kind")
            return np.asarray(self._cycle.run()[:, 0] * (size * self._made.hierarchy.scale), np.float64)
        if isinstance(self._made, DirectFactorization):
            return np.asarray(self._made.factors.solve((r / size)[:, None])[:, 0] * size)
        return self._made.solve(r).x


def conjugate_gradients(
    product: Product,
    precondition: Preconditioner,
    f: FloatArray,
    *,
    enough: Callable[[float, float], bool],
    most: int = 200,
) -> Found:
    """Solve A x = f, A symmetric positive definite on the free unknowns, from x = 0.

    Parameters
    ----------
    product : function
        A x with fixed rows and columns left out.
    f : float64[n_dof]
        Zero at fixed unknowns.
    enough : function of (|r|, r . z)
        Whether a residual r, with z = precondition(r), will do; sqrt(r . z) is about the energy norm of the
        error.
    most : int
        Iterations.

    Raises
    ------
    ConvergenceError
        If they do not suffice, or A is not positive definite.
    """
    x, r = np.zeros_like(f), f.copy()
    p = np.zeros_like(f)
    before = 1.0
    size = first = float(np.sqrt(dot(r, r)))
    for count in range(most + 1):
        if size == 0.0 or (count and enough(size, _DOUBT * precondition.expected * size**2)):
            precondition.spared += 1
            return Found(x, count, r)
        z = precondition(r)
        rz = dot(r, z)
        if (count or not precondition.exact) and enough(size, rz):
            precondition.expect(rz / size**2 if count else np.inf)
            return Found(x, count, r)
        if not rz > 0.0 or not np.isfinite(rz):
            raise ConvergenceError(f"the preconditioner is not positive definite (r.z = {rz:.2e})")
        p *= rz / before if count else 0.0
        p += z
        before = rz
        q = product(p)
        curvature = dot(p, q)
        if not curvature > 0.0:
            raise ConvergenceError(f"the matrix is not positive definite (p.Ap = {curvature:.2e})")
        alpha = rz / curvature
        x += alpha * p
        r -= alpha * q
        size = float(np.sqrt(dot(r, r)))
    raise ConvergenceError(
        f"conjugate gradients stopped at residual {size / first:.1e} after {most} iterations"
    )


def gmres(
    product: Product, precondition: Preconditioner, f: FloatArray, *, rtol: float, most: int = 200
) -> Found:
    """Solve A x = f for any A, preconditioned from the right and started anew now and then, from x = 0.

    Parameters are those of `conjugate_gradients`; it ends when |f - A x| <= rtol |f|.

    Raises
    ------
    ConvergenceError
        If `most` iterations do not suffice.
    """
    x, r = np.zeros_like(f), f.copy()
    first = size = float(np.sqrt(dot(f, f)))
    count = 0
    while size > rtol * first:
        basis, turned = [r / size], []
        h = np.zeros((_BASIS + 1, _BASIS))
        g = np.zeros(_BASIS + 1)
        g[0] = size
        turn = np.zeros((_BASIS, 2))
        k = 0
        while k < _BASIS and count < most:
            z = precondition(basis[k])
            turned.append(z)
            w = product(z)
            for j in range(k + 1):
                h[j, k] = dot(w, basis[j])
                w -= h[j, k] * basis[j]
            h[k + 1, k] = np.sqrt(dot(w, w))
            broke = h[k + 1, k] <= 1e-14 * np.abs(h[: k + 1, k]).max(initial=0.0)
            if not broke:
                basis.append(w / h[k + 1, k])
            for j in range(k):
                c, s = turn[j]
                h[j, k], h[j + 1, k] = c * h[j, k] + s * h[j + 1, k], -s * h[j, k] + c * h[j + 1, k]
            length = float(np.hypot(h[k, k], h[k + 1, k]))
            if length == 0.0:
                raise ConvergenceError("GMRES broke down: the matrix is singular")
            turn[k] = h[k, k] / length, h[k + 1, k] / length
            h[k, k], h[k + 1, k] = length, 0.0
            g[k], g[k + 1] = turn[k, 0] * g[k], -turn[k, 1] * g[k]
            k, count = k + 1, count + 1
            if broke or abs(g[k]) <= rtol * first:
                break
        y = np.linalg.solve(h[:k, :k], g[:k])
        for weight, z in zip(y, turned, strict=False):
            x += weight * z
        r = f - product(x)
        size = float(np.sqrt(dot(r, r)))
        if count >= most and size > rtol * first:
            raise ConvergenceError(f"GMRES stopped at residual {size / first:.1e} after {count} iterations")
    return Found(x, count, r)
