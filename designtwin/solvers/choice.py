"""The choice made for a user who names no solver, and a watch over it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from designtwin.errors import ConvergenceError, ResourceError
from designtwin.memory import free_bytes
from designtwin.solvers.direct import Direct, DirectFactorization, estimate, rough_estimate
from designtwin.solvers.multigrid import MultigridCG, MultigridFactorization
from designtwin.solvers.solution import LinearSolver, Solution
from designtwin.solvers.system import System
from designtwin.typing import FloatArray

DIRECT_UP_TO = 30_000  # unknowns below which factors are cheap and nothing can go wrong
FALL_BACK_UP_TO = 150_000  # unknowns up to which factors end within a minute, whatever the part's shape
FACTORS_UP_TO = 2_000_000  # unknowns beyond which not even a flat part has factors of a bearable size
_MULTIGRID_SET_UP = 6e-6  # seconds per unknown and thread, measured on brackets of tet10
_MULTIGRID_SOLVE = 1.5e-6  # and for each right-hand side among many
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
    """MultigridCG, watched: where it does not converge, or Direct would sooner, Direct takes over.

    The solution says so.

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
        """Set up the first solver, or the second where the first refuses the system.

        Raises
        ------
        SingularSystemError
            If a motion is free.
        ConvergenceError
            If multigrid cannot be set up and the system is too large for Direct.
        """
        started = time.perf_counter()
        try:
            return WatchedFactorization(self, system, self.first.factorize(system))
        except ConvergenceError as reason:
            seconds = time.perf_counter() - started
            direct, note = _fall_back(self, system, reason, seconds)
            return WatchedFactorization(self, system, direct, (note,))


class WatchedFactorization:
    """Factors or levels; which of them may change once, from multigrid to direct."""

    def __init__(
        self,
        solver: AutomaticSolver,
        system: System,
        active: MultigridFactorization | DirectFactorization,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._solver, self._system, self._active, self._notes = solver, system, active, notes

    def solve(self, f: FloatArray) -> Solution:
        """Solve A x = f for f[n_dof] or f[n_dof, n_rhs]; `notes` tell of a switch.

        Raises
        ------
        ConvergenceError
            If multigrid does not converge and the system is too large for Direct, or Direct fails too.
        """
        if isinstance(self._active, DirectFactorization):
            solution = self._active.solve(f)
            return replace(solution, notes=self._notes + solution.notes)
        started = time.perf_counter()
        try:
            solution = self._active.solve(f, unless=self._sooner)
        except ConvergenceError as reason:
            seconds = time.perf_counter() - started
            self._active, note = _fall_back(self._solver, self._system, reason, seconds)
            self._notes += (note,)
            solution = self._active.solve(f)
        return replace(solution, notes=self._notes + solution.notes)

    def _sooner(self, left: float) -> str:
        """Why to leave off iterating when it needs `left` more seconds; empty to go on."""
        system = self._system
        rough = rough_estimate(system.n_dof)
        if left < 1.0 or rough.seconds > _ROUGH * left or not _may_factor(system):
            return ""
        need = estimate(system)
        if 1.2 * need.seconds > left or need.bytes > 0.8 * (free_bytes() or 0.0):
            return ""
        return f"some {left:.0f} s more were to be expected, of Direct() {need.seconds:.0f} s"


def _may_factor(system: System) -> bool:
    """Whether making the matrix and an order of elimination is worth a thought."""
    free = free_bytes()
    return system.n_dof <= FACTORS_UP_TO and (free is None or 2e3 * system.n_dof < free)


def _fall_back(
    solver: AutomaticSolver, system: System, reason: ConvergenceError, seconds: float
) -> tuple[DirectFactorization, str]:
    if system.n_dof > solver.fall_back_up_to:
        if not _may_factor(system):
            raise _no_way_out(system, reason, "too many for factors") from reason
        need = estimate(system)
        if need.seconds > 1800.0:
            why = f"for which Direct() would take about {need.seconds / 60.0:.0f} minutes"
            raise _no_way_out(system, reason, why) from reason
    try:
        direct = Direct().factorize(system)
    except ResourceError as short:
        raise ConvergenceError(f"{reason}. Direct() cannot take over: {short}") from reason
    return direct, f"Direct() took over after {seconds:.1f} s: {reason}"


def _no_way_out(system: System, reason: ConvergenceError, why: str) -> ConvergenceError:
    return ConvergenceError(
        f"{reason}. The system has {system.n_dof} unknowns, {why}; ask for solver=Direct() if you can wait, "
        "make cells less flat, or use a coarser mesh"
    )
