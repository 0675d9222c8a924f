"""Smooth responses of stress that is read at points: along a line through a wall, beside a weld toe.

A line stays in space while the part moves under it; readings beside a toe keep to the surface, and move with
the toe where that is named. Stress is that of the cells at their nodes, averaged (`requirements.responses`).
Where a point lies between two cells its slope over their nodes has a kink, and is that of one of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.mesh.selections import Selection
from designtwin.requirements.lines import (
    METHODS,
    HotSpotStress,
    LinearizedStress,
    line_shares,
    rows_and_weights,
)
from designtwin.requirements.responses import (
    Response,
    aggregated,
    only_static,
    response_of,
    steady,
    to_samples,
    true_value,
    von_mises_slope,
)
from designtwin.typing import FloatArray, IntArray


@response_of.register
def _(quantity: LinearizedStress, result: Any, case: Any, *, aggregate: str, largest: bool) -> Response:
    only_static(quantity, result)
    steady(quantity, case)
    mesh = result.model.mesh
    xyz, places = quantity.line(mesh)
    rows, weights = rows_and_weights(result.points, places)
    averaged = np.asarray(case.stress("averaged"))
    along, across, turn = line_shares(
        len(xyz), np.array(quantity.to) - np.array(quantity.from_), quantity.kind, quantity.bending
    )
    stress = np.einsum("pn,pnc->pc", weights, averaged[rows])
    parts = np.einsum("ep,pc->ec", along, stress) + np.einsum("ep,pc,dc->ed", across, stress, turn)
    ends, by_part = von_mises_slope(parts)
    value, share = aggregated(ends, aggregate, largest=largest, who=quantity.label)
    by_part = share[:, None] * by_part
    left = np.einsum("ep,ec->pc", along, by_part) + np.einsum("ep,ed,dc->pc", across, by_part, turn)
    points = np.zeros_like(mesh.points)
    for place, row, at in zip(places, rows, left, strict=True):
        conn = mesh.cell(place.cell)[1]
        values = averaged[row[: len(conn)]] @ at
        points[conn] += _place_slope(place.element, place.xi, mesh.points[conn], values)
    return _response(quantity, result, case, value, rows, weights[:, :, None] * left[:, None], points)


@response_of.register
def _(quantity: HotSpotStress, result: Any, case: Any, *, aggregate: str, largest: bool) -> Response:
    only_static(quantity, result)
    steady(quantity, case)
    mesh, factors = result.model.mesh, np.array(METHODS[quantity.method].factors)
    toes, rows, weights, _ = quantity.placed(result)
    _, feet = quantity.reading(result.model)
    averaged = np.asarray(case.stress("averaged"))
    read = np.einsum("pn,pnc->pc", weights, averaged[rows]).reshape(len(toes), -1, 6)
    values, by_stress = _of_toes(quantity, np.einsum("f,mfc->mc", factors, read))
    if quantity.over == "max_abs":
        by_stress, values = np.sign(values)[:, None] * by_stress, np.abs(values)
    value, share = aggregated(values, aggregate, largest=quantity.over != "min", who=quantity.label)
    left = np.einsum("m,f,mc->mfc", share, factors, by_stress).reshape(-1, 6)
    points = np.zeros_like(mesh.points)
    named = result.model.region(quantity.toe).nodes if isinstance(quantity.toe, Selection) else None
    away = np.array(METHODS[quantity.method].at) * (quantity.thickness or 1.0)
    place = (toes[:, None] + away[:, None] * np.array(quantity.away)).reshape(-1, 3)
    for p, (row, at) in enumerate(zip(rows, left, strict=True)):
        (facet,) = mesh.facets(mesh.exterior[feet.row[[p]]])
        conn, xi = facet.conn[0], feet.xi[p]
        by_place, by_node = _foot_slope(
            facet.element, xi, mesh.points[conn], place[p], averaged[row[: len(conn)]] @ at
        )
        points[conn] += by_node
        if named is not None:
            points[named[p // len(factors)]] += by_place
    return _response(quantity, result, case, value, rows, weights[:, :, None] * left[:, None], points)


def _response(
    quantity: Any, result: Any, case: Any, value: float, rows: IntArray, left: FloatArray, points: FloatArray
) -> Response:
    """The response with slopes left [p, n, 6] over the averaged stress at rows [p, n]."""
    at_rows = np.zeros((len(case.recovery.points), 6))
    np.add.at(at_rows, rows, left)
    some = np.flatnonzero(at_rows.any(axis=1))
    return Response(
        case=case.name, value=value, true=true_value(quantity, result, case),
        samples=to_samples(case.recovery, some, at_rows[some]), points=points,
    )  # fmt: skip


def _place_slope(name: str, xi: FloatArray, x: FloatArray, values: FloatArray) -> FloatArray:
    """How what a cell with nodes x [n, 3] and nodal values [n] says at a place in space moves with them."""
    element, d = ELEMENTS[name], len(xi)
    gradient = element.gradient(xi)[0]
    slope = np.zeros(3)
    slope[:d] = np.linalg.solve((x[:, :d].T @ gradient).T, gradient.T @ values)
    return np.asarray(-element.shape(xi)[0][:, None] * slope)


def _foot_slope(
    name: str, xi: FloatArray, x: FloatArray, place: FloatArray, values: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """How what a facet with nodes x [n, 3] and nodal values [n] says at the foot of a place moves.

    Returns
    -------
    by_place, by_node : float64[3], float64[n, 3]
        With the place; with the nodes.

    The foot is where what is left to the place stands square on the facet: its slope follows from that of
    the condition.
    """
    element = ELEMENTS[name]
    xi = xi[: element.dimension]
    shape, gradient = element.shape(xi)[0], element.gradient(xi)[0]
    tangents, rest = x.T @ gradient, place - shape @ x
    # shape functions are quadratic along each coordinate, so that these differences are exact
    steps = 0.1 * np.eye(len(xi))
    second = np.stack(
        [(element.gradient(xi + one)[0] - element.gradient(xi - one)[0]) / 0.2 for one in steps], axis=2
    )
    square = tangents.T @ tangents - np.einsum("nab,n->ab", second, x @ rest)
    along = np.linalg.solve(square, gradient.T @ values)
    by_place = tangents @ along
    return by_place, np.outer(gradient @ along, rest) - shape[:, None] * by_place


def _of_toes(quantity: HotSpotStress, stress: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The stress that counts at toes float64[m], and its slope over the tensors there, float64[m, 6]."""
    x, y, z = quantity.normals(stress).T
    slope = np.stack([x * x, y * y, z * z, 2.0 * x * y, 2.0 * y * z, 2.0 * x * z], axis=1)
    return (slope * stress).sum(axis=1), slope
