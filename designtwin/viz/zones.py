"""Where a part fails, shown without being asked how: close-up, cut through the peak, whereabouts.

A zone is drawn undeformed and in its own load case, at the instant of its peak.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from designtwin.errors import PictureError
from designtwin.mesh.surface import surface_of
from designtwin.typing import FloatArray, IntArray
from designtwin.viz.fields import (
    NO_NUMBER,
    Shown,
    _Drawing,
    _facets_where,
    _on_rows,
    _plane_text,
    _rows_of_zone,
    _value_text,
    field_name,
    part_name,
    read,
    scale_of,
    unwrap,
)
from designtwin.viz.geometry import Segments, Skin, contour, section
from designtwin.viz.page import Box, Page, outline
from designtwin.viz.picture import PathLike, Picture, check_path, finish
from designtwin.viz.scene import ALARM, BODY, INK, Body, Callout, Line, Scale, Scene
from designtwin.viz.view import NAMED, visible

MOST = 6  # rows on one sheet
_CLOSE, _AROUND = 1.35, 1.6  # half width of the close-up over the zone's, of the cut over the close-up's
_SMALLEST = 0.035  # half width of a close-up, of the part's size
_TIGHT = (0.02, 0.02, 0.02, 0.02)
_ROOMY = (0.12, 0.12, 0.12, 0.12)
_OTHER = "#f2b8a0"  # further zones in the context view


def plot_zones(
    verdict: Any,
    zones: Sequence[Any] | None = None,
    *,
    most: int = 4,
    screenshot: PathLike | None = None,
    window_size: tuple[int, int] | None = None,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw failure zones, a row for each: close-up with its label, cut through the peak, whereabouts.

    Parameters
    ----------
    verdict : Verdict
    zones : sequence of FailureZone, optional
        By default the worst, those left out that a worse one of another requirement covers.
    most : int
        How many at most, up to 6.
    screenshot, window_size, show, title
        As `plot_field`.

    Raises
    ------
    PictureError
        If no zone is beyond a limit.
    """
    check_path(screenshot)
    result, found = unwrap(verdict)
    if found is None:
        raise PictureError("failure zones are of a verdict: state requirements in a test and run it")
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST:
        raise PictureError(f"most={most!r}: between 1 and {MOST} zones fit on a sheet")
    every = found.failure_zones()
    if zones is None:
        zones = [zone for zone in every if zone.within is None]
    wanted = list(zones)[:most]
    if not wanted:
        raise PictureError("no zone is beyond a limit, so that there is nothing to draw")
    rows = [_Row(result, found, zone, every) for zone in wanted]
    # One row is as high as wide pictures in a report are.
    size = window_size or (2000, 132 + 56 + 560 * len(rows))
    page = Page(size)
    page.unit = min(size[0] / 2000, size[1] / (188 + 560 * len(rows)))
    many = f"the worst {len(wanted)} of {len(every)} zones" if len(wanted) < len(every) else ""
    page.header(title if title is not None else _heading(found, wanted), _subtitle(found, result, many))
    page.footer(["red outline: beyond the limit", "not deformed", "circle: the close-up", *_notes(rows)])
    top, bottom = 124 * page.unit / page.height, 54 * page.unit / page.height
    height = (1 - top - bottom) / len(rows)
    for i, row in enumerate(rows):
        row.draw(page, Box(0.0, 1 - top - (i + 1) * height, 1.0, height))
    return finish(
        page.figure, screenshot=screenshot, name=f"{part_name(result, found)} failure zones",
        texts=tuple(page.texts), show=show,
    )  # fmt: skip


def _heading(verdict: Any, wanted: Sequence[Any]) -> str:
    what = f"Failure zone {wanted[0].number}" if len(wanted) == 1 else "Failure zones"
    names = list(dict.fromkeys(str(zone.requirement) for zone in wanted))
    return f"{what}: {', '.join(names)}"


def _subtitle(verdict: Any, result: Any, many: str) -> str:
    parts = [part_name(result, verdict), f"{verdict.test}: {verdict.status}", many]
    return "   ·   ".join(part for part in parts if part)


def _notes(rows: Sequence[_Row]) -> list[str]:
    pale = dict.fromkeys(row.shown.excluded for row in rows if not row.shown.judged.all())
    return [f"pale: not judged ({text})" for text in pale if text]


@dataclass(frozen=True, eq=False)
class _Near:
    """What a close-up frames: a point, half of its width, and the outward normal there, if it is outside."""

    at: FloatArray
    reach: float
    normal: FloatArray | None


class _Row:
    """One zone: what is drawn of it and where to look from."""

    def __init__(self, result: Any, verdict: Any, zone: Any, every: Sequence[Any]) -> None:
        self.result, self.zone, self.every = result, zone, every
        quantity = zone.requirement.quantity
        name = field_name(quantity) or quantity
        shown = read(result, name, zone.case, verdict, at=zone.instant)
        outcome = next((r for r in verdict.rows if r.requirement is zone.requirement), shown.outcome)
        self.shown: Shown = replace(shown, outcome=outcome)
        self.mesh = shown.case.mesh
        self.rows = _rows_of_zone(zone, self.shown)
        self.scale: Scale = scale_of(self.shown)
        self.skin = Skin(self.mesh, shown.node, shown.cells)
        self.xyz: FloatArray = self.mesh.points[shown.node]
        self.near = self._near()

    def _near(self) -> _Near:
        at = np.asarray(self.zone.place.point, np.float64)
        inside = self.xyz[self.rows] if len(self.rows) else at[None]
        away = np.linalg.norm(inside - at, axis=1)
        # A zone may run through the whole part; its close-up is about the peak.
        reach = _CLOSE * min(float(away.max()), 0.11 * self.mesh.size)
        reach = max(reach, _SMALLEST * self.mesh.size)
        surface = surface_of(self.mesh)
        flag = np.zeros(self.mesh.n_points, bool)
        if self.zone.place.node is not None:
            flag[self.zone.place.node] = True
        here = surface.touching(flag) if self.mesh.dimension == 3 else np.zeros(0, bool)
        normal = None
        if here.any():
            total = surface.vectors[here].sum(axis=0)
            size = float(np.linalg.norm(total))
            normal = total / size if size > 0.0 else None
        return _Near(at, reach, normal)

    def draw(self, page: Page, box: Box) -> None:
        """The row: its sentence, the pictures side by side, its color bar."""
        pad = 36 * page.unit / page.width
        words = 50 * page.unit / page.height
        bar = 235 * page.unit / page.width
        top = box.bottom + box.height - words
        text = page.text(
            pad, top + 0.42 * words, f"zone {self.zone.number}: {self.zone.sentence}", 23, va="center"
        )
        text.set_weight("bold")
        page.fit(text)
        solid = self.mesh.dimension == 3
        gap = 14 * page.unit / page.width
        width = 1 - 2 * pad - bar - (2 if solid else 1) * gap
        shares = (0.42, 0.29, 0.29) if solid else (0.56, 0.44)
        low, high = box.bottom + 14 * page.unit / page.height, top
        left = pad
        panels = [self._close_up, self._cut, self._context] if solid else [self._close_up, self._context]
        for panel, share in zip(panels, shares, strict=True):
            one = Box(left, low, share * width, high - low)
            panel(page, one)
            outline(page, one)
            left += share * width + gap
        page.bar(
            self.scale,
            Box(
                1 - 142 * page.unit / page.width, low + 0.04 * (high - low), 28 * page.unit / page.width,
                0.66 * (high - low),
            ),
        )  # fmt: skip

    # The three pictures

    def _close_up(self, page: Page, box: Box) -> None:
        near = self.near
        drawing = _Drawing(self.skin, self.shown, self.xyz, self.scale)
        toward = self._toward(drawing.bodies)
        caption = "close-up"
        if not self.skin.flat and not visible(near.at[None], toward, drawing.bodies)[0]:
            # Deep in a bore, or inside the part: it is seen once the part is cut open.
            normal, origin = self._plane()
            drawing.cut(normal, origin)
            toward, caption = _tilted(normal), "close-up, cut open"
        scene = Scene(
            bodies=tuple(drawing.bodies),
            lines=(*drawing.outlines(True), *self._outline(drawing)),
            callouts=(Callout(near.at, self._label(), "zone"),),
            scale=self.scale,
            title=f"zone {self.zone.number}",
            flat=self.skin.flat,
            focus=_cube(near.at, near.reach, self.skin.flat),
        )
        page.panel(scene, box, toward, margins=_TIGHT, caption=caption)

    def _plane(self) -> tuple[FloatArray, FloatArray]:
        """Normal and point of the cut through the peak; the larger piece of the part stays."""
        normal = self._cut_normal()
        if (self.near.at - self.mesh.extents.mean(axis=0)) @ normal < 0.0:
            normal = -normal
        # A hair inside of the peak, so that the plane has cells on both sides.
        return normal, self.near.at - 1e-3 * self.near.reach * normal

    def _cut(self, page: Page, box: Box) -> None:
        near = self.near
        normal, origin = self._plane()
        drawing = _Drawing(self.skin, self.shown, self.xyz, self.scale)
        drawing.cut(normal, origin)
        lines = [*drawing.outlines(False), *self._outline(drawing), *self._on_cut(normal, origin)]
        scene = Scene(
            bodies=tuple(drawing.bodies),
            lines=tuple(lines),
            callouts=(Callout(origin, "peak", "zone"),) if not self.zone.singular else (),
            scale=self.scale,
            title="cut",
            facing=normal,
            focus=_cube(near.at, _AROUND * near.reach, False),
        )
        caption = f"cut at {_plane_text(normal, near.at, self.mesh.size)}"
        page.panel(scene, box, _tilted(normal), margins=_TIGHT, caption=caption)

    def _context(self, page: Page, box: Box) -> None:
        triangles, _ = self.skin.triangles(self.xyz, self.skin.level())
        tags = np.zeros(self.skin.n_facets, np.int64)
        for zone in reversed(self.every):
            if zone.singular and zone is not self.zone:
                continue
            flag = np.zeros(len(self.shown.values), bool)
            flag[_rows_of_zone(zone, self.shown)] = True
            tags[_facets_where(self.skin, flag, every=False)] = 2 if zone is self.zone else 1
        bodies: tuple[Body, ...] = ()
        if len(triangles.conn):
            bodies = (Body(triangles, tags=tags[triangles.facet], palette=(BODY, _OTHER, ALARM)),)
        lines = []
        if self.skin.sets:
            edges = self.skin.edge_lines(self.skin.feature_edges(), self.xyz, self.skin.level())
            lines.append(Line(edges, color=INK, width=1.0, opacity=0.7))
        if len(self.skin.line_conn):
            lines.append(Line(Segments(self.xyz, self.skin.line_conn), color=INK, width=3.0))
        scene = Scene(
            bodies=bodies,
            lines=tuple(lines),
            callouts=(Callout(self.near.at, f"zone {self.zone.number}", "zone"),),
            title="context",
            flat=self.skin.flat,
            ring=(self.near.at, self.near.reach),
        )
        page.panel(scene, box, self._toward(bodies, closely=False), margins=_ROOMY, caption="in the part")

    # What they need

    def _label(self) -> str:
        zone = self.zone
        if zone.singular:
            return NO_NUMBER
        at = np.linalg.norm(self.xyz[self.rows] - self.near.at, axis=1)
        row = int(self.rows[int(at.argmin())])
        return f"{_value_text(self.shown, row)}\n{zone.over_text}"

    def _outline(self, drawing: _Drawing) -> list[Line]:
        """The line around the zone, where the requirement passes its limit."""
        here = _on_rows(self.result, self.zone, self.shown)
        border = drawing.limit_line(here, self.zone.requirement, self.rows)
        border = border if len(border.conn) else drawing.border_of(self.rows)
        return [Line(border, color=ALARM, width=3.2)] if len(border.conn) else []

    def _on_cut(self, normal: FloatArray, origin: FloatArray) -> list[Line]:
        """The same on the face of a cut, where it goes down into the part."""
        if self.shown.on_surface:
            return []
        values, limit = _on_rows(self.result, self.zone, self.shown), self.zone.requirement.limit
        if not self.zone.requirement.is_upper and limit > 0.0 and np.nanmin(values) >= 0.0:
            with np.errstate(divide="ignore"):
                values, limit = 1.0 / values, 1.0 / limit
        face, on_face = section(self.shown.cells, self.xyz, values, normal, origin)
        if not len(face.conn):
            return []
        known = np.isfinite(on_face[face.conn]).all(axis=1)
        line = contour(face.points, face.conn[known], on_face, limit)
        return [Line(line, color=ALARM, width=3.2, lift=1.5)] if len(line.conn) else []

    def _cut_normal(self) -> FloatArray:
        """Normal of the plane that shows most: across the bend of the surface, else across a long zone.

        An axis of coordinates where one is close.
        """
        n = self.near.normal
        along = _bend(self.mesh, self.zone.place.node)
        if n is not None and along is not None:
            along = np.cross(n, along)
        else:
            inside = self.xyz[self.rows] - self.near.at
            inside = inside[np.linalg.norm(inside, axis=1) <= 1.5 * self.near.reach]
            across = np.eye(3) if n is None else np.eye(3) - np.outer(n, n)
            spread = across @ (inside.T @ inside + 1e-9 * self.near.reach**2 * np.eye(3)) @ across
            size, direction = np.linalg.eigh(spread)
            along = direction[:, 2]
            if size[2] < 4.0 * size[1]:  # any plane through the normal does, so a familiar one
                along = np.eye(3)[0 if n is None else int(np.abs(n).argmin())]
        axis = int(np.abs(along).argmax())
        if abs(along[axis]) > math.cos(math.radians(35.0)):
            along = np.eye(3)[axis]
        return np.asarray(along / np.linalg.norm(along), np.float64)

    def _toward(self, bodies: Sequence[Body], *, closely: bool = True) -> FloatArray:
        """From where the zone is best seen: facing it for a close-up, in a habitual view of the whole."""
        if self.skin.flat:
            return np.array([0.0, 0.0, 1.0])
        a, b, c = NAMED["iso"]
        choices = [
            np.array([sx * a, sy * b, sz * c])
            for sz in (1, -1)
            for sx, sy in ((1, 1), (-1, 1), (-1, -1), (1, -1))
        ]
        n = self.near.normal
        if closely and n is not None:
            # In a bore one looks along it, past its rim.
            choices += [_tilted(n), *(n + slant * choice for choice in choices[:4] for slant in (0.8, -0.8))]
        sample = self._sample()
        best, most = choices[0], -np.inf
        for rank, choice in enumerate(choices):
            toward = choice / np.linalg.norm(choice)
            seen = visible(sample, toward, bodies)
            score = 3.0 * float(seen[0]) + 2.0 * float(seen.mean()) - 0.02 * rank
            score -= (0.3 if closely else 1.0) * (toward[2] < -0.1)
            if n is not None and closely:
                score += 1.2 * float(toward @ n)
            if score > most:
                best, most = toward, score
        return np.asarray(best)

    def _sample(self) -> FloatArray:
        """The peak, and some of the zone's points on the outside about it."""
        outside = np.intersect1d(self.rows, self.skin.point_rows()) if self.skin.sets else self.rows
        points = self.xyz[outside]
        away = np.linalg.norm(points - self.near.at, axis=1)
        points = points[np.argsort(away)[: max(int((away < self.near.reach).sum()), 1)]]
        pick: IntArray = np.linspace(0, len(points) - 1, min(len(points), 5)).astype(np.int64)
        return np.concatenate([self.near.at[None], points[pick]])


def _bend(mesh: Any, node: int | None) -> FloatArray | None:
    """The direction in which normals turn most around a node; None where the surface is plane, or inside."""
    if node is None or mesh.dimension != 3:
        return None
    surface = surface_of(mesh)
    flag = np.zeros(mesh.n_points, bool)
    flag[node] = True
    a, b = surface.pairs[0][surface.touching(flag)[surface.pairs[0]].any(axis=1)].T
    turned = surface.normals[b] - surface.normals[a]
    # A hollow concentrates stress: it decides where an outer edge meets it.
    hollow = np.einsum("ma,ma->m", turned, surface.centers[b] - surface.centers[a]) < 0.0
    turned = np.where(hollow, 3.0, 1.0)[:, None] * turned
    if not len(turned) or np.linalg.norm(turned, axis=1).max() < math.radians(3.0):
        return None
    return np.asarray(np.linalg.eigh(turned.T @ turned)[1][:, 2])


def _cube(at: FloatArray, reach: float, flat: bool) -> FloatArray:
    """Points a camera frames to see so far around a point, the same from everywhere."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    if flat:
        corners[:, 2] = 0.0
        return np.asarray(at + reach * corners)
    return np.asarray(at + reach / math.sqrt(2.0) * corners)


def _tilted(normal: FloatArray) -> FloatArray:
    """A direction that sees a face with this normal, a little from above and aside."""
    if abs(normal[2]) > 0.9:  # aside would turn the picture, whose upright is z
        out = normal + np.array([0.0, -0.25, 0.0])
    else:
        side = np.cross([0.0, 0.0, 1.0], normal)
        out = normal + np.array([0.0, 0.0, 0.18]) + 0.20 * side / np.linalg.norm(side)
    return np.asarray(out / np.linalg.norm(out))


__all__ = ["plot_zones"]
