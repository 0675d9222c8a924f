"""Coefficients of sourced correlations: worked examples of the textbook, limits, and what is refused.

Examples are those of Incropera, DeWitt, Bergman & Lavine, Fundamentals of Heat and Mass Transfer, 6th and 7th
ed. The book takes air at 100 kPa for air at 1 atm and rounds to three digits: answers hold to some percent.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import ModelError
from designtwin.model import convection
from designtwin.model.magnitude import Magnitude


def natural(surface, **stated):
    """W/(m^2 K) at a surface temperature."""
    found = Magnitude.of(dtw.natural_convection(**stated), "heat_transfer", name="coefficient")
    return found.at(temperature=surface)


def test_example_9_2_glass_door_of_a_fireplace():
    h = natural(505.15, shape="vertical plate", length="0.71 m", ambient="23 degC")
    assert h == pytest.approx(7.0, rel=0.015)


def test_example_9_3_top_of_a_duct_and_its_bottom():
    """The bottom by eq. 9.32 of the 7th edition: 0.52 (1.38e8)^(1/5) 0.0265 / 0.375 = 1.56."""
    stated = {"length": "375 mm", "ambient": "15 degC"}
    top = natural(318.15, shape="horizontal plate facing up", **stated)
    bottom = natural(318.15, shape="horizontal plate facing down", **stated)
    assert top == pytest.approx(5.47, rel=0.015)
    assert bottom == pytest.approx(1.56, rel=0.01)


def test_example_9_4_steam_pipe():
    h = natural(438.15, shape="horizontal cylinder", diameter="0.1 m", ambient="23 degC")
    assert h == pytest.approx(7.29, rel=0.01)


def test_example_7_1_plate_in_thin_hot_air():
    h = dtw.forced_convection(
        shape="flat plate", length="0.5 m", speed="10 m/s", ambient="300 degC", surface="27 degC",
        pressure="6 kPa",
    )  # fmt: skip
    assert h == pytest.approx(4.18, rel=0.01)


def test_example_7_4_cylinder_in_a_wind_tunnel():
    h = dtw.forced_convection(
        shape="cylinder", diameter="12.7 mm", speed="10 m/s", ambient="26.2 degC", surface="128.4 degC"
    )
    assert h == pytest.approx(96.0, rel=0.01)


def test_example_7_6_copper_ball_that_cools():
    h = dtw.forced_convection(
        shape="sphere", diameter="10 mm", speed="10 m/s", ambient="23 degC", surface="55 degC"
    )
    assert h == pytest.approx(122.0, rel=0.015)


def test_example_8_6_duct_of_hot_air():
    """0.05 kg/s at 77 degC through 0.15 m: 11.6 by Dittus and Boelter, from which Gnielinski departs."""
    speed = 0.05 / (0.995 * np.pi * 0.15**2 / 4.0)
    h = dtw.forced_convection(shape="pipe", diameter="0.15 m", length="5 m", speed=speed, ambient="77 degC")
    assert h == pytest.approx(11.6, rel=0.05)


def test_optimal_fins_are_those_of_the_paper_and_the_best():
    """Bar-Cohen and Rohsenow: at the optimum the Nusselt number is 1.31; heat per width is largest there."""
    stated = {"length": "180 mm", "ambient": "30 degC"}
    best = dtw.optimal_fin_spacing(surface="80 degC", **stated)
    air = convection._air(np.array(328.15), convection.ATMOSPHERE)
    nusselt = natural(353.15, shape="vertical fins", spacing=best, **stated) * best / air.conductivity
    assert nusselt == pytest.approx(1.31, rel=0.005)

    def per_width(spacing):
        return natural(353.15, shape="vertical fins", spacing=spacing, **stated) / spacing

    assert per_width(best) > max(per_width(0.9 * best), per_width(1.1 * best))


def test_wide_fins_are_single_plates_and_narrow_ones_a_developed_flow():
    """Limits of the same paper: h grows with the cube of a narrow gap; a wide one is a plate."""
    far = natural(350.0, shape="vertical fins", length=0.1, spacing=0.2, ambient=300.0)
    plate = natural(350.0, shape="vertical plate", length=0.1, ambient=300.0)
    assert far == pytest.approx(plate, rel=0.12)
    narrow = [
        natural(350.0, shape="vertical fins", length=0.1, spacing=s, ambient=300.0) for s in (2e-4, 4e-4)
    ]
    assert narrow[1] / narrow[0] == pytest.approx(8.0, rel=1e-3)


def test_narrow_forced_fins_heat_all_the_air_that_passes():
    """Teertstra: in a long channel the air leaves as warm as the fins, h 2 L = rho u b c."""
    b, length, speed = 2e-3, 0.5, 0.4
    h = dtw.forced_convection(shape="fins", spacing=b, length=length, speed=speed, ambient=300.0)
    rho, cp = 1.1768, 1007.0
    assert h == pytest.approx(rho * speed * b * cp / (2.0 * length), rel=0.01)


def test_laminar_pipe_far_from_its_entry():
    h = dtw.forced_convection(
        shape="pipe", diameter="2 mm", length="10 m", speed="0.01 m/s", ambient="27 degC", fluid="water"
    )
    assert h * 0.002 / 0.613 == pytest.approx(3.66, rel=0.01)


def test_a_pipe_has_no_jump_between_laminar_and_turbulent():
    nusselt = [convection._pipe(Re, 0.7, 0.01) for Re in (2299.9, 2300.1, 3999.9, 4000.1)]
    assert nusselt[0] == pytest.approx(nusselt[1], rel=1e-3)
    assert nusselt[2] == pytest.approx(nusselt[3], rel=1e-3)


def test_air_is_that_of_a_gas():
    """At 100 kPa and 23 degC: ideal gas with 287.05 J/(kg K); Sutherland's law for the viscosity."""
    T = np.array([223.0, 296.15, 450.0, 900.0])
    air = convection._air(T, 1e5)
    viscosity = 1.716e-5 * (T / 273.15) ** 1.5 * (273.15 + 110.4) / (T + 110.4)
    assert_allclose(air.viscosity, viscosity, rtol=0.025)
    assert_allclose(air.viscosity / air.kinematic, 1e5 / (287.05 * T), rtol=0.003)
    assert_allclose(air.prandtl, [0.725, 0.708, 0.686, 0.720], rtol=0.01)


@pytest.mark.parametrize("shape", ["vertical plate", "horizontal plate facing up", "sphere", "vertical fins"])
def test_a_table_is_the_correlation_between_its_rows(shape):
    """A row in the middle of each piece says the same to 0.3 percent."""
    sizes = {"diameter": 0.05} if shape == "sphere" else {"length": 0.2}
    if shape == "vertical fins":
        sizes["spacing"] = 0.01
    stated = dtw.natural_convection(shape=shape, ambient=300.0, **sizes)
    at = np.asarray(stated.at)
    rows = (at[:-1] + at[1:]) / 2.0
    rows = rows[(np.abs(rows - 300.0) > 1.0) & (rows < 900.0)]
    still = np.array([natural(t, shape=shape, ambient=300.0, **sizes) for t in rows])
    kind = convection._NATURAL[shape]
    film = 0.5 * (rows + 300.0)
    air = convection._air(film, convection.ATMOSPHERE)
    size = sizes[kind.size]
    Ra = 9.80665 / film * np.abs(rows - 300.0) * size**3 * air.prandtl / air.kinematic**2
    slender = sizes["length"] / size if shape == "vertical fins" else 1.0
    nusselt = kind.nusselt(convection._Flow(Ra, air.prandtl, slender, rows > 300.0))
    assert_allclose(still, nusselt * air.conductivity / size, rtol=3e-3)


def test_up_and_down_change_places_where_the_surface_is_colder():
    stated = {"length": 0.3, "ambient": 300.0}
    up = natural(np.array([280.0, 320.0]), shape="horizontal plate facing up", **stated)
    down = natural(np.array([280.0, 320.0]), shape="horizontal plate facing down", **stated)
    assert up[1] > 2.0 * up[0]
    assert down[0] > 2.0 * down[1]


def test_an_enclosure_conducts_until_its_air_turns_over():
    """Heated from above, or below Ra = 1708, still air: conductivity over spacing."""
    above = natural(320.0, shape="enclosure facing down", spacing="20 mm", ambient=300.0)
    assert above == pytest.approx(0.02704 / 0.02, rel=0.01)
    thin = natural(320.0, shape="enclosure facing up", spacing="5 mm", ambient=300.0)
    assert thin == pytest.approx(0.02704 / 0.005, rel=0.01)
    assert natural(320.0, shape="enclosure facing up", spacing="20 mm", ambient=300.0) > 2.0 * above


def test_vertical_enclosures_low_and_high():
    """ElSherbiny at Ra = 1e5, height 20 spacings: max(2.81, 2.47, 2.60); Catton at 1.5 spacings.

    0.0605 (1e5)^(1/3) = 2.808; (1 + (0.104 (1e5)^0.293 / (1 + 0.0631^1.36))^3)^(1/3) = 3.0 to a digit.
    """
    flow = convection._Flow(np.array([1e5]), np.array([0.71]), 20.0, np.array([True]))
    between = 0.104 * 1e5**0.293 / (1.0 + 0.0631**1.36)
    assert convection._vertical_enclosure(flow)[0] == pytest.approx((1.0 + between**3) ** (1.0 / 3.0))
    low = convection._vertical_enclosure(flow._replace(slender=1.5))[0]
    assert low == pytest.approx(0.18 * (0.71 / 0.91 * 1e5) ** 0.29)
    rare = convection._vertical_enclosure(flow._replace(rayleigh=np.array([1.0])))[0]
    assert rare == pytest.approx(1.0, abs=1e-3)


def test_near_the_ambient_the_coefficient_does_not_vanish():
    h = natural(
        np.array([300.0, 300.5, 301.0]), shape="horizontal plate facing up", length=0.3, ambient=300.0
    )
    assert_allclose(h, h[2], rtol=1e-9)
    assert h[0] > 1.0


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"shape": "vertical plat", "length": 0.1}, "did you mean 'vertical plate'"),
        ({"shape": "vertical plate"}, "lacks its length"),
        ({"shape": "vertical plate", "length": 0.1, "diameter": 0.1}, "knows no diameter"),
        ({"shape": "sphere", "diameter": 0.0}, "must be positive"),
        ({"shape": "vertical plate", "length": 50.0}, "Rayleigh number"),
        (
            {"shape": "horizontal plate facing up", "length": "1 mm"},
            "at most, and the correlation holds from",
        ),
        ({"shape": "vertical cylinder", "length": 0.3, "diameter": 0.01}, "too slender"),
        ({"shape": "vertical enclosure", "length": 0.01, "spacing": 0.02}, "from 1 to 110 times"),
        ({"shape": "sphere", "diameter": 0.1, "ambient": 25.0}, "did you mean '25 degC'"),
    ],
)
def test_what_no_correlation_covers_is_refused(stated, words):
    with pytest.raises(ModelError, match=words):
        dtw.natural_convection(**({"ambient": "20 degC"} | stated))


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"shape": "plate"}, "'plate' is unknown"),
        ({"speed": 0.0}, "natural_convection"),
        ({"speed": 1e4}, "Reynolds number is"),
        ({"fluid": "oil"}, "'air' or 'water'"),
        ({"fluid": "water", "ambient": "120 degC"}, "properties of water"),
        ({"length": None}, "lacks its length"),
    ],
)
def test_what_no_forced_correlation_covers_is_refused(stated, words):
    given = {"shape": "flat plate", "length": 1.0, "speed": 5.0, "ambient": 300.0} | stated
    with pytest.raises(ModelError, match=words):
        dtw.forced_convection(**given)


def test_a_tall_wall_is_tabulated_as_far_as_the_correlation_holds():
    found = Magnitude.of(
        dtw.natural_convection(shape="vertical plate", length="5 m", ambient=300.0), "heat_transfer", name="h"
    )
    assert found.knots[-1] < 1400.0 or found.knots[0] > 160.0
    with pytest.raises(ModelError, match="is outside"):
        found.at(temperature=found.knots[[0]] - 5.0)
