"""Pictures of a study beyond its history: how responses move with variables, and the front of two goals."""

from __future__ import annotations

import os
import textwrap
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import PictureError
from designtwin.typing import FloatArray
from designtwin.viz.history import GOOD, LINES, with_unit
from designtwin.viz.page import Page, shorten
from designtwin.viz.picture import Picture, check_path, finish
from designtwin.viz.scene import ALARM, FAINT, INK, PAPER

_MOST_ROWS, _MOST_COLUMNS = 18, 12


def plot_study_sensitivity(
    source: Any,
    *,
    screenshot: str | os.PathLike[str] | None = None,
    window_size: tuple[int, int] | None = None,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw how every response moves with every variable: bars to the left and right of nothing.

    Parameters
    ----------
    source : StudySensitivity
    window_size : (int, int), optional
        As high as the number of responses asks for unless given.
    screenshot, show, title
        As `plot_field`.
    """
    if screenshot is not None:
        check_path(screenshot)
    rows, columns = np.arange(len(source.responses)), np.arange(len(source.variables))
    # Of too many the ones that move most are told.
    if len(rows) > _MOST_ROWS:
        size = np.abs(source.scaled).max(axis=1)
        size[0] = np.inf
        rows = np.sort(np.argsort(-size, kind="stable")[:_MOST_ROWS])
    if len(columns) > _MOST_COLUMNS:
        size = np.abs(source.scaled[rows]).max(axis=0)
        columns = np.sort(np.argsort(-size, kind="stable")[:_MOST_COLUMNS])
    page = Page(window_size or (1600, 330 + 84 * len(rows)))
    page.unit = page.width / 1600  # as wide as any page, and as high as its rows
    page.header(
        title or "How the design moves",
        "for a tenth of each variable's range; green: less of it, more margin; each row on its own scale",
    )
    left = 470 * page.unit / page.width
    right, top = 1.0 - 40 * page.unit / page.width, 1.0 - 225 * page.unit / page.height
    bottom = 80 * page.unit / page.height
    width, height = (right - left) / len(columns), (top - bottom) / len(rows)
    names, steps = list(source.variables), source.steps
    for j, column in enumerate(columns):
        center = left + (j + 0.5) * width
        name = names[int(column)]
        letters = max(int(width * page.width / (13 * page.unit)), 6)
        page.text(center, top + 48 * page.unit / page.height, shorten(name, letters), 20, ha="center",
                  va="bottom", weight="bold")  # fmt: skip
        page.text(center, top + 18 * page.unit / page.height, steps[name], 17, ha="center", va="bottom",
                  color=FAINT)  # fmt: skip
    for i, row in enumerate(rows):
        middle = top - (i + 0.5) * height
        label = "\n".join(textwrap.wrap(source.responses[int(row)], 38)[:2])
        page.text(left - 22 * page.unit / page.width, middle, label, 18, ha="right", va="center",
                  linespacing=1.2, weight="bold" if row == 0 else "normal")  # fmt: skip
        for j, column in enumerate(columns):
            box = (left + j * width, top - (i + 1) * height, width, height)
            value = float(source.scaled[row, column])
            largest = float(np.abs(source.scaled[row]).max()) or 1.0
            _bar(page, box, value, largest, good=value * source.better[int(row)] >= 0.0)
    left_out = [
        f"{many} more {what} move less"
        for many, what in (
            (len(source.responses) - len(rows), "responses"),
            (len(source.variables) - len(columns), "variables"),
        )
        if many
    ]
    at = ", ".join(f"{n} {v.text(source.values[n])}" for n, v in source.variables.items())
    page.footer([f"at {at}", *left_out])
    return finish(
        page.figure, screenshot=screenshot, name="study sensitivity", texts=tuple(page.texts), show=show
    )


def _bar(
    page: Page, box: tuple[float, float, float, float], value: float, largest: float, *, good: bool
) -> None:
    """One cell: a bar as long as its share of the largest of its row, and the number."""
    from matplotlib.patches import Rectangle

    x, y, width, height = box
    figure, middle = page.figure, x + 0.5 * width
    reach = 0.46 * width * value / largest
    figure.add_artist(
        Rectangle(
            (min(middle, middle + reach), y + 0.14 * height), abs(reach), 0.40 * height,
            facecolor=GOOD if good else ALARM, alpha=0.75, linewidth=0, transform=figure.transFigure,
        )
    )  # fmt: skip
    figure.add_artist(
        Rectangle(
            (middle - 0.6 / page.width, y + 0.08 * height), 1.2 / page.width, 0.52 * height, facecolor=FAINT,
            linewidth=0, transform=figure.transFigure,
        )
    )  # fmt: skip
    percent = 100.0 * value
    text = f"{percent:+.0f} %" if abs(percent) >= 100.0 else f"{percent:+.1f} %"
    text = "0 %" if abs(percent) < 0.05 else text.replace("-", "−")
    page.text(middle, y + 0.60 * height, text, 17, ha="center", va="bottom",
              color=FAINT if text == "0 %" else INK)  # fmt: skip


def plot_front(
    source: Any,
    *,
    variables: bool = True,
    screenshot: str | os.PathLike[str] | None = None,
    window_size: tuple[int, int] = (1600, 1200),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw the front between two quantities, all designs analyzed on the way, and how variables go along it.

    Parameters
    ----------
    source : Front
    variables : bool
        Whether the variables along the front are drawn below.
    screenshot, window_size, show, title
        As `plot_field`.

    Raises
    ------
    PictureError
        If the front has no points.
    """
    if screenshot is not None:
        check_path(screenshot)
    best = source.best
    if not best:
        raise PictureError("the front has no points")
    page = Page(window_size)
    heading = title or f"{source.one.label} against {source.other.label}"
    counted = [e for e in source.evaluations if e.purpose == "design" or not source.study.scatter]
    meets = sum(1 for e in counted if e.worst_slack >= 0.0)
    page.header(
        heading[:1].upper() + heading[1:],
        f"{len(best)} designs of the front; {len(source.evaluations)} analyses, "
        + f"{meets} of them meet all requirements {source.study.sigma_told}".rstrip(),
    )
    left, right = 150 * page.unit / page.width, 60 * page.unit / page.width
    top, bottom = 130 * page.unit / page.height, 95 * page.unit / page.height
    drawn = variables and len(best) > 1
    below = (0.30 + 0.06) * (1 - top - bottom) if drawn else 0.0
    wide = 340 * page.unit / page.width if drawn else 0.0
    axes = page.figure.add_axes((left, bottom + below, 1 - left - right - wide, 1 - top - bottom - below))
    _plain(page, axes)
    _points(page, axes, source, drawn)
    label = with_unit(source.one.label, source.one.dimension)
    _name(page, axes, with_unit(source.other.label, source.other.dimension))
    if drawn:
        lower = page.figure.add_axes((left, bottom, 1 - left - right - wide, 0.30 * (1 - top - bottom)))
        _plain(page, lower)
        _along(page, lower, source)
        lower.set_xlim(axes.get_xlim())
        axes.tick_params(labelbottom=False)
        axes = lower
    axes.set_xlabel(label, fontsize=page.points(19), color=INK)
    page.texts.append(label)
    return finish(page.figure, screenshot=screenshot, name="front", texts=tuple(page.texts), show=show)


def _shown(source: Any, points: Any) -> tuple[FloatArray, FloatArray]:
    x = np.array([units.from_si(p.one, source.one.dimension) for p in points], np.float64)
    y = np.array([units.from_si(p.other, source.other.dimension) for p in points], np.float64)
    return x, y


def _points(page: Page, axes: Any, source: Any, wide: bool) -> None:
    done = [e for e in source.evaluations if not e.failure and e.objective is not None]
    if source.study.scatter:  # what was analyzed with something moved from its mean is no design
        done = [e for e in done if e.purpose == "design"]
    label = source.other.label
    for meets, face, edge, text in (
        (True, "#c7d0d8", "#c7d0d8", "analyzed on the way"),
        (False, PAPER, "#e7a3ac", "does not meet all requirements"),
    ):
        some = [e for e in done if (e.worst_slack >= 0.0) == meets]
        if some:
            axes.plot(
                [units.from_si(e.objective, source.one.dimension) for e in some],
                [units.from_si(e.goals[label], source.other.dimension) for e in some], "o",
                markersize=page.points(9), markerfacecolor=face, markeredgecolor=edge,
                markeredgewidth=page.points(2), label=text, zorder=1,
            )  # fmt: skip
            page.texts.append(text)
    x, y = _shown(source, source.best)
    axes.plot(x, y, "-", color=GOOD, linewidth=page.points(2.5), zorder=2)
    axes.plot(x, y, "o", color=GOOD, markersize=page.points(13), label="front", zorder=4)
    page.texts.append("front")
    beaten = [p for p in source.points if p.dominated]
    if beaten:
        bx, by = _shown(source, beaten)
        axes.plot(bx, by, "o", markersize=page.points(13), markerfacecolor=PAPER, markeredgecolor=FAINT,
                  markeredgewidth=page.points(2.5), label="dominated", zorder=3)  # fmt: skip
        page.texts.append("dominated")
    # What was tried far away would press the front into a corner.
    for axis, values in ((axes.set_xlim, x), (axes.set_ylim, y)):
        span = float(np.ptp(values)) or abs(float(values[0])) or 1.0
        axis(float(values.min()) - 0.12 * span, float(values.max()) + 0.12 * span)
    knee = source.knee
    if knee is not None:
        text = (
            f"knee: {units.show(knee.one, source.one.dimension)}, "
            f"{units.show(knee.other, source.other.dimension)}"
        )
        page.texts.append(text)
        kx, ky = _shown(source, [knee])
        axes.plot(kx, ky, "o", markersize=page.points(24), markerfacecolor="none", markeredgecolor=INK,
                  markeredgewidth=page.points(2), zorder=5)  # fmt: skip
        # The hollow side of the front is where nothing can be: there is room for words.
        small = [1.0 if q.largest_governs else -1.0 for q in (source.one, source.other)]
        offset = tuple(page.points(45 * s) for s in small)
        axes.annotate(
            text, (float(kx[0]), float(ky[0])), xytext=offset,
            textcoords="offset points", fontsize=page.points(18), color=INK, zorder=6,
            ha="left" if small[0] > 0 else "right", va="bottom" if small[1] > 0 else "top",
            bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 2.0},
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": page.points(1)},
        )  # fmt: skip
    beside = {"bbox_to_anchor": (1.0, 1.0), "loc": "upper left"} if wide else {"loc": "best"}
    axes.legend(**beside, fontsize=page.points(17), frameon=True, framealpha=0.9, edgecolor="none",
                labelcolor=INK)  # fmt: skip


def _along(page: Page, axes: Any, source: Any) -> None:
    """The variables of the front's designs, between their bounds."""
    from designtwin.viz.history import end_labels

    x, _ = _shown(source, source.best)
    order = np.argsort(x, kind="stable")
    ends = []
    for k, (name, variable) in enumerate(source.variables.items()):
        color = LINES[k % len(LINES)]
        share = np.array([variable.scaled(p.values[name]) for p in source.best])
        axes.plot(x[order], share[order], "-o", color=color, linewidth=page.points(2.5),
                  markersize=page.points(7))  # fmt: skip
        values = [p.values[name] for p in source.best]
        ends.append(
            (
                float(share[order][-1]),
                f"{name}: {variable.text(min(values))} to {variable.text(max(values))}",
                color,
            )
        )
    axes.set_ylim(-0.08, 1.08)
    axes.set_yticks([0, 0.5, 1])
    axes.set_yticklabels(["lowest", "", "highest"])
    _name(page, axes, "variables")
    end_labels(page, axes, ends)


def _name(page: Page, axes: Any, text: str) -> None:
    box = axes.get_position()
    page.text(
        30 * page.unit / page.width, box.y0 + box.height / 2, text, 19, rotation=90, va="center", ha="center"
    )


def _plain(page: Page, axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
        axes.spines[side].set_linewidth(0.7)
    axes.grid(color="#e3e7ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=page.points(17), colors=INK, width=0.7, length=page.points(5))
