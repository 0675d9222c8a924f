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
from designtwin.assembly.heat import heat_map, heat_source
from designtwin.assembly.unknowns import AffineMap
from designtwin.errors import NoAdjointError, TopologyError
from designtwin.kernels import surface
from designtwin.model.model import Model
from designtwin.requirements.fields import TemperatureQuantity
from designtwin.requirements.responses import over_place, shared
from designtwin.results import Frames, SolveInfo, TransientCase
from designtwin.results.sensitivity import Action, Partials, Sensitivity
from designtwin.solvers.krylov import Preconditioner, conjugate_gradients, dot, gmres
from designtwin.typing import FloatArray
from designtwin.units import show_time

_RTOL, _RTOL_ITERATED = 1e-11, 1e-7
"""Residual of each adjoint step over its right-hand side: by factors, and by iterations, whose forward steps
are solved no closer than that."""
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
        nearest = int(np.abs(case.times - quantity.time).argmin())
        if abs(float(case.times[nearest]) - quantity.time) > _SAME * float(case.times[-1]):
            raise NoAdjointError(
                f"{quantity.label}: no step ended at that time, and between steps no gradient is known; say "
                f"times=['{show_time(quantity.time)}'] to the analysis"
            )
        some = np.array([nearest])
    course = np.array([_at(out, int(i))[:2] for i in some])
    value, slope = over_time(case.times[some], course[:, 0], largest=largest)
    weights = np.zeros(n)
    weights[some] = slope
    true = float(course[:, 1].max() if largest else course[:, 1].min())
    return replace(out, value=value, true=true, weights=weights)


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

    def __init__(self, result: Any, case: TransientCase, asked: _Asked) -> None:
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
        self.iterations = 0

    def go(self) -> tuple[Partials, SolveInfo]:
        """The whole slope, and how it was had."""
        start, n = clock.perf_counter(), len(self.steps)
        psi: list[FloatArray] = []  # of the steps after the one at hand, the next one first
        total = Partials(model=self.model)
        course = Frames.create(None, f"adjoint of {self.case.name}")
        held, guess = _Held(self), np.zeros(self.dofs.n_dof)
        for i in range(n, -1, -1):
            g, actions = self.asked.slope(i)
            total = total + Partials(model=self.model, actions=actions)
            u = self.dofs.gather(self.case.stored.temperature(i))
            pull = np.zeros_like(u) if g is None else self.dofs.gather(g)
            # What is stored and flows at this instant counts in the steps after it.
            storing, flowing = np.zeros_like(u), np.zeros_like(u)
            for k, later in enumerate(psi[:2]):
                step = self.steps[i + k]
                if k < len(step.weights):
                    storing += step.weights[k] * later
            if psi and self.steps[i].before:
                flowing += self.steps[i].before * psi[0]
            if storing.any():
                pull -= self._stored(u, storing)
            if flowing.any():
                pull -= self.equations.pulled(u, flowing, self.steps[i].time_before)
            own = np.zeros_like(u)
            lam = own
            if i > 0:
                step = self.steps[i - 1]
                map_ = self.equations.map(step.time)
                lam = guess = self._solved(map_.at_free(pull), u, step, guess)
                own = np.asarray(map_.change(lam))
                storing = storing + step.rate * own
                pull -= step.rate * self._stored(u, own) + self.equations.pulled(u, own, step.time)
            held.add(i, u, lam, pull)
            course.append(float(n - i), np.empty(0), own=own, storing=storing, flowing=flowing)
            for sums in self.sums:
                sums.add(*(self.dofs.scatter(one) for one in (u, own + flowing, storing)))
            psi = [own, *psi[:1]]
        for sums in self.sums:
            total = total + sums.partials()
        laws = (_Materials(self, course), _Sources(self, course))
        total = total + Partials(model=self.model, actions=tuple((1.0, one) for one in (*laws, held)))
        where = "files" if course.on_disk else "memory"
        notes = (
            f"{n:,} steps back; adjoints of all instants take {course.bytes / 1e6:,.0f} MB in {where}",
            *(() if self.kept else ("the analysis kept nothing (keep=True): the adjoint set up anew",)),
        )
        made = "" if self._made is None else self._made[1].title
        return total, SolveInfo(
            solver=f"adjoint by {made}", n_dof=self.dofs.n_dof, iterations=self.iterations,
            seconds={"adjoint sweep": clock.perf_counter() - start}, notes=notes,
        )  # fmt: skip

    def _solved(self, right: FloatArray, u: FloatArray, step: Step, guess: FloatArray) -> FloatArray:
        """(rate C + A)^T lam = right in the unknowns of the map, from a guess."""
        equations, scale = self.equations, float(np.sqrt(dot(right, right)))
        if scale == 0.0:
            return np.zeros_like(right)
        u.setflags(write=False)
        system = self.solver.system(u, step.time, step.rate)
        if self._made is None or not self._serves(step):
            self._made = (step.rate, Preconditioner(system, self.solver.solver))
        product = equations.product(u, step.time, step.rate, lambda: system, transposed=True)
        made, rest = self._made[1], right - product(guess)
        wanted = (_RTOL if made.exact else _RTOL_ITERATED) * scale
        left = float(np.sqrt(dot(rest, rest)))
        if left <= wanted:
            return guess
        if equations.symmetric:
            found = conjugate_gradients(
                product, made, rest / scale, enough=lambda norm, _: norm <= wanted / scale
            )
        else:
            found = gmres(product, made, rest / scale, rtol=min(wanted / left, 0.1))
        self.iterations += found.iterations
        if found.iterations > _SLOW:
            self._made = None
        return np.asarray(guess + found.x * scale)

    def _serves(self, step: Step) -> bool:
        """Whether the set-up at hand will do for a step; factors are made anew where many like it come."""
        assert self._made is not None
        rate, made = self._made
        if made.exact and self.equations.constant and abs(step.rate / rate - 1.0) > 1e-9:
            alike = sum(abs(one.rate / step.rate - 1.0) <= 1e-9 for one in self.steps)
            if alike >= _MANY:
                return False
        return _STALE[0] <= step.rate / rate <= _STALE[1]

    @cached_property
    def _nothing_stored(self) -> FloatArray:
        return self.equations.stored(np.zeros(self.dofs.n_dof))

    def _stored(self, u: FloatArray, x: FloatArray) -> FloatArray:
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

    def add(self, warm: FloatArray, flowing: FloatArray, storing: FloatArray) -> None:
        """Take in an instant; nodal temperature and weights, float64[n_points] each."""
        cells, block = self._cells, self._cells.block
        if flowing.any():
            cells.add_conducted(flowing, warm, self._work, self._conducted)
        if storing.any():
            heat = block.section.material.enthalpy(warmth_at(block, self.shape, warm))
            self._stored += heat * (storing[block.conn] @ self.shape.T)

    def partials(self) -> Partials:
        """Slope over coordinates, thickness, conductivity and density."""
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

    def __iter__(self) -> Any:
        """Instant, temperature, and weights on the flow in its own step, on its storage, and on the flow in
        the step after, float64[n_dof] each."""
        n = len(self.sweep.steps)
        for i in range(n + 1):
            u = self.sweep.dofs.gather(self.sweep.case.stored.temperature(i))
            u.setflags(write=False)
            yield i, u, *(self.adjoints.array(n - i, name) for name in ("own", "storing", "flowing"))


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
        for _, u, own, storing, flowing in self:
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


class _Held:
    """What given temperatures, and nodes that follow others, do: u = t q + u0 at every instant."""

    def __init__(self, sweep: _Sweep) -> None:
        self._sweep = sweep
        self._instants: list[tuple[float, FloatArray, FloatArray, FloatArray, FloatArray]] = []
        self._sums: dict[float | None, FloatArray] = {}

    def add(self, i: int, u: FloatArray, lam: FloatArray, pull: FloatArray) -> None:
        """Take in an instant; `pull` is the slope over u less all that its adjoints take."""
        sweep, equations = self._sweep, self._sweep.equations
        time = sweep.steps[i - 1].time if i > 0 else 0.0
        map_ = equations.map(time)
        if map_.transform is None:
            # Of given temperatures alone the sum over instants will do.
            key = time if equations.timed_supports else None
            share = np.where(map_.fixed, pull, 0.0)
            self._sums[key] = self._sums[key] + share if key in self._sums else share
            return
        rest = np.zeros_like(u)
        if i > 0:
            rest = self._residual(i, u)
        q = np.where(map_.fixed, 0.0, u)
        nodal = [sweep.dofs.scatter(one) for one in (q, lam, pull, rest)]
        self._instants.append((time, *nodal))

    def _residual(self, i: int, u: FloatArray) -> FloatArray:
        """R_i at all nodes, W."""
        sweep, step = self._sweep, self._sweep.steps[i - 1]
        equations, stored = sweep.equations, sweep.case.stored
        before = [sweep.dofs.gather(stored.temperature(i - 1 - k)) for k in range(len(step.weights))]
        out = step.rate * equations.stored(u) + equations.conducted(u) - equations.given(u, step.time).total
        for weight, one in zip(step.weights, before, strict=True):
            out = out + weight * equations.stored(one)
        if step.before:
            flow = equations.conducted(before[0]) - equations.given(before[0], step.time_before).total
            out = out + step.before * flow
        return np.asarray(out)

    def along(self, directions: Directions) -> FloatArray:
        return directions.difference(self._work)

    def _map(self, model: Model, time: float | None) -> AffineMap:
        sweep = self._sweep
        return heat_map(model, model.cases[sweep.case.name], replace(sweep.dofs, order=None), time)

    def _work(self, model: Model) -> float:
        sweep, total = self._sweep, 0.0
        own = sweep.dofs.scatter(sweep.equations.map(0.0).fixed.astype(np.float64)) > 0.0
        for time, share in self._sums.items():
            map_ = self._map(model, time)
            if not np.array_equal(map_.fixed, own):
                raise TopologyError(
                    "the neighboring design holds other temperatures than this one; name a group where a "
                    "place is given by its position"
                )
            total += float((map_.value * sweep.dofs.scatter(share)).sum())
        for time, q, lam, pull, rest in self._instants:
            map_ = self._map(model, time)
            total += float((map_.expand(q) * pull).sum()) - float((map_.change(lam) * rest).sum())
        return total
