"""The slope over the surface, and its picture."""

import numpy as np
import pytest

import designtwin as dtw
from designtwin.errors import PictureError
from designtwin.viz.sensitivity import surface_slope
from tests.builders import box, rectangle

STEEL = dtw.LinearElastic(youngs_modulus=2e11, poissons_ratio=0.3, density=7800.0)


def solved(mesh):
    part = STEEL if mesh.dimension == 3 else dtw.PlaneStress(STEEL, thickness=0.01)
    loads = {"pull": [dtw.Force(on="xmax", value=(1e4, -1e4, 0.0))]}
    return dtw.solve_static(dtw.Model(mesh, {"body": part}, [dtw.FixedSupport(on="xmin")], loads), keep=True)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron", "quad8"])
def test_mass_grows_by_its_density_wherever_the_surface_moves_out(element):
    mesh = rectangle(element, 4) if element == "quad8" else box(element, 4)
    (found,) = dtw.sensitivities(solved(mesh), dtw.mass())
    slope = surface_slope(mesh, found.points)
    away = np.sort(np.abs(mesh.points[:, : mesh.dimension] - 0.5), axis=1)
    middle = (away[:, -1] > 0.499) & (away[:, :-1] < 0.2).all(axis=1)
    assert slope[middle] == pytest.approx(7800.0 * (1.0 if mesh.dimension == 3 else 0.01), rel=1e-9)
    assert np.isnan(slope[away[:, -1] < 0.49]).all()


@pytest.mark.parametrize("element", ["tetra10", "quad"])
def test_the_picture_names_response_case_and_patch(element, tmp_path):
    mesh = rectangle(element, 3) if element == "quad" else box(element, 1)
    result = solved(mesh)
    picture = dtw.sensitivities(result, dtw.stress())[0].plot(screenshot=tmp_path / "slope.png", show=False)
    said = " ".join(picture.texts)
    assert "von Mises stress" in said
    assert "load case pull" in said
    assert (tmp_path / "slope.png").stat().st_size > 10_000


def test_a_sensitivity_without_slope_over_shape_is_refused():
    (found,) = dtw.sensitivities(solved(box("tetra", 1)), dtw.mass())
    bare = type(found)(
        model=found.model, response="x", case="", dimension="mass", value=1.0, true=1.0, scale=found.scale
    )
    with pytest.raises(PictureError, match="no slope over coordinates"):
        bare.plot(show=False)
