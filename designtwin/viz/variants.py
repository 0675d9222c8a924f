"""Pictures of many designs: the table of a sample, shares of variance, what scatter does to a design."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import PictureError
from designtwin.typing import FloatArray
from designtwin.viz.history import GOOD, LINES, with_unit
from designtwin.viz.page import Page, shorten, wrap
from designtwin.viz.picture import Picture, check_path, finish
from designtwin.viz.scene import ALARM, FAINT, INK, PAPER

_MOST_COLUMNS, _MOST_ROWS, _MOST_AXES = 5, 4, 12


def plot_variants(
    source: Any,
    kind: str = "scatter",
    *,
    screenshot: str | os.PathLike[str] | None = None,
    window_size: tuple[int, int] = (1600, 1200),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw a table of designs: every response over every variable, or all of them as parallel axes.

    Parameters
    ----------
    source : Variants
    kind : "scatter" or "parallel"
    screenshot, window_size, show, title
        As `plot_field`.

    Raises
    ------
    PictureError
        If no design could be evaluated, or the kind is unknown.
    """
    if kind not in ("scatter", "parallel"):
        raise PictureError(f"kind={kind!r}; a table of designs is drawn as 'scatter' or 'parallel'")
    _check(screenshot)
    failed = len(source.failed)
    if failed == len(source):
        raise PictureError(f"all {failed} designs failed; the first one says: {source.failed[0].failure}")
    page = Page(window_size)
    met = int(source.feasible.sum())
    page.header(
        title if title is not None else f"{len(source)} designs of {source.study.name}",
        f"{met} meet all requirements" + (f", {failed} failed" if failed else ""),
    )
    (_scatter if kind == "scatter" else _parallel)(page, source)
    return finish(page.figure, screenshot=screenshot, name="variants", texts=tuple(page.texts), show=show)


def plot_indices(
    source: Any,
    *,
    screenshot: str | os.PathLike[str] | None = None,
    window_size: tuple[int, int] = (1600, 1200),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw Sobol indices: for each response a bar per variable, alone and together with others.

    Parameters
    ----------
    source : Indices
    screenshot, window_size, show, title
        As `plot_field`.
    """
    _check(screenshot)
    page = Page(window_size)
    shown = source.labels[: 2 * _MOST_ROWS]
    left_out = len(source.labels) - len(shown)
    page.header(
        title if title is not None else f"What makes the responses vary, over the {source.over}",
        "Sobol indices: share of the variance, alone (full) and together with others (pale)"
        + (f"; {left_out} more responses are not shown" if left_out else ""),
    )
    columns = 1 if len(shown) <= 3 else 2
    rows = -(-len(shown) // columns)
    names = list(reversed(source.names))
    at = np.arange(len(names))
    for i, label in enumerate(shown):
        axes = _cell(page, i // columns, i % columns, rows, columns, left=0.15, gap=(0.16, 0.10))
        total, first = source.total[i][::-1], np.maximum(source.first[i][::-1], 0.0)
        axes.barh(at, total, color="#c9d8e6", height=0.62)
        axes.barh(at, first, color=LINES[0], height=0.62)
        for y, (one, all_) in enumerate(zip(first, total, strict=True)):
            axes.text(
                max(all_, one) + 0.012, y, f"{one:.2f} ({all_:.2f})", va="center", color=INK,
                fontsize=page.points(16),
            )  # fmt: skip
        axes.set_xlim(0.0, max(1.22, 1.15 * float(max(total.max(), first.max()))))
        axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])
        axes.set_yticks(at, [shorten(n, 18) for n in names])
        doubt = label in source.doubtful
        error = source.error[i]
        told = f"the expansion misses {100.0 * error:.1f} %" if source.method == "chaos" else f"± {error:.2g}"
        told += ", more samples are needed" if doubt else ""
        _name(page, axes, shorten(label, 60 // columns + 20), told, ALARM if doubt else FAINT)
        _frame(page, axes)
    return finish(page.figure, screenshot=screenshot, name="indices", texts=tuple(page.texts), show=show)


def plot_robustness(
    source: Any,
    *,
    screenshot: str | os.PathLike[str] | None = None,
    window_size: tuple[int, int] = (1600, 1200),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw how the margin of every requirement scatters, and what makes it.

    Parameters
    ----------
    source : Robustness
    screenshot, window_size, show, title
        As `plot_field`.
    """
    _check(screenshot)
    page = Page(window_size)
    spreads = sorted((s for s in source.requirements if s.std > 0.0), key=lambda s: s.level)[:_MOST_ROWS]
    if not spreads:
        raise PictureError("no requirement of this design moves with what scatters")
    word = "holds" if source.holds else "does NOT hold"
    checked = (
        f"curves: first order; bars: {len(source.samples)} samples"
        if source.samples is not None
        else "first order only: nothing was sampled"
    )
    left_out = sum(1 for s in source.requirements if s.std > 0.0) - len(spreads)
    page.header(
        title if title is not None else f"{source.study.name}: {word} at {source.sigma_told}",
        checked + (f"; {left_out} requirements with more room are not shown" if left_out else ""),
    )
    for i, spread in enumerate(spreads):
        height = 0.84 / len(spreads)
        bottom = 0.895 - (i + 1) * height + 0.035
        curve = page.figure.add_axes((0.04, bottom, 0.58, height - 0.095))
        bars = page.figure.add_axes((0.77, bottom, 0.19, height - 0.095))
        _curve(page, curve, source, spread, last=i == len(spreads) - 1)
        _made_by(page, bars, spread, first=i == 0)
    return finish(page.figure, screenshot=screenshot, name="robustness", texts=tuple(page.texts), show=show)


def _curve(page: Page, axes: Any, source: Any, spread: Any, *, last: bool) -> None:
    reach = max(spread.sigma, 3.0) + 1.0
    low, high = spread.value - reach * spread.std, spread.value + reach * spread.std
    numbers = np.zeros(0)
    if source.samples is not None:
        column = source.samples.slacks.get(spread.label, np.zeros(0))
        numbers = column[np.isfinite(column)]
    if len(numbers):
        low, high = min(low, float(numbers.min())), max(high, float(numbers.max()))
    low, high = min(low, -0.02 * (high - low)), max(high, 0.02 * (high - low))
    pad = 0.03 * (high - low)
    axes.set_xlim(100 * (low - pad), 100 * (high + pad))
    axes.axvspan(100 * (low - pad), 0.0, color="#f9e6e8", zorder=0)
    axes.axvline(0.0, color=ALARM, linewidth=page.points(2), zorder=1)
    x = np.linspace(low, high, 400)
    density = np.exp(-0.5 * ((x - spread.value) / spread.std) ** 2) / (spread.std * np.sqrt(2 * np.pi))
    if len(numbers):
        count = int(np.clip(np.sqrt(len(numbers)) * 1.5, 6, 40))
        axes.hist(100 * numbers, bins=count, density=True, color="#c9d8e6", edgecolor=PAPER, zorder=2)
    axes.plot(100 * x, density / 100, color=LINES[0], linewidth=page.points(3), zorder=3)
    top = max(axes.get_ylim()[1], 1.08 * float(density.max()) / 100)
    axes.set_ylim(0.0, top)
    at = spread.value - spread.sigma * spread.std
    color = GOOD if spread.holds else ALARM
    word = f"−{spread.sigma:g} sigma" if spread.sigma else "mean"
    axes.plot([100 * at] * 2, [0.0, 0.45 * top], color=color, linewidth=page.points(2.5), zorder=4)
    page.texts.append(word)
    axes.text(
        100 * at, 0.47 * top, word, ha="center", va="bottom", color=color,
        fontsize=page.points(16), zorder=5,
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": page.points(2)},
    )  # fmt: skip
    told = spread.told + ("" if spread.linear else ", NOT linear: by samples")
    if len(numbers):
        told += f", {100.0 * spread.failing:.1f} % of the samples miss it"
    _name(page, axes, shorten(spread.label, 62), told, color)
    _frame(page, axes)
    axes.set_yticks([])
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:+.0f} %".replace("-", "−").replace("+0 %", "0 %"))
    if last:
        axes.set_xlabel("margin, error included", fontsize=page.points(18), color=INK)
        page.texts.append("margin, error included")


def _made_by(page: Page, axes: Any, spread: Any, *, first: bool) -> None:
    shares = {name: share for name, share in spread.shares.items() if abs(share) >= 0.005}
    top = sorted(shares.items(), key=lambda pair: -abs(pair[1]))[:6][::-1]
    at = np.arange(len(top))
    axes.barh(at, [100 * v for _, v in top], color=LINES[1], height=0.6)
    for y, (_, v) in enumerate(top):
        axes.text(
            max(100 * v, 0.0) + 2, y, f"{100 * v:.0f} %", va="center", fontsize=page.points(16), color=INK
        )
    axes.set_xlim(min(0.0, 115 * min(v for _, v in top)), 125)
    axes.set_yticks(at, [shorten(n, 20) for n, _ in top])
    axes.set_ylim(-0.7, max(len(top), 2) - 0.3)
    page.texts += [n for n, _ in top]
    _frame(page, axes)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    if first:
        _name(page, axes, "made by", "share of the variance", FAINT)


def _scatter(page: Page, source: Any) -> None:
    variables = list(source.variables.items())[:_MOST_COLUMNS]
    responses = _responses(source)[:_MOST_ROWS]
    values, names = source.values, list(source.variables)
    rows, columns = len(responses), len(variables)
    good = source.feasible
    best = source.best
    size = page.points(11 if len(source) < 200 else 6)
    for i, (label, dimension, numbers) in enumerate(responses):
        for j, (name, variable) in enumerate(variables):
            axes = _cell(page, i, j, rows, columns, left=0.07, gap=(0.022, 0.055), top=0.86, bottom=0.12)
            x = np.asarray(units.from_si(values[:, names.index(name)], variable.dimension))
            for flag, face, edge in ((~good, PAPER, ALARM), (good, GOOD, GOOD)):
                axes.plot(
                    x[flag], numbers[flag], "o", markersize=size, markerfacecolor=face, markeredgecolor=edge,
                    markeredgewidth=page.points(1.6), alpha=0.85,
                )  # fmt: skip
            if best is not None:
                k = source.evaluations.index(best)
                axes.plot(
                    x[k], numbers[k], "o", markersize=page.points(24), markerfacecolor="none",
                    markeredgecolor=INK, markeredgewidth=page.points(2),
                )  # fmt: skip
            broken = ~np.isfinite(numbers)
            if broken.any():
                low = float(np.nanmin(numbers))
                axes.plot(x[broken], np.full(broken.sum(), low), "x", color=ALARM, markersize=size)
            if label == _WORST:
                axes.axhline(0.0, color=ALARM, linewidth=page.points(1.5), zorder=0)
            axes.margins(0.07, 0.1)
            _frame(page, axes)
            from matplotlib.ticker import MaxNLocator

            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.tick_params(labelbottom=i == rows - 1, labelleft=j == 0)
            if i == rows - 1:
                _label(page, axes.set_xlabel, with_unit(name, variable.dimension), 24)
            if j == 0:
                _row_name(page, axes, shorten(with_unit(label, dimension), 90))
    left_out = [
        f"{n} more {what} are not shown"
        for n, what in (
            (len(source.variables) - columns, "variables"),
            (len(_responses(source)) - rows, "responses"),
        )
        if n > 0
    ]
    page.footer(
        ["full: meets all requirements", "open: does not", "ring: the best"]
        + (["cross: failed"] if source.failed else [])
        + left_out
    )


def _parallel(page: Page, source: Any) -> None:
    values = source.values
    variables: list[tuple[str, str, FloatArray]] = [
        (name, v.dimension, np.asarray(units.from_si(values[:, j], v.dimension)))
        for j, (name, v) in enumerate(source.variables.items())
    ]
    responses = _responses(source)
    columns = variables[: _MOST_AXES - min(len(responses), 4)]
    columns += responses[: _MOST_AXES - len(columns)]
    left_out = len(variables) + len(responses) - len(columns)
    axes = page.figure.add_axes((0.07, 0.14, 0.86, 0.70))
    scaled = np.empty((len(source), len(columns)))
    for j, (_, _, numbers) in enumerate(columns):
        low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
        scaled[:, j] = (numbers - low) / (high - low) if high > low else 0.5
    ok = np.isfinite(scaled).all(axis=1)
    x = np.arange(len(columns))
    good, best = source.feasible, source.best
    thin = page.points(2.0 if len(source) < 100 else 1.0)
    for flag, color, alpha in ((ok & ~good, ALARM, 0.25), (ok & good, GOOD, 0.55)):
        for row in scaled[flag]:
            axes.plot(x, row, color=color, alpha=alpha, linewidth=thin)
    if best is not None:
        axes.plot(x, scaled[source.evaluations.index(best)], color=INK, linewidth=page.points(4))
    for j, (label, dimension, numbers) in enumerate(columns):
        axes.axvline(j, color=FAINT, linewidth=page.points(1.2), zorder=0)
        for y, number, place in ((1.015, np.nanmax(numbers), "bottom"), (-0.015, np.nanmin(numbers), "top")):
            text = f"{number:.4g}".replace("-", "−")
            page.texts.append(text)
            axes.text(j, y, text, ha="center", va=place, fontsize=page.points(16), color=INK)
        lines = wrap(with_unit(label, dimension), max(11, 105 // len(columns)))
        page.texts.append(" ".join(lines))
        lines = lines if len(lines) <= 3 else [*lines[:2], lines[2] + " …"]
        axes.text(
            j, -0.065, "\n".join(lines), ha="center", va="top", fontsize=page.points(17), color=INK,
            linespacing=1.25, parse_math=False,
        )  # fmt: skip
    axes.set_xlim(-0.35, len(columns) - 0.65)
    axes.set_ylim(-0.02, 1.02)
    axes.axis("off")
    told = ["green: meets all requirements", "red: does not", "black: the best"]
    page.footer(told + ([f"{left_out} more axes are left out"] if left_out else []))


_WORST = "worst margin"


def _responses(source: Any) -> list[tuple[str, str, FloatArray]]:
    """What is drawn: objective, worst margin, readings, in display units."""
    dimensions = source.dimensions()
    columns = source.responses
    out = []
    for label, numbers in columns.items():
        dimension = dimensions.get(label, "dimensionless")
        out.append((label, dimension, np.asarray(units.from_si(numbers, dimension))))
    slacks = [np.nan if e.failure else e.worst_slack for e in source.evaluations]
    worst = np.array(slacks, np.float64)
    if np.isfinite(worst).any():
        out.insert(1, (_WORST, "dimensionless", np.where(np.isfinite(worst), worst, np.nan)))
    return [one for one in out if np.isfinite(one[2]).any()]


def _cell(
    page: Page, row: int, column: int, rows: int, columns: int, *, left: float, gap: tuple[float, float],
    top: float = 0.84, bottom: float = 0.07,
) -> Any:  # fmt: skip
    width = (0.97 - left - gap[0] * (columns - 1)) / columns
    height = (top - bottom - gap[1] * (rows - 1)) / rows
    return page.figure.add_axes(
        (left + column * (width + gap[0]), top - (row + 1) * height - row * gap[1], width, height)
    )


def _frame(page: Page, axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
        axes.spines[side].set_linewidth(0.7)
    axes.tick_params(labelsize=page.points(16), colors=INK, width=0.7, length=page.points(5))


def _name(page: Page, axes: Any, text: str, below: str, color: str) -> None:
    """Two lines above axes: what it is, and what is told about it."""
    page.texts += [text, below]
    box = axes.get_position()
    up = page.unit / page.height
    page.figure.text(
        box.x0, box.y1 + 34 * up, text, fontsize=page.points(19), color=INK, weight="bold", va="bottom",
        parse_math=False,
    )  # fmt: skip
    page.figure.text(
        box.x0, box.y1 + 10 * up, below, fontsize=page.points(16), color=color, va="bottom", parse_math=False
    )


def _row_name(page: Page, axes: Any, text: str) -> None:
    page.texts.append(text)
    box = axes.get_position()
    page.figure.text(
        box.x0, box.y1 + 8 * page.unit / page.height, text, fontsize=page.points(17), color=INK,
        weight="bold", va="bottom", parse_math=False,
    )  # fmt: skip


def _label(page: Page, put: Any, text: str, width: int) -> None:
    lines: Sequence[str] = wrap(text, width)[:2]
    page.texts.append(" ".join(lines))
    put("\n".join(lines), fontsize=page.points(17), color=INK, parse_math=False)


def _check(screenshot: Any) -> None:
    if screenshot is not None:
        check_path(screenshot)
