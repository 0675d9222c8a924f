"""One run of an optimizer over a study: evaluates, remembers, replays what the store holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import EvaluationFailed, StudyError
from designtwin.optimize.problem import Problem, Stop
from designtwin.progress import track
from designtwin.requirements import Quantity, Requirement
from designtwin.study.evaluate import (
    OBJECTIVE,
    TRIES,
    TRIES_FOR_ALL,
    Standin,
    Tested,
    bounded,
    slack_slope,
    tested,
)
from designtwin.study.gradients import CLIPPED, Stuck, gradient
from designtwin.study.scatter import completed, extended
from designtwin.study.store import Evaluation, Gradient, Store
from designtwin.typing import FloatArray

if TYPE_CHECKING:
    from designtwin.study.study import Study

AIM, MISSED, _DRIFT = 1.0, 0.5, 0.25
"""In tolerances: slack an optimizer aims for, what of it may be missed, what a stand-in may be off."""
_SHARP = 0.2
"""Of the tolerance: optimality is asked so sharply that the objective is good to the tolerance itself."""
_NEAR = 0.1
"""A slack below which a constraint may hold the design back."""
_NOISE_WITHIN, _TREND_WITHIN, _DOUBT = 0.01, 0.3, 0.05
"""Distances, in ranges, within which differences of stand-ins are noise, and beyond which they tell of other
places; how dear a trend is that nothing demands."""
_STAGED = ("slsqp", "trust-constr", "gcmma", "branch")
"""Methods that trust values and slopes to belong together: for them a stand-in is held while they run. MMA
looks at the last design alone, SQP in a trust region withdraws where its model is wrong: both see true
values; so does what takes no slopes."""
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
            raise EvaluationFailed(str(error)) from error

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
        """A design with its results; analyzed again only where they are not at hand.

        Raises
        ------
        StudyError
            If it cannot be analyzed any more.
        """
        if self._latest is None or dict(self._latest.values) != dict(values):
            self._latest = None
            for _ in range(TRIES_FOR_ALL // TRIES):  # it has worked before
                found = tested(self.study, values, "design", keep=self.way != "differences")
                if isinstance(found, Tested):
                    break
            else:
                assert not isinstance(found, Tested)
                raise StudyError(f"the design failed when it was analyzed again: {found.failure}")
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
    """What an optimizer sees of evaluations and gradients: f of order one, g that is met up to zero.

    Methods that compare the values of many designs see smooth numbers, each standing for the true one as
    it does at the design the formulation was last settled at: values and slopes then belong together. The
    others see true values (`live`), and slopes as stand-ins made at each design have them.

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
        self.live = False
        self._requirements = study.requirements
        self._quantities = {OBJECTIVE: study.minimize, **{q.label: q for q in study.goals}}
        self._standins: dict[str, Standin] = {}
        self._differenced: set[str] = set()
        self._seen: dict[int, tuple[FloatArray, Evaluation]] = {}
        self.settle(first)

    @property
    def sees_stand_ins(self) -> bool:
        """True where a smooth number is not the number itself."""
        return any(not one.exact for one in self._standins.values())

    def differenced(self, labels: Iterable[str]) -> None:
        """Of these responses true values have slopes, by differences: no smooth number stands for them."""
        self._differenced.update(labels)
        self._standins = {k: one for k, one in self._standins.items() if k not in self._differenced}

    def settle(self, e: Evaluation) -> None:
        """Let smooth numbers stand for the true ones as they do at this design."""
        made = {label: self._made_at(e, label) for label in e.smooth}
        self._standins = {label: one for label, one in made.items() if label not in self._differenced}

    def _made_at(self, e: Evaluation, label: str) -> Standin:
        one, at = Standin.of(self._quantity(label), *e.smooth[label]), self._x(e)
        return replace(one, at=at, trend=self._trend(label, one, at))

    def _trend(self, label: str, here: Standin, at: FloatArray) -> FloatArray:
        """How a stand-in goes with the design, as far as designs seen tell; no more than they demand."""
        rows, right = [], []
        for x, e in self._seen.values():
            far = float(np.linalg.norm(x - at))
            if far == 0.0 or label not in e.smooth:
                continue
            there = Standin.of(self._quantity(label), *e.smooth[label])
            if there.proportional != here.proportional:
                continue
            # What is near tells more, but for what is so near that its kinks and noise speak.
            weight = far / np.hypot(far, _NOISE_WITHIN) / np.hypot(1.0, far / _TREND_WITHIN)
            rows.append(weight * (x - at) / far)
            right.append(weight * (there.offset - here.offset) / far)
        if not rows:
            return np.zeros(len(at))
        a = np.vstack([*rows, _DOUBT * np.eye(len(at))])
        return np.asarray(np.linalg.lstsq(a, np.concatenate([right, np.zeros(len(at))]), rcond=None)[0])

    def _x(self, e: Evaluation) -> FloatArray:
        return np.array([v.scaled(e.values[name]) for name, v in self.variables.items()])

    def drift(self, e: Evaluation) -> float:
        """How far constraints that may hold the design back are from what is seen of them."""
        return max(
            (abs(self.slack(e, name) - e.slacks[name]) for name in self.kept if e.slacks[name] < _NEAR),
            default=0.0,
        )

    def functions(self, e: Evaluation) -> tuple[float, FloatArray]:
        """f and g float64[m]."""
        self._seen.setdefault(e.number, (self._x(e), e))
        return self.number(e, OBJECTIVE) / self.scale, self._slacks(e)

    def gradients(self, e: Evaluation, found: Gradient) -> tuple[FloatArray, FloatArray]:
        """df float64[n] and dg float64[m, n], over scaled variables."""
        self.differenced(label for label, way in found.how.items() if way != "adjoint")
        return self._seen_slopes(e, found, OBJECTIVE) / self.scale, self._slack_slopes(e, found)

    def number(self, e: Evaluation, label: str) -> float:
        """The objective or a goal, as it is seen."""
        number = e.objective if label == OBJECTIVE else e.goals[label]
        assert number is not None
        return self._standins[label](e.smooth[label][0], self._x(e)) if self._stands(e, label) else number

    def slack(self, e: Evaluation, label: str) -> float:
        """A slack, as it is seen."""
        if not self._stands(e, label):
            return e.slacks.get(label, -CLIPPED)
        number = self._standins[label](e.smooth[label][0], self._x(e))
        return bounded(self._requirement(label).slack(number))

    def _stands(self, e: Evaluation, label: str) -> bool:
        return not self.live and label in self._standins and label in e.smooth

    def _slacks(self, e: Evaluation) -> FloatArray:
        slacks = np.array([self.slack(e, name) for name in self.kept])
        return np.asarray(AIM * self.tolerance - np.minimum(slacks, CLIPPED))

    def _slack_slopes(self, e: Evaluation, found: Gradient) -> FloatArray:
        slopes = [self._seen_slopes(e, found, name) for name in self.kept]
        return -np.array(slopes).reshape(-1, len(self.span))

    def _seen_slopes(self, e: Evaluation, found: Gradient, label: str) -> FloatArray:
        """Slope of a response over scaled variables, as it is seen."""
        slopes = self._slopes(found, label)
        seen = self._standin(e, label)
        if seen is None or label not in found.slopes:
            return slopes
        x, smooth = self._x(e), e.smooth[label][0]
        by_x = seen.slopes(smooth, x)[1]
        return np.asarray(self._change(e, label) * slopes + self._steepness(label, seen(smooth, x)) * by_x)

    def _change(self, e: Evaluation, label: str) -> float:
        """Slope of what is seen over the slope a gradient holds, for all that moves the smooth number."""
        seen = self._standin(e, label)
        if seen is None:
            return 1.0
        (smooth, number), x = e.smooth[label], self._x(e)
        own = self._steepness(label, number) * Standin.of(self._quantity(label), smooth, number).factor
        return (
            self._steepness(label, seen(smooth, x)) * seen.slopes(smooth, x)[0] / own if own != 0.0 else 0.0
        )

    def _steepness(self, label: str, number: float) -> float:
        """d response / d number."""
        return 1.0 if label in self._quantities else slack_slope(self._requirement(label), number)

    def _standin(self, e: Evaluation, label: str) -> Standin | None:
        if label not in e.smooth or label in self._differenced:
            return None
        return self._made_at(e, label) if self.live else self._standins.get(label)

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
    optimality : float
        First-order optimality where the search ended; nan without slopes.
    """

    stopped: str
    method: str = ""
    conflict: tuple[str, ...] = ()
    optimality: float = float("nan")


def optimize(
    search: Search, start: Mapping[str, float], make: Callable[[Evaluation], Formulation], *, method: str,
    tolerance: float, starts: int = 1,
) -> Outcome:  # fmt: skip
    """Run an optimizer from a start; what it found is what the search has seen.

    Parameters
    ----------
    make : callable
        The formulation, from the evaluation of the start.
    starts : int
        Of how many searches the best is taken.

    Raises
    ------
    StudyError
        If the start cannot be evaluated.
    """
    from designtwin.optimize import choose, minimize

    variables = search.study.variables
    with track(search.study.name, total=search.budget.analyses) as search.progress:
        try:
            first = search.evaluate(start)
            for _ in range(TRIES_FOR_ALL // TRIES - 1):  # by chance, or in a run before this one
                if first.failure:
                    first = search.evaluate(start, again=True)
        except Stop as reason:
            return Outcome(str(reason))
        if first.failure:
            raise StudyError(f"the starting design cannot be evaluated: {first.failure}")
        form = make(first)
        if search.way == "differences":
            form.differenced(first.smooth)

        def functions(x: FloatArray) -> tuple[float, FloatArray]:
            return form.functions(_good(search.evaluate(search.values(x))))

        def gradients(x: FloatArray) -> tuple[FloatArray, FloatArray]:
            values = search.values(x)
            return form.gradients(search.evaluate(values), search.gradient(values))

        def many(points: FloatArray) -> list[Any]:
            def one(e: Evaluation) -> Any:
                try:
                    return form.functions(_good(e))
                except EvaluationFailed as failure:  # of this design alone
                    return failure

            return [one(e) for e in search.evaluate_all([search.values(x) for x in points], "design")]

        x = np.array([v.scaled(start[name]) for name, v in variables.items()])
        for stage in range(1, _STAGES + 1):
            problem = Problem(
                x0=x, low=np.zeros(len(x)), high=np.ones(len(x)), functions=functions, gradients=gradients,
                many=many, constraints=form.names, variables=search.names,
                allowed=[v.allowed for v in variables.values()],
                between=all(v.between for v in variables.values()),
                # Extremes and ends of intervals jump as the mesh moves: sharper than that is not to be had.
                resolution=tolerance if form.sees_stand_ins else 0.0,
            )  # fmt: skip
            chosen, why = choose(problem, method)
            form.live = chosen not in _STAGED
            try:
                found = minimize(
                    problem, method=chosen, tolerance=_SHARP * tolerance, feasibility=MISSED * tolerance,
                    starts=starts if stage == 1 else 1,
                )  # fmt: skip
            except EvaluationFailed as error:  # of the start itself
                return Outcome(str(error), f"{chosen}: {why}")
            e = search.evaluate(search.values(found.x))
            settled = form.live or form.drift(e) <= _DRIFT * tolerance
            if settled or search.ended or (stage > 1 and not found.feasible):
                break
            # What stands for the true extremes is set right, and the search goes on from there.
            form.settle(e)
            x = found.x
    how = f"{chosen}: {why}"
    stopped = found.stopped
    if not settled and not search.ended:
        stopped += f"; {_STAGES} times, and what stands for the extremes still moved by {form.drift(e):.1e}"
    conflict = () if found.conflict is None else tuple(found.conflict.constraints)
    return Outcome(stopped, how, conflict, found.kkt)


def _good(e: Evaluation) -> Evaluation:
    if e.failure:
        raise EvaluationFailed(e.failure)
    return e
