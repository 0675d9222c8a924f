"""Steady heat conduction of all load cases."""

from __future__ import annotations

import time

import numpy as np

from designtwin.analysis.static import check_arguments
from designtwin.assembly import assemble_thermal, cell_blocks, thermal_topology
from designtwin.errors import ConvergenceError, ModelError
from designtwin.memory import Peak
from designtwin.model.checks import check_thermal
from designtwin.model.model import Model
from designtwin.progress import track
from designtwin.results import Recovery, SolveInfo, ThermalCase, ThermalResult
from designtwin.solvers.choice import choose_solver
from designtwin.solvers.solution import LinearSolver

BALANCE = 1e-6
"""Heat in less heat out over heat moved; a result above it is refused."""


def solve_thermal(model: Model, *, solver: LinearSolver | None = None) -> ThermalResult:
    """Solve steady conduction, K T = q, for every load case.

    Returns
    -------
    ThermalResult
        ``result[case]``: temperature float64[n_points], K; heat flux; heat through any selection.

    Raises
    ------
    SingularSystemError
        If no temperature or convection fixes the level of a piece.
    MissingPropertyError
        If a material lacks its conductivity.
    ModelError
        If no load case is thermal, or a conductivity depends on temperature (not yet solved).
    ConvergenceError
        If the solver does not reach its tolerance, or heat does not balance.

    Source: Bathe, Finite Element Procedures, 2nd ed. (2014), sec. 7.2.
    """
    check_arguments(model, solver)
    cases = [case for case in model.cases.values() if case.is_thermal or model.heat_supports]
    if not cases:
        raise ModelError(
            "there is nothing to solve: no load case of the model has heat or a given temperature, such as "
            "HeatFlow(on=..., total='20 W') or FixedTemperature(on=..., value='40 degC')"
        )
    notes = [note for case in cases for note in check_thermal(model, case)]
    for part in model.parts:
        if part.section.material.varies_with_temperature("conductivity"):
            raise ModelError(
                f"part {part.name!r}: conductivity depends on temperature, which the steady analysis does "
                "not solve yet; give one value at the expected temperature"
            )
    blocks = cell_blocks(model)
    topology = thermal_topology(model, blocks)
    recovery = Recovery(model.mesh, blocks)
    answers = {}
    with track("thermal analysis", total=2 * len(cases)) as progress:
        for case in cases:
            progress.step("assemble")
            start, peak = time.perf_counter(), Peak()
            assembled = assemble_thermal(model, case, blocks, topology=topology)
            dofs, map_ = assembled.dofs, assembled.map
            loads = np.zeros(model.mesh.n_points)
            convected = np.zeros(model.mesh.n_points)
            for load in case.heat_loads:
                share = load.nodal_heat(model)
                loads += share
                if load.matrices(model):
                    convected += share
            assembly_seconds = time.perf_counter() - start
            progress.step(f"solve {dofs.n_dof:,} unknowns")
            factorization = (solver or choose_solver(assembled.system)).factorize(assembled.system)
            solution = factorization.solve(assembled.right_hand_side(dofs.gather(loads)))
            x = map_.expand(solution.x)
            conducted = assembled.internal(x)
            ground = np.zeros_like(x)
            for term in assembled.extra:
                ground -= term.apply(x)
            rest = conducted - dofs.gather(loads) - ground
            held = dofs.scatter(map_.lift(rest))
            free = np.where(map_.fixed, 0.0, map_.restrict(rest))
            reactions = held + dofs.scatter(ground) + convected
            temperature = dofs.scatter(x)
            applied = float((loads - convected).sum())
            # Where all is equally warm no heat moves: what is left is rounding of K T, not heat.
            rounding = 2e-6 * assembled.stiffest * float(np.abs(x).max(initial=0.0))
            moved = max(
                float(np.abs(reactions).sum()), float(np.abs(loads - convected).sum()), rounding, 1e-300
            )
            imbalance = abs(applied + float(reactions.sum())) / moved
            if not np.isfinite(temperature).all() or imbalance > BALANCE:
                raise ConvergenceError(
                    f"case {case.name!r}: heat in and out differ by {imbalance:.1e} of the heat moved "
                    f"(allowed {BALANCE:.0e}); try solver=Direct(), or check for cells of poor quality"
                )
            # Nodes in no cell have no temperature of their own; show them at the mean.
            used = model.mesh.used_nodes
            idle = np.ones(len(temperature), bool)
            idle[used] = False
            temperature[idle] = temperature[used].mean()
            answers[case.name] = ThermalCase(
                name=case.name, model=model, recovery=recovery, temperature=temperature, reactions=reactions,
                held=held,
                applied=applied, imbalance=imbalance, case=case,
                residual=float(np.abs(free).max() / moved),
                info=SolveInfo(
                    solver=solution.solver, n_dof=dofs.n_dof,
                    iterations=int(np.max(solution.iterations, initial=0)),
                    seconds={"assemble": assembly_seconds, **solution.seconds}, notes=solution.notes,
                    residual=float(np.max(solution.residual, initial=0.0)), peak_bytes=peak.bytes,
                ),
            )  # fmt: skip
    return ThermalResult(model, answers, tuple(dict.fromkeys(notes)))
