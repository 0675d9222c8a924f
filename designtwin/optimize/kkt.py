"""First-order optimality (Karush-Kuhn-Tucker) of a point of the unit box."""

from __future__ import annotations

import numpy as np

from designtwin.optimize.sums import Factor, across, gram, times
from designtwin.typing import FloatArray

_AT_BOUND = 1e-6


def optimality(
    t: FloatArray, f: float, df: FloatArray, g: FloatArray, dg: FloatArray, *, feasibility: float = 1e-6
) -> tuple[float, FloatArray]:
    """How far a point is from a stationary one, and the multipliers that tell it.

    Multipliers are those of least squares, not negative, over constraints that are near to bind; they are
    found from the gradients alone, so that every method is judged alike. The residual is the largest of

    - max_j |t_j - clip(t_j - (df + lambda dg)_j, 0, 1)|, scaled by 1 + |df|, and
    - sum_i lambda_i |g_i| over the same scale, and max_i g_i where that is not met.

    Parameters
    ----------
    t : float64[n]
        In the unit box.
    f : float
    df : float64[n]
    g : float64[m]
        Met where <= 0.
    dg : float64[m, n]
    feasibility : float
        What g may exceed 0 by.

    Returns
    -------
    residual : float
    multipliers : float64[m]

    Source: Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), secs. 12.3 and 18.3.
    """
    multipliers = np.zeros(len(g))
    scale = 1.0 + float(np.abs(df).max(initial=0.0))
    # A constraint counts while the slack it still has is what a step of the box could use up.
    reach = np.abs(dg).sum(axis=1) if len(g) else np.zeros(0)
    near = np.flatnonzero(g >= -np.minimum(0.1, 0.1 * reach) - feasibility)
    if len(near):
        multipliers[near] = _least_squares(t, df, dg[near], np.minimum(g[near], 0.0))
    slope = df + across(multipliers[near], dg[near])
    projected = t - np.clip(t - slope / scale, 0.0, 1.0)
    stationary = float(np.abs(projected).max(initial=0.0))
    gap = float(np.sum(multipliers * np.abs(np.minimum(g, 0.0)))) / scale
    violated = float(g.max(initial=0.0))
    return max(stationary, gap, violated if violated > feasibility else 0.0), multipliers


def _least_squares(t: FloatArray, df: FloatArray, dg: FloatArray, slack: FloatArray) -> FloatArray:
    """Multipliers >= 0 for which df + lambda dg is least over variables that no bound holds.

    What multipliers are worth in slack that is left is a row of its own, so that only what binds gets one.
    """
    free = (t > _AT_BOUND) & (t < 1.0 - _AT_BOUND)
    best = np.zeros(len(dg))
    for _ in range(20):
        a = np.column_stack([dg[:, free], slack])
        best = _nonnegative(gram(a.T, np.ones(a.shape[1])), times(a, np.append(-df[free], 0.0)))
        slope = df + across(best, dg)
        # A bound holds a variable only where the slope points out of the box there.
        now = (t > _AT_BOUND) & (t < 1.0 - _AT_BOUND)
        now |= (t <= _AT_BOUND) & (slope < 0.0)
        now |= (t >= 1.0 - _AT_BOUND) & (slope > 0.0)
        if np.array_equal(now, free):
            break
        free = now | free
    return best


def _nonnegative(normal: FloatArray, right: FloatArray) -> FloatArray:
    """Least squares with unknowns >= 0, from normal equations; one that others can replace stays at zero.

    Source: Lawson & Hanson, Solving Least Squares Problems (1974), ch. 23, algorithm NNLS.
    """
    n = len(right)
    x, held = np.zeros(n), np.zeros(n, bool)
    size = float(np.abs(right).max(initial=0.0))
    tired: list[int] = []
    for _ in range(10 * n + 10):
        pull = np.where(held, -np.inf, right - times(normal, x))
        pull[tired] = -np.inf
        j = int(np.argmax(pull))
        if not pull[j] > 1e-12 * size:
            break
        held[j] = True
        while True:
            pick = np.flatnonzero(held)
            block = normal[np.ix_(pick, pick)]
            try:
                new = Factor(block + 1e-14 * np.diag(np.diag(block))).solve(right[pick])
            except ArithmeticError:
                new = np.full(len(pick), -1.0)
            if held[j] and not new[np.searchsorted(pick, j)] > 0.0:
                held[j] = False  # its column is, to rounding, one of the others'
                tired.append(j)
                break
            if (new > 0.0).all():
                x[:] = 0.0
                x[pick] = new
                tired = []
                break
            falls = new <= 0.0
            share = float((x[pick][falls] / (x[pick][falls] - new[falls])).min())
            x[pick] += share * (new - x[pick])
            held[pick[falls & (x[pick] <= 1e-15 * x.max())]] = False
            x[~held] = 0.0
    return x
