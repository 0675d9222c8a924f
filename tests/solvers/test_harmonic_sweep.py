"""Steady vibration at many frequencies: what the small space answers is what a full solution answers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from designtwin import parallel
from designtwin.errors import ConvergenceError, ResourceError
from designtwin.solvers import harmonic
from designtwin.solvers.harmonic import DynamicStiffness, sweep


def chain(n: int, block: int = 1, *, viscous: bool = True, hysteretic: bool = True, seed: int = 0):
    """A chain of nodes with `block` unknowns, stiffness and mass of mixed pattern, the first node held.

    Its dampers sit on some nodes alone: no modes diagonalize them.
    """
    rng = np.random.default_rng(seed)
    path = sparse.diags_array([-np.ones(n - 1), 2.0 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    coupling = np.eye(block) + 0.2 * np.ones((block, block))
    stiffness = sparse.kron(path, coupling).tobsr((block, block))
    mass = sparse.kron(sparse.diags_array(rng.uniform(0.9, 1.1, n)), np.eye(block)).tobsr((block, block))
    at = np.where(np.arange(n) % 7 == 3, 0.05, 0.0)
    dampers = sparse.kron(sparse.diags_array(at), np.eye(block)).tocsr()
    dampers.eliminate_zeros()
    lossy = sparse.kron(path * 0.02, coupling).tocsr()
    free = np.ones(n * block, bool)
    free[:block] = False
    return DynamicStiffness(
        stiffness, mass, dampers if viscous else None, lossy if hysteretic else None, free=free, block=block
    )


def by_hand(system: DynamicStiffness, omega: np.ndarray, load: np.ndarray) -> np.ndarray:
    """Dense solutions [f, n_dof]."""
    k, m, c, h = (
        np.zeros((system.n_dof,) * 2) if p is None else p.toarray() for p in system._parts
    )  # fmt: skip
    i = system.index
    out = np.zeros((len(omega), system.n_dof), complex)
    for row, w in enumerate(omega):
        z = k + 1j * h + 1j * w * c - w * w * m
        out[row, i] = np.linalg.solve(z[np.ix_(i, i)], load[row, i])
    return out


@pytest.mark.parametrize(("n", "block"), [(40, 1), (40, 3), (150, 3)])
@pytest.mark.parametrize("damping", ["viscous", "hysteretic", "both"])
def test_every_frequency_is_answered_as_by_dense_equations(n, block, damping):
    system = chain(n, block, viscous=damping != "hysteretic", hysteretic=damping != "viscous")
    assert system.is_dense == (n * block - block <= 400)
    omega = np.linspace(0.05, 1.2 if n == 40 else 0.3, 60)
    rng = np.random.default_rng(3)
    patterns = rng.standard_normal((system.n_dof, 2))
    factors = np.stack([np.ones(60), 1j * omega**2], axis=1)
    found = sweep(system, omega, patterns, factors)
    assert found.residual.max() <= harmonic.TOLERANCE
    wanted = by_hand(system, omega, factors @ patterns.T)
    answers = found.coordinates @ found.basis.T
    assert_allclose(answers, wanted, atol=1e-6 * np.abs(wanted).max())
    assert_array_equal(answers[:, ~system.free], 0.0)
    if n == 150:
        assert len(found.factored) < 30, "half as many factorizations as frequencies would be no gain"


def test_residuals_told_are_those_of_the_full_equations():
    system = chain(60, 3)
    omega = np.linspace(0.1, 1.0, 25)
    pattern = np.random.default_rng(1).standard_normal((system.n_dof, 1))
    ones = np.ones((25, 1), complex)
    found = sweep(system, omega, pattern, ones, tolerance=1e-3)
    load = np.where(system.free, pattern[:, 0], 0.0)
    for w, y, told in zip(omega, found.coordinates, found.residual, strict=True):
        rest = load - system.apply(w, (found.basis @ y).astype(complex))
        size = system.size_of(load[:, None])[0]
        assert_allclose(told, system.size_of(rest[:, None])[0] / size, rtol=1e-6, atol=1e-12)
    assert found.residual.max() > 1e-9, "a loose tolerance saves factorizations"
    assert len(found.factored) < len(sweep(system, omega, pattern, ones).factored)


def test_one_factorization_answers_its_own_frequency_to_rounding():
    system = chain(300, 3)
    pattern = np.random.default_rng(2).standard_normal((system.n_dof, 1))
    found = sweep(system, np.array([0.7]), pattern, np.ones((1, 1), complex))
    assert len(found.factored) == 1
    assert found.residual[0] < 1e-12


def test_digits_do_not_depend_on_threads():
    system = chain(300, 3)
    omega = np.linspace(0.1, 1.0, 20)
    pattern = np.random.default_rng(2).standard_normal((system.n_dof, 1))
    answers = []
    for threads in (1, 2):
        with parallel.use_threads(threads):
            found = sweep(chain(300, 3), omega, pattern, np.ones((20, 1), complex))
        answers.append(found.coordinates @ found.basis.T)
    assert_array_equal(*answers)


def test_no_load_needs_no_factor():
    system = chain(50)
    found = sweep(system, np.array([0.1, 0.2]), np.zeros((50, 1)), np.ones((2, 1), complex))
    assert found.basis.shape == (50, 0)
    assert not len(found.factored)


@pytest.mark.parametrize("n", [2, 800])
def test_a_resonance_of_what_nothing_damps_is_refused(n):
    """Unit springs and masses in a chain, the first node held: 1 free mass, or 799, whose modes are known."""
    path = sparse.diags_array([-np.ones(n - 1), np.r_[2.0 * np.ones(n - 1), 1.0], -np.ones(n - 1)],
                              offsets=[-1, 0, 1]).tocsr()  # fmt: skip
    free = np.r_[False, np.ones(n - 1, bool)]
    system = DynamicStiffness(path, sparse.eye_array(n).tocsr(), free=free)
    assert not system.damped
    resonance = 2.0 * np.sin(0.5 * np.pi / (2 * n - 1))
    load = np.zeros((n, 1))
    load[-1] = 1.0
    one = np.ones((1, 1), complex)
    sweep(system, np.array([0.99 * resonance]), load, one)
    with pytest.raises(ConvergenceError, match="singular"):
        sweep(system, np.array([resonance]), load, one)


def test_a_factor_beyond_memory_is_refused(monkeypatch):
    monkeypatch.setattr(harmonic, "free_bytes", lambda: 1000.0)
    with pytest.raises(ResourceError, match="method='modal'"):
        chain(300, 3).factorize(0.5)


def test_moments_are_derivatives_over_frequency():
    """By central differences of full solutions at frequencies around."""
    system = chain(40, 3)
    load = np.random.default_rng(4).standard_normal((system.n_dof, 1)) + 0j
    load[~system.free] = 0.0
    at, h = 0.83, 1e-4
    found = harmonic._moments(system, system.factorize(at), load[:, 0])
    before, here, after = by_hand(system, at + h * np.array([-1.0, 0.0, 1.0]), np.tile(load.T, (3, 1)))
    wanted = [here, (after - before) / (2.0 * h), (after - 2.0 * here + before) / h**2]
    assert found.shape[1] == 2 * len(wanted)
    for k, derivative in enumerate(wanted):
        own = found[:, 2 * k] + 1j * found[:, 2 * k + 1]
        assert_allclose(own, derivative, atol=1e-3 * np.abs(derivative).max())
