"""The estimated error of the energy beside the true one, on smooth fields."""

from __future__ import annotations

import numpy as np
import pytest
from builders import PLANES, SOLIDS
from cases import elastic, solve
from exact import NU, E, laplace, mesh_of, navier, rule_of
from surroundings import FULL

import designtwin as dtw
from designtwin.assembly import strain_at, tables


def static_effectivity(element: str, n: int) -> tuple[float, float]:
    """Estimated over true error in the energy norm, and the true error over the energy norm."""
    name = "Solid" if element in SOLIDS else "PlaneStrain"
    components = "xyz" if name == "Solid" else "xy"
    model = dtw.Model(
        mesh_of(element, n),
        materials={"body": getattr(dtw, name)(elastic(E, NU))},
        supports=[
            dtw.PrescribedDisplacement(
                on=dtw.exterior(),
                **{a: (lambda p, i=i: navier(p, name)[0][:, i]) for i, a in enumerate(components)},
            )
        ],
        load_cases={"field": []},
    )
    case = solve(model)
    (cells,) = case.recovery.blocks
    at = tables(cells, rule_of(element))
    x = cells.at(case.mesh.points, at.shape)
    stress = strain_at(model, case.case, cells, at, case.displacement)[1]
    exact = navier(x.reshape(-1, 3), name)[1].reshape(stress.shape) @ elastic(E, NU).stiffness().T
    compliance = np.linalg.inv(elastic(E, NU).stiffness())
    weight = case.recovery.measure(cells, at)

    def energy(field: np.ndarray) -> float:
        return float(np.sqrt(np.einsum("cq,cqi,ij,cqj->", weight, field, compliance, field)))

    true = energy(stress - exact) / energy(exact)
    return case.energy_error / true, true


def thermal_effectivity(element: str, n: int) -> float:
    name = "Solid" if element in SOLIDS else "PlaneStress"
    more = {} if element in SOLIDS else {"thickness": 1.0}
    model = dtw.Model(
        mesh_of(element, n),
        materials={"body": getattr(dtw, name)(elastic(E, NU, conductivity=1.0), **more)},
        supports=[dtw.FixedTemperature(on=dtw.exterior(), value=lambda p: 300.0 + laplace(p, name)[0])],
        load_cases={"field": []},
    )
    case = dtw.solve_thermal(model)["field"]
    (cells,) = case.recovery.blocks
    at = tables(cells, rule_of(element))
    x = cells.at(case.mesh.points, at.shape)
    wrong = -case._flux(cells, at) - laplace(x.reshape(-1, 3), name)[1].reshape(*x.shape)
    weight = case.recovery.measure(cells, at)
    slope = laplace(x.reshape(-1, 3), name)[1].reshape(*x.shape)
    true = np.sqrt(np.einsum("cq,cqi->", weight, wrong**2) / np.einsum("cq,cqi->", weight, slope**2))
    return case.energy_error / float(true)


@pytest.mark.parametrize("element", [*PLANES, *SOLIDS])
def test_estimated_energy_error_is_close_to_the_true_one(element):
    """Asked for is 0.8 to 1.25; found are 0.92 to 1.21, the largest with heat on 27 quadratic bricks."""
    coarse_to_fine = (6, 12, 24) if element in PLANES else (3, 6, 9)
    for n in coarse_to_fine if FULL else coarse_to_fine[:2]:
        ratio, true = static_effectivity(element, n)
        assert 0.8 < ratio < 1.25, (n, ratio, true)
        assert 0.8 < thermal_effectivity(element, n) < 1.25


@pytest.mark.parametrize("element", PLANES)
def test_the_estimate_becomes_exact_with_refinement(element):
    coarse, fine = (abs(static_effectivity(element, n)[0] - 1.0) for n in (6, 24))
    assert fine < coarse < 0.15
    assert fine < 0.03
