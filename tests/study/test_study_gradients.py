"""Slopes of a study: adjoints, what stands in where there are none, and how the search goes with them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from builders import rectangle
from numpy.testing import assert_allclose
from test_study import PULL, STRIP, YIELD, strip

import designtwin as dtw
from designtwin.study.evaluate import Standin, slack_slope
from designtwin.study.store import Gradient, Store

VARIABLES = {
    "thickness": dtw.variable("1 mm", "5 mm", start="4 mm"),
    "width": dtw.variable("20 mm", "60 mm", start="50 mm"),
}
MARGIN, MOVES = dtw.yield_margin() >= 2.0, dtw.displacement("xmax", "x") <= "0.2 mm"


@dataclass(frozen=True, kw_only=True)
class MeanMove(dtw.Quantity):
    """How far the end moves on average: a quantity of one's own, of which no adjoint is known."""

    needs: ClassVar[str] = "static"
    dimension: ClassVar[str] = "length"

    @property
    def label(self):
        return "mean move"

    def by_case(self, result):
        nodes = result.model.region("xmax").nodes
        moves = [(case.name, float(case.displacement[nodes, 0].mean())) for case in self.cases_of(result)]
        return [dtw.Value.between(u, u, u, case=name) for name, u in moves]


OWN = MeanMove() <= "0.3 mm"


def study(*requirements, build=strip, variables=VARIABLES, minimize=None, **options):
    return dtw.Study(
        build=build, mesh=STRIP, variables=variables, minimize=minimize or dtw.mass(),
        tests=lambda model: [dtw.StrengthTest(model, requirements=list(requirements or (MARGIN, MOVES)))],
        **options,
    )  # fmt: skip


def test_slopes_of_objective_and_slacks_are_those_of_the_closed_form():
    found = study().gradients()
    t, b = 0.004, 0.05
    assert_allclose(list(found.slopes["objective"].values()), [0.2 * b * 7800.0, 0.2 * t * 7800.0], rtol=1e-8)
    # margin = YIELD t b / PULL, its slack over a limit of 2
    slopes = np.array([b, t]) * YIELD / PULL / 2.0
    assert_allclose(list(found.slopes[f"{MARGIN} | pull"].values()), slopes, rtol=1e-6)
    # u = PULL 0.2 / (E t b), its slack over a limit of 0.2 mm
    u = PULL * 0.2 / (200e9 * t * b)
    assert_allclose(list(found.slopes[f"{MOVES} | pull"].values()), [u / t / 2e-4, u / b / 2e-4], rtol=1e-6)
    assert set(found.how.values()) == {"adjoint", "build"} or set(found.how.values()) == {"adjoint"}
    assert not found.why


def test_the_search_by_adjoint_needs_no_analysis_for_slopes():
    best = study().run()
    again = study().run(gradients="differences")
    assert [e.purpose for e in best.history.evaluations] == ["design"] * len(best.history)
    assert len(best.history) <= 8
    assert len(again.history) > len(best.history)
    for one in (best, again):
        area = one.values["thickness"] * one.values["width"]
        assert PULL / (YIELD / 2.0) <= area < 1.003 * PULL / (YIELD / 2.0)
    assert "by adjoint" in str(best)
    assert "by adjoint" not in str(again)


def test_what_has_no_adjoint_is_differenced_and_that_is_said():
    best = study(MARGIN, OWN).run()
    label = f"{OWN} | pull"
    found = best.history.gradients[0]
    assert found.how[label] == "differences"
    assert "no adjoint" in found.why[label]
    assert found.how[f"{MARGIN} | pull"] == "adjoint"
    assert f"by differences: {label} (NoAdjointError" in str(best)
    with pytest.raises(dtw.StudyError, match=r"mean move .* has none .*gradients='auto'"):
        study(MARGIN, OWN).run(gradients="adjoint")
    with pytest.raises(dtw.StudyError, match="'auto', 'adjoint', 'differences'"):
        study().run(gradients="exact")


def test_a_response_that_no_variable_moves_is_not_said_to_be_apart():
    """The support holds the pull, whatever the section is: its slopes are rounding."""
    check = study(MARGIN, dtw.reaction("xmin", "x") <= "20 kN").check_gradients()
    still = [row for row in check.rows if row.response.startswith("reaction")]
    assert len(still) == 2
    assert all(row.apart < 1e-5 for row in still)
    assert check.worst.apart < 1e-5


def test_the_table_of_a_check_finds_adjoints_right():
    check = study(MARGIN, MOVES, OWN).check_gradients()
    assert check.worst.apart < 1e-7
    by = {(row.response, row.variable): row for row in check.rows}
    row = by["displacement x of 'xmax' | pull", "thickness"]
    assert_allclose(row.difference, -PULL * 0.2 / (200e9 * 0.05 * 0.004**2), rtol=1e-7)
    none = by["mean move | pull", "width"]
    assert np.isnan(none.adjoint)
    assert "no adjoint of mean move" in str(check)
    assert f"{row.adjoint:+.6e}" in str(check)


def test_a_check_at_a_bound_stays_within_it():
    seen = []

    def build(values, mesh):
        seen.append(values["width"])
        return strip(values, mesh)

    check = study(build=build).check_gradients({"width": "60 mm"})
    assert check.worst.apart < 1e-6
    assert max(seen) <= 0.06


def test_a_check_varies_nothing_that_is_a_whole_number():
    seen = set()

    def build(values, mesh):
        seen.add(values["sheets"])
        return strip({**values, "thickness": 1e-3 * values["sheets"]}, mesh)

    sheets, width = dtw.variable(1, 5, start=4, integer=True), VARIABLES["width"]
    check = study(build=build, variables={"sheets": sheets, "width": width}).check_gradients()
    assert seen == {4.0}
    assert {row.variable for row in check.rows} == {"width"}
    assert check.worst.apart < 1e-6
    with pytest.raises(dtw.StudyError, match="all are whole numbers"):
        dtw.Study(
            build=lambda v, mesh: strip({"thickness": 1e-3 * v["sheets"], "width": 0.05}, mesh), mesh=STRIP,
            variables={"sheets": sheets}, minimize=dtw.mass(),
            tests=lambda model: [dtw.StrengthTest(model, requirements=[MARGIN])],
        ).check_gradients()  # fmt: skip


def test_a_check_finds_a_slope_that_is_wrong(monkeypatch):
    from designtwin.results.sensitivity import Sensitivity

    along = Sensitivity.along
    monkeypatch.setattr(Sensitivity, "along", lambda self, d: along(self, d) * np.array([1.0, 1.01]))
    check = study(MOVES).check_gradients()
    assert check.worst.variable == "width"
    assert 1e-3 < check.worst.apart < 2e-2


@dataclass(frozen=True, kw_only=True)
class Cost(dtw.Quantity):
    """Of the material and of cutting its thickness: read off the model, of no adjoint."""

    dimension: ClassVar[str] = "dimensionless"

    @property
    def label(self):
        return "cost"

    def by_case(self, result):
        model = getattr(result, "model", result)
        thickness = float(model.cell_scale()[0])
        return [dtw.Value(value=2.0 * dtw.mass().evaluate(model).value + 1e4 * thickness**2)]


def test_a_quantity_of_the_model_needs_neither_adjoint_nor_analysis():
    found = study(minimize=Cost()).gradients()
    t, b = 0.004, 0.05
    known = [2.0 * 0.2 * b * 7800.0 + 2e4 * t, 2.0 * 0.2 * t * 7800.0]
    assert_allclose(list(found.slopes["objective"].values()), known, rtol=1e-8)
    assert found.how["objective"] == "build"
    assert not found.beside


def test_another_topology_is_told_and_differenced():
    """A build that meshes anew: more cells where it is wider."""

    def build(values, mesh):
        n = 2 + round(values["width"] / 0.05 * 40.0) % 2
        return strip(values, rectangle("quad8", (4, n), (0.2, 0.04)))

    found = study(MARGIN, build=build).gradients({"width": 0.0506})
    label = f"{MARGIN} | pull"
    assert found.how[label] == "differences"
    assert "TopologyError" in found.why[label]
    assert_allclose(found.slopes[label]["thickness"], 0.0506 * YIELD / PULL / 2.0, rtol=1e-3)


def test_gradients_are_kept_and_not_made_again(tmp_path, monkeypatch):
    study(store=tmp_path).run()

    def refuse(*_args, **_options):
        raise AssertionError("made again")

    monkeypatch.setattr("designtwin.study.search.gradient", refuse)
    study(store=tmp_path).run()


def test_the_store_keeps_a_gradient_to_the_bit(tmp_path):
    one = Gradient({"a": 0.1}, {"objective": {"a": 1 / 3}}, {"objective": "adjoint"}, seconds=0.5)
    store = Store(tmp_path, {})
    store.add(one)
    store.close()
    found = Store(tmp_path, {}).gradient({"a": 0.1})
    assert found is not None
    assert found.slopes == one.slopes
    assert Store(tmp_path, {}).gradient({"a": 0.2}) is None


def test_several_writers_lose_nothing(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    def write(i):
        store = Store(tmp_path, {"mesh": "x"})
        for k in range(5):
            store.add(dtw.study.Evaluation(0, {"a": float(10 * i + k)}, 1.0))
        store.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    assert sorted(e.values["a"] for e in Store(tmp_path, {"mesh": "x"}).all()) == sorted(
        float(10 * i + k) for i in range(8) for k in range(5)
    )


@pytest.mark.parametrize(
    "requirement",
    [dtw.yield_margin() >= 2.0, MOVES, dtw.temperature() <= 350.0, dtw.life() >= "10 h", dtw.damage() <= 0.1,
     dtw.displacement("xmax", "x") <= 0.0],
    ids=str,
)  # fmt: skip
def test_the_slope_of_a_slack_is_its_difference(requirement):
    value, h = 0.9 * requirement.limit + 1e-3, 1e-6 * (abs(requirement.limit) + 1e-3)
    known = (requirement.slack(value + h) - requirement.slack(value - h)) / (2 * h)
    assert_allclose(slack_slope(requirement, value), known, rtol=1e-6)


def test_a_stand_in_is_right_where_it_was_made():
    margin, heat = dtw.yield_margin(), dtw.temperature()
    for quantity, smooth, number in (
        (margin, 2.2, 1.9),
        (heat, 300.0, 305.0),
        (margin, 0.0, 1.0),
        (margin, 1.0, 9.0),
    ):
        assert_allclose(Standin.of(quantity, smooth, number)(smooth, np.zeros(2)), number)
    assert Standin.of(margin, 2.0, 1.0).factor == 0.5
    assert Standin.of(heat, 300.0, 305.0).shift == 5.0


def test_how_responses_move_is_told_per_tenth_of_a_range():
    table = study().sensitivity()
    assert table.responses[0] == "mass"
    assert_allclose(table.scaled[0], [0.1, 0.08], rtol=1e-8)  # mass is t b: 0.4 of 4 mm, 4 of 50 mm
    assert table.better == (-1.0, 1.0, 1.0)
    assert "+10.00 %" in str(table)
    picture = table.plot(show=False)
    assert {"mass", "+0.4 mm", "+10.0 %"} <= set(picture.texts)


def test_how_responses_move_takes_one_analysis():
    seen = []

    def build(values, mesh):
        if values == {"thickness": 0.003, "width": 0.03}:
            seen.append(values)
        return strip(values, mesh)

    study(build=build).sensitivity({"thickness": "3 mm", "width": "30 mm"})
    assert len(seen) == 1


def test_at_the_best_design_that_is_kept_unless_told(tmp_path):
    one = study(store=tmp_path)
    best = one.run()
    assert one.sensitivity().values == pytest.approx(dict(best.values))
    assert best.sensitivity().values == one.sensitivity().values
    with pytest.raises(dtw.StudyError, match="names 'widht'"):
        one.sensitivity({"widht": 0.03})
