"""One run of a method: evaluates, counts, remembers, and knows the best."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from designtwin.errors import EvaluationFailed, OptimizationError
from designtwin.optimize.kkt import optimality
from designtwin.optimize.problem import Iterate, Problem, Stop
from designtwin.typing import FloatArray

_REMEMBERED = 4_000_000
"""Numbers of past designs kept in memory; asking again for one of them costs nothing."""

_SAME = 1e-9
"""Share of a range by which a value may miss an allowed one and be taken for it."""


@dataclass(eq=False)
class Point:
    """A design in the unit box, evaluated."""

    t: FloatArray
    x: FloatArray
    f: float
    g: FloatArray
    slopes: tuple[FloatArray, FloatArray] | None = None
    multipliers: FloatArray | None = None
    kkt: float = float("nan")


@dataclass(eq=False)
class Run:
    """A problem as methods see it: t in the unit box, fixed variables left out.

    Parameters
    ----------
    problem : Problem
    tolerance : float
        First-order optimality, and relative change of f, at which a method may stop.
    feasibility : float
        A constraint up to here counts as met.
    max_iterations, max_evaluations : int
    callback : callable (Iterate) -> None, optional
    """

    problem: Problem
    tolerance: float
    feasibility: float
    max_iterations: int
    max_evaluations: int
    callback: Callable[[Iterate], None] | None = None
    evaluations: int = 0
    gradients: int = 0
    failures: int = 0
    best: Point | None = None
    last: Point | None = None
    history: list[Iterate] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    last_failure: str = ""

    def __post_init__(self) -> None:
        problem = self.problem
        self.free = np.flatnonzero(problem.high > problem.low)
        self.low, self.range = problem.low[self.free], (problem.high - problem.low)[self.free]
        self.x0 = problem.x0.copy()
        for j, allowed in enumerate(problem.allowed or ()):
            if allowed is not None:
                self.x0[j] = allowed[np.argmin(np.abs(allowed - self.x0[j]))]
        self.start = (self.x0[self.free] - self.low) / self.range
        self.m = -1
        self._failures_told, self._unspoiled = 0, 0
        self._known: OrderedDict[bytes, Point | EvaluationFailed] = OrderedDict()
        self._room = max(8, _REMEMBERED // max(1, problem.n))

    @property
    def n(self) -> int:
        """Number of variables that vary."""
        return len(self.free)

    def begin_at(self, point: Point) -> None:
        """Let methods start there."""
        self.start, self.x0 = point.t.copy(), point.x.copy()

    def x_of(self, t: FloatArray) -> FloatArray:
        """The design of a point of the unit box; the start is returned to the last bit."""
        if np.array_equal(t, self.start):
            return self.x0.copy()
        x = self.x0.copy()
        values = self.low + t * self.range
        x[self.free] = np.clip(values, self.low, self.problem.high[self.free])
        for j, allowed in enumerate(self.problem.allowed or ()):
            if allowed is not None:
                near = allowed[np.argmin(np.abs(allowed - x[j]))]
                if abs(near - x[j]) <= _SAME * (self.problem.high[j] - self.problem.low[j]):
                    x[j] = near
        return x

    def permitted(self, x: FloatArray) -> bool:
        """True where every variable has an allowed value."""
        return all(
            a is None or bool((a == v).any()) for a, v in zip(self.problem.allowed or (), x, strict=False)
        )

    def at(self, t: FloatArray) -> Point:
        """Evaluate f and g; from memory where they are known.

        Raises
        ------
        EvaluationFailed
            If the design cannot be evaluated, or not to finite numbers.
        Stop
            If the evaluations are used up.
        """
        t = np.clip(t, 0.0, 1.0)
        key = t.tobytes()
        known = self._known.get(key)
        if known is None:
            if self.evaluations >= self.max_evaluations:
                raise Stop(f"the {self.max_evaluations} evaluations allowed were used")
            self.evaluations += 1
            known = self._evaluated(t)
            self.keep(key, known)
        if isinstance(known, EvaluationFailed):
            raise known
        return known

    def at_all(self, points: FloatArray) -> list[Point | EvaluationFailed]:
        """Evaluate many points of the unit box, at once where the problem can; failures are returned.

        Raises
        ------
        Stop
            If the evaluations are used up; those that were allowed are made before.
        """
        points = np.clip(points, 0.0, 1.0)
        missing = [t for t in points if t.tobytes() not in self._known]
        missing = list({t.tobytes(): t for t in missing}.values())
        room = max(0, self.max_evaluations - self.evaluations)
        if self.problem.many is not None and len(missing) > 1:
            now = missing[:room]
            xs = [self.x_of(t) for t in now]
            self.evaluations += len(now)
            outcomes: list[Any] = list(self.problem.many(np.array(xs))) if now else []
            for t, x, outcome in zip(now, xs, outcomes, strict=True):
                if not isinstance(outcome, EvaluationFailed):
                    outcome = self.point(t, x, *outcome)
                self.keep(t.tobytes(), outcome)
        out: list[Point | EvaluationFailed] = []
        for t in points:
            try:
                out.append(self.at(t))
            except EvaluationFailed as failure:
                out.append(failure)
        return out

    def keep(self, key: bytes, outcome: Point | EvaluationFailed) -> None:
        """Remember an evaluation, and the best one."""
        self._known[key] = outcome
        while len(self._known) > self._room:
            self._known.popitem(last=False)
        if isinstance(outcome, EvaluationFailed):
            self.failures += 1
            self.last_failure = str(outcome)
        elif self.permitted(outcome.x) and (self.best is None or self.rank(outcome) < self.rank(self.best)):
            self.best = outcome

    def _evaluated(self, t: FloatArray) -> Point | EvaluationFailed:
        x = self.x_of(t)
        try:
            f, g = self.problem.functions(x)
        except EvaluationFailed as failure:
            return failure
        return self.point(t, x, f, g)

    def point(self, t: FloatArray, x: FloatArray, f: float, g: FloatArray) -> Point | EvaluationFailed:
        """A point of values just computed; one that is not finite is a failure."""
        g = np.array(g, dtype=np.float64).ravel()
        if self.m < 0:
            self.m = len(g)
            if self.problem.constraints and len(self.problem.constraints) != self.m:
                raise OptimizationError(f"{self.m} constraints have {len(self.problem.constraints)} names")
        if len(g) != self.m:
            raise OptimizationError(f"functions returned {len(g)} constraints, before {self.m}")
        if not (np.isfinite(f) and np.isfinite(g).all()):
            bad = "f" if not np.isfinite(f) else self.problem.constraint(int(np.argmax(~np.isfinite(g))))
            return EvaluationFailed(f"{bad} is not a finite number")
        return Point(t.copy(), x, float(f), g)

    def slopes(self, point: Point) -> tuple[FloatArray, FloatArray]:
        """Gradients over the unit box; optimality and multipliers of the point follow.

        Raises
        ------
        EvaluationFailed
            If they cannot be computed, or are not finite.
        """
        if point.slopes is None:
            assert self.problem.gradients is not None
            self.gradients += 1
            df, dg = self.problem.gradients(point.x)
            df = np.asarray(df, dtype=np.float64)
            dg = np.asarray(dg if self.m else np.zeros((0, self.problem.n)), dtype=np.float64)
            if len(df) != self.problem.n or dg.size != self.m * self.problem.n:
                raise OptimizationError(
                    f"gradients returned df[{len(df)}] and dg{list(dg.shape)} for {self.problem.n} variables"
                )
            dg = dg.reshape(self.m, self.problem.n)
            df, dg = df[self.free] * self.range, dg[:, self.free] * self.range
            if not (np.isfinite(df).all() and np.isfinite(dg).all()):
                self.failures += 1
                raise EvaluationFailed("a gradient is not a finite number")
            point.slopes = (df, dg)
            point.kkt, point.multipliers = optimality(
                point.t, point.f, df, point.g, dg, feasibility=self.feasibility
            )
        return point.slopes

    def rank(self, point: Point) -> tuple[float, float]:
        """Less is better: violation first, then f."""
        worst = float(point.g.max(initial=-np.inf))
        return (0.0 if worst <= self.feasibility else worst, point.f)

    def feasible(self, point: Point) -> bool:
        """True where every constraint is met."""
        return self.rank(point)[0] == 0.0

    def result(self, converged: bool) -> Point:
        """The best design; where the method ended, unless another is better by more than tolerance."""
        assert self.best is not None
        if converged and self.last is not None and self.feasible(self.last) and self.permitted(self.last.x):
            least = self.last.f - self.tolerance * abs(self.last.f)
            if not self.feasible(self.best) or self.best.f >= least:
                return self.last
        return self.best

    def note(self, point: Point) -> Iterate:
        """Write down a step of the method, and tell whoever listens."""
        self.last = point
        if self.failures > self._failures_told:  # a step cut short by failures says nothing about f
            self._failures_told, self._unspoiled = self.failures, 0
        self._unspoiled += 1
        step = Iterate(len(self.history), point.x, point.f, point.g, point.kkt, self.evaluations)
        self.history.append(step)
        if self.callback is not None:
            self.callback(step)
        return step

    def arrived(self, point: Point) -> str:
        """Why this is an optimum, in words; "" if it is not (yet)."""
        if not self.feasible(point):
            return ""
        if point.kkt <= self.tolerance:
            return f"first-order optimality {point.kkt:.1e} is within {self.tolerance:.0e}"
        return ""

    def settled(self, steps: int = 3) -> str:
        """Why going on is of no use, in words: f stands still over the last steps; "" if it does not."""
        last = self.history[-steps - 1 :]
        if min(len(last), self._unspoiled) <= steps or any(
            s.violation > max(self.feasibility, 0.1 * self.tolerance) for s in last
        ):
            return ""
        if last[-1].violation > self.feasibility:  # what is returned would be a design from long before
            return ""
        values = np.array([s.f for s in last])
        if np.ptp(values) > 0.1 * self.tolerance * max(abs(values[-1]), 1e-12):
            return ""
        return (
            f"the objective changes by less than {0.1 * self.tolerance:.1g} of itself in {steps} steps "
            f"(first-order optimality {last[-1].kkt:.1e})"
        )
