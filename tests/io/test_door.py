"""The door: units, endings, refusals, atomic writing, the guarded worker."""

import subprocess
import sys

import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import DesignTwinError, MeshError, MeshReadError, UnitError
from designtwin.io import guarded, read_mesh, write_mesh
from designtwin.io._common import Labels
from designtwin.mesh import Group, Mesh


@pytest.fixture
def bracket(tmp_path):
    path = tmp_path / "box.msh"
    write_mesh(box("tetra", 1), path)
    return path


@pytest.mark.parametrize(
    ("unit", "size"), [("mm", 1.0), ("m", 1000.0), ("in", 25.4), ("cm", 10.0), ("um", 1e-3)]
)
def test_length_unit_scales_to_meters(bracket, unit, size):
    mesh = dtw.read_mesh(bracket, length_unit=unit)
    assert np.ptp(mesh.points[:, 0]) == pytest.approx(size)
    assert mesh.length_unit == unit


def test_length_unit_is_wanted_and_checked(bracket):
    with pytest.raises(TypeError, match="length_unit"):
        dtw.read_mesh(bracket)
    for wrong in ("kg", "furlongs per week", "", None):
        with pytest.raises(UnitError, match="length_unit"):
            dtw.read_mesh(bracket, length_unit=wrong)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("part.step", r"install designtwin\[mesher\]"),
        ("part.STP", "geometry, not a mesh"),
        ("part.igs", "geometry, not a mesh"),
        ("part.rst", "ANSYS results"),
        ("part.frd", "read the .inp"),
        ("part.dat", "format='nastran'"),
        ("part.xyz", "not known; say format="),
        ("part", "not known; say format="),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path, name, message):
    (tmp_path / name).write_text("something")
    with pytest.raises(MeshReadError, match=message):
        read_mesh(tmp_path / name, length_unit="mm")


def test_missing_empty_and_folder(tmp_path):
    with pytest.raises(MeshReadError, match="there is no such file"):
        read_mesh(tmp_path / "a.msh", length_unit="mm")
    with pytest.raises(MeshReadError, match=r"the folder .* does not exist"):
        read_mesh(tmp_path / "b" / "a.msh", length_unit="mm")
    (tmp_path / "a.inp").write_text(" \n")
    with pytest.raises(MeshReadError, match="empty"):
        read_mesh(tmp_path / "a.inp", length_unit="mm")
    (tmp_path / "c.msh").mkdir()
    with pytest.raises(MeshReadError):
        read_mesh(tmp_path / "c.msh", length_unit="mm")


def test_format_overrules_the_ending(tmp_path, bracket):
    other = tmp_path / "box.txt"
    other.write_bytes(bracket.read_bytes())
    assert read_mesh(other, length_unit="mm", format="gmsh").n_cells == 6
    with pytest.raises(MeshReadError, match="format 'gmesh' is not known"):
        read_mesh(other, length_unit="mm", format="gmesh")


def test_coordinates_of_no_part_are_refused(tmp_path):
    (tmp_path / "a.inp").write_text(
        "*NODE\n1,0,0,0\n2,1,0,0\n3,0,1,0\n4,0,0,1e300\n*ELEMENT,TYPE=C3D4\n1,1,2,3,4\n"
    )
    with pytest.raises(MeshReadError, match="farther than a million km"):
        read_mesh(tmp_path / "a.inp", length_unit="mm")


def test_nodes_without_cells_stay_and_are_noted(tmp_path):
    (tmp_path / "a.inp").write_text(
        "*NODE\n1,0,0,0\n2,1,0,0\n3,0,1,0\n4,0,0,1\n5,9,9,9\n*ELEMENT,TYPE=C3D4\n1,1,2,3,4\n"
    )
    mesh = read_mesh(tmp_path / "a.inp", length_unit="mm")
    assert mesh.n_points == 5
    assert any("1 nodes belong to no cell" in note for note in mesh.notes)


# --- writing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.stl", "a.bdf", "a.med", "a"])
def test_formats_that_hold_no_groups_are_not_written(tmp_path, name):
    with pytest.raises(MeshError, match=r"written as \.msh"):
        write_mesh(box("tetra", 1), tmp_path / name)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.inp"
    write_mesh(box("tetra", 1), path)
    before = path.read_bytes()
    twins = box("tetra", 1).with_groups({"BODY": Group(nodes=np.array([1]))})
    with pytest.raises(MeshError, match="differ in case alone"):
        write_mesh(twins, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.inp"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.msh"
    write_mesh(box("tetra", 1), path)
    before = path.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("designtwin.io.gmsh.format_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_mesh(box("tetra", 3), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.msh"]


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(MeshError, match="does not exist"):
        write_mesh(box("tetra", 1), tmp_path / "nowhere" / "a.msh")
    (tmp_path / "taken.msh").mkdir()
    with pytest.raises(MeshError, match="cannot be written"):
        write_mesh(box("tetra", 1), tmp_path / "taken.msh")
    assert [p.name for p in tmp_path.iterdir()] == ["taken.msh"]


def test_length_unit_of_the_written_file(tmp_path):
    mesh = box("tetra", 1, (0.0254, 0.0254, 0.0254))
    write_mesh(mesh, tmp_path / "a.msh", length_unit="in")
    assert_allclose(np.ptp(read_mesh(tmp_path / "a.msh", length_unit="m").points, axis=0), 1.0)


# --- meshio behind the guard ----------------------------------------------------------------------------


def write_with_meshio(path, mesh, **more):
    meshio = pytest.importorskip("meshio")
    meshio.Mesh(mesh.points, list(mesh.cells.items()), **more).write(path)


@pytest.mark.parametrize("suffix", [".off", ".ply"])
def test_surfaces_through_meshio(suffix, tmp_path):
    surface = Mesh(np.eye(3), {"triangle": np.array([[0, 1, 2]])})
    write_with_meshio(tmp_path / f"a{suffix}", surface)
    mesh = read_mesh(tmp_path / f"a{suffix}", length_unit="mm")
    assert_allclose(mesh.points, np.eye(3) * 1e-3, atol=1e-9)
    assert "meshio" in mesh.notes[0]


def test_med_groups_and_its_numbering(tmp_path):
    pytest.importorskip("h5py", reason="MED files need h5py")
    mesh = box("tetra10", 1)
    tags = np.array([-6, -6, -6, -7, -7, -7])
    meshio = pytest.importorskip("meshio")
    upside_down = mesh.cells["tetra10"][:, guarded._mirrored("tetra10")]
    out = meshio.Mesh(
        mesh.points, [("tetra10", upside_down)], cell_data={"cell_tags": [tags]},
        point_data={"point_tags": (np.arange(mesh.n_points) < 3).astype(int) * 2},
    )  # fmt: skip
    out.cell_tags = {-6: ["lower", "both"], -7: ["upper", "both"]}
    out.point_tags = {2: ["some nodes"]}
    out.write(tmp_path / "a.med")
    again = read_mesh(tmp_path / "a.med", length_unit="m")
    assert list(again.groups["lower"].cells) == [0, 1, 2]
    assert len(again.groups["both"].cells) == 6
    assert list(again.groups["some nodes"].nodes) == [0, 1, 2]
    assert (again.cell_measures() > 0).all()
    assert_allclose(again.cells["tetra10"], mesh.cells["tetra10"])
    assert any("MED numbers them the other way round" in note for note in again.notes)


@pytest.mark.parametrize("kind", ["tetra10", "hexahedron20", "wedge15", "pyramid13"])
def test_mirrored_cells_mirror_back(kind):
    mesh = box(kind, 1)
    columns = guarded._mirrored(kind)
    turned = Mesh(mesh.points, {kind: mesh.cells[kind][:, columns]})
    assert (turned.cell_measures() < 0).all()
    assert (columns[columns] == np.arange(len(columns))).all()


def test_what_meshio_does_to_damaged_files_stays_in_the_worker(tmp_path):
    for name, content in (("a.su2", "NDIME= x"), ("a.vol", "a\nb\n")):
        (tmp_path / name).write_text(content)
        with pytest.raises(MeshReadError, match="meshio"):
            read_mesh(tmp_path / name, length_unit="mm")


def test_a_worker_that_hangs_is_ended(tmp_path, monkeypatch):
    (tmp_path / "a.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    with pytest.raises(MeshReadError, match="did not finish reading"):
        guarded.read(tmp_path / "a.off", "off", seconds=0.01)


def test_a_worker_without_memory_says_so(tmp_path):
    """A binary PLY file whose header announces 24 GB of points."""
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 1000000000\nproperty double x\n"
    head += "property double y\nproperty double z\nelement face 1\n"
    head += "property list uchar int vertex_indices\nend_header\n"
    (tmp_path / "a.ply").write_bytes(head.encode() + bytes(100))
    with pytest.raises(MeshReadError, match="meshio cannot read this ply file"):
        guarded.read(tmp_path / "a.ply", "ply")


def test_neither_meshio_nor_numba_load_with_the_readers(bracket):
    code = (
        "import sys, designtwin as dtw\n"
        f"dtw.read_mesh({str(bracket)!r}, length_unit='mm')\n"
        "loaded = {'meshio', 'numba', 'pint', 'vtkmodules', 'scipy'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_labels_of_every_order():
    for ids in (np.arange(5, 10), np.array([9, 3, 10**12, 4])):
        labels = Labels(ids)
        assert list(labels.rows(ids)) == list(range(len(ids)))
        assert list(labels.rows(np.array([2, 11, -1]))) == [-1, -1, -1]
    assert list(Labels(np.array([4, 2, 4, 2])).duplicates()) == [2, 3]
    assert issubclass(MeshReadError, DesignTwinError)


def test_endless_files_and_things_that_are_no_path_are_refused():
    with pytest.raises(MeshReadError, match="no regular file"):
        read_mesh("/dev/zero", length_unit="mm", format="gmsh")
    with pytest.raises(MeshReadError, match="path is wanted"):
        read_mesh(None, length_unit="mm")
