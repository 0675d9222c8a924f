"""Thermal stress with known answers: D24, D25, D26 with properties over temperature, a quenched plate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import SOLIDS, block, box, rectangle
from cases import at, elastic, solve
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.elements import ELEMENTS
from designtwin.typing import FloatArray


def hold(on: object, **given: float) -> dtw.PrescribedDisplacement:
    return dtw.PrescribedDisplacement(on=on, **given)


def straight(face: str, axis: str, corner: tuple[float, float, float]) -> dtw.LinearConstraint:
    """A face that may move along an axis, but as a plane."""
    one = dtw.nearest(corner)
    return dtw.LinearConstraint(terms=[(dtw.group(face) - one, axis, 1.0), (one, axis, -1.0)])


# D24

LENGTH, LAYER, DELTA = 0.1, 0.001, 100.0
CURVATURE = 0.5090909
"""1/m; Timoshenko, J. Opt. Soc. Am. 11 (1925) 233; layers of 1 mm with 12 and 19 ppm/K, 210 and 105 GPa."""
STRIP = {"lower": elastic(210e9, 0.0, expansion=12e-6), "upper": elastic(105e9, 0.0, expansion=19e-6)}


def strip(element: str, n: int) -> dtw.Model:
    """Half of a strip of twice the length, cut where it is symmetric; warm by 100 K."""
    flat = ELEMENTS[element].dimension == 2
    mesh = block(element, (20 * n, 2 * n, 1), (LENGTH, 2 * LAYER, 0.002), origin=(0.0, -LAYER, 0.0))
    high = mesh.cell_centers[:, 1] > 0.0
    halves = {"lower": dtw.ids(cells=np.flatnonzero(~high)), "upper": dtw.ids(cells=np.flatnonzero(high))}
    supports = [hold("xmin", x=0.0), hold(dtw.nearest((0.0, 0.0, 0.0)), y=0.0)]
    if not flat:
        supports.append(hold("zmin", z=0.0))
    return dtw.Model(
        mesh,
        materials={
            on: dtw.PlaneStress(STRIP[name], thickness=0.002) if flat else STRIP[name]
            for name, on in halves.items()
        },
        supports=supports,
        load_cases={"warm": [dtw.Temperature("120 degC", reference="20 degC")]},
    )


STRIPS = {"quad8": 1, "hexahedron20": 1, "tetra10": 1, "quad": 2, "hexahedron": 2}
"""Cells through a layer; first-order cells pass by their incompatible modes."""


def curl(element: str, n: int) -> dict[str, float]:
    """Curvature and tip deflection over Timoshenko's; the layer that grows most lies above: it bends down."""
    case = solve(strip(element, n))
    x = case.mesh.points
    on_axis = (np.abs(x[:, 1]) < 1e-9) & (x[:, 2] < 1e-9)
    tip = float(case.displacement[on_axis & (x[:, 0] > LENGTH - 1e-9), 1][0])
    middle = on_axis & (x[:, 0] < 0.8 * LENGTH)
    bend = np.polyfit(x[middle, 0], case.displacement[middle, 1], 2)[0]
    return {"curvature": -2.0 * bend / CURVATURE, "tip": -tip / (0.5 * CURVATURE * LENGTH**2)}


@pytest.mark.parametrize("element", STRIPS)
def test_a_bimetal_strip_curls(element):
    """D24."""
    for name, ratio in curl(element, STRIPS[element]).items():
        assert ratio == pytest.approx(1.0, rel=0.01), name


def test_layers_on_meshes_of_their_own_curl_alike():
    """D24 again, the layers bonded by Tie and meshed differently."""
    lower = box("tetra10", (20, 1, 1), (LENGTH, LAYER, 0.002), origin=(0.0, -LAYER, 0.0))
    upper = box("hexahedron20", (14, 1, 1), (LENGTH, LAYER, 0.002))
    n = lower.n_points
    groups = {}
    for name, layer, shift in (("a", lower, 0), ("b", upper, lower.n_cells)):
        for side, group in layer.groups.items():
            groups[f"{name}_{side}"] = dtw.Group(
                cells=None if group.cells is None else group.cells + shift,
                facets=None if group.facets is None else group.facets + np.array([shift, 0]),
            )
    cells = {**lower.cells, "hexahedron20": upper.cells["hexahedron20"] + n}
    mesh = dtw.Mesh(np.concatenate([lower.points, upper.points]), cells, groups)
    model = dtw.Model(
        mesh,
        materials={"a_body": STRIP["lower"], "b_body": STRIP["upper"]},
        supports=[
            *(hold(f"{part}_xmin", x=0.0) for part in "ab"),
            *(hold(f"{part}_zmin", z=0.0) for part in "ab"),
            hold(dtw.nearest((0.0, -LAYER, 0.0)), y=0.0),
        ],
        connections=[dtw.Tie(a="a_ymax", b="b_ymin")],
        load_cases={"warm": [dtw.Temperature("120 degC", reference="20 degC")]},
    )
    case = solve(model)
    tip = case.displacement[mesh.points[:, 0] > LENGTH - 1e-9, 1].mean()
    assert -tip == pytest.approx(0.5 * CURVATURE * LENGTH**2, rel=0.01)


# D25

INNER, OUTER, HOT = 0.1, 0.2, 100.0
HOOP_INNER, HOOP_OUTER, RADIAL = -209823700.0, 133033400.0, -26704800.0
"""Pa; Timoshenko and Goodier, Theory of Elasticity (1970), sec. 151; the last at r = 0.15 m."""
TUBE = elastic(200e9, 0.3, expansion=12e-6, conductivity=50.0)


def tube(element: str, n: int) -> dtw.Model:
    """A slice whose ends stay plane and free to part, or a quarter of it in space."""
    height = 0.02
    heat = [
        dtw.FixedTemperature(on="inner", value="100 degC"),
        dtw.FixedTemperature(on="outer", value="0 degC"),
    ]
    if ELEMENTS[element].dimension == 2:
        mesh = rectangle(element, (n, 1), (OUTER - INNER, height), origin=(INNER, 0.0))
        names = {"xmin": "inner", "xmax": "outer"}
        supports: list[Any] = [hold("ymin", y=0.0)]
        ends = [straight("ymax", "y", (INNER, height, 0.0))]
    else:

        def around(p: FloatArray) -> FloatArray:
            r, t = INNER + (OUTER - INNER) * p[:, 0], p[:, 1] * np.pi / 2
            return np.column_stack([r * np.cos(t), r * np.sin(t), height * p[:, 2]])

        mesh = box(element, (n, n + 1, 1), shape=around)
        names = {"xmin": "inner", "xmax": "outer"}
        supports = [hold("ymin", y=0.0), hold("ymax", x=0.0), hold("zmin", z=0.0)]
        ends = [straight("zmax", "z", (INNER, 0.0, height))]
    groups = {names.get(name, name): group for name, group in mesh.groups.items()}
    mesh = dtw.Mesh(mesh.points, mesh.cells, groups)
    section: Any = dtw.Axisymmetric(TUBE) if ELEMENTS[element].dimension == 2 else TUBE
    return dtw.Model(
        mesh,
        materials={"body": section},
        supports=[*supports, *heat],
        connections=ends,
        load_cases={"heat": []},
    )


def hot_tube(element: str, n: int) -> dtw.StaticCase:
    model = tube(element, n)
    heat = dtw.solve_thermal(model)["heat"]
    return dtw.solve_static(model.with_case("hot", [dtw.Temperature(heat, reference="0 degC")]))["hot"]


TUBES = {"quad8": 8, "triangle6": 8, "hexahedron20": 8, "tetra10": 10 if FULL else 8}
"""Cells through the wall."""


def tube_stress(case: dtw.StaticCase) -> dict[str, tuple[float, float, float, float]]:
    """Found, half-width, target and tolerance."""
    hoop = "stress_zz" if case.model.axisymmetric else "stress_yy"
    targets = {
        "hoop stress inside": (INNER, hoop, HOOP_INNER, 0.01),
        "hoop stress outside": (OUTER, hoop, HOOP_OUTER, 0.01),
        "radial stress": (0.15, "stress_xx", RADIAL, 0.02),
    }
    return {
        name: (*at(case, (r, 0.0, 0.0), field), wanted, tolerance)
        for name, (r, field, wanted, tolerance) in targets.items()
    }


@pytest.mark.parametrize("element", TUBES)
def test_a_hollow_cylinder_with_radial_heat_flow(element):
    """D25. Steady heat, then stress on the same mesh; far from the ends zz = rr + tt."""
    case = hot_tube(element, TUBES[element])
    for name, (value, error, wanted, tolerance) in tube_stress(case).items():
        assert value == pytest.approx(wanted, rel=tolerance), name
        assert abs(value - wanted) <= error, name
    hoop, axial = ("stress_zz", "stress_yy") if case.model.axisymmetric else ("stress_yy", "stress_zz")
    for r in (INNER, 0.15, OUTER):
        parts = [at(case, (r, 0.0, 0.0), name)[0] for name in ("stress_xx", hoop, axial)]
        assert parts[2] == pytest.approx(parts[0] + parts[1], abs=0.02 * abs(HOOP_INNER))


def test_stress_of_heat_converges_as_stress_of_loads_does():
    """A quadratic temperature strains quadratic cells, whose samples are of the second order all the same."""
    errors = []
    sizes = (4, 8, 16)
    for n in sizes:
        case = hot_tube("quad8", n)
        r = case.recovery.sample_xyz[:, 0]
        hoop = case.stress("samples")[0].reshape(-1, 6)[:, 2]
        errors.append(np.sqrt(np.mean((hoop - hoop_stress(r)) ** 2)))
    rate = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert 1.9 < rate < 3.2, errors


def hoop_stress(r: FloatArray) -> FloatArray:
    """Timoshenko and Goodier (1970), sec. 151, eq. (b)."""
    log, ratio = np.log(OUTER / INNER), INNER**2 / (OUTER**2 - INNER**2)
    size = 200e9 * 12e-6 * HOT / (2.0 * 0.7 * log)
    return size * (1.0 - np.log(OUTER / r) - ratio * (1.0 + (OUTER / r) ** 2) * log)


# D26, with properties over temperature and a stress-free temperature that moves

KELVIN = np.array([293.15, 393.15, 493.15, 693.15])
MODULI = np.array([210e9, 203e9, 191e9, 160e9])
SECANTS = np.array([11.5e-6, 12.1e-6, 12.6e-6, 13.6e-6])
RATIO = 0.3


def tabulated(**more: Any) -> dtw.LinearElastic:
    return elastic(
        dtw.table(over="temperature", at=KELVIN, values=MODULI),  # type: ignore[arg-type]
        RATIO,
        expansion=dtw.table(over="temperature", at=KELVIN, values=SECANTS),  # type: ignore[arg-type]
        **more,
    )


@pytest.mark.parametrize("element", SOLIDS)
def test_properties_over_temperature_in_a_closed_box(element):
    """D26 (c) at several temperatures: s = -E(T) e / (1 - 2 nu), e = a(T) (T - Ta) - a(T0) (T0 - Ta)."""
    sides = [hold(f"{axis}{end}", **{axis: 0.0}) for axis in "xyz" for end in ("min", "max")]
    states = {
        f"{warm:g} free at {free:g}": (warm, free)
        for warm in (293.15, 350.0, 493.15, 600.0)
        for free in (293.15, 420.0, 693.15)
    }
    model = dtw.Model(
        block(element, 2),
        materials={"body": tabulated(expansion_reference=293.15)},
        supports=sides,
        load_cases={n: [dtw.Temperature(warm, reference=free)] for n, (warm, free) in states.items()},
    )
    result = dtw.solve_static(model)
    for name, (warm, free) in states.items():
        grown, before = (np.interp(t, KELVIN, SECANTS) * (t - 293.15) for t in (warm, free))
        wanted = -np.interp(warm, KELVIN, MODULI) * (grown - before) / (1.0 - 2.0 * RATIO)
        stress = result[name].stress()
        assert_allclose(stress[:, :3], wanted, rtol=1e-9, atol=1.0, err_msg=name)
        assert_allclose(stress[:, 3:], 0.0, atol=1.0, err_msg=name)


def test_a_bar_held_at_its_ends_softens_where_it_is_warm():
    """1-D: s = - int e dx / int dx / E. With T, and so E, linear in x both integrals are closed forms."""
    cold, warm, stiff, soft, alpha, length = 293.15, 493.15, 200e9, 100e9, 12e-6, 0.2
    material = elastic(
        dtw.table(over="temperature", at=[cold, warm], values=[stiff, soft]),
        0.0,
        expansion=alpha,  # type: ignore[arg-type]
    )
    compliance = np.log(stiff / soft) / (stiff - soft)
    wanted = -alpha * 0.5 * (warm - cold) / compliance
    errors = []
    sizes = (2, 4, 8)
    for n in sizes:
        model = dtw.Model(
            box("hexahedron20", (n, 1, 1), (length, 0.02, 0.02)),
            materials={"body": material},
            supports=[hold("xmin", x=0.0), hold("xmax", x=0.0), hold("ymin", y=0.0), hold("zmin", z=0.0)],
            load_cases={
                "warm": [dtw.Temperature(lambda p: cold + (warm - cold) * p[:, 0] / length, reference=cold)]
            },
        )
        case = solve(model)
        errors.append(abs(case.reaction("xmax")[0] / 0.0004 - wanted) / abs(wanted))
    assert errors[-1] < 1e-5
    assert 3.5 < -np.polyfit(np.log(sizes), np.log(errors), 1)[0] < 5.0, errors


def test_parts_may_be_free_of_stress_at_temperatures_of_their_own():
    """Two bars in a row in a closed box: one has grown by what the other has shrunk, and both push aside."""
    mesh = box("tetra10", (8, 1, 1), (0.2, 0.02, 0.02))
    left = mesh.cell_centers[:, 0] < 0.1
    mesh = mesh.with_groups(
        {"left": dtw.Group(cells=np.flatnonzero(left)), "right": dtw.Group(cells=np.flatnonzero(~left))}
    )
    alpha, modulus = 12e-6, 200e9

    def model(reference: Any) -> dtw.Model:
        material = elastic(modulus, 0.0, expansion=alpha)
        return dtw.Model(
            mesh,
            materials={"left": material, "right": material},
            supports=[hold(f"{axis}{end}", **{axis: 0.0}) for axis in "xyz" for end in ("min", "max")],
            load_cases={"warm": [dtw.Temperature("100 degC", reference=reference)]},
        )

    case = solve(model({"left": "20 degC", "right": "180 degC"}))
    size = modulus * alpha * 80.0
    assert_allclose(case.stress()[:, 0], 0.0, atol=1e-6 * size)
    for part, sign in ((0, -1.0), (1, 1.0)):
        assert_allclose(case.stress()[case.points.part == part, 1:3], sign * size, rtol=1e-6)
    assert_allclose(case.displacement[case.model.region("left").nodes, 0].max(), alpha * 80 * 0.1, rtol=1e-9)
    assert "180 °C (right)" in case.case.temperature.said
    again = dtw.Temperature.from_dict(case.case.temperature.to_dict())
    assert again == case.case.temperature
    with pytest.raises(dtw.ModelError, match="leaves out the part 'right'"):
        model({"left": "20 degC"})
    with pytest.raises(dtw.ModelError, match="names the part 'rihgt'; did you mean 'right'"):
        model({"left": "20 degC", "rihgt": "20 degC"})


# A quenched plate: the worst instant lies between the first and the last


BIOT, TERMS = 3.0, 60


def roots() -> FloatArray:
    """The roots of z tan z = Bi, by bisection in each period."""
    low = np.arange(TERMS) * np.pi
    high = low + np.pi / 2
    for _ in range(80):
        middle = 0.5 * (low + high)
        above = middle * np.sin(middle) > BIOT * np.cos(middle) * np.where(np.arange(TERMS) % 2, 1, 1)
        sign = np.where(np.arange(TERMS) % 2 == 1, ~above, above)
        low, high = np.where(sign, low, middle), np.where(sign, middle, high)
    return 0.5 * (low + high)


def plate(fourier: float, depth: FloatArray) -> FloatArray:
    """Excess over the bath, over that at the start, at a depth from the middle (0) to the face (1).

    Source: Incropera et al., Fundamentals of Heat and Mass Transfer, 6th ed. (2007), eq. (5.39).
    """
    z = roots()
    c = 4.0 * np.sin(z) / (2.0 * z + np.sin(2.0 * z))
    return np.asarray((c * np.exp(-(z**2) * fourier)) @ np.cos(np.outer(z, depth)))


def plate_stress(fourier: float) -> float:
    """Stress of the face over E a dT / (1 - nu): the mean excess less that of the face."""
    z = roots()
    c = 4.0 * np.sin(z) / (2.0 * z + np.sin(2.0 * z))
    mean = float((c * np.exp(-(z**2) * fourier)) @ (np.sin(z) / z))
    return mean - float(plate(fourier, np.ones(1))[0])


def test_the_worst_instant_of_a_quench_is_found():
    """Faces cool at once and pull, until the inside follows: the largest stress has an instant of its own."""
    half, modulus, nu, alpha, drop = 0.01, 200e9, 0.3, 12e-6, 200.0
    fourier = np.array([0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.14, 0.2, 0.4, 1.0])

    def fine_at_the_face(p: FloatArray) -> FloatArray:
        away = 1.0 - p[:, 2] / half
        return np.column_stack([p[:, 0], p[:, 1], half * (1.0 - away * (0.2 + 0.8 * away))])

    mesh = box("hexahedron20", (1, 1, 10), (half, half, half), shape=fine_at_the_face)
    depth = mesh.points[:, 2] / half
    seconds = fourier * 100.0
    kelvin = np.array([300.0 + drop * plate(f, depth) for f in fourier])
    model = dtw.Model(
        mesh,
        materials={"body": elastic(modulus, nu, expansion=alpha, yield_strength=400e6)},
        supports=[hold("xmin", x=0.0), hold("ymin", y=0.0), hold("zmin", z=0.0)],
        connections=[straight("xmax", "x", (half, 0.0, 0.0)), straight("ymax", "y", (0.0, half, 0.0))],
        load_cases={"quench": [dtw.Temperature(dtw.nodal(kelvin, seconds), reference=300.0 + drop)]},
    )
    verdict = dtw.StrengthTest(
        model, requirements=[dtw.stress("xx", on="zmax") <= "400 MPa", dtw.yield_margin(on="zmax") >= 1.5]
    ).run()
    wanted = np.array([plate_stress(f) for f in fourier]) * modulus * alpha * drop / (1.0 - nu)
    worst = int(np.argmax(wanted))
    assert 0 < worst < len(fourier) - 1
    for row, value in ((0, wanted[worst]), (1, 400e6 / wanted[worst])):
        found = verdict.rows[row].value
        assert found.instant == pytest.approx(seconds[worst])
        assert found.value == pytest.approx(value, rel=0.01)
        assert found.low <= value <= found.high
    case = verdict.result["quench"]
    course = case.history("zmax", name="stress_xx", over="mean")
    assert_allclose(course.values, wanted, rtol=0.01)
    assert case.imbalance < 1e-9
