"""Equations between unknowns, eliminated: against dense algebra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse
from surroundings import FULL

from designtwin.assembly.constraints import reduce
from designtwin.errors import ModelError
from designtwin.model.connections import Equations


def equations(matrix, value, follower, *, firm=True):
    return Equations(sparse.csr_array(matrix), np.asarray(value, float), np.asarray(follower, np.int64), firm)


def some_equations(seed):
    """Equations that a random state satisfies: chains, rings, several for one unknown, redundant ones."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 25))
    fixed = rng.random(n) < 0.2
    state = rng.normal(size=n)
    sets = []
    for _ in range(rng.integers(1, 5)):
        m = int(rng.integers(1, 4))
        matrix = sparse.random_array((m, n), density=0.3, rng=rng).toarray()
        follower = rng.permutation(n)[:m] if rng.random() < 0.6 else np.full(m, -1)
        for i in range(m):
            if follower[i] >= 0:
                matrix[i, follower[i]] = 1.0
            elif not matrix[i].any():
                matrix[i, rng.integers(n)] = 1.0
        sets.append(equations(matrix, matrix @ state, follower))
    if rng.random() < 0.3:
        sets.append(equations(sets[0].matrix.toarray(), sets[0].value, np.full(len(sets[0].value), -1)))
    return rng, fixed, np.where(fixed, state, 0.0), sets


def reduced(sets, fixed, value):
    names = [f"equation {i}" for i in range(len(sets))]
    order = [repr(one.matrix.toarray()) for one in sets]
    return reduce(len(fixed), sets, names=names, fixed=fixed, value=value, order=order)


@settings(max_examples=400 if FULL else 80, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_map_reaches_what_meets_the_equations_and_nothing_else(seed):
    rng, fixed, value, sets = some_equations(seed)
    found = reduced(sets, fixed, value)
    matrix = np.vstack([one.matrix.toarray() for one in sets])
    right = np.concatenate([one.value for one in sets])
    n = len(fixed)
    free = ~fixed & ~found.dependent
    assert free.sum() == n - np.linalg.matrix_rank(np.vstack([matrix, np.eye(n)[fixed]]), tol=1e-8)
    assert not found.transform.toarray()[:, found.dependent].any()
    size = max(1.0, abs(found.transform).max(), np.abs(found.offset).max())
    for _ in range(2):
        u = found.transform @ (np.where(free, rng.normal(size=n), 0.0) + value) + found.offset
        assert_allclose(matrix @ u, right, atol=1e-9 * size)
        assert_allclose(u[fixed], value[fixed], atol=1e-9 * size)


@settings(max_examples=200 if FULL else 40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_connections_does_not_matter(seed):
    rng, fixed, value, sets = some_equations(seed)
    first = reduced(sets, fixed, value)
    other = reduced([sets[i] for i in rng.permutation(len(sets))], fixed, value)
    # The same states are reached, whichever unknowns carry them.
    free = ~fixed & ~first.dependent
    size = max(1.0, abs(first.transform).max(), abs(other.transform).max()) ** 2
    for _ in range(2):
        u = first.transform @ (np.where(free, rng.normal(size=len(fixed)), 0.0) + value) + first.offset
        q = np.where(~fixed & ~other.dependent, u, 0.0) + value
        assert_allclose(other.transform @ q + other.offset, u, atol=1e-9 * size)


@settings(max_examples=200 if FULL else 40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_forces_of_equations_are_found_from_what_equilibrium_lacks(seed):
    rng, fixed, value, sets = some_equations(seed)
    found = reduced(sets, fixed, value)
    matrix = np.vstack([one.matrix.toarray() for one in sets])
    support = np.where(fixed, rng.normal(size=len(fixed)), 0.0)
    force = matrix.T @ rng.normal(size=len(matrix)) + support
    multipliers = found.multipliers(force)
    left = force - found.rows.T @ multipliers
    size = max(1.0, np.abs(multipliers).max())
    assert_allclose(left[~fixed], 0.0, atol=1e-8 * size)


def test_a_chain_is_followed_to_its_end():
    # u0 = u1 + 1, u1 = u2 + 1, ..., u9 = u10 + 1
    rows = np.eye(10, 11) - np.eye(10, 11, 1)
    found = reduced([equations(rows, np.ones(10), np.arange(10))], np.zeros(11, bool), np.zeros(11))
    assert_allclose(found.transform.toarray()[:, 10], 1.0)
    assert_allclose(found.offset, np.arange(10, -1, -1))
    assert found.transform.nnz == 11


def test_a_bond_gives_way_to_supports_and_to_firm_equations():
    bond = equations(np.array([[1.0, 0, -1, 0], [0, 1.0, 0, -1]]), [0, 0], [0, 1], firm=False)
    firm = equations(np.array([[0, 1.0, 0, 0]]), [3.0], [-1])
    fixed = np.array([True, False, False, False])
    found = reduced([bond, firm], fixed, np.array([5.0, 0, 0, 0]))
    u = found.transform @ np.array([5.0, 0.0, 7.0, 0.0]) + found.offset
    assert_allclose(u, [5.0, 3.0, 7.0, 3.0])  # u0 held, u1 = 3 and u3 with it, u2 free of u0


def test_bonds_in_a_ring_lose_one():
    rows = np.array([[1.0, -1, 0], [0, 1, -1], [-1, 0, 1]])
    bonds = [equations(rows[i : i + 1], [0.0], [i], firm=False) for i in range(3)]
    found = reduced(bonds, np.zeros(3, bool), np.zeros(3))
    assert found.dependent.sum() == 2
    free = np.flatnonzero(~found.dependent)
    assert_allclose(found.transform.toarray()[:, free[0]], 1.0)


def test_contradictions_are_named():
    a = equations(np.array([[1.0, -1.0]]), [0.0], [0])
    b = equations(np.array([[1.0, -1.0]]), [1.0], [-1])
    with pytest.raises(ModelError, match=r"equation 1 contradicts|equation 0 contradicts"):
        reduced([a, b], np.zeros(2, bool), np.zeros(2))
    with pytest.raises(ModelError, match="the supports"):
        reduced([b], np.ones(2, bool), np.zeros(2))
