"""Exchange areas A_i F_ij between facets that see each other, with what stands in between.

In space, pairs far apart take one point each, nearer ones Gauss points, near and touching ones the contour
integral (one side of it in closed form), after each facet is cut by the other's plane. What stands in
between is found by rays: candidates are first narrowed down for two clusters of facets at once, to those
that reach into the hull of both and that have some of both on either side.

In the plane, pairs that see each other wholly take Hottel's crossed strings; otherwise strings from points
of one to the pieces of the other that are left uncovered.

Sources: Siegel and Howell, Thermal Radiation Heat Transfer, 4th ed. (2002), ch. 5 and 6; Mitalas and
Stephenson, Fortran IV programs to calculate radiant interchange factors, NRC Canada DBR-25 (1966); Haines and
Wallace, Shaft culling for efficient ray-traced radiosity, Eurographics Workshop on Rendering (1991).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_GOLDEN = 1.1673039782614187
"""Root of x^5 = x + 1: its powers make the additive sequence of four dimensions (Roberts 2018)."""
_A1, _A2, _A3, _A4 = _GOLDEN**-1, _GOLDEN**-2, _GOLDEN**-3, _GOLDEN**-4
_TOUCH = 1e-6
"""Share of a ray at either end where nothing counts as standing in between."""


# Two facets alone


@njit(cache=True, nogil=True)
def _clip(corner, n, nx, ny, nz, off, out):
    """Cut a polygon by a plane, keep what lies in front (n.x > off); number of corners left."""
    m = 0
    for a in range(n):
        b = a + 1 if a + 1 < n else 0
        da = nx * corner[a, 0] + ny * corner[a, 1] + nz * corner[a, 2] - off
        db = nx * corner[b, 0] + ny * corner[b, 1] + nz * corner[b, 2] - off
        if da > 0.0:
            for x in range(3):
                out[m, x] = corner[a, x]
            m += 1
        if (da > 0.0) != (db > 0.0):
            s = da / (da - db)
            for x in range(3):
                out[m, x] = corner[a, x] + s * (corner[b, x] - corner[a, x])
            m += 1
    return m


@njit(cache=True, nogil=True)
def _contour(one, n, other, m, gauss):
    """A_1 F_12 of two flat polygons, each wholly in front of the other: the integral of ln r dr.dr / 2 pi.

    Inner integral in closed form, outer one by Gauss; edges in one place in closed form.
    """
    total = 0.0
    for a in range(n):
        a1 = a + 1 if a + 1 < n else 0
        ex, ey, ez = one[a1, 0] - one[a, 0], one[a1, 1] - one[a, 1], one[a1, 2] - one[a, 2]
        la = math.sqrt(ex * ex + ey * ey + ez * ez)
        if la == 0.0:
            continue
        for b in range(m):
            b1 = b + 1 if b + 1 < m else 0
            fx, fy, fz = other[b1, 0] - other[b, 0], other[b1, 1] - other[b, 1], other[b1, 2] - other[b, 2]
            lb = math.sqrt(fx * fx + fy * fy + fz * fz)
            if lb == 0.0:
                continue
            fx, fy, fz = fx / lb, fy / lb, fz / lb
            both = ex * fx + ey * fy + ez * fz  # cosine times the length of the outer edge
            if abs(both) <= 1e-14 * la:
                continue
            tiny = 1e-18 * la * la
            same = tiny + 1.0
            for turn in range(2):
                c, c1 = (b, b1) if turn == 0 else (b1, b)
                d = 0.0
                for x in range(3):
                    d += (one[a, x] - other[c, x]) ** 2 + (one[a1, x] - other[c1, x]) ** 2
                same = min(same, d)
            inside = 0.0
            if same <= tiny:
                inside = la * (math.log(la) - 1.5)
            else:
                for g in range(gauss.shape[0]):
                    t = gauss[g, 0]
                    px = other[b, 0] - one[a, 0] - t * ex
                    py = other[b, 1] - one[a, 1] - t * ey
                    pz = other[b, 2] - one[a, 2] - t * ez
                    s0 = px * fx + py * fy + pz * fz
                    r0 = px * px + py * py + pz * pz
                    s1 = s0 + lb
                    h2 = max(r0 - s0 * s0, 0.0)
                    r1 = h2 + s1 * s1
                    h = math.sqrt(h2)
                    value = -lb
                    if r1 > 0.0:
                        value += 0.5 * s1 * math.log(r1)
                    if r0 > 0.0:
                        value -= 0.5 * s0 * math.log(r0)
                    if h > 0.0:
                        value += h * math.atan2(h * lb, h2 + s0 * s1)
                    inside += gauss[g, 1] * value
            total += both * inside
    return total / (2.0 * math.pi)


@njit(cache=True, nogil=True)
def _reach(n, corner, nx, ny, nz, off):
    """Lowest and highest distance of corners from a plane."""
    low = high = nx * corner[0, 0] + ny * corner[0, 1] + nz * corner[0, 2] - off
    for a in range(1, n):
        d = nx * corner[a, 0] + ny * corner[a, 1] + nz * corner[a, 2] - off
        low, high = min(low, d), max(high, d)
    return low, high


@njit(cache=True, nogil=True)
def _unhindered(p, q, hot, corner, count, rule, gauss, buffer):
    """A_p F_pq of two pieces with nothing in between, m^2."""
    dx, dy, dz = hot[q, 0] - hot[p, 0], hot[q, 1] - hot[p, 1], hot[q, 2] - hot[p, 2]
    front = hot[p, 3] * dx + hot[p, 4] * dy + hot[p, 5] * dz
    back = -(hot[q, 3] * dx + hot[q, 4] * dy + hot[q, 5] * dz)
    if front <= -hot[q, 7] or back <= -hot[p, 7]:
        return 0.0
    r2 = dx * dx + dy * dy + dz * dz
    size = hot[p, 7] + hot[q, 7]
    if r2 > 400.0 * size * size:
        if front <= 0.0 or back <= 0.0:
            return 0.0
        return hot[p, 6] * hot[q, 6] * front * back / (math.pi * r2 * r2)
    if r2 > 11.0 * size * size:
        total = 0.0
        for g in range(rule.shape[1]):
            if rule[p, g, 3] == 0.0:
                continue
            for h in range(rule.shape[1]):
                dx = rule[q, h, 0] - rule[p, g, 0]
                dy = rule[q, h, 1] - rule[p, g, 1]
                dz = rule[q, h, 2] - rule[p, g, 2]
                front = hot[p, 3] * dx + hot[p, 4] * dy + hot[p, 5] * dz
                back = -(hot[q, 3] * dx + hot[q, 4] * dy + hot[q, 5] * dz)
                if front > 0.0 and back > 0.0:
                    r2 = dx * dx + dy * dy + dz * dz
                    total += rule[p, g, 3] * rule[q, h, 3] * front * back / (r2 * r2)
        return total / math.pi
    flat = 1e-9 * size
    n, m = count[p], count[q]
    pa = hot[p, 3] * hot[p, 0] + hot[p, 4] * hot[p, 1] + hot[p, 5] * hot[p, 2]
    qa = hot[q, 3] * hot[q, 0] + hot[q, 4] * hot[q, 1] + hot[q, 5] * hot[q, 2]
    low_q, high_q = _reach(m, corner[q], hot[p, 3], hot[p, 4], hot[p, 5], pa)
    low_p, high_p = _reach(n, corner[p], hot[q, 3], hot[q, 4], hot[q, 5], qa)
    if high_q <= flat or high_p <= flat:
        return 0.0
    one, other = corner[p], corner[q]
    if low_p < -flat:
        n = _clip(corner[p], n, hot[q, 3], hot[q, 4], hot[q, 5], qa, buffer[0])
        one = buffer[0]
    if low_q < -flat:
        m = _clip(corner[q], m, hot[p, 3], hot[p, 4], hot[p, 5], pa, buffer[1])
        other = buffer[1]
    return max(_contour(one, n, other, m, gauss), 0.0)


# What stands in between


@njit(cache=True, nogil=True)
def _hits(k, ox, oy, oz, dx, dy, dz, wall):
    """Whether the way from o to o + d goes into a body through flat piece k, from its front to its back.

    What goes out of a body has gone in before, so fronts are enough.
    """
    along = -(wall[k, 0] * dx + wall[k, 1] * dy + wall[k, 2] * dz)
    gap = wall[k, 0] * ox + wall[k, 1] * oy + wall[k, 2] * oz - wall[k, 3]
    if along <= 0.0 or gap <= _TOUCH * along or gap >= (1.0 - _TOUCH) * along:
        return False
    t = gap / along
    x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
    for s in range(4, 20, 4):
        if wall[k, s] * x + wall[k, s + 1] * y + wall[k, s + 2] * z < wall[k, s + 3]:
            return False
    return True


@njit(cache=True, nogil=True)
def _blocked(ox, oy, oz, dx, dy, dz, p, q, some, m, wall, own):
    """The listed piece that stands in a ray's way, or -1."""
    for c in range(m):
        k = some[c]
        if own[k] != p and own[k] != q and _hits(k, ox, oy, oz, dx, dy, dz, wall):
            return k
    return -1


@njit(cache=True, nogil=True)
def _blocked_in_tree(ox, oy, oz, dx, dy, dz, p, q, wall, own, tree, leaf, stack):
    """The piece of a tree of boxes that stands in a ray's way, or -1."""
    first_leaf = (tree.shape[0] - 1) // 2
    ix = 1.0 / dx if dx != 0.0 else 1e300
    iy = 1.0 / dy if dy != 0.0 else 1e300
    iz = 1.0 / dz if dz != 0.0 else 1e300
    stack[0] = 0
    top = 1
    while top > 0:
        top -= 1
        node = stack[top]
        a, b = (tree[node, 0] - ox) * ix, (tree[node, 3] - ox) * ix
        t0, t1 = min(a, b), max(a, b)
        a, b = (tree[node, 1] - oy) * iy, (tree[node, 4] - oy) * iy
        t0, t1 = max(t0, min(a, b)), min(t1, max(a, b))
        a, b = (tree[node, 2] - oz) * iz, (tree[node, 5] - oz) * iz
        t0, t1 = max(t0, min(a, b)), min(t1, max(a, b))
        if t0 > t1 or t1 < 0.0 or t0 > 1.0:
            continue
        if node >= first_leaf:
            for k in range(leaf[node - first_leaf], leaf[node - first_leaf + 1]):
                if own[k] != p and own[k] != q and _hits(k, ox, oy, oz, dx, dy, dz, wall):
                    return k
        else:
            stack[top], stack[top + 1] = 2 * node + 1, 2 * node + 2
            top += 2
    return -1


@njit(cache=True, nogil=True)
def _mixed(seed):
    """Next state and value of a counter that is mixed well (splitmix64), in [0, 1)."""
    seed = seed + np.uint64(0x9E3779B97F4A7C15)
    z = seed
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return seed, float(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def _place(corner, share, u, v):
    """Point of a flat piece at u, v of the unit square, the same area for the same area.

    ``share`` is that of its first triangle (corners 0 1 2) in its area, the other is 0 2 3.
    """
    b = 1
    if u < share:
        u = u / share
    else:
        u = (u - share) / (1.0 - share)
        b = 2
    root = math.sqrt(u)
    s, t = root * (1.0 - v), root * v
    r = 1.0 - s - t
    return (
        r * corner[0, 0] + s * corner[b, 0] + t * corner[b + 1, 0],
        r * corner[0, 1] + s * corner[b, 1] + t * corner[b + 1, 1],
        r * corner[0, 2] + s * corner[b, 2] + t * corner[b + 1, 2],
    )


@njit(cache=True, nogil=True)
def _seen(p, q, n_rays, hot, corner, wall, own, tree, leaf, some, m, long, stack, seed, last):
    """Share of two pieces' exchange that nothing stands in the way of; what stood there last.

    Rays go between points of an additive sequence of low discrepancy, shifted at random per pair; each
    counts by the exchange it stands for.
    """
    seed, u0 = _mixed(seed)
    seed, u1 = _mixed(seed)
    seed, u2 = _mixed(seed)
    seed, u3 = _mixed(seed)
    total, free = 0.0, 0.0
    asked = int(math.sqrt(n_rays))
    soft = 0.02 * (hot[p, 7] + hot[q, 7]) ** 2  # touching pieces: no single ray may count for all
    for r in range(n_rays):
        if r == asked and r >= 4 and (free == total or free == 0.0):
            break  # all the same so far
        ox, oy, oz = _place(corner[p], hot[p, 8], (u0 + r * _A1) % 1.0, (u1 + r * _A2) % 1.0)
        dx, dy, dz = _place(corner[q], hot[q, 8], (u2 + r * _A3) % 1.0, (u3 + r * _A4) % 1.0)
        dx, dy, dz = dx - ox, dy - oy, dz - oz
        front = hot[p, 3] * dx + hot[p, 4] * dy + hot[p, 5] * dz
        back = -(hot[q, 3] * dx + hot[q, 4] * dy + hot[q, 5] * dz)
        if front <= 0.0 or back <= 0.0:
            continue
        r2 = dx * dx + dy * dy + dz * dz + soft
        weight = front * back / (r2 * r2)
        total += weight
        if last >= 0 and own[last] != p and own[last] != q and _hits(last, ox, oy, oz, dx, dy, dz, wall):
            continue
        if m > long:
            found = _blocked_in_tree(ox, oy, oz, dx, dy, dz, p, q, wall, own, tree, leaf, stack)
        else:
            found = _blocked(ox, oy, oz, dx, dy, dz, p, q, some, m, wall, own)
        if found >= 0:
            last = found
        else:
            free += weight
    return (free / total if total > 0.0 else 0.0), last


# Clusters of facets


@njit(cache=True, nogil=True)
def _shaft(one, other, plane):
    """Slanted planes around two boxes: x_u n_u + x_v n_v <= c inside their hull; how many.

    Rows of ``plane``: u, v, n_u, n_v, c.
    """
    n = 0
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for su in range(2):
            for sv in range(2):
                au, av = one[u + 3 * su], one[v + 3 * sv]
                bu, bv = other[u + 3 * su], other[v + 3 * sv]
                nu, nv = bv - av, au - bu
                if nu * (2 * su - 1) < 0.0 or (nu == 0.0 and nv * (2 * sv - 1) < 0.0):
                    nu, nv = -nu, -nv
                if nu * (2 * su - 1) > 0.0 and nv * (2 * sv - 1) > 0.0:
                    plane[n, 0], plane[n, 1], plane[n, 2], plane[n, 3] = u, v, nu, nv
                    plane[n, 4] = nu * au + nv * av
                    n += 1
    return n


@njit(cache=True, nogil=True)
def _outside(box, low, high, plane, n):
    """Whether a box lies outside the hull of two boxes with common bounds low, high."""
    for x in range(3):
        if box[x] > high[x] or box[x + 3] < low[x]:
            return True
    for k in range(n):
        u, v = int(plane[k, 0]), int(plane[k, 1])
        nu, nv = plane[k, 2], plane[k, 3]
        nearest = nu * (box[u] if nu > 0.0 else box[u + 3]) + nv * (box[v] if nv > 0.0 else box[v + 3])
        if nearest > plane[k, 4]:
            return True
    return False


@njit(cache=True, nogil=True)
def _spread(k, begin, end, wall, corner, count):
    """Lowest and highest distance of the corners of pieces begin..end from the plane of piece k."""
    low, high = 1e300, -1e300
    for p in range(begin, end):
        a, b = _reach(count[p], corner[p], wall[k, 0], wall[k, 1], wall[k, 2], wall[k, 3])
        low, high = min(low, a), max(high, b)
    return low, high


@njit(cache=True, nogil=True)
def _box_spread(k, box, wall):
    """Lowest and highest distance of the points of a box from the plane of piece k."""
    low = high = -wall[k, 3]
    for x in range(3):
        n = wall[k, x]
        if n > 0.0:
            low, high = low + n * box[x], high + n * box[x + 3]
        else:
            low, high = low + n * box[x + 3], high + n * box[x]
    return low, high


@njit(cache=True, nogil=True)
def _beside(k, p, q, hot, wall):
    """Whether piece k reaches into the tube around pieces p and q, all of them taken as balls."""
    dx, dy, dz = hot[q, 0] - hot[p, 0], hot[q, 1] - hot[p, 1], hot[q, 2] - hot[p, 2]
    x, y, z = wall[k, 20] - hot[p, 0], wall[k, 21] - hot[p, 1], wall[k, 22] - hot[p, 2]
    s = (x * dx + y * dy + z * dz) / (dx * dx + dy * dy + dz * dz)
    s = max(0.0, min(1.0, s))
    x, y, z = x - s * dx, y - s * dy, z - s * dz
    reach = wall[k, 23] + max(hot[p, 7], hot[q, 7])
    return x * x + y * y + z * z <= reach * reach


@njit(cache=True, nogil=True)
def _between(
    begin, end, begin2, end2, box, box2, corner, count, wall, wall_box, tree, leaf, plane, stack, found
):
    """List pieces that may hide the second of two clusters of pieces from the first; how many.

    No more than there is room for: then there may be others.
    """
    low, high = np.empty(3), np.empty(3)
    for x in range(3):
        low[x], high[x] = min(box[x], box2[x]), max(box[x + 3], box2[x + 3])
    n_planes = _shaft(box, box2, plane)
    first_leaf = (tree.shape[0] - 1) // 2
    m, top = 0, 1
    stack[0] = 0
    while top > 0:
        top -= 1
        node = stack[top]
        if _outside(tree[node], low, high, plane, n_planes):
            continue
        if node < first_leaf:
            stack[top], stack[top + 1] = 2 * node + 1, 2 * node + 2
            top += 2
            continue
        for k in range(leaf[node - first_leaf], leaf[node - first_leaf + 1]):
            if _outside(wall_box[k], low, high, plane, n_planes):
                continue
            # Some of the one has to lie in front of it and some of the other behind: by boxes first.
            flat = wall[k, 24]
            low1, high1 = _box_spread(k, box, wall)
            low2, high2 = _box_spread(k, box2, wall)
            if high1 <= flat or low2 >= -flat:
                continue
            if low1 < -flat:
                low1, high1 = _spread(k, begin, end, wall, corner, count)
            if high2 > flat:
                low2, high2 = _spread(k, begin2, end2, wall, corner, count)
            if high1 > flat and low2 < -flat:
                found[m] = k
                m += 1
                if m == found.shape[0]:
                    return m
    return m
    return m


@njit(cache=True, nogil=True)
def _block(
    a, b, flip, cluster, box, first, hot, corner, count, rule, gauss, wall, wall_box, own, tree, leaf,
    per_ray, most, found, some, stack, plane, buffer, out,
):  # fmt: skip
    """Exchange areas of the facets of cluster a with those of cluster b, into out [i, j].

    With ``flip`` each pair is computed the other way round.
    """
    begin, end = cluster[a], cluster[a + 1]
    begin2, end2 = cluster[b], cluster[b + 1]
    beg_a, end_a, beg_b, end_b = (begin2, end2, begin, end) if flip else (begin, end, begin2, end2)
    n_found = -1  # not looked for yet
    last = -1
    for i in range(begin, end):
        for j in range(begin2, end2 if a != b else i + 1):
            total = 0.0
            for p in range(first[i], first[i + 1]):
                for q in range(first[j], p if i == j else first[j + 1]):
                    one, other = (q, p) if flip else (p, q)
                    value = _unhindered(one, other, hot, corner, count, rule, gauss, buffer)
                    if value == 0.0:
                        continue
                    if n_found < 0:
                        n_found = 0
                        if leaf[leaf.shape[0] - 1] > 0:
                            n_found = _between(
                                first[beg_a], first[end_a], first[beg_b], first[end_b], box[b if flip else a],
                                box[a if flip else b], corner, count, wall, wall_box, tree, leaf, plane,
                                stack, found,
                            )  # fmt: skip
                    if n_found > 0:
                        n_rays = int(value / min(hot[p, 6], hot[q, 6]) * per_ray)
                        n_rays = max(1, min(n_rays, most))
                        m = n_found
                        listed = found
                        if n_rays > 1 and n_found < found.shape[0]:
                            m = 0
                            listed = some
                            for c in range(n_found):
                                k = found[c]
                                if own[k] == p or own[k] == q or not _beside(k, p, q, hot, wall):
                                    continue
                                _, high1 = _spread(k, one, one + 1, wall, corner, count)
                                low2, _ = _spread(k, other, other + 1, wall, corner, count)
                                if high1 > wall[k, 24] and low2 < -wall[k, 24]:
                                    some[m] = k
                                    m += 1
                        if m > 0:
                            seed = np.uint64(one) * np.uint64(0x100000001B3) + np.uint64(other)
                            share, last = _seen(
                                one, other, n_rays, hot, corner, wall, own, tree, leaf, listed, m, 32, stack,
                                seed, last,
                            )  # fmt: skip
                            value *= share
                    total += value
            out[i - begin, j - begin2] = 2.0 * total if i == j else total


@njit(cache=True, nogil=True)
def exchange_in_space(
    start, stop, cluster, box, first, hot, corner, count, rule, gauss, wall, wall_box, own, tree, leaf,
    per_ray, most, packed,
):  # fmt: skip
    """Exchange areas A_i F_ij of facets in space, pair of clusters by pair.

    Parameters
    ----------
    start, stop : int
        Pairs of clusters (a, b), b <= a, numbered a (a + 1) / 2 + b.
    cluster : int64[c + 1]
        First facet of each cluster.
    box : float64[c, 6]
        Lowest and highest corner of each, m.
    first : int64[n + 1]
        First piece of each facet.
    hot : float64[pieces, 9]
        Center (m), outward unit normal, area (m^2), largest distance of a corner from the center (m), share
        of the first triangle in the area.
    corner : float64[pieces, 4, 3]
        m; counterclockwise seen from where the normal points.
    count : int64[pieces]
        3 or 4 corners.
    rule : float64[pieces, 4, 4]
        Integration points (m) and the area each stands for (m^2).
    gauss : float64[g, 2]
        Points and weights on [0, 1].
    wall : float64[walls, 25]
        Flat pieces that may stand in the way: unit normal and distance from the origin of the plane, then of
        four planes through the sides, with the piece in front of them; center and radius of a ball
        around; distance below which a corner lies in the plane, m.
    wall_box : float64[walls, 6]
        m.
    own : int64[walls]
        The piece each of them is, or -1.
    tree : float64[2^d - 1, 6]
        Boxes of a complete binary tree over walls, m.
    leaf : int64[2^(d-1) + 1]
        First wall of each leaf.
    per_ray : float
        Rays per view factor (the larger one of the pair).
    most : int
        Rays per pair of pieces at most.
    packed : float32[n (n + 1) / 2]
        Overwritten for these pairs: A_i F_ij at i (i + 1) / 2 + j, j <= i, m^2.
    """
    found, some = np.empty(256, np.int64), np.empty(256, np.int64)
    stack, plane, buffer = np.empty(128, np.int64), np.empty((12, 5)), np.empty((2, 8, 3))
    largest = 0
    for a in range(cluster.shape[0] - 1):
        largest = max(largest, cluster[a + 1] - cluster[a])
    out = np.empty((largest, largest))
    a = int((math.sqrt(8.0 * start + 1.0) - 1.0) / 2.0)
    while a * (a + 1) // 2 > start:
        a -= 1
    while (a + 1) * (a + 2) // 2 <= start:
        a += 1
    b = start - a * (a + 1) // 2
    for _ in range(start, stop):
        _block(
            a, b, False, cluster, box, first, hot, corner, count, rule, gauss, wall, wall_box, own, tree,
            leaf, per_ray, most, found, some, stack, plane, buffer, out,
        )  # fmt: skip
        for i in range(cluster[a], cluster[a + 1]):
            at = i * (i + 1) // 2
            for j in range(cluster[b], cluster[b + 1] if a != b else i + 1):
                packed[at + j] = out[i - cluster[a], j - cluster[b]]
        b += 1
        if b > a:
            a, b = a + 1, 0


@njit(cache=True, nogil=True)
def asymmetry_in_space(
    start, stop, pairs, cluster, box, first, hot, corner, count, rule, gauss, wall, wall_box, own, tree, leaf,
    per_ray, most, difference, size,
):  # fmt: skip
    """How far A_i F_ij and A_j F_ji, each computed alone, differ over some pairs of clusters.

    Parameters
    ----------
    pairs : int64[k, 2]
        Clusters; ``start, stop`` run over these.
    difference, size : float64[k]
        Overwritten: the sum of |A_i F_ij - A_j F_ji| and of their means, m^2.

    The rest as in ``exchange_in_space``.
    """
    found, some = np.empty(256, np.int64), np.empty(256, np.int64)
    stack, plane, buffer = np.empty(128, np.int64), np.empty((12, 5)), np.empty((2, 8, 3))
    largest = 0
    for a in range(cluster.shape[0] - 1):
        largest = max(largest, cluster[a + 1] - cluster[a])
    out = np.empty((2, largest, largest))
    for w in range(start, stop):
        a, b = pairs[w, 0], pairs[w, 1]
        for way in range(2):
            _block(
                a, b, way == 1, cluster, box, first, hot, corner, count, rule, gauss, wall, wall_box, own,
                tree, leaf, per_ray, most, found, some, stack, plane, buffer, out[way],
            )  # fmt: skip
        difference[w] = size[w] = 0.0
        for i in range(cluster[a], cluster[a + 1]):
            for j in range(cluster[b], cluster[b + 1] if a != b else i):
                one, other = out[0, i - cluster[a], j - cluster[b]], out[1, i - cluster[a], j - cluster[b]]
                difference[w] += abs(one - other)
                size[w] += 0.5 * (one + other)


# In the plane


@njit(cache=True, nogil=True)
def _cut(edge, nx, ny, off, out):
    """The part of an edge in front of a line (n.x > off); whether there is any."""
    da = nx * edge[0] + ny * edge[1] - off
    db = nx * edge[2] + ny * edge[3] - off
    if da <= 0.0 and db <= 0.0:
        return False
    out[0], out[1], out[2], out[3] = edge[0], edge[1], edge[2], edge[3]
    s = da / (da - db) if da != db else 0.0
    if da < 0.0:
        out[0], out[1] = edge[0] + s * (edge[2] - edge[0]), edge[1] + s * (edge[3] - edge[1])
    if db < 0.0:
        out[2], out[3] = edge[0] + s * (edge[2] - edge[0]), edge[1] + s * (edge[3] - edge[1])
    return True


@njit(cache=True, nogil=True)
def _shadow(ox, oy, target, k, line):
    """The part of a target edge that line k hides from a point, as (from, to) in [0, 1]; (0, 0) for none."""
    cx, cy, ex, ey = target[0] - ox, target[1] - oy, target[2] - ox, target[3] - oy
    ax, ay, bx, by = line[k, 0] - ox, line[k, 1] - oy, line[k, 2] - ox, line[k, 3] - oy
    # Inside the triangle (point, target) three functions of the place on the line are positive.
    area = cx * ey - cy * ex
    if area == 0.0:
        return 0.0, 0.0
    s0, s1 = 0.0, 1.0
    for side in range(3):
        if side == 0:
            fa, fb = (cx * ay - cy * ax) / area, (cx * by - cy * bx) / area
        elif side == 1:
            fa, fb = (ax * ey - ay * ex) / area, (bx * ey - by * ex) / area
        else:
            fa = 1.0 - _TOUCH - (cx * ay - cy * ax + ax * ey - ay * ex) / area
            fb = 1.0 - _TOUCH - (cx * by - cy * bx + bx * ey - by * ex) / area
        if fa <= 0.0 and fb <= 0.0:
            return 0.0, 0.0
        if fa < 0.0:
            s0 = max(s0, fa / (fa - fb))
        elif fb < 0.0:
            s1 = min(s1, fa / (fa - fb))
    if s0 >= s1:
        return 0.0, 0.0
    low, high = 2.0, -1.0
    for end in range(2):
        s = s0 if end == 0 else s1
        px, py = ax + s * (bx - ax), ay + s * (by - ay)
        along, across = cx * py - cy * px, px * ey - py * ex  # shares of the far and the near end
        reach = (along + across) / area
        if reach <= _TOUCH:
            return 0.0, 0.0  # it begins where the ray does
        t = along / (along + across)
        low, high = min(low, t), max(high, t)
    return low, high


@njit(cache=True, nogil=True)
def _strings(one, other, listed, m, line, n_points, gauss, shade):
    """L_1 F_12 of two edges in front of each other, with the listed lines in between."""
    ux, uy = one[2] - one[0], one[3] - one[1]
    total = 0.0
    for panel in range(n_points):
        for g in range(gauss.shape[0]):
            t = (panel + gauss[g, 0]) / n_points
            ox, oy = one[0] + t * ux, one[1] + t * uy
            n = 0
            for c in range(m):
                low, high = _shadow(ox, oy, other, listed[c], line)
                if high > low:  # kept sorted by where they begin
                    at = n
                    while at > 0 and shade[at - 1, 0] > low:
                        shade[at, 0], shade[at, 1] = shade[at - 1, 0], shade[at - 1, 1]
                        at -= 1
                    shade[at, 0], shade[at, 1] = low, high
                    n += 1
            value, done = 0.0, 0.0
            for c in range(n + 1):
                until = shade[c, 0] if c < n else 1.0
                if until > done:
                    ax, ay = (
                        other[0] + done * (other[2] - other[0]) - ox,
                        other[1] + done * (other[3] - other[1]) - oy,
                    )
                    bx, by = (
                        other[0] + until * (other[2] - other[0]) - ox,
                        other[1] + until * (other[3] - other[1]) - oy,
                    )
                    ra, rb = math.sqrt(ax * ax + ay * ay), math.sqrt(bx * bx + by * by)
                    if ra > 0.0 and rb > 0.0:
                        value += abs((ux * bx + uy * by) / rb - (ux * ax + uy * ay) / ra)
                if c < n:
                    done = max(done, shade[c, 1])
            total += gauss[g, 1] * 0.5 * value / n_points
    return total


@njit(cache=True, nogil=True)
def _in_plane(i, j, flip, first, edge, hot, line, own, tree, leaf, flat, gauss, work, shade, found, stack):
    """Exchange area of facets i and j of a plane model per depth, m."""
    first_leaf = (tree.shape[0] - 1) // 2
    total = 0.0
    for p in range(first[i], first[i + 1]):
        for q in range(first[j], p if i == j else first[j + 1]):
            po = hot[p, 0] * edge[p, 0] + hot[p, 1] * edge[p, 1]
            qo = hot[q, 0] * edge[q, 0] + hot[q, 1] * edge[q, 1]
            if not _cut(edge[q], hot[p, 0], hot[p, 1], po + flat, work[1]):
                continue
            if not _cut(edge[p], hot[q, 0], hot[q, 1], qo + flat, work[0]):
                continue
            one, other = work[0], work[1]
            # Bodies lie to the left of both: the start of one faces the end of the other.
            crossed = math.hypot(one[0] - other[0], one[1] - other[1]) + math.hypot(
                one[2] - other[2], one[3] - other[3]
            )
            direct = math.hypot(one[0] - other[2], one[1] - other[3]) + math.hypot(
                one[2] - other[0], one[3] - other[1]
            )
            value = 0.5 * (crossed - direct)
            if value <= 0.0:
                continue
            m = 0
            low0, low1 = min(one[0], one[2], other[0], other[2]), min(one[1], one[3], other[1], other[3])
            high0, high1 = max(one[0], one[2], other[0], other[2]), max(one[1], one[3], other[1], other[3])
            top = 0
            if leaf[leaf.shape[0] - 1] > 0:
                stack[0] = 0
                top = 1
            while top > 0:
                top -= 1
                node = stack[top]
                if (
                    tree[node, 0] > high0
                    or tree[node, 3] < low0
                    or tree[node, 1] > high1
                    or tree[node, 4] < low1
                ):
                    continue
                if node < first_leaf:
                    stack[top], stack[top + 1] = 2 * node + 1, 2 * node + 2
                    top += 2
                    continue
                for k in range(leaf[node - first_leaf], leaf[node - first_leaf + 1]):
                    if own[k] == p or own[k] == q:
                        continue
                    ax, ay = line[k, 0], line[k, 1]
                    nx, ny = line[k, 3] - ay, ax - line[k, 2]
                    size = math.sqrt(nx * nx + ny * ny)
                    nx, ny = nx / size, ny / size
                    a0, a1 = nx * (one[0] - ax) + ny * (one[1] - ay), nx * (one[2] - ax) + ny * (one[3] - ay)
                    b0, b1 = (
                        nx * (other[0] - ax) + ny * (other[1] - ay),
                        nx * (other[2] - ax) + ny * (other[3] - ay),
                    )
                    if not (
                        (min(a0, a1) < -flat and max(b0, b1) > flat)
                        or (min(b0, b1) < -flat and max(a0, a1) > flat)
                    ):
                        continue
                    outside = False
                    for side in range(2):  # the direct strings bound what lies in between
                        if side == 0:
                            sx, sy, tx, ty = one[0], one[1], other[2], other[3]
                            rx, ry = one[2] - sx, one[3] - sy
                        else:
                            sx, sy, tx, ty = one[2], one[3], other[0], other[1]
                            rx, ry = one[0] - sx, one[1] - sy
                        wx, wy = ty - sy, sx - tx
                        inward = wx * rx + wy * ry
                        da = wx * (line[k, 0] - sx) + wy * (line[k, 1] - sy)
                        db = wx * (line[k, 2] - sx) + wy * (line[k, 3] - sy)
                        if inward > 0.0:
                            outside = outside or (da <= 0.0 and db <= 0.0)
                        elif inward < 0.0:
                            outside = outside or (da >= 0.0 and db >= 0.0)
                    if not outside:
                        found[m] = k
                        m += 1
            if m > 0:
                length = math.hypot(one[2] - one[0], one[3] - one[1])
                length2 = math.hypot(other[2] - other[0], other[3] - other[1])
                if (length > length2) != flip:  # points on the shorter one
                    one, other = work[1], work[0]
                panels = math.ceil(8.0 * math.sqrt(min(1.0, 20.0 * value / min(length, length2))))
                value = _strings(one, other, found, m, line, panels, gauss, shade)
            total += value
    return 2.0 * total if i == j else total


@njit(cache=True, nogil=True)
def exchange_in_plane(start, stop, first, edge, hot, line, own, tree, leaf, flat, gauss, packed):
    """Exchange lengths L_i F_ij of the edges of a plane model, pair by pair.

    Parameters
    ----------
    start, stop : int
        Pairs (i, j), j <= i, numbered i (i + 1) / 2 + j.
    first : int64[n + 1]
        First straight piece of each edge.
    edge : float64[pieces, 4]
        Both ends, m; the body to the left.
    hot : float64[pieces, 2]
        Outward unit normals.
    line : float64[lines, 4]
        Pieces that may stand in the way, m.
    own : int64[lines]
        The piece each of them is, or -1.
    tree, leaf
        As in ``exchange_in_space``.
    flat : float
        Distance below which an end lies on a line, m.
    gauss : float64[g, 2]
        Points and weights on [0, 1].
    packed : float32[n (n + 1) / 2]
        Overwritten for these pairs, m.
    """
    work, shade = np.empty((2, 4)), np.empty((line.shape[0] + 1, 2))
    found, stack = np.empty(line.shape[0] + 1, np.int64), np.empty(128, np.int64)
    i = int((math.sqrt(8.0 * start + 1.0) - 1.0) / 2.0)
    while i * (i + 1) // 2 > start:
        i -= 1
    while (i + 1) * (i + 2) // 2 <= start:
        i += 1
    j = start - i * (i + 1) // 2
    for w in range(start, stop):
        packed[w] = _in_plane(
            i, j, False, first, edge, hot, line, own, tree, leaf, flat, gauss, work, shade, found, stack
        )
        j += 1
        if j > i:
            i, j = i + 1, 0


@njit(cache=True, nogil=True)
def asymmetry_in_plane(
    start, stop, pairs, first, edge, hot, line, own, tree, leaf, flat, gauss, difference, size
):
    """How far L_i F_ij and L_j F_ji, each computed alone, differ; see ``asymmetry_in_space``.

    Parameters
    ----------
    pairs : int64[k, 2]
        Facets.
    """
    work, shade = np.empty((2, 4)), np.empty((line.shape[0] + 1, 2))
    found, stack = np.empty(line.shape[0] + 1, np.int64), np.empty(128, np.int64)
    for w in range(start, stop):
        i, j = pairs[w, 0], pairs[w, 1]
        one = _in_plane(
            i, j, False, first, edge, hot, line, own, tree, leaf, flat, gauss, work, shade, found, stack
        )
        other = _in_plane(
            i, j, True, first, edge, hot, line, own, tree, leaf, flat, gauss, work, shade, found, stack
        )
        difference[w], size[w] = abs(one - other), 0.5 * (one + other)


# Which pieces can stand in a way at all


@njit(cache=True, nogil=True)
def may_hide(start, stop, wall, corner, count, out):
    """Whether some of the scene lies on either side of each flat piece.

    Parameters
    ----------
    wall : float64[walls, 25]
    corner : float64[pieces, 4, 3]
        What exchanges heat, m.
    count : int64[pieces]
    out : bool[walls]
        Overwritten.
    """
    for k in range(start, stop):
        below = above = False
        p = 0
        while p < corner.shape[0] and not (below and above):
            low, high = _reach(count[p], corner[p], wall[k, 0], wall[k, 1], wall[k, 2], wall[k, 3])
            below, above = below or low < -wall[k, 24], above or high > wall[k, 24]
            p += 1
        out[k] = below and above


# What leaves through openings


@njit(cache=True, nogil=True)
def _first_hit(ox, oy, oz, dx, dy, dz, p, wall, own, tree, leaf, stack):
    """The piece that a ray from piece p (o to o + d) meets first, or -1."""
    first_leaf = (tree.shape[0] - 1) // 2
    ix = 1.0 / dx if dx != 0.0 else 1e300
    iy = 1.0 / dy if dy != 0.0 else 1e300
    iz = 1.0 / dz if dz != 0.0 else 1e300
    found, least = -1, 1.0
    stack[0] = 0
    top = 1
    while top > 0:
        top -= 1
        node = stack[top]
        a, b = (tree[node, 0] - ox) * ix, (tree[node, 3] - ox) * ix
        t0, t1 = min(a, b), max(a, b)
        a, b = (tree[node, 1] - oy) * iy, (tree[node, 4] - oy) * iy
        t0, t1 = max(t0, min(a, b)), min(t1, max(a, b))
        a, b = (tree[node, 2] - oz) * iz, (tree[node, 5] - oz) * iz
        t0, t1 = max(t0, min(a, b)), min(t1, max(a, b))
        if t0 > t1 or t1 < 0.0 or t0 > least:
            continue
        if node < first_leaf:
            stack[top], stack[top + 1] = 2 * node + 1, 2 * node + 2
            top += 2
            continue
        for k in range(leaf[node - first_leaf], leaf[node - first_leaf + 1]):
            if own[k] == p:
                continue
            along = wall[k, 0] * dx + wall[k, 1] * dy + wall[k, 2] * dz
            gap = wall[k, 3] - (wall[k, 0] * ox + wall[k, 1] * oy + wall[k, 2] * oz)
            if along == 0.0:
                continue
            t = gap / along
            if t <= 1e-12 or t >= least:
                continue
            x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
            inside = True
            for s in range(4, 20, 4):
                if wall[k, s] * x + wall[k, s + 1] * y + wall[k, s + 2] * z < wall[k, s + 3]:
                    inside = False
                    break
            if inside:
                found, least = k, t
    return found


@njit(cache=True, nogil=True)
def open_shares(start, stop, first, hot, corner, wall, own, tree, leaf, reach, n_rays, out):
    """Share of what each facet sees that is none of the facets: rays over the hemisphere, weighed by cosine.

    Parameters
    ----------
    start, stop : int
        Facets.
    first, hot, corner, wall, own, tree, leaf
        As in ``exchange_in_space``; here walls are all there are.
    reach : float
        Length beyond which there is nothing, m.
    n_rays : int
        Per facet.
    out : float64[n]
        Overwritten.
    """
    stack = np.empty(128, np.int64)
    for i in range(start, stop):
        area = free = 0.0
        seed = np.uint64(i)
        seed, u0 = _mixed(seed)
        seed, u1 = _mixed(seed)
        seed, u2 = _mixed(seed)
        seed, u3 = _mixed(seed)
        r = 0
        for p in range(first[i], first[i + 1]):
            nx, ny, nz = hot[p, 3], hot[p, 4], hot[p, 5]
            # Two directions square to the normal (Duff et al., JCGT 6 (2017)).
            sign = 1.0 if nz >= 0.0 else -1.0
            a = -1.0 / (sign + nz)
            b = nx * ny * a
            ux, uy, uz = 1.0 + sign * nx * nx * a, sign * b, -sign * nx
            vx, vy, vz = b, sign + ny * ny * a, -ny
            n = -(-n_rays // (first[i + 1] - first[i]))
            count = 0
            for _ in range(n):
                ox, oy, oz = _place(corner[p], hot[p, 8], (u0 + r * _A1) % 1.0, (u1 + r * _A2) % 1.0)
                sine2, turn = (u2 + r * _A3) % 1.0, 2.0 * math.pi * ((u3 + r * _A4) % 1.0)
                r += 1
                c, s = math.sqrt(sine2) * math.cos(turn), math.sqrt(sine2) * math.sin(turn)
                w = math.sqrt(1.0 - sine2)
                dx = reach * (c * ux + s * vx + w * nx)
                dy = reach * (c * uy + s * vy + w * ny)
                dz = reach * (c * uz + s * vz + w * nz)
                k = _first_hit(ox, oy, oz, dx, dy, dz, p, wall, own, tree, leaf, stack)
                if k < 0 or own[k] < 0:
                    count += 1
            area += hot[p, 6]
            free += hot[p, 6] * count / n
        out[i] = free / area


# Products with a packed symmetric matrix


@njit(cache=True, nogil=True)
def product(start, stop, bound, packed, x, part):
    """Shares of blocks of rows in y = G x; the sum over all blocks, in order, is y.

    Parameters
    ----------
    start, stop : int
        Blocks.
    bound : int64[blocks + 1]
        First row of each block.
    packed : float32[n (n + 1) / 2]
        Lower half of G by rows.
    x : float64[n]
    part : float64[blocks, n]
        Overwritten.
    """
    for b in range(start, stop):
        y = part[b]
        for i in range(y.shape[0]):
            y[i] = 0.0
        for i in range(bound[b], bound[b + 1]):
            row = packed[i * (i + 1) // 2 : (i + 1) * (i + 2) // 2]
            xi = x[i]
            s0 = s1 = s2 = s3 = 0.0
            j = 0
            while j + 4 <= i:
                g0, g1, g2, g3 = row[j], row[j + 1], row[j + 2], row[j + 3]
                s0 += g0 * x[j]
                s1 += g1 * x[j + 1]
                s2 += g2 * x[j + 2]
                s3 += g3 * x[j + 3]
                y[j] += g0 * xi
                y[j + 1] += g1 * xi
                y[j + 2] += g2 * xi
                y[j + 3] += g3 * xi
                j += 4
            while j < i:
                s0 += row[j] * x[j]
                y[j] += row[j] * xi
                j += 1
            y[i] += (s0 + s1) + (s2 + s3) + row[i] * xi
