"""Amounts over time and temperature: functions, histories at nodes, slopes, breakpoints."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import designtwin as dtw
from designtwin.errors import DesignTwinError, ModelError, UnitError
from designtwin.model.magnitude import Magnitude
from designtwin.plain import Plain

PLACES = np.zeros((3, 3))
ROWS = np.array([[300.0, 310.0, 320.0], [310.0, 330.0, 350.0], [310.0, 300.0, 290.0]])


def of(value, dimension="conductivity", shape=(), name="conductivity"):
    return Magnitude.of(value, dimension, name=name, shape=shape)


def history(**options):
    return of(dtw.nodal(ROWS, ["0 s", "10 s", "1 min"], **options), "temperature", name="value")


# Functions


def test_a_function_of_time_or_temperature_is_asked_for_it():
    falls = of(dtw.function(lambda T: 80.0 - 0.05 * T, over="temperature"))
    assert falls.depends_on == "temperature"
    assert_allclose(falls.at(temperature=np.array([[300.0, 400.0]])), [[65.0, 60.0]])
    assert falls.at(temperature=300.0).shape == ()
    with pytest.raises(
        ModelError, match="is a function of temperature; it is asked for without a temperature"
    ):
        falls.at(time=1.0)
    duty = of(
        dtw.function(lambda t: 3.0 * t, over="time", breakpoints=["1 min", 90.0]), "power", name="total"
    )
    assert_array_equal(duty.breakpoints, [60.0, 90.0])
    assert duty.frozen(2.0).is_constant
    assert duty.frozen(2.0).value == 6.0
    assert str(duty) == "function of time"
    pull = of(dtw.function(lambda t: np.stack([t, 0 * t, -t], axis=-1), over="time"), "force", (3,))
    assert_allclose(pull.at(time=2.0), [2.0, 0.0, -2.0])


def test_a_function_that_returns_one_number_is_constant_in_time():
    assert_allclose(of(dtw.function(lambda t: 5.0, over="time"), "power").at(time=np.array([0.0, 1.0])), 5.0)


def test_a_function_cannot_be_saved_and_says_so():
    with pytest.raises(DesignTwinError, match="tabulate it"):
        of(dtw.function(np.sqrt, over="temperature")).content_hash()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dtw.function(5.0, over="time"), "wants a callable of time"),
        (lambda: dtw.function(np.sqrt, over="place"), "'time' or 'temperature'"),
        (lambda: dtw.function(np.sqrt, over="temperature", breakpoints=[1.0]), "breakpoints are times"),
        (
            lambda: of(dtw.function(np.sqrt, over="time", breakpoints=[2.0, 1.0])),
            r"row 2 \(1 s\) follows 2 s",
        ),
        (lambda: of(dtw.nodal(ROWS, [0.0, 1.0])), "has 2 instants and values of shape"),
        (lambda: of(dtw.nodal(ROWS[0], [0.0, 1.0])), "instants and values of shape"),
        (lambda: of(dtw.nodal(ROWS, [0.0, 2.0, 1.0])), r"times must increase; row 3 \(1 s\) follows 2 s"),
        (lambda: of(dtw.nodal(ROWS[:1], [0.0])), "at least two instants"),
    ],
)
def test_what_is_no_function_or_history_is_refused(make, words):
    with pytest.raises(ModelError, match=words):
        make()


def test_times_of_a_table_must_increase():
    """The bad input of every logger: the row is named."""
    with pytest.raises(ModelError, match=r"HeatFlow total: at must increase; row 3 \(1 s\) follows 2 s"):
        dtw.HeatFlow(on="x", total=dtw.table(over="time", at=["0 s", "2 s", "1 s"], values=[1, 2, 3]))


# Histories at nodes


def test_a_history_is_linear_between_its_instants():
    T = history()
    assert T.depends_on == "points"
    assert T.over == "time"
    assert_array_equal(T.breakpoints, [0.0, 10.0, 60.0])
    assert_allclose(T.at(points=PLACES, time=5.0), [305.0, 320.0, 335.0])
    assert_array_equal(T.at(points=PLACES, time=10.0), ROWS[1])
    assert_allclose(T.at(points=PLACES, time=35.0), [310.0, 315.0, 320.0])
    frozen = T.frozen(5.0)
    assert frozen.over is None
    assert_allclose(frozen.at(points=PLACES), [305.0, 320.0, 335.0])
    assert "3 points and 3 instants, 0 s to 60 s" in str(T)


def test_a_history_is_asked_for_one_time_inside_of_it():
    with pytest.raises(ModelError, match=r"value is a history at nodes over time; .* without a time"):
        history().at(points=PLACES)
    with pytest.raises(ModelError, match="ask it at one time"):
        history().at(points=PLACES, time=np.array([1.0, 2.0]))
    with pytest.raises(ModelError, match="61 s is outside: extend the history"):
        history().at(points=PLACES, time=61.0)
    assert_array_equal(history(outside="hold").at(points=PLACES, time=99.0), ROWS[2])
    with pytest.raises(ModelError, match="3 nodal values; the mesh has 4 points"):
        history().at(points=np.zeros((4, 3)), time=1.0)


def test_a_history_of_vectors_and_its_units():
    pull = of(dtw.nodal([[("1 kN", 0, 0)] * 2, [("3 kN", 0, 0)] * 2], [0.0, 1.0]), "force", (3,))
    assert_allclose(pull.at(points=np.zeros((2, 3)), time=0.5), [[2000.0, 0, 0]] * 2)
    with pytest.raises(UnitError, match="is a force"):
        of(dtw.nodal([["1 N"], ["2 N"]], [0.0, 1.0]), "temperature")


@pytest.mark.parametrize("outside", ["raise", "hold"])
def test_histories_survive_json_and_differ_by_their_times(outside):
    T = history(outside=outside)
    again = Plain.from_dict(json.loads(json.dumps(T.to_dict())))
    assert again == T
    assert_array_equal(again.at(points=PLACES, time=20.0), T.at(points=PLACES, time=20.0))
    later = of(dtw.nodal(ROWS, [0.0, 10.0, 61.0], outside=outside), "temperature")
    assert later.content_hash() != T.content_hash()


# Slopes


@settings(max_examples=60, deadline=None)
@given(
    knots=st.lists(st.floats(200.0, 900.0), min_size=2, max_size=6, unique_by=lambda x: round(x, 1)),
    seed=st.integers(0, 99),
    vector=st.booleans(),
)
def test_the_slope_of_a_table_is_its_derivative(knots, seed, vector):
    rng = np.random.default_rng(seed)
    shape = (3,) if vector else ()
    at = np.sort(knots)
    values = rng.uniform(1, 9, (len(at), *shape))
    held = of(dtw.table(over="temperature", at=at, values=values, outside="hold"), shape=shape)
    T = rng.uniform(at[0] - 50.0, at[-1] + 50.0, 40)
    T = T[np.abs(T[:, None] - at).min(axis=1) > 1e-3]
    d = 1e-4
    rise = (held.at(temperature=T + d) - held.at(temperature=T - d)) / (2.0 * d)
    assert_allclose(
        held.slope(temperature=T), rise, atol=1e-6 * max(1.0, float(np.abs(rise).max(initial=0.0)))
    )


def test_the_slope_at_a_row_is_that_of_the_piece_above_and_ends_hold():
    k = dtw.table(over="temperature", at=[300.0, 400.0, 500.0], values=[50.0, 40.0, 45.0], outside="hold")
    assert_allclose(of(k).slope(temperature=np.array([299.0, 300.0, 400.0, 500.0, 501.0])),
                    [0.0, -0.1, 0.05, 0.0, 0.0])  # fmt: skip
    strict = of(dtw.table(over="temperature", at=[300.0, 400.0], values=[50.0, 40.0]))
    assert strict.slope(temperature=400.0) == -0.1
    with pytest.raises(ModelError, match="is outside"):
        strict.slope(temperature=401.0)


def test_the_slope_of_a_function_is_good_to_nine_digits():
    k = of(dtw.function(lambda T: 1e-4 * T**3 + np.exp(-T / 300.0), over="temperature"))
    T = np.array([[200.0, 300.0], [500.0, 1500.0]])
    assert_allclose(k.slope(temperature=T), 3e-4 * T**2 - np.exp(-T / 300.0) / 300.0, rtol=1e-9)


def test_what_does_not_depend_on_temperature_has_no_slope():
    for still in (of(5.0), of(dtw.function(lambda t: t, over="time")), of(lambda x: x[:, 0])):
        assert_array_equal(still.slope(temperature=np.zeros((2, 3))), np.zeros((2, 3)))
        assert still.frozen(3.0).depends_on == still.depends_on or still.over == "time"
