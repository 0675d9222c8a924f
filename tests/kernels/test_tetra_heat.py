"""Conduction and capacity of tetrahedra in one pass equal the assembled matrices, for every time step."""

from __future__ import annotations

from dataclasses import replace

import builders
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from designtwin import parallel
from designtwin.assembly import tetrahedra
from designtwin.assembly.tetrahedra import Capacity, FreeCells, HeatTetrahedra, Tensors
from designtwin.elements import ELEMENTS
from designtwin.kernels import tetra, volume

ELEMENT = ELEMENTS["tetra10"]
ALPHA = 37.0


def assembled(conn, n_points, matrices):
    i, j = np.broadcast_arrays(conn[:, :, None], conn[:, None, :])
    return sparse.coo_array((matrices.ravel(), (i.ravel(), j.ravel())), shape=(n_points, n_points)).tocsr()


def term_of(kind, n=(5, 4, 4), seed=0):
    """The term in the plan's numbers, and the matrices of conductivity and capacity in the same."""
    rng = np.random.default_rng(seed)
    mesh = builders.box("tetra10", n, (2.0, 1.0, 1.5), distort=0.2, seed=seed)
    points, conn = mesh.points.copy(), mesh.cells["tetra10"]
    n_cells, n_q = len(conn), len(ELEMENT.mass_quadrature[1])
    right = points[conn[:, :4], 0].mean(axis=1) > 1.0
    material = right.astype(np.int64)  # two of very different capacity
    general = np.zeros(n_cells, bool)
    if kind in ("curved", "mixed"):
        general = right if kind == "mixed" else np.ones(n_cells, bool)
        mids = np.setdiff1d(conn[general, 4:], conn[~general, 4:])
        points[mids] += rng.uniform(-0.02, 0.02, (len(mids), 3))
    k = rng.standard_normal((2, 3, 3))
    k = k @ k.transpose(0, 2, 1) + np.eye(3)
    rho_c, which = np.array([3.0, 800.0]), material[:, None]
    if kind in ("points", "mixed"):  # a capacity of its own at each point
        rho_c = rng.uniform(1.0, 100.0, n_cells * n_q)
        which = np.arange(n_cells * n_q).reshape(n_cells, n_q)
    plan = tetra.plan(conn, points, general)
    place = plan.number.astype(np.int64)[conn]

    xi, weight = ELEMENT.quadrature
    conduct = np.empty((n_cells, 10, 10))
    tensors = Tensors(k, np.repeat(material[:, None], 4, axis=1))
    volume.conductivity(
        points, conn, ELEMENT.shape(xi), ELEMENT.gradient(xi), weight, 0, np.ones(n_cells), *tensors, conduct
    )
    store = np.zeros((n_cells, 10, 10))
    shape, gradient, weight = ELEMENT.tables(ELEMENT.mass_quadrature)
    for q in range(n_q):  # the kernel takes one density for a cell: point by point
        one = np.empty((n_cells, 10, 10))
        here = np.ascontiguousarray(np.broadcast_to(rho_c[which], (n_cells, n_q))[:, q])
        volume.mass(
            points, conn, shape[q : q + 1], gradient[q : q + 1], weight[q : q + 1], 0, np.ones(n_cells),
            here, one,
        )  # fmt: skip
        store += one
    conductivity, capacity = (assembled(place, len(points), m) for m in (conduct, store))
    cells = FreeCells(plan, conn, points, kind in ("curved", "mixed"), ())
    stated = Capacity(rho_c, which, lambda: capacity)
    return HeatTetrahedra(cells, tensors, lambda: conductivity, stated, ALPHA), conductivity, capacity


@pytest.fixture(scope="module", params=("straight", "points", "curved", "mixed"))
def body(request):
    return term_of(request.param)


def off(found, wanted):
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("n_rhs", [1, 3])
def test_one_pass_is_conductivity_plus_alpha_times_capacity_as_assembled(body, n_rhs):
    term, conductivity, capacity = body
    x = np.random.default_rng(n_rhs).standard_normal((len(term.cells.points), n_rhs))
    for alpha in (0.0, 1e-3, ALPHA, 1e6):
        wanted = conductivity @ x + alpha * (capacity @ x)
        assert off(term.with_alpha(alpha).apply(x), wanted) < 1e-13
        single, found = term.with_alpha(alpha).operator(2.5, np.float32), np.empty(x.shape, np.float32)
        single.product(x.astype(np.float32), found)
        assert off(found, 2.5 * wanted) < 2e-6
        assert off(term.with_alpha(alpha).matrix() @ x, wanted) < 1e-14
    assert off(term.capacity_apply(x), capacity @ x) < 1e-13
    assert off(term.capacity_apply(x[:, 0]), capacity @ x[:, 0]) < 1e-13
    assert off(replace(term, capacity=None, alpha=0.0).apply(x), conductivity @ x) < 1e-13


def test_capacity_holds_the_heat_of_a_body_that_warms_by_one_kelvin(body):
    term, _, capacity = body
    one = np.ones(len(term.cells.points))
    assert term.capacity_apply(one).sum() == pytest.approx(capacity.sum(), rel=1e-13)
    assert np.abs(term.with_alpha(0.0).apply(one)).max() < 1e-12 * np.abs(term.capacity_apply(one)).max()


def test_every_number_of_threads_gives_the_same_bits(body):
    term = body[0]
    x = np.random.default_rng(1).standard_normal((len(term.cells.points), 2))
    found = []
    for threads in (1, 2, 3):
        with parallel.use_threads(threads):
            single = np.empty(x.shape, np.float32)
            term.operator(1.0, np.float32).product(x.astype(np.float32), single)
            found.append((term.apply(x), term.capacity_apply(x), single))
    for several in found[1:]:
        for one, first in zip(several, found[0], strict=True):
            assert_array_equal(one, first)


def test_diagonal_and_corners_are_those_of_the_sum(body):
    term, conductivity, capacity = body
    total = conductivity + ALPHA * capacity
    assert_allclose(term.diagonal_blocks(1).ravel(), total.diagonal(), rtol=1e-12)
    number = term.cells.plan.number.astype(np.int64)[term.cells.conn]
    n = total.shape[0]
    found = np.zeros((n, n))
    for rows, blocks in term.corner_blocks():
        for cell, block in zip(number[rows], blocks, strict=True):
            found[np.ix_(cell[:4], cell[:4])] += block
    weights = sparse.lil_array((n, n))
    corners = np.unique(number[:, :4])
    weights[corners, corners] = 1.0
    for i, (a, b) in enumerate(ELEMENT.edges):
        weights[number[:, 4 + i], number[:, a]] = weights[number[:, 4 + i], number[:, b]] = 0.5
    weights = weights.tocsr()
    wanted = (weights.T @ total @ weights).toarray()
    assert np.abs(found - wanted).max() < 1e-12 * np.abs(wanted).max()


def test_the_sum_is_symmetric_and_as_large_as_its_magnitude_says(body):
    term = body[0]
    x, y = np.random.default_rng(2).standard_normal((2, len(term.cells.points)))
    assert x @ term.apply(y) == pytest.approx(y @ term.apply(x), rel=1e-11)
    assert (np.abs(term.apply(x)) <= 4.0 * term.magnitude(np.abs(x[:, None])).max()).all()


def test_another_time_step_computes_nothing_of_the_cells_again(monkeypatch):
    term, conductivity, capacity = term_of("straight", (2, 2, 2))
    x = np.random.default_rng(3).standard_normal(len(term.cells.points))
    term.apply(x)
    term.operator(1.0, np.float32)
    term.diagonal_blocks(1)
    term.capacity_apply(x)

    class Fixed:
        """Tables of the cells may be read, not made."""

        def __getattr__(self, name):
            assert name not in ("metric", "capacity", "scalar_diagonal", "capacity_diagonal"), name
            return getattr(tetra, name)

    monkeypatch.setattr(tetrahedra, "tetra", Fixed())
    other = term.with_alpha(2.0)
    assert off(other.apply(x), conductivity @ x + 2.0 * (capacity @ x)) < 1e-13
    assert_allclose(other.diagonal_blocks(1).ravel(), (conductivity + 2.0 * capacity).diagonal(), rtol=1e-12)
    other.operator(0.5, np.float32)
    other.capacity_apply(x)
    with pytest.raises(AssertionError, match="metric"):
        replace(term, alpha=2.0).apply(x)
