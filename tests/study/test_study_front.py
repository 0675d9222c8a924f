"""The front between two quantities, on a strip whose front is a hyperbola."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_study import PULL, strip
from test_study_gradients import MARGIN, study

import designtwin as dtw
from designtwin.study.store import Evaluation

STRETCH = dtw.displacement("xmax", "x")
PRODUCT = 0.2 * 7800.0 * PULL * 0.2 / 200e9  # mass times stretch, whatever the section
VARIABLES = {
    "thickness": dtw.variable("1 mm", "5 mm", start="3 mm"),
    "angle": dtw.variable("-1", "1", start=0.5),
}


def crooked(values, mesh):
    """A strip as light as it can be where `angle` is none; else heavier for nothing."""
    return strip({"thickness": values["thickness"], "width": 0.04}, mesh)


@pytest.fixture(scope="module")
def front():
    return study(MARGIN).pareto(dtw.mass(), STRETCH, points=5)


def test_every_point_is_on_the_known_front(front):
    assert len(front.best) == 5
    for point in front.best:
        assert_allclose(point.one * point.other, PRODUCT, rtol=1e-6)
        assert point.evaluation.worst_slack >= 0.0


def test_points_are_spread_evenly_between_the_ends(front):
    one = np.array([p.one for p in front.points])
    other = np.array([p.other for p in front.points])
    assert (np.diff(one) > 0.0).all()
    assert (np.diff(other) < 0.0).all()
    # on the line between the ends they are equally far from each other
    along = (one - one[0]) / (one[-1] - one[0]) - (other - other[-1]) / (other[0] - other[-1])
    assert_allclose(along, np.linspace(-1.0, 1.0, 5), atol=0.01)


def test_the_ends_are_those_of_the_two_quantities_alone(front):
    lightest = study(MARGIN).run()
    assert_allclose(front.points[0].one, lightest.objective, rtol=2e-3)
    assert_allclose(front.points[-1].one, 0.2 * 0.005 * 0.06 * 7800.0, rtol=1e-6)  # all at the upper bounds


def test_the_knee_is_where_a_little_begins_to_cost_much(front):
    knee = front.knee
    assert knee in front.points[1:-1]
    f = np.array([[p.one, p.other] for p in front.points])
    depth = 1.0 - ((f - f.min(axis=0)) / np.ptp(f, axis=0)).sum(axis=1)
    assert knee is front.points[int(np.argmax(depth))]


def test_it_is_printed_and_drawn(front):
    assert "knee" in str(front)
    assert "7 analyses" not in front.stopped
    picture = front.plot(show=False)
    assert any(text.startswith("knee: ") for text in picture.texts)
    assert {"front", "mass, kg", "displacement x of 'xmax', mm"} <= set(picture.texts)


def test_what_is_wanted_large_is_sought_large():
    front = study(MARGIN).pareto(dtw.mass(), dtw.yield_margin(), points=3)
    margins = [p.other for p in front.best]
    assert margins == sorted(margins)
    assert margins[-1] == pytest.approx(0.005 * 0.06 * 250e6 / PULL, rel=1e-3)
    assert front.knee is None  # mass and margin go together in a straight line


def test_it_resumes_and_analyses_nothing_again(tmp_path, monkeypatch):
    one = study(MARGIN, store=tmp_path)
    first = one.pareto(dtw.mass(), STRETCH, points=3)
    monkeypatch.setattr("designtwin.study.search.tested", None)
    again = one.pareto(dtw.mass(), STRETCH, points=3)
    assert [p.values for p in again.points] == [p.values for p in first.points]


def test_a_front_that_is_cut_short_says_so():
    front = study(MARGIN).pareto(dtw.mass(), STRETCH, points=9, max_analyses=12)
    assert "the budget of 12 analyses was used" in front.stopped
    assert len(front.evaluations) == 12
    assert front.stopped in str(front)


def test_dominated_points_are_marked_and_kept(front):
    from dataclasses import replace

    from designtwin.study.front import FrontPoint

    worse = FrontPoint(
        {"thickness": 0.005, "width": 0.05}, 0.3, 2e-4, Evaluation(1, {}, 0.3), "", dominated=True
    )
    more = replace(front, points=(*front.points, worse))
    assert worse not in more.best
    assert "dominated" in str(more)
    assert "dominated" in more.plot(show=False).texts


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: s.pareto(dtw.mass(), dtw.mass()), "two different"),
        (lambda s: s.pareto(dtw.mass(), "stress"), "two quantities"),
        (lambda s: s.pareto(dtw.mass(), STRETCH, points=2), "3 or more"),
        (lambda s: s.pareto(dtw.mass(), dtw.temperature()), "no test makes"),
    ],
)
def test_what_cannot_be_a_front_is_told(ask, words):
    with pytest.raises(dtw.StudyError, match=words):
        ask(study(MARGIN))


def test_requirements_nothing_can_meet_have_no_front():
    with pytest.raises(dtw.StudyError, match="no design met all requirements"):
        study(dtw.yield_margin() >= 50.0).pareto(dtw.mass(), STRETCH, points=3)
