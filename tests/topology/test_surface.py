"""Surfaces and meshes of a density: closed, of the wanted volume, with the groups of the design space."""

import numpy as np
import pytest
from builders import SOLIDS, box, rectangle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.errors import StudyError
from designtwin.mesh.mesh import Mesh
from designtwin.model.checks import broken_cells
from designtwin.topology.fairing import Fairing
from designtwin.topology.fitted import LEAST, fitted, measures, shape_slopes, shapes, with_middles
from designtwin.topology.simplices import Simplices, outline
from designtwin.topology.surface import ClosedSurface, closed_surface, enclosed, nodal
from designtwin.viz.geometry import SHARP, Skin


def waves(points, a=7.0, b=5.0, c=6.0):
    """A density with holes and necks, and no symmetry."""
    x, y, z = points.T
    return 0.5 + 0.5 * np.sin(a * x) * np.cos(b * y) * np.sin(c * z + 0.4)


@pytest.mark.parametrize("element", SOLIDS)
def test_cells_cut_into_tetrahedra_fill_the_body_without_a_gap(element):
    mesh = box(element, 3, (2.0, 1.0, 1.0), distort=0.1)
    body = Simplices.of(mesh)
    volume = measures(body.points, body.conn)
    assert volume.min() > 0.0
    assert volume.sum() == pytest.approx(2.0, rel=1e-12)
    # Neighbors cut the face between them alike: every inner face is there twice.
    faces = np.sort(body.conn[:, [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]].reshape(-1, 3), axis=1)
    _, count = np.unique(faces, axis=0, return_counts=True)
    assert count.max() == 2
    assert (count == 1).sum() == len(body.outside)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron", "wedge", "pyramid"])
def test_whole_body_comes_back_as_its_own_outside(element):
    mesh = box(element, 3, (2.0, 1.0, 1.0))
    cut = outline(Simplices.of(mesh), np.ones(mesh.n_points), 0.5)
    assert not cut.on_level.any()
    assert enclosed(cut.points, cut.facets) == pytest.approx(2.0, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.floats(2.0, 9.0), st.floats(2.0, 9.0), st.floats(2.0, 9.0), st.floats(0.2, 0.9))
def test_cut_is_closed_and_manifold_whatever_the_field(a, b, c, level):
    mesh = box("hexahedron", 4, distort=0.1)
    cut = outline(Simplices.of(mesh), waves(mesh.points, a, b, c), level)
    surface = ClosedSurface(cut.points, cut.facets)
    if len(cut.facets):
        assert surface.is_closed
        assert surface.is_manifold
        assert 0.0 < surface.volume <= 1.0 + 1e-12


@pytest.mark.parametrize("element", ["tetra", "hexahedron20"])
@pytest.mark.parametrize("share", [0.15, 0.45])
def test_smooth_surface_is_closed_and_has_the_designed_volume(element, share):
    mesh = box(element, 6, (2.0, 1.0, 1.0))
    surface = closed_surface(Simplices.of(mesh), waves(mesh.points), 2.0 * share)
    assert surface.is_manifold
    assert surface.volume == pytest.approx(2.0 * share, rel=1e-10)
    low, high = surface.points.min(axis=0), surface.points.max(axis=0)
    assert (low >= -0.02).all()
    assert (high <= [2.02, 1.02, 1.02]).all()


def test_smoothing_takes_the_stairs_and_keeps_the_ball():
    mesh = box("hexahedron", 16)
    inside = np.linalg.norm(mesh.cell_centers - 0.5, axis=1) < 0.38
    value = nodal(mesh, inside.astype(float), np.zeros(mesh.n_cells, bool), mesh.cell_measures())
    volume = float(inside.sum()) / mesh.n_cells
    rough, smooth = (closed_surface(Simplices.of(mesh), value, volume, passes=n) for n in (0, 20))
    radius = (3.0 * volume / (4.0 * np.pi)) ** (1.0 / 3.0)
    assert smooth.volume == pytest.approx(volume, rel=1e-10)
    ball = 4.0 * np.pi * radius**2
    assert rough.area > 1.02 * ball  # stairs
    assert smooth.area < ball + 0.5 * (rough.area - ball)
    # No dent of the size of a cell, and nothing shrunk away.
    assert np.abs(np.linalg.norm(smooth.points - 0.5, axis=1) - radius).max() < 0.5 / 16


def test_flat_faces_of_the_design_space_stay_flat():
    mesh = box("hexahedron", 8)
    surface = closed_surface(Simplices.of(mesh), waves(mesh.points), 0.5)
    normal = surface.vectors / np.linalg.norm(surface.vectors, axis=1)[:, None]
    bottom = np.abs(surface.points[surface.triangles][:, :, 2]).max(axis=1) < 1e-9
    assert bottom.sum() > 20
    assert_allclose(normal[bottom], np.broadcast_to([0.0, 0.0, -1.0], (bottom.sum(), 3)), atol=1e-9)


def test_plane_design_becomes_a_plate():
    mesh = rectangle("quad", (20, 10), (2.0, 1.0))
    plate = Simplices.of(mesh).extruded(0.1)
    value = np.tile(waves(mesh.points + np.array([0.0, 0.0, 0.2])), 2)
    surface = closed_surface(plate, value, 0.09)
    assert surface.is_manifold
    assert surface.volume == pytest.approx(0.09, rel=1e-10)
    assert np.ptp(surface.points[:, 2]) == pytest.approx(0.1, rel=1e-9)


def test_islands_without_anchor_are_left_out_and_told():
    mesh = box("hexahedron", (12, 4, 4), (3.0, 1.0, 1.0))
    value = np.where(mesh.points[:, 0] < 1.1, 1.0, np.where(mesh.points[:, 0] > 2.1, 1.0, 0.0))
    ends = np.flatnonzero(mesh.points[:, 0] == 0.0)
    surface = closed_surface(Simplices.of(mesh), value, 1.1, anchors=ends)
    assert surface.n_bodies == 1
    assert surface.points[:, 0].max() < 1.5
    assert "left out" in surface.notes[0]
    made = fitted(mesh, Simplices.of(mesh), value, 1.1, ends, np.ones(mesh.n_cells))
    assert made.mesh.points[:, 0].max() < 1.5
    assert made.notes == ("1 island that holds nothing left out; the rest has their volume",)
    both = closed_surface(Simplices.of(mesh), value, 2.0, anchors=np.arange(mesh.n_points))
    assert both.n_bodies == 2


def test_stl_comes_back_with_the_same_triangles(tmp_path):
    mesh = box("tetra", 4)
    surface = closed_surface(Simplices.of(mesh), waves(mesh.points), 0.4)
    path = surface.save(tmp_path / "new" / "part.stl")
    back = dtw.read_mesh(path, length_unit="mm")
    assert back.n_cells == len(surface.triangles)
    again = ClosedSurface(back.points, back.cells["triangle"])
    assert again.is_closed
    assert again.volume == pytest.approx(surface.volume, rel=1e-5)
    with pytest.raises(StudyError, match=r"\.stl"):
        surface.save(tmp_path / "part.obj")
    with pytest.raises(StudyError, match="the folder cannot be made: File exists"):
        surface.save(path / "part.stl")
    with pytest.raises(StudyError, match="a path is wanted, got NoneType"):
        surface.save(None)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron", "pyramid", "quad", "triangle6"])
def test_fitted_mesh_has_the_volume_no_bad_cell_and_its_groups(element):
    solid = element in SOLIDS
    size = (2.0, 1.0, 1.0) if solid else (2.0, 1.0)
    mesh = box(element, 6, size, distort=0.1) if solid else rectangle(element, (24, 12), size, distort=0.1)
    value = waves(mesh.points if solid else mesh.points + np.array([0.0, 0.0, 0.2]))
    total = 2.0
    made = fitted(
        mesh, Simplices.of(mesh), value, 0.45 * total, np.arange(mesh.n_points), np.ones(mesh.n_cells)
    )
    new = made.mesh
    assert made.measure == pytest.approx(0.45 * total, rel=1e-9)
    assert new.cell_measures().sum() == pytest.approx(0.45 * total, rel=1e-9)
    assert new.cell_measures().min() > 1e-3 * np.median(new.cell_measures())
    assert len(new.groups["body"].cells) == new.n_cells
    vectors, centers = new.facet_vectors(new.groups["xmin"].facets)
    assert len(vectors) > 0
    assert_allclose(centers[:, 0], 0.0, atol=1e-12)
    # What is inside on that side, by the field itself.
    area = np.linalg.norm(vectors.sum(axis=0))
    assert 0.0 < area < 1.0


def test_middle_nodes_of_uncut_edges_are_those_of_the_design_space():
    def bend(x):
        return np.column_stack([x[:, 0], x[:, 1] + 0.1 * np.sin(2.0 * x[:, 0]), x[:, 2]])

    mesh = box("tetra10", 4, (2.0, 1.0, 1.0), shape=bend)
    value = np.where(mesh.points[:, 0] < 1.3, 1.0, 0.0)
    new = fitted(
        mesh, Simplices.of(mesh), value, 1.2, np.arange(mesh.n_points), np.ones(mesh.n_cells), passes=0
    ).mesh
    far = new.points[:, 0] < 0.9
    off = [np.abs(mesh.points - p).sum(axis=1).min() for p in new.points[far]]
    assert max(off) < 1e-12


def test_no_level_of_an_impossible_volume():
    mesh = box("tetra", 3)
    with pytest.raises(StudyError, match="encloses"):
        closed_surface(Simplices.of(mesh), waves(mesh.points), 1.5)


def test_a_designed_surface_is_one_smooth_face_in_pictures_however_coarse():
    mesh = box("hexahedron", 6, (2.0, 1.0, 1.0))
    body = Simplices.of(mesh)
    model = fitted(mesh, body, waves(mesh.points), 0.8, np.array([0]), np.ones(mesh.n_cells))
    surface = closed_surface(body, waves(mesh.points), 0.8).mesh()
    for made in (model.mesh, surface):
        skin = Skin(made)
        inner = skin.free[skin.edges().facets].all(axis=1)
        sharp = skin.edges().angle_cosine < SHARP[skin.degree]
        drawn = skin.feature_edges()
        assert (inner & sharp).any()  # facets do meet at large angles
        assert not (inner & drawn).any()
        # Flat faces of the design space keep their outline.
        assert (drawn == (sharp & ~inner)).all()
        assert (sharp & ~inner).sum() > 50
    # What the cut made is a group, and none of it lies in the outside of the space.
    group = model.mesh.groups["designed surface"]
    (block,) = model.mesh.facets(group.facets)
    middle = model.mesh.points[block.conn[:, :3]].mean(axis=1)
    off = np.minimum(middle, [2.0, 1.0, 1.0] - middle).min(axis=1)
    assert (off > 1e-6).mean() > 0.99
    refined = model.mesh.refined()
    assert len(refined.groups["designed surface"].facets) == 4 * len(group.facets)


def test_a_volume_that_no_point_can_make_up_for_is_told():
    body = Simplices.of(box("hexahedron", 3))
    cut = outline(body, np.ones(len(body.points)), 0.5)
    still = Fairing.of(cut.points, cut.facets, cut.on_level, np.zeros(len(cut.points), bool))
    with pytest.raises(StudyError, match=r"-50.00% off the volume designed"):
        still.of_measure(cut.points, 2.0, lambda at: enclosed(at, cut.facets))


def patchy(seed):
    """A mesh and a density as no optimizer would give it: noise, checkers, or thin bars from one place."""
    rng = np.random.default_rng(seed)
    mesh = box(
        ("hexahedron", "tetra", "wedge")[seed % 3], (8, 5, 5), (1.6, 1.0, 1.0), distort=0.1 * (seed % 2)
    )
    centers = mesh.cell_centers
    if seed % 4 == 0:
        return mesh, rng.random(mesh.n_cells)
    if seed % 4 == 1:
        return mesh, (rng.random(mesh.n_cells) < 0.5).astype(float)
    if seed % 4 == 2:
        return mesh, np.round(0.5 + 0.5 * np.sin(centers @ rng.normal(0.0, 5.0, (3, 4))).mean(axis=1), 1)
    density, start = np.zeros(mesh.n_cells), rng.random(3)
    for _ in range(5):
        along = rng.normal(size=3)
        along /= np.linalg.norm(along)
        off = centers - start
        off -= np.outer(np.clip(off @ along, 0.0, 2.0), along)
        density[np.linalg.norm(off, axis=1) < 0.16] = 1.0
    return mesh, density


@pytest.mark.parametrize("seed", range(200 if FULL else 24))
def test_whatever_the_density_the_mesh_is_sound_and_its_outside_touches_itself_nowhere(seed):
    mesh, density = patchy(seed)
    volume = mesh.cell_measures()
    value = nodal(mesh, density, np.zeros(mesh.n_cells, bool), volume)
    wanted, every = float(density @ volume), np.arange(mesh.n_points)
    made = fitted(mesh, Simplices.of(mesh), value, wanted, every, np.ones(mesh.n_cells), quadratic=False)
    new = made.mesh
    conn = new.cells["tetra"]
    assert measures(new.points, conn).sum() == pytest.approx(wanted, rel=1e-9)
    least = shapes(new.points, conn).min()
    assert least > 0.02
    assert (least >= LEAST) == (not any("flat" in note for note in made.notes))
    (block,) = new.facets(new.exterior)
    assert ClosedSurface(new.points, block.conn).is_manifold
    # What lies in the outside of the block lies in it to the last digits.
    vectors, centers = new.facet_vectors(new.groups["zmin"].facets)
    assert_allclose(centers[:, 2], 0.0, atol=1e-12)
    assert (vectors[:, 2] < 0.0).all()


def test_a_shape_is_one_for_regular_cells_and_its_slopes_are_exact():
    points = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float)
    conn = np.array([[0, 2, 1, 3]])
    assert shapes(points, conn)[0] == pytest.approx(1.0, rel=1e-12)
    rng = np.random.default_rng(0)
    for size in (3, 4):
        x, one = rng.random((size, 3)), np.arange(size)[None]
        if size == 3:
            x[:, 2] = 0.0
        slope, h = shape_slopes(x, one)[0], 1e-6
        for i, j in np.ndindex(size, size - 1):
            by = np.zeros_like(x)
            by[i, j] = h
            assert slope[i, j] == pytest.approx(
                (shapes(x + by, one) - shapes(x - by, one))[0] / (2 * h), abs=1e-8
            )


def test_edges_along_curved_walls_are_straight_where_they_would_fold_a_cell():
    """As where little is left of a cell at a bolt hole: 5 cells of the bracket were inside out."""
    points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.1]])
    plain = Mesh(points, {"tetra": np.array([[0, 1, 2, 3]])})
    ends = np.repeat(np.arange(4)[:, None], 2, axis=1)
    for sag, straightened in ((0.02, 0), (0.2, 1)):
        straight = with_middles(plain)[0]
        middle = int(np.flatnonzero((straight.points == [0.5, 0.0, 0.0]).all(axis=1))[0])
        moved = straight.points.copy()
        moved[middle, 2] += sag
        bent = straight.moved(moved)
        made, count = with_middles(plain, bent, ends)
        assert count == straightened
        assert not len(broken_cells(made)[0])
        assert made.points[middle, 2] == (0.0 if straightened else sag)
