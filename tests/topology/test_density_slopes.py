"""Slopes of quantities by densities against differences; weighted analyses against plain ones."""

import numpy as np
import pytest
from builders import box, rectangle

import designtwin as dtw
from designtwin.topology import goals, weighted
from designtwin.topology.chain import Chain
from designtwin.topology.filters import cone_filter
from designtwin.topology.goals import Physics
from designtwin.topology.manufacturing import AXES, Draw, Overhang, extruded, mirrored
from designtwin.topology.weighted import Statics


def part(element):
    """A bar with weight, warmth, heat and a shove, in cases of their own."""
    steel = dtw.material("S355")
    if element == "quad":
        mesh, body = (
            rectangle(element, (7, 4), (2.0, 1.0), distort=0.1),
            dtw.PlaneStress(steel, thickness=0.01),
        )
    else:
        mesh, body = box(element, (4, 3, 2), (2.0, 1.0, 0.7), distort=0.1), steel
    return dtw.Model(
        mesh,
        materials={"body": body},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "pull": [dtw.Force(on="xmax", value=(0.0, -1e6, 0.0))],
            "weight": [dtw.Force(on="xmax", value=(0.0, -1e3, 0.0)), dtw.Gravity(direction="-y")],
            "warm": [dtw.Force(on="xmax", value=(0.0, -1e6, 0.0)), dtw.Temperature(330.0)],
            "shove": [
                dtw.PrescribedDisplacement(on="xmax", y=1e-3),
                dtw.Force(on="ymax", value=(0.0, -1e5, 0.0)),
            ],
            "hot": [
                dtw.FixedTemperature(on="xmin", value="20 degC"),
                dtw.HeatFlow(on="xmax", total="20 W"),
                dtw.Convection(on="ymax", coefficient="10 W/(m2 K)", ambient="10 degC"),
            ],
        },
    )


QUANTITIES = {
    "compliance": dtw.compliance(case="pull"),
    "compliance with weight": dtw.compliance(case="weight"),
    "compliance with warmth": dtw.compliance(case="warm"),
    "compliance with a shove": dtw.compliance(case="shove"),
    "displacement": dtw.displacement("xmax", "y", over="mean", case="pull"),
    "displacement, warm": dtw.displacement("xmax", "x", over="mean", case="warm"),
    "temperature": dtw.temperature(over="mean", case="hot"),
    "mass": dtw.mass(),
    "stress": dtw.stress(case="pull"),
    "stress, warm": dtw.stress(case="warm", excluding="xmin"),
    "yield margin": dtw.yield_margin(case="weight"),
    "frequency": dtw.frequency(1),
}


@pytest.mark.parametrize("law", [dtw.SIMP(), dtw.RAMP()], ids=["simp", "ramp"])
@pytest.mark.parametrize("element", ["quad", "hexahedron", "tetra10"])
def test_slopes_by_density_equal_differences(element, law):
    model = part(element)
    physics = Physics(model, list(QUANTITIES.values()), None)
    rng = np.random.default_rng(5)
    density, step = rng.uniform(0.2, 1.0, model.mesh.n_cells), rng.normal(size=model.mesh.n_cells)
    h = 1e-4
    here = physics.solve(density, law)
    around = {k: physics.solve(density + k * h * step, law) for k in (-2, -1, 1, 2)}
    for name, quantity in QUANTITIES.items():
        (told,) = physics.told(quantity, here)

        def smooth(answers, quantity=quantity):
            (one,) = physics.told(quantity, answers)
            return one.value if one.smooth is None else one.smooth

        wide, near = smooth(around[2]) - smooth(around[-2]), smooth(around[1]) - smooth(around[-1])
        found = (8.0 * near - wide) / (12.0 * h)
        bound = told.value if told.smooth is None else told.smooth
        # The slope of a bound is told scaled to the extreme itself.
        wanted = float(told.slope @ step) * bound / told.value
        scale = max(abs(found), 1e-3 * abs(bound))
        assert abs(wanted - found) < 3e-6 * scale, name


def test_full_density_gives_the_answers_of_the_plain_analyses():
    model = part("hexahedron")
    ones = np.ones(model.mesh.n_cells)
    result = dtw.solve_static(model)
    for state in Statics(model, ["pull", "weight", "warm", "shove"], None).solve(ones, ones):
        u = result[state.name].displacement
        assert np.abs(state.u - u).max() < 1e-9 * np.abs(u).max()
    heat = weighted.Heat(model, ["hot"], None).solve(ones)[0]
    assert np.abs(heat.u - dtw.solve_thermal(model)["hot"].temperature).max() < 1e-8
    values, _ = weighted.Modes(model, None).solve(ones, ones, 3)
    plain = [mode.frequency for mode in dtw.solve_modes(model, count=3).modes]
    assert np.sqrt(values[:3]) / (2.0 * np.pi) == pytest.approx(plain[:3], rel=1e-6)


def test_half_the_mass_halves_the_weight():
    model = part("hexahedron")
    heavy, light = (
        Statics(model, ["weight"], None).solve(np.ones(24), share * np.ones(24))[0].force
        for share in (1.0, 0.5)
    )
    steady = Statics(model, ["weight"], None).solve(np.ones(24), 0.0 * np.ones(24))[0].force
    np.testing.assert_allclose(light - steady, 0.5 * (heavy - steady), atol=1e-9)


@pytest.mark.parametrize("plane", [False, True])
def test_cubes_are_solved_alike_without_a_matrix(plane, monkeypatch):
    steel = dtw.material("S355")
    mesh = (
        rectangle("quad", (20, 11), (2.0, 1.1)) if plane else box("hexahedron", (8, 5, 4), (0.8, 0.55, 0.4))
    )
    body = dtw.PlaneStress(steel, thickness=0.01) if plane else steel
    model = dtw.Model(
        mesh, materials={"body": body}, supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"a": [dtw.Force(on="xmax", value=(0.0, -1e6, 0.0))]},
    )  # fmt: skip
    density = np.random.default_rng(1).uniform(0.01, 1.0, mesh.n_cells)
    weight = dtw.SIMP()(density)
    states = []
    for least in (0, 10**9):
        monkeypatch.setattr(weighted, "_GENERAL", least)
        statics = Statics(model, ["a"], None)
        assert (statics.lattice is not None) == (least == 0)
        states.append(statics.solve(weight, density)[0])
    slopes = [state.slope(state.u)[0] for state in states]
    assert np.abs(states[0].u - states[1].u).max() < 1e-7 * np.abs(states[1].u).max()
    assert np.abs(slopes[0] - slopes[1]).max() < 1e-7 * np.abs(slopes[1]).max()


def test_mass_of_thin_cells_falls_off_smoothly():
    at = np.array([0.1 - 1e-9, 0.1 + 1e-9])
    assert goals.mass_share(at) == pytest.approx(0.1, rel=1e-6)
    assert goals.mass_share_slope(at) == pytest.approx(1.0, rel=1e-5)
    assert goals.mass_share(np.array([0.01]))[0] < 1e-5


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("sharpness", [0.0, 4.0])
def test_slopes_go_back_through_the_whole_chain(robust, sharpness):
    mesh = box("hexahedron", (6, 4, 5), (6.0, 4.0, 5.0))
    n = mesh.n_cells
    keep, void = np.zeros(n, bool), np.zeros(n, bool)
    keep[:6], void[40:44] = True, True
    links = (mirrored(mesh, "x")[0], extruded(mesh, AXES["y"]))
    shaping = (Draw.of(mesh, AXES["z"], np.deg2rad(5.0)), Overhang.of(mesh, AXES["z"], np.deg2rad(45.0)))
    chain = Chain(links, cone_filter(mesh.cell_centers, np.ones(n), 1.6), shaping, keep, void, robust)
    rng = np.random.default_rng(3)
    x, step = rng.uniform(0.3, 0.9, n), rng.normal(size=n)
    a, b = rng.normal(size=n), rng.normal(size=n)

    def value(x):
        fields = chain.fields(x, sharpness)
        return float(a @ fields.stiff + b @ fields.heavy)

    h = 2e-6
    found = (value(x + h * step) - value(x - h * step)) / (2.0 * h)
    assert chain.slopes(x, sharpness, a, b) @ step == pytest.approx(found, rel=2e-5)
