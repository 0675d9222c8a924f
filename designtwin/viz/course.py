"""Values over time: histories with the limits they must keep, and the heat balance of a transient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import PictureError, RequirementError
from designtwin.requirements import Quantity, Requirement
from designtwin.typing import FloatArray
from designtwin.viz.history import LINES, end_labels, with_unit
from designtwin.viz.instants import times_of, unit_of
from designtwin.viz.page import Page
from designtwin.viz.picture import PathLike, Picture, check_path, finish
from designtwin.viz.scene import ALARM, FAINT, INK

MOST_LINES = 12
_FINE = 300  # points of a line


def plot_times(
    histories: Any,
    *,
    limits: Any = (),
    labels: Sequence[str] | None = None,
    screenshot: PathLike | None = None,
    window_size: tuple[int, int] = (1600, 1000),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw histories over time in one picture.

    Parameters
    ----------
    histories : TimeHistory, or a sequence or mapping (label to history) of them
        Each has ``times`` float64[k], s, ``values`` float64[k], SI, and ``label``; ``dimension``
        ("temperature" where it has none) and ``error`` float64[k], drawn as a band, are optional.
        All of one dimension.
    limits : Requirement, verdict, limit such as "95 degC", or a sequence of these
        Lines that must not be crossed, of requirements those of the dimension drawn; what lies beyond is
        colored where the limit says which side that is.
    labels : sequence of str, optional
        Instead of the histories' own.
    screenshot, window_size, show, title
        As `plot_field`.

    Raises
    ------
    PictureError
        If there is nothing to draw, or the histories are of different dimensions.
    """
    check_path(screenshot)
    given = _histories(histories, labels)
    dimension = given[0].dimension
    signed = any(float(np.nanmin(one.values)) < 0.0 for one in given)
    bounds = _limits(limits, dimension, signed=signed)
    page = Page(window_size)
    text = title if title is not None else _heading(given)
    page.header(text, _span_text(given))
    axes = page.figure.add_axes(_axes_box(page, wide=True))
    end = max(float(one.times[-1]) for one in given)
    begin = min(float(one.times[0]) for one in given)
    name, seconds = _style(page, axes, begin, end)
    ends = []
    low, high = np.inf, -np.inf
    for color, one in zip(LINES * 2, given, strict=False):
        shown = np.asarray(units.from_si(one.values, dimension), np.float64)
        at = one.times / seconds
        if one.error is not None:
            upper, lower = (units.from_si(one.values + s * one.error, dimension) for s in (1.0, -1.0))
            axes.fill_between(at, lower, upper, color=color, alpha=0.18, linewidth=0)
            low = min(low, float(np.min(lower[np.isfinite(lower)])))
            high = max(high, float(np.max(upper[np.isfinite(upper)])))
        times, values = one.smooth()
        axes.plot(
            times / seconds, units.from_si(values, dimension), color=color, linewidth=page.points(3),
            solid_joinstyle="round",
        )  # fmt: skip
        if len(at) <= 40:
            axes.plot(at, shown, "o", color=color, markersize=page.points(6))
        real = shown[np.isfinite(shown)]
        low, high = min(low, float(real.min())), max(high, float(real.max()))
        last = real[-1]
        if len(given) > 1:  # a single one is named by the title
            ends.append((float(last), one.label, color))
    low, high = _range(low, high, bounds)
    axes.set_ylim(low, high)
    for value, words, upper in bounds:
        if _limit_line(page, axes, value, words, upper):
            ends.append((value, words, ALARM))
    for value, words, _ in _deadlines(limits, seconds) if dimension == "temperature" else ():
        page.texts.append(words)
        axes.axvline(value, color=ALARM, linewidth=page.points(2.2), linestyle="--", zorder=1)
        right = value > 0.5 * sum(axes.get_xlim())
        axes.annotate(
            words, (value, 0.015), xycoords=("data", "axes fraction"), color=ALARM, va="bottom",
            xytext=(-page.points(8) if right else page.points(8), 0), textcoords="offset points",
            fontsize=page.points(17), ha="right" if right else "left",
        )  # fmt: skip
    _ylabel(page, axes, with_unit(given[0].quantity, dimension))
    axes.set_xlabel(f"time, {name}", fontsize=page.points(19), color=INK)
    page.texts.append(f"time, {name}")
    end_labels(page, axes, ends)
    return finish(
        page.figure,
        screenshot=screenshot,
        name=f"{text} over time" if title is None else text,
        texts=tuple(page.texts),
        show=show,
    )


def plot_heat_balance(
    case: Any,
    *,
    screenshot: PathLike | None = None,
    window_size: tuple[int, int] = (1600, 1100),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw where the heat of a transient case comes from and where it goes.

    Above the powers: what loads put in, what convection and radiation and prescribed temperatures put in
    (negative: take away), and what the part stores. Below the energies since the start, heat put in beside
    heat stored, which are one line where the balance is kept.

    Parameters
    ----------
    case : TransientCase
    screenshot, window_size, show, title
        As `plot_field`.

    Raises
    ------
    PictureError
        If the case has no course in time.
    """
    check_path(screenshot)
    times = times_of(case)
    if times is None or not hasattr(case, "stored"):
        raise PictureError(f"the heat balance over time needs a transient case, and {case.name!r} is steady")
    series = {
        name: np.asarray(case.history(name=name).values, np.float64)
        for name in ("applied", "exchanged", "held", "heat_in", "stored_energy")
    }
    held = series["held"]
    stored_power = series["applied"] + series["exchanged"] + held
    page = Page(window_size)
    page.header(
        title if title is not None else f"Heat balance, load case {case.name}",
        f"heat put in and heat stored differ by at most {float(case.imbalance):.0e} of the heat moved",
    )
    left, bottom, width, height = _axes_box(page, wide=True)
    gap = 40 * page.unit / page.height
    upper = page.figure.add_axes((left, bottom + 0.42 * height + gap, width, 0.58 * height - gap))
    lower = page.figure.add_axes((left, bottom, width, 0.42 * height - gap))
    ends: list[tuple[float, str, str]] = []
    name, seconds = _style(page, upper, float(times[0]), float(times[-1]), last=False)
    powers = [
        ("by loads", series["applied"], LINES[1]),
        ("by convection and radiation", series["exchanged"], LINES[0]),
        ("by given temperatures", held, LINES[2]),
        ("stored in the part", stored_power, LINES[3]),
    ]
    size = max(float(np.abs(values).max()) for _, values, _ in powers) or 1.0
    for label, values, color in powers:
        if label != "stored in the part" and np.abs(values).max() < 1e-9 * size:
            continue
        shown = np.asarray(units.from_si(values, "power"), np.float64)
        style = "--" if label == "stored in the part" else "-"
        upper.plot(times / seconds, shown, style, color=color, linewidth=page.points(3))
        ends.append((float(shown[-1]), label, color))
    upper.axhline(0.0, color=FAINT, linewidth=page.points(1))
    upper.margins(y=0.1)
    _ylabel(page, upper, with_unit("power into the part", "power"))
    upper.set_ylim(*upper.get_ylim())
    end_labels(page, upper, ends)
    _style(page, lower, float(times[0]), float(times[-1]))
    scale, unit = _energy_unit(max(float(np.abs(series[n]).max()) for n in ("heat_in", "stored_energy")))
    lower.plot(
        times / seconds, series["heat_in"] / scale, color=LINES[1], linewidth=page.points(6), alpha=0.45
    )
    lower.plot(
        times / seconds, series["stored_energy"] / scale, "--", color=LINES[3], linewidth=page.points(3)
    )
    lower.margins(y=0.1)
    lower.set_ylim(*lower.get_ylim())
    _ylabel(page, lower, f"heat since the start, {unit}")
    lower.set_xlabel(f"time, {name}", fontsize=page.points(19), color=INK)
    page.texts.append(f"time, {name}")
    end_labels(
        page,
        lower,
        [
            (float(series["heat_in"][-1] / scale), "put in", LINES[1]),
            (float(series["stored_energy"][-1] / scale), "stored in the part", LINES[3]),
        ],
    )
    return finish(
        page.figure,
        screenshot=screenshot,
        name=f"heat balance {case.name}",
        texts=tuple(page.texts),
        show=show,
    )


# What is drawn


class _Line:
    """A history as the picture needs it."""

    def __init__(self, source: Any, label: str | None) -> None:
        self.times = np.asarray(source.times, np.float64)
        self.values = np.asarray(source.values, np.float64)
        self.label = str(getattr(source, "label", "") if label is None else label)
        self.case = str(getattr(source, "case", "") or "")
        self.dimension = str(getattr(source, "dimension", "temperature"))
        told = "displacement" if "displacement" in self.label else self.dimension.replace("_", " ")
        self.quantity = str(getattr(source, "quantity", "") or told)
        error = getattr(source, "error", None)
        self.error = (
            None if error is None else np.broadcast_to(np.asarray(error, np.float64), self.times.shape)
        )
        if self.times.ndim != 1 or self.values.shape != self.times.shape or not len(self.times):
            raise PictureError(
                f"history {self.label!r}: times of shape {self.times.shape} and values of shape "
                f"{self.values.shape} are no course in time"
            )
        if not np.isfinite(self.values).any():
            raise PictureError(f"history {self.label!r} holds no number")
        self._at = getattr(source, "at", None)

    def smooth(self) -> tuple[FloatArray, FloatArray]:
        """Times and values close enough for a line: what the history itself says between its instants."""
        if self._at is None or not 2 <= len(self.times) < _FINE:
            return self.times, self.values
        times = np.union1d(self.times, np.linspace(self.times[0], self.times[-1], _FINE))
        return times, np.array([float(self._at(float(t))) for t in times])


def _histories(given: Any, labels: Sequence[str] | None) -> list[_Line]:
    if hasattr(given, "times") and hasattr(given, "values") and not callable(given.values):
        given = [given]
    if hasattr(given, "items"):
        labels = [str(key) for key in given] if labels is None else labels
        given = list(given.values())
    many = list(given)
    if not many:
        raise PictureError("there is no history to draw")
    if len(many) > MOST_LINES:
        raise PictureError(
            f"{len(many)} histories in one picture cannot be told apart; draw at most {MOST_LINES}"
        )
    for one in many:
        if not hasattr(one, "times") or not hasattr(one, "values"):
            raise PictureError(f"a history with times and values is wanted, not a {type(one).__name__}")
    if labels is not None and len(labels) != len(many):
        raise PictureError(f"{len(labels)} labels for {len(many)} histories")
    lines = [_Line(one, None if labels is None else labels[i]) for i, one in enumerate(many)]
    if labels is None and len({line.case for line in lines}) > 1:
        for line in lines:
            line.label = f"{line.label}, {line.case}" if line.case else line.label
    dimensions = sorted({line.dimension for line in lines})
    if len(dimensions) > 1:
        raise PictureError(
            f"histories of {' and '.join(dimensions)} do not share an axis; draw one picture for each"
        )
    return lines


def _limits(given: Any, dimension: str, *, signed: bool = False) -> list[tuple[float, str, bool | None]]:
    """Display value, words, and whether it bounds from above (None: not told), of limits that fit.

    Signed values keep a limit on their size on both sides.
    """
    if hasattr(given, "rows") and hasattr(given, "result"):
        given = [row.requirement for row in given.rows]
    many = list(given) if isinstance(given, list | tuple) else [given]
    out: list[tuple[float, str, bool | None]] = []
    upper: bool | None
    for one in many:
        if isinstance(one, Requirement):
            reached = getattr(one.quantity, "temperature", None)
            if one.quantity.dimension == "time" and reached is not None and dimension == "temperature":
                words = units.show(reached, dimension)
                out.append((float(units.from_si(reached, dimension)), words, None))
                continue
            if one.quantity.dimension != dimension:
                continue
            value, words, upper = one.limit, f"{one.quantity.label} {one.limit_text}", one.is_upper
            if signed and upper and getattr(one.quantity, "over", "") == "max_abs":
                out.append(
                    (-float(units.from_si(value, dimension)), f"−{units.show(value, dimension)}", False)
                )
        elif isinstance(one, Quantity):
            raise RequirementError(f"limits=: {one.label} has no limit; compare it with one")
        else:
            value = float(np.asarray(units.to_si(one, dimension, name="limits")))
            words, upper = units.show(value, dimension), None
        out.append((float(units.from_si(value, dimension)), words, upper))
    return out


def _deadlines(given: Any, seconds: float) -> list[tuple[float, str, bool]]:
    """Place on the axis, words, and whether it bounds from above, of limits on the time itself."""
    if hasattr(given, "rows") and hasattr(given, "result"):
        given = [row.requirement for row in given.rows]
    many = list(given) if isinstance(given, list | tuple) else [given]
    return [
        (one.limit / seconds, f"{one.quantity.label} {one.limit_text}", one.is_upper)
        for one in many
        if isinstance(one, Requirement) and one.quantity.dimension == "time"
    ]


def _heading(lines: Sequence[_Line]) -> str:
    text = lines[0].label if len(lines) == 1 and lines[0].label else f"{lines[0].quantity} over time"
    text = text[:1].upper() + text[1:]
    cases = {line.case for line in lines}
    return f"{text}, load case {cases.pop()}" if len(cases) == 1 and "" not in cases else text


def _span_text(lines: Sequence[_Line]) -> str:
    """The highest value and when, of a single history."""
    if len(lines) > 1:
        return ""
    one = lines[0]

    def told(word: str, at: int) -> str:
        when = units.show_time(float(one.times[at]), float(one.times[-1]))
        return f"{word} {units.show(float(one.values[at]), one.dimension)} at {when}".replace(" -", " −")

    high, low = int(np.nanargmax(one.values)), int(np.nanargmin(one.values))
    if one.dimension == "temperature" or one.values[low] >= -0.01 * abs(one.values[high]):
        return told("highest", high)
    return f"{told('lowest', low)}, {told('highest', high)}"


def _ylabel(page: Page, axes: Any, text: str) -> None:
    """The name of an axis, at the same place on every page."""
    box = axes.get_position()
    page.text(
        34 * page.unit / page.width, box.y0 + box.height / 2, text, 19, rotation=90, va="center", ha="center"
    )


def _range(low: float, high: float, bounds: Sequence[tuple[float, str, bool | None]]) -> tuple[float, float]:
    """Limits of the axis; a limit far away from all values would flatten them and stays outside."""
    # A margin that begins at infinity, where nothing is loaded yet, is of interest near its limit.
    least = [value for value, _, upper in bounds if upper is False and value > 0.0]
    if least and low > 0.0:
        high = min(high, 5.0 * max(*least, low))
    size = high - low or abs(high) or 1.0
    for bound, _, _ in bounds:
        if low - 2.0 * size <= bound <= high + 2.0 * size:
            low, high = min(low, bound), max(high, bound)
    size = high - low or abs(high) or 1.0
    return low - 0.06 * size, high + 0.1 * size


def _limit_line(page: Page, axes: Any, value: float, words: str, upper: bool | None) -> bool:
    """Draw a limit and color what lies beyond; False where it lies outside the picture, and that is said."""
    low, high = axes.get_ylim()
    if not low <= value <= high:
        text = f"{words} lies {'above' if value > high else 'below'} this picture"
        page.texts.append(text)
        axes.text(
            0.99, 0.985 if value > high else 0.015, text, transform=axes.transAxes, color=ALARM,
            fontsize=page.points(17), ha="right", va="top" if value > high else "bottom",
        )  # fmt: skip
        return False
    if upper is not None:
        axes.axhspan(value, high if upper else low, color="#f9e6e8", zorder=0)
    axes.axhline(value, color=ALARM, linewidth=page.points(2.2), zorder=1)
    return True


def _axes_box(page: Page, *, wide: bool) -> tuple[float, float, float, float]:
    left, right = 150 * page.unit / page.width, (400 if wide else 60) * page.unit / page.width
    top, bottom = 125 * page.unit / page.height, 95 * page.unit / page.height
    return left, bottom, 1 - left - right, 1 - top - bottom


def _style(page: Page, axes: Any, begin: float, end: float, *, last: bool = True) -> tuple[str, float]:
    """Plain axes over a span of time; the unit of its ticks and the seconds in it."""
    from matplotlib.ticker import MaxNLocator

    name, seconds = unit_of(end)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
        axes.spines[side].set_linewidth(0.7)
    axes.grid(color="#e3e7ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=page.points(17), colors=INK, width=0.7, length=page.points(5))
    steps = [1, 2, 5, 10] if name == "s" else [1, 2, 3, 5, 6, 10]  # quarters of an hour, not of a second
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=steps))
    axes.set_xlim(begin / seconds, end / seconds if end > begin else begin / seconds + 1.0)
    if not last:
        axes.tick_params(labelbottom=False)
    return name, seconds


def _energy_unit(largest: float) -> tuple[float, str]:
    """J and the unit in which energies up to the largest read well."""
    for size, unit in ((1e9, "GJ"), (1e6, "MJ"), (1e3, "kJ")):
        if largest >= 2.0 * size:
            return size, unit
    return 1.0, "J"
