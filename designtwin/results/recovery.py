"""From samples in the cells to values at nodes: averaged and recovered, never across materials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import numpy as np

from designtwin import parallel
from designtwin.assembly import CellBlock, PointTables, tables
from designtwin.elements import sampling
from designtwin.kernels import recovery, volume
from designtwin.mesh import Mesh
from designtwin.typing import BoolArray, FloatArray, IntArray

ShortArray: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]

_SHARE = 8192
"""Cells whose samples are computed at once; sums go share by share, so digits do not depend on threads."""
_GRAIN = 256
"""Rows or cells that one thread takes at least."""
_MOST_BOXES = 1000
"""Boxes that errors act between from afar."""
_BOX_NUMBER = np.array([1, 1 << 20, 1 << 40])


A = TypeVar("A", bound=np.ndarray[Any, Any])


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

    @property
    def by_element(self) -> dict[str, IntArray]:
        """Connectivity in rows, int64[n, n_nodes] for each element name."""
        found: dict[str, list[IntArray]] = {}
        for element, _, rows in self.cells:
            found.setdefault(element, []).append(rows)
        return {element: np.concatenate(parts) for element, parts in found.items()}

    def rows_at(self, nodes: IntArray) -> IntArray:
        """Rows that stand at the given mesh points, one per part."""
        return np.flatnonzero(np.isin(self.node, nodes))


@dataclass(frozen=True, eq=False)
class _Cells:
    """All cells as one list for the kernels; ``layout`` to ``row_cells`` as ``kernels.recovery`` has it."""

    row_start: ShortArray
    row_cells: ShortArray
    layout: IntArray
    block_of: np.ndarray[Any, np.dtype[np.int16]]
    rows: IntArray
    ends: IntArray
    extrapolation: FloatArray
    corners: ShortArray
    corner_of: ShortArray

    @property
    def around(self) -> tuple[Any, ...]:
        """Cells at each row, and rows and samples of each cell."""
        return self.row_start, self.row_cells, self.layout, self.block_of, self.rows


def shares(block: CellBlock) -> Iterator[tuple[slice, CellBlock]]:
    """The block, some thousands of cells at a time."""
    for start in range(0, len(block.conn), _SHARE):
        some = slice(start, start + _SHARE)
        part = replace(block, cells=block.cells[some], conn=block.conn[some], scale=block.scale[some])
        yield some, part


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
        node, part, n_rows = [], [], 0
        row_of: dict[int, IntArray] = {}
        for index in sorted({block.part for block in self.blocks if block.element.dimension > 1}):
            used = np.zeros(n, bool)
            for block in self.blocks:
                if block.part == index and block.element.dimension > 1:
                    used[block.conn] = True
            node.append(np.flatnonzero(used))
            part.append(np.full(len(node[-1]), index))
            row_of[index] = n_rows - 1 + np.cumsum(used)
            n_rows += len(node[-1])
        cells = []
        for block in self.blocks:
            if block.element.dimension == 1:
                # Each bar carries a force of its own; nothing is continuous from one to the next.
                rows = n_rows + np.arange(block.conn.size).reshape(block.conn.shape)
                node.append(block.conn.ravel())
                part.append(np.full(block.conn.size, block.part))
                n_rows += block.conn.size
            else:
                # Where one part uses all points, rows are points.
                rows = block.conn if n_rows == len(row_of) * n == n else row_of[block.part][block.conn]
            cells.append((block.element.name, block.cells, rows))
        nodes = np.concatenate(node)
        xyz = self.mesh.points if len(nodes) == n and len(node) == 1 else self.mesh.points[nodes]
        return ResultPoints(nodes, np.concatenate(part), tuple(cells), xyz)

    @cached_property
    def _cells(self) -> _Cells:
        kinds = [(block.element, len(rows), rows.shape[1]) for block, (_, _, rows) in self._with_rows()]
        most = max(n for _, _, n in kinds)
        samples = [len(at.xi) for at in self.tables]
        layout = np.zeros((len(kinds), 6), np.int64)
        ends = np.full((len(kinds), most, 2), -1, np.int64)
        extrapolation = np.zeros((len(kinds), most, max(samples)))
        k = len(self.points)
        corner = np.zeros(k, bool)
        for b, (_, (_, _, rows)) in enumerate(self._with_rows()):
            element, n_cells, n = kinds[b]
            layout[b, [1, 2, 5]] = n, samples[b], element.degree
            if b + 1 < len(kinds):
                layout[b + 1, [0, 3, 4]] = layout[b, [0, 3, 4]] + [n_cells, n_cells * n, n_cells * samples[b]]
            ends[b, element.corners : n] = np.reshape(element.edges, (-1, 2))
            extrapolation[b, :n, : samples[b]] = sampling(element.name)[1]
            corner[rows[:, : element.corners]] = True
        block_of = np.repeat(np.arange(len(kinds), dtype=np.int16), [size for _, size, _ in kinds])
        all_rows = [rows.reshape(-1) for _, (_, _, rows) in self._with_rows()]
        rows = _frozen(all_rows[0] if len(all_rows) == 1 else np.concatenate(all_rows))
        start, cells = np.empty(k + 1, np.int32), np.empty(len(rows), np.int32)
        recovery.incidence(layout, block_of, rows, start, cells)
        corners = np.flatnonzero(corner).astype(np.int32)
        corner_of = np.where(corner, np.cumsum(corner, dtype=np.int32) - 1, -1).astype(np.int32)
        return _Cells(start, cells, layout, block_of, rows, ends, extrapolation, corners, corner_of)

    def _with_rows(self) -> Iterator[tuple[CellBlock, tuple[str, IntArray, IntArray]]]:
        return zip(self.blocks, self.points.cells, strict=True)

    @cached_property
    def _outside(self) -> BoolArray:
        """Rows on the surface of their part, interfaces to other parts included."""
        mesh = self.mesh
        on = np.zeros(mesh.n_points, bool)
        on[mesh.nodes_of_facets(mesh.exterior)] = True
        if len({block.part for block in self.blocks}) > 1:
            part_of = np.full(mesh.n_cells, -1, np.int64)
            for block in self.blocks:
                part_of[block.cells] = block.part
            pairs = mesh.neighbors
            between = pairs[part_of[pairs[:, 0]] != part_of[pairs[:, 1]]]
            if len(between):
                one, other = (mesh.nodes_of_cells(np.unique(column)) for column in between.T)
                on[np.intersect1d(one, other)] = True
        return on[self.points.node]

    @property
    def _n_samples(self) -> int:
        return sum(len(block.conn) * len(at.xi) for block, at in zip(self.blocks, self.tables, strict=True))

    @property
    def sample_xyz(self) -> FloatArray:
        """Positions of all samples float64[s, 3], m."""
        out = np.empty((self._n_samples, 3))
        for (_, (_, _, rows)), at, view in zip(self._with_rows(), self.tables, self.split(out), strict=True):
            xyz = _frozen(self.points.xyz)
            parallel.run(recovery.interpolate, len(rows), _frozen(rows), at.shape, xyz, view, grain=_GRAIN)
        return out

    @cached_property
    def _dimension(self) -> int:
        return 3 if self.mesh.dimension == 3 or not self.mesh.is_plane else 2

    def sampled(self, values: Callable[[CellBlock, PointTables], FloatArray], components: int) -> FloatArray:
        """Samples float64[s, c] of what a function says of some cells of a block, float64[n, p, c]."""
        out = np.empty((self._n_samples, components))
        parts = []
        for (block, at), view in zip(
            zip(self.blocks, self.tables, strict=True), self.split(out), strict=True
        ):
            parts += [(part, at, view[some]) for some, part in shares(block)]

        def fill(start: int, stop: int) -> None:
            for part, at, view in parts[start:stop]:
                view[:] = values(part, at)

        parallel.run(fill, len(parts))
        return out

    def nodal(self, samples: FloatArray) -> FloatArray:
        """Values float64[k, c] to report: recovered; on surfaces of quadratic cells the mean with their own.

        Where a patch's polynomial ends it overshoots, and the values of the cells there, extrapolated from
        their superconvergent points, fall short of steep gradients: between the two the error is smallest
        over notches, bores and plates alike. First-order cells have nothing to add to the recovered value.
        """
        out = self.recovered(samples)
        quadratic = np.zeros(len(self.points), bool)
        for block, (_, _, rows) in self._with_rows():
            if block.element.degree > 1:
                quadratic[rows] = True
        between = np.flatnonzero(self._outside & quadratic).astype(np.int32)
        out[between] = 0.5 * (out[between] + self._average(samples, between)[0])
        return out

    def recovered(self, samples: FloatArray) -> FloatArray:
        """Patch-recovered values float64[k, c] from samples float64[s, c]; lines are averaged."""
        cells, c = self._cells, samples.shape[1]
        out = np.zeros((len(self.points), c))
        n_kept = len(cells.corners) if len(cells.corners) < len(out) else 0
        polynomial, frame = np.empty((n_kept, 10, c)), np.empty((n_kept, 3, 3))
        xyz = _frozen(self.points.xyz)
        parallel.run(
            recovery.fit_patches, len(cells.corners), self._dimension, cells.corners, self._outside,
            *cells.around, self.sample_xyz, samples, xyz, out, polynomial, frame, grain=_GRAIN,
        )  # fmt: skip
        if n_kept:
            parallel.run(
                recovery.between_corners, len(out), self._dimension, cells.corners, cells.corner_of,
                cells.ends, *cells.around, xyz, polynomial, frame, out, grain=_GRAIN,
            )  # fmt: skip
        lines = [rows.ravel() for block, (_, _, rows) in self._with_rows() if block.element.dimension == 1]
        if lines:
            on = np.concatenate(lines).astype(np.int32)
            out[on] = self._average(samples, on)[0]
        return out

    def at_cell_nodes(self, samples: FloatArray) -> tuple[FloatArray, ...]:
        """Each cell's own values at its nodes, a float64[n_cells, n_nodes, c] per block."""
        return tuple(
            np.einsum("ns,csk->cnk", sampling(block.element.name)[1], local)
            for block, local in zip(self.blocks, self.split(samples), strict=True)
        )

    def averaged(self, samples: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, lowest and highest over the cells at each row, each float64[k, c]."""
        return self._average(samples, np.arange(len(self.points), dtype=np.int32), spread=True)

    def mean(self, samples: FloatArray) -> FloatArray:
        """Mean over the cells at each row, float64[k, c]."""
        return self._average(samples, np.arange(len(self.points), dtype=np.int32))[0]

    def _average(
        self, samples: FloatArray, wanted: ShortArray, *, spread: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        cells, shape = self._cells, (len(wanted), samples.shape[1])
        mean = np.empty(shape)
        low, high = (np.empty(shape if spread else (0, shape[1])) for _ in range(2))
        parallel.run(
            recovery.average, len(wanted), wanted, *cells.around, cells.extrapolation, samples,
            mean, low, high, grain=_GRAIN,
        )  # fmt: skip
        return mean, low, high

    def against_neighbors(self, value: FloatArray) -> FloatArray:
        """What the neighbors of each row lead one to expect there, less the value there, float64[k, c]."""
        cells, out = self._cells, np.empty(value.shape)
        parallel.run(
            recovery.against_neighbors, len(out), self._dimension, *cells.around, _frozen(self.points.xyz),
            value, out, grain=_GRAIN,
        )  # fmt: skip
        return out

    @cached_property
    def _boxes(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Boxes that share out the part: which each cell lies in, int64[n_cells]; size (area in the plane)
        of each cell, float64[n_cells], m^d; and what a cell of unit strength and size in one box (column)
        does in another (row), float64[n, n], 1/m^d."""
        size, center = [], []
        for (block, (_, _, rows)), at in zip(self._with_rows(), self.tables, strict=True):
            plain = replace(block, kind=0, scale=np.ones(len(rows)))
            size.append(self.measure(plain, at).sum(axis=1))
            center.append(self.points.xyz[rows].mean(axis=1))
        measure, at_center = np.concatenate(size), np.concatenate(center)
        low = at_center.min(axis=0)
        power = 1.0 / self._dimension
        edge = float(measure.sum() / min(_MOST_BOXES, len(measure))) ** power
        while True:
            place = np.floor((at_center - low) / edge).astype(np.int64)
            found, box = np.unique(place @ _BOX_NUMBER, return_inverse=True)
            if len(found) <= _MOST_BOXES:
                break
            edge *= 1.2
        n = len(found)
        weight = np.bincount(box, measure, n)
        middle = np.stack([np.bincount(box, measure * x, n) / weight for x in at_center.T], axis=1)
        apart = ((middle[:, None] - middle[None]) ** 2).sum(axis=2) + np.maximum(edge, weight**power) ** 2
        return box, measure, apart ** (-0.5 * self._dimension)

    def from_afar(self, strength: FloatArray) -> FloatArray:
        """What cells of given strength float64[n_cells] do at each row, float64[k]: the sum of strength times
        size over distance to the power of the dimension, as stress falls off from a pair of forces."""
        box, measure, reach = self._boxes
        # not by BLAS, whose digits depend on its threads
        felt = np.einsum("ij,j->i", reach, np.bincount(box, strength * measure, len(reach)))
        return self.largest_around(felt[box][:, None])[:, 0]

    @cached_property
    def stretch(self) -> FloatArray:
        """How much longer than wide the longest cell at each row is, float64[k]; 1 for the reference element.

        From the axes of the ellipsoid of the corners' second moments, so that it does not depend on how a
        part lies in space; a flat cell counts less than a needle.
        """
        d, parts = self._dimension, []
        for block, (_, _, rows) in self._with_rows():
            element = block.element
            if element.dimension < d:
                parts.append(np.ones(len(rows)))
                continue
            corners = slice(element.corners)
            own = _slenderness(self.points.xyz[rows[:, corners]], d)
            parts.append(np.maximum(own / _slenderness(np.array([element.nodes[corners]]), d), 1.0))
        return self.largest_around(np.concatenate(parts)[:, None])[:, 0]

    def over_cells(self, value: FloatArray) -> FloatArray:
        """Per cell in block order, float64[n_cells, 4], of values float64[k, 2]: the root mean square of both
        over its nodes, the largest of the first, and the cell's extent, m."""
        cells = self._cells
        out = np.empty((len(cells.block_of), 4))
        parallel.run(
            recovery.over_cells, len(out), cells.layout, cells.block_of, cells.rows,
            _frozen(self.points.xyz), value, out, grain=_GRAIN,
        )  # fmt: skip
        return out

    def largest_around(self, per_cell: FloatArray) -> FloatArray:
        """The largest over the cells at each row, float64[k, v], of values >= 0, float64[n_cells, v]."""
        cells = self._cells
        out = np.empty((len(self.points), per_cell.shape[1]))
        parallel.run(
            recovery.largest_around, len(out), cells.row_start, cells.row_cells, per_cell, out, grain=_GRAIN
        )
        return out

    def energies(
        self,
        nodal: FloatArray,
        own: Callable[[CellBlock, PointTables], tuple[FloatArray, FloatArray, IntArray]],
    ) -> tuple[float, float]:
        """Energy of the error of the cells' own values against nodal ones float64[k, c], and of their own.

        ``own`` answers for some cells of a block: values float64[n, q, c], tensors float64[t, c, c] that turn
        them into an energy density, and which of these holds where, int64[n, q]. Bars do not count.
        """
        parts = [
            (part, tables(block, block.element.mass_quadrature), rows[some])
            for block, (_, _, rows) in self._with_rows() if block.element.dimension > 1
            for some, part in shares(block)
        ]  # fmt: skip
        sums = np.zeros((len(parts), 2))

        def add(start: int, stop: int) -> None:
            for i, (part, at, rows) in enumerate(parts[start:stop], start):
                sums[i] = recovery.error_energy(
                    _frozen(rows), at.shape, self.measure(part, at), nodal, *own(part, at)
                )

        parallel.run(add, len(parts))
        error, energy = sums.sum(axis=0).tolist() if len(sums) else (0.0, 0.0)
        return error, energy

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


def _slenderness(xyz: FloatArray, dimension: int) -> FloatArray:
    """Longest axis over the mean of the others of point clouds float64[n, p, 2 or 3], float64[n]."""
    away = xyz - xyz.mean(axis=1, keepdims=True)
    square = np.linalg.eigvalsh(np.swapaxes(away, 1, 2) @ away)[:, -dimension:]
    others = np.maximum(square[:, :-1], 1e-12 * square[:, -1:])
    return np.asarray(np.sqrt(square[:, -1]) / np.prod(others, axis=1) ** (0.5 / (dimension - 1)))


def _frozen(array: A) -> A:
    """A read-only view: kernels would compile once more for arrays that may be written."""
    view = array.view()
    view.setflags(write=False)
    return view
