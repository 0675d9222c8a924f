"""Transient heat whatever the part: balance, superposition, shift in time, reciprocity, bounds."""

from __future__ import annotations

import numpy as np
import pytest
from builders import BLOCKS, PLANES, SOLIDS, apart, block, box
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.model.domains import cell_domain

RHO, C, K = 2700.0, 900.0, 150.0
POWER = dtw.table(over="time", at=[0.0, 40.0, 80.0, 1e4], values=[0, 90, -25, -25])
METHODS = ("BDF2", "Crank-Nicolson", "backward Euler")


def metal(element: str, **more: object) -> object:
    given = {"conductivity": K, "specific_heat": C, "density": RHO} | more
    material = dtw.LinearElastic(**given)
    return material if element in SOLIDS else dtw.PlaneStress(material, thickness=0.01)


def only(model: dtw.Model, **options: object) -> object:
    result = dtw.solve_transient(model, **options)
    return result[result.cases[0]]


def temperatures(case: object) -> np.ndarray:
    """float64[instants, n_points], K."""
    return np.array([frame.temperature for frame in case.frames])


def held_heat(model: dtw.Model, temperature: np.ndarray) -> float:
    """Integral of rho c T, J, by the rule of loads and not by the capacity matrix."""
    domain = cell_domain(model, np.arange(model.mesh.n_cells))
    return float(RHO * C * sum((p.measure * (temperature[p.conn] @ p.shape.T)).sum() for p in domain.patches))


def busy(element: str) -> dtw.Model:
    """Flux, flow over time, source, convection and a held side that warms, all at once."""
    return dtw.Model(
        block(element, (3, 2, 2), (0.3, 0.2, 0.2), distort=0.2),
        materials={"body": metal(element)},
        supports=[
            dtw.FixedTemperature(
                on="xmin", value=dtw.table(over="time", at=[0.0, 50.0, 1e4], values=[300.0, 340.0, 340.0])
            )
        ],
        load_cases={
            "hot": [
                dtw.HeatFlux(on="ymax", magnitude=lambda p: 1e4 * p[:, 0]),
                dtw.HeatFlow(on="ymin", total=POWER),
                dtw.HeatSource(on="body", magnitude=2e5),
                dtw.Convection(on="xmax", coefficient=50.0, ambient=350.0),
            ]
        },
    )  # fmt: skip


@pytest.mark.parametrize("element", BLOCKS)
@pytest.mark.parametrize("method", METHODS)
def test_what_goes_in_is_kept_or_goes_out(element, method):
    """Energy balance of a linear run below 1e-6 of the heat put in, and stored heat by a rule of its own."""
    model = busy(element)
    case = only(model, duration=100.0, initial=300.0, method=method, step=5.0)
    assert case.imbalance < 1e-6
    T = temperatures(case)
    kept = held_heat(model, T[-1]) - held_heat(model, T[0])
    moved = abs(kept) + 2e5 * 0.3 * 0.2 * (0.2 if element in SOLIDS else 0.01) * 100.0
    stored = [case.stored.get(i, "stored_energy") for i in range(len(case.stored))]
    put_in = [case.stored.get(i, "heat_in") for i in range(len(case.stored))]
    assert float(stored[-1]) == pytest.approx(kept, abs=1e-6 * moved)
    assert_allclose(stored, put_in, atol=1e-6 * moved)


@pytest.mark.parametrize("method", METHODS)
def test_an_insulated_body_keeps_its_heat_and_evens_out(method):
    model = dtw.Model(
        box("tetra10", 2, (0.1, 0.1, 0.1), distort=0.2), materials={"body": metal("tetra10")},
        load_cases={"alone": [dtw.HeatFlow(on="xmin", total=0.0)]},
    )  # fmt: skip
    start = 300.0 + 1e4 * model.mesh.points[:, 0] * (0.1 - model.mesh.points[:, 1])
    case = only(model, duration=200.0, initial=dtw.nodal(start), method=method, step=5.0)
    T = temperatures(case)
    before = held_heat(model, T[0])
    for row in T:
        assert held_heat(model, row) == pytest.approx(before, rel=1e-9)
    assert np.ptp(T[-1]) < 1e-3 * np.ptp(T[0])


def pulses(first: float, second: float) -> dtw.Model:
    return dtw.Model(
        box("hexahedron", 2, (0.1, 0.05, 0.05)),
        materials={"body": metal("hexahedron")},
        load_cases={
            "on": [
                dtw.HeatFlux(on="xmax", magnitude=first),
                dtw.HeatSource(on="body", magnitude=second),
                dtw.Convection(on="xmin", coefficient=200.0, ambient=300.0),
            ]
        },
    )


@settings(max_examples=20 if FULL else 4, deadline=None, derandomize=True)
@given(
    a=st.floats(-1e5, 1e5).filter(lambda x: abs(x) > 1e2),
    b=st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e3),
    method=st.sampled_from(METHODS),
)
def test_answers_add_up(a, b, method):
    """The rise from two loads is that from one plus that from the other."""
    options = {"duration": 60.0, "initial": 300.0, "method": method, "step": 6.0}
    both, one, other = (
        temperatures(only(pulses(*q), **options)) - 300.0 for q in ((a, b), (a, 0.0), (0.0, b))
    )
    assert_allclose(both, one + other, atol=1e-7 * (np.abs(one).max() + np.abs(other).max()))


@settings(max_examples=20 if FULL else 4, deadline=None, derandomize=True)
@given(
    late=st.integers(1, 8), values=st.lists(st.floats(-50, 50), min_size=3, max_size=3),
    method=st.sampled_from(METHODS),
)  # fmt: skip
def test_the_same_heat_later_is_the_same_answer_later(late, values, method):
    """A body at rest answers a shifted load by a shifted temperature, step by step."""
    step, count = 4.0, 10

    def run(delay: int) -> object:
        start = delay * step
        at = [start, start + 8.0, start + 16.0, start + 24.0, start + 400.0]
        # Ramps up from zero: what is before the first row is zero too.
        power = dtw.table(over="time", at=[start - 1e3, *at], values=[0.0, 0.0, *values, values[-1]])
        model = dtw.Model(
            box("hexahedron", 2, (0.1, 0.05, 0.05)),
            materials={"body": metal("hexahedron")},
            load_cases={
                "on": [
                    dtw.HeatFlow(on="xmax", total=power),
                    dtw.Convection(on="xmin", coefficient=200.0, ambient=300.0),
                ]
            },
        )
        return only(model, duration=(count + delay) * step, initial=300.0, method=method, step=step)

    # The first steps of a method with memory are its own; from rest the later ones are like any.
    begun = 2
    now, later = (temperatures_from(run(begun + d), begun + d) for d in (0, late))
    size = max(np.abs(now - 300.0).max(), 1e-3)
    assert_allclose(later, now, rtol=0, atol=1e-6 * size)


def temperatures_from(case: object, steps: int) -> np.ndarray:
    """From so many steps of 4 s on; all before is at rest."""
    T = temperatures(case)
    first = int(np.searchsorted(case.times, 4.0 * steps - 1e-9))
    assert_allclose(T[: first + 1], 300.0, rtol=0, atol=1e-9)
    return T[first:]


@settings(max_examples=20 if FULL else 4, deadline=None, derandomize=True)
@given(
    ambient=st.floats(250, 400), start=st.floats(250, 400), coefficient=st.floats(1.0, 5e3),
    step=st.floats(0.5, 100.0), element=st.sampled_from(BLOCKS),
)  # fmt: skip
def test_the_mean_stays_between_start_and_surroundings(ambient, start, coefficient, step, element):
    """A body in a fluid moves towards it and not beyond, whatever the step."""
    model = dtw.Model(
        block(element, 2, (0.1, 0.1, 0.1)),
        materials={"body": metal(element)},
        load_cases={"bath": [dtw.Convection(on="xmax", coefficient=coefficient, ambient=ambient)]},
    )
    case = only(model, duration=8 * step, initial=start, method="backward Euler", step=step)
    mass = held_heat(model, np.ones(model.mesh.n_points))
    mean = np.array([held_heat(model, row) / mass for row in temperatures(case)])
    low, high = min(ambient, start), max(ambient, start)
    assert (mean > low - 1e-6).all()
    assert (mean < high + 1e-6).all()
    if abs(ambient - start) > 1e-3:
        assert (np.diff(mean) * np.sign(ambient - start) > -1e-7).all()


@pytest.mark.parametrize("element", ["quad", "hexahedron", "tetra"])
def test_no_place_is_warmer_than_what_touches_the_part(element):
    """Everywhere, in steps long enough for the cells (shorter ones swing by the nature of the cells)."""
    model = dtw.Model(
        block(element, 4, (0.1, 0.1, 0.1)),
        materials={"body": metal(element)},
        supports=[dtw.FixedTemperature(on="xmin", value=390.0)],
        load_cases={"on": [dtw.Convection(on="ymax", coefficient=200.0, ambient=280.0)]},
    )
    T = temperatures(only(model, duration=200.0, initial=300.0, method="backward Euler", step=10.0))
    assert T.min() >= 280.0 - 1e-6
    assert T.max() <= 390.0 + 1e-6


@pytest.mark.parametrize("element", ["triangle6", "tetra10", "hexahedron20"])
def test_heat_is_reciprocal_in_time(element):
    """The temperature at B from heat at A is at every instant that at A from heat at B."""
    mesh = block(element, (3, 2, 2), (0.1, 0.1, 0.1), distort=0.2)
    a, b = dtw.nearest((0.1, 0.1, 0.1)), dtw.nearest((0.06, 0.03, 0.02))
    model = dtw.Model(
        mesh,
        materials={"body": metal(element)},
        load_cases={"a": [dtw.HeatFlow(on=a, total=10.0)], "b": [dtw.HeatFlow(on=b, total=10.0)]},
    )
    result = dtw.solve_transient(model, duration=40.0, initial=300.0, step=4.0)
    node_a, node_b = model.region(a).nodes[0], model.region(b).nodes[0]
    rises = temperatures(result["a"]) - 300.0, temperatures(result["b"]) - 300.0
    there, back = rises[0][:, node_b], rises[1][:, node_a]
    assert_allclose(there, back, rtol=0, atol=1e-6 * max(np.abs(rise).max() for rise in rises))
    assert there[-1] > 0.0


@pytest.mark.parametrize("element", PLANES)
def test_scales_of_the_equation(element):
    """Twice the capacity takes twice the time: T(x, t) depends on k t / (rho c) alone."""

    def run(capacity: float, end: float) -> np.ndarray:
        model = dtw.Model(
            block(element, 3, (0.1, 0.1, 0.1)),
            materials={"body": metal(element, specific_heat=capacity)},
            supports=[dtw.FixedTemperature(on="xmin", value=300.0)],
            load_cases={"on": [dtw.HeatFlux(on="xmax", magnitude=1e4)]},
        )
        return temperatures(only(model, duration=end, initial=300.0, step=end / 10))

    once, twice = run(900.0, 50.0), run(1800.0, 100.0)
    assert_allclose(once, twice, atol=1e-7 * (once.max() - 300.0))


def test_a_long_run_ends_where_the_steady_analysis_is():
    model = busy("tetra10")
    end = 9000.0
    case = only(model, duration=end, initial=300.0, tolerance=0.5)
    steady = model.with_(
        supports=[dtw.FixedTemperature(on="xmin", value=340.0)],
        load_cases={
            "hot": [
                *(load for load in model.cases["hot"].heat_loads if not isinstance(load, dtw.HeatFlow)),
                dtw.HeatFlow(on="ymin", total=-25.0),
            ]
        },
    )
    assert_allclose(case.at(end).temperature, dtw.solve_thermal(steady)["hot"].temperature, atol=1e-3)


# Steps chosen by error control


@pytest.mark.parametrize("method", ["BDF2", "Crank-Nicolson"])
def test_the_asked_tolerance_is_kept_and_costs_steps(method):
    """Against the same cells in steps too small to matter; a finer tolerance takes more steps."""
    model = busy("hexahedron")
    fine = only(model, duration=100.0, initial=300.0, method="Crank-Nicolson", step=0.125)
    end = fine.at(100.0).temperature
    taken = []
    for tolerance in (2.0, 0.2, 0.02):
        case = only(model, duration=100.0, initial=300.0, method=method, tolerance=tolerance)
        wrong = np.abs(case.at(100.0).temperature - end).max()
        assert wrong < 1.2 * tolerance
        assert case.time_error[-1] <= tolerance * (1 + 1e-9)
        assert wrong < 2.0 * case.time_error[-1] + 1e-3, (wrong, case.time_error[-1])
        taken.append(len(case.steps.sizes))
    assert taken[0] < taken[1] < taken[2]


def test_steps_end_where_loads_kink():
    model = busy("hexahedron")
    case = only(model, duration=100.0, initial=300.0, tolerance=1.0)
    for kink in (40.0, 50.0, 80.0):
        assert np.abs(case.times - kink).min() < 1e-9
    assert case.times[0] == 0.0
    assert case.times[-1] == pytest.approx(100.0, abs=1e-12)


def test_asked_instants_are_instants():
    model = busy("hexahedron")
    case = only(model, duration="100 s", initial="300 K", tolerance=1.0, times=[13.0, 77.7])
    for t in (13.0, 77.7):
        assert np.abs(case.times - t).min() < 1e-9


def test_digits_do_not_depend_on_threads():
    from designtwin import parallel

    model = busy("tetra10")
    found = []
    for threads in (1, 2):
        with parallel.use_threads(threads):
            found.append(temperatures(only(model, duration=40.0, initial=300.0, step=4.0)))
    assert (found[0] == found[1]).all()


def test_a_part_of_which_every_temperature_is_given_has_a_course_too():
    model = dtw.Model(
        block("hexahedron", 1, (0.1, 0.1, 0.1)),
        materials={"body": metal("hexahedron")},
        supports=[
            dtw.FixedTemperature(on="xmin", value=400.0),
            dtw.FixedTemperature(
                on="xmax", value=dtw.table(over="time", at=[0.0, 10.0], values=[300.0, 350.0])
            ),
        ],
        load_cases={"held": []},
    )
    case = only(model, duration=10.0, initial=300.0)
    assert_allclose(case.at(5.0).temperature[model.region("xmax").nodes], 325.0, rtol=1e-12)
    assert case.imbalance < 1e-9


def test_the_residual_leaves_out_what_a_bond_passes_on():
    size = (0.1, 0.1, 0.1)
    mesh = apart(box("hexahedron", 2, size), box("hexahedron", 3, size, origin=(0.1, 0.0, 0.0)))
    low, high = dtw.faces(normal="+x", at=0.1), dtw.faces(normal="-x", at=0.1)
    model = dtw.Model(
        mesh,
        materials={dtw.everything(): metal("hexahedron")},
        connections=[dtw.Tie(a=low, b=high)],
        load_cases={"on": [dtw.HeatFlow(on=dtw.faces(normal="-x", at="min"), total=100.0)]},
    )
    assert only(model, duration=40.0, initial=300.0, step=10.0).residual < 1e-6
