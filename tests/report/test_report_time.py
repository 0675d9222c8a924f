"""The report of a test over time: instants in the table, courses with their limits, heat balance, steps."""

import re

import pytest
from builders import box

import designtwin as dtw
from designtwin import edge, viz
from designtwin.errors import PictureError

SMALL = (480, 360)


@pytest.fixture(scope="module")
def verdict():
    """A bar that warms up from one end, over two minutes; it is too hot from some instant on."""
    model = dtw.Model(
        box("hexahedron", (4, 2, 2), (0.04, 0.01, 0.01)),
        materials={"body": dtw.material("Al 6063-T5")},
        load_cases={"warm-up": [
            dtw.HeatFlow(on="xmin", total="5 W"),
            dtw.Convection(on="xmax", coefficient="100 W/(m2*K)", ambient="20 degC"),
        ]},
        name="bar",
    )  # fmt: skip
    requirements = [
        dtw.temperature("xmin") <= "60 degC",
        dtw.temperature("xmax", over="mean") <= "200 degC",
        dtw.time_to("xmax", "50 degC") >= "20 s",
        dtw.heat_balance() <= "0.1 %",
    ]
    return dtw.ThermalTest(
        model, duration="2 min", initial="20 degC", requirements=requirements, tolerance="0.5 K"
    ).run()


@pytest.fixture(scope="module")
def text(verdict, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "bar.html"
    edge.report(verdict, path, picture_size=SMALL)
    return path.read_text(encoding="utf-8")


def test_the_table_says_when(verdict, text):
    when = verdict.to_dict()["requirements"][0]["text"]["instant"]
    assert when
    assert f"<td>warm-up at {when}</td>" in text


def test_the_course_of_what_was_judged_is_shown_with_its_limits(text):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    over_time = [c for c in captions if c.startswith("Over time: ")]
    assert len(over_time) == 1, "temperatures share one picture"
    assert "≤ 60 °C" in over_time[0]
    assert "≤ 200 °C" in over_time[0]
    assert "time until temperature of" in over_time[0]
    assert "Heat balance, load case warm-up" in captions
    assert "Picture left out" not in text


def test_the_steps_are_told(verdict, text):
    case = verdict.result["warm-up"]
    assert f"<td>steps</td><td>{case.steps}</td>" in text
    assert "<td>duration</td><td>120 s</td>" in text
    assert "balance of heat put in and heat stored" in text
    assert "heat put in until the end" in text


def test_the_picture_is_that_of_the_instant_judged(verdict):
    picture = verdict.plot("temperature", window_size=SMALL, show=False)
    row = verdict.rows[0]
    assert any(f"at {dtw.units.show_time(row.value.instant, 120.0)}" in text for text in picture.texts)


def test_a_picture_of_another_instant_does_not_bear_the_judged_value(verdict):
    judged = dtw.requirements.show_value(verdict.rows[0].value, "temperature")
    at_worst = verdict.plot("temperature", window_size=SMALL, show=False).texts
    assert any(judged in text for text in at_worst)
    earlier = verdict.plot("temperature", at="30 s", window_size=SMALL, show=False).texts
    assert not any(judged in text for text in earlier)
    state = verdict.result["warm-up"].at("30 s")
    highest = float(state.temperature.max()) - 273.15
    said = next(text for text in earlier if text.startswith("max "))
    assert abs(float(said.split()[1]) - highest) < 0.1
    assert f"{verdict.rows[0].status}, judged at 120 s" in earlier[1]


def test_a_failure_zone_is_outlined_only_while_it_is_too_hot(verdict):
    def outlined(at):
        return "red outline: beyond the limit" in " ".join(
            verdict.plot("temperature", at=at, window_size=SMALL, show=False).texts
        )

    assert outlined("120 s")
    assert not outlined("1 s")


def test_a_time_until_something_colors_no_part(verdict):
    with pytest.raises(PictureError, match="one number"):
        verdict.plot(dtw.time_to("xmax", "50 degC"), show=False)
    assert viz.default_name(verdict) == "temperature"


def test_stress_over_time_has_its_course_too(verdict, tmp_path):
    model = dtw.Model(
        verdict.result.model.mesh,
        materials={"body": dtw.material("Al 6063-T5")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"hot": [dtw.Temperature(verdict.result["warm-up"], reference="20 degC")]},
        name="bar",
    )  # fmt: skip
    stress = dtw.StrengthTest(
        model, requirements=[dtw.displacement("xmax", "x") <= "1 mm", dtw.yield_margin() >= 0.1]
    ).run()
    path = edge.report(stress, tmp_path / "stress.html", picture_size=SMALL)
    text = path.read_text(encoding="utf-8")
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert sum(c.startswith("Over time: ") for c in captions) == 2, "a length and a margin"
    assert "Picture left out" not in text
    film = stress.result["hot"].animate(tmp_path / "stress.gif", frames=3, window_size=SMALL)
    assert {"Von Mises stress, load case hot", "0 s", "60 s", "120 s"} <= set(film.texts)
    assert any("deformation ×" in text for text in film.texts), "one scale of deformation for all"
    whole = stress.plot("von_mises", at="envelope", window_size=SMALL, show=False)
    assert any("largest over time" in t for t in whole.texts)
    with pytest.raises(PictureError, match="no envelope over time"):
        verdict.plot("temperature", at="envelope", show=False)
