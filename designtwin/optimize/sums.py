"""Products of small matrices added up in a fixed order: BLAS splits its sums by the number of threads."""

from __future__ import annotations

import numpy as np

from designtwin.kernels import separable
from designtwin.typing import FloatArray


def times(a: FloatArray, x: FloatArray) -> FloatArray:
    """a x, float64[m], of float64[m, n] and float64[n]; of two vectors their dot product."""
    return np.asarray(np.sum(np.ascontiguousarray(a) * x, axis=-1))


def dot(a: FloatArray, b: FloatArray) -> float:
    """The sum of a b."""
    return float(np.sum(a * b))


def across(y: FloatArray, a: FloatArray) -> FloatArray:
    """y a, float64[n], of float64[m] and float64[m, n]."""
    return np.asarray(np.sum(y[:, None] * np.ascontiguousarray(a), axis=0))


def gram(a: FloatArray, weight: FloatArray) -> FloatArray:
    """a' diag(weight) a, float64[n, n], of float64[m, n] and float64[m] above 0."""
    n = a.shape[1]
    out = np.empty((n, n))
    separable.gram(np.ascontiguousarray(a), 1.0 / weight, np.zeros(n), out)
    return np.asarray(np.tril(out) + np.tril(out, -1).T)


class Factor:
    """A positive matrix that equations are solved with.

    Raises
    ------
    ArithmeticError
        If it is not positive, as far as rounding tells.
    """

    def __init__(self, matrix: FloatArray) -> None:
        self.matrix = matrix
        self.solve(np.zeros(len(matrix)))

    def solve(self, right: FloatArray) -> FloatArray:
        out = np.array(right, np.float64)
        if not separable.solve_positive(self.matrix.copy(), out):
            raise ArithmeticError("the matrix is not positive")
        return out
