"""What a solver is given: a sum of terms, which unknowns are free, and how to coarsen. No meshes here.

`assembly` builds a `System`; `solver.factorize(system).solve(f)` answers. A system never has to hold a
matrix: solvers that only multiply call `apply`, those that factor call `free_matrix`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from scipy import sparse

from designtwin.typing import BoolArray, FloatArray, IntArray

SparseMatrix: TypeAlias = Any  # scipy.sparse CSR or BSR, array or matrix; scipy ships no types


@runtime_checkable
class Term(Protocol):
    """One summand of a system: cell tangent, foundation or convection facets, springs, scaled mass."""

    def matrix(self) -> SparseMatrix:
        """The term as CSR or BSR [n_dof, n_dof], all rows and columns, fixed ones too."""
        ...

    def apply(self, x: FloatArray) -> FloatArray:
        """The term times x[n_dof] or x[n_dof, n_rhs]; a new array of the same shape."""
        ...

    def diagonal_blocks(self, block: int) -> FloatArray:
        """The blocks on the diagonal, float64[>= n_nodes, block, block]; beyond n_nodes not read."""
        ...


@dataclass(frozen=True, eq=False)
class MatrixTerm:
    """A term that is an assembled matrix, CSR or BSR [n_dof, n_dof]."""

    values: SparseMatrix

    def matrix(self) -> SparseMatrix:
        """The matrix itself."""
        return self.values

    def apply(self, x: FloatArray) -> FloatArray:
        """Matrix times x."""
        return np.asarray(self.values @ x)

    def diagonal_blocks(self, block: int) -> FloatArray:
        """Diagonal blocks, read off the stored entries."""
        return _diagonal_blocks(self.values, block)


@dataclass(frozen=True, eq=False)
class DiagonalTerm:
    """A term with entries on the diagonal alone: springs to ground, lumped masses. values float64[n_dof]."""

    values: FloatArray

    def matrix(self) -> SparseMatrix:
        """The diagonal as CSR."""
        return sparse.diags_array(self.values, format="csr")

    def apply(self, x: FloatArray) -> FloatArray:
        """values * x."""
        return self.values[:, None] * x if x.ndim == 2 else self.values * x

    def diagonal_blocks(self, block: int) -> FloatArray:
        """Blocks with the values on their diagonals."""
        n_nodes = len(self.values) // block
        out = np.zeros((n_nodes, block, block))
        corner = np.arange(block)
        out[:, corner, corner] = self.values[: n_nodes * block].reshape(n_nodes, block)
        return out


@dataclass(frozen=True, eq=False)
class ScaledTerm:
    """factor * term: a mass matrix over a time step, a geometric stiffness times a load factor."""

    factor: float
    term: Term

    def matrix(self) -> SparseMatrix:
        """factor * term.matrix()."""
        return self.term.matrix() * self.factor

    def apply(self, x: FloatArray) -> FloatArray:
        """factor * term.apply(x)."""
        return self.factor * self.term.apply(x)

    def diagonal_blocks(self, block: int) -> FloatArray:
        """factor * term.diagonal_blocks(block)."""
        return self.factor * self.term.diagonal_blocks(block)


@dataclass(frozen=True, eq=False)
class Coarsening:
    """From a quadratic mesh to its corners: the coarse system is P^T A P with P = prolongation (x) I_block.

    Parameters
    ----------
    prolongation : scipy.sparse CSR [n_nodes, n_coarse]
        Weights per node: a corner copies its coarse node (one entry, 1), a mid node takes the mean of its
        two ends.
    near_nullspace : float64[n_coarse * block, k] or None
        Rigid-body modes at the coarse nodes; None means constants.
    matrix : CSR or BSR, optional
        P^T A P where assembly has it more cheaply than by two products (all rows, fixed ones too).
    """

    prolongation: SparseMatrix
    near_nullspace: FloatArray | None = None
    matrix: SparseMatrix | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class System:
    """A x = f with A a sum of terms, of which only the free rows and columns count.

    Unknowns are numbered node by node, `block` to a node (1 heat, 2 or 3 displacement), then `extra`
    unknowns that belong to no node; with extra unknowns only Direct() is offered. Fixed unknowns stay in
    the numbering; their solution is 0, their load is ignored (prescribed values are moved to f by
    assembly).

    Parameters
    ----------
    terms : tuple of Term
        The summands, at least one.
    block : int
        Unknowns per node.
    free : bool[n_dof]
        False where the unknown is fixed.
    near_nullspace : float64[n_dof, k] or None
        What the operator nearly kills: rigid-body modes, centered and scaled. None means constants per
        component.
    coarse : Coarsening or None
        Stated for quadratic meshes.
    definite : bool
        True where A is symmetric positive definite on the free unknowns; else symmetric.
    extra : int
        Unknowns appended after the nodal ones.
    """

    terms: tuple[Term, ...]
    block: int
    free: BoolArray
    near_nullspace: FloatArray | None = None
    coarse: Coarsening | None = None
    definite: bool = True
    extra: int = 0

    def __post_init__(self) -> None:
        # assembly builds these, not the user: a wrong shape is our own mistake
        assert self.terms, "a system needs a term"
        assert self.free.ndim == 1
        assert self.free.dtype == np.bool_
        assert (self.n_dof - self.extra) % self.block == 0, "n_dof less extra is not a multiple of block"
        assert self.near_nullspace is None or self.near_nullspace.shape[0] == self.n_dof
        assert self.coarse is None or self.coarse.prolongation.shape[0] == self.n_nodes

    @property
    def n_dof(self) -> int:
        """Unknowns, fixed ones too."""
        return len(self.free)

    @property
    def n_nodes(self) -> int:
        """Nodes, each with `block` unknowns."""
        return (self.n_dof - self.extra) // self.block

    @property
    def dtype(self) -> np.dtype[np.float64]:
        """float64 throughout; a solver may precondition in float32."""
        return np.dtype(np.float64)

    @cached_property
    def free_index(self) -> IntArray:
        """Numbers of the free unknowns, int64[n_free]."""
        return np.flatnonzero(self.free)

    def apply(self, x: FloatArray) -> FloatArray:
        """A x with fixed rows and columns zeroed, for x[n_dof] or x[n_dof, n_rhs]."""
        mask = self.free[:, None] if x.ndim == 2 else self.free
        x = np.where(mask, x, 0.0)
        out = self.terms[0].apply(x)
        for term in self.terms[1:]:
            out = out + term.apply(x)
        return np.where(mask, out, 0.0)

    def block_diagonal(self) -> FloatArray:
        """Node blocks float64[n_nodes, block, block], zero in fixed rows and columns."""
        out = self.terms[0].diagonal_blocks(self.block)[: self.n_nodes]
        for term in self.terms[1:]:
            out = out + term.diagonal_blocks(self.block)[: self.n_nodes]
        free = self.free[: self.n_nodes * self.block].reshape(self.n_nodes, self.block)
        return np.where(free[:, :, None] & free[:, None, :], out, 0.0)

    def matrix(self) -> SparseMatrix:
        """The sum as one matrix with all rows and columns, fixed ones too; built once, then kept."""
        return self._matrix

    @cached_property
    def _matrix(self) -> SparseMatrix:
        parts = [term.matrix() for term in self.terms]
        if len(parts) == 1:
            # scipy sorts in place when it likes, pulling arrays from under a kernel: sort a copy now
            only = parts[0] if parts[0].has_canonical_format else parts[0].copy()
            only.sum_duplicates()
            return only
        if self.extra == 0 and any(part.format == "bsr" for part in parts):
            shape = (self.block, self.block)
            parts = [part.tobsr(blocksize=shape) for part in parts]
        else:
            parts = [part.tocsr() for part in parts]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        total.sum_duplicates()
        return total

    def free_matrix(self) -> SparseMatrix:
        """Free rows and columns alone, CSC [n_free, n_free]."""
        index = self.free_index
        return self.matrix().tocsr()[index][:, index].tocsc()


def _diagonal_blocks(matrix: SparseMatrix, block: int) -> FloatArray:
    n_nodes = matrix.shape[0] // block
    out = np.zeros((n_nodes, block, block))
    if matrix.format == "bsr" and tuple(matrix.blocksize) == (block, block):
        node = np.repeat(np.arange(n_nodes), np.diff(matrix.indptr))
        on = matrix.indices == node
        np.add.at(out, node[on], matrix.data[on])
        return out
    matrix = matrix.tocsr()
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    on = (matrix.indices // block == row // block) & (row < n_nodes * block)
    row, column = row[on], matrix.indices[on]
    np.add.at(out, (row // block, row % block, column % block), matrix.data[on])
    return out
