"""Shares of variance of functions whose shares are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.study import chaos
from designtwin.study.scatter import sobol_points

A, B = 7.0, 0.1


def ishigami(x):
    return np.sin(x[:, 0]) + A * np.sin(x[:, 1]) ** 2 + B * x[:, 2] ** 4 * np.sin(x[:, 0])


V1, V2, V13 = 0.5 * (1 + B * np.pi**4 / 5) ** 2, A**2 / 8, 8 * B**2 * np.pi**8 / 225
V = V1 + V2 + V13
FIRST, TOTAL = np.array([V1, V2, 0.0]) / V, np.array([V1 + V13, V2, V13]) / V
"""Ishigami & Homma, Proc. ISUMA (1990); Saltelli, Chan & Scott, Sensitivity Analysis (2000), sec. 2.9."""
ANGLES = dict.fromkeys(("x1", "x2", "x3"), (-np.pi, np.pi))


def test_ishigami_by_polynomial_chaos_is_met_within_a_hundredth():
    found = dtw.sobol_indices(ishigami, ANGLES, n=512)
    assert_allclose(found.first[0], FIRST, atol=1e-3)
    assert_allclose(found.total[0], TOTAL, atol=1e-3)
    assert not found.doubtful


def test_ishigami_by_saltelli_sampling_is_met_within_a_hundredth():
    pytest.importorskip("SALib")
    found = dtw.sobol_indices(ishigami, ANGLES, n=2**14 if FULL else 2**13, method="saltelli")
    assert_allclose(found.first[0], FIRST, atol=0.01)
    assert_allclose(found.total[0], TOTAL, atol=0.01)
    assert_allclose(found.of("y")["x2"], (FIRST[1], TOTAL[1]), atol=0.01)


def test_too_few_points_are_told_to_be_too_few():
    found = dtw.sobol_indices(ishigami, ANGLES, n=64)
    assert found.doubtful == ("y",)
    assert "DOUBTFUL" in str(found)


def test_indices_of_the_g_function():
    """Sobol', Math. Comput. Simul. 55 (2001) 271: product of (|4x - 2| + a) / (1 + a)."""
    a = np.array([0.0, 1.0, 9.0])
    g = lambda x: np.prod((np.abs(4 * x - 2) + a) / (1 + a), axis=1)  # noqa: E731
    v = 1 / (3 * (1 + a) ** 2)
    whole = np.prod(1 + v) - 1
    found = dtw.sobol_indices(g, dict.fromkeys("abc", (0.0, 1.0)), n=4096 if FULL else 1024)
    assert_allclose(found.first[0], v / whole, atol=0.02 if FULL else 0.03)
    assert_allclose(
        found.total[0],
        [v[i] * np.prod(np.delete(1 + v, i)) / whole for i in range(3)],
        atol=0.02 if FULL else 0.03,
    )


def test_a_polynomial_is_found_exactly_and_its_error_says_so():
    u = sobol_points(64, 2, 0)
    z = np.column_stack([u[:, 0], np.sqrt(2) * 1.3 * (u[:, 1] - 0.5)])
    y = 1.0 + 2.0 * z[:, 0] - z[:, 0] ** 2 * z[:, 1] + 0.5 * z[:, 1] ** 3
    found = chaos.fit(z, y, ("uniform", "normal"))
    assert found.error < 1e-20
    assert_allclose(found(z), y, atol=1e-10)
    assert found.mean != 0.0


@pytest.mark.parametrize("family", ["uniform", "normal"])
def test_the_polynomials_are_orthonormal(family):
    if family == "uniform":
        x, w = np.polynomial.legendre.leggauss(20)
        x, w = 0.5 * (x + 1), 0.5 * w
    else:
        x, w = np.polynomial.hermite_e.hermegauss(20)
        w = w / np.sqrt(2 * np.pi)
    p = chaos._tables(x[:, None], (family,), 8)[0]
    assert_allclose((p * w) @ p.T, np.eye(9), atol=1e-11)


def test_what_cannot_be_shared_is_told():
    with pytest.raises(dtw.StudyError, match="8 are the least"):
        chaos.fit(np.zeros((5, 3)), np.zeros(5), ("uniform",) * 3)
    with pytest.raises(dtw.StudyError, match="not finite"):
        dtw.sobol_indices(lambda x: np.full(len(x), np.nan), ANGLES, n=64)
    with pytest.raises(dtw.StudyError, match="finite ranges"):
        dtw.sobol_indices(ishigami, {"x": (1.0, 1.0)})
    constant = dtw.sobol_indices(lambda x: np.ones(len(x)), ANGLES, n=64)
    assert not constant.first.any()
