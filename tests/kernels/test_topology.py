"""Faces, pieces and flat cells: the same as counted by hand, on any number of threads."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from builders import BLOCKS, apart, block
from numpy.testing import assert_array_equal

import designtwin as dtw
from designtwin import parallel
from designtwin.assembly import cell_blocks
from designtwin.elements import ELEMENTS
from designtwin.kernels import topology
from designtwin.model.checks import broken_cells
from designtwin.results import Recovery, SolveInfo


@pytest.mark.parametrize("element", BLOCKS)
def test_faces_of_one_cell_are_outside_and_faces_of_two_join_them(element):
    mesh = block(element, 3, distort=0.1)
    kind = ELEMENTS[element]
    cells = mesh.cells[element]
    corners = [
        [frozenset(cell[list(face)[: ELEMENTS[of].corners]].tolist())
         for face, of in zip(kind.facets, kind.facet_elements, strict=True)]
        for cell in cells
    ]  # fmt: skip
    owners = Counter(face for faces in corners for face in faces)
    outside = {(c, f) for c, faces in enumerate(corners) for f, face in enumerate(faces) if owners[face] == 1}
    assert {tuple(facet) for facet in mesh.exterior.tolist()} == outside
    assert len(mesh.neighbors) == sum(count == 2 for count in owners.values())
    for a, b in mesh.neighbors.tolist():
        assert set(corners[a]) & set(corners[b])


def test_thousands_of_faces_at_one_corner_are_told_apart():
    rng = np.random.default_rng(0)
    faces = rng.integers(1, 60, size=(4000, 2))
    keys = np.full((4000, 4), -1, np.int32)
    keys[:, 0], keys[:, 1:3] = 0, np.sort(faces, axis=1)
    start, order = np.empty(62, np.int32), np.empty(4000, np.int32)
    begins = np.empty(4000, bool)
    topology.by_first_corner(keys, start, order)
    topology.equal_together(0, 61, keys, start, order, begins)
    assert_array_equal(np.sort(order), np.arange(4000))
    assert begins.sum() == len(np.unique(keys, axis=0))
    same = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
    assert_array_equal(begins[1:], ~same)
    assert (order[1:][same] > order[:-1][same]).all()


def test_pieces_are_numbered_by_their_first_cell():
    mesh = apart(block("tetra10", 2), block("tetra10", 2).moved(block("tetra10", 2).points + 5.0))
    half = mesh.n_cells // 2
    assert_array_equal(mesh.pieces, np.repeat([0, 1], half))


@pytest.mark.parametrize(
    ("element", "mirror"),
    [("quad", [3, 2, 1, 0]), ("tetra", [1, 0, 2, 3]), ("hexahedron", [4, 5, 6, 7, 0, 1, 2, 3])],
)
def test_a_mirrored_and_a_flat_cell_are_found(element, mirror):
    mesh = block(element, 3)
    conn = mesh.cells[element].copy()
    assert [len(ids) for ids in broken_cells(mesh)] == [0, 0]
    conn[4], conn[7] = conn[4, mirror], conn[7, 0]
    inverted, flat = broken_cells(dtw.Mesh(mesh.points, {element: conn}))
    assert (inverted.tolist(), flat.tolist()) == ([4], [7])


def test_results_have_the_same_digits_on_any_number_of_threads():
    mesh = block("tetra10", 5, distort=0.2)
    steel = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3)
    model = dtw.Model(mesh, materials={"body": steel}, load_cases={"none": []})
    none = np.zeros(3)

    def case():
        return dtw.StaticCase(
            name="none", model=model, recovery=Recovery(mesh, cell_blocks(model)),
            displacement=1e-3 * np.sin(3.0 * mesh.points), reactions=0.0 * mesh.points, applied=none,
            applied_moment=none, residual=0.0, imbalance=0.0, info=SolveInfo("none", 1, 0, {}),
            case=model.cases["none"],
        )  # fmt: skip

    with parallel.use_threads(1):
        one = case()
        expected = one.stress(), one.stress_error(), one.displacement_error
    with parallel.use_threads(3):
        three = case()
        found = three.stress(), three.stress_error(), three.displacement_error
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b)
