"""Damage of many nodes is what rainflow and the curve say of each node's own history."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import designtwin as dtw
from designtwin import parallel
from designtwin.kernels import damage as kernels
from tests.surroundings import FULL

CURVE = dtw.SNCurve(amplitude=100e6, cycles=1e6, slope=5, knee=1e6, miner="Haibach", ultimate=500e6)
TABLE = CURVE.table("Goodman")


def counted(roots, signs, channels, table=TABLE):
    n = len(signs)
    out = np.empty(n), np.empty(n), np.empty(n)
    kernels.damage_of_histories(0, n, roots, signs, np.zeros(n, np.int64), table[None], channels, *out)
    return out


def of_series(series, table=TABLE):
    """Damage of a stress history itself: one channel that is the stress."""
    damage, least, most = counted(np.zeros((1, 0, 1)), np.ones((1, 1)), np.array(series, float)[None], table)
    return damage[0], least[0], most[0]


def by_cycles(series, curve=CURVE, mean_stress="Goodman"):
    return curve.damage(dtw.rainflow(series, residue="repeated"), mean_stress=mean_stress)


def noise(rng, m, n):
    return np.cumsum(rng.normal(size=(m, n)), axis=1) - 0.1 * np.arange(n)


@settings(max_examples=1000 if FULL else 150, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=40))
@example([0, 1])
@example([1, 1, 1])
@example([0, 0, 3, 3, -1, -1, 3, 3, 0, 0])
def test_damage_of_a_history_is_that_of_its_cycles(levels):
    series = 60e6 * np.array(levels, float)
    damage, least, most = of_series(series)
    assert_allclose(damage, by_cycles(series), rtol=1e-12, atol=1e-300)
    assert (least, most) == (series.min(), series.max())


@pytest.mark.parametrize("n", [511, 512, 513, 1025, 4000])
def test_stretches_leave_no_seam(n):
    series = 20e6 * noise(np.random.default_rng(n), 1, n)[0]
    series[500:530] = series[500]  # a plateau over the seam
    assert_allclose(of_series(series)[0], by_cycles(series), rtol=1e-12)


def test_a_plateau_longer_than_a_stretch_at_the_start_counts_nothing():
    series = np.concatenate([np.full(1500, 30e6), [-90e6, 120e6, 30e6]])
    assert_allclose(of_series(series)[0], by_cycles(series), rtol=1e-12)


def test_a_deep_residue_finds_room():
    # Ranges that grow and then shrink close nothing before the end.
    swing = np.concatenate([np.arange(2000), np.arange(2000)[::-1]]) * 1e5
    series = swing * np.where(np.arange(len(swing)) % 2, 1.0, -1.0)
    assert_allclose(of_series(series)[0], by_cycles(series), rtol=1e-10)


@pytest.mark.parametrize("slope", [3, 5, 6.3, 17])
@pytest.mark.parametrize("mean_stress", [None, "Goodman", "Gerber", "SWT"])
def test_curves_count_as_their_own_cycles_do(slope, mean_stress):
    curve = dtw.SNCurve(amplitude=100e6, cycles=1e6, slope=slope, knee=1e6, miner="original", ultimate=2000e6)
    series = 10e6 * noise(np.random.default_rng(3), 1, 3000)[0]
    own = of_series(series, curve.table(mean_stress))[0]
    assert own > 0.0
    assert_allclose(own, by_cycles(series, curve, mean_stress), rtol=1e-12)


@pytest.mark.parametrize("m", [4, 5, 7])
def test_signed_stress_is_the_length_of_the_form_with_its_sign(m):
    rng = np.random.default_rng(m)
    rows, channels = min(m, 5), noise(rng, m, 1300)
    roots = np.triu(rng.normal(size=(6, rows, m))) * 3e6
    signs = rng.normal(size=(6, m))
    damage, least, most = counted(roots, signs, channels)
    for i in range(6):
        series = np.copysign(np.linalg.norm(roots[i] @ channels, axis=0), signs[i] @ channels)
        assert_allclose(damage[i], by_cycles(series), rtol=1e-9)
        assert_allclose([least[i], most[i]], [series.min(), series.max()], rtol=1e-12)


def test_stress_beyond_the_ultimate_strength_is_failure_at_once():
    assert of_series([0.0, 900e6, 500e6, 900e6])[0] == np.inf


def test_digits_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    roots, signs = np.triu(rng.normal(size=(101, 4, 4))) * 2e6, rng.normal(size=(101, 4))
    channels = noise(rng, 4, 700)
    answers = []
    for n in (1, 2, 3):
        out = np.empty(101), np.empty(101), np.empty(101)
        with parallel.use_threads(n):
            parallel.run(
                kernels.damage_of_histories, 101, roots, signs, np.zeros(101, np.int64), TABLE[None],
                channels, *out, grain=8,
            )  # fmt: skip
        answers.append(np.array(out))
    assert_array_equal(answers[0], answers[1])
    assert_array_equal(answers[0], answers[2])
