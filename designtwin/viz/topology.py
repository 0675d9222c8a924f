"""A topology: design space and design side by side, the course of a run, a picture that follows it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import PictureError
from designtwin.mesh.mesh import Mesh
from designtwin.progress import in_notebook
from designtwin.typing import FloatArray
from designtwin.viz.geometry import Skin
from designtwin.viz.history import LINES
from designtwin.viz.models import draw_model
from designtwin.viz.page import Box, Page, shorten
from designtwin.viz.picture import Picture, check_path, finish
from designtwin.viz.scene import ALARM, FAINT, INK, Body, Line, Scale, Scene
from designtwin.viz.view import look_at

SOLID = "#8fa3b5"
_MARGINS = (0.07, 0.07, 0.10, 0.08)
_REDRAW = 1.5
"""Seconds between pictures of a run at least."""
_DENSITY = Scale(title="density", low=0.0, high=1.0, colors="#f4f6f8:#27384a")


def plot_topology(
    source: Any,
    what: str = "density",
    *,
    screenshot: str | os.PathLike[str] | None = None,
    camera: str | Sequence[float] | None = None,
    window_size: tuple[int, int] | None = None,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw a topology.

    Parameters
    ----------
    source : Optimum
    what : str
        "density": the design space with what holds and loads it, beside the design. "history": objective,
        limits and how gray the design was, over the designs.
    screenshot, camera, window_size, show, title
        As `plot_field`.

    Raises
    ------
    PictureError
        If `what` is neither.
    """
    if screenshot is not None:
        check_path(screenshot)
    if what == "density":
        page = _pair(source, camera, window_size or (2000, 1000), title)
    elif what == "history":
        page = _course(source, window_size or (1600, 1100), title)
    else:
        raise PictureError(f"a topology has no picture {what!r}; it has 'density' and 'history'")
    name = f"{_name(source)} topology {what}"
    return finish(page.figure, screenshot=screenshot, name=name, texts=tuple(page.texts), show=show)


class TopologyFilm:
    """A picture that is drawn anew as a run goes on: in a notebook in place, elsewhere as a file."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._drawn = -np.inf

    def __call__(self, optimum: Any) -> None:
        """Draw a design, unless the last picture is hardly out."""
        running = optimum.stopped == "still running"
        if running and time.monotonic() - self._drawn < _REDRAW:
            return
        self._drawn = time.monotonic()
        page = _frame(optimum)
        if not in_notebook():
            path = os.path.join("out", "topology-live.png")
            finish(page.figure, screenshot=path, name="topology", texts=(), show=False)
            return
        from IPython import display

        png = finish(page.figure, screenshot=None, name="topology", texts=(), show=False).png
        image = display.Image(data=png, width=page.width // 2)
        if self._handle is None:
            self._handle = display.display(image, display_id=True)
        else:
            self._handle.update(image)


def _name(optimum: Any) -> str:
    return optimum.topology.name or optimum.model.name or "part"


def _summary(optimum: Any) -> str:
    topology, last = optimum.topology, optimum.history[-1]
    parts = [
        f"{topology.objective.label} {units.show(last.value, last.dimension)}",
        f"{last.volume:.1%} of the design space",
        f"{len(optimum.history)} designs",
    ]
    return "   ·   ".join(parts)


def _pair(optimum: Any, camera: Any, size: tuple[int, int], title: str | None) -> Page:
    page = Page(size)
    page.unit = min(page.width / 2000, page.height / 1000)
    page.header(title if title is not None else f"{_name(optimum)}: topology", _summary(optimum))
    before = draw_model(optimum.model)
    after = _design(optimum)
    toward = look_at(before, camera, np.zeros((0, 3)))
    top, bottom = 170 * page.unit / page.height, 56 * page.unit / page.height
    height = 1.0 - top - bottom
    focus = before.framed()
    headings = ("design space", "design, smoothed" if optimum.model.dimension == 3 else "density of cells")
    for i, (scene, heading) in enumerate(zip((before, after), headings, strict=True)):
        page.panel(
            _with_focus(scene, focus), Box(0.5 * i, bottom, 0.5, height), toward, margins=_MARGINS,
            triad=i == 0,
        )  # fmt: skip
        above = 1.0 - top + 24 * page.unit / page.height
        page.text(0.5 * i + 0.25, above, heading, 22, ha="center", weight="bold")
    shades = ["dark: solid, white: void"] if optimum.model.dimension == 2 else []
    page.footer([*before.notes, *shades, *optimum.topology.notes])
    return page


def _with_focus(scene: Scene, focus: FloatArray) -> Scene:
    return replace(scene, focus=focus)


def _design(optimum: Any) -> Scene:
    """The smooth surface of a solid; the densities of plane cells."""
    model = optimum.model
    skin = Skin(model.mesh)
    outline = skin.edge_lines(skin.feature_edges(), model.mesh.points, skin.level())
    frame = Line(outline, color=FAINT, width=0.9, opacity=0.55)
    if model.dimension == 2:
        return Scene(bodies=(_gray(optimum),), lines=(frame,), scale=_DENSITY, flat=True, title="design")
    surface = optimum.surface().mesh()
    own = Skin(surface)
    body = Body(own.triangles(surface.points, 1)[0], color=SOLID)
    edges = Line(own.edge_lines(own.feature_edges(), surface.points, 1), color=INK, width=0.9, opacity=0.7)
    return Scene(bodies=(body,), lines=(frame, edges), title="design")


def _gray(optimum: Any) -> Body:
    mesh = optimum.model.mesh
    skin = Skin(mesh)
    triangles, _ = skin.triangles(mesh.points, 1)
    values = np.zeros(len(triangles.points))
    of = skin.facets[triangles.facet][:, 0]
    values[triangles.conn] = optimum.density[of][:, None]
    return Body(triangles, values=values)


def _frame(optimum: Any) -> Page:
    """One picture of a run: the solid cells, and the course so far."""
    page = Page((1500, 700))
    page.unit = min(page.width / 1500, page.height / 700)
    page.header(f"{_name(optimum)}: design {optimum.history[-1].number}", _summary(optimum))
    model = optimum.model
    mesh: Mesh = model.mesh
    skin = Skin(mesh)
    outline = skin.edge_lines(skin.feature_edges(), mesh.points, 1)
    frame = Line(outline, color=FAINT, width=0.9, opacity=0.55)
    if model.dimension == 2:
        scene = Scene(bodies=(_gray(optimum),), lines=(frame,), scale=_DENSITY, flat=True, title="design")
    else:
        inside = optimum.density >= 0.5 if (optimum.density >= 0.5).any() else optimum.density >= 0.0
        part = Mesh(mesh.points, {name: conn[inside[ids]] for name, ids, conn in mesh.blocks()})
        own = Skin(part)
        body = Body(own.triangles(part.points, 1)[0], color=SOLID)
        edges = Line(own.edge_lines(own.feature_edges(), part.points, 1), color=INK, width=0.6, opacity=0.4)
        scene = Scene(bodies=(body,), lines=(frame, edges), title="design")
    whole = draw_model(model)
    scene = _with_focus(scene, whole.framed())
    page.panel(scene, Box(0.0, 0.02, 0.6, 0.82), look_at(whole, None, np.zeros((0, 3))), margins=_MARGINS)
    axes = page.figure.add_axes((0.68, 0.14, 0.28, 0.62))
    _objective(page, axes, optimum.history)
    return page


def _plain_axes(page: Page, axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
        axes.spines[side].set_linewidth(0.7)
    axes.grid(axis="y", color="#e3e7ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=page.points(17), colors=INK, width=0.7, length=page.points(5))


def _objective(page: Page, axes: Any, history: Sequence[Any]) -> None:
    _plain_axes(page, axes)
    dimension = history[-1].dimension
    values = np.array([units.from_si(step.value, dimension) for step in history])
    axes.plot([step.number for step in history], values, color=LINES[0], linewidth=page.points(3))
    unit = units.symbol(dimension)
    label = f"objective, {unit}" if unit else "objective"
    axes.set_ylabel(label, fontsize=page.points(19), color=INK)
    axes.set_xlabel("design", fontsize=page.points(19), color=INK)
    page.texts += [label, "design"]
    # The first designs are far off: what counts is what follows.
    tail = values[min(3, len(values) - 1) :]
    low, high = float(tail.min()), float(tail.max())
    room = 0.08 * max(high - low, 1e-3 * abs(high), 1e-300)
    axes.set_ylim(low - room, high + 3.0 * room)


def _course(optimum: Any, size: tuple[int, int], title: str | None) -> Page:
    page = Page(size)
    history = optimum.history
    page.header(
        title if title is not None else f"{_name(optimum)}: {optimum.topology.objective.label} over "
        f"{len(history)} designs", optimum.stopped,
    )  # fmt: skip
    number = [step.number for step in history]
    left, width = 0.09, 0.66
    top = page.figure.add_axes((left, 0.55, width, 0.32))
    _objective(page, top, history)
    top.set_xlabel("")
    middle = page.figure.add_axes((left, 0.30, width, 0.19))
    _plain_axes(page, middle)
    middle.set_ylabel("limits, share", fontsize=page.points(19), color=INK)
    middle.axhline(0.0, color=ALARM, linewidth=page.points(1.5))
    names = list(history[-1].limits)
    for i, name in enumerate(names):
        color = LINES[i % len(LINES)]
        values = [step.limits.get(name, np.nan) for step in history]
        middle.plot(number, np.clip(values, -1.0, 1.0), color=color, linewidth=page.points(2.5))
    page.legend(
        [(LINES[i % len(LINES)], shorten(name, 34)) for i, name in enumerate(names)],
        Box(left + width + 0.02, 0.26, 0.2, 0.22),
    )
    last = page.figure.add_axes((left, 0.08, width, 0.16))
    _plain_axes(page, last)
    last.plot(number, [step.gray for step in history], color=LINES[3], linewidth=page.points(2.5))
    last.plot(number, [step.volume for step in history], color=LINES[1], linewidth=page.points(2.5))
    last.set_ylim(0.0, 1.0)
    last.set_ylabel("share", fontsize=page.points(19), color=INK)
    last.set_xlabel("design", fontsize=page.points(19), color=INK)
    page.legend(
        [(LINES[1], "volume"), (LINES[3], "gray: neither solid nor void")],
        Box(left + width + 0.02, 0.06, 0.2, 0.16),
    )
    return page
