"""Filters keep what is even and have exact transposes; projection and interpolation have the slopes told."""

import builders
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from designtwin.errors import StudyError
from designtwin.topology.filters import (
    GridConeFilter,
    GridHelmholtzFilter,
    Projection,
    cone_filter,
    filtered_slopes,
    helmholtz_filter,
)
from designtwin.topology.grid import VoxelGrid
from designtwin.topology.interpolation import RAMP, SIMP

GRID = VoxelGrid((9, 7, 5), (1.0, 1.2, 0.7))
BOX = builders.box("tetra", (3, 2, 2), (1.0, 0.7, 0.6), distort=0.1)
SOME = np.random.default_rng(0).random(GRID.n_cells) < 0.6
FILTERS = {
    "cone on a grid": (lambda: GridConeFilter(GRID.counts, 2.1, GRID.edges), GRID.n_cells),
    "cone on part of a grid": (lambda: GridConeFilter(GRID.counts, 2.1, GRID.edges, SOME), GRID.n_cells),
    "cosines on a grid": (lambda: GridHelmholtzFilter(GRID.counts, 3.0, GRID.edges), GRID.n_cells),
    "cone on cells": (lambda: cone_filter(BOX.cell_centers, BOX.cell_measures(), 0.4), BOX.n_cells),
    "Helmholtz on tetrahedra": (lambda: helmholtz_filter(BOX, 0.5), BOX.n_cells),
    "Helmholtz on bricks": (lambda: helmholtz_filter(GRID.mesh(), 3.0), GRID.n_cells),
    "Helmholtz in the plane": (lambda: helmholtz_filter(VoxelGrid((8, 6), 0.5).mesh(), 2.0), 48),
    "Helmholtz on bent hexahedra": (
        lambda: helmholtz_filter(builders.box("hexahedron20", 2, distort=0.1), 0.6), 8,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_keeps_what_is_even_and_its_adjoint_is_its_transpose(name):
    make, n = FILTERS[name]
    filtered = make()
    assert_allclose(filtered(np.ones(n)), 1.0, atol=1e-12)
    x, y = np.random.default_rng(1).random((2, n))
    assert y @ filtered(x) == pytest.approx(x @ filtered.adjoint(y), rel=1e-12)
    assert np.ptp(filtered(x)) < np.ptp(x)


def test_helmholtz_filters_keep_the_volume():
    x = np.random.default_rng(2).random(BOX.n_cells)
    volumes = BOX.cell_measures()
    assert volumes @ helmholtz_filter(BOX, 0.5)(x) == pytest.approx(volumes @ x, rel=1e-12)


def test_the_cone_on_a_grid_is_that_of_its_cells():
    x = np.random.default_rng(3).random(GRID.n_cells)
    plain = cone_filter(GRID.centers, np.ones(GRID.n_cells), 2.1)
    assert_allclose(GridConeFilter(GRID.counts, 2.1, GRID.edges)(x), plain(x), atol=1e-14)
    flat = VoxelGrid((11, 8), 0.5)
    x = x[: flat.n_cells]
    plain = cone_filter(flat.centers, np.ones(flat.n_cells), 1.3)
    assert_allclose(GridConeFilter(flat.counts, 1.3, 0.5)(x), plain(x), atol=1e-14)


def test_voxels_that_are_not_active_neither_give_nor_take():
    filtered = GridConeFilter(GRID.counts, 2.1, GRID.edges, SOME)
    x = np.random.default_rng(4).random(GRID.n_cells)
    other = np.where(SOME, x, 7.0)
    assert_allclose(filtered(other)[SOME], filtered(x)[SOME], atol=1e-15)
    assert (filtered(other)[~SOME] == 7.0).all()


def test_helmholtz_by_finite_elements_nears_that_by_cosines():
    """Both discretize one equation: the difference falls with the square of the cell."""
    apart = []
    for n in (16, 32):
        grid = VoxelGrid((n, n), 1.0 / n)
        x = np.exp(-((grid.centers - [0.5, 0.3]) ** 2).sum(axis=1) / 0.02)
        apart.append(
            np.abs(helmholtz_filter(grid.mesh(), 0.4)(x) - GridHelmholtzFilter((n, n), 0.4, 1 / n)(x)).max()
        )
    assert 3.0 < apart[0] / apart[1] < 5.0


@settings(deadline=None, max_examples=40)
@given(
    sharpness=st.floats(0.01, 64.0), threshold=st.floats(0.05, 0.95), x=st.floats(0.0, 1.0)
)  # fmt: skip
def test_projection_keeps_0_and_1_rises_and_has_the_slope_it_says(sharpness, threshold, x):
    step = Projection(sharpness=sharpness, threshold=threshold)
    ends = step(np.array([0.0, 1.0]))
    assert_allclose(ends, [0.0, 1.0], atol=1e-12)
    at = np.array([x])
    h = 1e-6
    slope = (step(at + h) - step(at - h)) / (2 * h)
    assert step.derivative(at)[0] >= 0.0
    assert_allclose(step.derivative(at), slope, rtol=1e-5, atol=1e-5)


def test_projection_that_keeps_the_volume():
    rng = np.random.default_rng(5)
    x, volumes = rng.random(400) ** 2, rng.random(400)
    step = Projection.keeping_volume(x, volumes, sharpness=16.0)
    assert volumes @ step(x) == pytest.approx(volumes @ x, rel=1e-9)
    assert 0.2 < step.threshold < 0.8
    assert ((step(x) < 0.05) | (step(x) > 0.95)).mean() > ((x < 0.05) | (x > 0.95)).mean() + 0.3


@pytest.mark.parametrize("law", [SIMP(), SIMP(penalty=1.0, floor=1e-3), RAMP(), RAMP(penalty=0.0)], ids=repr)
def test_interpolation_goes_from_its_floor_to_1_with_the_slope_it_says(law):
    assert_allclose(law(np.array([0.0, 1.0])), [law.floor, 1.0], rtol=1e-12)
    x, h = np.linspace(0.01, 0.99, 21), 1e-6
    assert_allclose(law.derivative(x), (law(x + h) - law(x - h)) / (2 * h), rtol=1e-6)
    assert (np.diff(law(x)) > 0.0).all()


def test_ramp_pays_for_the_first_material_and_simp_does_not():
    nothing = np.zeros(1)
    assert RAMP(penalty=8.0).derivative(nothing)[0] == pytest.approx(1.0 / 9.0)
    assert SIMP().derivative(nothing)[0] == 0.0


def test_sensitivity_filter_of_an_even_design_is_the_filter():
    filtered = GridConeFilter(GRID.counts, 2.1, GRID.edges)
    slopes = np.random.default_rng(6).random(GRID.n_cells)
    assert_allclose(
        filtered_slopes(filtered, np.full(GRID.n_cells, 0.4), slopes), filtered(slopes), atol=1e-15
    )


def test_what_makes_no_sense_is_refused():
    for make, words in (
        (lambda: GridConeFilter((3, 3), 0.0), "radius"),
        (lambda: GridHelmholtzFilter((3, 3), -1.0), "radius"),
        (lambda: cone_filter(np.zeros((2, 3)), np.ones(2), float("nan")), "radius"),
        (lambda: helmholtz_filter(BOX, float("inf")), "radius"),
        (lambda: helmholtz_filter(builders.bar(3), 1.0), "solids or plane cells"),
        (lambda: Projection(sharpness=0.0), "sharpness"),
        (lambda: Projection(sharpness=4.0, threshold=1.0), "threshold"),
        (lambda: SIMP(penalty=0.5), "penalty"),
        (lambda: RAMP(penalty=-1.0), "penalty"),
        (lambda: SIMP(floor=1.0), "floor"),
    ):
        with pytest.raises(StudyError, match=words):
            make()
