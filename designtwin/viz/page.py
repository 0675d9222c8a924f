"""The page around the pixels: title, color bar, labels beside the part, notes.

Labels are placed where the part is not: the rendered pixels tell what is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin.errors import PictureError
from designtwin.typing import BoolArray, FloatArray
from designtwin.viz.render import render
from designtwin.viz.scene import ALARM, FAINT, INK, PAPER, Callout, Scale, Scene, color_table
from designtwin.viz.view import View, frame, look_at, visible

BLANK = 1e-3  # share of pixels below which a picture counts as empty

AXES = ("#b03a3a", "#3b8a3e", "#3465a4")
"""Colors of x, y and z."""
MARGINS = (0.10, 0.10, 0.09, 0.11)  # left, right, top, bottom of a viewport, kept for labels


@dataclass(frozen=True)
class Box:
    """A rectangle in shares of the page, from the lower left."""

    left: float
    bottom: float
    width: float
    height: float


class Page:
    """A figure of a given size in pixels, and the words put on it so far."""

    def __init__(self, size: tuple[int, int]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        width, height = size
        if not (200 <= width <= 10_000 and 150 <= height <= 10_000):
            raise PictureError(f"window_size {size} is outside 200 × 150 to 10000 × 10000 pixels")
        self.width, self.height = width, height
        self.dpi = 100.0
        self.figure: Any = Figure(
            figsize=(width / self.dpi, height / self.dpi), dpi=self.dpi, facecolor=PAPER
        )
        FigureCanvasAgg(self.figure)
        self.unit = min(width / 1600, height / 1200)  # text grows with the page
        self.texts: list[str] = []

    def points(self, pixels: float) -> float:
        """Font or line size in points for a size in pixels of a 1600 × 1200 page."""
        return float(pixels * self.unit * 72.0 / self.dpi)

    def text(self, x: float, y: float, text: str, size: float, **style: Any) -> Any:
        """Write on the page at shares (x, y)."""
        self.texts.append(text)
        return self.figure.text(
            x, y, text, fontsize=self.points(size), **{"color": INK, "parse_math": False, **style}
        )

    def header(self, title: str, subtitle: str) -> None:
        """Title lines at the top."""
        left = 36 * self.unit / self.width
        self.fit(self.text(left, 1 - 34 * self.unit / self.height, title, 30, weight="bold", va="top"))
        self.fit(self.text(left, 1 - 82 * self.unit / self.height, subtitle, 20, color=FAINT, va="top"))

    def fit(self, text: Any) -> None:
        """Shrink a line of text that would leave the page; cut it only if it still would."""
        room = self.width - text.get_window_extent().x0 - 24 * self.unit
        span = text.get_window_extent().width
        if span > room:
            text.set_fontsize(text.get_fontsize() * max(room / span, 0.7))
        words = text.get_text()
        while text.get_window_extent().width > room and len(words) > 8:
            words = words[:-4].rstrip()
            text.set_text(words + " …")

    def footer(self, notes: Sequence[str]) -> None:
        """Notes at the bottom."""
        line = "   ·   ".join(note for note in notes if note)
        if line:
            left = 36 * self.unit / self.width
            self.fit(self.text(left, 24 * self.unit / self.height, line, 18, color=FAINT, va="bottom"))

    def bar(self, scale: Scale, box: Box) -> None:
        """A color bar with title, unit, ticks, and the limit."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colorbar import Colorbar
        from matplotlib.colors import ListedColormap, LogNorm, Normalize

        axes = self.figure.add_axes((box.left, box.bottom, box.width, box.height))
        colors = ListedColormap(color_table(scale.colors, scale.steps))
        mapping = ScalarMappable((LogNorm if scale.log else Normalize)(scale.low, scale.high), colors)
        ends: Any = {(0, 0): "neither", (0, 1): "max", (1, 0): "min", (1, 1): "both"}
        bar = Colorbar(axes, mapping, extend=ends[scale.below, scale.above], extendfrac=0.04, drawedges=False)
        ticks = scale.ticks()
        bar.set_ticks(ticks.tolist())
        labels = [power_of_ten(t) for t in ticks] if scale.log else format_ticks(ticks)
        bar.minorticks_off()
        bar.set_ticklabels(labels, fontsize=self.points(18), color=INK)
        self.texts += labels
        bar.outline.set_linewidth(0.6)
        bar.outline.set_edgecolor(FAINT)
        axes.tick_params(length=self.points(6), width=0.6, color=FAINT)
        for line in scale.lines:
            share = float(scale.share(line))
            if 0.0 < share < 1.0:
                axes.plot(
                    [0, 1], [share, share], transform=axes.transAxes, color=INK, linewidth=self.points(1.2)
                )
        name, _, unit = scale.title.rpartition(", ")
        top = box.bottom + box.height + 0.05 * box.height
        lines = [*wrap(name or scale.title, 15), unit] if name else wrap(scale.title, 15)
        self.texts += lines
        text = self.figure.text(
            box.left,
            top,
            "\n".join(lines),
            fontsize=self.points(19),
            color=INK,
            va="bottom",
            ha="left",
            linespacing=1.25,
            parse_math=False,
        )
        wide, room = text.get_window_extent().width, self.width * (1 - box.left) - 6 * self.unit
        if wide > room:
            text.set_fontsize(text.get_fontsize() * room / wide)
        if scale.mark is not None and scale.low <= scale.mark <= scale.high:
            share = float(scale.share(scale.mark))
            axes.plot([0, 1], [share, share], transform=axes.transAxes, color=INK, linewidth=self.points(3))
            self.texts.append(scale.mark_text)
            axes.annotate(
                scale.mark_text,
                (0, share),
                xycoords=axes.transAxes,
                xytext=(-self.points(10), 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=self.points(17),
                color=INK,
                arrowprops={
                    "arrowstyle": "-",
                    "linewidth": self.points(2),
                    "color": INK,
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
            )

    def legend(self, entries: Sequence[tuple[str, str]], box: Box) -> None:
        """Color swatches with names, from the top of a box down."""
        from matplotlib.patches import Rectangle

        step = 34 * self.unit / self.height
        side = 20 * self.unit
        room = max(int(box.height / step), 1)
        shown = list(entries[:room])
        if len(entries) > room:
            shown[-1] = (PAPER, f"and {len(entries) - room + 1} more")
        y = box.bottom + box.height - step
        for color, text in shown:
            self.figure.add_artist(
                Rectangle(
                    (box.left, y),
                    side / self.width,
                    side / self.height,
                    facecolor=color,
                    edgecolor=FAINT if color != PAPER else PAPER,
                    linewidth=0.5,
                    transform=self.figure.transFigure,
                )
            )
            self.text(
                box.left + 1.5 * side / self.width,
                y + 0.5 * side / self.height,
                shorten(text, 30),
                17,
                va="center",
            )
            y -= step

    def triad(self, view: View, box: Box, flat: bool) -> None:
        """The three axes, in the lower left corner of a viewport."""
        axes = self.overlay(box)
        size = 44 * self.unit
        cx, cy = 0.0 + 74 * self.unit, box.height * self.height - 66 * self.unit
        for axis in sorted(range(3), key=lambda i: view.toward[i]):
            direction = np.eye(3)[axis]
            dx, dy = float(direction @ view.right), -float(direction @ view.up)
            if flat and axis == 2:
                continue
            color = AXES[axis]
            if np.hypot(dx, dy) > 0.12:
                axes.annotate(
                    "",
                    (cx + size * dx, cy + size * dy),
                    (cx, cy),
                    arrowprops={
                        "arrowstyle": "-|>",
                        "color": color,
                        "linewidth": self.points(3),
                        "mutation_scale": self.points(16),
                        "shrinkA": 0,
                        "shrinkB": 0,
                    },
                )
                axes.text(
                    cx + 1.45 * size * dx,
                    cy + 1.45 * size * dy,
                    "xyz"[axis],
                    color=color,
                    fontsize=self.points(18),
                    ha="center",
                    va="center",
                )

    def overlay(self, box: Box) -> Any:
        """Axes over a viewport in its pixels, origin at the upper left."""
        axes = self.figure.add_axes((box.left, box.bottom, box.width, box.height))
        axes.set_xlim(0, box.width * self.width)
        axes.set_ylim(box.height * self.height, 0)
        axes.axis("off")
        axes.patch.set_alpha(0)
        return axes

    def panel(
        self,
        scene: Scene,
        box: Box,
        toward: FloatArray,
        *,
        margins: tuple[float, float, float, float] = MARGINS,
        heading: str = "",
        caption: str = "",
        triad: bool = True,
    ) -> View:
        """Draw a scene into a box with its callouts and axes; returns the view used.

        A heading stands above the box, a caption in its corner.

        Raises
        ------
        PictureError
            If nothing of the scene got drawn.
        """
        width, height = max(round(box.width * self.width), 32), max(round(box.height * self.height), 32)
        view = frame(scene.framed(), toward, width, height, margins=margins)
        image, filled = render(scene, view)
        if filled.mean() < BLANK:
            raise PictureError(
                f"the picture {scene.title!r} came out blank ({filled.mean():.2%} of its pixels are drawn); "
                "set DESIGNTWIN_GL=none to draw without the graphics library, and tell us"
            )
        axes = self.overlay(box)
        axes.imshow(np.clip(image, 0, 1), extent=(0, width, height, 0), interpolation="none", aspect="auto")
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        if heading:
            self.text(
                box.left + box.width / 2,
                box.bottom + box.height,
                heading,
                22,
                ha="center",
                va="top",
                weight="bold",
            )
        if triad:
            self.triad(view, box, scene.flat)
        self._callouts(scene, view, filled, box, caption)
        return view

    def _callouts(self, scene: Scene, view: View, filled: BoolArray, box: Box, caption: str) -> None:
        axes = self.overlay(box)
        grid = Grid(filled, max(round(4 * self.unit), 2))
        edge = 14 * self.unit
        grid.block(0, 0, edge, view.height)
        grid.block(view.width - edge, 0, view.width, view.height)
        grid.block(0, view.height - 130 * self.unit, 150 * self.unit, view.height)  # the triad's corner
        if caption:
            self._caption(axes, caption, grid)
        if scene.ring is not None:
            self._ring(axes, scene.ring, view, grid)
        solid = [body for body in scene.bodies if body.opacity > 0.9 and body.hides]
        placed: list[tuple[Any, Callout, FloatArray, FloatArray, bool]] = []
        for callout in scene.callouts:
            anchor, seen = _anchor(callout, view, solid)
            text = (
                callout.text if seen or callout.kind in ("name", "note") else f"{callout.text}  (hidden side)"
            )
            # No label is wider than half the picture of its part.
            letters = int(np.clip(0.045 * view.width / self.unit, 18, 52))
            label = self._label(axes, callout, folded(text, letters))
            extent = label.get_window_extent()
            pad = 9 * self.unit
            w, h = extent.width + 2 * pad, extent.height + 2 * pad
            x, y = grid.place(anchor, w, h, gap=26 * self.unit)
            label.set_position((x + w / 2, y + h / 2))
            self._frame(axes, callout, x, y, w, h)
            self.texts.append(text)
            placed.append((label, callout, anchor, np.array([x, y, x + w, y + h]), seen))
        for _, callout, anchor, rectangle, seen in placed:
            end = np.clip(anchor, rectangle[:2], rectangle[2:])
            color = _edge(callout)
            axes.plot(
                [anchor[0], end[0]],
                [anchor[1], end[1]],
                color=PAPER,
                linewidth=self.points(5),
                zorder=2,
                solid_capstyle="round",
                alpha=0.8,
            )
            axes.plot(
                [anchor[0], end[0]],
                [anchor[1], end[1]],
                color=color,
                linewidth=self.points(2),
                zorder=3,
                linestyle="-" if seen else (0, (3, 3)),
            )
            axes.plot(
                *anchor,
                marker="o",
                markersize=self.points(12 if callout.kind in ("max", "min") else 8),
                markerfacecolor=color if seen else PAPER,
                markeredgecolor=PAPER,
                markeredgewidth=self.points(4),
                zorder=4,
            )
            axes.plot(
                *anchor,
                marker="o",
                markersize=self.points(12 if callout.kind in ("max", "min") else 8),
                markerfacecolor="none",
                markeredgecolor=color,
                markeredgewidth=self.points(2),
                zorder=5,
                linestyle="none",
            )

    def _caption(self, axes: Any, caption: str, grid: Grid) -> None:
        self.texts.append(caption)
        text = axes.text(
            10 * self.unit, 8 * self.unit, caption, fontsize=self.points(17), color=FAINT, va="top",
            parse_math=False, bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 2.0},
        )  # fmt: skip
        extent = text.get_window_extent()
        grid.block(0, 0, extent.width + 24 * self.unit, extent.height + 20 * self.unit)

    def _ring(self, axes: Any, ring: tuple[FloatArray, float], view: View, grid: Grid) -> None:
        from matplotlib.patches import Circle

        x, y = (float(c) for c in view.project(ring[0][None])[0, :2])
        radius = max(ring[1] / view.pixel, 14 * self.unit)
        axes.add_patch(
            Circle((x, y), radius, facecolor="none", edgecolor=ALARM, linewidth=self.points(2.4), zorder=1)
        )
        grid.block(x - radius, y - radius, x + radius, y + radius)

    def _label(self, axes: Any, callout: Callout, text: str) -> Any:
        return axes.text(
            0,
            0,
            text,
            fontsize=self.points(19 if callout.kind in ("max", "zone") else 17),
            color=INK,
            ha="center",
            va="center",
            zorder=6,
            linespacing=1.3,
            parse_math=False,
            weight="bold" if callout.kind == "max" else "normal",
        )

    def _frame(self, axes: Any, callout: Callout, x: float, y: float, w: float, h: float) -> None:
        from matplotlib.patches import FancyBboxPatch

        axes.add_patch(
            FancyBboxPatch(
                (x, y),
                w,
                h,
                boxstyle=f"round,pad=0,rounding_size={7 * self.unit}",
                facecolor=PAPER,
                alpha=0.94,
                edgecolor=_edge(callout),
                linewidth=self.points(1.4 if callout.kind == "min" else 2.2),
                zorder=5,
            )
        )


def _edge(callout: Callout) -> str:
    return {"max": INK, "min": FAINT, "zone": ALARM}.get(callout.kind, callout.color)


def _anchor(callout: Callout, view: View, solid: Sequence[Any]) -> tuple[FloatArray, bool]:
    """Pixel of the callout's point and whether the viewer sees it; of several points the best seen one."""
    if callout.among is not None and len(callout.among):
        pick = callout.among[np.linspace(0, len(callout.among) - 1, min(len(callout.among), 40)).astype(int)]
        seen = visible(pick, view.toward, solid)
        if seen.any():
            good = pick[seen]
            middle = good[np.linalg.norm(good - callout.at, axis=1).argmin()]
            return view.project(middle)[:2], True
    return view.project(callout.at)[:2], bool(visible(callout.at[None], view.toward, solid)[0])


class Grid:
    """Which parts of a viewport are taken, in blocks of `step` pixels."""

    def __init__(self, filled: BoolArray, step: int) -> None:
        height, width = filled.shape
        rows, columns = height // step, width // step
        coarse = filled[: rows * step, : columns * step].reshape(rows, step, columns, step).any(axis=(1, 3))
        self.step = step
        self.part = _grown(np.asarray(coarse), 2)
        self.words = np.zeros_like(coarse)

    def block(self, left: float, top: float, right: float, bottom: float) -> None:
        """Take a rectangle of pixels."""
        s = self.step
        y0, y1 = max(int(top // s), 0), max(int(np.ceil(bottom / s)), 0)
        x0, x1 = max(int(left // s), 0), max(int(np.ceil(right / s)), 0)
        self.words[y0:y1, x0:x1] = True

    def place(self, anchor: FloatArray, width: float, height: float, gap: float) -> tuple[float, float]:
        """Upper left corner, in pixels, of the best free spot for a label; the spot is then taken."""
        s = self.step
        w, h = int(np.ceil(width / s)) + 1, int(np.ceil(height / s)) + 1
        rows, columns = self.part.shape
        if w >= columns or h >= rows:
            return max((columns * s - width) / 2, 0.0), max((rows * s - height) / 2, 0.0)
        on_part = _window_sums(self.part, h, w)
        on_words = _window_sums(self.words, h, w)
        y, x = np.mgrid[: on_part.shape[0], : on_part.shape[1]]
        ax, ay = anchor[0] / s, anchor[1] / s
        dx = np.maximum(np.maximum(x - ax, ax - (x + w)), 0)
        dy = np.maximum(np.maximum(y - ay, ay - (y + h)), 0)
        distance = np.hypot(dx, dy)
        cost = distance + 60.0 * (distance < gap / s) + 400.0 * (on_part > 0) + 4.0 * on_part
        cost = cost + 4000.0 * (on_words > 0) + 40.0 * on_words
        cost = cost + 30.0 * self._crossing(x + w / 2, y + h / 2, ax, ay)
        best = int(cost.argmin())
        row, column = divmod(best, cost.shape[1])
        self.block((column - 2) * s, (row - 2) * s, (column + w + 2) * s, (row + h + 2) * s)
        return column * s + 0.0, row * s + 0.0

    def _crossing(self, x: FloatArray, y: FloatArray, ax: float, ay: float) -> FloatArray:
        """How many samples of each leader run over words already there."""
        count = np.zeros(x.shape)
        for t in np.linspace(0.15, 0.85, 8):
            row = np.clip((ay + t * (y - ay)).astype(int), 0, self.words.shape[0] - 1)
            column = np.clip((ax + t * (x - ax)).astype(int), 0, self.words.shape[1] - 1)
            count += self.words[row, column]
        return count


def _grown(flags: BoolArray, by: int) -> BoolArray:
    out = flags.copy()
    for shift in range(1, by + 1):
        out[shift:] |= flags[:-shift]
        out[:-shift] |= flags[shift:]
    wide = out.copy()
    for shift in range(1, by + 1):
        wide[:, shift:] |= out[:, :-shift]
        wide[:, :-shift] |= out[:, shift:]
    return wide


def _window_sums(flags: BoolArray, h: int, w: int) -> FloatArray:
    total = np.zeros((flags.shape[0] + 1, flags.shape[1] + 1))
    total[1:, 1:] = flags.cumsum(axis=0).cumsum(axis=1)
    return np.asarray(total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w])


def outline(page: Page, box: Box) -> None:
    """A thin line around a panel."""
    from matplotlib.patches import Rectangle

    page.figure.add_artist(
        Rectangle(
            (box.left, box.bottom), box.width, box.height, facecolor="none", edgecolor="#cfd5db",
            linewidth=page.points(2), transform=page.figure.transFigure,
        )
    )  # fmt: skip


def format_ticks(ticks: FloatArray) -> list[str]:
    """Tick labels with as many decimals as their step needs."""
    if not len(ticks):
        return []
    step = float(np.diff(ticks).min()) if len(ticks) > 1 else abs(float(ticks[0])) or 1.0
    largest = float(np.abs(ticks).max())
    if largest >= 1e6 or (largest and step < 1e-4):
        return [f"{t:.3g}" for t in ticks]
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    if not np.isclose(step * 10**decimals, round(step * 10**decimals)):
        decimals += 1
    return [
        f"{t + 0.0:.{decimals}f}".replace("-", "−")
        for t in np.where(np.abs(ticks) < 1e-12 * largest, 0.0, ticks)
    ]


def power_of_ten(value: float) -> str:
    """A tick of a logarithmic scale: "0.01", "1", "10⁻⁶"."""
    if 1e-3 <= value <= 1e3:
        return f"{value:g}"
    return "10" + f"{round(np.log10(value))}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most about `width` letters."""
    import textwrap

    return textwrap.wrap(text, width) or [""]


def folded(text: str, width: int, most: int = 3) -> str:
    """Each line of a text in lines of at most about `width` letters, `most` of them."""
    import textwrap

    lines = text.split("\n")
    return "\n".join(textwrap.fill(line, width, max_lines=most, placeholder=" …") for line in lines)


def shorten(text: str, width: int) -> str:
    """At most `width` letters."""
    return text if len(text) <= width else text[: width - 1] + "…"


def compose(
    scene: Scene, size: tuple[int, int], camera: str | Sequence[float] | None = None
) -> tuple[Page, View]:
    """One scene on one page."""
    page = Page(size)
    page.header(scene.title, scene.subtitle)
    page.footer(scene.notes)
    wide = scene.scale is not None or bool(scene.legend)
    top, bottom = 112 * page.unit / page.height, 52 * page.unit / page.height
    right = (200 * page.unit / page.width) if wide else 0.0
    if scene.legend and scene.scale is None:
        right = 350 * page.unit / page.width
    box = Box(0.0, bottom, 1 - right, 1 - top - bottom)
    kinds = ("max", "zone", "min") if scene.scale is not None else ("zone", "name")
    important = np.array([c.at for c in scene.callouts if c.kind in kinds]).reshape(-1, 3)
    view = page.panel(scene, box, look_at(scene, camera, important, alike=scene.scale is None))
    if scene.scale is not None:
        page.bar(scene.scale, Box(1 - 150 * page.unit / page.width, 0.16, 30 * page.unit / page.width, 0.58))
    if scene.legend:
        page.legend(scene.legend, Box(1 - right + 10 * page.unit / page.width, 0.08, right, 0.80))
    return page, view
