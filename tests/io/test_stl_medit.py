"""STL surfaces and Medit meshes."""

import struct

import mutations
import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose, assert_array_equal

from designtwin.errors import MeshReadError
from designtwin.io import read_mesh

BOX = box("tetra", (2, 1, 1), (4.0, 2.0, 1.0))


@pytest.mark.parametrize("binary", [False, True])
def test_stl_points_merge_and_the_surface_closes(binary, tmp_path):
    (tmp_path / "a.stl").write_bytes(mutations.stl(BOX, binary))
    mesh = read_mesh(tmp_path / "a.stl", length_unit="mm")
    assert mesh.n_points == 12
    assert mesh.cell_measures().sum() == pytest.approx(2 * (4 * 2 + 4 * 1 + 2 * 1) * 1e-6)
    edges = np.sort(mesh.cells["triangle"][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_solids_of_an_stl_are_groups(read_text):
    one = mutations.stl(box("tetra", 1)).decode()
    two = mutations.stl(box("tetra", 1, origin=(3, 0, 0))).decode().replace("solid part", "solid the lid")
    mesh = read_text(one + two, "a.stl")
    assert_array_equal(mesh.groups["part"].cells, np.arange(12))
    assert_array_equal(mesh.groups["the lid"].cells, np.arange(12, 24))


def test_binary_stl_that_begins_with_solid(tmp_path):
    content = b"solid of lies".ljust(80) + mutations.stl(BOX, binary=True)[80:]
    (tmp_path / "a.stl").write_bytes(content)
    assert read_mesh(tmp_path / "a.stl", length_unit="m").n_points == 12


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:-30], "the file has room for"),
        (lambda b: b[:80] + struct.pack("<I", 2**31) + b[84:], "2147483648 facets announced"),
        (lambda b: b[:80] + struct.pack("<I", 0), "no facets"),
        (lambda b: b"solid x\nendsolid x\n", "no facets"),
        (lambda b: mutations.stl(BOX)[:2000], r"vertices; three are wanted|endsolid|three numbers"),
        (lambda b: mutations.stl(BOX).replace(b"vertex 0.0", b"vertex a0.0", 1), "three numbers are wanted"),
    ],
)
def test_damaged_stl_is_named(damage, message, tmp_path):
    (tmp_path / "a.stl").write_bytes(damage(mutations.stl(BOX, binary=True)))
    with pytest.raises(MeshReadError, match=message):
        read_mesh(tmp_path / "a.stl", length_unit="m")


MEDIT = """MeshVersionFormatted 2
# a comment
Dimension
3
Vertices
5
0 0 0 0
1 0 0 0
0 1 0 3
0 0 1 3
1 1 1 0
Tetrahedra 2
1 2 3 4 6
2 3 4 5 7
Triangles
1
2 3 1 9
Edges 1
1 4 5
RequiredVertices 1
1
End
"""


def test_references_are_groups(read_text):
    mesh = read_text(MEDIT, "a.mesh")
    assert_array_equal(mesh.groups["tetrahedra_ref_6"].cells, [0])
    assert_array_equal(mesh.groups["tetrahedra_ref_7"].cells, [1])
    assert_allclose(mesh.facet_vectors(mesh.groups["triangles_ref_9"].facets)[1], [[1 / 3, 1 / 3, 0]])
    assert_array_equal(mesh.groups["edges_ref_5"].nodes, [0, 3])
    assert_array_equal(mesh.groups["vertices_ref_3"].nodes, [2, 3])
    assert any("RequiredVertices" in note for note in mesh.notes)


def test_quadratic_tetrahedra_and_plane_meshes(tmp_path, read_text):
    mesh = box("tetra10", 1)
    (tmp_path / "a.mesh").write_bytes(mutations.medit(mesh))
    assert_array_equal(
        read_mesh(tmp_path / "a.mesh", length_unit="m").cells["tetra10"], mesh.cells["tetra10"]
    )
    plane = (
        "MeshVersionFormatted 1\nDimension 2\nVertices\n3\n0 0 1\n1 0 1\n0 1 2\nTriangles\n1\n1 2 3 4\nEnd\n"
    )
    assert read_text(plane, "a.mesh").is_plane


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Tetrahedra 2", "Tetrahedra 3"), "announces 3 entries of 5 numbers; 10 numbers follow"),
        (("Vertices\n5", "Vertices\n99999999999"), "announces 99999999999 entries"),
        (("1 1 1 0", "1 1 inf 0"), "not a finite number"),
        (("2 3 4 5 7", "2 3 4 6 7"), "names node 6"),
        (("2 3 4 5 7", "2 3 4.5 5 7"), "must be a whole number"),
        (("Triangles", "Potatoes"), "'Potatoes' is not known"),
        (("MeshVersionFormatted 2\n", ""), "not an ASCII Medit file"),
    ],
)
def test_damaged_medit_is_named(change, message, read_text):
    with pytest.raises(MeshReadError, match=message):
        read_text(MEDIT.replace(*change), "a.mesh")
