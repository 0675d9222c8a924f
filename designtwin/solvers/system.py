"""What a solver is given: a sum of terms, which unknowns are free, and how to coarsen. No meshes here.

`assembly` builds a `System`; `solver.factorize(system).solve(f)` answers. A system never has to hold a
matrix: solvers that only multiply take its `operator`, those that factor call `free_matrix`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from designtwin import parallel
from designtwin.typing import BoolArray, FloatArray, IntArray

SparseMatrix: TypeAlias = Any  # scipy.sparse CSR or BSR, array or matrix; scipy ships no types
Array: TypeAlias = NDArray[Any]  # float32 or float64


MANY = 4
"""Columns from which on the kernels that read a matrix once for several of them pay."""
_BLOCKS = ((1, 1), (3, 3), (3, 6), (6, 6))
"""What these are made for."""


@runtime_checkable
class Operator(Protocol):
    """What can be multiplied with, in one precision."""

    def product(self, x: Array, y: Array, *, add: bool = False) -> None:
        """y = A x or y += A x for C-ordered [n_dof, n_rhs] in the operator's own precision."""
        ...


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


@runtime_checkable
class FreeTerm(Term, Protocol):
    """A term that multiplies without a matrix; the others are added up to one."""

    def operator(self, scale: float, dtype: type[np.floating[Any]]) -> Operator:
        """The term times scale in a precision."""
        ...

    def magnitude(self, x: FloatArray) -> FloatArray:
        """About |A| |x| for x[n_dof, n_rhs]: how large the forces are that cancel in A x."""
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
class ScaledFreeTerm(ScaledTerm):
    """factor * a term that multiplies without a matrix, and goes on to."""

    term: FreeTerm

    def operator(self, scale: float, dtype: type[np.floating[Any]]) -> Operator:
        """The scaled term times scale, in a precision."""
        return self.term.operator(scale * self.factor, dtype)

    def magnitude(self, x: FloatArray) -> FloatArray:
        """|factor| * term.magnitude(x)."""
        return abs(self.factor) * self.term.magnitude(x)


def scaled(factor: float, term: Term) -> Term:
    """factor * term; without a matrix where the term has none."""
    if factor == 1.0:
        return term
    return ScaledFreeTerm(factor, term) if isinstance(term, FreeTerm) else ScaledTerm(factor, term)


class BlockMatrix(NamedTuple):
    """A block-CSR matrix as its three arrays, the way kernels take it; multiplies on all threads."""

    indptr: Array
    indices: Array
    values: Array

    @classmethod
    def of(cls, matrix: SparseMatrix, block: int, dtype: Any = np.float64) -> BlockMatrix:
        """A scipy matrix in square blocks; shares the values where it can."""
        if matrix.format != "bsr" or tuple(matrix.blocksize) != (block, block):
            matrix = matrix.tobsr(blocksize=(block, block))
        return cls(
            np.ascontiguousarray(matrix.indptr, dtype=np.int32),
            np.ascontiguousarray(matrix.indices, dtype=np.int32),
            np.ascontiguousarray(matrix.data, dtype=dtype),
        )

    def scaled(self, scale: float, dtype: Any) -> BlockMatrix:
        """scale times the matrix, in a precision."""
        from designtwin.kernels import sparse as kernels

        out = np.empty(self.values.shape, dtype)
        flat = self.values.reshape(-1)
        parallel.run(kernels.scaled, flat.size, flat, scale, out.reshape(-1), grain=65536)
        return self._replace(values=out)

    @property
    def n_rows(self) -> int:
        """Block rows."""
        return int(self.indptr.size - 1)

    def product(self, x: Array, y: Array, *, add: bool = False) -> None:
        """y = A x or y += A x."""
        if x.shape[1] >= MANY and self.values.shape[1:] in _BLOCKS:
            from designtwin.kernels import columns as kernels
        else:
            from designtwin.kernels import sparse as kernels  # type: ignore[no-redef]

        # some 50 us of work per piece at least: below it threads cost more than they save
        entries = self.values.shape[1] * self.values.shape[2]
        work = entries * x.shape[1] * max(1, self.indices.size // max(1, self.n_rows))
        grain = max(1, 100_000 // max(1, work))
        parallel.run(kernels.product, self.n_rows, *self, x, y, add, grain=grain)


@dataclass(frozen=True, eq=False)
class Sum:
    """Operators added up."""

    parts: tuple[Operator, ...]

    def product(self, x: Array, y: Array, *, add: bool = False) -> None:
        """y = A x or y += A x."""
        for part in self.parts:
            part.product(x, y, add=add)
            add = True


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
    matrix : CSR or BSR, or a function that returns it, optional
        P^T A P where assembly has it more cheaply than by two products (all rows, fixed ones too). Wanted
        where a term has no matrix.
    """

    prolongation: SparseMatrix
    near_nullspace: FloatArray | None = None
    matrix: SparseMatrix | Callable[[], SparseMatrix] | None = None


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
        What the operator nearly kills: rigid-body modes, centered and scaled; in space translations, then
        turns about z, x, y. None means constants per component; where `coarse` has modes, `modes` is theirs.
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

    @property
    def modes(self) -> FloatArray | None:
        """`near_nullspace`, or what is interpolated from the coarse nodes: float64[n_dof, k], fixed ones too.

        Exact at mid nodes of straight edges, close to it elsewhere.
        """
        if self.near_nullspace is not None or self.coarse is None or self.coarse.near_nullspace is None:
            return self.near_nullspace
        weights, modes = self.coarse.prolongation, self.coarse.near_nullspace
        return np.asarray(weights @ modes.reshape(weights.shape[1], -1)).reshape(self.n_dof, -1)

    @property
    def matrix_free(self) -> bool:
        """Whether some term multiplies without a matrix."""
        return any(isinstance(term, FreeTerm) for term in self.terms)

    @cached_property
    def _assembled(self) -> SparseMatrix | None:
        """The sum of all terms that are matrices; None where there are none."""
        parts = [term.matrix() for term in self.terms if not isinstance(term, FreeTerm)]
        return self._sum(parts) if parts else None

    def operator(self, scale: float = 1.0, dtype: type[np.floating[Any]] = np.float64) -> Operator:
        """scale * A in a precision, all rows and columns: the caller sees to the fixed ones.

        Where everything is assembled, products run on the blocks of `matrix()`.
        """
        parts: list[Operator] = [
            term.operator(scale, dtype) for term in self.terms if isinstance(term, FreeTerm)
        ]
        if self._assembled is not None:
            blocks = BlockMatrix.of(self._assembled, self.block)
            if scale != 1.0 or dtype != np.float64:
                blocks = blocks.scaled(scale, dtype)
            parts.append(blocks)
        return parts[0] if len(parts) == 1 else Sum(tuple(parts))

    @cached_property
    def _operator(self) -> Operator:
        return self.operator()

    def apply(self, x: FloatArray) -> FloatArray:
        """A x with fixed rows and columns zeroed, for x[n_dof] or x[n_dof, n_rhs]."""
        free = self.free[:, None]
        columns = np.where(free, x.reshape(self.n_dof, -1), 0.0)
        out = np.empty_like(columns)
        if self.extra:  # rows that belong to no node fit no blocks
            out[:] = self.matrix() @ columns
        else:
            self._operator.product(columns, out)
        return np.where(free, out, 0.0).reshape(x.shape)

    def magnitude(self, x: FloatArray) -> FloatArray:
        """|A| |x| on the free unknowns, or about that: the size of what cancels in A x; x[n_dof, n_rhs]."""
        x = np.where(self.free[:, None], np.abs(x), 0.0)
        out = np.zeros_like(x)
        for term in self.terms:
            if isinstance(term, FreeTerm):
                out += term.magnitude(x)
        if self._assembled is not None:
            out += abs(self._assembled) @ x
        return np.where(self.free[:, None], out, 0.0)

    def diagonal(self) -> FloatArray:
        """Diagonal of A, float64[n_dof], fixed unknowns too."""
        if self.extra:
            return np.asarray(self.matrix().diagonal())
        return self._diagonal_of(self._blocks())

    @cached_property
    def largest(self) -> float:
        """Largest entry on the diagonal, fixed unknowns too."""
        return float(np.abs(self.diagonal()).max(initial=0.0))

    def block_diagonal(self) -> FloatArray:
        """Node blocks float64[n_nodes, block, block], zero in fixed rows and columns."""
        out = self._blocks()
        self.__dict__.setdefault("largest", float(np.abs(self._diagonal_of(out)).max(initial=0.0)))
        free = self.free[: self.n_nodes * self.block].reshape(self.n_nodes, self.block)
        for i in range(self.block):
            out[~free[:, i], i, :] = 0.0
            out[~free[:, i], :, i] = 0.0
        return out

    def _blocks(self) -> FloatArray:
        out = self.terms[0].diagonal_blocks(self.block)[: self.n_nodes]
        for term in self.terms[1:]:
            out = out + term.diagonal_blocks(self.block)[: self.n_nodes]
        return out

    def _diagonal_of(self, blocks: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("nii->ni", blocks).ravel())

    def matrix(self) -> SparseMatrix:
        """The sum as one matrix with all rows and columns, fixed ones too; built once, then kept."""
        return self._matrix

    @cached_property
    def _matrix(self) -> SparseMatrix:
        if not self.matrix_free:
            assert self._assembled is not None
            return self._assembled
        return self._sum([term.matrix() for term in self.terms])

    def _sum(self, parts: list[SparseMatrix]) -> SparseMatrix:
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
        from designtwin.kernels import sparse as kernels

        parallel.run(kernels.diagonal_blocks, n_nodes, *BlockMatrix.of(matrix, block), out, grain=4096)
        return out
    matrix = matrix.tocsr()
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    on = (matrix.indices // block == row // block) & (row < n_nodes * block)
    row, column = row[on], matrix.indices[on]
    np.add.at(out, (row // block, row % block, column % block), matrix.data[on])
    return out
