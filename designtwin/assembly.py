"""From a model to a system of equations: DOF numbering, supports as an affine map, matrices, load vectors.

This file alone knows DOF numbers and picks quadrature. It feeds tables to kernels and sums what
loads and supports answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from designtwin.elements import ELEMENTS, Quadrature, ReferenceElement
from designtwin.errors import ModelError
from designtwin.kernels import pattern, volume
from designtwin.model.loads import NodalMatrices
from designtwin.model.model import LoadCase, Model
from designtwin.model.sections import Section, Truss
from designtwin.solvers.system import Coarsening, MatrixTerm, SparseMatrix, System, Term
from designtwin.typing import BoolArray, FloatArray, IntArray

_CHUNK = 4096
"""Cells whose matrices are held at once."""


@dataclass(frozen=True, eq=False)
class DofMap:
    """Numbers of the unknowns: components of node 0, of node 1, ..., then those of no node.

    Parameters
    ----------
    n_points : int
    components : int
        1 temperature, 2 plane displacement, 3 displacement.
    extra : int
        Unknowns that belong to no node (rigid bodies, multipliers); numbered last.
    """

    n_points: int
    components: int
    extra: int = 0

    @property
    def n_dof(self) -> int:
        return self.n_points * self.components + self.extra

    def gather(self, field: FloatArray) -> FloatArray:
        """Nodal values float64[n_points, 3] (or [n_points] for scalars) as unknowns [n_dof]; 0 for extra."""
        nodal = field.reshape(self.n_points, -1)[:, : self.components].ravel()
        return np.concatenate([nodal, np.zeros(self.extra)])

    def scatter(self, x: FloatArray) -> FloatArray:
        """Unknowns as nodal values float64[n_points, 3], or [n_points] for scalars."""
        nodal = x[: self.n_points * self.components]
        if self.components == 1:
            return nodal.copy()
        out = np.zeros((self.n_points, 3))
        out[:, : self.components] = nodal.reshape(self.n_points, self.components)
        return out


@dataclass(frozen=True, eq=False)
class AffineMap:
    """Supports as u = T q + u0: some q fixed, the rest free; T is the identity but at skew supports.

    Parameters
    ----------
    fixed : bool[n_dof]
        Which q are prescribed.
    value : float64[n_dof]
        Their values, 0 elsewhere; u0 = T value.
    transform : CSR [n_dof, n_dof], optional
        T; None for the identity.
    """

    fixed: BoolArray
    value: FloatArray
    transform: SparseMatrix | None = None

    def expand(self, q: FloatArray) -> FloatArray:
        """u [n_dof] from the free unknowns q (0 where fixed)."""
        q = q + self.value
        return q if self.transform is None else self.transform @ q

    def restrict(self, f: FloatArray) -> FloatArray:
        """Forces conjugate to q, T^T f, for f[n_dof] or [n_dof, k]."""
        return f if self.transform is None else self.transform.T @ f

    def lift(self, reaction: FloatArray) -> FloatArray:
        """Keep of nodal forces [n_dof] what acts along prescribed directions."""
        along = np.where(self.fixed, self.restrict(reaction), 0.0)
        return along if self.transform is None else self.transform @ along


@dataclass(frozen=True, eq=False)
class CellBlock:
    """Cells of one element type in one part, with what the kernels need to know of them.

    Parameters
    ----------
    element : ReferenceElement
    cells : int64[n]
        Cell ids.
    conn : int64[n, n_nodes]
    part : int
        Index in ``model.parts``.
    section : Section
    scale : float64[n]
        Thickness, area or 1.
    kind : int
        1 axisymmetric.
    bbar, incompatible : bool
        Locking control.
    """

    element: ReferenceElement
    cells: IntArray
    conn: IntArray
    part: int
    section: Section
    scale: FloatArray
    kind: int
    bbar: bool
    incompatible: bool

    def modes(self, xi: FloatArray) -> FloatArray:
        """Gradients of incompatible modes at natural coordinates, [q, m, d]; m = 0 without them."""
        if self.incompatible:
            return self.element.mode_gradient(xi)
        return np.zeros((len(xi), 0, self.element.dimension))

    def at(self, points: FloatArray, shape: FloatArray) -> FloatArray:
        """Positions [n, q, 3] of table points."""
        return np.asarray(np.einsum("qn,cna->cqa", shape, points[self.conn]))

    def slices(self) -> list[slice]:
        return [slice(i, i + _CHUNK) for i in range(0, len(self.conn), _CHUNK)]


def cell_blocks(model: Model) -> tuple[CellBlock, ...]:
    """The model's cells by part and element type."""
    scale = model.cell_scale()
    blocks = []
    for index, part in enumerate(model.parts):
        for name, rows in model.mesh.rows_by_block(part.cells):
            element = ELEMENTS[name]
            asked = getattr(part.section, "formulation", "auto")
            # What a cell type offers, best first; the others neither lock nor have a remedy.
            offers: tuple[str, ...] = ("incompatible", "b-bar") if name in ("quad", "hexahedron") else ()
            if model.axisymmetric:
                offers = offers[1:]
            if asked not in ("auto", "full", *offers):
                raise ModelError(
                    f"part {part.name!r}: formulation={asked!r} does not exist for its cells {name!r}"
                    f"{' of revolution' if model.axisymmetric else ''}; say 'auto', which takes the best "
                    "for each cell type"
                )
            formulation = asked if asked != "auto" else offers[0] if offers else "full"
            cells = model.mesh.block_offsets[name] + rows
            blocks.append(
                CellBlock(
                    element=element,
                    cells=cells,
                    conn=np.ascontiguousarray(model.mesh.cells[name][rows]),
                    part=index,
                    section=part.section,
                    scale=scale[cells],
                    kind=1 if model.axisymmetric else 0,
                    bbar=formulation == "b-bar",
                    incompatible=formulation == "incompatible",
                )
            )
    return tuple(blocks)


@dataclass(frozen=True, eq=False)
class PointTables:
    """A block's tables at a set of natural coordinates."""

    xi: FloatArray
    shape: FloatArray
    gradient: FloatArray
    modes: FloatArray
    weight: FloatArray


def tables(block: CellBlock, rule: Quadrature | None = None) -> PointTables:
    """Tables of a rule; without one, of the element's stiffness rule.

    Rings take the richer rule: their radius raises the degree of all integrals, and a triangle of one point
    would turn about that point without a hoop strain.
    """
    if rule is None:
        rule = block.element.mass_quadrature if block.kind == 1 else block.element.quadrature
    xi, weight = rule
    return PointTables(
        xi, block.element.shape(xi), block.element.gradient(xi), block.modes(xi), np.asarray(weight)
    )


def _along(block: CellBlock, points: FloatArray) -> FloatArray:
    """What takes the axial strain of each bar from its strain: n n, float64[n_cells, 6]."""
    t = points[block.conn[:, 1]] - points[block.conn[:, 0]]
    x, y, z = (t / np.linalg.norm(t, axis=1)[:, None]).T
    return np.stack([x * x, y * y, z * z, x * y, y * z, x * z], axis=1)


def _truss_tensors(block: CellBlock, points: FloatArray, modulus: FloatArray) -> FloatArray:
    """Axial stiffness E (n n)(n n) of each cell as 6x6 tensors."""
    m = _along(block, points)
    return np.asarray(modulus[:, None, None] * m[:, :, None] * m[:, None, :])


def _warmth(
    block: CellBlock, at: PointTables, temperature: FloatArray | None, what: str
) -> FloatArray | None:
    """Temperature at table points, float64[n_cells, q], K, where a property is a table over it.

    Held within that of the cell's nodes: a quadratic cell overshoots between them, and tables end.
    """
    if temperature is None or not block.section.material.varies_with_temperature(what):
        return None
    nodal = temperature[block.conn]
    between = np.einsum("qn,cn->cq", at.shape, nodal)
    return np.asarray(np.clip(between, nodal.min(axis=1)[:, None], nodal.max(axis=1)[:, None]))


def elastic_tensors(
    model: Model, block: CellBlock, at: PointTables, temperature: FloatArray | None
) -> tuple[FloatArray, IntArray]:
    """Elastic tensors [k, 6, 6], Pa, and which holds at each point of each cell [n_cells, q].

    One tensor serves the block unless the material depends on temperature or is oriented.
    """
    n_cells, n_q = len(block.conn), len(at.xi)
    section = block.section
    warm = _warmth(block, at, temperature, "stiffness")
    local = None if warm is None else warm.ravel()
    if isinstance(section, Truss):
        mean = None if warm is None else warm.mean(axis=1)
        modulus = np.broadcast_to(section.axial_modulus(mean), (n_cells,))
        tensors = _truss_tensors(block, model.mesh.points, modulus)
        return tensors, np.repeat(np.arange(n_cells)[:, None], n_q, axis=1)
    axes = section.axes(block.at(model.mesh.points, at.shape).reshape(-1, 3))
    tensors = np.asarray(section.stiffness(local, axes), np.float64)
    if tensors.ndim == 2:
        return tensors[None], np.zeros((n_cells, n_q), np.int64)
    return np.ascontiguousarray(tensors), np.arange(n_cells * n_q).reshape(n_cells, n_q)


def thermal_strain(model: Model, block: CellBlock, at: PointTables, case: LoadCase) -> FloatArray | None:
    """Stress-free strain at table points, float64[n_cells, q, 6]; None for a case without temperature."""
    if case.temperature is None:
        return None
    nodal = case.temperature.at_nodes(model)
    local = _warmth(block, at, nodal, "expansion")
    if local is None:
        local = np.einsum("qn,cn->cq", at.shape, nodal[block.conn])
    axes = block.section.axes(block.at(model.mesh.points, at.shape).reshape(-1, 3))
    free = block.section.thermal_strain(local.ravel(), case.temperature.reference_kelvin, axes)
    return np.asarray(free).reshape(*local.shape, 6)


@dataclass(frozen=True, eq=False)
class NodePattern:
    """Which nodes share a cell: block-sparse row pointers and sorted columns."""

    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]

    @classmethod
    def of(cls, n_points: int, groups: Sequence[IntArray]) -> NodePattern:
        """Pattern of cells given as arrays of node ids [k, n], any mix of n."""
        nodes = np.concatenate([g.ravel() for g in groups]) if groups else np.empty(0, np.int64)
        counts = np.concatenate([[0], *(np.full(len(g), g.shape[1]) for g in groups)])
        cell_start = np.cumsum(counts).astype(np.int64)
        start, cells = np.empty(n_points + 1, np.int64), np.empty(len(nodes), np.int64)
        pattern.incidence(n_points, cell_start, nodes, start, cells)
        counted = np.empty(n_points, np.int64)
        pattern.count_neighbors(start, cells, cell_start, nodes, counted)
        indptr = np.concatenate([[0], np.cumsum(counted)]).astype(np.int32)
        indices = np.empty(indptr[-1], np.int32)
        pattern.fill_neighbors(start, cells, cell_start, nodes, indptr, indices)
        return cls(indptr, indices)

    def empty(self, block: int) -> FloatArray:
        return np.zeros((len(self.indices), block, block))

    def add(self, data: FloatArray, nodes: IntArray, matrices: FloatArray) -> None:
        """Add cell matrices float64[k, n * b, n * b] at nodes int64[k, n]."""
        pattern.add_blocks(self.indptr, self.indices, nodes, matrices, data)

    def matrix(self, data: FloatArray) -> SparseMatrix:
        """Block-sparse matrix over these entries."""
        n = (len(self.indptr) - 1) * data.shape[1]
        return sparse.bsr_array((data, self.indices, self.indptr), shape=(n, n))


def stiffness_matrix(
    model: Model, blocks: Sequence[CellBlock], temperature: FloatArray | None = None
) -> SparseMatrix:
    """Stiffness of all cells, block-sparse [n_dof, n_dof], N/m; fixed rows included."""
    components = model.dimension
    shared = NodePattern.of(model.mesh.n_points, [b.conn for b in blocks])
    data = shared.empty(components)
    for block in blocks:
        at = tables(block)
        tensor, tensor_of = elastic_tensors(model, block, at, temperature)
        size = block.element.n_nodes * components
        center = block.element.gradient(block.element.center)[0]
        for rows in block.slices():
            out = np.empty((len(block.conn[rows]), size, size))
            volume.stiffness(
                model.mesh.points, block.conn[rows], at.shape, at.gradient, at.weight, at.modes, center,
                block.kind, block.bbar, components, block.scale[rows], tensor, tensor_of[rows], out,
            )  # fmt: skip
            shared.add(data, block.conn[rows], out)
    return shared.matrix(data)


def conductivity_matrix(
    model: Model, blocks: Sequence[CellBlock], temperature: FloatArray | None = None
) -> SparseMatrix:
    """Conductivity of all cells, sparse [n_points, n_points], W/K."""
    shared = NodePattern.of(model.mesh.n_points, [b.conn for b in blocks])
    data = shared.empty(1)
    for block in blocks:
        at = tables(block)
        tensor, tensor_of = conductivity_tensors(model, block, at, temperature)
        for rows in block.slices():
            out = np.empty((len(block.conn[rows]), block.element.n_nodes, block.element.n_nodes))
            volume.conductivity(
                model.mesh.points, block.conn[rows], at.shape, at.gradient, at.weight, block.kind,
                block.scale[rows], tensor, tensor_of[rows], out,
            )  # fmt: skip
            shared.add(data, block.conn[rows], out)
    return shared.matrix(data)


def conductivity_tensors(
    model: Model, block: CellBlock, at: PointTables, temperature: FloatArray | None
) -> tuple[FloatArray, IntArray]:
    """Conductivity tensors [k, 3, 3], W/(m K), and which holds where [n_cells, q]."""
    n_cells, n_q = len(block.conn), len(at.xi)
    warm = _warmth(block, at, temperature, "conductivity")
    local = None if warm is None else warm.ravel()
    axes = block.section.axes(block.at(model.mesh.points, at.shape).reshape(-1, 3))
    tensors = np.asarray(block.section.conductivity_tensor(local, axes), np.float64)
    if tensors.ndim == 2:
        return tensors[None], np.zeros((n_cells, n_q), np.int64)
    return np.ascontiguousarray(tensors), np.arange(n_cells * n_q).reshape(n_cells, n_q)


def _extra_terms(contributions: Sequence[NodalMatrices], n_points: int, components: int) -> list[Term]:
    """Terms of springs, foundations and convection facets."""
    terms: list[Term] = []
    for one in contributions:
        n = one.nodes.shape[1]
        stored = one.values.shape[1] // n
        values = one.values
        if stored > components:
            keep = (np.arange(n)[:, None] * stored + np.arange(components)).ravel()
            values = values[:, keep[:, None], keep[None, :]]
        shared = NodePattern.of(n_points, [one.nodes])
        data = shared.empty(components)
        shared.add(data, one.nodes, np.ascontiguousarray(values))
        terms.append(MatrixTerm(shared.matrix(data)))
    return terms


def rigid_modes(points: FloatArray, components: int, *, axisymmetric: bool = False) -> FloatArray:
    """Rigid-body motions as columns float64[n_points * components, k], centered and of like size.

    Three translations and three rotations in space, two and one in the plane, one about an axis.
    """
    n = len(points)
    x = points - points.mean(axis=0)
    x = x / max(float(np.abs(x).max()), 1e-300)
    if components == 1:
        return np.ones((n, 1))
    if components == 2:
        modes = np.zeros((n, 2, 3))
        modes[:, 0, 0] = modes[:, 1, 1] = 1.0
        modes[:, 0, 2], modes[:, 1, 2] = -x[:, 1], x[:, 0]
        return (modes[:, :, 1:2] if axisymmetric else modes).reshape(2 * n, -1)
    modes = np.zeros((n, 3, 6))
    for i in range(3):
        modes[:, i, i] = 1.0
    modes[:, 0, 3], modes[:, 1, 3] = -x[:, 1], x[:, 0]
    modes[:, 1, 4], modes[:, 2, 4] = -x[:, 2], x[:, 1]
    modes[:, 2, 5], modes[:, 0, 5] = -x[:, 0], x[:, 2]
    return modes.reshape(3 * n, 6)


def corner_coarsening(model: Model, components: int) -> Coarsening | None:
    """From a quadratic mesh to its corners: corners copy, mid nodes average; None for linear meshes."""
    n_points = model.mesh.n_points
    ends = np.full((n_points, 2), -1, np.int64)
    for name, conn in model.mesh.cells.items():
        element = ELEMENTS[name]
        ends[conn[:, : element.corners]] = conn[:, : element.corners, None]
    quadratic = False
    for name, conn in model.mesh.cells.items():
        element = ELEMENTS[name]
        for i, (a, b) in enumerate(element.edges):
            mid = conn[:, element.corners + i]
            ends[mid, 0], ends[mid, 1] = conn[:, a], conn[:, b]
            quadratic = True
    if not quadratic:
        return None
    used = ends[:, 0] >= 0
    corner = used & (ends[:, 0] == np.arange(n_points))
    number = np.cumsum(corner) - 1
    rows = np.repeat(np.flatnonzero(used), 2)
    prolongation = sparse.csr_array(
        (np.full(len(rows), 0.5), (rows, number[ends[used].ravel()])), shape=(n_points, int(corner.sum()))
    )
    prolongation.sum_duplicates()
    modes = rigid_modes(model.mesh.points[corner], components, axisymmetric=model.axisymmetric)
    return Coarsening(prolongation=prolongation, near_nullspace=modes)


def _node_frame(
    held: Sequence[tuple[FloatArray, float]], components: int
) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Axes float64[3, 3] of a node at a skew support, which of them are held, and by how much.

    The held directions, made orthonormal one after another, come first; the others complete the frame.
    """
    rows: list[FloatArray] = []
    amounts: list[float] = []
    for direction, amount in held:
        rest, left = direction.copy(), amount
        for row, known in zip(rows, amounts, strict=True):
            share = float(rest @ row)
            rest, left = rest - share * row, left - share * known
        size = float(np.linalg.norm(rest[:components]))
        if size < 1e-6:
            continue  # held already; the model has seen to it that the values agree
        rows.append(rest / size)
        amounts.append(left / size)
    n_held = len(rows)
    if components == 2 and n_held == 1:
        frame = np.array([rows[0], [-rows[0][1], rows[0][0], 0.0], [0.0, 0.0, 1.0]])
    elif components == 2:
        frame = np.array([*rows[:2], [0.0, 0.0, 1.0]])
    else:
        rest = np.linalg.svd(np.array([*rows, *np.zeros((3 - n_held, 3))]))[2][n_held:]
        frame = np.array([*rows, *rest])
    value = np.zeros(3)
    value[:n_held] = amounts
    return frame, np.arange(3) < n_held, value


def static_map(model: Model, case: LoadCase, dofs: DofMap) -> AffineMap:
    """The affine map of a case's supports; nodes in no cell are held.

    Supports that contradict each other were refused when the model was made.
    """
    components = dofs.components
    fixed = np.zeros((dofs.n_points, 3), bool)
    value = np.zeros((dofs.n_points, 3))
    axes: dict[int, FloatArray] = {}
    directions: list[tuple[int, FloatArray, float]] = []
    for support in (*model.supports, *case.supports):
        for held in support.prescribed(model):
            if held.axes is None:
                rows = held.nodes
                value[rows] = np.where(held.fixed, held.value, value[rows])
                fixed[rows] |= held.fixed
            else:
                for k, node in enumerate(held.nodes):
                    for i in range(3):
                        if held.fixed[k, i]:
                            directions.append((int(node), held.axes[k, i], float(held.value[k, i])))
    skew: dict[int, list[tuple[FloatArray, float]]] = {}
    for node, direction, amount in directions:
        skew.setdefault(node, []).append((direction, amount))
    for node, wanted in skew.items():
        straight = [(np.eye(3)[i], float(value[node, i])) for i in range(3) if fixed[node, i]]
        axes[node], fixed[node], value[node] = _node_frame(straight + wanted, components)
    unused = np.ones(dofs.n_points, bool)
    unused[model.mesh.used_nodes] = False
    fixed[unused] = True
    value[unused] = 0.0
    transform = None
    if axes:
        turned = np.zeros((dofs.n_points, components, components))
        turned[:] = np.eye(components)
        for node, frame in axes.items():
            turned[node] = frame[:components, :components].T
        transform = sparse.bsr_array(
            (turned, np.arange(dofs.n_points), np.arange(dofs.n_points + 1)), shape=(dofs.n_dof, dofs.n_dof)
        )
    return AffineMap(
        fixed=np.ascontiguousarray(fixed[:, :components]).ravel(),
        value=np.where(fixed, value, 0.0)[:, :components].ravel(),
        transform=transform,
    )


@dataclass(frozen=True, eq=False)
class Assembled:
    """A system ready to solve: what cells resist, what supports hold, which unknowns are free.

    Parameters
    ----------
    dofs : DofMap
    cells : block-sparse [n_dof, n_dof]
        Resistance of the cells alone: stiffness (N/m) or conductivity (W/K).
    extra : tuple of Term
        Springs, foundations, convection.
    map : AffineMap
    system : System
        In the map's free unknowns.
    """

    dofs: DofMap
    cells: SparseMatrix
    extra: tuple[Term, ...]
    map: AffineMap
    system: System

    def right_hand_side(self, loads: FloatArray) -> FloatArray:
        """Loads on the free unknowns, with prescribed values moved over; float64[n_dof]."""
        f = loads
        if self.map.value.any():
            u0 = self.map.expand(np.zeros(self.dofs.n_dof))
            f = f - self.cells @ u0
            for term in self.extra:
                f = f - term.apply(u0)
        return np.where(self.map.fixed, 0.0, self.map.restrict(f))

    @cached_property
    def held(self) -> BoolArray:
        """Unknowns at nodes of which some direction is prescribed, bool[n_dof]."""
        nodes = self.map.fixed.reshape(self.dofs.n_points, self.dofs.components).any(axis=1)
        return np.repeat(nodes, self.dofs.components)


def _system(
    dofs: DofMap,
    cells: SparseMatrix,
    extra: Sequence[Term],
    map_: AffineMap,
    near_nullspace: FloatArray,
    coarse: Coarsening | None,
) -> System:
    terms: list[Term] = [MatrixTerm(cells), *extra]
    if map_.transform is not None:
        t = map_.transform
        b = dofs.components
        turned = [MatrixTerm((t.T @ term.matrix() @ t).tobsr(blocksize=(b, b))) for term in terms]
        terms = list(turned)
        near_nullspace = t.T @ near_nullspace
        coarse = None  # corner averages mean nothing between nodes whose axes differ
    return System(
        terms=tuple(terms), block=dofs.components, free=~map_.fixed, near_nullspace=near_nullspace,
        coarse=coarse, definite=True,
    )  # fmt: skip


def assemble_static(model: Model, case: LoadCase, blocks: Sequence[CellBlock]) -> Assembled:
    """Stiffness and supports of a load case."""
    dofs = DofMap(model.mesh.n_points, model.dimension)
    temperature = None if case.temperature is None else case.temperature.at_nodes(model)
    cells = stiffness_matrix(model, blocks, temperature)
    contributions = [m for s in (*model.supports, *case.supports) for m in s.matrices(model)]
    extra = _extra_terms(contributions, dofs.n_points, dofs.components)
    map_ = static_map(model, case, dofs)
    modes = rigid_modes(model.mesh.points, dofs.components, axisymmetric=model.axisymmetric)
    coarse = corner_coarsening(model, dofs.components)
    return Assembled(dofs, cells, tuple(extra), map_, _system(dofs, cells, extra, map_, modes, coarse))


def assemble_thermal(
    model: Model, case: LoadCase, blocks: Sequence[CellBlock], temperature: FloatArray | None = None
) -> Assembled:
    """Conductivity, convection and prescribed temperatures of a load case."""
    dofs = DofMap(model.mesh.n_points, 1)
    cells = conductivity_matrix(model, blocks, temperature)
    contributions = [m for load in case.heat_loads for m in load.matrices(model)]
    contributions += [m for s in (*model.heat_supports, *case.heat_supports) for m in s.matrices(model)]
    extra = _extra_terms(contributions, dofs.n_points, 1)
    fixed = np.ones(dofs.n_points, bool)
    fixed[model.mesh.used_nodes] = False
    value = np.zeros(dofs.n_points)
    for support in (*model.heat_supports, *case.heat_supports):
        for held in support.prescribed(model):
            fixed[held.nodes] = True
            value[held.nodes] = held.value
    map_ = AffineMap(fixed, value)
    modes = np.ones((dofs.n_points, 1))
    return Assembled(
        dofs, cells, tuple(extra), map_,
        _system(dofs, cells, extra, map_, modes, corner_coarsening(model, 1)),
    )  # fmt: skip


def thermal_stress_force(model: Model, case: LoadCase, blocks: Sequence[CellBlock]) -> FloatArray:
    """Nodal forces float64[n_points, 3], N, of the case's stress-free thermal strain."""
    out = np.zeros((model.mesh.n_points, 3))
    if case.temperature is None:
        return out
    temperature = case.temperature.at_nodes(model)
    for block in blocks:
        at = tables(block)
        free = thermal_strain(model, block, at, case)
        if free is None:
            continue
        tensor, tensor_of = elastic_tensors(model, block, at, temperature)
        stress = applied(tensor, tensor_of, free)
        center = block.element.gradient(block.element.center)[0]
        volume.stress_force(
            model.mesh.points, block.conn, at.shape, at.gradient, at.weight, at.modes, center, block.kind,
            block.bbar, model.dimension, block.scale, tensor, tensor_of, stress, out,
        )  # fmt: skip
    return out


def applied(tensors: FloatArray, which: IntArray, field: FloatArray) -> FloatArray:
    """Tensors [k, n, n] times a field [n_cells, q, n], each point with its own (see ``elastic_tensors``)."""
    if len(tensors) == 1:
        return np.asarray(field @ tensors[0].T)
    return np.asarray(np.einsum("cqij,cqj->cqi", tensors[which], field))


def strain_at(
    model: Model, case: LoadCase, block: CellBlock, at: PointTables, displacement: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Total strain and stress at table points, each float64[n_cells, p, 6].

    The strain includes what the kinematics leave out, such as the thinning of a sheet.
    """
    rule = tables(block)
    temperature = None if case.temperature is None else case.temperature.at_nodes(model)
    tensor, tensor_of = elastic_tensors(model, block, rule, temperature)
    initial = np.zeros((0, len(rule.xi), 6))
    if block.incompatible:
        free = thermal_strain(model, block, rule, case)
        if free is not None:
            initial = applied(tensor, tensor_of, free)
    strain = np.empty((len(block.conn), len(at.xi), 6))
    volume.strain(
        model.mesh.points, block.conn, rule.shape, rule.gradient, rule.weight, rule.modes,
        block.element.gradient(block.element.center)[0], block.kind, block.bbar, model.dimension,
        block.scale, tensor, tensor_of, initial, at.shape, at.gradient, at.modes, displacement, strain,
    )  # fmt: skip
    if isinstance(block.section, Truss):
        # Bars know their axial strain alone; the rest of the gradient is how they turn.
        along = _along(block, model.mesh.points)
        axial = np.einsum("cqi,ci->cq", strain, along)
        strain = axial[:, :, None] * (along * [1.0, 1.0, 1.0, 2.0, 2.0, 2.0])[:, None, :]
    local, local_of = elastic_tensors(model, block, at, temperature)
    free = thermal_strain(model, block, at, case)
    stress = applied(local, local_of, strain if free is None else strain - free)
    warm = _warmth(block, at, temperature, "stiffness")
    axes = block.section.axes(block.at(model.mesh.points, at.shape))
    return block.section.full_strain(strain, temperature=warm, axes=axes, thermal=free), stress
