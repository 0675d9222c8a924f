"""Fields between meshes: the matrices that take nodal values of one mesh to points, or to another mesh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import ConvergenceError, MeshError
from designtwin.mesh.interfaces import REACH, project
from designtwin.mesh.locate import INSIDE, Places, find_cells
from designtwin.mesh.mesh import Mesh
from designtwin.typing import FloatArray, IntArray, SparseMatrix

_OWN = 0.01
"""Weight of the target's own points beside those of the source: they decide only where these say nothing."""
_RTOL = 1e-13
_CHUNK = 100_000
"""Integration points at once."""


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Nodal values of a mesh at other points.

    Parameters
    ----------
    weights : CSR [n, n_points]
        Rows add up to 1.
    outside : int64[m]
        Points beyond the mesh by more than the reach, ascending.
    distance : float64[m]
        How far each of them is from the mesh, m.
    """

    weights: SparseMatrix
    outside: IntArray
    distance: FloatArray


def interpolation(mesh: Mesh, points: FloatArray, *, reach: float | None = None) -> Interpolation:
    """Weights that read nodal values of a mesh at points.

    Parameters
    ----------
    mesh : Mesh
    points : float64[n, 3]
        m. In a cell the shape functions count; beside the mesh those of the nearest place on its surface.
    reach : float, optional
        Distance beyond the surface up to which a point is not outside, m: meshes of one curved part differ
        by the sag of their facets. A tenth of the size of the nearest facet without.
    """
    points = np.atleast_2d(np.asarray(points, np.float64))
    places = find_cells(mesh, points)
    beside = np.flatnonzero(places.off > INSIDE)
    inside = np.flatnonzero(places.off <= INSIDE)
    matrix = _at_places(mesh, places, inside, len(points))
    if not len(beside):
        return Interpolation(matrix, beside, np.empty(0))
    nearest, distance, size = _on_surface(mesh, points, beside)
    far = distance > (REACH * size if reach is None else reach)
    return Interpolation((matrix + nearest).tocsr(), beside[far], distance[far])


def _at_places(mesh: Mesh, places: Places, rows: IntArray, n: int) -> SparseMatrix:
    """Shape functions at places in cells, CSR [n, n_points], rows of other points empty."""
    from scipy import sparse

    owner, column, weight = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    for name, conn in mesh.cells.items():
        first = mesh.block_offsets[name]
        mine = rows[(places.cell[rows] >= first) & (places.cell[rows] < first + len(conn))]
        if len(mine):
            element = ELEMENTS[name]
            owner.append(np.repeat(mine, element.n_nodes))
            column.append(conn[places.cell[mine] - first].ravel())
            weight.append(element.shape(places.xi[mine, : element.dimension]).ravel())
    entries = (np.concatenate(weight), (np.concatenate(owner), np.concatenate(column)))
    return sparse.csr_array(entries, shape=(n, mesh.n_points))


def _on_surface(
    mesh: Mesh, points: FloatArray, rows: IntArray
) -> tuple[SparseMatrix, FloatArray, FloatArray]:
    """Weights at the nearest place of the surface, CSR [n, n_points]; distance and facet size of each row."""
    from scipy import sparse
    from scipy.spatial import cKDTree

    if mesh.dimension == 1:
        used = mesh.used_nodes
        distance, node = cKDTree(mesh.points[used]).query(points[rows])
        entries = (np.ones(len(rows)), (rows, used[node]))
        size = np.full(len(rows), mesh.size / max(mesh.n_cells, 1))
        return sparse.csr_array(entries, shape=(len(points), mesh.n_points)), np.asarray(distance), size
    feet = project(mesh, mesh.exterior, points[rows])
    width = feet.nodes.shape[1]
    entries = (feet.weights.ravel(), (np.repeat(rows, width), feet.nodes.ravel()))
    corners = mesh.points[feet.nodes]
    size = np.sqrt(((corners.max(axis=1) - corners.min(axis=1)) ** 2).sum(axis=1))
    matrix = sparse.csr_array(entries, shape=(len(points), mesh.n_points))
    return matrix, feet.distance, size


@dataclass(frozen=True, eq=False)
class Projection:
    """From nodal values of one mesh to those of another that have the same mean.

    Parameters
    ----------
    left : CSR [n, n]
        Weighted mass of the target at the points of both meshes.
    right : CSR [n, n_source]
    source, target : float64[n_source], float64[n]
        Integrals of the shape functions, m^3.
    outside, distance
        Nodes of the target that the source does not reach; see ``Interpolation``.
    """

    left: SparseMatrix
    right: SparseMatrix
    source: FloatArray
    target: FloatArray
    outside: IntArray
    distance: FloatArray

    def __call__(self, values: FloatArray) -> FloatArray:
        """Values float64[n] on the target from float64[n_source].

        Raises
        ------
        ConvergenceError
            If the equations are not solved to rounding.
        """
        from scipy.sparse.linalg import LinearOperator, cg

        diagonal = self.left.diagonal()
        idle = diagonal <= 0.0  # nodes of no cell
        mean = float(self.source @ values) / float(self.source.sum())
        scale = np.where(idle, 0.0, 1.0 / np.where(idle, 1.0, diagonal))
        jacobi = LinearOperator(self.left.shape, matvec=lambda x: scale * x.ravel())
        # What is solved for is what differs from the mean: constants come out exact.
        right = self.right @ (values - mean)
        answer, failed = cg(self.left, right, rtol=_RTOL, atol=0.0, M=jacobi, maxiter=2000)
        if failed:
            raise ConvergenceError(
                "the conservative transfer between the meshes does not converge; check the target mesh for "
                "cells of poor quality (mesh.check()), or say method='interpolate'"
            )
        answer = np.where(idle, 0.0, answer)
        return np.asarray(answer - float(self.target @ answer) / float(self.target.sum()) + mean)


def projection(
    mesh: Mesh, target: Mesh, *, reach: float | None = None, axisymmetric: bool = False
) -> Projection:
    """The least-squares fit of a field on another mesh, with its mean kept.

    The distance between the two fields is summed over the integration points of the source, so that hot
    spots narrower than a target cell count with all they hold, and with a hundredth of the weight over
    those of the target, which alone decide where a target cell is finer than the source. A constant
    rounding it to what the integration misses keeps the mean over the volume; on meshes of equal volume
    that is the integral. Linear fields are reproduced.

    Parameters
    ----------
    mesh, target : Mesh
        From and to.
    reach : float, optional
        See ``interpolation``.
    axisymmetric : bool
        Whether x is a radius: volumes go all around.

    Source: Farrell et al., CMAME 198 (2009) 2632: conservation by Galerkin projection.
    """
    if mesh.dimension != target.dimension:
        raise MeshError(
            f"a conservative transfer wants meshes of one dimension, got {mesh.dimension} and "
            f"{target.dimension}; say method='interpolate'"
        )
    from scipy import sparse

    n, m = target.n_points, mesh.n_points
    left, right = sparse.csr_array((n, n)), sparse.csr_array((n, m))
    for at, shapes, weight in _points(mesh, axisymmetric):
        there = interpolation(target, at, reach=reach)
        # Points of the source beyond the target belong to no place of it.
        weight[there.outside] = 0.0
        sampled = (sparse.diags_array(weight) @ there.weights).T.tocsr()
        left = left + sampled @ there.weights
        right = right + sampled @ shapes
    for at, own, weight in _points(target, axisymmetric):
        fitted = (sparse.diags_array(_OWN * weight) @ own).T.tocsr()
        left = left + fitted @ own
        right = right + fitted @ interpolation(mesh, at, reach=reach).weights
    nodes = interpolation(mesh, target.points[target.used_nodes], reach=reach)
    return Projection(
        left=left,
        right=right,
        source=integral_of(mesh, axisymmetric=axisymmetric),
        target=integral_of(target, axisymmetric=axisymmetric),
        outside=target.used_nodes[nodes.outside],
        distance=nodes.distance,
    )


def _points(mesh: Mesh, axisymmetric: bool) -> Iterator[tuple[FloatArray, SparseMatrix, FloatArray]]:
    """Points [q, 3] of a rule, shape functions there CSR [q, n_points], volumes [q]; some cells at a time."""
    from scipy import sparse

    for name, every in mesh.cells.items():
        shape, gradient, weight = ELEMENTS[name].tables(ELEMENTS[name].mass_quadrature)
        n_q, n = shape.shape
        for first in range(0, len(every), max(_CHUNK // n_q, 1)):
            conn = every[first : first + max(_CHUNK // n_q, 1)]
            x = np.einsum("qn,cna->cqa", shape, mesh.points[conn])
            tangent = np.einsum("cna,qnd->cqad", mesh.points[conn], gradient)
            # The measure of a line, surface or solid in space is the root of its Gram determinant.
            gram = np.einsum("cqad,cqae->cqde", tangent, tangent)
            volume = np.sqrt(np.maximum(np.linalg.det(gram), 0.0)) * weight
            if axisymmetric:
                volume = volume * 2.0 * np.pi * x[:, :, 0]
            columns = np.repeat(conn, n_q, axis=0).ravel()
            starts = np.arange(0, len(columns) + 1, n)
            values = np.tile(shape, (len(conn), 1)).ravel()
            shapes = sparse.csr_array((values, columns, starts), shape=(volume.size, mesh.n_points))
            yield x.reshape(-1, 3), shapes, volume.ravel()


def integral_of(mesh: Mesh, *, axisymmetric: bool = False) -> FloatArray:
    """Integrals of the shape functions, float64[n_points], m^3 (m^2 in a plane, m along lines)."""
    out = np.zeros(mesh.n_points)
    for _, shapes, volumes in _points(mesh, axisymmetric):
        out += shapes.T @ volumes
    return out


def scattered(cloud: FloatArray, points: FloatArray, *, reach: float | None = None) -> Interpolation:
    """Weights that read values at scattered points elsewhere: linear on their Delaunay cells.

    Parameters
    ----------
    cloud : float64[k, 3]
        Where values are known, m; in a plane or on a line, only places there are inside.
    points : float64[n, 3]
        m. Outside the hull of the cloud the value is that of its nearest point.
    reach : float, optional
        Distance from the nearest point of the cloud up to which a place beyond the hull is not outside, m;
        rounding without.
    """
    from scipy import sparse
    from scipy.spatial import Delaunay, QhullError, cKDTree

    center = cloud.mean(axis=0)
    _, spread, axes = np.linalg.svd(cloud - center, full_matrices=False)
    rank = int(np.sum(spread > 1e-9 * max(float(spread[0]), 1e-300)))
    size = max(float(np.ptp(cloud, axis=0).max()), 1e-300)
    flat, at = (cloud - center) @ axes[:rank].T, (points - center) @ axes[:rank].T
    off = np.linalg.norm(points - center - at @ axes[:rank], axis=1)
    n = len(points)
    corners, weights = np.zeros((n, rank + 1), np.int64), np.zeros((n, rank + 1))
    inside = np.zeros(n, bool)
    if rank == 1:
        order = np.argsort(flat[:, 0])
        along = flat[order, 0]
        piece = np.clip(np.searchsorted(along, at[:, 0]) - 1, 0, len(along) - 2)
        share = (at[:, 0] - along[piece]) / np.maximum(along[piece + 1] - along[piece], 1e-300)
        corners, weights = order[np.stack([piece, piece + 1], axis=1)], np.stack([1.0 - share, share], axis=1)
        inside = (share >= -1e-9) & (share <= 1.0 + 1e-9)
    elif rank >= 2:
        try:
            cells = Delaunay(flat)
        except QhullError as error:
            raise MeshError(f"the {len(cloud)} points cannot be joined to cells: {error}") from error
        # On the hull itself rounding decides; a place this close to it is inside.
        found = cells.find_simplex(at, tol=1e-9)
        inside = found >= 0
        turn = cells.transform[found[inside]]
        inner = np.einsum("pij,pj->pi", turn[:, :rank], at[inside] - turn[:, rank])
        corners[inside] = cells.simplices[found[inside]]
        weights[inside] = np.column_stack([inner, 1.0 - inner.sum(axis=1)])
    inside &= off <= 1e-6 * size
    distance, nearest = cKDTree(cloud).query(points[~inside])
    corners[~inside], weights[~inside] = np.asarray(nearest)[:, None], 0.0
    weights[~inside, 0] = 1.0
    entries = (weights.ravel(), (np.repeat(np.arange(n), rank + 1), corners.ravel()))
    matrix = sparse.csr_array(entries, shape=(n, len(cloud)))
    far = np.asarray(distance) > (1e-6 * size if reach is None else reach)
    return Interpolation(matrix, np.flatnonzero(~inside)[far], np.asarray(distance)[far])
