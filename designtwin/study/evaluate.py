"""One design: built, tested, read; what the optimizer sees of it and what its gradients are taken from."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from designtwin.criteria.verdict import Verdict
from designtwin.errors import DesignTwinError, ModelError, RequirementError, ResourceError, StudyError
from designtwin.model.model import Model
from designtwin.prototype.tests import PrototypeTest
from designtwin.requirements import Quantity, Requirement, Value
from designtwin.requirements.base import worst
from designtwin.study.store import Evaluation
from designtwin.typing import FloatArray
from designtwin.units import show_time

if TYPE_CHECKING:
    from designtwin.study.study import Study

OBJECTIVE = "objective"
"""The name of what is minimized among the responses."""
FAR = 10.0
"""A slack beyond this is no number to steer by; as bad, or as good, as this."""
TRIES = 2
"""How often a design is analyzed before it counts as failed: a license, a full disk, a lost file pass."""
TRIES_FOR_ALL = 6
"""The same of what all else stands on: the start, and the design that is reported."""
FAILURES = (DesignTwinError, FloatingPointError, np.linalg.LinAlgError)
"""What a design may fail with; all else is a mistake in code and raised."""
T = TypeVar("T")
_RING = 0.5
"""Seconds between alarms of a design that is out of time."""


class OutOfTime(ResourceError):
    """A design took longer than one may take."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it took longer than the study's time_limit of {show_time(seconds)}")


class _Alarm(BaseException):
    """Not an Exception, which a build may catch."""


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Raise OutOfTime in what takes longer; in a main thread only, and not within another of these."""
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not able or signal.getitimer(signal.ITIMER_REAL)[0] > 0.0:
        yield
        return

    def ring(*_: Any) -> None:
        raise _Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        # Again and again: what an alarm raises inside a callback of the garbage collector is lost.
        signal.setitimer(signal.ITIMER_REAL, seconds, _RING)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
    except _Alarm:
        raise OutOfTime(seconds) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)  # also where an alarm kept it from being stopped above
        signal.signal(signal.SIGALRM, before)


class Test(Protocol):
    """A prototype test: ``StrengthTest``, ``ThermalTest``, ..."""

    __test__: bool = False  # not one of pytest's

    @property
    def requirements(self) -> Sequence[Requirement]:
        """What it judges."""
        ...

    def run(self) -> Verdict:
        """Analyze and judge."""
        ...


@dataclass(frozen=True, eq=False)
class Constraint:
    """A requirement in one load case of a tested design.

    Parameters
    ----------
    label : str
        "requirement | case".
    test : int
        Which of the study's tests asks for it.
    requirement : Requirement
    value : Value
        In this case.
    """

    label: str
    test: int
    requirement: Requirement
    value: Value

    @property
    def slack(self) -> float:
        """Scaled margin of the bad end of the interval, at least 0 when met for sure."""
        return bounded(self.requirement.slack(self.requirement.bad_end(self.value)))


@dataclass(frozen=True, eq=False)
class Tested:
    """A design with its results, from which gradients and verdicts follow without another analysis.

    Parameters
    ----------
    values : mapping of variable to SI value
    model : Model
    tests : tuple of Test
    results : tuple
        Of each test.
    constraints : tuple of Constraint
        One of each label, the worst where several values answer to it.
    evaluation : Evaluation
    """

    values: Mapping[str, float]
    model: Model
    tests: tuple[Test, ...]
    results: tuple[Any, ...]
    constraints: tuple[Constraint, ...]
    evaluation: Evaluation

    def verdicts(self) -> tuple[Verdict, ...]:
        """The judgment of each test; nothing is solved."""
        return tuple(
            test.judged(result) if isinstance(test, PrototypeTest) else test.run()
            for test, result in zip(self.tests, self.results, strict=True)
        )


def tested(study: Study, values: Mapping[str, float], purpose: str, *, keep: bool) -> Tested | Evaluation:
    """Build and test one design; where it fails, an evaluation that says why.

    Parameters
    ----------
    keep : bool
        Whether results hold on to what adjoints need.
    """
    start = time.perf_counter()
    for tries in range(1, TRIES + 1):
        try:
            with within(study.time_limit):
                found = _tested(study, values, keep)
        except StudyError:
            raise  # the study itself is wrong, not this design
        except FAILURES as error:
            failure = f"{type(error).__name__}: {error}"
            if isinstance(error, OutOfTime):
                break
            continue
        seconds = time.perf_counter() - start
        evaluation = replace(found.evaluation, purpose=purpose, seconds=seconds, tries=tries)
        return replace(found, evaluation=evaluation)
    return Evaluation(
        0, dict(values), None, failure=failure, seconds=time.perf_counter() - start, purpose=purpose,
        tries=tries,
    )  # fmt: skip


def patiently(act: Callable[[], T], tries: int = TRIES) -> T:
    """Try again what may fail by chance."""
    for _ in range(tries - 1):
        try:
            return act()
        except (StudyError, OutOfTime):
            raise
        except FAILURES:
            continue
    return act()


def _tested(study: Study, values: Mapping[str, float], keep: bool) -> Tested:
    model = study.model_of(values)
    tests = study.tests_of(model)
    results = tuple(_result(test, keep) for test in tests)
    constraints: dict[str, Constraint] = {}
    status: dict[str, str] = {}
    readings: dict[str, float] = {}
    instants: dict[str, float] = {}
    for number, (test, result) in enumerate(zip(tests, results, strict=True)):
        for requirement in test.requirements:
            found = requirement.by_case(result)
            for value in found:
                if math.isnan(value.value) and not value.singular:
                    case = f" in case {value.case!r}" if value.case is not None else ""
                    raise RequirementError(f"{requirement.quantity.label} is not a number{case}")
            outcome = requirement.outcome(worst(found, largest=requirement.is_upper))
            status[str(requirement)] = outcome.status
            readings[str(requirement)] = outcome.value.value
            for value in found:
                label = label_of(requirement, value.case, result)
                one = Constraint(label, number, requirement, value)
                if label in constraints and constraints[label].slack <= one.slack:
                    continue
                constraints[label] = one
                if value.instant is not None:
                    instants[label] = value.instant
    wanted = {OBJECTIVE: study.minimize, **{q.label: q for q in study.goals}}
    numbers = {label: read(quantity, model, results, label) for label, quantity in wanted.items()}
    for label, one_read in numbers.items():
        if math.isnan(one_read) or (label == OBJECTIVE and math.isinf(one_read)):
            raise ModelError(f"{wanted[label].label} is {one_read}: no number to judge a design by")
    evaluation = Evaluation(
        0, dict(values), numbers.pop(OBJECTIVE), goals={q.label: numbers[q.label] for q in study.goals},
        slacks={label: one.slack for label, one in constraints.items()}, status=status, readings=readings,
        instants=instants,
    )  # fmt: skip
    evaluation = replace(evaluation, smooth=_smooth(evaluation, wanted, constraints, model, tests, results))
    return Tested(dict(values), model, tuple(tests), results, tuple(constraints.values()), evaluation)


def _smooth(
    e: Evaluation, wanted: Mapping[str, Quantity], constraints: Mapping[str, Constraint], model: Model,
    tests: Sequence[Test], results: Sequence[Any],
) -> dict[str, list[float]]:  # fmt: skip
    """The smooth number of each response that has one, and the number it stands for."""
    out = {}
    for label, quantity in wanted.items():
        true = e.objective if label == OBJECTIVE else e.goals[label]
        if quantity.needs == "model" or true is None:
            continue
        source = source_of(quantity, model, results, label)
        numbers = smooth_by_case(quantity, source, largest=quantity.largest_governs)
        if numbers:
            out[label] = [(max if quantity.largest_governs else min)(numbers.values()), true]
    for test, result in zip(tests, results, strict=True):
        for requirement in test.requirements:
            for case, number in smooth_by_case(
                requirement.quantity, result, largest=requirement.is_upper, ends=True
            ).items():
                one = constraints.get(label_of(requirement, case, result))
                if one is not None:
                    out[one.label] = [number, requirement.bad_end(one.value)]
    return {label: pair for label, pair in out.items() if np.isfinite(pair).all()}


def smooth_by_case(
    quantity: Quantity, result: Any, *, largest: bool, ends: bool = False
) -> dict[str | None, float]:
    """What adjoints differentiate, by load case; nothing where there is no adjoint."""
    from designtwin.analysis.adjoint import smooth_values

    if quantity.needs == "model":
        return {}
    try:
        return dict(smooth_values(result, quantity, largest=largest, ends=ends))
    except DesignTwinError:
        return {}


@dataclass(frozen=True, eq=False)
class Standin:
    """What a smooth number stands for: factor smooth exp(trend (x - at)), or smooth + shift + trend (x - at).

    An extreme over a place has kinks, and the bad end of its interval slopes that no adjoint gives; a smooth
    aggregate has neither. Held in proportion it is right at the design it was made at; how the proportion
    itself goes with the design is learned from designs seen before.

    Parameters
    ----------
    factor, shift : float
    at, trend : float64[n], optional
        Scaled variables of that design; slope of the logarithm of the proportion, or of the shift.

    Source: Le, Norato, Bruns, Ha & Tortorelli, Struct. Multidisc. Optim. 41 (2010) 605, adaptive scaling;
    Alexandrov et al., J. Aircraft 38 (2001) 1093, first-order corrections.
    """

    factor: float = 1.0
    shift: float = 0.0
    proportional: bool = True
    at: FloatArray | None = None
    trend: FloatArray | None = None

    @classmethod
    def of(cls, quantity: Quantity, smooth: float, number: float) -> Standin:
        """From the two numbers at one design; of a temperature, or where a ratio says nothing, a shift."""
        ratio = number / smooth if smooth != 0.0 else 0.0
        alike = ratio > 0.0 if quantity.spans_decades else 0.2 < ratio < 5.0
        if alike and quantity.dimension != "temperature":
            return cls(factor=ratio)
        return cls(shift=number - smooth, proportional=False)

    @property
    def exact(self) -> bool:
        """True where the smooth number is the number itself."""
        return self.factor == 1.0 and self.shift == 0.0

    @property
    def offset(self) -> float:
        """What a trend is the slope of."""
        return float(np.log(self.factor)) if self.proportional else self.shift

    def _moved(self, x: FloatArray) -> float:
        return 0.0 if self.at is None or self.trend is None else float(self.trend @ (x - self.at))

    def __call__(self, smooth: float, x: FloatArray) -> float:
        if self.proportional:
            return self.factor * smooth * float(np.exp(np.clip(self._moved(x), -1.0, 1.0)))
        return smooth + self.shift + self._moved(x)

    def slopes(self, smooth: float, x: FloatArray) -> tuple[float, FloatArray]:
        """Over the smooth number, and over x with it held, float64[n]."""
        trend = np.zeros_like(x) if self.trend is None else self.trend
        if not self.proportional:
            return 1.0, trend
        moved = self._moved(x)
        share = self.factor * float(np.exp(np.clip(moved, -1.0, 1.0)))
        return share, share * smooth * trend * (abs(moved) < 1.0)


def slack_slope(requirement: Requirement, value: float) -> float:
    """d slack / d value: exact, as a slack is linear in the value or in its logarithm."""
    if not np.isfinite(value):
        return 0.0
    sign = -1.0 if requirement.is_upper else 1.0
    if requirement.quantity.spans_decades and requirement.limit > 0.0:
        return sign / (value * np.log(10.0)) if value > 0.0 else 0.0
    scale = abs(requirement.limit) if requirement.margin_is_relative else 1.0
    return sign / (scale * (100.0 if requirement.quantity.dimension == "temperature" else 1.0))


def bounded(slack: float) -> float:
    """A slack to steer by; one that is no number is as bad as can be."""
    return -FAR if np.isnan(slack) else float(np.clip(slack, -FAR, FAR))


def _result(test: Test, keep: bool) -> Any:
    if isinstance(test, PrototypeTest):
        return test.solve(keep=keep)
    return test.run().result


def label_of(requirement: Requirement, case: str | None, result: Any) -> str:
    """The name of a constraint: a mode may change from design to design, a load case may not."""
    return str(requirement) + (f" | {case}" if case is not None and case in result.cases else "")


def read(quantity: Quantity, model: Model, results: Sequence[Any], what: str) -> float:
    """A quantity of a tested model, SI.

    Raises
    ------
    StudyError
        If no test makes the analysis it is read from.
    """
    return float(quantity.evaluate(source_of(quantity, model, results, what)).value)


def source_of(quantity: Quantity, model: Model, results: Sequence[Any], what: str) -> Any:
    """What a quantity is read from: the model, or the first result of its physics."""
    if quantity.needs == "model":
        return model
    for result in results:
        if result.physics in quantity.read_from:
            return result
    raise StudyError(f"{what}={quantity.label} needs a {quantity.needs} analysis, which no test makes")
