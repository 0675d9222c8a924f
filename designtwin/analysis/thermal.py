"""Steady heat conduction of all load cases, linear or not."""

from __future__ import annotations

import time

import numpy as np

from designtwin.analysis.newton import HeatSolver, newton
from designtwin.analysis.static import check_arguments
from designtwin.assembly import Given, HeatEquations, cell_blocks, heat_cells
from designtwin.errors import ConvergenceError, ModelError
from designtwin.memory import Peak
from designtwin.model.checks import check_thermal
from designtwin.model.model import LoadCase, Model
from designtwin.progress import track
from designtwin.results import Recovery, SolveInfo, ThermalCase, ThermalResult
from designtwin.solvers.choice import choose_solver
from designtwin.solvers.solution import LinearSolver
from designtwin.typing import FloatArray

BALANCE = 1e-6
"""Heat in less heat out over heat moved; a result above it is refused."""
ROUNDING = 2e-6
"""Share of conductance times temperature that is rounding of K T, not heat."""
_NEWTON = 1e-9
"""Unbalanced over moved heat at which Newton's method ends."""


def solve_thermal(model: Model, *, solver: LinearSolver | None = None, keep: bool = False) -> ThermalResult:
    """Solve steady conduction, K(T) T = Q(T), for every load case; by Newton's method where it is not linear.

    Parameters
    ----------
    keep : bool
        Whether the result holds on to factors or levels, so that `sensitivities` costs no set-up.

    Returns
    -------
    ThermalResult
        ``result[case]``: temperature float64[n_points], K; heat flux; heat through any selection.

    Raises
    ------
    SingularSystemError
        If nothing fixes the level of temperature of a piece.
    MissingPropertyError
        If a material lacks its conductivity.
    ModelError
        If no load case is thermal, a load changes with time, or a temperature lies beyond a table's end.
    ConvergenceError
        If the solver or Newton's method does not reach its tolerance, or heat does not balance.

    Source: Bathe, Finite Element Procedures, 2nd ed. (2014), sec. 7.2.
    """
    check_arguments(model, solver)
    cases = thermal_cases(model)
    notes = [note for case in cases for note in check_thermal(model, case)]
    blocks = cell_blocks(model)
    recovery = Recovery(model.mesh, blocks)
    answers, kept = {}, {}
    with track("thermal analysis", total=2 * len(cases)) as progress:
        start, peak = time.perf_counter(), Peak()
        cells = heat_cells(model, blocks)
        common = time.perf_counter() - start
        for case in cases:
            progress.step("assemble")
            start = time.perf_counter()
            equations = HeatEquations(model, case, cells)
            assembly = {"assemble": common + time.perf_counter() - start}
            progress.step(f"solve {equations.dofs.n_dof:,} unknowns")
            inner = HeatSolver(equations, solver)
            u, info = (_linear if equations.linear else _nonlinear)(inner, assembly, peak)
            if keep:
                kept[case.name] = inner
            answers[case.name] = _answer(equations, recovery, u, info)
    return ThermalResult(model, answers, tuple(dict.fromkeys(notes)), kept)


def thermal_cases(model: Model, *, transient: bool = False) -> list[LoadCase]:
    """Load cases with heat in them; in time also those with nothing in them, in which warmth evens out.

    Raises
    ------
    ModelError
        If there are none.
    """
    cases = [
        case
        for case in model.cases.values()
        if case.is_thermal or model.heat_supports or (transient and not case.items)
    ]
    if not cases:
        raise ModelError(
            "there is nothing to solve: no load case of the model has heat or a given temperature, such as "
            "HeatFlow(on=..., total='20 W') or FixedTemperature(on=..., value='40 degC')"
        )
    return cases


def start_temperature(equations: HeatEquations, time: float | None = None) -> float:
    """A temperature to begin at, K: the mean of those the case prescribes, or of its surroundings."""
    map_ = equations.map(time)
    given = map_.value[map_.fixed & (map_.value > 0.0)]
    if len(given):
        return float(given.mean())
    around = []
    for load in equations.case.heat_loads:
        ambient = getattr(load, "ambient", None)
        if ambient is not None:
            around.append(float(np.mean(ambient.at(points=equations.model.mesh.points, time=time or 0.0))))
    return float(np.mean(around)) if around else 293.15


def heat_moved(held: FloatArray, given: Given, conductance: float, u: FloatArray) -> float:
    """Sum of the heat that enters or leaves anywhere, W; at least what rounding makes of none."""
    rounding = ROUNDING * conductance * float(np.abs(u).max(initial=0.0))
    exchanged = float(np.abs(held).sum() + np.abs(given.exchanged).sum())
    return max(exchanged, float(np.abs(given.applied).sum()), rounding, 1e-300)


def _linear(inner: HeatSolver, seconds: dict[str, float], peak: Peak) -> tuple[FloatArray, SolveInfo]:
    equations = inner.equations
    map_ = equations.map()
    u0 = map_.expand(np.zeros(equations.dofs.n_dof))
    missing = equations.given(u0).total - equations.conducted(u0)
    system = inner.system(u0, None, 0.0)
    factorization = (inner.solver or choose_solver(system)).factorize(system)
    inner.take(system, factorization)
    solution = factorization.solve(map_.at_free(missing))
    return map_.expand(solution.x), SolveInfo(
        solver=solution.solver, n_dof=equations.dofs.n_dof,
        iterations=int(np.max(solution.iterations, initial=0)),
        seconds={**seconds, **solution.seconds}, notes=solution.notes,
        residual=float(np.max(solution.residual, initial=0.0)), peak_bytes=peak.bytes,
    )  # fmt: skip


def _nonlinear(inner: HeatSolver, seconds: dict[str, float], peak: Peak) -> tuple[FloatArray, SolveInfo]:
    equations = inner.equations
    map_ = equations.map()
    level = start_temperature(equations)
    u = map_.expand(np.where(map_.fixed, 0.0, level))
    conductance = inner.system(u, None, 0.0).largest
    reached = [1.0]
    steps = [0]

    def residual(u: FloatArray) -> FloatArray:
        return equations.conducted(u) - equations.given(u).total

    def small(u: FloatArray, rest: FloatArray, step: FloatArray) -> bool:
        free = map_.at_free(rest)
        moved = heat_moved(map_.lift(rest), equations.given(u), conductance, u)
        reached[0] = float(np.abs(free).sum()) / moved
        steps[0] += 1
        # Where rounding holds the balance up, a last step that changes nothing will do.
        still = float(np.abs(step).max(initial=0.0)) <= 1e-11 * float(np.abs(u).max(initial=0.0))
        return reached[0] <= _NEWTON or (still and reached[0] <= BALANCE)

    u = newton(inner, residual, u, None, 0.0, small=small, who=f"case {equations.case.name!r}")
    return u, SolveInfo(
        solver=f"Newton, {inner.name}", n_dof=equations.dofs.n_dof, iterations=steps[0] - 1,
        seconds={**seconds, **inner.seconds}, notes=inner.notes, residual=reached[0], peak_bytes=peak.bytes,
    )  # fmt: skip


def _answer(equations: HeatEquations, recovery: Recovery, u: FloatArray, info: SolveInfo) -> ThermalCase:
    model, case, dofs, map_ = equations.model, equations.case, equations.dofs, equations.map()
    given = equations.given(u)
    rest = equations.conducted(u) - given.total
    held = map_.lift(rest)
    free = map_.at_free(rest)
    reactions = dofs.scatter(held + given.exchanged)
    applied = float(given.applied.sum())
    moved = heat_moved(held, given, equations.system(u).largest, u)
    imbalance = abs(applied + float(reactions.sum())) / moved
    if not np.isfinite(u).all() or imbalance > BALANCE:
        raise ConvergenceError(
            f"case {case.name!r}: heat in and out differ by {imbalance:.1e} of the heat moved "
            f"(allowed {BALANCE:.0e}); try solver=Direct(), or check for cells of poor quality"
        )
    return ThermalCase(
        name=case.name, model=model, recovery=recovery, temperature=shown(model, dofs.scatter(u)),
        reactions=reactions, held=dofs.scatter(held), applied=applied, imbalance=imbalance, case=case,
        residual=float(np.abs(free).max() / moved), info=info,
    )  # fmt: skip


def shown(model: Model, temperature: FloatArray) -> FloatArray:
    """Nodal temperatures, with the mean at nodes in no cell, which have none of their own."""
    used = model.mesh.used_nodes
    idle = np.ones(len(temperature), bool)
    idle[used] = False
    temperature[idle] = temperature[used].mean()
    return temperature
