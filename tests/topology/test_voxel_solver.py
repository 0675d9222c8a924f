"""Grids of bricks without a matrix: products, energies, levels, and conjugate gradients on top of them."""

from itertools import product as every

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.sparse.linalg import spsolve
from surroundings import FULL

from designtwin import parallel
from designtwin.errors import ConvergenceError, ModelError, SingularSystemError
from designtwin.kernels import voxels as kernels
from designtwin.solvers.voxels import VoxelCG, VoxelSystem, cell_matrix


def isotropic(dimension, nu=0.3):
    if dimension == 2:  # plane stress
        return np.array([[1.0, nu, 0.0], [nu, 1.0, 0.0], [0.0, 0.0, (1.0 - nu) / 2.0]]) / (1.0 - nu**2)
    tensor = np.diag([0.5 / (1.0 + nu)] * 6)
    tensor[:3, :3] = nu / (1.0 + nu) / (1.0 - 2.0 * nu) + np.eye(3) / (1.0 + nu)
    return tensor


def orthotropic(dimension, rng):
    tensor = isotropic(dimension)
    part = rng.uniform(0.0, 0.2, (dimension, dimension))
    tensor[:dimension, :dimension] += part + part.T
    size = len(tensor)
    tensor[range(dimension, size), range(dimension, size)] *= rng.uniform(0.5, 1.5, size - dimension)
    return tensor


FLAVORS = {
    "solid": ((19, 5, 4), lambda rng: orthotropic(3, rng)),
    "plane": ((35, 6), lambda rng: orthotropic(2, rng)),
    "heat in space": ((7, 5, 6), lambda rng: rng.uniform(0.5, 2.0, 3)),
    "heat in the plane": ((17, 8), lambda rng: rng.uniform(0.5, 2.0, 2)),
}
flavors = pytest.mark.parametrize("flavor", FLAVORS)


def system_of(counts, tensor, rng=None, face=0):
    """One face of the grid held, and with `rng` some unknowns here and there."""
    dimension = len(counts)
    components = 1 if tensor.ndim == 1 else dimension
    held = np.zeros((*(n + 1 for n in counts[::-1]), components), bool)
    held[(..., face, slice(None))] = True
    if rng is not None:
        held |= rng.random(held.shape) < 0.02
    return VoxelSystem(
        counts=counts, spacing=(1.0, 1.3, 0.8)[:dimension], tensor=tensor, held=held.reshape(-1, components)
    )


def assembled(system, modulus):
    """The matrix of a grid, cell by cell."""
    grid = system.grid
    d, n = grid.dimension, grid.components
    numbers = np.arange(grid.n_nodes * n).reshape(*(m + 1 for m in grid.counts[::-1]), n)
    numbers = numbers.transpose(*range(d)[::-1], d)
    at = np.stack(
        [
            numbers[tuple(slice(c, c + m) for c, m in zip(corner, grid.counts))]
            for corner in every((0, 1), repeat=d)
        ],
        axis=-2,
    ).reshape(-1, 2**d * n)
    cells = modulus.reshape(grid.counts[::-1]).transpose(*range(d)[::-1]).ravel()
    values = cells[:, None, None] * grid.matrix
    rows, columns = np.repeat(at, at.shape[1]), np.tile(at, (1, at.shape[1])).ravel()
    return sparse.coo_array((values.ravel(), (rows, columns)), shape=(numbers.size,) * 2).tocsr()


def solved(system, modulus, f):
    free = np.flatnonzero(~system.held.ravel())
    u = np.zeros(system.held.size)
    u[free] = spsolve(assembled(system, modulus)[free][:, free].tocsc(), f.ravel()[free])
    return u.reshape(f.shape)


def applied(system, modulus, u, dtype=np.float64):
    """The kernel's product, in a precision, on all unknowns."""
    grid = system.grid
    cells = grid.empty_cells(dtype)
    grid.cells(cells)[:] = modulus.reshape(grid.cells(cells).shape)
    x, y = grid.pack(u, dtype), np.zeros(grid.shape.size, dtype)
    ones, planes = np.ones(grid.shape.size, np.float32), grid.shape.layers + 1
    arguments = (
        grid.shape,
        grid.blocks.astype(dtype),
        cells,
        np.zeros(0, dtype),
        ones,
        x,
        y,
        np.zeros(planes),
    )
    parallel.run(kernels.product, planes, *arguments, grain=1)
    return grid.unpack(y)


@flavors
def test_product_is_that_of_the_assembled_matrix(flavor):
    rng = np.random.default_rng(1)
    counts, tensor = FLAVORS[flavor]
    system = system_of(counts, tensor(rng))
    modulus = rng.random(system.n_cells)
    u = rng.standard_normal(system.held.shape)
    exact = (assembled(system, modulus) @ u.ravel()).reshape(u.shape)
    assert_allclose(applied(system, modulus, u), exact, atol=1e-13 * np.abs(exact).max())
    assert_allclose(applied(system, modulus, u, np.float32), exact, atol=2e-6 * np.abs(exact).max())


@flavors
def test_energies_of_cells_are_those_of_their_matrices(flavor):
    rng = np.random.default_rng(2)
    counts, tensor = FLAVORS[flavor]
    system = system_of(counts, tensor(rng))
    u, v = rng.standard_normal((2, *system.held.shape))
    energies = system.energies(u, v)
    for cell in (0, system.n_cells // 2, system.n_cells - 1):
        alone = np.zeros(system.n_cells)
        alone[cell] = 1.0
        exact = u.ravel() @ assembled(system, alone) @ v.ravel()
        assert energies[cell] == pytest.approx(exact, rel=1e-11, abs=1e-12)
    modulus = rng.random(system.n_cells)
    assert modulus @ system.energies(u) == pytest.approx(u.ravel() @ assembled(system, modulus) @ u.ravel())


def test_a_rigid_motion_costs_no_energy():
    counts = (6, 5, 4)
    system = system_of(counts, isotropic(3))
    at = np.stack(np.meshgrid(*(np.arange(n + 1.0) for n in counts[::-1]), indexing="ij")[::-1], axis=-1)
    points = at.reshape(-1, 3) * np.array(system.spacing)
    motion = np.array([0.3, -0.2, 0.5]) + np.cross([0.1, 0.7, -0.4], points)
    assert np.abs(system.energies(motion)).max() < 1e-13 * (motion**2).max()


@flavors
def test_solution_is_that_of_a_direct_solver(flavor):
    rng = np.random.default_rng(3)
    counts, tensor = FLAVORS[flavor]
    system = system_of(counts, tensor(rng), rng)
    modulus = 1e-3 + rng.random(system.n_cells) ** 2
    f = rng.standard_normal((*system.held.shape, 2))
    found = VoxelCG(rtol=1e-10).factorize(system, modulus).solve(f)
    assert (found.residual <= 1e-10).all()
    for k in range(2):
        exact = solved(system, modulus, f[:, :, k])
        assert_allclose(found.x[:, :, k], exact, atol=1e-7 * np.abs(exact).max())
    assert (found.x[system.held] == 0.0).all()


@settings(deadline=None, max_examples=30 if FULL else 6)
@given(
    counts=st.tuples(*(st.integers(1, 24),) * 3),
    seed=st.integers(0, 99),
    unit=st.sampled_from([1.0, 2e11, 1e-20]),
)
def test_any_counts_and_units_are_solved(counts, seed, unit):
    """Odd counts, single layers, and pascals: levels go on where the next has half a cell."""
    rng = np.random.default_rng(seed)
    system = system_of(counts, isotropic(3))
    modulus = unit * (0.01 + rng.random(system.n_cells))
    f = unit * rng.standard_normal(system.held.shape)
    found = VoxelCG(rtol=1e-8).factorize(system, modulus).solve(f)
    u, free = found.x, ~system.held
    residual = (assembled(system, modulus) @ u.ravel()).reshape(u.shape) - f
    assert np.linalg.norm(residual[free]) <= 2e-8 * np.linalg.norm(f[free])
    assert found.iterations[0] < 80


def test_a_lattice_between_voids_converges_and_a_near_start_saves_iterations():
    """Members three voxels thick, 1e-9 elsewhere."""
    nx, ny, nz = 48, 16, 12
    z, y, x = np.meshgrid(np.arange(nz), np.arange(ny), np.arange(nx), indexing="ij")
    solid = (y < 3) | (y >= ny - 3) | (np.abs(x % (2 * ny) - y) < 3) | (x >= nx - 3)
    solid &= (z < 3) | (z >= nz - 3) | (x % ny < 3) | (x >= nx - 3)
    held = np.zeros((nz + 1, ny + 1, nx + 1, 3), bool)
    held[:, :, 0] = True
    system = VoxelSystem(
        counts=(nx, ny, nz), spacing=(1.0,) * 3, tensor=isotropic(3), held=held.reshape(-1, 3)
    )
    f = np.zeros(held.shape)
    f[:, -1, -1, 1] = -1.0
    f = f.reshape(-1, 3)
    made = VoxelCG(rtol=1e-6).factorize(system, np.where(solid, 1.0, 1e-9).ravel())
    found = made.solve(f)
    assert found.iterations[0] < 250
    assert made.solve(f, found.x).iterations[0] == 0
    assert 0 < made.solve(f, 1.0001 * found.x).iterations[0] < found.iterations[0]


def test_iterations_do_not_grow_with_the_grid():
    counted = []
    for n in (8, 16, 32):
        system = system_of((2 * n, n, n), isotropic(3))
        f = np.zeros((n + 1, n + 1, 2 * n + 1, 3))
        f[:, -1, -1, 1] = -1.0
        found = VoxelCG(rtol=1e-8).factorize(system, np.ones(system.n_cells)).solve(f.reshape(-1, 3))
        counted.append(int(found.iterations[0]))
    assert max(counted) <= min(counted) + 4
    assert max(counted) < 25


@pytest.mark.parametrize("spacing", [(1.0, 0.1, 1.0), (1.0, 1.0, 0.02), (0.05, 1.0, 0.05)])
def test_flat_and_needle_voxels_take_no_more_iterations(spacing):
    held = np.zeros((11, 17, 25, 3), bool)
    held[:, :, 0] = True
    system = VoxelSystem(counts=(24, 16, 10), spacing=spacing, tensor=isotropic(3), held=held.reshape(-1, 3))
    f = np.zeros(held.shape)
    f[:, -1, -1, 1] = -1.0
    found = VoxelCG(rtol=1e-6).factorize(system, np.ones(system.n_cells)).solve(f.reshape(-1, 3))
    assert found.iterations[0] < 25


def test_digits_do_not_depend_on_threads():
    rng = np.random.default_rng(5)
    system = system_of((33, 20, 18), isotropic(3))
    modulus, f = 0.01 + rng.random(system.n_cells), rng.standard_normal(system.held.shape)
    found = []
    for n in (1, 2, 5):
        with parallel.use_threads(n):
            found.append(VoxelCG(rtol=1e-6).factorize(system, modulus).solve(f).x)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_nodes_in_nothing_stay_and_may_not_be_loaded():
    system = system_of((12, 6, 4), isotropic(3))
    modulus = np.ones((4, 6, 12))
    modulus[:, :, 8:] = 0.0
    f = np.zeros((5, 7, 13, 3))
    f[:, -1, 8, 1] = -1.0
    made = VoxelCG().factorize(system, modulus.ravel())
    u = made.solve(f.reshape(-1, 3)).x.reshape(f.shape)
    assert (u[:, :, 9:] == 0.0).all()
    assert (u[:, -1, 8, 1] < 0.0).all()
    f[0, 0, 12, 0] = 1.0
    with pytest.raises(SingularSystemError, match="1 unknowns of nodes around which every voxel"):
        made.solve(f.reshape(-1, 3))


@pytest.mark.parametrize("components", [(0, 1), (0,), (1, 2)])
def test_free_motions_are_refused(components):
    held = np.zeros((4, 4, 4, 3), bool)
    held[:, :, 0, list(components)] = True
    with pytest.raises(SingularSystemError, match="rigid motion"):
        VoxelSystem(counts=(3, 3, 3), spacing=(1.0,) * 3, tensor=isotropic(3), held=held.reshape(-1, 3))


def test_what_is_no_grid_is_refused():
    good = {"counts": (3, 3), "spacing": (1.0, 1.0), "tensor": isotropic(2), "held": np.ones((16, 2), bool)}
    VoxelSystem(**good)
    askew = isotropic(2)
    askew[0, 2] = askew[2, 0] = 0.1
    for wrong, words in (
        ({"counts": (3, 0)}, "positive numbers"),
        ({"spacing": (1.0, -1.0)}, "positive lengths"),
        ({"tensor": isotropic(3)}, "has shape"),
        ({"tensor": askew}, "orthotropic along the axes"),
        ({"tensor": -isotropic(2)}, "not positive definite"),
        ({"held": np.ones((15, 2), bool)}, "held has shape"),
        ({"matrix": np.eye(7)}, "matrix of a cell"),
    ):
        with pytest.raises(ModelError, match=words):
            VoxelSystem(**{**good, **wrong})
    system, solver = VoxelSystem(**good), VoxelCG()
    for modulus, words in (
        (np.ones(8), "have shape"),
        (np.full(9, np.nan), "negative or not finite"),
        (-np.ones(9), "negative or not finite"),
        (np.zeros(9), "modulus of 0"),
    ):
        with pytest.raises(ModelError, match=words):
            solver.factorize(system, modulus)
    made = solver.factorize(system, np.ones(9))
    for f, words in ((np.ones((15, 2)), "loads have shape"), (np.full((16, 2), np.inf), "NaN or infinite")):
        with pytest.raises(ModelError, match=words):
            made.solve(f)
    with pytest.raises(ModelError, match="start has shape"):
        made.solve(np.ones((16, 2)), np.ones((15, 2)))
    assert (made.solve(np.zeros((16, 2))).x == 0.0).all()


def test_running_out_of_iterations_raises():
    system = system_of((24, 8, 8), isotropic(3))
    f = np.random.default_rng(0).standard_normal(system.held.shape)
    with pytest.raises(
        ConvergenceError, match=r"stopped at residual .* after \d+ iterations \(asked 1e-12\)"
    ):
        VoxelCG(rtol=1e-12, max_iterations=3).factorize(system, np.ones(system.n_cells)).solve(f)


def test_any_formulation_with_mirrors_may_be_the_cell():
    """Reduced integration of shear, as a matrix: products and answers are those of the assembled matrix."""
    tensor = isotropic(2)
    shear = np.zeros((3, 3))
    shear[2, 2] = tensor[2, 2]
    edges = (1.0, 1.3)
    soft = cell_matrix(tensor, edges) - 0.3 * cell_matrix(shear, edges)
    held = np.zeros((20, 41, 2), bool)
    held[:, 0] = True
    system = VoxelSystem(counts=(40, 19), spacing=edges, tensor=tensor, held=held.reshape(-1, 2), matrix=soft)
    rng = np.random.default_rng(7)
    modulus, f = 0.1 + rng.random(system.n_cells), rng.standard_normal(system.held.shape)
    found = VoxelCG(rtol=1e-10).factorize(system, modulus).solve(f)
    exact = solved(system, modulus, f)
    assert_allclose(found.x, exact, atol=1e-8 * np.abs(exact).max())


def test_restriction_is_the_transpose_of_interpolation():
    rng = np.random.default_rng(8)
    fine = system_of((13, 6, 7), isotropic(3)).grid
    coarse = fine.coarse((2, 2, 2))
    steps, ones = np.full(3, 2), np.ones(fine.shape.size, np.float32)
    r, x = (
        fine.pack(rng.standard_normal((fine.n_nodes, 3))),
        coarse.pack(rng.standard_normal((coarse.n_nodes, 3))),
    )
    # what lies outside the fine grid has no fine node
    up, down = np.zeros(fine.shape.size), np.zeros(coarse.shape.size)
    kernels.prolong(0, 8, fine.shape, coarse.shape, steps, ones, x, up)
    kernels.restrict(0, 5, fine.shape, coarse.shape, steps, r, down)
    assert fine.pack(fine.unpack(up)) @ r == pytest.approx(coarse.pack(coarse.unpack(down)) @ x, rel=1e-12)
    line = coarse.pack(np.tile(np.arange(8.0), 20).reshape(-1, 1).repeat(3, 1))
    up[:] = 0.0
    kernels.prolong(0, 8, fine.shape, coarse.shape, steps, ones, line, up)
    assert_allclose(fine.unpack(up)[:14, 0], 0.5 * np.arange(14), atol=1e-14)
