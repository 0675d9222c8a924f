"""Right-hand sides that follow each other smoothly: what earlier ones span costs no solve, or a shorter one.

Source: Fischer, CMAME 163 (1998) 193-204: projection onto the span of earlier right-hand sides or answers.
"""

from __future__ import annotations

import time

import numpy as np

from designtwin.solvers.multifrontal import blas_alone
from designtwin.solvers.solution import Factorization, Solution
from designtwin.typing import BoolArray, FloatArray

_REST = 2e-9
"""Share of a right-hand side that may lie outside the span of those solved: less than iterations leave."""
_MOST = 64
"""Directions kept; each costs two vectors."""
_RECALLED = 12
"""Directions of answers kept for guesses."""
_APART = 1e-12
"""Share of the energy of a direction outside those before it, below which rounding is much of it."""


class Spanned:
    """Solves for directions of right-hand sides, and combines the answers.

    A course of temperature of some hundred instants makes load vectors that are sums of some thirty, but for
    what an iterative solver leaves anyway: then there are thirty to solve for. Where right-hand sides have
    nothing in common each is a direction of its own, and little is lost.

    Parameters
    ----------
    factorization : Factorization
    free : bool[n_dof]
        Unknowns that are solved for.
    """

    def __init__(self, factorization: Factorization, free: BoolArray) -> None:
        self.factorization, self.free = factorization, free
        n = len(free)
        self._f, self._x = np.empty((_MOST, n)), np.empty((_MOST, n))  # pages are touched as rows are filled
        self._residual = np.empty(_MOST)
        self.count = 0
        self._told: Solution | None = None
        self._iterations, self._seconds = 0, 0.0

    @blas_alone()
    def solve(self, f: FloatArray) -> Solution:
        """Solve A x = f for f[n_dof, n_rhs].

        Returns
        -------
        Solution
            Its residuals are bounds: what is left of f, and what the directions were solved to; iterations
            and seconds are those of all right-hand sides yet.
        """
        start = time.perf_counter()
        rows = np.array(f.T, np.float64)
        rows[:, ~self.free] = 0.0
        size = np.linalg.norm(rows, axis=1)
        rest = rows.copy()
        self._project(rest, slice(0, self.count))
        first = self.count
        self._extend(rest, size)
        solved: Solution | None = None
        if self.count > first:
            new = slice(first, self.count)
            solved = self.factorization.solve(np.ascontiguousarray(self._f[new].T))
            self._x[new] = solved.x.T
            self._residual[new] = solved.residual
        share = rows @ self._f[: self.count].T
        x = (share @ self._x[: self.count]).T
        left = np.linalg.norm(rest, axis=1)
        # No room for more directions: what is left is solved for by itself.
        more = left > _REST * size
        residual = (left + np.abs(share) @ self._residual[: self.count]) / np.maximum(size, 1e-300)
        iterations = np.zeros(len(rows), np.int64)
        if solved is None and self._told is None:
            more[:] = True  # nothing but zeros yet: the solver says who it is
        if more.any():
            alone = self.factorization.solve(np.ascontiguousarray(rest[more].T))
            x[:, more] += alone.x
            residual[more] = alone.residual * left[more] / np.maximum(size[more], 1e-300)
            iterations[more] = alone.iterations
            solved = alone
        if solved is not None:
            self._told = solved
            self._iterations = max(self._iterations, int(solved.iterations.max(initial=0)))
        assert self._told is not None
        self._seconds += time.perf_counter() - start
        return Solution(
            x=np.ascontiguousarray(x), iterations=np.maximum(iterations, self._iterations), residual=residual,
            seconds={**self._told.seconds, "solve": self._seconds}, notes=self._told.notes,
            solver=f"{self._told.solver}, {self.count} directions of load",
        )  # fmt: skip

    def _project(self, rest: FloatArray, known: slice) -> None:
        """Take from rows what directions span; twice, as once leaves rounding of what was taken."""
        basis = self._f[known]
        for _ in range(2 if len(basis) else 0):
            rest -= (rest @ basis.T) @ basis

    def _extend(self, rest: FloatArray, size: FloatArray) -> None:
        """Directions for what is left of rows, the largest share first, until there is nothing or no room."""
        while self.count < _MOST:
            left = np.linalg.norm(rest, axis=1)
            share = np.divide(left, size, out=np.zeros_like(left), where=size > 0.0)
            pick = int(np.argmax(share))
            if share[pick] <= _REST:
                return
            self._f[self.count] = rest[pick] / left[pick]
            # Against all directions once more: a small rest is mostly rounding of what was taken from it.
            row = self._f[self.count : self.count + 1]
            self._project(row, slice(0, self.count))
            row /= np.linalg.norm(row)
            self.count += 1
            self._project(rest, slice(self.count - 1, self.count))


class Recalled:
    """Guesses for (rate C + K) x = f, C and K symmetric, at any rate: the best that earlier answers span.

    What diffuses is a sum of few shapes, so that iterations for a step in time that begin with the guess of
    least error, in the norm of the energy, have little left to find. Once it is full it is better to begin
    anew with the last answers than to drop one direction after the other: all of them have a share in each.
    The first direction stays where rounding is all that tells the others apart.

    Parameters
    ----------
    n_dof : int
    """

    def __init__(self, n_dof: int) -> None:
        # Pages are touched as rows are filled.
        self._x = np.empty((_RECALLED, n_dof))
        self._gram = np.zeros((2, _RECALLED, _RECALLED))
        """x . C x and x . K x."""
        self.count = 0

    @property
    def full(self) -> bool:
        """Whether there is no room for another direction."""
        return self.count == _RECALLED

    @blas_alone()
    def best(self, f: FloatArray, rate: float) -> FloatArray:
        """The guess for f, float64[n_dof]: what it leaves of f is at right angles to all that is recalled."""
        known = slice(0, self.count)
        gram = rate * self._gram[0, known, known] + self._gram[1, known, known]
        if self.count > 1 and not _apart(gram):
            self.count = 1  # the rest is told apart by rounding
            return self.best(f, rate)
        return np.asarray(np.linalg.solve(gram, self._x[known] @ f) @ self._x[known])

    @blas_alone()
    def add(self, x: FloatArray, image: FloatArray, stored: FloatArray, rate: float) -> None:
        """Keep a direction; there must be room for it.

        Parameters
        ----------
        x, image, stored : float64[n_dof]
            With (rate C + K) x and C x.
        """
        size, row = float(np.sqrt((x * image).sum())), self.count
        self._x[row] = x / size
        self.count += 1
        known = slice(0, self.count)
        for gram, of in zip(self._gram, (stored / size, (image - rate * stored) / size), strict=True):
            gram[row, known] = gram[known, row] = self._x[known] @ of


def _apart(gram: FloatArray) -> bool:
    """Whether each direction has something of its own, by their products float64[k, k]."""
    try:
        own = np.linalg.cholesky(gram).diagonal() ** 2
    except np.linalg.LinAlgError:
        return False
    return bool((own > _APART * gram.diagonal()).all())
