"""Every amount is one type; nothing outside what was stated is guessed."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from designtwin.errors import DesignTwinError, ModelError, UnitError
from designtwin.model.magnitude import Magnitude, field, nodal, table
from designtwin.plain import Plain

STEEL = table(
    over="temperature", at=["20 degC", "200 degC", "400 degC"], values=["210 GPa", "189 GPa", 147e9]
)


def of(value, dimension="modulus", shape=(), name="youngs_modulus"):
    return Magnitude.of(value, dimension, name=name, shape=shape)


def through_json(thing):
    return Plain.from_dict(json.loads(json.dumps(thing.to_dict())))


def test_a_constant_is_the_same_at_every_place():
    assert of("210 GPa").value == 210e9
    assert of("210 GPa").at().shape == ()
    assert_array_equal(of(210e9).at(points=np.zeros((4, 3))), np.full(4, 210e9))
    force = of(("0 N", "0 N", "-2.5 kN"), "force", (3,))
    assert_array_equal(force.at(points=np.zeros((2, 3))), [[0, 0, -2500.0]] * 2)
    assert_array_equal(force.at(), [0, 0, -2500.0])
    with pytest.raises(ModelError, match="single constant"):
        _ = force.value


def test_a_table_is_linear_between_its_rows():
    modulus = of(STEEL)
    assert_allclose(modulus.at(temperature=np.array([293.15, 383.15, 673.15])), [210e9, 199.5e9, 147e9])
    assert modulus.at(temperature=300.0).shape == ()
    assert modulus.at(points=np.zeros((5, 3)), temperature=293.15).shape == (5,)
    assert modulus.at(temperature=np.full((2, 4), 300.0)).shape == (2, 4)
    pull = of(
        table(over="time", at=["0 s", "1 s"], values=[("0 N", "0 N", "0 N"), (1.0, 2.0, 3.0)]), "force", (3,)
    )
    assert_allclose(pull.at(time=np.array([0.5, 1.0])), [[0.5, 1, 1.5], [1, 2, 3]])


def test_outside_a_table_nothing_is_guessed():
    with pytest.raises(ModelError, match=r"youngs_modulus .* from 20 °C to 400 °C; 499.9 °C is outside"):
        of(STEEL).at(temperature=np.array([300.0, 773.0]))
    with pytest.raises(ModelError, match="state Temperature"):
        of(STEEL).at(points=np.zeros((1, 3)))
    held = of(table(over="temperature", at=[300, 400], values=[1.0, 2.0], outside="hold"))
    assert_array_equal(held.at(temperature=np.array([0.0, 1000.0])), [1.0, 2.0])
    assert of(STEEL).at(temperature=293.15 * (1 - 1e-12)) == 210e9  # rounding is no extrapolation


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (table(over="temperature", at=[300, 300], values=[1, 2]), "at must increase; row 2"),
        (table(over="temperature", at=["40 degC", "20 degC"], values=[1, 2]), "row 2 .20 °C. follows 40 °C"),
        (table(over="temperature", at=[300], values=[1]), "at least two rows"),
        (table(over="temperature", at=[300, 400], values=[1, 2, 3]), "2 rows and values of shape"),
        ((1.0, 2.0, 3.0), "wants one value, got 3"),
        (field(np.zeros((3, 3)), [1, 2]), "2 values and points of shape"),
        (field([[0, 0, 0]], [[1, 2, 3]]), "values have shape"),
        (nodal([]), "values have shape"),
    ],
)
def test_what_does_not_fit_is_named(value, sentence):
    with pytest.raises(ModelError, match=sentence):
        of(value)


def test_units_are_checked_everywhere():
    with pytest.raises(UnitError, match=r"youngs_modulus\[1\]: '3 kN' is a force; a modulus is wanted"):
        of(table(over="temperature", at=[300, 400], values=["210 GPa", "3 kN"]))
    with pytest.raises(UnitError, match=r"youngs_modulus at\[0\]: '1 s' is a time; a temperature"):
        of(table(over="temperature", at=["1 s", "2 s"], values=[1, 2]))
    with pytest.raises(UnitError, match="a force is given; a modulus is wanted"):
        of(of("1 N", "force"))
    with pytest.raises(UnitError, match="not finite"):
        of(nodal([1.0, np.nan]))
    with pytest.raises(ModelError, match="'temprature'"):
        table(over="temprature", at=[1, 2], values=[1, 2])
    assert of(of("1 MPa", "pressure"), "stress").dimension == "stress"


CUBE = np.stack(np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0], [0.0, 0.5], indexing="ij"), axis=-1).reshape(-1, 3)


@settings(max_examples=25, deadline=None)
@given(
    slope=st.tuples(*[st.floats(-5, 5)] * 3),
    seed=st.integers(0, 1000),
    keep=st.sampled_from([[0, 1, 2], [0, 1], [0, 2], [1, 2], [0], [1]]),
)
def test_a_linear_field_is_exact_in_space_plane_and_line(slope, seed, keep):
    mask = np.isin([0, 1, 2], keep)
    origin = np.array([3.0, -1.0, 2.0])
    points = np.unique(CUBE * mask, axis=0) + origin
    rng = np.random.default_rng(seed)
    inside = origin + rng.random((20, 3)) * [2.0, 1.0, 0.5] * mask
    where = np.concatenate([inside, points])  # corners and edges of the hull as well
    values = points @ np.array(slope) + 7.0
    assert_allclose(of(field(points, values)).at(points=where), where @ np.array(slope) + 7.0, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_places_on_the_hull_are_inside_even_when_a_file_rounded_them(seed):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    on_faces = rng.random((300, 3)) * [2.0, 1.0, 0.5]
    side = rng.integers(0, 3, 300)
    on_faces[np.arange(300), side] = np.array([2.0, 1.0, 0.5])[side] * rng.integers(0, 2, 300)
    rounded = (on_faces @ turn.T).astype(np.float32).astype(np.float64)
    got = of(field(CUBE @ turn.T, CUBE[:, 0])).at(points=rounded)
    assert_allclose(got, on_faces[:, 0], atol=1e-5)


def test_outside_the_hull_nothing_is_guessed():
    values = CUBE[:, 0]
    beyond = np.array([[1.0, 0.5, 0.2], [3.0, 0.5, 0.2]])
    with pytest.raises(ModelError, match=r"1 of 2 places, the first at \(3000, 500, 200\) mm, lie outside"):
        of(field(CUBE, values)).at(points=beyond)
    assert_allclose(of(field(CUBE, values, outside="hold")).at(points=beyond), [1.0, 2.0])
    flat = field(CUBE[CUBE[:, 2] == 0.0], values[CUBE[:, 2] == 0.0])
    with pytest.raises(ModelError, match="lie outside the hull"):
        of(flat).at(points=np.array([[1.0, 0.5, 0.2]]))
    one = of(field([[1.0, 0.0, 0.0]], [4.0]))
    assert one.at(points=np.array([[1.0, 0.0, 0.0]])) == [4.0]
    with pytest.raises(ModelError, match="lie outside"):
        one.at(points=np.array([[1.0, 0.1, 0.0]]))


def test_nearest_takes_the_nearest_value():
    near = of(field([("0 mm", "0 mm"), ("10 mm", "0 mm")], ["1 MPa", "2 MPa"], interpolation="nearest"))
    assert_array_equal(
        near.at(points=np.array([[0.004, 0, 0], [0.006, 0, 0], [5.0, 5.0, 5.0]])), [1e6, 2e6, 2e6]
    )
    assert of(field([[0, 0, 0]], [3.0], interpolation="nearest")).at(points=np.ones((1, 3))) == [3.0]


def test_nodal_values_belong_to_the_points_of_the_mesh():
    hot = of(nodal(["20 degC", "30 degC"]), "temperature")
    assert_allclose(hot.at(points=np.zeros((2, 3))), [293.15, 303.15])
    with pytest.raises(ModelError, match="2 nodal values; the mesh has 3 points"):
        hot.at(points=np.zeros((3, 3)))
    with pytest.raises(ModelError, match="asked for without a place"):
        hot.at()


def test_a_function_of_position_works_but_cannot_be_saved():
    push = of(lambda x: 1e3 * x[:, 0], "pressure", name="magnitude")
    assert_allclose(push.at(points=CUBE), 1e3 * CUBE[:, 0])
    assert push.at(points=np.zeros((2, 4, 3))).shape == (2, 4)
    with pytest.raises(DesignTwinError, match="tabulate it with"):
        push.to_dict()
    with pytest.raises(ModelError, match=r"magnitude: the function .* returned shape"):
        of(lambda x: x, "pressure", name="magnitude").at(points=CUBE)
    with pytest.raises(ModelError, match="not finite at"):
        of(lambda x: np.where(x[:, 0] > 0, np.inf, 1.0), "pressure").at(points=CUBE)


@pytest.mark.parametrize(
    "magnitude",
    [
        of("210 GPa"),
        of((1.0, 2.0, 3.0), "force", (3,)),
        of(STEEL),
        of(table(over="time", at=[0, 1], values=np.eye(3)[:2], outside="hold"), "force", (3,)),
        of(field(CUBE, CUBE[:, 0], outside="hold")),
        of(
            field(np.random.default_rng(1).random((50, 3)), np.ones((50, 3)), interpolation="nearest"),
            "force",
            (3,),
        ),
        of(nodal(np.linspace(300, 400, 100)), "temperature"),
        of(nodal(np.ones((2, 3))), "force", (3,)),
    ],
    ids=str,
)
def test_magnitudes_survive_json(magnitude):
    back = through_json(magnitude)
    assert back == magnitude
    assert back.shape == magnitude.shape
    assert back.kind == magnitude.kind
    points = np.full((len(magnitude.values), 3), 0.5) if magnitude.kind == "nodal" else np.full((1, 3), 0.5)
    at = {"points": points, "temperature": 300.0, "time": 0.5}
    assert_array_equal(back.at(**at), magnitude.at(**at))
    assert json.dumps(back.to_dict()) == json.dumps(magnitude.to_dict())


def test_content_tells_amounts_apart_and_not_their_spelling():
    assert of("210 GPa") == of("210000 MPa") == of(210e9, name="other")
    assert of("210 GPa").content_hash() != of("211 GPa").content_hash()
    assert of(nodal([1.0, 2.0])).content_hash() != of((1.0, 2.0, 3.0), "force", (3,)).content_hash()
    assert of(STEEL).to_dict()["values"] == [210e9, 189e9, 147e9]


@pytest.mark.parametrize(
    "damage",
    [{"kind": "guess"}, {"dimension": "luck"}, {"extra": 1}, {"knots": [1, 1, 2]}, {"values": ["a", 1, 2]}],
)
def test_damaged_plain_data_is_refused(damage):
    with pytest.raises(DesignTwinError):
        Plain.from_dict(of(STEEL).to_dict() | damage)


def test_values_are_kept_from_change():
    given = np.array([1.0, 2.0])
    magnitude = of(nodal(given))
    given[0] = 9.0
    assert magnitude.values[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        magnitude.values[0] = 9.0
    out = magnitude.at(points=np.zeros((2, 3)))
    out[0] = 9.0
    assert magnitude.values[0] == 1.0


def test_it_reads_well():
    assert str(of("210 GPa")) == "210000 MPa"
    assert str(of(STEEL)) == "table of 3 rows over temperature, 20 °C to 400 °C"
    assert repr(of("2 kN", "force")) == "<Magnitude force: 2000 N>"
