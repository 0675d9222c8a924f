"""Static equilibrium of all load cases."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from designtwin.assembly import (
    Assembled,
    CellBlock,
    assemble_static,
    cell_blocks,
    static_topology,
    thermal_stress_force,
)
from designtwin.errors import ConvergenceError, ModelError, SingularSystemError
from designtwin.memory import Peak
from designtwin.model.checks import check_static
from designtwin.model.model import LoadCase, Model
from designtwin.progress import track
from designtwin.results import Recovery, SolveInfo, StaticCase, StaticResult
from designtwin.solvers.choice import choose_solver
from designtwin.solvers.direct import Direct
from designtwin.solvers.solution import Factorization, LinearSolver
from designtwin.typing import FloatArray
from designtwin.units import show

EQUILIBRIUM = 1e-6
"""Sum of loads and reactions over the largest force; a result above it is refused."""
SMALL = 1e-7
"""Forces below this share of stiffness times displacement are rounding, all that a rigid motion leaves."""
_CASES_AT_ONCE = {False: 16, True: 64}
"""Load cases that share every pass of multigrid, or of factors; more would only cost memory."""
LARGE = 0.1
"""Displacement over size of the part at which the verdict says that small displacements were assumed."""


def check_arguments(model: object, solver: object) -> None:
    """Raise ModelError unless an analysis was given a model and a solver, or none."""
    if not isinstance(model, Model):
        raise ModelError(f"an analysis wants a Model, got {model!r}")
    if solver is not None and not isinstance(solver, LinearSolver):
        raise ModelError(f"solver is {solver!r}; say Direct() or MultigridCG(), or leave it out")


def solve_static(model: Model, *, solver: LinearSolver | None = None) -> StaticResult:
    """Solve static equilibrium, K u = f, for every load case.

    Cases whose supports and stiffness are equal share one set-up; combinations are superposed.

    Parameters
    ----------
    model : Model
    solver : LinearSolver, optional
        ``Direct()``, ``MultigridCG()``; chosen from the system when left out.

    Returns
    -------
    StaticResult
        ``result[case]``: displacement float64[n_points, 3], m; reactions float64[n_points, 3], N; stress.

    Raises
    ------
    ModelError
        If no load case is static.
    SingularSystemError
        If the supports leave a rigid-body motion free; names the piece and the motion.
    MissingPropertyError
        If a material lacks what the analysis needs.
    ConvergenceError
        If the solver does not reach its tolerance, or loads and reactions do not balance.

    Source: Bathe, Finite Element Procedures, 2nd ed. (2014), sec. 4.2.
    """
    check_arguments(model, solver)
    cases = [case for case in model.cases.values() if case.is_static]
    if not cases:
        raise ModelError(
            "there is nothing to solve: no load case of the model is static; an empty one will do where only "
            'prescribed displacements act: load_cases={"moved": []}'
        )
    notes = [note for case in cases for note in check_static(model, case)]
    blocks = cell_blocks(model)
    recovery = Recovery(model.mesh, blocks)
    answers: dict[str, StaticCase] = {}
    groups = _equal_setups(cases)
    with track("static analysis", total=2 * len(groups) + len(cases)) as progress:
        start, peak = time.perf_counter(), Peak()
        topology = static_topology(model, blocks)
        seconds = {"number": time.perf_counter() - start}
        for group in groups:
            progress.step("assemble")
            start = time.perf_counter()
            assembled = assemble_static(model, group[0], blocks, topology)
            seconds["assemble"] = time.perf_counter() - start
            progress.step(f"set up {assembled.dofs.n_dof:,} unknowns")
            try:
                chosen = solver or choose_solver(assembled.system, len(group))
                factorization = chosen.factorize(assembled.system)
                at_once = _CASES_AT_ONCE[isinstance(chosen, Direct)]
                for first in range(0, len(group), at_once):
                    some = group[first : first + at_once]
                    progress.step(f"solve load case {some[0].name!r}", len(some))
                    answers.update(
                        _solve(model, some, blocks, assembled, factorization, recovery, seconds, peak)
                    )
            except SingularSystemError as error:
                raise _named(model, assembled, error) from error
    for name, factors in model.combinations.items():
        if all(part in answers for part in factors):
            answers[name] = _superpose(model, name, factors, answers)
    ordered = {name: answers[name] for name in (*model.cases, *model.combinations) if name in answers}
    notes += [note for case in ordered.values() for note in _doubtful_motion(case)]
    return StaticResult(model, ordered, tuple(dict.fromkeys(notes)))


def _doubtful_motion(case: StaticCase) -> list[str]:
    """A note where loads move nothing, or too much, as after a slip in a unit."""
    if np.any(case.applied) and not np.any(case.displacement):
        return [
            f"case {case.name!r}: nothing moves: its loads act where the supports hold; load another place"
        ]
    u = case.displacement[case.mesh.used_nodes]
    most = float(np.linalg.norm(u - u.mean(axis=0), axis=1).max())
    size = float(np.linalg.norm(np.diff(case.mesh.extents, axis=0)))
    if most <= LARGE * size:
        return []
    return [
        f"case {case.name!r}: the part deforms by {show(most, 'length')}, {most / size:.2g} times its size: "
        "the linear analysis does not hold for that; check the units of loads and youngs_modulus"
    ]


def _equal_setups(cases: Sequence[LoadCase]) -> list[list[LoadCase]]:
    """Cases grouped by supports and, where stiffness may depend on it, temperature."""
    groups: dict[str, list[LoadCase]] = {}
    for case in cases:
        groups.setdefault(case.setup_key(), []).append(case)
    return list(groups.values())


def _load_vector(
    model: Model, case: LoadCase, blocks: Sequence[CellBlock]
) -> tuple[FloatArray, FloatArray | None]:
    """External nodal forces and those of thermal strain, each float64[n_points, 3], N."""
    external = np.zeros((model.mesh.n_points, 3))
    for load in case.loads:
        external += load.nodal_forces(model)
    return external, thermal_stress_force(model, case, blocks)


def _solve(
    model: Model,
    cases: Sequence[LoadCase],
    blocks: Sequence[CellBlock],
    assembled: Assembled,
    factorization: Factorization,
    recovery: Recovery,
    seconds: Mapping[str, float],
    peak: Peak,
) -> dict[str, StaticCase]:
    """Solve some cases of one set-up at once."""
    dofs = assembled.dofs
    right = np.empty((dofs.n_dof, len(cases)))
    for column, case in enumerate(cases):
        loads, thermal = _load_vector(model, case, blocks)
        right[:, column] = assembled.right_hand_side(
            dofs.gather(loads if thermal is None else loads + thermal)
        )
        del (
            loads,
            thermal,
        )  # made again for the answer: at a million unknowns that is quicker than keeping them
    solution = factorization.solve(right)
    del right
    info = SolveInfo(
        solver=solution.solver, n_dof=dofs.n_dof, iterations=int(solution.iterations.max(initial=0)),
        seconds={**seconds, **solution.seconds}, notes=solution.notes,
        residual=float(solution.residual.max(initial=0.0)), peak_bytes=peak.bytes,
    )  # fmt: skip
    return {
        case.name: _answer(model, case, blocks, assembled, recovery, info, solution.x[:, column])
        for column, case in enumerate(cases)
    }


def _answer(
    model: Model,
    case: LoadCase,
    blocks: Sequence[CellBlock],
    assembled: Assembled,
    recovery: Recovery,
    info: SolveInfo,
    q: FloatArray,
) -> StaticCase:
    """Displacement, reactions and their balance from the unknowns of one case.

    Raises
    ------
    ConvergenceError
        If loads and reactions differ.
    """
    dofs, map_ = assembled.dofs, assembled.map
    u = map_.expand(q)
    internal = assembled.internal(u)
    largest = float(np.abs(internal).max(initial=0.0))
    ground = np.zeros(0)
    if assembled.extra:
        ground = -np.asarray(sum(term.apply(u) for term in assembled.extra))
    external, thermal = _load_vector(model, case, blocks)
    f = dofs.gather(external if thermal is None else external + thermal)
    most = float(np.abs(np.where(map_.fixed, 0.0, map_.restrict(f))).max(initial=0.0))
    rest = internal
    rest -= f
    if ground.size:
        rest -= ground
    del f, internal
    support = map_.lift(rest)
    if ground.size:
        support += ground
    reactions = dofs.scatter(support)
    free = float(np.abs(np.where(map_.fixed, 0.0, map_.restrict(rest))).max(initial=0.0))
    rounding = SMALL * assembled.stiffest
    scale = max(most, largest, rounding * float(np.abs(u).max(initial=0.0)), 1e-300)
    applied = external.sum(axis=0)
    total = applied + reactions.sum(axis=0)
    if model.axisymmetric:
        total[0] = 0.0  # radial forces on a ring balance in themselves
    force = max(
        float(np.abs(external).sum()), float(np.abs(reactions).sum()), scale,
        rounding * float(np.abs(u).sum()),
    )  # fmt: skip
    imbalance = float(np.abs(total).max() / force)
    if not np.isfinite(u).all() or imbalance > EQUILIBRIUM:
        raise ConvergenceError(
            f"case {case.name!r}: loads and reactions differ by {imbalance:.1e} of the force "
            f"(allowed {EQUILIBRIUM:.0e}); try solver=Direct(), or check for cells of poor quality"
        )
    return StaticCase(
        name=case.name, model=model, recovery=recovery, displacement=dofs.scatter(u), reactions=reactions,
        applied=applied, applied_moment=np.cross(model.mesh.points, external).sum(axis=0),
        residual=free / scale, imbalance=imbalance, info=info, case=case,
    )  # fmt: skip


def _superpose(
    model: Model, name: str, factors: dict[str, float], answers: dict[str, StaticCase]
) -> StaticCase:
    """A linear combination of cases; costs no solve."""
    parts = tuple((factor, answers[case]) for case, factor in factors.items())
    return StaticCase(
        name=name,
        model=model,
        recovery=parts[0][1].recovery,
        displacement=np.asarray(sum(f * c.displacement for f, c in parts)),
        reactions=np.asarray(sum(f * c.reactions for f, c in parts)),
        applied=np.asarray(sum(f * c.applied for f, c in parts)),
        applied_moment=np.asarray(sum(f * c.applied_moment for f, c in parts)),
        residual=max(c.residual for _, c in parts),
        imbalance=max(c.imbalance for _, c in parts),
        info=parts[0][1].info,
        parts=parts,
    )


def _named(model: Model, assembled: Assembled, error: SingularSystemError) -> SingularSystemError:
    """The solver's zero pivot as a node and a direction."""
    numbers = getattr(error, "dofs", None)
    if numbers is None or not len(numbers):
        return error
    c = assembled.dofs.components
    places = sorted({int(n) for n in assembled.dofs.nodes(numbers)})[:3]
    words = ", ".join(f"node {n} at {np.round(model.mesh.points[n] * 1e3, 2).tolist()} mm" for n in places)
    return SingularSystemError(
        f"nothing resists the motion of {words} along {'xyz'[int(numbers[0]) % c]}; "
        "check supports, unattached pieces and cells of zero stiffness"
    )
