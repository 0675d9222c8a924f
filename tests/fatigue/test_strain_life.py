"""Strain life: curves that undo each other, loops with memory, published examples."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.kernels import strain_life as kernels

RQC = dtw.strain_life("RQC-100")
D47 = dtw.StrainLife(
    youngs_modulus="200 GPa",
    strength="900 MPa",
    strength_exponent=-0.09,
    ductility=0.5,
    ductility_exponent=-0.6,
    cyclic_strength="1100 MPa",
    cyclic_hardening=0.15,
)
histories = st.lists(st.integers(-8, 8), min_size=2, max_size=30).filter(lambda h: len(set(h)) > 1)


def by_bisection(function, low, high):
    """The root of a growing function, between the logarithms of its ends."""
    low, high = math.log(low), math.log(high)
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if function(math.exp(middle)) < 0.0 else (low, middle)
    return math.exp(0.5 * (low + high))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.floats(-12, 12), st.floats(0.05, 60), st.floats(-12, 12), st.floats(0.05, 60), st.booleans())
def test_sums_of_two_powers_are_solved_to_the_last_digits(a, p, b, q, falls):
    sign = -1.0 if falls else 1.0
    x = kernels.balance(math.exp(a), sign * p, math.exp(b), sign * q, 1.0)
    assert math.exp(a + sign * p * math.log(x)) + math.exp(b + sign * q * math.log(x)) == pytest.approx(
        1.0, rel=1e-12
    )


@pytest.mark.parametrize("name", dtw.strain_life_names())
def test_library_curves_stand(name):
    material = dtw.strain_life(name)
    assert material.source
    assert material.grade == "typical"
    assert dtw.StrainLife.from_dict(material.to_dict()) == material
    strains = np.geomspace(1e-4, 5e-2, 20)
    assert_allclose(material.strain(material.stress(strains)), strains, rtol=1e-12)
    assert_allclose(material.stress(-strains), -material.stress(strains))
    lives = np.geomspace(1.0, 1e8, 20)
    assert_allclose(material.life(material.strain_amplitude(lives)), lives, rtol=1e-11)
    # elastic and plastic strain are equal at the transition
    elastic = material.strength / material.youngs_modulus * material.transition**material.strength_exponent
    assert 2.0 * elastic == pytest.approx(float(material.strain_amplitude(0.5 * material.transition)))


def test_mean_stress_shortens_lives():
    # with Table 14.1 of Dowling (2013): equations 14.30 (Morrow) and 14.33 (SWT) solved here by bisection
    strain, mean = 0.004, 100e6
    e, sf, b, ef, c = (
        RQC.youngs_modulus,
        RQC.strength,
        RQC.strength_exponent,
        RQC.ductility,
        RQC.ductility_exponent,
    )
    morrow = by_bisection(lambda n: strain - (sf - mean) / e * (2 * n) ** b - ef * (2 * n) ** c, 1.0, 1e9)
    assert RQC.life(strain, mean="100 MPa") == pytest.approx(morrow, rel=1e-9)
    highest = mean + float(RQC.stress(strain))
    swt = by_bisection(
        lambda n: highest * strain - sf**2 / e * (2 * n) ** (2 * b) - sf * ef * (2 * n) ** (b + c), 1.0, 1e9
    )
    assert RQC.life(strain, mean="100 MPa", correction="SWT") == pytest.approx(swt, rel=1e-9)
    assert swt < morrow < RQC.life(strain)
    assert RQC.life(strain, mean="100 MPa", correction="none") == RQC.life(strain)
    assert RQC.life(strain, mean="-100 MPa") > RQC.life(strain)
    assert RQC.life(strain, highest=-1.0, correction="SWT") == math.inf  # stays in compression
    assert RQC.life(strain, mean="940 MPa") == 0.0
    assert RQC.life(0.0) == math.inf


def test_neuber_stays_on_its_hyperbola_and_on_the_curve():
    for elastic in (1e6, 250e6, 600e6, 2e9):
        stress, strain = D47.neuber(elastic)
        assert stress * strain == pytest.approx(elastic**2 / D47.youngs_modulus, rel=1e-12)
        assert float(D47.strain(stress)) == pytest.approx(strain, rel=1e-12)
    assert D47.neuber(-500e6) == tuple(-x for x in D47.neuber(500e6))
    assert D47.neuber(0.0) == (0.0, 0.0)


def test_a_constant_amplitude_makes_one_loop_around_zero():
    loops = D47.loops([500e6, -500e6])
    stress, strain = D47.neuber("500 MPa")
    assert_allclose(
        [*loops.stress_range, *loops.strain_range, *loops.highest], [2 * stress, 2 * strain, stress]
    )
    assert_allclose(loops.mean, 0.0, atol=1e-6)
    assert D47.damage([500e6, -500e6], correction="Morrow") == pytest.approx(1.0 / D47.life(strain))


def test_a_first_overload_leaves_mean_stress_behind():
    # the same small cycle, once on the way up and once after an overload
    small = [200e6, 0.0, 200e6, 0.0]
    before = D47.loops([*small, 200e6], residue="half")
    after = D47.loops([900e6, *small, 900e6], residue="half")
    assert after.mean[0] < before.mean[0] - 100e6


def test_a_closed_loop_is_forgotten():
    # the way after an inner loop is the way without it (material memory)
    plain = D47.loops([600e6, -600e6, 600e6], residue="half")
    inner = D47.loops([600e6, -100e6, 200e6, -600e6, 600e6], residue="half")
    largest = np.argmax(inner.strain_range)
    assert_allclose(inner.strain_range[largest], plain.strain_range.max(), rtol=1e-12)
    assert_allclose(inner.highest[largest], plain.highest[np.argmax(plain.strain_range)], rtol=1e-12)
    assert_allclose(np.sort(inner.stress_range)[0], 2 * D47.neuber(150e6)[0], rtol=1e-12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(histories)
def test_a_linear_material_has_the_loops_of_rainflow(history):
    # so strong that nothing yields: loops are the rainflow cycles of the elastic stress
    strong = dtw.StrainLife(
        youngs_modulus="200 GPa",
        strength="900 MPa",
        strength_exponent=-0.09,
        ductility=0.5,
        ductility_exponent=-0.6,
        cyclic_strength="1e9 MPa",
        cyclic_hardening=0.15,
    )
    stress = np.array(history) * 50e6
    loops, cycles = strong.loops(stress), dtw.rainflow(stress, residue="repeated")
    order, other = np.lexsort([loops.mean, loops.stress_range]), np.lexsort([cycles.mean, cycles.range])
    assert_allclose(loops.stress_range[order], cycles.range[other], rtol=1e-9)
    assert_allclose(loops.strain_range[order], cycles.range[other] / 200e9, rtol=1e-9)
    assert_allclose(np.sort(loops.mean), np.sort(cycles.mean), rtol=1e-6, atol=1.0)
    assert loops.count.sum() == cycles.total


@settings(max_examples=150, deadline=None, derandomize=True)
@given(histories)
def test_ranges_of_loops_follow_ranges_of_the_elastic_stress(history):
    # of equal branches: a loop's range is twice Neuber at half of the elastic range, whatever came before
    stress = np.array(history) * 80e6
    loops, cycles = D47.loops(stress), dtw.rainflow(stress, residue="repeated")
    expected = sorted(2 * D47.neuber(0.5 * r)[1] for r in cycles.range)
    assert_allclose(np.sort(loops.strain_range), expected, rtol=1e-9)
    assert np.abs(loops.highest).max() <= D47.neuber(np.abs(stress).max())[0] * (1 + 1e-9)


def by_sliders(history, curve, step):
    """Where a curve with Masing's branches and memory ends: elements that slide, in parallel (Iwan, Prandtl).

    Each follows the history up to its own limit; their weights are the bends of the curve. Exact where the
    history moves in steps, since half of a range is then a multiple of half a step.
    """
    limits = 0.5 * step * np.arange(1, 2 * 17 + 1)
    values = np.array([curve(x) for x in [0.0, *limits]])
    slopes = np.diff(values) / (0.5 * step)
    weights = slopes - np.append(slopes[1:], 0.0)
    slid, last = np.zeros(len(limits)), 0.0
    for x in history:
        slid = np.clip(slid + x - last, -limits, limits)
        last = x
    return float(weights @ slid)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(histories)
def test_stress_and_strain_at_the_end_are_those_of_sliding_elements(history):
    step = 100e6
    stress = np.array([x for i, x in enumerate(history) if i == 0 or x != history[i - 1]]) * step
    peaks = [
        x
        for i, x in enumerate(stress)
        if i in (0, len(stress) - 1) or (stress[i - 1] < x) != (x < stress[i + 1])
    ]
    stack, out = np.zeros((len(peaks) + 1, 3)), np.zeros((len(peaks), 4))
    _, size, _ = kernels.loops(np.array(peaks), np.array([200e9, 1100e6, 0.15]), stack, out)
    for column in (0, 1):
        expected = by_sliders(stress, lambda e, column=column: D47.neuber(e)[column], step)
        scale = D47.neuber(16 * step)[column]
        assert stack[size - 1, column + 1] == pytest.approx(expected, rel=1e-9, abs=1e-11 * scale)


def test_uniform_material_law():
    # Bäumel and Seeger (1990)
    steel = dtw.StrainLife.uniform_material_law("steel", "600 MPa")
    assert (steel.strength, steel.strength_exponent, steel.ductility_exponent) == (900e6, -0.087, -0.58)
    assert steel.ductility == pytest.approx(0.59)
    assert (steel.cyclic_strength, steel.cyclic_hardening) == (990e6, 0.15)
    strong = dtw.StrainLife.uniform_material_law("steel", "1200 MPa")
    assert strong.ductility == pytest.approx(0.59 * (1.375 - 125 * 1200 / 206000))
    light = dtw.StrainLife.uniform_material_law("aluminum", "300 MPa", scatter=0.2)
    assert (light.strength, light.ductility, light.scatter) == (pytest.approx(501e6), 0.35, 0.2)
    with pytest.raises(dtw.FatigueError, match="law ends at"):
        dtw.StrainLife.uniform_material_law("steel", "2400 MPa")


def test_missing_cyclic_curve_follows_from_the_life():
    bare = dtw.StrainLife(
        youngs_modulus="200 GPa",
        strength="900 MPa",
        strength_exponent=-0.09,
        ductility=0.5,
        ductility_exponent=-0.6,
    )
    assert bare.cyclic_hardening == pytest.approx(0.15)
    # both curves then say the same: the elastic part of the strain is the stress
    n = 1000.0
    stress = 900e6 * (2 * n) ** -0.09
    assert float(bare.strain(stress)) == pytest.approx(float(bare.strain_amplitude(n)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dtw.strain_life("RQC 10"), "did you mean 'RQC-100'"),
        (lambda: dtw.StrainLife.uniform_material_law("wood", "50 MPa"), "not 'wood'"),
        (lambda: D47.life(0.005, correction="Goodman"), "correction is 'Goodman'"),
        (lambda: D47.life(-0.005), "half of a range"),
        (lambda: D47.loops([1.0, 1.0, 1.0]), "never turns"),
        (lambda: D47.loops([1.0, np.nan]), "the first is sample 1"),
        (lambda: D47.loops([1.0, 2.0], residue="none"), "residue is 'none'"),
        (
            lambda: dtw.StrainLife(
                youngs_modulus=2e11,
                strength=9e8,
                strength_exponent=0.09,
                ductility=0.5,
                ductility_exponent=-0.6,
            ),
            "strength_exponent of .* negative",
        ),
        (
            lambda: dtw.StrainLife(
                youngs_modulus=2e11,
                strength=9e8,
                strength_exponent=-0.09,
                ductility=0.5,
                ductility_exponent=-0.6,
                cyclic_strength=1e9,
            ),
            "state both or none",
        ),
    ],
)
def test_wrong_questions_are_answered_with_a_reason(call, words):
    with pytest.raises(dtw.FatigueError, match=words):
        call()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(histories)
def test_loop_kernel_is_its_python(history):
    turns = np.array(history, dtype=float) * 80e6
    results = []
    for loops in (kernels.loops, kernels.loops.py_func):
        stack, out = np.zeros((len(turns) + 1, 3)), np.zeros((len(turns), 4))
        closed, size, primary = loops(turns, np.array([200e9, 1100e6, 0.15]), stack, out)
        results.append((closed, size, primary, out[:closed]))
    assert results[0][:3] == results[1][:3]
    assert_allclose(results[0][3], results[1][3], rtol=1e-12)
