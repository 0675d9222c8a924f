"""Multigrid in groups converges where cells are flat, finds what factors find, and takes over by itself."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers_solvers import box, elasticity, problem, quadratic, rigid_modes
from numpy.testing import assert_allclose, assert_array_equal

from designtwin import parallel
from designtwin.assembly import rigid_modes as assembled_modes
from designtwin.errors import ConvergenceError, ModelError, SingularSystemError
from designtwin.solvers import (
    AutomaticSolver,
    Coarsening,
    Direct,
    MatrixTerm,
    MultigridCG,
    System,
    choice,
    hierarchy,
)
from designtwin.solvers.direct import Estimate
from designtwin.solvers.smoothing import points_of

GROUPS = MultigridCG(smoother="groups")


@cache
def plate(n=(8, 8, 2), aspect=10.0, order=2):
    """A plate of cells `aspect` times as wide as high, held at x = 0; two loads; modes at corners only."""
    corners, cells = box(n, (float(n[0]), float(n[1]), n[2] / aspect))
    points, coarse, modes = corners, None, rigid_modes(corners)
    if order == 2:
        points, cells, weights = quadratic(corners, cells)
        coarse, modes = Coarsening(weights, modes), None
    free = np.repeat(points[:, 0] > 1e-9, 3)
    matrix = elasticity(points, cells)
    system = System(terms=(MatrixTerm(matrix),), block=3, free=free, near_nullspace=modes, coarse=coarse)
    loads = np.zeros((len(points), 3, 2))
    loads[points[:, 0] > n[0] - 1e-9, 2, 0] = -1e3
    loads[:, 0, 1] = 1.0 + points[:, 0]
    return system, np.where(free[:, None], loads.reshape(-1, 2), 0.0), points


@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({"aspect": 1.0}, 20),
        ({"aspect": 4.0}, 15),
        ({"aspect": 10.0}, 20),
        ({"aspect": 30.0}, 40),
        ({"n": (10, 10, 1), "aspect": 10.0}, 30),
        ({"n": (6, 3, 24), "aspect": 0.1}, 25),
        ({"n": (12, 12, 2), "order": 1}, 40),
    ],
    ids=["aspect 1", "aspect 4", "aspect 10", "aspect 30", "one layer", "needles", "tet4"],
)
def test_flat_cells_take_few_iterations(options, bound):
    system, loads, _ = plate(**options)
    solution = GROUPS.factorize(system).solve(loads)
    assert 4 <= solution.iterations.max() <= bound
    assert (solution.residual <= 1e-5).all()  # soft: rounding leaves more than asked, and the notes say so
    assert "groups" in solution.solver


def test_nodes_alone_do_not_get_there():
    system, loads, _ = plate(aspect=30.0)
    with pytest.raises(ConvergenceError, match="smoother='groups'"):
        MultigridCG().factorize(system).solve(loads)


@pytest.mark.parametrize("aspect", [4.0, 10.0, 30.0])
def test_groups_equal_direct(aspect):
    system, loads, _ = plate(aspect=aspect)
    wanted = Direct().factorize(system).solve(loads).x
    found = replace(GROUPS, rtol=1e-10).factorize(system).solve(loads).x
    size = np.abs(wanted).max(axis=0)
    assert_allclose(found / size, wanted / size, rtol=0, atol=1e-6)


def test_the_cycle_is_symmetric_and_positive():
    system, _, _ = plate(n=(5, 5, 2))
    levels = GROUPS.factorize(system).hierarchy
    assert levels.dtype == np.float64
    x, y = np.random.default_rng(0).standard_normal((2, system.n_dof, 1)) * system.free[:, None]
    mx, my = levels.apply(x), levels.apply(y)
    assert float((x * my).sum()) == pytest.approx(float((y * mx).sum()), rel=1e-9)
    assert float((x * mx).sum()) > 0.0
    assert_array_equal(mx[~system.free], 0.0)


def test_the_number_of_threads_does_not_change_a_bit():
    system, loads, _ = plate()
    found = []
    for threads in (1, 2, 3):
        with parallel.use_threads(threads):
            factors = GROUPS.factorize(system)
            found.append((factors.solve(loads).x, factors.solve(loads[:, 0]).x))
    for other in found[1:]:
        assert_array_equal(other[0], found[0][0])
        assert_array_equal(other[1], found[0][1])


def test_many_load_cases_equal_one_by_one():
    system, loads, _ = plate(n=(6, 6, 2))
    more = np.random.default_rng(1).standard_normal((system.n_dof, 16))
    many = np.c_[loads, 0.0 * loads[:, 0], more]
    factors = GROUPS.factorize(system)
    together = factors.solve(many)
    assert together.iterations[2] == 0
    for k in (0, 1, 5, 18):
        alone = factors.solve(many[:, k])
        assert abs(alone.iterations[0] - together.iterations[k]) <= 1
        assert_allclose(alone.x, together.x[:, k], rtol=0, atol=1e-5 * np.abs(alone.x).max())


def test_modes_of_corners_are_those_of_all_nodes():
    system, _, points = plate()
    assert system.near_nullspace is None
    assert_allclose(system.modes, rigid_modes(points), atol=1e-13)  # centered and scaled alike on a box


def test_points_are_found_where_axes_are_turned():
    points = np.random.default_rng(0).standard_normal((9, 3))
    modes = assembled_modes(points, 3).reshape(9, 3, 6)
    frames = np.linalg.qr(np.random.default_rng(1).standard_normal((9, 3, 3)))[0]
    turned = np.einsum("nij,njk->nik", frames, modes)
    assert_allclose(points_of(turned.reshape(-1, 6)), points_of(modes.reshape(-1, 6)), atol=1e-12)


def test_a_coarse_level_too_large_for_factors_is_aggregated_further(monkeypatch):
    system, loads, _ = plate(n=(14, 14, 1))
    exact = GROUPS.factorize(system)
    monkeypatch.setattr(hierarchy, "_MOST_FLOPS", 0.0)
    factors = replace(GROUPS, dense_nodes=20).factorize(system)
    assert len(exact.hierarchy.sizes) == 2
    assert len(factors.hierarchy.sizes) > 2
    wanted = exact.solve(loads)
    solution = factors.solve(loads)
    assert solution.iterations.max() <= 4 * wanted.iterations.max()
    size = np.abs(wanted.x).max(axis=0)
    assert_allclose(solution.x / size, wanted.x / size, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("held", "motions"), [((), 6), ((0, 1, 2), 3)])
def test_free_motions_are_found(held, motions):
    system, loads, _ = plate(n=(5, 5, 2))
    free = np.ones(system.n_dof, bool)
    free[list(held)] = False
    with pytest.raises(SingularSystemError) as caught:
        GROUPS.factorize(replace(system, free=free))
    assert len(caught.value.dofs) == motions
    free[caught.value.dofs] = False
    GROUPS.factorize(replace(system, free=free)).solve(loads)


def test_what_groups_cannot_do_is_refused():
    for bad in (problem(n=(6, 3), lengths=(2.0, 1.0)).system, problem("heat", n=(3, 2, 2)).system):
        with pytest.raises(ModelError, match="displacements in space"):
            GROUPS.factorize(bad)
    system, _, _ = plate(n=(5, 5, 2))
    with pytest.raises(ModelError, match="rigid motions known"):
        GROUPS.factorize(replace(system, coarse=None))
    with pytest.raises(ModelError, match="'nodes' or 'groups' is wanted"):
        MultigridCG(smoother="lines")
    negative = MatrixTerm(system.terms[0].matrix() * -1.0)
    with pytest.raises(ConvergenceError, match="negative stiffness"):
        GROUPS.factorize(replace(system, terms=(negative,)))


class TestTheChoice:
    SOLVER = AutomaticSolver(fall_back_up_to=100)
    HOURS = Estimate(seconds=7200.0, bytes=1e9, flops=1e15, fill=100.0)

    def test_groups_take_over_where_factors_take_too_long(self, monkeypatch):
        system, loads, _ = plate(aspect=30.0)
        monkeypatch.setattr(choice, "estimate", lambda system: self.HOURS)
        factors = self.SOLVER.factorize(system)
        solution = factors.solve(loads)
        assert "groups" in solution.solver
        assert "MultigridCG(smoother='groups') took over" in solution.notes[0]
        assert solution.iterations.max() <= 40
        again = factors.solve(loads)  # stays with what works, and says so again
        assert_array_equal(again.x, solution.x)
        assert again.notes == solution.notes

    def test_groups_take_over_where_factors_do_not_fit(self, monkeypatch):
        system, loads, _ = plate(aspect=30.0)
        monkeypatch.setattr(choice, "estimate", lambda system: replace(self.HOURS, seconds=1.0, bytes=1e15))
        assert "groups" in self.SOLVER.factorize(system).solve(loads).solver

    def test_factors_that_are_quick_go_first(self):
        system, loads, _ = plate(aspect=30.0)
        for solver in (self.SOLVER, AutomaticSolver()):
            assert solver.factorize(system).solve(loads).solver.startswith("Direct")

    def test_factors_that_are_bearable_go_last(self, monkeypatch):
        system, loads, _ = plate(aspect=30.0)
        monkeypatch.setattr(choice, "estimate", lambda system: replace(self.HOURS, seconds=600.0))
        solver = replace(self.SOLVER, first=MultigridCG(max_iterations=2))
        solution = solver.factorize(system).solve(loads)
        assert solution.solver.startswith("Direct")
        assert [note.split(" took")[0] for note in solution.notes] == [
            "MultigridCG(smoother='groups')",
            "Direct()",
        ]

    def test_the_watch_leaves_off_for_groups(self, monkeypatch):
        system, _, _ = plate(n=(6, 6, 2))
        monkeypatch.setattr(choice, "estimate", lambda system: self.HOURS)
        assert "smoother='groups')" in self.SOLVER.factorize(system)._sooner(1000.0)
        assert self.SOLVER.factorize(system)._sooner(0.5) == ""
        assert AutomaticSolver().factorize(system)._sooner(1000.0) == ""  # small: left to factors
        monkeypatch.setattr(choice, "_GROUPS", 1.0)
        assert self.SOLVER.factorize(system)._sooner(1000.0) == ""  # no sooner
