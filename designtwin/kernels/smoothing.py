"""Groups of strongly coupled nodes: how they are found, their dense inverses, and smoothing with those.

Every node is in one group. Group g owns the nodes members[first[g]:first[g + 1]]; its m = nodes * b unknowns
come node by node. Inverses are symmetric, packed by rows of the lower triangle: entry (i, j <= i) of group g
is packed[offset[g] + i (i + 1) / 2 + j]. Kernels that take `start, stop` first work on that range of groups;
a group writes the rows of its own nodes alone, so that threads may share the range.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from designtwin.typing import FloatArray, IntArray

_FAST = {"contract", "nsz"}  # fused multiply-add; NaN stays NaN


@njit(nogil=True, fastmath=_FAST | {"reassoc"})
def _dot(a: FloatArray, b: FloatArray, n: int) -> float:
    """a . b of the first n, summed in vector lanes. A loop of its own that stores nothing.

    Where a loop also stores, compiled code asks first whether its arrays may overlap, by bounds wider than
    they are, and sums one by one if so: then the digits depend on where the arrays happen to lie in memory.
    """
    total = a.dtype.type(0.0)
    for j in range(n):
        total += a[j] * b[j]
    return total


@njit(cache=True, nogil=True)
def near_strength(
    start: int, stop: int, indptr: IntArray, indices: IntArray, points: FloatArray, out: FloatArray
) -> None:
    """One over the squared distance of coupled nodes, 0 on the diagonal and between nodes at one place.

    For a like material all around this orders couplings as the stiffness does, and it sees flat cells.

    Parameters
    ----------
    start, stop : int
        Rows.
    points : float64[n, 3]
    out : float64[nnz]
        Overwritten.
    """
    for i in range(start, stop):
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            d2 = 0.0
            for a in range(points.shape[1]):
                d2 += (points[i, a] - points[j, a]) ** 2
            out[p] = 1.0 / d2 if d2 > 0.0 else 0.0


@njit(cache=True, nogil=True)
def strong_groups(
    indptr: IntArray,
    indices: IntArray,
    strength: FloatArray,
    alive: IntArray,
    theta: float,
    most: int,
    owner: IntArray,
) -> int:
    """Groups grown from a seed, always by the node most strongly coupled to what is there.

    A group stops at `most` nodes, or where no coupling reaches theta times the strongest of both its nodes.
    A group below a third of `most` then joins the one it is coupled to most, up to 1.5 times `most` nodes.

    Parameters
    ----------
    strength : float64[nnz]
        Not negative, 0 on the diagonal.
    alive : bool[n]
        Others stay in no group.
    owner : int32[n]
        Overwritten: group of each node, -1 for none.

    Returns
    -------
    int
        Number of groups.
    """
    n = indptr.shape[0] - 1
    largest = np.zeros(n)
    for i in range(n):
        owner[i] = -1
        for p in range(indptr[i], indptr[i + 1]):
            if alive[i] and alive[indices[p]]:
                largest[i] = max(largest[i], strength[p])
    pull = np.zeros(n)
    queue = np.empty(n, np.int32)
    nodes = np.empty(n, np.int32)
    first = np.zeros(n + 1, np.int32)
    placed = 0
    count = 0
    for seed in range(n):
        if owner[seed] != -1 or not alive[seed]:
            continue
        queued = 0
        last = seed
        while last >= 0:
            owner[last] = count
            nodes[placed] = last
            placed += 1
            for p in range(indptr[last], indptr[last + 1]):
                j = indices[p]
                value = strength[p]
                enough = value > 0.0 and value >= theta * max(largest[last], largest[j])
                if enough and alive[j] and owner[j] == -1:
                    if pull[j] == 0.0:
                        queue[queued] = j
                        queued += 1
                    pull[j] += value
            last = -1
            if placed - first[count] < most:
                best = 0.0
                for c in range(queued):
                    j = queue[c]
                    if owner[j] == -1 and pull[j] > best:
                        best = pull[j]
                        last = j
        for c in range(queued):
            pull[queue[c]] = 0.0
        count += 1
        first[count] = placed
    # small ones join
    size = np.zeros(count, np.int32)
    into = np.arange(count)
    for g in range(count):
        size[g] = first[g + 1] - first[g]
    for g in range(count):
        if 3 * size[g] >= most or into[g] != g:
            continue
        queued = 0
        for t in range(first[g], first[g + 1]):
            i = nodes[t]
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                if owner[j] == -1 or strength[p] <= 0.0:
                    continue
                h = into[owner[j]]
                while into[h] != h:
                    h = into[h]
                if h != g:
                    if pull[h] == 0.0:
                        queue[queued] = h
                        queued += 1
                    pull[h] += strength[p]
        best = 0.0
        goal = -1
        for c in range(queued):
            h = queue[c]
            if 2 * (size[h] + size[g]) <= 3 * most and pull[h] > best:
                best = pull[h]
                goal = h
            pull[h] = 0.0
        if goal >= 0:
            into[g] = goal
            size[goal] += size[g]
    number = np.full(count, -1, np.int32)
    kept = 0
    for g in range(count):
        if into[g] == g:
            number[g] = kept
            kept += 1
    for i in range(n):
        if owner[i] >= 0:
            h = into[owner[i]]
            while into[h] != h:
                h = into[h]
            owner[i] = number[h]
    return kept


@njit(cache=True, nogil=True, fastmath=_FAST)
def invert_groups(
    start: int,
    stop: int,
    indptr: IntArray,
    indices: IntArray,
    blocks: FloatArray,
    first: IntArray,
    members: IntArray,
    offset: IntArray,
    tiny: float,
    negative: IntArray,
    packed: FloatArray,
) -> None:
    """Inverses of the diagonal blocks that belong to groups.

    Parameters
    ----------
    blocks : float64[nnz, b, b]
        A, positive definite but for fixed unknowns, whose rows and columns are zero; so are those of the
        inverse.
    tiny : float
        A pivot below tiny times its diagonal entry counts as none.
    negative : bool[n_groups]
        Overwritten: True for a group with a negative pivot.
    packed : float[...]
        Overwritten.
    """
    b = blocks.shape[1]
    local = np.full(indptr.shape[0] - 1, -1, np.int32)
    for g in range(start, stop):
        head = first[g]
        m = (first[g + 1] - head) * b
        for t in range(head, first[g + 1]):
            local[members[t]] = t - head
        a = np.zeros((m, m))
        for t in range(head, first[g + 1]):
            i = members[t]
            for p in range(indptr[i], indptr[i + 1]):
                s = local[indices[p]]
                if s >= 0:
                    for r in range(b):
                        for c in range(b):
                            a[(t - head) * b + r, s * b + c] += blocks[p, r, c]
        for t in range(head, first[g + 1]):
            local[members[t]] = -1
        weight = np.zeros(m)
        bad = False
        for i in range(m):
            if a[i, i] > 0.0:
                weight[i] = 1.0 / math.sqrt(a[i, i])
            elif a[i, i] < 0.0:
                bad = True
        for i in range(m):
            for j in range(i + 1):
                a[i, j] *= weight[i] * weight[j]
        # symmetric sweeps on the lower triangle: -a becomes the inverse on the swept unknowns
        column = np.empty(m)
        kept = np.zeros(m, np.bool_)
        for k in range(m):
            pivot = a[k, k]
            if not pivot > tiny:
                bad = bad or pivot < -tiny
                continue
            kept[k] = True
            for j in range(k):
                column[j] = a[k, j]
            for i in range(k, m):
                column[i] = a[i, k]
            for i in range(m):
                if i != k:
                    factor = column[i] / pivot
                    row = a[i]
                    for j in range(i + 1):
                        row[j] -= factor * column[j]
            for j in range(k):
                a[k, j] = column[j] / pivot
            for i in range(k + 1, m):
                a[i, k] = column[i] / pivot
            a[k, k] = -1.0 / pivot
        negative[g] = bad
        at = offset[g]
        for i in range(m):
            for j in range(i + 1):
                use = kept[i] and kept[j]
                packed[at] = -a[i, j] * weight[i] * weight[j] if use else 0.0
                at += 1


@njit(cache=True, nogil=True, fastmath=_FAST)
def smoothing_step(
    start: int,
    stop: int,
    first: IntArray,
    members: IntArray,
    offset: IntArray,
    packed: FloatArray,
    b: int,
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

    As `kernels.sparse.smoothing_step`, with groups in the place of nodes: D holds the blocks of groups.
    """
    n_rhs = x.shape[1]
    old, new, size = d.dtype.type(keep), d.dtype.type(gain), d.dtype.type(step)
    begin = keep == 0.0
    longest = 0
    for g in range(start, stop):
        longest = max(longest, first[g + 1] - first[g])
    value = np.empty(longest * b, d.dtype)
    result = np.empty(longest * b, d.dtype)
    for g in range(start, stop):
        head = first[g]
        n = first[g + 1] - head
        m = n * b
        for k in range(n_rhs):
            for t in range(n):
                row = members[head + t] * b
                for a in range(b):
                    left = source[row + a, k]
                    if subtract:
                        left -= image[row + a, k]
                    r[row + a, k] = left
                    value[t * b + a] = left
            at = offset[g]
            for i in range(m):
                own = value[i]
                line = packed[at : at + i + 1]
                for j in range(i):
                    result[j] += line[j] * own
                result[i] = _dot(line, value, i + 1)
                at += i + 1
            for t in range(n):
                row = members[head + t] * b
                for a in range(b):
                    go = new * result[t * b + a]
                    if not begin:
                        go += old * d[row + a, k]
                    d[row + a, k] = go
                    if fresh:
                        x[row + a, k] = size * go
                    else:
                        x[row + a, k] += size * go


@njit(cache=True, nogil=True)
def group_pattern(
    start: int,
    stop: int,
    indptr: IntArray,
    indices: IntArray,
    first: IntArray,
    members: IntArray,
    owner: IntArray,
    out_indptr: IntArray,
    out_indices: IntArray,
) -> None:
    """Rows of D^-1 A P0: groups that each group couples to, the same for all its nodes, in ascending order.

    Parameters
    ----------
    owner : int32[n]
        -1 for nodes without a basis.
    out_indptr : int32[n + 1]
        Counting call (out_indices empty): out_indptr[i + 1] becomes the count of row i. Else read.
    out_indices : int32[nnz]
        Overwritten.
    """
    seen = np.full(first.shape[0], -1, np.int32)
    found = np.empty(first.shape[0], np.int32)
    for g in range(start, stop):
        count = 0
        for t in range(first[g], first[g + 1]):
            i = members[t]
            for p in range(indptr[i], indptr[i + 1]):
                h = owner[indices[p]]
                if h >= 0 and seen[h] != g:
                    seen[h] = g
                    found[count] = h
                    count += 1
        if out_indices.shape[0] == 0:
            for t in range(first[g], first[g + 1]):
                out_indptr[members[t] + 1] = count if owner[members[t]] >= 0 else 0
            continue
        columns = np.sort(found[:count])
        for t in range(first[g], first[g + 1]):
            i = members[t]
            for c in range(out_indptr[i + 1] - out_indptr[i]):
                out_indices[out_indptr[i] + c] = columns[c]


@njit(cache=True, nogil=True, fastmath=_FAST)
def group_basis(
    start: int,
    stop: int,
    indptr: IntArray,
    indices: IntArray,
    blocks: FloatArray,
    first: IntArray,
    members: IntArray,
    owner: IntArray,
    offset: IntArray,
    packed: FloatArray,
    tentative: FloatArray,
    factor: float,
    out_indptr: IntArray,
    out_indices: IntArray,
    out: FloatArray,
) -> None:
    """Smoothed basis P = P0 - factor D^-1 A P0 on the pattern of `group_pattern`, D the blocks of groups.

    Parameters
    ----------
    tentative : float64[n, b, k]
        P0: the block row of each node, in the column of its group.
    out : float64[nnz, b, k]
        Overwritten.
    """
    b, k = tentative.shape[1], tentative.shape[2]
    where = np.full(first.shape[0], -1, np.int32)
    for g in range(start, stop):
        head = first[g]
        n = first[g + 1] - head
        lead = members[head]
        row0 = out_indptr[lead]
        wide = out_indptr[lead + 1] - row0
        if wide == 0:
            continue
        for c in range(wide):
            where[out_indices[row0 + c]] = c
        image = np.zeros((n * b, wide * k))
        for t in range(n):
            i = members[head + t]
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                if owner[j] < 0:
                    continue
                at = where[owner[j]] * k
                for r in range(b):
                    for s in range(b):
                        value = blocks[p, r, s]
                        for c in range(k):
                            image[t * b + r, at + c] += value * tentative[j, s, c]
        result = np.zeros((n * b, wide * k))
        at = offset[g]
        for i in range(n * b):
            for j in range(i):
                value = packed[at + j]
                for c in range(wide * k):
                    result[i, c] += value * image[j, c]
                    result[j, c] += value * image[i, c]
            for c in range(wide * k):
                result[i, c] += packed[at + i] * image[i, c]
            at += i + 1
        for t in range(n):
            i = members[head + t]
            for c in range(wide):
                own = out_indices[out_indptr[i] + c] == owner[i]
                for r in range(b):
                    for s in range(k):
                        value = -factor * result[t * b + r, c * k + s]
                        if own:
                            value += tentative[i, r, s]
                        out[out_indptr[i] + c, r, s] = value
