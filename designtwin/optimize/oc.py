"""Optimality criteria: one resource to be spent where it pays most."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from designtwin.errors import OptimizationError
from designtwin.typing import FloatArray


class OC:
    """Optimality criteria for one constraint that every variable spends: x (-df / (lambda dg)) ** damping.

    Fits objectives that fall with every variable (compliance) under one limit that grows with each (volume).

        method = OC(n, low, high, move=0.2)
        x = method.step(x, df, g, dg)

    Parameters
    ----------
    n : int
    low, high : float64[n] or float
    move : float
        Longest step of a variable.
    damping : float
        Exponent.
    tolerance : float
        Relative width of the multiplier at which bisection ends.

    Source: Bendsøe & Sigmund, Topology Optimization (2003), sec. 1.2.1; Andreassen et al., Efficient topology
    optimization in MATLAB using 88 lines of code, SMO 43 (2011), eq. 8.
    """

    def __init__(
        self,
        n: int,
        low: FloatArray | float,
        high: FloatArray | float,
        *,
        move: float = 0.2,
        damping: float = 0.5,
        tolerance: float = 1e-9,
    ) -> None:
        self.n = n
        self.low = np.broadcast_to(np.asarray(low, dtype=np.float64), (n,)).copy()
        self.high = np.broadcast_to(np.asarray(high, dtype=np.float64), (n,)).copy()
        if (self.low > self.high).any() or self.low.min() < 0.0:
            raise OptimizationError("OC wants bounds that are not negative, the lower one first")
        if not move > 0.0 or not 0.0 < damping <= 1.0 or not 0.0 < tolerance < 1.0:
            raise OptimizationError(
                f"OC wants move > 0, 0 < damping <= 1, 0 < tolerance < 1; got {move}, {damping}, {tolerance}"
            )
        self.longest, self.damping, self.tolerance = move, damping, tolerance
        self.multiplier = 0.0
        self._shorter = 1.0
        self._last: (
            tuple[FloatArray, FloatArray, float, FloatArray, Callable[[FloatArray], float] | None] | None
        ) = None

    def step(
        self,
        x: FloatArray,
        df: FloatArray,
        g: float,
        dg: FloatArray,
        *,
        constraint: Callable[[FloatArray], float] | None = None,
    ) -> FloatArray:
        """The next design; it meets the constraint as ``constraint(x)`` tells, else its linearization.

        Parameters
        ----------
        x : float64[n]
        df : float64[n]
            Slopes of the objective; positive ones count as none (no use of the resource helps there).
        g : float
            Constraint at x, met where <= 0.
        dg : float64[n]
            Its slopes, all > 0.
        constraint : callable (x) -> float, optional
            The constraint itself where it is cheap and not linear (a projected volume).

        Raises
        ------
        OptimizationError
            If a slope of the constraint is not positive, or numbers are not finite.
        """
        x = np.clip(np.asarray(x, dtype=np.float64).ravel(), self.low, self.high)
        df, dg = np.asarray(df, dtype=np.float64).ravel(), np.asarray(dg, dtype=np.float64).ravel()
        if not len(x) == len(df) == len(dg) == self.n:
            raise OptimizationError(
                f"a step of {self.n} variables was given x[{len(x)}], df[{len(df)}], dg[{len(dg)}]"
            )
        if not (np.isfinite(df).all() and np.isfinite(dg).all() and np.isfinite(g)):
            raise OptimizationError("a step was given numbers that are not finite")
        free = self.high > self.low
        if not (dg[free] > 0.0).all():
            raise OptimizationError(
                "optimality criteria want a constraint that grows with every variable; use MMA for "
                "this problem"
            )
        self._last, self._shorter = (x, df, float(g), dg, constraint), 1.0
        return self._proposal()

    def retreat(self) -> FloatArray:
        """Another design, half as far away at most, where the one proposed could not be evaluated."""
        if self._last is None:
            raise OptimizationError("there is nothing to retreat to before the first step")
        self._shorter *= 0.5
        return self._proposal()

    def _proposal(self) -> FloatArray:
        assert self._last is not None
        x, df, g, dg, constraint = self._last
        move = self.longest * self._shorter
        low, high = np.maximum(self.low, x - move), np.minimum(self.high, x + move)
        gain = np.zeros(self.n)
        free = self.high > self.low
        gain[free] = x[free] * (np.maximum(-df[free], 0.0) / dg[free]) ** self.damping

        def at(multiplier: float) -> FloatArray:
            return np.asarray(np.clip(gain / multiplier**self.damping, low, high))

        def excess(new: FloatArray) -> float:
            return constraint(new) if constraint is not None else g + float(np.sum(dg * (new - x)))

        worth = (np.maximum(-df[free], 0.0) / dg[free]).max(initial=0.0)
        if worth == 0.0:
            return low
        least, most = 1e-12 * worth, worth
        while excess(at(most)) > 0.0 and (at(most) > low).any():
            most *= 10.0
        if excess(at(least)) <= 0.0:
            self.multiplier = 0.0  # the resource is not used up
            return at(least)
        while most - least > self.tolerance * (most + least):
            middle = 0.5 * (least + most) if most < 4.0 * least else float(np.sqrt(least * most))
            if excess(at(middle)) > 0.0:
                least = middle
            else:
                most = middle
        self.multiplier = most
        return at(most)
