"""The choice made for a user who names no solver, and a watch over it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from designtwin.errors import ConvergenceError, ResourceError
from designtwin.solvers.direct import Direct, DirectFactorization
from designtwin.solvers.multigrid import MultigridCG, MultigridFactorization
from designtwin.solvers.solution import LinearSolver, Solution
from designtwin.solvers.system import System
from designtwin.typing import FloatArray

DIRECT_UP_TO = 15_000  # unknowns below which factors are cheap and nothing can go wrong
FALL_BACK_UP_TO = 150_000  # unknowns up to which SuperLU still ends within minutes


def choose_solver(system: System) -> LinearSolver:
    """Direct() where a system is small, indefinite or has extra unknowns, else AutomaticSolver().

    Parameters
    ----------
    system : System
        What is to be solved.

    Returns
    -------
    LinearSolver
        Settings; `factorize(system)` does the work.
    """
    if system.extra or not system.definite or system.n_dof <= DIRECT_UP_TO:
        return Direct()
    return AutomaticSolver()


@dataclass(frozen=True, kw_only=True)
class AutomaticSolver:
    """MultigridCG, watched: where it does not converge, Direct takes over and the solution says so.

    Parameters
    ----------
    first : MultigridCG
        Tried first.
    fall_back_up_to : int
        Unknowns up to which Direct takes over; above it the ConvergenceError stands.
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
        started = time.perf_counter()
        try:
            solution = self._active.solve(f)
        except ConvergenceError as reason:
            if isinstance(self._active, DirectFactorization):
                raise
            seconds = time.perf_counter() - started
            self._active, note = _fall_back(self._solver, self._system, reason, seconds)
            self._notes += (note,)
            solution = self._active.solve(f)
        return replace(solution, notes=self._notes + solution.notes)


def _fall_back(
    solver: AutomaticSolver, system: System, reason: ConvergenceError, seconds: float
) -> tuple[DirectFactorization, str]:
    if system.n_dof > solver.fall_back_up_to:
        raise ConvergenceError(
            f"{reason}. The system has {system.n_dof} unknowns, too many for Direct() to take over by itself "
            f"(limit {solver.fall_back_up_to}); ask for solver=Direct() if you can wait, make cells "
            "less flat, or use a coarser mesh"
        ) from reason
    try:
        direct = Direct().factorize(system)
    except ResourceError as short:
        raise ConvergenceError(f"{reason}. Direct() cannot take over: {short}") from reason
    return direct, f"Direct() took over after {seconds:.1f} s: {reason}"
