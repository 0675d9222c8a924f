"""The mesh of a design with cells of an even size: by gmsh, inside the surface of the built-in one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from designtwin.errors import StudyError
from designtwin.io.remesh import fill
from designtwin.mesh.locate import find_cells
from designtwin.mesh.mesh import FREE_SURFACE, Group, Mesh
from designtwin.topology.fairing import Fairing, outward
from designtwin.topology.fitted import Fitted, measures, mended, of_volume, told_of_shapes, with_middles
from designtwin.typing import BoolArray, FloatArray, IntArray

_SMOOTH = 0.77
"""Cosine from which on two outer faces belong to one patch (40 degrees)."""
_FAR = 0.05
"""Share of the volume that cells of this size may miss before it is made up for."""


def remeshed(made: Fitted, *, edge: float | None, max_time: float, quadratic: bool) -> Fitted:
    """A design on cells of an even size, of the same volume to the last digits.

    Faces of groups keep their outline, flat faces of the design space stay flat. Groups of cells go by
    where centers of cells lie.

    Parameters
    ----------
    made : Fitted
        Of linear tetrahedra.
    edge : float, optional
        Of cells, m; as long as those of the surface are on average.
    max_time : float
        s.
    quadratic : bool
        With nodes on the middle of edges.

    Raises
    ------
    MeshError
        If gmsh is missing, cannot mesh it or does not end in time.
    StudyError
        If cells of this size miss the shape.
    """
    old = made.mesh
    skin = _Skin.of(old)
    if edge is None:
        a, b = (old.points[skin.conn[:, i]] for i in (0, 1))
        edge = float(np.linalg.norm(b - a, axis=1).mean())
    filled = fill(
        old.points, skin.conn, skin.patch, skin.body, skin.shell, edge=edge, max_time=max_time,
    )  # fmt: skip
    points, conn = filled.points, filled.tetra
    size = measures(points, conn)
    turned = size < 0.0
    conn[turned, -2], conn[turned, -1] = conn[turned, -1].copy(), conn[turned, -2].copy()
    off = float(np.abs(size).sum()) / made.measure - 1.0
    if abs(off) > _FAR:
        raise StudyError(
            f"gmsh's cells of {edge * 1e3:.3g} mm miss the volume of the design by {off:+.1%}: they are too "
            "coarse for its members; give a smaller edge"
        )
    plain = Mesh(points, {"tetra": conn}, source=f"{old.source}, by gmsh", length_unit=old.length_unit)
    exterior = plain.exterior
    (block,) = plain.facets(exterior)
    patch = _found(block.conn, filled.triangles, filled.patch, len(points))
    fairing = Fairing.of(points, block.conn, skin.on_level[patch], np.ones(len(points), bool))

    def volume(at: FloatArray) -> float:
        return float(measures(at, conn).sum())

    inner = ~_flag(len(points), block.conn.ravel())
    points = mended(conn, points, inner | fairing.free, fairing.normals)
    plain = plain.moved(of_volume(conn, points, fairing, made.measure, volume))
    facets = exterior[block.rows]
    cell = find_cells(old, plain.cell_centers).cell
    groups: dict[str, Group] = {}
    notes = [*(note for note in made.notes if " are flat " not in note), *told_of_shapes(plain.points, conn)]
    for name, group in old.groups.items():
        groups[name], lost = _carried(group, old, skin, (facets, block.conn, patch), cell)
        if lost:
            notes.append(f"group '{name}': {lost} nodes that fill no face are not in gmsh's mesh")
    new = plain.with_groups(groups)
    return replace(
        made,
        mesh=with_middles(new)[0] if quadratic else new,
        measure=volume(plain.points),
        notes=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Skin:
    """The outside of a mesh, in patches of one origin and one direction.

    Parameters
    ----------
    conn : int64[t, 3]
    facets : int64[t, 2]
    patch : int64[t]
    body, shell, on_level : of patches
    """

    conn: IntArray
    facets: IntArray
    patch: IntArray
    body: IntArray
    shell: IntArray
    on_level: BoolArray

    @classmethod
    def of(cls, mesh: Mesh) -> _Skin:
        (block,) = mesh.facets(mesh.exterior)
        conn, facets = block.conn, mesh.exterior[block.rows]
        marks = [_among(facets, group.facets) for group in mesh.groups.values() if group.facets is not None]
        marks += [
            np.asarray(_flag(mesh.n_points, group.nodes)[conn].all(axis=1))
            for group in mesh.groups.values()
            if group.nodes is not None
        ]
        on_level = _among(facets, mesh.groups[FREE_SURFACE].facets)
        kind = np.unique(np.stack([on_level, *marks], axis=1), axis=0, return_inverse=True)[1].ravel()
        vectors = outward(mesh.points, conn)
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-300)[:, None]
        # Triangles that share an edge; four at one edge touch there and are not joined.
        sides = np.sort(conn[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        _, edge, count = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(edge.ravel(), kind="stable")
        order = order[(count == 2)[edge.ravel()[order]]]
        a, b = order[::2] // 3, order[1::2] // 3
        n = len(conn)
        shell = _parts(a, b, n)
        even = (on_level[a] & on_level[b]) | (np.einsum("ti,ti->t", unit[a], unit[b]) > _SMOOTH)
        even &= kind[a] == kind[b]
        patch = _parts(a[even], b[even], n)
        _, first = np.unique(patch, return_index=True)
        body = mesh.pieces[facets[first, 0]]
        return cls(conn, facets, patch, body, shell[first], on_level[first])


def _parts(a: IntArray, b: IntArray, n: int) -> IntArray:
    graph = sparse.coo_array((np.ones(len(a), bool), (a, b)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _flag(n: int, rows: IntArray) -> BoolArray:
    out = np.zeros(n, bool)
    out[rows] = True
    return out


def _among(facets: IntArray, some: IntArray | None) -> BoolArray:
    key = np.array([8, 1])
    return np.asarray(np.isin(facets @ key, (np.empty((0, 2), np.int64) if some is None else some) @ key))


def _found(conn: IntArray, triangles: IntArray, patch: IntArray, n: int) -> IntArray:
    """The patch of each outer facet."""
    weight = n ** np.arange(3)
    keys, wanted = (np.sort(one, axis=1) @ weight for one in (triangles, conn))
    order = np.argsort(keys)
    at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    if not np.array_equal(keys[order[at]], wanted):
        raise StudyError("gmsh's cells do not fill its own surface; try another edge")
    return np.asarray(patch[order[at]])


def _carried(
    group: Group, old: Mesh, skin: _Skin, outer: tuple[IntArray, IntArray, IntArray], cell: IntArray
) -> tuple[Group, int]:
    """A group on the new mesh, and how many of its nodes are not on it."""
    facets, conn, patch = outer
    nodes = cells = faces = None
    lost = 0
    if group.cells is not None:
        cells = np.flatnonzero(_flag(old.n_cells, group.cells)[cell])
    if group.facets is not None:
        marked = np.unique(skin.patch[_among(skin.facets, group.facets)])
        faces = facets[np.isin(patch, marked)]
    if group.nodes is not None:
        flag = _flag(old.n_points, group.nodes)
        full = flag[skin.conn].all(axis=1)
        nodes = np.unique(conn[np.isin(patch, np.unique(skin.patch[full]))])
        lost = int(flag.sum()) - len(np.unique(skin.conn[full]))
    return Group(nodes, faces, cells), lost
