"""Text files in which one analysis follows another: temperatures solved first, refinement, life of a log."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from builders import box

import designtwin as dtw
from designtwin import cli
from designtwin.errors import ModelError
from designtwin.io import write_mesh

HEAD = """\
requirements = [{requirements}]
[mesh]
file = "bar.msh"
length_unit = "mm"
[materials]
body = "S355"
[[supports]]
type = "FixedSupport"
on = "xmin"
"""
HOT = (
    HEAD
    + """\
[[supports]]
type = "FixedTemperature"
on = "xmin"
value = "20 degC"
[[cases.power]]
type = "HeatFlow"
on = "xmax"
total = "5 W"
[[cases.hot]]
type = "Temperature"
value = {{ {value} }}
reference = "20 degC"
[[cases.hot]]
type = "Force"
on = "xmax"
value = ["0 N", "0 N", "-250 N"]
[combinations]
both = {{ hot = 1.0, cold = 1.0 }}
[[cases.cold]]
type = "Force"
on = "xmax"
value = ["1 kN", "0 N", "0 N"]
{rest}"""
)
LIFE = (
    HEAD
    + """\
[[cases.pull]]
type = "Force"
on = "xmax"
value = ["0 N", "0 N", "-100 N"]
[[cases.dead]]
type = "Gravity"
[test]
curve = {curve}
mean_stress = "Goodman"
scatter = 0.2
constant = "dead"
history = {{ log = "crane.csv", time = "t", units = {{ boom = "kN" }} }}
[test.channels]
boom = {{ case = "pull", per = "0.1 kN" }}
"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("coupled")
    write_mesh(box("tetra10", (6, 1, 1), (0.2, 0.02, 0.02)), path / "bar.msh")
    wave = np.sin(np.arange(400) * 0.7) + 0.4 * np.sin(np.arange(400) * 0.11)
    rows = [f"{0.1 * i:.1f},{x:.6f}" for i, x in enumerate(wave)]
    (path / "crane.csv").write_text("\n".join(["t,boom", *rows]) + "\n")
    return path


def design_of(folder, text, **words):
    (folder / "part.toml").write_text(text.format(**words))
    return dtw.read_design(folder / "part.toml")


def hot(folder, *requirements, value='thermal = "power"', rest=""):
    return design_of(folder, HOT, requirements=", ".join(map(repr, requirements)), value=value, rest=rest)


# Temperatures that are solved first


def by_hand(model, temperature):
    state = dtw.Temperature(temperature, reference="20 degC")
    return dtw.solve_static(model.with_case("hot", [state, *model.cases["hot"].loads]))


def test_a_load_case_is_as_warm_as_a_thermal_case_of_the_same_file(folder):
    design = hot(folder, "yield_margin() >= 1.2", 'temperature() <= "90 degC"')
    strength, thermal = design.run()
    answer = dtw.solve_thermal(design.model)["power"]
    assert np.array_equal(thermal.result["power"].temperature, answer.temperature)
    expected = by_hand(design.model, answer)
    for case in ("hot", "cold", "both"):
        assert np.array_equal(strength.result[case].displacement, expected[case].displacement)
    free = by_hand(design.model, np.full(design.model.mesh.n_points, 293.15))
    warm = strength.result["hot"].displacement
    assert np.abs(warm - free["hot"].displacement).max() > 0.2 * np.abs(warm).max()
    assert any(note.startswith("case hot: as warm as thermal case power") for note in strength.notes)


def test_heat_is_solved_once_for_both_tests(folder, monkeypatch):
    from designtwin import analysis

    solve, calls = analysis.solve_thermal, []
    monkeypatch.setattr(analysis, "solve_thermal", lambda *a, **k: calls.append(1) or solve(*a, **k))
    hot(folder, "yield_margin() >= 1.2", 'temperature() <= "90 degC"').run()
    assert len(calls) == 1
    hot(folder, "yield_margin() >= 1.2").run()
    assert len(calls) == 2


@pytest.mark.parametrize("instant", ["20 s", None])
def test_over_time_the_case_is_an_instant_or_a_history(folder, instant):
    value = 'thermal = "power"' + (f', time = "{instant}"' if instant else "")
    rest = '[test]\nduration = "40 s"\ninitial = "20 degC"\n'
    design = hot(folder, 'displacement("xmax", "x", case="hot") <= "1 mm"', value=value, rest=rest)
    (verdict,) = design.run()
    course = dtw.solve_transient(design.model, duration="40 s", initial="20 degC")["power"]
    if instant:
        expected = by_hand(design.model, course.at(instant))["hot"].displacement
        assert np.array_equal(verdict.result["hot"].displacement, expected)
    else:
        assert np.array_equal(verdict.result["hot"].times, course.times)
        assert verdict.rows[0].value.instant == course.times[-1]  # it grows as it warms up


def left_open(folder, quantity, **words):
    """A requirement that the mesh as given cannot decide."""
    (verdict,) = hot(folder, f'{quantity} <= "1 mm"', **words).run()
    return f'{quantity} <= "{verdict.rows[0].value.value!r} m"'


def test_refinement_solves_heat_on_each_mesh(folder):
    limit = left_open(folder, 'displacement("xmax", "z", case="hot", over="max_abs")')
    (verdict,) = hot(folder, limit).run(refine="uniform", max_rounds=1)
    assert len(verdict.rounds) == 2
    fine = verdict.result.model
    assert fine.mesh.n_cells == 8 * 36
    expected = by_hand(fine, dtw.solve_thermal(fine)["power"])
    assert np.array_equal(verdict.result["hot"].displacement, expected["hot"].displacement)


@pytest.mark.parametrize(
    ("value", "requirement", "rest", "says"),
    [
        ('thermal = "powr"', "yield_margin() >= 1", "", "did you mean 'power'?"),
        ("thermal = 3", "yield_margin() >= 1", "", "thermal is the name of a load case; got 3"),
        ('thermal = "power", at = "9 s"', "yield_margin() >= 1", "", "unknown key 'at'"),
        ('thermal = "power", time = "9 s"', "yield_margin() >= 1", "", "is steady and has no instant"),
        (
            'thermal = "power", time = "90 s"', "yield_margin() >= 1",
            '[test]\nduration = "40 s"\ninitial = "20 degC"', "not within",
        ),
        ('thermal = "power"', "buckling_factor() >= 1", "", "a buckling test does not"),
        (
            'thermal = "power"', 'frequency(1) >= "5 Hz"', '[test]\nprestress = "both"',
            "a vibration test does not",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_warmed_is_told_with_its_line(folder, value, requirement, rest, says):
    with pytest.raises(ModelError, match=r"part\.toml, line \d+: ") as caught:
        hot(folder, requirement, value=value, rest=rest)
    assert says in str(caught.value)
    line = int(re.search(r"line (\d+)", str(caught.value))[1])
    text = (folder / "part.toml").read_text().splitlines()[line - 1]
    assert "value" in text or "cases.hot" in text


# Refinement


def test_the_file_says_how_far_to_refine_and_the_caller_may_say_otherwise(folder):
    rest = '[test]\nrefine = "uniform"\nmax_rounds = 1\nmax_unknowns = 100000\nmax_time = "1 min"\n'
    limit = left_open(folder, 'displacement("xmax", case="hot")')
    design = hot(folder, limit, 'mass() <= "1 kg"', rest=rest)
    assert design.refinement == {
        "refine": "uniform", "max_rounds": 1, "max_unknowns": 100000, "max_time": "1 min",
    }  # fmt: skip
    assert [len(verdict.rounds) for verdict in design.run()] == [2]
    assert [len(verdict.rounds) for verdict in design.run(refine="off")] == [0]
    assert cli.main(["run", str(folder / "part.toml"), "--refine", "off", "--no-cache"]) == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('refine = "autp"', "refine 'autp' is unknown; did you mean 'auto'?"),
        ("max_rounds = 2", "max_rounds is a budget of refinement; give refine = 'auto' too"),
        ('refine = "auto"\nmax_unknowns = "many"', "max_unknowns is 'many'; a whole number"),
        ('refine = "auto"\nmax_time = "5 mm"', "max_time: '5 mm' is a length; a time is wanted"),
    ],
)
def test_a_budget_that_makes_no_sense_is_told_with_its_line(folder, line, says):
    with pytest.raises(ModelError) as caught:
        hot(folder, "yield_margin() >= 1", rest=f"[test]\n{line}\n")
    assert says in str(caught.value)
    number = int(re.search(r"line (\d+)", str(caught.value))[1])
    assert (folder / "part.toml").read_text().splitlines()[number - 1] == line.splitlines()[-1]


def test_a_budget_on_the_command_line_without_refinement_is_broken(folder, capsys):
    hot(folder, "yield_margin() >= 1")
    assert cli.main(["run", str(folder / "part.toml"), "--max-rounds", "2", "--no-cache"]) == 3
    assert "a budget of refinement, and none is asked for" in capsys.readouterr().err


# Life


def life(folder, *requirements, curve='"S355 base metal"'):
    return design_of(folder, LIFE, requirements=", ".join(map(repr, requirements)), curve=curve)


def test_a_life_test_is_that_of_python(folder):
    design = life(
        folder, "damage() <= 0.3", 'life(survival=0.975) >= "1 h"', 'displacement("xmax") <= "1 mm"'
    )
    assert [type(test).__name__ for test in design.tests] == ["StrengthTest", "LifeTest"]
    verdict = design.run()[1]
    log = dtw.read_log(folder / "crane.csv", time="t", units={"boom": "kN"})
    same = dtw.LifeTest(
        design.model, curve="S355 base metal", mean_stress="Goodman", scatter=0.2, constant="dead",
        channels={"boom": dtw.unit_case("pull", per="0.1 kN")}, history=log,
        requirements=[dtw.damage() <= 0.3, dtw.life(survival=0.975) >= "1 h"],
    ).run()  # fmt: skip
    ours, theirs = ([row.value.value for row in one.rows] for one in (verdict, same))
    assert ours == theirs
    assert ours[0] > 0.0


def test_a_kept_life_verdict_says_the_same(folder, tmp_path):
    kept = dtw.ResultCache(tmp_path / "kept")
    first = life(folder, "damage() <= 0.3").run(cache=kept)[0]
    again = life(folder, "damage() <= 0.3").run(cache=kept)[0]
    assert kept.said == ["life test of part: unchanged since it was last run, not solved again"]
    assert json.dumps(again.to_dict()) == json.dumps(first.to_dict())
    text = (folder / "crane.csv").read_text()
    try:  # a log of other content under the same name is another test
        (folder / "crane.csv").write_text(text.replace("0.1,", "0.1,1"))
        other = life(folder, "damage() <= 0.3").run(cache=kept)[0]
    finally:
        (folder / "crane.csv").write_text(text)
    assert other.rows[0].value.value != first.rows[0].value.value


@pytest.mark.parametrize(
    "curve",
    [
        '{ body = "S355 base metal" }',
        '{ name = "S355 base metal", scatter = 0.3 }',
        '{ name = "mine", amplitude = "200 MPa", cycles = 1e6, slope = 5, ratio = -1, kind = "base metal" }',
    ],
)
def test_curves_are_named_stated_or_given_part_by_part(folder, curve):
    (test,) = life(folder, "damage() <= 0.3", curve=curve).tests
    assert test.run().rows[0].value.value > 0.0


def test_weld_toes_are_counted_at_hot_spots(folder):
    text = LIFE.format(requirements="'damage() <= 0.3'", curve='"FAT 90 hot-spot"')
    at = 'box(("-1 mm", "-1 mm", "19 mm"), ("1 mm", "21 mm", "21 mm"))'
    spot = f"""stress = 'hot_spot_stress({at}, "+x", "20 mm")'"""
    text = text.replace('mean_stress = "Goodman"', spot)
    (folder / "part.toml").write_text(text)
    (test,) = dtw.read_design(folder / "part.toml").tests
    where = dtw.box(("-1 mm", "-1 mm", "19 mm"), ("1 mm", "21 mm", "21 mm"))
    assert test.stress == dtw.hot_spot_stress(where, "+x", "20 mm")
    assert test.run().rows[0].value.value > 0.0
    (folder / "part.toml").write_text(text.replace("hot_spot_stress(", "hotspot_stress("))
    with pytest.raises(ModelError, match=r"line \d+: .*did you mean 'hot_spot_stress'"):
        dtw.read_design(folder / "part.toml")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('"S355 base metal"', '"S35 base metal"'), "did you mean"),
        (('"S355 base metal"', '"FAT 71 nominal"'), "FAT 71"),
        (('case = "pull"', 'case = "push"'), "push"),
        (('per = "0.1 kN"', 'per = "0 kN"'), "other than zero"),
        ((', per = "0.1 kN"', ""), "channel 'boom' lacks per"),
        (("boom = {", "bom = {"), "did you mean 'boom'?"),
        (('per = "0.1 kN"', 'per = "0.1 N*m"'), "force"),
        (('log = "crane.csv"', 'log = "crain.csv"'), "crain.csv"),
        (('time = "t"', 'time = "time"'), "time"),
        (("scatter = 0.2", "scatter = 20"), "scatter"),
        (('constant = "dead"', 'constant = "weight"'), "weight"),
        (('mean_stress = "Goodman"', 'mean_stress = "Godman"'), "did you mean"),
        (('mean_stress = "Goodman"', 'mean_stress = { metod = "Walker" }'), "did you mean 'method'?"),
        (('curve = "S355 base metal"', ""), "a life test needs curve"),
        (('curve = "S355 base metal"', "curve = 3"), "a curve is a name"),
        (
            ('curve = "S355 base metal"', 'curve = { range = "90 MPa", cicles = 2e6 }'),
            "did you mean 'cycles'",
        ),
        (('boom = { case = "pull", per = "0.1 kN" }', ""), "a life test needs channels"),
        (('boom = { case = "pull", per = "0.1 kN" }', "boom = 3"), "channels are tables"),
        (('constant = "dead"', 'constant = ["dead", 3]'), "a text or a list of texts"),
        (('units = { boom = "kN" }', 'units = "kN"'), "units are a table"),
        (('units = { boom = "kN" }', 'units = { boom = "kN" }, clean = "all"'), "'gaps'"),
    ],
)
def test_what_is_wrong_with_a_life_test_is_told_with_its_line(folder, change, says):
    text = LIFE.format(requirements="'damage() <= 0.3'", curve='"S355 base metal"')
    assert change[0] in text
    (folder / "part.toml").write_text(text.replace(*change))
    with pytest.raises(ModelError, match=r"part\.toml, line \d+: ") as caught:
        dtw.read_design(folder / "part.toml")
    assert says in str(caught.value)


def test_what_is_of_a_life_test_alone_is_told_where_none_is_asked_for(folder):
    with pytest.raises(ModelError, match=r"curve is of a life test, and no requirement asks for one"):
        life(folder, "yield_margin() >= 1")


def test_a_life_test_without_a_log_is_told(folder):
    text = LIFE.format(requirements="'damage() <= 0.3'", curve='"S355 base metal"')
    (folder / "part.toml").write_text(re.sub(r"history = .*", "", text))
    with pytest.raises(ModelError, match=r"a life test needs history, as history = \{ log = 'crane.csv'"):
        dtw.read_design(folder / "part.toml")
