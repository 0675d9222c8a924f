"""Small structured meshes of every element type, with named sides.

``box("tetra10", 3, (2.0, 1.0, 1.0))`` fills a box, ``rectangle("quad8", (4, 2))`` a rectangle, ``bar(5)`` a
line, ``block(element, ...)`` whichever fits the element's dimension. Sides are facet groups ``xmin``,
``xmax``, ``ymin`` ... and all cells are the cell group ``body``. Lengths are meters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.mesh import Group, Mesh
from designtwin.typing import FloatArray, IntArray

SOLIDS = (
    "tetra", "tetra10", "hexahedron", "hexahedron20", "wedge", "wedge15", "pyramid", "pyramid13",
)  # fmt: skip
PLANES = ("triangle", "triangle6", "quad", "quad8")
BLOCKS = (*PLANES, *SOLIDS)

_HEX_OUTWARD = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))
# Kuhn's six tetrahedra of a cube around the diagonal 0-6: they match from cube to cube.
_KUHN = ((0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6))


def box(
    element: str,
    n: int | Sequence[int] = 2,
    size: Sequence[float] = (1.0, 1.0, 1.0),
    *,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    distort: float = 0.0,
    seed: int = 0,
    shape: Callable[[FloatArray], FloatArray] | None = None,
) -> Mesh:
    """A box of one solid element type.

    Parameters
    ----------
    element : str
        One of ``SOLIDS``.
    n : int or (nx, ny, nz)
        Cubes along each axis; a cube is 1 hexahedron, 2 wedges, 6 tetrahedra or 6 pyramids.
    size, origin : [3]
        m.
    distort : float
        Interior corners move at random by up to this share of the cell size (0.15 is safe, 0.25 is rough);
        mid-side nodes stay in the middle of their edges.
    shape : callable, optional
        Map of points [n, 3] -> [n, 3], applied last to all nodes: bends edges, so mid nodes follow the map.
    """
    return _block(element, 3, n, size, origin, distort, seed, shape)


def rectangle(
    element: str,
    n: int | Sequence[int] = 2,
    size: Sequence[float] = (1.0, 1.0),
    *,
    origin: Sequence[float] = (0.0, 0.0),
    distort: float = 0.0,
    seed: int = 0,
    shape: Callable[[FloatArray], FloatArray] | None = None,
) -> Mesh:
    """A rectangle in z = 0 of one plane element type; see ``box``."""
    return _block(element, 2, n, size, origin, distort, seed, shape)


def bar(n: int = 1, length: float = 1.0, *, element: str = "line") -> Mesh:
    """A line along x with node groups ``xmin`` and ``xmax``."""
    points = np.zeros((n + 1, 3))
    points[:, 0] = np.linspace(0.0, length, n + 1)
    conn = np.column_stack([np.arange(n), np.arange(1, n + 1)])
    points, conn = elevate(points, conn, element)
    groups = {
        "xmin": Group(nodes=np.array([0])),
        "xmax": Group(nodes=np.array([n])),
        "body": Group(cells=np.arange(n)),
    }
    return Mesh(points, {element: conn}, groups, source=f"bar of {element}")


def block(
    element: str, n: int | Sequence[int] = 2, size: Sequence[float] = (1.0, 1.0, 1.0), **options: object
) -> Mesh:
    """``box`` or ``rectangle`` (of the first two sizes), whichever fits the element."""
    if ELEMENTS[element].dimension == 3:
        return box(element, n, size, **options)  # type: ignore[arg-type]
    if "origin" in options:
        options["origin"] = options["origin"][:2]  # type: ignore[index]
    return rectangle(element, n if isinstance(n, int) else n[:2], size[:2], **options)  # type: ignore[arg-type]


def elevate(points: FloatArray, conn: IntArray, element: str) -> tuple[FloatArray, IntArray]:
    """Add the mid-side nodes that the element wants to a mesh of its corners."""
    edges = np.array(ELEMENTS[element].edges, np.int64).reshape(-1, 2)
    if not len(edges):
        return points, conn
    pairs = np.sort(conn[:, edges].reshape(-1, 2), axis=1)
    unique, number = np.unique(pairs, axis=0, return_inverse=True)
    mids = points[unique].mean(axis=1)
    return np.concatenate([points, mids]), np.column_stack(
        [conn, len(points) + number.reshape(len(conn), len(edges))]
    )


def merged(*meshes: Mesh, tolerance: float = 1e-9) -> Mesh:
    """One mesh of several, coincident nodes joined; groups of one name unite."""
    points = np.concatenate([m.points for m in meshes])
    _, keep, number = np.unique(
        np.round(points / tolerance).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    number = number.reshape(-1)
    return _joined(meshes, points[keep], number)


def apart(*meshes: Mesh) -> Mesh:
    """One mesh of several, no node joined."""
    points = np.concatenate([m.points for m in meshes])
    return _joined(meshes, points, np.arange(len(points)))


def _joined(meshes: Sequence[Mesh], points: FloatArray, number: IntArray) -> Mesh:
    parts: dict[str, list[IntArray]] = {}
    where: list[dict[str, int]] = []
    first = 0
    for mesh in meshes:
        rows = {}
        for name, conn in mesh.cells.items():
            rows[name] = sum(len(c) for c in parts.get(name, []))
            parts.setdefault(name, []).append(number[conn + first])
        where.append(rows)
        first += mesh.n_points
    cells = {name: np.concatenate(conn) for name, conn in parts.items()}
    out = Mesh(points, cells)
    groups: dict[str, Group] = {}
    first = 0
    for mesh, rows in zip(meshes, where, strict=True):
        new_id = np.concatenate(
            [np.arange(len(conn)) + out.block_offsets[name] + rows[name] for name, conn in mesh.cells.items()]
        )
        for name, group in mesh.groups.items():
            moved = Group(
                None if group.nodes is None else number[group.nodes + first],
                None
                if group.facets is None
                else np.column_stack([new_id[group.facets[:, 0]], group.facets[:, 1]]),
                None if group.cells is None else new_id[group.cells],
            )
            groups[name] = groups[name].merged(moved) if name in groups else moved
        first += mesh.n_points
    return replace(out, groups=groups)


def _block(
    element: str,
    dimension: int,
    n: int | Sequence[int],
    size: Sequence[float],
    origin: Sequence[float],
    distort: float,
    seed: int,
    shape: Callable[[FloatArray], FloatArray] | None,
) -> Mesh:
    assert ELEMENTS[element].dimension == dimension, f"{element} does not fill {dimension} dimensions"
    counts = (n,) * dimension if isinstance(n, int) else tuple(n)
    axes = [np.linspace(o, o + s, c + 1) for o, s, c in zip(origin, size, counts, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    points = grid.reshape(-1, dimension)
    number = np.arange(len(points)).reshape(grid.shape[:-1])
    conn, points = _cells(ELEMENTS[element].linear, number, points)
    low, high = points.min(axis=0), points.max(axis=0)
    if distort:
        inner = ((points > low + 1e-12) & (points < high - 1e-12)).all(axis=1)
        step = np.array([s / c for s, c in zip(size, counts, strict=True)])
        shift = np.random.default_rng(seed).uniform(-distort, distort, points.shape) * step
        points = points + shift * inner[:, None]
    if dimension == 2:
        points = np.column_stack([points, np.zeros(len(points))])
    points, conn = elevate(points, conn, element)
    mesh = Mesh(points, {element: conn}, source=f"block of {element}")
    outside = mesh.exterior
    groups = {"body": Group(cells=np.arange(mesh.n_cells))}
    scale = float(np.max(high - low))
    on = {
        f"{'xyz'[axis]}{word}": np.abs(points[:, axis] - value) < 1e-9 * scale
        for axis in range(dimension)
        for word, value in (("min", low[axis]), ("max", high[axis]))
    }
    for name, flag in on.items():
        keep = np.zeros(len(outside), bool)
        for facets in mesh.facets(outside):
            keep[facets.rows] = flag[facets.conn].all(axis=1)
        groups[name] = Group(facets=outside[keep])
    return replace(mesh, groups=groups, points=points if shape is None else shape(points))


def _cells(linear: str, number: IntArray, points: FloatArray) -> tuple[IntArray, FloatArray]:
    """Corner connectivity of a structured grid, and its points (pyramids add centers)."""
    if number.ndim == 2:
        quads = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1).reshape(
            -1, 4
        )
        if linear == "quad":
            return quads, points
        # Diagonals alternate, so that no direction is favored.
        odd = (np.indices((number.shape[0] - 1, number.shape[1] - 1)).sum(axis=0) % 2).astype(bool).ravel()
        first = np.where(odd[:, None], quads[:, [0, 1, 3]], quads[:, [0, 1, 2]])
        second = np.where(odd[:, None], quads[:, [1, 2, 3]], quads[:, [0, 2, 3]])
        return np.stack([first, second], axis=1).reshape(-1, 3), points
    a, b = slice(None, -1), slice(1, None)
    ring = ((a, a), (b, a), (b, b), (a, b))
    hexes = np.stack([number[i, j, k] for k in (a, b) for i, j in ring], -1).reshape(-1, 8)
    if linear == "hexahedron":
        return hexes, points
    if linear == "wedge":
        return hexes[:, [[0, 1, 2, 4, 5, 6], [0, 2, 3, 4, 6, 7]]].reshape(-1, 6), points
    if linear == "tetra":
        return hexes[:, _KUHN].reshape(-1, 4), points
    assert linear == "pyramid", linear
    centers = len(points) + np.arange(len(hexes))
    bases = hexes[:, [facet[::-1] for facet in _HEX_OUTWARD]]
    apex = np.repeat(centers, 6).reshape(-1, 6, 1)
    return (
        np.concatenate([bases, apex], axis=2).reshape(-1, 5),
        np.concatenate([points, points[hexes].mean(axis=1)]),
    )


def ring(
    element: str,
    n: Sequence[int] = (2, 16, 2),
    *,
    inner: float = 0.004,
    outer: float = 0.010,
    height: float = 0.006,
) -> Mesh:
    """A hollow cylinder along z: n cells through the wall, around and along; closed without a seam.

    Groups ``inner``, ``outer``, ``zmin``, ``zmax``, ``body``; all nodes of curved faces lie on the cylinders.
    """

    def bent(x: FloatArray) -> FloatArray:
        r = inner + (outer - inner) * x[:, 0]
        angle = 2 * np.pi * x[:, 1]
        return np.column_stack([r * np.cos(angle), r * np.sin(angle), height * x[:, 2]])

    mesh = merged(box(element, n, shape=bent))
    names = {"xmin": "inner", "xmax": "outer", "zmin": "zmin", "zmax": "zmax", "body": "body"}
    return replace(mesh, groups={new: mesh.groups[old] for old, new in names.items()})


def drilled(
    element: str = "tetra10",
    n: Sequence[int] = (3, 32, 1),
    *,
    radius: float = 0.00425,
    half: float = 0.010,
    thickness: float = 0.005,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
) -> Mesh:
    """A square plate with a round hole through its middle; groups ``hole``, ``rim``, ``zmin``, ``zmax``."""

    def bent(x: FloatArray) -> FloatArray:
        angle = 2 * np.pi * x[:, 1]
        c, s = np.cos(angle), np.sin(angle)
        r = radius + x[:, 0] * (half / np.maximum(np.abs(c), np.abs(s)) - radius)
        return np.column_stack([r * c, r * s, thickness * x[:, 2]]) + np.asarray(origin)

    mesh = merged(box(element, n, shape=bent))
    names = {"xmin": "hole", "xmax": "rim", "zmin": "zmin", "zmax": "zmax", "body": "body"}
    return replace(mesh, groups={new: mesh.groups[old] for old, new in names.items()})


def hollow(
    element: str,
    n: int = 4,
    *,
    core: float = 0.0,
    shape: Callable[[FloatArray], FloatArray] | None = None,
) -> Mesh:
    """A closed cavity: walls one cell thick around the cube -1..1, with another cube in its middle.

    Groups ``wall`` (faces of the cavity), ``core`` (of the cube inside), cells ``shell`` and ``kernel``.

    Parameters
    ----------
    n : int
        Cells along an edge of the cavity.
    core : float
        Edge of the cube inside over that of the cavity, a multiple of 2 / n or so; 0 for none.
    shape : callable, optional
        Map of points, applied last.
    """
    h = 2.0 / n
    solid = box(element, n + 2, (2.0 + 2 * h,) * 3, origin=(-1.0 - h,) * 3)
    center = np.abs(solid.cell_centers).max(axis=1)
    keep = np.flatnonzero((center > 1.0) | (center < core))
    nodes, conn = np.unique(solid.cells[element][keep], return_inverse=True)
    mesh = Mesh(solid.points[nodes], {element: conn.reshape(len(keep), -1)}, source="hollow box")
    facets = mesh.exterior
    _, at = mesh.facet_vectors(facets)
    inside = np.abs(at).max(axis=1) < 1.0 + 1e-9
    of_core = center[keep][facets[:, 0]] < core
    groups = {
        "wall": Group(facets=facets[inside & ~of_core]),
        "shell": Group(cells=np.flatnonzero(center[keep] > 1.0)),
    }
    if core:
        groups |= {
            "core": Group(facets=facets[inside & of_core]),
            "kernel": Group(cells=np.flatnonzero(center[keep] < core)),
        }
    return replace(mesh, groups=groups, points=mesh.points if shape is None else shape(mesh.points))


def ball(x: FloatArray) -> FloatArray:
    """Map of cubes around the origin onto spheres of the same reach, for ``shape``."""
    far = np.abs(x).max(axis=1, keepdims=True)
    size = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x * far / np.maximum(size, 1e-300))
