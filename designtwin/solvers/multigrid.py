"""Conjugate gradients in float64, preconditioned by a multigrid cycle in float32.

From a quadratic mesh to its corners by degree (p-multigrid), from there by smoothed aggregation of nodes.
Chebyshev polynomials of the fourth kind smooth on every level; they need an upper bound of the spectrum and
nothing else.

Sources: Vanek, Mandel, Brezina, Computing 56 (1996); Vanek, Brezina, Mandel, Numer. Math. 88 (2001);
Lottes, Numer. Linear Algebra Appl. 30 (2023); Phillips & Fischer, arXiv:2210.03179 (2022).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from designtwin.errors import ConvergenceError, ModelError
from designtwin.solvers.singular import refuse_empty_rows, refuse_null_vectors, rounding_level
from designtwin.solvers.solution import Solution, columns_of
from designtwin.solvers.system import SparseMatrix, System
from designtwin.typing import BoolArray, FloatArray, IntArray

Array: TypeAlias = NDArray[Any]  # float32 or float64: whatever the preconditioner runs in

# beta_i of Lottes (2023), table 1: steps of the optimized polynomial of each degree
_STEPS = {
    1: (1.12500000000000,),
    2: (1.02387287570313, 1.26408905371085),
    3: (1.00842544782028, 1.08867839208730, 1.33753125909618),
    4: (1.00391310427285, 1.04035811188593, 1.14863498546254, 1.38268869241000),
}
_COLUMNS_AT_ONCE = 16  # right-hand sides that share one pass; more would only cost memory


class Blocks(NamedTuple):
    """A block-CSR matrix as its three arrays, the way the kernels take it."""

    indptr: Array
    indices: Array
    values: Array


@dataclass(frozen=True, eq=False)
class Level:
    """One level of the hierarchy: matrix, smoother, and the way down.

    inverse float[n, b, b] are the inverted diagonal blocks, radius bounds the spectrum of D^-1 A.
    prolongation and restriction act on vectors seen as [n_nodes * rows, ...]; with scalar weights
    (`per_node`) each row is a node. `visits` is 1 for a V, 2 for a W cycle below.
    """

    matrix: Blocks
    inverse: Array
    radius: float
    prolongation: Blocks
    restriction: Blocks
    per_node: bool
    visits: int

    @property
    def n(self) -> int:
        """Unknowns of the level."""
        return int(self.inverse.shape[0] * self.inverse.shape[1])


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """All levels, finest first, the inverse of the last matrix, and the unknowns that stay zero."""

    levels: tuple[Level, ...]
    fixed: IntArray
    dense: Array
    degree: int
    scale: float
    sizes: tuple[int, ...]
    entries: tuple[int, ...]

    @property
    def operator_complexity(self) -> float:
        """Stored entries on all levels over those of the finest."""
        return sum(self.entries) / self.entries[0]

    def apply(self, r: FloatArray) -> FloatArray:
        """One cycle on r[n_dof, n_rhs]: an approximation of A^-1 r, symmetric and positive."""
        return Cycle(self, r.shape[1])(r)


class Cycle:
    """A cycle with its work vectors, for a given number of right-hand sides."""

    def __init__(self, hierarchy: Hierarchy, n_rhs: int) -> None:
        from designtwin.kernels import sparse as kernels

        self._kernels = kernels
        self._h = hierarchy
        dtype = hierarchy.dense.dtype
        self._r = [np.empty((level.n, n_rhs), dtype) for level in hierarchy.levels]
        self._d = [np.empty((level.n, n_rhs), dtype) for level in hierarchy.levels]
        sizes = [level.n for level in hierarchy.levels] + [hierarchy.dense.shape[0]]
        self._f = [np.empty((n, n_rhs), dtype) for n in sizes]
        self._x = [np.empty((n, n_rhs), dtype) for n in sizes]

    def __call__(self, r: FloatArray) -> FloatArray:
        """Approximate A^-1 r; each column is scaled first so that float32 neither over- nor underflows."""
        size = np.abs(r).max(axis=0, initial=0.0)
        size[size == 0.0] = 1.0
        self._f[0][:] = r / size
        self._x[0][:] = 0.0
        self._descend(0, start=True)
        out = np.asarray(self._x[0] * (size * self._h.scale))
        out[self._h.fixed] = 0.0  # a fixed mid node between free corners takes their mean on the way up
        return out

    def _descend(self, depth: int, start: bool) -> None:
        """Improve x at this depth for its f; `start` says that x is zero."""
        kernels, f, x = self._kernels, self._f[depth], self._x[depth]
        if depth == len(self._h.levels):
            if not start:  # the last level is solved exactly: nothing left to improve
                return
            kernels.add_dense_product(self._h.dense, f, x)
            return
        level, r = self._h.levels[depth], self._r[depth]
        self._smooth(depth, start)
        np.copyto(r, f)
        kernels.add_product(*level.matrix, x, -1.0, r)
        coarse_f, coarse_x = self._f[depth + 1], self._x[depth + 1]
        coarse_f[:] = 0.0
        coarse_x[:] = 0.0
        self._transfer(level, level.restriction, r, coarse_f)
        for visit in range(level.visits):
            self._descend(depth + 1, start=visit == 0)
        self._transfer(level, level.prolongation, coarse_x, x)
        self._smooth(depth, start=False)

    def _transfer(self, level: Level, transfer: Blocks, source: Array, target: Array) -> None:
        if level.per_node:  # scalar weights: components and right-hand sides are all columns alike
            width = level.inverse.shape[1] * source.shape[1]
            source, target = source.reshape(-1, width), target.reshape(-1, width)
        self._kernels.add_product(*transfer, source, 1.0, target)

    def _smooth(self, depth: int, start: bool) -> None:
        """Chebyshev, fourth kind, optimized steps; the recurrence is that of Phillips & Fischer (2022)."""
        kernels, level = self._kernels, self._h.levels[depth]
        f, x, r, d = self._f[depth], self._x[depth], self._r[depth], self._d[depth]
        np.copyto(r, f)
        if not start:
            kernels.add_product(*level.matrix, x, -1.0, r)
        steps = _STEPS[self._h.degree]
        kernels.chebyshev_update(level.inverse, r, 0.0, 4.0 / (3.0 * level.radius), steps[0], d, x)
        for i in range(1, len(steps)):
            kernels.add_product(*level.matrix, d, -1.0, r)
            keep = (2 * i - 1) / (2 * i + 3)
            gain = (8 * i + 4) / (2 * i + 3) / level.radius
            kernels.chebyshev_update(level.inverse, r, keep, gain, steps[i], d, x)


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
    """

    rtol: float = 1e-8
    max_iterations: int = 500
    degree: int = 2
    precision: Literal["single", "double"] = "single"
    theta: float = 0.02
    dense_nodes: int = 120

    def __post_init__(self) -> None:
        if not 0.0 < self.rtol < 1.0:
            raise ModelError(f"rtol is {self.rtol}; a number between 0 and 1 is wanted, e.g. 1e-8")
        if self.degree not in _STEPS:
            raise ModelError(f"degree is {self.degree}; 1, 2, 3 or 4 is wanted")
        if self.max_iterations < 1:
            raise ModelError(f"max_iterations is {self.max_iterations}; at least 1 is wanted")
        if self.precision not in ("single", "double"):
            raise ModelError(f"precision is {self.precision!r}; 'single' or 'double' is wanted")

    def factorize(self, system: System) -> MultigridFactorization:
        """Build the levels.

        Raises
        ------
        SingularSystemError
            If a free unknown has no stiffness, or a motion that costs no energy is free.
        ConvergenceError
            If the matrix is not positive definite.
        ModelError
            If the system has extra unknowns, which only Direct() takes.
        """
        if system.extra:
            raise ModelError(f"the system has {system.extra} unknowns that belong to no node; use Direct()")
        started = time.perf_counter()
        matrix = system.matrix()
        refuse_empty_rows(system, matrix)
        fine = _blocks(matrix, system.block)
        hierarchy = _hierarchy(self, system, fine)
        return MultigridFactorization(self, system, fine, hierarchy, time.perf_counter() - started)


@dataclass(frozen=True, eq=False)
class MultigridFactorization:
    """Levels of one system; `solve` as often as wanted."""

    solver: MultigridCG
    system: System
    matrix: Blocks
    hierarchy: Hierarchy
    setup_seconds: float

    @cached_property
    def double(self) -> Hierarchy:
        """The levels in float64, for systems on which float32 breaks down."""
        return _hierarchy(replace(self.solver, precision="double"), self.system, self.matrix)

    def solve(self, f: FloatArray) -> Solution:
        """Solve A x = f for f[n_dof] or f[n_dof, n_rhs].

        Raises
        ------
        ConvergenceError
            If a right-hand side does not reach rtol, or A is not positive definite.
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
            run = _Iteration(self, hierarchy, columns, first, n_rhs)
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
        return Solution(
            x=x.reshape(np.shape(f)),
            iterations=iterations,
            residual=residual,
            seconds=seconds,
            solver=f"MultigridCG ({len(self.hierarchy.sizes)} levels)",
            notes=notes,
        )


class _Trouble(Exception):
    def __init__(self, columns: BoolArray, why: str) -> None:
        self.columns, self.why = columns, why
        super().__init__(why)


class _Iteration:
    """Conjugate gradients over some columns at once; a column leaves when it has converged.

    Works on right-hand sides scaled to norm 1, so that residuals are relative ones. `x`, `iterations` and
    `residual` hold the answer.
    """

    def __init__(
        self, owner: MultigridFactorization, hierarchy: Hierarchy, rhs: FloatArray, first: int, total: int
    ) -> None:
        from designtwin.kernels import sparse as kernels

        self._kernels, self._owner, self._solver = kernels, owner, owner.solver
        self._first, self._total = first, total
        self.hierarchy = hierarchy
        self.x = np.zeros_like(rhs)
        self.iterations = np.zeros(rhs.shape[1], np.int64)
        self.residual = np.zeros(rhs.shape[1])
        self._size = np.sqrt(self._dots(rhs, rhs))
        self._active = np.flatnonzero(self._size > 0.0)
        self._f = np.ascontiguousarray(rhs[:, self._active])
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
                self._judge(count)
            except _Trouble as trouble:
                if self.hierarchy.dense.dtype == np.float64:
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
        self._r = self._f - self._product(self._y) if count else self._f.copy()
        self._p = np.zeros_like(self._f)
        self._cycle = Cycle(self.hierarchy, n_rhs)
        self._rz = np.full(n_rhs, np.inf)  # makes the first direction the preconditioned residual alone
        self._norm = np.sqrt(self._dots(self._r, self._r))
        self._best, self._best_at = np.full(n_rhs, np.inf), np.full(n_rhs, count)
        self._restarts = np.zeros(n_rhs, np.int64)
        self._began = count

    def _step(self) -> None:
        z = self._cycle(self._r)
        rz = self._dots(self._r, z)
        self._refuse(~(rz > 0.0), "the preconditioner is not positive definite")
        self._p *= rz / self._rz
        self._p += z
        q = self._product(self._p)
        pq = self._dots(self._p, q)
        self._refuse(~(pq > 0.0), "the matrix is not positive definite")
        alpha = rz / pq
        self._y += self._p * alpha
        self._r -= q * alpha
        self._rz = rz
        self._norm = np.sqrt(self._dots(self._r, self._r))
        self._refuse(~(self._norm < 1e8), "it diverges")

    def _settle(self, count: int) -> None:
        """Let go of the columns whose true residual is small enough."""
        reached = self._norm <= self._solver.rtol
        if not reached.any():
            return
        true = self._f - self._product(self._y)
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
            self.x[:, columns] = self._y[:, done] * self._size[columns]
            self.iterations[columns], self.residual[columns] = count, norm[done]
            self._keep(~done)

    def _keep(self, kept: BoolArray) -> None:
        for name in ("_f", "_y", "_r", "_p"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[:, kept]))
        for name in ("_active", "_rz", "_norm", "_best", "_best_at", "_restarts"):
            setattr(self, name, getattr(self, name)[kept])
        self._cycle = Cycle(self.hierarchy, self._active.size)

    def _judge(self, count: int) -> None:
        """Give up early where nothing is to be hoped for: the time serves another solver better."""
        # r . M r falls like the energy of the error, while |r| may rise for long before it falls
        better = self._rz < 0.8 * self._best
        self._best = np.where(better, self._rz, self._best)
        self._best_at = np.where(better, count, self._best_at)
        self._refuse(count - self._best_at > 60, "it no longer improves")
        if count - self._began >= 100:
            per_step = np.log(np.minimum(self._norm, 0.999)) / count
            slow = math.log(self._solver.rtol) / per_step > 3 * self._solver.max_iterations
            self._refuse(slow | (self.hierarchy.dense.dtype == np.float32), "it is too slow")

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
        return ConvergenceError(
            f"CG stopped at residual {self._norm[column]:.1e} after {count} iterations{which} "
            f"(asked {self._solver.rtol:.0e}): {trouble.why}; {advice}"
        )

    def _dots(self, x: FloatArray, y: FloatArray) -> FloatArray:
        out = np.empty(x.shape[1])
        self._kernels.column_dots(x, y, out)
        return out

    def _product(self, x: FloatArray) -> FloatArray:
        """A x; x is zero at fixed unknowns, so only the rows need to be cleared."""
        out = np.zeros_like(x)
        self._kernels.add_product(*self._owner.matrix, x, 1.0, out)
        out[~self._owner.system.free] = 0.0
        return out


# --- set-up


def _blocks(matrix: SparseMatrix, block: int) -> Blocks:
    """A scipy matrix as int32 block-CSR; shares the values where it can."""
    if matrix.format != "bsr" or tuple(matrix.blocksize) != (block, block):
        matrix = matrix.tobsr(blocksize=(block, block))
    return _as_blocks(matrix)


def _as_blocks(matrix: SparseMatrix, dtype: Any = np.float64) -> Blocks:
    return Blocks(
        np.ascontiguousarray(matrix.indptr, dtype=np.int32),
        np.ascontiguousarray(matrix.indices, dtype=np.int32),
        np.ascontiguousarray(matrix.data, dtype=dtype),
    )


def _weights(matrix: SparseMatrix, dtype: Any) -> Blocks:
    """A scalar CSR matrix as blocks of one."""
    indptr, indices, values = _as_blocks(matrix, dtype)
    return Blocks(indptr, indices, values.reshape(-1, 1, 1))


def _hierarchy(solver: MultigridCG, system: System, fine: Blocks) -> Hierarchy:
    from designtwin.kernels import sparse as kernels

    dtype: Any = np.float32 if solver.precision == "single" else np.float64
    block = system.block
    free = system.free.reshape(-1, block)
    modes = system.near_nullspace
    if modes is None:
        modes = np.tile(np.eye(block), (system.n_nodes, 1))
    modes = np.where(system.free[:, None], modes, 0.0)

    # one number brings all levels near 1, whatever the stiffness: float32 has room for contrasts then
    size = float(np.abs(fine.values).max(initial=0.0))
    scale = 1.0 / size if size > 0.0 else 1.0
    values = np.empty_like(fine.values)
    kernels.constrain_blocks(*fine, free, scale, values)
    matrix = Blocks(fine.indptr, fine.indices, values)

    levels: list[Level] = []
    sizes, entries = [system.n_dof], [fine.values.size]
    paths: list[SparseMatrix] = []  # prolongations in float64, to carry a null vector back up
    inverse = _inverse(kernels, matrix)
    if system.coarse is not None:
        coarse, free, transfer = _corner_matrix(kernels, system, matrix, scale)
        levels.append(_level(kernels, matrix, inverse, transfer, True, 1, dtype))
        paths.append(sparse.kron(transfer, sparse.eye_array(block), format="csr"))
        modes = system.coarse.near_nullspace
        if modes is None:
            modes = np.tile(np.eye(block), (transfer.shape[1], 1))
        modes = np.where(free.reshape(-1, 1), modes, 0.0)
        matrix, inverse = coarse, _inverse(kernels, coarse)
        sizes.append(free.size)
        entries.append(coarse.values.size)

    theta = solver.theta
    while matrix.indptr.size - 1 > solver.dense_nodes:
        made = _aggregated(kernels, matrix, inverse, modes, theta)
        if made is None:
            break
        transfer, coarse, modes, radius = made
        levels.append(_level(kernels, matrix, inverse, transfer, False, 2, dtype, radius))
        paths.append(transfer)
        matrix, inverse, theta = coarse, _inverse(kernels, coarse), 0.5 * theta
        sizes.append(modes.shape[0])
        entries.append(coarse.values.size)

    n_last = (matrix.indptr.size - 1) * matrix.values.shape[1]
    if n_last > 6000:
        raise ConvergenceError(
            f"multigrid cannot coarsen below {n_last} unknowns: nodes are hardly coupled; try Direct()"
        )
    dense, null = _dense_inverse(_to_scipy(matrix).toarray(), inverse)
    hierarchy = Hierarchy(
        levels=tuple(levels),
        fixed=np.flatnonzero(~system.free),
        dense=dense.astype(dtype),
        degree=solver.degree,
        scale=scale,
        sizes=tuple(sizes),
        entries=tuple(entries),
    )
    if null.shape[1]:
        for path in reversed(paths):
            null = path @ null
        for _ in range(6):  # the cycle takes away what does cost energy
            null = null - hierarchy.apply(system.apply(null))
        refuse_null_vectors(system, null)
    return hierarchy


def _to_scipy(matrix: Blocks) -> SparseMatrix:
    n = (matrix.indptr.size - 1) * matrix.values.shape[1]
    return sparse.bsr_array((matrix.values, matrix.indices, matrix.indptr), shape=(n, n))


def _inverse(kernels: Any, matrix: Blocks) -> FloatArray:
    n, b = matrix.indptr.size - 1, matrix.values.shape[1]
    diagonal = np.empty((n, b, b))
    kernels.diagonal_blocks(*matrix, diagonal)
    out = np.empty_like(diagonal)
    negative = kernels.invert_blocks(diagonal, 1e-12, out)
    if negative:
        raise ConvergenceError(
            f"the matrix is not positive definite: {negative} nodes have negative stiffness; "
            "check material values and springs, or try Direct()"
        )
    return out


def _radius(kernels: Any, matrix: Blocks, inverse: Array) -> float:
    """An upper estimate of the spectrum of D^-1 A: power steps, and a tenth on top."""
    n, b = inverse.shape[0], inverse.shape[1]
    vector = np.random.default_rng(7).standard_normal((n * b, 1)).astype(matrix.values.dtype)
    product, image = np.empty_like(vector), np.zeros_like(vector)
    unused = np.zeros_like(vector)
    dot = np.empty(1)
    radius = 1.0
    for _ in range(15):
        product[:] = 0.0
        kernels.add_product(*matrix, vector, 1.0, product)
        kernels.chebyshev_update(inverse, product, 0.0, 1.0, 0.0, image, unused)
        kernels.column_dots(image, image, dot)
        size = math.sqrt(dot[0])
        if size == 0.0:
            return 1.0
        kernels.column_dots(vector, vector, dot)
        radius = size / math.sqrt(dot[0])
        vector[:] = image / size
    return 1.1 * radius


def _level(
    kernels: Any,
    matrix: Blocks,
    inverse: FloatArray,
    transfer: SparseMatrix,
    per_node: bool,
    visits: int,
    dtype: Any,
    radius: float | None = None,
) -> Level:
    matrix = matrix._replace(values=matrix.values.astype(dtype))
    inverse = inverse.astype(dtype)
    if radius is None:
        radius = _radius(kernels, matrix, inverse)
    back = transfer.T
    back = back.tocsr() if per_node else back.tobsr(blocksize=transfer.blocksize[::-1])
    as_blocks = _weights if per_node else _as_blocks
    return Level(
        matrix=matrix,
        inverse=inverse,
        radius=radius,
        prolongation=as_blocks(transfer, dtype),
        restriction=as_blocks(back, dtype),
        per_node=per_node,
        visits=visits,
    )


def _corner_matrix(
    kernels: Any, system: System, matrix: Blocks, scale: float
) -> tuple[Blocks, BoolArray, SparseMatrix]:
    """The matrix at the corners, which corners are free [n_coarse, block], and the weights as float64 CSR."""
    assert system.coarse is not None
    weights = system.coarse.prolongation.tocsr()
    block, n_coarse = system.block, weights.shape[1]
    free = np.ones((n_coarse, block), bool)
    # a row with one entry is a corner; its coarse copy is fixed where it is
    corner = np.flatnonzero(np.diff(weights.indptr) == 1)
    column = weights.indices[weights.indptr[corner]]
    free[column] = system.free.reshape(-1, block)[corner]
    if system.coarse.matrix is not None:
        coarse = _blocks(system.coarse.matrix, block)
        values = np.empty_like(coarse.values)
        kernels.constrain_blocks(*coarse, free, scale, values)
        return coarse._replace(values=values), free, weights
    back = weights.T.tocsr()
    w, t = _as_blocks(weights), _as_blocks(back)
    indptr = np.empty(n_coarse + 1, np.int32)
    pattern = (matrix.indptr, matrix.indices, w.indptr, w.indices, t.indptr, t.indices)
    kernels.weighted_pattern(*pattern, indptr, np.empty(0, np.int32))
    indices = np.empty(indptr[-1], np.int32)
    kernels.weighted_pattern(*pattern, indptr, indices)
    values = np.empty((indices.size, block, block))
    kernels.weighted_triple_product(*matrix, *w, *t, indptr, indices, values)
    coarse = Blocks(indptr, indices, values)
    kernels.constrain_blocks(*coarse, free, 1.0, values)
    return coarse, free, weights


def _aggregated(
    kernels: Any, matrix: Blocks, inverse: FloatArray, modes: FloatArray, theta: float
) -> tuple[SparseMatrix, Blocks, FloatArray, float] | None:
    """Prolongation (BSR), coarse matrix, coarse modes and spectral radius; None where aggregation stalls."""
    n, b, k = matrix.indptr.size - 1, matrix.values.shape[1], modes.shape[1]
    norms = np.empty(matrix.indices.size)
    kernels.block_norms(matrix.values, norms)
    owner = np.empty(n, np.int32)
    count = int(kernels.aggregate(matrix.indptr, matrix.indices, norms, theta, owner))
    if count == 0 or count > 0.7 * n:
        return None
    members = np.flatnonzero(owner >= 0).astype(np.int32)
    members = members[np.argsort(owner[members], kind="stable")]
    start = np.zeros(count + 1, np.int32)
    start[1:] = np.cumsum(np.bincount(owner[members], minlength=count))

    rows = np.zeros((n, b, k))
    coarse_modes = np.empty((count * k, k))
    kernels.tentative_basis(start, members, modes, b, 1e-10, rows, coarse_modes)
    indptr = np.zeros(n + 1, np.int32)
    indptr[1:] = np.cumsum(owner >= 0)
    used = owner >= 0
    shape = (n * b, count * k)
    tentative = sparse.bsr_array((rows[used], owner[used], indptr), shape=shape, blocksize=(b, k))

    # P = (I - 4/(3 radius) D^-1 A) P0: the modes stay in reach, the energy of the basis drops
    radius = _radius(kernels, matrix, inverse)
    scipy_matrix = _to_scipy(matrix)
    correction = (scipy_matrix @ tentative).tobsr(blocksize=(b, k))
    row = np.repeat(np.arange(n), np.diff(correction.indptr))
    correction.data = np.matmul(inverse[row], correction.data) * (-4.0 / (3.0 * radius))
    prolongation = (tentative + correction).tobsr(blocksize=(b, k))

    product = (scipy_matrix @ prolongation).tobsr(blocksize=(b, k))
    coarse = (prolongation.T.tobsr(blocksize=(k, b)) @ product).tobsr(blocksize=(k, k))
    return prolongation, _as_blocks(coarse), coarse_modes, radius


def _dense_inverse(matrix: FloatArray, inverse: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverse on the unknowns that have stiffness, and the null vectors found (columns, usually none)."""
    corner = np.arange(inverse.shape[1])
    used = np.flatnonzero(inverse[:, corner, corner].ravel() > 0.0)
    out = np.zeros_like(matrix)
    null = np.zeros((matrix.shape[0], 0))
    if not used.size:
        return out, null
    core = matrix[np.ix_(used, used)]
    core = 0.5 * (core + core.T)
    weight = 1.0 / np.sqrt(np.diag(core))
    values, vectors = linalg.eigh(core * np.outer(weight, weight))
    if values[0] < -1e-8:
        raise ConvergenceError(
            f"the matrix is not positive definite (eigenvalue {values[0]:.1e} of the scaled coarse matrix); "
            "check the sign and size of stiffness, or try Direct()"
        )
    kept = values > 1e-13
    basis = weight[:, None] * vectors[:, kept]
    out[np.ix_(used, used)] = (basis / values[kept]) @ basis.T
    null = np.zeros((matrix.shape[0], int((~kept).sum())))
    null[used] = weight[:, None] * vectors[:, ~kept]
    return out, null
