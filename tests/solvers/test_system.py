"""A system is the sum of its terms, with fixed rows and columns zeroed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from designtwin.errors import ModelError
from designtwin.solvers import DiagonalTerm, MatrixTerm, ScaledTerm, System, Term
from designtwin.solvers.solution import columns_of, relative_residual

N, BLOCK = 12, 3


def symmetric(form, seed=0):
    full = sparse.random_array((N, N), density=0.4, rng=np.random.default_rng(seed), format="csr")
    full = full + full.T
    return full.tobsr(blocksize=(BLOCK, BLOCK)) if form == "bsr" else full


def mixed_system(form="bsr", extra=0):
    terms = (
        MatrixTerm(symmetric(form)),
        DiagonalTerm(np.arange(1.0, N + 1.0)),
        ScaledTerm(-0.5, MatrixTerm(symmetric("csr", seed=1))),
    )
    free = np.ones(N, bool)
    free[[0, 1, 7]] = False
    return System(terms=terms, block=BLOCK, free=free, extra=extra)


def dense(system):
    mask = np.diag(system.free.astype(float))
    return mask @ system.matrix().toarray() @ mask


@pytest.mark.parametrize("form", ["bsr", "csr"])
def test_apply_is_the_sum_with_fixed_rows_and_columns_zeroed(form):
    system = mixed_system(form)
    total = symmetric(form).toarray() + np.diag(np.arange(1.0, N + 1.0)) - 0.5 * symmetric("csr", 1).toarray()
    assert_allclose(system.matrix().toarray(), total, atol=1e-14)
    x = np.random.default_rng(2).standard_normal((N, 4))
    assert_allclose(system.apply(x), dense(system) @ x, atol=1e-14)
    assert_allclose(system.apply(x[:, 1]), dense(system) @ x[:, 1], atol=1e-14)


@pytest.mark.parametrize("form", ["bsr", "csr"])
def test_block_diagonal_is_that_of_the_matrix(form):
    system = mixed_system(form)
    full = dense(system)
    wanted = [full[i : i + BLOCK, i : i + BLOCK] for i in range(0, N, BLOCK)]
    assert_allclose(system.block_diagonal(), wanted, atol=1e-14)


def test_a_matrix_of_blocks_stays_one():
    assert mixed_system("bsr").matrix().format == "bsr"
    assert mixed_system("bsr").matrix().blocksize == (BLOCK, BLOCK)


def test_free_matrix_holds_free_rows_and_columns():
    system = mixed_system()
    kept = np.ix_(system.free_index, system.free_index)
    assert system.free_matrix().format == "csc"
    assert_allclose(system.free_matrix().toarray(), system.matrix().toarray()[kept])


def test_extra_unknowns_follow_the_nodes():
    system = mixed_system("csr", extra=3)
    assert (system.n_nodes, system.n_dof) == (3, 12)
    assert system.block_diagonal().shape == (3, BLOCK, BLOCK)
    with pytest.raises(AssertionError):
        mixed_system("csr", extra=2)


def test_matrix_is_summed_once_and_terms_are_terms():
    system = mixed_system()
    assert system.matrix() is system.matrix()
    assert all(isinstance(term, Term) for term in system.terms)


def test_loads_that_are_not_numbers_are_refused_by_name():
    system = mixed_system()
    f = np.ones((N, 2))
    f[5, 1] = np.nan
    with pytest.raises(ModelError, match=r"1 unknowns \(5\)"):
        columns_of(system, f)
    f[5, 1], f[1, 0] = 1.0, np.inf  # a fixed unknown: its load does not count
    assert np.isfinite(columns_of(system, f)).all()
    with pytest.raises(ModelError, match="11 rows; the system has 12"):
        columns_of(system, np.ones(11))


def test_residual_is_relative_and_zero_for_no_load():
    system = mixed_system()
    f = np.zeros((N, 2))
    f[3, 1] = 2.0
    assert_allclose(relative_residual(system, f, np.zeros((N, 2))), [0.0, 1.0])
