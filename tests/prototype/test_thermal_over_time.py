"""Thermal tests over time, end to end: in Python and as text, judged, read again, run from a shell."""

import json

import numpy as np
import pytest
from builders import box
from numpy.testing import assert_array_equal
from transients import part

import designtwin as dtw
from designtwin import cli
from designtwin.errors import ModelError, RequirementError
from designtwin.io import write_mesh
from designtwin.prototype.textfile import read_design

RESISTANCE = 1.0 / (50.0 * 4e-4)  # K/W of the convection at xmin


@pytest.fixture(scope="module")
def model():
    return part((3, 1, 1), "tetra10")


def run(model, requirements, **options):
    given = {"duration": "20 min", "initial": "23 degC", **options}
    return dtw.ThermalTest(model, requirements=requirements, **given).run()


@pytest.fixture(scope="module")
def verdict(model):
    asked = [
        dtw.temperature("xmax") <= "300 degC",
        dtw.temperature("xmin", over="mean", time="10 min") <= "300 degC",
        dtw.time_to("xmax", "60 degC") >= "1 min",
        dtw.heat_balance() <= "0.1 %",
        dtw.mass() <= "1 kg",
    ]
    return run(model, asked)


def test_a_test_over_time_tells_when_it_is_worst(verdict):
    hottest, at_ten, time_to, balance, mass = verdict.rows
    assert (hottest.status, hottest.value.instant, hottest.value.case) == ("FAIL", 1200.0, "full power")
    assert at_ten.value.instant == 600.0
    assert 60.0 < time_to.value.value < 120.0
    assert (time_to.status, balance.status, mass.status) == ("PASS", "PASS", "PASS")
    assert "full power at 20 min" in str(verdict)
    assert not any("equations hold only" in note for note in verdict.notes)
    json.dumps(verdict.to_dict())


def test_it_warms_as_its_heat_capacity_says(verdict):
    """What is put in is stored or given off: rho c V dT/dt = 20 W - (T - 20 degC) / R, nearly even inside."""
    case = verdict.result["full power"]
    capacity = 2700.0 * 900.0 * 24e-6
    end, tau = 293.15 + 20.0 * RESISTANCE, RESISTANCE * capacity
    lumped = end + (296.15 - end) * np.exp(-1200.0 / tau)
    assert case.history(over="mean").values[-1] == pytest.approx(lumped, rel=0.01)
    assert case.imbalance < 1e-6


def test_the_steady_end_is_that_of_a_steady_test(model):
    asked = [dtw.temperature("xmax") <= "2000 degC", dtw.heat("xmin") <= "30 W"]
    steady = dtw.ThermalTest(model, asked).run()
    last = run(model, asked, duration="6 h")
    for one, other in zip(steady.rows, last.rows, strict=True):
        assert one.value.instant is None
        low, high = other.value.low, other.value.high
        assert low <= one.value.value <= high
        assert other.value.value == pytest.approx(one.value.value, rel=1e-3)


def test_a_smaller_tolerance_is_passed_on_and_narrows_the_interval(model):
    asked = [dtw.temperature("xmax") <= "300 degC"]
    coarse, fine = (run(model, asked, tolerance=t).rows[0].value for t in ("2 K", "0.2 K"))
    assert fine.error < 0.6 * coarse.error
    assert coarse.low < fine.value < coarse.high


def test_options_reach_the_solver(model):
    fixed = run(model, [dtw.heat_balance() <= "1 %"], step="60 s", method="backward Euler", times=["90 s"])
    times = fixed.result["full power"].times
    assert {60.0, 90.0, 1200.0} <= set(times.tolist())
    assert fixed.result["full power"].info.solver.startswith("backward Euler")


def test_a_finished_run_in_a_folder_is_read_again_digit_by_digit(model, tmp_path, monkeypatch):
    asked = [dtw.temperature("xmax") <= "300 degC"]
    first = run(model, asked, store=tmp_path / "heat").result["full power"]
    from designtwin.analysis import transient

    def never(*_, **__):
        raise AssertionError("a finished run is not computed again")

    monkeypatch.setattr(transient._Run, "_next", never)
    again = run(model, asked, store=tmp_path / "heat").result["full power"]
    assert_array_equal(again.times, first.times)
    for i in range(0, len(first.times), 7):
        assert_array_equal(again.frames[i].temperature, first.frames[i].temperature)
    with pytest.raises(dtw.StoreError, match="another computation"):
        run(model, asked, store=tmp_path / "heat", tolerance="1 K")


# --- what is wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"initial": "23 degC"}, "initial= belong to a test over time; give duration="),
        ({"step": "1 s", "store": "x"}, "step= and store= belong to a test over time"),
        ({"duration": "20 min"}, "needs the temperature at its start: initial='23 degC'"),
        ({"duration": "0 s", "initial": "23 degC"}, "one time above zero is wanted"),
        ({"duration": "20 mm", "initial": "23 degC"}, "duration"),
    ],
)
def test_options_of_time_are_checked_before_anything_is_solved(model, options, said):
    with pytest.raises(dtw.DesignTwinError, match=said):
        dtw.ThermalTest(model, [dtw.temperature() <= "95 degC"], **options)


def test_questions_and_tests_must_fit(model):
    for asked in (dtw.time_to("xmax", "95 degC") >= "5 min", dtw.temperature(time="5 min") <= "95 degC"):
        with pytest.raises(RequirementError, match="this test is steady; give ThermalTest"):
            dtw.ThermalTest(model, [asked])
    with pytest.raises(RequirementError, match="asked after the end of the test, 20 min"):
        run(model, [dtw.temperature(time="21 min") <= "95 degC"])
    with pytest.raises(RequirementError, match=r"needs a thermal analysis.*ThermalTest"):
        dtw.StrengthTest(model, [dtw.heat_balance() <= "1 %"])


def test_a_material_without_heat_capacity_is_named():
    bare = dtw.LinearElastic(name="bare", conductivity=20.0)
    model = dtw.Model(
        box("tetra", 1),
        materials={"body": bare},
        load_cases={"a": [dtw.FixedTemperature(on="xmin", value=300)]},
    )
    with pytest.raises(dtw.MissingPropertyError, match=r"specific_heat|density"):
        run(model, [dtw.temperature() <= "95 degC"])


# --- as text -----------------------------------------------------------------------------------------------

TEXT = """\
name = "bar"
requirements = [
    'temperature("xmax") <= "300 degC"',
    'temperature("xmin", over="mean", time="10 min") <= "300 degC"',
    'time_to("xmax", "60 degC") >= "1 min"',
    'heat("xmin", over="min") >= "-30 W"',
    'heat_balance() <= "0.1 %"',
]

[test]
duration = "20 min"
initial = "23 degC"
tolerance = "0.5 K"
times = ["9 min"]
store = "kept"

[mesh]
file = "bar.msh"
length_unit = "mm"

[materials]
body = { conductivity = 200, density = 2700, specific_heat = 900 }

[[cases."full power"]]
type = "HeatFlow"
on = "xmax"
total = "20 W"

[[cases."full power"]]
type = "Convection"
on = "xmin"
coefficient = "50 W/(m2*K)"
ambient = "20 degC"
"""


@pytest.fixture
def folder(model, tmp_path):
    write_mesh(model.mesh, tmp_path / "bar.msh")
    (tmp_path / "part.toml").write_text(TEXT, encoding="utf-8")
    return tmp_path


def test_text_says_the_same_as_python(folder, model):
    design = read_design(folder / "part.toml")
    (test,) = design.tests
    assert isinstance(test, dtw.ThermalTest)
    assert (test.duration, test.initial, test.tolerance, test.times) == (
        "20 min",
        "23 degC",
        "0.5 K",
        ("9 min",),
    )
    (told,) = design.run()
    assert (folder / "kept").is_dir()
    asked = [row.requirement for row in told.rows]
    mine = run(model, asked, tolerance="0.5 K", times=["9 min"])
    for a, b in zip(told.rows, mine.rows, strict=True):
        assert a.value.value == pytest.approx(b.value.value, rel=1e-9)
        assert a.status == b.status
    assert 540.0 in told.result["full power"].times


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('duration = "20 min"', 'duration = "20 mm"', r"line 11: .*duration"),
        ('duration = "20 min"\n', "", r"line 10: .*initial= and tolerance= and times= and store= belong"),
        ('initial = "23 degC"\n', "", r"line 10: .*needs the temperature at its start"),
        ("tolerance =", "tolerence =", r"line 13: unknown key 'tolerence' in \[test\]; did you mean 'tole"),
        ('store = "kept"', "store = 3", r"line 15: store is a folder beside this file"),
        ('time="10 min"', 'time="25 min"', r"asked after the end of the test, 20 min"),
        ("time_to(", "time_too(", r"line 5: .*'time_too' is unknown.*'time_to'"),
    ],
)  # fmt: skip
def test_mistakes_in_text_have_their_line(folder, old, new, said):
    assert old in TEXT
    (folder / "part.toml").write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ModelError, match=said):
        read_design(folder / "part.toml")


def test_a_test_over_time_without_a_question_of_heat_is_refused(folder):
    asked = "requirements = ['mass() <= \"1 kg\"', 'displacement() <= \"1 mm\"']\n"
    text = asked + TEXT[TEXT.index("\n[test]") :]
    (folder / "part.toml").write_text(text, encoding="utf-8")
    with pytest.raises(
        ModelError, match="a test over time is a thermal one, and no requirement asks for one"
    ):
        read_design(folder / "part.toml")


def test_from_a_shell_with_files_for_paraview(folder, capsys):
    code = cli.main(
        ["run", str(folder / "part.toml"), "--json", str(folder / "v.json"), "--fields", str(folder / "out"),
         "--pictures", str(folder / "pictures")]
    )  # fmt: skip
    assert code == 1
    shown = capsys.readouterr().out
    assert "full power at 20 min" in shown
    data = json.loads((folder / "v.json").read_text())["verdicts"][0]
    assert data["requirements"][0]["instant"] == 1200.0
    (file,) = (folder / "out").iterdir()
    assert file.name.startswith("thermal_full_power")
    import h5py

    with h5py.File(file) as stored:
        assert stored["VTKHDF/Steps/Values"][-1] == 1200.0
        assert "temperature" in stored["VTKHDF/PointData"]
    assert {p.name for p in (folder / "pictures").iterdir()} == {
        "temperature.png",
        "temperature_over_time.png",
        "failure_zones_thermal.png",
    }
