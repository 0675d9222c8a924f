"""Oscillators on a shaken base against closed forms and against fine sampling of the exact motion."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import expm

from designtwin.kernels.shock import extremes


def peaks(times, base, frequencies, ratio, *, resolution=0.1, terms=12, kernel=extremes):
    f = np.atleast_1d(np.asarray(frequencies, float))
    out = np.empty((len(f), 2, 4))
    kernel(0, len(f), np.asarray(times, float), np.asarray(base, float), 2.0 * np.pi * f,
           np.full(len(f), float(ratio)), resolution, terms, out)  # fmt: skip
    return out


T = 0.011
HALF_SINE = np.linspace(0.0, T, 4001), np.sin(np.pi * np.linspace(0.0, T, 4001) / T)
F = np.geomspace(0.03, 30.0, 60) / T


def test_what_is_left_after_a_half_sine_is_the_closed_form():
    """Harris' Shock and Vibration Handbook, eq. 8.33: 2 r cos(pi r / 2) / (1 - r^2), r = w T / pi."""
    found = peaks(*HALF_SINE, F, 0.0)[:, 0, 2:]
    r = 2.0 * F * T
    exact = 2.0 * r * np.abs(np.cos(0.5 * np.pi * r) / (1.0 - r * r))
    assert_allclose(np.abs(found).max(axis=1), exact, rtol=3e-7, atol=1e-9)
    assert_allclose(found[:, 0], -found[:, 1], rtol=1e-9)  # undamped: as far one way as the other


def test_the_peak_within_a_half_sine_is_the_closed_form():
    f = F[2.0 * F * T > 1.2]
    for r, found in zip(2.0 * f * T, peaks(*HALF_SINE, f, 0.0)[:, 0, 0], strict=True):
        at = 2.0 * np.pi * np.arange(1, 60) / (1.0 + r)
        at = at[at <= np.pi]
        assert_allclose(found, (r / (r * r - 1.0) * (r * np.sin(at) - np.sin(r * at))).max(), rtol=3e-7)


def test_a_step_that_stays_doubles_itself():
    found = peaks([0.0, 10.0], [1.0, 1.0], 1.0, 0.0)[0]
    assert_allclose(found[0, 0], 2.0, rtol=1e-6)
    assert_allclose(found[1, 1], -2.0 / (2.0 * np.pi) ** 2, rtol=1e-6)


@pytest.mark.parametrize("ratio", [0.0, 0.02, 0.4])
@pytest.mark.parametrize("seed", [0, 1])
def test_any_record_is_followed_exactly(ratio, seed):
    """Beside the matrix exponential, sampled finely, while the record lasts and after it."""
    rng = np.random.default_rng(seed)
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.001, 0.02, 12))])
    base = rng.normal(size=13)
    for f in (0.7, 9.0, 45.0):
        w = 2.0 * np.pi * f
        a = np.array([[0.0, 1.0, 0.0, 0.0], [-w * w, -2.0 * ratio * w, -1.0, 0.0], [0.0, 0.0, 0.0, 1.0],
                      [0.0, 0.0, 0.0, 0.0]])  # fmt: skip
        h, n = None, 400
        state, seen = np.zeros(2), []
        for i in range(12):
            h = (times[i + 1] - times[i]) / n
            step = expm(a * h)
            x = np.array([*state, base[i], (base[i + 1] - base[i]) / (n * h)])
            for _ in range(n):
                x = step @ x
                seen.append(x[:2].copy())
            state = x[:2]
        after, x = [state], np.array([*state, 0.0, 0.0])
        step = expm(a / (f * 2000))
        for _ in range(2500):
            x = step @ x
            after.append(x[:2].copy())
        found = peaks(times, base, f, ratio)[0]
        for k, course in ((0, np.array(seen)), (2, np.array(after))):
            acceleration = -(2.0 * ratio * w * course[:, 1] + w * w * course[:, 0])
            for row, values in ((0, acceleration), (1, course[:, 0])):
                size = np.abs(values).max()
                expected = max(values.max(), 0.0), min(values.min(), 0.0)
                assert_allclose(found[row, k : k + 2], expected, atol=2e-5 * size)


def test_slow_oscillators_lose_no_digits_to_short_steps():
    """The base then moves under a mass at rest: z = -(displacement of the base), to the last digits."""
    times = np.linspace(0.0, 1e-3, 1001)
    found = peaks(times, np.ones(1001), 1e-4, 0.0)[0, 1, 1]
    assert_allclose(found, -0.5e-6, rtol=1e-9)


def test_stiff_oscillators_follow_the_base():
    found = peaks(*HALF_SINE, 500.0 / T, 0.05)[0, 0]
    assert_allclose(found[0], 1.0, rtol=1e-4)


def test_the_kernel_is_its_own_python():
    times, base = HALF_SINE[0][::400], HALF_SINE[1][::400]
    one = peaks(times, base, F[::20], 0.05)
    other = peaks(times, base, F[::20], 0.05, kernel=extremes.py_func)
    assert_allclose(one, other, rtol=1e-12, atol=1e-15)


def test_peaks_between_steps_converge_with_the_fourth_power_of_the_step():
    """A step that stays peaks at 2 wherever the samples fall: the error is that of the cubic between them."""
    f, steps = np.linspace(1.0, 1.6, 61), np.array([0.8, 0.4, 0.2])
    errors = [
        np.abs(peaks([0.0, 1.3], [1.0, 1.0], f, 0.0, resolution=r, terms=25)[:, 0, 0] - 2.0).max()
        for r in steps
    ]
    assert (errors < steps**4 / 350.0).all()
    assert steps[0] ** 4 / 3500.0 < errors[0]
    assert errors[2] < errors[0] / 100.0  # 256, were the worst place among the samples of each
