"""Block-sparse kernels: products, smoothing steps, vector updates, aggregation, coarse bases and matrices.

A block-CSR matrix is `indptr` int32[n + 1], `indices` int32[nnz], `blocks` float[nnz, rows, columns]
(float32 or float64); vectors are [n * rows, n_rhs], C order, one column per right-hand side. Kernels that
take `start, stop` first do the rows (block rows, aggregates, chunks) of that range alone and write only
there: `parallel.run` cuts the range among threads, and the digits are the same however it is cut.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from designtwin.typing import FloatArray, IntArray

CHUNK = 4096  # rows whose products are summed on their own: sums do not depend on threads


@njit(cache=True, nogil=True, fastmath={"contract"})
def product(
    start: int,
    stop: int,
    indptr: IntArray,
    indices: IntArray,
    blocks: FloatArray,
    x: FloatArray,
    y: FloatArray,
    add: bool,
) -> None:
    """y = A x or y += A x for block rows start to stop of a block-CSR matrix, square or not.

    Parameters
    ----------
    indptr, indices, blocks
        A.
    x : float[n_columns * columns, n_rhs]
        Another array than y.
    y : float[n * rows, n_rhs]
        Overwritten, or added to.
    """
    rows, columns = blocks.shape[1], blocks.shape[2]
    n_rhs = x.shape[1]
    zero = y.dtype.type(0.0)
    if n_rhs == 1:
        m, v, w = blocks.reshape(blocks.size), x.reshape(x.size), y.reshape(y.size)
        if rows == 3 and columns == 3:
            for i in range(start, stop):
                a0, a1, a2 = zero, zero, zero
                if add:
                    a0, a1, a2 = w[3 * i], w[3 * i + 1], w[3 * i + 2]
                for p in range(indptr[i], indptr[i + 1]):
                    j, o = 3 * indices[p], 9 * p
                    x0, x1, x2 = v[j], v[j + 1], v[j + 2]
                    a0 += m[o] * x0 + m[o + 1] * x1 + m[o + 2] * x2
                    a1 += m[o + 3] * x0 + m[o + 4] * x1 + m[o + 5] * x2
                    a2 += m[o + 6] * x0 + m[o + 7] * x1 + m[o + 8] * x2
                w[3 * i], w[3 * i + 1], w[3 * i + 2] = a0, a1, a2
        elif rows == 1 and columns == 1:
            for i in range(start, stop):
                total = w[i] if add else zero
                for p in range(indptr[i], indptr[i + 1]):
                    total += m[p] * v[np.uint32(indices[p])]
                w[i] = total
        elif columns == 6:
            for i in range(start, stop):
                if not add:
                    for a in range(rows):
                        w[rows * i + a] = zero
                for p in range(indptr[i], indptr[i + 1]):
                    j, o = 6 * indices[p], 6 * rows * p
                    x0, x1, x2 = v[j], v[j + 1], v[j + 2]
                    x3, x4, x5 = v[j + 3], v[j + 4], v[j + 5]
                    for a in range(rows):
                        q = o + 6 * a
                        w[rows * i + a] += (m[q] * x0 + m[q + 1] * x1 + m[q + 2] * x2) + (
                            m[q + 3] * x3 + m[q + 4] * x4 + m[q + 5] * x5
                        )
        else:
            for i in range(start, stop):
                for a in range(rows):
                    total = w[rows * i + a] if add else zero
                    for p in range(indptr[i], indptr[i + 1]):
                        j, o = columns * indices[p], columns * (rows * p + a)
                        for c in range(columns):
                            total += m[o + c] * v[j + c]
                    w[rows * i + a] = total
        return
    if rows == 1 and columns == 1 and n_rhs == 3:  # weights of nodes, a displacement each
        for i in range(start, stop):
            a0, a1, a2 = zero, zero, zero
            if add:
                a0, a1, a2 = y[i, 0], y[i, 1], y[i, 2]
            for p in range(indptr[i], indptr[i + 1]):
                value, j = blocks[p, 0, 0], indices[p]
                a0 += value * x[j, 0]
                a1 += value * x[j, 1]
                a2 += value * x[j, 2]
            y[i, 0], y[i, 1], y[i, 2] = a0, a1, a2
        return
    for i in range(start, stop):
        if not add:
            for a in range(rows):
                for k in range(n_rhs):
                    y[rows * i + a, k] = zero
        for p in range(indptr[i], indptr[i + 1]):
            j = columns * indices[p]
            for a in range(rows):
                for c in range(columns):
                    value = blocks[p, a, c]
                    for k in range(n_rhs):
                        y[rows * i + a, k] += value * x[j + c, k]


@njit(cache=True, nogil=True, fastmath={"contract"})
def transposed_product(
    start: int,
    stop: int,
    indptr: IntArray,
    source: IntArray,
    entry: IntArray,
    blocks: FloatArray,
    x: FloatArray,
    y: FloatArray,
) -> None:
    """y = P^T x for columns start to stop of P, whose blocks are reached through a transposed pattern.

    Parameters
    ----------
    indptr, source, entry : int32[n_coarse + 1], int32[nnz], int32[nnz]
        Rows of P in each of its columns, and where their blocks are stored.
    blocks : float[nnz, rows, columns]
        Of P.
    x : float[n * rows, n_rhs]
    y : float[n_coarse * columns, n_rhs]
        Overwritten.
    """
    rows, columns = blocks.shape[1], blocks.shape[2]
    n_rhs = x.shape[1]
    zero = y.dtype.type(0.0)
    m = blocks.reshape(blocks.size)
    if rows == 1 and columns == 1 and n_rhs == 3:  # weights of nodes, a displacement each
        for i in range(start, stop):
            a0, a1, a2 = zero, zero, zero
            for p in range(indptr[i], indptr[i + 1]):
                value, j = m[entry[p]], source[p]
                a0 += value * x[j, 0]
                a1 += value * x[j, 1]
                a2 += value * x[j, 2]
            y[i, 0], y[i, 1], y[i, 2] = a0, a1, a2
        return
    if rows == 1 and columns == 1 and n_rhs == 1:
        v, w = x.reshape(x.size), y.reshape(y.size)
        for i in range(start, stop):
            total = zero
            for p in range(indptr[i], indptr[i + 1]):
                total += m[np.uint32(entry[p])] * v[np.uint32(source[p])]
            w[i] = total
        return
    if columns == 6 and n_rhs == 1:
        v, w = x.reshape(x.size), y.reshape(y.size)
        for i in range(start, stop):
            a0, a1, a2, a3, a4, a5 = zero, zero, zero, zero, zero, zero
            for p in range(indptr[i], indptr[i + 1]):
                j, q = rows * source[p], 6 * rows * entry[p]
                for _ in range(rows):
                    value = v[j]
                    a0 += m[q] * value
                    a1 += m[q + 1] * value
                    a2 += m[q + 2] * value
                    a3 += m[q + 3] * value
                    a4 += m[q + 4] * value
                    a5 += m[q + 5] * value
                    j, q = j + 1, q + 6
            w[6 * i], w[6 * i + 1], w[6 * i + 2] = a0, a1, a2
            w[6 * i + 3], w[6 * i + 4], w[6 * i + 5] = a3, a4, a5
        return
    for i in range(start, stop):
        for c in range(columns):
            for k in range(n_rhs):
                y[columns * i + c, k] = zero
        for p in range(indptr[i], indptr[i + 1]):
            j, e = rows * source[p], entry[p]
            for a in range(rows):
                for c in range(columns):
                    value = blocks[e, a, c]
                    for k in range(n_rhs):
                        y[columns * i + c, k] += value * x[j + a, k]


@njit(cache=True, nogil=True)
def transposed_pattern(
    indptr: IntArray, indices: IntArray, out_indptr: IntArray, source: IntArray, entry: IntArray
) -> None:
    """Rows of each column of a pattern, in ascending order, and where their entries are stored.

    Parameters
    ----------
    out_indptr, source, entry : int32[n_columns + 1], int32[nnz], int32[nnz]
        Overwritten.
    """
    n_columns = out_indptr.shape[0] - 1
    out_indptr[:] = 0
    for p in range(indices.shape[0]):
        out_indptr[indices[p] + 1] += 1
    for i in range(n_columns):
        out_indptr[i + 1] += out_indptr[i]
    at = out_indptr[:n_columns].copy()
    for i in range(indptr.shape[0] - 1):
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            source[at[j]] = i
            entry[at[j]] = p
            at[j] += 1


@njit(cache=True, nogil=True)
def dense_product(symmetric: FloatArray, x: FloatArray, y: FloatArray) -> None:
    """y = S x for a dense symmetric S[n, n]; row by row of S, so that the inner loop is a vector loop."""
    n = symmetric.shape[0]
    column = np.empty(n, y.dtype)
    for k in range(x.shape[1]):
        column[:] = 0.0
        for j in range(n):
            value = x[j, k]
            row = symmetric[j]
            for i in range(n):
                column[i] += row[i] * value
        for i in range(n):
            y[i, k] = column[i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def smoothing_step(
    start: int,
    stop: int,
    inverse: FloatArray,
    source: FloatArray,
    image: FloatArray,
    subtract: bool,
    keep: float,
    gain: float,
    step: float,
    fresh: bool,
    r: FloatArray,
    d: FloatArray,
    x: FloatArray,
) -> None:
    """One step of a polynomial smoother: r = source - image, d = keep d + gain D^-1 r, x += step d.

    Parameters
    ----------
    inverse : float[n, b, b]
        Inverted diagonal blocks.
    source : float[n * b, n_rhs]
        Right-hand side, or r itself.
    image : float[n * b, n_rhs]
        A times what was added since; not read unless `subtract`.
    keep : float
        0 for the first step: d is not read then.
    fresh : bool
        x starts from zero and is not read.
    r, d, x : float[n * b, n_rhs]
        Residual, direction, iterate; overwritten.
    """
    b = inverse.shape[1]
    zero = d.dtype.type(0.0)
    old, new, size = d.dtype.type(keep), d.dtype.type(gain), d.dtype.type(step)
    first = keep == 0.0
    if x.shape[1] == 1 and b == 3:
        m = inverse.reshape(inverse.size)
        s, w = source.reshape(source.size), image.reshape(image.size)
        rr, dd, xx = r.reshape(r.size), d.reshape(d.size), x.reshape(x.size)
        for i in range(start, stop):
            j, o = 3 * i, 9 * i
            r0, r1, r2 = s[j], s[j + 1], s[j + 2]
            if subtract:
                r0, r1, r2 = r0 - w[j], r1 - w[j + 1], r2 - w[j + 2]
            d0 = new * (m[o] * r0 + m[o + 1] * r1 + m[o + 2] * r2)
            d1 = new * (m[o + 3] * r0 + m[o + 4] * r1 + m[o + 5] * r2)
            d2 = new * (m[o + 6] * r0 + m[o + 7] * r1 + m[o + 8] * r2)
            if not first:
                d0, d1, d2 = d0 + old * dd[j], d1 + old * dd[j + 1], d2 + old * dd[j + 2]
            rr[j], rr[j + 1], rr[j + 2] = r0, r1, r2
            dd[j], dd[j + 1], dd[j + 2] = d0, d1, d2
            if fresh:
                xx[j], xx[j + 1], xx[j + 2] = size * d0, size * d1, size * d2
            else:
                xx[j], xx[j + 1], xx[j + 2] = xx[j] + size * d0, xx[j + 1] + size * d1, xx[j + 2] + size * d2
        return
    if x.shape[1] == 1 and b == 1:
        m = inverse.reshape(inverse.size)
        s, w = source.reshape(source.size), image.reshape(image.size)
        rr, dd, xx = r.reshape(r.size), d.reshape(d.size), x.reshape(x.size)
        if fresh and first and not subtract:  # the ways of a cycle, each a loop without a question
            for i in range(start, stop):
                value = s[i]
                rr[i] = value
                value *= new * m[i]
                dd[i] = value
                xx[i] = size * value
        elif subtract and first and not fresh:
            for i in range(start, stop):
                value = s[i] - w[i]
                rr[i] = value
                value *= new * m[i]
                dd[i] = value
                xx[i] += size * value
        elif subtract and not fresh:
            for i in range(start, stop):
                value = s[i] - w[i]
                rr[i] = value
                value = old * dd[i] + new * m[i] * value
                dd[i] = value
                xx[i] += size * value
        else:
            for i in range(start, stop):
                rr[i] = s[i] - w[i] if subtract else s[i]
                dd[i] = new * m[i] * rr[i] + (zero if first else old * dd[i])
                xx[i] = size * dd[i] + (zero if fresh else xx[i])
        return
    n_rhs = x.shape[1]
    for i in range(start, stop):
        for a in range(b * i, b * i + b):
            for k in range(n_rhs):
                r[a, k] = source[a, k] - image[a, k] if subtract else source[a, k]
                d[a, k] = zero if first else old * d[a, k]
        for a in range(b):
            for c in range(b):
                value = new * inverse[i, a, c]
                for k in range(n_rhs):
                    d[b * i + a, k] += value * r[b * i + c, k]
        for a in range(b * i, b * i + b):
            for k in range(n_rhs):
                x[a, k] = size * d[a, k] if fresh else x[a, k] + size * d[a, k]


@njit(cache=True, nogil=True)
def free_difference(
    start: int, stop: int, free: IntArray, f: FloatArray, image: FloatArray, r: FloatArray
) -> None:
    """r = f - image where free, 0 elsewhere, for unknowns start to stop; free bool[n], empty if all are."""
    masked = free.shape[0] > 0
    if f.shape[1] == 1:
        ff, ii, rr = f.reshape(f.size), image.reshape(image.size), r.reshape(r.size)
        for i in range(start, stop):
            rr[i] = ff[i] - ii[i]
        if masked:
            for i in range(start, stop):
                if not free[i]:
                    rr[i] = 0.0
        return
    for i in range(start, stop):
        for k in range(f.shape[1]):
            r[i, k] = 0.0 if masked and not free[i] else f[i, k] - image[i, k]


# --- conjugate gradients: a pass over the vectors for each thing that has to wait for a sum


@njit(cache=True, nogil=True)
def dots(start: int, stop: int, x: FloatArray, y: FloatArray, parts: FloatArray) -> None:
    """parts[c, k] = x[:, k] . y[:, k] over chunk c of rows, in float64, for chunks start to stop."""
    n, n_rhs = x.shape
    for c in range(start, stop):
        first, last = c * CHUNK, min((c + 1) * CHUNK, n)
        if n_rhs == 1:
            total = 0.0
            for block in range(first, last, 256):
                part = 0.0
                for i in range(block, min(block + 256, last)):
                    part += np.float64(x[i, 0]) * np.float64(y[i, 0])
                total += part
            parts[c, 0] = total
        else:
            parts[c] = 0.0
            for i in range(first, last):
                for k in range(n_rhs):
                    parts[c, k] += np.float64(x[i, k]) * np.float64(y[i, k])


@njit(cache=True, nogil=True)
def next_direction(
    start: int, stop: int, z: FloatArray, scale: float, beta: FloatArray, p: FloatArray
) -> None:
    """p = scale * z + beta[k] * p for chunks start to stop of rows; p is not read where beta is 0."""
    n, n_rhs = p.shape
    for i in range(start * CHUNK, min(stop * CHUNK, n)):
        for k in range(n_rhs):
            p[i, k] = scale * z[i, k] + (beta[k] * p[i, k] if beta[k] != 0.0 else 0.0)


@njit(cache=True, nogil=True)
def mask_and_dot(
    start: int, stop: int, free: IntArray, p: FloatArray, q: FloatArray, parts: FloatArray
) -> None:
    """q = 0 where not free, and parts[c, k] = p . q over chunk c, for chunks start to stop."""
    n, n_rhs = p.shape
    for c in range(start, stop):
        for k in range(n_rhs):
            parts[c, k] = 0.0
        for i in range(c * CHUNK, min((c + 1) * CHUNK, n)):
            for k in range(n_rhs):
                if free[i]:
                    parts[c, k] += p[i, k] * q[i, k]
                else:
                    q[i, k] = 0.0


@njit(cache=True, nogil=True)
def advance(
    start: int,
    stop: int,
    alpha: FloatArray,
    p: FloatArray,
    q: FloatArray,
    x: FloatArray,
    r: FloatArray,
    copy: FloatArray,
    parts: FloatArray,
) -> None:
    """x += alpha p, r -= alpha q, copy = r in its type, parts[c, k] = r . r; for chunks start to stop."""
    n, n_rhs = p.shape
    for c in range(start, stop):
        for k in range(n_rhs):
            parts[c, k] = 0.0
        for i in range(c * CHUNK, min((c + 1) * CHUNK, n)):
            for k in range(n_rhs):
                x[i, k] += alpha[k] * p[i, k]
                left = r[i, k] - alpha[k] * q[i, k]
                r[i, k] = left
                copy[i, k] = left
                parts[c, k] += left * left


# --- the last level


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def invert_dense(a: FloatArray, out: FloatArray) -> float:
    """Inverse of a symmetric positive definite matrix by Cholesky's factors; not LAPACK's, whose threads
    would fight with ours over the cores.

    Parameters
    ----------
    a : float64[n, n]
        The lower triangle is overwritten by the inverse of the factor.
    out : float64[n, n]
        Overwritten; garbage unless the pivot returned is positive.

    Returns
    -------
    float
        Smallest pivot over its diagonal entry; 0 or less if the matrix is not positive definite.
    """
    n = a.shape[0]
    smallest = 1.0
    for i in range(n):
        entry = a[i, i]
        for j in range(i + 1):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            if j < i:
                a[i, j] = total / a[j, j]
            else:
                if not total > 0.0:
                    return 0.0
                smallest = min(smallest, total / entry)
                a[i, i] = math.sqrt(total)
    row = np.empty(n)
    for i in range(n):
        for k in range(i):
            row[k] = 0.0
        for j in range(i):
            value = a[i, j]
            for k in range(j + 1):
                row[k] -= value * a[j, k]
        pivot = 1.0 / a[i, i]
        for k in range(i):
            a[i, k] = row[k] * pivot
        a[i, i] = pivot
    out[:] = 0.0
    for k in range(n):
        for i in range(k + 1):
            value = a[k, i]
            for j in range(i + 1):
                out[i, j] += value * a[k, j]
    for i in range(n):
        for j in range(i):
            out[j, i] = out[i, j]
    return smallest


# --- diagonal blocks, fixed unknowns


@njit(cache=True, nogil=True)
def scaled(start: int, stop: int, values: FloatArray, scale: float, out: FloatArray) -> None:
    """out = scale * values in the type of out, for entries start to stop of vectors."""
    for i in range(start, stop):
        out[i] = scale * values[i]


@njit(cache=True, nogil=True)
def diagonal_blocks(
    start: int, stop: int, indptr: IntArray, indices: IntArray, blocks: FloatArray, out: FloatArray
) -> None:
    """out[i] = block (i, i) for rows start to stop; zero where not stored. out float[n, b, b]."""
    for i in range(start, stop):
        out[i] = 0.0
        for p in range(indptr[i], indptr[i + 1]):
            if indices[p] == i:
                out[i] += blocks[p]


@njit(cache=True, nogil=True)
def invert_blocks(
    start: int, stop: int, blocks: FloatArray, tiny: float, out: FloatArray, negative: IntArray
) -> None:
    """Inverses of symmetric semidefinite blocks; directions without stiffness get zero rows and columns.

    For blocks start to stop.

    Parameters
    ----------
    blocks : float64[n, b, b]
        Rows of fixed or dropped unknowns are zero.
    tiny : float
        A pivot below tiny times its diagonal entry counts as none.
    out : float64[n, b, b]
        Overwritten; may be `blocks` itself.
    negative : bool[n]
        Overwritten: which blocks have a negative pivot, and are not semidefinite.
    """
    b = blocks.shape[1]
    a = np.empty((b, b))
    kept = np.empty(b, np.bool_)
    for i in range(start, stop):
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
        negative[i] = bad
        for r in range(b):
            for c in range(b):
                out[i, r, c] = -0.5 * (a[r, c] + a[c, r]) if kept[r] and kept[c] else 0.0


@njit(cache=True, nogil=True)
def constrain_blocks(
    start: int,
    stop: int,
    indptr: IntArray,
    indices: IntArray,
    blocks: FloatArray,
    free: IntArray,
    scale: float,
    out: FloatArray,
) -> None:
    """out = scale * blocks with fixed rows and columns zeroed, in the type of out; rows start to stop.

    Parameters
    ----------
    free : bool[n, b]
        False where fixed.
    out : float[nnz, b, b]
        Overwritten; may be `blocks` itself.
    """
    b = blocks.shape[1]
    for i in range(start, stop):
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            for r in range(b):
                for c in range(b):
                    out[p, r, c] = scale * blocks[p, r, c] if free[i, r] and free[j, c] else 0.0


# --- corners of a quadratic mesh: scalar weights per node


@njit(cache=True, nogil=True)
def weighted_pattern(
    start: int,
    stop: int,
    indptr: IntArray,
    indices: IntArray,
    p_indptr: IntArray,
    p_indices: IntArray,
    t_indptr: IntArray,
    t_indices: IntArray,
    out_indptr: IntArray,
    out_indices: IntArray,
) -> None:
    """Pattern of P^T A P for coarse rows start to stop, P with scalar weights per node.

    Counts if out_indices is empty, else columns.

    Parameters
    ----------
    indptr, indices
        A [n, n].
    p_indptr, p_indices
        P [n, n_coarse].
    t_indptr, t_indices
        P^T [n_coarse, n].
    out_indptr : int32[n_coarse + 1]
        The counting call leaves the number of entries of row i in i + 1; the other reads sums of them.
    out_indices : int32[nnz]
        Columns in order of appearance.
    """
    n_coarse = t_indptr.shape[0] - 1
    seen = np.full(n_coarse, -1, np.int32)
    fill = out_indices.shape[0] > 0
    for row in range(start, stop):
        first = out_indptr[row] if fill else 0
        count = first
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
        if not fill:
            out_indptr[row + 1] = count


@njit(cache=True, nogil=True)
def weighted_triple_product(
    start: int,
    stop: int,
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
    where = np.empty(n_coarse, np.int32)
    for row in range(start, stop):
        for p in range(out_indptr[row], out_indptr[row + 1]):
            where[out_indices[p]] = p
            out[p] = 0.0
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
def block_norms(start: int, stop: int, blocks: FloatArray, out: FloatArray) -> None:
    """Frobenius norm of the blocks start to stop; out float64[nnz] is overwritten."""
    for p in range(start, stop):
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
    start: int,
    stop: int,
    first_node: IntArray,
    nodes: IntArray,
    modes: FloatArray,
    b: int,
    drop: float,
    out: FloatArray,
    coarse: FloatArray,
) -> None:
    """Orthonormal basis of the modes on the aggregates start to stop: modes = out * coarse there.

    Gram-Schmidt, twice. A column that depends on those before it (few nodes, fixed unknowns) becomes zero,
    and so does its coarse unknown.

    Parameters
    ----------
    first_node, nodes : int32[n_aggregates + 1], int32[...]
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
    for g in range(start, stop):
        coarse[g * k : (g + 1) * k] = 0.0
        first, last = first_node[g], first_node[g + 1]
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


@njit(cache=True, nogil=True)
def smoothed_pattern(
    start: int,
    stop: int,
    indptr: IntArray,
    indices: IntArray,
    owner: IntArray,
    out_indptr: IntArray,
    out_indices: IntArray,
) -> None:
    """Pattern of the smoothed basis for rows start to stop: aggregates of a node and its neighbors.

    Parameters
    ----------
    owner : int32[n]
        Aggregate of each node, -1 for none: such a node has an empty row.
    out_indptr : int32[n + 1]
        If out_indices is empty, the number of entries of row i is left in i + 1; else sums of them are read.
    out_indices : int32[nnz]
        Aggregates, that of the node itself first.
    """
    fill = out_indices.shape[0] > 0
    longest = 0
    for i in range(start, stop):
        longest = max(longest, indptr[i + 1] - indptr[i])
    row = np.empty(longest + 1, np.int32)
    for i in range(start, stop):
        count = 0
        if owner[i] >= 0:
            row[0] = owner[i]
            count = 1
            for p in range(indptr[i], indptr[i + 1]):
                g = owner[indices[p]]
                if g < 0:
                    continue
                known = False
                for q in range(count):
                    if row[q] == g:
                        known = True
                        break
                if not known:
                    row[count] = g
                    count += 1
        if fill:
            out_indices[out_indptr[i] : out_indptr[i] + count] = row[:count]
        else:
            out_indptr[i + 1] = count


@njit(cache=True, nogil=True)
def smoothed_basis(
    start: int,
    stop: int,
    indptr: IntArray,
    indices: IntArray,
    blocks: FloatArray,
    inverse: FloatArray,
    owner: IntArray,
    tentative: FloatArray,
    weight: float,
    out_indptr: IntArray,
    out_indices: IntArray,
    out: FloatArray,
) -> None:
    """P = (I - weight D^-1 A) P0 for rows start to stop, on the pattern of `smoothed_pattern`.

    Parameters
    ----------
    indptr, indices, blocks
        A, blocks b x b.
    inverse : float64[n, b, b]
        Inverted diagonal blocks.
    tentative : float64[n, b, k]
        Row of P0 of each node, in the column of its aggregate.
    out : float64[nnz, b, k]
        Overwritten.

    Source: Vanek, Mandel, Brezina, Computing 56 (1996), sec. 4.
    """
    b, k = tentative.shape[1], tentative.shape[2]
    total = np.empty((b, k))
    for i in range(start, stop):
        first, last = out_indptr[i], out_indptr[i + 1]
        if first == last:
            continue
        for q in range(first, last):
            out[q] = 0.0
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            if owner[j] < 0:
                continue
            q = first
            while out_indices[q] != owner[j]:
                q += 1
            for a in range(b):
                for m in range(b):
                    value = blocks[p, a, m]
                    for c in range(k):
                        out[q, a, c] += value * tentative[j, m, c]
        for q in range(first, last):
            for a in range(b):
                for c in range(k):
                    value = 0.0
                    for m in range(b):
                        value += inverse[i, a, m] * out[q, m, c]
                    total[a, c] = value
            for a in range(b):
                for c in range(k):
                    out[q, a, c] = -weight * total[a, c]
        for a in range(b):  # the node's own aggregate stands first
            for c in range(k):
                out[first, a, c] += tentative[i, a, c]


@njit(cache=True, nogil=True)
def galerkin_pattern(
    start: int,
    stop: int,
    indptr: IntArray,
    indices: IntArray,
    p_indptr: IntArray,
    p_indices: IntArray,
    t_indptr: IntArray,
    t_source: IntArray,
    out_indptr: IntArray,
    out_indices: IntArray,
) -> None:
    """Pattern of P^T A P for coarse rows start to stop; counts or fills as `smoothed_pattern` does."""
    seen = np.full(t_indptr.shape[0] - 1, -1, np.int32)
    reached = np.full(indptr.shape[0] - 1, -1, np.int32)
    fill = out_indices.shape[0] > 0
    for row in range(start, stop):
        count = out_indptr[row] if fill else 0
        for t in range(t_indptr[row], t_indptr[row + 1]):
            i = t_source[t]
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                if reached[j] == row:
                    continue
                reached[j] = row
                for q in range(p_indptr[j], p_indptr[j + 1]):
                    column = p_indices[q]
                    if seen[column] != row:
                        seen[column] = row
                        if fill:
                            out_indices[count] = column
                        count += 1
        if not fill:
            out_indptr[row + 1] = count


@njit(cache=True, nogil=True, fastmath={"contract"})
def galerkin(
    start: int,
    stop: int,
    indptr: IntArray,
    indices: IntArray,
    blocks: FloatArray,
    p_indptr: IntArray,
    p_indices: IntArray,
    p_blocks: FloatArray,
    t_indptr: IntArray,
    t_source: IntArray,
    t_entry: IntArray,
    out_indptr: IntArray,
    out_indices: IntArray,
    out: FloatArray,
) -> None:
    """P^T A P for coarse rows start to stop, on the pattern of `galerkin_pattern`.

    A row of P^T A is gathered first, then multiplied by P: no product of the size of A P is ever stored.

    Parameters
    ----------
    indptr, indices, blocks
        A, blocks b x b.
    p_indptr, p_indices, p_blocks
        P, blocks b x k.
    t_indptr, t_source, t_entry
        Its transposed pattern (see `transposed_pattern`).
    out : float64[nnz, k, k]
        Overwritten.
    """
    b, k = p_blocks.shape[1], p_blocks.shape[2]
    place = np.full(indptr.shape[0] - 1, -1, np.int32)
    where = np.empty(t_indptr.shape[0] - 1, np.int32)
    if b == 1 and k == 1:  # one number a node, one coarse function an aggregate
        values, weights, to = (
            blocks.reshape(blocks.size),
            p_blocks.reshape(p_blocks.size),
            out.reshape(out.size),
        )
        sums, reached = np.empty(indptr.shape[0] - 1), np.empty(indptr.shape[0] - 1, np.int32)
        for row in range(start, stop):
            for q in range(out_indptr[row], out_indptr[row + 1]):
                where[out_indices[q]] = q
                to[q] = 0.0
            count = 0
            for t in range(t_indptr[row], t_indptr[row + 1]):
                i, weight = t_source[t], weights[t_entry[t]]
                for p in range(indptr[i], indptr[i + 1]):
                    j = indices[p]
                    if place[j] != row:
                        place[j] = row
                        reached[count] = j
                        count += 1
                        sums[j] = 0.0
                    sums[j] += weight * values[p]
            for g in range(count):
                j = reached[g]
                for q in range(p_indptr[j], p_indptr[j + 1]):
                    to[where[p_indices[q]]] += sums[j] * weights[q]
        return
    gathered = np.empty((256, k, b))
    columns = np.empty(256, np.int32)
    for row in range(start, stop):
        for q in range(out_indptr[row], out_indptr[row + 1]):
            where[out_indices[q]] = q
            out[q] = 0.0
        count = 0
        for t in range(t_indptr[row], t_indptr[row + 1]):
            i, e = t_source[t], t_entry[t]
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                at = place[j]
                if at < 0:
                    if count == columns.shape[0]:
                        more = np.empty((2 * count, k, b))
                        more[:count] = gathered
                        gathered = more
                        longer = np.empty(2 * count, np.int32)
                        longer[:count] = columns
                        columns = longer
                    at = count
                    place[j] = at
                    columns[at] = j
                    gathered[at] = 0.0
                    count += 1
                if b == 3:
                    for a in range(k):
                        x, y, z = p_blocks[e, 0, a], p_blocks[e, 1, a], p_blocks[e, 2, a]
                        for c in range(3):
                            gathered[at, a, c] += (
                                x * blocks[p, 0, c] + y * blocks[p, 1, c] + z * blocks[p, 2, c]
                            )
                else:
                    for a in range(k):
                        for m in range(b):
                            value = p_blocks[e, m, a]
                            for c in range(b):
                                gathered[at, a, c] += value * blocks[p, m, c]
        for g in range(count):
            j = columns[g]
            place[j] = -1
            for q in range(p_indptr[j], p_indptr[j + 1]):
                at = where[p_indices[q]]
                if b == 3:
                    for a in range(k):
                        x, y, z = gathered[g, a, 0], gathered[g, a, 1], gathered[g, a, 2]
                        for c in range(k):
                            out[at, a, c] += (
                                x * p_blocks[q, 0, c] + y * p_blocks[q, 1, c] + z * p_blocks[q, 2, c]
                            )
                else:
                    for a in range(k):
                        for m in range(b):
                            value = gathered[g, a, m]
                            for c in range(k):
                                out[at, a, c] += value * p_blocks[q, m, c]
