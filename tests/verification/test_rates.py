"""Orders of convergence against exact fields: displacement and temperature p + 1, stress, energy and flux p.

The fields solve Navier's equation without body force (Papkovich and Neuber's form, in which Poisson's ratio
takes part) and Laplace's; the whole boundary is prescribed. Meshes are sheared for serendipity elements,
which keep their order on parallelograms only, and warped smoothly for the others.
"""

from __future__ import annotations

import cases
import numpy as np
import pytest
from builders import PLANES, SOLIDS
from cases import elastic, solve
from exact import NU, E, laplace, mesh_of, navier, rule_of
from scipy.optimize import brentq
from surroundings import FULL

import designtwin as dtw
from designtwin.assembly import strain_at, tables
from designtwin.elements import ELEMENTS
from designtwin.typing import FloatArray

# Errors


def static_errors(element: str, n: int, name: str, formulation: str) -> tuple[float, float]:
    """Error of displacement and of stress in the L2 norm over the body."""
    thickness = {"thickness": 1.0} if name == "PlaneStress" else {}
    section = getattr(dtw, name)(elastic(E, NU), formulation=formulation, **thickness)
    components = "xyz" if name == "Solid" else "xy"
    held = dtw.PrescribedDisplacement(
        on=dtw.exterior(), **{a: (lambda p, i=i: navier(p, name)[0][:, i]) for i, a in enumerate(components)}
    )
    model = dtw.Model(
        mesh_of(element, n), materials={"body": section}, supports=[held], load_cases={"field": []}
    )
    case = solve(model)
    (cells,) = case.recovery.blocks
    at = tables(cells, rule_of(element))
    x = cells.at(case.mesh.points, at.shape)
    u, strain = (v.reshape(*x.shape[:2], -1) for v in navier(x.reshape(-1, 3), name))
    weight = case.recovery.measure(cells, at)
    found = np.einsum("qn,cni->cqi", at.shape, case.displacement[cells.conn])
    _, stress = strain_at(model, case.case, cells, at, case.displacement)
    exact = strain @ elastic(E, NU).stiffness().T
    return tuple(float(np.sqrt(np.einsum("cq,cqi->", weight, d**2))) for d in (found - u, stress - exact))


def thermal_errors(element: str, n: int, name: str) -> tuple[float, float]:
    """Error of temperature and of its gradient (flux over conductivity 1)."""
    thickness = {"thickness": 1.0} if name == "PlaneStress" else {}
    model = dtw.Model(
        mesh_of(element, n),
        materials={"body": getattr(dtw, name)(elastic(E, NU, conductivity=1.0), **thickness)},
        supports=[dtw.FixedTemperature(on=dtw.exterior(), value=lambda p: 300.0 + laplace(p, name)[0])],
        load_cases={"field": []},
    )
    case = dtw.solve_thermal(model)["field"]
    (cells,) = case.recovery.blocks
    at = tables(cells, rule_of(element))
    x = cells.at(case.mesh.points, at.shape)
    value, slope = (v.reshape(*x.shape[:2], -1) for v in laplace(x.reshape(-1, 3), name))
    weight = case.recovery.measure(cells, at)
    found = np.einsum("qn,cn->cq", at.shape, case.temperature[cells.conn])[..., None] - 300.0
    return tuple(
        float(np.sqrt(np.einsum("cq,cqi->", weight, d**2)))
        for d in (found - value, -case._flux(cells, at) - slope)
    )


def orders(errors: list[tuple[float, float]], sizes: tuple[int, ...]) -> FloatArray:
    """Observed order of each column between the two finest meshes."""
    return np.log(np.divide(errors[-2], errors[-1])) / np.log(sizes[-1] / sizes[-2])


def sizes_of(element: str) -> tuple[int, ...]:
    if element in PLANES:
        return (16, 32) if FULL else (8, 16)
    return (6, 9) if FULL else (3, 6)


WAYS = [
    pytest.param(element, name, formulation, id=f"{element}-{name}-{formulation}")
    for element in (*PLANES, *SOLIDS)
    for name in (["Solid"] if element in SOLIDS else ["PlaneStress", "PlaneStrain", "Axisymmetric"])
    for formulation in (
        ["full"] if element not in ("quad", "hexahedron")
        else ["full", "b-bar"] if name == "Axisymmetric"
        else ["full", "b-bar", "incompatible"]
    )
]  # fmt: skip


def test_the_exact_fields_are_exact():
    """Equilibrium and strain of the fields themselves, by central differences."""
    h = 1e-4
    x = np.array([[0.7, 0.4, 0.6], [1.2, 0.3, 0.2]])
    for name in ("Solid", "PlaneStrain", "PlaneStress", "Axisymmetric"):
        x0 = x if name == "Solid" else x * [1, 1, 0]
        axes = range(3 if name == "Solid" else 2)
        stiff = elastic(E, NU).stiffness()

        def stress(p, name=name, stiff=stiff):
            return navier(p, name)[1] @ stiff.T

        du = np.zeros((len(x), 3, 3))
        ds = np.zeros((len(x), 6, 3))
        for i in axes:
            step = h * np.eye(3)[i]
            du[:, :, i] = (navier(x0 + step, name)[0] - navier(x0 - step, name)[0]) / (2 * h)
            ds[:, :, i] = (stress(x0 + step) - stress(x0 - step)) / (2 * h)
        strain = navier(x0, name)[1]
        size = np.abs(strain).max()
        for c, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))):
            if name == "Solid" or c in (0, 1, 3):
                expected = du[:, i, j] if i == j else du[:, i, j] + du[:, j, i]
                assert np.abs(strain[:, c] - expected).max() < 1e-6 * size
        xx, yy, zz, xy, yz, xz = range(6)
        balance = np.stack(
            [
                ds[:, xx, 0] + ds[:, xy, 1] + ds[:, xz, 2],
                ds[:, xy, 0] + ds[:, yy, 1] + ds[:, yz, 2],
                ds[:, xz, 0] + ds[:, yz, 1] + ds[:, zz, 2],
            ],
            axis=1,
        )
        if name == "Axisymmetric":
            s = stress(x0)
            balance[:, 0] += (s[:, xx] - s[:, zz]) / x0[:, 0]
            balance[:, 1] += s[:, xy] / x0[:, 0]
            balance[:, 2] = 0.0
        assert np.abs(balance).max() < 1e-5 * np.abs(ds).max()


@pytest.mark.parametrize(("element", "name", "formulation"), WAYS)
def test_displacement_and_stress_converge_at_their_orders(element, name, formulation):
    p = ELEMENTS[element].degree
    sizes = sizes_of(element)
    found = orders([static_errors(element, n, name, formulation) for n in sizes], sizes)
    assert found[0] == pytest.approx(p + 1, abs=0.15), "displacement"
    assert found[1] == pytest.approx(p, abs=0.15), "stress"


@pytest.mark.parametrize("element", [*PLANES, *SOLIDS])
def test_temperature_and_flux_converge_at_their_orders(element):
    p = ELEMENTS[element].degree
    sizes = sizes_of(element)
    for name in ["Solid"] if element in SOLIDS else ["PlaneStress", "Axisymmetric"]:
        found = orders([thermal_errors(element, n, name) for n in sizes], sizes)
        assert found[0] == pytest.approx(p + 1, abs=0.15), f"temperature, {name}"
        assert found[1] == pytest.approx(p, abs=0.15), f"flux, {name}"


@pytest.mark.parametrize("element", PLANES)
def test_timoshenko_cantilever_converges_in_energy(element):
    """D07: order 1 for linear, 2 for quadratic elements, in the energy norm of the error."""

    def error(n: int) -> float:
        model = cases.timoshenko(element, n)
        # Incompatible modes hold this very field better than their order says; plain cells are asked here.
        section = dtw.PlaneStress(elastic(3e7, 0.3), thickness=1.0, formulation="full")
        case = solve(model.with_(materials={"body": section}))
        (cells,) = case.recovery.blocks
        at = tables(cells, rule_of(element))
        x = cells.at(case.mesh.points, at.shape)
        exact = np.zeros((*x.shape[:2], 6))
        exact[..., 0] = 1000.0 * (48.0 - x[..., 0]) * x[..., 1] / 144.0
        exact[..., 3] = -1000.0 / 288.0 * (36.0 - x[..., 1] ** 2)
        _, stress = strain_at(case.model, case.case, cells, at, case.displacement)
        wrong = stress - exact
        compliance = np.linalg.pinv(section.stiffness())
        weight = case.recovery.measure(cells, at)
        return float(np.sqrt(np.einsum("cq,cqi,ij,cqj->", weight, wrong, compliance, wrong)))

    linear = ELEMENTS[element].degree == 1
    sizes = (16, 32) if linear else (4, 8)
    order = np.log2(error(sizes[0]) / error(sizes[1]))
    assert order == pytest.approx(1.0, abs=0.15) if linear else order == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("element", PLANES)
def test_cooks_membrane_converges_as_its_corner_lets_it(element):
    """D06: stress is infinite at (0, 44), r^(lambda - 1), so compliance converges with h^(2 lambda) at best.

    lambda solves Williams' equation for a wedge with one side clamped and one free,
    4 kappa sin^2(lambda w) = (kappa + 1)^2 - 4 lambda^2 sin^2 w (J. Appl. Mech. 19 (1952) 526).
    """
    w = np.pi / 2 + np.arctan2(16, 48)
    kappa = (3 - 1 / 3) / (1 + 1 / 3)
    lam = brentq(
        lambda s: 4 * kappa * np.sin(s * w) ** 2 - (kappa + 1) ** 2 + 4 * s**2 * np.sin(w) ** 2, 0.3, 0.95
    )
    sizes = (32, 64) if ELEMENTS[element].degree == 1 else (16, 32)
    lost = []
    for n in sizes:
        case = solve(cases.cook(element, n))
        load = case.model.cases["shear"].loads[0].nodal_forces(case.model)
        lost.append(COMPLIANCE - float((load * case.displacement).sum()))
    order = np.log2(lost[0] / lost[1])
    assert min(lost) > 0.0
    # On these meshes the cells are still on their way to this order, linear ones from 2.
    assert 2 * lam - 0.15 < order < (2.0 if ELEMENTS[element].degree == 1 else 2 * lam + 0.25), (order, lam)


COMPLIANCE = 24.0416
"""Converged work of Cook's membrane; see D06 in test_linear_static.py."""
