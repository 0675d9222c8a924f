"""Methods that use gradients: MMA, GCMMA, optimality criteria of our own; SLSQP and trust-constr of scipy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from designtwin.errors import EvaluationFailed, OptimizationError
from designtwin.optimize.mma import GCMMA, MMA
from designtwin.optimize.oc import OC
from designtwin.optimize.run import Point, Run
from designtwin.typing import FloatArray

_RETREATS = 30
"""Times a step is halved around designs that fail before the search gives up."""
_SMALLEST = 1e-7
"""A step shorter than this share of every range leads nowhere."""


def mma(run: Run) -> tuple[str, bool]:
    """The method of moving asymptotes; why it stopped, and whether at an optimum."""
    return _steps(run, MMA(run.n, run.m, 0.0, 1.0))


def gcmma(run: Run) -> tuple[str, bool]:
    """Its globally convergent version: more evaluations, and no step that makes things worse."""
    return _steps(run, GCMMA(run.n, run.m, 0.0, 1.0))


def oc(run: Run) -> tuple[str, bool]:
    """Optimality criteria, for one constraint."""
    if run.m != 1:
        raise OptimizationError(
            f"optimality criteria (method='oc') want exactly one constraint, got {run.m}; use method='mma'"
        )
    return _steps(run, OC(run.n, 0.0, 1.0))


def _steps(run: Run, method: MMA | OC) -> tuple[str, bool]:
    point = run.at(run.start)
    for _ in range(run.max_iterations):
        df, dg = run.slopes(point)
        run.note(point)
        if why := run.arrived(point):
            return why, True
        if why := run.settled():
            return why, True
        if isinstance(method, MMA):
            t = method.step(point.t, point.f, df, point.g, dg)
        else:
            t = method.step(point.t, df, float(point.g[0]), dg[0])
        after = _reached(run, method, point, t)
        if after is None:
            return f"no design near the last one could be evaluated: {run.last_failure}", False
        if np.abs(after.t - point.t).max() < _SMALLEST:
            stuck = run.feasible(after)
            return f"steps became smaller than {_SMALLEST:.0e} of every range", stuck
        point = after
    run.slopes(point)
    run.note(point)
    return f"the {run.max_iterations} steps allowed were made", bool(run.arrived(point))


def _reached(run: Run, method: MMA | OC, point: Point, t: FloatArray) -> Point | None:
    """The next point: nearer where one fails, or (GCMMA) where it is not on the safe side."""
    failed = 0
    for _ in range(2 * _RETREATS):
        try:
            after = run.at(t)
            if isinstance(method, GCMMA):
                again = method.refine(t, after.f, after.g)
                if again is not None:
                    t = again
                    continue
            run.slopes(after)
            return after
        except EvaluationFailed:
            failed += 1
            if failed > _RETREATS:
                return None
            t = method.retreat()
    return after


def slsqp(run: Run) -> tuple[str, bool]:
    """Sequential least squares quadratic programming (Kraft 1988), as scipy has it."""

    def inner(stage: _Stage) -> str:
        from scipy.optimize import minimize

        out = minimize(
            stage.f, stage.center.t, jac=stage.df, method="SLSQP",
            bounds=np.column_stack([stage.low, stage.high]), callback=stage.step,
            constraints={"type": "ineq", "fun": lambda t: -stage.g(t), "jac": lambda t: -stage.dg(t)}
            if run.m else (),
            options={"ftol": 0.01 * run.tolerance, "maxiter": run.max_iterations},
        )  # fmt: skip
        return str(out.message).lower()

    return _stages(run, inner)


def trust_constr(run: Run) -> tuple[str, bool]:
    """Trust-region interior point method (Byrd, Hribar & Nocedal 1999), as scipy has it."""

    def inner(stage: _Stage) -> str:
        from scipy.optimize import Bounds, NonlinearConstraint, minimize

        out = minimize(
            stage.f, stage.center.t, jac=stage.df, method="trust-constr",
            bounds=Bounds(stage.low, stage.high, keep_feasible=True),
            callback=lambda t, _state: stage.step(t),
            constraints=NonlinearConstraint(stage.g, -np.inf, 0.0, jac=stage.dg) if run.m else (),
            options={"gtol": 0.1 * run.tolerance, "xtol": 1e-9, "maxiter": 10 * run.max_iterations},
        )  # fmt: skip
        return str(out.message).lower()

    return _stages(run, inner)


class _Arrived(Exception):
    """Ends scipy's loop where our own test is met."""


class _Stage:
    """A part of scipy's search inside a region around the last good design, as functions of t."""

    def __init__(self, run: Run, center: Point, radius: float) -> None:
        self.run, self.center, self.radius = run, center, radius
        self.low, self.high = np.maximum(center.t - radius, 0.0), np.minimum(center.t + radius, 1.0)
        self.failed_at: FloatArray | None = None

    def at(self, t: FloatArray) -> Point:
        try:
            return self.run.at(np.clip(t, self.low, self.high))
        except EvaluationFailed:
            self.failed_at = np.clip(t, self.low, self.high)
            raise

    def f(self, t: FloatArray) -> float:
        return self.at(t).f

    def g(self, t: FloatArray) -> FloatArray:
        return self.at(t).g

    def df(self, t: FloatArray) -> FloatArray:
        return self.slopes(t)[0]

    def dg(self, t: FloatArray) -> FloatArray:
        return self.slopes(t)[1]

    def slopes(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        point = self.at(t)
        try:
            return self.run.slopes(point)
        except EvaluationFailed:
            self.failed_at = point.t
            raise

    def step(self, t: FloatArray) -> None:
        point = self.at(t)
        self.slopes(t)
        if point is self.center:
            return
        self.center = point
        self.run.note(point)
        if why := self.run.arrived(point) or self.run.settled():
            raise _Arrived(why)
        if len(self.run.history) > self.run.max_iterations:
            raise _Arrived("")


def _stages(run: Run, inner: Callable[[_Stage], str]) -> tuple[str, bool]:
    """scipy's search; where a design fails, it begins again nearer to the last good one, in a smaller region."""
    point = run.at(run.start)
    run.slopes(point)
    run.note(point)
    if why := run.arrived(point):
        return why, True
    radius = 1.0
    while True:
        stage = _Stage(run, point, radius)
        try:
            why = inner(stage)
        except _Arrived as arrived:
            if str(arrived):
                return str(arrived), True
            return f"the {run.max_iterations} steps allowed were made", False
        except EvaluationFailed as failure:
            assert stage.failed_at is not None
            point = stage.center
            radius = 0.5 * min(radius, float(np.abs(stage.failed_at - point.t).max()))
            if radius < _SMALLEST:
                return f"no design near the last one could be evaluated: {failure}", False
            continue
        moved, point = float(np.abs(stage.center.t - point.t).max()), stage.center
        if radius < 1.0 and moved >= 0.5 * radius:
            radius = min(1.0, 4.0 * radius)
            continue
        return why, bool(run.arrived(point))


METHODS: dict[str, Callable[[Run], tuple[str, bool]]] = {
    "slsqp": slsqp,
    "trust-constr": trust_constr,
    "mma": mma,
    "gcmma": gcmma,
    "oc": oc,
}
