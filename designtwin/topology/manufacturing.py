"""What can be made: symmetry, extrusion, no undercuts, no overhangs; and a check that looks anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

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


def extruded(mesh: Mesh, direction: FloatArray) -> MatrixFilter:
    """The mean of each column of cells along a direction, by volume."""
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
    volume = np.abs(mesh.cell_measures())
    total = np.bincount(column, volume)
    member = sparse.csr_array((np.ones(n), (np.arange(n), column)), shape=(n, len(total)))
    share = sparse.csr_array((volume / total[column], (column, np.arange(n))), shape=(len(total), n))
    return MatrixFilter(sparse.csr_array(member @ share))


def _reaching(
    mesh: Mesh, direction: FloatArray, tangent: float, slack: float = _SAME
) -> tuple[IntArray, IntArray, FloatArray]:
    """Cells from which each is reached in one step along a direction, within a cone and slack (in cells).

    Returns where the list of each begins, the cells, and the heights of all.
    """
    centers, h = mesh.cell_centers, cell_size(mesh)
    height = centers @ direction
    reach = 1.5 * h
    far = math.hypot(reach, reach * tangent + slack * h)
    pairs = cKDTree(centers).query_pairs(far, output_type="ndarray")
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    step = centers[pairs[:, 0]] - centers[pairs[:, 1]]
    along = step @ direction
    aside = np.sqrt(np.maximum((step**2).sum(axis=1) - along**2, 0.0))
    ok = (along > 0.3 * h) & (along <= reach) & (aside <= tangent * along * (1.0 + 1e-6) + slack * h)
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
        1 for cells on the plate.
    """

    order: IntArray
    start: IntArray
    below: IntArray
    free: FloatArray

    @classmethod
    def of(cls, mesh: Mesh, up: FloatArray, angle: float) -> Overhang:
        """For an angle from the plate, rad: what leans less than it needs support."""
        start, below, height = _reaching(mesh, up, 1.0 / math.tan(angle))
        lowest = (mesh.points[mesh.used_nodes] @ up).min()
        free = (height - lowest < cell_size(mesh)).astype(np.float64)
        return cls(np.argsort(height, kind="stable"), start, below, free)

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
    """A die is drawn along a direction: what lies below something solid is solid."""

    order: IntArray
    start: IntArray
    above: IntArray

    @classmethod
    def of(cls, mesh: Mesh, out: FloatArray) -> Draw:
        """For a die that is drawn towards `out`."""
        start, above, height = _reaching(mesh, -out, 0.0, 0.5)
        return cls(np.argsort(height, kind="stable"), start, above)

    def __call__(self, density: FloatArray) -> FloatArray:
        out = np.empty_like(density)
        layers.fill(self.order, self.start, self.above, density, _ROUND, out)
        return out

    def adjoint(self, density: FloatArray, slopes: FloatArray) -> FloatArray:
        out, back = self(density), np.empty_like(density)
        layers.fill_adjoint(self.order, self.start, self.above, density, _ROUND, out, slopes.copy(), back)
        return back


@dataclass(frozen=True, eq=False)
class OverhangCheck:
    """What of a design would be printed on air.

    Parameters
    ----------
    cells : int64[k]
        Solid cells with nothing solid under them within the angle.
    angle : float
        rad.
    """

    cells: IntArray
    angle: float

    def __bool__(self) -> bool:
        return not len(self.cells)

    def __str__(self) -> str:
        what = f"{len(self.cells):,} cells overhang" if len(self.cells) else "nothing overhangs"
        return f"{what} by less than {show(self.angle, 'angle')} from the plate"


def check_overhang(
    mesh: Mesh, solid: BoolArray, up: FloatArray, angle: float, *, exempt: BoolArray | None = None
) -> OverhangCheck:
    """Look at every solid cell for another below it, by geometry alone: knows nothing of the optimizer.

    A cell is held where it stands on the plate, or where the line to it from the center of a solid cell one
    step below rises no less than the angle.

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
    tree = cKDTree(centers[solid])
    held = np.zeros(len(ids), bool)
    reach = 1.5 * h
    around = tree.query_ball_point(centers[ids], reach * math.hypot(1.0, 1.0 / math.tan(angle)))
    for row, near in enumerate(around):
        step = centers[ids[row]] - centers[solid][near]
        along = step @ up
        lean = np.arctan2(along, np.linalg.norm(step - along[:, None] * up, axis=1))
        held[row] = bool(((along > 0.3 * h) & (along <= reach) & (lean >= angle - 2e-3)).any())
    return OverhangCheck(ids[~held], angle)
