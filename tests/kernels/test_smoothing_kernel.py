"""Kernels of groups against their own Python, cut in pieces or not, and with NaN."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_solvers import box, elasticity
from numpy.testing import assert_allclose, assert_array_equal

from designtwin.kernels import smoothing as kernels


@pytest.fixture(scope="module")
def flat():
    points, cells = box((3, 3, 2), (3.0, 3.0, 0.2))
    matrix = elasticity(points, cells, youngs_modulus=1.0)
    shift = matrix.data + 0.05 * (matrix.indices == np.repeat(np.arange(48), np.diff(matrix.indptr)))[
        :, None, None
    ] * np.eye(3)
    return points, matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), shift


@pytest.fixture(scope="module")
def groups(flat):
    points, indptr, indices, _ = flat
    strength = np.empty(indices.size)
    kernels.near_strength(0, 48, indptr, indices, points, strength)
    owner = np.empty(48, np.int32)
    alive = np.ones(48, bool)
    alive[5] = False
    count = kernels.strong_groups(indptr, indices, strength, alive, 0.1, 6, owner)
    label = np.where(owner < 0, count, owner)
    members = np.argsort(label, kind="stable").astype(np.int32)
    first = np.r_[0, np.cumsum(np.bincount(label))].astype(np.int32)
    rows = 3 * np.diff(first).astype(np.int64)
    return owner, count, first, members, np.r_[0, np.cumsum(rows * (rows + 1) // 2)], strength, alive


def test_groups_are_the_same_in_plain_python(flat, groups):
    _, indptr, indices, _ = flat
    owner, count, *_, strength, alive = groups
    again = np.empty_like(owner)
    assert kernels.strong_groups.py_func(indptr, indices, strength, alive, 0.1, 6, again) == count
    assert_array_equal(again, owner)
    assert set(owner) == set(range(-1, count))


def test_columns_come_together_first(flat, groups):
    points, *_ = flat
    owner = groups[0]
    across = owner.reshape(4, 4, 3)
    whole = points.reshape(4, 4, 3, 3)
    assert np.ptp(whole[..., 2], axis=2).min() > 0.0
    for column in across.reshape(-1, 3):
        assert len(set(column[column >= 0])) == 1


def test_inverse_is_that_of_numpy_however_the_range_is_cut(flat, groups):
    _, indptr, indices, blocks = flat
    _, count, first, members, offset, *_ = groups
    whole = np.zeros((48, 3, 48, 3))
    for i in range(48):
        for p in range(indptr[i], indptr[i + 1]):
            whole[i, :, indices[p], :] = blocks[p]
    negative = np.zeros(first.size - 1, bool)
    packed = np.full(offset[-1], np.nan)
    for start, stop in ((0, 3), (3, first.size - 1)):
        kernels.invert_groups(
            start, stop, indptr, indices, blocks, first, members, offset, 1e-12, negative, packed
        )
    for g in range(count):
        nodes = members[first[g] : first[g + 1]]
        size = 3 * nodes.size
        wanted = np.linalg.inv(whole[np.ix_(nodes, range(3), nodes, range(3))].reshape(size, size))
        got = packed[offset[g] : offset[g + 1]]
        assert_allclose(got, wanted[np.tril_indices(size)], rtol=1e-8, atol=1e-10 * np.abs(wanted).max())
    assert not negative.any()


def test_nan_stays_nan(groups):
    _, _, first, members, offset, *_ = groups
    packed = np.ones(offset[-1])
    source = np.ones((144, 1))
    source[members[0] * 3] = np.nan
    r, d, x = np.zeros((3, 144, 1))
    kernels.smoothing_step(
        0, first.size - 1, first, members, offset, packed, 3, source, r, False, 0.0, 1.0, 1.0, True, r, d, x
    )
    assert np.isnan(x[members[0] * 3]).all()
