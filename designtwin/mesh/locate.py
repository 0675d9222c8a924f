"""Which cell holds a point, and where in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from designtwin import parallel
from designtwin.elements import ELEMENTS
from designtwin.errors import SelectionError
from designtwin.mesh.mesh import Mesh
from designtwin.typing import FloatArray, IntArray

INSIDE = 1e-6
"""Natural coordinates by which a point may be off its cell and still be in it: rounding."""
_CANDIDATES = 8
_CHUNK = 50_000  # points whose candidates are listed at once
_KINDS = {"line": 0, "triangle": 1, "quad": 2, "tetra": 3, "hexahedron": 4, "wedge": 5, "pyramid": 6}


@dataclass(frozen=True, eq=False)
class Location:
    """A point inside a cell: block name, row in the block, cell id, and natural coordinates [dim]."""

    element: str
    row: int
    cell: int
    xi: FloatArray


@dataclass(frozen=True, eq=False)
class Places:
    """Where points lie in a mesh.

    Parameters
    ----------
    cell : int64[n]
        The cell that holds each point, or comes nearest to it; -1 far from all.
    xi : float64[n, 3]
        Natural coordinates; lines use the first, planes the first two.
    off : float64[n]
        How far outside that cell, in natural coordinates; 0 inside, inf far from all.
    """

    cell: IntArray
    xi: FloatArray
    off: FloatArray


@dataclass(frozen=True, eq=False)
class _Table:
    """A cell type as the kernels take it."""

    powers: IntArray
    coefficients: FloatArray
    kind: int
    dimension: int
    center: FloatArray


@lru_cache
def _table(name: str) -> _Table:
    element = ELEMENTS[name]
    given = np.array(element.monomials, np.int64)
    powers = np.zeros((element.n_nodes, 4), np.int64)
    powers[:, : element.dimension] = given[:, : element.dimension]
    if given.shape[1] > element.dimension:
        powers[:, 3] = given[:, -1]
    center = np.zeros(3)
    center[: element.dimension] = element.center[0]
    coefficients = np.ascontiguousarray(element._coefficients)
    return _Table(powers, coefficients, _KINDS[element.linear], element.dimension, center)


def find_cells(mesh: Mesh, points: FloatArray) -> Places:
    """The cell of each point float64[n, 3], m.

    Of cells that share the place any may be given; points slightly outside get the cell nearest to
    holding them. Curved cells are inverted by Newton's method.
    """
    from scipy.spatial import cKDTree

    points = np.array(np.atleast_2d(points), np.float64)
    n = len(points)
    out = Places(np.full(n, -1), np.zeros((n, 3)), np.full(n, np.inf))
    centers = np.ascontiguousarray(mesh.cell_centers)
    tree = cKDTree(centers)
    k = min(_CANDIDATES, mesh.n_cells)
    for start in range(0, n, _CHUNK):
        some = np.arange(start, min(start + _CHUNK, n))
        near = np.asarray(tree.query(points[some], k=k)[1], np.int64).reshape(-1)
        _try(mesh, points, some, np.arange(0, len(near) + 1, k), near, out)
    # Of cells that differ in size the nearest center says little: all whose ball holds the point.
    open_ = np.flatnonzero(out.off > 1e-9)
    if len(open_):
        radius = _radii(mesh, centers)
        for start in range(0, len(open_), _CHUNK):
            some = open_[start : start + _CHUNK]
            _try(mesh, points, some, *_in_balls(centers, radius, points[some]), out)
    return out


def _try(
    mesh: Mesh, points: FloatArray, some: IntArray, first: IntArray, cells: IntArray, out: Places
) -> None:
    """Let points look at candidate cells; better places go into `out`."""
    from designtwin.kernels.locate import containing

    owner = np.repeat(np.arange(len(some)), np.diff(first))
    for name, offset, conn in _blocks(mesh):
        mine = (cells >= offset) & (cells < offset + len(conn))
        if not mine.any():
            continue
        starts = np.searchsorted(owner[mine], np.arange(len(some) + 1))
        table = _table(name)
        row, xi, off = np.full(len(some), -1), out.xi[some], out.off[some]
        parallel.run(
            containing, len(some), points[some], starts, cells[mine] - offset, mesh.points,
            conn, table.powers, table.coefficients, table.kind, table.dimension, table.center,
            row, xi, off, grain=256,
        )  # fmt: skip
        better = row >= 0
        out.cell[some[better]] = row[better] + offset
        out.xi[some[better]], out.off[some[better]] = xi[better], off[better]


def _blocks(mesh: Mesh) -> Iterator[tuple[str, int, IntArray]]:
    for name, conn in mesh.cells.items():
        yield name, mesh.block_offsets[name], conn


def _radii(mesh: Mesh, centers: FloatArray) -> FloatArray:
    """Radius of a ball around each cell, float64[n_cells], m; curved cells bulge a little."""
    out = np.empty(mesh.n_cells)
    for _, offset, conn in _blocks(mesh):
        away = mesh.points[conn] - centers[offset : offset + len(conn), None]
        out[offset : offset + len(conn)] = 1.1 * np.sqrt((away**2).sum(axis=2).max(axis=1))
    return out


def _in_balls(centers: FloatArray, radius: FloatArray, points: FloatArray) -> tuple[IntArray, IntArray]:
    """Cells whose balls hold each point: first [n + 1] and cell ids, ascending."""
    from scipy.spatial import cKDTree

    owners, found = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    step = np.floor(np.log2(np.maximum(radius, 1e-300))).astype(np.int64)
    for value in np.unique(step):  # cells of like size in a tree of their own
        rows = np.flatnonzero(step == value)
        lists = cKDTree(centers[rows]).query_ball_point(points, radius[rows].max(), return_sorted=False)
        count = np.fromiter((len(one) for one in lists), np.int64, len(lists))
        if not count.sum():
            continue
        owner = np.repeat(np.arange(len(points)), count)
        cell = rows[np.concatenate([np.asarray(one, np.int64) for one in lists if one])]
        close = ((points[owner] - centers[cell]) ** 2).sum(axis=1) <= radius[cell] ** 2
        owners.append(owner[close])
        found.append(cell[close])
    owner, cell = np.concatenate(owners), np.concatenate(found)
    order = np.lexsort([cell, owner])
    return np.searchsorted(owner[order], np.arange(len(points) + 1)), cell[order]


def locate(mesh: Mesh, points: FloatArray, *, tolerance: float = 0.02) -> list[Location]:
    """The cell of each point [n, 3], m.

    A point slightly outside (to ``tolerance`` of the cell in natural coordinates) takes the nearest cell.

    Raises
    ------
    SelectionError
        If a point lies outside the mesh; the message gives the nearest node.
    """
    points = np.atleast_2d(np.asarray(points, np.float64))
    places = find_cells(mesh, points)
    found = []
    for point, cell, xi, off in zip(points, places.cell, places.xi, places.off, strict=True):
        if not off <= tolerance:
            used = mesh.used_nodes
            node = used[np.argmin(np.linalg.norm(mesh.points[used] - point, axis=1))]
            raise SelectionError(
                f"point {np.round(point * 1e3, 3).tolist()} mm lies outside the mesh; the nearest node is "
                f"{node} at {np.round(mesh.points[node] * 1e3, 3).tolist()} mm"
            )
        name, _ = mesh.cell(int(cell))
        row = int(cell) - mesh.block_offsets[name]
        found.append(Location(name, row, int(cell), xi[: ELEMENTS[name].dimension]))
    return found
