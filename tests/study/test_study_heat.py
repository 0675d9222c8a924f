"""Heat in the design loop: steady, over time, and the stress it makes, on slabs of known answers."""

import numpy as np
import pytest
from builders import box, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.study.store import Store

HEAT, FILM, AIR, CONDUCTIVITY = 4.0, 400.0, 293.15, 200.0
LIMIT = 353.15
LENGTH, WIDTH = 0.06, 0.01
STRIP = rectangle("quad8", (6, 1), (LENGTH, WIDTH))
ALUMINUM = dtw.LinearElastic(
    youngs_modulus=70e9, poissons_ratio=0.0, expansion=23e-6, density=2700.0, conductivity=CONDUCTIVITY,
    specific_heat=900.0, yield_strength=200e6, name="aluminum",
)  # fmt: skip
CAPACITY = 2700.0 * 900.0


def strip(values, mesh):
    """Heat in at one end of a strip, air at the other: a film and the metal, in series."""
    length = values.get("length", LENGTH)
    return dtw.Model(
        mesh.morphed(dtw.stretch("x", {0.0: 0.0, LENGTH: length})),
        materials={"body": dtw.PlaneStress(ALUMINUM, thickness=values.get("thickness", 0.01))},
        load_cases={
            "on": [
                dtw.HeatFlow(on="xmin", total=HEAT),
                dtw.Convection(on="xmax", coefficient=values.get("film", FILM), ambient=AIR),
            ]
        },
    )


def steady(model):
    return [dtw.ThermalTest(model, requirements=[dtw.temperature("xmin") <= LIMIT])]


def over_time(model, *, requirement=None, **options):
    options = {"duration": "4 min", "initial": AIR, "step": "5 s"} | options
    requirements = [requirement or dtw.temperature("xmin") <= LIMIT, dtw.heat_balance() <= "0.1 %"]
    return [dtw.ThermalTest(model, requirements=requirements, **options)]


THICKNESS = {"thickness": dtw.variable("2 mm", "20 mm")}


def study(tests, *, build=strip, variables=THICKNESS, minimize=None, **options):
    minimize = minimize or dtw.mass()
    return dtw.Study(build=build, mesh=STRIP, variables=variables, tests=tests, minimize=minimize, **options)


def rise(thickness, film=FILM, length=LENGTH):
    """Of the heated end over the air, at rest."""
    return HEAT / (WIDTH * thickness) * (1.0 / film + length / CONDUCTIVITY)


def test_a_fin_ends_as_thick_as_its_steady_temperature_allows():
    best = study(steady).run()
    known = rise(1.0) / (LIMIT - AIR)  # the rise goes as one over the thickness
    assert best.feasible
    assert known <= best.values["thickness"] < 1.01 * known
    assert best.status == "PASS"
    assert best.active == ("temperature of 'xmin' ≤ 80 °C | on",)


def test_a_film_and_a_length_are_variables_too():
    """The coolest end with a film and a length between bounds: the largest film, the shortest strip."""
    variables = {"film": dtw.variable(200.0, 600.0), "length": dtw.variable("30 mm", "90 mm")}
    best = study(steady, variables=variables, minimize=dtw.temperature("xmin")).run()
    assert_allclose([best.values["film"], best.values["length"]], [600.0, 0.03], rtol=1e-4)
    assert_allclose(best.objective, AIR + rise(0.01, 600.0, 0.03), rtol=1e-9)
    assert {"film at its upper bound", "length at its lower bound"} <= set(best.active)


def test_a_fin_may_be_thinner_where_the_load_ends_before_it_is_hot():
    """Over four minutes the heat that is stored counts: between the heat alone and the rest."""
    best = study(over_time).run()
    assert best.feasible
    thickness = best.values["thickness"]
    assert thickness < 0.75 * rise(1.0) / (LIMIT - AIR)
    # no heat leaves: HEAT t / (C thickness); the film takes some, so less is needed than then
    assert thickness < HEAT * 240.0 / (CAPACITY * LENGTH * WIDTH * (LIMIT - AIR)) + 0.004
    value = best.verdicts[0].rows[0].value
    assert value.instant == 240.0
    assert best.active == ("temperature of 'xmin' ≤ 80 °C | on at 4 min",)
    assert "at 4 min" in str(best)


def test_the_loop_steers_by_the_far_end_of_the_interval():
    """The interval holds the error in time: a coarse step costs thickness, and never a limit."""
    fine, coarse = (study(lambda m, s=s: over_time(m, step=s)).run() for s in ("2 s", "20 s"))
    for best in (fine, coarse):
        value = best.verdicts[0].rows[0].value
        assert value.value < value.high <= LIMIT
        assert LIMIT - value.high < 0.5
    assert coarse.values["thickness"] > fine.values["thickness"]
    slack = coarse.history.designs[-1].slacks["temperature of 'xmin' ≤ 80 °C | on"]
    model = coarse.study.model_of(coarse.history.designs[-1].values)
    value = over_time(model, step="20 s")[0].run().rows[0].value
    assert_allclose(slack, (LIMIT - value.high) / 100.0, rtol=1e-9)


def test_evaluations_keep_the_instant_of_the_worst(tmp_path):
    """Heat for a minute, then none: the worst is at the end of the minute, not of the test."""

    def pulse(values, mesh):
        on = dtw.table(over="time", at=["0 s", "60 s", "60.001 s", "4 min"], values=[40.0, 40.0, 0.0, 0.0])
        return strip(values, mesh).with_case(
            "on",
            [
                dtw.HeatFlow(on="xmin", total=on),
                dtw.Convection(on="xmax", coefficient=FILM, ambient=AIR),
            ],
        )

    best = study(over_time, build=pulse, store=tmp_path).run(max_analyses=2)
    for evaluation in best.history.evaluations:
        assert evaluation.instants["temperature of 'xmin' ≤ 80 °C | on"] == pytest.approx(60.0, abs=0.01)
    again = study(over_time, build=pulse, store=tmp_path).run(max_analyses=2)
    assert again.history.evaluations == best.history.evaluations


SLAB = box("hexahedron20", (2, 1, 1), (0.02, 0.01, 0.01))
POWER, ALLOWED = 4.0, 60e6


def pinned(values, mesh):
    """A slab that is heated for two minutes while its ends are held, and the stress that this makes."""
    model = dtw.Model(
        mesh.morphed(dtw.stretch("z", {0.0: 0.0, 0.01: values["thickness"]})),
        materials={"body": ALUMINUM},
        supports=[
            dtw.PrescribedDisplacement(on=side, **{side[0]: 0.0}) for side in ("xmin", "xmax", "ymin", "zmin")
        ],
        load_cases={
            "on": [
                dtw.HeatSource(on="body", total=POWER),
                dtw.Convection(on="zmax", coefficient=FILM, ambient=AIR),
            ]
        },
    )
    heat = dtw.solve_transient(model, duration="2 min", initial=AIR, step="5 s")
    return model.with_case("held", [dtw.Temperature(heat["on"], reference=AIR)])


def held(model):
    return [dtw.StrengthTest(model, requirements=[dtw.stress("von_mises") <= ALLOWED])]


def test_stress_that_heat_makes_over_time_holds_a_design_back():
    """Thin, so even: C L dT/dt = q - h T; held along x, the stress is E alpha T."""
    best = dtw.Study(
        build=pinned, mesh=SLAB, variables={"thickness": dtw.variable("4 mm", "20 mm")}, tests=held,
        minimize=dtw.mass(),
    ).run()  # fmt: skip
    value = best.verdicts[0].rows[0].value
    assert best.status == "PASS"
    assert (value.case, value.instant) == ("held", 120.0)
    assert 0.98 * ALLOWED < value.high <= ALLOWED
    assert best.active == ("von Mises stress ≤ 60 MPa | held at 120 s",)
    decay = np.exp(-120.0 * FILM / (CAPACITY * best.values["thickness"]))
    even = POWER / (0.02 * 0.01) / FILM * (1.0 - decay)
    assert_allclose(value.value, 70e9 * 23e-6 * even, rtol=0.02)


# What must not go wrong in silence


def test_a_store_refuses_another_duration_though_the_functions_read_the_same(tmp_path):
    def lasting(duration):
        return lambda model: over_time(model, duration=duration)

    study(lasting("4 min"), store=tmp_path).run(max_analyses=1)
    study(lasting("4 min"), store=tmp_path).run(max_analyses=1)
    with pytest.raises(dtw.StudyError, match="tests differ"):
        study(lasting("5 min"), store=tmp_path).run(max_analyses=1)


def test_loads_that_are_functions_are_studied_and_only_not_kept(tmp_path):
    def build(values, mesh):
        ramp = dtw.function(lambda t: HEAT * np.minimum(t / 10.0, 1.0), over="time")
        film = dtw.Convection(on="xmax", coefficient=FILM, ambient=AIR)
        return strip(values, mesh).with_case("on", [dtw.HeatFlow(on="xmin", total=ramp), film])

    best = study(over_time, build=build).run(max_analyses=3)
    assert [e.failure for e in best.history.evaluations] == ["", "", ""]
    with pytest.raises(dtw.StudyError, match=r"cannot: .*tabulate it with .*leave store= out"):
        study(over_time, build=build, store=tmp_path).run(max_analyses=3)


def test_a_store_of_one_test_for_all_designs_is_refused(tmp_path):
    with pytest.raises(dtw.StudyError, match="would find those of another there"):
        study(lambda model: over_time(model, store=tmp_path)).run(max_analyses=2)


def test_a_design_whose_neighbors_all_fail_is_no_optimum():
    def brittle(values, mesh):
        if values["thickness"] != THICKNESS["thickness"].start:
            raise dtw.MeshError("it folds")
        return strip(values, mesh)

    best = study(steady, build=brittle).run()
    assert "no design beside this one could be evaluated: MeshError: it folds" in best.stopped


def test_an_old_store_without_instants_is_read(tmp_path):
    store = Store(tmp_path, {"mesh": "x"})
    store._db.execute(
        "INSERT INTO evaluation (key, data) VALUES (?, ?)",
        (
            '{"a": "0x1.0000000000000p+0"}',
            '{"number": 1, "values": {"a": 1.0}, "objective": 2.0, "slacks": {}, "status": {}, '
            '"readings": {}, "failure": "", "seconds": 0.1, "purpose": "design"}',
        ),
    )
    found = store.find({"a": 1.0})
    assert found is not None
    assert found.instants == {}
