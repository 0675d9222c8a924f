"""Supports: what holds the part, and what is prescribed; masses and springs that are attached to it.

A support answers ``prescribed(model)``: nodes, directions and values; or ``matrices(model)``: stiffness to
ground. None numbers an unknown. In plane models only x and y are held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import ModelError
from designtwin.model.connections import equations_of, joined_pieces
from designtwin.model.coordinates import CoordinateSystem, point
from designtwin.model.domains import (
    MeanMotion,
    NodalMatrices,
    Patch,
    carried,
    domain_of,
    face_matrices,
    faces_of,
    facets_of,
    rigid_motions,
    said,
)
from designtwin.model.loads import (
    Load,
    On,
    inertia_forces,
    not_negative,
    place,
    settle,
    values_at,
    vector_of,
)
from designtwin.model.magnitude import Magnitude, MagnitudeLike
from designtwin.plain import Plain
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.units import show, to_si

if TYPE_CHECKING:
    from designtwin.mesh.mesh import Mesh
    from designtwin.model.model import Model

__all__ = [
    "Damper", "ElasticFoundation", "FixedSupport", "FixedTemperature", "InertiaRelief", "PointMass",
    "Prescribed", "PrescribedDisplacement", "PrescribedTemperature", "Spring", "Support", "Symmetry",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Prescribed:
    """Displacements given at nodes.

    Parameters
    ----------
    nodes : int64[k]
    fixed : bool[k, 3]
        Which directions are given.
    value : float64[k, 3]
        Their displacements, m.
    axes : float64[k, 3, 3], optional
        The directions, one a row; x, y, z without it.
    """

    nodes: IntArray
    fixed: BoolArray
    value: FloatArray
    axes: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class PrescribedTemperature:
    """Temperatures given at nodes: int64[k] and float64[k], K."""

    nodes: IntArray
    value: FloatArray


class Support(Plain):
    """What holds a part. A class of your own needs ``prescribed`` or ``matrices``."""

    physics: ClassVar[str] = "static"

    def prescribed(self, model: Model) -> list[Any]:
        """Given displacements (``Prescribed``) or temperatures (``PrescribedTemperature``)."""
        return []

    def matrices(self, model: Model) -> list[NodalMatrices]:
        """Stiffness to ground, node set by node set, N/m."""
        return []

    def damping_matrices(self, model: Model) -> list[NodalMatrices]:
        """Viscous damping to ground or between nodes, node set by node set, N s/m."""
        return []

    def is_base(self, model: Model) -> bool:
        """Whether it ties the part to ground, which moves where the base is shaken."""
        held = self.prescribed(model)
        return any(one.fixed.any() for one in held if isinstance(one, Prescribed)) or bool(
            self.matrices(model)
        )

    @property
    def varies(self) -> frozenset[str]:
        """What it depends on besides place: nothing, or "time"."""
        return frozenset()

    @property
    def breakpoints(self) -> FloatArray:
        """Times at which it kinks or jumps, float64[k], s, increasing."""
        return np.empty(0)

    def at(self, time: float) -> Support:
        """Itself as it is at a time, s; what does not vary in time returns itself."""
        return self

    def check(self, model: Model) -> None:
        """Raise ModelError if the support makes no sense on this model."""
        on = getattr(self, "on", None)
        if on is not None:
            model.region(on)

    @property
    def said(self) -> str:
        """The support in a sentence: ``FixedSupport on 'bolt_holes'``."""
        on = getattr(self, "on", None)
        return type(self).__name__ if on is None else f"{type(self).__name__} on {said(on)}"


def _held_nodes(model: Model, on: object, who: str) -> IntArray:
    nodes = model.region(on).nodes
    if not len(nodes):
        raise ModelError(f"{who}: the selection holds no nodes")
    return nodes


def _directions(model: Model, wanted: Sequence[bool]) -> BoolArray:
    flags = np.array(wanted, bool)
    if model.dimension == 2:
        flags[2] = False
    return flags


@dataclass(frozen=True, kw_only=True, eq=False)
class FixedSupport(Support):
    """No displacement at all.

    Parameters
    ----------
    on : str or Selection
        Nodes, or the nodes of its faces or cells.
    """

    on: On

    def __post_init__(self) -> None:
        settle(self)

    def prescribed(self, model: Model) -> list[Prescribed]:
        nodes = _held_nodes(model, self.on, self.said)
        fixed = np.tile(_directions(model, (True, True, True)), (len(nodes), 1))
        return [Prescribed(nodes, fixed, np.zeros((len(nodes), 3)))]


@dataclass(frozen=True, kw_only=True, eq=False)
class Symmetry(Support):
    """No displacement square to a face: a plane of symmetry, or a frictionless seat on a curved face.

    A flat face has one normal. On a curved face each node has its own; where faces meet at an edge (normals
    more than 40 degrees apart) the node is held square to each.

    Parameters
    ----------
    on : str or Selection
        Faces.
    """

    on: On

    def __post_init__(self) -> None:
        settle(self)

    def prescribed(self, model: Model) -> list[Prescribed]:
        return _held_along(*node_normals(model.mesh, self._facets(model)))

    def _facets(self, model: Model) -> IntArray:
        facets = model.region(self.on).facets
        if not len(facets):
            raise ModelError(
                f"{self.said} needs faces, which have a normal; the selection holds none. To hold nodes "
                "in one direction write PrescribedDisplacement(on=..., x=0.0)"
            )
        return facets

    def check(self, model: Model) -> None:
        self._facets(model)


def node_normals(
    mesh: Mesh, facets: IntArray, *, edge: float = np.deg2rad(40.0)
) -> tuple[IntArray, IntArray, FloatArray]:
    """Normals of faces at their nodes; several where faces meet at an edge.

    Parameters
    ----------
    facets : int64[k, 2]
    edge : float
        Facets that turn more than this against each other belong to different faces, rad.

    Returns
    -------
    nodes : int64[m]
        A node comes once for each face it is on.
    face : int64[m]
        Number of that face.
    normals : float64[m, 3]
        Outward unit normals; the same for all nodes of a flat face.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    vectors, _ = mesh.facet_vectors(facets)
    units = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    blocks = mesh.facets(facets)
    corners = np.full((len(facets), 4), -1, np.int64)
    for block in blocks:
        n = ELEMENTS[block.element].corners
        corners[block.rows, :n] = block.conn[:, :n]
    # Facets joined across an edge (2D: a node) by which they turn little are one face.
    ends = corners if mesh.dimension == 2 else np.stack([corners, np.roll(corners, -1, axis=1)], axis=2)
    if mesh.dimension == 2:
        rows, key = np.nonzero(ends >= 0)[0], ends[ends >= 0][:, None]
    else:
        triangles = corners[:, 3] < 0
        ends[triangles, 2, 1], ends[triangles, 3] = corners[triangles, 0], -1
        some = (ends >= 0).all(axis=2)
        rows, key = np.nonzero(some)[0], np.sort(ends[some], axis=1)
    order = np.lexsort(key.T)
    rows, key = rows[order], key[order]
    same = (key[1:] == key[:-1]).all(axis=1)
    a, b = rows[:-1][same], rows[1:][same]
    smooth = np.einsum("fi,fi->f", units[a], units[b]) > np.cos(edge)
    graph = coo_array((np.ones(int(smooth.sum())), (a[smooth], b[smooth])), shape=(len(facets), len(facets)))
    n_faces, face_of = connected_components(graph, directed=False)
    whole = np.zeros((n_faces, 3))
    np.add.at(whole, face_of, vectors)
    size = np.zeros(n_faces)
    np.add.at(size, face_of, np.linalg.norm(vectors, axis=1))
    # Flat: the area vectors add up to the area. Rounding of coordinates in a file costs about 1e-6.
    flat = np.linalg.norm(whole, axis=1) > (1.0 - 1e-9) * size
    nodes, faces, normals = [], [], []
    for block in blocks:
        element = ELEMENTS[block.element]
        gradient = element.gradient(np.array(element.nodes, np.float64))
        tangents = np.einsum("fna,qnd->fqad", mesh.points[block.conn], gradient)
        if gradient.shape[2] == 2:
            normal = np.cross(tangents[..., 0], tangents[..., 1])
        else:
            normal = np.stack([tangents[..., 1, 0], -tangents[..., 0, 0], np.zeros(tangents.shape[:2])], -1)
        nodes.append(block.conn.ravel())
        faces.append(np.repeat(face_of[block.rows], block.conn.shape[1]))
        normals.append(normal.reshape(-1, 3))
    pair = np.stack([np.concatenate(nodes), np.concatenate(faces)])
    unique, number = np.unique(pair, axis=1, return_inverse=True)
    total = np.zeros((unique.shape[1], 3))
    np.add.at(total, number.reshape(-1), np.concatenate(normals))
    on_flat = flat[unique[1]]
    total[on_flat] = whole[unique[1][on_flat]]
    total /= np.linalg.norm(total, axis=1)[:, None]
    return unique[0], unique[1], _tidy(total)


def _tidy(normals: FloatArray) -> FloatArray:
    """Normals that miss an axis by rounding only are that axis."""
    near = np.where(np.abs(normals) < 1e-9, 0.0, normals)
    near = np.where(np.abs(np.abs(near) - 1.0) < 1e-9, np.sign(near), near)
    return np.asarray(np.where((np.abs(near) == 1.0).any(axis=1)[:, None], near, normals))


def _held_along(nodes: IntArray, face: IntArray, normals: FloatArray) -> list[Prescribed]:
    """Zero displacement along normals: axis by axis where they are x, y or z, else along own axes."""
    out = []
    for axis in range(3):
        here = np.abs(normals[:, axis]) == 1.0
        if here.any():
            some = np.unique(nodes[here])
            fixed = np.zeros((len(some), 3), bool)
            fixed[:, axis] = True
            out.append(Prescribed(some, fixed, np.zeros((len(some), 3))))
    skew = (np.abs(normals) != 1.0).all(axis=1)
    if skew.any():
        # One face at a time, so that a node of two faces is held square to both.
        for number in np.unique(face[skew]):
            some = skew & (face == number)
            axes = frames(normals[some])
            fixed = np.zeros((len(axes), 3), bool)
            fixed[:, 0] = True
            out.append(Prescribed(nodes[some], fixed, np.zeros((len(axes), 3)), axes))
    return out


def frames(first: FloatArray) -> FloatArray:
    """Right-handed axes [k, 3, 3], one a row, whose first is given; a vector in x, y keeps z as the third."""
    plane = first[:, 2] == 0.0
    helper = np.zeros_like(first)
    helper[np.arange(len(first)), np.abs(first).argmin(axis=1)] = 1.0
    helper[plane] = (0.0, 0.0, 1.0)
    third = np.cross(first, np.cross(helper, first))
    third /= np.linalg.norm(third, axis=1)[:, None]
    return np.stack([first, np.cross(third, first), third], axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class PrescribedDisplacement(Support):
    """Displacement given per component; a component left out is free.

    Parameters
    ----------
    on : str or Selection
        Nodes, or the nodes of its faces or cells.
    x, y, z : length, optional
        Constant or a field; None is free, 0.0 is held.
    coordinates : CoordinateSystem, optional
        Where x, y and z point; in cylindrical coordinates radial, tangential and axial.
    """

    on: On
    x: MagnitudeLike | None = None
    y: MagnitudeLike | None = None
    z: MagnitudeLike | None = None
    coordinates: CoordinateSystem | None = None

    def __post_init__(self) -> None:
        if self.x is None and self.y is None and self.z is None:
            raise ModelError(f"{self.said}: give at least one of x=, y=, z=")
        settle(
            self,
            **{
                axis: Magnitude.of(value, "length", name=f"PrescribedDisplacement {axis}")
                for axis in "xyz"
                if (value := getattr(self, axis)) is not None
            },
        )

    def prescribed(self, model: Model) -> list[Prescribed]:
        nodes = _held_nodes(model, self.on, self.said)
        given = [getattr(self, axis) for axis in "xyz"]
        fixed = np.tile(_directions(model, [g is not None for g in given]), (len(nodes), 1))
        value = np.zeros((len(nodes), 3))
        for axis, one in enumerate(given):
            if one is not None:
                value[:, axis] = at_nodes(one, model, nodes)
        axes = None
        if self.coordinates is not None and not fixed[:, : model.dimension].all():
            axes = self.coordinates.axes(model.mesh.points[nodes])
        elif self.coordinates is not None:
            # All components given: the same in global axes, which need no turning.
            turn = self.coordinates.axes(model.mesh.points[nodes])
            value = np.einsum("ki,kij->kj", value, turn)
        return [Prescribed(nodes, fixed, value, axes)]

    def check(self, model: Model) -> None:
        super().check(model)
        if model.dimension == 2 and self.z is not None:
            raise ModelError(f"{self.said}: a plane model has no displacement along z; leave out z=")


def at_nodes(magnitude: Magnitude, model: Model, nodes: IntArray) -> FloatArray:
    """A magnitude at some nodes, float64[k, ...]."""
    if magnitude.kind == "nodal":
        return magnitude.at(points=model.mesh.points)[nodes]
    return magnitude.at(points=model.mesh.points[nodes])


@dataclass(frozen=True, kw_only=True, eq=False)
class ElasticFoundation(Support):
    """A bed of springs under a face: force per area and displacement, to ground.

    Parameters
    ----------
    on : str or Selection
        Faces.
    normal : stiffness per area
        Square to the face, such as ``"20 N/mm3"``.
    tangential : stiffness per area
        Along the face; none by default.
    """

    on: On
    normal: MagnitudeLike
    tangential: MagnitudeLike = 0.0

    def __post_init__(self) -> None:
        settle(
            self,
            normal=Magnitude.of(self.normal, "foundation", name="ElasticFoundation normal"),
            tangential=Magnitude.of(self.tangential, "foundation", name="ElasticFoundation tangential"),
        )
        for one in (self.normal, self.tangential):
            not_negative(one, f"{self.said}: a stiffness below zero is no foundation")

    def matrices(self, model: Model) -> list[NodalMatrices]:
        plane = np.eye(3)
        plane[2, 2] = float(model.dimension == 3)

        def stiffness(patch: Patch) -> FloatArray:
            assert patch.normal is not None
            k = values_at(self.normal, patch, model)[..., None, None]
            t = values_at(self.tangential, patch, model)[..., None, None]
            square = patch.normal[..., :, None] * patch.normal[..., None, :]
            return np.asarray(k * square + t * (plane - square))

        return face_matrices(faces_of(model, self.on, self.said), stiffness)

    def check(self, model: Model) -> None:
        facets_of(model, self.on, self.said)


class _Coupler(Support):
    """What a spring and a damper have in common: spread over a face, or through one point of it."""

    on: On
    to: On | None
    at: Any
    to_at: Any
    coordinates: CoordinateSystem | None
    _strength: ClassVar[str]
    _turning: ClassVar[str]

    def _settle_joint(self, strength: Any, rotational: Any) -> None:
        """Places, and constants along and about axes, in SI."""
        who, field_name = type(self).__name__, self._strength
        values: dict[str, Any] = dict.fromkeys((field_name, "rotational"))
        for name, given, kind in (
            (field_name, strength, self._strength), ("rotational", rotational, self._turning),
        ):  # fmt: skip
            if given is None:
                continue
            size = (
                given.shape
                if isinstance(given, Magnitude)
                else np.shape(to_si(given, kind, name=f"{who} {name}"))
            )
            shape = () if name != "rotational" and size == () else (3,)
            values[name] = Magnitude.of(given, kind, name=f"{who} {name}", shape=shape)
            not_negative(values[name], f"{self.said}: a {name} below zero is no {who.lower()}")
        settle(self, **values)
        if self.to is not None:
            settle(self, to=place(self.to, f"{who} to"))
        for name in ("at", "to_at"):
            if getattr(self, name) is not None:
                settle(self, **{name: point(getattr(self, name), name=f"{who} {name}")})
        if strength is None and rotational is None:
            raise ModelError(f"{self.said}: give {field_name}=, or rotational=")
        if self._axial and self.to is None and self.to_at is None:
            raise ModelError(
                f"{self.said}: one {field_name} acts along the line between two ends; name the other by to=, "
                f"or its place on ground by to_at=, or give three: {field_name}=(kx, ky, kz)"
            )
        if self._axial and (rotational is not None or self.coordinates is not None):
            raise ModelError(
                f"{self.said}: one {field_name} acts along the line between the ends, and has no rotational= "
                f"or coordinates=; give three: {field_name}=(kx, ky, kz)"
            )
        if not self._axial and self.to_at is not None:
            raise ModelError(
                f"{self.said}: three values act at one point, at=; to_at= is for one value along a line"
            )

    @property
    def said(self) -> str:
        text = f"{type(self).__name__} on {said(self.on)}"
        return text if self.to is None else f"{text} to {said(self.to)}"

    @property
    def _constants(self) -> Magnitude | None:
        return getattr(self, self._strength)  # type: ignore[no-any-return]

    @property
    def _axial(self) -> bool:
        return self._constants is not None and self._constants.shape == ()

    @property
    def _at_point(self) -> bool:
        """Whether it acts through a point of each end rather than spread over the face."""
        rotational = getattr(self, "rotational")  # noqa: B009
        return self._axial or any(one is not None for one in (self.to, self.at, rotational))

    def _plain_fields(self) -> dict[str, Any]:
        fields = super()._plain_fields()
        # What is spread over a face has the hash it had before there was more.
        later = ("to", "at", "to_at", "rotational")
        return {k: v for k, v in fields.items() if v is not None or k not in later}

    def _joint(self, model: Model) -> list[NodalMatrices]:
        """Its matrices: constants times products of the relative motion of the ends."""
        domain = domain_of(model, self.on)
        if not self._at_point:
            assert self._constants is not None  # the constructor saw to it
            k = np.diag(vector_of(self._constants, self.said)) / domain.measure

            def density(patch: Patch) -> FloatArray:
                if self.coordinates is None:
                    return np.broadcast_to(k, (*patch.measure.shape, 3, 3))
                axes = self.coordinates.axes(patch.at.reshape(-1, 3)).reshape(*patch.at.shape, 3)
                return np.asarray(np.einsum("fqai,ab,fqbj->fqij", axes, k, axes))

            return face_matrices(domain, density)
        return [carried(*self._form(model), self.said)]

    def _form(self, model: Model) -> tuple[IntArray, FloatArray, FloatArray]:
        """Nodes int64[n] of both ends, how the ends move apart float64[n, 3, 6], and its form over that."""
        domain = domain_of(model, self.on)
        near = MeanMotion.of(model, domain)
        far = None if self.to is None else MeanMotion.of(model, domain_of(model, self.to))
        if far is not None and np.array_equal(near.nodes, far.nodes):
            raise ModelError(f"{self.said}: it joins a region to itself; name two places")
        ends, core = self._ends(near, far)
        for mean, end in ((near, ends[0]), (far, ends[1])):
            if mean is not None and mean.lost(end, core):
                raise ModelError(
                    f"{self.said}: its points at {show(mean.center, 'length')} lie on one line (or are one "
                    f"point), which cannot take a moment from {show(end, 'length')}; select a face"
                )
        shapes = near.at(ends[0])
        if far is not None:
            shapes = np.concatenate([shapes, -far.at(ends[1])])
        nodes = near.nodes if far is None else np.concatenate([near.nodes, far.nodes])
        return nodes, shapes, core

    def _ends(
        self, near: MeanMotion, far: MeanMotion | None
    ) -> tuple[tuple[FloatArray, FloatArray], FloatArray]:
        """Where it is fastened, and its form float64[6, 6] over the relative motion of the ends."""
        core = np.zeros((6, 6))
        if self._axial:
            start = near.center if self.at is None else np.array(self.at)
            other = near if far is None else far  # of ground the place alone counts, which to_at gives
            end = other.center if self.to_at is None else np.array(self.to_at)
            line = end - start
            length = float(np.linalg.norm(line))
            if length <= 1e-9 * max(float(np.abs(start).max()), float(np.abs(end).max())):
                raise ModelError(
                    f"{self.said}: its ends coincide at {show(start, 'length')}, and have no line between "
                    f"them; give at= and to_at=, or three values: {self._strength}=(kx, ky, kz)"
                )
            core[:3, :3] = float(self._constants.at()) * np.outer(line, line) / length**2  # type: ignore[union-attr]
            return (start, end), core
        middle = near.center if far is None else 0.5 * (near.center + far.center)
        at = middle if self.at is None else np.array(self.at)
        axes = np.eye(3) if self.coordinates is None else self.coordinates.axes(at[None])[0]
        for block, values in ((slice(0, 3), self._constants), (slice(3, 6), getattr(self, "rotational"))):  # noqa: B009
            if values is not None:
                core[block, block] = axes.T @ np.diag(vector_of(values, self.said)) @ axes
        return (at, at), core

    def check(self, model: Model) -> None:
        super().check(model)
        if self.to is not None:
            model.region(self.to)
        turning = getattr(self, "rotational")  # noqa: B009
        if turning is not None and model.dimension == 2:
            values = vector_of(turning, self.said)
            if model.axisymmetric:
                raise ModelError(f"{self.said}: an axisymmetric model does not turn; leave out rotational=")
            if values[:2].any():
                raise ModelError(f"{self.said}: a plane model turns about z only; give rotational=(0, 0, kz)")
        if self._at_point:
            self._form(model)


@dataclass(frozen=True, kw_only=True, eq=False)
class Spring(_Coupler):
    """A spring to ground or between two places.

    With three values on one place it is spread evenly, over the face or in equal shares over the nodes, and
    resists rotation of the face as a pad of that total stiffness would. A spring at one point:
    ``on=dtw.nearest((x, y, z))``. With ``at``, ``to`` or ``rotational`` it acts through one point, which goes
    along with the mean motion of the face; the face stays flexible (RBE3). For a rigid one add a `RigidLink`.

    Parameters
    ----------
    on : str or Selection
        Faces if it holds any, else nodes, else cells.
    stiffness : three stiffnesses, or one
        Total along x, y and z, such as ``("500 N/mm", 0.0, 0.0)``. One acts along the line between its ends.
    coordinates : CoordinateSystem, optional
        Where x, y and z point.
    to : str or Selection, optional
        What the other end is fastened to; ground without.
    at : point, optional
        Where it acts, on the part or beside it; of one stiffness where its line starts. The centroid of the
        face, or halfway between both, without.
    to_at : point, optional
        Where the line of one stiffness ends; the centroid of ``to`` without.
    rotational : three rotational stiffnesses, optional
        About x, y and z, such as ``("80 N*m/rad", 0.0, 0.0)``.
    """

    on: On
    stiffness: MagnitudeLike | None = None
    coordinates: CoordinateSystem | None = None
    to: On | None = None
    at: Any = None
    to_at: Any = None
    rotational: MagnitudeLike | None = None

    _strength: ClassVar[str] = "stiffness"
    _turning: ClassVar[str] = "rotational_stiffness"

    def __post_init__(self) -> None:
        self._settle_joint(self.stiffness, self.rotational)

    def matrices(self, model: Model) -> list[NodalMatrices]:
        return self._joint(model)

    def is_base(self, model: Model) -> bool:
        given = (one for one in (self.stiffness, self.rotational) if isinstance(one, Magnitude))
        return self.to is None and any(bool(one.at().any()) for one in given)


@dataclass(frozen=True, kw_only=True, eq=False)
class Damper(_Coupler):
    """A viscous damper to ground or between two places: force per velocity. It holds nothing at rest.

    Parameters
    ----------
    on : str or Selection
        Faces if it holds any, else nodes, else cells.
    damping : three damping constants, or one
        Along x, y and z, such as ``("2 N*s/mm", 0.0, 0.0)``. One acts along the line between its ends.
    coordinates, to, at, to_at
        As in `Spring`.
    rotational : three rotational damping constants, optional
        About x, y and z, such as ``("3 N*m*s", 0.0, 0.0)``.
    """

    on: On
    damping: MagnitudeLike | None = None
    coordinates: CoordinateSystem | None = None
    to: On | None = None
    at: Any = None
    to_at: Any = None
    rotational: MagnitudeLike | None = None

    _strength: ClassVar[str] = "damping"
    _turning: ClassVar[str] = "rotational_damping"

    def __post_init__(self) -> None:
        self._settle_joint(self.damping, self.rotational)

    def damping_matrices(self, model: Model) -> list[NodalMatrices]:
        return self._joint(model)


@dataclass(frozen=True, kw_only=True, eq=False)
class PointMass(Support):
    """A mass that is not meshed and rides on the part; it counts in weight, inertia and the model's mass.

    Parameters
    ----------
    on : str or Selection
        What carries it. It stays flexible; `RigidLink` makes it rigid.
    mass : mass
        Such as ``"1.2 kg"``.
    at : point, optional
        Its center of gravity; its forces then reach the part with their moment. Spread over ``on`` without.
    inertia : three or six mass moments of inertia, optional
        About ``at``: Jxx, Jyy, Jzz, and Jxy, Jyz, Jxz as entries of the tensor (Jxy is minus the integral of
        x y over the mass). Such as ``("0.02 kg*m2", "0.02 kg*m2", "0.03 kg*m2")``.
    """

    on: On
    mass: Any
    at: Any = None
    inertia: Any = None

    def __post_init__(self) -> None:
        mass = to_si(self.mass, "mass", name="PointMass mass")
        if not isinstance(mass, float) or mass < 0.0:
            raise ModelError(f"{self.said}: one mass above zero is wanted, got {self.mass!r}")
        settle(self, mass=mass)
        if self.at is not None:
            settle(self, at=point(self.at, name="PointMass at"))
        if self.inertia is not None:
            self._settle_inertia()

    def _settle_inertia(self) -> None:
        if self.at is None:
            raise ModelError(
                f"{self.said}: its inertia is about its center of gravity; state that by at=(x, y, z)"
            )
        values = np.asarray(to_si(self.inertia, "mass_inertia", name="PointMass inertia"), np.float64)
        if values.shape not in ((3,), (6,)):
            raise ModelError(
                f"{self.said}: its inertia has three values, Jxx, Jyy, Jzz, or six, also Jxy, Jyz, Jxz; got "
                f"shape {list(values.shape)}"
            )
        settle(self, inertia=tuple(values.tolist()))
        # Second moments of a mass cannot be negative: of no axis is J above the sum of the two others.
        smallest = float(np.linalg.eigvalsh(self._second_moment)[0])
        if smallest < -1e-9 * float(np.abs(values).max(initial=0.0)):
            raise ModelError(
                f"{self.said}: no body has the inertia {show(values, 'mass_inertia')}: of three principal "
                "moments none exceeds the sum of the other two, and none is negative"
            )

    @property
    def _second_moment(self) -> FloatArray:
        """Integral of r r over the mass about its center, float64[3, 3], kg m^2."""
        j = np.zeros(6)
        j[: len(self.inertia or ())] = self.inertia or ()
        tensor = np.array([[j[0], j[3], j[5]], [j[3], j[1], j[4]], [j[5], j[4], j[2]]])
        return np.asarray(0.5 * np.trace(tensor) * np.eye(3) - tensor)

    def _plain_fields(self) -> dict[str, Any]:
        fields = super()._plain_fields()
        return {k: v for k, v in fields.items() if v is not None or k != "inertia"}

    def inertia_forces(self, model: Model, acceleration: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Mass times acceleration [k, 3] -> [k, 3], as nodal forces float64[n_points, 3], N.

        With inertia the moment of a body in the field: its slope is taken where the mass is.
        """
        domain = domain_of(model, self.on)
        if self.at is None:
            share = self.mass / domain.measure
            return domain.spread(
                lambda patch: share * acceleration(patch.at.reshape(-1, 3)).reshape(patch.at.shape)
            )
        center = np.array(self.at)
        wrench = np.zeros(6)
        wrench[:3] = self.mass * acceleration(center[None, :])[0]
        if self.inertia is not None:
            # Accelerations of rigid motion are linear over place, so that differences are exact.
            step = model.mesh.size
            ends = acceleration(np.concatenate([center + step * np.eye(3), center - step * np.eye(3)]))
            slope = (ends[:3] - ends[3:]).T / (2.0 * step) @ self._second_moment
            wrench[3:] = slope[2, 1] - slope[1, 2], slope[0, 2] - slope[2, 0], slope[1, 0] - slope[0, 1]
        mean = MeanMotion.of(model, domain)
        if mean.lost(center, np.outer(wrench, wrench)):
            raise ModelError(_lost(self, mean))
        out = np.zeros((model.mesh.n_points, 3))
        out[mean.nodes] = mean.at(center) @ wrench
        return out

    def mass_matrices(self, model: Model, weight: FloatArray | None = None) -> list[NodalMatrices]:
        """Its mass over displacements of the nodes, kg, consistent with `inertia_forces`.

        Parameters
        ----------
        weight : float64[3, 3], optional
            Symmetric W of the form u.W u that is integrated over the mass; the identity without.
        """
        form = np.eye(3) if weight is None else weight
        domain = domain_of(model, self.on)
        if self.at is None:
            share = self.mass / domain.measure * form
            return face_matrices(domain, lambda patch: np.broadcast_to(share, (*patch.measure.shape, 3, 3)))
        return [carried(*self._form(model, form), self.said)]

    def _form(self, model: Model, form: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
        """Nodes int64[n], how its body moves with them float64[n, 3, 6], and its form over that."""
        mean, center = MeanMotion.of(model, domain_of(model, self.on)), np.array(self.at)
        core = np.zeros((6, 6))
        core[:3, :3] = self.mass * form
        if self.inertia is not None:
            # u = theta x r: int (e_a x r).W (e_b x r) dm
            turns = np.zeros((3, 3, 3))  # [a, i, j]: component i of e_a x e_j
            turns[0, 1, 2] = turns[1, 2, 0] = turns[2, 0, 1] = -1.0
            turns[0, 2, 1] = turns[1, 0, 2] = turns[2, 1, 0] = 1.0
            core[3:, 3:] = np.einsum("aij,ik,bkl,jl->ab", turns, form, turns, self._second_moment)
        if mean.lost(center, core):
            raise ModelError(_lost(self, mean))
        return mean.nodes, mean.at(center), core

    def location(self, model: Model) -> FloatArray:
        """Center of gravity, float64[3], m."""
        return np.array(self.at) if self.at is not None else domain_of(model, self.on).center

    def check(self, model: Model) -> None:
        super().check(model)
        if self.at is not None:
            self._form(model, np.eye(3))


def _lost(mass: PointMass, mean: MeanMotion) -> str:
    return (
        f"{mass.said}: its points at {show(mean.center, 'length')} lie on one line (or are one point) and "
        f"cannot carry the moment of a mass at {show(np.array(mass.at), 'length')}; select a face, or leave "
        "out at= and inertia="
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class InertiaRelief(Support):
    """A part free as in flight: its own inertia balances the loads, and nothing holds it.

    The loads accelerate the part as a rigid body; the inertia of that acceleration is added to the case, so
    that the sum is in balance. A few nodes are pinned to fix the position; they carry no force, and
    displacements are relative to them. Motions that other supports of the model hold (planes of symmetry)
    are left to these.
    """

    def prescribed(self, model: Model) -> list[Prescribed]:
        """As many single directions as there are free motions, at nodes far apart."""
        from scipy.linalg import qr

        modes, nodes = free_modes(model)
        k = modes.shape[2]
        if k == 0:
            return []
        _, pivots = qr(modes.reshape(-1, k).T, mode="r", pivoting=True)
        row, direction = np.divmod(pivots[:k], 3)
        fixed = np.zeros((model.mesh.n_points, 3), bool)
        fixed[nodes[row], direction] = True
        some = np.flatnonzero(fixed.any(axis=1))
        return [Prescribed(some, fixed[some], np.zeros((len(some), 3)))]

    def is_base(self, model: Model) -> bool:
        return False

    def check(self, model: Model) -> None:
        n = int(joined_pieces(model, supports=model.supports)[0].max()) + 1
        if n > 1:
            raise ModelError(
                f"InertiaRelief: the mesh has {n} separate pieces, and each would fly its own way; "
                "join them, as by connections=[Tie(a=..., b=...)], or test one at a time"
            )


def free_modes(model: Model) -> tuple[FloatArray, IntArray]:
    """Rigid motions that the model's supports leave free, at nodes without support.

    Returns
    -------
    modes : float64[k, 3, m]
        Displacements of the nodes; rotations are about the middle of the part, per half its size.
    nodes : int64[k]
    """
    mesh = model.mesh
    others = [s for s in model.supports if not isinstance(s, InertiaRelief)]
    held = [one for support in others for one in support.prescribed(model)]
    turn = rigid_motions(
        (mesh.points - mesh.extents.mean(axis=0)) / (0.5 * mesh.size), model.dimension, model.axisymmetric
    )
    rows = [np.zeros((1, turn.shape[2]))]
    taken = np.ones(mesh.n_points, bool)
    taken[mesh.used_nodes] = False
    for link in equations_of(model, model.connections):
        taken[link.follower[link.follower >= 0] // 3] = True  # pins are for nodes that follow no other
    for one in held:
        u = turn[one.nodes]
        rows.append((u if one.axes is None else np.einsum("kij,kjm->kim", one.axes, u))[one.fixed])
        taken[one.nodes] = True
    for support in others:
        for matrices in support.matrices(model):
            n = matrices.nodes.shape[1]
            u = turn[matrices.nodes].reshape(-1, 3 * n, turn.shape[2])
            energy = np.einsum("kim,kij,kjl->ml", u, matrices.values, u)
            rows.append(energy / max(float(np.abs(energy).max()), 1e-300))
    gram = sum(r.T @ r for r in rows)
    values, vectors = np.linalg.eigh(gram)
    free = vectors[:, values <= 1e-12 * max(float(values[-1]), 1e-300)]
    nodes = np.flatnonzero(~taken)
    return turn[nodes] @ free, nodes


@dataclass(frozen=True, kw_only=True, eq=False)
class InertiaBalance(Load):
    """Inertia of the rigid acceleration that other loads cause; the model adds it for ``InertiaRelief``.

    Parameters
    ----------
    loads : tuple of Load
        All loads of the case.
    """

    loads: tuple[Load, ...]

    def nodal_forces(self, model: Model) -> FloatArray:
        applied = sum((load.nodal_forces(model) for load in self.loads), np.zeros((model.mesh.n_points, 3)))
        center, half = model.mesh.extents.mean(axis=0), 0.5 * model.mesh.size

        def motions(at: FloatArray) -> FloatArray:
            return rigid_motions((at - center) / half, model.dimension, model.axisymmetric)

        everywhere = motions(model.mesh.points)
        inertia = np.stack(
            [
                inertia_forces(model, lambda at, j=j: motions(at)[:, :, j], "InertiaRelief")  # type: ignore[misc]
                for j in range(everywhere.shape[2])
            ],
            axis=2,
        )
        modes, nodes = free_modes(model)
        # The free motions as combinations of the unit ones.
        share = np.linalg.lstsq(
            everywhere[nodes].reshape(-1, everywhere.shape[2]), modes.reshape(len(nodes) * 3, -1), rcond=None
        )[0]
        free, mass_times = everywhere @ share, inertia @ share
        mass = np.einsum("kim,kin->mn", free, mass_times)
        acceleration = np.linalg.solve(mass, np.einsum("kim,ki->m", free, applied))
        return np.asarray(-mass_times @ acceleration)


@dataclass(frozen=True, kw_only=True, eq=False)
class FixedTemperature(Support):
    """A given temperature.

    Parameters
    ----------
    on : str or Selection
        Nodes, or the nodes of its faces or cells.
    value : temperature
        Constant, a field, or over time, such as ``"85 degC"``.
    """

    physics: ClassVar[str] = "thermal"
    on: On
    value: MagnitudeLike

    def __post_init__(self) -> None:
        settle(self, value=Magnitude.of(self.value, "temperature", name="FixedTemperature value"))
        if self._value.over == "temperature":
            raise ModelError(
                f"{self.said}: its value is the temperature and cannot depend on it; a constant, a field or "
                "a table over time is wanted"
            )

    @property
    def _value(self) -> Magnitude:
        assert isinstance(self.value, Magnitude)  # the constructor made it one
        return self.value

    @property
    def varies(self) -> frozenset[str]:
        """See `Support.varies`."""
        return frozenset({"time"}) if self._value.over == "time" else frozenset()

    @property
    def breakpoints(self) -> FloatArray:
        """See `Support.breakpoints`."""
        return self._value.breakpoints

    def at(self, time: float) -> FixedTemperature:
        """Itself with its value at a time, s.

        Raises
        ------
        ModelError
            If the time lies outside of what was stated.
        """
        return replace(self, value=self._value.frozen(time)) if self.varies else self

    def prescribed(self, model: Model) -> list[PrescribedTemperature]:
        """Given temperatures; of a value over time, `at` a time."""
        nodes = _held_nodes(model, self.on, self.said)
        return [PrescribedTemperature(nodes, at_nodes(self.value, model, nodes))]  # type: ignore[arg-type]


# Contradictions


def check_compatible(model: Model, supports: Sequence[Support], where: str) -> None:
    """Raise ModelError naming both if two supports prescribe different values at one node.

    Parameters
    ----------
    supports : of one physics
    where : str
        Put before the sentence, such as ``"case 'lift': "``.
    """
    if any("time" in support.varies for support in supports):
        _check_courses(model, supports, where)
        check_compatible(model, [one for one in supports if "time" not in one.varies], where)
        return
    rows: list[tuple[int, Prescribed]] = []
    heat: dict[int, tuple[IntArray, FloatArray]] = {}
    for i, support in enumerate(supports):
        for one in support.prescribed(model):
            if isinstance(one, PrescribedTemperature):
                heat[i] = (one.nodes, one.value)
            else:
                rows.append((i, one))
    _check_temperatures(model, supports, heat, where)
    seen = np.zeros((model.mesh.n_points, 3), bool)
    value = np.zeros((model.mesh.n_points, 3))
    owner = np.full((model.mesh.n_points, 3), -1)
    small = 1e-9 * model.mesh.size
    skew: dict[int, list[tuple[int, FloatArray, float]]] = {}
    for i, one in rows:
        if one.axes is not None:
            for k, node in enumerate(one.nodes.tolist()):
                skew.setdefault(node, []).extend(
                    (i, one.axes[k, d], float(one.value[k, d])) for d in range(3) if one.fixed[k, d]
                )
            continue
        both = seen[one.nodes] & one.fixed & (np.abs(value[one.nodes] - one.value) > small)
        if both.any():
            k, axis = (int(j) for j in np.argwhere(both)[0])
            node = int(one.nodes[k])
            _contradict(
                model, where, supports[owner[node, axis]], supports[i], node,
                f"{'xyz'[axis]} displacement", show(value[node, axis], "length"),
                show(one.value[k, axis], "length"),
            )  # fmt: skip
        rows_, columns = np.nonzero(one.fixed)
        nodes = one.nodes[rows_]
        value[nodes, columns], owner[nodes, columns] = one.value[rows_, columns], i
        seen[nodes, columns] = True
    for node, wanted in skew.items():
        _check_skew(model, supports, where, node, small, [
            *((int(owner[node, d]), np.eye(3)[d], float(value[node, d])) for d in range(3) if seen[node, d]),
            *wanted,
        ])  # fmt: skip


def _check_skew(
    model: Model, supports: Sequence[Support], where: str, node: int, small: float,
    wanted: list[tuple[int, FloatArray, float]],
) -> None:  # fmt: skip
    known: list[tuple[int, FloatArray, float]] = []
    for i, direction, amount in wanted:
        rest, left = direction.copy(), amount
        for _, row, given in known:
            share = float(rest @ row)
            rest, left = rest - share * row, left - share * given
        size = float(np.linalg.norm(rest))
        if size > 1e-6:
            known.append((i, rest / size, left / size))
        elif abs(left) > small:
            other = max(known, key=lambda item: abs(float(item[1] @ direction)))[0]
            text = np.array2string(direction, precision=3, suppress_small=True, separator=", ")
            _contradict(
                model, where, supports[other], supports[i], node, f"displacement along {text}",
                show(amount - left, "length"), show(amount, "length"),
            )  # fmt: skip


def _check_courses(model: Model, supports: Sequence[Support], where: str) -> None:
    """Compare supports that vary in time with those that share nodes with them, at every row of both."""
    starts = [one.at(_span(one)[0]) for one in supports]
    nodes = [np.unique(np.concatenate([p.nodes for p in one.prescribed(model)])) for one in starts]
    for j, second in enumerate(supports):
        for i, first in enumerate(supports[:j]):
            shared = np.intersect1d(nodes[i], nodes[j])
            if not len(shared) or not (first.varies or second.varies):
                continue
            low, high = max(_span(first)[0], _span(second)[0]), min(_span(first)[1], _span(second)[1])
            times = np.unique(np.concatenate([first.breakpoints, second.breakpoints, [low]]))
            times = times[(times >= low) & (times <= high)]
            for time in _apart(first, second, times):
                both = [first.at(time), second.at(time)]
                check_compatible(model, both, f"{where}at {show(float(time), 'time')}, ")


def _span(support: Support) -> tuple[float, float]:
    """First and last time a support can be asked for, s."""
    value = getattr(support, "value", None)
    if isinstance(value, Magnitude) and value.kind != "function" and value.outside == "raise":
        rows = value.breakpoints
        return (float(rows[0]), float(rows[-1])) if len(rows) else (0.0, np.inf)
    return 0.0, np.inf


def _apart(first: Support, second: Support, times: FloatArray) -> FloatArray:
    """Of times, those at which two supports may differ: one suffices where both are even in space."""
    values = [getattr(one, "value", None) for one in (first, second)]
    found = []
    for value in values:
        if not isinstance(value, Magnitude) or value.depends_on == "points":
            return times
        found.append(value.at(time=times))
    return times[np.abs(found[0] - found[1]) > 1e-9][:1]


def _check_temperatures(
    model: Model, supports: Sequence[Support], heat: dict[int, tuple[IntArray, FloatArray]], where: str
) -> None:
    value = np.full(model.mesh.n_points, np.nan)
    owner = np.full(model.mesh.n_points, -1)
    for i, (nodes, given) in heat.items():
        clash = np.flatnonzero(np.abs(value[nodes] - given) > 1e-9)
        if len(clash):
            node = int(nodes[clash[0]])
            _contradict(
                model, where, supports[owner[node]], supports[i], node, "temperature",
                show(value[node], "temperature"), show(given[clash[0]], "temperature"),
            )  # fmt: skip
        value[nodes], owner[nodes] = given, i


def _contradict(
    model: Model, where: str, first: Support, second: Support, node: int, what: str, a: str, b: str
) -> None:
    place = show(model.mesh.points[node], "length")
    raise ModelError(
        f"{where}{first.said} and {second.said} contradict each other at node {node}, {place}: "
        f"{what} {a} against {b}; keep one of them, or take the common nodes out of one selection (a - b)"
    )
