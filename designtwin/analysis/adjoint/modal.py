"""Slopes of natural frequencies, repeated ones too, of parts at rest, under load, turning; see `shapes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from designtwin.analysis.adjoint.prestress import stress_partials
from designtwin.analysis.adjoint.shapes import (
    NO_WEIGHT,
    link_work,
    mass_work,
    smooth_rank,
    state_of_shapes,
    stiffness_work,
)
from designtwin.analysis.static import solve_static
from designtwin.assembly.directions import Directions
from designtwin.assembly.dynamics import ModelDynamics
from designtwin.errors import NoAdjointError
from designtwin.model.loads import Centrifugal, number_of
from designtwin.model.model import Model
from designtwin.requirements.vibration import FrequencyQuantity, ModeQuantity, NearestMode
from designtwin.results import StaticResult
from designtwin.results.modal import ModalCase
from designtwin.results.sensitivity import DifferenceAction, Partials, Sensitivity
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show

REPEATED = 1e-4
"""Relative distance of frequencies below which `RepeatedFrequencies` takes them for one."""


def sensitivities(result: Any, quantity: ModeQuantity) -> list[Sensitivity]:
    """Slope of a natural frequency; see `designtwin.sensitivities`."""
    asked = _asked(result, quantity)
    value, slope = asked.smooth
    frequencies = asked.modes.frequencies
    wanted = [
        (weight / (8.0 * np.pi**2 * frequencies[number]), int(number), int(number))
        for number, weight in zip(asked.numbers, slope, strict=True) if weight > NO_WEIGHT
    ]  # fmt: skip
    total = Eigenvalues(asked.modes).partials(wanted)
    return [
        Sensitivity(
            **vars(total), response=quantity.label, case=asked.case, dimension=quantity.dimension,
            value=value, true=asked.true, info=asked.modes.info,
        )
    ]  # fmt: skip


def smooth_values(result: Any, quantity: ModeQuantity) -> list[tuple[str, float]]:
    """Name of the mode and the smooth frequency, Hz."""
    asked = _asked(result, quantity)
    return [(asked.case, asked.smooth[0])]


@dataclass(frozen=True, eq=False)
class _Asked:
    """Modes that a quantity looks at, and which of them, counted from 1, it means."""

    modes: ModalCase
    numbers: IntArray
    rank: int

    @property
    def smooth(self) -> tuple[float, FloatArray]:
        return smooth_rank(self.modes.frequencies[self.numbers], self.rank)

    @property
    def true(self) -> float:
        return float(self.modes.frequencies[self.numbers[self.rank - 1]])

    @property
    def case(self) -> str:
        """The mode by its name, as the quantity itself calls what it has found."""
        return f"mode {self.numbers[self.rank - 1] + 1}"


def _asked(result: Any, quantity: ModeQuantity) -> _Asked:
    (modes,) = quantity.cases_of(result)
    _refuse_others(modes, quantity.label)
    numbers = np.arange(modes.n_rigid, len(modes))
    if quantity.direction is not None:
        numbers = np.array([mode.number - 1 for mode in quantity.modes_of(modes)], np.int64)
    rank = 1
    if isinstance(quantity, FrequencyQuantity):
        rank = quantity.number
    elif isinstance(quantity, NearestMode) and len(numbers):
        wanted = quantity.by_case(result)[0].value
        rank += int(np.abs(modes.frequencies[numbers] - wanted).argmin())
    if rank > len(numbers):
        raise NoAdjointError(
            f"{quantity.label} lies above the {show(modes.complete_to, 'frequency')} up to which modes are "
            "known; compute more (modes_up_to=, count=)"
        )
    return _Asked(modes, numbers, rank)


def _refuse_others(modes: ModalCase, label: str) -> None:
    if not isinstance(modes.dynamics, ModelDynamics):
        raise NoAdjointError(
            f"{label}: no gradient is known of the frequencies of a {type(modes.dynamics).__name__}; take "
            "the modes of the model itself, or differences of whole analyses"
        )


@dataclass(frozen=True, eq=False)
class RepeatedFrequencies:
    """Frequencies that are one, and how they part along a direction.

    Parameters
    ----------
    modes : ModalCase
    numbers : int64[r]
        Indices in ``modes``.
    """

    modes: ModalCase
    numbers: IntArray

    @classmethod
    def of(cls, modes: ModalCase, number: int = 1) -> RepeatedFrequencies:
        """All modes that share the frequency of the number-th that deforms the part.

        Raises
        ------
        NoAdjointError
            If there is no such mode, or the modes are of a reduced model or of sectors.
        """
        _refuse_others(modes, "repeated frequencies")
        at, f = modes.n_rigid + number - 1, modes.frequencies
        if not 0 < number <= len(modes) - modes.n_rigid:
            raise NoAdjointError(f"there is no mode {number}; {len(modes) - modes.n_rigid} are known")
        return cls(modes, np.flatnonzero((np.abs(f - f[at]) <= REPEATED * f[at]) & (f > 0.0)))

    def along(self, directions: Directions) -> FloatArray:
        """Slopes of the frequencies for a step forward along each variable, float64[k, r], ascending, Hz per
        unit of the variable. Backward they are the negative of these, descending."""
        r, work = len(self.numbers), Eigenvalues(self.modes)
        matrix = np.empty((len(directions), r, r))
        for i, first in enumerate(self.numbers.tolist()):
            for j, second in enumerate(self.numbers.tolist()[: i + 1]):
                slope = work.partials([(1.0, first, second)]).along(directions)
                matrix[:, i, j] = matrix[:, j, i] = slope
        mean = float(self.modes.frequencies[self.numbers].mean())
        return np.asarray(np.linalg.eigvalsh(matrix) / (8.0 * np.pi**2 * mean))


class Eigenvalues:
    """Slopes of phi_i . (K - omega^2 M) phi_j of the modes of one analysis, the shapes fixed."""

    def __init__(self, modes: ModalCase) -> None:
        assert isinstance(modes.dynamics, ModelDynamics)
        self.modes, self.model, self.dynamics = modes, modes.model, modes.dynamics
        self.case = state_of_shapes(modes.state)
        self.blocks = modes.recovery.blocks

    def partials(self, wanted: Sequence[tuple[float, int, int]]) -> Partials:
        """Slope of the sum over (factor, i, j); omega^2 is the mean of those of the two."""
        modes, d = self.modes, self.dynamics
        stiff, heavy, links = [], [], Partials(model=self.model)
        for factor, i, j in wanted:
            omega2 = float(0.5 * (modes.omega2[i] + modes.omega2[j]))
            a, b = (d.displacement(modes.shapes[:, k]) for k in (i, j))
            stiff.append((factor, a, b))
            heavy.append((-factor * omega2, a, b))
            if d.map.transform is not None:
                for one, other in ((a, b), (b, a)):
                    rest = self._rest(other, omega2)
                    links = links + factor * link_work(self.model, self.case, one, rest)
        out = stiffness_work(self.model, self.case, self.blocks, stiff) + links
        out = out + mass_work(self.model, self.blocks, heavy)
        return out + self._under_load(stiff) if d.added else out

    def _rest(self, u: FloatArray, omega2: float) -> FloatArray:
        """(K - omega^2 M) u at all nodes, float64[n_points, 3]: what links and supports hold."""
        d = self.dynamics
        x = d.dofs.gather(u)
        force = sum(term.apply(x) for term in (*d.assembled.cells, *d.added, *d.resistance))
        return d.dofs.scatter(np.asarray(force - omega2 * sum(term.apply(x) for term in d.whole_mass)))

    @cached_property
    def _static(self) -> StaticResult:
        """The state under load, solved again: modes keep its stress stiffness alone."""
        name = self.modes.state.name
        wanted = {name, *self.model.combinations.get(name, {})}
        load_cases = {key: items for key, items in self.model.load_cases.items() if key in wanted}
        return solve_static(self.model.with_(load_cases=load_cases), solver=self.dynamics.solver, keep=True)

    def _under_load(self, pairs: Sequence[tuple[float, FloatArray, FloatArray]]) -> Partials:
        """What the stress that the part is under adds, and what its spin takes away."""
        state = self.modes.state
        out = stress_partials(self._static, state.name, pairs)
        for number, spin in enumerate(_spins(state)):
            out = out + mass_work(self.model, self.blocks, pairs, _across(spin))
            moved = [(factor * self.dynamics.inertia(a), b) for factor, a, b in pairs]
            faster = DifferenceAction(_Spin(state.name, number, moved))
            out = out + Partials(model=self.model, actions=((1.0, faster),))
        return out


@dataclass(frozen=True, eq=False)
class _Spin:
    """The softening of one spin of a case, with momenta M a as they are."""

    case: str
    number: int
    moved: Sequence[tuple[FloatArray, FloatArray]]

    def __call__(self, model: Model) -> float:
        form = _across(_spins(model.cases[self.case])[self.number])
        return float(sum((momentum * (b @ form)).sum() for momentum, b in self.moved))


def _spins(case: Any) -> list[Centrifugal]:
    return [load for load in case.loads if isinstance(load, Centrifugal)]


def _across(spin: Centrifugal) -> FloatArray:
    """What softening does to a displacement, per mass, float64[3, 3], 1/s^2."""
    axis = np.array(spin.axis)
    return np.asarray(-(number_of(spin.speed, "Centrifugal") ** 2) * (np.eye(3) - np.outer(axis, axis)))
