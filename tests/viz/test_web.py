"""The outside of a result for a page: every point keeps its value, and large meshes are thinned, not cut."""

from types import SimpleNamespace

import numpy as np
import pytest
from builders import bar, box, rectangle

import designtwin as dtw
from designtwin import units
from designtwin.elements import ELEMENTS
from designtwin.viz.geometry import Skin
from designtwin.viz.web import SPLIT, _outside, web_view


def strength(mesh, **more):
    model = dtw.Model(
        mesh,
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "down": [dtw.Force(on="xmax", value=("0 N", "-1 kN", "0 N"))],
            "pull": [dtw.Force(on="xmax", value=("9 kN", "0 N", "0 N"))],
        },
        **{"materials": {"body": dtw.material("S355")}, **more},
    )
    return dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1.5]).run()


@pytest.fixture(scope="module")
def verdict():
    return strength(box("tetra10", (8, 3, 3), (0.1, 0.02, 0.02)))


def triangles(view):
    """Triangles in rows, int64[k, 3]."""
    return np.concatenate(
        [view.row[conn[:, list(three)]] for kind, conn in view.facets.items() for three in SPLIT[kind]]
    )


def area(view):
    corner = view.points[
        np.concatenate([conn[:, list(three)] for kind, conn in view.facets.items() for three in SPLIT[kind]])
    ]
    cross = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    return 0.5 * np.linalg.norm(cross, axis=1).sum()


@pytest.mark.parametrize("element", [name for name, e in ELEMENTS.items() if e.dimension == 3])
def test_the_outside_is_closed_and_as_large_as_that_of_the_body(element):
    mesh = box(element, 2, (0.3, 0.2, 0.1))
    model = SimpleNamespace(part_of_cell=np.zeros(mesh.n_cells, int))
    outside = _outside(Skin(mesh), model)
    view = SimpleNamespace(points=outside.points, row=outside.row, facets=outside.facets)
    assert area(view) == pytest.approx(2 * (0.06 + 0.03 + 0.02), rel=1e-12)
    tri = triangles(view)
    sides = np.sort(np.concatenate([tri[:, [0, 1]], tri[:, [1, 2]], tri[:, [2, 0]]]), axis=1)
    _, count = np.unique(sides, axis=0, return_counts=True)
    assert (count == 2).all(), "every side of a triangle belongs to two"
    np.testing.assert_allclose(np.linalg.norm(outside.normals, axis=1), 1.0, atol=1e-12)
    # Outward: at each vertex the normal leads away from the middle of the box.
    assert (np.einsum("ij,ij->i", outside.normals, outside.points - mesh.points.mean(axis=0)) > 0).all()
    # Twelve edges of a box, each cut into its cells' sides (and halves).
    length = np.linalg.norm(
        outside.points[outside.edges[:, 0]] - outside.points[outside.edges[:, 1]], axis=1
    ).sum()
    assert length == pytest.approx(4 * (0.3 + 0.2 + 0.1), rel=1e-12)


def test_points_and_values_are_those_of_the_result(verdict):
    view = web_view(verdict)
    assert view.thinned == 0
    np.testing.assert_allclose(view.points, verdict.result.mesh.points[view.node[view.row]], atol=1e-15)
    fields = {(field.name, field.case): field for field in view.fields}
    for case in ("down", "pull"):
        exact = units.from_si(verdict.result[case].field("von_mises").values, "pressure")
        np.testing.assert_array_equal(fields["Von Mises stress", case].values, exact[view.node])
        moved = verdict.result[case].displacement[view.node]
        np.testing.assert_array_equal(fields["Displacement", case].displacement, moved)
    first = view.fields[0]
    assert (first.name, first.case) == ("Safety factor to yield", verdict.rows[0].value.case)
    assert view.node[first.marks[0][0]] == verdict.rows[0].value.place.node


def test_a_large_outside_is_thinned_and_keeps_its_extremes(verdict):
    whole = web_view(verdict)
    for most in (200, 60):
        view = web_view(verdict, most_points=most)
        assert 0.2 * most < len(view.node) <= most
        assert view.thinned == len(whole.node)
        np.testing.assert_allclose(view.points, verdict.result.mesh.points[view.node[view.row]], atol=1e-15)
        exact = units.from_si(verdict.result["down"].field("von_mises").values, "pressure")
        (field,) = [f for f in view.fields if (f.name, f.case) == ("Von Mises stress", "down")]
        np.testing.assert_array_equal(field.values, exact[view.node])
        assert np.nanmax(field.values) == exact.max()
        for thin, full in zip(view.fields, whole.fields):
            assert [text for _, text in thin.marks] == [text for _, text in full.marks]
        # A body, not a heap of triangles: nearly all of its faces are still there.
        assert area(view) > 0.7 * area(whole)
        assert not (triangles(view)[:, 0] == triangles(view)[:, 1]).any()


def test_plane_bodies_are_seen_from_above(verdict):
    plate = strength(
        rectangle("quad8", (6, 2), (0.1, 0.02)),
        materials={"body": dtw.PlaneStress(thickness="5 mm", material=dtw.material("S355"))},
    )
    view = web_view(plate)
    assert view.flat
    np.testing.assert_array_equal(view.toward, [0, 0, 1])
    assert area(view) == pytest.approx(0.002, rel=1e-12)


def test_bars_are_cylinders():
    mesh = bar(4, 1.0)
    model = dtw.Model(
        mesh,
        materials={"body": dtw.Truss(area="4 cm2", material=dtw.material("S355"))},
        supports=[
            dtw.FixedSupport(on="xmin"),
            dtw.PrescribedDisplacement(on="body", y="0 mm"),
        ],
        load_cases={"pull": [dtw.Force(on="xmax", value=("9 kN", "0 N", "0 N"))]},
    )
    view = web_view(dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1.5]).run())
    (conn,) = view.facets.values()
    assert len(conn) == 4 * 10 * 2
    assert not len(view.edges)


def test_a_number_alone_has_no_view():
    quantity = SimpleNamespace()
    row = SimpleNamespace(requirement=SimpleNamespace(quantity=quantity))
    nothing = SimpleNamespace(rows=(row,), result=SimpleNamespace(by_case={}, cases=()), failure_zones=tuple)
    assert web_view(nothing) is None
