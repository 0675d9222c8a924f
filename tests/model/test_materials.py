"""Materials obey physics, name what is missing, and say where their numbers come from."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from designtwin.errors import DesignTwinError, MaterialError, MissingPropertyError, ModelError, UnitError
from designtwin.model.coordinates import rotate_stiffness
from designtwin.model.magnitude import field, table
from designtwin.model.materials import LinearElastic, Material, Orthotropic, material, material_names
from designtwin.plain import Plain

HOT_STEEL = LinearElastic(
    name="hot",
    youngs_modulus=table(over="temperature", at=["20 degC", "400 degC"], values=["210 GPa", "170 GPa"]),
    poissons_ratio=0.3,
    expansion=table(over="temperature", at=["20 degC", "420 degC"], values=["11e-6/K", "15e-6/K"]),
    conductivity=table(over="temperature", at=["20 degC", "420 degC"], values=["54 W/(m*K)", "40 W/(m*K)"]),
)
PLY = material("CFRP AS4/3501-6")


def through_json(thing):
    return Plain.from_dict(json.loads(json.dumps(thing.to_dict(), allow_nan=False)))


def test_isotropic_stiffness_is_hookes_law():
    steel = LinearElastic(youngs_modulus="210 GPa", poissons_ratio=0.3)
    stress = np.array([100e6, 0, 0, 30e6, 0, 0])
    strain = np.linalg.solve(steel.stiffness(), stress)
    shear = 30e6 * 2 * 1.3 / 210e9
    assert_allclose(
        strain, np.array([100e6, -30e6, -30e6, shear * 210e9, 0, 0]) / 210e9, rtol=1e-12, atol=1e-18
    )


@settings(max_examples=60, deadline=None)
@given(E=st.floats(1e3, 1e12), nu=st.floats(-0.95, 0.4999), seed=st.integers(0, 1000))
def test_isotropic_stiffness_is_positive_and_the_same_in_all_axes(E, nu, seed):
    stiffness = LinearElastic(youngs_modulus=E, poissons_ratio=nu).stiffness()
    assert_allclose(stiffness, stiffness.T)
    assert np.linalg.eigvalsh(stiffness).min() > 0
    turned = rotate_stiffness(stiffness, Rotation.random(random_state=seed).as_matrix())
    assert_allclose(turned, stiffness, atol=1e-10 * abs(stiffness).max())


def test_orthotropic_stiffness_inverts_the_compliance_of_the_textbook():
    (E1, E2, E3), (n12, n23, n13), (G12, G23, G13) = (
        (126e9, 11e9, 11e9),
        (0.28, 0.4, 0.28),
        (6.6e9, 3.93e9, 6.6e9),
    )
    compliance = np.array(
        [
            [1 / E1, -n12 / E1, -n13 / E1, 0, 0, 0],
            [-n12 / E1, 1 / E2, -n23 / E2, 0, 0, 0],
            [-n13 / E1, -n23 / E2, 1 / E3, 0, 0, 0],
            [0, 0, 0, 1 / G12, 0, 0],
            [0, 0, 0, 0, 1 / G23, 0],
            [0, 0, 0, 0, 0, 1 / G13],
        ]
    )
    assert_allclose(PLY.stiffness() @ compliance, np.eye(6), atol=1e-12)


def test_orthotropic_with_equal_constants_is_isotropic():
    same = Orthotropic(
        youngs_modulus=(70e9,) * 3, poissons_ratio=(0.33,) * 3, shear_modulus=(70e9 / 2.66,) * 3
    )
    assert_allclose(
        same.stiffness(), LinearElastic(youngs_modulus=70e9, poissons_ratio=0.33).stiffness(), rtol=1e-12
    )


def test_silicon_wafer_is_the_crystal_turned_by_45_degrees():
    """Hopcroft's engineering constants against the cubic constants C11, C12, C44 he starts from."""
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = 63.9e9
    cubic[[0, 1, 2], [0, 1, 2]] = 165.7e9
    cubic[[3, 4, 5], [3, 4, 5]] = 79.6e9
    c = np.sqrt(0.5)
    # wafer axes seen from the crystal: the crystal's axes are the wafer's turned back by 45 degrees
    wafer = rotate_stiffness(cubic, np.array([[c, -c, 0], [c, c, 0], [0, 0, 1]]))
    assert_allclose(material("silicon (100)").stiffness(), wafer, atol=2.5e9)


def test_silicon_average_lies_between_the_bounds_of_voigt_and_reuss():
    bulk = (165.7 + 2 * 63.9) / 3
    voigt = ((165.7 - 63.9) + 3 * 79.6) / 5
    reuss = 5 / (4 / (165.7 - 63.9) + 3 / 79.6)
    shear = (voigt + reuss) / 2
    average = material("silicon")
    assert_allclose(float(average.youngs_modulus), 9e9 * bulk * shear / (3 * bulk + shear), rtol=5e-3)
    assert_allclose(float(average.poissons_ratio), (3 * bulk - 2 * shear) / (6 * bulk + 2 * shear), rtol=1e-2)


def test_tables_over_temperature_reach_every_tensor():
    temperature = np.array([[293.15, 483.15], [673.15, 383.15]])
    stiffness = HOT_STEEL.stiffness(temperature)
    assert stiffness.shape == (2, 2, 6, 6)
    assert_allclose(stiffness[0, 1], HOT_STEEL.stiffness(483.15))
    assert_allclose(HOT_STEEL.axial_modulus(483.15), 190e9)
    assert_allclose(HOT_STEEL.conductivity_tensor(np.array([493.15]))[0], 47.0 * np.eye(3))
    assert HOT_STEEL.depends_on_temperature("stiffness")
    assert not HOT_STEEL.depends_on_temperature("density")
    with pytest.raises(
        ModelError, match=r"youngs_modulus of material 'hot' is tabulated .* without a temperature"
    ):
        HOT_STEEL.stiffness()
    with pytest.raises(ModelError, match=r"from 20 °C to 400 °C; 426.9 °C is outside"):
        HOT_STEEL.stiffness(700.0)


def test_orthotropic_tables():
    printed = Orthotropic(
        youngs_modulus=table(
            over="temperature", at=[300, 400], values=[(2e9, 2e9, 1.5e9), (1e9, 1e9, 0.7e9)]
        ),
        poissons_ratio=(0.35, 0.35, 0.35),
        shear_modulus=("0.7 GPa", "0.5 GPa", "0.5 GPa"),
        conductivity=(0.2, 0.2, 0.1),
    )
    assert_allclose(1 / np.linalg.inv(printed.stiffness(350.0))[0, 0], 1.5e9)
    assert_allclose(printed.axial_modulus(np.array([300.0, 400.0])), [2e9, 1e9])
    assert_allclose(printed.conductivity_tensor(np.full(3, 300.0))[1], np.diag([0.2, 0.2, 0.1]))
    assert_allclose(PLY.expansion_vector(), [-1e-6, 26e-6, 26e-6, 0, 0, 0])


def test_thermal_strain_is_zero_at_the_stress_free_temperature_whatever_the_reference_of_the_table():
    steel = HOT_STEEL
    assert_allclose(steel.thermal_strain(393.15, 393.15), 0.0, atol=1e-18)
    # by hand: a(220 degC) = 13e-6, a(120 degC) = 12e-6, both secants from 20 degC
    strain = steel.thermal_strain(493.15, 393.15)
    assert_allclose(strain[:3], 13e-6 * 200 - 12e-6 * 100)
    assert_allclose(strain[3:], 0.0)
    plain = LinearElastic(expansion="12e-6 1/K")
    assert_allclose(plain.thermal_strain(np.array([393.15]), 313.15)[0, :3], 12e-6 * 80)


def test_a_purely_thermal_material_is_allowed_and_says_what_it_lacks():
    pad = material("gap pad 1.5")
    assert_allclose(pad.heat_capacity(), 2100 * 1000)
    with pytest.raises(MissingPropertyError) as caught:
        pad.stiffness()
    assert str(caught.value) == (
        "youngs_modulus of material 'gap pad 1.5' is needed by elastic stiffness; state it, e.g. "
        "youngs_modulus='210 GPa': nothing missing is guessed"
    )
    with pytest.raises(
        MissingPropertyError, match="density of the LinearElastic material is needed by Gravity"
    ):
        LinearElastic(youngs_modulus=1e9).require("density", test="Gravity")
    with pytest.raises(MissingPropertyError, match="Orthotropic material has no such property"):
        PLY.require("yield_strength", test="yield_margin")
    assert PLY.magnitude("yield_strength") is None


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ({"youngs_modulus": "-3 MPa"}, "youngs_modulus of material 'X' is -3 MPa; it must be positive"),
        ({"youngs_modulus": 0.0}, "must be positive"),
        ({"density": "0 kg/m3"}, "density .* must be positive"),
        ({"yield_strength": "-1 MPa"}, "must be positive"),
        ({"conductivity": "-1 W/(m*K)"}, "must be positive"),
        ({"poissons_ratio": 0.5}, "between -1 and 0.5 .an incompressible material"),
        ({"poissons_ratio": 0.6}, "is 0.6; it must lie between"),
        ({"poissons_ratio": -1.0}, "is -1; it must lie between"),
        ({"poissons_ratio": table(over="temperature", at=[300, 400], values=[0.3, 0.55])}, "is 0.55"),
        (
            {"yield_strength": "400 MPa", "ultimate_strength": "300 MPa"},
            "300 MPa, below its yield_strength of 400 MPa",
        ),
        ({"youngs_modulus": table(over="time", at=[0, 1], values=[1, 2])}, "varies over time"),
        ({"density": field([[0, 0, 0], [1, 0, 0]], [1, 2])}, "varies over points"),
        ({"source": {"desnity": "me"}}, "'desnity' is no property"),
    ],
)
def test_impossible_materials_are_refused(properties, sentence):
    with pytest.raises(MaterialError, match=sentence):
        LinearElastic(name="X", **properties)


def test_units_are_checked():
    with pytest.raises(UnitError, match="youngs_modulus: '210 kN' is a force; a modulus is wanted"):
        LinearElastic(youngs_modulus="210 kN")
    with pytest.raises(ModelError, match="youngs_modulus wants 3 values, got one"):
        Orthotropic(youngs_modulus="210 GPa")
    assert LinearElastic(poissons_ratio=0.4999).poissons_ratio.value == 0.4999


positive = st.floats(1e8, 1e12)
ratios = st.floats(-0.9, 0.9)


@settings(max_examples=150, deadline=None)
@given(E=st.tuples(*[positive] * 3), nu=st.tuples(*[ratios] * 3))
def test_orthotropic_is_refused_exactly_when_it_would_give_energy_away(E, nu):
    n12, n23, n13 = nu
    n21, n32, n31 = n12 * E[1] / E[0], n23 * E[2] / E[1], n13 * E[2] / E[0]
    # Lempriere (1968): the conditions in closed form
    minors = [1 - n12 * n21, 1 - n23 * n32, 1 - n13 * n31]
    determinant = 1 - n12 * n21 - n23 * n32 - n13 * n31 - 2 * n21 * n32 * n13
    worst = min(*minors, determinant)
    assume(abs(worst) > 1e-6)
    stated = {"youngs_modulus": E, "poissons_ratio": nu, "shear_modulus": (1e9, 1e9, 1e9)}
    if worst < 0:
        with pytest.raises(MaterialError, match="not positive definite"):
            Orthotropic(**stated)
    else:
        assert np.linalg.eigvalsh(Orthotropic(**stated).stiffness()).min() > 0


@pytest.mark.parametrize(
    "stated", [HOT_STEEL, PLY, material("S355"), LinearElastic(conductivity=3.0)], ids=repr
)
def test_materials_survive_json(stated):
    back = through_json(stated)
    assert back == stated
    assert back.content_hash() == stated.content_hash()
    assert str(back) == str(stated)


def test_content_hash_is_the_same_in_another_process():
    code = "from designtwin.model.materials import material; print(material('S355').content_hash())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == material("S355").content_hash()
    assert material("S355").content_hash() != material("S355", yield_strength="354 MPa").content_hash()


# the library

BOUNDS = {  # of everything an engineer meets, silicone pad to diamond tool
    "youngs_modulus": (1e6, 1.2e12), "poissons_ratio": (0.0, 0.5), "shear_modulus": (1e6, 6e11),
    "density": (100, 23000), "specific_heat": (100, 4200), "conductivity": (0.02, 450),
    "expansion": (-5e-6, 200e-6), "yield_strength": (1e6, 3e9), "ultimate_strength": (1e6, 6e9),
    "compressive_strength": (1e6, 6e9), "tensile_strength": (1e6, 6e9), "shear_strength": (1e6, 1e9),
}  # fmt: skip


@pytest.mark.parametrize("name", material_names())
def test_every_value_of_the_library_is_plausible_and_sourced(name):
    found = material(name)
    stated = {key: found.magnitude(key) for key in found.properties if found.magnitude(key) is not None}
    assert "density" in stated or name.startswith("CFRP")
    for key, value in stated.items():
        low, high = BOUNDS[key]
        assert low <= value.values.min()
        assert value.values.max() <= high
        assert found.source_of(key).endswith(("(typical)", "(nominal)", "(standard minimum)"))
    if "specific_heat" in stated:  # solids hold 0.9 to 4 MJ/(m3 K)
        assert 0.9e6 < found.heat_capacity() < 4.1e6
    if "youngs_modulus" in stated:
        assert np.linalg.eigvalsh(found.stiffness()).min() > 0
        for strength in ("yield_strength", "ultimate_strength"):
            if strength in stated:
                assert 1e-4 < float(stated[strength]) / float(stated["youngs_modulus"]) < 0.05
    assert through_json(found) == found
    assert name in str(found)


def test_every_source_of_the_library_is_used():
    from designtwin.model.materials import _library

    entries, _ = _library()
    sources = next(iter(entries.values()))["sources"]
    used = {
        entry[key][1]
        for entry in entries.values()
        for key in entry
        if isinstance(entry[key], list) and key in BOUNDS
    }
    assert used == set(sources)


def test_the_library_holds_what_the_readme_promises():
    promised = """S235, S275, S355, 42CrMo4, 304, 316L, Al 6061-T6, 7075-t6, Ti-6Al-4V, copper, brass,
        GJL-250, abs, PC, PA66, POM, silicon, FR4, alumina, glass, solder, 1.4301, en aw 6061 t6, TIM"""
    for name in promised.split(","):
        assert isinstance(material(name), Material)
    assert material("S355").yield_strength.value == 355e6
    assert material("1.4301") == material("304")


def test_overrides_are_named_in_the_source():
    steel = material("S355", yield_strength="345 MPa", density=None, name="thick plate")
    assert steel.yield_strength.value == 345e6
    assert steel.source_of("yield_strength") == "stated by the user"
    assert steel.magnitude("density") is None
    assert steel.name == "thick plate"
    assert "EN 1993-1-1" in steel.source_of("youngs_modulus")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: material("S356"), "no material 'S356'; did you mean 'S355'"),
        (lambda: material("inconel"), "'Inconel 718'"),
        (lambda: material("steel"), "did you mean 'S235' or 'S275' or 'S355'"),
        (lambda: material("unobtainium"), "Or state it with LinearElastic"),
        (lambda: material(355), "wants a name"),
        (
            lambda: material("S355", yeild_strength=1),
            "no property 'yeild_strength'; did you mean 'yield_strength'",
        ),
    ],
)
def test_a_miss_shows_what_is_near(call, sentence):
    with pytest.raises(MaterialError, match=sentence):
        call()


def test_damaged_plain_data_is_refused():
    data = material("S355").to_dict()
    data["poissons_ratio"] = data["poissons_ratio"] | {"value": 0.7, "values": 0.7}
    with pytest.raises(DesignTwinError):
        Plain.from_dict(data)


def test_printing_shows_value_unit_and_source():
    text = str(material("S355"))
    assert "yield strength" in text
    assert "355 MPa" in text
    assert "EN 10025-2:2019" in text
    assert repr(material("S355")) == "<LinearElastic S355>"
