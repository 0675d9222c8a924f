"""Multigrid finds what factors find, in few iterations whatever the size, and says when it does not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers_solvers import box, elasticity, problem, rigid_modes
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from designtwin import parallel
from designtwin.errors import ConvergenceError, ModelError, SingularSystemError
from designtwin.solvers import Coarsening, DiagonalTerm, Direct, LinearSolver, MatrixTerm, MultigridCG, System
from designtwin.solvers.hierarchy import _aggregated, _diagonal, _inverted, to_scipy
from designtwin.solvers.system import BlockMatrix

SMALL = MultigridCG(dense_nodes=20)  # more than one level on small meshes

CASES = {
    "tet10": problem(n=(8, 4, 4)),
    "tet4": problem(n=(12, 6, 6), order=1),
    "tri6": problem(n=(24, 12), lengths=(2.0, 1.0)),
    "tri3": problem(n=(24, 12), lengths=(2.0, 1.0), order=1),
    "heat tet10": problem("heat", n=(8, 4, 4)),
    "heat tri3": problem("heat", n=(24, 12), lengths=(2.0, 1.0), order=1),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    return CASES[request.param]


@cache
def iterations(**options):
    return MultigridCG().factorize(problem(**options).system).solve(problem(**options).loads).iterations.max()


def test_multigrid_equals_direct(case):
    wanted = Direct().factorize(case.system).solve(case.loads).x
    solution = replace(SMALL, rtol=1e-10).factorize(case.system).solve(case.loads)
    assert_allclose(solution.x, wanted, rtol=0, atol=1e-7 * np.abs(wanted).max())
    assert solution.x.shape == case.loads.shape
    assert (solution.residual <= 1e-10).all()
    assert (solution.iterations <= 30).all()
    assert isinstance(SMALL, LinearSolver)


def test_residual_stated_is_the_true_one(case):
    solution = SMALL.factorize(case.system).solve(case.loads)
    error = case.loads - case.system.apply(solution.x)
    size = np.linalg.norm(case.loads, axis=0)
    assert_allclose(np.linalg.norm(error, axis=0) / size, solution.residual, rtol=1e-3)
    assert (solution.residual <= 1e-8).all()


@pytest.mark.parametrize(
    ("coarse", "fine", "limit"),
    [
        ({"n": (8, 4, 4)}, {"n": (20, 10, 10)}, 20),
        ({"n": (12, 6, 6), "order": 1}, {"n": (32, 16, 16), "order": 1}, 20),
        ({"n": (30, 15), "lengths": (2.0, 1.0)}, {"n": (100, 50), "lengths": (2.0, 1.0)}, 25),
        ({"physics": "heat", "n": (8, 4, 4)}, {"physics": "heat", "n": (20, 10, 10)}, 16),
    ],
    ids=["tet10", "tet4", "tri6", "heat"],
)
def test_iterations_do_not_grow_with_the_mesh(coarse, fine, limit):
    few, more = iterations(**coarse), iterations(**fine)
    assert 4 <= few <= limit
    assert 4 <= more <= limit
    assert more <= 1.5 * few


def test_iterations_over_poisson_ratio_and_contrast():
    assert iterations(n=(12, 6, 6), nu=0.45) <= 40
    assert iterations(n=(12, 6, 6), contrast=1e4) <= 30
    assert iterations(n=(12, 6, 6), contrast=1e-6) <= 25


def test_a_stiff_part_on_a_soft_one_switches_to_double_and_says_what_is_left():
    case = problem(n=(8, 4, 4), contrast=1e6)
    factors = SMALL.factorize(case.system)
    solution = factors.solve(case.loads)
    wanted = Direct().factorize(case.system).solve(case.loads).x
    assert_allclose(solution.x, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
    assert any("double precision" in note for note in solution.notes)
    assert any("rounding error" in note for note in solution.notes)
    again = factors.solve(case.loads)  # starts in double at once
    assert_allclose(again.x, solution.x, rtol=0, atol=1e-6 * np.abs(wanted).max())
    assert again.iterations.max() <= 45 < solution.iterations.max() <= 130


@pytest.mark.parametrize(("precision", "tolerance"), [("double", 1e-12), ("single", 1e-5)])
def test_preconditioner_is_symmetric_and_positive(case, precision, tolerance):
    hierarchy = replace(SMALL, precision=precision).factorize(case.system).hierarchy
    assert len(hierarchy.levels) >= 1
    x, y = np.random.default_rng(0).standard_normal((2, case.system.n_dof, 1)) * case.system.free[:, None]
    mx, my = hierarchy.apply(x), hierarchy.apply(y)
    assert abs(float((x * my).sum() - (y * mx).sum())) < tolerance * np.sqrt((x * mx).sum() * (y * my).sum())
    assert float((x * mx).sum()) > 0.0
    assert_array_equal(mx[~case.system.free], 0.0)


def test_preconditioned_spectrum_lies_near_one():
    case = problem(n=(3, 2, 2))
    hierarchy = replace(SMALL, precision="double").factorize(case.system).hierarchy
    index = case.system.free_index
    unit = np.zeros((case.system.n_dof, index.size))
    unit[index, np.arange(index.size)] = 1.0
    values = np.linalg.eigvals(hierarchy.apply(case.system.apply(unit))[index])
    assert_allclose(values.imag, 0.0, atol=1e-9)
    assert values.real.min() > 0.05
    assert values.real.max() < 1.001  # above 1 a smoother would amplify


def test_corner_interpolation_holds_rigid_motions():
    case = problem(n=(8, 4, 4))
    weights = case.system.coarse.prolongation
    p = sparse.kron(weights, sparse.eye_array(3))
    # modes of corners and of all points are centered and scaled alike on this box
    assert_allclose(p @ rigid_modes(case.corners), rigid_modes(case.points), atol=1e-13)


def test_aggregation_holds_rigid_motions_on_every_level():
    # springs at one corner of the box; away from them a rigid motion costs nothing, so smoothing leaves it be
    points, cells = box((16, 6, 6), (16.0, 6.0, 6.0))
    stiffness = elasticity(points, cells, youngs_modulus=1.0)
    near = np.abs(points).sum(axis=1) < 1.5
    matrix = (stiffness + sparse.diags_array(np.repeat(1.0 * near, 3))).tobsr(blocksize=(3, 3))
    modes = rigid_modes(points)
    blocks, reach = BlockMatrix.of(matrix, 3), np.repeat(~near, 3)
    for level in range(2):
        made = _aggregated(blocks, _inverted(_diagonal(blocks)), modes, 0.02)
        transfer, coarse, coarse_modes, _ = made
        prolongation = to_scipy(transfer.rows, transfer.indptr.size - 1)
        touched = sparse.bsr_array((np.abs(blocks.values), blocks.indices, blocks.indptr)) @ (~reach * 1.0)
        kept = (touched == 0.0) & reach  # rows of A that know nothing of the springs
        assert kept.sum() > [1500, 20][level]
        error = np.abs(prolongation @ coarse_modes - modes)
        assert error[kept].max() < 1e-11
        assert error[~kept].max() > 1e-4
        reach = np.asarray(abs(prolongation).T @ (~kept * 1.0)) == 0.0
        blocks, modes = coarse, coarse_modes


def test_corner_matrix_is_the_galerkin_product_and_may_be_given():
    case = problem(n=(8, 4, 4))
    corners, cells = box((8, 4, 4), (2.0, 1.0, 1.0))
    tet4 = elasticity(corners, cells)  # for straight cells the tet4 matrix is P^T A P
    stated = replace(case.system, coarse=replace(case.system.coarse, matrix=tet4))
    own = SMALL.factorize(case.system).hierarchy.levels[1].operator
    given = SMALL.factorize(stated).hierarchy.levels[1].operator
    n = 3 * len(corners)
    a, b = (sparse.bsr_array((m.values, m.indices, m.indptr), shape=(n, n)).toarray() for m in (own, given))
    assert_allclose(a, b, atol=1e-6 * np.abs(b).max())
    free = np.repeat(corners[:, 0] > 1e-9, 3)
    assert_array_equal(a[~free], 0.0)
    assert np.abs(a[free][:, free]).max() > 0.0


def test_two_runs_give_the_same_bits(case):
    first, second = (SMALL.factorize(case.system).solve(case.loads) for _ in range(2))
    assert_array_equal(first.x, second.x)
    assert_array_equal(first.residual, second.residual)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_does_not_change_a_bit(case, threads):
    reference = SMALL.factorize(case.system).solve(case.loads)
    with parallel.use_threads(threads):
        solution = SMALL.factorize(case.system).solve(case.loads)
        alone = SMALL.factorize(case.system).solve(case.loads[:, 0])
    assert_array_equal(solution.x, reference.x)
    assert_array_equal(alone.x, SMALL.factorize(case.system).solve(case.loads[:, 0]).x)


def test_many_load_cases_equal_one_by_one(case):
    rng = np.random.default_rng(1)
    loads = np.c_[case.loads, rng.standard_normal((case.system.n_dof, 16)), case.loads[:, 0] * 1e9]
    factors = SMALL.factorize(case.system)
    together = factors.solve(loads)
    assert together.x.shape == loads.shape
    for k in (0, 1, 5, 17, 18):
        alone = factors.solve(loads[:, k])
        assert alone.x.shape == (case.system.n_dof,)
        assert abs(alone.iterations[0] - together.iterations[k]) <= 1
        size = np.abs(alone.x).max()
        assert_allclose(alone.x, together.x[:, k], rtol=0, atol=1e-7 * size)  # each to its residual


def test_no_load_no_displacement():
    case = problem(n=(8, 4, 4))
    solution = SMALL.factorize(case.system).solve(case.loads * [0.0, 1.0])
    assert_array_equal(solution.x[:, 0], 0.0)
    assert solution.iterations[0] == 0
    assert solution.residual[0] == 0.0
    assert solution.iterations[1] > 0
    assert_array_equal(SMALL.factorize(case.system).solve(0.0 * case.loads).x, 0.0)


def test_ending_when_another_solver_would_be_looked_at_is_an_end(monkeypatch):
    case = problem(n=(8, 4, 4))
    factorization = SMALL.factorize(case.system)
    found = factorization.solve(case.loads[:, 0])
    monkeypatch.setattr("designtwin.solvers.multigrid._LOOK_EVERY", int(found.iterations.max()))
    again = factorization.solve(case.loads[:, 0], unless=lambda left: "")
    assert_array_equal(again.x, found.x)


@pytest.mark.parametrize("factor", [2.0**-100, 2.0**100])
def test_units_do_not_matter_to_single_precision(factor):
    case = problem(n=(8, 4, 4))
    system = replace(case.system, terms=(MatrixTerm(case.matrix * factor),))
    solution = SMALL.factorize(system).solve(case.loads * factor**0.5)
    wanted = SMALL.factorize(case.system).solve(case.loads)
    assert_array_equal(solution.x * factor**0.5, wanted.x)


def test_without_modes_constants_serve():
    case = problem("elasticity", n=(8, 4, 4))
    bare = replace(case.system, near_nullspace=None, coarse=Coarsening(case.system.coarse.prolongation, None))
    solution = SMALL.factorize(bare).solve(case.loads)
    wanted = Direct().factorize(case.system).solve(case.loads).x
    assert_allclose(solution.x, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    good = SMALL.factorize(case.system).solve(case.loads)
    assert solution.iterations.max() > good.iterations.max()  # rotations are what makes it fast


def test_sliding_supports_fix_single_components():
    case = problem(n=(8, 4, 4))
    free = np.ones((len(case.points), 3), bool)
    for axis in range(3):
        free[case.points[:, axis] < 1e-9, axis] = False  # three symmetry planes
    system = replace(case.system, free=free.ravel())
    solution = SMALL.factorize(system).solve(case.loads)
    wanted = Direct().factorize(system).solve(case.loads).x
    assert_allclose(solution.x, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
    assert solution.iterations.max() <= 25


def test_mid_nodes_may_be_fixed_between_free_corners():
    case = problem(n=(8, 4, 4))
    n_corners = len(case.corners)
    free = np.ones((len(case.points), 3), bool)
    free[n_corners::7] = False
    system = replace(case.system, free=free.ravel())
    factors = SMALL.factorize(system)
    image = factors.hierarchy.apply(np.where(system.free, 1.0, 0.0)[:, None])
    assert_array_equal(image[~system.free], 0.0)
    wanted = Direct().factorize(system).solve(case.loads).x
    assert_allclose(factors.solve(case.loads).x, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_two_separate_bodies_and_a_stiff_spring():
    case = problem(n=(8, 4, 4))
    n = case.system.n_dof
    matrix = sparse.block_diag([case.matrix, case.matrix * 1e-3], format="csr")
    spring = np.zeros(2 * n)
    spring[n - 3] = 1e4 * case.matrix.diagonal().max()
    weights = case.system.coarse.prolongation
    system = System(
        terms=(MatrixTerm(matrix), DiagonalTerm(spring)),
        block=3,
        free=np.tile(case.system.free, 2),
        near_nullspace=np.tile(case.system.near_nullspace, (2, 1)),
        coarse=Coarsening(
            sparse.block_diag([weights, weights], format="csr"),
            np.tile(case.system.coarse.near_nullspace, (2, 1)),
        ),
    )
    loads = np.tile(case.loads, (2, 1))
    solution = MultigridCG().factorize(system).solve(loads)
    wanted = Direct().factorize(system).solve(loads).x
    for half in (slice(0, n), slice(n, 2 * n)):
        assert_allclose(solution.x[half], wanted[half], rtol=0, atol=1e-5 * np.abs(wanted[half]).max())
    assert solution.iterations.max() <= 40


@pytest.mark.parametrize(("held", "motions"), [((), 6), ((0, 1, 2), 3)])
def test_free_motions_are_found_before_iterating(held, motions):
    case = problem(n=(8, 4, 4))
    free = np.ones(case.system.n_dof, bool)
    free[list(held)] = False
    with pytest.raises(SingularSystemError) as caught:
        SMALL.factorize(case.with_system(free=free))
    assert len(caught.value.dofs) == motions
    free[caught.value.dofs] = False
    SMALL.factorize(case.with_system(free=free)).solve(case.loads)


def test_a_hinge_is_found():
    case = problem(n=(18, 6, 6), lengths=(3.0, 1.0, 1.0))
    free = ~np.repeat((case.points[:, 0] < 1e-9) & (case.points[:, 2] < 1e-9), 3)
    with pytest.raises(SingularSystemError) as caught:
        MultigridCG().factorize(case.with_system(free=free))
    assert len(caught.value.dofs) == 1
    turn = case.points @ [[0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]  # about the y axis
    motion = caught.value.motions[:, 0]
    share = abs(motion @ turn.ravel()) / np.linalg.norm(motion) / np.linalg.norm(turn)
    assert share > 1 - 1e-9


def test_a_conductor_without_fixed_temperature_is_singular():
    case = problem("heat", n=(8, 4, 4))
    with pytest.raises(SingularSystemError) as caught:
        SMALL.factorize(case.with_system(free=np.ones(case.system.n_dof, bool)))
    assert len(caught.value.dofs) == 1


def test_not_converging_raises_with_figures_and_advice():
    case = problem(n=(8, 4, 4))
    with pytest.raises(
        ConvergenceError, match=r"residual .* after 3 iterations for right-hand side 0 .*Direct"
    ):
        MultigridCG(max_iterations=3).factorize(case.system).solve(case.loads)


def test_asking_for_more_than_float64_has_ends():
    case = problem(n=(8, 4, 4))
    solution = replace(SMALL, rtol=1e-15).factorize(case.system).solve(case.loads)
    assert (solution.residual < 1e-11).all()
    assert any("no solver in float64 gets below it" in note for note in solution.notes)


def test_sorting_a_matrix_afterwards_does_not_change_the_answer():
    case = problem(n=(8, 4, 4))
    a = case.matrix
    order = np.concatenate([np.arange(*ends)[::-1] for ends in zip(a.indptr[:-1], a.indptr[1:])])
    jumbled = sparse.bsr_array((a.data[order], a.indices[order], a.indptr.copy()), shape=a.shape)
    factors = SMALL.factorize(replace(case.system, terms=(MatrixTerm(jumbled),)))
    before = factors.solve(case.loads).x
    assert_array_equal(jumbled.indices, a.indices[order])  # what assembly holds is left alone
    abs(jumbled)  # scipy sorts in place here
    assert_array_equal(factors.solve(case.loads).x, before)
    assert_array_equal(SMALL.factorize(case.system).solve(case.loads).x, before)


def test_an_indefinite_matrix_is_called_so():
    case = problem(n=(8, 4, 4))
    n = case.system.n_dof
    sunk = DiagonalTerm(np.full(n, -0.02 * np.median(case.matrix.diagonal())))
    system = replace(case.system, terms=(*case.system.terms, sunk))
    with pytest.raises(ConvergenceError, match="not positive definite"):
        SMALL.factorize(system).solve(case.loads)
    with pytest.raises(ConvergenceError, match="nodes have negative stiffness"):
        SMALL.factorize(replace(case.system, terms=(MatrixTerm(case.matrix * -1.0),)))


def test_bad_loads_and_bad_settings_are_refused():
    case = problem(n=(8, 4, 4))
    f = case.loads.copy()
    f[-1, 1] = np.nan
    with pytest.raises(ModelError, match="NaN or infinite at 1 unknowns"):
        SMALL.factorize(case.system).solve(f)
    for wrong in ({"rtol": 0.0}, {"rtol": 2.0}, {"degree": 7}, {"max_iterations": 0}, {"precision": "half"}):
        with pytest.raises(ModelError, match="is wanted"):
            MultigridCG(**wrong)
    with pytest.raises(ModelError, match=r"use Direct\(\)"):
        MultigridCG().factorize(replace(case.system, extra=3, near_nullspace=None, coarse=None))
