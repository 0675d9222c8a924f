"""Static equilibrium of all load cases."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from designtwin.assembly import (
    Assembled,
    CellBlock,
    DofMap,
    Topology,
    assemble_static,
    cell_blocks,
    static_topology,
    thermal_stress_force,
)
from designtwin.assembly.reduced import ReducedModel
from designtwin.assembly.systems import SetUp
from designtwin.errors import ConvergenceError, ModelError, SingularSystemError
from designtwin.memory import Peak
from designtwin.model.checks import check_static
from designtwin.model.model import LoadCase, Model
from designtwin.progress import Progress, track
from designtwin.results import Frames, Recovery, SolveInfo, StaticCase, StaticHistory, StaticResult
from designtwin.solvers.choice import choose_solver
from designtwin.solvers.direct import Direct
from designtwin.solvers.solution import Factorization, LinearSolver
from designtwin.solvers.span import Spanned
from designtwin.typing import FloatArray
from designtwin.units import show

EQUILIBRIUM = 1e-6
"""Sum of loads and reactions over the largest force; a result above it is refused."""
SMALL = 1e-7
"""Forces below this share of stiffness times displacement are rounding, all that a rigid motion leaves."""
_CASES_AT_ONCE = {False: 16, True: 64}
"""Load cases that share every pass of multigrid, or of factors; more would only cost memory."""
_LOADS_KEPT = 100_000_000
"""Bytes of load vectors with thermal strain that wait for the answer."""
LARGE = 0.1
"""Displacement over size of the part at which the verdict says that small displacements were assumed."""


def check_arguments(model: object, solver: object) -> None:
    """Raise ModelError unless an analysis was given a model and a solver, or none."""
    if not isinstance(model, Model):
        raise ModelError(f"an analysis wants a Model, got {model!r}")
    if solver is not None and not isinstance(solver, LinearSolver):
        raise ModelError(f"solver is {solver!r}; say Direct() or MultigridCG(), or leave it out")


def solve_static(
    model: Model | ReducedModel, *, solver: LinearSolver | None = None, keep: bool = False
) -> StaticResult:
    """Solve static equilibrium, K u = f, for every load case.

    Cases whose supports and stiffness are equal share one set-up; combinations are superposed.

    Parameters
    ----------
    model : Model or ReducedModel
        Of a reduced one ``residual`` is its error in the energy norm over the answer, by the residual in the
        equations of the whole model.
    solver : LinearSolver, optional
        ``Direct()``, ``MultigridCG()``; chosen from the system when left out.
    keep : bool
        Whether the result holds on to factors or levels, so that `sensitivities` costs no set-up.

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
    if isinstance(model, ReducedModel):
        return _reduced(model)
    check_arguments(model, solver)
    cases = [case for case in model.cases.values() if case.is_static]
    if not cases:
        raise ModelError(
            "there is nothing to solve: no load case of the model is static; an empty one will do where only "
            'prescribed displacements act: load_cases={"moved": []}'
        )
    notes = [note for case in cases for note in check_static(model, case)]
    work = _Work(model, solver, keep)
    groups = _equal_setups(cases)
    courses = {case.name: _Course(case) for case in cases if len(case.times)}
    answers: dict[str, StaticCase | StaticHistory] = {}
    with track(
        "static analysis", total=2 * len(groups) + sum(max(len(c.times), 1) for c in cases)
    ) as progress:
        work.number()
        for group in groups:
            for case, answer in work.solve(group, progress):
                if case.name in courses:
                    courses[case.name].add(answer)
                else:
                    answers[case.name] = answer
    for name, course in courses.items():
        answers[name] = course.answer(work)
    for name, factors in model.combinations.items():
        if all(part in answers for part in factors):
            answers[name] = _superposed(model, name, [(f, answers[part]) for part, f in factors.items()])
    ordered = {name: answers[name] for name in (*model.cases, *model.combinations) if name in answers}
    notes += [note for case in ordered.values() for note in _doubtful_motion(case)]
    return StaticResult(model, ordered, tuple(dict.fromkeys(notes)), work.kept)


def _reduced(reduced: ReducedModel) -> StaticResult:
    """Static answers of a reduced model."""
    model = reduced.model
    if reduced.rigid.shape[1]:
        raise SingularSystemError(
            f"supports leave {reduced.rigid.shape[1]} motions of the reduced model free; statics need it held"
        )
    if any(held.value.any() for support in model.supports for held in support.prescribed(model)):
        raise ModelError("prescribed displacements other than zero are not in a reduced model; use the model")
    recovery = Recovery(model.mesh, cell_blocks(model))
    answers: dict[str, StaticCase | StaticHistory] = {}
    for case in model.cases.values():
        if not case.is_static:
            continue
        if case.supports or case.temperature is not None:
            raise ModelError(
                f"case {case.name!r} has {'supports' if case.supports else 'a temperature'} of its own, "
                "which a reduced model does not carry; use the model"
            )
        start = time.perf_counter()
        external = np.zeros((model.mesh.n_points, 3))
        for load in case.loads:
            external += load.nodal_forces(model)
        f = reduced.force(external)
        q = reduced.solve(f)
        still = np.zeros((reduced.size, 1))
        names = reduced.residuals.inputs
        if case.name in names:
            missing = reduced.residual(np.eye(len(names))[:, [names.index(case.name)]], still, still)
        else:
            loads = reduced.whole.force(external)[:, None]
            missing = reduced.residual(np.ones((1, 1)), still, still, loads)
        energy = float(f @ q)
        error = float(missing[0] / np.sqrt(energy)) if energy > 0.0 else 0.0
        u = reduced.displacement(q)
        reactions = reduced.support_forces(u, external)
        total = external.sum(axis=0) + reactions.sum(axis=0)
        size = max(float(np.abs(external).sum()), float(np.abs(reactions).sum()), 1e-300)
        info = SolveInfo(
            solver=f"reduced model, {reduced.size} unknowns", n_dof=reduced.size, iterations=0,
            seconds={"solve": time.perf_counter() - start},
            notes=(f"the reduction errs by {100.0 * error:.2g} % in the energy norm",),
        )  # fmt: skip
        answers[case.name] = StaticCase(
            name=case.name, model=model, recovery=recovery, displacement=u, reactions=reactions,
            applied=external.sum(axis=0), applied_moment=np.cross(model.mesh.points, external).sum(axis=0),
            residual=error, imbalance=float(np.abs(total).max() / size), info=info, case=case,
        )  # fmt: skip
    for name, factors in model.combinations.items():
        if all(part in answers for part in factors):
            answers[name] = _superposed(model, name, [(f, answers[part]) for part, f in factors.items()])
    return StaticResult(model, answers)


class _Work:
    """What all cases of one analysis share."""

    def __init__(self, model: Model, solver: LinearSolver | None, keep: bool = False) -> None:
        self.model, self.solver, self.keep = model, solver, keep
        self.kept: dict[str, SetUp] = {}
        self.blocks = cell_blocks(model)
        self.recovery = Recovery(model.mesh, self.blocks)
        self.peak = Peak()
        self.seconds: dict[str, float] = {}

    def number(self) -> None:
        """Number the unknowns."""
        start = time.perf_counter()
        self.topology: Topology = static_topology(self.model, self.blocks)
        self.seconds["number"] = time.perf_counter() - start

    def solve(self, group: _Group, progress: Progress | None = None) -> Iterator[tuple[LoadCase, StaticCase]]:
        """Solve cases of one set-up; histories instant by instant.

        Raises
        ------
        SingularSystemError
            With the node and direction that nothing holds.
        """
        first, n = group.first, group.size

        def step(what: str, by: int = 1) -> None:
            if progress is not None:
                progress.step(what, by)

        step("assemble")
        start = time.perf_counter()
        assembled = assemble_static(self.model, first, self.blocks, self.topology)
        seconds = {**self.seconds, "assemble": time.perf_counter() - start}
        step(f"set up {assembled.dofs.n_dof:,} unknowns")
        try:
            chosen = self.solver or choose_solver(assembled.system, n)
            factorization: Factorization = chosen.factorize(assembled.system)
            if group.is_course and not isinstance(chosen, Direct):
                factorization = Spanned(factorization, ~assembled.map.fixed)
            setup = SetUp(assembled, factorization)
            if self.keep and group.instant is None:
                self.kept.update({case.name: setup for case in group.cases})
            for some in group.batches(isinstance(chosen, Direct)):
                step(f"solve load case {some[0].name!r}", len(some))
                yield from _solve(
                    self.model, some, self.blocks, setup, self.recovery, seconds, self.peak, self.keep
                )
        except SingularSystemError as error:
            raise named(self.model, assembled.dofs, error) from error

    def between(self, case: LoadCase, at: float) -> StaticCase:
        """A history at a time between its instants."""
        frozen = case.at(at)
        ((_, answer),) = self.solve(_Group([frozen], None))
        return replace(answer, time=at)


class _Course:
    """Instants of one history as they are solved."""

    def __init__(self, case: LoadCase) -> None:
        self.case = case
        self.stored = Frames.create(None, case.name)
        self.some: StaticCase | None = None
        self.residual = self.imbalance = 0.0

    def add(self, answer: StaticCase) -> None:
        """Keep an instant; only displacements and reactions, as stress follows from them."""
        self.stored.append(
            float(self.case.times[len(self.stored)]), np.empty(0),
            displacement=answer.displacement, reactions=answer.reactions,
        )  # fmt: skip
        self.residual = max(self.residual, answer.residual)
        self.imbalance = max(self.imbalance, answer.imbalance)
        self.some = answer

    def answer(self, work: _Work) -> StaticHistory:
        """All instants together."""
        assert self.some is not None
        case, some, model = self.case, self.some, work.model
        linear = not any(
            part.section.material.varies_with_temperature(what)
            for part in model.parts for what in ("stiffness", "expansion")
        )  # fmt: skip
        return StaticHistory(
            name=case.name, model=model, recovery=work.recovery, instants=case.times, info=some.info,
            residual=self.residual, imbalance=self.imbalance, applied=some.applied,
            applied_moment=some.applied_moment, stored=self.stored, case=case,
            between=None if linear else lambda at: work.between(case, at),
        )  # fmt: skip


def _superposed(
    model: Model, name: str, parts: Sequence[tuple[float, StaticCase | StaticHistory]]
) -> StaticCase | StaticHistory:
    """A linear combination of cases; a history where one of them is."""
    steady = [(factor, case) for factor, case in parts if isinstance(case, StaticCase)]
    courses = [case for _, case in parts if isinstance(case, StaticHistory)]
    if not courses:
        return StaticCase.superposed(name, model, steady)
    return StaticHistory(
        name=name, model=model, recovery=courses[0].recovery, instants=courses[0].times, info=courses[0].info,
        residual=max(case.residual for _, case in parts), imbalance=max(case.imbalance for _, case in parts),
        applied=np.asarray(sum(f * c.applied for f, c in parts)),
        applied_moment=np.asarray(sum(f * c.applied_moment for f, c in parts)), parts=tuple(parts),
    )  # fmt: skip


def _doubtful_motion(case: StaticCase | StaticHistory) -> list[str]:
    """A note where loads move nothing, or too much, as after a slip in a unit."""
    if isinstance(case, StaticHistory):
        case = case.frames[int(np.argmax(case.largest))]
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


@dataclass(frozen=True)
class _Group:
    """Cases of equal set-up: whole ones, or one history at one of its instants."""

    cases: Sequence[LoadCase]
    instant: float | None

    @property
    def first(self) -> LoadCase:
        """A case whose temperature is that of the set-up."""
        case = self.cases[0]
        at = self.instant if self.instant is not None or not len(case.times) else float(case.times[0])
        return case if at is None else case.at(at)

    @property
    def size(self) -> int:
        """Right-hand sides."""
        return 1 if self.instant is not None else sum(max(len(case.times), 1) for case in self.cases)

    @property
    def is_course(self) -> bool:
        """Whether right-hand sides follow each other in time."""
        return self.instant is None and any(len(case.times) for case in self.cases)

    def batches(self, direct: bool) -> Iterator[list[LoadCase]]:
        """Cases that are solved at once, histories at their instants."""
        batch: list[LoadCase] = []
        for case in self._each():
            batch.append(case)
            if len(batch) == _CASES_AT_ONCE[direct]:
                yield batch
                batch = []
        if batch:
            yield batch

    def _each(self) -> Iterator[LoadCase]:
        for case in self.cases:
            if self.instant is not None:
                yield case.at(self.instant)
            elif len(case.times):
                yield from (case.at(float(at)) for at in case.times)
            else:
                yield case


def _equal_setups(cases: Sequence[LoadCase]) -> list[_Group]:
    """Cases grouped by supports and, where stiffness depends on it, temperature."""
    groups: dict[str, list[LoadCase]] = {}
    single = []
    for case in cases:
        if case.stiffness_varies and len(case.times):
            single += [_Group([case], float(at)) for at in case.times]
        else:
            groups.setdefault(case.setup_key(), []).append(case)
    return [*(_Group(group, None) for group in groups.values()), *single]


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
    setup: SetUp,
    recovery: Recovery,
    seconds: Mapping[str, float],
    peak: Peak,
    keep_unknowns: bool,
) -> Iterator[tuple[LoadCase, StaticCase]]:
    """Solve some cases of one set-up at once."""
    assembled = setup.assembled
    dofs = assembled.dofs
    right = np.empty((dofs.n_dof, len(cases)))
    # Loads made again for the answer take less time than memory at a million unknowns; those of heat do not.
    keep = len(cases) * right[:, 0].nbytes <= _LOADS_KEPT
    kept: list[tuple[FloatArray, FloatArray | None] | None] = []
    for column, case in enumerate(cases):
        loads, thermal = _load_vector(model, case, blocks)
        right[:, column] = assembled.right_hand_side(
            dofs.gather(loads if thermal is None else loads + thermal)
        )
        kept.append((loads, thermal) if keep and thermal is not None else None)
        del loads, thermal
    solution = setup.factorization.solve(right)
    del right
    info = SolveInfo(
        solver=solution.solver, n_dof=dofs.n_dof, iterations=int(solution.iterations.max(initial=0)),
        seconds={**seconds, **solution.seconds}, notes=solution.notes,
        residual=float(solution.residual.max(initial=0.0)), peak_bytes=peak.bytes,
    )  # fmt: skip
    for column, case in enumerate(cases):
        if keep_unknowns:  # of a history those of its last instant
            setup.unknowns[case.name] = solution.x[:, column].copy()
        loads_of, kept[column] = kept[column] or _load_vector(model, case, blocks), None
        yield case, _answer(model, case, assembled, recovery, info, loads_of, solution.x[:, column])


def _answer(
    model: Model,
    case: LoadCase,
    assembled: Assembled,
    recovery: Recovery,
    info: SolveInfo,
    loads: tuple[FloatArray, FloatArray | None],
    q: FloatArray,
) -> StaticCase:
    """Displacement, reactions and their balance from the loads and the unknowns of one case.

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
    external, thermal = loads
    f = dofs.gather(external if thermal is None else external + thermal)
    most = float(np.abs(map_.at_free(f)).max(initial=0.0))
    rest = internal
    rest -= f
    if ground.size:
        rest -= ground
    del f, internal
    support = map_.lift(rest)
    if ground.size:
        support += ground
    reactions = dofs.scatter(support)
    free = float(np.abs(map_.at_free(rest)).max(initial=0.0))
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


def named(model: Model, dofs: DofMap, error: SingularSystemError) -> SingularSystemError:
    """The solver's zero pivot as a node and a direction."""
    numbers = getattr(error, "dofs", None)
    if numbers is None or not len(numbers):
        return error
    c = dofs.components
    places = sorted({int(n) for n in dofs.nodes(numbers)})[:3]
    words = ", ".join(f"node {n} at {np.round(model.mesh.points[n] * 1e3, 2).tolist()} mm" for n in places)
    return SingularSystemError(
        f"nothing resists the motion of {words} along {'xyz'[int(numbers[0]) % c]}; "
        "check supports, unattached pieces and cells of zero stiffness"
    )
