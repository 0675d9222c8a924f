"""Properties over temperature for heat: enthalpy is the integral of the capacity, melting included."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad

import designtwin as dtw
from designtwin.errors import MaterialError, MissingPropertyError, ModelError
from designtwin.plain import Plain

TABLE = dtw.table(
    over="temperature", at=["20 degC", "300 degC", "620 degC", "900 degC"],
    values=[880.0, 1000.0, 1200.0, 1100.0], outside="hold",
)  # fmt: skip
CAPACITIES = {
    "constant": 900.0,
    "table": TABLE,
    "function": dtw.function(lambda T: 700.0 + 0.6 * T - 1e-4 * T**2, over="temperature"),
}
MELTS = {"latent_heat": "397 kJ/kg", "melting": ("555 degC", "615 degC")}


def alloy(specific_heat=900.0, **more):
    return dtw.LinearElastic(
        **({"name": "alloy", "density": 2700.0, "conductivity": 150.0, "specific_heat": specific_heat} | more)
    )


@pytest.mark.parametrize("melts", [{}, MELTS], ids=["solid", "melting"])
@pytest.mark.parametrize("kind", CAPACITIES)
def test_enthalpy_is_the_exact_integral_of_the_capacity(kind, melts):
    made = alloy(CAPACITIES[kind], **melts)
    kinks = np.array([293.15, 573.15, 828.15, 888.15, 893.15, 1173.15])
    for T in (200.0, 273.15, 290.0, 573.15, 850.0, 900.0, 1300.0):
        low, high = min(T, 273.15), max(T, 273.15)
        ends = np.concatenate([[low], kinks[(kinks > low) & (kinks < high)], [high]])
        pieces = [quad(lambda t: float(made.heat_capacity(t)), a + 1e-12, b - 1e-12, epsrel=1e-12)[0]
                  for a, b in pairwise(ends)]  # fmt: skip
        assert float(made.enthalpy(T)) == pytest.approx(np.sign(T - 273.15) * sum(pieces), rel=1e-9, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(150.0, 1400.0), min_size=2, max_size=9), st.sampled_from(sorted(CAPACITIES)))
def test_enthalpy_rises_with_temperature_and_has_its_shape(temperatures, kind):
    made = alloy(CAPACITIES[kind], **MELTS)
    T = np.sort(np.array(temperatures))
    assert (np.diff(made.enthalpy(T)) >= 0.0).all()
    assert_array_equal(made.enthalpy(np.stack([T, T]))[1], made.enthalpy(T))
    assert made.enthalpy(float(T[0])).shape == ()


def test_the_order_of_asking_changes_no_digit():
    """Of a function, integrals that are known are kept; a wider range asked later gives the same."""
    first, second = alloy(CAPACITIES["function"]), alloy(CAPACITIES["function"])
    for T in (300.0, 1200.0, 180.0, 700.0):
        first.enthalpy(T)
    T = np.array([180.0, 300.0, 700.0, 1200.0])
    assert_allclose(first.enthalpy(T), second.enthalpy(T), rtol=1e-14)


def test_melting_takes_up_its_latent_heat():
    """2700 kg/m^3 times 397 kJ/kg between solidus and liquidus, and nothing anywhere else."""
    melts, solid = alloy(**MELTS), alloy()
    T = np.array([500.0, 828.15, 858.15, 888.15, 1000.0])
    extra = melts.enthalpy(T) - solid.enthalpy(T)
    assert_allclose(extra, 2700.0 * 397e3 * np.array([0.0, 0.0, 0.5, 1.0, 1.0]), rtol=1e-12)
    assert_allclose(melts.liquid_fraction(T), [0.0, 0.0, 0.5, 1.0, 1.0], atol=1e-12)
    assert_allclose(melts.heat_capacity(T) - solid.heat_capacity(T),
                    2700.0 * 397e3 / 60.0 * np.array([0, 1, 1, 0, 0]), rtol=1e-9)  # fmt: skip
    assert melts.varies_with_temperature("heat_capacity")
    assert not solid.varies_with_temperature("heat_capacity")
    assert solid.liquid_fraction(9e3) == 0.0


def test_ice_melts_at_the_zero_of_the_enthalpy():
    """A range that holds 0 degC shifts nothing: enthalpy is 0 there, and jumps by the latent heat."""
    ice = alloy(2000.0, density=917.0, latent_heat="334 kJ/kg", melting=("-1 degC", "1 degC"))
    assert float(ice.enthalpy(273.15)) == 0.0
    rise = float(ice.enthalpy(275.15) - ice.enthalpy(271.15))
    assert rise == pytest.approx(917.0 * (334e3 + 2000.0 * 4.0), rel=1e-12)


def test_density_of_stored_heat_is_that_at_20_degC():
    made = alloy(density=dtw.table(over="temperature", at=["20 degC", "600 degC"], values=[2700.0, 2570.0]))
    assert float(made.heat_capacity(800.0)) == pytest.approx(2700.0 * 900.0)
    assert float(made.enthalpy(373.15)) == pytest.approx(2700.0 * 900.0 * 100.0)


def test_a_table_that_ends_is_not_extended():
    made = alloy(dtw.table(over="temperature", at=["20 degC", "300 degC"], values=[880.0, 1000.0]))
    middle = 2700.0 * 0.5 * (880.0 + 1000.0) * 280.0
    assert float(made.enthalpy(573.15) - made.enthalpy(293.15)) == pytest.approx(middle)
    for ask in (made.enthalpy, made.heat_capacity):
        with pytest.raises(ModelError, match=r"specific_heat of material 'alloy' .*310 °C is outside"):
            ask(np.array([300.0, 583.15]))


def test_the_slope_of_conductivity_in_every_axis():
    k = dtw.table(over="temperature", at=[300.0, 500.0], values=[50.0, 40.0])
    slope = alloy(conductivity=k).conductivity_slope(np.array([310.0, 320.0]))
    assert_allclose(slope, np.broadcast_to(-0.05 * np.eye(3), (2, 3, 3)))
    ply = dtw.Orthotropic(
        conductivity=dtw.table(
            over="temperature", at=[300.0, 500.0], values=[[5.0, 1.0, 1.0], [7.0, 1.0, 2.0]]
        )
    )
    assert_allclose(ply.conductivity_slope(400.0), np.diag([0.01, 0.0, 0.005]))
    turned = dtw.Solid(ply, orientation=dtw.Cartesian(x=(0, 1, 0), xy=(-1, 0, 0)))
    axes = turned.axes(np.zeros((1, 3)))
    d = 1e-3
    rise = turned.conductivity_tensor(400.0 + d, axes) - turned.conductivity_tensor(400.0 - d, axes)
    assert_allclose(turned.conductivity_slope(400.0, axes), rise / (2 * d), atol=1e-9)
    assert turned.conductivity_slope(400.0, axes)[0, 1, 1] == pytest.approx(0.01)
    assert_array_equal(alloy().conductivity_slope(300.0), np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"conductivity": -5.0}, r"conductivity of material 'alloy' is -5 W/\(m·K\); it must be positive"),
        ({"conductivity": 0.0}, "must be positive"),
        (
            {"conductivity": dtw.table(over="temperature", at=[300, 400], values=[3.0, -1.0])},
            r"table of 2 rows over temperature, .*values down to -1 W/\(m·K\)",
        ),
        ({"specific_heat": "-1 J/(kg*K)"}, "must be positive"),
        ({"conductivity": dtw.table(over="time", at=[0, 1], values=[3.0, 1.0])}, "varies over time"),
        ({"latent_heat": "397 kJ/kg"}, "states latent_heat and no melting"),
        ({"melting": (800, 900)}, "states melting and no latent_heat"),
        (MELTS | {"melting": ("615 degC", "555 degC")}, "two rising temperatures"),
        (MELTS | {"melting": ("615 degC", "615 degC")}, "range of a kelvin or two"),
        (MELTS | {"melting": "615 degC"}, "two rising temperatures"),
        (MELTS | {"latent_heat": "-1 kJ/kg"}, "one positive value"),
    ],
)
def test_what_no_material_has_is_refused(stated, words):
    with pytest.raises(MaterialError, match=words):
        alloy(**stated)


def test_a_function_is_judged_where_it_is_asked():
    made = alloy(conductivity=dtw.function(lambda T: 400.0 - T, over="temperature"))
    assert_allclose(made.conductivity_tensor(300.0), 100.0 * np.eye(3))
    with pytest.raises(MaterialError, match=r"conductivity of material 'alloy' is -50 W/\(m·K\) at 176.9 °C"):
        made.conductivity_tensor(np.array([300.0, 450.0]))
    bad = alloy(dtw.function(lambda T: 400.0 - T, over="temperature"))
    with pytest.raises(MaterialError, match="specific_heat of material 'alloy' is -"):
        bad.enthalpy(900.0)
    with pytest.raises(MaterialError, match="have run away"):
        alloy(CAPACITIES["function"]).enthalpy(1e12)
    stiff = dtw.Orthotropic(
        youngs_modulus=dtw.function(lambda T: np.outer(210e9 - 1e7 * T, np.ones(3)), over="temperature"),
        poissons_ratio=(0.3, 0.3, 0.3), shear_modulus=(80e9, 80e9, 80e9),
    )  # fmt: skip
    assert stiff.stiffness(300.0).shape == (6, 6)


def test_what_stores_heat_names_what_it_lacks():
    with pytest.raises(MissingPropertyError, match=r"specific_heat .* needed by stored heat"):
        dtw.LinearElastic(density=1.0).enthalpy(300.0)
    with pytest.raises(MissingPropertyError, match=r"density .* needed by stored heat"):
        dtw.LinearElastic(specific_heat=1.0).heat_capacity(300.0)
    with pytest.raises(MaterialError, match="without a temperature"):
        alloy(**MELTS).heat_capacity()


def test_a_melting_material_survives_json_and_says_so():
    made = alloy(TABLE, **MELTS)
    again = Plain.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again == made
    assert_array_equal(again.enthalpy(np.array([300.0, 850.0])), made.enthalpy(np.array([300.0, 850.0])))
    assert "latent heat" in str(made)
    assert "397 kJ/kg, 555 °C to 615 °C" in str(made)
    assert made.content_hash() != alloy(TABLE).content_hash()
