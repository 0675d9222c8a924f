"""How cells hang together: facets they share, pieces they form, cells without volume."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def facet_corners(start, stop, conn, local, keys):
    """Corners of the facets of cells start to stop, in ascending order.

    Parameters
    ----------
    conn : int64[n_cells, n]
    local : int64[f, c]
        Local corner nodes of each facet.
    keys : int32[n_cells * f, 4]
        Overwritten; -1 behind the corners of a facet of fewer than four.
    """
    n_facets, n = local.shape
    for cell in range(start, stop):
        for f in range(n_facets):
            at = cell * n_facets + f
            for i in range(4):
                keys[at, i] = -1
            for i in range(n):
                node = conn[cell, local[f, i]]
                j = i
                while j > 0 and keys[at, j - 1] > node:
                    keys[at, j] = keys[at, j - 1]
                    j -= 1
                keys[at, j] = node


@njit(cache=True, nogil=True)
def by_first_corner(keys, start, order):
    """Facets listed by their lowest corner, a counting sort.

    Parameters
    ----------
    keys : int32[k, 4]
    start, order : int32[n_points + 1], int32[k]
        Overwritten: order[start[i]:start[i + 1]] are the facets whose lowest corner is i.
    """
    start[:] = 0
    for f in range(keys.shape[0]):
        start[keys[f, 0] + 1] += 1
    for i in range(start.shape[0] - 1):
        start[i + 1] += start[i]
    fill = start[:-1].copy()
    for f in range(keys.shape[0]):
        order[fill[keys[f, 0]]] = f
        fill[keys[f, 0]] += 1


@njit(cache=True, nogil=True)
def _less(keys, a, b):
    """Whether facet a comes before b: by corners, then by number."""
    for i in range(1, 4):
        if keys[a, i] != keys[b, i]:
            return keys[a, i] < keys[b, i]
    return a < b


@njit(cache=True, nogil=True)
def equal_together(start, stop, keys, first_corner, order, begins):
    """Sort the facets of each lowest corner, so that facets of equal corners stand together.

    Parameters
    ----------
    start, stop : int
        Lowest corners to treat.
    first_corner, order : as ``by_first_corner`` leaves them; order is sorted further
    begins : bool[k]
        Overwritten: where facets other than the one before begin.
    """
    for corner in range(start, stop):
        low, high = first_corner[corner], first_corner[corner + 1]
        # Shell's sort: as quick as insertion for the twenty at a node of a solid, and safe for thousands.
        gap = 1
        while gap < (high - low) // 3:
            gap = 3 * gap + 1
        while gap > 0:
            for i in range(low + gap, high):
                facet = order[i]
                j = i
                while j >= low + gap and _less(keys, facet, order[j - gap]):
                    order[j] = order[j - gap]
                    j -= gap
                order[j] = facet
            gap //= 3
        for i in range(low, high):
            a, b = order[i], order[max(i - 1, low)]
            begins[i] = (
                i == low or keys[a, 1] != keys[b, 1] or keys[a, 2] != keys[b, 2] or keys[a, 3] != keys[b, 3]
            )


@njit(cache=True, nogil=True)
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def join(sets, parent):
    """Join the members of each set, int64[n, k]; parent int64[.] is a forest, changed in place.

    A member stands for itself at first; the lowest member stands for all it is joined to.

    Source: Tarjan, J. ACM 22 (1975) 215-225, with the lowest as root for the sake of order.
    """
    for s in range(sets.shape[0]):
        a = _root(parent, sets[s, 0])
        for k in range(1, sets.shape[1]):
            b = _root(parent, sets[s, k])
            if a < b:
                parent[b] = a
            else:
                parent[a] = b
                a = b


@njit(cache=True, nogil=True)
def number_sets(of, parent, number, count, out):
    """Number the joined sets in the order in which members int64[n] are asked for.

    Parameters
    ----------
    number : int64[.]
        -1 where a root has no number yet; filled in.
    count : int
        Numbers given before.
    out : int64[n]
        Overwritten.

    Returns
    -------
    int
        Numbers given so far.
    """
    for i in range(of.shape[0]):
        root = _root(parent, of[i])
        if number[root] < 0:
            number[root] = count
            count += 1
        out[i] = number[root]
    return count


@njit(cache=True, nogil=True)
def soundness(start, stop, points, conn, gradient, edges, in_plane, share, out):
    """Whether cells enclose a volume at every integration point.

    Parameters
    ----------
    points : float64[n_points, 3]
        m.
    conn : int64[n_cells, n]
    gradient : float64[q, n, d]
        Natural derivatives of the shape functions.
    edges : int64[e, 2]
        Local corner nodes.
    in_plane : bool
        Whether plane cells lie in z = 0, where turning over shows.
    share : float
        Volume over the cube of the longest edge under which a cell is flat (area over its square, length
        over it).
    out : int8[n_cells]
        Overwritten: 0 sound, 1 inverted, 2 flat.
    """
    n, d = gradient.shape[1:]
    x = np.empty((n, 3))
    for c in range(start, stop):
        for a in range(n):
            for i in range(3):
                x[a, i] = points[conn[c, a], i]
        longest = 0.0
        for e in range(edges.shape[0]):
            square = 0.0
            for i in range(3):
                square += (x[edges[e, 0], i] - x[edges[e, 1], i]) ** 2
            longest = max(longest, square)
        small = share * math.sqrt(longest) ** d
        out[c] = 0
        for q in range(gradient.shape[0]):
            # Tangents u, v, w along the natural coordinates that there are.
            u0 = u1 = u2 = v0 = v1 = v2 = w0 = w1 = w2 = 0.0
            for a in range(n):
                x0, x1, x2, r = x[a, 0], x[a, 1], x[a, 2], gradient[q, a, 0]
                u0 += x0 * r
                u1 += x1 * r
                u2 += x2 * r
                if d > 1:
                    s = gradient[q, a, 1]
                    v0 += x0 * s
                    v1 += x1 * s
                    v2 += x2 * s
                if d > 2:
                    t = gradient[q, a, 2]
                    w0 += x0 * t
                    w1 += x1 * t
                    w2 += x2 * t
            n0, n1, n2 = u1 * v2 - u2 * v1, u2 * v0 - u0 * v2, u0 * v1 - u1 * v0
            if d == 3:
                det = n0 * w0 + n1 * w1 + n2 * w2
            elif d == 2 and in_plane:
                det = n2
            elif d == 2:
                det = math.sqrt(n0 * n0 + n1 * n1 + n2 * n2)
            else:
                det = math.sqrt(u0 * u0 + u1 * u1 + u2 * u2)
            if det < -small:
                out[c] = 1
            elif out[c] == 0 and abs(det) <= small:
                out[c] = 2
