"""Numbering of unknowns, supports as an affine map, patterns, matrices, coarsening."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import BLOCKS, PLANES, SOLIDS, bar, block, box, merged, rectangle
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import designtwin as dtw
from designtwin import assembly
from designtwin.assembly import (
    DofMap,
    NodePattern,
    Topology,
    assemble_static,
    cell_blocks,
    conductivity_matrix,
    corner_coarsening,
    rigid_modes,
    static_map,
    static_topology,
    stiffness_matrix,
    stiffness_terms,
    strain_at,
    tables,
)
from designtwin.assembly.matrices import stiffness_of
from designtwin.elements import ELEMENTS
from designtwin.errors import ModelError

STEEL = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, expansion=1e-5, conductivity=50.0)


def model_of(element: str, n: int = 2, *, supports=(), items=(), section=None, **options) -> dtw.Model:
    if section is None:
        section = STEEL if element in SOLIDS else dtw.PlaneStress(STEEL, thickness=0.1)
    return dtw.Model(
        block(element, n, **options),
        materials={"body": section},
        supports=list(supports),
        load_cases={"case": list(items)},
    )


# Numbering


@pytest.mark.parametrize("components", [1, 2, 3])
def test_scatter_undoes_gather(components):
    rng = np.random.default_rng(0)
    field = rng.normal(size=7) if components == 1 else rng.normal(size=(7, 3))
    if components == 2:
        field[:, 2] = 0.0
    dofs = DofMap(7, components)
    assert dofs.n_dof == 7 * components
    assert_array_equal(dofs.scatter(dofs.gather(field)), field)
    if components > 1:
        assert_array_equal(dofs.gather(field)[:components], field[0, :components])


@pytest.mark.parametrize(
    "mesh", [box("tetra10", 2), box("hexahedron", (3, 2, 1)), bar(4)], ids=["tet", "hex", "bar"]
)
def test_pattern_holds_the_pairs_that_share_a_cell_and_adds_cell_matrices(mesh):
    conns = list(mesh.cells.values())
    pattern = NodePattern.of(mesh.n_points, conns)
    rng = np.random.default_rng(1)
    data = pattern.empty(2)
    dense = np.zeros((2 * mesh.n_points, 2 * mesh.n_points))
    pairs = set()
    for conn in conns:
        n = conn.shape[1]
        matrices = rng.normal(size=(len(conn), 2 * n, 2 * n))
        pattern.add(data, conn, matrices)
        for nodes, one in zip(conn, matrices, strict=True):
            at = (2 * nodes[:, None] + [0, 1]).ravel()
            dense[np.ix_(at, at)] += one
            pairs |= {(int(i), int(j)) for i in nodes for j in nodes}
    assert_allclose(pattern.matrix(data).toarray(), dense, atol=1e-13)
    rows = np.repeat(np.arange(mesh.n_points), np.diff(pattern.indptr))
    assert {(int(i), int(j)) for i, j in zip(rows, pattern.indices, strict=True)} == pairs
    for i in range(mesh.n_points):
        row = pattern.indices[pattern.indptr[i] : pattern.indptr[i + 1]]
        assert (np.diff(row) > 0).all()


def test_cells_are_taken_in_chunks_without_a_trace(monkeypatch):
    model = model_of("tetra10", 3, distort=0.2)  # 162 cells: batches of 64
    whole = stiffness_matrix(model, cell_blocks(model)).toarray()
    heat = conductivity_matrix(model, cell_blocks(model)).toarray()
    monkeypatch.setattr(assembly.matrices, "_BATCH_BYTES", 8 * 64 * 900)
    assert_allclose(
        stiffness_matrix(model, cell_blocks(model)).toarray(), whole, atol=1e-14 * np.abs(whole).max()
    )
    assert_allclose(
        conductivity_matrix(model, cell_blocks(model)).toarray(), heat, atol=1e-14 * np.abs(heat).max()
    )


# Matrices


@pytest.mark.parametrize("element", BLOCKS)
def test_matrices_are_symmetric_and_know_free_motions(element):
    model = model_of(element, distort=0.2)
    K = stiffness_matrix(model, cell_blocks(model))
    modes = rigid_modes(model.mesh.points, model.dimension)
    assert modes.shape[1] == (6 if element in SOLIDS else 3)
    assert np.linalg.matrix_rank(modes) == modes.shape[1]
    scale = np.abs(K.data).max()
    assert np.abs((K - K.T).toarray()).max() < 1e-13 * scale
    assert np.abs(K @ modes).max() < 1e-12 * scale
    C = conductivity_matrix(model, cell_blocks(model))
    assert np.abs((C - C.T).toarray()).max() < 1e-13 * np.abs(C.data).max()
    assert np.abs(C @ np.ones(model.mesh.n_points)).max() < 1e-12 * np.abs(C.data).max()


def test_a_ring_may_only_slide_along_its_axis():
    model = model_of("quad8", section=dtw.Axisymmetric(STEEL), origin=(1.0, 0.0))
    K = stiffness_matrix(model, cell_blocks(model))
    modes = rigid_modes(model.mesh.points, 2, axisymmetric=True)
    assert modes.shape[1] == 1
    assert np.abs(K @ modes).max() < 1e-12 * np.abs(K.data).max()
    assert np.abs(K @ rigid_modes(model.mesh.points, 2)[:, [0]]).max() > 1e-3 * np.abs(K.data).max()


@pytest.mark.parametrize("element", ["quad", "hexahedron", "tetra10", "triangle6"])
def test_stiffness_grows_with_modulus_thickness_and_nothing_else(element):
    def K(modulus: float, thickness: float) -> np.ndarray:
        material = dtw.LinearElastic(youngs_modulus=modulus, poissons_ratio=0.3)
        section = material if element in SOLIDS else dtw.PlaneStrain(material, thickness=thickness)
        model = model_of(element, section=section, distort=0.1)
        return stiffness_matrix(model, cell_blocks(model)).toarray()

    one = K(1.0, 1.0)
    assert_allclose(K(7.0, 1.0), 7.0 * one, rtol=1e-10, atol=1e-13)
    if element in PLANES:
        assert_allclose(K(1.0, 0.3), 0.3 * one, rtol=1e-10, atol=1e-13)


def test_a_sheet_with_thickness_as_a_field():
    model = model_of("quad8", 3, section=dtw.PlaneStress(STEEL, thickness=lambda p: 0.1 + 0.2 * p[:, 0]))
    flat = [model_of("quad8", 3, section=dtw.PlaneStress(STEEL, thickness=t)) for t in (0.1, 0.3)]
    K, thin, thick = (stiffness_matrix(m, cell_blocks(m)).toarray() for m in (model, *flat))
    values = np.linalg.eigvalsh(K)[3:]
    assert (np.linalg.eigvalsh(thin)[3:] < values).all()
    assert (values < np.linalg.eigvalsh(thick)[3:]).all()


@pytest.mark.parametrize(
    ("element", "section", "expected"),
    [
        ("hexahedron", dtw.Solid(STEEL), "incompatible"),
        ("hexahedron", dtw.Solid(STEEL, formulation="full"), ""),
        ("hexahedron", dtw.Solid(STEEL, formulation="b-bar"), "bbar"),
        ("quad", dtw.PlaneStrain(STEEL), "incompatible"),
        ("quad", dtw.Axisymmetric(STEEL), "bbar"),
        ("quad8", dtw.PlaneStrain(STEEL), ""),
    ],
)
def test_formulation_of_cells(element, section, expected):
    (cells,) = cell_blocks(model_of(element, section=section))
    assert {name for name in ("bbar", "incompatible") if getattr(cells, name)} == (
        {expected} if expected else set()
    )


@pytest.mark.parametrize(
    ("element", "section", "asked"),
    [
        ("quad", dtw.Axisymmetric(STEEL, formulation="incompatible"), "incompatible"),
        ("wedge", dtw.Solid(STEEL, formulation="incompatible"), "incompatible"),
        ("tetra10", dtw.Solid(STEEL, formulation="b-bar"), "b-bar"),
    ],
)
def test_formulations_are_refused_where_they_do_not_exist(element, section, asked):
    with pytest.raises(ModelError, match=rf"part 'body'.*{asked}.*{element}"):
        cell_blocks(model_of(element, section=section))


def test_stiffness_follows_the_temperature_of_its_points():
    soft = dtw.LinearElastic(
        youngs_modulus=dtw.table(over="temperature", at=[300.0, 500.0], values=[200e9, 100e9]),
        poissons_ratio=0.3,
    )
    model = model_of("hexahedron20", section=soft)
    blocks = cell_blocks(model)
    n = model.mesh.n_points
    cold, warm = (stiffness_matrix(model, blocks, np.full(n, t)).toarray() for t in (300.0, 400.0))
    assert_allclose(warm, 0.75 * cold, rtol=1e-10, atol=1e-12 * np.abs(cold).max())
    # Cells at x < 0.5 stay cold and keep their stiffness; the others soften.
    temperature = np.where(model.mesh.points[:, 0] <= 0.5, 300.0, 500.0)
    mixed = stiffness_matrix(model, blocks, temperature).toarray()
    left = np.flatnonzero(np.repeat(model.mesh.points[:, 0] < 0.4, 3))
    right = np.flatnonzero(np.repeat(model.mesh.points[:, 0] > 0.99, 3))
    assert_allclose(mixed[np.ix_(left, left)], cold[np.ix_(left, left)], rtol=1e-10, atol=1e-9)
    assert_array_equal(np.sign(np.diag(cold)[right] - np.diag(mixed)[right]), 1.0)


# Supports as u = T q + u0


def skewed(angle: float = 30.0, amount: float = 1e-3) -> dtw.Model:
    """Rollers along a slope, with a given displacement up it."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    along = dtw.Cartesian(x=(c, s, 0.0), xy=(-s, c, 0.0))
    return model_of(
        "hexahedron",
        supports=[
            dtw.FixedSupport(on="xmin"),
            dtw.PrescribedDisplacement(on="xmax", y=amount, coordinates=along),
        ],
    )


def test_affine_map_holds_what_is_prescribed_and_nothing_else():
    model = skewed()
    dofs = DofMap(model.mesh.n_points, 3)
    map_ = static_map(model, model.cases["case"], dofs)
    normal = np.array([-0.5, np.sqrt(0.75), 0.0])
    held, rolled = model.region("xmin").nodes, model.region("xmax").nodes
    q = np.random.default_rng(0).normal(size=dofs.n_dof)
    u = dofs.scatter(map_.expand(np.where(map_.fixed, 0.0, q)))
    assert_allclose(u[held], 0.0, atol=0)
    assert_allclose(u[rolled] @ normal, 1e-3, rtol=1e-12)
    assert np.ptp(u[rolled] @ [np.sqrt(0.75), 0.5, 0.0]) > 0.1
    assert map_.fixed.sum() == 3 * len(held) + len(rolled)
    # T is orthogonal, and restrict is its transpose: virtual work is the same in u and q.
    f = np.random.default_rng(1).normal(size=dofs.n_dof)
    v = np.random.default_rng(2).normal(size=dofs.n_dof)
    assert f @ (map_.transform @ v) == pytest.approx(map_.restrict(f) @ v, rel=1e-12)
    identity = (map_.transform.T @ map_.transform).toarray()
    assert_allclose(identity, np.eye(dofs.n_dof), atol=1e-12)
    # lift keeps of a force what acts along held directions.
    reaction = dofs.scatter(map_.lift(f))
    assert_allclose(reaction[held], dofs.scatter(f)[held], rtol=1e-12)
    assert_allclose(reaction[rolled], np.outer(dofs.scatter(f)[rolled] @ normal, normal), atol=1e-12)
    others = np.setdiff1d(np.arange(model.mesh.n_points), np.concatenate([held, rolled]))
    assert not reaction[others].any()


def test_supports_along_axes_need_no_turning():
    model = model_of(
        "tetra", supports=[dtw.FixedSupport(on="xmin"), dtw.PrescribedDisplacement(on="xmax", x=2e-3)]
    )
    map_ = static_map(model, model.cases["case"], DofMap(model.mesh.n_points, 3))
    assert map_.transform is None
    assert_array_equal(map_.expand(np.zeros(3 * model.mesh.n_points)), map_.value)
    assert map_.value.max() == 2e-3


def test_skew_supports_that_agree_share_a_node_and_those_that_do_not_are_named():
    """Two slopes at one node hold two directions; three hold it fast; a fourth must fit."""

    def along(angle: float) -> dtw.Cartesian:
        c, s = np.cos(angle), np.sin(angle)
        return dtw.Cartesian(x=(c, s, 0.0), xy=(-s, c, 0.0))

    node = dtw.nearest((1.0, 1.0, 1.0))
    goal = np.array([1e-3, 2e-3, 0.0])
    rows = []
    for angle in (0.3, 1.0, 1.9):
        direction = np.array([np.cos(angle), np.sin(angle), 0.0])
        rows.append(dtw.PrescribedDisplacement(on=node, x=float(direction @ goal), coordinates=along(angle)))
    model = model_of("hexahedron", supports=[dtw.FixedSupport(on="xmin"), *rows])
    dofs = DofMap(model.mesh.n_points, 3)
    map_ = static_map(model, model.cases["case"], dofs)
    (at,) = model.region(node).nodes
    u = dofs.scatter(map_.expand(np.zeros(dofs.n_dof)))
    assert_allclose(u[at], goal, atol=1e-15)
    assert map_.fixed.reshape(-1, 3)[at].sum() == 2
    wrong = dtw.PrescribedDisplacement(on=node, x=9e-3, coordinates=along(1.9))
    with pytest.raises(ModelError, match="contradict"):
        model_of("hexahedron", supports=[dtw.FixedSupport(on="xmin"), *rows[:2], wrong])


def test_nodes_in_no_cell_are_held():
    mesh = rectangle("quad", 2)
    loose = replace(mesh, points=np.vstack([mesh.points, [[5.0, 5.0, 0.0]]]))
    model = dtw.Model(
        loose,
        materials={"body": dtw.PlaneStress(STEEL, thickness=0.1)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=(1e3, 0.0, 0.0))]},
    )
    map_ = static_map(model, model.cases["pull"], DofMap(loose.n_points, 2))
    assert map_.fixed[-2:].all()
    case = dtw.solve_static(model)["pull"]
    assert not case.displacement[-1].any()
    assert np.isfinite(case.stress()).all()


# What solvers get


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("element", ["tetra10", "hexahedron20", "wedge15", "pyramid13", "quad8", "triangle6"])
def test_corners_carry_linear_fields_and_the_galerkin_matrix(element, free):
    model = model_of(element, distort=0.2 * (not free))
    blocks = cell_blocks(model)
    topology = static_topology(model, blocks) if free else Topology.plain(model.mesh, blocks)
    assert (topology.free is not None) == (free and element == "tetra10")
    coarse = corner_coarsening(model, topology, stiffness_of(model), model.dimension)
    P = coarse.prolongation
    reference = ELEMENTS[element]
    corners = np.unique(model.mesh.cells[element][:, : reference.corners])
    assert set(topology.order[topology.corners]) == set(corners)
    assert P.shape == (model.mesh.n_points, len(corners))
    assert_allclose(P.sum(axis=1), 1.0)
    points = model.mesh.points[topology.order]
    assert_allclose(P @ points[topology.corners], points, atol=1e-14)
    wide = sparse.kron(P, sparse.eye_array(model.dimension))
    K = sum(term.matrix().tocsr() for term in stiffness_terms(model, topology))
    given = coarse.matrix().toarray()
    assert_allclose(given, (wide.T @ K @ wide).toarray(), atol=1e-13 * np.abs(given).max())
    plain = model_of(reference.linear)
    straight = Topology.plain(plain.mesh, cell_blocks(plain))
    assert corner_coarsening(plain, straight, stiffness_of(plain), plain.dimension) is None


@pytest.mark.parametrize("element", ["tetra10", "hexahedron20", "tetra"])
def test_unknowns_follow_a_curve_and_answers_follow_the_mesh(element):
    model = model_of(element, 3)
    blocks = cell_blocks(model)
    topology = static_topology(model, blocks)
    assert sorted(topology.order) == list(range(model.mesh.n_points))
    assert_array_equal(topology.order[topology.place], np.arange(model.mesh.n_points))
    dofs = topology.dofs(3)
    field = np.random.default_rng(0).normal(size=(model.mesh.n_points, 3))
    assert_array_equal(dofs.scatter(dofs.gather(field)), field)
    assert_array_equal(dofs.nodes([0, 4]), topology.order[[0, 1]])
    K = stiffness_matrix(model, blocks)
    force = sum(term.apply(dofs.gather(field)) for term in stiffness_terms(model, topology))
    wanted = (K @ field.ravel()).reshape(-1, 3)
    assert_allclose(dofs.scatter(force), wanted, atol=1e-12 * np.abs(wanted).max())


def test_system_is_matrix_free_of_fixed_rows_and_adds_its_terms():
    bed = dtw.ElasticFoundation(on="zmin", normal=1e9, tangential=2e8)
    model = model_of("tetra10", supports=[dtw.PrescribedDisplacement(on="xmin", x=0.0), bed])
    one = assemble_static(model, model.cases["case"], cell_blocks(model))
    x = np.random.default_rng(0).normal(size=one.dofs.n_dof) * ~one.map.fixed
    expected = one.internal(x) + sum(term.apply(x) for term in one.extra)
    assert len(one.extra) >= 1
    assert_allclose(one.system.apply(x)[~one.map.fixed], expected[~one.map.fixed], rtol=1e-10)
    # The bed alone: a unit push of the face is resisted by stiffness times area.
    push = np.zeros((model.mesh.n_points, 3))
    push[:, 2] = 1.0
    resisted = sum(term.apply(push.ravel()) for term in one.extra).reshape(-1, 3).sum(axis=0)
    assert_allclose(resisted, [0.0, 0.0, 1e9], atol=1e-3)
    slide = np.zeros_like(push)
    slide[:, 1] = 1.0
    resisted = sum(term.apply(slide.ravel()) for term in one.extra).reshape(-1, 3).sum(axis=0)
    assert_allclose(resisted, [0.0, 2e8, 0.0], atol=1e-3)


def test_prescribed_values_move_to_the_right_hand_side():
    model = model_of(
        "hexahedron", supports=[dtw.FixedSupport(on="xmin"), dtw.PrescribedDisplacement(on="xmax", y=1e-3)]
    )
    one = assemble_static(model, model.cases["case"], cell_blocks(model))
    right = one.right_hand_side(np.zeros(one.dofs.n_dof))
    u0 = one.map.expand(np.zeros(one.dofs.n_dof))
    push = one.internal(u0)
    assert_allclose(right, np.where(one.map.fixed, 0.0, -push), atol=1e-12 * np.abs(push).max())
    assert right[~one.map.fixed].any()
    nodes = one.held.reshape(-1, 3).any(axis=1)
    assert set(one.dofs.order[nodes]) == {*model.region("xmin").nodes, *model.region("xmax").nodes}


@pytest.mark.parametrize("element", ["hexahedron20", "quad8"])
def test_a_jump_of_temperature_asks_tables_for_no_more_than_its_nodes_have(element):
    """Between nodes a quadratic cell overshoots a step by several kelvin; tables end where nodes do."""
    hot, cold = 500.0, 300.0

    def over(values):
        return dtw.table(over="temperature", at=[cold, hot], values=values)

    material = dtw.LinearElastic(
        youngs_modulus=over([200e9, 100e9]), poissons_ratio=0.3, expansion=over([1e-5, 2e-5])
    )
    mesh = block(element, 2)
    step = np.where(mesh.points[:, 0] < 0.4, cold, hot)
    model = dtw.Model(
        mesh,
        materials={"body": material if element in SOLIDS else dtw.PlaneStress(material, thickness=0.1)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"step": [dtw.Temperature(step, reference=cold)]},
    )
    case = dtw.solve_static(model)["step"]
    assert np.isfinite(case.displacement).all()
    assert 0.0 < case.displacement[:, 0].max() < 2e-5 * 200


# Strain of cells


@pytest.mark.parametrize("element", BLOCKS)
def test_strain_of_a_linear_displacement_is_its_gradient(element):
    model = model_of(element, distort=0.2)
    (cells,) = cell_blocks(model)
    gradient = np.zeros((3, 3))
    d = ELEMENTS[element].dimension
    gradient[:d, :d] = np.random.default_rng(3).normal(size=(d, d)) * 1e-3
    u = model.mesh.points @ gradient.T
    strain, stress = strain_at(model, model.cases["case"], cells, tables(cells), u)[:2]
    sym = gradient + gradient.T
    expected = np.array([gradient[0, 0], gradient[1, 1], gradient[2, 2], sym[0, 1], sym[1, 2], sym[0, 2]])
    if element in PLANES:
        expected[2] = -0.3 / 0.7 * (expected[0] + expected[1])  # a sheet thins
    assert_allclose(strain, np.broadcast_to(expected, strain.shape), atol=1e-14)
    assert_allclose(stress, strain @ STEEL.stiffness().T, atol=1e-12 * 210e9 * 1e-3)


def test_parts_of_several_elements_meet_in_one_matrix():
    """Hexahedra beside wedges: the matrix is the sum over both, and uniform strain passes between them."""
    mesh = merged(box("hexahedron", 2), box("wedge", 2, origin=(1.0, 0.0, 0.0)))
    gradient = np.diag([1e-3, -2e-4, 5e-4])
    model = dtw.Model(
        mesh,
        materials={"body": STEEL},
        supports=[
            dtw.PrescribedDisplacement(
                on=dtw.exterior(),
                **{a: (lambda p, i=i: gradient[i, i] * p[:, i]) for i, a in enumerate("xyz")},
            )
        ],
        load_cases={"stretch": []},
    )
    assert {b.element.name for b in cell_blocks(model)} == {"hexahedron", "wedge"}
    case = dtw.solve_static(model)["stretch"]
    assert_allclose(case.displacement, mesh.points @ gradient, atol=1e-15)
    assert_allclose(
        case.strain()[:, :3], np.broadcast_to(np.diag(gradient), (len(case.points), 3)), rtol=1e-9
    )
