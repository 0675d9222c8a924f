"""Pictures of what goes in: the mesh with its groups, what the mesh doctor found, supports and loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from designtwin import units
from designtwin.elements import ELEMENTS
from designtwin.errors import DesignTwinError, PictureError
from designtwin.mesh import Group, Mesh
from designtwin.model.contact import HeatPipe
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.viz import window
from designtwin.viz.fields import _mesh_note, deliver
from designtwin.viz.geometry import (
    Segments,
    Skin,
    Triangles,
    arrows,
    balls,
    cones,
    facet_sets,
    join_segments,
    polylines,
    tubes,
)
from designtwin.viz.page import Box, Page, outline, wrap
from designtwin.viz.picture import PathLike, Picture, check_path, finish
from designtwin.viz.scene import ALARM, BODY, FAINT, INK, PAPER, Body, Callout, Line, Scene, rgb
from designtwin.viz.view import look_at

Size = tuple[int, int]

COLORS = (
    "#3f7fb8",
    "#e08a2c",
    "#4c9a5a",
    "#b5476b",
    "#7d6bb8",
    "#2aa198",
    "#a9842a",
    "#d1603d",
    "#6d8fa8",
    "#8c564b",
)
TINTS = ("#c9d1d9", "#e3d9c6", "#cfdfd0", "#dccfdd", "#c8dde3", "#e2cfc9")
HELD = "#2a649b"
PUSHED = ALARM
HOT = "#d9581f"
JOINED = "#1f7a4d"
MOST_GROUPS = 14
_MAGNITUDES = ("magnitude", "coefficient", "ambient", "speed")
BAD = (ALARM, "#7a1fa2", "#8c3b1f", "#d6336c")
DOUBTFUL = ("#e08a2c", "#c9a227", "#2f7fa8", "#5f8f3e", "#8a6f4d")


def plot_mesh(
    mesh: Mesh,
    *,
    groups: bool | Sequence[str] = True,
    mesh_edges: bool = True,
    screenshot: PathLike | None = None,
    window_size: Size = (1600, 1200),
    camera: str | Sequence[float] | None = None,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw a mesh with its named groups in color.

    Parameters
    ----------
    mesh : Mesh
    groups : bool or names
        All that fit, none, or these.
    mesh_edges : bool
        Draw the outlines of the cells.
    screenshot, window_size, camera, show, title
        As `plot_field`.
    """
    check_path(screenshot)
    names = _wanted_groups(mesh, groups)
    skin = Skin(mesh)
    bodies, lines = _plain(mesh, skin, mesh_edges)
    callouts: list[Callout] = []
    legend: list[tuple[str, str]] = []
    paint = np.full(skin.n_facets, -1, np.int64)
    palette: list[str] = []
    marks: list[tuple[str, str, int, FloatArray]] = []
    for name in names:
        color, number = COLORS[len(legend) % len(COLORS)], len(palette)
        marked = _mark_group(mesh, skin, mesh.groups[name], color, paint, palette, bodies, lines)
        if marked is None:
            continue
        legend.append((color, f"{name}: {mesh.groups[name]}"))
        marks.append((name, color, number if len(palette) > number else -1, marked))
    for name, color, number, marked in marks[:10]:
        own = paint == number if number >= 0 else np.zeros(0, bool)
        if own.any():  # a later group may have painted over some of it
            marked = np.concatenate([mesh.points[s.conn[own[s.rows]]].mean(axis=1) for s in skin.sets])
        callouts.append(Callout(_middle(marked), name, "name", color, among=marked))
    if (paint >= 0).any():
        bodies[0] = _painted(bodies[0], paint, palette)
    return deliver(
        Scene(
            bodies=tuple(bodies),
            lines=tuple(lines),
            callouts=tuple(callouts),
            legend=tuple(legend),
            flat=skin.flat,
            title=title if title is not None else f"Mesh of {_name(mesh)}",
            subtitle=_mesh_note(mesh),
            notes=(f"extents {_extents(mesh)}", *mesh.notes[:1]),
        ),
        screenshot=screenshot,
        window_size=window_size,
        camera=camera,
        show=show,
        file_name=f"{_name(mesh)} mesh",
    )


def plot_check(
    mesh: Mesh,
    report: Any = None,
    *,
    screenshot: PathLike | None = None,
    window_size: Size = (1600, 1200),
    camera: str | Sequence[float] | None = None,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw what the mesh doctor found inside a glass body, with a close-up of the worst and what to do.

    What is bad has reds, what is doubtful other colors; what holds for most of the mesh is said in words.

    Parameters
    ----------
    mesh : Mesh
    report : MeshReport, optional
        ``mesh.check()`` unless given.
    screenshot, window_size, camera, show, title
        As `plot_field`.
    """
    check_path(screenshot)
    if not isinstance(mesh, Mesh):
        raise PictureError(f"plot_check(mesh, report): the mesh comes first, got {type(mesh).__name__}")
    report = mesh.check() if report is None else report
    skin = Skin(mesh)
    found = list(report.at_least("warn"))
    marked = [_Marked(mesh, f, color) for f, color in zip(found, _finding_colors(found), strict=True)]
    drawn = [one for one in marked if one.body is not None]
    bodies, lines = _plain(mesh, skin, not drawn)
    if drawn and not skin.flat:
        bodies = [
            Body(b.triangles, color=b.color, opacity=0.16, tags=b.tags, palette=b.palette) for b in bodies
        ]
    glass = list(bodies)
    for one in reversed(drawn):  # the worst is drawn last and so on top
        assert one.body is not None
        bodies.append(one.body)
        lines += one.lines
    bad, warn = (sum(f.grade == grade for f in report) for grade in ("bad", "warn"))
    verdict = {"ok": "no complaints", "warn": f"{warn} to look at", "bad": f"{bad} to repair"}[report.grade]
    scene = Scene(
        bodies=tuple(bodies),
        lines=tuple(lines),
        callouts=tuple(one.callout for one in drawn[:8]),
        legend=tuple((one.color, one.words) for one in marked),
        flat=skin.flat,
        title=title if title is not None else f"Mesh check of {_name(mesh)}: {report.grade}, {verdict}",
        subtitle=_mesh_note(mesh),
        notes=(f"extents {_extents(mesh)}",),
    )
    if window.wanted(show, screenshot is not None):
        live = window.open_window(scene, window_size, camera)
        if live is not None:
            return live
    page = Page(window_size)
    page.header(scene.title, scene.subtitle)
    page.footer(scene.notes)
    top, bottom = 112 * page.unit / page.height, 52 * page.unit / page.height
    right = 520 * page.unit / page.width if marked else 0.0
    toward = look_at(scene, camera, np.array([one.callout.at for one in drawn]).reshape(-1, 3))
    page.panel(scene, Box(0.0, bottom, 1 - right, 1 - top - bottom), toward)
    inset = 440 * page.unit / page.height if drawn else 0.0
    if drawn:
        width = right - 40 * page.unit / page.width
        _close_up(
            page,
            Box(1 - right + 8 * page.unit / page.width, bottom, width, inset),
            mesh,
            skin,
            glass,
            drawn[0],
        )
    space = Box(1 - right, bottom + inset, right, 1 - top - bottom - inset)
    _list_findings(page, space, marked)
    return finish(
        page.figure, screenshot=screenshot, name=f"{_name(mesh)} check", texts=tuple(page.texts), show=show
    )


class _Marked:
    """One finding of the mesh doctor: its color, its words, and what of the mesh it is about."""

    def __init__(self, mesh: Mesh, finding: Any, color: str) -> None:
        self.finding, self.color = finding, color
        self.words = _short(finding)
        self.body: Body | None = None
        self.lines: list[Line] = []
        self.callout = Callout(np.zeros(3), self.words, "name", color)
        self.reach = 0.0
        ids = finding.ids
        # What is said of nearly all of the mesh is said in words.
        if ids is None or not len(ids) or (finding.of == "cells" and len(ids) > 0.5 * mesh.n_cells):
            self._free_edges(mesh)
            return
        self.body, at = _mark_ids(mesh, finding.of, ids, color)
        if self.body is None or at is None or not len(at):
            return
        self.lines = _edges_of(mesh, finding.of, ids)
        first = at[0]
        near = self.body.triangles.points[self.body.triangles.conn].mean(axis=1)
        near = near[np.argsort(np.linalg.norm(near - first, axis=1))[:24]]
        self.callout = Callout(near[0], self.words, "name", color, among=near)
        self.reach = _size_of(mesh, finding.of, ids)

    def _free_edges(self, mesh: Mesh) -> None:
        """Of a surface that is no volume, the edges at which it is open."""
        if self.finding.check != "surface_mesh" or not len(mesh.exterior):
            return
        self.body, at = _mark_ids(mesh, "facets", mesh.exterior, self.color)
        if at is not None:
            self.callout = Callout(at[0], f"open: {len(mesh.exterior):,} edges", "name", self.color, among=at)
            self.reach = 0.05 * mesh.size


def _finding_colors(found: Sequence[Any]) -> list[str]:
    """Reds for what is bad, ambers for what is doubtful."""
    used = {"bad": 0, "warn": 0}
    out = []
    for finding in found:
        shades = BAD if finding.grade == "bad" else DOUBTFUL
        out.append(shades[used[finding.grade] % len(shades)])
        used[finding.grade] += 1
    return out


def _size_of(mesh: Mesh, of: str, ids: IntArray) -> float:
    """Half the width of a close-up of the first of some cells, facets or nodes, m."""
    ids = np.asarray(ids)
    cell = int(ids[0]) if of == "cells" else int(ids.reshape(-1, 2)[0, 0]) if of == "facets" else -1
    if cell < 0:
        touching = [conn[(conn == int(ids.ravel()[0])).any(axis=1)] for conn in mesh.cells.values()]
        nodes = np.unique(np.concatenate([conn.ravel() for conn in touching]))
    else:
        name, row = next((name, rows[0]) for name, rows in mesh.rows_by_block(np.array([cell])) if len(rows))
        nodes = mesh.cells[name][row]
    size = float(np.linalg.norm(np.ptp(mesh.points[nodes], axis=0))) if len(nodes) else 0.0
    return min(max(1.6 * size, 0.02 * mesh.size), 0.3 * mesh.size)


def _edges_of(mesh: Mesh, of: str, ids: IntArray) -> list[Line]:
    """Outlines of marked cells; of very many they would only blacken them."""
    if of != "cells" or len(ids) > 2000:
        return []
    parts = []
    for name, rows in mesh.rows_by_block(np.asarray(ids).ravel()):
        if ELEMENTS[name].dimension == 1 or not len(rows):
            continue
        skin = Skin(mesh, cells=[(name, rows, mesh.cells[name][rows])])
        if ELEMENTS[name].dimension == 3:
            local = np.arange(len(ELEMENTS[name].facets))
            cells = rows + mesh.block_offsets[name]
            skin = Skin(
                mesh, facets=np.column_stack([np.repeat(cells, len(local)), np.tile(local, len(cells))])
            )
        parts.append(skin.edge_lines(np.ones(len(skin.edges().ends), bool), mesh.points, 3))
    return [Line(join_segments(*parts), color=INK, width=1.0, opacity=0.7, lift=1.2)] if parts else []


def _close_up(page: Page, box: Box, mesh: Mesh, skin: Skin, glass: Sequence[Body], one: _Marked) -> None:
    """The first, which is the worst, of a finding among its neighbors."""
    assert one.body is not None
    edges = Line(
        skin.edge_lines(np.ones(len(skin.edges().ends), bool), mesh.points, skin.level()), color=INK,
        width=0.8, opacity=0.30, lift=0.6,
    )  # fmt: skip
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    if skin.flat:
        corners[:, 2] = 0.0
    scene = Scene(
        bodies=(*glass, one.body),
        lines=(edges, *one.lines),
        flat=skin.flat,
        title=one.words,
        focus=one.callout.at + one.reach * corners,
    )
    toward = look_at(scene, None, one.callout.at[None])
    page.panel(
        scene,
        box,
        toward,
        margins=(0.0, 0.0, 0.0, 0.0),
        caption=f"close-up: {one.finding.check.replace('_', ' ')}",
    )
    outline(page, box)


def _list_findings(page: Page, box: Box, marked: Sequence[_Marked]) -> None:
    """What was found and what to do, from the top of a box down, as far as there is room."""
    from matplotlib.patches import Rectangle

    line, side = 28 * page.unit / page.height, 22 * page.unit
    left, y = box.left + 8 * page.unit / page.width, box.bottom + box.height
    for number, one in enumerate(marked):
        finding = one.finding
        words = [(text, INK, 20) for text in wrap(finding.title, 40)[:3]]
        if finding.advice:
            words += [(text, FAINT, 18) for text in wrap(finding.advice, 44)[:3]]
        if y - (len(words) + 0.6) * line < box.bottom:
            page.text(left, y - 0.6 * line, f"and {len(marked) - number} more", 17, va="center", color=FAINT)
            return
        page.figure.add_artist(
            Rectangle(
                (left, y - 0.9 * line), side / page.width, side / page.height,
                facecolor=one.color if one.body is not None else PAPER,
                edgecolor=FAINT, linewidth=0.5, transform=page.figure.transFigure,
            )
        )  # fmt: skip
        for text, color, size in words:
            page.text(
                left + 32 * page.unit / page.width, y - 0.5 * line, text, size, va="center", color=color
            )
            y -= line
        y -= 0.6 * line


def plot_model(
    model: Any,
    *,
    case: str | None = None,
    screenshot: PathLike | None = None,
    window_size: Size = (1600, 1200),
    camera: str | Sequence[float] | None = None,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw what holds a part (blue), what joins its pieces (green) and what acts (red, orange for heat).

    Parameters
    ----------
    model : Model
    case : str, optional
        One load case; by default all of them together.
    screenshot, window_size, camera, show, title
        As `plot_field`.
    """
    check_path(screenshot)
    if case is not None and case not in model.cases:
        if case not in model.combinations:
            raise PictureError(
                f"there is no load case {case!r}; there are {', '.join([*model.cases, *model.combinations])}"
            )
        cases = [model.cases[name] for name in model.combinations[case]]
    else:
        cases = list(model.cases.values()) if case is None else [model.cases[case]]
    draw = _drawn(model, cases)
    mesh: Mesh = model.mesh
    what = f", load case {case}" if case is not None else ""
    joints = ", connections" if model.connections else ""
    parts = [f"{part.name}: {_material(part)}" for part in model.parts]
    return deliver(
        Scene(
            bodies=tuple(draw.bodies),
            lines=tuple(draw.lines),
            callouts=tuple(draw.callouts),
            flat=draw.skin.flat,
            legend=tuple((TINTS[i % len(TINTS)], text) for i, text in enumerate(parts))
            if len(parts) > 1
            else (),
            title=title
            if title is not None
            else f"{model.name or _name(mesh)}: supports{joints} and loads{what}",
            subtitle="   ·   ".join(parts) if len(parts) == 1 else _mesh_note(mesh),
            notes=(*draw.colors, *draw.notes),
        ),
        screenshot=screenshot,
        window_size=window_size,
        camera=camera,
        show=show,
        file_name=f"{model.name or _name(mesh)} model {case or ''}",
    )


def _drawn(model: Any, cases: Sequence[Any]) -> _ModelDrawing:
    """The part with symbols for what holds, joins and loads it."""
    draw = _ModelDrawing(model)
    for support in (*model.supports, *model.heat_supports):
        draw.support(support, "")
    for joint in model.connections:
        draw.joint(joint)
    for one in cases:
        prefix = f"{one.name}: " if len(cases) > 1 else ""
        for support in (*one.supports, *one.heat_supports):
            draw.support(support, prefix)
        for load in (*one.loads, *one.heat_loads):
            draw.load(load, prefix)
        if one.temperature is not None:
            draw.notes.append(f"{prefix}{one.temperature.said}")
    return draw


def draw_model(model: Any) -> Scene:
    """A model as `plot_model` shows it, as a scene for a page of several."""
    draw = _drawn(model, list(model.cases.values()))
    return Scene(
        bodies=tuple(draw.bodies), lines=tuple(draw.lines), callouts=tuple(draw.callouts),
        flat=draw.skin.flat, title=model.name or _name(model.mesh), notes=(*draw.colors, *draw.notes),
    )  # fmt: skip


# The body and marks on it


def _plain(
    mesh: Mesh, skin: Skin, mesh_edges: bool, label: IntArray | None = None
) -> tuple[list[Body], list[Line]]:
    """The part in one color, or one for each label, with its edges."""
    level = skin.level()
    bodies, lines = [], []
    if skin.sets:
        triangles, _ = skin.triangles(mesh.points, level)
        if label is None:
            bodies.append(Body(triangles))
        else:
            bodies.append(Body(triangles, tags=label[triangles.facet] % len(TINTS), palette=TINTS))
        feature = skin.feature_edges(label)
        if mesh_edges:
            lines.append(
                Line(
                    skin.edge_lines(~feature, mesh.points, level),
                    color=INK,
                    width=0.7,
                    opacity=0.35,
                    lift=0.6,
                )
            )
        lines.append(Line(skin.edge_lines(feature, mesh.points, level), color=INK, width=1.2, opacity=0.85))
    if len(skin.line_conn):
        radius = np.full(len(skin.line_conn), 0.006 * mesh.size)
        bodies.append(Body(tubes(mesh.points, skin.line_conn, radius)[0], hides=False))
    return bodies, lines


def _painted(body: Body, paint: IntArray, palette: Sequence[str]) -> Body:
    """The body with some facets in colors of their own; index -1 keeps the body's."""
    colors = (body.color, *palette)
    if body.tags is None:
        return Body(body.triangles, tags=paint[body.triangles.facet] + 1, palette=colors)
    own = paint[body.triangles.facet]
    return Body(
        body.triangles,
        tags=np.where(own < 0, body.tags, own + len(body.palette)),
        palette=(*body.palette, *palette),
    )


def _mark_group(
    mesh: Mesh,
    skin: Skin,
    group: Group,
    color: str,
    paint: IntArray,
    palette: list[str],
    bodies: list[Body],
    lines: list[Line],
) -> FloatArray | None:
    """Color a group: its faces, else its cells, else its nodes; returns places for its label."""
    number = len(palette)
    if group.facets is not None and len(group.facets):
        if mesh.dimension == 3:
            hit = _rows_of_facets(skin.facets, group.facets)
            paint[hit] = number
            palette.append(color)
            sets = facet_sets(skin.cells, group.facets)
            return np.concatenate([mesh.points[s.conn].mean(axis=1) for s in sets]) if sets else None
        segments = _edge_segments(mesh, group.facets)
        lines.append(Line(segments, color=color, width=5.0, lift=2.0))
        return np.asarray(segments.points[segments.conn].mean(axis=1), np.float64)
    if group.cells is not None and len(group.cells):
        inside = np.zeros(mesh.n_cells, bool)
        inside[group.cells] = True
        hit_facets = inside[skin.facets[:, 0]]
        if hit_facets.any():
            paint[hit_facets] = number
            palette.append(color)
            return np.concatenate([mesh.points[s.conn[hit_facets[s.rows]]].mean(axis=1) for s in skin.sets])
        return np.asarray(mesh.cell_centers[group.cells])
    if group.nodes is not None and len(group.nodes):
        at = mesh.points[group.nodes]
        few = at[np.linspace(0, len(at) - 1, min(len(at), 2000)).astype(int)]
        bodies.append(Body(balls(few, np.full(len(few), 0.005 * mesh.size)), color=color))
        return at
    return None


def _edge_segments(mesh: Mesh, facets: IntArray) -> Segments:
    """Facets of plane cells as lines."""
    parts = []
    for block in mesh.facets(facets):
        t = np.linspace(-1.0, 1.0, 5 if ELEMENTS[block.element].degree > 1 else 2)[:, None]
        parts.append(np.einsum("qn,fna->fqa", ELEMENTS[block.element].shape(t), mesh.points[block.conn]))
    return polylines(parts)


def _rows_of_facets(of: IntArray, wanted: IntArray) -> BoolArray:
    """Which facets [k, 2] are among the wanted ones."""
    big = 64
    return np.isin(of[:, 0] * big + of[:, 1], wanted[:, 0] * big + wanted[:, 1])


def _mark_ids(mesh: Mesh, of: str, ids: IntArray, color: str) -> tuple[Body | None, FloatArray | None]:
    """Cells, facets or nodes by id as a body of one color, and where they are."""
    if of == "cells":
        cells = np.asarray(ids).ravel()
        solid = [(name, rows) for name, rows in mesh.rows_by_block(cells) if ELEMENTS[name].dimension > 1]
        if not solid:
            at = mesh.cell_centers[cells]
            return Body(balls(at, np.full(len(at), 0.01 * mesh.size)), color=color), at
        parts = []
        for name, rows in solid:
            first = mesh.block_offsets[name]
            if ELEMENTS[name].dimension == 3:
                local = np.arange(len(ELEMENTS[name].facets))
                facets = np.column_stack([np.repeat(rows + first, len(local)), np.tile(local, len(rows))])
                parts.append(Skin(mesh, facets=facets))
            else:
                parts.append(Skin(mesh, cells=[(name, rows + first, mesh.cells[name][rows])]))
        triangles = [skin.triangles(mesh.points, 2)[0] for skin in parts]
        return Body(_joined(triangles), color=color), mesh.cell_centers[cells]
    if of == "facets":
        pairs = np.asarray(ids).reshape(-1, 2)
        if mesh.dimension < 3:
            segments = _edge_segments(mesh, pairs)
            radius = np.full(len(segments.conn), 0.004 * mesh.size)
            return Body(tubes(segments.points, segments.conn, radius)[0], color=color), segments.points
        skin = Skin(mesh, facets=pairs)
        triangles = [skin.triangles(mesh.points, 2)[0]]
        return Body(triangles[0], color=color), mesh.cell_centers[pairs[:, 0]]
    if of == "nodes":
        at = mesh.points[np.asarray(ids).ravel()]
        few = at[np.linspace(0, len(at) - 1, min(len(at), 2000)).astype(np.int64)]
        share = 0.008 if len(at) < 30 else 0.003  # many tell by where they are
        return Body(balls(few, np.full(len(few), share * mesh.size)), color=color), at
    return None, None


def _joined(parts: Sequence[Triangles]) -> Triangles:
    from designtwin.viz.geometry import join_triangles

    return join_triangles(*parts)


def _short(finding: Any) -> str:
    """A finding for a label: "inverted: 4 cells"."""
    if finding.check == "pieces":
        return f"{finding.count:,} pieces"
    number = 0 if finding.ids is None else len(finding.ids)
    thing = finding.of if number != 1 else finding.of.removesuffix("s")
    check = finding.check.replace("_", " ")
    return f"{check}: {number:,} {thing}" if number and finding.of else check


def _wanted_groups(mesh: Mesh, groups: bool | Sequence[str]) -> list[str]:
    if groups is False:
        return []
    if groups is True:
        # A group of all cells says nothing in a picture.
        every = [
            name
            for name, group in mesh.groups.items()
            if not (group.facets is None and group.cells is not None and len(group.cells) == mesh.n_cells)
        ]
        return every[:MOST_GROUPS]
    return [mesh.group_name(name) for name in groups]


# Supports and loads


class _ModelDrawing:
    """Collects symbols for what holds and what acts."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.mesh: Mesh = model.mesh
        self.skin = Skin(self.mesh)
        label = None
        if len(model.parts) > 1 and self.skin.n_facets:
            label = np.asarray(model.part_of_cell)[self.skin.facets[:, 0]]
        self.bodies, self.lines = _plain(self.mesh, self.skin, False, label)
        self.size = self.mesh.size
        self.callouts: list[Callout] = []
        self.notes: list[str] = []
        self.colors: dict[str, None] = {}  # an ordered set of what the colors mean

    def _place(self, on: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Centers, outward normals and areas of the faces of a place; of its nodes, without normals, else."""
        region = self.model.region(on)
        if len(region.facets):
            vectors, centers = self.mesh.facet_vectors(region.facets)
            area = np.linalg.norm(vectors, axis=1)
            return centers, vectors / np.maximum(area, 1e-300)[:, None], area
        points = self.mesh.points[region.nodes]
        return points, np.zeros_like(points), np.ones(len(points))

    def _tint(self, on: Any, color: str) -> None:
        """Color the faces of a place."""
        facets = self.model.region(on).facets
        if not len(facets) or len(facets) > 0.5 * len(self.mesh.exterior):
            return  # what acts everywhere needs no color
        if self.mesh.dimension == 3:
            paint = np.full(self.skin.n_facets, -1, np.int64)
            paint[_rows_of_facets(self.skin.facets, facets)] = 0
            self.bodies[0] = _painted(self.bodies[0], paint, [_pale(color)])
        else:
            self.lines.append(Line(_edge_segments(self.mesh, facets), color=color, width=5.0, lift=2.0))

    def support(self, support: Any, prefix: str) -> None:
        """Cones that point at what is held."""
        if getattr(support, "on", None) is None:
            self.notes.append(prefix + support.said)
            return
        centers, normals, _ = self._place(support.on)
        color = HELD if support.physics == "static" else HOT
        self.colors["blue: held" if color == HELD else "orange: heat"] = None
        self._tint(support.on, color)
        pick = _spread(centers, 14)
        outward = normals[pick]
        outward = np.where(
            np.linalg.norm(outward, axis=1)[:, None] > 0.5, outward, np.array([0.0, 0.0, -1.0])
        )
        if self.skin.flat:
            outward[:, 2] = 0.0
            lengths = np.linalg.norm(outward, axis=1, keepdims=True)
            outward = np.where(lengths > 0.5, outward / np.maximum(lengths, 1e-9), np.array([0.0, -1.0, 0.0]))
        height = 0.022 * self.size
        self.bodies.append(Body(cones(centers[pick], outward, height), color=color))
        said = _said(support)
        if support.physics != "static" and hasattr(support, "value"):
            said += f", {support.value}"
        self._name(prefix + said, centers, color)

    def joint(self, joint: Any) -> None:
        """The rim of joined faces, spokes of a link, a tube between ends of a pipe; seen through the part."""
        self.colors["green: joined"] = None
        sides = [getattr(joint, side, None) for side in ("a", "b")]
        if isinstance(joint, HeatPipe):
            places = [self._points(on) for on in sides]
            for on in sides:
                self._tint(on, JOINED)
            self._chain(places)
            at = np.concatenate([p.mean(axis=0)[None] for p in places]).mean(axis=0)[None]
        elif None not in sides:
            at = self._rims(*(self.model.region(on).facets for on in sides))
        elif getattr(joint, "terms", None) is not None:
            places = [self._points(on) for on, *_ in joint.terms]
            self._chain(places)
            at = np.concatenate(places)
        elif getattr(joint, "on", None) is not None:
            at = self._spokes(joint)
        else:
            self.notes.append(f"{joint.said} {joint.amount}".strip())
            return
        self._name(_words(joint), at, JOINED)

    def _points(self, on: Any) -> FloatArray:
        """Where a place is: the middles of its faces, or its nodes."""
        region = self.model.region(on)
        return self._place(on)[0] if len(region.facets) or len(region.nodes) else (
            self.mesh.cell_centers[region.cells]
        )  # fmt: skip

    def _rims(self, a: IntArray, b: IntArray) -> FloatArray:
        """The outline of the smaller of two faces, where it is."""
        area = [np.linalg.norm(self.mesh.facet_vectors(one)[0], axis=1).sum() for one in (a, b)]
        facets = a if area[0] <= area[1] else b
        if self.mesh.dimension < 3:
            segments = _edge_segments(self.mesh, facets)
            self.lines.append(Line(segments, color=JOINED, width=6.0, lift=3.0))
            return segments.points
        points, conn = _rim(self.mesh, facets)
        if len(conn):
            radius = np.full(len(conn), 0.003 * self.size)
            self.bodies.append(Body(tubes(points, conn, radius)[0], color=JOINED, hides=False, on_top=True))
            return np.asarray(points[conn].mean(axis=1))
        return self.mesh.facet_vectors(facets)[1]  # closed in itself

    def _spokes(self, link: Any) -> FloatArray:
        """From the hub of a link to nodes that it joins; a rigid one has thicker spokes."""
        points = self.mesh.points[self.model.region(link.on).nodes]
        hub = points.mean(axis=0) if link.at is None else np.array(link.at)
        node = getattr(link, "node", None)
        if node is not None:
            hub = self.mesh.points[self.model.region(node).nodes[0]]
        ends = points[_spread(points, 24)]
        conn = np.column_stack([np.zeros(len(ends), np.int64), 1 + np.arange(len(ends))])
        thin = 0.0022 if type(link).__name__ == "RigidLink" else 0.0012
        both = np.concatenate([hub[None], ends])
        spokes = tubes(both, conn, np.full(len(conn), thin * self.size))[0]
        ball = balls(hub[None], np.array([0.009 * self.size]))
        self.bodies.append(Body(_joined([spokes, ball]), color=JOINED, hides=False, on_top=True))
        return hub[None]

    def _chain(self, places: Sequence[FloatArray]) -> None:
        """A tube through the middles of places, with a ball at each."""
        middles = np.array([place.mean(axis=0) for place in places])
        parts = [balls(middles, np.full(len(middles), 0.010 * self.size))]
        ends = np.arange(len(middles) - 1)
        if len(ends):
            conn = np.column_stack([ends, ends + 1])
            parts.append(tubes(middles, conn, np.full(len(conn), 0.005 * self.size))[0])
        self.bodies.append(Body(_joined(parts), color=JOINED, hides=False, on_top=True))

    def load(self, load: Any, prefix: str) -> None:
        """Arrows along what acts, with the total in words."""
        heat = load.physics != "static"
        color = HOT if heat else PUSHED
        self.colors["orange: heat" if heat else "red: loads"] = None
        on = getattr(load, "on", None)
        total, text = self._total(load, heat)
        if on is None:
            center = self.mesh.points[self.mesh.used_nodes].mean(axis=0)
            if not heat and np.linalg.norm(total) > 0:
                direction = total / np.linalg.norm(total)
                self._arrow(center[None], direction[None] * 0.16 * self.size, color, on_top=True)
            self._name(prefix + text, center[None], color)
            return
        centers, normals, area = self._place(on)
        self._tint(on, color)
        if heat:
            pick = _spread(centers, 10)
            arrow = 0.09 * self.size * normals[pick]
            if getattr(load, "ambient", None) is not None:  # exchange: drawn as a warm part gives heat off
                self._arrow(centers[pick] + arrow, arrow, color)
            else:
                self._arrow(centers[pick], -arrow, color)
        elif type(load).__name__ in ("Pressure", "HydrostaticPressure"):
            pick = _spread(centers, 12)
            self._arrow(centers[pick], -normals[pick] * 0.10 * self.size, color)
        elif np.linalg.norm(total) > 0:
            direction = total / np.linalg.norm(total)
            middle = np.average(centers, axis=0, weights=area)
            mean_normal = np.average(normals, axis=0, weights=area)
            tip = middle
            if float(direction @ mean_normal) > 0.25:  # it pulls: the arrow leaves the face
                tip = middle + 0.17 * self.size * direction
            self._arrow(tip[None], direction[None] * 0.17 * self.size, color, on_top=True)
            centers = middle[None]
        self._name(prefix + text, centers, color)

    def _total(self, load: Any, heat: bool) -> tuple[FloatArray, str]:
        said = _said(load)
        try:
            if heat:
                # What a fluid brings depends on the answer; its share of the load alone would mislead.
                power = load.summary(self.model)
                return np.zeros(3), f"{said}\n{power}" if power else said
            total = np.asarray(load.nodal_forces(self.model)).sum(axis=0)
        except DesignTwinError:
            return np.zeros(3), said
        total = np.where(np.abs(total) < 1e-9 * max(float(np.abs(total).max()), 1e-300), 0.0, total)
        if not total.any():
            return total, said
        return total, f"{said}\n{units.show(total, 'force')}".replace("-", "−")

    def _arrow(self, tips: FloatArray, vectors: FloatArray, color: str, *, on_top: bool = False) -> None:
        keep = np.linalg.norm(vectors, axis=1) > 0
        if keep.any():
            self.bodies.append(Body(arrows(tips[keep], vectors[keep]), color=color, on_top=on_top))

    def _name(self, text: str, at: FloatArray, color: str) -> None:
        self.callouts.append(Callout(_middle(at), text, "name", color, among=at))


def _rim(mesh: Mesh, facets: IntArray) -> tuple[FloatArray, IntArray]:
    """Edges of which only one facet has them, as points and segments; curved ones in two pieces."""
    edges = []
    for block in mesh.facets(facets):
        element = ELEMENTS[block.element]
        for i, (a, b) in enumerate(element.corner_edges):
            mid = block.conn[:, element.corners + i] if element.degree > 1 else block.conn[:, a]
            edges.append(np.stack([block.conn[:, a], block.conn[:, b], mid], axis=1))
    every = np.concatenate(edges)
    pair = np.sort(every[:, :2], axis=1)
    _, first, count = np.unique(pair, axis=0, return_index=True, return_counts=True)
    a, b, mid = every[first[count == 1]].T
    conn = np.concatenate([np.column_stack([a, mid]), np.column_stack([mid, b])])
    return mesh.points, conn[conn[:, 0] != conn[:, 1]]


def _words(joint: Any) -> str:
    """A connection in a label: how much, and each term but the first, on lines of their own."""
    text = str(joint.said)
    text = text.replace(" + ", "\n+ ") if getattr(joint, "terms", None) is not None else text
    return f"{text}\n{joint.amount}" if joint.amount else text


def _said(item: Any) -> str:
    """A support or load in a few words, with its magnitude where it has one."""
    said = str(item.said)
    values = [str(getattr(item, name)) for name in _MAGNITUDES if getattr(item, name, None) is not None]
    return ", ".join([said, *(text for text in values if len(text) < 24 and text not in said)])


def _material(part: Any) -> str:
    material = part.section.material
    return getattr(material, "name", "") or type(material).__name__


def _pale(color: str) -> str:
    """The color of a face on which arrows of that color are still seen."""
    r, g, b = (round(255 * c) for c in 0.45 * rgb(color) + 0.55 * rgb("#f4f5f6"))
    return f"#{r:02x}{g:02x}{b:02x}"


def _spread(points: FloatArray, most: int) -> IntArray:
    """Some of the points, far from each other (farthest-point choice)."""
    if len(points) <= most:
        return np.arange(len(points))
    chosen = [int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmax())]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < most:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen)


def _middle(points: FloatArray) -> FloatArray:
    """The point nearest to the mean of all."""
    return np.asarray(points[int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmin())])


def _name(mesh: Mesh) -> str:
    from pathlib import Path

    return Path(mesh.source).stem if mesh.source else "part"


def _extents(mesh: Mesh) -> str:
    size = units.from_si(mesh.extents[1] - mesh.extents[0], "length")
    return (
        " × ".join(f"{s:.4g}" for s in (size[:2] if mesh.is_plane else size)) + f" {units.symbol('length')}"
    )


__all__ = ["BODY", "plot_check", "plot_mesh", "plot_model"]
