"""What is drawn is the part: areas, normals, edges and cuts are those of the cells."""

import numpy as np
import pytest
from builders import BLOCKS, SOLIDS, box, rectangle
from numpy.testing import assert_allclose

from designtwin.viz.geometry import Skin, arrows, balls, contour, cut_triangles, section, tubes

SIZE = (2.0, 1.0, 0.5)


def area_vectors(triangles):
    a, b, c = (triangles.points[triangles.conn[:, i]] for i in range(3))
    return np.cross(b - a, c - a) / 2


def skin_of(element, n=2, **options):
    mesh = (
        box(element, n, SIZE, **options) if element in SOLIDS else rectangle(element, n, SIZE[:2], **options)
    )
    return mesh, Skin(mesh)


@pytest.mark.parametrize("element", BLOCKS)
def test_the_skin_covers_the_part_once(element):
    mesh, skin = skin_of(element, 3, distort=0.1)
    triangles, _ = skin.triangles(mesh.points, skin.level())
    a, b, c = SIZE
    whole = 2 * (a * b + b * c + c * a) if element in SOLIDS else a * b
    assert_allclose(np.linalg.norm(area_vectors(triangles), axis=1).sum(), whole, rtol=1e-12)


@pytest.mark.parametrize("element", BLOCKS)
def test_normals_point_outward_and_edges_stay_sharp(element):
    mesh, skin = skin_of(element)
    triangles, _ = skin.triangles(mesh.points, 2)
    facing = np.einsum("ij,ij->i", area_vectors(triangles), triangles.normals[triangles.conn[:, 0]])
    assert (facing > 0).all()
    assert_allclose(np.abs(triangles.normals).max(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron20", "wedge15"])
def test_a_curved_face_looks_curved(element):
    def bend(p):
        angle = p[:, 0] * np.pi / 4
        radius = 1.0 + p[:, 2]
        return np.column_stack([radius * np.sin(angle), p[:, 1], radius * np.cos(angle)])

    mesh = box(element, (4, 2, 1), SIZE, shape=bend)
    skin = Skin(mesh)
    triangles, _ = skin.triangles(mesh.points, 4)
    radius = np.hypot(triangles.points[:, 0], triangles.points[:, 2])
    outer = radius > 1.5 - 1e-3
    exact = triangles.points[outer] * [1, 0, 1] / radius[outer, None]
    cosine = np.einsum("ij,ij->i", exact, triangles.normals[outer])
    top = cosine > 0.7  # those of the side faces stand across
    assert top.sum() > 100
    assert np.degrees(np.arccos(np.clip(cosine[top].min(), -1, 1))) < 1.5


@pytest.mark.parametrize("element", SOLIDS)
def test_feature_edges_of_a_box_are_its_twelve(element):
    mesh, skin = skin_of(element, 3)
    lines = skin.edge_lines(skin.feature_edges(), mesh.points, 3)
    length = np.linalg.norm(np.diff(lines.points[lines.conn], axis=1), axis=-1).sum()
    assert_allclose(length, 4 * sum(SIZE), rtol=1e-12)


@pytest.mark.parametrize("element", ["quad", "triangle6"])
def test_feature_edges_of_a_plane_are_its_border(element):
    mesh, skin = skin_of(element, 3)
    lines = skin.edge_lines(skin.feature_edges(), mesh.points, 3)
    length = np.linalg.norm(np.diff(lines.points[lines.conn], axis=1), axis=-1).sum()
    assert_allclose(length, 2 * (SIZE[0] + SIZE[1]), rtol=1e-12)


def test_fields_are_carried_with_shape_functions_and_never_overshoot():
    mesh, skin = skin_of("tetra10")
    triangles, carry = skin.triangles(mesh.points, 4)
    x, y, _ = mesh.points.T
    assert_allclose(carry(x + 2 * y), triangles.points @ [1, 2, 0], atol=1e-12)
    assert_allclose(carry(x * x), triangles.points[:, 0] ** 2, atol=0.02)
    spike = np.zeros(mesh.n_points)
    spike[skin.point_rows()[0]] = 1.0
    assert carry(spike).min() == 0.0
    assert carry(spike).max() == 1.0


@pytest.mark.parametrize("element", SOLIDS)
def test_a_section_fills_the_cut(element):
    mesh, skin = skin_of(element, 3, distort=0.1)
    normal, origin = np.array([1.0, 0.0, 0.0]), np.array([0.77, 0.0, 0.0])
    x, y, z = mesh.points.T
    face, values = section(tuple(mesh.blocks()), mesh.points, x + y + z, normal, origin)
    # Wedges and pyramids share warped faces that neighbors split along different diagonals.
    close = 1e-9 if element.startswith(("tetra", "hexa")) else 5e-3
    assert_allclose(np.linalg.norm(area_vectors(face), axis=1).sum(), SIZE[1] * SIZE[2], rtol=close)
    assert_allclose(values, face.points.sum(axis=1), atol=1e-9)
    triangles, carry = skin.triangles(mesh.points, skin.level())
    kept, on_kept = cut_triangles(triangles, carry(x), normal, origin)
    assert kept.points[kept.conn].reshape(-1, 3)[:, 0].max() <= 0.77 + 1e-12
    a, b, c = 0.77, SIZE[1], SIZE[2]
    assert_allclose(np.linalg.norm(area_vectors(kept), axis=1).sum(), 2 * (a * b + a * c) + b * c, rtol=1e-9)
    assert_allclose(on_kept[kept.conn].ravel(), kept.points[kept.conn].reshape(-1, 3)[:, 0], atol=1e-9)


def test_a_contour_is_where_the_value_is():
    mesh, skin = skin_of("tetra10", 4)
    triangles, carry = skin.triangles(mesh.points, 3)
    line = contour(triangles.points, triangles.conn, carry(mesh.points[:, 0]), 0.777)
    assert_allclose(line.points[:, 0], 0.777, atol=1e-12)
    length = np.linalg.norm(np.diff(line.points[line.conn], axis=1), axis=-1).sum()
    assert_allclose(length, 2 * (SIZE[1] + SIZE[2]), rtol=1e-9)
    assert not len(contour(triangles.points, triangles.conn, carry(mesh.points[:, 0]), 5.0).conn)


def test_parts_that_meet_have_a_line_between_them():
    mesh, skin = skin_of("hexahedron", (4, 2, 2))
    label = (mesh.cell_centers[:, 0] > 1.0).astype(int)[skin.facets[:, 0]]
    lines = skin.edge_lines(skin.feature_edges(label), mesh.points, 1)
    length = np.linalg.norm(np.diff(lines.points[lines.conn], axis=1), axis=-1).sum()
    assert_allclose(length, 4 * sum(SIZE) + 2 * (SIZE[1] + SIZE[2]), rtol=1e-12)


def test_symbols_are_closed_and_look_outward():
    one = np.array([[0.0, 0.0, 0.0]])
    ball = balls(one, np.array([2.0]))
    assert_allclose(np.linalg.norm(ball.points, axis=1), 2.0)
    arrow = arrows(one, np.array([[0.0, 0.0, 3.0]]))
    assert_allclose(arrow.points[:, 2].min(), -3.0)
    assert_allclose(arrow.points[:, 2].max(), 0.0, atol=1e-12)
    tube, end = tubes(np.array([[0.0, 0, 0], [1.0, 0, 0]]), np.array([[0, 1]]), np.array([0.1]))
    assert_allclose(np.linalg.norm(area_vectors(tube), axis=1).sum(), 2 * np.pi * 0.1, rtol=0.03)
    assert_allclose(tube.points[:, 0], end, atol=1e-12)
    for shape in (ball, tube):
        facing = np.einsum("ij,ij->i", area_vectors(shape), shape.normals[shape.conn[:, 0]])
        assert (facing > 0).all()
