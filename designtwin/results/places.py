"""Rows of a place, and the weights of a mean over it."""

from __future__ import annotations

from typing import Any

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.mesh.selections import Selection
from designtwin.typing import BoolArray, FloatArray, IntArray


def rows_of(
    model: Any, points: Any, on: Selection | None, location: str, *, excluding: Selection | None = None
) -> IntArray:
    """Rows int64[k] of a field on a place (None: the whole part), what is excluded left out.

    Parameters
    ----------
    location : str
        "points": rows are mesh points; "result_points": rows of ``points``.
    """
    if location == "points":
        keep = np.zeros(model.mesh.n_points, bool)
        keep[model.mesh.used_nodes if on is None else model.region(on).nodes] = True
        if excluding is not None:
            keep[model.region(excluding).nodes] = False
    else:
        keep = np.ones(len(points.node), bool) if on is None else region_rows(model, points, on)
        if excluding is not None:
            keep &= ~region_rows(model, points, excluding)
    return np.flatnonzero(keep)


def region_rows(model: Any, points: Any, on: Selection) -> BoolArray:
    """Flags bool[k] of the result points on a selection.

    At a border between two materials a node has one result point in each. Where the selection is cells or
    facets and nothing else, only those of its own cells, or of the cells its facets belong to, are taken;
    a selection in space takes all.
    """
    mesh, region = model.mesh, model.region(on)
    inside = np.zeros(mesh.n_points, bool)
    inside[region.nodes] = True
    flag = np.asarray(inside[points.node])
    owners: IntArray | None = None
    if len(region.cells) and np.array_equal(mesh.nodes_of_cells(region.cells), region.nodes):
        owners = region.cells
    elif len(region.facets) and np.array_equal(mesh.nodes_of_facets(region.facets), region.nodes):
        owners = np.unique(region.facets[:, 0])
    if owners is None:
        return flag
    of_owners = np.zeros(len(points.node), bool)
    for _, ids, rows in points.cells:
        of_owners[rows[np.isin(ids, owners)].ravel()] = True
    return flag & of_owners


def mean_weights(model: Any, on: Selection | None, nodes: IntArray) -> FloatArray:
    """Weights float64[k] with sum 1 for the mean of a nodal field over a place.

    By area where the place is a face, by volume where it holds cells, equal where it is nodes alone. Faces
    and cells with a node outside ``nodes`` (an excluded one) are left out whole.
    """
    mesh = model.mesh
    have = np.zeros(mesh.n_points, bool)
    have[nodes] = True
    share = np.zeros(mesh.n_points)
    region = None if on is None else model.region(on)
    cells = np.arange(mesh.n_cells) if region is None else region.cells
    scale = model.cell_scale()
    if len(cells):
        for name, rows in mesh.rows_by_block(cells):
            ids = rows + mesh.block_offsets[name]
            _add_shares(model, name, mesh.cells[name][rows], scale[ids], have, share)
    elif region is not None:
        for block in mesh.facets(region.facets):
            across = scale[block.cells] if mesh.dimension == 2 else np.ones(len(block.cells))
            _add_shares(model, block.element, block.conn, across, have, share)
    weight = share[nodes] / np.maximum(np.bincount(nodes, minlength=mesh.n_points)[nodes], 1)
    if weight.sum() <= 0.0:
        weight = np.ones(len(nodes))
    return np.asarray(weight / weight.sum())


def _add_shares(
    model: Any, element: str, conn: IntArray, scale: FloatArray, have: BoolArray, share: FloatArray
) -> None:
    """Add to nodes the integral of their shape function over cells or facets whose nodes are all had."""
    whole = have[conn].all(axis=1)
    if whole.any():
        shape, measure = measures(model, element, conn[whole])
        np.add.at(share, conn[whole], np.einsum("cq,c,qn->cn", measure, scale[whole], shape))


def measures(model: Any, element: str, conn: IntArray) -> tuple[FloatArray, FloatArray]:
    """Shape functions [q, n] and measures [k, q] at points of cells or facets, around an axis of symmetry."""
    shape, gradient, weight = ELEMENTS[element].tables(ELEMENTS[element].mass_quadrature)
    at = model.mesh.points[conn]
    tangent = np.einsum("cna,qnd->cqad", at, gradient)
    # the measure of a line, surface or solid in space is the root of its Gram determinant
    gram = np.einsum("cqad,cqae->cqde", tangent, tangent)
    measure = np.sqrt(np.maximum(np.linalg.det(gram), 0.0)) * weight
    if model.axisymmetric:
        measure = measure * 2.0 * np.pi * np.einsum("qn,cn->cq", shape, at[:, :, 0])
    return shape, measure


def part_of_nodes(model: Any) -> IntArray:
    """Number of the part of each node, int64[n_points]; the first of several, -1 for nodes of no cell."""
    out = np.full(model.mesh.n_points, -1)
    for number in range(len(model.parts) - 1, -1, -1):
        out[model.mesh.nodes_of_cells(model.parts[number].cells)] = number
    return out
