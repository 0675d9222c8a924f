"""Sheets of modes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from designtwin.errors import PictureError
from designtwin.viz.fields import SIGNED, field_scene, part_name, read, scale_of
from designtwin.viz.page import Box, Page
from designtwin.viz.picture import PathLike, Picture, check_path, finish
from designtwin.viz.view import look_at

MOST = 12
_MARGINS = (0.05, 0.05, 0.12, 0.09)


def plot_modes(
    modes: Any,
    name: str = "shape",
    *,
    count: int = 6,
    screenshot: PathLike | None = None,
    camera: str | Sequence[float] | None = None,
    window_size: tuple[int, int] | None = None,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw the first modes that deform a part, side by side.

    Parameters
    ----------
    modes : ModalCase, BucklingCase, or a sequence of modes
    name : str
        The field that colors them; "shape" is the displacement over the largest.
    count : int
        How many, at most 12.
    screenshot, camera, window_size, show, title
        As `plot_field`.

    Raises
    ------
    PictureError
        If there is no mode, or too many are asked for.
    """
    check_path(screenshot)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST:
        raise PictureError(f"count={count!r}: between 1 and {MOST} modes fit on a sheet")
    wanted = [mode for mode in modes if not getattr(mode, "is_rigid", False)][:count]
    if not wanted:
        why = getattr(modes, "why_none", "")
        raise PictureError(
            f"there is no mode that deforms the part{f': {why}' if why else ''}; nothing to draw"
        )
    columns = min(len(wanted), 2 if len(wanted) == 4 else 3)
    rows = math.ceil(len(wanted) / columns)
    each = 560 if len(wanted) > 1 else 980
    page = Page(window_size or (2000 if columns == 3 else 1600, 220 + each * rows))
    page.unit = min(page.width / 1700, page.height / (300 + 420 * rows))
    drawn = [read(mode, name, None, None) for mode in wanted]
    scenes = [field_scene(mode, shown) for mode, shown in zip(wanted, drawn, strict=True)]
    page.header(title if title is not None else _heading(wanted), part_name(wanted[0]))
    page.footer([*scenes[0].notes[:-1], scenes[0].notes[-1]])
    # All are relative, so that one scale serves them.
    lowest = min(float(np.nanmin(one.values)) for one in drawn)
    scale = scale_of(drawn[0], (-1.0 if lowest < -0.02 else 0.0, 1.0))
    if lowest < -0.02:
        scale = replace(scale, colors=SIGNED)
    right = 200 * page.unit / page.width
    top, bottom = 120 * page.unit / page.height, 56 * page.unit / page.height
    width, height = (1 - right) / columns, (1 - top - bottom) / rows
    toward = look_at(scenes[0], camera, np.zeros((0, 3)))
    framed = np.concatenate([scene.framed() for scene in scenes])
    for i, (mode, scene) in enumerate(zip(wanted, scenes, strict=True)):
        row, column = divmod(i, columns)
        box = Box(column * width, bottom + (rows - 1 - row) * height, width, height)
        scene = replace(scene, focus=framed, callouts=(), scale=scale)
        view = page.panel(scene, box, toward, margins=_MARGINS, heading=mode.caption, triad=False)
    page.triad(view, Box(1 - right, 20 * page.unit / page.height, right, 0.2), scenes[0].flat)
    page.bar(scale, Box(1 - 150 * page.unit / page.width, 0.27, 30 * page.unit / page.width, 0.46))
    return finish(
        page.figure, screenshot=screenshot, name=f"{part_name(wanted[0])} modes", texts=tuple(page.texts),
        show=show,
    )  # fmt: skip


def _heading(modes: Sequence[Any]) -> str:
    kind = modes[0].caption.split(" ")[0]
    return "Buckling modes" if kind == "buckling" else "Modes of vibration"
