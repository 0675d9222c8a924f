"""What can be made: symmetry, extrusion, no undercuts, no overhangs; and a check that looks anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from designtwin import parallel
from designtwin.errors import StudyError
from designtwin.kernels import layers
from designtwin.mesh.mesh import Mesh
from designtwin.topology.filters import MatrixFilter
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.units import show, to_si

AXES = {
    sign + axis: (-1.0 if sign == "-" else 1.0) * np.eye(3)[i]
    for i, axis in enumerate("xyz") for sign in ("", "+", "-")
}  # fmt: skip
_POWER, _HALF = 40.0, 0.5
"""Langelaar's P, and the density at which smax of equals is exact."""
_ROUND = 1e-4
_SAME = 1e-3
"""Share of a cell within which two centers are in one place."""
_ABOVE, _ASIDE = 0.3, 0.5
"""Shares of a cell: from which on one is above another, and how far aside it may be to be right above."""
_DENSEST, _LEAST = 20.0, 1e-9
"""Power of the mean that stands for the densest, and the least density in it."""


class Shaping(Protocol):
    """A map of densities that is not linear."""

    def __call__(self, density: FloatArray) -> FloatArray:
        """Densities that can be made, float64[n_cells]."""

    def adjoint(self, density: FloatArray, slopes: FloatArray) -> FloatArray:
        """Slopes by `density` from those by what was made of it, float64[n_cells]."""


def axis_of(given: Any, name: str) -> FloatArray:
    """A direction "x", "-z", or a vector, as float64[3] of length 1.

    Raises
    ------
    StudyError
        If it is none.
    """
    if isinstance(given, str) and given in AXES:
        return np.asarray(AXES[given], np.float64)
    try:
        vector = np.zeros(0) if isinstance(given, str) else np.asarray(given, np.float64)
    except (TypeError, ValueError):
        vector = np.zeros(0)
    if vector.shape != (3,) or not 0.0 < np.linalg.norm(vector) < np.inf:
        raise StudyError(f"{name} is {given!r}; a direction is wanted: 'x', '-z', or three numbers")
    return np.asarray(vector / np.linalg.norm(vector))


def cell_size(mesh: Mesh) -> float:
    """Edge of a square or cube of the median cell, m."""
    measure = float(np.median(np.abs(mesh.cell_measures())))
    return float(measure ** (1.0 / mesh.dimension))


def mirrored(mesh: Mesh, planes: Any) -> tuple[MatrixFilter, tuple[str, ...]]:
    """The mean of each cell and its mirror images, and notes where the mesh is not symmetric.

    Parameters
    ----------
    planes : "x", ("x", "12 mm") or a list of these
        Normal of each plane, through the middle of the mesh or where said.

    Raises
    ------
    StudyError
        If a plane is none, or most of the mesh has nothing on its other side.
    """
    centers, h = mesh.cell_centers, cell_size(mesh)
    tree, n = cKDTree(centers), mesh.n_cells
    weights, notes = sparse.eye_array(n, format="csr"), []
    for plane in _planes(planes):
        normal, at = plane if isinstance(plane, tuple) and len(plane) == 2 else (plane, None)
        direction = axis_of(normal, "symmetry")
        middle = mesh.extents.mean(axis=0) @ direction
        where = middle if at is None else float(to_si(at, "length", name="symmetry"))
        image = centers - 2.0 * ((centers @ direction) - where)[:, None] * direction
        off, other = tree.query(image)
        there = off < h
        if there.mean() < 0.5:
            raise StudyError(
                f"symmetry about {normal} at {show(where, 'length')}: {1.0 - there.mean():.0%} of the cells "
                "have nothing on the other side; is that where the plane of symmetry is?"
            )
        if off.max() > _SAME * h:
            notes.append(
                f"the mesh is not symmetric about {normal} at {show(where, 'length')}: the design is so to "
                f"within {show(float(off[there].max()), 'length')}"
            )
        # A cell and its image take the mean of both, from whichever side they are seen.
        other = np.where(there, other, np.arange(n))
        image_of = sparse.csr_array((np.ones(n), (np.arange(n), other)), shape=(n, n))
        weights = 0.5 * (sparse.eye_array(n) + image_of) @ weights
    return MatrixFilter(sparse.csr_array(weights)), tuple(notes)


def _planes(given: Any) -> list[Any]:
    if not isinstance(given, str | Sequence):
        raise StudyError(
            f"symmetry is {given!r}; a plane 'x' or ('x', '12 mm'), or a list of these is wanted"
        )
    pair = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str)
    one = isinstance(given, str) or (pair and not (isinstance(given[1], str) and given[1] in AXES))
    return [given] if one else list(given)


def _columns(mesh: Mesh, direction: FloatArray) -> IntArray:
    """The column along a direction that each cell is in, int64[n_cells]."""
    centers, h = mesh.cell_centers, cell_size(mesh)
    across = np.linalg.svd(direction[None])[2][1:]
    flat = centers @ across.T
    pairs = cKDTree(flat).query_pairs(_SAME * h, output_type="ndarray")
    n = mesh.n_cells
    graph = sparse.coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, column = sparse.csgraph.connected_components(graph, directed=False)
    if count > 0.5 * n:
        # No columns in the mesh: what lies in one square of a cell's size is one.
        column = np.unique(np.round(flat / h).astype(np.int64), axis=0, return_inverse=True)[1].ravel()
    return np.asarray(column, np.int64)


def extruded(mesh: Mesh, direction: FloatArray) -> MatrixFilter:
    """The mean of each column of cells along a direction, by volume."""
    column, n = _columns(mesh, direction), mesh.n_cells
    volume = np.abs(mesh.cell_measures())
    total = np.bincount(column, volume)
    member = sparse.csr_array((np.ones(n), (np.arange(n), column)), shape=(n, len(total)))
    share = sparse.csr_array((volume / total[column], (column, np.arange(n))), shape=(len(total), n))
    return MatrixFilter(sparse.csr_array(member @ share))


def heights(mesh: Mesh, direction: FloatArray) -> FloatArray:
    """Share of the volume of its column that is below the middle of each cell, float64[n_cells].

    A design that tells only how far columns are filled has no undercuts, and nothing to gain from grays:
    with densities of their own, a sheet of half the density bends as stiffly as half its height, and stays.

    Source: Gersborg & Andreasen, An explicit parameterization for casting constraints in gradient driven
    topology optimization, Struct. Multidisc. Optim. 44 (2011), 875-881.
    """
    column, volume = _columns(mesh, direction), np.abs(mesh.cell_measures())
    order = np.lexsort((mesh.cell_centers @ direction, column))
    filled = np.cumsum(volume[order])
    total = np.bincount(column, volume)
    before = (np.cumsum(total) - total)[column[order]]
    out = np.empty(mesh.n_cells)
    out[order] = (filled - 0.5 * volume[order] - before) / total[column[order]]
    return out


def _touching(mesh: Mesh) -> IntArray:
    """Pairs of cells with a node in common, both ways round, int64[k, 2]."""
    cells = np.concatenate([np.repeat(ids, conn.shape[1]) for _, ids, conn in mesh.blocks()])
    nodes = np.concatenate([conn.ravel() for _, _, conn in mesh.blocks()])
    of = sparse.csr_array((np.ones(len(cells)), (cells, nodes)), shape=(mesh.n_cells, mesh.n_points))
    alike = (of @ of.T).tocoo()
    pairs = np.stack([alike.row, alike.col], axis=1)
    return np.asarray(pairs[pairs[:, 0] != pairs[:, 1]], np.int64)


def _slack(mesh: Mesh) -> float:
    """How far beside the cone of an overhang cells still hold, m: simplices do not stand upon each other."""
    ragged = any(name.startswith(("tetra", "triangle")) for name in mesh.cells)
    return (_ASIDE if ragged else _SAME) * cell_size(mesh)


def _reaching(mesh: Mesh, direction: FloatArray, tangent: float) -> tuple[IntArray, IntArray, FloatArray]:
    """Cells that touch each and lie one step back along a direction, within a cone.

    Returns where the list of each begins, the cells, and the heights of all.
    """
    centers = mesh.cell_centers
    height = centers @ direction
    pairs = _touching(mesh)
    step = centers[pairs[:, 0]] - centers[pairs[:, 1]]
    along = step @ direction
    aside = np.sqrt(np.maximum((step**2).sum(axis=1) - along**2, 0.0))
    ok = (along > _ABOVE * cell_size(mesh)) & (aside <= tangent * along * (1.0 + 1e-6) + _slack(mesh))
    pairs = pairs[ok]
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    start = np.concatenate([[0], np.cumsum(np.bincount(pairs[:, 0], minlength=mesh.n_cells))])
    return start.astype(np.int64), np.ascontiguousarray(pairs[:, 1]), height


@dataclass(frozen=True, eq=False)
class Overhang:
    """Every cell rests on cells below it, within a cone of the steepest overhang that prints.

    Parameters
    ----------
    order, start, below : int64 arrays
        Cells from the plate up, and what each may rest on.
    free : float64[n_cells]
        1 for cells on the plate, and for those that stay whatever they rest on: others rest on them.
    """

    order: IntArray
    start: IntArray
    below: IntArray
    free: FloatArray

    @classmethod
    def of(cls, mesh: Mesh, up: FloatArray, angle: float, kept: BoolArray | None = None) -> Overhang:
        """For an angle from the plate, rad: what leans less needs support, unless it is kept anyway."""
        start, below, height = _reaching(mesh, up, 1.0 / math.tan(angle))
        lowest = (mesh.points[mesh.used_nodes] @ up).min()
        free = height - lowest < cell_size(mesh)
        if kept is not None:
            free |= kept
        return cls(np.argsort(height, kind="stable"), start, below, free.astype(np.float64))

    @property
    def _root(self) -> float:
        many = float(np.median(np.diff(self.start)[self.free < 0.5])) if (self.free < 0.5).any() else 1.0
        return _POWER + math.log(max(many, 1.0)) / math.log(_HALF)

    def __call__(self, density: FloatArray) -> FloatArray:
        return self._swept(density)[1]

    def _swept(self, density: FloatArray) -> tuple[FloatArray, FloatArray]:
        most, out = np.empty_like(density), np.empty_like(density)
        layers.rest(
            self.order, self.start, self.below, self.free, density, _POWER, self._root, _ROUND, most, out
        )
        return most, out

    def adjoint(self, density: FloatArray, slopes: FloatArray) -> FloatArray:
        most, out = self._swept(density)
        back = np.empty_like(density)
        layers.rest_adjoint(
            self.order, self.start, self.below, self.free, density, _POWER, self._root, _ROUND, most, out,
            slopes.copy(), back,
        )  # fmt: skip
        return back

    def cleaned(self, solid: BoolArray) -> BoolArray:
        """Solid cells less those that rest on nothing, from the plate up."""
        out = solid.copy()
        for cell in self.order:
            if out[cell] and not self.free[cell]:
                out[cell] = out[self.below[self.start[cell] : self.start[cell + 1]]].any()
        return out


@dataclass(frozen=True, eq=False)
class Draw:
    """A die is drawn along a direction: what lies below something solid, within the draft, is solid.

    Parameters
    ----------
    height : float64[n_cells]
        Of centers along the direction, m.
    aside : float64[n_cells, 2]
        Across it, m, from a corner.
    bins : int64[2]
        Squares across that cells are sorted into.
    begin : int64[bins[0] * bins[1] + 1]
    falling, rising : int64[n_cells]
        Cells of each square, highest first, and lowest first.
    size : float
        Edge of a cell and of a square, m.
    tangent : float
        Of the draft.
    """

    height: FloatArray
    aside: FloatArray
    bins: IntArray
    begin: IntArray
    falling: IntArray
    rising: IntArray
    size: float
    tangent: float

    @classmethod
    def of(cls, mesh: Mesh, out: FloatArray, draft: float = 0.0) -> Draw:
        """For a die that is drawn towards `out`, with walls that lean by `draft`, rad, from it."""
        centers, h = mesh.cell_centers, cell_size(mesh)
        height = centers @ out
        aside = centers @ np.linalg.svd(out[None])[2][1:].T
        aside -= aside.min(axis=0) - 0.5 * h
        square = (aside / h).astype(np.int64)
        bins = square.max(axis=0) + 1
        number = square @ np.array([bins[1], 1])
        begin = np.concatenate([[0], np.cumsum(np.bincount(number, minlength=int(bins.prod())))])
        return cls(
            height, np.ascontiguousarray(aside), bins, begin.astype(np.int64), np.lexsort((-height, number)),
            np.lexsort((height, number)), h, math.tan(draft),
        )  # fmt: skip

    def __call__(self, density: FloatArray) -> FloatArray:
        return self._filled(density)[1]

    def _filled(self, density: FloatArray) -> tuple[FloatArray, FloatArray]:
        total, out = np.empty_like(density), np.empty_like(density)
        where = self._where(self.falling, self.height.max())
        parallel.run(layers.fill, len(density), *where, density, total, out, grain=256)
        return total, out

    def adjoint(self, density: FloatArray, slopes: FloatArray) -> FloatArray:
        total, out = self._filled(density)
        back = np.empty_like(density)
        where = self._where(self.rising, self.height.min())
        parallel.run(
            layers.fill_adjoint, len(density), *where, density, total, out, np.ascontiguousarray(slopes),
            back, grain=256,
        )  # fmt: skip
        return back

    def _where(self, member: IntArray, end: float) -> tuple[Any, ...]:
        return (
            self.height, self.aside, self.bins, self.begin, member, float(end), self.size,
            self.tangent, _ASIDE * self.size, _ABOVE * self.size, _DENSEST, _LEAST,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class MakingCheck:
    """What of a design cannot be made as was asked.

    Parameters
    ----------
    cells : int64[k]
        Cells at fault.
    fault : str
        What they do, in words.
    """

    cells: IntArray
    fault: str

    def __bool__(self) -> bool:
        return not len(self.cells)

    def __str__(self) -> str:
        return f"{len(self.cells):,} cells {self.fault}" if len(self.cells) else f"no cells {self.fault}"


def check_overhang(
    mesh: Mesh, solid: BoolArray, up: FloatArray, angle: float, *, exempt: BoolArray | None = None
) -> MakingCheck:
    """Look at every solid cell for another below it, by geometry alone: knows nothing of the optimizer.

    A cell is held where it stands on the plate, or where the line to it from the center of a solid cell that
    it touches rises no less than the angle; between tetrahedra or triangles, to within half a cell.

    Parameters
    ----------
    solid : bool[n_cells]
    up : float64[3]
    angle : float
        From the plate, rad.
    exempt : bool[n_cells], optional
        Cells that are not looked at.
    """
    centers, h = mesh.cell_centers, cell_size(mesh)
    lowest = float((mesh.points[mesh.used_nodes] @ up).min())
    looked = solid if exempt is None else solid & ~exempt
    ids = np.flatnonzero(looked & (centers @ up - lowest >= h))
    cells_at: dict[int, list[int]] = {}
    nodes_of: dict[int, list[int]] = {}
    for _, cells, conn in mesh.blocks():
        for cell, nodes in zip(cells[solid[cells]].tolist(), conn[solid[cells]].tolist(), strict=True):
            nodes_of[cell] = nodes
            for node in nodes:
                cells_at.setdefault(node, []).append(cell)
    held, slack = np.zeros(len(ids), bool), _slack(mesh)
    for row, cell in enumerate(ids.tolist()):
        near = [other for node in nodes_of[cell] for other in cells_at[node]]
        step = centers[cell] - centers[near]
        along = step @ up
        off = np.maximum(np.linalg.norm(step - along[:, None] * up, axis=1) - slack, 0.0)
        held[row] = bool(((along > _ABOVE * h) & (np.arctan2(along, off) >= angle - 2e-3)).any())
    return MakingCheck(ids[~held], f"overhang by less than {show(angle, 'angle')} from the plate")


def check_draft(
    mesh: Mesh, solid: BoolArray, out: FloatArray, draft: float, *, exempt: BoolArray | None = None
) -> MakingCheck:
    """Look up from every empty cell for a solid one in the way of the die, by geometry alone.

    No center of a solid cell may lie in the cone that opens by the draft from the center of an empty one.

    Parameters
    ----------
    solid : bool[n_cells]
    out : float64[3]
        The way of the die.
    draft : float
        Lean of the walls from it, rad.
    exempt : bool[n_cells], optional
        Empty cells that are not looked at.
    """
    centers, h = mesh.cell_centers, cell_size(mesh)
    ids = np.flatnonzero(~solid if exempt is None else ~solid & ~exempt)
    above, blocked = centers[solid], np.zeros(len(ids), bool)
    if len(above) and len(ids):
        across = np.linalg.svd(out[None])[2][1:].T
        highest = float((above @ out).max())
        reach = math.tan(draft) * np.maximum(highest - centers[ids] @ out, 0.0) + 1e-6 * h
        around = cKDTree(above @ across).query_ball_point(centers[ids] @ across, reach)
        for row, near in enumerate(around):
            step = above[near] - centers[ids[row]]
            along, off = step @ out, np.linalg.norm(step @ across, axis=1)
            blocked[row] = bool(((along > _ABOVE * h) & (off <= math.tan(draft) * along + 1e-6 * h)).any())
    return MakingCheck(ids[blocked], f"lie in the way of a die of {show(draft, 'angle')} draft")
