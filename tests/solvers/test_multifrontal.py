"""Multifrontal factors solve to rounding, count negative eigenvalues, and give one answer on any threads."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_solvers import problem
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from surroundings import FULL

from designtwin import parallel
from designtwin.solvers import multifrontal
from designtwin.solvers.dense import NotDefiniteError, unit_scale


def random_matrix(n, block, *, seed, density=0.02, definite=False, dtype=float):
    """Symmetric (complex too) with a random pattern of full blocks."""
    rng = np.random.default_rng(seed)
    pattern = sparse.random_array((n, n), density=density, rng=rng)
    matrix = sparse.kron(pattern + pattern.T + sparse.eye_array(n), np.ones((block, block))).tocsr()
    matrix.data = rng.standard_normal(matrix.nnz).astype(dtype)
    if dtype is complex:
        matrix.data += 1j * rng.standard_normal(matrix.nnz)
    matrix = 0.5 * (matrix + matrix.T)
    if definite:
        matrix = matrix + 2.0 * abs(matrix).sum(axis=1).max() * sparse.eye_array(n * block)
    return sparse.bsr_array(matrix, blocksize=(block, block))


def factored(matrix, free, *, definite, dtype=np.float64, block=1, extra=0):
    layout = multifrontal.analyze(matrix, free, block=block, extra=extra)
    return multifrontal.factor(layout, matrix, definite=definite, dtype=dtype)


def backward_error(matrix, free, f, x):
    """|f - A x| over |A| |x| + |f|, the most over all unknowns: what rounding explains is near 1e-16."""
    index = np.flatnonzero(free)
    part = sparse.csr_array(matrix)[index][:, index]
    size = abs(part).max() * np.abs(x[index]).max(axis=0) + np.abs(f[index]).max(axis=0)
    return (np.abs(f[index] - part @ x[index]).max(axis=0) / size).max()


def loads(n, columns=3, seed=2):
    return np.random.default_rng(seed).standard_normal((n, columns))


@pytest.mark.parametrize("block", [1, 2, 3])
@pytest.mark.parametrize("kind", ["definite", "indefinite", "complex"])
def test_factors_solve_to_rounding(kind, block):
    n = 160
    matrix = random_matrix(
        n, block, seed=block, definite=kind == "definite", dtype=complex if kind == "complex" else float
    )
    free = np.random.default_rng(9).random(n * block) > 0.1
    dtype = np.complex128 if kind == "complex" else np.float64
    factors = factored(matrix, free, definite=kind == "definite", dtype=dtype, block=block)
    f = loads(n * block)
    x = factors.solve(f)
    assert_array_equal(x[~free], 0.0)
    index = np.flatnonzero(free)
    wanted = np.linalg.solve(matrix.toarray()[np.ix_(index, index)], f[index])
    assert_allclose(x[index], wanted, atol=1e-10 * np.abs(wanted).max())
    assert backward_error(matrix, free, f, x) < 1e-12
    assert factors.lifted == 0


@pytest.mark.parametrize("physics", ["elasticity", "heat"])
@pytest.mark.parametrize("order", [1, 2])
def test_finite_element_matrices(physics, order):
    case = problem(physics, n=(6, 3, 3), order=order)
    factors = factored(case.matrix, case.system.free, definite=True, block=case.system.block)
    index = case.system.free_index
    wanted = np.linalg.solve(case.matrix.toarray()[np.ix_(index, index)], case.loads[index])
    assert_allclose(factors.solve(case.loads)[index], wanted, atol=1e-11 * np.abs(wanted).max())


def test_one_column_and_many_agree():
    case = problem(n=(6, 4, 3))
    factors = factored(case.matrix, case.system.free, definite=True, block=3)
    f = loads(case.system.n_dof, columns=70)
    many = factors.solve(f)
    for column in (0, 33, 69):
        one = factors.solve(f[:, column])
        assert one.shape == (case.system.n_dof,)
        assert_allclose(one, many[:, column], rtol=0, atol=1e-11 * np.abs(one).max())
    assert factors.solve(f[:, :0]).shape == (case.system.n_dof, 0)


@pytest.mark.parametrize("definite", [True, False])
def test_the_same_digits_on_any_threads(definite, monkeypatch):
    monkeypatch.setattr(multifrontal, "_LARGE", 1e5)  # some fronts are shared, in several tiles and panels
    monkeypatch.setattr(multifrontal, "_TILE", 40)
    monkeypatch.setattr(multifrontal, "_PANEL", 24)
    case = problem(n=(7, 5, 4))
    free = case.system.free
    layout = multifrontal.analyze(case.matrix, free, block=3)
    assert (layout.front_flops[layout.first_shared :] >= 1e5).any()
    found = []
    for threads in (1, 2, 3):
        with parallel.use_threads(threads):
            factors = multifrontal.factor(layout, case.matrix, definite=definite)
            found.append((factors.solve(case.loads[:, 0]), factors.solve(loads(len(free), 66))))
    for one, many in found[1:]:
        assert_array_equal(one, found[0][0])
        assert_array_equal(many, found[0][1])
    assert backward_error(case.matrix, free, case.loads[:, :1], found[0][0][:, None]) < 1e-13


@pytest.mark.parametrize("panel", [24, 400])
def test_a_shared_front_equals_one_eliminated_whole(panel, monkeypatch):
    matrix = random_matrix(400, 1, seed=4, density=0.6, definite=True)
    free = np.ones(400, bool)
    f = loads(400)
    whole = factored(matrix, free, definite=True).solve(f)
    monkeypatch.setattr(multifrontal, "_LARGE", 0.0)
    monkeypatch.setattr(multifrontal, "_SUBTREES", 1e9)
    monkeypatch.setattr(multifrontal, "_TILE", 50)
    monkeypatch.setattr(multifrontal, "_PANEL", panel)
    assert_allclose(factored(matrix, free, definite=True).solve(f), whole, rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", range(20 if FULL else 4))
def test_negative_pivots_are_negative_eigenvalues(seed):
    n = 150
    matrix = random_matrix(n, 2, seed=seed)
    free = np.random.default_rng(seed).random(2 * n) > 0.1
    factors = factored(matrix, free, definite=False, block=2)
    index = np.flatnonzero(free)
    values = np.linalg.eigvalsh(matrix.toarray()[np.ix_(index, index)])
    assert factors.negative == (values < 0.0).sum()


def test_a_shift_passes_as_many_modes_as_it_should():
    case = problem("heat", n=(5, 4, 3))
    index = case.system.free_index
    values = np.linalg.eigvalsh(case.matrix.toarray()[np.ix_(index, index)])
    for count in (1, 7, 40):
        shift = 0.5 * (values[count - 1] + values[count])
        shifted = sparse.csr_array(case.matrix) - shift * sparse.eye_array(case.system.n_dof)
        factors = factored(shifted.tocsr(), case.system.free, definite=False)
        assert factors.negative == count


@pytest.mark.parametrize("held", [True, False], ids=["held body", "free body"])
def test_saddle_points_with_multipliers(held):
    """A free body too, which its multipliers alone hold: its own pivots run out before the multipliers."""
    case = problem(n=(4, 3, 3))
    n, extra = case.system.n_dof, 30
    rng = np.random.default_rng(8)
    rows = sparse.random_array((extra, n), density=0.02, rng=rng)
    matrix = sparse.block_array([[case.matrix, rows.T], [rows, None]], format="csr")
    free = np.r_[case.system.free if held else np.ones(n, bool), np.ones(extra, bool)]
    factors = factored(matrix, free, definite=False, block=3, extra=extra)
    index = np.flatnonzero(free)
    f = loads(n + extra, columns=2)
    wanted = np.linalg.solve(matrix.toarray()[np.ix_(index, index)], f[index])
    assert_allclose(factors.solve(f)[index], wanted, atol=1e-9 * np.abs(wanted).max())
    assert factors.negative == extra


def test_multipliers_come_after_what_they_couple():
    case = problem(n=(4, 3, 3))
    n = case.system.n_dof
    ends = [n - 3, n - 30, n - 300]
    rows = sparse.csr_array((np.ones(3), ([0, 0, 1], ends)), shape=(2, n))
    matrix = sparse.block_array([[case.matrix, rows.T], [rows, None]], format="csr")
    free = np.ones(n + 2, bool)
    layout = multifrontal.analyze(matrix, free, block=3, extra=2)
    assert layout.target[n] > max(layout.target[n - 3], layout.target[n - 30])
    assert layout.target[n + 1] > layout.target[n - 300]


def test_a_layout_serves_other_numbers():
    case = problem(n=(5, 3, 3))
    layout = multifrontal.analyze(case.matrix, case.system.free, block=3)
    stiffer = case.matrix * 3.0
    one = multifrontal.factor(layout, case.matrix, definite=True).solve(case.loads)
    other = multifrontal.factor(layout, stiffer, definite=True).solve(case.loads)
    assert_allclose(other, one / 3.0, rtol=1e-9, atol=1e-12 * np.abs(one).max())


def test_single_precision_takes_half_and_gives_half_the_digits():
    case = problem(n=(6, 4, 3))
    double = factored(case.matrix, case.system.free, definite=True, block=3)
    single = factored(case.matrix, case.system.free, definite=True, block=3, dtype=np.float32)
    assert 2 * single.nbytes == double.nbytes
    x, y = double.solve(case.loads), single.solve(case.loads)
    assert 1e-8 < np.abs(x - y).max() / np.abs(x).max() < 1e-3
    assert single.name == "multifrontal Cholesky, single precision"


def test_what_is_not_definite_is_refused_with_its_unknown():
    case = problem(n=(5, 3, 3))
    matrix = sparse.csr_array(case.matrix)
    dof = int(case.system.free_index[400])
    spring = sparse.csr_array(([-10.0 * matrix[dof, dof]], ([dof], [dof])), shape=matrix.shape)
    with pytest.raises(NotDefiniteError) as caught:
        factored(matrix + spring, case.system.free, definite=True, block=3)
    assert case.system.free[caught.value.dof]


def test_memory_is_foretold():
    """The peak is counted before factoring: factor, stacks, updates alive, to the number."""
    case = problem(n=(9, 7, 6))
    layout = multifrontal.analyze(case.matrix, case.system.free, block=3)
    r = (layout.tree[2] - layout.tree[1]).astype(int)
    for t, (begin, end) in enumerate(layout.tasks):  # replay of the stack
        heights, most = [], 0
        for f in range(begin, end - 1):
            most = max(most, sum(heights) + r[f] ** 2)
            for _ in range(layout.tree[6][f + 1] - layout.tree[6][f]):
                heights.pop()
            heights.append(r[f] ** 2)
        assert layout.stack_entries[t] == most
    with parallel.use_threads(1):
        factors = multifrontal.factor(layout, case.matrix, definite=True)
    assert factors.values.size == layout.entries == (layout.tree[1].astype(int) * layout.tree[2]).sum()
    assert layout.entries < layout.peak_entries(1) <= layout.peak_entries(2) < 3 * layout.entries


def test_flops_are_those_of_a_dense_matrix_where_it_is_dense():
    layout = multifrontal.analyze(sparse.csr_array(np.ones((300, 300))), np.ones(300, bool))
    assert len(layout.parent) == 1
    assert_allclose(layout.flops, 300**3 / 3)


def test_work_grows_as_in_nested_dissection():
    """n^2 operations and n^(4/3) numbers for solids, within what small sizes allow."""
    n, flops, entries = [], [], []
    for count in (4, 8, 12):
        case = problem(n=(count,) * 3, lengths=(1.0, 1.0, 1.0))
        layout = multifrontal.analyze(case.matrix, case.system.free, block=3)
        n.append(layout.n)
        flops.append(layout.flops)
        entries.append(layout.entries)
    assert 1.7 < np.polyfit(np.log(n), np.log(flops), 1)[0] < 2.15
    assert 1.2 < np.polyfit(np.log(n), np.log(entries), 1)[0] < 1.5


@pytest.mark.parametrize("definite", [True, False])
def test_entries_stored_on_one_side_alone_do_not_confuse_the_layout(definite):
    """Sums of sparse matrices drop zeros, which rounding may leave on one side only."""
    matrix = random_matrix(90, 1, seed=4, definite=definite).tocoo()
    lone = np.random.default_rng(8).integers(0, 90, (2, 200))
    rows, columns = np.r_[matrix.row, lone[0]], np.r_[matrix.col, lone[1]]
    stored = sparse.coo_array((np.r_[matrix.data, np.zeros(200)], (rows, columns)), shape=(90, 90)).tocsr()
    assert (stored.T.tocsr().indptr != stored.indptr).any()
    free = np.ones(90, bool)
    f = loads(90)
    x = factored(stored, free, definite=definite).solve(f)
    assert backward_error(stored, free, f, x) < 1e-12


def test_scaling_is_exact_and_brings_the_diagonal_near_one():
    case = problem(n=(3, 2, 2), contrast=1e6)
    scale = unit_scale(case.matrix, case.system.free)
    assert_array_equal(np.frexp(scale)[0], 0.5)
    diagonal = (case.matrix.diagonal() * scale**2)[case.system.free]
    assert diagonal.min() > 0.49
    assert diagonal.max() < 2.01


@settings(max_examples=200 if FULL else 25, deadline=None)
@given(
    n=st.integers(1, 60),
    block=st.integers(1, 3),
    seed=st.integers(0, 10**6),
    density=st.floats(0.0, 0.5),
    definite=st.booleans(),
)
def test_any_pattern_any_supports(n, block, seed, density, definite):
    matrix = random_matrix(n, block, seed=seed, density=density, definite=definite)
    free = np.random.default_rng(seed).random(n * block) > 0.3
    if not free.any():
        free[0] = True
    factors = factored(matrix, free, definite=definite, block=block)
    f = loads(n * block, columns=2)
    x = factors.solve(f)
    assert_array_equal(x[~free], 0.0)
    if not factors.lifted:
        assert backward_error(matrix, free, f, x) < 1e-10


def test_threads_of_blas_are_as_before_afterwards():
    setters = multifrontal._thread_setters()
    if not setters:
        pytest.skip("no OpenBLAS of scipy's")
    getter, setter = setters[0]
    before = getter()
    try:
        setter(2)
        with multifrontal.blas_alone():
            assert getter() == 1
            with multifrontal.blas_alone():
                assert getter() == 1
            assert getter() == 1
        assert getter() == 2
    finally:
        setter(before)


def test_one_specialization_serves_blocks_entries_and_sizes():
    """A kernel compiled twice for float64 Cholesky would double the time of a first run."""
    from designtwin.kernels import dissection, fronts

    kernels = (dissection.vertex_graph, dissection.dissect, fronts.row_structure, fronts.make_fronts)
    numeric = (fronts.factor_subtree, fronts.forward, fronts.backward)
    for case, matrix in [
        (problem(n=(8, 6, 5)), None),
        (problem("heat", n=(3, 2, 2)), None),
        (problem(n=(3, 2, 2)), "csr"),
    ]:
        stored = case.matrix.tocsr() if matrix else case.matrix
        factored(stored, case.system.free, definite=True, block=case.system.block).solve(case.loads)
    for kernel in kernels:
        assert len(kernel.signatures) == 1, kernel
    for kernel in numeric:
        plain = [s for s in kernel.signatures if any(t.name == "none" for t in s)]  # no pivots: Cholesky
        numbers = {
            t.dtype.name for s in plain for t in s if getattr(t, "ndim", 0) == 1 and "float" in t.dtype.name
        }
        assert len(plain) <= len(numbers), kernel


@pytest.mark.skipif(not FULL, reason="takes a minute")
def test_a_large_solid_to_rounding():
    case = problem(n=(24, 16, 12))
    factors = factored(case.matrix, case.system.free, definite=True, block=3)
    f = np.where(case.system.free[:, None], loads(case.system.n_dof, 40), 0.0)
    assert backward_error(case.matrix, case.system.free, f, factors.solve(f)) < 1e-13
