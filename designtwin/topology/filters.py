"""From design variables to physical densities: linear filters that give a length scale, and projection.

A filter is applied by calling it; `adjoint` carries slopes the other way. Cells of a voxel grid are numbered
x first, then y, then z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy import fft, sparse
from scipy.spatial import cKDTree

from designtwin import parallel
from designtwin.elements import ELEMENTS
from designtwin.errors import StudyError
from designtwin.mesh.mesh import Mesh
from designtwin.solvers.choice import choose_solver
from designtwin.solvers.solution import Factorization
from designtwin.solvers.system import MatrixTerm, System
from designtwin.typing import BoolArray, FloatArray, IntArray, SparseMatrix

_AT_ONCE = 20_000  # cells whose matrices are made together


class Filter(Protocol):
    """A linear map of cell values, whose rows sum to 1."""

    def __call__(self, values: FloatArray) -> FloatArray:
        """Filtered values, float64[n_cells]."""

    def adjoint(self, slopes: FloatArray) -> FloatArray:
        """Slopes by the values before the filter, from those by the values after it; float64[n_cells]."""


def _checked(radius: float) -> float:
    if not 0.0 < radius < math.inf:
        raise StudyError(f"the radius of the filter is {radius}; a positive length is wanted")
    return float(radius)


@dataclass(frozen=True, eq=False)
class MatrixFilter:
    """A filter that is a sparse matrix; rows sum to 1."""

    weights: SparseMatrix

    def __call__(self, values: FloatArray) -> FloatArray:
        """Filtered values, float64[n_cells]."""
        return np.asarray(self.weights @ values)

    def adjoint(self, slopes: FloatArray) -> FloatArray:
        """Slopes by the values before the filter, float64[n_cells]."""
        return np.asarray(self._transposed @ slopes)

    @cached_property
    def _transposed(self) -> SparseMatrix:
        return self.weights.T.tocsr()


def cone_filter(centers: FloatArray, volumes: FloatArray, radius: float) -> MatrixFilter:
    """Mean over a ball, weighted by volume and by how near a cell's center is: max(0, radius - distance).

    Parameters
    ----------
    centers : float64[n_cells, 2 or 3]
        m.
    volumes : float64[n_cells]
        m^3 (or areas).
    radius : float
        m. Below the distance of neighbors the filter changes nothing.

    Raises
    ------
    StudyError
        If the radius is not positive.

    Source: Bruns & Tortorelli, Comput. Methods Appl. Mech. Engrg. 190 (2001), 3443-3459.
    """
    radius = _checked(radius)
    pairs = cKDTree(centers).query_pairs(radius, output_type="ndarray")
    near = radius - np.linalg.norm(centers[pairs[:, 0]] - centers[pairs[:, 1]], axis=1)
    n = len(centers)
    weights = sparse.coo_array((near, (pairs[:, 0], pairs[:, 1])), shape=(n, n)).tocsr()
    weights = (weights + weights.T + radius * sparse.eye_array(n)) @ sparse.diags_array(volumes)
    return MatrixFilter(sparse.csr_array(sparse.diags_array(1.0 / weights.sum(axis=1)) @ weights))


@dataclass(frozen=True, eq=False)
class GridConeFilter:
    """`cone_filter` on a voxel grid, without a matrix.

    Parameters
    ----------
    counts : (nx, ny) or (nx, ny, nz)
        Voxels.
    radius : float
        m.
    spacing : float or sequence of float
        Edges of a voxel, m.
    active : bool[n_cells], optional
        Voxels that are part of the design; others give nothing and stay as they are.
    """

    counts: Sequence[int]
    radius: float
    spacing: float | Sequence[float] = 1.0
    active: BoolArray | None = None

    def __post_init__(self) -> None:
        _checked(self.radius)

    def __call__(self, values: FloatArray) -> FloatArray:
        """Filtered values, float64[n_cells]."""
        if self.active is None:
            return self._summed(values) / self._total
        inside = self._summed(np.where(self.active, values, 0.0)) / self._total
        return np.where(self.active, inside, values)

    def adjoint(self, slopes: FloatArray) -> FloatArray:
        """Slopes by the values before the filter, float64[n_cells]."""
        if self.active is None:
            return self._summed(slopes / self._total)
        inside = self._summed(np.where(self.active, slopes, 0.0) / self._total)
        return np.where(self.active, inside, slopes)

    @cached_property
    def _total(self) -> FloatArray:
        """Sum of the weights of each voxel; 1 for one that is not active."""
        n_cells = math.prod(self.counts)
        there = np.ones(n_cells) if self.active is None else np.asarray(self.active, np.float64)
        total = self._summed(there)
        return total if self.active is None else np.where(self.active, total, 1.0)

    @cached_property
    def _cone(self) -> tuple[IntArray, FloatArray]:
        """Steps to neighbors, int64[n, 3], and their weights."""
        dimension = len(self.counts)
        edges = np.broadcast_to(np.asarray(self.spacing, np.float64), dimension)
        reach = [int(self.radius / edge) for edge in edges]
        ranges = [np.arange(-r, r + 1) for r in reach] + [np.zeros(1, np.int64)] * (3 - dimension)
        # z slowest, x fastest: sums run through memory in order
        steps = np.stack(np.meshgrid(*ranges[::-1], indexing="ij"), axis=-1).reshape(-1, 3)[:, ::-1]
        weights = self.radius - np.sqrt(((steps[:, :dimension] * edges) ** 2).sum(axis=1))
        kept = weights > 0.0
        return np.ascontiguousarray(steps[kept], np.int64), weights[kept]

    def _summed(self, values: FloatArray) -> FloatArray:
        from designtwin.kernels import voxels_filter

        nx, ny = self.counts[:2]
        steps, weights = self._cone
        rows = np.ascontiguousarray(values, np.float64).reshape(-1, nx)
        out = np.empty_like(rows)
        parallel.run(voxels_filter.convolve, len(rows), ny, steps, weights, rows, out, grain=8)
        return out.ravel()


@dataclass(frozen=True, eq=False)
class _HelmholtzFilter:
    """Cells to nodes, the inverse of r^2 (-laplacian) + 1, nodes to cells."""

    to_nodes: SparseMatrix
    volumes: FloatArray
    inverse: Factorization

    def __call__(self, values: FloatArray) -> FloatArray:
        """Filtered values, float64[n_cells]."""
        return np.asarray(self.to_nodes.T @ self.inverse.solve(self.to_nodes @ values).x) / self.volumes

    def adjoint(self, slopes: FloatArray) -> FloatArray:
        """Slopes by the values before the filter, float64[n_cells]."""
        return np.asarray(self.to_nodes.T @ self.inverse.solve(self.to_nodes @ (slopes / self.volumes)).x)


def helmholtz_filter(mesh: Mesh, radius: float) -> Filter:
    """The solution of -r^2 laplacian(y) + y = x with no flux through the surface, as means over cells.

    Needs no neighbors, so it costs the same for any radius and does not reach across gaps of the part.

    Parameters
    ----------
    mesh : Mesh
        Of solids, or of plane cells in z = 0.
    radius : float
        m, of the cone filter that spreads as far: r = radius / (2 sqrt(3)).

    Raises
    ------
    StudyError
        If the radius is not positive, or cells are lines or surfaces in space.

    Source: Lazarov & Sigmund, Filters in topology optimization based on Helmholtz-type differential
    equations, Int. J. Numer. Methods Engrg. 86 (2011), 765-781.
    """
    length = _checked(radius) / (2.0 * math.sqrt(3.0))
    n, volumes = mesh.n_points, mesh.cell_measures(order="mass")
    matrices, sources = [sparse.csr_array((n, n))], [sparse.csr_array((n, mesh.n_cells))]
    for name, ids, conn in mesh.blocks():
        shape, gradient, weight = ELEMENTS[name].tables(ELEMENTS[name].mass_quadrature)
        dimension = gradient.shape[2]
        if dimension == 1 or (dimension == 2 and mesh.points[conn][..., 2].any()):
            raise StudyError(
                f"the Helmholtz filter takes solids or plane cells in z = 0; '{name}' are neither"
            )
        size = conn.shape[1]
        for first in range(0, len(ids), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            nodes = conn[part]
            jacobian = np.einsum("cna,qnd->cqad", mesh.points[nodes][..., :dimension], gradient)
            slope = np.einsum("qnd,cqda->cqna", gradient, np.linalg.inv(jacobian))
            volume = np.linalg.det(jacobian) * weight
            local = length**2 * np.einsum("cqna,cqma,cq->cnm", slope, slope, volume)
            local += np.einsum("qn,qm,cq->cnm", shape, shape, volume)
            rows, columns = np.repeat(nodes, size, axis=1), np.tile(nodes, (1, size))
            matrices.append(
                sparse.coo_array((local.ravel(), (rows.ravel(), columns.ravel())), shape=(n, n)).tocsr()
            )
            share = np.einsum("qn,cq->cn", shape, volume)
            at = (nodes.ravel(), np.repeat(ids[part], size))
            sources.append(sparse.coo_array((share.ravel(), at), shape=(n, mesh.n_cells)).tocsr())
    used = np.zeros(n, np.bool_)
    used[mesh.used_nodes] = True
    system = System(terms=(MatrixTerm(sum(matrices[1:], matrices[0])),), block=1, free=used)
    inverse = choose_solver(system).factorize(system)
    return _HelmholtzFilter(sum(sources[1:], sources[0]), volumes, inverse)


@dataclass(frozen=True, eq=False)
class GridHelmholtzFilter:
    """The same on a voxel grid that is full: by cosines, exactly, in the time of two transforms.

    Parameters
    ----------
    counts : (nx, ny) or (nx, ny, nz)
        Voxels.
    radius : float
        m, of the cone filter that spreads as far.
    spacing : float or sequence of float
        Edges of a voxel, m.
    """

    counts: Sequence[int]
    radius: float
    spacing: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        _checked(self.radius)

    def __call__(self, values: FloatArray) -> FloatArray:
        """Filtered values, float64[n_cells]."""
        cosines = fft.dctn(np.reshape(values, self.counts[::-1]), norm="ortho")
        return np.asarray(fft.idctn(cosines / self._divisor, norm="ortho")).ravel()

    def adjoint(self, slopes: FloatArray) -> FloatArray:
        """Slopes by the values before the filter: the filter is symmetric."""
        return self(slopes)

    @cached_property
    def _divisor(self) -> FloatArray:
        edges = np.broadcast_to(np.asarray(self.spacing, np.float64), len(self.counts))
        total: FloatArray = np.ones(())
        for n, edge in zip(self.counts, edges, strict=True):  # x comes out last: the fastest
            waves = 2.0 - 2.0 * np.cos(np.pi * np.arange(n) / n)
            total = total[None] + (self.radius**2 / 12.0 * waves / edge**2).reshape(-1, *(1,) * total.ndim)
        return total


def filtered_slopes(filter: Filter, design: FloatArray, slopes: FloatArray) -> FloatArray:
    """The sensitivity filter: slopes of the objective, weighted by density and smoothed.

    No slopes of any function: a heuristic that gives a length scale with the densities left as they are. For
    comparison with older results.

    Source: Sigmund, Mechanics of Structures and Machines 25 (1997), 493-524; Andreassen et al. (2011), eq. 8.
    """
    return filter(design * slopes) / np.maximum(1e-3, design)


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Smooth step at `threshold`: densities below it go to 0, above it to 1.

    Parameters
    ----------
    sharpness : float
        beta; near 0 nothing changes, from 32 on almost all is 0 or 1.
    threshold : float or float64[n_cells]
        eta, between 0 and 1. A minimum length of solid and void comes with a threshold above 0.5 for the
        stiffness (an eroded design) and one below for the volume (a dilated one).

    Source: Wang, Lazarov & Sigmund, Structural and Multidisciplinary Optimization 43 (2011), 767-784, eq. 9.
    """

    sharpness: float
    threshold: float | FloatArray = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.sharpness < math.inf:
            raise StudyError(
                f"the sharpness of a projection is {self.sharpness}; a positive number is wanted"
            )
        if not np.all((self.threshold > 0.0) & (self.threshold < 1.0)):
            raise StudyError(f"the threshold of a projection is {self.threshold}; it is between 0 and 1")

    def __call__(self, values: FloatArray) -> FloatArray:
        """Projected densities, of the shape of `values`."""
        beta, eta = self.sharpness, self.threshold
        low = np.tanh(beta * eta)
        return np.asarray((low + np.tanh(beta * (values - eta))) / (low + np.tanh(beta * (1.0 - eta))))

    def derivative(self, values: FloatArray) -> FloatArray:
        """Slope of the projection at each of `values`."""
        beta, eta = self.sharpness, self.threshold
        scale = np.tanh(beta * eta) + np.tanh(beta * (1.0 - eta))
        return np.asarray(beta * (1.0 - np.tanh(beta * (values - eta)) ** 2) / scale)

    @classmethod
    def keeping_volume(cls, values: FloatArray, volumes: FloatArray, *, sharpness: float) -> Projection:
        """The projection whose threshold keeps the volume of `values`, found by bisection.

        Source: Xu, Cai & Cheng, Structural and Multidisciplinary Optimization 41 (2010), 495-505.
        """
        wanted = float((volumes * values).sum())
        low, high = 1e-6, 1.0 - 1e-6
        for _ in range(50):
            middle = 0.5 * (low + high)
            if float((volumes * cls(sharpness=sharpness, threshold=middle)(values)).sum()) > wanted:
                low = middle  # too much: the threshold rises
            else:
                high = middle
        return cls(sharpness=sharpness, threshold=0.5 * (low + high))
