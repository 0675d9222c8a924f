"""Temperatures that are known: series and closed forms of transient, nonlinear and radiating heat.

Temperatures here are in the unit of the case (mostly above a reference), positions in m, times in s.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf, erfc, erfcx, j0, j1, jn_zeros

from designtwin.typing import FloatArray

SIGMA = 5.670374419e-8
"""Stefan and Boltzmann's constant, W/(m2 K4); CODATA 2018."""


def bar_with_swinging_end(
    x: FloatArray,
    t: float,
    *,
    length: float,
    diffusivity: float,
    rise: float,
    frequency: float,
    terms: int = 2000,
) -> FloatArray:
    """T(0) = 0, T(L) = rise sin(frequency t), at rest before (Carslaw & Jaeger, sec. 3.5, by modes).

    T = x/L g(t) + sum_n w_n(t) sin(n pi x / L), where each w_n answers the rate of g and falls with n^-3.
    """
    n = np.arange(1, terms + 1)
    decay = diffusivity * (n * np.pi / length) ** 2
    share = 2 * (-1.0) ** (n + 1) / (n * np.pi)
    turned = decay * np.cos(frequency * t) + frequency * np.sin(frequency * t) - decay * np.exp(-decay * t)
    w = -share * rise * frequency * turned / (decay**2 + frequency**2)
    x = np.atleast_1d(np.asarray(x, float))
    return x / length * rise * np.sin(frequency * t) + np.sin(np.outer(x, n * np.pi / length)) @ w


def wall_roots(biot: float, terms: int) -> FloatArray:
    """The first roots of z tan z = Bi."""
    tiny = 1e-12
    return np.array(
        [
            brentq(lambda z: z * np.sin(z) - biot * np.cos(z), k * np.pi + tiny, (k + 0.5) * np.pi - tiny)
            for k in range(terms)
        ]
    )


def cooling_wall(x: FloatArray, fourier: float, *, biot: float, terms: int = 200) -> FloatArray:
    """(T - Tinf) / (T0 - Tinf) of a wall at x of its half thickness (Incropera, eq. 5.42)."""
    z = wall_roots(biot, terms)
    c = 4 * np.sin(z) / (2 * z + np.sin(2 * z))
    return np.cos(np.outer(np.atleast_1d(x), z)) @ (c * np.exp(-(z**2) * fourier))


def cooling_cylinder(r: FloatArray, fourier: float, *, biot: float, terms: int = 100) -> FloatArray:
    """(T - Tinf) / (T0 - Tinf) of a long cylinder at r of its radius; Bi = h R / k (Incropera, eq. 5.47)."""

    def wrong(z: float) -> float:
        return float(z * j1(z) - biot * j0(z))

    # One root between each two zeros of J1, where z J1 vanishes and J0 has changed its sign.
    ends = np.concatenate([[0.0], jn_zeros(1, terms)])
    z = np.array([brentq(wrong, a, b, xtol=1e-14) for a, b in pairwise(ends)])
    c = 2 * j1(z) / (z * (j0(z) ** 2 + j1(z) ** 2))
    return j0(np.outer(np.atleast_1d(r), z)) @ (c * np.exp(-(z**2) * fourier))


def half_space_held(x: FloatArray, t: float, *, diffusivity: float) -> FloatArray:
    """(T - T0) / (Ts - T0) below a surface that is held at Ts from t = 0 on (Carslaw & Jaeger, sec. 2.4)."""
    return erfc(np.asarray(x) / (2 * np.sqrt(diffusivity * t)))


def half_space_convection(
    x: FloatArray, t: float, *, diffusivity: float, conductivity: float, coefficient: float
) -> FloatArray:
    """(T - T0) / (Tinf - T0) below a convective surface (Carslaw & Jaeger, sec. 2.7)."""
    x, root = np.asarray(x), np.sqrt(diffusivity * t)
    at, more = x / (2 * root), coefficient * root / conductivity
    # exp(h x/k + h^2 a t/k^2) erfc(at + more) without overflow.
    return erfc(at) - np.exp(-(at**2)) * erfcx(at + more)


def half_space_flux(
    x: FloatArray, t: float, *, diffusivity: float, conductivity: float, flux: float
) -> FloatArray:
    """T - T0 below a surface that takes up a constant flux (Carslaw & Jaeger, sec. 2.9)."""
    x, root = np.asarray(x), np.sqrt(diffusivity * t)
    at = x / (2 * root)
    return 2 * flux * root / conductivity * (np.exp(-(at**2)) / np.sqrt(np.pi) - at * erfc(at))


def linear_conductivity_wall(
    x: FloatArray, *, length: float, left: float, right: float, slope: float
) -> FloatArray:
    """k = k0 (1 + slope T) between held faces: T + slope T^2 / 2 is linear (Kirchhoff 1894)."""

    def raised(T: float) -> float:
        return T + 0.5 * slope * T * T

    at = raised(left) + (raised(right) - raised(left)) * np.asarray(x) / length
    return (np.sqrt(1 + 2 * slope * at) - 1) / slope


def lumped_convection(t: float, *, start: float, ambient: float, rate: float) -> float:
    """A body of one temperature; rate = h A / (rho c V)."""
    return ambient + (start - ambient) * float(np.exp(-rate * t))


def lumped_radiation(t: float, *, start: float, ambient: float, rate: float) -> float:
    """dT/dt = -rate (T^4 - Ta^4) from T > Ta in K; rate = eps sigma A / (rho c V) (Incropera, eq. 5.18)."""

    def elapsed(T: float) -> float:
        def primitive(T: float) -> float:
            return np.log((T - ambient) / (T + ambient)) / (4 * ambient**3) - np.arctan(T / ambient) / (
                2 * ambient**3
            )

        return float(primitive(start) - primitive(T)) / rate

    # Tiny above ambient takes forever: the root lies between.
    return float(brentq(lambda T: elapsed(T) - t, ambient * (1 + 1e-13), start, xtol=1e-12, rtol=1e-15))


def between_plates(hot: float, cold: float, first: float, second: float) -> float:
    """Flux between infinite grey plates, W/m2."""
    return SIGMA * (hot**4 - cold**4) / (1 / first + 1 / second - 1)


def between_cylinders(
    hot: float, cold: float, first: float, second: float, *, inner: float, outer: float
) -> float:
    """Flux leaving the inner of two long concentric grey cylinders, W/m2 of the inner."""
    return SIGMA * (hot**4 - cold**4) / (1 / first + inner / outer * (1 / second - 1))


def parallel_squares(side: float, distance: float) -> float:
    """View factor of aligned equal squares (Howell, C-11)."""
    x = side / distance
    s = np.sqrt(1 + x * x)
    log = 0.5 * np.log((1 + x * x) ** 2 / (1 + 2 * x * x))
    return float(2 / (np.pi * x * x) * (log + 2 * x * s * np.arctan(x / s) - 2 * x * np.arctan(x)))


def insulated_slab_heating(
    x: FloatArray,
    t: float,
    *,
    length: float,
    diffusivity: float,
    conductivity: float,
    flux: float,
    terms: int = 400,
) -> FloatArray:
    """T - T0 of a wall insulated at x = 0 that takes up a flux at x = L (Carslaw & Jaeger, sec. 3.8)."""
    x = np.atleast_1d(np.asarray(x, float)) / length
    n = np.arange(1, terms + 1)
    fourier = diffusivity * t / length**2
    series = np.cos(np.outer(x, n * np.pi)) @ ((-1.0) ** n / n**2 * np.exp(-((n * np.pi) ** 2) * fourier))
    return flux * length / conductivity * (fourier + (3 * x**2 - 1) / 6 - 2 / np.pi**2 * series)


def melting(x: FloatArray, t: float, *, diffusivity: float, stefan: float) -> tuple[FloatArray, float, float]:
    """Melting of a half space at its melting temperature whose surface is held warmer (Stefan 1891).

    Parameters
    ----------
    stefan : float
        c (Ts - Tm) / latent heat.

    Returns
    -------
    T : float64[n]
        (T - Tm) / (Ts - Tm).
    front : float
        Where it melts, m.
    factor : float
        front / (2 sqrt(a t)); heat that went in over area is k (Ts - Tm) / erf(factor) 2 sqrt(t / (pi a)).
    """
    factor = float(
        brentq(lambda z: z * np.exp(z * z) * erf(z) - stefan / np.sqrt(np.pi), 1e-9, 5.0, xtol=1e-15)
    )
    front = 2 * factor * np.sqrt(diffusivity * t)
    at = np.asarray(x, float) / (2 * np.sqrt(diffusivity * t))
    return np.maximum(1 - erf(at) / erf(factor), 0.0), float(front), factor
