"""Groups of nodes make flat cells as harmless as cubes: measured in iterations of conjugate gradients."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from helpers_solvers import box, elasticity, quadratic, rigid_modes
from numpy.lib.stride_tricks import as_strided
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.sparse.linalg import splu

from designtwin import parallel
from designtwin.errors import ConvergenceError
from designtwin.kernels.smoothing import smoothing_step
from designtwin.solvers.hierarchy import STEPS, to_scipy
from designtwin.solvers.smoothing import GroupInverse, Groups, bending_modes, coarser, points_of
from designtwin.solvers.system import BlockMatrix


@cache
def plate(n=(10, 10, 2), aspect=10.0, order=2, contrast=1.0):
    """Matrix with fixed rows zero, rigid modes, points, load of a plate of flat cells held at x = 0."""
    points, cells = box(n, (float(n[0]), float(n[1]), n[2] / aspect))
    if order == 2:
        points, cells, _ = quadratic(points, cells)
    middle = points[cells[:, :4]].mean(axis=1)
    odd = (middle // np.array([1.0, 1.0, 1.0 / aspect])).sum(axis=1).astype(int) % 2 == 1
    matrix = elasticity(points, cells, youngs_modulus=np.where(odd, contrast, 1.0))
    free = np.repeat(points[:, 0] > 1e-9, 3)
    keep = sparse.diags_array(free.astype(float))
    held = BlockMatrix.of((keep @ matrix @ keep).tobsr(blocksize=(3, 3)), 3)
    load = np.zeros((len(points), 3))
    load[points[:, 0] > n[0] - 1e-9, 2] = 1.0
    return held, np.where(free[:, None], rigid_modes(points), 0.0), points, np.where(free, load.ravel(), 0.0)


class TwoLevels:
    """Smoother of degree 2, exact coarse solve: what a hierarchy does at its best."""

    def __init__(self, matrix, inverse, radius, rows, n_coarse):
        self.matrix, self.inverse, self.radius = matrix, inverse, radius
        self.a = to_scipy(matrix, matrix.n_rows).tocsr()
        self.p = to_scipy(rows, n_coarse).tocsr()
        coarse = (self.p.T @ self.a @ self.p).tocsc()
        diagonal = coarse.diagonal()
        self.coarse = splu(coarse + sparse.diags_array(np.where(diagonal > 0.0, 1e-14 * diagonal, 1.0)))

    def smooth(self, f, x):
        vectors = [np.zeros((f.size, 1)) for _ in range(3)]
        r, d, image = vectors
        out = x.reshape(-1, 1).copy()
        image[:, 0] = self.a @ x
        for i, step in enumerate(STEPS[2]):
            if i:
                image[:] = self.a @ d
            gain = (8 * i + 4) / (2 * i + 3) / self.radius
            keep = (2 * i - 1) / (2 * i + 3) if i else 0.0
            self.inverse.step(r if i else f.reshape(-1, 1), image, True, keep, gain, step, False, r, d, out)
        return out[:, 0]

    def __call__(self, f):
        x = self.smooth(f, np.zeros_like(f))
        x += self.p @ self.coarse.solve(self.p.T @ (f - self.a @ x))
        return self.smooth(f, x)


def iterations(cycle, f, most=300):
    x, r, p, rz = np.zeros_like(f), f.copy(), np.zeros_like(f), np.inf
    for count in range(1, most):
        z = cycle(r)
        new = r @ z
        assert new > 0.0, "not positive definite"
        p = z + (new / rz) * p
        rz = new
        q = cycle.a @ p
        x += rz / (p @ q) * p
        r -= rz / (p @ q) * q
        if np.linalg.norm(r) <= 1e-8 * np.linalg.norm(f):
            return count
    return most


def cycle_on(matrix, modes, points, **options):
    groups = Groups.of(matrix, points, **options)
    made = coarser(matrix, modes, points, groups)
    return TwoLevels(matrix, made.inverse, made.radius, made.rows, groups.n_alive)


CASES = {
    "aspect 4": ({"aspect": 4.0}, 15),
    "aspect 10": ({"aspect": 10.0}, 20),
    "aspect 10, one layer": ({"n": (12, 12, 1), "aspect": 10.0}, 25),
    "aspect 50": ({"aspect": 50.0}, 50),
    "tet4, aspect 10": ({"n": (16, 16, 2), "order": 1}, 40),
    "aspect 10, checkerboard 1:1e4": ({"contrast": 1e4}, 50),
    "aspect 10, checkerboard 1:1e6": ({"contrast": 1e6}, 60),
}


@pytest.mark.parametrize("name", CASES)
def test_flat_cells_take_few_iterations(name):
    options, bound = CASES[name]
    *system, load = plate(**options)
    count = iterations(cycle_on(*system), load)
    assert count <= bound


@pytest.mark.parametrize("spring", [1e-3, 1e-9])
def test_soft_ground_under_a_plate_does_no_harm(spring):
    points, cells = box((8, 8, 2), (8.0, 8.0, 0.2))
    points, cells, _ = quadratic(points, cells)
    ground = np.where(points[:, 2] < 1e-9, spring, 0.0)
    matrix = elasticity(points, cells, youngs_modulus=1.0) + sparse.diags_array(np.repeat(ground, 3))
    load = np.zeros((len(points), 3))
    load[points[:, 0] > 8.0 - 1e-9, 2] = 1.0
    cycle = cycle_on(BlockMatrix.of(matrix, 3), rigid_modes(points), points)
    assert iterations(cycle, load.ravel()) <= 30


def test_the_cycle_is_symmetric():
    *system, _ = plate(n=(6, 6, 2))
    cycle = cycle_on(*system)
    free = system[1][:, 0] + system[1][:, 1] + system[1][:, 2] != 0.0
    a, b = np.random.default_rng(0).standard_normal((2, free.size)) * free
    assert_allclose(a @ cycle(b), b @ cycle(a), rtol=1e-10)


def test_every_node_is_in_one_group():
    matrix, _, points, _ = plate()
    groups = Groups.of(matrix, points, most=20)
    assert_array_equal(np.sort(groups.members), np.arange(matrix.n_rows))
    sizes = np.diff(groups.first)
    assert sizes[: groups.n_alive].max() <= 30  # joining may add half
    assert (sizes[groups.n_alive :] == 1).all()
    owner = np.repeat(np.arange(sizes.size), sizes)
    alive = groups.owner[groups.members] >= 0
    assert_array_equal(groups.owner[groups.members][alive], owner[alive])
    held = points[:, 0] < 1e-9
    assert_array_equal(groups.owner < 0, held)


def test_groups_go_through_the_thickness():
    matrix, _, points, _ = plate()
    groups = Groups.of(matrix, points)
    inside = [groups.members[a:b] for a, b in zip(groups.first[:-1], groups.first[1:])][: groups.n_alive]
    heights = [np.ptp(points[nodes, 2]) for nodes in inside]
    assert min(heights) == pytest.approx(0.2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_rhs", [1, 3])
def test_a_step_is_the_one_of_its_formula(dtype, n_rhs):
    matrix, _, points, _ = plate(n=(4, 3, 2))
    groups = Groups.of(matrix, points)
    inverse = GroupInverse.of(matrix, groups).cast(dtype)
    whole = to_scipy(matrix, matrix.n_rows).toarray()
    solved = np.zeros_like(whole)
    for g in range(groups.n_alive):
        nodes = groups.members[groups.first[g] : groups.first[g + 1]]
        rows = (3 * nodes[:, None] + np.arange(3)).ravel()
        solved[np.ix_(rows, rows)] = np.linalg.inv(whole[np.ix_(rows, rows)])
    source, image, d, x = np.random.default_rng(3).standard_normal((4, inverse.n, n_rhs)).astype(dtype)
    r, d0, x0 = np.empty_like(x), d.copy(), x.copy()
    inverse.step(source, image, True, 0.3, 0.7, 1.2, False, r, d, x)
    wanted = 0.3 * d0 + 0.7 * (solved @ (source.astype(float) - image))
    tolerance = {"rtol": 0, "atol": (1e-11 if dtype == np.float64 else 2e-4) * np.abs(wanted).max()}
    assert_allclose(r, source - image)
    assert_allclose(d, wanted, **tolerance)
    assert_allclose(x, x0 + 1.2 * wanted, **tolerance)
    inverse.step(source, image, False, 0.0, 0.7, 1.2, True, r, d, x)
    assert_allclose(d, 0.7 * (solved @ source.astype(float)), **tolerance)
    assert_allclose(x, 1.2 * d, rtol=1e-6)


def test_threads_do_not_change_a_digit():
    *system, load = plate()
    answers = []
    for threads in (1, 2, 3):
        with parallel.use_threads(threads):
            groups = Groups.of(system[0], system[2])
            made = coarser(*system, groups)
            x = np.empty((load.size, 1))
            made.inverse.step(load[:, None], x, False, 0.0, 1.0, 1.0, True, x.copy(), x.copy(), x)
            answers.append((made.rows.values, made.modes, made.inverse.packed, x, made.radius))
    for other in answers[1:]:
        for one, two in zip(answers[0], other):
            assert_array_equal(one, two)


def test_where_arrays_lie_in_memory_does_not_change_a_digit():
    # compiled loops guess from addresses and sizes whether arrays overlap; an array that claims to be longer
    # than what is read of it moves that guess over all of the kernel's own arrays
    nodes, n = 24, 72
    random = np.random.default_rng(0)
    source, packed = random.standard_normal((n, 1)), random.standard_normal(n * (n + 1) // 2)
    copies = [packed.copy() for _ in range(500)]
    packed = min(copies, key=lambda copy: copy.ctypes.data)  # the kernel's arrays lie above it
    first, members = np.array([0, nodes], np.int32), np.arange(nodes, dtype=np.int32)
    answers = set()
    for more in range(0, 50_000_000, 1024):
        claimed = as_strided(packed, (packed.size + more,), packed.strides)
        r, d, x = np.zeros((3, n, 1))
        smoothing_step(
            0, 1, first, members, np.zeros(1, np.int64), claimed, 3, source, source, False, 0.0, 1.0, 1.0,
            True, r, d, x,
        )  # fmt: skip
        answers.add(x.tobytes())
    assert len(answers) == 1


@pytest.mark.parametrize("contrast", [1.0, 1e6])
def test_the_bound_of_the_spectrum_holds_and_is_close(contrast):
    matrix, _, points, _ = plate(n=(6, 6, 2), contrast=contrast)
    inverse = GroupInverse.of(matrix, Groups.of(matrix, points))
    vector = np.random.default_rng(1).standard_normal((inverse.n, 1))
    out, r, d = np.zeros((3, inverse.n, 1))

    def divided(x):
        inverse.step(x, x, False, 0.0, 1.0, 1.0, True, r, d, out)
        return out.copy()

    a = to_scipy(matrix, matrix.n_rows)
    vector = divided(vector)
    for _ in range(300):
        image = divided(a @ vector)
        true = (vector * (a @ image)).sum() / (vector * (a @ vector)).sum()
        vector = image / np.abs(image).max()
    assert true < inverse.radius(matrix) < 1.1 * true


def test_rigid_motions_are_in_the_coarse_space():
    points, cells = box((4, 4, 2), (4.0, 4.0, 0.2))
    points, cells, _ = quadratic(points, cells)
    matrix = BlockMatrix.of(
        elasticity(points, cells, youngs_modulus=1.0), 3
    )  # free: smoothing leaves them be
    modes = rigid_modes(points)
    groups = Groups.of(matrix, points)
    made = coarser(matrix, modes, points, groups)
    assert_allclose(to_scipy(made.rows, groups.n_alive) @ made.modes, modes, atol=1e-9)


def test_bending_fields_have_no_shear():
    points, cells = box((3, 3, 1), (3.0, 3.0, 0.1))
    points, cells, _ = quadratic(points, cells)
    matrix = BlockMatrix.of(elasticity(points, cells, youngs_modulus=1.0, nu=0.0), 3)
    n = len(points)
    everything = np.array([0, n], np.int32), np.arange(n, dtype=np.int32)
    fields = bending_modes(points, Groups(np.zeros(n, np.int32), 1, *everything)).reshape(-1, 3)
    spread = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    energy = 0.5 * np.einsum("ik,ik->k", fields, to_scipy(matrix, matrix.n_rows) @ fields)
    # E t^3 / 12 per area and curvature^2 / 2; twist bends about two axes and is divided by two of G = E / 2
    bending = 0.5 * 9.0 * 0.1**3 / 12.0 / spread**4
    assert_allclose(energy, [bending, bending, 2 * bending], rtol=1e-9)


def test_points_come_from_rigid_motions():
    from designtwin.assembly import rigid_modes as assembled

    points = np.random.default_rng(0).standard_normal((9, 3))
    found = points_of(assembled(points, 3))
    x = points - points.mean(axis=0)
    assert_allclose(found * np.abs(x).max(), x, atol=1e-12)


def test_negative_stiffness_is_refused():
    matrix, modes, points, _ = plate(n=(4, 3, 2))
    groups = Groups.of(matrix, points)
    with pytest.raises(ConvergenceError, match="not positive definite"):
        coarser(matrix._replace(values=-matrix.values), modes, points, groups)
