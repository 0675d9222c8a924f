"""Finer meshes: the same body, the same groups, faces that match, cells that stay in shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import BLOCKS, SOLIDS, bar, block, box, drilled, merged, rectangle, ring
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from surroundings import FULL

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError
from designtwin.mesh import Group, Mesh
from designtwin.mesh.mesh import jacobian_determinants
from designtwin.mesh.refine import refine
from designtwin.typing import IntArray

SIMPLICES = ("triangle", "triangle6", "tetra", "tetra10")


def area(mesh: Mesh, facets: IntArray | None = None) -> float:
    """Area of the outside or of some facets, m^2; length in plane meshes."""
    total = 0.0
    for of in mesh.facets(mesh.exterior if facets is None else facets):
        _, gradient, weight = ELEMENTS[of.element].tables(ELEMENTS[of.element].mass_quadrature)
        tangent = np.einsum("fna,qnd->fqad", mesh.points[of.conn], gradient)
        gram = np.einsum("fqad,fqae->fqde", tangent, tangent)
        total += float((np.sqrt(np.linalg.det(gram)) @ weight).sum())
    return total


def smallest_jacobian(mesh: Mesh) -> float:
    """Over all nodes of all cells, in the cell's own size."""
    found = []
    for name, conn in mesh.cells.items():
        at = ELEMENTS[name].gradient(np.array(ELEMENTS[name].nodes, np.float64)[: ELEMENTS[name].corners])
        det = jacobian_determinants(mesh.points[conn], at)
        found.append((det / np.abs(det).mean(axis=1, keepdims=True)).min())
    return float(min(found))


def shapes(mesh: Mesh) -> float:
    """The thinnest cell: measure over the longest edge to the power of the dimension."""
    found = []
    for name, ids, conn in mesh.blocks():
        element = ELEMENTS[ELEMENTS[name].linear]
        a, b = np.array(element.corner_edges).T
        longest = np.linalg.norm(mesh.points[conn[:, a]] - mesh.points[conn[:, b]], axis=2).max(axis=1)
        found.append((mesh.cell_measures(order="mass")[ids] / longest**element.dimension).min())
    return float(min(found))


@pytest.mark.parametrize("element", BLOCKS)
def test_children_fill_their_parents_and_match_face_to_face(element):
    coarse = block(element, 2, distort=0.15)
    fine = refine(coarse)
    count = {"pyramid": 10}.get(ELEMENTS[element].linear, 2 ** ELEMENTS[element].dimension)
    assert fine.mesh.n_cells == count * coarse.n_cells
    assert smallest_jacobian(fine.mesh) > 0.0
    sizes = np.bincount(fine.parent, fine.mesh.cell_measures(order="mass"), coarse.n_cells)
    assert_allclose(sizes, coarse.cell_measures(order="mass"), rtol=1e-12)
    # No node twice in one place, none unused, no gap inside: the outside is as large as it was.
    assert len(np.unique(np.round(fine.mesh.points, 9), axis=0)) == fine.mesh.n_points
    assert len(fine.mesh.used_nodes) == fine.mesh.n_points
    assert area(fine.mesh) == pytest.approx(area(coarse), rel=1e-12)
    assert_array_equal(fine.mesh.points[: coarse.n_points], coarse.points)


@pytest.mark.parametrize("element", BLOCKS)
def test_groups_hold_the_children_of_their_own(element):
    coarse = block(element, 2)
    half = np.flatnonzero(coarse.cell_centers[:, 0] < 0.5)
    corner = np.flatnonzero((coarse.points == 0.0).all(axis=1))
    side = coarse.nodes_of_facets(coarse.groups["ymin"].facets)
    coarse = coarse.with_groups(
        {"half": Group(cells=half), "corner": Group(nodes=corner), "side": Group(nodes=side)}
    )
    fine = refine(refine(coarse).mesh).mesh
    for name in ("xmin", "xmax", "ymin", "ymax"):
        assert area_of(fine, name) == pytest.approx(area_of(coarse, name))
        assert set(map(tuple, fine.groups[name].facets)) <= set(map(tuple, fine.exterior))
    assert_array_equal(fine.groups["half"].cells, np.flatnonzero(fine.cell_centers[:, 0] < 0.5))
    assert_array_equal(fine.groups["corner"].nodes, corner)
    on_side = np.flatnonzero(fine.points[:, 1] == 0.0)
    assert_array_equal(fine.groups["side"].nodes, on_side)


def area_of(mesh: Mesh, name: str) -> float:
    return area(mesh, mesh.groups[name].facets)


@pytest.mark.parametrize("element", ["triangle6", "quad8", "tetra10", "hexahedron20", "wedge15", "pyramid13"])
def test_children_of_curved_cells_lie_on_their_parents(element):
    def bent(p):
        r, t = 1.0 + p[:, 0], 0.8 * p[:, 1]
        return np.column_stack([r * np.cos(t), r * np.sin(t), p[:, 2]])

    coarse = block(element, 2, shape=bent)
    fine = refine(coarse)
    assert smallest_jacobian(fine.mesh) > 0.0
    volume = coarse.cell_measures(order="mass").sum()
    # Only pyramids, whose functions are rational, do not hold the map of their parent exactly.
    loose = element == "pyramid13"
    assert fine.mesh.cell_measures(order="mass").sum() == pytest.approx(volume, rel=1e-4 if loose else 1e-9)
    # The outside stays the curve of the coarse cells, not that of a polygon through their nodes.
    assert area(fine.mesh) == pytest.approx(area(coarse), rel=1e-4)


@pytest.mark.parametrize("element", BLOCKS)
def test_linear_fields_are_carried_exactly(element):
    coarse = block(element, 2, distort=0.15)
    fine = refine(coarse)
    linear = coarse.points @ [1.0, -2.0, 3.0] + 4.0
    assert_allclose(fine.carried(linear), fine.mesh.points @ [1.0, -2.0, 3.0] + 4.0, rtol=1e-12)


@pytest.mark.parametrize("element", SIMPLICES)
@settings(deadline=None, max_examples=50 if FULL else 5)
@given(seed=st.integers(0, 10**6))
def test_a_region_is_refined_and_the_mesh_stays_whole(element, seed):
    random = np.random.default_rng(seed)
    mesh = block(element, 3, distort=0.15, seed=seed)
    first, size = shapes(mesh), area(mesh)
    for _ in range(3):
        cells = random.choice(mesh.n_cells, 3, replace=False)
        fine = refine(mesh, cells)
        sizes = np.bincount(fine.parent, fine.mesh.cell_measures(order="mass"), mesh.n_cells)
        assert_allclose(sizes, mesh.cell_measures(order="mass"), rtol=1e-9)
        assert (np.bincount(fine.parent)[cells] >= 2 ** ELEMENTS[element].dimension).all()
        assert area(fine.mesh) == pytest.approx(size, rel=1e-9)
        assert len(np.unique(np.round(fine.mesh.points, 9), axis=0)) == fine.mesh.n_points
        assert area_of(fine.mesh, "xmin") == pytest.approx(area_of(mesh, "xmin"))
        mesh = fine.mesh
    assert shapes(mesh) > 0.3 * first


@pytest.mark.parametrize("element", SIMPLICES)
def test_cells_do_not_get_thinner_however_often_a_corner_is_refined(element):
    mesh = block(element, 3, distort=0.15)
    first = shapes(mesh)
    for _ in range(8):
        near = np.argsort(np.linalg.norm(mesh.cell_centers - mesh.extents[1], axis=1))[:4]
        mesh = refine(mesh, near).mesh
    assert shapes(mesh) > 0.4 * first
    assert mesh.n_cells < 4000  # the rest of the body was left alone
    assert mesh.cell_measures().min() < 1e-4 * mesh.cell_measures().max()


def test_curved_holes_keep_their_curve_where_a_region_is_refined():
    coarse = drilled("tetra10", (2, 12, 1))
    hole = np.unique(coarse.groups["hole"].facets[:, 0])
    fine = refine(coarse, hole)
    assert smallest_jacobian(fine.mesh) > 0.0
    assert area_of(fine.mesh, "hole") == pytest.approx(area_of(coarse, "hole"), rel=1e-4)
    r = np.hypot(*fine.mesh.points[fine.mesh.nodes_of_facets(fine.mesh.groups["hole"].facets), :2].T)
    assert_allclose(r, 0.00425, rtol=2e-3)


def test_faces_between_elements_of_several_kinds_match():
    def mixed(*elements):
        return merged(
            *(box(e, (1, 2, 2), (0.5, 1.0, 1.0), origin=(0.5 * i, 0, 0)) for i, e in enumerate(elements))
        )

    for elements in (("hexahedron20", "pyramid13"), ("hexahedron", "pyramid"), ("pyramid13", "hexahedron20")):
        coarse = mixed(*elements)
        fine = refine(refine(coarse).mesh).mesh
        assert area(fine) == pytest.approx(area(coarse))
        assert len(np.unique(np.round(fine.points, 9), axis=0)) == fine.n_points


def test_bars_along_a_plate_are_divided_with_it():
    plate = rectangle("triangle", 2)
    bottom = np.flatnonzero(plate.points[:, 1] == 0.0)
    bars = np.column_stack([bottom[:-1], bottom[1:]])
    mesh = replace(plate, cells={**plate.cells, "line": bars}, groups={})
    for fine in (refine(mesh).mesh, refine(mesh, np.array([mesh.n_cells - 1])).mesh):
        ends = fine.points[fine.cells["line"]]
        assert np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).sum() == pytest.approx(1.0)
        assert np.isin(fine.cells["line"], fine.cells["triangle"]).all()
    assert refine(bar(3, element="line3")).mesh.n_points == 13


def test_nodes_across_a_thin_body_do_not_join_a_group_of_its_surface():
    # All nodes of the outside but one: edges that cross the body between them are no part of the surface.
    coarse = box("tetra", 2)
    nodes = coarse.nodes_of_facets(coarse.groups["zmin"].facets)
    nodes = np.union1d(nodes, coarse.nodes_of_facets(coarse.groups["xmin"].facets))
    fine = refine(coarse.with_groups({"both": Group(nodes=nodes)})).mesh
    x = fine.points[fine.groups["both"].nodes]
    assert ((x[:, 2] == 0.0) | (x[:, 0] == 0.0)).all()
    assert len(x) == 5 * 5 + 5 * 5 - 5


def test_the_door_refines_a_place():
    mesh = ring("tetra10")
    assert mesh.refined().n_cells == 8 * mesh.n_cells
    near = mesh.refined("inner")
    assert mesh.n_cells < near.n_cells < 8 * mesh.n_cells
    assert near.groups.keys() == mesh.groups.keys()
    assert mesh.refined().content_hash() == mesh.refined().content_hash()


@pytest.mark.parametrize("element", [name for name in SOLIDS if "tetra" not in name] + ["quad", "quad8"])
def test_a_region_of_other_cells_is_refused(element):
    with pytest.raises(MeshError, match=f"'{element}' cells; refine all of it"):
        refine(block(element, 2), np.array([0]))


def test_cells_that_do_not_exist_are_refused():
    with pytest.raises(MeshError, match="numbered 0 to 17"):
        refine(rectangle("triangle", 3), np.array([18]))
