"""Exact vibration and buckling of sliding strips and tubes, and closed forms for beams.

A strip |y| <= h of length L whose ends slide (no displacement along x, no shear) has the modes of an endless
plate with wavelengths 2 L / m (Rayleigh 1888, Lamb 1917), a tube those of an endless tube; all are smooth up
to the boundary. Under a uniform stress -P along x the energy of stress is P k^2 |u|^2 / 2
at every point of such a mode, k = m pi / L, as its kinetic energy is rho omega^2 |u|^2 / 2: so the same
shapes buckle, at P = rho (omega / k)^2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq

from designtwin.typing import FloatArray

E, NU, RHO = 2.0, 0.3, 1.5
MU = E / (2 * (1 + NU))
LAMBDA = E * NU / ((1 + NU) * (1 - 2 * NU))


def lame(name: str) -> tuple[float, float]:
    """Lame's constants that hold in the plane of a section ("PlaneStress" thins freely)."""
    return (2 * LAMBDA * MU / (LAMBDA + 2 * MU) if name == "PlaneStress" else LAMBDA), MU


def _roots(function: Callable[[float], float], low: float, high: float, n: int = 4000) -> list[float]:
    x = np.linspace(low, high, n)
    y = np.array([function(v) for v in x])
    return [brentq(function, a, b, xtol=1e-14) for a, b, u, v in zip(x, x[1:], y, y[1:]) if u * v < 0.0]


def strip_frequencies(k: float, half: float, name: str, below: float) -> FloatArray:
    """Angular frequencies, rad/s, of an endless plate of half-thickness `half` at wave number k."""
    lam, mu = lame(name)

    def parts(omega: float) -> tuple[complex, ...]:
        p = np.sqrt(complex(omega**2 * RHO / (lam + 2 * mu) - k * k))
        q = np.sqrt(complex(omega**2 * RHO / mu - k * k))
        return p, q, p * half, q * half

    def bending(omega: float) -> float:
        p, q, ph, qh = parts(omega)
        sine = half if abs(p) < 1e-12 else np.sin(ph) / p
        return float(
            ((q * q - k * k) ** 2 * sine * np.cos(qh) + 4 * k * k * q * np.sin(qh) * np.cos(ph)).real
        )

    def stretching(omega: float) -> float:
        p, q, ph, qh = parts(omega)
        sine = half if abs(q) < 1e-12 else np.sin(qh) / q
        return float(
            ((q * q - k * k) ** 2 * np.cos(ph) * sine + 4 * k * k * p * np.sin(ph) * np.cos(qh)).real
        )

    start = 1e-3 * below
    return np.sort([*_roots(bending, start, below), *_roots(stretching, start, below)])


def tube_values(k: float, inner: float, outer: float, n: int = 24) -> FloatArray:
    """rho omega^2, Pa/m^2, of an endless tube, axisymmetric without twist, at wave number k, ascending.

    u_r = U(r) cos k y, u_y = W(r) sin k y with polynomials of degree n - 1: exact to rounding.
    """
    x, weight = np.polynomial.legendre.leggauss(2 * n)
    half = 0.5 * (outer - inner)
    r = inner + half * (1 + x)
    basis = np.polynomial.legendre.legvander(x, n - 1)
    slope = np.stack(
        [np.polynomial.legendre.legval(x, np.polynomial.legendre.legder(row)) for row in np.eye(n)], axis=1
    )
    slope /= half
    none = np.zeros_like(basis)
    radial, hoop = np.hstack([slope, none]), np.hstack([basis / r[:, None], none])
    along, shear = np.hstack([none, k * basis]), np.hstack([-k * basis, slope])
    dilatation = radial + hoop + along
    w = (weight * half * r)[:, None]

    def form(a: FloatArray) -> FloatArray:
        return np.asarray(a.T @ (w * a))

    stiffness = LAMBDA * form(dilatation) + 2 * MU * (form(radial) + form(hoop) + form(along))
    stiffness += MU * form(shear)
    mass = form(np.hstack([basis, none])) + form(np.hstack([none, basis]))
    return np.asarray(eigh(stiffness, mass, eigvals_only=True))


def beam_frequency(roots: float, e: float, rho: float, length: float, thickness: float) -> float:
    """Hz of a slender beam of rectangular section (Euler and Bernoulli); roots (beta L)."""
    return float(roots**2 / (2 * np.pi * length**2) * np.sqrt(e * thickness**2 / (12 * rho)))
