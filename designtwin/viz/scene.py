"""What a picture holds, before anything is drawn: bodies, lines, callouts, a color scale, words.

A scene knows neither pyvista nor matplotlib. `render` turns its bodies and lines into pixels, `page` puts
the words around them, `window` shows it live.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from designtwin.typing import FloatArray, IntArray
from designtwin.viz.geometry import Segments, Triangles

INK = "#1b2733"
FAINT = "#5d6b78"
PAPER = "#ffffff"
BODY = "#c9d1d9"
EXCLUDED = "#b9bec4"
PALE = "#dfe3e7"
ALARM = "#c8102e"


@dataclass(frozen=True, eq=False)
class Body:
    """Triangles in one color, or colored by values in display units."""

    triangles: Triangles
    values: FloatArray | None = None
    color: str = BODY
    opacity: float = 1.0
    tags: IntArray | None = None  # for each triangle a row of `palette`, instead of values and color
    palette: tuple[str, ...] = ()
    faded: bool = False  # drawn pale: there, but not what the picture is about
    hides: bool = True  # False for thin things that hide nothing worth a word
    on_top: bool = False  # never hidden; parallel views let us move it nearer without moving it


@dataclass(frozen=True, eq=False)
class Line:
    """Segments in one color; `lift` brings them in front of the surface they lie on."""

    segments: Segments
    color: str = INK
    width: float = 1.0
    lift: float = 1.0
    opacity: float = 1.0


@dataclass(frozen=True, eq=False)
class Callout:
    """A point worth a word. `kind` decides its look; the text says it."""

    at: FloatArray
    text: str
    kind: Literal["max", "min", "zone", "name", "note"] = "note"
    color: str = INK
    # Further points of the same thing: the leader goes to the one that is best seen.
    among: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Scale:
    """From values to colors.

    Parameters
    ----------
    title : str
        With the unit: "von Mises stress, MPa".
    low, high : float
        In display units; values beyond take the end colors.
    colors : str
        Name of a matplotlib colormap, or "a:b:c" colors to run through.
    below, above : bool
        True where values exist beyond the ends; the bar then ends in a point.
    mark : float, optional
        A value to point out on the bar, such as the limit, with `mark_text`.
    lines : tuple of float
        Values whose lines are drawn on the part; the bar shows them too.
    log : bool
        True where colors follow the logarithm; low and high are then above zero.
    """

    title: str
    low: float
    high: float
    colors: str
    below: bool = False
    above: bool = False
    mark: float | None = None
    mark_text: str = ""
    steps: int = 256
    lines: tuple[float, ...] = ()
    log: bool = False

    def share(self, values: FloatArray | float) -> FloatArray:
        """How far up the scale values are, 0 to 1; nan stays."""
        low, high, at = self.low, self.high, np.asarray(values, np.float64)
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                low, high, at = math.log10(low), math.log10(high), np.log10(at)
        return np.asarray(np.clip((at - low) / (high - low if high > low else 1.0), 0.0, 1.0))

    def ticks(self, about: int = 9) -> FloatArray:
        """Round values between low and high, with both ends where they fit."""
        if self.log:
            first = math.ceil(math.log10(self.low) - 1e-9)
            last = math.floor(math.log10(self.high) + 1e-9)
            return np.asarray(10.0 ** np.arange(first, last + 1, max(math.ceil((last - first) / about), 1)))
        step = nice_step((self.high - self.low) / max(about - 1, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return np.asarray(np.arange(first, last + 1) * step, np.float64)


def nice_step(rough: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    if not math.isfinite(rough) or rough <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(m for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))


@dataclass(frozen=True, eq=False)
class Scene:
    """All of one picture."""

    bodies: tuple[Body, ...] = ()
    lines: tuple[Line, ...] = ()
    callouts: tuple[Callout, ...] = ()
    scale: Scale | None = None
    title: str = ""
    subtitle: str = ""
    notes: tuple[str, ...] = ()
    flat: bool = False
    legend: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    facing: FloatArray | None = None  # a cut face the viewer should look at: its outward normal
    focus: FloatArray | None = None  # points the camera frames; all bodies by default
    ring: tuple[FloatArray, float] | None = None  # around a point, m, kept clear of words

    def framed(self) -> FloatArray:
        """Points the camera must see, float64[k, 3]."""
        if self.focus is not None:
            return self.focus
        parts = [used(body.triangles.points, body.triangles.conn) for body in self.bodies]
        parts += [used(line.segments.points, line.segments.conn) for line in self.lines]
        parts += [callout.at[None] for callout in self.callouts]
        return np.concatenate([p for p in parts if len(p)])


def used(points: FloatArray, conn: IntArray) -> FloatArray:
    """Points that are in a triangle or segment."""
    flag = np.zeros(len(points), bool)
    flag[conn.ravel()] = True
    return np.asarray(points[flag])


def color_table(colors: str, steps: int = 256) -> FloatArray:
    """RGB float64[steps, 3] in 0..1 of a colormap."""
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap

    if ":" in colors:
        cmap: object = LinearSegmentedColormap.from_list("ours", colors.split(":"), N=steps)
    else:
        cmap = matplotlib.colormaps[colors]
    return np.asarray(cmap(np.linspace(0, 1, steps)), np.float64)[:, :3]  # type: ignore[operator]


def rgb(color: str) -> FloatArray:
    """RGB float64[3] in 0..1 of "#rrggbb" or a color name."""
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(color), np.float64)


def color_steps(scale: Scale, faded: bool = False) -> FloatArray:
    """RGB float64[steps, 3] of a scale; faded halfway to gray."""
    table = color_table(scale.colors, scale.steps)
    return np.asarray(table + 0.6 * (rgb(PALE) - table)) if faded else table


def paint(values: FloatArray, scale: Scale, faded: bool = False) -> FloatArray:
    """RGB float64[n, 3] of values; gray where there is none (NaN)."""
    return tint(scale.share(values), scale, faded)


def tint(share: FloatArray, scale: Scale, faded: bool = False) -> FloatArray:
    """RGB float64[n, 3] of shares of a scale, 0 to 1; gray where there is none (NaN)."""
    table = color_steps(scale, faded)
    index = np.minimum(np.nan_to_num(share, nan=0.0) * len(table), len(table) - 1).astype(np.int64)
    out = table[index]
    out[np.isnan(share)] = rgb(EXCLUDED)
    return np.asarray(out)
