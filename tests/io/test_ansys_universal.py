"""ANSYS archives and universal files."""

import mutations
import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose, assert_array_equal

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshReadError
from designtwin.io import read_mesh


@pytest.mark.parametrize("kind", ["tetra", "tetra10", "hexahedron"])
@pytest.mark.parametrize("suffix", [".cdb", ".unv"])
def test_cells_and_groups(kind, suffix, tmp_path):
    mesh = mutations._meshes()[kind]
    path = tmp_path / f"a{suffix}"
    path.write_bytes({".cdb": mutations.cdb, ".unv": mutations.unv}[suffix](mesh))
    again = read_mesh(path, length_unit="m")
    assert_allclose(again.points, mesh.points, rtol=1e-12, atol=1e-15)
    assert_array_equal(again.cells[kind], mesh.cells[kind])
    odd, even = np.arange(0, mesh.n_cells, 2), np.arange(1, mesh.n_cells, 2)
    if suffix == ".cdb":
        assert_array_equal(again.groups["mat_2"].cells, odd)
        assert_array_equal(again.groups["TIP"].nodes, [0, 1, 2, 3])
        assert_array_equal(again.group("some").cells, [1])
    else:
        assert_array_equal(again.groups["property_1"].cells, even)
        assert_array_equal(again.groups["the tip"].nodes, [0, 1])
        assert_array_equal(again.groups["the tip"].cells, [0])


# The Element Reference draws the degenerate shapes of SOLID186 with these nodes in I J K L M N O P Q ... B.
COLLAPSED = {
    "tetra10": "1 2 3 3 4 4 4 4 5 6 3 7 4 4 4 4 8 9 10 10",
    "wedge15": "1 2 3 3 4 5 6 6 7 8 3 9 10 11 6 12 13 14 15 15",
    "pyramid13": "1 2 3 4 5 5 5 5 6 7 8 9 5 5 5 5 10 11 12 13",
}


@pytest.mark.parametrize("kind", COLLAPSED)
@pytest.mark.parametrize("quadratic", [True, False])
def test_collapsed_bricks_are_the_shape_they_make(kind, quadratic, read_text):
    element = ELEMENTS[kind if quadratic else ELEMENTS[kind].linear]
    nodes = COLLAPSED[kind].split() if quadratic else COLLAPSED[kind].split()[:8]
    if kind == "wedge15" and quadratic:
        # Our edges of a wedge: bottom 12 23 31, top 45 56 64, uprights 14 25 36; the archive's the same.
        assert nodes[8] == "7"
    text = "ET,1,186\nNBLOCK,3\n(1i9,3e20.9e3)\n"
    text += "".join(
        f"{i:9d}" + "".join(f"{x:20.9E}" for x in p) + "\n" for i, p in enumerate(element.nodes, 1)
    )
    values = ["1", "1", "1", "1", "0", "0", "0", "0", str(len(nodes)), "0", "7", *nodes]
    lines = ["".join(f"{v:>9s}" for v in values[j : j + 19]) + "\n" for j in range(0, len(values), 19)]
    mesh = read_text(text + "-1\nEBLOCK,19,SOLID,1,1\n(19i9)\n" + "".join(lines) + "       -1\n", "a.cdb")
    assert list(mesh.cells) == [element.name]
    assert_array_equal(mesh.cells[element.name], [np.arange(element.n_nodes)])


def test_contact_and_surface_elements(tmp_path):
    text = mutations.cdb(box("hexahedron", 1)).decode()
    extra = "ET,1,185\nET,2,154\nET,3,174\n"
    row = "        1        2        1        1        0        0        0        0        4        0       "
    more = (
        row + "90        1        2        4        3\n" + row.replace("1        2", "1        3", 1) + "91"
    )
    more += "        1        2        4        3\n"
    text = text.replace("ET,1,185\n", extra).replace("       -1\nCMBLOCK", more + "       -1\nCMBLOCK", 1)
    text = text.replace("SOME    ,ELEM", "SOME    ,ELEM").replace("\n         2\n", "\n        90\n")
    (tmp_path / "a.cdb").write_text(text)
    mesh = read_mesh(tmp_path / "a.cdb", length_unit="m")
    assert list(mesh.cells) == ["hexahedron"]
    assert len(mesh.groups["SOME"].facets) == 1
    assert any("contact, not read: type 174" in note for note in mesh.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("ET,1,285", "ET,1,16"), "ANSYS type 16, which is not supported"),
        (("ET,1,285", "ET,2,285"), "type 1, which no ET states"),
        (("N,R5.3,LOC,       -1,", ""), "an empty line among the nodes"),
        (("EBLOCK,19,SOLID", "EBLOCK,10,"), "only EBLOCK,19,SOLID"),
        (("(19i9)", "(19x9)"), "is no format"),
        (("CMBLOCK,TIP,NODE,3", "CMBLOCK,TIP,NODE,3000"), "announces 3000 numbers|whole numbers"),
        (("         1        -3         4", "         1        -3        44"), "component 'TIP' names 44"),
    ],
)
def test_damaged_archives_are_named(change, message, read_text):
    text = mutations.cdb(box("tetra", 1)).decode()
    assert change[0] in text
    with pytest.raises(MeshReadError, match=message):
        read_text(text.replace(*change, 1), "a.cdb")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("    -1\n    -1\n  2467", "    -1\n  2467"), "cut off"),
        (("the tip\n         7         1", "the tip\n         7        91"), "names node 91"),
        (("       111", "       999"), "type 999 with 4 nodes, which is not supported"),
        (("D+00", "X+00"), "three coordinates are wanted"),
    ],
)
def test_damaged_universal_files_are_named(change, message, read_text):
    text = mutations.unv(box("tetra", 1)).decode()
    assert change[0] in text
    with pytest.raises(MeshReadError, match=message) as caught:
        read_text(text.replace(*change, 1), "a.unv")
    assert caught.value.line or "cut off" in message
