"""Projection onto faces and the coupling of faces that do not match."""

from dataclasses import replace

import numpy as np
import pytest
from builders import apart, box, rectangle, ring
from numpy.testing import assert_allclose

from designtwin import parallel
from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError
from designtwin.mesh.interfaces import Faces, couple, project

SOLIDS = ("tetra", "tetra10", "hexahedron", "hexahedron20", "wedge15")


def named(mesh, prefix):
    return replace(mesh, groups={f"{prefix}_{name}": group for name, group in mesh.groups.items()})


def pair(first, n, second, m, *, size=(1.0, 1.0, 1.0), at=(0.0, 0.0, 1.0), shape=None):
    """Two blocks, one on the other, and the faces that touch."""
    if ELEMENTS[first].dimension == 2:
        a, b = rectangle(first, n, size[:2]), rectangle(second, m, size[:2], origin=(at[0], at[2]))
        faces = "a_ymax", "b_ymin"
    else:
        a, b = box(first, n), box(second, m, size, origin=at)
        faces = "a_zmax", "b_zmin"
    mesh = apart(named(a, "a"), named(b, "b"))
    mesh = mesh if shape is None else mesh.moved(shape(mesh.points))
    return mesh, *(mesh.groups[face].facets for face in faces)


def shares(mesh, facets):
    """Integral of each node's shape function over faces."""
    out = np.zeros(mesh.n_points)
    faces = Faces(mesh, facets)
    for block in faces.blocks:
        xi, measure, _ = faces.measures(block)
        np.add.at(out, block.conn, measure @ ELEMENTS[block.element].shape(xi))
    return out


def wavy(x):
    return np.column_stack([x[:, 0], x[:, 1], x[:, 2] + 0.05 * np.sin(2 * x[:, 0]) * np.cos(3 * x[:, 1])])


PAIRS = [(a, 3, b, 2) for a in SOLIDS for b in SOLIDS] + [
    ("tetra10", 2, "tetra10", (5, 4, 2)), ("quad", 3, "triangle6", 5), ("quad8", 4, "quad8", 3),
    ("triangle", 4, "quad", 3),
]  # fmt: skip


@pytest.mark.parametrize(("first", "n", "second", "m"), PAIRS, ids=lambda v: str(v).replace(" ", ""))
def test_mortar_weights_pass_linear_displacement_and_constant_traction(first, n, second, m):
    mesh, a, b = pair(first, n, second, m)
    found = couple(mesh, a, b)
    assert found.covered == pytest.approx(1.0, abs=1e-9)
    assert not len(found.loose)
    assert_allclose(found.weights @ mesh.points, mesh.points[found.nodes], atol=1e-13)
    carried = found.weights.T @ shares(mesh, a)[found.nodes]
    assert_allclose(carried, shares(mesh, b), atol=1e-13)


@pytest.mark.parametrize(("first", "second"), [("tetra10", "hexahedron20"), ("quad8", "triangle6")])
def test_quadratic_faces_pass_quadratic_displacement(first, second):
    mesh, a, b = pair(first, 3, second, 4)
    found = couple(mesh, a, b)
    x, y = mesh.points[:, 0], mesh.points[:, 1]
    field = 1.0 + x * x - (0.0 if ELEMENTS[first].dimension == 2 else 2.0) * x * y
    assert_allclose(found.weights @ field, field[found.nodes], atol=1e-13)


def test_node_to_facet_weights_do_not_pass_a_constant_traction():
    mesh, a, b = pair("hexahedron", 3, "hexahedron", 2)
    found = couple(mesh, a, b, method="node")
    assert_allclose(found.weights @ mesh.points, mesh.points[found.nodes], atol=1e-13)
    wrong = np.abs(found.weights.T @ shares(mesh, a)[found.nodes] - shares(mesh, b)).max()
    assert wrong > 0.05 * shares(mesh, b).max()  # what the mortar weights are there for


@pytest.mark.parametrize("element", SOLIDS)
def test_matching_faces_follow_node_by_node(element):
    mesh, a, b = pair(element, 3, element, 3, shape=wavy)
    found = couple(mesh, a, b)
    assert_allclose(found.weights.data, 1.0, atol=1e-11)
    assert found.weights.nnz == len(found.nodes)
    assert_allclose(mesh.points[found.weights.indices], mesh.points[found.nodes], atol=1e-12)
    assert found.arms is None


@pytest.mark.parametrize("method", ["mortar", "node"])
@pytest.mark.parametrize(
    ("first", "second", "shape", "gap"),
    [("hexahedron", "tetra", wavy, 0.0), ("hexahedron20", "tetra10", wavy, 0.0),
     ("tetra10", "hexahedron", None, 0.02), ("quad8", "triangle", None, 0.02)],
)  # fmt: skip
def test_rigid_motions_pass_gaps_and_curved_faces_that_do_not_fit(first, second, shape, gap, method):
    mesh, a, b = pair(first, 3, second, 4, at=(0.0, 0.0, 1.0 + gap), shape=shape)
    found = couple(mesh, a, b, tolerance=0.05, method=method)
    assert found.gap > 1e-5
    assert len(found.nodes) > 0
    turn = (0.0, 0.0, -0.7) if ELEMENTS[first].dimension == 2 else (0.3, 0.5, -0.7)
    moved = np.cross(turn, mesh.points) + np.array([1.0, -2.0, 0.0])
    rows = found.displacement() @ moved.ravel()
    assert_allclose(rows.reshape(-1, 3), moved[found.nodes], atol=1e-12)


@pytest.mark.parametrize(
    "elements", [("tetra10", "tetra10"), ("hexahedron20", "hexahedron"), ("tetra", "tetra")]
)
def test_a_face_partly_covered_follows_where_it_is_covered(elements):
    mesh, a, b = pair(elements[0], 5, elements[1], 4, at=(0.37, 0.41, 1.0))
    found = couple(mesh, a, b)
    assert 0.3 < found.covered < 0.4
    assert_allclose(found.weights @ mesh.points, mesh.points[found.nodes], atol=1e-12)
    assert np.abs(found.weights.data).max() < 3.0  # no values extrapolated from slivers
    x = mesh.points[found.nodes]
    assert (x[:, :2] > (0.2, 0.2)).all()
    inner = (mesh.points[found.loose][:, :2] > (0.6, 0.6)).all(axis=1)
    assert not inner.any()


def test_nothing_is_coupled_beyond_the_tolerance_or_back_to_back():
    mesh, a, b = pair("hexahedron", 2, "hexahedron", 2, at=(0.0, 0.0, 1.2))
    found = couple(mesh, a, b, tolerance=0.1)
    assert not len(found.nodes)
    assert len(found.loose) == 9
    assert np.isinf(found.nearest) or found.nearest == pytest.approx(0.2)
    # The far side of the upper block looks the same way as the face below it.
    top = mesh.groups["b_zmax"].facets
    assert not len(couple(mesh, a, top, tolerance=2.0).nodes)


def test_weights_do_not_depend_on_threads():
    mesh, a, b = pair("tetra10", 4, "tetra10", 3, shape=wavy)
    found = []
    for n in (1, 3):
        with parallel.use_threads(n):
            found.append(couple(mesh, a, b))
    assert found[0].weights.data.tobytes() == found[1].weights.data.tobytes()
    assert found[0].arms.data.tobytes() == found[1].arms.data.tobytes()


# Points


@pytest.mark.parametrize("element", ["hexahedron20", "tetra10"])
def test_points_project_square_onto_a_cylinder(element):
    mesh = ring(element, (2, 24, 3))
    facets = mesh.groups["outer"].facets
    rng = np.random.default_rng(3)
    angle, height = rng.uniform(0, 2 * np.pi, 200), rng.uniform(5e-4, 5.5e-3, 200)
    off = rng.uniform(-1e-3, 2e-3, 200)
    points = np.column_stack([(0.01 + off) * np.cos(angle), (0.01 + off) * np.sin(angle), height])
    found = project(mesh, facets, points)
    assert found.inside.all()
    assert_allclose(found.gap, off, atol=2e-6)  # 24 quadratic facets miss the circle by this
    assert_allclose(found.weights.sum(axis=1), 1.0, atol=1e-12)
    assert_allclose(np.einsum("pn,pna->pa", found.weights, mesh.points[found.nodes]), found.foot, atol=1e-15)
    tangent = np.cross(found.normal, points - found.foot)
    assert np.abs(tangent).max() < 1e-9 * 1e-3 + 1e-4 * np.abs(off).max()


def test_points_on_the_face_find_themselves_and_points_beside_it_its_rim():
    mesh, a, _ = pair("tetra10", 3, "tetra", 1, shape=wavy)
    nodes = mesh.nodes_of_facets(a)
    found = project(mesh, a, mesh.points[nodes])
    assert found.inside.all()
    assert_allclose(found.foot, mesh.points[nodes], atol=1e-12)
    assert_allclose(found.matrix(mesh.n_points) @ mesh.points, mesh.points[nodes], atol=1e-12)
    flat, face, _ = pair("hexahedron", 3, "hexahedron", 1)
    beside = project(flat, face, np.array([[1.5, 0.5, 1.2], [-0.3, -0.4, 1.0]]))
    assert not beside.inside.any()
    assert_allclose(beside.foot, [[1.0, 0.5, 1.0], [0.0, 0.0, 1.0]], atol=1e-12)
    assert_allclose(beside.distance, [np.hypot(0.5, 0.2), 0.5], atol=1e-12)


def test_the_nearest_facet_is_found_among_large_and_small_ones():
    fine, coarse = (
        named(box("hexahedron", (20, 20, 1), (0.2, 0.2, 0.1)), "a"),
        named(box("tetra", 1, (1.0, 1.0, 0.1), origin=(0.2, 0.0, 0.0)), "b"),
    )
    mesh = apart(fine, coarse)
    facets = np.concatenate([mesh.groups["a_zmax"].facets, mesh.groups["b_zmax"].facets])
    points = np.random.default_rng(5).uniform((0, 0, 0.1), (1.2, 1.0, 0.4), (300, 3))
    found = project(mesh, facets, points)
    inside = (points[:, 0] > 0.2) | (points[:, 1] < 0.2)
    assert_allclose(found.distance[inside], points[inside, 2] - 0.1, atol=1e-12)
    x, y, z = points[~inside].T
    rim = np.sqrt(np.minimum((0.2 - x) ** 2, (y - 0.2) ** 2) + (z - 0.1) ** 2)
    assert_allclose(found.distance[~inside], rim, atol=1e-12)


def test_edges_of_plane_cells_are_faces_too():
    mesh = rectangle("quad8", 4)
    found = project(mesh, mesh.groups["ymax"].facets, np.array([[0.3, 1.2, 0.0], [1.4, 1.0, 0.0]]))
    assert_allclose(found.foot, [[0.3, 1.0, 0.0], [1.0, 1.0, 0.0]], atol=1e-12)
    assert_allclose(found.gap[0], 0.2)
    assert found.inside.tolist() == [True, False]


def test_moved_nodes_are_projected_on_where_they_are():
    mesh = box("hexahedron", 2)
    up = mesh.points + np.array([0.0, 0.0, 0.5])
    found = project(mesh, mesh.groups["zmax"].facets, np.array([[0.4, 0.4, 1.7]]), moved=up)
    assert_allclose(found.gap, [0.2])


def test_no_facets_are_refused():
    with pytest.raises(MeshError, match="no facets"):
        project(box("tetra", 1), np.empty((0, 2), np.int64), np.zeros((1, 3)))
