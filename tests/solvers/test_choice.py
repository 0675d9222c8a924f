"""Who names no solver gets one that ends, and hears when it was changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers_solvers import problem
from numpy.testing import assert_allclose

from designtwin.errors import ConvergenceError
from designtwin.solvers import AutomaticSolver, Direct, LinearSolver, MultigridCG, choose_solver

HOPELESS = MultigridCG(max_iterations=2)


def test_small_indefinite_and_bordered_systems_go_to_direct():
    small = problem(n=(3, 2, 2)).system
    large = problem(n=(20, 10, 10)).system
    assert isinstance(choose_solver(small), Direct)
    assert isinstance(choose_solver(large), AutomaticSolver)
    assert isinstance(choose_solver(replace(large, definite=False)), Direct)
    assert isinstance(choose_solver(replace(large, extra=3, near_nullspace=None, coarse=None)), Direct)
    assert isinstance(AutomaticSolver(), LinearSolver)


def test_multigrid_answers_where_it_can():
    case = problem(n=(8, 4, 4))
    solution = AutomaticSolver().factorize(case.system).solve(case.loads)
    assert solution.solver.startswith("MultigridCG")
    assert solution.notes == ()


def test_direct_takes_over_and_the_solution_says_so():
    case = problem(n=(8, 4, 4))
    factors = AutomaticSolver(first=HOPELESS).factorize(case.system)
    solution = factors.solve(case.loads)
    assert solution.solver.startswith("Direct")
    assert "Direct() took over" in solution.notes[0]
    assert "after 2 iterations" in solution.notes[0]
    wanted = Direct().factorize(case.system).solve(case.loads).x
    assert_allclose(solution.x, wanted, rtol=1e-9, atol=1e-12 * np.abs(wanted).max())
    again = factors.solve(case.loads[:, 0])  # stays with what works, and says so again
    assert again.solver.startswith("Direct")
    assert again.notes == solution.notes


def test_direct_takes_over_when_levels_cannot_be_built():
    case = problem(n=(3, 2, 2))
    indefinite = case.with_system(terms=(replace(case.system.terms[0], values=-1.0 * case.matrix),))
    solution = AutomaticSolver().factorize(indefinite).solve(case.loads)
    assert solution.solver.startswith("Direct")
    assert "not positive definite" in solution.notes[0]


def test_too_large_for_direct_raises_with_advice():
    case = problem(n=(8, 4, 4))
    solver = AutomaticSolver(first=HOPELESS, fall_back_up_to=100)
    with pytest.raises(ConvergenceError, match=r"after 2 iterations .* too many for Direct\(\)"):
        solver.factorize(case.system).solve(case.loads)
