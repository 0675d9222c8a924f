"""How many iterations: over Poisson's ratio, flatness of cells, stiffness jumps, soft grounds, and size."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box
from surroundings import FULL

import designtwin as dtw
from designtwin.assembly import assemble_static, cell_blocks
from designtwin.solvers import MultigridCG

N = (16, 8, 8) if FULL else (10, 5, 5)  # 61k, 17k unknowns of tet10


def system_of(mesh, *, nu=0.3, modulus=None, supports=None):
    """A box pushed at its end; modulus(x) may differ from cell to cell by a factor of ten to a power."""
    if modulus is None:
        materials = {"body": dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=nu)}
    else:
        power = modulus(mesh.cell_centers)
        materials = {
            dtw.ids(cells=np.flatnonzero(power == p).tolist()): dtw.LinearElastic(
                youngs_modulus=210e9 * 10.0**p, poissons_ratio=nu
            )
            for p in np.unique(power)
        }
    model = dtw.Model(
        mesh,
        materials=materials,
        supports=[dtw.FixedSupport(on="xmin")] if supports is None else supports,
        load_cases={"push": [dtw.Force(on="xmax", value=(1e3, 2e3, -1e3))]},
    )
    case = model.cases["push"]
    one = assemble_static(model, case, cell_blocks(model))
    return one, one.right_hand_side(one.dofs.gather(case.loads[0].nodal_forces(model)))


def iterations(mesh, solver=None, **options):
    solver = solver or MultigridCG()
    one, f = system_of(mesh, **options)
    solution = solver.factorize(one.system).solve(f)
    assert (solution.residual <= 1e-8).all()
    return int(solution.iterations[0])


@pytest.mark.parametrize(
    ("nu", "bounds"), [(0.0, (8, 22)), (0.3, (8, 22)), (0.45, (14, 40)), (0.49, (25, 80))]
)
def test_over_poissons_ratio(nu, bounds):
    assert bounds[0] <= iterations(box("tetra10", N, (2.0, 1.0, 1.0)), nu=nu) <= bounds[1]


@pytest.mark.parametrize(
    ("element", "limit"), [("tetra", 25), ("hexahedron", 25), ("hexahedron20", 30), ("wedge15", 30)]
)
def test_over_elements(element, limit):
    n = tuple(m if element in ("tetra", "hexahedron") else m // 2 + 1 for m in N)
    assert 4 <= iterations(box(element, n, (2.0, 1.0, 1.0))) <= limit


@pytest.mark.parametrize(("aspect", "limit"), [(1, 22), (2, 40), (4, 90)])
def test_over_aspect_of_cells(aspect, limit):
    assert 8 <= iterations(box("tetra10", N, (2.0, 1.0, 1.0 / aspect))) <= limit


@pytest.mark.parametrize("power", [2, 4, -4, -6])
def test_a_part_much_stiffer_or_softer_than_the_other(power):
    halves = iterations(box("tetra10", N, (2.0, 1.0, 1.0)), modulus=lambda x: power * (x[:, 0] > 1.0))
    assert 8 <= halves <= 32


def test_a_checkerboard_of_stiff_and_soft():
    def board(x):
        return 4 * (np.floor(x / 0.2 + 1e-9).astype(int).sum(axis=1) % 2)

    assert 12 <= iterations(box("tetra10", (10, 5, 5), (2.0, 1.0, 1.0)), modulus=board) <= 45


@pytest.mark.parametrize("normal", [1e13, 1e10, 1e8])
def test_a_part_on_a_bed_however_soft(normal):
    """From a stiff bed to one on which the part all but floats."""
    bed = dtw.ElasticFoundation(on="xmin", normal=normal, tangential=0.5 * normal)
    assert 8 <= iterations(box("tetra10", N, (2.0, 1.0, 1.0)), supports=[bed]) <= 30


def test_iterations_hardly_grow_with_the_mesh():
    few = iterations(box("tetra10", (6, 3, 3), (2.0, 1.0, 1.0)), MultigridCG(dense_nodes=20))
    more = iterations(box("tetra10", (18, 9, 9) if FULL else (14, 7, 7), (2.0, 1.0, 1.0)))
    assert 8 <= more <= 1.5 * few
