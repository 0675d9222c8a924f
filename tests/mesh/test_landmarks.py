"""Spots are called what a drawing calls them."""

from pathlib import Path

import numpy as np
import pytest
from builders import box

import designtwin as dtw
from designtwin.mesh import Group, Mesh
from designtwin.mesh.landmarks import landmark

MESHES = Path(dtw.__file__).parents[1] / "meshes"


@pytest.fixture(scope="module")
def bracket():
    return dtw.read_mesh(MESHES / "bracket.msh", length_unit="mm")


def at(mesh, *millimeters):
    """The node of the outside nearest to a point."""
    nodes = mesh.nodes_of_facets(mesh.exterior)
    return int(nodes[np.linalg.norm(mesh.points[nodes] - 1e-3 * np.array(millimeters), axis=1).argmin()])


def angle_section(n=4):
    """A thick angle with one sharp inside edge along y, its two legs named."""
    whole = box("hexahedron", (n, 2, n), (0.1, 0.05, 0.1))
    keep = ~((whole.cell_centers[:, 0] > 0.05) & (whole.cell_centers[:, 2] > 0.05))
    used, conn = np.unique(whole.cells["hexahedron"][keep], return_inverse=True)
    mesh = Mesh(whole.points[used], {"hexahedron": conn.reshape(-1, 8)})
    vectors, centers = mesh.facet_vectors(mesh.exterior)
    wall = (vectors[:, 0] > 0) & (abs(centers[:, 0] - 0.05) < 1e-9)
    floor = (vectors[:, 2] > 0) & (abs(centers[:, 2] - 0.05) < 1e-9)
    groups = {name: Group(facets=mesh.exterior[one]) for name, one in (("wall", wall), ("floor", floor))}
    return Mesh(mesh.points, mesh.cells, groups)


def test_fillets_and_holes_of_the_bracket_have_their_names(bracket):
    fillet = next(
        landmark(bracket, int(node))
        for node in bracket.nodes_of_facets(bracket.groups["root_fillet"].facets)
        if abs(bracket.points[node, 0] + 0.0076) < 2e-3 and abs(bracket.points[node, 1]) > 0.02
    )
    assert (fillet.kind, fillet.own) == ("fillet", "root_fillet")
    assert fillet.radius == pytest.approx(6e-3, rel=1e-2)
    hole = landmark(bracket, at(bracket, -26.0, 39.5, 2.5))
    assert (hole.kind, hole.own) == ("hole", "bolt_holes")
    assert str(hole) == "hole ⌀ 9 mm 'bolt_holes'"
    assert str(landmark(bracket, at(bracket, -60, 0, 0))) == "face at 'base'"


def test_a_turned_fillet_is_one_though_it_lies_on_no_cylinder():
    mast = dtw.read_mesh(MESHES / "sensor_mast.msh", length_unit="mm")
    kinds = [
        str(landmark(mast, int(n))) for n in mast.nodes_of_facets(mast.groups["root_fillet"].facets)[::40]
    ]
    assert sum(words == "fillet 'root_fillet'" for words in kinds) > 0.6 * len(kinds)
    assert landmark(mast, at(mast, 0, 8, 100)).kind == "shaft"


def test_a_bore_cut_by_symmetry_is_no_fillet():
    vessel = dtw.read_mesh(MESHES / "vessel_nozzle.bdf", length_unit="mm")
    assert landmark(vessel, at(vessel, 28.3, 28.3, 215.0)).kind == "concave face"


def test_edges_faces_and_the_inside_of_a_block():
    block = box("tetra10", 2)
    where = {tuple(p): i for i, p in enumerate(np.round(2 * block.points, 6).tolist())}
    assert landmark(block, where[1, 1, 1]).kind == "inside"
    assert str(landmark(block, where[1, 1, 2])) == "face at 'zmax'"
    edge = landmark(block, where[2, 1, 2])
    assert edge.kind == "edge"
    assert set(edge.between) == {"xmax", "zmax"}
    corner = landmark(block, where[2, 2, 0])
    assert (corner.kind, set(corner.groups)) == ("corner", {"xmax", "ymax", "zmin"})


def test_a_sharp_inside_corner_is_re_entrant_between_its_walls():
    mesh = angle_section()
    found = landmark(mesh, at(mesh, 50, 25, 50))
    assert found.kind == "re-entrant edge"
    assert set(found.groups) == {"wall", "floor"}
    # where recovery may put the peak: a cell beside the edge, but not two
    assert landmark(mesh, at(mesh, 50, 25, 75)).kind == "re-entrant edge"
    assert landmark(angle_section(12), at(angle_section(12), 50, 25, 83.4)).kind == "face"


def test_plane_meshes_have_corners_and_holes():
    plate = dtw.read_mesh(MESHES / "plate_with_hole.msh", length_unit="mm")
    hole = landmark(plate, at(plate, 0, 20, 0))
    assert (hole.kind, hole.own) == ("hole", "hole")
    assert str(landmark(plate, at(plate, -100, 50, 0))).startswith("corner at 'left'")
