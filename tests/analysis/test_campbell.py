"""Modes of turning parts against the beam in a centrifugal field, and crossings of engine orders."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid, trapezoid

import designtwin as dtw
from designtwin.errors import ModelError
from tests import builders

STEEL = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.0, density=7850.0, name="steel")
LENGTH, HUB = 0.5, 0.1


def a_blade():
    mesh = builders.box("hexahedron20", (16, 1, 1), (LENGTH, 0.005, 0.008), origin=(HUB, -0.0025, -0.004))
    cases = {
        "run": [dtw.Centrifugal(speed="3000 rpm", axis="z")], "still": [dtw.Gravity(direction="-z")]
    }  # fmt: skip
    return dtw.Model(mesh, {"body": STEEL}, supports=[dtw.FixedSupport(on="xmin")], load_cases=cases)


def southwell(hub: float) -> float:
    """Growth of the squared frequency over that of the squared speed, first flap mode of a cantilever.

    Rayleigh quotient of the beam's mode in the tension of rotation; Leissa, Appl. Mech. Rev. 34 (1981) 629.
    """
    beta = 1.875104068711961
    x = np.linspace(0.0, 1.0, 20001)
    shift = (np.cosh(beta) + np.cos(beta)) / (np.sinh(beta) + np.sin(beta))
    w = np.cosh(beta * x) - np.cos(beta * x) - shift * (np.sinh(beta * x) - np.sin(beta * x))
    slope = np.gradient(w, x)
    pull = cumulative_trapezoid(hub + x, x, initial=0.0)
    return float(trapezoid((pull[-1] - pull) * slope**2, x) / trapezoid(w**2, x))


@pytest.fixture(scope="module")
def diagram():
    return dtw.campbell(a_blade(), "run", ["0 rpm", "300 rpm", "600 rpm"], count=3)


def test_slow_rotation_stiffens_flap_and_lag_as_the_beam_says(diagram):
    f = diagram.frequencies
    turns = (diagram.speeds[1] / (2.0 * np.pi)) ** 2
    growth = (f[1] ** 2 - f[0] ** 2) / turns
    wanted = southwell(HUB / LENGTH)
    assert wanted == pytest.approx(1.173 + 1.558 * HUB / LENGTH, rel=0.02)  # the usual fit
    lag, flap = growth[:2]  # the thin side bends in the plane of rotation first
    assert flap == pytest.approx(wanted, rel=0.02)
    assert lag == pytest.approx(wanted - 1.0, rel=0.04)


def test_faster_is_stiffer_and_modes_keep_their_column(diagram):
    assert (np.diff(diagram.frequencies, axis=0) > 0.0).all()
    shapes = [
        modes.mac(diagram.modes[0])[diagram.order[i], diagram.order[0]]
        for i, modes in enumerate(diagram.modes)
    ]
    assert np.min(shapes) > 0.99


def test_an_order_meets_a_mode_where_their_frequencies_are_equal(diagram):
    meeting = diagram.crossings(2.0)
    for _, speed, frequency in meeting:
        assert frequency == pytest.approx(2.0 * speed / (2.0 * np.pi))
    above = diagram.frequencies - 2.0 * diagram.speeds[:, None] / (2.0 * np.pi)
    assert len(meeting) == int((above[:-1] * above[1:] < 0.0).sum())


def test_the_table_tells_speeds_and_crossings(diagram):
    text = str(diagram.table(orders=[3.0]))
    assert "600 rpm" in text
    assert "Coriolis" in text
    assert len(diagram.table().rows) == 3


@pytest.mark.parametrize(
    ("case", "speeds", "message"),
    [
        ("walk", ["0 rpm", "10 rpm"], "no load case 'walk'"),
        ("still", ["0 rpm", "10 rpm"], "0 Centrifugal"),
        ("run", ["10 rpm"], "two speeds at least"),
        ("run", ["10 rpm", "5 rpm"], "must ascend"),
    ],
)  # fmt: skip
def test_bad_questions_are_refused(case, speeds, message):
    with pytest.raises(ModelError, match=message):
        dtw.campbell(a_blade(), case, speeds)
