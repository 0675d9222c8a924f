"""VTK files, legacy and XML: every encoding, arrays as groups, and what an attacker would send."""

import base64
import struct
import zlib

import mutations
import numpy as np
import pytest
from builders import SOLIDS, box, rectangle
from numpy.testing import assert_allclose, assert_array_equal

from designtwin.errors import MeshError, MeshReadError
from designtwin.io import read_mesh, write_mesh
from designtwin.io.results import write_vtu

pyvista = pytest.importorskip("pyvista")

MESH = mutations._meshes()["tetra"]
ENCODINGS = {
    "legacy ascii": (".vtk", mutations.vtk_legacy(MESH)),
    "legacy 5.1 ascii": (".vtk", mutations.vtk_legacy(MESH, version="5.1")),
    "legacy binary": (".vtk", mutations.vtk_legacy(MESH, binary=True)),
    "legacy 5.1 binary": (".vtk", mutations.vtk_legacy(MESH, binary=True, version="5.1")),
    "ascii": (".vtu", mutations.vtu(MESH)),
    "base64": (".vtu", mutations.vtu(MESH, "binary")),
    "base64 zlib": (".vtu", mutations.vtu(MESH, "binary", compressed=True)),
    "appended": (".vtu", mutations.vtu(MESH, "appended")),
    "appended zlib": (".vtu", mutations.vtu(MESH, "appended", compressed=True)),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_gives_the_mesh_and_its_groups(name, tmp_path):
    suffix, content = ENCODINGS[name]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    mesh = read_mesh(path, length_unit="m")
    assert_array_equal(mesh.points, MESH.points)
    assert_array_equal(mesh.cells["tetra"], MESH.cells["tetra"])
    if suffix == ".vtk":
        assert_array_equal(mesh.groups["mat_id_2"].cells, np.arange(1, mesh.n_cells, 2))
        assert_array_equal(mesh.groups["node_groups_2"].nodes, np.arange(2, mesh.n_points, 3))
        assert "node_groups_0" not in mesh.groups
        assert any("point array 'u'" in note for note in mesh.notes)
    else:
        assert_array_equal(mesh.groups["PartId_1"].cells, [3, 4, 5])
        assert any("point array 'T'" in note for note in mesh.notes)


def vtk_writer(grid, path, mode, compressor):
    """A file by VTK's own XML writer."""
    vtk = pytest.importorskip("vtkmodules.vtkIOXML")
    writer = vtk.vtkXMLUnstructuredGridWriter()
    writer.SetInputData(grid)
    writer.SetFileName(str(path))
    {"ascii": writer.SetDataModeToAscii, "binary": writer.SetDataModeToBinary,
     "appended": writer.SetDataModeToAppended}[mode]()  # fmt: skip
    if compressor == "raw":
        writer.EncodeAppendedDataOff()
    {"zlib": writer.SetCompressorTypeToZLib, "lzma": writer.SetCompressorTypeToLZMA}.get(
        compressor, writer.SetCompressorTypeToNone
    )()
    assert writer.Write()


@pytest.mark.parametrize("mode", ["ascii", "binary", "appended"])
@pytest.mark.parametrize("compressor", ["none", "raw", "zlib", "lzma"])
def test_files_of_vtk_itself(mode, compressor, tmp_path):
    mesh = box("tetra10", (3, 2, 1))
    write_vtu(tmp_path / "ours.vtu", mesh.points, mesh.cells, cell_data={"mat": np.arange(mesh.n_cells) % 3})
    grid = pyvista.read(tmp_path / "ours.vtu")
    vtk_writer(grid, tmp_path / "theirs.vtu", mode, compressor)
    again = read_mesh(tmp_path / "theirs.vtu", length_unit="m")
    assert_allclose(again.points, mesh.points, atol=1e-7)
    assert_array_equal(again.cells["tetra10"], mesh.cells["tetra10"])
    assert_array_equal(again.groups["mat_2"].cells, np.arange(2, mesh.n_cells, 3))


@pytest.mark.parametrize("binary", [False, True])
def test_legacy_files_of_vtk_itself(binary, tmp_path):
    mesh = box("hexahedron20", (2, 1, 1))
    write_vtu(
        tmp_path / "ours.vtu",
        mesh.points,
        mesh.cells,
        {"u": mesh.points, "tag one": np.arange(mesh.n_points) % 2},
    )
    pyvista.read(tmp_path / "ours.vtu").save(str(tmp_path / "theirs.vtk"), binary=binary)
    again = read_mesh(tmp_path / "theirs.vtk", length_unit="m")
    assert_array_equal(again.cells["hexahedron20"], mesh.cells["hexahedron20"])
    assert_array_equal(again.groups["tag one_1"].nodes, np.arange(1, mesh.n_points, 2))


@pytest.mark.parametrize("kind", SOLIDS)
def test_vtk_opens_what_we_write(kind, tmp_path):
    mesh = box(kind, (2, 1, 1))
    fields = {
        "displacement": mesh.points * 2,
        "T": mesh.points[:, 0],
        'label é<&>"': np.arange(mesh.n_points),
    }
    write_vtu(tmp_path / "a.vtu", mesh.points, mesh.cells, fields, {"on": np.arange(mesh.n_cells) % 2 == 0})
    grid = pyvista.read(tmp_path / "a.vtu")
    assert_array_equal(grid.points, mesh.points)
    assert grid.volume == pytest.approx(mesh.cell_measures().sum())
    for name, values in fields.items():
        assert_array_equal(grid.point_data[name], values)
    assert_array_equal(grid.cell_data["on"], (np.arange(mesh.n_cells) % 2 == 0).astype(int))


def test_large_arrays_span_several_blocks(tmp_path):
    mesh = box("hexahedron", (40, 40, 40))
    write_vtu(tmp_path / "a.vtu", mesh.points, mesh.cells, {"x": mesh.points[:, 0]})
    grid = pyvista.read(tmp_path / "a.vtu")
    assert_array_equal(grid.point_data["x"], mesh.points[:, 0])
    assert_array_equal(read_mesh(tmp_path / "a.vtu", length_unit="m").points, mesh.points)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"point_data": {"T": np.zeros(3)}}, "its first length must be"),
        ({"cell_data": {"T": np.array(["a"] * 6)}}, "numbers are wanted"),
    ],
)
def test_wrong_fields_leave_no_file(data, message, tmp_path):
    mesh = box("tetra", 1)
    with pytest.raises(MeshError, match=message):
        write_vtu(tmp_path / "a.vtu", mesh.points, mesh.cells, **data)
    assert list(tmp_path.iterdir()) == []


def test_wedges_of_the_manuals_order_are_turned_and_noted(tmp_path):
    mesh = box("wedge", 1)
    flipped = mesh.cells["wedge"][:, [3, 4, 5, 0, 1, 2]]
    write_vtu(tmp_path / "a.vtu", mesh.points, {"wedge": flipped})
    again = read_mesh(tmp_path / "a.vtu", length_unit="m")
    assert (again.cell_measures() > 0).all()
    assert any("wedges were in the order of VTK's manual" in note for note in again.notes)
    write_vtu(tmp_path / "a.vtu", mesh.points, mesh.cells)
    assert_array_equal(read_mesh(tmp_path / "a.vtu", length_unit="m").cells["wedge"], mesh.cells["wedge"])


def test_voxels_and_pixels(read_text):
    points = " ".join(f"{x} {y} {z}" for z in (0, 1) for y in (0, 1) for x in (0, 1))
    text = f"# vtk DataFile Version 3.0\nt\nASCII\nDATASET UNSTRUCTURED_GRID\nPOINTS 8 float\n{points}\n"
    mesh = read_text(text + "CELLS 1 9\n8 0 1 2 3 4 5 6 7\nCELL_TYPES 1\n11\n", "a.vtk")
    assert mesh.cell_measures() == pytest.approx(1.0)
    mesh = read_text(text + "CELLS 1 5\n4 0 1 2 3\nCELL_TYPES 1\n8\n", "a.vtk")
    assert mesh.cell_measures() == pytest.approx(1.0)


def test_mixed_cells_keep_their_data(tmp_path):
    solid = box("hexahedron", (2, 1, 1))
    cells = {"hexahedron": solid.cells["hexahedron"][:1], "tetra": box("tetra", (2, 1, 1)).cells["tetra"][6:]}
    n = sum(map(len, cells.values()))
    write_vtu(tmp_path / "a.vtu", solid.points, cells, cell_data={"PartId": np.array([5] + [6] * (n - 1))})
    mesh = read_mesh(tmp_path / "a.vtu", length_unit="m")
    assert [mesh.cell(int(c))[0] for c in mesh.groups["PartId_5"].cells] == ["hexahedron"]
    assert len(mesh.groups["PartId_6"].cells) == n - 1


def test_pieces_are_joined(read_text):
    text = mutations.vtu(MESH).decode()
    start, end = text.index("<Piece"), text.index("</Piece>") + len("</Piece>")
    twice = text[:end] + text[start:end] + text[end:]
    mesh = read_text(twice, "a.vtu")
    assert mesh.n_cells == 2 * MESH.n_cells
    assert_array_equal(mesh.cells["tetra"][MESH.n_cells :], MESH.cells["tetra"] + MESH.n_points)
    assert len(mesh.groups["PartId_0"].cells) == 6


def test_ids_are_not_taken_for_groups(tmp_path):
    mesh = box("hexahedron", (10, 10, 10))
    write_vtu(tmp_path / "a.vtu", mesh.points, mesh.cells, cell_data={"GlobalElementId": np.arange(1000)})
    again = read_mesh(tmp_path / "a.vtu", length_unit="m")
    assert again.groups == {}
    assert any("numbers, not groups" in note for note in again.notes)


@pytest.mark.parametrize(
    ("number", "size", "word"),
    [(42, 4, "polyhedron"), (4, 3, "polyline"), (7, 5, "polygon"), (99, 4, "type 99")],
)
def test_cells_without_an_element_are_refused_by_name(number, size, word, read_text):
    text = "# vtk DataFile Version 3.0\nt\nASCII\nDATASET UNSTRUCTURED_GRID\nPOINTS 5 float\n" + "0 0 1 " * 5
    text += f"\nCELLS 1 {size + 1}\n{size} {' '.join(map(str, range(size)))}\nCELL_TYPES 1\n{number}\n"
    with pytest.raises(MeshReadError, match=word):
        read_text(text, "a.vtk")


# --- damage with intent ---------------------------------------------------------------------------------


def test_a_dtd_is_refused(read_text):
    bomb = '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>\n<VTKFile type="&c;"/>'
    with pytest.raises(MeshReadError, match="DTD"):
        read_text(bomb, "a.vtu")


def test_a_zip_bomb_is_not_unpacked(read_text):
    """One array of 8 GiB of zeros in some kilobytes, and one whose blocks hold more than they announce."""
    head = (
        '<?xml version="1.0"?>\n<VTKFile type="UnstructuredGrid" byte_order="LittleEndian" '
        'header_type="UInt64" compressor="vtkZLibDataCompressor">\n<UnstructuredGrid>'
        '<Piece NumberOfPoints="{}" NumberOfCells="1">\n<Points>'
        '<DataArray type="Float64" Name="Points" NumberOfComponents="3" format="binary">'
    )
    rest = (
        "</DataArray></Points><Cells>"
        '<DataArray Name="connectivity" type="Int64" format="ascii">0 1 2 3</DataArray>'
        '<DataArray Name="offsets" type="Int64" format="ascii">4</DataArray>'
        '<DataArray Name="types" type="UInt8" format="ascii">10</DataArray>'
        "</Cells></Piece></UnstructuredGrid></VTKFile>"
    )
    block = 3 << 25
    packed = zlib.compress(bytes(block), 9)

    def file(n_points, announced, n_blocks):
        header = struct.pack(f"<{3 + n_blocks}Q", n_blocks, announced, 0, *[len(packed)] * n_blocks)
        text = base64.b64encode(header) + base64.b64encode(packed * n_blocks)
        return head.format(n_points) + text.decode() + rest

    with pytest.raises(MeshReadError, match="more than this file can sensibly hold"):
        read_text(file(80 * block // 24, block, 80), "a.vtu")
    with pytest.raises(MeshReadError, match="another size than announced"):
        read_text(file(10, 240, 1), "a.vtu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('NumberOfPoints="12"', 'NumberOfPoints="13"'), "39 are wanted"),
        (('NumberOfCells="12"', 'NumberOfCells="99999999999"'), "99999999999 are wanted"),
        (('type="UnstructuredGrid"', 'type="PolyData"'), "an UnstructuredGrid"),
        (("</Cells>", "</Cell>"), "not well-formed"),
        (('Name="types"', 'Name="sorts"'), "no array 'types'"),
        (('type="Int64" Name="connectivity"', 'type="String" Name="connectivity"'), "type 'String'"),
    ],
)
def test_damaged_xml_is_named(change, message, read_text):
    text = mutations.vtu(MESH).decode()
    assert change[0] in text
    with pytest.raises(MeshReadError, match=message):
        read_text(text.replace(*change), "a.vtu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("POINTS 12 double", "POINTS 99999999999 double"), "299999999997 values announced"),
        (("CELLS 12 60", "CELLS 13 60"), "cell 12 does not fit"),
        (("CELL_TYPES 12", "CELL_TYPES 11"), "no section of"),
        (("CELL_DATA 12", "CELL_DATA 6"), "no section of"),
        (("ASCII", "BINARY"), "."),
        (("UNSTRUCTURED_GRID", "POLYDATA"), "UNSTRUCTURED_GRID is read"),
    ],
)
def test_damaged_legacy_is_named(change, message, read_text):
    text = mutations.vtk_legacy(MESH).decode()
    assert change[0] in text
    with pytest.raises(MeshReadError, match=message):
        read_text(text.replace(*change, 1), "a.vtk")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_cut_off_array_is_named(compressed, tmp_path):
    content = mutations.vtu(MESH, "appended", compressed)
    start = content.index(b"_", content.index(b"<AppendedData")) + 1
    end = content.index(b"\n</AppendedData>")
    for keep in (0.02, 0.3, 0.6):
        (tmp_path / "a.vtu").write_bytes(content[: start + int(keep * (end - start))] + content[end:])
        with pytest.raises(MeshReadError, match=r"array '\w+'|header of an array"):
            read_mesh(tmp_path / "a.vtu", length_unit="m")


def test_surface_in_space_and_plane(tmp_path):
    plane = rectangle("quad8", (2, 2))
    write_mesh(plane, tmp_path / "a.vtu", length_unit="m")
    assert read_mesh(tmp_path / "a.vtu", length_unit="m").is_plane
