"""A multigrid cycle, in float32 where that will do: the preconditioner of conjugate gradients.

From a quadratic mesh to its corners by degree (p-multigrid), from there by smoothed aggregation of nodes.
Chebyshev polynomials of the fourth kind smooth on every level; they need an upper bound of the spectrum and
nothing else. The finest level only multiplies: it may be an operator without a matrix.

For flat cells there is another way down: from the nodes, mid nodes and all, straight to groups of them that
bend, where factors solve exactly; see `smoothing`.

Sources: Vanek, Mandel, Brezina, Computing 56 (1996); Vanek, Brezina, Mandel, Numer. Math. 88 (2001);
Lottes, Numer. Linear Algebra Appl. 30 (2023); Phillips & Fischer, arXiv:2210.03179 (2022).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from scipy import linalg, sparse

from designtwin import parallel
from designtwin.errors import ConvergenceError
from designtwin.memory import free_bytes
from designtwin.solvers.dense import NotDefiniteError
from designtwin.solvers.direct import layout_of
from designtwin.solvers.singular import refuse_null_vectors
from designtwin.solvers.smoothing import RIGID, ROWS, Groups, NodeInverse, Smoother, coarser, points_of
from designtwin.solvers.smoothing import radius as spectral_radius
from designtwin.solvers.system import MANY, Array, BlockMatrix, MatrixTerm, Operator, SparseMatrix, System
from designtwin.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.solvers.multifrontal import MultifrontalFactors

# beta_i of Lottes (2023), table 1: steps of the optimized polynomial of each degree
STEPS = {
    1: (1.12500000000000,),
    2: (1.02387287570313, 1.26408905371085),
    3: (1.00842544782028, 1.08867839208730, 1.33753125909618),
    4: (1.00391310427285, 1.04035811188593, 1.14863498546254, 1.38268869241000),
}
_LARGEST_DENSE = 6000  # unknowns of a last level that can still be inverted
_MOST_FLOPS = 2e12  # of factors of a level of groups; beyond, aggregation goes on from there


class Transfer(NamedTuple):
    """P between two levels, by rows, and its pattern by columns: P^T needs no copy of the blocks."""

    rows: BlockMatrix
    indptr: Array
    source: Array
    entry: Array

    @classmethod
    def of(cls, rows: BlockMatrix, n_coarse: int) -> Transfer:
        """P given by rows, with n_coarse block columns."""
        from designtwin.kernels import sparse as kernels

        indptr = np.empty(n_coarse + 1, np.int32)
        source, entry = np.empty((2, rows.indices.size), np.int32)
        kernels.transposed_pattern(rows.indptr, rows.indices, indptr, source, entry)
        return cls(rows, indptr, source, entry)

    def cast(self, dtype: Any) -> Transfer:
        """The same with blocks in another precision."""
        return self._replace(rows=self.rows._replace(values=self.rows.values.astype(dtype)))

    def down(self, fine: Array, coarse: Array) -> None:
        """coarse = P^T fine."""
        fine, coarse = self._shaped(fine, 1), self._shaped(coarse, 2)
        if fine.shape[1] >= MANY and self.rows.values.shape[1:] in ((1, 1), (3, 6), (6, 6)):
            from designtwin.kernels import columns as kernels
        else:
            from designtwin.kernels import sparse as kernels  # type: ignore[no-redef]

        columns = (self.indptr, self.source, self.entry)
        work = self.rows.values[0].size * fine.shape[1] * max(1, self.source.size // (self.indptr.size - 1))
        grain = max(1, 100_000 // max(1, work))
        parallel.run(
            kernels.transposed_product, self.indptr.size - 1, *columns, self.rows.values, fine, coarse,
            grain=grain,
        )  # fmt: skip

    def up(self, coarse: Array, fine: Array) -> None:
        """fine += P coarse."""
        self.rows.product(self._shaped(coarse, 2), self._shaped(fine, 1), add=True)

    def _shaped(self, vector: Array, axis: int) -> Array:
        """With scalar weights a row is a node: components and right-hand sides are all columns alike."""
        n = self.rows.n_rows if axis == 1 else self.indptr.size - 1
        return vector.reshape(n * self.rows.values.shape[axis], -1)


@dataclass(frozen=True, eq=False)
class Level:
    """One level of the hierarchy: operator, smoother, and the way down.

    radius bounds the spectrum of D^-1 A, D^-1 the smoother's blocks; free tells unknowns (empty: the
    operator itself leaves fixed ones out). `visits` is 1 for a V, 2 for a W cycle below.
    """

    operator: Operator
    smoother: Smoother
    radius: float
    free: BoolArray
    transfer: Transfer
    visits: int

    @property
    def n(self) -> int:
        """Unknowns of the level."""
        return self.smoother.n


class Last(Protocol):
    """The last level, which is solved exactly."""

    @property
    def n(self) -> int:
        """Unknowns."""
        ...

    @property
    def dtype(self) -> Any:
        """float32 or float64."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory that a solution reads."""
        ...

    def solve(self, f: Array, x: Array) -> None:
        """x = A^-1 f, both [n, n_rhs]."""
        ...


@dataclass(frozen=True, eq=False)
class Inverted:
    """A last level as its inverse, [n, n]."""

    inverse: Array

    @property
    def n(self) -> int:
        """Unknowns."""
        return int(self.inverse.shape[0])

    @property
    def dtype(self) -> Any:
        """float32 or float64."""
        return self.inverse.dtype

    @property
    def nbytes(self) -> int:
        """Memory of the inverse."""
        return int(self.inverse.nbytes)

    def solve(self, f: Array, x: Array) -> None:
        """x = A^-1 f."""
        from designtwin.kernels import sparse as kernels

        kernels.dense_product(self.inverse, f, x)


@dataclass(frozen=True, eq=False)
class Factored:
    """A last level as multifrontal factors, float64."""

    factors: MultifrontalFactors

    @property
    def n(self) -> int:
        """Unknowns."""
        return len(self.factors.symbolic.target)

    @property
    def dtype(self) -> Any:
        """float64."""
        return self.factors.values.dtype

    @property
    def nbytes(self) -> int:
        """Memory of the factor, read forth and back."""
        return 2 * self.factors.nbytes

    def solve(self, f: Array, x: Array) -> None:
        """x = A^-1 f."""
        x[:] = self.factors.solve(f)


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """All levels, finest first, the last, which is solved, and the unknowns that stay zero."""

    levels: tuple[Level, ...]
    fixed: IntArray
    last: Last
    degree: int
    scale: float
    sizes: tuple[int, ...]

    @property
    def dtype(self) -> Any:
        """float32 or float64."""
        return self.last.dtype

    def apply(self, r: FloatArray) -> FloatArray:
        """One cycle on r[n_dof, n_rhs]: an approximation of A^-1 r, symmetric and positive."""
        cycle = Cycle(self, r.shape[1])
        size = np.abs(r).max(axis=0, initial=0.0)
        size[size == 0.0] = 1.0
        cycle.f[:] = r / size
        return np.asarray(cycle.run() * (size * self.scale), np.float64)


class Cycle:
    """A cycle with its work vectors, for a given number of right-hand sides.

    Write the residual to `f`; `run()` returns the correction over `hierarchy.scale`, in the same precision,
    to be read before the next run.
    """

    def __init__(self, hierarchy: Hierarchy, n_rhs: int) -> None:
        from designtwin.kernels import sparse as kernels

        self._kernels = kernels
        self._h = hierarchy
        sizes = [level.n for level in hierarchy.levels]

        def vectors(lengths: list[int]) -> list[Array]:
            return [np.empty((n, n_rhs), hierarchy.dtype) for n in lengths]

        self._r, self._d, self._image = vectors(sizes), vectors(sizes), vectors(sizes)
        sizes.append(hierarchy.last.n)
        self._f, self._x = vectors(sizes), vectors(sizes)

    @property
    def f(self) -> Array:
        """Where the residual goes, float32 or float64 [n_dof, n_rhs]."""
        return self._f[0]

    def run(self) -> Array:
        """Approximate A^-1 f / scale, zero where fixed."""
        self._descend(0, start=True)
        return self._x[0]

    def _descend(self, depth: int, start: bool) -> None:
        """Improve x at this depth for its f; `start` says that x is zero."""
        f, x = self._f[depth], self._x[depth]
        if depth == len(self._h.levels):
            if start:  # the last level is solved exactly: the second time nothing is left to improve
                self._h.last.solve(f, x)
            return
        level, r, image = self._h.levels[depth], self._r[depth], self._image[depth]
        self._smooth(depth, start)
        level.operator.product(x, image)
        parallel.run(self._kernels.free_difference, level.n, level.free, f, image, r, grain=ROWS)
        level.transfer.down(r, self._f[depth + 1])
        for visit in range(level.visits):
            self._descend(depth + 1, start=visit == 0)
        level.transfer.up(self._x[depth + 1], x)
        if depth == 0:
            x[self._h.fixed] = 0.0  # a fixed mid node between free corners took their mean
        self._smooth(depth, start=False)

    def _smooth(self, depth: int, start: bool) -> None:
        """Chebyshev, fourth kind, optimized steps; the recurrence is that of Phillips & Fischer (2022)."""
        level, f, x = self._h.levels[depth], self._f[depth], self._x[depth]
        r, d, image = self._r[depth], self._d[depth], self._image[depth]
        if not start:
            level.operator.product(x, image)
        steps = STEPS[self._h.degree]
        source = f
        for i, step in enumerate(steps):
            if i:
                level.operator.product(d, image)
            subtract = bool(i) or not start
            gain = (8 * i + 4) / (2 * i + 3) / level.radius
            level.smoother.step(
                source, image, subtract, (2 * i - 1) / (2 * i + 3) if i else 0.0, gain, step,
                start and not i, r, d, x, last=i == len(steps) - 1,
            )  # fmt: skip
            if subtract:
                source = r


# --- set-up


def build(
    system: System,
    diagonal: FloatArray,
    *,
    degree: int,
    theta: float,
    dense_nodes: int,
    dtype: Any,
    groups: bool = False,
    motions: int = 0,
) -> Hierarchy:
    """Levels of a system; `diagonal` is its block diagonal, overwritten.

    `groups` smooths the finest level in groups, in float64 whatever the dtype; needs a block of 3 and modes.
    `motions` of a free body may cost no energy: the last level leaves so many out instead of refusing them.

    Raises
    ------
    SingularSystemError
        If a motion that costs no energy is free.
    ConvergenceError
        If the matrix is not positive definite, or coarsening stalls.
    """
    block = system.block
    free = system.free.reshape(-1, block)

    # one number brings all levels near 1, whatever the stiffness: float32 has room for contrasts then
    size = float(np.abs(diagonal).max(initial=0.0))
    scale = 1.0 / size if size > 0.0 else 1.0
    diagonal *= scale
    inverse = _inverted(diagonal, diagonal)

    levels: list[Level] = []
    sizes = [system.n_dof]
    dtype = np.float64 if groups else dtype
    last: Last | None = None
    fine = None if system.matrix_free and not groups else BlockMatrix.of(system.matrix(), block)
    if fine is not None:
        fine = _constrained(fine, free, scale, dtype if _coarse_is_given(system) else np.float64)
    if groups:
        assert fine is not None
        level, matrix, modes = _grouped(system, fine)
        levels.append(level)
        sizes.append(len(modes))
        inverse = _inverted(_diagonal(matrix))
        null = np.zeros((len(modes), 0))
        last, soft = _factored(matrix)
        if soft and not motions:  # can one move? Levels of nodes tell better: they find it to the last digit
            with contextlib.suppress(ConvergenceError):
                blocks = system.block_diagonal()
                build(system, blocks, degree=degree, theta=theta, dense_nodes=dense_nodes, dtype=np.float64)
    elif system.coarse is not None:
        matrix, free, weights = _corner_matrix(system, fine, scale)
        if fine is not None:
            operator: Operator = fine._replace(values=fine.values.astype(dtype, copy=False))
        else:
            operator = system.operator(scale, dtype)
        transfer = Transfer.of(_weights(weights, dtype), weights.shape[1])
        smoother = NodeInverse(inverse.astype(dtype))
        radius = _radius(operator, smoother.blocks)
        mask = system.free if fine is None else np.empty(0, bool)
        levels.append(Level(operator, smoother, radius, mask, transfer, 1))
        modes = _modes(system.coarse.near_nullspace, free)
        inverse = _inverted(_diagonal(matrix))
        sizes.append(free.size)
    else:
        assert fine is not None, "a term without a matrix needs a coarsening"
        matrix, modes = fine, _modes(system.near_nullspace, free)
    del fine

    while last is None and matrix.n_rows > dense_nodes:
        made = _aggregated(matrix, inverse, modes, theta)
        if made is None:
            break
        transfer, coarse, modes, radius = made
        single = matrix._replace(values=matrix.values.astype(dtype, copy=False))
        smoother = NodeInverse(inverse.astype(dtype))
        levels.append(Level(single, smoother, radius, np.empty(0, bool), transfer.cast(dtype), 2))
        matrix, inverse, theta = coarse, _inverted(_diagonal(coarse)), 0.5 * theta
        sizes.append(modes.shape[0])

    if last is None:
        n_last = matrix.n_rows * matrix.values.shape[1]
        if n_last > _LARGEST_DENSE:
            raise ConvergenceError(
                f"multigrid cannot coarsen below {n_last} unknowns: nodes are hardly coupled; try Direct()"
            )
        dense, null = _dense_inverse(to_scipy(matrix, matrix.n_rows).toarray(), inverse, motions)
        last = Inverted(dense.astype(dtype))
    hierarchy = Hierarchy(
        levels=tuple(levels),
        fixed=np.flatnonzero(~system.free),
        last=last,
        degree=degree,
        scale=scale,
        sizes=tuple(sizes),
    )
    if motions:
        return hierarchy
    if null.shape[1] and dtype != np.float64:  # only double tells a free motion from a soft one
        diagonal = system.block_diagonal()
        return build(system, diagonal, degree=degree, theta=theta, dense_nodes=dense_nodes, dtype=np.float64)
    if null.shape[1]:
        for level in reversed(levels):
            below, null = np.ascontiguousarray(null), np.zeros((level.n, null.shape[1]))
            level.transfer.up(below, null)
        null[~system.free] = 0.0
        for _ in range(6):  # the cycle takes away what does cost energy
            null = null - hierarchy.apply(system.apply(null))
        refuse_null_vectors(system, null)
    return hierarchy


def _modes(given: FloatArray | None, free: BoolArray) -> FloatArray:
    """Near-nullspace, zero where fixed; constants where none is given."""
    modes = np.tile(np.eye(free.shape[1]), (len(free), 1)) if given is None else given
    return np.where(free.reshape(-1, 1), modes, 0.0)


def _grouped(system: System, matrix: BlockMatrix) -> tuple[Level, BlockMatrix, FloatArray]:
    """The finest level in groups; of the level below the matrix, in blocks of nine, and the rigid motions."""
    modes = system.modes
    assert modes is not None
    points = points_of(modes)
    groups = Groups.of(matrix, points)
    way = coarser(matrix, np.where(system.free[:, None], modes, 0.0), points, groups)
    transfer = Transfer.of(way.rows, groups.n_alive)
    level = Level(matrix, way.inverse, way.radius, np.empty(0, bool), transfer, 2)
    return level, _galerkin(matrix, transfer), way.modes


def _factored(matrix: BlockMatrix) -> tuple[Last | None, bool]:
    """Factors of a level (None where they cost too much), and whether it moves almost without resistance."""
    from designtwin.solvers import multifrontal

    n, block = matrix.n_rows, matrix.values.shape[1]
    whole = to_scipy(matrix, n)
    diagonal = whole.diagonal()
    used = diagonal > 0.0
    if not used.any():
        return Inverted(np.zeros((used.size, used.size))), False
    layout = layout_of(System(terms=(MatrixTerm(whole),), block=block, free=used))
    room = free_bytes()
    need = 8.0 * layout.peak_entries(parallel.threads())
    if layout.flops > _MOST_FLOPS or (room is not None and need > 0.5 * room):
        return None, False
    try:
        factors = multifrontal.factor(layout, whole, definite=True)
    except NotDefiniteError:
        try:  # rounding may do this to what is nearly singular, not to a slightly stiffer level
            more = sparse.diags_array(1e-12 * diagonal).tobsr(blocksize=(block, block))
            return Factored(multifrontal.factor(layout, whole + more, definite=True)), True
        except NotDefiniteError as broken:
            raise ConvergenceError(
                "the matrix is not positive definite; check the sign and size of stiffness, or try Direct()"
            ) from broken
    weight = np.sqrt(np.where(used, diagonal, 1.0))
    z = np.random.default_rng(11).standard_normal(used.size) * used / weight
    for _ in range(2):  # inverse iteration: what moves freely outgrows the rest
        z = factors.solve(weight**2 * z)
        z /= np.linalg.norm(weight * z)
    return Factored(factors), bool(z @ (whole @ z) < 1e-11)


def can_group(system: System) -> bool:
    """Whether groups of nodes mean something: displacements in space, with rigid motions known."""
    modes = system.near_nullspace
    if modes is None and system.coarse is not None:
        modes = system.coarse.near_nullspace
    return system.block == 3 and system.extra == 0 and modes is not None and modes.shape[1] == RIGID


def to_scipy(matrix: BlockMatrix, n_columns: int) -> SparseMatrix:
    """The blocks as a scipy matrix."""
    rows, columns = matrix.values.shape[1:]
    shape = (matrix.n_rows * rows, n_columns * columns)
    return sparse.bsr_array((matrix.values, matrix.indices, matrix.indptr), shape=shape)


def _coarse_is_given(system: System) -> bool:
    return system.coarse is not None and system.coarse.matrix is not None


def _constrained(
    matrix: BlockMatrix, free: BoolArray, scale: float, dtype: Any, out: Array | None = None
) -> BlockMatrix:
    from designtwin.kernels import sparse as kernels

    values = np.empty(matrix.values.shape, dtype) if out is None else out
    parallel.run(kernels.constrain_blocks, matrix.n_rows, *matrix, free, scale, values, grain=1024)
    return matrix._replace(values=values)


def _weights(matrix: SparseMatrix, dtype: Any) -> BlockMatrix:
    """A scalar CSR matrix as blocks of one."""
    return BlockMatrix(
        np.ascontiguousarray(matrix.indptr, np.int32),
        np.ascontiguousarray(matrix.indices, np.int32),
        np.ascontiguousarray(matrix.data, dtype).reshape(-1, 1, 1),
    )


def _diagonal(matrix: BlockMatrix) -> FloatArray:
    from designtwin.kernels import sparse as kernels

    out = np.empty((matrix.n_rows, *matrix.values.shape[1:]))
    parallel.run(kernels.diagonal_blocks, matrix.n_rows, *matrix, out, grain=4096)
    return out


def _inverted(diagonal: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Inverses of the blocks, which may be written over them."""
    from designtwin.kernels import sparse as kernels

    out = np.empty_like(diagonal) if out is None else out
    negative = np.zeros(len(diagonal), bool)
    parallel.run(kernels.invert_blocks, len(diagonal), diagonal, 1e-12, out, negative, grain=4096)
    if negative.any():
        raise ConvergenceError(
            f"the matrix is not positive definite: {negative.sum()} nodes have negative stiffness; "
            "check material values and springs, or try Direct()"
        )
    return out


def _radius(operator: Operator, inverse: Array) -> float:
    """An upper estimate of the spectrum of D^-1 A."""
    smoother = NodeInverse(inverse)
    return spectral_radius(operator, smoother.step, smoother.n, inverse.dtype)


def _corner_matrix(
    system: System, fine: BlockMatrix | None, scale: float
) -> tuple[BlockMatrix, BoolArray, SparseMatrix]:
    """The matrix at the corners, which corners are free [n_coarse, block], and the weights as CSR."""
    from designtwin.kernels import sparse as kernels

    assert system.coarse is not None
    weights = system.coarse.prolongation.tocsr()
    block, n_coarse = system.block, weights.shape[1]
    free = np.ones((n_coarse, block), bool)
    # a row with one entry is a corner; its coarse copy is fixed where it is
    corner = np.flatnonzero(np.diff(weights.indptr) == 1)
    column = weights.indices[weights.indptr[corner]]
    free[column] = system.free.reshape(-1, block)[corner]
    given = system.coarse.matrix
    if given is not None:
        coarse = BlockMatrix.of(given() if callable(given) else given, block)
        values = coarse.values if callable(given) else None  # made for us: nobody else reads it
        return _constrained(coarse, free, scale, np.float64, out=values), free, weights
    assert fine is not None
    back = weights.T.tocsr()
    w, t = _weights(weights, np.float64), _weights(back, np.float64)
    indptr = np.zeros(n_coarse + 1, np.int32)
    pattern = (fine.indptr, fine.indices, w.indptr, w.indices, t.indptr, t.indices, indptr)
    parallel.run(kernels.weighted_pattern, n_coarse, *pattern, np.empty(0, np.int32), grain=1024)
    np.cumsum(indptr, out=indptr)
    indices = np.empty(indptr[-1], np.int32)
    parallel.run(kernels.weighted_pattern, n_coarse, *pattern, indices, grain=1024)
    values = np.empty((indices.size, block, block))
    parallel.run(
        kernels.weighted_triple_product,
        n_coarse,
        *fine,
        w.indptr,
        w.indices,
        w.values.ravel(),
        t.indptr,
        t.indices,
        t.values.ravel(),
        indptr,
        indices,
        values,
        grain=1024,
    )
    return _constrained(BlockMatrix(indptr, indices, values), free, 1.0, np.float64), free, weights


def _aggregated(
    matrix: BlockMatrix, inverse: FloatArray, modes: FloatArray, theta: float
) -> tuple[Transfer, BlockMatrix, FloatArray, float] | None:
    """Transfer, coarse matrix, coarse modes and spectral radius; None where aggregation stalls."""
    from designtwin.kernels import sparse as kernels

    n, b, k = matrix.n_rows, matrix.values.shape[1], modes.shape[1]
    norms = np.empty(matrix.indices.size)
    parallel.run(kernels.block_norms, norms.size, matrix.values, norms, grain=ROWS)
    owner = np.empty(n, np.int32)
    count = int(kernels.aggregate(matrix.indptr, matrix.indices, norms, theta, owner))
    del norms
    if count == 0 or count > 0.7 * n:
        return None
    members = np.flatnonzero(owner >= 0).astype(np.int32)
    members = members[np.argsort(owner[members], kind="stable")]
    first = np.zeros(count + 1, np.int32)
    first[1:] = np.cumsum(np.bincount(owner[members], minlength=count))
    tentative = np.zeros((n, b, k))
    coarse_modes = np.empty((count * k, k))
    parallel.run(
        kernels.tentative_basis, count, first, members, modes, b, 1e-10, tentative, coarse_modes, grain=64
    )

    # P = (I - 4/(3 radius) D^-1 A) P0: the modes stay in reach, the energy of the basis drops
    radius = _radius(matrix, inverse)
    indptr = np.zeros(n + 1, np.int32)
    pattern = (matrix.indptr, matrix.indices, owner, indptr)
    parallel.run(kernels.smoothed_pattern, n, *pattern, np.empty(0, np.int32), grain=1024)
    np.cumsum(indptr, out=indptr)
    indices = np.empty(indptr[-1], np.int32)
    parallel.run(kernels.smoothed_pattern, n, *pattern, indices, grain=1024)
    values = np.empty((indices.size, b, k))
    parallel.run(
        kernels.smoothed_basis, n, *matrix, inverse, owner, tentative, 4.0 / (3.0 * radius), indptr, indices,
        values, grain=256,
    )  # fmt: skip
    del tentative
    transfer = Transfer.of(BlockMatrix(indptr, indices, values), count)

    return transfer, _galerkin(matrix, transfer), coarse_modes, radius


def _galerkin(matrix: BlockMatrix, transfer: Transfer) -> BlockMatrix:
    """P^T A P."""
    from designtwin.kernels import sparse as kernels

    count, k = transfer.indptr.size - 1, transfer.rows.values.shape[2]
    indptr = np.zeros(count + 1, np.int32)
    reach = (
        matrix.indptr,
        matrix.indices,
        transfer.rows.indptr,
        transfer.rows.indices,
        transfer.indptr,
        transfer.source,
        indptr,
    )
    parallel.run(kernels.galerkin_pattern, count, *reach, np.empty(0, np.int32), grain=32)
    np.cumsum(indptr, out=indptr)
    indices = np.empty(indptr[-1], np.int32)
    parallel.run(kernels.galerkin_pattern, count, *reach, indices, grain=32)
    values = np.empty((indices.size, k, k))
    parallel.run(
        kernels.galerkin, count, *matrix, *transfer.rows, *transfer[1:], indptr, indices, values, grain=32
    )
    return BlockMatrix(indptr, indices, values)


def _dense_inverse(
    matrix: FloatArray, inverse: FloatArray, motions: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Inverse on the unknowns that have stiffness, and the null vectors found (columns, usually none).

    At least `motions` are taken for null vectors.
    """
    from designtwin.kernels import sparse as kernels

    corner = np.arange(inverse.shape[1])
    used = np.flatnonzero(inverse[:, corner, corner].ravel() > 0.0)
    out = np.zeros_like(matrix)
    null = np.zeros((matrix.shape[0], 0))
    if not used.size:
        return out, null
    core = matrix[np.ix_(used, used)]
    core = 0.5 * (core + core.T)
    weight = 1.0 / np.sqrt(np.diag(core))
    core *= weight[:, None]
    core *= weight
    whole = np.empty_like(core)
    if not motions and kernels.invert_dense(core.copy(), whole) > 1e-10:  # far from singular
        out[np.ix_(used, used)] = weight[:, None] * whole * weight
        return out, null
    values, vectors = linalg.eigh(core)
    if values[0] < -1e-8:
        raise ConvergenceError(
            f"the matrix is not positive definite (eigenvalue {values[0]:.1e} of the scaled coarse matrix); "
            "check the sign and size of stiffness, or try Direct()"
        )
    kept = values > 1e-13
    kept[:motions] = False
    basis = weight[:, None] * vectors[:, kept]
    out[np.ix_(used, used)] = (basis / values[kept]) @ basis.T
    null = np.zeros((matrix.shape[0], int((~kept).sum())))
    null[used] = weight[:, None] * vectors[:, ~kept]
    return out, null
