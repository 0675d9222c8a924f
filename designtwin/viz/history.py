"""The course of a design study: objective, slack of each requirement, variables, over the designs tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import PictureError
from designtwin.typing import FloatArray
from designtwin.viz.page import Page, shorten
from designtwin.viz.picture import PathLike, Picture, check_path, finish
from designtwin.viz.scene import ALARM, FAINT, INK, PAPER

GOOD = "#2b7a4b"
LINES = ("#2a649b", "#b35c00", "#6a4c93", "#2b7a4b", "#a13d63", "#4a6572", "#8a7b1f", "#1b998b")


def plot_history(
    source: Any,
    *,
    screenshot: PathLike | None = None,
    window_size: tuple[int, int] = (1600, 1200),
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw the designs of a study in the order they were tried.

    Parameters
    ----------
    source : History, or what a study returned
    screenshot, window_size, show, title
        As `plot_field`.

    Raises
    ------
    PictureError
        If no design has been evaluated.
    """
    check_path(screenshot)
    history = getattr(source, "history", source)
    designs = list(history.designs)
    if not designs:
        raise PictureError("the study has no designs yet; run it first")
    page = Page(window_size)
    good = [d for d in designs if not d.failure]
    gradients = len(history.evaluations) - len(designs)
    heading = (
        title if title is not None else f"Design study: {history.objective.label} over {len(designs)} designs"
    )
    failed = f"{len(designs) - len(good)} failed, " if len(good) < len(designs) else ""
    page.header(
        heading, f"{failed}{gradients} more evaluations for gradients" if gradients else failed.rstrip(", ")
    )
    slacks = _slacks(good)
    rows = [("objective", 0.36)] + ([("slack", 0.32)] if slacks else []) + [("variables", 0.24)]
    left, width, top, gap = 0.085, 0.665, 0.875, 0.055
    total = sum(share for _, share in rows)
    usable = top - 0.075 - gap * (len(rows) - 1)
    x = np.arange(1.0, len(designs) + 1)
    for kind, share in rows:
        height = usable * share / total
        axes = page.figure.add_axes((left, top - height, width, height))
        _style(page, axes, len(designs), last=kind == "variables")
        if kind == "objective":
            _objective(page, axes, history, designs, x)
        elif kind == "slack":
            _slack_lines(page, axes, slacks, designs, x)
        else:
            _variable_lines(page, axes, history, designs, x)
        top -= height + gap
    return finish(page.figure, screenshot=screenshot, name="design study", texts=tuple(page.texts), show=show)


def _style(page: Page, axes: Any, n: int, *, last: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0.5, n + 0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
        axes.spines[side].set_linewidth(0.7)
    axes.grid(axis="y", color="#e3e7ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=page.points(17), colors=INK, width=0.7, length=page.points(5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    if last:
        axes.set_xlabel("design", fontsize=page.points(19), color=INK)
        page.texts.append("design")
    else:
        axes.tick_params(labelbottom=False)


def _objective(page: Page, axes: Any, history: Any, designs: Sequence[Any], x: FloatArray) -> None:
    dimension = history.objective.dimension
    value = np.array(
        [np.nan if d.objective is None else units.from_si(d.objective, dimension) for d in designs]
    )
    met = np.array([d.worst_slack >= 0 for d in designs])
    axes.plot(x, value, color=FAINT, linewidth=page.points(2), zorder=1)
    for flag, face, edge, text in ((met, GOOD, GOOD, "meets all"), (~met, PAPER, ALARM, "does not")):
        if (flag & np.isfinite(value)).any():
            axes.plot(
                x[flag],
                value[flag],
                "o",
                markersize=page.points(13),
                markerfacecolor=face,
                markeredgecolor=edge,
                markeredgewidth=page.points(2.5),
                label=text,
                zorder=3,
            )
            page.texts.append(text)
    broken = np.isnan(value)
    if broken.any() and (~broken).any():
        axes.plot(
            x[broken],
            np.full(broken.sum(), np.nanmin(value)),
            "x",
            color=ALARM,
            markersize=page.points(13),
            markeredgewidth=page.points(3),
            label="failed to evaluate",
        )
        page.texts.append("failed to evaluate")
    _ylabel(page, axes, with_unit(history.objective.label, dimension))
    axes.margins(y=0.12)
    axes.legend(
        fontsize=page.points(17),
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.005, 1.02),
        labelcolor=INK,
        borderaxespad=0.2,
    )
    if met.any():
        best = int(np.nanargmin(np.where(met, value, np.nan)))
        shown = units.show(designs[best].objective, dimension)
        text = f"best: {shown}"
        if best and np.isfinite(value[0]) and value[0]:
            start = units.show(designs[0].objective, dimension)
            change = f"{100 * (value[best] - value[0]) / abs(value[0]):+.1f} % from the start".replace(
                "-", "−"
            )
            text += f" ({change})" if met[0] else f" (start: {start}, not enough)"
        page.texts.append(text)
        axes.text(
            1.02,
            0.35,
            text.replace(" (", "\n("),
            transform=axes.transAxes,
            fontsize=page.points(18),
            color=GOOD,
            weight="bold",
            va="center",
            ha="left",
            linespacing=1.4,
        )
        axes.plot(
            x[best],
            value[best],
            "o",
            markersize=page.points(24),
            markerfacecolor="none",
            markeredgecolor=GOOD,
            markeredgewidth=page.points(2),
            zorder=4,
        )


def _slacks(designs: Sequence[Any]) -> dict[str, dict[int, float]]:
    """Smallest slack over the load cases, by requirement and design number."""
    out: dict[str, dict[int, float]] = {}
    for design in designs:
        for key, slack in design.slacks.items():
            name = str(key).split(" | ")[0]
            found = out.setdefault(name, {})
            found[design.number] = min(found.get(design.number, np.inf), float(slack))
    return out


def _slack_lines(
    page: Page, axes: Any, slacks: dict[str, dict[int, float]], designs: Sequence[Any], x: FloatArray
) -> None:
    axes.axhspan(-10, 0, color="#f9e6e8", zorder=0)
    axes.axhline(0, color=ALARM, linewidth=page.points(2), zorder=1)
    ends, lowest, highest = [], 0.0, 0.0
    for color, (name, by_number) in zip(_colors(), slacks.items(), strict=False):
        value = np.array([by_number.get(d.number, np.nan) for d in designs])
        shown = np.clip(value, -1.0, 1.5)
        axes.plot(
            x, shown, "-o", color=color, linewidth=page.points(2.5), markersize=page.points(6), zorder=2
        )
        if np.isfinite(shown).any():
            ends.append((float(shown[np.isfinite(shown)][-1]), name, color))
            lowest, highest = min(lowest, float(np.nanmin(shown))), max(highest, float(np.nanmax(shown)))
    axes.set_ylim(min(lowest * 1.15, -0.12 * max(highest, 0.1)), max(highest * 1.15, 0.05))
    axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:+.0f} %".replace("-", "−").replace("+0 %", "0 %"))
    _ylabel(page, axes, "margin, error included")
    end_labels(page, axes, ends)


def _variable_lines(page: Page, axes: Any, history: Any, designs: Sequence[Any], x: FloatArray) -> None:
    ends = []
    for color, (name, variable) in zip(_colors(), history.variables.items(), strict=False):
        value = np.array([variable.scaled(d.values[name]) for d in designs])
        axes.plot(x, value, "-o", color=color, linewidth=page.points(2.5), markersize=page.points(6))
        first, last = variable.text(designs[0].values[name]), variable.text(designs[-1].values[name])
        ends.append(
            (float(value[-1]), f"{name}: {first} → {last}" if first != last else f"{name}: {last}", color)
        )
    axes.set_ylim(-0.06, 1.06)
    axes.set_yticks([0, 0.5, 1])
    axes.set_yticklabels(["lowest", "", "highest"])
    _ylabel(page, axes, "variables")
    end_labels(page, axes, ends)


def _ylabel(page: Page, axes: Any, text: str) -> None:
    axes.set_ylabel(text, fontsize=page.points(18), color=INK)
    axes.yaxis.set_label_coords(-0.085, 0.5)
    page.texts.append(text)


def end_labels(page: Page, axes: Any, ends: list[tuple[float, str, str]]) -> None:
    """Names at the right end of lines, moved apart where they would touch."""
    low, high = axes.get_ylim()
    height = axes.get_position().height * page.height
    line = 24 * page.unit / height * (high - low)
    wrapped = [(value, *_two_lines(name, 32), color) for value, name, color in sorted(ends)]
    place, floor = [], low
    for value, _, count, _ in wrapped:
        at = max(value, floor + count * line / 2)
        place.append(at)
        floor = at + count * line / 2 + 0.25 * line
    over = max(place[-1] + wrapped[-1][2] * line / 2 - high, 0.0) if place else 0.0
    for i in range(len(place) - 1, -1, -1):
        # Push back down only as far as the ones below leave room.
        room = (
            place[i] - (place[i - 1] + (wrapped[i - 1][2] + wrapped[i][2]) * line / 2)
            if i
            else place[i] - low
        )
        place[i] -= min(over, max(room, over if over and i else room))
    for at, (value, text, _, color) in zip(place, wrapped, strict=True):
        page.texts.append(text.replace("\n", " "))
        axes.annotate(
            text,
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(1.02, at),
            textcoords=("axes fraction", "data"),
            fontsize=page.points(17),
            color=color,
            va="center",
            ha="left",
            annotation_clip=False,
            linespacing=1.2,
            arrowprops={
                "arrowstyle": "-",
                "color": color,
                "linewidth": page.points(1),
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0.0, 0.5),
            },
        )


def _two_lines(text: str, width: int) -> tuple[str, int]:
    import textwrap

    lines = textwrap.wrap(text, width)
    if len(lines) > 2:
        lines = [lines[0], shorten(" ".join(lines[1:]), width)]
    return "\n".join(lines), len(lines)


def with_unit(label: str, dimension: str) -> str:
    symbol = units.symbol(dimension)
    return f"{label}, {symbol}" if symbol else label


def _colors() -> list[str]:
    return list(LINES) * 8
