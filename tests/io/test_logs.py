"""Sensor logs: what loggers write becomes a table over time; what cannot be read is named by its line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import designtwin as dtw
from designtwin.errors import DesignTwinError, ModelError, UnitError
from designtwin.model.magnitude import Magnitude


def written(tmp_path, text, name="log.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_column_stands_where_a_table_over_time_may(tmp_path):
    path = written(tmp_path, "t,power,inlet,state\n0,1,20,on\n1.5,2,21,on\n3,5,25,off\n")
    log = dtw.read_log(path, time="t", units={"power": "kW", "inlet": "degC"})
    assert list(log) == ["power", "inlet"]
    assert len(log) == 3
    load = dtw.HeatFlow(on="face", total=log["power"])
    assert_allclose(load.total.at(time=np.array([0.0, 0.75, 3.0])), [1000.0, 1500.0, 5000.0])
    assert_array_equal(load.breakpoints, [0.0, 1.5, 3.0])
    assert load.varies == {"time"}
    inlet = Magnitude.of(log["inlet"], "temperature", name="ambient")
    assert_allclose(inlet.at(time=3.0), 298.15)
    assert dtw.HeatFlow.from_dict(load.to_dict()) == load


def test_time_may_be_in_minutes_and_units_in_the_header(tmp_path):
    path = written(tmp_path, "# logger 7\n\ntime [min];power [W]\n0;1,5\n2;3,5\n")
    log = dtw.read_log(path, time="time")
    assert_array_equal(log.times, [0.0, 120.0])
    assert_array_equal(log["power"].si("power", name="total"), [1.5, 3.5])
    assert str(log["power"]) == "power: 2 readings, 0 s to 120 s, W"


def test_dates_count_from_the_first(tmp_path):
    path = written(
        tmp_path, "when\tT\n2026-05-01 12:00:00\t300\n2026-05-01 12:00:05.5\t301\n2026-05-02T12:00:00\t302\n"
    )
    assert_array_equal(dtw.read_log(path, time="when").times, [0.0, 5.5, 86400.0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t,p\n0,1\n2,3\n1,4\n", r"line 4: time must increase; '1' follows '2' of line 3"),
        ("t,p\n0,1\n0,3\n", "line 3: time must increase"),
        ("t,p\n0,1\n1,oops\n", "line 3: column 'p' holds 'oops', no finite number"),
        ("t,p\n0,1\n1,\n", "line 3: column 'p' is empty"),
        ("t,p\n0,1\n\n1,nan\n", "line 4: column 'p' holds 'nan'"),
        ("t,p\n0,1\n1,2,3\n", "line 3: 3 fields where 2 columns are named"),
        ("0,1\n1,2\n", "the first row names the columns"),
        ("t,p,p\n0,1,1\n1,2,2\n", "two columns are named 'p'"),
        ("t,p\n0,1\n", "at least two rows"),
        ("", "is empty"),
        ("time,p\n0,1\n1,2\n", "has no column 't'"),
        ("t,p\nnoon,1\none,2\n", "line 2: column 't' holds 'noon', neither"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(tmp_path, text, words):
    with pytest.raises(ModelError, match=words):
        dtw.read_log(written(tmp_path, text), time="t")


DIRTY = "t,p,q\n0,1,1\n1,,1\n2,3,nan\n3,4,1\n2.5,5,1\n3,6,1\n4,7,1\n5,8,1\n6,9,1\n"


def test_nothing_is_left_out_unless_said(tmp_path):
    path = written(tmp_path, DIRTY)
    with pytest.raises(
        ModelError, match=r"line 3: column 'p' is empty; .*clean=\"gaps\" leaves such rows out"
    ):
        dtw.read_log(path, time="t")
    with pytest.raises(
        ModelError, match=r"line 6: time must increase; '2.5' follows '3' of line 5 \(and so 1 ti"
    ):
        dtw.read_log(path, time="t", clean="gaps")
    with pytest.raises(ModelError, match=r"clean='gap', did you mean 'gaps'|clean='gap'"):
        dtw.read_log(path, time="t", clean="gap")


def test_what_is_left_out_is_counted_and_its_lines_named(tmp_path):
    log = dtw.read_log(written(tmp_path, DIRTY), time="t", clean=("gaps", "time"))
    assert_array_equal(log.times, [0.0, 3.0, 4.0, 5.0, 6.0])
    assert_array_equal(log["p"].values, [1.0, 4.0, 7.0, 8.0, 9.0])
    assert [note.split(": ", 1)[1] for note in log.notes] == [
        "left out 2 of 9 rows: rows with an empty or nan field (lines 3, 4)",
        "left out 2 of 9 rows: rows whose time is not later than all before (lines 6, 7)",
    ]
    assert all(note in str(log) for note in log.notes)


def test_a_clean_log_says_nothing_when_asked_to_clean(tmp_path):
    log = dtw.read_log(written(tmp_path, "t,p\n0,1\n1,2\n"), time="t", clean=("gaps", "time"))
    assert log.notes == ()
    assert len(log) == 2


def test_only_columns_that_are_read_can_have_gaps(tmp_path):
    path = written(tmp_path, "t,p,dead\n0,1,\n1,2,\n2,3,\n")
    assert list(dtw.read_log(path, time="t", columns=["p"], clean="gaps")) == ["p"]
    assert len(dtw.read_log(path, time="t", columns=["p"])) == 3
    with pytest.raises(ModelError, match="has no column 'pp'"):
        dtw.read_log(path, time="t", columns=["pp"])
    with pytest.raises(ModelError, match=r"'dead' is empty .and so in 2 more rows: lines 3, 4."):
        dtw.read_log(path, time="t", columns=["p", "dead"])


def test_a_column_is_none_of_text_because_its_first_field_is_empty(tmp_path):
    path = written(tmp_path, "t,p\n0,\n1,2\n2,3\n3,4\n")
    with pytest.raises(ModelError, match="line 2: column 'p' is empty"):
        dtw.read_log(path, time="t")
    assert_array_equal(dtw.read_log(path, time="t", clean="gaps")["p"].values, [2.0, 3.0, 4.0])


def test_a_log_of_which_most_would_go_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"3 rows with an empty or nan field of 4 would be left out"):
        dtw.read_log(written(tmp_path, "t,p\n0,1\n1,\n2,nan\n3,\n"), time="t", clean="gaps")
    with pytest.raises(ModelError, match=r"2 rows whose time .* of 3 would be left out"):
        dtw.read_log(written(tmp_path, "t,p\n9,1\n1,2\n2,3\n"), time="t", clean="time")


def test_words_in_a_column_of_numbers_are_never_left_out(tmp_path):
    with pytest.raises(ModelError, match="line 3: column 'p' holds 'oops', no finite number; mend"):
        dtw.read_log(written(tmp_path, "t,p\n0,1\n1,oops\n2,\n3,4\n"), time="t", clean="gaps")


def test_times_may_have_gaps_too_in_any_unit(tmp_path):
    path = written(tmp_path, "t [min],p\n0,1\n,2\n2,3\n3,4\n")
    assert_array_equal(dtw.read_log(path, time="t", clean="gaps").times, [0.0, 120.0, 180.0])
    dates = written(
        tmp_path, "t,p\n2026-05-01 12:00:00,1\n,2\n2026-05-01 12:00:09,3\n2026-05-01 12:01:00,3\n"
    )
    assert_array_equal(dtw.read_log(dates, time="t", clean="gaps").times, [0.0, 9.0, 60.0])


def test_missing_files_columns_and_wrong_units_are_named(tmp_path):
    path = written(tmp_path, "t,power\n0,1\n1,2\n")
    with pytest.raises(ModelError, match=r"did you mean 'log.csv'"):
        dtw.read_log(tmp_path / "logs.csv", time="t")
    with pytest.raises(ModelError, match="did you mean 'power'"):
        dtw.read_log(path, time="t", units={"powr": "W"})
    log = dtw.read_log(path, time="t", units={"power": "N"})
    with pytest.raises(ModelError, match="did you mean 'power'"):
        log["pover"]
    with pytest.raises(UnitError, match=r"HeatFlow total, column 'power' of .*log.csv: .* is a force"):
        dtw.HeatFlow(on="face", total=log["power"])


@settings(max_examples=40, deadline=None)
@given(
    st.text(alphabet='t,p;\n0123456789.e-+ \t"#[]na', max_size=60), st.sampled_from([(), ("gaps", "time")])
)
def test_no_text_breaks_the_reader(tmp_path_factory, text, clean):
    path = written(tmp_path_factory.mktemp("logs"), "t,p\n" + text)
    try:
        log = dtw.read_log(path, time="t", clean=clean)
    except DesignTwinError:
        return
    assert (np.diff(log.times) > 0.0).all()
    assert all(np.isfinite(log[name].values).all() for name in log)


def test_columns_set_aside_are_told_and_a_log_without_numbers_is_refused(tmp_path):
    path = written(tmp_path, "t;a;state;blank\n0;1,5;up;\n1;2,5;down;\n")
    log = dtw.read_log(path, time="t")
    assert list(log) == ["a"]
    assert log.notes == (f"{path}: columns of text set aside: 'state' ('up')",)
    with pytest.raises(ModelError, match=r"no column of numbers .* columns of text: 'a' \('1.234,5'\)"):
        dtw.read_log(written(tmp_path, "t;a\n0;1.234,5\n1;2.345,5\n"), time="t")
    with pytest.raises(ModelError, match="no column of numbers but the times is read"):
        dtw.read_log(path, time="t", columns=[])


def test_a_unit_that_contradicts_the_name_is_refused(tmp_path):
    path = written(tmp_path, "t [ms],a [kN]\n0,1\n1000,2\n")
    with pytest.raises(ModelError, match="'a' is in 'kN' by its name, units says 'N'"):
        dtw.read_log(path, time="t", units={"a": "N"})
    assert dtw.read_log(path, time="t", units={"a": "kN"}).units["a"] == "kN"


def test_a_wrong_encoding_and_a_wrong_type_are_told(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes("t,Ger\xe4t\n0,1\n1,2\n".encode("latin1"))
    with pytest.raises(ModelError, match="save it as UTF-8"):
        dtw.read_log(path, time="t")
    with pytest.raises(ModelError, match="clean=True"):
        dtw.read_log(written(tmp_path, "t,p\n0,1\n1,2\n"), time="t", clean=True)
