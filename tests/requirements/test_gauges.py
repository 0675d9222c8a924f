"""Strength criteria give the published numbers, grow with the load, and bound whatever the error hides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from surroundings import FULL

from designtwin.requirements import brittle_utilization, gauges
from designtwin.results import stress as tensor

MPA = 1e6
# Kaw, Mechanics of Composite Materials, 2nd ed. (2006), table 2.1, graphite/epoxy
KAW = {
    "tensile": np.array([1500.0, 40.0, 40.0]) * MPA,
    "compressive": np.array([1500.0, 246.0, 246.0]) * MPA,
    "shear": np.array([68.0, 68.0, 68.0]) * MPA,
}
# a ply like AS4/3501-6 (Soden, Hinton, Kaddour 1998), with a shear strength across of 55 MPa
PLY = {
    "tensile": np.array([1950.0, 48.0, 48.0]) * MPA,
    "compressive": np.array([1480.0, 200.0, 200.0]) * MPA,
    "shear": np.array([79.0, 55.0, 79.0]) * MPA,
}
COMPLIANCE = np.zeros((6, 6))
COMPLIANCE[:3, :3] = [
    [1 / 126e9, -0.28 / 126e9, -0.28 / 126e9],
    [-0.28 / 126e9, 1 / 11e9, -0.4 / 11e9],
    [-0.28 / 126e9, -0.4 / 11e9, 1 / 11e9],
]
COMPLIANCE[[3, 4, 5], [3, 4, 5]] = 1 / 6.6e9, 1 / 3.9e9, 1 / 6.6e9

CRITERIA = {
    "tsai_wu": lambda s, d: gauges.tsai_wu(s, d, **PLY),
    "hashin": lambda s, d: gauges.hashin(s, d, **PLY)[0],
    "max_stress": lambda s, d: gauges.max_stress(s, d, **PLY),
    "max_strain": lambda s, d: gauges.max_strain(s, d, **PLY, compliance=COMPLIANCE),
    "drucker_prager": lambda s, d: gauges.drucker_prager(s, d, np.array(250 * MPA), np.array(840 * MPA)),
}


def off_axis(angle: float, xx: float, yy: float, xy: float) -> np.ndarray:
    """Stress in the axes of a ply at an angle, by tensors."""
    c, s = np.cos(angle), np.sin(angle)
    axes = np.array([[[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]])
    return gauges.in_axes(np.array([[xx, yy, 0.0, xy, 0.0, 0.0]]) * MPA, axes)


def exact(found: gauges.Bounds) -> float:
    value, low, high = (float(one[0]) for one in found)
    assert low == pytest.approx(value, rel=1e-12)
    assert high == pytest.approx(value, rel=1e-12)
    return value


# --- published numbers -------------------------------------------------------------------------------------


def test_a_ply_at_60_degrees_breaks_where_kaw_says():
    """Kaw, the worked lamina of sec. 2.8: sx = 2S, sy = -3S, txy = 4S; S at failure, MPa."""
    stress = off_axis(np.deg2rad(60.0), 2.0, -3.0, 4.0)
    assert_allclose(stress[0] / MPA, [1.714, -2.714, 0.0, -4.165, 0.0, 0.0], atol=6e-4)
    none = np.zeros(1)
    assert 1.0 / exact(gauges.tsai_wu(stress, none, **KAW)) == pytest.approx(22.39, abs=0.005)
    assert 1.0 / exact(gauges.max_stress(stress, none, **KAW)) == pytest.approx(16.33, abs=0.005)
    e1, e2, nu, g = 181e9, 10.3e9, 0.28, 7.17e9
    compliance = np.diag([1 / e1, 1 / e2, 1 / e2, 1 / g, 1 / g, 1 / g])
    compliance[0, 1] = compliance[1, 0] = -nu / e1
    strain = gauges.max_strain(stress, none, **KAW, compliance=compliance)
    assert 1.0 / exact(strain) == pytest.approx(16.33, abs=0.005)


def test_a_wrench_of_cast_iron_breaks_where_shigley_says():
    """Shigley, 9th ed., example 5-5: principal stresses 175.8 F and -33.2 F psi; F in lbf."""
    psi = 6894.757
    first, third = np.array([175.8 * psi]), np.array([-33.2 * psi])
    strengths = np.array([31e3 * psi]), np.array([109e3 * psi])
    mohr = brittle_utilization(first, third, *strengths, criterion="mohr_coulomb")
    modified = brittle_utilization(first, third, *strengths, criterion="modified_mohr")
    assert 1.0 / mohr[0] == pytest.approx(167.0, abs=0.5)
    assert 1.0 / modified[0] == pytest.approx(176.0, abs=0.5)


@pytest.mark.parametrize("criterion", ["tsai_wu", "hashin", "max_stress", "max_strain"])
@pytest.mark.parametrize("axis", range(6))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_lone_stress_breaks_at_its_strength(criterion, axis, sign):
    names = ("tensile" if sign > 0.0 else "compressive",) if axis < 3 else ("shear",)
    strength = PLY[names[0]][axis % 3]
    stress = np.zeros((1, 6))
    stress[0, axis] = sign * strength
    expected = 1.0
    if criterion == "max_strain" and sign < 0.0 and axis in (1, 2):
        expected = 0.4 * 200.0 / 48.0  # pressed along 2 it is stretched along 3, and breaks by that
    assert exact(CRITERIA[criterion](stress, np.zeros(1))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("stress", "mode"),
    [
        ([1000, 5, 0, 10, 0, 0], "fiber tension"),
        ([-1000, 5, 0, 10, 0, 0], "fiber compression"),
        ([100, 40, 0, 10, 0, 0], "matrix tension"),
        ([100, -150, 0, 40, 0, 0], "matrix compression"),
        ([0, 0, 0, 0, 40, 0], "matrix compression"),
    ],
)
def test_hashins_mode_is_named(stress, mode):
    (value, _, _), modes = gauges.hashin(np.array([stress]) * MPA, np.zeros(1), **PLY)
    assert gauges.HASHIN_MODES[int(np.argmax(modes[0]))] == mode
    assert value[0] == modes[0].max()


@given(st.floats(0.0, np.pi), st.integers(0, 10**6))
def test_hashin_does_not_know_which_way_across_the_fibers_is_2(angle, seed):
    stress = np.random.default_rng(seed).normal(size=(3, 6)) * np.array([600.0, 60, 60, 40, 40, 40]) * MPA
    c, s = np.cos(angle), np.sin(angle)
    axes = np.array([[[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]]])
    turned = gauges.in_axes(stress, axes)
    none = np.zeros(3)
    assert_allclose(CRITERIA["hashin"](turned, none)[0], CRITERIA["hashin"](stress, none)[0], rtol=1e-6)


def test_equal_strengths_make_tsai_wu_and_drucker_prager_von_mises():
    rng = np.random.default_rng(7)
    stress, none = rng.normal(size=(50, 6)) * 1e8, np.zeros(50)
    same = np.full(3, 200 * MPA)
    by_von_mises = tensor.von_mises(stress) / (200 * MPA)
    tsai_wu = gauges.tsai_wu(stress, none, same, same, same / np.sqrt(3.0))[0]
    assert_allclose(tsai_wu, by_von_mises, rtol=1e-12)
    cone = gauges.drucker_prager(stress, none, np.array(200 * MPA), np.array(200 * MPA))[0]
    assert_allclose(cone, by_von_mises, rtol=1e-12)


def test_drucker_pragers_cone_passes_through_both_strengths_and_spares_pressure():
    uniaxial = np.zeros((3, 6))
    uniaxial[0, 0], uniaxial[1, 1], uniaxial[2, :3] = 250 * MPA, -840 * MPA, -5e9
    found = CRITERIA["drucker_prager"](uniaxial, np.zeros(3))[0]
    assert_allclose(found, [1.0, 1.0, 0.0], rtol=1e-12)


# --- laws --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", CRITERIA)
@given(seed=st.integers(0, 10**6), factor=st.floats(1e-3, 1e3))
def test_utilization_grows_with_the_load(criterion, seed, factor):
    rng = np.random.default_rng(seed)
    stress = rng.normal(size=(4, 6)) * 50 * MPA
    radius = rng.random(4) * 5 * MPA
    for one, more in zip(
        CRITERIA[criterion](stress, radius),
        CRITERIA[criterion](factor * stress, factor * radius),
        strict=True,
    ):
        assert_allclose(more, factor * one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_bounds_hold_every_tensor_of_the_ball(criterion):
    """Samples of the sphere, and ascent on it from the worst of them: the exact largest of a smooth gauge."""
    rng = np.random.default_rng(3)
    judge = CRITERIA[criterion]
    n, loose = (400 if FULL else 60), []
    for _ in range(n):
        stress = rng.normal(size=6) * np.array([600.0, 25.0, 25.0, 25.0, 15.0, 25.0]) * MPA
        radius = 10 ** rng.uniform(-3.5, -0.3) * float(tensor.norm(stress[None])[0])
        value, low, high = (float(one[0]) for one in judge(stress[None], np.array([radius])))
        assert low <= value <= high
        off = rng.normal(size=(800, 6))
        off *= (radius * rng.random((800, 1)) ** 0.2) / np.linalg.norm(off, axis=1)[:, None]
        seen = judge(stress + off / gauges.mandel(np.ones(6)), np.zeros(800))[0]
        best, most = off[int(np.argmax(seen))], float(seen.max())
        for _ in range(8):
            probes = best + 1e-4 * radius * np.concatenate([np.eye(6), -np.eye(6)])
            u = judge(stress + probes / gauges.mandel(np.ones(6)), np.zeros(12))[0]
            slope = u[:6] - u[6:]
            if not slope.any():
                break
            best = radius * slope / np.linalg.norm(slope)
            at = stress[None] + best / gauges.mandel(np.ones(6))
            most = max(most, float(judge(at, np.zeros(1))[0][0]))
        assert most <= high * (1.0 + 1e-9)
        assert float(seen.min()) >= low * (1.0 - 1e-9)
        loose.append((high - value) / max(most - value, 1e-300))
    # and are not much wider than that: linear faces and the cone exactly as wide
    assert np.median(loose) <= {"tsai_wu": 1.1, "hashin": 1.1}.get(criterion, 1.005)


def test_hashins_bounds_hold_both_sides_of_a_border_in_reach():
    """Pressure across with shear: fibers pulled by next to nothing fail by shear, pressed ones do not."""
    stress = np.array([[-1.0, -60.0, 0.0, 75.0, 0.0, 0.0]]) * MPA
    here = gauges.hashin(stress, np.zeros(1), **PLY)[0]
    near = gauges.hashin(stress + np.array([[2 * MPA, 0, 0, 0, 0, 0]]), np.zeros(1), **PLY)[0]
    assert near[0][0] > here[0][0] + 0.05  # the jump is there
    value, low, high = gauges.hashin(stress, np.array([2.1 * MPA]), **PLY)[0]
    assert low[0] <= here[0][0] == value[0]
    assert near[0][0] <= high[0]
    # and from the other side
    _, low, _ = gauges.hashin(stress + np.array([[2 * MPA, 0, 0, 0, 0, 0]]), np.array([2.1 * MPA]), **PLY)[0]
    assert low[0] <= here[0][0]


@given(st.floats(-1e3, 1e3), st.floats(0.0, 1e3))
def test_modified_mohr_lies_between_rankine_and_mohr_coulomb(third, spread):
    first = np.array([third + spread]) * MPA
    arguments = first, np.array([third]) * MPA, np.array([250 * MPA]), np.array([840 * MPA])
    rankine, modified, coulomb = (
        float(brittle_utilization(*arguments, criterion=name)[0])
        for name in ("rankine", "modified_mohr", "mohr_coulomb")
    )
    assert rankine <= modified * (1 + 1e-12)
    assert modified <= coulomb * (1 + 1e-12) + 1e-15
