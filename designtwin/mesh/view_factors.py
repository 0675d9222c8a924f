"""View factors between facets of a mesh: what each sees of each other, stored once per geometry."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from designtwin import parallel
from designtwin.elements import ELEMENTS, gauss_legendre, triangle_rule
from designtwin.errors import MeshError
from designtwin.mesh.mesh import FacetBlock, Mesh
from designtwin.progress import track
from designtwin.typing import BoolArray, FloatArray, IntArray

Packed: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]

_CLUSTER = 8  # facets whose hindrances are looked up at once
_LEAF = 6  # pieces of a box that a ray tests one by one
_BULGE = 0.03  # rise over length of an edge from which a curved facet is cut into flat pieces
_WARP = 5e-3  # distance of a quadrilateral's corners from a plane over its size, as flat as it must be
_PER_RAY = 1e4  # rays per view factor: one ray stands for no more than 1e-4
_MOST_RAYS = 256
_BLOCKS = 32  # of a product; their sums are added in order
_RAYS_OUT = 1024  # of a facet, to find what it sees through openings
_KEPT_BYTES = 1.0e9

_STORE: OrderedDict[bytes, ViewFactors] = OrderedDict()
_OPEN: OrderedDict[bytes, FloatArray] = OrderedDict()


@dataclass(frozen=True, eq=False)
class ViewFactors:
    """Exchange areas A_i F_ij between facets, each pair computed once.

    Parameters
    ----------
    area : float64[n]
        Of the facets as they were seen, straight between their corners where they bulge little; m^2, or m in
        plane models, where all is per depth.
    packed : float32[n (n + 1) / 2]
        A_i F_ij by rows of the lower half, facets in the order of ``order``.
    order : int64[n]
        Facet of each row.
    row_sums : float64[n]
        Sum over j of F_ij as computed, 1 in a closed enclosure.
    reciprocity : float
        Sum of |A_i F_ij - A_j F_ji| over that of A_i F_ij, each computed alone, over a sample of pairs;
        afterwards each pair has one value.
    pairs : int
        How many pairs the sample has.
    """

    area: FloatArray
    packed: Packed
    order: IntArray
    row_sums: FloatArray
    reciprocity: float
    pairs: int

    def __len__(self) -> int:
        return len(self.area)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self.packed.nbytes)

    def apply(self, x: FloatArray) -> FloatArray:
        """Sum over j of A_i F_ij x_j, float64[n]; the same digits for any number of threads."""
        out = np.empty(len(self))
        out[self.order] = product(self.packed, x[self.order])
        return out

    def between(self, one: IntArray, other: IntArray) -> float:
        """Exchange area of two sets of facets (rows of the list asked for), m^2; over A it is F."""
        inside = np.zeros(len(self))
        inside[other] = 1.0
        return float(self.apply(inside)[one].sum())

    def factors(self) -> FloatArray:
        """All F_ij, float64[n, n]; for few facets."""
        n = len(self)
        full = np.zeros((n, n))
        full[np.tril_indices(n)] = self.packed
        full += np.tril(full, -1).T
        out = np.empty_like(full)
        out[np.ix_(self.order, self.order)] = full
        return np.asarray(out / self.area[:, None])


def product(packed: Packed | FloatArray, x: FloatArray) -> FloatArray:
    """G x with a symmetric matrix stored as its lower half by rows; float64[n]."""
    from designtwin.kernels import radiation

    n = len(x)
    bound = np.round(n * np.sqrt(np.arange(_BLOCKS + 1) / _BLOCKS)).astype(np.int64)
    part = np.empty((_BLOCKS, n))
    parallel.run(radiation.product, _BLOCKS, bound, packed, np.ascontiguousarray(x), part)
    out: FloatArray = part[0].copy()
    for one in part[1:]:
        out += one
    return out


def view_factors(mesh: Mesh, facets: IntArray, *, occlusion: bool = True) -> ViewFactors:
    """View factors between facets, with what stands in between; kept in memory for the next who asks.

    Parameters
    ----------
    mesh : Mesh
        Of solids, or plane (facets are edges, all is per depth).
    facets : int64[n, 2]
        Exterior facets; each sees what lies in front of it.
    occlusion : bool
        Whether the outside of the mesh stands in the way, these facets and all others. False saves time
        where nothing does.

    Returns
    -------
    ViewFactors
        2 n^2 bytes: 20,000 facets take 0.8 GB.

    Raises
    ------
    MeshError
        If there are no facets, or one has no area.

    Source: see ``kernels/radiation.py``.
    """
    own, others, key = _scene(mesh, facets, occlusion)
    if key in _STORE:
        _STORE.move_to_end(key)
        return _STORE[key]
    # Room is made before the new ones need it.
    held = sum(one.nbytes for one in _STORE.values()) + 2 * len(facets) ** 2
    while _STORE and held > _KEPT_BYTES:
        held -= _STORE.popitem(last=False)[1].nbytes
    _STORE[key] = (_in_space if mesh.dimension == 3 else _in_plane)(own, others, len(facets), occlusion)
    return _STORE[key]


def open_shares(mesh: Mesh, facets: IntArray, factors: ViewFactors, *, occlusion: bool = True) -> FloatArray:
    """Share of what each facet sees that is none of the facets, float64[n].

    In space by rays, independent of the view factors and exactly 0 where nothing is open; in the plane what
    is missing in the sum of a facet's view factors.
    """
    if mesh.dimension < 3:
        return np.maximum(1.0 - factors.row_sums, 0.0)
    from designtwin.kernels import radiation

    own, others, key = _scene(mesh, facets, occlusion)
    if key in _OPEN:
        return _OPEN[key]
    n = len(facets)
    own, first = _by_facet(own, np.arange(n))
    hot, _ = _shape(own)
    walls, name = _joined(own, others, np.ones(len(own.count) + len(others.count), bool))
    low, high = _extents(walls)
    size = float(np.linalg.norm(high.max(axis=0) - low.min(axis=0)))
    tree = _tree(low, high, _LEAF)
    out = np.empty(n)
    with track("openings") as progress:
        progress.step(f"{n:,} facets")
        parallel.run(
            radiation.open_shares, n, first, hot, own.corner, _walls(walls.taken(tree.order), size),
            name[tree.order], tree.box, tree.leaf, 2.0 * size, _RAYS_OUT, out, grain=4,
        )  # fmt: skip
    out.setflags(write=False)
    _OPEN[key] = out
    if len(_OPEN) > 20:
        _OPEN.popitem(last=False)
    return out


def _scene(mesh: Mesh, facets: IntArray, occlusion: bool) -> tuple[_Pieces, _Pieces, bytes]:
    """Flat pieces of the facets and of what else may stand in the way, and a key of that geometry."""
    facets = np.asarray(facets, np.int64).reshape(-1, 2)
    if not len(facets):
        raise MeshError("view factors need facets; the list is empty")
    own = _pieces(mesh, facets)
    others = own.taken(np.empty(0, np.int64))
    if occlusion:
        known = set(map(tuple, facets.tolist()))
        rest = np.array([f for f in mesh.exterior.tolist() if tuple(f) not in known], np.int64)
        others = _pieces(mesh, rest.reshape(-1, 2)) if len(rest) else others
    digest = hashlib.sha256(f"{mesh.dimension} {occlusion}".encode())
    for part in (own, others):
        for array in (part.corner, part.count, part.facet):
            digest.update(array.tobytes())
    return own, others, digest.digest()


# Flat pieces of facets


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Flat pieces: corners float64[k, 4, 3], how many of these count int64[k], and facet int64[k]."""

    corner: FloatArray
    count: IntArray
    facet: IntArray

    def taken(self, rows: IntArray | BoolArray) -> _Pieces:
        return _Pieces(self.corner[rows], self.count[rows], self.facet[rows])


def _pieces(mesh: Mesh, facets: IntArray) -> _Pieces:
    """Facets as flat pieces, those of a facet together and facets in order."""
    parts = []
    for block in mesh.facets(facets):
        for rows, corners in _cut(mesh, block):
            k, n = corners.shape[0] * corners.shape[1], corners.shape[2]
            padded = np.empty((*corners.shape[:2], 4, 3))
            padded[:, :, :n] = corners
            padded[:, :, n:] = corners[:, :, :1]
            parts.append((padded.reshape(k, 4, 3), np.full(k, n), np.repeat(rows, corners.shape[1])))
    corner, count, facet = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(facet, kind="stable")
    return _Pieces(np.ascontiguousarray(corner[order]), count[order], facet[order])


def _cut(mesh: Mesh, block: FacetBlock) -> list[tuple[IntArray, FloatArray]]:
    """Rows of facets and their pieces, float64[k, pieces, corners, 3], kind by kind."""
    element = ELEMENTS[block.element]
    x = mesh.points[block.conn]
    bulges = np.zeros(len(x), bool)
    for mid, (a, b) in enumerate(element.edges, start=element.corners):
        rise = np.linalg.norm(x[:, mid] - 0.5 * (x[:, a] + x[:, b]), axis=1)
        bulges |= rise > _BULGE * np.linalg.norm(x[:, b] - x[:, a], axis=1)
    out = []
    straight = np.flatnonzero(~bulges)
    if element.linear == "line":
        out.append((straight, x[straight][:, None, :2]))
        out.append(
            (np.flatnonzero(bulges), x[bulges][:, [[0, 2], [2, 1]]] if bulges.any() else x[:0, None, :2])
        )
    elif element.linear == "triangle":
        out.append((straight, x[straight][:, None, :3]))
        if bulges.any():
            four = [[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]]
            out.append((np.flatnonzero(bulges), x[bulges][:, four]))
    else:
        flat = ~bulges & _is_flat(x[:, :4])
        out.append((np.flatnonzero(flat), x[flat][:, None, :4]))
        warped = np.flatnonzero(~bulges & ~flat)
        out.append((warped, x[warped][:, [[0, 1, 2], [0, 2, 3]]]))
        if bulges.any():
            middle = np.einsum("n,fna->fa", element.shape(np.zeros((1, 2)))[0], x[bulges])
            nine = np.concatenate([x[bulges], middle[:, None]], axis=1)
            around = [0, 4, 1, 5, 2, 6, 3, 7, 0]
            eight = [[around[i], around[i + 1], 8] for i in range(8)]
            out.append((np.flatnonzero(bulges), nine[:, eight]))
    return [(block.rows[rows], corners) for rows, corners in out if len(rows)]


def _is_flat(x: FloatArray) -> BoolArray:
    """Whether quadrilaterals float64[k, 4, 3] are plane and convex."""
    one, other = x[:, 2] - x[:, 0], x[:, 3] - x[:, 1]
    normal = np.cross(one, other)
    size = np.sqrt(np.maximum(np.linalg.norm(normal, axis=1), 1e-300))
    off = np.abs(np.einsum("fa,fa->f", normal, x[:, 1] - x[:, 0])) / size**2
    turn = np.cross(np.roll(x, -1, axis=1) - x, np.roll(x, -2, axis=1) - np.roll(x, -1, axis=1))
    convex = (np.einsum("fna,fa->fn", turn, normal) > 0.0).all(axis=1)
    return np.asarray((off <= _WARP * size) & convex)


@dataclass(frozen=True, eq=False)
class _Tree:
    """A complete binary tree of boxes: items in order, boxes float64[2^d - 1, 6], first item of each leaf."""

    order: IntArray
    box: FloatArray
    leaf: IntArray


def _tree(low: FloatArray, high: FloatArray, leaf_size: int) -> _Tree:
    """Halve items (boxes float64[k, 3]) along their longest extent until leaves are small."""
    k = len(low)
    depth = max(0, int(np.ceil(np.log2(max(k, 1) / leaf_size))))
    order, center = np.arange(k), 0.5 * (low + high)
    edges = np.array([0, k])
    for _ in range(depth):
        span = np.diff(edges)
        part = np.repeat(np.arange(len(span)), span)
        x = center[order]
        axis = np.zeros(len(span), np.int64)
        some = np.flatnonzero(span)
        if len(some):
            starts = edges[:-1][some]
            extent = np.maximum.reduceat(x, starts) - np.minimum.reduceat(x, starts)
            axis[some] = np.argmax(extent, axis=1)
        order = order[np.lexsort([order, x[np.arange(k), axis[part]], part])]
        edges = np.append(np.column_stack([edges[:-1], edges[:-1] + span // 2]).ravel(), k)
    n_leaves = len(edges) - 1
    box = np.empty((2 * n_leaves - 1, 6))
    box[:, :3], box[:, 3:] = np.inf, -np.inf  # an empty leaf is met by nothing
    for number in range(n_leaves):
        inside = order[edges[number] : edges[number + 1]]
        if len(inside):
            box[n_leaves - 1 + number] = [*low[inside].min(axis=0), *high[inside].max(axis=0)]
    for node in range(n_leaves - 2, -1, -1):
        one, other = box[2 * node + 1], box[2 * node + 2]
        box[node] = [*np.minimum(one[:3], other[:3]), *np.maximum(one[3:], other[3:])]
    return _Tree(order, box, edges)


def _bounds(pieces: _Pieces, n_facets: int) -> tuple[FloatArray, FloatArray]:
    """Box of each facet, float64[n, 3] twice."""
    low, high = np.full((n_facets, 3), np.inf), np.full((n_facets, 3), -np.inf)
    np.minimum.at(low, pieces.facet, pieces.corner.min(axis=1))
    np.maximum.at(high, pieces.facet, pieces.corner.max(axis=1))
    return low, high


def _extents(pieces: _Pieces) -> tuple[FloatArray, FloatArray]:
    """Box of each piece, float64[k, 3] twice; corners beyond those that count repeat the first."""
    return pieces.corner.min(axis=1), pieces.corner.max(axis=1)


def _by_facet(pieces: _Pieces, order: IntArray) -> tuple[_Pieces, IntArray]:
    """Pieces with facets in a new order, and the first piece of each."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    sorted_ = pieces.taken(np.argsort(place[pieces.facet], kind="stable"))
    first = np.append(0, np.cumsum(np.bincount(place[sorted_.facet], minlength=len(order))))
    return sorted_, first.astype(np.int64)


def _joined(own: _Pieces, others: _Pieces, hides: BoolArray) -> tuple[_Pieces, IntArray]:
    """Pieces that can hide something, and which of our own each is (-1: another)."""
    both = _Pieces(
        np.concatenate([own.corner, others.corner]), np.concatenate([own.count, others.count]),
        np.concatenate([own.facet, others.facet]),
    )  # fmt: skip
    name = np.concatenate([np.arange(len(own.count)), np.full(len(others.count), -1)])
    return both.taken(hides), name[hides]


# In space


def _shape(pieces: _Pieces) -> tuple[FloatArray, FloatArray]:
    """What pairs of pieces are computed from: rows of ``hot`` and integration points, for kernels."""
    x, four = pieces.corner, pieces.count == 4
    one = 0.5 * np.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0])
    two = 0.5 * np.cross(x[:, 2] - x[:, 0], x[:, 3] - x[:, 0]) * four[:, None]
    vector = one + two
    area = np.linalg.norm(vector, axis=1)
    bad = np.flatnonzero(area <= 0.0)
    if len(bad):
        raise MeshError(
            f"{len(bad)} facets have no area, the first at {np.round(x[bad[0]].mean(axis=0), 6).tolist()} m; "
            "view factors need facets that are some"
        )
    share = np.linalg.norm(one, axis=1) / area
    center = (share[:, None] * x[:, :3].sum(axis=1) + (1 - share)[:, None] * x[:, [0, 2, 3]].sum(axis=1)) / 3
    corners = np.arange(4) < pieces.count[:, None]
    radius = (np.linalg.norm(x - center[:, None], axis=2) * corners).max(axis=1)
    hot = np.column_stack([center, vector / area[:, None], area, radius, np.where(four, share, 1.0)])
    rule = np.zeros((len(x), 4, 4))
    at, weight = triangle_rule(2)
    shape = np.column_stack([1 - at.sum(axis=1), at])
    rule[~four, :3, :3] = np.einsum("qn,fna->fqa", shape, x[~four, :3])
    rule[~four, :3, 3] = 2.0 * area[~four, None] * weight
    s, w = gauss_legendre(2)
    quad = ELEMENTS["quad"]
    natural = np.array([(a, b) for a in s for b in s])
    gradient = np.einsum("qnd,fna->fqda", quad.gradient(natural), x[four])
    rule[four, :, :3] = np.einsum("qn,fna->fqa", quad.shape(natural), x[four])
    rule[four, :, 3] = np.linalg.norm(np.cross(gradient[:, :, 0], gradient[:, :, 1]), axis=2) * w[0] * w[0]
    return np.ascontiguousarray(hot), rule


def _walls(pieces: _Pieces, size: float) -> FloatArray:
    """Planes of pieces and of their sides, balls around them, float64[k, 25]; see ``exchange_in_space``."""
    x, four = pieces.corner, pieces.count == 4
    out = np.empty((len(x), 25))
    vector = np.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]) + np.cross(x[:, 2] - x[:, 0], x[:, 3] - x[:, 0])
    normal = vector / np.maximum(np.linalg.norm(vector, axis=1), 1e-300)[:, None]
    middle = np.where(four[:, None], x.mean(axis=1), x[:, :3].mean(axis=1))
    out[:, :3], out[:, 3] = normal, np.einsum("fa,fa->f", normal, middle)
    for side in range(4):
        a = x[:, side]
        b = np.where((four & (side < 3) | (side < 2))[:, None], x[:, (side + 1) % 4], x[:, 0])
        if side == 3:
            a = np.where(four[:, None], a, x[:, 2])
        inward = np.cross(normal, b - a)
        inward /= np.maximum(np.linalg.norm(inward, axis=1), 1e-300)[:, None]
        out[:, 4 + 4 * side : 7 + 4 * side] = inward
        # What passes between two neighbors meets both rather than none.
        out[:, 7 + 4 * side] = np.einsum("fa,fa->f", inward, a) - 1e-9 * size
    out[:, 20:23] = middle
    out[:, 23] = np.linalg.norm(x - out[:, None, 20:23], axis=2).max(axis=1)
    # A neighbor of a warped piece lies behind its plane by as much as its own corners do.
    warp = np.abs(np.einsum("fna,fa->fn", x, normal) - out[:, 3:4]).max(axis=1)
    out[:, 24] = 1e-8 * size + 3.0 * warp
    return out


def _in_space(own: _Pieces, others: _Pieces, n: int, occlusion: bool) -> ViewFactors:
    from designtwin.kernels import radiation

    low, high = _bounds(own, n)
    clusters = _tree(low, high, _CLUSTER)
    own, first = _by_facet(own, clusters.order)
    cluster = clusters.leaf
    box = np.ascontiguousarray(clusters.box[len(clusters.box) // 2 :])
    hot, rule = _shape(own)
    size = float(np.linalg.norm(high.max(axis=0) - low.min(axis=0)))
    s, w = gauss_legendre(10)
    gauss = np.column_stack([0.5 + 0.5 * s, 0.5 * w])
    n_walls = len(own.count) + len(others.count)
    hides = np.zeros(n_walls, bool)
    if occlusion:
        all_, _ = _joined(own, others, np.ones(n_walls, bool))
        planes = _walls(all_, size)
        parallel.run(radiation.may_hide, n_walls, planes, own.corner, own.count, hides, grain=64)
    walls, name = _joined(own, others, hides)
    least, most = _extents(walls)
    tree = _tree(least, most, _LEAF)
    walls, name = walls.taken(tree.order), name[tree.order]
    wall_box = np.column_stack([least, most])[tree.order]
    scene = (
        cluster, box, first, hot, own.corner, own.count, rule, gauss, _walls(walls, size), wall_box, name,
        tree.box, tree.leaf, _PER_RAY, _MOST_RAYS,
    )  # fmt: skip
    packed = np.empty(n * (n + 1) // 2, np.float32)
    n_clusters = len(cluster) - 1
    total = n_clusters * (n_clusters + 1) // 2
    pieces = 20 if n > 2000 else 1
    with track("view factors", total=pieces) as progress:
        for part in range(pieces):
            progress.step(f"{n:,} facets, {int(hides.sum()):,} pieces in between")
            begin, end = total * part // pieces, total * (part + 1) // pieces
            parallel.run(_shifted(radiation.exchange_in_space, begin), end - begin, *scene, packed)
    pairs = _sampled(n_clusters, 400)
    difference, amount = np.empty(len(pairs)), np.empty(len(pairs))
    parallel.run(radiation.asymmetry_in_space, len(pairs), pairs, *scene, difference, amount)
    counts = np.diff(cluster)
    sampled = int((counts[pairs[:, 0]] * counts[pairs[:, 1]]).sum())
    area = np.add.reduceat(hot[:, 6], first[:-1])
    return _made(packed, clusters.order, area, difference, amount, sampled)


def _shifted(kernel: Any, by: int) -> Any:
    def run(start: int, stop: int, *arguments: Any) -> None:
        kernel(start + by, stop + by, *arguments)

    return run


def _sampled(n: int, most: int) -> IntArray:
    """Pairs (a, b), b <= a, int64[k, 2]: all where there are few, else evenly many of all and neighbors."""
    if n * (n + 1) // 2 <= most:
        return np.ascontiguousarray(np.column_stack(np.tril_indices(n)).astype(np.int64))
    one, other = np.random.default_rng(0).integers(0, n, (2, most))
    near = np.arange(0, n, max(1, n // (most // 4)))
    a = np.concatenate([np.maximum(one, other), near])
    b = np.concatenate([np.minimum(one, other), np.maximum(near - 1, 0)])
    return np.ascontiguousarray(np.column_stack([a, b]).astype(np.int64))


def _made(
    packed: Packed, order: IntArray, area: FloatArray, difference: FloatArray, amount: FloatArray, pairs: int
) -> ViewFactors:
    sums = product(packed, np.ones(len(order))) / area
    by_facet, row_sums = np.empty(len(order)), np.empty(len(order))
    by_facet[order], row_sums[order] = area, sums
    total = float(amount.sum())
    return ViewFactors(
        by_facet, packed, order, row_sums, float(difference.sum()) / total if total else 0.0, pairs
    )


# In the plane


def _in_plane(own: _Pieces, others: _Pieces, n: int, occlusion: bool) -> ViewFactors:
    from designtwin.kernels import radiation

    order = np.arange(n)
    own, first = _by_facet(own, order)
    edge = np.ascontiguousarray(own.corner[:, :2, :2].reshape(-1, 4))
    along = edge[:, 2:] - edge[:, :2]
    length = np.linalg.norm(along, axis=1)
    if (length <= 0.0).any():
        raise MeshError("an edge has no length; view factors need edges that have some")
    hot = np.ascontiguousarray(np.column_stack([along[:, 1], -along[:, 0]]) / length[:, None])
    size = float(np.linalg.norm(np.ptp(edge.reshape(-1, 2), axis=0)))
    all_, name = _joined(own, others, np.full(len(own.count) + len(others.count), occlusion))
    lines = all_.corner[:, :2]
    tree = _tree(lines.min(axis=1), lines.max(axis=1), 4)
    line = np.ascontiguousarray(lines[:, :, :2].reshape(-1, 4)[tree.order])
    s, w = gauss_legendre(4)
    scene = (
        first, edge, hot, line, name[tree.order], tree.box, tree.leaf, 1e-9 * size,
        np.column_stack([0.5 + 0.5 * s, 0.5 * w]),
    )  # fmt: skip
    packed = np.empty(n * (n + 1) // 2, np.float32)
    with track("view factors") as progress:
        progress.step(f"{n:,} edges")
        parallel.run(radiation.exchange_in_plane, len(packed), *scene, packed, grain=16)
    pairs = _sampled(n, 4000)
    difference, amount = np.empty(len(pairs)), np.empty(len(pairs))
    parallel.run(radiation.asymmetry_in_plane, len(pairs), pairs, *scene, difference, amount)
    return _made(packed, order, np.add.reduceat(length, first[:-1]), difference, amount, len(pairs))
