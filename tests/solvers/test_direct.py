"""The direct solver is exact, says what is singular, and answers small systems by LAPACK alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers_solvers import box, elasticity, problem, quadratic, rigid_modes
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from designtwin import parallel
from designtwin.errors import ModelError, ResourceError, SingularSystemError
from designtwin.solvers import DiagonalTerm, Direct, LinearSolver, MatrixTerm, System, direct
from designtwin.solvers.direct import estimate, rough_estimate


@pytest.fixture(params=["whole", "fronts"], autouse=True)
def way(request, monkeypatch):
    """Every claim holds for small systems, which LAPACK takes whole, and for fronts."""
    if request.param == "fronts":
        monkeypatch.setattr(direct, "DENSE_UP_TO", 0)
    return request.param


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


def test_the_solution_says_what_ran(way):
    case = problem(n=(2, 2, 2), order=1)
    names = []
    for definite in (True, False):
        system = replace(case.system, definite=definite)
        names.append(Direct().factorize(system).solve(case.loads[: system.n_dof]).solver)
    wanted = {"whole": "dense", "fronts": "multifrontal"}[way]
    assert names == [f"Direct ({wanted} Cholesky)", f"Direct ({wanted} LDL^T)"]


@pytest.mark.parametrize("backend", ["own", "superlu", "pardiso"])
def test_backends_agree(backend):
    if backend == "pardiso":
        pytest.importorskip("pypardiso")
    case = problem(n=(4, 3, 2))
    wanted = dense_solution(case.system, case.loads)
    for definite in (True, False):
        system = replace(case.system, definite=definite)
        solution = Direct(backend=backend).factorize(system).solve(case.loads)
        assert_allclose(solution.x, wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())


def test_pardiso_is_asked_for_by_those_who_have_it():
    try:
        import pypardiso  # noqa: F401
    except (ImportError, OSError):
        with pytest.raises(ResourceError, match="pypardiso"):
            Direct(backend="pardiso").factorize(problem(n=(3, 2, 2)).system)


def test_single_precision_ends_with_the_digits_of_double():
    case = problem(n=(5, 3, 3), nu=0.45)
    wanted = Direct().factorize(case.system).solve(case.loads)
    found = Direct(backend="own", precision="single").factorize(case.system).solve(case.loads)
    assert_allclose(found.x, wanted.x, rtol=0, atol=1e-11 * np.abs(wanted.x).max())
    assert (found.residual < 1e-11).all()
    assert (found.iterations <= 8).all()
    assert (found.iterations >= 2).all()
    assert "single" in found.solver


def test_single_precision_gives_way_where_it_breaks_down():
    """A thin plate of flat cells: soft by more digits than float32 has."""
    points, cells, _ = quadratic(*box((6, 6, 1), (1.0, 1.0, 0.01)))
    free = np.repeat(points[:, 0] > 1e-9, 3)
    system = System(terms=(MatrixTerm(elasticity(points, cells)),), block=3, free=free)
    f = np.zeros(len(free))
    f[2::3] = 1.0
    found = Direct(backend="own", precision="single").factorize(system).solve(f)
    wanted = Direct(backend="own").factorize(system).solve(f)
    assert "factored in double" in found.notes[0]
    assert "single" not in found.solver
    assert_allclose(found.x, wanted.x, rtol=1e-12)


def test_an_indefinite_matrix_called_definite_is_solved_and_named():
    case = problem(n=(3, 2, 2))
    n = case.system.n_dof
    spring = np.zeros(n)
    spring[n - 1] = -3.0 * case.matrix.diagonal()[n - 1]
    system = System(terms=(MatrixTerm(case.matrix), DiagonalTerm(spring)), block=3, free=case.system.free)
    factors = Direct().factorize(system)
    solution = factors.solve(case.loads)
    assert "not positive definite: 1 negative" in solution.notes[0]
    assert factors.negative == 1
    wanted = dense_solution(system, case.loads)
    assert_allclose(solution.x, wanted, rtol=0, atol=1e-10 * np.abs(wanted).max())


def test_a_singular_indefinite_system_is_refused():
    case = problem(n=(3, 2, 2))
    n = case.system.n_dof
    row = sparse.csr_array((np.ones(1), ([0], [n - 1])), shape=(1, n))
    twice = sparse.block_array(
        [[case.matrix, row.T, row.T], [row, None, None], [row, None, None]], format="csr"
    )
    free = np.r_[case.system.free, True, True]
    system = System(terms=(MatrixTerm(twice),), block=3, free=free, definite=False, extra=2)
    with pytest.raises(SingularSystemError) as caught:
        Direct().factorize(system)
    assert set(caught.value.dofs) <= {n, n + 1}


def test_a_matrix_that_is_no_number_is_refused():
    case = problem(n=(3, 2, 2))
    matrix = case.matrix.copy()
    matrix.data[-1, 0, 0] = np.nan
    with pytest.raises(ModelError, match="matrix is NaN or infinite at"):
        Direct().factorize(case.with_system(terms=(MatrixTerm(matrix),)))


def test_the_estimate_is_what_factoring_takes():
    case = problem(n=(8, 6, 5))
    found = estimate(case.system)
    factors = Direct().factorize(case.system)
    assert factors.nbytes < found.bytes < 3 * factors.nbytes
    assert found.flops > 1e8
    assert 1.0 < found.fill < 30.0
    assert 1e-3 < found.seconds < 10.0
    assert 0.45 < estimate(case.system, precision="single").bytes / found.bytes < 0.6


def test_a_rough_estimate_needs_no_matrix():
    small, large = rough_estimate(30_000), rough_estimate(1_000_000)
    assert 3e7 < small.bytes < 3e8
    assert 5e9 < large.bytes < 5e10
    assert large.seconds > 100 * small.seconds


def test_memory_that_holds_single_precision_alone_is_said():
    case = problem(n=(5, 3, 3))
    need = estimate(case.system).bytes
    with pytest.raises(ResourceError, match=r"precision='single'"):
        Direct(backend="own", memory_limit=0.8 * need).factorize(case.system)
    Direct(backend="own", memory_limit=0.8 * need, precision="single").factorize(case.system)


def test_a_pattern_met_again_is_not_ordered_again(monkeypatch):
    case = problem(n=(4, 3, 3))
    Direct(backend="own").factorize(case.system)
    from designtwin.solvers import multifrontal

    monkeypatch.setattr(multifrontal, "analyze", None)
    stiffer = case.with_system(terms=(MatrixTerm(case.matrix * 2.0),))
    found = Direct(backend="own").factorize(stiffer).solve(case.loads)
    wanted = dense_solution(stiffer, case.loads)
    assert_allclose(found.x, wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())


def test_two_hundred_right_hand_sides_at_once():
    case = problem(n=(4, 3, 3))
    f = np.random.default_rng(1).standard_normal((case.system.n_dof, 200))
    factors = Direct(backend="own").factorize(case.system)
    solution = factors.solve(f)
    assert (solution.residual < 1e-12).all()
    with parallel.use_threads(1):
        assert_array_equal(factors.solve(f).x, solution.x)
