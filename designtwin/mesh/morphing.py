"""Morphing: a new design on the old cells, without a mesher.

A move says where some of the part goes; ``mesh.morphed(*moves)`` adds up what all of them say and gives the
same cells, groups and node order on new points. Two families:

* maps of space, in closed form: ``stretch`` (thicknesses, lengths, widths along an axis), ``fillet`` and
  ``bore`` (radii), ``scale``, ``Lattice`` (free form). They keep cells from inverting as long as positions
  keep their order.
* moves of places: ``move`` and ``offset``. The rest of the part follows, by distance or by radial basis
  functions; flat faces and straight holes that are not moved stay in their planes and on their axes.

Every displacement is linear in what a move states (positions, radii, distances, control points) and reads
the original points only, so that dX/dp is exact from a single difference of ``displacements``. A morphed mesh
may differ from that at a few mid-side nodes, where cells would fold (``unfolded``).

Sources: Sederberg and Parry, "Free-form deformation of solid geometric models", SIGGRAPH 1986 (lattice);
de Boer, van der Schoot and Bijl, "Mesh deformation based on radial basis function interpolation", Computers
and Structures 85 (2007); Rendall and Allen, "Efficient mesh motion using radial basis functions with data
reduction algorithms", J. Comput. Phys. 228 (2009) (thinning).
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError
from designtwin.mesh.mesh import Mesh
from designtwin.mesh.quality import checked_nodes, determinants
from designtwin.mesh.selections import Selection, direction, select
from designtwin.mesh.surface import CylinderFace, Surface, facet_normals, surface_of
from designtwin.plain import Plain
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.units import from_si, show, symbol, to_si

Length: TypeAlias = "float | str | Any"
Place: TypeAlias = "Selection | str | Sequence[Selection | str]"

_LEAST = 0.01
"""A cell is turned where the determinant at a point falls below this share of its mean."""
_UPRIGHT = 0.05
"""What ``unfolded`` asks for at the nodes of cells."""
_MOST_CENTERS = 1200
"""Radial-basis centers per component; more are thinned evenly, and the moved nodes set exactly afterwards."""


@dataclass(frozen=True)
class Move(Plain):
    """One change of shape; made by the functions of this file."""

    def displacement(self, mesh: Mesh, x: FloatArray) -> FloatArray:
        """Displacement of points x [n, 3] of the mesh's space, float64[n, 3], m (maps of space only)."""
        raise NotImplementedError


@dataclass(frozen=True)
class PlaceMove(Move):
    """A move stated at some nodes only; the rest of the mesh follows."""

    def controls(self, mesh: Mesh) -> tuple[IntArray, FloatArray]:
        """Nodes int64[k] and their displacements float64[k, 3], m; nan where a component is free."""
        raise NotImplementedError


# --- maps of space ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch(Move):
    """Positions along an axis go to new positions; see ``stretch``."""

    axis: int
    before: tuple[float, ...]
    after: tuple[float, ...]
    only: tuple[tuple[int, float, float], ...]
    blend: float

    def __post_init__(self) -> None:
        if len(self.before) != len(self.after) or not self.before:
            raise MeshError("stretch: as many new positions as old ones are wanted, at least one of each")
        for name, row in (("old", self.before), ("new", self.after)):
            for a, b in pairwise(row):
                if a >= b:
                    raise MeshError(
                        f"stretch: {name} positions must rise, {show(a, 'length')} comes before "
                        f"{show(b, 'length')}: cells between would turn inside out"
                    )

    def displacement(self, mesh: Mesh, x: FloatArray) -> FloatArray:
        shift = np.array(self.after) - np.array(self.before)
        out = np.zeros_like(x)
        out[:, self.axis] = np.interp(x[:, self.axis], self.before, shift)
        for axis, low, high in self.only:
            beyond = np.maximum(np.maximum(low - x[:, axis], x[:, axis] - high), 0.0)
            t = np.clip(1.0 - beyond / self.blend, 0.0, 1.0)
            out[:, self.axis] *= t * t * (3.0 - 2.0 * t)
        return out


@dataclass(frozen=True)
class Fillet(Move):
    """A new radius for straight fillets and rounds; see ``fillet``."""

    on: Selection
    radius: float
    reach: float | None

    def displacement(self, mesh: Mesh, x: FloatArray) -> FloatArray:
        out = np.zeros_like(x)
        for face in _cylinders(mesh, self.on, "fillet"):
            if face.arc > math.radians(170):
                raise MeshError(
                    f"fillet: {self.on} covers {show(face.arc, 'angle', digits=3)}; a fillet covers less "
                    "than 180 deg (bore() changes holes and pins)"
                )
            out += self._one(x, face)
        return out

    def _one(self, x: FloatArray, face: CylinderFace) -> FloatArray:
        half = 0.5 * face.arc
        side = np.cross(face.axis, face.middle)
        corner = face.center + face.middle * face.radius / math.cos(half)
        # From the corner along the two faces to where the arc touches them.
        first, second = (
            face.center + face.radius * (math.cos(half) * face.middle + sign * math.sin(half) * side) - corner
            for sign in (-1.0, 1.0)
        )
        length = face.radius * math.tan(half)
        e1, e2 = first / np.linalg.norm(first), second / np.linalg.norm(second)
        d = x - corner
        skew = np.linalg.inv(np.column_stack([e1, e2, face.axis]))
        a, b, along = skew @ d.T
        a, b = np.maximum(a, 0.0), np.maximum(b, 0.0)
        distance = np.sqrt(a * a + b * b)
        reach = 1.75 * length if self.reach is None else self.reach
        new = self.radius * math.tan(half)
        if new >= length + reach:
            raise MeshError(
                f"fillet: with a radius of {show(self.radius, 'length')} it ends "
                f"{show(new, 'length', digits=3)} from the corner, beyond the reach of "
                f"{show(reach, 'length', digits=3)} from its old end at {show(length, 'length', digits=3)}; "
                "a larger reach= is wanted"
            )
        factor = _radial(distance, length, new, length + reach)
        factor *= _window(along, 0.5 * face.length, reach)
        return np.asarray(factor[:, None] * (a[:, None] * e1 + b[:, None] * e2))


@dataclass(frozen=True)
class Bore(Move):
    """A new diameter for holes and pins; see ``bore``."""

    on: Selection
    diameter: float
    reach: float | None

    def displacement(self, mesh: Mesh, x: FloatArray) -> FloatArray:
        out = np.zeros_like(x)
        for face in _cylinders(mesh, self.on, "bore"):
            d = x - face.center
            along = d @ face.axis
            radial = d - along[:, None] * face.axis
            distance = np.linalg.norm(radial, axis=1)
            reach = face.radius if self.reach is None else self.reach
            new = 0.5 * self.diameter
            if new >= face.radius + reach:
                raise MeshError(
                    f"bore: a diameter of {show(self.diameter, 'length')} passes the reach of "
                    f"{show(reach, 'length', digits=3)} around the old hole; a larger reach= is wanted"
                )
            factor = _radial(distance, face.radius, new, face.radius + reach)
            out += (factor * _window(along, 0.5 * face.length, reach))[:, None] * radial
        return out


@dataclass(frozen=True)
class Scale(Move):
    """The whole part larger or smaller; see ``scale``."""

    factors: tuple[float, float, float]
    about: tuple[float, float, float]

    def __post_init__(self) -> None:
        if min(self.factors) <= 0:
            raise MeshError(f"scale: factors above zero are wanted, got {self.factors}")

    def displacement(self, mesh: Mesh, x: FloatArray) -> FloatArray:
        return np.asarray((np.array(self.factors) - 1.0) * (x - np.array(self.about)))


@dataclass(frozen=True)
class Lattice(Move):
    """Free-form deformation: a box of control points with Bernstein polynomials between them.

    Parameters
    ----------
    low, high : [3] lengths
        Corners of the box. What lies outside does not move.
    shape : (int, int, int)
        Control points along each axis, two or more.
    moved : mapping of (i, j, k) to [3] lengths, optional
        Displacement of control points; the others stay.
    symmetric : str, optional
        Such as "x" or "xy": the middle planes of the box that mirror what is moved. State one side; points
        on the plane stay in it. For half a part, let the box reach as far beyond the plane.
    fixed : selection or group name, or a list of these, optional
        What stays where it is.
    fade : length, optional
        From what distance of it on the lattice acts in full; needed with ``fixed``.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    shape: tuple[int, int, int]
    moved: Mapping[Any, Any] = field(default_factory=dict)
    symmetric: str = ""
    fixed: Any = None
    fade: Any = None

    def __post_init__(self) -> None:
        low, high = _vector(self.low, "low"), _vector(self.high, "high")
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 2:
            raise MeshError(f"lattice: three counts of two or more are wanted, got {self.shape}")
        if min(b - a for a, b in zip(low, high)) <= 0:
            raise MeshError("lattice: high must lie above low in x, y and z")
        moved = {}
        for key, by in self.moved.items():
            index = tuple(int(i) for i in (key.split(",") if isinstance(key, str) else key))
            if len(index) != 3 or any(not 0 <= i < n for i, n in zip(index, shape)):
                raise MeshError(f"lattice: there is no control point {key} in a lattice of {shape}")
            # Text keys, as plain data has no others.
            moved[",".join(map(str, index))] = _vector(by, f"lattice control point {key}")
        if (self.fixed is None) != (self.fade is None):
            raise MeshError("lattice: fixed= and fade= go together: what stays, and how far around it")
        fixed = None if self.fixed is None else select(self.fixed)
        fade = None if self.fade is None else above_zero(self.fade, "fade")
        for name, value in (
            ("low", low), ("high", high), ("shape", shape), ("moved", moved), ("fixed", fixed),
            ("fade", fade),
        ):  # fmt: skip
            object.__setattr__(self, name, value)
        object.__setattr__(self, "moved", self._mirrored())

    def _mirrored(self) -> dict[str, tuple[float, float, float]]:
        """What is moved and its mirror images."""
        moved: dict[str, tuple[float, float, float]] = dict(self.moved)
        for axis in planes_of(self.symmetric):
            for key, by in list(moved.items()):
                index = [int(i) for i in key.split(",")]
                index[axis] = self.shape[axis] - 1 - index[axis]
                other = ",".join(map(str, index))
                image = [-v if a == axis else v for a, v in enumerate(by)]
                if np.abs(np.subtract(moved.get(other, image), image)).max() > 1e-12 * max(map(abs, by)):
                    raise MeshError(
                        f"lattice: control point ({key}) lies on the plane of symmetry {'xyz'[axis]}, which "
                        "it may not leave"
                        if other == key
                        else f"lattice: control points ({key}) and ({other}) are mirror images and do not "
                        "move so; state one of them"
                    )
                moved[other] = (float(image[0]), float(image[1]), float(image[2]))
        return moved

    def units(self, axes: str = "xyz") -> dict[tuple[tuple[int, int, int], str], Lattice]:
        """Lattices with one control point moved by 1 m along one of the axes, by (control point, axis).

        What a free form is made of: a displacement is the sum of these times lengths. Mirror images move
        along and are not listed again.
        """
        names = [name for name in axes if 0 <= axis_of(name) < 3]
        planes = planes_of(self.symmetric)
        out = {}
        for index in np.ndindex(*self.shape):
            # Twice the distance from the middle: above zero on the side that is left to its image.
            side = [2 * index[a] - self.shape[a] + 1 for a in range(3)]
            if any(side[a] > 0 for a in planes):
                continue
            for name in names:
                if axis_of(name) in planes and side[axis_of(name)] == 0:
                    continue
                by = [1.0 if a == axis_of(name) else 0.0 for a in range(3)]
                out[(index, name)] = replace(self, moved={index: by})
        return out

    def displaced(self, moved: Mapping[tuple[int, int, int], Sequence[Length]]) -> Lattice:
        """The same lattice with these control points displaced, {(i, j, k): (dx, dy, dz)}."""
        return replace(self, moved={**self.moved, **moved})

    def control_points(self) -> FloatArray:
        """Where the control points are before they move, float64[nx, ny, nz, 3], m."""
        axes = [np.linspace(a, b, n) for a, b, n in zip(self.low, self.high, self.shape)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)

    def displacement(self, mesh: Mesh, x: FloatArray) -> FloatArray:
        low, high = np.array(self.low), np.array(self.high)
        t = (x - low) / (high - low)
        inside = ((t >= -1e-9) & (t <= 1 + 1e-9)).all(axis=1)
        self._check_tear(x)
        control = np.zeros((*self.shape, 3))
        for key, by in self.moved.items():
            control[tuple(int(i) for i in key.split(","))] = by
        out = np.zeros_like(x)
        b = [_bernstein(n - 1, np.clip(t[inside, axis], 0.0, 1.0)) for axis, n in enumerate(self.shape)]
        out[inside] = np.einsum("pi,pj,pk,ijkd->pd", b[0], b[1], b[2], control, optimize=True)
        if self.fixed is not None:
            out *= faded(x, mesh.points[self.fixed.resolve(mesh).nodes], self.fade)[:, None]
        return out

    def crossed(self, x: FloatArray) -> list[tuple[int, int]]:
        """Sides of the box that a part with points x [n, 3] passes through, as (axis, index of the control
        points): these must stay where they are."""
        low, high = np.array(self.low), np.array(self.high)
        t = (x - low) / (high - low)
        found = []
        for axis, n in enumerate(self.shape):
            others = [a for a in range(3) if a != axis]
            within = ((t[:, others] >= 0) & (t[:, others] <= 1)).all(axis=1)
            for side, beyond in ((0, t[:, axis] < -1e-9), (n - 1, t[:, axis] > 1 + 1e-9)):
                if (beyond & within).any():
                    found.append((axis, side))
        return found

    def _check_tear(self, x: FloatArray) -> None:
        """Control points on a side may move only where the part ends within the box."""
        for axis, side in self.crossed(x):
            on_side = [k for k, by in self.moved.items() if int(k.split(",")[axis]) == side and any(by)]
            if on_side:
                raise MeshError(
                    f"lattice: control point ({on_side[0]}) lies on a side that the part passes "
                    "through, so it would tear; a larger box, or one more layer of control points that "
                    "stay, is wanted"
                )


# --- moves of places --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Displace(PlaceMove):
    """A place moves by a vector; see ``move``."""

    on: Selection
    by: tuple[float | None, float | None, float | None]

    def controls(self, mesh: Mesh) -> tuple[IntArray, FloatArray]:
        nodes = self.on.resolve(mesh).nodes
        by = np.array([np.nan if v is None else v for v in self.by])
        return nodes, np.tile(by, (len(nodes), 1))


@dataclass(frozen=True)
class Offset(PlaceMove):
    """A face moves along its normal; see ``offset``."""

    on: Selection
    distance: float

    def controls(self, mesh: Mesh) -> tuple[IntArray, FloatArray]:
        facets = self.on.resolve(mesh).facets
        if not len(facets):
            raise MeshError(f"offset: {self.on} has no facets, only nodes or cells; name a face")
        normal = node_normals(mesh, facets)
        nodes = np.flatnonzero(np.isfinite(normal[:, 0]))
        by = self.distance * normal[nodes]
        # A flat face along an axis slides freely in its plane; others are told where to go.
        flat = np.abs(np.abs(normal[nodes]) - 1.0) < 1e-6
        if flat.any(axis=1).all() and len(np.unique(np.argmax(flat, axis=1))) == 1:
            by[~flat] = np.nan
        return nodes, by


def move(on: Place, by: Sequence[Length | None]) -> Move:
    """Move a place; the rest of the part follows.

    Parameters
    ----------
    on : selection or group name
    by : [3] lengths
        None leaves a component free: ``move("base", (None, None, "2 mm"))`` lets it slide in x and y.
    """
    parts = list(by)
    if len(parts) != 3:
        raise MeshError(f"move: by= is three lengths, None where free; got {by!r}")
    return Displace(select(on), tuple(None if v is None else _one(v, "by") for v in parts))  # type: ignore[arg-type]


def offset(on: Place, distance: Length) -> Move:
    """Move a face along its own normal, out of the material where the distance is positive."""
    return Offset(select(on), _one(distance, "distance"))


def stretch(
    axis: str,
    positions: Mapping[Length, Length] | Iterable[tuple[Length, Length]],
    *,
    only: Mapping[str, tuple[Length | None, Length | None]] | None = None,
    blend: Length | None = None,
) -> Move:
    """Positions along an axis go to new ones, in proportion between; beyond the last, all shifts with it.

    A plate from z = 0 to 5 mm made 8 mm thick downward, with everything above it as it was:
    ``stretch("z", {"0 mm": "-3 mm", "5 mm": "5 mm"})``. A rib from y = -6 to 6 mm made 20 mm wide, all beyond
    30 mm as it was: ``stretch("y", {-0.03: -0.03, -0.006: -0.01, 0.006: 0.01, 0.03: 0.03})``.

    Parameters
    ----------
    axis : "x", "y" or "z"
    positions : mapping of lengths to lengths
        Old positions to new ones, rising.
    only : mapping of an axis to (low, high), optional
        Where along the other axes it acts in full, None for no limit: ``only={"z": (None, "42 mm")}``.
    blend : length, optional
        How far beyond those limits it fades out; needed with ``only``.
    """
    number = axis_of(axis)
    items = positions.items() if isinstance(positions, Mapping) else positions
    rows = sorted((_one(a, "old position"), _one(b, "new position")) for a, b in items)
    limits = []
    for name, (low, high) in (only or {}).items():
        if axis_of(name) == number:
            raise MeshError("stretch: only= limits the other axes; along its own, say where things go")
        limits.append(
            (
                axis_of(name),
                -math.inf if low is None else _one(low, f"only {name}"),
                math.inf if high is None else _one(high, f"only {name}"),
            )
        )
    if limits and blend is None:
        raise MeshError("stretch: blend= says over what length the limits of only= fade out")
    return Stretch(
        number,
        tuple(a for a, _ in rows),
        tuple(b for _, b in rows),
        tuple(limits),
        math.inf if blend is None else above_zero(blend, "blend"),
    )


def fillet(on: Place, radius: Length, *, reach: Length | None = None) -> Move:
    """Give straight fillets and rounds a new radius; the lines of contact slide along the neighboring faces.

    Parameters
    ----------
    on : selection or group name
        The cylindrical faces, such as a group or ``cylinder(radius="6 mm", kind="fillet")``.
    radius : length
    reach : length, optional
        How far beyond the old lines of contact the faces give way; 1.75 times its leg where left out.
    """
    return Fillet(
        select(on), above_zero(radius, "radius"), None if reach is None else above_zero(reach, "reach")
    )


def bore(on: Place, diameter: Length, *, reach: Length | None = None) -> Move:
    """Give holes or pins a new diameter about their axes.

    Parameters
    ----------
    on : selection or group name
        Such as ``cylinder(diameter="9 mm")``.
    diameter : length
    reach : length, optional
        How far around the old surface the material gives way; the old radius where left out.
    """
    return Bore(
        select(on), above_zero(diameter, "diameter"), None if reach is None else above_zero(reach, "reach")
    )


def scale(factor: float | Sequence[float], *, about: Sequence[Length] = (0.0, 0.0, 0.0)) -> Move:
    """Make the whole part larger or smaller about a point, by one factor or one per axis."""
    factors = np.broadcast_to(np.asarray(to_si(factor, "dimensionless", name="factor"), np.float64), (3,))
    x, y, z = (float(v) for v in factors)
    return Scale((x, y, z), _vector(about, "about"))


# --- the morph --------------------------------------------------------------------------------------------


def morph(
    mesh: Mesh,
    *moves: Move,
    controls: Sequence[tuple[Any, Any]] = (),
    fixed: Place | Sequence[Any] = (),
    slide: bool = True,
    method: str = "distance",
    radius: Length | None = None,
    symmetric: str | Mapping[str, Length] = "",
) -> Mesh:
    """The same cells and groups on moved points; see ``Mesh.morphed``."""
    by = displacements(
        mesh, *moves, controls=controls, fixed=fixed, slide=slide, method=method, radius=radius,
        symmetric=symmetric,
    )  # fmt: skip
    if mesh.is_plane and np.any(by[:, 2]):
        raise MeshError("morphed: a plane mesh stays in z = 0, a move takes it out of its plane")
    by = unfolded(mesh, by)
    check_moved(mesh, by)
    return mesh.moved(mesh.points + by)


def displacements(
    mesh: Mesh,
    *moves: Move,
    controls: Sequence[tuple[Any, Any]] = (),
    fixed: Place | Sequence[Any] = (),
    slide: bool = True,
    method: str = "distance",
    radius: Length | None = None,
    symmetric: str | Mapping[str, Length] = "",
) -> FloatArray:
    """How far every point moves, float64[n_points, 3], m; arguments as of ``Mesh.morphed``.

    Linear in what the moves state, so that ``displacements(p + 1) - displacements(p)`` is dX/dp.
    """
    for one in moves:
        if not isinstance(one, Move):
            raise MeshError(f"morphed: a move such as stretch(...) or offset(...) is wanted, got {one!r}")
    if not moves and not controls:
        raise MeshError("morphed: no move given")
    rule = _MIDDLES.get(mesh)
    if rule is None:
        rule = _MIDDLES[mesh] = _MiddleRule(mesh)
    x = np.concatenate([mesh.points, rule.chords])
    by = np.zeros_like(x)
    for one in moves:
        if not isinstance(one, PlaceMove):
            by += one.displacement(mesh, x)
    placed = [one for one in moves if isinstance(one, PlaceMove)]
    if placed or controls:
        by += _follow(mesh, x, placed, controls, fixed, slide, method, radius, planes_of(symmetric))
    elif symmetric:
        raise MeshError(
            "morphed: symmetric= mirrors moves of places and controls; maps of space are stated whole"
        )
    return rule.straightened(by)


class _MiddleRule:
    """Keeps mid-side nodes in the middle where a map bends within a cell; made once per mesh.

    A map that is not affine along an edge takes the middle node away from the middle, which folds the cell.
    What bends is taken back, except across the outside, so that faces get the shape the map gives. Nothing
    changes under affine maps and where nothing moves; all is linear in the displacement.
    """

    def __init__(self, mesh: Mesh) -> None:
        nodes, ends = [np.empty(0, np.int64)], [np.empty((0, 2), np.int64)]
        for name, _, conn in mesh.blocks():
            element = ELEMENTS[name]
            if element.edges and element.dimension == mesh.dimension and _filled(mesh):
                nodes.append(conn[:, element.corners :].ravel())
                ends.append(conn[:, np.array(element.edges)].reshape(-1, 2))
        self.n_points = mesh.n_points
        self.nodes, first = np.unique(np.concatenate(nodes), return_index=True)
        self.ends: IntArray = np.concatenate(ends)[first]
        chord = mesh.points[self.ends].mean(axis=1)
        length = np.linalg.norm(mesh.points[self.ends[:, 1]] - mesh.points[self.ends[:, 0]], axis=1)
        off = np.linalg.norm(mesh.points[self.nodes] - chord, axis=1)
        self.curved: IntArray = np.flatnonzero(off > 1e-9 * length)
        self.chords: FloatArray = chord[self.curved]
        """Middles of the chords of curved edges, float64[k, 3]: where the map is asked as well."""
        self.along: FloatArray = np.eye(3) - _across(mesh, self.nodes)

    def straightened(self, by: FloatArray) -> FloatArray:
        """Displacement of the points, float64[n_points, 3], from that of the points and the chords."""
        out = by[: self.n_points].copy()
        if len(self.nodes):
            middle = out[self.nodes]
            middle[self.curved] = by[self.n_points :]
            bend = middle - 0.5 * (out[self.ends[:, 0]] + out[self.ends[:, 1]])
            out[self.nodes] -= np.einsum("nab,nb->na", self.along, bend)
        return out


_MIDDLES: weakref.WeakKeyDictionary[Mesh, _MiddleRule] = weakref.WeakKeyDictionary()


def _across(mesh: Mesh, nodes: IntArray) -> FloatArray:
    """Projectors float64[k, 3, 3] onto the directions that leave the outside; zero inside the body.

    One direction on a face, two on an edge. Flat facets come first, so that their nodes stay exactly in plane
    where a curved face runs into them.
    """
    flat, curved = np.zeros((9, mesh.n_points)), np.zeros((9, mesh.n_points))
    for block in surface_of(mesh).blocks:
        normal = facet_normals(
            mesh.points[block.conn], ELEMENTS[block.element].gradient(_nodes(block.element))
        )
        level = np.einsum("fna,fa->fn", normal, normal[:, 0]).min(axis=1) > 1 - 1e-9
        for spread, part in ((flat, level), (curved, ~level)):
            conn, n = block.conn[part].ravel(), normal[part].reshape(-1, 3)
            for i in range(9):
                spread[i] += np.bincount(conn, n[:, i // 3] * n[:, i % 3], minlength=mesh.n_points)
    first, second = (spread.T[nodes].reshape(-1, 3, 3) for spread in (flat, curved))
    across = _main_directions(first, np.trace(first, axis1=1, axis2=2))
    rest = np.eye(3) - across
    return across + _main_directions(rest @ second @ rest, np.trace(second, axis1=1, axis2=2))


def _main_directions(spread: FloatArray, total: FloatArray) -> FloatArray:
    """Projectors onto the eigenvectors that carry more than a share of the total, float64[k, 3, 3]."""
    value, vector = np.linalg.eigh(spread)
    # Two faces that meet at more than some 25 degrees make an edge, which keeps its shape in both.
    kept = (value > 0.05 * total[:, None]) & (total[:, None] > 0.5)
    return np.asarray(np.einsum("nai,nbi->nab", vector * kept[:, None, :], vector))


def unfolded(mesh: Mesh, by: FloatArray) -> FloatArray:
    """The displacement with mid-side nodes drawn to the middle of their edges where a cell folds at a node.

    Curved faces pressed into thin cells do that. Only as far as it takes, so that the result is continuous in
    the displacement; nodes of cells that do not fold stay where they are.
    """
    x = mesh.points + by
    moved = np.asarray(by.any(axis=1))
    for _ in range(4):
        share = np.zeros(mesh.n_points)
        middle = np.zeros_like(x)
        for name, _, conn in mesh.blocks():
            element = ELEMENTS[name]
            if not element.edges or element.dimension != mesh.dimension or not _filled(mesh):
                continue
            gradient = element.gradient(checked_nodes(name))
            rows = conn[moved[conn].any(axis=1)]
            rows = rows[_least(determinants(x[rows], gradient)) < _UPRIGHT]
            before = _least(determinants(mesh.points[rows], gradient))
            # Cells that were folded before are not the move's doing.
            rows, wanted = rows[before > 0], np.minimum(_UPRIGHT, 0.5 * before[before > 0])
            folded = _least(determinants(x[rows], gradient)) < wanted
            rows, wanted = rows[folded], wanted[folded]
            if not len(rows):
                continue
            ends = np.array(element.edges)
            straight = x[rows]
            straight[:, element.corners :] = 0.5 * (straight[:, ends[:, 0]] + straight[:, ends[:, 1]])
            off = straight - x[rows]
            low, high = np.zeros(len(rows)), np.ones(len(rows))
            for _ in range(20):
                half = 0.5 * (low + high)
                upright = _least(determinants(x[rows] + half[:, None, None] * off, gradient)) >= wanted
                low, high = np.where(upright, low, half), np.where(upright, half, high)
            np.maximum.at(share, rows[:, element.corners :], high[:, None])
            middle[rows[:, element.corners :]] = straight[:, element.corners :]
        found = np.flatnonzero(share)
        if not len(found):
            break
        x[found] += share[found, None] * (middle[found] - x[found])
    return np.asarray(x - mesh.points)


def check_moved(mesh: Mesh, by: FloatArray) -> None:
    """Raise if a displacement of the points inverts a cell.

    Raises
    ------
    MeshError
        With the number of cells, a place, and the largest share of the move that is safe.
    """
    bad = _turned(mesh, by, 1.0)
    if not len(bad):
        return
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if len(_turned(mesh, by, middle)) else (middle, high)
    at = mesh.cell_centers[bad[0]]
    place = ", ".join(f"{v:.4g}" for v in from_si(at, "length"))
    # Rounded down: the share named must be safe.
    share = math.floor(1000 * low) / 10
    raise MeshError(
        f"the move turns {len(bad)} cell{'s' if len(bad) > 1 else ''} inside out, the worst is cell {bad[0]} "
        f"at ({place}) {symbol('length')}; up to {share:g} % of the move is safe: move less, spread it over "
        "a longer reach, or mesh the new shape"
    )


def node_normals(mesh: Mesh, facets: IntArray) -> FloatArray:
    """Unit normals at the nodes of facets, weighted by area, float64[n_points, 3]; nan elsewhere."""
    total = np.zeros_like(mesh.points)
    touched = np.zeros(mesh.n_points, bool)
    vectors, _ = mesh.facet_vectors(facets)
    area = np.linalg.norm(vectors, axis=1)
    for block in mesh.facets(facets):
        element = ELEMENTS[block.element]
        normal = facet_normals(mesh.points[block.conn], element.gradient(np.array(element.nodes)))
        np.add.at(total, block.conn, normal * area[block.rows, None, None])
        touched[block.conn] = True
    size = np.linalg.norm(total, axis=1)
    total[~touched | (size == 0)] = np.nan
    return np.asarray(total / np.where(size > 0, size, 1.0)[:, None])


def _turned(mesh: Mesh, by: FloatArray, share: float) -> IntArray:
    """Cells that a share of the displacement inverts where they were not, the worst first."""
    found, worst = [], []
    for name, ids, conn in mesh.blocks():
        element = ELEMENTS[name]
        if element.dimension < mesh.dimension or not _filled(mesh):
            continue
        moved = np.flatnonzero(np.any(by[conn] != 0.0, axis=(1, 2)))
        if not len(moved):
            continue
        at = np.concatenate([element.quadrature[0], element.mass_quadrature[0]])
        gradient = element.gradient(at)
        rows = conn[moved]
        ratio = _least(determinants(mesh.points[rows] + share * by[rows], gradient))
        wrong = np.flatnonzero(ratio <= _LEAST)
        # What was inside out before is not the move's doing.
        wrong = wrong[_least(determinants(mesh.points[rows[wrong]], gradient)) > _LEAST]
        found.append(ids[moved[wrong]])
        worst.append(ratio[wrong])
    if not found:
        return np.empty(0, np.int64)
    return np.asarray(np.concatenate(found)[np.argsort(np.concatenate(worst), kind="stable")])


def _filled(mesh: Mesh) -> bool:
    """True for solids and plane meshes, whose cells can turn inside out; not for lines and surfaces."""
    return mesh.dimension == 3 or mesh.is_plane


def _least(det: FloatArray) -> FloatArray:
    """Least determinant of each cell over the mean size, float64[c]."""
    return np.asarray(det.min(axis=1) / np.maximum(np.abs(det).mean(axis=1), 1e-300))


# --- how the rest follows ---------------------------------------------------------------------------------


def _follow(
    mesh: Mesh,
    x: FloatArray,
    moves: Sequence[PlaceMove],
    controls: Sequence[tuple[Any, Any]],
    fixed: Place | Sequence[Any],
    slide: bool,
    method: str,
    radius: Length | None,
    planes: Mapping[int, float],
) -> FloatArray:
    if method not in ("distance", "rbf"):
        raise MeshError(f"morphed: method is 'distance' or 'rbf', not {method!r}")
    if radius is not None and method != "rbf":
        raise MeshError("morphed: radius= is the support of method='rbf'")
    support = None if radius is None else above_zero(radius, "radius")
    stated = [one.controls(mesh) for one in moves]
    points: list[tuple[FloatArray, FloatArray]] = []  # control points in space
    for where, by in controls:
        if isinstance(where, Selection | str):
            nodes = select(where).resolve(mesh).nodes
            stated.append((nodes, _values(by, mesh.points[nodes])))
        else:
            at = np.atleast_2d(np.asarray(to_si(where, "length", name="control points"), np.float64))
            points.append((at, _values(by, at)))
    for mirror, position in planes.items():
        _mirror(mesh, stated, points, mirror, position)
    value = _agreed(mesh, stated)
    held = _held(mesh, fixed, slide)
    # What is moved is not held; what is held is held still.
    value = np.where(np.isnan(value) & held, 0.0, value)
    # Asked at mirror images too: what is symmetric is so to the last digit, whatever the mesh.
    for mirror, position in planes.items():
        x = np.concatenate([x, _image(x, mirror, position)])
    out = np.zeros_like(x)
    for axis in range(3):
        nodes = np.flatnonzero(~np.isnan(value[:, axis]))
        at = np.concatenate([mesh.points[nodes], *(p for p, _ in points)])
        v = np.concatenate([value[nodes, axis], *(u[:, axis] for _, u in points)])
        known = ~np.isnan(v)
        at, v = at[known], v[known]
        if not len(v) or not v.any():
            continue
        if method == "rbf":
            out[:, axis] = radial_basis(at, v, x, radius=support)
        else:
            groups = [s[0][~np.isnan(s[1][:, axis])] for s in stated]
            out[:, axis] = _by_distance(mesh.points, x, value[:, axis], groups, nodes, points, axis)
        out[nodes, axis] = value[nodes, axis]
    for mirror in reversed(list(planes)):
        here, image = np.split(out, 2)
        out = 0.5 * (here + _image(image, mirror, 0.0))
    if planes:
        told = ~np.isnan(value)
        out[: mesh.n_points][told] = value[told]
    return out


def _mirror(
    mesh: Mesh,
    stated: list[tuple[IntArray, FloatArray]],
    points: list[tuple[FloatArray, FloatArray]],
    axis: int,
    at: float,
) -> None:
    """Add the mirror image of what is stated: at nodes where the mesh has some, else at points in space."""
    from scipy.spatial import cKDTree

    tree, given = cKDTree(mesh.points), list(points)
    for nodes, by in list(stated):
        off = (np.abs(mesh.points[nodes, axis] - at) < 1e-9 * mesh.size) & (np.nan_to_num(by[:, axis]) != 0.0)
        if off.any():
            first = int(np.argmax(off))
            raise MeshError(
                f"morphed: node {nodes[first]} lies on the plane of symmetry {'xyz'[axis]} = "
                f"{show(at, 'length')} and is told to leave it by {show(float(by[first, axis]), 'length')}"
            )
        image, of = _image(mesh.points[nodes], axis, at), _image(by, axis, 0.0)
        distance, node = tree.query(image)
        met = distance < 1e-7 * mesh.size
        stated.append((node[met], of[met]))
        points.append((image[~met], of[~met]))
    points += [(_image(p, axis, at), _image(u, axis, 0.0)) for p, u in given]


def _image(x: FloatArray, axis: int, at: float) -> FloatArray:
    """Points or vectors mirrored at a plane across an axis."""
    out = np.array(x, np.float64)
    out[:, axis] = 2.0 * at - out[:, axis]
    return out


def _agreed(mesh: Mesh, stated: Sequence[tuple[IntArray, FloatArray]]) -> FloatArray:
    """Displacement stated at each point, nan where none is; moves that meet must agree."""
    value = np.full((mesh.n_points, 3), np.nan)
    largest = max((float(np.nanmax(np.abs(by), initial=0.0)) for _, by in stated), default=0.0)
    for nodes, by in stated:
        old = value[nodes]
        clash = np.abs(old - by) > 1e-6 * max(largest, 1e-300)
        if clash.any():
            row, axis = np.argwhere(clash)[0]
            raise MeshError(
                f"morphed: two moves meet at node {nodes[row]} and differ: {'xyz'[axis]} by "
                f"{show(float(old[row, axis]), 'length')} and by {show(float(by[row, axis]), 'length')}; "
                "leave a component free (None) in one of them, or take the edge out of one selection"
            )
        value[nodes] = np.where(np.isnan(by), old, by)
    return value


def _held(mesh: Mesh, fixed: Place | Sequence[Any], slide: bool) -> BoolArray:
    """Which components of which points stay, bool[n_points, 3]."""
    held = np.zeros((mesh.n_points, 3), bool)
    items = [fixed] if isinstance(fixed, Selection | str) else list(fixed)
    for item in items:
        held[select(item).resolve(mesh).nodes] = True
    if slide and mesh.dimension > 1:
        held |= _sliding(mesh, surface_of(mesh))
    return held


def _sliding(mesh: Mesh, outside: Surface) -> BoolArray:
    """Flat faces along an axis stay in their planes, straight holes and pins along an axis on theirs."""
    held = np.zeros((mesh.n_points, 3), bool)
    for block in outside.blocks:
        normal = facet_normals(
            mesh.points[block.conn], ELEMENTS[block.element].gradient(_nodes(block.element))
        )
        flat = np.asarray((np.abs(normal) > 1 - 1e-6).all(axis=1), bool)
        for axis in range(3):
            held[block.conn[flat[:, axis]].ravel(), axis] = True
    for face in outside.cylinders:
        along = np.abs(face.axis) > 1 - 1e-6
        if face.kind in ("hole", "pin") and along.any():
            nodes = mesh.nodes_of_facets(outside.facets[face.rows])
            held[np.ix_(nodes, np.flatnonzero(~along))] = True
    if mesh.is_plane:
        held[:, 2] = True
    return held


def _by_distance(
    known: FloatArray,
    x: FloatArray,
    value: FloatArray,
    groups: Sequence[IntArray],
    nodes: IntArray,
    points: Sequence[tuple[FloatArray, FloatArray]],
    axis: int,
) -> FloatArray:
    """Nearest values of each moved place and of all that is held, weighted by the inverse of distance.

    Linear across a plate whose one face moves; exact on every place; between zero and one always.
    """
    from scipy.spatial import cKDTree

    moved = np.unique(np.concatenate([*groups, np.empty(0, np.int64)]))
    still = np.setdiff1d(nodes, moved)
    sets = [(known[g], value[g]) for g in groups if len(g)]
    sets += [(at[~np.isnan(u[:, axis])], u[~np.isnan(u[:, axis]), axis]) for at, u in points]
    if len(still):
        sets.append((known[still], value[still]))
    top, bottom = np.zeros(len(x)), np.zeros(len(x))
    tiny = 1e-9 * float(np.linalg.norm(np.ptp(x, axis=0)))
    for at, v in sets:
        if not len(v):
            continue
        distance, nearest = cKDTree(at).query(x)
        weight = 1.0 / np.maximum(distance, tiny)
        top += weight * v[nearest]
        bottom += weight
    return np.asarray(top / bottom)


def radial_basis(
    centers: FloatArray, values: FloatArray, x: FloatArray, *, radius: float | None = None
) -> FloatArray:
    """Interpolate values [k] at centers [k, 3] to points [n, 3] by radial basis functions.

    Without a radius, the biharmonic spline r with a linear polynomial: exact for affine values, reaching
    everywhere. With a radius, Wendland's C2 function: no effect beyond it. More than 1,200 centers are
    thinned evenly (by place alone, so that the result stays linear in the values).
    """
    from scipy.spatial.distance import cdist

    pick = _thinned(centers, _MOST_CENTERS)
    c, v = centers[pick], values[pick]
    size = float(np.linalg.norm(np.ptp(c, axis=0))) or 1.0
    origin = c.mean(axis=0)

    def kernel(r: FloatArray) -> FloatArray:
        if radius is None:
            return -r / size
        t = np.minimum(r / radius, 1.0)
        return np.asarray((1 - t) ** 4 * (4 * t + 1))

    k = len(c)
    if radius is None:
        tail = np.column_stack([np.ones(k), (c - origin) / size])
        # Directions that the centers do not span carry no slope.
        _, s, axes = np.linalg.svd(tail, full_matrices=False)
        tail_axes = axes[s > 1e-8 * s[0]].T
        tail = tail @ tail_axes
    else:
        tail_axes, tail = np.zeros((4, 0)), np.zeros((k, 0))
    m = tail.shape[1]
    system = np.zeros((k + m, k + m))
    system[:k, :k] = kernel(cdist(c, c))
    system[:k, k:], system[k:, :k] = tail, tail.T
    # Small values against one another: the solution is the same, the rounding less.
    solved = np.linalg.solve(system, np.append(v, np.zeros(m)))
    out = np.empty(len(x))
    for rows in np.array_split(np.arange(len(x)), max(1, len(x) * k // 4_000_000)):
        far = np.column_stack([np.ones(len(rows)), (x[rows] - origin) / size]) @ tail_axes
        out[rows] = kernel(cdist(x[rows], c)) @ solved[:k] + far @ solved[k:]
    return out


def _thinned(x: FloatArray, most: int) -> IntArray:
    """Rows spread evenly over distinct points, farthest first."""
    _, first = np.unique(np.round(x / (1e-9 * (float(np.ptp(x)) or 1.0))), axis=0, return_index=True)
    rows = np.sort(first)
    if len(rows) <= most:
        return rows
    x = x[rows]
    picked = np.empty(most, np.int64)
    picked[0] = 0
    distance = np.linalg.norm(x - x[0], axis=1)
    for i in range(1, most):
        picked[i] = np.argmax(distance)
        distance = np.minimum(distance, np.linalg.norm(x - x[picked[i]], axis=1))
    return np.asarray(rows[np.sort(picked)])


# --- helpers ----------------------------------------------------------------------------------------------


def faded(x: FloatArray, still: FloatArray, radius: float) -> FloatArray:
    """0 at points that stay, 1 from a radius around them on, smooth between, float64[n]."""
    from scipy.spatial import cKDTree

    if not len(still):
        return np.ones(len(x))
    t = np.minimum(cKDTree(still).query(x)[0] / radius, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def _cylinders(mesh: Mesh, on: Selection, what: str) -> tuple[CylinderFace, ...]:
    outside = surface_of(mesh)
    facets = on.resolve(mesh).facets
    rows = np.flatnonzero(np.isin(outside.facets @ np.array([8, 1]), facets @ np.array([8, 1])))
    found = outside.cylinders_through(rows) if len(rows) else None
    if not found:
        raise MeshError(
            f"{what}: {on} is not made of cylindrical faces on the outside of this mesh; "
            f"cylinder(radius=..., kind=...) finds those there are"
        )
    return found


def _radial(distance: FloatArray, old: float, new: float, end: float) -> FloatArray:
    """Relative radial displacement: in proportion up to the old radius, back to none at the end."""
    shift = np.interp(distance, [0.0, old, end], [0.0, new - old, 0.0])
    return np.asarray(np.where(distance > 0, shift / np.where(distance > 0, distance, 1.0), new / old - 1.0))


def _window(along: FloatArray, half: float, reach: float) -> FloatArray:
    """One over a length about the middle, fading to none over the reach beyond it."""
    t = np.clip(1.0 - (np.abs(along) - half) / reach, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def _bernstein(degree: int, t: FloatArray) -> FloatArray:
    """Bernstein polynomials float64[n, degree + 1] at t [n]."""
    i = np.arange(degree + 1)
    count = np.array([math.comb(degree, k) for k in i], np.float64)
    return np.asarray(count * t[:, None] ** i * (1 - t[:, None]) ** (degree - i))


def _values(by: Any, at: FloatArray) -> FloatArray:
    """Displacements float64[k, 3] of control points: one vector, one per point, or a function of points."""
    if callable(by):
        function: Callable[[FloatArray], Any] = by
        by = function(at)
    elif not isinstance(by, np.ndarray) and len(by) == 3 and any(v is None for v in by):
        by = np.array([np.nan if v is None else _one(v, "displacement") for v in by])
    else:
        by = to_si(by, "length", name="displacement")
    try:
        return np.array(np.broadcast_to(np.asarray(by, np.float64), at.shape))
    except ValueError:
        raise MeshError(
            f"morphed: displacements of shape {np.shape(by)} do not fit {len(at)} control points; "
            "one vector, or one per point, is wanted"
        ) from None


def _nodes(element: str) -> FloatArray:
    return np.array(ELEMENTS[element].nodes, np.float64)


def _one(value: Any, name: str) -> float:
    si = to_si(value, "length", name=name)
    if not isinstance(si, float):
        raise MeshError(f"{name}: one length is wanted, got {value!r}")
    return si


def above_zero(value: Any, name: str) -> float:
    si = _one(value, name)
    if si <= 0:
        raise MeshError(f"{name}: a length above zero is wanted, got {show(si, 'length')}")
    return si


def _vector(value: Any, name: str) -> tuple[float, float, float]:
    si = np.asarray(to_si(value, "length", name=name), np.float64).reshape(-1)
    if len(si) != 3:
        raise MeshError(f"{name}: three lengths are wanted, got {value!r}")
    return float(si[0]), float(si[1]), float(si[2])


def axis_of(name: str) -> int:
    """0, 1 or 2 of "x", "y" or "z"."""
    vector = direction(name, "axis")
    return int(np.argmax(np.abs(vector)))


def planes_of(symmetric: str | Mapping[str, Length]) -> dict[int, float]:
    """Planes of symmetry, axis to position, from "x", "xy" or {"x": "12 mm"}.

    Raises
    ------
    MeshError
        If it is something else.
    """
    if not isinstance(symmetric, str | Mapping):
        raise MeshError(f"symmetric is 'x', 'xy' or {{'x': '12 mm'}}, got {symmetric!r}")
    items = symmetric.items() if isinstance(symmetric, Mapping) else ((name, 0.0) for name in symmetric)
    return {axis_of(name): _one(at, f"symmetric {name}") for name, at in items}
