"""Faces against faces: where points land on facets, and how one face follows another that does not match.

The one projection of the house. Points go in, weights come out; bonded parts use it here and now, heat
across a joint and contact stand on the same two functions: ``project`` for points, ``couple`` for faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from designtwin import parallel
from designtwin.elements import ELEMENTS, Quadrature, gauss_legendre, triangle_rule
from designtwin.errors import MeshError
from designtwin.mesh.mesh import FacetBlock, Mesh
from designtwin.typing import BoolArray, FloatArray, IntArray, SparseMatrix

REACH = 0.1
"""Gap that is bridged where none is stated, as a share of the size of the larger facet."""
_FACING = -0.5
"""Cosine between the normals of two facets above which they do not look at each other."""
_COVERED = 0.5
"""Share of a node's surroundings that must find the other face for the node to follow it."""
_SHARE = 0.2
"""What mid-side functions give to corner functions, so that these have area; Popp et al. (2012)."""
_EXACT = 1e-9
"""Gap over facet size that is rounding."""


@dataclass(frozen=True, eq=False)
class Projection:
    """Where points land on faces.

    Parameters
    ----------
    row : int64[n]
        Row of the facet asked for, -1 where there are no facets.
    xi : float64[n, 2]
        Natural coordinates on it (edges use the first).
    nodes : int64[n, m]
        Its nodes; a shorter facet repeats its first node with weight 0.
    weights : float64[n, m]
        Shape functions at the foot; they add up to 1.
    foot, normal : float64[n, 3]
        The foot, m, and the outward unit normal there.
    gap : float64[n]
        Distance along the normal, m; negative inside the body.
    distance : float64[n]
        Distance to the foot, m; larger than |gap| beyond the rim.
    inside : bool[n]
        Whether the point lies over the faces and not beyond their rim.
    """

    row: IntArray
    xi: FloatArray
    nodes: IntArray
    weights: FloatArray
    foot: FloatArray
    normal: FloatArray
    gap: FloatArray
    distance: FloatArray
    inside: BoolArray

    def matrix(self, n_points: int) -> SparseMatrix:
        """The weights as CSR [n, n_points]: nodal values to values at the feet."""
        from scipy import sparse

        n, m = self.nodes.shape
        start = np.arange(0, n * m + 1, m)
        # A copy: scipy sorts in place.
        out = sparse.csr_array((self.weights.flatten(), self.nodes.flatten(), start), shape=(n, n_points))
        out.sum_duplicates()
        out.eliminate_zeros()
        return out


@dataclass(frozen=True, eq=False)
class Coupling:
    """Nodes of a secondary face that follow a primary face.

    Parameters
    ----------
    nodes : int64[k]
        Secondary nodes that follow, sorted.
    weights : CSR [k, n_points]
        Their values from those of others; rows add up to 1.
    arms : CSR [3 k, 3 n_points] or None
        What a gap adds to displacements: the rotation of the primary face times the gap, so that rigid
        motions of both stay rigid. None where there is no gap.
    loose : int64[m]
        Secondary nodes that found nothing opposite and stay free, sorted.
    covered : float
        Share of the secondary area that found the primary face.
    gap : float
        Largest gap bridged, m.
    nearest : float
        Smallest distance found between the two, m; inf where they do not look at each other.
    weight : float64[k]
        Area that the shape function of each secondary node stands for, m^2; 0 with method "node".
    beside : CSR [k, k]
        Which secondary nodes share a facet.
    """

    nodes: IntArray
    weights: SparseMatrix
    arms: SparseMatrix | None
    loose: IntArray
    covered: float
    gap: float
    nearest: float
    weight: FloatArray
    beside: SparseMatrix

    def displacement(self) -> SparseMatrix:
        """Rows for x, y, z of each secondary node, CSR [3 k, 3 n_points]."""
        from scipy import sparse

        out = sparse.kron(self.weights, sparse.eye_array(3), format="csr")
        return out if self.arms is None else (out + self.arms).tocsr()


@dataclass(frozen=True, eq=False)
class _Table:
    """A facet element as the kernels take it."""

    powers: IntArray
    coefficients: FloatArray
    kind: int
    corners: FloatArray


@lru_cache
def _table(name: str) -> _Table:
    element = ELEMENTS[name]
    d = element.dimension
    powers = np.zeros((element.n_nodes, 2), np.int64)
    powers[:, :d] = np.array(element.monomials, np.int64)[:, :d]
    corners = np.zeros((element.corners, 2))
    corners[:, :d] = np.array(element.nodes, np.float64)[: element.corners]
    kind = 0 if d == 1 else 1 if element.linear == "triangle" else 2
    return _Table(powers, np.ascontiguousarray(element._coefficients), kind, corners)


class Faces:
    """Facets of a mesh, ready to be searched.

    Parameters
    ----------
    mesh : Mesh
    facets : int64[k, 2]
        Cell and local facet.
    points : float64[n_points, 3], optional
        Where the nodes are, m; those of the mesh without.
    """

    def __init__(self, mesh: Mesh, facets: IntArray, points: FloatArray | None = None) -> None:
        self.mesh = mesh
        # Kernels compile once for arrays that may be written to.
        self.points = np.array(mesh.points if points is None else points, np.float64)
        self.facets = np.asarray(facets, np.int64).reshape(-1, 2)
        self.blocks: list[FacetBlock] = mesh.facets(self.facets)
        self.nodes: IntArray = mesh.nodes_of_facets(self.facets)

    @cached_property
    def sizes(self) -> list[FloatArray]:
        """Root of the area (length, for edges) of each facet, block by block, m."""
        out = []
        for block in self.blocks:
            _, measure, _ = self.measures(block)
            total = measure.sum(axis=1)
            out.append(total if ELEMENTS[block.element].dimension == 1 else np.sqrt(total))
        return out

    @property
    def area(self) -> float:
        """Area of all facets, m^2 (length, m, for edges)."""
        return float(sum(self.measures(block)[1].sum() for block in self.blocks))

    def measures(self, block: FacetBlock) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Natural points [q, d], areas [f, q] and radii [f, q] at the points of a rule on whole facets."""
        element = ELEMENTS[block.element]
        xi, weight = element.mass_quadrature
        shape, gradient, weight = element.tables((xi, weight))
        x = self.points[block.conn]
        tangents = np.einsum("fna,qnd->fqad", x, gradient)
        if gradient.shape[2] == 2:
            size = np.linalg.norm(np.cross(tangents[..., 0], tangents[..., 1]), axis=2)
        else:
            size = np.linalg.norm(tangents[..., 0], axis=2)
        return xi, size * weight, np.einsum("qn,fn->fq", shape, x[:, :, 0])

    @cached_property
    def _balls(self) -> list[tuple[FloatArray, FloatArray]]:
        """A ball around each facet: centers and radii, block by block."""
        out = []
        for block in self.blocks:
            x = self.points[block.conn]
            center = x.mean(axis=1)
            # A curved facet may bulge a little beyond its nodes.
            out.append((center, 1.1 * np.linalg.norm(x - center[:, None], axis=2).max(axis=1)))
        return out

    @cached_property
    def _trees(self) -> list[list[tuple[IntArray, float, object]]]:
        """Facets of like size in a tree of centers: rows, largest radius, tree; block by block."""
        from scipy.spatial import cKDTree

        out = []
        for center, radius in self._balls:
            step = np.floor(np.log2(np.maximum(radius, 1e-300))).astype(np.int64)
            trees = []
            for value in np.unique(step):
                rows = np.flatnonzero(step == value)
                trees.append((rows, float(radius[rows].max()), cKDTree(center[rows])))
            out.append(trees)
        return out

    def near(self, number: int, points: FloatArray, reach: FloatArray) -> tuple[IntArray, IntArray]:
        """Facets of a block whose balls come within reach of each point: first [n + 1], rows, ascending."""
        owner, found = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        center, radius = self._balls[number]
        for rows, largest, tree in self._trees[number]:
            lists = tree.query_ball_point(points, reach + largest, return_sorted=False)  # type: ignore[attr-defined]
            count = np.fromiter((len(one) for one in lists), np.int64, len(lists))
            if not count.sum():
                continue
            own = np.repeat(np.arange(len(points)), count)
            row = rows[np.concatenate([np.asarray(one, np.int64) for one in lists if one])]
            close = np.linalg.norm(points[own] - center[row], axis=1) <= reach[own] + radius[row]
            owner.append(own[close])
            found.append(row[close])
        own, row = np.concatenate(owner), np.concatenate(found)
        order = np.lexsort([row, own])
        first = np.searchsorted(own[order], np.arange(len(points) + 1))
        return first, row[order]


def project(
    mesh: Mesh, facets: IntArray, points: FloatArray, *, moved: FloatArray | None = None
) -> Projection:
    """The nearest place on faces for every point.

    Parameters
    ----------
    mesh : Mesh
    facets : int64[k, 2]
        Cell and local facet; triangles and quadrilaterals of any order, or edges of plane cells.
    points : float64[n, 3]
        m.
    moved : float64[n_points, 3], optional
        Where the mesh's nodes are now, m, such as points plus displacement.

    Returns
    -------
    Projection

    Raises
    ------
    MeshError
        If there are no facets.

    Source: Konyukhov & Schweizerhof, Comput. Mech. 41 (2008): closest point of curved surfaces.
    """
    from scipy.spatial import cKDTree

    from designtwin.kernels.projection import closest_facets

    faces = Faces(mesh, facets, moved)
    if not faces.blocks:
        raise MeshError("there are no facets to project on")
    points = np.array(np.atleast_2d(points), np.float64)
    n = len(points)
    row, kind = np.full(n, -1), np.zeros(n, np.int64)
    xi, distance = np.zeros((n, 2)), np.full(n, np.inf)
    bound = np.asarray(cKDTree(faces.points[faces.nodes]).query(points)[0])
    for number, block in enumerate(faces.blocks):
        table = _table(block.element)
        first, candidates = faces.near(number, points, bound * (1.0 + 1e-9))
        here = np.full(n, -1)
        parallel.run(
            closest_facets, n, points, first, candidates, faces.points, block.conn, table.powers,
            table.coefficients, table.kind, table.corners, here, xi, distance, grain=256,
        )  # fmt: skip
        taken = here >= 0
        row[taken], kind[taken] = here[taken], number
    width = max(block.conn.shape[1] for block in faces.blocks)
    nodes, weights = np.zeros((n, width), np.int64), np.zeros((n, width))
    foot, normal = np.zeros((n, 3)), np.zeros((n, 3))
    where = np.full(n, -1)
    for number, block in enumerate(faces.blocks):
        some = np.flatnonzero((kind == number) & (row >= 0))
        if not len(some):
            continue
        element = ELEMENTS[block.element]
        conn = block.conn[row[some]]
        at = xi[some, : element.dimension]
        shape = element.shape(at)
        nodes[some] = conn[:, :1]
        nodes[some, : conn.shape[1]], weights[some, : conn.shape[1]] = conn, shape
        foot[some] = np.einsum("pn,pna->pa", shape, faces.points[conn])
        normal[some] = _normals(element.gradient(at), faces.points[conn])
        where[some] = block.rows[row[some]]
    rest = points - foot
    distance = np.linalg.norm(rest, axis=1)
    gap = np.einsum("pa,pa->p", rest, normal)
    scale = np.concatenate(faces.sizes).max()
    # Over a face the way to the foot goes along the normal, but for kinks between facets.
    inside = (where >= 0) & (np.sqrt(np.maximum(distance**2 - gap**2, 0.0)) <= 0.1 * distance + 1e-9 * scale)
    return Projection(where, xi, nodes, weights, foot, normal, gap, distance, inside)


def _normals(gradient: FloatArray, x: FloatArray) -> FloatArray:
    """Outward unit normals [p, 3] from gradients [p, n, d] and nodes [p, n, 3]."""
    tangents = np.einsum("pna,pnd->pad", x, gradient)
    if gradient.shape[2] == 2:
        out = np.cross(tangents[..., 0], tangents[..., 1])
    else:
        out = np.stack([tangents[..., 1, 0], -tangents[..., 0, 0], np.zeros(len(tangents))], axis=1)
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1), 1e-300)[:, None])


# One face follows another


@dataclass(frozen=True, eq=False)
class _Common:
    """Integration points that a secondary and a primary block have in common, sorted by pair.

    pair_s, pair_p are rows within the blocks for each point, shape float64[q, n] the secondary functions.
    """

    secondary: int
    primary: int
    pair_s: IntArray
    pair_p: IntArray
    xi_s: FloatArray
    xi_p: FloatArray
    measure: FloatArray
    offset: FloatArray
    shape: FloatArray


def couple(
    mesh: Mesh,
    secondary: IntArray,
    primary: IntArray,
    *,
    tolerance: float | None = None,
    method: str = "mortar",
    ring: bool = False,
    moved: FloatArray | None = None,
) -> Coupling:
    """How the nodes of one face follow another that it touches; the meshes need not match.

    Parameters
    ----------
    secondary, primary : int64[k, 2]
        Facets, as cell and local facet.
    tolerance : float, optional
        Largest gap that is bridged, m; a tenth of the larger facet without.
    method : "mortar" or "node"
        Mortar: equal in the mean, weighted with dual functions over the common area: a linear displacement
        and a constant traction pass exactly through flat faces. Node: every secondary node sits on the
        facet below it; displacements pass, tractions only nearly.
    ring : bool
        Faces of an axisymmetric part.
    moved : float64[n_points, 3], optional
        Where the primary nodes are for this purpose (periodic faces), m.

    Returns
    -------
    Coupling
        Without nodes where the faces are nowhere within the tolerance.

    Sources: Wohlmuth, SIAM J. Numer. Anal. 38 (2000): dual multipliers; Popp, Wohlmuth, Gee & Wall, SIAM J.
    Sci. Comput. 34 (2012): quadratic faces; Cichosz & Bischoff, CMAME 200 (2011): faces partly covered.
    """
    if method == "node":
        return _by_nodes(mesh, secondary, primary, tolerance, moved, ring)
    a, b = Faces(mesh, secondary), Faces(mesh, primary, moved)
    common, nearest = [], np.inf
    for s in range(len(a.blocks)):
        for p in range(len(b.blocks)):
            one, least = _common(a, s, b, p, tolerance, ring)
            nearest = min(nearest, least)
            if len(one.measure):
                common.append(one)
    return _Mortar(mesh, a, b, common, ring, nearest).coupling()


def _by_nodes(
    mesh: Mesh,
    secondary: IntArray,
    primary: IntArray,
    tolerance: float | None,
    moved: FloatArray | None,
    ring: bool,
) -> Coupling:
    from scipy import sparse

    a = Faces(mesh, secondary)
    b = Faces(mesh, primary, moved)
    nodes = np.setdiff1d(a.nodes, b.nodes) if moved is None else a.nodes
    found = project(mesh, primary, mesh.points[nodes], moved=moved)
    size = max(float(np.concatenate(a.sizes).max()), float(np.concatenate(b.sizes).max()))
    limit = REACH * size if tolerance is None else tolerance
    near = found.inside & (found.distance <= max(limit, _EXACT * size))
    offset = mesh.points[nodes] - found.foot
    offset[np.linalg.norm(offset, axis=1) <= _EXACT * size] = 0.0
    weights = found.matrix(mesh.n_points)[near]
    arms = None
    if offset[near].any() and not ring:
        width = found.nodes.shape[1]
        blocks = np.zeros((len(nodes), width, 3, 3))
        facet_of = np.empty(len(b.facets), np.int64)
        block_of = np.empty(len(b.facets), np.int64)
        for number, block in enumerate(b.blocks):
            facet_of[block.rows], block_of[block.rows] = np.arange(len(block.rows)), number
        for number, block in enumerate(b.blocks):
            some = np.flatnonzero(block_of[found.row] == number)
            if not len(some):
                continue
            element = ELEMENTS[block.element]
            conn = block.conn[facet_of[found.row[some]]]
            turn = _turning(element.gradient(found.xi[some, : element.dimension]), b.points[conn])
            blocks[some, : conn.shape[1]] = _arm(turn, offset[some])
        arms = _block_matrix(found.nodes[near], blocks[near], mesh.n_points)
    return Coupling(
        nodes[near], sparse.csr_array(weights), arms, nodes[~near], float(near.mean()),
        float(found.distance[near].max(initial=0.0)), float(found.distance.min(initial=np.inf)),
        np.zeros(int(near.sum())), sparse.csr_array((int(near.sum()), int(near.sum()))),
    )  # fmt: skip


def _block_matrix(nodes: IntArray, blocks: FloatArray, n_points: int) -> SparseMatrix:
    """Blocks [k, m, 3, 3] at columns nodes [k, m] as CSR [3 k, 3 n_points]."""
    from scipy import sparse

    k, m = nodes.shape
    start = np.arange(0, k * m + 1, m)
    out = sparse.bsr_array((blocks.reshape(-1, 3, 3), nodes.ravel(), start), shape=(3 * k, 3 * n_points))
    out = out.tocsr()
    out.sum_duplicates()
    return out


def _turning(gradient: FloatArray, x: FloatArray) -> FloatArray:
    """Rotation of a facet per displacement of its nodes, float64[p, n, 3, 3].

    The tilt of the normal and half the curl in the plane: exact for rigid motions.
    """
    tangents = np.einsum("pna,pnd->pda", x, gradient)
    normal = _normals(gradient, x)
    gram = np.einsum("pda,pea->pde", tangents, tangents)
    slope = np.einsum("pnd,pde,pea->pna", gradient, np.linalg.inv(gram), tangents)
    across = np.cross(normal[:, None], slope)
    return np.asarray(
        -across[..., :, None] * normal[:, None, None, :]
        + 0.5 * normal[:, None, :, None] * across[..., None, :]
    )


def _arm(turn: FloatArray, offset: FloatArray) -> FloatArray:
    """Displacement at the end of an offset [p, 3] that turns with the facet, float64[p, n, 3, 3]."""
    return np.asarray(np.cross(turn, offset[:, None, :, None], axisa=2, axisb=2, axisc=2))


@lru_cache
def _rule(edges: bool, degree: int) -> Quadrature:
    if edges:
        x, w = gauss_legendre(degree // 2 + 1)
        return np.column_stack([x, np.zeros(len(x))]), w
    points, weights = triangle_rule(degree)
    return np.ascontiguousarray(points, np.float64), np.ascontiguousarray(weights, np.float64)


def _pairs(a: Faces, s: int, b: Faces, p: int, tolerance: float | None) -> tuple[IntArray, IntArray]:
    """Facets of two blocks whose balls meet, the secondary rows ascending."""
    center, radius = a._balls[s]
    own = REACH * a.sizes[s] if tolerance is None else np.full(len(center), tolerance)
    reach = radius + own
    if tolerance is None:
        reach = reach + REACH * float(b.sizes[p].max())
    first, rows = b.near(p, center, reach)
    return np.repeat(np.arange(len(center)), np.diff(first)), rows


def _common(a: Faces, s: int, b: Faces, p: int, tolerance: float | None, ring: bool) -> tuple[_Common, float]:
    """Common integration points of two blocks, and the smallest gap between facets that face each other."""
    from designtwin.kernels.projection import count_overlaps, overlaps

    block_s, block_p = a.blocks[s], b.blocks[p]
    element_s, element_p = ELEMENTS[block_s.element], ELEMENTS[block_p.element]
    pair_s, pair_p = _pairs(a, s, b, p, tolerance)
    pieces = np.zeros(len(pair_s), np.int64)
    parallel.run(
        count_overlaps, len(pair_s), a.points, block_s.conn, element_s.corners, b.points, block_p.conn,
        element_p.corners, pair_s, pair_p, pieces, grain=256,
    )  # fmt: skip
    keep = pieces > 0
    pair_s, pair_p, pieces = pair_s[keep], pair_p[keep], pieces[keep]
    rule, weight = _rule(element_s.dimension == 1, 6 if max(element_s.degree, element_p.degree) > 1 else 4)
    first = np.concatenate([[0], np.cumsum(pieces * len(weight))])
    m = int(first[-1])
    xi_s, xi_p, at, offset = np.zeros((m, 2)), np.zeros((m, 2)), np.zeros((m, 3)), np.zeros((m, 3))
    measure, facing = np.zeros(m), np.zeros(m)
    own, corner, other = _table(block_s.element), _table(element_s.linear), _table(block_p.element)
    parallel.run(
        overlaps, len(pair_s), a.points, block_s.conn, own.powers, own.coefficients, corner.powers,
        corner.coefficients, element_s.corners, b.points, block_p.conn, other.powers, other.coefficients,
        other.corners, other.kind, element_p.corners, pair_s, pair_p, first, rule, weight, int(ring),
        xi_s, xi_p, measure, at, offset, facing, grain=64,
    )  # fmt: skip
    row_s, row_p = np.repeat(pair_s, np.diff(first)), np.repeat(pair_p, np.diff(first))
    gap = np.linalg.norm(offset, axis=1)
    size = np.maximum(a.sizes[s][row_s], b.sizes[p][row_p])
    towards = facing <= _FACING
    nearest = float(gap[towards].min(initial=np.inf))
    keep = towards & (gap <= np.maximum(REACH * size if tolerance is None else tolerance, _EXACT * size))
    offset[gap <= _EXACT * size] = 0.0
    shape = element_s.shape(xi_s[keep][:, : element_s.dimension])
    one = _Common(
        s, p, row_s[keep], row_p[keep], xi_s[keep], xi_p[keep], measure[keep], offset[keep], shape
    )  # fmt: skip
    return one, nearest


# Two faces over their common part


@dataclass(frozen=True, eq=False)
class OverlapBlock:
    """Integration points that facets of one kind on either side have in common, sorted by pair.

    Parameters
    ----------
    nodes_a, nodes_b : int64[k, n], int64[k, m]
        Nodes of the two facets of each pair.
    cells_a, cells_b : int64[k]
        The cells behind them.
    pair : int64[q]
        The pair of each integration point, ascending.
    shape_a, shape_b : float64[q, n], float64[q, m]
        Shape functions of both facets there; each adds up to 1.
    measure : float64[q]
        Area (m^2) of side a that the point stands for, in plane meshes its length (m), times the radius (m^2)
        in axisymmetric ones.
    gap : float64[q]
        Distance between the two faces, m.
    """

    nodes_a: IntArray
    nodes_b: IntArray
    cells_a: IntArray
    cells_b: IntArray
    pair: IntArray
    shape_a: FloatArray
    shape_b: FloatArray
    measure: FloatArray
    gap: FloatArray


@dataclass(frozen=True, eq=False)
class Overlap:
    """What two faces have in common.

    Parameters
    ----------
    blocks : tuple of OverlapBlock
        Empty where the faces are nowhere within the tolerance.
    covered : float
        Share of side a that found side b.
    layers : float
        How many times over the most covered facet of side a is; above 1 where b lies behind b.
    gap : float
        Largest gap bridged, m.
    nearest : float
        Smallest gap found, m; inf where the faces do not look at each other within reach.
    """

    blocks: tuple[OverlapBlock, ...]
    covered: float
    layers: float
    gap: float
    nearest: float


def overlap(
    mesh: Mesh, a: IntArray, b: IntArray, *, tolerance: float | None = None, ring: bool = False
) -> Overlap:
    """The common part of two faces that look at each other, as integration points; meshes need not match.

    Parameters
    ----------
    a, b : int64[k, 2]
        Facets, as cell and local facet. Areas are those of a; on flat faces products of two shape functions
        are integrated exactly.
    tolerance : float, optional
        Largest gap that is bridged, m; a tenth of the larger facet without.
    ring : bool
        Faces of an axisymmetric part.

    Source: Puso & Laursen, CMAME 193 (2004): segments of common area.
    """
    first, second = Faces(mesh, a), Faces(mesh, b)
    blocks: list[OverlapBlock] = []
    gap = area = covered = layers = 0.0
    nearest = np.inf
    for s, block in enumerate(first.blocks):
        _, measure, radius = first.measures(block)
        full = (measure * radius if ring else measure).sum(axis=1)
        found = np.zeros(len(full))
        for p, other in enumerate(second.blocks):
            one, least = _common(first, s, second, p, tolerance, ring)
            nearest = min(nearest, least)
            if not len(one.measure):
                continue
            found += np.bincount(one.pair_s, one.measure, minlength=len(full))
            distance = np.linalg.norm(one.offset, axis=1)
            gap = max(gap, float(distance.max()))
            new = (np.diff(one.pair_s, prepend=-1) != 0) | (np.diff(one.pair_p, prepend=-1) != 0)
            rows_a, rows_b = one.pair_s[new], one.pair_p[new]
            element = ELEMENTS[other.element]
            part = OverlapBlock(
                block.conn[rows_a], other.conn[rows_b], block.cells[rows_a], other.cells[rows_b],
                np.cumsum(new) - 1, one.shape, element.shape(one.xi_p[:, : element.dimension]), one.measure,
                distance,
            )  # fmt: skip
            blocks.append(part)
        area += float(full.sum())
        covered += float(found.sum())
        layers = max(layers, float((found / np.maximum(full, 1e-300)).max(initial=0.0)))
    return Overlap(tuple(blocks), covered / area if area > 0.0 else 0.0, layers, gap, nearest)


class _Mortar:
    """Dual functions over the common area, and the rows that follow from them."""

    def __init__(
        self, mesh: Mesh, a: Faces, b: Faces, common: list[_Common], ring: bool, nearest: float
    ) -> None:
        self.mesh, self.a, self.b, self.common, self.ring, self.nearest = mesh, a, b, common, ring, nearest
        self.n = mesh.n_points

    def coupling(self) -> Coupling:
        from scipy import sparse

        tied, share = self._tied()
        nodes = np.flatnonzero(tied)
        if not len(nodes):
            empty = sparse.csr_array((0, self.n))
            none = sparse.csr_array((0, 0))
            return Coupling(nodes, empty, None, self.a.nodes, 0.0, 0.0, self.nearest, np.empty(0), none)
        number = np.full(self.n, -1)
        number[nodes] = np.arange(len(nodes))
        scalar: list[SparseMatrix] = []
        arms: list[SparseMatrix] = []
        diagonal = np.zeros(self.n)
        for s in range(len(self.a.blocks)):
            dual, functions, mass = self._dual(s, tied, diagonal)
            scalar.append(self._own(s, tied, dual @ mass, number))
            for one in self.common:
                if one.secondary == s:
                    for weights, arm in self._across(one, dual, functions, number):
                        scalar.append(weights)
                        if arm is not None:
                            arms.append(arm)
        scale = 1.0 / diagonal[nodes]
        weights = sparse.diags_array(scale) @ _added(scalar)
        corners, others = self._back(tied, number)
        weights = (corners @ weights + others).tocsr()
        weights.sum_duplicates()
        weights.data[np.abs(weights.data) < 1e-13] = 0.0
        weights.eliminate_zeros()
        arm = None
        if arms:
            three = sparse.eye_array(3)
            arm = _added(arms)
            arm = sparse.kron(corners, three) @ (sparse.kron(sparse.diags_array(scale), three) @ arm)
            arm = sparse.csr_array(arm)
        loose = np.setdiff1d(self.a.nodes, nodes)
        gap = max(float(np.linalg.norm(one.offset, axis=1).max(initial=0.0)) for one in self.common)
        return Coupling(
            nodes, weights, arm, loose, share, gap, self.nearest, self._weight()[nodes], self._beside(number)
        )  # fmt: skip

    def _weight(self) -> FloatArray:
        """Common area under each secondary node's shape function."""
        out = np.zeros(self.n)
        for one in self.common:
            block = self.a.blocks[one.secondary]
            _add(out, block.conn[one.pair_s], one.shape * one.measure[:, None])
        return out

    def _beside(self, number: IntArray) -> SparseMatrix:
        """Which tied nodes share a facet, CSR [k, k]."""
        from scipy import sparse

        k = int(number.max()) + 1
        total = sparse.csr_array((k, k))
        for block in self.a.blocks:
            own = number[block.conn]
            rows, columns = np.repeat(own, own.shape[1], axis=1).ravel(), np.tile(own, own.shape[1]).ravel()
            keep = (rows >= 0) & (columns >= 0) & (rows != columns)
            ones = np.ones(int(keep.sum()))
            total = total + sparse.coo_array((ones, (rows[keep], columns[keep])), shape=(k, k)).tocsr()
        return total.tocsr()

    def _tied(self) -> tuple[BoolArray, float]:
        """Nodes that follow: those whose surroundings are covered; and the covered share of the area."""
        found, full = np.zeros(self.n), np.zeros(self.n)
        area = covered = 0.0
        for s, block in enumerate(self.a.blocks):
            xi, measure, radius = self.a.measures(block)
            measure = measure * radius if self.ring else measure
            area += float(measure.sum())
            _add(full, block.conn, measure @ self._hats(s, xi))
            for one in self.common:
                if one.secondary == s:
                    hats = self._hats(s, one.xi_s, one.shape) * one.measure[:, None]
                    _add(found, block.conn[one.pair_s], hats)
                    covered += float(one.measure.sum())
        tied = (full > 0.0) & (found >= _COVERED * full)
        tied[self.b.nodes] = False
        # A corner needs area of its own, which quadratic facets give it from the mid nodes beside it.
        weight = np.zeros(self.n)
        for s, block in enumerate(self.a.blocks):
            change = self._change(s, tied)
            for one in self.common:
                if one.secondary == s:
                    # N' = N @ change, summed facet by facet before it is changed.
                    sums = np.zeros((len(block.conn), one.shape.shape[1]))
                    _add_runs(sums, one.pair_s, one.shape * one.measure[:, None])
                    _add(weight, block.conn, np.einsum("fn,fnm->fm", sums, change))
        tied &= weight >= 0.05 * full
        return tied, covered / area if area > 0.0 else 0.0

    def _hats(self, s: int, xi: FloatArray, shape: FloatArray | None = None) -> FloatArray:
        """Positive functions that say how much of a node's surroundings is meant, float64[q, n]."""
        element = ELEMENTS[self.a.blocks[s].element]
        at = xi[:, : element.dimension]
        if element.degree == 1 and shape is not None:
            return shape
        out = element.shape(at) if shape is None else shape.copy()
        out[:, : element.corners] = ELEMENTS[element.linear].shape(at)
        return out

    def _change(self, s: int, tied: BoolArray) -> FloatArray:
        """From shape functions to those with positive area, float64[f, n, n]: N' = N @ change."""
        block = self.a.blocks[s]
        element = ELEMENTS[block.element]
        out = np.tile(np.eye(element.n_nodes), (len(block.conn), 1, 1))
        for i, (c, d) in enumerate(element.edges):
            mid = element.corners + i
            share = np.where(tied[block.conn[:, mid]], _SHARE, 0.0)
            out[:, mid, c] = out[:, mid, d] = share
            out[:, mid, mid] = 1.0 - 2.0 * share
        return out

    def _dual(
        self, s: int, tied: BoolArray, diagonal: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Coefficients float64[f, n, n] of the dual functions and of those they are dual to; mass of these.

        Adds each tied node's weight to ``diagonal``.
        """
        block = self.a.blocks[s]
        element = ELEMENTS[block.element]
        change = self._change(s, tied)
        n = element.n_nodes
        mass, weight = np.zeros((len(block.conn), n, n)), np.zeros((len(block.conn), n))
        for one in self.common:
            if one.secondary != s:
                continue
            for some in _slices(len(one.measure)):
                rows = one.pair_s[some]
                # Mass of the plain functions first: the change is the same all over a facet.
                plain = one.shape[some] * one.measure[some, None]
                _add_runs(mass, rows, one.shape[some][:, :, None] * plain[:, None, :])
                _add_runs(weight, rows, plain)
        mass = np.swapaxes(change, 1, 2) @ mass @ change
        weight = np.einsum("fn,fnm->fm", weight, change)
        here = tied[block.conn]
        both = here[:, :, None] & here[:, None, :]
        area = np.maximum(weight.sum(axis=1), 1e-300)
        core = np.where(both, mass / area[:, None, None], np.eye(n))
        active = weight.sum(axis=1) > 1e-12 * a_size(self.a, s)
        dual = np.zeros_like(mass)
        if active.any():
            inverse = np.linalg.pinv(core[active], rcond=1e-12, hermitian=True)
            share = np.where(here, weight / area[:, None], 0.0)[active]
            dual[active] = np.where(both[active], share[:, :, None] * inverse, 0.0)
        np.add.at(diagonal, block.conn[active], np.where(here, weight, 0.0)[active])
        return dual, change, mass

    def _own(self, s: int, tied: BoolArray, product: FloatArray, number: IntArray) -> SparseMatrix:
        """What secondary nodes that stay free take from the rows, CSR [k, n_points]."""
        from scipy import sparse

        block = self.a.blocks[s]
        free = ~tied[block.conn]
        some = np.flatnonzero(free.any(axis=1) & (~free).any(axis=1))
        out = -np.where(free[some][:, None, :], product[some], 0.0)
        rows = np.broadcast_to(number[block.conn[some]][:, :, None], out.shape)
        columns = np.broadcast_to(block.conn[some][:, None, :], out.shape)
        keep = (rows >= 0) & (out != 0.0)
        shape = (int(number.max()) + 1, self.n)
        return sparse.coo_array((out[keep], (rows[keep], columns[keep])), shape=shape).tocsr()

    def _across(
        self, one: _Common, dual: FloatArray, change: FloatArray, number: IntArray
    ) -> Iterator[tuple[SparseMatrix, SparseMatrix | None]]:
        """Rows over the primary nodes, some thousand integration points at a time."""
        from scipy import sparse

        block_s, block_p = self.a.blocks[one.secondary], self.b.blocks[one.primary]
        element_p = ELEMENTS[block_p.element]
        k = int(number.max()) + 1
        both = dual @ np.swapaxes(change, 1, 2)
        for some in _slices(len(one.measure)):
            row_s, row_p = one.pair_s[some], one.pair_p[some]
            # Points come pair by pair: sum over each pair before anything is scattered.
            new = np.flatnonzero(np.diff(row_s, prepend=-1) | np.diff(row_p, prepend=-1))
            test = np.einsum("qn,qjn->qj", one.shape[some], both[row_s])
            test *= one.measure[some, None]
            other = element_p.shape(one.xi_p[some, : element_p.dimension])
            values = np.add.reduceat(test[:, :, None] * other[:, None, :], new, axis=0)
            rows = np.broadcast_to(number[block_s.conn[row_s[new]]][:, :, None], values.shape)
            columns = np.broadcast_to(block_p.conn[row_p[new]][:, None, :], values.shape)
            keep = rows >= 0
            weights = sparse.coo_array((values[keep], (rows[keep], columns[keep])), shape=(k, self.n)).tocsr()
            arm = None
            offset = one.offset[some]
            if offset.any() and not self.ring:
                conn = block_p.conn[row_p]
                turn = _turning(
                    element_p.gradient(one.xi_p[some, : element_p.dimension]), self.b.points[conn]
                )
                lever = _arm(turn, offset)
                blocks = np.add.reduceat(test[:, :, None, None, None] * lever[:, None], new, axis=0).reshape(
                    -1, 3, 3
                )
                at = np.flatnonzero(keep.ravel())
                three = np.arange(3)
                r = np.broadcast_to(3 * rows.ravel()[at][:, None, None] + three[:, None], (len(at), 3, 3))
                c = np.broadcast_to(3 * columns.ravel()[at][:, None, None] + three, (len(at), 3, 3))
                arm = sparse.coo_array(
                    (blocks[at].ravel(), (r.ravel(), c.ravel())), shape=(3 * k, 3 * self.n)
                ).tocsr()
            yield weights, arm

    def _back(self, tied: BoolArray, number: IntArray) -> tuple[SparseMatrix, SparseMatrix]:
        """From coefficients of the changed functions to nodal values: of tied nodes, of free corners."""
        from scipy import sparse

        k = int(number.max()) + 1
        nodes = np.flatnonzero(number >= 0)
        own = np.ones(k)
        rows, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for block in self.a.blocks:
            element = ELEMENTS[block.element]
            for i, (c, d) in enumerate(element.edges):
                mids, first = np.unique(block.conn[:, element.corners + i], return_index=True)
                ok = tied[mids]
                for corner in (c, d):
                    rows.append(number[mids[ok]])
                    columns.append(block.conn[first[ok], corner])
                own[number[mids[ok]]] = 1.0 - 2.0 * _SHARE
        row, column = np.concatenate(rows), np.concatenate(columns)
        pair = np.unique(np.stack([row, column]), axis=1)  # an edge belongs to two facets
        row, column = pair
        follows = number[column] >= 0
        share = np.full(len(row), _SHARE)
        inner = sparse.coo_array(
            (
                np.concatenate([own, share[follows]]),
                (np.concatenate([number[nodes], row[follows]]),
                 np.concatenate([number[nodes], number[column[follows]]])),
            ),
            shape=(k, k),
        )  # fmt: skip
        outer = sparse.coo_array((share[~follows], (row[~follows], column[~follows])), shape=(k, self.n))
        return inner.tocsr(), outer.tocsr()


def a_size(faces: Faces, number: int) -> FloatArray:
    """Areas (lengths) of a block's facets, m^2 or m."""
    return np.asarray(faces.measures(faces.blocks[number])[1].sum(axis=1))


def _add(out: FloatArray, at: IntArray, values: FloatArray) -> None:
    """out[at] += values, where places may come twice."""
    out += np.bincount(at.ravel(), values.ravel(), minlength=len(out))


def _add_runs(out: FloatArray, rows: IntArray, values: FloatArray) -> None:
    """out[rows] += values for ascending rows."""
    if len(rows):
        new = np.flatnonzero(np.diff(rows, prepend=-1))
        out[rows[new]] += np.add.reduceat(values, new, axis=0)


def _added(parts: list[SparseMatrix]) -> SparseMatrix:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total.tocsr()


def _slices(n: int, step: int = 20_000) -> Iterator[slice]:
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
