"""Nastran bulk data: formats of fields, node orders, properties as groups."""

import mutations
import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose, assert_array_equal

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshReadError
from designtwin.io import read_mesh

GRIDS = "GRID,1,,0.,0.,0.\nGRID,2,,1.,0.,0.\nGRID,3,,0.,1.,0.\nGRID,4,,0.,0.,1.\nGRID,5,,1.,1.,1.\n"
TETS = "CTETRA,11,7,1,2,3,4\nCTETRA,12,8,2,3,4,5\n"


@pytest.mark.parametrize("kind", ["tetra", "tetra10", "hexahedron"])
@pytest.mark.parametrize("large", [False, True])
def test_fixed_fields_small_and_large(kind, large, tmp_path):
    mesh = mutations._meshes()[kind]
    path = tmp_path / "a.bdf"
    path.write_bytes(mutations.bdf(mesh, large))
    again = read_mesh(path, length_unit="m")
    assert_allclose(again.points, mesh.points, atol=1e-9)
    if kind != "tetra10":
        assert_array_equal(again.cells[kind], mesh.cells[kind])
    assert_array_equal(again.groups["the body"].cells, np.arange(mesh.n_cells))
    assert_array_equal(again.groups["spc_3"].nodes, np.arange(4))


def test_three_formats_in_one_deck_and_nastran_reals(read_text):
    deck = (
        "GRID           1              0.      0.      0.\n"
        "grid*   2                                         1.0+0              0.0\n"
        "*                    0.0\n"
        "GRID, 3, , 0., 10.-1, 0.\n"
        "GRID,4,0,0.,0.,1.D0\n"
        "CTETRA  1       7       1       2\n"
        "+       \n"
    ).replace(
        "CTETRA  1       7       1       2\n+       \n", "CTETRA  1       7       1       2       3       4\n"
    )
    mesh = read_text(deck, "a.bdf")
    assert_allclose(mesh.points, [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert_array_equal(mesh.groups["pid_7"].cells, [0])


@pytest.mark.parametrize("kind", ["hexahedron20", "wedge15", "pyramid13", "tetra10"])
def test_mid_side_nodes_in_nastrans_order(kind, read_text):
    """Fields G9 on follow the Quick Reference Guide: bottom edges, then the uprights, then the top."""
    order = {
        "hexahedron20": "12 23 34 41 15 26 37 48 56 67 78 85",
        "wedge15": "12 23 31 14 25 36 45 56 64",
        "pyramid13": "12 23 34 41 15 25 35 45",
        "tetra10": "12 23 31 14 24 34",
    }[kind]
    card = {"hexahedron20": "CHEXA", "wedge15": "CPENTA", "pyramid13": "CPYRAM", "tetra10": "CTETRA"}[kind]
    element = ELEMENTS[kind]
    corners = np.array(element.nodes)[: element.corners]
    mids = [(corners[int(e[0]) - 1] + corners[int(e[1]) - 1]) / 2 for e in order.split()]
    points = [*corners, *mids]
    deck = "".join(f"GRID,{i},,{x},{y},{z}\n" for i, (x, y, z) in enumerate(points, 1))
    fields = ["1", "5", *map(str, range(1, len(points) + 1))]
    lines = [",".join(fields[i : i + 8]) for i in range(0, len(fields), 8)]
    mesh = read_text(deck + f"{card}," + "\n,".join(lines) + "\n", "a.bdf")
    assert list(mesh.cells) == [kind]
    assert_allclose(mesh.points[mesh.cells[kind][0]], element.nodes, atol=1e-12)


def test_property_ids_are_groups_named_where_a_preprocessor_says_so(read_text):
    deck = '$HMNAME PROP        8"upper half" 4\n$* Property: Lower(1)\nPSOLID,7,1\n' + GRIDS + TETS
    mesh = read_text(deck, "a.bdf")
    assert_array_equal(mesh.groups["Lower(1)"].cells, [0])
    assert_array_equal(mesh.groups["upper half"].cells, [1])
    ansa = read_text("$ANSA_NAME_COMMENT;7;PSOLID;the block;TRIM;NO;NO;NO;\n" + GRIDS + TETS, "a.bdf")
    assert set(ansa.groups) == {"the block", "pid_8"}


def test_sets_of_supports_and_set1(read_text):
    deck = GRIDS + TETS + (
        "SPC1,4,123,1,THRU,3\nSPC1,4,123,5\nSPC,6,2,123,0.,3,123,0.\n"
        '$HMSET 1 1 "tip nodes"\nSET1,1,4,5\nSET1,2,11,THRU,12\n'
    )  # fmt: skip
    mesh = read_text(deck, "a.bdf")
    assert_array_equal(mesh.groups["spc_4"].nodes, [0, 1, 2, 4])
    assert_array_equal(mesh.groups["spc_6"].nodes, [1, 2])
    assert_array_equal(mesh.groups["tip nodes"].nodes, [3, 4])
    assert_array_equal(mesh.groups["set_2"].cells, [0, 1])


def test_shells_on_solids_are_facets_and_rods_stay_cells(read_text):
    mesh = read_text(GRIDS + TETS + "CTRIA3,21,9,1,2,3\nCROD,31,10,1,2\nCBAR,32,10,2,5\n", "a.bdf")
    assert len(mesh.groups["pid_9"].facets) == 1
    assert_array_equal(mesh.cells["line"], [[0, 1], [1, 4]])
    assert any("CBAR read as lines" in note for note in mesh.notes)


def test_free_fields_of_seventeen_digits(read_text):
    mesh = read_text(GRIDS.replace("5,,1.,1.,1.", "5,,1.00000000000000000,1.,1.") + TETS, "a.bdf")
    assert_allclose(mesh.points[4], 1.0)


def test_include_stays_below_the_folder(read_text):
    mesh = read_text("INCLUDE 'grids.txt'\n" + TETS, "a.bdf", **{"grids.txt": GRIDS})
    assert mesh.n_points == 5
    with pytest.raises(MeshReadError, match="outside the deck's folder"):
        read_text("INCLUDE '/etc/hostname'\n" + GRIDS + TETS, "a.bdf")


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("GRID,5,,1.,1.,1.", "GRID,4,,1.,1.,1."), 5, "node 4 is given twice"),
        (("GRID,5,,1.", "GRID,5,,abc"), 5, "'abc' is not a number"),
        (("GRID,5,,1.", "GRID,5,3,1."), 5, "coordinate system 3"),
        (("CTETRA,12,8,2,3,4,5", "CTETRA,12,8,2,3,4,9"), 7, "names node 9"),
        (("CTETRA,12,8,2,3,4,5", "CTETRA,12,8,2,3,4"), 7, "has 3 nodes"),
        (("CTETRA,12", "CTETRA,11"), 7, "element 11 is given twice"),
        (("CTETRA,12,8,2,3,4,5", "CTRIAX6,12,8,2,3,4,5"), 7, "axisymmetric"),
        (("CTETRA,12,8", "CTETRA,12,x"), 7, "'x' is not a whole number"),
    ],
)
def test_errors_name_the_line(read_text, change, line, message):
    with pytest.raises(MeshReadError, match=message) as caught:
        read_text((GRIDS + TETS).replace(*change), "a.bdf")
    assert caught.value.line == line


def test_notes_name_entries_not_read(read_text):
    deck = "SOL 101\nCEND\nBEGIN BULK\nMAT1,1,2.1+5,,.3\n" + GRIDS + TETS
    mesh = read_text(deck + "FORCE,1,2,0,1.,1.,0.,0.\nENDDATA\nrubbish after the end\n", "a.nas")
    assert any("FORCE, MAT1" in note for note in mesh.notes)


def test_a_larger_box_keeps_its_volume(tmp_path):
    mesh = box("hexahedron", (4, 3, 2), (4.0, 3.0, 2.0))
    (tmp_path / "a.bdf").write_bytes(mutations.bdf(mesh))
    assert read_mesh(tmp_path / "a.bdf", length_unit="mm").cell_measures().sum() == pytest.approx(24e-9)
