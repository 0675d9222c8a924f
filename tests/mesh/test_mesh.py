"""The mesh counts, measures and finds right, wherever it lies in space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import BLOCKS, PLANES, SOLIDS, apart, bar, block, box, merged, rectangle, ring
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError, SelectionError
from designtwin.mesh import Group, Mesh

SIZE = (3.0, 2.0, 1.0)


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    out = np.eye(3)
    for i, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        one = np.eye(3)
        j, k = (i + 1) % 3, (i + 2) % 3
        one[j, j], one[j, k], one[k, j], one[k, k] = c, -s, s, c
        out = out @ one
    return out


# --- measures on closed forms ---


@pytest.mark.parametrize("distort", [0.0, 0.2])
@pytest.mark.parametrize("element", BLOCKS)
def test_cells_fill_the_block(element, distort):
    mesh = block(element, (3, 2, 2), SIZE, distort=distort)
    assert_allclose(mesh.cell_measures().sum(), np.prod(SIZE[: mesh.dimension]), rtol=1e-13)
    assert mesh.cell_measures().min() > 0


@pytest.mark.parametrize("element", SOLIDS)
def test_outside_is_closed_and_outward(element):
    mesh = box(element, 2, SIZE, distort=0.2)
    vectors, centers = mesh.facet_vectors(mesh.exterior)
    assert_allclose(vectors.sum(axis=0), 0.0, atol=1e-13)
    assert_allclose(np.linalg.norm(vectors, axis=1).sum(), 2 * (6 + 3 + 2), rtol=1e-13)
    # Divergence theorem: the flux of x/3 out of the body is its volume.
    assert_allclose(np.einsum("fa,fa->", vectors, centers) / 3, 6.0, rtol=1e-13)


@pytest.mark.parametrize("element", PLANES)
def test_outline_of_a_plane_mesh_is_closed_and_outward(element):
    mesh = rectangle(element, 3, SIZE[:2], distort=0.2)
    vectors, centers = mesh.facet_vectors(mesh.exterior)
    assert_allclose(vectors.sum(axis=0), 0.0, atol=1e-13)
    assert_allclose(np.einsum("fa,fa->", vectors, centers) / 2, 6.0, rtol=1e-13)


@pytest.mark.parametrize("element", BLOCKS)
def test_sides_of_the_block_look_their_way(element):
    mesh = block(element, 2, SIZE, distort=0.15)
    for axis in range(mesh.dimension):
        for word, sign in (("min", -1), ("max", 1)):
            vectors, centers = mesh.facet_vectors(mesh.groups["xyz"[axis] + word].facets)
            area = np.prod([s for i, s in enumerate(SIZE[: mesh.dimension]) if i != axis])
            assert_allclose(vectors.sum(axis=0), sign * area * np.eye(3)[axis], atol=1e-13)
            assert_allclose(centers[:, axis], 0.0 if sign < 0 else SIZE[axis], atol=1e-13)


@pytest.mark.parametrize("element", SOLIDS)
def test_mass_properties_of_a_box(element):
    mesh = box(element, 2, SIZE, origin=(1.0, -2.0, 0.5), distort=0.2)
    found = mesh.mass_properties(7850.0)
    a, b, c = SIZE
    assert_allclose(found.mass, 7850.0 * 6, rtol=1e-13)
    assert_allclose(found.center, (2.5, -1.0, 1.0), rtol=1e-12)
    want = found.mass / 12 * np.diag([b * b + c * c, a * a + c * c, a * a + b * b])
    assert_allclose(found.inertia, want, rtol=1e-11, atol=1e-9 * found.mass)


def test_density_per_cell_moves_the_center_of_mass():
    mesh = box("hexahedron", (2, 1, 1), (2.0, 1.0, 1.0))
    found = mesh.mass_properties(np.array([1.0, 3.0]))
    assert_allclose(found.mass, 4.0)
    assert_allclose(found.center[0], (0.5 + 3 * 1.5) / 4)


def test_ring_of_quadratic_cells_has_the_volume_and_inertia_of_a_tube():
    r, R, h = 0.004, 0.010, 0.006
    mesh = ring("hexahedron20", (2, 32, 2), inner=r, outer=R, height=h)
    found = mesh.mass_properties(1000.0)
    mass = 1000.0 * np.pi * (R**2 - r**2) * h
    assert_allclose(found.mass, mass, rtol=2e-5)
    assert_allclose(found.inertia[2, 2], 0.5 * mass * (R**2 + r**2), rtol=5e-5)
    assert_allclose(found.center, (0, 0, h / 2), atol=1e-12)


@pytest.mark.parametrize("element", ["tetra", "tetra10", "hexahedron20", "wedge15", "pyramid13"])
@settings(max_examples=12, deadline=None)
@given(angles=st.tuples(*[st.floats(-3.0, 3.0)] * 3), shift=st.tuples(*[st.floats(-10.0, 10.0)] * 3))
def test_measures_do_not_feel_rigid_motions(element, angles, shift):
    mesh = box(element, 2, SIZE, distort=0.2)
    turn = rotation(angles)
    moved = mesh.moved(mesh.points @ turn.T + np.array(shift))
    before, after = mesh.mass_properties(2.0), moved.mass_properties(2.0)
    assert_allclose(moved.cell_measures(), mesh.cell_measures(), rtol=1e-10)
    assert_allclose(after.center, turn @ before.center + shift, atol=1e-11)
    assert_allclose(after.inertia, turn @ before.inertia @ turn.T, atol=1e-8 * np.trace(before.inertia))
    v0, v1 = mesh.facet_vectors(mesh.exterior)[0], moved.facet_vectors(moved.exterior)[0]
    assert_allclose(v1, v0 @ turn.T, atol=1e-12)


# --- facets ---


@pytest.mark.parametrize("element", SOLIDS)
def test_every_facet_has_one_owner_outside_and_two_inside(element):
    mesh = box(element, 2, SIZE)
    facets, _ = mesh._all_facets
    total = sum(len(ELEMENTS[element].facets) for _ in range(mesh.n_cells))
    assert len(facets) == total == len(mesh.exterior) + 2 * len(mesh.neighbors)
    for part in mesh.facets(facets):
        corners = part.conn[:, : ELEMENTS[part.element].corners]
        owners = mesh.find_facets(corners)
        outside = {tuple(f) for f in mesh.exterior.tolist()}
        for found, own in zip(owners.tolist(), facets[part.rows].tolist(), strict=True):
            assert tuple(own) in {tuple(found[0]), tuple(found[1])}
            assert (found[1] == [-1, -1]) == (tuple(own) in outside)


def test_find_facets_says_where_there_is_none():
    mesh = box("tetra", 2)
    assert (mesh.find_facets(np.array([[0, 1, 26]])) == -1).all()
    assert mesh.find_facets(np.empty((0, 3), np.int64)).shape == (0, 2, 2)


def test_find_facets_takes_corners_in_any_order():
    mesh = box("hexahedron20", 2)
    (part,) = mesh.facets(mesh.exterior)
    shuffled = part.conn[:, [2, 0, 3, 1]]
    assert (mesh.find_facets(shuffled)[:, 0] == mesh.exterior[part.rows]).all()


@pytest.mark.parametrize("element", BLOCKS)
def test_facets_come_back_in_the_order_asked(element):
    mesh = block(element, 2, SIZE)
    asked = mesh.exterior[::-1]
    rows = np.concatenate([part.rows for part in mesh.facets(asked)])
    assert sorted(rows.tolist()) == list(range(len(asked)))
    for part in mesh.facets(asked):
        assert (part.cells == asked[part.rows, 0]).all()
        for conn, (cell, local) in zip(part.conn, asked[part.rows], strict=True):
            _, nodes = mesh.cell(int(cell))
            assert conn.tolist() == [nodes[i] for i in ELEMENTS[element].facets[local]]


def test_pieces_count_what_hangs_together():
    one = box("tetra", 1)
    far = box("hexahedron", 1, origin=(5.0, 0.0, 0.0))
    assert apart(one, one).pieces.max() == 1
    assert merged(one, one.moved(one.points + np.array([1.0, 0, 0]))).pieces.max() == 0
    assert sorted(np.bincount(apart(one, far).pieces).tolist()) == [1, 6]


def test_a_bar_has_a_length_and_no_facets():
    mesh = bar(3, 2.0, element="line3")
    assert_allclose(mesh.cell_measures().sum(), 2.0)
    assert mesh.exterior.shape == (0, 2)
    assert mesh.dimension == 1


# --- what a mesh refuses ---


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"points": np.full((8, 3), np.nan)}, "8 points are not finite"),
        ({"points": np.zeros((8, 4))}, r"shape \(8, 4\)"),
        ({"cells": {"hexahedron": np.arange(8)[None] + 1}}, "points that do not exist"),
        ({"cells": {"hexahedron": -np.arange(8)[None]}}, "points that do not exist"),
        ({"cells": {"hexahedron": np.arange(7)[None]}}, r"\[n, 8\] is wanted"),
        ({"cells": {"hexahedron27": np.arange(8)[None]}}, "'hexahedron27' is not supported"),
        ({"cells": {}}, "no cells"),
        ({"groups": {"far": Group(nodes=np.array([8]))}}, "'far' names points that do not exist"),
        ({"groups": {"far": Group(cells=np.array([1]))}}, "'far' names cells that do not exist"),
        ({"groups": {"far": Group(facets=np.array([[-1, 0]]))}}, "'far' names cells that do not exist"),
        ({"groups": {"far": np.array([0, 1])}}, "a Group is wanted"),
    ],
)
def test_a_mesh_that_contradicts_itself_is_refused(change, says):
    with pytest.raises(MeshError, match=says):
        replace(box("hexahedron", 1), **change)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"nodes": np.array([True, False, True])}, "nodes are numbers, and this is a mask"),
        ({"cells": [False, True]}, "cells are numbers, and this is a mask"),
        ({"facets": np.ones((2, 2), bool)}, "facets are numbers, and this is a mask"),
        ({"nodes": [0.5, 1.0]}, "whole numbers are wanted"),
        ({"nodes": [np.nan]}, "whole numbers are wanted"),
        ({"nodes": "xmin"}, "whole numbers are wanted"),
        ({"facets": [0, 1, 2]}, r"\[cell, local facet\] each are wanted"),
    ],
)
def test_a_group_of_what_are_no_numbers_is_refused(given, says):
    with pytest.raises(MeshError, match=says):
        Group(**given)


def test_a_misspelt_group_is_answered_with_the_nearest():
    mesh = box("tetra", 1)
    with pytest.raises(SelectionError, match=r"no group 'xmx'.*'xmax'"):
        mesh.group("xmx")
    with pytest.raises(SelectionError, match="no group 'XMAX'"):
        mesh.group("XMAX")
    assert replace(mesh, fold_case=True).group("XMAX") is mesh.groups["xmax"]


def test_points_of_a_mesh_cannot_be_written():
    mesh = box("tetra", 1)
    with pytest.raises(ValueError, match="read-only"):
        mesh.points[0, 0] = 1.0


def test_content_hash_follows_points_cells_and_groups():
    mesh = box("tetra", 2)
    assert mesh.content_hash() == box("tetra", 2).content_hash()
    moved = mesh.points.copy()
    moved[3, 1] += 1e-15
    others = {
        mesh.moved(moved).content_hash(),
        mesh.with_groups({"new": Group(nodes=np.array([1]))}).content_hash(),
        Mesh(mesh.points, {"tetra": mesh.cells["tetra"][::-1]}, mesh.groups).content_hash(),
    }
    assert len(others) == 3
    assert mesh.content_hash() not in others


# --- joining ---


def test_joined_merges_nodes_in_one_place_and_keeps_groups():
    left, right = box("tetra10", 1), box("tetra10", 1, origin=(1.0, 0.0, 0.0))
    torn = apart(left, right)
    mesh = torn.joined()
    assert mesh.pieces.max() == 0
    assert mesh.n_points == merged(left, right).n_points
    assert_allclose(mesh.cell_measures(), torn.cell_measures())
    assert_allclose(mesh.facet_vectors(mesh.groups["xmax"].facets)[0].sum(axis=0), [2.0, 0, 0], atol=1e-14)
    nodes = torn.with_groups({"end": Group(nodes=np.flatnonzero(torn.points[:, 0] == 1.0))}).joined()
    assert_allclose(nodes.points[nodes.groups["end"].nodes, 0], 1.0)
    assert len(nodes.groups["end"].nodes) == 9


def test_joined_refuses_to_collapse_cells():
    with pytest.raises(MeshError, match="collapse"):
        box("tetra", 2).joined(tolerance=0.6)


def test_a_mesh_leaves_the_arrays_it_is_made_of_alone():
    points = box("hexahedron", 1).points.copy()
    conn = box("hexahedron", 1).cells["hexahedron"].copy()
    mesh = Mesh(points, {"hexahedron": conn})
    points[0] = 7.0
    assert mesh.points[0, 0] == 0.0
    assert conn.flags.writeable
