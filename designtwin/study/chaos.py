"""Polynomial chaos: a response as orthogonal polynomials of independent inputs, and what follows from it.

Source: Sudret, Reliability Engineering & System Safety 93 (2008) 964, indices from coefficients; Blatman &
Sudret, J. Comput. Phys. 230 (2011) 2345, hyperbolic sets and the leave-one-out error.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from designtwin.errors import StudyError
from designtwin.typing import BoolArray, FloatArray, IntArray

_DEGREES = 16
_SHARES = (1.0, 0.75, 0.5)
"""Norms of the sets of exponents: 1 is total degree, less leaves out interactions of high degree."""
_CROWD = 0.6
"""Terms over points at most; the leave-one-out error of more would be noise."""


@dataclass(frozen=True, eq=False)
class Chaos:
    """An expansion in polynomials that are orthonormal over the inputs.

    Parameters
    ----------
    exponents : int64[n_terms, k]
    coefficients : float64[n_terms]
    families : tuple of str
        "uniform" (input from 0 to 1, Legendre) or "normal" (standard normal, Hermite), by input.
    error : float
        Leave-one-out error: variance of what the expansion misses over variance of the response.
    """

    exponents: IntArray
    coefficients: FloatArray
    families: tuple[str, ...]
    error: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """The response at inputs [n, k]."""
        table = _tables(x, self.families, int(self.exponents.max(initial=0)))
        return np.asarray(_basis(table, self.exponents) @ self.coefficients)

    @property
    def mean(self) -> float:
        return float(self.coefficients[~self.exponents.any(axis=1)].sum())

    @property
    def variance(self) -> float:
        return float((self.coefficients[self.exponents.any(axis=1)] ** 2).sum())

    @property
    def first(self) -> FloatArray:
        """First-order Sobol indices float64[k]: the share of variance each input has alone."""
        used = self.exponents > 0
        alone = used & (used.sum(axis=1, keepdims=True) == 1)
        return self._shares(alone)

    @property
    def total(self) -> FloatArray:
        """Total Sobol indices float64[k]: the share each input takes part in."""
        return self._shares(self.exponents > 0)

    def _shares(self, terms: BoolArray) -> FloatArray:
        return np.asarray((self.coefficients**2) @ terms / (self.variance or 1.0))


def fit(x: FloatArray, y: FloatArray, families: Sequence[str]) -> Chaos:
    """The expansion of least leave-one-out error among hyperbolic sets of rising degree.

    Parameters
    ----------
    x : float64[n, k]
        From 0 to 1 where uniform, standard normal where normal.
    y : float64[n]
    families : sequence of "uniform" or "normal"

    Raises
    ------
    StudyError
        If there are fewer points than a plane through them needs, or values are not finite.
    """
    n, k = x.shape
    if n < 2 * (k + 1):
        raise StudyError(f"{n} points cannot tell what {k} inputs do; {2 * (k + 1)} are the least")
    if not np.isfinite(y).all():
        raise StudyError("a response that is not finite has no variance to share")
    spread = float(np.var(y, ddof=1))
    if spread <= (1e-12 * max(float(np.abs(y).max()), 1e-300)) ** 2:
        return Chaos(np.zeros((1, k), np.int64), np.array([y.mean()]), tuple(families), 0.0)
    table = _tables(x, families, _DEGREES)
    best: Chaos | None = None
    for share in _SHARES[: 1 if k == 1 else None]:
        worse = 0
        for degree in range(1, _DEGREES + 1):
            exponents = _exponents(k, degree, share, int(_CROWD * n))
            if exponents is None:
                break
            a = _basis(table, exponents)
            q, r = np.linalg.qr(a)
            if np.abs(np.diag(r)).min() < 1e-8 * np.abs(np.diag(r)).max():
                break  # the points do not tell these terms apart
            coefficients = np.linalg.solve(r, q.T @ y)
            leverage = np.minimum((q * q).sum(axis=1), 1.0 - 1e-9)
            missed = float(np.mean(((y - a @ coefficients) / (1.0 - leverage)) ** 2)) / spread
            if best is None or missed < best.error:
                best, worse = Chaos(exponents, coefficients, tuple(families), missed), 0
            else:
                worse += 1
                if worse == 4:  # odd functions gain nothing by even degrees, and the other way round
                    break
    if best is None:
        raise StudyError("the points do not tell the inputs apart: some hardly vary, or vary together")
    return best


def _exponents(k: int, degree: int, share: float, most: int) -> IntArray | None:
    """Exponents whose norm (sum e^share)^(1/share) is at most degree; None where there are too many."""
    limit = degree**share * (1.0 + 1e-12)
    rows: list[tuple[int, ...]] = [()]
    for _ in range(k):
        # What is over the limit already stays over it.
        rows = [
            (*row, e)
            for row, e in itertools.product(rows, range(degree + 1))
            if sum(v**share for v in (*row, e) if v) <= limit
        ]
        if len(rows) > most:
            return None
    return np.array(sorted(rows, key=lambda row: (sum(row), row)), np.int64)


def _tables(x: FloatArray, families: Sequence[str], degree: int) -> FloatArray:
    """Orthonormal polynomials of every input, float64[k, degree + 1, n]."""
    out = np.ones((x.shape[1], degree + 1, len(x)))
    for i, family in enumerate(families):
        t = x[:, i] if family == "normal" else 2.0 * x[:, i] - 1.0
        p = out[i]
        if degree:
            p[1] = t
        for m in range(1, degree):
            if family == "normal":
                p[m + 1] = t * p[m] - m * p[m - 1]
            else:
                p[m + 1] = ((2 * m + 1) * t * p[m] - m * p[m - 1]) / (m + 1)
        for m in range(degree + 1):
            p[m] *= 1.0 / math.sqrt(math.factorial(m)) if family == "normal" else math.sqrt(2 * m + 1)
    return out


def _basis(table: FloatArray, exponents: IntArray) -> FloatArray:
    """Products of the polynomials, float64[n, n_terms]."""
    out = np.ones((table.shape[2], len(exponents)))
    for i in range(table.shape[0]):
        out *= table[i, exponents[:, i]].T
    return out
