"""Heat through places and its balance, and when a temperature is reached."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from designtwin import units
from designtwin.errors import RequirementError
from designtwin.mesh.selections import Selection, select
from designtwin.requirements.base import Quantity, frames_of, instant_of, one_of, over_word, state_at
from designtwin.requirements.fields import FieldQuantity, read_field
from designtwin.requirements.values import Value
from designtwin.results.transient import hermite
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.model.model import Model


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
        object.__setattr__(self, "time", instant_of(self.time, type(self).__name__))

    @property
    def largest_governs(self) -> bool:
        return self.over != "min"

    @property
    def label(self) -> str:
        case = "" if self.case is None else f" in case '{self.case}'"
        when = "" if self.time is None else f" at {units.show_time(self.time)}"
        return f"{over_word(self.over, 'max_abs')}heat through {self.on}{case}{when}"

    def check(self, model: Model) -> None:
        super().check(model)
        model.region(self.on)

    def by_case(self, result: Any) -> list[Value]:
        return [self._over_time(result, case, self.largest_governs) for case in self.cases_of(result)]

    def _over_time(self, result: Any, case: Any, largest: bool) -> Value:
        if self.time is None:
            return super()._over_time(result, case, largest)
        state = state_at(case, self.time, self.label)
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
        what = f"{over_word(self.over, 'max')}temperature{self._place_words('of')}"
        return f"time until {what} is {units.show(self.temperature, 'temperature')}"

    def extremes(self, result: Any, *, largest: bool) -> list[Value]:
        return self.by_case(result)

    def by_case(self, result: Any) -> list[Value]:
        return [self._reached(result, case) for case in self.cases_of(result)]

    def narrowed(self, value: Value, limit: float = math.nan) -> str:
        return "a longer duration tells" if math.isinf(value.high) else super().narrowed(value, limit)

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return read_field(case, "temperature", rows)

    def _reached(self, result: Any, case: Any) -> Value:
        frames = frames_of(case)
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
