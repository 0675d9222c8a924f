"""Newton's method on the heat balance, and the linear solves in it.

Source: Deuflhard, Newton Methods for Nonlinear Problems (2011), sec. 3.1: residual-based damping.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from designtwin.assembly import HeatEquations
from designtwin.errors import ConvergenceError, ModelError, ResourceError
from designtwin.solvers.direct import Direct
from designtwin.solvers.krylov import Found, Preconditioner, conjugate_gradients, dot, gmres
from designtwin.solvers.solution import Factorization, LinearSolver
from designtwin.solvers.system import System
from designtwin.typing import FloatArray

_STEPS = 200  # of Newton
_HALVINGS = 12
_HUGE = 1e300  # more than any step; finite, as some weights of nodes are zero
_CHEAP = 100.0  # factors give two digits more for next to nothing
_FORCING = 1e-4  # residual of the linear systems in Newton's method, over that of the balance
_STALE = (0.25, 4.0)  # rates, over that of the set-up, for which it serves as preconditioner
_SLOW = 2  # times the iterations of a fresh set-up after which it is made anew

Enough = Callable[[float, float], bool]


@dataclass(frozen=True)
class SetUp:
    """What a preconditioner was made of; enough to make it again, digit by digit."""

    rate: float
    time: float | None
    u: FloatArray


@dataclass(frozen=True)
class _Made:
    """A solver that was at work already."""

    factorization: Factorization

    def factorize(self, system: System) -> Factorization:
        return self.factorization


@dataclass(eq=False)
class HeatSolver:
    """Linear systems of one set of equations at many rates, times and temperatures.

    Factors or levels are kept as preconditioner while they serve.
    """

    equations: HeatEquations
    solver: LinearSolver | None = None
    made: SetUp | None = None
    fresh: int = 0
    """Iterations with the set-up when it was new."""
    setups: int = 0
    iterations: int = 0
    fallen_back: bool = False
    seconds: dict[str, float] = field(default_factory=lambda: {"set-up": 0.0, "solve": 0.0})
    notes: tuple[str, ...] = ()
    _preconditioner: Preconditioner | None = None
    _systems: dict[float, System] = field(default_factory=dict)
    _images: dict[float, FloatArray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What solves, for people."""
        return "" if self._preconditioner is None else self._preconditioner.title

    def system(self, u: FloatArray, time: float | None, rate: float) -> System:
        """The tangent's symmetric part; kept where nothing but the rate changes it."""
        if not self.equations.constant:
            return self.equations.system(u, time, rate)
        if rate not in self._systems:
            if len(self._systems) >= 4:
                self._systems.pop(next(iter(self._systems)))
            self._systems[rate] = self.equations.system(u, time, rate)
        return self._systems[rate]

    @property
    def expectation(self) -> tuple[float, int]:
        """What the preconditioner has seen of its residuals; part of the state that repeats digits."""
        p = self._preconditioner
        return (np.inf, 0) if p is None else (p.ended, p.spared)

    def prepare(self, made: SetUp, expectation: tuple[float, int]) -> None:
        """Set up at a state: as `solve` does by itself, or as it did before an interruption."""
        self._set_up(self.system(made.u, made.time, made.rate), made)
        assert self._preconditioner is not None
        self._preconditioner.ended, self._preconditioner.spared = expectation

    def take(self, system: System, factorization: Factorization) -> None:
        """Keep factors or levels that were made of a system elsewhere."""
        self._preconditioner = Preconditioner(system, _Made(factorization))

    def preconditioner(self, system: System) -> Preconditioner:
        """What there is of an earlier solve; else of this system."""
        if self._preconditioner is None:
            self._preconditioner = Preconditioner(system, self.solver)
        return self._preconditioner

    def fall_back(self) -> None:
        """Factors from now on."""
        self.solver, self.fallen_back = Direct(), True

    def solve(
        self,
        r: FloatArray,
        u: FloatArray,
        time: float | None,
        rate: float,
        enough: Enough | None,
        *,
        balanced: bool = False,
    ) -> FloatArray:
        """x with (tangent at u) x = r, in the unknowns of the equations' map.

        Parameters
        ----------
        r : float64[n_dof]
            Zero where fixed.
        enough : as in `conjugate_gradients`, optional
            None: until the residual is `_FORCING` of r.
        balanced : bool
            Whether what is left of r shall add up to nothing: no heat is lost then.

        Raises
        ------
        ConvergenceError
            If no solver gets there.
        """
        start = clock.perf_counter()
        made = self.made
        stale = made is None or not (
            made.rate == rate or (made.rate > 0.0 and _STALE[0] <= rate / made.rate <= _STALE[1])
        )
        known: list[System] = []

        def system() -> System:
            if not known:
                known.append(self.system(u, time, rate))
            return known[0]

        before = self.seconds["set-up"]
        if stale:
            self._set_up(system(), SetUp(rate, time, u.copy()))
        try:
            found = self._iterate(system, r, u, time, rate, enough)
        except ConvergenceError as reason:
            found = self._again(system, SetUp(rate, time, u.copy()), r, enough, reason)
        self.iterations += found.iterations
        if stale:
            self.fresh = found.iterations
        elif found.iterations > _SLOW * self.fresh + 5:
            self.made = None  # the next solve sets up anew
        self.seconds["solve"] += clock.perf_counter() - start - (self.seconds["set-up"] - before)
        x = found.x
        if balanced:
            free = np.where(self.equations.map(time).fixed, 0.0, 1.0)
            total = float(self._image(system(), rate, free).sum())
            if total > 0.0:  # else no temperature is free
                x = x + float(found.rest.sum()) / total * free
        return x

    def _image(self, system: System, rate: float, free: FloatArray) -> FloatArray:
        """The system times one everywhere."""
        if not self.equations.constant:
            return system.apply(free)
        if rate not in self._images:
            self._images = {rate: system.apply(free)}
        return self._images[rate]

    def _set_up(self, system: System, made: SetUp) -> None:
        start = clock.perf_counter()
        self._preconditioner = Preconditioner(system, self.solver)
        self.notes = tuple(dict.fromkeys((*self.notes, *self._preconditioner.notes)))
        self.made, self.setups = made, self.setups + 1
        self.seconds["set-up"] += clock.perf_counter() - start

    def _iterate(
        self,
        system: Callable[[], System],
        r: FloatArray,
        u: FloatArray,
        time: float | None,
        rate: float,
        enough: Enough | None,
    ) -> Found:
        assert self._preconditioner is not None
        product = self.equations.product(u, time, rate, system)
        if not self.equations.symmetric:
            return gmres(product, self._preconditioner, r, rtol=_FORCING)
        if enough is None:
            size = float(np.sqrt(dot(r, r)))

            def enough(norm: float, _: float) -> bool:
                return norm <= _FORCING * size

        told = enough
        if self._preconditioner.exact:

            def told(norm: float, rz: float) -> bool:
                return enough(norm, _CHEAP**2 * rz)

        return conjugate_gradients(product, self._preconditioner, r, enough=told)

    def _again(
        self,
        system: Callable[[], System],
        now: SetUp,
        r: FloatArray,
        enough: Enough | None,
        reason: ConvergenceError,
    ) -> Found:
        """With a set-up of this very system; then with factors, which always serve."""
        made, state = self.made, (r, now.u, now.time, now.rate, enough)
        if made is None or made.rate != now.rate or not np.array_equal(made.u, now.u):
            self._set_up(system(), now)
            try:
                return self._iterate(system, *state)
            except ConvergenceError as second:
                reason = second
        if self.solver is not None:
            raise reason
        self.fall_back()
        try:
            self._set_up(system(), now)
        except ResourceError:
            raise reason from None
        self.notes = (*self.notes, f"Direct took over: {reason}")
        return self._iterate(system, *state)


def _line_search(
    residual: Callable[[FloatArray], FloatArray],
    restricted: Callable[[FloatArray], FloatArray],
    u: FloatArray,
    step: FloatArray,
    x: FloatArray,
    r: FloatArray,
    size: float,
) -> tuple[float, FloatArray, FloatArray]:
    """Share of a step to take, and what is missing after it: all of it, and at independent unknowns.

    A step is taken whole where it makes the residual smaller. Else x . r is brought down: it is the slope,
    along the step, of a functional that the solution makes least (where the tangent is symmetric; heat stored
    grows with temperature, so that it is convex), and its zero lies on the way, kinks of tables or not.
    """
    low, high = 0.0, 1.0
    slope_low, slope_high = dot(x, r), np.nan
    first, share = slope_low, 1.0
    found: tuple[float, FloatArray, FloatArray] | None = None
    for _ in range(_HALVINGS):
        try:
            rest = residual(u + share * step)
        except ModelError as error:  # beyond the end of a table
            if found is None and share < 1e-3:
                raise ModelError(
                    f"heat balances only beyond the end of a table, if at all: {error}"
                ) from error
            high, slope_high = share, np.nan
            share = 0.5 * (low + share)
            continue
        now = restricted(rest)
        found = share, rest, now
        length = float(np.sqrt(dot(now, now)))
        slope = dot(x, now)
        if length <= (1.0 - 1e-4 * share) * size or abs(slope) <= 0.1 * abs(first):
            break
        if not slope > 0.0:  # not yet at the zero, and as far as may be
            if share == high == 1.0:
                break
            low, slope_low = share, slope
        else:
            high, slope_high = share, slope
        if np.isnan(slope_high):
            share = 0.5 * (low + high)
        else:
            middle = low + (high - low) * slope_low / (slope_low - slope_high)
            share = float(np.clip(middle, low + 0.1 * (high - low), high - 0.1 * (high - low)))
    assert found is not None
    return found


def newton(
    solver: HeatSolver,
    residual: Callable[[FloatArray], FloatArray],
    u: FloatArray,
    time: float | None,
    rate: float,
    *,
    small: Callable[[FloatArray, FloatArray, FloatArray], bool],
    who: str,
    enough: Enough | None = None,
) -> FloatArray:
    """Solve residual(u) = 0 from u, prescribed temperatures in place.

    Parameters
    ----------
    residual : function
        Heat that is missing at the nodes, float64[n_dof], W, from u.
    small : function of (u, residual, last step, which is huge before there is one)
        Whether u will do; all float64[n_dof].
    enough : as in `HeatSolver.solve`, optional
        For the linear systems; their rests then add up to nothing.

    Returns
    -------
    float64[n_dof]

    Raises
    ------
    ConvergenceError
        If steps run out; the message tells how far it came.
    """
    map_ = solver.equations.map(time)

    rest = residual(u)
    r = map_.at_free(rest)
    size = float(np.sqrt(dot(r, r)))
    history = [size]
    step = np.full_like(u, _HUGE)
    for _ in range(_STEPS):
        if small(u, rest, step):
            return u
        x = solver.solve(-r, u, time, rate, enough, balanced=enough is not None)
        step = map_.change(x)
        share, rest, r = _line_search(residual, map_.at_free, u, step, x, r, size)
        u, step, size = u + share * step, share * step, float(np.sqrt(dot(r, r)))
        history.append(size)
    if small(u, rest, step):
        return u
    shown = ", ".join(f"{one:.1e}" for one in history[-6:])
    raise ConvergenceError(
        f"{who}: Newton's method does not converge (unbalanced heat {shown} W in the last steps); check "
        "tables for jumps, start closer (initial=) or take smaller steps"
    )
