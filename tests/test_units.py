"""What the user writes becomes SI, and a value of another dimension is refused with help."""

import contextlib
import subprocess
import sys

import numpy as np
import pint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from designtwin import units
from designtwin.errors import UnitError
from designtwin.units import display_units, from_si, show, symbol, to_si, unit_factor


@pytest.fixture(autouse=True)
def default_display_units():
    yield
    display_units("mm", "N", "MPa", "degC")


@pytest.mark.parametrize(
    ("text", "dimension", "si"),
    [
        ("2.5 kN", "force", 2500.0),
        ("-2.5e3 N", "force", -2500.0),
        ("4MPa", "pressure", 4e6),
        ("7 N/mm2", "pressure", 7e6),
        ("7 N/mm²", "stress", 7e6),
        ("1 psi", "pressure", 6894.757293168361),  # lbf/in^2 from their definitions
        ("3 m2", "area", 3.0),
        ("1200 mm4", "inertia", 1.2e-9),
        ("85 degC", "temperature", 358.15),
        ("85 °C", "temperature", 358.15),
        ("212 degF", "temperature", 373.15),
        ("10 K", "temperature", 10.0),
        ("10 K", "temperature_difference", 10.0),
        ("5 degC", "temperature_difference", 5.0),
        ("5 delta_degC", "temperature_difference", 5.0),
        ("9 degF", "temperature_difference", 5.0),
        ("2 g", "acceleration", 19.6133),
        ("2 g", "mass", 0.002),
        ("7.85 g/cm3", "density", 7850.0),
        ("500 ue", "strain", 500e-6),
        ("0.2 %", "strain", 0.002),
        ("0.3", "dimensionless", 0.3),
        ("1e-99999999999999999999 mm", "length", 0.0),
        ("12e-6/K", "expansion", 12e-6),
        ("12 um/(m K)", "expansion", 12e-6),
        ("3000 rpm", "angular_velocity", 314.1592653589793),
        ("3000 rpm", "angular_velocity", 3000 * 2 * np.pi / 60),
        ("50 Hz", "frequency", 50.0),
        ("180 deg", "angle", np.pi),
        ("50 W/(m·K)", "conductivity", 50.0),
        ("10 lbf", "force", 44.482216152605),
        ("1 in", "length", 0.0254),
    ],
)
def test_a_number_with_its_unit_becomes_si(text, dimension, si):
    assert_allclose(to_si(text, dimension, name="value"), si, rtol=1e-14)


def test_decimal_millimeters_are_the_nearest_floats():
    for tenths in range(1, 2000):
        text = f"{tenths / 10:g}"
        assert to_si(f"{text} mm", "length", name="x") == float(f"{text}e-3")


def test_numbers_and_arrays_are_si_already():
    assert to_si(3, "force", name="x") == 3.0
    assert isinstance(to_si(np.float32(3), "force", name="x"), float)
    given_array = np.arange(3)
    out = to_si(given_array, "force", name="x")
    assert out.dtype == np.float64
    out[0] = 9.0
    assert given_array[0] == 0  # its own memory


def test_sequences_mix_strings_and_numbers():
    assert_array_equal(to_si(("0 N", "0 N", "-2.5 kN"), "force", name="value"), [0.0, 0.0, -2500.0])
    assert_array_equal(to_si([["1 mm", 2.0], [3, "4 m"]], "length", name="x"), [[0.001, 2.0], [3.0, 4.0]])
    assert_array_equal(to_si(np.array(["1 mm", "2 m"]), "length", name="x"), [0.001, 2.0])


def test_quantities_of_any_registry_are_understood():
    theirs = pint.UnitRegistry()
    assert to_si(theirs.Quantity(2.5, "kN"), "force", name="x") == 2500.0
    assert_array_equal(to_si(theirs.Quantity(np.array([1.0, 2.0]), "mm"), "length", name="x"), [1e-3, 2e-3])
    assert_allclose(to_si(theirs.Quantity(85.0, "degC"), "temperature", name="x"), 358.15)
    assert to_si(units.registry().Quantity(3.0, "ue"), "strain", name="x") == 3e-6
    with pytest.raises(UnitError, match="is a force; a pressure is wanted"):
        to_si(theirs.Quantity(2.5, "kN"), "pressure", name="x")


@pytest.mark.parametrize(
    ("value", "dimension", "sentence"),
    [
        ("2.5 kN", "pressure", "'2.5 kN' is a force; a pressure is wanted, e.g. '4 MPa'"),
        ("2.5 kn", "force", "did you mean 'kN'"),
        ("85 C", "temperature", "did you mean 'degC'"),
        ("10 lb", "force", "is a mass.*did you mean 'lbf'"),
        ("5 mpa", "pressure", "unit 'mpa' in '5 mpa' is unknown.*did you mean 'MPa'"),
        ("5 Mpaa", "pressure", "unknown.*'MPa'"),
        ("5 millimetr", "length", "unknown.*millimeter"),
        ("2,5 kN", "force", "holds a comma"),
        ("1,000 N", "force", "holds a comma"),
        ("5", "length", "has no unit"),
        ("", "length", "does not begin with a number"),
        ("kN", "force", "does not begin with a number"),
        ("2 5 kN", "force", "cannot be read as a unit"),
        ("3 'mm", "length", "cannot be read as a unit"),
        ("3 m**9**9**9**9", "length", "cannot be read as a unit"),
        ("3 mm**999999", "length", "cannot be read as a unit"),
        ("3 dBm", "power", "cannot be read as a unit"),
        ("10 delta_degC", "temperature", "is a temperature difference; a temperature is wanted"),
        ("-300 degC", "temperature", "below absolute zero"),
        (-1.0, "temperature", "below absolute zero"),
        (np.array([300.0, -1.0]), "temperature", "below absolute zero"),
        ("3000 rpm", "frequency", "is an angular velocity; a frequency is wanted"),
        ("50 Hz", "angular_velocity", "is a frequency; an angular velocity is wanted"),
        ("30 deg", "dimensionless", "is an angle; a plain number is wanted"),
        ("1e400 N", "force", "not finite"),
        (float("nan"), "force", "not finite"),
        (float("inf"), "force", "not finite"),
        (np.array([1.0, np.nan]), "force", "not finite"),
        (True, "force", "True is no number"),
        (np.bool_(True), "force", "is no number"),
        ([1.0, True], "force", r"value\[1\]: True is no number"),
        (None, "force", "None is no number"),
        ({}, "force", "dict"),
        (1 + 2j, "force", "complex"),
        (["1 N", ["2 N"]], "force", "unequal length"),
        ("3 N", "preasure", "did you mean 'pressure'"),
    ],
)
def test_refusals_say_what_was_given_and_what_is_wanted(value, dimension, sentence):
    with pytest.raises(UnitError, match=sentence) as caught:
        to_si(value, dimension, name="value")
    assert str(caught.value).startswith("value")


def test_import_and_plain_numbers_load_no_pint():
    code = (
        "import sys, designtwin.units as u; u.to_si([1.0, 2.0], 'force', name='x'); "
        "[u.show(1.0, d) for d in u.DIMENSIONS]; "
        "print(sorted({'pint', 'scipy', 'numba'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_every_example_is_of_its_own_dimension():
    for key, dimension in units._DIMENSIONS.items():
        assert np.isfinite(to_si(dimension.example, key, name=key))


def test_display_symbols_and_factors_agree():
    """The composed factor of every display unit equals pint's reading of its printed symbol."""
    for choice in (("mm", "N", "MPa", "degC"), ("m", "kN", "Pa", "K"), ("in", "lbf", "psi", "degF")):
        display_units(*choice)
        for dimension in set(units.DIMENSIONS) - {"temperature", "temperature_difference"}:
            text = symbol(dimension).replace("°", "deg") or "dimensionless"
            factor = 1.0 / from_si(1.0, dimension)
            # In g²/Hz the g is that of gravity, which only its dimension tells from grams.
            gravity = dimension == "acceleration_density"
            read = to_si(f"1 {text}", dimension, name="it") if gravity else units._unit(text).factor
            assert_allclose(read, factor, rtol=1e-13, err_msg=dimension)


def test_display_units_return_what_was_set():
    assert show(0.0003961, "length") == "0.3961 mm"
    previous = display_units("in", "lbf", "psi", "degF")
    assert previous == ("mm", "N", "MPa", "degC")
    assert show(0.0254, "length") == "1 in"
    assert show(373.15, "temperature") == "212 °F"
    assert show(5.0, "temperature_difference") == "9 °F"
    assert symbol("density") == "lb/in³"
    display_units(*previous)
    assert show(0.0254, "length") == "25.4 mm"
    assert display_units(force="kN") == previous
    assert symbol("stiffness") == "kN/mm"


@pytest.mark.parametrize(
    "choice", [{"length": "N"}, {"force": "mmm"}, {"temperature": "bar"}, {"pressure": 3}]
)
def test_display_units_of_another_dimension_are_refused(choice):
    with pytest.raises(UnitError):
        display_units(**choice)
    assert symbol("length") == "mm"


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (355e6, "stress", "355 MPa"),
        (210e9, "modulus", "210000 MPa"),
        (0.00396149, "length", "3.961 mm"),
        (358.15, "temperature", "85 °C"),
        (0.0, "force", "0 N"),
        (-1e-30, "force", "-1e-30 N"),
        (np.array([0.0, 0.0, -2500.0]), "force", "(0, 0, -2500) N"),
        (1.5, "dimensionless", "1.5"),
        (float("inf"), "dimensionless", "∞"),
        (float("nan"), "force", "nan N"),
        (12e-6, "expansion", "12 µm/(m·K)"),
        (7850.0, "density", "7850 kg/m³"),
        (np.pi / 6, "angle", "30°"),
    ],
)
def test_show(value, dimension, text):
    assert show(value, dimension) == text


def test_unit_factor_is_for_mesh_readers():
    assert unit_factor("mm", "length", name="length_unit") == 1e-3
    with pytest.raises(UnitError, match="length_unit: '1 N' is a force; a length is wanted"):
        unit_factor("N", "length", name="length_unit")
    with pytest.raises(UnitError, match="no unit"):
        unit_factor(3, "length", name="length_unit")


finite = st.floats(min_value=-1e9, max_value=1e9, allow_subnormal=False).filter(
    lambda x: x == 0 or abs(x) > 1e-9
)
pairs = st.sampled_from(
    [("kN", "N", "force", 1000), ("GPa", "MPa", "pressure", 1000), ("m", "mm", "length", 1000),
     ("m2", "mm2", "area", 1e6), ("kg", "g", "mass", 1000), ("h", "s", "time", 3600),
     ("kW", "W", "power", 1000), ("K", "degC", "temperature_difference", 1),
     ("N/mm", "N/m", "stiffness", 1000)]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(x=finite, pair=pairs)
def test_the_unit_does_not_change_the_value(x, pair):
    large, small, dimension, ratio = pair
    assert_allclose(
        to_si(f"{x!r} {large}", dimension, name="x"),
        to_si(f"{x * ratio!r} {small}", dimension, name="x"),
        rtol=1e-14,
    )


@settings(max_examples=200, deadline=None)
@given(x=st.floats(min_value=0, max_value=1e12), dimension=st.sampled_from(units.DIMENSIONS))
def test_what_is_shown_reads_back(x, dimension):
    text = show(x, dimension, digits=17).replace("°C", "degC").replace("°", "deg")
    assert_allclose(to_si(text, dimension, name="x"), x, rtol=1e-12, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(x=finite, digits=st.integers(1, 8))
def test_shown_digits_are_significant(x, digits):
    shown = float(show(x, "dimensionless", digits=digits))
    assert abs(shown - x) <= 0.5000001 * 10.0 ** (1 - digits) * abs(x)


@settings(max_examples=300, deadline=2000)
@given(text=st.text(max_size=40) | st.from_regex(r"[0-9]{1,3} ?[A-Za-z0-9*/^().%-]{0,20}", fullmatch=True))
def test_any_text_is_read_or_refused_by_our_own_error(text):
    with contextlib.suppress(UnitError):
        assert np.isfinite(to_si(text, "force", name="value"))


# What is read without pint


_PRODUCTS = (
    "W/(m*K)", "J/(kg*K)", "W/(m2*K)", "W/(m**2*K)", "1/K", "um/(m*K)", "kg/m3", "g/cm3", "N/mm2", "kN/mm",
    "N*mm", "kN*m", "rad/s", "rad/s2", "m/s^2", "mm/s2", "mm4", "m2*K/W", "MJ/(m3*K)", "kg*m2", "N*m/rad",
    "t/mm3", "kW/m2", "1/s", "K/W", "degC",
)  # fmt: skip


@pytest.mark.parametrize("text", [*units._EVERYDAY, *_PRODUCTS])
def test_everyday_units_are_what_pint_says(text):
    ours, theirs = units._everyday(text), units._by_pint(text)
    assert ours is not None
    assert ours.factor == pytest.approx(theirs.factor, rel=1e-15)
    assert ours._replace(factor=1.0, inverse=None) == theirs._replace(factor=1.0, inverse=None)
    assert ours.inverse == theirs.inverse or theirs.inverse is None


@pytest.mark.parametrize(
    "text", ["", "N/", "1/", "N//m", "W/m/K", "W/m*K", "m2.5", "kn", "N m", "m**-2", "(m)", "dB"]
)
def test_what_is_not_plainly_a_product_of_them_is_left_to_pint(text):
    assert units._everyday(text) is None


def test_the_units_of_the_library_and_of_dimensions_need_no_pint():
    code = (
        "import sys, designtwin as dtw\n"
        "from designtwin.units import to_si, DIMENSIONS, example_of\n"
        "[dtw.material(name) for name in dtw.material_names()]\n"
        "assert 'pint' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
