"""Blocks of vectors: products of tall blocks, linear combinations in place, residuals of eigenpairs.

A block is float64[n, k], C order, k small: one column per vector. What is summed over rows goes through
chunks of `CHUNK` rows whose parts are added up in order by the caller, so that digits do not depend on
threads. Kernels that take `start, stop` first work on that range of chunks.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from designtwin.typing import BoolArray, FloatArray

CHUNK = 1024  # rows at a time: a few blocks of 16 columns stay in the second-level cache
_FAST = {"contract"}


@njit(nogil=True, fastmath=_FAST)
def _gram(first: int, last: int, a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """out += a^T b over rows first to last; four rows and four columns of a for every sum that is stored."""
    n_a, n_b = a.shape[1], b.shape[1]
    i = first
    while i + 4 <= last:
        b0, b1, b2, b3 = b[i], b[i + 1], b[i + 2], b[i + 3]
        p = 0
        while p + 4 <= n_a:
            a00, a01, a02, a03 = a[i, p], a[i, p + 1], a[i, p + 2], a[i, p + 3]
            a10, a11, a12, a13 = a[i + 1, p], a[i + 1, p + 1], a[i + 1, p + 2], a[i + 1, p + 3]
            a20, a21, a22, a23 = a[i + 2, p], a[i + 2, p + 1], a[i + 2, p + 2], a[i + 2, p + 3]
            a30, a31, a32, a33 = a[i + 3, p], a[i + 3, p + 1], a[i + 3, p + 2], a[i + 3, p + 3]
            o0, o1, o2, o3 = out[p], out[p + 1], out[p + 2], out[p + 3]
            for q in range(n_b):
                v0, v1, v2, v3 = b0[q], b1[q], b2[q], b3[q]
                o0[q] += (a00 * v0 + a10 * v1) + (a20 * v2 + a30 * v3)
                o1[q] += (a01 * v0 + a11 * v1) + (a21 * v2 + a31 * v3)
                o2[q] += (a02 * v0 + a12 * v1) + (a22 * v2 + a32 * v3)
                o3[q] += (a03 * v0 + a13 * v1) + (a23 * v2 + a33 * v3)
            p += 4
        while p < n_a:
            for q in range(n_b):
                out[p, q] += (a[i, p] * b0[q] + a[i + 1, p] * b1[q]) + (
                    a[i + 2, p] * b2[q] + a[i + 3, p] * b3[q]
                )
            p += 1
        i += 4
    while i < last:
        for p in range(n_a):
            for q in range(n_b):
                out[p, q] += a[i, p] * b[i, q]
        i += 1


@njit(cache=True, nogil=True)
def gram(start: int, stop: int, a: FloatArray, b: FloatArray, parts: FloatArray) -> None:
    """parts[c] = a^T b over chunk c of rows.

    Parameters
    ----------
    a, b : float64[n, n_a], float64[n, n_b]
    parts : float64[n_chunks, n_a, n_b]
        Overwritten.
    """
    for c in range(start, stop):
        parts[c] = 0.0
        _gram(c * CHUNK, min((c + 1) * CHUNK, a.shape[0]), a, b, parts[c])


@njit(cache=True, nogil=True)
def grams(
    start: int,
    stop: int,
    x: FloatArray,
    w: FloatArray,
    p: FloatArray,
    kw: FloatArray,
    gw: FloatArray,
    parts: FloatArray,
) -> None:
    """[x w p]^T [kw gw] over chunks of rows, in one pass.

    Parameters
    ----------
    x, w, p : float64[n, n_x], float64[n, n_w], float64[n, n_p]
    kw, gw : float64[n, n_w]
    parts : float64[n_chunks, 2, n_x + n_w + n_p, n_w]
        Overwritten: products with kw, then with gw.
    """
    n_x, n_w = x.shape[1], w.shape[1]
    for c in range(start, stop):
        parts[c] = 0.0
        first, last = c * CHUNK, min((c + 1) * CHUNK, x.shape[0])
        _gram(first, last, x, kw, parts[c, 0, :n_x])
        _gram(first, last, w, kw, parts[c, 0, n_x : n_x + n_w])
        _gram(first, last, p, kw, parts[c, 0, n_x + n_w :])
        _gram(first, last, x, gw, parts[c, 1, :n_x])
        _gram(first, last, w, gw, parts[c, 1, n_x : n_x + n_w])
        _gram(first, last, p, gw, parts[c, 1, n_x + n_w :])


@njit(nogil=True, fastmath=_FAST)
def _accumulate(i: int, rows: int, a: FloatArray, c: FloatArray, out: FloatArray) -> None:
    """out[:rows] += a[i : i + rows] c; four rows but at the end, four columns of a for every sum stored."""
    n, m = c.shape
    k = 0
    if rows == 4:
        o0, o1, o2, o3 = out[0], out[1], out[2], out[3]
        while k + 4 <= n:
            a00, a01, a02, a03 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            a10, a11, a12, a13 = a[i + 1, k], a[i + 1, k + 1], a[i + 1, k + 2], a[i + 1, k + 3]
            a20, a21, a22, a23 = a[i + 2, k], a[i + 2, k + 1], a[i + 2, k + 2], a[i + 2, k + 3]
            a30, a31, a32, a33 = a[i + 3, k], a[i + 3, k + 1], a[i + 3, k + 2], a[i + 3, k + 3]
            c0, c1, c2, c3 = c[k], c[k + 1], c[k + 2], c[k + 3]
            for j in range(m):
                v0, v1, v2, v3 = c0[j], c1[j], c2[j], c3[j]
                o0[j] += (a00 * v0 + a01 * v1) + (a02 * v2 + a03 * v3)
                o1[j] += (a10 * v0 + a11 * v1) + (a12 * v2 + a13 * v3)
                o2[j] += (a20 * v0 + a21 * v1) + (a22 * v2 + a23 * v3)
                o3[j] += (a30 * v0 + a31 * v1) + (a32 * v2 + a33 * v3)
            k += 4
    while k < n:
        for r in range(rows):
            value = a[i + r, k]
            for j in range(m):
                out[r, j] += value * c[k, j]
        k += 1


@njit(cache=True, nogil=True)
def combine(
    start: int,
    stop: int,
    x: FloatArray,
    w: FloatArray,
    p: FloatArray,
    c_x: FloatArray,
    c_w: FloatArray,
    c_p: FloatArray,
    new_x: FloatArray,
    new_p: FloatArray,
) -> None:
    """[new_x new_p] = x c_x + w c_w + p c_p, row by row; new_x may be x, new_p may be w or p.

    Parameters
    ----------
    x, w, p : float64[n, n_x], float64[n, n_w], float64[n, n_p]
    c_x, c_w, c_p : float64[n_x, m], float64[n_w, m], float64[n_p, m]
        m is the number of columns of new_x and new_p together.
    new_x, new_p : float64[n, .]
        Overwritten.
    """
    n, m, m_x = x.shape[0], c_x.shape[1], new_x.shape[1]
    out = np.zeros((4, m))
    for c in range(start, stop):
        i, last = c * CHUNK, min((c + 1) * CHUNK, n)
        while i < last:
            rows = min(4, last - i)
            out[:] = 0.0
            _accumulate(i, rows, x, c_x, out)
            _accumulate(i, rows, w, c_w, out)
            _accumulate(i, rows, p, c_p, out)
            for r in range(rows):
                for j in range(m_x):
                    new_x[i + r, j] = out[r, j]
                for j in range(m - m_x):
                    new_p[i + r, j] = out[r, m_x + j]
            i += rows


@njit(cache=True, nogil=True, fastmath=_FAST)
def deflate(start: int, stop: int, basis: FloatArray, share: FloatArray, w: FloatArray) -> None:
    """w -= basis share, for chunks of rows; basis float64[n, k], share float64[k, m], w float64[n, m]."""
    n, k = basis.shape
    for c in range(start, stop):
        for i in range(c * CHUNK, min((c + 1) * CHUNK, n)):
            for p in range(k):
                value = basis[i, p]
                for q in range(w.shape[1]):
                    w[i, q] -= value * share[p, q]


@njit(cache=True, nogil=True)
def residuals(
    start: int,
    stop: int,
    free: BoolArray,
    kx: FloatArray,
    gx: FloatArray,
    nu: FloatArray,
    columns: FloatArray,
    scale: FloatArray,
    out: FloatArray,
    parts: FloatArray,
) -> None:
    """out = scale (G x - nu K x) on free unknowns, 0 on the others; for some columns and chunks of rows.

    Parameters
    ----------
    free : bool[n]
    kx, gx : float64[n, m]
        K x and G x, of any value at fixed unknowns.
    nu : float64[m]
    columns : int64[k]
        Which columns.
    scale : float64[k]
    out : float32 or float64[n, k]
        Overwritten.
    parts : float64[n_chunks, k]
        Overwritten: squares of the residual (without scale), summed over a chunk.
    """
    n, k = out.shape
    for c in range(start, stop):
        parts[c] = 0.0
        for i in range(c * CHUNK, min((c + 1) * CHUNK, n)):
            if free[i]:
                for q in range(k):
                    j = columns[q]
                    r = gx[i, j] - nu[j] * kx[i, j]
                    parts[c, q] += r * r
                    out[i, q] = scale[q] * r
            else:
                for q in range(k):
                    out[i, q] = 0.0


@njit(cache=True, nogil=True)
def taken(
    start: int, stop: int, f: FloatArray, z: FloatArray, gain: FloatArray, w: FloatArray, parts: FloatArray
) -> None:
    """w = gain z in double precision, and parts[c] = f . z over chunk c, column by column.

    Parameters
    ----------
    f, z : float32 or float64[n, k]
        A residual, and what a preconditioner made of it.
    gain : float64[k]
    w : float64[n, k]
        Overwritten.
    parts : float64[n_chunks, k]
        Overwritten.
    """
    n, k = w.shape
    for c in range(start, stop):
        parts[c] = 0.0
        for i in range(c * CHUNK, min((c + 1) * CHUNK, n)):
            for q in range(k):
                value = float(z[i, q])
                parts[c, q] += float(f[i, q]) * value
                w[i, q] = gain[q] * value
