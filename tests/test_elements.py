"""Every reference element, whatever it is, keeps these promises; adding one enrolls it."""

from math import factorial, gamma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from designtwin.elements import (
    ELEMENTS,
    gauss_jacobi,
    gauss_legendre,
    sampling,
    tetrahedron_rule,
    triangle_rule,
)

every_element = pytest.mark.parametrize("element", ELEMENTS.values(), ids=lambda e: e.name)
MEASURE = {
    "line": 2,
    "triangle": 1 / 2,
    "quad": 4,
    "tetra": 1 / 6,
    "hexahedron": 8,
    "wedge": 1,
    "pyramid": 4 / 3,
}


def inside(element, n=7, seed=5):
    """Random points in the reference cell: convex combinations of its corners."""
    weights = np.random.default_rng(seed).dirichlet(np.ones(element.corners), size=n)
    return weights @ np.array(element.nodes)[: element.corners]


@every_element
def test_shape_functions_are_one_at_their_own_node(element):
    assert_allclose(element.shape(np.array(element.nodes)), np.eye(element.n_nodes), atol=1e-12)


@every_element
def test_shape_functions_sum_to_one_and_carry_position(element):
    xi = inside(element)
    assert_allclose(element.shape(xi).sum(axis=1), 1.0, atol=1e-13)
    assert_allclose(element.shape(xi) @ np.array(element.nodes), xi, atol=1e-13)


@every_element
def test_gradient_is_the_derivative_of_shape(element):
    xi, step = inside(element), 1e-6
    for axis in range(element.dimension):
        shift = step * np.eye(element.dimension)[axis]
        numeric = (element.shape(xi + shift) - element.shape(xi - shift)) / (2 * step)
        assert_allclose(element.gradient(xi)[:, :, axis], numeric, atol=5e-8)


@every_element
def test_quadrature_measures_the_cell(element):
    for points, weights in (element.quadrature, element.mass_quadrature):
        assert_allclose(weights.sum(), MEASURE[element.linear], rtol=1e-13)
        assert (weights > 0).all()
        assert_allclose(element.gradient(points).sum(axis=1), 0.0, atol=1e-12)


@every_element
def test_mass_quadrature_is_exact_for_products_of_shape_functions(element):
    points, weights = element.mass_quadrature
    mass = np.einsum("q,qa,qb->ab", weights, element.shape(points), element.shape(points))
    assert np.linalg.eigvalsh(mass).min() > 1e-6 * np.trace(mass) / len(mass)
    assert_allclose(mass.sum(), MEASURE[element.linear], rtol=1e-12)


@every_element
def test_facets_point_outward_and_cover_the_boundary(element):
    nodes = np.array(element.nodes)
    total = np.zeros(3)
    for facet, kind in zip(element.facets, element.facet_elements, strict=True):
        assert len(facet) == ELEMENTS[kind].n_nodes
        corners = nodes[list(facet[: ELEMENTS[kind].corners])]
        if element.dimension == 3:
            normal = sum(
                np.cross(corners[i] - corners[0], corners[i + 1] - corners[0]) / 2
                for i in range(1, len(corners) - 1)
            )
        else:
            along = corners[1] - corners[0]
            normal = np.array([along[1], -along[0], 0.0])
        outward = corners.mean(axis=0) - element.center[0]
        assert normal[: element.dimension] @ outward > 0
        total += normal
        # Mid-side nodes of the facet lie between its corners, in order.
        for i, mid in enumerate(facet[ELEMENTS[kind].corners :]):
            ends = corners[[i, (i + 1) % len(corners)]]
            assert_allclose(nodes[mid], ends.mean(axis=0), atol=1e-14)
    assert_allclose(total, 0.0, atol=1e-14)


@every_element
def test_sampling_reproduces_what_it_can(element):
    (points, _), extrapolation = sampling(element.name)
    assert_allclose(extrapolation.sum(axis=1), 1.0, atol=1e-12)
    if element.degree == 2 and element.dimension > 1:
        assert_allclose(extrapolation @ points, np.array(element.nodes), atol=1e-12)


@every_element
def test_facets_of_neighbors_match(element):
    # The trace on a facet is that facet's own element, so cells of different types fit together.
    for facet, kind in zip(element.facets, element.facet_elements, strict=True):
        other = ELEMENTS[kind]
        xi = inside(other)
        at = other.shape(xi) @ np.array(element.nodes)[list(facet)]
        assert_allclose(element.shape(at)[:, list(facet)], other.shape(xi), atol=1e-9)


@given(st.integers(1, 6), st.integers(0, 2))
def test_gauss_jacobi_is_exact_to_twice_its_points_less_one(n, power):
    x, w = gauss_jacobi(n, power)
    for k in range(2 * n):
        exact = gamma(k + 1) * gamma(power + 1) / gamma(k + power + 2)
        assert_allclose(w @ x**k, exact, rtol=1e-12)


@pytest.mark.parametrize("degree", range(1, 8))
def test_simplex_rules_are_exact_to_their_degree(degree):
    x, w = triangle_rule(degree)
    for i in range(degree + 1):
        for j in range(degree + 1 - i):
            exact = factorial(i) * factorial(j) / factorial(i + j + 2)
            assert_allclose(w @ (x[:, 0] ** i * x[:, 1] ** j), exact, rtol=1e-11)
    x, w = tetrahedron_rule(degree)
    for i in range(degree + 1):
        for j in range(degree + 1 - i):
            k = degree - i - j
            exact = factorial(i) * factorial(j) * factorial(k) / factorial(degree + 3)
            assert_allclose(w @ (x[:, 0] ** i * x[:, 1] ** j * x[:, 2] ** k), exact, rtol=1e-11)


def test_gauss_legendre_is_symmetric():
    x, w = gauss_legendre(4)
    assert_allclose(x, -x[::-1], atol=1e-15)
    assert_allclose(w.sum(), 2.0)
