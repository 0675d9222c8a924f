"""Strain and its transpose in the cells: as the analysis has it, and as each other's mirror."""

import numpy as np
import pytest

import designtwin as dtw
from designtwin.assembly import cell_blocks, strain_at, tables
from designtwin.assembly.gradients import CaseCells, Strained
from designtwin.elements import sampling
from designtwin.kernels import contraction
from tests.builders import box, rectangle

FORMULATIONS = [
    ("tetra10", "Solid", "full"), ("hexahedron", "Solid", "incompatible"), ("hexahedron", "Solid", "b-bar"),
    ("quad", "PlaneStress", "incompatible"), ("quad", "PlaneStrain", "b-bar"),
    ("quad", "Axisymmetric", "b-bar"),
    ("triangle6", "Axisymmetric", "full"),
]  # fmt: skip


def cells_of(element, kind, formulation):
    steel = dtw.LinearElastic(youngs_modulus=2e11, poissons_ratio=0.3, expansion=1e-5)
    more = {"thickness": 0.02} if kind.startswith("Plane") else {}
    if kind == "Solid":
        mesh = box(element, 2 if element == "hexahedron" else 1, (0.3, 0.2, 0.2), distort=0.2)
    else:
        mesh = rectangle(
            element, 2, (0.3, 0.2), distort=0.2, **({"origin": (0.0, 0.0)} if kind == "Axisymmetric" else {})
        )
    part = getattr(dtw, kind)(steel, formulation=formulation, **more)
    warm = dtw.Temperature(300.0 + 500.0 * mesh.points[:, 0], reference=293.0)
    model = dtw.Model(mesh, {"body": part}, [dtw.FixedSupport(on="xmax")], {"warm": [warm]})
    (block,) = cell_blocks(model)
    u = 1e-4 * np.random.default_rng(1).standard_normal((mesh.n_points, 3)) * (np.arange(3) < model.dimension)
    if model.axisymmetric:
        u[mesh.points[:, 0] == 0.0, 0] = 0.0
    return CaseCells(model, model.cases["warm"], block), u


@pytest.mark.parametrize("how", FORMULATIONS, ids=", ".join)
def test_strain_is_that_of_the_analysis_modes_and_warmth_included(how):
    cells, u = cells_of(*how)
    at = tables(cells.block, sampling(cells.block.element.name)[0])
    whole, _ = strain_at(cells.model, cells.case, cells.block, at, u)
    own = cells.strain(at, cells.displaced(u, warmed=True))
    kept = [0, 1, 3] if how[1] == "PlaneStress" else slice(None)  # thinning follows from the stress there
    assert own[..., kept] == pytest.approx(whole[..., kept], rel=1e-12, abs=1e-16)


@pytest.mark.parametrize("how", FORMULATIONS, ids=", ".join)
def test_forces_of_a_stress_are_the_transpose_of_strain(how):
    cells, u = cells_of(*how)
    rng = np.random.default_rng(2)
    at = tables(cells.block, sampling(cells.block.element.name)[0])
    amplitude = rng.standard_normal(cells.no_modes.shape) * (np.arange(3) < cells.model.dimension)
    stress = rng.standard_normal((len(cells.block.conn), len(at.xi), 6))
    forces, on_modes = cells.forces(at, stress)
    work = (stress * cells.strain(at, Strained(u, amplitude))).sum(axis=(1, 2))
    mirrored = (forces * u[cells.block.conn]).sum(axis=(1, 2)) + (on_modes * amplitude).sum(axis=(1, 2))
    assert mirrored == pytest.approx(work, rel=1e-12)


@pytest.mark.parametrize("how", FORMULATIONS[1:4], ids=", ".join)
def test_compiled_and_interpreted_kernels_agree(how, monkeypatch):
    cells, u = cells_of(*how)
    at = cells.rule
    of = cells.displaced(u, warmed=True)
    stress = np.random.default_rng(3).standard_normal((len(cells.block.conn), len(at.xi), 6))
    fast = cells.strain(at, of), *cells.forces(at, stress), cells.strain_slope(at, stress, of)
    for name in ("strains", "strain_forces", "strain_slope"):
        monkeypatch.setattr(contraction, name, getattr(contraction, name).py_func)
    slow = cells.strain(at, of), *cells.forces(at, stress), cells.strain_slope(at, stress, of)
    for a, b in zip(fast, slow, strict=True):
        assert a == pytest.approx(b, rel=1e-12, abs=1e-14 * np.abs(b).max(initial=0.0))
