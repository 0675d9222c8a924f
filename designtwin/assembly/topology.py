"""What of a model's equations does not change with loads: numbers of nodes, patterns, corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from designtwin import parallel
from designtwin.assembly.cells import CellBlock
from designtwin.assembly.tetrahedra import FreeCells
from designtwin.assembly.unknowns import DofMap
from designtwin.elements import ELEMENTS
from designtwin.kernels import pattern, tetra
from designtwin.mesh import Mesh
from designtwin.solvers.system import SparseMatrix
from designtwin.typing import BoolArray, FloatArray, IntArray

_STRAIGHT = 1e-10
"""Distance of a mid node from the middle of its edge, over its length, below which the edge is straight."""


@dataclass(frozen=True, eq=False)
class NodePattern:
    """Which nodes share a cell: block-sparse row pointers and sorted columns."""

    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]

    @classmethod
    def of(cls, n_points: int, groups: Sequence[IntArray]) -> NodePattern:
        """Pattern of cells given as arrays of node numbers [k, n], any mix of n."""
        nodes = np.concatenate([g.ravel() for g in groups]) if groups else np.empty(0, np.int64)
        counts = np.concatenate([[0], *(np.full(len(g), g.shape[1]) for g in groups)])
        cell_start = np.cumsum(counts).astype(np.int64)
        start, cells = np.empty(n_points + 1, np.int64), np.empty(len(nodes), np.int64)
        pattern.incidence(n_points, cell_start, nodes, start, cells)
        indptr = np.zeros(n_points + 1, np.int32)
        known = (start, cells, cell_start, nodes, indptr)
        parallel.run(pattern.neighbors, n_points, *known, np.empty(0, np.int32), grain=4096)
        np.cumsum(indptr, out=indptr)
        indices = np.empty(indptr[-1], np.int32)
        parallel.run(pattern.neighbors, n_points, *known, indices, grain=4096)
        return cls(indptr, indices)

    def empty(self, block: int) -> FloatArray:
        return np.zeros((len(self.indices), block, block))

    def add(self, data: FloatArray, nodes: IntArray, matrices: FloatArray) -> None:
        """Add cell matrices float64[k, n * b, n * b] at nodes int64[k, n]."""
        if not nodes.size:
            return
        first, last = int(nodes.min()), int(nodes.max()) + 1
        grain = max(64, (last - first) // 64)  # threads own rows, so that sums keep the order of cells

        def rows(begin: int, end: int) -> None:
            pattern.add_blocks(first + begin, first + end, self.indptr, self.indices, nodes, matrices, data)

        parallel.run(rows, last - first, grain=grain)

    def slots(self, nodes: IntArray) -> NDArray[np.int32]:
        """Where the entries of cells at nodes int64[k, n] are, int32[k, n * n]: to add them many times."""
        out = np.empty((len(nodes), nodes.shape[1] ** 2), np.int32)
        nodes = np.ascontiguousarray(nodes)
        parallel.run(pattern.find_slots, len(nodes), self.indptr, self.indices, nodes, out, grain=1024)
        return out

    def matrix(self, data: FloatArray) -> SparseMatrix:
        """Block-sparse matrix over these entries."""
        n = (len(self.indptr) - 1) * data.shape[1]
        matrix = sparse.bsr_array((data, self.indices, self.indptr), shape=(n, n))
        matrix.has_canonical_format = True
        return matrix


@dataclass(frozen=True, eq=False)
class Topology:
    """Numbers of nodes and patterns of a mesh; made once, used for every material, load and step.

    Unknowns follow a curve through the part, not the numbers of the mesh: what is near in space is near in
    memory, and each thread has its own stretch.

    Parameters
    ----------
    mesh : Mesh
    blocks : tuple of CellBlock
        All cells of the model.
    order : int64[n_points]
        Node of the mesh at each place.
    place : int64[n_points]
        The other way round.
    free : FreeCells, optional
        Cells multiplied without a matrix.
    kept : tuple of (index of block, rows)
        The other cells.
    """

    mesh: Mesh
    blocks: tuple[CellBlock, ...]
    order: IntArray
    place: IntArray
    free: FreeCells | None
    kept: tuple[tuple[int, IntArray], ...]

    @classmethod
    def of(
        cls, mesh: Mesh, blocks: Sequence[CellBlock], kinds: Sequence[str], bound: IntArray | None = None
    ) -> Topology:
        """Number the nodes.

        Parameters
        ----------
        kinds : sequence of "", "straight" or "general"
            Of each block: matrices are built of its cells; none are, of straight cells in the short way; none
            are.
        bound : int64[k], optional
            Nodes that may follow others: cells there keep their matrix.
        """
        apart = np.zeros(mesh.n_points, bool)
        if bound is not None:
            apart[bound] = True
        kept: list[tuple[int, IntArray]] = []
        members: list[tuple[int, IntArray]] = []
        for index, (block, kind) in enumerate(zip(blocks, kinds, strict=True)):
            away = np.full(len(block.conn), bool(kind))
            if kind and apart.any():
                away &= ~apart[block.conn].any(axis=1)
            for rows, goes in ((np.flatnonzero(away), members), (np.flatnonzero(~away), kept)):
                if rows.size:
                    goes.append((index, rows))
        if members:
            parts = [blocks[i].take(rows) for i, rows in members]
            straight = np.concatenate([straight_cells(mesh, part) for part in parts])
            short = np.concatenate([np.full(len(rows), kinds[i] == "straight") for i, rows in members])
            conn = parts[0].conn if len(parts) == 1 else np.concatenate([part.conn for part in parts])
            conn.setflags(write=False)
            plan = tetra.plan(conn, mesh.numbering_points, ~(straight & short))
            free = FreeCells(plan, conn, mesh.points, not straight.all(), tuple(members))
            order, place = plan.nodes.astype(np.int64), plan.number.astype(np.int64)
            return cls(mesh, tuple(blocks), order, place, free, tuple(kept))
        order = along_curve(mesh.numbering_points)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return cls(mesh, tuple(blocks), order, place, None, tuple(kept))

    @classmethod
    def plain(cls, mesh: Mesh, blocks: Sequence[CellBlock]) -> Topology:
        """The mesh's own numbers, and no cells without a matrix."""
        same = np.arange(mesh.n_points)
        kept = tuple((i, np.arange(len(block.conn))) for i, block in enumerate(blocks))
        return cls(mesh, tuple(blocks), same, same, None, kept)

    def dofs(self, components: int) -> DofMap:
        """Numbers of unknowns."""
        return DofMap(self.mesh.n_points, components, order=self.order)

    @cached_property
    def pattern(self) -> NodePattern:
        """Pattern of the kept cells."""
        return self.pattern_of(self.kept)

    def pattern_of(self, members: Sequence[tuple[int, IntArray]]) -> NodePattern:
        """Pattern of some cells, given as (index of block, rows)."""
        groups = [self.place[self.blocks[i].conn[rows]] for i, rows in members]
        return NodePattern.of(self.mesh.n_points, groups)

    @property
    def quadratic(self) -> bool:
        """Whether some cells have mid nodes."""
        return any(ELEMENTS[name].edges for name in self.mesh.cells)

    @cached_property
    def corners(self) -> BoolArray:
        """Places that are corners."""
        out = np.zeros(self.mesh.n_points, bool)
        for name, conn in self.mesh.cells.items():
            out[conn[:, : ELEMENTS[name].corners]] = True
        return out[self.order]

    @cached_property
    def corner_number(self) -> IntArray:
        """Number of each place among the corners, -1 for mid nodes."""
        return np.where(self.corners, np.cumsum(self.corners) - 1, -1)

    @cached_property
    def corner_weights(self) -> SparseMatrix:
        """From corners to all nodes: corners copy, mid nodes take the mean of their ends; CSR."""
        ends = np.full((self.mesh.n_points, 2), -1, np.int32)  # by place: numbers of corners
        for name, conn in self.mesh.cells.items():
            element = ELEMENTS[name]
            for i, (a, b) in enumerate(element.edges):
                mid = self.place[conn[:, element.corners + i]]
                ends[mid, 0] = self.corner_number[self.place[conn[:, a]]]
                ends[mid, 1] = self.corner_number[self.place[conn[:, b]]]
        corner = np.flatnonzero(self.corners)
        ends[corner, 0], ends[corner, 1] = np.arange(len(corner)), -1
        used = ends >= 0
        indptr = np.zeros(len(ends) + 1, np.int32)
        np.cumsum(used.sum(axis=1), out=indptr[1:])
        indices, data = ends[used], np.full(indptr[-1], 0.5)
        data[indptr[corner]] = 1.0
        return sparse.csr_array((data, indices, indptr), shape=(len(ends), len(corner)))

    @cached_property
    def corner_pattern(self) -> NodePattern:
        """Pattern of all cells' corners, in corner numbers."""
        groups = [self.corner_conn(block) for block in self.blocks]
        return NodePattern.of(int(self.corners.sum()), groups)

    def corner_conn(self, block: CellBlock, rows: IntArray | slice = slice(None)) -> IntArray:
        """Corner numbers of cells of a block, [k, corners]."""
        return np.asarray(self.corner_number[self.place[block.conn[rows, : block.element.corners]]])


def straight_cells(mesh: Mesh, block: CellBlock) -> BoolArray:
    """Which tetrahedra of a block have straight edges, bool[n_cells]."""
    bent = np.empty(len(block.conn), bool)
    parallel.run(tetra.curved, len(bent), block.conn, mesh.points, _STRAIGHT, bent, grain=4096)
    return ~bent


def along_curve(points: FloatArray) -> IntArray:
    """Points in the order of Morton's curve, int64[n]."""
    low = points.min(axis=0)
    extent = max(float(np.ptp(points, axis=0).max()), 1e-300)
    keys = np.empty(len(points), np.int64)
    parallel.run(pattern.curve_keys, len(points), points, low, 0.999 * 2**20 / extent, keys, grain=16384)
    return np.asarray(np.argsort(keys, kind="stable"))
