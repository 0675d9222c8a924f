"""Quantity and requirement: a number read from a result, and the limit it is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from designtwin import units
from designtwin.errors import DesignTwinError, RequirementError, did_you_mean
from designtwin.plain import Plain
from designtwin.requirements.values import CANNOT_TELL, FAIL, PASS, Outcome, Value, distance
from designtwin.typing import BoolArray, FloatArray

if TYPE_CHECKING:
    from designtwin.model.model import Model


@dataclass(frozen=True, kw_only=True)
class Quantity(Plain):
    """A number that can be read from a result.

    Subclasses are frozen dataclasses with ``needs``, ``dimension``, ``label`` and ``by_case``. Comparing one
    with ``< <= > >=`` makes a `Requirement`; ``==`` compares the two descriptions, as for any dataclass.
    """

    needs: ClassVar[str] = "model"
    """The result it is read from: "static", "thermal", "vibration", "buckling", or "model" (any result, or
    the model itself). Where several will do, the usual one; see `read_from`."""
    dimension: ClassVar[str] = "dimensionless"
    """A key of `designtwin.units`."""
    zoned: ClassVar[bool] = False
    """True where the quantity is a field whose bad regions are worth naming."""
    unbounded: ClassVar[bool] = False
    """True where infinity is an answer and not the sign of a question that nothing tested."""
    spans_decades: ClassVar[bool] = False
    """True where values grow with a high power of the load, as damage and life do."""
    # numpy scalars leave comparisons with us to us
    __array_ufunc__: ClassVar[None] = None

    @property
    def label(self) -> str:
        """The quantity in words, for tables."""
        raise NotImplementedError

    @property
    def read_from(self) -> tuple[str, ...]:
        """All analyses whose results it can be read from, the usual one first."""
        return (self.needs,)

    @property
    def excluded(self) -> str:
        """What is left out, in words."""
        excluding = getattr(self, "excluding", None)
        return "" if excluding is None else str(excluding)

    @property
    def largest_governs(self) -> bool:
        """True where the envelope over cases is the largest value, False where it is the smallest."""
        return True

    def by_case(self, result: Any) -> list[Value]:
        """The value in each load case asked for."""
        raise NotImplementedError

    def extremes(self, result: Any, *, largest: bool) -> list[Value]:
        """The largest (or smallest) value over time in each load case asked for.

        Which instant governs is found by values alone; the interval is estimated there, and widened by what
        may lie between it and the instants before and after. Where no case has a course in time this is
        ``by_case``.
        """
        if self.needs == "model" or not any(len(frames_of(case)) > 1 for case in self.cases_of(result)):
            return self.by_case(result)
        return [self._over_time(result, case, largest) for case in self.cases_of(result)]

    def _over_time(self, result: Any, case: Any, largest: bool) -> Value:
        frames = frames_of(case)
        if len(frames) < 2:
            return self._of_state(result, case)
        course = np.empty(len(frames))
        for i, frame in enumerate(frames):
            course[i] = self._number(result, frame)
        broken = np.flatnonzero(np.isnan(course))
        i = int(broken[0]) if len(broken) else int(np.argmax(course) if largest else np.argmin(course))
        frame = frames[i]
        found = replace(self._of_state(result, frame), case=case.name, instant=float(frame.time))
        if 0 < i < len(course) - 1 and np.isfinite(course[i - 1 : i + 2]).all():
            times = [float(frames[k].time) for k in (i - 1, i, i + 1)]
            beyond = _beyond(times, course[i - 1 : i + 2])
            if largest:
                return replace(found, high=found.high + beyond, error=found.error + beyond)
            return replace(found, low=found.low - beyond, error=found.error + beyond)
        return found

    def _of_state(self, result: Any, state: Any) -> Value:
        """The value in one state: a case without a course, or one instant of one with."""
        return self.by_case(replace(result, by_case={state.name: state}))[0]

    def _number(self, result: Any, state: Any) -> float:
        """The value in one state without its interval, which may cost much more."""
        return self._of_state(result, state).value

    def evaluate(self, result: Any) -> Value:
        """The value over all load cases asked for, with its interval, place, governing case and instant.

        Raises
        ------
        RequirementError
            If the result is of another analysis, a case does not exist, or the place holds nothing.
        MissingPropertyError
            If a material does not state the strength that is needed.
        """
        return worst(self.extremes(result, largest=self.largest_governs), largest=self.largest_governs)

    def narrowed(self, value: Value, limit: float = math.nan) -> str:
        """What would narrow the interval of a value about a limit, in words."""
        where = f" {value.place.near}" if value.place is not None and value.place.near else ""
        if value.instant is not None and self.needs == "thermal":
            return f"a finer mesh{where} or a smaller tolerance in time narrows this"
        return f"a finer mesh{where} narrows this"

    def check(self, model: Model) -> None:
        """Find what is wrong with the quantity on this model before anything is solved.

        Raises
        ------
        RequirementError, SelectionError, MissingPropertyError
        """

    def check_case(self, names: Iterable[str]) -> None:
        """Raise RequirementError where it asks for a case that is not one of these."""
        case = getattr(self, "case", None)
        if case is not None:
            _case_exists(self, case, names)

    def _wrong_result(self, result: Any) -> NoReturn:
        kind = _kind(result)
        raise RequirementError(
            f"{self.label} needs a {' or '.join(self.read_from)} result, and this is "
            f"{f'a {kind} one' if kind else f'a {type(result).__name__}'}; use "
            f"{', or '.join(_CALLS[physics] for physics in self.read_from)}"
        )

    def cases_of(self, result: Any) -> list[Any]:
        """The cases of a result this quantity looks at."""
        if _kind(result) not in self.read_from:
            self._wrong_result(result)
        case = getattr(self, "case", None)
        if case is None:
            return [result[name] for name in result.cases]
        _case_exists(self, case, result.cases)
        return [result[case]]

    def _compare(self, relation: str, limit: Any) -> Requirement:
        if isinstance(limit, Quantity):
            raise RequirementError(
                f"{self.label} {relation} {limit.label}: a limit is a number with a unit; "
                "two quantities cannot be compared"
            )
        si = units.to_si(limit, self.dimension, name=f"limit of {self.label}")
        if not isinstance(si, float):
            raise RequirementError(f"limit of {self.label}: {limit!r} holds several values; one is wanted")
        if si < 0.0 and getattr(self, "over", "") == "max_abs":
            raise RequirementError(
                f"{self.label} {relation} {units.show(si, self.dimension)}: the largest magnitude is never "
                "negative; say over='min' or over='max' to keep signs"
            )
        return Requirement(quantity=self, relation=relation, limit=si)

    def __le__(self, limit: Any) -> Requirement:
        return self._compare("<=", limit)

    def __lt__(self, limit: Any) -> Requirement:
        return self._compare("<", limit)

    def __ge__(self, limit: Any) -> Requirement:
        return self._compare(">=", limit)

    def __gt__(self, limit: Any) -> Requirement:
        return self._compare(">", limit)

    def __str__(self) -> str:
        return self.label


_CALLS = {
    "static": "StrengthTest or solve_static(model)",
    "thermal": "ThermalTest, solve_thermal(model) or solve_transient(model, ...)",
    "vibration": "VibrationTest(model, modes_up_to='2 kHz', ...) or solve_modes(model)",
    "buckling": "BucklingTest or solve_buckling(model)",
    "life": "LifeTest(model, curve=..., channels=...)",
}
_SIGNS = {"<=": "≤", "<": "<", ">=": "≥", ">": ">"}


@dataclass(frozen=True, kw_only=True)
class Requirement(Plain):
    """A quantity, a relation and a limit: ``yield_margin() >= 1.5``.

    It must hold in every load case asked for, at every instant of a course in time, so the case and the
    instant farthest on the wrong side govern.

    Parameters
    ----------
    quantity : Quantity
    relation : str
        "<=", "<", ">=" or ">".
    limit : float
        SI.
    sigma : float, optional
        Standard deviations of what scatters at which it must hold; see `at`.
    """

    quantity: Quantity
    relation: str
    limit: float
    sigma: float | None = None

    def __post_init__(self) -> None:
        if self.relation not in _SIGNS:
            raise RequirementError(f"relation {self.relation!r} is not one of {', '.join(_SIGNS)}")
        if not math.isfinite(self.limit):
            raise RequirementError(f"{self.quantity.label}: the limit {self.limit} is not a finite number")
        if self.sigma is not None and not (
            isinstance(self.sigma, int | float)
            and not isinstance(self.sigma, bool)
            and 0.0 <= self.sigma < 40.0
        ):
            raise RequirementError(
                f"{self.quantity.label} at sigma={self.sigma!r}: a number of standard deviations is wanted, "
                "such as 3; 0 is with everything at its mean"
            )

    def _plain_fields(self) -> dict[str, Any]:
        fields = super()._plain_fields()
        if self.sigma is None:
            del fields["sigma"]  # so its content, and what stands on it, is what it was before there was one
        return fields

    def at(self, *, sigma: float) -> Requirement:
        """The same, to hold at so many standard deviations of what scatters: ``(...).at(sigma=3)``.

        A `Study` that states ``scatter=`` judges it; 0 is with everything at its mean. Without it the study's
        own ``sigma`` counts.

        Raises
        ------
        RequirementError
            If it is no number from 0 on; where a test is run that knows of no scatter.
        """
        return replace(self, sigma=sigma)

    def check_alone(self) -> None:
        """Raise RequirementError where one design without its scatter cannot be judged on it."""
        if self.sigma:
            raise RequirementError(
                f"'{self}' is about what scatters, of which a test alone knows nothing: let "
                "Study(scatter={'load': dtw.scatter(...)}) judge it, or leave .at(sigma=) out"
            )

    @property
    def is_upper(self) -> bool:
        """True where the limit bounds from above."""
        return self.relation in ("<=", "<")

    @property
    def limit_text(self) -> str:
        """The limit in display units: "≤ 0.4 mm"."""
        return f"{_SIGNS[self.relation]} {units.show(self.limit, self.quantity.dimension)}"

    def met(self, value: float) -> bool:
        """Whether one number meets the limit."""
        if self.relation == "<=":
            return value <= self.limit
        if self.relation == "<":
            return value < self.limit
        return value >= self.limit if self.relation == ">=" else value > self.limit

    def met_by(self, values: FloatArray) -> BoolArray:
        """Whether each of many numbers meets the limit; nan does not."""
        compare = {"<=": np.less_equal, "<": np.less, ">=": np.greater_equal, ">": np.greater}
        return np.asarray(compare[self.relation](values, self.limit))

    @property
    def margin_is_relative(self) -> bool:
        """False where margins are differences in SI: for temperatures and for a limit of 0."""
        return self.limit != 0.0 and self.quantity.dimension != "temperature"

    def margin(self, value: float) -> float:
        """How far a number is from the limit, positive when the limit is met.

        ``(limit - value) / |limit|`` for an upper limit, ``(value - limit) / |limit|`` for a lower one; the
        difference itself, in SI, where `margin_is_relative` is False.
        """
        gap = distance(self.limit, value) if self.is_upper else distance(value, self.limit)
        return gap / abs(self.limit) if self.margin_is_relative else gap

    def bad_end(self, value: Value) -> float:
        """The end of the interval that is nearer to failing, or farther beyond the limit."""
        return value.high if self.is_upper else value.low

    def slack(self, value: float) -> float:
        """The margin scaled for an optimizer: of order one, at least 0 when met.

        Of a quantity that spans decades it is the decades to the limit, as a margin in shares has no slope.
        """
        if self.quantity.spans_decades and self.limit > 0.0:
            with np.errstate(divide="ignore", invalid="ignore"):
                decades = float(np.log10(np.float64(max(value, 0.0)) / self.limit))
            return -decades if self.is_upper else decades
        margin = self.margin(value)
        return margin / 100.0 if self.quantity.dimension == "temperature" else margin

    def status(self, value: Value) -> str:
        """PASS where the whole interval meets the limit, FAIL where none of it does, else CANNOT TELL.

        An infinite margin, as of a part that nothing loads, is CANNOT TELL too.
        """
        if math.isnan(value.value) or math.isnan(value.low) or math.isnan(value.high):
            return CANNOT_TELL
        if math.isinf(value.value) and not self.quantity.unbounded:
            return CANNOT_TELL  # a margin against nothing: no case strains the place, so nothing was tested
        good, bad = (value.low, value.high) if self.is_upper else (value.high, value.low)
        if self.met(bad):
            return PASS
        return CANNOT_TELL if self.met(good) else FAIL

    def by_case(self, result: Any) -> list[Value]:
        """The quantity in each case asked for, at the instant farthest on the wrong side of the limit."""
        return self.quantity.extremes(result, largest=self.is_upper)

    def evaluate(self, result: Any) -> Value:
        """The quantity over its cases, the one farthest on the wrong side of the limit governing."""
        return worst(self.by_case(result), largest=self.is_upper)

    def judge(self, result: Any) -> Outcome:
        """Decide on a result (errors as `Quantity.evaluate`)."""
        return self.outcome(self.evaluate(result))

    def outcome(self, value: Value) -> Outcome:
        """Decide on a value with its interval."""
        self.check_alone()
        status = self.status(value)
        return Outcome(
            requirement=self,
            value=value,
            margin=self.margin(value.value),
            status=status,
            excluded=self.quantity.excluded,
            reason=self._reason(value) if status == CANNOT_TELL else "",
        )

    def _reason(self, value: Value) -> str:
        if value.singular:
            return f"{self.quantity.label} is singular: {value.note}"
        if math.isnan(value.value):
            return f"{self.quantity.label} is not a number here"
        if math.isinf(value.value) and (not self.quantity.unbounded or math.isnan(value.low)):
            return f"no load case strains the place that {self.quantity.label} asks about: nothing was tested"
        if math.isnan(value.low) or math.isnan(value.high):
            return f"no error could be estimated for {self.quantity.label}"
        show, dimension = units.show, self.quantity.dimension
        return (
            f"the limit {show(self.limit, dimension)} lies within "
            f"{show(value.low, dimension)} to {show(value.high, dimension)}; "
            f"{self.quantity.narrowed(value, self.limit)}"
        )

    def __bool__(self) -> NoReturn:
        raise RequirementError(
            f"'{self}' has no truth of its own, as in a chained comparison: write two requirements; "
            "judge(result) decides one"
        )

    def __str__(self) -> str:
        at = "" if self.sigma is None else f" at {self.sigma:g} sigma"
        return f"{self.quantity.label} {self.limit_text}{at}"


def worst(values: Sequence[Value], *, largest: bool) -> Value:
    """The envelope of one quantity over load cases: the extreme value, and an interval for it.

    Another case may overtake the extreme one within its interval, so both ends are extremes of their own.
    """
    if not values:
        raise RequirementError("the result holds no load case")
    pick: Callable[[Iterable[float]], float] = max if largest else min
    for value in values:
        if math.isnan(value.value):
            return value
    extreme = pick(v.value for v in values)
    governing = next(v for v in values if v.value == extreme)
    lows, highs = [v.low for v in values], [v.high for v in values]
    if any(map(math.isnan, lows + highs)):
        return replace(governing, error=math.nan, low=math.nan, high=math.nan)
    return Value.between(
        extreme, pick(lows), pick(highs), place=governing.place, case=governing.case, note=governing.note,
        instant=governing.instant, frequency=governing.frequency,
    )  # fmt: skip


def frames_of(case: Any) -> Sequence[Any]:
    """The instants of a case, or itself where it has no course in time: modes and frequencies are none."""
    if getattr(case, "times", None) is None:
        return (case,)
    return getattr(case, "frames", None) or (case,)


def _beyond(times: Sequence[float], values: FloatArray) -> float:
    """How far the parabola through three instants goes beyond the middle one, the extreme of them."""
    a, b = times[1] - times[0], times[2] - times[1]
    left, right = (values[1] - values[0]) / a, (values[2] - values[1]) / b
    bend = (right - left) / (a + b)
    if bend == 0.0:
        return 0.0
    slope = (left * b + right * a) / (a + b)
    return float(abs(slope * slope / (4.0 * bend)))


class ValuesAlone:
    """A state whose fields have no error: for finding the governing instant among many."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def field(self, name: str, **options: Any) -> Any:
        return SimpleNamespace(values=self._state.field(name, **options).values, error=None, interval=None)

    def expected_stress(self) -> None:
        return None


def _kind(result: Any) -> str:
    """ "static", "thermal", or "" for what is no result."""
    return getattr(result, "physics", "") if hasattr(result, "by_case") else ""


def one_of(
    given: Any, known: Sequence[str], name: str, error: type[DesignTwinError] = RequirementError
) -> None:
    """Raise unless a word is one of those known; the nearest are named."""
    if given in known:
        return
    hint = did_you_mean(str(given), known, n=2)
    raise error(f"{name}={given!r} is unknown{hint} (known: {', '.join(known)})")


def _case_exists(quantity: Quantity, case: str, names: Iterable[str]) -> None:
    known = list(names)
    if case in known:
        return
    hint = did_you_mean(case, known, n=2, cutoff=0.4)
    raise RequirementError(
        f"{quantity.label}: there is no such load case{hint}; there are: {', '.join(known) or 'none'}"
    )


def over_word(over: str, default: str) -> str:
    words = {"max": "largest ", "min": "smallest ", "mean": "mean ", "max_abs": "largest magnitude of "}
    return "" if over == default else words[over]


def instant_of(time: Any, what: str) -> float | None:
    """A time of a requirement, s; None stays."""
    if time is None:
        return None
    si = units.to_si(time, "time", name="time")
    if not isinstance(si, float) or si < 0.0:
        raise RequirementError(f"{what}: time={time!r} is no instant after the start, such as '10 min'")
    return si


def state_at(case: Any, time: float, what: str) -> Any:
    """A case at an instant."""
    if len(frames_of(case)) < 2 or not hasattr(case, "at"):
        raise RequirementError(
            f"{what}: case {case.name!r} is steady and has no instants; leave time= out, or give "
            "ThermalTest(..., duration='20 min', initial='23 degC')"
        )
    return case.at(time)
