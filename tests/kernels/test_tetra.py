"""Products without a matrix equal the assembled matrix's, with the same digits on any number of threads."""

from __future__ import annotations

from dataclasses import dataclass

import builders
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from designtwin import parallel
from designtwin.elements import ELEMENTS
from designtwin.kernels import tetra, volume

ELEMENT = ELEMENTS["tetra10"]


def isotropic(lam, mu):
    """Elastic tensors [n, 6, 6] from Lame's constants [n]."""
    tensor = np.zeros((len(lam), 6, 6))
    tensor[:, :3, :3] = lam[:, None, None]
    tensor[:, range(3), range(3)] += 2.0 * mu[:, None]
    tensor[:, range(3, 6), range(3, 6)] = mu[:, None]
    return tensor


def assembled(points, conn, matrices):
    size = matrices.shape[1] // 10
    rows = (size * conn[:, :, None] + np.arange(size)).reshape(len(conn), -1)
    n = size * len(points)
    i, j = np.broadcast_arrays(rows[:, :, None], rows[:, None, :])
    return sparse.coo_array((matrices.ravel(), (i.ravel(), j.ravel())), shape=(n, n)).tocsr()


def stiffness(points, conn, tensor):
    """The matrix from the package's integrals; tensor float64[n, 6, 6] or [n, 4, 6, 6]."""
    if tensor.ndim == 3:
        tensor = np.repeat(tensor[:, None], 4, axis=1)
    xi, weight = ELEMENT.quadrature
    out = np.empty((len(conn), 30, 30))
    volume.stiffness(
        points, conn, ELEMENT.shape(xi), ELEMENT.gradient(xi), weight, np.zeros((4, 0, 3)),
        ELEMENT.gradient(ELEMENT.center)[0], 0, False, 3, np.ones(len(conn)), tensor.reshape(-1, 6, 6),
        np.arange(4 * len(conn)).reshape(-1, 4), out,
    )  # fmt: skip
    return assembled(points, conn, out)


@dataclass
class Body:
    """A distorted box of many materials, and a few nodes of no cell."""

    points: np.ndarray
    conn: np.ndarray
    lam: np.ndarray
    mu: np.ndarray
    plan: tetra.Plan

    @classmethod
    def of(cls, n, seed=0):
        rng = np.random.default_rng(seed)
        mesh = builders.box("tetra10", n, (2.0, 1.0, 1.5), distort=0.2, seed=seed)
        conn = mesh.cells["tetra10"]
        points = np.concatenate([rng.random((3, 3)), mesh.points])
        conn = conn + 3
        nu, modulus = rng.uniform(0.0, 0.45, len(conn)), 10.0 ** rng.uniform(0.0, 3.0, len(conn))
        lam, mu = modulus * nu / (1.0 + nu) / (1.0 - 2.0 * nu), modulus / 2.0 / (1.0 + nu)
        return cls(points, conn, lam, mu, tetra.plan(conn, points))

    def geometry(self, dtype):
        geo = np.full((len(self.plan.cells), 11, 16), np.nan, dtype)
        parallel.run(
            tetra.geometry, len(geo), self.conn, self.plan.cells, self.points, self.lam, self.mu, geo
        )
        return geo

    def product(self, x, kernel, columns=None):
        """Of x[n_points, 3, n_rhs] in the mesh's numbers."""
        p, n_rhs = self.plan, x.shape[2]
        moved = np.ascontiguousarray(x[p.nodes].reshape(-1, n_rhs))
        y, buffer = np.zeros_like(moved), np.full((3 * p.n_copies, n_rhs), np.nan, x.dtype)
        y[: 3 * p.n_nodes] = np.nan
        columns = np.array([0, n_rhs]) if columns is None else columns
        parallel.run(
            kernel, tetra.CHUNKS, p.conn, p.batches, p.interior, p.shared, p.shared_start,
            self.geometry(x.dtype), False, moved, buffer, y, columns,
        )  # fmt: skip
        parallel.run(
            tetra.add_shared, p.n_shared, p.copies_start, p.copies, p.n_interior, 3, buffer, y, grain=64
        )
        return y.reshape(x.shape)[p.number]


@pytest.fixture(scope="module")
def body():
    return Body.of((5, 4, 4))


@pytest.fixture(scope="module")
def matrix(body):
    return stiffness(body.points, body.conn, isotropic(body.lam, body.mu))


def test_a_plan_numbers_every_node_once_and_every_cell_lies_in_one_chunk(body):
    p = body.plan
    assert_array_equal(np.sort(p.nodes), np.arange(len(body.points)))
    assert_array_equal(p.nodes[p.number], np.arange(len(body.points)))
    assert_array_equal(np.sort(p.cells[p.cells >= 0]), np.arange(len(body.conn)))
    assert_array_equal(p.nodes[p.n_nodes :], [0, 1, 2])  # of no cell
    chunk_of = np.empty(len(body.conn), int)
    for chunk in range(tetra.CHUNKS):
        mine = p.cells[p.batches[chunk] : p.batches[chunk + 1]]
        chunk_of[mine[mine >= 0]] = chunk
    touched = np.zeros((len(body.points), tetra.CHUNKS), bool)
    for a in range(10):
        touched[body.conn[:, a], chunk_of] = True
    owners = touched[p.nodes].sum(axis=1)
    assert (owners[: p.n_interior] == 1).all()
    assert (owners[p.n_interior : p.n_nodes] > 1).all()
    assert owners.sum() == p.n_interior + p.n_copies
    assert 8 <= (np.diff(p.interior) > 0).sum() <= 16


@pytest.mark.parametrize("kernel", [tetra.product, tetra.product_of_many])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-6)])
@pytest.mark.parametrize("n_rhs", [1, 3, 8, 11])
def test_the_product_is_that_of_the_assembled_matrix(body, matrix, kernel, dtype, tolerance, n_rhs):
    x = np.random.default_rng(n_rhs).standard_normal((len(body.points), 3, n_rhs)).astype(dtype)
    wanted = (matrix @ x.reshape(-1, n_rhs).astype(float)).reshape(x.shape)
    found = body.product(x, kernel)
    assert np.abs(found - wanted).max() < tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_column_gets_the_same_bits_alone_in_company_and_on_any_number_of_threads(body, dtype):
    x = np.random.default_rng(1).standard_normal((len(body.points), 3, 11)).astype(dtype)
    results = []
    for threads in (1, 2, 3):
        with parallel.use_threads(threads):
            results += [body.product(x, tetra.product), body.product(x, tetra.product_of_many)]
    alone = [body.product(np.ascontiguousarray(x[:, :, k : k + 1]), tetra.product) for k in range(11)]
    for result in [*results, np.concatenate(alone, axis=2)]:
        assert_array_equal(result, results[0])
