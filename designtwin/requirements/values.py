"""What a quantity answers: a number with its interval, where and when, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from designtwin import units
from designtwin.errors import SelectionError
from designtwin.mesh.selections import select
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.mesh import Mesh
    from designtwin.requirements.base import Requirement

PASS, FAIL, CANNOT_TELL = "PASS", "FAIL", "CANNOT TELL"
SINGULAR = "singular"
"""What stands where a number would, for a value without bound."""


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
    frequency : float, optional
        At which, Hz, in a case that is swept over frequency.
    note : str
        What else a reader should know.
    low, high : float, optional
        The interval; ``value ± error`` unless given.
    singular : bool
        True where the exact answer of this model has no finite value; see `Value.without_bound`.
    """

    value: float
    error: float = 0.0
    place: Place | None = None
    case: str | None = None
    note: str = ""
    low: float = math.nan
    high: float = math.nan
    instant: float | None = None
    frequency: float | None = None
    singular: bool = False

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
        note: str = "", instant: float | None = None, frequency: float | None = None,
    ) -> Value:  # fmt: skip
        """A value with a lopsided interval; the error follows from it."""
        low, high = min(low, value), max(high, value)  # nan stays nan: min and max keep their first argument
        error = max(distance(high, value), distance(value, low))
        if math.isnan(low) or math.isnan(high):
            error = low = high = math.nan
        return cls(
            value=value,
            error=error,
            place=place,
            case=case,
            note=note,
            low=low,
            high=high,
            instant=instant,
            frequency=frequency,
        )

    @classmethod
    def without_bound(cls, found: Value, why: str) -> Value:
        """A value that grows without bound as the mesh gets finer: no number, but its place and the reason.

        Parameters
        ----------
        found : Value
            What the last mesh gave; its place, case, instant and frequency stay.
        why : str
            Where and for what reason it has no bound, a sentence.
        """
        return cls(
            value=math.nan, error=math.nan, place=found.place, case=found.case, note=why,
            instant=found.instant, frequency=found.frequency, singular=True,
        )  # fmt: skip

    def within(self, low: float, high: float, *, note: str | None = None) -> Value:
        """The same value with another interval, and another note where one is given."""
        return Value.between(
            self.value, low, high, place=self.place, case=self.case, note=self.note if note is None else note,
            instant=self.instant, frequency=self.frequency,
        )  # fmt: skip

    @property
    def case_text(self) -> str:
        """The load case, and the instant or the frequency where it has one: "full power at 9 min"."""
        return f"{self.case or ''} {f'at {self.when_text}' if self.when_text else ''}".strip()

    @property
    def when_text(self) -> str:
        """The instant or the frequency, "" without."""
        if self.frequency is not None:
            return units.show(self.frequency, "frequency")
        return "" if self.instant is None else units.show_time(self.instant)


def show_value(value: Value, dimension: str) -> str:
    """A value with its error in display units: "0.3961 ± 0.0042 mm", "2.39 +0.25 -0.73" where it is lopsided.

    The error has two digits and the value as many decimals, of large numbers three in all; "± ?" where no
    error could be estimated. Of an interval that reaches beyond three times the value the ends are told:
    "1.5e-6 (0 to 0.001)". An unbounded interval is told by the end that is certain; what has no bound is the
    word "singular".
    """
    if value.singular:
        return SINGULAR
    symbol = units.symbol(dimension)
    unit = f" {symbol}" if symbol else ""
    number = float(units.from_si(value.value, dimension))
    if math.isnan(value.low) or math.isnan(value.high):
        return f"{units.show(value.value, dimension).removesuffix(symbol).rstrip()} ± ?{unit}"
    down = distance(number, float(units.from_si(value.low, dimension)))
    up = distance(float(units.from_si(value.high, dimension)), number)
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
    if number != 0.0 and half > 3.0 * abs(number):
        ends = [units.show(end, dimension, digits=2) for end in (value.value, value.low, value.high)]
        middle, low, high = (end.removesuffix(symbol).rstrip() for end in ends)
        return f"{middle} ({low} to {high}){unit}"
    larger = max(abs(number), half)
    # Of what is large, as of what is small, two digits of the error or three of the whole.
    places = max(1 - math.floor(math.log10(half)), min(2 - math.floor(math.log10(larger)), 0))
    if larger >= 1e9 or places > 7:
        return f"{number:.4g} ± {half:.2g}{unit}"
    told, upper, lower = (f"{round(one, places):.{max(places, 0)}f}" for one in (number, up, down))
    spread = f"± {upper}" if upper == lower else f"+{upper} -{lower}"
    return f"{told} {spread}{unit}"


def show_margin(outcome: Outcome) -> str:
    """A margin for a table: "+22 %" of the limit, or the difference with its unit; "-" without a number."""
    if outcome.value.singular:
        return "-"
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


def distance(a: float, b: float) -> float:
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
    beside : Value, optional
        A peak without bound that was left out of a place that fails without it.
    """

    requirement: Requirement
    value: Value
    margin: float
    status: str
    excluded: str = ""
    reason: str = ""
    beside: Value | None = None

    @property
    def without_bound(self) -> Value | None:
        """The peak that has no finite value, itself or beside it; None where there is none."""
        return self.value if self.value.singular else self.beside


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
