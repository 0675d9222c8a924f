"""Intervals of temperatures over time hold the exact ones, on coarse meshes and with coarse steps too.

A wall of 0.1 m, insulated at x = 0, is at x = 0.1 m cooled by a fluid, held cold from the start on, or heated
by a constant flux.
"""

import numpy as np
import pytest
from builders import box
from exact_heat import cooling_wall
from surroundings import FULL

import designtwin as dtw

L, K, RHO_C = 0.1, 20.0, 4e6
ALPHA = K / RHO_C
STUFF = dtw.LinearElastic(name="steel", conductivity=K, density=8000.0, specific_heat=500.0)
TIMES = (20.0, 100.0, 400.0, 2500.0)
MESHES = [("tetra10", 2), ("hexahedron20", 4), ("tetra", 8), ("hexahedron", 4)]
if FULL:
    MESHES = [(e, n) for e in ("tetra10", "hexahedron20") for n in (2, 4, 8)]
    MESHES += [(e, n) for e in ("tetra", "hexahedron") for n in (4, 8, 16)]
LOADS = {
    "cooled": dtw.Convection(on="xmax", coefficient=1000.0, ambient=300.0),
    "chilled": dtw.FixedTemperature(on="xmax", value=300.0),
    "heated": dtw.HeatFlux(on="xmax", magnitude=1e5),
}


def exact(kind: str, x: float, t: float) -> float:
    fourier = ALPHA * t / L**2
    if kind == "heated":  # Carslaw & Jaeger, sec. 3.8 (3)
        n = np.arange(1, 200)
        wave = (-1.0) ** n / n**2 * np.exp(-(n**2) * np.pi**2 * fourier) * np.cos(n * np.pi * x / L)
        return 500.0 + 1e5 * L / K * float(
            fourier + (3 * (x / L) ** 2 - 1) / 6 - 2 / np.pi**2 * wave.sum()
        )  # fmt: skip
    if kind == "chilled" and x == L:
        return 300.0
    biot = 1000.0 * L / K if kind == "cooled" else 1e10  # a perfect fluid holds the surface
    return 300.0 + 200.0 * float(cooling_wall(np.array([x / L]), fourier, biot=biot)[0])


@pytest.mark.parametrize("kind", LOADS)
def test_intervals_over_time_hold_the_exact_temperature_and_mean_something(kind):
    asked = held = 0
    widths = []
    for element, n in MESHES:
        mesh = box(element, (n, 1, 1), (L, 0.02, 0.02))
        model = dtw.Model(mesh, materials={"body": STUFF}, load_cases={"a": [LOADS[kind]]})
        for tolerance in (None, 1.0):
            result = dtw.solve_transient(
                model, duration=2600.0, initial=500.0, tolerance=tolerance, times=TIMES
            )
            for t in TIMES:
                for place, x in (("xmin", 0.0), ("xmax", L)):
                    value = dtw.temperature(place, time=t).evaluate(result)
                    assert value.instant == t
                    asked += 1
                    held += value.low - 1e-3 <= exact(kind, x, t) <= value.high + 1e-3
                    if (element, n) == ("hexahedron20", 4) and tolerance is None and t >= 100.0:
                        widths.append(value.error)
    assert held >= 0.99 * asked
    # An interval that is always wide is always right. Four quadratic cells, 200 K and more of span:
    assert max(widths) < 2.0
    assert np.median(widths) < 1.0


def test_the_time_to_a_temperature_holds_the_exact_one():
    from scipy.optimize import brentq

    for element, n in MESHES:
        mesh = box(element, (n, 1, 1), (L, 0.02, 0.02))
        model = dtw.Model(mesh, materials={"body": STUFF}, load_cases={"a": [LOADS["cooled"]]})
        result = dtw.solve_transient(model, duration=2600.0, initial=500.0)
        value = dtw.time_to("xmin", 400.0).evaluate(result)
        when = brentq(lambda t: exact("cooled", 0.0, t) - 400.0, 100.0, 2500.0)
        assert value.low <= when <= value.high
        if element in ("tetra10", "hexahedron20"):
            assert value.high - value.low < 0.05 * when
        assert value.instant == value.value
