"""Heat over time: implicit steps whose size follows their error, from an initial temperature.

Sources: Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, 2nd ed. (1993), sec. III.5:
BDF of variable steps; Rannacher, Numer. Math. 43 (1984): Crank-Nicolson begun with implicit steps; Gresho and
Sani, Incompressible Flow and the Finite Element Method (1998), sec. 3.16: predictors that measure the error.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time as clock
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from designtwin.analysis.newton import Enough, HeatSolver, SetUp, newton
from designtwin.analysis.static import check_arguments
from designtwin.analysis.thermal import heat_moved, shown, thermal_cases
from designtwin.assembly import Given, HeatEquations, cell_blocks, heat_cells
from designtwin.errors import ConvergenceError, DesignTwinError, ModelError
from designtwin.memory import Peak
from designtwin.model.checks import check_thermal
from designtwin.model.heat import refuse_celsius
from designtwin.model.magnitude import Magnitude
from designtwin.model.model import LoadCase, Model
from designtwin.progress import Progress, track
from designtwin.results import (
    Frames,
    Recovery,
    SolveInfo,
    StepRecord,
    TransientCase,
    TransientResult,
    case_folder,
)
from designtwin.solvers.krylov import dot
from designtwin.solvers.solution import LinearSolver
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

METHODS = {"BDF2": None, "Crank-Nicolson": 0.5, "backward Euler": 1.0}
"""Names of methods and their theta; None for BDF2."""

_TOLERANCE = 2e-3  # default tolerance, over the spread of temperatures that the case will see
_SOLVED = (1e-7, 1e-5)  # error of linear solves at a fixed step, over that spread: least and most
_SHARE = 0.01  # error of linear solves, over that of the step
_HEAT = 1e-7  # heat lost in a step that is not linear, over the heat moved in it
_KINK = 0.01  # of the tolerance, that a step may err by where temperature may kink in time
_SAMPLES = 2000  # instants at which functions of time are looked at for jumps
_EARLY = 1e-3  # of a stretch between kinks
_MANY = 1000  # instants to be hit beyond which that is told
_JUST = 1e-9  # share of the duration that is just before, or just after
_JUMP = 0.1  # of its range, from one such instant to the next
_HOLD = (0.85, 1.6)  # changes of step that are not worth another set-up
_GROW, _SHRINK, _SAFETY = 2.0, 0.25, 0.9
_FIRST = 1e-3  # first step, over the duration
_SMALLEST = 1e-9  # step over the duration at which we give up
_BALANCE = 1e-4  # heat put in less heat stored over heat moved; a course above it is refused


@dataclass(frozen=True)
class Method:
    """How time is cut and weighted.

    Parameters
    ----------
    name : str
    theta : float or None
        Weight of the new instant; None for BDF2.
    """

    name: str
    theta: float | None

    @property
    def order(self) -> int:
        return 2 if self.theta in (None, 0.5) else 1

    @property
    def damped(self) -> int:
        """Implicit steps that a start takes before steps of its own."""
        return 0 if self.theta is None or self.theta > 0.5 else 4

    @classmethod
    def of(cls, stated: str | float) -> Method:
        """Read what the user wrote.

        Raises
        ------
        ModelError
            If there is no such method, or it would not be stable.
        """
        if isinstance(stated, str):
            if stated not in METHODS:
                raise ModelError(
                    f"method is {stated!r}; it may be {', '.join(map(repr, METHODS))} or a theta"
                )
            return cls(stated, METHODS[stated])
        if isinstance(stated, bool) or not 0.5 <= float(stated) <= 1.0:
            raise ModelError(
                f"theta is {stated}; from 0.5 (Crank-Nicolson) to 1 (backward Euler): below 0.5 large steps "
                "are not stable"
            )
        return cls(f"theta {float(stated):g}", float(stated))


def solve_transient(
    model: Model,
    *,
    duration: Any,
    initial: Any,
    method: str | float = "BDF2",
    tolerance: Any = None,
    step: Any = None,
    max_step: Any = None,
    times: Sequence[Any] = (),
    store: str | Path | None = None,
    solver: LinearSolver | None = None,
    keep: bool = False,
) -> TransientResult:
    """Solve C(T) dT/dt + K(T) T = Q(T, t) for every thermal load case.

    Parameters
    ----------
    model : Model
    duration : time
        Such as ``"20 min"``.
    initial : temperature, field, float64[n_points] in K, or a thermal case
        Temperature at time 0.
    method : "BDF2", "Crank-Nicolson", "backward Euler" or theta from 0.5 to 1
    tolerance : temperature difference, optional
        Error that all steps together may make, root mean square over the volume; unless given, 0.2 % of the
        spread of temperatures to come. Between kinks of loads errors count as if none died out; from one
        stretch to the next they add up by their squares.
    step : time, optional
        A fixed step; the error is then told and not controlled.
    max_step : time, optional
        Largest step, for loads that a longer one would overlook; a tenth of the duration unless given.
    times : sequence of times
        Instants to be hit exactly.
    store : path, optional
        Folder for instants and checkpoints. An interrupted run goes on from there, digit by digit as if it
        had not been interrupted; a complete one is read.
    solver : LinearSolver, optional
        Chosen by size unless given.
    keep : bool
        Whether the result holds on to equations and factors, so that `sensitivities` costs no set-up.

    Returns
    -------
    TransientResult
        ``result[case].at("10 min").temperature``.

    Raises
    ------
    MissingPropertyError
        If a material lacks conductivity, density or specific heat.
    ModelError
        If an argument makes no sense, or a temperature or time lies beyond a table's end.
    ConvergenceError
        If a step does not converge however small, or heat does not balance.
    """
    check_arguments(model, solver)
    plan = _Plan.of(duration, method, tolerance, step, max_step, times)
    start_at = _initial(model, initial)
    cases = thermal_cases(model, transient=True)
    notes = [note for case in cases for note in check_thermal(model, case, transient=True)]
    blocks = cell_blocks(model)
    recovery = Recovery(model.mesh, blocks)
    answers, kept = {}, {}
    with track("transient heat", total=len(cases) * plan.duration) as progress:
        began, peak = clock.perf_counter(), Peak()
        cells = heat_cells(model, blocks, storing=True)
        common = clock.perf_counter() - began
        for case in cases:
            progress.step(f"case {case.name!r}: assemble", 0.0)
            began = clock.perf_counter()
            equations = HeatEquations(model, case, cells)
            key = _key(model, case, start_at, plan, solver)
            run = _Run(equations, plan, start_at, Frames.resume(case_folder(store, case.name), key), solver)
            run.seconds["assemble"] = common + clock.perf_counter() - began
            run.go(progress)
            answers[case.name] = run.answer(recovery, peak)
            if keep:
                kept[case.name] = run.heat
    return TransientResult(model, answers, tuple(dict.fromkeys(notes)), kept)


class Step(NamedTuple):
    """One step of a run as it was made: rate E(u) + weights . E(before) + before * flow before + flow = 0.

    Parameters
    ----------
    time, time_before : float
        At which its loads, and those of the flow before, were looked at, s.
    rate : float
        1/s.
    weights : tuple of float
        Of the heat stored at the instants before, the last one first, 1/s.
    before : float
        Weight of the flow before.
    """

    time: float
    time_before: float
    rate: float
    weights: tuple[float, ...]
    before: float


def steps_of(case: TransientCase) -> list[Step]:
    """The formulas of the steps between the instants of an answer."""
    plan: _Plan = case.plan
    jumps, just = _jumps_of(case.model, case.case, plan.duration), _JUST * plan.duration
    out: list[Step] = []
    sizes: list[float] = []
    damped = plan.method.damped
    time_before = float(case.times[0])
    for start, end in itertools.pairwise(case.times.tolist()):
        formula = _formula(plan.method, sizes, damped, end - start)
        jump = _at_jump(jumps, end, just)
        time = end - just if jump else end
        out.append(Step(time, time_before, formula.rate, formula.weights, formula.before))
        sizes, damped, time_before = [end - start, *sizes[:1]], max(damped - 1, 0), time
        if jump:
            sizes, damped, time_before = [], plan.method.damped, end + just
    return out


@dataclass(frozen=True)
class _Plan:
    """What the user asked of time, s and K."""

    duration: float
    method: Method
    tolerance: float | None
    step: float | None
    max_step: float
    times: tuple[float, ...]

    @classmethod
    def of(
        cls,
        duration: Any,
        method: str | float,
        tolerance: Any,
        step: Any,
        max_step: Any,
        times: Sequence[Any],
    ) -> _Plan:
        total = _positive(duration, "time", "duration")
        fixed = None if step is None else _positive(step, "time", "step")
        if fixed is not None and tolerance is not None:
            raise ModelError(
                "state step= (fixed steps) or tolerance= (steps that follow their error), not both"
            )
        if fixed is not None and fixed > total:
            raise ModelError(f"step {show(fixed, 'time')} is longer than the duration {show(total, 'time')}")
        largest = 0.1 * total if max_step is None else _positive(max_step, "time", "max_step")
        allowed = None if tolerance is None else _positive(tolerance, "temperature_difference", "tolerance")
        wanted = sorted(_positive(one, "time", "times") for one in times)
        if wanted and wanted[-1] > total:
            raise ModelError(f"times: {show(wanted[-1], 'time')} is after the end, {show(total, 'time')}")
        return cls(total, Method.of(method), allowed, fixed, min(largest, total), tuple(wanted))


def _positive(value: Any, dimension: str, name: str) -> float:
    number = to_si(value, dimension, name=name)
    if not isinstance(number, float) or not number > 0.0:
        raise ModelError(f"{name} is {value!r}; one value above zero is wanted")
    return number


def _initial(model: Model, stated: Any) -> FloatArray:
    """Temperature of every node at the start, K."""
    if stated is None:
        raise ModelError(
            "a transient needs the temperature at the start: initial='23 degC', a field, or a thermal case"
        )
    refuse_celsius(stated, "initial")
    stated = getattr(stated, "temperature", stated)
    if isinstance(stated, np.ndarray) and stated.ndim == 1:
        from designtwin.model.magnitude import nodal

        stated = nodal(stated)
    magnitude = Magnitude.of(stated, "temperature", name="initial")
    n = model.mesh.n_points
    values = np.broadcast_to(magnitude.at(points=model.mesh.points), (n,)).copy()
    if (values < 0.0).any():
        raise ModelError(f"initial: {values.min():g} K is below absolute zero; write '23 degC' for degrees")
    return values


def _jumps(magnitude: Magnitude, end: float) -> list[float]:
    """Times at which a function of time jumps: as stated, and as found by looking at many instants."""
    times = np.linspace(0.0, end, _SAMPLES + 1)
    values = magnitude.at(time=times).reshape(len(times), -1)
    changes = np.abs(np.diff(values, axis=0))
    least = _JUMP * max(float(np.ptp(values, axis=0).max()), 1e-300)
    found = [float(t) for t in magnitude.breakpoints]
    for k in np.flatnonzero(changes.max(axis=1) > least):
        column = int(changes[k].argmax())
        low, high = times[k], times[k + 1]
        left, right = values[k, column], values[k + 1, column]
        for _ in range(40):
            middle = 0.5 * (low + high)
            value = float(magnitude.at(time=middle).reshape(-1)[column])
            if abs(value - left) < abs(value - right):
                low, left = middle, value
            else:
                high, right = middle, value
        if abs(right - left) > 0.5 * changes[k, column]:  # else it is steep, and steps will follow it
            found.append(float(high))
    return found


def _functions_of_time(model: Model, case: LoadCase) -> list[Magnitude]:
    """Python functions of time among loads and supports of heat."""
    items = (*case.heat_loads, *model.heat_supports, *case.heat_supports)
    return [
        one for item in items for one in vars(item).values()
        if isinstance(one, Magnitude) and one.kind == "function" and one.over == "time"
    ]  # fmt: skip


def _jumps_of(model: Model, case: LoadCase, end: float) -> list[float]:
    """Times before the end at which loads jump, s, ascending."""
    tiny = 1e-9 * end
    functions = _functions_of_time(model, case)
    return sorted({t for one in functions for t in _jumps(one, end) if tiny < t < end - tiny})


def _at_jump(jumps: Sequence[float], time: float, just: float) -> bool:
    """Whether loads jump at a time, or just before or after it."""
    k = bisect_right(jumps, time - just)
    return k < len(jumps) and jumps[k] <= time + just


def _key(model: Model, case: LoadCase, initial: FloatArray, plan: _Plan, solver: Any) -> str:
    """Names what is computed: another model or plan has another."""
    try:
        what = model.content_hash()
    except DesignTwinError:
        what = f"functions {id(model)}"  # a Python function has no content: it is not found again
    text = json.dumps(
        [what, case.name, hashlib.sha256(initial.tobytes()).hexdigest(), repr(plan), repr(solver)]
    )
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(eq=False)
class _State:
    """All that the next step depends on; written at checkpoints, digit by digit.

    Instants come newest first; u, e: temperature and heat stored at the nodes, float64[n_dof].
    """

    time: float
    u: list[FloatArray]
    e: list[FloatArray]
    sizes: list[float]
    """Of the steps between the instants of u."""
    flow: FloatArray
    """K u - Q at the last instant, free rows of it (theta methods)."""
    next_size: float
    heat: list[float]
    """Heat put in since the start, at the instants of e, J."""
    power: float
    """Of the last instant, W."""
    moved: float
    """Sum of all heat that came or went, J."""
    error: float
    """Sum of the errors of the steps since loads last kinked, K."""
    squares: float
    """Sum of the squares of such sums before that, K^2."""
    worst: float
    """Largest imbalance so far, over heat moved."""
    last: float
    """Error of the last step, 0 where it is not known, K."""
    damped: int
    """Implicit steps still to be made before Crank-Nicolson begins."""
    residual: float


class _Formula(NamedTuple):
    """rate E + weights . E before + before * flow + K u - Q = 0.

    `theta` weights the new instant; `error` times the derivative after `order` is the error of the step.
    """

    size: float
    rate: float
    weights: tuple[float, ...]
    before: float
    theta: float
    order: int
    error: float


def _formula(method: Method, sizes: Sequence[float], damped: int, size: float) -> _Formula:
    """Weights of a step after steps of these sizes, the last one first, some of which were to be damped."""
    theta = method.theta
    if damped or (theta is None and not sizes):
        theta = 1.0
    if theta is None:
        w = size / sizes[0]
        rate = (1.0 + 2.0 * w) / (1.0 + w) / size
        one, two = -(1.0 + w) / size, w * w / (1.0 + w) / size
        error = size**3 * (1.0 + w) ** 2 / (6.0 * w * (1.0 + 2.0 * w))
        return _Formula(size, rate, (one, two), 0.0, 1.0, 2, error)
    before = (1.0 - theta) / theta
    rate = 1.0 / (theta * size)
    order = 2 if theta == 0.5 else 1
    error = size**3 / 12.0 if order == 2 else (theta - 0.5) * size**2
    return _Formula(size, rate, (-rate,), before, theta, order, error)


class _Trial(NamedTuple):
    """A step made, to be accepted or not."""

    formula: _Formula
    time: float
    u: FloatArray
    e: FloatArray
    flow: FloatArray
    given: Given
    held: FloatArray
    rest: FloatArray
    error: float


class _Run:
    """One load case, step by step."""

    def __init__(
        self, equations: HeatEquations, plan: _Plan, initial: FloatArray, frames: Frames,
        solver: LinearSolver | None,
    ) -> None:  # fmt: skip
        self.equations, self.plan, self.frames = equations, plan, frames
        self.heat = HeatSolver(equations, solver)
        self.dofs = equations.dofs
        self.seconds: dict[str, float] = {}
        self.rejected = 0
        start = self.dofs.gather(initial)
        map_ = equations.map(0.0)
        # Prescribed temperatures hold from the first instant on.
        first = map_.expand(np.where(map_.fixed, 0.0, start))
        self._e0 = equations.stored(first)
        self._total_capacity = float(self._capacity(first).sum())
        self._conductance = equations.system(first, 0.0).largest
        self._initial = first
        self._melts = any(part.section.material.latent_heat is not None for part in equations.model.parts)
        self._stops = self._all_stops()
        diagonal = equations.system(first, 0.0, 1.0).diagonal() - equations.system(first, 0.0).diagonal()
        self._weights = diagonal / diagonal.sum()  # positive, as row sums of quadratic cells are not
        self.spread = self._expected_spread(first)
        self.tolerance = plan.tolerance or _TOLERANCE * self.spread
        self.state = self._begin(first)

    # The start

    def _capacity(self, u: FloatArray) -> FloatArray:
        """Heat that one kelvin more stores at each node, J/K."""
        return self.equations.stored(u + 0.5) - self.equations.stored(u - 0.5)

    def _all_stops(self) -> list[float]:
        """Instants to be hit: asked for, where loads kink, the end."""
        end = self.plan.duration
        case, model = self.equations.case, self.equations.model
        tiny = 1e-9 * end
        kinks = [
            float(t)
            for item in (*case.heat_loads, *model.heat_supports, *case.heat_supports)
            for t in getattr(item, "breakpoints", ())
            if tiny < t < end - tiny
        ]
        if len(kinks) > _MANY:
            self.heat.notes += (
                f"case {case.name!r}: loads change their slope at {len(kinks):,} instants, such as the "
                "readings of a log, and a step ends at each; thin the log out if that takes too long",
            )
        self._may_kink = self._melts or bool(_functions_of_time(model, case))
        self._jumps = _jumps_of(model, case, end)
        kinks += self._jumps
        self._kinks = sorted({0.0, *kinks, end})
        stops = sorted({*kinks, *self.plan.times, end})
        return [t for i, t in enumerate(stops) if i == len(stops) - 1 or stops[i + 1] - t > tiny]

    def _expected_spread(self, u: FloatArray) -> float:
        """Spread of the temperatures to come, K.

        From single linear implicit steps to the end and, as loads may be off by then, to where they put in
        most.
        """
        ends = self._kinks[1:]
        if len(ends) > 1:
            heat = [abs(float(self.equations.given(u, t).total.sum())) for t in ends[:: -(-len(ends) // 50)]]
            ends = sorted({ends[-1], ends[:: -(-len(ends) // 50)][int(np.argmax(heat))]})
        used = self.dofs.gather(np.isin(np.arange(self.dofs.n_points), self.equations.model.mesh.used_nodes))
        seen = [u[used > 0]]
        for end in ends:
            rate, map_ = 1.0 / end, self.equations.map(end)
            guess = map_.expand(np.where(map_.fixed, 0.0, u))
            rest = rate * (self.equations.stored(guess) - self._e0) + self._missing(guess, end)
            r = map_.at_free(-rest)
            x = HeatSolver(self.equations, self.heat.solver).solve(r, guess, end, rate, None)
            after = guess + map_.change(x)
            seen.append(after[used > 0])
        both = np.concatenate(seen)
        return max(float(np.ptp(both)), 1e-6 * float(np.abs(both).max(initial=1.0)), 1e-9)

    def _begin(self, u: FloatArray) -> _State:
        plan = self.plan
        size = plan.step if plan.step is not None else min(_FIRST * plan.duration, plan.max_step)
        rest = self._missing(u, 0.0)
        self._damping = plan.method.damped
        given = self.equations.given(u, 0.0)
        power = float(given.total.sum())
        return _State(
            time=0.0, u=[u], e=[self._e0], sizes=[], flow=rest, next_size=size, heat=[0.0], power=power,
            moved=0.0, error=0.0, squares=0.0, worst=0.0, last=0.0, damped=self._damping,
            residual=0.0,
        )  # fmt: skip

    def _missing(self, u: FloatArray, time: float) -> FloatArray:
        """K u - Q, W."""
        return self.equations.conducted(u) - self.equations.given(u, time).total

    # A step

    def _predict(
        self, state: _State, past: list[FloatArray], size: float, order: int
    ) -> tuple[FloatArray, float]:
        """Instants extrapolated by a polynomial of an order, and what its next derivative is times there.

        The second number is nan where there are too few instants for the order.
        """
        known = min(order + 1, len(past))
        back = -np.concatenate([[0.0], np.cumsum(state.sizes[: known - 1])])
        guess = np.zeros_like(past[0])
        for i in range(known):
            others = np.delete(back, i)
            guess += float(np.prod((size - others) / (back[i] - others))) * past[i]
        if known <= order:
            return guess, np.nan
        return guess, float(np.prod(size - back)) / (2.0 if order == 1 else 6.0)

    def _attempt(self, state: _State, size: float) -> _Trial:
        """One implicit step.

        Raises
        ------
        ConvergenceError
            If its equations have no solution.
        """
        formula = _formula(self.plan.method, state.sizes, state.damped, size)
        time = state.time + size
        if self._at_jump(time):
            time -= _JUST * self.plan.duration
        equations, rate = self.equations, formula.rate
        history = formula.weights[0] * state.e[0]
        for weight, e in zip(formula.weights[1:], state.e[1:], strict=False):
            history = history + weight * e
        if formula.before:
            history = history + formula.before * state.flow
        map_ = equations.map(time)
        guess = self._predict(state, state.u, size, 2)[0]
        u = map_.expand(np.where(map_.fixed, 0.0, guess))

        def residual(u: FloatArray) -> FloatArray:
            return rate * equations.stored(u) + history + self._missing(u, time)

        enough = self._solved(size)
        if equations.linear:
            u = self._solve_linear(u, residual(u), time, rate, enough)
        else:
            u = self._solve_nonlinear(u, residual, time, rate, enough)
        e, given = equations.stored(u), equations.given(u, time)
        flow = equations.conducted(u) - given.total
        rest = rate * e + history + flow
        error = self._error(state, formula, u, e)
        return _Trial(formula, state.time + size, u, e, flow, given, map_.lift(rest), rest, error)

    def _kink_at(self, time: float) -> bool:
        """Whether loads kink at a time that a step has hit."""
        k = bisect_right(self._kinks, time * (1.0 + 1e-12)) - 1
        return bool(time - self._kinks[k] <= 1e-12 * time)

    def _at_jump(self, time: float) -> bool:
        """Whether loads jump at a time."""
        return _at_jump(self._jumps, time, _JUST * self.plan.duration)

    def _begun_anew(self, state: _State) -> _State:
        """The state just after a jump: steps behind it know nothing of what comes."""
        u, time = state.u[0], state.time + _JUST * self.plan.duration
        power = float(self.equations.given(u, time).total.sum())
        return replace(
            state, u=[u], e=state.e[:1], sizes=[], heat=state.heat[:1], flow=self._missing(u, time),
            power=power, next_size=min(state.next_size, _FIRST * self.plan.duration)
            if self.plan.step is None else state.next_size, damped=self._damping,
        )  # fmt: skip

    def _error(self, state: _State, formula: _Formula, u: FloatArray, e: FloatArray) -> float:
        """Error of a step, K, by what a polynomial through the instants before expected; nan if too few."""
        past, now = (state.e, e) if self._melts else (state.u, u)
        guess, reach = self._predict(state, past, formula.size, formula.order)
        part = formula.error / (formula.error + reach)
        if np.isnan(part):
            return part
        if not self._melts:
            return self._size(part * (now - guess))
        # Where something melts temperature kinks in time; the heat stored there does not.
        change = part * (now - guess)
        each = np.divide(change, self._weights, out=np.zeros_like(change), where=self._weights > 0.0)
        return float(np.sqrt(dot(change, each))) / self._total_capacity

    def _solved(self, size: float) -> float:
        """Error allowed to the solution of a step's equations, K."""
        if self.plan.step is not None:
            least, most = _SOLVED
            return float(np.clip(_SHARE * self.state.last, least * self.spread, most * self.spread))
        return _SHARE * self._allowed(self.state.time, size)

    def _allowed(self, time: float, size: float) -> float:
        """Error allowed to a step, K: what all steps are allowed, spread evenly over the root of time.

        After a sudden change heat goes as the root of time, and steps of any size make a like error; spread
        over time itself, the first of them would have to be as small as the cells let them.
        """
        k = bisect_right(self._kinks, time * (1.0 + 1e-12)) - 1
        begins, ends = self._kinks[k], self._kinks[k + 1]
        since = max(time - begins, 0.0)
        share = np.sqrt(min(since + size, ends - begins)) - np.sqrt(since)
        # From kink to kink each stretch is a start of its own; their errors add up like those of any trials.
        spans = np.diff(self._kinks)
        all_shares = np.sqrt(spans).sum() / np.sqrt(len(spans))
        # A front that passes a node is a kink in time; so may be a function. And what happens within the
        # first moments, within a cell or two, is not worth many steps.
        early = since < _EARLY * (ends - begins)
        least = _KINK * self.tolerance if self._may_kink or early else 0.0
        return float(max(self.tolerance * share / all_shares, least))

    def _solve_linear(
        self, u: FloatArray, rest: FloatArray, time: float, rate: float, enough: float
    ) -> FloatArray:
        map_ = self.equations.map(time)
        r = map_.at_free(-rest)
        x = self.heat.solve(r, u, time, rate, self._enough(u, rate, enough), balanced=True)
        return u + map_.change(x)

    def _enough(self, u: FloatArray, rate: float, error: float) -> Enough:
        """Whether a residual leaves no larger error than this, K.

        sqrt(r . z) is the error in the norm of the matrix, which is no less than sqrt(rate C).
        """
        allowed = error**2 * rate * self._total_capacity
        floor = 1e-15 * self._conductance * float(np.abs(u).max(initial=0.0))
        return lambda norm, rz: rz <= allowed or norm <= floor

    def _solve_nonlinear(
        self, u: FloatArray, residual: Any, time: float, rate: float, enough: float
    ) -> FloatArray:
        map_ = self.equations.map(time)

        def small(u: FloatArray, rest: FloatArray, step: FloatArray) -> bool:
            free = map_.at_free(rest)
            stored = float(np.abs(rate * (self.equations.stored(u) - self.state.e[0])).sum())
            given = self.equations.given(u, time)
            moved = stored + heat_moved(map_.lift(rest), given, self._conductance, u)
            if float(np.abs(free).sum()) <= 1e-9 * moved:
                return True
            return bool(self._size(step) <= enough and abs(float(free.sum())) <= _HEAT * moved)

        who = f"case {self.equations.case.name!r} at {show(time, 'time')}"
        until = self._enough(u, rate, 0.3 * enough) if self.equations.symmetric else None
        return newton(self.heat, residual, u, time, rate, small=small, who=who, enough=until)

    def _size(self, field: FloatArray) -> float:
        """Root mean square over the part, K."""
        return float(np.sqrt(dot(field, self._weights * field)))

    # The course

    def go(self, progress: Progress) -> None:
        """All steps, from the start or from the last checkpoint."""
        state = self._resume()
        end = self.plan.duration
        while state.time < end * (1.0 - 1e-12):
            steps = self._next(state)
            for trial in steps:
                before = state.time
                state = self.state = self._accept(state, trial)
                progress.step(
                    f"case {self.equations.case.name!r}: {show(state.time, 'time')}", state.time - before
                )
                if self._at_jump(state.time):
                    state = self.state = self._begun_anew(state)
            if self.frames.path is not None and (self.frames.due or state.time >= end * (1.0 - 1e-12)):
                self._checkpoint(state)

    def _next(self, state: _State) -> list[_Trial]:
        """The next step or, at the start, two; as large as the error allows.

        Raises
        ------
        ConvergenceError
            If no step is small enough.
        """
        plan = self.plan
        if plan.step is not None:
            wanted = 0.5 * plan.step if state.damped else plan.step
            return [self._attempt(state, self._to_stop(state, wanted, even=False))]
        size = state.next_size
        while True:
            if state.sizes:
                size = min(size, _GROW * state.sizes[0])
            wanted = min(size, plan.max_step)
            size = self._to_stop(state, wanted, even=True)
            try:
                steps, error = self._measured(state, size)
            except ConvergenceError as reason:
                if size <= _SMALLEST * plan.duration:
                    raise
                steps, error, why = [], np.inf, reason
            allowed = self._allowed(state.time, size)
            order = 1 if not state.sizes else self.plan.method.order
            change = _SAFETY * (allowed / max(error, 1e-300)) ** (1.0 / order)
            if error <= allowed:
                low, high = _HOLD
                held = 1.0 if low < change < high else float(np.clip(change, _SHRINK, _GROW))
                # A step cut short by an instant to be hit says nothing against the size before.
                state.next_size = (
                    held * size if held != 1.0 or size >= 0.5 * state.next_size else state.next_size
                )
                return steps
            self.rejected += 1
            size *= float(np.clip(change, _SHRINK, 0.8))
            if size < _SMALLEST * plan.duration:
                told = f"; the last: {why}" if np.isinf(error) else ""
                raise ConvergenceError(
                    f"case {self.equations.case.name!r}: at {show(state.time, 'time')} no step is small "
                    f"enough for the error of {self.tolerance:.2g} K in all that is asked{told}; "
                    "allow a larger tolerance, or look for loads that jump"
                )

    def _measured(self, state: _State, size: float) -> tuple[list[_Trial], float]:
        """Steps over a size and their error, K; the first is made once whole and once in halves."""
        if state.sizes:
            trial = self._attempt(state, size)
            return [trial], trial.error
        whole = self._attempt(state, size)
        first = self._attempt(state, 0.5 * size)
        middle = self._after(state, first)
        second = self._attempt(middle, 0.5 * size)
        error = self._size(second.u - whole.u)
        # Two implicit steps of first order: the half of what they differ by is the error of the two.
        return [first._replace(error=0.5 * error), second._replace(error=0.5 * error)], error

    def _to_stop(self, state: _State, size: float, *, even: bool) -> float:
        """The size, or what is left to the next instant to be hit."""
        tiny = 1e-9 * self.plan.duration
        left = next(stop for stop in self._stops if stop > state.time + tiny) - state.time
        if size >= left * (1.0 - 1e-9):
            return left
        return 0.5 * left if even and size > 0.5 * left else size

    def _after(self, state: _State, trial: _Trial) -> _State:
        """The state once a step is taken."""
        f = trial.formula
        kinked = state.time > 0.0 and self._kink_at(state.time)
        given, held = float(trial.given.total.sum()), float(trial.held.sum())
        power = given + held
        if f.theta == 1.0 and len(f.weights) == 2:  # BDF2
            heat = (power - f.weights[0] * state.heat[0] - f.weights[1] * state.heat[1]) / f.rate
        else:
            heat = state.heat[0] + (power + f.before * state.power) / f.rate
        moved = heat_moved(f.theta * trial.held, trial.given, self._conductance, trial.u)
        moved = state.moved + f.size * max(moved, float(np.abs(trial.e - state.e[0]).sum()) / f.size)
        imbalance = abs(heat - float((trial.e - self._e0).sum())) / moved
        free = self.equations.map(trial.time).at_free(trial.rest)
        residual = float(np.abs(free).max(initial=0.0)) * f.size / moved
        return _State(
            time=trial.time, u=[trial.u, *state.u[:2]], e=[trial.e, *state.e[:2]],
            sizes=[f.size, *state.sizes[:1]], flow=trial.flow, next_size=state.next_size,
            heat=[heat, *state.heat[:1]], power=given, moved=moved,
            error=(0.0 if kinked else state.error) + (0.0 if np.isnan(trial.error) else trial.error),
            squares=state.squares + (state.error**2 if kinked else 0.0),
            worst=max(state.worst, imbalance), last=0.0 if np.isnan(trial.error) else trial.error,
            damped=max(state.damped - 1, 0),
            residual=max(state.residual, residual),
        )  # fmt: skip

    def _accept(self, state: _State, trial: _Trial) -> _State:
        after = self._after(state, trial)
        if not np.isfinite(trial.u).all() or after.worst > _BALANCE:
            raise ConvergenceError(
                f"case {self.equations.case.name!r}: at {show(after.time, 'time')} heat put in and heat "
                f"stored differ by {after.worst:.1e} of the heat moved (allowed {_BALANCE:.0e}); take "
                "smaller steps, or check for cells of poor quality"
            )
        self._keep(after, trial.held * trial.formula.theta, trial.given, trial.error)
        return after

    def _keep(self, state: _State, held: FloatArray, given: Given, error: float) -> None:
        """Add an instant."""
        temperature = shown(self.equations.model, self.dofs.scatter(state.u[0]))
        self.frames.append(
            state.time, temperature, held=self.dofs.scatter(held), applied=float(given.applied.sum()),
            exchanged=float(given.exchanged.sum()), stored_energy=float((state.e[0] - self._e0).sum()),
            heat_in=state.heat[0], step_error=error,
            error_bound=float(np.hypot(state.error, np.sqrt(state.squares))),
        )  # fmt: skip

    # Checkpoints

    def _checkpoint(self, state: _State) -> None:
        made = self.heat.made
        known: dict[str, Any] = {
            f"{name}_{i}": array
            for name in ("u", "e", "sizes", "heat")
            for i, array in enumerate(getattr(state, name))
        }
        single = (
            "time",
            "flow",
            "next_size",
            "power",
            "moved",
            "error",
            "squares",
            "worst",
            "last",
            "damped",
            "residual",
        )
        known |= {name: getattr(state, name) for name in single}
        known |= {"rejected": self.rejected, "fresh": self.heat.fresh, "setups": self.heat.setups}
        known |= {"iterations": self.heat.iterations, "fallen_back": float(self.heat.fallen_back)}
        if made is not None:
            known |= {"made_rate": made.rate, "made_time": made.time, "made_u": made.u}
            known |= {"made_ended": self.heat.expectation[0], "made_spared": self.heat.expectation[1]}
        self.frames.checkpoint(**known)

    def _resume(self) -> _State:
        """The state at the last checkpoint; the start where there is none."""
        known = self.frames.load()
        if known is None:
            given = self.equations.given(self._initial, 0.0)
            self._keep(self.state, np.zeros_like(self._initial), given, float("nan"))
            return self.state

        def several(name: str) -> list[Any]:
            return [known[f"{name}_{i}"] for i in range(3) if f"{name}_{i}" in known]

        self.rejected, self.heat.fresh = int(known["rejected"]), int(known["fresh"])
        if known["fallen_back"]:
            self.heat.fall_back()
        if "made_rate" in known and known["time"] < self.plan.duration * (1.0 - 1e-12):
            made = SetUp(known["made_rate"], known["made_time"], known["made_u"])
            self.heat.prepare(made, (known["made_ended"], int(known["made_spared"])))
        self.heat.setups, self.heat.iterations = int(known["setups"]), int(known["iterations"])
        self.state = _State(
            time=known["time"], u=several("u"), e=several("e"), sizes=several("sizes"), flow=known["flow"],
            next_size=known["next_size"], heat=several("heat"), power=known["power"], moved=known["moved"],
            error=known["error"], squares=known["squares"], worst=known["worst"], last=known["last"],
            damped=int(known["damped"]),
            residual=known["residual"],
        )  # fmt: skip
        return self.state

    # The answer

    def answer(self, recovery: Recovery, peak: Peak) -> TransientCase:
        """What the run came to."""
        frames, state = self.frames, self.state
        times = np.asarray(frames.times)
        errors = np.array([frames.get(i, "step_error") for i in range(1, len(frames))], np.float64)
        bounds = np.array([frames.get(i, "error_bound") for i in range(len(frames))], np.float64)
        method = self.plan.method.name
        info = SolveInfo(
            solver=f"{method}, {self.heat.name or 'read from store'}", n_dof=self.dofs.n_dof,
            iterations=self.heat.iterations,
            seconds={**self.seconds, **self.heat.seconds}, notes=self.heat.notes, residual=state.residual,
            peak_bytes=peak.bytes,
        )  # fmt: skip
        return TransientCase(
            name=self.equations.case.name, model=self.equations.model, recovery=recovery,
            case=self.equations.case, stored=frames, info=info, residual=state.residual,
            imbalance=state.worst, time_error=bounds,
            steps=StepRecord(
                times=times[1:], sizes=np.diff(times), errors=errors, rejected=self.rejected,
                setups=self.heat.setups,
            ),
            plan=self.plan,
        )  # fmt: skip
