"""The method of moving asymptotes and its globally convergent version, a step at a time."""

from __future__ import annotations

import numpy as np

from designtwin.errors import OptimizationError
from designtwin.optimize.subproblem import Separable
from designtwin.typing import FloatArray, IntArray

_RHO = 1e-5
"""Curvature of every approximation at least, over the range of a variable."""
_NEAREST, _FARTHEST = 0.01, 10.0
"""How near an asymptote may come, how far it may go, in ranges."""
_STATE = (
    "x",
    "before",
    "before_that",
    "lower",
    "upper",
    "move",
    "penalty",
    "multipliers",
    "f",
    "df",
    "g",
    "dg",
    "rho",
)


class MMA:
    """The method of moving asymptotes for min f(x), g(x) <= 0, low <= x <= high.

    Each step replaces f and g by separable convex functions with poles at moving asymptotes, and solves that
    problem exactly. One that cannot be met is met as nearly as its price allows (``penalty``).

        method = MMA(n, m, low, high)
        for _ in range(100):
            f, g = functions(x)
            x = method.step(x, f, df, g, dg)

    f and g should be of the order of one. A variable with low == high stays.

    Parameters
    ----------
    n, m : int
        Variables and constraints.
    low, high : float64[n] or float
    move : float
        Longest step, in ranges high - low.
    asymptote : float
        Distance of the first asymptotes, in ranges.
    slower, faster : float
        Factors of that distance where a variable swings, and where it goes on.
    penalty : float
        Price of breaking an approximate constraint by one, besides half the square of it.

    Raises
    ------
    OptimizationError
        If sizes do not fit, or bounds cross.

    Source: Svanberg, The method of moving asymptotes, IJNME 24 (1987) 359-373; Svanberg, MMA and GCMMA - two
    methods for nonlinear optimization (2007).
    """

    def __init__(
        self,
        n: int,
        m: int,
        low: FloatArray | float,
        high: FloatArray | float,
        *,
        move: float = 0.5,
        asymptote: float = 0.5,
        slower: float = 0.7,
        faster: float = 1.2,
        penalty: float = 1000.0,
    ) -> None:
        if n < 1 or m < 0:
            raise OptimizationError(
                f"MMA wants a variable at least and no less than 0 constraints, got {n} and {m}"
            )
        self.n, self.m = n, m
        self.low = np.broadcast_to(np.asarray(low, dtype=np.float64), (n,)).copy()
        self.high = np.broadcast_to(np.asarray(high, dtype=np.float64), (n,)).copy()
        if (
            not np.isfinite(self.low).all()
            or not np.isfinite(self.high).all()
            or (self.low > self.high).any()
        ):
            raise OptimizationError("MMA wants finite bounds, the lower one first")
        if not 0.0 < move <= 1.0 or not asymptote > 0.0 or not 0.0 < slower < 1.0 < faster:
            raise OptimizationError(
                f"MMA wants 0 < move <= 1, asymptote > 0, slower < 1 < faster; got {move}, "
                f"{asymptote}, {slower}, {faster}"
            )
        self._range = self.high - self.low
        self._steps = (slower, faster)
        self.longest, self._first = move, asymptote
        self.penalty = np.full(m, float(penalty))
        self.multipliers = np.zeros(m)
        self.move = move
        self.x = self.before = self.before_that = np.zeros(0)
        self.lower = self.upper = np.zeros(0)
        self.f, self.df, self.g, self.dg = 0.0, np.zeros(0), np.zeros(0), np.zeros((m, 0))
        self.rho = np.full(m + 1, _RHO)

    def step(self, x: FloatArray, f: float, df: FloatArray, g: FloatArray, dg: FloatArray) -> FloatArray:
        """The next design.

        Parameters
        ----------
        x : float64[n]
            Where f and g were evaluated; usually what the step before returned.
        f : float
        df : float64[n]
        g : float64[m] or float
        dg : float64[m, n] or float64[n]

        Raises
        ------
        OptimizationError
            If sizes do not fit or a number is not finite.
        """
        x = np.clip(np.asarray(x, dtype=np.float64).ravel(), self.low, self.high)
        df = np.asarray(df, dtype=np.float64).ravel()
        g = np.atleast_1d(np.asarray(g, dtype=np.float64)).ravel()
        dg = np.ascontiguousarray(dg if self.m else np.zeros((0, self.n)), dtype=np.float64)
        if len(x) != self.n or len(df) != self.n or len(g) != self.m or dg.size != self.m * self.n:
            raise OptimizationError(
                f"a step of {self.n} variables and {self.m} constraints was given x[{len(x)}], "
                f"df[{len(df)}], "
                f"g[{len(g)}], dg{list(dg.shape)}"
            )
        if not (np.isfinite(f) and np.isfinite(df).all() and np.isfinite(g).all() and np.isfinite(dg).all()):
            raise OptimizationError(
                "a step was given numbers that are not finite; call retreat() where a design failed"
            )
        dg = dg.reshape(self.m, self.n)
        self._asymptotes(x)
        self.before_that, self.before, self.x = self.before, self.x, x
        self.f, self.df, self.g, self.dg = float(f), df, g, dg
        self.move = min(self.longest, 2.0 * self.move)
        self.rho = self._first_rho()
        return self._proposal()

    def retreat(self) -> FloatArray:
        """Another design, at most half as far away, where the one proposed could not be evaluated."""
        if not len(self.x):
            raise OptimizationError("there is nothing to retreat to before the first step")
        self.move *= 0.5
        return self._proposal()

    def _first_rho(self) -> FloatArray:
        return np.full(self.m + 1, _RHO)

    def _asymptotes(self, x: FloatArray) -> None:
        """Closer where a variable swings, farther where it goes on (Svanberg 2007, eqs. 3.11-3.14)."""
        if not len(self.before):
            distance = self._first * self._range
            self.lower, self.upper = x - distance, x + distance
            return
        swing = (x - self.x) * (self.x - self.before)
        slower, faster = self._steps
        factor = np.where(swing < 0.0, slower, np.where(swing > 0.0, faster, 1.0))
        near, far = _NEAREST * self._range, _FARTHEST * self._range
        self.lower = x - np.clip(factor * (self.x - self.lower), near, far)
        self.upper = x + np.clip(factor * (self.upper - self.x), near, far)

    def _proposal(self) -> FloatArray:
        x, vary = self.x, self._range > 0.0
        everything = bool(vary.all())
        pick = slice(None) if everything else np.flatnonzero(vary)
        here, span = x[pick], self._range[pick]
        lower, upper = self.lower[pick], self.upper[pick]
        low = np.maximum(np.maximum(self.low[pick], lower + 0.1 * (here - lower)), here - self.move * span)
        high = np.minimum(np.minimum(self.high[pick], upper - 0.1 * (upper - here)), here + self.move * span)
        found, self.multipliers = self._convex(pick, low, high).solve(self.penalty)
        found = np.clip(found * span, low, high)
        if everything:
            return found
        out = x.copy()
        out[pick] = found
        return out

    def _convex(self, pick: slice | IntArray, low: FloatArray, high: FloatArray) -> Separable:
        """The convex problem of this step over some variables, in units of their ranges."""
        span = self._range[pick]
        slopes = np.vstack([self.df[pick][None], self.dg[:, pick]]) * span
        values = np.concatenate([[self.f], self.g])
        here, lower, upper = self.x[pick] / span, self.lower[pick] / span, self.upper[pick] / span
        return Separable.about(here, values, slopes, lower, upper, low / span, high / span, self.rho)

    def state(self) -> dict[str, FloatArray]:
        """All it remembers, as plain arrays: ``restore`` goes on from there to the bit."""
        return {name: np.array(getattr(self, name), dtype=np.float64) for name in _STATE}

    def restore(self, state: dict[str, FloatArray]) -> None:
        """Go on from what ``state`` returned, of a method with the same n, m and settings."""
        missing = [name for name in _STATE if name not in state]
        if missing:
            raise OptimizationError(
                f"this is no state of {type(self).__name__}: it lacks {', '.join(missing)}"
            )
        for name in _STATE:
            value = np.array(state[name], dtype=np.float64)
            setattr(self, name, float(value) if name in ("f", "move") else value)


class GCMMA(MMA):
    """MMA whose every step is made smaller until its approximations were on the safe side.

    A step is taken only where f and g turn out to be no larger than their approximations; where one is, its
    curvature grows and the problem is solved again from the same gradients:

        x_new = method.step(x, f, df, g, dg)
        while (again := method.refine(x_new, *functions(x_new))) is not None:
            x_new = again

    Source: Svanberg, A class of globally convergent optimization methods based on conservative convex
    separable approximations, SIAM J. Optim. 12 (2002) 555-573.
    """

    def _first_rho(self) -> FloatArray:
        slopes = np.vstack([self.df, self.dg])
        reach = np.sum(np.abs(slopes) * self._range, axis=1)
        return np.asarray(np.maximum(1e-6, 0.1 / self.n * reach))

    def refine(self, x: FloatArray, f: float, g: FloatArray) -> FloatArray | None:
        """None where the design proposed may be taken, else a nearer one.

        Parameters
        ----------
        x : float64[n]
            What was proposed.
        f : float
        g : float64[m]
        """
        vary = np.flatnonzero(self._range > 0.0)
        here, new, span = self.x[vary], x[vary], self._range[vary]
        lower, upper = self.lower[vary], self.upper[vary]
        excess = np.concatenate([[f], np.atleast_1d(g)]) - self._convex(vary, new, new).values(new / span)
        weight = float(np.sum((upper - lower) * (new - here) ** 2 / ((upper - new) * (new - lower) * span)))
        # Of the objective, whose scale is anyone's, rounding alone may pass: or it would rise now and then.
        noise = 1e-10 * abs(self.f) + 1e-13 * float(np.sum(np.abs(self.df) * self._range))
        rounding = np.append(noise, 1e-7 * (1.0 + np.abs(self.g)))
        if weight < 1e-14 or (excess <= rounding).all():
            return None
        grown = np.minimum(10.0 * self.rho, 1.1 * (self.rho + excess / weight))
        self.rho = np.where(excess > 0.0, np.maximum(grown, self.rho), self.rho)
        return self._proposal()
