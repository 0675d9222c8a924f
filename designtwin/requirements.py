"""Quantities and requirements: one object for tests, the optimizer's constraints and later alarms.

    yield_margin(excluding=near("bolt_holes", "4 mm")) >= 1.5
    displacement("lug", "z") <= "0.4 mm"

A quantity states which analysis it needs and reads one number, with its interval, out of a result. A
comparison makes a requirement of it. All numbers are SI; texts show display units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from designtwin import units
from designtwin.elements import ELEMENTS
from designtwin.errors import (
    DesignTwinError,
    MissingPropertyError,
    RequirementError,
    SelectionError,
    did_you_mean,
)
from designtwin.mesh.locate import locate
from designtwin.mesh.selections import Selection, select
from designtwin.plain import Plain
from designtwin.results.places import mean_weights, measures, rows_of
from designtwin.results.places import region_rows as region_rows  # one door for viz
from designtwin.results.transient import hermite
from designtwin.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.mesh import Mesh
    from designtwin.model.model import Model

PASS, FAIL, CANNOT_TELL = "PASS", "FAIL", "CANNOT TELL"


# ---------------------------------------------------------------------------------------------------
# What a quantity answers
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a value was found.

    Parameters
    ----------
    point : (x, y, z)
        m.
    node : int, optional
        The mesh point there, if it is one.
    near : str
        The nearest named group in words: "on 'lug'", "near 'lug'", "31 mm from 'lug'"; "" without groups.
    """

    point: tuple[float, float, float]
    node: int | None = None
    near: str = ""

    def __str__(self) -> str:
        return (units.show(np.array(self.point), "length") + " " + self.near).rstrip()


@dataclass(frozen=True, kw_only=True)
class Value:
    """A number and the interval the true one is expected in, SI.

    Parameters
    ----------
    value : float
        As computed.
    error : float
        Half-width of the interval, its larger side where it is lopsided; nan where none could be estimated.
    place, case
        Where, and in which load case; None where the question has no meaning (mass, a mean).
    instant : float, optional
        When, s, in a case that has a course in time.
    note : str
        What else a reader should know.
    low, high : float, optional
        The interval; ``value ± error`` unless given.
    """

    value: float
    error: float = 0.0
    place: Place | None = None
    case: str | None = None
    note: str = ""
    low: float = math.nan
    high: float = math.nan
    instant: float | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.error):
            return
        if math.isnan(self.low):
            object.__setattr__(self, "low", self.value - self.error)
        if math.isnan(self.high):
            object.__setattr__(self, "high", self.value + self.error)

    @classmethod
    def between(
        cls, value: float, low: float, high: float, *, place: Place | None = None, case: str | None = None,
        note: str = "", instant: float | None = None,
    ) -> Value:  # fmt: skip
        """A value with a lopsided interval; the error follows from it."""
        low, high = min(low, value), max(high, value)  # nan stays nan: min and max keep their first argument
        error = max(_distance(high, value), _distance(value, low))
        if math.isnan(low) or math.isnan(high):
            error = low = high = math.nan
        return cls(
            value=value, error=error, place=place, case=case, note=note, low=low, high=high, instant=instant
        )

    @property
    def case_text(self) -> str:
        """The load case, and the instant where it has one: "full power at 9 min"."""
        when = "" if self.instant is None else f"at {units.show_time(self.instant)}"
        return f"{self.case or ''} {when}".strip()


def show_value(value: Value, dimension: str) -> str:
    """A value with its error in display units: "0.3961 ± 0.0042 mm", "2.39 +0.25 -0.73" where it is lopsided.

    The error has two digits and the value as many decimals; "± ?" where no error could be estimated. An
    unbounded interval is told by the end that is certain.
    """
    symbol = units.symbol(dimension)
    unit = f" {symbol}" if symbol else ""
    number = float(units.from_si(value.value, dimension))
    if math.isnan(value.low) or math.isnan(value.high):
        return f"{units.show(value.value, dimension).removesuffix(symbol).rstrip()} ± ?{unit}"
    down = _distance(number, float(units.from_si(value.low, dimension)))
    up = _distance(float(units.from_si(value.high, dimension)), number)
    half = max(down, up)
    if half == 0.0 or (math.isfinite(number) and half <= 1e-6 * abs(number)):  # rounding: as good as exact
        return units.show(value.value, dimension)
    if math.isinf(half):
        certain = [
            f"{word} {units.show(end, dimension)}"
            for word, end in (("at least", value.low), ("at most", value.high))
            if math.isfinite(end)
        ]
        return f"{units.show(value.value, dimension)} ({certain[0] if certain else 'no bound'})"  # fmt: skip
    places = max(1 - math.floor(math.log10(half)), 0)
    if max(abs(number), half) >= 1e9 or places > 7:
        return f"{number:.4g} ± {half:.2g}{unit}"
    upper, lower = f"{up:.{places}f}", f"{down:.{places}f}"
    spread = f"± {upper}" if upper == lower else f"+{upper} -{lower}"
    return f"{number:.{places}f} {spread}{unit}"


def show_margin(outcome: Outcome) -> str:
    """A margin for a table: "+22 %" of the limit, or the difference with its unit."""
    if not outcome.requirement.margin_is_relative:
        dimension = outcome.requirement.quantity.dimension
        dimension = "temperature_difference" if dimension == "temperature" else dimension
        text = units.show(outcome.margin, dimension, digits=3)
        return text if outcome.margin < 0.0 else f"+{text}"
    if not math.isfinite(outcome.margin):
        return units.show(outcome.margin, "dimensionless")
    percent = 100.0 * outcome.margin
    if abs(percent) >= 1000.0:
        return f"{'+' if percent > 0 else '-'}{abs(outcome.margin):.3g} times"
    return f"{percent:+.1f} %" if abs(percent) < 10.0 else f"{percent:+.0f} %"


def _distance(a: float, b: float) -> float:
    return 0.0 if a == b else a - b  # equal infinities lie no distance apart


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A requirement judged on a result.

    Parameters
    ----------
    requirement : Requirement
    value : Value
    margin : float
        Positive when met; see ``Requirement.margin``.
    status : str
        "PASS", "FAIL" or "CANNOT TELL".
    excluded : str
        What was left out of the place, in words.
    reason : str
        Why nothing can be told, a sentence; "" otherwise.
    """

    requirement: Requirement
    value: Value
    margin: float
    status: str
    excluded: str = ""
    reason: str = ""


# ---------------------------------------------------------------------------------------------------
# Quantity and requirement
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Quantity(Plain):
    """A number that can be read from a result.

    Subclasses are frozen dataclasses with ``needs``, ``dimension``, ``label`` and ``by_case``. Comparing one
    with ``< <= > >=`` makes a `Requirement`; ``==`` compares the two descriptions, as for any dataclass.
    """

    needs: ClassVar[str] = "model"
    """The result it is read from: "static", "thermal", or "model" (any result, or the model itself)."""
    dimension: ClassVar[str] = "dimensionless"
    """A key of `designtwin.units`."""
    zoned: ClassVar[bool] = False
    """True where the quantity is a field whose bad regions are worth naming."""
    # numpy scalars leave comparisons with us to us
    __array_ufunc__: ClassVar[None] = None

    @property
    def label(self) -> str:
        """The quantity in words, for tables."""
        raise NotImplementedError

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
        if self.needs == "model" or not any(len(_frames(case)) > 1 for case in self.cases_of(result)):
            return self.by_case(result)
        return [self._over_time(result, case, largest) for case in self.cases_of(result)]

    def _over_time(self, result: Any, case: Any, largest: bool) -> Value:
        frames = _frames(case)
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

    def check(self, model: Model) -> None:
        """Find what is wrong with the quantity on this model before anything is solved.

        Raises
        ------
        RequirementError, SelectionError, MissingPropertyError
        """
        case = getattr(self, "case", None)
        if case is not None:
            names = [*model.cases, *(name for name in model.combinations if name not in model.cases)]
            _case_exists(self, case, names)

    def _wrong_result(self, result: Any) -> NoReturn:
        kind = _kind(result)
        call = {
            "static": "StrengthTest or solve_static(model)",
            "thermal": "ThermalTest, solve_thermal(model) or solve_transient(model, ...)",
        }
        raise RequirementError(
            f"{self.label} needs a {self.needs} result, and this is "
            f"{f'a {kind} one' if kind else f'a {type(result).__name__}'}; use {call[self.needs]}"
        )

    def cases_of(self, result: Any) -> list[Any]:
        """The cases of a result this quantity looks at."""
        if _kind(result) != self.needs:
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
    """

    quantity: Quantity
    relation: str
    limit: float

    def __post_init__(self) -> None:
        if self.relation not in _SIGNS:
            raise RequirementError(f"relation {self.relation!r} is not one of {', '.join(_SIGNS)}")
        if not math.isfinite(self.limit):
            raise RequirementError(f"{self.quantity.label}: the limit {self.limit} is not a finite number")

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
        gap = _distance(self.limit, value) if self.is_upper else _distance(value, self.limit)
        return gap / abs(self.limit) if self.margin_is_relative else gap

    def slack(self, value: float) -> float:
        """The margin scaled for an optimizer: of order one, at least 0 when met."""
        margin = self.margin(value)
        return margin / 100.0 if self.quantity.dimension == "temperature" else margin

    def status(self, value: Value) -> str:
        """PASS where the whole interval meets the limit, FAIL where none of it does, else CANNOT TELL.

        An infinite margin, as of a part that nothing loads, is CANNOT TELL too.
        """
        if math.isnan(value.value) or math.isnan(value.low) or math.isnan(value.high):
            return CANNOT_TELL
        if math.isinf(value.value):
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
        value = self.evaluate(result)
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
        if math.isnan(value.value):
            return f"{self.quantity.label} is not a number here"
        if math.isinf(value.value):
            return f"no load case strains the place that {self.quantity.label} asks about: nothing was tested"
        if math.isnan(value.low) or math.isnan(value.high):
            return f"no error could be estimated for {self.quantity.label}"
        show, dimension = units.show, self.quantity.dimension
        where = f" {value.place.near}" if value.place is not None and value.place.near else ""
        narrows = f"a finer mesh{where} narrows this"
        if value.instant is not None and self.quantity.needs == "thermal":
            narrows = f"a finer mesh{where} or a smaller tolerance in time narrows this"
        if isinstance(self.quantity, TimeTo) and math.isinf(value.high):
            narrows = "a longer duration tells"
        return (
            f"the limit {show(self.limit, dimension)} lies within "
            f"{show(value.low, dimension)} to {show(value.high, dimension)}; {narrows}"
        )

    def __bool__(self) -> NoReturn:
        raise RequirementError(
            f"'{self}' has no truth of its own, as in a chained comparison: write two requirements; "
            "judge(result) decides one"
        )

    def __str__(self) -> str:
        return f"{self.quantity.label} {self.limit_text}"


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
        instant=governing.instant,
    )  # fmt: skip


def _frames(case: Any) -> Sequence[Any]:
    """The instants of a case, or itself where it has no course in time."""
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

    def field(self, name: str) -> Any:
        return SimpleNamespace(values=self._state.field(name).values, error=None)


# ---------------------------------------------------------------------------------------------------
# Fields over places
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """A field with its interval, on the rows a quantity looks at.

    Parameters
    ----------
    rows : int64[k]
        Mesh points, or rows of `ResultPoints`, as `location` says.
    values, low, high : float64[k]
        SI; nan in the interval where no error could be estimated.
    location : str
        "points" or "result_points".
    """

    rows: IntArray
    values: FloatArray
    low: FloatArray
    high: FloatArray
    location: str


OVER = ("max_abs", "max", "min", "mean")


@dataclass(frozen=True, kw_only=True)
class FieldQuantity(Quantity):
    """An extreme or the mean of a field over a place.

    Subclasses give `_field`: values and interval on all rows of a case.
    """

    zoned: ClassVar[bool] = True
    on: Selection | None = None
    case: str | None = None
    excluding: Selection | None = None
    over: str = "max"

    def __post_init__(self) -> None:
        for name in ("on", "excluding"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else select(given))
        if self.case is not None and not isinstance(self.case, str):
            raise RequirementError(f"case={self.case!r} is no name of a load case; None means all of them")
        one_of(self.over, OVER, "over")

    @property
    def largest_governs(self) -> bool:
        return self.over != "min"

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Values, lower and upper ends at these rows."""
        raise NotImplementedError

    @property
    def location(self) -> str:
        """Where the field lives: "points" or "result_points"."""
        return "result_points"

    def band(self, result: Any, case: Any) -> Band:
        """The field in one case on the rows of the place."""
        rows = self.rows(result)
        values, low, high = self._field(case, rows)
        return Band(rows=rows, values=values, low=low, high=high, location=self.location)

    def rows(self, result: Any) -> IntArray:
        """The rows of the place, what is excluded left out.

        Raises
        ------
        RequirementError
            If nothing is left.
        """
        rows = rows_of(result.model, result.points, self.on, self.location, excluding=self.excluding)
        if not len(rows):
            self._nothing_left()
        return rows

    def _nothing_left(self) -> NoReturn:
        place = "the whole part" if self.on is None else str(self.on)
        raise RequirementError(
            f"{self.label}: nothing is left of {place} once {self.excluded} is excluded; exclude less"
        )

    def check(self, model: Model) -> None:
        super().check(model)
        nodes = model.mesh.used_nodes if self.on is None else model.region(self.on).nodes
        if self.excluding is None:
            return
        excluded = model.region(self.excluding)
        # with cells on both sides of a border only the result can tell
        if (self.on is None or not len(excluded.cells)) and np.isin(nodes, excluded.nodes).all():
            self._nothing_left()

    def by_case(self, result: Any) -> list[Value]:
        return [self._over_time(result, case, self.largest_governs) for case in self.cases_of(result)]

    def states_of(self, case: Any) -> Sequence[Any]:
        """The states of a case that count: its instants, or itself."""
        return _frames(case)

    def _of_state(self, result: Any, state: Any) -> Value:
        return self._reduce(result, state)

    def _number(self, result: Any, state: Any) -> float:
        band = self.band(result, ValuesAlone(state))
        if self.over == "mean":
            nodes = band.rows if band.location == "points" else result.points.node[band.rows]
            return float(mean_weights(result.model, self.on, nodes) @ band.values)
        if self.over == "max_abs":
            return float(np.abs(band.values).max())
        return float(band.values.min() if self.over == "min" else band.values.max())

    def _reduce(self, result: Any, case: Any) -> Value:
        band = self.band(result, case)
        mesh = result.model.mesh
        if self.over == "mean":
            nodes = band.rows if band.location == "points" else result.points.node[band.rows]
            weight = mean_weights(result.model, self.on, nodes)
            mean = float(weight @ band.values)
            # the mean half-width; weights of corners may be negative in quadratic cells
            size = np.abs(weight)
            half = float(size @ (band.high - band.low)) / float(2.0 * size.sum())
            return Value(value=mean, error=half, case=case.name, note="mean over the place")
        values, low, high, note = band.values, band.low, band.high, ""
        if self.over == "max_abs":
            signed = values
            values, low, high = magnitude(values, low, high)
        if self.over == "min":
            row = int(np.argmin(values))
            interval = float(np.min(low)), float(np.min(high))
        else:
            row = int(np.argmax(values))
            interval = float(np.max(low)), float(np.max(high))
        if self.over == "max_abs" and signed[row] < 0.0:
            note = f"magnitude; it is {units.show(float(signed[row]), self.dimension)} there"
        node = int(band.rows[row] if band.location == "points" else result.points.node[band.rows[row]])
        return Value.between(
            float(values[row]),
            *interval,
            place=place_of_node(mesh, node, prefer=getattr(self.on, "name", "")),
            case=case.name,
            note=note,
        )

    def _place_words(self, preposition: str = "on") -> str:
        words = "" if self.on is None else f" {preposition} {self.on}"
        return words + ("" if self.case is None else f" in case '{self.case}'")


def magnitude(
    values: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Absolute values with their intervals; an interval that holds 0 has 0 as its lower end."""
    return np.abs(values), np.maximum(np.maximum(low, -high), 0.0), np.maximum(np.abs(low), np.abs(high))


def read_field(case: Any, name: str, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values and interval of a named scalar field at rows; nan where the result has no estimate."""
    field = case.field(name)
    values = np.asarray(field.values, np.float64)[rows]
    if field.error is None:
        nothing = np.full(len(rows), np.nan)
        return values, nothing, nothing
    error = np.abs(np.asarray(field.error, np.float64))[rows]
    return values, values - error, values + error


# ---------------------------------------------------------------------------------------------------
# Places in words
# ---------------------------------------------------------------------------------------------------


def place_of_node(mesh: Mesh, node: int, *, prefer: str = "") -> Place:
    """The place of a mesh point."""
    return place_of_point(mesh, mesh.points[node], node=node, prefer=prefer)


def group_nodes(mesh: Mesh) -> Iterator[tuple[str, IntArray]]:
    """Names and nodes of the groups that hold any."""
    for name in mesh.groups:
        try:
            yield name, select(name).resolve(mesh).nodes
        except SelectionError:  # an empty group is no place
            continue


def place_of_point(
    mesh: Mesh, point: Sequence[float] | FloatArray, *, node: int | None = None, prefer: str = ""
) -> Place:
    """A point with the nearest named group in words.

    Groups that hold most of the part say nothing about a place and are passed over; of groups equally near
    the preferred one or the smallest is named.
    """
    at = np.asarray(point, np.float64)
    best: tuple[float, int, str] | None = None
    for name, nodes in group_nodes(mesh):
        if len(nodes) > 0.5 * len(mesh.used_nodes):
            continue
        distance = float(np.sqrt(((mesh.points[nodes] - at) ** 2).sum(axis=1).min()))
        key = (round(distance / mesh.size, 6), 0 if name == prefer else len(nodes), name)
        best = key if best is None else min(best, key)
    words = ""
    if best is not None:
        share, _, name = best
        words = f"on '{name}'" if share < 1e-5 else f"near '{name}'"
        if share > 0.15:
            words = f"{units.show(share * mesh.size, 'length', digits=2)} from '{name}'"
    x, y, z = (float(c) for c in at)
    return Place(point=(x, y, z), node=node, near=words)


# ---------------------------------------------------------------------------------------------------
# Displacement, temperature, stress
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DisplacementQuantity(FieldQuantity):
    """Displacement over a place; see `displacement`."""

    needs: ClassVar[str] = "static"
    dimension: ClassVar[str] = "length"
    zoned: ClassVar[bool] = False  # no region of a part is guilty of how far it moves
    component: str = "magnitude"
    over: str = "max_abs"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.component, ("x", "y", "z", "magnitude"), "component")

    @property
    def location(self) -> str:
        return "points"

    @property
    def label(self) -> str:
        what = "displacement" if self.component == "magnitude" else f"displacement {self.component}"
        return f"{_over_word(self.over, 'max_abs')}{what}{self._place_words('of')}"

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        if self.component != "magnitude":
            return read_field(case, f"u{self.component}", rows)
        field = case.field("displacement")
        values = np.linalg.norm(np.asarray(field.values, np.float64)[rows], axis=1)
        if field.error is None:
            nothing = np.full(len(rows), np.nan)
            return values, nothing, nothing
        error = np.asarray(field.error, np.float64)[rows]
        error = np.linalg.norm(error, axis=1) if error.ndim == 2 else np.abs(error)
        return values, np.maximum(values - error, 0.0), values + error


@dataclass(frozen=True, kw_only=True)
class TemperatureQuantity(FieldQuantity):
    """Temperature over a place; see `temperature`."""

    needs: ClassVar[str] = "thermal"
    dimension: ClassVar[str] = "temperature"
    time: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.over, ("max", "min", "mean"), "over")
        object.__setattr__(self, "time", _instant(self.time, type(self).__name__))

    def _over_time(self, result: Any, case: Any, largest: bool) -> Value:
        if self.time is None:
            return super()._over_time(result, case, largest)
        (state,) = self.states_of(case)
        return replace(self._reduce(result, state), case=case.name, instant=self.time)

    def states_of(self, case: Any) -> Sequence[Any]:
        if self.time is None:
            return super().states_of(case)
        return (_state_at(case, self.time, self.label),)

    @property
    def location(self) -> str:
        return "points"

    @property
    def label(self) -> str:
        when = "" if self.time is None else f" at {units.show_time(self.time)}"
        return f"{_over_word(self.over, 'max')}temperature{self._place_words('of')}{when}"

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return read_field(case, "temperature", rows)


STRESSES = {
    "von_mises": "von Mises stress",
    "tresca": "Tresca stress",
    "max_principal": "largest principal stress",
    "principal_1": "principal stress 1",
    "principal_2": "principal stress 2",
    "principal_3": "principal stress 3",
    **{c: f"stress {c}" for c in ("xx", "yy", "zz", "xy", "yz", "xz")},
}
_STRESS_FIELD = {
    "max_principal": "principal_1",
    **{c: f"stress_{c}" for c in ("xx", "yy", "zz", "xy", "yz", "xz")},
}


@dataclass(frozen=True, kw_only=True)
class StressQuantity(FieldQuantity):
    """Stress over a place or at a point; see `stress`."""

    needs: ClassVar[str] = "static"
    dimension: ClassVar[str] = "stress"
    component: str = "von_mises"
    at: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.component, tuple(STRESSES), "component")
        if self.at is None:
            return
        if self.on is not None or self.excluding is not None:
            raise RequirementError("stress(at=point) takes neither on= nor excluding=: it looks at one point")
        point = np.asarray(units.to_si(self.at, "length", name="at"))
        if point.shape not in ((2,), (3,)):
            raise RequirementError(
                f"at={self.at!r} is no point; give (x, y, z), such as ('10 mm', '0 mm', '5 mm')"
            )
        x, y, z = (float(c) for c in np.resize(np.append(point, 0.0), 3))
        object.__setattr__(self, "at", (x, y, z))

    @property
    def label(self) -> str:
        what = STRESSES[self.component]
        if self.at is not None:
            case = "" if self.case is None else f" in case '{self.case}'"
            return f"{what} at {units.show(np.array(self.at), 'length')}{case}"
        return f"{_over_word(self.over, 'max')}{what}{self._place_words()}"

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return read_field(case, _STRESS_FIELD.get(self.component, self.component), rows)

    def _number(self, result: Any, state: Any) -> float:
        if self.at is None:
            return super()._number(result, state)
        return self._reduce(result, ValuesAlone(state)).value

    def _reduce(self, result: Any, case: Any) -> Value:
        if self.at is None:
            return super()._reduce(result, case)
        return _probe(result, case, _STRESS_FIELD.get(self.component, self.component), self.at)


def _probe(result: Any, case: Any, name: str, at: tuple[float, float, float]) -> Value:
    """A field at a point, interpolated in its cell; the interval is interpolated likewise."""
    mesh, points = result.model.mesh, result.points
    place = locate(mesh, np.array([at]))[0]
    weights = ELEMENTS[place.element].shape(place.xi)[0]
    rows = next(rows[ids == place.cell][0] for _, ids, rows in points.cells if (ids == place.cell).any())
    values, low, high = read_field(case, name, rows)
    value, half = float(weights @ values), float(np.abs(weights) @ (high - low)) / 2.0
    return Value(value=value, error=half, place=place_of_point(mesh, at), case=case.name)


# ---------------------------------------------------------------------------------------------------
# Strength margins
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class YieldMargin(FieldQuantity):
    """Yield strength over equivalent stress; see `yield_margin`."""

    needs: ClassVar[str] = "static"
    over: str = "min"
    criterion: str = "von_mises"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.over, ("min",), "over")
        one_of(self.criterion, ("von_mises", "tresca"), "criterion")

    @property
    def label(self) -> str:
        name = {"von_mises": "von Mises", "tresca": "Tresca"}[self.criterion]
        return f"yield margin ({name}){self._place_words()}"

    def check(self, model: Model) -> None:
        super().check(model)
        check_strength(model, "yield_strength", self.label, self.on)

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        stress, low, high = read_field(case, self.criterion, rows)
        strength = strength_at(case, rows, "yield_strength", self.label)
        return ratio(strength, stress), ratio(strength, high), ratio(strength, np.maximum(low, 0.0))


@dataclass(frozen=True, kw_only=True)
class BrittleMargin(FieldQuantity):
    """Ultimate strength over principal stress; see `brittle_margin`."""

    needs: ClassVar[str] = "static"
    over: str = "min"
    criterion: str = "rankine"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.over, ("min",), "over")
        one_of(self.criterion, ("rankine", "mohr_coulomb"), "criterion")

    @property
    def label(self) -> str:
        name = {"rankine": "Rankine", "mohr_coulomb": "Mohr-Coulomb"}[self.criterion]
        return f"brittle margin ({name}){self._place_words()}"

    def check(self, model: Model) -> None:
        super().check(model)
        check_strength(model, "ultimate_strength", self.label, self.on)
        if self.criterion == "mohr_coulomb":
            check_strength(model, "compressive_strength", self.label, self.on)

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        first, third = read_field(case, "principal_1", rows), read_field(case, "principal_3", rows)
        tensile = strength_at(case, rows, "ultimate_strength", self.label)
        none = math.inf if self.criterion == "rankine" else None
        compressive = strength_at(case, rows, "compressive_strength", self.label, otherwise=none)
        coulomb = self.criterion == "mohr_coulomb"
        one = np.ones(len(rows))
        # the utilization grows with the first and falls with the third principal stress
        value, low, high = (
            brittle_utilization(first[i], third[j], tensile, compressive, coulomb=coulomb)
            for i, j in ((0, 0), (1, 2), (2, 1))
        )
        return ratio(one, value), ratio(one, high), ratio(one, low)


def brittle_utilization(
    first: FloatArray, third: FloatArray, tensile: FloatArray, compressive: FloatArray, *, coulomb: bool
) -> FloatArray:
    """Demand over allowable of a brittle material, float64[k], never negative.

    Rankine bounds the first principal stress by the tensile strength, and the third by the compressive one
    (inf leaves it out); Mohr-Coulomb also their sum, ``s1 / St - s3 / Sc``, where one pulls and the other
    pushes.

    Source: Budynas & Nisbett, Shigley's Mechanical Engineering Design, 9th ed. (2011), sec. 5-8.
    """
    pull, push = first / tensile, -third / compressive
    out = np.maximum(np.maximum(pull, push), 0.0)
    return np.maximum(out, pull + push) if coulomb else out


def ratio(strength: FloatArray, stress: FloatArray) -> FloatArray:
    """Strength over stress, infinite where the stress is zero."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(strength / np.abs(stress))


def parts_on(model: Any, on: Selection | None) -> IntArray:
    """Indices of the parts a place touches."""
    every: IntArray = np.arange(len(model.parts))
    if on is None:
        return every
    region = model.region(on)
    if len(region.cells):
        return np.unique(model.part_of_cell[region.cells])
    if len(region.facets):
        return np.unique(model.part_of_cell[region.facets[:, 0]])
    return every  # the rows of bare nodes are known only with a result


def check_strength(model: Any, name: str, needed_by: str, on: Selection | None) -> None:
    """Raise MissingPropertyError unless every material of the place states a strength."""
    for index in parts_on(model, on):
        _require(model.parts[index], name, needed_by)


def _require(part: Any, name: str, needed_by: str) -> None:
    try:
        part.section.material.require(name, test=needed_by)
    except MissingPropertyError as error:
        raise MissingPropertyError(f"part {part.name!r}: {error}") from error


def strength_at(
    case: Any, rows: IntArray, name: str, needed_by: str, *, otherwise: float | None = None
) -> FloatArray:
    """A strength at result points float64[k], Pa, at the temperature of the case.

    A combination has the lowest strength of the cases it combines. `otherwise` stands in for materials that
    do not state it, which are an error without it.
    """
    if getattr(case, "parts", ()):
        each = [strength_at(one, rows, name, needed_by, otherwise=otherwise) for _, one in case.parts]
        return np.asarray(np.min(each, axis=0))
    points, model = case.points, case.model
    state = None if case.case is None else case.case.temperature
    kelvin = None if state is None else state.at_nodes(model)[points.node[rows]]
    out = np.empty(len(rows))
    for index in np.unique(points.part[rows]):
        here = points.part[rows] == index
        material = model.parts[index].section.material
        if material.magnitude(name) is None and otherwise is not None:
            out[here] = otherwise
            continue
        _require(model.parts[index], name, needed_by)
        out[here] = material.at(name, None if kelvin is None else kelvin[here], test=needed_by)
    return out


# ---------------------------------------------------------------------------------------------------
# Mass and reaction
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class MassQuantity(Quantity):
    """Mass of the part; see `mass`."""

    needs: ClassVar[str] = "model"
    dimension: ClassVar[str] = "mass"

    @property
    def label(self) -> str:
        return "mass"

    def by_case(self, result: Any) -> list[Value]:
        model = getattr(result, "model", result)
        if not hasattr(model, "cell_density"):
            raise RequirementError(f"mass needs a model or a result, not a {type(result).__name__}")
        return [Value(value=total_mass(model))]

    def check(self, model: Model) -> None:
        model.cell_density(needed_by=self.label)


def total_mass(model: Any) -> float:
    """Density integrated over all cells, kg; over the full turn where the model is axisymmetric.

    Masses attached to the part are not of it.
    """
    mesh = model.mesh
    density = model.cell_density(needed_by="mass") * model.cell_scale()
    total = 0.0
    for name, ids, conn in mesh.blocks():
        total += float(np.einsum("cq,c->", measures(model, name, conn)[1], density[ids]))
    return total


@dataclass(frozen=True, kw_only=True)
class ReactionQuantity(Quantity):
    """Force a support exerts on the part; see `reaction`."""

    needs: ClassVar[str] = "static"
    dimension: ClassVar[str] = "force"
    on: Selection
    component: str = "magnitude"
    over: str = "max_abs"
    case: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", select(self.on))
        one_of(self.component, ("x", "y", "z", "magnitude"), "component")
        one_of(self.over, ("max_abs", "max", "min"), "over")

    @property
    def largest_governs(self) -> bool:
        return self.over != "min"

    @property
    def label(self) -> str:
        what = "reaction" if self.component == "magnitude" else f"reaction {self.component}"
        case = "" if self.case is None else f" in case '{self.case}'"
        return f"{_over_word(self.over, 'max_abs')}{what} at {self.on}{case}"

    def check(self, model: Model) -> None:
        super().check(model)
        model.region(self.on)

    def by_case(self, result: Any) -> list[Value]:
        return [self._over_time(result, case, self.largest_governs) for case in self.cases_of(result)]

    def _number(self, result: Any, state: Any) -> float:
        force = np.asarray(state.reaction(self.on), np.float64)
        if self.component == "magnitude":
            return float(np.linalg.norm(force))
        value = float(force["xyz".index(self.component)])
        return abs(value) if self.over == "max_abs" else value

    def _of_state(self, result: Any, state: Any) -> Value:
        case, nodes = state, result.model.region(self.on).nodes
        force = np.asarray(case.reaction(self.on), np.float64)
        forces = np.asarray(case.reactions, np.float64)
        largest = max(float(np.linalg.norm(case.applied)), float(np.linalg.norm(force)))
        half = float(abs(case.imbalance)) * largest
        elsewhere = np.delete(forces, nodes, axis=0)
        if elsewhere.size and np.abs(elsewhere).max() > 1e-9 * np.abs(forces).max():
            # With other supports the share of this one is computed; what the whole mesh leaves open of it
            # goes with the energy error squared, as it does for displacements.
            share = min(4.0 * float(case.energy_error) ** 2, 1.0)
            half += share * float(np.linalg.norm(np.abs(forces[nodes]).sum(axis=0)))
        value, note = float(np.linalg.norm(force)), ""
        if self.component != "magnitude":
            value = float(force["xyz".index(self.component)])
            if self.over == "max_abs" and value < 0.0:
                value, note = -value, f"magnitude; it is {units.show(value, self.dimension)} there"
        low = value - half
        if self.over == "max_abs" or self.component == "magnitude":
            low = max(low, 0.0)
        return Value.between(value, low, value + half, case=case.name, note=note)


# ---------------------------------------------------------------------------------------------------
# Heat
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HeatBalance(Quantity):
    """Heat that is put in and not found again; see `heat_balance`."""

    needs: ClassVar[str] = "thermal"
    dimension: ClassVar[str] = "share"
    case: str | None = None

    @property
    def label(self) -> str:
        return "heat balance" + ("" if self.case is None else f" in case '{self.case}'")

    def extremes(self, result: Any, *, largest: bool) -> list[Value]:
        return self.by_case(result)

    def by_case(self, result: Any) -> list[Value]:
        return [Value(value=abs(float(case.imbalance)), case=case.name) for case in self.cases_of(result)]


@dataclass(frozen=True, kw_only=True)
class HeatQuantity(Quantity):
    """Heat that flows in through a place; see `heat`."""

    needs: ClassVar[str] = "thermal"
    dimension: ClassVar[str] = "power"
    on: Selection
    over: str = "max_abs"
    case: str | None = None
    time: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", select(self.on))
        one_of(self.over, ("max_abs", "max", "min"), "over")
        object.__setattr__(self, "time", _instant(self.time, type(self).__name__))

    @property
    def largest_governs(self) -> bool:
        return self.over != "min"

    @property
    def label(self) -> str:
        case = "" if self.case is None else f" in case '{self.case}'"
        when = "" if self.time is None else f" at {units.show_time(self.time)}"
        return f"{_over_word(self.over, 'max_abs')}heat through {self.on}{case}{when}"

    def check(self, model: Model) -> None:
        super().check(model)
        model.region(self.on)

    def by_case(self, result: Any) -> list[Value]:
        return [self._over_time(result, case, self.largest_governs) for case in self.cases_of(result)]

    def _over_time(self, result: Any, case: Any, largest: bool) -> Value:
        if self.time is None:
            return super()._over_time(result, case, largest)
        state = _state_at(case, self.time, self.label)
        return replace(self._of_state(result, state), case=case.name, instant=self.time)

    def _number(self, result: Any, state: Any) -> float:
        value = float(state.heat(self.on))
        return abs(value) if self.over == "max_abs" else value

    def _of_state(self, result: Any, state: Any) -> Value:
        value, half = float(state.heat(self.on)), float(state.heat_error(self.on))
        note, low = "", value - half
        if self.over == "max_abs":
            note = f"magnitude; it is {units.show(value, self.dimension)}" if value < 0.0 else ""
            value = abs(value)
            low = max(value - half, 0.0)
        return Value.between(value, low, value + half, case=state.name, note=note)


@dataclass(frozen=True, kw_only=True)
class TimeTo(FieldQuantity):
    """When a place reaches a temperature; see `time_to`."""

    needs: ClassVar[str] = "thermal"
    dimension: ClassVar[str] = "time"
    zoned: ClassVar[bool] = False
    temperature: float = math.nan

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.over, ("max", "min", "mean"), "over")
        level = units.to_si(self.temperature, "temperature", name="time_to temperature")
        if not isinstance(level, float):
            raise RequirementError(f"time_to: one temperature is wanted, got {self.temperature!r}")
        object.__setattr__(self, "temperature", level)

    @property
    def location(self) -> str:
        return "points"

    @property
    def largest_governs(self) -> bool:
        return False

    @property
    def label(self) -> str:
        what = f"{_over_word(self.over, 'max')}temperature{self._place_words('of')}"
        return f"time until {what} is {units.show(self.temperature, 'temperature')}"

    def extremes(self, result: Any, *, largest: bool) -> list[Value]:
        return self.by_case(result)

    def by_case(self, result: Any) -> list[Value]:
        return [self._reached(result, case) for case in self.cases_of(result)]

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return read_field(case, "temperature", rows)

    def _reached(self, result: Any, case: Any) -> Value:
        frames = _frames(case)
        if len(frames) < 2 or not hasattr(case, "at"):
            raise RequirementError(
                f"{self.label}: case {case.name!r} is steady and has no course in time; give "
                "ThermalTest(..., duration='20 min', initial='23 degC')"
            )
        times = np.asarray(case.times, np.float64)
        course = np.array([self._number(result, frame) for frame in frames])
        rising = bool(course[0] < self.temperature)
        reached = first_crossing(times, course, self.temperature, rising=rising)
        end = float(times[-1])
        state = case.at(end if math.isinf(reached) else reached)
        half = float(state.temperature_error)
        # A course that is warmer by its error gets there sooner, a cooler one later.
        early, late = (
            first_crossing(times, course + sign * half, self.temperature, rising=rising)
            for sign in ((1.0, -1.0) if rising else (-1.0, 1.0))
        )
        if math.isinf(reached):
            show, span = units.show, units.show_time(end)
            extreme = float(course.max() if rising else course.min())
            note = f"not reached in {span}, when it had come to {show(extreme, 'temperature')}"
            return Value.between(end, min(early, end), math.inf, case=case.name, note=note)
        found = self._reduce(result, state)
        return Value.between(
            reached, early, late, place=found.place, case=case.name, instant=reached, note=found.note
        )


def first_crossing(times: FloatArray, values: FloatArray, level: float, *, rising: bool) -> float:
    """When a course first reaches a level, s; inf if it does not. Between instants it is a cubic."""
    sign = 1.0 if rising else -1.0
    there = np.flatnonzero(sign * (values - level) >= 0.0)
    if not len(there):
        return math.inf
    i = int(there[0])
    if i == 0:
        return float(times[0])
    low, high = float(times[i - 1]), float(times[i])
    for _ in range(60):  # the cubic is monotone between two instants
        middle = 0.5 * (low + high)
        some, value = hermite(times, middle)
        if sign * (float(value(values[some])) - level) >= 0.0:
            high = middle
        else:
            low = middle
    return high


def _instant(time: Any, what: str) -> float | None:
    """A time of a requirement, s; None stays."""
    if time is None:
        return None
    si = units.to_si(time, "time", name="time")
    if not isinstance(si, float) or si < 0.0:
        raise RequirementError(f"{what}: time={time!r} is no instant after the start, such as '10 min'")
    return si


def _state_at(case: Any, time: float, what: str) -> Any:
    """A case at an instant."""
    if len(_frames(case)) < 2 or not hasattr(case, "at"):
        raise RequirementError(
            f"{what}: case {case.name!r} is steady and has no instants; leave time= out, or give "
            "ThermalTest(..., duration='20 min', initial='23 degC')"
        )
    return case.at(time)


# ---------------------------------------------------------------------------------------------------
# The public functions
# ---------------------------------------------------------------------------------------------------


def displacement(
    on: str | Selection | None = None,
    component: str = "magnitude",
    *,
    over: str = "max_abs",
    case: str | None = None,
    excluding: str | Selection | None = None,
) -> DisplacementQuantity:
    """Displacement over a place, m.

    Parameters
    ----------
    on : group name or selection, optional
        The place; the whole part unless given.
    component : str
        "x", "y", "z" or "magnitude".
    over : str
        "max_abs", the largest magnitude (a positive number); "max" and "min" keep signs; "mean" is by area or
        volume.
    case : str, optional
        One load case; the envelope of all unless given.
    excluding : group name or selection, optional
        Left out of the place.
    """
    return DisplacementQuantity(on=on, component=component, over=over, case=case, excluding=excluding)  # type: ignore[arg-type]


def temperature(
    on: str | Selection | None = None,
    *,
    over: str = "max",
    case: str | None = None,
    excluding: str | Selection | None = None,
    time: Any = None,
) -> TemperatureQuantity:
    """Temperature over a place, K; in a test over time at every instant, the worst of which is named.

    Parameters
    ----------
    on, case, excluding
        As `displacement`.
    over : str
        "max", "min" or "mean".
    time : time, optional
        At this instant alone, such as "10 min".
    """
    return TemperatureQuantity(on=on, over=over, case=case, excluding=excluding, time=time)  # type: ignore[arg-type]


def heat_balance(*, case: str | None = None) -> HeatBalance:
    """Heat put in less heat taken out and stored, over the heat moved; the largest over time.

    A result that solves its equations balances to rounding. What is left tells how far to trust it.
    """
    return HeatBalance(case=case)


def heat(
    on: str | Selection, *, over: str = "max_abs", case: str | None = None, time: Any = None
) -> HeatQuantity:
    """Heat that prescribed temperatures, convection and radiation put in through a place, W.

    Parameters
    ----------
    on : group name or selection
        Faces (or nodes of prescribed temperature); see ``ThermalCase.heat``.
    over : str
        "max_abs", the largest magnitude over cases and time; "max" and "min" keep signs: heat into the part
        is positive.
    case : str, optional
        One load case; the envelope of all unless given.
    time : time, optional
        At this instant alone, such as "10 min".
    """
    return HeatQuantity(on=on, over=over, case=case, time=time)  # type: ignore[arg-type]


def time_to(
    on: str | Selection | None = None,
    temperature: Any = None,
    *,
    over: str = "max",
    case: str | None = None,
    excluding: str | Selection | None = None,
) -> TimeTo:
    """Time from the start until a place has a temperature, s: ``time_to("die", "95 degC") >= "5 min"``.

    It is first reached from below where the place starts colder, from above where it starts warmer. Where it
    is not reached in the time that was computed, the value is that time and the interval has no upper end.

    Parameters
    ----------
    on, case, excluding
        As `displacement`.
    temperature : temperature
    over : str
        "max": when the first point of the place gets there on warming, the last on cooling; "min": the other
        way round; "mean".
    """
    if temperature is None:
        raise RequirementError("time_to lacks a temperature; write time_to('die', '95 degC') >= '5 min'")
    return TimeTo(on=on, temperature=temperature, over=over, case=case, excluding=excluding)  # type: ignore[arg-type]


def stress(
    component: str = "von_mises",
    *,
    at: Sequence[Any] | None = None,
    on: str | Selection | None = None,
    over: str = "max",
    case: str | None = None,
    excluding: str | Selection | None = None,
) -> StressQuantity:
    """Recovered stress at a point or over a place, Pa.

    Parameters
    ----------
    component : str
        "von_mises", "tresca", "xx" "yy" "zz" "xy" "yz" "xz", "principal_1" to "principal_3" (descending) or
        "max_principal".
    at : (x, y, z), optional
        One point, in m or with units: ("10 mm", "0 mm", "5 mm").
    on, over, case, excluding
        As `displacement`; over "max" unless given.
    """
    return StressQuantity(component=component, at=at, on=on, over=over, case=case, excluding=excluding)  # type: ignore[arg-type]


def yield_margin(
    *,
    on: str | Selection | None = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
    criterion: str = "von_mises",
) -> YieldMargin:
    """Yield strength over equivalent stress, the smallest over the place; infinite where nothing is stressed.

    Parameters
    ----------
    on, case, excluding
        As `displacement`.
    criterion : str
        "von_mises" (drawn as the field ``safety_factor``) or "tresca".
    """
    return YieldMargin(on=on, case=case, excluding=excluding, criterion=criterion)  # type: ignore[arg-type]


def brittle_margin(
    criterion: str = "rankine",
    *,
    on: str | Selection | None = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
) -> BrittleMargin:
    """Ultimate strength over principal stress, the smallest over the place.

    Parameters
    ----------
    criterion : str
        "rankine": the largest principal stress against the ultimate strength, and the smallest against the
        compressive strength where the material states one; "mohr_coulomb" needs both. See
        `brittle_utilization`.
    on, case, excluding
        As `displacement`.
    """
    return BrittleMargin(criterion=criterion, on=on, case=case, excluding=excluding)  # type: ignore[arg-type]


def mass() -> MassQuantity:
    """Mass of the part, kg; needs a density for every material. Masses attached to it are not counted."""
    return MassQuantity()


def reaction(
    on: str | Selection, component: str = "magnitude", *, over: str = "max_abs", case: str | None = None
) -> ReactionQuantity:
    """Total force a support exerts on the part, N.

    Parameters
    ----------
    on : group name or selection
        Where the part is held.
    component : str
        "x", "y", "z" or "magnitude".
    over : str
        "max_abs", the largest magnitude over the load cases; "max" and "min" keep signs.
    case : str, optional
        One load case; the envelope of all unless given.
    """
    return ReactionQuantity(on=on, component=component, over=over, case=case)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------
# Small helpers
# ---------------------------------------------------------------------------------------------------


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
        f"{quantity.label}: there is no such load case{hint or ';'} It has: {', '.join(known) or 'none'}"
    )


def _over_word(over: str, default: str) -> str:
    words = {"max": "largest ", "min": "smallest ", "mean": "mean ", "max_abs": "largest magnitude of "}
    return "" if over == default else words[over]
