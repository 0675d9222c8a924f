"""Nonlinear heat with known answers: D21, D22."""

from __future__ import annotations

import exact_heat as known
import heat_cases as cases
import numpy as np
import pytest
from builders import BLOCKS, rectangle
from heat_cases import ZERO, along, material
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import erf
from surroundings import FULL

import designtwin as dtw
from designtwin.mesh import Group, Mesh

# D21


@pytest.mark.parametrize("element", [*BLOCKS, "line"])
@pytest.mark.parametrize("stated", ["table", "function"])
def test_a_wall_whose_conductivity_rises(element, stated):
    """D21, and the whole field by Kirchhoff's transform."""
    model = cases.d21(element, 16, stated)
    case = dtw.solve_thermal(model)["steady"]
    area = {"line": 1e-4}.get(element, (0.1 / 16) * (0.1 / 16 if model.mesh.dimension == 3 else 0.01))
    assert along(case, model.mesh, 0.05) - ZERO == pytest.approx(116.22777, rel=1e-4)
    assert case.heat("xmin") / area == pytest.approx(30000.0, rel=1e-4)
    assert case.heat("xmax") / area == pytest.approx(-30000.0, rel=1e-4)
    exact = known.linear_conductivity_wall(
        model.mesh.points[:, 0], length=0.1, left=200.0, right=0.0, slope=0.005
    )
    assert_allclose(case.temperature - ZERO, exact, rtol=0, atol=0.1)
    assert case.imbalance < 1e-8


# Melting


@pytest.mark.parametrize("element", ["line", "quad", "hexahedron", "tetra10"] if FULL else ["line"])
@pytest.mark.parametrize(("spread", "steps"), [(1.0, {"step": 10.0}), (0.2, {"tolerance": 0.3})])
def test_a_front_melts_into_a_block(element, spread, steps):
    """Stefan's problem, ice-like: temperature, front and heat; melting spread over 1 K and over 0.2 K."""
    k, c, rho, latent, warm, long, n = 2.0, 2000.0, 900.0, 3e5, 60.0, 0.05, 50
    matter = material(
        conductivity=k,
        specific_heat=c,
        density=rho,
        latent_heat=latent,
        melting=(ZERO - spread / 2, ZERO + spread / 2),
    )
    model = dtw.Model(
        cases.strip(element, n, long),
        materials={"body": cases.section(element, matter)},
        supports=[dtw.FixedTemperature(on="xmin", value=ZERO + warm)],
        load_cases={"melting": []},
    )
    case = dtw.solve_transient(model, duration=2000.0, initial=ZERO - spread / 2, **steps)["melting"]
    a, stefan = k / (rho * c), c * warm / latent
    x, heats = model.mesh.points[:, 0], []
    area = {"line": 1e-4}.get(element, long / n * (long / n if model.mesh.dimension == 3 else 0.01))
    for t in (500.0, 2000.0):
        exact, front, factor = known.melting(x, t, diffusivity=a, stefan=stefan)
        found = case.at(t).temperature - ZERO
        assert np.abs(found - warm * exact).max() < 0.02 * warm
        assert x[found < 0.0].min() == pytest.approx(front, abs=long / n)
        heats.append(k * warm / erf(factor) * 2 * np.sqrt(t / (np.pi * a)) * area)
    # What the surface took up when it was put at 60 degC, at time zero, is no heat of the course.
    put_in = [case.history(name="heat_in").at(t) for t in (500.0, 2000.0)]
    assert np.diff(put_in) == pytest.approx(np.diff(heats), rel=0.015)
    assert case.imbalance < 1e-6


# D22 (a)

HOT, COLD = 800.0, 400.0


def plates(n: int, long: float, gap: float, thick: float) -> Mesh:
    """Two sheets, one above the other; faces that see each other are groups ``hot`` and ``cold``."""
    from builders import apart

    below = rectangle("quad", (n, 1), (long, thick))
    above = rectangle("quad", (n, 1), (long, thick), origin=(0.0, thick + gap))

    def named(mesh: Mesh, face: str, inner: str, outer: str) -> Mesh:
        groups = {
            face: mesh.groups[inner],
            f"{face} back": mesh.groups[outer],
            f"{face} plate": mesh.groups["body"],
        }
        return Mesh(mesh.points, mesh.cells, groups)

    return apart(named(below, "hot", "ymax", "ymin"), named(above, "cold", "ymin", "ymax"))


def plates_flux() -> tuple[float, float]:
    """Flux from the hot and into the cold face in the middle of plates a hundred gaps long, W/m2."""
    n, long, gap = 200, 2.0, 0.02
    mesh = plates(n, long, gap, 0.01)
    sheet = dtw.PlaneStress(material(conductivity=1e3), thickness=1.0)
    model = dtw.Model(
        mesh,
        materials={"hot plate": sheet, "cold plate": sheet},
        supports=[
            dtw.FixedTemperature(on="hot", value=HOT),
            dtw.FixedTemperature(on="cold", value=COLD),
        ],
        load_cases={
            "radiation": [
                dtw.Enclosure(on=["hot", "cold"], emissivity={"hot": 0.8, "cold": 0.5}, ambient="600 K")
            ]
        },
    )
    case = dtw.solve_thermal(model)["radiation"]
    return float(held_per_facet(case, "hot")[n // 2]), -float(held_per_facet(case, "cold")[n // 2])


def test_flux_between_plates():
    """D22 (a), far from the openings at the ends."""
    for flux in plates_flux():
        assert flux == pytest.approx(9677.439, rel=1e-3)


def held_per_facet(case: dtw.ThermalCase, face: str) -> np.ndarray:
    """Heat put in at the nodes of a straight face over the length each stands for, W/m2; 1 m thick."""
    nodes = case.model.region(face).nodes
    x = case.mesh.points[nodes, 0]
    order = np.argsort(x)
    heat = case.held[nodes][order]
    length = np.gradient(x[order])
    length[[0, -1]] *= 0.5
    return heat / length


def test_plates_that_conduct_find_the_temperatures_between_them():
    """Back faces are held; conduction, radiation and conduction in series have one flux."""
    n, long, gap, thick = 200, 2.0, 0.02, 0.01
    mesh = plates(n, long, gap, thick)
    sheet = dtw.PlaneStress(material(conductivity=1.0), thickness=1.0)
    model = dtw.Model(
        mesh,
        materials={"hot plate": sheet, "cold plate": sheet},
        supports=[
            dtw.FixedTemperature(on="hot back", value=HOT),
            dtw.FixedTemperature(on="cold back", value=COLD),
        ],
        load_cases={
            "radiation": [
                dtw.Enclosure(on=["hot", "cold"], emissivity={"hot": 0.8, "cold": 0.5}, ambient="600 K")
            ]
        },
    )
    case = dtw.solve_thermal(model)["radiation"]
    drop = thick / 1.0

    def wrong(q: float) -> float:
        return known.between_plates(HOT - q * drop, COLD + q * drop, 0.8, 0.5) - q

    q = brentq(wrong, 0.0, 2e4)
    middle = dtw.nearest((long / 2, thick, 0.0)), dtw.nearest((long / 2, thick + gap, 0.0))
    hot, cold = (float(case.temperature[model.region(on).nodes[0]]) for on in middle)
    assert hot == pytest.approx(HOT - q * drop, abs=1e-3 * (HOT - hot) + 0.05)
    assert cold == pytest.approx(COLD + q * drop, abs=1e-3 * (cold - COLD) + 0.05)
    assert case.imbalance < 1e-6


# D22 (b)


def tubes(n: int) -> Mesh:
    """Cross-sections of a tube 0.05 to 0.1 m inside one 0.2 to 0.25 m; n cells around."""
    from builders import apart, merged

    def ring(inner: float, outer: float, names: dict[str, str]) -> Mesh:
        def bent(x: np.ndarray) -> np.ndarray:
            r, angle = inner + (outer - inner) * x[:, 0], 2 * np.pi * x[:, 1]
            return np.column_stack([r * np.cos(angle), r * np.sin(angle), x[:, 2]])

        mesh = merged(rectangle("quad", (1, n), shape=bent))
        groups = {new: mesh.groups[old] for old, new in names.items()}
        return Mesh(mesh.points, mesh.cells, groups)

    return apart(
        ring(0.05, 0.1, {"xmax": "inner", "body": "rod"}), ring(0.2, 0.25, {"xmin": "outer", "body": "pipe"})
    )


def cylinders_flux() -> tuple[float, float]:
    """Flux from the inner, and into the outer face, W over m2 of the inner."""
    mesh = tubes(72)
    sheet = dtw.PlaneStress(material(conductivity=50.0), thickness=1.0)
    model = dtw.Model(
        mesh,
        materials={"rod": sheet, "pipe": sheet},
        supports=[
            dtw.FixedTemperature(on="inner", value=HOT),
            dtw.FixedTemperature(on="outer", value=COLD),
        ],
        load_cases={
            "radiation": [dtw.Enclosure(on=["inner", "outer"], emissivity={"inner": 0.8, "outer": 0.5})]
        },
    )
    case = dtw.solve_thermal(model)["radiation"]
    given, taken = (float(case.held[model.region(face).nodes].sum()) for face in ("inner", "outer"))
    area = 2 * np.pi * 0.1
    return given / area, -taken / area


def test_flux_between_cylinders():
    """D22 (b); a closed enclosure in which the outer face also sees itself."""
    given, taken = cylinders_flux()
    assert given == pytest.approx(12442.4216, rel=0.005)
    assert taken == pytest.approx(given, rel=1e-6)


def test_a_shield_between_plates_takes_the_temperature_of_both():
    """A thin free sheet between: three facing pairs in one enclosure, seen through nothing (occlusion)."""
    n, long, gap, thick = 120, 1.2, 0.01, 0.002
    below = rectangle("quad", (n, 1), (long, thick))
    sheet = rectangle("quad", (n, 1), (long, thick), origin=(0.0, thick + gap))
    above = rectangle("quad", (n, 1), (long, thick), origin=(0.0, 2 * (thick + gap)))
    from builders import apart

    def named(mesh: Mesh, **names: str) -> Mesh:
        return Mesh(mesh.points, mesh.cells, {new: mesh.groups[old] for new, old in names.items()})

    mesh = apart(
        named(below, hot="ymax", plates="body"),
        named(sheet, under="ymin", over="ymax", shield="body"),
        named(above, cold="ymin", plates="body"),
    )
    metal = dtw.PlaneStress(material(conductivity=1e3), thickness=1.0)
    model = dtw.Model(
        mesh,
        materials={"plates": metal, "shield": metal},
        supports=[
            dtw.FixedTemperature(on="hot", value=HOT),
            dtw.FixedTemperature(on="cold", value=COLD),
        ],
        load_cases={
            "radiation": [dtw.Enclosure(on=["hot", "under", "over", "cold"], emissivity=0.6, ambient="673 K")]
        },
    )
    case = dtw.solve_thermal(model)["radiation"]
    shield = float(case.temperature[model.region(dtw.nearest((long / 2, thick + gap, 0.0))).nodes[0]])
    assert shield == pytest.approx(((HOT**4 + COLD**4) / 2) ** 0.25, rel=2e-3)


def test_groups_are_what_they_say():
    mesh = plates(4, 1.0, 0.1, 0.05)
    assert isinstance(mesh.groups["hot"], Group)
    assert_allclose(mesh.points[mesh.nodes_of_facets(mesh.groups["hot"].facets)][:, 1], 0.05)
    assert_allclose(mesh.points[mesh.nodes_of_facets(mesh.groups["cold"].facets)][:, 1], 0.15)


def test_two_bodies_that_see_only_each_other_even_out():
    """A rod in a pipe, insulated outside: the two-temperature balance over time, and no heat lost."""
    rho_c, eps = 2.43e6, (0.8, 0.5)
    mesh = tubes(48)
    sheet = dtw.PlaneStress(material(conductivity=1e4, specific_heat=900.0, density=2700.0), thickness=1.0)
    start = np.full(mesh.n_points, 400.0)
    start[np.hypot(*mesh.points[:, :2].T) < 0.15] = 900.0
    model = dtw.Model(
        mesh,
        materials={"rod": sheet, "pipe": sheet},
        load_cases={"radiation": [dtw.Enclosure(emissivity={"inner": eps[0], "outer": eps[1]})]},
    )
    end = 6e4
    case = dtw.solve_transient(model, duration=end, initial=dtw.nodal(start), tolerance=0.3)["radiation"]
    round_ = 48 / (2 * np.pi) * np.sin(2 * np.pi / 48)  # area of the polygon over that of its circle
    capacity = rho_c * round_ * np.pi * np.array([0.1**2 - 0.05**2, 0.25**2 - 0.2**2])

    def rates(_: float, T: np.ndarray) -> np.ndarray:
        q = known.between_cylinders(T[0], T[1], *eps, inner=0.1, outer=0.2) * 2 * np.pi * 0.1
        return np.array([-q, q]) / capacity

    exact = solve_ivp(rates, (0.0, end), [900.0, 400.0], rtol=1e-9, atol=1e-9, dense_output=True)
    inside = np.hypot(*mesh.points[:, :2].T) < 0.15
    for frame in case.frames:
        hot, cold = exact.sol(frame.time)
        assert frame.temperature[inside].mean() == pytest.approx(hot, abs=0.01 * 500.0)
        assert frame.temperature[~inside].mean() == pytest.approx(cold, abs=0.01 * 500.0)
    last = case.frames[-1].temperature
    assert np.ptp(last) < 5.0
    assert last.mean() == pytest.approx((capacity @ [900.0, 400.0]) / capacity.sum(), abs=1.0)
    assert case.imbalance < 1e-6
    assert np.abs(case.history(name="stored_energy").values).max() < 1e-6 * capacity[0] * 500.0
