"""Repairs that need no remeshing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from designtwin.errors import MeshError
from designtwin.mesh.mesh import Group, Mesh
from designtwin.typing import IntArray


def joined(mesh: Mesh, *, tolerance: float | None = None) -> Mesh:
    """The mesh with nodes in one place merged into one; cells and groups follow.

    Parameters
    ----------
    tolerance : float, optional
        Distance within which nodes are one, m; 1e-6 of the mesh's size where left out.

    Raises
    ------
    MeshError
        If a cell would collapse: the tolerance is larger than its edges.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    reach = 1e-6 * mesh.size if tolerance is None else tolerance
    a, b = cKDTree(mesh.points).query_pairs(reach, output_type="ndarray").T
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(mesh.n_points,) * 2)
    label = connected_components(graph, directed=False)[1]
    _, keep, number = np.unique(label, return_index=True, return_inverse=True)
    # Nodes keep their order, the first of each place stays.
    order = np.argsort(keep, kind="stable")
    rank = np.empty(len(keep), np.int64)
    rank[order] = np.arange(len(keep))
    number = rank[number.reshape(-1)]
    cells: dict[str, IntArray] = {}
    for name, ids, conn in mesh.blocks():
        cells[name] = number[conn]
        ordered = np.sort(cells[name], axis=1)
        collapsed = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
        if len(collapsed):
            raise MeshError(
                f"merging nodes within {reach:.3g} m would collapse {len(collapsed)} cells, "
                f"the first is cell {ids[collapsed[0]]}; a smaller tolerance is wanted"
            )
    groups = {
        name: Group(None if g.nodes is None else number[g.nodes], g.facets, g.cells)
        for name, g in mesh.groups.items()
    }
    return replace(mesh, points=mesh.points[keep[order]], cells=cells, groups=groups)
