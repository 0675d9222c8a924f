"""The design as a mesh that follows its surface: cells cut at the level, groups carried over.

Where the surface passes close to a node the node moves onto it, so that no sliver is cut off; what is left
of each cell then is one of a few well-shaped stencils.

Source: Labelle & Shewchuk, Isosurface stuffing: fast tetrahedral meshes with good dihedral angles, ACM
Transactions on Graphics 26 (2007), 57, on meshes of any kind; along the outside of the design space nodes
slide in flat faces and stay elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from designtwin.elements import ELEMENTS
from designtwin.errors import StudyError
from designtwin.mesh.mesh import FREE_SURFACE, Group, Mesh
from designtwin.model.checks import broken_cells
from designtwin.topology.fairing import PASSES, Fairing, outward
from designtwin.topology.simplices import Simplices, at_level
from designtwin.topology.surface import level_of_volume
from designtwin.typing import BoolArray, FloatArray, IntArray

NEAR = 0.2
"""Share of an edge: a surface nearer to a node takes the node along."""
LEAST = 0.1
"""Shape (1: regular, 0: flat) below which no move takes a cell, and to which flatter ones are mended."""
_FLAT = 0.9999
_ROUNDS = 5
"""In which the surface is smoothed and the inside makes way."""
_MENDED = 60
"""Steps in which cells that are too flat are mended, at most."""


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
    cut = stuffing.manifold(level).compact()
    name = "triangle" if body.dimension == 2 else "tetra"
    plain = Mesh(cut.points, {name: cut.conn}, source=mesh.source, length_unit=mesh.length_unit)
    facets = _old_facets(body, plain, cut.ends)
    fairing = _fairing(plain, cut, facets[0])
    points = _faired(cut, fairing, plain.nodes_of_facets(plain.exterior), passes)
    points = of_volume(cut.conn, points, fairing, wanted, lambda at: volume(at, cut))
    plain = plain.moved(points)
    groups = {
        key: _carried(group, mesh, plain, cut.cell, cut.ends, facets) for key, group in mesh.groups.items()
    }
    cut_facets = Group(facets=plain.exterior[_made(plain.exterior, facets[0])])
    groups[FREE_SURFACE] = cut_facets.merged(groups.get(FREE_SURFACE, Group()))
    made = plain.with_groups(groups)
    pieces = made.pieces
    notes = [] if pieces.max(initial=0) == 0 else [f"the design is in {pieces.max() + 1} pieces"]
    if cut.islands:
        word = "island that holds" if cut.islands == 1 else "islands that hold"
        notes.append(f"{cut.islands} {word} nothing left out; the rest has their volume")
    notes += told_of_shapes(points, cut.conn)
    measure = volume(points, cut)
    if quadratic:
        made, straightened = with_middles(made, mesh, cut.ends)
        if straightened:
            cells = "1 cell" if straightened == 1 else f"{straightened:,} cells"
            notes.append(f"{cells} at curved walls have straight edges there: bent ones would fold them")
    return Fitted(made, level, measure, tuple(notes))


def of_volume(
    conn: IntArray, points: FloatArray, fairing: Fairing, wanted: float, volume: Callable[[FloatArray], float]
) -> FloatArray:
    """Points moved along the normals of the designed surface until the volume is the wanted one.

    Raises
    ------
    StudyError
        If it does not come within 1e-9 of it.
    """
    for _ in range(20):
        now = volume(points)
        if abs(now / wanted - 1.0) <= 1e-13:
            break
        # Growth is of the plain measure; thickness and radius come with their mean.
        amount = (wanted - now) * float(measures(points, conn).sum()) / now
        points = _guarded(conn, points, fairing.grown(points, amount))
    off = volume(points) / wanted - 1.0
    if not abs(off) <= 1e-9:
        raise StudyError(
            f"the mesh of the design is {off:+.2%} off the volume designed, and its cells let its surface "
            "move no further; take finer cells"
        )
    return points


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


def _faired(cut: _Piece, fairing: Fairing, outer: IntArray, passes: int) -> FloatArray:
    """Points with the cut surface smoothed; those inside make way for it, a little at a time; then mended."""
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
        points = _guarded(cut.conn, points, np.where(inner[:, None], points, wanted))
        even = points.copy()
        even[inner] = (graph @ points)[inner] / degree[inner, None]
        points = _guarded(cut.conn, points, even)
    return mended(cut.conn, points, inner | fairing.free, fairing.normals)


def _guarded(conn: IntArray, before: FloatArray, after: FloatArray) -> FloatArray:
    """Points moved as far as makes no cell flatter than `LEAST`, and none that is any flatter."""
    least = np.minimum(LEAST, shapes(before, conn))
    share = np.ones(len(before))
    for attempt in range(14):
        points = before + share[:, None] * (after - before)
        bad = shapes(points, conn) < least
        if not bad.any():
            return np.asarray(points)
        # Halves at first; then those around bad cells stay, and more of them each time.
        share[np.unique(conn[bad])] *= 0.5 if attempt < 8 else 0.0
    return before


def mended(conn: IntArray, points: FloatArray, free: BoolArray, normals: FloatArray) -> FloatArray:
    """Points moved uphill in the shape of cells that are too flat, until none is or none can be helped."""
    for _ in range(_MENDED):
        found = shapes(points, conn)
        bad = conn[found < 1.5 * LEAST]
        if not len(bad) or found.min() >= LEAST:
            break
        step = np.zeros_like(points)
        slope = shape_slopes(points, bad)
        np.add.at(step, bad.ravel(), slope.reshape(-1, 3))
        step -= np.einsum("va,va->v", step, normals)[:, None] * normals
        step[~free] = 0.0
        size = np.linalg.norm(step, axis=1)
        # By a share of the edges around.
        reach = np.zeros(len(points))
        edge = np.sqrt(_mean_square(points, bad))
        np.maximum.at(reach, bad.ravel(), np.repeat(edge, bad.shape[1]))
        step *= np.divide(0.05 * reach, size, out=np.zeros_like(size), where=size > 0.0)[:, None]
        moved = _guarded(conn, points, points + step)
        if np.array_equal(moved, points):
            break
        points = moved
    return points


@dataclass(frozen=True, eq=False)
class _Piece:
    """Simplices of the design: points, nodes, the cell each is from, and the ends of each point's edge.

    `islands` of them, in separate pieces that hold no anchor, were left out.
    """

    points: FloatArray
    conn: IntArray
    cell: IntArray
    ends: IntArray
    islands: int = 0

    def compact(self) -> _Piece:
        """Without points that nothing uses."""
        used = np.unique(self.conn)
        number = np.full(len(self.points), -1, np.int64)
        number[used] = np.arange(len(used))
        return _Piece(self.points[used], number[self.conn], self.cell, self.ends[used], self.islands)


def measures(points: FloatArray, conn: IntArray) -> FloatArray:
    """Signed area of triangles in z = 0, volume of tetrahedra."""
    a = points[conn[:, 0]]
    sides = [points[conn[:, i]] - a for i in range(1, conn.shape[1])]
    if len(sides) == 2:
        return np.asarray(0.5 * (sides[0][:, 0] * sides[1][:, 1] - sides[0][:, 1] * sides[1][:, 0]))
    return np.asarray(np.einsum("ka,ka->k", np.cross(sides[0], sides[1]), sides[2]) / 6.0)


def _mean_square(points: FloatArray, conn: IntArray) -> FloatArray:
    """Mean of the squared edges of each simplex."""
    d = conn.shape[1]
    pairs = [(i, j) for i in range(d) for j in range(i)]
    squares = [((points[conn[:, i]] - points[conn[:, j]]) ** 2).sum(axis=1) for i, j in pairs]
    return np.asarray(sum(squares) / len(pairs))


def shapes(points: FloatArray, conn: IntArray) -> FloatArray:
    """How regular each simplex is: measure over that of a regular one with the same mean square edge.

    1 for a regular one, 0 for a flat one, below for one turned inside out.

    Source: Parthasarathy, Graichen & Hathaway, A comparison of tetrahedron quality measures, Finite Elements
    in Analysis and Design 15 (1994), 255-261.
    """
    d = conn.shape[1] - 1
    factor = 4.0 / np.sqrt(3.0) if d == 2 else 6.0 * np.sqrt(2.0)
    square = np.maximum(_mean_square(points, conn), 1e-300)
    return np.asarray(factor * measures(points, conn) / square ** (0.5 * d))


def told_of_shapes(points: FloatArray, conn: IntArray) -> list[str]:
    """A note where cells stayed flatter than `LEAST`."""
    found = shapes(points, conn)
    flat = int((found < LEAST).sum())
    if not flat:
        return []
    return [f"{flat} of {len(conn):,} cells are flat (shape {found.min():.2g}; 1 is regular, 0 flat)"]


def shape_slopes(points: FloatArray, conn: IntArray) -> FloatArray:
    """Derivative of `shapes` over the corners, float64[k, d + 1, 3], 1/m."""
    n = conn.shape[1]
    d = n - 1
    x = points[conn]
    square = np.maximum(_mean_square(points, conn), 1e-300)[:, None, None]
    factor = 4.0 / np.sqrt(3.0) if d == 2 else 6.0 * np.sqrt(2.0)
    measure = np.zeros_like(x)
    if d == 3:
        a, b, c = (x[:, i] - x[:, 0] for i in (1, 2, 3))
        measure[:, 1], measure[:, 2], measure[:, 3] = np.cross(b, c), np.cross(c, a), np.cross(a, b)
        measure /= 6.0
    else:
        a, b = x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]
        measure[:, 1, 0], measure[:, 1, 1] = 0.5 * b[:, 1], -0.5 * b[:, 0]
        measure[:, 2, 0], measure[:, 2, 1] = -0.5 * a[:, 1], 0.5 * a[:, 0]
    measure[:, 0] = -measure[:, 1:].sum(axis=1)
    edges = 2.0 * (n * x - x.sum(axis=1, keepdims=True)) / (0.5 * n * d)
    value = measures(points, conn)[:, None, None]
    return np.asarray(
        factor * (measure / square ** (0.5 * d) - 0.5 * d * value * edges / square ** (0.5 * d + 1))
    )


def _pinched(facets: IntArray, n: int) -> IntArray:
    """Nodes where an outside touches itself: two fans of facets there, or an edge of more than two."""
    count = np.zeros(n, np.int64)
    corner = np.arange(facets.size).reshape(facets.shape)
    if facets.shape[1] == 2:
        return np.flatnonzero(np.bincount(facets.ravel(), minlength=n) > 2)
    sides = np.concatenate([facets[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))])
    at = np.concatenate([corner[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))])
    # The same end first on both sides of an edge.
    turned = sides[:, 0] > sides[:, 1]
    sides[turned], at[turned] = sides[turned, ::-1], at[turned, ::-1]
    order = np.lexsort(sides.T)
    sides, at = sides[order], at[order]
    first = np.flatnonzero(np.append(True, (sides[1:] != sides[:-1]).any(axis=1)))
    many = np.diff(first, append=len(sides))
    touching = np.unique(sides[first[many > 2]])
    two = first[many == 2]
    a, b = at[two].ravel(), at[two + 1].ravel()
    graph = sparse.coo_array((np.ones(len(a), bool), (a, b)), shape=(facets.size,) * 2)
    fan = connected_components(graph, directed=False)[1]
    _, one = np.unique(fan, return_index=True)
    count = np.bincount(facets.ravel()[one], minlength=n)
    return np.union1d(touching, np.flatnonzero(count > 1))


class _Stuffing:
    """What cuts at every level have in common."""

    def __init__(self, body: Simplices, value: FloatArray, anchors: IntArray) -> None:
        self.body, self.value, self.anchors = body, value, anchors
        d = body.dimension
        pairs = np.concatenate([body.conn[:, [i, j]] for i in range(d + 1) for j in range(i)])
        self.edges = _unique_pairs(pairs)
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

    def manifold(self, level: float) -> _Piece:
        """The simplices above a level, whose outside touches itself nowhere.

        Nodes that took the surface where it now does are cut around instead: where none has, a cut never
        touches itself.
        """
        taken = np.ones(len(self.value), bool)
        while True:
            piece = self.at(level, taken)
            mesh = Mesh(piece.points, {"triangle" if self.body.dimension == 2 else "tetra": piece.conn})
            (block,) = mesh.facets(mesh.exterior)
            ends = piece.ends[_pinched(block.conn, len(piece.points))]
            back = ends[ends[:, 0] == ends[:, 1], 0]
            back = back[taken[back]]
            if not len(back):
                return piece
            taken[back] = False

    def at(self, level: float, taken: BoolArray | None = None) -> _Piece:
        """The simplices above a level; nodes that are not `taken` keep off it."""
        body = self.body
        state = np.sign(self.value - level).astype(np.int64)
        state[state == 0] = 1
        points, state = self._snapped(level, state, taken)
        conn, cell, ends = _stencils(body, state)
        # Cuts of edges whose ends do not take the surface are kept off them.
        plain = at_level(body.points, self.value, level, ends, margin=NEAR)
        turned = measures(plain, conn) < 0.0
        conn[turned, -2], conn[turned, -1] = conn[turned, -1].copy(), conn[turned, -2].copy()
        alone = ends[:, 0] == ends[:, 1]
        where = plain.copy()
        where[alone] = points[ends[alone, 0]]
        # Nodes whose move would spoil what is left of a cell stay where they were.
        least = np.minimum(LEAST, shapes(plain, conn))
        while True:
            bad = np.unique(conn[shapes(where, conn) < least])
            bad = bad[np.any(where[bad] != plain[bad], axis=1)]
            if not len(bad):
                break
            where[bad] = plain[bad]
        return self._held(_Piece(where, conn, cell, ends))

    def _snapped(self, level: float, state: IntArray, taken: BoolArray | None) -> tuple[FloatArray, IntArray]:
        """Nodes that take the surface: at the level, and moved onto it where they may."""
        a, b = self.edges.T
        crossed = np.flatnonzero(state[a] * state[b] < 0)
        a, b = a[crossed], b[crossed]
        share = (level - self.value[a]) / (self.value[b] - self.value[a])
        places = self.body.points[a] + share[:, None] * (self.body.points[b] - self.body.points[a])
        near_a, near_b = share < NEAR, share > 1.0 - NEAR
        if taken is not None:
            near_a, near_b = near_a & taken[a], near_b & taken[b]
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
        islands = len(np.unique(label[~keep]))
        return _Piece(piece.points, piece.conn[keep], piece.cell[keep], piece.ends, islands)


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


def with_middles(plain: Mesh, mesh: Mesh | None = None, ends: IntArray | None = None) -> tuple[Mesh, int]:
    """Nodes on the middle of edges: those of the design space where an edge is as it was, else straight.

    And the number of cells whose edges are straight because they would be folded else: what is cut off a cell
    at a curved wall may be flatter than the wall is bent.
    """
    ((name, conn),) = plain.cells.items()
    element = ELEMENTS[name + {"triangle": "6", "tetra": "10"}[name]]
    pairs = conn[:, np.array(element.edges)].reshape(-1, 2)
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    keys, number = np.unique(low << 32 | high, return_inverse=True)
    a, b = keys >> 32, keys & 0xFFFFFFFF
    straight = 0.5 * (plain.points[a] + plain.points[b])
    middle = straight.copy()
    old_pair, old_mid = (keys[:0], number[:0]) if mesh is None else _old_middles(mesh)
    if mesh is not None and ends is not None and len(old_pair):
        ea, eb = ends[a], ends[b]
        whole = (ea[:, 0] == ea[:, 1]) & (eb[:, 0] == eb[:, 1])
        key = np.minimum(ea[:, 0], eb[:, 0]) << 32 | np.maximum(ea[:, 0], eb[:, 0])
        at = np.minimum(np.searchsorted(old_pair, key), len(old_pair) - 1)
        still = (plain.points[a] == mesh.points[ea[:, 0]]).all(axis=1)
        still &= (plain.points[b] == mesh.points[eb[:, 0]]).all(axis=1)
        hit = whole & still & (old_pair[at] == key)
        middle[hit] = mesh.points[old_mid[at[hit]]]
    edges = number.reshape(len(conn), -1)
    wide = np.hstack([conn, plain.n_points + edges])
    folded = np.zeros(len(conn), bool)
    while True:
        points = np.concatenate([plain.points, middle])
        bad = np.concatenate(broken_cells(Mesh(points, {element.name: wide})))
        bent = np.unique(edges[bad])
        bent = bent[(middle[bent] != straight[bent]).any(axis=1)]
        if not len(bent):
            break
        folded[bad] = True
        middle[bent] = straight[bent]
    groups = {}
    for key, group in plain.groups.items():
        nodes = group.nodes
        if nodes is not None:
            flag = np.zeros(plain.n_points, bool)
            flag[nodes] = True
            nodes = np.concatenate([nodes, plain.n_points + np.flatnonzero(flag[a] & flag[b])])
        groups[key] = Group(nodes, group.facets, group.cells)
    made = Mesh(points, {element.name: wide}, groups, length_unit=plain.length_unit, source=plain.source)
    return made, int(folded.sum())


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
