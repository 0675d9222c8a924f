"""Statics whatever the part: balance, superposition, reciprocity, symmetry, scaling, buoyancy."""

from __future__ import annotations

import numpy as np
import pytest
from builders import BLOCKS, PLANES, SOLIDS, block, box, rectangle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.elements import ELEMENTS
from designtwin.solvers import direct, multifrontal
from designtwin.solvers.direct import Direct

STEEL = {"youngs_modulus": 210e9, "poissons_ratio": 0.3, "density": 7850.0}
few = settings(max_examples=12, deadline=None)
angles = st.floats(-3.0, 3.0)
amounts = st.floats(-5.0, 5.0).filter(lambda x: abs(x) > 1e-2)


def steel(element: str, **changes: float) -> object:
    material = dtw.LinearElastic(**{**STEEL, **changes})
    return material if element in SOLIDS else dtw.PlaneStress(material, thickness=0.02)


def in_plane(element: str, vector: tuple[float, float, float]) -> tuple[float, float, float]:
    return vector if element in SOLIDS else (vector[0], vector[1], 0.0)


def bracket(element: str, *, distort: float = 0.2, seed: int = 1) -> dtw.Model:
    """A small distorted block, clamped at one end, with four kinds of load."""
    size = (0.2, 0.1, 0.1)
    turn = dtw.Moment(on="xmax", value=in_plane_moment(element, (30.0, -20.0, 50.0)))
    return dtw.Model(
        block(element, (3, 2, 2), size, distort=distort, seed=seed),
        materials={"body": steel(element)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "force": [dtw.Force(on="xmax", value=in_plane(element, (1e3, -2e3, 3e3)))],
            "pressure": [dtw.Pressure(on="ymax", magnitude=lambda p: 1e6 * (1 + p[:, 0]))],
            "weight": [dtw.Gravity(direction=in_plane(element, (1.0, -2.0, 0.5)))],
            "moment": [turn],
        },
    )


def in_plane_moment(element: str, vector: tuple[float, float, float]) -> tuple[float, float, float]:
    return vector if element in SOLIDS else (0.0, 0.0, vector[2])


def load_vector(model: dtw.Model, case: str) -> np.ndarray:
    return sum(load.nodal_forces(model) for load in model.cases[case].loads)


@pytest.mark.parametrize("element", BLOCKS)
def test_reactions_balance_loads_in_force_and_moment(element):
    result = dtw.solve_static(bracket(element))
    for name in result.cases:
        case = result[name]
        x = case.mesh.points
        size = np.abs(case.reactions).sum()
        assert_allclose(case.reactions.sum(axis=0), -case.applied, atol=1e-9 * size)
        turned = np.cross(x, case.reactions).sum(axis=0)
        assert_allclose(turned, -case.applied_moment, atol=1e-9 * size * np.abs(x).max())
        assert case.imbalance < 1e-9
        assert case.residual < 1e-9
        # The support pushes where the part is held, and only there.
        held = case.model.region("xmin").nodes
        assert_allclose(np.delete(case.reactions, held, axis=0), 0.0, atol=1e-9 * size)
        assert_allclose(case.reaction("xmin"), -case.applied, atol=1e-9 * size)


@pytest.mark.parametrize("element", BLOCKS)
def test_a_combination_is_the_sum_of_its_cases(element):
    model = bracket(element)
    both = [*model.cases["force"].loads, *model.cases["pressure"].loads]
    model = model.with_case("sum", dtw.combine(force=1.35, pressure=-0.7))
    model = model.with_case("twice", dtw.combine(sum=2.0, weight=1.0)).with_case("at once", both)
    model = model.with_case("one each", dtw.combine(force=1.0, pressure=1.0))
    result = dtw.solve_static(model)
    f, p, w = result["force"], result["pressure"], result["weight"]
    for read in (
        lambda c: c.displacement, lambda c: c.stress(), lambda c: c.stress("averaged"), lambda c: c.strain(),
        lambda c: c.stress("samples")[0], lambda c: c.reactions, lambda c: c.applied,
        lambda c: c.applied_moment,
    ):  # fmt: skip
        one = read(result["sum"])
        scale = max(np.abs(read(f)).max(), np.abs(read(p)).max())
        assert_allclose(one, 1.35 * read(f) - 0.7 * read(p), atol=1e-12 * scale)
        assert_allclose(read(result["twice"]), 2 * one + read(w), atol=1e-12 * scale)
        assert_allclose(read(result["one each"]), read(result["at once"]), atol=1e-9 * scale)
    # Equivalent stress is no sum, and is taken of the summed tensor.
    assert_allclose(result["one each"].von_mises(), result["at once"].von_mises(), rtol=1e-7)
    assert not np.allclose(result["one each"].von_mises(), f.von_mises() + p.von_mises(), rtol=1e-2)


@pytest.mark.parametrize("element", BLOCKS)
def test_work_is_reciprocal_and_positive(element):
    """Betti: the work of one case's loads along another's displacement is the same the other way round."""
    model = bracket(element)
    result = dtw.solve_static(model)
    u = {name: result[name].displacement for name in result.cases}
    f = {name: load_vector(model, name) for name in result.cases}
    for a in u:
        assert (f[a] * u[a]).sum() > 0.0
        for b in u:
            own = np.sqrt((f[a] * u[a]).sum() * (f[b] * u[b]).sum())
            assert (f[a] * u[b]).sum() == pytest.approx((f[b] * u[a]).sum(), abs=1e-9 * own)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron", "wedge15", "pyramid"])
@few
@given(a=angles, b=angles, c=angles)
def test_a_turned_part_gives_the_turned_answer(element, a, b, c):
    """Mesh, loads and material axes turned together: vectors turn, invariants stay."""
    model = bracket(element)
    turn = _rotation(a, b, c)
    there = dtw.Model(
        model.mesh.moved(model.mesh.points @ turn.T + [0.3, -0.1, 0.2]),
        materials={"body": steel(element)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "force": [dtw.Force(on="xmax", value=turn @ [1e3, -2e3, 3e3])],
            "weight": [dtw.Gravity(direction=turn @ [1.0, -2.0, 0.5])],
            "moment": [dtw.Moment(on="xmax", value=turn @ [30.0, -20.0, 50.0])],
        },
    )
    here, turned = dtw.solve_static(model), dtw.solve_static(there)
    for name in turned.cases:
        old, new = here[name], turned[name]
        size = np.abs(old.displacement).max()
        assert_allclose(new.displacement, old.displacement @ turn.T, atol=1e-8 * size)
        assert_allclose(new.reactions, old.reactions @ turn.T, atol=1e-8 * np.abs(old.reactions).max())
        raw = [np.concatenate([s.reshape(-1, 6) for s in case.stress("samples")]) for case in (old, new)]
        principal = [np.linalg.eigvalsh(_tensors(s)) for s in raw]
        assert_allclose(principal[1], principal[0], atol=1e-7 * np.abs(raw[0]).max())


def _rotation(a: float, b: float, c: float) -> np.ndarray:
    def about(axis: int, angle: float) -> np.ndarray:
        i, j = (axis + 1) % 3, (axis + 2) % 3
        out = np.eye(3)
        out[i, i] = out[j, j] = np.cos(angle)
        out[i, j], out[j, i] = -np.sin(angle), np.sin(angle)
        return out

    return about(0, a) @ about(1, b) @ about(2, c)


def _tensors(stress: np.ndarray) -> np.ndarray:
    xx, yy, zz, xy, yz, xz = stress.T
    return np.moveaxis(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]), 2, 0)


@few
@given(stiffer=st.floats(0.01, 100.0), larger=st.floats(1e-3, 1e3), more=amounts)
def test_answers_scale_as_dimensions_say(stiffer, larger, more):
    """Pressure on a part of length L and modulus E: stress goes with p, displacement with p L / E."""
    size = np.array([0.2, 0.1, 0.1])

    def solve(length: float, modulus: float, pressure: float) -> dtw.StaticCase:
        return dtw.solve_static(
            dtw.Model(
                box("tetra10", (3, 2, 2), size * length),
                materials={"body": dtw.LinearElastic(youngs_modulus=modulus, poissons_ratio=0.3)},
                supports=[dtw.FixedSupport(on="xmin")],
                load_cases={"pressure": [dtw.Pressure(on="ymax", magnitude=pressure)]},
            )
        )["pressure"]

    one, other = solve(1.0, 210e9, 1e6), solve(larger, 210e9 * stiffer, 1e6 * more)
    u, s = one.displacement, one.stress()
    assert_allclose(
        other.displacement,
        u * more * larger / stiffer,
        atol=1e-8 * abs(more * larger / stiffer) * np.abs(u).max(),
    )
    assert_allclose(other.stress(), s * more, atol=1e-8 * abs(more) * np.abs(s).max())
    assert_allclose(
        other.reactions,
        one.reactions * more * larger**2,
        atol=1e-8 * abs(more) * larger**2 * np.abs(one.reactions).max(),
    )
    assert other.energy_error == pytest.approx(one.energy_error, rel=1e-6)


@pytest.mark.parametrize("element", ["hexahedron", "hexahedron20", "tetra10", "wedge"])
def test_half_a_part_on_its_plane_of_symmetry_stands_for_the_whole(element):
    half = box(element, (3, 2, 2), (0.2, 0.05, 0.1))
    mirrored = half.moved(half.points * [1, -1, 1])
    whole = _mirror(half)

    def model(mesh: dtw.Mesh, supports: list) -> dtw.StaticCase:
        return dtw.solve_static(
            dtw.Model(
                mesh,
                materials={"body": steel(element)},
                supports=[dtw.FixedSupport(on="xmin"), *supports],
                load_cases={"pull": [dtw.Traction(on="xmax", value=(1e6, 0.0, -2e6))]},
            )
        )["pull"]

    small = model(half, [dtw.Symmetry(on="ymin")])
    large = model(whole, [])
    assert_allclose(
        large.displacement[: half.n_points], small.displacement, atol=1e-9 * np.abs(small.displacement).max()
    )
    assert_allclose(2 * small.applied[[0, 2]], large.applied[[0, 2]], rtol=1e-12)
    assert mirrored.n_points == half.n_points


def _mirror(half: dtw.Mesh) -> dtw.Mesh:
    """The mesh and its mirror image across y = 0, joined there."""
    ((element, conn),) = half.cells.items()
    reference = ELEMENTS[element]
    nodes = np.array(reference.nodes)
    # The mirror image of a cell has its nodes in the order of the reference cell reflected in itself.
    if reference.linear in ("hexahedron", "wedge"):
        reflect = nodes * [1, 1, -1]
    else:
        reflect = nodes[:, [1, 0, 2]]
    order = [int(np.argmin(np.abs(nodes - x).sum(axis=1))) for x in reflect]
    n = half.n_points
    on = np.abs(half.points[:, 1]) < 1e-12
    number = np.where(on, np.arange(n), n + np.cumsum(~on) - 1)
    points = np.concatenate([half.points, half.points[~on] * [1, -1, 1]])
    cells = np.concatenate([conn, number[conn][:, order]])
    mesh = dtw.Mesh(points, {element: cells})
    outside = mesh.exterior
    groups = {"body": dtw.Group(cells=np.arange(len(cells)))}
    for name, axis, value in (("xmin", 0, 0.0), ("xmax", 0, 0.2)):
        flag = np.zeros(len(outside), bool)
        for facets in mesh.facets(outside):
            flag[facets.rows] = (np.abs(points[facets.conn][:, :, axis] - value) < 1e-9).all(axis=1)
        groups[name] = dtw.Group(facets=outside[flag])
    return dtw.Mesh(points, {element: cells}, groups)


def at_rest(element: str) -> list[dtw.PrescribedDisplacement]:
    """Just enough to hold a free body."""
    if element in PLANES:
        return [
            dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.0, 0.0)), x=0.0, y=0.0),
            dtw.PrescribedDisplacement(on=dtw.nearest((1.0, 0.0, 0.0)), y=0.0),
        ]
    return [
        dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.0, 0.0)), x=0.0, y=0.0, z=0.0),
        dtw.PrescribedDisplacement(on=dtw.nearest((1.0, 0.0, 0.0)), y=0.0, z=0.0),
        dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 1.0, 0.0)), z=0.0),
    ]


@pytest.mark.parametrize("element", SOLIDS)
def test_uniform_pressure_all_around_is_felt_everywhere_and_needs_no_support(element):
    def lump(p: np.ndarray) -> np.ndarray:
        x, y, z = p.T
        return np.column_stack([x + 0.1 * np.sin(3 * y), y + 0.1 * z**2, z + 0.1 * x * y])

    mesh = box(element, 2, shape=lump)
    if element == "tetra10":
        mesh = _straight(mesh)
    model = dtw.Model(
        mesh,
        materials={"body": steel(element)},
        supports=at_rest(element),
        load_cases={"deep": [dtw.Pressure(on=dtw.exterior(), magnitude=5e6)]},
    )
    case = dtw.solve_static(model)["deep"]
    assert_allclose(case.stress()[:, :3], -5e6, rtol=1e-8)
    assert_allclose(case.stress()[:, 3:], 0.0, atol=1e-8 * 5e6)
    assert np.abs(case.von_mises()).max() < 1e-8 * 5e6
    assert np.abs(case.reactions).max() < 1e-9 * 5e6
    assert_allclose(case.applied, 0.0, atol=1e-9 * 5e6)


def _straight(mesh: dtw.Mesh) -> dtw.Mesh:
    points = mesh.points.copy()
    for name, conn in mesh.cells.items():
        element = ELEMENTS[name]
        for i, (a, b) in enumerate(element.edges):
            points[conn[:, element.corners + i]] = 0.5 * (points[conn[:, a]] + points[conn[:, b]])
    return mesh.moved(points)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron20", "wedge15", "pyramid13", "triangle6", "quad8"])
def test_a_body_as_heavy_as_water_floats_without_shear(element):
    """In a liquid of its own density a body needs no support, and its stress is the pressure at depth.

    The displacement is quadratic, so quadratic elements hold it exactly (serendipity ones on even meshes).
    """
    water = dtw.LinearElastic(youngs_modulus=1e6, poissons_ratio=0.3, density=1000.0)
    down = "-z" if element in SOLIDS else "-y"
    axis = 2 if element in SOLIDS else 1
    mesh = block(element, 2, distort=0.2 if element in ("tetra10", "triangle6") else 0.0)
    model = dtw.Model(
        mesh,
        materials={"body": water if element in SOLIDS else dtw.PlaneStrain(water)},
        supports=at_rest(element),
        load_cases={
            "submerged": [
                dtw.HydrostaticPressure(
                    on=dtw.exterior(), density=1000.0, surface=(0.0, 3.0, 3.0), direction=down
                ),
                dtw.Gravity(direction=down),
            ]
        },
    )
    case = dtw.solve_static(model)["submerged"]
    depth = 3.0 - case.points.xyz[:, axis]
    pressure = 1000.0 * 9.80665 * depth
    weight = 9806.65
    assert np.abs(case.reactions).max() < 1e-9 * weight
    samples = np.concatenate([s.reshape(-1, 6) for s in case.stress("samples")])
    expected = -1000.0 * 9.80665 * (3.0 - case.recovery.sample_xyz[:, axis])
    if element in SOLIDS:
        assert_allclose(samples[:, :3], np.tile(expected[:, None], (1, 3)), rtol=1e-8)
        assert_allclose(case.stress()[:, 2], -pressure, rtol=1e-5)
    else:
        # A slice cannot move along z; the pressure it needs for that is its own.
        assert_allclose(samples[:, :2], np.tile(expected[:, None], (1, 2)), rtol=1e-8)
        assert_allclose(samples[:, 2], 2 * 0.3 * expected, rtol=1e-8)
    assert_allclose(samples[:, 3:], 0.0, atol=1e-8 * weight)


@pytest.mark.parametrize("element", BLOCKS)
def test_compliance_grows_with_refinement_where_elements_conform(element):
    """Displacement elements are too stiff: each finer mesh that holds the coarser one gives more."""
    work = []
    for n in (1, 2, 4):
        mesh = block(element, (2 * n, n, n), (0.2, 0.1, 0.1))
        section = dtw.Solid if element in SOLIDS else dtw.PlaneStress
        more = {} if element in SOLIDS else {"thickness": 0.1}
        model = dtw.Model(
            mesh,
            materials={"body": section(dtw.LinearElastic(**STEEL), formulation="full", **more)},
            supports=[dtw.FixedSupport(on="xmin")],
            load_cases={"shear": [dtw.Traction(on="xmax", value=(0.0, 1e6, 0.0))]},
        )
        case = dtw.solve_static(model)["shear"]
        work.append(float((load_vector(model, "shear") * case.displacement).sum()))
    assert work[0] < work[1] < work[2]


def test_cases_solved_together_are_the_cases_solved_alone():
    model = bracket("tetra10")
    model = model.with_case("other support", [dtw.FixedSupport(on="xmax"), *model.cases["pressure"].loads])
    together = dtw.solve_static(model)
    for name in model.cases:
        alone = dtw.solve_static(model.with_(load_cases={name: model.load_cases[name]}))[name]
        size = np.abs(alone.displacement).max()
        assert_allclose(together[name].displacement, alone.displacement, atol=1e-9 * size)
    # Supports of one case do not leak into another.
    free_end = model.region("xmax").nodes
    assert np.abs(together["force"].displacement[free_end]).max() > 0.0
    assert np.abs(together["other support"].displacement[free_end]).max() == 0.0


def test_numbering_of_nodes_and_cells_does_not_matter():
    model = bracket("hexahedron")
    mesh = model.mesh
    rng = np.random.default_rng(2)
    new = rng.permutation(mesh.n_points)
    order = rng.permutation(mesh.n_cells)
    points = np.empty_like(mesh.points)
    points[new] = mesh.points
    groups = {}
    where = np.empty_like(order)
    where[order] = np.arange(len(order))
    for name, group in mesh.groups.items():
        facets = (
            None if group.facets is None else np.column_stack([where[group.facets[:, 0]], group.facets[:, 1]])
        )
        cells = None if group.cells is None else where[group.cells]
        groups[name] = dtw.Group(facets=facets, cells=cells)
    shuffled = dtw.Mesh(points, {"hexahedron": new[mesh.cells["hexahedron"]][order]}, groups)
    a, b = dtw.solve_static(model), dtw.solve_static(model.with_(mesh=shuffled))
    for name in a.cases:
        assert_allclose(
            b[name].displacement[new], a[name].displacement, atol=1e-10 * np.abs(a[name].displacement).max()
        )
        assert_allclose(b[name].von_mises()[new], a[name].von_mises(), rtol=1e-7)


def test_a_part_cut_into_groups_of_one_material_moves_as_one():
    model = bracket("tetra10")
    left = np.flatnonzero(model.mesh.cell_centers[:, 0] < 0.1)
    right = np.flatnonzero(model.mesh.cell_centers[:, 0] >= 0.1)
    cut = model.with_(
        materials={dtw.ids(cells=left): steel("tetra10"), dtw.ids(cells=right): steel("tetra10")}
    )
    for name in model.cases:
        one, two = (dtw.solve_static(m)[name] for m in (model, cut))
        assert_allclose(two.displacement, one.displacement, atol=1e-10 * np.abs(one.displacement).max())


def test_prescribed_displacement_makes_the_force_it_takes():
    """A bar pulled by a given length: reaction E A / L times it; given and reacting ends cancel."""
    mesh = rectangle("quad8", (4, 2), (0.2, 0.1))
    model = dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(dtw.LinearElastic(**STEEL), thickness=0.02)},
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0),
            dtw.PrescribedDisplacement(on="ymin", y=0.0),
            dtw.PrescribedDisplacement(on="xmax", x="0.1 mm"),
        ],
        load_cases={"pull": []},
    )
    case = dtw.solve_static(model)["pull"]
    force = 210e9 * 0.1 * 0.02 / 0.2 * 1e-4
    assert_allclose(case.reaction("xmax"), [force, 0.0, 0.0], rtol=1e-9, atol=1e-9 * force)
    assert_allclose(case.reaction("xmin"), [-force, 0.0, 0.0], rtol=1e-9, atol=1e-9 * force)
    assert_allclose(case.stress()[:, 0], 210e9 * 5e-4, rtol=1e-9)
    assert_allclose(case.displacement[model.region("xmax").nodes, 0], 1e-4, rtol=0, atol=0)


def test_both_solvers_give_the_same_answer():
    model = bracket("tetra10")
    direct = dtw.solve_static(model, solver=Direct())
    chosen = dtw.solve_static(model)
    for name in model.cases:
        size = np.abs(direct[name].displacement).max()
        assert_allclose(chosen[name].displacement, direct[name].displacement, atol=1e-7 * size)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron"])
def test_designs_on_one_mesh_share_an_order_of_elimination(element, monkeypatch):
    """Another shape would lay another curve through the nodes, and number them anew."""
    orders: list[int] = []
    analyze = multifrontal.analyze
    monkeypatch.setattr(direct, "DENSE_UP_TO", 0)
    monkeypatch.setattr(direct, "_layouts", type(direct._layouts)())
    monkeypatch.setattr(multifrontal, "analyze", lambda *a, **k: orders.append(1) or analyze(*a, **k))
    model = bracket(element)
    for stretched in (1.0, 3.0, 0.2):
        mesh = model.mesh.moved(model.mesh.points * np.array([stretched, 1.0, 1.0])).with_groups({})
        design = model.with_(mesh=mesh)
        alone = design.with_(mesh=dtw.Mesh(mesh.points, mesh.cells, mesh.groups))
        here = dtw.solve_static(design, solver=Direct())["force"]
        assert len(orders) == 1
        with monkeypatch.context() as context:
            context.setattr(direct, "_layouts", type(direct._layouts)())
            context.setattr(multifrontal, "analyze", analyze)
            there = dtw.solve_static(alone, solver=Direct())["force"]
        scale = np.abs(there.displacement).max()
        assert_allclose(here.displacement, there.displacement, atol=1e-10 * scale)
