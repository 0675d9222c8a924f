"""Sequential quadratic programming in a trust region, for few variables and evaluations that may fail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtwin.errors import EvaluationFailed
from designtwin.optimize.quadratic import solve_quadratic
from designtwin.optimize.run import Point, Run
from designtwin.optimize.sums import across, dot, times
from designtwin.typing import FloatArray

_FIRST, _SMALLEST = 0.25, 1e-8
"""First and smallest trust region, in ranges of the variables."""
_PRICE, _CHEAPEST, _DEAREST, _FALL = 10.0, 0.1, 1e7, 0.3
"""First, least and largest price of breaking a constraint by one; how fast it may fall."""


@dataclass(frozen=True, eq=False)
class _Step:
    """A step of the quadratic model, the multipliers there, and how much less the merit is said to be."""

    d: FloatArray
    multipliers: FloatArray
    price: float
    promise: float

    @property
    def length(self) -> float:
        return float(np.abs(self.d).max())


def sqp(run: Run) -> tuple[str, bool]:
    """Search by quadratic models of the Lagrangian; why it stopped, and whether at an optimum.

    Each step solves a convex quadratic problem with linearized constraints, broken at a price where they
    cannot be met, within a trust region. A design that fails, or does not bring what the model promised, is
    tried again in a smaller region from the same gradients; where curved constraints are to blame, a
    second-order correction comes first. Curvature is Powell's damped BFGS.

    Source: Fletcher, Practical Methods of Optimization, 2nd ed. (1987), sec. 14.4; Nocedal & Wright,
    Numerical Optimization, 2nd ed. (2006), sec. 18.5 and procedure 18.2.
    """
    point = run.at(run.start)
    df, dg = run.slopes(point)
    run.note(point)
    curvature, learned = _first_curvature(df), False
    region, price = _FIRST, _PRICE
    smallest = max(_SMALLEST, run.problem.resolution)
    for _ in range(run.max_iterations):
        if why := run.arrived(point) or run.settled():
            return why, True
        step = _model(point, df, dg, curvature, region, price)
        price, failure, failed, trusted = step.price, "", False, region
        while step.length > smallest and step.promise > 1e-15 * (1.0 + abs(point.f)):
            after, gain, failure = _reached(run, point, dg, curvature, region, step)
            if after is not None:
                break
            failed = failed or bool(failure)
            region = (0.5 if failure else 0.3) * min(region, step.length)
            step = _model(point, df, dg, curvature, region, price)
        else:
            if failure:
                return f"no design near the last one could be evaluated: {failure}", False
            if not learned or run.problem.resolution > 0.0:
                return _nowhere(run, point), bool(run.problem.resolution and run.feasible(point))
            curvature, learned = _first_curvature(df), False
            region = _FIRST
            continue
        if failed:  # a design that failed says nothing against the model
            region = min(trusted, 4.0 * step.length)
        elif gain > 0.75 and step.length > 0.7 * region:
            region = min(1.0, 2.0 * region)
        elif gain < 0.25:
            region = 0.5 * step.length
        df_after, dg_after = run.slopes(after)
        change = df_after - df + across(step.multipliers, dg_after - dg)
        curvature = _updated(curvature, after.t - point.t, change, learned)
        learned, point, df, dg = True, after, df_after, dg_after
        # A price far above the multipliers forbids to leave a curved constraint's tangent at all.
        price = max(_CHEAPEST, 2.0 * float(step.multipliers.max(initial=0.0)), _FALL * price)
        run.note(point)
    return f"the {run.max_iterations} steps allowed were made", bool(run.arrived(point))


def _reached(
    run: Run, point: Point, dg: FloatArray, curvature: FloatArray, region: float, step: _Step
) -> tuple[Point | None, float, str]:
    """The point of a step, and its share of what was promised; None where it fails or brings nothing."""
    try:
        after = run.at(point.t + step.d)
        gain = (_merit(point, step.price) - _merit(after, step.price)) / step.promise
        if gain < 0.5 and (after.g > np.maximum(point.g, run.feasibility)).any():
            bent = after.g - times(dg, step.d)
            again = _model(point, run.slopes(point)[0], dg, curvature, region, step.price, g=bent)
            if again.length > _SMALLEST and np.abs(again.d - step.d).max() < step.length:
                other = run.at(point.t + again.d)
                better = (_merit(point, step.price) - _merit(other, step.price)) / step.promise
                if better > gain:
                    after, gain = other, better
        if gain < 0.05:
            return None, gain, ""
        run.slopes(after)
    except EvaluationFailed as failure:
        return None, 0.0, str(failure)
    return after, gain, ""


def _merit(point: Point, price: float) -> float:
    return point.f + price * float(np.maximum(point.g, 0.0).sum())


def _model(
    point: Point,
    df: FloatArray,
    dg: FloatArray,
    curvature: FloatArray,
    region: float,
    price: float,
    g: FloatArray | None = None,
) -> _Step:
    """The step of the quadratic model, with a price that meets the linearized constraints if any can."""
    low, high = np.maximum(-point.t / region, -1.0), np.minimum((1.0 - point.t) / region, 1.0)
    bend, slope, jacobian = region**2 * curvature, region * df, region * dg  # over steps of the region
    target = point.g if g is None else g
    now = float(np.maximum(target, 0.0).sum())
    while True:
        d, multipliers = solve_quadratic(bend, slope, jacobian, target, low, high, price)
        d = region * d
        then = float(np.maximum(target + times(dg, d), 0.0).sum())
        promise = -dot(df, d) - 0.5 * dot(d, times(curvature, d)) + price * (now - then)
        if then < 1e-9 or price >= _DEAREST or g is not None:
            break
        # Pay more only where that buys something: the constraints may be out of reach from here.
        nearest, _ = solve_quadratic(1e-6 * np.eye(len(d)), 0.0 * df, jacobian, target, low, high, 1.0)
        least = float(np.maximum(target + times(jacobian, nearest), 0.0).sum())
        if now - then >= 0.5 * (now - least) - 1e-9:
            break
        price *= 10.0
    return _Step(d, multipliers, price, promise)


def _first_curvature(df: FloatArray) -> FloatArray:
    return np.eye(len(df)) * max(float(np.abs(df).max()), 1e-3)


def _updated(curvature: FloatArray, s: FloatArray, y: FloatArray, learned: bool) -> FloatArray:
    """Powell's damped BFGS: stays positive whatever the change of slopes y over a step s."""
    sy, ss = dot(s, y), dot(s, s)
    if not learned and sy > 1e-8 * ss:
        curvature = np.eye(len(s)) * np.clip(dot(y, y) / sy, 1e-3, 1e6)
    product = times(curvature, s)
    bend = dot(s, product)
    if bend <= 0.0:
        return curvature
    share = 1.0 if sy >= 0.2 * bend else 0.8 * bend / (bend - sy)
    damped = share * y + (1.0 - share) * product
    new = curvature - np.outer(product, product) / bend + np.outer(damped, damped) / dot(s, damped)
    return 0.5 * (new + new.T)


def _nowhere(run: Run, point: Point) -> str:
    if not run.feasible(point):
        return "no step meets the constraints any better, even to first order"
    if run.problem.resolution:
        least = f"{100.0 * run.problem.resolution:.1f} %"
        return f"no step longer than {least} of the ranges brings the objective down"
    return f"no step brings f further down (first-order optimality {point.kkt:.1e})"
