"""Selections are rules: the same place on any mesh of the part; one that finds nothing says what is near."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import apart, bar, box, drilled, merged, rectangle, ring
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.errors import SelectionError, UnitError
from designtwin.mesh import Group, displacements
from designtwin.mesh.selections import Selection, count_pieces, distance_to, select
from designtwin.mesh.surface import surface_of

MESHES = Path(__file__).parents[2] / "meshes"
MM = 1e-3


def part(element="tetra10", n=3):
    return box(element, n, (0.03, 0.02, 0.01))


def found(mesh, selection):
    return {tuple(f) for f in select(selection).resolve(mesh).facets.tolist()}


# --- one rule each ---


@pytest.mark.parametrize("element", ["tetra", "tetra10", "hexahedron20", "wedge15", "pyramid13"])
@pytest.mark.parametrize("side", ["xmin", "xmax", "ymin", "ymax", "zmin", "zmax"])
def test_faces_by_direction_and_position_are_the_sides(element, side):
    mesh = part(element)
    normal = ("-" if side.endswith("min") else "+") + side[0]
    rule = dtw.faces(normal=normal, at=side[1:])
    assert found(mesh, rule) == found(mesh, side)
    assert (rule.resolve(mesh).nodes == dtw.group(side).resolve(mesh).nodes).all()
    assert found(mesh, dtw.faces(normal)) == found(mesh, side)


def test_at_counts_along_the_axis_not_along_the_normal():
    step = merged(
        box("hexahedron", 1),
        box("hexahedron", 1, origin=(0.0, 0.0, 1.0)),
        box("hexahedron", 1, origin=(1.0, 0.0, 0.0)),
    )
    low, high = dtw.faces("+z", at="min").resolve(step), dtw.faces("+z", at="max").resolve(step)
    assert_allclose(step.points[low.nodes, 2], 1.0)
    assert_allclose(step.points[high.nodes, 2], 2.0)
    assert found(step, dtw.faces("+z", at=1.0)) == found(step, dtw.faces("+z", at="min"))
    assert_allclose(step.points[dtw.faces("-z", at="min").resolve(step).nodes, 2], 0.0)


def test_faces_takes_vectors_angles_and_a_place_to_look_in():
    mesh = ring("hexahedron20")
    x, y = np.cos(0.3), np.sin(0.3)
    rule = dtw.faces((x, y, 0), angle="20 deg", within="outer")
    normals = mesh.facet_vectors(rule.resolve(mesh).facets)[0]
    turn = np.degrees(np.arccos(normals @ [x, y, 0] / np.linalg.norm(normals, axis=1)))
    assert 0 < len(turn) < len(mesh.groups["outer"].facets)
    assert turn.max() <= 20
    assert found(mesh, rule) <= found(mesh, "outer")
    everywhere = dtw.faces((x, y, 0), angle="20 deg")
    assert found(mesh, everywhere) - found(mesh, rule) <= found(mesh, "inner")


def test_plane_finds_nodes_inside_and_facets_on_it():
    mesh = part(n=2)
    cut = dtw.plane(("15 mm", 0, 0), "x").resolve(mesh)
    assert_allclose(mesh.points[cut.nodes, 0], 0.015)
    assert len(cut.nodes) == 25
    assert len(cut.facets) == len(cut.cells) == 0
    assert found(mesh, dtw.plane((0, 0, 0.01), (0, 0, 2.0))) == found(mesh, "zmax")


def test_box_takes_facets_and_cells_wholly_inside():
    mesh = part("hexahedron", (3, 2, 1))
    half = dtw.box((0, 0, 0), ("10 mm", "10 mm", "10 mm")).resolve(mesh)
    assert (len(half.cells), len(half.facets), len(half.nodes)) == (1, 4, 8)
    assert len(dtw.box((0, 0, 0), ("9.9 mm", "20 mm", "10 mm")).resolve(mesh).cells) == 0
    above = dtw.box((None, "10 mm", None), (None, None, None)).resolve(mesh)
    assert len(above.cells) == 3


def test_sphere_and_cylinder_of_space():
    mesh = part("hexahedron", (30, 20, 10))
    ball = dtw.sphere((0.015, 0.01, 0.005), "4 mm").resolve(mesh)
    assert (np.linalg.norm(mesh.points[ball.nodes] - [0.015, 0.01, 0.005], axis=1) <= 4.0001 * MM).all()
    assert len(ball.nodes) == 257  # lattice points within 4 of the origin
    core = dtw.cylinder(center=(0.015, 0.01, 0), axis="z", radius="3 mm").resolve(mesh)
    assert len(core.nodes) == 29 * 11
    assert_allclose(
        dtw.cylinder(center=(0.015, 0.01, 7), axis="-z", diameter=0.006).resolve(mesh).nodes, core.nodes
    )


def test_nearest_node_and_the_face_under_a_click():
    mesh = part()
    corner = dtw.nearest(("31 mm", "21 mm", "11 mm"))
    assert_allclose(mesh.points[corner.resolve(mesh).nodes], [[0.03, 0.02, 0.01]])
    inner = dtw.nearest(("31 mm", "21 mm", "11 mm"), within="zmin")
    assert_allclose(mesh.points[inner.resolve(mesh).nodes], [[0.03, 0.02, 0.0]])
    assert found(mesh, dtw.feature(dtw.nearest((0.015, 0.01, 0.01)))) == found(mesh, "zmax")


@pytest.mark.parametrize("element", ["tetra", "tetra10", "hexahedron", "hexahedron20", "wedge15"])
def test_feature_grows_around_curves_and_stops_at_edges(element):
    mesh = ring(element, (2, 24, 3))
    seed = dtw.nearest((0.01, 0, 0.003))
    assert found(mesh, dtw.feature(seed)) == found(mesh, "outer")
    assert found(mesh, dtw.feature("inner")) == found(mesh, "inner")
    assert found(mesh, dtw.feature(seed, "120 deg")) == found(mesh, dtw.exterior())


def test_feature_goes_over_edges_below_its_angle_only():
    octagon = ring("hexahedron", (1, 8, 3))  # 45 degrees at each edge
    strip = dtw.feature(dtw.ids(facets=octagon.groups["outer"].facets[:1]), "40 deg")
    assert len(strip.resolve(octagon).facets) == 3
    round_it = dtw.feature(dtw.ids(facets=octagon.groups["outer"].facets[:1]), "50 deg")
    assert found(octagon, round_it) == found(octagon, "outer")


def test_second_order_facets_are_smooth_however_coarse():
    coarse = ring("hexahedron20", (1, 6, 1))  # 60 degrees a cell
    assert found(coarse, dtw.feature(dtw.nearest((0.01, 0, 0.003)), "5 deg")) == found(coarse, "outer")


def test_near_reaches_by_distance_from_faces_not_only_from_nodes():
    coarse = box("hexahedron", (1, 1, 40), (0.1, 0.1, 0.1))
    rim = dtw.near("zmin", "10 mm").resolve(coarse)
    assert set(np.round(coarse.points[rim.nodes, 2], 6)) == {0.0, 0.0025, 0.005, 0.0075, 0.01}
    slab = apart(
        box("hexahedron", 1, (1.0, 1.0, 0.1)), box("hexahedron", 1, (0.1, 0.1, 0.1), origin=(0.5, 0.5, 0.15))
    )
    slab = slab.with_groups({"plate": Group(facets=np.array([[0, 1]]))})
    over = dtw.near("plate", "60 mm").resolve(
        slab
    )  # the small cube hovers 50 mm above the middle of one facet
    assert len(over.nodes) == 8
    assert (slab.points[over.nodes, 2] <= 0.16).all()


@pytest.mark.parametrize("element", ["tetra10", "hexahedron20"])
def test_distance_from_a_curved_face_is_true(element):
    mesh = ring(element, (4, 24, 3))
    truth = np.hypot(mesh.points[:, 0], mesh.points[:, 1]) - 0.004
    got = distance_to(mesh, "inner", limit=0.004)
    reached = np.isfinite(got)
    assert_allclose(got[reached], truth[reached], atol=0.002 * 0.004)
    assert (truth[~reached] > 0.998 * 0.004).all()
    assert_allclose(distance_to(mesh, "inner"), truth, atol=0.002 * 0.004)


def test_distance_from_facets_of_all_sizes_is_that_of_the_nearest():
    mesh = box("tetra", 3, distort=0.25).moved(box("tetra", 3, distort=0.25).points * [1.0, 10.0, 0.3])
    mesh = mesh.with_groups({"fan": Group(facets=mesh.exterior[::7])})
    triangles = mesh.points[mesh.facets(mesh.groups["fan"].facets)[0].conn]
    t = np.linspace(0, 1, 81)
    weights = np.array([(1 - a - b, a, b) for a in t for b in t if a + b <= 1 + 1e-12])
    cloud = np.einsum("qn,fna->fqa", weights, triangles).reshape(-1, 3)
    rough = np.array([np.linalg.norm(cloud - p, axis=1).min() for p in mesh.points])
    got = distance_to(mesh, "fan")
    assert (got <= rough + 1e-12).all()
    assert_allclose(got, rough, atol=0.07)


def test_near_a_set_of_cells_measures_from_its_skin():
    mesh = box("hexahedron", (10, 1, 1), (10.0, 1.0, 1.0))
    mesh = mesh.with_groups({"first": Group(cells=np.array([0, 1]))})
    region = dtw.near("first", 1.0).resolve(mesh)
    assert region.cells.tolist() == [0, 1, 2]


def test_everything_exterior_and_ids():
    mesh = part()
    whole = dtw.everything().resolve(mesh)
    assert (len(whole.nodes), len(whole.cells)) == (mesh.n_points, mesh.n_cells)
    assert found(mesh, dtw.exterior()) == {tuple(f) for f in mesh.exterior.tolist()}
    own = dtw.ids(nodes=[3], facets=[(0, 1)], cells=[2]).resolve(mesh)
    assert own.cells.tolist() == [2]
    assert len(own.nodes) >= 10
    with pytest.raises(SelectionError, match="there is no 99999"):
        dtw.ids(nodes=[99999]).resolve(mesh)


# --- groups ---


def test_what_a_group_does_not_state_follows_from_what_it_does():
    mesh = part("tetra10")
    top = dtw.group("zmax").resolve(mesh)
    by_nodes = mesh.with_groups({"top": Group(nodes=top.nodes)})
    assert found(by_nodes, "top") == found(mesh, "zmax")
    body = dtw.group("body").resolve(mesh)
    assert len(body.nodes) == mesh.n_points
    assert len(body.facets) == len(mesh.exterior)
    assert len(body.cells) == mesh.n_cells


# --- cylinders as features ---


@pytest.mark.parametrize("element", ["tetra", "tetra10", "hexahedron", "hexahedron20", "wedge", "wedge15"])
def test_holes_are_found_by_diameter_alone(element):
    plate = drilled(element, radius=4.25 * MM)
    assert found(plate, dtw.cylinder(diameter="8.5 mm")) == found(plate, "hole")
    assert found(plate, dtw.cylinder(radius="4.25 mm", kind="hole")) == found(plate, "hole")


@pytest.mark.parametrize("element", ["hexahedron", "hexahedron20", "tetra10"])
def test_an_eight_sided_first_mesh_still_has_its_hole(element):
    plate = drilled(element, (2, 8, 1), radius=4.25 * MM)
    assert found(plate, dtw.cylinder(diameter="8.5 mm")) == found(plate, "hole")


def test_cylinder_picks_by_axis_center_and_kind():
    two = apart(
        drilled(radius=4 * MM),
        drilled(radius=4 * MM, origin=(0.05, 0, 0)),
        drilled(radius=3 * MM, origin=(0.1, 0, 0)),
    )
    assert count_pieces(two, dtw.cylinder(diameter="8 mm").resolve(two)) == 2
    one = dtw.cylinder(diameter="8 mm", center=(0.05, 0, 1.0)).resolve(two)
    assert_allclose(two.points[one.nodes, 0].mean(), 0.05)
    assert found(two, dtw.cylinder(diameter="6 mm", axis="z")) <= found(two, dtw.cylinder(kind="hole"))
    with pytest.raises(SelectionError, match=r"8 mm \(2 holes\), 6 mm \(1 hole\)"):
        dtw.cylinder(diameter="8 mm", axis="x").resolve(two)
    tube = ring("tetra10")
    assert found(tube, dtw.cylinder(kind="pin")) == found(tube, "outer")
    assert found(tube, dtw.cylinder(kind="hole")) == found(tube, "inner")


def test_holes_of_plane_meshes_are_found_too():
    def bent(x):
        angle = 2 * np.pi * x[:, 1]
        r = 0.003 + 0.007 * x[:, 0]
        return np.column_stack([r * np.cos(angle), r * np.sin(angle), 0 * angle])

    disk = merged(rectangle("quad8", (2, 12), shape=bent))
    assert found(disk, dtw.cylinder(diameter="6 mm")) == found(disk, "xmin")
    assert found(disk, dtw.faces("+x", angle="20 deg", within="xmax")) < found(disk, "xmax")


# --- logic ---


def test_logic_works_on_nodes_facets_and_cells_each():
    mesh = part("hexahedron", 4)
    left = dtw.box((None,) * 3, ("15 mm", None, None))
    right = dtw.box(("15 mm", None, None), (None,) * 3)
    both = (left & right).resolve(mesh)
    assert_allclose(mesh.points[both.nodes, 0], 0.015)
    assert len(both.cells) == 0
    assert len((left | right).resolve(mesh).cells) == 64
    rest = (~left).resolve(mesh)
    assert (mesh.points[rest.nodes, 0] > 0.0151).all()
    assert len(rest.cells) == 32
    edge = ("zmax" & dtw.group("xmax")).resolve(mesh)
    assert_allclose(mesh.points[edge.nodes][:, [0, 2]], [[0.03, 0.01]] * 5)
    assert found(mesh, dtw.exterior() - "zmax") == found(mesh, dtw.exterior()) - found(mesh, "zmax")
    assert found(mesh, "zmax" | dtw.group("zmin")) == found(mesh, ["zmin", "zmax"])


def test_de_morgan_holds_and_double_complement_is_the_rule_itself():
    mesh = part("tetra10", 3)
    a, b = dtw.near("xmin", "15 mm"), dtw.sphere((0.015, 0.01, 0.005), "8 mm")
    for one, other in ((~(a | b), ~a & ~b), (~(a & b), ~a | ~b)):
        x, y = one.resolve(mesh), other.resolve(mesh)
        assert (x.nodes == y.nodes).all()
        assert (x.facets == y.facets).all()
        assert (x.cells == y.cells).all()
    assert ~~a == a


def test_and_or_not_of_python_are_refused():
    with pytest.raises(SelectionError, match=r"combine rules with & \| ~"):
        dtw.group("a") and dtw.group("b")
    with pytest.raises(SelectionError, match=r"combine rules with & \| ~"):
        not dtw.group("a")


# --- nothing found says what is near ---


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda: dtw.faces("+z", at="12 mm"), r"flat faces that look that way lie at z = 10 mm \(600 mm²\)"),
        (lambda: dtw.faces((1, 1, 0)), r"the nearest looks along (\+x|\+y), 45° off"),
        (lambda: dtw.box(("40 mm", 0, 0), ("50 mm", 1, 1)), r"at \(30, 0, 0\) mm, is 10 mm away"),
        (lambda: dtw.sphere((0.1, 0.01, 0.005), "5 mm"), "is 65.1 mm away"),
        (lambda: dtw.plane((0, 0, "11 mm"), "z"), "is 1 mm off"),
        (lambda: dtw.cylinder(diameter="8 mm"), "no cylindrical faces"),
        (lambda: dtw.cylinder(center=(0, 0, 0.1), axis="x", radius="2 mm"), "is 88 mm away"),
        (lambda: dtw.group("zmax") & "zmin", "with nothing in common; they are 10 mm apart"),
        (lambda: ~dtw.everything(), "is the whole mesh"),
        (lambda: dtw.group("zmxa"), "did you mean 'zmax'"),
        (lambda: dtw.near("lugg", "4 mm"), "no group 'lugg'"),
        (lambda: dtw.faces("+x", within=dtw.nearest((0, 0, 0))), "has no outside facets"),
        (lambda: dtw.faces("+z", at="max") & dtw.sphere((9, 9, 9), 0.1), r"\(9000, 9000, 9000\)"),
    ],
)  # fmt: skip
def test_a_rule_that_finds_nothing_says_what_is_near(rule, says):
    with pytest.raises(SelectionError, match=says):
        rule().resolve(part("hexahedron"))


def test_a_missing_diameter_lists_those_there_are():
    with pytest.raises(SelectionError, match=r"diameter 9 mm.*have the diameters 8.5 mm \(1 hole\)"):
        dtw.cylinder(diameter="9 mm").resolve(drilled())


def test_curved_faces_have_no_position():
    with pytest.raises(SelectionError, match="are curved"):
        dtw.faces((1, 0.1, 0), at="max", angle="20 deg").resolve(ring("tetra10"))


def test_a_bar_has_no_faces():
    with pytest.raises(SelectionError, match="mesh of lines has no outside"):
        dtw.exterior().resolve(bar(3))


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: dtw.faces("+w"), SelectionError, r"'\+x', '-x'"),
        (lambda: dtw.faces((0, 0, 0)), SelectionError, "not all zero"),
        (lambda: dtw.faces(at="max"), SelectionError, "needs a normal"),
        (lambda: dtw.faces("+x", at="5 N"), UnitError, "a length is wanted"),
        (lambda: dtw.box(0, 1), SelectionError, "three lengths"),
        (lambda: dtw.box((1, 0, 0), (0, 1, 1)), SelectionError, "low x 1000 mm is above high x 0 mm"),
        (lambda: dtw.sphere((0, 0), -1), SelectionError, "above zero"),
        (lambda: dtw.cylinder(diameter=1, radius=1), SelectionError, "not both"),
        (lambda: dtw.cylinder(radius=1, on_surface=False), SelectionError, "all three"),
        (lambda: dtw.cylinder(kind="slot"), SelectionError, "'hole'"),
        (lambda: dtw.near("a", "4 deg"), UnitError, "a length is wanted"),
        (lambda: dtw.select(None), SelectionError, "a group name or a selection"),
        (lambda: dtw.select([]), SelectionError, "a group name or a selection"),
        (lambda: dtw.group(""), SelectionError, "a group's name"),
        (lambda: dtw.feature("a", "400 deg"), SelectionError, "between 0 and 180"),
    ],
)
def test_rules_are_checked_where_they_are_written(make, error, says):
    with pytest.raises(error, match=says):
        make()


# --- expectations ---


def test_a_rule_that_suddenly_finds_another_area_is_an_error():
    plate = drilled("tetra10", radius=4.25 * MM)
    hole = dtw.cylinder(diameter="8.5 mm")
    area = np.pi * 8.5 * 5
    assert found(plate, hole.expect(pieces=1, area=f"{area} mm2")) == found(plate, "hole")
    with pytest.raises(SelectionError, match="finds 1 separate faces on this mesh, 4 were expected"):
        hole.expect(pieces=4).resolve(plate)
    with pytest.raises(
        SelectionError, match=r"finds 133\.\d+ mm² on this mesh, 1000 mm² or more was expected"
    ):
        hole.expect(smallest="1000 mm2").resolve(plate)
    with pytest.raises(SelectionError, match="10 mm² to 12 mm² was expected"):
        hole.expect(smallest="10 mm2", largest="12 mm2").resolve(plate)


# --- words and plain data ---

RULES = [
    (lambda: dtw.group("bolt_holes"), "'bolt_holes'"),
    (lambda: dtw.near("bolt_holes", "4 mm"), "within 4 mm of 'bolt_holes'"),
    (lambda: dtw.faces(normal="+x", at="max"), "faces facing +x at the highest x"),
    (lambda: dtw.faces("-z", at="12 mm", within="body"), "faces facing -z at z = 12 mm within 'body'"),
    (lambda: dtw.plane((0, 0, "5 mm"), "-z"), "the plane through (0, 0, 5) mm square to +z"),
    (lambda: dtw.box((0, None, None), ("5 mm", None, "2 mm")), "the box x from 0 to 5 mm, z below 2 mm"),
    (lambda: dtw.sphere((0, 0, "1 mm"), "5 mm"), "the sphere of radius 5 mm around (0, 0, 1) mm"),
    (lambda: dtw.cylinder(diameter="8.5 mm"), "holes and pins of diameter 8.5 mm"),
    (lambda: dtw.cylinder(radius="6 mm", kind="fillet"), "fillets of radius 6 mm"),
    (lambda: dtw.cylinder(center=(0, 0, 0), axis="y", radius=0.01),
     "the cylinder of diameter 20 mm around (0, 0, 0) mm along +y"),
    (lambda: dtw.nearest((0, 0, "7 mm")), "the node nearest (0, 0, 7) mm"),
    (lambda: dtw.feature("back", "20 deg"), "the faces grown from 'back' up to edges of 20°"),
    (lambda: dtw.exterior() - "base", "the whole outside except 'base'"),
    (lambda: ~dtw.near("lug", "4 mm"), "everything except within 4 mm of 'lug'"),
    (lambda: select(["a", "b"]) & dtw.everything(), "('a' or 'b') in common with everything"),
    (lambda: dtw.cylinder(diameter="9 mm").expect(pieces=4), "holes and pins of diameter 9 mm"),
    (lambda: dtw.ids(nodes=range(1, 7), facets=[(0, 1)]), "nodes 1, 2, 3, 4 and 2 more and facets (0, 1)"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), RULES)
def test_a_rule_reads_as_words(make, words):
    assert str(make()) == words


@pytest.mark.parametrize("make", [make for make, _ in RULES])
def test_a_rule_survives_json_and_keeps_its_hash(make):
    rule = make()
    back = Selection.from_dict(json.loads(json.dumps(rule.to_dict())))
    assert back == rule
    assert hash(back) == hash(rule)
    assert back.content_hash() == rule.content_hash()


def test_equal_rules_are_equal_however_written():
    assert dtw.faces("+x") == dtw.faces("X") == dtw.faces((2.0, 0, 0))
    assert dtw.near("a", "4 mm") == dtw.near(dtw.group("a"), 0.004) != dtw.near("a", "5 mm")
    assert dtw.box((0, 0, 0), (1, 1, None)) == dtw.box((0, 0, 0), ("1 m", 1, float("inf")))


def test_words_follow_the_display_units():
    rule = dtw.near("lug", "25.4 mm")
    before = dtw.display_units("in", "lbf", "psi", "degF")
    try:
        assert str(rule) == "within 1 in of 'lug'"
    finally:
        dtw.display_units(*before)


# --- the same place on any mesh ---


@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 4), seed=st.integers(0, 99), factor=st.sampled_from([1.0, 1e-3, 25.4e-3]))
def test_rules_find_the_same_area_on_every_mesh_and_in_every_unit(n, seed, factor):
    def area(mesh, rule):
        return np.linalg.norm(mesh.facet_vectors(rule.resolve(mesh).facets)[0], axis=1).sum()

    mesh = box("tetra10", n, (3.0 * factor, 2.0 * factor, 1.0 * factor), distort=0.15, seed=seed)
    assert_allclose(area(mesh, dtw.faces("+x", at="max")), 2.0 * factor**2)
    assert_allclose(area(mesh, dtw.faces("-z", at="min")), 6.0 * factor**2)
    assert_allclose(area(mesh, dtw.feature("ymax")), 3.0 * factor**2)
    assert_allclose(area(mesh, dtw.exterior()), 22.0 * factor**2)
    assert len(dtw.near("xmin", 1e-6 * factor).resolve(mesh).facets) == len(mesh.groups["xmin"].facets)


def test_a_region_is_found_once_per_mesh():
    mesh = part()
    assert dtw.faces("+x").resolve(mesh) is dtw.faces("+x").resolve(mesh)
    assert dtw.faces("+x").resolve(part()) is not dtw.faces("+x").resolve(mesh)


# --- the bracket ---


@pytest.fixture(scope="module")
def bracket():
    return dtw.read_mesh(MESHES / "bracket.msh", length_unit="mm")


RULES_OF_THE_BRACKET = {
    "bolt_holes": lambda: dtw.cylinder(diameter="9 mm", axis="z").expect(pieces=4),
    "pad": lambda: dtw.faces(normal="+x", at="max"),
    "base": lambda: dtw.faces(normal="-z", at="min"),
    "back": lambda: dtw.faces(normal="+x", at="min"),
}


@pytest.mark.parametrize("name", RULES_OF_THE_BRACKET)
def test_rules_find_the_faces_of_the_bracket_that_its_groups_name(bracket, name):
    assert found(bracket, RULES_OF_THE_BRACKET[name]()) == found(bracket, name)


def test_the_lug_bore_is_a_hole_along_y(bracket):
    (face,) = [f for f in surface_of(bracket).cylinders if f.kind == "hole" and abs(f.axis[1]) > 0.99]
    rule = dtw.cylinder(diameter=2 * face.radius, axis="y")
    assert found(bracket, rule) == found(bracket, "lug")


@pytest.mark.parametrize("variant", range(100 if FULL else 6))
def test_rules_stay_right_on_variants_of_the_bracket(bracket, variant):
    rng = np.random.default_rng(variant)
    thick, wide, radius = rng.uniform((3, 5, 2), (8, 20, 10)) * MM
    moves = [
        dtw.stretch("z", {0.0: 5 * MM - thick, 5 * MM: 5 * MM}),
        dtw.stretch("x", {-5 * MM: -5 * MM, 0.0: thick - 5 * MM}),
        dtw.stretch("y", {-wide: -wide - 1 * MM, wide: wide + 1 * MM}),
        dtw.fillet("root_fillet", radius=radius),
    ]
    mesh = bracket.moved(bracket.points + displacements(bracket, *moves))
    for name in ("pad", "base", "back"):
        assert found(mesh, RULES_OF_THE_BRACKET[name]()) == found(mesh, name), name
    fillet = dtw.cylinder(radius=float(radius), kind="fillet", axis="y", tolerance="0.01 mm")
    assert found(mesh, "root_fillet") <= found(mesh, fillet)
