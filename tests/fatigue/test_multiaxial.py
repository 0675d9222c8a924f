"""Several components: planes found in any orientation, closed forms of Findley, the sign of von Mises."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import designtwin as dtw
from designtwin.kernels import rainflow as kernels

CURVE = dtw.SNCurve.basquin("1000 MPa", -0.1)
K = 0.3
numbers = st.lists(st.tuples(st.integers(-6, 6), st.integers(-6, 6)), min_size=2, max_size=50)


def turned(stress, seed=0):
    """The history in another frame, and the turn."""
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    s = turn @ stress[:, [0, 3, 5, 3, 1, 4, 5, 4, 2]].reshape(-1, 3, 3) @ turn.T
    return s[:, [0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 2, 2]], turn


def history(component, values):
    stress = np.zeros((len(values), 6))
    stress[:, component] = values
    return stress


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("criterion", ["normal stress", "Findley"])
def test_uniaxial_histories_do_the_damage_of_the_curve(criterion, seed):
    values = 200e6 * np.array([1.0, -1.0, 1.0, -0.5, 0.5, -1.0, 1.0])
    stress, turn = turned(history(0, values), seed)
    found = dtw.critical_plane(stress, CURVE, criterion=criterion)
    if criterion == "normal stress":
        assert found.damage == pytest.approx(CURVE.damage(dtw.rainflow(values)), rel=1e-4)
        assert abs(found.normal @ turn[:, 0]) == pytest.approx(1.0, abs=1e-5)
    else:
        # the largest cycles have the amplitude of the curve; plane at half of arctan(1 / k)
        assert found.amplitude == pytest.approx(200e6, rel=1e-5)
        assert abs(found.normal @ turn[:, 0]) == pytest.approx(math.cos(0.5 * math.atan(1.0 / K)), abs=2e-3)
    assert found.normal @ found.normal == pytest.approx(1.0)
    if criterion == "Findley":
        assert abs(found.normal @ found.direction) < 1e-12


def test_findley_of_torsion_and_of_pulsating_tension():
    root = math.hypot(1.0, K) + K
    shear, _ = turned(history(3, [100e6, -100e6, 100e6]))
    # tau_a sqrt(1 + k^2) on the plane, over what uniaxial tests give
    twist = dtw.critical_plane(shear, CURVE, criterion="Findley")
    assert twist.amplitude == pytest.approx(2.0 * 100e6 * math.hypot(1.0, K) / root, rel=1e-5)
    pulse, _ = turned(history(0, [400e6, 0.0, 400e6]))
    expected = 2.0 * (K * 200e6 + math.hypot(100e6, K * 200e6)) / root
    assert dtw.critical_plane(pulse, CURVE, criterion="Findley").amplitude == pytest.approx(
        expected, rel=1e-5
    )


def test_shear_alone_is_found_at_its_plane():
    stress, turn = turned(history(3, [80e6, -80e6, 80e6]), 4)
    found = dtw.critical_plane(stress, CURVE, criterion="Findley", findley=0.0)
    assert found.amplitude == pytest.approx(160e6, rel=1e-5)
    aligned = np.abs([found.normal @ turn[:, 0], found.normal @ turn[:, 1]])
    assert aligned.max() == pytest.approx(1.0, abs=1e-5)


def test_out_of_phase_shear_has_its_own_plane():
    # tension and torsion 90 degrees apart: no plane sees the sum, the worst normal stress is that of tension
    # alone
    t = np.linspace(0.0, 2.0 * np.pi, 721)
    stress = np.zeros((len(t), 6))
    stress[:, 0], stress[:, 3] = 100e6 * np.sin(t), 50e6 * np.cos(t)
    rotated, _ = turned(stress, 2)
    found = dtw.critical_plane(rotated, CURVE)
    angle = np.radians(np.arange(0.0, 180.0, 0.05))[:, None]
    on_plane = stress[:, 0] * np.cos(angle) ** 2 + 2.0 * stress[:, 3] * np.sin(angle) * np.cos(angle)
    assert found.amplitude == pytest.approx(0.5 * np.ptp(on_plane, axis=1).max(), rel=1e-3)


def test_nothing_changes_nothing_breaks():
    still = np.tile([100e6, 0.0, 0.0, 20e6, 0.0, 0.0], (5, 1))
    for criterion in ("normal stress", "Findley"):
        assert dtw.critical_plane(still, CURVE, criterion=criterion).damage == 0.0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(numbers)
def test_cycles_beside_another_signal_are_rainflow_cycles(pairs):
    x, y = np.array(pairs, dtype=float).T
    out = np.empty((len(x), 3))
    found = kernels.count_beside(x, y, np.empty((len(x), 2)), out)
    cycles = dtw.rainflow(x)
    order, other = np.lexsort(out[:found, [2, 0]].T), np.lexsort([cycles.count, cycles.range])
    assert_array_equal(out[:found][order][:, [0, 2]], np.column_stack([cycles.range, cycles.count])[other])
    assert (out[:found, 1] <= y.max()).all()
    # beside itself, the highest value of a cycle is its own
    kernels.count_beside(x, x, np.empty((len(x), 2)), out)
    highest = np.sort(out[:found, 1])
    assert_array_equal(highest, np.sort(cycles.highest))


@pytest.mark.parametrize("at", [2, 3])
def test_what_happens_in_an_inner_cycle_counts_for_the_outer_and_nothing_after_it(at):
    x = np.array([0.0, 3.0, 1.0, 2.0, 0.5, 4.0])
    y = np.zeros(6)
    y[at], y[5] = 5.0, 9.0  # 9 comes with the sample that closes everything
    out = np.empty((6, 3))
    found = kernels.count_beside(x, y, np.empty((6, 2)), out)
    assert out[:found].tolist() == [[1.0, 5.0, 1.0], [2.5, 5.0, 1.0], [4.0, 9.0, 0.5]]


def test_von_mises_has_the_sign_of_the_load():
    stress, _ = turned(history(0, [100e6, -50e6]))
    for sign in ("hydrostatic", "principal"):
        assert_allclose(dtw.signed_von_mises(stress, sign=sign), [100e6, -50e6], rtol=1e-12)
    both = np.array([[100e6, -150e6, 60e6, 0.0, 0.0, 0.0]])
    assert dtw.signed_von_mises(both)[0] > 0.0 > dtw.signed_von_mises(both, sign="principal")[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: dtw.critical_plane(s[:, :3], CURVE), "six components"),
        (lambda s: dtw.critical_plane(s[:1], CURVE), "n of 2 and more"),
        (lambda s: dtw.critical_plane(s + np.nan, CURVE), "the first in row 0"),
        (lambda s: dtw.critical_plane(s, CURVE, criterion="Findlay"), "did you mean 'Findley'"),
        (
            lambda s: dtw.critical_plane(s, CURVE, criterion="Findley", mean_stress="SWT"),
            "leave mean_stress out",
        ),
        (
            lambda s: dtw.critical_plane(s, dtw.fatigue_curve("FAT 71 nominal"), criterion="Findley"),
            "at R = -1",
        ),
        (lambda s: dtw.signed_von_mises(s, sign="shear"), "sign is 'shear'"),
    ],
)
def test_wrong_questions_are_answered_with_a_reason(call, words):
    with pytest.raises(dtw.FatigueError, match=words):
        call(np.zeros((3, 6)))
