"""Connections as an engineer states them: what is refused, in which words; plain data; what holds a part."""

from dataclasses import replace

import numpy as np
import pytest
from builders import apart, box, merged, rectangle

import designtwin as dtw
from designtwin.errors import ModelError, SingularSystemError, UnitError
from designtwin.mesh import Group
from designtwin.model.connections import bound_nodes, joined_pieces
from designtwin.plain import Plain

STEEL = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0, conductivity=50.0)


def named(mesh, prefix):
    return replace(mesh, groups={f"{prefix}_{name}": group for name, group in mesh.groups.items()})


def stack(*, gap=0.0, join=apart, n=(2, 3)):
    return join(
        named(box("tetra10", n[0]), "lid"), named(box("hexahedron", n[1], origin=(0, 0, 1 + gap)), "base")
    )


TIE = dtw.Tie(a="lid_zmax", b="base_zmin")


def model(mesh=None, connections=(TIE,), **options):
    mesh = stack() if mesh is None else mesh
    bodies = [name for name in mesh.groups if name.endswith("body")]
    return dtw.Model(mesh, materials=dict.fromkeys(bodies, STEEL), connections=connections, **options)


PULL = {"pull": [dtw.Traction(on="base_zmax", value=(0.0, 0.0, 1e6))]}
FIXED = [dtw.FixedSupport(on="lid_zmin")]


@pytest.mark.parametrize(
    "one",
    [
        dtw.Tie(
            a="lid_zmax", b=dtw.faces(normal="-z", at="min") - "lid_zmin", tolerance="0.2 mm", secondary="b"
        ),
        dtw.Periodic(a="lid_xmax", b="lid_xmin", jump=("1 mm", 0.0, 0.0)),
        dtw.Periodic(a="s", b="t", angle="30 deg", axis=(0, 1, 1), through=("1 mm", 0, 0)),
        dtw.RigidLink(on=["lid_zmax", "base_zmin"], at=("1 mm", 0, 0), x=0.0, rz="1 deg"),
        dtw.SpreadLink(on="lid_zmax", node="eye", ry="0.1 deg"),
        dtw.LinearConstraint(terms=[("lid_xmin", "x", 1.0), (dtw.nearest((0, 0, 0)), "x", -2)], value="1 um"),
        dtw.LinearConstraint(terms=[("a", "temperature", 1.0), ("b", "temperature", -1.0)], value="5 K"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_connections_are_plain_data(one):
    again = Plain.from_dict(one.to_dict())
    assert again == one
    assert again.to_dict() == one.to_dict()
    assert one.said


def test_a_model_with_connections_is_saved_read_and_hashed():
    mesh = stack()
    tied = model(mesh, supports=FIXED, load_cases=PULL)
    again = dtw.Model.from_dict(tied.to_dict(), mesh=mesh)
    assert again.connections == tied.connections
    assert again.content_hash() == tied.content_hash()
    assert tied.with_(connections=[]).content_hash() != tied.content_hash()
    assert "joined   Tie of 'lid_zmax' and 'base_zmin'" in str(tied)
    assert "connections" not in tied.with_(connections=[]).to_dict()


@pytest.mark.parametrize(
    ("connections", "words"),
    [
        ([dtw.Tie(a="lid_zmax", b="lid_zmax")], "Tie of 'lid_zmax' and 'lid_zmax' bonds a face to itself"),
        ([dtw.Tie(a="lid_zmaxx", b="base_zmin")], "no group 'lid_zmaxx'; did you mean 'lid_zmax'"),
        ([dtw.Tie(a="lid_zmax", b="base_zmax")], "nothing to bond, for no part of one looks at the other"),
        ([dtw.Tie(a="lid_zmin", b="base_zmin")], "nothing to bond"),
        ([dtw.Tie(a=dtw.nearest((0, 0, 0)), b="base_zmin")], "joins faces, and .* holds none"),
        ([TIE, TIE], "stated twice"),
        ([dtw.FixedSupport(on="lid_zmin")], "holds FixedSupport.*it goes into supports"),
        ([dtw.RigidLink(on=dtw.nearest((0, 0, 0)))], "holds 1 node; a rigid link joins two at least"),
        ([dtw.SpreadLink(on="lid_zmin", node="lid_zmax")], r"holds \d+ nodes; one is wanted"),
        ([dtw.SpreadLink(on="lid_zmin", node=dtw.nearest((0, 0, 0)))], "is of the region"),
        ([dtw.LinearConstraint(terms=[("lid_xmin", "x", 1), ("lid_xmin", "x", -1)]),
          dtw.LinearConstraint(terms=[(dtw.nearest((0, 0, 0)), "x", 1), (dtw.nearest((0, 0, 0)), "x", -1)])],
         "its terms cancel"),
        ([dtw.Periodic(a="lid_xmin", b="lid_xmin")], None),
        ([dtw.Periodic(a="lid_xmax", b="lid_ymin")], "covers 0 % of 'lid_xmax'"),
        ([dtw.Periodic(a="lid_xmax", b="lid_ymin", angle="30 deg")], "turned by 30.* covers"),
        ([dtw.RigidLink(on=dtw.nearest((0, 0, 0)) | dtw.nearest((1, 0, 0)), rx=0.1)], "lie on one line"),
    ],
)  # fmt: skip
def test_wrong_connections_are_named(connections, words):
    with pytest.raises(ModelError, match=words):
        model(connections=connections)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dtw.Tie(a="x", b="y", tolerance=-1.0), "below zero"),
        (lambda: dtw.Tie(a="x", b="y", secondary="c"), "'a' or 'b' is wanted"),
        (lambda: dtw.Tie(a="x", b="y", method="glue"), "'mortar' or 'node'"),
        (lambda: dtw.Tie(a=3, b="y"), "Tie a: a group name or a selection"),
        (lambda: dtw.LinearConstraint(terms=[]), "list of"),
        (lambda: dtw.LinearConstraint(terms=[("a", "x")]), "got"),
        (lambda: dtw.LinearConstraint(terms=[("a", "w", 1.0)]), "direction 'w'"),
        (lambda: dtw.LinearConstraint(terms=[("a", "x", 0.0)]), "zero"),
        (lambda: dtw.LinearConstraint(terms=[("a", "x", 1), ("b", "temperature", 1)]), "do not add"),
        (lambda: dtw.SpreadLink(on="a"), "joins nothing"),
    ],
)
def test_nonsense_is_refused_when_stated(make, words):
    with pytest.raises(ModelError, match=words):
        make()


def test_a_wrong_unit_is_refused():
    with pytest.raises(UnitError, match="tolerance"):
        dtw.Tie(a="x", b="y", tolerance="3 N")


def test_a_gap_is_told_with_its_size_and_bridged_when_allowed():
    mesh = stack(gap=0.2)
    with pytest.raises(ModelError, match=r"gap between them is at least 200 mm and the tolerance 10 mm"):
        model(mesh, [dtw.Tie(a="lid_zmax", b="base_zmin", tolerance="10 mm")])
    wide = model(
        mesh, [dtw.Tie(a="lid_zmax", b="base_zmin", tolerance="0.25 m")], supports=FIXED, load_cases=PULL
    )
    case = dtw.solve_static(wide)["pull"]
    assert case.imbalance < 1e-9


def test_merged_parts_need_no_tie():
    mesh = merged(named(box("tetra10", 2), "lid"), named(box("tetra10", 2, origin=(0, 0, 1)), "base"))
    with pytest.raises(ModelError, match="one already"):
        model(mesh)


def test_a_face_partly_bonded_is_noted():
    mesh = apart(named(box("tetra10", 3), "lid"), named(box("hexahedron", 3, origin=(0.5, 0.0, 1.0)), "base"))
    result = dtw.solve_static(model(mesh, supports=FIXED, load_cases=PULL))
    note = next(note for note in result.notes if "Tie of" in note)
    assert "50 % of the smaller face is bonded" in note


# What holds a part


def test_bonded_pieces_count_as_one_and_loose_ones_are_told_to_tie():
    mesh = stack()
    apart_ = model(mesh, [], supports=FIXED, load_cases=PULL)
    with pytest.raises(
        SingularSystemError, match=r"attached to nothing.*connections=\[Tie\(a=\.\.\., b=\.\.\.\)\]"
    ):
        dtw.solve_static(apart_)
    assert len(np.unique(joined_pieces(apart_)[0])) == 2
    tied = model(mesh, supports=FIXED, load_cases=PULL)
    assert len(np.unique(joined_pieces(tied)[0])) == 1
    assert dtw.solve_static(tied)["pull"].imbalance < 1e-9
    with pytest.raises(SingularSystemError, match=r"attached to nothing|free to"):
        dtw.solve_static(tied.with_(supports=[]))


def test_a_joint_that_leaves_a_hinge_is_found():
    # One node held to another: the upper block can still turn.
    mesh = stack()
    pin = [
        dtw.LinearConstraint(terms=[(dtw.nearest((0, 0, 1)) & "lid_zmax", axis, 1.0),
                                    (dtw.nearest((0, 0, 1.0)) & "base_zmin", axis, -1.0)])
        for axis in "xyz"
    ]  # fmt: skip
    with pytest.raises(SingularSystemError, match="to rotate in every direction"):
        dtw.solve_static(
            model(mesh.with_groups({}), [replace(p, terms=((g("lid", mesh), p.terms[0][1], 1.0),
                                                          (g("base", mesh), p.terms[0][1], -1.0)))
                                         for p in pin], supports=FIXED, load_cases=PULL)
        )  # fmt: skip


def g(part, mesh):
    """The node of a part's face at the corner of the joint, as a rule that holds one node."""
    nodes = mesh.nodes_of_facets(mesh.groups["lid_zmax" if part == "lid" else "base_zmin"].facets)
    node = nodes[np.argmin(np.linalg.norm(mesh.points[nodes] - (0.0, 0.0, 1.0), axis=1))]
    return dtw.ids(nodes=[int(node)])


def test_a_held_secondary_face_and_contradictions_are_named():
    both = [dtw.FixedSupport(on="lid_zmax"), dtw.FixedSupport(on="base_zmin")]
    with pytest.raises(ModelError, match="supports hold every node of the side that follows"):
        dtw.solve_static(model(supports=both, load_cases=PULL))
    fixed = model(
        connections=[TIE, dtw.LinearConstraint(terms=[("lid_zmin", "x", 1.0)], value="1 mm")],
        supports=FIXED, load_cases=PULL,
    )  # fmt: skip
    with pytest.raises(
        ModelError, match="LinearConstraint 1 x of 'lid_zmin' = 1 mm contradicts the supports"
    ):
        dtw.solve_static(fixed)
    two = [dtw.LinearConstraint(terms=[("base_zmax", "x", 1.0)], value=v) for v in ("1 mm", "2 mm")]
    with pytest.raises(ModelError, match=r"= . mm contradicts LinearConstraint 1 x"):
        dtw.solve_static(model(connections=[TIE, *two], supports=FIXED, load_cases=PULL))


def test_a_displacement_that_a_link_gives_is_not_counted_twice_and_loads_the_part():
    push = dtw.RigidLink(on="base_zmax", z="1 mm")
    loads = {"a": [], "b": PULL["pull"], "both": dtw.combine(a=1.0, b=1.0)}
    with pytest.raises(ModelError, match="'both' would count RigidLink on 'base_zmax' 2 times"):
        model(connections=[TIE, push], supports=FIXED, load_cases=loads)
    result = dtw.solve_static(model(connections=[TIE, push], supports=FIXED, load_cases={"a": []}))
    assert not any("nothing loads it" in note for note in result.notes)


def test_heat_needs_a_way_out_through_the_joint():
    heat = {"hot": [dtw.HeatFlux(on="base_zmax", magnitude=1e4)]}
    cold = [dtw.FixedTemperature(on="lid_zmin", value=300.0)]
    assert dtw.solve_thermal(model(supports=cold, load_cases=heat))["hot"].imbalance < 1e-9
    with pytest.raises(SingularSystemError, match="heat has nowhere to go"):
        dtw.solve_thermal(model(connections=[], supports=cold, load_cases=heat))


def test_plane_models_refuse_motions_out_of_their_plane():
    mesh = rectangle("quad8", 2)
    materials = {"body": dtw.PlaneStress(STEEL, thickness=0.01)}
    for one in (dtw.RigidLink(on="xmin", z=0.0), dtw.LinearConstraint(terms=[("xmin", "z", 1.0)])):
        with pytest.raises(ModelError, match="plane"):
            dtw.Model(mesh, materials=materials, connections=[one])


def test_a_load_on_a_node_of_no_cell_is_taken_where_a_link_carries_it():
    solid = named(box("tetra10", 2), "lid")
    mesh = replace(solid, points=np.concatenate([solid.points, [[2.0, 0.5, 0.5]]]))
    mesh = mesh.with_groups({"eye": Group(nodes=np.array([solid.n_points]))})
    loads = {"pull": [dtw.Force(on="eye", value=(1.0, 0.0, 0.0))]}
    with pytest.raises(ModelError, match="no cell uses"):
        dtw.solve_static(model(mesh, [], supports=FIXED, load_cases=loads))
    linked = model(mesh, [dtw.RigidLink(on=["eye", "lid_xmax"])], supports=FIXED, load_cases=loads)
    case = dtw.solve_static(linked)["pull"]
    assert case.reactions[:, 0].sum() == pytest.approx(-1.0)
    assert solid.n_points in bound_nodes(linked)
