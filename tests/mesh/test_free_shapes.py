"""Free form: transposes are exact, what must stay stays, and the guard sees cells fold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from builders import bar, box, drilled, rectangle, ring
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import MeshError
from designtwin.mesh import displacements
from designtwin.mesh.freeform import MovedShape, VertexMorph, lattice_shape, quality_kept

MM = 1e-3
ELEMENTS = ["tetra", "tetra10", "hexahedron", "hexahedron20", "wedge15", "pyramid"]


def nodes(mesh, where):
    return dtw.select(where).resolve(mesh).nodes


def plate(element="tetra10", n=(3, 24, 2)):
    return drilled(element, n, radius=4 * MM)


def hole_of(mesh, **more):
    return VertexMorph(mesh, **{"on": "hole", "filter_radius": "3 mm", "reach": "1 mm"} | more)


# --- vertex morphing ---


@pytest.mark.parametrize("element", ELEMENTS)
def test_the_gradient_is_the_transpose_of_the_displacement(element):
    mesh = plate(element)
    shape = hole_of(mesh, symmetric="x")
    rng = np.random.default_rng(3)
    s, g = rng.normal(size=len(shape.low)), rng.normal(size=mesh.points.shape)
    assert_allclose(np.sum(shape.displacement(s) * g), shape.gradient(g) @ s, rtol=1e-11)


def test_the_gradient_is_the_transpose_in_the_plane_too():
    mesh = rectangle("quad8", (8, 6), (0.03, 0.02))
    shape = VertexMorph(mesh, on="ymax", filter_radius="9 mm", reach="1 mm", fixed="xmin")
    rng = np.random.default_rng(4)
    s, g = rng.normal(size=len(shape.low)), rng.normal(size=mesh.points.shape)
    by = shape.displacement(s)
    assert_allclose(np.sum(by * g), shape.gradient(g) @ s, rtol=1e-11)
    assert not by[:, 2].any()
    assert not by[nodes(mesh, "xmin")].any(), "what is fixed stays"
    assert not by[nodes(mesh, "ymin"), 1].any(), "a straight side stays straight"
    assert by[nodes(mesh, "xmax"), 1].any(), "and so does the one that the free one slides along"
    assert not by[nodes(mesh, "xmax"), 0].any()


@pytest.mark.parametrize("element", ELEMENTS)
def test_one_height_everywhere_makes_the_hole_wider_by_it(element):
    mesh = plate(element)
    shape = hole_of(mesh)
    by = shape.displacement(np.full(len(shape.low), -0.5 * MM))
    radius = np.hypot(*(mesh.points + by)[nodes(mesh, "hole"), :2].T)
    assert_allclose(radius, 4.5 * MM, atol=1e-6)
    rim = nodes(mesh, "rim")
    assert_allclose(np.abs((mesh.points + by)[rim, :2]).max(axis=1), 10 * MM, rtol=1e-12)
    for side in ("zmin", "zmax"):
        assert_allclose(by[nodes(mesh, side), 2], 0.0, atol=1e-17)
    assert bad_checks(mesh.moved(mesh.points + by)) == []


def test_no_node_goes_beyond_the_reach():
    mesh = plate()
    shape = hole_of(mesh, reach=("1 mm", "0.25 mm"))
    assert (shape.low, shape.high) == (pytest.approx(-1 * MM), pytest.approx(0.25 * MM))
    rng = np.random.default_rng(0)
    s = rng.uniform(shape.low, shape.high)
    rise = -np.hypot(*(mesh.points + shape.displacement(s))[shape.nodes, :2].T) + 4 * MM
    assert rise.min() > -1 * MM
    assert rise.max() < 0.25 * MM


@pytest.mark.parametrize("planes", ["x", "y", "xy"])
def test_a_symmetric_form_is_its_own_mirror_image(planes):
    mesh = plate("hexahedron20")
    shape = hole_of(mesh, symmetric=planes)
    by = shape.displacement(np.random.default_rng(1).uniform(-1, 1, len(shape.low)) * MM)
    here = shape.nodes
    for axis in map("xyz".index, planes):
        image = mesh.points[here].copy()
        image[:, axis] *= -1
        apart = np.linalg.norm(mesh.points[here][:, None] - image[None], axis=2)
        partner = apart.argmin(axis=0)
        assert apart.min(axis=0).max() < 1e-9, "the mesh is symmetric"
        mirrored = by[here[partner]].copy()
        mirrored[:, axis] *= -1
        assert_allclose(mirrored, by[here], atol=1e-12)


def test_a_half_part_has_no_ridge_on_its_plane_of_symmetry():
    mesh = ring("hexahedron20", (2, 24, 1))
    half = mesh.cell_centers[:, 1] > 0
    keep, conn = np.unique(mesh.cells["hexahedron20"][half], return_inverse=True)
    cut = dtw.Mesh(mesh.points[keep], {"hexahedron20": conn.reshape(-1, 20)})
    on = dtw.cylinder(radius="10 mm")
    options = {"on": on, "filter_radius": "6 mm", "reach": "1 mm", "extruded": "z"}
    slopes = []
    for symmetric in ("", "y"):
        shape = VertexMorph(cut, symmetric=symmetric, **options)
        x = cut.points[shape.nodes]
        around = np.arctan2(x[:, 1], x[:, 0])[shape.controls]
        s = MM * around  # rises steadily around the ring
        rise = np.hypot(*(x + shape.displacement(s)[shape.nodes])[:, :2].T) - 0.010
        angle = np.arctan2(x[:, 1], x[:, 0])
        at, first = np.unique(angle.round(6), return_index=True)
        slopes.append(abs((rise[first][1] - rise[first][0]) / (at[1] - at[0])))
        assert_allclose(shape.displacement(s)[np.abs(cut.points[:, 1]) < 1e-9, 1], 0.0, atol=1e-12)
    assert slopes[1] < 0.5 * slopes[0], "the plane of symmetry is met at a right angle"


def test_an_extruded_form_is_the_same_all_along():
    mesh = plate("tetra10", (3, 24, 3))
    shape = hole_of(mesh, extruded="z")
    by = shape.displacement(np.random.default_rng(2).uniform(-1, 1, len(shape.low)) * MM)[shape.nodes]
    place = mesh.points[shape.nodes, :2].round(7)
    _, column = np.unique(place, axis=0, return_inverse=True)
    spread = [np.ptp(by[column.ravel() == i], axis=0).max() for i in range(column.max() + 1)]
    assert max(spread) < 1e-3 * MM


def test_the_form_fades_out_toward_a_face_that_stays():
    # a block whose top is free; one half of the top stays
    mesh = box("hexahedron", (12, 3, 3), (0.024, 0.006, 0.006))
    still = dtw.box(("-1 mm", None, "5.9 mm"), ("12.1 mm", None, None))
    shape = VertexMorph(mesh, on="zmax", filter_radius="5 mm", reach="2 mm", fixed=still)
    by = shape.displacement(np.full(len(shape.low), 1 * MM))
    top = nodes(mesh, "zmax")
    x, rise = mesh.points[top, 0], by[top, 2]
    assert_allclose(rise[x < 12.1 * MM], 0.0, atol=1e-18)
    assert_allclose(rise[x > 17.1 * MM], 1 * MM, rtol=1e-9)
    between = (x > 12.5 * MM) & (x < 16.5 * MM)
    assert ((rise[between] > 0) & (rise[between] < MM)).all()


def test_a_fillet_between_faces_that_stay_keeps_its_ends():
    mesh = ring("hexahedron20", (2, 24, 2))
    quarter = dtw.select("outer").resolve(mesh).facets
    _, at = mesh.facet_vectors(quarter)
    mesh = mesh.with_groups({"free": dtw.Group(facets=quarter[(at[:, 0] > 0) & (at[:, 1] > 0)])})
    shape = VertexMorph(mesh, on="free", filter_radius="3 mm", reach="1 mm")
    by = shape.displacement(np.full(len(shape.low), 1 * MM))
    rest = dtw.Group(facets=quarter[~((at[:, 0] > 0) & (at[:, 1] > 0))])
    assert_allclose(by[mesh.nodes_of_facets(rest.facets)], 0.0, atol=1e-18)
    assert by[shape.nodes].any()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"filter_radius": "0.2 mm"}, "two cells at least"),
        ({"filter_radius": "-1 mm"}, "above zero"),
        ({"reach": "0 mm"}, "above zero"),
        ({"on": dtw.nearest((0.0, 0.0, 0.0))}, "no facets"),
        ({"fixed": "hole"}, "every node is held"),
        ({"symmetric": 3}, "symmetric is"),
        ({"symmetric": "w"}, "w"),
    ],
)
def test_what_cannot_be_a_free_form_is_told(wrong, words):
    with pytest.raises(dtw.DesignTwinError, match=words):
        hole_of(plate("tetra"), **wrong)


def test_lines_have_no_free_form():
    with pytest.raises(dtw.DesignTwinError, match=r"no facets|solids"):
        VertexMorph(bar(4), on="xmax", filter_radius=1.0, reach=1.0)


# --- lattices and places with planes of symmetry ---


def unit_lattice(**more):
    return dtw.Lattice((-1.5, -1.5, -1.5), (1.5, 1.5, 1.5), (4, 5, 3), **more)


@pytest.mark.parametrize("planes", ["x", "y", "xz", "xyz"])
def test_a_symmetric_lattice_moves_mirror_images_alike(planes):
    mesh = box("tetra10", 3, (2.0, 2.0, 2.0), origin=(-1, -1, -1))
    lattice = unit_lattice(symmetric=planes).displaced({(1, 1, 0): (0.3, -0.2, 0.1)})
    by = lattice.displacement(mesh, mesh.points)
    for axis in map("xyz".index, planes):
        image = mesh.points.copy()
        image[:, axis] *= -1
        mirrored = lattice.displacement(mesh, image)
        mirrored[:, axis] *= -1
        assert_allclose(mirrored, by, atol=1e-15)
        assert_allclose(by[np.abs(mesh.points[:, axis]) < 1e-12, axis], 0.0, atol=1e-15)
    assert dtw.Lattice.from_dict(lattice.to_dict()) == lattice


def test_a_symmetric_lattice_says_what_contradicts_it():
    with pytest.raises(MeshError, match="lies on the plane of symmetry y"):
        unit_lattice(symmetric="y", moved={(0, 2, 0): (0.0, 0.1, 0.0)})
    with pytest.raises(MeshError, match="mirror images"):
        unit_lattice(symmetric="x", moved={(0, 0, 0): (0.1, 0, 0), (3, 0, 0): (0.1, 0, 0)})
    unit_lattice(symmetric="x", moved={(0, 0, 0): (0.1, 0, 0), (3, 0, 0): (-0.1, 0, 0)})


def test_a_lattice_leaves_a_fixed_place_alone():
    mesh = box("tetra10", (6, 2, 2), (0.06, 0.02, 0.02))
    moved = {(1, 1, 2): (0.0, 0.0, 5 * MM), (2, 1, 2): (0.0, 0.0, 5 * MM)}
    options = ((-1e-9, -1e-9, -1e-9), (0.06 + 1e-9, 0.02 + 1e-9, 0.02 + 1e-9), (4, 3, 3))
    free = dtw.Lattice(*options, moved=moved)
    held = dtw.Lattice(*options, moved=moved, fixed="xmin", fade="20 mm")
    a, b = (displacements(mesh, one) for one in (free, held))
    assert not b[nodes(mesh, "xmin")].any()
    far = mesh.points[:, 0] > 0.0201
    assert_allclose(a[far], b[far], atol=1e-17)
    assert a[nodes(mesh, "zmax")].any()
    with pytest.raises(MeshError, match="go together"):
        dtw.Lattice(*options, fixed="xmin")


@pytest.mark.parametrize("method", ["distance", "rbf"])
def test_a_place_and_its_mirror_image_move_alike(method):
    mesh = box("tetra10", (6, 2, 2), (0.06, 0.02, 0.02), origin=(-0.03, 0, 0))
    options = {"method": method, "slide": False}
    both = mesh.morphed(dtw.move("xmax", ("2 mm", "1 mm", "0 mm")), symmetric="x", **options)
    by = both.points - mesh.points
    assert_allclose(by[nodes(mesh, "xmin")], [[-2 * MM, 1 * MM, 0]] * len(nodes(mesh, "xmin")), atol=1e-12)
    assert_allclose(by[np.abs(mesh.points[:, 0]) < 1e-12, 0], 0.0, atol=1e-12)
    half = box("tetra10", (3, 2, 2), (0.03, 0.02, 0.02))
    one = half.morphed(dtw.move("xmax", ("2 mm", "1 mm", "0 mm")), symmetric={"x": "0 mm"}, **options)
    assert_allclose((one.points - half.points)[nodes(half, "xmin"), 0], 0.0, atol=1e-12)
    with pytest.raises(MeshError, match="told to leave it"):
        half.morphed(dtw.move("xmin", ("1 mm", None, None)), symmetric="x")
    with pytest.raises(MeshError, match="stated whole"):
        half.morphed(dtw.scale(1.1), symmetric="x")


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_moves_with_planes_of_symmetry_are_linear_in_what_they_state(seed):
    rng = np.random.default_rng(seed)
    mesh = box("tetra", (4, 2, 2), (0.04, 0.02, 0.02), origin=(-0.02, 0, 0))
    a, b = rng.normal(size=(2, 3)) * MM

    def by(v):
        return displacements(mesh, dtw.move("xmax", v), symmetric="x", method="rbf")

    assert_allclose(by(a + b), by(a) + by(b), atol=1e-15)


def test_the_numbers_of_a_lattice_are_its_free_control_points():
    mesh = plate("tetra10", (3, 24, 1))
    # The box reaches above and below the plate, and ends within it at the sides.
    lattice = dtw.Lattice((-8 * MM, -8 * MM, -MM), (8 * MM, 8 * MM, 6 * MM), (5, 5, 2), symmetric="xy")
    shape = lattice_shape(mesh, lattice, "2 mm", axes="xy")
    for one in shape.moves:
        assert all(key[0] not in "04" and key[2] not in "04" for key in one.moved), "sides stay"
    rng = np.random.default_rng(0)
    s, g = rng.normal(size=len(shape.moves)) * MM, rng.normal(size=mesh.points.shape)
    assert_allclose(np.sum(shape.displacement(s) * g), shape.gradient(g) @ s, rtol=1e-11)
    total = sum((a * displacements(mesh, one) for a, one in zip(s, shape.moves)), np.zeros_like(g))
    assert_allclose(shape.displacement(s), total, atol=1e-17)
    with pytest.raises(MeshError, match="every control point"):
        lattice_shape(mesh, dtw.Lattice((-8 * MM,) * 3, (8 * MM,) * 3, (2, 2, 2)), "2 mm")


def test_moves_become_a_shape_and_what_moves_nothing_is_told():
    mesh = box("tetra", 2, (0.02, 0.02, 0.02))
    moves = [dtw.move("xmax", (1.0, None, None)), dtw.offset("zmax", 1.0)]
    shape = MovedShape(mesh, moves, np.zeros(2), np.ones(2), {"fixed": "xmin"})
    by = shape.displacement(np.array([MM, 2 * MM]))
    assert_allclose(by[nodes(mesh, "xmax"), 0], MM)
    with pytest.raises(MeshError, match="moves nothing"):
        _ = MovedShape(mesh, [dtw.move("xmax", (0.0, 0.0, 0.0))], np.zeros(1), np.ones(1), {}).directions


# --- the guard ---


@pytest.mark.parametrize("element", [*ELEMENTS, "triangle6", "quad8", "quad"])
def test_the_guard_has_the_slope_it_says(element):
    if element in ("triangle6", "quad8", "quad"):
        mesh = rectangle(element, (3, 3), (0.03, 0.03), distort=0.2)
    else:
        mesh = box(element, 3, (0.03, 0.03, 0.03), distort=0.2)
    rng = np.random.default_rng(5)
    flat = np.array([1.0, 1.0, float(mesh.dimension == 3)])
    x = mesh.points + 3e-4 * rng.normal(size=mesh.points.shape) * flat
    d = rng.normal(size=x.shape) * flat
    _, least, slope = quality_kept(mesh, x)
    h = 1e-8
    ends = [quality_kept(mesh, x + sign * h * d)[0] for sign in (1, -1)]
    assert 0.0 < least < 0.99
    assert_allclose((ends[0] - ends[1]) / (2 * h), np.sum(slope * d), rtol=2e-6)


def test_the_guard_is_one_at_rest_and_falls_to_zero_where_a_cell_folds():
    mesh = box("tetra10", 2, (0.02, 0.02, 0.02))
    assert quality_kept(mesh, mesh.points)[:2] == (1.0, 1.0)
    middle = np.argmin(np.linalg.norm(mesh.points - 0.01, axis=1))
    kept = []
    for share in (0.2, 0.5, 0.9, 1.1):
        x = mesh.points.copy()
        x[middle, 0] += share * 0.01
        kept.append(quality_kept(mesh, x)[1])
    assert all(a > b for a, b in itertools.pairwise(kept))
    assert kept[2] > 0.0 > kept[3] or kept[2] <= 0.0, "a corner on its neighbor leaves nothing"
    smooth, least, _ = quality_kept(mesh, x)
    assert smooth <= least < 0.0


def test_bodies_that_only_shift_or_grow_keep_their_quality():
    mesh = box("hexahedron20", 2, (0.02, 0.02, 0.02), distort=0.2)
    for x in (mesh.points + 0.01, mesh.points * 1.7):
        assert_allclose(quality_kept(mesh, x)[1], 1.0, rtol=1e-12)


def bad_checks(mesh):
    return [f.check for f in mesh.check().at_least("bad")]


def test_quality_is_a_requirement_like_any_other():
    mesh = box("tetra10", 2, (0.02, 0.02, 0.02))
    model = dtw.Model(
        mesh, materials={"body": dtw.material("S355")}, supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=("1 kN", 0, 0))]},
    )  # fmt: skip
    asked = dtw.mesh_quality() >= 0.2
    verdict = dtw.StrengthTest(model, [asked]).run()
    assert verdict.rows[0].value.value == pytest.approx(1 / np.sqrt(3), rel=0.5)
    flat = model.with_(mesh=mesh.morphed(dtw.scale((1.0, 1.0, 0.02))))
    assert not dtw.StrengthTest(flat, [asked]).run()
    assert dtw.Quantity.from_dict(dtw.mesh_quality().to_dict()) == dtw.mesh_quality()
