"""Design variables: a range, a start, a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from designtwin.errors import StudyError, UnitError
from designtwin.plain import Plain
from designtwin.units import show, to_si

_LIKELY = ("length", "angle", "dimensionless", "pressure", "force", "mass", "temperature", "density", "area")


@dataclass(frozen=True)
class Variable(Plain):
    """A number the study may choose.

    Parameters
    ----------
    low, high, start : float
        SI; low < high, start between them.
    dimension : str
        For tables, such as ``"length"``.
    """

    low: float
    high: float
    start: float
    dimension: str = "dimensionless"

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

    def scaled(self, value: float) -> float:
        """0 at low, 1 at high."""
        return (value - self.low) / (self.high - self.low)

    def value(self, scaled: float) -> float:
        """SI value of a scaled one, never outside the range."""
        return min(max(self.low + scaled * (self.high - self.low), self.low), self.high)

    def text(self, value: float) -> str:
        """A value in display units."""
        return show(value, self.dimension)


def variable(low: Any, high: Any, *, start: Any = None, dimension: str | None = None) -> Variable:
    """A design variable between two values; it starts in the middle unless told.

    Parameters
    ----------
    low, high, start : number, string or quantity
        Such as ``"3 mm"``; plain numbers are SI.
    dimension : str, optional
        Read off the strings when left out.

    Raises
    ------
    StudyError
        If the range is empty or the start lies outside.
    UnitError
        If the three do not share a dimension.
    """
    if dimension is None:
        dimension = _dimension_of(low) if not isinstance(low, int | float) else "dimensionless"
    a = float(to_si(low, dimension, name="low"))
    b = float(to_si(high, dimension, name="high"))
    s = 0.5 * (a + b) if start is None else float(to_si(start, dimension, name="start"))
    return Variable(a, b, s, dimension)


def _dimension_of(value: Any) -> str:
    from designtwin.units import DIMENSIONS

    for name in (*_LIKELY, *DIMENSIONS):
        try:
            to_si(value, name, name="low")
        except UnitError:
            continue
        return name
    raise StudyError(f"variable bound {value!r} has no unit we know; write it like '3 mm'")
