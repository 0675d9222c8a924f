"""Facet areas, consistent loads and facet matrices, on every facet element."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import BLOCKS, SOLIDS, block, box, rectangle
from numpy.testing import assert_allclose

from designtwin.elements import ELEMENTS
from designtwin.kernels import surface
from designtwin.model.domains import facet_rule


def bent(x):
    """A map that curves every face."""
    out = np.array(x)
    out[:, 0] += 0.1 * x[:, 1] ** 2
    out[:, 1] += 0.07 * x[:, 0] * x[:, 2] + 0.05 * x[:, 0] ** 2
    if x[:, 2].any():
        out[:, 2] += 0.08 * x[:, 0] * x[:, 1]
    return out


def geometry(mesh, facets, kind=0, scale=1.0, kernel=surface.facet_geometry):
    """(conn, shape, at, area) of each facet block."""
    out = []
    for found in mesh.facets(facets):
        shape, gradient, weight = ELEMENTS[found.element].tables(facet_rule(found.element))
        at = np.empty((len(found.conn), len(weight), 3))
        area = np.empty_like(at)
        scales = np.full(len(found.conn), scale)
        kernel(mesh.points, found.conn, shape, gradient, weight, kind, scales, at, area)
        out.append((found.conn, shape, at, area))
    return out


@pytest.mark.parametrize("element", BLOCKS)
def test_closed_surface_has_no_net_area_and_encloses_the_volume(element):
    mesh = block(element, 2, distort=0.15, shape=bent)
    found = geometry(mesh, mesh.exterior)
    assert_allclose(sum(area.sum(axis=(0, 1)) for *_, area in found), 0.0, atol=1e-13)
    # Divergence theorem: the integral of x.n dA is dim times the volume, on curved facets too.
    enclosed = sum(np.einsum("fqa,fqa->", at, area) for *_, at, area in found) / mesh.dimension
    assert_allclose(enclosed, mesh.cell_measures(order="mass").sum(), rtol=1e-12)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron20", "quad8"])
def test_geometry_kernel_equals_its_python(element):
    mesh = block(element, 1, shape=bent)
    for compiled, plain in zip(
        geometry(mesh, mesh.exterior),
        geometry(mesh, mesh.exterior, kernel=surface.facet_geometry.py_func),
        strict=True,
    ):
        assert_allclose(compiled[2], plain[2], rtol=1e-14, atol=1e-15)
        assert_allclose(compiled[3], plain[3], rtol=1e-13, atol=1e-15)


def test_edge_normals_point_out_of_the_body():
    mesh = rectangle("quad8", 2)
    for name, normal in (
        ("xmin", (-1, 0, 0)),
        ("xmax", (1, 0, 0)),
        ("ymin", (0, -1, 0)),
        ("ymax", (0, 1, 0)),
    ):
        (*_, area), = geometry(mesh, mesh.groups[name].facets)  # fmt: skip
        assert_allclose(area.sum(axis=(0, 1)), normal, atol=1e-14)


def test_edges_of_a_ring_count_all_around():
    mesh = rectangle("triangle6", 2, (0.5, 2.0), origin=(1.0, 0.0))
    outer = sum(a.sum(axis=(0, 1)) for *_, a in geometry(mesh, mesh.groups["xmax"].facets, kind=1))
    top = sum(a.sum(axis=(0, 1)) for *_, a in geometry(mesh, mesh.groups["ymax"].facets, kind=1))
    assert_allclose(outer, [2 * math.pi * 1.5 * 2.0, 0, 0], atol=1e-12)
    assert_allclose(top, [0, math.pi * (1.5**2 - 1.0**2), 0], atol=1e-12)


@pytest.mark.parametrize("element", SOLIDS)
def test_scattered_load_keeps_sum_and_moment(element):
    mesh = box(element, 2, shape=bent)
    rng = np.random.default_rng(1)
    out, force, moment = np.zeros((mesh.n_points, 3)), np.zeros(3), np.zeros(3)
    for conn, shape, at, _ in geometry(mesh, mesh.exterior):
        value = rng.normal(size=at.shape)
        surface.scatter(conn, shape, value, out)
        force += value.sum(axis=(0, 1))
        moment += np.cross(at, value).sum(axis=(0, 1))
    assert_allclose(out.sum(axis=0), force, rtol=1e-12)
    assert_allclose(np.cross(mesh.points, out).sum(axis=0), moment, rtol=1e-11)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron", "wedge15"])
def test_facet_matrices_act_as_the_load_of_their_stiffness(element):
    """K u for a displacement field u equals the consistent load of c u."""
    mesh = box(element, 2, shape=bent)
    rng = np.random.default_rng(2)
    c = rng.normal(size=(3, 3))
    u = rng.normal(size=(mesh.n_points, 3))
    for conn, shape, at, area in geometry(mesh, mesh.exterior):
        size = np.linalg.norm(area, axis=2)
        value = np.ascontiguousarray(np.broadcast_to(c, (*at.shape[:2], 3, 3)) * size[..., None, None])
        n = conn.shape[1]
        matrices = np.empty((len(conn), 3 * n, 3 * n))
        surface.facet_matrices(shape, value, matrices)
        out, expected = np.zeros((mesh.n_points, 3)), np.zeros((mesh.n_points, 3))
        np.add.at(
            out, conn, np.einsum("fij,fj->fi", matrices, u[conn].reshape(len(conn), -1)).reshape(-1, n, 3)
        )
        load = np.einsum("fqij,qn,fnj->fqi", value, shape, u[conn])
        surface.scatter(conn, shape, load, expected)
        assert_allclose(out, expected, atol=1e-13)
