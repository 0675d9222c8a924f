"""Natural frequencies: D13, D14, D15, exact solutions and their rates, strings and blades."""

from __future__ import annotations

import exact_modes as exact
import numpy as np
import pytest
from builders import PLANES, SOLIDS, bar, box, rectangle
from cases import elastic
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.elements import ELEMENTS

STEEL = {"youngs_modulus": 210e9, "poissons_ratio": 0.3, "density": 7850.0}


def modes(model: dtw.Model, **options):
    return dtw.solve_modes(model, **options).modes


def bodied(mesh, section, supports=(), **more) -> dtw.Model:
    return dtw.Model(mesh, materials={"body": section}, supports=list(supports), load_cases={}, **more)


def told(record_property, case, found, targets, factor=1.0):
    """Relative errors of frequencies against (target, tolerance) pairs, recorded and asserted."""
    for name, (target, tolerance) in targets.items():
        error = found[name] / target - 1.0
        record_property(f"error of {name}", f"{error:+.3%}")
        assert abs(error) < factor * tolerance, f"{name}: {found[name]:.4f} Hz, {error:+.3%} off {target}"
    assert case.residual < 1e-5


# D13


def finer_at_edges(p):
    x = p.copy()
    x[:, :2] = 0.3 * p[:, :2] + 0.7 * 5.0 * (1.0 - np.cos(np.pi * p[:, :2] / 10.0))
    return x


def thick_plate(element: str, n: tuple[int, int, int], hard: bool) -> dtw.Model:
    """10 x 10 x 1 m, edge faces held in z; "hard": along the edge too."""
    mesh = box(element, n, (10.0, 10.0, 1.0), shape=finer_at_edges)
    x, y = ({"y": 0.0}, {"x": 0.0}) if hard else ({}, {})
    supports = [dtw.PrescribedDisplacement(on=side, z=0.0, **x) for side in ("xmin", "xmax")]
    supports += [dtw.PrescribedDisplacement(on=side, z=0.0, **y) for side in ("ymin", "ymax")]
    return bodied(mesh, elastic(200e9, 0.3, density=8000.0), supports)


PLATE = {
    "hexahedron": ((52, 52, 7), 1.0) if FULL else ((24, 24, 4), 4.0), "hexahedron20": ((12, 12, 2), 1.0),
    "tetra10": ((20, 20, 4), 1.0) if FULL else ((12, 12, 2), 2.5),
}  # fmt: skip
"""Cells, and by how much tolerances widen where `make test` has coarser ones than they hold at."""


def is_bending(mode) -> bool:
    share = (mode.displacement**2).sum(axis=0)
    return bool(share[2] > 0.5 * share.sum())


@pytest.mark.parametrize("element", PLATE)
def test_thick_plate_with_hard_edges(element, record_property):
    """D13 (b), NAFEMS FV52 converged in three dimensions (CalculiX: 45.980, 109.91, 168.94)."""
    n, factor = PLATE[element]
    case = modes(thick_plate(element, n, hard=True), count=7)
    assert case.n_rigid == 0
    f = [mode.frequency for mode in case if is_bending(mode)]
    found = {"f1": f[0], "f2": f[1], "f3": f[2], "(2,2)": f[3]}
    targets = {
        "f1": (45.9712, 0.002),
        "f2": (109.857, 0.003),
        "f3": (109.857, 0.003),
        "(2,2)": (168.819, 0.004),
    }
    told(record_property, case, found, targets, factor)


@pytest.mark.parametrize("element", PLATE)
def test_thick_plate_with_soft_edges(element, record_property):
    """D13 (a): three motions in the plane are rigid; then 44.19 Hz, below the hard plate."""
    n, factor = PLATE[element]
    case = modes(thick_plate(element, n, hard=False), count=6)
    assert case.n_rigid == 3
    assert_allclose(case.frequencies[:3], 0.0, atol=1e-9)
    elastic_modes = list(case)[3:]
    bending = [mode.frequency for mode in elastic_modes if is_bending(mode)]
    inside = [mode.frequency for mode in elastic_modes if not is_bending(mode)]
    found = {"f4": bending[0], "f5": bending[1], "f6": bending[2], "f7": bending[3], "in-plane": inside[0]}
    targets = {
        "f4": (44.19, 0.004), "f5": (107.35, 0.005), "f6": (107.35, 0.005), "f7": (163.2, 0.006),
        "in-plane": (193.66, 0.003),
    }  # fmt: skip
    told(record_property, case, found, targets, factor)


# D14, D15


BAR = {
    "hexahedron20": ((24, 2, 4), 1.0), "tetra10": ((24, 3, 6), 1.0), "wedge15": ((24, 2, 4), 1.0),
    "hexahedron": ((60, 8, 16), 1.0) if FULL else ((60, 6, 12), 1.3),
}  # fmt: skip


@pytest.mark.parametrize("element", BAR)
def test_cantilever_bar(element, record_property):
    """D14, converged in three dimensions; Euler and Bernoulli's first is 41.776 Hz."""
    n, factor = BAR[element]
    mesh = box(element, n, (1.0, 0.05, 0.10))
    case = modes(bodied(mesh, dtw.LinearElastic(**STEEL), [dtw.FixedSupport(on="xmin")]), count=6)
    targets = {
        "f1": (41.877, 0.003), "f2": (83.141, 0.003), "f3": (259.43, 0.003), "f4": (498.68, 0.003),
        "f5 (torsion)": (600.4, 0.005), "f6": (713.76, 0.004),
    }  # fmt: skip
    told(record_property, case, dict(zip(targets, case.frequencies, strict=True)), targets, factor)
    torsion = case[4]
    middle = np.linalg.norm(mesh.points[:, 1:] - [0.025, 0.05], axis=1) < 1e-9
    assert np.abs(torsion.displacement[middle]).max(initial=0.0) < 1e-2 * np.abs(torsion.displacement).max()


@pytest.mark.parametrize(("element", "n"), [("hexahedron20", (14, 4, 3)), ("tetra10", (20, 6, 4))])
def test_free_block(element, n, record_property):
    """D15: six rigid motions and the first elastic modes of a block that nothing holds."""
    mesh = box(element, n, (0.2, 0.05, 0.03))
    case = modes(bodied(mesh, dtw.LinearElastic(**STEEL)), count=4)
    assert case.n_rigid == 6
    assert (case.frequencies < 1.0).sum() == 6
    targets = {"f7": (3710.8, 0.002), "f8": (5585.7, 0.002), "f9": (6528.7, 0.002), "f10": (9191.0, 0.004)}
    told(record_property, case, dict(zip(targets, case.frequencies[6:], strict=True)), targets)
    assert case.dynamics.total_mass == pytest.approx(2.355, rel=1e-9)
    # All mass takes part in the rigid motions, none in the others.
    assert_allclose(case.effective_mass[:6].sum(axis=0), case.whole, rtol=1e-9)
    assert np.abs(case.effective_mass[6:]).max() < 1e-9 * 2.355


# Exact solutions


def strip(element: str, n: int, name: str) -> tuple[dtw.Model, float]:
    """A sliding strip or tube and its lowest angular frequency; 1 x 0.5 (x 0.25) or radius 1, wall 0.1."""
    section = elastic(exact.E, exact.NU, density=exact.RHO)
    if name == "Axisymmetric":
        mesh = rectangle(element, (max(1, n // 2), 2 * n), (0.1, TUBE), origin=(0.95, 0.0))
        ends = [dtw.PrescribedDisplacement(on=side, y=0.0) for side in ("ymin", "ymax")]
        # The lowest of all breathes without waves along the tube; this is the second.
        values = exact.tube_values(np.pi / TUBE, 0.95, 1.05) / exact.RHO
        return bodied(mesh, dtw.Axisymmetric(section), ends), float(np.sqrt(values[0]))
    ends = [dtw.PrescribedDisplacement(on=side, x=0.0) for side in ("xmin", "xmax")]
    if element in SOLIDS:
        mesh = box(element, (2 * n, n, max(1, n // 2)), (1.0, 0.5, 0.25))
        ends += [dtw.PrescribedDisplacement(on=side, z=0.0) for side in ("zmin", "zmax")]
        omega = exact.strip_frequencies(np.pi, 0.25, "PlaneStrain", 4.0)[0]
        return bodied(mesh, section, ends), float(omega)
    mesh = rectangle(element, (2 * n, n), (1.0, 0.5))
    thickness = {"thickness": 1.0} if name == "PlaneStress" else {}
    omega = exact.strip_frequencies(np.pi, 0.25, name, 4.0)[0]
    return bodied(mesh, getattr(dtw, name)(section, **thickness), ends), float(omega)


TUBE = 0.3
WAYS = [
    (element, name)
    for element in (*PLANES, *SOLIDS)
    for name in (["Solid"] if element in SOLIDS else ["PlaneStress", "PlaneStrain", "Axisymmetric"])
]


@pytest.mark.parametrize(("element", "name"), WAYS)
def test_squared_frequencies_converge_at_twice_the_order_of_the_element(element, name):
    """Strang and Fix, An Analysis of the Finite Element Method (1973), ch. 6."""
    p = ELEMENTS[element].degree
    sizes = (
        ((3, 6) if "tetra" in element else (2, 4)) if p == 2 else (6, 12) if element in SOLIDS else (8, 16)
    )
    errors = []
    for n in sizes:
        model, omega = strip(element, n, name)
        case = modes(model, count=2 if name == "Axisymmetric" else 1)
        assert case.n_rigid == (0 if name == "Axisymmetric" else 1)
        errors.append((2 * np.pi * case.frequencies[-1] / omega) ** 2 - 1)
    order = np.log2(errors[0] / errors[1])
    assert 2 * p - 0.45 < order < 2 * p + 0.4, errors
    # Frequencies of plain cells come from above; incompatible modes and mean dilatation bound nothing.
    assert errors[1] > 0.0 or element in ("quad", "hexahedron")
    assert abs(errors[1]) < (0.03 if p == 1 else 0.005), errors


def test_all_branches_of_the_plate_are_found():
    """Ten frequencies of a sliding strip in their order: waves of bending and of stretching in turn."""
    mesh = rectangle("quad8", (16, 8), (1.0, 0.5))
    section = dtw.PlaneStrain(elastic(exact.E, exact.NU, density=exact.RHO))
    ends = [dtw.PrescribedDisplacement(on=side, x=0.0) for side in ("xmin", "xmax")]
    case = modes(bodied(mesh, section, ends), count=10)
    lam, mu = exact.lame("PlaneStrain")
    # Without waves along x the strip thickens and thins: n pi c_L / (2 h).
    expected = [n * np.pi * np.sqrt((lam + 2 * mu) / exact.RHO) / 0.5 for n in (1, 2)]
    for m in range(1, 8):
        expected += list(exact.strip_frequencies(m * np.pi, 0.25, "PlaneStrain", 14.0))
    assert_allclose(2 * np.pi * case.frequencies[1:], np.sort(expected)[:10], rtol=2e-3)


# Prestress and spin


def test_string_sounds_as_its_tension_says():
    """A string of trusses: f_n = n / (2 L) sqrt(T / (rho A)), on a mesh with known dispersion."""
    length, area, rho, stress, n = 1.0, 1e-6, 8000.0, 2e8, 40
    supports = [
        dtw.PrescribedDisplacement(on="xmin", x=0.0, y=0.0),
        dtw.PrescribedDisplacement(on="xmax", x=stress / 200e9 * length, y=0.0),
    ]
    material = elastic(200e9, 0.3, density=rho)
    model = dtw.Model(
        bar(n, length),
        materials={"body": dtw.Truss(material, area=area)},
        # Unloaded, a string resists no motion across; the static answer needs a hand that is next to nothing.
        supports=[*supports, dtw.Spring(on="body", stiffness=(0.0, 1e-9, 0.0))],
        load_cases={"tuned": []},
    )
    case = modes(model, count=3, prestress="tuned")
    i = np.arange(1, 4)
    exact_f = i / (2 * length) * np.sqrt(stress / rho)
    # Linear shape functions: omega^2 (1 - cos) * 6 / (2 + cos) in place of (k h)^2.
    c = np.cos(i * np.pi / n)
    mesh_f = np.sqrt(stress / rho * 6 * (1 - c) / (2 + c)) * n / length / (2 * np.pi)
    assert_allclose(case.frequencies, mesh_f, rtol=1e-5)
    assert_allclose(case.frequencies, exact_f, rtol=0.01)


@pytest.mark.parametrize("share", [0.5, -0.5, 2.0])
def test_axial_force_shifts_the_frequency_of_a_sliding_strip(share):
    """rho omega^2 = rho omega0^2 - P k^2 for a uniform stress -P (see exact_modes), in critical ones."""
    free, omega = strip("quad8", 6, "PlaneStrain")
    critical = exact.RHO * (omega / np.pi) ** 2
    model = free.with_(
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0),
            dtw.PrescribedDisplacement(on="xmax", x=-share * critical * (1 - exact.NU**2) / exact.E),
            # Statics want a hold across; this one is next to nothing.
            dtw.Spring(on="body", stiffness=(0.0, 1e-5, 0.0)),
        ],
        load_cases={"pushed": []},
    )
    if share > 1.0:
        with pytest.raises(dtw.DesignTwinError, match="buckle"):
            modes(model, count=2, prestress="pushed")
        return
    case = modes(model, count=2, prestress="pushed")
    assert case.n_rigid == 0
    assert case.omega2[0] == pytest.approx(1e-5 / (0.5 * exact.RHO), rel=1e-3)
    assert case.omega2[1] == pytest.approx(omega**2 * (1 - share), rel=1e-3)


@pytest.mark.parametrize("share", [0.1, -0.2])
def test_hoop_stress_shifts_the_breathing_of_a_thin_ring(share):
    """rho omega^2 R^2 = E + hoop stress: the stress of a ring works where its circumference grows twice."""
    e, rho, radius, t = 210e9, 7850.0, 1.0, 1e-3
    model = dtw.Model(
        rectangle("quad8", (1, 1), (t, t), origin=(radius - t / 2, 0.0)),
        materials={"body": dtw.Axisymmetric(elastic(e, 0.0, density=rho))},
        supports=[dtw.PrescribedDisplacement(on="body", y=0.0)],
        load_cases={"blown": [dtw.Pressure(on="xmin", magnitude=share * e * t / (radius - t / 2))]},
    )
    for prestress, wanted in ((None, e), ("blown", e * (1 + share))):
        case = modes(model, count=1, prestress=prestress)
        assert case.omega2[0] == pytest.approx(wanted / (rho * radius**2), rel=1.5e-3)


def test_blade_on_a_hub_stiffens_as_southwell_says():
    """Slender blade, hub of no radius: omega^2 = omega0^2 + 1.193 Omega^2 flapping, 0.193 lagging."""
    length, t, rho = 1.0, 0.01, 7850.0
    mesh = box("hexahedron20", (16, 1, 1), (length, 0.02, t), origin=(0.0, -0.01, -t / 2))
    model = dtw.Model(
        mesh,
        materials={"body": elastic(210e9, 0.0, density=rho)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            f"{spin}": [dtw.Centrifugal(axis=axis, point=(0.0, 0.0, 0.0), speed=spin)]
            for spin, axis in ((30.0, "z"), (31.0, "y"))
        },
    )
    still = modes(model, count=1).omega2[0]
    # Flapping along the axis of rotation; lagging across it loses Omega^2.
    for name, spin, expected in (("30.0", 30.0, 1.193), ("31.0", 31.0, 0.193)):
        case = modes(model, count=1, prestress=name)
        assert (case.omega2[0] - still) / spin**2 == pytest.approx(expected, rel=0.02)
