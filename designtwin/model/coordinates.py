"""Local coordinate systems: the axes of an orthotropic material, a skew support, a cylinder.

Axes are the rows of a 3x3 matrix Q, so that a local component is v' = Q v.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin.errors import ModelError
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

Vector = tuple[float, float, float]

_NAMED = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))  # xx yy zz xy yz xz


def unit_vector(value: Any, *, name: str) -> Vector:
    """A direction as a vector of length one.

    Parameters
    ----------
    value : str or sequence
        "x", "+y", "-z", or two or three plain numbers, of any length but zero.
    name : str
        The argument's name, for messages.

    Raises
    ------
    ModelError
        If it is no direction.
    """
    if isinstance(value, str):
        sign = -1.0 if value.startswith("-") else 1.0
        axis = _NAMED.get(value.strip().lstrip("+-").lower())
        if axis is None or len(value.strip()) > 2:
            raise ModelError(f"{name}: {value!r} is no direction; write '+x', '-z' or three numbers")
        return (sign * axis[0] + 0.0, sign * axis[1] + 0.0, sign * axis[2] + 0.0)
    vector = np.asarray(to_si(value, "dimensionless", name=name), dtype=np.float64)
    if vector.shape == (2,):
        vector = np.append(vector, 0.0)
    if vector.shape != (3,):
        raise ModelError(f"{name}: {value!r} is no direction; write '+x', '-z' or three numbers")
    length = float(np.linalg.norm(vector))
    if length == 0.0:
        raise ModelError(f"{name}: the direction has no length")
    if abs(length - 1.0) > 1e-12:  # a unit vector stays what it is to the bit, saved and read again
        vector = vector / length
    x, y, z = vector.tolist()
    return (x, y, z)


def point(value: Any, *, name: str) -> Vector:
    """A place, m: two or three lengths with units or plain meters.

    Raises
    ------
    ModelError
        If it is not two or three lengths.
    """
    place = np.atleast_1d(np.asarray(to_si(value, "length", name=name), dtype=np.float64))
    if place.shape == (2,):
        place = np.append(place, 0.0)
    if place.shape != (3,):
        raise ModelError(f"{name}: three lengths are wanted, got shape {list(place.shape)}")
    x, y, z = place.tolist()
    return (x, y, z)


@dataclass(frozen=True, kw_only=True)
class CoordinateSystem(Plain):
    """Axes at every point."""

    def axes(self, points: FloatArray) -> FloatArray:
        """Local axes at points of space.

        Parameters
        ----------
        points : float64[..., 3]
            m.

        Returns
        -------
        float64[..., 3, 3]
            Rows are the local axes, orthonormal and right-handed.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Cartesian(CoordinateSystem):
    """The same axes everywhere: x along `x`, z normal to the plane of `x` and `xy`.

    Parameters
    ----------
    x : direction
        Of the local x axis: "+y" or three numbers.
    xy : direction
        Any other direction in the local xy plane, on the side of positive y.
    origin : lengths
        Of local coordinates.
    """

    x: Any
    xy: Any
    origin: Any = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", unit_vector(self.x, name="x"))
        object.__setattr__(self, "xy", unit_vector(self.xy, name="xy"))
        object.__setattr__(self, "origin", point(self.origin, name="origin"))
        if np.linalg.norm(np.cross(self.x, self.xy)) < 1e-6:
            raise ModelError(f"Cartesian: x {self.x} and xy {self.xy} are parallel and span no plane")

    def axes(self, points: FloatArray) -> FloatArray:
        """See `CoordinateSystem.axes`."""
        x = np.array(self.x)
        z = np.cross(x, self.xy)
        z /= np.linalg.norm(z)
        frame = np.stack([x, np.cross(z, x), z])
        return np.broadcast_to(frame, (*np.shape(points)[:-1], 3, 3)).copy()


@dataclass(frozen=True, kw_only=True)
class Cylindrical(CoordinateSystem):
    """Axes r, theta, z about a line.

    Parameters
    ----------
    origin : lengths
        A point of the line.
    axis : direction
        Of the line, the local z.
    """

    origin: Any = (0.0, 0.0, 0.0)
    axis: Any = "z"

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin", point(self.origin, name="origin"))
        object.__setattr__(self, "axis", unit_vector(self.axis, name="axis"))

    def axes(self, points: FloatArray) -> FloatArray:
        """See `CoordinateSystem.axes`; a point on the line itself has no radial direction and raises."""
        away = np.asarray(points, dtype=np.float64) - np.array(self.origin)
        z = np.array(self.axis)
        radial = away - (away @ z)[..., None] * z
        radius = np.linalg.norm(radial, axis=-1)
        on_axis = radius <= 1e-9 * np.abs(away).max(initial=0.0)
        if on_axis.any():
            first = np.asarray(points, dtype=np.float64)[on_axis][0]
            raise ModelError(
                f"Cylindrical: the point {show(first, 'length')} lies on the axis, where the radial "
                "direction is undefined; leave it out or use Cartesian axes there"
            )
        r = radial / radius[..., None]
        out = np.empty((*radius.shape, 3, 3))
        out[..., 0, :], out[..., 1, :], out[..., 2, :] = r, np.cross(z, r), z
        return out


def strain_rotation(axes: FloatArray) -> FloatArray:
    """The matrix that turns global strain into local strain (Bond).

    Parameters
    ----------
    axes : float64[..., 3, 3]
        Rows are the local axes.

    Returns
    -------
    float64[..., 6, 6]
        T in strain' = T strain, order xx yy zz xy yz xz, engineering shear.

    Source: Ting, Anisotropic Elasticity (1996), sec. 2.5, for this order of components.
    """
    axes = np.asarray(axes, dtype=np.float64)
    out = np.empty((*axes.shape[:-2], 6, 6))
    for row, (i, j) in enumerate(_PAIRS):
        for column, (a, b) in enumerate(_PAIRS):
            product = axes[..., i, a] * axes[..., j, b] + axes[..., i, b] * axes[..., j, a]
            out[..., row, column] = (0.5 if i == j else 1.0) * product
    return out


def rotate_stiffness(stiffness: FloatArray, axes: FloatArray) -> FloatArray:
    """A stiffness known in local axes, in global ones: float64[..., 6, 6], Pa."""
    turn = strain_rotation(axes)
    return np.asarray(np.swapaxes(turn, -1, -2) @ stiffness @ turn)


def rotate_strain(strain: FloatArray, axes: FloatArray) -> FloatArray:
    """A strain known in local axes, in global ones: float64[..., 6], engineering shear."""
    back = strain_rotation(np.swapaxes(axes, -1, -2))
    return np.asarray(np.einsum("...ij,...j->...i", back, strain))


def rotate_tensor(tensor: FloatArray, axes: FloatArray) -> FloatArray:
    """A second-order tensor known in local axes, in global ones: float64[..., 3, 3]."""
    return np.asarray(np.swapaxes(axes, -1, -2) @ tensor @ axes)
