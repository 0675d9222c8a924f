"""Slopes of buckling factors.

With (K + K_dead + factor K_stress) phi = 0, both of stress by states of the part,

    d factor = -phi . (dK + dK_dead + factor dK_stress) phi / (phi . K_stress phi),

each dK_stress with the adjoint of its state: `prestress`. Factors that meet are followed as natural
frequencies are: `shapes.smooth_rank`.

Source: Haftka and Gurdal, Elements of Structural Optimization, 3rd ed. (1992), sec. 7.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin.analysis.adjoint.prestress import stress_partials, stress_work
from designtwin.analysis.adjoint.shapes import (
    NO_WEIGHT,
    link_work,
    smooth_rank,
    state_of_shapes,
    stiffness_work,
)
from designtwin.assembly import assemble_static
from designtwin.assembly.inertia import stress_stiffness_terms
from designtwin.assembly.matrices import static_topology
from designtwin.errors import NoAdjointError
from designtwin.model.model import LoadCase
from designtwin.requirements.vibration import BucklingFactor
from designtwin.results import StaticCase
from designtwin.results.buckling import BucklingCase, BucklingMode
from designtwin.results.sensitivity import Sensitivity
from designtwin.typing import FloatArray


def sensitivities(result: Any, quantity: BucklingFactor) -> list[Sensitivity]:
    """Slopes of the smallest buckling factor of each load case; see `designtwin.sensitivities`."""
    return [_sensitivity(result, quantity, case) for case in quantity.cases_of(result)]


def smooth_values(result: Any, quantity: BucklingFactor) -> list[tuple[str, float]]:
    """Name of each load case and its smooth factor."""
    return [(case.name, _asked(quantity, case).value) for case in quantity.cases_of(result)]


@dataclass(frozen=True, eq=False)
class _Asked:
    """Modes of a case that a quantity looks at, with the smooth smallest of their factors."""

    modes: tuple[BucklingMode, ...]
    value: float
    slope: FloatArray

    @property
    def true(self) -> float:
        return min(abs(mode.factor) for mode in self.modes)


def _asked(quantity: BucklingFactor, case: BucklingCase) -> _Asked:
    modes = tuple(mode for mode in case if quantity.counts(mode.factor))
    if not modes:
        raise NoAdjointError(
            f"{quantity.label}: case {case.name!r} has no such factor, so that it has no slope: "
            f"{case.why_none or 'those that were found are of loads the other way'}"
        )
    return _Asked(modes, *smooth_rank(np.array([abs(mode.factor) for mode in modes]), 1))


def _sensitivity(result: Any, quantity: BucklingFactor, case: BucklingCase) -> Sensitivity:
    asked, static, model = _asked(quantity, case), result.static, result.model
    shapes: list[tuple[float, FloatArray, FloatArray]] = []
    factors = []
    for mode, weight in zip(asked.modes, asked.slope, strict=True):
        if weight > NO_WEIGHT:
            phi = mode.displacement
            size = stress_work(static, case.name, phi, phi)
            shapes.append((-weight * float(np.sign(mode.factor)) / size, phi, phi))
            factors.append(mode.factor)
    state = state_of_shapes(_load_case(case.prestress))
    blocks = case.recovery.blocks
    total = stiffness_work(model, state, blocks, shapes)
    grown = [(share * factor, a, b) for (share, a, b), factor in zip(shapes, factors, strict=True)]
    total = total + stress_partials(static, case.name, grown)
    if case.dead is not None:
        total = total + stress_partials(static, case.dead.name, shapes)
    for (share, phi, _), factor in zip(shapes, factors, strict=True):
        rest = _rest(model, case, phi, factor)
        if rest is not None:
            total = total + (2.0 * share) * link_work(model, state, phi, rest)
    return Sensitivity(
        **{**vars(total), "model": model}, response=quantity.label, case=case.name,
        dimension=quantity.dimension, value=asked.value, true=asked.true, info=case.info,
    )  # fmt: skip


def _rest(model: Any, case: BucklingCase, phi: FloatArray, factor: float) -> FloatArray | None:
    """(K + K_dead + factor K_stress) phi at all nodes where links or skew supports hold some of it."""
    topology = static_topology(model, case.recovery.blocks)
    assembled = assemble_static(model, _load_case(case.prestress), case.recovery.blocks, topology)
    if assembled.map.transform is None:
        return None
    x = assembled.dofs.gather(phi)
    force = sum(term.apply(x) for term in (*assembled.cells, *assembled.extra))
    states = [(factor, case.prestress), *([] if case.dead is None else [(1.0, case.dead)])]
    for times, state in states:
        for term in stress_stiffness_terms(model, topology, state.stress_at):
            force = force + times * term.apply(x)
    return assembled.dofs.scatter(np.asarray(force))


def _load_case(case: StaticCase) -> LoadCase:
    """What sets supports and stiffness of an answer; of a combination, any of its cases."""
    while case.parts:
        case = case.parts[0][1]
    assert case.case is not None
    return case.case
