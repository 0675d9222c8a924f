"""Reference elements: nodes, shape functions, facets, quadrature.

An element is its nodes and its monomials; shape functions and gradients follow,
so no derivative is typed by hand:  N(x) = m(x) V^-1  with  V[i, j] = m_j(node_i).
Pyramids add monomials divided by powers of (1 - t) (Bedrosian, "Shape functions and
integration formulas for three-dimensional finite element analysis", IJNME 35 (1992)).
Node order is VTK's (and meshio's). Natural coordinates: simplices on the unit simplex,
quadrilaterals and hexahedra on [-1, 1], wedges on triangle x [-1, 1], pyramids on
[-1, 1]^2 at t = 0 with the apex at t = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from designtwin.typing import FloatArray, IntArray

Quadrature = tuple[FloatArray, FloatArray]


@lru_cache
def gauss_legendre(n: int) -> Quadrature:
    """Points and weights of the n-point Gauss rule on [-1, 1], exact to degree 2n - 1."""
    x, w = np.polynomial.legendre.leggauss(n)
    return np.asarray(x, np.float64), np.asarray(w, np.float64)


@lru_cache
def gauss_jacobi(n: int, power: int) -> Quadrature:
    """Gauss rule on [0, 1] for the weight (1 - t)^power (Golub and Welsch 1969)."""
    # Three-term recurrence of the Jacobi polynomials P^(power, 0) on [-1, 1].
    k = np.arange(n, dtype=np.float64)
    a = float(power)
    diagonal = np.zeros(n)
    if power > 0:
        diagonal = -a * a / ((2 * k + a) * (2 * k + a + 2.0))
    j = np.arange(1, n, dtype=np.float64)
    square = 4 * j * (j + a) * j * (j + a) / ((2 * j + a) ** 2 * (2 * j + a + 1) * (2 * j + a - 1))
    beside = np.sqrt(square)
    x, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    total = 1.0 / (power + 1.0)
    return 0.5 * (1.0 + x), total * vectors[0] ** 2


def _tensor(n: int, dimension: int) -> Quadrature:
    x, w = gauss_legendre(n)
    grids = np.meshgrid(*([x] * dimension), indexing="ij")
    weights = np.meshgrid(*([w] * dimension), indexing="ij")
    # First coordinate fastest, as users expect integration points to be listed.
    points = np.stack([g.transpose(*reversed(range(dimension))).ravel() for g in grids], axis=1)
    product = np.prod([g.transpose(*reversed(range(dimension))).ravel() for g in weights], axis=0)
    return points, np.asarray(product, np.float64)


_TRIANGLE: dict[int, tuple[tuple[float, float, float], ...]] = {
    # weight, r, s; degree of exactness is the key (Strang and Fix 1973; Dunavant 1985)
    1: ((1 / 2, 1 / 3, 1 / 3),),
    2: ((1 / 6, 1 / 6, 1 / 6), (1 / 6, 2 / 3, 1 / 6), (1 / 6, 1 / 6, 2 / 3)),
}


@lru_cache
def triangle_rule(degree: int) -> Quadrature:
    """Points [n, 2] and weights [n] on the unit triangle, exact to the degree."""
    if degree in _TRIANGLE:
        table = np.array(_TRIANGLE[degree])
        return table[:, 1:].copy(), table[:, 0].copy()
    if degree in (3, 4):
        a, b = 0.445948490915965, 0.091576213509771
        wa, wb = 0.5 * 0.223381589678011, 0.5 * 0.109951743655322
        points = np.array([(a, a), (1 - 2 * a, a), (a, 1 - 2 * a), (b, b), (1 - 2 * b, b), (b, 1 - 2 * b)])
        return points, np.array([wa] * 3 + [wb] * 3)
    n = degree // 2 + 1
    s, ws = gauss_jacobi(n, 1)
    r, wr = gauss_jacobi(n, 0)
    points = np.array([(ri * (1 - si), si) for si in s for ri in r])
    return points, np.array([wri * wsi for wsi in ws for wri in wr])


@lru_cache
def tetrahedron_rule(degree: int) -> Quadrature:
    """Points [n, 3] and weights [n] on the unit tetrahedron, exact to the degree."""
    if degree <= 1:
        return np.full((1, 3), 0.25), np.array([1 / 6])
    if degree == 2:
        a, b = 0.25 - np.sqrt(5) / 20, 0.25 + 3 * np.sqrt(5) / 20
        return np.array([(a, a, a), (b, a, a), (a, b, a), (a, a, b)]), np.full(4, 1 / 24)
    if degree in (4, 5):
        # Walkington, "Quadrature on simplices of arbitrary dimension" (2000), 14 points.
        points: list[tuple[float, float, float]] = []
        weights: list[float] = []
        for a, w in (
            (0.31088591926330060980, 0.11268792571801585080),
            (0.09273525031089122640, 0.07349304311636194954),
        ):
            b = 1 - 3 * a
            points += [(a, a, a), (b, a, a), (a, b, a), (a, a, b)]
            weights += [w / 6] * 4
        a, w = 0.04550370412564964949, 0.04254602077708146644
        b = 0.5 - a
        points += [(a, a, b), (a, b, a), (b, a, a), (a, b, b), (b, a, b), (b, b, a)]
        weights += [w / 6] * 6
        return np.array(points), np.array(weights)
    n = degree // 2 + 1
    t, wt = gauss_jacobi(n, 2)
    s, ws = gauss_jacobi(n, 1)
    r, wr = gauss_jacobi(n, 0)
    product = [(ri * (1 - si) * (1 - ti), si * (1 - ti), ti) for ti in t for si in s for ri in r]
    return np.array(product), np.array([a * b * c for c in wt for b in ws for a in wr])


@lru_cache
def wedge_rule(degree: int) -> Quadrature:
    """Triangle rule times Gauss rule, exact to the degree in each."""
    plane, wp = triangle_rule(degree)
    t, wt = gauss_legendre(degree // 2 + 1)
    points = np.array([(r, s, ti) for ti in t for r, s in plane])
    return points, np.array([a * b for b in wt for a in wp])


@lru_cache
def pyramid_rule(n: int) -> Quadrature:
    """Conical product rule with n^3 points; exact for the rational pyramid functions."""
    x, w = gauss_legendre(n)
    t, wt = gauss_jacobi(n, 2)
    points = np.array([(a * (1 - ti), b * (1 - ti), ti) for ti in t for b in x for a in x])
    return points, np.array([wa * wb * c for c in wt for wb in w for wa in w])


@dataclass(frozen=True, eq=False)
class ReferenceElement:
    """One element type.

    Parameters
    ----------
    name : str
        The meshio name.
    nodes : [n_nodes][dim]
        Natural coordinates.
    monomials : [n_nodes][dim or 4]
        Exponents of r, s, t and, for pyramids, of (1 - t).
    facets : local node ids of each facet, outward normal by the right-hand rule
        (in 2D: the body lies to the left), corners first, then mid-side nodes.
    facet_elements : name of each facet's element.
    quadrature : rule for stiffness; ``mass_quadrature`` integrates N_i N_j.
    linear : name of the element of the corners alone.
    """

    name: str
    nodes: tuple[tuple[float, ...], ...]
    monomials: tuple[tuple[int, ...], ...]
    facets: tuple[tuple[int, ...], ...]
    facet_elements: tuple[str, ...]
    quadrature: Quadrature
    mass_quadrature: Quadrature
    linear: str
    corners: int
    degree: int
    edges: tuple[tuple[int, int], ...] = ()
    """The two corners of each mid-side node, in the order of the mid-side nodes."""
    corner_edges: tuple[tuple[int, int], ...] = ()
    """All edges as pairs of corners."""

    @property
    def dimension(self) -> int:
        return len(self.nodes[0])

    @property
    def n_nodes(self) -> int:
        return len(self.nodes)

    @cached_property
    def _coefficients(self) -> FloatArray:
        return np.asarray(np.linalg.inv(self._monomials(np.array(self.nodes, np.float64))))

    def _powers(self, xi: FloatArray, exponents: FloatArray) -> FloatArray:
        variables = [xi[:, i] for i in range(self.dimension)]
        if exponents.shape[1] > self.dimension:
            # Shape functions have limits at the apex that rational terms reach from inside.
            variables.append(np.maximum(1.0 - xi[:, 2], 1e-14))
        value = np.ones((len(xi), len(exponents)))
        for x, e in zip(variables, exponents.T, strict=True):
            value *= x[:, None] ** e[None, :]
        return value

    def _monomials(self, xi: FloatArray) -> FloatArray:
        return self._powers(xi, np.array(self.monomials, np.float64))

    def shape(self, xi: FloatArray) -> FloatArray:
        """Shape functions float64[n_points, n_nodes] at natural coordinates [n_points, dim]."""
        return self._monomials(np.atleast_2d(np.asarray(xi, np.float64))) @ self._coefficients

    def gradient(self, xi: FloatArray) -> FloatArray:
        """Natural derivatives float64[n_points, n_nodes, dim]."""
        xi = np.atleast_2d(np.asarray(xi, np.float64))
        exponents = np.array(self.monomials, np.float64)
        out = np.empty((len(xi), self.n_nodes, self.dimension))
        for axis in range(self.dimension):
            lowered = exponents.copy()
            lowered[:, axis] = np.maximum(lowered[:, axis] - 1, 0)
            derivative = self._powers(xi, lowered) * exponents[:, axis]
            if axis == 2 and exponents.shape[1] == 4:
                rational = exponents.copy()
                rational[:, 3] -= 1  # d(1-t)^d/dt = -d (1-t)^(d-1)
                derivative = derivative - self._powers(xi, rational) * exponents[:, 3]
            out[:, :, axis] = derivative @ self._coefficients
        return out

    @property
    def center(self) -> FloatArray:
        return np.asarray(np.array(self.nodes, np.float64)[: self.corners].mean(axis=0))[None, :]

    def mode_gradient(self, xi: FloatArray) -> FloatArray:
        """Natural derivatives of Wilson's incompatible modes 1 - xi_i^2, float64[n_points, dim, dim].

        They let first-order quadrilaterals and hexahedra bend without parasitic shear
        (Taylor, Beresford and Wilson, IJNME 10 (1976)).
        """
        xi = np.atleast_2d(np.asarray(xi, np.float64))
        return np.asarray(-2.0 * xi[:, :, None] * np.eye(self.dimension))

    def tables(self, rule: Quadrature | None = None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Shape functions [q, n], natural gradients [q, n, dim], weights [q] of a rule."""
        points, weights = self.quadrature if rule is None else rule
        return self.shape(points), self.gradient(points), np.asarray(weights)


ELEMENTS: dict[str, ReferenceElement] = {}


def add(element: ReferenceElement) -> ReferenceElement:
    """Enroll an element under its name; tests, kernels' tables and readers follow."""
    ELEMENTS[element.name] = element
    return element


def _with_edges(
    corners: tuple[tuple[float, ...], ...], edges: tuple[tuple[int, int], ...]
) -> tuple[tuple[float, ...], ...]:
    mids = tuple(tuple(0.5 * (np.array(corners[a]) + np.array(corners[b]))) for a, b in edges)
    return corners + mids


def _facets_with_mids(
    facets: tuple[tuple[int, ...], ...], edges: tuple[tuple[int, int], ...], n_corners: int
) -> tuple[tuple[int, ...], ...]:
    """Append to each facet the mid nodes of its edges, in order around it."""
    mid = {frozenset(edge): n_corners + i for i, edge in enumerate(edges)}
    out = []
    for facet in facets:
        around = list(zip(facet, facet[1:] + facet[:1], strict=True)) if len(facet) > 2 else [facet]
        out.append(facet + tuple(mid[frozenset(edge)] for edge in around))
    return tuple(out)


_LINE = ((-1.0,), (1.0,))
_TRI = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
_QUAD = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
_TET = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_HEX = tuple((*c, z) for z in (-1.0, 1.0) for c in _QUAD)
_WEDGE = tuple((*c, z) for z in (-1.0, 1.0) for c in _TRI)
_PYRAMID = (*((*c, 0.0) for c in _QUAD), (0.0, 0.0, 1.0))

_TRI_EDGES = ((0, 1), (1, 2), (2, 0))
_QUAD_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0))
_TET_EDGES = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))
_HEX_EDGES = (
    (0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7),
)  # fmt: skip
_WEDGE_EDGES = ((0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5))
_PYRAMID_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4), (2, 4), (3, 4))

_TET_FACETS = ((0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2))
_HEX_FACETS = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))
_WEDGE_FACETS = ((0, 2, 1), (3, 4, 5), (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5))
_PYRAMID_FACETS = ((0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4))

_P1_2 = ((0, 0), (1, 0), (0, 1))
_P2_2 = (*_P1_2, (2, 0), (1, 1), (0, 2))
_Q1_2 = ((0, 0), (1, 0), (0, 1), (1, 1))
_S2_2 = (*_P2_2, (2, 1), (1, 2))
_P1_3 = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
_P2_3 = (*_P1_3, (2, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0), (0, 1, 1), (1, 0, 1))
_Q1_3 = tuple((i, j, k) for k in (0, 1) for j in (0, 1) for i in (0, 1))
# Serendipity: monomials of superlinear degree at most two (Arnold and Awanou 2011).
_S2_3 = (
    *_P2_3, (1, 1, 1), (2, 1, 0), (2, 0, 1), (1, 2, 0), (0, 2, 1), (1, 0, 2), (0, 1, 2),
    (2, 1, 1), (1, 2, 1), (1, 1, 2),
)  # fmt: skip
_W1_3 = tuple((*p, k) for k in (0, 1) for p in _P1_2)
_W2_3 = (*((*p, k) for k in (0, 1) for p in _P2_2), *((*p, 2) for p in _P1_2))
_PYR1 = (*((*p, 0) for p in _P1_3), (1, 1, 0, -1))
_PYR2 = (*((*p, 0) for p in _P2_3), (1, 1, 1, -1), (2, 1, 0, -1), (1, 2, 0, -1))

LINE = add(ReferenceElement(
    name="line", nodes=_LINE, monomials=((0,), (1,)), facets=(), facet_elements=(),
    quadrature=_tensor(1, 1), mass_quadrature=_tensor(2, 1),
    linear="line", corners=2, degree=1, corner_edges=((0, 1),)))  # fmt: skip
LINE3 = add(ReferenceElement(
    name="line3", nodes=(*_LINE, (0.0,)), monomials=((0,), (1,), (2,)), facets=(), facet_elements=(),
    quadrature=_tensor(2, 1), mass_quadrature=_tensor(3, 1),
    linear="line", corners=2, degree=2, edges=((0, 1),), corner_edges=((0, 1),)))  # fmt: skip
TRI3 = add(ReferenceElement(
    name="triangle", nodes=_TRI, monomials=_P1_2, facets=_TRI_EDGES, facet_elements=("line",) * 3,
    quadrature=triangle_rule(1), mass_quadrature=triangle_rule(2),
    linear="triangle", corners=3, degree=1, corner_edges=_TRI_EDGES))  # fmt: skip
TRI6 = add(ReferenceElement(
    name="triangle6", nodes=_with_edges(_TRI, _TRI_EDGES), monomials=_P2_2,
    facets=_facets_with_mids(_TRI_EDGES, _TRI_EDGES, 3), facet_elements=("line3",) * 3,
    quadrature=triangle_rule(2), mass_quadrature=triangle_rule(4),
    linear="triangle", corners=3, degree=2, edges=_TRI_EDGES, corner_edges=_TRI_EDGES))  # fmt: skip
QUAD4 = add(ReferenceElement(
    name="quad", nodes=_QUAD, monomials=_Q1_2, facets=_QUAD_EDGES, facet_elements=("line",) * 4,
    quadrature=_tensor(2, 2), mass_quadrature=_tensor(2, 2),
    linear="quad", corners=4, degree=1, corner_edges=_QUAD_EDGES))  # fmt: skip
QUAD8 = add(ReferenceElement(
    name="quad8", nodes=_with_edges(_QUAD, _QUAD_EDGES), monomials=_S2_2,
    facets=_facets_with_mids(_QUAD_EDGES, _QUAD_EDGES, 4), facet_elements=("line3",) * 4,
    quadrature=_tensor(3, 2), mass_quadrature=_tensor(3, 2),
    linear="quad", corners=4, degree=2, edges=_QUAD_EDGES, corner_edges=_QUAD_EDGES))  # fmt: skip
TET4 = add(ReferenceElement(
    name="tetra", nodes=_TET, monomials=_P1_3, facets=_TET_FACETS, facet_elements=("triangle",) * 4,
    quadrature=tetrahedron_rule(1), mass_quadrature=tetrahedron_rule(2),
    linear="tetra", corners=4, degree=1, corner_edges=_TET_EDGES))  # fmt: skip
TET10 = add(ReferenceElement(
    name="tetra10", nodes=_with_edges(_TET, _TET_EDGES), monomials=_P2_3,
    facets=_facets_with_mids(_TET_FACETS, _TET_EDGES, 4), facet_elements=("triangle6",) * 4,
    quadrature=tetrahedron_rule(2), mass_quadrature=tetrahedron_rule(4),
    linear="tetra", corners=4, degree=2, edges=_TET_EDGES, corner_edges=_TET_EDGES))  # fmt: skip
HEX8 = add(ReferenceElement(
    name="hexahedron", nodes=_HEX, monomials=_Q1_3, facets=_HEX_FACETS, facet_elements=("quad",) * 6,
    quadrature=_tensor(2, 3), mass_quadrature=_tensor(2, 3),
    linear="hexahedron", corners=8, degree=1, corner_edges=_HEX_EDGES))  # fmt: skip
HEX20 = add(ReferenceElement(
    name="hexahedron20", nodes=_with_edges(_HEX, _HEX_EDGES), monomials=_S2_3,
    facets=_facets_with_mids(_HEX_FACETS, _HEX_EDGES, 8), facet_elements=("quad8",) * 6,
    quadrature=_tensor(3, 3), mass_quadrature=_tensor(3, 3),
    linear="hexahedron", corners=8, degree=2, edges=_HEX_EDGES, corner_edges=_HEX_EDGES))  # fmt: skip
WEDGE6 = add(ReferenceElement(
    name="wedge", nodes=_WEDGE, monomials=_W1_3, facets=_WEDGE_FACETS,
    facet_elements=("triangle",) * 2 + ("quad",) * 3,
    quadrature=wedge_rule(2), mass_quadrature=wedge_rule(2),
    linear="wedge", corners=6, degree=1, corner_edges=_WEDGE_EDGES))  # fmt: skip
WEDGE15 = add(ReferenceElement(
    name="wedge15", nodes=_with_edges(_WEDGE, _WEDGE_EDGES), monomials=_W2_3,
    facets=_facets_with_mids(_WEDGE_FACETS, _WEDGE_EDGES, 6),
    facet_elements=("triangle6",) * 2 + ("quad8",) * 3,
    quadrature=wedge_rule(4), mass_quadrature=wedge_rule(4),
    linear="wedge", corners=6, degree=2, edges=_WEDGE_EDGES, corner_edges=_WEDGE_EDGES))  # fmt: skip
PYRAMID5 = add(ReferenceElement(
    name="pyramid", nodes=_PYRAMID, monomials=_PYR1, facets=_PYRAMID_FACETS,
    facet_elements=("quad",) + ("triangle",) * 4,
    quadrature=pyramid_rule(2), mass_quadrature=pyramid_rule(3),
    linear="pyramid", corners=5, degree=1, corner_edges=_PYRAMID_EDGES))  # fmt: skip
PYRAMID13 = add(ReferenceElement(
    name="pyramid13", nodes=_with_edges(_PYRAMID, _PYRAMID_EDGES), monomials=_PYR2,
    facets=_facets_with_mids(_PYRAMID_FACETS, _PYRAMID_EDGES, 5),
    facet_elements=("quad8",) + ("triangle6",) * 4,
    quadrature=pyramid_rule(3), mass_quadrature=pyramid_rule(4),
    linear="pyramid", corners=5, degree=2, edges=_PYRAMID_EDGES, corner_edges=_PYRAMID_EDGES))  # fmt: skip


@lru_cache
def sampling(name: str) -> tuple[Quadrature, FloatArray]:
    """Where stress is best sampled in a cell, and the map from there to the cell's nodes.

    Returns
    -------
    rule : points [s, dim] and weights [s]
        The superconvergent points where they are known (Barlow, IJNME 10 (1976)), else a low rule.
    extrapolation : float64[n_nodes, s]
        Values at the nodes of the lowest polynomial through the samples.
    """
    element = ELEMENTS[name]
    quadratic = element.degree == 2
    rule: Quadrature
    if element.linear == "line":
        rule = _tensor(2 if quadratic else 1, 1)
    elif element.linear == "triangle":
        rule = triangle_rule(2 if quadratic else 1)
    elif element.linear == "tetra":
        rule = tetrahedron_rule(2 if quadratic else 1)
    elif element.linear in ("quad", "hexahedron"):
        rule = _tensor(2, element.dimension)
    elif element.linear == "wedge":
        rule = wedge_rule(2) if quadratic else wedge_rule(1)
        if not quadratic:
            plane, _ = triangle_rule(1)
            t, w = gauss_legendre(2)
            rule = (np.array([(*plane[0], ti) for ti in t]), 0.5 * w)
    else:
        rule = pyramid_rule(2 if quadratic else 1)
    xi = rule[0]
    exponents: tuple[tuple[int, ...], ...] = ELEMENTS[element.linear].monomials
    if element.linear == "pyramid":
        exponents = _P1_3 if quadratic else ((0, 0, 0),)
    elif element.linear == "wedge" and not quadratic:
        exponents = ((0, 0, 0), (0, 0, 1))
    elif len(xi) == 1:
        exponents = ((0,) * element.dimension,)
    powers = np.array(exponents, np.float64)

    def monomials(x: FloatArray) -> FloatArray:
        return np.asarray(np.prod(x[:, None, :] ** powers[None], axis=2))

    return rule, monomials(np.array(element.nodes)) @ np.linalg.pinv(monomials(xi))


@lru_cache
def facet_table(name: str) -> dict[str, tuple[IntArray, IntArray]]:
    """Facets of an element by their type: local facet ids [k] and local nodes [k, n]."""
    element = ELEMENTS[name]
    table: dict[str, tuple[IntArray, IntArray]] = {}
    for kind in dict.fromkeys(element.facet_elements):
        ids = [i for i, other in enumerate(element.facet_elements) if other == kind]
        table[kind] = (np.array(ids), np.array([element.facets[i] for i in ids]))
    return table
