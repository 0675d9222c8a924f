"""Meshes of equal bricks: solved without matrices, and made of any other mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial import cKDTree

from designtwin.errors import ModelError, SingularSystemError, StudyError
from designtwin.mesh.locate import find_cells
from designtwin.mesh.mesh import Group, Mesh
from designtwin.solvers.voxels import VoxelCG, VoxelFactorization, VoxelSystem
from designtwin.topology.grid import CORNERS, VoxelGrid
from designtwin.typing import BoolArray, FloatArray, IntArray

_OFF = 1e-6
"""Share of an edge by which a node may be off its place: rounding."""
_SAME_SIDE = 0.5
"""Cosine between faces of bricks and of the body below which one does not stand for the other."""
_FILLED = 1e-3
_MOST = 200
"""Iterations at most: a design needs some dozens, one that hangs loose in voids more than factors cost."""
MOST = 20_000_000
"""Bricks of a box at most."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """A mesh of equal bricks as cells and nodes of a box of them.

    Parameters
    ----------
    grid : VoxelGrid
    cell : int64[n_cells]
        The number in the box of each cell of the mesh.
    node : int64[n_points]
        And of each node.
    """

    grid: VoxelGrid
    cell: IntArray
    node: IntArray

    @classmethod
    def of(cls, mesh: Mesh) -> Lattice | None:
        """The box that holds a mesh; None where its cells are not equal bricks along the axes."""
        if len(mesh.cells) != 1 or len(mesh.used_nodes) != mesh.n_points:
            return None
        ((name, conn),) = mesh.cells.items()
        if name not in ("quad", "hexahedron") or (name == "quad" and not mesh.is_plane):
            return None
        d = 2 if name == "quad" else 3
        x = mesh.points[conn][:, :, :d]
        corners = np.array([corner[:d] for corner in CORNERS[: 2**d]], np.float64)
        edges = x[0, {2: 2, 3: 6}[d]] - x[0, 0]
        if not (edges > 0.0).all():
            return None
        if np.abs(x - x[:, :1] - corners * edges).max() > _OFF * edges.min():
            return None
        low, high = mesh.extents[:, :d]
        counts = np.round((high - low) / edges).astype(np.int64)
        steps = (mesh.points[:, :d] - low) / edges
        places = np.round(steps).astype(np.int64)
        if np.abs(steps - places).max() > _OFF * counts.max() or np.prod(counts) > MOST:
            return None
        node = places @ np.cumprod([1, *(counts[:-1] + 1)])
        cell = places[conn[:, 0]] @ np.cumprod([1, *counts[:-1]])
        if len(np.unique(node)) < len(node) or len(np.unique(cell)) < len(cell):
            return None
        grid = VoxelGrid(
            tuple(int(n) for n in counts), tuple(float(h) for h in edges), tuple(float(x) for x in low)
        )
        return cls(grid, cell, node)

    def system(self, matrix: FloatArray, tensor: FloatArray, held: BoolArray) -> VoxelSystem | None:
        """The equations of the box, with a cell's own matrix in VTK's order; None where it is lopsided.

        Parameters
        ----------
        matrix : float64[n, n]
            Of a cell at full weight.
        tensor : float64[6, 6] or float64[3, 3]
        held : bool[n_points, d]
            Components of the mesh's nodes that are zero.
        """
        d = self.grid.dimension
        order = [CORNERS.index((*c, 0) if d == 2 else c) for c in product((0, 1), repeat=d)]
        rows = (np.array(order)[:, None] * d + np.arange(d)).ravel()
        whole = np.zeros((self.grid.n_nodes, d), bool)
        whole[self.node] = held
        try:
            return VoxelSystem(
                counts=self.grid.counts,
                spacing=self.grid.edges,
                tensor=tensor,
                held=whole,
                matrix=np.ascontiguousarray(matrix[np.ix_(rows, rows)]),
            )
        except (ModelError, SingularSystemError):
            return None  # skew materials, and supports that the general way tells more of

    def spread(self, field: FloatArray) -> FloatArray:
        """Values at the mesh's nodes [n_points, 3] on all nodes of the box [n_nodes, d]."""
        d = self.grid.dimension
        out = np.zeros((self.grid.n_nodes, d))
        out[self.node] = field[:, :d]
        return out

    def taken(self, field: FloatArray) -> FloatArray:
        """Values on the nodes of the box [n_nodes, d] at the mesh's nodes [n_points, 3]."""
        out = np.zeros((len(self.node), 3))
        out[:, : field.shape[1]] = field[self.node]
        return out


@dataclass(frozen=True, eq=False)
class OnLattice:
    """A design of a lattice, set up: solves for loads, as long as its weights hold."""

    lattice: Lattice
    made: VoxelFactorization

    @classmethod
    def of(cls, lattice: Lattice, system: VoxelSystem, weight: FloatArray) -> OnLattice:
        """Levels for the weights of the mesh's cells; what the mesh leaves out of its box is empty."""
        modulus = np.zeros(lattice.grid.n_cells)
        modulus[lattice.cell] = weight
        return cls(lattice, VoxelCG(max_iterations=_MOST).factorize(system, modulus))

    def solve(self, forces: Sequence[FloatArray]) -> list[FloatArray]:
        """Displacements [n_points, 3] of nodal forces [n_points, 3]."""
        f = np.stack([self.lattice.spread(one) for one in forces], axis=-1)
        x = self.made.solve(f).x
        return [self.lattice.taken(np.ascontiguousarray(x[..., i])) for i in range(len(forces))]

    def adjoint(self, slope: FloatArray) -> FloatArray:
        """psi with K psi = slope, 0 where u is held."""
        return self.solve([slope])[0]


def voxelized(mesh: Mesh, size: float) -> Mesh:
    """Equal cubes (squares) whose centers lie in a mesh, with its groups.

    Where some would hang together by an edge or a corner alone, the gaps there are filled: the outside is
    one that can be made.

    Parameters
    ----------
    mesh : Mesh
        Solid or plane cells.
    size : float
        Of a cube, m; the box of whole cubes that is nearest to that of the mesh lies in its middle.

    Raises
    ------
    StudyError
        If there would be none, or too many.
    """
    d = mesh.dimension
    low, high = mesh.extents[:, :d]
    thinnest = float((high - low).min())
    if size > 1.5 * thinnest:
        raise StudyError(f"a grid of {size:g} m is coarser than the part, {thinnest:g} m at its thinnest")
    counts = np.maximum(np.round((high - low) / size), 1).astype(np.int64)
    if np.prod(counts.astype(np.float64)) > MOST:
        raise StudyError(
            f"a grid of {size:g} m makes {np.prod(counts.astype(float)):,.0f} cells; take a larger one"
        )
    # Equal edges, or diagonals lean less than the 45 degrees that print; symmetry wants the same middle.
    corner = 0.5 * (low + high - counts * size)
    grid = VoxelGrid(tuple(int(n) for n in counts), size, tuple(float(x) for x in corner))
    centers = np.zeros((grid.n_cells, 3))
    centers[:, :d] = grid.centers
    found = find_cells(mesh, centers)
    inside = (found.cell >= 0) & (found.off <= _FILLED)
    if not inside.any():
        raise StudyError(f"no cell of a grid of {size:g} m has its center in the part; take a smaller one")
    filled = _unpinched(inside.reshape(grid.counts[::-1])).ravel()
    parent = found.cell.copy()
    added = np.flatnonzero(filled & ~inside)
    parent[added] = parent[inside][cKDTree(centers[inside]).query(centers[added])[1]]
    made, parent = grid.mesh(filled), parent[filled]
    exterior = made.exterior
    vectors, at = made.facet_vectors(exterior)
    face_of = _nearest_faces(mesh, at, vectors, 1.5 * max(grid.edges))
    groups = {}
    for name, group in mesh.groups.items():
        cells = facets = nodes = None
        if group.cells is not None:
            cells = np.flatnonzero(np.isin(parent, group.cells))
        if group.facets is not None:
            keys = group.facets @ np.array([8, 1])
            facets = exterior[np.isin(face_of, keys)]
        if group.nodes is not None:
            off, nearest = cKDTree(made.points).query(mesh.points[group.nodes])
            nodes = np.unique(nearest[off <= max(grid.edges)])
        groups[name] = Group(nodes, facets, cells)
    return made.with_groups(groups)


def _unpinched(solid: BoolArray) -> BoolArray:
    """Cubes [nz, ny, nx] or squares [ny, nx], and those that join what would touch at an edge or a corner.

    Around a node both what is solid and what is not must be in one piece, by faces; else the gaps with most
    solid faces are filled.
    """
    d = solid.ndim
    corners = list(product((0, 1), repeat=d))
    beside = np.array([[sum(map(abs, np.subtract(a, b))) <= 1 for b in corners] for a in corners])

    def in_pieces(some: BoolArray) -> bool:
        reached = np.zeros(len(corners), bool)
        reached[np.argmax(some)] = some.any()
        for _ in corners:
            reached = (beside & reached).any(axis=1) & some
        return bool((reached != some).any())

    patterns = np.array(list(product((False, True), repeat=len(corners))))
    faces = np.where(patterns, -1, patterns.astype(int) @ beside)
    gaps = faces == faces.max(axis=1, keepdims=True)
    gaps &= np.array([in_pieces(one) or in_pieces(~one) for one in patterns])[:, None]
    around = [tuple(slice(o, o + n + 1) for o, n in zip(c, solid.shape, strict=True)) for c in corners]
    out = np.pad(solid, 1)
    while True:
        number = np.zeros(np.add(solid.shape, 1), np.int64)
        for where in around:
            number = 2 * number + out[where]
        fill = gaps[number]
        if not fill.any():
            return np.asarray(out[(slice(1, -1),) * d])
        for i, where in enumerate(around):
            out[where] |= fill[..., i]


def _nearest_faces(mesh: Mesh, at: FloatArray, vectors: FloatArray, reach: float) -> IntArray:
    """Facet of a mesh (8 cell + local facet) that each face stands for, -1 for none.

    The nearest that looks the same way: sampled at the middles of facets.
    """
    own = mesh.exterior
    theirs, middles = mesh.facet_vectors(own)
    unit = theirs / np.maximum(np.linalg.norm(theirs, axis=1), 1e-300)[:, None]
    mine = vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-300)[:, None]
    largest = (
        float(np.sqrt(np.linalg.norm(theirs, axis=1).max()))
        if mesh.dimension == 3
        else float(np.linalg.norm(theirs, axis=1).max())
    )
    many = min(24, len(own))
    off, near = cKDTree(middles).query(at, k=many)
    off, near = off.reshape(len(at), -1), near.reshape(len(at), -1)
    # How far a face is from the plane of a facet, where it looks its way and lies over it.
    gap = np.abs(np.einsum("fka,fka->fk", at[:, None] - middles[near], unit[near]))
    fits = (
        (np.einsum("fa,fka->fk", mine, unit[near]) > _SAME_SIDE) & (off <= reach + largest) & (gap <= reach)
    )
    cost = np.where(fits, off, np.inf)
    best = np.argmin(cost, axis=1)
    rows = np.arange(len(at))
    key = own[near[rows, best]] @ np.array([8, 1])
    return np.where(np.isfinite(cost[rows, best]), key, -1)
