"""Requirements over a course in time: the worst instant is found and said, and its interval is honest."""

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from transients import STUFF, course, part, result

import designtwin as dtw
from designtwin.criteria.utilization import utilization
from designtwin.criteria.verdict import Verdict
from designtwin.criteria.zones import failure_zones, worst_over_cases
from designtwin.errors import RequirementError, UnitError
from designtwin.requirements import Requirement, Value, first_crossing, show_value

TIMES = np.linspace(0.0, 1200.0, 25)


def wave(height):
    """Rises and falls once in 1200 s, twice as high at xmax as at xmin."""
    return lambda x, t: 300.0 + height * np.sin(np.pi * t / 1200.0) * (1.0 + x[:, 0] / 0.06)


@pytest.fixture(scope="module")
def model():
    return part(cases=("full power", "idle"))


@pytest.fixture(scope="module")
def answer(model):
    return result(
        course(model, wave(40.0), TIMES, time_error=0.2), course(model, wave(10.0), TIMES, name="idle")
    )


def verdict(requirements, of):
    return Verdict(rows=tuple(one.judge(of) for one in requirements), result=of, test="thermal test")


# --- the worst instant -------------------------------------------------------------------------------------


def test_the_hottest_instant_of_the_hottest_case_governs_and_is_said(answer):
    value = (dtw.temperature() <= "110 degC").evaluate(answer)
    assert value.value == pytest.approx(380.0)
    assert (value.case, value.instant) == ("full power", 600.0)
    assert value.place.point[0] == pytest.approx(0.06)
    assert value.case_text == "full power at 10 min"


def test_a_lower_limit_must_hold_at_every_instant_too(answer):
    outcome = (dtw.temperature("xmax", over="max") >= "350 K").judge(answer)
    assert outcome.status == "FAIL"
    assert outcome.value.value == pytest.approx(300.0)
    assert outcome.value.instant in (0.0, 1200.0)


def test_each_case_tells_its_own_worst_instant(model):
    later = course(model, lambda x, t: wave(30.0)(x, t / 2), TIMES, name="idle")
    of = result(course(model, wave(40.0), TIMES), later)
    by_case = (dtw.temperature("xmin") <= "400 K").by_case(of)
    assert [(v.case, v.instant) for v in by_case] == [("full power", 600.0), ("idle", 1200.0)]


def test_an_instant_asked_for_is_the_one_judged(answer):
    value = dtw.temperature("xmin", time="5 min").evaluate(answer)
    assert value.value == pytest.approx(300.0 + 40.0 * np.sin(np.pi / 4))
    assert value.instant == 300.0
    between = dtw.temperature("xmin", time="311 s").evaluate(answer)
    assert between.value == pytest.approx(300.0 + 40.0 * np.sin(np.pi * 311 / 1200), abs=0.02)
    assert between.low < 300.0 + 40.0 * np.sin(np.pi * 311 / 1200) < between.high
    assert "at 5 min" in str(dtw.temperature("xmin", time="5 min") <= "400 K")


def test_means_and_mins_over_a_place_have_their_worst_instant(answer):
    mean = (dtw.temperature("xmin", over="mean") <= "400 K").evaluate(answer)
    assert (mean.value, mean.instant) == (pytest.approx(340.0), 600.0)
    low = (dtw.temperature(over="min") >= "250 K").evaluate(answer)
    assert low.value == pytest.approx(300.0)


@pytest.mark.parametrize("shift", [0.0, 0.21, 0.5, 0.83])
def test_a_peak_between_instants_is_inside_the_interval(model, shift):
    times = np.array([0.0, 200.0, 400.0, 600.0, 800.0, 1000.0, 1200.0])
    bump = 700.0 + 200.0 * shift
    case = course(model, lambda x, t: np.full(len(x), 400.0 - 1e-4 * (t - bump) ** 2), times)
    value = (dtw.temperature() <= "500 K").evaluate(result(case))
    assert value.value <= 400.0 <= value.high + 1e-9
    assert value.high <= 400.0 + 1e-6  # a parabola's own peak, no more
    assert value.low == pytest.approx(value.value)


def test_a_course_at_its_highest_at_the_end_is_not_widened(model):
    case = course(model, lambda x, t: np.full(len(x), 300.0 + t / 10), TIMES)
    value = (dtw.temperature() <= "500 K").evaluate(result(case))
    assert (value.instant, value.low, value.high) == (1200.0, 420.0, 420.0)


def test_the_error_of_steps_in_time_is_in_the_interval(model):
    # linear in space, so that the mesh leaves nothing open
    errors = [
        (dtw.temperature() <= "500 K").evaluate(result(course(model, wave(1.0), TIMES, time_error=e))).error
        for e in (0.0, 2.0)
    ]
    assert errors[1] - errors[0] == pytest.approx(1.5 * 2.0)


def test_only_the_governing_instant_is_recovered(model, monkeypatch):
    case = course(model, wave(40.0), TIMES)
    recovered = []
    own = type(case.frames[0])._sampled
    monkeypatch.setattr(
        type(case.frames[0]), "_sampled", lambda self: recovered.append(self.time) or own(self)
    )
    (dtw.temperature() <= "400 K").evaluate(result(case))
    assert set(recovered) == {600.0}


# --- balance, heat, time -----------------------------------------------------------------------------------


def test_the_heat_balance_is_a_share(model):
    of = result(course(model, wave(1.0), TIMES, imbalance=2e-4))
    passes, fails = ((dtw.heat_balance() <= limit).judge(of) for limit in ("0.1 %", "0.01 %"))
    assert (passes.status, fails.status) == ("PASS", "FAIL")
    assert passes.requirement.limit_text == "≤ 0.1 %"
    assert show_value(passes.value, "share") == "0.02 %"


def test_heat_through_a_place_is_worst_when_the_part_is_hottest(answer):
    out = dtw.heat("xmin", over="min").evaluate(answer)
    hottest = 50.0 * 4e-4 * (293.15 - 340.0)
    assert out.value == pytest.approx(hottest)
    assert (out.case, out.instant) == ("full power", 600.0)
    size = dtw.heat("xmin").evaluate(answer)
    assert size.value == pytest.approx(-hottest)
    assert "it is -" in size.note
    early = dtw.heat("xmin", time="0 s").evaluate(answer)
    assert early.value == pytest.approx(50.0 * 4e-4 * 6.85)


def test_the_time_to_a_temperature(answer):
    value = dtw.time_to("xmax", "350 K", case="full power").evaluate(answer)
    exact = 1200.0 / np.pi * np.arcsin(50.0 / 80.0)
    assert value.value == pytest.approx(exact, rel=2e-3)
    assert value.low < exact < value.high
    assert value.instant == value.value
    assert value.place.near == "on 'xmax'"
    # half a width of 0.3 K at a slope of 80 pi / 1200 cos(...) K/s
    slope = 80.0 * np.pi / 1200.0 * np.cos(np.pi * exact / 1200.0)
    assert 0.9 * 1.5 * 0.2 / slope < value.error < 1.5 * 1.5 * 0.2 / slope  # and what lies between instants


def test_cooling_reaches_a_temperature_from_above(model):
    case = course(model, lambda x, t: np.full(len(x), 300.0 + 100.0 * np.exp(-t / 300.0)), TIMES)
    value = dtw.time_to("body", "350 K").evaluate(result(case))
    assert value.value == pytest.approx(300.0 * np.log(2.0), rel=2e-3)
    assert dtw.time_to("body", "400 K").evaluate(result(case)).value == 0.0


@pytest.mark.parametrize(
    ("relation", "limit", "status"),
    [(">=", "10 min", "PASS"), (">=", "30 min", "CANNOT TELL"), ("<=", "10 min", "FAIL"),
     ("<=", "30 min", "CANNOT TELL")],
)  # fmt: skip
def test_what_is_not_reached_is_judged_by_how_long_was_looked(answer, relation, limit, status):
    quantity = dtw.time_to("xmax", "500 K")
    outcome = (quantity >= limit if relation == ">=" else quantity <= limit).judge(answer)
    assert outcome.status == status
    assert outcome.value.value == 1200.0
    assert outcome.value.high == np.inf
    assert outcome.value.note.startswith("not reached in 20 min, when it had come to ")
    assert (status == "CANNOT TELL") == ("a longer duration tells" in outcome.reason)


def test_a_crossing_lies_on_the_cubic_between_instants():
    times = np.linspace(0.0, 10.0, 11)
    for level in (0.3, 2.0, 7.7):
        assert first_crossing(times, times**2 / 10.0, level, rising=True) == pytest.approx(
            np.sqrt(10 * level), rel=0.02
        )
    assert first_crossing(times, -times, -3.5, rising=False) == pytest.approx(3.5)
    assert first_crossing(times, times, 11.0, rising=True) == np.inf
    assert first_crossing(times, times, -1.0, rising=True) == 0.0


# --- verdicts, zones, plain data ---------------------------------------------------------------------------


def test_a_verdict_says_when(answer):
    asked = [dtw.temperature("xmax") <= "60 degC", dtw.heat_balance() <= "0.1 %"]
    table = str(verdict(asked, answer))
    assert "full power at 10 min" in table
    assert "heat put in and stored balance to 1.0e-12" in table
    assert "time case full power: 24 steps of 50 s" in table
    data = json.loads(json.dumps(verdict(asked, answer).to_dict()))
    assert data["requirements"][0]["instant"] == 600.0
    assert data["requirements"][0]["text"]["instant"] == "10 min"
    assert data["requirements"][1]["instant"] is None
    assert data["failure_zones"][0]["instant"] == 600.0
    assert data["checks"]["instants"] == 25


def test_zones_hold_what_was_too_hot_at_any_instant(model):
    """A warm front walks through the part: each instant has a zone, together they are the part."""
    front = lambda x, t: 300.0 + 100.0 * np.exp(-(((x[:, 0] - 0.06 * t / 1200.0) / 0.01) ** 2))  # noqa: E731
    of = result(course(model, front, TIMES))
    (zone,) = failure_zones([dtw.temperature() <= "380 K"], of)
    assert zone.n_points == model.mesh.n_points
    assert zone.case == "full power"
    over = worst_over_cases(dtw.temperature() <= "380 K", of)
    x = model.mesh.points[over.rows, 0]
    assert_array_equal(np.abs(over.instants[0] - x / 0.06 * 1200.0) <= 25.0 + 1e-6, True)
    assert "load case full power at " in str(zone)
    one = failure_zones([dtw.temperature(time="10 min") <= "380 K"], of)
    assert len(one) == 1
    assert one[0].instant == 600.0
    assert one[0].n_points < 0.4 * model.mesh.n_points


def test_requirements_over_time_are_plain_data():
    for made in (
        dtw.temperature("xmax", time="10 min") <= "95 degC",
        dtw.time_to("xmax", "95 degC", over="mean") >= "5 min",
        dtw.heat("xmin", over="min", time="1 h") >= "-3 W",
        dtw.heat_balance() <= "0.1 %",
    ):
        assert Requirement.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@dataclass(frozen=True, kw_only=True)
class Spread(dtw.Quantity):
    """A quantity of a user's own that knows nothing of time."""

    needs: ClassVar[str] = "thermal"
    dimension: ClassVar[str] = "temperature_difference"

    @property
    def label(self):
        return "spread"

    def by_case(self, result):
        return [
            Value(value=float(np.ptp(case.field("temperature").values)), error=0.1, case=case.name)
            for case in self.cases_of(result)
        ]


def test_a_quantity_of_your_own_is_asked_at_every_instant(answer):
    value = (Spread() <= "50 K").evaluate(answer)
    assert value.value == pytest.approx(40.0)
    assert (value.case, value.instant) == ("full power", 600.0)
    assert (Spread() >= "0 K").evaluate(answer).value == pytest.approx(0.0, abs=1e-9)


# --- what is wrong -----------------------------------------------------------------------------------------


def test_questions_of_time_need_a_course(model):
    steady = dtw.solve_thermal(model)
    for ask in (
        dtw.temperature(time="5 min"),
        dtw.heat("xmin", time="5 min"),
        dtw.time_to("xmax", "95 degC"),
    ):
        with pytest.raises(RequirementError, match=r"is steady.*duration='20 min'"):
            ask.evaluate(steady)
    assert dtw.heat_balance().evaluate(steady).value < 1e-9
    assert dtw.heat("xmin").evaluate(steady).value == pytest.approx(20.0, rel=1e-6)


def test_what_is_no_time_or_temperature_is_said():
    with pytest.raises(UnitError, match="time"):
        dtw.temperature(time="5 mm")
    with pytest.raises(RequirementError, match="no instant after the start"):
        dtw.temperature(time=-3.0)
    with pytest.raises(RequirementError, match="lacks a temperature"):
        dtw.time_to("die")
    with pytest.raises(UnitError, match="limit of time until"):
        dtw.time_to("die", "95 degC") >= "5 mm"  # noqa: B015
    with pytest.raises(RequirementError, match="over='median'"):
        dtw.time_to("die", "95 degC", over="median")


# --- statics over time -------------------------------------------------------------------------------------


def test_statics_over_time_say_their_worst_instant(model):
    heat = course(model, wave(40.0), TIMES)
    held = dtw.Model(
        model.mesh, materials={"body": STUFF}, supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"hot": [dtw.Temperature(heat, reference="300 K")]},
    )  # fmt: skip
    of = dtw.solve_static(held)
    margin = (dtw.yield_margin() >= 1.0).evaluate(of)
    assert margin.instant == 600.0
    moved = (dtw.displacement("xmax", "x") <= "1 mm").evaluate(of)
    assert moved.instant == 600.0
    peak = of["hot"].at(600.0)
    assert moved.value == pytest.approx(np.abs(peak.displacement[held.region("xmax").nodes, 0]).max())
    assert 1.0 / margin.value == pytest.approx(utilization(of).values.max())


def test_a_reaction_shared_by_two_supports_has_an_interval():
    model = part()
    held = dtw.Model(
        model.mesh, materials={"body": STUFF},
        supports=[dtw.FixedSupport(on="xmin"), dtw.FixedSupport(on="xmax")],
        load_cases={"press": [dtw.Pressure(on="zmax", magnitude="1 MPa")]},
    )  # fmt: skip
    value = dtw.reaction("xmin", "z").evaluate(dtw.solve_static(held))
    assert value.low < 600.0 < value.high  # half of 1 MPa on 60 mm x 20 mm
    assert value.error < 0.5 * 600.0
