"""Pairs from exact solutions: spectra that are known, clusters, gaps of many decades, both ends at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import box
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import linalg

import designtwin as dtw
from designtwin import parallel
from designtwin.errors import ConvergenceError
from designtwin.solvers.lanczos import KrylovPairs, krylov_pairs
from designtwin.typing import FloatArray


def pencil(nu: FloatArray, stiffness: FloatArray, seed: int = 0):
    """G, K with G x = nu K x for given nu: K = Q diag(stiffness) Q^T, vectors K-orthonormal."""
    n = len(nu)
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    root = q * np.sqrt(stiffness)
    turn = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(n, n)))[0]
    return root @ (turn * nu) @ turn.T @ root.T, root @ root.T


def pairs(g, k, count: int, *, size: bool = False, tolerance: float = 1e-8, **more) -> KrylovPairs:
    factors = linalg.cho_factor(k)

    def order(nu):
        return np.argsort(-np.abs(nu) if size else -nu, kind="stable")

    def enough(nu, error):
        return count if len(nu) >= count and (error[:count] <= tolerance).all() else None

    return krylov_pairs(
        lambda f: linalg.cho_solve(factors, f), lambda x: g @ x, len(g),
        wanted=count, order=order, enough=enough, tolerance=tolerance, **more,
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 80), count=st.integers(1, 12), seed=st.integers(0, 99), size=st.booleans())
def test_pairs_are_those_of_dense_algebra(n, count, seed, size):
    rng = np.random.default_rng(seed)
    nu = rng.normal(size=n)
    g, k = pencil(nu, np.exp(rng.uniform(-3, 3, n)), seed)
    count = min(count, n)
    found = pairs(g, k, count, size=size)
    expected = nu[np.argsort(-np.abs(nu) if size else -nu)][:count]
    assert_allclose(np.sort(found.nu), np.sort(expected), atol=1e-9 * np.abs(nu).max())
    assert_allclose(found.x.T @ k @ found.x, np.eye(count), atol=1e-8)
    rest = np.linalg.norm(g @ found.x - k @ found.x * found.nu)
    assert rest < 1e-6 * np.linalg.norm(g @ found.x)


def test_stiffness_over_fourteen_decades_costs_no_digits_of_the_lowest_pairs():
    """What products with K would lose: errors follow from solutions alone."""
    n = 200
    diagonal = np.geomspace(1.0, 1e14, n)
    mass = np.linspace(1.0, 2.0, n)
    found = krylov_pairs(
        lambda f: f / diagonal[:, None], lambda x: mass[:, None] * x, n, wanted=6,
        order=lambda nu: np.argsort(-nu), tolerance=1e-10,
        enough=lambda nu, error: 6 if len(nu) >= 6 and (error[:6] < 1e-10).all() else None,
    )  # fmt: skip
    assert_allclose(found.nu, (mass / diagonal)[:6], rtol=1e-12)


def test_values_that_come_many_times_are_all_found():
    """Nine equal values: more than a block of six has room for at once."""
    nu = np.concatenate([np.full(9, 3.0), np.linspace(2.0, 0.1, 150)])
    g, k = pencil(nu, np.linspace(1.0, 50.0, len(nu)))
    found = pairs(g, k, 11)
    assert_allclose(found.nu[:9], 3.0, rtol=1e-9)
    assert_allclose(found.nu[9:], nu[9:11], rtol=1e-9)


def test_values_beyond_a_gap_of_seven_decades_are_reached():
    """As of a body on very soft springs: what the first vectors lead to is exhausted, others lead on."""
    nu = np.concatenate([np.linspace(1.0, 2.0, 6) * 1e7, np.linspace(1.0, 0.1, 100)])
    g, k = pencil(nu, np.linspace(1.0, 10.0, len(nu)))
    found = pairs(g, k, 8, tolerance=1e-6)
    assert_allclose(found.nu[:6], np.sort(nu[:6])[::-1], rtol=1e-9)
    assert_allclose(found.nu[6:], nu[6:8], rtol=1e-6)


def test_pairs_of_opposite_sign_are_told_apart():
    nu = np.concatenate([[5.0, -5.0, 4.0, -4.0], np.linspace(-1.0, 1.0, 200)])
    g, k = pencil(nu, np.geomspace(1.0, 1e4, len(nu)))
    assert_allclose(np.sort(pairs(g, k, 4, size=True).nu), [-5.0, -4.0, 4.0, 5.0], rtol=1e-9)


def test_the_space_grows_where_more_are_wanted_than_it_was_made_for():
    nu = np.geomspace(1.0, 1e-2, 500)
    g, k = pencil(nu, np.ones(len(nu)))
    factors = linalg.cho_factor(k)
    found = krylov_pairs(
        lambda f: linalg.cho_solve(factors, f), lambda x: g @ x, len(nu), wanted=2,
        order=lambda v: np.argsort(-v), tolerance=1e-8,
        enough=lambda v, error: 150 if len(v) > 150 and (error[:150] < 1e-8).all() else None,
    )  # fmt: skip
    assert_allclose(found.nu, nu[:150], rtol=1e-9)
    assert_allclose(found.x.T @ k @ found.x, np.eye(150), atol=1e-9)
    assert found.next == pytest.approx(nu[150], rel=1e-3) or np.isnan(found.next)


def test_a_space_that_is_begun_anew_keeps_what_it_had(monkeypatch):
    from designtwin.solvers import lanczos

    monkeypatch.setattr(lanczos, "_BYTES", 0)  # no room to grow
    nu = np.concatenate([np.linspace(1.0, 0.98, 12), np.linspace(0.95, 0.1, 400)])
    g, k = pencil(nu, np.ones(len(nu)))
    found = pairs(g, k, 12)
    assert_allclose(found.nu, nu[:12], rtol=1e-9)
    assert_allclose(found.x.T @ k @ found.x, np.eye(12), atol=1e-8)


def test_nothing_to_find_ends():
    g, k = pencil(np.zeros(30), np.ones(30))
    assert len(pairs(g, k, 3).nu) == 0 or not pairs(g, k, 3).nu.any()


def test_no_progress_is_refused():
    nu = np.random.default_rng(1).uniform(0.999999, 1.0, 3000)
    with pytest.raises(ConvergenceError, match="Lanczos stopped after"):
        krylov_pairs(
            lambda f: f, lambda x: nu[:, None] * x, len(nu), wanted=5, order=lambda v: np.argsort(-v),
            enough=lambda v, error: None, tolerance=0.0, stop=5,
        )  # fmt: skip


# Digits


def test_blas_of_numpy_runs_alone_as_well():
    """Products of tall vectors are NumPy's, and its BLAS cuts them by threads unless it is told not to."""
    import numpy

    from designtwin.solvers.multifrontal import _thread_setters, blas_alone

    folders = [Path(numpy.__file__).parents[1] / "numpy.libs", Path(numpy.__file__).parent / ".dylibs"]
    if not any(list(folder.glob("*openblas*")) for folder in folders):
        pytest.skip("NumPy carries no OpenBLAS here")
    assert len(_thread_setters()) >= 2
    before = [get() for get, _ in _thread_setters()]
    try:
        for _, put in _thread_setters():
            put(2)
        with blas_alone():
            assert [get() for get, _ in _thread_setters()] == [1] * len(before)
        assert [get() for get, _ in _thread_setters()] == [2] * len(before)
    finally:
        for (_, put), threads in zip(_thread_setters(), before, strict=True):
            put(threads)


@pytest.mark.parametrize("solver", [dtw.Direct(), dtw.MultigridCG()], ids=["factors", "multigrid"])
def test_modes_and_buckling_have_the_same_digits_for_any_number_of_threads(solver):
    model = dtw.Model(
        box("tetra10", (8, 3, 3), (0.3, 0.05, 0.05)),
        materials={"body": dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"push": [dtw.Force(on="xmax", value=(-1000.0, 0.0, 0.0))]},
    )
    found = []
    for threads in (1, 2, 3):
        with parallel.use_threads(threads):
            modes = dtw.solve_modes(model, count=4, solver=solver).modes
            buckling = dtw.solve_buckling(model, count=2, solver=solver)["push"]
        found.append((modes.shapes, modes.omega2, buckling.factors, buckling[0].displacement))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert np.array_equal(a, b)
