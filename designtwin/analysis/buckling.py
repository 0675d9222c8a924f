"""Linear buckling: at which multiple of its loads a part finds a second shape in balance."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from designtwin.analysis.static import check_arguments, solve_static
from designtwin.assembly import (
    Assembled,
    CellBlock,
    PointTables,
    Topology,
    assemble_static,
    cell_blocks,
    elastic_tensors,
    static_topology,
)
from designtwin.assembly.cyclic import cyclic_symmetry
from designtwin.assembly.inertia import stress_stiffness_terms
from designtwin.assembly.matrices import stiffness_of
from designtwin.assembly.systems import coarsening_of, system_of, turned
from designtwin.errors import ModelError, did_you_mean
from designtwin.memory import Peak
from designtwin.model.connections import Periodic
from designtwin.model.loads import Centrifugal, HydrostaticPressure, Pressure
from designtwin.model.model import LoadCase, Model, combine
from designtwin.model.supports import InertiaRelief, Symmetry
from designtwin.progress import Progress, track
from designtwin.results import SolveInfo, StaticCase, StaticResult
from designtwin.results.buckling import BucklingCase, BucklingMode, BucklingResult
from designtwin.solvers.eigen import buckling_pairs
from designtwin.solvers.solution import LinearSolver
from designtwin.solvers.system import System, Term
from designtwin.typing import FloatArray

Which = Literal["positive", "negative", "both"]
_WAYS = ("positive", "negative", "both")
_NO_STRESS = 1e-12
"""Largest stress over the largest elastic modulus below which there is none."""


def solve_buckling(
    model: Model,
    *,
    count: int = 5,
    case: str | Sequence[str] | None = None,
    dead: str | None = None,
    which: Which = "both",
    solver: LinearSolver | None = None,
    keep: bool = False,
) -> BucklingResult:
    """Buckling factors and shapes, (K + Kg(dead) + factor Kg(case)) shape = 0, for static load cases.

    All loads of a case grow together, prescribed displacements and temperature too; the part is linear
    elastic and moves little before it buckles. Loads keep their direction.

    Parameters
    ----------
    model : Model
    count : int
        How many factors, the smallest in size first.
    case : str or list of str, optional
        Load cases or combinations; all static ones if left out, but for those whose temperature has a course
        in time.
    dead : str, optional
        The load case whose loads act in full whatever the factor, such as weight or bolt preload.
    which : "both", "positive" or "negative"
        Negative factors belong to loads that act the other way. "both" always finds the smallest positive
        factor too, in addition to `count` others if need be.
    solver : LinearSolver, optional
        ``Direct()``, ``MultigridCG()``; chosen from the system when left out.
    keep : bool
        Whether the result holds on to factors or levels, so that `sensitivities` costs no set-up.

    Returns
    -------
    BucklingResult
        ``result[case]``: ``factors`` float64[m], modes as frames, ``critical``, ``table()``.

    Raises
    ------
    ModelError
        If a case does not exist, has a course in time, or nothing holds the part; if the dead loads buckle
        the part by themselves, or are held otherwise than the case.
    SingularSystemError
        If the supports leave a rigid-body motion free.
    ConvergenceError
        If a solver does not reach its tolerance.

    Source: Bathe, Finite Element Procedures, 2nd ed. (2014), sec. 6.8.2; stress stiffness as in Cook et al.,
    Concepts and Applications of Finite Element Analysis, 4th ed. (2002), ch. 18.
    """
    check_arguments(model, solver)
    if which not in _WAYS:
        raise ModelError(f"which={which!r}: say 'positive', 'negative' or 'both'")
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise ModelError(f"count={count!r}: how many buckling factors are wanted? A whole number from 1 on")
    ring = cyclic_symmetry(model)
    if ring is not None:
        raise ModelError(
            f"{ring.said}: a sector shows only buckling in which all {ring.sectors} do the same, and "
            "others may come first; model the whole ring"
        )
    names = _cases_of(model, case, dead)
    _refuse(model, (*names, *(() if dead is None else (dead,))))
    some = _only(model, (*names, *(() if dead is None else (dead,))))
    static = solve_static(some, solver=solver, keep=keep)
    work = _Work(model, static, None if dead is None else _steady(static, dead), solver)
    answers = {}
    with track("buckling", total=2 * len(names)) as progress:
        work.check_dead(progress)
        for name in names:
            answers[name] = work.solve(name, int(count), which, progress)
    notes = [*static.notes, *_scope(model, names, case, work)]
    notes += [note for one in answers.values() for note in one.notes]
    return BucklingResult(model, answers, tuple(dict.fromkeys(notes)), static)


class _Work:
    """What all cases of one analysis share."""

    def __init__(
        self, model: Model, static: StaticResult, dead: StaticCase | None, solver: LinearSolver | None
    ) -> None:
        self.model, self.static, self.dead, self.solver = model, static, dead, solver
        self.blocks = cell_blocks(model)
        self.topology: Topology = static_topology(model, self.blocks)
        self.peak = Peak()
        self.dead_factor = np.inf
        self._held: dict[str, _Held] = {}

    def held(self, of: LoadCase) -> _Held:
        """Stiffness and supports of a load case, with the stress stiffness of what is dead."""
        key = of.setup_key()
        if key not in self._held:
            self._held = {key: _assembled(self.model, of, self.blocks, self.topology, self.dead)}
        return self._held[key]

    def check_dead(self, progress: Progress) -> None:
        """Refuse dead loads beyond their own buckling factor: then nothing is left to buckle."""
        if self.dead is None:
            return
        progress.step(f"buckling under {self.dead.name!r} alone", 0)
        of = _load_case(self.dead)
        plain = _assembled(self.model, of, self.blocks, self.topology, None)
        state = _State(self.model, self.blocks, self.topology, plain.assembled, self.dead)
        if state.limit == np.inf:
            return
        pairs = buckling_pairs(
            plain.stiffness, state.geometric, count=1, which="positive", solver=self.solver
        )
        if len(pairs.values) and 0.0 < pairs.values[0] < state.limit:
            self.dead_factor = float(pairs.values[0])
        if self.dead_factor <= 1.0:
            raise ModelError(
                f"the dead loads of case {self.dead.name!r} buckle the part by themselves, at "
                f"{self.dead_factor:.3g} times their size: nothing can be added; stiffen the part first"
            )

    def solve(self, name: str, count: int, which: Which, progress: Progress) -> BucklingCase:
        """The modes of one load case."""
        start = time.perf_counter()
        before = _steady(self.static, name)
        of = _load_case(before)
        if self.dead is not None and of.setup_key() != _load_case(self.dead).setup_key():
            raise ModelError(
                f"case {name!r} and the dead loads {self.dead.name!r} have different supports or stiffness; "
                "what is dead acts on the part as it is held in the case: put the supports into the model"
            )
        progress.step(f"stress stiffness of {name!r}")
        held = self.held(of)
        state = _State(self.model, self.blocks, self.topology, held.assembled, before)
        assembled_in = time.perf_counter() - start
        progress.step(f"buckling under {name!r}")
        factors, shapes, residuals = np.empty(0), np.empty((held.stiffness.n_dof, 0)), np.empty(0)
        solver, iterations = "none: no stress", 0
        seconds: dict[str, float] = {}
        told: tuple[str, ...] = ()
        if state.limit < np.inf:
            pairs = buckling_pairs(
                held.stiffness, state.geometric, count=count, which=which, solver=self.solver
            )
            factors, shapes, residuals = pairs.values, pairs.vectors, pairs.residuals
            solver, iterations, told = pairs.solver, pairs.iterations, pairs.notes
            seconds = dict(pairs.seconds)
            if which == "both" and not (factors > 0.0).any() and len(factors) == count:
                more = buckling_pairs(
                    held.stiffness, state.geometric, count=1, which="positive", solver=self.solver
                )
                factors = np.concatenate([factors, more.values])
                shapes = np.concatenate([shapes, more.vectors], axis=1)
                residuals = np.concatenate([residuals, more.residuals])
                iterations += more.iterations
                seconds = {k: seconds.get(k, 0.0) + v for k, v in more.seconds.items()}
            real = np.flatnonzero(np.abs(factors) < state.limit)
            real = real[np.argsort(np.abs(factors[real]), kind="stable")]
            factors, shapes, residuals = factors[real], shapes[:, real], residuals[real]
        info = SolveInfo(
            solver=solver, n_dof=held.stiffness.n_dof, iterations=iterations, notes=told,
            seconds={"static": sum(before.info.seconds.values()), "assemble": assembled_in, **seconds},
            residual=float(residuals.max(initial=0.0)), peak_bytes=self.peak.bytes,
        )  # fmt: skip
        shape_of = _shape_case(of)
        modes = tuple(
            BucklingMode(
                name=name, model=self.model, recovery=before.recovery,
                displacement=_scaled(held.assembled, shapes[:, i]),
                reactions=np.zeros_like(self.model.mesh.points), applied=np.zeros(3),
                applied_moment=np.zeros(3), residual=float(residuals[i]), imbalance=0.0, info=info,
                case=shape_of, number=i + 1, factor=float(factors[i]),
            )
            for i in range(len(factors))
        )  # fmt: skip
        answer = BucklingCase(
            name=name, model=self.model, recovery=before.recovery, prestress=before, modes=modes,
            residual=float(residuals.max(initial=0.0)), imbalance=before.imbalance, info=info,
            largest_factor=state.limit, count=count, dead=self.dead,
        )  # fmt: skip
        return replace(answer, notes=_doubts(answer, which))


@dataclass(frozen=True, eq=False)
class _Held:
    """Stiffness and supports of cases of one set-up; with that of the dead loads' stress."""

    assembled: Assembled
    stiffness: System


def _assembled(
    model: Model, of: LoadCase, blocks: Sequence[CellBlock], topology: Topology, dead: StaticCase | None
) -> _Held:
    assembled = assemble_static(model, of, blocks, topology)
    if dead is None:
        return _Held(assembled, assembled.system)
    map_, c = assembled.map, assembled.dofs.components
    extra = (*assembled.extra, *stress_stiffness_terms(model, topology, dead.stress_at))
    terms = turned((*assembled.cells, *extra), map_, c)
    temperature = None if of.temperature is None else of.temperature.at_nodes(model)
    coarse = coarsening_of(model, topology, stiffness_of(model, temperature), terms, extra, map_)
    return _Held(assembled, system_of(model, topology, assembled.dofs, terms, map_, coarse))


class _State:
    """Stress stiffness of a static answer, and how far its stress may be multiplied."""

    def __init__(
        self, model: Model, blocks: Sequence[CellBlock], topology: Topology, assembled: Assembled,
        case: StaticCase,
    ) -> None:  # fmt: skip
        self.most = 0.0
        of = _load_case(case)
        temperature = None if of.temperature is None else of.temperature.at_nodes(model)

        def stress(block: CellBlock, at: PointTables) -> FloatArray:
            values = case.stress_at(block, at)
            tensor, _ = elastic_tensors(model, block, at, temperature)
            modulus = float(np.einsum("kii->ki", tensor)[:, :3].max())
            self.most = max(self.most, float(np.abs(values).max(initial=0.0)) / modulus)
            return values

        terms: tuple[Term, ...] = stress_stiffness_terms(model, topology, stress)
        self.geometric = System(
            terms=turned(terms, assembled.map, assembled.dofs.components), block=assembled.dofs.components,
            free=assembled.system.free, definite=False,
        )  # fmt: skip

    @property
    def limit(self) -> float:
        """Factor at which stress is as large as the elastic modulus; inf without stress."""
        return np.inf if self.most < _NO_STRESS else 1.0 / self.most


def _scaled(assembled: Assembled, q: FloatArray) -> FloatArray:
    """Nodal displacement of a shape, at most 1 m; the component that moves most is positive."""
    u = assembled.dofs.scatter(assembled.map.change(q))
    length = np.linalg.norm(u, axis=1)
    row = u[int(np.argmax(length))]
    sign = np.sign(row[int(np.abs(row).argmax())])
    return np.asarray(u * (sign / max(float(length.max()), 1e-300)))


def _cases_of(model: Model, case: str | Sequence[str] | None, dead: str | None) -> list[str]:
    """The cases to answer, by name.

    Raises
    ------
    ModelError
        If one does not exist, or none is left.
    """
    known = [name for name, one in model.cases.items() if one.is_static] + list(model.combinations)
    given = [] if case is None else [case] if isinstance(case, str) else list(case)
    for name in (*given, *(() if dead is None else (dead,))):
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise ModelError(
                f"buckling: there is no static load case {name!r}{hint or '.'} There are: {known}"
            )
    names = given or [name for name in known if name != dead and not _courses(model, name)]
    if not names:
        raise ModelError(
            "buckling: there is nothing to multiply: state a load case with loads that do not change in time"
            + ("" if dead is None else f" besides the dead loads {dead!r}")
        )
    if dead in names:
        raise ModelError(f"buckling: case {dead!r} is dead and is to be multiplied too; say which")
    return names


def _courses(model: Model, name: str) -> list[str]:
    """Load cases of a case or combination whose temperature has a course in time."""
    return [part for part in _parts(model, name) if len(model.cases[part].times)]


def _parts(model: Model, name: str) -> list[str]:
    return list(model.combinations[name]) if name in model.combinations else [name]


def _refuse(model: Model, names: Sequence[str]) -> None:
    """Refuse what linear buckling cannot answer."""
    for name in names:
        for part in _courses(model, name):
            raise ModelError(
                f"buckling: the temperature of case {part!r} has a course in time; state a case with its "
                "temperature at the instant that is in doubt"
            )
        for part in _parts(model, name):
            one = model.cases[part]
            if any(isinstance(s, InertiaRelief) for s in (*model.supports, *one.supports)):
                raise ModelError(
                    f"buckling: in case {part!r} nothing holds the part (InertiaRelief), so it may turn over "
                    "as a whole under any load; hold it as it is held in service"
                )


def _only(model: Model, names: Sequence[str]) -> Model:
    """The model with these cases alone."""
    wanted = {part for name in names for part in _parts(model, name)} | set(names)
    if wanted >= {*model.cases, *model.combinations}:
        return model
    cases = {name: items for name, items in model.load_cases.items() if name in wanted}
    # A combination of combinations is stated by its cases.
    for name in wanted & set(model.combinations):
        cases[name] = combine(dict(model.combinations[name]))
    return model.with_(load_cases=cases)


def _steady(static: StaticResult, name: str) -> StaticCase:
    case = static[name]
    assert isinstance(case, StaticCase)
    return case


def _load_case(case: StaticCase) -> LoadCase:
    """What sets supports and stiffness of an answer; of a combination, any of its cases."""
    while case.parts:
        case = case.parts[0][1]
    assert case.case is not None
    return case.case


def _shape_case(of: LoadCase) -> LoadCase:
    """The load case without loads: what strains a shape is the shape alone."""
    return replace(of, loads=(), heat_loads=(), temperature=of.temperature if of.stiffness_varies else None)


def _doubts(case: BucklingCase, which: Which) -> tuple[str, ...]:
    """What the user should know of the factors."""
    notes = []
    if case.why_none and which != "negative":
        notes.append(f"case {case.name!r} has no positive buckling factor: {case.why_none}")
    if case.critical_mode is not None:
        try:
            margin = float(np.min(case.prestress.safety_factor()))
        except ModelError:
            return tuple(notes)
        if margin < case.critical:
            notes.append(
                f"case {case.name!r}: its stress reaches yield at {margin:.3g} times the loads, before the "
                f"buckling factor {case.critical:.3g}: the part buckles at less than that, or yields first"
            )
    return tuple(notes)


def _scope(model: Model, names: Sequence[str], case: object, work: _Work) -> list[str]:
    """What linear buckling of this model leaves out."""
    notes = []
    followers = (Pressure, HydrostaticPressure, Centrifugal)
    for name in names:
        kinds = {
            type(load).__name__
            for part in _parts(model, name)
            for load in model.cases[part].loads
            if isinstance(load, followers)
        }
        if kinds:
            notes.append(
                f"case {name!r}: {' and '.join(sorted(kinds))} keeps the direction it has on the undeformed "
                "part; that it follows the buckling shape is not included"
            )
    left_out = [name for name in model.cases if name not in names and _courses(model, name)]
    if case is None and left_out:
        notes.append(
            f"cases {left_out} are left out: their temperature has a course in time; state a case with the "
            "temperature of the instant that is in doubt"
        )
    everywhere = [*model.supports, *(s for part in model.cases.values() for s in part.supports)]
    if any(isinstance(s, Symmetry) for s in everywhere):
        notes.append(
            "symmetry supports let only symmetric shapes through: an antisymmetric one may have a smaller "
            "factor; test the whole part if the symmetry is a cut"
        )
    if any(isinstance(one, Periodic) for one in model.connections):
        notes.append("periodic faces let only shapes through that repeat from period to period")
    if model.axisymmetric:
        notes.append("the model is axisymmetric: only shapes without waves around the axis are found")
    elif model.dimension == 2:
        notes.append("the model is plane: only shapes within its plane are found")
    if work.dead is not None and work.dead_factor < np.inf:
        notes.append(
            f"the dead loads {work.dead.name!r} alone buckle the part at {work.dead_factor:.3g} times"
        )
    return notes
