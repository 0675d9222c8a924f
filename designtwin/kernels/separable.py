"""Convex separable problems of the method of moving asymptotes: sums and steps over many variables.

Row i is sum_j p_ij / (upper_j - x_j) + q_ij / (x_j - lower_j) + r_i; row 0 is the objective. Variables come
in blocks of `BLOCK`; each kernel takes a range of blocks and writes the sums of each to its own row of
`sums`, which are then added up in order, so that digits do not depend on threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from designtwin.typing import FloatArray

BLOCK = 4096


@njit(cache=True, nogil=True)
def approximate(
    start: int,
    stop: int,
    block: int,
    x: FloatArray,
    slopes: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    rho: FloatArray,
    p: FloatArray,
    q: FloatArray,
    sums: FloatArray,
) -> None:
    """Coefficients of functions with these slopes at x.

    Parameters
    ----------
    start, stop : int
        Blocks.
    block : int
        Variables in a block.
    x, lower, upper : float64[n]
        Where; asymptotes.
    slopes : float64[k, n]
    rho : float64[k]
        Least curvature of each row.
    p, q : float64[k, n]
        Overwritten.
    sums : float64[n_blocks, k]
        Overwritten with what the sums are worth at x.

    Source: Svanberg, MMA and GCMMA - two methods for nonlinear optimization (2007), eqs. 3.2-3.6.
    """
    n = x.shape[0]
    for b in range(start, stop):
        for i in range(slopes.shape[0]):
            total = 0.0
            for j in range(b * block, min(n, (b + 1) * block)):
                right, left = upper[j] - x[j], x[j] - lower[j]
                rise = max(slopes[i, j], 0.0)
                fall = rise - slopes[i, j]
                least = 1e-3 * (rise + fall) + rho[i]
                p[i, j] = right * right * (rise + least)
                q[i, j] = left * left * (fall + least)
                total += right * (rise + least) + left * (fall + least)
            sums[b, i] = total


@njit(cache=True, nogil=True)
def rows(
    start: int,
    stop: int,
    block: int,
    x: FloatArray,
    p: FloatArray,
    q: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    sums: FloatArray,
) -> None:
    """Sums of all rows at x, without r: `sums` float64[n_blocks, k] is overwritten."""
    n = x.shape[0]
    for b in range(start, stop):
        for i in range(p.shape[0]):
            total = 0.0
            for j in range(b * block, min(n, (b + 1) * block)):
                total += p[i, j] / (upper[j] - x[j]) + q[i, j] / (x[j] - lower[j])
            sums[b, i] = total


@njit(cache=True, nogil=True)
def nearest(
    start: int,
    stop: int,
    block: int,
    multipliers: FloatArray,
    p: FloatArray,
    q: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    low: FloatArray,
    high: FloatArray,
    x: FloatArray,
    sums: FloatArray,
) -> None:
    """Where row 0 + multipliers . rows is least, in closed form; rows there and how they change.

    Parameters
    ----------
    multipliers : float64[m]
        Not negative.
    low, high : float64[n]
        Bounds.
    x : float64[n]
        Overwritten.
    sums : float64[n_blocks, 1 + 2 m + m m]
        Overwritten: rows 0 to m, without r; what each would fall by over its own multiplier if no bound held
        a variable [m]; what rows do fall by over multipliers, the lower triangle of [m, m].
    """
    n, m = x.shape[0], multipliers.shape[0]
    slopes = np.empty(m)
    for b in range(start, stop):
        for k in range(sums.shape[1]):
            sums[b, k] = 0.0
        for j in range(b * block, min(n, (b + 1) * block)):
            pj, qj = p[0, j], q[0, j]
            for i in range(m):
                pj += multipliers[i] * p[i + 1, j]
                qj += multipliers[i] * q[i + 1, j]
            a, c = math.sqrt(pj), math.sqrt(qj)
            at = (a * lower[j] + c * upper[j]) / (a + c)
            free = low[j] < at < high[j]
            at = min(max(at, low[j]), high[j])
            x[j] = at
            right, left = 1.0 / (upper[j] - at), 1.0 / (at - lower[j])
            sums[b, 0] += p[0, j] * right + q[0, j] * left
            bend = 2.0 * (pj * right**3 + qj * left**3)
            for i in range(m):
                sums[b, 1 + i] += p[i + 1, j] * right + q[i + 1, j] * left
                slopes[i] = p[i + 1, j] * right * right - q[i + 1, j] * left * left
                sums[b, 1 + m + i] += slopes[i] * slopes[i] / bend
                if free:
                    for k in range(i + 1):
                        sums[b, 1 + 2 * m + i * m + k] += slopes[i] * slopes[k] / bend


@njit(cache=True, nogil=True)
def assemble(
    start: int,
    stop: int,
    block: int,
    step: float,
    barrier: float,
    multipliers: FloatArray,
    p: FloatArray,
    q: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    low: FloatArray,
    high: FloatArray,
    state: FloatArray,
    change: FloatArray,
    out: FloatArray,
    right: FloatArray,
    diagonal: FloatArray,
    jacobian: FloatArray,
    dense: bool,
    sums: FloatArray,
) -> None:
    """Newton's equations of the interior point method after a step, reduced to the constraints.

    Parameters
    ----------
    step : float
        Share of `change` that is taken.
    barrier : float
    multipliers : float64[m]
        After the step.
    state, change : float64[3, n]
        x and the multipliers of its lower and upper bounds; their changes.
    out : float64[3, n]
        Overwritten with the state after the step.
    right, diagonal : float64[n]
        Overwritten: the variables' residual and the diagonal of their equations.
    jacobian : float64[m, n]
        Overwritten with slopes of the constraints.
    dense : bool
        Whether the matrix of the constraints is wanted.
    sums : float64[n_blocks, 2 m + 2 + m m]
        Overwritten: constraints [m], jacobian right / diagonal [m], sum of squares and largest of the
        residual, then the matrix jacobian diagonal^-1 jacobian' [m, m], its lower triangle, where `dense`.

    Source: Svanberg, MMA and GCMMA - two methods for nonlinear optimization (2007), sec. 5.
    """
    n, m = state.shape[1], multipliers.shape[0]
    for b in range(start, stop):
        for k in range(sums.shape[1]):
            sums[b, k] = 0.0
        squares, largest = 0.0, 0.0
        for j in range(b * block, min(n, (b + 1) * block)):
            x = state[0, j] + step * change[0, j]
            from_low = state[1, j] + step * change[1, j]
            from_high = state[2, j] + step * change[2, j]
            out[0, j], out[1, j], out[2, j] = x, from_low, from_high
            to_right, to_left = 1.0 / (upper[j] - x), 1.0 / (x - lower[j])
            pj, qj = p[0, j], q[0, j]
            for i in range(m):
                pj += multipliers[i] * p[i + 1, j]
                qj += multipliers[i] * q[i + 1, j]
                a, c = p[i + 1, j] * to_right, q[i + 1, j] * to_left
                sums[b, i] += a + c
                jacobian[i, j] = a * to_right - c * to_left
            slope = pj * to_right * to_right - qj * to_left * to_left
            above, below = x - low[j], high[j] - x
            residual = slope - from_low + from_high
            first, second = from_low * above - barrier, from_high * below - barrier
            squares += residual * residual + first * first + second * second
            largest = max(largest, abs(residual), abs(first), abs(second))
            rx = slope - barrier / above + barrier / below
            bend = 2.0 * (pj * to_right**3 + qj * to_left**3) + from_low / above + from_high / below
            right[j], diagonal[j] = rx, bend
            for i in range(m):
                share = jacobian[i, j] / bend
                sums[b, m + i] += share * rx
                if dense:
                    for k in range(i + 1):
                        sums[b, 2 * m + 2 + i * m + k] += share * jacobian[k, j]
        sums[b, 2 * m], sums[b, 2 * m + 1] = squares, largest


@njit(cache=True, nogil=True)
def change_of(
    start: int,
    stop: int,
    block: int,
    barrier: float,
    multipliers: FloatArray,
    low: FloatArray,
    high: FloatArray,
    state: FloatArray,
    right: FloatArray,
    diagonal: FloatArray,
    jacobian: FloatArray,
    change: FloatArray,
    sums: FloatArray,
) -> None:
    """Newton's step of the variables, from that of the constraints' multipliers.

    Parameters
    ----------
    multipliers : float64[m]
        Their change.
    change : float64[3, n]
        Overwritten.
    sums : float64[n_blocks, 1]
        Overwritten with the largest share of what a positive number has that the whole step would take.
    """
    n, m = state.shape[1], multipliers.shape[0]
    for b in range(start, stop):
        taken = 0.0
        for j in range(b * block, min(n, (b + 1) * block)):
            total = right[j]
            for i in range(m):
                total += jacobian[i, j] * multipliers[i]
            dx = -total / diagonal[j]
            above, below = state[0, j] - low[j], high[j] - state[0, j]
            from_low, from_high = state[1, j], state[2, j]
            d_low = -from_low + (barrier - from_low * dx) / above
            d_high = -from_high + (barrier + from_high * dx) / below
            change[0, j], change[1, j], change[2, j] = dx, d_low, d_high
            taken = max(taken, -dx / above, dx / below, -d_low / from_low, -d_high / from_high)
        sums[b, 0] = taken


@njit(cache=True, nogil=True)
def solve_positive(a: FloatArray, b: FloatArray) -> bool:
    """Solve a x = b by Cholesky's factors; False where `a` is not positive.

    Parameters
    ----------
    a : float64[k, k]
        Symmetric, its lower triangle is read; overwritten by the factor.
    b : float64[k]
        Overwritten by x.
    """
    k = a.shape[0]
    for j in range(k):
        pivot = a[j, j]
        for i in range(j):
            pivot -= a[j, i] * a[j, i]
        if not pivot > 0.0:
            return False
        root = math.sqrt(pivot)
        a[j, j] = root
        for r in range(j + 1, k):
            total = a[r, j]
            for i in range(j):
                total -= a[r, i] * a[j, i]
            a[r, j] = total / root
    for j in range(k):
        for i in range(j):
            b[j] -= a[j, i] * b[i]
        b[j] /= a[j, j]
    for j in range(k - 1, -1, -1):
        for i in range(j + 1, k):
            b[j] -= a[i, j] * b[i]
        b[j] /= a[j, j]
    return True


@njit(cache=True, nogil=True)
def gram(jacobian: FloatArray, weight: FloatArray, diagonal: FloatArray, out: FloatArray) -> None:
    """Lower triangle of diag(diagonal) + jacobian' diag(1 / weight) jacobian, for few variables.

    Parameters
    ----------
    jacobian : float64[m, n]
    weight : float64[m]
    diagonal : float64[n]
    out : float64[n, n]
        Overwritten.
    """
    m, n = jacobian.shape
    for r in range(n):
        for c in range(r + 1):
            total = 0.0
            for i in range(m):
                total += jacobian[i, r] * jacobian[i, c] / weight[i]
            out[r, c] = total
        out[r, r] += diagonal[r]


def blocks_of(n: int) -> int:
    """Number of blocks of n variables."""
    return -(-n // BLOCK)


def added(sums: FloatArray) -> FloatArray:
    """Sums of blocks, added up in order."""
    return np.add.accumulate(sums, axis=0)[-1]
