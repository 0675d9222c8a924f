"""Geometry by its dimensions, meshed in a process of its own, and cells that follow when these change."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import MeshError

if importlib.util.find_spec("gmsh") is None:
    pytest.skip("gmsh is an extra", allow_module_level=True)

MM = 1e-3
PLATE = """
SetFactory("OpenCASCADE");
DefineConstant[ radius = 4, thick = 5 ];
Box(1) = {-10, -10, 0, 20, 20, thick};
Cylinder(2) = {0, 0, 0, 0, 0, thick, radius};
BooleanDifference(3) = { Volume{1}; Delete; }{ Volume{2}; Delete; };
Physical Volume("body") = {3};
e = 1e-3;
hole() = Surface In BoundingBox{-radius - e, -radius - e, -e, radius + e, radius + e, thick + e};
Physical Surface("hole") = {hole()};
"""
AS_DRAWN = {"radius": 4 * MM, "thick": 5 * MM}


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    path = tmp_path_factory.mktemp("cad") / "plate.geo"
    path.write_text(PLATE)
    return dtw.Cad(geometry=path, parameters=dict.fromkeys(AS_DRAWN, "length"), size="4 mm")


@pytest.fixture(scope="module")
def drawn(plate):
    return plate.mesh(AS_DRAWN)


def test_a_script_is_meshed_with_its_groups_and_gmsh_stays_outside(drawn):
    assert "gmsh" not in sys.modules, "GPL code runs in a process of its own"
    assert drawn.check().grade != "bad"
    assert set(drawn.groups) == {"body", "hole"}
    assert_allclose(drawn.extents, np.array([[-10, -10, 0], [10, 10, 5]]) * MM, atol=1e-12)
    assert "tetra10" in drawn.cells
    assert set(drawn.entity[:, 0]) == {0, 1, 2, 3}


def test_cells_follow_the_dimensions_exactly_on_every_face(plate, drawn):
    for radius, thick in ((2.5 * MM, 5 * MM), (6 * MM, 8 * MM)):
        new = plate.fitted(drawn, {"radius": radius, "thick": thick})
        hole = dtw.select("hole").resolve(new).nodes
        assert_allclose(np.hypot(*new.points[hole, :2].T), radius, rtol=1e-12)
        assert_allclose(new.extents[1], [10 * MM, 10 * MM, thick], atol=1e-12)
        assert new.check().grade != "bad"
        assert all(np.array_equal(new.cells[k], drawn.cells[k]) for k in drawn.cells)
    again = plate.fitted(drawn, AS_DRAWN)
    assert_allclose(again.points, drawn.points, atol=1e-9 * MM)


def test_a_fitted_mesh_may_be_fitted_again(plate, drawn):
    values = {"radius": 5 * MM, "thick": 6 * MM}
    step = plate.fitted(plate.fitted(drawn, {"radius": 4.5 * MM, "thick": 5.5 * MM}), values)
    assert_allclose(step.points, plate.fitted(drawn, values).points, atol=0.1 * MM)


def test_the_slope_of_the_volume_is_the_area_that_moves_and_its_error_is_told(plate, drawn):
    slopes, errors = plate.directions(drawn, AS_DRAWN, {"radius": 0.02 * MM, "thick": 0.02 * MM})
    h = 1e-6
    volume = {
        name: (
            drawn.moved(drawn.points + h * by).cell_measures().sum()
            - drawn.moved(drawn.points - h * by).cell_measures().sum()
        )
        / (2 * h)
        for name, by in slopes.items()
    }
    assert_allclose(volume["radius"], -2 * np.pi * 4 * MM * 5 * MM, rtol=2e-3)
    assert_allclose(volume["thick"], (20 * MM) ** 2 - np.pi * (4 * MM) ** 2, rtol=2e-3)
    assert 0.0 < errors["radius"] < 1e-5
    assert errors["thick"] < 1e-6
    hole = dtw.select("hole").resolve(drawn).nodes
    outward = drawn.points[hole, :2] / np.hypot(*drawn.points[hole, :2].T)[:, None]
    assert_allclose(np.einsum("na,na->n", slopes["radius"][hole, :2], outward), 1.0, rtol=1e-6)


def test_a_function_may_write_the_geometry(tmp_path):
    def step(values):
        path = tmp_path / f"box_{values['height']:g}.step"
        code = (
            "import gmsh, sys; gmsh.initialize(); gmsh.option.setNumber('General.Verbosity', 1);"
            f"gmsh.model.occ.addBox(0, 0, 0, 30, 20, {values['height'] / MM});"
            f"gmsh.model.occ.synchronize(); gmsh.write({str(path)!r})"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        return path

    part = dtw.Cad(geometry=step, size="10 mm", order=1)
    mesh = part.mesh({"height": 10 * MM})
    assert set(mesh.cells) == {"tetra"}
    taller = part.fitted(mesh, {"height": 14 * MM})
    assert_allclose(taller.cell_measures().sum(), 30 * 20 * 14 * MM**3, rtol=1e-9)
    finer = part.mesh({"height": 10 * MM}, size="5 mm")
    assert finer.n_cells > 2 * mesh.n_cells


def test_cells_refuse_to_follow_where_the_geometry_is_another(tmp_path):
    path = tmp_path / "slot.geo"
    path.write_text(
        'SetFactory("OpenCASCADE");\nDefineConstant[ depth = 5 ];\nBox(1) = {0, 0, 0, 20, 20, 10};\n'
        "Box(2) = {5, 5, 10 - depth, 10, 10, depth};\n"
        "BooleanDifference(3) = { Volume{1}; Delete; }{ Volume{2}; Delete; };\n"
    )
    part = dtw.Cad(geometry=path, parameters={"depth": "length"}, size="8 mm", order=1)
    mesh = part.mesh({"depth": 5 * MM})
    part.fitted(mesh, {"depth": 7 * MM})
    with pytest.raises(
        MeshError, match=r"depth 10 mm\) hangs together otherwise.*11 faces there.*10 faces here"
    ):
        part.fitted(mesh, {"depth": 10 * MM})  # the pocket becomes a hole


def test_wrong_use_is_told(plate, drawn, tmp_path):
    with pytest.raises(MeshError, match="no parameter 'width'"):
        dataclasses.replace(plate, parameters={"width": "length"})
    with pytest.raises(MeshError, match="'radius' is said to be 'lenght'; length"):
        dataclasses.replace(plate, parameters={"radius": "lenght"})
    with pytest.raises(MeshError, match="'radius' is nan; a finite"):
        plate.mesh({"radius": float("nan")})
    with pytest.raises(MeshError, match="'angle' is not among"):
        plate.mesh({"angle": 1.0})
    with pytest.raises(MeshError, match="only a mesh that"):
        plate.fitted(dtw.Mesh(drawn.points, drawn.cells), AS_DRAWN)
    with pytest.raises(MeshError, match="no file"):
        dtw.Cad(geometry=tmp_path / "none.geo", parameters={"a": "length"}, size=1.0)
    with pytest.raises(MeshError, match="not geometry that gmsh reads"):
        dtw.Cad(geometry=tmp_path / "part.sldprt", size=1.0)
    (tmp_path / "part.step").write_text("")
    with pytest.raises(MeshError, match="has no parameters"):
        dtw.Cad(geometry=tmp_path / "part.step", size=1.0)
    with pytest.raises(MeshError, match="order"):
        dataclasses.replace(plate, order=3)
    with pytest.raises(MeshError, match=r"did not mesh .* within 0.05 s"):
        dataclasses.replace(plate, max_time=0.05).mesh(AS_DRAWN)
    with pytest.raises(MeshError, match=r"gmsh cannot .*radius 20 mm"):
        plate.mesh({"radius": 20 * MM, "thick": 5 * MM})
    broken = tmp_path / "broken.geo"
    broken.write_text("DefineConstant[ a = 1 ];\nBox(1) = ;\n")
    with pytest.raises(MeshError, match="gmsh cannot mesh"):
        dtw.Cad(geometry=broken, parameters={"a": "length"}, size=1.0).mesh({"a": 1.0})
