"""Every quantity of a requirement can be written in a text file, and means there what it means in Python."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box

import designtwin as dtw
from designtwin import requirements as quantities
from designtwin.errors import ModelError
from designtwin.io import write_mesh
from designtwin.prototype.grammar import QUANTITIES, parse_requirement
from designtwin.requirements import Quantity

SAME = {
    'brittle_margin("drucker_prager") >= 1.5': dtw.brittle_margin("drucker_prager") >= 1.5,
    'composite_margin("hashin", excluding=near("lug", "4 mm")) >= 1.2': (
        dtw.composite_margin("hashin", excluding=dtw.near("lug", "4 mm")) >= 1.2
    ),
    'strain("principal_1", on="lug", over="max") <= "0.5 %"': dtw.strain("principal_1", on="lug") <= "0.5 %",
    'creep_life(temperature_tolerance="5 K") >= "100000 h"': (
        dtw.creep_life(temperature_tolerance="5 K") >= "100000 h"
    ),
    'creep_margin("100000 h") >= 1.25': dtw.creep_margin("100000 h") >= 1.25,
    'fkm_margin(consequence="low") >= 1': dtw.fkm_margin(consequence="low") >= 1,
    'linearized_stress(("0 mm", "0 mm", "0 mm"), ("0 mm", "9 mm", "0 mm"), "membrane") <= "138 MPa"': (
        dtw.linearized_stress(("0 mm", "0 mm", "0 mm"), ("0 mm", "9 mm", "0 mm"), "membrane") <= "138 MPa"
    ),
    'hot_spot_stress("toe", "+x", "8 mm", method="0.5t 1.5t") <= "200 MPa"': (
        dtw.hot_spot_stress("toe", "+x", "8 mm", method="0.5t 1.5t") <= "200 MPa"
    ),
    'damage(survival=0.975) <= 0.3': dtw.damage(survival=0.975) <= 0.3,
    'life(on="web") >= "10 years"': dtw.life(on="web") >= "10 years",
    'damage(case="ride", duration="8 h", curve="S355 base metal", method="Lalanne") <= 0.5': (
        dtw.damage(case="ride", duration="8 h", curve="S355 base metal", method="Lalanne") <= 0.5
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", SAME)
def test_text_says_what_python_says(text):
    assert parse_requirement(text) == SAME[text]
    assert str(parse_requirement(text)) == str(SAME[text])


def test_every_public_quantity_is_known_to_text_files():
    public = {
        name
        for name in dir(dtw)
        if callable(getattr(quantities, name, None)) and getattr(quantities, name) is getattr(dtw, name)
    }
    made = {name for name in public if not isinstance(getattr(quantities, name), type)}
    assert made == set(QUANTITIES)
    assert issubclass(Quantity, object)


PART = """\
requirements = [{requirements}]
[mesh]
file = "bar.msh"
length_unit = "mm"
[materials]
body = {material}
[[supports]]
type = "FixedSupport"
on = "xmin"
[[cases.lift]]
type = "Force"
on = "xmax"
value = ["0 N", "0 N", "-250 N"]
[[cases.lift]]
type = "Temperature"
value = "550 degC"
reference = "550 degC"
{rest}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("criteria")
    write_mesh(box("tetra10", (8, 2, 2), (0.2, 0.02, 0.02)), path / "bar.msh")
    return path


def run(folder, requirements, *, material='"S355"', rest=""):
    (folder / "part.toml").write_text(PART.format(requirements=requirements, material=material, rest=rest))
    return dtw.read_design(folder / "part.toml").run()


CREEP = 'creep_rupture = {{ constant = {c}, parameter = [17e3, 22e3], stress = ["300 MPa", "30 MPa"] }}'


@pytest.mark.parametrize(
    "material",
    [
        '{ library = "S355", %s }',
        '{ youngs_modulus = "210 GPa", poissons_ratio = 0.3, expansion = "12e-6 1/K", %s }',
    ],
)
def test_creep_is_stated_with_the_material(folder, material):
    (verdict,) = run(folder, "'creep_margin(\"1000 h\") >= 1.0'", material=material % CREEP.format(c="20.0"))
    strength = dtw.LarsonMiller(constant=20.0, parameter=(17e3, 22e3), stress=("300 MPa", "30 MPa"))
    p = 823.15 * (20.0 + 3.0)
    expected = 10 ** np.interp(p, (17e3, 22e3), np.log10([300e6, 30e6]))
    stress = verdict.result["lift"].von_mises().max()
    assert verdict.rows[0].value.value == pytest.approx(expected / stress, rel=1e-9)
    assert verdict.result.model.parts[0].section.material.creep_rupture.constant == strength.constant
    with pytest.raises(ModelError, match=r"line 6: .*constant"):
        run(folder, "'creep_margin(\"1000 h\") >= 1.0'", material=material % CREEP.format(c='"x"'))


def test_lines_and_hot_spots_are_stated_as_tables(folder):
    line = 'from_ = ["0.1 m", "10 mm", "0 mm"], to = ["0.1 m", "10 mm", "20 mm"], kind = "bending"'
    spot = 'quantity = "hot_spot_stress", away = "+x", thickness = "20 mm", at_most = "80 MPa"'
    (verdict,) = run(
        folder,
        f'{{ quantity = "linearized_stress", {line}, at_most = "50 MPa" }},\n'
        f'{{ {spot}, toe = \'box(("-1 mm", "-1 mm", "19 mm"), ("1 mm", "21 mm", "21 mm"))\' }},\n'
        f'{{ {spot}, toe = ["0 mm", "10 mm", "20 mm"] }}',
    )
    # Bending of a bar of 20 x 20 mm, 100 mm and at the toe 200 mm from the load of 250 N
    section = 0.02**3 / 6.0
    bending, edge, point = (row.value.value for row in verdict.rows)
    assert bending == pytest.approx(250.0 * 0.1 / section, rel=0.05)
    assert abs(edge) == pytest.approx(250.0 * 0.2 / section, rel=0.15)
    assert abs(point) == pytest.approx(250.0 * 0.2 / section, rel=0.15)


def test_damage_of_random_vibration_is_of_a_vibration_test(folder):
    rest = (
        "[test]\ndamping = '2 %'\n[excitations]\n"
        "ride = { base_psd = 'z', table = [['10 Hz', '0.3 g**2/Hz'], ['2 kHz', '0.3 g**2/Hz']] }\n"
    )
    asked = '\'damage(case="ride", duration="8 h", curve="S355 base metal") <= 0.3\', \'mass() <= "1 kg"\''
    (verdict,) = run(folder, asked, rest=rest)
    assert verdict.test == "vibration test"
    same = dtw.damage(case="ride", duration="8 h", curve="S355 base metal").evaluate(verdict.result)
    assert verdict.rows[0].value.value == same.value > 0.0
    with pytest.raises(ModelError, match=r"line 1: .*duration"):
        run(folder, '\'damage(case="ride", curve="S355 base metal") <= 0.3\'', rest=rest)
