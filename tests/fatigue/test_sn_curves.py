"""S-N curves, mean stress, scatter, the library: sourced numbers, and refusals with a reason."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.fatigue import mean_stress_sensitivity
from designtwin.fatigue.mean_stress import METHODS
from designtwin.kernels import damage as kernels

PARAMETERS = {
    "Goodman": {"ultimate": "600 MPa"},
    "Gerber": {"ultimate": "600 MPa"},
    "Morrow": {"fracture_strength": "1000 MPa"},
    "Walker": {"exponent": 0.6},
    "FKM": {"sensitivity": 0.2},
}
CURVE = dtw.SNCurve(amplitude="100 MPa", cycles=1e6, slope=5, knee=1e6, ultimate="600 MPa", family="steel")
amplitudes = st.floats(1.0, 500.0).map(lambda mpa: mpa * 1e6)


def correction(method):
    return dtw.MeanStress(method=method, **PARAMETERS.get(method, {}))


@pytest.mark.parametrize("method", METHODS)
def test_no_mean_stress_no_correction(method):
    assert correction(method).equivalent("200 MPa") == pytest.approx(200e6, rel=1e-14)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(amplitude=amplitudes, means=st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)))
def test_more_mean_stress_never_does_less_damage(method, amplitude, means):
    low, high = correction(method).equivalent(amplitude, np.sort(means))
    assert 0.0 <= low <= high * (1.0 + 1e-12)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(mean=st.floats(-4e8, 4e8), pair=st.tuples(amplitudes, amplitudes))
def test_larger_amplitudes_never_do_less_damage(method, mean, pair):
    small, large = correction(method).equivalent(np.sort(pair), mean)
    assert small <= large * (1.0 + 1e-12)


def test_fkm_is_continuous_over_its_four_fields_and_level_beyond():
    m = 0.2
    at = dtw.MeanStress(method="FKM", sensitivity=m)
    a = 100e6
    for edge in (-a, a, 3.0 * a):  # R = -inf, 0 and 0.5
        assert at.equivalent(a, edge * (1 - 1e-9)) == pytest.approx(
            at.equivalent(a, edge * (1 + 1e-9)), rel=1e-8
        )
    assert at.equivalent(a, -5.0 * a) == pytest.approx(a * (1 - m))
    assert at.equivalent(a, a) == pytest.approx(a * (1 + m))
    assert (
        at.equivalent(a, 3.0 * a)
        == at.equivalent(a, 9.0 * a)
        == pytest.approx(a * (1 + m) ** 2 / (1 + m / 3))
    )


def test_goodman_ends_at_the_strength_and_does_not_credit_compression():
    goodman = correction("Goodman")
    assert goodman.equivalent("50 MPa", "600 MPa") == math.inf
    assert CURVE.life("50 MPa", "600 MPa", mean_stress="Goodman") == 0.0
    assert goodman.equivalent("50 MPa", "-300 MPa") == 50e6
    assert_allclose(goodman.equivalent("50 MPa", [6e6, 60e6, 300e6]), [50e6 / 0.99, 50e6 / 0.9, 100e6])
    assert_allclose(correction("Gerber").equivalent("50 MPa", [60e6, 300e6]), [50e6 / 0.99, 50e6 / 0.75])


def test_sensitivity_of_the_guideline():
    # FKM Guideline, 6th ed., table 2.4.2
    assert mean_stress_sensitivity("steel", "500 MPa") == pytest.approx(0.075)
    assert mean_stress_sensitivity("gray iron", "250 MPa") == 0.5
    assert mean_stress_sensitivity("steel", "200 MPa") == 0.0  # never negative
    with pytest.raises(dtw.FatigueError, match="did you mean 'steel'"):
        mean_stress_sensitivity("steal", "500 MPa")


@pytest.mark.parametrize(("miner", "beyond"), [("elementary", 5.0), ("original", math.inf), ("Haibach", 9.0)])
def test_what_follows_the_knee(miner, beyond):
    curve = dataclasses.replace(CURVE, miner=miner)
    assert curve.life("200 MPa") == pytest.approx(1e6 * 2.0**-5)
    below = curve.life("50 MPa")
    assert below == (math.inf if math.isinf(beyond) else pytest.approx(1e6 * 2.0**beyond))
    assert curve.life("100 MPa") == pytest.approx(1e6)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    reference=st.floats(1e2, 1e9),
    knees=st.lists(st.floats(1e3, 1e9), min_size=0, max_size=3, unique=True).map(sorted),
    slopes=st.lists(st.floats(1.5, 20.0), min_size=4, max_size=4),
    miner=st.sampled_from(["elementary", "original", "Haibach"]),
    n=st.floats(1e2, 1e10),
)
def test_strength_and_life_undo_each_other(reference, knees, slopes, miner, n):
    curve = dtw.SNCurve(
        amplitude="80 MPa",
        cycles=reference,
        knee=tuple(knees),
        slope=tuple(slopes[: max(1, len(knees))]),
        miner=miner,
    )
    s = float(curve.strength(n))
    if s > curve.endurance * (1.0 + 1e-9):
        assert_allclose(curve.life(s), n, rtol=1e-6)
    assert_allclose(curve.strength(reference), 80e6, rtol=1e-9)
    # lines meet at the knees
    for knee in knees:
        assert_allclose(curve.strength(knee * (1 - 1e-12)), curve.strength(knee * (1 + 1e-12)), rtol=1e-8)


def test_a_knee_before_the_reference_is_walked_to():
    # EN 1993-1-9: FAT 71 at 2e6, slope 3 to 5e6 (0.737 of it), 5 to 1e8 (0.549 of that)
    curve = dtw.fatigue_curve("EC3 71")
    assert_allclose(2.0 * curve.strength([2e6, 5e6, 1e8]) / 71e6, [1.0, 0.737, 0.737 * 0.549], rtol=1e-3)
    assert curve.life(0.99 * curve.endurance) == math.inf
    other = dtw.SNCurve.of_range("28.73463 MPa", cycles=1e8, slope=(3, 5), knee=(5e6, 1e8))
    assert_allclose(other.strength([1e5, 2e6]), curve.strength([1e5, 2e6]), rtol=1e-6)


@pytest.mark.parametrize("name", dtw.fatigue_curve_names())
def test_library_curves_stand_and_say_where_they_come_from(name):
    curve = dtw.fatigue_curve(name)
    assert curve.source
    assert curve.grade in ("standard", "rule", "typical")
    assert dtw.SNCurve.from_dict(curve.to_dict()) == curve
    assert name in repr(curve)
    if name.startswith(("FAT", "EC3")):
        stress = float(name.split()[1])
        assert 2.0 * curve.strength(2e6) == pytest.approx(stress * 1e6)
        assert curve.ratio is None
    else:
        # FKM: of the ultimate strength, polished, fully reversed, 97.5 %
        assert curve.survival == 0.975
        share = curve.amplitude / curve.ultimate
        assert share == pytest.approx(
            {"steel": 0.45, "stainless steel": 0.40, "ductile iron": 0.34}.get(curve.family, 0.30)
        )


@pytest.mark.parametrize(
    "name", [n.removesuffix(" base metal") for n in dtw.fatigue_curve_names() if "base" in n]
)
def test_base_metals_are_those_of_the_material_library(name):
    assert dtw.fatigue_curve(f"{name} base metal").ultimate == dtw.material(name).ultimate_strength.value


def test_iiw_classes_go_on_with_slope_five_beyond_ten_million():
    curve = dtw.fatigue_curve("fat 100 hot spot")  # as it is typed
    assert 2.0 * curve.strength(1e7) == pytest.approx(58.48e6, rel=1e-4)
    assert curve.life(0.5 * 58.48e6 / 2) == pytest.approx(1e7 * 2.0**5, rel=1e-3)


def test_thick_plates_and_rough_surfaces_are_weaker():
    weld = dtw.fatigue_curve("FAT 80 nominal")
    assert weld.at_thickness("50 mm").amplitude == pytest.approx(weld.amplitude * 0.5**0.3)
    assert weld.at_thickness("12 mm") is weld
    base = dtw.fatigue_curve("S355 base metal")
    # FKM Guideline, 2.3.3: 1 - 0.22 lg(25) lg(2 * 470 / 400)
    rough = base.at_roughness("25 um")
    assert rough.amplitude / base.amplitude == pytest.approx(1 - 0.22 * math.log10(25) * math.log10(2.35))
    assert "Rz 25" in rough.name
    assert base.at_roughness("0.8 um").amplitude == base.amplitude
    with pytest.raises(dtw.FatigueError, match="curve of welds"):
        weld.at_roughness("25 um")
    with pytest.raises(dtw.FatigueError, match="states no thickness"):
        base.at_thickness("50 mm")


def test_notches_with_a_steep_gradient_are_supported():
    # FKM Guideline, 2.3.2: steel, R_m 470 MPa; three ranges of the gradient, without a step between them
    base = dtw.fatigue_curve("S355 base metal")
    exponent = 0.5 + 470 / 2700

    def gain(gradient):
        return base.at_gradient(gradient).amplitude / base.amplitude - 1.0

    assert gain("0.05 1/mm") == pytest.approx(0.05 * 10 ** (0.5 - exponent))
    assert gain("0.5 1/mm") == pytest.approx(0.5**0.5 * 10**-exponent)
    assert gain(16e3) == pytest.approx(2.0 * 10**-exponent)  # 1/m
    for edge in (0.1, 1.0):
        assert gain(edge * 1e3 * (1 - 1e-9)) == pytest.approx(gain(edge * 1e3 * (1 + 1e-9)), rel=1e-6)
    assert gain(0.0) == 0.0
    with pytest.raises(dtw.FatigueError, match="between 0 and 100"):
        base.at_gradient("-1 1/mm")
    with pytest.raises(dtw.FatigueError, match="curve of welds"):
        dtw.fatigue_curve("FAT 71 nominal").at_gradient("1 1/mm")
    with pytest.raises(dtw.FatigueError, match="lacks family and ultimate"):
        dtw.SNCurve.basquin("900 MPa", -0.1).at_gradient("1 1/mm")


def test_survival_moves_lives_by_the_scatter():
    curve = dataclasses.replace(CURVE, survival=0.975, scatter=0.2)
    median = curve.at_survival(0.5)
    assert curve.life_factor(0.5) == pytest.approx(10 ** (0.2 * 1.959964), rel=1e-6)
    assert median.life("200 MPa") / curve.life("200 MPa") == pytest.approx(curve.life_factor(0.5))
    assert median.at_survival(0.975).amplitude == pytest.approx(curve.amplitude)
    with pytest.raises(dtw.FatigueError, match="states no scatter"):
        CURVE.at_survival(0.9)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("FAT 71 nominal", "nominal"),
        ("FAT 90 hot-spot", "hot-spot"),
        ("FAT 225 effective notch", "effective notch"),
        ("EC3 80", "nominal"),
        ("S355 base metal", "notch"),
    ],
)
def test_a_curve_refuses_stress_it_was_not_made_for(name, fits):
    curve = dtw.fatigue_curve(name)
    for stress in ("notch", "nominal", "hot-spot", "effective notch"):
        if stress == fits:
            curve.check_stress(stress)
        else:
            with pytest.raises(dtw.FatigueError, match=f"{name} is a curve for {fits} stress"):
                curve.check_stress(stress)


def test_a_fat_class_on_raw_notch_stress_is_told_what_to_do():
    with pytest.raises(dtw.FatigueError, match=r"hot-spot class.*round.*1 mm.*FAT 225 effective notch"):
        dtw.fatigue_curve("FAT 71 nominal").check_stress("notch")
    with pytest.raises(dtw.FatigueError, match=r"hot_spot_stress"):
        dtw.fatigue_curve("FAT 90 hot-spot").check_stress("notch")
    with pytest.raises(dtw.FatigueError, match="stress 'raw'"):
        dtw.fatigue_curve("FAT 90 hot-spot").check_stress("raw")


def test_curves_at_another_load_ratio_start_from_there():
    pulsating = dataclasses.replace(CURVE, ratio=0.0)
    # the stated amplitude, at its own load ratio, lives as stated
    assert pulsating.life("100 MPa", "100 MPa", mean_stress="SWT") == pytest.approx(1e6)
    with pytest.raises(dtw.FatigueError, match="Goodman starts from R = -1"):
        pulsating.life("100 MPa", mean_stress="Goodman")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"amplitude": "-5 MPa"}, "amplitude of .* must be positive"),
        ({"amplitude": "5 mm"}, "a stress is wanted"),
        ({"slope": 0.0}, "slope of .* must be positive"),
        ({"slope": (3, 4, 5)}, "3 slopes and 1 knees"),
        ({"knee": (1e7, 1e6), "slope": (3, 5)}, "they must grow"),
        ({"miner": "modified"}, "miner of"),
        ({"kind": "weld"}, "kind of"),
        ({"survival": 97.5}, "between 0 and 1"),
        ({"scatter": 20.0}, "standard deviation of log10 N"),
        ({"ratio": 1.5}, "load ratio R lies below 1"),
        ({"slope": (math.inf,)}, "only the last may be infinite"),
        ({"cycles": "many"}, "does not begin with a number"),
        ({"cycles": float("nan")}, "not finite"),
        ({"thickness": "25 mm"}, "the reference and its exponent are wanted"),
        ({"thickness": ("25 mm", -0.3)}, "thickness of .* must be positive"),
        ({"valid_from": 0.0}, "valid_from of .* must be positive"),
        ({"kind": None}, "kind of"),
    ],
)
def test_impossible_curves_are_named(options, words):
    stated = {"amplitude": "100 MPa", "cycles": 1e6, "slope": 5, "knee": 1e6} | options
    with pytest.raises(dtw.DesignTwinError, match=words):
        dtw.SNCurve(**stated)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dtw.fatigue_curve("FAT 71"), "did you mean 'FAT 71 nominal'"),
        (lambda: dtw.fatigue_curve("unobtainium"), "the library has no fatigue curve"),
        (lambda: dtw.fatigue_curve(71), "the library has no fatigue curve 71"),
        (lambda: dtw.MeanStress(method="goodmann"), "did you mean 'Goodman'"),
        (lambda: dtw.MeanStress(method="Walker"), "Walker needs exponent, such as exponent=0.65"),
        (lambda: dtw.MeanStress(method="Walker", exponent=1.5), "between 0 and 1"),
        (lambda: dtw.fatigue_curve("FAT 71 nominal").table("Goodman"), "leave mean_stress out"),
        (lambda: dtw.SNCurve.basquin("900 MPa", -0.1).table("Goodman"), "needs the ultimate strength"),
        (lambda: dtw.SNCurve.basquin("900 MPa", -0.1).table("FKM"), "FKM needs the sensitivity"),
        (lambda: dtw.SNCurve.basquin("900 MPa", 0.1), "b lies between -1 and 0"),
        (lambda: CURVE.life("-5 MPa"), "half of a range"),
        (lambda: CURVE.damage([1e8, 2e8]), "cycles are wanted, as rainflow gives them; got list"),
        (lambda: dtw.fatigue_curve("EC3 80", slop=4), "has no 'slop'; did you mean 'slope'"),
        (lambda: dtw.fatigue_curve("EC3 80").at_thickness("0 mm"), "thickness is 0 mm"),
        (lambda: CURVE.strength(0.0), "a positive number is wanted"),
        (lambda: CURVE.scaled(0.0), "a positive number is wanted"),
        (lambda: dtw.base_metal_curve("wood", "50 MPa"), "no fatigue limit of 'wood'"),
    ],
)
def test_wrong_questions_are_answered_with_a_reason(call, words):
    with pytest.raises(dtw.FatigueError, match=words):
        call()


@pytest.mark.parametrize("method", METHODS)
def test_damage_kernel_is_its_python(method):
    curve = dtw.SNCurve(amplitude="100 MPa", cycles=2e6, slope=(3, 5), knee=(5e6, 1e8))
    table = curve.table(correction(method))
    rng = np.random.default_rng(4)
    for a, m in zip(rng.uniform(1e6, 400e6, 50), rng.uniform(-400e6, 400e6, 50)):
        assert kernels.cycle_damage(a, m, table) == pytest.approx(
            kernels.cycle_damage.py_func(a, m, table), rel=1e-13
        )


def test_miner_adds_up():
    cycles = dtw.Cycles(range=[400e6, 200e6, 100e6], mean=[0.0, 0.0, 0.0], count=[10.0, 1000.0, 1e6])
    expected = 10.0 / (1e6 * 2.0**-5) + 1000.0 / 1e6
    assert CURVE.damage(cycles) == pytest.approx(expected)  # the smallest lie below the endurance
    with pytest.raises(dtw.FatigueError, match="range of Cycles goes down to -1"):
        dtw.Cycles(range=[-1.0], mean=[0.0], count=[1.0])
    with pytest.raises(dtw.FatigueError, match="of shapes"):
        dtw.Cycles(range=[1.0, 2.0], mean=[0.0], count=[1.0])
