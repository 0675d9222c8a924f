"""Which constraints cannot be met together, where no design meets them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from designtwin.errors import EvaluationFailed
from designtwin.optimize.problem import Problem
from designtwin.optimize.run import Point, Run
from designtwin.typing import FloatArray

_REGIONS = (1.0, 0.1, 0.01, 1e-3)
"""Shares of every range within which linearized constraints are asked; the widest that tells is told."""


@dataclass(frozen=True, eq=False)
class Conflict:
    """A smallest set of constraints that cannot be met together: without any one of them the others can.

    Parameters
    ----------
    constraints : tuple of str
    indices : tuple of int
        Their places in g.
    bounds : tuple of str
        Bounds of variables that take part, in words.
    missed : mapping of str to float
        By how much the nearest design misses each constraint it does not meet.
    region : float
        Share of every variable's range, about the nearest design, within which this holds to first order.
    """

    constraints: tuple[str, ...]
    indices: tuple[int, ...]
    bounds: tuple[str, ...]
    missed: dict[str, float]
    region: float

    def __str__(self) -> str:
        if len(self.constraints) == 1:
            words = f"{self.constraints[0]} cannot be met"
        else:
            words = f"{', '.join(self.constraints[:-1])} and {self.constraints[-1]} cannot be met together"
        if self.bounds:
            words += f" with {', '.join(self.bounds)}"
        near = f"within {100.0 * self.region:.1f} % of the ranges"
        where = "between the bounds" if self.region >= 1.0 else near
        nearest = ", ".join(f"{name} by {amount:.2g}" for name, amount in self.missed.items())
        return f"{words} (to first order {where} about the nearest design, which misses {nearest})"


def restore(run: Run, method: Callable[[Run], tuple[str, bool]]) -> None:
    """Search from the best design for one that meets all constraints, whatever its objective."""
    assert run.best is not None
    problem = Problem(
        x0=run.best.t,
        low=np.zeros(run.n),
        high=np.ones(run.n),
        functions=lambda t: (0.0, run.at(t).g),
        gradients=lambda t: (np.zeros(run.n), run.slopes(run.at(t))[1]),
    )
    inner = Run(problem, 1e-6, run.feasibility, run.max_iterations, 10**9)
    try:
        method(inner)
    except EvaluationFailed:
        return  # the nearest design known stays the nearest


def conflict(run: Run, point: Point, *, ask: bool = True) -> Conflict | None:
    """The smallest conflicting set at a design no step improves; None if linearized constraints show none.

    Constraints are taken away one by one, the least important first, as long as those left still cannot be
    met by the linearizations (Chinneck's deletion filter).

    Source: Chinneck, Feasibility and Infeasibility in Optimization (2008), sec. 6.1.
    """
    if point.slopes is None and not ask:
        return None  # the budget is used up
    try:
        dg = run.slopes(point)[1]
    except EvaluationFailed:
        return None
    for region in _REGIONS:
        low, high = np.maximum(-point.t, -region), np.minimum(1.0 - point.t, region)
        members = [int(i) for i in range(run.m)]
        least, prices, _ = _least_violation(point.g, dg, low, high, members)
        if least > run.feasibility:
            break
    else:
        return None
    for i in sorted(members, key=lambda i: (prices[i], point.g[i])):
        fewer = [k for k in members if k != i]
        if fewer and _least_violation(point.g, dg, low, high, fewer)[0] > run.feasibility:
            members = fewer
    _, _, pushes = _least_violation(point.g, dg, low, high, members)
    bounds = []
    for j in np.flatnonzero(np.abs(pushes) > 1e-6):
        lower = pushes[j] > 0.0
        if (lower and low[j] > -region) or (not lower and high[j] < region) or region >= 1.0:
            name = run.problem.name(int(run.free[j]))
            bounds.append(f"variable {name} at its {'lower' if lower else 'upper'} bound")
    return Conflict(
        constraints=tuple(run.problem.constraint(i) for i in members),
        indices=tuple(members),
        bounds=tuple(bounds),
        missed={
            run.problem.constraint(i): float(point.g[i]) for i in range(run.m) if point.g[i] > run.feasibility
        },
        region=region,
    )


def _least_violation(
    g: FloatArray, dg: FloatArray, low: FloatArray, high: FloatArray, members: list[int]
) -> tuple[float, FloatArray, FloatArray]:
    """Least sum of what linearized constraints are broken by; price of each; push of each bound."""
    from scipy.optimize import linprog

    k, n = len(members), len(low)
    found = linprog(
        np.concatenate([np.zeros(n), np.ones(k)]),
        A_ub=np.hstack([dg[members], -np.eye(k)]),
        b_ub=-g[members],
        bounds=np.column_stack(
            [np.concatenate([low, np.zeros(k)]), np.concatenate([high, np.full(k, np.inf)])]
        ),
        method="highs",
    )
    assert found.status == 0, found.message
    prices = np.zeros(len(g))
    prices[members] = -found.ineqlin.marginals
    return float(found.fun), prices, (found.lower.marginals + found.upper.marginals)[:n]
