"""Points in cells: which of some candidates holds a point, and at which natural coordinates.

Cells are lines, planes or solids of any order. Kernels take tables (exponents of the monomials and their
coefficients), never an element.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def power(x, e):
    """x to a whole power, which may be negative."""
    out = 1.0
    for _ in range(abs(e)):
        out *= x
    return out if e >= 0 else 1.0 / out


@njit(cache=True, nogil=True)
def evaluate(powers, coefficients, xi, value, slope):
    """Shape functions and their natural derivatives at one point.

    Parameters
    ----------
    powers : int64[n, 4]
        Exponents of r, s, t and of (1 - t) in each monomial.
    coefficients : float64[n, n]
        Shape function k is the sum over monomials j of coefficients[j, k] times monomial j.
    xi : float64[3]
    value, slope : float64[n], float64[n, 3]
        Overwritten.
    """
    n = powers.shape[0]
    value[:] = 0.0
    slope[:] = 0.0
    top = max(1.0 - xi[2], 1e-14)  # rational functions have limits at the apex of a pyramid
    for j in range(n):
        a, b, c, d = powers[j]
        ra, sb, tc, pd = power(xi[0], a), power(xi[1], b), power(xi[2], c), power(top, d)
        m = ra * sb * tc * pd
        dr = a * power(xi[0], a - 1) * sb * tc * pd if a > 0 else 0.0
        ds = b * ra * power(xi[1], b - 1) * tc * pd if b > 0 else 0.0
        dt = c * ra * sb * power(xi[2], c - 1) * pd if c > 0 else 0.0
        if d != 0:
            dt -= d * ra * sb * tc * power(top, d - 1)
        for k in range(n):
            w = coefficients[j, k]
            if w != 0.0:
                value[k] += w * m
                slope[k, 0] += w * dr
                slope[k, 1] += w * ds
                slope[k, 2] += w * dt


@njit(cache=True, nogil=True)
def outside(kind, xi):
    """How far natural coordinates lie outside the reference cell.

    kind : 0 line, 1 triangle, 2 quadrilateral, 3 tetrahedron, 4 hexahedron, 5 wedge, 6 pyramid.
    """
    r, s, t = xi[0], xi[1], xi[2]
    if kind == 0:
        return max(abs(r) - 1.0, 0.0)
    if kind == 1:
        return max(-r, -s, r + s - 1.0, 0.0)
    if kind == 2:
        return max(abs(r) - 1.0, abs(s) - 1.0, 0.0)
    if kind == 3:
        return max(-r, -s, -t, r + s + t - 1.0, 0.0)
    if kind == 4:
        return max(abs(r) - 1.0, abs(s) - 1.0, abs(t) - 1.0, 0.0)
    if kind == 5:
        return max(-r, -s, r + s - 1.0, abs(t) - 1.0, 0.0)
    return max(-t, abs(r) - (1.0 - t), abs(s) - (1.0 - t), 0.0)


@njit(cache=True, nogil=True)
def newton(x, powers, coefficients, dimension, point, xi, value, slope, work):
    """Natural coordinates of the place in a cell nearest to a point, by Gauss-Newton.

    Parameters
    ----------
    x : float64[n, 3]
        Nodes, m.
    point : float64[3]
        m.
    xi : float64[3]
        Start; overwritten.
    value, slope, work : float64[n], float64[n, 3], float64[5, 3]
        Overwritten.

    Returns
    -------
    float
        Distance from the place to the point, m.
    """
    n = x.shape[0]
    rest, tangent = work[0], work[1:4]
    for trip in range(25):
        evaluate(powers, coefficients, xi, value, slope)
        rest[:] = point
        tangent[:] = 0.0
        for k in range(n):
            for i in range(3):
                rest[i] -= value[k] * x[k, i]
                for d in range(dimension):
                    tangent[d, i] += slope[k, d] * x[k, i]
        if trip == 24:
            break
        step = work[4]
        step[:] = 0.0
        a, b, c = tangent[0], tangent[1], tangent[2]
        if dimension == 3:
            bc0, bc1, bc2 = b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]
            volume = a[0] * bc0 + a[1] * bc1 + a[2] * bc2
            if volume == 0.0:
                break
            step[0] = (rest[0] * bc0 + rest[1] * bc1 + rest[2] * bc2) / volume
            step[1] = (
                rest[0] * (c[1] * a[2] - c[2] * a[1])
                + rest[1] * (c[2] * a[0] - c[0] * a[2])
                + rest[2] * (c[0] * a[1] - c[1] * a[0])
            ) / volume
            step[2] = (
                rest[0] * (a[1] * b[2] - a[2] * b[1])
                + rest[1] * (a[2] * b[0] - a[0] * b[2])
                + rest[2] * (a[0] * b[1] - a[1] * b[0])
            ) / volume
        else:
            aa = a[0] * a[0] + a[1] * a[1] + a[2] * a[2]
            ga = a[0] * rest[0] + a[1] * rest[1] + a[2] * rest[2]
            if dimension == 1:
                if aa == 0.0:
                    break
                step[0] = ga / aa
            else:
                bb = b[0] * b[0] + b[1] * b[1] + b[2] * b[2]
                ab = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
                gb = b[0] * rest[0] + b[1] * rest[1] + b[2] * rest[2]
                determinant = aa * bb - ab * ab
                if determinant <= 0.0:
                    break
                step[0] = (bb * ga - ab * gb) / determinant
                step[1] = (aa * gb - ab * ga) / determinant
        # A bounded step keeps curved cells from throwing the iterate away.
        largest = 0.0
        for d in range(3):
            step[d] = min(max(step[d], -1.0), 1.0)
            largest = max(largest, abs(step[d]))
            xi[d] = min(max(xi[d] + step[d], -4.0), 4.0)
        if largest < 1e-13:
            break
    return np.sqrt(rest[0] ** 2 + rest[1] ** 2 + rest[2] ** 2)


@njit(cache=True, nogil=True)
def containing(
    start, stop, points, first, candidates, nodes, conn, powers, coefficients, kind, dimension, center,
    row, xi, off,
):  # fmt: skip
    """The cell that holds each point, or comes nearest to holding it, among candidates.

    Parameters
    ----------
    points : float64[n, 3]
        m.
    first : int64[n + 1]
        Where the candidates of each point begin.
    candidates : int64[m]
        Rows of conn; the first that holds the point is taken.
    nodes : float64[n_points, 3]
        m.
    conn : int64[n_cells, k]
    powers, coefficients : see ``evaluate``
    kind : int
        See ``outside``.
    center : float64[3]
        Natural coordinates to start from.
    row : int64[n]
        Overwritten where a better cell is found.
    xi : float64[n, 3]
        Likewise.
    off : float64[n]
        How far outside the best cell yet, in natural coordinates; likewise.
    """
    k = conn.shape[1]
    x = np.empty((k, 3))
    value, slope, work, at = np.empty(k), np.empty((k, 3)), np.empty((5, 3)), np.empty(3)
    for p in range(start, stop):
        for j in range(first[p], first[p + 1]):
            if off[p] <= 1e-9:
                break
            cell = candidates[j]
            size, away = 0.0, 0.0
            for i in range(3):
                low, high = np.inf, -np.inf
                for m in range(k):
                    x[m, i] = nodes[conn[cell, m], i]
                    low, high = min(low, x[m, i]), max(high, x[m, i])
                size = max(size, high - low)
                away = max(away, low - points[p, i], points[p, i] - high)
            if away > 0.5 * size:  # no cell bulges that far beyond its nodes
                continue
            at[:] = center
            miss = newton(x, powers, coefficients, dimension, points[p], at, value, slope, work)
            out = max(outside(kind, at), miss / max(size, 1e-300))
            if out < off[p]:
                off[p] = out
                row[p] = cell
                xi[p] = at
