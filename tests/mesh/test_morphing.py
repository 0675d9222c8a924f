"""Morphing: faces go exactly where they are told, cells stay whole, and dX/dp is exact."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import BLOCKS, SOLIDS, apart, bar, block, box, drilled, rectangle, ring
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError, UnitError
from designtwin.mesh import Move, displacements
from designtwin.mesh.morphing import radial_basis
from designtwin.mesh.surface import surface_of

MESHES = Path(__file__).parents[2] / "meshes"
MM = 1e-3
SIZE = (0.03, 0.02, 0.01)


def nodes(mesh, where):
    return dtw.select(where).resolve(mesh).nodes


def straight(x):
    return x


def bent(x):
    """A plate with a curved top and sides: quadratic edges are truly curved."""
    return x + 0.002 * np.column_stack([np.sin(90 * x[:, 1]), np.sin(80 * x[:, 2]), np.sin(70 * x[:, 0])])


# --- maps of space ---


@pytest.mark.parametrize("element", SOLIDS)
def test_stretch_makes_a_plate_as_thick_as_asked(element):
    mesh = box(element, 3, SIZE, distort=0.15)
    thick = mesh.morphed(dtw.stretch("z", {"0 mm": "-4 mm", "10 mm": "10 mm"}))
    assert_allclose(thick.extents, [[0, 0, -0.004], [0.03, 0.02, 0.01]], atol=1e-15)
    assert_allclose(thick.cell_measures().sum(), 0.03 * 0.02 * 0.014, rtol=1e-12)
    assert thick.groups is not None
    assert_allclose(thick.facet_vectors(thick.groups["xmax"].facets)[0].sum(axis=0)[0], 0.02 * 0.014)


def test_stretch_shifts_what_lies_beyond_and_leaves_what_is_named():
    mesh = box("hexahedron", (6, 1, 1), (6.0, 1.0, 1.0))
    x = mesh.morphed(dtw.stretch("x", {2.0: 2.0, 3.0: 3.5})).points[:, 0]
    assert_allclose(np.unique(x.round(12)), [0, 1, 2, 3.5, 4.5, 5.5, 6.5])


def test_stretch_fades_out_where_it_is_told_to():
    mesh = box("hexahedron", (2, 2, 10), (2.0, 2.0, 10.0), origin=(0, -1, 0))
    wide = mesh.morphed(dtw.stretch("y", {-1.0: -1.5, 1.0: 1.5}, only={"z": (None, 4.0)}, blend=3.0))
    y = np.abs(wide.points[:, 1]).reshape(-1)
    z = mesh.points[:, 2]
    side = np.abs(mesh.points[:, 1]) == 1
    assert_allclose(y[side & (z <= 4)], 1.5)
    assert_allclose(y[side & (z >= 7)], 1.0)
    assert ((y[side & (z == 5)] > 1.0) & (y[side & (z == 5)] < 1.5)).all()


@pytest.mark.parametrize("element", ["tetra10", "hexahedron20", "wedge15"])
def test_bore_gives_the_hole_its_new_diameter(element):
    plate = drilled(element, (3, 24, 1), radius=4 * MM)
    for diameter in (5 * MM, 11 * MM):
        new = plate.morphed(dtw.bore("hole", diameter))
        assert_allclose(np.hypot(*new.points[nodes(new, "hole"), :2].T), 0.5 * diameter, rtol=2e-6)
        assert_allclose(new.points[nodes(new, "rim")], plate.points[nodes(plate, "rim")], atol=1e-15)
        assert dtw.cylinder(diameter=diameter).resolve(new).facets.shape == plate.groups["hole"].facets.shape
    both = apart(plate, drilled(element, (3, 24, 1), radius=4 * MM, origin=(0.05, 0, 0)))
    new = both.morphed(dtw.bore(dtw.cylinder(diameter="8 mm"), "6 mm"))
    dtw.cylinder(diameter="6 mm").expect(pieces=2).resolve(new)
    pin = ring(element).morphed(dtw.bore("outer", "22 mm"))
    assert_allclose(np.hypot(*pin.points[nodes(pin, "outer"), :2].T), 0.011, rtol=2e-6)


def corner(element="hexahedron20", angle=90.0, radius=0.006, round_corner=False):
    """Two plates that meet at an angle with a fillet (or round) between them: group ``fillet``."""
    half = np.radians(180 - angle) / 2
    length, far, thick = radius * np.tan(half), 0.03, 0.005

    def path(s):
        """Line, arc, line; s in 0..3; returns points and normals (to the hollow side)."""
        s = np.asarray(s)
        turn = 2 * half * np.clip(s - 1, 0, 1) - half
        center = np.array([0.0, radius / np.cos(half)])
        arc = center + radius * np.column_stack([np.sin(turn), -np.cos(turn)])
        tangent = np.column_stack([np.cos(turn), np.sin(turn)])
        beyond = (np.clip(s - 2, 0, 1) - np.clip(1 - s, 0, 1)) * (far - length)
        return arc + beyond[:, None] * tangent, np.column_stack([-tangent[:, 1], tangent[:, 0]])

    def shape(x):
        point, normal = path(x[:, 0])
        out = point + (normal if round_corner else -normal) * thick * x[:, 1:2]
        return np.column_stack([out, 0.02 * x[:, 2]])

    mesh = box(element, (12, 2, 2), (3.0, 1.0, 1.0), shape=shape)
    if mesh.cell_measures().sum() < 0:
        mesh = box(element, (12, 2, 2), (3.0, 1.0, 1.0), shape=lambda x: shape(x * [1, 1, -1]))
    bent_ones = [f for f in mesh.groups["ymin"].facets.tolist() if _on_arc(mesh, f, radius, half)]
    return mesh.with_groups({"fillet": dtw.Group(facets=np.array(bent_ones))}), length


def _on_arc(mesh, facet, radius, half):
    x = mesh.points[mesh.nodes_of_facets(np.array([facet]))]
    off = np.hypot(x[:, 0], x[:, 1] - radius / np.cos(half)) - radius
    return bool(np.abs(off).max() < 1e-9)


@pytest.mark.parametrize("angle", [60.0, 90.0, 130.0])
@pytest.mark.parametrize("round_corner", [False, True])
def test_fillet_gets_its_radius_and_stays_tangent(angle, round_corner):
    mesh, _ = corner(angle=angle, round_corner=round_corner)
    assert len(mesh.groups["fillet"].facets) == 8
    for radius in (3 * MM, 9 * MM):
        new = mesh.morphed(dtw.fillet("fillet", radius, reach="12 mm"))
        kind = "round" if round_corner else "fillet"
        rule = dtw.cylinder(radius=radius, kind=kind, tolerance="0.001 mm")
        assert {tuple(f) for f in rule.resolve(new).facets.tolist()} == {
            tuple(f) for f in mesh.groups["fillet"].facets.tolist()
        }
        # Tangent to its neighbors: no edge of more than a degree along the whole hollow side.
        side = dtw.feature("fillet", "1 deg").resolve(new)
        assert len(side.facets) == len(mesh.groups["ymin"].facets)
        assert bad_checks(new) == []


@pytest.mark.parametrize("element", ["tetra", "tetra10", "hexahedron20"])
@pytest.mark.parametrize("angle", [60.0, 90.0, 140.0])
@pytest.mark.parametrize("radius", [0.003, 0.012])
def test_fillets_are_found_between_faces_at_any_angle(element, angle, radius):
    mesh, _ = corner(element, angle=angle, radius=radius)
    facets = dtw.cylinder(radius=radius, kind="fillet", tolerance="0.01 mm").resolve(mesh).facets
    assert {tuple(f) for f in facets.tolist()} == {tuple(f) for f in mesh.groups["fillet"].facets.tolist()}


def bad_checks(mesh):
    return [f.check for f in mesh.check().at_least("bad")]


def test_scale_is_exact_about_its_point():
    mesh = box("tetra10", 2, SIZE, shape=bent)
    about = np.array([0.01, 0.0, -0.02])
    double = mesh.morphed(dtw.scale(2.0, about=about))
    assert_allclose(double.points, about + 2 * (mesh.points - about), atol=1e-15)
    assert_allclose(double.cell_measures(), 8 * mesh.cell_measures(), rtol=1e-10)
    squashed = mesh.morphed(dtw.scale((1.0, 1.0, 0.5)))
    assert_allclose(squashed.points, mesh.points * [1, 1, 0.5], atol=1e-15)


# --- lattice ---


def lattice(n=(3, 3, 3)):
    return dtw.Lattice(("-5 mm",) * 3, ("35 mm", "25 mm", "15 mm"), n)


@pytest.mark.parametrize("element", SOLIDS)
def test_a_lattice_moved_linearly_moves_the_part_linearly(element):
    mesh = box(element, 2, SIZE, shape=bent)
    free = lattice((4, 3, 2))
    slope = np.array([[0.05, 0.02, 0.0], [-0.03, 0.1, 0.04], [0.01, 0.0, -0.06]])
    points = free.control_points()
    moved = {index: slope @ points[index] + [1e-3, 0, 0] for index in np.ndindex(4, 3, 2)}
    new = mesh.morphed(free.displaced(moved))
    assert_allclose(new.points, mesh.points + mesh.points @ slope.T + [1e-3, 0, 0], atol=1e-14)


def test_a_lattice_bends_smoothly_and_outside_stays():
    mesh = box("hexahedron20", (9, 2, 2), (0.09, 0.01, 0.01))
    free = dtw.Lattice(("30 mm", "-1 mm", "-1 mm"), ("60 mm", "11 mm", "11 mm"), (5, 2, 2))
    bump = free.displaced({(2, j, k): (0, 0, "4 mm") for j in (0, 1) for k in (0, 1)})
    new = mesh.morphed(bump)
    off = new.points - mesh.points
    inside = np.abs(mesh.points[:, 0] - 0.045) < 0.015
    assert_allclose(off[~inside], 0.0, atol=1e-15)
    # At the middle the Bernstein polynomial of the moved point is 6/16; top and bottom bend with it.
    flat = np.isin(np.arange(mesh.n_points), [*nodes(mesh, "zmin"), *nodes(mesh, "zmax")])
    assert_allclose(off[flat & np.isclose(mesh.points[:, 0], 0.045), 2], 0.004 * 6 / 16, rtol=1e-9)


def test_a_lattice_that_would_tear_the_part_is_refused():
    mesh = box("hexahedron", (9, 2, 2), (0.09, 0.01, 0.01))
    free = dtw.Lattice(("30 mm", "-1 mm", "-1 mm"), ("60 mm", "11 mm", "11 mm"), (3, 2, 2))
    with pytest.raises(MeshError, match=r"control point \(0,1,0\).*would tear"):
        mesh.morphed(free.displaced({(0, 1, 0): (0, 0, "1 mm")}))
    mesh.morphed(
        dtw.Lattice(("-1 mm",) * 3, ("91 mm", "11 mm", "11 mm"), (3, 2, 2)).displaced(
            {(0, 1, 0): (0, 0, 0.001)}
        )
    )


# --- moves of places ---


@pytest.mark.parametrize("method", ["distance", "rbf"])
@pytest.mark.parametrize("element", BLOCKS)
def test_offset_moves_a_face_and_the_rest_slides_along(element, method):
    mesh = block(element, 3, SIZE, distort=0.1)
    thick = mesh.morphed(dtw.offset("xmax", "4 mm"), method=method)
    assert_allclose(thick.points[nodes(thick, "xmax"), 0], 0.034, atol=1e-12)
    assert_allclose(thick.extents[:, 1:], mesh.extents[:, 1:], atol=1e-12)
    measure = 0.034 * np.prod(SIZE[1 : mesh.dimension])
    assert_allclose(thick.cell_measures().sum(), measure, rtol=1e-9)
    inner = ~np.isin(np.arange(mesh.n_points), mesh.nodes_of_facets(mesh.exterior))
    assert (thick.points[inner, 0] > mesh.points[inner, 0]).all()


@pytest.mark.parametrize("method", ["distance", "rbf"])
def test_offset_of_a_curved_face_follows_its_normals(method):
    tube = ring("hexahedron20", (2, 16, 2))
    new = tube.morphed(dtw.offset("outer", "2 mm"), fixed="inner", method=method)
    assert_allclose(np.hypot(*new.points[nodes(new, "outer"), :2].T), 0.012, rtol=2e-3)
    assert_allclose(new.points[nodes(new, "inner")], tube.points[nodes(tube, "inner")], atol=1e-15)
    assert_allclose(new.extents[:, 2], tube.extents[:, 2], atol=1e-15)


@pytest.mark.parametrize("method", ["distance", "rbf"])
def test_move_holds_what_is_fixed_and_frees_what_is_none(method):
    mesh = box("tetra10", 4, SIZE)
    lifted = mesh.morphed(dtw.move("xmax", (None, None, "2 mm")), fixed=["xmin"], slide=False, method=method)
    by = lifted.points - mesh.points
    assert_allclose(by[nodes(mesh, "xmax"), 2], 0.002, rtol=1e-9)
    assert_allclose(by[nodes(mesh, "xmin")], 0.0, atol=1e-15)
    assert_allclose(by[:, :2], 0.0, atol=1e-15)
    assert ((by[:, 2] > -1e-4) & (by[:, 2] < 0.0021)).all()


@pytest.mark.parametrize("method", ["distance", "rbf"])
def test_without_anything_held_the_whole_part_moves(method):
    mesh = box("tetra10", 2, SIZE)
    new = mesh.morphed(dtw.move("xmax", (1e-3, 2e-3, -3e-3)), slide=False, method=method)
    assert_allclose(new.points - mesh.points, np.tile([1e-3, 2e-3, -3e-3], (mesh.n_points, 1)), atol=1e-15)


def test_control_points_in_space_move_the_part_by_radial_basis():
    mesh = box("tetra10", 3, SIZE, shape=bent)
    rng = np.random.default_rng(1)
    at = rng.uniform(-0.01, 0.04, (12, 3))
    slope = rng.uniform(-0.1, 0.1, (3, 3))
    new = mesh.morphed(controls=[(at, at @ slope + [1e-3, 0, 0])], slide=False, method="rbf")
    assert_allclose(new.points, mesh.points + mesh.points @ slope + [1e-3, 0, 0], atol=1e-12)


def test_a_radius_keeps_the_change_local():
    mesh = box("hexahedron", (20, 4, 4), (0.1, 0.02, 0.02))
    new = mesh.morphed(
        controls=[([(0.02, 0.01, 0.02)], ("0 mm", "0 mm", "2 mm"))], slide=False, method="rbf", radius="15 mm"
    )
    off = np.linalg.norm(new.points - mesh.points, axis=1)
    far = np.linalg.norm(mesh.points - [0.02, 0.01, 0.02], axis=1) >= 0.015
    assert_allclose(off[far], 0.0)
    assert_allclose(off.max(), 0.002, rtol=1e-9)


def test_controls_take_groups_and_functions():
    mesh = box("tetra10", 3, SIZE)
    twist = mesh.morphed(
        controls=[
            ("xmax", lambda x: 0.1 * np.column_stack([0 * x[:, 0], -(x[:, 2] - 0.005), x[:, 1] - 0.01])),
            ("xmin", (0, 0, 0)),
        ],
        slide=False,
    )
    end = nodes(mesh, "xmax")
    assert_allclose(twist.points[end, 1], mesh.points[end, 1] - 0.1 * (mesh.points[end, 2] - 0.005))
    assert_allclose(twist.cell_measures().sum(), 6e-6, rtol=0.02)


def test_radial_basis_meets_its_centers_and_thins_evenly():
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 1, (300, 3))
    v = np.sin(4 * x[:, 0]) * x[:, 1]
    assert_allclose(radial_basis(x, v, x), v, atol=1e-9)
    assert_allclose(radial_basis(x, v, x, radius=0.5), v, atol=1e-9)
    many = rng.uniform(0, 1, (6000, 3))
    smooth = np.sin(2 * many[:, 0]) * many[:, 1]
    assert np.abs(radial_basis(many, smooth, many) - smooth).mean() < 0.003


def test_radial_basis_agrees_with_scipy():
    from scipy.interpolate import RBFInterpolator

    rng = np.random.default_rng(3)
    x, at = rng.uniform(0, 1, (60, 3)), rng.uniform(0, 1, (40, 3))
    v = rng.normal(size=60)
    assert_allclose(radial_basis(x, v, at), RBFInterpolator(x, v, kernel="linear", degree=1)(at), atol=1e-8)


# --- exactness: affine maps and gradients ---


@pytest.mark.parametrize("element", BLOCKS)
def test_radial_basis_morph_is_exact_for_affine_moves(element):
    mesh = block(element, 2, SIZE, shape=straight if mesh_is_plane(element) else bent)
    slope = np.array([[0.1, -0.05, 0.02], [0.03, -0.1, 0.0], [0.0, 0.04, 0.15]])
    if mesh.is_plane:
        slope[2], slope[:, 2] = 0, 0
    new = mesh.morphed(controls=[(dtw.exterior(), lambda x: x @ slope.T)], slide=False, method="rbf")
    assert_allclose(new.points, mesh.points + mesh.points @ slope.T, atol=1e-12)


def mesh_is_plane(element):
    return element in ("triangle", "triangle6", "quad", "quad8")


@pytest.mark.parametrize("element", ["tetra10", "hexahedron20", "wedge15", "pyramid13"])
def test_middle_nodes_keep_their_place_in_cells_under_affine_maps(element):
    mesh = box(element, 2, SIZE, shape=bent)
    one = dtw.stretch("x", {0.0: 0.0, 1.0: 1.3})
    assert_allclose(
        mesh.morphed(one).points[:, 0],
        np.where(mesh.points[:, 0] > 0, 1.3, 1.0) * mesh.points[:, 0],
        atol=1e-3,
    )
    whole = dtw.stretch("x", {-1.0: -1.3, 1.0: 1.3})
    assert_allclose(mesh.morphed(whole).points[:, 0], 1.3 * mesh.points[:, 0], atol=1e-14)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron20", "wedge15", "pyramid13", "triangle6", "quad8"])
def test_middle_nodes_stay_in_the_middle_where_a_map_bends_within_cells(element):
    mesh = block(element, 2, SIZE)
    new = mesh.morphed(dtw.stretch("x", {0.0: 0.0, 0.011: 0.002, 0.03: 0.03}))
    ends = np.array(ELEMENTS[element].edges)
    x = new.points[new.cells[element]]
    corners = ELEMENTS[element].corners
    assert_allclose(x[:, corners:], 0.5 * (x[:, ends[:, 0]] + x[:, ends[:, 1]]), atol=1e-15)


def test_a_bending_map_still_shapes_the_outside():
    mesh = box("hexahedron20", (4, 2, 2), SIZE)
    arch = controls_of_an_arch(mesh)
    top = nodes(mesh, "zmax")
    assert_allclose(
        arch.points[top, 2], 0.01 + 5 * mesh.points[top, 0] * (0.03 - mesh.points[top, 0]), atol=1e-12
    )


def controls_of_an_arch(mesh):
    def up(x):
        return np.column_stack([0 * x[:, 0], 0 * x[:, 0], 5 * x[:, 0] * (0.03 - x[:, 0])])

    return mesh.morphed(controls=[(dtw.everything(), up)], slide=False)


MOVES = {
    "stretch": lambda p: dtw.stretch("z", [(0.0, -0.001 * p), (0.004, 0.004), (0.01, 0.01 + 0.002 * p)]),
    "stretch in part": lambda p: dtw.stretch(
        "y", [(0.0, 0.003 * p), (0.02, 0.02)], only={"x": (None, 0.01)}, blend=0.01
    ),
    "lattice": lambda p: lattice().displaced(
        {(1, 1, 1): (0.004 * p, 0, 0.003 * p), (2, 1, 0): (0, 0.002 * p, 0)}
    ),
    "scale": lambda p: dtw.scale(1 + 0.2 * p),
    "offset": lambda p: dtw.offset("zmax", 0.002 * p),
    "move": lambda p: dtw.move("xmax", (0.001 * p, None, -0.002 * p)),
}


@pytest.mark.parametrize("method", ["distance", "rbf"])
@pytest.mark.parametrize("name", MOVES)
@settings(max_examples=6, deadline=None)
@given(a=st.floats(-1, 1), b=st.floats(-1, 1))
def test_displacement_is_linear_in_what_a_move_states(name, method, a, b):
    mesh = box("tetra10", 2, SIZE, distort=0.1)

    def u(p):
        return displacements(mesh, MOVES[name](p), method=method)

    zero = u(0.0)
    assert_allclose(zero, 0.0, atol=1e-16)
    assert_allclose(u(a) + u(b), u(a + b), atol=1e-14)


def test_radii_and_diameters_are_linear_too():
    mesh, _ = corner()
    u = [displacements(mesh, dtw.fillet("fillet", r, reach="12 mm")) for r in (3 * MM, 5 * MM, 9 * MM)]
    assert_allclose(u[1] - u[0], (u[2] - u[1]) / 2, atol=1e-15)
    plate = drilled()
    u = [displacements(plate, dtw.bore("hole", d)) for d in (7 * MM, 8 * MM, 9 * MM)]
    assert_allclose(u[1] - u[0], u[2] - u[1], atol=1e-15)


def test_moves_add_up_whatever_their_order():
    mesh = box("tetra10", 3, SIZE)
    moves = [MOVES[name](0.5) for name in ("stretch", "lattice", "offset")]
    total = sum(displacements(mesh, one) for one in moves)
    for order in itertools.permutations(moves):
        assert_allclose(displacements(mesh, *order), total, atol=1e-15)


# --- what is kept, what is refused ---


@pytest.mark.parametrize("element", BLOCKS)
def test_cells_groups_and_the_old_mesh_are_kept(element):
    mesh = block(element, 2, SIZE)
    before = mesh.points.copy()
    new = mesh.morphed(dtw.stretch("x", {0.0: 0.0, 0.03: 0.04}))
    assert new.cells == mesh.cells or all((new.cells[k] == mesh.cells[k]).all() for k in mesh.cells)
    assert new.groups.keys() == mesh.groups.keys()
    assert (mesh.points == before).all()
    assert new.content_hash() != mesh.content_hash()


def test_no_move_gives_the_same_points():
    mesh = box("tetra10", 2, SIZE, shape=bent)
    assert_allclose(mesh.morphed(dtw.scale(1.0)).points, mesh.points, atol=1e-18)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron", "hexahedron20", "quad8"])
def test_a_move_that_turns_cells_names_the_safe_share_and_that_share_is_safe(element):
    mesh = block(element, 4, SIZE)
    with pytest.raises(
        MeshError, match=r"turns \d+ cells? inside out, the worst is cell \d+ at .* mm; up to"
    ) as error:
        mesh.morphed(dtw.move("xmax", ("-40 mm", None, None)), fixed="xmin")
    share = float(str(error.value).split("up to ")[1].split(" %")[0]) / 100
    assert 0.3 < share < 0.8
    new = mesh.morphed(dtw.move("xmax", (-0.04 * share, None, None)), fixed="xmin")
    assert new.cell_measures().min() > 0
    with pytest.raises(MeshError, match="inside out"):
        mesh.morphed(dtw.move("xmax", (-0.04 * (share + 0.02), None, None)), fixed="xmin")


def test_cells_that_were_inverted_before_are_not_blamed_on_the_move():
    mesh = box("tetra", 2, SIZE)
    conn = mesh.cells["tetra"].copy()
    conn[0] = conn[0][[1, 0, 2, 3]]
    replace(mesh, cells={"tetra": conn}).morphed(dtw.scale(1.1))


def test_two_moves_that_meet_must_agree():
    mesh = box("tetra10", 2, SIZE)
    with pytest.raises(MeshError, match=r"two moves meet at node .* z by 1 mm and by 2 mm"):
        mesh.morphed(dtw.move("xmax", (0, 0, "1 mm")), dtw.move("zmax", (0, 0, "2 mm")))
    mesh.morphed(dtw.move("xmax", ("1 mm", None, None)), dtw.move("zmax", (None, None, "2 mm")))


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda m: m.morphed(), MeshError, "no move given"),
        (lambda m: m.morphed("thicker"), MeshError, "a move such as"),
        (lambda m: m.morphed(dtw.scale(2), method="magic"), None, ""),
        (lambda m: m.morphed(dtw.offset("xmax", 1e-3), method="magic"), MeshError, "'distance' or 'rbf'"),
        (lambda m: m.morphed(dtw.offset("xmax", 1e-3), radius="1 mm"), MeshError, "support of method='rbf'"),
        (
            lambda m: m.morphed(dtw.stretch("x", {0.0: 0.0, 0.01: -0.01})),
            MeshError,
            "new positions must rise",
        ),
        (lambda m: m.morphed(dtw.stretch("x", {})), MeshError, "at least one"),
        (
            lambda m: dtw.stretch("x", {0.0: 0.1}, only={"x": (0, 1)}, blend=1),
            MeshError,
            "limits the other axes",
        ),
        (lambda m: dtw.stretch("x", {0.0: 0.1}, only={"y": (0, 1)}), MeshError, "blend= says"),
        (lambda m: dtw.stretch("x", {"0 mm": "3 N"}), UnitError, "a length is wanted"),
        (lambda m: dtw.scale(-1), MeshError, "above zero"),
        (lambda m: dtw.fillet("a", 0), MeshError, "above zero"),
        (lambda m: m.morphed(dtw.fillet("xmax", "1 mm")), MeshError, "not made of cylindrical faces"),
        (lambda m: m.morphed(dtw.bore("body", "1 mm")), MeshError, "not made of cylindrical faces"),
        (lambda m: m.morphed(dtw.offset(dtw.nearest((0, 0, 0)), 1e-3)), MeshError, "has no facets"),
        (lambda m: dtw.move("a", (0, 1)), MeshError, "three lengths"),
        (lambda m: dtw.Lattice((0, 0, 0), (1, 1, 0), (2, 2, 2)), MeshError, "high must lie above low"),
        (lambda m: dtw.Lattice((0, 0, 0), (1, 1, 1), (2, 2, 1)), MeshError, "two or more"),
        (lambda m: lattice().displaced({(3, 0, 0): (0, 0, 0)}), MeshError, "no control point"),
        (lambda m: m.morphed(controls=[("xmax", np.zeros((2, 3)))]), MeshError, "do not fit"),
    ],
)
def test_moves_are_checked(make, error, says):
    mesh = box("tetra10", 2, SIZE)
    if error is None:
        make(mesh)
        return
    with pytest.raises(error, match=says):
        make(mesh)


def test_radii_beyond_reach_are_refused():
    mesh, _ = corner()
    with pytest.raises(MeshError, match="a larger reach= is wanted"):
        mesh.morphed(dtw.fillet("fillet", "30 mm"))
    with pytest.raises(MeshError, match="a larger reach= is wanted"):
        drilled().morphed(dtw.bore("hole", "18 mm"))
    with pytest.raises(MeshError, match="covers 360°"):
        drilled().morphed(dtw.fillet("hole", "5 mm"))


def test_a_plane_mesh_stays_in_its_plane():
    mesh = rectangle("quad8", 2, SIZE[:2])
    with pytest.raises(MeshError, match="stays in z = 0"):
        mesh.morphed(dtw.move("xmax", (0, 0, "1 mm")))
    assert mesh.morphed(dtw.offset("xmax", "1 mm")).is_plane


def test_bars_morph_too():
    assert_allclose(bar(4, 2.0, element="line3").morphed(dtw.scale(1.5)).cell_measures().sum(), 3.0)


@pytest.mark.parametrize(
    "one",
    [
        *(make(0.7) for make in MOVES.values()),
        dtw.fillet("root", "8 mm"),
        dtw.bore(dtw.cylinder(diameter="9 mm"), "8 mm", reach="3 mm"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_moves_are_plain_data(one):
    back = Move.from_dict(json.loads(json.dumps(one.to_dict())))
    assert back == one
    assert back.content_hash() == one.content_hash()


# --- the bracket over its whole space of designs ---


def design(mesh, thickness, rib, radius):
    """The bracket of meshes/: plates 5 mm, rib 10 mm and root fillet 6 mm as drawn."""
    half = 0.5 * rib
    return mesh.morphed(
        dtw.stretch("z", {0.0: 5 * MM - thickness, 5 * MM: 5 * MM}),
        dtw.stretch("x", {-5 * MM: -5 * MM, 0.0: thickness - 5 * MM}),
        dtw.stretch(
            "y",
            {-30 * MM: -30 * MM, -5 * MM: -half, 5 * MM: half, 30 * MM: 30 * MM},
            only={"z": (None, "36 mm")},
            blend="12 mm",
        ),
        dtw.fillet("root_fillet", radius),
    )


@pytest.fixture(scope="module", params=["bracket.msh", "bracket_fine.msh"])
def bracket(request):
    return dtw.read_mesh(MESHES / request.param, length_unit="mm")


@pytest.mark.parametrize("thickness", [3.0, 8.0])
@pytest.mark.parametrize("rib", [4.0, 20.0])
@pytest.mark.parametrize("radius", [2.0, 10.0])
def test_the_bracket_morphs_at_every_corner_of_its_design_space(bracket, thickness, rib, radius):
    new = design(bracket, thickness * MM, rib * MM, radius * MM)
    assert new.check().at_least("bad") == ()
    assert new.check()["folded"].count == 0
    # The base and the back lie where the thickness puts them, the bolt holes where they were.
    assert_allclose(new.points[nodes(new, "base"), 2], (5 - thickness) * MM, atol=1e-8)
    assert_allclose(new.points[nodes(new, "back"), 0], (thickness - 5) * MM, atol=1e-8)
    assert_allclose(
        new.points[nodes(new, "bolt_holes"), :2], bracket.points[nodes(bracket, "bolt_holes"), :2], atol=1e-8
    )
    assert_allclose(new.points[nodes(new, "lug")], bracket.points[nodes(bracket, "lug")], atol=1e-12)
    assert_allclose(np.abs(new.points[nodes(new, "rib_sides"), 1]), 0.5 * rib * MM, atol=1e-7)
    outside = surface_of(new)
    codes = outside.facets @ np.array([8, 1])
    rows = np.flatnonzero(np.isin(codes, new.groups["root_fillet"].facets @ np.array([8, 1])))
    faces = outside.cylinders_through(rows)
    assert faces is not None
    assert_allclose([face.radius for face in faces], radius * MM, rtol=1e-4)
    assert_allclose([face.arc for face in faces], np.pi / 2, rtol=1e-3)


def test_the_bracket_as_drawn_is_the_bracket(bracket):
    assert_allclose(design(bracket, 5 * MM, 10 * MM, 6 * MM).points, bracket.points, atol=2e-8)
