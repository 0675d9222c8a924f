"""Smooth responses of what passes through a place: the force of a support, heat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from designtwin.model.domains import face_matrices
from designtwin.model.model import Model
from designtwin.requirements.responses import Response, response_of, steady
from designtwin.requirements.thermal import HeatQuantity
from designtwin.requirements.totals import ReactionQuantity
from designtwin.results.sensitivity import DifferenceAction
from designtwin.results.thermal import exchange_over
from designtwin.typing import FloatArray


@response_of.register
def _(quantity: ReactionQuantity, result: Any, case: Any, *, aggregate: str, largest: bool) -> Response:
    steady(quantity, case)
    force = np.asarray(case.reaction(quantity.on), np.float64)
    if quantity.component == "magnitude":
        value = float(np.linalg.norm(force))
        along = force / max(value, 1e-300)
    else:
        i = "xyz".index(quantity.component)
        along = np.eye(3)[i]
        if quantity.over == "max_abs" and force[i] < 0.0:
            along = -along
        value = float((force * along).sum())
    weight = np.zeros((result.model.mesh.n_points, 3))
    weight[result.model.region(quantity.on).nodes] = along
    return Response(case=case.name, value=value, true=value, reactions=weight)


@response_of.register
def _(quantity: HeatQuantity, result: Any, case: Any, *, aggregate: str, largest: bool) -> Response:
    steady(quantity, case)
    flow = float(case.heat(quantity.on))
    sign = -1.0 if quantity.over == "max_abs" and flow < 0.0 else 1.0
    _, _, held = exchange_over(result.model, case.case, quantity.on)

    def exchanged(model: Model) -> float:
        """Heat exchanged there by a model at the temperature as it is, W."""
        loads, nodes, _ = exchange_over(model, model.cases[case.name], quantity.on)
        total = sum(float(load.heat_at(model, case.temperature).sum()) for load in loads)
        return total + sum(float(load.heat_at(model, case.temperature)[at].sum()) for load, at in nodes)

    return Response(
        case=case.name, value=sign * flow, true=sign * flow, held=np.where(held, sign, 0.0),
        temperature=sign * _exchanged_slope(quantity, case), actions=((sign, DifferenceAction(exchanged)),),
    )  # fmt: skip


def _exchanged_slope(quantity: HeatQuantity, case: Any) -> FloatArray:
    """Slope of the heat exchanged there over nodal temperature, float64[n_points], W/K."""
    model, warm = case.model, case.temperature
    loads, nodes, _ = exchange_over(model, case.case, quantity.on)
    out = np.zeros(len(warm))
    for load in loads:
        for one in _films(load, model, warm):
            np.subtract.at(out, one.nodes, one.values.sum(axis=1))
    for load, at in nodes:
        counted = np.zeros(len(warm))
        counted[at] = 1.0
        out -= load.bind(model).tangent(warm, None, transposed=True)(counted)
    return out


def _films(load: Any, model: Model, warm: FloatArray) -> list[Any]:
    """Minus the slope of a load's heat over nodal temperatures, at a temperature."""
    if "temperature" not in getattr(load, "varies", ()):
        return list(load.matrices(model))
    found, domain = [], load.domain(model)
    for patch in domain.patches:
        slope = load.density(model, patch, warm[patch.conn] @ patch.shape.T, None)[1]
        slope = np.broadcast_to(slope, patch.conn.shape[:1] + patch.shape.shape[:1])
        one = replace(domain, patches=(patch,))
        found += face_matrices(one, lambda patch, slope=slope: -slope[..., None, None])  # type: ignore[misc]
    return found
