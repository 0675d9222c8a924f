"""Integrals over facets: area, traction, convection, elastic foundation.

Kernels take tables (shape functions, natural gradients, weights), never an element. Facets of solids are
surfaces in space; facets of plane cells are edges in x, y with the body to their left, so that the outward
normal is the tangent turned clockwise. ``kind`` is as in ``volume``: 0 as it is, 1 axisymmetric (x = r,
y = axis), where an edge stands for its whole ring.
"""

from __future__ import annotations

import math

from numba import njit


@njit(cache=True, nogil=True)
def facet_geometry(points, conn, shape, gradient, weight, kind, scale, at, area):
    """Positions and outward area vectors at the integration points of facets.

    Parameters
    ----------
    points : float64[n_points, 3]
        m.
    conn : int64[n_facets, n]
    shape : float64[q, n]
    gradient : float64[q, n, d]
        Natural derivatives; d is 2 for surfaces and 1 for edges.
    weight : float64[q]
    kind : int
        1 for edges of axisymmetric cells: scaled by 2 pi r.
    scale : float64[n_facets]
        Thickness for edges, m; 1 for surfaces.
    at : float64[n_facets, q, 3]
        Overwritten, m.
    area : float64[n_facets, q, 3]
        Overwritten: outward normal times the area the point stands for, m^2.
    """
    n = shape.shape[1]
    surface = gradient.shape[2] == 2
    for f in range(conn.shape[0]):
        for q in range(weight.shape[0]):
            x0 = x1 = x2 = 0.0
            r0 = r1 = r2 = s0 = s1 = s2 = 0.0
            for a in range(n):
                node = conn[f, a]
                value, dr = shape[q, a], gradient[q, a, 0]
                x0 += value * points[node, 0]
                x1 += value * points[node, 1]
                x2 += value * points[node, 2]
                r0 += dr * points[node, 0]
                r1 += dr * points[node, 1]
                r2 += dr * points[node, 2]
                if surface:
                    ds = gradient[q, a, 1]
                    s0 += ds * points[node, 0]
                    s1 += ds * points[node, 1]
                    s2 += ds * points[node, 2]
            w = weight[q] * scale[f]
            if kind == 1:
                w *= 2.0 * math.pi * x0
            at[f, q, 0], at[f, q, 1], at[f, q, 2] = x0, x1, x2
            if surface:
                area[f, q, 0] = w * (r1 * s2 - r2 * s1)
                area[f, q, 1] = w * (r2 * s0 - r0 * s2)
                area[f, q, 2] = w * (r0 * s1 - r1 * s0)
            else:
                area[f, q, 0] = w * r1
                area[f, q, 1] = -w * r0
                area[f, q, 2] = 0.0


@njit(cache=True, nogil=True)
def scatter(conn, shape, value, out):
    """Add the consistent nodal load of values at the integration points, the sum of N value.

    Parameters
    ----------
    conn : int64[n_facets, n]
    shape : float64[q, n]
    value : float64[n_facets, q, c]
        Traction or flux times the area the point stands for (N or W).
    out : float64[n_points, c]
        Added to.
    """
    for f in range(conn.shape[0]):
        for q in range(shape.shape[0]):
            for a in range(shape.shape[1]):
                for i in range(value.shape[2]):
                    out[conn[f, a], i] += shape[q, a] * value[f, q, i]


@njit(cache=True, nogil=True)
def facet_matrices(shape, value, out):
    """Facet matrices of a tensor stiffness per area, the integral of N_i c N_j dA.

    Parameters
    ----------
    shape : float64[q, n]
    value : float64[n_facets, q, c, c]
        Stiffness (or, with c = 1, film coefficient) times the area the point stands for.
    out : float64[n_facets, n c, n c]
        Overwritten; node by node, components fastest.
    """
    n, c = shape.shape[1], value.shape[2]
    for f in range(value.shape[0]):
        for i in range(n * c):
            for j in range(n * c):
                out[f, i, j] = 0.0
        for q in range(shape.shape[0]):
            for a in range(n):
                for b in range(n):
                    both = shape[q, a] * shape[q, b]
                    for i in range(c):
                        for j in range(c):
                            out[f, a * c + i, b * c + j] += both * value[f, q, i, j]
