"""Multifrontal factorization: the tree of fronts, their assembly, dense elimination, and solving with them.

A front is a dense symmetric matrix, lower triangle, columns one after another: k unknowns to eliminate and
the m - k they touch. Its first k columns stay as factor (leading dimension m); the rest, the update, goes to
the parent's front. Unknowns are numbered in order of elimination, vertices (nodes or extra unknowns) too.

BLAS and LAPACK are called through addresses in int64 tables, so that one kernel serves every precision and
nothing of them is frozen into the cache. Elimination kinds: 0 Cholesky (L L^T), 1 symmetric indefinite
(L D L^T, 1x1 and 2x2 pivots inside blocks of a front).

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
    """Vertices below the pivots of every front, ascending.

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
        rows[row_start[f] : min(at, row_start[f + 1])].sort()


# ---- dense pieces ------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _trsm(lib, side, trans, diagonal, m, n, a, lda, b, ldb):
    f, s, c, p = lib
    p[0], p[1], p[2], p[3] = m, n, lda, ldb
    q, t = p.ctypes.data, s.ctypes.data
    _call(
        f[_TRSM],
        (t + side, t + _L, t + trans, t + diagonal, q, q + 4, c.ctypes.data, a, q + 8, b, q + 12),
    )


@njit(cache=True, nogil=True)
def _gemm(lib, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, out, ldo):
    f, s, c, p = lib
    p[0], p[1], p[2], p[3], p[4], p[5] = m, n, k, lda, ldb, ldo
    q, t, o, i = p.ctypes.data, s.ctypes.data, c.ctypes.data, c.itemsize
    _call(
        f[_GEMM],
        (
            t + ta,
            t + tb,
            q,
            q + 4,
            q + 8,
            o + i * alpha,
            a,
            q + 12,
            b,
            q + 16,
            o + i * beta,
            out,
            q + 20,
        ),
    )


@njit(cache=True, nogil=True)
def _gemv(lib, trans, m, n, alpha, a, lda, x, beta, y):
    f, s, c, p = lib
    p[0], p[1], p[2], p[3] = m, n, lda, 1
    q, t, o, i = p.ctypes.data, s.ctypes.data, c.ctypes.data, c.itemsize
    _call(f[_GEMV], (t + trans, q, q + 4, o + i * alpha, a, q + 8, x, q + 12, o + i * beta, y, q + 12))


@njit(cache=True, nogil=True)
def _trsv(lib, trans, diagonal, n, a, lda, x):
    f, s, _, p = lib
    p[0], p[1], p[2] = n, lda, 1
    q, t = p.ctypes.data, s.ctypes.data
    _call(f[_TRSV], (t + _L, t + trans, t + diagonal, q, a, q + 4, x, q + 8))


# constants table: 1, -1, 0
_ONE, _MINUS, _ZERO = range(3)


@njit(cache=True, nogil=True)
def _diagonal(lib, kind, base, size, m, p0, p1, d, e, swap, least, report):
    """Factor the diagonal block p0:p1 of a front in place; False where Cholesky meets no positive pivot.

    d, e, swap are the front's own pieces: pivots, couplings of 2x2 pivots, interchanges (from 1, negative
    for 2x2). report int64[3] counts negative pivots, 2x2 pivots, pivots lifted to `least`.
    """
    f, s, _, p = lib
    n = p1 - p0
    a = base + size * (p0 * m + p0)
    p[0], p[1] = n, m
    q, t = p.ctypes.data, s.ctypes.data
    if kind == 0:
        _call(f[_POTRF], (t + _L, q, a, q + 4, q + 8))
        return p[2] == 0
    work = np.empty(n * 64, d.dtype)
    p[3] = n * 64
    ipiv = swap[p0:p1]
    _call(f[_SYTRF], (t + _L, q, a, q + 4, ipiv.ctypes.data, work.ctypes.data, q + 12, q + 8))
    _call(f[_SYCONV], (t + _L, t + _C, q, a, q + 4, ipiv.ctypes.data, work.ctypes.data, q + 8))
    block = carray(_pointer(a, d), ((n - 1) * m + n,))
    j = 0
    while j < n:
        d[p0 + j] = block[j * m + j]
        if ipiv[j] > 0:
            e[p0 + j] = 0.0
            if abs(d[p0 + j]) < least:
                d[p0 + j] = -least if d[p0 + j].real < 0.0 else least
                report[2] += 1
            if d[p0 + j].real < 0.0:
                report[0] += 1
            j += 1
        else:
            e[p0 + j] = work[j]
            e[p0 + j + 1] = 0.0
            d[p0 + j + 1] = block[(j + 1) * m + j + 1]
            report[0] += 1  # Bunch and Kaufman take 2x2 pivots of negative determinant alone
            report[1] += 1
            j += 2
    for j in range(n):
        block[j * m + j] = 1.0
    return work[0] == work[0]  # holds the work array until LAPACK is done with it


@njit(cache=True, nogil=True)
def _below(lib, kind, base, size, m, p0, p1, r0, r1, d, e, swap):
    """Rows r0:r1 of the columns p0:p1, right of a factored diagonal block: solve for the factor."""
    n = p1 - p0
    a = base + size * (p0 * m + p0)
    x = base + size * (p0 * m + r0)
    if kind == 0:
        _trsm(lib, _R, _T, _N, r1 - r0, n, a, m, x, m)
        return
    v = carray(_pointer(x, d), ((n - 1) * m + r1 - r0,))
    j = 0
    while j < n:
        i = j
        other = swap[p0 + j] - 1
        if swap[p0 + j] < 0:
            i = j + 1
            other = -swap[p0 + j] - 1
        if other != i:
            for r in range(r1 - r0):
                v[i * m + r], v[other * m + r] = v[other * m + r], v[i * m + r]
        j += 1 if swap[p0 + j] > 0 else 2
    _trsm(lib, _R, _T, _U, r1 - r0, n, a, m, x, m)
    j = 0
    while j < n:
        d0 = d[p0 + j]
        if e[p0 + j] == 0.0:
            inverse = 1.0 / d0
            for r in range(r1 - r0):
                v[j * m + r] *= inverse
            j += 1
        else:
            off, d1 = e[p0 + j], d[p0 + j + 1]
            a0, a1 = d0 / off, d1 / off
            scale = 1.0 / (off * (a0 * a1 - 1.0))
            for r in range(r1 - r0):
                y0, y1 = v[j * m + r], v[(j + 1) * m + r]
                v[j * m + r] = (a1 * y0 - y1) * scale
                v[(j + 1) * m + r] = (a0 * y1 - y0) * scale
            j += 2


@njit(cache=True, nogil=True)
def _update(lib, kind, base, size, m, p0, p1, r0, r1, c0, c1, out, ldo, d, e):
    """Take L[r0:r1] D L[c0:c1]^T of the columns p0:p1 from `out`, whose first entry is row c0, column c0.

    r0 is c0 (then rows of the diagonal block count below the diagonal alone) or not less than c1.
    """
    k, n = p1 - p0, c1 - c0
    left = base + size * (p0 * m)
    if kind == 0:
        if r0 == c0:
            f, s, c, p = lib
            p[0], p[1], p[2], p[3] = n, k, m, ldo
            q, t, o = p.ctypes.data, s.ctypes.data, c.ctypes.data
            _call(
                f[_SYRK],
                (t + _L, t + _N, q, q + 4, o + size, left + size * c0, q + 8, o, out, q + 12),
            )
            r0 = c1
        if r1 > r0:
            _gemm(
                lib,
                _N,
                _T,
                r1 - r0,
                n,
                k,
                _MINUS,
                left + size * r0,
                m,
                left + size * c0,
                m,
                _ONE,
                out + size * (r0 - c0),
                ldo,
            )
        return
    scaled = np.empty(n * k, d.dtype)
    v = carray(_pointer(left + size * c0, d), ((k - 1) * m + n,))
    j = 0
    while j < k:
        d0 = d[p0 + j]
        if e[p0 + j] == 0.0:
            for r in range(n):
                scaled[j * n + r] = d0 * v[j * m + r]
            j += 1
        else:
            off, d1 = e[p0 + j], d[p0 + j + 1]
            for r in range(n):
                x0, x1 = v[j * m + r], v[(j + 1) * m + r]
                scaled[j * n + r] = d0 * x0 + off * x1
                scaled[(j + 1) * n + r] = off * x0 + d1 * x1
            j += 2
    _gemm(
        lib,
        _N,
        _T,
        r1 - r0,
        n,
        k,
        _MINUS,
        left + size * r0,
        m,
        scaled.ctypes.data,
        n,
        _ONE,
        out + size * (r0 - c0),
        ldo,
    )
    scaled[0] = d[p0]  # holds the array until BLAS is done with it


@njit(cache=True, nogil=True)
def _eliminate(lib, kind, base, size, k, m, update, d, e, swap, least, report):
    """Eliminate the k pivots of a front, in place; its update minus what they contribute."""
    r = m - k
    width = k if kind == 0 else PIVOT_BLOCK
    p0 = 0
    while p0 < k:
        p1 = min(k, p0 + width)
        if not _diagonal(lib, kind, base, size, m, p0, p1, d, e, swap, least, report):
            return False
        if p1 < m:
            _below(lib, kind, base, size, m, p0, p1, p1, m, d, e, swap)
        c0 = p1
        while c0 < k:
            c1 = min(k, c0 + 64)
            out = base + size * (c0 * m + c0)
            _update(lib, kind, base, size, m, p0, p1, c0, m, c0, c1, out, m, d, e)
            c0 = c1
        p0 = p1
    width = r if kind == 0 else 64
    c0 = 0
    while c0 < r:
        c1 = min(r, c0 + width)
        out = update + size * (c0 * r + c0)
        _update(lib, kind, base, size, m, 0, k, k + c0, m, k + c0, k + c1, out, r, d, e)
        c0 = c1
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
    kind,
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
    addresses,
    letters,
    constants,
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
    report : int64[4]
        Added to: negative pivots, 2x2 pivots, lifted pivots; [3] is the unknown (from 1) of the front that
        is not positive definite.
    """
    pivot, order, height, _, _, first, child_start, children = tree
    n = target.shape[0]
    spot = np.empty(n, np.int32)
    related = np.empty(n, np.int32)
    lib = (addresses, letters, constants, np.empty(8, np.int32))
    size = values.itemsize
    top = 0
    for f in range(begin, end):
        k, m = order[f], height[f]
        r = m - k
        below = top
        for y in range(child_start[f], child_start[f + 1]):
            rc = height[children[y]] - order[children[y]]
            below -= rc * rc
        panel = values[offset[f] : offset[f] + k * m]
        update = last_update[: r * r] if f == end - 1 else stack[top : top + r * r]
        _assemble(
            f, 0, m, tree, updates, panel, update, indptr, indices, data, source, target, scale, spot, related
        )
        at = first[pivot[f]]
        done = _eliminate(
            lib,
            kind,
            panel.ctypes.data,
            size,
            k,
            m,
            update.ctypes.data,
            d[at : at + k],
            e[at : at + k],
            swap[at : at + k],
            least,
            report,
        )
        if not done:
            report[3] = at + 1
            return
        if f < end - 1:
            if below < top:
                for c in range(r):  # down to where the children were; columns move in order, so none is lost
                    for i in range(c * r + c, (c + 1) * r):
                        stack[below + i] = stack[top + i]
            updates[f] = stack[below : below + r * r].ctypes.data
            top = below + r * r
        else:
            updates[f] = last_update.ctypes.data


@njit(cache=True, nogil=True)
def factor_block(
    kind, f, p0, p1, tree, values, offset, d, e, swap, addresses, letters, constants, least, report
):
    """Factor the diagonal block p0:p1 of one large front."""
    at, m = tree[5][tree[0][f]], tree[2][f]
    lib = (addresses, letters, constants, np.empty(8, np.int32))
    base = values[offset[f] :].ctypes.data
    k = tree[1][f]
    mine = slice(at, at + k)
    if not _diagonal(
        lib, kind, base, values.itemsize, m, p0, p1, d[mine], e[mine], swap[mine], least, report
    ):
        report[3] = at + p0 + 1


@njit(cache=True, nogil=True)
def factor_below(
    start, stop, grain, kind, f, p0, p1, tree, values, offset, d, e, swap, addresses, letters, constants
):
    """Rows p1 + grain * (start:stop) of the block of columns p0:p1 of one large front."""
    at, m, k = tree[5][tree[0][f]], tree[2][f], tree[1][f]
    lib = (addresses, letters, constants, np.empty(8, np.int32))
    base = values[offset[f] :].ctypes.data
    mine = slice(at, at + k)
    for chunk in range(start, stop):
        r0, r1 = p1 + chunk * grain, min(m, p1 + (chunk + 1) * grain)
        _below(lib, kind, base, values.itemsize, m, p0, p1, r0, r1, d[mine], e[mine], swap[mine])


@njit(cache=True, nogil=True)
def factor_tiles(
    start, stop, kind, f, p0, p1, tiles, tree, values, offset, update, d, e, addresses, letters, constants
):
    """Tiles (r0, r1, c0, c1) of a large front minus what the columns p0:p1 contribute; tiles int32[., 4]."""
    at, m, k = tree[5][tree[0][f]], tree[2][f], tree[1][f]
    lib = (addresses, letters, constants, np.empty(8, np.int32))
    size = values.itemsize
    base = values[offset[f] :].ctypes.data
    mine = slice(at, at + k)
    r = np.int64(m - k)
    for t in range(start, stop):
        r0, r1, c0, c1 = tiles[t]
        column = np.int64(c0)
        if c0 < k:
            out, ldo = base + size * (column * m + column), np.int64(m)
        else:
            out, ldo = update.ctypes.data + size * ((column - k) * r + column - k), r
        _update(lib, kind, base, size, m, p0, p1, r0, r1, c0, c1, out, ldo, d[mine], e[mine])


# ---- solving -----------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _turn(x, swap, count, columns, back):
    """Interchanges of a block on rows of x[count, columns] (flat), in order or back."""
    j = 0 if not back else count - 1
    while j >= 0 and j < count:
        pair = swap[j] < 0
        if back and pair:
            j -= 1  # the pair's record stands twice; its first place is meant
        i = j + 1 if pair else j
        other = (-swap[j] if pair else swap[j]) - 1
        if other != i:
            for c in range(columns):
                x[i * columns + c], x[other * columns + c] = x[other * columns + c], x[i * columns + c]
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
def forward(begin, end, kind, tree, values, offset, swap, x, shared, beyond, addresses, letters, constants):
    """Solve with the lower factor of the fronts begin:end.

    Parameters
    ----------
    x : float[n, columns]
        Right-hand sides in order of elimination; overwritten in the unknowns of these fronts.
    shared, beyond : int, float[n - shared, columns]
        What the fronts contribute to unknowns from `shared` on is added to `beyond` instead of x, so that
        subtrees can run side by side.
    """
    pivot, order, height = tree[0], tree[1], tree[2]
    columns = x.shape[1]
    size = values.itemsize
    lib = (addresses, letters, constants, np.empty(8, np.int32))
    tallest = 0
    for f in range(begin, end):
        tallest = max(tallest, height[f] - order[f])
    term = np.empty(tallest * columns + 1, values.dtype)
    rows = np.empty(tallest, np.int32)
    flat = x.reshape(-1)
    for f in range(begin, end):
        k, m = order[f], height[f]
        r = m - k
        base = values[offset[f] :].ctypes.data
        at = tree[5][pivot[f]]
        mine = flat[at * columns : (at + k) * columns]
        b = mine.ctypes.data
        width = k if kind == 0 else PIVOT_BLOCK
        unit = _N if kind == 0 else _U
        p0 = 0
        while p0 < k:
            p1 = min(k, p0 + width)
            if kind == 1:
                _turn(mine[p0 * columns : p1 * columns], swap[at + p0 : at + p1], p1 - p0, columns, False)
            block = base + size * (np.int64(p0) * m + p0)
            y = b + size * p0 * columns
            if columns == 1:
                _trsv(lib, _N, unit, p1 - p0, block, m, y)
                if p1 < k:
                    z = b + size * p1
                    _gemv(lib, _N, k - p1, p1 - p0, _MINUS, block + size * (p1 - p0), m, y, _ONE, z)
            else:
                _trsm(lib, _R, _T, unit, columns, p1 - p0, block, m, y, columns)
                if p1 < k:
                    _gemm(
                        lib,
                        _N,
                        _T,
                        columns,
                        k - p1,
                        p1 - p0,
                        _MINUS,
                        y,
                        columns,
                        block + size * (p1 - p0),
                        m,
                        _ONE,
                        b + size * p1 * columns,
                        columns,
                    )
            p0 = p1
        if r == 0:
            continue
        low = base + size * k
        if columns == 1:
            _gemv(lib, _N, r, k, _ONE, low, m, b, _ZERO, term.ctypes.data)
        else:
            _gemm(lib, _N, _T, columns, r, k, _ONE, b, columns, low, m, _ZERO, term.ctypes.data, columns)
        _rows_of(f, tree, rows)
        for i in range(r):
            to = rows[i]
            if to < shared:
                for c in range(columns):
                    x[to, c] -= term[i * columns + c]
            else:
                for c in range(columns):
                    beyond[to - shared, c] -= term[i * columns + c]


@njit(cache=True, nogil=True)
def backward(begin, end, kind, tree, values, offset, d, e, swap, x, addresses, letters, constants):
    """Divide by pivots, solve with the transposed factor, fronts end - 1 down to begin; x overwritten."""
    pivot, order, height = tree[0], tree[1], tree[2]
    columns = x.shape[1]
    size = values.itemsize
    lib = (addresses, letters, constants, np.empty(8, np.int32))
    tallest = 0
    for f in range(begin, end):
        tallest = max(tallest, height[f] - order[f])
    term = np.empty(tallest * columns + 1, values.dtype)
    rows = np.empty(tallest, np.int32)
    flat = x.reshape(-1)
    for f in range(end - 1, begin - 1, -1):
        k, m = order[f], height[f]
        r = m - k
        base = values[offset[f] :].ctypes.data
        at = tree[5][pivot[f]]
        mine = flat[at * columns : (at + k) * columns]
        b = mine.ctypes.data
        if kind == 1:
            j = 0
            while j < k:
                if e[at + j] == 0.0:
                    inverse = 1.0 / d[at + j]
                    for c in range(columns):
                        mine[j * columns + c] *= inverse
                    j += 1
                else:
                    off = e[at + j]
                    a0, a1 = d[at + j] / off, d[at + j + 1] / off
                    scale = 1.0 / (off * (a0 * a1 - 1.0))
                    for c in range(columns):
                        y0, y1 = mine[j * columns + c], mine[(j + 1) * columns + c]
                        mine[j * columns + c] = (a1 * y0 - y1) * scale
                        mine[(j + 1) * columns + c] = (a0 * y1 - y0) * scale
                    j += 2
        if r > 0:
            _rows_of(f, tree, rows)
            for i in range(r):
                for c in range(columns):
                    term[i * columns + c] = x[rows[i], c]
            low = base + size * k
            if columns == 1:
                _gemv(lib, _T, r, k, _MINUS, low, m, term.ctypes.data, _ONE, b)
            else:
                _gemm(lib, _N, _N, columns, k, r, _MINUS, term.ctypes.data, columns, low, m, _ONE, b, columns)
        width = k if kind == 0 else PIVOT_BLOCK
        unit = _N if kind == 0 else _U
        p0 = ((k - 1) // width) * width
        while p0 >= 0:
            p1 = min(k, p0 + width)
            block = base + size * (np.int64(p0) * m + p0)
            y = b + size * p0 * columns
            if columns == 1:
                if p1 < k:
                    z = b + size * p1
                    _gemv(lib, _T, k - p1, p1 - p0, _MINUS, block + size * (p1 - p0), m, z, _ONE, y)
                _trsv(lib, _T, unit, p1 - p0, block, m, y)
            else:
                if p1 < k:
                    _gemm(
                        lib,
                        _N,
                        _N,
                        columns,
                        p1 - p0,
                        k - p1,
                        _MINUS,
                        b + size * p1 * columns,
                        columns,
                        block + size * (p1 - p0),
                        m,
                        _ONE,
                        y,
                        columns,
                    )
                _trsm(lib, _R, _N, unit, columns, p1 - p0, block, m, y, columns)
            if kind == 1:
                _turn(mine[p0 * columns : p1 * columns], swap[at + p0 : at + p1], p1 - p0, columns, True)
            p0 -= width
    term[0] = values[0]  # holds the array until BLAS is done with it
