"""Slopes of what stress adds to stiffness, a . K_stress(u) b, with the state u that the stress is of.

For fixed a and b it is a number of the state like any other, the integral of stress : (grad a . grad b):
linear in stress, it has a slope over u, and so an adjoint of the static equations. Incompatible modes of the
state answer to the strain (grad a . grad b) as to any other.

Source: Rodrigues, Guedes and Bendsoe, Structural Optimization 9 (1995) 11-18.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from designtwin import parallel
from designtwin.analysis.adjoint.shapes import Pairs
from designtwin.analysis.adjoint.static import StaticState, state_of, static_sensitivities
from designtwin.assembly.cells import applied
from designtwin.assembly.gradients import CaseCells, Strained
from designtwin.kernels import contraction
from designtwin.requirements.base import Quantity
from designtwin.requirements.responses import Response
from designtwin.results import StaticCase, StaticResult
from designtwin.results.sensitivity import LawAction, Partials
from designtwin.typing import FloatArray

_GRAIN = 256


def stress_work(result: StaticResult, name: str, a: FloatArray, b: FloatArray) -> float:
    """a . K_stress b for the stress of one load case or combination."""
    return float(
        sum(
            factor * block.value
            for factor, state in _states(result, name)
            for block in _blocks(state, [(1.0, a, b)])
        )
    )


def stress_partials(result: StaticResult, name: str, pairs: Pairs) -> Partials:
    """Slope of the sum of factor a . K_stress b, the displacements a and b fixed, the state with its loads.

    Parameters
    ----------
    result : StaticResult
        With what it kept, else the adjoint sets up anew.
    name : str
        A load case or combination of it.
    pairs : sequence of (factor, float64[n_points, 3], float64[n_points, 3])
    """
    out = Partials(model=result.model)
    over_u = np.zeros_like(result.model.mesh.points)
    value = 0.0
    for number, (factor, state) in enumerate(_states(result, name)):
        for block in _blocks(state, pairs):
            out = out + factor * block.partials
            value += factor * block.value
            if number == 0:  # cases of a combination have one stiffness
                block.cells.add_up(block.over_displacement, over_u)
    response = Response(case=name, value=value, true=value, displacement=over_u)
    return out + static_sensitivities(result, _StressStiffness(), [response])[0]


class _StressStiffness(Quantity):
    """What names the response of the state."""

    @property
    def label(self) -> str:
        return "stress stiffness"


def _states(result: StaticResult, name: str) -> list[tuple[float, StaticState]]:
    case = result[name]
    assert isinstance(case, StaticCase)
    return [(factor, state_of(result, part)) for factor, part in case.parts or ((1.0, case),)]


def _blocks(state: StaticState, pairs: Pairs) -> list[_StressedCells]:
    return [
        _StressedCells(cells, strained, pairs)
        for cells, strained in zip(state.cells, state.strained, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _StressedCells:
    """The integral of stress : (grad a . grad b) over the cells of one block, and its slopes."""

    cells: CaseCells
    strained: Strained
    pairs: Pairs

    @cached_property
    def _gradients(self) -> FloatArray:
        """grad a . grad b as a strain at the points of the rule, float64[n_cells, q, 6]."""
        cells, rule = self.cells, self.cells.rule
        out = np.zeros((*cells.measure.shape, 6))
        one = np.empty_like(out)
        for factor, a, b in self.pairs:
            parallel.run(
                contraction.stress_of_gradients, len(one), cells.model.mesh.points, cells.block.conn,
                rule.shape, rule.gradient, cells.block.kind, a, b, one, grain=_GRAIN,
            )  # fmt: skip
            out += factor * one
        return out

    @cached_property
    def _strain(self) -> FloatArray:
        return self.cells.strain(self.cells.rule, self.strained)

    @cached_property
    def _stress(self) -> FloatArray:
        tensor, which, free = self.cells.law(self.cells.rule)
        return applied(tensor, which, self._strain if free is None else self._strain - free)

    @cached_property
    def _given(self) -> Strained:
        """What incompatible modes give way by under the stress of these gradients."""
        cells, nothing = self.cells, np.zeros_like(self.cells.model.mesh.points)
        tensor, which, _ = cells.law(cells.rule)
        stress = applied(tensor, which, self._gradients) * cells.measure[..., None]
        _, load = cells.forces(cells.rule, stress)
        return cells.displaced(nothing, mode_load=-load)

    @cached_property
    def _work_on(self) -> FloatArray:
        """The strain that stress works on, modes in it."""
        given = self._given
        return (
            self._gradients + self.cells.strain(self.cells.rule, given)
            if given.amplitude.size
            else self._gradients
        )

    @property
    def value(self) -> float:
        return float((self._stress * self._gradients * self.cells.measure[..., None]).sum())

    @property
    def over_displacement(self) -> FloatArray:
        """Slope over the state's displacement at the nodes of cells, float64[n_cells, n, 3]."""
        tensor, which, _ = self.cells.law(self.cells.rule)
        stress = applied(tensor, which, self._work_on) * self.cells.measure[..., None]
        return self.cells.forces(self.cells.rule, stress)[0]

    @property
    def partials(self) -> Partials:
        """Slope over all that cells are made of, the state's displacement fixed."""
        cells, rule, model = self.cells, self.cells.rule, self.cells.model
        block, dv = cells.block, cells.measure[..., None]
        tensor, which, _ = cells.law(rule)
        points = np.zeros_like(model.mesh.points)
        work = (self._stress * self._work_on).sum(axis=2)
        of_gradients = np.zeros((*block.conn.shape, 3))
        for factor, a, b in self.pairs:
            parallel.run(
                contraction.stress_stiffness_slope, len(of_gradients), model.mesh.points, block.conn,
                rule.shape, rule.gradient, rule.weight, block.kind, block.scale,
                np.ascontiguousarray(factor * self._stress), a, b, of_gradients, grain=_GRAIN,
            )  # fmt: skip
        for slope in (
            of_gradients,
            cells.strain_slope(rule, applied(tensor, which, self._work_on) * dv, self.strained),
            cells.volume_slope(rule, work),
        ):
            cells.add_up(slope, points)
        if self._given.amplitude.size:
            cells.add_up(cells.strain_slope(rule, self._stress * dv, self._given), points)
        scale = np.zeros(model.mesh.n_cells)
        scale[block.cells] = (work * cells.measure).sum(axis=1) / block.scale
        law = LawAction(cells, rule, self._strain, self._work_on * dv)
        return Partials(model=model, points=points, scale=scale, actions=((1.0, law),))
