"""Cases that have a course in time: their instants, which of them to draw, and the unit of a time axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import PictureError
from designtwin.typing import FloatArray

_UNITS = (("s", 1.0, 180.0), ("min", 60.0, 3.0 * 3600.0), ("h", 3600.0, 4.0 * 86400.0))
"""Name, seconds in it, and the longest span it is good for."""


def times_of(case: Any) -> FloatArray | None:
    """The instants of a case float64[k], s; None where it has no course in time."""
    times = getattr(case, "times", None)
    if times is None:
        frames: Sequence[Any] = case.frames if hasattr(case, "frames") else ()
        if len(frames) < 2 or getattr(frames[0], "time", None) is None:
            return None
        times = [frame.time for frame in frames]
    times = np.asarray(times, np.float64)
    return times if len(times) > 1 else None


def instant(case: Any, at: Any) -> Any:
    """The state of a case at a time ("10 min", or s).

    Raises
    ------
    PictureError
        If the case has no course in time, or the time lies outside it.
    """
    times = times_of(case)
    if times is None:
        raise PictureError(f"case {case.name!r} is one state without a course in time; leave at= out")
    time = float(np.asarray(units.to_si(at, "time", name="at")))
    slack = 1e-9 * float(times[-1] - times[0])
    if not times[0] - slack <= time <= times[-1] + slack:
        raise PictureError(f"at={at!r}: case {case.name!r} runs from {_span(times)}")
    time = min(max(time, float(times[0])), float(times[-1]))
    if hasattr(case, "at"):
        return case.at(time)
    return case.frames[int(np.abs(times - time).argmin())]


def worst_instant(case: Any, badness: Callable[[Any], float]) -> Any:
    """The frame of a case that is worst."""
    times = times_of(case)
    assert times is not None
    values = [badness(frame) for frame in case.frames]
    return case.frames[int(np.argmax(values))]


def unit_of(span: float) -> tuple[str, float]:
    """The unit that suits times up to `span` seconds, and the seconds in it."""
    for name, seconds, longest in _UNITS:
        if span <= longest:
            return name, seconds
    return "d", 86400.0


def _span(times: FloatArray) -> str:
    """First and last instant in words."""
    first, last = float(times[0]), float(times[-1])
    return f"{units.show_time(first, last)} to {units.show_time(last)}"


def spaced(times: FloatArray, count: int) -> FloatArray:
    """About `count` times, equally far apart, from the first to the last."""
    return np.linspace(float(times[0]), float(times[-1]), max(int(count), 2))


def as_times(asked: Sequence[Any], case: Any) -> FloatArray:
    """Times that a user listed, s, sorted; each must lie within the case."""
    times = times_of(case)
    assert times is not None
    found = np.sort(np.array([float(np.asarray(units.to_si(t, "time", name="times"))) for t in asked]))
    span = float(times[-1])
    if not len(found) or found[0] < times[0] - 1e-9 * span or found[-1] > span * (1 + 1e-9):
        raise PictureError(f"times={list(asked)!r}: instants from {_span(times)} are wanted")
    return found
