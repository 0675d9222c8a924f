"""What moving the surface does to a response, drawn on the part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from designtwin import units
from designtwin.errors import PictureError
from designtwin.mesh import Mesh
from designtwin.mesh.morphing import node_normals
from designtwin.typing import FloatArray
from designtwin.viz.fields import SIGNED, deliver
from designtwin.viz.geometry import Segments, Skin
from designtwin.viz.picture import PathLike, Picture, check_path
from designtwin.viz.scene import BODY, INK, Body, Line, Scale, Scene, color_table, nice_step

if TYPE_CHECKING:
    from designtwin.results.sensitivity import Sensitivity

_PATCH = 1e-3 * 1e-4
"""A square centimeter that moves by a millimeter, m^3; slopes are told for it."""
_STRIP = 1e-3 * 1e-2
"""Of plane parts: a centimeter of the outline that moves by a millimeter, m^2."""
_END = 99.0
"""Percentile at which colors end: slopes run away at sharp edges."""
_SHADES = 15


def plot_sensitivity(
    sensitivity: Sensitivity,
    *,
    screenshot: PathLike | None = None,
    window_size: tuple[int, int] = (1600, 1200),
    camera: str | Sequence[float] | None = None,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw how much a response changes where the surface moves outward, in percent of it.

    Red grows as material is added there, blue falls. Told for a square centimeter that moves by a millimeter
    (a centimeter of the outline of a plane part), loads staying where they are.

    Parameters
    ----------
    sensitivity : Sensitivity
    screenshot, window_size, camera, show, title
        As `plot_field`.

    Raises
    ------
    PictureError
        If the sensitivity holds no slope over coordinates, or the response is 0.
    """
    check_path(screenshot)
    model, mesh = sensitivity.model, sensitivity.model.mesh
    if sensitivity.points is None or sensitivity.value == 0.0:
        raise PictureError(f"{sensitivity}: there is no slope over coordinates to draw")
    density = surface_slope(mesh, sensitivity.points)
    per = _PATCH if mesh.dimension == 3 else _STRIP
    values = 100.0 * per * density / abs(sensitivity.value)
    told = values[np.isfinite(values)]
    end = nice_step(float(np.percentile(np.abs(told), _END)) * 0.999) if len(told) else 1.0
    unit = "1 cm² moves" if mesh.dimension == 3 else "1 cm of the outline moves"
    scale = Scale(
        f"change as {unit} out 1 mm, %", -end, end, SIGNED,
        below=bool((told < -end).any()), above=bool((told > end).any()),
    )  # fmt: skip
    skin = Skin(mesh)
    lines, bodies = [Line(skin.edge_lines(skin.feature_edges(), mesh.points, skin.level()))], list[Body]()
    triangles, sampler = skin.triangles(mesh.points, skin.level())
    if mesh.dimension == 3:
        bodies.append(Body(triangles, values=sampler(np.nan_to_num(values))))
    else:
        bodies.append(Body(triangles, color=BODY))
        lines = _outline(mesh, values, scale)
    case = f", load case {sensitivity.case}" if sensitivity.case else ""
    value = units.show(sensitivity.true, sensitivity.dimension)
    return deliver(
        Scene(
            bodies=tuple(bodies), lines=tuple(lines), scale=scale, flat=skin.flat,
            title=title if title is not None else f"Slope of {sensitivity.response} over shape{case}",
            subtitle=f"{model.name or 'part'}   ·   {sensitivity.response}: {value}",
            notes=("red: grows as material is added there; blue: falls",),
        ),
        screenshot=screenshot, window_size=window_size, camera=camera, show=show,
        file_name=f"slope of {sensitivity.response}",
    )  # fmt: skip


def surface_slope(mesh: Mesh, slope: FloatArray) -> FloatArray:
    """Slope over coordinates float64[n_points, 3] as one over the surface moving outward, float64[n_points].

    Per area (length in the plane); nan off the surface. What the nodes of a facet carry is spread over the
    facets around them, since a corner of a quadratic facet has no area of its own.
    """
    facets = mesh.exterior
    normal = node_normals(mesh, facets)
    along = np.nan_to_num((slope * normal).sum(axis=1))
    area = np.linalg.norm(mesh.facet_vectors(facets)[0], axis=1)
    around = np.zeros(mesh.n_points)
    blocks = mesh.facets(facets)
    for block in blocks:
        np.add.at(around, block.conn, np.repeat(area[block.rows][:, None], block.conn.shape[1], axis=1))
    share = np.divide(along, around, out=np.zeros_like(along), where=around > 0.0)
    out = np.zeros(mesh.n_points)
    for block in blocks:
        of_facet = share[block.conn].sum(axis=1) * area[block.rows]
        np.add.at(out, block.conn, np.repeat(of_facet[:, None], block.conn.shape[1], axis=1))
    return np.divide(out, around, out=np.full_like(out, np.nan), where=around > 0.0)


def _outline(mesh: Mesh, values: FloatArray, scale: Scale) -> list[Line]:
    """The rim of a plane part in colors."""
    ends = np.concatenate([block.conn[:, :2] for block in mesh.facets(mesh.exterior)])
    shade = np.minimum((scale.share(values[ends].mean(axis=1)) * _SHADES).astype(np.int64), _SHADES - 1)
    table = color_table(SIGNED, _SHADES)
    out = [Line(Segments(mesh.points, ends), color=INK, width=9.0, lift=0.5)]
    for i in np.unique(shade):
        red, green, blue = np.rint(255.0 * table[i][:3]).astype(int)
        out.append(
            Line(Segments(mesh.points, ends[shade == i]), color=f"#{red:02x}{green:02x}{blue:02x}", width=7.0)
        )
    return out
