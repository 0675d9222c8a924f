"""Model: binding, cases and combinations, plain data, words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import apart, bar, box, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import DesignTwinError, MissingPropertyError, ModelError
from designtwin.model.model import Model

STEEL = dtw.LinearElastic(
    youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0, expansion=12e-6, name="steel"
)


def acceptance(mesh=None):
    return dtw.Model(
        box("tetra10", 2, (0.2, 0.1, 0.05)) if mesh is None else mesh,
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "lift": [dtw.Force(on="xmax", value=("0 N", "0 N", "-2.5 kN")), dtw.Gravity(direction="-z")],
            "brake": [dtw.Pressure(on=dtw.faces(normal="+x", at="max"), magnitude="4 MPa")],
            "both": dtw.combine(lift=1.35, brake=1.5),
        },
        name="bracket",
    )


def two_parts():
    left, right = box("hexahedron", 1), box("hexahedron", 1, origin=(1.0, 0, 0))
    mesh = apart(left, right)
    return mesh.with_groups({"left": dtw.Group(cells=np.array([0])), "right": dtw.Group(cells=np.array([1]))})


def test_parts_and_cells():
    mesh = two_parts()
    soft = dtw.LinearElastic(youngs_modulus=1e9, poissons_ratio=0.4, density=1000.0)
    model = dtw.Model(mesh, {"left": STEEL, "right": dtw.Solid(soft)})
    assert [part.name for part in model.parts] == ["left", "right"]
    assert_allclose(model.part_of_cell, [0, 1])
    assert_allclose(model.cell_density("mass"), [7850.0, 1000.0])
    assert_allclose(model.cell_scale(), 1.0)
    assert model.dimension == 3
    assert not model.axisymmetric


def test_scale_is_thickness_or_area():
    plate = dtw.Model(rectangle("quad", 2), {"body": dtw.PlaneStress(STEEL, thickness="5 mm")})
    assert_allclose(plate.cell_scale(), 0.005)
    assert plate.dimension == 2
    wedge = dtw.PlaneStress(STEEL, thickness=lambda x: 0.01 + 0.01 * x[:, 0])
    assert_allclose(dtw.Model(rectangle("quad", (2, 1)), {"body": wedge}).cell_scale(), [0.0125, 0.0175])
    assert_allclose(dtw.Model(bar(2), {"body": dtw.Truss(STEEL, area="20 mm2")}).cell_scale(), 20e-6)


def test_cases_are_sorted_by_physics():
    mesh = box("tetra10", 1)
    model = dtw.Model(
        mesh,
        {"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin"), dtw.FixedTemperature(on="xmin", value="20 degC")],
        load_cases={
            "a": [dtw.Gravity(), dtw.HeatFlux(on="xmax", magnitude=1.0), dtw.Symmetry(on="ymin"),
                  dtw.Temperature("80 degC")],
            "hot": [dtw.HeatFlux(on="xmax", magnitude=1.0)],
            "idle": [],
        },
    )  # fmt: skip
    a, hot, idle = (model.cases[name] for name in ("a", "hot", "idle"))
    assert [type(s).__name__ for s in model.supports] == ["FixedSupport"]
    assert [type(s).__name__ for s in model.heat_supports] == ["FixedTemperature"]
    assert [type(x).__name__ for x in a.loads] == ["Gravity"]
    assert [type(x).__name__ for x in a.heat_loads] == ["HeatFlux"]
    assert [type(x).__name__ for x in a.supports] == ["Symmetry"]
    assert a.temperature is not None
    assert a.is_static
    assert a.is_thermal
    assert hot.is_thermal
    assert not hot.is_static
    assert idle.is_static


def test_temperature_takes_a_number_a_field_an_array_or_a_thermal_case():
    mesh = box("tetra10", 1)
    model = dtw.Model(mesh, {"body": STEEL})
    values = 300.0 + 10.0 * mesh.points[:, 0]

    class Solved:
        temperature = values

    for given, wanted in (
        ("100 degC", np.full(mesh.n_points, 373.15)),
        (lambda x: 300.0 + 10.0 * x[:, 0], values),
        (values, values),
        (Solved(), values),
    ):
        assert_allclose(dtw.Temperature(given, reference="20 degC").at_nodes(model), wanted)
    assert_allclose(dtw.Temperature(300.0, reference="20 degC").reference, 293.15)


def test_temperature_of_another_mesh_is_refused():
    with pytest.raises(ModelError, match=r"case 'a': .*3 nodal values; the mesh has 8 points"):
        dtw.Model(
            box("hexahedron", 1), {"body": STEEL}, load_cases={"a": [dtw.Temperature(np.full(3, 300.0))]}
        )


def test_equal_supports_share_a_setup_and_temperature_matters_only_where_stiffness_varies():
    mesh = box("tetra10", 1)
    hot, cold = dtw.Temperature("100 degC"), dtw.Temperature("20 degC")
    cases = {"a": [dtw.Gravity(), hot], "b": [cold], "c": [dtw.Symmetry(on="ymin")]}
    model = dtw.Model(mesh, {"body": STEEL}, load_cases=cases)
    key = {name: case.setup_key() for name, case in model.cases.items()}
    assert key["a"] == key["b"] != key["c"]
    tabulated = dtw.LinearElastic(
        youngs_modulus=dtw.table(
            over="temperature", at=["0 degC", "200 degC"], values=["210 GPa", "190 GPa"]
        ),
        poissons_ratio=0.3,
        expansion=1e-5,
    )
    model = dtw.Model(mesh, {"body": tabulated}, load_cases=cases)
    key = {name: case.setup_key() for name, case in model.cases.items()}
    assert key["a"] != key["b"]


# Combinations


def test_combinations_unfold():
    mesh = box("hexahedron", 1)
    gravity = [dtw.Gravity()]
    model = dtw.Model(
        mesh,
        {"body": STEEL},
        load_cases={
            "a": gravity,
            "b 2": gravity,
            "both": dtw.combine({"b 2": 2.0}, a=1.35),
            "more": dtw.combine(both=2.0, a=-0.7),
        },
    )
    assert model.combinations["both"] == {"b 2": 2.0, "a": 1.35}
    assert model.combinations["more"] == pytest.approx({"b 2": 4.0, "a": 2.0})


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ({"lift": [], "both": dtw.combine(lfit=1.0)}, "did you mean 'lift'"),
        ({"a": dtw.combine(b=1.0), "b": dtw.combine(a=1.0)}, "holds itself"),
        ({"a": [dtw.FixedSupport(on="xmin")], "b": [], "c": dtw.combine(a=1, b=1)}, "cannot be added"),
    ],
)
def test_combinations_that_make_no_sense(cases, words):
    with pytest.raises(ModelError, match=words):
        dtw.Model(box("hexahedron", 1), {"body": STEEL}, load_cases=cases)


def test_a_settlement_counts_once():
    mesh = box("hexahedron", 1)
    sunk, still = (dtw.PrescribedDisplacement(on="xmin", x=0.0, y=0.0, z=z) for z in (-1e-3, 0.0))
    push = dtw.Force(on="xmax", value=(1.0, 0.0, 0.0))
    with pytest.raises(ModelError, match=r"count PrescribedDisplacement on 'xmin' 2\.85 times"):
        dtw.Model(mesh, {"body": STEEL}, supports=[sunk],
                  load_cases={"a": [push], "b": [push], "c": dtw.combine(a=1.35, b=1.5)})  # fmt: skip
    cases = {"sunk": [sunk], "a": [push, still], "c": dtw.combine(sunk=1.0, a=0.0)}
    model = dtw.Model(mesh, {"body": STEEL}, load_cases=cases)
    assert model.combinations["c"] == {"sunk": 1.0, "a": 0.0}


# What the constructor refuses


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"materials": {}}, "materials says what each group"),
        ({"materials": {"body": "S355"}}, 'material\\("S355"\\)'),
        ({"supports": [dtw.Gravity()]}, "loads go into load_cases"),
        ({"load_cases": {"a": "Gravity"}}, "a list of loads is wanted"),
        ({"load_cases": {"a": [3.0]}}, "holds float 3.0"),
        ({"load_cases": [dtw.Gravity()]}, "a dictionary by name"),
        ({"load_cases": {"a": [dtw.Temperature(300.0), dtw.Temperature(400.0)]}}, "one at a time"),
        ({"load_cases": {"a": [dtw.PointMass(on="xmax", mass=1.0)]}}, "among the model's supports"),
        ({"load_cases": {"a": [dtw.HeatSource(on="xmax", total=1.0)]}}, "acts on cells"),
    ],
)
def test_what_is_no_model(arguments, words):
    given = {"materials": {"body": STEEL}} | arguments
    with pytest.raises(ModelError, match=words):
        dtw.Model(box("hexahedron", 1), **given)


@pytest.mark.parametrize(
    ("mesh", "section", "words"),
    [
        (rectangle("quad", 1), STEEL, "say what the plane stands for"),
        (bar(2), STEEL, "need a cross-section"),
        (box("hexahedron", 1), dtw.PlaneStrain(STEEL), "use Solid"),
        (rectangle("quad", 1), dtw.Solid(STEEL), "use PlaneStress"),
        (rectangle("quad", 1, origin=(-1.0, 0.0)), dtw.Axisymmetric(STEEL), "lies at x >= 0"),
    ],
)
def test_sections_fit_their_cells(mesh, section, words):
    with pytest.raises(ModelError, match=words):
        dtw.Model(mesh, {"body": section})


def test_a_mesh_comes_first():
    with pytest.raises(ModelError, match="the first argument is a mesh"):
        dtw.Model("bracket.msh", {"body": STEEL})


def test_density_that_is_missing_names_who_needs_it():
    model = dtw.Model(
        box("hexahedron", 1), {"body": dtw.LinearElastic(youngs_modulus=1e9, poissons_ratio=0.3)}
    )
    with pytest.raises(MissingPropertyError, match=r"density.*mass test"):
        model.cell_density("mass test")


# Others like it


def test_with_case_leaves_the_model_as_it_was():
    model = acceptance()
    more = model.with_case("drop", [dtw.Acceleration(value=("0 g", "0 g", "30 g"))])
    assert list(more.cases) == ["lift", "brake", "drop"]
    assert list(model.cases) == ["lift", "brake"]
    assert more.mesh is model.mesh
    thicker = model.with_(materials={"body": dtw.material("S235")})
    assert thicker.content_hash() != model.content_hash()
    with pytest.raises(ModelError, match="a model has no 'loads'"):
        model.with_(loads=[])


# Plain data


def test_a_model_survives_being_written_and_read():
    model = acceptance().with_(
        supports=[
            dtw.FixedSupport(on="xmin"),
            dtw.FixedTemperature(on="xmin", value="20 degC"),
            dtw.PointMass(on="xmax", mass=2.0),
        ]
    )
    again = Model.from_dict(json.loads(json.dumps(model.to_dict())), mesh=model.mesh)
    assert again.to_dict() == model.to_dict()
    assert again.content_hash() == model.content_hash()
    assert again.combinations == model.combinations
    assert str(again) == str(model)


def test_inertia_relief_is_stated_once_in_plain_data():
    model = dtw.Model(box("hexahedron", 1), {"body": STEEL}, supports=[dtw.InertiaRelief()],
                      load_cases={"a": [dtw.Force(on="xmax", value=(1.0, 0.0, 0.0))]})  # fmt: skip
    again = Model.from_dict(json.loads(json.dumps(model.to_dict())), mesh=model.mesh)
    assert len(again.cases["a"].loads) == len(model.cases["a"].loads) == 2
    assert again.content_hash() == model.content_hash()


def test_the_hash_follows_every_part_of_the_content():
    model = acceptance()
    hashes = {
        model.content_hash(),
        acceptance(box("tetra10", 2, (0.2, 0.1, 0.06))).content_hash(),
        model.with_(name="other").content_hash(),
        model.with_(supports=[dtw.FixedSupport(on="ymin")]).content_hash(),
        model.with_(materials={"body": dtw.material("S235")}).content_hash(),
        model.with_case("lift", [dtw.Gravity()]).content_hash(),
        model.with_case("both", dtw.combine(lift=1.35, brake=1.6)).content_hash(),
    }
    assert len(hashes) == 7
    assert acceptance().content_hash() == model.content_hash()


def test_another_mesh_is_refused():
    data = acceptance().to_dict()
    with pytest.raises(ModelError, match="not the one the model was saved with"):
        Model.from_dict(data, mesh=box("tetra10", 2, (0.2, 0.1, 0.051)))
    with pytest.raises(DesignTwinError):
        Model.from_dict({"type": "Force"}, mesh=box("tetra10", 1))


def test_a_function_cannot_be_saved():
    model = acceptance().with_case("wind", [dtw.Pressure(on="xmax", magnitude=lambda x: x[:, 0])])
    with pytest.raises(DesignTwinError, match="function"):
        model.to_dict()


# Words


def test_the_summary_shows_the_applied_resultants():
    text = str(acceptance())
    for words in (
        "'bracket'",
        "S355",
        "FixedSupport on 'xmin'",
        "Force on 'xmax': force (0, 0, -2500) N, moment about the origin (-125000, 500000, 0) N·mm",
        "applied in all",
        "1.35 × lift + 1.5 × brake",
        "Pressure on faces facing +x at the highest x: force (-20000, 0, 0) N",
    ):
        assert words in text


def test_combinations_of_heat_are_refused():
    """They would be left out of every test without a word."""
    with pytest.raises(ModelError, match="temperatures do not add"):
        dtw.Model(
            box("hexahedron", 1),
            materials={"body": STEEL},
            supports=[dtw.FixedSupport(on="xmin")],
            load_cases={
                "pull": [dtw.Force(on="xmax", value=(1.0, 0.0, 0.0))],
                "warm": [dtw.FixedTemperature(on="xmin", value="80 degC")],
                "both": dtw.combine(pull=1.0, warm=1.0),
            },
        )


def test_negative_coefficients_are_refused():
    with pytest.raises(ModelError, match="below zero"):
        dtw.Convection(on="xmin", coefficient=-1.0, ambient="20 degC")
    with pytest.raises(ModelError, match="below zero"):
        dtw.ElasticFoundation(on="xmin", normal=-1.0)
