"""Design variables: a range or a list of what may be chosen, a start, a unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin.errors import StudyError, UnitError
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

_LIKELY = ("length", "angle", "dimensionless", "pressure", "force", "mass", "temperature", "density", "area")
_MOST_CHOICES = 10_000


@dataclass(frozen=True)
class Variable(Plain):
    """A number the study may choose.

    Parameters
    ----------
    low, high, start : float
        SI; low < high, start between them.
    dimension : str
        For tables, such as ``"length"``.
    choices : tuple of float
        SI, ascending: the only values it may take; none where all between low and high may be.
    between : bool
        Whether `build` can make what lies between choices, as of a thickness; of a number of ribs it cannot.
    """

    low: float
    high: float
    start: float
    dimension: str = "dimensionless"
    choices: tuple[float, ...] = ()
    between: bool = True

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise StudyError(
                f"variable from {self.text(self.low)} to {self.text(self.high)}: low must be below high"
            )
        if not self.low <= self.start <= self.high:
            raise StudyError(
                f"variable starts at {self.text(self.start)}, outside {self.text(self.low)} "
                f"to {self.text(self.high)}"
            )
        if self.choices and self.start not in self.choices:
            near = min(self.choices, key=lambda c: abs(c - self.start))
            raise StudyError(
                f"variable starts at {self.text(self.start)}, which is not one of its choices; "
                f"the nearest is {self.text(near)}"
            )

    def _plain_fields(self) -> dict[str, Any]:
        fields = super()._plain_fields()
        # Without choices the content is what it was before there were any: old stores are known again.
        return fields if self.choices else {k: fields[k] for k in ("low", "high", "start", "dimension")}

    @property
    def allowed(self) -> FloatArray | None:
        """Scaled values it may take, float64[k] ascending; None where all may be."""
        return np.array([self.scaled(c) for c in self.choices]) if self.choices else None

    def allows(self, value: float) -> bool:
        """Whether it may take a value."""
        return value in self.choices if self.choices else self.low <= value <= self.high

    def scaled(self, value: float) -> float:
        """0 at low, 1 at high."""
        return (value - self.low) / (self.high - self.low)

    def value(self, scaled: float) -> float:
        """SI value of a scaled one, never outside the range; where it is a choice, to the bit."""
        value = self.inside(scaled)
        near = min(self.choices, key=lambda c: abs(c - value), default=value)
        return near if abs(near - value) <= 1e-9 * (self.high - self.low) else value

    def inside(self, scaled: float) -> float:
        """SI value of a scaled one where all within the range are meant, as for a difference."""
        return min(max(self.low + scaled * (self.high - self.low), self.low), self.high)

    def text(self, value: float) -> str:
        """A value in display units."""
        return show(value, self.dimension)


def variable(
    low: Any = None, high: Any = None, *, start: Any = None, dimension: str | None = None,
    choices: Sequence[Any] | None = None, integer: bool = False,
) -> Variable:  # fmt: skip
    """A design variable between two values, or of a list; it starts in the middle unless told.

    Parameters
    ----------
    low, high, start : number, string or quantity
        Such as ``"3 mm"``; plain numbers are SI.
    dimension : str, optional
        Read off the strings when left out.
    choices : sequence of numbers or strings, optional
        What may be chosen, instead of low and high: ``choices=["3 mm", "4 mm", "6 mm"]``, the sheets that a
        supplier has.
    integer : bool
        Whole numbers from low to high, as a number of ribs; `build` gets them as floats.

    Raises
    ------
    StudyError
        If the range is empty, the start lies outside, or is none of the choices.
    UnitError
        If the values do not share a dimension.
    """
    if choices is not None:
        return _of_choices(choices, low, high, start, dimension, integer)
    if low is None or high is None:
        raise StudyError("a variable needs a low and a high value, as variable('3 mm', '8 mm'), or choices=")
    dimension = dimension or _dimension_of(low)
    a = float(to_si(low, dimension, name="low"))
    b = float(to_si(high, dimension, name="high"))
    if not integer:
        s = 0.5 * (a + b) if start is None else float(to_si(start, dimension, name="start"))
        return Variable(a, b, s, dimension)
    if a != round(a) or b != round(b) or b - a > _MOST_CHOICES:
        raise StudyError(
            f"integer=True from {low!r} to {high!r}: two whole numbers are wanted, not far apart"
        )
    s = float(round(0.5 * (a + b))) if start is None else float(to_si(start, dimension, name="start"))
    return Variable(a, b, s, dimension, tuple(np.arange(a, b + 1.0).tolist()), between=False)


def _of_choices(
    choices: Sequence[Any], low: Any, high: Any, start: Any, dimension: str | None, integer: bool
) -> Variable:
    if low is not None or high is not None or integer:
        raise StudyError("choices= says all that may be chosen; leave low, high and integer out")
    if isinstance(choices, str) or not isinstance(choices, Sequence | np.ndarray):
        raise StudyError(f"choices={choices!r}: a list is wanted, such as ['3 mm', '4 mm', '6 mm']")
    if not len(choices):
        raise StudyError("choices is empty; a list is wanted, such as ['3 mm', '4 mm', '6 mm']")
    dimension = dimension or _dimension_of(choices[0])
    values = sorted({float(to_si(one, dimension, name="choice")) for one in choices})
    if len(values) < 2:
        raise StudyError(f"choices={list(choices)!r} leave nothing to choose; state the value in build")
    middle = values[(len(values) - 1) // 2]
    s = middle if start is None else float(to_si(start, dimension, name="start"))
    return Variable(values[0], values[-1], s, dimension, tuple(values))


def _dimension_of(value: Any) -> str:
    from designtwin.units import DIMENSIONS

    if isinstance(value, int | float | np.number):
        return "dimensionless"
    for name in (*_LIKELY, *DIMENSIONS):
        try:
            to_si(value, name, name="low")
        except UnitError:
            continue
        return name
    raise StudyError(f"variable bound {value!r} has no unit we know; write it like '3 mm'")
