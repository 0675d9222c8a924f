"""Steady heat whatever the part: balance, reciprocity, bounds; walls, shells and sources in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from builders import BLOCKS, PLANES, SOLIDS, bar, block, box, merged, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.elements import ELEMENTS
from designtwin.errors import ModelError, SingularSystemError


def copper(element: str, conductivity: float = 400.0) -> object:
    material = dtw.LinearElastic(conductivity=conductivity)
    return material if element in SOLIDS else dtw.PlaneStress(material, thickness=0.01)


def solve(model: dtw.Model) -> dtw.ThermalCase:
    result = dtw.solve_thermal(model)
    return result[result.cases[0]]


@pytest.mark.parametrize("element", BLOCKS)
def test_heat_in_is_heat_out(element):
    """Flux, flow, source, convection and fixed temperature at once: what enters leaves, side by side."""
    model = dtw.Model(
        block(element, (3, 2, 2), (0.3, 0.2, 0.2), distort=0.2),
        materials={"body": copper(element)},
        supports=[dtw.FixedTemperature(on="xmin", value=300.0)],
        load_cases={
            "hot": [
                dtw.HeatFlux(on="ymax", magnitude=lambda p: 1e4 * p[:, 0]),
                dtw.HeatFlow(on="ymin", total=-25.0),
                dtw.HeatSource(on="body", magnitude=2e5),
                dtw.Convection(on="xmax", coefficient=50.0, ambient=350.0),
            ]
        },
    )
    case = solve(model)
    thick = 0.2 if element in SOLIDS else 0.01
    flux = 1e4 * 0.3**2 / 2 * thick
    source = 2e5 * 0.3 * 0.2 * thick
    assert case.applied == pytest.approx(flux - 25.0 + source, rel=1e-12)
    convected = case.heat("xmax")
    mean = case.integrate("xmax", "temperature") / (0.2 * thick)
    assert convected == pytest.approx(50.0 * (350.0 - mean) * 0.2 * thick, rel=1e-6)
    assert case.applied + convected + case.heat("xmin") == pytest.approx(0.0, abs=1e-9 * case.applied)
    assert case.imbalance < 1e-9
    assert case.residual < 1e-9


@pytest.mark.parametrize("element", BLOCKS)
def test_heat_is_reciprocal(element):
    """Green: the temperature at B from heat at A is the temperature at A from heat at B."""
    mesh = block(element, (3, 2, 2), distort=0.2)
    a, b = dtw.nearest((1.0, 1.0, 1.0)), dtw.nearest((0.6, 0.3, 0.2))
    model = dtw.Model(
        mesh,
        materials={"body": copper(element)},
        supports=[dtw.FixedTemperature(on="xmin", value=0.0)],
        load_cases={"a": [dtw.HeatFlow(on=a, total=1.0)], "b": [dtw.HeatFlow(on=b, total=1.0)]},
    )
    result = dtw.solve_thermal(model)
    node_a, node_b = model.region(a).nodes[0], model.region(b).nodes[0]
    assert result["a"].temperature[node_b] == pytest.approx(result["b"].temperature[node_a], rel=1e-10)
    assert result["a"].temperature[node_a] > result["a"].temperature[node_b] > 0.0


@pytest.mark.parametrize("element", ["quad", "hexahedron", "tetra", "wedge", "triangle"])
def test_no_place_is_colder_or_warmer_than_what_touches_the_part(element):
    model = dtw.Model(
        block(element, 4),
        materials={"body": copper(element)},
        supports=[dtw.FixedTemperature(on="xmin", value=280.0), dtw.FixedTemperature(on="xmax", value=390.0)],
        load_cases={"on": [dtw.Convection(on="ymax", coefficient=200.0, ambient=310.0)]},
    )
    temperature = solve(model).temperature
    assert temperature.min() >= 280.0 - 1e-9
    assert temperature.max() <= 390.0 + 1e-9


@pytest.mark.parametrize("element", SOLIDS)
def test_flux_passes_from_one_material_into_the_next(element):
    """A wall of two layers: resistances add, the flux is one, and nothing is averaged."""
    first, second = box(element, (2, 1, 1)), box(element, (2, 1, 1), origin=(1.0, 0.0, 0.0))
    mesh = merged(_named(first, "brick"), _named(second, "wool"))
    model = dtw.Model(
        mesh,
        materials={"brick": copper(element, 0.8), "wool": copper(element, 0.04)},
        supports=[
            dtw.FixedTemperature(on=dtw.plane((0.0, 0.0, 0.0), "x"), value=300.0),
            dtw.FixedTemperature(on=dtw.plane((2.0, 0.0, 0.0), "x"), value=250.0),
        ],
        load_cases={"steady": []},
    )
    case = solve(model)
    flux = 50.0 / (1 / 0.8 + 1 / 0.04)
    assert_allclose(case.heat_flux()[:, 0], flux, rtol=1e-7)
    assert_allclose(case.heat_flux()[:, 1:], 0.0, atol=1e-7 * flux)
    middle = case.probe((1.0, 0.5, 0.5), "temperature")
    assert middle == pytest.approx(300.0 - flux / 0.8, rel=1e-10)
    assert case.heat(dtw.plane((0.0, 0.0, 0.0), "x")) == pytest.approx(flux, rel=1e-10)


def _named(mesh: dtw.Mesh, name: str) -> dtw.Mesh:
    groups = {key: group for key, group in mesh.groups.items() if key != "body"}
    return dtw.Mesh(mesh.points, mesh.cells, {**groups, name: mesh.groups["body"]})


@pytest.mark.parametrize("element", BLOCKS)
def test_a_wall_that_heats_itself(element):
    """q x (L - x) / 2k between cold faces; quadratic cells hold it exactly, linear ones at their nodes."""
    k, q = 2.0, 1e4
    model = dtw.Model(
        block(element, (6, 1, 1), (0.3, 0.1, 0.1)),
        materials={"body": copper(element, k)},
        supports=[dtw.FixedTemperature(on=side, value=300.0) for side in ("xmin", "xmax")],
        load_cases={"on": [dtw.HeatSource(on="body", magnitude=q)]},
    )
    case = solve(model)
    x = case.mesh.points[:, 0]
    exact = q * x * (0.3 - x) / (2 * k)
    near = 1e-9 if ELEMENTS[element].degree == 2 else 0.1
    assert_allclose(case.temperature - 300.0, exact, atol=near * exact.max())
    total = q * 0.3 * 0.1 * (0.1 if element in SOLIDS else 0.01)
    assert case.heat("xmin") == pytest.approx(-total / 2, rel=1e-9 if ELEMENTS[element].degree == 2 else 0.05)


@pytest.mark.parametrize("element", PLANES)
def test_a_pipe_as_a_ring_loses_heat_by_the_logarithm(element):
    """T = ln r between two radii; heat through the wall is 2 pi k L dT / ln(b / a)."""
    a, b, length = 0.1, 0.3, 0.5
    n = 24 if ELEMENTS[element].degree == 1 else 8
    model = dtw.Model(
        rectangle(element, (n, 1), (b - a, length), origin=(a, 0.0)),
        materials={"body": dtw.Axisymmetric(dtw.LinearElastic(conductivity=16.0))},
        supports=[dtw.FixedTemperature(on="xmin", value=400.0), dtw.FixedTemperature(on="xmax", value=300.0)],
        load_cases={"steady": []},
    )
    case = solve(model)
    r = case.mesh.points[:, 0]
    assert_allclose(case.temperature, 400.0 - 100.0 * np.log(r / a) / np.log(b / a), atol=0.1)
    heat = 2 * np.pi * 16.0 * length * 100.0 / np.log(b / a)
    assert case.heat("xmin") == pytest.approx(heat, rel=2e-3)
    assert case.heat("xmax") == pytest.approx(-heat, rel=2e-3)


def test_conductivity_follows_its_axes():
    """An oriented material leads heat aside: flux = -K grad T with K turned."""
    along, across, t = 10.0, 1.0, 0.5
    c, s = np.cos(t), np.sin(t)
    ply = dtw.Orthotropic(
        youngs_modulus=(1.0, 1.0, 1.0), poissons_ratio=(0.0, 0.0, 0.0), shear_modulus=(1.0, 1.0, 1.0),
        conductivity=(along, across, across),
    )  # fmt: skip
    axes = dtw.Cartesian(x=(c, s, 0.0), xy=(-s, c, 0.0))
    model = dtw.Model(
        box("tetra10", 2, distort=0.2),
        materials={"body": dtw.Solid(ply, orientation=axes)},
        supports=[dtw.FixedTemperature(on=dtw.exterior(), value=lambda p: 300.0 + 50.0 * p[:, 0])],
        load_cases={"steady": []},
    )
    flux = solve(model).heat_flux()
    expected = [-50.0 * (along * c * c + across * s * s), -50.0 * (along - across) * c * s, 0.0]
    assert_allclose(flux, np.tile(expected, (len(flux), 1)), atol=1e-5)


def test_heat_runs_along_bars():
    """A bar conducts with its cross-section: 50 K over 2 m of 1 cm2."""
    model = dtw.Model(
        bar(5, 2.0),
        materials={"body": dtw.Truss(dtw.LinearElastic(conductivity=200.0), area=1e-4)},
        supports=[dtw.FixedTemperature(on="xmin", value=350.0), dtw.FixedTemperature(on="xmax", value=300.0)],
        load_cases={"steady": []},
    )
    case = solve(model)
    assert case.heat("xmin") == pytest.approx(200.0 * 1e-4 * 25.0, rel=1e-12)
    assert_allclose(case.temperature, 350.0 - 25.0 * case.mesh.points[:, 0], rtol=1e-12)


def test_a_solved_temperature_is_the_state_of_a_static_case():
    """One model, both physics: what heat made it, stress feels."""
    material = dtw.LinearElastic(
        youngs_modulus=210e9, poissons_ratio=0.3, expansion=1.2e-5, conductivity=50.0
    )
    model = dtw.Model(
        box("hexahedron20", (4, 2, 2)),
        materials={"body": material},
        supports=[
            dtw.FixedTemperature(on="xmin", value=293.15),
            dtw.FixedTemperature(on="xmax", value=393.15),
            dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.0, 0.0)), x=0.0, y=0.0, z=0.0),
            dtw.PrescribedDisplacement(on=dtw.nearest((1.0, 0.0, 0.0)), y=0.0, z=0.0),
            dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 1.0, 0.0)), z=0.0),
        ],
        load_cases={"steady": []},
    )
    hot = dtw.solve_thermal(model)["steady"]
    assert_allclose(hot.temperature, 293.15 + 100.0 * model.mesh.points[:, 0], rtol=1e-12)
    case = dtw.solve_static(model.with_case("hot", [dtw.Temperature(hot, reference=293.15)]))["hot"]
    # Strain a g x in all directions, without stress: u = a g (x^2 - y^2 - z^2, 2 x y, 2 x z) / 2.
    x, y, z = model.mesh.points.T
    exact = 1.2e-5 * 50.0 * np.column_stack([x**2 - y**2 - z**2, 2 * x * y, 2 * x * z])
    assert_allclose(case.displacement, exact, atol=1e-9 * np.abs(exact).max())
    assert case.von_mises().max() < 1e-6 * 210e9 * 1.2e-5 * 100.0
    assert case.field("temperature").values.max() == pytest.approx(393.15)


def test_what_heat_cannot_answer_is_named():
    with pytest.raises(SingularSystemError, match="temperature"):
        solve(
            dtw.Model(
                box("tetra", 1),
                materials={"body": copper("tetra")},
                load_cases={"on": [dtw.HeatFlow(on="xmin", total=1.0)]},
            )
        )
    table = dtw.table(over="temperature", at=[300.0, 400.0], values=[10.0, 20.0])
    with pytest.raises(ModelError, match="tabulated over temperature"):
        solve(
            dtw.Model(
                box("tetra", 1),
                materials={"body": dtw.LinearElastic(conductivity=table)},
                supports=[dtw.FixedTemperature(on="xmin", value=300.0)],
                load_cases={"on": [dtw.HeatFlow(on="xmax", total=1e4)]},
            )
        )
