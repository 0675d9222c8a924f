"""Products without a matrix equal the assembled matrix's, with the same digits on any number of threads."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass

import builders
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit, types
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from surroundings import FULL

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
@pytest.mark.parametrize("n_rhs", [1, 3, 8, 29])
def test_the_product_is_that_of_the_assembled_matrix(body, matrix, kernel, dtype, tolerance, n_rhs):
    x = np.random.default_rng(n_rhs).standard_normal((len(body.points), 3, n_rhs)).astype(dtype)
    wanted = (matrix @ x.reshape(-1, n_rhs).astype(float)).reshape(x.shape)
    found = body.product(x, kernel)
    assert np.abs(found - wanted).max() < tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("kernel", [tetra.product, tetra.product_of_many])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_column_gets_the_same_bits_alone_in_company_and_on_any_number_of_threads(body, dtype, kernel):
    x = np.random.default_rng(1).standard_normal((len(body.points), 3, 29)).astype(dtype)
    results = []
    for threads in (1, 2, 3):
        with parallel.use_threads(threads):
            results.append(body.product(x, kernel))
    alone = [body.product(np.ascontiguousarray(x[:, :, k : k + 1]), kernel) for k in range(29)]
    for result in [*results, np.concatenate(alone, axis=2)]:
        assert_array_equal(result, results[0])


W = np.array(tetra.POINT_WEIGHTS)


def conductivity(points, conn, tensor):
    """The scalar matrix from the package's integrals; tensor float64[n, 4, 3, 3]."""
    xi, weight = ELEMENT.quadrature
    out = np.empty((len(conn), 10, 10))
    volume.conductivity(
        points, conn, ELEMENT.shape(xi), ELEMENT.gradient(xi), weight, 0, np.ones(len(conn)),
        np.ascontiguousarray(tensor.reshape(-1, 3, 3)), np.arange(4 * len(conn)).reshape(-1, 4), out,
    )  # fmt: skip
    return assembled(points, conn, out)


def spd(n, size, seed):
    a = np.random.default_rng(seed).standard_normal((n, size, size))
    return a @ a.transpose(0, 2, 1) + np.eye(size)


def interpolation(points, conn, size):
    """From corners to all nodes, [size * n_points, size * n_points], columns of mid nodes zero."""
    weights = sparse.lil_array((len(points), len(points)))
    for a in np.unique(conn[:, :4]):
        weights[a, a] = 1.0
    for i, (a, b) in enumerate(ELEMENT.edges):
        for cell in conn:
            weights[cell[4 + i], cell[a]] = weights[cell[4 + i], cell[b]] = 0.5
    return sparse.kron(weights.tocsr(), np.eye(size)).tocsr()


@dataclass
class Mixed:
    """A body with straight isotropic cells and others: bent, with their own tensor at each point."""

    points: np.ndarray
    conn: np.ndarray
    lam: np.ndarray
    mu: np.ndarray
    general: np.ndarray
    tensor: np.ndarray
    plan: tetra.Plan
    rows: tuple[int, int] = (4, 4)

    @classmethod
    def of(cls, kind, n=(5, 4, 4), seed=0, bend=0.02):
        rng = np.random.default_rng(seed)
        body = Body.of(n, seed)
        points, conn, n_cells = body.points.copy(), body.conn, len(body.conn)
        tensor = np.repeat(isotropic(body.lam, body.mu)[:, None], 4, axis=1)
        half = points[conn[:, :4], 0].mean(axis=1) > 1.0
        general = half if kind == "mixed" else np.ones(n_cells, bool)
        if kind in ("curved", "mixed"):
            mids = np.setdiff1d(conn[general, 4:], conn[~general, 4:])
            points[mids] += rng.uniform(-bend, bend, (len(mids), 3))
        if kind == "orthotropic":
            tensor = np.repeat(spd(n_cells, 6, seed)[:, None], 4, axis=1)
        if kind in ("points", "mixed"):
            tensor[general] = spd(4 * general.sum(), 6, seed).reshape(-1, 4, 6, 6)
        bent, varied = kind in ("curved", "mixed"), kind in ("points", "mixed")
        plan = tetra.plan(conn, points, general)
        rows = (4 if bent else 1, 4 if varied else 1)
        return cls(points, conn, body.lam, body.mu, general, tensor, plan, rows)

    def tables(self, dtype=np.float64):
        """geo of straight cells; geo and tensor of the general ones."""
        p, n_general = self.plan, len(self.plan.general_cells)
        straight = np.full((len(p.cells), 11, 16), np.nan, dtype)
        tetra.geometry(0, len(p.cells), self.conn, p.cells, self.points, self.lam, self.mu, straight)
        geo = np.full((n_general, self.rows[0], 10, 16), np.nan, dtype)
        parallel.run(tetra.geometry_general, n_general, self.conn, p.general_cells, self.points, W, geo)
        tensor = np.full((n_general, self.rows[1], 21, 16), np.nan, dtype)
        every = np.arange(4 * len(self.conn)).reshape(-1, 4)
        flat = self.tensor.reshape(-1, 6, 6)
        parallel.run(tetra.tensors_general, n_general, p.general_cells, flat, every, tensor)
        return straight, geo, tensor

    def product(self, x):
        p, n_rhs = self.plan, x.shape[2]
        straight, geo, tensor = self.tables(x.dtype)
        moved = np.ascontiguousarray(x[p.nodes].reshape(-1, n_rhs))
        y, buffer = np.zeros_like(moved), np.full((3 * p.n_copies, n_rhs), np.nan, x.dtype)
        y[: 3 * p.n_nodes] = np.nan
        shared = (p.interior, p.shared, p.shared_start)
        vectors = (moved, buffer, y, np.array([0, n_rhs]))
        parallel.run(tetra.product, tetra.CHUNKS, p.conn, p.batches, *shared, straight, False, *vectors)
        parallel.run(
            tetra.product_general, tetra.CHUNKS, p.general_conn, p.general_batches, *shared, geo, tensor,
            W.astype(x.dtype), True, *vectors,
        )  # fmt: skip
        tetra.add_shared(0, p.n_shared, p.copies_start, p.copies, p.n_interior, 3, buffer, y)
        return y.reshape(x.shape)[p.number]

    @property
    def matrix(self):
        return stiffness(self.points, self.conn, self.tensor)


KINDS = ("isotropic", "orthotropic", "points", "curved", "mixed")


@pytest.fixture(scope="module", params=KINDS)
def mixed(request):
    return Mixed.of(request.param)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_curved_cells_and_tensors_that_vary_give_the_assembled_matrix_too(mixed, dtype, tolerance):
    x = np.random.default_rng(3).standard_normal((len(mixed.points), 3, 2)).astype(dtype)
    wanted = (mixed.matrix @ x.reshape(-1, 2).astype(float)).reshape(x.shape)
    found = []
    for threads in (1, 2, 3):
        with parallel.use_threads(threads):
            found.append(mixed.product(x))
    assert np.abs(found[0] - wanted).max() < tolerance * np.abs(wanted).max()
    assert_array_equal(found[1], found[0])
    assert_array_equal(found[2], found[0])


def test_rigid_motions_strain_nothing_and_the_product_is_symmetric(mixed):
    x = mixed.points - mixed.points.mean(axis=0)
    rigid = np.zeros((len(x), 3, 6))
    rigid[:, range(3), range(3)] = 1.0
    for k, axis in enumerate(np.eye(3)):
        rigid[:, :, 3 + k] = np.cross(axis, x)
    u = np.random.default_rng(4).standard_normal((len(x), 3, 2))
    ku = mixed.product(u)
    assert np.abs(mixed.product(rigid)).max() < 1e-12 * np.abs(ku).max()
    assert np.sum(u[:, :, 0] * ku[:, :, 1]) == pytest.approx(np.sum(u[:, :, 1] * ku[:, :, 0]), rel=1e-11)


def test_blocks_of_the_diagonal_are_those_of_the_matrix(mixed):
    p, n = mixed.plan, len(mixed.points)
    straight, geo, tensor = mixed.tables()
    out, buffer = np.full((n, 9), np.nan), np.full((p.n_copies, 9), np.nan)
    out[p.n_nodes :] = 0.0
    parallel.run(
        tetra.diagonal, tetra.CHUNKS, p.conn, p.batches, p.interior, p.shared_start, straight, False,
        buffer, out,
    )  # fmt: skip
    parallel.run(
        tetra.diagonal_general, tetra.CHUNKS, p.general_conn, p.general_batches, p.interior,
        p.shared_start, geo, tensor, W, True, buffer, out,
    )  # fmt: skip
    parallel.run(tetra.add_shared, p.n_shared, p.copies_start, p.copies, p.n_interior, 1, buffer, out)
    dense = mixed.matrix.toarray().reshape(n, 3, n, 3)
    wanted = dense[range(n), :, range(n), :]
    assert_allclose(out.reshape(n, 3, 3)[p.number], wanted, atol=1e-13 * np.abs(wanted).max())


def test_corner_blocks_are_the_matrix_as_linear_functions_see_it(mixed):
    p, n = mixed.plan, 3 * len(mixed.points)
    straight, geo, tensor = mixed.tables()
    found = np.zeros((n, n))
    for cells, size, call in (
        (p.cells, len(straight), lambda a, b, out: tetra.corner_blocks(a, b, a, straight, out)),
        (p.general_cells, len(geo), lambda a, b, out: tetra.corner_blocks_general(a, b, a, geo, tensor, out)),
    ):
        for start in range(0, size, 7):
            stop = min(start + 7, size)
            out = np.full(((stop - start) * 16, 12, 12), np.nan)
            call(start, stop, out)
            ids = cells[start:stop].ravel()
            assert not out[ids < 0].any()
            for cell, block in zip(ids[ids >= 0], out[ids >= 0], strict=True):
                rows = (3 * mixed.conn[cell, :4, None] + np.arange(3)).ravel()
                found[np.ix_(rows, rows)] += block
    coarse = interpolation(mixed.points, mixed.conn, 3)
    wanted = (coarse.T @ mixed.matrix @ coarse).toarray()
    assert_allclose(found, wanted, atol=1e-12 * np.abs(wanted).max())


@pytest.mark.parametrize("kind", ["isotropic", "curved", "mixed"])
def test_heat_gives_the_assembled_conductivity_its_diagonal_and_its_corners(kind):
    body = Mixed.of(kind)
    p, n = body.plan, len(body.points)
    k = spd(4 * len(body.conn), 3, 5).reshape(-1, 4, 3, 3)
    k[~body.general] = k[~body.general, :1]  # constant in straight cells
    if kind == "isotropic":
        k[:] = k[:, :1]
    matrix = conductivity(body.points, body.conn, k)
    every = np.arange(4 * len(body.conn)).reshape(-1, 4)
    for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 1e-5)):
        x = np.random.default_rng(6).standard_normal((n, 2)).astype(dtype)
        moved, buffer = np.ascontiguousarray(x[p.nodes]), np.full((p.n_copies, 2), np.nan, dtype)
        y = np.zeros_like(moved)
        diagonal, shares = np.zeros((n, 1)), np.zeros((p.n_copies, 1))
        corners = np.zeros((n, n))
        for add, (cells, conn, batches, rows) in enumerate(
            (
                (p.cells, p.conn, p.batches, 1),
                (p.general_cells, p.general_conn, p.general_batches, body.rows[0]),
            )
        ):
            metric = np.full((len(cells), rows, 6, 16), np.nan, dtype)
            parallel.run(
                tetra.metric, len(cells), body.conn, cells, body.points, k.reshape(-1, 3, 3), every, W, metric
            )
            parallel.run(
                tetra.scalar_product, tetra.CHUNKS, conn, batches, p.interior, p.shared, p.shared_start,
                metric, metric[:, :0, 0], np.empty((14, 10), dtype), np.array([*W, 1.0, 0.0], dtype),
                bool(add), moved, buffer, y, np.array([0, 2]),
            )  # fmt: skip
            if dtype is np.float64:
                tetra.scalar_diagonal(
                    0, 16, conn, batches, p.interior, p.shared_start, metric, W, bool(add), shares, diagonal
                )
                out = np.full((16 * len(cells), 4, 4), np.nan)
                tetra.scalar_corner_blocks(0, len(cells), 0, metric, metric[:, :0, 0], W[:, None], 0.0, out)
                for cell, block in zip(cells.ravel(), out, strict=True):
                    if cell >= 0:
                        corners[np.ix_(body.conn[cell, :4], body.conn[cell, :4])] += block
        tetra.add_shared(0, p.n_shared, p.copies_start, p.copies, p.n_interior, 1, buffer, y)
        wanted = matrix @ x.astype(float)
        assert np.abs(y[p.number] - wanted).max() < tolerance * np.abs(wanted).max()
        if dtype is np.float64:
            tetra.add_shared(0, p.n_shared, p.copies_start, p.copies, p.n_interior, 1, shares, diagonal)
            assert_allclose(diagonal[p.number, 0], matrix.diagonal(), rtol=1e-12)
            coarse = interpolation(body.points, body.conn, 1)
            wanted = (coarse.T @ matrix @ coarse).toarray()
            assert_allclose(corners, wanted, atol=1e-12 * np.abs(wanted).max())


def test_initial_stress_stiffens_each_component_as_conductivity_would():
    body = Mixed.of("curved", (3, 2, 2))
    p, n = body.plan, len(body.points)
    rng = np.random.default_rng(7)
    stress = rng.standard_normal((len(body.conn), 4, 3, 3))
    stress += stress.transpose(0, 1, 3, 2)
    # From the definition: integral of (grad v) : (grad u) stress, at the points of the rule.
    xi, weight = ELEMENT.quadrature
    natural = ELEMENT.gradient(xi)
    x = body.points[body.conn]
    jacobian = np.einsum("cni,qnj->cqij", x, natural)
    grad = np.einsum("qnj,cqji->cqni", natural, np.linalg.inv(jacobian))
    u = rng.standard_normal((n, 3, 1))
    du = np.einsum("cni,cqnj->cqij", u[body.conn, :, 0], grad)
    flow = np.einsum("q,cq,cqij,cqjk,cqnk->cni", weight, np.linalg.det(jacobian), du, stress, grad)
    wanted = np.zeros((n, 3))
    np.add.at(wanted, body.conn, flow)

    metric = np.empty((len(p.general_cells), 4, 6, 16))
    every = np.arange(4 * len(body.conn)).reshape(-1, 4)
    tetra.metric(
        0, len(metric), body.conn, p.general_cells, body.points, stress.reshape(-1, 3, 3), every, W, metric
    )
    moved = np.ascontiguousarray(u[p.nodes].reshape(-1, 1))
    y, buffer = np.zeros_like(moved), np.zeros((3 * p.n_copies, 1))
    parallel.run(
        tetra.scalar_product, tetra.CHUNKS, p.general_conn, p.general_batches, p.interior, p.shared,
        p.shared_start, metric, metric[:, :0, 0], np.empty((14, 10)), np.array([*W, 1.0, 0.0]), False,
        moved.reshape(n, 3), buffer.reshape(-1, 3), y.reshape(n, 3), np.array([0, 3]),
    )  # fmt: skip
    tetra.add_shared(0, p.n_shared, p.copies_start, p.copies, p.n_interior, 3, buffer, y)
    assert_allclose(y.reshape(n, 3)[p.number], wanted, atol=1e-13 * np.abs(wanted).max())


def test_cells_with_a_mid_node_off_its_chord_are_found():
    body = Body.of((2, 2, 2))
    found = np.empty(len(body.conn), bool)
    tetra.curved(0, len(body.conn), body.conn, body.points, 1e-9, found)
    assert not found.any()
    node = body.conn[5, 7]
    body.points[node] += 1e-6
    tetra.curved(0, len(body.conn), body.conn, body.points, 1e-9, found)
    assert_array_equal(found, (body.conn == node).any(axis=1))


@settings(max_examples=100 if FULL else 15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**20),
    n=st.tuples(*[st.integers(1, 3)] * 3),
    kind=st.sampled_from(KINDS),
    stretch=st.tuples(*[st.floats(0.05, 20.0)] * 3),
)
def test_any_distorted_body_has_the_assembled_product(seed, n, kind, stretch):
    body = Mixed.of(kind, n, seed, bend=0.01)
    body.points *= stretch
    x = np.random.default_rng(seed).standard_normal((len(body.points), 3, 1))
    wanted = (body.matrix @ x.reshape(-1, 1)).reshape(x.shape)
    assert np.abs(body.product(x) - wanted).max() < 1e-12 * np.abs(wanted).max()


_PACKED = {"product": 200, "product_of_many": 200, "product_general": 90, "scalar_product": 150}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 instructions")
@pytest.mark.parametrize("name", _PACKED if FULL else ["product"])
def test_kernels_compile_to_fused_instructions_on_whole_vectors(name):
    f, i, flag = types.float32, types.int32, types.boolean

    def array(kind, n):
        return types.Array(kind, n, "C")

    place = [types.int64] * 2 + [array(i, 3)] + [array(i, 1)] * 4
    tables = {"product": [array(f, 3)], "product_general": [array(f, 4)] * 2 + [array(f, 1)]}
    tables["product_of_many"] = tables["product"]
    tables["scalar_product"] = [array(f, 4), array(f, 3), array(f, 2), array(f, 1)]
    vectors = [flag] + [array(f, 2)] * 3 + [array(types.int64, 1)]
    fresh = njit(nogil=True)(getattr(tetra, name).py_func)  # what comes from the cache shows no assembly
    fresh.compile(tuple(place + tables[name] + vectors))
    (text,) = fresh.inspect_asm().values()
    if "vfmadd" not in text:
        pytest.skip("this machine has no fused multiply-add")
    assert len(re.findall(r"vfn?m(?:add|sub)\d+ps", text)) > _PACKED[name]
