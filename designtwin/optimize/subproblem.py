"""The convex separable problem of a step of MMA, and its solution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtwin import parallel
from designtwin.errors import ConvergenceError
from designtwin.kernels import separable
from designtwin.kernels.separable import BLOCK, added, blocks_of
from designtwin.typing import FloatArray

_LAST = 1e-7
"""Barrier at which the interior point method ends: products of slacks and multipliers."""


@dataclass(frozen=True, eq=False)
class Separable:
    """Row i: sum_j p_ij / (upper_j - x_j) + q_ij / (x_j - lower_j) + r_i; row 0 is the objective.

    Parameters
    ----------
    p, q : float64[m + 1, n]
    r : float64[m + 1]
    lower, upper : float64[n]
        Asymptotes.
    low, high : float64[n]
        Bounds of the step.
    """

    p: FloatArray
    q: FloatArray
    r: FloatArray
    lower: FloatArray
    upper: FloatArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def about(
        cls, x: FloatArray, values: FloatArray, slopes: FloatArray, lower: FloatArray, upper: FloatArray,
        low: FloatArray, high: FloatArray, span: FloatArray, rho: FloatArray,
    ) -> Separable:  # fmt: skip
        """Functions with these values [m + 1] and slopes [m + 1, n] at x (Svanberg 2007, eqs. 3.2-3.6)."""
        p, q = np.empty_like(slopes), np.empty_like(slopes)
        sums = np.empty((blocks_of(len(x)), len(slopes)))
        parallel.run(
            separable.approximate, len(sums), BLOCK, x, slopes, lower, upper, span, rho, p, q, sums
        )  # fmt: skip
        return cls(p, q, values - added(sums), lower, upper, low, high)

    def values(self, x: FloatArray) -> FloatArray:
        """All rows at x."""
        sums = np.empty((blocks_of(len(x)), len(self.r)))
        parallel.run(separable.rows, len(sums), BLOCK, x, self.p, self.q, self.lower, self.upper, sums)
        return added(sums) + self.r

    def solve(self, penalty: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Least row 0 + penalty.y + y.y/2 with rows 1.. <= y, y >= 0 and low <= x <= high.

        Parameters
        ----------
        penalty : float64[m]

        Returns
        -------
        x : float64[n]
        multipliers : float64[m]

        Raises
        ------
        ConvergenceError
            If the interior point method fails, which numbers that are not sound make it do.
        """
        if len(self.r) <= 2:
            return _by_multiplier(self, float(penalty[0]) if len(penalty) else 0.0)
        return _InteriorPoint(self, penalty).solve()


def _by_multiplier(problem: Separable, penalty: float) -> tuple[FloatArray, FloatArray]:
    """One constraint: x follows from its multiplier in closed form, and the multiplier from one equation.

    Newton's method on the dual's slope, which falls with the multiplier, inside an interval that shrinks.
    """
    x = np.empty_like(problem.low)
    sums = np.empty((blocks_of(len(x)), 2))

    def left(multiplier: float) -> tuple[float, float]:
        parallel.run(
            separable.nearest, len(sums), BLOCK, multiplier, problem.p, problem.q, problem.lower,
            problem.upper,
            problem.low, problem.high, x, sums,
        )  # fmt: skip
        if len(problem.r) == 1:
            return 0.0, 0.0
        row, slope = added(sums)
        broken = max(0.0, multiplier - penalty)
        return float(row) + float(problem.r[1]) - broken, float(slope) - (1.0 if broken else 0.0)

    over, slope = left(0.0)
    if over <= 0.0:
        return x, np.zeros(len(problem.r) - 1)
    least, most, multiplier = 0.0, np.inf, 0.0
    scale = abs(float(problem.r[1])) + over
    for _ in range(200):
        guess = multiplier - over / slope if slope < 0.0 else np.inf
        if not least < guess < most:
            guess = 0.5 * (least + most) if np.isfinite(most) else 10.0 * least + 1.0
        multiplier = guess
        over, slope = left(multiplier)
        if over > 0.0:
            least = multiplier
        else:
            most = multiplier
        if abs(over) <= 1e-13 * scale or (np.isfinite(most) and most - least <= 1e-15 * most):
            break
    return x, np.array([multiplier])


class _InteriorPoint:
    """Primal-dual interior point method, with Newton's equations for constraints or variables, the fewer.

    Source: Svanberg, MMA and GCMMA - two methods for nonlinear optimization (2007), sec. 5.
    """

    def __init__(self, problem: Separable, penalty: FloatArray) -> None:
        self.problem, self.penalty = problem, penalty
        m, n = len(problem.r) - 1, len(problem.low)
        self.m, self.n, self.dense = m, n, m <= n
        middle = 0.5 * (problem.low + problem.high)
        # A range that all but vanished still needs room inside.
        room = np.maximum(problem.high - problem.low, 1e-13 * (problem.upper - problem.lower))
        self.low, self.high = middle - 0.5 * room, middle + 0.5 * room
        held = np.maximum(1.0, 2.0 / room)
        self.state, self.trial = np.stack([middle, held, held]), np.empty((3, n))
        self.change = np.zeros((3, n))
        self.right, self.diagonal, self.jacobian = np.empty(n), np.empty(n), np.empty((m, n))
        blocks = blocks_of(n)
        self.sums = np.empty((blocks, 2 * m + 2 + (m * m if self.dense else 0)))
        self.taken = np.empty((blocks, 1))
        # Rows: y, multipliers, multipliers of y >= 0, slacks.
        self.rows = np.stack([np.ones(m), np.ones(m), np.maximum(1.0, 0.5 * penalty), np.ones(m)])

    def solve(self) -> tuple[FloatArray, FloatArray]:
        barrier = 1.0
        while True:
            residual, largest = self._assemble(0.0, self.rows, barrier)
            self._accept(self.rows)
            for _ in range(200):
                if largest < 0.9 * barrier:
                    break
                rows, taken = self._step(barrier)
                step = 1.0 / max(1.0, 1.01 * taken)
                before = residual
                for _ in range(60):
                    after = self.rows + step * rows
                    residual, largest = self._assemble(step, after, barrier)
                    if residual <= before:
                        break
                    step *= 0.5
                else:
                    break  # as near as rounding allows
                self._accept(after)
            if not np.isfinite(residual) or largest > max(1e3 * barrier, 1e-3):
                raise ConvergenceError(
                    f"the convex problem of a step of MMA was not solved: residual {largest:.1e}; "
                    f"check the size "
                    "of objective, constraints and their gradients, which should be of the order of one"
                )
            if barrier <= _LAST:
                break
            barrier *= 0.1
        x, from_low, from_high = self.state
        low, high = self.problem.low, self.problem.high
        # A bound that holds, holds exactly.
        x = np.where(
            from_low > 1e3 * (x - self.low), low, np.where(from_high > 1e3 * (self.high - x), high, x)
        )
        return np.clip(x, low, high), self.rows[1].copy()

    def _assemble(self, step: float, rows: FloatArray, barrier: float) -> tuple[float, float]:
        """Size of the residual after a step, and its largest number; Newton's equations there."""
        problem, m = self.problem, self.m
        y, multipliers, held, slack = rows
        parallel.run(
            separable.assemble, len(self.sums), BLOCK, step, barrier, multipliers.copy(), problem.p,
            problem.q,
            problem.lower, problem.upper, self.low, self.high, self.state, self.change, self.trial,
            self.right,
            self.diagonal, self.jacobian, self.dense, self.sums,
        )  # fmt: skip
        total = added(self.sums)
        self.constraints, self.loaded = total[:m] + problem.r[1:], total[m : 2 * m]
        self.matrix = total[2 * m + 2 :].reshape(m, m) if self.dense else None
        own = np.concatenate(
            [
                self.penalty + y - multipliers - held, self.constraints - y + slack,
                held * y - barrier, multipliers * slack - barrier,
            ]
        )  # fmt: skip
        largest = max(float(self.sums[:, 2 * m + 1].max()), float(np.abs(own).max()))
        return float(total[2 * m] + np.sum(own * own)), largest

    def _accept(self, rows: FloatArray) -> None:
        self.rows = rows
        self.state, self.trial = self.trial, self.state

    def _step(self, barrier: float) -> tuple[FloatArray, float]:
        """Newton's step: of the rows, and the largest share it takes of what a positive number has."""
        y, multipliers, held, slack = self.rows
        of_y = 1.0 + held / y
        ry = self.penalty + y - multipliers - barrier / y
        rl = self.constraints - y + barrier / multipliers
        weight = 1.0 / of_y + slack / multipliers
        load = rl + ry / of_y
        if self.matrix is not None:
            matrix, change = self.matrix.copy(), load - self.loaded
            matrix[np.diag_indices(self.m)] += weight
            sound = separable.solve_positive(matrix, change)
        else:
            matrix, dx = (
                np.empty((self.n, self.n)),
                -self.right - added(self.jacobian * (load / weight)[:, None]),
            )
            separable.gram(self.jacobian, weight, self.diagonal, matrix)
            sound = separable.solve_positive(matrix, dx)
            change = (load + np.sum(self.jacobian * dx, axis=1)) / weight
        if not sound:
            raise ConvergenceError(
                "the convex problem of a step of MMA has no sound equations; check the size of objective, "
                "constraints and their gradients, which should be of the order of one"
            )
        parallel.run(
            separable.change_of, len(self.taken), BLOCK, barrier, change, self.low, self.high, self.state,
            self.right, self.diagonal, self.jacobian, self.change, self.taken,
        )  # fmt: skip
        dy = (change - ry) / of_y
        rows = np.stack(
            [dy, change, -held + (barrier - held * dy) / y, -slack + (barrier - slack * change) / multipliers]
        )
        return rows, max(float(self.taken.max()), float((-rows / self.rows).max()))
