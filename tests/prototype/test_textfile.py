"""A text file states the same test as Python, and every mistake in it is named with its line."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from builders import box, rectangle
from hypothesis import given
from hypothesis import strategies as st

import designtwin as dtw
from designtwin.errors import DesignTwinError, ModelError
from designtwin.io import write_mesh
from designtwin.prototype.grammar import parse_place, parse_requirement
from designtwin.prototype.textfile import key_lines, read_design

BAR = """\
name = "bar"
requirements = [
    'yield_margin(excluding=near("xmin", "4 mm")) >= 1.5',
    'displacement("xmax", "z") <= "0.4 mm"',
]

[mesh]
file = "bar.msh"
length_unit = "mm"

[materials]
body = "S355"

[[supports]]
type = "FixedSupport"
on = "xmin"

[[cases.lift]]
type = "Force"
on = "xmax"
value = ["0 N", "0 N", "-250 N"]

[[cases.lift]]
type = "Gravity"
direction = "-z"

[[cases.brake]]
type = "Pressure"
on = 'faces(normal="+x", at="max")'
magnitude = "4 MPa"

[combinations]
both = { lift = 1.35, brake = 1.5 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("designs")
    write_mesh(box("tetra10", (4, 1, 1), (0.2, 0.02, 0.02)), path / "bar.msh")
    write_mesh(box("hexahedron", (4, 1, 1), (0.1, 0.1, 0.1)), path / "wall.msh")
    write_mesh(rectangle("quad8", (4, 2), (0.1, 0.05)), path / "plate.msh")
    return path


def read(folder, text, name="part.toml"):
    (folder / name).write_text(text, encoding="utf-8")
    return read_design(folder / name)


def test_text_and_python_are_the_same_test(folder):
    design = read(folder, BAR)
    mesh = dtw.read_mesh(folder / "bar.msh", length_unit="mm")
    model = dtw.Model(
        mesh,
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "lift": [dtw.Force(on="xmax", value=("0 N", "0 N", "-250 N")), dtw.Gravity(direction="-z")],
            "brake": [dtw.Pressure(on=dtw.faces(normal="+x", at="max"), magnitude="4 MPa")],
            "both": dtw.combine(lift=1.35, brake=1.5),
        },
        name="bar",
    )
    assert design.model.content_hash() == model.content_hash()
    (test,) = design.tests
    assert isinstance(test, dtw.StrengthTest)
    assert test.requirements == (
        dtw.yield_margin(excluding=dtw.near("xmin", "4 mm")) >= 1.5,
        dtw.displacement("xmax", "z") <= "0.4 mm",
    )
    assert design.name == "bar"
    assert design.passes() == bool(dtw.StrengthTest(model, requirements=test.requirements).run())


def test_requirements_as_tables_are_the_same_as_in_a_line(folder):
    tables = (
        BAR.replace(BAR[BAR.index("requirements") : BAR.index("[mesh]")], "")
        + """
[[requirements]]
quantity = "yield_margin"
excluding = 'near("xmin", "4 mm")'
at_least = 1.5

[[requirements]]
quantity = "displacement"
on = "xmax"
component = "z"
at_most = "0.4 mm"
"""
    )
    assert read(folder, tables).tests[0].requirements == read(folder, BAR).tests[0].requirements


def test_heat_and_strength_in_one_file_are_two_tests(folder):
    design = read(
        folder,
        """
        requirements = ['mass() <= "9 kg"', 'temperature("xmax") <= "125 degC"', 'yield_margin() >= 1.5']
        mesh = { file = "wall.msh", length_unit = "mm" }
        [materials.body]
        library = "S355"
        conductivity = "10 W/(m*K)"
        [[supports]]
        type = "FixedSupport"
        on = "xmin"
        [[supports]]
        type = "FixedTemperature"
        on = ["xmin"]
        value = "20 degC"
        [[cases.hot]]
        type = "HeatFlow"
        on = '"xmax" | faces(normal="+x")'
        total = "100 W"
        [[cases.pull]]
        type = "Force"
        on = "xmax"
        value = ["1 kN", 0.0, 0.0]
        """,
    )
    strength, thermal = design.tests
    assert [str(r) for r in strength.requirements] == ["mass ≤ 9 kg", "yield margin (von Mises) ≥ 1.5"]
    assert isinstance(thermal, dtw.ThermalTest)
    assert [v.status for v in design.run()] == ["PASS", "PASS"]


def test_materials_by_properties_tables_and_sections(folder):
    design = read(
        folder,
        """
        requirements = ['yield_margin() >= 1.5']
        [mesh]
        file = "plate.msh"
        length_unit = "mm"
        [materials.'box((None, None), (None, None))']
        section = "PlaneStress"
        thickness = "5 mm"
        [materials.'box((None, None), (None, None))'.material]
        youngs_modulus = "70 GPa"
        poissons_ratio = 0.33
        [materials.'box((None, None), (None, None))'.material.yield_strength]
        over = "temperature"
        at = ["0 degC", "300 degC"]
        values = ["300 MPa", "150 MPa"]
        [[supports]]
        type = "FixedSupport"
        on = "xmin"
        [[cases.pull]]
        type = "Force"
        on = "xmax"
        value = ["1 kN", "0 N", "0 N"]
        coordinates = { type = "Cartesian", x = [1, 0, 0], xy = [0, 1, 0] }
        [[cases.pull]]
        type = "Temperature"
        value = "150 degC"
        reference = "150 degC"
        [test]
        solver = "direct"
        """,
    )
    section = design.model.parts[0].section
    assert isinstance(section, dtw.PlaneStress)
    assert design.model.cell_scale()[0] == pytest.approx(5e-3)
    assert section.material.at("yield_strength", 423.15, test="x") == pytest.approx(225e6)


HOT = """
requirements = ['yield_margin() >= 1.1']
mesh = { file = "wall.msh", length_unit = "mm" }
[materials]
body = "S355"
[[supports]]
type = "FixedSupport"
on = "xmin"
[[cases.measured]]
type = "Temperature"
value = { points = "T.csv", length_unit = "mm", unit = "degC" }
[[cases.warming]]
type = "Temperature"
value = { over = "time", at = ["0 s", "5 min"], values = ["20 degC", "60 degC"] }
reference = { body = "25 degC" }
"""


def test_temperatures_from_points_and_over_time(folder):
    mesh = dtw.read_mesh(folder / "wall.msh", length_unit="mm")
    rows = [f"{x},{y},{z},{25 + x}" for x, y, z in 1e3 * mesh.points]
    (folder / "T.csv").write_text("\n".join(["x,y,z,T", *rows]))
    design = read(folder, HOT)
    state = design.model.cases["measured"].temperature
    assert state.at_nodes(design.model) == pytest.approx(298.15 + 1e3 * mesh.points[:, 0])
    (verdict,) = design.run()
    assert verdict.result["warming"].times.tolist() == [0.0, 300.0]
    assert "5 min" in str(verdict.result)
    (folder / "T.csv").write_text("x,y,z,T\n0,0,0,warm\n")
    with pytest.raises(ModelError, match=r"T\.csv, line 2: column 'T' holds 'warm'"):
        read(folder, HOT)


# --- mistakes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("[materials]", "[material]"), 11, "unknown key 'material' in the file; did you mean 'materials'"),
        (("length_unit", "lenght_unit"), 9, "did you mean 'length_unit'"),
        (('"mm"\n', '"mn"\n'), 8, "mn"),
        (('"bar.msh"', '"baz.msh"'), 8, "baz.msh"),
        (('"S355"', '"S356"'), 12, "S355"),
        (('"S355"', "7"), 12, "a material is a name"),
        (('"FixedSupport"', '"FixSupport"'), 15, "did you mean 'FixedSupport'"),
        (('on = "xmin"', 'onn = "xmin"'), 16, "unknown key 'onn' in FixedSupport; did you mean 'on'"),
        (('on = "xmin"\n', ""), 14, "FixedSupport lacks 'on'"),
        (('"-250 N"', '"-250 MPa"'), 18, "a force is wanted"),
        (('magnitude = "4 MPa"', 'magnitud = "4 MPa"'), 30, "did you mean 'magnitude'"),
        (('faces(normal="+x"', 'fases(normal="+x"'), 29, "'fases' is unknown; did you mean 'faces'"),
        (('faces(normal="+x"', 'faces(nomal="+x"'), 29, "nomal"),
        (
            ('faces(normal="+x", at="max")', 'faces(normal="+x", at=max)'),
            29,
            "stands without quotes; write 'max'",
        ),
        (("lift = 1.35", "lft = 1.35"), None, "lft"),
        (("{ lift = 1.35, brake = 1.5 }", "1.35"), 33, "a combination is factors by case"),
        (("both =", "lift ="), 33, "is a load case and a combination"),
        (("yield_margin(", "yield_margn("), 3, "did you mean 'yield_margin'"),
        ((">= 1.5'", "'"), 3, "compares nothing"),
        ((">= 1.5'", "== 1.5'"), 3, "write <=, <, >= or >"),
        (("'yield_margin(", "'1 <= yield_margin("), 3, "write two requirements"),
        (('<= "0.4 mm"', "<= 0.4 mm"), 4, "values with units stand in quotes"),
        (('<= "0.4 mm"', '<= "0.4 MPa"'), 4, "a length is wanted"),
        (('displacement("xmax"', 'displacement("xmx"'), None, "'xmax'"),
        (('"-z"', '"-w"'), 23, "-w"),
        (("[combinations]", "[combinations"), None, "not valid TOML.*line 32"),
        (('name = "bar"', "name = 5"), 1, "name is text"),
    ],
    ids=lambda v: v[1][:30] if isinstance(v, tuple) else "",
)
def test_mistakes_are_named_with_their_line(folder, change, line, says):
    assert change[0] in BAR
    with pytest.raises(ModelError, match=says) as caught:
        read(folder, BAR.replace(*change, 1))
    assert "part.toml" in str(caught.value)
    if line is not None:
        assert f"line {line}:" in str(caught.value)


def test_no_requirements_and_no_file_are_said(folder):
    with pytest.raises(ModelError, match="no requirements"):
        read(folder, BAR[BAR.index("[mesh]") :])
    with pytest.raises(ModelError, match=r"no such file; did you mean 'part\.toml'"):
        read_design(folder / "prt.toml")
    (folder / "latin.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(ModelError, match="cannot be read"):
        read_design(folder / "latin.toml")


def test_lines_of_nested_tables():
    tables = ("[[cases.lift]]", "x = 1", "[[cases.lift]]", "y = 2", "[cases.lift.deep]", "z = 3")
    text = "\n".join(("a = 1", *tables, '["odd name".b]', "c = 4"))
    lines = key_lines(text)
    assert lines[("a",)] == 1
    assert lines[("cases", "lift", 0, "x")] == 3
    assert lines[("cases", "lift", 1, "y")] == 5
    assert lines[("cases", "lift", 1, "deep", "z")] == 7
    assert lines[("odd name", "b", "c")] == 9


# --- the grammar -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "selection"),
    [
        ('near("bolts", "4 mm")', dtw.near("bolts", "4 mm")),
        ('~group("a") & faces(normal=(0, 0, -1))', ~dtw.select("a") & dtw.faces(normal=(0, 0, -1))),
        ('"a" | near("b", 0.004)', "a" | dtw.near("b", 0.004)),
        ('everything() - "a"', dtw.everything() - "a"),
        ('box((None, -1.5, "2 mm"), (1, 2, 3))', dtw.box((None, -1.5, "2 mm"), (1, 2, 3))),
        ('near(["a", "b"], "1 mm")', dtw.near(["a", "b"], "1 mm")),
    ],
)
def test_places_mean_what_they_mean_in_python(text, selection):
    assert parse_place(text) == selection


@pytest.mark.parametrize(
    "name", ["lug", "Set-1", "bolt holes", "SURF.top", "1a", "a|b", "x y (z)", "", "None"]
)
def test_other_words_are_names_of_groups(name):
    assert parse_place(name) == name


def test_a_group_that_looks_like_a_call_is_a_group_where_the_mesh_has_it():
    mesh = box("hexahedron", 1).with_groups({"PART(1)": dtw.Group(nodes=np.array([0]))})
    assert parse_place("PART(1)", mesh) == "PART(1)"
    with pytest.raises(ModelError, match="'PART' is unknown"):
        parse_place("PART(1)")


@pytest.mark.parametrize(
    "text",
    [
        '__import__("os").system("true")',
        'near.__class__("a")',
        'near(open("/etc/passwd"), "1 mm")',
        'near("a", 2**9)',
        'near("a" if 1 else "b", "1 mm")',
        "near(*('a', '1 mm'))",
        "(lambda: 1)()",
        "[near('a', '1 mm') for i in (1, 2)]",
        "near('a', f'{1}')",
        "near('a', b'1 mm')",
        "near('a', ...)",
        "ids(nodes=(1,))",
        "select('a')()",
        "near('a', '1 mm') | 3",
        "near('a', '1 mm'",
    ],
)
def test_nothing_but_the_grammar_is_understood(text):
    with pytest.raises(DesignTwinError):
        parse_place(text)
    with pytest.raises(DesignTwinError):
        parse_requirement(f"yield_margin(on={text}) >= 1")


@given(st.text(max_size=60))
def test_any_text_is_a_place_a_requirement_or_our_own_error(text):
    for parse in (parse_place, parse_requirement):
        with contextlib.suppress(DesignTwinError):
            parse(text)


tokens = st.sampled_from(
    [
        "near",
        "faces",
        "mass",
        "stress",
        "(",
        ")",
        ",",
        "=",
        '"a"',
        "'1 mm'",
        "1",
        "-",
        "|",
        "~",
        "<=",
        ">=",
        "[",
        "]",
        "on",
        "None",
    ]
)


@given(st.lists(tokens, max_size=12))
def test_any_sentence_of_our_words_is_understood_or_our_own_error(words):
    for parse in (parse_place, parse_requirement):
        with contextlib.suppress(DesignTwinError):
            parse(" ".join(words))


def test_the_bracket_is_the_same_in_text_and_in_python():
    from pathlib import Path

    meshes = Path(__file__).resolve().parents[2] / "meshes"
    design = read_design(meshes / "bracket.toml")
    model = dtw.Model(
        dtw.read_mesh(meshes / "bracket.msh", length_unit="mm"),
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="bolt_holes")],
        load_cases={
            "lift": [dtw.Force(on="lug", value=("0 N", "0 N", "-2.5 kN")), dtw.Gravity(direction="-z")],
            "brake": [dtw.Pressure(on=dtw.faces(normal="+x", at="max"), magnitude="4 MPa")],
            "both": dtw.combine(lift=1.35, brake=1.5),
        },
        name="bracket",
    )
    assert design.model.content_hash() == model.content_hash()
    assert design.tests[0].requirements[:2] == (
        dtw.yield_margin(excluding=dtw.near("bolt_holes", "4 mm")) >= 1.5,
        dtw.displacement("lug", "z") <= "0.4 mm",
    )
