"""Loads: what acts on the part, stated as physics, spread over the mesh so that sums and moments are right.

Every load answers ``nodal_forces(model)`` or ``nodal_heat(model)`` (those are in ``heat.py``); none knows a
matrix or an unknown.
In plane models a force is the total over the thickness, in axisymmetric models over the whole ring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from designtwin.errors import ModelError, SelectionError
from designtwin.mesh.selections import Selection, select
from designtwin.model.coordinates import CoordinateSystem, point, unit_vector
from designtwin.model.domains import (
    Domain,
    NodalMatrices,
    Patch,
    cell_patches,
    domain_of,
    faces_of,
    facets_of,
    said,
)
from designtwin.model.magnitude import Magnitude, MagnitudeLike
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import STANDARD_GRAVITY, show, to_si

if TYPE_CHECKING:
    from designtwin.model.model import Model

__all__ = [
    "Acceleration", "BearingLoad", "Centrifugal", "Force", "Gravity", "HydrostaticPressure", "Load", "Moment",
    "NodalMatrices", "Pressure", "RemoteForce", "Traction", "resultant",
]  # fmt: skip

On = str | Selection

_CYLINDER = 3e-3
"""Mean square of a face's normals along a direction, under which that is the axis of a cylinder."""


def place(on: object, who: str) -> On:
    """What a user may write for a place: a group's name stays a name, a list becomes a selection."""
    if isinstance(on, str):
        return on
    try:
        return select(on)  # type: ignore[arg-type]
    except SelectionError as error:
        raise ModelError(f"{who}: {error}") from error


class Load(Plain):
    """What acts on a part in a load case. A class of your own needs one of the two ``nodal_`` methods."""

    physics: ClassVar[str] = "static"

    def nodal_forces(self, model: Model) -> FloatArray:
        """Forces on the nodes, float64[n_points, 3], N."""
        return np.zeros((model.mesh.n_points, 3))

    def nodal_heat(self, model: Model) -> FloatArray:
        """Heat into the nodes, float64[n_points], W."""
        return np.zeros(model.mesh.n_points)

    def matrices(self, model: Model) -> list[NodalMatrices]:
        """What the load adds to the system's matrix, node set by node set (N/m or W/K)."""
        return []

    def summary(self, model: Model) -> str:
        """How much heat a thermal load puts in, in a few words; "" where that depends on the answer."""
        return "" if self.matrices(model) else show(float(np.sum(self.nodal_heat(model))), "power")

    def check(self, model: Model) -> None:
        """Raise ModelError if the load makes no sense on this model."""
        on = getattr(self, "on", None)
        if on is not None:
            model.region(on)

    @property
    def said(self) -> str:
        """The load in a sentence: ``Force on 'lug'``."""
        on = getattr(self, "on", None)
        return type(self).__name__ if on is None else f"{type(self).__name__} on {said(on)}"


def settle(item: Plain, **values: object) -> None:
    """Give a frozen object the values its constructor made of what the user wrote."""
    if hasattr(item, "on"):
        values["on"] = place(item.on, type(item).__name__)
    for name, value in values.items():
        object.__setattr__(item, name, value)


def values_at(
    magnitude: MagnitudeLike | None,
    patch: Patch,
    model: Model,
    *,
    temperature: FloatArray | None = None,
    time: float | None = None,
) -> FloatArray:
    """A magnitude at a patch's points, float64[f, q, ...].

    Parameters
    ----------
    temperature : float64[f, q], optional
        K, at the points; for a magnitude that depends on it.
    time : float, optional
        s.
    """
    assert isinstance(magnitude, Magnitude)  # the constructor made it one
    if magnitude.kind == "nodal":
        nodal = magnitude.at(points=model.mesh.points, time=time)
        return np.asarray(np.einsum("qn,fn...->fq...", patch.shape, nodal[patch.conn]))
    if magnitude.depends_on == "temperature":
        return magnitude.at(temperature=temperature)
    if magnitude.depends_on == "points":
        value = magnitude.at(points=patch.at.reshape(-1, 3))
        return value.reshape(*patch.measure.shape, *magnitude.shape)
    return np.broadcast_to(magnitude.at(time=time), (*patch.measure.shape, *magnitude.shape))


def vector_of(magnitude: MagnitudeLike, who: str) -> FloatArray:
    """A total that is one vector, float64[3]."""
    assert isinstance(magnitude, Magnitude)
    if magnitude.depends_on == "points":
        raise ModelError(f"{who}: a total is one value, not a field in space; for a field use Traction")
    return magnitude.at()


def not_negative(magnitude: MagnitudeLike, otherwise: str) -> None:
    """Raise ModelError with this sentence if a value that was stated is below zero."""
    assert isinstance(magnitude, Magnitude)
    if magnitude.values is not None and magnitude.values.min(initial=0.0) < 0.0:
        raise ModelError(f"{otherwise}; give a value of at least 0")


def number_of(magnitude: MagnitudeLike | None, who: str, time: float | None = None) -> float:
    """A total that is one number, at a time (s) where it varies."""
    assert isinstance(magnitude, Magnitude)
    if magnitude.depends_on == "points":
        raise ModelError(f"{who}: one value is wanted, not a field in space")
    return float(magnitude.at(time=time))


def _one(value: Any, dimension: str, name: str) -> float:
    number = to_si(value, dimension, name=name)
    if not isinstance(number, float):
        raise ModelError(f"{name}: one value is wanted, got {value!r}")
    return number


def _in_plane(model: Model, vector: FloatArray, who: str) -> None:
    if model.dimension == 2 and vector[2] != 0.0:
        raise ModelError(
            f"{who} has a component {vector[2]:g} along z, but the model is plane and moves in x and y only"
        )


def _not_across_axis(model: Model, vector: FloatArray, who: str) -> None:
    if model.axisymmetric and vector[0] != 0.0:
        raise ModelError(
            f"{who} has a component along x, the radius of an axisymmetric model: "
            "such a load is not axisymmetric; only y, the axis, is possible"
        )


# Forces on faces


@dataclass(frozen=True, kw_only=True, eq=False)
class Force(Load):
    """A total force, spread evenly: a uniform traction on faces, equal shares on nodes, evenly over cells.

    Its resultant is the value and its line of action goes through the centroid of the area, on any mesh.

    Parameters
    ----------
    on : str or Selection
        Faces if it holds any, else nodes, else cells.
    value : three forces
        Such as ``("0 N", "0 N", "-2.5 kN")``.
    coordinates : CoordinateSystem, optional
        Where the components point. In cylindrical coordinates they are radial, tangential and axial at
        every point, and the value is the sum of each component over the face (its vector sum may be zero).
    """

    on: On
    value: MagnitudeLike
    coordinates: CoordinateSystem | None = None

    def __post_init__(self) -> None:
        settle(self, value=Magnitude.of(self.value, "force", name="Force value", shape=(3,)))

    def nodal_forces(self, model: Model) -> FloatArray:
        domain = domain_of(model, self.on)
        density = vector_of(self.value, self.said) / domain.measure
        return domain.spread(_turned(lambda patch: density, self.coordinates))

    def check(self, model: Model) -> None:
        super().check(model)
        force = vector_of(self.value, self.said)
        if self.coordinates is None:
            _in_plane(model, force, self.said)


def _turned(
    local: Callable[[Patch], FloatArray], coordinates: CoordinateSystem | None
) -> Callable[[Patch], FloatArray]:
    """A density given in local axes, in global ones, float64[f, q, 3]."""

    def density(patch: Patch) -> FloatArray:
        value = np.broadcast_to(local(patch), patch.at.shape)
        if coordinates is None:
            return value  # global axes
        axes = coordinates.axes(patch.at.reshape(-1, 3)).reshape(*patch.at.shape, 3)
        return np.asarray(np.einsum("fqi,fqij->fqj", value, axes))

    return density


@dataclass(frozen=True, kw_only=True, eq=False)
class Traction(Load):
    """Force per area, Pa, on faces; the area is that of the undeformed part.

    Parameters
    ----------
    on : str or Selection
    value : three tractions
        Constant or a field, such as ``("0 MPa", "2 MPa", "0 MPa")``.
    coordinates : CoordinateSystem, optional
        Where the components point; global axes by default.
    """

    on: On
    value: MagnitudeLike
    coordinates: CoordinateSystem | None = None

    def __post_init__(self) -> None:
        settle(self, value=Magnitude.of(self.value, "surface_traction", name="Traction value", shape=(3,)))

    def nodal_forces(self, model: Model) -> FloatArray:
        domain = faces_of(model, self.on, self.said)
        return domain.spread(_turned(lambda patch: values_at(self.value, patch, model), self.coordinates))

    def check(self, model: Model) -> None:
        facets_of(model, self.on, self.said)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pressure(Load):
    """Pressure on faces, positive into the body.

    Parameters
    ----------
    on : str or Selection
    magnitude : pressure
        Constant or a field, such as ``"4 MPa"``.
    """

    on: On
    magnitude: MagnitudeLike

    def __post_init__(self) -> None:
        settle(self, magnitude=Magnitude.of(self.magnitude, "pressure", name="Pressure magnitude"))

    def nodal_forces(self, model: Model) -> FloatArray:
        domain = faces_of(model, self.on, self.said)
        return domain.spread(
            lambda patch: -values_at(self.magnitude, patch, model)[..., None] * _normal(patch)
        )

    def check(self, model: Model) -> None:
        facets_of(model, self.on, self.said)


def _normal(patch: Patch) -> FloatArray:
    assert patch.normal is not None
    return patch.normal


@dataclass(frozen=True, kw_only=True, eq=False)
class HydrostaticPressure(Load):
    """Pressure of a liquid at rest: density times gravity times depth below its surface, zero above it.

    Parameters
    ----------
    on : str or Selection
        Wetted faces.
    density : density
        Of the liquid, such as ``"1000 kg/m3"``.
    surface : point
        Any point of the free surface.
    direction : str or vector
        Which way gravity pulls, such as ``"-z"``.
    gravity : acceleration
    """

    on: On
    density: Any
    surface: Any
    direction: Any = "-z"
    gravity: Any = STANDARD_GRAVITY

    def __post_init__(self) -> None:
        settle(
            self,
            density=_one(self.density, "density", "HydrostaticPressure density"),
            surface=point(self.surface, name="HydrostaticPressure surface"),
            direction=unit_vector(self.direction, name="HydrostaticPressure direction"),
            gravity=_one(self.gravity, "acceleration", "HydrostaticPressure gravity"),
        )

    def nodal_forces(self, model: Model) -> FloatArray:
        down, level = np.array(self.direction), np.array(self.surface)

        def density(patch: Patch) -> FloatArray:
            depth = np.maximum((patch.at - level) @ down, 0.0)
            return np.asarray(-(self.density * self.gravity * depth)[..., None] * _normal(patch))

        return faces_of(model, self.on, self.said).spread(density)

    def check(self, model: Model) -> None:
        facets_of(model, self.on, self.said)
        _in_plane(model, np.array(self.direction), self.said)


@dataclass(frozen=True, kw_only=True, eq=False)
class BearingLoad(Load):
    """A force by which a pin presses on its hole (or a hole on its pin): pressure on the loaded half.

    The pressure falls with the cosine of the angle from the force, p = p0 max(0, cos), and its resultant is
    the value on any mesh.

    Parameters
    ----------
    on : str or Selection
        The cylindrical face, whole or its loaded half.
    value : three forces
        Square to the axis of the cylinder.

    Raises
    ------
    ModelError
        If no pressure on the face can carry the force, as along the axis of a cylinder.
    """

    on: On
    value: MagnitudeLike

    def __post_init__(self) -> None:
        settle(self, value=Magnitude.of(self.value, "force", name="BearingLoad value", shape=(3,)))

    def nodal_forces(self, model: Model) -> FloatArray:
        domain = faces_of(model, self.on, self.said)
        flat, g = self._pressure(domain, vector_of(self.value, self.said))

        def traction(patch: Patch) -> FloatArray:
            n = _normal(patch) @ flat
            return np.asarray(np.minimum(n @ g, 0.0)[..., None] * n)  # pressure -n.g times -n

        return domain.spread(traction)

    def _pressure(self, domain: Domain, force: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Matrix float64[3, 3] that frees normals of their part along the axis; vector g, p = max(0, -n.g).

        g minimizes 1/2 int max(0, -n.g)^2 dA - F.g, whose slope is the resultant less F. The function is
        convex and piecewise quadratic, so Newton with step halving ends after a few steps.
        """
        size = float(np.linalg.norm(force))
        n = np.concatenate([_normal(p).reshape(-1, 3) for p in domain.patches])
        dA = np.concatenate([p.measure.ravel() for p in domain.patches])
        flat, g = np.eye(3), force / float(dA.sum())
        if size == 0.0:
            return flat, g
        impossible = ModelError(
            f"{self.said}: pressure on this face cannot add up to the force {show(force, 'force')}; "
            "a bearing load is square to the axis of its cylinder and presses on the side it points to"
        )
        share, axes = np.linalg.eigh((n * dA[:, None]).T @ n / dA.sum())
        if share[0] < _CYLINDER < share[1]:
            # Curved facets nearly follow a cylinder: what their normals have along its axis is no seat, and
            # the axis they give is that close to the true one, which is square to the force.
            axis, way = axes[:, 0], force / size
            if abs(float(axis @ way)) > 0.02:
                raise impossible
            axis = axis - (axis @ way) * way
            axis /= np.linalg.norm(axis)
            flat -= np.outer(axis, axis)
            n = n @ flat

        def slope(g: FloatArray) -> tuple[float, FloatArray]:
            p = np.maximum(-(n @ g), 0.0)
            return float(0.5 * dA @ p**2 - force @ g), -(n * (p * dA)[:, None]).sum(axis=0) - force

        for _ in range(100):
            value, rest = slope(g)
            if np.linalg.norm(rest) < 1e-13 * size:
                break
            loaded = n @ g < 0.0
            curvature = (n[loaded] * dA[loaded, None]).T @ n[loaded]
            step = np.linalg.lstsq(curvature, -rest, rcond=1e-10)[0]
            for half in range(30):
                if slope(g + step * 0.5**half)[0] <= value:
                    break
            g = g + step * 0.5**half
        peak = float(np.linalg.norm(g)) * float(dA.sum())
        if np.linalg.norm(slope(g)[1]) > 1e-9 * size or peak > 100.0 * size:
            raise impossible
        return flat, g

    def check(self, model: Model) -> None:
        facets_of(model, self.on, self.said)
        force = vector_of(self.value, self.said)
        _in_plane(model, force, self.said)
        if model.axisymmetric:
            raise ModelError(f"{self.said}: a bearing load is not axisymmetric; model the part in 3D")
        self._pressure(faces_of(model, self.on, self.said), force)


# Forces and moments of something that is not meshed


def linear_density(
    domain: Domain, force: FloatArray, moment: FloatArray, who: str
) -> Callable[[Patch], FloatArray]:
    """Traction a + b x (x - c) of the given force and moment about the centroid c.

    It is the least traction (in the mean square) with that resultant: the continuous form of an RBE3.
    """
    center, total = domain.center, domain.measure
    second = np.zeros((3, 3))
    for patch in domain.patches:
        r = patch.at - center
        second += np.einsum("fq,fqa,fqb->ab", patch.measure, r, r)
    inertia = np.trace(second) * np.eye(3) - second
    a = force / total
    b = np.zeros(3)
    if np.linalg.norm(moment) > 0.0:
        values, vectors = np.linalg.eigh(inertia)
        stiff = values > 1e-12 * max(float(values[-1]), np.finfo(float).tiny)
        parts = vectors.T @ moment
        if np.linalg.norm(parts[~stiff]) > 1e-9 * np.linalg.norm(moment):
            raise ModelError(
                f"{who}: its points lie on one line (or are one point) and cannot take a moment about it; "
                "select a face"
            )
        b = vectors[:, stiff] @ (parts[stiff] / values[stiff])
    return lambda patch: a + np.cross(b, patch.at - center)


@dataclass(frozen=True, kw_only=True, eq=False)
class RemoteForce(Load):
    """A force that acts at a point away from the part and reaches it through a face.

    The face is left free to deform; force and moment are statically exact on any mesh.

    Parameters
    ----------
    on : str or Selection
        Where it enters the part.
    at : point
        Where the force acts, such as ``("0 mm", "0 mm", "120 mm")``.
    value : three forces
    """

    on: On
    at: Any
    value: MagnitudeLike

    def __post_init__(self) -> None:
        settle(
            self,
            at=point(self.at, name="RemoteForce at"),
            value=Magnitude.of(self.value, "force", name="RemoteForce value", shape=(3,)),
        )

    def nodal_forces(self, model: Model) -> FloatArray:
        domain = domain_of(model, self.on)
        force = vector_of(self.value, self.said)
        moment = np.cross(np.array(self.at) - domain.center, force)
        return domain.spread(linear_density(domain, force, moment, self.said))

    def check(self, model: Model) -> None:
        super().check(model)
        _in_plane(model, vector_of(self.value, self.said), self.said)
        if model.axisymmetric:
            raise ModelError(f"{self.said}: an axisymmetric model takes no remote force; use Force along y")
        self.nodal_forces(model)


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment(Load):
    """A moment (couple) on a face, with no net force.

    Parameters
    ----------
    on : str or Selection
    value : three moments, or one with ``about``
        Such as ``("0 N*m", "0 N*m", "30 N*m")``; right-hand rule.
    about : str or vector, optional
        Direction of a single value: ``Moment(on="hub", value="30 N*m", about="z")``.
    """

    on: On
    value: MagnitudeLike
    about: Any = None

    def __post_init__(self) -> None:
        if self.about is None:
            settle(self, value=Magnitude.of(self.value, "moment", name="Moment value", shape=(3,)))
        else:
            settle(
                self,
                value=Magnitude.of(self.value, "moment", name="Moment value"),
                about=unit_vector(self.about, name="Moment about"),
            )

    @property
    def vector(self) -> FloatArray:
        """float64[3], N m."""
        if self.about is None:
            return vector_of(self.value, self.said)
        return number_of(self.value, self.said) * np.array(self.about)

    def nodal_forces(self, model: Model) -> FloatArray:
        domain = domain_of(model, self.on)
        return domain.spread(linear_density(domain, np.zeros(3), self.vector, self.said))

    def check(self, model: Model) -> None:
        super().check(model)
        if model.axisymmetric:
            raise ModelError(f"{self.said}: an axisymmetric model takes no moment; model the part in 3D")
        if model.dimension == 2 and self.vector[:2].any():
            raise ModelError(f"{self.said}: a plane model takes moments about z only")
        self.nodal_forces(model)


# Forces of acceleration


def inertia_forces(model: Model, acceleration: Callable[[FloatArray], FloatArray], who: str) -> FloatArray:
    """Mass times an acceleration given at points [k, 3] -> [k, 3], float64[n_points, 3], N.

    Cells bring their density, point masses their mass.
    """
    density = model.cell_density(who)
    out = np.zeros((model.mesh.n_points, 3))
    for patch in cell_patches(model, np.arange(model.mesh.n_cells)):
        one = Domain((patch,), "cells", model.mesh.n_points)

        def force(patch: Patch) -> FloatArray:
            assert patch.cells is not None
            a = acceleration(patch.at.reshape(-1, 3)).reshape(patch.at.shape)
            return np.asarray(density[patch.cells][:, None, None] * a)

        out += one.spread(force)
    for mass in model.point_masses:
        out += mass.inertia_forces(model, acceleration)
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Gravity(Load):
    """Weight of the whole model, point masses included.

    Parameters
    ----------
    direction : str or vector
        Which way things fall.
    magnitude : acceleration
        9.80665 m/s^2 unless given, such as ``"2 g"``.
    """

    direction: Any = "-z"
    magnitude: MagnitudeLike = STANDARD_GRAVITY

    def __post_init__(self) -> None:
        settle(
            self,
            direction=unit_vector(self.direction, name="Gravity direction"),
            magnitude=Magnitude.of(self.magnitude, "acceleration", name="Gravity magnitude"),
        )

    def nodal_forces(self, model: Model) -> FloatArray:
        g = number_of(self.magnitude, "Gravity") * np.array(self.direction)
        return inertia_forces(model, lambda at: np.broadcast_to(g, at.shape), "Gravity")

    def check(self, model: Model) -> None:
        _in_plane(model, np.array(self.direction), "Gravity")
        _not_across_axis(model, np.array(self.direction), "Gravity")


@dataclass(frozen=True, kw_only=True, eq=False)
class Acceleration(Load):
    """Inertia of a part whose frame accelerates: the load is minus mass times acceleration (d'Alembert).

    The value is the acceleration *of the part*. A car that brakes has (-a, 0, 0), and the load throws its
    parts forward, to +x. A part at rest on the ground feels weight as if it accelerated upward:
    ``Acceleration(value=(0, 0, "1 g"))`` is the same load as ``Gravity(direction="-z")``.

    Parameters
    ----------
    value : three accelerations
        Such as ``("-8 m/s2", "0 m/s2", "0 m/s2")`` or ``("0 g", "0 g", "3 g")``.
    """

    value: MagnitudeLike

    def __post_init__(self) -> None:
        settle(self, value=Magnitude.of(self.value, "acceleration", name="Acceleration value", shape=(3,)))

    def nodal_forces(self, model: Model) -> FloatArray:
        a = vector_of(self.value, "Acceleration")
        return inertia_forces(model, lambda at: np.broadcast_to(-a, at.shape), "Acceleration")

    def check(self, model: Model) -> None:
        _in_plane(model, vector_of(self.value, "Acceleration"), "Acceleration")
        _not_across_axis(model, vector_of(self.value, "Acceleration"), "Acceleration")


@dataclass(frozen=True, kw_only=True, eq=False)
class Centrifugal(Load):
    """Inertia of steady rotation about an axis: density times speed squared times radius, outward.

    Parameters
    ----------
    speed : angular velocity
        Such as ``"3000 rpm"``.
    axis : str or vector
        Direction of the axis; in axisymmetric models ``"y"``.
    point : point
        Any point of the axis.
    """

    speed: MagnitudeLike
    axis: Any
    point: Any = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        settle(
            self,
            speed=Magnitude.of(self.speed, "angular_velocity", name="Centrifugal speed"),
            axis=unit_vector(self.axis, name="Centrifugal axis"),
            point=point(self.point, name="Centrifugal point"),
        )

    def nodal_forces(self, model: Model) -> FloatArray:
        square = number_of(self.speed, "Centrifugal") ** 2
        axis, point = np.array(self.axis), np.array(self.point)

        def outward(at: FloatArray) -> FloatArray:
            r = at - point
            return np.asarray(square * (r - (r @ axis)[:, None] * axis))

        return inertia_forces(model, outward, "Centrifugal")

    def check(self, model: Model) -> None:
        axis, point = np.array(self.axis), np.array(self.point)
        if model.axisymmetric and (abs(axis[1]) < 1.0 - 1e-12 or point[0] != 0.0):
            raise ModelError("Centrifugal: an axisymmetric model turns about y through x = 0 only")
        if model.dimension == 2 and not model.axisymmetric:
            in_plane, across = abs(axis[2]) < 1e-12 and point[2] == 0.0, abs(axis[2]) > 1.0 - 1e-12
            if not (in_plane or across):
                raise ModelError("Centrifugal: in a plane model the axis is z, or lies in the plane")


# What it adds up to


def resultant(loads: Load | Sequence[Load], model: Model) -> tuple[FloatArray, FloatArray]:
    """Sum of the nodal forces of loads and their moment about the origin.

    Returns
    -------
    force : float64[3], N
        In axisymmetric models the first component is the radial force summed around the ring.
    moment : float64[3], N m
        Zero in axisymmetric models.
    """
    force, moment = np.zeros(3), np.zeros(3)
    for load in [loads] if isinstance(loads, Load) else loads:
        nodal = load.nodal_forces(model)
        force += nodal.sum(axis=0)
        if not model.axisymmetric:
            moment += np.cross(model.mesh.points, nodal).sum(axis=0)
    return force, moment
