"""What an engineer would call the spot around a node: a fillet between two faces, a hole, an edge."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from designtwin import units
from designtwin.mesh.mesh import Mesh
from designtwin.mesh.surface import CylinderFace, Surface, surface_of
from designtwin.typing import BoolArray, FloatArray, IntArray

_EDGE = np.deg2rad(35.0)  # normals that turn more meet at an edge
_TANGENT = np.deg2rad(20.0)  # faces that run into each other without an edge
_BENT = np.deg2rad(3.0)  # neighbors that turn less lie in one plane
_SMALL = 0.2  # of the part's size: a blend of larger radius is a face of its own
_LIKE_IT = 16.0  # times the area of a spot: a larger group is not of this spot alone
_ONE_OF_MANY = 0.5  # of the outside: a group that holds more says nothing about a place


@dataclass(frozen=True, kw_only=True)
class Landmark:
    """The spot around a node in the words of a drawing.

    Parameters
    ----------
    kind : str
        "fillet", "concave face", "hole", "shaft", "rounded edge", "re-entrant edge", "edge", "corner", "face"
        or "inside"; in plane meshes "re-entrant corner".
    radius : float, optional
        m, where it lies on a cylinder.
    own : str
        The named group that is this very spot, such as the group of a fillet; "" without.
    between : tuple of str
        Named groups of the faces that meet there, at most two, of a corner three.
    """

    kind: str
    radius: float | None = None
    own: str = ""
    between: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """All groups it names, its own first."""
        return tuple(dict.fromkeys([*([self.own] if self.own else []), *self.between]))

    def __str__(self) -> str:
        words = self.kind
        if self.kind in ("hole", "shaft") and self.radius is not None:
            words += f" ⌀ {units.show(2.0 * self.radius, 'length', digits=3)}"
        if self.own:
            words += f" '{self.own}'"
        if len(self.between) == 3:
            words += " of '{}', '{}' and '{}'".format(*self.between)
        elif len(self.between) == 2:
            words += " between '{}' and '{}'".format(*self.between)
        elif self.between:
            words += f" at '{self.between[0]}'"
        return words


def landmark(mesh: Mesh, node: int) -> Landmark:
    """What is at a mesh point.

    Parameters
    ----------
    mesh : Mesh
    node : int

    Returns
    -------
    Landmark
        Cylinders tell fillets from holes: a fillet runs into its neighbors on both sides without an edge. Of
        other faces the bend around the node tells.
    """
    if mesh.dimension == 1 or not len(mesh.exterior):
        return Landmark(kind="inside")
    guide = _GUIDES.get(mesh)
    if guide is None:
        guide = _GUIDES[mesh] = _Guide(mesh)
    return guide.at(node)


def _kind_of_cylinder(surface: Surface, face: CylinderFace) -> str:
    if face.kind in ("hole", "pin"):
        return {"hole": "hole", "pin": "shaft"}[face.kind]
    smooth = _runs_on(surface, face)
    if face.hollow:
        return "fillet" if smooth else "concave face"
    return "rounded edge" if smooth else "face"


def _runs_on(surface: Surface, face: CylinderFace) -> bool:
    """Whether a piece of a cylinder runs into its neighbors at both ends of its arc without an edge."""
    inside, outside, turn = _border(surface, face.rows)
    if not len(inside):
        return False
    out = 0.5 * (surface.centers[inside] + surface.centers[outside]) - face.center
    across = np.cross(face.axis, face.middle)
    angle = np.arctan2(out @ across, out @ face.middle)
    low, high = angle < -0.3 * face.arc, angle > 0.3 * face.arc
    return all(end.any() and np.mean(turn[end] < _TANGENT) > 0.5 for end in (low, high))


def _border(surface: Surface, rows: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Facets along the border of a set: the one inside, the one outside, and the angle between them."""
    pairs, turn = surface.pairs
    inside = _members(surface, rows)[pairs]
    some = inside[:, 0] != inside[:, 1]
    first = inside[some, 0]
    pairs, turn = pairs[some], turn[some]
    return np.where(first, pairs[:, 0], pairs[:, 1]), np.where(first, pairs[:, 1], pairs[:, 0]), turn


def _blend(surface: Surface, here: IntArray, pick: BoolArray, largest: float) -> IntArray | None:
    """Rows of the blend that a node is on, where pairs bend one way with a small radius; None elsewhere."""
    pairs, turn = surface.pairs
    a, b = pairs.T
    bend = np.linalg.norm(surface.normals[b] - surface.normals[a], axis=1)
    step = np.linalg.norm(surface.centers[b] - surface.centers[a], axis=1)
    bent = pick & (turn < _EDGE) & (bend > _BENT) & (step < bend * largest)
    if not bent[_members(surface, here)[pairs].any(axis=1)].any():
        return None
    times = np.bincount(pairs[bent].ravel(), minlength=len(surface))
    rows = np.flatnonzero(times >= 2)  # the face beside a blend bends to it once
    if not np.isin(here, rows).any():
        rows = np.flatnonzero(times)
    label = surface.patches(_EDGE, rows)
    start = np.intersect1d(here, rows)
    return np.flatnonzero(np.isin(label, label[start])) if len(start) else None


class _Guide:
    """The outside of a mesh and its named groups, as sets of outside facets; made once per mesh."""

    def __init__(self, mesh: Mesh) -> None:
        # Only arrays are kept: the cache must not hold its own key.
        self.surface = surface = surface_of(mesh)
        self.plane, self.small = mesh.dimension == 2, _SMALL * mesh.size
        self.n_points = mesh.n_points
        self.members: dict[str, BoolArray] = {}
        self.faces: set[str] = set()  # groups of facets; those of cells alone are bodies
        key = _key(surface.facets)
        for name, group in mesh.groups.items():
            inside = np.zeros(len(surface), bool)
            if group.facets is not None:
                inside |= np.isin(key, _key(group.facets))
            if group.cells is not None:
                inside |= np.isin(surface.facets[:, 0], group.cells)
            if inside.sum() > 0 and surface.areas[inside].sum() <= _ONE_OF_MANY * surface.areas.sum():
                self.members[name] = inside
                if group.facets is not None:
                    self.faces.add(name)

    @cached_property
    def concave(self) -> BoolArray:
        """Which pairs of neighbors bend toward the outside, as in a corner of a room."""
        a, b = self.surface.pairs[0].T
        turned = self.surface.normals[b] - self.surface.normals[a]
        return np.asarray(
            np.einsum("ma,ma->m", turned, self.surface.centers[b] - self.surface.centers[a]) < 0
        )

    @cached_property
    def smooth(self) -> IntArray:
        """The face each facet is part of: those that run into each other without an edge."""
        return self.surface.patches(_TANGENT)

    def at(self, node: int) -> Landmark:
        """What is at a mesh point."""
        surface = self.surface
        flag = np.zeros(self.n_points, bool)
        flag[node] = True
        touching = surface.touching(flag)
        here = np.flatnonzero(touching)
        if not len(here):
            return Landmark(kind="inside")
        pairs, turn = surface.pairs
        outer = (turn > _EDGE) & ~self.concave & touching[pairs].all(axis=1)
        # Recovered stress may peak a cell beside a re-entrant edge.
        flag[surface.corners[here][surface.corners[here] >= 0]] = True
        inner = (turn > _EDGE) & self.concave & surface.touching(flag)[pairs].all(axis=1)
        faces = [face for face in surface.cylinders if touching[face.rows].any()]
        for face in sorted(faces, key=lambda face: not face.hollow):
            kind = _kind_of_cylinder(surface, face)
            closed = kind in ("hole", "shaft")
            if (face.radius > self.small and not closed) or (outer.any() and kind == "rounded edge"):
                continue
            if inner.any() and not face.hollow:
                continue  # where a shaft enters a wall, the corner is what matters
            own = self.own(face.rows)
            sides = () if closed and own else self.beside(face.rows)
            return Landmark(kind=kind, radius=face.radius, own=own, between=sides)
        for edge, kind in ((inner, "re-entrant "), (outer, "")):
            if edge.any():
                some = np.unique(pairs[edge])
                walls = [self.of(some[self.smooth[some] == one]) for one in np.unique(self.smooth[some])]
                meets = "corner" if self.plane or (kind == "" and len(walls) > 2) else "edge"
                return Landmark(kind=kind + meets, between=_named(walls, 3 if meets == "corner" else 2))
        for bend, kind in ((self.concave, "fillet"), (~self.concave, "rounded edge")):
            blend = _blend(surface, here, bend, self.small)
            if blend is not None:
                return Landmark(kind=kind, own=self.own(blend), between=self.beside(blend))
        return Landmark(kind="edge" if self.plane else "face", between=_named([self.of(here)]))

    def own(self, rows: IntArray) -> str:
        """The smallest group that is these facets, or these and others like them, such as several holes."""
        most = _LIKE_IT * self.surface.areas[rows].sum()
        found = [
            (int(inside.sum()), name)
            for name, inside in self.members.items()
            if name in self.faces and inside[rows].mean() > 0.6 and self.surface.areas[inside].sum() <= most
        ]
        return min(found)[1] if found else ""

    def of(self, rows: IntArray) -> str:
        """The smallest group that holds most of these facets, a group of faces before a body."""
        found = [
            (name not in self.faces, int(inside.sum()), name)
            for name, inside in self.members.items()
            if inside[rows].mean() > 0.5
        ]
        return min(found)[-1] if found else ""

    def beside(self, rows: IntArray) -> tuple[str, ...]:
        """Groups of the two faces that share most of a set's border."""
        _, outside, _ = _border(self.surface, rows)
        if not len(outside):
            return ()
        others = np.flatnonzero(~_members(self.surface, rows))
        label = self.surface.patches(_TANGENT, others)[outside]
        patches, count = np.unique(label, return_counts=True)
        largest = patches[np.argsort(-count, kind="stable")][:2]
        own = self.own(rows)
        return _named([name for name in (self.of(outside[label == one]) for one in largest) if name != own])


_GUIDES: weakref.WeakKeyDictionary[Mesh, _Guide] = weakref.WeakKeyDictionary()


def _members(surface: Surface, rows: IntArray) -> BoolArray:
    """Which facets are of a set."""
    out = np.zeros(len(surface), bool)
    out[rows] = True
    return out


def _key(facets: IntArray) -> IntArray:
    return np.asarray(facets[:, 0] * 64 + facets[:, 1], np.int64)


def _named(names: list[str], most: int = 2) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))[:most]


__all__ = ["Landmark", "landmark"]
