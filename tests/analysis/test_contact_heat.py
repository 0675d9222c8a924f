"""Heat between parts that touch: resistances in series on any meshes; what leaves one enters the other."""

from dataclasses import replace

import numpy as np
import pytest
from builders import apart, box, rectangle, ring
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.elements import ELEMENTS

IRON = dtw.LinearElastic(conductivity=50.0)
SALT = dtw.LinearElastic(conductivity=5.0)
H = 20.0
"""W/(m^2 K): about as much resistance as a block has."""
HOT, COLD = 400.0, 300.0


def named(mesh, prefix):
    return replace(mesh, groups={f"{prefix}_{name}": group for name, group in mesh.groups.items()})


def pair(first, n, second, m, gap=0.0):
    """A unit block (square) of iron and one of salt above it, half as high; how many nodes the first has."""
    if ELEMENTS[first].dimension == 2:
        a, b = rectangle(first, n), rectangle(second, m, (1.0, 0.5), origin=(0.0, 1.0 + gap))
    else:
        a, b = box(first, n), box(second, m, (1.0, 1.0, 0.5), origin=(0.0, 0.0, 1.0 + gap))
    return apart(named(a, "a"), named(b, "b")), a.n_points


def ends(mesh):
    return ("a_zmin", "a_zmax", "b_zmin", "b_zmax") if mesh.dimension == 3 else (
        "a_ymin", "a_ymax", "b_ymin", "b_ymax"
    )  # fmt: skip


def solved(mesh, joint, *, section=lambda material: material, solver=None, balance=True):
    bottom, _, _, top = ends(mesh)
    model = dtw.Model(
        mesh,
        materials={"a_body": section(IRON), "b_body": section(SALT)},
        supports=[dtw.FixedTemperature(on=bottom, value=HOT), dtw.FixedTemperature(on=top, value=COLD)],
        connections=[joint],
        load_cases={"heat": []},
    )
    result = dtw.solve_thermal(model, solver=solver)
    case = result["heat"]
    if balance:
        assert case.imbalance < 1e-9
    return model, result, case


# Exact where it is exact

PAIRS = [
    ("hexahedron", 2, "hexahedron", 2), ("tetra10", 2, "tetra10", 2),  # faces match
    ("hexahedron", 3, "hexahedron", 2), ("tetra", 2, "tetra", 3), ("tetra10", 3, "tetra10", 2),
    ("hexahedron20", 2, "tetra10", 3), ("wedge15", 2, "hexahedron20", 3), ("tetra10", 2, "hexahedron", 3),
    ("quad8", 3, "triangle6", 2), ("quad", 2, "quad", 3), ("triangle", 2, "quad8", 2),
]  # fmt: skip


@pytest.mark.parametrize(("first", "n", "second", "m"), PAIRS)
def test_two_blocks_and_their_contact_are_resistances_in_series(first, n, second, m):
    mesh, own = pair(first, n, second, m)
    _, touching, other, _ = ends(mesh)
    joint = dtw.ContactConductance(a=touching, b=other, conductance=H)
    thick = 0.2 if mesh.dimension == 2 else 1.0
    section = (
        (lambda one: dtw.PlaneStress(one, thickness=thick)) if mesh.dimension == 2 else (lambda one: one)
    )
    model, _, case = solved(mesh, joint, section=section)
    flux = (HOT - COLD) / (1.0 / 50.0 + 1.0 / H + 0.5 / 5.0)
    height = mesh.points[:, mesh.dimension - 1]
    wanted = np.where(
        np.arange(mesh.n_points) < own, HOT - flux / 50.0 * height, COLD + flux / 5.0 * (1.5 - height)
    )
    assert_allclose(case.temperature, wanted, rtol=1e-11)
    assert joint.area(model) == pytest.approx(thick, rel=1e-12)
    assert joint.heat(model, case.temperature) == pytest.approx(flux * thick, rel=1e-10)
    # From the other side it is the same heat, the other way.
    turned = dtw.ContactConductance(a=other, b=touching, conductance=H)
    assert turned.heat(model, case.temperature) == pytest.approx(-flux * thick, rel=1e-10)


def test_resistance_and_layer_and_conductance_are_one_law():
    mesh, _ = pair("tetra10", 2, "hexahedron20", 3)
    joints = [
        dtw.ContactConductance(a="a_zmax", b="b_zmin", conductance="20 W/(m2*K)"),
        dtw.ContactConductance(a="a_zmax", b="b_zmin", resistance="500 cm2*K/W"),
        dtw.ThermalInterface(a="a_zmax", b="b_zmin", thickness="2 mm", conductivity="0.04 W/(m*K)"),
    ]
    fields = [solved(mesh, joint)[2].temperature for joint in joints]
    assert_allclose(fields[1], fields[0], rtol=1e-12)
    assert_allclose(fields[2], fields[0], rtol=1e-12)


def test_a_layer_that_stands_as_a_gap_is_bridged_whatever_the_size_of_facets():
    thickness = 0.3  # of facets of 0.25: beyond what is bridged unasked
    mesh, own = pair("hexahedron", 4, "tetra10", 3, gap=thickness)
    layer = dtw.ThermalInterface(a="a_zmax", b="b_zmin", thickness=thickness, conductivity=H * thickness)
    model, result, case = solved(mesh, layer)
    flux = (HOT - COLD) / (1.0 / 50.0 + 1.0 / H + 0.5 / 5.0)
    assert layer.heat(model, case.temperature) == pytest.approx(flux, rel=1e-10)
    below = mesh.points[:own]
    assert_allclose(case.temperature[:own], HOT - flux / 50.0 * below[:, 2], rtol=1e-11)
    assert not result.notes


def test_an_axisymmetric_contact_counts_the_whole_ring():
    # Flat: discs on each other, heat along the axis, exact.
    a = rectangle("quad8", (3, 2), (0.5, 1.0), origin=(0.25, 0.0))
    b = rectangle("triangle6", (4, 2), (0.5, 0.5), origin=(0.25, 1.0))
    mesh = apart(named(a, "a"), named(b, "b"))
    joint = dtw.ContactConductance(a="a_ymax", b="b_ymin", conductance=H)
    model, _, case = solved(mesh, joint, section=dtw.Axisymmetric)
    area = np.pi * (0.75**2 - 0.25**2)
    flux = (HOT - COLD) / (1.0 / 50.0 + 1.0 / H + 0.5 / 5.0)
    assert joint.area(model) == pytest.approx(area, rel=1e-12)
    assert joint.heat(model, case.temperature) == pytest.approx(flux * area, rel=1e-10)
    assert_allclose(case.temperature[: a.n_points], HOT - flux / 50.0 * a.points[:, 1], rtol=1e-11)


def test_axisymmetric_sleeves_are_logarithmic_resistances_in_series():
    a = rectangle("quad8", (8, 3), (0.5, 1.0), origin=(0.5, 0.0))
    b = rectangle("triangle6", (8, 4), (0.5, 1.0), origin=(1.0, 0.0))
    joint = dtw.ContactConductance(a="a_xmax", b="b_xmin", conductance=H)
    model = dtw.Model(
        apart(named(a, "a"), named(b, "b")),
        materials={"a_body": dtw.Axisymmetric(IRON), "b_body": dtw.Axisymmetric(SALT)},
        supports=[
            dtw.FixedTemperature(on="a_xmin", value=HOT),
            dtw.FixedTemperature(on="b_xmax", value=COLD),
        ],
        connections=[joint],
        load_cases={"heat": []},
    )
    case = dtw.solve_thermal(model)["heat"]
    each = 2.0 * np.pi * 1.0
    resistance = np.log(1.0 / 0.5) / (each * 50.0) + 1.0 / (H * each) + np.log(1.5) / (each * 5.0)
    assert joint.heat(model, case.temperature) == pytest.approx((HOT - COLD) / resistance, rel=1e-6)


@pytest.mark.parametrize(
    ("first", "n", "second", "m", "share"),
    [
        ("tetra10", (1, 24, 2), "tetra10", (1, 18, 1), 2e-4),
        ("hexahedron20", (1, 16, 2), "tetra10", (1, 20, 1), 2e-4),
        ("tetra10", (1, 16, 2), "tetra10", (1, 16, 2), 2e-4),
        ("hexahedron", (4, 64, 1), "hexahedron", (4, 48, 1), 4e-3),
    ],
)
def test_curved_faces_that_do_not_match_pass_heat_over_their_whole_area(first, n, second, m, share):
    inner = ring(first, n, inner=0.8, outer=1.0, height=0.5)
    outer = ring(second, m, inner=1.0, outer=1.3, height=0.5)
    mesh = apart(named(inner, "a"), named(outer, "b"))
    joint = dtw.ContactConductance(a="a_outer", b="b_inner", conductance=H)
    model = dtw.Model(
        mesh,
        materials={"a_body": IRON, "b_body": SALT},
        supports=[
            dtw.FixedTemperature(on="a_inner", value=HOT), dtw.FixedTemperature(on="b_outer", value=COLD)
        ],
        connections=[joint],
        load_cases={"heat": []},
    )  # fmt: skip
    result = dtw.solve_thermal(model)
    case = result["heat"]
    assert case.imbalance < 1e-9
    assert not result.notes
    around = 2.0 * np.pi * 0.5
    resistance = np.log(1.0 / 0.8) / (around * 50.0) + 1.0 / (H * around) + np.log(1.3) / (around * 5.0)
    assert joint.area(model) == pytest.approx(around, rel=share)
    assert joint.heat(model, case.temperature) == pytest.approx((HOT - COLD) / resistance, rel=share)


def test_a_conductance_that_varies_over_the_face_acts_place_by_place():
    mesh, own = pair("tetra10", 3, "hexahedron20", 2)
    step = np.where(np.arange(mesh.n_points) < own, HOT, COLD)
    for conductance, mean in (
        (lambda x: 2.0 * (1.0 + 3.0 * x[:, 0] ** 2 * x[:, 1]), 3.0),
        (dtw.nodal(2.0 * (1.0 + mesh.points[:, 0])), 3.0),
        (
            dtw.field([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 2)], np.repeat([0.0, 6.0], 4)),
            3.0,
        ),
    ):
        joint = dtw.ContactConductance(a="a_zmax", b="b_zmin", conductance=conductance)
        model, _, _ = solved(mesh, joint)
        assert joint.heat(model, step) == pytest.approx(mean * (HOT - COLD), rel=1e-10)


def test_a_rising_conductance_ends_as_a_bond_and_none_leaves_the_part_alone():
    mesh, before = pair("tetra10", 3, "hexahedron20", 2)
    tied = solved(mesh, dtw.Tie(a="a_zmax", b="b_zmin"))[2].temperature
    far = []
    for conductance in (1e4, 1e5, 1e6):
        joint = dtw.ContactConductance(a="a_zmax", b="b_zmin", conductance=conductance)
        far.append(float(np.abs(solved(mesh, joint)[2].temperature - tied).max()))
    assert 9.0 < far[0] / far[1] < 11.0
    assert 9.0 < far[1] / far[2] < 11.0
    closed = dtw.ContactConductance(a="a_zmax", b="b_zmin", conductance=0.0)
    model, _, case = solved(mesh, closed, balance=False)
    assert closed.heat(model, case.temperature) == 0.0
    own = np.arange(mesh.n_points) < before
    assert_allclose(case.temperature, np.where(own, HOT, COLD), rtol=1e-12)


# Conservation


@settings(max_examples=8, deadline=None)
@given(
    first=st.sampled_from(["hexahedron", "tetra10", "wedge"]), n=st.integers(1, 3),
    second=st.sampled_from(["hexahedron20", "tetra"]), m=st.integers(1, 3),
    shift=st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)),
)  # fmt: skip
def test_what_leaves_one_face_enters_the_other_over_the_common_area(first, n, second, m, shift):
    a = box(first, n)
    b = box(second, m, origin=(*shift, 1.0))
    mesh = apart(named(a, "a"), named(b, "b"))
    joint = dtw.ContactConductance(a="a_zmax", b="b_zmin", conductance=H)
    model = dtw.Model(mesh, materials={"a_body": IRON, "b_body": SALT}, connections=[joint])
    common = (1.0 - abs(shift[0])) * (1.0 - abs(shift[1]))
    assert joint.area(model) == pytest.approx(common, rel=1e-9)
    total = np.zeros((mesh.n_points, mesh.n_points))
    for one in joint.heat_matrices(model):
        for nodes, values in zip(one.nodes, one.values, strict=True):
            total[np.ix_(nodes, nodes)] += values
    assert_allclose(total, total.T, atol=1e-12)
    assert_allclose(total.sum(axis=1), 0.0, atol=1e-12)
    assert np.linalg.eigvalsh(total).min() > -1e-12  # heat never flows from cold to hot
    rng = np.random.default_rng(5)
    temperature = 300.0 + 50.0 * rng.random(mesh.n_points)
    into = -(total @ temperature)
    own = np.arange(mesh.n_points) < a.n_points
    assert into[own].sum() == pytest.approx(-joint.heat(model, temperature), rel=1e-9, abs=1e-9)
    assert into[~own].sum() == pytest.approx(joint.heat(model, temperature), rel=1e-9, abs=1e-9)
    ones = np.where(own, 1.0, 0.0)
    assert ones @ total @ ones == pytest.approx(H * common, rel=1e-9)


def test_a_part_warmed_through_its_contact_alone_balances_and_says_what_is_not_covered():
    a = box("tetra10", 2)
    b = box("hexahedron", 2, origin=(0.5, 0.0, 1.0))
    mesh = apart(named(a, "a"), named(b, "b"))
    joint = dtw.ContactConductance(a="a_zmax", b="b_zmin", conductance=H)
    model = dtw.Model(
        mesh,
        materials={"a_body": IRON, "b_body": SALT},
        supports=[dtw.FixedTemperature(on="a_zmin", value=COLD)],
        connections=[joint],
        load_cases={"heat": [dtw.HeatFlow(on="b_zmax", total="3 W")]},
    )
    result = dtw.solve_thermal(model)
    case = result["heat"]
    assert case.imbalance < 1e-10
    assert joint.heat(model, case.temperature) == pytest.approx(-3.0, rel=1e-10)
    assert any("50 % of the smaller face finds the other" in note for note in result.notes)


@pytest.mark.parametrize(
    "solver", [dtw.MultigridCG(rtol=1e-10), dtw.Direct()], ids=lambda s: type(s).__name__
)
def test_iteration_and_factors_meet_at_a_contact_of_high_contrast(solver):
    mesh, own = pair("tetra10", 8, "tetra10", 6)
    joint = dtw.ContactConductance(a="a_zmax", b="b_zmin", conductance=1e4)
    _, _, case = solved(mesh, joint, solver=solver)
    flux = (HOT - COLD) / (1.0 / 50.0 + 1e-4 + 0.5 / 5.0)
    assert_allclose(case.temperature[:own], HOT - flux / 50.0 * mesh.points[:own, 2], rtol=1e-8)
    assert case.info.iterations < 30


@pytest.mark.parametrize(
    "solver", [dtw.MultigridCG(rtol=1e-10), dtw.Direct()], ids=lambda s: type(s).__name__
)
def test_a_bond_a_contact_and_a_layer_in_one_stack(solver):
    parts = [
        box("tetra10", n, (1.0, 1.0, 0.5), origin=(0.0, 0.0, 0.5 * i)) for i, n in enumerate((4, 3, 4, 5))
    ]
    mesh = apart(*(named(part, word) for part, word in zip(parts, "abcd", strict=True)))
    model = dtw.Model(
        mesh,
        materials={"a_body": IRON, "b_body": SALT, "c_body": IRON, "d_body": SALT},
        supports=[
            dtw.FixedTemperature(on="a_zmin", value=HOT),
            dtw.FixedTemperature(on="d_zmax", value=COLD),
        ],
        connections=[
            dtw.ContactConductance(a="a_zmax", b="b_zmin", conductance=H),
            dtw.Tie(a="b_zmax", b="c_zmin"),
            dtw.ThermalInterface(a="c_zmax", b="d_zmin", thickness="1 mm", conductivity="0.1 W/(m*K)"),
        ],
        load_cases={"heat": []},
    )
    case = dtw.solve_thermal(model, solver=solver)["heat"]
    flux = (HOT - COLD) / (0.5 / 50.0 + 1.0 / H + 0.5 / 5.0 + 0.5 / 50.0 + 0.01 + 0.5 / 5.0)
    for joint in (model.connections[0], model.connections[2]):
        assert joint.heat(model, case.temperature) == pytest.approx(flux, rel=1e-8)
    middle = case.temperature[
        np.isin(np.arange(mesh.n_points), mesh.nodes_of_facets(mesh.group("c_zmax").facets))
    ]
    assert_allclose(middle, COLD + flux * (0.01 + 0.5 / 5.0), rtol=1e-9)


@pytest.mark.parametrize("kind", ["contact", "pipe"])
def test_two_warm_lumps_even_out_exponentially_and_keep_their_heat(kind):
    heavy = dtw.LinearElastic(conductivity=1e6, density=8000.0, specific_heat=500.0)
    light = dtw.LinearElastic(conductivity=1e6, density=2000.0, specific_heat=1000.0)
    mesh, own = pair("tetra10", 2, "hexahedron20", 3)
    joint = (
        dtw.ContactConductance(a="a_zmax", b="b_zmin", conductance=2000.0)
        if kind == "contact"
        else dtw.HeatPipe(a="a_body", b="b_body", conductance=2000.0)
    )
    model = dtw.Model(
        mesh, materials={"a_body": heavy, "b_body": light}, connections=[joint],
        load_cases={"rest": [dtw.HeatFlow(on="a_zmin", total="0 W")]},
    )  # fmt: skip
    start = np.where(np.arange(mesh.n_points) < own, HOT, COLD)
    case = dtw.solve_transient(model, duration="25 min", initial=start, step="10 s")["rest"]
    assert case.imbalance < 1e-9
    stored = 8000.0 * 500.0 * 1.0, 2000.0 * 1000.0 * 0.5
    for time in (300.0, 1500.0):
        warm = case.at(time).temperature
        means = warm[:own].mean(), warm[own:].mean()
        left = (HOT - COLD) * np.exp(-2000.0 * sum(1.0 / one for one in stored) * time)
        assert means[0] - means[1] == pytest.approx(left, rel=5e-3)
        assert np.dot(stored, means) / sum(stored) == pytest.approx(380.0, abs=2e-3)


# Heat pipes


def apart_by_a_meter(first="tetra10", n=3, second="hexahedron20", m=2):
    a = box(first, n)
    b = box(second, m, (1.0, 1.0, 0.5), origin=(2.0, 0.0, 0.0))
    return apart(named(a, "a"), named(b, "b")), a.n_points


@pytest.mark.parametrize("given", [{"conductance": "20 W/K"}, {"resistance": "0.05 K/W"}])
def test_a_heat_pipe_is_a_resistance_between_parts_that_do_not_touch(given):
    mesh, own = apart_by_a_meter()
    pipe = dtw.HeatPipe(a="a_zmax", b="b_zmin", **given)
    model, _, case = solved(mesh, pipe)
    heat = (HOT - COLD) / (1.0 / 50.0 + 1.0 / 20.0 + 0.5 / 5.0)
    height = mesh.points[:, 2]
    wanted = np.where(
        np.arange(mesh.n_points) < own, HOT - heat / 50.0 * height, COLD + heat / 5.0 * (0.5 - height)
    )
    assert_allclose(case.temperature, wanted, rtol=1e-11)
    assert pipe.heat(model, case.temperature) == pytest.approx(heat, rel=1e-10)


def test_a_heat_pipe_takes_the_mean_of_uneven_faces():
    mesh, own = apart_by_a_meter()
    pipe = dtw.HeatPipe(a="a_zmax", b="b_zmin", conductance=2.0)
    model = dtw.Model(mesh, materials={"a_body": IRON, "b_body": SALT}, connections=[pipe])
    x, y, _ = mesh.points.T
    temperature = np.where(np.arange(len(x)) < own, 300.0 + 60.0 * x**2 + 5.0 * y, 290.0)
    assert pipe.heat(model, temperature) == pytest.approx(2.0 * (300.0 + 20.0 + 2.5 - 290.0), rel=1e-12)
    into = np.zeros(len(x))
    for one in pipe.heat_matrices(model):
        np.subtract.at(into, one.nodes, np.einsum("kij,kj->ki", one.values, temperature[one.nodes]))
    assert into.sum() == pytest.approx(0.0, abs=1e-9)
    assert into[own:].sum() == pytest.approx(pipe.heat(model, temperature), rel=1e-12)


def test_the_ends_of_a_heat_pipe_may_be_nodes_or_cells():
    mesh, _ = apart_by_a_meter()
    point = dtw.nearest((0.5, 0.5, 1.0))
    pipe = dtw.HeatPipe(a=point, b="b_body", conductance=20.0)
    model, _, case = solved(mesh, pipe)
    node = model.region(point).nodes[0]
    chip = mesh.points[:, 0] > 1.5
    assert COLD < case.temperature[node] < case.temperature[~chip & (mesh.points[:, 2] > 0.99)].max()
    assert case.temperature[chip].max() > COLD + 1.0
    # The mean over the volume, not over nodes.
    linear = np.where(chip, mesh.points[:, 2] * 4.0, 0.0)
    assert pipe.heat(model, linear) == pytest.approx(-20.0 * 1.0, rel=1e-12)


@pytest.mark.parametrize("dense", [True, False])
def test_a_pipe_of_any_form_keeps_its_law_and_makes_no_heat(dense, monkeypatch):
    from designtwin.model import contact

    monkeypatch.setattr(contact, "_DENSE", 10**9 if dense else 0)
    a, b = box("wedge15", 2), box("tetra10", 3, origin=(2.0, 0.0, 0.0))  # triangles and quadrilaterals
    mesh = apart(named(a, "a"), named(b, "b"))
    pipe = dtw.HeatPipe(a=["a_zmax", "a_xmax"], b="b_xmin", conductance=2.0)
    model = dtw.Model(mesh, materials={"a_body": IRON, "b_body": SALT}, connections=[pipe])
    total = np.zeros((mesh.n_points, mesh.n_points))
    for one in pipe.heat_matrices(model):
        assert (one.nodes.size == len(np.unique(one.nodes))) == dense
        for nodes, values in zip(one.nodes, one.values, strict=True):
            np.add.at(total, np.ix_(nodes, nodes), values)
    assert_allclose(total, total.T, atol=1e-12)
    assert_allclose(total.sum(axis=1), 0.0, atol=1e-12)
    assert np.linalg.eigvalsh(total).min() > -1e-12
    rng = np.random.default_rng(3)
    temperature = 300.0 + 50.0 * rng.random(mesh.n_points)
    own = np.arange(mesh.n_points) < a.n_points
    leaves = (total @ temperature)[own].sum()
    assert leaves == pytest.approx(pipe.heat(model, temperature), rel=1e-10)
    assert leaves == pytest.approx(-(total @ temperature)[~own].sum(), rel=1e-10)
    # Even against even, each end is drawn from in proportion to its area.
    step = np.where(own, 1.0, 0.0)
    drawn = (total @ step)[np.unique(mesh.nodes_of_facets(mesh.group("a_zmax").facets))]
    assert drawn.sum() == pytest.approx(2.0 * 0.5, rel=0.1)  # half of the area, and nodes of the common edge
    assert step @ total @ step == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize(("conductance", "most"), [(5.0, 1e-3), (500.0, 2e-2)])
def test_partners_spread_over_the_other_end_stand_for_all_of_it(conductance, most, monkeypatch):
    """Warm on one side, cold on the other, and a heater on a corner: places along the ends matter."""
    from designtwin.model import connections, contact

    a, b = (
        box("tetra10", (12, 12, 2), (1.0, 1.0, 0.3)),
        box("tetra10", (10, 10, 2), (1.0, 1.0, 0.3), origin=(3, 0, 0)),
    )
    mesh = apart(named(a, "a"), named(b, "b"))
    pipe = dtw.HeatPipe(a="a_zmax", b="b_zmin", conductance=conductance)
    answers = []
    for nodes, pairs in ((10**9, 0), (0, 10_000), (0, 0)):
        monkeypatch.setattr(contact, "_DENSE", nodes)
        monkeypatch.setattr(contact, "_PAIRS", pairs)
        connections._KNOWN.clear()
        model = dtw.Model(
            mesh, materials={"a_body": SALT, "b_body": SALT}, connections=[pipe],
            supports=[dtw.FixedTemperature(on="a_xmin", value=HOT),
                      dtw.FixedTemperature(on="b_xmax", value=COLD)],
            load_cases={"heat": [dtw.HeatFlow(on=dtw.faces(normal="+z") & dtw.box((0, 0, 0), (0.5, 0.5, 1)),
                                              total="100 W")]},
        )  # fmt: skip
        case = dtw.solve_thermal(model)["heat"]
        assert case.imbalance < 1e-9
        answers.append((case.temperature, pipe.heat(model, case.temperature)))
    connections._KNOWN.clear()
    (every, all_heat), (some, some_heat), (few, few_heat) = answers
    size = float(np.ptp(every))
    root = [float(np.sqrt(((one - every) ** 2).mean())) / size for one in (some, few)]
    assert root[0] < most
    assert root[0] < 0.5 * root[1]  # the more the nearer
    assert root[1] < 10.0 * most
    assert some_heat == pytest.approx(all_heat, rel=3.0 * most)
    assert few_heat == pytest.approx(all_heat, rel=10.0 * most)


def test_a_pipe_between_faces_of_many_nodes_stays_sparse_and_a_good_one_makes_both_ends_even():
    a = box("tetra10", (20, 20, 1), (1.0, 1.0, 0.1))
    b = box("tetra10", (18, 18, 1), (1.0, 1.0, 0.1), origin=(3.0, 0.0, 0.0))
    mesh = apart(named(a, "a"), named(b, "b"))
    spans = []
    for conductance in (10.0, 1e4):
        pipe = dtw.HeatPipe(a="a_zmax", b="b_zmin", conductance=conductance)
        model = dtw.Model(
            mesh, materials={"a_body": IRON, "b_body": IRON}, connections=[pipe],
            supports=[dtw.FixedTemperature(on="b_zmax", value=COLD)],
            load_cases={"heat": [dtw.HeatFlow(on="a_xmin", total="1 kW")]},
        )  # fmt: skip
        (one,) = pipe.heat_matrices(model)
        assert one.values.shape[1:] == (6, 6)  # straight quadratic triangles: the mean is that of mid nodes
        assert len(one.values) < 65_000  # of half a million pairs of facets
        case = dtw.solve_thermal(model)["heat"]
        assert case.imbalance < 1e-9
        assert pipe.heat(model, case.temperature) == pytest.approx(1000.0, rel=1e-6)
        end = case.temperature[np.unique(mesh.nodes_of_facets(mesh.group("a_zmax").facets))]
        spans.append(float(np.ptp(end)))
    assert spans[1] < 0.3 * spans[0]
