"""Abaqus and CalculiX decks: sets, surfaces, parts and what meshio is known to lose."""

import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose, assert_array_equal

from designtwin.errors import MeshReadError
from designtwin.io import read_mesh, write_mesh
from designtwin.io.abaqus import FACETS

CUBE = """*HEADING
two hexahedra on each other
*NODE
1, 0., 0., 0.
2, 1., 0., 0.
3, 1., 1., 0.
4, 0., 1., 0.
5, 0., 0., 1.
6, 1., 0., 1.
7, 1., 1., 1.
8, 0., 1., 1.
9, 0., 0., 2.
10, 1., 0., 2.
11, 1., 1., 2.
12, 0., 1., 2.
"""
HEXES = (
    "*ELEMENT, TYPE=C3D8, ELSET=LOW\n101, 1,2,3,4,5,6,7,8\n"
    "*ELEMENT, TYPE=C3D8, ELSET=HIGH\n102, 5,6,7,8,9,10,11,12\n"
)
TET10 = """*Node, nset=NodeSet1
1, 0.0, 0.0, 0.0
2, 1.0, 0.0, 0.0
3, 0.0, 1.0, 0.0
4, 0.0, 0.0, 1.0
5, 0.5, 0.0, 0.0
6, 0.5, 0.5, 0.0
7, 0.0, 0.5, 0.0
8, 0.0, 0.0, 0.5
9, 0.5, 0.0, 0.5
10, 0.0, 0.5, 0.5
"""
_HEX20_POINTS = (
    (1, 1, 0), (0, 2, 0), (1, 0, 2), (0, 1, 2), (1, 1, 2), (0, 2, 2), (0.5, 0.5, 0), (1, 1, 0), (0.5, 1.5, 0),
    (0, 1.5, 0), (0.5, 0.5, 2), (1, 1, 2), (0.5, 1.5, 2), (0, 1.5, 2), (0, 1, 1), (1, 0, 1), (1, 1, 1),
    (0, 2, 1),
)  # fmt: skip
HEX20 = "".join(f"{i}, {x}, {y}, {z}\n" for i, (x, y, z) in enumerate(_HEX20_POINTS, 20))
HEX20_ELEMENT = "3, 3, 2, 20, 21, 23, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32,\n33, 34, 35, 36, 37\n"


def sides(mesh, name):
    """Centroids of a facet group, sorted."""
    return np.round(sorted(mesh.facet_vectors(mesh.groups[name].facets)[1].tolist()), 12)


# --- what meshio is known to lose (nschloe/meshio issues 1366, 1527, 1530, 1534) ----------------------------


def test_element_set_stated_apart_from_its_elements_is_not_empty(read_text):
    mesh = read_text(CUBE + HEXES + "*ELSET, ELSET=EB4\n102,\n*ELSET, ELSET=BOTH, GENERATE\n101, 102, 1\n")
    assert_array_equal(mesh.groups["EB4"].cells, [1])
    assert_array_equal(mesh.groups["BOTH"].cells, [0, 1])


def test_node_set_named_on_the_node_card(read_text):
    mesh = read_text(TET10 + "*Element, type=C3D10\n1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10\n**\n")
    assert_array_equal(mesh.groups["NodeSet1"].nodes, np.arange(10))
    assert mesh.cell_measures() == pytest.approx(1 / 6)


@pytest.mark.parametrize("named_on_element", [True, False])
def test_element_sets_between_several_element_cards(read_text, named_on_element):
    deck = TET10 + "*Node\n" + HEX20
    deck += "*Element, type=C3D10\n1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10\n**\n*Elset, elset=ESet1\n1\n"
    if named_on_element:
        deck += "*Element, type=C3D20, elset=ESet2\n" + HEX20_ELEMENT
    else:
        deck += "*Element, type=C3D20\n" + HEX20_ELEMENT + "*Elset, elset=ESet2\n3\n"
    mesh = read_text(deck)
    assert [mesh.cell(int(c))[0] for c in mesh.groups["ESet1"].cells] == ["tetra10"]
    assert [mesh.cell(int(c))[0] for c in mesh.groups["ESet2"].cells] == ["hexahedron20"]
    assert len(mesh.groups["NodeSet1"].nodes) == 10


def test_set_in_lower_case_with_generate(read_text):
    mesh = read_text(CUBE + HEXES + "*Nset, nset=Some, generate\n 1, 12, 4\n")
    assert_array_equal(mesh.groups["Some"].nodes, [0, 4, 8])


def test_a_set_given_in_pieces_is_their_union(read_text):
    mesh = read_text(
        CUBE + "*ELEMENT, TYPE=C3D8, ELSET=E\n1, 1,2,3,4,5,6,7,8\n*ELEMENT, TYPE=C3D8, ELSET=E\n"
        "2, 5,6,7,8,9,10,11,12\n*NSET, NSET=N\n1, 2\n*NSET, NSET=n\n2, 3\n"
    )
    assert_array_equal(mesh.groups["E"].cells, [0, 1])
    assert_array_equal(mesh.groups["N"].nodes, [0, 1, 2])
    assert set(mesh.groups) == {"E", "N"}


def test_sets_of_sets(read_text):
    mesh = read_text(CUBE + HEXES + "*NSET, NSET=A\n1, 2\n*NSET, NSET=B\nA, 12\n"
                     "*ELSET, ELSET=ALL\nLOW, HIGH\n"
                     "*NSET, NSET=TOP, ELSET=HIGH\n")  # fmt: skip
    assert_array_equal(mesh.groups["B"].nodes, [0, 1, 11])
    assert_array_equal(mesh.groups["ALL"].cells, [0, 1])
    assert_array_equal(mesh.groups["TOP"].nodes, np.arange(4, 12))


def test_node_and_element_set_of_one_name_share_a_group_and_case_folds(read_text):
    mesh = read_text(CUBE + HEXES + "*NSET, NSET=low\n1\n")
    group = mesh.group("Low")
    assert_array_equal(group.nodes, [0])
    assert_array_equal(group.cells, [0])


def test_quoted_names_keep_blanks_and_commas(read_text):
    mesh = read_text(CUBE + HEXES + '*NSET, NSET="bolt holes, left"\n1, 2\n*ELSET, ELSET="the body"\nLOW\n')
    assert_array_equal(mesh.groups["bolt holes, left"].nodes, [0, 1])
    assert_array_equal(mesh.groups["the body"].cells, [0])


# --- surfaces -------------------------------------------------------------------------------------------


def test_surface_by_set_name_and_by_element(read_text):
    mesh = read_text(
        CUBE + HEXES + "*SURFACE, NAME=TOP\nHIGH, S2\n*SURFACE, NAME=MIXED, TYPE=ELEMENT\n101, S1\n102, S4\n"
    )
    assert_allclose(sides(mesh, "TOP"), [[0.5, 0.5, 2]])
    assert_allclose(sides(mesh, "MIXED"), [[0.5, 0.5, 0], [1, 0.5, 1.5]])


def test_surface_without_a_face_is_the_outside_of_its_elements(read_text):
    mesh = read_text(CUBE + HEXES + "*SURFACE, NAME=SKIN\nHIGH,\n")
    assert len(mesh.groups["SKIN"].facets) == 5
    assert 1.0 not in sides(mesh, "SKIN")[:, 2]  # the side between the two is not outside


def test_node_surface_and_union(read_text):
    mesh = read_text(
        CUBE + HEXES + "*SURFACE, NAME=N, TYPE=NODE\n1\n2, 1.0\n*SURFACE, NAME=A\nLOW, S1\n"
        "*SURFACE, NAME=B\nHIGH, S2\n*SURFACE, NAME=U, COMBINE=UNION\nA, B\n"
    )
    assert_array_equal(mesh.groups["N"].nodes, [0, 1])
    assert len(mesh.groups["U"].facets) == 2


@pytest.mark.parametrize("kind", ["tetra10", "hexahedron20", "wedge15", "pyramid13", "quad8", "triangle6"])
def test_face_numbers_follow_the_manual(kind):
    """Faces by their nodes, from the Abaqus Elements Guide: S1 of a wedge is 1-2-3, S3 is 1-2-5-4, ..."""
    from designtwin.elements import ELEMENTS

    manual = {
        "tetra": ("123", "142", "243", "341"),
        "hexahedron": ("1234", "5876", "1562", "2673", "3784", "4851"),
        "wedge": ("123", "465", "1452", "2563", "3641"),
        "pyramid": ("1234", "152", "253", "354", "451"),
        "triangle": ("12", "23", "31"),
        "quad": ("12", "23", "34", "41"),
    }[ELEMENTS[kind].linear]
    for face, ours in zip(manual, FACETS[kind], strict=True):
        corners = ELEMENTS[ELEMENTS[kind].facet_elements[ours]].corners
        assert {int(n) - 1 for n in face} == set(ELEMENTS[kind].facets[ours][:corners])


def test_surface_cells_on_solids_become_facets_and_lines_on_edges_nodes(read_text):
    mesh = read_text(
        CUBE + HEXES + "*ELEMENT, TYPE=S4, ELSET=SHELL\n201, 1,2,6,5\n202, 9,10,11,12\n"
        "*ELEMENT, TYPE=T3D2, ELSET=EDGE\n301, 1,5\n302, 5,9\n"
    )
    assert list(mesh.cells) == ["hexahedron"]
    assert_allclose(sides(mesh, "SHELL"), [[0.5, 0, 0.5], [0.5, 0.5, 2]])
    assert_array_equal(mesh.groups["EDGE"].nodes, [0, 4, 8])


def test_a_truss_with_a_section_stays_a_cell_along_an_edge(read_text):
    deck = (
        CUBE
        + HEXES
        + "*ELEMENT, TYPE=T3D2, ELSET=ROD\n301, 1,5\n*SOLID SECTION, ELSET=ROD, MATERIAL=S\n0.1\n"
    )
    mesh = read_text(deck)
    assert_array_equal(mesh.cells["line"], [[0, 4]])
    assert_array_equal(mesh.groups["ROD"].cells, [2])


def test_a_coat_of_shells_with_a_section_is_a_surface(read_text):
    deck = CUBE + HEXES + "*ELEMENT, TYPE=M3D4, ELSET=COAT\n201, 9,10,11,12\n"
    mesh = read_text(deck + "*MEMBRANE SECTION, ELSET=COAT, MATERIAL=S\n0.001\n")
    assert list(mesh.cells) == ["hexahedron"]
    assert len(mesh.groups["COAT"].facets) == 1


def test_dangling_surface_stays_a_cell_and_is_noted(read_text):
    mesh = read_text(CUBE + HEXES + "*ELEMENT, TYPE=S3, ELSET=FIN\n201, 1, 3, 12\n")
    assert_array_equal(mesh.groups["FIN"].cells, [2])
    assert any("no facets of a solid" in note for note in mesh.notes)


# --- forms of the deck ----------------------------------------------------------------------------------


def test_element_over_several_lines_and_empty_coordinates(read_text):
    deck = "*NODE\n1\n2, 1.\n3, 1., 1.\n4, , 1.\n5, , , 1.\n6, 1., , 1.\n7, 1., 1., 1.\n8, , 1., 1.\n"
    mesh = read_text(deck + "*ELEMENT, TYPE=C3D8R\n1, 1, 2, 3,\n4, 5, 6,\n7, 8\n")
    assert mesh.cell_measures() == pytest.approx(1.0)


def test_continued_keyword_and_comments_between_data(read_text):
    deck = (
        CUBE.replace("5, 0., 0., 1.", "** here\n5, 0., 0., 1.0D0")
        + "*ELEMENT,\n TYPE=C3D8,\nELSET=ONE\n** note\n1, 1,2,3,4,5,6,7,8\n"
    )
    mesh = read_text(deck)
    assert_array_equal(mesh.groups["ONE"].cells, [0])
    assert mesh.points[4, 2] == 1.0


def test_a_comma_after_the_keyword_swallows_no_data(read_text):
    mesh = read_text(CUBE + "*ELEMENT, TYPE=C3D8,\n1, 1,2,3,4,5,6,7,8\n2, 5,6,7,8,9,10,11,12\n")
    assert mesh.n_cells == 2


def test_plane_and_axisymmetric_elements_lie_in_z_0(read_text):
    mesh = read_text("*NODE\n1, 0, 0\n2, 1, 0\n3, 1, 1\n4, 0, 1\n*ELEMENT, TYPE=CAX4R, ELSET=E\n1, 1,2,3,4\n"
                     "*SURFACE, NAME=RIGHT\nE, S2\n*ELEMENT, TYPE=T2D2, ELSET=BOTTOM\n2, 1, 2\n")  # fmt: skip
    assert mesh.is_plane
    assert_allclose(sides(mesh, "RIGHT"), [[1, 0.5, 0]])
    assert_allclose(sides(mesh, "BOTTOM"), [[0.5, 0, 0]])


def test_every_solid_and_plane_type_is_known(tmp_path):
    for kind in (
        "tetra",
        "tetra10",
        "hexahedron",
        "hexahedron20",
        "wedge",
        "wedge15",
        "pyramid",
        "pyramid13",
    ):
        mesh = box(kind, 1)
        write_mesh(mesh, tmp_path / "a.inp", length_unit="m")
        again = read_mesh(tmp_path / "a.inp", length_unit="m")
        assert_array_equal(again.cells[kind], mesh.cells[kind])


def test_include_below_the_folder(read_text):
    deck = "*NODE, NSET=ALL\n*INCLUDE, INPUT=nodes.txt\n13, 5., 5., 5.\n" + HEXES
    mesh = read_text(deck, **{"nodes.txt": CUBE.split("*NODE\n")[1]})
    assert mesh.n_points == 13
    assert len(mesh.groups["ALL"].nodes) == 13


@pytest.mark.parametrize("name", ["/etc/hostname", "../outside.inp", "a/../../outside.inp"])
def test_include_outside_the_folder_is_refused(read_text, name):
    with pytest.raises(MeshReadError, match="outside the deck's folder"):
        read_text(CUBE + HEXES + f"*INCLUDE, INPUT={name}\n")


def test_include_of_itself_is_refused(read_text):
    with pytest.raises(MeshReadError, match="includes itself"):
        read_text(CUBE + HEXES + "*INCLUDE, INPUT=deck.inp\n")


PART = """*PART, NAME=Block
*NODE
1, 0., 0., 0.
2, 1., 0., 0.
3, 0., 1., 0.
4, 0., 0., 1.
*ELEMENT, TYPE=C3D4
1, 1, 2, 3, 4
*NSET, NSET=Tip
4
*ELSET, ELSET=All
1
*END PART
*ASSEMBLY, NAME=A
"""


def test_one_instance_is_moved_and_turned(read_text):
    mesh = read_text(
        PART
        + "*INSTANCE, NAME=Block-1, PART=Block\n10., 0., 0.\n10., 0., 0., 10., 0., 1., 90.\n*END INSTANCE\n"
        "*NSET, NSET=Base, INSTANCE=Block-1\n1, 2, 3\n*ELSET, ELSET=_S, INTERNAL, INSTANCE=Block-1\n1\n"
        "*SURFACE, NAME=Bottom\n_S, S1\n*END ASSEMBLY\n"
    )
    assert_allclose(mesh.points[1], [10, 1, 0], atol=1e-12)  # (1, 0, 0) turned about z at x = 10
    assert_array_equal(mesh.groups["Base"].nodes, [0, 1, 2])
    assert_array_equal(mesh.groups["Tip"].nodes, [3])
    assert_array_equal(mesh.groups["All"].cells, [0])
    assert_allclose(sides(mesh, "Bottom")[0, 2], 0, atol=1e-12)


def test_two_instances_keep_their_sets_apart(read_text):
    mesh = read_text(
        PART + "*INSTANCE, NAME=I1, PART=Block\n*END INSTANCE\n*INSTANCE, NAME=I2, PART=Block\n5., 0., 0.\n"
        "*END INSTANCE\n*NSET, NSET=Tips\nI1.Tip, I2.Tip\n*END ASSEMBLY\n"
    )
    assert mesh.n_points == 8
    assert_array_equal(mesh.groups["I1.Tip"].nodes, [3])
    assert_array_equal(mesh.groups["I2.Tip"].nodes, [7])
    assert_array_equal(mesh.groups["Tips"].nodes, [3, 7])
    assert_array_equal(mesh.groups["I2"].cells, [1])


def test_middle_node_of_three_node_lines_comes_last(read_text):
    mesh = read_text("*NODE\n1, 0, 0\n2, 1, 0\n3, 2, 0\n*ELEMENT, TYPE=B32\n1, 1, 2, 3\n")
    assert_array_equal(mesh.cells["line3"], [[0, 2, 1]])


# --- what is said ---------------------------------------------------------------------------------------


def test_notes_say_what_was_not_read(read_text):
    mesh = read_text(
        CUBE
        + HEXES
        + "*ELEMENT, TYPE=SPRINGA, ELSET=SP\n401, 1, 2\n*MATERIAL, NAME=STEEL\n*ELASTIC\n2e5, .3\n"
        "*SOLID SECTION, ELSET=LOW, MATERIAL=STEEL\n*BOUNDARY\n1, 1, 3\n*STEP\n*END STEP\n"
    )
    text = " ".join(mesh.notes)
    for word in ("'STEEL'", "SPRINGA", "*BOUNDARY", "*ELASTIC", "*STEP"):
        assert word in text


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("5, 0., 0., 1.", "4, 0., 0., 1."), 8, "node 4 is given twice"),
        (("7, 1., 1., 1.", "7, 1., nan, 1."), 10, "not a finite number"),
        (("7, 1., 1., 1.", "7, 1., 1e400, 1."), 10, "not a finite number"),
        (("7, 1., 1., 1.", "7, 1., one, 1."), 10, "'one' is not a number"),
        (("101, 1,2,3", "101, 1,2,33"), 17, "names node 33"),
        (("101, 1,2,3,4,5,6,7,8", "101, 1,2,3,4,5,6,7"), 17, "7 nodes; C3D8 has 8"),
        (("102, 5,6", "101, 5,6"), 19, "element 101 is given twice"),
        (("TYPE=C3D8, ELSET=LOW", "TYPE=C3D99, ELSET=LOW"), 16, "C3D99 is not supported"),
    ],
)
def test_errors_name_the_line(read_text, change, line, message):
    with pytest.raises(MeshReadError, match=message) as caught:
        read_text((CUBE + HEXES).replace(*change))
    assert caught.value.line == line
    assert "deck.inp, line" in str(caught.value)


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ("*NSET, NSET=BAD\n1, 99\n", "set 'BAD' names node 99"),
        ("*ELSET, ELSET=BAD\n101, 999\n", "set 'BAD' names element 999"),
        ("*NSET, NSET=BAD\nNOWHERE\n", "names 'NOWHERE', which is no node set"),
        ("*NSET, NSET=BAD, GENERATE\n50, 60, 1\n", "no node exists from 50 to 60"),
        ("*SURFACE, NAME=BAD\nLOW, S7\n", "has no face S7"),
        ("*NSET, NSET=A\nB\n*NSET, NSET=B\nA\n", "holds itself"),
        ("*NGEN\n1, 5\n", "NGEN"),
        ("*SYSTEM\n1., 2.\n", "SYSTEM"),
    ],
)
def test_bad_sets_and_cards_are_named(read_text, cards, message):
    with pytest.raises(MeshReadError, match=message):
        read_text(CUBE + HEXES + cards)


def test_generate_over_a_gap_takes_what_exists_and_says_so(read_text):
    mesh = read_text(CUBE + HEXES + "*NSET, NSET=G, GENERATE\n1, 1000000000000, 1\n")
    assert len(mesh.groups["G"].nodes) == 12
    assert any("999999999988 of the nodes generated do not exist" in note for note in mesh.notes)


def test_sets_of_everything_by_the_thousand_are_refused(read_text):
    """A deck of some kilobytes could else state sets of gigabytes."""
    nodes = "*NODE\n" + "".join(f"{i}, {i}., {i % 7}., {i % 3}.\n" for i in range(1, 3001))
    sets = "".join(f"*NSET, NSET=N{i}, GENERATE\n1, 3000\n" for i in range(4000))
    with pytest.raises(MeshReadError, match="more members than any mesh of this size needs"):
        read_text(nodes + "*ELEMENT, TYPE=C3D4\n1, 1, 2, 3, 5\n" + sets)


def test_a_file_that_is_no_deck(read_text):
    with pytest.raises(MeshReadError, match="no \\*NODE card"):
        read_text("just text\n")


def test_node_numbers_need_no_order(read_text):
    deck = "*NODE\n70, 0., 0., 1.\n9, 0., 1., 0.\n1000000, 1., 0., 0.\n5, 0., 0., 0.\n"
    mesh = read_text(deck + "*ELEMENT, TYPE=C3D4\n1, 5, 1000000, 9, 70\n*NSET, NSET=N\n70\n")
    assert mesh.cell_measures() == pytest.approx(1 / 6)
    assert_array_equal(mesh.groups["N"].nodes, [0])
