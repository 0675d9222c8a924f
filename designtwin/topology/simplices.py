"""A mesh as triangles or tetrahedra, and the part of it above a level, cut clean off."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError
from designtwin.mesh.mesh import Mesh
from designtwin.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Simplices:
    """Cells cut into triangles or tetrahedra that match from cell to cell.

    Parameters
    ----------
    points : float64[n, 3]
        The mesh's own points, m.
    conn : int64[k, d + 1]
        Nodes, of positive measure.
    cell : int64[k]
        The cell each comes from.
    outside : int64[m, d]
        The outside of the body: edges or triangles, outward.
    owner : int64[m, 2]
        Cell and local facet of the mesh that each of these comes from.
    """

    points: FloatArray
    conn: IntArray
    cell: IntArray
    outside: IntArray
    owner: IntArray

    @property
    def dimension(self) -> int:
        return int(self.conn.shape[1]) - 1

    @property
    def nodes(self) -> IntArray:
        """Nodes in use."""
        return np.unique(self.conn)

    @classmethod
    def of(cls, mesh: Mesh) -> Simplices:
        """Cut every cell from its corner of the lowest number, every quadrilateral face from its own.

        Neighbors then cut the face between them alike. Curved edges become straight.

        Raises
        ------
        MeshError
            If the mesh has no plane or solid cells.

        Source: Dompierre et al., How to subdivide pyramids, prisms and hexahedra into tetrahedra, 8th
        International Meshing Roundtable (1999).
        """
        d = mesh.dimension
        if d < 2:
            raise MeshError("a mesh of lines has no body to cut; solid or plane cells are wanted")
        conns, cells = [], []
        for name, ids, conn in mesh.blocks():
            if ELEMENTS[name].dimension != d:
                continue
            for rows, part in _split(ELEMENTS[name].linear, conn[:, : ELEMENTS[name].corners]):
                conns.append(part)
                cells.append(ids[rows])
        conn, cell = np.concatenate(conns), np.concatenate(cells)
        order = np.argsort(cell, kind="stable")
        exterior = mesh.exterior
        faces, owners = [], []
        for block in mesh.facets(exterior):
            corners = block.conn[:, : ELEMENTS[block.element].corners]
            for part in _fans(corners):
                faces.append(part)
                owners.append(exterior[block.rows])
        outside, owner = np.concatenate(faces), np.concatenate(owners)
        return cls(mesh.points, np.ascontiguousarray(conn[order]), cell[order], outside, owner)

    def extruded(self, depth: float) -> Simplices:
        """A plane body as a plate of a thickness, m, about z = 0; nodes [n] below, then [n] above."""
        n = len(self.points)
        points = np.concatenate([self.points, self.points])
        points[:n, 2], points[n:, 2] = -0.5 * depth, 0.5 * depth
        parts = _split("wedge", np.hstack([self.conn, self.conn + n]))
        a, b = self.outside.T
        walls = _fans(np.stack([a, b, b + n, a + n], axis=1))
        outside = [self.conn[:, ::-1], self.conn + n, *walls]
        # The faces of a plate are no facet of the plane mesh.
        faces = np.stack([self.cell, np.full(len(self.cell), -1)], axis=1)
        return Simplices(
            points,
            np.concatenate([conn for _, conn in parts]),
            np.concatenate([self.cell[rows] for rows, _ in parts]),
            np.concatenate(outside),
            np.concatenate([faces, faces, self.owner, self.owner]),
        )


def _split(linear: str, conn: IntArray) -> list[tuple[IntArray, IntArray]]:
    """Rows and simplices of cells of one kind."""
    every = np.arange(len(conn))
    if linear in ("triangle", "tetra"):
        return [(every, conn)]
    if linear == "quad":
        return [(every, part) for part in _fans(conn)]
    first = np.argmin(conn, axis=1)
    out = []
    for apex in range(conn.shape[1]):
        rows = np.flatnonzero(first == apex)
        if not len(rows):
            continue
        for facet in ELEMENTS[linear].facets:
            if apex in facet:
                continue
            # The facet's triangles look away from the apex: with it in front they have positive volume.
            out += [(rows, np.column_stack([conn[rows, apex], part])) for part in _fans(conn[rows][:, facet])]
    return out


def _fans(corners: IntArray) -> list[IntArray]:
    """Triangles of faces, from the corner of the lowest number; lines and triangles as they are."""
    n = corners.shape[1]
    if n < 4:
        return [np.ascontiguousarray(corners)]
    at = (np.argmin(corners, axis=1)[:, None] + np.arange(4)) % 4
    turned = np.take_along_axis(corners, at, axis=1)
    return [turned[:, [0, 1, 2]], turned[:, [0, 2, 3]]]


@lru_cache
def _inside_first(n: int) -> tuple[IntArray, IntArray]:
    """For each pattern of inside corners an even permutation that brings them to the front, and how many."""
    order = np.zeros((2**n, n), np.int64)
    count = np.zeros(2**n, np.int64)
    for pattern in range(2**n):
        inside = [bool(pattern >> i & 1) for i in range(n)]
        count[pattern] = sum(inside)
        for permutation in permutations(range(n)):
            flags = [inside[i] for i in permutation]
            if flags == sorted(flags, reverse=True) and _is_even(permutation):
                order[pattern] = permutation
                break
    return order, count


def _is_even(permutation: tuple[int, ...]) -> bool:
    swaps = sum(a > b for i, a in enumerate(permutation) for b in permutation[i + 1 :])
    return swaps % 2 == 0


@dataclass(frozen=True, eq=False)
class Cut:
    """The outside of what lies above a level: vertices on nodes and on edges, triangles outward.

    Parameters
    ----------
    points : float64[v, 3]
    facets : int64[t, 3]
    ends : int64[v, 2]
        Nodes of the mesh at the ends of the edge each vertex lies on; twice the same node where on one.
    on_level : bool[t]
        Triangles that the cut made; the others lie on the outside of the mesh.
    """

    points: FloatArray
    facets: IntArray
    ends: IntArray
    on_level: BoolArray


def outline(body: Simplices, value: FloatArray, level: float) -> Cut:
    """The closed outside of where a nodal value, linear in each tetrahedron, is above a level.

    Parameters
    ----------
    body : Simplices
    value : float64[n]
        At the nodes.
    level : float
        A node at the level counts as inside.

    Source: Doi & Koide, An efficient method of triangulating equi-valued surfaces by using tetrahedral
    cells, IEICE Trans. E74 (1991), closed along the outside of the mesh.
    """
    inside = value >= level
    level_facets = _level_facets(body.conn, inside)
    outer = _kept_outside(body.outside, inside)
    n_level = sum(len(part) for part in level_facets)
    total = np.concatenate([*level_facets, *outer])
    keys, facets = np.unique(_key(total, len(value)).ravel(), return_inverse=True)
    ends = np.stack([keys // len(value), keys % len(value)], axis=1)
    return Cut(
        at_level(body.points, value, level, ends), facets.reshape(-1, 3), ends,
        np.arange(len(total)) < n_level,
    )  # fmt: skip


def at_level(
    points: FloatArray, value: FloatArray, level: float, ends: IntArray, *, margin: float = 0.0
) -> FloatArray:
    """Where edges cross a level, float64[k, 3]; the node itself where both ends are one.

    `margin` is the share of an edge by which crossings are kept off its ends.
    """
    a, b = ends.T
    span = value[b] - value[a]
    share = np.divide(level - value[a], span, out=np.zeros(len(ends)), where=a != b)
    share[a != b] = np.clip(share[a != b], margin, 1.0 - margin)
    return np.asarray(points[a] + share[:, None] * (points[b] - points[a]))


def _key(ends: IntArray, n: int) -> IntArray:
    """One number for an edge, whichever way around."""
    return np.asarray(ends.min(axis=-1) * n + ends.max(axis=-1))


def _pair(a: IntArray, b: IntArray) -> IntArray:
    return np.stack([a, b], axis=-1)


def _level_facets(conn: IntArray, inside: BoolArray) -> list[IntArray]:
    """Facets of the level in simplices, by the ends of the edges they cross, [t, d, 2]; normals outward."""
    n = conn.shape[1]
    order, count = _inside_first(n)
    flags = inside[conn]
    mixed = np.flatnonzero(flags.any(axis=1) & ~flags.all(axis=1))
    pattern = (flags[mixed] << np.arange(n)).sum(axis=1)
    corner = np.take_along_axis(conn[mixed], order[pattern], axis=1)
    how_many = count[pattern]
    out = []

    def add(rows: BoolArray, *facets: tuple[tuple[int, int], ...]) -> None:
        c = corner[rows]
        for facet in facets:
            out.append(np.stack([_pair(c[:, i], c[:, j]) for i, j in facet], axis=1))

    add(how_many == 1, ((0, 1), (0, 2), (0, 3)))
    add(how_many == 3, ((0, 3), (1, 3), (2, 3)))
    add(how_many == 2, ((0, 2), (0, 3), (1, 3)), ((0, 2), (1, 3), (1, 2)))
    return out


def _kept_outside(outside: IntArray, inside: BoolArray) -> list[IntArray]:
    """What is inside of the outer facets, by ends of edges, [t, d, 2]."""
    n = outside.shape[1]
    order, count = _turned_first(n)
    flags = inside[outside]
    pattern = (flags << np.arange(n)).sum(axis=1)
    corner = np.take_along_axis(outside, order[pattern], axis=1)
    how_many = count[pattern]
    out = []

    def add(k: int, *facets: tuple[tuple[int, int], ...]) -> None:
        c = corner[how_many == k]
        for facet in facets:
            out.append(np.stack([_pair(c[:, i], c[:, j]) for i, j in facet], axis=1))

    add(3, ((0, 0), (1, 1), (2, 2)))
    add(1, ((0, 0), (0, 1), (0, 2)))
    add(2, ((0, 0), (1, 1), (1, 2)), ((0, 0), (1, 2), (0, 2)))
    return out


@lru_cache
def _turned_first(n: int) -> tuple[IntArray, IntArray]:
    """As `_inside_first`, by turning around alone: keeps which side of a triangle is out."""
    order = np.zeros((2**n, n), np.int64)
    count = np.zeros(2**n, np.int64)
    for pattern in range(2**n):
        inside = [bool(pattern >> i & 1) for i in range(n)]
        count[pattern] = sum(inside)
        for turn in range(n):
            around = [(turn + i) % n for i in range(n)]
            flags = [inside[i] for i in around]
            if flags == sorted(flags, reverse=True):
                order[pattern] = around
                break
    return order, count
