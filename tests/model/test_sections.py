"""Sections fill cells with a material, in one stress order."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from designtwin.errors import ModelError, UnitError
from designtwin.model.coordinates import Cartesian, Cylindrical
from designtwin.model.magnitude import field, table
from designtwin.model.materials import LinearElastic, material
from designtwin.model.sections import Axisymmetric, PlaneStrain, PlaneStress, Solid, Truss, section_of
from designtwin.plain import Plain

STEEL = material("S355")
PLY = material("CFRP AS4/3501-6")
TURNED = Cartesian(x=(np.cos(0.5), np.sin(0.5), 0.0), xy=(-np.sin(0.5), np.cos(0.5), 0.0))
SECTIONS = [
    Solid(STEEL, formulation="b-bar", orientation=TURNED),
    PlaneStress(PLY, thickness="5 mm", orientation=TURNED),
    PlaneStress(STEEL, thickness=field([[0, 0], [1, 0]], ["5 mm", "8 mm"])),
    PlaneStrain(STEEL),
    Axisymmetric(STEEL, orientation=Cylindrical()),
    Truss(STEEL, area="20 mm2"),
]


def test_a_bare_material_is_a_solid():
    assert section_of(STEEL) == Solid(STEEL)
    assert section_of(SECTIONS[1]) is SECTIONS[1]
    with pytest.raises(ModelError, match="a material or a section is wanted"):
        section_of("S355")


@settings(max_examples=40, deadline=None)
@given(E=st.floats(1e6, 1e12), nu=st.floats(-0.9, 0.49))
def test_isotropic_plane_stress_is_the_closed_form(E, nu):
    stiffness = PlaneStress(LinearElastic(youngs_modulus=E, poissons_ratio=nu), thickness=1.0).stiffness()
    known = np.zeros((6, 6))
    known[0, 0] = known[1, 1] = E / (1 - nu**2)
    known[0, 1] = known[1, 0] = nu * E / (1 - nu**2)
    known[3, 3] = E / (2 * (1 + nu))
    assert_allclose(stiffness, known, rtol=1e-9, atol=1e-9 * E)


def test_orthotropic_plane_stress_turns_like_a_laminate():
    """Qbar of classical laminate theory at 0.5 rad (Jones, Mechanics of Composite Materials, 2.6)."""
    section = SECTIONS[1]
    got = section.stiffness(axes=section.axes(np.zeros((1, 3))))[0]
    E1, E2, n12, G = 126e9, 11e9, 0.28, 6.6e9
    n21 = n12 * E2 / E1
    Q11, Q22, Q12 = E1 / (1 - n12 * n21), E2 / (1 - n12 * n21), n12 * E2 / (1 - n12 * n21)
    c, s = np.cos(0.5), np.sin(0.5)
    assert_allclose(got[0, 0], Q11 * c**4 + 2 * (Q12 + 2 * G) * s**2 * c**2 + Q22 * s**4)
    assert_allclose(got[0, 1], (Q11 + Q22 - 4 * G) * s**2 * c**2 + Q12 * (s**4 + c**4))
    assert_allclose(got[0, 3], (Q11 - Q12 - 2 * G) * s * c**3 + (Q12 - Q22 + 2 * G) * s**3 * c)
    assert_allclose(got[3, 3], (Q11 + Q22 - 2 * Q12 - 2 * G) * s**2 * c**2 + G * (s**4 + c**4))
    assert_allclose(got[[2, 4, 5]], 0.0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_plane_stress_with_its_full_strain_leaves_no_stress_out_of_plane(seed):
    rng = np.random.default_rng(seed)
    axes = Rotation.random(random_state=seed).as_matrix()
    section = PlaneStress(PLY, thickness=1.0)
    strain = np.zeros(6)
    strain[[0, 1, 3]] = rng.normal(size=3) * 1e-3
    thermal = section.thermal_strain(350.0, 300.0, axes)
    full = section.full_strain(strain, axes=axes, thermal=thermal)
    stress = Solid(PLY).stiffness(axes=axes) @ (full - thermal)
    scale = 126e9 * 1e-3
    assert_allclose(full[[0, 1, 3]], strain[[0, 1, 3]])
    assert_allclose(stress[[2, 4, 5]], 0.0, atol=1e-9 * scale)
    assert_allclose(stress, section.stiffness(axes=axes) @ (strain - thermal), atol=1e-9 * scale)


def test_plane_strain_and_axisymmetric_keep_the_whole_tangent():
    assert_allclose(PlaneStrain(STEEL).stiffness(), STEEL.stiffness())
    assert_allclose(Axisymmetric(STEEL).stiffness(), STEEL.stiffness())
    assert_allclose(PlaneStrain(STEEL).expansion_vector()[2], 12e-6)
    strain = np.array([1e-3, 0, 0, 0, 0, 0])
    assert PlaneStrain(STEEL).full_strain(strain) is strain


def test_axes_turn_expansion_and_conduction():
    wafer = Solid(material("FR4 laminate"), orientation=Cartesian(x="y", xy="z"))
    axes = wafer.axes(np.zeros((3, 3)))
    # the board's normal, its z, now lies along global x
    assert_allclose(wafer.conductivity_tensor(axes=axes)[0], np.diag([0.29, 0.81, 0.81]), atol=1e-15)
    assert_allclose(wafer.expansion_vector(axes=axes)[2], [60e-6, 15e-6, 15e-6, 0, 0, 0], atol=1e-18)
    assert_allclose(
        wafer.thermal_strain(np.full(3, 303.15), 293.15, axes)[0], 10 * wafer.expansion_vector(axes=axes)[0]
    )
    assert Solid(STEEL).axes(np.zeros((3, 3))) is None


def test_temperature_and_axes_broadcast():
    hot = LinearElastic(
        youngs_modulus=table(over="temperature", at=[300, 400], values=[2e9, 1e9]), poissons_ratio=0.3
    )
    section = Axisymmetric(hot, orientation=Cylindrical(axis="y"))
    points = np.random.default_rng(3).random((5, 4, 3)) + 0.1
    out = section.stiffness(np.full((5, 4), 350.0), section.axes(points))
    assert out.shape == (5, 4, 6, 6)
    assert_allclose(out, np.broadcast_to(hot.stiffness(350.0), (5, 4, 6, 6)), atol=1.0)


def test_a_truss_pulls_along_its_own_axis():
    bar = Truss(STEEL, area="20 mm2")
    axes = Cartesian(x=(1, 1, 0), xy=(0, 0, 1)).axes(np.zeros((1, 3)))
    stiffness = bar.stiffness(axes=axes)[0]
    along = np.array([0.5, 0.5, 0, 1.0, 0, 0])  # unit strain along the bar, engineering shear
    assert_allclose(along @ stiffness @ along, 210e9)
    assert np.linalg.matrix_rank(stiffness, tol=1.0) == 1
    assert_allclose(bar.axial_modulus(), 210e9)


def test_scale_turns_measure_into_volume():
    points = np.array([[0.0, 0, 0], [0.5, 0, 0]])
    assert_allclose(Solid(STEEL).scale(points), 1.0)
    assert_allclose(Truss(STEEL, area="20 mm2").scale(points), 20e-6)
    assert_allclose(SECTIONS[2].scale(points), [0.005, 0.0065])
    assert_allclose(PlaneStrain(STEEL).scale(points), 1.0)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: type(s).__name__)
def test_sections_survive_json(section):
    back = Plain.from_dict(json.loads(json.dumps(section.to_dict(), allow_nan=False)))
    assert back == section
    assert back.content_hash() == section.content_hash()
    assert_allclose(back.stiffness(), section.stiffness())


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: Solid("S355"), ModelError, "Solid wants a material"),
        (lambda: Solid(STEEL, formulation="bbar"), ModelError, "formulation is 'bbar'; it may be 'auto'"),
        (lambda: Solid(STEEL, orientation="x"), ModelError, "orientation is 'x'"),
        (
            lambda: PlaneStress(STEEL, thickness="0 mm"),
            ModelError,
            "PlaneStress thickness is 0 mm; it must be positive",
        ),
        (lambda: PlaneStress(STEEL, thickness="5 N"), UnitError, "PlaneStress thickness: '5 N' is a force"),
        (lambda: Truss(STEEL, area="5 mm"), UnitError, "is a length; an area is wanted"),
        (
            lambda: Truss(STEEL, area=table(over="time", at=[0, 1], values=[1, 2])),
            ModelError,
            "constant or a field",
        ),
    ],
)
def test_broken_sections_are_named(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
