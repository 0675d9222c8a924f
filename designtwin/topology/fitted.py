"""The design as a mesh that follows its surface: cells cut at the level, groups carried over.

Where the surface passes close to a node the node moves onto it, so that no sliver is cut off; what is left
of each cell then is one of a few well-shaped stencils.

Source: Labelle & Shewchuk, Isosurface stuffing: fast tetrahedral meshes with good dihedral angles, ACM
Transactions on Graphics 26 (2007), 57, on meshes of any kind; along the outside of the design space nodes
slide in flat faces and stay elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from designtwin.elements import ELEMENTS
from designtwin.errors import StudyError
from designtwin.mesh.mesh import FREE_SURFACE, Group, Mesh
from designtwin.topology.fairing import PASSES, Fairing, outward
from designtwin.topology.simplices import Simplices, at_level
from designtwin.topology.surface import level_of_volume
from designtwin.typing import BoolArray, FloatArray, IntArray

NEAR = 0.2
"""Share of an edge: a surface nearer to a node takes the node along."""
_LEAST = 0.15
"""A move that leaves a cell less than this share of its measure is not made."""
_FLAT = 0.9999
_ROUNDS = 5
"""In which the surface is smoothed and the inside makes way."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A mesh of what is above a level.

    Parameters
    ----------
    mesh : Mesh
        Triangles or tetrahedra; groups as before, and "designed surface": the facets that the cut made.
    level : float
    measure : float
        Volume (area) of its cells, m^3 (m^2).
    notes : tuple of str
    """

    mesh: Mesh
    level: float
    measure: float
    notes: tuple[str, ...]


def fitted(
    mesh: Mesh, body: Simplices, value: FloatArray, wanted: float, anchors: IntArray, scale: FloatArray,
    *, ring: bool = False, quadratic: bool = True, passes: int = PASSES,
) -> Fitted:  # fmt: skip
    """The mesh of a design, of the wanted volume.

    Parameters
    ----------
    mesh : Mesh
        The design space.
    body : Simplices
        Its cells cut up.
    value : float64[n_points]
        Density at the nodes.
    wanted : float
        Sum of scale times measure of the cells, m^3.
    anchors : int64[k]
        Nodes of which one at least must be on every piece that is kept.
    scale : float64[n_cells]
        Thickness of plane cells; 1.
    ring : bool
        Whether x is a radius, and every cell goes all around.
    quadratic : bool
        With nodes on the middle of edges.
    passes : int
        Of smoothing; cells of poor shape hold it up.

    Raises
    ------
    StudyError
        If no level has that volume.
    """
    stuffing = _Stuffing(body, value, anchors)
    top = float(value.max())

    def volume(points: FloatArray, cut: _Piece) -> float:
        each = scale[cut.cell] * measures(points, cut.conn)
        if ring:
            each = each * 2.0 * np.pi * points[cut.conn, 0].mean(axis=1)
        return float(each.sum())

    def at(level: float) -> float:
        cut = stuffing.at(level)
        return volume(cut.points, cut)

    # The volume moves in small steps as nodes come and go: a bisection ends beside one of them.
    level = level_of_volume(at, wanted, 1e-3 * top, top * (1.0 - 1e-9), share=1e-4)
    cut = stuffing.at(level).compact()
    name = "triangle" if body.dimension == 2 else "tetra"
    plain = Mesh(cut.points, {name: cut.conn}, source=mesh.source, length_unit=mesh.length_unit)
    facets = _old_facets(body, plain, cut.ends)
    fairing = _fairing(plain, cut, facets[0])
    size = measures(cut.points, cut.conn)
    points = _faired(cut, fairing, plain.nodes_of_facets(plain.exterior), passes, size)
    for _ in range(5):
        now = volume(points, cut)
        # Growth is of the plain measure; thickness and radius come with their mean.
        amount = (wanted - now) * float(measures(points, cut.conn).sum()) / now
        points = _guarded(cut.conn, points, fairing.grown(points, amount), size)
    plain = plain.moved(points)
    groups = {
        key: _carried(group, mesh, plain, cut.cell, cut.ends, facets) for key, group in mesh.groups.items()
    }
    cut_facets = Group(facets=plain.exterior[_made(plain.exterior, facets[0])])
    groups[FREE_SURFACE] = cut_facets.merged(groups.get(FREE_SURFACE, Group()))
    made = plain.with_groups(groups)
    pieces = made.pieces
    notes = [] if pieces.max(initial=0) == 0 else [f"the design is in {pieces.max() + 1} pieces"]
    measure = volume(points, cut)
    return Fitted(_with_middles(mesh, made, cut.ends) if quadratic else made, level, measure, tuple(notes))


def _fairing(plain: Mesh, cut: _Piece, old: IntArray) -> Fairing:
    """The outside of the new mesh; what lies in the outside of the old one keeps its shape."""
    exterior = plain.exterior
    (block,) = plain.facets(exterior)
    on_level = _made(exterior, old)[block.rows]
    return Fairing.of(cut.points, block.conn, on_level, np.ones(len(cut.points), bool))


def _made(exterior: IntArray, old: IntArray) -> BoolArray:
    """Which outer facets do not lie in the outside of the design space."""
    key = np.array([8, 1])
    return np.asarray(~np.isin(exterior @ key, old @ key))


def _faired(cut: _Piece, fairing: Fairing, outer: IntArray, passes: int, size: FloatArray) -> FloatArray:
    """Points with the cut surface smoothed; those inside make way for it, a little at a time."""
    wanted = fairing.smoothed(passes)
    n, d = len(cut.points), cut.conn.shape[1]
    pairs = _unique_pairs(np.concatenate([cut.conn[:, [i, j]] for i in range(d) for j in range(i)]))
    both = np.concatenate([pairs, pairs[:, ::-1]])
    graph = sparse.csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(n, n))
    degree = np.asarray(graph.sum(axis=1)).ravel()
    inner = np.ones(n, bool)
    inner[outer] = False
    points = cut.points
    for _ in range(_ROUNDS if passes else 0):
        points = _guarded(cut.conn, points, np.where(inner[:, None], points, wanted), size)
        even = points.copy()
        even[inner] = (graph @ points)[inner] / degree[inner, None]
        points = _guarded(cut.conn, points, even, size)
    return points


def _guarded(conn: IntArray, before: FloatArray, after: FloatArray, size: FloatArray) -> FloatArray:
    """Points moved as far as leaves every cell a share of its measure."""
    share = np.ones(len(before))
    for _ in range(12):
        points = before + share[:, None] * (after - before)
        bad = measures(points, conn) < np.minimum(_LEAST * size, measures(before, conn))
        if not bad.any():
            return points
        share[np.unique(conn[bad])] *= 0.5
    share[share < 1.0] = 0.0
    points = before + share[:, None] * (after - before)
    bad = measures(points, conn) < np.minimum(_LEAST * size, measures(before, conn))
    return before if bad.any() else np.asarray(points)


@dataclass(frozen=True, eq=False)
class _Piece:
    """Simplices of the design: points, nodes, the cell each is from, and the ends of each point's edge."""

    points: FloatArray
    conn: IntArray
    cell: IntArray
    ends: IntArray

    def compact(self) -> _Piece:
        """Without points that nothing uses."""
        used = np.unique(self.conn)
        number = np.full(len(self.points), -1, np.int64)
        number[used] = np.arange(len(used))
        return _Piece(self.points[used], number[self.conn], self.cell, self.ends[used])


def measures(points: FloatArray, conn: IntArray) -> FloatArray:
    """Signed area of triangles in z = 0, volume of tetrahedra."""
    a = points[conn[:, 0]]
    sides = [points[conn[:, i]] - a for i in range(1, conn.shape[1])]
    if len(sides) == 2:
        return np.asarray(0.5 * (sides[0][:, 0] * sides[1][:, 1] - sides[0][:, 1] * sides[1][:, 0]))
    return np.asarray(np.einsum("ka,ka->k", np.cross(sides[0], sides[1]), sides[2]) / 6.0)


class _Stuffing:
    """What cuts at every level have in common."""

    def __init__(self, body: Simplices, value: FloatArray, anchors: IntArray) -> None:
        self.body, self.value, self.anchors = body, value, anchors
        d = body.dimension
        pairs = np.concatenate([body.conn[:, [i, j]] for i in range(d + 1) for j in range(i)])
        self.edges = _unique_pairs(pairs)
        self.size = measures(body.points, body.conn)
        n = len(body.points)
        # How nodes may move: freely, in a plane of the outside (its normal), or not at all.
        self.normal = np.zeros((n, 3))
        self.stays = np.zeros(n, bool)
        vectors = outward(body.points, body.outside)
        np.add.at(self.normal, body.outside.ravel(), np.repeat(vectors, d, axis=0))
        length = np.linalg.norm(self.normal, axis=1)
        on = length > 0.0
        self.normal[on] /= length[on][:, None]
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-300)[:, None]
        bent = np.einsum("tia,ta->ti", self.normal[body.outside], unit) < _FLAT
        self.stays[np.unique(body.outside[bent])] = True

    def at(self, level: float) -> _Piece:
        """The simplices above a level."""
        body = self.body
        state = np.sign(self.value - level).astype(np.int64)
        state[state == 0] = 1
        points, state = self._snapped(level, state)
        conn, cell, ends = _stencils(body, state)
        where = at_level(body.points, self.value, level, ends)
        alone = ends[:, 0] == ends[:, 1]
        where[alone] = points[ends[alone, 0]]
        size = measures(where, conn)
        turned = size < 0.0
        conn[turned, -2], conn[turned, -1] = conn[turned, -1].copy(), conn[turned, -2].copy()
        return self._held(_Piece(where, conn, cell, ends))

    def _snapped(self, level: float, state: IntArray) -> tuple[FloatArray, IntArray]:
        """Nodes that take the surface: at the level, and moved onto it where they may."""
        a, b = self.edges.T
        crossed = np.flatnonzero(state[a] * state[b] < 0)
        a, b = a[crossed], b[crossed]
        share = (level - self.value[a]) / (self.value[b] - self.value[a])
        places = self.body.points[a] + share[:, None] * (self.body.points[b] - self.body.points[a])
        near_a, near_b = share < NEAR, share > 1.0 - NEAR
        node = np.concatenate([a[near_a], b[near_b]])
        to = np.concatenate([places[near_a], places[near_b]])
        off = np.concatenate([share[near_a], 1.0 - share[near_b]])
        # The nearest crossing of each node counts.
        order = np.lexsort((off, node))
        node, to = node[order], to[order]
        node, first = np.unique(node, return_index=True)
        move = to[first] - self.body.points[node]
        move[self.stays[node]] = 0.0
        along = self.normal[node]
        move -= np.einsum("va,va->v", move, along)[:, None] * along
        state = state.copy()
        state[node] = 0
        points = self.body.points.copy()
        points[node] += move
        for _ in range(8):
            bad = measures(points, self.body.conn) < _LEAST * self.size
            back = np.intersect1d(self.body.conn[bad], node)
            if not len(back):
                break
            points[back] = self.body.points[back]
        return points, state

    def _held(self, piece: _Piece) -> _Piece:
        """Without pieces that hold no anchor; cells hold together by facets."""
        d = piece.conn.shape[1]
        local = [[j for j in range(d) if j != i] for i in range(d)]
        facets = np.sort(piece.conn[:, local].reshape(-1, d - 1), axis=1)
        owner = np.repeat(np.arange(len(piece.conn)), d)
        order = np.lexsort(facets.T)
        same = (facets[order[1:]] == facets[order[:-1]]).all(axis=1)
        a, b = owner[order[:-1][same]], owner[order[1:][same]]
        n = len(piece.conn)
        label = connected_components(sparse.coo_array((np.ones(len(a), bool), (a, b)), shape=(n, n)), False)[
            1
        ]
        held = np.zeros(len(self.value), bool)
        held[self.anchors] = True
        alone = piece.ends[:, 0] == piece.ends[:, 1]
        marked = np.zeros(len(piece.points), bool)
        marked[alone] = held[piece.ends[alone, 0]]
        keep = np.isin(label, label[marked[piece.conn].any(axis=1)])
        if not keep.any() and n:
            keep = label == int(np.argmax(np.bincount(label)))
        return _Piece(piece.points, piece.conn[keep], piece.cell[keep], piece.ends)


def _unique_pairs(pairs: IntArray) -> IntArray:
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    keys = np.unique(low << 32 | high)
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)


def _stencils(body: Simplices, state: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """What of each simplex lies where the state is 1: nodes, cells, and the ends of each node's edge.

    Faces of four corners are cut from their inside corner of the lowest number, from both sides alike.
    """
    d = body.dimension
    flags = state[body.conn]
    kept = np.flatnonzero((flags > 0).any(axis=1))
    # Inside first, then on the level, then outside; by number within.
    order = np.lexsort((body.conn[kept], -flags[kept]), axis=1)
    corner = np.take_along_axis(body.conn[kept], order, axis=1)
    flags = np.take_along_axis(flags[kept], order, axis=1)
    plus, minus = (flags > 0).sum(axis=1), (flags < 0).sum(axis=1)
    parts, owners = [], []

    def add(rows: BoolArray, *simplices: tuple[tuple[int, int], ...]) -> None:
        c = corner[rows]
        for one in simplices:
            parts.append(np.stack([np.stack([c[:, i], c[:, j]], axis=1) for i, j in one], axis=1))
            owners.append(body.cell[kept[rows]])

    same = [(i, i) for i in range(d + 1)]
    add(minus == 0, tuple(same))
    for p in range(1, d + 1):
        for m in range(1, d + 2 - p):
            rows = (plus == p) & (minus == m)
            if not rows.any():
                continue
            zeros = same[p : d + 1 - m]
            if p == 1:
                add(rows, (same[0], *zeros, *((0, j) for j in range(d + 1 - m, d + 1))))
            elif p == 2 and m == 1:
                add(rows, (same[0], same[1], (1, d), *zeros), (same[0], (1, d), (0, d), *zeros))
            elif p == 2:
                add(
                    rows, (same[0], same[1], (1, 2), (1, 3)), (same[0], (0, 2), (0, 3), (1, 3)),
                    (same[0], (0, 2), (1, 3), (1, 2)),
                )  # fmt: skip
            else:
                add(
                    rows, (same[0], same[1], same[2], (2, 3)), (same[0], same[1], (2, 3), (1, 3)),
                    (same[0], (0, 3), (1, 3), (2, 3)),
                )  # fmt: skip
    if not parts:
        raise StudyError("nothing of the design lies above the level")
    total = np.concatenate(parts)
    n = len(body.points)
    keys, conn = np.unique(total.min(axis=-1) * n + total.max(axis=-1), return_inverse=True)
    ends = np.stack([keys // n, keys % n], axis=1)
    return conn.reshape(-1, d + 1), np.concatenate(owners), ends


def _old_facets(body: Simplices, plain: Mesh, ends: IntArray) -> tuple[IntArray, IntArray]:
    """Outer facets of the new mesh that lie in outer facets of the old: these and those, [k, 2] each."""
    d = body.dimension
    exterior = plain.exterior
    new, old = [np.empty((0, 2), np.int64)], [np.empty((0, 2), np.int64)]
    n = len(body.points)
    if n**d > 2**62:
        raise StudyError(f"a design space of {n:,} nodes is too large for a mesh that follows its surface")
    keys = np.sort(body.outside, axis=1) @ (n ** np.arange(d))
    order = np.argsort(keys)
    for block in plain.facets(exterior):
        touched = np.sort(ends[block.conn].reshape(len(block.conn), -1), axis=1)
        fresh = np.ones(touched.shape, bool)
        fresh[:, 1:] = touched[:, 1:] != touched[:, :-1]
        rows = np.flatnonzero(fresh.sum(axis=1) == d)
        key = touched[rows][fresh[rows]].reshape(-1, d) @ (n ** np.arange(d))
        at = np.minimum(np.searchsorted(keys[order], key), len(order) - 1)
        hit = keys[order[at]] == key
        new.append(exterior[block.rows[rows[hit]]])
        old.append(body.owner[order[at[hit]]])
    return np.concatenate(new), np.concatenate(old)


def _carried(
    group: Group, mesh: Mesh, plain: Mesh, cell: IntArray, ends: IntArray, facets: tuple[IntArray, IntArray]
) -> Group:
    """A group of the design space on the new mesh."""
    nodes = cells = faces = None
    if group.cells is not None:
        flag = np.zeros(mesh.n_cells, bool)
        flag[group.cells] = True
        cells = np.flatnonzero(flag[cell])
    if group.facets is not None:
        new, old = facets
        keys = group.facets[:, 0] * 8 + group.facets[:, 1]
        faces = new[np.isin(old[:, 0] * 8 + old[:, 1], keys)]
    if group.nodes is not None:
        flag = np.zeros(mesh.n_points, bool)
        flag[group.nodes] = True
        whole = ends[:, 0] == ends[:, 1]
        inside = flag[ends].all(axis=1)
        # A cut of an edge between two of the nodes lies in the group only where the outside runs along it.
        outer = np.zeros(len(ends), bool)
        outer[plain.nodes_of_facets(facets[0])] = True
        nodes = np.flatnonzero(inside & (whole | outer))
    return Group(nodes, faces, cells)


def _with_middles(mesh: Mesh, plain: Mesh, ends: IntArray) -> Mesh:
    """Nodes on the middle of edges: the old ones where an edge is as it was, straight elsewhere."""
    ((name, conn),) = plain.cells.items()
    element = ELEMENTS[name + {"triangle": "6", "tetra": "10"}[name]]
    pairs = conn[:, np.array(element.edges)].reshape(-1, 2)
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    keys, number = np.unique(low << 32 | high, return_inverse=True)
    a, b = keys >> 32, keys & 0xFFFFFFFF
    middle = 0.5 * (plain.points[a] + plain.points[b])
    old_pair, old_mid = _old_middles(mesh)
    if len(old_pair):
        ea, eb = ends[a], ends[b]
        whole = (ea[:, 0] == ea[:, 1]) & (eb[:, 0] == eb[:, 1])
        key = np.minimum(ea[:, 0], eb[:, 0]) << 32 | np.maximum(ea[:, 0], eb[:, 0])
        at = np.minimum(np.searchsorted(old_pair, key), len(old_pair) - 1)
        still = (plain.points[a] == mesh.points[ea[:, 0]]).all(axis=1)
        still &= (plain.points[b] == mesh.points[eb[:, 0]]).all(axis=1)
        hit = whole & still & (old_pair[at] == key)
        middle[hit] = mesh.points[old_mid[at[hit]]]
    points = np.concatenate([plain.points, middle])
    wide = np.hstack([conn, plain.n_points + number.reshape(len(conn), -1)])
    groups = {}
    for key, group in plain.groups.items():
        nodes = group.nodes
        if nodes is not None:
            flag = np.zeros(plain.n_points, bool)
            flag[nodes] = True
            nodes = np.concatenate([nodes, plain.n_points + np.flatnonzero(flag[a] & flag[b])])
        groups[key] = Group(nodes, group.facets, group.cells)
    return Mesh(points, {element.name: wide}, groups, length_unit=plain.length_unit, source=plain.source)


def _old_middles(mesh: Mesh) -> tuple[IntArray, IntArray]:
    """Edges of a quadratic mesh by a number of their ends, sorted, and the nodes on their middle."""
    keys, mids = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for name, conn in mesh.cells.items():
        element = ELEMENTS[name]
        if element.degree == 2 and element.dimension > 1:
            pairs = conn[:, np.array(element.edges)].reshape(-1, 2)
            keys.append(pairs.min(axis=1) << 32 | pairs.max(axis=1))
            mids.append(conn[:, element.corners :].ravel())
    key, first = np.unique(np.concatenate(keys), return_index=True)
    return key, np.concatenate(mids)[first]
