"""Supports: which directions are held where, springs and masses, contradictions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from builders import BLOCKS, block, box, merged, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import ModelError
from designtwin.model.supports import node_normals
from designtwin.plain import Plain

STEEL = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0, name="steel")


def model_of(mesh, supports=(), cases=None):
    section = STEEL if mesh.dimension == 3 else dtw.PlaneStress(STEEL, thickness=0.02)
    return dtw.Model(mesh, {dtw.everything(): section}, supports=supports, load_cases=cases or {})


def turned(mesh, degrees=30.0):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return mesh.moved(mesh.points @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]).T), np.array([c, s, 0.0])


def tube(element, n=(24, 1, 1)):
    def wrap(x):
        radius, angle = 0.5 + 0.5 * x[:, 1], -2 * math.pi * x[:, 0]
        return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), x[:, 2]])

    return merged(box(element, n, shape=wrap))


# Symmetry


@pytest.mark.parametrize("element", BLOCKS)
def test_symmetry_on_a_flat_face_holds_one_axis(element):
    mesh = block(element, 2, distort=0.1)
    (held,) = dtw.Symmetry(on="xmin").prescribed(model_of(mesh))
    assert held.axes is None
    assert_allclose(held.nodes, mesh.nodes_of_facets(mesh.groups["xmin"].facets))
    assert (held.fixed == [True, False, False]).all()


@pytest.mark.parametrize("element", BLOCKS)
def test_symmetry_on_a_tilted_face_holds_its_normal(element):
    mesh, normal = turned(block(element, 2))
    (held,) = dtw.Symmetry(on="xmax").prescribed(model_of(mesh))
    assert_allclose(held.axes[:, 0], np.broadcast_to(normal, (len(held.nodes), 3)), atol=1e-12)
    assert (held.fixed == [True, False, False]).all()
    assert_allclose(held.axes @ held.axes.transpose(0, 2, 1), np.broadcast_to(np.eye(3), held.axes.shape),
                    atol=1e-14)  # fmt: skip
    assert_allclose(np.linalg.det(held.axes), 1.0)


@pytest.mark.parametrize("element", ["hexahedron", "hexahedron20", "tetra10", "wedge15"])
def test_a_frictionless_bore_holds_the_radius(element):
    mesh = tube(element)
    out = dtw.Symmetry(on="ymin").prescribed(model_of(mesh))
    normals = np.concatenate([
        held.axes[:, 0] if held.axes is not None else np.where(held.fixed, 1.0, 0.0) for held in out
    ])  # fmt: skip
    nodes = np.concatenate([held.nodes for held in out])
    assert len(np.unique(nodes)) == len(nodes) == len(mesh.nodes_of_facets(mesh.groups["ymin"].facets))
    radial = mesh.points[nodes] * [1, 1, 0] / 0.5
    tolerance = 1e-2 if element == "tetra10" else 1e-3
    assert_allclose(np.abs(np.einsum("ki,ki->k", normals, radial)), 1.0, atol=tolerance)


def test_symmetry_on_faces_that_meet_holds_the_edge_square_to_both():
    mesh = box("tetra10", 2)
    out = dtw.Symmetry(on=["xmin", "ymin"]).prescribed(model_of(mesh))
    fixed = np.zeros((mesh.n_points, 3), bool)
    for held in out:
        assert held.axes is None
        fixed[held.nodes] |= held.fixed
    at_x, at_y = np.abs(mesh.points[:, 0]) < 1e-9, np.abs(mesh.points[:, 1]) < 1e-9
    assert (fixed == np.column_stack([at_x, at_y, np.zeros(mesh.n_points, bool)])).all()


def test_symmetry_on_tilted_faces_that_meet():
    mesh, normal = turned(box("hexahedron", 2))
    model = model_of(mesh, [dtw.Symmetry(on=["xmax", "ymax"]), dtw.FixedSupport(on="zmin")],
                     {"a": [dtw.Traction(on="zmax", value=(0.0, 0.0, 1e6))]})  # fmt: skip
    u = dtw.solve_static(model).displacement
    side = np.array([-normal[1], normal[0], 0.0])
    for name, n in (("xmax", normal), ("ymax", side)):
        nodes = mesh.nodes_of_facets(mesh.groups[name].facets)
        assert np.abs(u[nodes] @ n).max() < 1e-12 * np.abs(u).max() + 1e-20
    assert np.abs(u).max() > 0


def test_normals_point_outward():
    mesh = box("wedge15", 2)
    nodes, _, normals = node_normals(mesh, mesh.exterior)
    outward = mesh.points[nodes] - 0.5
    assert (np.einsum("ki,ki->k", normals, outward) > 0.49).all()
    corners = np.unique(nodes, return_counts=True)[1]
    assert sorted(np.unique(corners)) == [1, 2, 3]  # faces, edges, corners of a box


def test_symmetry_needs_a_face():
    mesh = box("hexahedron", 1).with_groups({"tip": dtw.Group(nodes=np.array([0]))})
    with pytest.raises(ModelError, match="needs faces"):
        model_of(mesh, [dtw.Symmetry(on="tip")])


# Prescribed displacement


def test_prescribed_components_and_free_ones():
    mesh = box("hexahedron", 1)
    (held,) = dtw.PrescribedDisplacement(on="xmax", x="0.1 mm", z=0.0).prescribed(model_of(mesh))
    assert (held.fixed == [True, False, True]).all()
    assert_allclose(held.value, np.tile([1e-4, 0, 0], (4, 1)))
    with pytest.raises(ModelError, match="at least one"):
        dtw.PrescribedDisplacement(on="xmax")


def test_prescribed_field_is_taken_at_the_nodes():
    mesh = box("tetra10", 2)
    (held,) = dtw.PrescribedDisplacement(on="xmax", x=lambda p: 1e-3 * p[:, 1]).prescribed(model_of(mesh))
    assert_allclose(held.value[:, 0], 1e-3 * mesh.points[held.nodes, 1])


def test_prescribed_in_cylindrical_axes():
    mesh = tube("hexahedron20")
    model = model_of(mesh)
    axes = dtw.Cylindrical(axis="z")
    (held,) = dtw.PrescribedDisplacement(on="ymin", x="1 mm", coordinates=axes).prescribed(model)
    radial = mesh.points[held.nodes] * [1, 1, 0]
    assert_allclose(held.axes[:, 0], radial / np.linalg.norm(radial, axis=1)[:, None], atol=1e-12)
    assert_allclose(held.value[:, 0], 1e-3)
    # All three given: the same in global axes, and nothing to turn.
    (all_,) = dtw.PrescribedDisplacement(on="ymin", x=1e-3, y=0.0, z=0.0, coordinates=axes).prescribed(model)
    assert all_.axes is None
    assert_allclose(all_.value, 1e-3 * held.axes[:, 0], atol=1e-15)


def test_plane_models_hold_x_and_y_only():
    model = model_of(rectangle("quad", 1))
    (held,) = dtw.FixedSupport(on="xmin").prescribed(model)
    assert (held.fixed == [True, True, False]).all()
    with pytest.raises(ModelError, match="no displacement along z"):
        model_of(rectangle("quad", 1), [dtw.PrescribedDisplacement(on="xmin", z=0.0)])


# Springs and foundations


def energy(model, support, u):
    """Half u K u of a displacement [n_points, 3]."""
    total = 0.0
    for one in support.matrices(model):
        local = u[one.nodes].reshape(len(one.nodes), -1)
        total += 0.5 * np.einsum("ki,kij,kj->", local, one.values, local)
    return total


@pytest.mark.parametrize("element", ["tetra10", "hexahedron", "wedge15", "pyramid13"])
def test_foundation_stores_what_its_stiffness_says(element):
    mesh, normal = turned(box(element, 2, (1.0, 2.0, 3.0)))
    model = model_of(mesh)
    bed = dtw.ElasticFoundation(on="xmax", normal="2 N/mm3", tangential="0.5 N/mm3")
    along = np.broadcast_to(normal, mesh.points.shape)
    across = np.broadcast_to([0.0, 0.0, 1.0], mesh.points.shape)
    assert_allclose(energy(model, bed, along), 0.5 * 2e9 * 6.0, rtol=1e-12)
    assert_allclose(energy(model, bed, across), 0.5 * 0.5e9 * 6.0, rtol=1e-12)


def test_spring_is_a_total():
    mesh = box("tetra10", 2)
    model = model_of(mesh)
    for on in ("xmax", dtw.nearest((1.0, 1.0, 1.0)), "body"):
        spring = dtw.Spring(on=on, stiffness=("500 N/mm", "20 N/mm", 0.0))
        for axis, k in enumerate((5e5, 2e4, 0.0)):
            u = np.zeros_like(mesh.points)
            u[:, axis] = 1.0
            assert_allclose(energy(model, spring, u), 0.5 * k, rtol=1e-12, atol=1e-9)


def test_a_block_on_springs_sinks_by_force_over_stiffness():
    mesh = box("hexahedron", 2)
    model = model_of(
        mesh,
        [dtw.Spring(on="zmin", stiffness=("1 kN/mm", "1 kN/mm", "2 kN/mm"))],
        {"a": [dtw.Force(on="zmin", value=(0.0, 0.0, -500.0))]},
    )
    result = dtw.solve_static(model)
    assert_allclose(result.displacement[:, 2].mean(), -500.0 / 2e6, rtol=1e-3)
    assert_allclose(result.reactions.sum(axis=0), [0, 0, 500.0], rtol=1e-8, atol=1e-6)


def test_foundation_in_the_plane_counts_the_thickness():
    model = model_of(rectangle("quad8", 2))
    bed = dtw.ElasticFoundation(on="ymin", normal=1e9)
    u = np.zeros_like(model.mesh.points)
    u[:, 1] = 1.0
    assert_allclose(energy(model, bed, u), 0.5 * 1e9 * 1.0 * 0.02, rtol=1e-12)


# Contradictions


def test_contradiction_names_both_supports_and_the_place():
    with pytest.raises(ModelError) as caught:
        model_of(
            box("hexahedron", 2),
            [dtw.FixedSupport(on="xmin"), dtw.PrescribedDisplacement(on="ymin", x="0.1 mm")],
        )
    text = str(caught.value)
    for word in (
        "FixedSupport on 'xmin'",
        "PrescribedDisplacement on 'ymin'",
        "x displacement",
        "0.1 mm",
        "node",
    ):
        assert word in text


def test_contradiction_along_skew_directions_is_found():
    mesh, _ = turned(box("hexahedron", 1))
    axes = dtw.Cartesian(x=(math.cos(math.pi / 6), math.sin(math.pi / 6), 0), xy="y")
    pulled = dtw.PrescribedDisplacement(on="xmax", x="1 mm", coordinates=axes)
    with pytest.raises(ModelError, match="contradict each other"):
        model_of(mesh, [dtw.Symmetry(on="xmax"), pulled])
    with pytest.raises(ModelError, match="contradict each other"):
        model_of(mesh, [dtw.FixedSupport(on="xmax"), pulled])
    model_of(mesh, [pulled, dtw.PrescribedDisplacement(on="xmax", z=0.0)])


def test_repeats_that_agree_are_fine():
    mesh, _ = turned(box("hexahedron", 1))
    model_of(mesh, [dtw.FixedSupport(on="xmax"), dtw.Symmetry(on="xmax"), dtw.FixedSupport(on="ymin"),
                    dtw.PrescribedDisplacement(on="xmax", y=0.0)])  # fmt: skip


def test_a_case_may_not_contradict_the_model():
    with pytest.raises(ModelError, match="case 'pull': FixedSupport on 'xmin' and PrescribedDisplacement"):
        model_of(
            box("hexahedron", 1),
            [dtw.FixedSupport(on="xmin")],
            {"pull": [dtw.PrescribedDisplacement(on="xmin", x=1e-3)]},
        )


def test_temperatures_contradict_as_well():
    with pytest.raises(ModelError, match="temperature 20 °C against 30 °C"):
        model_of(
            box("hexahedron", 1),
            [
                dtw.FixedTemperature(on="xmin", value="20 degC"),
                dtw.FixedTemperature(on="ymin", value="30 degC"),
            ],
        )


# Inertia relief


@pytest.mark.parametrize("planes", [(), ("ymin",), ("ymin", "zmin")])
def test_inertia_relief_balances_the_loads(planes):
    mesh = box("tetra10", 2, (2.0, 1.0, 0.5))
    model = model_of(
        mesh,
        [dtw.InertiaRelief(), *(dtw.Symmetry(on=p) for p in planes)],
        {
            "push": [
                dtw.Force(on="xmax", value=(1000.0, 0.0, 0.0)),
                dtw.Force(on="zmax", value=(0.0, 300.0, 50.0)),
            ]
        },
    )
    force, moment = dtw.resultant(model.cases["push"].loads, model)
    held = {"ymin": 1, "zmin": 2}
    free = [axis for axis in range(3) if axis not in [held[p] for p in planes]]
    assert_allclose(force[free], 0.0, atol=1e-9)
    if not planes:
        assert_allclose(moment, 0.0, atol=1e-9)
    result = dtw.solve_static(model)
    pins = np.linalg.norm(result.reactions, axis=1)
    own = model.supports[0].prescribed(model)[0].nodes
    assert pins[own].max() < 1e-6


def test_a_bar_pulled_in_flight_has_half_the_stress_in_the_middle():
    """Pulled at one end with F, a free uniform bar has the normal force F x / L (Newton on each half)."""
    mesh = box("hexahedron20", (8, 1, 1), (4.0, 1.0, 1.0))
    model = model_of(mesh, [dtw.InertiaRelief()], {"a": [dtw.Force(on="xmax", value=(1e6, 0.0, 0.0))]})
    result = dtw.solve_static(model)
    xyz, stress = result.points.xyz, result.stress(at="points")
    middle = (np.abs(xyz[:, 0] - 2.0) < 0.01) & (np.abs(xyz[:, 1:] - 0.5) < 0.51).all(axis=1)
    assert_allclose(stress[middle, 0].mean(), 0.5e6, rtol=0.01)


def test_inertia_relief_refuses_pieces_and_case_supports():
    from builders import apart

    two = apart(box("hexahedron", 1), box("hexahedron", 1, origin=(2.0, 0, 0)))
    with pytest.raises(ModelError, match="2 separate pieces"):
        model_of(two, [dtw.InertiaRelief()])
    with pytest.raises(ModelError, match="nothing else holds"):
        model_of(box("hexahedron", 1), [dtw.InertiaRelief()], {"a": [dtw.FixedSupport(on="xmin")]})


# Plain data


@pytest.mark.parametrize(
    "support",
    [
        dtw.FixedSupport(on="xmin"),
        dtw.Symmetry(on=dtw.faces(normal="-x", at="min")),
        dtw.PrescribedDisplacement(on="xmin", x="1 mm", coordinates=dtw.Cylindrical(axis="z")),
        dtw.ElasticFoundation(on="xmin", normal="2 N/mm3"),
        dtw.Spring(on="xmin", stiffness=("1 N/mm", 0.0, 0.0)),
        dtw.PointMass(on="xmin", mass="2 kg", at=(0.0, 0.0, 1.0)),
        dtw.InertiaRelief(),
        dtw.FixedTemperature(on="xmin", value="85 degC"),
    ],
    ids=lambda support: type(support).__name__,
)
def test_supports_survive_being_written_and_read(support):
    again = Plain.from_dict(json.loads(json.dumps(support.to_dict())))
    assert again == support
    assert type(again) is type(support)
