"""Adjoints of statics and steady heat against Richardson differences of whole analyses."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import designtwin as dtw
from designtwin import parallel
from designtwin.analysis import transient
from designtwin.analysis.adjoint import smooth_values
from designtwin.assembly import directions
from designtwin.errors import ModelError, NoAdjointError, RequirementError, TopologyError
from tests.builders import apart, box, rectangle
from tests.surroundings import FULL

RICHARDSON = 1e-6
STEEL = dtw.LinearElastic(
    youngs_modulus=2e11, poissons_ratio=0.3, density=7800.0, expansion=1.2e-5, conductivity=50.0,
    yield_strength=3e8,
)  # fmt: skip


def richardson(number, h=1e-3):
    """Slope at 0 by central differences at h and h / 2, extrapolated: fourth order in h."""
    wide, narrow = ((number(s) - number(-s)) / (2 * s) for s in (h, h / 2))
    return (4.0 * narrow - wide) / 3.0


def slopes(build, quantity, *, solve=None, case=None, h=1e-4, **more):
    """Slope of a quantity over the variable of build, at 0: by adjoint, and by Richardson differences."""
    solve = solve or (lambda model, keep=False: dtw.solve_static(model, solver=dtw.Direct(), keep=keep))
    result = solve(build(0.0), keep=True)

    def pick(found):
        return next(
            one for one in found if case is None or (one.case if hasattr(one, "case") else one[0]) == case
        )

    found = pick(dtw.sensitivities(result, quantity, **more))
    beside = dtw.Directions.of(build(0.0), [(build(h), build(-h), 2 * h)])
    exact = richardson(lambda v: pick(smooth_values(solve(build(v)), quantity, **more))[1])
    return found, found.along(beside)[0], exact


def wavy(mesh, by):
    """The mesh moved by a smooth field, all nodes."""
    x = mesh.points
    move = np.stack(
        [np.sin(3 * x[:, 1] + x[:, 2]), np.cos(2 * x[:, 0]) - 1.0, np.sin(2 * x[:, 0] + x[:, 1])], axis=1
    )
    if mesh.dimension == 2:
        move[:, 2] = 0.0
    return replace(mesh, points=x + 0.1 * by * move)


BLOCK = box("tetra10", 1, (0.3, 0.2, 0.2))
HEXAS = box("hexahedron", (2, 2, 2), (0.3, 0.2, 0.2), distort=0.15)
LOADS = [
    dtw.Force(on="xmax", value=(1e5, -2e5, 0.7e5)), dtw.Pressure(on="ymax", magnitude=2e6),
    dtw.Gravity(direction="-y"),
]  # fmt: skip


def shaped(mesh, supports, items=LOADS, materials=None, **more):
    def build(by):
        return dtw.Model(wavy(mesh, by), materials or {"body": STEEL}, supports, {"case": items}, **more)

    return build


CLAMPED = [dtw.FixedSupport(on="xmin")]
QUANTITIES = {
    "principal stress": dtw.stress("max_principal"),
    "Tresca stress": dtw.stress("tresca"),
    "lowest stress": dtw.stress("principal_3", over="min"),
    "mean stress of a face": dtw.stress("yy", on="ymax", over="mean"),
    "mean displacement of a face": dtw.displacement("xmax", "z", over="mean"),
    "Tresca margin": dtw.yield_margin(criterion="tresca"),
    "part of the stress": dtw.stress(on="xmax", excluding="ymin"),
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_shape_slopes_with_loads_that_ride_on_the_faces(name):
    found, slope, exact = slopes(shaped(BLOCK, CLAMPED), QUANTITIES[name])
    assert slope == pytest.approx(exact, rel=RICHARDSON, abs=1e-8 * abs(found.value))


OBLIQUE = dtw.Cartesian(x=(1, 1, 0), xy=(0, 1, 0))
SUPPORTS = {
    "a seat on a slanted face": [dtw.Symmetry(on="xmin"), dtw.FixedSupport(on="ymin")],
    "oblique motion and a seat on a curved face": [
        dtw.Symmetry(on="zmin"),
        dtw.PrescribedDisplacement(
            on=dtw.group("xmin") - dtw.group("zmin") - dtw.group("ymin"), x=1e-5, y=2e-5, coordinates=OBLIQUE
        ),
        dtw.PrescribedDisplacement(on="ymin", y=0.0),
    ],
    "an elastic foundation": [dtw.ElasticFoundation(on="xmin", normal=2e11, tangential=1e11)],
}  # fmt: skip


@pytest.mark.parametrize("name", SUPPORTS)
@pytest.mark.parametrize("quantity", [dtw.displacement("xmax"), dtw.stress()], ids=["displacement", "stress"])
def test_shape_slopes_with_supports_that_turn_or_grow_with_the_part(name, quantity):
    mesh = wavy(BLOCK, 0.3)
    found, slope, exact = slopes(shaped(mesh, SUPPORTS[name]), quantity)
    assert slope == pytest.approx(exact, rel=RICHARDSON, abs=1e-8 * abs(found.value))


def halves_of_a_block():
    beside = box("hexahedron", (2, 3, 3), (0.2, 0.2, 0.2), origin=(0.2, 0.0, 0.0))
    beside = replace(beside, groups={"far " + name: group for name, group in beside.groups.items()})
    return apart(box("hexahedron", (2, 2, 2), (0.2, 0.2, 0.2)), beside)


def test_shape_slopes_through_a_tie_of_meshes_that_do_not_match():
    both = halves_of_a_block()

    def build(by):
        x = both.points.copy()
        x[:, 1] *= 1.0 + by * (1.0 + x[:, 0])  # the joint stays one plane
        x[:, 2] += by * 0.3 * x[:, 0] ** 2
        return dtw.Model(
            replace(both, points=x), {"body": STEEL, "far body": STEEL}, CLAMPED,
            {"case": [dtw.Force(on="far xmax", value=(1e5, -2e5, 0.7e5))]},
            connections=[dtw.Tie(a="xmax", b="far xmin")],
        )  # fmt: skip

    for quantity in (dtw.displacement("far xmax"), dtw.stress(on="body")):
        found, slope, exact = slopes(build, quantity)
        assert slope == pytest.approx(exact, rel=RICHARDSON, abs=1e-8 * abs(found.value))


def test_a_combination_adds_the_slopes_of_its_cases():
    def build(by):
        cases = {
            "lift": [dtw.Force(on="xmax", value=(0.0, -2e5 * (1.0 + by), 0.0))],
            "brake": [dtw.Pressure(on="ymax", magnitude=2e6)],
            "both": dtw.combine(lift=1.35, brake=1.5),
        }
        return dtw.Model(wavy(BLOCK, by), {"body": STEEL}, CLAMPED, cases)

    for quantity in (
        dtw.stress(case="both"),
        dtw.displacement("xmax", case="both"),
        dtw.compliance(case="both"),
    ):
        found, slope, exact = slopes(build, quantity)
        assert slope == pytest.approx(exact, rel=RICHARDSON, abs=1e-8 * abs(found.value))


def test_axes_of_the_material_turn_with_the_part():
    for quantity in (dtw.displacement("xmax"), dtw.stress("xx", on="xmax")):
        found, slope, exact = slopes(shaped(HEXAS, CLAMPED, materials={"body": WOUND}), quantity)
        assert slope == pytest.approx(exact, rel=RICHARDSON, abs=1e-8 * abs(found.value))


WARM = [dtw.displacement("xmax"), dtw.stress(), dtw.yield_margin()]


BRITTLE = replace(STEEL, ultimate_strength=4e8, compressive_strength=9e8)
PLY = dtw.Orthotropic(
    youngs_modulus=(1.4e11, 1e10, 1e10), poissons_ratio=(0.3, 0.4, 0.3), shear_modulus=(5e9, 4e9, 5e9),
    density=1600.0, tensile_strength=(1.5e9, 5e7, 5e7), compressive_strength=(1.2e9, 2e8, 2e8),
    shear_strength=(7e7, 6e7, 7e7),
)  # fmt: skip
WOUND = dtw.Solid(PLY, orientation=dtw.Cylindrical(axis="z", origin=(-0.2, 0.0, 0.0)))
MARGINS = {
    "Rankine": (BRITTLE, dtw.brittle_margin("rankine")),
    "modified Mohr": (BRITTLE, dtw.brittle_margin("modified_mohr")),
    "Drucker-Prager": (BRITTLE, dtw.brittle_margin("drucker_prager")),
    "FKM": (BRITTLE, dtw.fkm_margin()),
    "Tsai-Wu": (WOUND, dtw.composite_margin("tsai_wu")),
    "largest strain": (WOUND, dtw.composite_margin("max_strain")),
}


@pytest.mark.parametrize("name", MARGINS if FULL else ("modified Mohr", "FKM", "Tsai-Wu"))
def test_margins_of_any_criterion_have_slopes(name):
    made_of, quantity = MARGINS[name]
    found, slope, exact = slopes(shaped(HEXAS, CLAMPED, materials={"body": made_of}), quantity)
    assert slope == pytest.approx(exact, rel=RICHARDSON, abs=1e-8 * abs(found.value))


def warmed(by, what):
    numbers = {"modulus": 1.0, "expansion": 1.0, "warmth": 1.0, "reference": 1.0, "strength": 1.0}
    numbers[what] += by

    def over(values, times):
        return dtw.table(over="temperature", at=[200.0, 900.0], values=[v * times for v in values])

    soft = replace(
        STEEL, youngs_modulus=over([2e11, 1e11], numbers["modulus"]),
        expansion=over([1e-5, 2e-5], numbers["expansion"]),
        yield_strength=over([3e8, 1e8], numbers["strength"]),
    )  # fmt: skip
    warm = (350.0 + 300.0 * HEXAS.points[:, 0] + 80.0 * HEXAS.points[:, 2]) * (0.9 + 0.1 * numbers["warmth"])
    items = [*LOADS, dtw.Temperature(warm, reference=293.0 + 10.0 * (numbers["reference"] - 1.0))]
    return dtw.Model(HEXAS, {"body": soft}, CLAMPED, {"case": items})


@pytest.mark.parametrize("what", ["modulus", "expansion", "warmth", "reference", "strength"])
@pytest.mark.parametrize("quantity", WARM if FULL else WARM[-1:], ids=str)
def test_stress_of_a_warm_part_whose_properties_depend_on_temperature(what, quantity):
    found, slope, exact = slopes(lambda by: warmed(by, what), quantity)
    assert slope == pytest.approx(exact, rel=RICHARDSON, abs=1e-8 * abs(found.value))


def hot(by, what="shape"):
    """A part that conducts the better the warmer it is, radiates and is cooled."""
    times = {
        name: 1.0 + (by if name == what else 0.0)
        for name in ("k", "film", "emissivity", "flux", "held", "heat")
    }
    k = dtw.table(over="temperature", at=[200.0, 1500.0], values=[20.0 * times["k"], 80.0 * times["k"]])
    mesh = wavy(HEXAS, by if what == "shape" else 0.0)
    around = dtw.select("xmax")
    loads = [
        dtw.HeatFlux(on="ymax", magnitude=6e4 * times["flux"]),
        dtw.HeatSource(on="body", magnitude=2e5 * times["heat"]),
        dtw.Convection(on="zmax", coefficient=40.0 * times["film"], ambient=300.0),
        dtw.Radiation(on=around, emissivity=0.7 * times["emissivity"], ambient=290.0),
    ]
    supports = [dtw.FixedTemperature(on="xmin", value=400.0 * times["held"]), dtw.FixedSupport(on="xmin")]
    warm = [dtw.Temperature(300.0, reference=293.0)]
    return dtw.Model(mesh, {"body": replace(STEEL, conductivity=k)}, supports, {"hot": loads, "warm": warm})


def heat(model, keep=False):
    return dtw.solve_thermal(model, solver=dtw.Direct(), keep=keep)


def warm_by_heat(model, keep=False):
    requirements = [dtw.displacement(case="warm") <= "1 m"]
    return dtw.ThermalStressTest(model, requirements, warmed={"warm": "hot"}, solver=dtw.Direct()).solve(
        keep=keep
    )


@pytest.mark.parametrize("what", ["shape", "k", "film", "emissivity", "flux", "held", "heat"])
def test_heat_that_is_not_linear_takes_the_transposed_tangent(what):
    quantity = dtw.temperature("zmax", case="hot")
    found, slope, exact = slopes(lambda by: hot(by, what), quantity, solve=heat, case="hot")
    assert "kept" not in " ".join(found.info.notes)
    assert slope == pytest.approx(exact, rel=RICHARDSON, abs=1e-8 * abs(found.value))


@pytest.mark.parametrize("what", ["shape", "k", "flux", "held"])
def test_stress_follows_heat_through_the_temperature(what):
    quantity = dtw.stress(case="warm")
    found, slope, exact = slopes(lambda by: hot(by, what), quantity, solve=warm_by_heat)
    assert slope == pytest.approx(exact, rel=RICHARDSON, abs=1e-8 * abs(found.value))


SMALL = box("hexahedron", (2, 2, 2), (0.03, 0.02, 0.02), distort=0.15)


def heating(by, what, *, softens=True):
    """A part that is warmed for 9 s, and softer where it is warm."""
    names = ("shape", "k", "film", "flux", "held", "specific heat", "load", "modulus")
    times = {name: 1.0 + (by if name == what else 0.0) for name in names}
    mesh = wavy(SMALL, 0.1 * (times["shape"] - 1.0))
    soft = dtw.table(over="temperature", at=[200.0, 1500.0], values=[2e11 * times["modulus"], 1e11])
    part = replace(
        STEEL,
        conductivity=50.0 * times["k"],
        specific_heat=500.0 * times["specific heat"],
        youngs_modulus=soft if softens else 2e11,
    )
    loads = [
        dtw.HeatFlux(on="ymax", magnitude=1e6 * times["flux"]),
        dtw.Convection(on="zmax", coefficient=400.0 * times["film"], ambient=300.0),
    ]
    supports = [dtw.FixedTemperature(on="xmin", value=320.0 * times["held"]), dtw.FixedSupport(on="xmin")]
    warm = [
        dtw.Temperature(300.0, reference=293.0),
        dtw.Force(on="xmax", value=(0.0, -1e3 * times["load"], 0.0)),
    ]
    cases = {"hot": loads, "warm": warm}
    if not softens:
        still = [dtw.Force(on="xmax", value=(0.0, 0.0, 2e3))]
        cases |= {"still": still, "both": dtw.combine(warm=1.2, still=0.5)}
    return dtw.Model(mesh, {"body": part}, supports, cases)


def while_heated(time):
    def solve(model, keep=False):
        return dtw.ThermalStressTest(
            model, [dtw.displacement(case="warm") <= "1 m"], solver=dtw.Direct(),
            warmed={"warm": "hot" if time is None else ("hot", time)},
            heat={"duration": "9 s", "initial": 300.0, "step": "3 s"},
        ).solve(keep=keep)  # fmt: skip

    return solve


@pytest.mark.parametrize(
    "what",
    ["shape", "k", "film", "flux", "held", "specific heat", "load", "modulus"]
    if FULL
    else ["shape", "modulus"],
)
@pytest.mark.parametrize("time", ["6 s", None], ids=["at an instant", "over time"])
def test_stress_follows_heat_through_its_course(monkeypatch, time, what):
    monkeypatch.setattr(transient, "_SOLVED", (1e-13, 1e-13))
    for quantity in (dtw.stress(case="warm"), dtw.yield_margin(case="warm")):
        found, slope, exact = slopes(lambda by: heating(by, what), quantity, solve=while_heated(time))
        assert slope == pytest.approx(exact, rel=RICHARDSON)
        assert found.factor == pytest.approx(found.true / found.value)


def test_stress_of_a_combination_over_time(monkeypatch):
    monkeypatch.setattr(transient, "_SOLVED", (1e-13, 1e-13))
    _, slope, exact = slopes(
        lambda by: heating(by, "flux", softens=False), dtw.stress(case="both"), solve=while_heated(None)
    )
    assert slope == pytest.approx(exact, rel=RICHARDSON)


def test_a_course_says_between_which_steps_and_over_which_temperatures_no_slope_is_known():
    model = heating(0.0, "k")
    with pytest.raises(NoAdjointError, match=r"say times=\['7.3 s'\]"):
        dtw.sensitivities(while_heated("7.3 s")(model), dtw.stress(case="warm"))
    heat = while_heated(None)(model).warmed["warm"][0]
    stated = model.with_case("warm", [dtw.Temperature(heat["hot"], reference=293.0)])
    with pytest.raises(NoAdjointError, match="states a course of temperature"):
        dtw.sensitivities(dtw.solve_static(stated), dtw.stress(case="warm"))


def test_factors_of_a_course_are_taken_up(monkeypatch):
    result = while_heated(None)(heating(0.0, "k", softens=False), keep=True)
    calls = []
    original = dtw.Direct.factorize
    monkeypatch.setattr(dtw.Direct, "factorize", lambda self, *a: calls.append(1) or original(self, *a))
    (found,) = dtw.sensitivities(result, dtw.stress(case="warm"))
    assert len(calls) <= 2, "one of them a first step of BDF2"
    assert "set up anew" not in " ".join(found.info.notes)


@pytest.mark.parametrize("what", ["emissivity", "k"])
def test_radiation_from_face_to_face_is_transposed_too(what):
    far = box("hexahedron", (2, 2, 1), (0.1, 0.1, 0.02), origin=(0.0, 0.0, 0.05))
    far = replace(far, groups={"far " + name: group for name, group in far.groups.items()})
    mesh = apart(box("hexahedron", (2, 2, 1), (0.1, 0.1, 0.02)), far)

    def build(by):
        k = 30.0 * (1.0 + (by if what == "k" else 0.0))
        emissivity = {"zmax": 0.6 * (1.0 + (by if what == "emissivity" else 0.0)), "far zmin": 0.8}
        part = replace(
            STEEL, conductivity=dtw.table(over="temperature", at=[200.0, 2000.0], values=[k, 3 * k])
        )
        return dtw.Model(
            mesh, {"body": part, "far body": part}, [dtw.FixedTemperature(on="far zmax", value=300.0)],
            {"hot": [
                dtw.HeatFlux(on="zmin", magnitude=8e3), dtw.Enclosure(emissivity=emissivity, ambient=290.0)
            ]},
        )  # fmt: skip

    found, slope, exact = slopes(build, dtw.temperature("zmax"), solve=heat)
    assert found.info.iterations > 0
    assert slope == pytest.approx(exact, rel=RICHARDSON)


def bracket(by=0.0):
    return shaped(box("tetra10", 3, (0.3, 0.2, 0.2)), CLAMPED)(by)


def test_multigrid_and_factors_agree_and_what_was_kept_is_used():
    model, rng = bracket(), np.random.default_rng(3)
    along = dtw.Directions.given(model, points=0.01 * rng.standard_normal((1, model.mesh.n_points, 3)))
    told = {}
    for name, solver, keep in (
        ("direct", dtw.Direct(), True), ("multigrid", dtw.MultigridCG(rtol=1e-12), True),
        ("anew", dtw.Direct(), False),
    ):  # fmt: skip
        (told[name],) = dtw.sensitivities(dtw.solve_static(model, solver=solver, keep=keep), dtw.stress())
    slope = {name: one.along(along)[0] for name, one in told.items()}
    assert slope["multigrid"] == pytest.approx(slope["direct"], rel=1e-8)
    assert slope["anew"] == pytest.approx(slope["direct"], rel=1e-8)
    assert "set up anew" in " ".join(told["anew"].info.notes)
    assert "set up anew" not in " ".join(told["direct"].info.notes)
    assert "Multigrid" in told["multigrid"].info.solver


def test_digits_do_not_depend_on_threads():
    model = bracket()
    found = []
    for n in (1, 2):
        with parallel.use_threads(n):
            result = dtw.solve_static(model, solver=dtw.Direct(), keep=True)
            found.append(dtw.sensitivities(result, dtw.stress())[0])
    assert_array_equal(found[0].points, found[1].points)
    assert_array_equal(found[0].stiffness, found[1].stiffness)


def test_moving_everything_changes_nothing_and_growing_costs_mass_to_the_third_power():
    model = bracket()
    result = dtw.solve_static(model, solver=dtw.Direct(), keep=True)
    (of_stress,), (of_mass,) = dtw.sensitivities(result, dtw.stress()), dtw.sensitivities(result, dtw.mass())
    size = np.abs(of_stress.points).sum(axis=0)
    assert (np.abs(of_stress.points.sum(axis=0)) <= 1e-9 * size).all()
    assert (of_mass.points * model.mesh.points).sum() == pytest.approx(3.0 * of_mass.value, rel=1e-12)
    assert of_mass.density.sum() * 7800.0 == pytest.approx(of_mass.value, rel=1e-12)


def test_ten_thousand_variables_are_one_product():
    model = bracket()
    found = dtw.sensitivities(dtw.solve_static(model, keep=True), dtw.compliance())[0]
    n = model.mesh.n_points
    every = dtw.Directions.given(model, points=sparse.eye_array(3 * n, format="csr"))
    assert_array_equal(found.along(every), found.points.ravel())


def test_slopes_add_and_scale():
    model = bracket()
    result = dtw.solve_static(model, solver=dtw.Direct(), keep=True)
    (a,), (b,) = dtw.sensitivities(result, dtw.stress()), dtw.sensitivities(result, dtw.compliance())
    along = dtw.Directions.of(model, [(bracket(1e-3), bracket(-1e-3), 2e-3)])
    assert_allclose((a + b * 2.0).along(along), a.along(along) + 2.0 * b.along(along), rtol=1e-12)
    assert_allclose((a + 2.0 * b).stiffness, a.stiffness + 2.0 * b.stiffness, rtol=1e-9)


def test_a_part_that_floats_has_slopes_wherever_it_is_pinned():
    def build(by):
        items = [dtw.Force(on="xmax", value=(1e5, 0.0, 0.0)), dtw.Force(on="ymax", value=(0.0, 3e4, 2e4))]
        return shaped(BLOCK, [dtw.InertiaRelief()], items)(by)

    _, slope, exact = slopes(build, dtw.stress())
    assert slope == pytest.approx(exact, rel=RICHARDSON)


# Forces and heat through a place, and what is read at points


@pytest.mark.parametrize("name", SUPPORTS)
def test_the_force_of_a_support_has_a_slope_wherever_it_turns_to(name):
    quantity = dtw.reaction("xmin", "magnitude" if FULL else "y")
    found, slope, exact = slopes(shaped(wavy(BLOCK, 0.3), SUPPORTS[name]), quantity)
    assert slope == pytest.approx(exact, rel=RICHARDSON, abs=1e-8 * found.value)


def test_the_force_of_one_of_two_supports_of_a_warm_part_and_of_a_combination():
    def build(by):
        cases = {
            "lift": [dtw.Force(on="ymax", value=(0.0, -2e5 * (1.0 + by), 0.0))],
            "warm": [dtw.Temperature(400.0 * (1.0 + by), reference=300.0)],
            "both": dtw.combine(lift=1.35, warm=1.5),
        }
        held = [dtw.FixedSupport(on="xmin"), dtw.FixedSupport(on="xmax")]
        return dtw.Model(wavy(HEXAS, by), {"body": STEEL}, held, cases)

    for case in ("warm", "both"):
        found, slope, exact = slopes(build, dtw.reaction("xmin", case=case))
        assert found.value == found.true
        assert slope == pytest.approx(exact, rel=RICHARDSON)


@pytest.mark.parametrize("held", ["xmin", "xmax"])  # beside the tie, and where others follow
def test_the_force_of_a_support_has_a_slope_beside_a_tie(held):
    both = halves_of_a_block()

    def build(by):
        x = both.points.copy()
        x[:, 1] *= 1.0 + by * (1.0 + x[:, 0])
        return dtw.Model(
            replace(both, points=x), {"body": STEEL, "far body": STEEL},
            [dtw.FixedSupport(on=held), dtw.Symmetry(on="far ymin")],
            {"case": [dtw.Force(on="far xmax", value=(1e5, -2e5, 0.7e5))]},
            connections=[dtw.Tie(a="xmax", b="far xmin")],
        )  # fmt: skip

    _, slope, exact = slopes(build, dtw.reaction(held, "y"))
    assert slope == pytest.approx(exact, rel=RICHARDSON)


@pytest.mark.parametrize("what", ["shape", "k", "film", "emissivity", "held"])
@pytest.mark.parametrize("place", ["xmin", "xmax", "zmax"])  # held; radiation; convection
def test_heat_through_a_place_has_a_slope(what, place):
    if not FULL and what in ("k", "film"):
        return
    found, slope, exact = slopes(
        lambda by: hot(by, what), dtw.heat(place, case="hot"), solve=heat, case="hot"
    )
    assert found.value == found.true
    assert slope == pytest.approx(exact, rel=RICHARDSON)


def test_strain_has_a_slope_and_that_of_a_sheet_says_why_not():
    _, slope, exact = slopes(shaped(HEXAS, CLAMPED), dtw.strain("principal_3", over="min"))
    assert slope == pytest.approx(exact, rel=RICHARDSON)
    sheet = rectangle("quad", 2)
    model = dtw.Model(
        sheet, {"body": dtw.PlaneStress(STEEL, thickness=0.01)}, CLAMPED,
        {"case": [dtw.Force(on="xmax", value=(1e3, 0.0, 0.0))]},
    )  # fmt: skip
    with pytest.raises(NoAdjointError, match="thins as its material has it"):
        dtw.sensitivities(dtw.solve_static(model), dtw.strain())


def within(mesh, by):
    """Nodes moved along the faces they are on, so that a line keeps its ends in the part."""
    x = mesh.points
    still = np.sin(np.pi * x / [0.3, 0.2, 0.2])
    move = np.stack(
        [np.cos(3 * x[:, 1] + x[:, 2]), np.cos(2 * x[:, 0] + x[:, 2]), np.sin(2 * x[:, 0] + x[:, 1] + 0.3)],
        axis=1,
    )
    return replace(mesh, points=x + 0.05 * by * still * move)


def bulged(mesh, by):
    """A curved face, off which the readings lie a little, whose nodes move along it too."""
    x = mesh.points.copy()
    x[:, 1] += 0.3 * (0.05 + by) * np.sin(4 * mesh.points[:, 0]) * x[:, 1]
    x[:, 0] += by * mesh.points[:, 0] * (0.3 - mesh.points[:, 0])
    return replace(mesh, points=x)


THROUGH = (0.137, 0.0, 0.083), (0.141, 0.2, 0.089)
LINES = {
    **{kind: dtw.linearized_stress(*THROUGH, kind) for kind in ("membrane+bending", "peak")},
    "membrane, bending of all": dtw.linearized_stress(*THROUGH, "membrane+bending", bending="all"),
}
TOES = {
    "one toe": dtw.hot_spot_stress((0.05, 0.2, 0.0777), "+x", "30 mm", component="principal"),
    "toes that are nodes": dtw.hot_spot_stress("toes", "+x", "50 mm", method="0.4t 0.9t 1.4t"),
}


def welded(element, move):
    n = (3, 3, 2) if element == "hexahedron" else (3, 3, 1)
    mesh = box(element, n, (0.3, 0.2, 0.2), distort=0.1, seed=4)
    x = mesh.points
    on = (x[:, 1] > 0.1999) & (np.abs(x[:, 0] - 0.1) < 0.04) & (np.abs(x[:, 2] - 0.1) < 0.06)
    mesh = replace(mesh, groups={**mesh.groups, "toes": dtw.Group(nodes=np.flatnonzero(on))})
    items = [dtw.Force(on="xmax", value=(1e5, -2e5, 0.7e5))]
    return lambda by: dtw.Model(move(mesh, by), {"body": STEEL}, CLAMPED, {"case": items})


@pytest.mark.parametrize("name", LINES)
def test_stress_along_a_line_that_stays_in_space_has_a_slope(name):
    _, slope, exact = slopes(welded("hexahedron", within), LINES[name])
    assert slope == pytest.approx(exact, rel=RICHARDSON)


@pytest.mark.parametrize("element", ["hexahedron", "hexahedron20"])
@pytest.mark.parametrize("name", TOES)
def test_hot_spot_stress_follows_the_surface(element, name):
    _, slope, exact = slopes(welded(element, bulged), TOES[name])
    assert slope == pytest.approx(exact, rel=RICHARDSON)


# What is refused


def test_what_has_no_adjoint_says_so():
    result = dtw.solve_static(bracket(), keep=True)
    with pytest.raises(NoAdjointError, match="name a place"):
        dtw.sensitivities(result, dtw.stress(at=(0.1, 0.1, 0.1)))
    with pytest.raises(RequirementError, match="aggregate='mean' is unknown"):
        dtw.sensitivities(result, dtw.stress(), aggregate="mean")
    with pytest.raises(RequirementError, match="never negative"):
        dtw.sensitivities(result, dtw.stress("xx"), aggregate="p-norm")
    with pytest.raises(RequirementError, match="near the largest"):
        dtw.sensitivities(result, dtw.displacement(component="z", over="min"), aggregate="p-norm")
    with pytest.raises(RequirementError, match="got 'stress'"):
        dtw.sensitivities(result, "stress")
    with pytest.raises(RequirementError, match="needs a thermal result"):
        dtw.sensitivities(result, dtw.temperature())


MISUSED = {
    "taken along": lambda s, m: s.along(None),
    "taken along Directions": lambda s, m: s.along(np.ones(3)),
    "added to a slope; got None": lambda s, m: s + None,
    "multiplied by a number; got 'a'": lambda s, m: s * "a",
    "no load case 'nowhere'": lambda s, m: s.temperature("nowhere"),
    "needs a model or a result, not a str": lambda s, m: dtw.sensitivities("x", dtw.mass()),
    "aggregate='zzz' is unknown": lambda s, m: dtw.sensitivities(
        dtw.solve_static(m), dtw.compliance(), aggregate="zzz"
    ),
    "are of a Model, got None": lambda s, m: dtw.Directions.of(None, []),
    "of a Model, got 3": lambda s, m: dtw.Directions.given(3, scale=np.ones((1, 2))),
    "neighbors are None": lambda s, m: dtw.Directions.of(m, None),
    "step between the two": lambda s, m: dtw.Directions.of(m, [(m, m, "wide")]),
    r"step between the two\) is wanted": lambda s, m: dtw.Directions.of(m, [(m, m, True)]),
    "is a function of a Model": lambda s, m: dtw.Directions.of(m, []).difference(None),
    "above zero and finite": lambda s, m: dtw.Directions.of(m, [(m, m, np.inf)]),
    "names='w'": lambda s, m: dtw.Directions.of(m, [(m, m, 1.0)], names="w"),
    "scale is 'abc'": lambda s, m: dtw.Directions.given(m, scale="abc"),
    "one row of numbers": lambda s, m: dtw.Directions.given(m, scale=[[1.0, 2.0], [3.0]]),
    "scale has 1 numbers": lambda s, m: dtw.Directions.given(m, scale=1.0),
    "an array with one row": lambda s, m: dtw.Directions.given(m, scale=1j * np.ones((1, 2))),
    "go by load case": lambda s, m: dtw.Directions.given(m, forces=np.ones((1, 3))),
}


@pytest.mark.parametrize("what", MISUSED)
def test_what_slopes_and_directions_are_given_is_doubted_at_the_door(what):
    model = bracket()
    (slope,) = dtw.sensitivities(dtw.solve_static(model), dtw.compliance())
    with pytest.raises((ModelError, RequirementError), match=what):
        MISUSED[what](slope, model)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (lambda: shaped(box("tetra10", 2, (0.3, 0.2, 0.2)), CLAMPED)(0.0), "nodes; this one has"),
        (lambda: bracket().with_case("more", [dtw.Gravity(direction="-z")]), "the load cases"),
        (lambda: bracket().with_case("case", LOADS[:1]), "loads and supports in case 'case'"),
        (lambda: bracket().with_(supports=[*CLAMPED, dtw.Symmetry(on="zmin")]), "another number of supports"),
    ],
)  # fmt: skip
def test_neighbors_of_another_topology_are_refused(other, what):
    model = bracket()
    with pytest.raises(TopologyError, match=what) as told:
        dtw.Directions.of(model, [(other(), model, 1e-3)], names=["rib height"])
    assert str(told.value).startswith("rib height: ")


def test_a_place_that_catches_other_nodes_beside_is_refused():
    def build(by):
        place = dtw.box((0.19, 0.19, -1.0), (1.0, 1.0, 1.0))
        return shaped(
            box("tetra10", 2, (0.3, 0.2 + by, 0.2)), CLAMPED, [dtw.Force(on=place, value=(1e3, 0.0, 0.0))]
        )(0.0)

    with pytest.raises(TopologyError, match="name a group"):
        dtw.Directions.of(build(0.0), [(build(0.1), build(-0.005), 0.105)])


def test_arrays_that_do_not_fit_are_refused():
    model = bracket()
    with pytest.raises(ModelError, match="at least one array"):
        dtw.Directions.given(model)
    with pytest.raises(ModelError, match="numbers per variable"):
        dtw.Directions.given(model, scale=np.ones((2, 3)))
    with pytest.raises(ModelError, match="each has one row"):
        dtw.Directions.given(
            model, scale=np.ones((2, model.mesh.n_cells)), density=np.ones((3, model.mesh.n_cells))
        )
    with pytest.raises(ModelError, match="not finite"):
        dtw.Directions.given(model, scale=np.full((1, model.mesh.n_cells), np.nan))
    with pytest.raises(ModelError, match="load case 'nowhere'"):
        dtw.Directions.given(model, forces={"nowhere": np.zeros((1, model.mesh.n_points, 3))})
    with pytest.raises(ModelError, match="above zero"):
        dtw.Directions.of(model, [(model, model, 0.0)])
    with pytest.raises(ModelError, match="model plus, model minus, step"):
        dtw.Directions.of(model, [(model, model)])
    with pytest.raises(ModelError, match="2 names are given for 1 variables"):
        dtw.Directions.of(model, [(model, model, 1.0)], names=["width", "height"])
    (slope,) = dtw.sensitivities(model, dtw.mass())
    other = model.with_(mesh=box("hexahedron", 3))
    with pytest.raises(ModelError, match="both are of one model"):
        slope.along(dtw.Directions.given(other, scale=np.ones((1, 27))))
    with pytest.raises(NoAdjointError, match="mesh quality"):
        dtw.sensitivities(model, dtw.mesh_quality())


def test_free_axes_of_skew_supports_do_not_jump_from_design_to_design():
    model = shaped(wavy(BLOCK, 0.3), [dtw.Symmetry(on="xmin")])(0.0)
    own = directions.map_of(model, model.cases["case"])
    turn = sparse.bsr_array(own.turn)
    other = turn.data.copy()
    rng = np.random.default_rng(0)
    for node in np.flatnonzero((turn.data != np.eye(3)).any(axis=(1, 2))):
        free = ~own.fixed[3 * node : 3 * node + 3]
        if free.any():
            q, _ = np.linalg.qr(rng.standard_normal((free.sum(), free.sum())))
            other[node][:, free] = other[node][:, free] @ q  # the same plane by other axes
    jumped = sparse.bsr_array((other, turn.indices, turn.indptr), shape=turn.shape)
    assert abs(jumped - turn).max() > 0.1
    found = directions._aligned(replace(own, transform=jumped), own)
    assert abs(found - own.transform).max() < 1e-14


@pytest.mark.parametrize("requirement", [dtw.yield_margin() >= 1.5, dtw.stress() <= 3e8], ids=str)
def test_the_bad_end_of_an_interval_has_a_slope_of_its_own(requirement):
    """Where loads alone grow, errors grow with them: widths held in proportion are exact."""
    quantity, more = requirement.quantity, {"largest": requirement.is_upper, "ends": True}

    def build(by):
        grown = [dtw.Force(on="xmax", value=(1e5 * (1 + by), -2e5 * (1 + by), 0.7e5 * (1 + by)))]
        return dtw.Model(HEXAS, {"body": STEEL}, CLAMPED, {"case": grown})

    found, slope, exact = slopes(build, quantity, **more)
    assert slope == pytest.approx(exact, rel=RICHARDSON)
    (value,) = requirement.by_case(dtw.solve_static(build(0.0), solver=dtw.Direct()))
    end = requirement.bad_end(value)
    assert abs(end - value.value) > 0.05 * value.value, "or the test says nothing"
    assert found.value == pytest.approx(end, rel=0.02)
