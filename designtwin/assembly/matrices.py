"""Matrices and operators of all cells: cell matrices, in batches, added into a pattern that is made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

import numpy as np
from scipy import sparse

from designtwin import parallel
from designtwin.assembly.cells import CellBlock, conductivity_tensors, elastic_tensors, tables
from designtwin.assembly.tetrahedra import ElasticTetrahedra, HeatTetrahedra, Tensors, Tetrahedra
from designtwin.assembly.topology import NodePattern, Topology
from designtwin.assembly.unknowns import rigid_modes
from designtwin.kernels import pattern, volume
from designtwin.model.connections import bound_nodes
from designtwin.model.loads import NodalMatrices
from designtwin.model.model import Model
from designtwin.model.sections import Truss
from designtwin.solvers.system import Coarsening, FreeTerm, MatrixTerm, ScaledFreeTerm, SparseMatrix, Term
from designtwin.typing import FloatArray, IntArray

_BATCH_BYTES = 24_000_000  # of cell matrices held at once
_ISOTROPIC = 1e-12  # departure from Lame's form, over the largest entry

CellMatrices = Callable[[CellBlock, IntArray], FloatArray]
"""Matrices float64[k, n, n] of some cells of a block."""


def stiffness_of(model: Model, temperature: FloatArray | None = None) -> CellMatrices:
    """Stiffness matrices of cells, N/m."""

    def matrices(block: CellBlock, rows: IntArray) -> FloatArray:
        part = block.take(rows)
        at = tables(part)
        tensor, tensor_of = elastic_tensors(model, part, at, temperature)
        size = part.element.n_nodes * model.dimension
        center = part.element.gradient(part.element.center)[0]
        out = np.empty((len(part.conn), size, size))

        def cells(start: int, stop: int) -> None:
            volume.stiffness(
                model.mesh.points, part.conn[start:stop], at.shape, at.gradient, at.weight, at.modes, center,
                part.kind, part.bbar, model.dimension, part.scale[start:stop], tensor, tensor_of[start:stop],
                out[start:stop],
            )  # fmt: skip

        parallel.run(cells, len(part.conn), grain=32)
        return out

    return matrices


def conductivity_of(model: Model, temperature: FloatArray | None = None) -> CellMatrices:
    """Conductivity matrices of cells, W/K."""

    def matrices(block: CellBlock, rows: IntArray) -> FloatArray:
        part = block.take(rows)
        at = tables(part)
        tensor, tensor_of = conductivity_tensors(model, part, at, temperature)
        out = np.empty((len(part.conn), part.element.n_nodes, part.element.n_nodes))

        def cells(start: int, stop: int) -> None:
            volume.conductivity(
                model.mesh.points, part.conn[start:stop], at.shape, at.gradient, at.weight, part.kind,
                part.scale[start:stop], tensor, tensor_of[start:stop], out[start:stop],
            )  # fmt: skip

        parallel.run(cells, len(part.conn), grain=128)
        return out

    return matrices


def weighted_products(shape: FloatArray, weight: FloatArray) -> FloatArray:
    """The integral of N_i w N_j in each cell, float64[k, n, n], of weights float64[k, q] (volume in them)."""
    n = shape.shape[1]
    table = np.ascontiguousarray((shape[:, :, None] * shape[:, None, :]).reshape(len(shape), n * n))
    out = np.empty((len(weight), n * n))
    parallel.run(pattern.weighted, len(out), table, np.ascontiguousarray(weight), out, grain=512)
    return out.reshape(-1, n, n)


def _batches(
    topology: Topology, members: Iterable[tuple[int, IntArray]], components: int
) -> Iterable[tuple[CellBlock, IntArray]]:
    """Cells in batches, in the order in which their nodes are numbered."""
    for index, rows in members:
        block = topology.blocks[index]
        rows = rows[np.argsort(topology.place[block.conn[rows]].min(axis=1), kind="stable")]
        step = max(64, _BATCH_BYTES // (8 * (block.element.n_nodes * components) ** 2))
        for first in range(0, len(rows), step):
            yield block, rows[first : first + step]


def cell_matrix(
    topology: Topology,
    cell_matrices: CellMatrices,
    components: int,
    *,
    members: tuple[tuple[int, IntArray], ...] | None = None,
) -> SparseMatrix:
    """Cells, those that are kept if no others are stated, as one block-sparse matrix over places."""
    shared = topology.pattern if members is None else topology.pattern_of(members)
    data = shared.empty(components)
    for block, rows in _batches(topology, topology.kept if members is None else members, components):
        shared.add(data, topology.place[block.conn[rows]], cell_matrices(block, rows))
    return shared.matrix(data)


def corner_matrix(
    topology: Topology,
    cell_matrices: CellMatrices,
    components: int,
    free: Sequence[Term],
    *,
    kept: tuple[tuple[int, IntArray], ...] | None = None,
) -> SparseMatrix:
    """P^T A P of all cells (of the kept ones those stated) at the corners, from P^T K P of each cell.

    For a straight tetrahedron of one material that is the matrix of the linear tetrahedron. Of `free` those
    terms count that build no matrix.
    """
    shared = topology.corner_pattern
    data = shared.empty(components)
    if topology.free is not None:
        corners = topology.corner_number[topology.place[topology.free.conn[:, :4]]]
        for rows, matrices in chain.from_iterable(_corner_blocks(term) for term in free):
            shared.add(data, corners[rows], matrices)
    for block, rows in _batches(topology, topology.kept if kept is None else kept, components):
        matrices = cell_matrices(block, rows)
        ends = np.eye(block.element.n_nodes)[:, : block.element.corners]
        for i, (a, b) in enumerate(block.element.edges):
            ends[block.element.corners + i, [a, b]] = 0.5
        if len(ends) > ends.shape[1]:
            wide = np.kron(ends, np.eye(components))
            matrices = np.ascontiguousarray(wide.T @ (matrices @ wide))
        shared.add(data, topology.corner_conn(block, rows), matrices)
    return shared.matrix(data)


def stiffness_matrix(
    model: Model, blocks: Sequence[CellBlock], temperature: FloatArray | None = None
) -> SparseMatrix:
    """Stiffness of all cells in the mesh's own order of nodes, block-sparse [n_dof, n_dof], N/m."""
    return cell_matrix(Topology.plain(model.mesh, blocks), stiffness_of(model, temperature), model.dimension)


def conductivity_matrix(
    model: Model, blocks: Sequence[CellBlock], temperature: FloatArray | None = None
) -> SparseMatrix:
    """Conductivity of all cells in the mesh's own order of nodes, sparse [n_points, n_points], W/K."""
    return cell_matrix(Topology.plain(model.mesh, blocks), conductivity_of(model, temperature), 1)


def lame_constants(model: Model, block: CellBlock) -> tuple[float, float] | None:
    """Lame's constants of a block of one constant isotropic material, Pa; None for any other."""
    if isinstance(block.section, Truss) or block.section.material.varies_with_temperature("stiffness"):
        return None
    tensor, _ = elastic_tensors(model, block.take(np.arange(1)), tables(block), None)
    if len(tensor) != 1:
        return None
    lam, mu = float(tensor[0, 0, 1]), float(tensor[0, 3, 3])
    form = np.diag([2 * mu, 2 * mu, 2 * mu, mu, mu, mu])
    form[:3, :3] += lam
    same = np.abs(tensor[0] - form).max() <= _ISOTROPIC * np.abs(form).max()
    return (lam, mu) if same and mu > 0.0 else None


def static_topology(model: Model, blocks: Sequence[CellBlock]) -> Topology:
    """Numbers and patterns for displacement."""
    kinds = []
    for block in blocks:
        free = block.element.name == "tetra10" and model.dimension == 3
        kinds.append("" if not free else "general" if lame_constants(model, block) is None else "straight")
    return Topology.of(model.mesh, blocks, kinds, bound_nodes(model))


def thermal_topology(model: Model, blocks: Sequence[CellBlock]) -> Topology:
    """Numbers and patterns for temperature."""
    kinds = []
    for block in blocks:
        one = block.take(np.arange(1))
        varies = block.section.material.varies_with_temperature("conductivity")
        uniform = not varies and len(conductivity_tensors(model, one, tables(one), None)[0]) == 1
        kinds.append("" if block.element.name != "tetra10" else "straight" if uniform else "general")
    return Topology.of(model.mesh, blocks, kinds, bound_nodes(model, heat=True))


def stiffness_terms(
    model: Model, topology: Topology, temperature: FloatArray | None = None
) -> tuple[Term, ...]:
    """Stiffness of all cells: tetrahedra without a matrix first, then the matrix of the others."""
    of = stiffness_of(model, temperature)
    terms: list[Term] = []
    free = topology.free
    if free is not None:
        constants = []
        for index, rows in free.members:
            pair = lame_constants(model, topology.blocks[index]) or (np.nan, np.nan)
            constants.append(np.broadcast_to(np.array(pair), (len(rows), 2)))
        lam, mu = np.concatenate(constants).T.copy()

        def tensors_of(block: CellBlock) -> tuple[FloatArray, IntArray]:
            return elastic_tensors(model, block, tables(block), temperature)

        tensors = _tensors(topology, tensors_of, 6) if free.n_general else _no_tensors(6)
        assemble = partial(cell_matrix, topology, of, model.dimension, members=free.members)
        terms.append(ElasticTetrahedra(free, lam, mu, tensors, assemble))
    if topology.kept:
        terms.append(MatrixTerm(cell_matrix(topology, of, model.dimension)))
    return tuple(terms)


def conductivity_terms(
    model: Model, topology: Topology, temperature: FloatArray | None = None
) -> tuple[Term, ...]:
    """Conductivity of all cells, as `stiffness_terms`."""
    of = conductivity_of(model, temperature)
    terms: list[Term] = []
    if topology.free is not None:

        def tensors_of(block: CellBlock) -> tuple[FloatArray, IntArray]:
            return conductivity_tensors(model, block, tables(block), temperature)

        assemble = partial(cell_matrix, topology, of, 1, members=topology.free.members)
        terms.append(HeatTetrahedra(topology.free, _tensors(topology, tensors_of, 3), assemble))
    if topology.kept:
        terms.append(MatrixTerm(cell_matrix(topology, of, 1)))
    return tuple(terms)


def corner_sum(
    topology: Topology, terms: Sequence[Term], weights: SparseMatrix, components: int
) -> SparseMatrix:
    """P^T A P of a sum of terms, P = weights (x) I: of cells without a matrix one by one, of others as it is.

    Where corners follow others (see `assembly.constraints`), no cell without a matrix is near.
    """
    total = corner_matrix(topology, _none, components, terms, kept=())
    wide = _kron(weights, components)
    for term in terms:
        if not isinstance(term, FreeTerm):
            added = wide.T @ (term.matrix().tocsr() @ wide)
            total = total + added.tobsr(blocksize=(components, components))
    return total.tobsr(blocksize=(components, components))


def _none(block: CellBlock, rows: IntArray) -> FloatArray:
    raise AssertionError("no cells are kept")


def _corner_blocks(term: Term) -> Iterator[tuple[IntArray, FloatArray]]:
    """P^T A P of the cells of a term without a matrix; nothing for other terms."""
    if isinstance(term, ScaledFreeTerm):
        for rows, matrices in _corner_blocks(term.term):
            yield rows, term.factor * matrices
    elif isinstance(term, Tetrahedra):
        yield from term.corner_blocks()


def _tensors(
    topology: Topology, tensors_of: Callable[[CellBlock], tuple[FloatArray, IntArray]], size: int
) -> Tensors:
    """Material at the points of the rule of all free cells."""
    assert topology.free is not None
    values, which, count = [np.empty((0, size, size))], [], 0
    for index, rows in topology.free.members:
        tensor, tensor_of = tensors_of(topology.blocks[index].take(rows))
        values.append(tensor)
        which.append(tensor_of + count)
        count += len(tensor)
    return Tensors(np.concatenate(values), np.concatenate(which))


def _no_tensors(size: int) -> Tensors:
    return Tensors(np.empty((0, size, size)), np.empty((0, 4), np.int64))


def extra_terms(
    contributions: Sequence[NodalMatrices], topology: Topology, components: int
) -> tuple[Term, ...]:
    """Springs, foundations and convection facets, added up to one matrix."""
    groups, values = [], []
    for one in contributions:
        n = one.nodes.shape[1]
        stored = one.values.shape[1] // n
        matrices = one.values
        if stored > components:
            keep = (np.arange(n)[:, None] * stored + np.arange(components)).ravel()
            matrices = matrices[:, keep[:, None], keep[None, :]]
        groups.append(topology.place[one.nodes])
        values.append(np.ascontiguousarray(matrices))
    if not groups:
        return ()
    shared = NodePattern.of(topology.mesh.n_points, groups)
    data = shared.empty(components)
    for nodes, matrices in zip(groups, values, strict=True):
        shared.add(data, nodes, matrices)
    return (MatrixTerm(shared.matrix(data)),)


def corner_coarsening(
    model: Model,
    topology: Topology,
    cell_matrices: CellMatrices,
    components: int,
    terms: Sequence[Term] = (),
    extra: Sequence[Term] = (),
) -> Coarsening | None:
    """From a quadratic mesh to its corners: corners copy, mid nodes average; None for linear meshes."""
    if not topology.quadratic:
        return None
    weights = topology.corner_weights

    def matrix() -> SparseMatrix:
        total = corner_matrix(topology, cell_matrices, components, terms)
        if extra:
            wide = _kron(weights, components)
            for term in extra:
                added = wide.T @ (term.matrix().tocsr() @ wide)
                total = (total + added.tobsr(blocksize=(components, components))).tobsr(
                    blocksize=(components, components)
                )
        return total

    corners = topology.order[topology.corners]
    modes = rigid_modes(model.mesh.points[corners], components, axisymmetric=model.axisymmetric)
    return Coarsening(prolongation=weights, near_nullspace=modes, matrix=matrix)


def _kron(weights: SparseMatrix, components: int) -> SparseMatrix:
    return sparse.kron(weights, sparse.eye_array(components), format="csr")
