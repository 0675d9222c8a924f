"""A small convex quadratic problem between bounds, whose constraints may be broken at a price."""

from __future__ import annotations

import numpy as np

from designtwin.optimize.sums import Factor, across, dot, gram, times
from designtwin.typing import FloatArray

_STEPS = 80
_GAP = 1e-12


def solve_quadratic(
    curvature: FloatArray,
    slope: FloatArray,
    jacobian: FloatArray,
    constant: FloatArray,
    low: FloatArray,
    high: FloatArray,
    price: float,
) -> tuple[FloatArray, FloatArray]:
    """Least d.B d/2 + slope.d + price sum(w) with jacobian d + constant <= w, w >= 0, low <= d <= high.

    Mehrotra's predictor and corrector; both use one factorization of the variables' equations.

    Parameters
    ----------
    curvature : float64[n, n]
        B, symmetric and not negative.
    slope : float64[n]
    jacobian : float64[m, n]
    constant : float64[m]
    low, high : float64[n]
        low < high.
    price : float

    Returns
    -------
    d : float64[n]
    multipliers : float64[m]
        At most `price`, where the constraint is broken.

    Source: Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), secs. 14.2 and 16.6.
    """
    n, m = len(slope), len(constant)
    d = 0.5 * (low + high)
    size = max(1.0, float(np.abs(slope).max(initial=0.0)))
    steep = size + price * float(np.abs(jacobian).max(initial=0.0))
    reach = times(jacobian, d) + constant
    lam = np.full(m, min(0.5 * price, size))
    mu = price - lam
    s, w = np.maximum(-reach, 0.0) + 0.1, np.maximum(reach, 0.0) + 0.1
    xi = eta = np.full(n, size)
    a, b = d - low, high - d  # carried along: differences of d would lose their digits

    def reduced(cross: tuple[FloatArray, FloatArray, FloatArray, FloatArray]) -> tuple[FloatArray, ...]:
        """Newton's step to where products of pairs are what `cross` leaves of them."""
        cs, cw, cl, ch = cross  # what lam s, mu w, xi a, eta b are to lose
        right_d = -rd - cl / a + ch / b
        right_l = rp - cs / lam + (cw + w * rw) / mu
        dd = factor.solve(right_d - across(right_l / middle, jacobian))
        dlam = (right_l + times(jacobian, dd)) / middle
        dmu = -dlam + rw
        return (
            dd, dlam, dmu, -(cs + s * dlam) / lam, -(cw + w * dmu) / mu,
            -(cl + xi * dd) / a, -(ch - eta * dd) / b,
        )  # fmt: skip

    def longest(step: tuple[FloatArray, ...]) -> float:
        dd, dlam, dmu, ds, dw, dxi, deta = step
        value = np.concatenate([lam, mu, s, w, xi, eta, a, b])
        change = np.concatenate([dlam, dmu, ds, dw, dxi, deta, dd, -dd])
        falls = change < 0.0
        return float(min(1.0, (-value[falls] / change[falls]).min(initial=1.0)))

    pairs = 2 * (n + m)
    for _ in range(_STEPS):
        rd = times(curvature, d) + slope + across(lam, jacobian) - xi + eta
        rw = price - lam - mu
        rp = times(jacobian, d) + constant - w + s
        products = (lam * s, mu * w, xi * a, eta * b)
        gap = float(sum(p.sum() for p in products)) / pairs
        left = max(float(np.abs(rd).max()) / steep, float(np.abs(rp).max(initial=0.0)))
        if gap < _GAP * size and left < 1e-12:
            break
        middle = s / lam + w / mu
        try:
            factor = Factor(curvature + np.diag(xi / a + eta / b) + gram(jacobian, 1.0 / middle))
        except ArithmeticError:  # as near as rounding allows
            break
        guess = reduced(products)
        if not all(np.isfinite(part).all() for part in guess):
            break
        alpha = longest(guess)
        dd, dlam, dmu, ds, dw, dxi, deta = guess
        after = (
            dot(lam + alpha * dlam, s + alpha * ds) + dot(mu + alpha * dmu, w + alpha * dw)
            + dot(xi + alpha * dxi, a + alpha * dd) + dot(eta + alpha * deta, b - alpha * dd)
        ) / pairs  # fmt: skip
        # Products far below the tolerance would leave slopes no room to settle.
        center = max(max(float(after / gap), 0.0) ** 3 * gap, 0.1 * _GAP * size)
        step = reduced(
            (
                products[0] + dlam * ds - center,
                products[1] + dmu * dw - center,
                products[2] + dxi * dd - center,
                products[3] - deta * dd - center,
            )
        )
        alpha = 0.995 * longest(step)
        dd, dlam, dmu, ds, dw, dxi, deta = step
        d, lam, mu = d + alpha * dd, lam + alpha * dlam, mu + alpha * dmu
        a, b = a + alpha * dd, b - alpha * dd
        s, w, xi, eta = s + alpha * ds, w + alpha * dw, xi + alpha * dxi, eta + alpha * deta
    # A bound that holds, holds exactly.
    d = np.where(xi > 1e3 * a, low, np.where(eta > 1e3 * b, high, d))
    return d, lam
