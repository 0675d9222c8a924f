"""The part meshed anew by gmsh: same volume, same places, same answer, on cells of an even size."""

import importlib.util
import sys

import numpy as np
import pytest
from builders import box, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import MeshError, StudyError
from designtwin.topology.fitted import fitted, measures, shapes
from designtwin.topology.remeshed import remeshed
from designtwin.topology.simplices import Simplices

if importlib.util.find_spec("gmsh") is None:
    pytest.skip("gmsh is an extra", allow_module_level=True)

SIZE = (0.12, 0.04, 0.03)


def built_in(mesh, value, volume):
    every = np.arange(mesh.n_points)
    return fitted(mesh, Simplices.of(mesh), value, volume, every, np.ones(mesh.n_cells), quadratic=False)


def area(mesh, group):
    return np.linalg.norm(mesh.facet_vectors(mesh.groups[group].facets)[0], axis=1).sum()


@pytest.fixture(scope="module")
def found():
    mesh = box("hexahedron", (18, 6, 5), SIZE)
    # The load acts on a part of a flat face, whose corners the mesh has to keep.
    facets = dtw.select(dtw.plane((0, 0, SIZE[2]), "z") & dtw.box((0.0999, 0.0, 0), (0.13, 0.0268, 1)))
    mesh = mesh.with_groups({"lug": dtw.Group(facets=facets.resolve(mesh).facets)})
    model = dtw.Model(
        mesh,
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"down": [dtw.Pressure(on="lug", magnitude="2 MPa")]},
    )
    topology = dtw.Topology(
        model, minimize=dtw.compliance(), volume_fraction=0.4, keep=[dtw.box((0.0999, 0, 0.0239), (1, 1, 1))]
    )
    return topology.run(max_iterations=15, live=False)


def test_gmsh_and_the_cells_cut_as_they_are_agree(found):
    ours, gmsh = found.as_model(), found.as_model(mesher="gmsh", edge="6 mm")
    assert "gmsh" not in sys.modules, "GPL code runs in a process of its own"
    assert set(gmsh.mesh.cells) == {"tetra10"}
    corners = gmsh.mesh.cells["tetra10"][:, :4]
    assert shapes(gmsh.mesh.points, corners).min() > 0.1
    assert gmsh.mesh.cell_measures().sum() == pytest.approx(found.volume, rel=1e-9)
    # Loads stand on the same area, supports on nearly the same.
    assert area(gmsh.mesh, "lug") == pytest.approx(area(ours.mesh, "lug"), rel=1e-9)
    assert area(gmsh.mesh, "xmin") == pytest.approx(area(ours.mesh, "xmin"), rel=0.02)
    assert set(gmsh.mesh.groups) == set(ours.mesh.groups)
    (first, _), (second, _) = (
        ours.retest(dtw.mass() <= "1 kg").compared,
        gmsh.retest(dtw.mass() <= "1 kg").compared,
    )
    assert second[3] == pytest.approx(first[3], rel=0.03)
    coarser = found.as_model(mesher="gmsh", edge="12 mm", quadratic=False)
    assert set(coarser.mesh.cells) == {"tetra"}
    assert coarser.mesh.n_cells < 0.7 * gmsh.mesh.n_cells


def test_a_part_far_from_its_densities_says_so(found, monkeypatch):
    part = found.as_model(quadratic=False)
    assert not any("times that of the densities" in note for note in part.retest(dtw.mass() <= "1 kg").notes)
    monkeypatch.setattr("designtwin.topology.found._APART", 1e-6)
    assert any("times that of the densities" in note for note in part.retest(dtw.mass() <= "1 kg").notes)


def test_cavities_and_separate_pieces_are_meshed_and_cells_keep_their_groups():
    mesh = box("hexahedron", (12, 6, 6), (2.0, 1.0, 1.0))
    mesh = dtw.Mesh(mesh.points, mesh.cells)
    left = np.flatnonzero(mesh.cell_centers[:, 0] < 1.0)
    mesh = mesh.with_groups(
        {
            "left": dtw.Group(cells=left),
            "end": dtw.Group(nodes=np.flatnonzero(mesh.points[:, 0] < 1e-9)),
            "tip": dtw.Group(nodes=np.array([0])),
        }
    )
    x = mesh.points
    hollow = np.linalg.norm((x - [0.45, 0.5, 0.5]), axis=1)
    value = np.clip(0.5 + 3.0 * np.minimum(hollow - 0.25, np.abs(x[:, 0] - 1.15) - 0.15), 0.0, 1.0)
    made = built_in(mesh, value, 1.6)
    new = remeshed(made, edge=0.15, max_time=60.0, quadratic=False)
    assert new.mesh.pieces.max() == 1
    conn = new.mesh.cells["tetra"]
    size = measures(new.mesh.points, conn)
    assert size.min() > 0.0
    assert size.sum() == pytest.approx(1.6, rel=1e-9)
    # Edges between flat faces stay, though no group tells these apart.
    assert np.linalg.norm(new.mesh.points - [2.0, 1.0, 1.0], axis=1).min() < 1e-9
    # The cavity is void.
    centers = new.mesh.cell_centers
    assert np.linalg.norm(centers - [0.45, 0.5, 0.5], axis=1).min() > 0.15
    in_left = np.zeros(new.mesh.n_cells, bool)
    in_left[new.mesh.groups["left"].cells] = True
    assert in_left[centers[:, 0] < 0.9].all()
    assert not in_left[centers[:, 0] > 1.1].any()
    end = new.mesh.groups["end"].nodes
    assert_allclose(new.mesh.points[end, 0], 0.0, atol=1e-12)
    assert len(end) > 20
    assert any("'tip': 1 nodes" in note for note in new.notes)


def test_what_gmsh_cannot_do_is_told(found, monkeypatch):
    with pytest.raises(StudyError, match="no mesher 'netgen'"):
        found.as_model(mesher="netgen")
    with pytest.raises(StudyError, match="edge= is of mesher"):
        found.as_model(edge="5 mm")
    with monkeypatch.context() as patch:
        patch.setattr("designtwin.topology.remeshed._FAR", 1e-6)
        with pytest.raises(StudyError, match="too coarse for its members"):
            found.as_model(mesher="gmsh", edge="15 mm")
    with pytest.raises(MeshError, match=r"gmsh did not mesh a surface .* within 0.1 s; give a larger edge"):
        found.as_model(mesher="gmsh", max_time="0.1 s")
    with pytest.raises(MeshError, match="above zero"):
        found.as_model(mesher="gmsh", edge="0 mm")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MeshError, match=r"designtwin\[mesher\]"):
        found.as_model(mesher="gmsh")


def test_plane_parts_are_not_meshed_anew():
    mesh = rectangle("quad", (10, 4), (0.1, 0.04))
    model = dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(dtw.material("S355"), thickness="5 mm")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"down": [dtw.Force(on="xmax", value=(0.0, -1e3, 0.0))]},
    )
    found = dtw.Topology(model, minimize=dtw.compliance(), volume_fraction=0.5).run(
        max_iterations=3, live=False
    )
    with pytest.raises(StudyError, match="gmsh meshes solids"):
        found.as_model(mesher="gmsh")
