"""What can be made: symmetry, extrusion, dies, overhangs."""

import numpy as np
import pytest
from builders import box

from designtwin.errors import StudyError
from designtwin.topology.grid import VoxelGrid
from designtwin.topology.manufacturing import (
    AXES,
    Draw,
    Overhang,
    axis_of,
    check_draft,
    check_overhang,
    extruded,
    mirrored,
)

RIGHT = np.deg2rad(45.0)


def test_mirrored_densities_are_the_same_from_both_sides():
    mesh = VoxelGrid((6, 4, 3)).mesh()
    x = np.random.default_rng(0).uniform(size=mesh.n_cells)
    link, notes = mirrored(mesh, ["x", ("y", "2 m")])
    assert notes == ()
    z = link(x).reshape(3, 4, 6)
    np.testing.assert_allclose(z, z[:, :, ::-1], atol=1e-15)
    np.testing.assert_allclose(z, z[:, ::-1], atol=1e-15)
    assert z.mean() == pytest.approx(x.mean())


def test_a_mesh_that_is_not_symmetric_is_told_and_a_wrong_plane_refused():
    mesh = box("tetra", 4, distort=0.1)
    _, notes = mirrored(mesh, "x")
    assert "not symmetric" in notes[0]
    with pytest.raises(StudyError, match="nothing on the other side"):
        mirrored(mesh, ("x", "5 m"))
    with pytest.raises(StudyError, match="direction"):
        axis_of("up", "build")


def test_extruded_densities_are_columns_that_keep_the_volume():
    mesh = VoxelGrid((5, 4, 3)).mesh()
    x = np.random.default_rng(0).uniform(size=mesh.n_cells)
    z = extruded(mesh, AXES["z"])(x).reshape(3, 4, 5)
    assert np.ptp(z, axis=0).max() < 1e-15
    assert z.mean() == pytest.approx(x.mean())


def test_a_drawn_die_leaves_no_hollow_below_something_solid_however_deep():
    mesh = VoxelGrid((4, 4, 60)).mesh()
    x = np.zeros((60, 4, 4))
    x[50, 1, 1] = 1.0
    made = Draw.of(mesh, AXES["z"])(x.ravel()).reshape(60, 4, 4)
    np.testing.assert_allclose(made[:51, 1, 1], 1.0, atol=1e-6)
    made[:51, 1, 1] = 0.0
    assert made.max() < 1e-6


def leaning(solid, tangent):
    """Empty cells of a grid [z, y, x] under the cone of a solid one; by hand, cell by cell."""
    out = np.zeros_like(solid)
    for z, y, x in np.argwhere(~solid):
        for up, side, along in np.argwhere(solid):
            off = np.hypot(side - y, along - x)
            out[z, y, x] |= up > z and off <= tangent * (up - z) + 1e-9
    return out


@pytest.mark.parametrize("draft", [0.0, 3.0, 20.0])
def test_check_of_drafts_agrees_with_a_look_at_the_grid(draft):
    shape = (24, 5, 4)
    mesh = VoxelGrid(shape[::-1]).mesh()
    solid = np.random.default_rng(4).uniform(size=shape) > 0.98
    found = check_draft(mesh, solid.ravel(), AXES["z"], np.deg2rad(draft))
    wanted = np.flatnonzero(leaning(solid, np.tan(np.deg2rad(draft))).ravel())
    assert len(wanted) > 10
    np.testing.assert_array_equal(found.cells, wanted)
    assert not found
    assert "draft" in str(found)


@pytest.mark.parametrize("draft", [0.0, 3.0, 20.0])
@pytest.mark.parametrize(
    "mesh", [VoxelGrid((5, 4, 24)).mesh(), box("tetra", (4, 4, 12), (1.0, 1.0, 3.0), distort=0.1)],
    ids=["cubes", "tetrahedra"],
)  # fmt: skip
def test_what_a_die_leaves_passes_the_independent_check_and_is_no_more_than_asked(mesh, draft):
    solid = np.random.default_rng(3).uniform(size=mesh.n_cells) > 0.98
    angle = np.deg2rad(draft)
    made = Draw.of(mesh, AXES["z"], angle)(solid.astype(float))
    assert not check_draft(mesh, solid, AXES["z"], angle)
    assert check_draft(mesh, made > 0.5, AXES["z"], angle)
    assert np.minimum(made, 1.0 - made).max() < 1e-6
    assert (made[solid] > 0.999).all()
    # Every cell that was added lies below a given one, to within half a cell of the cone.
    for center in mesh.cell_centers[(made > 0.5) & ~solid]:
        step = mesh.cell_centers[solid] - center
        h = np.median(np.abs(mesh.cell_measures())) ** (1.0 / 3.0)
        off = np.hypot(step[:, 0], step[:, 1])
        assert ((step[:, 2] > 0.0) & (off <= np.tan(angle) * step[:, 2] + 0.51 * h)).any()


def grid_rests(solid):
    """Which solid cells of a grid [z, y, x] have a solid one in the five below; by hand."""
    padded = np.pad(solid, ((0, 0), (1, 1), (1, 1)))
    below = np.zeros_like(solid)
    below[0] = True
    for z in range(1, len(solid)):
        layer = padded[z - 1]
        below[z] = layer[1:-1, 1:-1] | layer[:-2, 1:-1] | layer[2:, 1:-1] | layer[1:-1, :-2] | layer[1:-1, 2:]
    return below


def test_check_of_overhangs_agrees_with_a_look_at_the_grid():
    shape = (6, 7, 8)
    mesh = VoxelGrid(shape[::-1]).mesh()
    solid = np.random.default_rng(2).uniform(size=shape) > 0.75
    found = check_overhang(mesh, solid.ravel(), AXES["z"], RIGHT)
    wanted = np.flatnonzero((solid & ~grid_rests(solid)).ravel())
    assert 10 < len(wanted) < solid.sum()
    np.testing.assert_array_equal(found.cells, wanted)
    assert not found
    assert "overhang" in str(found)


MESHES = {"cubes": box("hexahedron", (8, 6, 5), (8.0, 6.0, 5.0)), "tetrahedra": box("tetra", 5, distort=0.1)}


@pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
def test_what_is_cleaned_rests_everywhere_by_the_independent_check(mesh):
    solid = np.random.default_rng(3).uniform(size=mesh.n_cells) > 0.6
    filter = Overhang.of(mesh, AXES["z"], RIGHT)
    assert not check_overhang(mesh, solid, AXES["z"], RIGHT)
    cleaned = filter.cleaned(solid)
    assert check_overhang(mesh, cleaned, AXES["z"], RIGHT)
    assert (cleaned <= solid).all()


def test_a_full_block_of_tetrahedra_prints_and_a_slit_carries_nothing():
    mesh = box("tetra", (5, 5, 8), (1.0, 1.0, 1.6), distort=0.1)
    overhang = Overhang.of(mesh, AXES["z"], RIGHT)
    solid = np.ones(mesh.n_cells, bool)
    assert overhang.cleaned(solid).mean() > 0.99
    assert len(check_overhang(mesh, solid, AXES["z"], RIGHT).cells) < 0.01 * mesh.n_cells
    height = mesh.cell_centers[:, 2]
    for slit in (0.2, 0.4):  # one layer of cells, two
        solid = np.abs(height - 0.7) > 0.5 * slit
        assert not overhang.cleaned(solid)[height > 0.7 + slit].any()
        assert not check_overhang(mesh, solid, AXES["z"], RIGHT)


def test_printed_density_has_nothing_to_rest_on_above_a_void():
    mesh = VoxelGrid((9, 6)).mesh()
    x = np.ones((6, 9))
    x[2, :] = 0.0
    printed = Overhang.of(mesh, AXES["y"], RIGHT)(x.ravel()).reshape(6, 9)
    assert printed[:2].min() > 0.95
    assert printed[2:].max() < 0.05
    # A ramp of 45 degrees prints; one cell steeper does not.
    ramp = np.zeros((6, 9))
    for z in range(6):
        ramp[z, z : z + 2] = 1.0
    assert Overhang.of(mesh, AXES["y"], RIGHT)(ramp.ravel()).reshape(6, 9)[ramp > 0].min() > 0.9
    steep = np.zeros((6, 9))
    for z in range(4):
        steep[z, 2 * z : 2 * z + 1] = 1.0
    assert Overhang.of(mesh, AXES["y"], RIGHT)(steep.ravel()).reshape(6, 9)[1:].max() < 0.05


def test_what_is_kept_anyway_is_rested_on_though_it_rests_on_air():
    mesh = VoxelGrid((9, 6)).mesh()
    x = np.zeros((6, 9))
    x[2, 2:5] = x[3, 2:6] = 1.0
    kept = (np.arange(54) >= 20) & (np.arange(54) < 23)  # row 2
    plate, held = Overhang.of(mesh, AXES["y"], RIGHT), Overhang.of(mesh, AXES["y"], RIGHT, kept)
    assert plate(x.ravel()).max() < 0.05
    assert not plate.cleaned(x.ravel() > 0.5).any()
    np.testing.assert_array_equal(held.cleaned(x.ravel() > 0.5), x.ravel() > 0.5)
    assert held(x.ravel())[x.ravel() > 0.5].min() > 0.95


@pytest.mark.parametrize("density", [1e-12, 9e-9, 1e-8, 1e-6])
def test_slopes_through_what_rests_stay_finite_in_voids(density):
    """A sharp projection leaves densities whose fortieth powers are no longer numbers."""
    mesh = VoxelGrid((5, 5, 4)).mesh()
    overhang = Overhang.of(mesh, AXES["z"], RIGHT)
    slopes = overhang.adjoint(np.full(mesh.n_cells, density), np.ones(mesh.n_cells))
    assert np.isfinite(slopes).all()
    assert 0.9 < slopes.max() < 2.0
