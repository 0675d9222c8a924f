"""Connections are in the picture of a model and in its report: green, named, with how much."""

import io
from dataclasses import dataclass, replace

import matplotlib.image
import numpy as np
import pytest
from builders import apart, box, rectangle, ring

import designtwin as dtw
from designtwin import edge
from designtwin.model.connections import Connection
from designtwin.report.inputs import model_blocks, statement_key
from designtwin.viz.models import JOINED, _rim
from designtwin.viz.scene import rgb

IRON = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, conductivity=50.0)


def named(mesh, prefix):
    return replace(mesh, groups={f"{prefix}_{name}": group for name, group in mesh.groups.items()})


def chip_on_plate(*joints):
    plate = box("tetra10", (3, 3, 1), (0.06, 0.06, 0.008))
    chip = box("hexahedron", (2, 2, 1), (0.02, 0.02, 0.004), origin=(0.02, 0.02, 0.008))
    sink = box("tetra10", (2, 2, 1), (0.03, 0.03, 0.015), origin=(0.09, 0.015, 0.0))
    mesh = apart(named(plate, "plate"), named(chip, "chip"), named(sink, "sink"))
    bodies = ("plate_body", "chip_body", "sink_body")
    return dtw.Model(
        mesh, materials=dict.fromkeys(bodies, IRON), connections=joints, name="stack",
        load_cases={"on": [dtw.HeatFlow(on="chip_zmax", total="15 W"),
                           dtw.FixedTemperature(on="sink_zmax", value="20 degC")]},
    )  # fmt: skip


def picture(model):
    return edge.plot_model(model, window_size=(800, 600), show=False)


def green(shot):
    """Share of pixels of the color of what is joined, in whatever light."""
    image = np.asarray(matplotlib.image.imread(io.BytesIO(shot.png)))[..., :3]
    wanted = rgb(JOINED) / np.linalg.norm(rgb(JOINED))
    size = np.linalg.norm(image, axis=2)
    return float(((image @ wanted > 0.985 * size) & (size > 0.2) & (size < 1.0)).mean())


PASTE = dtw.ThermalInterface(a="chip_zmin", b="plate_zmax", thickness="0.1 mm", conductivity="3 W/(m*K)")
PIPE = dtw.HeatPipe(a="plate_xmax", b="sink_xmin", conductance="20 W/K")
JOINTS = [
    (PASTE, "ThermalInterface of 'chip_zmin' and 'plate_zmax'\n0.1 mm of 3 W/(m·K)"),
    (dtw.ContactConductance(a="chip_zmin", b="plate_zmax", resistance="2e-4 m2*K/W"), "0.0002 m²·K/W"),
    (PIPE, "HeatPipe from 'plate_xmax' to 'sink_xmin'\n20 W/K"),
    (dtw.Tie(a="chip_zmin", b="plate_zmax"), "Tie of 'chip_zmin' and 'plate_zmax'"),
    (dtw.RigidLink(on=["chip_zmax", "sink_xmin"]), "RigidLink on"),
    (dtw.SpreadLink(on="chip_zmax", rz="1 deg"), "SpreadLink on 'chip_zmax'\nrz 1°"),
    (dtw.LinearConstraint(terms=[("plate_xmax", "temperature", 1.0), ("sink_xmin", "temperature", -1.0)]),
     "LinearConstraint 1 temperature of 'plate_xmax'\n+ -1 temperature of 'sink_xmin' = 0 K"),
    (dtw.Periodic(a="plate_xmax", b="plate_xmin"), "Periodic 'plate_xmax' as 'plate_xmin'"),
]  # fmt: skip


@pytest.mark.parametrize(("joint", "words"), JOINTS, ids=[type(joint).__name__ for joint, _ in JOINTS])
def test_every_connection_is_drawn_in_green_and_named(joint, words):
    shot = picture(chip_on_plate(joint))
    assert any(words in text for text in shot.texts)
    assert any("green: joined" in text for text in shot.texts)
    assert green(shot) > 4e-4
    assert shot.texts[0] == "stack: supports, connections and loads"


def test_without_connections_nothing_is_green():
    shot = picture(chip_on_plate())
    assert green(shot) < 4e-5
    assert not any("joined" in text for text in shot.texts)
    assert shot.texts[0] == "stack: supports and loads"


def test_a_plane_joint_and_one_of_ones_own():
    @dataclass(frozen=True, kw_only=True, eq=False)
    class Belt(Connection):
        """Says what it is and no more."""

    a = rectangle("quad8", (3, 2), (0.03, 0.02))
    b = rectangle("triangle6", (2, 2), (0.02, 0.02), origin=(0.03, 0.0))
    model = dtw.Model(
        apart(named(a, "a"), named(b, "b")),
        materials={k: dtw.PlaneStress(IRON, thickness="5 mm") for k in ("a_body", "b_body")},
        connections=[dtw.ContactConductance(a="a_xmax", b="b_xmin", conductance=100.0), Belt()],
    )
    shot = picture(model)
    assert green(shot) > 4e-4
    assert any("Belt" in text for text in shot.texts)


def test_the_rim_is_the_outline_of_a_face_and_of_a_tube_two_circles():
    for element, edges in (("tetra10", 2), ("hexahedron", 1)):
        mesh = box(element, 3)
        points, conn = _rim(mesh, mesh.group("zmax").facets)
        length = np.linalg.norm(points[conn[:, 1]] - points[conn[:, 0]], axis=1)
        assert len(conn) == 12 * edges
        assert length.sum() == pytest.approx(4.0)
    mesh = ring("tetra10", (1, 24, 2), inner=0.5, outer=1.0, height=1.0)
    points, conn = _rim(mesh, mesh.group("outer").facets)
    length = np.linalg.norm(points[conn[:, 1]] - points[conn[:, 0]], axis=1)
    assert length.sum() == pytest.approx(2 * 2 * np.pi, rel=2e-3)
    assert set(np.round(points[conn][..., 2].ravel(), 9)) == {0.0, 1.0}


def test_the_report_lists_connections_with_values_and_what_is_odd():
    model = chip_on_plate(PASTE, PIPE)
    shifted = dtw.ThermalInterface(a="plate_zmax", b="chip_zmin", thickness="1 mm", conductivity=1.0)
    table = next(b for b in model_blocks(model) if b.get("title") == "Connections")
    assert table["head"] == ["connection", "value", "to be noted"]
    assert table["rows"] == [
        ["ThermalInterface of 'chip_zmin' and 'plate_zmax'", "0.1 mm of 3 W/(m·K)", ""],
        ["HeatPipe from 'plate_xmax' to 'sink_xmin'", "20 W/K", ""],
    ]
    assert not any(b.get("title") == "Connections" for b in model_blocks(chip_on_plate()))
    # A model with another joint is another statement.
    assert statement_key(model) != statement_key(chip_on_plate(shifted, PIPE))
    half = dtw.Tie(a="plate_zmax", b="chip_zmin", secondary="a")
    (row,) = next(b for b in model_blocks(chip_on_plate(half)) if b.get("title") == "Connections")["rows"]
    assert "is bonded" in row[2]
