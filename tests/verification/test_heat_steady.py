"""Steady heat and thermal stress with known answers: D17, D18, D26."""

from __future__ import annotations

import numpy as np
import pytest
from builders import BLOCKS, PLANES, SOLIDS, block, box, merged, rectangle
from cases import elastic, solve
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.elements import ELEMENTS
from designtwin.mesh import Mesh
from designtwin.typing import FloatArray


def nearest(case: dtw.ThermalCase, point: tuple[float, float, float]) -> float:
    return float(case.temperature[np.argmin(np.linalg.norm(case.mesh.points - np.asarray(point), axis=1))])


# D17

T4 = {(0.6, 0.2): (18.2538, 0.005), (0.0, 0.5): (35.4012, 0.002), (0.0, 1.0): (3.36777, 0.01)}
"""degC and relative tolerance; NAFEMS, The Standard NAFEMS Benchmarks (1990), T4, prints 18.3 for the first;
the digits are of the series solution."""


def t4(element: str, n: int) -> dtw.Model:
    """0.6 x 1 m, k = 52; 100 degC at y = 0, insulated at x = 0, convection h = 750 to 0 degC at the rest."""
    mesh = block(element, (3 * n, 5 * n, 1), (0.6, 1.0, 0.1))
    material = elastic(1.0, 0.0, conductivity=52.0)
    return dtw.Model(
        mesh,
        materials={"body": material if element in SOLIDS else dtw.PlaneStress(material, thickness=0.1)},
        supports=[dtw.FixedTemperature(on="ymin", value="100 degC")],
        load_cases={
            "steady": [
                dtw.Convection(on=side, coefficient=750.0, ambient="0 degC") for side in ("xmax", "ymax")
            ]
        },
    )


@pytest.mark.parametrize("element", BLOCKS)
def test_conduction_with_convection(element):
    """D17. Temperature jumps at (0.6, 0), where the flux is infinite: the first value converges unevenly."""
    errors = []
    for n in (2, 4, 8) if ELEMENTS[element].degree == 1 else (1, 2, 4):
        case = dtw.solve_thermal(t4(element, n))["steady"]
        errors.append([nearest(case, (*p, 0.0)) - 273.15 - value for p, (value, _) in T4.items()])
        heat = case.heat("ymin")
        assert case.imbalance < 1e-9
        assert heat + case.heat("xmax") + case.heat("ymax") == pytest.approx(0.0, abs=1e-9 * heat)
    for k, (place, (value, tolerance)) in enumerate(T4.items()):
        found = np.abs(errors)[:, k] / value
        assert found[-1] < tolerance, (place, found)
        assert found[-1] < max(0.3 * found.max(), 0.2 * tolerance), (place, found)


# D18

RADIUS, LENGTH = 0.0025, 0.05
TIP, BASE = (82.7865, 0.003), (2.75399, 0.005)
"""degC and W with relative tolerance: fin with a convective tip (Incropera, table 3.4, case A)."""


def pin(element: str, n: int) -> Mesh:
    """The pin along z (solids, a quarter of it in three patches) or along y (a ring section)."""
    if element in PLANES:
        return rectangle(element, (n, 10 * n), (RADIUS, LENGTH))
    c = 0.55 * RADIUS

    def core(p: FloatArray) -> FloatArray:
        # Sides bulge a little, so that no corner of the patches is flat.
        x, y = c * p[:, 0] * (1 - 0.15 * p[:, 1] ** 2), c * p[:, 1] * (1 - 0.15 * p[:, 0] ** 2)
        return np.column_stack([x, y, LENGTH * p[:, 2]])

    def right(p: FloatArray) -> FloatArray:
        s, t = p[:, :1], p[:, 1]
        arc = RADIUS * np.column_stack([np.cos(t * np.pi / 4), np.sin(t * np.pi / 4)])
        edge = np.column_stack([c * (1 - 0.15 * t**2), 0.85 * c * t])
        return np.column_stack([(1 - s) * edge + s * arc, LENGTH * p[:, 2]])

    def above(p: FloatArray) -> FloatArray:
        x, y, z = right(p[:, [1, 0, 2]]).T
        return np.column_stack([y, x, z])

    return merged(*(box(element, (n, n, 10 * n), shape=patch) for patch in (core, right, above)))


def pin_model(element: str, n: int) -> tuple[dtw.Model, dict[str, dtw.Selection]]:
    mesh = pin(element, n)
    material = elastic(1.0, 0.0, conductivity=200.0)
    axis = 2 if element in SOLIDS else 1
    outside = mesh.exterior
    at = mesh.points
    radius = np.hypot(at[:, 0], at[:, 1]) if element in SOLIDS else at[:, 0]
    on = {
        "base": at[:, axis] < 1e-9,
        "tip": at[:, axis] > LENGTH - 1e-9,
        "side": radius > RADIUS * (1 - 1e-6),
    }
    flags = {name: np.zeros(len(outside), bool) for name in on}
    for facets in mesh.facets(outside):
        for name, flag in on.items():
            flags[name][facets.rows] = flag[facets.conn].all(axis=1)
    place = {name: dtw.ids(facets=outside[flag]) for name, flag in flags.items()}
    model = dtw.Model(
        mesh,
        materials={"body": material if element in SOLIDS else dtw.Axisymmetric(material)},
        supports=[dtw.FixedTemperature(on=place["base"], value="100 degC")],
        load_cases={
            "fin": [
                dtw.Convection(on=place[name], coefficient=50.0, ambient="20 degC")
                for name in ("side", "tip")
            ]
        },
    )
    return model, place


@pytest.mark.parametrize("element", BLOCKS)
def test_pin_fin(element):
    """D18, in the round and as a ring section that reaches its axis."""
    n = 4 if ELEMENTS[element].degree == 1 else 2
    model, place = pin_model(element, n)
    case = dtw.solve_thermal(model)["fin"]
    axis = 2 if element in SOLIDS else 1
    tip = nearest(case, tuple(LENGTH * np.eye(3)[axis])) - 273.15
    heat = {name: case.heat(on) * (4 if element in SOLIDS else 1) for name, on in place.items()}
    assert tip == pytest.approx(TIP[0], rel=TIP[1])
    assert heat["base"] == pytest.approx(BASE[0], rel=BASE[1])
    assert heat["base"] + heat["side"] + heat["tip"] == pytest.approx(0.0, abs=1e-8 * heat["base"])
    assert heat["tip"] == pytest.approx(-50.0 * np.pi * RADIUS**2 * (tip - 20.0), rel=0.01)


# D26

MODULUS, RATIO, ALPHA, RISE = 210e9, 0.3, 1.2e-5, 100.0


def heated(
    element: str, supports: list[dtw.PrescribedDisplacement], section: str = "Solid"
) -> dtw.StaticCase:
    """A distorted unit cube or square, 100 K warmer than where it is free of stress."""
    mesh = block(element, 2, distort=0.15, seed=5)
    material = elastic(MODULUS, RATIO, expansion=ALPHA)
    more = {"thickness": 1.0} if section == "PlaneStress" else {}
    return solve(
        dtw.Model(
            mesh,
            materials={"body": getattr(dtw, section)(material, **more)},
            supports=supports,
            load_cases={"hot": [dtw.Temperature("393.15 K", reference="293.15 K")]},
        )
    )


def hold(on: object, **given: float) -> dtw.PrescribedDisplacement:
    return dtw.PrescribedDisplacement(on=on, **given)


def corner(x: float, y: float, z: float = 0.0) -> dtw.Selection:
    return dtw.nearest((x, y, z))


@pytest.mark.parametrize("element", SOLIDS)
def test_thermal_strain_of_a_solid(element):
    """D26; Hooke's law gives the stress."""
    at_rest = [
        hold(corner(0, 0), x=0.0, y=0.0, z=0.0),
        hold(corner(1, 0), y=0.0, z=0.0),
        hold(corner(0, 1), z=0.0),
    ]
    free = heated(element, at_rest)
    assert np.abs(free.stress()).max() < 1.0
    assert_allclose(
        free.displacement, ALPHA * RISE * free.mesh.points, rtol=0, atol=1e-12 * ALPHA * RISE * 100
    )
    assert_allclose(free.strain()[:, :3], ALPHA * RISE, rtol=1e-9)

    ends = heated(
        element, [hold("xmin", x=0.0), hold("xmax", x=0.0), hold("ymin", y=0.0), hold("zmin", z=0.0)]
    )
    assert_allclose(ends.stress()[:, 0], -MODULUS * ALPHA * RISE, rtol=1e-9)
    assert_allclose(ends.stress()[:, 1:], 0.0, atol=1e-9 * MODULUS * ALPHA * RISE)
    assert_allclose(ends.reaction("xmin")[0], MODULUS * ALPHA * RISE, rtol=1e-9)

    sides = [hold(f"{axis}{end}", **{axis: 0.0}) for axis in "xyz" for end in ("min", "max")]
    closed = heated(element, sides)
    assert_allclose(closed.stress()[:, :3], -MODULUS * ALPHA * RISE / (1 - 2 * RATIO), rtol=1e-9)
    assert_allclose(closed.stress()[:, 3:], 0.0, atol=1e-9 * MODULUS * ALPHA * RISE)
    assert_allclose(closed.strain(), 0.0, atol=1e-15)


@pytest.mark.parametrize("element", PLANES)
def test_thermal_strain_of_a_plane_section(element):
    at_rest = [hold(corner(0, 0), x=0.0, y=0.0), hold(corner(1, 0), y=0.0)]
    sides = [hold(f"{axis}{end}", **{axis: 0.0}) for axis in "xy" for end in ("min", "max")]
    s = MODULUS * ALPHA * RISE

    sheet = heated(element, at_rest, "PlaneStress")
    assert np.abs(sheet.stress()).max() < 1.0
    assert_allclose(sheet.displacement, ALPHA * RISE * sheet.mesh.points, atol=1e-13)
    held = heated(element, sides, "PlaneStress")
    assert_allclose(held.stress()[:, :2], -s / (1 - RATIO), rtol=1e-9)
    assert_allclose(held.stress()[:, 2:], 0.0, atol=1e-9 * s)

    # A slice held in z is pressed there, and grows by (1 + nu) as much in its plane.
    slice_ = heated(element, at_rest, "PlaneStrain")
    assert_allclose(slice_.stress()[:, 2], -s, rtol=1e-9)
    assert_allclose(slice_.displacement, (1 + RATIO) * ALPHA * RISE * slice_.mesh.points, atol=1e-13)

    # A ring that may grow has no stress; held at its ends it is a column.
    ring = heated(element, [hold("ymin", y=0.0)], "Axisymmetric")
    assert np.abs(ring.stress()).max() < 1.0
    column = heated(element, [hold("ymin", y=0.0), hold("ymax", y=0.0)], "Axisymmetric")
    assert_allclose(column.stress()[:, 1], -s, rtol=1e-9)
    assert_allclose(column.stress()[:, [0, 2, 3]], 0.0, atol=1e-9 * s)
    assert column.reaction("ymin")[1] == pytest.approx(s * np.pi, rel=1e-9)


@pytest.mark.parametrize("element", SOLIDS)
def test_a_linear_temperature_bends_a_free_body_without_stress(element):
    """T = T0 + g x strains a free body by alpha g x in all directions, which is compatible: no stress at all.

    The displacement is quadratic: quadratic elements hold it, and hexahedra by their incompatible modes, on
    which the temperature acts too; other linear cells are left with a little.
    """
    mesh = block(element, 3)
    slope = 50.0
    model = dtw.Model(
        mesh,
        materials={"body": elastic(MODULUS, RATIO, expansion=ALPHA)},
        supports=[
            hold(corner(0, 0), x=0.0, y=0.0, z=0.0),
            hold(corner(1, 0), y=0.0, z=0.0),
            hold(corner(0, 1), z=0.0),
        ],
        load_cases={"hot": [dtw.Temperature(lambda p: 293.15 + slope * p[:, 0], reference=293.15)]},
    )
    stress = np.abs(np.concatenate([s.ravel() for s in solve(model).stress("samples")])).max()
    size = MODULUS * ALPHA * slope
    if ELEMENTS[element].degree == 2 or element == "hexahedron":
        assert stress < 1e-9 * size
    else:
        assert stress < 0.25 * size
