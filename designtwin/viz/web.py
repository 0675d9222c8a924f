"""A result as plain arrays for the 3D view of a page: its outside, and the fields on it.

Nothing is drawn here. Points are mesh points and keep the values computed there, so that what a reader
points at on the page is a number of the result, not one of a picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from designtwin import units
from designtwin.elements import ELEMENTS
from designtwin.errors import DesignTwinError
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.viz.fields import (
    Shown,
    cases_of,
    colors_a_part,
    deformation_scale,
    field_name,
    holds_modes,
    is_shape,
    marks,
    read,
    scale_of,
    standing_for,
)
from designtwin.viz.geometry import Skin, Triangles, tubes
from designtwin.viz.scene import Body, Scale, Scene, color_table
from designtwin.viz.view import look_at

MOST_POINTS = 40_000
"""Points on a page; the outside of larger meshes is thinned out."""
_MOST_MODES = 6
_MOST_ZONES = 9
_USUAL = {"thermal": ("temperature",), "life": ("damage", "life", "von_mises")}
_STEPS = 32  # colors of a scale
_SIDES = 10  # of a bar's cylinder


@dataclass(frozen=True, eq=False)
class WebField:
    """One field of one case.

    Parameters
    ----------
    name, case : str
        What a reader chooses by: "Von Mises stress", "lift".
    said : str
        The requirement on it and how it was judged, "" where there is none.
    symbol : str
        Unit of the values, "" where they have none.
    values : float64[n]
        Display units, at the rows of the view; nan where there is none.
    judged, singular : bool[n]
        False where the requirement on it leaves points out; True where values are no numbers.
    scale : Scale
    inverse : bool
        True of a factor that runs to infinity: between points its inverse is linear.
    displacement : float64[n, 3], optional
        m.
    factor : float
        By how much the displacement is enlarged at first.
    swings : bool
        True of a mode, which moves to and fro.
    marks : tuple of (row, words)
        Extremes, the more important first.
    """

    name: str
    case: str
    said: str
    symbol: str
    values: FloatArray
    judged: BoolArray
    singular: BoolArray
    scale: Scale
    inverse: bool
    displacement: FloatArray | None
    factor: float
    swings: bool
    marks: tuple[tuple[int, str], ...]

    @property
    def colors(self) -> tuple[str, ...]:
        """The scale's colors from low to high, "#rrggbb"."""
        table = np.rint(255 * color_table(self.scale.colors, _STEPS)).astype(int)
        return tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in table.tolist())


@dataclass(frozen=True, eq=False)
class WebView:
    """The outside of a body, and its fields.

    Parameters
    ----------
    node : int64[n]
        Mesh point of each row.
    points, normals : float64[v, 3]
        Of the vertices, m and unit; a row has one for each of the faces that meet there at an edge.
    row : int64[v]
        Row of each vertex.
    facets : mapping of (corners, degree) to int64[k, nodes]
        Vertices of triangles (3) and quadrilaterals (4), with their middle nodes where the degree is 2.
    edges : int64[k, 2]
        Vertices at the ends of the lines of the part's drawing.
    fields : tuple of WebField
        The one that is worst off first.
    zones : tuple of (row, number, words)
        Peaks of the failure zones.
    toward : float64[3]
        Where a viewer stands that sees the worst place.
    flat : bool
        True of plane bodies.
    thinned : int
        Points on the outside of the mesh, where the view has fewer; else 0.
    """

    node: IntArray
    points: FloatArray
    normals: FloatArray
    row: IntArray
    facets: Mapping[tuple[int, int], IntArray]
    edges: IntArray
    fields: tuple[WebField, ...]
    zones: tuple[tuple[int, int, str], ...]
    toward: FloatArray
    flat: bool
    thinned: int


def web_view(verdict: Any, *, most_points: int = MOST_POINTS, most_fields: int = 24) -> WebView | None:
    """The outside and the fields of what a verdict judges; None where there is nothing to show in space.

    Parameters
    ----------
    verdict : Verdict
    most_points : int
        The outside of a mesh with more points is thinned out; points that stay keep their values.
    most_fields : int
        Fields times cases, those that are judged first.
    """
    found = [shown for shown, _ in zip(_fields(verdict), range(most_fields), strict=False)]
    if not found:
        return None
    case = found[0].case
    # Rows that are split between parts hold both kinds of fields.
    split = getattr(case, "points", None)
    node, cells = (split.node, split.cells) if split is not None else (found[0].node, found[0].cells)
    mesh = case.mesh
    skin = Skin(mesh, node, cells)
    outside = _outside(skin, case.model)
    zones = [
        (int(np.flatnonzero(node == zone.place.node)[0]), zone.number, zone.sentence)
        for zone in verdict.failure_zones()
        if zone.within is None and zone.place.node is not None and (node == zone.place.node).any()
    ][:_MOST_ZONES]
    fields = [_on_rows(shown, node) for shown in found]
    seen = [row for row, _, _ in zones] + [row for field in fields for row, _ in field.marks]
    n_outside = len(np.unique(outside.row))
    if n_outside > most_points:
        wanted = np.asarray(seen, np.int64)
        outside = _corners(outside, wanted)
        if len(np.unique(outside.row)) > most_points:
            outside = _thinned(outside, wanted, _weight(fields[0]), most_points)
    kept, row = np.unique(outside.row, return_inverse=True)
    back = np.full(len(node), -1, np.int64)
    back[kept] = np.arange(len(kept))
    body = Body(_triangles(outside), hides=bool(skin.sets))
    important = [r for r in dict.fromkeys(seen) if back[r] >= 0][:4]
    toward = look_at(Scene(bodies=(body,), flat=skin.flat), None, mesh.points[node[important]].reshape(-1, 3))
    return WebView(
        node=node[kept],
        points=outside.points,
        normals=outside.normals,
        row=row.reshape(-1),
        facets=outside.facets,
        edges=outside.edges,
        fields=tuple(_kept(field, kept, back) for field in fields),
        zones=tuple((int(back[r]), number, words) for r, number, words in zones if back[r] >= 0),
        toward=toward,
        flat=skin.flat,
        thinned=n_outside if len(kept) < n_outside else 0,
    )


# What to show


def _fields(verdict: Any) -> Iterator[Shown]:
    """Fields a reader may choose, those that are judged first, each in its governing case first."""
    result = verdict.result
    rows = [row for row in verdict.rows if colors_a_part(row.requirement.quantity)]
    rows.sort(key=lambda row: row.requirement.slack(row.value.value))
    names: dict[Any, str | None] = {}
    for row in rows:
        quantity = row.requirement.quantity
        # Of random responses the field alone is one standard deviation.
        name = quantity if getattr(quantity, "sigma", None) else field_name(quantity) or quantity
        names.setdefault(name, row.value.case)
    cases = cases_of(result)
    for case in cases.values():
        if holds_modes(case):
            if len(case):
                yield from _shapes(result, case, verdict)
            continue
        for name in _USUAL.get(getattr(result, "physics", ""), ("von_mises", "displacement")):
            if name in getattr(case, "field_names", ()):
                names.setdefault(name, None)
    order = [(name, governing) for name, governing in names.items() if governing in cases]
    order += [(name, case) for name in names for case in cases if (name, case) not in order]
    for name, one in order:
        if holds_modes(cases[one]) or is_shape(cases[one]):
            continue
        try:
            yield read(result, name, one, verdict)
        except DesignTwinError:
            continue  # not every field is one of every case


def _shapes(result: Any, case: Any, verdict: Any) -> Iterator[Shown]:
    """The lowest modes that deform the part."""
    first = standing_for(case)
    others = [mode for mode in case if not getattr(mode, "is_rigid", False) and mode is not first]
    for mode in [first, *others][:_MOST_MODES]:
        yield read(mode, "shape", None, None)


def _on_rows(shown: Shown, node: IntArray) -> WebField:
    """A field at the rows of the view."""
    case = shown.case
    own = len(shown.node) == len(node) and bool((shown.node == node).all())
    every = slice(None) if own else node
    values, judged = shown.values[every], shown.judged[every]
    singular = np.zeros(len(node), bool) if shown.singular is None else shown.singular[every]
    row_of = np.arange(len(node))
    if not own:  # any row of a node that several parts share
        row_of = np.full(case.mesh.n_points, -1, np.int64)
        row_of[node] = np.arange(len(node))
    moved = getattr(case, "displacement", None)
    displacement = None if moved is None or callable(moved) else np.asarray(moved, np.float64)
    shape = is_shape(case)
    factor = 0.0
    if displacement is not None:
        factor = deformation_scale(displacement, case.mesh.size, True, rounded=not shape)
        displacement = displacement[node] if factor else None
    when = f" at {shown.clock}" if shown.clock else ""
    said = ""
    if shown.outcome is not None:
        elsewhere = shown.outcome.value.case not in ("", case.name) and not shape
        said = f"{shown.outcome.requirement}: {shown.outcome.status}"
        said += f", judged in case {shown.outcome.value.case}" if elsewhere else ""
    return WebField(
        name=shown.title[:1].upper() + shown.title[1:],
        case=(str(getattr(case, "caption", "")) or case.name or "result") + when,
        said=said,
        symbol=units.symbol(shown.dimension),
        values=values,
        judged=judged,
        singular=singular,
        scale=scale_of(shown),
        inverse=shown.name == "safety_factor",
        displacement=displacement,
        factor=factor,
        swings=shape,
        marks=tuple((int(row_of[row]), words) for row, words, _ in marks(shown) if row_of[row] >= 0),
    )


def _kept(field: WebField, kept: IntArray, back: IntArray) -> WebField:
    """The same at fewer rows."""
    return replace(
        field,
        values=field.values[kept],
        judged=field.judged[kept],
        singular=field.singular[kept],
        displacement=None if field.displacement is None else field.displacement[kept],
        marks=tuple((int(back[row]), words) for row, words in field.marks if back[row] >= 0),
    )


# The outside


@dataclass(frozen=True, eq=False)
class _Outside:
    """Vertices, and facets and edges between them; as in `WebView`, `row` counts those of the skin."""

    points: FloatArray
    normals: FloatArray
    row: IntArray
    facets: dict[tuple[int, int], IntArray]
    edges: IntArray


SPLIT = {
    (3, 1): ((0, 1, 2),),
    (4, 1): ((0, 1, 2), (0, 2, 3)),
    (3, 2): ((0, 3, 5), (3, 1, 4), (4, 2, 5), (3, 4, 5)),
    (4, 2): ((0, 4, 7), (4, 1, 5), (5, 2, 6), (6, 3, 7), (4, 5, 6), (4, 6, 7)),
}
"""Triangles of facets by their corners and degree; the page's script has the same table."""


def _outside(skin: Skin, model: Any) -> _Outside:
    """Facets of the skin on vertices that are split where faces meet at an edge, and bars as cylinders."""
    xyz = skin.mesh.points[skin.node]
    rows: list[IntArray] = []
    normals: list[FloatArray] = []
    places: list[FloatArray] = []
    facets: dict[tuple[int, int], IntArray] = {}
    start = 0
    for facet_set, normal in zip(skin.sets, skin.smooth_normals(xyz), strict=True):
        element = ELEMENTS[facet_set.element]
        kind = (element.corners, element.degree)
        n = 2 * element.corners if element.degree > 1 else element.corners
        conn = facet_set.conn[:, :n]
        rows.append(conn.ravel())
        normals.append(normal[:, :n].reshape(-1, 3))
        places.append(xyz[conn.ravel()])
        own = start + np.arange(conn.size).reshape(conn.shape)
        facets[kind] = np.concatenate([facets[kind], own]) if kind in facets else own
        start += conn.size
    if len(skin.line_conn):
        area = np.abs(model.cell_scale()[skin.line_cells])
        size = skin.mesh.size
        radius = np.clip(np.sqrt(area / math.pi), 0.004 * size, 0.02 * size)
        bars, owner = tubes(xyz, skin.line_conn, radius, sides=_SIDES)
        rows.append(owner)
        normals.append(bars.normals)
        places.append(bars.points)
        own = start + bars.conn
        facets[3, 1] = np.concatenate([facets[3, 1], own]) if (3, 1) in facets else own
    row, normal, point = np.concatenate(rows), np.concatenate(normals), np.concatenate(places)
    # One vertex for all facets that meet smoothly at a row.
    fine = np.rint(127 * normal).astype(np.int64) + 128
    key = ((row * 256 + fine[:, 0]) * 256 + fine[:, 1]) * 256 + fine[:, 2]
    if len(skin.line_conn):  # a row is the middle of a ring of them
        key[len(key) - len(bars.points) :] = -1 - np.arange(len(bars.points))
    _, first, of = np.unique(key, return_index=True, return_inverse=True)
    of = of.reshape(-1)
    facets = {kind: of[conn] for kind, conn in facets.items()}
    edges = _edge_vertices(skin, model, row[first])
    return _renumbered(_Outside(point[first], normal[first], row[first], facets, edges))


def _edge_vertices(skin: Skin, model: Any, row: IntArray) -> IntArray:
    """The lines of the part's drawing between vertices, int64[k, 2]; two along an edge with a middle."""
    if not skin.sets:
        return np.empty((0, 2), np.int64)
    part = getattr(model, "part_of_cell", None)
    label = None if part is None else np.asarray(part)[skin.facets[:, 0]]
    chosen = skin.feature_edges(label)
    edges = skin.edges()
    ends, middle = edges.ends[chosen], edges.middle[chosen]
    straight = middle < 0
    pairs = np.concatenate(
        [
            ends[straight],
            np.column_stack([ends[~straight, 0], middle[~straight]]),
            np.column_stack([middle[~straight], ends[~straight, 1]]),
        ]
    )
    vertex = np.full(len(skin.node), -1, np.int64)
    vertex[row] = np.arange(len(row))
    return np.asarray(vertex[pairs])


def _renumbered(outside: _Outside) -> _Outside:
    """The same with vertices counted as facets come to them, which packs well, and no idle ones."""
    order = np.concatenate([conn.ravel() for conn in outside.facets.values()])
    used, first = np.unique(order, return_index=True)
    old = used[np.argsort(first)]
    new = np.full(len(outside.row), -1, np.int64)
    new[old] = np.arange(len(old))
    edges = new[outside.edges]
    return _Outside(
        outside.points[old],
        outside.normals[old],
        outside.row[old],
        {kind: new[conn] for kind, conn in outside.facets.items()},
        edges[(edges >= 0).all(axis=1)],
    )


def _corners(outside: _Outside, seen: IntArray) -> _Outside:
    """Facets by their corners alone, but those with a middle that must be seen; edges go along."""
    facets: dict[tuple[int, int], IntArray] = {}
    for (corners, degree), conn in outside.facets.items():
        whole = np.isin(outside.row[conn[:, corners:]], seen).any(axis=1)
        if whole.any():
            facets[corners, degree] = conn[whole]
        both = [facets[corners, 1]] if (corners, 1) in facets else []
        facets[corners, 1] = np.concatenate([*both, conn[~whole][:, :corners]])
    kept = np.zeros(int(outside.row.max()) + 1, bool)
    for conn in facets.values():
        kept[outside.row[conn]] = True
    edges = outside.edges
    middle = ~kept[outside.row[edges]]
    first, last = edges[middle[:, 1]], edges[middle[:, 0]]
    # Halves of an edge share its middle.
    joined = np.column_stack(
        [
            first[np.argsort(outside.row[first[:, 1]], kind="stable"), 0],
            last[np.argsort(outside.row[last[:, 0]], kind="stable"), 1],
        ]
    )
    edges = np.concatenate([edges[~middle.any(axis=1)], joined])
    vertex = np.full(len(kept), -1, np.int64)
    for conn in facets.values():
        vertex[outside.row[conn]] = conn
    edges = vertex[outside.row[edges]]
    return _renumbered(_Outside(outside.points, outside.normals, outside.row, facets, edges))


def _thinned(outside: _Outside, seen: IntArray, weight: FloatArray, most: int) -> _Outside:
    """Points of a grid cell that face the same way become one of them: the one that matters most.

    Vertex clustering: Rossignac & Borrel, Multi-resolution 3D approximations (1993).
    """
    tri = _triangles(outside)
    n = int(outside.row.max()) + 1
    corner = outside.points[tri.conn]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    facing, place = np.zeros((n, 3)), np.zeros((n, 3))
    np.add.at(facing, outside.row[tri.conn].ravel(), np.repeat(normal, 3, axis=0))
    place[outside.row] = outside.points
    rows = np.unique(outside.row)
    facing, place = facing[rows], place[rows]
    axis = np.abs(facing).argmax(axis=1)
    side = 2 * axis + (facing[np.arange(len(rows)), axis] > 0)  # keeps the two sides of a wall apart
    rank = np.argsort(np.argsort(np.nan_to_num(weight[rows], nan=-np.inf), kind="stable"), kind="stable")
    alone = np.flatnonzero(np.isin(rows, seen))
    area = 0.5 * float(np.linalg.norm(normal, axis=1).sum())
    size = math.sqrt(area / most)
    while True:
        cell = np.floor((place - place.min(axis=0)) / size).astype(np.int64)
        across = cell.max(axis=0) + 1
        key = ((cell[:, 0] * across[1] + cell[:, 1]) * across[2] + cell[:, 2]) * 6 + side
        key[alone] = -1 - alone  # what must be seen stands for itself
        _, label = np.unique(key, return_inverse=True)
        label = label.reshape(-1)
        if label.max() < most:
            break
        size *= 1.15
    best = np.full(label.max() + 1, -1, np.int64)
    order = np.argsort(rank, kind="stable")
    best[label[order]] = order  # the last of a cluster to be written ranks highest
    stands = np.arange(n)
    stands[rows] = rows[best[label]]
    # A vertex goes to the one of the new row that faces most as it did; corners that meet are gone.
    conn = _moved_vertices(outside, stands)[tri.conn]
    conn = conn[
        (outside.row[conn[:, 0]] != outside.row[conn[:, 1]])
        & (outside.row[conn[:, 1]] != outside.row[conn[:, 2]])
        & (outside.row[conn[:, 2]] != outside.row[conn[:, 0]])
    ]
    _, once = np.unique(np.sort(outside.row[conn], axis=1), axis=0, return_index=True)
    edges = _moved_vertices(outside, stands)[outside.edges]
    edges = np.unique(np.sort(edges[outside.row[edges[:, 0]] != outside.row[edges[:, 1]]], axis=1), axis=0)
    return _renumbered(
        _Outside(outside.points, outside.normals, outside.row, {(3, 1): conn[np.sort(once)]}, edges)
    )


def _moved_vertices(outside: _Outside, stands: IntArray) -> IntArray:
    """For each vertex the one of the row that stands for its own whose normal is closest, int64[v]."""
    order = np.argsort(outside.row, kind="stable")
    start = np.searchsorted(outside.row[order], np.arange(len(stands) + 1))
    target = stands[outside.row]
    count = start[target + 1] - start[target]
    best = order[start[target]]
    score = np.einsum("ij,ij->i", outside.normals, outside.normals[best])
    for k in range(1, int(count.max(initial=1))):
        live = np.flatnonzero(count > k)
        other = order[start[target[live]] + k]
        now = np.einsum("ij,ij->i", outside.normals[live], outside.normals[other])
        better = now > score[live]
        best[live[better]], score[live[better]] = other[better], now[better]
    return best


def _weight(field: WebField) -> FloatArray:
    """How much a point of the first field matters."""
    return -field.values if field.inverse else np.abs(field.values)


def _triangles(outside: _Outside) -> Triangles:
    """All facets cut into triangles."""
    conn = [facets[:, np.array(SPLIT[kind])].reshape(-1, 3) for kind, facets in outside.facets.items()]
    joined = np.concatenate(conn)
    return Triangles(outside.points, outside.normals, joined, np.arange(len(joined)))
