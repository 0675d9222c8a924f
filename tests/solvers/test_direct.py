"""The direct solver is exact, says what is singular, and answers small systems by LAPACK alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers_solvers import box, elasticity, problem, quadratic, rigid_modes
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from designtwin.errors import ModelError, ResourceError, SingularSystemError
from designtwin.solvers import DiagonalTerm, Direct, LinearSolver, MatrixTerm, System


def dense_solution(system, f):
    index = system.free_index
    x = np.zeros_like(f)
    x[index] = np.linalg.solve(system.matrix().toarray()[np.ix_(index, index)], f[index])
    return x


@pytest.mark.parametrize(
    "case",
    [
        problem(n=(3, 2, 2)),
        problem(n=(3, 2, 2), order=1),
        problem(n=(6, 3), lengths=(2.0, 1.0)),
        problem("heat", n=(3, 2, 2)),
    ],
    ids=["tet10", "tet4", "tri6", "heat"],
)
def test_direct_equals_dense(case):
    solution = Direct().factorize(case.system).solve(case.loads)
    wanted = dense_solution(case.system, case.loads)
    assert_allclose(solution.x, wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())
    assert (solution.residual < 1e-11).all()
    assert (solution.residual > 0).all()
    assert set(solution.seconds) == {"set-up", "solve"}


def test_one_load_case_has_the_shape_it_came_in():
    case = problem(n=(3, 2, 2))
    factors = Direct().factorize(case.system)
    both, one = factors.solve(case.loads), factors.solve(case.loads[:, 1])
    assert one.x.shape == (case.system.n_dof,)
    assert_allclose(one.x, both.x[:, 1], rtol=1e-10)
    assert isinstance(Direct(), LinearSolver)


def test_fixed_unknowns_are_zero_and_their_loads_ignored():
    case = problem(n=(3, 2, 2))
    f = case.loads.copy()
    f[~case.system.free] = 7.0
    factors = Direct().factorize(case.system)
    solution = factors.solve(f)
    assert_array_equal(solution.x[~case.system.free], 0.0)
    assert_array_equal(solution.x, factors.solve(case.loads).x)


def test_no_load_no_displacement():
    case = problem(n=(3, 2, 2))
    f = case.loads * [0.0, 1.0]
    solution = Direct().factorize(case.system).solve(f)
    assert_array_equal(solution.x[:, 0], 0.0)
    assert solution.residual[0] == 0.0
    assert np.abs(solution.x[:, 1]).max() > 0.0


@pytest.mark.parametrize(
    ("held", "motions"),
    [
        ((), 6),
        ((0, 1, 2), 3),  # one pinned point
        ((0,), 5),  # one point on rollers
    ],
)
def test_free_motions_are_found_and_counted(held, motions):
    case = problem(n=(3, 2, 2))
    free = np.ones(case.system.n_dof, bool)
    free[list(held)] = False
    with pytest.raises(SingularSystemError, match="singular") as caught:
        Direct().factorize(case.with_system(free=free))
    assert len(caught.value.dofs) == motions
    # the motions are rigid ones, and holding the named unknowns stops them
    modes = rigid_modes(case.points)
    inside = modes @ np.linalg.lstsq(modes, caught.value.motions, rcond=None)[0]
    assert_allclose(inside, caught.value.motions, atol=1e-6 * np.abs(caught.value.motions).max())
    free[caught.value.dofs] = False
    Direct().factorize(case.with_system(free=free))


def test_a_loose_piece_is_named_by_its_own_unknowns():
    points, cells, _ = quadratic(*box((2, 1, 1), (2.0, 1.0, 1.0)))
    matrix = elasticity(points, cells)
    both = sparse.block_diag([matrix, matrix], format="csr")
    free = np.tile(np.repeat(points[:, 0] > 1e-9, 3), 2)
    free[len(free) // 2 :] = True
    with pytest.raises(SingularSystemError) as caught:
        Direct().factorize(System(terms=(MatrixTerm(both),), block=3, free=free))
    assert len(caught.value.dofs) == 6
    assert (caught.value.dofs >= len(free) // 2).all()


def test_an_unknown_without_stiffness_is_named():
    case = problem(n=(3, 2, 2))
    matrix = sparse.block_diag([case.matrix, sparse.csr_array((3, 3))], format="csr")
    system = System(terms=(MatrixTerm(matrix),), block=3, free=np.r_[case.system.free, True, False, True])
    n = case.system.n_dof
    with pytest.raises(SingularSystemError, match="have no stiffness") as caught:
        Direct().factorize(system)
    assert_array_equal(caught.value.dofs, [n, n + 2])


def test_a_slender_beam_is_no_singular_system_but_loses_digits():
    length = 500.0
    points, cells, _ = quadratic(*box((60, 1, 1), (length, 1.0, 1.0)))
    free = np.repeat(points[:, 0] > 1e-9, 3)
    system = System(terms=(MatrixTerm(elasticity(points, cells)),), block=3, free=free)
    f = np.zeros(len(free))
    tip = points[:, 0] > length - 1e-9
    f.reshape(-1, 3)[tip, 2] = 1.0 / tip.sum()
    solution = Direct().factorize(system).solve(f)
    deflection = solution.x.reshape(-1, 3)[tip, 2].mean()
    bernoulli = length**3 / (3 * 210e9 / 12)
    assert_allclose(deflection, bernoulli, rtol=0.1)  # long cells are a bit stiff
    assert "about 3 digits" in solution.notes[0]


def test_weak_springs_make_a_free_body_solvable():
    case = problem(n=(3, 2, 2))
    n = case.system.n_dof
    spring = DiagonalTerm(np.full(n, 1e-6 * case.matrix.diagonal().max()))
    system = System(terms=(MatrixTerm(case.matrix), spring), block=3, free=np.ones(n, bool))
    f = np.ones(n)
    solution = Direct().factorize(system).solve(f)
    assert_allclose(solution.x, 1.0 / spring.values, rtol=1e-5)


def test_constraint_unknowns_are_solved_too():
    case = problem(n=(3, 2, 2))
    n = case.system.n_dof
    rows = sparse.csr_array((np.ones(2), ([0, 0], [n - 3, n - 6])), shape=(1, n))  # x of two nodes: opposite
    matrix = sparse.block_array([[case.matrix, rows.T], [rows, None]], format="csr")
    system = System(
        terms=(MatrixTerm(matrix),),
        block=3,
        free=np.r_[case.system.free, True],
        definite=False,
        extra=1,
    )
    f = np.r_[case.loads[:, 1], 0.0]
    solution = Direct().factorize(system).solve(f)
    assert abs(solution.x[n - 3] + solution.x[n - 6]) < 1e-12 * np.abs(solution.x[:n]).max()
    assert_allclose(solution.x, dense_solution(system, f), rtol=1e-6, atol=1e-9 * abs(solution.x[n]))


def test_too_little_memory_is_said_before_factoring():
    with pytest.raises(ResourceError, match=r"needs about .* GB; .* MultigridCG"):
        Direct(memory_limit=1e4).factorize(problem(n=(3, 2, 2)).system)


def test_a_load_that_is_no_number_is_refused():
    case = problem(n=(3, 2, 2))
    f = case.loads.copy()
    f[-1, 0] = np.inf
    with pytest.raises(ModelError, match="NaN or infinite"):
        Direct().factorize(case.system).solve(f)


def test_everything_fixed_moves_nothing():
    case = problem(n=(3, 2, 2))
    system = replace(case.system, free=np.zeros(case.system.n_dof, bool))
    assert_array_equal(Direct().factorize(system).solve(case.loads).x, 0.0)
