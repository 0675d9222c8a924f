"""From samples in the cells to values at nodes: averaged and recovered, never across materials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from designtwin.assembly import CellBlock, PointTables, tables
from designtwin.elements import sampling
from designtwin.kernels import pattern, recovery, volume
from designtwin.mesh import Mesh
from designtwin.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class ResultPoints:
    """The nodes of the mesh, split between parts, so that no value mixes two materials.

    Parameters
    ----------
    node : int64[k]
        Mesh point of each row; ascending where there is one part.
    part : int64[k]
        Index into ``model.parts``.
    cells : tuple of (element name, cell ids int64[n], rows int64[n, n_nodes])
        Connectivity in rows.
    xyz : float64[k, 3]
        m.
    """

    node: IntArray
    part: IntArray
    cells: tuple[tuple[str, IntArray, IntArray], ...]
    xyz: FloatArray

    def __len__(self) -> int:
        return len(self.node)

    def rows_at(self, nodes: IntArray) -> IntArray:
        """Rows that stand at the given mesh points, one per part."""
        return np.flatnonzero(np.isin(self.node, nodes))


@dataclass(frozen=True, eq=False)
class Recovery:
    """Sampling points of all cells and what turns samples into nodal values; one per mesh and model.

    Samples are ordered block by block, cell by cell.
    """

    mesh: Mesh
    blocks: tuple[CellBlock, ...]

    @cached_property
    def tables(self) -> tuple[PointTables, ...]:
        """Tables at the sampling points of each block."""
        return tuple(tables(block, sampling(block.element.name)[0]) for block in self.blocks)

    @cached_property
    def points(self) -> ResultPoints:
        """Nodes split between parts, and between bars."""
        n = self.mesh.n_points
        keys, bars = [], n * (1 + max(block.part for block in self.blocks))
        for block in self.blocks:
            if block.element.dimension == 1:
                # Each bar carries a force of its own; nothing is continuous from one to the next.
                keys.append(bars + np.arange(block.conn.size) * n + block.conn.ravel())
                bars += block.conn.size * n
            else:
                keys.append(block.conn.ravel() + block.part * n)
        unique, first, inverse = np.unique(np.concatenate(keys), return_index=True, return_inverse=True)
        inverse = inverse.reshape(-1)
        part = np.concatenate([np.full(block.conn.size, block.part) for block in self.blocks])[first]
        cells, at = [], 0
        for block in self.blocks:
            size = block.conn.size
            cells.append((block.element.name, block.cells, inverse[at : at + size].reshape(block.conn.shape)))
            at += size
        node = unique % n
        return ResultPoints(node, part, tuple(cells), self.mesh.points[node])

    @cached_property
    def _ragged(self) -> tuple[IntArray, IntArray]:
        """Rows of each cell: start [n_cells + 1] and rows, cells in block order."""
        sizes = np.concatenate([np.full(len(rows), rows.shape[1]) for _, _, rows in self.points.cells])
        rows = np.concatenate([rows.ravel() for _, _, rows in self.points.cells])
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), rows

    @cached_property
    def _incidence(self) -> tuple[IntArray, IntArray]:
        start_of_cell, rows = self._ragged
        start, cells = np.empty(len(self.points) + 1, np.int64), np.empty(len(rows), np.int64)
        pattern.incidence(len(self.points), start_of_cell, rows, start, cells)
        return start, cells

    @cached_property
    def _ends(self) -> tuple[IntArray, IntArray]:
        """Rows that are corners, and the two corners of every row."""
        ends = np.full((len(self.points), 2), -1, np.int64)
        for block, (_, _, rows) in zip(self.blocks, self.points.cells, strict=True):
            for i, (a, b) in enumerate(block.element.edges):
                ends[rows[:, block.element.corners + i]] = rows[:, [a, b]]
        for block, (_, _, rows) in zip(self.blocks, self.points.cells, strict=True):
            ends[rows[:, : block.element.corners]] = rows[:, : block.element.corners, None]
        return np.flatnonzero(ends[:, 0] == np.arange(len(ends))), ends

    @cached_property
    def _outside(self) -> BoolArray:
        """Rows on the surface of their part, interfaces to other parts included."""
        part_of = np.full(self.mesh.n_cells, -1, np.int64)
        for block in self.blocks:
            part_of[block.cells] = block.part
        out = np.zeros(len(self.points), bool)
        pairs = self.mesh.neighbors
        between = pairs[part_of[pairs[:, 0]] != part_of[pairs[:, 1]]]
        out[self.points.rows_at(self.mesh.nodes_of_facets(self.mesh.exterior))] = True
        if len(between):
            one, other = (self.mesh.nodes_of_cells(np.unique(column)) for column in between.T)
            shared = np.intersect1d(one, other)
            out[self.points.rows_at(shared)] = True
        return out

    @cached_property
    def sample_xyz(self) -> FloatArray:
        """Positions of all samples float64[s, 3], m."""
        return np.concatenate(
            [
                block.at(self.mesh.points, at.shape).reshape(-1, 3)
                for block, at in zip(self.blocks, self.tables, strict=True)
            ]
        )

    @cached_property
    def _sample_start(self) -> IntArray:
        sizes = np.concatenate(
            [np.full(len(b.conn), len(at.xi)) for b, at in zip(self.blocks, self.tables, strict=True)]
        )
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    @cached_property
    def _dimension(self) -> int:
        return 3 if self.mesh.dimension == 3 or not self.mesh.is_plane else 2

    def nodal(self, samples: FloatArray) -> FloatArray:
        """Values float64[k, c] to report: recovered; on surfaces of quadratic cells the mean with their own.

        Where a patch's polynomial ends it overshoots, and the values of the cells there, extrapolated from
        their superconvergent points, fall short of steep gradients: between the two the error is smallest
        over notches, bores and plates alike. First-order cells have nothing to add to the recovered value.
        """
        recovered = self.recovered(samples)
        quadratic = np.zeros(len(self.points), bool)
        for block, (_, _, rows) in zip(self.blocks, self.points.cells, strict=True):
            quadratic[rows] |= block.element.degree > 1
        between = 0.5 * (recovered + self.averaged(samples)[0])
        return np.where((self._outside & quadratic)[:, None], between, recovered)

    def recovered(self, samples: FloatArray) -> FloatArray:
        """Patch-recovered values float64[k, c] from samples float64[s, c]; lines are averaged."""
        start, cells = self._incidence
        cell_start, rows = self._ragged
        corners, ends = self._ends
        degree = np.concatenate([np.full(len(b.conn), b.element.degree) for b in self.blocks])
        out, count = np.empty((len(self.points), samples.shape[1])), np.empty(len(self.points), np.int64)
        recovery.patch_recovery(
            self._dimension, corners, self._outside, start, cells, cell_start, rows, degree, ends,
            self._sample_start, self.sample_xyz, np.ascontiguousarray(samples), self.points.xyz, out, count,
        )  # fmt: skip
        out /= np.maximum(count, 1)[:, None]
        lines = [i for i, b in enumerate(self.blocks) if b.element.dimension == 1]
        if lines:
            mean, _, _ = self.averaged(samples)
            for i in lines:
                on = self.points.cells[i][2].ravel()
                out[on] = mean[on]
        return out

    def at_cell_nodes(self, samples: FloatArray) -> tuple[FloatArray, ...]:
        """Each cell's own values at its nodes, a float64[n_cells, n_nodes, c] per block."""
        out, at = [], 0
        for block, table in zip(self.blocks, self.tables, strict=True):
            size = len(block.conn) * len(table.xi)
            local = samples[at : at + size].reshape(len(block.conn), len(table.xi), -1)
            out.append(np.einsum("ns,csk->cnk", sampling(block.element.name)[1], local))
            at += size
        return tuple(out)

    def averaged(self, samples: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, lowest and highest over the cells at each row, each float64[k, c]."""
        own = np.concatenate([v.reshape(-1, samples.shape[1]) for v in self.at_cell_nodes(samples)])
        shape = (len(self.points), samples.shape[1])
        mean, low, high = np.empty(shape), np.empty(shape), np.empty(shape)
        cell_start, rows = self._ragged
        recovery.average(cell_start, rows, own, mean, low, high, np.empty(shape[0], np.int64))
        return mean, low, high

    def measure(self, block: CellBlock, at: PointTables) -> FloatArray:
        """Volume that each table point of each cell stands for, float64[n_cells, q], m^3."""
        out = np.empty((len(block.conn), len(at.xi)))
        volume.measures(
            self.mesh.points, block.conn, at.shape, at.gradient, at.weight, block.kind, block.scale, out
        )
        return out

    def split(self, samples: FloatArray) -> Sequence[FloatArray]:
        """Samples [s, c] as one float64[n_cells, p, c] per block."""
        parts, at = [], 0
        for block, table in zip(self.blocks, self.tables, strict=True):
            size = len(block.conn) * len(table.xi)
            parts.append(samples[at : at + size].reshape(len(block.conn), len(table.xi), -1))
            at += size
        return parts
