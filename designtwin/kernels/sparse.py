"""Block-sparse kernels: products, smoothing steps, aggregation, coarse bases and matrices.

A block-CSR matrix is `indptr` int32[n + 1], `indices` int32[nnz], `blocks` float[nnz, rows, columns]
(float32 or float64); vectors are [n * rows, n_rhs], C order, one column per right-hand side. All sums run
in one fixed order that depends neither on the number of right-hand sides nor on threads: the same digits on
each run.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from designtwin.typing import FloatArray, IntArray


@njit(cache=True, nogil=True)
def add_product(
    indptr: IntArray, indices: IntArray, blocks: FloatArray, x: FloatArray, factor: float, y: FloatArray
) -> None:
    """y += factor * A x for a block-CSR matrix, square or not.

    Parameters
    ----------
    indptr, indices, blocks
        A, n block rows.
    x : float[n_columns * columns, n_rhs]
        Another array than y.
    factor : float
        1 adds, -1 makes a residual of a right-hand side.
    y : float[n * rows, n_rhs]
        Added to.
    """
    n = indptr.shape[0] - 1
    rows, columns = blocks.shape[1], blocks.shape[2]
    n_rhs = x.shape[1]
    zero = y.dtype.type(0.0)
    scale = y.dtype.type(factor)
    if rows == 3 and columns == 3:
        # the row's blocks stay in L1 while pairs of right-hand sides pass over them
        for i in range(n):
            start, end = indptr[i], indptr[i + 1]
            for k in range(0, n_rhs - 1, 2):
                a0, a1, a2 = zero, zero, zero
                b0, b1, b2 = zero, zero, zero
                for p in range(start, end):
                    j = 3 * indices[p]
                    x0, x1, x2 = x[j, k], x[j + 1, k], x[j + 2, k]
                    z0, z1, z2 = x[j, k + 1], x[j + 1, k + 1], x[j + 2, k + 1]
                    m = blocks[p]
                    a0 += m[0, 0] * x0 + m[0, 1] * x1 + m[0, 2] * x2
                    a1 += m[1, 0] * x0 + m[1, 1] * x1 + m[1, 2] * x2
                    a2 += m[2, 0] * x0 + m[2, 1] * x1 + m[2, 2] * x2
                    b0 += m[0, 0] * z0 + m[0, 1] * z1 + m[0, 2] * z2
                    b1 += m[1, 0] * z0 + m[1, 1] * z1 + m[1, 2] * z2
                    b2 += m[2, 0] * z0 + m[2, 1] * z1 + m[2, 2] * z2
                y[3 * i, k] += scale * a0
                y[3 * i + 1, k] += scale * a1
                y[3 * i + 2, k] += scale * a2
                y[3 * i, k + 1] += scale * b0
                y[3 * i + 1, k + 1] += scale * b1
                y[3 * i + 2, k + 1] += scale * b2
            if n_rhs % 2 == 1:
                k = n_rhs - 1
                a0, a1, a2 = zero, zero, zero
                for p in range(start, end):
                    j = 3 * indices[p]
                    x0, x1, x2 = x[j, k], x[j + 1, k], x[j + 2, k]
                    m = blocks[p]
                    a0 += m[0, 0] * x0 + m[0, 1] * x1 + m[0, 2] * x2
                    a1 += m[1, 0] * x0 + m[1, 1] * x1 + m[1, 2] * x2
                    a2 += m[2, 0] * x0 + m[2, 1] * x1 + m[2, 2] * x2
                y[3 * i, k] += scale * a0
                y[3 * i + 1, k] += scale * a1
                y[3 * i + 2, k] += scale * a2
    elif rows == 1 and columns == 1:
        for i in range(n):
            start, end = indptr[i], indptr[i + 1]
            for k in range(n_rhs):
                a0 = zero
                for p in range(start, end):
                    a0 += blocks[p, 0, 0] * x[indices[p], k]
                y[i, k] += scale * a0
    else:
        for i in range(n):
            start, end = indptr[i], indptr[i + 1]
            for k in range(n_rhs):
                for a in range(rows):
                    a0 = zero
                    for p in range(start, end):
                        j = columns * indices[p]
                        for c in range(columns):
                            a0 += blocks[p, a, c] * x[j + c, k]
                    y[rows * i + a, k] += scale * a0


@njit(cache=True, nogil=True)
def add_dense_product(symmetric: FloatArray, x: FloatArray, y: FloatArray) -> None:
    """y += S x for a dense symmetric S[n, n]; row by row of S, so that the inner loop is a vector loop."""
    n = symmetric.shape[0]
    for k in range(x.shape[1]):
        column = np.zeros(n, y.dtype)
        for j in range(n):
            value = x[j, k]
            row = symmetric[j]
            for i in range(n):
                column[i] += row[i] * value
        for i in range(n):
            y[i, k] += column[i]


@njit(cache=True, nogil=True)
def chebyshev_update(
    inverse: FloatArray, r: FloatArray, keep: float, gain: float, beta: float, d: FloatArray, x: FloatArray
) -> None:
    """d = keep * d + gain * D^-1 r, then x += beta * d: one step of a polynomial smoother.

    Parameters
    ----------
    inverse : float[n, b, b]
        Inverted diagonal blocks.
    r, d, x : float[n * b, n_rhs]
        Residual, direction (changed; not read where keep is 0), iterate (changed).
    """
    n, b = inverse.shape[0], inverse.shape[1]
    zero = d.dtype.type(0.0)
    old, new, step = d.dtype.type(keep), d.dtype.type(gain), d.dtype.type(beta)
    fresh = keep == 0.0
    for i in range(n):
        for k in range(r.shape[1]):
            for a in range(b):
                value = zero
                for c in range(b):
                    value += inverse[i, a, c] * r[b * i + c, k]
                value *= new
                if not fresh:
                    value += old * d[b * i + a, k]
                d[b * i + a, k] = value
                x[b * i + a, k] += step * value


@njit(cache=True, nogil=True)
def column_dots(x: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """out[k] = x[:, k] . y[:, k] in float64, summed in chunks of 512 rows: accurate, and in a fixed order."""
    n, n_rhs = x.shape
    for k in range(n_rhs):
        total = 0.0
        for start in range(0, n, 512):
            part = 0.0
            for i in range(start, min(start + 512, n)):
                part += np.float64(x[i, k]) * np.float64(y[i, k])
            total += part
        out[k] = total


@njit(cache=True, nogil=True)
def diagonal_blocks(indptr: IntArray, indices: IntArray, blocks: FloatArray, out: FloatArray) -> None:
    """out[i] = block (i, i); zero where not stored. out float[n, b, b] is overwritten."""
    for i in range(indptr.shape[0] - 1):
        out[i] = 0.0
        for p in range(indptr[i], indptr[i + 1]):
            if indices[p] == i:
                out[i] += blocks[p]


@njit(cache=True, nogil=True)
def invert_blocks(blocks: FloatArray, tiny: float, out: FloatArray) -> int:
    """Inverses of symmetric semidefinite blocks; directions without stiffness get zero rows and columns.

    Parameters
    ----------
    blocks : float64[n, b, b]
        Rows of fixed or dropped unknowns are zero.
    tiny : float
        A pivot below tiny times its diagonal entry counts as none.
    out : float64[n, b, b]
        Overwritten.

    Returns
    -------
    int
        Number of blocks with a negative pivot: not a semidefinite matrix.
    """
    n, b = blocks.shape[0], blocks.shape[1]
    a = np.empty((b, b))
    kept = np.empty(b, np.bool_)
    negative = 0
    for i in range(n):
        # symmetric sweeps (Gauss-Jordan without exchanges): -a becomes the inverse on the swept unknowns
        a[:] = blocks[i]
        bad = False
        for k in range(b):
            pivot = a[k, k]
            limit = tiny * abs(blocks[i, k, k])
            kept[k] = pivot > limit
            if not kept[k]:
                bad = bad or pivot < -limit
                continue
            for r in range(b):
                if r != k:
                    factor = a[r, k] / pivot
                    for c in range(b):
                        if c != k:
                            a[r, c] -= factor * a[k, c]
                    a[r, k] = factor
            for c in range(b):
                if c != k:
                    a[k, c] /= pivot
            a[k, k] = -1.0 / pivot
        negative += bad
        for r in range(b):
            for c in range(b):
                out[i, r, c] = -0.5 * (a[r, c] + a[c, r]) if kept[r] and kept[c] else 0.0
    return negative


@njit(cache=True, nogil=True)
def constrain_blocks(
    indptr: IntArray, indices: IntArray, blocks: FloatArray, free: IntArray, scale: float, out: FloatArray
) -> None:
    """out = scale * blocks with rows and columns of fixed unknowns zeroed, cast to the type of out.

    Parameters
    ----------
    free : bool[n, b]
        False where fixed.
    out : float[nnz, b, b]
        Overwritten; may be `blocks` itself.
    """
    b = blocks.shape[1]
    for i in range(indptr.shape[0] - 1):
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            for r in range(b):
                for c in range(b):
                    out[p, r, c] = scale * blocks[p, r, c] if free[i, r] and free[j, c] else 0.0


# --- corners of a quadratic mesh: scalar weights per node


@njit(cache=True, nogil=True)
def weighted_pattern(
    indptr: IntArray,
    indices: IntArray,
    p_indptr: IntArray,
    p_indices: IntArray,
    t_indptr: IntArray,
    t_indices: IntArray,
    out_indptr: IntArray,
    out_indices: IntArray,
) -> None:
    """Pattern of P^T A P, P with scalar weights per node: counts if out_indices is empty, else columns.

    Parameters
    ----------
    indptr, indices
        A [n, n].
    p_indptr, p_indices
        P [n, n_coarse].
    t_indptr, t_indices
        P^T [n_coarse, n].
    out_indptr : int32[n_coarse + 1]
        Written by the counting call, read by the other.
    out_indices : int32[nnz]
        Columns in order of appearance.
    """
    n_coarse = t_indptr.shape[0] - 1
    seen = np.full(n_coarse, -1, np.int64)
    fill = out_indices.shape[0] > 0
    count = 0
    out_indptr[0] = 0
    for row in range(n_coarse):
        for t in range(t_indptr[row], t_indptr[row + 1]):
            i = t_indices[t]
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                for q in range(p_indptr[j], p_indptr[j + 1]):
                    column = p_indices[q]
                    if seen[column] != row:
                        seen[column] = row
                        if fill:
                            out_indices[count] = column
                        count += 1
        out_indptr[row + 1] = count


@njit(cache=True, nogil=True)
def weighted_triple_product(
    indptr: IntArray,
    indices: IntArray,
    blocks: FloatArray,
    p_indptr: IntArray,
    p_indices: IntArray,
    p_weights: FloatArray,
    t_indptr: IntArray,
    t_indices: IntArray,
    t_weights: FloatArray,
    out_indptr: IntArray,
    out_indices: IntArray,
    out: FloatArray,
) -> None:
    """Blocks of P^T A P on the pattern of `weighted_pattern`; out float64[nnz, b, b] is overwritten."""
    n_coarse = t_indptr.shape[0] - 1
    b = blocks.shape[1]
    where = np.empty(n_coarse, np.int64)
    out[:] = 0.0
    for row in range(n_coarse):
        for p in range(out_indptr[row], out_indptr[row + 1]):
            where[out_indices[p]] = p
        for t in range(t_indptr[row], t_indptr[row + 1]):
            i = t_indices[t]
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                for q in range(p_indptr[j], p_indptr[j + 1]):
                    weight = t_weights[t] * p_weights[q]
                    at = where[p_indices[q]]
                    for r in range(b):
                        for c in range(b):
                            out[at, r, c] += weight * blocks[p, r, c]


# --- smoothed aggregation


@njit(cache=True, nogil=True)
def block_norms(blocks: FloatArray, out: FloatArray) -> None:
    """Frobenius norm of every block; out float64[nnz] is overwritten."""
    for p in range(blocks.shape[0]):
        total = 0.0
        for r in range(blocks.shape[1]):
            for c in range(blocks.shape[2]):
                total += blocks[p, r, c] * blocks[p, r, c]
        out[p] = math.sqrt(total)


@njit(cache=True, nogil=True)
def aggregate(indptr: IntArray, indices: IntArray, norms: FloatArray, theta: float, out: IntArray) -> int:
    """Greedy aggregates of strongly coupled nodes.

    Nodes i, j are strongly coupled where |A_ij| > theta sqrt(|A_ii| |A_jj|).

    Parameters
    ----------
    norms : float64[nnz]
        Frobenius norms of the blocks.
    theta : float
        Threshold.
    out : int32[n]
        Aggregate of each node, overwritten; -1 for a node coupled to none (fixed, or held by a stiff
        spring), which the smoother alone looks after.

    Returns
    -------
    int
        Number of aggregates.

    Source: Vanek, Mandel, Brezina, Computing 56 (1996), algorithm 5.1.
    """
    n = indptr.shape[0] - 1
    diagonal = np.zeros(n)
    strong = np.zeros(norms.shape[0], np.bool_)
    for i in range(n):
        out[i] = -1
        for p in range(indptr[i], indptr[i + 1]):
            if indices[p] == i:
                diagonal[i] = norms[p]
    count = 0
    for i in range(n):
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            strong[p] = j != i and norms[p] > theta * math.sqrt(diagonal[i] * diagonal[j])
    # 1. whole neighborhoods that are still untouched
    for i in range(n):
        if out[i] != -1:
            continue
        untouched, neighbors = True, 0
        for p in range(indptr[i], indptr[i + 1]):
            if strong[p]:
                neighbors += 1
                if out[indices[p]] != -1:
                    untouched = False
                    break
        if untouched and neighbors > 0:
            out[i] = count
            for p in range(indptr[i], indptr[i + 1]):
                if strong[p]:
                    out[indices[p]] = count
            count += 1
    # 2. the rest joins the neighbor it is coupled to most (only aggregates of step 1: no chains)
    joined = np.full(n, -1, np.int32)
    for i in range(n):
        if out[i] == -1:
            best = 0.0
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                if strong[p] and out[j] != -1:
                    coupling = norms[p] / math.sqrt(diagonal[j])
                    if coupling > best:
                        best = coupling
                        joined[i] = out[j]
    for i in range(n):
        if joined[i] != -1:
            out[i] = joined[i]
    # 3. what is left gathers among itself
    for i in range(n):
        if out[i] != -1:
            continue
        neighbors = 0
        for p in range(indptr[i], indptr[i + 1]):
            if strong[p] and out[indices[p]] == -1:
                neighbors += 1
                out[indices[p]] = count
        if neighbors > 0:
            out[i] = count
            count += 1
    return count


@njit(cache=True, nogil=True)
def tentative_basis(
    start: IntArray,
    nodes: IntArray,
    modes: FloatArray,
    b: int,
    drop: float,
    out: FloatArray,
    coarse: FloatArray,
) -> None:
    """Orthonormal basis of the modes on every aggregate: modes = out * coarse there.

    Gram-Schmidt, twice. A column that depends on those before it (few nodes, fixed unknowns) becomes zero,
    and so does its coarse unknown.

    Parameters
    ----------
    start, nodes : int32[n_aggregates + 1], int32[...]
        Nodes of each aggregate.
    modes : float64[n * b, k]
        Near-nullspace, zero at fixed unknowns.
    b : int
        Unknowns per node.
    drop : float
        A remainder below drop times the column's norm counts as dependent.
    out : float64[n, b, k]
        Block row of each node, overwritten for nodes in aggregates.
    coarse : float64[n_aggregates * k, k]
        The modes in the new basis, overwritten.

    Source: Vanek, Brezina, Mandel, Numer. Math. 88 (2001), sec. 3.
    """
    k = modes.shape[1]
    coarse[:] = 0.0
    for g in range(start.shape[0] - 1):
        first, last = start[g], start[g + 1]
        m = (last - first) * b
        q = np.empty((k, m))
        for t in range(first, last):
            for a in range(b):
                for c in range(k):
                    q[c, (t - first) * b + a] = modes[b * nodes[t] + a, c]
        for c in range(k):
            before = 0.0
            for s in range(m):
                before += q[c, s] * q[c, s]
            before = math.sqrt(before)
            for _ in range(2):
                for e in range(c):
                    dot = 0.0
                    for s in range(m):
                        dot += q[e, s] * q[c, s]
                    for s in range(m):
                        q[c, s] -= dot * q[e, s]
                    coarse[g * k + e, c] += dot
            after = 0.0
            for s in range(m):
                after += q[c, s] * q[c, s]
            after = math.sqrt(after)
            if after > drop * before:
                coarse[g * k + c, c] = after
                for s in range(m):
                    q[c, s] /= after
            else:
                for s in range(m):
                    q[c, s] = 0.0
        for t in range(first, last):
            for a in range(b):
                for c in range(k):
                    out[nodes[t], a, c] = q[c, (t - first) * b + a]
