"""Quantities of a design of densities: their values and their slopes by the density of every cell.

Extremes over a place are told as they are, at the centers of cells; their slope is that of a smooth bound on
them (p-norm, Kreisselmeier-Steinhauser), scaled to the extreme.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from designtwin.errors import StudyError
from designtwin.model.materials import ROOM_TEMPERATURE
from designtwin.model.model import Model
from designtwin.requirements import Quantity, Requirement
from designtwin.requirements.compliance import ComplianceQuantity
from designtwin.requirements.fields import DisplacementQuantity, StressQuantity, TemperatureQuantity
from designtwin.requirements.strength import YieldMargin
from designtwin.requirements.totals import MassQuantity
from designtwin.requirements.vibration import FrequencyQuantity
from designtwin.results.places import measures
from designtwin.solvers.solution import LinearSolver
from designtwin.topology.interpolation import Interpolation
from designtwin.topology.weighted import Heat, Modes, State, Statics
from designtwin.typing import BoolArray, FloatArray, IntArray

POWER = 8.0
"""Of p-norms over cells and of means over modes and cases."""
RELAXED = 0.5
"""Stress of a cell counts times density to this power, so that a void has none (qp-relaxation)."""
_CLUSTER = 4
"""Modes that share the slope of a frequency: those that may change places."""
_THIN = 0.1
"""Density below which mass falls off so fast that no mode lives in voids."""


@dataclass(frozen=True, eq=False)
class Told:
    """One quantity in one load case.

    Parameters
    ----------
    case : str
    value : float
        SI.
    slope : float64[n_cells]
        By the physical density of each cell.
    smooth : float, optional
        The bound whose slope, times value over bound, `slope` is; where the value itself has one, left out.
    """

    case: str
    value: float
    slope: FloatArray
    smooth: float | None = None


def mass_share(density: FloatArray) -> FloatArray:
    """Share of the mass for frequencies: the density, far less of it in voids.

    Source: Du & Olhoff, Topological design of freely vibrating continuum structures for maximum values of
    simple and multiple eigenfrequencies, Struct. Multidisc. Optim. 34 (2007), eq. 4b.
    """
    return np.where(density >= _THIN, density, 6e5 * density**6 - 5e6 * density**7)


def mass_share_slope(density: FloatArray) -> FloatArray:
    """Slope of `mass_share`."""
    return np.where(density >= _THIN, 1.0, 36e5 * density**5 - 35e6 * density**6)


@dataclass(frozen=True, eq=False)
class _Answers:
    """What was solved at one design."""

    density: FloatArray
    weight: FloatArray
    weight_slope: FloatArray
    statics: Mapping[str, State] = field(default_factory=dict)
    heat: Mapping[str, State] = field(default_factory=dict)
    modes: tuple[FloatArray, FloatArray] | None = None

    def slope(self, state: State, by_u: FloatArray, *, adjoint: FloatArray | None = None) -> FloatArray:
        """By the density, of what has this slope by the field."""
        by_weight, by_mass = state.slope(state.adjoint(by_u) if adjoint is None else adjoint)
        return by_weight * self.weight_slope + by_mass


class Physics:
    """What a list of quantities needs to be solved at every design.

    Parameters
    ----------
    model : Model
    quantities : sequence of Quantity
    solver : LinearSolver, optional

    Raises
    ------
    StudyError
        If there is a quantity whose slope by densities is not known, or the model has no case for it.
    """

    def __init__(self, model: Model, quantities: Sequence[Quantity], solver: LinearSolver | None) -> None:
        self.model = model
        static, heat = [], []
        for quantity in quantities:
            if isinstance(quantity, ComplianceQuantity | DisplacementQuantity | StressQuantity | YieldMargin):
                static += self.cases_of(quantity)
            elif isinstance(quantity, TemperatureQuantity):
                heat += self.cases_of(quantity)
        modal = any(isinstance(quantity, FrequencyQuantity) for quantity in quantities)
        self.n_modes = max(
            (q.number + _CLUSTER - 1 for q in quantities if isinstance(q, FrequencyQuantity)), default=0
        )
        static, heat = list(dict.fromkeys(static)), list(dict.fromkeys(heat))
        self.statics = Statics(model, static, solver) if static else None
        self.heat = Heat(model, heat, solver) if heat else None
        self.modes = Modes(model, solver, self.statics) if modal else None
        self.volume = cell_volumes(model)

    def cases_of(self, quantity: Quantity) -> list[str]:
        """Names of the load cases a quantity looks at."""
        case = getattr(quantity, "case", None)
        if case is not None:
            return [case]
        cases = self.model.cases.values()
        if isinstance(quantity, TemperatureQuantity):
            found = [c.name for c in cases if c.is_thermal or self.model.heat_supports]
        else:
            found = [c.name for c in cases if c.is_static and not (c.is_thermal and not c.loads)]
        if not found:
            what, known = "heat" if quantity.needs == "thermal" else "loads", ", ".join(self.model.cases)
            raise StudyError(
                f"{quantity.label} needs a load case with {what}; the model's cases are: {known or 'none'}"
            )
        return found

    def solve(self, density: FloatArray, interpolation: Interpolation) -> _Answers:
        """Solve all that is needed at a design of densities, float64[n_cells]."""
        weight = interpolation(density)
        found: dict[str, Any] = {}
        if self.statics is not None:
            found["statics"] = {state.name: state for state in self.statics.solve(weight, density)}
        if self.heat is not None:
            found["heat"] = {state.name: state for state in self.heat.solve(weight)}
        if self.modes is not None:
            found["modes"] = self.modes.solve(weight, mass_share(density), self.n_modes)
        return _Answers(density, weight, interpolation.derivative(density), **found)

    def told(self, quantity: Quantity, answers: _Answers) -> list[Told]:
        """A quantity in each of its cases."""
        if isinstance(quantity, MassQuantity):
            each = self.volume * self.model.cell_density("topology optimization")
            return [Told("", float((each * answers.density).sum()), each)]
        if isinstance(quantity, FrequencyQuantity):
            return [self._frequency(quantity, answers)]
        of: Callable[[Any, State, _Answers], Told] = {
            ComplianceQuantity: self._compliance, DisplacementQuantity: self._displacement,
            StressQuantity: self._stress, YieldMargin: self._utilization,
            TemperatureQuantity: self._temperature,
        }[type(quantity)]  # fmt: skip
        states = answers.heat if isinstance(quantity, TemperatureQuantity) else answers.statics
        return [of(quantity, states[name], answers) for name in self.cases_of(quantity)]

    # One quantity in one case

    def _compliance(self, quantity: Any, state: State, answers: _Answers) -> Told:
        assert self.statics is not None
        # Its own adjoint, but where displacements are prescribed or free strains move the part too.
        warm, heavy = self.statics.follows(state.name)
        psi = state.adjoint(state.force) if warm or self._moved(state) else state.u
        by_weight, by_mass = state.slope(psi)
        if heavy:
            by_mass = by_mass + state.slope(state.u)[1]
        value = float((state.force * state.u).sum())
        return Told(state.name, value, by_weight * answers.weight_slope + by_mass)

    def _moved(self, state: State) -> bool:
        """Whether displacements are prescribed."""
        supports = (*self.model.supports, *self.model.cases[state.name].supports)
        return any(held.value.any() for one in supports for held in one.prescribed(self.model))

    def _displacement(self, quantity: Any, state: State, answers: _Answers) -> Told:
        nodes = self._nodes(quantity)
        by_u = np.zeros_like(state.u)
        if quantity.component == "magnitude":
            values = np.linalg.norm(state.u[nodes], axis=1)
            direction = state.u[nodes] / np.maximum(values, 1e-300)[:, None]
        else:
            axis = "xyz".index(quantity.component)
            signed = state.u[nodes, axis]
            absolute = quantity.over == "max_abs"
            values = np.abs(signed) if absolute else signed
            direction = np.zeros((len(nodes), 3))
            direction[:, axis] = np.where(signed < 0.0, -1.0, 1.0) if absolute else 1.0
        value, share = _extreme(values, quantity.over)
        by_u[nodes] = share[:, None] * direction
        return Told(state.name, value, answers.slope(state, by_u))

    def _temperature(self, quantity: Any, state: State, answers: _Answers) -> Told:
        nodes = self._nodes(quantity)
        value, share = _extreme(state.u[nodes], quantity.over)
        by_u = np.zeros_like(state.u)
        by_u[nodes] = share
        return Told(state.name, value, answers.slope(state, by_u))

    def _stress(self, quantity: Any, state: State, answers: _Answers) -> Told:
        return self._equivalent(quantity, state, answers, np.ones(self.model.mesh.n_cells))

    def _utilization(self, quantity: Any, state: State, answers: _Answers) -> Told:
        """Equivalent stress over yield strength, the largest: one over the margin."""
        return self._equivalent(quantity, state, answers, self._strength())

    def _strength(self) -> FloatArray:
        out = np.empty(self.model.mesh.n_cells)
        for part in self.model.parts:
            out[part.cells] = part.section.material.at(
                "yield_strength", ROOM_TEMPERATURE, test="topology optimization"
            )
        return out

    def _equivalent(self, quantity: Any, state: State, answers: _Answers, allowed: FloatArray) -> Told:
        """Largest von Mises stress over what is allowed, at the centers of cells.

        Source: Le, Norato, Bruns, Ha & Tortorelli, Stress-based topology optimization for continua, Struct.
        Multidisc. Optim. 41 (2010), 605-620: stress relaxed by the root of the density, p-norm scaled to the
        maximum.
        """
        assert self.statics is not None
        model, d = self.model, self.model.dimension
        there = self._cells(quantity)
        relaxed = answers.density**RELAXED
        ratio, parts = np.zeros(model.mesh.n_cells), []
        for block, table in zip(self.statics.cells.blocks, self.statics.stress_of, strict=True):
            local = state.u[block.conn][:, :, :d].reshape(len(block.conn), -1)
            stress = np.einsum("kij,kj->ki", table, local)
            free = self.statics.free_stress(state.name, block)
            stress = stress if free is None else stress - free
            plain, slope = _von_mises(stress)
            parts.append((block, table, plain, slope))
            ratio[block.cells] = relaxed[block.cells] * plain / allowed[block.cells]
        ratio[~there] = 0.0
        top = float(ratio.max())
        if top <= 0.0:
            return Told(state.name, 0.0, np.zeros(len(ratio)))
        scaled = (ratio / top) ** POWER
        share = (ratio / top) ** (POWER - 1.0) / scaled.sum()
        by_u = np.zeros_like(state.u)
        explicit = np.zeros(len(ratio))
        for block, table, plain, slope in parts:
            of = share[block.cells] / allowed[block.cells]
            by_stress = (of * relaxed[block.cells])[:, None] * slope
            force = np.einsum("kij,ki->kj", table, by_stress).reshape(*block.conn.shape, d)
            for i in range(d):
                by_u[:, i] += np.bincount(block.conn.ravel(), force[:, :, i].ravel(), len(by_u))
            safe = np.maximum(answers.density[block.cells], 1e-9)
            explicit[block.cells] = of * RELAXED * safe ** (RELAXED - 1.0) * plain
        bound = top * float(scaled.sum()) ** (1.0 / POWER)
        return Told(state.name, top, answers.slope(state, by_u) + explicit, bound)

    def _frequency(self, quantity: Any, answers: _Answers) -> Told:
        assert self.modes is not None
        assert answers.modes is not None
        values, shapes = (one[quantity.number - 1 :] for one in answers.modes)
        lowest = float(values[0])
        if lowest <= 0.0:
            raise StudyError("a motion of the part is free: its frequency is 0; topology needs it held")
        # A mean that the lowest rule: it has a slope where modes change places.
        share = (values / lowest) ** (-POWER - 1.0)
        share /= (share * values).sum() / lowest
        slope = np.zeros(len(answers.density))
        for part, value, shape in zip(share, values, shapes, strict=True):
            by_weight, by_mass = self.modes.slopes(float(value), shape)
            slope += part * (by_weight * answers.weight_slope + by_mass * mass_share_slope(answers.density))
        frequency = float(np.sqrt(lowest)) / (2.0 * np.pi)
        mean = lowest * float(((values / lowest) ** -POWER).sum()) ** (-1.0 / POWER)
        return Told(
            "modes", frequency, slope * frequency / (2.0 * lowest), float(np.sqrt(mean)) / (2.0 * np.pi)
        )

    # Places

    def _nodes(self, quantity: Any) -> IntArray:
        if quantity.on is None:
            nodes = self.model.mesh.used_nodes
        else:
            nodes = self.model.region(quantity.on).nodes
        if quantity.excluding is not None:
            nodes = np.setdiff1d(nodes, self.model.region(quantity.excluding).nodes)
        return nodes

    def _cells(self, quantity: Any) -> BoolArray:
        mesh = self.model.mesh
        flag = np.ones(mesh.n_cells, bool)
        for on, wanted in ((quantity.on, True), (quantity.excluding, False)):
            if on is None:
                continue
            region = self.model.region(on)
            inside = np.zeros(mesh.n_cells, bool)
            inside[region.cells if len(region.cells) else region.facets[:, 0]] = True
            flag &= inside if wanted else ~inside
        return flag


def cell_volumes(model: Model) -> FloatArray:
    """Volume of every cell, float64[n_cells], m^3; over the full turn where the model is axisymmetric."""
    out = np.empty(model.mesh.n_cells)
    for name, ids, conn in model.mesh.blocks():
        out[ids] = measures(model, name, conn)[1].sum(axis=1)
    return out * model.cell_scale()


def check_quantity(quantity: Any, role: str) -> None:
    """Raise StudyError unless a quantity is one whose slope by densities is known."""
    if not isinstance(quantity, Quantity):
        raise StudyError(f"{role} wants a quantity such as dtw.compliance(), got {quantity!r}")
    if not isinstance(
        quantity,
        ComplianceQuantity | DisplacementQuantity | StressQuantity | YieldMargin | TemperatureQuantity
        | FrequencyQuantity | MassQuantity,
    ):  # fmt: skip
        raise StudyError(
            f"{role}: {quantity.label} has no slope by densities; compliance, mass, displacement, von Mises "
            "stress, yield_margin, temperature and frequency have"
        )
    if isinstance(quantity, StressQuantity) and (
        quantity.component != "von_mises" or quantity.at is not None
    ):
        raise StudyError(f"{role}: of stresses topology takes the von Mises stress over a place")
    if isinstance(quantity, YieldMargin) and quantity.criterion != "von_mises":
        raise StudyError(f"{role}: of yield margins topology takes that by von Mises")
    if isinstance(quantity, FrequencyQuantity) and quantity.direction is not None:
        raise StudyError(f"{role}: frequencies count from the lowest in topology, whatever their direction")
    if getattr(quantity, "time", None) is not None:
        raise StudyError(f"{role}: {quantity.label} is a question of time; topology is of steady states")


def _extreme(values: FloatArray, over: str) -> tuple[float, FloatArray]:
    """An extreme or the mean, and what each value has in its slope."""
    if over == "mean":
        return float(values.mean()), np.full(len(values), 1.0 / len(values))
    sign = -1.0 if over == "min" else 1.0
    top = float((sign * values).max())
    spread = float(np.ptp(values))
    # Kreisselmeier-Steinhauser: what is within a few percent of the extreme counts.
    share = np.exp(50.0 * (sign * values - top) / max(spread, 1e-12 * abs(top), 1e-300))
    return sign * top, share / share.sum()


def _von_mises(stress: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Equivalent stress [k] and its slope by the components [k, 6]."""
    xx, yy, zz, xy, yz, xz = stress.T
    value = np.sqrt(0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3.0 * (xy**2 + yz**2 + xz**2))
    slope = np.stack(
        [xx - 0.5 * (yy + zz), yy - 0.5 * (zz + xx), zz - 0.5 * (xx + yy), 3.0 * xy, 3.0 * yz, 3.0 * xz],
        axis=1,
    )
    return value, slope / np.maximum(value, 1e-300)[:, None]


@dataclass(frozen=True, eq=False)
class Limit:
    """A requirement as a constraint g <= 0 of an optimizer.

    Parameters
    ----------
    requirement : Requirement
    """

    requirement: Requirement

    def terms(self, told: Sequence[Told]) -> list[tuple[str, float, FloatArray]]:
        """Name, g and slope of g, of the case farthest on the wrong side."""
        quantity, limit, upper = self.requirement.quantity, self.requirement.limit, self.requirement.is_upper
        out = []
        for one in told:
            name = str(self.requirement) + (f" ({one.case})" if len(told) > 1 else "")
            if isinstance(quantity, YieldMargin):
                # Utilization is what has a slope where nothing is stressed; its logarithm stays of the order
                # of one where a load path breaks.
                used = max(limit * one.value, 1e-12)
                out.append((name, float(np.log(used)), limit * one.slope / used))
                continue
            scale = abs(limit) if self.requirement.margin_is_relative else 100.0
            sign = 1.0 if upper else -1.0
            out.append((name, sign * (one.value - limit) / scale, sign * one.slope / scale))
        return out
