"""Methods that use gradients: MMA, GCMMA, optimality criteria of our own; SLSQP and trust-constr of scipy."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from designtwin.errors import EvaluationFailed, OptimizationError
from designtwin.optimize.mma import GCMMA, MMA
from designtwin.optimize.oc import OC
from designtwin.optimize.run import Point, Run
from designtwin.optimize.sqp import sqp
from designtwin.typing import FloatArray

FEW = 200
"""Variables up to which the dense matrices of quadratic programming cost nothing beside an analysis."""
_RETREATS = 30
"""Times a step is halved around designs that fail before the search gives up."""
_CYCLE = 20
"""Steps in a row that found nothing new: a method whose steps swing would go on so forever."""
_SMALLEST = 1e-7
"""A step shorter than this share of every range leads nowhere."""


def mma(run: Run) -> tuple[str, bool]:
    """The method of moving asymptotes; why it stopped, and whether at an optimum."""
    run.at(run.start)
    return _steps(run, MMA(run.n, run.m, 0.0, 1.0))


def gcmma(run: Run) -> tuple[str, bool]:
    """Its globally convergent version: more evaluations, and no step that makes things worse."""
    run.at(run.start)
    return _steps(run, GCMMA(run.n, run.m, 0.0, 1.0))


def oc(run: Run) -> tuple[str, bool]:
    """Optimality criteria, for one constraint."""
    run.at(run.start)
    if run.m != 1:
        raise OptimizationError(
            f"optimality criteria (method='oc') want exactly one constraint, got {run.m}; use method='mma'"
        )
    return _steps(run, OC(run.n, 0.0, 1.0))


def _steps(run: Run, method: MMA | OC) -> tuple[str, bool]:
    point = run.at(run.start)
    # The price of a broken constraint must not be small beside what f is worth.
    scale = 1.0 / max(1.0, float(np.abs(run.slopes(point)[0]).max(initial=0.0)))
    again = 0
    for _ in range(run.max_iterations):
        df, dg = run.slopes(point)
        f, df = scale * point.f, scale * df
        run.note(point)
        if why := run.arrived(point):
            return why, True
        if why := run.settled():
            return why, True
        if isinstance(method, MMA):
            t = method.step(point.t, f, df, point.g, dg)
        else:
            t = method.step(point.t, df, float(point.g[0]), dg[0])
        before, known = run.failures, run.evaluations
        after = _reached(run, method, point, t, scale)
        again = again + 1 if run.evaluations == known else 0
        if again > _CYCLE:
            return (
                "steps swing between designs seen before, short of an optimum (first-order optimality "
                f"{point.kkt:.1e}); method='gcmma' never swings, 'sqp' learns how variables work together",
                False,
            )
        if after is None:
            return f"no design near the last one could be evaluated: {run.last_failure}", False
        if np.abs(after.t - point.t).max() < _SMALLEST:
            if why := run.arrived(after):
                return why, True
            why = f"steps became smaller than {_SMALLEST:.0e} of every range"
            if run.failures > before:
                return f"{why}, as designs beside the last one failed: {run.last_failure}", False
            return f"{why}, short of an optimum (first-order optimality {after.kkt:.1e})", False
        point = after
    run.slopes(point)
    run.note(point)
    return f"the {run.max_iterations} steps allowed were made", bool(run.arrived(point))


def _reached(run: Run, method: MMA | OC, point: Point, t: FloatArray, scale: float) -> Point | None:
    """The next point: nearer where one fails, or (GCMMA) where it is not on the safe side."""
    failed, refined = 0, 0
    while failed <= _RETREATS:
        try:
            after = run.at(t)
            if isinstance(method, GCMMA) and refined < _RETREATS:
                again = method.refine(t, scale * after.f, after.g)
                if again is not None:
                    t, refined = again, refined + 1
                    continue
            run.slopes(after)
            return after
        except EvaluationFailed:
            failed += 1
            t = method.retreat()
    return None


def slsqp(run: Run) -> tuple[str, bool]:
    """Sequential least squares quadratic programming (Kraft 1988), as scipy has it."""

    def inner(stage: _Stage) -> str:
        from scipy.optimize import minimize

        out = minimize(
            stage.f, stage.center.t, jac=stage.df, method="SLSQP",
            bounds=np.column_stack([stage.low, stage.high]), callback=stage.step,
            constraints={"type": "ineq", "fun": lambda t: -stage.g(t), "jac": lambda t: -stage.dg(t)}
            if run.m else (),
            options={"ftol": 1e-3 * run.tolerance, "maxiter": run.max_iterations},
        )  # fmt: skip
        return f"SLSQP: {str(out.message).lower()}"

    return _stages(run, inner, backs_off=True)


def trust_constr(run: Run) -> tuple[str, bool]:
    """Trust-region interior point method (Byrd, Hribar & Nocedal 1999), as scipy has it."""

    def inner(stage: _Stage) -> str:
        from scipy.optimize import BFGS, Bounds, NonlinearConstraint, minimize

        with warnings.catch_warnings():
            # A gradient that did not change is no news: the update is skipped.
            warnings.filterwarnings("ignore", message="delta_grad == 0.0", category=UserWarning)
            out = minimize(
                stage.f, stage.center.t, jac=stage.df, hess=BFGS(), method="trust-constr",
                bounds=Bounds(stage.low, stage.high, keep_feasible=True),
                callback=lambda t, _state: stage.step(t),
                constraints=NonlinearConstraint(stage.g, -np.inf, 0.0, jac=stage.dg) if run.m else (),
                options={
                    "gtol": 0.1 * run.tolerance, "xtol": 1e-9, "maxiter": 10 * run.max_iterations,
                    "initial_barrier_parameter": 0.1 * run.tolerance,
                    "initial_barrier_tolerance": 0.1 * run.tolerance,
                },
            )  # fmt: skip
        return f"trust-constr: {str(out.message).lower()}"

    return _stages(run, inner)


class _Ended(Exception):
    """Ends scipy's loop from inside: our own test of an optimum is met, or the steps are used up."""

    def __init__(self, why: str, converged: bool) -> None:
        self.converged = converged
        super().__init__(why)


class _Stage:
    """A part of scipy's search inside a region around the last good design, as functions of t.

    Where `backs_off`, a failed design is infinitely bad to the line search, which then shortens the step and
    keeps its curvature; elsewhere, and for gradients, the failure ends the stage.
    """

    def __init__(self, run: Run, center: Point, radius: float, backs_off: bool) -> None:
        self.run, self.center, self.backs_off = run, center, backs_off
        self.low, self.high = np.maximum(center.t - radius, 0.0), np.minimum(center.t + radius, 1.0)
        self.failed_at = center.t

    def at(self, t: FloatArray) -> Point:
        t = np.clip(t, self.low, self.high)
        try:
            return self.run.at(t)
        except EvaluationFailed:
            self.failed_at = t.copy()
            raise

    def f(self, t: FloatArray) -> float:
        try:
            return self.at(t).f
        except EvaluationFailed:
            if not self.backs_off:
                raise
            return float("inf")

    def g(self, t: FloatArray) -> FloatArray:
        try:
            return self.at(t).g
        except EvaluationFailed:
            if not self.backs_off:
                raise
            return self.center.g

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
        # Far from an optimum the steps of an interior point method may be as short as at one.
        if why := self.run.arrived(point) or (self.backs_off and self.run.settled()):
            raise _Ended(why, True)
        if len(self.run.history) > self.run.max_iterations:
            raise _Ended(f"the {self.run.max_iterations} steps allowed were made", False)


def _stages(run: Run, inner: Callable[[_Stage], str], *, backs_off: bool = False) -> tuple[str, bool]:
    """scipy's search, begun again where a design fails: from the last good one, in a smaller region."""
    point = run.at(run.start)
    run.slopes(point)
    run.note(point)
    if why := run.arrived(point):
        return why, True
    radius, again = 1.0, 0
    while True:
        stage = _Stage(run, point, radius, backs_off)
        try:
            why = inner(stage)
        except _Ended as ended:
            return str(ended), ended.converged
        except EvaluationFailed:
            why = ""
        moved, point = float(np.abs(stage.center.t - point.t).max()), stage.center
        again = again + 1 if moved < _SMALLEST else 0
        if not why:
            radius = 0.5 * min(radius, float(np.abs(stage.failed_at - point.t).max()))
        elif moved < _SMALLEST and radius == 1.0:
            return f"{why} (first-order optimality {point.kkt:.1e})", bool(run.arrived(point))
        else:  # Where it ends short of an optimum, old curvature or a small region may be to blame.
            radius = min(1.0, 4.0 * radius)
        # A region that grows onto a design that fails and shrinks from it may do so forever.
        if radius < _SMALLEST or again > _RETREATS:
            return f"no design near the last one could be evaluated: {run.last_failure}", False


METHODS: dict[str, Callable[[Run], tuple[str, bool]]] = {
    "sqp": sqp,
    "slsqp": slsqp,
    "trust-constr": trust_constr,
    "mma": mma,
    "gcmma": gcmma,
    "oc": oc,
}
