"""The convex separable problem of a step of MMA, and its solution by an interior point method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtwin.typing import FloatArray

_CURVATURE = 1e-3


@dataclass(frozen=True, eq=False)
class Separable:
    """Row i: sum_j p_ij / (upper_j - x_j) + q_ij / (x_j - lower_j) + r_i; row 0 is the objective."""

    p: FloatArray
    q: FloatArray
    r: FloatArray
    lower: FloatArray
    upper: FloatArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def about(
        cls,
        x: FloatArray,
        values: FloatArray,
        slopes: FloatArray,
        lower: FloatArray,
        upper: FloatArray,
        low: FloatArray,
        high: FloatArray,
        span: FloatArray,
        rho: FloatArray,
    ) -> Separable:
        """Functions with these values and slopes at x (Svanberg 2007, eqs. 3.2-3.6)."""
        rise, fall = np.maximum(slopes, 0.0), np.maximum(-slopes, 0.0)
        least = _CURVATURE * (rise + fall) + rho[:, None] / span
        p = (upper - x) ** 2 * (rise + least)
        q = (x - lower) ** 2 * (fall + least)
        r = values - (p / (upper - x) + q / (x - lower)).sum(axis=1)
        return cls(p, q, r, lower, upper, low, high)

    def values(self, x: FloatArray) -> FloatArray:
        """All rows at x."""
        return (self.p / (self.upper - x) + self.q / (x - self.lower)).sum(axis=1) + self.r


def solve(problem: Separable, penalty: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Least row 0 + penalty.y + y.y/2 with rows 1.. <= y, y >= 0 and low <= x <= high.

    Primal-dual interior point method; Newton's equations are reduced to as many unknowns as there are constraints
    or variables, whichever are fewer.

    Returns
    -------
    x : float64[n]
    multipliers : float64[m]

    Source: Svanberg, MMA and GCMMA - two methods for nonlinear optimization (2007), sec. 5.
    """
    p0, q0, low, high = problem.p[0], problem.q[0], problem.low, problem.high
    pc, qc, b = problem.p[1:], problem.q[1:], problem.r[1:]
    m, n = pc.shape
    if m == 0:
        a, c = np.sqrt(p0), np.sqrt(q0)
        return np.clip((a * problem.lower + c * problem.upper) / (a + c), low, high), np.zeros(0)
    x = 0.5 * (low + high)
    # A range that vanished (a step that is all but none) still needs room inside.
    room = np.maximum(high - low, 1e-15 * (problem.upper - problem.lower))
    low, high = x - 0.5 * room, x + 0.5 * room
    y, lam, s = np.ones(m), np.ones(m), np.ones(m)
    xi, eta = np.maximum(1.0, 1.0 / (x - low)), np.maximum(1.0, 1.0 / (high - x))
    mu = np.maximum(1.0, 0.5 * penalty)

    def residual(state: tuple[FloatArray, ...], barrier: float) -> FloatArray:
        x, y, lam, xi, eta, mu, s = state
        ux, xl = problem.upper - x, x - problem.lower
        slope = (p0 + lam @ pc) / ux**2 - (q0 + lam @ qc) / xl**2
        rows = (pc / ux + qc / xl).sum(axis=1) + b
        return np.concatenate(
            [
                slope - xi + eta, penalty + y - lam - mu, rows - y + s,
                xi * (x - low) - barrier, eta * (high - x) - barrier, mu * y - barrier, lam * s - barrier,
            ]
        )  # fmt: skip

    state: tuple[FloatArray, ...] = (x, y, lam, xi, eta, mu, s)
    barrier = 1.0
    while True:
        left = residual(state, barrier)
        norm = float(np.linalg.norm(left))
        for _ in range(100):
            if np.abs(left).max() < 0.9 * barrier:
                break
            x, y, lam, xi, eta, mu, s = state
            ux, xl = problem.upper - x, x - problem.lower
            p, q = p0 + lam @ pc, q0 + lam @ qc
            slope = p / ux**2 - q / xl**2
            bend = 2.0 * p / ux**3 + 2.0 * q / xl**3
            jacobian = pc / ux**2 - qc / xl**2
            rows = (pc / ux + qc / xl).sum(axis=1) + b
            rx = slope - barrier / (x - low) + barrier / (high - x)
            ry = penalty + y - lam - barrier / y
            rl = rows - y + barrier / lam
            dx_, dy_ = bend + xi / (x - low) + eta / (high - x), 1.0 + mu / y
            dl_ = 1.0 / dy_ + s / lam
            if m <= n:
                matrix = (jacobian / dx_) @ jacobian.T + np.diag(dl_)
                dlam = np.linalg.solve(matrix, rl - (jacobian / dx_) @ rx + ry / dy_)
                dx = -(rx + dlam @ jacobian) / dx_
            else:
                matrix = (jacobian.T / dl_) @ jacobian + np.diag(dx_)
                dx = np.linalg.solve(matrix, -rx - jacobian.T @ ((rl + ry / dy_) / dl_))
                dlam = (rl + ry / dy_ + jacobian @ dx) / dl_
            dy = (dlam - ry) / dy_
            step = (
                dx, dy, dlam,
                -xi + (barrier - xi * dx) / (x - low), -eta + (barrier + eta * dx) / (high - x),
                -mu + (barrier - mu * dy) / y, -s + (barrier - s * dlam) / lam,
            )  # fmt: skip
            longest = 1.0
            for value, change in zip(state[1:], step[1:], strict=True):
                longest = max(longest, float((-1.01 * change / value).max()))
            longest = max(
                longest, float((-1.01 * dx / (x - low)).max()), float((1.01 * dx / (high - x)).max())
            )
            alpha = 1.0 / longest
            for _ in range(50):
                trial = tuple(value + alpha * change for value, change in zip(state, step, strict=True))
                left = residual(trial, barrier)
                if float(np.linalg.norm(left)) <= norm * (1.0 + 1e-12):
                    break
                alpha *= 0.5
            state, norm = trial, float(np.linalg.norm(left))
        if barrier <= 1e-7:
            break
        barrier *= 0.1
    return np.clip(state[0], problem.low, problem.high), state[2]
