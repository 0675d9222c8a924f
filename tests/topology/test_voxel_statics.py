"""A model of bricks on a grid has the same answers and slopes by products without a matrix."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.mesh import Group
from designtwin.topology import voxel_statics
from designtwin.topology.grid import VoxelGrid
from designtwin.topology.voxel_statics import VoxelStatics, statics_of
from designtwin.topology.weighted import Statics


@pytest.fixture(autouse=True)
def _few_cells_will_do(monkeypatch):
    monkeypatch.setattr(voxel_statics, "_FEWEST", 10)


def model_of(dimension, *, move=None, notch=True, **changes):
    """A beam with a corner cut out."""
    grid = VoxelGrid((14, 9, 6)[:dimension], (0.01, 0.012, 0.009)[:dimension], (0.1, 0.2, 0.3)[:dimension])
    kept = ~((grid.centers[:, 0] > 0.19) & (grid.centers[:, 1] > 0.25)) | (not notch)
    mesh = grid.mesh(kept)
    x, y = mesh.points[:, 0], mesh.points[:, 1]
    groups = {
        "left": Group(nodes=np.flatnonzero(x < 0.1001)),
        "tip": Group(nodes=np.flatnonzero((x > 0.2399) & (y < 0.2001))),
        "body": Group(cells=np.arange(mesh.n_cells)),
    }
    if move is not None:
        points = mesh.points.copy()
        points[len(points) // 2, 0] += move
        mesh = dtw.Mesh(points, mesh.cells)
    steel = dtw.material("S355")
    given = {
        "materials": {"body": steel if dimension == 3 else dtw.PlaneStress(material=steel, thickness="5 mm")},
        "supports": [dtw.FixedSupport(on="left")],
        "load_cases": {
            "down": [dtw.Force(on="tip", value=("0 N", "-1 kN", "0 N"))],
            "out": [
                dtw.Force(on="tip", value=("1 kN", "0 N", "0 N")),
                dtw.Gravity(direction=(0.0, -1.0, 0.0)),
            ],
        },
    }
    return dtw.Model(mesh.with_groups(groups), **{**given, **changes})


@pytest.mark.parametrize("dimension", [3, 2])
def test_answers_slopes_and_adjoints_are_those_by_matrices(dimension):
    model = model_of(dimension)
    ours, why = statics_of(model, ["down", "out"], None)
    assert isinstance(ours, VoxelStatics), why
    plain = Statics(model, ["down", "out"], None)
    rng = np.random.default_rng(0)
    n = model.mesh.n_cells
    for _ in range(2):  # the second begins where the first ended
        weight, mass = 1e-3 + rng.random(n) ** 2, rng.random(n)
        for one, other in zip(ours.solve(weight, mass), plain.solve(weight, mass), strict=True):
            largest = np.abs(other.u).max()
            assert_allclose(one.u, other.u, atol=1e-5 * largest)
            assert_allclose(one.force, other.force)
            for a, b in zip(one.slope(one.u), other.slope(other.u), strict=True):
                assert_allclose(a, b, atol=1e-5 * max(np.abs(b).max(), 1e-30))
            slope = rng.standard_normal(one.u.shape)
            psi = other.adjoint(slope)
            assert_allclose(one.adjoint(slope), psi, atol=1e-5 * np.abs(psi).max())


def test_what_is_no_grid_goes_by_matrices_and_says_why():
    moved = dtw.PrescribedDisplacement(on="left", x="0.1 mm", y="0 mm", z="0 mm")
    turned = dtw.Cartesian(x=(1.0, 1.0, 0.0), xy=(-1.0, 1.0, 0.0))
    askew = dtw.PrescribedDisplacement(on="left", x="0 mm", coordinates=turned)
    spring = dtw.Spring(on="tip", stiffness=("1 kN/mm", "0 N/m", "0 N/m"))
    relief = dtw.InertiaRelief()
    for model, words in (
        (model_of(3, move=1e-4), "one grid of equal bricks"),
        (model_of(3, supports=[moved]), "prescribes a motion"),
        (model_of(3, supports=[dtw.FixedSupport(on="tip"), askew]), "askew"),
        (model_of(3, supports=[dtw.FixedSupport(on="left"), spring]), "elastic"),
        (model_of(3, supports=[relief]), "InertiaRelief"),
    ):
        found, why = statics_of(model, ["down"], None)
        assert not isinstance(found, VoxelStatics)
        assert words in why
    assert statics_of(model_of(3), ["down"], dtw.Direct())[1] == "a solver was asked for"


def test_few_cells_and_parts_that_leave_their_box_empty_go_by_matrices(monkeypatch):
    monkeypatch.setattr(voxel_statics, "_EMPTIEST", 1)
    assert "fills" in statics_of(model_of(3), ["down"], None)[1]
    monkeypatch.setattr(voxel_statics, "_FEWEST", 10_000)
    assert "are few" in statics_of(model_of(3), ["down"], None)[1]
