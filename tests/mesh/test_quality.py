"""The mesh doctor finds seeded defects, says where, and leaves healthy meshes alone."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import BLOCKS, SOLIDS, apart, bar, block, box, elevate, merged, rectangle, ring
from numpy.testing import assert_allclose
from surroundings import SHARED

import designtwin as dtw
from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError
from designtwin.mesh import Group, Mesh
from designtwin.mesh.mesh import jacobian_determinants
from designtwin.mesh.quality import describe, determinants

MESHES = Path(__file__).parents[2] / "meshes"


def complaints(mesh):
    return {finding.check: finding.grade for finding in mesh.check().at_least("warn")}


def without_order(found):
    return {check: grade for check, grade in found.items() if check != "first_order"}


# --- healthy meshes ---


@pytest.mark.parametrize("distort", [0.0, 0.15])
@pytest.mark.parametrize("element", BLOCKS)
def test_a_healthy_block_has_no_complaints(element, distort):
    mesh = block(element, 3, (0.03, 0.02, 0.01), distort=distort)
    found = complaints(mesh)
    assert without_order(found) == {}
    assert ("first_order" in found) == (element in ("tetra", "triangle"))


@pytest.mark.parametrize("element", ["hexahedron20", "wedge15", "tetra10"])
def test_curved_cells_are_no_defect(element):
    assert complaints(ring(element, (2, 16, 2))) == {}


def test_a_truss_has_no_complaints():
    assert complaints(bar(3)) == {}


@pytest.mark.parametrize("name", ["bracket.msh", "bracket_fine.msh"])
def test_our_own_parts_are_healthy(name):
    report = dtw.read_mesh(MESHES / name, length_unit="mm").check()
    assert report.at_least("bad") == ()
    assert report.raise_on("bad") is report


@pytest.mark.parametrize(
    "name",
    ["box_static.inp", "ccx_cantilever_ele_hexa20.inp", "hexbeam_ansys.vtu", "dpak.msh", "component8.msh"],
)
def test_meshes_of_others_are_not_called_bad(name):
    if not (SHARED / name).exists():
        pytest.skip("the shared meshes are not here")
    assert dtw.read_mesh(SHARED / name, length_unit="mm").check().at_least("bad") == ()


# --- seeded defects ---

MIRRORED = {
    "triangle": [0, 2, 1],
    "quad": [0, 3, 2, 1],
    "tetra": [0, 2, 1, 3],
    "pyramid": [0, 3, 2, 1, 4],
    "wedge": [3, 4, 5, 0, 1, 2],
    "hexahedron": [4, 5, 6, 7, 0, 1, 2, 3],
}


@pytest.mark.parametrize("element", BLOCKS)
def test_an_inverted_cell_is_bad_and_named(element):
    linear = ELEMENTS[element].linear
    mesh = block(linear, 3)
    conn = mesh.cells[linear].copy()
    conn[5] = conn[5][MIRRORED[linear]]
    points, conn = elevate(mesh.points, conn, element)
    finding = Mesh(points, {element: conn}).check()["inverted"]
    assert (finding.grade, finding.ids.tolist()) == ("bad", [5])
    assert "mm" in finding.place


def test_a_mesh_read_inside_out_is_told_so():
    mesh = rectangle("triangle", 3)
    turned = replace(mesh, cells={"triangle": mesh.cells["triangle"][:, ::-1]})
    finding = turned.check()["inverted"]
    assert finding.count == turned.n_cells
    assert "node order" in finding.title


def test_a_corner_pushed_through_its_cell_folds_it():
    mesh = box("hexahedron", 1)
    points = mesh.points.copy()
    corner = int(np.argmax(points.sum(axis=1)))
    points[corner] = (0.6, 0.6, 0.6)
    found = complaints(mesh.moved(points))
    assert found["folded"] == "warn"
    assert "inverted" not in found
    points[corner] = (0.05, 0.05, 0.05)
    assert complaints(mesh.moved(points))["inverted"] == "bad"


def test_a_sliver_is_bad_and_a_thin_cell_a_warning():
    flat = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    for height, grade in ((1e-4, "bad"), (0.02, "warn"), (0.5, "ok")):
        points = flat.copy()
        points[[1, 3], 2] = height
        mesh = Mesh(0.01 * points, {"tetra": np.array([[0, 1, 2, 3]])})
        mesh = (
            mesh if mesh.cell_measures()[0] > 0 else replace(mesh, cells={"tetra": np.array([[0, 2, 1, 3]])})
        )
        assert mesh.check()["flat"].grade == grade


def test_a_cell_without_volume_is_inverted_not_a_crash():
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    assert complaints(Mesh(points, {"tetra": np.array([[0, 1, 2, 3]])}))["inverted"] == "bad"
    assert complaints(Mesh(np.zeros((4, 3)), {"tetra": np.array([[0, 1, 2, 3]])}))["inverted"] == "bad"


def test_stretched_cells_and_sharp_angles_are_warnings():
    long = box("hexahedron", (1, 20, 20), (1.0, 0.2, 0.2))
    assert complaints(long) == {"stretched": "warn"}
    sheared = rectangle(
        "quad", 3, shape=lambda x: np.column_stack([x[:, 0] + 12 * x[:, 1], x[:, 1], x[:, 2]])
    )
    assert complaints(sheared)["angles"] == "warn"


def test_a_middle_node_near_a_corner_is_named():
    mesh = box("tetra10", 2)
    points = mesh.points.copy()
    a, b, middle = mesh.cells["tetra10"][7][[0, 1, 4]]
    points[middle] = points[a] + 0.27 * (points[b] - points[a])
    finding = mesh.moved(points).check()["midside"]
    assert finding.grade == "warn"
    assert 7 in finding.ids


def test_a_torn_mesh_is_bad_and_says_how_to_mend_it():
    left, right = box("hexahedron", (2, 2, 1)), box("hexahedron", (2, 2, 1), origin=(0.0, 0.0, 1.0))
    torn = merged(apart(left, right))
    # A slit: the middle nodes of the common face belong to each side apart.
    whole = merged(left, right)
    middle = np.flatnonzero(np.abs(whole.points - [0.5, 0.5, 1.0]).max(axis=1) < 1e-9)[0]
    points = np.concatenate([whole.points, whole.points[[middle]]])
    conn = whole.cells["hexahedron"].copy()
    upper = whole.cell_centers[:, 2] > 1
    conn[upper] = np.where(conn[upper] == middle, len(points) - 1, conn[upper])
    slit = Mesh(points, {"hexahedron": conn})
    finding = slit.check()["duplicate_nodes"]
    assert (finding.grade, finding.count) == ("bad", 1)
    assert set(finding.ids.tolist()) == {middle, len(points) - 1}
    assert complaints(slit.joined()) == {}
    assert torn.n_points == whole.n_points


def test_parts_that_touch_without_being_joined_are_pointed_out():
    two = apart(box("tetra10", 2), box("tetra10", 2, origin=(1.0, 0.0, 0.0)))
    found = complaints(two)
    assert found == {"duplicate_nodes": "warn", "pieces": "warn", "touching": "warn"}
    assert two.check()["touching"].count == 2 * 8
    unlike = apart(box("tetra10", 2), box("hexahedron20", 3, origin=(1.0, 0.0, 0.0)))
    assert "touching" in complaints(unlike)
    gap = apart(box("tetra10", 2), box("tetra10", 2, origin=(1.01, 0.0, 0.0)))
    assert complaints(gap) == {"pieces": "warn"}


def test_loose_nodes_are_counted_and_the_group_that_names_them():
    mesh = box("hexahedron", 1)
    mesh = Mesh(
        np.concatenate([mesh.points, [[5.0, 5, 5], [6, 6, 6]]]),
        mesh.cells,
        {"ref": Group(nodes=np.array([9]))},
    )
    finding = mesh.check()["loose_nodes"]
    assert (finding.grade, finding.ids.tolist()) == ("warn", [8, 9])
    assert "'ref'" in finding.title


def test_pieces_are_listed_with_their_groups():
    two = apart(box("tetra10", 2), box("hexahedron", 2, origin=(3.0, 0.0, 0.0)))
    two = two.with_groups({"bolt": Group(cells=np.arange(48, 56))})
    finding = two.check()["pieces"]
    assert finding.count == 2
    assert finding.ids.tolist() == list(range(48, 56))
    assert "8 cells of 'bolt'" in finding.place


def test_parts_on_one_edge_hang_like_on_a_hinge():
    hinged = merged(box("hexahedron", 1), box("hexahedron", 1, origin=(1.0, 1.0, 0.0)))
    assert complaints(hinged) == {"hinges": "warn"}
    unlike = merged(box("hexahedron", 1), box("tetra", 1, origin=(1.0, 0.0, 0.0)))
    found = complaints(unlike)
    assert found["hinges"] == "warn"
    assert found["touching"] == "warn"


def test_a_face_of_three_cells_is_bad():
    mesh = box("hexahedron", (1, 1, 2))
    top = mesh.cells["hexahedron"][1]
    points = np.concatenate([mesh.points, mesh.points[top[4:]] + [0.3, 0, 0]])
    third = np.concatenate([top[:4], len(mesh.points) + np.arange(4)])
    crowd = Mesh(points, {"hexahedron": np.concatenate([mesh.cells["hexahedron"], [third]])})
    finding = crowd.check()["shared_facets"]
    assert (finding.grade, finding.count) == ("bad", 1)


def test_first_order_cells_beside_second_order_ones_gape():
    mesh = box("tetra", 2)
    conn = mesh.cells["tetra"]
    points, second = elevate(mesh.points, conn[:24], "tetra10")
    mixed = Mesh(points, {"tetra10": second, "tetra": conn[24:]})
    finding = mixed.check()["mixed_order"]
    assert finding.grade == "bad"
    assert "first-order cells beside second-order" in finding.title


def test_middle_nodes_of_their_own_gape_too():
    mesh = box("tetra10", 1)
    conn = mesh.cells["tetra10"].copy()
    shared = conn[0, 4:][np.isin(conn[0, 4:], conn[1:])][0]
    points = np.concatenate([mesh.points, mesh.points[[shared]]])
    conn[0] = np.where(conn[0] == shared, len(points) - 1, conn[0])
    found = Mesh(points, {"tetra10": conn}).check()
    assert found["mixed_order"].grade == "bad"
    assert "mid-side nodes of their own" in found["mixed_order"].title


def test_a_cell_twice_is_bad_in_whatever_order():
    mesh = box("tetra", 2)
    conn = np.concatenate([mesh.cells["tetra"], mesh.cells["tetra"][[11]][:, [1, 2, 0, 3]]])
    finding = Mesh(mesh.points, {"tetra": conn}).check()["duplicate_cells"]
    assert (finding.grade, finding.ids.tolist()) == ("bad", [48])


def test_surface_cells_among_solids_are_said_to_carry_nothing():
    mesh = box("tetra", 2)
    skin = np.array([[0, 1, 3]])
    finding = Mesh(mesh.points, {**mesh.cells, "triangle": skin}).check()["surface_cells"]
    assert (finding.grade, finding.ids.tolist()) == ("warn", [48])


def test_a_surface_needs_a_volume_mesh_and_its_gaps_are_counted():
    solid = box("tetra", 2)
    (skin,) = solid.facets(solid.exterior)
    closed = Mesh(solid.points, {"triangle": skin.conn})
    assert "a surface, closed" in closed.check()["surface_mesh"].title
    assert closed.check().grade == "bad"
    gap = Mesh(solid.points, {"triangle": skin.conn[1:]})
    assert "open along 3 edges" in gap.check()["surface_mesh"].title


@pytest.mark.parametrize(
    ("factor", "unit", "says"), [(1.0, "m", "100 mm"), (1e-6, "mm", "100 mm"), (1e-3, "mm", None)]
)
def test_an_implausible_size_asks_for_the_unit(factor, unit, says):
    mesh = replace(box("tetra10", 2, (150.0 * factor, 60 * factor, 100 * factor)), length_unit=unit)
    if factor == 1e-6:
        mesh = mesh.moved(mesh.points * 0.1)
    finding = mesh.check()["size"]
    assert finding.grade == ("ok" if says is None else "warn")
    if factor == 1.0:
        assert "in mm it would be 150 mm long" in finding.advice


def test_an_empty_group_is_a_warning():
    mesh = box("tetra10", 1).with_groups({"void": Group(nodes=np.empty(0, np.int64))})
    assert complaints(mesh) == {"empty_groups": "warn"}


# --- the report ---


def test_the_report_prints_as_a_table_that_fits_and_passes_on_as_data():
    two = apart(box("tetra", 2), box("tetra", 2, origin=(1.0, 0.0, 0.0)))
    report = replace(two, source="part.inp").check()
    text = str(report)
    assert text.startswith("part.inp: warn")
    assert max(map(len, text.splitlines())) <= 108
    assert text.index("warn") < text.index("ok ")
    data = json.loads(json.dumps(report.to_dict()))
    assert data["grade"] == "warn"
    by_check = {f["check"]: f for f in data["findings"]}
    assert len(by_check["pieces"]["ids"]) == 48
    with pytest.raises(MeshError, match="no check 'colour'"):
        report["colour"]


def test_raise_on_names_every_defect_and_what_to_do():
    mesh = box("tetra", 2)
    bad = Mesh(
        mesh.points, {"tetra": np.concatenate([mesh.cells["tetra"], mesh.cells["tetra"][:1]])}, source="p.msh"
    )
    with pytest.raises(MeshError, match=r"p\.msh is bad: .*same nodes as another.*delete them"):
        bad.check().raise_on("bad")
    box("tetra10", 2).check().raise_on("warn")
    with pytest.raises(MeshError, match="a grade is one of"):
        mesh.check().at_least("awful")


def test_a_large_mesh_is_checked_within_seconds():
    mesh = box("tetra10", 20, (1.0, 1.0, 1.0))  # 68,921 nodes, 48,000 cells
    mesh.check()
    start = time.perf_counter()
    replace(mesh, source="again").check()
    assert time.perf_counter() - start < 6.0  # 0.7 s on a free core


@pytest.mark.parametrize("element", SOLIDS)
def test_fast_determinants_are_those_of_the_mesh(element):
    mesh = box(element, 2, distort=0.2)
    x = mesh.points[mesh.cells[element]]
    gradient = ELEMENTS[element].gradient(ELEMENTS[element].quadrature[0])
    assert_allclose(determinants(x, gradient), jacobian_determinants(x, gradient), rtol=1e-12)


# --- print(mesh) ---


def test_a_mesh_describes_itself():
    mesh = box("tetra10", 2, (0.1, 0.05, 0.02), origin=(-0.05, 0, 0))
    text = str(mesh)
    for part in ("125 nodes, 48 cells (48 tetra10)", "x -50 to 50, y 0 to 50, z 0 to 20 mm", "100000 mm³",
                 "0.785 kg if steel", "xmax  8 facets  1000 mm²"):  # fmt: skip
        assert part in text
    weighed = describe(mesh, density="2700 kg/m3")
    assert "0.27 kg at 2700 kg/m³, center (0, 25, 10) mm" in weighed
    assert "yy 0.000234" in weighed


def test_plane_meshes_and_bars_describe_themselves():
    assert "area     2000000 mm²" in str(rectangle("quad8", 2, (2.0, 1.0)))
    assert "length   2000 mm" in str(bar(2, 2.0))
