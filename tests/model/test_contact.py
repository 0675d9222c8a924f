"""Contact, layers and heat pipes as an engineer states them: what is refused, in which words."""

from dataclasses import replace

import numpy as np
import pytest
from builders import apart, box, merged, rectangle

import designtwin as dtw
from designtwin.errors import ModelError, SingularSystemError, UnitError
from designtwin.model.connections import joined_pieces
from designtwin.plain import Plain

IRON = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, conductivity=50.0)
FILM = {"conductance": "5 kW/(m2*K)"}


def named(mesh, prefix):
    return replace(mesh, groups={f"{prefix}_{name}": group for name, group in mesh.groups.items()})


def stack(gap=0.0, join=apart, aside=0.0):
    return join(
        named(box("tetra10", 2), "lid"), named(box("hexahedron", 3, origin=(aside, 0, 1 + gap)), "base")
    )


def model(*connections, mesh=None, **options):
    mesh = stack() if mesh is None else mesh
    bodies = [name for name in mesh.groups if name.endswith("body")]
    return dtw.Model(mesh, materials=dict.fromkeys(bodies, IRON), connections=connections, **options)


JOINTS = [
    dtw.ContactConductance(a="lid_zmax", b="base_zmin", **FILM),
    dtw.ContactConductance(a=dtw.faces(normal="+z"), b="b", resistance="2e-4 m2*K/W", tolerance="0.2 mm"),
    dtw.ThermalInterface(a="lid_zmax", b="base_zmin", thickness="0.1 mm", conductivity="3 W/(m*K)"),
    dtw.HeatPipe(a="lid_zmin", b="base_zmax", conductance="20 W/K"),
    dtw.HeatPipe(a="lid_body", b=dtw.nearest((0, 0, 0)), resistance="0.05 K/W"),
]


@pytest.mark.parametrize("one", JOINTS, ids=lambda one: type(one).__name__)
def test_joints_are_plain_data_and_say_what_they_pass(one):
    again = Plain.from_dict(one.to_dict())
    assert again == one
    assert again.to_dict() == one.to_dict()
    assert any(
        word in one.amount for word in ("5000 W/(m²·K)", "0.0002", "0.1 mm of 3", "20 W/K", "0.05 K/W")
    )


def test_the_model_says_and_keeps_its_joints():
    one = model(JOINTS[0], JOINTS[2], JOINTS[3])
    text = str(one)
    assert "joined   ContactConductance of 'lid_zmax' and 'base_zmin', 5000 W/(m²·K)" in text
    assert "joined   ThermalInterface of 'lid_zmax' and 'base_zmin', 0.1 mm of 3 W/(m·K)" in text
    assert "joined   HeatPipe from 'lid_zmin' to 'base_zmax', 20 W/K" in text
    assert dtw.Model.from_dict(one.to_dict(), mesh=one.mesh).content_hash() == one.content_hash()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: dtw.ContactConductance(a="a", b="b"), ModelError, "neither is given; write conductance="),
        (
            lambda: dtw.ContactConductance(a="a", b="b", conductance=1.0, resistance=1.0),
            ModelError,
            "both are given",
        ),
        (
            lambda: dtw.ContactConductance(a="a", b="b", conductance="-5 W/(m2*K)"),
            ModelError,
            "'a' and 'b': the conductance is -5 W.*from cold to hot; give at least 0",
        ),
        (lambda: dtw.ContactConductance(a="a", b="b", conductance="5 W/K"), UnitError, "heat transfer"),
        (lambda: dtw.ContactConductance(a="a", b="b", resistance=0.0), ModelError, "Tie for perfect contact"),
        (lambda: dtw.ContactConductance(a="a", b="b", tolerance="-1 mm", **FILM), ModelError, "below zero"),
        (
            lambda: dtw.ContactConductance(
                a="a", b="b", conductance=dtw.table(over="time", at=[0.0, 1.0], values=[1.0, 2.0])
            ),
            ModelError,
            "varies with time; a joint takes one value, or a field in space",
        ),
        (
            lambda: dtw.ThermalInterface(a="a", b="b", thickness="0 mm", conductivity=1.0),
            ModelError,
            "the thickness is 0 mm; give one above zero",
        ),
        (
            lambda: dtw.ThermalInterface(a="a", b="b", thickness="1 mm", conductivity=-1.0),
            ModelError,
            "the conductivity is -1 W",
        ),
        (lambda: dtw.HeatPipe(a="a", b="b"), ModelError, "from 'a' to 'b'.*neither"),
        (lambda: dtw.HeatPipe(a="a", b="b", conductance="-1 W/K"), ModelError, "from cold to hot"),
        (lambda: dtw.HeatPipe(a="a", b="b", conductance="5 W/(m2*K)"), UnitError, "a thermal conductance"),
        (lambda: dtw.HeatPipe(a="a", b="b", resistance=0.0), ModelError, "above zero"),
    ],
)  # fmt: skip
def test_amounts_that_make_no_sense_are_refused_where_they_are_written(make, error, says):
    with pytest.raises(error, match=says):
        make()


@pytest.mark.parametrize("kind", ["contact", "layer"])
def test_places_that_do_not_meet_are_refused_with_the_reason(kind):
    def joint(a="lid_zmax", b="base_zmin", **more):
        if kind == "contact":
            return dtw.ContactConductance(a=a, b=b, **FILM, **more)
        return dtw.ThermalInterface(a=a, b=b, thickness="0.1 mm", conductivity=1.0, **more)

    # Apart.
    with pytest.raises(
        ModelError, match=r"no heat passes between them.*200 mm.*give tolerance= above the gap"
    ):
        model(joint(), mesh=stack(gap=0.2))
    model(joint(tolerance="250 mm"), mesh=stack(gap=0.2))
    # Beside each other.
    with pytest.raises(ModelError, match=r"no part of one looks at the other within reach|at least 500 mm"):
        model(joint(), mesh=stack(aside=1.5))
    # Looking away.
    with pytest.raises(ModelError, match=r"no part of one looks at the other|at least 1000 mm"):
        model(joint(a="lid_xmin", b="base_xmax"))
    # One face twice, or parts of one.
    with pytest.raises(ModelError, match="joins a face to itself: both are the same face"):
        model(joint(b="lid_zmax"))
    with pytest.raises(ModelError, match="to itself: they have 8 facets in common"):
        model(joint(b=["base_zmin", "lid_zmax"]))
    # Parts that share their nodes there have no contact between them.
    with pytest.raises(ModelError, match="they share all their nodes, so that they are one already"):
        model(
            joint(),
            mesh=merged(
                named(box("hexahedron", 2), "lid"), named(box("hexahedron", 2, origin=(0, 0, 1)), "base")
            ),
        )
    # No face at all.
    with pytest.raises(ModelError, match="holds none; name a face group"):
        model(joint(a=dtw.nearest((0, 0, 0))))
    with pytest.raises(ModelError, match=r"'lid_zmx'.*did you mean 'lid_zmax'"):
        model(joint(a="lid_zmx"))


def test_faces_behind_each_other_are_not_counted_twice():
    thin = named(box("hexahedron", (2, 2, 1), (1.0, 1.0, 0.05), origin=(0, 0, 1.0)), "foil")
    other = named(box("hexahedron", 2, origin=(0, 0, 1.05)), "base")
    mesh = apart(named(box("hexahedron", 2), "lid"), thin, other)
    joint = dtw.ContactConductance(a="lid_zmax", b=["foil_zmin", "base_zmin"], tolerance="0.1 m", **FILM)
    with pytest.raises(ModelError, match=r"2 times their area opposite.*smaller tolerance="):
        model(joint, mesh=mesh)


def test_a_field_that_falls_below_zero_is_named_with_its_place():
    with pytest.raises(ModelError, match=r"conductance is -.* W.* at \(.* mm"):
        model(dtw.ContactConductance(a="lid_zmax", b="base_zmin", conductance=lambda x: 1.0 - 2.0 * x[:, 0]))


def test_ends_of_a_heat_pipe_are_two_places():
    with pytest.raises(ModelError, match="both ends are the same place"):
        model(dtw.HeatPipe(a="lid_zmin", b="lid_zmin", conductance=1.0))
    with pytest.raises(ModelError, match="nodes in common; name two places apart"):
        model(dtw.HeatPipe(a="lid_zmin", b=["lid_zmin", "base_zmax"], conductance=1.0))


def test_heat_joins_pieces_and_motion_does_not():
    one = model(JOINTS[0], load_cases={"hot": [dtw.FixedTemperature(on="lid_zmin", value=300.0)]})
    assert joined_pieces(one, heat=True)[0].max() == 0
    assert joined_pieces(one)[0].max() == 1
    dtw.solve_thermal(one)
    pipe = one.with_(connections=[JOINTS[3]])
    assert joined_pieces(pipe, heat=True)[0].max() == 0
    dtw.solve_thermal(pipe)
    # What passes nothing joins nothing.
    for closed in (
        dtw.ContactConductance(a="lid_zmax", b="base_zmin", conductance=0.0),
        dtw.HeatPipe(a="lid_zmin", b="base_zmax", conductance=0.0),
    ):
        with pytest.raises(
            SingularSystemError, match=r"undetermined.*join it to a piece that has one: connections"
        ):
            dtw.solve_thermal(one.with_(connections=[closed]))
    held = one.with_(load_cases={"pull": [dtw.Traction(on="base_zmax", value=(0.0, 0.0, 1e6))]},
                     supports=[dtw.FixedSupport(on="lid_zmin")])  # fmt: skip
    with pytest.raises(SingularSystemError, match="attached to nothing"):
        dtw.solve_static(held)


def test_plates_of_unlike_thickness_touch_over_the_thinner():
    mesh = apart(named(rectangle("quad8", 2), "a"), named(rectangle("triangle6", 3, origin=(1.0, 0.0)), "b"))
    for thick in ((0.5, 0.2), (0.2, 0.5)):
        sections = {
            k: dtw.PlaneStress(IRON, thickness=t) for k, t in zip(("a_body", "b_body"), thick, strict=True)
        }
        joint = dtw.ContactConductance(a="a_xmax", b="b_xmin", conductance=10.0)
        one = dtw.Model(mesh, materials=sections, connections=[joint])
        assert joint.area(one) == pytest.approx(0.2, rel=1e-12)


def test_a_class_of_ones_own_may_pass_heat():
    from dataclasses import dataclass

    from designtwin.model.connections import Connection
    from designtwin.model.domains import NodalMatrices

    @dataclass(frozen=True, kw_only=True, eq=False)
    class Wire(Connection):
        conductance: float

        def heat_matrices(self, model):
            ends = np.array([[model.region("lid_zmax").nodes[0], model.region("base_zmin").nodes[0]]])
            return [NodalMatrices(ends, self.conductance * np.array([[[1.0, -1.0], [-1.0, 1.0]]]))]

    one = model(
        Wire(conductance=0.5),
        load_cases={"hot": [dtw.FixedTemperature(on="lid_zmin", value=300.0),
                            dtw.HeatFlow(on="base_zmax", total="2 W")]},
    )  # fmt: skip
    case = dtw.solve_thermal(one)["hot"]
    warm = (
        case.temperature[one.region("base_zmin").nodes[0]] - case.temperature[one.region("lid_zmax").nodes[0]]
    )
    assert warm == pytest.approx(4.0, rel=1e-9)


def test_a_node_of_no_cell_on_the_way_has_a_temperature():
    from dataclasses import dataclass

    from designtwin.mesh import Mesh
    from designtwin.model.connections import Connection
    from designtwin.model.domains import NodalMatrices

    @dataclass(frozen=True, kw_only=True, eq=False)
    class Chain(Connection):
        """Two wires in a row, by way of a node in the air."""

        def heat_matrices(self, model):
            air = model.mesh.n_points - 1
            ends = [model.region(name).nodes[0] for name in ("lid_zmax", "base_zmin")]
            wire = np.array([[1.0, -1.0], [-1.0, 1.0]])
            return [NodalMatrices(np.array([[end, air] for end in ends]), np.stack([wire, 3.0 * wire]))]

    solid = stack(gap=0.5)
    mesh = Mesh(np.vstack([solid.points, [[0.5, 0.5, 1.25]]]), solid.cells, solid.groups)
    one = model(
        Chain(), mesh=mesh,
        load_cases={"hot": [dtw.FixedTemperature(on="lid_zmin", value=300.0),
                            dtw.HeatFlow(on="base_zmax", total="6 W")]},
    )  # fmt: skip
    case = dtw.solve_thermal(one)["hot"]
    ends = [one.region(name).nodes[0] for name in ("lid_zmax", "base_zmin")]
    assert np.diff(case.temperature[ends])[0] == pytest.approx(6.0 + 2.0, rel=1e-9)
