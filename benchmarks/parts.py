"""Meshes of the benchmarks: a bracket of tetrahedra by gmsh, an L of hexahedra, uniform refinement.

Written once to a cache folder as npz with `points` (m) and `cells`; node order is VTK's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIZES = {"36k": 5.0, "111k": 3.1, "324k": 2.13, "1M": 1.38, "3M": 0.945}
"""Cell size in mm of the bracket by the DOFs it gives as tet10, roughly."""
EDGES = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))


def bracket(h: float) -> tuple[np.ndarray, np.ndarray]:
    """L-bracket with rib and six holes, straight quadratic tetrahedra of size h in mm."""
    import gmsh

    gmsh.initialize()
    try:
        gmsh.option.setNumber("General.Verbosity", 1)
        occ = gmsh.model.occ
        foot, wall = occ.addBox(0, 0, 0, 100, 60, 12), occ.addBox(0, 0, 0, 12, 60, 80)
        corners = [occ.addPoint(*p) for p in ((12, 26, 12), (70, 26, 12), (12, 26, 60))]
        lines = [occ.addLine(corners[i], corners[(i + 1) % 3]) for i in range(3)]
        surface = occ.addPlaneSurface([occ.addCurveLoop(lines)])
        rib = next(tag for dimension, tag in occ.extrude([(2, surface)], 0, 8, 0) if dimension == 3)
        body = occ.fuse([(3, foot)], [(3, wall), (3, rib)])[0]
        holes = [occ.addCylinder(x, y, -1, 0, 0, 14, 5) for x in (45, 85) for y in (14, 46)]
        holes += [occ.addCylinder(-1, y, 68, 14, 0, 0, 5) for y in (15, 45)]
        occ.cut(body, [(3, tag) for tag in holes])
        occ.synchronize()
        for name, value in (
            ("MeshSizeMax", h), ("MeshSizeMin", 0.5 * h), ("MeshSizeFromCurvature", 0), ("Algorithm3D", 1),
            ("SecondOrderLinear", 1),
        ):  # fmt: skip
            gmsh.option.setNumber(f"Mesh.{name}", value)
        gmsh.option.setNumber("General.NumThreads", 2)
        gmsh.model.mesh.generate(3)
        gmsh.model.mesh.setOrder(2)
        tags, xyz, _ = gmsh.model.mesh.getNodes()
        _, _, (nodes,) = gmsh.model.mesh.getElements(3)
    finally:
        gmsh.finalize()
    number = np.full(int(tags.max()) + 1, -1)
    number[tags.astype(np.int64)] = np.arange(len(tags))
    cells = number[nodes.astype(np.int64)].reshape(-1, 10)[:, [0, 1, 2, 3, 4, 5, 6, 7, 9, 8]]
    return _packed(xyz.reshape(-1, 3) * 1e-3, cells)


def _packed(points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = np.unique(cells)
    number = np.full(len(points), -1)
    number[used] = np.arange(len(used))
    return points[used], number[cells]


def split(cells: np.ndarray) -> np.ndarray:
    """Every tet10 as eight tet4 on the same nodes."""
    a, b, c, d, ab, bc, ca, ad, bd, cd = (cells[:, i] for i in range(10))
    eight = (
        (a, ab, ca, ad), (ab, b, bc, bd), (ca, bc, c, cd), (ad, bd, cd, d),
        (ab, ca, ad, bd), (ab, bc, ca, bd), (cd, bd, ca, bc), (cd, ca, bd, ad),
    )  # fmt: skip
    return np.stack([np.stack(one, axis=1) for one in eight], axis=1).reshape(-1, 4)


def quadratic(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tet4 with a node in the middle of every edge."""
    n = len(points)
    keys = np.concatenate(
        [corners[:, [i, j]].min(axis=1) * n + corners[:, [i, j]].max(axis=1) for i, j in EDGES]
    )
    edges, number = np.unique(keys, return_inverse=True)
    middle = 0.5 * (points[edges // n] + points[edges % n])
    return np.concatenate([points, middle]), np.column_stack([corners, n + number.reshape(6, -1).T])


def _straight(points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with mid nodes exactly between corners."""
    points = points.copy()
    for k, (i, j) in enumerate(EDGES):
        points[cells[:, 4 + k]] = 0.5 * (points[cells[:, i]] + points[cells[:, j]])
    return points, cells


def ell(h: float) -> tuple[np.ndarray, np.ndarray]:
    """L of a foot 100 x 60 x 12 and a wall 12 x 60 x 80 mm, cubes of about h mm."""
    thick = max(1, round(12 / h))
    nx, ny, nz = (max(1, round(length * thick / 12)) for length in (100, 60, 80))
    shape = np.array([nx, ny, nz])
    i, j, k = (a.ravel() for a in np.meshgrid(*(np.arange(s) for s in shape), indexing="ij"))
    keep = (k < thick) | (i < thick)
    i, j, k = i[keep], j[keep], k[keep]

    def node(di: int, dj: int, dk: int) -> np.ndarray:
        return ((k + dk) * (ny + 1) + j + dj) * (nx + 1) + i + di

    around = ((0, 0), (1, 0), (1, 1), (0, 1))
    cells = np.stack([node(di, dj, dk) for dk in (0, 1) for di, dj in around], axis=1)
    z, y, x = np.meshgrid(*(np.arange(s + 1) / s for s in (nz, ny, nx)), indexing="ij")
    points = np.stack([x.ravel() * 0.1, y.ravel() * 0.06, z.ravel() * 0.08], axis=1)
    return _packed(points, cells)


def _tet10(h: float) -> tuple[np.ndarray, np.ndarray]:
    return _straight(*bracket(h))


def _tet4(h: float) -> tuple[np.ndarray, np.ndarray]:
    points, cells = _tet10(h)
    return points, split(cells)


def _fine(h: float) -> tuple[np.ndarray, np.ndarray]:
    """Tet10 of half the size by uniform refinement: gmsh would take longer than the solve."""
    points, cells = _tet10(h)
    return quadratic(points, split(cells))


MAKE: dict[str, Callable[[float], tuple[np.ndarray, np.ndarray]]] = {
    "tet10": _tet10, "tet4": _tet4, "hex8": ell, "tet10-refined": _fine,
}  # fmt: skip


def mesh(kind: str, h: float, cache: Path, given: Path | None = None) -> Path:
    """Path of the npz, made unless there; `given` is a folder of npz (points, conn) named by size."""
    path = cache / f"{kind}-{h:g}.npz"
    if path.exists():
        return path
    label = next((name for name, size in SIZES.items() if size == h), "")
    if kind == "tet10" and given is not None and (given / f"{label}.npz").exists():
        stored = np.load(given / f"{label}.npz")
        points, cells = _straight(stored["points"], stored["conn"])
    else:
        points, cells = MAKE[kind](h)
    cache.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, points=points, cells=cells)
    os.replace(temporary, path)
    return path
