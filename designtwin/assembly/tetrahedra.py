"""Quadratic tetrahedra as a term of a system: multiplied from geometry, no matrix built.

Straight cells of one isotropic material take the four-corner kernel; curved ones, and materials that are
oriented or change within a cell, a tensor at each point of the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np

from designtwin import parallel
from designtwin.kernels import tetra
from designtwin.solvers.system import Array, SparseMatrix
from designtwin.typing import FloatArray, IntArray

_MANY = 4  # right-hand sides from which it pays to give lanes to them instead of to cells
_CANCEL = 6.0  # |A| |x| over |diagonal| |x| for tetrahedra of a decent shape
_CORNER_BATCHES = 1024  # batches whose corner matrices are held at once

Dtype: TypeAlias = type[np.floating[Any]]


class Tensors(NamedTuple):
    """Material at the points of the rule: tensors [k, n, n], and which holds where, int64[n_cells, 4]."""

    values: FloatArray
    which: IntArray

    @property
    def constant(self) -> bool:
        """Whether every cell has one tensor."""
        return bool((self.which == self.which[:, :1]).all())


@dataclass(frozen=True, eq=False)
class FreeCells:
    """Cells of which no matrix is built: their plan, and where they are in the blocks of the model.

    Parameters
    ----------
    plan : tetra.Plan
        Order of cells and nodes; unknowns are numbered as it says.
    conn : int64[n_cells, 10]
        Nodes of the mesh.
    points : float64[n_points, 3]
        Of the mesh, m.
    curved : bool
        Whether some of the plan's general cells are curved.
    members : tuple of (index of block, rows)
        The cells, in the order of `conn`.
    """

    plan: tetra.Plan
    conn: IntArray
    points: FloatArray
    curved: bool
    members: tuple[tuple[int, IntArray], ...]

    @property
    def n_general(self) -> int:
        """Batches of general cells."""
        return len(self.plan.general_cells)

    def add_shared(self, components: int, buffer: Array, y: Array) -> None:
        """Sum what chunks have for the rows they share."""
        plan = self.plan
        parallel.run(
            tetra.add_shared, plan.n_shared, plan.copies_start, plan.copies, plan.n_interior, components,
            buffer, y, grain=2048,
        )  # fmt: skip


class _Operator:
    """Products in one precision: geometry of the cells, and room for the rows that chunks share."""

    components: int

    def __init__(self, cells: FreeCells, dtype: Any) -> None:
        self._cells = cells
        self._buffer = np.empty((0, 0), dtype)
        self._weights = np.array(tetra.POINT_WEIGHTS, dtype)

    def product(self, x: Array, y: Array, *, add: bool = False) -> None:
        """y = A x or y += A x for [n_dof, n_rhs]."""
        if add:
            image = np.empty_like(y)
            self.product(x, image)
            y += image
            return
        plan, shape = self._cells.plan, (self.components * self._cells.plan.n_copies, x.shape[1])
        if self._buffer.shape != shape:
            self._buffer = np.empty(shape, x.dtype)
        self._cellwise(x, y, np.array([0, x.shape[1]]))
        y[self.components * plan.n_nodes :] = 0.0
        self._cells.add_shared(self.components, self._buffer, y)

    def _cellwise(self, x: Array, y: Array, columns: IntArray) -> None:
        raise NotImplementedError


_Precise = TypeVar("_Precise", bound=_Operator)


class _Tetrahedra(Generic[_Precise]):
    """What terms of tetrahedra share: products in both precisions, and a matrix for who wants one."""

    assemble: Callable[[], SparseMatrix]

    def scaled(self, scale: float, dtype: Dtype) -> _Precise:
        """The term times scale, in a precision."""
        raise NotImplementedError

    @cached_property
    def double(self) -> _Precise:
        """Products in float64; its geometry also serves diagonal and corners."""
        return self.scaled(1.0, np.float64)

    def operator(self, scale: float, dtype: Dtype) -> _Precise:
        """The term times scale, in a precision."""
        return self.double if scale == 1.0 and dtype is np.float64 else self.scaled(scale, dtype)

    def matrix(self) -> SparseMatrix:
        """The term assembled, in square blocks."""
        return self.assemble()

    def apply(self, x: FloatArray) -> FloatArray:
        """The term times x[n_dof] or x[n_dof, n_rhs]."""
        columns = np.ascontiguousarray(x.reshape(len(x), -1), np.float64)
        out = np.empty_like(columns)
        self.double.product(columns, out)
        return out.reshape(x.shape)


class _ElasticOperator(_Operator):
    components = 3

    def __init__(self, term: ElasticTetrahedra, scale: float, dtype: Dtype) -> None:
        super().__init__(term.cells, dtype)
        self.geo = term.geometry(scale, dtype)
        self.general = term.general_geometry(scale, dtype) if term.cells.n_general else ()

    def _cellwise(self, x: Array, y: Array, columns: IntArray) -> None:
        p = self._cells.plan
        kernel = tetra.product if columns[1] < _MANY else tetra.product_of_many
        ends = (p.interior, p.shared, p.shared_start)
        parallel.run(
            kernel, tetra.CHUNKS, p.conn, p.batches, *ends, self.geo, False, x, self._buffer, y, columns
        )
        if self.general:
            parallel.run(
                tetra.product_general, tetra.CHUNKS, p.general_conn, p.general_batches, *ends, *self.general,
                self._weights, True, x, self._buffer, y, columns,
            )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ElasticTetrahedra(_Tetrahedra[_ElasticOperator]):
    """Stiffness of tetrahedra of 10 nodes, N/m.

    Parameters
    ----------
    cells : FreeCells
    lam, mu : float64[n_cells]
        Lame's constants in the order of ``cells.conn``, Pa; not read for general cells.
    tensors : Tensors
        Elastic tensors, Pa; read for general cells alone.
    assemble : function
        Returns the matrix, for solvers that want one.
    """

    cells: FreeCells
    lam: FloatArray
    mu: FloatArray
    tensors: Tensors
    assemble: Callable[[], SparseMatrix]

    def scaled(self, scale: float, dtype: Dtype) -> _ElasticOperator:
        """The stiffness times scale, in a precision."""
        return _ElasticOperator(self, scale, dtype)

    def diagonal_blocks(self, block: int) -> FloatArray:
        """Blocks on the diagonal, float64[n_points, 3, 3]."""
        p = self.cells.plan
        out, buffer = np.zeros((len(self.cells.points), 9)), np.empty((p.n_copies, 9))
        ends = (p.interior, p.shared_start)
        parallel.run(
            tetra.diagonal, tetra.CHUNKS, p.conn, p.batches, *ends, self.double.geo, False, buffer, out,
        )  # fmt: skip
        if self.cells.n_general:
            parallel.run(
                tetra.diagonal_general, tetra.CHUNKS, p.general_conn, p.general_batches, *ends,
                *self.double.general, np.array(tetra.POINT_WEIGHTS), True, buffer, out,
            )  # fmt: skip
        self.cells.add_shared(1, buffer, out)
        return out.reshape(-1, 3, 3)

    def magnitude(self, x: FloatArray) -> FloatArray:
        """About |A| |x|."""
        return _magnitude(np.einsum("nii->ni", self.diagonal_blocks(3)), x)

    def corner_blocks(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """P^T K P of the cells: rows of ``cells.conn`` and matrices float64[k, 12, 12], some at a time."""
        plan, double = self.cells.plan, self.double
        yield from _corner_blocks(tetra.corner_blocks, plan.cells, 12, double.geo)
        if self.cells.n_general:
            yield from _corner_blocks(tetra.corner_blocks_general, plan.general_cells, 12, *double.general)

    def geometry(self, scale: float, dtype: Dtype) -> Array:
        """Gradients and moduli of straight cells, [n_batches, 11, LANES]."""
        cells = self.cells
        out = np.empty((len(cells.plan.cells), 11, tetra.LANES), dtype)
        parallel.run(
            tetra.geometry, len(out), cells.conn, cells.plan.cells, cells.points, scale * self.lam,
            scale * self.mu, out, grain=256,
        )  # fmt: skip
        return out

    def general_geometry(self, scale: float, dtype: Dtype) -> tuple[Array, Array]:
        """Gradients and tensors of general cells at the points of the rule."""
        cells, n = self.cells, self.cells.n_general
        geo = np.empty((n, 4 if cells.curved else 1, 10, tetra.LANES), dtype)
        parallel.run(
            tetra.geometry_general, n, cells.conn, cells.plan.general_cells, cells.points,
            np.array(tetra.POINT_WEIGHTS), geo, grain=64,
        )  # fmt: skip
        tensor = np.empty((n, 1 if self.tensors.constant else 4, 21, tetra.LANES), dtype)
        parallel.run(
            tetra.tensors_general, n, cells.plan.general_cells, scale * self.tensors.values,
            self.tensors.which, tensor, grain=64,
        )  # fmt: skip
        return geo, tensor


class _HeatOperator(_Operator):
    components = 1

    def __init__(self, term: HeatTetrahedra, scale: float, dtype: Dtype) -> None:
        super().__init__(term.cells, dtype)
        self.metrics = term.metrics(scale, dtype)

    def _cellwise(self, x: Array, y: Array, columns: IntArray) -> None:
        p = self._cells.plan
        ends = (p.interior, p.shared, p.shared_start)
        work = (self._weights, x, self._buffer, y, columns)
        _each_heat(tetra.scalar_product, p, ends, self.metrics, work)


@dataclass(frozen=True, eq=False)
class HeatTetrahedra(_Tetrahedra[_HeatOperator]):
    """Conductivity of tetrahedra of 10 nodes, W/K.

    Parameters
    ----------
    cells : FreeCells
    tensors : Tensors
        Conductivity, W/(m K).
    assemble : function
        Returns the matrix, for solvers that want one.
    """

    cells: FreeCells
    tensors: Tensors
    assemble: Callable[[], SparseMatrix]

    def scaled(self, scale: float, dtype: Dtype) -> _HeatOperator:
        """The conductivity times scale, in a precision."""
        return _HeatOperator(self, scale, dtype)

    def diagonal_blocks(self, block: int) -> FloatArray:
        """The diagonal, float64[n_points, 1, 1]."""
        p = self.cells.plan
        out, buffer = np.zeros((len(self.cells.points), 1)), np.empty((p.n_copies, 1))
        work = (np.array(tetra.POINT_WEIGHTS), buffer, out)
        _each_heat(tetra.scalar_diagonal, p, (p.interior, p.shared_start), self.double.metrics, work)
        self.cells.add_shared(1, buffer, out)
        return out.reshape(-1, 1, 1)

    def magnitude(self, x: FloatArray) -> FloatArray:
        """About |A| |x|."""
        return _magnitude(self.diagonal_blocks(1), x)

    def corner_blocks(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """P^T K P of the cells: rows of ``cells.conn`` and matrices float64[k, 4, 4], some at a time."""
        plan = self.cells.plan
        straight, general = self.double.metrics
        yield from _corner_blocks(tetra.scalar_corner_blocks, plan.cells, 4, straight)
        yield from _corner_blocks(tetra.scalar_corner_blocks, plan.general_cells, 4, general)

    def metrics(self, scale: float, dtype: Dtype) -> tuple[Array, Array]:
        """What straight and general cells need of geometry and material."""
        cells = self.cells
        points = (1, 4 if cells.curved or not self.tensors.constant else 1)
        out = []
        for n, members in zip(points, (cells.plan.cells, cells.plan.general_cells), strict=True):
            metric = np.empty((len(members), n, 6, tetra.LANES), dtype)
            parallel.run(
                tetra.metric, len(members), cells.conn, members, cells.points, scale * self.tensors.values,
                self.tensors.which, np.array(tetra.POINT_WEIGHTS), metric, grain=64,
            )  # fmt: skip
            out.append(metric)
        return out[0], out[1]


def _magnitude(diagonal: FloatArray, x: FloatArray) -> FloatArray:
    return np.asarray(_CANCEL * np.abs(diagonal).reshape(-1, 1) * np.abs(x))


def _each_heat(
    kernel: Any,
    plan: tetra.Plan,
    ends: tuple[Array, ...],
    metrics: tuple[Array, Array],
    work: tuple[Any, ...],
) -> None:
    """A scalar kernel over straight cells, then, adding, over general ones."""
    weights, *rest = work
    straight, general = metrics
    parallel.run(kernel, tetra.CHUNKS, plan.conn, plan.batches, *ends, straight, weights, False, *rest)
    if len(general):
        cells = (plan.general_conn, plan.general_batches)
        parallel.run(kernel, tetra.CHUNKS, *cells, *ends, general, weights, True, *rest)


def _corner_blocks(
    kernel: Any, members: IntArray, size: int, *geometry: FloatArray
) -> Iterator[tuple[IntArray, FloatArray]]:
    for base in range(0, len(members), _CORNER_BATCHES):
        some = members[base : base + _CORNER_BATCHES].ravel()
        out = np.empty((len(some), size, size))

        def blocks(start: int, stop: int, base: int = base, out: FloatArray = out) -> None:
            kernel(base + start, base + stop, base, *geometry, out)

        parallel.run(blocks, len(some) // tetra.LANES, grain=16)
        real = some >= 0
        yield some[real].astype(np.int64), out if real.all() else out[real]
