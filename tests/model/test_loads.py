"""Loads as physics: resultants and moments are exact on any mesh."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from builders import BLOCKS, SOLIDS, bar, block, box, merged, rectangle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import ModelError, UnitError
from designtwin.model.domains import facet_domain
from designtwin.plain import Plain

STEEL = dtw.LinearElastic(
    youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0, conductivity=50.0, expansion=12e-6, name="steel"
)


def model_of(mesh, *, section=None, supports=(), cases=None):
    if section is None:
        section = STEEL if mesh.dimension == 3 else dtw.PlaneStress(STEEL, thickness=0.02)
    return dtw.Model(mesh, {dtw.everything(): section}, supports=supports, load_cases=cases or {})


def bent(x):
    """Curves every face but keeps x = 0 and x = 1 flat."""
    out = np.array(x)
    out[:, 1] += 0.1 * x[:, 0] * (1 - x[:, 0]) + 0.05 * x[:, 1] ** 2
    if x[:, 2].any():
        out[:, 2] += 0.1 * x[:, 0] * x[:, 1] + 0.08 * x[:, 0] * (1 - x[:, 0])
    return out


def tube(element, n=(12, 2, 2), *, inner=0.5, outer=1.0, length=0.6, arc=2 * math.pi):
    """A ring about z: the box's ymin becomes the bore, and the seam at x = 0 is joined."""

    def wrap(x):
        radius, angle = inner + (outer - inner) * x[:, 1], arc * x[:, 0]
        return np.column_stack([radius * np.cos(angle), -radius * np.sin(angle), length * x[:, 2]])

    return merged(box(element, n, shape=wrap))


# Totals


@pytest.mark.parametrize("element", BLOCKS)
def test_force_has_its_value_and_goes_through_the_centroid(element):
    mesh = block(element, 3, (2.0, 1.0, 0.5), distort=0.15)
    value = (1.0, -2.0, 3.0) if mesh.dimension == 3 else (1.0, -2.0, 0.0)
    force, moment = dtw.resultant(dtw.Force(on="xmax", value=value), model_of(mesh))
    center = (2.0, 0.5, 0.25) if mesh.dimension == 3 else (2.0, 0.5, 0.0)
    assert_allclose(force, value, atol=1e-12)
    assert_allclose(moment, np.cross(center, value), atol=1e-12)


@pytest.mark.parametrize("element", BLOCKS)
def test_force_on_a_curved_face_has_no_moment_about_its_centroid(element):
    mesh = block(element, 2, shape=bent)
    model = model_of(mesh)
    value = np.array([3.0, 1.0, 2.0 if mesh.dimension == 3 else 0.0])
    load = dtw.Force(on="ymax", value=tuple(value))
    force, moment = dtw.resultant(load, model)
    center = facet_domain(model, mesh.groups["ymax"].facets).center
    assert_allclose(force, value, rtol=1e-12, atol=1e-13)
    assert_allclose(moment, np.cross(center, value), rtol=1e-11, atol=1e-12)


def test_force_does_not_depend_on_how_fine_a_part_of_the_face_is():
    """A face of one coarse and one fine half: equal traction on both."""
    coarse, fine = box("hexahedron", (1, 1, 1)), box("hexahedron", (4, 4, 4), origin=(0.0, 1.0, 0.0))
    from builders import apart

    mesh = apart(coarse, fine)
    model = model_of(mesh)
    nodal = dtw.Force(on="xmax", value=(10.0, 0.0, 0.0)).nodal_forces(model)
    left = mesh.points[:, 1] < 1.0 - 1e-9
    left[: coarse.n_points] = True
    assert_allclose(nodal[left].sum(axis=0), [5.0, 0, 0], atol=1e-12)


@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: np.linalg.norm(a) > 0.1),
    angle=st.floats(0.1, 3.0),
    shift=st.tuples(*[st.floats(-5, 5)] * 3),
)
@settings(max_examples=25, deadline=None)
def test_turning_part_and_load_together_turns_the_nodal_forces(axis, angle, shift):
    k = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    turn = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    mesh = box("tetra10", 1, shape=bent)
    moved = mesh.moved(mesh.points @ turn.T + np.array(shift))
    value, place = np.array([1.0, -2.0, 0.5]), np.array([3.0, 1.0, 2.0])
    here, there = model_of(mesh), model_of(moved)
    for make in (
        lambda r, t: dtw.Force(on="xmax", value=tuple(r @ value)),
        lambda r, t: dtw.Pressure(on="ymax", magnitude=2.0),
        lambda r, t: dtw.Traction(on="ymax", value=tuple(r @ value)),
        lambda r, t: dtw.Moment(on="xmax", value=tuple(r @ value)),
        lambda r, t: dtw.RemoteForce(on="zmax", at=tuple(r @ place + t), value=tuple(r @ value)),
        lambda r, t: dtw.Gravity(direction=tuple(r @ value)),
        lambda r, t: dtw.Centrifugal(speed=10.0, axis=tuple(r @ value), point=tuple(r @ place + t)),
    ):
        before = make(np.eye(3), np.zeros(3)).nodal_forces(here)
        after = make(turn, np.array(shift)).nodal_forces(there)
        assert_allclose(after, before @ turn.T, atol=1e-9 * np.abs(before).max())


@given(cut=st.floats(0.05, 0.95), value=st.tuples(*[st.floats(-1e4, 1e4)] * 3))
@settings(max_examples=25, deadline=None)
def test_splitting_a_face_splits_its_force_by_area(cut, value):
    mesh = box("tetra", 3)
    model = model_of(mesh)
    facets = mesh.groups["xmax"].facets
    some = facets[: max(1, int(cut * len(facets)))]
    whole = dtw.Force(on="xmax", value=value).nodal_forces(model)
    rest = facets[len(some) :]
    share = facet_domain(model, some).measure
    parts = dtw.Force(on=dtw.ids(facets=some), value=tuple(share * np.array(value))).nodal_forces(model)
    if len(rest):
        other = tuple((1.0 - share) * np.array(value))
        parts = parts + dtw.Force(on=dtw.ids(facets=rest), value=other).nodal_forces(model)
    assert_allclose(parts, whole, atol=1e-9 * (1.0 + np.abs(value).max()))


def test_force_on_nodes_is_shared_equally_and_on_cells_by_volume():
    mesh = merged(box("hexahedron", 1), box("hexahedron", 1, (3.0, 1.0, 1.0), origin=(1.0, 0, 0)))
    mesh = mesh.with_groups({"corners": dtw.Group(nodes=np.array([0, 3]))})
    model = model_of(mesh)
    nodal = dtw.Force(on="corners", value=(0.0, 8.0, 0.0)).nodal_forces(model)
    assert_allclose(nodal[[0, 3], 1], 4.0)
    assert_allclose(np.delete(nodal, [0, 3], axis=0), 0.0)
    one = dtw.Force(on=dtw.nearest((0.0, 0.0, 0.0)), value=(1.0, 0.0, 0.0)).nodal_forces(model)
    assert np.count_nonzero(one) == 1
    force, moment = dtw.resultant(dtw.Force(on="body", value=(0.0, 0.0, 6.0)), model)
    assert_allclose(force, [0, 0, 6.0], atol=1e-12)
    assert_allclose(moment, np.cross([2.0, 0.5, 0.5], [0, 0, 6.0]), atol=1e-12)


def test_a_node_group_that_covers_a_face_is_that_face():
    mesh = box("tetra10", 2)
    mesh = mesh.with_groups(
        {"nodes of xmax": dtw.Group(nodes=mesh.nodes_of_facets(mesh.groups["xmax"].facets))}
    )
    model = model_of(mesh)
    by_nodes = dtw.Force(on="nodes of xmax", value=(1.0, 2.0, 3.0)).nodal_forces(model)
    assert_allclose(by_nodes, dtw.Force(on="xmax", value=(1.0, 2.0, 3.0)).nodal_forces(model), atol=1e-14)


def test_force_in_cylindrical_axes_is_the_sum_of_its_components():
    mesh = tube("hexahedron20", (24, 1, 1))
    model = model_of(mesh)
    load = dtw.Force(on="ymax", value=(0.0, 7.0, 0.0), coordinates=dtw.Cylindrical(axis="z"))
    force, moment = dtw.resultant(load, model)
    assert_allclose(force, 0.0, atol=1e-12)
    assert_allclose(moment[2], 7.0 * 1.0, rtol=1e-4)  # radius 1; the facets follow the circle closely


# Pressure


@pytest.mark.parametrize("element", BLOCKS)
def test_pressure_all_around_is_in_balance(element):
    mesh = block(element, 2, distort=0.15, shape=bent)
    force, moment = dtw.resultant(dtw.Pressure(on=dtw.exterior(), magnitude=1.0), model_of(mesh))
    assert_allclose(force, 0.0, atol=1e-12)
    assert_allclose(moment, 0.0, atol=1e-12)


@pytest.mark.parametrize("element", SOLIDS)
def test_pressure_pushes_into_the_body(element):
    mesh = box(element, 2, (1.0, 2.0, 3.0))
    force, moment = dtw.resultant(dtw.Pressure(on="xmax", magnitude="4 MPa"), model_of(mesh))
    assert_allclose(force, [-4e6 * 6.0, 0, 0], rtol=1e-12, atol=1e-6)
    assert_allclose(moment, np.cross([1.0, 1.0, 1.5], force), rtol=1e-12, atol=1e-6)


@pytest.mark.parametrize("element", SOLIDS)
def test_hydrostatic_pressure_is_buoyancy(element):
    """Archimedes on a curved body: weight of the liquid displaced, through the middle of the body."""
    mesh = box(element, 2, distort=0.1, shape=bent)
    model = model_of(mesh)
    load = dtw.HydrostaticPressure(
        on=dtw.exterior(), density="1000 kg/m3", surface=(0, 0, "5 m"), direction="-z", gravity=10.0
    )
    force, moment = dtw.resultant(load, model)
    body = mesh.mass_properties(1000.0)
    assert_allclose(force, [0, 0, 10.0 * body.mass], rtol=1e-12, atol=1e-8)
    assert_allclose(moment, np.cross(body.center, force), rtol=1e-11, atol=1e-7)


def test_nothing_is_wet_above_the_surface():
    mesh = box("hexahedron", (1, 1, 4))
    load = dtw.HydrostaticPressure(on="xmax", density=1000.0, surface=(0, 0, 0.5), gravity=10.0)
    nodal = load.nodal_forces(model_of(mesh))
    assert not nodal[mesh.points[:, 2] > 0.51].any()
    assert_allclose(nodal.sum(axis=0), [-1000 * 10 * 0.5**2 / 2, 0, 0], rtol=1e-12, atol=1e-9)


def test_pressure_that_varies_in_space_is_integrated():
    mesh = box("hexahedron20", 2)
    model = model_of(mesh)
    by_function = dtw.Pressure(on="xmax", magnitude=lambda x: 1.0 + x[:, 1])
    by_nodes = dtw.Pressure(on="xmax", magnitude=dtw.nodal(1.0 + mesh.points[:, 1]))
    for load in (by_function, by_nodes):
        force, moment = dtw.resultant(load, model)
        assert_allclose(force, [-1.5, 0, 0], atol=1e-13)
        assert_allclose(moment, [0, -0.75, 1 / 2 + 1 / 3], atol=1e-13)


# Bearing


@pytest.mark.parametrize("element", ["hexahedron", "hexahedron20", "wedge15", "tetra10"])
def test_bearing_load_has_its_value_and_presses_on_one_half(element):
    model = model_of(tube(element))
    load = dtw.BearingLoad(on="ymin", value=(300.0, 400.0, 0.0))
    nodal = load.nodal_forces(model)
    assert_allclose(nodal.sum(axis=0), [300.0, 400.0, 0.0], atol=1e-8)
    behind = model.mesh.points @ [0.6, 0.8, 0.0] < -0.2
    assert_allclose(nodal[behind], 0.0, atol=1e-12)


def test_bearing_pressure_is_a_cosine():
    """p = p0 max(0, cos) with p0 = 2 F / (pi r L), the textbook distribution."""
    model = model_of(tube("hexahedron20", (72, 1, 1)))
    bearing = dtw.BearingLoad(on="ymin", value=(1000.0, 0.0, 0.0)).nodal_forces(model)
    p0 = 2 * 1000.0 / (math.pi * 0.5 * 0.6)
    cosine = dtw.Pressure(
        on="ymin", magnitude=lambda x: p0 * np.maximum(0.0, x[:, 0] / np.hypot(x[:, 0], x[:, 1]))
    )
    assert_allclose(bearing, cosine.nodal_forces(model), atol=1e-3 * np.abs(bearing).max())


@pytest.mark.parametrize("element", ["hexahedron", "tetra10"])
@pytest.mark.parametrize("value", [(0.0, 0.0, 5.0), (5.0, 0.0, 1.0)])
def test_bearing_load_along_the_bore_is_refused(element, value):
    """Curved tetrahedra do not quite follow the bore; their normals' small part along it carries nothing."""
    with pytest.raises(ModelError, match="square to the axis"):
        model_of(tube(element), cases={"a": [dtw.BearingLoad(on="ymin", value=value)]})


def test_bearing_load_on_a_cone_may_push_along_it():
    def wrap(x):
        radius, angle = 0.5 + 0.5 * x[:, 1] + 0.3 * x[:, 2] * (1 - x[:, 1]), 2 * math.pi * x[:, 0]
        return np.column_stack([radius * np.cos(angle), -radius * np.sin(angle), 0.6 * x[:, 2]])

    model = model_of(merged(box("hexahedron20", (24, 1, 1), shape=wrap)))
    force, _ = dtw.resultant(dtw.BearingLoad(on="ymin", value=(1.0, 0.0, -5.0)), model)
    assert_allclose(force, [1.0, 0, -5.0], rtol=1e-9, atol=1e-9)
    with pytest.raises(ModelError, match="presses on the side"):
        dtw.resultant(dtw.BearingLoad(on="ymin", value=(0.0, 0.0, 5.0)), model)


def test_bearing_load_on_the_half_it_points_to():
    half = tube("hexahedron20", (12, 1, 1), arc=math.pi)  # y <= 0
    force, _ = dtw.resultant(dtw.BearingLoad(on="ymin", value=(0.0, -50.0, 0.0)), model_of(half))
    assert_allclose(force, [0, -50.0, 0], atol=1e-9)
    with pytest.raises(ModelError, match="presses on the side"):
        model_of(half, cases={"a": [dtw.BearingLoad(on="ymin", value=(0.0, 50.0, 0.0))]})


# Remote


@pytest.mark.parametrize("element", SOLIDS)
def test_remote_force_has_its_moment(element):
    mesh = box(element, 2, shape=bent)
    value, at = np.array([1.0, 2.0, -3.0]), np.array([4.0, -1.0, 2.0])
    load = dtw.RemoteForce(on="zmax", at=tuple(at), value=tuple(value))
    force, moment = dtw.resultant(load, model_of(mesh))
    assert_allclose(force, value, rtol=1e-12)
    assert_allclose(moment, np.cross(at, value), rtol=1e-11)


@pytest.mark.parametrize("element", SOLIDS)
def test_moment_is_a_couple(element):
    mesh = box(element, 2, shape=bent)
    model = model_of(mesh)
    force, moment = dtw.resultant(dtw.Moment(on="ymax", value=("1 N*m", "-2 N*m", "30 N*m")), model)
    assert_allclose(force, 0.0, atol=1e-11)
    assert_allclose(moment, [1.0, -2.0, 30.0], rtol=1e-11)
    about = dtw.Moment(on="ymax", value="30 N*m", about="-z")
    assert_allclose(dtw.resultant(about, model)[1], [0, 0, -30.0], atol=1e-11)


def test_remote_force_at_the_centroid_is_a_plain_force():
    model = model_of(box("tetra10", 2))
    remote = dtw.RemoteForce(on="xmax", at=(1.0, 0.5, 0.5), value=(1.0, 2.0, 3.0)).nodal_forces(model)
    assert_allclose(remote, dtw.Force(on="xmax", value=(1.0, 2.0, 3.0)).nodal_forces(model), atol=1e-13)


def test_remote_force_through_nodes():
    mesh = box("hexahedron", 2)
    mesh = mesh.with_groups({"four": dtw.Group(nodes=np.array([0, 2, 6, 26]))})
    force, moment = dtw.resultant(
        dtw.RemoteForce(on="four", at=(9.0, 0, 0), value=(0, 1.0, 0)), model_of(mesh)
    )
    assert_allclose(force, [0, 1.0, 0], atol=1e-13)
    assert_allclose(moment, [0, 0, 9.0], atol=1e-12)


def test_a_line_of_nodes_takes_no_moment_about_itself():
    mesh = box("hexahedron", 2)
    mesh = mesh.with_groups({"edge": dtw.Group(nodes=np.flatnonzero((mesh.points[:, :2] == 0).all(axis=1)))})
    model_of(mesh, cases={"a": [dtw.Moment(on="edge", value=(1.0, 0.0, 0.0))]})
    with pytest.raises(ModelError, match="lie on one line"):
        model_of(mesh, cases={"a": [dtw.Moment(on="edge", value=(0.0, 0.0, 1.0))]})


# Mass


@pytest.mark.parametrize("element", BLOCKS)
def test_gravity_is_the_weight_through_the_center_of_mass(element):
    mesh = block(element, 2, distort=0.1, shape=bent)
    model = model_of(mesh)
    force, moment = dtw.resultant(dtw.Gravity(direction="-y"), model)
    thickness = 1.0 if mesh.dimension == 3 else 0.02
    body = mesh.mass_properties(7850.0 * thickness)
    assert_allclose(force, [0, -9.80665 * body.mass, 0], rtol=1e-12, atol=1e-8)
    assert_allclose(moment, np.cross(body.center, force), rtol=1e-11, atol=1e-8)


def test_accelerating_upward_is_weight():
    model = model_of(box("tetra", 2))
    up = dtw.Acceleration(value=("0 g", "0 g", "1 g")).nodal_forces(model)
    assert_allclose(up, dtw.Gravity(direction="-z").nodal_forces(model), rtol=1e-12)
    brake, _ = dtw.resultant(dtw.Acceleration(value=("-8 m/s2", 0.0, 0.0)), model)
    assert_allclose(brake, [8.0 * 7850.0, 0, 0], rtol=1e-12, atol=1e-8)


@pytest.mark.parametrize("element", SOLIDS)
def test_centrifugal_force_is_mass_radius_speed_squared(element):
    mesh = box(element, 2, distort=0.1, shape=bent)
    model = model_of(mesh)
    body = mesh.mass_properties(7850.0)
    load = dtw.Centrifugal(speed="3000 rpm", axis="z", point=("-2 m", "1 m", "7 m"))
    force, _ = dtw.resultant(load, model)
    arm = (body.center - [-2.0, 1.0, 0.0]) * [1, 1, 0]
    assert_allclose(force, body.mass * (3000 * math.pi / 30) ** 2 * arm, rtol=1e-12, atol=1e-4)
    balanced = dtw.Centrifugal(speed="3000 rpm", axis="z", point=tuple(body.center))
    assert_allclose(dtw.resultant(balanced, model)[0], 0.0, atol=1e-6)


def test_point_mass_weighs_and_spins():
    mesh = box("tetra10", 1)
    mass = dtw.PointMass(on="xmax", mass="100 kg", at=("3 m", "0.5 m", "2 m"))
    plain, loaded = model_of(mesh), model_of(mesh, supports=[mass])
    for load, extra in (
        (dtw.Gravity(), np.array([0, 0, -980.665])),
        (dtw.Acceleration(value=(1.0, 0.0, 0.0)), np.array([-100.0, 0, 0])),
        (dtw.Centrifugal(speed=2.0, axis="y"), 100.0 * 4.0 * np.array([3.0, 0, 2.0])),
    ):
        (f0, m0), (f1, m1) = dtw.resultant(load, plain), dtw.resultant(load, loaded)
        assert_allclose(f1 - f0, extra, rtol=1e-9, atol=1e-7)
        assert_allclose(m1 - m0, np.cross([3.0, 0.5, 2.0], extra), rtol=1e-9, atol=1e-7)
    spread = model_of(mesh, supports=[dtw.PointMass(on="xmax", mass=100.0)])
    assert_allclose(dtw.resultant(dtw.Gravity(), spread)[0] - dtw.resultant(dtw.Gravity(), plain)[0],
                    [0, 0, -980.665], atol=1e-7)  # fmt: skip


# Plane and axisymmetric totals


def test_axisymmetric_loads_are_totals_around_the_ring():
    mesh = rectangle("quad8", 3, (0.5, 2.0), origin=(1.0, 0.0), distort=0.1)
    model = model_of(mesh, section=dtw.Axisymmetric(STEEL))
    force, moment = dtw.resultant(dtw.Pressure(on="ymax", magnitude=2.0), model)
    assert_allclose(force, [0, -2.0 * math.pi * (1.5**2 - 1.0), 0], rtol=1e-12, atol=1e-12)
    assert_allclose(moment, 0.0)
    inside, _ = dtw.resultant(dtw.Pressure(on="xmin", magnitude=2.0), model)
    assert_allclose(inside, [2.0 * 2 * math.pi * 1.0 * 2.0, 0, 0], rtol=1e-12, atol=1e-12)
    total, _ = dtw.resultant(dtw.Force(on="ymax", value=(0.0, 5.0, 0.0)), model)
    assert_allclose(total, [0, 5.0, 0], rtol=1e-12)
    weight, _ = dtw.resultant(dtw.Gravity(direction="-y", magnitude=1.0), model)
    assert_allclose(weight[1], -7850.0 * math.pi * (1.5**2 - 1.0) * 2.0, rtol=1e-12)


def test_plane_stress_loads_are_totals_over_the_thickness():
    model = model_of(rectangle("triangle6", 2), section=dtw.PlaneStress(STEEL, thickness="5 mm"))
    assert_allclose(dtw.resultant(dtw.Pressure(on="xmax", magnitude=1e6), model)[0], [-5e3, 0, 0], atol=1e-9)
    assert_allclose(dtw.resultant(dtw.Force(on="xmax", value=(7.0, 0.0, 0.0)), model)[0], [7.0, 0, 0])
    assert_allclose(dtw.resultant(dtw.Moment(on="xmax", value="3 N*m", about="z"), model)[1], [0, 0, 3.0])


def test_bars_weigh_by_their_area():
    model = dtw.Model(bar(4, 2.0), {"body": dtw.Truss(STEEL, area="100 mm2")})
    force, _ = dtw.resultant(dtw.Gravity(direction="-y", magnitude=10.0), model)
    assert_allclose(force, [0, -7850 * 2.0 * 1e-4 * 10.0, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (dtw.Gravity(direction="-z"), "along z"),
        (dtw.Force(on="xmax", value=(0.0, 0.0, 1.0)), "along z"),
        (dtw.Moment(on="xmax", value=(1.0, 0.0, 0.0)), "about z only"),
        (dtw.Centrifugal(speed=1.0, axis=(1.0, 0.0, 1.0)), "the axis is z"),
    ],
)
def test_loads_out_of_the_plane_are_refused(load, words):
    with pytest.raises(ModelError, match=words):
        model_of(rectangle("quad", 2), cases={"a": [load]})


@pytest.mark.parametrize(
    "load",
    [
        dtw.Gravity(direction="x"),
        dtw.Moment(on="xmax", value=(0.0, 0.0, 1.0)),
        dtw.RemoteForce(on="xmax", at=(0, 0, 0), value=(0.0, 1.0, 0.0)),
        dtw.BearingLoad(on="xmin", value=(1.0, 0.0, 0.0)),
        dtw.Centrifugal(speed=1.0, axis="z"),
    ],
    ids=lambda load: type(load).__name__,
)
def test_loads_that_are_not_axisymmetric_are_refused(load):
    with pytest.raises(ModelError, match="axisymmetric"):
        model_of(rectangle("quad", 2), section=dtw.Axisymmetric(STEEL), cases={"a": [load]})


def test_pressure_needs_a_face():
    mesh = box("hexahedron", 1).with_groups({"tip": dtw.Group(nodes=np.array([0]))})
    with pytest.raises(ModelError, match="Pressure on 'tip' acts on faces"):
        model_of(mesh, cases={"a": [dtw.Pressure(on="tip", magnitude=1.0)]})


def test_a_unit_of_another_dimension_is_named():
    with pytest.raises(UnitError, match="a pressure is wanted"):
        dtw.Pressure(on="xmax", magnitude="2.5 kN")
    with pytest.raises(ModelError, match="3 values"):
        dtw.Force(on="xmax", value="2.5 kN")


# Heat


@pytest.mark.parametrize("element", BLOCKS)
def test_heat_adds_up(element):
    mesh = block(element, 2, distort=0.15)
    model = model_of(mesh)
    t = 1.0 if mesh.dimension == 3 else 0.02
    for load, total in (
        (dtw.HeatFlux(on="xmax", magnitude="5 kW/m2"), 5000.0 * t),
        (dtw.HeatFlow(on="xmax", total="12 W"), 12.0),
        (dtw.HeatFlow(on="body", total="12 W"), 12.0),
        (dtw.HeatSource(on="body", magnitude="2 kW/m3"), 2000.0 * t),
        (dtw.HeatSource(on="body", total="7 W"), 7.0),
        (dtw.HeatSource(on="body", magnitude=lambda x: x[:, 0]), 0.5 * t),
    ):
        assert_allclose(load.nodal_heat(model).sum(), total, rtol=1e-12)


def test_a_body_at_ambient_temperature_exchanges_no_heat():
    mesh = box("wedge15", 2, shape=bent)
    model = model_of(mesh)
    load = dtw.Convection(on="ymax", coefficient=lambda x: 10.0 + x[:, 0], ambient="40 degC")
    heat = load.nodal_heat(model)
    for one in load.matrices(model):
        np.add.at(heat, one.nodes, -one.values.sum(axis=2) * 313.15)
    assert_allclose(heat, 0.0, atol=1e-10)


def test_heat_source_wants_one_of_two():
    with pytest.raises(ModelError, match="either magnitude"):
        dtw.HeatSource(on="body")


# Plain data


ALL = [
    dtw.Force(on="xmax", value=("1 N", "2 kN", "0 N"), coordinates=dtw.Cylindrical(axis="z")),
    dtw.Traction(on=dtw.faces(normal="+x", at="max"), value=(1.0, 2.0, 3.0)),
    dtw.Pressure(on="xmax", magnitude="4 MPa"),
    dtw.HydrostaticPressure(on="xmax", density=1000.0, surface=(0, 0, 1.0)),
    dtw.BearingLoad(on="xmax", value=(1.0, 0.0, 0.0)),
    dtw.RemoteForce(on=["xmax", "xmin"], at=(0, 0, "10 mm"), value=(1.0, 0.0, 0.0)),
    dtw.Moment(on="xmax", value="3 N*m", about="z"),
    dtw.Gravity(),
    dtw.Acceleration(value=(0.0, 0.0, "3 g")),
    dtw.Centrifugal(speed="3000 rpm", axis="z"),
    dtw.HeatFlux(on="xmax", magnitude=5.0),
    dtw.HeatFlow(on="xmax", total="3 W"),
    dtw.HeatSource(on="body", total="3 W"),
    dtw.Convection(on="xmax", coefficient=25.0, ambient="20 degC"),
]


@pytest.mark.parametrize("load", ALL, ids=lambda load: type(load).__name__)
def test_loads_survive_being_written_and_read(load):
    again = Plain.from_dict(json.loads(json.dumps(load.to_dict())))
    assert again == load
    assert again.content_hash() == load.content_hash()
    assert type(again) is type(load)
