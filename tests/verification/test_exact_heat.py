"""The exact temperatures themselves: printed values of the cases, and the equations they solve."""

from __future__ import annotations

import exact_heat as known
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp
from scipy.special import erf

A16 = 35 / (440.5 * 7200)
A20 = 43 / (7850 * 470)

SWINGING = {"length": 0.1, "diffusivity": A16, "rise": 100.0, "frequency": np.pi / 40}
CONVECTIVE = {"diffusivity": A20, "conductivity": 43.0, "coefficient": 500.0}
BODY = {"start": 900.0, "ambient": 300.0, "rate": 0.8 * known.SIGMA * 300 / 2700 / 900}

VALUES = [
    # D16 NAFEMS T3: 36.60 is printed there.
    (known.bar_with_swinging_end(0.08, 32.0, **SWINGING), 36.6031),
    (known.bar_with_swinging_end(0.05, 32.0, **SWINGING), 3.37424),
    (known.bar_with_swinging_end(0.08, 16.0, **SWINGING), 14.8646),
    # D19
    (known.cooling_wall(0.0, 0.5, biot=1.0), 0.772526),
    (known.cooling_wall(1.0, 0.5, biot=1.0), 0.504522),
    (known.cooling_wall(1.0, 0.3, biot=2.0), 0.398395),
    # D20
    (20 + 180 * known.half_space_held(0.02, 60.0, diffusivity=A20), 126.7023),
    (20 + 180 * known.half_space_convection(0.0, 60.0, **CONVECTIVE), 68.6936),
    (20 + 180 * known.half_space_convection(0.02, 60.0, **CONVECTIVE), 43.763),
    (20 + known.half_space_flux(0.0, 60.0, diffusivity=A20, conductivity=43.0, flux=1e5), 89.3925),
    # D21
    (known.linear_conductivity_wall(0.05, length=0.1, left=200.0, right=0.0, slope=0.005), 116.22777),
    # D22
    (known.between_plates(800.0, 400.0, 0.8, 0.5), 9677.439),
    (known.between_cylinders(800.0, 400.0, 0.8, 0.5, inner=0.1, outer=0.2), 12442.4216),
    (known.parallel_squares(1.0, 1.0), 0.199825),
    # D23
    (known.lumped_convection(300.0, start=200.0, ambient=25.0, rate=50 * 3 / 0.01 / 2700 / 900), 52.4656),
    (known.lumped_radiation(120.0, **BODY), 669.2586),
    (known.lumped_radiation(600.0, **BODY), 456.5957),
]


@pytest.mark.parametrize(("found", "printed"), VALUES)
def test_the_printed_values_are_those_of_the_formulas(found, printed):
    assert float(np.squeeze(found)) == pytest.approx(printed, rel=2e-6)


FIELDS = {
    "swinging end": (
        lambda x, t: known.bar_with_swinging_end(x, t, length=1.0, diffusivity=0.3, rise=2.0, frequency=3.0),
        0.3,
    ),
    "wall": (lambda x, t: known.cooling_wall(x, 0.3 * t, biot=1.7), 0.3),
    "held": (lambda x, t: known.half_space_held(x, t, diffusivity=0.3), 0.3),
    "convection": (
        lambda x, t: known.half_space_convection(x, t, diffusivity=0.3, conductivity=2.0, coefficient=5.0),
        0.3,
    ),
    "flux": (lambda x, t: known.half_space_flux(x, t, diffusivity=0.3, conductivity=2.0, flux=5.0), 0.3),
    "slab": (
        lambda x, t: known.insulated_slab_heating(
            x, t, length=1.0, diffusivity=0.3, conductivity=2.0, flux=5.0
        ),
        0.3,
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_fields_solve_the_heat_equation(name):
    """T_t = a T_xx, by central differences."""
    field, a = FIELDS[name]
    x, t, h = np.linspace(0.1, 0.9, 9), 0.4, 1e-3
    rate = (field(x, t + h) - field(x, t - h)) / (2 * h)
    curve = (field(x + h, t) - 2 * field(x, t) + field(x - h, t)) / h**2
    assert np.abs(rate).max() > 1e-2
    assert_allclose(rate, a * curve, atol=2e-4 * np.abs(rate).max())


def test_the_fields_meet_their_boundaries():
    h, t = 1e-6, 0.4

    def slope(field, x):
        return float(np.squeeze(field(x + h, t) - field(x - h, t))) / (2 * h)

    assert np.squeeze(FIELDS["swinging end"][0](1.0, t)) == pytest.approx(2.0 * np.sin(3.0 * t))
    wall = FIELDS["wall"][0]
    assert -slope(wall, 1.0) == pytest.approx(1.7 * float(wall(1.0, t)[0]), rel=1e-5)
    half = FIELDS["convection"][0]
    assert -2.0 * slope(half, 0.0) == pytest.approx(5.0 * (1.0 - float(half(0.0, t))), rel=1e-5)
    assert -2.0 * slope(FIELDS["flux"][0], 0.0) == pytest.approx(5.0, rel=1e-5)
    assert 2.0 * slope(FIELDS["slab"][0], 1.0) == pytest.approx(5.0, rel=1e-3)
    assert slope(FIELDS["slab"][0], 0.0) == pytest.approx(0.0, abs=1e-9)


def test_the_radiating_body_follows_its_equation():
    rate = 3e-12
    answer = solve_ivp(
        lambda _, T: -rate * (T**4 - 300.0**4), (0, 900.0), [950.0], rtol=1e-11, atol=1e-9, dense_output=True
    )
    for t in (1.0, 30.0, 900.0):
        exact = known.lumped_radiation(t, start=950.0, ambient=300.0, rate=rate)
        assert answer.sol(t)[0] == pytest.approx(exact, rel=1e-9)


def test_the_melting_front_moves_as_heat_arrives():
    """Heat that reaches the front melts it; heat that went in is what was melted and what is warm."""
    a, stefan, t, h = 0.3, 0.7, 0.4, 1e-6
    _, front, factor = known.melting(0.0, t, diffusivity=a, stefan=stefan)
    speed = (known.melting(0.0, t + h, diffusivity=a, stefan=stefan)[1] - front) / h
    slope = float(known.melting(front - h, t, diffusivity=a, stefan=stefan)[0]) / h
    # In units of k = rho c a and c (Ts - Tm) = stefan latent.
    assert stefan * a * slope == pytest.approx(speed, rel=1e-4)
    x = np.linspace(0.0, front, 4001)
    warm = np.trapezoid(known.melting(x, t, diffusivity=a, stefan=stefan)[0], x)
    assert stefan * warm + front == pytest.approx(
        stefan * a / erf(factor) * 2 * np.sqrt(t / (np.pi * a)), rel=1e-6
    )


def test_the_cylinder_solves_its_equation():
    """T_t = T_rr + T_r / r, convection at r = 1, one at the start; Incropera's table 5.1 at Bi = 1."""
    r, t, h = np.linspace(0.1, 0.9, 9), 0.2, 1e-3

    def field(r, t):
        return known.cooling_cylinder(r, t, biot=1.0)

    rate = (field(r, t + h) - field(r, t - h)) / (2 * h)
    slope = (field(r + h, t) - field(r - h, t)) / (2 * h)
    curve = (field(r + h, t) - 2 * field(r, t) + field(r - h, t)) / h**2
    assert_allclose(rate, curve + slope / r, atol=1e-4 * np.abs(rate).max())
    at_rim = (field(1 + h, t) - field(1 - h, t)) / (2 * h)
    assert -at_rim[0] == pytest.approx(float(field(1.0, t)[0]), rel=1e-5)
    assert field(0.5, 1e-3)[0] == pytest.approx(1.0, abs=1e-6)
    assert field(0.0, 2.0)[0] == pytest.approx(1.2071 * np.exp(-(1.2558**2) * 2.0), rel=2e-4)
