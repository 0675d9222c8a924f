"""Several stress components at a point: signed von Mises, and the plane on which damage is largest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from designtwin.errors import FatigueError, did_you_mean
from designtwin.fatigue.curves import SNCurve, curve_of
from designtwin.fatigue.cycles import rainflow
from designtwin.fatigue.mean_stress import MeanStress
from designtwin.kernels import damage as damages
from designtwin.kernels import rainflow as kernels
from designtwin.plain import Plain
from designtwin.typing import FloatArray

_COARSE = 10.0
"""Degrees between the directions that are tried first."""
_FINE = 0.05
"""Degrees at which the search for the worst direction ends."""
_CLIMBS = 3
"""Of the best first directions, how many are refined."""
Sign = Literal["hydrostatic", "principal"]


def signed_von_mises(stress: Any, *, sign: Sign = "hydrostatic") -> FloatArray:
    """Von Mises stress with a sign, so that cycles can be counted.

    Parameters
    ----------
    stress : float64[..., 6]
        xx yy zz xy yz xz, Pa.
    sign : "hydrostatic" or "principal"
        Of the mean of the normal stresses, or of the principal stress of the largest magnitude.

    Returns
    -------
    float64[...]
        Pa.

    Raises
    ------
    FatigueError
        If the array is no row of tensors.
    """
    s = _tensors(stress)
    xx, yy, zz, xy, yz, xz = np.moveaxis(s, -1, 0)
    size = np.sqrt(0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3.0 * (xy**2 + yz**2 + xz**2))
    if sign == "hydrostatic":
        return np.asarray(np.copysign(size, xx + yy + zz))
    if sign == "principal":
        matrix = s[..., [0, 3, 5, 3, 1, 4, 5, 4, 2]].reshape(*s.shape[:-1], 3, 3)
        principal = np.linalg.eigvalsh(matrix)
        # their sum says which end is farther from zero
        return np.asarray(np.copysign(size, principal[..., 0] + principal[..., 2]))
    raise FatigueError(f"sign is {sign!r}; it is 'hydrostatic' or 'principal'")


@dataclass(frozen=True, kw_only=True, eq=False)
class CriticalPlane(Plain):
    """The plane on which a history does most damage.

    Parameters
    ----------
    damage : float
        Of one passage of the history.
    normal : float64[3]
        Of the plane.
    direction : float64[3]
        Of the shear on it that is counted; the normal itself where normal stress is.
    amplitude : float
        Largest equivalent amplitude on the curve, Pa.
    criterion : str
    """

    damage: float
    normal: FloatArray
    direction: FloatArray
    amplitude: float
    criterion: str


def critical_plane(
    stress: Any,
    curve: str | SNCurve,
    *,
    criterion: Literal["normal stress", "Findley"] = "normal stress",
    findley: float = 0.3,
    mean_stress: str | MeanStress | None = None,
    ultimate: Any = None,
) -> CriticalPlane:
    """The plane on which a history of stress does most damage.

    Parameters
    ----------
    stress : float64[n, 6]
        xx yy zz xy yz xz at a point in order of time, Pa.
    curve : str or SNCurve
        Of uniaxial tests.
    criterion : "normal stress" or "Findley"
        Rainflow cycles of the stress normal to each plane, for brittle metals and welds; or of the shear
        stress on it, each with the highest normal stress while it lasts: tau_a + k sigma_max, which in
        uniaxial tests at R = -1 amounts to the amplitude of the curve. For ductile metals.
    findley : float
        k of Findley, 0.2 to 0.3 of ductile steel; 0 counts shear alone.
    mean_stress, ultimate
        As of `SNCurve.correction`, of normal stress. Findley holds mean stress already.

    Returns
    -------
    CriticalPlane
        Found among directions 10 degrees apart, then refined to 0.05 degrees.

    Raises
    ------
    FatigueError
        If the history is no row of tensors, the criterion is another, or Findley is given a mean stress
        correction or a curve that is not fully reversed.

    Source: Findley, J. Eng. Ind. 81 (1959) 301; Socie and Marquis, Multiaxial Fatigue (2000), ch. 5.
    """
    tensors = np.ascontiguousarray(_tensors(stress))
    if tensors.ndim != 2 or len(tensors) < 2:
        raise FatigueError(
            f"a history of tensors is of shape [n, 6] with n of 2 and more; got {tensors.shape}"
        )
    if criterion not in ("normal stress", "Findley"):
        raise FatigueError(
            f"criterion is {criterion!r}{did_you_mean(str(criterion), ('normal stress', 'Findley'))}; it is "
            "'normal stress' or 'Findley'"
        )
    curve = curve_of(curve)
    if criterion == "Findley":
        if mean_stress is not None:
            raise FatigueError(
                "Findley counts mean stress by its highest normal stress; leave mean_stress out"
            )
        if curve.ratio != -1.0:
            raise FatigueError(f"Findley starts from a curve at R = -1; {curve.name} is not stated there")
        if not 0.0 <= findley < 2.0:
            raise FatigueError(f"findley is {findley:g}; it is 0 or positive, about 0.3")
    table = curve.table(mean_stress, ultimate=ultimate)

    def worth(frame: FloatArray) -> tuple[float, float]:
        if criterion == "Findley":
            return _findley_damage(tensors, frame[0], frame[1], table, findley)
        return _normal_damage(tensors, frame[0], table)

    shear = criterion == "Findley"
    (damage, amplitude), frame = _worst(worth, _frames(turned=shear), axes=3 if shear else 2)
    return CriticalPlane(
        damage=damage,
        normal=frame[0],
        direction=frame[1] if shear else frame[0],
        amplitude=amplitude,
        criterion=criterion,
    )


def _tensors(stress: Any) -> FloatArray:
    try:
        s = np.asarray(stress, dtype=np.float64)
    except (TypeError, ValueError):
        raise FatigueError(f"stress is an array of numbers; got {type(stress).__name__}") from None
    if s.ndim < 1 or s.shape[-1] != 6:
        raise FatigueError(f"stress is of shape {s.shape}; six components are wanted: xx yy zz xy yz xz")
    if not np.isfinite(s).all():
        row = int(np.flatnonzero(~np.isfinite(s.reshape(-1, 6)).all(axis=1))[0])
        raise FatigueError(f"stress holds values that are no finite number, the first in row {row}")
    return s


def _traction(tensors: FloatArray, normal: FloatArray) -> FloatArray:
    """float64[n, 3] on the plane with this normal."""
    x, y, z = normal
    return np.stack(
        [
            tensors[:, 0] * x + tensors[:, 3] * y + tensors[:, 5] * z,
            tensors[:, 3] * x + tensors[:, 1] * y + tensors[:, 4] * z,
            tensors[:, 5] * x + tensors[:, 4] * y + tensors[:, 2] * z,
        ],
        axis=1,
    )


def _normal_damage(tensors: FloatArray, normal: FloatArray, table: FloatArray) -> tuple[float, float]:
    """Damage of the normal stress, and its largest equivalent amplitude."""
    cycles = rainflow(_traction(tensors, normal) @ normal)
    if not len(cycles):
        return 0.0, 0.0
    out = np.empty(len(cycles))
    damages.equivalent_amplitudes(cycles.amplitude, cycles.mean, table, out)
    largest = float(out.max())
    damages.cycle_damages(cycles.amplitude, cycles.mean, table, out)
    return float(cycles.count @ out), largest


def _findley_damage(
    tensors: FloatArray, normal: FloatArray, direction: FloatArray, table: FloatArray, k: float
) -> tuple[float, float]:
    """Damage of the shear in a direction with the normal stress beside it, and its largest amplitude."""
    traction = _traction(tensors, normal)
    ends = np.empty((len(tensors), 3))
    found = kernels.count_beside(
        np.ascontiguousarray(traction @ direction),
        np.ascontiguousarray(traction @ normal),
        np.empty((len(tensors), 2)),
        ends,
    )
    spans, highest, counts = ends[:found].T
    # in uniaxial tests at R = -1 the worst plane has half of this times the amplitude
    uniaxial = 0.5 * (np.hypot(1.0, k) + k)
    amplitude = np.maximum(0.5 * spans + k * highest, 0.0) / uniaxial * (spans > 0.0)
    out = np.empty(found)
    damages.cycle_damages(amplitude, np.zeros(found), table, out)
    return float(counts @ out), float(amplitude.max(initial=0.0))


def _frames(*, turned: bool) -> list[FloatArray]:
    """Normals of all planes about `_COARSE` apart, with two directions in each plane, turned if asked."""
    step = np.radians(_COARSE)
    frames = []
    for inclination in np.arange(0.0, 0.5 * np.pi + 1e-9, step):
        around = max(1, round(2.0 * np.pi * np.sin(inclination) / step))
        # a normal and its opposite are one plane: of the equator one half is enough
        last = around // 2 if inclination > 0.5 * np.pi - 1e-6 else around
        for azimuth in 2.0 * np.pi / around * np.arange(last):
            st, ct, sp, cp = np.sin(inclination), np.cos(inclination), np.sin(azimuth), np.cos(azimuth)
            frame = np.array([[st * cp, st * sp, ct], [ct * cp, ct * sp, -st], [-sp, cp, 0.0]])
            turns = np.arange(0.0, np.pi - 1e-9, 2.0 * step) if turned else (0.0,)
            frames += [_rotated(frame, 0, float(turn)) for turn in turns]
    return frames


def _rotated(frame: FloatArray, axis: int, angle: float) -> FloatArray:
    """A frame turned about one of its own directions."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = frame.copy()
    out[i] = np.cos(angle) * frame[i] + np.sin(angle) * frame[j]
    out[j] = np.cos(angle) * frame[j] - np.sin(angle) * frame[i]
    return out


def _worst(
    worth: Callable[[FloatArray], tuple[float, float]], frames: list[FloatArray], *, axes: int
) -> tuple[tuple[float, float], FloatArray]:
    """The frame of largest worth: the best of those given, each walked uphill in ever smaller turns.

    Frames are turned about their last `axes` directions: one turned about its normal has the same plane.
    """
    ranked = sorted(((worth(frame), i) for i, frame in enumerate(frames)), reverse=True)
    found = []
    for value, i in ranked[:_CLIMBS]:
        frame, step = frames[i], np.radians(0.5 * _COARSE)
        while step > np.radians(_FINE):
            moves = [_rotated(frame, axis, turn) for axis in range(3 - axes, 3) for turn in (step, -step)]
            values = [worth(move) for move in moves]
            best = max(range(len(moves)), key=values.__getitem__)
            if values[best] > value:
                value, frame = values[best], moves[best]
            else:
                step *= 0.5
        found.append((value, frame))
    return max(found, key=lambda pair: pair[0])
