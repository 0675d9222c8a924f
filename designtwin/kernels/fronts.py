"""Multifrontal factorization: the tree of fronts, their assembly, dense elimination, and solving with them.

A front is a dense symmetric matrix, lower triangle, columns one after another: k unknowns to eliminate and
the m - k they touch. Its first k columns stay as factor (leading dimension m); the rest, the update, goes to
the parent's front. Unknowns are numbered in order of elimination, vertices (nodes or extra unknowns) too.

BLAS and LAPACK are called through addresses in an int64 table, so that one kernel serves every precision and
nothing of them is frozen into the cache. Fronts are eliminated by Cholesky (L L^T) or, indefinite or complex
ones, as L D L^T with 1x1 and 2x2 pivots inside blocks of a front.

Source: Duff & Reid, The multifrontal solution of indefinite sparse symmetric linear equations, ACM TOMS 9
(1983); Liu, The multifrontal method for sparse matrix solution, SIAM Review 34 (1992); row counts and
elimination tree: Davis, Direct Methods for Sparse Linear Systems (2006), ch. 4.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

PIVOT_BLOCK = 128  # unknowns among which an indefinite front looks for pivots

# places in the tables of addresses and letters
_POTRF, _TRSM, _SYRK, _GEMM, _SYTRF, _SYCONV, _GEMV, _TRSV = range(8)
_L, _R, _N, _T, _U, _C = range(6)
_AT_LETTERS, _AT_ONE, _AT_SIZE = 8, 9, 10
_ONE, _MINUS, _ZERO = range(3)
_STRIP = 64  # columns updated at a time in indefinite fronts
LETTERS = b"LRNTUC"
ROUTINES = ("potrf", "trsm", "syrk", "gemm", "sytrf", "syconv", "gemv", "trsv")


@intrinsic
def _call(typingctx, address, arguments):
    """Call a C function that takes pointers alone and returns nothing."""
    count = len(arguments)

    def codegen(context, builder, signature, args):
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer] * count)
        function = builder.inttoptr(args[0], kind.as_pointer())
        values = cgutils.unpack_tuple(builder, args[1], count)
        builder.call(function, [builder.inttoptr(value, pointer) for value in values])
        return context.get_dummy_value()

    return types.void(address, arguments), codegen


@intrinsic
def _pointer(typingctx, address, like):
    """An address as pointer to numbers of the type of array `like`."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(like.dtype)(address, like), codegen


# ---- the tree ----------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def elimination_tree(indptr, indices, perm, place, parent):
    """Parent of every column in order of elimination, -1 at roots; parent int32[n] overwritten."""
    n = perm.shape[0]
    ancestor = np.full(n, -1, np.int32)
    parent[:] = -1
    for i in range(n):
        v = perm[i]
        for e in range(indptr[v], indptr[v + 1]):
            j = place[indices[e]]
            while j != -1 and j < i:
                up = ancestor[j]
                ancestor[j] = i
                if up == -1:
                    parent[j] = i
                j = up


@njit(cache=True, nogil=True)
def postorder(parent, order):
    """Children before parents, subtree by subtree; order int32[n] overwritten."""
    n = parent.shape[0]
    head = np.full(n, -1, np.int32)
    following = np.full(n, -1, np.int32)
    for i in range(n - 1, -1, -1):
        if parent[i] >= 0:
            following[i] = head[parent[i]]
            head[parent[i]] = i
    stack = np.empty(n, np.int32)
    at = 0
    for root in range(n):
        if parent[root] >= 0:
            continue
        top = 0
        stack[0] = root
        while top >= 0:
            i = stack[top]
            child = head[i]
            if child >= 0:
                head[i] = following[child]
                top += 1
                stack[top] = child
            else:
                order[at] = i
                at += 1
                top -= 1


@njit(cache=True, nogil=True)
def column_counts(indptr, indices, perm, place, parent, weight, vertices, unknowns):
    """Vertices and unknowns in every column of the factor, diagonal included; int32[n] each, overwritten."""
    n = perm.shape[0]
    mark = np.full(n, -1, np.int32)
    for i in range(n):
        vertices[i] = 1
        unknowns[i] = weight[perm[i]]
    for i in range(n):
        mark[i] = i
        v = perm[i]
        for e in range(indptr[v], indptr[v + 1]):
            j = place[indices[e]]
            if j < i:
                while mark[j] != i:
                    mark[j] = i
                    vertices[j] += 1
                    unknowns[j] += weight[v]
                    j = parent[j]


@njit(cache=True, nogil=True)
def _seconds(k, m):
    """Model of the time to assemble and eliminate a front, in multiply-adds of a large one."""
    r = m - k
    flops = k * (r * (r + k) + k * k / 3.0)
    return flops * (1.0 + 20.0 / k) + 20.0 * r * r + 4.0 * k * m + 1.5e5


@njit(cache=True, nogil=True)
def make_fronts(parent, perm, weight, vertices, unknowns, front_of):
    """Gather columns into fronts: equal structure first, then where a few zeros cost less than a front more.

    Parameters
    ----------
    parent, perm, vertices, unknowns : int32[n]
        Tree in postorder and its column counts.
    front_of : int32[n]
        Overwritten: the last column of the front that eliminates a column.

    Source: Ashcraft & Grimes, The influence of relaxed supernode partitions, ACM TOMS 15 (1989).
    """
    n = parent.shape[0]
    k = np.zeros(n, np.float64)
    m = np.zeros(n, np.float64)
    extra = np.zeros(n, np.float64)
    head = np.full(n, -1, np.int32)
    following = np.full(n, -1, np.int32)
    last = np.empty(n, np.int32)
    at = n - 1
    while at >= 0:  # runs of columns with one structure
        low = at
        while low > 0 and parent[low - 1] == low and vertices[low - 1] == vertices[low] + 1:
            low -= 1
        for j in range(low, at + 1):
            last[j] = at
        at = low - 1
    for j in range(n):
        s = last[j]
        k[s] += weight[perm[j]]
        m[s] = max(m[s], unknowns[j])
    into = np.arange(n).astype(np.int32)
    for s in range(n):
        if last[s] != s:
            continue
        # children of s: fronts whose last column's parent lies in s; already linked below
        child = head[s]
        kept = np.int32(-1)
        while child >= 0:
            after = following[child]
            kk, mm = k[child] + k[s], k[child] + m[s]
            zeros = kk * mm - k[child] * m[child] - k[s] * m[s] + extra[child] + extra[s]
            few = zeros < 0.12 * kk * mm or kk < 24
            # a child as high as the parent's own rows cannot save anything by staying apart
            if _seconds(kk, mm) < _seconds(k[child], m[child]) + _seconds(k[s], m[s]) and few:
                k[s], m[s], extra[s] = kk, mm, zeros
                into[child] = s
                grand = head[child]
                while grand >= 0:
                    more = following[grand]
                    following[grand] = kept
                    kept = grand
                    grand = more
            else:
                following[child] = kept
                kept = child
            child = after
        head[s] = kept
        up = parent[s]
        if up >= 0:
            up = last[up]
            following[s] = head[up]
            head[up] = s
    for j in range(n - 1, -1, -1):
        s = last[j]
        front_of[j] = s if into[s] == s else front_of[into[s]]


@njit(cache=True, nogil=True)
def row_structure(indptr, indices, perm, place, pivot_at, child_start, children, row_start, rows, filling):
    """Vertices below the pivots of every front, in any order.

    Parameters
    ----------
    pivot_at : int32[n_fronts + 1]
        First pivot vertex of every front.
    child_start, children : int32
        Children of every front.
    row_start : int64[n_fronts + 1]
        Read; the counts must be exact.
    rows : int32[row_start[-1]]
        Overwritten.
    filling : int64[n_fronts]
        Overwritten with the rows found; equals the differences of row_start.
    """
    n = perm.shape[0]
    mark = np.full(n, -1, np.int32)
    for f in range(pivot_at.shape[0] - 1):
        at = row_start[f]
        end = pivot_at[f + 1]
        for p in range(pivot_at[f], end):
            v = perm[p]
            for e in range(indptr[v], indptr[v + 1]):
                q = place[indices[e]]
                if q >= end and mark[q] != f:
                    mark[q] = f
                    if at < row_start[f + 1]:
                        rows[at] = q
                    at += 1
        for c in range(child_start[f], child_start[f + 1]):
            child = children[c]
            for e in range(row_start[child], row_start[child + 1]):
                q = rows[e]
                if q >= end and mark[q] != f:
                    mark[q] = f
                    if at < row_start[f + 1]:
                        rows[at] = q
                    at += 1
        filling[f] = at - row_start[f]


# ---- dense pieces ------------------------------------------------------------------------------------------
#
# `lib` int64[11] is what BLAS calls need by address: routines in the order of ROUTINES, then the letters
# LETTERS and the constants 1, -1, 0, which the caller keeps alive; last a number's bytes. `p` int32[8] has
# room for sizes. Matrices come as addresses. Cholesky passes None for d, e and swap: its kernels then hold
# no code for pivots.


@njit(cache=True, nogil=True)
def _trsm(lib, p, side, trans, diagonal, m, n, a, lda, b, ldb):
    p[0], p[1], p[2], p[3] = m, n, lda, ldb
    q, t = p.ctypes.data, lib[_AT_LETTERS]
    _call(
        lib[_TRSM],
        (t + side, t + _L, t + trans, t + diagonal, q, q + 4, lib[_AT_ONE], a, q + 8, b, q + 12),
    )


@njit(cache=True, nogil=True)
def _gemm(lib, p, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, out, ldo):
    p[0], p[1], p[2], p[3], p[4], p[5] = m, n, k, lda, ldb, ldo
    q, t, o, i = p.ctypes.data, lib[_AT_LETTERS], lib[_AT_ONE], lib[_AT_SIZE]
    x, y = o + i * alpha, o + i * beta
    _call(lib[_GEMM], (t + ta, t + tb, q, q + 4, q + 8, x, a, q + 12, b, q + 16, y, out, q + 20))


@njit(cache=True, nogil=True)
def _gemv(lib, p, trans, m, n, alpha, a, lda, x, beta, y):
    p[0], p[1], p[2], p[3] = m, n, lda, 1
    q, t, o, i = p.ctypes.data, lib[_AT_LETTERS], lib[_AT_ONE], lib[_AT_SIZE]
    _call(lib[_GEMV], (t + trans, q, q + 4, o + i * alpha, a, q + 8, x, q + 12, o + i * beta, y, q + 12))


@njit(cache=True, nogil=True)
def _trsv(lib, p, trans, diagonal, n, a, lda, x):
    p[0], p[1], p[2] = n, lda, 1
    q, t = p.ctypes.data, lib[_AT_LETTERS]
    _call(lib[_TRSV], (t + _L, t + trans, t + diagonal, q, a, q + 4, x, q + 8))


@njit(cache=True, nogil=True)
def _diagonal(lib, p, base, m, p0, p1, at, d, e, swap, least, report):
    """Factor the diagonal block p0:p1 of a front in place; False where Cholesky meets no positive pivot.

    d, e, swap are pivots, couplings of 2x2 pivots, interchanges (from 1, negative for 2x2), from `at` on for
    this front. report int64[4] counts negative pivots, 2x2 pivots, pivots lifted to `least`.
    """
    n = p1 - p0
    a = base + lib[_AT_SIZE] * (p0 * m + p0)
    p[0], p[1], p[3] = n, m, n * 64
    q, t = p.ctypes.data, lib[_AT_LETTERS]
    if d is None:
        _call(lib[_POTRF], (t + _L, q, a, q + 4, q + 8))
        return p[2] == 0
    work = np.empty(n * 64, d.dtype)
    ipiv = swap[at + p0 : at + p1]
    _call(lib[_SYTRF], (t + _L, q, a, q + 4, ipiv.ctypes.data, work.ctypes.data, q + 12, q + 8))
    _call(lib[_SYCONV], (t + _L, t + _C, q, a, q + 4, ipiv.ctypes.data, work.ctypes.data, q + 8))
    block = carray(_pointer(a, d), ((n - 1) * m + n,))
    j = 0
    while j < n:
        i = at + p0 + j
        d[i] = block[j * m + j]
        e[i] = 0.0
        if ipiv[j] > 0:
            if abs(d[i]) < least:
                d[i] = -least if d[i].real < 0.0 else least
                report[2] += 1
            if d[i].real < 0.0:
                report[0] += 1
            j += 1
        else:
            e[i] = work[j]
            e[i + 1] = 0.0
            d[i + 1] = block[(j + 1) * m + j + 1]
            report[0] += 1  # Bunch and Kaufman take 2x2 pivots of negative determinant alone
            report[1] += 1
            j += 2
    return work[0] == work[0]  # holds the work array until LAPACK is done with it


@njit(cache=True, nogil=True)
def _below(lib, p, base, m, p0, p1, r0, r1, at, d, e, swap):
    """Rows r0:r1 of the columns p0:p1, below a factored diagonal block: solve for the factor."""
    n = p1 - p0
    a = base + lib[_AT_SIZE] * (p0 * m + p0)
    x = base + lib[_AT_SIZE] * (p0 * m + r0)
    if d is None:
        _trsm(lib, p, _R, _T, _N, r1 - r0, n, a, m, x, m)
        return
    v = carray(_pointer(x, d), ((n - 1) * m + r1 - r0,))
    j = 0
    while j < n:
        i = j
        other = swap[at + p0 + j] - 1
        step = 1
        if other < 0:
            i = j + 1
            other = -swap[at + p0 + j] - 1
            step = 2
        if other != i:
            for r in range(r1 - r0):
                v[i * m + r], v[other * m + r] = v[other * m + r], v[i * m + r]
        j += step
    _trsm(lib, p, _R, _T, _U, r1 - r0, n, a, m, x, m)
    j = 0
    while j < n:
        d0 = d[at + p0 + j]
        if e[at + p0 + j] == 0.0:
            inverse = 1.0 / d0
            for r in range(r1 - r0):
                v[j * m + r] *= inverse
            j += 1
        else:
            off, d1 = e[at + p0 + j], d[at + p0 + j + 1]
            a0, a1 = d0 / off, d1 / off
            scale = 1.0 / (off * (a0 * a1 - 1.0))
            for r in range(r1 - r0):
                y0, y1 = v[j * m + r], v[(j + 1) * m + r]
                v[j * m + r] = (a1 * y0 - y1) * scale
                v[(j + 1) * m + r] = (a0 * y1 - y0) * scale
            j += 2


@njit(cache=True, nogil=True)
def _update(lib, p, base, m, p0, p1, r0, r1, c0, c1, out, ldo, at, d, e):
    """Take L[r0:r1] D L[c0:c1]^T of the columns p0:p1 from `out`, whose first entry is row c0, column c0.

    r0 is c0 (then rows of the diagonal block count below the diagonal alone) or not less than c1.
    """
    k, n = p1 - p0, c1 - c0
    size = lib[_AT_SIZE]
    left = base + size * (p0 * m)
    if d is None:
        if r0 == c0:
            p[0], p[1], p[2], p[3] = n, k, m, ldo
            q, t, o = p.ctypes.data, lib[_AT_LETTERS], lib[_AT_ONE]
            _call(lib[_SYRK], (t + _L, t + _N, q, q + 4, o + size, left + size * c0, q + 8, o, out, q + 12))
            r0 = c1
        if r1 > r0:
            rows, to = left + size * r0, out + size * (r0 - c0)
            _gemm(lib, p, _N, _T, r1 - r0, n, k, _MINUS, rows, m, left + size * c0, m, _ONE, to, ldo)
        return
    scaled = np.empty(n * k, d.dtype)
    v = carray(_pointer(left + size * c0, d), ((k - 1) * m + n,))
    j = 0
    while j < k:
        d0 = d[at + p0 + j]
        if e[at + p0 + j] == 0.0:
            for r in range(n):
                scaled[j * n + r] = d0 * v[j * m + r]
            j += 1
        else:
            off, d1 = e[at + p0 + j], d[at + p0 + j + 1]
            for r in range(n):
                x0, x1 = v[j * m + r], v[(j + 1) * m + r]
                scaled[j * n + r] = d0 * x0 + off * x1
                scaled[(j + 1) * n + r] = off * x0 + d1 * x1
            j += 2
    rows, to = left + size * r0, out + size * (r0 - c0)
    _gemm(lib, p, _N, _T, r1 - r0, n, k, _MINUS, rows, m, scaled.ctypes.data, n, _ONE, to, ldo)
    scaled[0] = d0  # holds the array until BLAS is done with it


@njit(cache=True, nogil=True)
def _eliminate(lib, p, base, k, m, update, at, d, e, swap, least, report):
    """Eliminate the k pivots of a front, in place; its update minus what they contribute."""
    r = m - k
    if d is None:
        if not _diagonal(lib, p, base, m, 0, k, at, d, e, swap, least, report):
            return False
        if r > 0:
            _below(lib, p, base, m, 0, k, k, m, at, d, e, swap)
            _update(lib, p, base, m, 0, k, k, m, k, m, update, r, at, d, e)
        return True
    size = lib[_AT_SIZE]
    p0 = 0
    while p0 < k:
        p1 = min(k, p0 + PIVOT_BLOCK)
        if not _diagonal(lib, p, base, m, p0, p1, at, d, e, swap, least, report):
            return False
        if p1 < m:
            _below(lib, p, base, m, p0, p1, p1, m, at, d, e, swap)
        for c0 in range(p1, k, _STRIP):
            out = base + size * (c0 * m + c0)
            _update(lib, p, base, m, p0, p1, c0, m, c0, min(k, c0 + _STRIP), out, m, at, d, e)
        p0 = p1
    for c0 in range(k, m, _STRIP):
        out = update + size * ((c0 - k) * r + c0 - k)
        _update(lib, p, base, m, 0, k, c0, m, c0, min(m, c0 + _STRIP), out, r, at, d, e)
    return True


@njit(cache=True, nogil=True)
def _assemble(
    f, begin, end, tree, updates, panel, update, indptr, indices, data, source, target, scale, spot, related
):
    """Columns begin:end of front f: entries of the matrix and updates of the children, lower triangle.

    panel and update (flat) are overwritten in these columns; spot and related int32[n] are scratch.
    """
    pivot, order, height, row_start, rows, first, child_start, children = tree
    k, m = order[f], height[f]
    r = m - k
    low = first[pivot[f]]
    for i in range(k):
        spot[low + i] = i
    at = k
    for x in range(row_start[f], row_start[f + 1]):
        v = rows[x]
        for dof in range(first[v], first[v + 1]):
            spot[dof] = at
            at += 1
    for c in range(begin, min(end, k)):
        panel[c * m + c : (c + 1) * m] = 0.0
    for c in range(max(begin, k), end):
        update[(c - k) * r + c - k : (c - k + 1) * r] = 0.0
    b = data.shape[1]
    for c in range(begin, min(end, k)):
        mine = source[low + c]
        row, i = mine // b, mine % b
        for x in range(indptr[row], indptr[row + 1]):
            base = indices[x] * b
            for j in range(b):
                to = target[base + j]
                if to >= low + c:
                    value = data[x, i, j] * scale[mine] * scale[base + j]
                    panel[c * m + spot[to]] += value
    for y in range(child_start[f], child_start[f + 1]):
        child = children[y]
        rc = height[child] - order[child]
        if rc == 0:
            continue
        at = 0
        for x in range(row_start[child], row_start[child + 1]):
            v = rows[x]
            for dof in range(first[v], first[v + 1]):
                related[at] = spot[dof]
                at += 1
        theirs = carray(_pointer(updates[child], panel), (rc * rc,))
        for j in range(rc):
            c = related[j]
            if c < begin:
                continue
            if c >= end:
                break
            if c < k:
                for i in range(j, rc):
                    panel[c * m + related[i]] += theirs[j * rc + i]
            else:
                shift = (c - k) * r - k
                for i in range(j, rc):
                    update[shift + related[i]] += theirs[j * rc + i]


@njit(cache=True, nogil=True)
def assemble_columns(
    start, stop, grain, f, tree, updates, values, offset, update, indptr, indices, data, source, target, scale
):
    """Columns start*grain : stop*grain of one large front (see `_assemble`)."""
    m, k = tree[2][f], tree[1][f]
    n = target.shape[0]
    spot = np.empty(n, np.int32)
    related = np.empty(n, np.int32)
    panel = values[offset[f] : offset[f] + k * m]
    _assemble(
        f,
        start * grain,
        min(m, stop * grain),
        tree,
        updates,
        panel,
        update,
        indptr,
        indices,
        data,
        source,
        target,
        scale,
        spot,
        related,
    )


@njit(cache=True, nogil=True)
def factor_subtree(
    begin,
    end,
    tree,
    updates,
    values,
    offset,
    stack,
    last_update,
    d,
    e,
    swap,
    indptr,
    indices,
    data,
    source,
    target,
    scale,
    lib,
    least,
    report,
):
    """Assemble and eliminate the fronts begin:end, a subtree in postorder, its root last.

    Parameters
    ----------
    tree : tuple of arrays
        pivot int32[n_fronts + 1] (first pivot vertex), order, height int32[n_fronts] (k, m), row_start
        int64, rows int32, first int32[n_vertices + 1] (first unknown of a vertex), child_start, children.
    updates : int64[n_fronts]
        Overwritten: address of the update of each front, while it lives.
    values, offset : float[.], int64[n_fronts]
        The factor, overwritten in these fronts.
    stack : float[.]
        Room for updates of the subtree.
    last_update : float[.]
        Overwritten with the update of the root, which outlives the stack.
    d, e, swap : float[n], float[n], int32[n], or None
        Pivots of L D L^T, overwritten in these fronts; None for Cholesky.
    indptr, indices, data : int32, int32, float64[., b, b]
        The matrix, blocks by rows, both triangles.
    source, target, scale : int64[n], int32[n_dof], float64[n_dof]
        Unknown eliminated at each place; place of each unknown, -1 where fixed; factor of rows and columns.
    lib : int64[11]
        See above.
    report : int64[4]
        Added to: negative pivots, 2x2 pivots, lifted pivots; [3] is the unknown (from 1) of the front that
        is not positive definite.
    """
    order, height, child_start, children = tree[1], tree[2], tree[6], tree[7]
    spot = np.empty(target.shape[0], np.int32)
    related = np.empty(target.shape[0], np.int32)
    p = np.empty(8, np.int32)
    size = lib[_AT_SIZE]
    top = 0
    for f in range(begin, end):
        k, m = np.int64(order[f]), np.int64(height[f])
        r = m - k
        below = top
        for y in range(child_start[f], child_start[f + 1]):
            rc = np.int64(height[children[y]] - order[children[y]])
            below -= rc * rc
        panel = values[offset[f] : offset[f] + k * m]
        update = last_update[: r * r] if f == end - 1 else stack[top : top + r * r]
        _assemble(
            f, 0, m, tree, updates, panel, update, indptr, indices, data, source, target, scale, spot, related
        )
        at = tree[5][tree[0][f]]
        base, out = panel.ctypes.data, update.ctypes.data
        if not _eliminate(lib, p, base, k, m, out, at, d, e, swap, least, report):
            report[3] = at + 1
            return
        if f == end - 1:
            updates[f] = last_update.ctypes.data
            return
        if below < top:
            for c in range(r):  # down to where the children were; columns move in order, so none is lost
                for i in range(c * r + c, (c + 1) * r):
                    stack[below + i] = stack[top + i]
        updates[f] = stack.ctypes.data + size * below
        top = below + r * r


@njit(cache=True, nogil=True)
def factor_block(f, p0, p1, tree, values, offset, d, e, swap, lib, least, report):
    """Factor the diagonal block p0:p1 of one large front."""
    at, m = tree[5][tree[0][f]], np.int64(tree[2][f])
    base = values.ctypes.data + lib[_AT_SIZE] * offset[f]
    if not _diagonal(lib, np.empty(8, np.int32), base, m, p0, p1, at, d, e, swap, least, report):
        report[3] = at + p0 + 1


@njit(cache=True, nogil=True)
def factor_below(start, stop, grain, f, p0, p1, tree, values, offset, d, e, swap, lib):
    """Rows p1 + grain * (start:stop) of the block of columns p0:p1 of one large front."""
    at, m = tree[5][tree[0][f]], np.int64(tree[2][f])
    base = values.ctypes.data + lib[_AT_SIZE] * offset[f]
    p = np.empty(8, np.int32)
    for chunk in range(start, stop):
        r0, r1 = p1 + chunk * grain, min(m, p1 + (chunk + 1) * grain)
        _below(lib, p, base, m, p0, p1, r0, r1, at, d, e, swap)


@njit(cache=True, nogil=True)
def factor_tiles(start, stop, f, p0, p1, tiles, tree, values, offset, update, d, e, lib):
    """Tiles (r0, r1, c0, c1) of a large front minus what the columns p0:p1 contribute; tiles int64[., 4]."""
    at, m, k = tree[5][tree[0][f]], np.int64(tree[2][f]), np.int64(tree[1][f])
    size = lib[_AT_SIZE]
    base = values.ctypes.data + size * offset[f]
    p = np.empty(8, np.int32)
    r = m - k
    for t in range(start, stop):
        r0, r1, c0, c1 = tiles[t, 0], tiles[t, 1], tiles[t, 2], tiles[t, 3]
        if c0 < k:
            out, ldo = base + size * (c0 * m + c0), m
        else:
            out, ldo = update.ctypes.data + size * ((c0 - k) * r + c0 - k), r
        _update(lib, p, base, m, p0, p1, r0, r1, c0, c1, out, ldo, at, d, e)


# ---- solving -----------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _turn(x, begin, swap, at, count, columns, back):
    """Interchanges of a block on rows of x from x[begin] on, in order or back."""
    j = 0 if not back else count - 1
    while j >= 0 and j < count:
        pair = swap[at + j] < 0
        if back and pair:
            j -= 1  # the pair's record stands twice; its first place is meant
        i = j + 1 if pair else j
        other = (-swap[at + j] if pair else swap[at + j]) - 1
        if other != i:
            for c in range(columns):
                one, two = begin + i * columns + c, begin + other * columns + c
                x[one], x[two] = x[two], x[one]
        if back:
            j -= 1
        else:
            j += 2 if pair else 1


@njit(cache=True, nogil=True)
def _rows_of(f, tree, out):
    """Unknowns below the pivots of front f, in order."""
    at = 0
    for x in range(tree[3][f], tree[3][f + 1]):
        v = tree[4][x]
        for dof in range(tree[5][v], tree[5][v + 1]):
            out[at] = dof
            at += 1


@njit(cache=True, nogil=True)
def _solve_block(lib, p, back, unit, columns, n, block, m, y):
    """Solve with the triangle of a block for rows y[n, columns]."""
    if columns == 1:
        _trsv(lib, p, _T if back else _N, unit, n, block, m, y)
    else:
        _trsm(lib, p, _R, _N if back else _T, unit, columns, n, block, m, y, columns)


@njit(cache=True, nogil=True)
def _apply_block(lib, p, back, columns, rows, n, alpha, block, m, y, beta, z):
    """z[rows] = alpha * block y[n] + beta * z, or back: z[n] = alpha * block^T y[rows] + beta * z."""
    if columns == 1:
        _gemv(lib, p, _T if back else _N, rows, n, alpha, block, m, y, beta, z)
    elif back:
        _gemm(lib, p, _N, _N, columns, n, rows, alpha, y, columns, block, m, beta, z, columns)
    else:
        _gemm(lib, p, _N, _T, columns, rows, n, alpha, y, columns, block, m, beta, z, columns)


@njit(cache=True, nogil=True)
def forward(begin, end, tree, values, offset, swap, x, columns, shared, beyond, lib):
    """Solve with the lower factor of the fronts begin:end.

    Parameters
    ----------
    swap : int32[n] or None
        None for Cholesky.
    x : float[n * columns]
        Right-hand sides in order of elimination, the columns of an unknown side by side; overwritten in the
        unknowns of these fronts.
    shared, beyond : int, float[(n - shared) * columns]
        What the fronts contribute to unknowns from `shared` on is added to `beyond` instead of x, so that
        subtrees can run side by side.
    """
    size = lib[_AT_SIZE]
    p = np.empty(8, np.int32)
    tallest = np.int64(0)
    for f in range(begin, end):
        tallest = max(tallest, np.int64(tree[2][f] - tree[1][f]))
    term = np.empty(tallest * columns + 1, values.dtype)
    rows = np.empty(tallest, np.int32)
    for f in range(begin, end):
        k, m = np.int64(tree[1][f]), np.int64(tree[2][f])
        base = values.ctypes.data + size * offset[f]
        at = np.int64(tree[5][tree[0][f]])
        b = x.ctypes.data + size * at * columns
        if swap is None:
            _solve_block(lib, p, False, _N, columns, k, base, m, b)
        else:
            for p0 in range(0, k, PIVOT_BLOCK):
                p1 = min(k, p0 + PIVOT_BLOCK)
                n = p1 - p0
                _turn(x, (at + p0) * columns, swap, at + p0, n, columns, False)
                block, y = base + size * (p0 * m + p0), b + size * p0 * columns
                _solve_block(lib, p, False, _U, columns, n, block, m, y)
                if p1 < k:
                    z = b + size * p1 * columns
                    _apply_block(lib, p, False, columns, k - p1, n, _MINUS, block + size * n, m, y, _ONE, z)
        r = m - k
        if r == 0:
            continue
        _apply_block(lib, p, False, columns, r, k, _ONE, base + size * k, m, b, _ZERO, term.ctypes.data)
        _rows_of(f, tree, rows)
        for i in range(r):
            to = np.int64(rows[i])
            if to < shared:
                for c in range(columns):
                    x[to * columns + c] -= term[i * columns + c]
            else:
                for c in range(columns):
                    beyond[(to - shared) * columns + c] -= term[i * columns + c]


@njit(cache=True, nogil=True)
def backward(begin, end, tree, values, offset, d, e, swap, x, columns, lib):
    """Divide by pivots, solve with the transposed factor, fronts end - 1 down to begin; x overwritten."""
    size = lib[_AT_SIZE]
    p = np.empty(8, np.int32)
    tallest = np.int64(0)
    for f in range(begin, end):
        tallest = max(tallest, np.int64(tree[2][f] - tree[1][f]))
    term = np.empty(tallest * columns + 1, values.dtype)
    rows = np.empty(tallest, np.int32)
    for f in range(end - 1, begin - 1, -1):
        k, m = np.int64(tree[1][f]), np.int64(tree[2][f])
        r = m - k
        base = values.ctypes.data + size * offset[f]
        at = np.int64(tree[5][tree[0][f]])
        b = x.ctypes.data + size * at * columns
        if d is not None:
            _divide(x, at, k, columns, d, e)
        if r > 0:
            _rows_of(f, tree, rows)
            for i in range(r):
                for c in range(columns):
                    term[i * columns + c] = x[np.int64(rows[i]) * columns + c]
            _apply_block(lib, p, True, columns, r, k, _MINUS, base + size * k, m, term.ctypes.data, _ONE, b)
        if d is None:
            _solve_block(lib, p, True, _N, columns, k, base, m, b)
        else:
            p0 = ((k - 1) // PIVOT_BLOCK) * PIVOT_BLOCK
            while p0 >= 0:
                p1 = min(k, p0 + PIVOT_BLOCK)
                n = p1 - p0
                block, y = base + size * (p0 * m + p0), b + size * p0 * columns
                if p1 < k:
                    z = b + size * p1 * columns
                    _apply_block(lib, p, True, columns, k - p1, n, _MINUS, block + size * n, m, z, _ONE, y)
                _solve_block(lib, p, True, _U, columns, n, block, m, y)
                _turn(x, (at + p0) * columns, swap, at + p0, n, columns, True)
                p0 -= PIVOT_BLOCK
    term[0] = values[0]  # holds the array until BLAS is done with it


@njit(cache=True, nogil=True)
def _divide(x, at, k, columns, d, e):
    """Unknowns at:at + k over their pivots."""
    j = at
    while j < at + k:
        if e[j] == 0.0:
            inverse = 1.0 / d[j]
            for c in range(columns):
                x[j * columns + c] *= inverse
            j += 1
        else:
            off = e[j]
            a0, a1 = d[j] / off, d[j + 1] / off
            scale = 1.0 / (off * (a0 * a1 - 1.0))
            for c in range(columns):
                y0, y1 = x[j * columns + c], x[(j + 1) * columns + c]
                x[j * columns + c] = (a1 * y0 - y1) * scale
                x[(j + 1) * columns + c] = (a0 * y1 - y0) * scale
            j += 2
