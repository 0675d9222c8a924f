"""Statics over a course of temperature: every instant as if solved alone, judged by what it is then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import box, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.results import frames

TIMES = np.array([0.0, 10.0, 30.0, 60.0])
GLASSY = {
    "youngs_modulus": dtw.table(over="temperature", at=[250.0, 500.0], values=["210 GPa", "120 GPa"]),
    "expansion": dtw.table(over="temperature", at=[250.0, 500.0], values=[11e-6, 14e-6]),
}
"""Stiffness and expansion over temperature."""


def course(mesh: dtw.Mesh, times: np.ndarray = TIMES) -> np.ndarray:
    """A wave of heat that enters from the left."""
    x, y = mesh.points[:, 0] / 0.1, mesh.points[:, 1] / 0.05
    return np.array([293.15 + 100.0 * np.exp(-x) * np.sin(0.05 * t) + t * y for t in times])


def model(mesh: dtw.Mesh, value: Any, *, more: Any = None, **material: Any) -> dtw.Model:
    return dtw.Model(
        mesh,
        materials={"body": dtw.material("S355", **material)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"heat": [dtw.Temperature(value, reference="20 degC")], **(more or {})},
    )


@pytest.fixture(scope="module")
def bar() -> dtw.Mesh:
    return box("tetra10", (4, 2, 2), (0.1, 0.05, 0.05))


@pytest.mark.parametrize("material", [{}, GLASSY], ids=["constant", "over temperature"])
def test_every_instant_is_what_it_is_alone(bar, material):
    kelvin = course(bar)
    case = dtw.solve_static(model(bar, dtw.nodal(kelvin, TIMES), **material))["heat"]
    assert_allclose(case.times, TIMES)
    assert len(case.frames) == len(TIMES)
    for time, values, frame in zip(TIMES, kelvin, case.frames, strict=True):
        alone = dtw.solve_static(model(bar, values, **material))["heat"]
        size, most = np.abs(alone.displacement).max() + 1e-15, np.abs(alone.stress()).max() + 1.0
        assert frame.time == time
        assert_allclose(frame.displacement, alone.displacement, atol=1e-10 * size)
        assert_allclose(frame.reactions, alone.reactions, atol=1e-9 * np.abs(alone.reactions).max() + 1e-6)
        assert_allclose(frame.stress(), alone.stress(), atol=1e-9 * most)
        assert_allclose(frame.field("temperature").values, values)
        assert frame.energy_error == pytest.approx(alone.energy_error, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("material", [{}, GLASSY], ids=["constant", "over temperature"])
def test_between_instants_the_temperature_is_linear_and_the_rest_follows(bar, material):
    case = dtw.solve_static(model(bar, dtw.nodal(course(bar), TIMES), **material))["heat"]
    kelvin = course(bar)
    alone = dtw.solve_static(model(bar, 0.25 * kelvin[1] + 0.75 * kelvin[2], **material))["heat"]
    between = case.at("25 s")
    assert between.time == 25.0
    assert_allclose(between.displacement, alone.displacement, atol=1e-10 * np.abs(alone.displacement).max())
    assert_allclose(between.stress(), alone.stress(), atol=1e-9 * np.abs(alone.stress()).max())
    with pytest.raises(dtw.DesignTwinError, match="outside"):
        case.at("61 s")


def test_the_modulus_of_every_instant_is_that_of_its_temperature():
    """A closed box at one temperature: s = -E(T) a (T - 20 degC) / (1 - 2 nu), largest before the hottest."""
    seconds, kelvin = [0.0, 1.0, 2.0, 3.0, 4.0], [293.15, 400.0, 480.0, 500.0, 350.0]
    mesh = box("hexahedron20", 1, (0.01, 0.01, 0.01))
    falling = dtw.table(
        over="temperature", at=[293.15, 400.0, 500.0], values=["200 GPa", "180 GPa", "50 GPa"]
    )
    material = dtw.LinearElastic(youngs_modulus=falling, poissons_ratio=0.3, expansion=12e-6)
    case = dtw.solve_static(
        dtw.Model(
            mesh,
            materials={"body": material},
            supports=[
                dtw.PrescribedDisplacement(on=f"{axis}{end}", **{axis: 0.0})
                for axis in "xyz" for end in ("min", "max")
            ],
            load_cases={"heat": [dtw.Temperature(dtw.table(over="time", at=seconds, values=kelvin))]},
        )
    )["heat"]  # fmt: skip
    E = np.interp(kelvin, [293.15, 400.0, 500.0], [200e9, 180e9, 50e9])
    wanted = -E * 12e-6 * (np.array(kelvin) - 293.15) / 0.4
    assert_allclose([frame.stress()[:, 0].mean() for frame in case.frames], wanted, rtol=1e-9, atol=1e-3)
    assert case.peak(name="stress_xx", over="min").time == 1.0 == seconds[int(np.argmin(wanted))]


def strength(**more: Any) -> dict[str, Any]:
    table = dtw.table(over="temperature", at=[293.15, 600.0, 700.0], values=["300 MPa", "100 MPa", "40 MPa"])
    return {"yield_strength": table, "ultimate_strength": None, **more}


def test_strength_is_that_of_the_instant():
    """A bar under a constant pull that is warmed and cooled: the margin is smallest where it is hottest."""
    seconds, kelvin = np.array([0.0, 60.0, 90.0, 200.0]), np.array([293.15, 450.0, 550.0, 310.0])
    uniform = dtw.table(over="time", at=seconds, values=kelvin)
    pulled = dtw.Model(
        box("tetra10", 2, (0.02, 0.02, 0.02)),
        materials={"body": dtw.material("S355", **strength(expansion=12e-6))},
        supports=[dtw.PrescribedDisplacement(on=f"{axis}min", **{axis: 0.0}) for axis in "xyz"],
        load_cases={"pull": [dtw.Traction(on="xmax", value=("50 MPa", 0, 0)), dtw.Temperature(uniform)]},
    )
    verdict = dtw.StrengthTest(
        pulled, requirements=[dtw.yield_margin() >= 2.0, dtw.displacement("xmax", "x") <= "1 mm"]
    ).run()
    margins = np.interp(kelvin, [293.15, 600.0], [300e6, 100e6]) / 50e6
    assert verdict.rows[0].value.value == pytest.approx(margins.min(), rel=1e-6)
    assert verdict.rows[0].value.instant == 90.0
    assert verdict.rows[1].value.value == pytest.approx(0.02 * (50e6 / 210e9 + 12e-6 * 256.85), rel=1e-6)
    assert verdict.rows[1].value.instant == 90.0
    assert "90 s" in str(verdict)
    case = verdict.result["pull"]
    assert_allclose(case.history(name="safety_factor", over="min").values, margins, rtol=1e-6)
    assert case.field("safety_factor").values.min() == pytest.approx(margins.min(), rel=1e-6)
    assert "smallest over time" in case.field("safety_factor").title


def test_the_worst_stress_and_the_worst_margin_may_have_instants_of_their_own(bar):
    """Stress is largest at 10 s, at 300 K; at 30 s it is a little less, but the part is hot and weak."""
    gradient = 60.0 * bar.points[:, 0] / 0.1
    kelvin = np.array(
        [
            np.full(bar.n_points, 293.15),
            293.15 + gradient,
            550.0 + 0.9 * gradient,
            np.full(bar.n_points, 293.15),
        ]
    )
    # What is free of stress at 293.15 K grows at 550 K too: free ends, and only the gradient's curl is held.
    held = dtw.Model(
        bar,
        materials={"body": dtw.material("S355", **strength())},
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0),
            dtw.PrescribedDisplacement(on="ymin", y=0.0),
            dtw.PrescribedDisplacement(on="ymax", y=0.0),
            dtw.PrescribedDisplacement(on="zmin", z=0.0),
        ],
        load_cases={"heat": [dtw.Temperature(dtw.nodal(kelvin, TIMES), reference="20 degC")]},
    )
    result = dtw.solve_static(held)["heat"]
    stress, margin = result.history(name="von_mises"), result.history(name="safety_factor", over="min")
    by_hand = [
        (
            np.interp(k[frame.points.node], [293.15, 600.0, 700.0], [300e6, 100e6, 40e6]) / frame.von_mises()
        ).min()
        for k, frame in zip(kelvin[1:3], result.frames[1:3], strict=True)
    ]
    assert_allclose(margin.values[1:3], by_hand, rtol=1e-12)
    verdict = dtw.StrengthTest(held, requirements=[dtw.yield_margin() >= 0.01, dtw.stress() <= "1 GPa"]).run()
    assert verdict.rows[0].value.instant == TIMES[1 + int(np.argmin(by_hand))]
    assert verdict.rows[1].value.instant == TIMES[int(np.argmax(stress.values))]


def test_combinations_add_instant_by_instant(bar):
    both = {
        "pull": [dtw.Force(on="xmax", value=("10 kN", 0, 0))],
        "both": dtw.combine(pull=1.5, heat=1.2),
        "twice": dtw.combine(both=1.0, heat=0.8),
    }
    result = dtw.solve_static(model(bar, dtw.nodal(course(bar), TIMES), more=both))
    pull, heat, sum_, twice = (result[name] for name in ("pull", "heat", "both", "twice"))
    assert_allclose(sum_.applied, [15e3, 0.0, 0.0])
    for i, time in enumerate(TIMES):
        wanted = 1.5 * pull.stress() + 1.2 * heat.frames[i].stress()
        assert sum_.frames[i].time == time
        assert_allclose(sum_.frames[i].stress(), wanted, atol=1e-6 * np.abs(wanted).max())
        assert_allclose(
            twice.frames[i].displacement,
            1.5 * pull.displacement + 2.0 * heat.frames[i].displacement,
            atol=1e-15,
        )
    assert_allclose(sum_.at(20.0).displacement, 1.5 * pull.displacement + 1.2 * heat.at(20.0).displacement)
    other = dtw.nodal(course(bar), TIMES + 1.0)
    with pytest.raises(dtw.ModelError, match="different instants"):
        model(bar, other, more={"later": [dtw.Temperature(dtw.nodal(course(bar), TIMES))],
                                "both": dtw.combine(heat=1.0, later=1.0)})  # fmt: skip
    with pytest.raises(dtw.ModelError, match="stiffness"):
        model(bar, other, more={"pull": both["pull"], "both": both["both"]}, **GLASSY)


def test_instants_beyond_memory_go_to_disk_and_say_the_same(bar, monkeypatch):
    stated = model(bar, dtw.nodal(course(bar), TIMES))
    before = dtw.solve_static(stated)["heat"]
    monkeypatch.setattr(frames, "MEMORY", 10_000)
    after = dtw.solve_static(stated)["heat"]
    assert after.stored.on_disk
    assert not before.stored.on_disk
    for one, other in zip(before.frames, after.frames, strict=True):
        assert (one.displacement == other.displacement).all()
        assert (one.stress() == other.stress()).all()
    # Stress that was kept on the way is the same as when it is computed anew, in any order.
    anew = dtw.solve_static(stated)["heat"]
    for i in (2, 0, 3, 1):
        assert (anew.frames[i].stress() == before.frames[i].stress()).all()
        assert (anew.at(TIMES[i]).stress() == after.frames[i].stress()).all()


def test_iterations_along_a_course_give_the_same_digits_on_any_number_of_threads(bar):
    from designtwin import parallel

    times = np.linspace(0.0, 60.0, 40)
    stated = model(bar, dtw.nodal(course(bar, times), times))
    found = []
    for n in (1, 3):
        with parallel.use_threads(n):
            found.append(dtw.solve_static(stated, solver=dtw.MultigridCG())["heat"])
    one, other = found
    assert "directions of load" in one.info.solver
    factors = dtw.solve_static(stated, solver=dtw.Direct())["heat"]
    for i in (0, 7, 39):
        size = np.abs(factors.frames[i].displacement).max() + 1e-15
        assert (one.frames[i].displacement == other.frames[i].displacement).all()
        assert_allclose(one.frames[i].displacement, factors.frames[i].displacement, atol=1e-6 * size)
    assert one.residual < 1e-6


def test_heat_over_time_then_stress_at_its_instants():
    """Solved heat is taken as it is, at its instants; a bar held at its ends answers its mean."""
    mesh = rectangle("quad8", (12, 2), (0.12, 0.02))
    steel = dtw.LinearElastic(
        youngs_modulus=200e9, poissons_ratio=0.0, expansion=12e-6, conductivity=50.0, density=7800.0,
        specific_heat=500.0, yield_strength="400 MPa",
    )  # fmt: skip
    part = dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(steel, thickness=0.01)},
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0),
            dtw.PrescribedDisplacement(on="xmax", x=0.0),
            dtw.PrescribedDisplacement(on="ymin", y=0.0),
        ],
        load_cases={
            "pulse": [
                dtw.HeatFlux(
                    on="xmin",
                    magnitude=dtw.table(over="time", at=[0, 20, 20.1, 120], values=[2e5, 2e5, 0, 0]),
                ),
                dtw.Convection(on="xmax", coefficient=800.0, ambient="20 degC"),
            ]
        },
    )
    heat = dtw.solve_transient(part, duration="120 s", initial="20 degC", step="2 s")
    hot = part.with_case("hot", [dtw.Temperature(heat["pulse"], reference="20 degC")])
    verdict = dtw.StrengthTest(hot, requirements=[dtw.yield_margin(case="hot") >= 1.0]).run()
    case = verdict.result["hot"]
    assert_allclose(case.times, heat["pulse"].times)
    mean = np.array([frame.temperature for frame in heat["pulse"].frames]) @ mean_over(mesh)
    pressed = [-frame.reaction("xmax")[0] / 0.0002 for frame in case.frames]
    assert_allclose(pressed, 200e9 * 12e-6 * (mean - 293.15), rtol=1e-6, atol=10.0)
    margins = case.history(name="safety_factor", over="min").values
    worst = int(np.argmin(margins))
    assert 0 < worst < len(margins) - 1
    value = verdict.rows[0].value
    assert value.value == margins[worst]
    assert value.instant == case.times[worst]


def mean_over(mesh: dtw.Mesh) -> np.ndarray:
    from designtwin.mesh.transfer import integral_of

    weight = integral_of(mesh)
    return weight / weight.sum()


def test_temperatures_of_another_mesh_are_brought_over_first(bar):
    heat = dtw.Model(
        box("hexahedron20", (5, 3, 3), (0.1, 0.05, 0.05)),
        materials={"body": dtw.material("S355")},
        load_cases={
            "on": [dtw.FixedTemperature(on="xmin", value=400.0), dtw.FixedTemperature(on="xmax", value=300.0)]
        },
    )
    steady = dtw.solve_thermal(heat)["on"]
    with pytest.raises(
        dtw.ModelError, match=r"another mesh .*Temperature\(dtw\.transfer\(case, model\.mesh\)\)"
    ):
        model(bar, steady)
    stress = dtw.solve_static(model(bar, dtw.transfer(steady, bar)))["heat"]
    assert_allclose(stress.field("temperature").values, 400.0 - 1000.0 * bar.points[:, 0], rtol=1e-9)
    over_time = dtw.solve_transient(heat, duration="60 s", initial="20 degC", step="20 s")["on"]
    moved = dtw.transfer(over_time, bar)
    assert moved.values.shape == (len(over_time.times), bar.n_points)
    history = dtw.solve_static(model(bar, moved))["heat"]
    assert_allclose(history.times, over_time.times)
    last = history.frames[-1].field("temperature").values
    assert_allclose(last, dtw.transfer((heat.mesh, over_time.frames[-1].temperature), bar).values)


def test_a_course_does_not_pass_for_a_state(bar):
    case = dtw.solve_static(model(bar, dtw.nodal(course(bar), TIMES)))["heat"]
    with pytest.raises(AttributeError, match="say at which"):
        case.displacement  # noqa: B018
    with pytest.raises(AttributeError, match="say at which"):
        case.von_mises()
    assert not hasattr(case, "no_such_thing")
    envelope = np.max([frame.von_mises() for frame in case.frames], axis=0)
    assert_allclose(case.field("von_mises").values, envelope)
    assert case.field("displacement").values.shape == (bar.n_points, 3)
    assert "4 instants" in repr(case)
    with pytest.raises(dtw.ModelError, match="no instants"):
        model(bar, dtw.function(lambda t: 300.0 + t, over="time"))
    with pytest.raises(dtw.ModelError, match=r"a history at nodes.*without a time"):
        model(bar, dtw.nodal(course(bar), TIMES)).cases["heat"].temperature.at_nodes(model(bar, 300.0))
