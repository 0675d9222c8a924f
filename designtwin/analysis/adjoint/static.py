"""Adjoints of static equilibrium: one solve with the forward factors per response.

With K u = f on u = T q + u0, the adjoint psi = T lam solves T^T K T lam = T^T dg/du, and over any parameter

    dg = g_p + (dT q + du0) . (g_u - K psi) - psi . (dK u - df) - (dT lam) . (K u - f)

A reaction w . (K u - f) has g_u = K w and g_p = w . (dK u - df): in its adjoint psi - w the part is moved by
-w where it is held.

Source: Haftka and Gurdal, Elements of Structural Optimization, 3rd ed. (1992), sec. 7.2.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from designtwin.analysis.adjoint.thermal import HeatState
from designtwin.analysis.adjoint.transient import step_at, through_heat
from designtwin.assembly import PointTables, applied, assemble_static, cell_blocks
from designtwin.assembly.directions import map_of
from designtwin.assembly.gradients import CaseCells, Strained
from designtwin.assembly.systems import SetUp
from designtwin.errors import NoAdjointError
from designtwin.model.model import LoadCase, Model
from designtwin.requirements.base import Quantity
from designtwin.requirements.responses import Response
from designtwin.results import SolveInfo
from designtwin.results.sensitivity import (
    Action,
    DifferenceAction,
    LawAction,
    Partials,
    Sensitivity,
    SpringAction,
    SupportAction,
    stiffness_partials,
)
from designtwin.results.stress import ENGINEERING
from designtwin.solvers.choice import choose_solver
from designtwin.typing import FloatArray

_BALANCED = 1e-6
"""Share of all reactions by which a sum of some may be off."""
_AGAIN = "the analysis kept nothing (keep=True), so that the adjoint set up anew"


def static_sensitivities(result: Any, quantity: Quantity, responses: Sequence[Response]) -> list[Sensitivity]:
    """Sensitivities of responses of a static result, one each; all of one set-up are solved at once."""
    out = []
    states = [result[response.case] for response in responses]
    for total in at_fixed_heat(result, quantity, responses, states):
        state = result[total.case]
        for _, part in state.parts or ((1.0, state),):
            if part.name in result.warmed:
                total = total + _through_heat(result, part.name, total.temperature(part.name))
        out.append(total)
    return out


def at_fixed_heat(
    result: Any, quantity: Quantity, responses: Sequence[Response], answers: Sequence[Any]
) -> list[Sensitivity]:
    """Sensitivities of responses of static answers, one each, where temperatures that are solved for stay."""
    jobs: list[_Job] = []
    for number, (response, answer) in enumerate(zip(responses, answers, strict=True)):
        for factor, part in answer.parts or ((1.0, answer),):
            jobs.append(_Job(number, factor, state_of(result, part), response))
    solutions = _solved(jobs)
    out = []
    for number, response in enumerate(responses):
        total = Sensitivity(
            model=result.model, response=quantity.label, case=response.case, dimension=quantity.dimension,
            value=response.value, true=response.true, actions=response.actions,
            info=next(info for job, (_, info) in zip(jobs, solutions, strict=True) if job.number == number),
        )  # fmt: skip
        for job, (adjoint, _) in zip(jobs, solutions, strict=True):
            if job.number == number:
                total = total + job.partials(adjoint)
        out.append(total)
    return out


def _through_heat(result: Any, name: str, source: FloatArray) -> Partials:
    """What a response with a slope over the temperature of a case, float64[n_points], owes to heat."""
    thermal, of, at = result.warmed[name]
    if at is not None:
        return through_heat(thermal, thermal[of], {step_at(thermal[of], at, f"case {name!r}"): source})
    state = HeatState.of(thermal, thermal[of])
    lam, _ = state.adjoint(source)
    return state.partials(source, lam)


def state_of(result: Any, case: Any) -> StaticState:
    """A solved static case as adjoints take it up, with what the analysis kept or a set-up of its own.

    Parameters
    ----------
    result : StaticResult
    case : StaticCase
        No combination.
    """
    setup = result.kept.get(case.name)
    kept = setup is not None
    if setup is None:
        setup = _set_up(result.model, case)
    if case.time is not None:  # one of many instants
        return StaticState(result.model, case, setup, kept, case.name in result.warmed)
    key = ("state", case.name)
    if key not in setup.memory:
        setup.memory[key] = StaticState(result.model, case, setup, kept, case.name in result.warmed)
    found: StaticState = setup.memory[key]
    return found


def state_partials(state: StaticState, source: FloatArray) -> Partials:
    """Slope over everything of what has the slope source, [n_points, 3], over a static displacement.

    Raises
    ------
    ConvergenceError
        If an iterative solver does not reach its tolerance.
    """
    job = _Job(0, 1.0, state, Response(case=state.case.name, value=0.0, true=0.0, displacement=source))
    ((adjoint, _),) = _solved([job])
    return job.partials(adjoint)


def _set_up(model: Model, case: Any) -> SetUp:
    """The system of a case assembled and factorized again."""
    known = getattr(case, "_adjoint_setup", None)
    if known is not None:
        return known  # type: ignore[no-any-return]
    blocks = cell_blocks(model)
    assembled = assemble_static(model, case.case, blocks)
    factorization = choose_solver(assembled.system, 1).factorize(assembled.system)
    setup = SetUp(assembled, factorization)
    object.__setattr__(case, "_adjoint_setup", setup)
    return setup


@dataclass(frozen=True, eq=False)
class StaticState:
    """One solved load case, with what its adjoints need of it.

    Parameters
    ----------
    model : Model
    answer : StaticCase
    setup : SetUp
    kept : bool
        Whether the set-up is that of the analysis.
    solved : bool
        Whether the case is as warm as a thermal analysis says.
    """

    model: Model
    answer: Any
    setup: SetUp
    kept: bool
    solved: bool = False

    @property
    def case(self) -> LoadCase:
        found: LoadCase = self.answer.case
        return found

    @property
    def u(self) -> FloatArray:
        """Displacement float64[n_points, 3], m."""
        found: FloatArray = self.answer.displacement
        return found

    @cached_property
    def cells(self) -> tuple[CaseCells, ...]:
        """Cells of each block in this case."""
        return tuple(
            CaseCells(self.model, self.case, block, self.solved) for block in self.answer.recovery.blocks
        )

    @cached_property
    def strained(self) -> tuple[Strained, ...]:
        """The displacement in each block, with its modes."""
        return tuple(cells.displaced(self.u, warmed=True) for cells in self.cells)

    @cached_property
    def sampled(self) -> tuple[tuple[PointTables, FloatArray], ...]:
        """Sampling points of each block, and the strain there."""
        return tuple(
            (at, cells.strain(at, strained))
            for cells, strained, at in zip(
                self.cells, self.strained, self.answer.recovery.tables, strict=True
            )
        )

    @cached_property
    def rest(self) -> FloatArray:
        """K u - f at all nodes, float64[n_points, 3], N: what supports and links take."""
        out = -sum(load.nodal_forces(self.model) for load in self.case.loads)
        out = out if isinstance(out, np.ndarray) else np.zeros_like(self.u)
        for cells, strained in zip(self.cells, self.strained, strict=True):
            cells.add_up(internal_forces(cells, strained, warmed=True), out)
        return np.asarray(out - self.grounded(self.u))

    def grounded(self, u: FloatArray) -> FloatArray:
        """Forces of springs and foundations at displacements, float64[n_points, 3], N."""
        assembled = self.setup.assembled
        if not assembled.extra:
            return np.zeros_like(u)
        x = assembled.dofs.gather(u)
        return assembled.dofs.scatter(-np.asarray(sum(term.apply(x) for term in assembled.extra)))

    def carried(self, weight: FloatArray) -> FloatArray:
        """Motion that does on K u - f the work of a weight on the forces of supports, float64[n_points, 3].

        Raises
        ------
        NoAdjointError
            If supports and connections meet so that none does.
        """
        dofs, map_ = self.setup.assembled.dofs, self.setup.assembled.map
        out = dofs.scatter(map_.carried(dofs.gather(weight)))
        told = self.answer.reactions - self.grounded(self.u)  # without springs
        size = float(np.abs(self.answer.reactions).sum())
        if abs(float((out * self.rest).sum() - (weight * told).sum())) > _BALANCED * size:
            raise NoAdjointError(
                f"case {self.case.name!r}: nodes that are held there follow others by a connection, and no "
                "gradient is known of how the two share the force"
            )
        return out

    @cached_property
    def has_springs(self) -> bool:
        return bool(self.setup.assembled.extra)

    @cached_property
    def unknowns(self) -> FloatArray:
        """The unknowns q in the mesh's order of nodes, float64[n_dof]."""
        known = None if self.answer.time is not None else self.setup.unknowns.get(self.case.name)
        assembled = self.setup.assembled
        if known is None:
            assert assembled.map is not None
            blocks = [cells.block for cells in self.cells]
            known = _solved_again(self.model, self.case, blocks, self.setup)
        return mesh_order(self.setup, known)


def _solved_again(model: Model, case: LoadCase, blocks: Sequence[Any], setup: SetUp) -> FloatArray:
    from designtwin.assembly import thermal_stress_force

    external = np.zeros((model.mesh.n_points, 3))
    for load in case.loads:
        external += load.nodal_forces(model)
    thermal = thermal_stress_force(model, case, blocks)
    f = external if thermal is None else external + thermal
    right = setup.assembled.right_hand_side(setup.assembled.dofs.gather(f))
    return setup.factorization.solve(right).x


def mesh_order(setup: SetUp, x: FloatArray) -> FloatArray:
    """Values of unknowns [n_dof] in the mesh's order of nodes."""
    dofs = setup.assembled.dofs
    nodal = dofs.scatter(x)
    return np.ascontiguousarray(nodal[:, : dofs.components]).ravel()


def internal_forces(cells: CaseCells, of: Strained, *, warmed: bool = False) -> FloatArray:
    """Forces of a block's cells on their nodes where the modes balance, float64[n_cells, n, 3], N."""
    _, stress = cells.strained(of, warmed=warmed)
    return cells.forces(cells.rule, stress * cells.measure[..., None])[0]


@dataclass(frozen=True, eq=False)
class Adjoint:
    """The adjoint displacement of one response and case.

    Parameters
    ----------
    psi : float64[n_points, 3]
    unknowns : float64[n_dof]
        lam, as the solver gave them.
    """

    psi: FloatArray
    unknowns: FloatArray


def adjoint_displacements(setup: SetUp, sources: Sequence[FloatArray]) -> tuple[list[Adjoint], SolveInfo]:
    """Solve for the adjoints of slopes dg/du, each float64[n_points, 3], with kept factors or levels.

    Raises
    ------
    ConvergenceError
        If an iterative solver does not reach its tolerance.
    """
    assembled, start = setup.assembled, time.perf_counter()
    dofs, map_ = assembled.dofs, assembled.map
    right = np.stack([map_.at_free(dofs.gather(source)) for source in sources], axis=1)
    solution = setup.factorization.solve(right)
    out = []
    for column in range(len(sources)):
        lam = np.ascontiguousarray(solution.x[:, column])
        out.append(Adjoint(dofs.scatter(np.asarray(map_.change(lam))), lam))
    info = SolveInfo(
        solver=solution.solver, n_dof=dofs.n_dof, iterations=int(solution.iterations.max(initial=0)),
        seconds={"adjoint solve": time.perf_counter() - start}, notes=solution.notes,
        residual=float(solution.residual.max(initial=0.0)),
    )  # fmt: skip
    return out, info


@dataclass(frozen=True, eq=False)
class _Job:
    """One response in one case that was solved: itself, or a part of its combination."""

    number: int
    factor: float
    state: StaticState
    response: Response

    @cached_property
    def _lefts(self) -> tuple[FloatArray, ...] | None:
        """Slope over stress at the samples of each block, [n_cells, s, 6]."""
        return self._split(self.response.samples)

    @cached_property
    def _lefts_of_strain(self) -> tuple[FloatArray, ...] | None:
        """Slope over strain there."""
        return self._split(self.response.strains)

    def _split(self, samples: FloatArray | None) -> tuple[FloatArray, ...] | None:
        return None if samples is None else tuple(self.state.answer.recovery.split(samples))

    @cached_property
    def _lifted(self) -> FloatArray | None:
        """Motion that stands for the slope over reactions, float64[n_points, 3]."""
        weight = self.response.reactions
        return None if weight is None else self.state.carried(weight)

    @cached_property
    def _through(self) -> tuple[FloatArray, ...] | None:
        """Slope of the response over strain at the samples of each block, through stress or directly."""
        if self._lefts is None:
            return self._lefts_of_strain
        out = []
        for cells, (at, _), left in zip(self.state.cells, self.state.sampled, self._lefts, strict=True):
            tensor, which, _free = cells.law(at)
            out.append(applied(np.swapaxes(tensor, 1, 2), which, left))
        if self._lefts_of_strain is not None:
            out = [a + b for a, b in zip(out, self._lefts_of_strain, strict=True)]
        return tuple(out)

    @cached_property
    def _by_strain(self) -> tuple[tuple[FloatArray, FloatArray], ...]:
        """Of each block: slope of the response, through strain, over nodal displacement and modes."""
        assert self._through is not None
        state = self.state
        return tuple(
            cells.forces(at, left)
            for cells, (at, _), left in zip(state.cells, state.sampled, self._through, strict=True)
        )

    @cached_property
    def source(self) -> FloatArray:
        """dg/du float64[n_points, 3], modes eliminated."""
        state, out = self.state, np.zeros_like(self.state.u)
        if self.response.displacement is not None:
            out += self.response.displacement
        if self._through is not None:
            for cells, (forces, modes) in zip(state.cells, self._by_strain, strict=True):
                cells.add_up(cells.condensed(forces, modes), out)
        if self._lifted is not None:
            assert self.response.reactions is not None
            for cells in state.cells:
                cells.add_up(internal_forces(cells, cells.displaced(self._lifted)), out)
            out += state.grounded(self.response.reactions - self._lifted)
        return out

    def partials(self, adjoint: Adjoint) -> Partials:
        """Slope over everything, for the part's share of the response."""
        state, psi, case, response = self.state, adjoint.psi, self.state.case, self.response
        springs = psi
        if self._lifted is not None:
            assert response.reactions is not None
            psi = psi - self._lifted
            springs = psi + response.reactions
        total = Partials(model=state.model, forces={case.name: psi + self._by_loads}, points=response.points)
        for i, (cells, strained) in enumerate(zip(state.cells, state.strained, strict=True)):
            load = None if self._through is None else self._by_strain[i][1]
            of_psi = cells.displaced(psi, mode_load=load)
            total = total + stiffness_partials(state.model, case, cells, of_psi, strained)
            if self._through is not None:
                total = total + self._explicit(i, self._through[i])
        actions: list[tuple[float, Action]] = [(1.0, _Support(self, adjoint))]
        if state.has_springs:
            actions.append((1.0, SpringAction(case.name, springs, state.u)))
        if self._lifted is not None and state.setup.assembled.map.transform is not None:
            actions.append((1.0, DifferenceAction(self._carried_by)))
        return self.factor * (total + Partials(model=state.model, actions=tuple(actions)))

    def _carried_by(self, model: Model) -> float:
        """Work of the forces of supports as they are on the motion that a neighbor's supports carry."""
        state, c = self.state, model.dimension
        assert self.response.reactions is not None
        map_ = map_of(model, model.cases.get(state.case.name, state.case))
        motion = map_.carried(np.ascontiguousarray(self.response.reactions[:, :c]).ravel())
        return float((motion * state.rest[:, :c].ravel()).sum())

    @property
    def _by_loads(self) -> FloatArray:
        loads = self.response.loads
        return np.zeros_like(self.state.u) if loads is None else loads

    def _explicit(self, i: int, through: FloatArray) -> Partials:
        """What strain and stress change by where u stays."""
        state = self.state
        cells, (at, strain) = state.cells[i], state.sampled[i]
        points = np.zeros_like(state.u)
        cells.add_up(cells.strain_slope(at, through, state.strained[i]), points)
        if self._lefts_of_strain is not None:  # what bars strain along them turns with them
            turned = cells.turn_slope(self._lefts_of_strain[i] / ENGINEERING, strain * ENGINEERING)
            if turned is not None:
                cells.add_up(turned, points)
        if self._lefts is None:
            return Partials(model=state.model, points=points)
        tensor, which, free = cells.law(at)
        left = self._lefts[i]
        turned = cells.turn_slope(left, applied(tensor, which, strain if free is None else strain - free))
        if turned is not None:
            cells.add_up(turned, points)
        return Partials(
            model=state.model, points=points, actions=((1.0, LawAction(cells, at, strain, left)),)
        )


class _Support:
    """`SupportAction`, made when a variable moves supports or links: it takes two products."""

    def __init__(self, job: _Job, adjoint: Adjoint) -> None:
        self._job, self._adjoint = job, adjoint

    def along(self, directions: Any) -> FloatArray:
        state = self._job.state
        moves = directions.supports(state.case.name)
        if all(change is None and offset is None for change, offset in moves):
            return np.zeros(len(directions))
        return self.action.along(directions)

    @cached_property
    def action(self) -> SupportAction:
        job, state = self._job, self._job.state
        c = state.model.dimension
        pulled = np.zeros_like(state.u)
        for cells in state.cells:
            cells.add_up(internal_forces(cells, cells.displaced(self._adjoint.psi)), pulled)
        pull = job.source - pulled + state.grounded(self._adjoint.psi)
        return SupportAction(
            state.case, state.unknowns, mesh_order(state.setup, self._adjoint.unknowns),
            pull[:, :c].ravel(), state.rest[:, :c].ravel(),
        )  # fmt: skip


def _solved(jobs: Sequence[_Job]) -> list[tuple[Adjoint, SolveInfo]]:
    """Adjoints of all jobs, those of one set-up at once; cases of one combination share theirs."""
    found: dict[tuple[int, int], tuple[Adjoint, SolveInfo]] = {}
    groups: dict[int, dict[int, _Job]] = {}
    for job in jobs:
        groups.setdefault(id(job.state.setup), {}).setdefault(job.number, job)
    for setup, members in groups.items():
        state = next(iter(members.values())).state
        adjoints, info = adjoint_displacements(state.setup, [job.source for job in members.values()])
        if not state.kept:
            info = replace(info, notes=(*info.notes, _AGAIN))
        found.update({(setup, n): (one, info) for n, one in zip(members, adjoints, strict=True)})
    return [found[id(job.state.setup), job.number] for job in jobs]
