"""Slopes of temperatures over time: one sweep backward through the steps that were made.

Step i solved R_i = rate_i E(u_i) + w_i E(u_(i-1)) + w'_i E(u_(i-2)) + b_i F(u_(i-1)) + F(u_i) = 0 with the
heat stored E, F = K(u) u - Q(u, t) and the weights of its method. Over any parameter, with the transposed
tangents C of E and A of F at each instant,

    (rate_i C_i + A_i) psi_i = dg/du_i - C_i (w_(i+1) psi_(i+1) + w'_(i+2) psi_(i+2)) - b_(i+1) A_i psi_(i+1)

from the last instant to the first, and dg = - the sum of psi_i . dR_i. Sizes of steps stay what they are.
Answers and adjoints of all instants are kept in memory while they fit, else in files (`results.frames`).

Where steps follow their error, their sizes change with the design by leaps, and with them the error in time:
differences of whole analyses show these leaps, the adjoint does not.

Source: Haftka and Gurdal, Elements of Structural Optimization, 3rd ed. (1992), sec. 8.2 and 8.3.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from designtwin.analysis.newton import HeatSolver
from designtwin.analysis.transient import Step, steps_of
from designtwin.assembly import HeatEquations, applied, cell_blocks, conductivity_tensors, heat_cells
from designtwin.assembly.cells import storage_points, storage_tables, warmth_at
from designtwin.assembly.directions import Directions, Pair
from designtwin.assembly.gradients import CaseCells
from designtwin.assembly.heat import heat_source
from designtwin.errors import NoAdjointError
from designtwin.kernels import surface
from designtwin.model.model import Model
from designtwin.requirements.fields import TemperatureQuantity
from designtwin.requirements.responses import over_place, shared
from designtwin.results import Frames, SolveInfo, TransientCase
from designtwin.results.sensitivity import Action, Partials, Sensitivity
from designtwin.solvers.krylov import Preconditioner, conjugate_gradients, dot, gmres
from designtwin.solvers.span import Recalled
from designtwin.solvers.system import System
from designtwin.typing import FloatArray
from designtwin.units import show_time

_RTOL = 1e-9
"""Residual of adjoint steps over the largest right-hand side yet, where factors or GMRES solve them."""
_ENERGY = 2e-7
"""Error that iterations leave in a step, in the norm of the energy, over the largest adjoint yet.

What a step leaves goes on with those before it as its residual does, so that energies count times rates.
"""
_ROUNDING = 1e-6
"""What is left of a right-hand side, over it, below which its direction is told too badly to be kept."""
UNSEEN = 1e-13
"""Weight of an instant, over the largest, that no digit of the slope shows."""
_TOGETHER = 8
"""Instants whose heat cells sum at once: gradients of shape functions are made once for all of them."""
_MANY = 5
"""Steps of one size for which factors of their own are worth it."""
_INSTANTS = 100.0
"""That a course counts as in its aggregate over time."""
_STALE = (0.25, 4.0)
"""Rates over that of a set-up for which it serves as preconditioner."""
_SLOW = 25
"""Iterations after which the set-up is made anew."""
_SAME = 1e-9
"""Share of the duration by which an instant may miss a time that is asked about."""


def sensitivities(result: Any, quantity: Any, *, aggregate: str, largest: bool) -> list[Sensitivity]:
    """Slope of a temperature over a place and over time; see `designtwin.sensitivities`."""
    return [
        _sensitivity(result, quantity, case, _asked(result, quantity, case, aggregate, largest))
        for case in quantity.cases_of(result)
    ]


def smooth_values(result: Any, quantity: Any, *, aggregate: str, largest: bool) -> list[tuple[str, float]]:
    """Name of each load case and its smooth temperature, K."""
    return [
        (case.name, _asked(result, quantity, case, aggregate, largest).value)
        for case in quantity.cases_of(result)
    ]


@dataclass(frozen=True, eq=False)
class _Asked:
    """A smooth temperature over place and time.

    Parameters
    ----------
    value, true : float
    weights : float64[n]
        Slope over the smooth number of each instant.
    quantity, result, case, aggregate, largest : as they were asked
    """

    value: float
    true: float
    weights: FloatArray
    quantity: TemperatureQuantity
    result: Any
    case: TransientCase
    aggregate: str
    largest: bool

    def slope(self, i: int) -> tuple[FloatArray | None, tuple[tuple[float, Action], ...]]:
        """Slope over the temperature of an instant float64[n_points]; what depends on the model itself."""
        if self.weights[i] == 0.0:
            return None, ()
        _, _, slope, rows, actions = _at(self, i)
        out = np.zeros(len(self.case.stored.temperature(i)))
        np.add.at(out, rows, self.weights[i] * slope)
        return out, tuple((self.weights[i] * factor, action) for factor, action in actions)


def _at(asked: Any, i: int) -> tuple[float, float, FloatArray, Any, tuple[tuple[float, Action], ...]]:
    """Smooth and true number of an instant, its slope over the rows of the place, these, and actions."""
    quantity, result, case = asked.quantity, asked.result, asked.case
    rows = quantity.rows(result)
    values = case.stored.temperature(i)[rows]
    value, slope, actions = over_place(
        quantity, result, case, rows, values, aggregate=asked.aggregate, largest=asked.largest
    )
    true = value
    if quantity.over != "mean":
        true = float(values.max() if quantity.over == "max" else values.min())
    return value, true, slope, rows, actions


def _asked(result: Any, quantity: Any, case: TransientCase, aggregate: str, largest: bool) -> _Asked:
    if not isinstance(quantity, TemperatureQuantity):
        raise NoAdjointError(f"no adjoint gradient is known of {quantity.label} over time")
    n = len(case.times)
    out = _Asked(np.nan, np.nan, np.zeros(n), quantity, result, case, aggregate, largest)
    some = np.arange(n)
    if quantity.time is not None:
        some = np.array([step_at(case, quantity.time, quantity.label)])
    course = np.array([_at(out, int(i))[:2] for i in some])
    value, slope = over_time(case.times[some], course[:, 0], largest=largest)
    weights = np.zeros(n)
    weights[some] = np.where(np.abs(slope) > UNSEEN * np.abs(slope).max(), slope, 0.0)
    true = float(course[:, 1].max() if largest else course[:, 1].min())
    return replace(out, value=value, true=true, weights=weights)


def step_at(case: TransientCase, time: float, who: str) -> int:
    """Number of the instant of a course at a time, s.

    Raises
    ------
    NoAdjointError
        If no step ended there.
    """
    nearest = int(np.abs(case.times - time).argmin())
    if abs(float(case.times[nearest]) - time) > _SAME * float(case.times[-1]):
        raise NoAdjointError(
            f"{who}: no step ended at that time, and between steps no gradient is known; say "
            f"times=['{show_time(time)}'] to the analysis"
        )
    return nearest


@dataclass(frozen=True, eq=False)
class _Given:
    """Slopes over the temperatures of some instants, float64[n_points] each."""

    by_instant: Mapping[int, FloatArray]

    def slope(self, i: int) -> tuple[FloatArray | None, tuple[tuple[float, Action], ...]]:
        return self.by_instant.get(i), ()


def through_heat(result: Any, case: TransientCase, slopes: Mapping[int, FloatArray]) -> Partials:
    """Slope over everything of what has slopes over the temperatures of some instants.

    Parameters
    ----------
    slopes : mapping of the number of an instant to float64[n_points]
    """
    return _Sweep(result, case, _Given(slopes)).go()[0]


def over_time(times: FloatArray, values: FloatArray, *, largest: bool) -> tuple[float, FloatArray]:
    """A smooth number near the extreme of a course, and its slope over each of its values.

    The aggregate of `responses.aggregated` ("ks"), each instant weighted by the time it stands for, so that
    it does not depend on how many steps were made: a peak that lasts a hundredth of the time counts in full.

    Parameters
    ----------
    times, values : float64[n]
    """
    if len(values) == 1:
        return float(values[0]), np.ones(1)
    span = np.diff(times)
    share = 0.5 * (np.append(span, 0.0) + np.append(0.0, span)) / float(span.sum())
    return shared(values, share, _INSTANTS, largest=largest)


def _sensitivity(result: Any, quantity: Any, case: TransientCase, asked: _Asked) -> Sensitivity:
    sweep = _Sweep(result, case, asked)
    total, info = sweep.go()
    return Sensitivity(
        **vars(total), response=quantity.label, case=case.name, dimension=quantity.dimension,
        value=asked.value, true=asked.true, info=info,
    )  # fmt: skip


class _Sweep:
    """The way back through the steps of one load case."""

    def __init__(self, result: Any, case: TransientCase, asked: _Asked | _Given) -> None:
        self.model, self.case, self.asked = result.model, case, asked
        solver = result.kept.get(case.name)
        self.kept = solver is not None
        if solver is None:
            cells = heat_cells(self.model, cell_blocks(self.model), storing=True)
            solver = HeatSolver(HeatEquations(self.model, case.case, cells))
        self.solver: HeatSolver = solver
        self.equations: HeatEquations = solver.equations
        self.dofs = self.equations.dofs
        self.steps: list[Step] = steps_of(case)
        self.cells = [CaseCells(self.model, case.case, block) for block in self.equations.topology.blocks]
        self.sums = [_CellSums(self, cells) for cells in self.cells]
        self._made: tuple[float, Preconditioner] | None = None
        if self.kept and solver.made is not None and self.equations.constant:
            system = solver.system(np.zeros(self.dofs.n_dof), None, solver.made.rate)
            self._made = (solver.made.rate, solver.preconditioner(system))
        self._largest, self._energy = 0.0, 0.0  # of right-hand sides and adjoints yet
        self._recalled = Recalled(self.dofs.n_dof)
        self.iterations = 0

    def go(self) -> tuple[Partials, SolveInfo]:
        """The whole slope, and how it was had."""
        start, n = clock.perf_counter(), len(self.steps)
        psi: list[FloatArray] = []  # of the steps after the one at hand, the next one first
        total = Partials(model=self.model)
        adjoints = Frames.create(None, f"adjoint of {self.case.name}")
        for i in range(n, -1, -1):
            g, actions = self.asked.slope(i)
            total = total + Partials(model=self.model, actions=actions)
            u = self.temperature(i)
            storing, flowing = self.passed_on(i, psi)
            own = np.zeros_like(u)
            if i > 0:
                step = self.steps[i - 1]
                map_ = self.equations.map(step.time)
                right = map_.at_free(self.pull(i, u, g, storing, flowing))
                own = np.asarray(map_.change(self._solved(right, u, step, psi)))
                storing = storing + step.rate * own
            adjoints.append(float(n - i), np.empty(0), own=own)
            for sums in self.sums:
                sums.add(*(self.dofs.scatter(one) for one in (u, own + flowing, storing)))
            psi = [own, *psi[:2]]
        for sums in self.sums:
            total = total + sums.partials()
        laws = (law(self, adjoints) for law in (_Materials, _Sources, _Held))
        total = total + Partials(model=self.model, actions=tuple((1.0, one) for one in laws))
        where = "files" if adjoints.on_disk else "memory"
        notes = (
            f"{n:,} steps back; adjoints of all instants take {adjoints.bytes / 1e6:,.0f} MB in {where}",
            *(() if self.kept else ("the analysis kept nothing (keep=True): the adjoint set up anew",)),
        )
        made = "" if self._made is None else self._made[1].title
        return total, SolveInfo(
            solver=f"adjoint by {made}", n_dof=self.dofs.n_dof, iterations=self.iterations,
            seconds={"adjoint sweep": clock.perf_counter() - start}, notes=notes,
        )  # fmt: skip

    def temperature(self, i: int) -> FloatArray:
        """Of an instant, in the order of unknowns, float64[n_dof], K."""
        u = np.asarray(self.dofs.gather(self.case.stored.temperature(i)))
        u.setflags(write=False)
        return u

    def passed_on(self, i: int, psi: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Weights on the heat stored and on the flow at an instant in the steps after it, float64[n_dof]."""
        storing, flowing = np.zeros(self.dofs.n_dof), np.zeros(self.dofs.n_dof)
        for k, later in enumerate(psi):
            step = self.steps[i + k]
            if k < len(step.weights):
                storing += step.weights[k] * later
        if psi and self.steps[i].before:
            flowing += self.steps[i].before * psi[0]
        return storing, flowing

    def pull(
        self, i: int, u: FloatArray, g: FloatArray | None, storing: FloatArray, flowing: FloatArray
    ) -> FloatArray:
        """Slope over the temperature of an instant less what the steps after it take, float64[n_dof]."""
        out = np.zeros_like(u) if g is None else self.dofs.gather(g)
        if storing.any():
            out -= self.stored(u, storing)
        if flowing.any():
            out -= self.equations.pulled(u, flowing, self.steps[i].time_before)
        return np.asarray(out)

    def _solved(self, right: FloatArray, u: FloatArray, step: Step, psi: Sequence[FloatArray]) -> FloatArray:
        """(rate C + A)^T lam = right in the unknowns of the map."""
        equations, map_ = self.equations, self.equations.map(step.time)
        scale = float(np.sqrt(dot(right, right)))
        if scale == 0.0:
            return np.zeros_like(right)
        self._largest = max(self._largest, scale)
        known: list[System] = []

        def system() -> System:
            if not known:
                known.append(self.solver.system(u, step.time, step.rate))
            return known[0]

        if self._made is None or not self._serves(step):
            self._made = (step.rate, Preconditioner(system(), self.solver.solver))
        made = self._made[1]
        product = equations.product(u, step.time, step.rate, system, transposed=True)
        fits = made.exact and self._fits(step)
        guess, rest = np.zeros_like(right), right
        recalls = equations.constant and equations.symmetric and not fits
        if recalls:
            if self._recalled.full or not self._recalled.count:
                self._recalled.count = 0
                for one in (np.ones_like(u), *psi):
                    self._recall(map_.at_free(one), product(map_.at_free(one)), u, step)
            guess = self._recalled.best(right, step.rate)
        elif psi and not fits:
            guess = map_.at_free(psi[0])
        if guess.any():  # afresh: what is recalled sums up rounding where rates are far apart
            rest = right - product(guess)
        left = float(np.sqrt(dot(rest, rest)))
        wanted = _RTOL * self._largest
        energy = max(self._energy, step.rate * dot(guess, right))
        allowed = 0.0 if made.exact else _ENERGY**2 * energy / step.rate
        if left <= wanted:
            return guess
        if equations.symmetric:
            found = conjugate_gradients(
                product, made, rest / left,
                enough=lambda norm, rz: norm * left <= wanted or rz * left**2 <= allowed,
            )  # fmt: skip
        else:
            found = gmres(product, made, rest / left, rtol=min(wanted / left, 0.1))
        change, rest_found = found.x * left, found.rest * left
        lam = guess + change
        if recalls:
            if left > _ROUNDING * scale:
                self._recall(change, rest - rest_found, u, step)
            # What is left has no share in what is recalled, in even warming least of all: its heat balances.
            lam = lam + self._recalled.best(rest_found, step.rate)
        self._energy = max(self._energy, step.rate * dot(lam, right))
        self.iterations += found.iterations
        if found.iterations > _SLOW:
            self._made = None
        return np.asarray(lam)

    def _recall(self, x: FloatArray, image: FloatArray, u: FloatArray, step: Step) -> None:
        """Keep a direction, and its product with the tangent, for guesses."""
        map_ = self.equations.map(step.time)
        if x.any():
            self._recalled.add(x, image, map_.at_free(self.stored(u, map_.change(x))), step.rate)

    def _fits(self, step: Step) -> bool:
        """Whether the set-up at hand is of the very system of a step."""
        assert self._made is not None
        return self.equations.constant and abs(step.rate / self._made[0] - 1.0) <= 1e-9

    def _serves(self, step: Step) -> bool:
        """Whether the set-up at hand will do for a step; factors are made anew where many like it come."""
        assert self._made is not None
        rate, made = self._made
        if made.exact and self.equations.constant and not self._fits(step):
            alike = sum(abs(one.rate / step.rate - 1.0) <= 1e-9 for one in self.steps)
            if alike >= _MANY:
                return False
        return _STALE[0] <= step.rate / rate <= _STALE[1]

    @cached_property
    def _nothing_stored(self) -> FloatArray:
        return self.equations.stored(np.zeros(self.dofs.n_dof))

    def stored(self, u: FloatArray, x: FloatArray) -> FloatArray:
        """C(u) x, J."""
        if self.equations.linear:
            return np.asarray(self.equations.stored(x) - self._nothing_stored)
        warm, nodal = self.dofs.scatter(u), self.dofs.scatter(x)
        out = np.zeros((len(warm), 1))
        for cells, sums in zip(self.cells, self.sums, strict=True):
            block, shape = cells.block, sums.shape
            capacity = block.section.material.heat_capacity(warmth_at(block, shape, warm))
            heat = np.ascontiguousarray((capacity * sums.measure * (nodal[block.conn] @ shape.T))[..., None])
            surface.scatter(block.conn, shape, heat, out)
        return np.asarray(self.dofs.gather(out[:, 0]))


class _CellSums:
    """What cells of one block do over all instants: the sum of -flowing . K(u) u - storing . E(u).

    The change of gradients and of volume is linear in what is summed at the points, so that the slope over
    coordinates is taken once, of the sums.
    """

    def __init__(self, sweep: _Sweep, cells: CaseCells) -> None:
        self._model, self._cells = sweep.model, cells
        self.shape, self.measure = storage_points(sweep.model, cells.block)
        n, q = cells.measure.shape
        self._work = np.zeros((n, q, 3, 3))
        self._conducted, self._stored = np.zeros((n, q)), np.zeros(self.measure.shape)
        changes = cells.block.section.material.varies_with_temperature("conductivity")
        self._flowing, self._warm = np.zeros((2, sweep.model.mesh.n_points, 1 if changes else _TOGETHER))
        self._waiting = 0

    def add(self, warm: FloatArray, flowing: FloatArray, storing: FloatArray) -> None:
        """Take in an instant; nodal temperature and weights, float64[n_points] each."""
        block = self._cells.block
        if flowing.any():
            self._flowing[:, self._waiting], self._warm[:, self._waiting] = flowing, warm
            self._waiting += 1
            if self._waiting == self._warm.shape[1]:
                self._conduct()
        if storing.any():
            heat = block.section.material.enthalpy(warmth_at(block, self.shape, warm))
            self._stored += heat * (storing[block.conn] @ self.shape.T)

    def _conduct(self) -> None:
        """Take in the instants that wait."""
        self._flowing[:, self._waiting :] = 0.0
        self._cells.add_conducted(self._flowing, self._warm, self._work, self._conducted)
        self._waiting = 0

    def partials(self) -> Partials:
        """Slope over coordinates, thickness, conductivity and density."""
        if self._waiting:
            self._conduct()
        model, cells, block = self._model, self._cells, self._cells.block
        points, n_cells = np.zeros_like(model.mesh.points), model.mesh.n_cells
        for slope in (
            cells.gradient_slope(cells.rule, self._work * cells.measure[..., None, None]),
            cells.volume_slope(cells.rule, self._conducted),
            cells.volume_slope(storage_tables(block), self._stored),
        ):
            cells.add_up(-slope, points)
        conducted = -(self._conducted * cells.measure).sum(axis=1)
        stored = -(self._stored * self.measure).sum(axis=1)
        scale, density, conductivity = np.zeros(n_cells), np.zeros(n_cells), np.zeros(n_cells)
        scale[block.cells] = (conducted + stored) / block.scale
        density[block.cells] = stored / model.cell_density("stored heat")[block.cells]
        conductivity[block.cells] = conducted
        return Partials(model=model, points=points, scale=scale, density=density, conductivity=conductivity)


@dataclass(frozen=True, eq=False)
class _Course:
    """Instants and adjoints of a sweep, for what is differenced along variables."""

    sweep: _Sweep
    adjoints: Frames

    def __iter__(self) -> Iterator[tuple[int, FloatArray, FloatArray, FloatArray, FloatArray]]:
        """From the last instant to the first: its number, temperature, its adjoint, and the weights of the
        steps after it on its storage and flow; float64[n_dof] each."""
        sweep, n = self.sweep, len(self.sweep.steps)
        psi: list[FloatArray] = []
        for i in range(n, -1, -1):
            own = self.adjoints.array(n - i, "own")
            yield i, sweep.temperature(i), own, *sweep.passed_on(i, psi)
            psi = [own, *psi[:2]]


class _Sources(_Course):
    """What loads, films and joints put in: the sum of psi . Q over all instants."""

    def along(self, directions: Directions) -> FloatArray:
        return directions.difference(self._work)

    def _work(self, model: Model) -> float:
        sweep = self.sweep
        case = model.cases[sweep.case.name]
        source = heat_source(model, case, sweep.equations.topology)
        total = 0.0
        for i, u, own, _, flowing in self:
            if i > 0 and own.any():
                total += float((source(u, sweep.steps[i - 1].time) * own).sum())
            if flowing.any():
                total += float((source(u, sweep.steps[i].time_before) * flowing).sum())
        return total


class _Materials(_Course):
    """What conductivity and specific heat do, coordinates and density as they are."""

    def along(self, directions: Directions) -> FloatArray:
        out = np.zeros(len(directions))
        moves = [directions.sections_move(cells.block) for cells in self.sweep.cells]
        for k, pair in enumerate(directions.pairs):
            moving = [number for number, of in enumerate(moves) if of[k]]
            if moving:
                out[k] = self._moved(pair, moving)
        return out

    def _moved(self, pair: Pair, moving: list[int]) -> float:
        sweep, total = self.sweep, 0.0
        for i, u, own, storing, flowing in self:
            if i > 0:
                storing = storing + sweep.steps[i - 1].rate * own
            warm, psi, nu = (sweep.dofs.scatter(one) for one in (u, own + flowing, storing))
            for number in moving:
                cells, shape, measure = (
                    sweep.cells[number],
                    sweep.sums[number].shape,
                    sweep.sums[number].measure,
                )
                gradient, left = cells.gradient(cells.rule, warm), cells.gradient(cells.rule, psi)
                at_storage = nu[cells.block.conn] @ shape.T * measure
                ends = []
                for model in (pair.plus, pair.minus):
                    own_block = replace(cells.block, section=model.parts[cells.block.part].section)
                    tensor = conductivity_tensors(model, own_block, cells.rule, warm)
                    work = (applied(*tensor, gradient) * left).sum(axis=2) * cells.measure
                    material = own_block.section.material
                    heat = material.enthalpy(warmth_at(own_block, shape, warm))
                    # Density has a slope of its own.
                    share = _density(sweep.model, cells.block.part) / _density(model, cells.block.part)
                    ends.append(float(work.sum()) + share * float((heat * at_storage).sum()))
                total -= (ends[0] - ends[1]) / pair.step
        return total


def _density(model: Model, part: int) -> float:
    return float(model.cell_density("stored heat")[model.parts[part].cells[0]])


class _Held(_Course):
    """What given temperatures, and nodes that follow others, do: u = t q + u0 at every instant."""

    def along(self, directions: Directions) -> FloatArray:
        sweep, out = self.sweep, np.zeros(len(directions))
        case, equations = sweep.case.case, sweep.equations
        timed = equations.timed_supports
        moves = directions.heat_supports(case, 0.0 if timed else None)
        if not timed and all(change is None and offset is None for change, offset in moves):
            return out
        for i, u, own, storing, flowing in self:
            time = sweep.steps[i - 1].time if i > 0 else 0.0
            if timed:
                moves = directions.heat_supports(case, time)
            pull = sweep.pull(i, u, sweep.asked.slope(i)[0], storing, flowing)
            if i > 0 and own.any():
                pull -= sweep.steps[i - 1].rate * sweep.stored(u, own) + equations.pulled(u, own, time)
            fixed = equations.map(time).fixed
            q, lam, pull = (sweep.dofs.scatter(one) for one in (
                np.where(fixed, 0.0, u), np.where(fixed, 0.0, own), pull
            ))  # fmt: skip
            rest: FloatArray | None = None
            for k, (change, offset) in enumerate(moves):
                if offset is not None:
                    out[k] += float((offset * pull).sum())
                if change is not None:
                    if rest is None:
                        rest = sweep.dofs.scatter(self._residual(i, u))
                    out[k] += float(((change @ q) * pull).sum()) - float(((change @ lam) * rest).sum())
        return out

    def _residual(self, i: int, u: FloatArray) -> FloatArray:
        """R_i at all nodes, W."""
        if i == 0:
            return np.zeros_like(u)
        sweep, step = self.sweep, self.sweep.steps[i - 1]
        equations = sweep.equations
        before = [sweep.temperature(i - 1 - k) for k in range(len(step.weights))]
        out = step.rate * equations.stored(u) + equations.conducted(u) - equations.given(u, step.time).total
        for weight, one in zip(step.weights, before, strict=True):
            out = out + weight * equations.stored(one)
        if step.before:
            flow = equations.conducted(before[0]) - equations.given(before[0], step.time_before).total
            out = out + step.before * flow
        return np.asarray(out)
