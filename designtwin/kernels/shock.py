"""Oscillators on a shaken base: the largest answer of each, which makes a shock response spectrum."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from designtwin.typing import FloatArray


@njit(cache=True, nogil=True)
def _steps(x: float, zeta: float, terms: int, out: FloatArray) -> None:
    """One step of y'' + 2 zeta x y' + x^2 y = -(a + d s), s from 0 to 1, by its power series.

    ``out`` float64[2, 4] is overwritten: y and y' at 1 for y, y', a and d of one at 0. No term cancels for
    x << 1, unlike in closed form.
    """
    for j in range(4):
        y, v = 0.0, 0.0
        c0 = 1.0 if j == 0 else 0.0
        c1 = 1.0 if j == 1 else 0.0
        for k in range(terms):
            y += c0
            v += k * c0
            load = 0.0
            if j == 2 and k == 0:
                load = 1.0
            if j == 3 and k == 1:
                load = 1.0
            c2 = (-load - 2.0 * zeta * x * (k + 1) * c1 - x * x * c0) / ((k + 2.0) * (k + 1.0))
            c0, c1 = c1, c2
        out[0, j] = y
        out[1, j] = v


@njit(cache=True, nogil=True)
def _between(a: float, b: float, da: float, db: float) -> float:
    """The extreme of the cubic with these ends and slopes over 0 to 1 where its slope changes sign."""
    # slope of the cubic: da + 2 p s + q s^2
    p = 3.0 * (b - a) - 2.0 * da - db
    q = 3.0 * (da + db - 2.0 * (b - a))
    root = math.sqrt(max(p * p - q * da, 0.0))
    below = p + (root if p >= 0.0 else -root)
    s = -1.0
    if below != 0.0:
        s = -da / below
    if (s < 0.0 or s > 1.0) and q != 0.0:
        s = -below / q
    s = min(max(s, 0.0), 1.0)
    return a + s * (da + s * (p + s * q / 3.0))


@njit(cache=True, nogil=True)
def _note(value: float, out: FloatArray, at: int) -> None:
    if value > out[at]:
        out[at] = value
    if value < out[at + 1]:
        out[at + 1] = value


@njit(cache=True, nogil=True)
def _decay(y: float, v: float, omega: float, zeta: float, out: FloatArray, at: int) -> None:
    """Extremes of y(t) for t > 0 of y'' + 2 zeta omega y' + omega^2 y = 0, zeta < 1, from y and y'."""
    _note(y, out, at)
    damped = omega * math.sqrt(1.0 - zeta * zeta)
    sine = (v + zeta * omega * y) / damped
    # y = e^(-zeta omega t) (y cos + sine sin) rests where tan(damped t) has this value
    above = sine * damped - zeta * omega * y
    below = y * damped + zeta * omega * sine
    if above == 0.0 and below == 0.0:
        return
    angle = math.atan2(above, below)
    while angle <= 0.0:
        angle += math.pi
    for _ in range(2):
        t = angle / damped
        _note(math.exp(-zeta * omega * t) * (y * math.cos(angle) + sine * math.sin(angle)), out, at)
        angle += math.pi


@njit(cache=True, nogil=True)
def extremes(
    start: int, stop: int, times: FloatArray, base: FloatArray, omega: FloatArray, zeta: FloatArray,
    resolution: float, terms: int, out: FloatArray,
) -> None:  # fmt: skip
    """Largest and smallest answers of oscillators whose base is accelerated, at rest before.

    Parameters
    ----------
    start, stop : int
        Range of oscillators.
    times : float64[n]
        s, ascending.
    base : float64[n]
        Acceleration of the base, m/s^2, linear between times and zero afterwards.
    omega, zeta : float64[k]
        Circular frequency, rad/s, and damping ratio, below 1, of each oscillator.
    resolution : float
        Largest step, in radians of the oscillator; between steps a cubic is followed, which errs by about
        its fourth power over 384.
    terms : int
        Of the power series of a step: 12 are exact to rounding for steps to 0.2.
    out : float64[k, 2, 4]
        Overwritten: of the absolute acceleration, m/s^2, and of the relative displacement, m: the largest and
        smallest while the base is shaken, then after.

    Source: Nigam and Jennings, Bull. Seismol. Soc. Am. 59 (1969) 909-922; Smallwood, Shock Vib. Bull. 51
    (1981) 279-287.
    """
    step = np.empty((2, 4))
    for k in range(start, stop):
        w, z = omega[k], zeta[k]
        y, v = 0.0, 0.0  # relative displacement and velocity
        acceleration, displacement = out[k, 0], out[k, 1]
        acceleration[:] = 0.0
        displacement[:] = 0.0
        last = -1.0
        for i in range(len(times) - 1):
            length = times[i + 1] - times[i]
            if length <= 0.0:
                continue
            n = math.ceil(w * length / resolution)
            n = max(n, 1)
            h = length / n
            if h != last:
                _steps(w * h, z, terms, step)
                last = h
            d = (base[i + 1] - base[i]) / n
            for s in range(n):
                a = base[i] + d * s
                total = -(2.0 * z * w * v + w * w * y)
                slope = -(2.0 * z * w * (total - a) + w * w * v)
                new = step[0, 0] * y + h * (step[0, 1] * v + h * (step[0, 2] * a + step[0, 3] * d))
                newv = step[1, 0] * y / h + step[1, 1] * v + h * (step[1, 2] * a + step[1, 3] * d)
                after = -(2.0 * z * w * newv + w * w * new)
                its = -(2.0 * z * w * (after - a - d) + w * w * newv)
                _note(after, acceleration, 0)
                _note(new, displacement, 0)
                if slope * its < 0.0:
                    _note(_between(total, after, h * slope, h * its), acceleration, 0)
                if v * newv < 0.0:
                    _note(_between(y, new, h * v, h * newv), displacement, 0)
                y, v = new, newv
        total = -(2.0 * z * w * v + w * w * y)
        _decay(total, -(2.0 * z * w * total + w * w * v), w, z, acceleration, 2)
        _decay(y, v, w, z, displacement, 2)
