"""A window to turn the part in, where there is a screen; an interactive view in a notebook if asked for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from designtwin.progress import in_notebook
from designtwin.typing import FloatArray
from designtwin.viz.picture import Picture
from designtwin.viz.render import aim, lights, populate
from designtwin.viz.scene import ALARM, FAINT, INK, PAPER, Scene, color_table
from designtwin.viz.screen import graphics, has_screen
from designtwin.viz.view import View, frame, look_at

logger = logging.getLogger("designtwin.viz")


def wanted(show: bool | None, has_file: bool) -> bool:
    """Whether to open a window: asked for, or by default where there is a screen and no file to write."""
    if show is False:
        return False
    if in_notebook():
        return show is True
    if not has_screen():
        if show is True:
            logger.warning("show=True, but there is no screen to show it on")
        return False
    return show is True or not has_file


def build(
    scene: Scene,
    size: tuple[int, int],
    camera: str | Sequence[float] | None,
    *,
    off_screen: bool,
    notebook: bool = False,
) -> Any:
    """A pyvista Plotter that holds the scene with labels, color bar and title."""
    import pyvista as pv

    plotter = pv.Plotter(off_screen=off_screen, window_size=size, lighting="none", notebook=notebook)
    plotter.set_background(PAPER)
    lights(plotter)
    important = np.array([c.at for c in scene.callouts if c.kind != "note"]).reshape(-1, 3)
    toward = look_at(scene, camera, important)
    view = frame(scene.framed(), toward, *size, margins=(0.08, 0.14, 0.12, 0.10))
    populate(plotter, scene, view, live=True)
    _labels(plotter, scene, view)
    if scene.scale is not None:
        _bar(plotter, scene)
    for line, at, points in (
        (scene.title, (0.02, 0.945), 15),
        (scene.subtitle, (0.02, 0.91), 10),
        ("   ·   ".join(scene.notes), (0.02, 0.02), 10),
    ):
        if line:
            plotter.add_text(_latin(line), position=at, viewport=True, font_size=points, color=INK)
    if not off_screen:
        plotter.enable_anti_aliasing("fxaa")
    plotter.add_axes(line_width=3, color=INK)
    aim(plotter, view)
    return plotter


def _labels(plotter: Any, scene: Scene, view: View) -> None:
    for kind, color in (("max", INK), ("min", FAINT), ("zone", ALARM), ("name", INK), ("note", INK)):
        mine = [c for c in scene.callouts if c.kind == kind]
        if mine:
            at: FloatArray = np.array([c.at for c in mine]) + 0.004 * view.half_height * view.toward
            plotter.add_point_labels(
                at,
                [_latin(c.text) for c in mine],
                font_size=20,
                point_color=color,
                text_color=INK,
                point_size=12,
                render_points_as_spheres=True,
                shape="rounded_rect",
                shape_color=PAPER,
                shape_opacity=0.9,
                margin=6,
                always_visible=True,
                bold=kind == "max",
                show_points=True,
                fill_shape=True,
            )


def _bar(plotter: Any, scene: Scene) -> None:
    import pyvista as pv
    from matplotlib.colors import ListedColormap

    scale = scene.scale
    assert scale is not None
    table = pv.LookupTable(cmap=ListedColormap(color_table(scale.colors, scale.steps)), n_values=scale.steps)
    table.scalar_range = (scale.low, scale.high)
    table.log_scale = scale.log
    mapper = pv.DataSetMapper()
    mapper.lookup_table = table
    mapper.scalar_range = (scale.low, scale.high)
    plotter.add_scalar_bar(
        title=_latin(scale.title),
        mapper=mapper,
        vertical=True,
        position_x=0.88,
        position_y=0.18,
        width=0.05,
        height=0.6,
        color=INK,
        n_labels=6,
        fmt="%.4g",
        title_font_size=18,
        label_font_size=20,
        unconstrained_font_size=True,
    )


def _latin(text: str) -> str:
    """VTK's own font knows Latin letters only."""
    for given, plain in (
        ("≤", "<="),
        ("≥", ">="),
        ("−", "-"),
        ("…", "..."),
        ("µ", "u"),
        ("⁴", "4"),
        ("ε", "e"),
        ("∞", "inf"),
    ):
        text = text.replace(given, plain)
    return text.encode("latin-1", "replace").decode("latin-1")


def open_window(scene: Scene, size: tuple[int, int], camera: str | Sequence[float] | None) -> Picture | None:
    """Show a scene and wait until its window is closed; None where that cannot be done here."""
    from designtwin.viz.page import compose
    from designtwin.viz.picture import finish

    if graphics() == "none":
        return None
    notebook = in_notebook()
    if notebook and not _trame():
        logger.warning(
            "an interactive view in a notebook needs the packages trame, trame-vtk and trame-vuetify "
            "(pip install designtwin[notebook]); a static picture is shown instead"
        )
        return None
    plotter = build(scene, size, camera, off_screen=False, notebook=notebook)
    plotter.show(**({"jupyter_backend": "trame"} if notebook else {}))
    page, _ = compose(scene, size, camera)
    return finish(page.figure, screenshot=None, name=scene.title, texts=tuple(page.texts), show=False)


def _trame() -> bool:
    return all(find_spec(name) is not None for name in ("trame", "trame_vtk", "trame_vuetify"))
