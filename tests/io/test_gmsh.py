"""Gmsh files: physical groups of every kind, both versions, both encodings."""

import struct

import mutations
import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose, assert_array_equal

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshReadError
from designtwin.io import gmsh as ours
from designtwin.io import read_mesh, write_mesh

HEAD = "$MeshFormat\n4.1 0 8\n$EndMeshFormat\n"
# Two tetrahedra on a common triangle, the triangle itself, an edge and a point; volume 1 is in two groups.
TWO_TETS = (
    HEAD
    + """$PhysicalNames
5
0 4 "a corner"
2 1 "left wall"
2 2 "inside"
3 1 "left wall"
3 9 "all of it"
$EndPhysicalNames
$Entities
1 1 2 2
1 0 0 0 1 4
1 0 0 0 1 0 0 1 7 0
1 0 0 0 1 1 1 1 1 0
2 0 0 0 1 1 1 1 -2 0
1 0 0 0 1 1 1 2 1 9 0
2 0 0 0 1 1 1 1 9 0
$EndEntities
$Nodes
2 5 1 8
3 1 0 3
1
2
3
0 0 0
1 0 0
0 1 0
3 2 0 2
4
8
0 0 1
1 1 1
$EndNodes
$Elements
6 7 1 7
0 1 15 1
1 1
1 1 1 1
2 1 2
2 1 2 1
3 1 3 4
2 2 2 1
4 2 3 4
3 1 4 1
5 1 2 3 4
3 2 4 2
7 2 3 4 8
6 8 3 4 1
$EndElements
"""
)


def test_groups_of_all_dimensions_with_blanks_in_their_names(read_text):
    mesh = read_text(TWO_TETS, "a.msh")
    assert {kind: len(c) for kind, c in mesh.cells.items()} == {"tetra": 3}
    assert_array_equal(mesh.groups["a corner"].nodes, [0])
    assert_array_equal(mesh.groups["group_7"].nodes, [0, 1])  # a curve of the solid's edge, without a name
    assert_array_equal(mesh.groups["all of it"].cells, [0, 1, 2])
    assert_array_equal(mesh.groups["left wall"].cells, [0])  # one name on a surface and a volume
    assert len(mesh.groups["left wall"].facets) == 1
    center = mesh.facet_vectors(mesh.groups["left wall"].facets)[1]
    assert_allclose(center, [[0, 1 / 3, 1 / 3]])


def test_a_facet_between_two_cells_belongs_to_the_one_it_faces_away_from(read_text):
    one = read_text(TWO_TETS, "a.msh")
    other = read_text(TWO_TETS.replace("4 2 3 4\n", "4 2 4 3\n"), "a.msh")
    normals = [m.facet_vectors(m.groups["inside"].facets)[0][0] for m in (one, other)]
    assert_allclose(normals[0], -normals[1])
    assert_allclose(np.cross([-1, 1, 0], [-1, 0, 1]) / 2, normals[0])  # the way the file's nodes 2, 3, 4 turn
    assert one.groups["inside"].facets[0, 0] != other.groups["inside"].facets[0, 0]


def test_tags_without_names_are_told_apart_by_dimension(read_text):
    text = (
        TWO_TETS.replace('2 1 "left wall"\n', "")
        .replace('3 1 "left wall"\n', "")
        .replace("\n5\n0 4", "\n3\n0 4")
    )
    mesh = read_text(text, "a.msh")
    assert {"group_1_surface", "group_1_volume", "group_7"} <= set(mesh.groups)


def test_a_physical_name_without_elements_is_an_empty_group_and_noted(read_text):
    text = TWO_TETS.replace("\n5\n0 4", "\n6\n0 4").replace('3 9 "all', '3 30 "nothing"\n3 9 "all')
    mesh = read_text(text, "a.msh")
    assert len(mesh.groups["nothing"].nodes) == 0
    assert any("'nothing' is empty" in note for note in mesh.notes)


def test_partitions_are_joined(read_text):
    parts = """$PartitionedEntities
2
1 1 1
0 0 0 2
1 3 1 1 1 0 0 0 1 1 1 1 5 0
2 3 1 1 2 0 0 0 1 1 1 2 5 6 0
$EndPartitionedEntities
"""
    text = (
        HEAD
        + '$PhysicalNames\n1\n3 5 "body"\n$EndPhysicalNames\n'
        + parts
        + """$Nodes
1 5 1 5
3 1 0 5
1
2
3
4
5
0 0 0
1 0 0
0 1 0
0 0 1
1 1 1
$EndNodes
$Elements
2 2 1 2
3 1 4 1
1 1 2 3 4
3 2 4 1
2 2 3 4 5
$EndElements
"""
    )
    mesh = read_text(text, "a.msh")
    assert_array_equal(mesh.groups["body"].cells, [0, 1])
    assert_array_equal(mesh.groups["group_6"].cells, [1])
    assert any("2 partitions joined" in note for note in mesh.notes)


def test_version_2_element_in_two_groups_is_one_cell(read_text):
    text = """$MeshFormat
2.2 0 8
$EndMeshFormat
$PhysicalNames
2
3 1 "a"
3 2 "b"
$EndPhysicalNames
$ParametricNodes
4
1 0 0 0 0 1
2 1 0 0 1 1 0.5
3 0 1 0 2 1 0.5 0.5
4 0 0 1 3 1
$EndParametricNodes
$Elements
3
1 4 2 1 1 1 2 3 4
2 4 2 2 1 1 2 3 4
3 2 3 0 1 0 1 3 2
$EndElements
"""
    mesh = read_text(text, "a.msh")
    assert mesh.n_cells == 1
    assert_array_equal(mesh.groups["a"].cells, mesh.groups["b"].cells)
    assert any("copies with a further physical tag" in note for note in mesh.notes)


@pytest.mark.parametrize("kind", ["tetra", "tetra10", "hexahedron"])
def test_four_encodings_give_one_mesh(kind, tmp_path):
    mesh = mutations._meshes()[kind]
    files = {
        "22": mutations.msh22(mesh),
        "22b": mutations.msh22(mesh, binary=True),
        "41b": mutations.msh41_binary(mesh),
    }
    for name, content in files.items():
        path = tmp_path / f"{name}.msh"
        path.write_bytes(content)
        again = read_mesh(path, length_unit="m")
        assert_array_equal(again.points, mesh.points)
        assert_array_equal(again.cells[kind], mesh.cells[kind])
        assert_array_equal(again.groups["the body"].cells, np.arange(mesh.n_cells))


def test_big_endian(tmp_path):
    mesh = mutations._meshes()["tetra"]
    content = mutations.msh22(mesh, binary=True)
    head, _, rest = content.partition(b"$Nodes\n")
    nodes, _, elements = rest.partition(b"\n$EndNodes\n$Elements\n")
    count, _, raw_nodes = nodes.partition(b"\n")
    rows = np.frombuffer(raw_nodes, np.dtype([("id", "<i4"), ("x", "<f8", 3)]))
    count_e, _, raw_elements = elements.partition(b"\n")
    body = raw_elements[: -len(b"\n$EndElements\n")]
    swapped = (
        head.replace(struct.pack("<i", 1) + b"\n", struct.pack(">i", 1) + b"\n") + b"$Nodes\n" + count + b"\n"
        + rows.astype(np.dtype([("id", ">i4"), ("x", ">f8", 3)])).tobytes() + b"\n$EndNodes\n$Elements\n"
        + count_e + b"\n" + np.frombuffer(body, "<i4").astype(">i4").tobytes() + b"\n$EndElements\n"
    )  # fmt: skip
    (tmp_path / "a.msh").write_bytes(swapped)
    assert_array_equal(read_mesh(tmp_path / "a.msh", length_unit="m").points, mesh.points)


@pytest.mark.parametrize("kind", ours.ORDER)
def test_node_order_is_gmshs_own(kind):
    """Against gmsh itself, which states the natural coordinates of each node."""
    gmsh = pytest.importorskip("gmsh", reason="the optional mesher gmsh is not installed")
    number = ours._NUMBER[kind]
    gmsh.initialize()
    try:
        _, _, _, n, coordinates, _ = gmsh.model.mesh.getElementProperties(number)
    finally:
        gmsh.finalize()
    theirs = np.array(coordinates).reshape(n, 3)[ours.ORDER[kind]]
    serendipity = {"hexahedron27": "hexahedron20", "wedge18": "wedge15", "pyramid14": "pyramid13"}
    nodes = np.array(ELEMENTS[serendipity.get(kind, kind)].nodes)
    assert_allclose(theirs[: len(nodes)], nodes, atol=1e-12)


def test_center_nodes_of_full_quadratic_cells_are_dropped_and_noted(read_text):
    corners = [(x, y, z) for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    edges = ours._HEX_EDGES
    mids = [tuple(np.mean([corners[a], corners[b]], axis=0)) for a, b in edges]
    faces = ((0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5), (1, 0.5, 0.5), (0.5, 1, 0.5), (0.5, 0.5, 1))
    points = [*corners, *mids, *faces, (0.5, 0.5, 0.5)]
    text = "$MeshFormat\n2.2 0 8\n$EndMeshFormat\n$Nodes\n27\n"
    text += "".join(f"{i} {x} {y} {z}\n" for i, (x, y, z) in enumerate(points, 1))
    text += "$EndNodes\n$Elements\n1\n1 12 2 3 1 " + " ".join(map(str, range(1, 28))) + "\n$EndElements\n"
    mesh = read_text(text, "a.msh")
    assert {kind: len(c) for kind, c in mesh.cells.items()} == {"hexahedron20": 1}
    assert mesh.n_points == 20
    assert mesh.cell_measures() == pytest.approx(1.0)
    assert any("hexahedron27" in note and "dropped" in note for note in mesh.notes)


@pytest.mark.parametrize("flat", [0.0, 5.0])
def test_plane_mesh_lies_in_z_0(read_text, flat):
    text = (
        TWO_TETS.split("$PhysicalNames")[0]
        + f"""$Entities
0 1 1 0
1 0 0 0 1 1 0 1 3 0
1 0 0 0 1 1 0 1 4 0
$EndEntities
$Nodes
1 4 1 4
2 1 0 4
1
2
3
4
0 0 {flat}
1 0 {flat}
1 1 {flat}
0 1 {flat}
$EndNodes
$Elements
2 2 1 2
1 1 1 1
1 2 3
2 1 3 1
2 1 2 3 4
$EndElements
"""
    )
    mesh = read_text(text, "a.msh")
    assert mesh.is_plane
    assert_array_equal(mesh.groups["group_3"].facets, [[0, 1]])
    assert any("moved to z = 0" in note for note in mesh.notes) == bool(flat)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("2 5 1 8", "2 6 1 8"), "announces 6 nodes, the blocks hold 5"),
        (("6 7 1 7", "6 70 1 7"), "announces 70 elements"),
        (("3 1 0 3\n", "3 1 0 99999999999\n"), "99999999999 more numbers announced"),
        (("3 2 4 2\n", "3 2 92 2\n"), "element type 92 is not supported"),
        (("7 2 3 4 8", "7 2 3 4 77"), "names node 77"),
        (("4\n8\n", "4\n4\n"), "node 4 is given twice"),
        (("1 1 1\n$EndNodes", "1 x 1\n$EndNodes"), "'x' is not a number"),
        (("$EndElements\n", ""), "cut off"),
        (("4.1 0 8", "4.0 0 8"), "version 4.0 is not read"),
    ],
)
def test_damage_is_named(read_text, change, message):
    assert change[0] in TWO_TETS
    with pytest.raises(MeshReadError, match=message):
        read_text(TWO_TETS.replace(*change), "a.msh")


def test_error_names_the_line(read_text):
    with pytest.raises(MeshReadError) as caught:
        read_text(TWO_TETS.replace("1 1 1\n$EndNodes", "1 x 1\n$EndNodes"), "a.msh")
    assert caught.value.line == TWO_TETS.split("\n").index("1 1 1") + 1


def test_a_header_that_lies_about_its_size_allocates_nothing(tmp_path):
    content = mutations.msh41_binary(mutations._meshes()["tetra"])
    at = content.index(b"$Nodes\n") + 7 + 32 + 12
    lie = content[:at] + struct.pack("<Q", 2**40) + content[at + 8 :]
    (tmp_path / "a.msh").write_bytes(lie)
    with pytest.raises(
        MeshReadError, match=r"1099511627776 numbers announced, the file has room for \d+ \(byte"
    ):
        read_mesh(tmp_path / "a.msh", length_unit="m")


def test_gmsh_opens_what_we_write(tmp_path):
    gmsh = pytest.importorskip("gmsh", reason="the optional mesher gmsh is not installed")
    mesh = box("tetra10", (2, 1, 1))
    write_mesh(mesh, tmp_path / "a.msh", length_unit="m")
    gmsh.initialize()
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.open(str(tmp_path / "a.msh"))
        names = {gmsh.model.getPhysicalName(*tag) for tag in gmsh.model.getPhysicalGroups()}
        _, _, nodes = gmsh.model.mesh.getElements(3)
        quality = gmsh.model.mesh.getElementQualities(gmsh.model.mesh.getElements(3)[1][0], "minDetJac")
    finally:
        gmsh.finalize()
    assert names == set(mesh.groups)
    assert len(nodes[0]) == 10 * mesh.n_cells
    assert min(quality) > 0
