"""Slopes of frequencies, buckling factors, temperatures over time and damage, against differences.

Whole analyses are differenced by Richardson's rule from two steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from builders import apart, block, box
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.analysis import transient
from designtwin.analysis.adjoint import sensitivities, smooth_values
from designtwin.analysis.adjoint.modal import Repeated
from designtwin.analysis.adjoint.shapes import smooth_rank
from designtwin.analysis.adjoint.transient import over_time
from designtwin.assembly.directions import Directions
from designtwin.errors import NoAdjointError, TopologyError
from designtwin.mesh import Mesh

DIRECT = dtw.Direct()


def shaped(mesh, p):
    """The mesh with its nodes moved, smoothly and unlike a rigid motion."""
    x, y, z = mesh.points.T
    size = np.ptp(mesh.points, axis=0)
    by = np.zeros_like(mesh.points)
    by[:, 0] = 0.2 * x * (1.0 + y / size[1])
    by[:, 1] = 0.3 * np.sin(2.0 * x / size[0]) * y + 0.05 * size[1] * x / size[0]
    if size[2] > 0.0:
        by[:, 2] = 0.25 * z * np.cos(x / size[0])
    return mesh.moved(mesh.points + p * by)


@dataclass
class Case:
    """A response, the model it is of by its variables, and what is asked of it."""

    name: str
    build: Any
    run: Any
    quantity: Any
    variables: dict[str, float] = field(default_factory=dict)  # name -> step of the differences
    tolerance: float = 1e-6

    def model(self, **values):
        return self.build(**dict.fromkeys(self.variables, 0.0) | values)


# Models


def part(mesh, *, formulation=None, section=None, push=1e4, thick=0.02):
    """A cantilever on a foundation, with a mass at its end, pushed."""

    def build(shape=0.0, modulus=0.0, density=0.0, load=0.0, foundation=0.0, mass=0.0, thickness=0.0):
        made = dtw.LinearElastic(
            youngs_modulus=2e11 * (1 + modulus), poissons_ratio=0.3, density=7800 * (1 + density)
        )
        if mesh.dimension == 2:
            made = (section or dtw.PlaneStress)(made, thickness=thick * (1 + thickness))
        elif formulation:
            made = dtw.Solid(made, formulation=formulation)
        return dtw.Model(
            shaped(mesh, shape),
            materials={"body": made},
            supports=[
                dtw.FixedSupport(on="xmin"),
                dtw.ElasticFoundation(on="xmax", normal=1e9 * (1 + foundation)),
                dtw.PointMass(on="xmax", mass=3.0 * (1 + mass)),
            ],
            load_cases={
                "push": [dtw.Force(on="xmax", value=(-push * (1 + load), 0.1 * push, 0.0))],
                "dead": [
                    dtw.Force(on="xmax", value=(-0.3 * push, 0.0, 0.0)),
                    dtw.Gravity(direction="-x", magnitude=3e3),
                ],
                "both": dtw.combine(push=2.0, dead=-1.0),
            },
        )

    return build


HEX = box("hexahedron", (4, 1, 2), (1.0, 0.06, 0.1))
TET = box("tetra10", (2, 1, 1), (1.0, 0.06, 0.1))
QUAD = block("quad8", (3, 1, 1), (1.0, 0.06, 1.0))
MECHANICAL = {"shape": 2e-3, "modulus": 4e-3, "density": 4e-3, "foundation": 0.1, "mass": 4e-3}


def modes(model):
    return dtw.solve_modes(model, count=4, solver=DIRECT)


def pressed(model):
    return dtw.solve_modes(model, count=4, prestress="push", solver=DIRECT)


def summed(model):
    return dtw.solve_modes(model, count=4, prestress="both", solver=DIRECT)


def buckled(model):
    return dtw.solve_buckling(model, count=3, case="push", which="positive", solver=DIRECT, keep=True)


def buckled_under(model):
    return dtw.solve_buckling(model, count=3, case="push", dead="dead", which="positive", solver=DIRECT)


def warmed_part(mesh, *, nonlinear=False, timed=False, jumps=False, section=None):
    """A part with a given temperature at one end, air at the other and a flux on its top."""

    def build(shape=0.0, conductivity=0.0, specific_heat=0.0, density=0.0, film=0.0, flux=0.0, given=0.0):
        k, c = 20.0 * (1 + conductivity), 500.0 * (1 + specific_heat)
        if nonlinear:
            k = dtw.table(over="temperature", at=[250.0, 800.0], values=[k, 1.8 * k])
            c = dtw.table(over="temperature", at=[250.0, 800.0], values=[c, 1.6 * c])
        made = dtw.LinearElastic(conductivity=k, specific_heat=c, density=7000 * (1 + density))
        if mesh.dimension == 2:
            made = dtw.PlaneStress(made, thickness=0.02) if section is None else section(made)
        hot = 350.0 * (1 + given)
        if timed:
            hot = dtw.table(over="time", at=[0.0, 40.0, 100.0], values=[hot, 1.2 * hot, hot])
        heat = 2e4 * (1 + flux)
        loads = [
            dtw.Convection(on="xmax", coefficient=200 * (1 + film), ambient=293.15),
            dtw.HeatFlux(on="ymax", magnitude=ends_early(heat) if jumps else heat),
        ]
        if nonlinear:
            loads.append(dtw.Radiation(on="ymin", emissivity=0.8 * (1 + film), ambient=300.0))
        return dtw.Model(
            shaped(mesh, shape),
            materials={"body": made},
            supports=[dtw.FixedTemperature(on="xmin", value=hot)],
            load_cases={"heat": loads},
        )

    return build


def ends_early(heat):
    return dtw.function(lambda time: heat * (time < 35.0), over="time")


HEATED = dict.fromkeys(("shape", "conductivity", "specific_heat", "density", "film", "flux", "given"), 2e-2)


def heated(method="BDF2", keep=True, **options):
    return lambda model: dtw.solve_transient(
        model, duration="100 s", initial="20 degC", method=method, step="10 s", solver=DIRECT, keep=keep,
        **options,
    )  # fmt: skip


END = dtw.temperature(on="xmax")
BRICK = box("hexahedron", (3, 1, 1), (0.1, 0.05, 0.05))
PLATE = block("quad8", (2, 1, 1), (0.1, 0.05, 1.0))


# What holds, joins and moves parts otherwise


def flying(shape=0.0, modulus=0.0):
    made = dtw.LinearElastic(youngs_modulus=2e11 * (1 + modulus), poissons_ratio=0.3, density=7800)
    return dtw.Model(
        shaped(TET, shape),
        materials={"body": made},
        supports=[dtw.InertiaRelief(), dtw.PointMass(on="xmax", mass=2.0)],
        load_cases={"pull": [dtw.Force(on="xmax", value=(1e3, 0.0, 0.0))]},
    )


def slanted(shape=0.0):
    """Held along a direction that turns as the part changes."""
    x, y = np.cos(0.5 + shape), np.sin(0.5 + shape)
    along = dtw.Cartesian(x=(x, y, 0.0), xy=(-y, x, 0.0))
    made = dtw.LinearElastic(youngs_modulus=2e11, poissons_ratio=0.3, density=7800)
    return dtw.Model(
        shaped(HEX, shape),
        materials={"body": made},
        supports=[
            dtw.FixedSupport(on="xmin"),
            dtw.PrescribedDisplacement(on="xmax", x=0.0, coordinates=along),
        ],
        load_cases={"push": [dtw.Force(on="xmax", value=(-1e6, 3e6, 0.0))]},
    )


def hot(shape=0.0, expansion=0.0, warmth=0.0, modulus=0.0):
    """Clamped at both ends and warmed; its modulus falls with temperature."""
    softer = dtw.table(
        over="temperature", at=[250.0, 700.0], values=[2e11 * (1 + modulus), 1.5e11 * (1 + modulus)]
    )
    made = dtw.LinearElastic(
        youngs_modulus=softer, poissons_ratio=0.3, density=7800, expansion=1.2e-5 * (1 + expansion),
        expansion_reference=293.15,
    )  # fmt: skip
    return dtw.Model(
        shaped(HEX, shape),
        materials={"body": made},
        supports=[dtw.FixedSupport(on="xmin"), dtw.FixedSupport(on="xmax")],
        load_cases={"push": [dtw.Temperature(350.0 * (1 + warmth))]},
    )


def spinning(shape=0.0, speed=0.0, density=0.0):
    made = dtw.LinearElastic(youngs_modulus=2e11, poissons_ratio=0.3, density=7800 * (1 + density))
    turn = dtw.Centrifugal(speed=300.0 * (1 + speed), axis="+y", point=(-0.2, 0.0, 0.0))
    return dtw.Model(
        shaped(HEX, shape),
        materials={"body": made},
        supports=[dtw.FixedSupport(on="xmin"), dtw.PointMass(on="xmax", mass=2.0)],
        load_cases={"push": [turn]},
    )


def halves():
    """Two meshes that do not match, face to face; where edges lie on each other a slide has a kink."""
    parts = (
        box("hexahedron", (2, 2, 2), (1.0, 0.1, 0.1)),
        box("hexahedron", (2, 3, 1), (0.6, 0.1, 0.1), origin=(1.0, 0.013, 0.007)),
    )
    return apart(
        *(
            Mesh(mesh.points, mesh.cells, {f"{name}_{key}": group for key, group in mesh.groups.items()})
            for name, mesh in zip("ab", parts, strict=True)
        )
    ), len(parts[0].points)


HALVES, FIRST = halves()


def tied(shape=0.0, conductivity=0.0):
    """As the shape changes one half slides along the other, and what its nodes follow changes."""
    made = dtw.LinearElastic(
        youngs_modulus=2e11, poissons_ratio=0.3, density=7800, conductivity=30.0 * (1 + conductivity),
        specific_heat=500.0,
    )  # fmt: skip
    points = shaped(HALVES, shape).points.copy()
    points[FIRST:, 1] += shape * 0.05
    return dtw.Model(
        HALVES.moved(points),
        materials={"a_body": made, "b_body": made},
        supports=[dtw.FixedSupport(on="a_xmin"), dtw.FixedTemperature(on="a_xmin", value=300.0)],
        connections=[dtw.Tie(a="a_xmax", b="b_xmin", tolerance="20 mm")],
        load_cases={
            "push": [dtw.Force(on="b_xmax", value=(-1e5, 2e4, 0.0)), dtw.HeatFlux(on="b_xmax", magnitude=1e4)]
        },
    )


def long_heated(model):
    return dtw.solve_transient(
        model, duration="20000 s", initial="20 degC", step="4000 s", solver=DIRECT, keep=True
    )


# Life

SAMPLES = np.random.default_rng(3).normal(size=(2, 40)) * [[10.0], [100.0]]
LOG = dtw.SensorLog(
    "crane.csv", np.arange(40.0), {"force": SAMPLES[0], "tip": SAMPLES[1]}, {"force": "kN", "tip": "N"}
)
CURVE = dtw.SNCurve(
    amplitude="100 MPa", cycles=1e6, slope=5, miner="elementary", knee=1e6, ultimate="2 GPa", scatter=0.2
)


def beam(shape=0.0, poisson=0.0, load=0.0):
    mesh = box("tetra10", (3, 1, 1), (0.2, 0.02, 0.01))
    return dtw.Model(
        shaped(mesh, shape),
        materials={"body": dtw.LinearElastic(youngs_modulus=2e11, poissons_ratio=0.25 + poisson)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "pull": [dtw.Force(on="xmax", value=(1e3 * (1 + load), 0.0, 0.0))],
            "lift": [dtw.Force(on="xmax", value=(0.0, 0.0, 10.0))],
            "dead": [dtw.Force(on="xmax", value=(6e3, 0.0, 0.0))],
        },
    )


CHANNELS = {"force": dtw.unit_case("pull", per="1 kN"), "tip": dtw.unit_case("lift", per="10 N")}


def life_test(model, **options):
    return dtw.LifeTest(
        model, requirements=[], curve=CURVE, mean_stress="Goodman", channels=CHANNELS, constant="dead",
        history=LOG, solver=DIRECT, **options,
    )  # fmt: skip


def used(model):
    return life_test(model).solve(keep=True)


STRESSED = {"shape": 1e-4, "poisson": 1e-4, "load": 1e-4}
BUCKLES = {"shape": 2e-3, "modulus": 4e-3, "load": 4e-3, "foundation": 0.1}

WARM = {"shape": 2e-3, "expansion": 4e-3, "warmth": 4e-3}
TURNING = {"shape": 2e-3, "speed": 4e-3, "density": 4e-3}
NONLINEAR = dict.fromkeys(("shape", "conductivity", "specific_heat", "film"), 2e-2)
SOME = dict.fromkeys(("shape", "density", "flux"), 2e-2)

CASES = [
    Case("frequency, hexahedra", part(HEX), modes, dtw.frequency(1), MECHANICAL),
    Case("frequency, b-bar", part(HEX, formulation="b-bar"), modes, dtw.frequency(2), MECHANICAL),
    Case("frequency, tetrahedra", part(TET), modes, dtw.frequency(1), MECHANICAL),
    Case("frequency along y", part(HEX), modes, dtw.frequency(1, direction="y"), {"shape": 2e-3}),
    Case("frequency, sheet", part(QUAD), modes, dtw.frequency(1), MECHANICAL | {"thickness": 4e-3}),
    Case("frequency under load", part(HEX), pressed, dtw.frequency(1), MECHANICAL | {"load": 4e-3}),
    Case("frequency under two loads", part(TET), summed, dtw.frequency(1), {"shape": 2e-3, "load": 4e-2}),
    Case("buckling, hexahedra", part(HEX), buckled, dtw.buckling_factor(), BUCKLES),
    Case("buckling, b-bar", part(HEX, formulation="b-bar"), buckled, dtw.buckling_factor(), BUCKLES),
    Case("buckling, tetrahedra", part(TET), buckled, dtw.buckling_factor(), BUCKLES),
    Case("buckling, sheet", part(QUAD), buckled, dtw.buckling_factor(), BUCKLES | {"thickness": 4e-3}),
    Case(
        "buckling, dead loads", part(HEX), buckled_under, dtw.buckling_factor(), BUCKLES | {"density": 4e-3}
    ),
    Case("heat, BDF2", warmed_part(BRICK), heated(), END, HEATED),
    Case("heat, Crank-Nicolson", warmed_part(BRICK), heated("Crank-Nicolson"), END, HEATED),
    Case("heat, backward Euler", warmed_part(BRICK), heated("backward Euler"), END, SOME),
    Case("heat, timed", warmed_part(BRICK, timed=True), heated(), END, SOME | {"given": 2e-2}),
    Case("heat, jumps", warmed_part(BRICK, jumps=True), heated(), END, SOME),
    Case("heat, jumps, theta", warmed_part(BRICK, jumps=True), heated(0.7), END, SOME),
    Case("heat, nonlinear", warmed_part(PLATE, nonlinear=True), heated(), END, NONLINEAR),
    Case("heat, ring", warmed_part(PLATE, section=dtw.Axisymmetric), heated(), END, SOME),
    Case(
        "heat, mean at a time", warmed_part(BRICK), heated(times=["55 s"], keep=False),
        dtw.temperature(over="mean", time="55 s"), HEATED,
    ),
    Case("frequency, free", flying, modes, dtw.frequency(2), {"shape": 2e-3, "modulus": 4e-3}),
    Case("frequency, skew support", slanted, modes, dtw.frequency(1), {"shape": 2e-3}),
    Case("buckling, skew support", slanted, buckled, dtw.buckling_factor(), {"shape": 2e-3}),
    Case("frequency, warm", hot, pressed, dtw.frequency(1), WARM | {"modulus": 4e-3}),
    Case("buckling, warm", hot, buckled, dtw.buckling_factor(), WARM),
    Case("frequency, turning", spinning, pressed, dtw.frequency(1), TURNING),
    Case("frequency, tied", tied, modes, dtw.frequency(1), {"shape": 2e-3}),
    Case("buckling, tied", tied, buckled, dtw.buckling_factor(), {"shape": 2e-3}),
    Case("heat, tied", tied, long_heated, dtw.temperature(on="b_xmax"), {"shape": 2e-5}),
    Case("damage", beam, used, dtw.damage(), STRESSED),
    Case("life", beam, used, dtw.life(survival=0.975), {"shape": 1e-4, "load": 1e-4}),
]  # fmt: skip
PAIRS = [(case, name) for case in CASES for name in case.variables]


def _pair(pair):
    return pair if isinstance(pair, str) else pair.name


@pytest.fixture(autouse=True)
def steps_are_solved_to_rounding(monkeypatch):
    """What a step leaves open by its tolerance would be seen in differences."""
    monkeypatch.setattr(transient, "_SOLVED", (1e-13, 1e-13))


@pytest.fixture(scope="module")
def answers():
    """Slopes along all variables of a case, solved for once."""
    known: dict[str, tuple[float, dict[str, float]]] = {}

    def get(case):
        if case.name not in known:
            h = 1e-4
            model = case.model()
            neighbors = [
                (case.model(**{name: h}), case.model(**{name: -h}), 2 * h) for name in case.variables
            ]
            directions = Directions.of(model, neighbors, names=list(case.variables))
            (found,) = sensitivities(case.run(model), case.quantity)
            known[case.name] = found.value, dict(zip(case.variables, found.along(directions), strict=True))
        return known[case.name]

    return get


@pytest.mark.parametrize(("case", "variable"), PAIRS, ids=_pair)
def test_slopes_are_those_of_differences(case, variable, answers):
    value, slopes = answers(case)
    step = case.variables[variable]

    def at(p):
        ((_, number),) = smooth_values(case.run(case.model(**{variable: p})), case.quantity)
        return number

    wide, narrow = ((at(h) - at(-h)) / (2.0 * h) for h in (step, 0.5 * step))
    richardson = (4.0 * narrow - wide) / 3.0
    assert abs(richardson) > 1e-7 * value  # or there is nothing to compare
    assert_allclose(slopes[variable], richardson, rtol=case.tolerance)


# Repeated frequencies


def square(width=0.0, height=0.0, twist=0.0):
    """A beam of square section: its modes of bending come in pairs."""
    mesh = box("hexahedron20", (3, 1, 1), (1.0, 0.1, 0.1), origin=(0.0, -0.05, -0.05))
    x, y, z = mesh.points.T
    points = np.stack([x, y * (1 + width) + twist * z, z * (1 + height) + twist * y], axis=1)
    steel = dtw.LinearElastic(youngs_modulus=2e11, poissons_ratio=0.3, density=7800)
    return dtw.Model(mesh.moved(points), materials={"body": steel}, supports=[dtw.FixedSupport(on="xmin")])


SQUARE = {"width": 1e-3, "height": 1e-3, "twist": 1e-3}


def square_directions(model):
    h = 1e-5
    return Directions.of(
        model, [(square(**{n: h}), square(**{n: -h}), 2 * h) for n in SQUARE], names=list(SQUARE)
    )


def test_repeated_frequencies_part_as_differences_say():
    model = square()
    found = modes(model).modes
    assert found.frequencies[1] / found.frequencies[0] < 1.0 + 1e-6
    pair = Repeated.of(found)
    assert len(pair.numbers) == 2
    slopes = pair.along(square_directions(model))
    for (name, step), slope in zip(SQUARE.items(), slopes, strict=True):
        # Branches are smooth through the design where they meet: the upper one before is the lower after.
        ends = []
        for h in (step, 0.5 * step):
            after = modes(square(**{name: h})).modes.frequencies[:2]
            before = modes(square(**{name: -h})).modes.frequencies[:2][::-1]
            ends.append((after - before) / (2.0 * h))
        assert_allclose(slope, (4.0 * ends[1] - ends[0]) / 3.0, rtol=1e-6, atol=1e-5)
    assert slopes[0, 0] == pytest.approx(slopes[1, 0], rel=1e-6)  # width and height are alike
    assert abs(slopes[2, 1] + slopes[2, 0]) < 1e-6 * slopes[2, 1]  # a twist splits them evenly


def test_the_smooth_frequency_has_a_slope_where_frequencies_are_repeated():
    model = square()
    result = modes(model)
    (found,) = sensitivities(result, dtw.frequency(1))
    assert found.true == pytest.approx(result.modes.frequencies[0])
    assert found.value == pytest.approx(found.true * 2.0 ** (-1.0 / 400.0), rel=1e-9)
    assert found.case == "mode 1"
    slopes = found.along(square_directions(model))
    for (name, step), slope in zip(SQUARE.items(), slopes, strict=True):
        ends = []
        for h in (step, 0.5 * step):
            both = [smooth_values(modes(square(**{name: s})), dtw.frequency(1))[0][1] for s in (h, -h)]
            ends.append((both[0] - both[1]) / (2.0 * h))
        assert_allclose(slope, (4.0 * ends[1] - ends[0]) / 3.0, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_smooth_rank_follows_the_rank_and_forgets_the_order(rank):
    values = np.array([3.0, 5.0, 9.0, 20.0])
    value, slope = smooth_rank(values, rank)
    assert value == pytest.approx(values[rank - 1], rel=1e-12)
    assert_allclose(slope, np.arange(4) == rank - 1, atol=1e-12)
    close = np.array([3.0, 3.003, 3.01, 3.2])
    value, slope = smooth_rank(close, rank)
    assert smooth_rank(close[::-1], rank)[0] == pytest.approx(value, rel=1e-14)
    for i in range(4):
        ends = []
        for h in (1e-4, 5e-5):
            step = h * (np.arange(4) == i)
            ends.append((smooth_rank(close + step, rank)[0] - smooth_rank(close - step, rank)[0]) / (2.0 * h))
        assert_allclose(slope[i], (4.0 * ends[1] - ends[0]) / 3.0, rtol=1e-6, atol=1e-9)
    assert slope.min() >= 0.0
    assert slope @ close == pytest.approx(value)  # of degree one
    equal, slope = smooth_rank(np.array([7.0, 7.0, 30.0]), 1)
    assert_allclose(slope, [0.5 * equal / 7.0, 0.5 * equal / 7.0, 0.0], atol=1e-12)


def test_the_peak_over_time_forgets_how_many_steps_were_made():
    def course(times):
        return 300.0 + 80.0 * np.sin(times / 30.0) * np.exp(-times / 60.0)

    coarse = np.linspace(0.0, 100.0, 81)
    fine = np.sort(np.append(np.linspace(0.0, 100.0, 161), np.linspace(20.0, 60.0, 401)[1:-1:2] + 1e-3))
    one, slope = over_time(coarse, course(coarse), largest=True)
    other, _ = over_time(fine, course(fine), largest=True)
    assert one == pytest.approx(other, abs=0.05)
    assert course(coarse).max() < one < course(coarse).max() + 4.0
    low, _ = over_time(coarse, -course(coarse), largest=False)
    assert low == pytest.approx(-one)
    for i in (3, 31, 80):
        step = 1e-3 * (np.arange(81) == i)
        ends = [over_time(coarse, course(coarse) + s * step, largest=True)[0] for s in (1.0, -1.0)]
        assert slope[i] == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=1e-5, abs=1e-10)


def test_steps_that_follow_their_error_hardly_change_the_slope():
    model = warmed_part(BRICK)()
    slopes = []
    for options in ({"step": "2 s"}, {"tolerance": 0.02}):
        result = dtw.solve_transient(model, duration="100 s", initial="20 degC", keep=True, **options)
        (found,) = sensitivities(result, END)
        slopes.append(found)
    assert slopes[0].value == pytest.approx(slopes[1].value, abs=0.2)
    assert_allclose(slopes[1].points, slopes[0].points, atol=0.02 * np.abs(slopes[0].points).max())


# What is refused, and what is told


def test_what_has_no_slope_is_refused_by_name():
    model = part(HEX)()
    result = modes(model)
    with pytest.raises(NoAdjointError, match="mode 9 lies above"):
        sensitivities(result, dtw.frequency(9))
    with pytest.raises(NoAdjointError, match="'push' has no such factor"):
        sensitivities(buckled(model), dtw.buckling_factor(loads="reversed"))
    course = heated()(warmed_part(BRICK)())
    with pytest.raises(NoAdjointError, match=r"say times=\['55 s'\]"):
        sensitivities(course, dtw.temperature(time="55 s"))
    with pytest.raises(NoAdjointError, match="over time"):
        sensitivities(course, dtw.time_to("xmax", "40 degC"))
    gentle = dtw.SNCurve(amplitude="2 GPa", cycles=1e6, slope=5, knee=1e6)
    with pytest.raises(NoAdjointError, match="no damage"):
        sensitivities(
            dtw.LifeTest(beam(), curve=gentle, channels=CHANNELS, history=LOG, requirements=[]).solve(),
            dtw.damage(),
        )


def test_another_topology_is_refused():
    model = part(HEX)()
    (found,) = sensitivities(modes(model), dtw.frequency(1))
    other = part(TET)()
    with pytest.raises(TopologyError, match="width"):
        found.along(Directions.of(model, [(other, model, 1.0)], names=["width"]))


def test_adjoints_take_up_what_was_kept(monkeypatch):
    model = part(HEX)()
    result = buckled(model)
    course = heated()(warmed_part(BRICK)())
    life = used(beam())
    calls = []
    original = dtw.Direct.factorize
    monkeypatch.setattr(dtw.Direct, "factorize", lambda self, *a: calls.append(1) or original(self, *a))
    sensitivities(result, dtw.buckling_factor())
    sensitivities(life, dtw.damage())
    assert not calls
    (found,) = sensitivities(course, END)
    assert len(calls) <= 3  # the first steps of BDF2 have rates of their own
    assert "MB in memory" in found.info.notes[0]
    (again,) = sensitivities(heated(keep=False)(warmed_part(BRICK)()), END)
    assert "set up anew" in again.info.notes[1]
    assert_allclose(again.points, found.points, rtol=1e-8, atol=1e-8 * np.abs(found.points).max())
