"""Broken models are named before solving, each with the sentence a user needs."""

from __future__ import annotations

import numpy as np
import pytest
from builders import apart, box, merged, rectangle
from hypothesis import given, settings
from hypothesis import strategies as st

import designtwin as dtw
from designtwin.errors import (
    MeshError,
    MissingPropertyError,
    ModelError,
    SelectionError,
    SingularSystemError,
)
from designtwin.model.checks import check_static, check_thermal

STEEL = dtw.LinearElastic(
    youngs_modulus="210 GPa", poissons_ratio=0.3, density="7850 kg/m3", conductivity=50.0, expansion=12e-6,
    name="steel",
)  # fmt: skip
PULL = dtw.Force(on="xmax", value=("1 kN", "0 N", "0 N"))


def model_of(mesh, supports=(), loads=(PULL,), materials=None):
    return dtw.Model(
        mesh, materials or {dtw.everything(): STEEL}, supports=supports, load_cases={"a": list(loads)}
    )


def sentence(error, mesh, supports=(), loads=(PULL,), check=check_static, materials=None):
    """What the check says of a model that can be built."""
    model = model_of(mesh, supports, loads, materials)
    with pytest.raises(error) as caught:
        check(model, model.cases["a"])
    return str(caught.value)


def has(text, *words):
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"


def on_the_left(mesh):
    return dtw.FixedSupport(on=dtw.box((None, None, None), (float(mesh.extents[0, 0]), None, None)))


# 1 to 12, as the issue lists them


def test_01_group_misspelt():
    with pytest.raises(ModelError) as caught:
        dtw.Model(
            box("tetra10", 1), {"body": STEEL}, load_cases={"lift": [dtw.Force(on="xmaz", value=(1, 0, 0))]}
        )
    has(str(caught.value), "case 'lift'", "Force on 'xmaz'", "no group 'xmaz'", "did you mean 'xmax'")
    with pytest.raises(ModelError) as caught:
        dtw.Model(box("tetra10", 1), {"boddy": STEEL})
    has(str(caught.value), "material 'steel' on 'boddy'", "did you mean 'body'")
    with pytest.raises(ModelError) as caught:
        dtw.Model(box("tetra10", 1), {"body": STEEL}, supports=[dtw.FixedSupport(on="x_min")])
    has(str(caught.value), "supports: FixedSupport on 'x_min'", "'xmin'")


def test_02_free_to_translate():
    text = sentence(
        SingularSystemError, box("hexahedron", 2), [dtw.Symmetry(on="xmin"), dtw.Symmetry(on="ymin")]
    )
    has(
        text,
        "case 'a'",
        "material group 'everything'",
        "8 cells",
        "mm",
        "free to translate along z",
        "Add a support",
    )
    assert "rotate" not in text
    text = sentence(SingularSystemError, box("hexahedron", 2), [dtw.Symmetry(on="xmin")])
    has(text, "translate along y and z", "rotate about the axis along x")
    has(sentence(SingularSystemError, box("tetra10", 1)), "held by nothing", "InertiaRelief")


def test_03_free_to_rotate():
    mesh = box("hexahedron", 2, (0.2, 0.1, 0.1))
    edge = dtw.box((None, None, None), (0.0, 0.0, None))
    text = sentence(SingularSystemError, mesh, [dtw.FixedSupport(on=edge)])
    has(text, "free to rotate about the axis along z through (0, 0, 50) mm")
    assert "translate" not in text
    text = sentence(SingularSystemError, mesh, [dtw.FixedSupport(on=dtw.nearest((0.2, 0.1, 0.1)))])
    has(text, "rotate in every direction about the point (200, 100, 100) mm")


def test_03_a_hinge_within_the_mesh():
    mesh = merged(box("hexahedron", 2), box("hexahedron", 1, origin=(1.0, 1.0, 0.0)))
    text = sentence(SingularSystemError, mesh, [on_the_left(mesh)])
    has(text, "1 cell near (1500, 1500, 500) mm", "shared nodes only", "rotate about the axis along z",
        "through (1000, 1000, ")  # fmt: skip
    ball = merged(box("hexahedron", 2), box("hexahedron", 1, origin=(1.0, 1.0, 1.0)))
    text = sentence(SingularSystemError, ball, [on_the_left(ball)])
    has(text, "rotate in every direction about the point (1000, 1000, 1000) mm")


def test_04_piece_that_is_not_attached():
    pin = box("hexahedron", 1, origin=(1.0, 0.0, 0.0))
    mesh = apart(box("hexahedron", 1), pin)
    mesh = mesh.with_groups({"plate": dtw.Group(cells=np.array([0])), "pin": dtw.Group(cells=np.array([1]))})
    text = sentence(SingularSystemError, mesh, [on_the_left(mesh)], materials={"plate": STEEL, "pin": STEEL})
    has(text, "Piece 2 of 2", "material group 'pin'", "1 cell near (1500, 500, 500) mm",
        "attached to nothing",
        "4 of its nodes lie on nodes of piece 1", "merge coincident nodes")  # fmt: skip
    far = apart(box("hexahedron", 1), box("hexahedron", 1, origin=(1.25, 0.0, 0.0)))
    has(sentence(SingularSystemError, far, [on_the_left(far)]), "250 mm away")


def test_05_node_in_no_cell():
    mesh = box("hexahedron", 1)
    loose = dtw.Mesh(np.vstack([mesh.points, [[2.0, 0.5, 0.5]]]), mesh.cells,
                     {**mesh.groups, "hook": dtw.Group(nodes=np.array([7, 8]))})  # fmt: skip
    hung = dtw.Force(on="hook", value=(0.0, 0.0, -1.0))
    text = sentence(ModelError, loose, [dtw.FixedSupport(on="xmin")], [hung])
    has(text, "case 'a'", "Force on 'hook'", "no cell uses 1", "ids 8", "(2000, 500, 500) mm")
    # Nobody cares about a node that nothing acts on.
    model = model_of(loose, [dtw.FixedSupport(on="xmin")])
    assert check_static(model, model.cases["a"]) == ()


@pytest.mark.parametrize("element", ["tetra10", "hexahedron", "wedge15", "pyramid", "triangle6", "quad"])
def test_06_inverted_cell(element):
    from builders import block

    mesh = block(element, 2)
    conn = np.array(mesh.cells[element])
    plane = mesh.dimension == 2
    for turned in (conn[3], conn[0]):
        corners = mesh.points[turned]
        order = np.lexsort(corners.T)
        assert len(order) == len(turned)
    broken = np.array(mesh.points)
    # The third cell turned inside out: its nodes mirrored across their middle, apart from all others.
    own = mesh.points[conn[3]] * [-1, 1, 1] + [9.0, 0, 0]
    points = np.vstack([broken, own])
    conn[3] = len(broken) + np.arange(conn.shape[1])
    bad = dtw.Mesh(points, {element: conn}, mesh.groups)
    section = {dtw.everything(): dtw.PlaneStress(STEEL, thickness=0.01)} if plane else None
    text = sentence(MeshError, bad, [dtw.FixedSupport(on="xmin")], check=check_static, materials=section)
    has(text, "1 cell is inverted", "ids 3", "mesh.check()")


@pytest.mark.parametrize("element", ["tetra", "tetra10", "hexahedron"])
def test_07_flat_cell(element):
    mesh = box(element, 2)
    conn = np.array(mesh.cells[element])
    own = mesh.points[conn[5]] * [1, 1, 0] + [5.0, 0, 0]
    points = np.vstack([mesh.points, own])
    conn[5] = mesh.n_points + np.arange(conn.shape[1])
    text = sentence(MeshError, dtw.Mesh(points, {element: conn}, mesh.groups), [dtw.FixedSupport(on="xmin")])
    has(text, "1 cell is flat", "ids 5")


def test_08_missing_property():
    bare = dtw.LinearElastic(youngs_modulus="210 GPa", poissons_ratio=0.3, name="mystery")
    hold = [dtw.FixedSupport(on="xmin")]
    mesh = box("tetra10", 1)
    text = sentence(MissingPropertyError, mesh, hold, [dtw.Gravity()], materials={"body": bare})
    has(text, "case 'a'", "Gravity", "density", "'mystery'", "'body'", "7850 kg/m3")
    text = sentence(MissingPropertyError, mesh, hold, [dtw.Temperature("80 degC")], materials={"body": bare})
    has(text, "expansion", "'mystery'", "Temperature")
    heat = [dtw.HeatFlow(on="xmax", total=1.0), dtw.FixedTemperature(on="xmin", value=300.0)]
    text = sentence(MissingPropertyError, mesh, hold, heat, check=check_thermal, materials={"body": bare})
    has(text, "conductivity", "'mystery'", "thermal")
    only_heat = dtw.LinearElastic(conductivity=200.0, name="paste")
    text = sentence(MissingPropertyError, mesh, hold, [PULL], materials={"body": only_heat})
    has(text, "youngs_modulus", "'paste'")


def test_09_contradicting_supports():
    with pytest.raises(ModelError) as caught:
        model_of(
            box("tetra10", 1),
            [dtw.FixedSupport(on="xmin"), dtw.PrescribedDisplacement(on="xmin", z="-2 mm")],
        )
    both = "FixedSupport on 'xmin' and PrescribedDisplacement on 'xmin' contradict each other"
    has(str(caught.value), both,
        "z displacement 0 mm against -2 mm")  # fmt: skip


def test_10_two_materials_or_none():
    mesh = box("hexahedron", (2, 1, 1)).with_groups({"left": dtw.Group(cells=np.array([0]))})
    copper = dtw.material("copper")
    with pytest.raises(ModelError) as caught:
        dtw.Model(mesh, {"body": STEEL, "left": copper})
    has(str(caught.value), "1 cells have two materials", "'body'", "'left'", "'steel'")
    with pytest.raises(ModelError) as caught:
        dtw.Model(mesh.with_groups({"right": dtw.Group(cells=np.array([1]))}), {"left": copper})
    has(str(caught.value), "1 of 2 cells have no material", "'right'", "(750, 500, 500) mm")
    with pytest.raises(ModelError) as caught:
        dtw.Model(box("hexahedron", 1).with_groups({"tip": dtw.Group(nodes=np.array([0]))}), {"tip": STEEL})
    has(str(caught.value), "holds no cells", "'body'")


def test_11_selection_that_finds_nothing():
    with pytest.raises(ModelError) as caught:
        model_of(box("tetra10", 1), [dtw.FixedSupport(on=dtw.cylinder(diameter="8.5 mm"))])
    has(str(caught.value), "supports: ", "FixedSupport", "nothing found", "8.5 mm")
    model = model_of(box("tetra10", 1))
    with pytest.raises(SelectionError):
        model.region("xmaz")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"youngs_modulus": 210000.0}, ("youngs_modulus", "2.1e+05 Pa", "'210 GPa'")),
        ({"youngs_modulus": 210.0}, ("youngs_modulus", "210 Pa")),
        ({"density": 7.85e-9}, ("density", "7.85e-09", "'7850 kg/m3'")),
        ({"density": 7.85}, ("density", "7.85", "foam")),
        ({"yield_strength": 355.0}, ("yield_strength", "355 Pa")),
        ({"expansion": 12.0}, ("expansion", "12")),
        ({"conductivity": 5e4}, ("conductivity",)),
    ],
)
def test_12_implausible_units_of_a_material(changes, words):
    stated = {"youngs_modulus": 210e9, "poissons_ratio": 0.3, "density": 7850.0, "name": "steel"} | changes
    model = model_of(box("tetra10", 1), [dtw.FixedSupport(on="xmin")],
                     materials={"body": dtw.LinearElastic(**stated)})  # fmt: skip
    notes = check_static(model, model.cases["a"])
    assert len(notes) == 1
    has(notes[0], "'steel'", *words)


def test_12_implausible_size():
    mesh = box("tetra10", 1, (80.0, 40.0, 20.0))
    model = model_of(mesh, [dtw.FixedSupport(on="xmin")])
    (note,) = check_static(model, model.cases["a"])
    has(note, "91.65 m across", "length_unit='mm'")


@pytest.mark.parametrize("name", dtw.material_names())
def test_no_false_alarm_on_the_library(name):
    material = dtw.material(name)
    if material.magnitude("youngs_modulus") is None:
        pytest.skip("a material for heat alone")
    model = model_of(box("tetra10", 1), [dtw.FixedSupport(on="xmin")], materials={"body": material})
    assert check_static(model, model.cases["a"]) == ()


# Thermal


def test_temperature_without_a_level():
    heat = [dtw.HeatFlow(on="xmax", total="5 W")]
    text = sentence(SingularSystemError, box("tetra10", 1), loads=heat, check=check_thermal)
    has(text, "case 'a'", "neither a fixed temperature nor convection", "FixedTemperature(on=...)")
    two = apart(box("hexahedron", 1), box("hexahedron", 1, origin=(2.0, 0, 0)))
    film = dtw.Convection(on=dtw.faces(normal="-x", at="min"), coefficient=5.0, ambient=300.0)
    text = sentence(SingularSystemError, two, loads=[*heat, film], check=check_thermal)
    has(text, "Piece 2 of 2", "(2500, 500, 500) mm")


def test_a_level_may_come_from_either():
    for item in (
        dtw.FixedTemperature(on="xmin", value="20 degC"),
        dtw.Convection(on="xmin", coefficient=5.0, ambient="20 degC"),
    ):
        model = model_of(box("tetra10", 1), loads=[dtw.HeatFlow(on="xmax", total="5 W"), item])
        assert check_thermal(model, model.cases["a"]) == ()


# Odd, but no error


def test_nothing_loads_the_case():
    model = model_of(box("tetra10", 1), [dtw.FixedSupport(on="xmin")], [])
    (note,) = check_static(model, model.cases["a"])
    has(note, "case 'a'", "nothing loads it")
    model = model_of(
        box("tetra10", 1), [dtw.FixedSupport(on="xmin")], [dtw.Pressure(on="xmax", magnitude=0.0)]
    )
    (note,) = check_static(model, model.cases["a"])
    has(note, "all zero")
    model = model_of(box("tetra10", 1), [dtw.FixedSupport(on="xmin")],
                     [dtw.PrescribedDisplacement(on="xmax", x=1e-3)])  # fmt: skip
    assert check_static(model, model.cases["a"]) == ()


# Sound models pass


def test_springs_and_foundations_hold_a_part():
    mesh = box("tetra10", 2)
    for supports in (
        [dtw.Spring(on="xmin", stiffness=("1 N/mm", "1 N/mm", "1 N/mm"))],
        [dtw.ElasticFoundation(on="xmin", normal="1 N/mm3", tangential="1 N/mm3")],
        [dtw.ElasticFoundation(on=side, normal="1 N/mm3") for side in ("xmin", "ymin", "zmin")],
    ):
        model = model_of(mesh, supports)
        assert check_static(model, model.cases["a"]) == ()
    text = sentence(SingularSystemError, mesh, [dtw.ElasticFoundation(on="xmin", normal="1 N/mm3")])
    has(text, "translate along y and z")
    soft = [dtw.Spring(on="xmin", stiffness=("1 N/mm", 0.0, "1 N/mm"))]
    has(sentence(SingularSystemError, mesh, soft), "translate along y")


def test_the_least_support_is_enough():
    """Six directions on three nodes (3-2-1), far smaller than the part."""
    mesh = box("tetra10", 2, (1.0, 1.0, 1.0))
    supports = [
        dtw.FixedSupport(on=dtw.nearest((0, 0, 0))),
        dtw.PrescribedDisplacement(on=dtw.nearest((1, 0, 0)), y=0.0, z=0.0),
        dtw.PrescribedDisplacement(on=dtw.nearest((0, 1, 0)), z=0.0),
    ]
    model = model_of(mesh, supports)
    assert check_static(model, model.cases["a"]) == ()
    has(
        sentence(SingularSystemError, mesh, supports[:2]),
        "rotate about the axis along x through (500, 0, 0) mm",
    )


def test_a_tiny_support_on_a_large_part_is_enough():
    mesh = merged(
        box("hexahedron", (1, 1, 1), (1e-4, 1e-4, 1e-4)),
        box("hexahedron", (1, 1, 1), (1e-4, 1e-4, 1e-4), origin=(1e-4, 0, 0)),
    )
    points = np.array(mesh.points)
    points[points[:, 0] > 1.5e-4, 0] = 1.0
    model = model_of(mesh.moved(points), [on_the_left(mesh)])
    assert check_static(model, model.cases["a"]) == ()


def test_a_body_of_revolution_is_held_by_one_height():
    mesh = rectangle("quad8", 2, origin=(1.0, 0.0))
    section = {"body": dtw.Axisymmetric(STEEL)}
    load = [dtw.Pressure(on="xmin", magnitude=1e6)]
    model = model_of(mesh, [dtw.Symmetry(on="ymin")], load, section)
    assert check_static(model, model.cases["a"]) == ()
    has(
        sentence(SingularSystemError, mesh, (), load, materials=section),
        "held by nothing",
        "along y, its axis",
    )


def test_motions_in_the_plane():
    mesh = rectangle("triangle6", 2)
    section = {"body": dtw.PlaneStress(STEEL, thickness=0.01)}
    text = sentence(SingularSystemError, mesh, [dtw.Symmetry(on="xmin")], materials=section)
    has(text, "free to translate along y")
    text = sentence(
        SingularSystemError, mesh, [dtw.FixedSupport(on=dtw.nearest((1, 1, 0)))], materials=section
    )
    has(text, "rotate in the plane about (1000, 1000, 0) mm")


def test_bars_that_form_a_mechanism():
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    square = {"line": np.array([[0, 1], [1, 2], [2, 3], [3, 0]])}
    groups = {"feet": dtw.Group(nodes=np.array([0, 1])), "top": dtw.Group(nodes=np.array([2]))}
    bars = {dtw.everything(): dtw.Truss(STEEL, area="1 cm2")}
    push = [dtw.Force(on="top", value=(1.0, 0.0, 0.0))]
    loose = dtw.Mesh(points, square, groups)
    text = sentence(SingularSystemError, loose, [dtw.FixedSupport(on="feet")], push, materials=bars)
    has(text, "mechanism of bars", "nodes 2, 3", "(1000, 1000, 0) mm")
    braced = {"line": np.vstack([square["line"], [[0, 2]]])}
    model = model_of(dtw.Mesh(points, braced, groups), [dtw.FixedSupport(on="feet")], push, bars)
    assert check_static(model, model.cases["a"]) == ()


@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: np.linalg.norm(a) > 0.1),
    shift=st.tuples(*[st.floats(-3, 3)] * 3),
    size=st.floats(1e-3, 10.0),
)
@settings(max_examples=20, deadline=None)
def test_a_hinge_is_found_wherever_the_part_lies(axis, shift, size):
    """One line of nodes held: exactly one rotation is left, about that line, at any place and scale."""
    k = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    turn = np.eye(3) + np.sin(1.0) * cross + (1 - np.cos(1.0)) * cross @ cross
    mesh = box("hexahedron", 2)
    edge = np.flatnonzero((mesh.points[:, :2] < 1e-9).all(axis=1))
    mesh = mesh.moved(size * mesh.points @ turn.T + np.array(shift)).with_groups(
        {"edge": dtw.Group(nodes=edge)}
    )
    text = sentence(SingularSystemError, mesh, [dtw.FixedSupport(on="edge")])
    assert text.count("rotate") == 1
    assert "translate" not in text
    assert "screw" not in text
