"""Damage of random stress from its spectrum: narrow band, Dirlik, Lalanne, Tovo and Benasciutti."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import erf, gammaincc, gammaln

from designtwin.errors import FatigueError, did_you_mean
from designtwin.fatigue.curves import SNCurve, curve_of
from designtwin.fatigue.mean_stress import MeanStress
from designtwin.typing import FloatArray
from designtwin.units import to_si

_NARROW = 1.0 - 1e-9
"""Irregularity from which on a signal is one of a narrow band: Dirlik's weights become 0 / 0 there."""
_POINTS = 48
"""Of the Gauss rule on each of the panels of Lalanne's integral."""


class _Part(NamedTuple):
    """Amplitudes with density weight * b / l (s / l)^(b-1) exp(-(s / l)^b): b is 1 or 2."""

    weight: FloatArray
    shape: float
    scale: FloatArray


def spectral_moments(frequencies: Any, density: Any) -> FloatArray:
    """Moments of a one-sided power spectral density, exact for one that is linear between its points.

    Parameters
    ----------
    frequencies : float64[k]
        Hz, growing.
    density : float64[..., k]
        Pa^2/Hz.

    Returns
    -------
    float64[..., 5]
        m_0 to m_4, the integrals of f^n G(f), Pa^2 Hz^n.

    Raises
    ------
    FatigueError
        If frequencies do not grow from zero on or a density is negative.
    """
    f, g = _array(frequencies, "frequencies"), _array(density, "density")
    if f.ndim != 1 or len(f) < 2 or g.shape[-1:] != f.shape:
        raise FatigueError(
            f"frequencies of shape {f.shape} and a density of shape {g.shape} make no spectrum"
        )
    if not (np.diff(f) > 0.0).all() or f[0] < 0.0:
        raise FatigueError("frequencies of a spectrum are to grow, from 0 Hz on at the least")
    if not (np.isfinite(g).all() and (g >= 0.0).all()):
        raise FatigueError("a spectral density holds values that are negative or no numbers")
    # Gauss points with weights of degree 5: f^4 times a line, without differences of large powers
    x = np.array([-np.sqrt(0.6), 0.0, np.sqrt(0.6)])
    w = np.array([5.0, 8.0, 5.0]) / 18.0
    half = 0.5 * np.diff(f)
    at = 0.5 * (f[1:] + f[:-1])[:, None] + half[:, None] * x
    share = 0.5 * (1.0 + x)
    values = g[..., :-1, None] * (1.0 - share) + g[..., 1:, None] * share
    weights = 2.0 * half[:, None] * w
    return np.stack([np.sum(values * (weights * at**n), axis=(-2, -1)) for n in range(5)], axis=-1)


def damage_rate(
    moments: Any,
    curve: str | SNCurve,
    *,
    method: str = "Dirlik",
    mean: Any = 0.0,
    mean_stress: str | MeanStress | None = None,
    ultimate: Any = None,
) -> FloatArray:
    """Damage per second of stationary Gaussian stress.

    Parameters
    ----------
    moments : float64[..., 5]
        m_0 to m_4 of the one-sided spectral density of stress, Pa^2 Hz^n, as of `spectral_moments`.
    curve : str or SNCurve
        Of amplitudes, with all its slopes.
    method : "Dirlik", "narrow band", "Lalanne" or "Tovo-Benasciutti"
        Narrow band: amplitudes by Rayleigh at the rate of zero crossings, safe and often far so. Dirlik and
        Tovo-Benasciutti: fits to rainflow of broad bands; Dirlik's spectra had m_2 / sqrt(m_0 m_4) of 0.16
        and more. Lalanne: amplitudes of peaks by Rice, safer than the narrow band where bands are broad.
    mean : "80 MPa", float or float64[...]
        Static stress it is added to, Pa.
    mean_stress : str or MeanStress, optional
        "Goodman", "Gerber" or "Morrow": those that scale all amplitudes by one factor.
    ultimate : optional
        Of the material, where the curve states none.

    Returns
    -------
    float64[...]
        1/s; its inverse is the expected life. 0 where there is no stress, inf where the mean reaches the
        strength.

    Raises
    ------
    FatigueError
        If the method is unknown, moments contradict themselves, or the correction has no single factor.

    Source: Dirlik, Application of Computers in Fatigue Analysis (1985), ch. 8; Lalanne, Mechanical Vibration
    and Shock vol. 5 (2002), sec. 4.4; Rice, Bell Syst. Tech. J. 24 (1945) 46; Benasciutti and Tovo, Int. J.
    Fatigue 27 (2005) 867; Bendat, NASA CR-33 (1964).
    """
    if method not in _METHODS:
        raise FatigueError(
            f"method is {method!r}{did_you_mean(str(method), _METHODS)}; it is one of {', '.join(_METHODS)}"
        )
    curve = curve_of(curve)
    correction = curve.correction(mean_stress, ultimate=ultimate)
    if correction.method not in ("none", "Goodman", "Gerber", "Morrow"):
        raise FatigueError(
            f"{correction.method} scales each amplitude by another factor, a spectrum knows one mean for "
            "all: use Goodman, Gerber or Morrow"
        )
    m = _array(moments, "moments")
    if m.shape[-1:] != (5,):
        raise FatigueError(f"moments are of shape {m.shape}; five are wanted, m_0 to m_4")
    if not np.isfinite(m).all() or (m < 0.0).any():
        raise FatigueError("moments of a spectrum are to be finite and not negative")
    means = np.asarray(to_si(mean, "stress", name="mean"), dtype=np.float64)
    factor = np.broadcast_to(correction.equivalent(1.0, means), m.shape[:-1]) if means.any() else None
    still = (m[..., 0] <= 0.0) | (m[..., 2] <= 0.0)
    m[still] = 1.0  # of any signal: their answer is set below
    if (m[..., 2] ** 2 > m[..., 0] * m[..., 4] * (1.0 + 1e-9)).any():
        raise FatigueError("moments with m_2^2 > m_0 m_4 belong to no spectrum")
    sigma = np.sqrt(m[..., 0])
    if factor is not None:
        # Goodman's factor of amplitude one depends on the mean alone
        sigma = sigma * factor
    beyond = ~np.isfinite(sigma)
    sigma = np.where(beyond, 1.0, sigma)
    rate = _METHODS[method](m, sigma, curve.table())
    return np.where(still, 0.0, np.where(beyond, np.inf, rate))


def _array(values: Any, name: str) -> FloatArray:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise FatigueError(f"{name} are numbers; got {type(values).__name__}") from None


def _irregularity(m: FloatArray) -> FloatArray:
    return np.minimum(m[..., 2] / np.sqrt(m[..., 0] * m[..., 4]), 1.0)


def _narrow_band(m: FloatArray, sigma: FloatArray, table: FloatArray) -> FloatArray:
    crossings = np.sqrt(m[..., 2] / m[..., 0])
    return crossings * _mixture([_Part(np.ones_like(sigma), 2.0, np.sqrt(2.0) * sigma)], table)


def _dirlik(m: FloatArray, sigma: FloatArray, table: FloatArray) -> FloatArray:
    gamma = _irregularity(m)
    broad = gamma < _NARROW
    g = np.where(broad, gamma, 0.5)
    x = np.where(broad, m[..., 1] / m[..., 0] * np.sqrt(m[..., 2] / m[..., 4]), 0.4)
    d1 = 2.0 * (x - g**2) / (1.0 + g**2)
    r = (g - x - d1**2) / (1.0 - g - d1 + d1**2)
    d2 = (1.0 - g - d1 + d1**2) / (1.0 - r)
    d3 = 1.0 - d1 - d2
    q = 1.25 * (g - d3 - d2 * r) / d1
    parts = [
        _Part(d1, 1.0, q * sigma),
        _Part(d2, 2.0, np.sqrt(2.0) * np.abs(r) * sigma),
        _Part(d3, 2.0, np.sqrt(2.0) * sigma),
    ]
    peaks = np.sqrt(m[..., 4] / m[..., 2])
    return np.where(broad, peaks * _mixture(parts, table), _narrow_band(m, sigma, table))


def _tovo_benasciutti(m: FloatArray, sigma: FloatArray, table: FloatArray) -> FloatArray:
    a2 = _irregularity(m)
    a1 = np.minimum(m[..., 1] / np.sqrt(m[..., 0] * m[..., 2]), 1.0)
    broad = a2 < _NARROW
    g = np.where(broad, a2, 0.5)
    b = (a1 - g) * (1.112 * (1.0 + a1 * g - (a1 + g)) * np.exp(2.11 * g) + (a1 - g)) / (g - 1.0) ** 2
    b = np.clip(np.where(broad, b, 1.0), 0.0, 1.0)
    scale = np.sqrt(2.0) * sigma
    # of all peaks: level crossings counted (g of them make cycles), and ranges counted
    parts = [_Part(b * a2, 2.0, scale), _Part(1.0 - b, 2.0, scale * np.maximum(a2, 1e-12))]
    return np.sqrt(m[..., 4] / m[..., 2]) * _mixture(parts, table)


def _mixture(parts: list[_Part], table: FloatArray) -> FloatArray:
    """Mean damage of a cycle with amplitudes of a sum of Weibull densities."""
    total = np.zeros_like(parts[0].scale)
    above = np.inf
    for lowest, k, c in table[3:].reshape(-1, 3):
        for part in parts:
            order = 1.0 + k / part.shape
            scale = np.maximum(part.scale, 1e-300)
            inside = gammaincc(order, (lowest / scale) ** part.shape)
            if np.isfinite(above):
                inside = inside - gammaincc(order, (above / scale) ** part.shape)
            total += part.weight * inside * np.exp(k * np.log(scale) - c + gammaln(order))
        above = lowest
    return total


def _lalanne(m: FloatArray, sigma: FloatArray, table: FloatArray) -> FloatArray:
    g = _irregularity(m)[..., None]
    wide = np.sqrt(np.maximum(1.0 - g**2, 1e-18))
    x, w = np.polynomial.legendre.leggauss(_POINTS)
    x, w = 0.5 * (x + 1.0), 0.5 * w
    total = np.zeros_like(sigma)
    above = np.inf
    for lowest, k, c in table[3:].reshape(-1, 3):
        far = np.sqrt(k) + 9.0  # in standard deviations; nothing is left of z^k exp(-z^2 / 2) there
        begin = np.minimum(lowest / sigma, far)
        end = np.minimum(above / sigma, far)
        edges = begin[..., None] + (end - begin)[..., None] * np.linspace(0.0, 1.0, 5)
        for i in range(4):
            length = (edges[..., i + 1] - edges[..., i])[..., None]
            z = edges[..., i, None] + length * x
            density = wide / np.sqrt(2.0 * np.pi) * np.exp(-0.5 * (z / wide) ** 2)
            density += 0.5 * g * z * np.exp(-0.5 * z**2) * (1.0 + erf(g * z / (wide * np.sqrt(2.0))))
            with np.errstate(divide="ignore"):
                harm = np.exp(k * np.log(z * sigma[..., None]) - c)
            total += np.sum(length * w * density * harm, axis=-1)
        above = lowest
    return np.sqrt(m[..., 4] / m[..., 2]) * total


_METHODS: dict[str, Callable[[FloatArray, FloatArray, FloatArray], FloatArray]] = {
    "Dirlik": _dirlik,
    "narrow band": _narrow_band,
    "Lalanne": _lalanne,
    "Tovo-Benasciutti": _tovo_benasciutti,
}
