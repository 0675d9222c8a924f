"""Right-hand sides that follow each other: fewer solves, the same answers."""

import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.assembly import assemble_static, cell_blocks
from designtwin.solvers import MultigridCG
from designtwin.solvers.multifrontal import _thread_setters
from designtwin.solvers.span import Recalled, Spanned


class Counting:
    """A factorization that counts what it is asked."""

    def __init__(self, inner):
        self.inner, self.asked = inner, 0

    def solve(self, f):
        self.asked += f.shape[1]
        return self.inner.solve(f)


@pytest.fixture(scope="module")
def system():
    model = dtw.Model(
        box("tetra10", 4),
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"none": []},
    )
    return assemble_static(model, model.cases["none"], cell_blocks(model)).system


def smooth(system, n):
    """Loads that spread as heat does, float64[n_dof, n]."""
    at = np.linspace(0.0, 1.0, system.n_dof)
    return np.stack([np.exp(-((at - 0.2) ** 2) / (0.05 + t)) for t in np.linspace(0.0, 2.0, n)], axis=1)


def check(system, f, x, tolerance=3e-8):
    f = np.where(system.free[:, None], f, 0.0)
    rest = np.linalg.norm(system.apply(x) - f, axis=0)
    assert (rest <= tolerance * np.linalg.norm(f, axis=0)).all()
    return rest


def test_a_smooth_course_is_solved_by_a_few_directions(system):
    f = smooth(system, 90)
    counting = Counting(MultigridCG().factorize(system))
    spanned = Spanned(counting, system.free)
    for first in range(0, 90, 16):
        part = f[:, first : first + 16]
        solution = spanned.solve(part)
        rest = check(system, part, solution.x)
        size = np.linalg.norm(np.where(system.free[:, None], part, 0.0), axis=0)
        assert (rest <= 1.01 * solution.residual * size + 1e-15 * size).all()
        assert solution.iterations.min() > 0
        assert "directions of load" in solution.solver
    assert counting.asked == spanned.count < 30


def test_right_hand_sides_without_anything_in_common_are_solved_all_the_same(system):
    f = np.random.default_rng(1).normal(size=(system.n_dof, 90))
    counting = Counting(MultigridCG().factorize(system))
    spanned = Spanned(counting, system.free)
    for first in range(0, 90, 16):
        check(system, f[:, first : first + 16], spanned.solve(f[:, first : first + 16]).x)
    assert 90 <= counting.asked <= 90 + 16


def test_zeros_have_the_answer_zero_first_and_between(system):
    spanned = Spanned(MultigridCG().factorize(system), system.free)
    zero = np.zeros((system.n_dof, 2))
    assert not spanned.solve(zero).x.any()
    f = np.column_stack([zero, smooth(system, 3), zero])
    solution = spanned.solve(f)
    assert_allclose(solution.x[:, [0, 1, 5, 6]], 0.0)
    check(system, f, solution.x)
    assert np.isfinite(solution.residual).all()


def test_a_repeated_right_hand_side_costs_nothing(system):
    counting = Counting(MultigridCG().factorize(system))
    spanned = Spanned(counting, system.free)
    f = smooth(system, 5)
    first = spanned.solve(f).x
    asked = counting.asked
    again = spanned.solve(-3.0 * f[:, ::-1]).x
    assert counting.asked == asked
    assert_allclose(again, -3.0 * first[:, ::-1], rtol=1e-6, atol=1e-9 * np.abs(first).max())


def test_digits_of_guesses_do_not_depend_on_threads_inside_blas():
    rng = np.random.default_rng(0)
    xs, f = rng.normal(size=(6, 200_001)), rng.normal(size=200_001)
    c, k = rng.random(size=(2, 200_001)) + 0.5
    before = [get() for get, _ in _thread_setters()]
    found = []
    try:
        for threads in (1, 2):
            for _, set_to in _thread_setters():
                set_to(threads)
            recalled = Recalled(len(f))
            for x in xs:
                recalled.add(x, (2.0 * c + k) * x, c * x, 2.0)
            found.append(recalled.best(f, 1.3))
    finally:
        for (_, set_to), threads in zip(_thread_setters(), before, strict=True):
            set_to(threads)
    assert np.array_equal(*found)


def test_directions_told_apart_by_rounding_alone_make_no_guess():
    rng = np.random.default_rng(4)
    c, k = rng.random(size=(2, 50)) + 0.5
    recalled = Recalled(50)
    first = np.ones(50)
    for x in (first, first + 1e-9 * rng.normal(size=50)):
        recalled.add(x, (c + k) * x, c * x, 1.0)
    f = rng.normal(size=50)
    share = first @ f / (first @ ((c + k) * first))
    assert_allclose(recalled.best(f, 1.0), share * first, rtol=1e-10)
    assert recalled.count == 1
