"""Triangles and lines of a body, fine enough that curved cells look curved.

Every picture is made of two things: triangles with normals and line segments. They are computed here from
facets and shape functions, so the same geometry reaches the screen, the file and the fallback renderer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from designtwin.elements import ELEMENTS, facet_table
from designtwin.mesh import FREE_SURFACE, Mesh
from designtwin.typing import BoolArray, FloatArray, IntArray

SHARP = {1: float(np.cos(np.radians(30.0))), 2: float(np.cos(np.radians(20.0)))}
"""Facets that meet at a larger angle meet at an edge of the part, not in a curved face; by their degree."""
SMOOTH = {1: SHARP[1], 2: float(np.cos(np.radians(12.0)))}
"""Normals that differ less are averaged; those of quadratic facets are close, as these follow the face."""
_PLANE = float(np.cos(np.radians(0.3)))

MOST_TRIANGLES = 600_000


@dataclass(frozen=True, eq=False)
class Triangles:
    """Triangles with a normal at each point.

    Parameters
    ----------
    points : float64[n, 3]
        m. Facets do not share points, so that normals and values may jump between them.
    normals : float64[n, 3]
        Unit, outward.
    conn : int64[k, 3]
    facet : int64[k]
        The facet each triangle is part of, as a row of `Skin.facets`.
    """

    points: FloatArray
    normals: FloatArray
    conn: IntArray
    facet: IntArray

    @staticmethod
    def none() -> Triangles:
        return Triangles(
            np.empty((0, 3)), np.empty((0, 3)), np.empty((0, 3), np.int64), np.empty(0, np.int64)
        )

    def keeping(self, triangles: BoolArray) -> Triangles:
        """Those triangles alone; points stay."""
        return replace(self, conn=self.conn[triangles], facet=self.facet[triangles])


@dataclass(frozen=True, eq=False)
class Segments:
    """Line segments: points float64[n, 3], m, and conn int64[k, 2]."""

    points: FloatArray
    conn: IntArray

    @staticmethod
    def none() -> Segments:
        return Segments(np.empty((0, 3)), np.empty((0, 2), np.int64))


@dataclass(frozen=True, eq=False)
class FacetSet:
    """Facets of one type: conn int64[k, n] (rows of the point list), and their row in the skin."""

    element: str
    conn: IntArray
    rows: IntArray


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges between facets: rows of the two ends and of the middle (-1: straight), and their neighbors.

    Parameters
    ----------
    ends : int64[k, 2]
    middle : int64[k]
    facets : int64[k, 2]
        The facets on both sides; -1 where there is none.
    angle_cosine : float64[k]
        Between the facets' normals; -1 at a free edge.
    """

    ends: IntArray
    middle: IntArray
    facets: IntArray
    angle_cosine: FloatArray


class Skin:
    """The outside of a body as facets: the cells themselves where the body is plane or a shell.

    Parameters
    ----------
    mesh : Mesh
    node : int64[k], optional
        The mesh point of each row, where fields live on rows that are split between parts.
    cells : sequence of (element name, cell ids int64[n], rows int64[n, m]), optional
        Connectivity in those rows.
    facets : int64[k, 2], optional
        Only these facets (cell, local facet) of solid cells; all exterior ones by default.
    """

    def __init__(
        self,
        mesh: Mesh,
        node: IntArray | None = None,
        cells: Sequence[tuple[str, IntArray, IntArray]] | None = None,
        facets: IntArray | None = None,
    ) -> None:
        self.mesh = mesh
        self.node = np.arange(mesh.n_points) if node is None else np.asarray(node, np.int64)
        self.cells = tuple(mesh.blocks()) if cells is None else tuple(cells)
        self.flat = mesh.is_plane or (mesh.dimension == 1 and not mesh.points[:, 2].any())
        if mesh.dimension == 3 and any(ELEMENTS[name].dimension == 3 for name, _, _ in self.cells):
            self.facets = mesh.exterior if facets is None else np.asarray(facets, np.int64).reshape(-1, 2)
            self.sets = facet_sets(self.cells, self.facets)
        else:
            self.sets, self.facets = _cells_as_facets(self.cells)
        lines = [(ids, conn) for name, ids, conn in self.cells if ELEMENTS[name].dimension == 1]
        self.line_conn = (
            np.concatenate([conn[:, :2] for _, conn in lines]) if lines else np.empty((0, 2), np.int64)
        )
        self.line_cells = np.concatenate([ids for ids, _ in lines]) if lines else np.empty(0, np.int64)
        self._edges: Edges | None = None
        self.free = _in_free_surface(mesh, self.facets)

    @property
    def n_facets(self) -> int:
        return len(self.facets)

    @property
    def degree(self) -> int:
        """The lowest degree of its facets."""
        return min((ELEMENTS[s.element].degree for s in self.sets), default=1)

    @property
    def quadratic(self) -> bool:
        return any(ELEMENTS[s.element].degree > 1 for s in self.sets)

    def level(self, most: int = MOST_TRIANGLES) -> int:
        """Into how many parts each facet's side is cut; fewer on large meshes."""
        if not self.quadratic:
            return 1
        for level in (4, 3, 2):
            if self.n_facets * level * level <= most:
                return level
        return 1

    def point_rows(self) -> IntArray:
        """Rows of the points on the skin, sorted."""
        parts = [s.conn.ravel() for s in self.sets]
        if len(self.line_conn):
            parts.append(self.line_conn.ravel())
        return np.unique(np.concatenate(parts))

    def triangles(self, xyz: FloatArray, level: int) -> tuple[Triangles, Sampler]:
        """The skin on given coordinates float64[k, 3] of the rows, and what carries fields onto it."""
        points, normals, conn, facet = [], [], [], []
        carry: list[tuple[IntArray, FloatArray]] = []
        first = 0
        smooth = self.smooth_normals(xyz)
        for facets, nodal in zip(self.sets, smooth, strict=True):
            table, pattern = _pattern(facets.element, level)
            x = np.einsum("qn,fna->fqa", table, xyz[facets.conn])
            n = np.einsum("qn,fna->fqa", table, nodal)
            n /= np.maximum(np.linalg.norm(n, axis=2, keepdims=True), 1e-300)
            k, q = x.shape[:2]
            points.append(x.reshape(-1, 3))
            normals.append(n.reshape(-1, 3))
            shift = first + q * np.arange(k)
            conn.append((pattern[None, :, :] + shift[:, None, None]).reshape(-1, 3))
            facet.append(np.repeat(facets.rows, len(pattern)))
            carry.append((facets.conn, table))
            first += k * q
        if not points:
            return Triangles.none(), Sampler([])
        joined = Triangles(
            np.concatenate(points), np.concatenate(normals), np.concatenate(conn), np.concatenate(facet)
        )
        return joined, Sampler(carry)

    def smooth_normals(self, xyz: FloatArray) -> list[FloatArray]:
        """Normals [facets, nodes, 3] of each set, averaged over the facets that meet smoothly there.

        Which facets meet smoothly is a matter of the part as built, not of its deformed picture. Where a
        fillet runs into a plane, the plane stays plane and the fillet takes its normal.
        """
        own = [_nodal_normals(s, xyz) for s in self.sets]
        if not own:
            return []
        if self.flat:
            return [np.broadcast_to(np.array([0.0, 0.0, 1.0]), n.shape) for n in own]
        rest_own = [_nodal_normals(s, self.mesh.points[self.node]) for s in self.sets]
        normal = np.concatenate([n.reshape(-1, 3) for n in own])
        rest = np.concatenate([n.reshape(-1, 3) for n in rest_own])
        plane = np.concatenate([np.repeat(_is_plane(n), n.shape[1]) for n in rest_own]) & (self.degree > 1)
        weight = np.where(plane, 100.0, 1.0)
        node = np.concatenate([self.node[s.conn].ravel() for s in self.sets])
        free = np.concatenate([np.repeat(self.free[s.rows], s.conn.shape[1]) for s in self.sets])
        order = np.argsort(node, kind="stable")
        start = np.flatnonzero(np.r_[True, np.diff(node[order]) > 0])
        size = np.diff(np.r_[start, len(order)])
        total = np.zeros_like(normal)
        # Every entry against every other of the same node, one offset at a time.
        position = np.arange(len(order)) - np.repeat(start, size)
        size_of, start_of = np.repeat(size, size), np.repeat(start, size)
        for offset in range(int(size.max())):
            live = np.flatnonzero(size_of > offset)
            a = order[live]
            b = order[start_of[live] + (position[live] + offset) % size_of[live]]
            meets = np.einsum("ij,ij->i", rest[a], rest[b]) > SMOOTH[self.degree]
            meets |= free[a] & free[b]
            meets &= ~(plane[a] & ~plane[b])
            total[a[meets]] += weight[b[meets], None] * normal[b[meets]]
        total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300)
        out, first = [], 0
        for n in own:
            count = n.shape[0] * n.shape[1]
            out.append(total[first : first + count].reshape(n.shape))
            first += count
        return out

    def edges(self) -> Edges:
        """All edges of the skin, each once."""
        if self._edges is not None:
            return self._edges
        xyz = self.mesh.points[self.node]
        ends, middle, facet, normal = [], [], [], []
        for facets in self.sets:
            element = ELEMENTS[facets.element]
            nodal = _nodal_normals(facets, xyz)
            for i, (start, end) in enumerate(element.corner_edges):
                ends.append(facets.conn[:, [start, end]])
                mid = element.corners + i
                middle.append(
                    facets.conn[:, mid] if element.degree > 1 else np.full(len(facets.conn), -1, np.int64)
                )
                facet.append(facets.rows)
                normal.append(nodal[:, start] + nodal[:, end])
        if not ends:
            none = np.empty((0, 2), np.int64)
            self._edges = Edges(none, np.empty(0, np.int64), none, np.empty(0))
            return self._edges
        both_ends, mids, own = np.concatenate(ends), np.concatenate(middle), np.concatenate(facet)
        n = np.concatenate(normal)
        n /= np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-300)
        key = np.sort(self.node[both_ends], axis=1)
        order = np.lexsort(key.T)
        new = np.r_[True, (np.diff(key[order], axis=0) != 0).any(axis=1)]
        first = np.flatnonzero(new)
        count = np.diff(np.r_[first, len(order)])
        one = order[first]
        two = order[np.minimum(first + 1, len(order) - 1)]
        paired = count >= 2
        cosine = np.where(paired, np.einsum("ij,ij->i", n[one], n[two]), -1.0)
        cosine[count > 2] = -1.0  # three facets on one edge: always worth a line
        both = np.column_stack([own[one], np.where(paired, own[two], -1)])
        self._edges = Edges(both_ends[one], mids[one], both, cosine)
        return self._edges

    def edge_lines(self, edges: BoolArray, xyz: FloatArray, level: int) -> Segments:
        """The chosen edges as segments on given coordinates; curved where their middle is."""
        all_edges = self.edges()
        ends, middle = all_edges.ends[edges], all_edges.middle[edges]
        parts = []
        straight = middle < 0
        for pick, n in ((straight, 1), (~straight, max(level, 1))):
            if not pick.any():
                continue
            t = np.linspace(0.0, 1.0, n + 1)
            if n == 1:
                table = np.column_stack([1 - t, t, 0 * t])
            else:
                table = np.column_stack([(1 - t) * (1 - 2 * t), t * (2 * t - 1), 4 * t * (1 - t)])
            nodes = np.column_stack([ends[pick], np.where(middle[pick] < 0, ends[pick][:, 0], middle[pick])])
            parts.append(np.einsum("qn,ena->eqa", table, xyz[nodes]))
        return polylines(parts)

    def feature_edges(self, label: IntArray | None = None) -> BoolArray:
        """Which edges belong to the drawing of the part: sharp, free, or between facets labeled apart.

        Facets of a designed surface are pieces of one smooth face, whatever their angle.
        """
        edges = self.edges()
        chosen = edges.angle_cosine < SHARP[self.degree]
        chosen &= ~((edges.facets >= 0).all(axis=1) & self.free[edges.facets].all(axis=1))
        if label is not None:
            both = (edges.facets >= 0).all(axis=1)
            chosen = chosen | (both & (label[edges.facets[:, 0]] != label[edges.facets[:, 1]]))
        return np.asarray(chosen)


def _in_free_surface(mesh: Mesh, facets: IntArray) -> BoolArray:
    """Which facets (cell, local facet; -1 for the cell itself) belong to a designed surface."""
    group = mesh.groups.get(FREE_SURFACE)
    out = np.zeros(len(facets), bool)
    if group is not None and group.facets is not None:
        out |= np.isin(facets @ np.array([8, 1]), group.facets @ np.array([8, 1])) & (facets[:, 1] >= 0)
    if group is not None and group.cells is not None:
        out |= np.isin(facets[:, 0], group.cells) & (facets[:, 1] < 0)
    return out


def facet_sets(cells: Sequence[tuple[str, IntArray, IntArray]], facets: IntArray) -> list[FacetSet]:
    """The connectivity of facets int64[k, 2] (cell, local facet), one set for each type."""
    found: dict[str, list[tuple[IntArray, IntArray]]] = {}
    for name, ids, conn in cells:
        if ELEMENTS[name].dimension != 3 or not len(ids):
            continue
        row_of = np.full(int(max(ids.max(), facets[:, 0].max(initial=0))) + 1, -1, np.int64)
        row_of[ids] = np.arange(len(ids))
        row = row_of[facets[:, 0]]
        for kind, (local, nodes) in facet_table(name).items():
            for one, columns in zip(local, nodes, strict=True):
                hit = np.flatnonzero((row >= 0) & (facets[:, 1] == one))
                if len(hit):
                    found.setdefault(kind, []).append((hit, conn[row[hit]][:, columns]))
    return [
        FacetSet(kind, np.concatenate([c for _, c in parts]), np.concatenate([h for h, _ in parts]))
        for kind, parts in found.items()
    ]


def _cells_as_facets(
    cells: Sequence[tuple[str, IntArray, IntArray]],
) -> tuple[list[FacetSet], IntArray]:
    """Plane and shell cells as facets of their own; their local facet is -1."""
    sets, owners, first = [], [np.empty((0, 2), np.int64)], 0
    for name, ids, conn in cells:
        if ELEMENTS[name].dimension == 2:
            sets.append(FacetSet(name, conn, np.arange(first, first + len(conn))))
            owners.append(np.column_stack([ids, np.full(len(ids), -1)]))
            first += len(conn)
    return sets, np.concatenate(owners)


class Sampler:
    """Carries values at rows onto the points of triangles, with the shape functions of their facets."""

    def __init__(self, parts: Sequence[tuple[IntArray, FloatArray]]) -> None:
        self._parts = parts

    def __call__(self, values: FloatArray) -> FloatArray:
        """Values float64[k] at rows -> float64[n] at triangle points.

        A quadratic through nodal values can overshoot them; the picture shows no value the nodes lack.
        """
        out = []
        for conn, table in self._parts:
            nodal = values[conn]
            fine = nodal @ table.T
            np.clip(fine, nodal.min(axis=1)[:, None], nodal.max(axis=1)[:, None], out=fine)
            out.append(fine.ravel())
        return np.concatenate(out) if out else np.empty(0)


def polylines(parts: Sequence[FloatArray]) -> Segments:
    """Segments along polylines [lines, points, 3]."""
    points: list[FloatArray] = []
    conn: list[IntArray] = []
    first = 0
    for part in parts:
        k, q = part.shape[:2]
        points.append(part.reshape(-1, 3))
        at = first + q * np.arange(k)[:, None] + np.arange(q - 1)[None, :]
        conn.append(np.stack([at, at + 1], axis=-1).reshape(-1, 2))
        first += k * q
    if not points:
        return Segments.none()
    return Segments(np.concatenate(points), np.concatenate(conn))


def join_segments(*parts: Segments) -> Segments:
    """All segments in one."""
    points: list[FloatArray] = []
    conn: list[IntArray] = []
    first = 0
    for part in parts:
        points.append(part.points)
        conn.append(part.conn + first)
        first += len(part.points)
    return Segments(np.concatenate(points), np.concatenate(conn)) if points else Segments.none()


def join_triangles(*parts: Triangles) -> Triangles:
    """All triangles in one; facet numbers are those of each part."""
    first, conn = 0, []
    for part in parts:
        conn.append(part.conn + first)
        first += len(part.points)
    return Triangles(
        np.concatenate([p.points for p in parts]),
        np.concatenate([p.normals for p in parts]),
        np.concatenate(conn),
        np.concatenate([p.facet for p in parts]),
    )


def _is_plane(normals: FloatArray) -> BoolArray:
    """Which facets are plane, from their nodal normals [k, n, 3]."""
    mean = normals.mean(axis=1)
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-300)
    return np.asarray(np.einsum("fna,fa->fn", normals, mean).min(axis=1) > _PLANE)


def _nodal_normals(facets: FacetSet, xyz: FloatArray) -> FloatArray:
    """Unit normal of each facet at each of its own nodes, float64[k, n, 3]."""
    element = ELEMENTS[facets.element]
    gradient = element.gradient(np.array(element.nodes, np.float64))
    tangent = np.einsum("fna,qnd->fqad", xyz[facets.conn], gradient)
    normal = np.cross(tangent[..., 0], tangent[..., 1])
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-300))


@lru_cache
def _pattern(element: str, level: int) -> tuple[FloatArray, IntArray]:
    """Shape functions at the points of a cut facet [q, n] and its triangles [m, 3]."""
    t = np.linspace(0.0, 1.0, level + 1)
    if ELEMENTS[element].corners == 3:
        ij = [(i, j) for j in range(level + 1) for i in range(level + 1 - j)]
        number = {at: n for n, at in enumerate(ij)}
        xi = np.array([(t[i], t[j]) for i, j in ij])
        conn = [
            (number[i, j], number[i + 1, j], number[i, j + 1]) for j in range(level) for i in range(level - j)
        ] + [
            (number[i + 1, j], number[i + 1, j + 1], number[i, j + 1])
            for j in range(level)
            for i in range(level - j - 1)
        ]
    else:
        level = max(level, 2)  # a bilinear face is not two triangles
        t = np.linspace(-1.0, 1.0, level + 1)
        ij = [(i, j) for j in range(level + 1) for i in range(level + 1)]
        number = {at: n for n, at in enumerate(ij)}
        xi = np.array([(t[i], t[j]) for i, j in ij])
        conn = []
        for j in range(level):
            for i in range(level):
                a, b = number[i, j], number[i + 1, j]
                c, d = number[i + 1, j + 1], number[i, j + 1]
                conn += [(a, b, c), (a, c, d)]
    return ELEMENTS[element].shape(xi), np.array(conn, np.int64)


# Lines of equal value


def contour(points: FloatArray, conn: IntArray, values: FloatArray, level: float) -> Segments:
    """The line values = level on triangles.

    Parameters
    ----------
    points : float64[n, 3]
    conn : int64[k, 3]
    values : float64[n]
    """
    above = values[conn] > level
    crossed = np.flatnonzero(above.any(axis=1) & ~above.all(axis=1))
    tri, up = conn[crossed], above[crossed]
    # The corner alone on its side; the line cuts both edges that leave it.
    lonely_up = up.sum(axis=1) == 1
    alone = np.where(lonely_up, up.argmax(axis=1), (~up).argmax(axis=1))
    a = tri[np.arange(len(tri)), alone]
    cuts = []
    for step in (1, 2):
        b = tri[np.arange(len(tri)), (alone + step) % 3]
        share = (level - values[a]) / (values[b] - values[a])
        cuts.append(points[a] + share[:, None] * (points[b] - points[a]))
    line = np.stack(cuts, axis=1) if len(tri) else np.empty((0, 2, 3))
    return polylines([line]) if len(line) else Segments.none()


# Cuts


def cut_triangles(
    tri: Triangles, values: FloatArray | None, normal: FloatArray, origin: FloatArray
) -> tuple[Triangles, FloatArray | None]:
    """The part of the triangles behind a plane: (x - origin) . normal <= 0."""
    distance = (tri.points - origin) @ normal
    side = distance[tri.conn] > 0
    keep = tri.conn[~side.any(axis=1)]
    kept_facet = tri.facet[~side.any(axis=1)]
    crossed = np.flatnonzero(side.any(axis=1) & ~side.all(axis=1))
    fields = [tri.points, tri.normals] + ([values[:, None]] if values is not None else [])
    stacked = np.concatenate(fields, axis=1)
    extra, conn, facet = [stacked], [keep], [kept_facet]
    first = len(stacked)
    for lonely_front in (True, False):
        rows = crossed[(side[crossed].sum(axis=1) == 1) == lonely_front]
        if not len(rows):
            continue
        pick = side[rows] if lonely_front else ~side[rows]
        alone = pick.argmax(axis=1)
        i = np.arange(len(rows))
        a, b, c = (tri.conn[rows][i, (alone + k) % 3] for k in range(3))
        new = []
        for other in (b, c):
            share = distance[a] / (distance[a] - distance[other])
            new.append(stacked[a] + share[:, None] * (stacked[other] - stacked[a]))
        extra += new
        ab, ac = first + i, first + len(rows) + i
        first += 2 * len(rows)
        if lonely_front:
            conn += [np.column_stack([ab, b, c]), np.column_stack([ab, c, ac])]
            facet += [tri.facet[rows], tri.facet[rows]]
        else:
            conn.append(np.column_stack([a, ab, ac]))
            facet.append(tri.facet[rows])
    out = np.concatenate(extra)
    cut = Triangles(out[:, :3], out[:, 3:6], np.concatenate(conn), np.concatenate(facet))
    return cut, (out[:, 6] if values is not None else None)


# Tetrahedra that fill each cell, by local nodes: enough for a plane section of it.
_FILL: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "tetra": ((0, 1, 2, 3),),
    "tetra10": (
        (0, 4, 6, 7),
        (4, 1, 5, 8),
        (6, 5, 2, 9),
        (7, 8, 9, 3),
        (4, 5, 6, 8),
        (4, 6, 7, 8),
        (6, 5, 9, 8),
        (6, 9, 7, 8),
    ),
    "hexahedron": ((0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6)),
    "wedge": ((0, 1, 2, 5), (0, 1, 5, 4), (0, 4, 5, 3)),
    "pyramid": ((0, 1, 2, 4), (0, 2, 3, 4)),
}


def section(
    cells: Sequence[tuple[str, IntArray, IntArray]],
    xyz: FloatArray,
    values: FloatArray,
    normal: FloatArray,
    origin: FloatArray,
) -> tuple[Triangles, FloatArray]:
    """The cut face of solid cells with a plane, and the values on it."""
    distance = (xyz - origin) @ normal
    corners: list[FloatArray] = []
    for name, _, conn in cells:
        if ELEMENTS[name].dimension != 3:
            continue
        touched = conn[(distance[conn].min(axis=1) <= 0) & (distance[conn].max(axis=1) > 0)]
        pattern = _FILL.get(name) or _FILL[ELEMENTS[name].linear]
        corners += _tetra_sections(touched[:, pattern].reshape(-1, 4), xyz, values, distance)
    stacked = np.concatenate(corners) if corners else np.empty((0, 3, 4))
    points = stacked[..., :3].reshape(-1, 3)
    conn = np.arange(len(points)).reshape(-1, 3)
    tri = Triangles(
        points, np.broadcast_to(normal, points.shape).copy(), conn, np.full(len(conn), -1, np.int64)
    )
    return tri, stacked[..., 3].ravel()


def _tetra_sections(
    tet: IntArray, xyz: FloatArray, values: FloatArray, distance: FloatArray
) -> list[FloatArray]:
    """Triangles [k, 3, xyz and value] where the plane cuts tetrahedra."""
    front = distance[tet] > 0
    count = front.sum(axis=1)
    data = np.column_stack([xyz, values])

    def cut(a: IntArray, b: IntArray) -> FloatArray:
        share = distance[a] / (distance[a] - distance[b])
        return np.asarray(data[a] + share[:, None] * (data[b] - data[a]))

    out = []
    for lonely in (1, 3):
        rows = np.flatnonzero(count == lonely)
        alone = (front[rows] if lonely == 1 else ~front[rows]).argmax(axis=1)
        i = np.arange(len(rows))
        a, *others = (tet[rows][i, (alone + k) % 4] for k in range(4))
        out.append(np.stack([cut(a, b) for b in others], axis=1))
    rows = np.flatnonzero(count == 2)
    order = np.argsort(~front[rows], axis=1, kind="stable")
    a, b, c, d = np.take_along_axis(tet[rows], order, axis=1).T
    ac, ad, bc, bd = cut(a, c), cut(a, d), cut(b, c), cut(b, d)
    out.append(np.stack([ac, ad, bd], axis=1))
    out.append(np.stack([ac, bd, bc], axis=1))
    return [part for part in out if len(part)]


# Bodies of our own: tubes, arrows, balls


def tubes(
    points: FloatArray, conn: IntArray, radius: FloatArray, *, sides: int = 16
) -> tuple[Triangles, IntArray]:
    """Cylinders along segments, and the segment end (row of points) each point belongs to.

    Parameters
    ----------
    points : float64[n, 3]
    conn : int64[k, 2]
    radius : float64[k]
    """
    a, b = points[conn[:, 0]], points[conn[:, 1]]
    along = b - a
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-300)
    u, v = _across(along)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(angle)[None, :, None] * u[:, None] + np.sin(angle)[None, :, None] * v[:, None]
    shell = ring * radius[:, None, None]
    k = len(conn)
    grid = np.stack([a[:, None] + shell, b[:, None] + shell], axis=1).reshape(-1, 3)
    normal = np.stack([ring, ring], axis=1).reshape(-1, 3)
    i = np.arange(sides)
    j = (i + 1) % sides
    pattern = np.concatenate([np.column_stack([i, j, sides + j]), np.column_stack([i, sides + j, sides + i])])
    shift = 2 * sides * np.arange(k)
    faces = (pattern[None] + shift[:, None, None]).reshape(-1, 3)
    owner = np.repeat(conn, sides, axis=1).reshape(-1)
    return Triangles(grid, normal, faces, np.repeat(np.arange(k), len(pattern))), owner


def arrows(tips: FloatArray, vectors: FloatArray, *, thickness: float | FloatArray = 0.045) -> Triangles:
    """Arrows that end at `tips` and point along `vectors`, float64[k, 3], whose lengths they have.

    `thickness` is the radius of the shaft over the length, one for all or float64[k].
    """
    length = np.linalg.norm(vectors, axis=1)
    d = vectors / np.maximum(length, 1e-300)[:, None]
    head = 0.34
    u, v = _across(d)
    parts = []
    for base, top, r0, r1 in (
        (0.0, 1.0 - head, thickness, thickness),
        (1.0 - head, 1.0, 2.6 * thickness, 0.0),
    ):
        start = tips - vectors * (1 - base)
        end = tips - vectors * (1 - top)
        parts.append(_frustum(start, end, u, v, d, length * r0, length * r1))
        parts.append(_disc(start, u, v, -d, length * r0))
    return join_triangles(*parts)


def cones(tips: FloatArray, axes: FloatArray, height: float) -> Triangles:
    """Cones with their tip at `tips`, opening along the unit `axes`: the support symbol."""
    u, v = _across(axes)
    base = tips + axes * height
    k = np.full(len(tips), 0.42 * height)
    return join_triangles(_frustum(base, tips, u, v, -axes, k, 0 * k), _disc(base, u, v, axes, k))


def _frustum(
    a: FloatArray,
    b: FloatArray,
    u: FloatArray,
    v: FloatArray,
    d: FloatArray,
    ra: FloatArray,
    rb: FloatArray,
    sides: int = 24,
) -> Triangles:
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(angle)[None, :, None] * u[:, None] + np.sin(angle)[None, :, None] * v[:, None]
    height = np.maximum(np.linalg.norm(b - a, axis=1), 1e-300)
    normal = ring + ((ra - rb) / height)[:, None, None] * d[:, None, :]
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    points = np.stack([a[:, None] + ring * ra[:, None, None], b[:, None] + ring * rb[:, None, None]], axis=1)
    i = np.arange(sides)
    j = (i + 1) % sides
    pattern = np.concatenate([np.column_stack([i, j, sides + j]), np.column_stack([i, sides + j, sides + i])])
    conn = (pattern[None] + 2 * sides * np.arange(len(a))[:, None, None]).reshape(-1, 3)
    normals = np.stack([normal, normal], axis=1).reshape(-1, 3)
    return Triangles(points.reshape(-1, 3), normals, conn, np.repeat(np.arange(len(a)), len(pattern)))


def _disc(
    center: FloatArray, u: FloatArray, v: FloatArray, normal: FloatArray, r: FloatArray, sides: int = 24
) -> Triangles:
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(angle)[None, :, None] * u[:, None] + np.sin(angle)[None, :, None] * v[:, None]
    points = center[:, None] + ring * r[:, None, None]
    i = np.arange(1, sides - 1)
    pattern = np.column_stack([np.zeros_like(i), i, i + 1])
    conn = (pattern[None] + sides * np.arange(len(center))[:, None, None]).reshape(-1, 3)
    normals = np.repeat(normal, sides, axis=0)
    return Triangles(points.reshape(-1, 3), normals, conn, np.repeat(np.arange(len(center)), len(pattern)))


def _across(d: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors across each unit vector, right-handed with it."""
    helper = np.zeros_like(d)
    helper[np.arange(len(d)), np.abs(d).argmin(axis=1)] = 1.0
    u = np.cross(d, helper)
    u /= np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-300)
    return u, np.cross(d, u)


def balls(centers: FloatArray, radius: FloatArray) -> Triangles:
    """Spheres float64[k, 3] of radius float64[k]: octahedra cut twice and blown up."""
    points, conn = _unit_ball()
    k, q = len(centers), len(points)
    at = centers[:, None] + radius[:, None, None] * points[None]
    faces = (conn[None] + q * np.arange(k)[:, None, None]).reshape(-1, 3)
    return Triangles(
        at.reshape(-1, 3), np.tile(points, (k, 1)), faces, np.repeat(np.arange(k, dtype=np.int64), len(conn))
    )


@lru_cache
def _unit_ball() -> tuple[FloatArray, IntArray]:
    corner = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float64)
    faces = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])
    tri = corner[faces]
    for _ in range(2):
        a, b, c = tri[:, 0], tri[:, 1], tri[:, 2]
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        tri = np.concatenate(
            [np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
        )
    points = tri.reshape(-1, 3)
    return points / np.linalg.norm(points, axis=1, keepdims=True), np.arange(len(points)).reshape(-1, 3)
