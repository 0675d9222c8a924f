"""Points onto faces: the closest point of curved facets, and the overlap of facets that do not match.

Facets are triangles and quadrilaterals in space, or edges (in plane meshes), of any order. Kernels take
tables (exponents of the monomials and their coefficients), never an element.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def evaluate(powers, coefficients, r, s, value, slope):
    """Shape functions and their natural derivatives at one point.

    Parameters
    ----------
    powers : int64[n, 2]
        Exponents of r and s of each monomial.
    coefficients : float64[n, n]
        Shape function k is the sum over monomials j of coefficients[j, k] times monomial j.
    value : float64[n]
        Overwritten.
    slope : float64[n, 2]
        Overwritten.
    """
    n = powers.shape[0]
    for k in range(n):
        value[k] = 0.0
        slope[k, 0] = 0.0
        slope[k, 1] = 0.0
    for j in range(n):
        a, b = powers[j, 0], powers[j, 1]
        ra = sb = 1.0
        da = db = 0.0
        for _ in range(a):
            da = da * r + ra
            ra *= r
        for _ in range(b):
            db = db * s + sb
            sb *= s
        for k in range(n):
            c = coefficients[j, k]
            value[k] += c * ra * sb
            slope[k, 0] += c * da * sb
            slope[k, 1] += c * ra * db


@njit(cache=True, nogil=True)
def place(x, powers, coefficients, r, s, value, slope, at):
    """Position and tangents at natural coordinates.

    Parameters
    ----------
    x : float64[n, 3]
        Nodes of the facet, m.
    value, slope : float64[n], float64[n, 2]
        Overwritten: shape functions and their derivatives.
    at : float64[3, 3]
        Overwritten: position, tangent along r, tangent along s.
    """
    evaluate(powers, coefficients, r, s, value, slope)
    for i in range(3):
        at[0, i] = 0.0
        at[1, i] = 0.0
        at[2, i] = 0.0
    for k in range(x.shape[0]):
        for i in range(3):
            at[0, i] += value[k] * x[k, i]
            at[1, i] += slope[k, 0] * x[k, i]
            at[2, i] += slope[k, 1] * x[k, i]


@njit(cache=True, nogil=True)
def outside(kind, r, s):
    """How far natural coordinates lie outside the facet; kind 0 edge, 1 triangle, 2 quadrilateral."""
    if kind == 0:
        return max(abs(r) - 1.0, 0.0)
    if kind == 1:
        return max(-r, -s, r + s - 1.0, 0.0)
    return max(abs(r) - 1.0, abs(s) - 1.0, 0.0)


@njit(cache=True, nogil=True)
def descend(x, powers, coefficients, kind, point, xi, value, slope, at):
    """The foot of a point on a facet continued beyond its edges, by Gauss-Newton.

    Parameters
    ----------
    point : float64[3]
        m.
    xi : float64[2]
        Start; overwritten with the natural coordinates of the foot.
    """
    for _ in range(40):
        place(x, powers, coefficients, xi[0], xi[1], value, slope, at)
        g0 = g1 = a00 = a01 = a11 = 0.0
        for i in range(3):
            d = point[i] - at[0, i]
            g0 += d * at[1, i]
            a00 += at[1, i] * at[1, i]
            if kind > 0:
                g1 += d * at[2, i]
                a01 += at[1, i] * at[2, i]
                a11 += at[2, i] * at[2, i]
        if kind == 0:
            dr, ds = g0 / max(a00, 1e-300), 0.0
        else:
            determinant = a00 * a11 - a01 * a01
            if determinant <= 1e-24 * a00 * a11:
                break
            dr = (a11 * g0 - a01 * g1) / determinant
            ds = (a00 * g1 - a01 * g0) / determinant
        # Bounded steps, in a bounded neighborhood: a point far away must not throw the iterate off.
        step = max(abs(dr), abs(ds))
        if step > 1.0:
            dr, ds = dr / step, ds / step
        xi[0] = min(max(xi[0] + dr, -3.0), 3.0)
        xi[1] = min(max(xi[1] + ds, -3.0), 3.0)
        if step < 1e-13:
            break


@njit(cache=True, nogil=True)
def along_edges(x, powers, coefficients, kind, corners, point, xi, value, slope, at):
    """The closest point on the rim of a facet; overwrites xi.

    Parameters
    ----------
    corners : float64[c, 2]
        Natural coordinates of the corners.
    """
    best, br, bs = np.inf, 0.0, 0.0
    n = corners.shape[0]
    for e in range(n):
        r0, s0 = corners[e, 0], corners[e, 1]
        r1, s1 = corners[(e + 1) % n, 0], corners[(e + 1) % n, 1]
        if kind == 0:
            r1, s1 = r0, s0  # the rim of an edge is its two ends
        t = 0.5
        for _ in range(40):
            r, s = r0 + t * (r1 - r0), s0 + t * (s1 - s0)
            place(x, powers, coefficients, r, s, value, slope, at)
            top = bottom = 0.0
            for i in range(3):
                tangent = (r1 - r0) * at[1, i] + (s1 - s0) * at[2, i]
                top += (point[i] - at[0, i]) * tangent
                bottom += tangent * tangent
            if bottom <= 0.0:
                break
            new = min(max(t + top / bottom, 0.0), 1.0)
            moved = abs(new - t)
            t = new
            if moved < 1e-13:
                break
        r, s = r0 + t * (r1 - r0), s0 + t * (s1 - s0)
        place(x, powers, coefficients, r, s, value, slope, at)
        far = 0.0
        for i in range(3):
            far += (point[i] - at[0, i]) ** 2
        if far < best:
            best, br, bs = far, r, s
    xi[0], xi[1] = br, bs


@njit(cache=True, nogil=True)
def closest_facets(
    start, stop, points, first, candidates, mesh_points, conn, powers, coefficients, kind, corners, row,
    xi, distance,
):  # fmt: skip
    """The nearest of its candidate facets for every point, and where on it.

    Parameters
    ----------
    points : float64[n, 3]
        m.
    first, candidates : int64[n + 1], int64[...]
        Rows of ``conn`` to try for each point.
    conn : int64[f, k]
        Facets of one element type.
    row : int64[n]
        Row of the nearest facet; overwritten where one is nearer than ``distance``.
    xi : float64[n, 2]
        Natural coordinates there; overwritten likewise.
    distance : float64[n]
        Nearest so far, m; overwritten likewise.
    """
    n = conn.shape[1]
    x = np.empty((n, 3))
    value, slope, at = np.empty(n), np.empty((n, 2)), np.empty((3, 3))
    here, point = np.empty(2), np.empty(3)
    mean_r = mean_s = 0.0
    for c in range(corners.shape[0]):
        mean_r += corners[c, 0] / corners.shape[0]
        mean_s += corners[c, 1] / corners.shape[0]
    for p in range(start, stop):
        for i in range(3):
            point[i] = points[p, i]
        for entry in range(first[p], first[p + 1]):
            f = candidates[entry]
            for k in range(n):
                for i in range(3):
                    x[k, i] = mesh_points[conn[f, k], i]
            here[0], here[1] = mean_r, mean_s
            descend(x, powers, coefficients, kind, point, here, value, slope, at)
            if outside(kind, here[0], here[1]) > 1e-9:
                along_edges(x, powers, coefficients, kind, corners, point, here, value, slope, at)
            place(x, powers, coefficients, here[0], here[1], value, slope, at)
            far = 0.0
            for i in range(3):
                far += (point[i] - at[0, i]) ** 2
            far = math.sqrt(far)
            # The first of equals: a point on a common edge takes one facet, whatever rounding says.
            if far < distance[p] * (1.0 - 1e-9):
                row[p], distance[p] = f, far
                xi[p, 0], xi[p, 1] = here[0], here[1]


@njit(cache=True, nogil=True)
def clip(polygon, count, other, n_other, work):
    """Cut a convex polygon by another, both counterclockwise; returns how many corners are left.

    Parameters
    ----------
    polygon : float64[12, 2]
        Overwritten with the common part.
    other : float64[4, 2]
    work : float64[12, 2]
        Overwritten.

    Source: Sutherland & Hodgman, Commun. ACM 17 (1974) 32-42.
    """
    for e in range(n_other):
        ax, ay = other[e, 0], other[e, 1]
        tx, ty = other[(e + 1) % n_other, 0] - ax, other[(e + 1) % n_other, 1] - ay
        kept = 0
        for c in range(count):
            px, py = polygon[c, 0], polygon[c, 1]
            qx, qy = polygon[(c + 1) % count, 0], polygon[(c + 1) % count, 1]
            hp = tx * (py - ay) - ty * (px - ax)
            hq = tx * (qy - ay) - ty * (qx - ax)
            if hp >= 0.0:
                work[kept, 0], work[kept, 1] = px, py
                kept += 1
            if (hp > 0.0 and hq < 0.0) or (hp < 0.0 and hq > 0.0):
                t = hp / (hp - hq)
                work[kept, 0], work[kept, 1] = px + t * (qx - px), py + t * (qy - py)
                kept += 1
        count = kept
        for c in range(count):
            polygon[c, 0], polygon[c, 1] = work[c, 0], work[c, 1]
        if count < 3:
            return 0
    return count


@njit(cache=True, nogil=True)
def common_polygon(xs, cs, xp, cp, frame, corner, polygon, other, work):
    """The common part of two facets seen along the normal of the first.

    Parameters
    ----------
    xs, xp : float64[n, 3]
        Nodes; the first cs and cp are the corners, m.
    frame : float64[4, 3]
        Overwritten: middle of the first facet, two unit vectors in its plane, its unit normal.
    corner : float64[4, 2]
        Overwritten: corners of the first facet in that plane, m.
    polygon : float64[12, 2]
        Overwritten: the common part, counterclockwise, m.

    Returns
    -------
    int
        Corners of the common part, 0 where there is none; for edges 2: polygon[0:2, 0] is the common piece.
    """
    for i in range(3):
        frame[0, i] = 0.0
        for c in range(cs):
            frame[0, i] += xs[c, i] / cs
    if cs == 2:
        size = 0.0
        for i in range(3):
            frame[1, i] = xs[1, i] - xs[0, i]
            size += frame[1, i] ** 2
        size = math.sqrt(size)
        for i in range(3):
            frame[1, i] /= size
        frame[2, 0], frame[2, 1], frame[2, 2] = 0.0, 0.0, 1.0
        low, high = np.inf, -np.inf
        for c in range(2):
            t = 0.0
            corner[c, 1] = 0.0
            corner[c, 0] = 0.0
            for i in range(3):
                t += (xp[c, i] - frame[0, i]) * frame[1, i]
                corner[c, 0] += (xs[c, i] - frame[0, i]) * frame[1, i]
            low, high = min(low, t), max(high, t)
        frame[3, 0], frame[3, 1], frame[3, 2] = frame[1, 1], -frame[1, 0], 0.0
        low, high = max(low, -0.5 * size), min(high, 0.5 * size)
        if high - low <= 1e-9 * size:
            return 0
        polygon[0, 0], polygon[1, 0] = low, high
        return 2
    # Normal: half the cross product of the diagonals (of two sides for a triangle).
    a, b = (0, 2) if cs == 4 else (0, 1)
    c, d = (1, 3) if cs == 4 else (0, 2)
    ux, uy, uz = xs[b, 0] - xs[a, 0], xs[b, 1] - xs[a, 1], xs[b, 2] - xs[a, 2]
    vx, vy, vz = xs[d, 0] - xs[c, 0], xs[d, 1] - xs[c, 1], xs[d, 2] - xs[c, 2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    size = math.sqrt(nx * nx + ny * ny + nz * nz)
    if size == 0.0:
        return 0
    nx, ny, nz = nx / size, ny / size, nz / size
    length = math.sqrt(ux * ux + uy * uy + uz * uz)
    ux, uy, uz = ux / length, uy / length, uz / length
    frame[1, 0], frame[1, 1], frame[1, 2] = ux, uy, uz
    frame[2, 0], frame[2, 1], frame[2, 2] = ny * uz - nz * uy, nz * ux - nx * uz, nx * uy - ny * ux
    frame[3, 0], frame[3, 1], frame[3, 2] = nx, ny, nz
    for c in range(cs):
        corner[c, 0] = corner[c, 1] = 0.0
        for i in range(3):
            corner[c, 0] += (xs[c, i] - frame[0, i]) * frame[1, i]
            corner[c, 1] += (xs[c, i] - frame[0, i]) * frame[2, i]
        polygon[c, 0], polygon[c, 1] = corner[c, 0], corner[c, 1]
    for c in range(cp):
        other[c, 0] = other[c, 1] = 0.0
        for i in range(3):
            other[c, 0] += (xp[c, i] - frame[0, i]) * frame[1, i]
            other[c, 1] += (xp[c, i] - frame[0, i]) * frame[2, i]
    twice = 0.0
    for c in range(cp):
        e = (c + 1) % cp
        twice += other[c, 0] * other[e, 1] - other[e, 0] * other[c, 1]
    if twice < 0.0:  # the facets look at each other: turn one round
        for c in range(cp // 2):
            e = cp - 1 - c
            for i in range(2):
                other[c, i], other[e, i] = other[e, i], other[c, i]
    count = clip(polygon, cs, other, cp, work)
    twice = 0.0
    for c in range(count):
        e = (c + 1) % count
        twice += polygon[c, 0] * polygon[e, 1] - polygon[e, 0] * polygon[c, 1]
    return count if twice > 1e-12 * size else 0


@njit(cache=True, nogil=True)
def count_overlaps(start, stop, points_s, conn_s, cs, points_p, conn_p, cp, pair_s, pair_p, pieces):
    """Integration cells that pairs of facets have in common: triangles, or one piece of an edge.

    Parameters
    ----------
    points_s, points_p : float64[n, 3]
        Nodes of the secondary and of the primary side, m.
    conn_s, conn_p : int64[f, n]
        Facets of one element type each; the first cs and cp nodes are corners.
    pair_s, pair_p : int64[k]
        Rows of these.
    pieces : int64[k]
        Overwritten.
    """
    ns, np_ = conn_s.shape[1], conn_p.shape[1]
    xs, xp = np.empty((ns, 3)), np.empty((np_, 3))
    frame, corner = np.empty((4, 3)), np.empty((4, 2))
    polygon, other, work = np.empty((12, 2)), np.empty((4, 2)), np.empty((12, 2))
    for k in range(start, stop):
        for a in range(ns):
            for i in range(3):
                xs[a, i] = points_s[conn_s[pair_s[k], a], i]
        for a in range(np_):
            for i in range(3):
                xp[a, i] = points_p[conn_p[pair_p[k], a], i]
        count = common_polygon(xs, cs, xp, cp, frame, corner, polygon, other, work)
        pieces[k] = max(count - 2, 0) if cs > 2 else count // 2


@njit(cache=True, nogil=True)
def in_plane(corner, powers, coefficients, kind, px, py, xi, value, slope):
    """Natural coordinates of a point in the plane of a facet's corners, by Newton; overwrites xi."""
    n = powers.shape[0]
    for _ in range(30):
        evaluate(powers, coefficients, xi[0], xi[1], value, slope)
        fx, fy, a, b, c, d = px, py, 0.0, 0.0, 0.0, 0.0
        for k in range(n):
            fx -= value[k] * corner[k, 0]
            fy -= value[k] * corner[k, 1]
            a += slope[k, 0] * corner[k, 0]
            b += slope[k, 1] * corner[k, 0]
            c += slope[k, 0] * corner[k, 1]
            d += slope[k, 1] * corner[k, 1]
        if kind == 0:
            xi[0] += fx / a
            return abs(a)
        determinant = a * d - b * c
        if determinant == 0.0:
            return 0.0
        dr, ds = (d * fx - b * fy) / determinant, (a * fy - c * fx) / determinant
        xi[0] += dr
        xi[1] += ds
        if max(abs(dr), abs(ds)) < 1e-14:
            return abs(determinant)
    return abs(determinant)


@njit(cache=True, nogil=True)
def overlaps(
    start, stop, points_s, conn_s, powers_s, coefficients_s, corner_powers, corner_coefficients, cs,
    points_p, conn_p, powers_p, coefficients_p, corners_p, kind_p, cp, pair_s, pair_p, first, rule, weight,
    ring, xi_s, xi_p, measure, at, offset, facing,
):  # fmt: skip
    """Integration points on the common part of pairs of facets, with natural coordinates on both.

    Parameters
    ----------
    points_s ... pair_p : see ``count_overlaps``
    powers_s, coefficients_s, powers_p, coefficients_p : tables of the two facet elements
    corner_powers, corner_coefficients : tables of the secondary facet's corners alone
    corners_p : float64[cp, 2]
        Natural coordinates of the corners of a primary facet.
    kind_p : int
        0 edge, 1 triangle, 2 quadrilateral.
    first : int64[k + 1]
        Where a pair's integration points start.
    rule, weight : float64[q, 2], float64[q]
        On the unit triangle; for edges on [-1, 1].
    ring : int
        1 for axisymmetric parts: edges stand for rings, measures per radian.
    xi_s, xi_p : float64[m, 2]
        Overwritten: natural coordinates on the secondary and on the primary facet.
    measure : float64[m]
        Overwritten: area (length, for edges) of the secondary face that the point stands for.
    at, offset : float64[m, 3]
        Overwritten: place on the secondary face, and that place less its foot on the primary one, m.
    facing : float64[m]
        Overwritten: cosine between the two normals; -1 where the faces look at each other.
    """
    ns, np_, nc = conn_s.shape[1], conn_p.shape[1], corner_powers.shape[0]
    xs, xp = np.empty((ns, 3)), np.empty((np_, 3))
    frame, corner = np.empty((4, 3)), np.empty((4, 2))
    polygon, other, work = np.empty((12, 2)), np.empty((4, 2)), np.empty((12, 2))
    vs, ss, vp, sp = np.empty(ns), np.empty((ns, 2)), np.empty(np_), np.empty((np_, 2))
    vc, sc = np.empty(nc), np.empty((nc, 2))
    here, there, point = np.empty(2), np.empty(2), np.empty(3)
    place_s, place_p = np.empty((3, 3)), np.empty((3, 3))
    normal_s, normal_p = np.empty(3), np.empty(3)
    kind_s = 0 if cs == 2 else 1 if cs == 3 else 2
    for k in range(start, stop):
        if first[k + 1] == first[k]:
            continue
        for a in range(ns):
            for i in range(3):
                xs[a, i] = points_s[conn_s[pair_s[k], a], i]
        for a in range(np_):
            for i in range(3):
                xp[a, i] = points_p[conn_p[pair_p[k], a], i]
        count = common_polygon(xs, cs, xp, cp, frame, corner, polygon, other, work)
        out = first[k]
        for piece in range(max(count - 2, 1)):
            if cs == 2:
                twice = 0.5 * (polygon[1, 0] - polygon[0, 0])
            else:
                ux, uy = polygon[piece + 1, 0] - polygon[0, 0], polygon[piece + 1, 1] - polygon[0, 1]
                vx, vy = polygon[piece + 2, 0] - polygon[0, 0], polygon[piece + 2, 1] - polygon[0, 1]
                twice = ux * vy - uy * vx
            for q in range(weight.shape[0]):
                if cs == 2:
                    px = 0.5 * (polygon[0, 0] + polygon[1, 0]) + rule[q, 0] * twice
                    py = 0.0
                else:
                    px = polygon[0, 0] + rule[q, 0] * ux + rule[q, 1] * vx
                    py = polygon[0, 1] + rule[q, 0] * uy + rule[q, 1] * vy
                here[0] = here[1] = 0.0
                flat = in_plane(corner, corner_powers, corner_coefficients, kind_s, px, py, here, vc, sc)
                place(xs, powers_s, coefficients_s, here[0], here[1], vs, ss, place_s)
                size_s = unit_normal(place_s, kind_s, normal_s)
                for i in range(3):
                    point[i] = place_s[0, i]
                there[0] = there[1] = 0.0 if kind_p != 1 else 1.0 / 3.0
                descend(xp, powers_p, coefficients_p, kind_p, point, there, vp, sp, place_p)
                # On curved faces the plane of one facet sees a little past the edge of the other.
                if outside(kind_p, there[0], there[1]) > 0.1:
                    along_edges(
                        xp, powers_p, coefficients_p, kind_p, corners_p, point, there, vp, sp, place_p
                    )
                place(xp, powers_p, coefficients_p, there[0], there[1], vp, sp, place_p)
                unit_normal(place_p, kind_p, normal_p)
                xi_s[out, 0], xi_s[out, 1] = here[0], here[1]
                xi_p[out, 0], xi_p[out, 1] = there[0], there[1]
                measure[out] = weight[q] * twice * size_s / max(flat, 1e-300)
                if ring == 1:
                    measure[out] *= point[0]
                cosine = 0.0
                for i in range(3):
                    at[out, i] = point[i]
                    offset[out, i] = point[i] - place_p[0, i]
                    cosine += normal_s[i] * normal_p[i]
                facing[out] = cosine
                out += 1


@njit(cache=True, nogil=True)
def unit_normal(at, kind, normal):
    """Outward unit normal from the tangents of ``place``; returns the size of the area element."""
    if kind == 0:
        nx, ny, nz = at[1, 1], -at[1, 0], 0.0
    else:
        nx = at[1, 1] * at[2, 2] - at[1, 2] * at[2, 1]
        ny = at[1, 2] * at[2, 0] - at[1, 0] * at[2, 2]
        nz = at[1, 0] * at[2, 1] - at[1, 1] * at[2, 0]
    size = math.sqrt(nx * nx + ny * ny + nz * nz)
    scale = 1.0 / size if size > 0.0 else 0.0
    normal[0], normal[1], normal[2] = nx * scale, ny * scale, nz * scale
    return size
