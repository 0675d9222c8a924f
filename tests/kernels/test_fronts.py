"""The order is a permutation whose separators separate; the tree of fronts counts what elimination fills."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_solvers import problem
from numpy.testing import assert_array_equal
from scipy import sparse

from designtwin import parallel
from designtwin.kernels import dissection, fronts
from designtwin.solvers import multifrontal
from designtwin.solvers.ordering import nested_dissection


def graph_of(matrix):
    """indptr, indices of a symmetric pattern without its diagonal."""
    pattern = sparse.csr_array(matrix)
    pattern = (pattern + pattern.T - sparse.diags_array(pattern.diagonal() * 2)).tocsr()
    pattern.eliminate_zeros()
    pattern.sort_indices()
    return pattern.indptr.astype(np.int32), pattern.indices.astype(np.int32)


def grid(*counts):
    """Neighbors of a grid, corners included."""
    strips = [
        sparse.diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1]) for n in counts
    ]
    out = strips[0]
    for strip in strips[1:]:
        out = sparse.kron(out, strip)
    return sparse.csr_array(out)


def random_graph(n, seed, density=0.02):
    return sparse.csr_array(
        sparse.random_array((n, n), density=density, rng=np.random.default_rng(seed)) > 0
    ).astype(float)


def filled(matrix, perm):
    """Lower triangle of the factor's pattern, dense bool, by elimination one by one."""
    out = (matrix.toarray() != 0)[np.ix_(perm, perm)]
    out |= out.T | np.eye(len(perm), dtype=bool)
    for j in range(len(perm)):
        below = j + 1 + np.flatnonzero(out[j + 1 :, j])
        out[np.ix_(below, below)] = True
    return np.tril(out)


GRAPHS = {
    "grid": grid(30, 20),
    "solid": grid(9, 8, 7),
    "random": random_graph(300, 1),
    "two pieces": sparse.block_diag([grid(15, 10), grid(9, 9)], format="csr"),
    "path": grid(400),
    "clique": sparse.csr_array(np.ones((130, 130))),
    "no edges": sparse.csr_array(sparse.eye_array(200)),
    "star": sparse.csr_array(np.r_[np.ones((1, 250)), np.zeros((249, 250))]),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_the_order_is_a_permutation(name):
    indptr, indices = graph_of(GRAPHS[name])
    n = len(indptr) - 1
    perm = nested_dissection(indptr, indices, np.ones(n, np.int32))
    assert_array_equal(np.sort(perm), np.arange(n))


@pytest.mark.parametrize("name", ["grid", "solid", "random", "two pieces", "path"])
@pytest.mark.parametrize("heavy", [False, True])
def test_a_separator_separates_and_the_sides_are_of_a_size(name, heavy):
    matrix = GRAPHS[name]
    indptr, indices = graph_of(matrix)
    n = len(indptr) - 1
    weight = np.random.default_rng(3).integers(1, 4, n).astype(np.int32) if heavy else np.ones(n, np.int32)
    perm = np.arange(n, dtype=np.int32)
    place, cuts = perm.copy(), np.zeros((1, 2), np.int64)
    bounds = np.array([[0, n]])
    dissection.dissect(0, 1, bounds, cuts, True, indptr, indices, weight, perm, place, 10)
    assert_array_equal(place[perm], np.arange(n))
    first, second = perm[: cuts[0, 0]], perm[cuts[0, 0] : cuts[0, 1]]
    assert matrix[first][:, second].nnz == 0
    assert max(weight[first].sum(), weight[second].sum()) < 0.62 * weight.sum()


def test_separators_are_as_thin_as_the_body():
    indptr, indices = graph_of(grid(60, 12))
    n = len(indptr) - 1
    perm = np.arange(n, dtype=np.int32)
    cuts = np.zeros((1, 2), np.int64)
    arguments = (indptr, indices, np.ones(n, np.int32), perm, perm.copy(), 10)
    dissection.dissect(0, 1, np.array([[0, n]]), cuts, True, *arguments)
    assert n - cuts[0, 1] <= 14  # 12 is least


def test_fill_of_a_grid_grows_as_nested_dissection_lets_it():
    """Within 31/4 n^2 log2 n for a 9-point grid of side n (George 1973), zeros held included."""
    side = 63
    matrix = grid(side, side)
    layout = multifrontal.analyze(matrix, np.ones(side * side, bool))
    n, k = side * side, layout.tree[1].astype(float)
    lower = layout.entries - (k * (k - 1) / 2).sum()
    assert lower < 7.75 * n * np.log2(side)


@pytest.mark.parametrize("name", GRAPHS)
def test_tree_and_counts_are_those_of_elimination(name):
    matrix = GRAPHS[name]
    indptr, indices = graph_of(matrix)
    n = len(indptr) - 1
    weight = np.random.default_rng(5).integers(1, 4, n).astype(np.int32)
    perm = nested_dissection(indptr, indices, weight)
    place = np.argsort(perm).astype(np.int32)
    parent, vertices, unknowns = (np.empty(n, np.int32) for _ in range(3))
    fronts.elimination_tree(indptr, indices, perm, place, parent)
    fronts.column_counts(indptr, indices, perm, place, parent, weight, vertices, unknowns)
    pattern = filled(matrix, perm)
    assert_array_equal(vertices, pattern.sum(axis=0))
    assert_array_equal(unknowns, weight[perm] @ pattern)
    strictly = np.tril(pattern, -1)
    assert_array_equal(parent, np.where(strictly.any(axis=0), strictly.argmax(axis=0), -1))


@pytest.mark.parametrize("name", GRAPHS)
def test_fronts_hold_the_fill_and_little_more(name):
    matrix = GRAPHS[name]
    n = matrix.shape[0]
    symmetric = sparse.csr_array(matrix + matrix.T + sparse.eye_array(n))
    layout = multifrontal.analyze(symmetric, np.ones(n, bool))
    pivot, k, m, row_start, rows, first, _, _ = layout.tree
    assert_array_equal(np.sort(layout.source), np.arange(n))
    pattern = filled(symmetric, layout.source)
    held = np.zeros_like(pattern)
    for f in range(len(k)):
        mine = np.arange(first[pivot[f]], first[pivot[f + 1]])
        below = first[rows[row_start[f] : row_start[f + 1]]]
        assert (np.diff(below) > 0).all()
        assert len(mine) == k[f]
        assert len(mine) + len(below) == m[f]
        held[np.ix_(np.r_[mine, below], mine)] = True
        parent = layout.parent[f]
        if below.size:  # what is left goes to a later front that begins with its first unknown
            assert parent > f
            assert first[pivot[parent]] <= below[0] < first[pivot[parent + 1]]
            theirs = np.r_[
                np.arange(first[pivot[parent]], first[pivot[parent + 1]]),
                first[rows[row_start[parent] : row_start[parent + 1]]],
            ]
            assert np.isin(below, theirs).all()
    held = np.tril(held)
    assert held[pattern].all()
    assert held.sum() < 1.35 * pattern.sum() + 30 * n


def test_the_order_depends_on_no_thread():
    case = problem(n=(8, 6, 5))
    free = case.system.free
    orders = []
    for threads in (1, 2, 3):
        with parallel.use_threads(threads):
            orders.append(multifrontal.analyze(case.matrix, free, block=3).source)
    assert_array_equal(orders[0], orders[1])
    assert_array_equal(orders[0], orders[2])


def test_blocks_and_entries_give_the_same_graph():
    case = problem(n=(4, 3, 3))
    by_block = multifrontal.analyze(case.matrix, case.system.free, block=3)
    by_entry = multifrontal.analyze(case.matrix.tocsr(), case.system.free, block=3)
    assert_array_equal(by_block.source, by_entry.source)
