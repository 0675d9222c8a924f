"""Products and smoothing steps for many columns against the kernels for one, and against plain matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from designtwin.kernels import columns
from designtwin.kernels import sparse as single

COLUMNS = (1, 3, 4, 7, 8, 12, 13, 16)
CLOSE = {np.float32: 2e-5, np.float64: 1e-13}


def blocked(rows, across, dtype, n=40, m=23):
    """A random block-CSR matrix, by rows and with its pattern by columns, and the same as a dense one."""
    pattern = sparse.random(n, m, 0.2, format="csr", random_state=3)
    indptr, indices = pattern.indptr.astype(np.int32), pattern.indices.astype(np.int32)
    rng = np.random.default_rng(4)
    blocks = rng.standard_normal((len(indices), rows, across)).astype(dtype)
    dense = sparse.bsr_array((blocks, indices, indptr), shape=(n * rows, m * across)).toarray()
    back = np.empty(m + 1, np.int32)
    source, entry = np.empty((2, len(indices)), np.int32)
    single.transposed_pattern(indptr, indices, back, source, entry)
    return (indptr, indices, blocks), (back, source, entry, blocks), dense


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "across"), [(1, 1), (3, 3), (3, 6), (6, 6)])
def test_products_are_those_of_the_dense_matrix(rows, across, dtype):
    by_row, by_column, dense = blocked(rows, across, dtype)
    rng = np.random.default_rng(5)
    for k in COLUMNS:
        x = rng.standard_normal((dense.shape[1], k)).astype(dtype)
        y = rng.standard_normal((dense.shape[0], k)).astype(dtype)
        fresh, more = np.full_like(y, np.nan), y.copy()
        columns.product(0, 40, *by_row, x, fresh, False)
        columns.product(0, 40, *by_row, x, more, True)
        assert_allclose(fresh, dense @ x, atol=10 * CLOSE[dtype])
        assert_allclose(more, y + dense @ x, atol=10 * CLOSE[dtype])
        if (rows, across) != (3, 3):
            down = np.full_like(x, np.nan)
            columns.transposed_product(0, 23, *by_column, y, down)
            assert_allclose(down, dense.T @ y, atol=10 * CLOSE[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("b", [1, 3, 6])
@pytest.mark.parametrize("subtract", [False, True])
@pytest.mark.parametrize("keep", [0.0, 0.3])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_smoothing_step_is_that_of_single_columns(b, subtract, keep, fresh, dtype):
    rng, n = np.random.default_rng(6), 9
    inverse = rng.standard_normal((n, b, b)).astype(dtype)
    for k in COLUMNS:
        source, image, *start = rng.standard_normal((5, n * b, k)).astype(dtype)
        given = (inverse, source, image, subtract, keep, 0.7, 1.1, fresh)
        r, d, x = (one.copy() for one in start)
        columns.smoothing_step(0, n, *given, False, r, d, x)
        expected = [one.copy() for one in start]
        single.smoothing_step(0, n, *given, *expected)
        close = {"atol": 10 * CLOSE[dtype]}
        if subtract:
            assert_allclose(r, expected[0], **close)
        assert_allclose(d, expected[1], **close)
        assert_allclose(x, expected[2], **close)
        last = [one.copy() for one in start]
        columns.smoothing_step(0, n, *given, True, *last)
        assert_array_equal(last[2], x)  # after the last step only x counts
        assert_array_equal(last[:2], start[:2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_digits_depend_neither_on_the_columns_beside_nor_on_the_cut(dtype):
    by_row, by_column, dense = blocked(3, 6, dtype)
    rng = np.random.default_rng(7)
    x = rng.standard_normal((dense.shape[1], 16)).astype(dtype)
    whole, down = np.empty((dense.shape[0], 16), dtype), np.empty_like(x)
    columns.product(0, 40, *by_row, x, whole, False)
    columns.transposed_product(0, 23, *by_column, whole, down)
    for k in (1, 4, 5, 12):
        some, back = np.empty((dense.shape[0], k), dtype), np.empty((dense.shape[1], k), dtype)
        for start, stop in ((0, 11), (11, 40)):
            columns.product(start, stop, *by_row, x[:, :k].copy(), some, False)
        assert_array_equal(some, whole[:, :k])
        for start, stop in ((0, 1), (1, 23)):
            columns.transposed_product(start, stop, *by_column, some, back)
        assert_array_equal(back, down[:, :k])
