"""What the sweep back through heat over time costs, keeps and skips, and that shortcuts change no slope."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.analysis.adjoint import sensitivities, transient
from designtwin.solvers.span import Recalled

BRICK = box("tetra10", (8, 3, 3), (0.2, 0.05, 0.05))


def warmed(hot=350.0):
    made = dtw.LinearElastic(conductivity=20.0, specific_heat=500.0, density=7000.0)
    loads = [
        dtw.Convection(on="xmax", coefficient=200.0, ambient=293.15), dtw.HeatFlux(on="ymax", magnitude=2e4),
    ]  # fmt: skip
    return dtw.Model(
        BRICK,
        materials={"body": made},
        supports=[dtw.FixedTemperature(on="xmin", value=hot)],
        load_cases={"heat": loads},
    )


def course(solver=None, *, model=None, keep=True, **options):
    return dtw.solve_transient(
        model or warmed(), initial="20 degC", solver=solver or dtw.Direct(), keep=keep,
        **{"duration": "300 s"} | options,
    )  # fmt: skip


END = dtw.temperature(on="xmax")


def arrays(found):
    return found.points, found.density, found.conductivity


@pytest.mark.parametrize("steps", [{"step": "10 s"}, {"tolerance": 0.05}], ids=["one size", "many sizes"])
def test_iterations_go_as_far_as_the_slope_needs_and_no_further(steps, monkeypatch):
    result = course(dtw.MultigridCG(), **steps)
    (found,) = sensitivities(result, END)
    monkeypatch.setattr(transient, "_ENERGY", 0.0)
    (exact,) = sensitivities(result, END)
    for one, other in zip(arrays(found), arrays(exact), strict=True):
        assert_allclose(one, other, atol=5e-6 * np.abs(other).max())
    assert found.info.iterations < 0.7 * exact.info.iterations
    # As many as the analysis needs, which begins its steps with a guess too.
    assert found.info.iterations < 1.3 * result["heat"].info.iterations


def test_what_iterations_leave_warms_nothing_evenly(monkeypatch):
    result = course(dtw.MultigridCG(), duration="3000 s", tolerance=0.1)
    (found,) = sensitivities(result, END)
    monkeypatch.setattr(transient, "_ENERGY", 0.0)
    (exact,) = sensitivities(result, END)
    # Heat stored by all of the part is where shares of one sign would add up.
    assert found.density.sum() == pytest.approx(exact.density.sum(), rel=3e-7)
    assert found.info.iterations < 0.7 * exact.info.iterations


def test_factors_of_the_very_step_are_applied_once():
    result = course(step="10 s", method="backward Euler")
    (found,) = sensitivities(result, END)
    assert found.info.iterations == 30


def test_an_instant_that_nothing_asks_about_is_not_solved_for():
    result = course(step="10 s", method="backward Euler", times=["100 s"])
    (found,) = sensitivities(result, dtw.temperature(on="xmax", time="100 s"))
    assert found.info.iterations == 10


def test_a_place_that_is_held_has_no_slope_but_over_what_holds_it():
    result = course(step="50 s")
    (found,) = sensitivities(result, dtw.temperature(on="xmin", time="300 s"))
    assert found.info.iterations == 0
    assert all(not array.any() for array in arrays(found))
    ends = [warmed(350.0 + by) for by in (0.5, -0.5)]
    directions = dtw.Directions.of(result.model, [(*ends, 1.0)])
    assert found.along(directions) == pytest.approx([1.0], rel=1e-12)


def test_without_what_the_analysis_kept_the_slope_is_the_same_and_says_so():
    (found,) = sensitivities(course(step="10 s"), END)
    (other,) = sensitivities(course(step="10 s", keep=False), END)
    for one, two in zip(arrays(found), arrays(other), strict=True):
        assert_allclose(one, two, atol=1e-7 * np.abs(two).max())
    assert not any("anew" in note for note in found.info.notes)
    assert any("set up anew" in note for note in other.info.notes)


def test_a_long_course_keeps_one_vector_an_instant():
    (found,) = sensitivities(course(step="1 s"), END)
    (note,) = (note for note in found.info.notes if "steps back" in note)
    megabytes = 301 * BRICK.n_points * 8 / 1e6
    assert f"take {megabytes:,.0f} MB in memory" in note


def test_guesses_are_the_best_that_earlier_answers_span_at_any_rate():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(2, 40, 40))
    c, k = (one @ one.T + np.eye(40) for one in root)
    known = Recalled(40)
    xs = rng.normal(size=(3, 40))
    for x, rate in zip(xs, (0.1, 2.0, 7.0), strict=True):
        known.add(x, (rate * c + k) @ x, c @ x, rate)
    f, matrix = rng.normal(size=40), 0.7 * c + k
    rest = f - matrix @ known.best(f, 0.7)
    assert_allclose(xs @ rest, 0.0, atol=1e-8 * np.abs(xs @ f).max())
    assert_allclose(known.best(matrix @ xs.sum(axis=0), 0.7), xs.sum(axis=0), rtol=1e-8)
