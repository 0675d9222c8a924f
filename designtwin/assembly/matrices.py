"""Matrices of all cells: which nodes share a cell, and cell matrices added into that pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from designtwin.assembly.cells import CellBlock, conductivity_tensors, elastic_tensors, tables
from designtwin.assembly.unknowns import rigid_modes
from designtwin.elements import ELEMENTS
from designtwin.kernels import pattern, volume
from designtwin.model.loads import NodalMatrices
from designtwin.model.model import Model
from designtwin.solvers.system import Coarsening, MatrixTerm, SparseMatrix, Term
from designtwin.typing import FloatArray, IntArray


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
