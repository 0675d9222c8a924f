"""Factors of a small symmetric matrix as one dense array, by LAPACK: no order to find, no fronts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from designtwin.solvers.system import SparseMatrix
from designtwin.typing import BoolArray, FloatArray

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class NotDefiniteError(Exception):
    """Cholesky met a pivot that is not positive; `dof` is its unknown."""

    def __init__(self, dof: int) -> None:
        self.dof = dof
        super().__init__(f"pivot of unknown {dof} is not positive")


def unit_scale(matrix: SparseMatrix, free: BoolArray) -> FloatArray:
    """Powers of two s such that s A s has a diagonal near 1; rows without one get largest entries near 1.

    Exact in any precision, so scaling rounds nothing.
    """
    diagonal = np.abs(matrix.diagonal()).astype(np.float64)
    scale = np.ones(len(free))
    has = free & (diagonal > 0.0) & np.isfinite(diagonal)
    scale[has] = np.exp2(-np.round(0.5 * np.log2(diagonal[has])))
    bare = np.flatnonzero(free & ~has)
    if bare.size:
        part = abs(matrix.tocsr()[bare])
        part = part @ sparse.diags_array(np.where(has, scale, 0.0))
        largest = np.asarray(part.max(axis=1).todense()).ravel()
        good = largest > 0.0
        scale[bare[good]] = np.exp2(-np.round(np.log2(largest[good])))
    return scale


@dataclass(frozen=True, eq=False)
class DenseFactors:
    """L L^T or L D L^T of the free rows and columns.

    Parameters
    ----------
    negative : int
        Negative eigenvalues.
    lifted : int
        Pivots that are zero: 0 or 1.
    """

    index: Array
    n_dof: int
    scale: Array
    array: Array
    pivots: Array | None
    negative: int
    lifted: int

    @property
    def nbytes(self) -> int:
        """Bytes of the factor."""
        return int(self.array.nbytes)

    @property
    def name(self) -> str:
        """What it is, for the user."""
        return "dense Cholesky" if self.pivots is None else "dense LDL^T"

    def solve(self, f: Array) -> Array:
        """x with A x = f on the free unknowns, 0 elsewhere; f[n_dof, n_rhs]."""
        out = np.zeros(f.shape)
        scaled = np.asfortranarray(f[self.index] * self.scale[:, None])
        if self.pivots is None:
            x, _ = lapack.dpotrs(self.array, scaled, lower=1)
        else:
            x, _ = lapack.dsytrs(self.array, self.pivots, scaled, lower=1)
        out[self.index] = x * self.scale[:, None]
        return out


def factor(matrix: SparseMatrix, free: BoolArray, *, definite: bool) -> DenseFactors:
    """Factor the free rows and columns of a symmetric matrix.

    Raises
    ------
    NotDefiniteError
        If `definite` and a pivot is not positive.
    """
    index = np.flatnonzero(free)
    scale = unit_scale(matrix, free)[index]
    array = matrix.tocsr()[index][:, index].toarray() * scale[:, None] * scale
    if definite:
        array, info = lapack.dpotrf(np.asfortranarray(array), lower=1)
        if info > 0:
            raise NotDefiniteError(int(index[info - 1]))
        return DenseFactors(index, len(free), scale, array, None, 0, 0)
    array, pivots, info = lapack.dsytrf(np.asfortranarray(array), lower=1)
    if info > 0:  # a zero pivot: the smallest that can be divided by shows what moves
        lift = np.flatnonzero((np.diag(array) == 0.0) & (pivots >= 0))
        array[lift, lift] = np.finfo(float).eps
    pairs = int((pivots < 0).sum()) // 2
    negative = pairs + int((np.diag(array)[pivots >= 0] < 0.0).sum())
    return DenseFactors(index, len(free), scale, array, pivots, negative, int(info > 0))
