"""Bonded parts and links: what passes exactly, what balances, what converges."""

from dataclasses import replace

import numpy as np
import pytest
from builders import apart, bar, box, merged, rectangle, ring
from numpy.testing import assert_allclose
from scipy import sparse

import designtwin as dtw
from designtwin.assembly import assemble_static, cell_blocks
from designtwin.elements import ELEMENTS
from designtwin.mesh import Group

STEEL = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0, conductivity=50.0)
SOFT = dtw.LinearElastic(youngs_modulus=70e9, poissons_ratio=0.3, density=2700.0, conductivity=200.0)


def named(mesh, prefix):
    return replace(mesh, groups={f"{prefix}_{name}": group for name, group in mesh.groups.items()})


def stack(first, n, second, m, *, shape=None, join=apart, gap=0.0):
    """A unit block (square) on another; groups a_... below, b_... above; `tie` bonds them."""
    if ELEMENTS[first].dimension == 2:
        blocks = rectangle(first, n), rectangle(second, m, origin=(0.0, 1.0 + gap))
    else:
        blocks = box(first, n), box(second, m, origin=(0.0, 0.0, 1.0 + gap))
    mesh = join(*(named(block, word) for block, word in zip(blocks, "ab", strict=True)))
    return mesh if shape is None else mesh.moved(shape(mesh.points))


TIE = dtw.Tie(a="a_zmax", b="b_zmin")
FLAT_TIE = dtw.Tie(a="a_ymax", b="b_ymin")
BOTH = {"a_body": STEEL, "b_body": STEEL}


def solve(model, **options):
    result = dtw.solve_static(model, **options)
    for case in result.by_case.values():
        assert case.imbalance < 1e-9
        assert case.residual < 1e-6
    return result


def moment(points, forces):
    return np.cross(points, forces).sum(axis=0)


# Bonds


PAIRS = [
    ("hexahedron", 3, "hexahedron", 2), ("tetra", 2, "tetra", 3), ("tetra10", 3, "tetra10", 2),
    ("hexahedron20", 2, "tetra10", 3), ("wedge15", 2, "hexahedron20", 3), ("tetra10", 2, "hexahedron", 3),
    ("quad8", 3, "triangle6", 2), ("quad", 2, "quad", 3),
]  # fmt: skip


@pytest.mark.parametrize(("first", "n", "second", "m"), PAIRS)
def test_tension_across_a_tie_is_exact(first, n, second, m):
    flat = ELEMENTS[first].dimension == 2
    mesh = stack(first, n, second, m)
    up, top = ("y", "b_ymax") if flat else ("z", "b_zmax")
    supports = [dtw.PrescribedDisplacement(on=[f"a_{axis}min", f"b_{axis}min"], **{axis: 0.0})
                for axis in ("x" if flat else "xy")]  # fmt: skip
    supports.append(dtw.PrescribedDisplacement(on=f"a_{up}min", **{up: 0.0}))
    pull = np.eye(3)["xyz".index(up)] * 1e6
    model = dtw.Model(
        mesh,
        materials={k: dtw.PlaneStress(STEEL, thickness=1.0) if flat else STEEL for k in BOTH},
        supports=supports,
        connections=[FLAT_TIE if flat else TIE],
        load_cases={"pull": [dtw.Traction(on=top, value=tuple(pull))]},
    )
    case = solve(model, solver=dtw.Direct())["pull"]
    wanted = np.zeros(6)
    wanted["xyz".index(up)] = 1e6
    assert_allclose(case.stress(), np.broadcast_to(wanted, case.stress().shape), atol=1e-4)
    assert not case.info.notes


def test_gluing_node_by_node_misses_the_patch_test_by_a_tenth():
    mesh = stack("tetra10", 3, "tetra10", 2)
    model = dtw.Model(
        mesh,
        materials=BOTH,
        supports=[dtw.FixedSupport(on="a_zmin")],
        connections=[TIE],
        load_cases={"pull": [dtw.Traction(on="b_zmax", value=(0.0, 0.0, 1e6))]},
    )
    exact = solve(model)["pull"]
    glued = solve(model.with_(connections=[replace(TIE, method="node")]))["pull"]
    near = np.abs(mesh.points[exact.points.node][:, 2] - 1.0) < 1e-9
    wrong = np.abs(glued.stress()[near] - exact.stress()[near]).max()
    assert 0.05e6 < wrong < 0.5e6


@pytest.mark.parametrize(("first", "n", "second", "m"), PAIRS[:5])
def test_a_linear_displacement_of_the_outside_passes_through(first, n, second, m):
    mesh = stack(first, n, second, m)
    gradient = np.array([[1.0, 0.4, -0.2], [0.3, -0.7, 0.5], [0.1, 0.2, 0.6]]) * 1e-4
    outside = [f"{k}_{face}" for k in "ab" for face in ("xmin", "xmax", "ymin", "ymax")] + [
        "a_zmin",
        "b_zmax",
    ]
    u = mesh.points @ gradient.T
    given = {axis: dtw.nodal(u[:, i]) for i, axis in enumerate("xyz")}
    model = dtw.Model(
        mesh,
        materials=BOTH,
        supports=[dtw.PrescribedDisplacement(on=outside, **given)],
        connections=[TIE],
        load_cases={"moved": []},
    )
    case = solve(model, solver=dtw.Direct())["moved"]
    assert_allclose(case.displacement, u, atol=1e-15)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron", "hexahedron20", "quad8"])
def test_a_tie_of_matching_faces_is_a_merged_mesh(element):
    flat = ELEMENTS[element].dimension == 2
    up = "y" if flat else "z"
    loads = {"bend": [dtw.Traction(on=f"b_{up}max", value=(1e6, 2e5, 0.0))]}
    material = dtw.PlaneStress(STEEL, thickness=1.0) if flat else STEEL
    common = {"supports": [dtw.FixedSupport(on=f"a_{up}min")], "load_cases": loads}
    tied = dtw.Model(
        stack(element, 3, element, 3),
        materials=dict.fromkeys(BOTH, material),
        connections=[FLAT_TIE if flat else TIE],
        **common,
    )
    whole = dtw.Model(
        stack(element, 3, element, 3, join=merged), materials=dict.fromkeys(BOTH, material), **common
    )
    a, b = (solve(model, solver=dtw.Direct())["bend"] for model in (tied, whole))
    x, y = tied.mesh.points, whole.mesh.points
    _, at = np.unique(np.round(np.concatenate([y, x]), 9), axis=0, return_inverse=True)
    place = np.empty(at.max() + 1, np.int64)
    place[at[: len(y)]] = np.arange(len(y))
    same = b.displacement[place[at[len(y) :]]]
    assert_allclose(a.displacement, same, atol=1e-10 * np.abs(same).max())


def _compliance(model):
    case = solve(model)["bend"]
    load = next(iter(model.cases.values())).loads[0].nodal_forces(model)
    return float((load * case.displacement).sum())


@pytest.mark.parametrize(
    ("element", "steps", "rates"), [("hexahedron", (2, 4, 8), (1.6, 2.3)), ("tetra10", (2, 4), (3.2, 4.4))]
)
def test_bonded_blocks_converge_to_the_single_block(element, steps, rates):
    # A field that is smooth: sides held square to themselves, a wave of traction on top.
    def model(mesh, materials, bottom, top, sides, connections=()):
        wave = dtw.nodal(np.outer(1e6 * np.cos(np.pi * mesh.points[:, 0]), (0.0, 0.0, 1.0)))
        return dtw.Model(
            mesh,
            materials=materials,
            supports=[dtw.FixedSupport(on=bottom), *(
                dtw.PrescribedDisplacement(on=[f"{p}{axis}{end}" for p in sides for end in ("min", "max")],
                                           **{axis: 0.0}) for axis in "xy")],
            connections=connections,
            load_cases={"bend": [dtw.Traction(on=top, value=wave)]},
        )  # fmt: skip

    exact = _compliance(
        model(box("hexahedron20", (8, 2, 16), (1, 1, 2)), {"body": STEEL}, "zmin", "zmax", [""])
    )
    tied, single = [], []
    for n in steps:
        mesh = stack(element, (n, 2, n), element, (n + n // 2, 3, n + n // 2))
        tied.append(exact - _compliance(model(mesh, BOTH, "a_zmin", "b_zmax", ["a_", "b_"], [TIE])))
        one = box(element, (n, 2, 2 * n), (1, 1, 2))
        single.append(exact - _compliance(model(one, {"body": STEEL}, "zmin", "zmax", [""])))
    rate = -np.polyfit(np.log(steps), np.log(np.abs(tied)), 1)[0]
    assert rates[0] < rate < rates[1], (rate, tied, single)
    # One of the two blocks is finer than the single one: the joint costs less than that gains.
    assert np.all(np.abs(tied) < np.abs(single))


def bent(x):
    return np.column_stack([x[:, 0], x[:, 1], x[:, 2] + 0.05 * np.sin(2 * x[:, 0]) * np.cos(3 * x[:, 1])])


@pytest.mark.parametrize(
    ("first", "second", "shape", "gap"),
    [
        ("tetra10", "tetra10", None, 0.0),
        ("hexahedron", "tetra10", bent, 0.0),
        ("tetra10", "tetra", None, 0.03),
    ],
)
def test_rigid_motions_of_bonded_parts_cost_nothing(first, second, shape, gap):
    mesh = stack(first, 3, second, 2, shape=shape, gap=gap)
    model = dtw.Model(
        mesh, materials=BOTH, connections=[replace(TIE, tolerance=0.05)], load_cases={"free": []}
    )
    assembled = assemble_static(model, model.cases["free"], cell_blocks(model))
    free = ~assembled.map.fixed
    for turn, shift in (((0.3, 0.5, -0.7), (1.0, -2.0, 0.5)), ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0))):
        u = np.cross(turn, mesh.points) + np.array(shift)
        q = np.where(free, assembled.dofs.gather(u), 0.0)
        assert_allclose(assembled.dofs.scatter(assembled.map.expand(q)), u, atol=1e-12)
        force = assembled.system.apply(q)
        assert np.abs(force).max() < 1e-11 * assembled.stiffest * np.abs(u).max()


def test_forces_balance_across_a_gap_and_a_curved_joint_and_pass_through_the_tie():
    mesh = stack("tetra10", 3, "hexahedron20", 2, shape=bent)
    load = dtw.RemoteForce(on="b_zmax", value=(1e3, -2e3, 5e3), at=(2.0, 1.0, 3.0))
    model = dtw.Model(
        mesh,
        materials=BOTH,
        supports=[dtw.FixedSupport(on="a_zmin")],
        connections=[TIE],
        load_cases={"pull": [load]},
    )
    case = solve(model)["pull"]
    assert_allclose(case.reactions.sum(axis=0), (-1e3, 2e3, -5e3), rtol=1e-7)
    assert_allclose(moment(mesh.points, case.reactions), -case.applied_moment, rtol=1e-6)
    held = model.region("a_zmin").nodes
    assert not np.delete(case.reactions, held, axis=0).any()  # the joint's own forces are no reactions


def test_three_parts_meeting_at_an_edge_and_a_chain_of_thin_ones():
    # Four blocks around an edge, and sheets one cell thin that follow each other.
    a = named(box("tetra10", 2), "a")
    b = named(box("hexahedron20", 3, origin=(1, 0, 0)), "b")
    c = named(box("tetra10", 3, origin=(0, 0, 1)), "c")
    d = named(box("hexahedron", 4, origin=(1, 0, 1)), "d")
    e = named(box("hexahedron", (5, 4, 1), (2, 1, 0.1), origin=(0, 0, 2)), "e")
    f = named(box("tetra10", (3, 3, 1), (2, 1, 0.1), origin=(0, 0, 2.1)), "f")
    mesh = apart(a, b, c, d, e, f)
    ties = [
        dtw.Tie(a="a_xmax", b="b_xmin"), dtw.Tie(a="c_xmax", b="d_xmin"), dtw.Tie(a="a_zmax", b="c_zmin"),
        dtw.Tie(a="b_zmax", b="d_zmin"), dtw.Tie(a=["c_zmax", "d_zmax"], b="e_zmin"),
        dtw.Tie(a="e_zmax", b="f_zmin"),
    ]  # fmt: skip
    both = [f"{k}_{{}}" for k in "abcdef"]
    model = dtw.Model(
        mesh,
        materials={f"{k}_body": STEEL for k in "abcdef"},
        supports=[
            dtw.PrescribedDisplacement(on=[k.format("ymin") for k in both], y=0.0),
            dtw.PrescribedDisplacement(on=["a_xmin", "c_xmin", "e_xmin", "f_xmin"], x=0.0),
            dtw.PrescribedDisplacement(on=["a_zmin", "b_zmin"], z=0.0),
        ],
        connections=ties,
        load_cases={"pull": [dtw.Traction(on="f_zmax", value=(0.0, 0.0, 1e6))]},
    )
    case = solve(model, solver=dtw.Direct())["pull"]
    wanted = np.broadcast_to((0.0, 0.0, 1e6, 0.0, 0.0, 0.0), case.stress().shape)
    # A node that several bonds want follows one; its neighbors take over for the others, and nothing is lost.
    assert_allclose(case.stress(), wanted, atol=1e-3)
    turned = dtw.solve_static(model.with_(connections=ties[::-1]), solver=dtw.Direct())["pull"]
    assert_allclose(turned.displacement, case.displacement, atol=1e-9 * np.abs(case.displacement).max())


def test_skew_supports_beside_a_tie():
    turn = np.deg2rad(25.0)
    q = np.array([[np.cos(turn), -np.sin(turn), 0.0], [np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])
    mesh = stack("tetra10", 3, "hexahedron20", 2, shape=lambda x: x @ q.T)
    model = dtw.Model(
        mesh,
        materials=BOTH,
        supports=[dtw.Symmetry(on=[f"{k}_{axis}min" for k in "ab"]) for axis in "xy"]
        + [dtw.PrescribedDisplacement(on="a_zmin", z=0.0)],
        connections=[TIE],
        load_cases={"pull": [dtw.Traction(on="b_zmax", value=(0.0, 0.0, 1e6))]},
    )
    case = solve(model)["pull"]
    wanted = np.broadcast_to((0.0, 0.0, 1e6, 0.0, 0.0, 0.0), case.stress().shape)
    assert_allclose(case.stress(), wanted, atol=1.0)
    assert_allclose(case.reactions.sum(axis=0), (0.0, 0.0, -1e6), atol=1e-3)


def test_an_axisymmetric_tie_carries_pressure():
    a = named(rectangle("quad8", (3, 4), (0.5, 1.0), origin=(1.0, 0.0)), "a")
    b = named(rectangle("triangle6", (2, 3), (0.5, 1.0), origin=(1.5, 0.0)), "b")
    model = dtw.Model(
        apart(a, b),
        materials={k: dtw.Axisymmetric(STEEL) for k in BOTH},
        supports=[dtw.PrescribedDisplacement(on=["a_ymin", "b_ymin", "a_ymax", "b_ymax"], y=0.0)],
        connections=[dtw.Tie(a="a_xmax", b="b_xmin")],
        load_cases={"inside": [dtw.Pressure(on="a_xmin", magnitude=1e6)]},
    )
    case = dtw.solve_static(model)["inside"]
    r = model.mesh.points[case.points.node][:, 0]
    radial = 1e6 * 1.0 / (2.0**2 - 1.0) * (1.0 - 4.0 / r**2)  # Lame, 1 m to 2 m
    assert_allclose(case.stress()[:, 0], radial, atol=0.02e6)


# Heat


def test_heat_through_a_tie_meets_resistances_in_series():
    mesh = stack("tetra10", 3, "hexahedron20", 2)
    model = dtw.Model(
        mesh,
        materials={"a_body": STEEL, "b_body": SOFT},
        supports=[dtw.FixedTemperature(on="a_zmin", value=300.0)],
        connections=[TIE],
        load_cases={"heat": [dtw.HeatFlux(on="b_zmax", magnitude=1e4)]},
    )
    case = dtw.solve_thermal(model)["heat"]
    z = mesh.points[:, 2]
    below = z <= 1.0
    wanted = np.where(below, 300.0 + 1e4 * z / 50.0, 300.0 + 1e4 / 50.0 + 1e4 * (z - 1.0) / 200.0)
    assert_allclose(case.temperature, wanted, rtol=1e-9)
    assert case.imbalance < 1e-9
    assert case.reactions.sum() == pytest.approx(-1e4, rel=1e-9)


# Links


def beam():
    return box("tetra10", (4, 2, 2), (4.0, 1.0, 1.0))


def test_a_rigid_link_moves_as_a_body_and_carries_a_remote_force_with_its_moment():
    mesh = beam()
    link = dtw.RigidLink(on="xmax")
    model = dtw.Model(
        mesh,
        materials={"body": STEEL},
        supports=[dtw.FixedSupport(on="xmin")],
        connections=[link],
        load_cases={"far": [dtw.RemoteForce(on="xmax", value=(1e3, 2e3, -3e3), at=(5.0, 2.0, 1.0))]},
    )
    case = solve(model)["far"]
    end = model.region("xmax").nodes
    x = mesh.points[end] - mesh.points[end].mean(axis=0)
    u = case.displacement[end]
    modes = np.stack([*np.tile(np.eye(3)[:, None], (1, len(x), 1)), *(np.cross(e, x) for e in np.eye(3))])
    share = np.linalg.lstsq(modes.reshape(6, -1).T, u.ravel(), rcond=None)[0]
    assert_allclose(np.tensordot(share, modes, 1), u, atol=1e-12 * np.abs(u).max())
    assert_allclose(case.reactions.sum(axis=0), (-1e3, -2e3, 3e3), rtol=1e-7)
    assert_allclose(moment(mesh.points, case.reactions), -case.applied_moment, rtol=1e-6)


def test_a_given_rotation_of_a_rigid_end_reacts_with_the_torque_of_the_bar():
    mesh = beam()
    supports = [dtw.FixedSupport(on="xmin")]
    twist = dtw.RigidLink(on="xmax", rx=1e-3, x=0.0, y=0.0, z=0.0, ry=0.0, rz=0.0)
    model = dtw.Model(
        mesh, materials={"body": STEEL}, supports=supports, connections=[twist], load_cases={"twist": []}
    )
    case = solve(model)["twist"]
    nodes = {side: model.region(side).nodes for side in ("xmin", "xmax")}
    torque = {
        side: moment(mesh.points[n] - (0.0, 0.5, 0.5), case.reactions[n])[0] for side, n in nodes.items()
    }
    assert torque["xmax"] == pytest.approx(-torque["xmin"], rel=1e-9)
    # Saint-Venant for a square bar, ends kept from warping: a little stiffer.
    free = 210e9 / 2.6 * 0.1406 * 1e-3 / 4.0
    assert free < torque["xmax"] < 1.1 * free
    # The same by displacements of every node.
    at = mesh.points[nodes["xmax"]] - (4.0, 0.5, 0.5)
    u = np.zeros_like(mesh.points)
    u[nodes["xmax"]] = np.cross((1e-3, 0.0, 0.0), at)
    given = {axis: dtw.nodal(u[:, i]) for i, axis in enumerate("xyz")}
    other = solve(
        model.with_(connections=[], supports=[*supports, dtw.PrescribedDisplacement(on="xmax", **given)])
    )["twist"]
    assert_allclose(case.displacement, other.displacement, atol=1e-9 * np.abs(u).max())
    assert_allclose(case.reactions, other.reactions, atol=1e-6 * np.abs(other.reactions).max())


def test_a_rigid_link_on_held_nodes_and_links_that_share_nodes():
    mesh = beam()
    model = dtw.Model(
        mesh,
        materials={"body": STEEL},
        supports=[dtw.FixedSupport(on="xmin")],
        connections=[dtw.RigidLink(on="xmin"), dtw.RigidLink(on=["ymin", "ymax"]), dtw.RigidLink(on="xmax")],
        load_cases={"pull": [dtw.Traction(on="xmax", value=(1e6, 0.0, 0.0))]},
    )
    case = solve(model)["pull"]
    # All links share nodes with the held end, so that all they join stands still.
    joined = np.unique(np.concatenate([model.region(g).nodes for g in ("xmin", "xmax", "ymin", "ymax")]))
    assert np.abs(case.displacement[joined]).max() < 1e-12
    assert_allclose(case.reactions.sum(axis=0), (-1e6, 0.0, 0.0), rtol=1e-6, atol=1.0)


def test_a_spread_link_carries_a_force_on_a_node_as_a_remote_force():
    solid = beam()
    point = np.array([[5.0, 2.0, 1.0]])
    mesh = replace(solid, points=np.concatenate([solid.points, point]))
    mesh = mesh.with_groups({"eye": Group(nodes=np.array([solid.n_points]))})
    supports = [dtw.FixedSupport(on="xmin")]
    linked = dtw.Model(
        mesh,
        materials={"body": STEEL},
        supports=supports,
        connections=[dtw.SpreadLink(on="xmax", node="eye")],
        load_cases={"far": [dtw.Force(on="eye", value=(1e3, 2e3, -3e3))]},
    )
    remote = dtw.Model(
        mesh,
        materials={"body": STEEL},
        supports=supports,
        load_cases={"far": [dtw.RemoteForce(on="xmax", value=(1e3, 2e3, -3e3), at=(5.0, 2.0, 1.0))]},
    )
    a, b = solve(linked)["far"], solve(remote)["far"]
    n = solid.n_points
    assert_allclose(a.displacement[:n], b.displacement[:n], atol=1e-7 * np.abs(b.displacement).max())
    assert_allclose(moment(mesh.points, a.reactions), moment(mesh.points, b.reactions), rtol=1e-6)
    assert np.abs(a.displacement[n]).max() > 0.0


def test_a_given_mean_motion_leaves_the_face_flexible():
    mesh = beam()
    model = dtw.Model(
        mesh,
        materials={"body": STEEL},
        supports=[dtw.FixedSupport(on="xmin")],
        connections=[dtw.SpreadLink(on="xmax", z="1 mm")],
        load_cases={"push": []},
    )
    case = solve(model)["push"]
    area = dtw.Traction(on="xmax", value=(0.0, 0.0, 1.0)).nodal_forces(model)[:, 2]
    assert area @ case.displacement[:, 2] == pytest.approx(1e-3, rel=1e-9)
    pushed = case.reactions[model.region("xmax").nodes].sum(axis=0)
    held = case.reactions[model.region("xmin").nodes].sum(axis=0)
    assert_allclose(pushed, -held, atol=1e-8 * np.abs(held).max())
    # What the link exerts is the traction of that much force.
    free = solve(
        model.with_(connections=[], load_cases={"push": [dtw.Force(on="xmax", value=tuple(pushed))]})
    )["push"]
    assert_allclose(free.displacement, case.displacement, atol=1e-7 * 1e-3)


def test_a_linear_constraint_couples_and_exerts_what_it_needs():
    mesh = apart(named(bar(4), "a"), named(bar(4), "b"))
    mesh = mesh.moved(mesh.points + np.array([0.0, 1.0, 0.0]) * (np.arange(10) >= 5)[:, None])
    steel = dtw.Truss(STEEL, area=1e-4)
    model = dtw.Model(
        mesh,
        materials={"a_body": steel, "b_body": steel},
        supports=[
            dtw.FixedSupport(on=["a_xmin", "b_xmin"]),
            dtw.PrescribedDisplacement(on=dtw.everything(), y=0.0),
        ],
        connections=[
            dtw.LinearConstraint(terms=[("a_xmax", "x", 1.0), ("b_xmax", "x", -2.0)], value="0.1 mm"),
        ],
        load_cases={"pull": [dtw.Force(on="a_xmax", value=(1e3, 0.0, 0.0))]},
    )
    case = solve(model)["pull"]
    k = 210e9 * 1e-4
    # Least energy with a = 2 b + 0.1 mm under 1 kN on a.
    b = (2e3 - 2 * k * 1e-4) / (5 * k)
    ends = [int(model.region(g).nodes[0]) for g in ("a_xmax", "b_xmax")]
    assert_allclose(case.displacement[ends, 0], [2 * b + 1e-4, b], rtol=1e-9)
    assert case.reactions[ends[1], 0] == pytest.approx(k * b, rel=1e-9)


def test_a_sector_with_cyclic_faces_is_the_whole_ring():
    full = ring("hexahedron20", (2, 24, 1))
    spin = {"spin": [dtw.Centrifugal(speed="3000 rpm", axis="z")]}
    whole = dtw.Model(
        full,
        materials={"body": STEEL},
        supports=[dtw.PrescribedDisplacement(on="zmin", z=0.0),
                  dtw.PrescribedDisplacement(on="zmin", y=0.0, coordinates=dtw.Cylindrical(axis="z"))],
        load_cases=spin,
    )  # fmt: skip

    def sector(x):
        r, angle = 0.004 + 0.006 * x[:, 0], np.deg2rad(60.0) * x[:, 1]
        return np.column_stack([r * np.cos(angle), r * np.sin(angle), 0.006 * x[:, 2]])

    part = dtw.Model(
        box("hexahedron20", (2, 4, 1), shape=sector),
        materials={"body": STEEL},
        supports=[dtw.PrescribedDisplacement(on="zmin", z=0.0)],
        connections=[
            dtw.Periodic(a="ymax", b="ymin", angle="60 deg"),
            # Nothing else stops the ring from turning.
            dtw.LinearConstraint(terms=[("ymin", "y", 1.0)]),
        ],
        load_cases=spin,
    )
    a, b = dtw.solve_static(whole)["spin"], dtw.solve_static(part)["spin"]
    x, y = whole.mesh.points, part.mesh.points
    here = np.flatnonzero((np.round(x[:, None] - y[None], 9) == 0.0).all(axis=2).any(axis=1))
    assert len(here) == len(y)
    for node in here:
        other = int(np.argmin(np.linalg.norm(y - x[node], axis=1)))
        assert_allclose(b.displacement[other], a.displacement[node], atol=1e-6 * np.abs(a.displacement).max())


def test_a_periodic_cell_has_the_mean_strain_it_is_given():
    mesh = box("tetra10", (3, 2, 2))
    strain = 1e-3
    model = dtw.Model(
        mesh,
        materials={"body": STEEL},
        supports=[dtw.FixedSupport(on=dtw.nearest((0.0, 0.0, 0.0)))],
        connections=[
            dtw.Periodic(a="xmax", b="xmin", jump=(strain, 0.0, 0.0)),
            dtw.Periodic(a="ymax", b="ymin"),
            dtw.Periodic(a="zmax", b="zmin"),
        ],
        load_cases={"strained": []},
    )
    case = dtw.solve_static(model, solver=dtw.Direct())["strained"]
    lam, mu = 210e9 * 0.3 / (1.3 * 0.4), 210e9 / 2.6
    wanted = np.array([lam + 2 * mu, lam, lam, 0.0, 0.0, 0.0]) * strain
    assert_allclose(case.stress(), np.broadcast_to(wanted, case.stress().shape), atol=1.0)


# Solvers


def test_multigrid_takes_as_many_steps_on_bonded_blocks_as_on_one():
    load = {"pull": [dtw.Traction(on="b_zmax", value=(1e6, 2e5, 1e6))]}
    tied = dtw.Model(
        stack("tetra10", 7, "tetra10", 5), materials=BOTH, supports=[dtw.FixedSupport(on="a_zmin")],
        connections=[TIE], load_cases=load,
    )  # fmt: skip
    one = dtw.Model(
        box("tetra10", (7, 7, 14), (1.0, 1.0, 2.0)), materials={"body": STEEL},
        supports=[dtw.FixedSupport(on="zmin")],
        load_cases={"pull": [dtw.Traction(on="zmax", value=(1e6, 2e5, 1e6))]},
    )  # fmt: skip
    steps = [
        dtw.solve_static(model, solver=dtw.MultigridCG())["pull"].info.iterations for model in (tied, one)
    ]
    assert steps[0] <= 1.3 * steps[1] + 1
    exact = dtw.solve_static(tied, solver=dtw.Direct())["pull"].displacement
    found = dtw.solve_static(tied, solver=dtw.MultigridCG())["pull"].displacement
    assert_allclose(found, exact, atol=1e-6 * np.abs(exact).max())


def test_inertia_relief_of_bonded_parts():
    mesh = stack("tetra10", 2, "tetra10", 3)
    model = dtw.Model(
        mesh, materials=BOTH, supports=[dtw.InertiaRelief()], connections=[TIE],
        load_cases={"pushed": [dtw.Traction(on="b_zmax", value=(0.0, 0.0, -1e6))]},
    )  # fmt: skip
    case = dtw.solve_static(model, solver=dtw.Direct())["pushed"]
    assert np.abs(case.reactions).max() < 1e-6 * 1e6
    near = np.abs(mesh.points[case.points.node][:, 2] - 1.0) < 1e-9
    # Half the mass is beyond the joint: half the pressure passes through it.
    assert case.stress()[near, 2].mean() == pytest.approx(-0.5e6, rel=0.03)


def test_the_corner_level_respects_the_bond():
    model = dtw.Model(
        stack("tetra10", 4, "tetra10", 3), materials=BOTH, supports=[dtw.FixedSupport(on="a_zmin")],
        connections=[TIE], load_cases={"pull": [dtw.Traction(on="b_zmax", value=(1e6, 2e5, 1e6))]},
    )  # fmt: skip
    system = assemble_static(model, model.cases["pull"], cell_blocks(model)).system
    assert system.matrix_free  # tetrahedra away from the joint have no matrix
    transfer = system.coarse.prolongation
    linked = assemble_static(model.with_(supports=[]), model.cases["pull"], cell_blocks(model)).system.free
    follows = ~linked.reshape(-1, 3).all(axis=1)
    corner = np.diff(transfer.indptr) == 1
    assert len(np.unique(transfer.indices[transfer.indptr[:-1][corner]])) == transfer.shape[1]  # each its own
    kept = np.ones(transfer.shape[1])
    kept[transfer.indices[transfer.indptr[:-1][corner & follows]]] = 0.0
    # A motion of the free corners reaches every node that is free, those beside the joint too.
    assert_allclose((transfer @ kept)[~follows], 1.0, atol=1e-12)
    # The coarse matrix is that of the bonded system.
    wide = sparse.kron(transfer, sparse.eye_array(3), format="csr")
    found = system.coarse.matrix().tocsr()
    exact = wide.T @ (system.matrix().tocsr() @ wide)
    keep = np.repeat(kept > 0.0, 3)
    assert abs(found - exact)[keep][:, keep].max() < 1e-12 * abs(exact).max()
