"""Courses of temperature as given numbers: instants, histories, peaks, files."""

import csv
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from transients import course, part, result

import designtwin as dtw
from designtwin.errors import DesignTwinError, StoreError
from designtwin.results.transient import hermite
from designtwin.units import show_time

TIMES = np.linspace(0.0, 1200.0, 13)


def warming(x, t):
    """Warms towards 350 K at xmin and 400 K at xmax."""
    return 300.0 + 50.0 * (1.0 - np.exp(-t / 300.0)) * (1.0 + x[:, 0] / 0.06)


@pytest.fixture(scope="module")
def model():
    return part()


@pytest.fixture(scope="module")
def case(model):
    return course(model, warming, TIMES, time_error=0.25)


# --- instants ----------------------------------------------------------------------------------------------


def test_an_instant_kept_is_what_was_computed(model, case):
    for i, frame in enumerate(case.frames):
        assert frame.time == TIMES[i]
        assert_array_equal(frame.temperature, warming(model.mesh.points, TIMES[i]))
    assert_array_equal(case.at("10 min").temperature, case.frames[6].temperature)
    assert case.at("10 min").time == 600.0
    assert case.at(1200.0).time == case.frames[-1].time
    assert len(case.frames) == 13
    assert [frame.time for frame in case.frames[2:5]] == [200.0, 300.0, 400.0]


@pytest.mark.parametrize("time", [0.5, 150.0, 577.0, 1199.0])
def test_between_instants_the_error_told_holds(model, case, time):
    at = case.at(time)
    off = np.abs(at.temperature - warming(model.mesh.points, time)).max()
    assert 1e-6 < off < 0.5
    assert off <= at.time_error - 0.25  # the rest is what the steps were given


def test_between_instants_no_value_leaves_those_around(model):
    jumps = [300.0, 300.0, 400.0, 400.0, 350.0]
    case = course(model, lambda x, t: np.full(len(x), jumps[round(t)]), range(5))
    for i in range(4):
        low, high = sorted(jumps[i : i + 2])
        inside = [case.at(i + s).temperature[0] for s in np.linspace(0.0, 1.0, 21)]
        assert low - 1e-12 <= min(inside)
        assert max(inside) <= high + 1e-12
        assert np.all(np.diff(inside) * np.sign(jumps[i + 1] - jumps[i]) >= 0.0)


def test_interpolation_in_time_is_of_third_order_where_nothing_turns():
    def off(n):
        t = np.linspace(0.0, 1.0, n + 1)
        y, at = np.exp(t), np.linspace(0.3, 0.7, 101)
        found = []
        for s in at:
            some, value = hermite(t, s)
            found.append(float(value(y[some])))
        return np.abs(np.array(found) - np.exp(at)).max()

    rate = np.log2(off(16) / off(32))
    assert 2.7 < rate < 3.4


def test_the_same_cubic_as_scipy():
    from scipy.interpolate import PchipInterpolator

    rng = np.random.default_rng(3)
    t = np.cumsum(rng.uniform(0.1, 1.0, 12))
    y = rng.normal(size=12)
    theirs = PchipInterpolator(t, y)
    inner = (t[1] + 1e-3, t[-2] - 1e-3)
    for s in np.linspace(*inner, 200):
        some, value = hermite(t, float(s))
        assert_allclose(float(value(y[some])), float(theirs(s)), rtol=1e-12, atol=1e-12)
    # At the two ends they look at three instants as we do.
    for s in (*np.linspace(t[0], t[1], 9), *np.linspace(t[-2], t[-1], 9)):
        some, value = hermite(t, float(s))
        assert_allclose(float(value(y[some])), float(theirs(s)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("time", ["30 min", -5.0, "21 min"])
def test_a_time_outside_is_refused_with_the_span(case, time):
    with pytest.raises(
        DesignTwinError, match=r"case 'full power' runs from 0 min to 20 min.*longer duration"
    ):
        case.at(time)
    with pytest.raises(DesignTwinError, match="runs from 0 min to 20 min"):
        case.history().at(time)


def test_an_instant_answers_what_a_steady_case_does(case, model):
    at = case.at("20 min")
    flux = at.heat_flux()
    # T is linear in x: q = -k dT/dx
    slope = 50.0 * (1.0 - np.exp(-4.0)) / 0.06
    assert_allclose(flux[:, 0], -200.0 * slope, rtol=1e-9)
    assert_allclose(at.field("heat_flux_magnitude").values, 200.0 * slope, rtol=1e-9)
    assert at.probe(("30 mm", "10 mm", "10 mm"), "temperature") == pytest.approx(
        300.0 + 75.0 * (1.0 - np.exp(-4.0))
    )
    convected = 50.0 * 4e-4 * (293.15 - (300.0 + 50.0 * (1.0 - np.exp(-4.0))))
    assert at.heat("xmin") == pytest.approx(convected)
    assert at.reactions.sum() == pytest.approx(convected)
    assert at.temperature_error == pytest.approx(1.5 * 0.25, abs=1e-8)  # linear fields are exact in space


def test_the_case_itself_shows_its_end(case):
    assert_array_equal(case.field("temperature").values, case.frames[-1].temperature)
    assert case.field_names == case.frames[0].field_names
    assert not hasattr(case, "temperature")  # of which instant? at(time) says


# --- over time ---------------------------------------------------------------------------------------------


def test_histories_of_places_points_and_heat(case):
    grown = 1.0 - np.exp(-TIMES / 300.0)
    assert_allclose(case.history("xmax").values, 300.0 + 100.0 * grown)
    assert_allclose(case.history("body", over="min").values, 300.0 + 50.0 * grown)
    assert_allclose(case.history(over="mean").values, 300.0 + 75.0 * grown)
    assert_allclose(case.history("xmin", over="mean").values, 300.0 + 50.0 * grown)
    assert_allclose(case.history(("45 mm", "3 mm", "4 mm")).values, 300.0 + 87.5 * grown)
    assert_allclose(case.history(np.array([0.045, 0.003, 0.004])).values, 300.0 + 87.5 * grown)
    assert_allclose(case.history("xmax", name="heat_flux_magnitude").values, 1e4 / 0.06 * grown, atol=1e-5)
    assert_allclose(case.history(name="heat_in").values, 20.0 * TIMES)
    assert_allclose(case.history(name="held").values, 0.0)
    assert case.history("xmax").label == "largest temperature on 'xmax'"
    assert case.history(name="heat_in").dimension == "energy"


def test_a_selection_in_space_is_a_place_too(case):
    near = dtw.near("xmax", "1 mm")
    assert_array_equal(case.history(near).values, case.history("xmax").values)
    assert_array_equal(case.history(["xmax", "xmin"]).values, case.history("xmax").values)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"name": "temprature"}, "did you mean 'temperature'"),
        ({"name": "heat_flux"}, "is a vector; ask for the history of 'heat_flux_magnitude'"),
        ({"on": "xmxa"}, "no group 'xmxa'; did you mean 'xmax'"),
        ({"over": "median"}, "say one of max, min, mean"),
        ({"on": "xmax", "name": "heat_in"}, "is of the whole part; leave on= out"),
        ({"on": ("1 m", "0 m", "0 m")}, "outside|not in"),
    ],
)
def test_what_has_no_history_is_said(case, asked, said):
    with pytest.raises(DesignTwinError, match=said):
        case.history(**asked)


def test_the_peak_says_when_and_where(model):
    case = course(model, lambda x, t: 300.0 + 10.0 * np.sin(np.pi * t / 800.0) * (x[:, 0] / 0.06), TIMES)
    hot, cold = case.peak(), case.peak("xmax", over="min")
    assert hot.value == pytest.approx(310.0)
    assert hot.time == 400.0
    assert hot.point[0] == pytest.approx(0.06)
    assert cold.value == pytest.approx(290.0)
    assert cold.time == 1200.0
    assert str(hot).startswith("36.85 °C at 6.67 min, (60, ")


def test_instants_are_read_one_by_one(model, tmp_path, monkeypatch):
    case = course(model, warming, TIMES, path=tmp_path / "s")
    read = []
    get = type(case.stored).array
    monkeypatch.setattr(
        type(case.stored),
        "array",
        lambda self, i, name, rows=None: read.append(i) or get(self, i, name, rows),
    )
    case.at("10 min")
    assert set(read) == {6}
    kept = [case.frames[i] for i in range(12)]
    assert case.frames[11] is kept[11]
    assert case.frames[0] is not kept[0]  # not all of them stay


def test_a_history_at_any_time_and_as_a_table(case, tmp_path):
    history = case.history("xmax")
    assert history.at("10 min") == pytest.approx(300.0 + 100.0 * (1.0 - np.exp(-2.0)))
    file = history.to_csv(tmp_path / "h.csv")
    rows = list(csv.reader(file.open(encoding="utf-8")))
    assert rows[0] == ["time [s]", "largest temperature on 'xmax' [°C]"]
    assert len(rows) == 14
    assert float(rows[7][1]) == pytest.approx(history.values[6] - 273.15)
    assert "125 °C at 20 min" in str(history)


def test_the_result_in_words(case):
    text = str(result(case))
    assert "full power: 13 instants to 20 min; 12 steps of 100 s, 1 set-ups" in text
    assert "24000 J put in, 24000 J stored" in text
    assert "26.85 °C at 0 min to 125 °C at 20 min" in text


@pytest.mark.parametrize(
    ("time", "span", "words"),
    [(540.0, None, "9 min"), (547.3, 1200.0, "9.1 min"), (35.0, None, "35 s"), (0.00263, None, "0.00263 s"),
     (0.0, 1200.0, "0 min"), (547.3, None, "9.12 min"), (7200.0, None, "120 min"),
     (5 * 3600.0, None, "5 h"), (6 * 86400.0, None, "6 d")],
)  # fmt: skip
def test_times_in_words(time, span, words):
    assert show_time(time, span) == words


# --- files -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_parts():
    """Two parts of two materials that share nodes: fields there have two rows."""
    from transients import STUFF

    made = part((4, 1, 1), "tetra10")
    mesh = made.mesh
    right = mesh.cell_centers[:, 0] > 0.03
    groups = {
        **mesh.groups,
        "a": dtw.Group(cells=np.flatnonzero(~right)),
        "b": dtw.Group(cells=np.flatnonzero(right)),
    }
    other = dtw.LinearElastic(name="other", conductivity=20.0, density=7800.0, specific_heat=460.0)
    return dtw.Model(
        replace(mesh, groups=groups), materials={"a": STUFF, "b": other},
        load_cases={"full power": [dtw.HeatFlow(on="xmax", total="20 W"),
                                   dtw.FixedTemperature(on="xmin", value=300)]},
    )  # fmt: skip


def read_vtkhdf(path):
    """Times, and temperature, heat flux, part, points and cell types at each, by VTK's own reader."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonExecutionModel import vtkStreamingDemandDrivenPipeline as Pipeline
    from vtkmodules.vtkIOHDF import vtkHDFReader

    reader = vtkHDFReader()
    reader.SetFileName(str(path))
    reader.UpdateInformation()
    info = reader.GetOutputInformation(0)
    times = [info.Get(Pipeline.TIME_STEPS(), i) for i in range(info.Length(Pipeline.TIME_STEPS()))]
    seen = []
    for time in times:
        reader.UpdateTimeStep(time)
        grid = reader.GetOutput()
        data = {
            grid.GetPointData().GetArrayName(i): vtk_to_numpy(grid.GetPointData().GetArray(i)).copy()
            for i in range(grid.GetPointData().GetNumberOfArrays())
        }
        data["points"] = vtk_to_numpy(grid.GetPoints().GetData()).copy()
        data["types"] = np.array([grid.GetCellType(i) for i in range(grid.GetNumberOfCells())])
        data["volume"] = grid
        seen.append(data)
    return times, seen


def read_pvd(path):
    import pyvista

    reader = pyvista.get_reader(str(path))
    seen = []
    for time in reader.time_values:
        reader.set_active_time_value(time)
        grid = reader.read()[0]
        data = {name: np.array(grid[name]) for name in grid.point_data}
        seen.append({**data, "points": np.array(grid.points), "types": np.array(grid.celltypes)})
    return reader.time_values, seen


@pytest.mark.parametrize("kind", ["vtkhdf", "pvd"])
def test_paraview_reads_every_instant(two_parts, tmp_path, kind):
    case = course(two_parts, warming, TIMES[:5])
    path = tmp_path / f"heat.{kind}"
    write, read = (case.to_vtkhdf, read_vtkhdf) if kind == "vtkhdf" else (case.to_pvd, read_pvd)
    assert write(path, ["temperature", "heat_flux"]) == path
    times, seen = read(path)
    assert_array_equal(times, TIMES[:5])
    points = case.points
    assert len(points) > two_parts.mesh.n_points
    for frame, data in zip(case.frames, seen, strict=True):
        assert_allclose(data["points"], points.xyz, rtol=1e-7, atol=1e-9)
        assert_array_equal(data["types"], np.full(two_parts.mesh.n_cells, 24))
        assert_array_equal(data["temperature"], frame.temperature[points.node])
        assert_array_equal(data["heat_flux"], frame.heat_flux())
        assert_array_equal(data["part"], points.part)


@pytest.mark.parametrize("kind", ["vtkhdf", "pvd"])
def test_files_say_what_they_cannot(case, tmp_path, kind):
    write = getattr(case, f"to_{kind}")
    with pytest.raises(StoreError, match=r"does not exist|cannot be made"):
        write(tmp_path / "none" / f"heat.{kind}")
    with pytest.raises(DesignTwinError, match="no field 'temprature'; did you mean 'temperature'"):
        write(tmp_path / f"heat.{kind}", ["temprature"])
    assert not list(tmp_path.iterdir())


def test_a_writer_that_fails_leaves_no_file(case, tmp_path, monkeypatch):
    (tmp_path / "heat.vtkhdf").write_text("what was there")

    def broken(*_):
        yield {"temperature": case.frames[0].temperature[case.points.node]}
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(case), "_data", broken)
    with pytest.raises(StoreError, match="No space left"):
        case.to_vtkhdf(tmp_path / "heat.vtkhdf")
    assert [p.name for p in tmp_path.iterdir()] == ["heat.vtkhdf"]
    assert (tmp_path / "heat.vtkhdf").read_text() == "what was there"


def test_the_index_of_a_series_names_its_files_beside_it(case, tmp_path):
    path = case.to_pvd(tmp_path / "warm & up.pvd")
    sets = ET.parse(path).getroot().findall(".//DataSet")
    assert [float(one.get("timestep")) for one in sets] == TIMES.tolist()
    for one in sets:
        assert (tmp_path / one.get("file")).is_file()
