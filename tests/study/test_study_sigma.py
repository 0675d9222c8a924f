"""Requirements that hold at a sigma of their own, and fronts of designs that do."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq
from test_robust import DENSITY, LABEL, MODULUS, PULL, SCATTER, STRIP, WIDTH, parts, slack, strip

import designtwin as dtw

MARGIN = dtw.yield_margin() >= 2.0
STRETCH = dtw.displacement("xmax", "x")
SHORT = STRETCH <= "0.1 mm"


def study(*requirements, scatter=None, build=strip, **options):
    return dtw.Study(
        build=build,
        mesh=STRIP,
        variables={"thickness": dtw.variable("1 mm", "5 mm", start="4 mm")},
        tests=lambda m: [dtw.StrengthTest(m, requirements=list(requirements))],
        minimize=dtw.mass(),
        scatter=SCATTER if scatter is None else scatter,
        **options,
    )


def thickness_at(sigma):
    return brentq(lambda t: slack(t) - sigma * np.sqrt((parts(t) ** 2).sum()), 1e-3, 5e-3)


@pytest.mark.parametrize("sigma", [0.0, 1.0, 4.5])
def test_a_requirement_holds_at_the_sigma_it_states_whatever_the_study_says(sigma):
    best = study(MARGIN.at(sigma=sigma), sigma=3.0).run()
    assert thickness_at(sigma) <= best.values["thickness"] < 1.005 * thickness_at(sigma)
    assert f"meets all requirements at {sigma:g} sigma" in str(best)


def test_each_holds_at_its_own_and_it_is_told_which():
    """At 2 sigma the stretch would ask for more thickness than the margin, at its mean it asks for less."""
    short = STRETCH <= PULL * 0.2 / MODULUS / WIDTH / 1.84e-3  # 1.84 mm with everything at its mean
    best = study(MARGIN, short.at(sigma=0), sigma=2.0).run()
    assert thickness_at(2.0) > 1.84e-3
    assert thickness_at(2.0) <= best.values["thickness"] < 1.005 * thickness_at(2.0)
    assert "at 0 and 2 sigma, each at its own" in str(best)
    assert f"must hold        {MARGIN} at 2 sigma" in str(best)
    found = best.study.robustness(best.values, n=0)
    assert found.holds
    by_label = {s.label: s.sigma for s in found.requirements}
    assert by_label == {LABEL: 2.0, f"{short} | pull": 0.0}
    assert "holds at 0 and 2 sigma" in str(found)
    more = best.study.robustness(best.values, n=0, sigma=3.0)
    assert not more.holds
    assert "sigma of 3" in str(more)
    picture = found.plot(show=False)
    assert {"−2 sigma", "mean"} <= set(picture.texts)


def test_of_one_requirement_stated_twice_the_sharper_counts():
    assert [one.sigma for one in study(MARGIN, MARGIN.at(sigma=4)).requirements.values()] == [4.0]


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: s.run(),
        lambda s: s.pareto(dtw.mass(), STRETCH),
        lambda s: s.sample(4),
        lambda s: s.variants([{"thickness": "2 mm"}]),
    ],
)
def test_sigma_without_scatter_is_told_before_anything_is_analyzed(ask, monkeypatch):
    monkeypatch.setattr(dtw.StrengthTest, "_solve", None)
    one = study(
        MARGIN.at(sigma=3), scatter={}, build=lambda v, m: strip({"pull": PULL, "yield": 250e6, **v}, m)
    )
    with pytest.raises(dtw.StudyError, match=r"≥ 2 at 3 sigma' is asked for, and nothing scatters"):
        ask(one)


def test_a_test_alone_says_that_it_knows_no_scatter(monkeypatch):
    monkeypatch.setattr(dtw.StrengthTest, "_solve", None)
    model = strip({"pull": PULL, "yield": 250e6, "thickness": 2e-3}, STRIP)
    with pytest.raises(dtw.RequirementError, match="a test alone knows nothing"):
        dtw.StrengthTest(model, requirements=[MARGIN.at(sigma=3)]).run()
    for wrong in (-1.0, math.nan, True, "3"):
        with pytest.raises(dtw.RequirementError, match="number of standard deviations"):
            MARGIN.at(sigma=wrong)


def test_a_requirement_without_sigma_is_known_by_what_it_always_was():
    assert set(MARGIN.to_dict()) == {"type", "quantity", "relation", "limit"}
    strict = MARGIN.at(sigma=3)
    assert type(strict).from_dict(strict.to_dict()) == strict != MARGIN


def test_a_store_goes_on_where_only_sigma_changes(tmp_path):
    study(MARGIN, store=tmp_path, sigma=1.0).run()
    best = study(MARGIN, store=tmp_path, sigma=3.0).run()
    assert thickness_at(3.0) <= best.values["thickness"] < 1.005 * thickness_at(3.0)


# Fronts


def test_every_point_of_a_front_holds_at_its_sigma_and_no_better():
    one = study(MARGIN, build=lambda v, m: strip(v, m))
    front = one.pareto(dtw.mass(), STRETCH, points=3)
    exact = thickness_at(3.0)
    lightest, _, stiffest = front.best
    assert exact <= lightest.values["thickness"] < 1.005 * exact
    assert_allclose(stiffest.values["thickness"], 5e-3, rtol=1e-6)
    for point in front.best:  # the two quantities are those at the means
        assert_allclose(point.one * point.other, 0.2**2 * DENSITY * PULL / MODULUS, rtol=1e-6)
        assert point.evaluation.worst_slack >= 0.0
        assert one.robustness(point.values, n=0).holds
    assert "requirements hold at 3 sigma" in str(front)
    picture = front.plot(show=False)
    assert any("meet all requirements at 3 sigma" in text for text in picture.texts)
    assert not one.robustness({"thickness": 0.99 * exact}, n=0).holds


# What a build must not do


def test_a_build_that_draws_at_random_is_told_before_the_first_analysis(monkeypatch, tmp_path):
    monkeypatch.setattr(dtw.StrengthTest, "_solve", None)
    rng = np.random.default_rng(0)

    def build(values, mesh):
        return strip({**values, "pull": values["pull"] * (1.0 + 1e-9 * rng.random())}, mesh)

    for _ in range(2):  # the second finds a store
        with pytest.raises(dtw.StudyError, match="draws at random or depends on something else"):
            study(MARGIN, build=build, store=tmp_path).run()


def test_a_build_whose_surroundings_change_in_the_middle_is_told():
    built = []

    def build(values, mesh):
        built.append(values)
        late = 0.1e-3 if len(built) > 5 else 0.0
        return strip({**values, "thickness": values["thickness"] + late}, mesh)

    with pytest.raises(dtw.StudyError, match="gave another model this time"):
        study(MARGIN, build=build).run()


def test_the_shape_alone_tells_where_a_model_holds_functions():
    shapes = []

    def build(values, mesh):
        shapes.append(0.04 + 1e-6 * len(shapes))
        model = strip({**values, "width": shapes[-1]}, mesh)
        by_place = [dtw.Pressure(on="xmax", magnitude=lambda x: -1e6 - 0.0 * x[:, 0])]
        return dtw.Model(
            model.mesh, materials=model.materials, supports=model.supports, load_cases={"pull": by_place}
        )

    with pytest.raises(dtw.StudyError, match="gave another model this time"):
        study(MARGIN, build=build).run()
