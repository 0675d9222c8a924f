"""The design as a closed smooth surface of the volume that was designed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import brentq
from scipy.sparse.csgraph import connected_components

from designtwin.elements import ELEMENTS
from designtwin.errors import StudyError
from designtwin.io import stl
from designtwin.io._common import length_factor
from designtwin.mesh.locate import find_cells
from designtwin.mesh.mesh import FREE_SURFACE, Group, Mesh
from designtwin.topology.fairing import PASSES, Fairing
from designtwin.topology.simplices import Simplices, outline
from designtwin.typing import BoolArray, FloatArray, IntArray

_BEYOND = 1e-3
"""Share of a cell by which a point may leave the design space."""


@dataclass(frozen=True, eq=False)
class ClosedSurface:
    """Triangles around a body, normals outward.

    Parameters
    ----------
    points : float64[n, 3]
        m.
    triangles : int64[k, 3]
    level : float
        The density at which it was cut.
    notes : tuple of str
        What was left out, in words.
    on_level : bool[k], optional
        Triangles that the cut made; the others lie in the outside of the design space.
    """

    points: FloatArray
    triangles: IntArray
    level: float = 0.5
    notes: tuple[str, ...] = ()
    on_level: BoolArray | None = None

    @cached_property
    def volume(self) -> float:
        """Enclosed volume, m^3."""
        return enclosed(self.points, self.triangles)

    @cached_property
    def area(self) -> float:
        """Area, m^2."""
        return float(0.5 * np.linalg.norm(self.vectors, axis=1).sum())

    @cached_property
    def vectors(self) -> FloatArray:
        """Twice the area vector of every triangle, float64[k, 3], m^2."""
        a, b, c = (self.points[self.triangles[:, i]] for i in range(3))
        return np.cross(b - a, c - a)

    @cached_property
    def is_closed(self) -> bool:
        """Whether every edge is passed once in each direction: watertight, and no edge of more than two."""
        edges = self.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
        ahead = edges[:, 0] * len(self.points) + edges[:, 1]
        back = edges[:, 1] * len(self.points) + edges[:, 0]
        once = len(np.unique(ahead)) == len(ahead)
        return bool(once and len(ahead) and np.array_equal(np.sort(ahead), np.sort(back)))

    @cached_property
    def is_manifold(self) -> bool:
        """Closed, and around every point one fan of triangles."""
        if not self.is_closed:
            return False
        # Corners of triangles at one point are joined across the edges that leave it.
        corner = np.arange(self.triangles.size).reshape(-1, 3)
        n = len(self.points)
        here = self.triangles.ravel()
        ahead = here * n + np.roll(self.triangles, -1, axis=1).ravel()
        behind = here * n + np.roll(self.triangles, 1, axis=1).ravel()
        a, b = np.argsort(ahead), np.argsort(behind)
        flat = corner.ravel()
        graph = sparse.coo_array((np.ones(len(flat), bool), (flat[a], flat[b])), shape=(flat.size,) * 2)
        fans, _ = connected_components(graph, directed=False)
        return bool(fans == len(np.unique(here)))

    @cached_property
    def n_bodies(self) -> int:
        """Separate shells."""
        a, b = self.triangles[:, [0, 1, 2]].ravel(), self.triangles[:, [1, 2, 0]].ravel()
        graph = sparse.coo_array((np.ones(len(a), bool), (a, b)), shape=(len(self.points),) * 2)
        label = connected_components(graph, directed=False)[1]
        return len(np.unique(label[self.triangles[:, 0]]))

    def mesh(self) -> Mesh:
        """The triangles as a mesh: for pictures, and to write."""
        groups = {} if self.on_level is None else {FREE_SURFACE: Group(cells=np.flatnonzero(self.on_level))}
        return Mesh(self.points, {"triangle": self.triangles}, groups, source="topology surface")

    def save(self, path: str | Path, *, length_unit: str = "mm") -> Path:
        """Write as binary STL; folders on the way are made.

        Parameters
        ----------
        path : path
            Ending in .stl.
        length_unit : str
            Unit of the numbers in the file, which itself names none.

        Raises
        ------
        StudyError
            If the file is to be of another kind, or its folder cannot be made.
        MeshError
            If it cannot be written.
        """
        if not isinstance(path, str | PathLike):
            raise StudyError(f"save: a path is wanted, got {type(path).__name__} {path!r}")
        path = Path(path)
        if path.suffix.lower() != ".stl":
            raise StudyError(
                f"{path}: a surface is saved as .stl; write_mesh(surface.mesh(), path) writes .msh, .inp and "
                ".vtu"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{path}: the folder cannot be made: {error.strerror or error}") from error
        stl.write(path, self.points / length_factor(length_unit), self.triangles)
        return path

    def plot(self, **options: Any) -> Any:
        """Picture of the surface; see `designtwin.viz.plot_mesh`."""
        from designtwin import edge

        usual = {"mesh_edges": False, "groups": False, "title": "Designed surface"}
        return edge.plot_mesh(self.mesh(), **{**usual, **options})

    def __str__(self) -> str:
        state = "closed" if self.is_manifold else "NOT closed"
        return (
            f"{state} surface of {len(self.triangles):,} triangles, {self.volume * 1e9:.6g} mm3, "
            f"{self.n_bodies} shell{'s' if self.n_bodies > 1 else ''}"
        )


def enclosed(points: FloatArray, triangles: IntArray) -> float:
    """Volume inside closed triangles, m^3 (divergence theorem)."""
    origin = points.mean(axis=0) if len(points) else np.zeros(3)
    a, b, c = (points[triangles[:, i]] - origin for i in range(3))
    return float((a * np.cross(b, c)).sum() / 6.0)


def nodal(mesh: Mesh, density: FloatArray, keep: BoolArray, measure: FloatArray) -> FloatArray:
    """Density at the nodes, float64[n]: mean of the cells around by volume; that of kept cells first.

    Parameters
    ----------
    density, measure : float64[n_cells]
    keep : bool[n_cells]
        Cells whose every node is to be inside.
    """
    n = mesh.n_points
    total, weight = np.zeros(n), np.zeros(n)
    for name, ids, conn in mesh.blocks():
        corners = conn[:, : ELEMENTS[name].corners]
        w = np.repeat(measure[ids], corners.shape[1])
        total += np.bincount(corners.ravel(), w * np.repeat(density[ids], corners.shape[1]), n)
        weight += np.bincount(corners.ravel(), w, n)
    out = np.divide(total, weight, out=np.zeros(n), where=weight > 0.0)
    if keep.any():
        out[mesh.nodes_of_cells(np.flatnonzero(keep))] = 1.0
    return out


def level_of_volume(
    volume_at: Callable[[float], float], wanted: float, low: float, high: float, *, share: float = 1e-6
) -> float:
    """The level above which the wanted volume lies.

    Raises
    ------
    StudyError
        If no level between `low` and `high` encloses it.
    """
    most, least = volume_at(low), volume_at(high)
    if not least <= wanted <= most:
        raise StudyError(
            f"no level of the density encloses the designed {wanted * 1e9:.6g} mm3: it may be "
            f"{least * 1e9:.6g} to {most * 1e9:.6g} mm3"
        )
    scale = max(wanted, 1e-300)
    found = brentq(lambda at: (volume_at(at) - wanted) / scale, low, high, xtol=1e-9, rtol=share)
    return float(found)


def anchored(body: Simplices, value: FloatArray, level: float, nodes: IntArray | None) -> FloatArray:
    """The value with islands that hold none of the nodes put below the level; without nodes all but one."""
    inside = value >= level
    pairs = np.concatenate([body.conn[:, [i, j]] for i in range(body.dimension + 1) for j in range(i)])
    pairs = pairs[inside[pairs].all(axis=1)]
    n = len(value)
    graph = sparse.coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    if nodes is None or not inside[nodes].any():
        sizes = np.bincount(label[inside])
        held = np.array([int(np.argmax(sizes))]) if len(sizes) else np.empty(0, np.int64)
    else:
        held = np.unique(label[nodes[inside[nodes]]])
    out = value.copy()
    lost = inside & ~np.isin(label, held)
    out[lost] = min(float(value.min()), 0.0)
    return out


def closed_surface(
    body: Simplices, value: FloatArray, volume: float, *, anchors: IntArray | None = None,
    passes: int = PASSES,
) -> ClosedSurface:  # fmt: skip
    """The closed surface at the level that encloses a volume, smoothed without a change of that volume.

    Parameters
    ----------
    body : Simplices
    value : float64[n]
        Density at the nodes.
    volume : float
        m^3.
    anchors : int64[k], optional
        Nodes of which one at least must be on every piece that is kept.
    passes : int
        Of smoothing; points on flat faces of the design space slide in them, its edges stay.

    Raises
    ------
    StudyError
        If no level encloses the volume.
    """
    top = float(value.max())
    low, high = 1e-3 * top, top * (1.0 - 1e-9)

    def kept(level: float) -> FloatArray:
        return anchored(body, value, level, anchors)

    def inside(level: float) -> float:
        cut = outline(body, kept(level), level)
        return enclosed(cut.points, cut.facets)

    level = level_of_volume(inside, volume, low, high)
    cut = outline(body, kept(level), level)
    # Vertices on nodes of the mesh are its own outside, and stay.
    fairing = Fairing.of(cut.points, cut.facets, cut.on_level, cut.ends[:, 0] != cut.ends[:, 1])
    points = _within(body, cut.points, fairing.smoothed(passes))
    points = fairing.of_measure(points, volume, lambda at: enclosed(at, cut.facets))
    notes = []
    lost = int(((value >= level) & (kept(level) < level))[body.nodes].sum())
    if lost:
        notes.append(f"islands of {lost:,} nodes that hold nothing were left out; the rest has their volume")
    return ClosedSurface(points, cut.facets, level, tuple(notes), cut.on_level)


def _within(body: Simplices, before: FloatArray, after: FloatArray) -> FloatArray:
    """Points that smoothing would take out of the design space stay where they were."""
    moved = np.flatnonzero(np.any(after != before, axis=1))
    if not len(moved):
        return after
    found = find_cells(Mesh(body.points, {"tetra": body.conn}), after[moved])
    beyond = moved[(found.cell < 0) | (found.off > _BEYOND)]
    out = after.copy()
    out[beyond] = before[beyond]
    return out
