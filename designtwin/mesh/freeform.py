"""Free form: a shape is a vector of numbers, and the points of the mesh are linear in it.

A *shape* answers ``displacement(s)``, how far every point goes, ``gradient(g)``, the derivative with
respect to ``s`` of what has the derivative ``g`` with respect to the points (the transpose, exact), and the
range of ``s``. There are two:

* ``VertexMorph``: a face may rise and sink. Heights at nodes a fifth of a filter radius apart are spread by
  the filter, so that no wrinkle of the mesh can live on; the outside that is not to change stays (flat
  faces slide in their planes, straight holes along their axes), and the inside follows as an elastic body
  that is stiff where cells are small.
* ``MovedShape``: any moves of ``morphing``, each with an amount: control points of a lattice, radii, offsets.

``quality_kept`` is the guard: how much of their quality all cells keep, a smooth number with its
derivative, so that an optimizer can steer clear of bad cells before any inverts.

Sources: Hojjat, Stavropoulou and Bletzinger, "The vertex morphing method for node-based shape optimization",
Comput. Methods Appl. Mech. Engrg. 268 (2014); Bletzinger, "A consistent frame for sensitivity filtering and
the vertex assigned morphing of optimal shape", Struct. Multidisc. Optim. 49 (2014); Stein, Tezduyar and
Benney, "Mesh moving techniques for fluid-structure interactions with large displacements", J. Appl. Mech.
70 (2003) (stiffness over volume).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError
from designtwin.mesh.mesh import Mesh
from designtwin.mesh.morphing import (
    Lattice,
    Length,
    Move,
    Place,
    above_zero,
    axis_of,
    displacements,
    faded,
    node_normals,
    planes_of,
)
from designtwin.mesh.quality import checked_nodes, corner_edges
from designtwin.mesh.selections import select
from designtwin.mesh.surface import facet_normals, surface_of
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.units import show

_ONE_FACE = 1e-6
"""Share of the spread of normals around a node from which another direction counts: about 0.1 degrees."""
_LEVEL = 0.3
"""A node that may move by less than this share of its normal stays."""
_APART = 0.2
"""How near a node has one whose height is free, in filter radii: more of them add nothing but numbers."""
_SHARPNESS = 60.0
"""Of the smooth minimum over cells."""


class Shape(Protocol):
    """Points of a mesh that are linear in a vector of numbers."""

    @property
    def mesh(self) -> Mesh:
        """Where all numbers are zero."""
        ...

    @property
    def low(self) -> FloatArray:
        """Least values, float64[k]."""
        ...

    @property
    def high(self) -> FloatArray:
        """Largest values, float64[k]."""
        ...

    def displacement(self, s: FloatArray) -> FloatArray:
        """How far every point moves, float64[n_points, 3], m."""
        ...

    def gradient(self, g: FloatArray) -> FloatArray:
        """Derivative with respect to s [k] from that with respect to the points [n_points, 3]."""
        ...


# --- the outside that stays, the inside that follows ------------------------------------------------------


class Follow:
    """How a mesh follows nodes that are told where to go.

    Parameters
    ----------
    mesh : Mesh
        Of solids, or plane.
    told : int64[k]
        Nodes whose displacement will be given.
    kept : int64[m, 2]
        Facets of the outside that keep their shape: flat ones slide in their planes, straight cylinders along
        their axes, corners and all else stay.
    fixed : int64[j]
        Nodes that stay, unless told.

    The others are at rest as nodes of an elastic body (the corners of all cells, Poisson's ratio 0, Young's
    modulus over the volume of the cell), mid-side nodes in the middle of what their edges move by.

    Raises
    ------
    MeshError
        If the mesh is one of lines or of surfaces in space.
    """

    def __init__(self, mesh: Mesh, told: IntArray, kept: IntArray, fixed: IntArray) -> None:
        if mesh.dimension != 3 and not mesh.is_plane:
            raise MeshError(
                "free form is for solids and plane meshes; this one is of lines or surfaces in space"
            )
        self.n_points = mesh.n_points
        self.told = told
        self.n = 3 if mesh.dimension == 3 else 2
        matrix, self._mids, self._ends, corners = _elastic(mesh, self.n)
        is_told = np.zeros(mesh.n_points, bool)
        is_told[told] = True
        # Middle nodes that are told go where they are told.
        free_mid = ~is_told[self._mids]
        self._mids, self._ends = self._mids[free_mid], self._ends[free_mid]
        self._told_corners = np.flatnonzero(corners[told])
        projector, _ = allowed(mesh, kept)
        projector[fixed] = 0.0
        followers = np.flatnonzero(corners & ~is_told)
        basis = _bases(projector[followers, : self.n, : self.n], followers, self.n, mesh.n_points)
        self._basis = basis
        rows = (told[self._told_corners][:, None] * self.n + np.arange(self.n)).ravel()
        self._coupling = (basis.T @ matrix.tocsc()[:, rows]).tocsr()
        self._solve = _factorized((basis.T @ matrix @ basis).tocsc())

    def forward(self, by: FloatArray) -> FloatArray:
        """Displacement of all points float64[n_points, 3] from that of those told [k, 3]."""
        out = np.zeros((self.n_points, 3))
        at_corners = by[self._told_corners, : self.n].ravel()
        q = -self._solve(self._coupling @ at_corners)
        out[:, : self.n] = (self._basis @ q).reshape(-1, self.n)
        out[self.told] = by
        out[self._mids] = 0.5 * (out[self._ends[:, 0]] + out[self._ends[:, 1]])
        return out

    def backward(self, g: FloatArray) -> FloatArray:
        """The transpose: derivative with respect to the displacement of those told [k, 3]."""
        g = np.array(g, np.float64)
        half = 0.5 * g[self._mids]
        for end in (0, 1):
            for axis in range(3):
                g[:, axis] += np.bincount(self._ends[:, end], half[:, axis], minlength=self.n_points)
        out = g[self.told].copy()
        adjoint = self._solve(self._basis.T @ g[:, : self.n].ravel())
        out[self._told_corners, : self.n] -= (self._coupling.T @ adjoint).reshape(-1, self.n)
        if self.n == 2:
            out[:, 2] = 0.0
        return out


def _elastic(mesh: Mesh, n: int) -> tuple[Any, IntArray, IntArray, BoolArray]:
    """Stiffness of the corners (all points numbered), mid-side nodes with the ends of their edges, and which
    points are corners of cells."""
    from scipy.sparse import coo_matrix

    from designtwin.kernels import volume

    size = np.abs(mesh.cell_measures())
    mean = float(size[size > 0].mean())
    tangent = np.diag([1.0, 1.0, 1.0, 0.5, 0.5, 0.5])[None]
    rows, columns, values = [], [], []
    mids, ends = [np.empty(0, np.int64)], [np.empty((0, 2), np.int64)]
    corners = np.zeros(mesh.n_points, bool)
    for name, ids, conn in mesh.blocks():
        element = ELEMENTS[name]
        if element.dimension != mesh.dimension:
            continue
        linear = ELEMENTS[element.linear]
        conn_linear = np.ascontiguousarray(conn[:, : linear.n_nodes])
        conn_linear.setflags(write=False)
        corners[conn_linear] = True
        if element.edges:
            mids.append(conn[:, element.corners :].ravel())
            ends.append(conn[:, np.array(element.edges)].reshape(-1, 2))
        shape, gradient, weight = linear.tables(linear.quadrature)
        k = np.empty((len(conn), n * linear.n_nodes, n * linear.n_nodes))
        volume.stiffness(
            mesh.points, conn_linear, shape, gradient, weight,
            np.zeros((len(weight), 0, linear.dimension)), np.zeros((linear.n_nodes, linear.dimension)),
            0, False, n, mean / np.maximum(size[ids], 1e-9 * mean), tangent,
            np.zeros((len(conn), len(weight)), np.int64), k,
        )  # fmt: skip
        dofs = (conn_linear[:, :, None] * n + np.arange(n)).reshape(len(conn), -1)
        rows.append(np.repeat(dofs, dofs.shape[1], axis=1).ravel())
        columns.append(np.tile(dofs, (1, dofs.shape[1])).ravel())
        values.append(k.ravel())
    total = n * mesh.n_points
    matrix = coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(total, total)
    ).tocsr()
    mid, first = np.unique(np.concatenate(mids), return_index=True)
    return matrix, mid, np.concatenate(ends)[first], corners


def allowed(mesh: Mesh, kept: IntArray) -> tuple[FloatArray, IntArray]:
    """Directions that leave facets in shape: projectors float64[n_points, 3, 3], and how many are left,
    int64.

    All at nodes off these facets; the plane of a flat face, the axis of a straight cylinder, the line of an
    edge between flat faces; none at corners and on what curves both ways.
    """
    spread = np.zeros((9, mesh.n_points))
    for block in mesh.facets(kept):
        element = ELEMENTS[block.element]
        normal = facet_normals(mesh.points[block.conn], element.gradient(np.array(element.nodes, np.float64)))
        # All normals of a facet count at each of its nodes: a node alone does not know that its face curves.
        square = np.einsum("fna,fnb->fab", normal, normal).reshape(-1, 9)
        for column in block.conn.T:
            for i in range(9):
                spread[i] += np.bincount(column, square[:, i], minlength=mesh.n_points)
    matrices = spread.T.reshape(-1, 3, 3)
    out = np.tile(np.eye(3), (mesh.n_points, 1, 1))
    left = np.full(mesh.n_points, 3)
    touched = np.flatnonzero(np.trace(matrices, axis1=1, axis2=2) > 0)
    value, vector = np.linalg.eigh(matrices[touched])
    free = value <= _ONE_FACE * value.sum(axis=1, keepdims=True)
    out[touched] = np.einsum("nai,nbi->nab", vector * free[:, None, :], vector)
    left[touched] = free.sum(axis=1)
    if mesh.is_plane:
        out[:, 2, :] = out[:, :, 2] = 0.0
    return out, left


def _bases(projector: FloatArray, nodes: IntArray, n: int, n_points: int) -> Any:
    """Orthonormal columns that span what nodes may do, sparse [n n_points, m]."""
    from scipy.sparse import csr_matrix

    value, vector = np.linalg.eigh(projector)
    node, which = np.nonzero(value > 0.5)
    entries = vector[node, :, which]
    rows = nodes[node][:, None] * n + np.arange(n)
    columns = np.broadcast_to(np.arange(len(node))[:, None], rows.shape)
    return csr_matrix(
        (entries.ravel(), (rows.ravel(), columns.ravel())), shape=(n * n_points, max(len(node), 1))
    )


def _factorized(matrix: Any) -> Any:
    """A function that solves with a matrix; where nothing is free to follow, nothing follows."""
    from scipy.sparse.linalg import splu

    if matrix.nnz == 0:
        return lambda f: np.zeros_like(f)
    return splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve


# --- vertex morphing --------------------------------------------------------------------------------------


class VertexMorph:
    """A face may rise and sink along its normals: heights at some of its nodes, filtered over a radius.

    Parameters
    ----------
    mesh : Mesh
    on : selection or group name
        The faces that are free; smooth within (an edge in them becomes part of the free form).
    filter_radius : length
        Waves shorter than about this cannot form; two cells at least. Also the length over which the free
        form fades out towards what stays.
    reach : length or (length, length)
        How far nodes may rise (out of the material), or sink and rise.
    fixed : selection or group name, or a sequence of these
        What stays where it is, part of the free faces or not.
    symmetric : "x", "xy", ... or mapping of axis to position, optional
        Planes of symmetry (at 0 unless told), of a whole part or of the half that is modeled: no ridge
        forms there.
    extruded : "x", "y" or "z", optional
        The form is the same all along this axis, as of a plate or an extruded bar.

    The displacement of node i is ``t_i d_i sum_j A_ij s_j``. A is the filter: its rows add up to one, so
    that no node moves beyond the reach. The heights s are those of nodes a fifth of a radius apart
    (``controls``): what the filter would smooth out needs no number of its own, and the search stays small
    and well conditioned whatever the mesh. d fades out towards what stays, and t is the normal, turned into
    the faces that the node must stay on.

    Raises
    ------
    MeshError
        If there are no such faces, the radius is below the size of their cells, or all of their nodes are
        held.
    """

    def __init__(
        self, mesh: Mesh, *, on: Place, filter_radius: Length, reach: Length | tuple[Length, Length],
        fixed: Place | Sequence[Any] = (), symmetric: str | Mapping[str, Length] = "",
        extruded: str | None = None,
    ) -> None:  # fmt: skip
        self.mesh = mesh
        where = select(on)
        self.radius = above_zero(filter_radius, "filter_radius")
        inward, outward = reach if isinstance(reach, tuple) else (reach, reach)
        planes = planes_of(symmetric)
        facets = _outside_only(mesh, where.resolve(mesh).facets, str(where))
        normal = node_normals(mesh, facets)
        self.nodes: IntArray = np.flatnonzero(np.isfinite(normal[:, 0]))
        self._normal = _in_planes(mesh, self.nodes, normal[self.nodes], planes, extruded)
        all_facets = surface_of(mesh).facets
        keys = np.array([8, 1])
        kept = all_facets[~np.isin(all_facets @ keys, facets @ keys)]
        still = _nodes_of(mesh, fixed)
        # Where the face runs into one that stays, its nodes move within both or not at all.
        projector, _ = allowed(mesh, kept)
        toward = np.einsum("nab,nb->na", projector[self.nodes], self._normal)
        share = np.einsum("na,na->n", toward, self._normal)
        held = (share < _LEVEL**2) | np.isin(self.nodes, still)
        if held.all():
            raise MeshError(
                f"free form on {where}: every node is held by a neighboring face or by fixed=; faces that "
                "are free to move are wanted"
            )
        self._direction: FloatArray = np.where(
            held[:, None], 0.0, toward / np.maximum(share, _LEVEL**2)[:, None]
        )
        x = mesh.points[self.nodes].copy()
        if extruded is not None:
            x[:, axis_of(extruded)] = 0.0
        self._direction *= faded(x, x[held], self.radius)[:, None]
        self.controls: IntArray = _spread(x, self._normal, _APART * self.radius)
        everywhere = np.arange(len(x))
        coarse = self._filtered(x, self.controls, np.ones(len(self.controls)), planes)
        area = _node_areas(mesh, facets, self.nodes)
        self.filter: Any = (self._filtered(x, everywhere, area, planes) @ coarse).tocsr()
        self._check_radius(x, where)
        self.follow = Follow(mesh, self.nodes, kept, still)
        count = len(self.controls)
        self.low: FloatArray = np.full(count, -above_zero(inward, "reach"))
        self.high: FloatArray = np.full(count, above_zero(outward, "reach"))

    def displacement(self, s: FloatArray) -> FloatArray:
        """How far every point moves, float64[n_points, 3], m, for heights [k] before the filter."""
        return self.follow.forward(self._direction * (self.filter @ s)[:, None])

    def gradient(self, g: FloatArray) -> FloatArray:
        """Derivative with respect to the heights [k] from that with respect to the points [n_points, 3]."""
        at_nodes = np.einsum("na,na->n", self._direction, self.follow.backward(g))
        return np.asarray(self.filter.T @ at_nodes)

    def _filtered(
        self, x: FloatArray, of: IntArray, weight_of: FloatArray, planes: Mapping[int, float]
    ) -> Any:
        """Weighted mean of values at some nodes and their mirror images, sparse [nodes, k]; faces turned away
        from each other do not mix."""
        from scipy.sparse import coo_matrix, diags
        from scipy.spatial import cKDTree

        tree, total, radius = cKDTree(x), None, math.sqrt(0.5) * self.radius
        for mirrored in itertools.chain.from_iterable(
            itertools.combinations(planes.items(), n) for n in range(len(planes) + 1)
        ):
            image, normal = x[of], self._normal[of]
            for axis, at in mirrored:
                image[:, axis], normal[:, axis] = 2.0 * at - image[:, axis], -normal[:, axis]
            near = tree.sparse_distance_matrix(cKDTree(image), radius, output_type="coo_matrix")
            t = near.data / radius
            alike = np.einsum("ma,ma->m", self._normal[near.row], normal[near.col])
            weight = (1.0 - t * t) ** 2 * np.maximum(alike, 0.0) * weight_of[near.col]
            part = coo_matrix((weight, (near.row, near.col)), shape=near.shape).tocsr()
            total = part if total is None else total + part
        assert total is not None
        return (diags(1.0 / np.asarray(total.sum(axis=1)).ravel()) @ total).tocsr()

    def _check_radius(self, x: FloatArray, where: Any) -> None:
        """Raise if the radius does not reach over two cells."""
        from scipy.spatial import cKDTree

        near = cKDTree(x).query_ball_point(x, self.radius, return_length=True)
        few = float(np.median(near))
        if few < 5:
            raise MeshError(
                f"free form on {where}: within filter_radius {show(self.radius, 'length')} of a node there "
                f"are {few:.0f} nodes only, so the mesh would wrinkle; two cells at least are wanted"
            )


def _spread(x: FloatArray, normal: FloatArray, apart: float) -> IntArray:
    """Rows so that every point has one of them nearby, farthest first; faces turned away count as far."""
    place = np.column_stack([x, apart * normal])
    picked = [0]
    distance = np.linalg.norm(place - place[0], axis=1)
    while distance.max() > apart:
        picked.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(place - place[picked[-1]], axis=1))
    return np.sort(np.array(picked, np.int64))


def _outside_only(mesh: Mesh, facets: IntArray, name: str) -> IntArray:
    """The facets, which must be on the outside."""
    if not len(facets):
        raise MeshError(f"free form on {name}: there are no facets, only nodes or cells; name a face")
    keys = np.array([8, 1])
    if not np.isin(facets @ keys, surface_of(mesh).facets @ keys).all():
        raise MeshError(
            f"free form on {name}: some of its facets are inside the body; faces of it are wanted"
        )
    return facets


def _nodes_of(mesh: Mesh, places: Place | Sequence[Any]) -> IntArray:
    if isinstance(places, list | tuple) and not places:
        return np.empty(0, np.int64)
    return np.asarray(select(places).resolve(mesh).nodes)


def _in_planes(
    mesh: Mesh, nodes: IntArray, normal: FloatArray, planes: Mapping[int, float], extruded: str | None
) -> FloatArray:
    """Normals that stay in the planes of symmetry at nodes on them, and square to an axis of extrusion."""
    normal = normal.copy()
    for axis, at in planes.items():
        normal[np.abs(mesh.points[nodes, axis] - at) < 1e-6 * mesh.size, axis] = 0.0
    if extruded is not None:
        normal[:, axis_of(extruded)] = 0.0
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=1), 1e-300)[:, None])


def _node_areas(mesh: Mesh, facets: IntArray, nodes: IntArray) -> FloatArray:
    """Area that each node stands for, float64[k]: facets divided evenly, which is positive for every type."""
    vectors, _ = mesh.facet_vectors(facets)
    area, total = np.linalg.norm(vectors, axis=1), np.zeros(mesh.n_points)
    for block in mesh.facets(facets):
        for column in block.conn.T:
            total += np.bincount(column, area[block.rows] / block.conn.shape[1], minlength=mesh.n_points)
    return np.asarray(total[nodes])


# --- moves as a shape -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MovedShape:
    """Moves of ``morphing``, each times an amount.

    Parameters
    ----------
    mesh : Mesh
    moves : sequence of Move
        What an amount of one is: linear ones, as ``move``, ``offset`` and control points of a ``Lattice``
        are.
    low, high : float64[k]
        Range of the amounts.
    options : mapping
        Of ``mesh.morphed``: fixed, slide, method, radius.

    Raises
    ------
    MeshError
        If nothing moves.
    """

    mesh: Mesh
    moves: Sequence[Move]
    low: FloatArray
    high: FloatArray
    options: Mapping[str, Any]

    @cached_property
    def directions(self) -> FloatArray:
        """dX/ds, float64[k, n_points, 3]; exact, as displacements are linear."""
        out = np.stack([displacements(self.mesh, one, **self.options) for one in self.moves])
        idle = np.flatnonzero(~out.any(axis=(1, 2)))
        if len(idle):
            raise MeshError(f"free form: move {idle[0]} moves nothing: {self.moves[idle[0]]}")
        return out

    def displacement(self, s: FloatArray) -> FloatArray:
        """How far every point moves, float64[n_points, 3], m."""
        return np.asarray(np.einsum("k,kna->na", s, self.directions))

    def gradient(self, g: FloatArray) -> FloatArray:
        """Derivative with respect to the amounts [k] from that with respect to the points."""
        return np.asarray(np.einsum("kna,na->k", self.directions, g))


def lattice_shape(mesh: Mesh, lattice: Lattice, reach: Length, *, axes: str = "xyz") -> MovedShape:
    """All control points of a lattice along the given axes, each as far as the reach to either side.

    Those on sides that the part passes through stay, and those that move nothing are left out.

    Raises
    ------
    MeshError
        If no control point is left.
    """
    still = lattice.crossed(mesh.points)
    most = above_zero(reach, "reach")
    found = []
    for unit in lattice.units(axes).values():
        moves = [tuple(int(i) for i in key.split(",")) for key in unit.moved]
        if any(one[axis] == side for one in moves for axis, side in still):
            continue
        if displacements(mesh, unit).any():
            found.append(unit)
    if not found:
        raise MeshError(
            "free form: every control point of the lattice is on a side that the part passes through"
        )
    return MovedShape(mesh, tuple(found), np.full(len(found), -most), np.full(len(found), most), {})


# --- the guard --------------------------------------------------------------------------------------------


def quality_kept(mesh: Mesh, points: FloatArray) -> tuple[float, float, FloatArray]:
    """How much of their quality the cells of a mesh keep on other points.

    Parameters
    ----------
    mesh : Mesh
        As it was.
    points : float64[n_points, 3]
        Where its points are now, m.

    Returns
    -------
    smooth : float
        Smooth minimum (Kreisselmeier-Steinhauser), never above the true one.
    least : float
        Least share over the cells: 1 unchanged, 0 where a cell begins to fold.
    slope : float64[n_points, 3]
        Derivative of the smooth minimum.

    The measure is the scaled Jacobian at each corner over what it was and, for cells of second order, the
    determinant at each node over its mean in the cell, over what that was. Cells that were bad before are
    not judged.

    Source: Knupp et al., "The Verdict geometric quality library", SAND2007-1751.
    """
    parts = []  # nodes [c, n], measures [c, m] and their slopes [c, m, n, 3]
    moved = np.asarray((points != mesh.points).any(axis=1))
    for name, _, conn in mesh.blocks():
        element = ELEMENTS[name]
        if element.dimension != mesh.dimension:
            continue
        rows = conn[moved[conn].any(axis=1)]
        if not len(rows):
            continue
        for measure in (_corner_shapes, _node_shapes) if element.edges else (_corner_shapes,):
            before, _ = measure(name, mesh.points[rows])
            now, slope = measure(name, points[rows])
            sound = before > 1e-3
            ratio = np.where(sound, now / np.where(sound, before, 1.0), np.inf)
            parts.append((rows, ratio, slope / np.where(sound, before, np.inf)[:, :, None, None]))
    if not parts:
        return 1.0, 1.0, np.zeros_like(points)
    least = float(min(ratio.min() for _, ratio, _ in parts))
    total = sum(float(np.exp(-_SHARPNESS * (ratio - least)).sum()) for _, ratio, _ in parts)
    out = np.zeros_like(points)
    for rows, ratio, slope in parts:
        share = np.exp(-_SHARPNESS * (ratio - least)) / total
        at_cells = np.einsum("cm,cmna->cna", share, slope)
        for axis in range(3):
            out[:, axis] += np.bincount(rows.ravel(), at_cells[..., axis].ravel(), minlength=len(points))
    return least - math.log(total) / _SHARPNESS, least, out


def _corner_shapes(name: str, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Scaled Jacobian at each corner, float64[c, m], and its slope over the nodes, [c, m, n, 3]."""
    corners = corner_edges(name)
    value = np.empty((len(x), len(corners)))
    slope = np.zeros((len(x), len(corners), x.shape[1], 3))
    for i, (corner, others, regular) in enumerate(corners):
        e = [x[:, other] - x[:, corner] for other in others]
        if len(e) == 3:
            cofactor = [np.cross(e[1], e[2]), np.cross(e[2], e[0]), np.cross(e[0], e[1])]
        else:
            zero = np.zeros(len(x))
            cofactor = [
                np.stack([e[1][:, 1], -e[1][:, 0], zero], axis=1),
                np.stack([-e[0][:, 1], e[0][:, 0], zero], axis=1),
            ]
        square = [np.maximum(np.einsum("ca,ca->c", v, v), 1e-300) for v in e]
        length = regular * np.sqrt(np.prod(square, axis=0))
        value[:, i] = np.einsum("ca,ca->c", e[0], cofactor[0]) / length
        for other, v, c, s in zip(others, e, cofactor, square, strict=True):
            d = c / length[:, None] - (value[:, i] / s)[:, None] * v
            slope[:, i, other] += d
            slope[:, i, corner] -= d
    return value, slope


def _node_shapes(name: str, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Determinant at each node over the mean of all, float64[c, m], and its slope, [c, m, n, 3]."""
    gradient = ELEMENTS[name].gradient(checked_nodes(name))
    jacobian = np.einsum("cna,qnd->cqad", x, gradient)
    columns = [jacobian[..., d] for d in range(gradient.shape[2])]
    if len(columns) == 2:
        z = np.zeros_like(columns[0])
        z[..., 2] = 1.0
        columns.append(z)
    a, b, c = columns
    cofactor = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=-1)[..., : gradient.shape[2]]
    det = np.einsum("cqa,cqa->cq", a, cofactor[..., 0])
    slope = np.einsum("cqad,qnd->cqna", cofactor, gradient)
    mean = det.mean(axis=1)
    mean = np.where(np.abs(mean) > 1e-300, mean, 1e-300)
    value = det / mean[:, None]
    slope = (slope - value[:, :, None, None] * slope.mean(axis=1)[:, None]) / mean[:, None, None, None]
    # The mean falls below zero where all is inside out: then nothing of the quality is left.
    return np.where(mean[:, None] > 0, value, -1.0), slope
