"""Curves over frequency: responses, densities, shock spectra; and frequencies over the speed of a rotor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import PictureError
from designtwin.requirements import Quantity, Requirement
from designtwin.typing import FloatArray
from designtwin.viz.course import _axes_box, _limits, _ylabel
from designtwin.viz.history import LINES, end_labels, with_unit
from designtwin.viz.page import Page
from designtwin.viz.picture import PathLike, Picture, check_path, finish
from designtwin.viz.scene import ALARM, FAINT, INK

MOST_LINES = 8
_DECADES = 8.0  # below the largest value, beyond which a curve is not of interest
_MOST_MARKS = 24  # natural frequencies that are marked


@dataclass(frozen=True, eq=False)
class _Curve:
    """Values over frequency in display units."""

    x: FloatArray
    y: FloatArray
    label: str
    color: str
    style: str = "-"


def plot_response(
    responses: Any,
    *,
    limits: Any = (),
    phase: bool = True,
    labels: Sequence[str] | None = None,
    screenshot: PathLike | None = None,
    window_size: tuple[int, int] = (1600, 1200),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw the amplitude of harmonic responses over frequency, and their phase below.

    Parameters
    ----------
    responses : FrequencyResponse, or a sequence or mapping (label to response) of them
        All of one dimension.
    limits : Requirement, verdict, limit such as "2 g", or a sequence of these
        Of requirements those of the dimension drawn.
    phase : bool
        Whether phases are drawn, where there are any.
    labels : sequence of str, optional
        Instead of the responses' own.
    screenshot, window_size, show, title
        As `plot_field`.

    Raises
    ------
    PictureError
        If there is nothing to draw, or responses are of different dimensions.
    """
    given, names = _given(responses, labels)
    dimension = _one_dimension([one.dimension for one in given])
    heading, below = _heading(given, names), str(given[0].peak) if len(given) == 1 else ""
    page, path = _page(window_size, screenshot, title or heading, f"at most {below}" if below else "")
    left, bottom, width, height = _axes_box(page, wide=len(given) > 1)
    turning = phase and any(np.abs(np.imag(one.values)).max(initial=0.0) > 0.0 for one in given)
    gap = 40 * page.unit / page.height
    share = 0.36 if turning else 0.0
    box = (left, bottom + share * height + (gap if turning else 0.0), width)
    axes = page.figure.add_axes((*box, (1.0 - share) * height - (gap if turning else 0.0)))
    curves = _curves(given, names, "amplitude", dimension)
    marks = np.unique(np.concatenate([np.asarray(one.resonances, np.float64) for one in given]))
    _log_axes(page, axes, curves, _bounds(limits, given, dimension), marks, last=not turning)
    _ylabel(page, axes, with_unit(f"amplitude of {_quantity(given[0], dimension)}", dimension))
    if turning:
        lower = page.figure.add_axes((left, bottom, width, share * height))
        _phase_axes(page, lower, given, axes.get_xlim(), marks)
    return finish(page.figure, screenshot=path, name=title or heading, texts=tuple(page.texts), show=show)


def plot_psd(
    densities: Any,
    *,
    limits: Any = (),
    labels: Sequence[str] | None = None,
    screenshot: PathLike | None = None,
    window_size: tuple[int, int] = (1600, 1000),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw spectral densities of responses over frequency, and that of the input dashed.

    Parameters
    ----------
    densities : ResponsePsd, or a sequence or mapping (label to density) of them
        All of one dimension.
    limits : limit such as "1 g**2/Hz", requirement, verdict, or a sequence of these
        Requirements on the response itself at so many standard deviations are told in words.
    labels, screenshot, window_size, show, title
        As `plot_response`.

    Raises
    ------
    PictureError
        If there is nothing to draw, or densities are of different dimensions.
    """
    given, names = _given(densities, labels)
    dimension = _one_dimension([one.density_dimension for one in given])
    heading = _heading(given, names)
    limits = _requirements(limits)
    below = _in_words(given[0], limits) if len(given) == 1 else ""
    page, path = _page(window_size, screenshot, title or heading, below)
    curves = _curves(given, names, "values", dimension)
    inputs = {id(one.input): one.input for one in given if one.input is not None}
    alike = [one for one in inputs.values() if one.density_dimension == dimension]
    if alike:
        first = alike[0]
        curves = [
            *(_Curve(c.x, c.y, c.label or "response", c.color) for c in curves),
            _Curve(first.frequencies, _shown(first.values, dimension), "input", FAINT, "--"),
        ]
    axes = page.figure.add_axes(_axes_box(page, wide=len(curves) > 1))
    _log_axes(page, axes, curves, _limits(limits, dimension), np.empty(0))
    _ylabel(page, axes, with_unit("spectral density", dimension))
    return finish(page.figure, screenshot=path, name=title or heading, texts=tuple(page.texts), show=show)


def plot_shock_spectrum(
    spectra: Any,
    *,
    limits: Any = (),
    labels: Sequence[str] | None = None,
    screenshot: PathLike | None = None,
    window_size: tuple[int, int] = (1600, 1000),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw shock response spectra: the largest answer of an oscillator over its natural frequency.

    Parameters
    ----------
    spectra : ShockSpectrum, or a sequence or mapping (label to spectrum) of them
    limits, labels, screenshot, window_size, show, title
        As `plot_response`.

    Raises
    ------
    PictureError
        If there is nothing to draw, or spectra are of different dimensions.
    """
    given, names = _given(spectra, labels)
    dimension = _one_dimension([one.dimension for one in given])
    heading = _heading(given, names)
    below = str(given[0]).partition(": ")[2] if len(given) == 1 else ""
    page, path = _page(window_size, screenshot, title or heading, below)
    curves = _curves(given, names, "values", dimension)
    axes = page.figure.add_axes(_axes_box(page, wide=len(given) > 1))
    _log_axes(page, axes, curves, _limits(limits, dimension), np.empty(0), along="natural frequency")
    _ylabel(page, axes, with_unit(f"largest {dimension.replace('_', ' ')}", dimension))
    return finish(page.figure, screenshot=path, name=title or heading, texts=tuple(page.texts), show=show)


def plot_campbell(
    diagram: Any,
    *,
    orders: Sequence[float] = (1.0, 2.0, 3.0),
    screenshot: PathLike | None = None,
    window_size: tuple[int, int] = (1600, 1100),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw the natural frequencies of a rotor over its speed, and where engine orders meet them.

    Parameters
    ----------
    diagram : Campbell
    orders : sequence of float
        Excitations by so many periods a turn: rays from the origin.
    screenshot, window_size, show, title
        As `plot_field`.
    """
    heading = title or "Campbell diagram"
    page, path = _page(window_size, screenshot, heading, "in the turning frame, without Coriolis forces")
    axes = page.figure.add_axes(_axes_box(page, wide=True))
    _plain(page, axes)
    speeds = np.asarray(units.from_si(diagram.speeds, "angular_velocity"), np.float64)
    unit = units.symbol("angular_velocity")
    top = 1.08 * float(diagram.frequencies.max())
    # Modes are straight in the squares of speed and frequency.
    fine = np.linspace(diagram.speeds[0], diagram.speeds[-1], 200)
    ends: list[tuple[float, str, str]] = []
    for k, (color, course) in enumerate(zip(LINES * 4, diagram.frequencies.T, strict=False)):
        between = np.sqrt(np.interp(fine**2, diagram.speeds**2, course**2))
        axes.plot(units.from_si(fine, "angular_velocity"), between, color=color, linewidth=page.points(3))
        axes.plot(speeds, course, "o", color=color, markersize=page.points(6))
        ends.append((float(course[-1]), f"mode {k + 1}", color))
    for order in orders:
        ray = order * diagram.speeds / (2.0 * np.pi)
        axes.plot(speeds, ray, "--", color=FAINT, linewidth=page.points(1.6), zorder=1)
        if ray[-1] <= top:
            ends.append((float(ray[-1]), f"order {order:g}", FAINT))
        else:
            at = float(units.from_si(2.0 * np.pi * top / order, "angular_velocity"))
            page.texts.append(f"order {order:g}")
            axes.annotate(
                f"order {order:g}", (at, top), color=FAINT, fontsize=page.points(17), ha="center",
                va="bottom",
                xytext=(0, page.points(4)), textcoords="offset points", annotation_clip=False,
            )  # fmt: skip
        for _, speed, frequency in diagram.crossings(order):
            axes.plot(
                float(units.from_si(speed, "angular_velocity")), frequency, "o", markersize=page.points(13),
                markerfacecolor="none", markeredgecolor=ALARM, markeredgewidth=page.points(2),
            )  # fmt: skip
    axes.set_xlim(speeds[0], speeds[-1])
    axes.set_ylim(0.0, top)
    _xlabel(page, axes, f"speed, {unit}")
    _ylabel(page, axes, with_unit("natural frequency", "frequency"))
    end_labels(page, axes, ends)
    return finish(page.figure, screenshot=path, name=heading, texts=tuple(page.texts), show=show)


# What is drawn


def _given(source: Any, labels: Sequence[str] | None) -> tuple[list[Any], list[str]]:
    """The curves as a list, and their names."""
    if hasattr(source, "frequencies") and hasattr(source, "values"):
        source = [source]
    if hasattr(source, "items"):
        labels = [str(key) for key in source] if labels is None else labels
        source = list(source.values())
    many = list(source)
    if not many:
        raise PictureError("there is no curve to draw")
    if len(many) > MOST_LINES:
        raise PictureError(
            f"{len(many)} curves in one picture cannot be told apart; draw at most {MOST_LINES}"
        )
    for one in many:
        if not hasattr(one, "frequencies") or not hasattr(one, "values"):
            raise PictureError(f"a curve over frequency is wanted, not a {type(one).__name__}")
        if not len(one.frequencies) or not np.isfinite(np.abs(one.values)).any():
            raise PictureError(f"{one.label!r} holds no number")
    if labels is not None and len(labels) != len(many):
        raise PictureError(f"{len(labels)} labels for {len(many)} curves")
    return many, [one.label for one in many] if labels is None else list(labels)


def _requirements(limits: Any) -> list[Any]:
    """Limits as a list; of a verdict its requirements."""
    if hasattr(limits, "rows") and hasattr(limits, "result"):
        return [row.requirement for row in limits.rows]
    return list(limits) if isinstance(limits, list | tuple) else [limits]


def _is_about(quantity: Quantity, one: Any) -> bool:
    """Whether a quantity speaks of a curve: of its case, and of its direction or component."""
    if getattr(quantity, "case", None) not in (None, getattr(one, "case", "")):
        return False
    component = str(getattr(quantity, "component", "")).replace("_", " ")
    return component in ("", "magnitude") or f" {component} " in f" {one.label.lower()} "


def _bounds(limits: Any, given: Sequence[Any], dimension: str) -> list[tuple[float, str, bool | None]]:
    """Limits that curves of amplitudes must keep; requirements on anything else are left out."""
    some = [
        one
        for one in _requirements(limits)
        if not isinstance(one, Requirement)
        or (
            getattr(one.quantity, "sigma", None) is None
            and any(_is_about(one.quantity, each) for each in given)
        )
    ]
    found = _limits(some, dimension)
    if dimension == "pressure":  # of the same unit, and the same to an axis
        found += _limits([one for one in some if isinstance(one, Requirement)], "stress")
    return found


def _in_words(one: Any, limits: Sequence[Any]) -> str:
    """The root mean square of a response, and the multiples of it that requirements bound."""
    words = [f"{units.show(one.rms, one.dimension)} RMS"]
    for limit in limits:
        sigma = getattr(limit.quantity, "sigma", None) if isinstance(limit, Requirement) else None
        alike = {limit.quantity.dimension, one.dimension} <= {"stress", "pressure"} if sigma else False
        if sigma and (alike or limit.quantity.dimension == one.dimension) and _is_about(limit.quantity, one):
            times = units.show(sigma * one.rms, one.dimension)
            words.append(f"{sigma:g}σ: {times}, required {limit.limit_text}")
    return "   ·   ".join(words)


def _curves(given: Sequence[Any], names: Sequence[str], attribute: str, dimension: str) -> list[_Curve]:
    return [
        _Curve(one.frequencies, _shown(getattr(one, attribute), dimension), name, color)
        for one, name, color in zip(given, names, LINES, strict=False)
    ]


def _one_dimension(dimensions: Sequence[str]) -> str:
    found = sorted(set(dimensions))
    if len(found) > 1:
        raise PictureError(f"curves of {' and '.join(found)} do not share an axis; draw one picture for each")
    return found[0]


def _shown(values: Any, dimension: str) -> FloatArray:
    return np.asarray(units.from_si(np.asarray(values, np.float64), dimension), np.float64)


def _quantity(one: Any, dimension: str) -> str:
    known = ("displacement", "velocity", "acceleration", "stress", "reaction")
    return next((word for word in known if word in one.label.lower()), dimension.replace("_", " "))


def _heading(given: Sequence[Any], names: Sequence[str]) -> str:
    text = names[0] if len(given) == 1 else f"{_quantity(given[0], given[0].dimension)} over frequency"
    text = text[:1].upper() + text[1:]
    cases = {getattr(one, "case", "") for one in given}
    case = cases.pop() if len(cases) == 1 else ""
    return f"{text}, case {case}" if case else text


def _page(
    window_size: tuple[int, int], screenshot: PathLike | None, title: str, below: str
) -> tuple[Page, PathLike | None]:
    check_path(screenshot)
    page = Page(window_size)
    page.header(title, below)
    return page, screenshot


def _plain(page: Page, axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
        axes.spines[side].set_linewidth(0.7)
    axes.grid(color="#e3e7ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=page.points(17), colors=INK, width=0.7, length=page.points(5))


def _xlabel(page: Page, axes: Any, text: str) -> None:
    axes.set_xlabel(text, fontsize=page.points(19), color=INK)
    page.texts.append(text)


def _log_axes(
    page: Page, axes: Any, curves: Sequence[_Curve], bounds: Sequence[tuple[float, str, bool | None]],
    marks: FloatArray, *, last: bool = True, along: str = "frequency",
) -> None:  # fmt: skip
    """Curves on logarithmic scales, limits they must keep, natural frequencies."""
    _plain(page, axes)
    axes.set_xscale("log")
    axes.set_yscale("log")
    positive = np.concatenate([c.x[c.x > 0.0] for c in curves])
    if not len(positive):
        raise PictureError("there is no frequency above 0 Hz to draw at")
    low_x, high_x = float(positive.min()), float(positive.max())
    axes.set_xlim(*((low_x, high_x) if high_x > low_x else (low_x / 1.5, 1.5 * low_x)))
    main = [c.y[np.isfinite(c.y) & (c.y > 0.0)] for c in curves]
    top = max((float(y.max()) for y in main if len(y)), default=1.0)
    bottom = max(min((float(y.min()) for y in main if len(y)), default=0.1), top * 10.0**-_DECADES)
    for value, _, _ in bounds:
        if bottom / 30.0 < value < 30.0 * top:
            bottom, top = min(bottom, value), max(top, value)
    spread = max(top / bottom, 10.0)
    axes.set_ylim(top / spread**1.05, top * spread**0.08)
    low, high = axes.get_ylim()
    ends: list[tuple[float, str, str]] = []
    if not any(map(len, main)):
        page.texts.append("zero at all frequencies")
        axes.text(
            0.5,
            0.5,
            page.texts[-1],
            transform=axes.transAxes,
            color=FAINT,
            fontsize=page.points(19),
            ha="center",
        )

    def place(value: float) -> float:
        return float(np.clip(np.log(value / low) / np.log(high / low), 0.0, 1.0))

    for c in curves:
        axes.plot(
            c.x, np.where(c.y > 0.0, c.y, np.nan), c.style, color=c.color, linewidth=page.points(3),
            solid_joinstyle="round", marker="o" if len(c.x) == 1 else None, markersize=page.points(9),
        )  # fmt: skip
        real = c.y[np.isfinite(c.y) & (c.y > 0.0)]
        if len(curves) > 1 and len(real):
            ends.append((place(float(real[-1])), c.label, c.color))
    for value, words, upper in _merged(bounds):
        page.texts.append(words)
        if not low <= value <= high:
            text = f"{words} lies {'above' if value > high else 'below'} this picture"
            axes.text(
                0.99, 0.985 if value > high else 0.015, text, transform=axes.transAxes, color=ALARM,
                fontsize=page.points(17), ha="right", va="top" if value > high else "bottom",
            )  # fmt: skip
            continue
        if upper is not None:
            axes.axhspan(value, high if upper else low, color="#f9e6e8", zorder=0)
        axes.axhline(value, color=ALARM, linewidth=page.points(2.2), zorder=1)
        axes.annotate(
            words, (0.01, value), xycoords=("axes fraction", "data"), color=ALARM, va="bottom",
            fontsize=page.points(17), xytext=(0, page.points(4)), textcoords="offset points",
        )  # fmt: skip
    _mark(page, axes, marks)
    _ticks(axes)
    if last:
        _xlabel(page, axes, f"{along}, Hz")
    else:
        axes.tick_params(labelbottom=False)
    if ends:
        box = axes.get_position()
        over = page.figure.add_axes((box.x0, box.y0, box.width, box.height))
        over.set_axis_off()
        over.set_ylim(0.0, 1.0)
        end_labels(page, over, ends)


def _merged(bounds: Sequence[tuple[float, str, bool | None]]) -> list[tuple[float, str, bool | None]]:
    """Limits of one value get one line, which has all their words."""
    found: dict[tuple[float, bool | None], list[str]] = {}
    for value, words, upper in bounds:
        found.setdefault((value, upper), []).append(words)
    return [(value, "; ".join(dict.fromkeys(words)), upper) for (value, upper), words in found.items()]


def _mark(page: Page, axes: Any, marks: FloatArray) -> None:
    """Natural frequencies as thin lines."""
    low, high = axes.get_xlim()
    inside = marks[(marks >= low) & (marks <= high)][:_MOST_MARKS]
    for mark in inside:
        axes.axvline(mark, color=FAINT, linewidth=page.points(1.1), linestyle=":", zorder=1)


def _ticks(axes: Any, *, values: bool = True) -> None:
    """Frequencies and values as plain numbers, some between the decades where these are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis, (low, high), most in (
        (axes.xaxis, axes.get_xlim(), 5.5), *([(axes.yaxis, axes.get_ylim(), 4.5)] if values else []),
    ):  # fmt: skip
        decades = np.log10(high / low)
        subs = tuple(range(1, 10)) if decades < 0.6 else (1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=20))
        if decades < most and low > 1e-4 and high < 1e6:
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _phase_axes(
    page: Page, axes: Any, given: Sequence[Any], span: tuple[float, float], marks: FloatArray
) -> None:
    _plain(page, axes)
    axes.set_xscale("log")
    for one, color in zip(given, LINES, strict=False):
        degrees = np.degrees(one.phase)
        jump = np.abs(np.diff(degrees)) > 270.0  # from one end of the scale to the other
        x = np.insert(np.asarray(one.frequencies, np.float64), np.flatnonzero(jump) + 1, np.nan)
        y = np.insert(degrees, np.flatnonzero(jump) + 1, np.nan)
        point = "o" if len(one.frequencies) == 1 else None
        axes.plot(x, y, color=color, linewidth=page.points(3), marker=point, markersize=page.points(9))
    axes.set_xlim(*span)
    axes.set_ylim(-190.0, 190.0)
    axes.set_yticks([-180, -90, 0, 90, 180])
    _mark(page, axes, marks)
    _ticks(axes, values=False)
    _xlabel(page, axes, "frequency, Hz" + ("; dotted: natural frequencies" if len(marks) else ""))
    _ylabel(page, axes, "phase, deg")
