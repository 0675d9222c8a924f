"""Quadratic tetrahedra as a term of a system: multiplied from geometry, no matrix built.

Straight cells of one isotropic material take the four-corner kernel; curved ones, and materials that are
oriented or change within a cell, a tensor at each point of the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np

from designtwin import parallel
from designtwin.elements import ELEMENTS
from designtwin.kernels import tetra
from designtwin.solvers.system import MANY, Array, SparseMatrix
from designtwin.typing import FloatArray, IntArray

_CANCEL = 6.0  # |A| |x| over |diagonal| |x| for tetrahedra of a decent shape
_CORNER_BATCHES = 1024  # batches whose corner matrices are held at once

_TETRA10 = ELEMENTS["tetra10"]
_RULE = _TETRA10.mass_quadrature

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
            self._multiply(x, image)
            y += image
        else:
            self._multiply(x, y)

    def _multiply(self, x: Array, y: Array) -> None:
        plan, shape = self._cells.plan, (self.components * self._cells.plan.n_copies, x.shape[1])
        if self._buffer.shape != shape:
            self._buffer = np.empty(shape, x.dtype)
        self._cellwise(x, y, np.array([0, x.shape[1]]))
        y[self.components * plan.n_nodes :] = 0.0
        self._cells.add_shared(self.components, self._buffer, y)

    def _cellwise(self, x: Array, y: Array, columns: IntArray) -> None:
        raise NotImplementedError


_Precise = TypeVar("_Precise", bound=_Operator)


class Tetrahedra(Generic[_Precise]):
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

    def corner_blocks(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """P^T A P of the cells: rows of ``cells.conn`` and matrices, some at a time."""
        raise NotImplementedError

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
        kernel = tetra.product if columns[1] < MANY else tetra.product_of_many
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
class ElasticTetrahedra(Tetrahedra[_ElasticOperator]):
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


class Capacity(NamedTuple):
    """Heat capacity of tetrahedra of 10 nodes.

    Parameters
    ----------
    values : float64[k]
        Density times specific heat, J/(m^3 K).
    which : int64[n_cells, 1] or int64[n_cells, n_q]
        Which holds in a cell, or at each point of the element's ``mass_quadrature``, in the order of
        ``FreeCells.conn``.
    assemble : function
        Returns the capacity matrix of the cells, J/K, for solvers that want one.
    """

    values: FloatArray
    which: IntArray
    assemble: Callable[[], SparseMatrix]

    @property
    def constant(self) -> bool:
        """Whether no cell has two capacities."""
        return bool((self.which == self.which[:, :1]).all())


class _HeatTables(NamedTuple):
    """What kernels read, in one precision: metric and capacity of straight cells, then of general ones."""

    metrics: tuple[Array, Array]
    capacities: tuple[Array, Array]
    shape: Array

    def run(self, kernel: Any, plan: tetra.Plan, ends: tuple[Array, ...], parts: str, *work: Any) -> None:
        """A kernel over straight cells, then, adding, over general ones.

        `parts` names what it takes: metrics, capacities, shape.
        """
        for i, (conn, batches) in enumerate(
            ((plan.conn, plan.batches), (plan.general_conn, plan.general_batches))
        ):
            if i == 0 or len(conn):
                tables = {"m": self.metrics[i], "c": self.capacities[i], "s": self.shape}
                weights, *rest = work
                parallel.run(
                    kernel, tetra.CHUNKS, conn, batches, *ends, *(tables[part] for part in parts), *weights,
                    bool(i), *rest,
                )  # fmt: skip


class _HeatOperator(_Operator):
    """scale * (conductivity + alpha * capacity)."""

    components = 1

    def __init__(
        self, cells: FreeCells, tables: _HeatTables, factors: tuple[float, float], dtype: Dtype
    ) -> None:
        super().__init__(cells, dtype)
        self._tables = tables
        self._weights = np.array([*tetra.POINT_WEIGHTS, *factors], dtype)

    def _cellwise(self, x: Array, y: Array, columns: IntArray) -> None:
        p = self._cells.plan
        self._tables.run(
            tetra.scalar_product, p, (p.interior, p.shared, p.shared_start), "mcs", (self._weights,), x,
            self._buffer, y, columns,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class HeatTetrahedra(Tetrahedra[_HeatOperator]):
    """Conductivity of tetrahedra of 10 nodes, W/K, and what a time step adds: alpha times heat capacity.

    Parameters
    ----------
    cells : FreeCells
    tensors : Tensors
        Conductivity, W/(m K).
    assemble : function
        Returns the conductivity matrix, for solvers that want one.
    capacity : Capacity, optional
    alpha : float
        Factor of the capacity, 1/s.
    """

    cells: FreeCells
    tensors: Tensors
    assemble: Callable[[], SparseMatrix]
    capacity: Capacity | None = None
    alpha: float = 0.0

    def __post_init__(self) -> None:
        assert self.capacity is not None or self.alpha == 0.0, "alpha is the factor of a capacity"

    def with_alpha(self, alpha: float) -> HeatTetrahedra:
        """The same for another time step; what is known of the cells is shared."""
        other = replace(self, alpha=alpha)
        other.__dict__["_geometry"] = self._geometry
        return other

    def scaled(self, scale: float, dtype: Dtype) -> _HeatOperator:
        """The term times scale, in a precision."""
        tables = self._geometry.tables(dtype)
        if self.alpha == 0.0:
            tables = tables._replace(capacities=_none(tables.capacities))
        return _HeatOperator(self.cells, tables, (scale, scale * self.alpha), dtype)

    def capacity_apply(self, x: FloatArray) -> FloatArray:
        """Heat capacity times x[n_dof] or x[n_dof, n_rhs], whatever alpha; J for x in K."""
        assert self.capacity is not None, "no capacity is stated"
        columns = np.ascontiguousarray(x.reshape(len(x), -1), np.float64)
        out = np.empty_like(columns)
        self._capacity_alone.product(columns, out)
        return out.reshape(x.shape)

    @cached_property
    def _capacity_alone(self) -> _HeatOperator:
        tables = self._geometry.tables(np.float64)
        tables = tables._replace(metrics=_none(tables.metrics))
        return _HeatOperator(self.cells, tables, (0.0, 1.0), np.float64)

    def matrix(self) -> SparseMatrix:
        """Conductivity plus alpha times capacity, assembled."""
        if self.capacity is None or self.alpha == 0.0:
            return self.assemble()
        return self.assemble() + self.capacity.assemble() * self.alpha

    def diagonal_blocks(self, block: int) -> FloatArray:
        """The diagonal, float64[n_points, 1, 1]."""
        out = self._geometry.diagonal
        if self.alpha != 0.0:
            out = out + self.alpha * self._geometry.capacity_diagonal
        return out.reshape(-1, 1, 1)

    def magnitude(self, x: FloatArray) -> FloatArray:
        """About |A| |x|."""
        return _magnitude(self.diagonal_blocks(1), x)

    def corner_blocks(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """P^T A P of the cells: rows of ``cells.conn`` and matrices float64[k, 4, 4], some at a time."""
        plan, tables = self.cells.plan, self._geometry.tables(np.float64)
        capacities = tables.capacities if self.alpha != 0.0 else _none(tables.capacities)
        linear = ELEMENTS["tetra"].shape(_RULE[0])
        for i, members in enumerate((plan.cells, plan.general_cells)):
            known = (tables.metrics[i], capacities[i], linear, self.alpha)
            yield from _corner_blocks(tetra.scalar_corner_blocks, members, 4, *known)

    @cached_property
    def _geometry(self) -> _HeatGeometry:
        return _HeatGeometry(self.cells, self.tensors, self.capacity)


@dataclass(frozen=True, eq=False)
class _HeatGeometry:
    """What does not depend on the time step, each computed when first wanted."""

    cells: FreeCells
    tensors: Tensors
    capacity: Capacity | None

    def tables(self, dtype: Dtype) -> _HeatTables:
        """Metrics and capacities in a precision."""
        return self._double if dtype is np.float64 else self._single

    @cached_property
    def _double(self) -> _HeatTables:
        return self._tables()

    @cached_property
    def _single(self) -> _HeatTables:
        (k, k_general), (c, c_general), shape = self._double
        k, k_general, c, c_general, shape = (
            t.astype(np.float32) for t in (k, k_general, c, c_general, shape)
        )
        return _HeatTables((k, k_general), (c, c_general), shape)

    @cached_property
    def diagonal(self) -> FloatArray:
        """Of conductivity, float64[n_points], W/K."""
        return self._diagonal(tetra.scalar_diagonal, "m", (np.array(tetra.POINT_WEIGHTS),))

    @cached_property
    def capacity_diagonal(self) -> FloatArray:
        """Of capacity, float64[n_points], J/K."""
        return self._diagonal(tetra.capacity_diagonal, "cs", ())

    def _diagonal(self, kernel: Any, parts: str, weights: tuple[Array, ...]) -> FloatArray:
        p = self.cells.plan
        out, buffer = np.zeros((len(self.cells.points), 1)), np.empty((p.n_copies, 1))
        self._double.run(kernel, p, (p.interior, p.shared_start), parts, weights, buffer, out)
        self.cells.add_shared(1, buffer, out)
        return out.ravel()

    def _tables(self) -> _HeatTables:
        cells, straight = self.cells, not self.cells.curved
        points = (1, 1 if straight and self.tensors.constant else 4)
        metrics = []
        for i, members in enumerate((cells.plan.cells, cells.plan.general_cells)):
            metric = np.empty((len(members), points[i], 6, tetra.LANES))
            parallel.run(
                tetra.metric, len(members), cells.conn, members, cells.points, self.tensors.values,
                self.tensors.which, np.array(tetra.POINT_WEIGHTS), metric, grain=64,
            )  # fmt: skip
            metrics.append(metric)
        stored, shape = _capacity_tables(cells, self.capacity)
        return _HeatTables((metrics[0], metrics[1]), stored, shape)


def _capacity_tables(cells: FreeCells, capacity: Capacity | None) -> tuple[tuple[Array, Array], Array]:
    """What kernels need of straight and of general cells to store heat, or mass; and the rule's functions."""
    n_q, stored = len(_RULE[1]), []
    for i, members in enumerate((cells.plan.cells, cells.plan.general_cells)):
        room = 0
        if capacity is not None:
            room = 1 if capacity.constant and not (i and cells.curved) else n_q
        out = np.empty((len(members), room, tetra.LANES))
        if capacity is not None:
            parallel.run(
                tetra.capacity, len(members), cells.conn, members, cells.points, capacity.values,
                capacity.which, _TETRA10.gradient(_RULE[0]), _RULE[1], out, grain=64,
            )  # fmt: skip
        stored.append(out)
    return (stored[0], stored[1]), np.ascontiguousarray(_TETRA10.shape(_RULE[0]))


class _NodalOperator(_Operator):
    """A scalar operator on each component, times a form that mixes those of a node (none: the identity)."""

    components = 1  # to the kernels; those of displacement are columns

    def __init__(self, cells: FreeCells, tables: _HeatTables, form: FloatArray | None, dtype: Dtype) -> None:
        super().__init__(cells, dtype)
        self._tables = tables
        self._points = self._weights
        self._weights = np.array([*tetra.POINT_WEIGHTS, 1.0, 1.0], dtype)
        self._form = None if form is None else form.astype(dtype)

    def _multiply(self, x: Array, y: Array) -> None:
        if self._form is not None:
            x = np.einsum("ij,njk->nik", self._form, x.reshape(len(x) // 3, 3, -1)).reshape(x.shape)
        nodes = len(x) // 3
        super()._multiply(x.reshape(nodes, -1), y.reshape(nodes, -1))

    def _cellwise(self, x: Array, y: Array, columns: IntArray) -> None:
        p, tables = self._cells.plan, self._tables
        ends, work = (p.interior, p.shared, p.shared_start), (x, self._buffer, y, columns)
        if columns[1] < 3 * MANY:
            tables.run(tetra.scalar_product, p, ends, "mcs", (self._weights,), *work)
        elif tables.metrics[0].shape[1]:
            tables.run(tetra.conductivity_of_many, p, ends, "m", (self._points,), *work)
        else:
            tables.run(tetra.capacity_of_many, p, ends, "cs", (), *work)


@dataclass(frozen=True, eq=False)
class _NodalTetrahedra(Tetrahedra[_NodalOperator]):
    """Tetrahedra that act on each component of displacement alike.

    Parameters
    ----------
    cells : FreeCells
    assemble : function
        Returns the matrix of one component.
    form : float64[3, 3], optional
        Symmetric; mixes the components of a node. The identity without.
    """

    cells: FreeCells
    assemble: Callable[[], SparseMatrix]
    form: FloatArray | None = None

    @property
    def tables(self) -> _HeatTables:
        """What kernels read, in float64; of metrics and capacities one."""
        raise NotImplementedError

    def scaled(self, scale: float, dtype: Dtype) -> _NodalOperator:
        """The term times scale, in a precision."""
        metrics, capacities, shape = self.tables
        straight, general = ((scale * one).astype(dtype, copy=False) for one in metrics)
        stored = tuple((scale * one).astype(dtype, copy=False) for one in capacities)
        tables = _HeatTables((straight, general), (stored[0], stored[1]), shape.astype(dtype, copy=False))
        return _NodalOperator(self.cells, tables, self.form, dtype)

    @property
    def _whole(self) -> FloatArray:
        return np.eye(3) if self.form is None else self.form

    def matrix(self) -> SparseMatrix:
        """The term assembled, in blocks of 3 x 3."""
        return each_component(self.assemble(), self._whole)

    def diagonal_blocks(self, block: int) -> FloatArray:
        """Blocks on the diagonal, float64[n_points, 3, 3]."""
        p, tables = self.cells.plan, self.tables
        out, buffer = np.zeros((len(self.cells.points), 1)), np.empty((p.n_copies, 1))
        ends = (p.interior, p.shared_start)
        if tables.metrics[0].shape[1]:
            weights = np.array(tetra.POINT_WEIGHTS)
            tables.run(tetra.scalar_diagonal, p, ends, "m", (weights,), buffer, out)
        else:
            tables.run(tetra.capacity_diagonal, p, ends, "cs", (), buffer, out)
        self.cells.add_shared(1, buffer, out)
        return out[:, :, None] * self._whole

    def magnitude(self, x: FloatArray) -> FloatArray:
        """About |A| |x|."""
        blocks = np.abs(self.diagonal_blocks(3))
        size = np.einsum("nij,njk->nik", blocks, np.abs(x).reshape(len(blocks), 3, -1))
        return np.asarray(_CANCEL * size.reshape(len(x), -1))

    def corner_blocks(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """P^T A P of the cells: rows of ``cells.conn`` and matrices float64[k, 12, 12], some at a time."""
        plan, tables, linear = self.cells.plan, self.tables, ELEMENTS["tetra"].shape(_RULE[0])
        for i, members in enumerate((plan.cells, plan.general_cells)):
            known = (tables.metrics[i], tables.capacities[i], linear, 1.0)
            for rows, one in _corner_blocks(tetra.scalar_corner_blocks, members, 4, *known):
                yield rows, np.einsum("cpr,ij->cpirj", one, self._whole).reshape(len(one), 12, 12)


@dataclass(frozen=True, eq=False)
class MassTetrahedra(_NodalTetrahedra):
    """Mass of tetrahedra of 10 nodes, kg: density N^T N of each component.

    Parameters
    ----------
    density : float64[k]
        kg/m^3.
    which : int64[n_cells, 1]
        Which a cell has, in the order of ``cells.conn``.
    form : float64[3, 3], optional
        1/s^2 for what spin takes from stiffness.
    """

    density: FloatArray = field(kw_only=True)
    which: IntArray = field(kw_only=True)

    @cached_property
    def tables(self) -> _HeatTables:
        """What kernels read, in float64."""
        stored, shape = _capacity_tables(self.cells, Capacity(self.density, self.which, self.assemble))
        straight, general = (np.empty((len(one), 0, 6, tetra.LANES)) for one in stored)
        return _HeatTables((straight, general), stored, shape)


@dataclass(frozen=True, eq=False)
class StressTetrahedra(_NodalTetrahedra):
    """What stress adds to the stiffness of tetrahedra of 10 nodes, N/m.

    Parameters
    ----------
    stress : float64[n_cells, 4, 3, 3]
        At the points of the element's rule, Pa, in the order of ``cells.conn``.
    """

    stress: FloatArray = field(kw_only=True)

    @cached_property
    def tables(self) -> _HeatTables:
        """What kernels read, in float64."""
        cells, metrics = self.cells, []
        tensors = self.stress.reshape(-1, 3, 3)
        which = np.arange(len(tensors)).reshape(-1, 4)
        for members in (cells.plan.cells, cells.plan.general_cells):
            metric = np.empty((len(members), 4, 6, tetra.LANES))
            parallel.run(
                tetra.metric, len(members), cells.conn, members, cells.points, tensors, which,
                np.array(tetra.POINT_WEIGHTS), metric, grain=64,
            )  # fmt: skip
            metrics.append(metric)
        stored, shape = _capacity_tables(cells, None)
        return _HeatTables((metrics[0], metrics[1]), stored, shape)


def each_component(scalar: SparseMatrix, form: FloatArray) -> SparseMatrix:
    """A matrix over nodes times a form [d, d] over components, block-sparse [n d, n d]."""
    data = np.ascontiguousarray(scalar.data.reshape(-1, 1, 1) * form)
    n = scalar.shape[0] * len(form)
    out = type(scalar)((data, scalar.indices, scalar.indptr), shape=(n, n))
    out.has_canonical_format = True
    return out


def _none(tables: tuple[Array, Array]) -> tuple[Array, Array]:
    """Tables of no points: kernels leave out what they stand for."""
    return tables[0][:, :0], tables[1][:, :0]


def _magnitude(diagonal: FloatArray, x: FloatArray) -> FloatArray:
    return np.asarray(_CANCEL * np.abs(diagonal).reshape(-1, 1) * np.abs(x))


def _corner_blocks(
    kernel: Any, members: IntArray, size: int, *geometry: Any
) -> Iterator[tuple[IntArray, FloatArray]]:
    for base in range(0, len(members), _CORNER_BATCHES):
        some = members[base : base + _CORNER_BATCHES].ravel()
        out = np.empty((len(some), size, size))

        def blocks(start: int, stop: int, base: int = base, out: FloatArray = out) -> None:
            kernel(base + start, base + stop, base, *geometry, out)

        parallel.run(blocks, len(some) // tetra.LANES, grain=16)
        real = some >= 0
        yield some[real].astype(np.int64), out if real.all() else out[real]
