"""Orders a graph for elimination: multilevel nested dissection by vertex separators.

A graph is indptr int32[n + 1], indices int32[.] (symmetric, no loops), weight int32[n] (unknowns per vertex).
Sides of a cut are 0 and 1; 2 is the separator.

Source: Karypis & Kumar, A fast and high quality multilevel scheme, SIAM J. Sci. Comput. 20 (1998);
refinement: Ashcraft & Liu, Applications of the Dulmage-Mendelsohn decomposition and network flow, SIAM J.
Matrix Anal. Appl. 19 (1998); minimum degree: George & Liu, SIAM Review 31 (1989).
"""

from __future__ import annotations

import numpy as np
from numba import njit

_COARSEST = 100  # vertices at which coarsening ends
_TRIES = 6  # cuts tried there


@njit(cache=True, nogil=True)
def vertex_graph(indptr, indices, size, block, n_nodes, free, vertex, out_start, out):
    """Which vertices with free unknowns share a stored block; a vertex is a node or an extra unknown.

    Parameters
    ----------
    indptr, indices : int32
        Pattern of blocks of `size` unknowns.
    free : bool[n_dof]
    vertex : int32[n_nodes + n_extra]
        Number of a node or extra unknown among those with free unknowns, -1 for the others.
    out_start : int64[n_vertices + 1]
        Overwritten.
    out : int32[.]
        Overwritten where long enough: with length 0 only counts are made.
    """
    count = out_start.shape[0] - 1
    seen = np.full(count, -1, np.int32)
    filling = out.shape[0] > 0
    at = 0
    me = 0
    for item in range(vertex.shape[0]):
        if vertex[item] < 0:
            continue
        out_start[me] = at
        seen[me] = me
        first = item * block if item < n_nodes else n_nodes * (block - 1) + item
        last = first + (block if item < n_nodes else 1)
        row = first // size
        while row * size < last:
            for e in range(indptr[row], indptr[row + 1]):
                base = indices[e] * size
                for dof in range(base, base + size):
                    if free[dof]:
                        other = dof // block if dof < n_nodes * block else dof - n_nodes * (block - 1)
                        you = vertex[other]
                        if seen[you] != me:
                            seen[you] = me
                            if filling:
                                out[at] = you
                            at += 1
            row += 1
        me += 1
    out_start[count] = at


@njit(cache=True, nogil=True)
def _up(heap, place, key, i):
    v = heap[i]
    k = key[v]
    while i > 0:
        p = (i - 1) // 2
        u = heap[p]
        if key[u] >= k:
            break
        heap[i] = u
        place[u] = i
        i = p
    heap[i] = v
    place[v] = i


@njit(cache=True, nogil=True)
def _down(heap, place, key, i, size):
    v = heap[i]
    k = key[v]
    while True:
        c = 2 * i + 1
        if c >= size:
            break
        if c + 1 < size and key[heap[c + 1]] > key[heap[c]]:
            c += 1
        u = heap[c]
        if key[u] <= k:
            break
        heap[i] = u
        place[u] = i
        i = c
    heap[i] = v
    place[v] = i


@njit(cache=True, nogil=True)
def _leave(heap, place, key, v, size):
    """Take v out of a heap; its new size."""
    i = place[v]
    place[v] = -1
    size -= 1
    u = heap[size]
    if u != v:
        heap[i] = u
        place[u] = i
        _up(heap, place, key, i)
        _down(heap, place, key, place[u], size)
    return size


@njit(cache=True, nogil=True)
def _refine(indptr, indices, weight, side, heavy, passes, patience, work):
    """Move vertices between the separator and the sides while the separator gets lighter (side overwritten).

    Fiduccia-Mattheyses on vertex separators, with roll-back to the best state. `heavy` bounds the weight of
    a side; work int32[10, >= n]. Returns the separator's weight.
    """
    n = weight.shape[0]
    heap, place, key = work[0:2], work[2:4], work[4:6]
    locked, trail, pulled, pulled_at = work[6], work[7], work[8], work[9]
    w = np.zeros(3, np.int64)
    for v in range(n):
        w[side[v]] += weight[v]
    size = np.zeros(2, np.int64)
    for _ in range(passes):
        size[:] = 0
        for v in range(n):
            locked[v] = 0
            place[0, v] = -1
            place[1, v] = -1
        for v in range(n):
            if side[v] == 2:
                key[0, v] = weight[v]
                key[1, v] = weight[v]
                for e in range(indptr[v], indptr[v + 1]):
                    u = indices[e]
                    if side[u] != 2:
                        key[1 - side[u], v] -= weight[u]
                for s in range(2):
                    heap[s, size[s]] = v
                    _up(heap[s], place[s], key[s], size[s])
                    size[s] += 1
        before = w[2]
        best, best_gap, best_at = w[2], abs(w[0] - w[1]), 0
        moves, n_pulled = 0, 0
        while moves < n:
            s = -1
            for t in range(2):
                if size[t] > 0 and w[t] + weight[heap[t, 0]] <= heavy:
                    if s < 0:
                        s = t
                    else:
                        a, b = key[0, heap[0, 0]], key[1, heap[1, 0]]
                        if b > a or (b == a and w[1] < w[0]):
                            s = 1
            if s < 0:
                break
            o = 1 - s
            v = heap[s, 0]
            size[s] = _leave(heap[s], place[s], key[s], v, size[s])
            if place[o, v] >= 0:
                size[o] = _leave(heap[o], place[o], key[o], v, size[o])
            side[v] = s
            locked[v] = 1
            w[s] += weight[v]
            w[2] -= weight[v]
            trail[moves] = v
            pulled_at[moves] = n_pulled
            moves += 1
            for e in range(indptr[v], indptr[v + 1]):
                u = indices[e]
                if side[u] == 2:
                    key[o, u] -= weight[v]
                    if place[o, u] >= 0:
                        _down(heap[o], place[o], key[o], place[o, u], size[o])
                elif side[u] == o:
                    side[u] = 2
                    w[o] -= weight[u]
                    w[2] += weight[u]
                    pulled[n_pulled] = u
                    n_pulled += 1
                    key[0, u] = weight[u]
                    key[1, u] = weight[u]
                    for f in range(indptr[u], indptr[u + 1]):
                        x = indices[f]
                        if side[x] == 2:
                            key[s, x] += weight[u]
                            if place[s, x] >= 0:
                                _up(heap[s], place[s], key[s], place[s, x])
                        else:
                            key[1 - side[x], u] -= weight[x]
                    if locked[u] == 0:
                        for t in range(2):
                            heap[t, size[t]] = u
                            _up(heap[t], place[t], key[t], size[t])
                            size[t] += 1
                    if n_pulled >= n:
                        break
            gap = abs(w[0] - w[1])
            if w[2] < best or (w[2] == best and gap < best_gap):
                best, best_gap, best_at = w[2], gap, moves
            elif moves - best_at > patience or n_pulled >= n:
                break
        while moves > best_at:
            moves -= 1
            v = trail[moves]
            s = side[v]  # a moved vertex that was pulled back had its pull undone by now
            for k in range(pulled_at[moves], n_pulled):
                u = pulled[k]
                side[u] = 1 - s
                w[1 - s] += weight[u]
                w[2] -= weight[u]
            n_pulled = pulled_at[moves]
            side[v] = 2
            w[s] -= weight[v]
            w[2] += weight[v]
        if w[2] >= before:
            break
    return w[2]


@njit(cache=True, nogil=True)
def _match(indptr, indices, bond, weight, heaviest, order, coarse):
    """Pair each vertex with the free neighbor it shares most with; coarse overwritten. Returns the pairs."""
    n = weight.shape[0]
    coarse[:n] = -1
    count = 0
    for k in range(n):
        v = order[k]
        if coarse[v] >= 0:
            continue
        mate, best = v, 0
        for e in range(indptr[v], indptr[v + 1]):
            u = indices[e]
            if coarse[u] < 0 and bond[e] > best and weight[v] + weight[u] <= heaviest:
                mate, best = u, bond[e]
        coarse[v] = count
        coarse[mate] = count
        count += 1
    return count


@njit(cache=True, nogil=True)
def _contract(indptr, indices, bond, weight, coarse, count, c_indptr, c_indices, c_bond, c_weight):
    """The graph of pairs; bonds and weights add up. Returns its number of entries."""
    n = weight.shape[0]
    one = np.full(count, -1, np.int32)
    two = np.full(count, -1, np.int32)
    for v in range(n):
        c = coarse[v]
        if one[c] < 0:
            one[c] = v
        else:
            two[c] = v
    slot = np.full(count, -1, np.int32)
    at = 0
    for c in range(count):
        begin = at
        c_indptr[c] = at
        c_weight[c] = 0
        slot[c] = begin  # marks itself; never written through
        for member in range(2):
            v = one[c] if member == 0 else two[c]
            if v < 0:
                continue
            c_weight[c] += weight[v]
            for e in range(indptr[v], indptr[v + 1]):
                d = coarse[indices[e]]
                if d == c:
                    continue
                k = slot[d]
                if k >= begin and k < at and c_indices[k] == d:
                    c_bond[k] += bond[e]
                else:
                    slot[d] = at
                    c_indices[at] = d
                    c_bond[at] = bond[e]
                    at += 1
    c_indptr[count] = at
    return at


@njit(cache=True, nogil=True)
def _random(state):
    """Next of a linear congruential sequence; state int64[1]."""
    state[0] = (state[0] * 1103515245 + 12345) & 0x7FFFFFFF
    return state[0] >> 8


@njit(cache=True, nogil=True)
def _bisect(indptr, indices, weight, seed, side):
    """Cut a graph in two by a light vertex separator; side int8[n] overwritten with 0, 1, 2 (separator)."""
    n = weight.shape[0]
    nnz = indices.shape[0]
    state = np.array([np.int64(seed)])
    total = np.int64(0)
    for v in range(n):
        total += weight[v]
    heavy = max(np.int64(0.58 * total), (total + 2 * total // n) // 2 + 1)
    work = np.empty((10, n + 1), np.int32)
    # graphs of all levels one after another
    ptr = np.empty(3 * n + 64, np.int32)
    adj = np.empty(3 * nnz + 64, np.int32)
    bond = np.empty(3 * nnz + 64, np.int32)
    wgt = np.empty(3 * n + 64, np.int32)
    up = np.empty(3 * n + 64, np.int32)
    ptr[: n + 1] = indptr
    adj[:nnz] = indices
    bond[:nnz] = 1
    wgt[:n] = weight
    v_at = np.zeros(64, np.int64)  # vertices, entries before each level; ptr has one more per level
    e_at = np.zeros(64, np.int64)
    v_at[1], e_at[1] = n, nnz
    order = np.empty(n, np.int32)
    level = 0
    while v_at[level + 1] - v_at[level] > _COARSEST and level < 40:
        m = v_at[level + 1] - v_at[level]
        e = e_at[level + 1] - e_at[level]
        a, b = v_at[level], e_at[level]
        g_ptr = ptr[a + level : a + level + m + 1]
        for k in range(m):
            order[k] = k
        for k in range(m - 1, 0, -1):
            j = _random(state) % (k + 1)
            order[k], order[j] = order[j], order[k]
        heaviest = max(np.int64(3), 3 * total // (2 * _COARSEST))
        count = _match(g_ptr, adj[b : b + e], bond[b : b + e], wgt[a : a + m], heaviest, order, up[a : a + m])
        if count > 0.95 * m or a + m + count + level + 2 > ptr.shape[0] or b + 2 * e > adj.shape[0]:
            break
        c = a + m
        entries = _contract(
            g_ptr,
            adj[b : b + e],
            bond[b : b + e],
            wgt[a : a + m],
            up[a : a + m],
            count,
            ptr[c + level + 1 : c + level + 2 + count],
            adj[b + e :],
            bond[b + e :],
            wgt[c : c + count],
        )
        level += 1
        v_at[level + 1], e_at[level + 1] = c + count, b + e + entries
    m = v_at[level + 1] - v_at[level]
    a, b, e = v_at[level], e_at[level], e_at[level + 1] - e_at[level]
    # the coarsest graph: a side grown from a few seeds to half the weight each, refined, the best one kept
    here = np.empty(n, np.int8)
    finer = np.empty(n, np.int8)
    best = np.int64(-1)
    far = np.int64(0)
    for step in range(_TRIES + level):
        trying = step < _TRIES
        if trying:
            for v in range(m):
                finer[v] = 1
            grown = np.int64(0)
            head, tail = 0, 0
            start = _random(state) % m
            if step % 2 == 1:  # from the far end of the one before
                start = far
            while 2 * grown < total:
                if head == tail:
                    while finer[start] != 1:
                        start = (start + 1) % m
                    finer[start] = 0
                    order[tail] = start
                    tail += 1
                v = order[head]
                head += 1
                grown += wgt[a + v]
                for k in range(b + ptr[a + level + v], b + ptr[a + level + v + 1]):
                    u = adj[k]
                    if finer[u] == 1:
                        finer[u] = 0
                        order[tail] = u
                        tail += 1
            for k in range(head, tail):  # reached, not taken: the separator
                finer[order[k]] = 2
            for v in range(m):
                if finer[v] == 1:
                    far = v
        else:  # one graph finer
            level -= 1
            m = v_at[level + 1] - v_at[level]
            a, b, e = v_at[level], e_at[level], e_at[level + 1] - e_at[level]
            for v in range(m):
                finer[v] = here[up[a + v]]
        cut = _refine(
            ptr[a + level : a + level + m + 1],
            adj[b : b + e],
            wgt[a : a + m],
            finer[:m],
            heavy,
            8 if trying else 6,
            m if trying else 100,
            work,
        )
        if trying:
            w0 = np.int64(0)
            for v in range(m):
                if finer[v] == 0:
                    w0 += wgt[a + v]
            larger = max(w0, total - cut - w0)
            if larger > heavy:  # a side too heavy is no bisection
                cut += larger - heavy
        if not trying or best < 0 or cut < best:
            best = cut
            for v in range(m):
                here[v] = finer[v]
    for v in range(n):
        side[v] = here[v]


@njit(cache=True, nogil=True)
def _least_degree(indptr, indices, weight, perm, place, begin, end, seen):
    """Order perm[begin:end] by least degree; neighbors ordered later count, but stay last.

    seen int32[n] holds -1 on entry and on return.
    """
    n = end - begin
    size = np.int64(n)
    for k in range(begin, end):
        v = perm[k]
        for e in range(indptr[v], indptr[v + 1]):
            u = indices[e]
            if place[u] >= end and seen[u] < 0:
                seen[u] = size
                size += 1
    words = (size + 63) // 64
    rows = np.zeros((n, words), np.uint64)
    mass = np.empty(size, np.int64)
    one = np.uint64(1)
    for k in range(begin, end):
        v = perm[k]
        mass[k - begin] = weight[v]
        for e in range(indptr[v], indptr[v + 1]):
            u = indices[e]
            p = np.int64(-1)
            if place[u] >= begin and place[u] < end:
                p = place[u] - begin
            elif place[u] >= end:
                p = np.int64(seen[u])
                mass[p] = weight[u]
            if p >= 0:
                rows[k - begin, p >> 6] |= one << np.uint64(p & 63)
    degree = np.empty(n, np.int64)
    for i in range(n):
        degree[i] = _mass_of(rows[i], mass)
    old = perm[begin:end].copy()
    done = np.zeros(n, np.bool_)
    for k in range(n):
        best = np.int64(-1)
        for i in range(n):
            if not done[i] and (best < 0 or degree[i] < degree[best]):
                best = i
        done[best] = True
        perm[begin + k] = old[best]
        for i in range(n):
            if not done[i] and (rows[best, i >> 6] >> np.uint64(i & 63)) & one:
                for w in range(words):
                    rows[i, w] |= rows[best, w]
                rows[i, best >> 6] &= ~(one << np.uint64(best & 63))
                rows[i, i >> 6] &= ~(one << np.uint64(i & 63))
                degree[i] = _mass_of(rows[i], mass)
    for k in range(n):
        v = old[k]
        for e in range(indptr[v], indptr[v + 1]):
            seen[indices[e]] = -1
    for k in range(begin, end):
        place[perm[k]] = k


@njit(cache=True, nogil=True)
def _mass_of(row, mass):
    total = np.int64(0)
    for w in range(row.shape[0]):
        bits = row[w]
        base = w * 64
        while bits:
            low = bits & (~bits + np.uint64(1))
            total += mass[base + _log2(low)]
            bits ^= low
    return total


@njit(cache=True, nogil=True)
def _log2(bit):
    """Place of the one bit set."""
    k = 0
    if bit >> np.uint64(32):
        bit >>= np.uint64(32)
        k += 32
    if bit >> np.uint64(16):
        bit >>= np.uint64(16)
        k += 16
    if bit >> np.uint64(8):
        bit >>= np.uint64(8)
        k += 8
    if bit >> np.uint64(4):
        bit >>= np.uint64(4)
        k += 4
    if bit >> np.uint64(2):
        bit >>= np.uint64(2)
        k += 2
    if bit >> np.uint64(1):
        k += 1
    return k


@njit(cache=True, nogil=True)
def dissect(start, stop, bounds, cuts, once, indptr, indices, weight, perm, place, leaf):
    """Nested dissection of ranges of perm, down to `leaf` vertices, those by least degree.

    Parameters
    ----------
    start, stop : int
        Ranges to work on. Each depends on itself alone, not on who else works.
    bounds : int64[., 2]
        Ranges of perm.
    cuts : int64[., 2]
        Overwritten where `once`: ends of the two sides after one cut, then follows the separator; 0 where
        there is nothing to cut.
    once : bool
        Cut every range in two and leave it there.
    perm, place : int32[n]
        Vertices in order, and where each stands; overwritten in these ranges.
    """
    stack = np.empty((256, 2), np.int64)
    seen = np.full(perm.shape[0], -1, np.int32)
    for r in range(start, stop):
        stack[0, 0], stack[0, 1] = bounds[r, 0], bounds[r, 1]
        if once:
            cuts[r, 0] = 0
            cuts[r, 1] = 0
        top = 1
        while top > 0:
            top -= 1
            begin, end = stack[top, 0], stack[top, 1]
            n = end - begin
            if n <= leaf:
                if n > 1 and not once:
                    _least_degree(indptr, indices, weight, perm, place, begin, end, seen)
                continue
            nnz = np.int64(0)
            for k in range(begin, end):
                v = perm[k]
                for e in range(indptr[v], indptr[v + 1]):
                    q = place[indices[e]]
                    if q >= begin and q < end and q != k:
                        nnz += 1
            sub_ptr = np.empty(n + 1, np.int32)
            sub = np.empty(nnz, np.int32)
            sub_weight = np.empty(n, np.int32)
            old = np.empty(n, np.int32)
            at = np.int64(0)
            for k in range(n):
                v = perm[begin + k]
                old[k] = v
                sub_ptr[k] = at
                sub_weight[k] = weight[v]
                for e in range(indptr[v], indptr[v + 1]):
                    q = place[indices[e]]
                    if q >= begin and q < end and q != begin + k:
                        sub[at] = q - begin
                        at += 1
            sub_ptr[n] = at
            side = np.empty(n, np.int8)
            _bisect(sub_ptr, sub, sub_weight, 7 + n, side)
            at = begin
            first = begin
            second = begin
            for s in range(3):
                for k in range(n):
                    if side[k] == s:
                        perm[at] = old[k]
                        place[old[k]] = at
                        at += 1
                if s == 0:
                    first = at
                elif s == 1:
                    second = at
            if first == begin or second == first or top + 2 > 256:  # nothing to cut: a clique
                continue
            if once:
                cuts[r, 0] = first
                cuts[r, 1] = second
                continue
            stack[top, 0], stack[top, 1] = begin, first
            stack[top + 1, 0], stack[top + 1, 1] = first, second
            top += 2
