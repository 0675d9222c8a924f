"""Every file of the shared verification folder is imported with its groups, or refused with a reason."""

import numpy as np
import pytest
from surroundings import SHARED

from designtwin.errors import MeshReadError
from designtwin.io import read_mesh

AS1 = {f"body {i}": n for i, n in enumerate(
    (103, 103, 1441, 348, 102, 336, 102, 345, 101, 2142, 11142, 350, 103, 357, 103, 354, 102, 2133), 1
)}  # fmt: skip

# File: points, cells, group -> (nodes, facets, cells); None where the group has no such part.
IMPORTED = {
    "HexBeam.cdb": (
        321, {"hexahedron20": 40},
        {"mat_1": (None, None, 40), "ECOMP1": (None, None, 22), "ECOMP2": (None, None, 22),
         "NCOMP2": (98, None, None), "NODE_SELECTION": (164, None, None)},
    ),
    "sector.cdb": (
        655, {"hexahedron": 101, "wedge": 4}, {"mat_1": (None, None, 105), "REFINE": (25, None, None)},
    ),
    "tetra10_mesh.unv": (10, {"tetra10": 1}, {"property_2": (None, None, 1)}),
    "as1_assembly.msh": (
        6055, {"tetra": 19767},
        {**{n: (None, None, c) for n, c in AS1.items()}, "xmin": (None, 14, None), "xmax": (None, 14, None),
         "zmin": (None, 84, None), "zmax": (None, 72, None)},
    ),
    "as1_assembly.inp": (
        6055, {"tetra": 19767},
        {"body_1": (48, None, 103), "body_11": (2851, None, 11142), "xmin": (12, 14, None),
         "zmin": (72, 84, None), "Volume18": (None, None, 2133), "Surface150": (None, 36, None)},
    ),
    "blisk_sector.inp": (655, {"hexahedron": 101, "wedge": 4}, {"REFINE": (25, None, None)}),
    "blisk_sector.vtu": (655, {"hexahedron": 101, "wedge": 4}, {}),
    "box_frequency.inp": (
        280, {"tetra10": 129},
        {"Nall": (280, None, None), "Eall": (None, None, 129), "Evolumes": (None, None, 129),
         "MechanicalMaterialSolid": (None, None, 129)},
    ),
    "box_static.inp": (
        280, {"tetra10": 129}, {"FemConstraintFixed": (41, None, None), "Eall": (None, None, 129)},
    ),
    "cantilever_faceload_tet10.bdf": (
        228, {"tetra10": 79}, {"pid_1": (None, None, 79), "spc_2": (13, None, None)},
    ),
    "ccx_cantilever_ele_hexa20.inp": (
        261, {"hexahedron20": 32},
        {"ConstraintFixed": (21, None, None), "FemMaterialSolid": (None, None, 32)},
    ),
    "ccx_cantilever_faceload.inp": (228, {"tetra10": 79}, {"ConstraintFixed": (13, None, None)}),
    "component8.msh": (5778, {"tetra10": 3126}, {"body 1": (None, None, 3126)}),
    "component8_lin_v22.msh": (930, {"tetra": 3126}, {"body 1": (None, None, 3126)}),
    "cube.bdf": (64, {"hexahedron": 26}, {"pid_1": (None, None, 26)}),
    "cylinder_in_box.msh": (
        854, {"tetra": 3436}, {"cylinder": (None, None, 920), "fill": (None, None, 2516)},
    ),
    "dpak.msh": (673, {"tetra": 2040}, {"body 1": (None, None, 2040), "zmax": (None, 124, None)}),
    "elbow.mesh": (1823, {"tetra": 8161}, {"tetrahedra_ref_6": (None, None, 8161)}),
    "hexbeam_ansys.bdf": (321, {"hexahedron20": 40}, {}),
    "hexbeam_ansys.vtu": (321, {"hexahedron20": 40}, {}),
    "hinge.stl": (598, {"triangle": 1212}, {}),
    "material_multiple_tensionrod_twoboxes.inp": (
        553, {"tetra10": 296},
        {"MechanicalMaterialLowSolid": (None, None, 148), "MechanicalMaterialUppSolid": (None, None, 148)},
    ),
    "t13_data.stl": (788, {"triangle": 1580}, {}),
    "thermomech_spine.inp": (
        45, {"tetra10": 12},
        {"FemConstraintFixed": (9, None, None), "FemConstraintTemperature": (9, None, None)},
    ),
    "wheelset.vtk": (5457, {"tetra": 21934}, {"mat_id_0": (None, None, 21934)}),
}  # fmt: skip
REFUSED = {
    "RLF_7030.stp": "mesher", "SOT428_DPAK.stp": "mesher", "as1-tu-203.stp": "mesher",
    "component8.step": "mesher", "frame.step": "mesher", "box_static.frd": "results",
    "thermomech_spine.frd": "results", "box_frequency.dat": "listing", "box_static.dat": "listing",
}  # fmt: skip


def count(ids):
    return None if ids is None else len(ids)


@pytest.mark.parametrize("name", IMPORTED)
def test_file_is_imported_with_its_groups(name, shared_mesh):
    mesh = read_mesh(shared_mesh(name), length_unit="mm")
    n_points, cells, groups = IMPORTED[name]
    assert mesh.n_points == n_points
    assert {kind: len(conn) for kind, conn in mesh.cells.items()} == cells
    found = {n: (count(g.nodes), count(g.facets), count(g.cells)) for n, g in mesh.groups.items()}
    assert groups.items() <= found.items()
    if name not in ("as1_assembly.inp", "box_static.inp") and len(groups) < 2:
        assert set(found) - set(groups) <= {"Nall", "Eall", "Evolumes", "FemMaterialSolid"}
    assert mesh.notes[0].count(f"{n_points:,} nodes") == 1


@pytest.mark.parametrize("name", [n for n in IMPORTED if not n.endswith(".stl")])
def test_solids_stand_upright(name, shared_mesh):
    """A wrong order of nodes would turn cells inside out or fold their mid-side nodes."""
    mesh = read_mesh(shared_mesh(name), length_unit="mm")
    assert (mesh.cell_measures() > 0).all()


@pytest.mark.parametrize("name", REFUSED)
def test_file_is_refused_with_what_to_do(name, shared_mesh):
    with pytest.raises(MeshReadError, match=REFUSED[name]) as caught:
        read_mesh(shared_mesh(name), length_unit="mm")
    assert name in str(caught.value)


def test_no_file_of_the_folder_is_left_out(shared_mesh):
    shared_mesh("")
    assert {p.name for p in SHARED.iterdir()} - {"PROVENANCE.md"} == {*IMPORTED, *REFUSED}


@pytest.mark.parametrize(
    ("archive", "other"), [("sector.cdb", "blisk_sector.vtu"), ("HexBeam.cdb", "hexbeam_ansys.vtu")]
)
def test_ansys_archives_agree_with_their_conversion(archive, other, shared_mesh):
    ours, theirs = (read_mesh(shared_mesh(name), length_unit="m") for name in (archive, other))
    assert np.abs(ours.points - theirs.points).max() < 1e-12
    for kind, conn in theirs.cells.items():
        assert np.array_equal(np.sort(ours.cells[kind], axis=1), np.sort(conn, axis=1))
    assert ours.cell_measures().sum() == pytest.approx(theirs.cell_measures().sum(), rel=1e-12)


def test_two_formats_of_one_mesh_agree(shared_mesh):
    gmsh, abaqus = (read_mesh(shared_mesh(f"as1_assembly.{e}"), length_unit="mm") for e in ("msh", "inp"))
    assert np.abs(gmsh.points - abaqus.points).max() < 1e-9
    for name in ("xmin", "xmax", "zmin", "zmax"):
        areas = [
            np.linalg.norm(m.facet_vectors(m.groups[name].facets)[0], axis=1).sum() for m in (gmsh, abaqus)
        ]
        assert areas[0] == pytest.approx(areas[1], rel=1e-12)
    for i in range(1, 19):
        volume = gmsh.cell_measures()[gmsh.groups[f"body {i}"].cells].sum()
        assert volume == pytest.approx(
            abaqus.cell_measures()[abaqus.groups[f"body_{i}"].cells].sum(), rel=1e-12
        )
        assert np.array_equal(
            np.sort(abaqus.points[abaqus.groups[f"body_{i}"].nodes], axis=0),
            np.sort(abaqus.points[abaqus.nodes_of_cells(abaqus.groups[f"body_{i}"].cells)], axis=0),
        )
