"""Integrals of modal responses over random inputs: exact where an exact answer is at hand, told where not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.linalg import solve_continuous_lyapunov
from surroundings import FULL

from designtwin.errors import DesignTwinError
from designtwin.solvers import spectral
from designtwin.solvers.spectral import ModalTransfer, covariances, panels

TWO_PI = 2.0 * np.pi


def modal(frequencies, ratios, *, loss=0.0, mass=1.0) -> ModalTransfer:
    f = np.atleast_1d(np.asarray(frequencies, float))
    m = np.broadcast_to(np.asarray(mass, float), f.shape).copy()
    omega = TWO_PI * f
    viscous = 2.0 * np.asarray(ratios) * omega * m
    return ModalTransfer(omega**2 * m, m, viscous + 0 * f, loss * omega**2 * m + 0 * f)


def flat(f):
    return np.ones((len(f), 1, 1), complex)


def power(alpha):
    return lambda f: (f**alpha).astype(complex)[:, None, None]


def rational_integral(transfer: ModalTransfer, low: float, high: float) -> float:
    """int |h|^2 df of one mode with viscous damping, by partial fractions."""
    # 1 / ((k - w^2)^2 + c^2 w^2) has its four roots at +-p and +-conj(p)
    p = TWO_PI * transfer.poles[0]
    roots = np.array([p, -p, p.conjugate(), -p.conjugate()])
    a, b = TWO_PI * low, TWO_PI * high
    total = 0.0
    for i, root in enumerate(roots):
        others = np.delete(roots, i)
        total += (np.log((b - root) / (a - root)) / np.prod(root - others)).real
    return total / TWO_PI


@pytest.mark.parametrize("ratio", [0.3, 0.02, 1e-4])
@pytest.mark.parametrize("band", [(10.0, 2000.0), (48.0, 52.0), (1.0, 20.0), (200.0, 300.0)])
def test_one_mode_under_a_flat_spectrum_has_the_closed_integral(ratio, band):
    transfer = modal(50.0, ratio)
    found = covariances(transfer, np.ones((1, 1)), flat, np.array(band))
    assert_allclose(found.displacement[0, 0], rational_integral(transfer, *band), rtol=1e-9)
    assert found.error < 1e-9


def test_white_noise_gives_the_textbook_variances():
    omega, ratio = TWO_PI * 50.0, 0.02
    found = covariances(modal(50.0, ratio), np.ones((1, 1)), flat, np.array([1e-8, 1e10]))
    assert_allclose(found.displacement[0, 0], 1.0 / (8.0 * ratio * omega**3), rtol=1e-8)
    assert_allclose(found.velocity[0, 0], 1.0 / (8.0 * ratio * omega), rtol=1e-6)
    assert_allclose(found.displacement[0, 0] * omega**4, spectral.miles(50.0, ratio, 1.0) ** 2, rtol=1e-8)


@pytest.mark.parametrize("alpha", [-3.7, -1.0, 0.5, 2.31])
def test_powers_of_the_frequency_are_integrated_to_rounding(alpha):
    transfer = modal(80.0, 0.01)

    def integrand(f, order):
        return float(
            (TWO_PI * f) ** (2 * order) * np.abs(transfer(np.array([f]), np.ones((1, 1)))[0, 0, 0]) ** 2
        )

    found = covariances(transfer, np.ones((1, 1)), power(alpha), np.array([10.0, 2000.0]))
    for order, matrix in enumerate((found.displacement, found.velocity, found.acceleration)):
        exact = quad(
            lambda f, order=order: integrand(f, order) * f**alpha, 10.0, 2000.0, points=[79.0, 80.0, 81.0],
            limit=2000, epsabs=0.0, epsrel=1e-12,
        )[0]  # fmt: skip
        assert_allclose(matrix[0, 0], exact, rtol=1e-11)


def chain(seed: int, n: int = 4) -> tuple[ModalTransfer, np.ndarray, np.ndarray]:
    """Modes coupled by damping: the transfer, D and K."""
    rng = np.random.default_rng(seed)
    k = (TWO_PI * np.sort(rng.uniform(0.1, 0.3, n))) ** 2
    b = rng.normal(size=(n, n))
    d = 0.02 * (b @ b.T + 2.0 * np.eye(n))
    return ModalTransfer(k, np.ones(n), d, np.zeros((n, n))), d, np.diag(k)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_modes_coupled_by_dampers_have_the_covariance_of_lyapunovs_equation(seed):
    transfer, d, k = chain(seed)
    n = len(d)
    force = np.random.default_rng(seed + 10).normal(size=(n, 1))
    found = covariances(transfer, force, flat, np.array([1e-9, 1e10]))
    state = np.block([[np.zeros((n, n)), np.eye(n)], [-k, -d]])
    noise = np.zeros((2 * n, 2 * n))
    noise[n:, n:] = 0.5 * force @ force.T  # one-sided per Hz: half of it at positive and negative frequencies
    exact = solve_continuous_lyapunov(state, -noise)
    size = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert_allclose(found.displacement / size[:n, :n], exact[:n, :n] / size[:n, :n], atol=1e-8)
    assert_allclose(found.velocity / size[n:, n:], exact[n:, n:] / size[n:, n:], atol=1e-6)


def test_coupled_equations_answer_as_solved_frequency_by_frequency():
    transfer, d, k = chain(7)
    loss = 0.02 * np.sqrt(k) @ np.ones_like(k) @ np.sqrt(k) / len(k) * 0.1
    mass = np.array([1.0, 2.0, 0.5, 1e-4])
    both = ModalTransfer(transfer.stiffness, mass, d, loss)
    assert both._state is not None
    f = np.array([0.01, 0.15, 0.29, 5.0])
    force = np.random.default_rng(0).normal(size=(4, 2))
    for i, found in zip(f, both(f, force), strict=True):
        w = TWO_PI * i
        assert_allclose(
            found, np.linalg.solve(k + 1j * loss + 1j * w * d - w * w * np.diag(mass), force), rtol=1e-9
        )


@pytest.mark.parametrize("mass", [1.0, 0.0])
def test_equations_without_a_good_basis_are_solved_as_they_are(mass):
    """Critical damping has a defective state matrix, and a shape without mass none."""
    k = TWO_PI**2 * np.array([100.0, 400.0])
    damping = np.diag([2.0 * TWO_PI * 10.0, 1.0])
    transfer = ModalTransfer(k, np.array([1.0, mass]), damping, np.zeros((2, 2)))
    apart = ModalTransfer(k, np.array([1.0, mass]), np.diag(damping).copy(), np.zeros(2))
    f = np.array([1.0, 9.0, 30.0])
    assert_allclose(transfer(f, np.ones((2, 1))), apart(f, np.ones((2, 1))), rtol=1e-8)
    order = [np.sort_complex(np.round(one.poles, 6)) for one in (transfer, apart)]
    assert_allclose(order[0], order[1], atol=1e-4)


def test_damping_matrices_that_are_diagonal_couple_nothing():
    f, ratio = np.array([20.0, 21.0, 90.0]), np.array([0.01, 0.02, 0.05])
    alone = modal(f, ratio, loss=0.01)
    whole = ModalTransfer(alone.stiffness, alone.mass, np.diag(alone.damping), np.diag(alone.loss))
    force, band = np.array([[1.0], [-0.5], [2.0]]), np.array([5.0, 200.0])
    one, other = (covariances(t, force, flat, band) for t in (alone, whole))
    assert_allclose(
        whole.poles[np.argsort(whole.poles.real)], alone.poles[np.argsort(alone.poles.real)], rtol=1e-9
    )
    assert_allclose(one.displacement, other.displacement, rtol=1e-9)
    assert_allclose(one.acceleration, other.acceleration, rtol=1e-9)


@settings(max_examples=200 if FULL else 25, deadline=None)
@given(
    frequencies=st.lists(st.floats(1.0, 3000.0), min_size=1, max_size=6),
    ratio=st.floats(1e-4, 0.5), alpha=st.floats(-4.0, 4.0), scale=st.floats(1e-6, 1e6),
)  # fmt: skip
def test_covariances_are_semidefinite_and_linear_in_the_input(frequencies, ratio, alpha, scale):
    m = len(frequencies)
    force = np.linspace(1.0, -2.1, m)[:, None] * (TWO_PI * np.array(frequencies)[:, None])
    knots = np.array([10.0, 200.0, 2000.0])
    one = covariances(modal(frequencies, ratio), force, power(alpha), knots)
    assert one.error < 1e-6  # as the rule of lower order tells it; steep densities come near
    for matrix in (one.displacement, one.velocity, one.acceleration):
        assert_allclose(matrix, matrix.T, rtol=1e-13)
        size = np.sqrt(np.diag(matrix))
        assert np.linalg.eigvalsh(matrix / np.outer(size, size)).min() > -1e-12
    more = covariances(modal(frequencies, ratio), force, lambda f: scale * power(alpha)(f), knots)
    assert_allclose(more.displacement, scale * one.displacement, rtol=1e-12, atol=0.0)


def test_a_band_is_the_sum_of_its_parts():
    transfer, force = modal([90.0, 100.0, 400.0], 0.02), np.array([[1.0], [1.0], [-1.0]])
    whole = covariances(transfer, force, power(-0.7), np.array([20.0, 900.0]))
    parts = [
        covariances(transfer, force, power(-0.7), np.array(band)) for band in ((20.0, 97.0), (97.0, 900.0))
    ]
    assert_allclose(whole.displacement, sum(p.displacement for p in parts), rtol=1e-11)
    assert_allclose(whole.acceleration, sum(p.acceleration for p in parts), rtol=1e-11)


def test_the_error_told_holds_the_error_made(monkeypatch):
    """With panels that are far too coarse, where there is an error to be told."""
    transfer = modal(50.0, 0.02)
    exact = covariances(transfer, np.ones((1, 1)), flat, np.array([10.0, 100.0])).displacement[0, 0]
    coarse = panels
    monkeypatch.setattr(spectral, "panels", lambda knots, poles: coarse(knots, poles, ellipse=1.25))
    rough = covariances(transfer, np.ones((1, 1)), flat, np.array([10.0, 100.0]))
    error = abs(rough.displacement[0, 0] / exact - 1.0)
    assert 1e-7 < error < rough.error < 0.1


def test_panels_cover_the_band_and_keep_away_from_poles():
    transfer = modal([50.0, 51.0, 700.0], [1e-3, 0.02, 0.1])
    knots = np.array([10.0, 300.0, 2000.0])
    ends = panels(knots, transfer.poles)
    assert_allclose(ends[1:, 0], ends[:-1, 1], rtol=0.0, atol=0.0)
    assert (ends[0, 0], ends[-1, 1]) == (10.0, 2000.0)
    assert 300.0 in ends[:, 0]
    middle, half = ends.mean(axis=1), 0.5 * np.diff(ends, axis=1)[:, 0]
    z = (transfer.poles[None, :] - middle[:, None]) / half[:, None]
    assert (
        np.abs(z - 1.0) + np.abs(z + 1.0)
    ).min() >= 2.75 + 1.0 / 2.75 - 1e-9  # sum of distances to the foci


def test_undamped_resonances_are_found_inside_the_band_alone():
    transfer = modal([0.0, 5.0, 50.0, 80.0], [0.0, 0.0, 0.0, 0.01])
    assert_allclose(spectral.undamped_inside(transfer.poles, 10.0, 100.0), [50.0])
    assert len(spectral.undamped_inside(transfer.poles, 60.0, 100.0)) == 0
    assert_allclose(spectral.undamped_inside(transfer.poles, 50.0, 100.0), [50.0])


def test_cross_spectra_are_taken_apart_and_put_together():
    rng = np.random.default_rng(3)
    a = rng.normal(size=(5, 3, 2)) + 1j * rng.normal(size=(5, 3, 2))
    scale = np.array([1.0, 1e-8, 1e7])
    spectra = scale[:, None] * (a @ a.conj().transpose(0, 2, 1)) * scale
    root = spectral.roots_of(spectra)
    size = np.sqrt(np.einsum("kii->ki", spectra).real)
    error = (root @ root.conj().transpose(0, 2, 1) - spectra) / (size[:, :, None] * size[:, None, :])
    assert np.abs(error).max() < 1e-14
    assert not spectral.roots_of(np.zeros((2, 3, 3), complex)).any()


def test_spectra_that_no_signals_have_are_refused():
    impossible = np.array([[[1.0, 1.4], [1.4, 1.0]]], complex)
    with pytest.raises(DesignTwinError, match="coherence"):
        spectral.roots_of(impossible)
    with pytest.raises(DesignTwinError, match="negative"):
        spectral.roots_of(np.array([[[-1.0]]], complex))


def test_inputs_that_are_coherent_add_and_others_add_squares():
    transfer = modal([30.0, 70.0], 0.03)
    force, band = np.array([[1.0, 0.4], [0.3, -2.0]]), np.array([10.0, 100.0])

    def two(coherence):
        return lambda f: np.broadcast_to(
            np.array([[1.0, coherence], [coherence, 1.0]], complex), (len(f), 2, 2)
        )

    together = covariances(transfer, force, two(1.0), band).displacement
    assert_allclose(
        together, covariances(transfer, force.sum(axis=1, keepdims=True), flat, band).displacement, rtol=1e-10
    )
    apart = covariances(transfer, force, two(0.0), band).displacement
    each = [covariances(transfer, force[:, [i]], flat, band).displacement for i in range(2)]
    assert_allclose(apart, each[0] + each[1], rtol=1e-10)


def test_products_of_any_derivative_are_the_covariances():
    transfer, force = modal([30.0, 70.0], 0.03), np.array([[1.0, 0.4], [0.3, -2.0]])
    knots = np.array([10.0, 100.0])

    def spectra(f):
        return np.broadcast_to(np.array([[1.0, 0.3j], [-0.3j, 2.0]]), (len(f), 2, 2))

    found = covariances(transfer, force, spectra, knots)
    each = [spectral.products(transfer, force, spectra, knots, order) for order in range(3)]
    assert_allclose(each[0][:2, :2], found.displacement, rtol=1e-10)
    assert_allclose(each[1][:2, :2], found.velocity, rtol=1e-10)
    assert_allclose(each[2], found.acceleration, rtol=1e-10)
    # of the inputs: int S / w^2 and int S / w^4
    assert_allclose(each[1][2, 2], (1 / 10.0 - 1 / 100.0) / TWO_PI**2, rtol=1e-10)
    assert_allclose(each[0][3, 3], 2.0 * (1 / 10.0**3 - 1 / 100.0**3) / 3.0 / TWO_PI**4, rtol=1e-10)


def test_cqc_coefficients_are_correlations_under_white_noise():
    f, ratio = np.array([50.0, 52.0, 60.0, 200.0]), np.array([0.02, 0.05, 0.01, 0.1])
    found = covariances(modal(f, ratio), np.ones((4, 1)), flat, np.array([1e-7, 1e10])).displacement
    size = np.sqrt(np.diag(found))
    assert_allclose(spectral.correlation(f, ratio), found / np.outer(size, size), atol=1e-8)


def test_cqc_coefficients_of_equal_damping_are_the_published_ones():
    """Chopra, Dynamics of Structures, 4th ed. (2012), eq. 13.7.11."""
    z, b = 0.05, np.array([0.5, 0.8, 0.9, 0.95])
    published = 8 * z**2 * (1 + b) * b**1.5 / ((1 - b**2) ** 2 + 4 * z**2 * b * (1 + b) ** 2)
    f = np.append(b, 1.0)
    assert_allclose(spectral.correlation(f, np.full(5, z))[-1, :-1], published, rtol=1e-12)


def test_frequencies_for_pictures_hold_the_peaks():
    transfer = modal([50.0, 51.0, 700.0], [1e-3, 0.02, 0.1])
    f = spectral.plot_frequencies(np.array([10.0, 300.0, 2000.0]), transfer.poles)
    assert (f[0], f[-1]) == (10.0, 2000.0)
    assert (np.diff(f) > 0.0).all()
    fine = np.linspace(49.0, 52.0, 200_001)
    for mode, span in ((0, fine), (1, fine), (2, np.linspace(500.0, 900.0, 200_001))):
        response = [np.abs(transfer(x, np.ones((3, 1)))[:, mode, 0]).max() for x in (f, span)]
        assert response[0] > 0.999 * response[1]
