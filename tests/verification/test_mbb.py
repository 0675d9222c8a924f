"""D48: half an MBB beam, its compliance to what is published, by optimality criteria and by MMA.

Source: Andreassen, Clausen, Schevenels, Lazarov & Sigmund, Efficient topology optimization in MATLAB using 88
lines of code, Structural and Multidisciplinary Optimization 43 (2011), 1-16. Figures of the sensitivity
filter of radius 1.5 and numbers of iterations: a plain program after that paper, run for this project.
"""

import numpy as np
import pytest
from surroundings import FULL

from designtwin.errors import StudyError
from designtwin.solvers.voxels import VoxelCG
from designtwin.topology.filters import GridConeFilter, Projection
from designtwin.topology.grid import Compliance, GridProblem, VoxelGrid, stiffest


def half_beam(nx, ny, **changes):
    """Plane stress, nu = 0.3, unit load at the upper left corner, symmetry at the left."""
    grid = VoxelGrid((nx, ny))
    x, y = grid.points.T
    held, force = np.zeros((grid.n_nodes, 2), bool), np.zeros((grid.n_nodes, 2))
    held[x == 0, 0] = True
    held[(x == nx) & (y == 0), 1] = True
    force[(x == 0) & (y == ny), 1] = -1.0
    tensor = np.array([[1.0, 0.3, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 0.35]]) / (1.0 - 0.3**2)
    return GridProblem(**{"grid": grid, "tensor": tensor, "held": held, "forces": force, **changes})


PUBLISHED = [
    ((60, 20), 1.5, "sensitivity", 203.19, 94),
    ((60, 20), 2.4, "sensitivity", 216.81, 106),
    ((60, 20), 2.4, "density", 233.71, 144),
    pytest.param((150, 50), 6.0, "sensitivity", 219.52, 95, marks=pytest.mark.verify),
    pytest.param((150, 50), 6.0, "density", 235.73, None, marks=pytest.mark.verify),
]


@pytest.mark.parametrize(("counts", "radius", "kind", "compliance", "iterations"), PUBLISHED)
def test_optimality_criteria_reach_the_published_compliance(counts, radius, kind, compliance, iterations):
    if counts != (60, 20) and not FULL:
        pytest.skip("make verify")
    cone = GridConeFilter(counts, radius)
    density = kind == "density"
    found = stiffest(
        half_beam(*counts, filter=cone if density else None), 0.5, heuristic=None if density else cone
    )
    assert found.converged
    assert found.compliance == pytest.approx(compliance, rel=1e-3)
    assert found.volume_fraction == pytest.approx(0.5, abs=1e-5)
    if iterations is not None:
        assert len(found.history) == pytest.approx(iterations, rel=0.05)


def test_mma_reaches_the_optimum_of_optimality_criteria_within_70_analyses():
    found = stiffest(
        half_beam(60, 20, filter=GridConeFilter((60, 20), 2.4)), 0.5, method="mma", max_iterations=70
    )
    assert found.compliance < 233.71 * 1.002
    assert found.compliance > 233.71 * 0.99
    assert found.volume_fraction < 0.5 * (1.0 + 1e-3)


def test_slopes_of_the_compliance_are_its_differences():
    """D48's last line: to 1e-5, here through filter, projection and full and empty cells, with two cases."""
    counts = (12, 6)
    rng = np.random.default_rng(0)
    solid, void = rng.random(72) < 0.1, np.zeros(72, bool)
    void[~solid] = rng.random((~solid).sum()) < 0.1
    problem = half_beam(
        *counts, filter=GridConeFilter(counts, 1.8), projection=Projection(sharpness=4.0, threshold=0.4),
        solid=solid, void=void, weights=(1.0, 0.3),
        forces=np.where(np.arange(91)[:, None, None] > 70, rng.standard_normal((91, 2, 2)), 0.0),
    )  # fmt: skip
    goal = Compliance(problem, VoxelCG(rtol=1e-12))
    x = rng.uniform(0.2, 0.9, 72)
    value, slopes = goal.at(problem.density(x))
    slopes = problem.adjoint(x, slopes)
    direction, h = rng.standard_normal(72), 1e-4
    ahead, back = (goal.at(problem.density(x + step * direction))[0] for step in (h, -h))
    assert (ahead - back) / (2 * h) == pytest.approx(slopes @ direction, rel=1e-6)
    assert value > 0.0
    assert (slopes[solid | void] != 0.0).any()  # they are full or empty, but their neighbors feel them


def test_compliance_is_exact_to_the_square_of_the_residual():
    """What a design iteration needs: 1e-3 of the residual is 1e-5 of the compliance at most."""
    problem = half_beam(60, 20)
    density = np.random.default_rng(1).uniform(0.3, 1.0, 1200)
    exact = Compliance(problem, VoxelCG(rtol=1e-11)).at(density)[0]
    for rtol in (1e-2, 1e-3, 1e-4):
        near = Compliance(problem, VoxelCG(rtol=rtol)).at(density)[0]
        assert abs(near / exact - 1.0) < 10.0 * rtol**2 + 1e-10


def test_full_and_empty_cells_stay_and_several_cases_are_weighed():
    counts = (30, 10)
    grid = VoxelGrid(counts)
    solid, void = grid.centers[:, 1] > 9.0, (grid.centers[:, 0] > 20.0) & (grid.centers[:, 1] < 4.0)
    void[grid.centers[:, 0] > 28.0] = False
    problem = half_beam(*counts, filter=GridConeFilter(counts, 1.5), solid=solid, void=void)
    found = stiffest(problem, 0.5, max_iterations=40)
    assert (found.density[solid] == 1.0).all()
    assert (found.density[void] == 0.0).all()
    assert found.density.sum() == pytest.approx(0.5 * (300 - void.sum()), rel=1e-2)
    twice = half_beam(*counts, forces=np.stack([problem.forces[:, :, 0]] * 2, axis=2), weights=(0.25, 0.75))
    once = Compliance(half_beam(*counts), VoxelCG()).at(found.density)[0]
    assert Compliance(twice, VoxelCG()).at(found.density)[0] == pytest.approx(once, rel=1e-9)


def test_what_contradicts_itself_is_refused():
    problem = half_beam(6, 4)
    none = np.zeros(24, bool)
    for make, words in (
        (lambda: half_beam(6, 4, forces=np.zeros((35, 2))), "no force acts"),
        (lambda: half_beam(6, 4, forces=np.zeros((30, 2))), "forces have shape"),
        (lambda: half_beam(6, 4, weights=(1.0, 2.0)), "weights for 1 load cases"),
        (lambda: half_beam(6, 4, weights=(-1.0,)), "weights"),
        (lambda: half_beam(6, 4, solid=~none, void=~none), "full and empty at once"),
        (lambda: half_beam(6, 4, solid=np.ones(24)), "is not an array bool"),
        (lambda: VoxelGrid((3, 0)), "make no grid"),
        (lambda: VoxelGrid((3, 2), -1.0), "positive lengths"),
        (lambda: VoxelGrid((3, 2), 1.0, (0.0,)), "origin"),
        (lambda: stiffest(problem, 0.0), "volume fraction"),
        (lambda: stiffest(problem, 1.5), "volume fraction"),
        (lambda: stiffest(half_beam(6, 4, solid=~none), 0.5), "volume fraction"),
        (lambda: stiffest(problem, 0.5, method="slsqp"), "'oc' or 'mma'"),
        (lambda: stiffest(problem, 0.5, max_iterations=0), "max_iterations"),
        (lambda: stiffest(problem, 0.5, start=np.ones(3)), "start has shape"),
        (
            lambda: stiffest(
                half_beam(6, 4, filter=GridConeFilter((6, 4), 1.5)),
                0.5,
                heuristic=GridConeFilter((6, 4), 1.5),
            ),
            "no other filter",
        ),
    ):
        with pytest.raises(StudyError, match=words):
            make()
