"""The convex separable problem of a step of MMA, and its solution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from designtwin import parallel
from designtwin.errors import ConvergenceError
from designtwin.kernels import separable
from designtwin.kernels.separable import BLOCK, added, blocks_of
from designtwin.typing import FloatArray

_MANY = 50
"""Variables per constraint above which the dual, with as many unknowns as constraints, is the shorter way."""
_LAST = 1e-9
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
        low: FloatArray, high: FloatArray, rho: FloatArray,
    ) -> Separable:  # fmt: skip
        """Functions with these values [m + 1] and slopes [m + 1, n] at x (Svanberg 2007, eqs. 3.2-3.6)."""
        p, q = np.empty_like(slopes), np.empty_like(slopes)
        sums = np.empty((blocks_of(len(x)), len(slopes)))
        parallel.run(
            separable.approximate, len(sums), BLOCK, x, slopes, lower, upper, rho, p, q, sums
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
        m, n = len(self.r) - 1, len(self.low)
        dual = _Dual(self, penalty)
        if m == 0:
            return dual.x, dual.multipliers
        if m == 1:
            return dual.bracketed()
        if n > _MANY * m and (found := dual.climbed()) is not None:
            return found
        return _InteriorPoint(self, penalty).solve()


class _Dual:
    """The dual problem: x follows from the multipliers in closed form; they are found where it is largest."""

    def __init__(self, problem: Separable, penalty: FloatArray) -> None:
        self.problem, self.penalty, self.m = problem, penalty, len(penalty)
        self.x = np.empty_like(problem.low)
        self.sums = np.empty((blocks_of(len(self.x)), 1 + 2 * self.m + self.m * self.m))
        self.at(np.zeros(self.m))
        # What a row can reach within the bounds is what its zero is measured by.
        reach = np.maximum(problem.values(problem.low), problem.values(problem.high))[1:]
        self.scale = np.abs(problem.r[1:]) + np.abs(reach) + 1e-300

    def at(self, multipliers: FloatArray) -> None:
        """Evaluate value, slopes and curvature of the dual."""
        problem, m = self.problem, self.m
        parallel.run(
            separable.nearest, len(self.sums), BLOCK, multipliers, problem.p, problem.q, problem.lower,
            problem.upper, problem.low, problem.high, self.x, self.sums,
        )  # fmt: skip
        total = added(self.sums)
        rows = total[: 1 + m] + problem.r
        broken = np.maximum(0.0, multipliers - self.penalty)
        self.multipliers = multipliers
        self.value = float(rows[0] + np.sum(multipliers * rows[1:]) - 0.5 * np.sum(broken * broken))
        self.slope = rows[1:] - broken
        self.loose = total[1 + m : 1 + 2 * m]
        self.bend = total[1 + 2 * m :].reshape(m, m) + np.diag((broken > 0.0).astype(np.float64))

    def bracketed(self) -> tuple[FloatArray, FloatArray]:
        """One constraint: Newton's method on the slope, which falls, inside an interval that shrinks."""
        least, most = 0.0, np.inf
        for _ in range(200):
            over, bend = float(self.slope[0]), float(self.bend[0, 0])
            now = float(self.multipliers[0])
            if over > 0.0:
                least = now
            elif now == 0.0:
                break
            else:
                most = now
            if abs(over) <= 1e-14 * self.scale[0] or (np.isfinite(most) and most - least <= 1e-15 * most):
                break
            guess = now + over / bend if bend > 0.0 else np.inf
            if not least < guess < most:
                guess = 0.5 * (least + most) if np.isfinite(most) else 10.0 * least + 1.0
            self.at(np.array([guess]))
        return self.x, self.multipliers

    def climbed(self) -> tuple[FloatArray, FloatArray] | None:
        """Several constraints: Newton's method with multipliers held at zero where they would leave it.

        None if it stalls where the curvature has a kink.

        Source: Bertsekas, Projected Newton methods for optimization problems with simple constraints, SIAM J.
        Control Optim. 20 (1982) 221-246.
        """
        rounding = 1e-14 * (abs(self.value) + float(np.sum(self.scale)))
        for _ in range(60):
            slope, multipliers, value = self.slope, self.multipliers, self.value
            direction = self._uphill()
            if direction is None:
                return None
            gain = float(np.sum(slope * direction))
            if gain <= rounding:  # the last step, too short to be measured
                self.at(multipliers + direction)
                return self._found()
            length = 1.0
            while True:
                self.at(multipliers + length * direction)
                if self.value >= value + 1e-4 * length * gain - rounding:
                    break
                length *= 0.5
                if length < 1e-9:
                    return None
        return None

    def _found(self) -> tuple[FloatArray, FloatArray] | None:
        """What it stands at, if the conditions of an optimum hold there."""
        left = np.where(self.multipliers > 0.0, np.abs(self.slope), np.maximum(self.slope, 0.0))
        return (self.x.copy(), self.multipliers) if (left <= 1e-11 * self.scale).all() else None

    def _uphill(self) -> FloatArray | None:
        """Newton's step; multipliers that it would make negative stop at zero, the others go on without."""
        direction = np.zeros(self.m)
        free = (self.multipliers > 0.0) | (self.slope > 0.0)
        # Where bounds hold all variables there is no curvature: what there would be without them keeps
        # the step short, and fades out towards the optimum.
        far = float((np.abs(self.slope[free]) / self.scale[free]).max(initial=0.0))
        least = min(1e-2, far) * self.loose
        while free.any():
            pick = np.flatnonzero(free)
            matrix = self.bend[np.ix_(pick, pick)]
            matrix[np.diag_indices(len(pick))] += least[pick] + 1e-14 * self.loose[pick] + 1e-300
            held = direction.copy()
            held[pick] = 0.0
            both = np.tril(self.bend) + np.tril(self.bend, -1).T
            change = self.slope[pick] - np.sum(both[pick] * held, axis=1)
            if not separable.solve_positive(matrix, change):
                return None
            direction[pick] = change
            out = free & (self.multipliers + direction < 0.0)
            if not out.any():
                break
            direction[out] = -self.multipliers[out]
            free &= ~out
        return direction


class _InteriorPoint:
    """Primal-dual interior point method, with Newton's equations for constraints or variables, the fewer.

    Source: Svanberg, MMA and GCMMA - two methods for nonlinear optimization (2007), sec. 5.
    """

    def __init__(self, problem: Separable, penalty: FloatArray) -> None:
        # Rows are scaled to slopes of about one, so that one barrier fits few variables and millions.
        size = ((problem.p + problem.q) / (0.5 * (problem.upper - problem.lower)) ** 2).max(axis=1)
        scale = 1.0 / np.where(size > 0.0, size, 1.0)
        problem = replace(
            problem, p=scale[:, None] * problem.p, q=scale[:, None] * problem.q, r=scale * problem.r
        )
        self.problem, self.share = problem, scale[1:] / scale[0]
        self.penalty, self.bend = penalty / self.share, scale[0] / scale[1:] ** 2
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
        self.rows = np.stack([np.ones(m), np.ones(m), np.maximum(1.0, 0.5 * self.penalty), np.ones(m)])

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
            if not np.isfinite(residual) or largest > max(1e3 * barrier, 1e-2):
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
        return np.clip(x, low, high), self.rows[1] * self.share

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
                self.penalty + self.bend * y - multipliers - held, self.constraints - y + slack,
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
        of_y = self.bend + held / y
        ry = self.penalty + self.bend * y - multipliers - barrier / y
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
