"""Who names no solver gets one that ends, and hears when it was changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers_solvers import problem
from numpy.testing import assert_allclose

from designtwin.errors import ConvergenceError
from designtwin.solvers import AutomaticSolver, Direct, LinearSolver, MultigridCG, choice, choose_solver
from designtwin.solvers.direct import Estimate

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


def test_many_right_hand_sides_go_to_direct_where_factors_are_bearable():
    system = problem(n=(20, 10, 10)).system
    assert isinstance(choose_solver(system, 2), AutomaticSolver)
    assert isinstance(choose_solver(system, 500), Direct)


def test_too_large_for_direct_raises_with_advice(monkeypatch):
    case = problem(n=(8, 4, 4))
    monkeypatch.setattr(choice, "FACTORS_UP_TO", 100)
    solver = AutomaticSolver(first=HOPELESS, fall_back_up_to=100)
    with pytest.raises(
        ConvergenceError, match=r"after 2 iterations .* too many for factors; ask for solver="
    ):
        solver.factorize(case.system).solve(case.loads)


def test_beyond_the_limit_the_order_of_elimination_decides(monkeypatch):
    case = problem(n=(8, 4, 4))
    solver = AutomaticSolver(first=HOPELESS, fall_back_up_to=100)
    assert solver.factorize(case.system).solve(case.loads).solver.startswith("Direct")
    hours = Estimate(seconds=7200.0, bytes=1e9, flops=1e15, fill=100.0)
    monkeypatch.setattr(choice, "estimate", lambda system: hours)
    with pytest.raises(ConvergenceError, match="about 120 minutes"):
        solver.factorize(case.system).solve(case.loads)


def test_slow_convergence_is_left_when_factors_would_be_sooner(monkeypatch):
    """A nearly incompressible block: after 40 iterations the watch says enough."""
    case = problem(n=(8, 4, 4), nu=0.499)
    factors = AutomaticSolver().factorize(case.system)
    patient = MultigridCG().factorize(case.system).solve(case.loads)
    assert patient.iterations.max() > 40
    asked = []

    def enough(self, left):
        asked.append(left)
        return "of Direct() 0 s"

    monkeypatch.setattr(choice.WatchedFactorization, "_sooner", enough)
    solution = factors.solve(case.loads)
    assert solution.solver.startswith("Direct")
    assert "after 40 iterations" in solution.notes[0]
    assert len(asked) == 1
    assert 0.0 < asked[0] < 60.0
    size = np.abs(patient.x).max()
    assert_allclose(solution.x, patient.x, rtol=0, atol=1e-4 * size)


def test_the_watch_weighs_what_is_left_against_the_order_of_elimination(monkeypatch):
    case = problem(n=(8, 4, 4))
    watch = AutomaticSolver().factorize(case.system)
    assert watch._sooner(0.5) == ""  # not worth a thought
    assert "of Direct()" in watch._sooner(100.0)
    hours = Estimate(seconds=7200.0, bytes=1e9, flops=1e15, fill=100.0)
    monkeypatch.setattr(choice, "estimate", lambda system: hours)
    assert watch._sooner(100.0) == ""
    monkeypatch.setattr(choice, "estimate", lambda system: replace(hours, seconds=1.0, bytes=1e15))
    assert watch._sooner(100.0) == ""  # no room
