"""Which cell holds a point, and where in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtwin.elements import ELEMENTS, ReferenceElement
from designtwin.errors import SelectionError
from designtwin.mesh.mesh import Mesh
from designtwin.typing import FloatArray

_CANDIDATES = 24


@dataclass(frozen=True, eq=False)
class Location:
    """A point inside a cell: block name, row in the block, cell id, and natural coordinates [dim]."""

    element: str
    row: int
    cell: int
    xi: FloatArray


def locate(mesh: Mesh, points: FloatArray, *, tolerance: float = 0.02) -> list[Location]:
    """The cell of each point [n, 3], m.

    A point slightly outside (to ``tolerance`` of the cell in natural coordinates) takes the nearest cell.

    Raises
    ------
    SelectionError
        If a point lies outside the mesh; the message gives the nearest node.
    """
    from scipy.spatial import cKDTree

    points = np.atleast_2d(np.asarray(points, np.float64))
    tree = cKDTree(mesh.cell_centers)
    _, near = tree.query(points, k=min(_CANDIDATES, mesh.n_cells))
    near = np.asarray(near).reshape(len(points), -1)
    found = []
    for point, candidates in zip(points, near, strict=True):
        best: tuple[float, Location] | None = None
        for cell_id in candidates:
            name, conn = mesh.cell(int(cell_id))
            xi, outside = _inverse(ELEMENTS[name], mesh.points[conn], point)
            if best is None or outside < best[0]:
                row = int(cell_id) - mesh.block_offsets[name]
                best = (outside, Location(name, row, int(cell_id), xi))
            if outside <= 1e-9:
                break
        if best is None or best[0] > tolerance:
            used = mesh.used_nodes
            node = used[np.argmin(np.linalg.norm(mesh.points[used] - point, axis=1))]
            raise SelectionError(
                f"point {np.round(point * 1e3, 3).tolist()} mm lies outside the mesh; the nearest node is "
                f"{node} at {np.round(mesh.points[node] * 1e3, 3).tolist()} mm"
            )
        found.append(best[1])
    return found


def _inverse(element: ReferenceElement, x: FloatArray, point: FloatArray) -> tuple[FloatArray, float]:
    """Natural coordinates of a point by Newton, and how far outside the reference cell they lie."""
    xi = element.center[0].copy()
    for _ in range(12):
        error = element.shape(xi)[0] @ x - point
        jacobian = np.einsum("na,nd->ad", x, element.gradient(xi)[0])
        step = np.linalg.lstsq(jacobian, error, rcond=None)[0]
        # A bounded step keeps curved cells from throwing the iterate away.
        xi = xi - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-12:
            break
    size = max(float(np.ptp(x, axis=0).max()), 1e-300)
    miss = float(np.linalg.norm(element.shape(xi)[0] @ x - point)) / size
    return xi, max(_outside(element, xi), miss)


def _outside(element: ReferenceElement, xi: FloatArray) -> float:
    """Largest violation of the reference cell's bounds."""
    kind = element.linear
    if kind in ("line", "quad", "hexahedron"):
        return float(max(np.abs(xi).max() - 1.0, 0.0))
    if kind in ("triangle", "tetra"):
        return float(max(-xi.min(), xi.sum() - 1.0, 0.0))
    if kind == "wedge":
        return float(max(-xi[:2].min(), xi[:2].sum() - 1.0, abs(xi[2]) - 1.0, 0.0))
    return float(max(-xi[2], np.abs(xi[:2]).max() - (1.0 - xi[2]), 0.0))
