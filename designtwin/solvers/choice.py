"""The choice made for a user who names no solver, and a watch over it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from designtwin.errors import ConvergenceError, ResourceError
from designtwin.memory import free_bytes
from designtwin.solvers.direct import Direct, DirectFactorization, Estimate, estimate, rough_estimate
from designtwin.solvers.hierarchy import can_group
from designtwin.solvers.multigrid import MultigridCG, MultigridFactorization
from designtwin.solvers.solution import LinearSolver, Solution
from designtwin.solvers.system import System
from designtwin.typing import FloatArray

DIRECT_UP_TO = 30_000  # unknowns below which factors are cheap and nothing can go wrong
FALL_BACK_UP_TO = 150_000  # unknowns up to which factors end within a minute, whatever the part's shape
FACTORS_UP_TO = 2_000_000  # unknowns beyond which not even a flat part has factors of a bearable size
_MULTIGRID_SET_UP = 6e-6  # seconds per unknown and thread, measured on brackets of tet10
_MULTIGRID_SOLVE = 1.5e-6  # and for each right-hand side among many
_GROUPS = 1.5e-4  # seconds per unknown of multigrid with groups, on flat brackets of tet10, two threads
_GROUPS_BYTES = 8e3  # memory it takes per unknown, the matrix counted
_QUICK = 60.0  # seconds that factors may always take where multigrid gives up
_PATIENCE = 1800.0  # seconds that they may take where there is no other way
_ROUGH = 10.0  # by how much a flat part undercuts `rough_estimate`


def choose_solver(system: System, n_rhs: int = 1) -> LinearSolver:
    """Direct() where a system is small, indefinite or has many right-hand sides, else AutomaticSolver().

    Parameters
    ----------
    system : System
        What is to be solved.
    n_rhs : int
        For how many right-hand sides.

    Returns
    -------
    LinearSolver
        Settings; `factorize(system)` does the work.
    """
    if system.extra or not system.definite or system.n_dof <= DIRECT_UP_TO:
        return Direct()
    n = system.n_dof
    if n_rhs > 8 and n <= FALL_BACK_UP_TO:
        direct = rough_estimate(n)
        each = direct.bytes / 8.0 * 4.0 / 20e9  # two multiply-adds for every number of the factor
        many = _MULTIGRID_SET_UP * n + n_rhs * _MULTIGRID_SOLVE * n
        if direct.seconds + n_rhs * each < many and direct.bytes < 0.7 * (free_bytes() or 0.0):
            return Direct()
    return AutomaticSolver()


@dataclass(frozen=True, kw_only=True)
class AutomaticSolver:
    """MultigridCG, watched: where it does not converge, or another would sooner, that takes over.

    Direct takes over where its factors are quick to make and fit; else MultigridCG(smoother="groups"), which
    flat cells do not hinder. The solution says so.

    Parameters
    ----------
    first : MultigridCG
        Tried first.
    fall_back_up_to : int
        Unknowns up to which Direct takes over whatever it costs; above it only where its order of
        elimination promises less time than is left to iterate, or memory for it.
    """

    first: MultigridCG = field(default_factory=MultigridCG)
    fall_back_up_to: int = FALL_BACK_UP_TO

    def factorize(self, system: System) -> WatchedFactorization:
        """Set up the first solver, or another where the first refuses the system.

        Raises
        ------
        SingularSystemError
            If a motion is free.
        ConvergenceError
            If multigrid cannot be set up and the system is too large for Direct.
        """
        return WatchedFactorization(self, system)


class WatchedFactorization:
    """Factors or levels; which of them may change, from multigrid to direct or to groups."""

    def __init__(self, solver: AutomaticSolver, system: System) -> None:
        self._solver, self._system = solver, system
        self._others: list[Direct | MultigridCG] | None = None  # not decided before it matters
        self._too_much = ""
        self._notes: tuple[str, ...] = ()
        self._active: MultigridFactorization | DirectFactorization
        started = time.perf_counter()
        try:
            self._active = solver.first.factorize(system)
        except ConvergenceError as reason:
            self._give_way(reason, time.perf_counter() - started)

    @property
    def active(self) -> MultigridFactorization | DirectFactorization:
        """What would solve now."""
        return self._active

    @property
    def notes(self) -> tuple[str, ...]:
        """What switches there were."""
        return self._notes

    def solve(self, f: FloatArray) -> Solution:
        """Solve A x = f for f[n_dof] or f[n_dof, n_rhs]; `notes` tell of a switch.

        Raises
        ------
        ConvergenceError
            If multigrid does not converge and the system is too large for Direct, or Direct fails too.
        """
        while isinstance(self._active, MultigridFactorization):
            started = time.perf_counter()
            try:
                solution = self._active.solve(f, unless=self._sooner)
                break
            except ConvergenceError as reason:
                self._give_way(reason, time.perf_counter() - started)
        else:
            solution = self._active.solve(f)
        return replace(solution, notes=self._notes + solution.notes)

    def _give_way(self, reason: ConvergenceError, seconds: float) -> None:
        """Let the next solver that can be set up take over, and note it."""
        if self._others is None:
            self._others, self._too_much = _in_turn(self._solver, self._system)
        why: Exception = reason
        while self._others:
            other = self._others.pop(0)
            try:
                self._active = other.factorize(self._system)
            except (ConvergenceError, ResourceError) as short:
                why = ConvergenceError(f"{why}. {_name(other)} cannot take over: {short}")
                continue
            self._notes += (f"{_name(other)} took over after {seconds:.1f} s: {why}",)
            return
        if not self._too_much:
            raise why from reason
        raise ConvergenceError(
            f"{why}. The system has {self._system.n_dof} unknowns, {self._too_much}; ask for solver=Direct() "
            "if you can wait, make cells less flat, or use a coarser mesh"
        ) from reason

    def _sooner(self, left: float) -> str:
        """Why to leave off iterating when it needs `left` more seconds; empty to go on."""
        system = self._system
        if left < 1.0:
            return ""
        expected = f"some {left:.0f} s more were to be expected, of"
        others = self._others
        may = others is None or any(isinstance(other, Direct) for other in others)
        if may and rough_estimate(system.n_dof).seconds < _ROUGH * left and _may_factor(system):
            need = estimate(system)
            if 1.2 * need.seconds < left and _fits(need):
                return f"{expected} Direct() {need.seconds:.0f} s"
        groups = _GROUPS * system.n_dof
        if others is None and 2.0 * groups < left and _may_group(self._solver, system):
            return f"{expected} {_name(_grouping(self._solver))} {groups:.0f} s"
        return ""


def _may_factor(system: System) -> bool:
    """Whether making the matrix and an order of elimination is worth a thought."""
    free = free_bytes()
    return system.n_dof <= FACTORS_UP_TO and (free is None or 2e3 * system.n_dof < free)


def _may_group(solver: AutomaticSolver, system: System) -> bool:
    """Whether groups can take over; small systems are left to factors."""
    free = free_bytes()
    return (
        solver.first.smoother != "groups"
        and system.n_dof > solver.fall_back_up_to
        and can_group(system)
        and (free is None or _GROUPS_BYTES * system.n_dof < free)
    )


def _fits(need: Estimate) -> bool:
    free = free_bytes()
    return free is None or need.bytes < 0.8 * free


def _grouping(solver: AutomaticSolver) -> MultigridCG:
    return replace(solver.first, smoother="groups")


def _name(solver: Direct | MultigridCG) -> str:
    return "Direct()" if isinstance(solver, Direct) else f"MultigridCG(smoother={solver.smoother!r})"


def _in_turn(solver: AutomaticSolver, system: System) -> tuple[list[Direct | MultigridCG], str]:
    """Who takes over, one after another, and why Direct is not among them."""
    groups: list[Direct | MultigridCG] = [_grouping(solver)] if _may_group(solver, system) else []
    if system.n_dof <= solver.fall_back_up_to:
        return [Direct()], ""
    if not _may_factor(system):
        return groups, "too many for factors"
    need = estimate(system)
    if need.seconds <= max(_QUICK, _GROUPS * system.n_dof) and _fits(need):
        return [Direct(), *groups], ""
    if need.seconds <= _PATIENCE:
        return [*groups, Direct()], ""
    return groups, f"for which Direct() would take about {need.seconds / 60.0:.0f} minutes"
