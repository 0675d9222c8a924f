"""Margins, strain and creep read off solved models: closed forms, intervals, notes, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import box, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import MaterialError, MissingPropertyError, RequirementError
from designtwin.requirements import Requirement

MPA = 1e6
PLY = dtw.Orthotropic(
    youngs_modulus=(126e9, 11e9, 11e9),
    poissons_ratio=(0.28, 0.4, 0.28),
    shear_modulus=(6.6e9, 3.9e9, 6.6e9),
    tensile_strength=(1950e6, 48e6, 48e6),
    compressive_strength=(1480e6, 200e6, 200e6),
    shear_strength=(79e6, 55e6, 79e6),
)
STEEL = dtw.LinearElastic(
    youngs_modulus="210 GPa", poissons_ratio=0.3, yield_strength="355 MPa", ultimate_strength="470 MPa"
)
IRON = dtw.LinearElastic(
    youngs_modulus="110 GPa", poissons_ratio=0.26, ultimate_strength="250 MPa", compressive_strength="840 MPa"
)
REST = (
    dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.0, 0.0)), x=0.0, y=0.0, z=0.0),
    dtw.PrescribedDisplacement(on=dtw.nearest((1.0, 0.0, 0.0)), y=0.0, z=0.0),
    dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 1.0, 0.0)), z=0.0),
)


def pulled(section, mpa=10.0, state=(), **more):
    """A unit cube under lone stress xx."""
    traction = mpa * MPA
    return dtw.Model(
        box("hexahedron20", 2),
        materials={"body": section},
        supports=REST,
        load_cases={
            "pull": [
                dtw.Traction(on="xmax", value=(traction, 0.0, 0.0)),
                dtw.Traction(on="xmin", value=(-traction, 0.0, 0.0)),
                *state,
            ]
        },
        **more,
    )


@pytest.mark.parametrize("angle", [0.0, 10.0, 45.0, 90.0])
def test_an_off_axis_ply_breaks_as_the_criterion_says_in_its_own_axes(angle):
    t = np.deg2rad(angle)
    c, s = np.cos(t), np.sin(t)
    axes = dtw.Cartesian(x=(c, s, 0.0), xy=(-s, c, 0.0))
    result = dtw.solve_static(pulled(dtw.Solid(PLY, orientation=axes)))
    # textbook formulas in the ply's axes
    s1, s2, s12 = (10 * c * c, 10 * s * s, -10 * s * c)
    q = s1**2 / (1950 * 1480) + s2**2 / (48 * 200) + s12**2 / 79**2
    q -= s1 * s2 / np.sqrt(1950 * 1480 * 48 * 200)
    a = s1 * (1 / 1950 - 1 / 1480) + s2 * (1 / 48 - 1 / 200)
    tsai_wu = (-a + np.sqrt(a * a + 4 * q)) / (2 * q)
    hashin = 1 / max(np.hypot(s1 / 1950, s12 / 79), np.hypot(s2 / 48, s12 / 79))
    for criterion, expected in (("tsai_wu", tsai_wu), ("hashin", hashin)):
        value = dtw.composite_margin(criterion).evaluate(result)
        assert value.value == pytest.approx(expected, rel=1e-6)
        assert value.low <= expected * (1 + 1e-9)
        assert value.high >= expected * (1 - 1e-9)
        assert value.high - value.low < 1e-3 * expected  # uniform stress has no error
        found = dtw.utilization(result, criterion)
        assert found.values.max() == pytest.approx(1.0 / expected, rel=1e-6)
    mode = dtw.composite_margin("hashin").evaluate(result).note
    assert mode == ("fiber tension" if angle == 0.0 else "matrix tension")


def test_the_margin_is_the_factor_on_the_load():
    axes = dtw.Cartesian(x=(0.6, 0.8, 0.0), xy=(-0.8, 0.6, 0.0))
    section = dtw.Solid(PLY, orientation=axes)
    for criterion in ("tsai_wu", "hashin", "max_stress", "max_strain"):
        margin = dtw.composite_margin(criterion).evaluate(dtw.solve_static(pulled(section))).value
        loaded = dtw.solve_static(pulled(section, 10.0 * margin))
        assert dtw.composite_margin(criterion).evaluate(loaded).value == pytest.approx(1.0, rel=1e-6)


def test_max_strain_leaves_free_thermal_strain_out():
    warm = dtw.Orthotropic(
        **{key: getattr(PLY, key) for key in PLY.properties if getattr(PLY, key) is not None},
        expansion=(1e-6, 26e-6, 26e-6),
    )
    hot = dtw.solve_static(pulled(warm, state=[dtw.Temperature("120 degC")]))
    cold = dtw.solve_static(pulled(PLY))
    margin = dtw.composite_margin("max_strain")
    assert margin.evaluate(hot).value == pytest.approx(margin.evaluate(cold).value, rel=1e-6)


def test_brittle_criteria_of_a_pull_and_a_push():
    for mpa, strength in ((10.0, 250.0), (-10.0, 840.0)):
        result = dtw.solve_static(pulled(IRON, mpa))
        for criterion in ("rankine", "mohr_coulomb", "modified_mohr", "drucker_prager"):
            value = dtw.brittle_margin(criterion).evaluate(result)
            assert value.value == pytest.approx(strength / 10.0, rel=1e-6)
            assert value.low <= strength / 10.0 * (1 + 1e-9)
            assert dtw.utilization(result, criterion).values.max() == pytest.approx(10 / strength, rel=1e-6)


def test_fkm_factors_are_inside_the_margin():
    result = dtw.solve_static(pulled(STEEL, 100.0))
    # j = max(2.0 * 355/470, 1.5) = 1.5106, and n_pl 1
    assert dtw.fkm_margin().evaluate(result).value == pytest.approx(3.55 / (2.0 * 355 / 470), rel=1e-6)
    low = dtw.fkm_margin(consequence="low", likelihood="low").evaluate(result).value
    assert low == pytest.approx(3.55 / max(1.6 * 355 / 470, 1.2), rel=1e-6)
    soft = dtw.LinearElastic(
        youngs_modulus="210 GPa", poissons_ratio=0.3, yield_strength="200 MPa", ultimate_strength="500 MPa"
    )
    # 2.0 * 200/500 is below 1.5, which counts then
    assert dtw.fkm_margin().evaluate(dtw.solve_static(pulled(soft, 100.0))).value == pytest.approx(2.0 / 1.5)
    plastic = dtw.fkm_margin(plastic_limit=1.27).evaluate(result).value
    assert plastic == pytest.approx(1.27 * 3.55 / (2.0 * 355 / 470), rel=1e-6)
    # sqrt(210e9 * 5 % / 355e6) = 5.44 caps the plastic limit
    capped = dtw.fkm_margin(plastic_limit=10.0).evaluate(result).value
    assert capped == pytest.approx(np.sqrt(210e3 * 0.05 / 355) * 3.55 / (2.0 * 355 / 470), rel=1e-6)
    sized = dtw.fkm_margin(size_factor=0.9, anisotropy=0.95).evaluate(result).value
    assert sized == pytest.approx(0.9 * 0.95 * 3.55 / (2.0 * 355 / 470), rel=1e-6)
    assert dtw.utilization(result, "fkm").values.max() == pytest.approx(2.0 * 355 / 470 / 3.55, rel=1e-6)


def test_strain_of_a_pull_with_heat():
    warm = dtw.LinearElastic(youngs_modulus="210 GPa", poissons_ratio=0.3, expansion="12e-6 1/K")
    result = dtw.solve_static(pulled(warm, 210.0, state=[dtw.Temperature("120 degC")]))
    free = 12e-6 * 100.0
    for component, expected in (
        ("xx", 1e-3 + free), ("yy", -0.3e-3 + free), ("xy", 0.0), ("principal_1", 1e-3 + free),
        ("principal_3", -0.3e-3 + free),
    ):  # fmt: skip
        value = dtw.strain(component).evaluate(result)
        assert value.value == pytest.approx(expected, rel=1e-6, abs=1e-12)
        assert value.low <= expected + 1e-12
        assert value.high >= expected - 1e-12
    requirement = dtw.strain("principal_1", on="body") <= "0.5 %"
    assert requirement.limit == 0.005
    assert requirement.judge(result).status == "PASS"


def test_intervals_of_bent_parts_hold_what_a_fine_mesh_gives():
    """A notched sheet: the number of a fine mesh lies within the interval of a coarse one."""

    def notched(n):
        def shape(x):
            y = x[:, 1] * (1.0 - 0.35 * np.exp(-(((x[:, 0] - 0.5) / 0.15) ** 2)))
            return np.column_stack([x[:, 0], y, x[:, 2]])

        return rectangle("quad8", (2 * n, n), (1.0, 0.4), shape=shape)

    def solved(n, section):
        return dtw.solve_static(
            dtw.Model(
                notched(n),
                materials={"body": section},
                supports=[
                    dtw.PrescribedDisplacement(on="xmin", x=0.0),
                    dtw.PrescribedDisplacement(on="ymin", y=0.0),
                ],
                load_cases={"pull": [dtw.Traction(on="xmax", value=(20e6, 5e6, 0.0))]},
            )
        )

    axes = dtw.Cartesian(x=(1.0, 0.0, 0.0), xy=(0.0, 1.0, 0.0))
    ply = dtw.PlaneStress(PLY, thickness=0.01, orientation=axes)
    iron = dtw.PlaneStress(IRON, thickness=0.01)
    steel = dtw.PlaneStress(STEEL, thickness=0.01)
    place = {"on": dtw.box((0.2, -1, -1), (0.8, 1, 1))}  # clear of the clamped side's corners
    for section, quantities in (
        (ply, [dtw.composite_margin(c, **place) for c in ("tsai_wu", "hashin", "max_stress", "max_strain")]),
        (iron, [dtw.brittle_margin(c, **place) for c in ("drucker_prager", "modified_mohr")]),
        (steel, [dtw.fkm_margin(**place), dtw.strain(**place), dtw.strain("xy", over="max_abs", **place)]),
    ):
        coarse, fine = solved(6, section), solved(24, section)
        for quantity in quantities:
            rough, sharp = quantity.evaluate(coarse), quantity.evaluate(fine)
            assert rough.low <= sharp.value <= rough.high, quantity.label
            assert rough.high - rough.low > 2.0 * abs(sharp.value - rough.value) > 0.0
            assert sharp.high - sharp.low < 0.6 * (rough.high - rough.low)


# --- creep -------------------------------------------------------------------------------------------------

S590 = dtw.LarsonMiller(
    constant=20.0,
    parameter=(22e3, 24e3, 26e3),
    stress=("250 MPa", "140 MPa", "70 MPa"),
    source="after Callister, Materials Science and Engineering, 7th ed. (2007), design example 8.2",
)


def creeping(mpa, temperature="800 degC", curve=S590):
    material = dtw.LinearElastic(
        youngs_modulus="150 GPa", poissons_ratio=0.3, expansion="0.00001 1/K", creep_rupture=curve
    )
    return pulled(material, mpa, state=[dtw.Temperature(temperature)])


def test_creep_life_is_that_of_callisters_example():
    """S-590 at 800 degC (1073 K) under 140 MPa: 24.0e3 = 1073 (20 + log t), t = 233 h."""
    result = dtw.solve_static(creeping(140.0, 1073.0))
    value = dtw.creep_life().evaluate(result)
    assert value.value / 3600.0 == pytest.approx(233.0, abs=1.0)
    assert value.low < value.value < value.high
    margin = dtw.creep_margin("233 h").evaluate(result).value
    assert margin == pytest.approx(1.0, abs=1e-3)
    half = dtw.solve_static(creeping(100.0, 1073.0))
    assert dtw.creep_margin("233 h").evaluate(half).value == pytest.approx(1.4, abs=2e-3)
    # margin and life tell the same: at the margin's stress the life is the duration
    margin = dtw.creep_margin("1000 h").evaluate(result).value
    there = dtw.solve_static(creeping(140.0 * margin, 1073.0))
    assert dtw.creep_life().evaluate(there).value == pytest.approx(3.6e6, rel=1e-6)
    used = dtw.utilization(result, dtw.creep_margin("1000 h"))
    assert used.values.max() == pytest.approx(1.0 / margin, rel=1e-9)


def test_a_tolerance_of_temperature_widens_the_interval_by_what_it_means():
    result = dtw.solve_static(creeping(140.0, 1073.0))
    value = dtw.creep_life(temperature_tolerance="10 K").evaluate(result)
    assert value.low / 3600.0 == pytest.approx(10 ** (24e3 / 1083.0 - 20.0), rel=2e-3)
    assert value.high / 3600.0 == pytest.approx(10 ** (24e3 / 1063.0 - 20.0), rel=2e-3)


def test_beyond_the_curve_only_bounds_are_told():
    gentle = dtw.creep_life().evaluate(dtw.solve_static(creeping(50.0, 1073.0)))
    assert gentle.high == np.inf
    assert gentle.low / 3600.0 == pytest.approx(10 ** (26e3 / 1073.0 - 20.0), rel=1e-6)
    at_least = Requirement(quantity=dtw.creep_life(), relation=">=", limit=3600.0 * 1e4)
    assert at_least.judge(dtw.solve_static(creeping(50.0, 1073.0))).status == "PASS"
    assert (dtw.creep_life() >= "1e6 h").judge(
        dtw.solve_static(creeping(50.0, 1073.0))
    ).status == "CANNOT TELL"
    harsh = dtw.creep_life().evaluate(dtw.solve_static(creeping(400.0, 1073.0)))
    assert harsh.low == 0.0
    assert harsh.high / 3600.0 == pytest.approx(10 ** (22e3 / 1073.0 - 20.0), rel=1e-6)
    long = dtw.creep_margin("1e9 h").evaluate(dtw.solve_static(creeping(100.0, 1073.0)))
    assert long.low == 0.0
    assert long.high == pytest.approx(0.7, rel=1e-2)
    short = dtw.creep_margin("1 s").evaluate(dtw.solve_static(creeping(100.0, 1073.0)))
    assert short.high == np.inf
    assert short.low == pytest.approx(2.5, rel=1e-2)


def test_creep_asks_for_temperature_and_curve_before_anything_is_solved():
    cold = dtw.LinearElastic(youngs_modulus=1e9, poissons_ratio=0.3, creep_rupture=S590)
    with pytest.raises(RequirementError, match=r"'pull' states no temperature.*Temperature\('550 degC'\)"):
        dtw.StrengthTest(pulled(cold), [dtw.creep_life() >= "1000 h"])
    # a case of heat alone is no business of a strength test
    heated = dtw.LinearElastic(
        youngs_modulus=1e9, poissons_ratio=0.3, expansion=1e-5, conductivity=20.0, creep_rupture=S590
    )
    power = [dtw.FixedTemperature(on="xmin", value="800 degC")]
    hot = [dtw.Traction(on="xmax", value=(1e6, 0.0, 0.0)), dtw.Temperature("800 degC")]
    model = dtw.Model(
        box("hexahedron20", 1), materials={"body": heated}, supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"power": power, "hot": hot},
    )  # fmt: skip
    dtw.StrengthTest(model, [dtw.creep_life() >= "1000 h"])
    with pytest.raises(MissingPropertyError, match=r"part 'body'.*creep_rupture"):
        dtw.StrengthTest(creeping(100.0, curve=None), [dtw.creep_life() >= "1000 h"])
    hot = creeping(100.0)
    loads = [*creeping(100.0).cases["pull"].items]
    both = dtw.Model(
        box("hexahedron20", 1), materials={"body": hot.parts[0].section}, supports=REST,
        load_cases={"a": loads, "b": loads, "both": dtw.combine(a=1.0, b=1.0)},
    )  # fmt: skip
    with pytest.raises(RequirementError, match="adds 2 cases that state a temperature"):
        dtw.creep_life(case="both").evaluate(dtw.solve_static(both))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"parameter": (24.0, 26.0), "stress": (2e8, 1e8)}, "thousands"),
        ({"parameter": (26e3, 24e3), "stress": (2e8, 1e8)}, "must rise"),
        ({"parameter": (24e3, 26e3), "stress": (1e8, 2e8)}, "stress fall"),
        ({"parameter": (24e3,), "stress": (2e8,)}, "two or more"),
        ({"parameter": (24e3, 26e3), "stress": (2e8,)}, "one for one"),
        ({"parameter": (24e3, 26e3), "stress": (2e8, 1e8), "constant": -1.0}, "positive"),
    ],
)
def test_curves_that_cannot_be_are_refused(options, says):
    with pytest.raises(MaterialError, match=says):
        dtw.LarsonMiller(**options)


def test_a_material_with_a_curve_survives_json_and_one_without_keeps_its_hash():
    steel = dtw.LinearElastic(youngs_modulus="210 GPa", creep_rupture=S590)
    back = dtw.LinearElastic.from_dict(json.loads(json.dumps(steel.to_dict())))
    assert back == steel
    assert back.creep_rupture == S590
    assert "Larson-Miller, C = 20" in str(steel)
    assert "creep_rupture" not in dtw.LinearElastic(youngs_modulus="210 GPa").to_dict()
    with pytest.raises(MaterialError, match="a LarsonMiller"):
        dtw.LinearElastic(creep_rupture=20.0)


# --- what is asked wrongly ---------------------------------------------------------------------------------


def test_composites_are_asked_for_where_they_are():
    with pytest.raises(MissingPropertyError, match=r"part 'body'.*needs an Orthotropic.*on="):
        dtw.StrengthTest(pulled(STEEL), [dtw.composite_margin() >= 1.0])
    bare = dtw.Orthotropic(
        youngs_modulus=(126e9, 11e9, 11e9), poissons_ratio=(0.28, 0.4, 0.28),
        shear_modulus=(6.6e9, 3.9e9, 6.6e9), tensile_strength=(1950e6, 48e6, 48e6),
    )  # fmt: skip
    with pytest.raises(MissingPropertyError, match=r"compressive_strength.*Tsai-Wu"):
        dtw.StrengthTest(pulled(bare), [dtw.composite_margin() >= 1.0])
    odd = dtw.Orthotropic(
        **{key: getattr(PLY, key) for key in PLY.properties if key != "shear_strength" and getattr(PLY, key)},
        shear_strength=(79e6, 55e6, 60e6),
    )
    with pytest.raises(RequirementError, match=r"Hashin's criterion is of plies.*shear_strength"):
        dtw.StrengthTest(pulled(odd), [dtw.composite_margin("hashin") >= 1.0])
    dtw.StrengthTest(pulled(odd), [dtw.composite_margin("tsai_wu") >= 1.0])


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda: dtw.composite_margin("tsai_hill"), r"did you mean.*tsai_wu"),
        (lambda: dtw.composite_margin(interaction=-0.7), "closed between -0.5 and 1"),
        (lambda: dtw.brittle_margin("drucker"), "drucker_prager"),
        (lambda: dtw.strain("principal"), "component"),
        (lambda: dtw.creep_margin("0 h"), "one time is wanted"),
        (lambda: dtw.creep_life(temperature_tolerance="-5 K"), "one difference"),
        (lambda: dtw.fkm_margin(consequence="severe"), "high, low"),
        (lambda: dtw.fkm_margin(plastic_limit=0.5), "1 or more"),
        (lambda: dtw.fkm_margin(size_factor=1.2), "at most 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(write, says):
    with pytest.raises(RequirementError, match=says):
        write()


def test_utilization_takes_margins_and_nothing_else():
    result = dtw.solve_static(pulled(STEEL))
    assert_allclose(dtw.utilization(result, dtw.yield_margin()).values, dtw.utilization(result).values)
    some = dtw.utilization(result, dtw.yield_margin(on="xmax"))
    assert len(some.values) == len(some.rows) < len(result.points)
    with pytest.raises(RequirementError, match="is no margin"):
        dtw.utilization(result, dtw.stress())
    with pytest.raises(RequirementError, match="says case and sigma itself"):
        dtw.utilization(result, dtw.yield_margin(), case="pull")
    with pytest.raises(RequirementError, match="criterion='tsai_hill'"):
        dtw.utilization(result, "tsai_hill")
    assert "factor on the load" in dtw.utilization(result).meaning


@pytest.mark.parametrize(
    "requirement",
    [
        dtw.composite_margin("hashin", on="skin", excluding=dtw.near("hole", "4 mm")) >= 1.5,
        dtw.composite_margin(interaction=0.0, case="lift") >= 1.5,
        dtw.brittle_margin("drucker_prager") >= 2.0,
        dtw.strain("xy", over="max_abs") <= "0.2 %",
        dtw.creep_life(case="hot", criterion="max_principal", temperature_tolerance="5 K") >= "100000 h",
        dtw.creep_margin("100000 h") >= 1.25,
        dtw.fkm_margin(likelihood="low", plastic_limit=1.3) >= 1.0,
        dtw.linearized_stress((0, 0, 0), ("10 mm", 0, 0), "membrane", case="p") <= "138 MPa",
        dtw.hot_spot_stress("toe", "+x", "10 mm", component="principal") <= "200 MPa",
        dtw.hot_spot_stress((0, 0, 0), (1, 1, 0), method="4 8 12 mm", over="min") >= "-200 MPa",
    ],
    ids=str,
)
def test_requirements_survive_json(requirement):
    back = Requirement.from_dict(json.loads(json.dumps(requirement.to_dict(), allow_nan=False)))
    assert back == requirement
    assert back.content_hash() == requirement.content_hash()
    assert str(back) == str(requirement)


def test_random_vibration_has_no_tensor_and_courses_in_time_have():
    model = dtw.Model(
        box("hexahedron20", (4, 1, 1), (0.2, 0.02, 0.02)),
        materials={"body": dtw.material("EN-GJL-250")},
        supports=[dtw.FixedSupport(on="xmin")],
    )
    psd = dtw.base_psd("z", table=[["10 Hz", "0.01 g**2/Hz"], ["2 kHz", "0.01 g**2/Hz"]])
    common = {"modes_up_to": "4 kHz", "damping": "2 %"}
    with pytest.raises(RequirementError, match=r"whole stress tensor.*'shaken' has amplitudes"):
        dtw.VibrationTest(model, [dtw.strain() <= "1 %"], cases={"shaken": psd}, **common).run()
    with pytest.raises(RequirementError, match=r"whole stress tensor|no principal values"):
        dtw.VibrationTest(
            model, [dtw.brittle_margin("drucker_prager", sigma=3) >= 1], cases={"shaken": psd}, **common
        ).run()
    shock = dtw.half_sine("z", peak="50 g", duration="2 ms")
    test = dtw.VibrationTest(
        model, [dtw.strain() <= "1 %", dtw.brittle_margin("drucker_prager") >= 1.0], cases={"shock": shock},
        **common,
    )  # fmt: skip
    verdict = test.run()
    strain, margin = (row.value for row in verdict.rows)
    assert strain.instant is not None
    assert 0.0 < strain.low < strain.value < strain.high
    assert margin.low < margin.value < margin.high
