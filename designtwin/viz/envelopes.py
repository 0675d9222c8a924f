"""Pictures of an envelope: the worst over load cases and time, which case governs where, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import PictureError
from designtwin.typing import FloatArray, IntArray
from designtwin.viz.fields import Shown, deliver, field_scene, no_error, part_name
from designtwin.viz.geometry import Segments, Skin
from designtwin.viz.models import COLORS
from designtwin.viz.picture import PathLike, Picture, check_path
from designtwin.viz.scene import INK, PALE, Body, Callout, Line, Scene

WHAT = ("values", "case", "instant")
_MOST = 9  # cases with a color of their own
_LITTLE = 0.02  # of the largest size: which case governs where hardly anything is, says nothing


def plot_envelope(
    envelope: Any,
    what: str = "values",
    *,
    screenshot: PathLike | None = None,
    window_size: tuple[int, int] = (1600, 1200),
    camera: str | Sequence[float] | None = None,
    limits: tuple[float, float] | None = None,
    cut_plane: tuple[Any, Any] | str | None = None,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw the worst of a field over load cases and time.

    Parameters
    ----------
    envelope : Envelope
        From ``verdict.envelope("von_mises")``.
    what : str
        "values"; "case", which governs where; "instant", when the worst is (of courses in time).
    screenshot, window_size, camera, limits, cut_plane, show, title
        As `plot_field`; limits and cuts are not of "case".

    Raises
    ------
    PictureError
        If `what` is unknown, or no case has a course in time and instants are asked for.
    """
    check_path(screenshot)
    if what not in WHAT:
        raise PictureError(f"an envelope shows {', '.join(map(repr, WHAT))}, not {what!r}")
    if what == "case":
        if limits is not None or cut_plane is not None:
            raise PictureError("limits= and cut_plane= are of values; which case governs is drawn whole")
        scene = _governing(envelope, title)
    else:
        scene = _colored(envelope, what, limits, cut_plane, title)
    return deliver(
        scene, screenshot=screenshot, window_size=window_size, camera=camera, show=show,
        file_name=f"{part_name(envelope.result)} {envelope.name} envelope {what}",
    )  # fmt: skip


def _colored(
    envelope: Any,
    what: str,
    limits: tuple[float, float] | None,
    cut_plane: tuple[Any, Any] | str | None,
    title: str | None,
) -> Scene:
    dimension = envelope.dimension
    values = np.asarray(units.from_si(envelope.values, dimension), np.float64)
    heading = f"{envelope.title[:1].upper()}{envelope.title[1:]}"
    if what == "instant":
        if not np.isfinite(envelope.instants).any():
            raise PictureError(
                f"no case of this envelope of {envelope.title} has a course in time; draw the 'case'"
            )
        dimension = "time"
        values = np.asarray(units.from_si(envelope.instants, "time"), np.float64)
        heading = f"Instant of the worst: {envelope.title}"
    shown = _shown(envelope, values, dimension, what)
    scene = field_scene(
        envelope.result, shown, deformed=False, zones=False, limits=limits, cut_plane=cut_plane,
        title=title if title is not None else f"{heading}, {_over(envelope)}", isotherms=False
        if dimension == "temperature" else None,
    )  # fmt: skip
    if what == "values":
        row = envelope.row
        callouts = tuple(
            replace(one, text=f"{one.text}\n{_case_of(envelope, row)}") if _is_at(one, shown, row) else one
            for one in scene.callouts
        )
        scene = replace(scene, callouts=callouts)
    return replace(scene, subtitle=part_name(envelope.result), notes=scene.notes)


def _shown(envelope: Any, values: FloatArray, dimension: str, what: str) -> Shown:
    result = envelope.result
    of_points = envelope.location == "points"
    mesh = result.model.mesh
    case = SimpleNamespace(name="", mesh=mesh, model=result.model, points=getattr(result, "points", None))
    name = envelope.name if what == "values" else "instant"
    return Shown(
        name="safety_factor" if name == "YieldMargin" else name,
        title=envelope.title if what == "values" else "Instant of the worst",
        dimension=dimension,
        values=values,
        error=no_error,
        node=envelope.nodes,
        cells=tuple(mesh.blocks()) if of_points else tuple(result.points.cells),
        judged=np.isfinite(values) | (envelope.case >= 0),
        case=case,
    )


def _is_at(callout: Callout, shown: Shown, row: int) -> bool:
    return bool(np.array_equal(callout.at, shown.case.mesh.points[shown.node[row]]))


def _case_of(envelope: Any, row: int) -> str:
    when = float(envelope.instants[row])
    name = envelope.cases[int(envelope.case[row])]
    return f"load case {name}" + (f" at {units.show_time(when)}" if np.isfinite(when) else "")


def _over(envelope: Any) -> str:
    word = {"max": "largest", "min": "smallest", "max_abs": "largest in size"}[envelope.worst]
    n = len(envelope.cases)
    if n > 1:
        return f"{word} of {n} load cases"
    return f"{word} over time" if np.isfinite(envelope.instants).any() else f"load case {envelope.cases[0]}"


def _governing(envelope: Any, title: str | None) -> Scene:
    shown = _shown(envelope, np.asarray(envelope.values), envelope.dimension, "values")
    mesh = shown.case.mesh
    skin = Skin(mesh, shown.node, shown.cells)
    xyz = mesh.points[shown.node]
    shares = envelope.shares
    order = sorted(range(len(envelope.cases)), key=lambda i: -shares[envelope.cases[i]])
    order = [i for i in order if shares[envelope.cases[i]] > 0.0]
    own, rest = order[:_MOST], order[_MOST:]
    sizes = np.abs(envelope.values)
    little = np.zeros(len(sizes), bool)
    if envelope.worst != "min":
        little = ~(sizes > _LITTLE * np.nanmax(sizes))
    little |= envelope.case < 0
    kind = np.full(len(sizes), len(own) + 1, np.int64)  # those without a color of their own
    for number, case in enumerate(own):
        kind[envelope.case == case] = number + 1
    kind[little] = 0
    palette = (PALE, *(COLORS[i % len(COLORS)] for i in range(len(own))), "#9aa3ab")
    level = skin.level()
    triangles, sampler = skin.triangles(xyz, level)
    bodies: list[Body] = []
    lines: list[Line] = []
    if len(triangles.conn):
        weight = np.stack([sampler((kind == k).astype(np.float64)) for k in range(len(palette))])
        tags: IntArray = weight[:, triangles.conn].sum(axis=2).argmax(axis=0)
        bodies.append(Body(triangles, tags=tags, palette=palette))
        lines.append(
            Line(skin.edge_lines(skin.feature_edges(), xyz, level), color=INK, width=1.1, opacity=0.8)
        )
    if len(skin.line_conn):
        lines.append(Line(Segments(xyz, skin.line_conn), color=INK, width=3.0))
    count = np.bincount(kind, minlength=len(palette)) / len(kind)
    legend = [
        (palette[n + 1], f"{envelope.cases[case]}, {100 * count[n + 1]:.2g} % of points")
        for n, case in enumerate(own)
    ]
    if rest:
        legend.append((palette[-1], f"{len(rest)} other cases"))
    if little.any():
        legend.append(
            (PALE, f"below {100 * _LITTLE:g} % of the largest" if envelope.worst != "min" else "not judged")
        )
    row = envelope.row
    worst = units.show(float(envelope.values[row]), envelope.dimension)
    heading = f"{envelope.title[:1].upper()}{envelope.title[1:]}: the load case that governs"
    return Scene(
        bodies=tuple(bodies),
        lines=tuple(lines),
        callouts=(Callout(xyz[row], f"{worst}\n{_case_of(envelope, row)}", "max"),),
        legend=tuple(legend),
        title=title if title is not None else heading,
        subtitle=part_name(envelope.result),
        notes=(_over(envelope), f"worst {worst} in {_case_of(envelope, row)}"),
        flat=skin.flat,
    )


__all__ = ["plot_envelope"]
