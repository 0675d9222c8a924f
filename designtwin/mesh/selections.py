"""Selections: rules that find a place on any mesh, never lists of ids.

A rule is stored in the model and evaluated on each mesh, so that it stays right when the part is
remeshed or morphed. Rules combine with ``&`` (common to both), ``|`` (either), ``~`` (all but) and ``-``
(one without the other); the logic works on nodes, facets and cells each. One that finds nothing is an
error that says what is near.

>>> import designtwin as dtw
>>> top = dtw.faces(normal="+z", at="max") & dtw.box((0, None, None), (None, None, None))
>>> bolts = dtw.cylinder(diameter="8.5 mm").expect(pieces=4)
>>> rim = dtw.near(bolts, "4 mm")
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import SelectionError
from designtwin.mesh.mesh import Mesh
from designtwin.mesh.surface import CylinderFace, Surface, surface_of
from designtwin.plain import Plain
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.units import from_si, show, symbol, to_si

Length: TypeAlias = "float | str | Any"
Vector: TypeAlias = "tuple[float, float, float]"

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
_KINDS = {
    "any": ("hole", "pin", "fillet", "round"),
    "full": ("hole", "pin"),
    "hole": ("hole",),
    "pin": ("pin",),
    "fillet": ("fillet",),
    "round": ("round",),
}
_TOLERANCE = 1e-4
"""Distance that counts as zero, as a share of the mesh's bounding box diagonal."""


@dataclass(frozen=True, eq=False)
class Region:
    """What a selection finds on one mesh; each part may be empty.

    Parameters
    ----------
    nodes : int64[k]
        Sorted point ids.
    facets : int64[k, 2]
        Cell id and local facet, sorted.
    cells : int64[k]
        Sorted cell ids.
    """

    nodes: IntArray
    facets: IntArray
    cells: IntArray

    def __bool__(self) -> bool:
        return bool(len(self.nodes) or len(self.facets) or len(self.cells))

    def __repr__(self) -> str:
        return f"<Region: {self}>"

    def __str__(self) -> str:
        return f"{len(self.nodes):,} nodes, {len(self.facets):,} facets, {len(self.cells):,} cells"


@dataclass(frozen=True)
class Selection(Plain):
    """A rule that finds nodes, facets and cells on any mesh; made by the functions of this file."""

    def resolve(self, mesh: Mesh) -> Region:
        """Find it on a mesh.

        Returns
        -------
        Region
            nodes int64[k], facets int64[k, 2], cells int64[k].

        Raises
        ------
        SelectionError
            If nothing is found; the message says what is near.
        """
        known = _REGIONS.setdefault(mesh, {})
        if self not in known:
            region = self._find(mesh)
            if not region:
                raise SelectionError(f"nothing found: {self}; {self._nearby(mesh)}")
            if len(known) > 200:
                known.clear()
            known[self] = region
        return known[self]

    def describe(self) -> str:
        """The rule in words, lengths in display units."""
        raise NotImplementedError

    def expect(
        self, *, pieces: int | None = None, area: Any = None, smallest: Any = None, largest: Any = None
    ) -> Selection:
        """The same selection, an error where it finds other than expected.

        Parameters
        ----------
        pieces : int, optional
            Number of separate faces (connected by edges; by nodes where there are no facets).
        area : area, optional
            About this area of its facets: within a tenth.
        smallest, largest : area, optional
            Bounds of the area instead.

        A rule that suddenly finds ten times the area on a changed part is caught here.
        """
        low, high = (None if v is None else _area(v, "area") for v in (smallest, largest))
        if area is not None:
            size = _area(area, "area")
            low, high = 0.9 * size, 1.1 * size
        return Expected(self, pieces, low, high)

    def _find(self, mesh: Mesh) -> Region:
        raise NotImplementedError

    def _nearby(self, mesh: Mesh) -> str:
        return f"the mesh spans {_span(mesh)}"

    def __and__(self, other: Selection | str) -> Selection:
        return Common(self, select(other))

    def __or__(self, other: Selection | str) -> Selection:
        return Union((*_members(self), *_members(select(other))))

    def __sub__(self, other: Selection | str) -> Selection:
        return Common(self, Complement(select(other)))

    def __rand__(self, other: str) -> Selection:
        return Common(select(other), self)

    def __ror__(self, other: str) -> Selection:
        return select(other) | self

    def __rsub__(self, other: str) -> Selection:
        return select(other) - self

    def __invert__(self) -> Selection:
        return Complement(self)

    def __str__(self) -> str:
        return self.describe()

    def __bool__(self) -> bool:
        raise SelectionError(
            f"{self}: a selection is neither true nor false; combine rules with & | ~, not with and, or, not"
        )


_REGIONS: weakref.WeakKeyDictionary[Mesh, dict[Selection, Region]] = weakref.WeakKeyDictionary()


def select(on: Selection | str | Sequence[Selection | str]) -> Selection:
    """A selection from what a user may write: a group's name, a selection, or a list of these (any of them).

    Raises
    ------
    SelectionError
        If it is something else.
    """
    if isinstance(on, Selection):
        return on
    if isinstance(on, str):
        return InGroup(on)
    if isinstance(on, list | tuple) and on:
        parts = tuple(part for item in on for part in _members(select(item)))
        return parts[0] if len(parts) == 1 else Union(parts)
    raise SelectionError(
        f"a group name or a selection such as faces(normal='+z', at='max') is wanted, got {on!r}"
    )


# --- the rules --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InGroup(Selection):
    """A named group; see ``group``."""

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise SelectionError(f"a group's name is wanted, got {self.name!r}")

    def describe(self) -> str:
        return f"'{self.name}'"

    def _find(self, mesh: Mesh) -> Region:
        found = mesh.group(self.name)
        nodes, facets = found.nodes, found.facets
        cells = np.empty(0, np.int64) if found.cells is None else found.cells
        if nodes is None:
            nodes = mesh.nodes_of_cells(cells) if facets is None else mesh.nodes_of_facets(facets)
        if facets is None:
            outside = surface_of(mesh)
            if found.nodes is not None:
                facets = outside.facets[outside.wholly(_flag(mesh.n_points, nodes))]
            else:
                facets = outside.facets[np.isin(outside.facets[:, 0], cells)]
        return _region(nodes, facets, cells)

    def _nearby(self, mesh: Mesh) -> str:
        return "the group is empty"


@dataclass(frozen=True)
class Faces(Selection):
    """Outside facets by direction and position; see ``faces``."""

    normal: Vector | None
    at: str | float | None
    angle: float
    within: Selection | None
    tolerance: float | None

    def __post_init__(self) -> None:
        if self.normal is not None:
            object.__setattr__(self, "normal", direction(self.normal, "normal"))
        if self.at not in (None, "max", "min"):
            object.__setattr__(self, "at", _length(self.at, "at"))
        if self.normal is None and self.at is not None:
            raise SelectionError("faces: at= needs a normal, which says along which axis it is measured")
        if not 0 < self.angle < math.pi:
            raise SelectionError(
                f"faces: an angle between 0 and 180 deg is wanted, got {show(self.angle, 'angle')}"
            )

    def describe(self) -> str:
        if self.normal is None:
            text = "outside faces"
        else:
            text = f"faces facing {_show_direction(self.normal)}"
            axis = _axis_name(self.normal)
            if isinstance(self.at, str):
                text += f" at the {'highest' if self.at == 'max' else 'lowest'} {axis}"
            elif self.at is not None:
                text += f" at {axis} = {show(self.at, 'length')}"
        return text if self.within is None else f"{text} within {self.within.describe()}"

    def _matches(self, mesh: Mesh) -> tuple[Surface, BoolArray]:
        outside = surface_of(mesh)
        match = np.ones(len(outside), bool)
        if self.normal is not None:
            match = outside.normals @ np.array(self.normal) >= math.cos(self.angle)
        if self.within is not None:
            match &= np.isin(_codes(outside.facets), _codes(self.within.resolve(mesh).facets))
        return outside, match

    def _positions(
        self, mesh: Mesh, outside: Surface, match: BoolArray
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """Matching facets that are flat to the tolerance: rows, and lowest and highest position of each."""
        rows = np.flatnonzero(match)
        low, high = outside.spread(mesh.points @ _positive(self.normal or (0.0, 0.0, 1.0)))
        flat = high[rows] - low[rows] <= _tolerance(mesh, self.tolerance)
        rows = rows[flat]
        return rows, low[rows], high[rows]

    def _find(self, mesh: Mesh) -> Region:
        outside, match = self._matches(mesh)
        if self.at is not None:
            rows, low, high = self._positions(mesh, outside, match)
            match = np.zeros(len(outside), bool)
            if len(rows):
                place = high.max() if self.at == "max" else low.min() if self.at == "min" else float(self.at)
                tolerance = _tolerance(mesh, self.tolerance)
                match[rows[(low >= place - tolerance) & (high <= place + tolerance)]] = True
        return _of_facets(mesh, outside.facets[match])

    def _nearby(self, mesh: Mesh) -> str:
        outside, match = self._matches(mesh)
        if self.normal is None or not len(outside):
            return f"the mesh has {len(outside)} outside facets"
        if not match.any():
            where = "" if self.within is None else " there"
            turn = np.arccos(np.clip(outside.normals @ np.array(self.normal), -1.0, 1.0))
            if self.within is not None:
                inside = np.isin(_codes(outside.facets), _codes(self.within.resolve(mesh).facets))
                if not inside.any():
                    return f"{self.within} has no outside facets"
                turn[~inside] = np.inf
            best = int(np.argmin(turn))
            return (
                f"no outside face{where} looks along {_show_direction(self.normal)} within "
                f"{show(self.angle, 'angle')}; the nearest looks along "
                f"{_show_direction(_triple(outside.normals[best]))}, "
                f"{show(float(turn[best]), 'angle', digits=3)} off"
            )
        axis = _axis_name(self.normal)
        rows, low, high = self._positions(mesh, outside, match)
        if not len(rows):
            low, high = outside.spread(mesh.points @ _positive(self.normal))
            return (
                f"the faces that look along {_show_direction(self.normal)} are curved, {axis} from "
                f"{show(float(low[match].min()), 'length')} to {show(float(high[match].max()), 'length')}; "
                "leave out at= or use box(...)"
            )
        order = np.argsort(0.5 * (low + high))
        position, area = 0.5 * (low + high)[order], outside.areas[rows[order]]
        start = np.append(0, np.flatnonzero(np.diff(position) > _tolerance(mesh, self.tolerance)) + 1)
        total = np.add.reduceat(area, start)
        keep = np.sort(np.argsort(-total)[:6])
        size = "area" if mesh.dimension == 3 else "length"
        listed = ", ".join(
            f"{show(float(position[start[i]]), 'length')} ({show(float(total[i]), size, digits=3)})"
            for i in keep
        )
        more = f" and {len(total) - len(keep)} smaller ones" if len(total) > len(keep) else ""
        return f"flat faces that look that way lie at {axis} = {listed}{more}"


@dataclass(frozen=True)
class Plane(Selection):
    """Nodes and facets on a plane; see ``plane``."""

    point: Vector
    normal: Vector
    tolerance: float | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "point", _point(self.point, "point"))
        object.__setattr__(self, "normal", direction(self.normal, "normal"))

    def describe(self) -> str:
        normal = _show_direction(_triple(_positive(self.normal)))
        return f"the plane through {_show_point(self.point)} square to {normal}"

    def _find(self, mesh: Mesh) -> Region:
        off = np.abs((mesh.points - np.array(self.point)) @ np.array(self.normal))
        return _of_flag(mesh, np.asarray(off <= _tolerance(mesh, self.tolerance)))

    def _nearby(self, mesh: Mesh) -> str:
        off = (mesh.points[mesh.used_nodes] - np.array(self.point)) @ np.array(self.normal)
        best = int(np.argmin(np.abs(off)))
        node = mesh.used_nodes[best]
        return (
            f"the nearest node, {node} at {_show_point(mesh.points[node])}, "
            f"is {show(abs(float(off[best])), 'length')} off; the mesh spans {_span(mesh)}"
        )


@dataclass(frozen=True)
class Box(Selection):
    """What lies in a box along the axes; see ``box``."""

    low: Vector
    high: Vector

    def __post_init__(self) -> None:
        low, high = _corner(self.low, -math.inf, "low"), _corner(self.high, math.inf, "high")
        for axis, a, b in zip("xyz", low, high):
            if a > b:
                raise SelectionError(
                    f"box: low {axis} {show(a, 'length')} is above high {axis} {show(b, 'length')}"
                )
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def describe(self) -> str:
        parts = []
        for axis, a, b in zip("xyz", self.low, self.high):
            if math.isfinite(a) and math.isfinite(b):
                parts.append(f"{axis} from {_number(a)} to {show(b, 'length')}")
            elif math.isfinite(a) or math.isfinite(b):
                parts.append(f"{axis} {'above' if math.isfinite(a) else 'below'} "
                             f"{show(a if math.isfinite(a) else b, 'length')}")  # fmt: skip
        return f"the box {', '.join(parts)}" if parts else "the box without limits"

    def _find(self, mesh: Mesh) -> Region:
        slack = 1e-9 * mesh.size
        inside = (mesh.points >= np.array(self.low) - slack) & (mesh.points <= np.array(self.high) + slack)
        return _of_flag(mesh, np.asarray(inside.all(axis=1)))

    def _nearby(self, mesh: Mesh) -> str:
        x = mesh.points[mesh.used_nodes]
        return _nearest_text(mesh, np.linalg.norm(x - np.clip(x, self.low, self.high), axis=1))


@dataclass(frozen=True)
class Sphere(Selection):
    """What lies in a ball; see ``sphere``."""

    center: Vector
    radius: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", _point(self.center, "center"))
        object.__setattr__(self, "radius", _positive_length(self.radius, "radius"))

    def describe(self) -> str:
        return f"the sphere of radius {show(self.radius, 'length')} around {_show_point(self.center)}"

    def _find(self, mesh: Mesh) -> Region:
        off = np.linalg.norm(mesh.points - np.array(self.center), axis=1)
        return _of_flag(mesh, np.asarray(off <= self.radius + 1e-9 * mesh.size))

    def _nearby(self, mesh: Mesh) -> str:
        off = np.linalg.norm(mesh.points[mesh.used_nodes] - np.array(self.center), axis=1)
        return _nearest_text(mesh, off - self.radius)


@dataclass(frozen=True)
class Cylinder(Selection):
    """Cylindrical faces, or what lies in a cylinder; see ``cylinder``."""

    radius: float | None
    center: Vector | None
    axis: Vector | None
    on_surface: bool
    kind: str
    tolerance: float | None

    def __post_init__(self) -> None:
        if self.radius is not None:
            object.__setattr__(self, "radius", _positive_length(self.radius, "radius"))
        if self.center is not None:
            object.__setattr__(self, "center", _point(self.center, "center"))
        if self.axis is not None:
            object.__setattr__(self, "axis", direction(self.axis, "axis"))
        if self.kind not in _KINDS:
            raise SelectionError(
                f"cylinder: kind is one of {', '.join(map(repr, _KINDS))}, not {self.kind!r}"
            )
        if not self.on_surface and None in (self.radius, self.center, self.axis):
            raise SelectionError(
                "cylinder: what lies inside needs center=, axis= and radius= or diameter= (all three); "
                "cylinder(diameter='8.5 mm') finds the cylindrical faces of that diameter"
            )

    def describe(self) -> str:
        size = "" if self.radius is None else f" of diameter {show(2 * self.radius, 'length')}"
        if self.radius is not None and self.kind in ("fillet", "round"):
            size = f" of radius {show(self.radius, 'length')}"
        place = "" if self.center is None else f" around {_show_point(self.center)}"
        along = "" if self.axis is None else f" along {_show_direction(_triple(_positive(self.axis)))}"
        if not self.on_surface:
            return f"the cylinder{size}{place}{along}"
        word = {"any": "cylindrical faces", "full": "holes and pins"}.get(self.kind, f"{self.kind}s")
        return f"{word}{size}{place}{along}"

    def _faces(self, mesh: Mesh, *, any_size: bool = False) -> list[CylinderFace]:
        slack = 0.01 * self.radius if self.radius and self.tolerance is None else self.tolerance or 0.0
        found = []
        for face in surface_of(mesh).cylinders:
            if face.kind not in _KINDS[self.kind]:
                continue
            if self.axis is not None and abs(float(face.axis @ np.array(self.axis))) < math.cos(
                math.radians(5)
            ):
                continue
            if self.center is not None:
                out = np.array(self.center) - face.center
                if np.linalg.norm(out - (out @ face.axis) * face.axis) > 0.1 * face.radius:
                    continue
            # Equality to the tolerance and a little: 8.5 mm with 1 % must not miss 8.585 mm by rounding.
            if (
                not any_size
                and self.radius is not None
                and abs(face.radius - self.radius) > slack * (1 + 1e-6)
            ):
                continue
            found.append(face)
        return found

    def _find(self, mesh: Mesh) -> Region:
        if self.on_surface:
            faces = self._faces(mesh)
            rows = np.concatenate([face.rows for face in faces]) if faces else np.empty(0, np.int64)
            return _of_facets(mesh, surface_of(mesh).facets[rows])
        slack = 1e-9 * mesh.size if self.tolerance is None else self.tolerance
        return _of_flag(mesh, self._off(mesh.points) <= slack)

    def _off(self, x: FloatArray) -> FloatArray:
        assert self.center is not None
        assert self.axis is not None
        assert self.radius is not None
        axis = np.array(self.axis)
        out = x - np.array(self.center)
        return np.asarray(np.linalg.norm(out - (out @ axis)[:, None] * axis, axis=1) - self.radius)

    def _nearby(self, mesh: Mesh) -> str:
        if not self.on_surface:
            return _nearest_text(mesh, self._off(mesh.points[mesh.used_nodes]))
        faces, where = self._faces(mesh, any_size=True), "there"
        if not faces:
            faces, where = list(surface_of(mesh).cylinders), "elsewhere or of another kind"
        if not faces:
            return "the outside of the mesh has no cylindrical faces"
        if self.radius is not None:
            wanted = self.radius
            faces = sorted(faces, key=lambda face: abs(face.radius - wanted))
        counts: dict[tuple[str, str], int] = {}
        for face in faces:
            key = (show(2 * face.radius, "length", digits=3), face.kind)
            counts[key] = counts.get(key, 0) + 1
        listed = ", ".join(
            f"{size} ({count} {word}{'s' if count > 1 else ''})"
            for (size, word), count in list(counts.items())[:8]
        )
        return f"cylindrical faces {where} have the diameters {listed}"


@dataclass(frozen=True)
class Nearest(Selection):
    """The node nearest a point; see ``nearest``."""

    point: Vector
    within: Selection | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "point", _point(self.point, "point"))

    def describe(self) -> str:
        text = f"the node nearest {_show_point(self.point)}"
        return text if self.within is None else f"{text} within {self.within.describe()}"

    def _find(self, mesh: Mesh) -> Region:
        nodes = mesh.used_nodes if self.within is None else self.within.resolve(mesh).nodes
        if not len(nodes):
            return _empty()
        off = np.linalg.norm(mesh.points[nodes] - np.array(self.point), axis=1)
        return _region(nodes[[int(np.argmin(off))]], np.empty((0, 2), np.int64), np.empty(0, np.int64))

    def _nearby(self, mesh: Mesh) -> str:
        return f"{self.within} has no nodes"


@dataclass(frozen=True)
class Near(Selection):
    """What lies within a distance of another selection; see ``near``."""

    of: Selection
    distance: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", select(self.of))
        object.__setattr__(self, "distance", _positive_length(self.distance, "distance"))

    def describe(self) -> str:
        return f"within {show(self.distance, 'length')} of {self.of.describe()}"

    def _find(self, mesh: Mesh) -> Region:
        return _of_flag(mesh, distance_to(mesh, self.of, limit=self.distance) <= self.distance * (1 + 1e-9))


@dataclass(frozen=True)
class Feature(Selection):
    """Faces grown from a seed; see ``feature``."""

    seed: Selection
    angle: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", select(self.seed))
        object.__setattr__(self, "angle", _angle(self.angle, "angle"))

    def describe(self) -> str:
        return f"the faces grown from {self.seed.describe()} up to edges of {show(self.angle, 'angle')}"

    def _find(self, mesh: Mesh) -> Region:
        outside = surface_of(mesh)
        seed = self.seed.resolve(mesh)
        rows = np.flatnonzero(np.isin(_codes(outside.facets), _codes(seed.facets)))
        if not len(rows):
            rows = np.flatnonzero(outside.touching(_flag(mesh.n_points, seed.nodes)))
        if not len(rows):
            return _empty()
        return _of_facets(mesh, outside.facets[outside.grown(rows, self.angle)])

    def _nearby(self, mesh: Mesh) -> str:
        return "the seed does not touch the outside of the mesh"


@dataclass(frozen=True)
class Exterior(Selection):
    """The whole outside; see ``exterior``."""

    def describe(self) -> str:
        return "the whole outside"

    def _find(self, mesh: Mesh) -> Region:
        return _of_facets(mesh, mesh.exterior)

    def _nearby(self, mesh: Mesh) -> str:
        return "a mesh of lines has no outside faces" if mesh.dimension == 1 else "the body has no outside"


@dataclass(frozen=True)
class Everything(Selection):
    """The whole mesh; see ``everything``."""

    def describe(self) -> str:
        return "everything"

    def _find(self, mesh: Mesh) -> Region:
        return _region(mesh.used_nodes, mesh.exterior, np.arange(mesh.n_cells))


@dataclass(frozen=True)
class Ids(Selection):
    """Given numbers; see ``ids``."""

    nodes: tuple[int, ...]
    facets: tuple[tuple[int, int], ...]
    cells: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(int(i) for i in self.nodes))
        object.__setattr__(self, "cells", tuple(int(i) for i in self.cells))
        object.__setattr__(self, "facets", tuple((int(c), int(f)) for c, f in self.facets))

    def describe(self) -> str:
        parts = [
            f"{word} {', '.join(map(str, found[:4]))}" + (f" and {len(found) - 4} more" if found[4:] else "")
            for word, found in (("nodes", self.nodes), ("facets", self.facets), ("cells", self.cells))
            if found
        ]
        return " and ".join(parts) or "no ids"

    def _find(self, mesh: Mesh) -> Region:
        facets = np.array(self.facets, np.int64).reshape(-1, 2)
        cells = np.array(self.cells, np.int64)
        for found, limit, word in (
            (np.array(self.nodes, np.int64), mesh.n_points, "nodes"),
            (cells, mesh.n_cells, "cells"),
            (facets[:, 0], mesh.n_cells, "cells"),
        ):
            wrong = found[(found < 0) | (found >= limit)]
            if len(wrong):
                raise SelectionError(f"{self}: {word} are numbered 0 to {limit - 1}, there is no {wrong[0]}")
        nodes = np.concatenate(
            [np.array(self.nodes, np.int64), mesh.nodes_of_facets(facets), mesh.nodes_of_cells(cells)]
        )
        return _region(nodes, facets, cells)


# --- combinations -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Common(Selection):
    """What two selections have in common."""

    first: Selection
    second: Selection

    def describe(self) -> str:
        if isinstance(self.second, Complement):
            return f"{_bracketed(self.first)} except {_bracketed(self.second.of)}"
        return f"{_bracketed(self.first)} in common with {_bracketed(self.second)}"

    def _find(self, mesh: Mesh) -> Region:
        a, b = self.first.resolve(mesh), self.second.resolve(mesh)
        return _combined(a, b, np.isin)

    def _nearby(self, mesh: Mesh) -> str:
        a, b = self.first.resolve(mesh), self.second.resolve(mesh)
        if isinstance(self.second, Complement):
            return f"all of {self.first} ({a}) is taken away"
        text = f"each finds something ({a}; {b}), with nothing in common"
        if len(a.nodes) and len(b.nodes):
            gap = distance_to(mesh, self.second)[a.nodes].min()
            text += f"; they are {show(float(gap), 'length', digits=3)} apart" if np.isfinite(gap) else ""
        return text


@dataclass(frozen=True)
class Union(Selection):
    """What any of several selections finds."""

    members: tuple[Selection, ...]

    def describe(self) -> str:
        return " or ".join(_bracketed(member) for member in self.members)

    def _find(self, mesh: Mesh) -> Region:
        found = [member.resolve(mesh) for member in self.members]
        return _region(
            np.concatenate([r.nodes for r in found]),
            np.concatenate([r.facets for r in found]),
            np.concatenate([r.cells for r in found]),
        )


@dataclass(frozen=True)
class Complement(Selection):
    """All that a selection does not find, of the nodes, the outside facets and the cells."""

    of: Selection

    def describe(self) -> str:
        return f"everything except {_bracketed(self.of)}"

    def __invert__(self) -> Selection:
        return self.of

    def _find(self, mesh: Mesh) -> Region:
        everything, taken = Everything().resolve(mesh), self.of.resolve(mesh)
        return _combined(everything, taken, lambda a, b: ~np.isin(a, b))

    def _nearby(self, mesh: Mesh) -> str:
        return f"{self.of} is the whole mesh"


@dataclass(frozen=True)
class Expected(Selection):
    """A selection with what it should find; see ``Selection.expect``."""

    of: Selection
    pieces: int | None
    smallest: float | None
    largest: float | None

    def describe(self) -> str:
        return self.of.describe()

    def _find(self, mesh: Mesh) -> Region:
        region = self.of.resolve(mesh)
        size = "area" if mesh.dimension == 3 else "length"
        if self.smallest is not None or self.largest is not None:
            area = float(np.linalg.norm(mesh.facet_vectors(region.facets)[0], axis=1).sum())
            low, high = self.smallest or 0.0, math.inf if self.largest is None else self.largest
            if not low <= area <= high:
                wanted = (
                    f"{show(low, size)} to {show(high, size)}"
                    if math.isfinite(high)
                    else f"{show(low, size)} or more"
                )
                raise SelectionError(
                    f"{self} finds {show(area, size)} on this mesh, {wanted} was expected: "
                    "look at the rule or at what changed in the part"
                )
        if self.pieces is not None:
            pieces = count_pieces(mesh, region)
            if pieces != self.pieces:
                raise SelectionError(
                    f"{self} finds {pieces} separate faces on this mesh, {self.pieces} were expected: "
                    "look at the rule or at what changed in the part"
                )
        return region


# --- what users call --------------------------------------------------------------------------------------


def group(name: str) -> Selection:
    """The named group; a plain string does the same wherever a selection is wanted.

    What a group does not state follows from what it does: nodes from its facets, else its cells; facets
    are the outside facets wholly on its nodes, else those of its cells.
    """
    return InGroup(name)


def faces(
    normal: str | Sequence[float] | None = None,
    at: Length | None = None,
    *,
    angle: Any = "5 deg",
    within: Selection | str | None = None,
    tolerance: Length | None = None,
) -> Selection:
    """Outside facets by the direction they look and where they lie.

    Parameters
    ----------
    normal : "+x", "-x", "+y" ... or a vector, optional
        The direction they look, out of the material; any where left out.
    at : "max", "min" or a length, optional
        Position of flat faces along the axis of the normal: the highest or lowest such face, or the one at
        this coordinate. It counts along x for both "+x" and "-x", and along the normal's upward sense (the
        largest component positive) for a vector: the feet of a machine are ``faces("-z", at="min")``.
    angle : angle
        How far a facet may look aside.
    within : selection or group name, optional
        Only facets of this one.
    tolerance : length, optional
        How far from the position a facet's nodes may lie; 1e-4 of the mesh's size where left out.
    """
    return Faces(
        None if normal is None else direction(normal, "normal"),
        at,
        _angle(angle, "angle"),
        None if within is None else select(within),
        _optional_length(tolerance, "tolerance"),
    )


def plane(
    point: Sequence[Length], normal: str | Sequence[float], tolerance: Length | None = None
) -> Selection:
    """Nodes on a plane, inside the part as well, and the outside facets that lie in it.

    Parameters
    ----------
    point : [3] lengths
        A point of the plane.
    normal : "x", "+y" ... or a vector
    tolerance : length, optional
        1e-4 of the mesh's size where left out.
    """
    return Plane(
        _point(point, "point"), direction(normal, "normal"), _optional_length(tolerance, "tolerance")
    )


def box(low: Sequence[Length | None], high: Sequence[Length | None]) -> Selection:
    """Nodes in a box along the axes, outside facets and cells wholly inside.

    Parameters
    ----------
    low, high : [3] lengths
        Opposite corners; None leaves a side open: ``box((None, None, "80 mm"), (None, None, None))`` is
        all above z = 80 mm.
    """
    return Box(_corner(low, -math.inf, "low"), _corner(high, math.inf, "high"))


def sphere(center: Sequence[Length], radius: Length) -> Selection:
    """Nodes in a ball, outside facets and cells wholly inside."""
    return Sphere(_point(center, "center"), _positive_length(radius, "radius"))


def cylinder(
    *,
    diameter: Length | None = None,
    radius: Length | None = None,
    center: Sequence[Length] | None = None,
    axis: str | Sequence[float] | None = None,
    on_surface: bool | None = None,
    kind: str | None = None,
    tolerance: Length | None = None,
) -> Selection:
    """Cylindrical faces by their size, or what lies inside a cylinder of space.

    ``cylinder(diameter="8.5 mm")`` finds all holes and pins of that diameter, wherever they are;
    ``cylinder(radius="6 mm", kind="fillet")`` all straight fillets of that radius.
    ``cylinder(center=(...), axis="z", radius="10 mm")`` takes what lies within it, as ``box`` and
    ``sphere`` do.

    Parameters
    ----------
    diameter, radius : length, optional
        One of the two.
    center : [3] lengths, optional
        A point of the axis. For faces, those whose axis passes it within a tenth of their radius.
    axis : "x", "y", "z" or a vector, optional
        For faces, those along it within 5 degrees.
    on_surface : bool, optional
        True for faces; where left out, True unless center, axis and a size are all given.
    kind : "hole", "pin", "full" (both), "fillet", "round" or "any", optional
        For faces: hollow ones are holes, and fillets where they cover less than 200 degrees; solid ones are
        pins, and rounds where they cover less. Left out: "full" with a diameter, as drawings give diameters
        to holes and radii to fillets; "any" without.
    tolerance : length, optional
        Of the radius; 1 % where left out. Inside a cylinder: how far outside a node may lie.
    """
    if diameter is not None and radius is not None:
        raise SelectionError("cylinder: diameter= or radius=, not both")
    size = None if radius is None else _positive_length(radius, "radius")
    if diameter is not None:
        size = 0.5 * _positive_length(diameter, "diameter")
    if kind is None:
        kind = "any" if diameter is None else "full"
    if on_surface is None:
        on_surface = None in (size, center, axis)
    return Cylinder(
        size,
        None if center is None else _point(center, "center"),
        None if axis is None else direction(axis, "axis"),
        on_surface,
        kind,
        _optional_length(tolerance, "tolerance"),
    )


def nearest(point: Sequence[Length], *, within: Selection | str | None = None) -> Selection:
    """The one node nearest a point.

    Parameters
    ----------
    point : [3] lengths
    within : selection or group name, optional
        Only nodes of this one.
    """
    return Nearest(_point(point, "point"), None if within is None else select(within))


def near(of: Selection | str | Sequence[Selection | str], distance: Length) -> Selection:
    """All within a distance of a selection, itself included: its facets count, not their nodes alone.

    Parameters
    ----------
    of : selection or group name
    distance : length
    """
    return Near(select(of), _positive_length(distance, "distance"))


def feature(seed: Selection | str | Sequence[Selection | str], angle: Any = "30 deg") -> Selection:
    """The smooth face around a seed: grown over the outside up to edges steeper than the angle.

    Parameters
    ----------
    seed : selection or group name
        Facets to start from; where it has none, the outside facets at its nodes, so
        ``feature(nearest((0, 0, 0.01)))`` is the face under a click.
    angle : angle
        The most that normals turn across an edge of the mesh.
    """
    return Feature(select(seed), _angle(angle, "angle"))


def exterior() -> Selection:
    """The whole outside of the mesh."""
    return Exterior()


def everything() -> Selection:
    """All nodes, outside facets and cells."""
    return Everything()


def ids(
    *,
    nodes: Sequence[int] | IntArray = (),
    facets: Sequence[tuple[int, int]] | IntArray = (),
    cells: Sequence[int] | IntArray = (),
) -> Selection:
    """Given numbers, for this one mesh: a rule is better wherever there is one."""
    return Ids(tuple(nodes), tuple((int(c), int(f)) for c, f in facets), tuple(cells))


# --- geometry of selections -------------------------------------------------------------------------------


def distance_to(mesh: Mesh, of: Selection | str, *, limit: float = math.inf) -> FloatArray:
    """Distance of every mesh point from a selection, float64[n_points], m.

    Parameters
    ----------
    of : selection or group name
        Measured to its facets (curved ones as 32 triangles), the skin of its cells, and its nodes.
    limit : float
        Farther points get inf.
    """
    from scipy.spatial import cKDTree

    selection = select(of)
    region = selection.resolve(mesh)
    facets = region.facets
    if len(region.cells):
        facets = np.concatenate([facets, _skin(mesh, region.cells)])
    x = mesh.points
    distance = np.full(mesh.n_points, np.inf)
    if len(region.nodes):
        reach = limit * (1 + 1e-6) if math.isfinite(limit) else math.inf
        distance = np.array(cKDTree(x[region.nodes]).query(x, distance_upper_bound=reach)[0])
    triangles = _triangles(mesh, facets)
    center = triangles.mean(axis=1)
    radius = np.linalg.norm(triangles - center[:, None], axis=2).max(axis=1, initial=0.0)
    # Triangles of like size, so that the nearest one is among those of the nearest centers.
    octave = np.floor(np.log2(np.maximum(radius, 1e-300)))
    for one in np.unique(octave):
        part, middle = triangles[octave == one], center[octave == one]
        reach = min(limit, float(distance.max(initial=0.0))) + float(radius[octave == one].max())
        k = min(12, len(part))
        off, nearby = cKDTree(middle).query(x, k=k, distance_upper_bound=reach * (1 + 1e-6))
        node, column = np.nonzero(np.isfinite(off.reshape(len(x), k)))
        if len(node):
            found = _to_triangles(x[node], part[nearby.reshape(len(x), k)[node, column]])
            np.minimum.at(distance, node, found)
    distance[distance > limit * (1 + 1e-6)] = np.inf
    # What belongs to it is at no distance, whatever the triangles leave of curved facets.
    distance[region.nodes] = 0.0
    unused = np.ones(mesh.n_points, bool)
    unused[mesh.used_nodes] = False
    distance[unused] = np.inf
    return distance


def _triangles(mesh: Mesh, facets: IntArray) -> FloatArray:
    """Facets as triangles float64[k, 3, 3]: one or two each, many if of second order; edges as slivers."""
    parts = [np.empty((0, 3, 3))]
    for block in mesh.facets(facets):
        element = ELEMENTS[block.element]
        n = 4 if element.degree > 1 else 1
        at, rows = _lattice(element.dimension, element.corners, n)
        points = np.einsum("qn,fna->fqa", element.shape(at), mesh.points[block.conn])
        parts.append(points[:, rows].reshape(-1, 3, 3))
    return np.concatenate(parts)


def _lattice(dimension: int, corners: int, n: int) -> tuple[FloatArray, IntArray]:
    """Natural coordinates of a regular lattice on a facet element, and its triangles int64[k, 3]."""
    t = np.arange(n + 1) / n
    if dimension == 1:
        i = np.arange(n)
        return (2 * t - 1)[:, None], np.column_stack([i, i + 1, i + 1])
    grid = np.stack(np.meshgrid(t, t, indexing="ij"), axis=-1).reshape(-1, 2)
    number = np.arange(len(grid)).reshape(n + 1, n + 1)
    a, b, c, d = (
        part.ravel() for part in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:])
    )
    if corners == 4:
        return 2 * grid - 1, np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    rows = np.concatenate([np.column_stack([a, b, d]), np.column_stack([b, c, d])])
    return grid, rows[(grid[rows].sum(axis=2) <= 1 + 1e-12).all(axis=1)]


def _to_triangles(p: FloatArray, triangles: FloatArray) -> FloatArray:
    """Distance of points [k, 3] from triangles [k, 3, 3], one each."""
    best = np.full(len(p), np.inf)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        a, edge = triangles[:, i], triangles[:, j] - triangles[:, i]
        length = np.maximum(np.einsum("ka,ka->k", edge, edge), 1e-300)
        t = np.clip(np.einsum("ka,ka->k", p - a, edge) / length, 0.0, 1.0)
        best = np.minimum(best, np.linalg.norm(p - a - t[:, None] * edge, axis=1))
    u, v, w = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0], p - triangles[:, 0]
    uu, uv, vv = (np.einsum("ka,ka->k", s, t) for s, t in ((u, u), (u, v), (v, v)))
    wu, wv = np.einsum("ka,ka->k", w, u), np.einsum("ka,ka->k", w, v)
    det = uu * vv - uv * uv
    safe = np.where(det > 1e-14 * uu * vv, det, np.inf)
    s, t = (vv * wu - uv * wv) / safe, (uu * wv - uv * wu) / safe
    inside = np.isfinite(safe) & (s > 0) & (t > 0) & (s + t < 1)
    foot = np.linalg.norm(w - s[:, None] * u - t[:, None] * v, axis=1)
    return np.asarray(np.where(inside, np.minimum(best, foot), best))


def count_pieces(mesh: Mesh, region: Region) -> int:
    """Number of separate faces of a region: facets joined by nodes; of its cells or nodes if it has none."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    blocks = [block.conn for block in mesh.facets(region.facets)]
    if not blocks:
        if not len(region.cells):
            return len(region.nodes)
        blocks = [mesh.cells[name][rows] for name, rows in mesh.rows_by_block(region.cells)]
    first = np.concatenate([np.repeat(conn[:, 0], conn.shape[1]) for conn in blocks])
    other = np.concatenate([conn.ravel() for conn in blocks])
    n = mesh.n_points
    graph = coo_array((np.ones(len(first), np.int8), (first, other)), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    return len(np.unique(label[other]))


def _skin(mesh: Mesh, cells: IntArray) -> IntArray:
    """Facets that bound a set of cells, int64[k, 2]."""
    facets, keys = mesh._all_facets
    inside = np.isin(facets[:, 0], cells)
    facets, keys = facets[inside], keys[inside]
    if not len(keys):
        return facets
    order = np.lexsort(keys.T)
    ordered = keys[order]
    change = (ordered[1:] != ordered[:-1]).any(axis=1)
    alone = np.append(True, change) & np.append(change, True)
    return np.asarray(facets[order[alone]])


# --- helpers ----------------------------------------------------------------------------------------------


def _region(nodes: IntArray, facets: IntArray, cells: IntArray) -> Region:
    facets = np.asarray(facets, np.int64).reshape(-1, 2)
    if len(facets) > 1:
        codes = _codes(facets)
        if not (np.diff(codes) > 0).all():
            facets = facets[np.unique(codes, return_index=True)[1]]
    parts = (_sorted_once(nodes), facets, _sorted_once(cells))
    for part in parts:
        part.setflags(write=False)
    return Region(*parts)


def _sorted_once(ids: IntArray) -> IntArray:
    """Ids sorted, each once; what is so already, as most are, stays as it is."""
    ids = np.asarray(ids, np.int64)
    return ids.view() if (np.diff(ids) > 0).all() else np.unique(ids)


def _empty() -> Region:
    return _region(np.empty(0, np.int64), np.empty((0, 2), np.int64), np.empty(0, np.int64))


def _of_facets(mesh: Mesh, facets: IntArray) -> Region:
    return _region(mesh.nodes_of_facets(facets), facets, np.empty(0, np.int64))


def _of_flag(mesh: Mesh, flag: BoolArray) -> Region:
    """Used nodes with the flag, outside facets and cells wholly of such nodes."""
    outside = surface_of(mesh)
    cells = [ids[flag[conn].all(axis=1)] for _, ids, conn in mesh.blocks()]
    used = mesh.used_nodes
    return _region(used[flag[used]], outside.facets[outside.wholly(flag)], np.concatenate(cells))


def _combined(a: Region, b: Region, keep: Any) -> Region:
    return _region(
        a.nodes[keep(a.nodes, b.nodes)],
        a.facets[keep(_codes(a.facets), _codes(b.facets))],
        a.cells[keep(a.cells, b.cells)],
    )


def _codes(facets: IntArray) -> IntArray:
    """One number per facet; no cell has eight facets."""
    return facets[:, 0] * 8 + facets[:, 1]


def _flag(n: int, nodes: IntArray) -> BoolArray:
    flag = np.zeros(n, bool)
    flag[nodes] = True
    return flag


def _members(selection: Selection) -> tuple[Selection, ...]:
    return selection.members if isinstance(selection, Union) else (selection,)


def _tolerance(mesh: Mesh, given: float | None) -> float:
    return _TOLERANCE * mesh.size if given is None else given


def _length(value: Any, name: str) -> float:
    si = to_si(value, "length", name=name)
    if not isinstance(si, float):
        raise SelectionError(f"{name}: one length is wanted, got {value!r}")
    return si


def _optional_length(value: Any, name: str) -> float | None:
    return None if value is None else _positive_length(value, name)


def _positive_length(value: Any, name: str) -> float:
    si = _length(value, name)
    if si <= 0:
        raise SelectionError(f"{name}: a length above zero is wanted, got {show(si, 'length')}")
    return si


def _area(value: Any, name: str) -> float:
    si = to_si(value, "area", name=name)
    if not isinstance(si, float) or si < 0:
        raise SelectionError(f"{name}: one area is wanted, got {value!r}")
    return si


def _angle(value: Any, name: str) -> float:
    si = to_si(value, "angle", name=name)
    if not isinstance(si, float) or not 0 < si <= math.pi:
        raise SelectionError(f"{name}: an angle between 0 and 180 deg is wanted, got {value!r}")
    return si


def _point(value: Any, name: str) -> Vector:
    si = np.asarray(to_si(value, "length", name=name), np.float64).reshape(-1)
    if len(si) == 2:
        si = np.append(si, 0.0)
    if len(si) != 3:
        raise SelectionError(f"{name}: three lengths (x, y, z) are wanted, got {value!r}")
    return _triple(si)


def _corner(value: Any, open_side: float, name: str) -> Vector:
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) not in (2, 3):
        raise SelectionError(f"box: {name} is three lengths (x, y, z), None for an open side; got {value!r}")
    parts = [
        open_side if v is None or (isinstance(v, float) and v == open_side) else _length(v, f"{name}[{i}]")
        for i, v in enumerate(value)
    ]
    return _triple(np.array(parts if len(parts) == 3 else [*parts, open_side]))


def direction(value: str | Sequence[float] | Any, name: str) -> Vector:
    """A unit vector from "+x", "-z", "y" or three numbers.

    Raises
    ------
    SelectionError
        If it is neither, or has no length.
    """
    if isinstance(value, str):
        text = value.strip().lower()
        axis = _AXES.get(text.lstrip("+-"))
        if axis is None or len(text) > 2:
            raise SelectionError(
                f"{name}: '+x', '-x', '+y', '-y', '+z', '-z' or a vector is wanted, got {value!r}"
            )
        return _triple(-np.array(axis) + 0.0) if text[0] == "-" else axis
    try:
        vector = np.array(value, np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise SelectionError(f"{name}: a direction is three plain numbers, got {value!r}") from None
    if len(vector) == 2:
        vector = np.append(vector, 0.0)
    size = float(np.linalg.norm(vector)) if len(vector) == 3 else math.nan
    if not math.isfinite(size) or size == 0:
        raise SelectionError(f"{name}: a direction is three plain numbers, not all zero; got {value!r}")
    unit = _triple(vector / size)
    # Unit vectors pass unchanged, so that saving and loading gives the same rule.
    return unit if abs(size - 1) > 1e-15 else _triple(vector)


def _positive(normal: Vector) -> FloatArray:
    """The same line of direction with its largest component positive."""
    vector = np.array(normal)
    return np.asarray(vector if vector[np.argmax(np.abs(vector))] > 0 else -vector)


def _axis_name(normal: Vector) -> str:
    upward = _triple(_positive(normal))
    for name, axis in _AXES.items():
        if upward == axis:
            return name
    return f"position along {_show_direction(upward)}"


def _show_direction(vector: Vector) -> str:
    for name, axis in _AXES.items():
        for sign, word in ((1.0, "+"), (-1.0, "-")):
            if np.allclose(vector, sign * np.array(axis), atol=5e-4):
                return word + name
    return "(" + ", ".join(f"{v:.3g}" for v in vector) + ")"


def _triple(vector: FloatArray) -> Vector:
    # Adding zero turns -0.0 into 0.0: equal rules must have equal hashes on disk.
    return (float(vector[0]) + 0.0, float(vector[1]) + 0.0, float(vector[2]) + 0.0)


def _number(value: float) -> str:
    return f"{from_si(value, 'length'):.4g}"


def _show_point(point: Vector | FloatArray) -> str:
    return f"({', '.join(_number(float(v)) for v in point)}) {symbol('length')}"


def _span(mesh: Mesh) -> str:
    low, high = mesh.extents
    return ", ".join(f"{axis} {_number(a)} to {_number(b)}" for axis, a, b in zip("xyz", low, high)) + (
        f" {symbol('length')}"
    )


def _nearest_text(mesh: Mesh, off: FloatArray) -> str:
    best = int(np.argmin(off))
    node = mesh.used_nodes[best]
    return (
        f"the nearest node, {node} at {_show_point(mesh.points[node])}, is "
        f"{show(float(off[best]), 'length', digits=3)} away; the mesh spans {_span(mesh)}"
    )


def _bracketed(selection: Selection) -> str:
    text = selection.describe()
    return f"({text})" if isinstance(selection, Common | Union) else text
