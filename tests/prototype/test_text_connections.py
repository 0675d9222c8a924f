"""Connections in a text file are those of Python, and mistakes in them are named with their line."""

from dataclasses import replace

import pytest
from builders import apart, box

import designtwin as dtw
from designtwin.errors import ModelError
from designtwin.io import write_mesh
from designtwin.prototype.textfile import read_design

HEAD = """\
name = "stack"
requirements = ['temperature("base_body") <= "200 degC"']

[mesh]
file = "stack.msh"
length_unit = "mm"

[materials]
lid_body = "S355"
base_body = "S355"

[[cases.hot]]
type = "FixedTemperature"
on = "lid_zmin"
value = "100 degC"

[[cases.hot]]
type = "HeatFlow"
on = "base_zmax"
total = "20 W"

"""
CONTACT = """\
[[connections]]
type = "ContactConductance"
a = "lid_zmax"
b = 'faces(normal="-z") & "base_zmin"'
conductance = "5 kW/(m2*K)"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("joined")
    lid, base = box("tetra10", 2), box("hexahedron", 3, origin=(0.0, 0.0, 1.0))
    parts = [
        replace(mesh, groups={f"{word}_{name}": group for name, group in mesh.groups.items()})
        for word, mesh in (("lid", lid), ("base", base))
    ]
    write_mesh(apart(*parts), path / "stack.msh")
    return path


def read(folder, joints):
    (folder / "part.toml").write_text(HEAD + joints, encoding="utf-8")
    return read_design(folder / "part.toml")


EVERY = [
    (CONTACT, dtw.ContactConductance(a="lid_zmax", b=dtw.faces(normal="-z") & "base_zmin",
                                     conductance="5 kW/(m2*K)")),
    ("""type = "ContactConductance"
a = "lid_zmax"
b = "base_zmin"
conductance = { points = [[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2], [2, 2, 2]], values = [1, 2, 3, 4, 5] }
""", dtw.ContactConductance(a="lid_zmax", b="base_zmin", conductance=dtw.field(
        [[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2], [2, 2, 2]], [1, 2, 3, 4, 5]))),
    ("""type = "ThermalInterface"
a = "lid_zmax"
b = "base_zmin"
thickness = "0.1 mm"
conductivity = "3 W/(m*K)"
""", dtw.ThermalInterface(a="lid_zmax", b="base_zmin", thickness="0.1 mm", conductivity="3 W/(m*K)")),
    ("""type = "HeatPipe"
a = "lid_zmin"
b = ["base_zmax", "base_xmax"]
resistance = "0.05 K/W"
""", dtw.HeatPipe(a="lid_zmin", b=["base_zmax", "base_xmax"], resistance="0.05 K/W")),
    ("""type = "Tie"
a = "lid_zmax"
b = "base_zmin"
tolerance = "1 mm"
method = "node"
""", dtw.Tie(a="lid_zmax", b="base_zmin", tolerance="1 mm", method="node")),
    ("""type = "RigidLink"
on = ["lid_zmax", "base_zmin"]
at = ["1 mm", 0.0, 0.0]
rz = "1 deg"
""", dtw.RigidLink(on=["lid_zmax", "base_zmin"], at=("1 mm", 0.0, 0.0), rz="1 deg")),
    ("""type = "SpreadLink"
on = "lid_zmax"
node = "nearest((0, 0, 2))"
""", dtw.SpreadLink(on="lid_zmax", node=dtw.nearest((0, 0, 2)))),
    ("""type = "LinearConstraint"
terms = [["lid_xmin", "temperature", 1.0], ["nearest((1, 1, 2))", "temperature", -1.0]]
value = "5 K"
""", dtw.LinearConstraint(value="5 K", terms=[
        ("lid_xmin", "temperature", 1.0), (dtw.nearest((1, 1, 2)), "temperature", -1.0)])),
    ("""type = "Periodic"
a = "lid_xmax"
b = "lid_xmin"
jump = ["1 mm", 0.0, 0.0]
""", dtw.Periodic(a="lid_xmax", b="lid_xmin", jump=("1 mm", 0.0, 0.0))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "joint"), EVERY, ids=[type(joint).__name__ for _, joint in EVERY])
def test_every_connection_is_the_same_in_text_and_in_python(folder, text, joint):
    if not text.startswith("[["):
        text = "[[connections]]\n" + text
    model = read(folder, text).model
    assert model.connections == (joint,)
    assert model.content_hash() == model.with_(connections=[joint]).content_hash()
    assert model.content_hash() != model.with_(connections=[]).content_hash()


def test_a_design_with_a_contact_is_judged(folder):
    design = read(folder, CONTACT + "\n[[connections]]\ntype = 'HeatPipe'\na = 'lid_zmin'\nb = 'base_zmax'\n"
                  "conductance = '20 W/K'\n")  # fmt: skip
    (verdict,) = design.run()
    case = verdict.result["hot"]
    contact, pipe = design.model.connections
    through = [joint.heat(design.model, case.temperature) for joint in (contact, pipe)]
    assert sum(through) == pytest.approx(-20.0, rel=1e-9)
    assert verdict.status == "PASS"


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (('"ContactConductance"', '"ContactConductanse"'), 23, "did you mean 'ContactConductance'"),
        (('"ContactConductance"', '"FixedSupport"'), 23, "type 'FixedSupport' is unknown"),
        (("conductance =", "conductanse ="), 26, "did you mean 'conductance'"),
        (('"5 kW/(m2*K)"', '"-5 kW/(m2*K)"'), 22, "from cold to hot"),
        (('"5 kW/(m2*K)"', '"5 kW/m2"'), 22, "a heat transfer coefficient is wanted"),
        (('a = "lid_zmax"\n', ""), 22, "ContactConductance lacks 'a'"),
        (('faces(normal="-z")', 'fases(normal="-z")'), 25, "'fases' is unknown; did you mean 'faces'"),
        (('"lid_zmax"', '"lid_zmx"'), None, "'lid_zmx'.*did you mean 'lid_zmax'"),
        (('"lid_zmax"', '"lid_xmin"'), None, "no heat passes between them"),
        (("[[connections]]", "[connections]"), 22, "connections is a list"),
    ],
    ids=lambda v: v[1][:30] if isinstance(v, tuple) else "",
)
def test_mistakes_are_named_with_their_line(folder, change, line, says):
    assert change[0] in CONTACT
    with pytest.raises(ModelError, match=says) as caught:
        read(folder, CONTACT.replace(*change, 1))
    assert "part.toml" in str(caught.value)
    if line is not None:
        assert f"line {line}:" in str(caught.value)


def test_terms_that_are_none_are_refused_with_their_line(folder):
    joint = '[[connections]]\ntype = "LinearConstraint"\nterms = {}\n'
    for terms, says in (
        ('["lid_xmin", "x", 1.0]', "a term is"),
        ('[["lid_xmin", "w", 1.0]]', "direction 'w' is none of"),
        ('[["lid_xmin", "x"]]', "a term is"),
        ("[[]]", "a term is"),
        ("5", "terms is a list"),
    ):
        with pytest.raises(ModelError, match=says) as caught:
            read(folder, joint.replace("{}", terms))
        assert "part.toml, line 22" in str(caught.value) or "part.toml, line 24" in str(caught.value)
