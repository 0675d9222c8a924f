"""Natural frequencies, bands without modes, accelerations of a response, factors of buckling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from designtwin import units
from designtwin.errors import RequirementError
from designtwin.mesh.selections import Selection
from designtwin.requirements.base import Quantity, Requirement, one_of
from designtwin.requirements.fields import DisplacementQuantity
from designtwin.requirements.values import CANNOT_TELL, FAIL, PASS, Value, place_of_node
from designtwin.typing import BoolArray, FloatArray

DIRECTIONS = ("x", "y", "z", "rx", "ry", "rz")
_SHARE = 0.1
"""Effective mass over the whole mass from which a mode is one of its direction."""


# ---------------------------------------------------------------------------------------------------
# Natural frequencies
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ModeQuantity(Quantity):
    """What is read from the natural frequencies: of all modes that deform the part, or of those that count.

    Parameters
    ----------
    direction : str, optional
        "x", "y", "z", "rx", "ry", "rz": modes alone that have mass along (or inertia about) it.
    share : float
        Of the whole mass, from which on a mode has mass along it.
    """

    needs: ClassVar[str] = "vibration"
    dimension: ClassVar[str] = "frequency"
    direction: str | None = None
    share: float = _SHARE

    def __post_init__(self) -> None:
        share = units.to_si(self.share, "share", name="share")
        if not isinstance(share, float) or not 0.0 < share < 1.0:
            raise RequirementError(
                f"share={self.share!r}: the effective mass from which a mode counts, as '10 %' of the whole"
            )
        object.__setattr__(self, "share", share)
        if self.direction is not None:
            one_of(self.direction, DIRECTIONS, "direction")

    @property
    def _which(self) -> str:
        """Which modes count, in words; "" for all."""
        if self.direction is None:
            return ""
        turns = len(self.direction) == 2
        of = f"inertia about {self.direction[1]}" if turns else f"mass along {self.direction}"
        return f"with {units.show(self.share, 'share')} of the {of}"

    def modes_of(self, modes: Any) -> list[Any]:
        """The modes that count, lowest first."""
        if self.direction is None:
            return list(modes.elastic)
        axis = DIRECTIONS.index(self.direction)
        if not modes.whole[axis] > 0.0:
            raise RequirementError(
                f"{self.label}: nothing of this model moves along {self.direction!r}; leave direction out"
            )
        return [mode for mode in modes.elastic if modes.shares[mode.number - 1, axis] >= self.share]

    def cases_of(self, result: Any) -> list[Any]:
        super().cases_of(result)
        return [result.modes]

    def narrowed(self, value: Value, limit: float = math.nan) -> str:
        if math.isinf(value.high):
            return f"more modes tell: modes_up_to='{_above(np.fmax(value.value, limit))}'"
        return super().narrowed(value, limit)


@dataclass(frozen=True, kw_only=True)
class FrequencyQuantity(ModeQuantity):
    """A natural frequency; see `frequency`."""

    number: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.number, bool) or not isinstance(self.number, int) or self.number < 1:
            raise RequirementError(
                f"frequency({self.number!r}): modes are counted from 1, rigid motions left out"
            )

    @property
    def largest_governs(self) -> bool:
        return False

    @property
    def label(self) -> str:
        return f"frequency of mode {self.number} {self._which}".rstrip()

    def by_case(self, result: Any) -> list[Value]:
        (modes,) = self.cases_of(result)
        found = self.modes_of(modes)
        if len(found) < self.number:
            counts = "" if self.direction is None else f", of which {len(found)} count"
            many = "1 mode was" if len(modes.elastic) == 1 else f"{len(modes.elastic)} modes were"
            return [_beyond(modes, f"{many} found{counts}; this one lies above what was computed")]
        return [value_of_mode(modes, found[self.number - 1])]


def value_of_mode(modes: Any, mode: Any) -> Value:
    """The frequency of a mode with the interval that holds the exact one, at the place that moves most."""
    low, high = modes.interval(mode.number - 1)
    u = np.linalg.norm(mode.displacement, axis=1)
    place = place_of_node(modes.model.mesh, int(np.argmax(u)))
    return Value.between(mode.frequency, low, high, case=mode.name, place=place)


def _beyond(modes: Any, note: str) -> Value:
    """A frequency of which is known only that it lies beyond all that were found.

    On this mesh it does; the exact one may be lower by as much as that of the highest mode found.
    """
    top, found = complete_to(modes), modes.elastic
    low = top * modes.interval(found[-1].number - 1)[0] / found[-1].frequency if found else top
    return Value.between(top, low, math.inf, case=modes.name, note=note)


def complete_to(modes: Any) -> float:
    """The frequency up to which no mode is missing, Hz."""
    known = getattr(modes, "complete_to", None)
    return float(modes.frequencies.max(initial=0.0) if known is None else known)


def _above(frequency: float) -> str:
    """A round frequency some way above another, in words that `units.to_si` reads."""
    step = 10.0 ** math.floor(math.log10(max(frequency, 1e-3)))
    return units.show(math.ceil(1.5 * frequency / step) * step, "frequency")


# ---------------------------------------------------------------------------------------------------
# A band without modes
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NearestMode(ModeQuantity):
    """The natural frequency that is deepest in a band, or nearest to it; see `no_mode_in`."""

    low: float = 0.0
    high: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("low", "high"):
            si = units.to_si(getattr(self, name), "frequency", name=f"no_mode_in {name}")
            if not isinstance(si, float):
                raise RequirementError(f"no_mode_in: one frequency is wanted at each end, got {si!r}")
            object.__setattr__(self, name, si)
        if not 0.0 <= self.low < self.high < math.inf:
            raise RequirementError(
                f"no_mode_in({units.show(self.low, 'frequency')}, {units.show(self.high, 'frequency')}): the "
                "band is empty; the lower end comes first, as no_mode_in('95 Hz', '105 Hz')"
            )

    @property
    def band_text(self) -> str:
        """The band in display units: "95 Hz to 105 Hz"."""
        return f"{units.show(self.low, 'frequency')} to {units.show(self.high, 'frequency')}"

    @property
    def label(self) -> str:
        return f"mode {self._which}".rstrip() + f" nearest to {self.band_text}"

    def clearance(self, frequency: float) -> float:
        """Distance to the band over its nearer end; negative inside."""
        if frequency <= self.low or math.isnan(frequency):
            return (self.low - frequency) / self.low if self.low > 0.0 else 0.0
        if frequency >= self.high:
            return (frequency - self.high) / self.high
        return -min(frequency - self.low, self.high - frequency) / self.high

    def overlap(self, value: Value) -> int:
        """2 where the whole interval is in the band, 1 where some of it may be, 0 where none is."""
        if self.low <= value.low and value.high <= self.high:
            return 2
        return 1 if self.low <= self.worst_end(value) <= self.high else 0

    def worst_end(self, value: Value) -> float:
        """The frequency of an interval that is deepest in the band, or nearest to it."""
        middle = 0.5 * (self.low + self.high)
        return min(max(middle, value.low), value.high) if value.low <= value.high else math.nan

    def by_case(self, result: Any) -> list[Value]:
        (modes,) = self.cases_of(result)
        near = self._near(modes)
        beyond = _beyond(modes, "no mode is known above")
        if not near or beyond.low <= self.high:
            near.append((beyond, None))
        value, mode = min(
            near, key=lambda one: (-self.overlap(one[0]), self.clearance(self.worst_end(one[0])))
        )
        return [value if mode is None else value_of_mode(modes, mode)]

    def _near(self, modes: Any) -> list[tuple[Value, Any]]:
        """Modes that count and their intervals, from the band outwards as far as one could reach into it.

        An interval costs a recovery of stress: beyond a mode that could not reach the band even with twice
        the error of any nearer one, none is looked at.
        """
        counted = self.modes_of(modes)
        below = [mode for mode in reversed(counted) if mode.frequency < self.low]
        above = [mode for mode in counted if mode.frequency >= self.low]
        found: list[tuple[Value, Any]] = []
        for side in (below, above):
            widest = 0.0
            for mode in side:
                down, up = 1.0 - 2.0 * widest, 1.0 + 2.0 * widest
                if widest > 0.0 and not (
                    mode.frequency * down <= self.high and mode.frequency * up >= self.low
                ):
                    break
                low, high = modes.interval(mode.number - 1)
                found.append((Value.between(mode.frequency, low, high), mode))
                if mode.frequency > 0.0:
                    widest = max(widest, 1.0 - low / mode.frequency, high / mode.frequency - 1.0, 1e-3)
        return found


@dataclass(frozen=True, kw_only=True)
class NoModeIn(Requirement):
    """No natural frequency in a band; see `no_mode_in`.

    It is met where the interval of every mode lies outside; ends belong to the band.
    """

    quantity: NearestMode
    relation: str = "outside"
    limit: float = math.nan

    def __post_init__(self) -> None:
        if not isinstance(self.quantity, NearestMode):
            raise RequirementError(f"NoModeIn is about a NearestMode, not {self.quantity!r}")
        if self.relation != "outside":
            raise RequirementError(f"relation {self.relation!r} of a band without modes; it is 'outside'")
        object.__setattr__(self, "limit", self.quantity.low)

    @property
    def is_upper(self) -> bool:
        return False

    @property
    def limit_text(self) -> str:
        return f"outside {self.quantity.band_text}"

    def met(self, value: float) -> bool:
        return not self.quantity.low <= value <= self.quantity.high

    def met_by(self, values: FloatArray) -> BoolArray:
        return np.asarray((values < self.quantity.low) | (values > self.quantity.high))

    @property
    def margin_is_relative(self) -> bool:
        return True

    def margin(self, value: float) -> float:
        """Distance to the nearer end of the band over that end; negative inside."""
        return self.quantity.clearance(value)

    def bad_end(self, value: Value) -> float:
        return self.quantity.worst_end(value)

    def slack(self, value: float) -> float:
        return self.margin(value)

    def status(self, value: Value) -> str:
        """PASS where the whole interval is outside, FAIL where all of it is in the band."""
        if math.isnan(value.value) or math.isnan(value.low) or math.isnan(value.high):
            return CANNOT_TELL
        return (PASS, CANNOT_TELL, FAIL)[self.quantity.overlap(value)]

    def _reason(self, value: Value) -> str:
        if math.isnan(value.low) or math.isnan(value.high):
            return super()._reason(value)
        if math.isinf(value.high):
            return (
                f"modes are known up to {units.show(value.low, 'frequency')}; "
                f"{self.quantity.narrowed(value, self.quantity.high)}"
            )
        span = f"{units.show(value.low, 'frequency')} to {units.show(value.high, 'frequency')}"
        return (
            f"the band {self.quantity.band_text} and the interval of a mode, {span}, overlap; "
            f"{self.quantity.narrowed(value)}"
        )

    def __str__(self) -> str:
        return f"no mode {self.quantity._which}".rstrip() + f" in {self.quantity.band_text}"


# ---------------------------------------------------------------------------------------------------
# Responses
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AccelerationQuantity(DisplacementQuantity):
    """Acceleration over a place; see `acceleration`."""

    needs: ClassVar[str] = "vibration"
    dimension: ClassVar[str] = "acceleration"
    vector: ClassVar[str] = "acceleration"
    letter: ClassVar[str] = "a"

    @property
    def read_from(self) -> tuple[str, ...]:
        return ("vibration",)


# ---------------------------------------------------------------------------------------------------
# Buckling
# ---------------------------------------------------------------------------------------------------

LOADS = ("as stated", "reversed", "either way")


@dataclass(frozen=True, kw_only=True)
class BucklingFactor(Quantity):
    """By how much loads may grow before the part buckles; see `buckling_factor`."""

    needs: ClassVar[str] = "buckling"
    unbounded: ClassVar[bool] = True
    case: str | None = None
    loads: str = "as stated"

    def __post_init__(self) -> None:
        one_of(self.loads, LOADS, "loads")

    @property
    def largest_governs(self) -> bool:
        return False

    @property
    def label(self) -> str:
        way = "" if self.loads == "as stated" else f", loads {self.loads}"
        return "buckling factor" + ("" if self.case is None else f" in case '{self.case}'") + way

    def by_case(self, result: Any) -> list[Value]:
        return [self._of(case) for case in self.cases_of(result)]

    def counts(self, factor: float) -> bool:
        """Whether a factor is of loads that act the way that is asked about."""
        return {"as stated": factor > 0.0, "reversed": factor < 0.0, "either way": True}[self.loads]

    def _of(self, case: Any) -> Value:
        modes = [mode for mode in case if self.counts(mode.factor)]
        if modes:
            mode = min(modes, key=lambda mode: abs(mode.factor))
            value, half = abs(mode.factor), float(mode.factor_error)
            place = place_of_node(case.model.mesh, mode.node)
            note = "loads reversed" if mode.factor < 0.0 and self.loads == "either way" else ""
            return Value.between(
                value, max(value - half, 0.0), value + half, place=place, case=case.name, note=note
            )
        if math.isinf(case.largest_factor):
            # no stress at all: nothing was tested
            return Value(value=math.inf, error=math.nan, case=case.name, note="its loads leave no stress")
        if len(case) >= case.count:
            far = max(abs(mode.factor) for mode in case)
            note = f"all {len(case)} factors found are of loads the other way"
            return Value.between(far, far, math.inf, case=case.name, note=note)
        return Value.between(
            math.inf, math.inf, math.inf, case=case.name, note="these loads, however large, buckle nothing"
        )

    def narrowed(self, value: Value, limit: float = math.nan) -> str:
        return "more factors tell: count=20" if math.isinf(value.high) else super().narrowed(value, limit)


# ---------------------------------------------------------------------------------------------------
# The public functions
# ---------------------------------------------------------------------------------------------------


def frequency(number: int = 1, *, direction: str | None = None, share: Any = _SHARE) -> FrequencyQuantity:
    """A natural frequency, Hz: ``frequency(1) >= "65 Hz"``.

    Parameters
    ----------
    number : int
        1 is the lowest that deforms the part; motions of a free part as a whole are not counted.
    direction : str, optional
        "x", "y", "z", or "rx", "ry", "rz" about the center of gravity: of the modes alone that have mass
        along it, as one shaken that way answers in.
    share : share
        Effective mass over the whole from which on a mode has mass along it, such as "10 %".

    Notes
    -----
    Where fewer modes were computed the value is how far they were, and the interval has no upper end.
    """
    return FrequencyQuantity(number=number, direction=direction, share=share)


def no_mode_in(low: Any, high: Any, *, direction: str | None = None, share: Any = _SHARE) -> NoModeIn:
    """A requirement: no natural frequency in a band, such as ``no_mode_in("95 Hz", "105 Hz")``.

    The value is the frequency deepest in the band, or nearest to it; the margin its distance over the nearer
    end. Modes must be known beyond the band.

    Parameters
    ----------
    low, high : frequency
        Ends belong to the band.
    direction, share
        As `frequency`.

    Notes
    -----
    A search (`Study`) that meets a band from above does not look below it: where the side is known, write
    ``frequency(1) >= "105 Hz"``.
    """
    return NoModeIn(quantity=NearestMode(low=low, high=high, direction=direction, share=share))


def acceleration(
    on: str | Selection | None = None,
    component: str = "magnitude",
    *,
    over: str = "max_abs",
    case: str | None = None,
    excluding: str | Selection | None = None,
    sigma: float | None = None,
) -> AccelerationQuantity:
    """Acceleration over a place in a response to vibration, m/s^2: ``acceleration("lid", "z") <= "40 g"``.

    Parameters
    ----------
    on, component, over, case, excluding, sigma
        As `displacement`; absolute, that of moving supports included.
    """
    return AccelerationQuantity(
        on=on,  # type: ignore[arg-type]
        component=component,
        over=over,
        case=case,
        excluding=excluding,  # type: ignore[arg-type]
        sigma=sigma,
    )


def buckling_factor(*, case: str | None = None, loads: str = "as stated") -> BucklingFactor:
    """The multiple of its loads at which a part buckles, the smallest over the load cases.

    Parameters
    ----------
    case : str, optional
        One load case; the envelope of all unless given.
    loads : str
        "as stated"; "reversed", all loads acting the other way; or "either way".
    """
    return BucklingFactor(case=case, loads=loads)
