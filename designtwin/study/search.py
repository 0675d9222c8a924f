"""One run of an optimizer over a study: evaluates, remembers, replays what the store holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import EvaluationFailed, StudyError
from designtwin.optimize.problem import Problem, Stop
from designtwin.progress import track
from designtwin.requirements import Quantity, Requirement
from designtwin.study.evaluate import OBJECTIVE, Standin, Tested, bounded, slack_slope, tested
from designtwin.study.gradients import CLIPPED, Stuck, gradient
from designtwin.study.scatter import completed, extended
from designtwin.study.store import Evaluation, Gradient, Store
from designtwin.typing import FloatArray

if TYPE_CHECKING:
    from designtwin.study.study import Study

AIM, MISSED, _DRIFT = 1.0, 0.5, 0.25
"""In tolerances: the slack an optimizer aims for, what of it may be missed, and what a stand-in may be off."""
_NEAR = 0.1
"""A slack below which a constraint may hold the design back."""
_STAGES = 8
"""How often smooth numbers are set right before the search is content with what it has."""

KEPT = ("design", "scatter")
"""Purposes of evaluations whose results are held for the gradient that will be asked next."""


@dataclass(frozen=True)
class Budget:
    """What a run may cost.

    Parameters
    ----------
    analyses : int
        Evaluations in all, those in the store included.
    seconds : float
        Of this run.
    """

    analyses: int
    seconds: float


class Search:
    """Evaluations and gradients of a study by scaled variables.

    Parameters
    ----------
    study : Study
    store : Store
        Looked up first; keeps what is new.
    budget : Budget
    gradients : "auto", "adjoint" or "differences"
    workers : int, optional
        Processes that analyse differences side by side; in this process unless given.
    """

    def __init__(
        self, study: Study, store: Store, budget: Budget, *, gradients: str = "auto",
        workers: int | None = None,
    ) -> None:  # fmt: skip
        self.study, self.store, self.budget = study, store, budget
        self.way, self.workers = gradients, workers
        self.names = list(study.variables)
        self.wide = extended(study)
        self.deadline = time.monotonic() + budget.seconds
        self.seen: list[Evaluation] = []
        self.gradients: list[Gradient] = []
        self._by_key: dict[tuple[float, ...], Evaluation] = {}
        self._gradient_by_key: dict[tuple[float, ...], Gradient] = {}
        self._latest: Tested | None = None
        self.progress: Any = None
        self.ended = ""

    def values(self, x: FloatArray) -> dict[str, float]:
        """SI values of scaled variables."""
        return {n: self.study.variables[n].value(float(s)) for n, s in zip(self.names, x, strict=True)}

    def evaluate(
        self, values: Mapping[str, float], purpose: str = "design", *, again: bool = False
    ) -> Evaluation:
        """The evaluation of a design, from memory or store if it is known; `again` where that has failed.

        Raises
        ------
        Stop
            If the budget is used up.
        """
        key = tuple(values.values())
        if key in self._by_key and not (again and self._by_key[key].failure):
            return self._by_key[key]
        known = self.store.find(values)
        if known is None or (again and known.failure):
            self._check_budget()
            self._latest = None  # room for the next before it is made
            found = tested(self.study, values, purpose, keep=purpose in KEPT and self.way != "differences")
            if isinstance(found, Tested):
                if purpose in KEPT:
                    self._latest = found
                known = found.evaluation
            else:
                known = found
            self.store.add(known)
        return self._remember(known)

    def evaluate_all(self, designs: Sequence[Mapping[str, float]], purpose: str) -> list[Evaluation]:
        """Evaluations of many designs, in their order; by several processes where there are."""
        if (self.workers or 1) > 1:
            from designtwin.study.variants import evaluate_many

            missing = [d for d in designs if tuple(d.values()) not in self._by_key and not self.store.find(d)]
            if len(missing) > 1:
                self._check_budget()
                missing = missing[: self.budget.analyses - len(self.seen)]
                self._latest = None
                evaluate_many(self.wide, missing, workers=self.workers, store=self.store, purpose=purpose)
        return [self.evaluate(d, purpose) for d in designs]

    def gradient(self, values: Mapping[str, float]) -> Gradient:
        """The gradient at a design that was evaluated, from memory or store if it is known.

        Raises
        ------
        Stop
            If no design beside it can be evaluated, or the budget is used up.
        """
        key = tuple(values.values())
        if key in self._gradient_by_key:
            return self._gradient_by_key[key]
        known = self.store.gradient(values)
        if known is None or known.asked != self.way or not self._is_of_all(known):
            known = self._gradient(values)
            self.store.add(known)
        else:
            # What it was made of is replayed too: it counts against the budget as it did the first time.
            self.evaluate_all([{n: one[n] for n in self.wide.variables} for one in known.beside], "gradient")
        self._gradient_by_key[key] = known
        self.gradients.append(known)
        return known

    def _gradient(self, values: Mapping[str, float]) -> Gradient:
        if time.monotonic() > self.deadline:
            raise self._late()
        try:
            one = self.tested(values)
        except StudyError as error:
            raise EvaluationFailed(str(error)) from error
        try:
            whole = replace(one, values=completed(self.study.scatter, one.values))
            found = gradient(
                self.wide, whole, self.way, lambda designs: self.evaluate_all(designs, "gradient")
            )
            return replace(found, values=dict(values))
        except Stuck as error:
            raise self._end(str(error)) from error

    def known_gradient(self, values: Mapping[str, float]) -> Gradient | None:
        """The gradient at a design where this search has asked for it."""
        return self._gradient_by_key.get(tuple(values.values()))

    def _is_of_all(self, known: Gradient) -> bool:
        return all(slopes.keys() >= self.wide.variables.keys() for slopes in known.slopes.values())

    def at(self, values: Mapping[str, float]) -> Gradient:
        """The gradient at any design.

        Raises
        ------
        StudyError
            If it cannot be evaluated, or nothing beside it.
        """
        try:
            e = self.evaluate(values)
            if e.failure:
                e = self.evaluate(values, again=True)
            if e.failure:
                raise StudyError(f"the design cannot be evaluated: {e.failure}")
            return self.gradient(values)
        except (Stop, EvaluationFailed) as error:
            raise StudyError(f"no gradient at this design: {error}") from error

    def tested(self, values: Mapping[str, float]) -> Tested:
        """A design with its results; analysed again only where they are not at hand.

        Raises
        ------
        StudyError
            If it cannot be analysed any more.
        """
        if self._latest is None or dict(self._latest.values) != dict(values):
            self._latest = None
            found = tested(self.study, values, "design", keep=self.way != "differences")
            if not isinstance(found, Tested):
                raise StudyError(f"the design failed when it was analysed again: {found.failure}")
            self._latest = found
        return self._latest

    def _remember(self, known: Evaluation) -> Evaluation:
        known = replace(known, number=len(self.seen) + 1)
        self.seen.append(known)
        self._by_key[tuple(known.values.values())] = known
        if self.progress is not None:
            words = ", ".join(f"{n} {self.wide.variables[n].text(v)}" for n, v in known.values.items())
            self.progress.step(f"{known.purpose} {len(self.seen)}: {words}")
        return known

    def _check_budget(self) -> None:
        if len(self.seen) >= self.budget.analyses:
            many = f"{self.budget.analyses} analys{'i' if self.budget.analyses == 1 else 'e'}s"
            raise self._end(f"the budget of {many} was used")
        if time.monotonic() > self.deadline:
            raise self._late()

    def _late(self) -> Stop:
        return self._end(f"the time of {self.budget.seconds:.0f} s was used")

    def _end(self, why: str) -> Stop:
        self.ended = why
        return Stop(why)


class Formulation:
    """What an optimizer sees of evaluations and gradients: f of order one, g that is met at or below zero.

    Where a response has a smooth number, that is what is seen, standing for the true one (`Standin`) as it was
    at the design the formulation was last settled at: function and slope then belong together.

    Parameters
    ----------
    study : Study
    first : Evaluation
        Of the start: its objective is the unit, its constraints are those of all.
    tolerance : float
    """

    def __init__(self, study: Study, first: Evaluation, tolerance: float) -> None:
        self.variables, self.tolerance = study.variables, tolerance
        self.kept = self.names = tuple(first.slacks)
        self.scale = abs(first.objective or 0.0) or 1.0
        self.span = np.array([v.high - v.low for v in study.variables.values()])
        self._requirements = study.requirements
        self._quantities = {OBJECTIVE: study.minimize, **{q.label: q for q in study.goals}}
        self._standins: dict[str, Standin] = {}
        self.settle(first)

    def settle(self, e: Evaluation) -> None:
        """Let smooth numbers stand for the true ones as they do at this design."""
        self._standins = {label: Standin.of(self._quantity(label), *pair) for label, pair in e.smooth.items()}

    def drift(self, e: Evaluation) -> float:
        """How far constraints that may hold the design back are from what is seen of them."""
        return max(
            (abs(self.slack(e, name) - e.slacks[name]) for name in self.kept if e.slacks[name] < _NEAR),
            default=0.0,
        )

    def functions(self, e: Evaluation) -> tuple[float, FloatArray]:
        """f and g float64[m]."""
        return self.number(e, OBJECTIVE) / self.scale, self._slacks(e)

    def gradients(self, e: Evaluation, found: Gradient) -> tuple[FloatArray, FloatArray]:
        """df float64[n] and dg float64[m, n], over scaled variables."""
        df = self._change(e, OBJECTIVE) * self._slopes(found, OBJECTIVE) / self.scale
        return df, self._slack_slopes(e, found)

    def number(self, e: Evaluation, label: str) -> float:
        """The objective or a goal, as it is seen."""
        number = e.objective if label == OBJECTIVE else e.goals[label]
        assert number is not None
        return self._standins[label](e.smooth[label][0]) if self._is_smooth(e, label) else number

    def slack(self, e: Evaluation, label: str) -> float:
        """A slack, as it is seen."""
        if not self._is_smooth(e, label):
            return e.slacks.get(label, -CLIPPED)
        return bounded(self._requirement(label).slack(self._standins[label](e.smooth[label][0])))

    def _is_smooth(self, e: Evaluation, label: str) -> bool:
        return label in self._standins and label in e.smooth

    def _slacks(self, e: Evaluation) -> FloatArray:
        slacks = np.array([self.slack(e, name) for name in self.kept])
        return np.asarray(AIM * self.tolerance - np.minimum(slacks, CLIPPED))

    def _slack_slopes(self, e: Evaluation, found: Gradient) -> FloatArray:
        slopes = [self._change(e, name) * self._slopes(found, name) for name in self.kept]
        return -np.array(slopes).reshape(-1, len(self.span))

    def _change(self, e: Evaluation, label: str) -> float:
        """Slope of what is seen over the slope at the design itself, where the stand-in was another."""
        if not self._is_smooth(e, label):
            return 1.0
        smooth, number = e.smooth[label]
        seen, own = self._standins[label], Standin.of(self._quantity(label), smooth, number)
        ratio = seen.factor / own.factor
        if label in self._quantities:
            return ratio
        requirement = self._requirement(label)
        own_slope = slack_slope(requirement, number)
        return ratio * slack_slope(requirement, seen(smooth)) / own_slope if own_slope != 0.0 else 0.0

    def _requirement(self, label: str) -> Requirement:
        known = self._requirements.get(label)
        return self._requirements[label.rpartition(" | ")[0]] if known is None else known

    def _quantity(self, label: str) -> Quantity:
        return self._quantities.get(label) or self._requirement(label).quantity

    def _slopes(self, found: Gradient, label: str) -> FloatArray:
        slopes = found.slopes.get(label)
        if slopes is None:  # clipped: far from any limit
            return np.zeros(len(self.span))
        return np.asarray(np.array([slopes[name] for name in self.variables]) * self.span)


@dataclass(frozen=True)
class Outcome:
    """How a search went, in words.

    Parameters
    ----------
    stopped, method : str
    conflict : tuple of str
        Constraints that cannot be met together.
    """

    stopped: str
    method: str = ""
    conflict: tuple[str, ...] = ()


def optimize(
    search: Search, start: Mapping[str, float], make: Callable[[Evaluation], Formulation], *, method: str,
    tolerance: float,
) -> Outcome:  # fmt: skip
    """Run an optimizer from a start; what it found is what the search has seen.

    Parameters
    ----------
    make : callable
        The formulation, from the evaluation of the start.

    Raises
    ------
    StudyError
        If the start cannot be evaluated.
    """
    from designtwin.optimize import minimize

    variables = search.study.variables
    with track(search.study.name, total=search.budget.analyses) as search.progress:
        try:
            first = search.evaluate(start)
            if first.failure:  # by chance, or in a run before this one
                first = search.evaluate(start, again=True)
        except Stop as reason:
            return Outcome(str(reason))
        if first.failure:
            raise StudyError(f"the starting design cannot be evaluated: {first.failure}")
        form = make(first)

        def functions(x: FloatArray) -> tuple[float, FloatArray]:
            return form.functions(_good(search.evaluate(search.values(x))))

        def gradients(x: FloatArray) -> tuple[FloatArray, FloatArray]:
            values = search.values(x)
            return form.gradients(search.evaluate(values), search.gradient(values))

        def many(points: FloatArray) -> list[Any]:
            found = search.evaluate_all([search.values(x) for x in points], "design")
            return [EvaluationFailed(e.failure) if e.failure else form.functions(e) for e in found]

        x = np.array([v.scaled(start[name]) for name, v in variables.items()])
        for stage in range(1, _STAGES + 1):
            problem = Problem(
                x0=x, low=np.zeros(len(x)), high=np.ones(len(x)), functions=functions, gradients=gradients,
                many=many, constraints=form.names, variables=search.names,
                allowed=[v.allowed for v in variables.values()],
            )  # fmt: skip
            found = minimize(problem, method=method, tolerance=tolerance, feasibility=MISSED * tolerance)
            e = search.evaluate(search.values(found.x))
            settled = form.drift(e) <= _DRIFT * tolerance
            if settled or search.ended or (stage > 1 and not found.feasible):
                break
            # What stands for the true extremes is set right, and the search goes on from there.
            form.settle(e)
            x = found.x
    how = f"{found.method}: {found.why}" if found.why else found.method
    stopped = found.stopped
    if not settled and not search.ended:
        stopped += f"; {_STAGES} times, and what stands for the extremes still moved by {form.drift(e):.1e}"
    return Outcome(stopped, how, () if found.conflict is None else tuple(found.conflict.constraints))


def _good(e: Evaluation) -> Evaluation:
    if e.failure:
        raise EvaluationFailed(e.failure)
    return e
