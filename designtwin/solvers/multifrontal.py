"""Multifrontal factors of a symmetric sparse matrix: L L^T, or L D L^T where it is indefinite or complex.

Three steps, each kept: `analyze` orders the unknowns and lays out the fronts (pattern alone), `factor` puts
in numbers (float32, float64, complex128), `MultifrontalFactors.solve` takes any number of right-hand sides.
The digits do not depend on the number of threads: tasks and tiles are fixed by the matrix.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import scipy
from scipy import sparse

from designtwin import parallel
from designtwin.kernels import dissection, fronts
from designtwin.solvers.dense import NotDefiniteError, unit_scale
from designtwin.solvers.ordering import nested_dissection
from designtwin.solvers.system import SparseMatrix
from designtwin.typing import BoolArray

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]  # precision and width of integers vary here

_SUBTREES = 32  # a subtree that one thread takes has at most this part of all work
_LARGE = 3e7  # multiply-adds from which a front is shared by threads
_PANEL = 192  # columns eliminated at a time in a shared front
_TILE = 384
_LIFT = 1e-10  # least pivot of L D L^T, of a matrix scaled to a unit diagonal


@dataclass(frozen=True, eq=False)
class Symbolic:
    """The layout of a factorization: depends on the pattern alone, serves any numbers in it.

    Parameters
    ----------
    source : int64[n]
        Unknown of the matrix at each place in the order of elimination.
    target : int32[n_dof]
        Its inverse; -1 where fixed.
    tree : tuple of arrays
        Fronts, as `kernels.fronts.factor_subtree` takes them.
    parent : int64[n_fronts]
        Front that takes a front's update, -1 for none.
    tasks : tuple of (int, int)
        Ranges of fronts that are subtrees; fronts from the end of the last are shared by threads.
    offset : int64[n_fronts + 1]
        Where each front's columns begin in the factor.
    """

    source: Array
    target: Array
    tree: tuple[Array, ...]
    parent: Array
    tasks: tuple[tuple[int, int], ...]
    offset: Array
    seconds: float

    @property
    def n(self) -> int:
        """Unknowns."""
        return len(self.source)

    @property
    def first_shared(self) -> int:
        """First front above the subtrees."""
        return self.tasks[-1][1] if self.tasks else 0

    @cached_property
    def front_flops(self) -> Array:
        """Floating-point operations of each front (a multiplication and an addition count two)."""
        k, m = self.tree[1].astype(float), self.tree[2].astype(float)
        r = m - k
        return np.asarray(k**3 / 3.0 + k * k * r + k * r * r)

    @property
    def flops(self) -> float:
        """Floating-point operations of the factorization."""
        return float(self.front_flops.sum())

    @property
    def shallow_flops(self) -> float:
        """Operations in fronts with few pivots, where memory is slower than arithmetic."""
        return float(self.front_flops[self.tree[1] < 150].sum())

    @property
    def entries(self) -> int:
        """Numbers stored as factor."""
        return int(self.offset[-1])

    @cached_property
    def stack_entries(self) -> Array:
        """Numbers on the stack of each subtree at its fullest."""
        r = (self.tree[2] - self.tree[1]).astype(np.int64)
        child_start = self.tree[6]
        out = np.zeros(len(self.tasks), np.int64)
        for t, (begin, end) in enumerate(self.tasks):
            top = most = 0
            below = np.add.reduceat(
                np.r_[(r * r)[self.tree[7][child_start[begin] : child_start[end]]], 0],
                (child_start[begin:end] - child_start[begin]),
            )
            below[child_start[begin + 1 : end + 1] == child_start[begin:end]] = 0
            for at, own in zip((r[begin : end - 1] ** 2).tolist(), below.tolist(), strict=False):
                most = max(most, top + at)
                top += at - own
            out[t] = most
        return out

    def peak_entries(self, threads: int) -> int:
        """Numbers held at the fullest moment of `factor`: factor, stacks, updates."""
        r = (self.tree[2] - self.tree[1]).astype(np.int64)
        alive = sum(int(r[end - 1]) ** 2 for _, end in self.tasks)
        most = alive + int(np.sort(self.stack_entries)[-threads:].sum()) if self.tasks else 0
        children = np.zeros(len(r), np.int64)
        up = self.parent >= 0
        np.add.at(children, self.parent[up], (r * r)[up])
        for f in range(self.first_shared, len(r)):
            alive += int(r[f]) ** 2
            most = max(most, alive)
            alive -= int(children[f])
        return self.entries + most


def analyze(matrix: SparseMatrix, free: BoolArray, *, block: int = 1, extra: int = 0) -> Symbolic:
    """Order the free unknowns and lay out the fronts.

    Parameters
    ----------
    matrix : CSR or BSR [n_dof, n_dof]
        Symmetric, both triangles stored; only the pattern is read.
    free : bool[n_dof]
        Rows and columns that count.
    block : int
        Unknowns per node, numbered node by node.
    extra : int
        Unknowns after the nodal ones (Lagrange multipliers); eliminated after those they couple.
    """
    started = time.perf_counter()
    indptr, indices, _, size = stored_blocks(matrix)
    n_dof = len(free)
    n_nodes = (n_dof - extra) // block
    counts = np.r_[free[: n_nodes * block].reshape(n_nodes, block).sum(axis=1), free[n_nodes * block :]]
    with_free = counts > 0
    vertex = np.where(with_free, np.cumsum(with_free) - 1, -1).astype(np.int32)
    weight = counts[with_free].astype(np.int32)
    start = np.empty(len(weight) + 1, np.int64)
    nothing = np.empty(0, np.int32)
    dissection.vertex_graph(indptr, indices, size, block, n_nodes, free, vertex, start, nothing)
    near = np.empty(int(start[-1]), np.int32)
    dissection.vertex_graph(indptr, indices, size, block, n_nodes, free, vertex, start, near)
    start, near = _both_ways(start.astype(np.int32), near)
    perm = nested_dissection(start, near, weight)
    late = int(with_free[n_nodes:].sum())
    if late:
        perm = _constraints_late(perm, start, near, late)
    first_dof = np.r_[np.arange(n_nodes) * block, n_nodes * block + np.arange(extra)][with_free]
    return _layout(start, near, weight, perm, free, first_dof, block, n_nodes, started)


def _both_ways(start: Array, near: Array) -> tuple[Array, Array]:
    """A graph with each edge stored both ways: a sum of matrices may drop a zero on one side alone."""
    n = len(start) - 1
    graph = sparse.csr_array((np.ones(len(near), np.int8), near, start), shape=(n, n))
    back = graph.T.tocsr()
    graph.sort_indices()
    if np.array_equal(graph.indptr, back.indptr) and np.array_equal(graph.indices, back.indices):
        return start, near
    both = (graph + back).tocsr()
    both.sort_indices()
    return both.indptr.astype(np.int32), both.indices.astype(np.int32)


def _constraints_late(perm: Array, start: Array, near: Array, late: int) -> Array:
    """Move the last `late` vertices of the graph right behind the last vertex each of them couples."""
    n = len(perm)
    key = np.empty((n, 2))
    key[perm, 0] = np.arange(n)
    key[:, 1] = 0.0
    nodal = n - late
    for v in range(nodal, n):
        others = near[start[v] : start[v + 1]]
        others = others[others < nodal]
        if others.size:
            key[v] = key[others, 0].max(), 1.0
    return np.lexsort((key[:, 1], key[:, 0])).astype(np.int32)


def _layout(
    start: Array,
    near: Array,
    weight: Array,
    perm: Array,
    free: BoolArray,
    first_dof: Array,
    block: int,
    n_nodes: int,
    started: float,
) -> Symbolic:
    n = len(perm)
    parent = np.empty(n, np.int32)
    order = np.empty(n, np.int32)
    fronts.elimination_tree(start, near, perm, _inverse(perm), parent)
    fronts.postorder(parent, order)
    back = _inverse(order)
    perm = perm[order]
    parent = np.where(parent[order] >= 0, back[parent[order]], -1).astype(np.int32)
    vertices, unknowns, front_of = (np.empty(n, np.int32) for _ in range(3))
    fronts.column_counts(start, near, perm, _inverse(perm), parent, weight, vertices, unknowns)
    fronts.make_fronts(parent, perm, weight, vertices, unknowns, front_of)

    last, front = np.unique(front_of, return_inverse=True)  # fronts by their last column
    count = len(last)
    up = np.where(parent[last] >= 0, front[parent[last]], -1).astype(np.int32)
    k = np.bincount(front, weights=weight[perm], minlength=count).astype(np.int32)
    below = (unknowns[last] - weight[perm[last]]).astype(np.int32)
    below_vertices = (vertices[last] - 1).astype(np.int64)
    sequence, tasks = _sequence(up, k.astype(float), below.astype(float))
    back = _inverse(sequence)
    front = back[front]
    k, below, below_vertices = k[sequence], below[sequence], below_vertices[sequence]
    up = np.where(up[sequence] >= 0, back[up[sequence]], -1).astype(np.int32)
    perm = perm[np.argsort(front, kind="stable")]
    pivot = np.r_[0, np.cumsum(np.bincount(front, minlength=count))].astype(np.int32)
    child_start, children = _children(up)
    row_start = np.r_[0, np.cumsum(below_vertices)].astype(np.int64)
    rows = np.empty(int(row_start[-1]), np.int32)
    found = np.empty(count, np.int64)
    fronts.row_structure(
        start, near, perm, _inverse(perm), pivot, child_start, children, row_start, rows, found
    )
    owner = np.repeat(np.arange(count, dtype=np.int64), below_vertices) * n
    rows = (np.sort(owner + rows) - owner).astype(np.int32)
    assert (found == below_vertices).all(), "column counts and row structure disagree"

    first = np.r_[0, np.cumsum(weight[perm])].astype(np.int32)
    size = np.where(np.arange(len(first_dof)) < _nodal(first_dof, n_nodes * block), block, 1)
    every = np.repeat(first_dof[perm], size[perm])
    every = every + np.arange(len(every)) - np.repeat(np.cumsum(size[perm]) - size[perm], size[perm])
    source = every[free[every]].astype(np.int64)
    target = np.full(len(free), -1, np.int32)
    target[source] = np.arange(len(source), dtype=np.int32)
    m = (k + below).astype(np.int32)
    offset = np.r_[0, np.cumsum(k.astype(np.int64) * m)]
    tree = (pivot, k, m, row_start, rows, first, child_start, children)
    return Symbolic(source, target, tree, up, tasks, offset, time.perf_counter() - started)


def _nodal(first_dof: Array, end: int) -> int:
    return int(np.searchsorted(first_dof, end))


def _inverse(perm: Array) -> Array:
    out = np.empty_like(perm)
    out[perm] = np.arange(len(perm), dtype=perm.dtype)
    return out


def _children(up: Array) -> tuple[Array, Array]:
    with_parent = np.flatnonzero(up >= 0)
    children = with_parent[np.argsort(up[with_parent], kind="stable")].astype(np.int32)
    start = np.r_[0, np.cumsum(np.bincount(up[with_parent], minlength=len(up)))].astype(np.int32)
    return start, children


def _sequence(up: Array, k: Array, r: Array) -> tuple[Array, tuple[tuple[int, int], ...]]:
    """Fronts with all subtrees first, one after another, then those above; and the subtrees' ranges.

    The fronts come in postorder; a subtree is then a run that ends at its root.
    """
    count = len(up)
    work = k**3 / 3.0 + k * k * r + k * r * r + 2e4
    total = work.copy()
    size = np.ones(count, np.int64)
    parents = up.tolist()
    totals, sizes = total.tolist(), size.tolist()
    for f, p in enumerate(parents):
        if p >= 0:
            totals[p] += totals[f]
            sizes[p] += sizes[f]
    limit = max(sum(work.tolist()) / _SUBTREES, 2e6)
    tasks: list[tuple[int, int]] = []
    shared: list[int] = []
    sequence: list[int] = []
    place = _postorder_of(parents, count)
    f = count - 1
    runs: list[tuple[int, int]] = []
    while f >= 0:  # from the last front down: a light one takes its whole subtree with it
        front = place[f]
        if totals[front] <= limit:
            runs.append((f - sizes[front] + 1, f + 1))
            f -= sizes[front]
        else:
            shared.append(front)
            f -= 1
    for begin, end in reversed(runs):
        tasks.append((len(sequence), len(sequence) + end - begin))
        sequence.extend(place[begin:end])
    sequence.extend(reversed(shared))
    return np.array(sequence, np.int32), tuple(tasks)


def _postorder_of(parents: list[int], count: int) -> list[int]:
    order = np.empty(count, np.int32)
    fronts.postorder(np.array(parents, np.int32), order)
    return [int(f) for f in order]


def stored_blocks(matrix: SparseMatrix) -> tuple[Array, Array, Array, int]:
    """Row starts, columns, blocks [., size, size] and size of a CSR or BSR matrix."""
    if matrix.format == "bsr" and matrix.blocksize[0] == matrix.blocksize[1]:
        size, data = int(matrix.blocksize[0]), matrix.data
    else:
        matrix = matrix.tocsr()
        size, data = 1, matrix.data.reshape(-1, 1, 1)
    if data.dtype != np.complex128:
        data = data.astype(np.float64, copy=False)
    indptr = matrix.indptr.astype(np.int32, copy=False)
    return indptr, matrix.indices.astype(np.int32, copy=False), np.ascontiguousarray(data), size


# ---- numbers -----------------------------------------------------------------------------------------------


@cache
def _routines(letter: str) -> Array:
    from numba.extending import get_cython_function_address as address

    found = []
    for name in fronts.ROUTINES:
        full = "z" + name if letter == "z" else letter + name
        if letter == "z" and name == "potrf":
            full = "zpotrf"
        for module in ("scipy.linalg.cython_blas", "scipy.linalg.cython_lapack"):
            with contextlib.suppress(ValueError):
                found.append(address(module, full))
                break
    assert len(found) == len(fronts.ROUTINES)
    return np.array(found, np.int64)


@cache
def _thread_setters() -> list[tuple[Any, Any]]:
    """Functions that get and set the number of threads inside OpenBLAS, where SciPy and NumPy carry it."""
    site = Path(scipy.__file__).parent.parent
    out = []
    for folder in ("scipy.libs", "scipy/.dylibs", "scipy/.libs", "numpy.libs", "numpy/.dylibs"):
        for file in sorted((site / folder).glob("*openblas*")):
            for suffix in ("", "64_"):  # of 32-bit and of 64-bit integers
                with contextlib.suppress(OSError, AttributeError):
                    library = ctypes.CDLL(str(file))
                    setter = getattr(library, f"scipy_openblas_set_num_threads{suffix}")
                    out.append((getattr(library, f"scipy_openblas_get_num_threads{suffix}"), setter))
    return out


_blas_lock = threading.Lock()
_blas_users = 0
_blas_before: list[int] = []


@contextlib.contextmanager
def blas_alone() -> Iterator[None]:
    """One thread inside BLAS: threads are ours, and digits must not depend on how BLAS cuts its work."""
    global _blas_users, _blas_before
    with _blas_lock:
        if not _blas_users:
            _blas_before = [getter() for getter, _ in _thread_setters()]
            for _, setter in _thread_setters():
                setter(1)
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if not _blas_users:
                for (_, setter), threads in zip(_thread_setters(), _blas_before, strict=True):
                    setter(threads)


@dataclass(frozen=True, eq=False)
class MultifrontalFactors:
    """Factors of one matrix.

    Parameters
    ----------
    negative : int
        Negative pivots: eigenvalues below zero of the free part (real matrices).
    lifted : int
        Pivots too small to divide by, replaced; then refinement has to make up for it.
    """

    symbolic: Symbolic
    values: Array
    d: Array | None
    e: Array | None
    swap: Array | None
    scale: Array
    negative: int
    lifted: int
    seconds: float

    @property
    def nbytes(self) -> int:
        """Bytes of the factor."""
        return int(self.values.nbytes)

    @property
    def name(self) -> str:
        """What it is, for the user."""
        single = ", single precision" if self.values.dtype == np.float32 else ""
        return f"multifrontal {'Cholesky' if self.d is None else 'LDL^T'}{single}"

    def solve(self, f: Array) -> Array:
        """x with A x = f on the free unknowns, 0 elsewhere; f[n_dof] or f[n_dof, n_rhs]."""
        s = self.symbolic
        columns = np.asarray(f)[:, None] if np.ndim(f) == 1 else np.asarray(f)
        kind = np.result_type(columns.dtype, self.values.dtype)
        out = np.zeros(columns.shape, np.complex128 if kind.kind == "c" else np.float64)
        scale = self.scale[s.source, None]
        count = columns.shape[1]
        with blas_alone():
            if count == 1:
                x = (columns[s.source] * scale).astype(self.values.dtype)
                self._one(x)
                out[s.source] = x * scale
            elif count:
                pieces = 2 * -(-count // 64)  # whatever the threads: digits depend on the count alone
                bounds = [count * i // pieces for i in range(pieces + 1)]

                def work(start: int, stop: int) -> None:
                    for piece in range(start, stop):
                        those = slice(bounds[piece], bounds[piece + 1])
                        if those.stop == those.start:
                            continue
                        x = np.ascontiguousarray((columns[s.source, those] * scale).astype(self.values.dtype))
                        self._forward(0, len(s.parent), x, s.n, x[:0, 0])
                        self._backward(0, len(s.parent), x)
                        out[s.source, those] = x * scale

                parallel.run(work, pieces)
        return out.reshape(np.shape(f))

    def _forward(self, begin: int, end: int, x: Array, shared: int, beyond: Array) -> None:
        s = self.symbolic
        lib = _library(self.values.dtype)[0]
        flat, columns = x.reshape(-1), x.shape[1]
        fronts.forward(
            begin, end, s.tree, self.values, s.offset, self.swap, flat, columns, shared, beyond, lib
        )

    def _backward(self, begin: int, end: int, x: Array) -> None:
        s = self.symbolic
        lib = _library(self.values.dtype)[0]
        pivots = (self.d, self.e, self.swap)
        fronts.backward(begin, end, s.tree, self.values, s.offset, *pivots, x.reshape(-1), x.shape[1], lib)

    def _one(self, x: Array) -> None:
        """One right-hand side: subtrees side by side, then the fronts above."""
        s = self.symbolic
        tasks, above = s.tasks, s.first_shared
        shared = int(s.tree[5][s.tree[0][above]])
        beyond = np.zeros((len(tasks), s.n - shared), x.dtype)

        def down(start: int, stop: int) -> None:
            for t in range(start, stop):
                self._forward(*tasks[t], x, shared, beyond[t])

        def up(start: int, stop: int) -> None:
            for t in range(start, stop):
                self._backward(*tasks[t], x)

        parallel.run(down, len(tasks))
        for part in beyond:
            x[shared:, 0] += part
        self._forward(above, len(s.parent), x, s.n, x[:0, 0])
        self._backward(above, len(s.parent), x)
        parallel.run(up, len(tasks))


@cache
def _library(dtype: np.dtype[Any]) -> tuple[Array, Array, Array]:
    """The table of addresses that kernels take, and the arrays it points into."""
    letters = np.frombuffer(fronts.LETTERS, np.uint8).copy()
    constants = np.array([1.0, -1.0, 0.0], dtype)
    letter = {"float32": "s", "float64": "d", "complex128": "z"}[dtype.name]
    more = (letters.ctypes.data, constants.ctypes.data, dtype.itemsize)
    return np.r_[_routines(letter), more].astype(np.int64), letters, constants


def factor(
    symbolic: Symbolic,
    matrix: SparseMatrix,
    *,
    definite: bool,
    dtype: Any = np.float64,
) -> MultifrontalFactors:
    """Factor a matrix of the pattern that was analyzed.

    Parameters
    ----------
    matrix : CSR or BSR
        Symmetric (complex: symmetric too, not Hermitian).
    definite : bool
        True for Cholesky, False for L D L^T.
    dtype : float32, float64 or complex128
        Precision of the factor.

    Raises
    ------
    NotDefiniteError
        If Cholesky meets a pivot that is not positive.
    """
    with blas_alone():
        return _Run(symbolic, matrix, definite, np.dtype(dtype)).run()


class _Run:
    """One factorization under way."""

    def __init__(self, symbolic: Symbolic, matrix: SparseMatrix, definite: bool, dtype: Any) -> None:
        self.symbolic = s = symbolic
        self.started = time.perf_counter()
        self.cholesky = definite and dtype.kind == "f"
        indptr, indices, data, _ = stored_blocks(matrix)
        assert data.dtype.kind == "f" or dtype.kind == "c", "complex numbers need a complex factor"
        if dtype.kind == "c":
            data = data.astype(np.complex128, copy=False)
        self.scale = unit_scale(matrix, s.target >= 0)
        self.matrix = (indptr, indices, data, s.source, s.target, self.scale)
        self.values = np.empty(s.entries, dtype)
        self.d = self.e = self.swap = None
        if not self.cholesky:
            self.d, self.e, self.swap = np.zeros(s.n, dtype), np.zeros(s.n, dtype), np.zeros(s.n, np.int32)
        self.lib = _library(dtype)[0]
        self.updates = np.zeros(max(len(s.parent), 1), np.int64)
        self.alive: dict[int, Array] = {}
        self.spent: list[Array] = []  # kept for reuse: fresh pages cost more than filling them
        self.report = np.zeros((len(s.parent) + 1, 4), np.int64)
        lift = _LIFT if dtype != np.float32 else 1e-5
        self.least = dtype.type(lift).real

    def run(self) -> MultifrontalFactors:
        s = self.symbolic
        order = sorted(range(len(s.tasks)), key=lambda t: -self._work[t])
        waiting = iter(order)  # next() on it is atomic under the GIL

        def take(start: int, stop: int) -> None:
            stack = np.empty(int(s.stack_entries.max()), self.values.dtype)
            for t in waiting:
                self._subtree(*s.tasks[t], stack)
                if self.report[:, 3].any():
                    return

        parallel.run(take, min(len(order), parallel.threads()))
        self._refuse()
        for f in range(s.first_shared, len(s.parent)):
            if s.front_flops[f] < _LARGE:
                self._subtree(f, f + 1, self.values[:0])
            else:
                self._shared(f)
            for child in s.tree[7][s.tree[6][f] : s.tree[6][f + 1]]:
                self.spent.append(self.alive.pop(int(child)))
            self._refuse()
        return MultifrontalFactors(
            s,
            self.values,
            self.d,
            self.e,
            self.swap,
            self.scale,
            int(self.report[:, 0].sum()),
            int(self.report[:, 2].sum()),
            time.perf_counter() - self.started,
        )

    @cached_property
    def _work(self) -> list[float]:
        flops = np.r_[0.0, np.cumsum(self.symbolic.front_flops)]
        return [float(flops[end] - flops[begin]) for begin, end in self.symbolic.tasks]

    def _refuse(self) -> None:
        bad = self.report[:, 3].max(initial=0)
        if bad:
            raise NotDefiniteError(int(self.symbolic.source[bad - 1]))

    def _update_of(self, f: int) -> Array:
        r = int(self.symbolic.tree[2][f] - self.symbolic.tree[1][f])
        fit = [i for i, array in enumerate(self.spent) if r * r <= array.size <= 4 * r * r]
        if fit:
            out = self.spent.pop(min(fit, key=lambda i: self.spent[i].size))
        else:
            out = np.empty(r * r, self.values.dtype)
        self.alive[f] = out
        return out

    def _subtree(self, begin: int, end: int, stack: Array) -> None:
        s = self.symbolic
        fronts.factor_subtree(
            begin,
            end,
            s.tree,
            self.updates,
            self.values,
            s.offset,
            stack,
            self._update_of(end - 1),
            self.d,
            self.e,
            self.swap,
            *self.matrix,
            self.lib,
            self.least,
            self.report[end - 1],
        )

    def _shared(self, f: int) -> None:
        """One large front, by all threads: columns assembled, blocks eliminated, tiles updated."""
        s = self.symbolic
        k, m = int(s.tree[1][f]), int(s.tree[2][f])
        update = self._update_of(f)
        grain = 64
        numbers = (self.values, s.offset)
        pivots = (self.d, self.e, self.swap)
        parallel.run(
            fronts.assemble_columns,
            -(-m // grain),
            grain,
            f,
            s.tree,
            self.updates,
            *numbers,
            update,
            *self.matrix,
        )
        width = _PANEL if self.cholesky else fronts.PIVOT_BLOCK
        for p0 in range(0, k, width):
            p1 = min(k, p0 + width)
            fronts.factor_block(f, p0, p1, s.tree, *numbers, *pivots, self.lib, self.least, self.report[f])
            if self.report[f, 3]:
                return
            if p1 < m:
                parallel.run(
                    fronts.factor_below,
                    -(-(m - p1) // _TILE),
                    _TILE,
                    f,
                    p0,
                    p1,
                    s.tree,
                    *numbers,
                    *pivots,
                    self.lib,
                )
            if p1 < k:
                self._tiles(f, p0, p1, _tiles(p1, k, m), update)
        if k < m:
            self._tiles(f, 0, k, _tiles(k, m, m), update)
        self.updates[f] = update.ctypes.data

    def _tiles(self, f: int, p0: int, p1: int, tiles: Array, update: Array) -> None:
        s = self.symbolic
        parallel.run(
            fronts.factor_tiles,
            len(tiles),
            f,
            p0,
            p1,
            tiles,
            s.tree,
            self.values,
            s.offset,
            update,
            self.d,
            self.e,
            self.lib,
        )


def _tiles(c0: int, c1: int, m: int) -> Array:
    """Tiles (r0, r1, c0, c1) of the lower triangle in the columns c0:c1, down to row m."""
    out = [
        (r, min(m, r + _TILE), c, min(c1, c + _TILE))
        for c in range(c0, c1, _TILE)
        for r in [c, *range(min(c1, c + _TILE), m, _TILE)]
        if r == c or r < m
    ]
    fixed = [(r0, c_end if r0 == c0_ else r1, c0_, c_end) for r0, r1, c0_, c_end in out]
    return np.array(fixed, np.int64)
