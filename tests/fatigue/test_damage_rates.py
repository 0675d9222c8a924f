"""Damage from a spectrum: closed forms of narrow bands, rainflow of synthesized signals, invariances."""

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import gamma as gamma_function
from surroundings import FULL

import designtwin as dtw

METHODS = ("Dirlik", "Tovo-Benasciutti", "Lalanne", "narrow band")
STEEP = dtw.SNCurve(amplitude="100 MPa", cycles=1e6, slope=5)
BENT = dtw.SNCurve(amplitude="100 MPa", cycles=1e6, slope=3, knee=1e6, miner="Haibach")
LIMITED = dtw.SNCurve(amplitude="100 MPa", cycles=1e6, slope=5, knee=1e6, miner="original")
SPECTRA = {
    "narrow": ([9.5, 9.8, 10.0, 10.2, 10.5], [0.0, 1.0, 1.0, 1.0, 0.0]),
    "band": ([1.0, 50.0], [1.0, 1.0]),
    "two peaks": ([4.9, 5.0, 5.1, 5.2, 39.0, 40.0, 41.0, 42.0], [0.0, 1.0, 1.0, 0.0, 0.0, 0.1, 0.1, 0.0]),
    "falling": (np.linspace(1.0, 100.0, 200), np.linspace(1.0, 100.0, 200) ** -2.0),
}


def spectrum(name, rms=55e6):
    f, g = (np.asarray(x, dtype=float) for x in SPECTRA[name])
    return f, g * rms**2 / dtw.spectral_moments(f, g)[0]


def signal(f, g, duration, rng):
    """A history with this spectrum and random phases, 40 samples a period of its highest frequency."""
    rate = 40.0 * f[-1]
    n = int(duration * rate)
    at = np.fft.rfftfreq(n, 1.0 / rate)
    size = np.sqrt(np.interp(at, f, g, left=0.0, right=0.0) * rate * n / 2.0)
    return np.fft.irfft(size * np.exp(2j * np.pi * rng.random(len(at))), n)


def test_moments_are_exact_for_lines():
    f, g = np.array([2.0, 3.0, 7.0, 7.5]), np.array([1.0, 4.0, 0.5, 2.0])
    exact = [
        sum(quad(lambda x, n=n: x**n * np.interp(x, f, g), a, b)[0] for a, b in pairwise(f)) for n in range(5)
    ]
    assert_allclose(dtw.spectral_moments(f, g), exact, rtol=1e-12)
    assert_allclose(
        dtw.spectral_moments(f, np.stack([g, 2 * g])), np.stack([exact, 2 * np.array(exact)]), rtol=1e-12
    )


@pytest.mark.parametrize("method", METHODS)
def test_narrow_bands_follow_the_closed_form(method):
    # Bendat (1964): nu_0 (sqrt(2) sigma)^k Gamma(1 + k / 2) / C
    f, g = np.array([9.999, 10.0, 10.001]), np.array([0.0, 1.0, 0.0])
    g = g * 55e6**2 / dtw.spectral_moments(f, g)[0]
    exact = 10.0 * (math.sqrt(2.0) * 55e6 / 100e6) ** 5 * gamma_function(3.5) / 1e6
    assert dtw.damage_rate(dtw.spectral_moments(f, g), STEEP, method=method) == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("curve", [STEEP, BENT, LIMITED, dtw.fatigue_curve("EC3 80")], ids=lambda c: c.name)
def test_damage_of_a_mixture_is_its_integral(method, curve):
    """Beside a plain quadrature of the published densities over the curve."""
    m = dtw.spectral_moments(*spectrum("two peaks"))
    g, sigma = m[2] / math.sqrt(m[0] * m[4]), math.sqrt(m[0])
    peaks, crossings = math.sqrt(m[4] / m[2]), math.sqrt(m[2] / m[0])

    def rayleigh(z, s):
        return z / s**2 * math.exp(-0.5 * (z / s) ** 2)

    def lalanne(z):
        wide = math.sqrt(1 - g * g)
        return wide / math.sqrt(2 * math.pi) * math.exp(-0.5 * (z / wide) ** 2) + 0.5 * g * rayleigh(
            z, 1.0
        ) * (1.0 + math.erf(g * z / (wide * math.sqrt(2.0))))

    x = m[1] / m[0] * math.sqrt(m[2] / m[4])
    d1 = 2 * (x - g * g) / (1 + g * g)
    r = (g - x - d1**2) / (1 - g - d1 + d1**2)
    d2 = (1 - g - d1 + d1**2) / (1 - r)
    d3 = 1 - d1 - d2
    q = 1.25 * (g - d3 - d2 * r) / d1
    a1 = m[1] / math.sqrt(m[0] * m[2])
    b = (a1 - g) * (1.112 * (1 + a1 * g - (a1 + g)) * math.exp(2.11 * g) + a1 - g) / (g - 1) ** 2
    rate, density = {
        "narrow band": (crossings, lambda z: rayleigh(z, 1.0)),
        "Lalanne": (peaks, lalanne),
        "Dirlik": (peaks, lambda z: d1 / q * math.exp(-z / q) + d2 * rayleigh(z, r) + d3 * rayleigh(z, 1.0)),
        "Tovo-Benasciutti": (peaks, lambda z: b * g * rayleigh(z, 1.0) + (1 - b) * rayleigh(z, g)),
    }[method]
    corners = [low / sigma for low, *_ in curve.segments if 0.0 < low < 20 * sigma]
    exact = quad(
        lambda z: density(z) / float(curve.life(z * sigma)) if z > 0 else 0.0,
        0.0,
        20.0,
        points=corners or None,
        limit=400,
        epsabs=0.0,
    )[0]
    assert dtw.damage_rate(m, curve, method=method) == pytest.approx(rate * exact, rel=1e-6)


# What each method is known to give beside rainflow: Dirlik and Tovo-Benasciutti near it, the others on the
# safe side.
BOUNDS = {
    "Dirlik": (0.75, 1.15),
    "Tovo-Benasciutti": (0.75, 1.15),
    "narrow band": (0.93, 2.4),
    "Lalanne": (0.93, 4.0),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_methods_stand_beside_rainflow_of_a_signal(name):
    f, g = spectrum(name)
    moments = dtw.spectral_moments(f, g)
    rng = np.random.default_rng(7)
    duration = 4000.0 if FULL else 800.0
    history = signal(f, g, duration, rng)
    assert history.std() == pytest.approx(55e6, rel=0.003)
    cycles = dtw.rainflow(history)
    for curve in (STEEP, BENT):
        counted = curve.damage(cycles) / duration
        for method, (low, high) in BOUNDS.items():
            assert low < dtw.damage_rate(moments, curve, method=method) / counted < high, (
                method,
                curve.slope,
            )


def test_any_spectrum_has_an_answer_in_order():
    rng = np.random.default_rng(0)
    moments = []
    for _ in range(2000):
        n = rng.integers(2, 12)
        f = np.cumsum(10.0 ** rng.uniform(-2, 2.5, n))
        m = dtw.spectral_moments(f, 10.0 ** rng.uniform(-10, 0, n))
        moments.append(m / m[0] * 60e6**2)
    rates = {method: dtw.damage_rate(np.array(moments), BENT, method=method) for method in METHODS}
    for method in METHODS:
        assert np.isfinite(rates[method]).all()
        assert (rates[method] > 0.0).all()
    assert (rates["Tovo-Benasciutti"] <= rates["narrow band"] * (1 + 1e-9)).all()
    assert (rates["Dirlik"] <= rates["narrow band"] * 1.2).all()
    assert (rates["Lalanne"] >= rates["narrow band"] * (1 - 1e-9)).all()


@pytest.mark.parametrize("method", METHODS)
def test_scaling_the_stress_and_the_clock(method):
    f, g = spectrum("two peaks")
    rate = dtw.damage_rate(dtw.spectral_moments(f, g), STEEP, method=method)
    assert dtw.damage_rate(dtw.spectral_moments(f, 4.0 * g), STEEP, method=method) == pytest.approx(
        32.0 * rate
    )
    assert dtw.damage_rate(dtw.spectral_moments(3 * f, g / 3), STEEP, method=method) == pytest.approx(
        3.0 * rate
    )


def test_many_places_at_once_and_places_at_rest():
    moments = np.stack([dtw.spectral_moments(*spectrum(name)) for name in SPECTRA])
    for method in METHODS:
        together = dtw.damage_rate(moments, BENT, method=method)
        one_by_one = [float(dtw.damage_rate(row, BENT, method=method)) for row in moments]
        assert_allclose(together, one_by_one, rtol=1e-13)
        assert dtw.damage_rate(np.zeros((2, 5)), BENT, method=method).tolist() == [0.0, 0.0]


def test_a_static_stress_scales_the_amplitudes():
    m = dtw.spectral_moments(*spectrum("band"))
    rate = dtw.damage_rate(m, STEEP)
    pulled = dtw.damage_rate(m, STEEP, mean="150 MPa", mean_stress="Goodman", ultimate="600 MPa")
    assert pulled == pytest.approx(rate * (1 / 0.75) ** 5)
    assert dtw.damage_rate(m, STEEP, mean="700 MPa", mean_stress="Goodman", ultimate="600 MPa") == math.inf
    assert dtw.damage_rate(m, STEEP, mean="150 MPa") == rate


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: dtw.damage_rate(m, STEEP, method="Dirlick"), "did you mean 'Dirlik'"),
        (lambda m: dtw.damage_rate(m[:3], STEEP), "five are wanted"),
        (lambda m: dtw.damage_rate(-m, STEEP), "not negative"),
        (lambda m: dtw.damage_rate(m * [1, 1, 9, 1, 1], STEEP), "belong to no spectrum"),
        (lambda m: dtw.damage_rate(m, STEEP, mean="9 MPa", mean_stress="SWT"), "SWT scales each amplitude"),
        (lambda m: dtw.spectral_moments([1.0, 3.0, 2.0], [1.0, 1.0, 1.0]), "to grow"),
        (lambda m: dtw.spectral_moments([1.0, 2.0], [1.0, -1.0]), "negative"),
        (lambda m: dtw.spectral_moments([1.0, 2.0], [1.0]), "make no spectrum"),
    ],
)
def test_wrong_questions_are_answered_with_a_reason(call, words):
    with pytest.raises(dtw.FatigueError, match=words):
        call(dtw.spectral_moments(*spectrum("band")))


def test_a_curve_may_be_named():
    moments = np.array([9e14, 9e16, 9e18, 9e20, 9.1e22])
    curve = dtw.fatigue_curve("S355 base metal")
    assert dtw.damage_rate(moments, "S355 base metal") == dtw.damage_rate(moments, curve)
    history = np.array([[1e8, 0, 0, 0, 0, 0], [-1e8, 0, 0, 0, 0, 0]] * 2, float)
    assert dtw.critical_plane(history, "S355 base metal").damage == dtw.critical_plane(history, curve).damage
    for call in (lambda: dtw.damage_rate(moments, None), lambda: dtw.critical_plane(history, 5)):
        with pytest.raises(dtw.FatigueError, match="an SNCurve or the name of one is wanted"):
            call()
