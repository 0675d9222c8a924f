"""Smoothers of multigrid: by nodes, and for flat and needle cells by groups, with coarse functions that bend.

On flat cells three things fail at once: smoothing node by node does not see that nodes through the thickness
hang together; a linear coarse space locks, since it must shear where the part wants to bend; and a coarse
space of rigid bodies bends only at the seams between them. The remedy is one set of groups, grown along the
strongest couplings (through the thickness), that serves twice: its dense blocks replace the node blocks in
the smoothing polynomial, and on it live the six rigid motions plus the three ways a plate bends.

Sources: Vanek, Brezina, Mandel, Numer. Math. 88 (2001); line and patch smoothers: Trottenberg, Oosterlee,
Schueller, Multigrid (2001), ch. 5; bending fields: Timoshenko & Woinowsky-Krieger, Theory of Plates and
Shells (1959), ch. 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from designtwin import parallel
from designtwin.errors import ConvergenceError
from designtwin.solvers.system import MANY, Array, BlockMatrix, Operator
from designtwin.typing import BoolArray, FloatArray

RIGID = 6
"""Leading columns of a coarse level's modes that are rigid motions: the near-nullspace of that level."""
_BENT = 3  # further columns: bending about two axes, and twist
ROWS = 8192  # rows per piece of a pass over vectors: below it threads cost more than they save


class Smoother(Protocol):
    """D^-1 of a level, D the diagonal blocks of nodes or of groups of nodes; zero at fixed unknowns."""

    @property
    def n(self) -> int:
        """Unknowns."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory of the blocks."""
        ...

    def step(
        self,
        source: Array,
        image: Array,
        subtract: bool,
        keep: float,
        gain: float,
        step: float,
        fresh: bool,
        r: Array,
        d: Array,
        x: Array,
        *,
        last: bool = False,
    ) -> None:
        """r = source - image (if `subtract`), d = keep d + gain D^-1 r, x += step d (x = step d if `fresh`).

        All float[n, n_rhs] of one dtype, that of this object; see ``kernels.sparse.smoothing_step``. What r
        holds is not told where `subtract` is false: it is the source then; nor r and d after the `last` step.
        """
        ...


@dataclass(frozen=True, eq=False)
class NodeInverse:
    """Inverted diagonal blocks of nodes, float32 or float64 [n_nodes, b, b]."""

    blocks: Array

    @property
    def n(self) -> int:
        """Unknowns."""
        return int(self.blocks.shape[0] * self.blocks.shape[1])

    @property
    def nbytes(self) -> int:
        """Memory of the blocks."""
        return int(self.blocks.nbytes)

    def step(
        self,
        source: Array,
        image: Array,
        subtract: bool,
        keep: float,
        gain: float,
        step: float,
        fresh: bool,
        r: Array,
        d: Array,
        x: Array,
        *,
        last: bool = False,
    ) -> None:
        """As `Smoother.step`."""
        n, b = self.blocks.shape[0], self.blocks.shape[1]
        if x.shape[1] >= MANY and b in (1, 3, 6):
            from designtwin.kernels import columns

            parallel.run(
                columns.smoothing_step, n, self.blocks, source, image, subtract, keep, gain, step, fresh,
                last, r, d, x, grain=max(1, ROWS // (b * x.shape[1])),
            )  # fmt: skip
            return
        from designtwin.kernels import sparse as kernels

        parallel.run(
            kernels.smoothing_step, n, self.blocks, source, image, subtract, keep, gain, step, fresh, r, d, x,
            grain=max(1, ROWS // b),
        )  # fmt: skip


class Groups(NamedTuple):
    """Nodes in groups: owner int32[n] (-1: without stiffness), n_alive groups with stiffness.

    members[first[g]:first[g + 1]] are the nodes of group g; beyond `n_alive` come nodes without stiffness,
    one by one, so that every node is in a group.
    """

    owner: Array
    n_alive: int
    first: Array
    members: Array

    @classmethod
    def of(cls, matrix: BlockMatrix, points: FloatArray, *, most: int = 16, theta: float = 0.02) -> Groups:
        """Groups of at most 1.5 `most` nodes, along the shortest distances between coupled nodes.

        Parameters
        ----------
        matrix : BlockMatrix
            Square; rows of fixed unknowns zero.
        points : float64[n, 3]
            Where the nodes are.
        theta : float
            A distance above 1/sqrt(theta) times the shortest one of a node separates it.
        """
        from designtwin.kernels import smoothing as kernels

        n = matrix.n_rows
        strength = np.empty(matrix.indices.size)
        points = np.ascontiguousarray(points, np.float64)
        parallel.run(kernels.near_strength, n, matrix.indptr, matrix.indices, points, strength, grain=4096)
        alive = _has_stiffness(matrix).any(axis=1)
        owner = np.empty(n, np.int32)
        count = int(kernels.strong_groups(matrix.indptr, matrix.indices, strength, alive, theta, most, owner))
        label = owner.copy()
        label[owner < 0] = count + np.arange(n - int(alive.sum()), dtype=np.int32)
        members = np.argsort(label, kind="stable").astype(np.int32)
        first = np.zeros(int(label.max(initial=-1)) + 2, np.int32)
        first[1:] = np.cumsum(np.bincount(label, minlength=first.size - 1))
        return cls(owner, count, first, members)


@dataclass(frozen=True, eq=False)
class GroupInverse:
    """Inverted diagonal blocks of groups; takes the place of inverted node blocks in a smoother.

    packed float32 or float64: lower triangles one after another, group g from offset[g]; block is the number
    of unknowns of a node.
    """

    groups: Groups
    block: int
    offset: Array
    packed: Array

    @classmethod
    def of(cls, matrix: BlockMatrix, groups: Groups) -> GroupInverse:
        """Invert, in float64.

        Raises
        ------
        ConvergenceError
            If a block is not positive definite.
        """
        from designtwin.kernels import smoothing as kernels

        block = int(matrix.values.shape[1])
        rows = np.diff(groups.first).astype(np.int64) * block
        offset = np.r_[0, np.cumsum(rows * (rows + 1) // 2)]
        packed = np.empty(int(offset[-1]))
        negative = np.zeros(rows.size, bool)
        parallel.run(
            kernels.invert_groups, rows.size, *matrix, groups.first, groups.members, offset, 1e-12, negative,
            packed, grain=max(1, rows.size // 64),
        )  # fmt: skip
        if negative.any():
            raise ConvergenceError(
                f"the matrix is not positive definite: {int(negative.sum())} groups of nodes have negative "
                "stiffness; check material values and springs, or try Direct()"
            )
        return cls(groups, block, offset, packed)

    @property
    def dtype(self) -> Any:
        """float32 or float64."""
        return self.packed.dtype

    @property
    def n(self) -> int:
        """Unknowns."""
        return int(self.groups.members.size * self.block)

    @property
    def nbytes(self) -> int:
        """Memory of the blocks."""
        return int(self.packed.nbytes)

    def cast(self, dtype: Any) -> GroupInverse:
        """The same in another precision."""
        return replace(self, packed=self.packed.astype(dtype, copy=False))

    def step(
        self,
        source: Array,
        image: Array,
        subtract: bool,
        keep: float,
        gain: float,
        step: float,
        fresh: bool,
        r: Array,
        d: Array,
        x: Array,
        *,
        last: bool = False,
    ) -> None:
        """As `Smoother.step`."""
        from designtwin.kernels import smoothing as kernels

        g = self.groups
        parallel.run(
            kernels.smoothing_step, g.first.size - 1, g.first, g.members, self.offset, self.packed,
            self.block, source, image, subtract, keep, gain, step, fresh, r, d, x, grain=256,
        )  # fmt: skip

    def radius(self, operator: Operator) -> float:
        """An upper estimate of the spectrum of D^-1 A."""
        return radius(operator, self.step, self.n, self.dtype)


def radius(operator: Operator, step: Callable[..., None], n: int, dtype: Any, *, steps: int = 12) -> float:
    """An upper estimate of the spectrum of D^-1 A: Lanczos steps, and a twentieth on top.

    Power steps cost the same and may stay far below: they weigh unknowns by size, and where a stiff material
    meets a soft one the soft one hides the rest (1.5 found where 2.5 is true at a contrast of 1e6).

    Parameters
    ----------
    operator : Operator
        A, zero in fixed rows and columns or with a D^-1 that is.
    step : function
        ``GroupInverse.step``, or another with its arguments.

    Source: Golub & Van Loan, Matrix Computations, 4th ed. (2013), sec. 11.3.
    """
    r, z, p, q, unused = np.zeros((5, n, 1), dtype)
    r[:] = np.random.default_rng(7).standard_normal((n, 1))

    def solved(source: Array) -> None:
        step(source, source, False, 0.0, 1.0, 1.0, True, unused, q, z)

    solved(r)  # clears fixed unknowns
    operator.product(z, r)
    alpha: list[float] = []
    beta: list[float] = []
    before = math.inf
    for _ in range(steps):
        solved(r)
        rz = float(np.sum(r * z, dtype=np.float64))
        if not rz > 0.0:
            break
        p *= rz / before
        p += z
        operator.product(p, q)
        pq = float(np.sum(p * q, dtype=np.float64))
        if not pq > 0.0:
            break
        alpha.append(rz / pq)
        beta.append(rz / before)
        before = rz
        r -= q * z.dtype.type(alpha[-1])
    if not alpha:
        return 1.0
    a, b = np.array(alpha), np.array(beta[1:])
    diagonal = 1.0 / a
    diagonal[1:] += b / a[:-1]
    beside = np.sqrt(b) / a[:-1]
    matrix = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    return 1.05 * float(np.linalg.eigvalsh(matrix)[-1])


class Coarser(NamedTuple):
    """The way to a coarse level of groups: P by rows, the modes float64[n_alive * 9, 6] there, the smoother.

    radius bounds the spectrum of D^-1 A, D the blocks of `inverse` (float64: cast it).
    """

    rows: BlockMatrix
    modes: FloatArray
    inverse: GroupInverse
    radius: float


def _has_stiffness(matrix: BlockMatrix) -> BoolArray:
    """Of which unknowns the diagonal is not zero, bool[n, b]."""
    n = matrix.n_rows
    row = np.repeat(np.arange(n, dtype=np.int32), np.diff(matrix.indptr))
    on = np.flatnonzero(matrix.indices == row)
    out = np.zeros((n, matrix.values.shape[1]), bool)
    out[row[on]] = np.diagonal(matrix.values[on], axis1=1, axis2=2) != 0.0
    return out


def points_of(modes: FloatArray) -> FloatArray:
    """Where nodes are, float64[n, 3], up to a shift and one factor, from rigid modes float64[3 n, 6].

    Columns 3 and 4 are turns about z (-y, x, 0) and about x (0, -z, y). At a node whose axes are turned the
    translations, columns 0 to 2, tell how.
    """
    at = modes.reshape(-1, 3, modes.shape[1])
    turns = (at[:, :, :3, None] * at[:, :, None, 3:5]).sum(axis=1)
    return np.column_stack([turns[:, 1, 0], -turns[:, 0, 0], -turns[:, 1, 1]])


def bending_modes(points: FloatArray, groups: Groups) -> FloatArray:
    """Fields a thin plate bends with, float64[n, 3, 3]: about both axes and twist, group by group.

    The normal of a group is the direction in which it extends least. With z along it the fields are
    (-z x, 0, x^2 / 2), (0, -z y, y^2 / 2) and (-z y, -z x, x y): no strain but in planes, none at z = 0.
    """
    owner = np.where(groups.owner < 0, groups.n_alive, groups.owner)
    size = np.maximum(np.bincount(owner, minlength=groups.n_alive + 1), 1)

    def mean(values: FloatArray) -> FloatArray:
        return np.bincount(owner, weights=values, minlength=groups.n_alive + 1) / size

    x = points - np.column_stack([mean(column) for column in points.T])[owner]
    spread = np.sqrt(mean((x * x).sum(axis=1)))
    x = x / np.where(spread > 0.0, spread, 1.0)[owner, None]
    moments = np.empty((groups.n_alive + 1, 3, 3))
    for a in range(3):
        for b in range(3):
            moments[:, a, b] = mean(x[:, a] * x[:, b])
    axes = np.linalg.eigh(moments)[1][owner]  # columns: least extent first
    normal, u, v = axes[:, :, 0], axes[:, :, 1], axes[:, :, 2]
    z, s, t = ((x * along).sum(axis=1)[:, None] for along in (normal, u, v))
    fields = (
        -z * s * u + 0.5 * s * s * normal,
        -z * t * v + 0.5 * t * t * normal,
        -z * t * u - z * s * v + s * t * normal,
    )
    return np.stack(fields, axis=2)


def coarser(matrix: BlockMatrix, modes: FloatArray, points: FloatArray, groups: Groups) -> Coarser:
    """Coarse space of a level with flat cells: rigid motions and plate bending on groups, smoothed once.

    Parameters
    ----------
    matrix : BlockMatrix
        float64, 3 x 3 blocks, rows and columns of fixed unknowns zero.
    modes : float64[3 n, 6]
        Rigid motions, translations first (they tell the axes of a node), zero at fixed unknowns.
    points : float64[n, 3]
    groups : Groups
        Of this matrix.

    Raises
    ------
    ConvergenceError
        If the matrix is not positive definite.
    """
    from designtwin.kernels import smoothing as kernels
    from designtwin.kernels import sparse as sparse_kernels

    n, count = matrix.n_rows, groups.n_alive
    inverse = GroupInverse.of(matrix, groups)
    bound = inverse.radius(matrix)
    k = RIGID + _BENT
    all_modes = np.empty((n, 3, k))
    all_modes[:, :, :RIGID] = modes.reshape(n, 3, RIGID)
    bent = bending_modes(points, groups)
    all_modes[:, :, RIGID:] = sum(all_modes[:, :, i, None] * bent[:, None, i] for i in range(3))
    tentative, reduced = np.zeros((n, 3, k)), np.empty((count * k, k))
    parallel.run(
        sparse_kernels.tentative_basis, count, groups.first, groups.members, all_modes.reshape(3 * n, k), 3,
        1e-8, tentative, reduced, grain=64,
    )  # fmt: skip
    indptr = np.zeros(n + 1, np.int32)
    pattern = (matrix.indptr, matrix.indices, groups.first, groups.members, groups.owner, indptr)
    grain = max(1, count // 64)
    parallel.run(kernels.group_pattern, count, *pattern, np.empty(0, np.int32), grain=grain)
    np.cumsum(indptr, out=indptr)
    indices = np.empty(int(indptr[-1]), np.int32)
    parallel.run(kernels.group_pattern, count, *pattern, indices, grain=grain)
    values = np.empty((indices.size, 3, k))
    parallel.run(
        kernels.group_basis, count, *matrix, groups.first, groups.members, groups.owner, inverse.offset,
        inverse.packed, tentative, 4.0 / (3.0 * bound), indptr, indices, values, grain=grain,
    )  # fmt: skip
    rows = BlockMatrix(indptr, indices, values)
    return Coarser(rows, np.ascontiguousarray(reduced[:, :RIGID]), inverse, bound)
