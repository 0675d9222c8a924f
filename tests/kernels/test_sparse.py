"""Sparse kernels against scipy, against numpy, and against their own Python."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from designtwin.kernels import sparse as kernels


def random_blocks(n, m, rows, columns, density=0.4, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    mask = rng.random((n, m)) < density
    indptr = np.r_[0, np.cumsum(mask.sum(axis=1))].astype(np.int32)
    indices = np.nonzero(mask)[1].astype(np.int32)
    values = rng.standard_normal((len(indices), rows, columns)).astype(dtype)
    return indptr, indices, values


def random_spd(n, b, seed=0):
    a = np.random.default_rng(seed).standard_normal((n, b, b))
    return np.einsum("nij,nkj->nik", a, a) + 0.1 * np.eye(b)


def box_pattern(n=(4, 3, 3)):
    from helpers_solvers import box, elasticity

    matrix = elasticity(*box(n, n), youngs_modulus=1.0)
    return matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_rhs", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (3, 6), (6, 3), (6, 6)])
def test_product_is_that_of_scipy(shape, n_rhs, dtype):
    a = random_blocks(7, 5, *shape, dtype=dtype)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((5 * shape[1], n_rhs)).astype(dtype)
    y = rng.standard_normal((7 * shape[0], n_rhs)).astype(dtype)
    reference = sparse.bsr_array((a[2], a[1], a[0]), shape=(7 * shape[0], 5 * shape[1])).toarray()
    close = {"rtol": 0, "atol": 1e-5 if dtype is np.float32 else 1e-13}
    image = reference.astype(float) @ x
    added = y.copy()
    kernels.product(0, 7, *a, x, added, True)
    assert_allclose(added, y + image, **close)
    fresh = np.full_like(y, np.nan)
    kernels.product(0, 4, *a, x, fresh, False)
    assert np.isnan(fresh[4 * shape[0] :]).all()  # rows beyond the range are left alone
    kernels.product(4, 7, *a, x, fresh, False)
    assert_allclose(fresh, image, **close)
    # and with the transposed pattern: P^T y
    indptr, (source, entry) = np.empty(6, np.int32), np.empty((2, len(a[1])), np.int32)
    kernels.transposed_pattern(a[0], a[1], indptr, source, entry)
    back = np.full_like(x, np.nan)
    kernels.transposed_product(0, 5, indptr, source, entry, a[2], y, back)
    assert_allclose(back, reference.T.astype(float) @ y, **close)


def test_dense_product():
    s = random_spd(1, 20)[0]
    x = np.random.default_rng(3).standard_normal((20, 3))
    y = np.full((20, 3), np.nan)
    kernels.dense_product(s, x, y)
    assert_allclose(y, s @ x, atol=1e-12)


def test_dense_inverse():
    s = random_spd(1, 30)[0]
    out = np.empty_like(s)
    pivot = kernels.invert_dense(s.copy(), out)
    assert_allclose(out @ s, np.eye(30), atol=1e-8)
    assert_array_equal(out, out.T)
    factor = np.linalg.cholesky(s)
    assert_allclose(pivot, (np.diag(factor) ** 2 / np.diag(s)).min(), rtol=1e-8)
    assert kernels.invert_dense(-s, out) == 0.0
    assert kernels.invert_dense(np.ones((2, 2)), out[:2, :2].copy()) == 0.0


@pytest.mark.parametrize("n_rhs", [1, 2])
@pytest.mark.parametrize("b", [1, 3])
def test_smoothing_step(b, n_rhs):
    rng = np.random.default_rng(4)
    inverse = random_spd(4, b)
    source, image, d, x = (rng.standard_normal((4 * b, n_rhs)) for _ in range(4))
    left = source - image
    scaled = np.einsum("nij,njk->nik", inverse, left.reshape(4, b, -1)).reshape(4 * b, -1)
    wanted_d = 0.2 * d + 1.5 * scaled
    wanted_x = x + 0.7 * wanted_d
    r = source.copy()  # the residual may be its own source
    kernels.smoothing_step(0, 4, inverse, r, image, True, 0.2, 1.5, 0.7, False, r, d, x)
    assert_allclose(r, left, atol=1e-13)
    assert_allclose(d, wanted_d, atol=1e-13)
    assert_allclose(x, wanted_x, atol=1e-13)
    before = x.copy()  # the first step after the coarse correction: no direction yet, but an iterate
    kernels.smoothing_step(
        0, 4, inverse, source, image, True, 0.0, 1.5, 0.7, False, r, np.full_like(d, 7.0), x
    )
    assert_allclose(x, before + 0.7 * 1.5 * scaled, atol=1e-13)


@pytest.mark.parametrize("n_rhs", [1, 2])
@pytest.mark.parametrize("b", [1, 2, 3])
def test_a_first_step_reads_neither_image_nor_direction_nor_iterate(b, n_rhs):
    inverse, f = random_spd(2, b), np.ones((2 * b, n_rhs))
    image, r, d, x = (np.full((2 * b, n_rhs), np.nan) for _ in range(4))
    kernels.smoothing_step(0, 2, inverse, f, image, False, 0.0, 1.0, 0.5, True, r, d, x)
    assert_allclose(d, np.repeat(inverse.sum(axis=2).reshape(-1, 1), n_rhs, axis=1))
    assert_array_equal(x, 0.5 * d)


def test_passes_of_conjugate_gradients():
    rng = np.random.default_rng(5)
    n = 2 * kernels.CHUNK + 100
    for n_rhs in (1, 3):
        x, r, p, q = (rng.standard_normal((n, n_rhs)) for _ in range(4))
        free = rng.random(n) > 0.1
        parts = np.empty((3, n_rhs))
        kernels.dots(0, 3, x, r, parts)
        assert_allclose(parts.sum(axis=0), np.einsum("ij,ij->j", x, r), rtol=1e-10, atol=1e-9)
        wanted = np.where(free[:, None], q, 0.0)
        kernels.mask_and_dot(0, 3, free, p, q, parts)
        assert_array_equal(q, wanted)
        assert_allclose(parts.sum(axis=0), (p * wanted).sum(axis=0), rtol=1e-10, atol=1e-9)
        alpha = rng.standard_normal(n_rhs)
        wanted_x, wanted_r = x + alpha * p, r - alpha * q
        copy = np.empty((n, n_rhs), np.float32)
        kernels.advance(0, 3, alpha, p, q, x, r, copy, parts)
        assert_allclose(x, wanted_x, atol=1e-14)
        assert_allclose(r, wanted_r, atol=1e-14)
        assert_array_equal(copy, r.astype(np.float32))
        assert_allclose(parts.sum(axis=0), (r * r).sum(axis=0), rtol=1e-12)
        wanted = 0.5 * copy + alpha * p
        kernels.next_direction(0, 3, copy, 0.5, alpha, p)
        assert_allclose(p, wanted, atol=1e-12)
        p[:] = np.nan
        kernels.next_direction(0, 3, copy, 0.5, np.zeros(n_rhs), p)  # a first direction keeps nothing
        assert_array_equal(p, 0.5 * copy.astype(float))
        difference = np.empty_like(x)
        kernels.free_difference(0, n, free, x, r, difference)
        assert_array_equal(difference, np.where(free[:, None], x - r, 0.0))
        kernels.free_difference(0, n, np.empty(0, bool), x, r, difference)
        assert_array_equal(difference, x - r)


@pytest.mark.parametrize("b", [1, 2, 3, 6])
def test_inverses_of_blocks(b):
    blocks = random_spd(5, b)
    out = np.empty_like(blocks)
    negative = np.ones(len(blocks), bool)
    kernels.invert_blocks(0, len(blocks), blocks, 1e-12, out, negative)
    assert not negative.any()
    assert_allclose(out @ blocks, np.broadcast_to(np.eye(b), blocks.shape), atol=1e-8)


def test_fixed_rows_stay_zero_in_inverses():
    blocks = random_spd(1, 3)
    blocks[0, 1], blocks[0, :, 1] = 0.0, 0.0
    out = np.empty_like(blocks)
    negative = np.ones(len(blocks), bool)
    kernels.invert_blocks(0, len(blocks), blocks, 1e-12, out, negative)
    assert not negative.any()
    kept = np.ix_([0, 2], [0, 2])
    assert_allclose(out[0][kept], np.linalg.inv(blocks[0][kept]), rtol=1e-12)
    assert_array_equal(out[0, 1], 0.0)
    assert_array_equal(out[0, :, 1], 0.0)


def test_dependent_directions_are_left_out_of_inverses():
    bar = np.array([[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]])  # a truss node: one stiff direction
    out = np.empty_like(bar)
    kernels.invert_blocks(0, 1, bar, 1e-12, out, np.empty(1, bool))
    assert_array_equal(out[0], np.diag([1.0, 0.0, 0.0]))


def test_negative_blocks_are_counted():
    blocks = np.array([np.eye(2), -np.eye(2), [[1.0, 2.0], [2.0, 1.0]]])
    negative = np.empty(3, bool)
    kernels.invert_blocks(0, 3, blocks, 1e-12, blocks, negative)
    assert_array_equal(negative, [False, True, True])


def test_constraints_zero_rows_and_columns():
    indptr, indices, values = random_blocks(6, 6, 2, 2)
    free = np.random.default_rng(6).random((6, 2)) > 0.3
    out = np.empty(values.shape, np.float32)
    kernels.constrain_blocks(0, 6, indptr, indices, values, free, 2.0, out)
    mask = np.diag(free.ravel().astype(float))
    full = sparse.bsr_array((values, indices, indptr), shape=(12, 12)).toarray()
    got = sparse.bsr_array((out, indices, indptr), shape=(12, 12)).toarray()
    assert_allclose(got, 2.0 * mask @ full @ mask, atol=1e-6)


def test_diagonal_blocks():
    indptr, indices, values = random_blocks(6, 6, 2, 2, density=0.6)
    out = np.empty((6, 2, 2))
    kernels.diagonal_blocks(0, 6, indptr, indices, values, out)
    full = sparse.bsr_array((values, indices, indptr), shape=(12, 12)).toarray()
    assert_array_equal(out, [full[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] for i in range(6)])


def test_weighted_triple_product_is_that_of_scipy():
    indptr, indices, values = random_blocks(9, 9, 2, 2)
    weights = sparse.random_array((9, 4), density=0.5, rng=np.random.default_rng(7), format="csr")
    back = weights.T.tocsr()
    parts = [array.astype(np.int32) for m in (weights, back) for array in (m.indptr, m.indices)]
    out_indptr = np.zeros(5, np.int32)
    kernels.weighted_pattern(0, 4, indptr, indices, *parts, out_indptr, np.empty(0, np.int32))
    np.cumsum(out_indptr, out=out_indptr)
    out_indices = np.empty(out_indptr[-1], np.int32)
    kernels.weighted_pattern(0, 4, indptr, indices, *parts, out_indptr, out_indices)
    out = np.empty((len(out_indices), 2, 2))
    w, t = weights.data, back.data
    kernels.weighted_triple_product(
        0,
        4,
        indptr,
        indices,
        values,
        parts[0],
        parts[1],
        w,
        parts[2],
        parts[3],
        t,
        out_indptr,
        out_indices,
        out,
    )
    p = np.kron(weights.toarray(), np.eye(2))
    full = sparse.bsr_array((values, indices, indptr), shape=(18, 18)).toarray()
    got = sparse.bsr_array((out, out_indices, out_indptr), shape=(8, 8)).toarray()
    assert_allclose(got, p.T @ full @ p, atol=1e-13)


def test_aggregates_cover_every_coupled_node_and_are_connected():
    indptr, indices, values = box_pattern()
    norms = np.empty(len(indices))
    kernels.block_norms(0, len(norms), values, norms)
    assert_allclose(norms, np.linalg.norm(values, axis=(1, 2)), rtol=1e-13)
    owner = np.empty(len(indptr) - 1, np.int32)
    count = kernels.aggregate(indptr, indices, norms, 0.02, owner)
    assert set(owner) == set(range(count))
    assert 4 < len(owner) / count < 40
    graph = sparse.csr_array((np.ones(len(indices)), indices, indptr), shape=(len(owner),) * 2)
    for g in range(count):
        members = np.flatnonzero(owner == g)
        pieces, _ = sparse.csgraph.connected_components(graph[members][:, members])
        assert pieces == 1


def test_a_node_coupled_to_none_joins_no_aggregate():
    matrix = sparse.csr_array(np.array([[2.0, -1, 0], [-1, 2, 0], [0, 0, 1]]))
    owner = np.empty(3, np.int32)
    count = kernels.aggregate(
        matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), np.abs(matrix.data), 0.1, owner
    )
    assert count == 1
    assert_array_equal(owner, [0, 0, -1])


def test_tentative_basis_is_orthonormal_and_holds_the_modes():
    from helpers_solvers import rigid_modes

    points = np.random.default_rng(8).random((10, 3))
    modes = rigid_modes(points)
    start, nodes = np.array([0, 6, 9, 10], np.int32), np.arange(10, dtype=np.int32)[::-1].copy()
    q, coarse = np.zeros((10, 3, 6)), np.empty((18, 6))
    kernels.tentative_basis(0, len(start) - 1, start, nodes, modes, 3, 1e-10, q, coarse)
    p = np.zeros((30, 18))
    for g in range(3):
        for node in nodes[start[g] : start[g + 1]]:
            p[3 * node : 3 * node + 3, 6 * g : 6 * g + 6] = q[node]
    assert_allclose(p @ coarse, modes, atol=1e-13)
    gram = p.T @ p
    assert_allclose(gram[:12, :12], np.eye(12), atol=1e-13)
    assert_allclose(gram[12:, 12:], np.diag([1.0, 1, 1, 0, 0, 0]), atol=1e-13)  # one node cannot turn


def test_smoothed_basis_and_coarse_matrix_are_those_of_scipy():
    indptr, indices, values = box_pattern()
    n, k = len(indptr) - 1, 2
    rng = np.random.default_rng(11)
    norms = np.linalg.norm(values, axis=(1, 2))
    owner = np.empty(n, np.int32)
    count = kernels.aggregate(indptr, indices, norms, 0.02, owner)
    owner[3] = -1  # a node in no aggregate has an empty row
    tentative, inverse = rng.standard_normal((n, 3, k)), random_spd(n, 3)
    p_indptr = np.zeros(n + 1, np.int32)
    kernels.smoothed_pattern(0, n, indptr, indices, owner, p_indptr, np.empty(0, np.int32))
    np.cumsum(p_indptr, out=p_indptr)
    p_indices = np.empty(p_indptr[-1], np.int32)
    kernels.smoothed_pattern(0, n, indptr, indices, owner, p_indptr, p_indices)
    p_blocks = np.empty((len(p_indices), 3, k))
    kernels.smoothed_basis(
        0, n, indptr, indices, values, inverse, owner, tentative, 0.3, p_indptr, p_indices, p_blocks
    )
    a = sparse.bsr_array((values, indices, indptr)).toarray()
    p0 = np.zeros((3 * n, k * count))
    for i in np.flatnonzero(owner >= 0):
        p0[3 * i : 3 * i + 3, k * owner[i] : k * owner[i] + k] = tentative[i]
    wanted = p0 - 0.3 * sparse.block_diag(inverse).toarray() @ a @ p0
    wanted[9:12] = 0.0
    p = sparse.bsr_array((p_blocks, p_indices, p_indptr), shape=(3 * n, k * count)).toarray()
    assert_allclose(p, wanted, atol=1e-12 * np.abs(wanted).max())
    t_indptr, (source, entry) = np.empty(count + 1, np.int32), np.empty((2, len(p_indices)), np.int32)
    kernels.transposed_pattern(p_indptr, p_indices, t_indptr, source, entry)
    c_indptr = np.zeros(count + 1, np.int32)
    pattern = (indptr, indices, p_indptr, p_indices, t_indptr, source, c_indptr)
    kernels.galerkin_pattern(0, count, *pattern, np.empty(0, np.int32))
    np.cumsum(c_indptr, out=c_indptr)
    c_indices = np.empty(c_indptr[-1], np.int32)
    kernels.galerkin_pattern(0, count, *pattern, c_indices)
    c_blocks = np.empty((len(c_indices), k, k))
    kernels.galerkin(
        *(0, count, indptr, indices, values, p_indptr, p_indices, p_blocks, t_indptr, source, entry),
        *(c_indptr, c_indices, c_blocks),
    )
    coarse = sparse.bsr_array((c_blocks, c_indices, c_indptr), shape=(k * count, k * count)).toarray()
    assert_allclose(coarse, p.T @ a @ p, atol=1e-12 * np.abs(coarse).max())


def test_galerkin_of_one_number_a_node_and_one_function_an_aggregate():
    indptr, indices, values = random_blocks(30, 30, 1, 1, density=0.2, seed=11)
    p_indptr, p_indices, p_values = random_blocks(30, 7, 1, 1, density=0.3, seed=12)
    back, (source, entry) = np.empty(8, np.int32), np.empty((2, len(p_indices)), np.int32)
    kernels.transposed_pattern(p_indptr, p_indices, back, source, entry)
    c_indptr = np.zeros(8, np.int32)
    pattern = (indptr, indices, p_indptr, p_indices, back, source, c_indptr)
    kernels.galerkin_pattern(0, 7, *pattern, np.empty(0, np.int32))
    np.cumsum(c_indptr, out=c_indptr)
    c_indices = np.empty(c_indptr[-1], np.int32)
    kernels.galerkin_pattern(0, 7, *pattern, c_indices)
    found = np.full((len(c_indices), 1, 1), np.nan)
    known = (indptr, indices, values, p_indptr, p_indices, p_values, back, source, entry, c_indptr, c_indices)
    for start, stop in ((0, 3), (3, 7)):
        kernels.galerkin(start, stop, *known, found)
    a = sparse.csr_array((values.ravel(), indices, indptr), shape=(30, 30)).toarray()
    p = sparse.csr_array((p_values.ravel(), p_indices, p_indptr), shape=(30, 7)).toarray()
    coarse = sparse.csr_array((found.ravel(), c_indices, c_indptr), shape=(7, 7)).toarray()
    assert_allclose(coarse, p.T @ a @ p, atol=1e-13)


def test_basis_stays_orthonormal_on_a_speck_far_from_the_center():
    from helpers_solvers import rigid_modes

    speck = 1.0 + 1e-6 * np.random.default_rng(10).random((8, 3))
    modes = rigid_modes(np.r_[speck, -speck])[:24]  # rotations look like translations there
    start, nodes = np.array([0, 8], np.int32), np.arange(8, dtype=np.int32)
    q, coarse = np.zeros((8, 3, 6)), np.empty((6, 6))
    kernels.tentative_basis(0, len(start) - 1, start, nodes, modes, 3, 1e-10, q, coarse)
    p = q.reshape(24, 6)
    assert_allclose(p.T @ p, np.eye(6), atol=1e-13)


def kernel_calls():
    """Arguments for every kernel, small enough for plain Python."""
    indptr, indices, values = box_pattern((2, 1, 1))
    n = len(indptr) - 1
    rng = np.random.default_rng(9)
    x, y, d = (rng.standard_normal((3 * n, 3)) for _ in range(3))
    inverse, norms = random_spd(n, 3), np.linalg.norm(values, axis=(1, 2))
    owner = np.empty(n, np.int32)
    kernels.aggregate(indptr, indices, norms, 0.02, owner)
    start = np.r_[0, np.cumsum(np.bincount(owner))].astype(np.int32)
    nodes = np.argsort(owner, kind="stable").astype(np.int32)
    weights = sparse.random_array((n, 4), density=0.5, rng=rng, format="csr")
    back = weights.T.tocsr()
    w, t = weights.data, back.data
    p0, p1, t0, t1 = (a.astype(np.int32) for m in (weights, back) for a in (m.indptr, m.indices))
    out_indptr = np.zeros(5, np.int32)
    kernels.weighted_pattern(0, 4, indptr, indices, p0, p1, t0, t1, out_indptr, np.empty(0, np.int32))
    np.cumsum(out_indptr, out=out_indptr)
    out_indices = np.empty(out_indptr[-1], np.int32)
    kernels.weighted_pattern(0, 4, indptr, indices, p0, p1, t0, t1, out_indptr, out_indices)
    blocks_out = np.empty((len(out_indices), 3, 3))
    free, parts = rng.random(3 * n) > 0.3, np.empty((1, 3))
    single = np.empty((3 * n, 3), np.float32)
    back_indptr, ints = np.empty(5, np.int32), np.empty((2, len(p1)), np.int32)
    kernels.transposed_pattern(p0, p1, back_indptr, *ints)
    scalars = rng.standard_normal((len(p1), 1, 1))
    own = np.arange(n, dtype=np.int32)  # every node an aggregate of its own
    basis = rng.standard_normal((n, 3, 2))
    wide = np.empty((len(indices), 3, 2))
    wide_pattern = np.zeros(n + 1, np.int32)
    kernels.smoothed_pattern(0, n, indptr, indices, own, wide_pattern, np.empty(0, np.int32))
    np.cumsum(wide_pattern, out=wide_pattern)
    wide_indices = np.empty(len(indices), np.int32)
    kernels.smoothed_pattern(0, n, indptr, indices, own, wide_pattern, wide_indices)
    coarse = (p0, p1, back_indptr, ints[0])
    coarse_indptr = np.zeros(5, np.int32)
    kernels.galerkin_pattern(0, 4, indptr, indices, *coarse, coarse_indptr, np.empty(0, np.int32))
    np.cumsum(coarse_indptr, out=coarse_indptr)
    coarse_indices = np.empty(coarse_indptr[-1], np.int32)
    kernels.galerkin_pattern(0, 4, indptr, indices, *coarse, coarse_indptr, coarse_indices)
    p_blocks = rng.standard_normal((len(p1), 3, 2))
    return {
        "product": (0, n, indptr, indices, values, x, y, True),
        "transposed_pattern": (p0, p1, back_indptr, *ints),
        "transposed_product": (0, 4, back_indptr, *ints, scalars, x[:n].copy(), y[:4].copy()),
        "dense_product": (random_spd(1, 3 * n)[0], x, y),
        "invert_dense": (random_spd(1, 12)[0], np.empty((12, 12))),
        "smoothing_step": (0, n, inverse, x, d, True, 0.3, 0.8, 1.1, False, x.copy(), d.copy(), y),
        "free_difference": (0, 3 * n, free, x, d, y),
        "dots": (0, 1, x, y, parts),
        "next_direction": (0, 1, x, 0.5, parts[0], y),
        "mask_and_dot": (0, 1, free, x, y, parts),
        "advance": (0, 1, np.arange(3.0), x, y, d, y.copy(), single, parts),
        "diagonal_blocks": (0, n, indptr, indices, values, np.empty((n, 3, 3))),
        "invert_blocks": (0, n, inverse, 1e-12, np.empty((n, 3, 3)), np.empty(n, bool)),
        "constrain_blocks": (
            *(0, n, indptr, indices, values, free.reshape(n, 3), 2.0, np.empty_like(values)),
        ),
        "weighted_pattern": (
            *(0, 4, indptr, indices, p0, p1, t0, t1, out_indptr, np.empty_like(out_indices)),
        ),
        "weighted_triple_product": (
            *(0, 4, indptr, indices, values, p0, p1, w, t0, t1, t, out_indptr, out_indices, blocks_out),
        ),
        "scaled": (1, 9, values.ravel(), 0.5, np.zeros(values.size)),
        "block_norms": (0, len(values), values, np.empty(len(values))),
        "aggregate": (indptr, indices, norms, 0.02, np.empty(n, np.int32)),
        "tentative_basis": (
            *(0, len(start) - 1, start, nodes, rng.standard_normal((3 * n, 6)), 3, 1e-10),
            *(np.zeros((n, 3, 6)), np.empty((6 * (len(start) - 1), 6))),
        ),
        "smoothed_pattern": (0, n, indptr, indices, owner, np.zeros(n + 1, np.int32), np.empty(0, np.int32)),
        "smoothed_basis": (
            *(0, n, indptr, indices, values, inverse, own, basis, 0.3, wide_pattern, wide_indices, wide),
        ),
        "galerkin_pattern": (0, 4, indptr, indices, *coarse, coarse_indptr, coarse_indices),
        "galerkin": (
            *(0, 4, indptr, indices, values, p0, p1, p_blocks, back_indptr, *ints),
            *(coarse_indptr, coarse_indices, np.empty((len(coarse_indices), 2, 2))),
        ),
    }


def test_every_kernel_is_listed():
    compiled = {name for name, value in vars(kernels).items() if hasattr(value, "py_func")}
    assert compiled == set(kernel_calls())


@pytest.mark.parametrize("name", sorted(kernel_calls()))
def test_kernel_does_what_its_python_does(name):
    kernel, calls = getattr(kernels, name), kernel_calls()[name]
    plain = [a.copy() if isinstance(a, np.ndarray) else a for a in calls]
    compiled = [a.copy() if isinstance(a, np.ndarray) else a for a in calls]
    said, wanted = kernel(*compiled), kernel.py_func(*plain)
    assert said == wanted or said == pytest.approx(wanted, rel=1e-12)
    for a, b in zip(plain, compiled):
        assert_allclose(b, a, rtol=1e-11, atol=1e-12)
