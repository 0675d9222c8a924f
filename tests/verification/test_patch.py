"""What every element must do on any mesh: patch tests, rigid motions, rank, symmetry, compiled as written.

Each distortion is a seed; `make test` spends a share of the 200 that run with DESIGNTWIN_VERIFY=1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import BLOCKS, PLANES, SOLIDS, block
from cases import elastic, solve
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.assembly import cell_blocks, stiffness_matrix, tables
from designtwin.elements import ELEMENTS
from designtwin.kernels import pattern, recovery, volume
from designtwin.mesh import Group, Mesh

SEEDS = range(200 if FULL else 6)
E, NU = 210e9, 0.3

LOCKING = ("quad", "hexahedron")


def kinds(element: str) -> list[tuple[str, str]]:
    """Section and formulation of every way to use an element."""
    if element in SOLIDS:
        sections = ["Solid"]
    else:
        sections = ["PlaneStress", "PlaneStrain", "Axisymmetric"]
    out = []
    for section in sections:
        ways = ["full"]
        if element in LOCKING:
            ways += ["b-bar"] if section == "Axisymmetric" else ["b-bar", "incompatible"]
        out += [(section, way) for way in ways]
    return out


WAYS = [pytest.param(e, s, f, id=f"{e}-{s}-{f}") for e in BLOCKS for s, f in kinds(e)]


def section(name: str, formulation: str = "auto", **more: object) -> object:
    material = elastic(E, NU, **more)
    thickness = {"thickness": 0.02} if name == "PlaneStress" else {}
    return getattr(dtw, name)(material, formulation=formulation, **thickness)


def distorted(element: str, seed: int) -> Mesh:
    """Two cells a side, inner nodes moved at random, seen at a random scale and place; mid nodes off center.

    Mid-side nodes inside the body leave the middle of their edges along them, which keeps the edges straight;
    not those of tetrahedra, whose four-point rule is exact on straight, evenly divided edges only.
    """
    rng = np.random.default_rng(seed)
    mesh = block(
        element, 2, (0.05, 0.04, 0.03), distort=rng.uniform(0.0, 0.3), seed=seed, origin=(0.1, 0.2, 0.3)
    )
    points = mesh.points.copy()
    inside = np.ones(mesh.n_points, bool)
    inside[mesh.nodes_of_facets(mesh.exterior)] = False
    reference = ELEMENTS[element]
    for conn in mesh.cells.values():
        for i, (a, b) in enumerate(reference.edges if element != "tetra10" else ()):
            mid = conn[:, reference.corners + i]
            move = inside[mid] & (conn[:, a] < conn[:, b])
            share = 0.5 + np.random.default_rng(seed + 7).uniform(-0.05, 0.05, mesh.n_points)[mid[move]]
            ends = points[conn[move, a]], points[conn[move, b]]
            points[mid[move]] = ends[0] + share[:, None] * (ends[1] - ends[0])
    return mesh.moved(points)


def linear_field(dimension: int, seed: int, axisymmetric: bool) -> np.ndarray:
    """Displacement gradient of order 1e-3, rotation included; for a ring u = a r along the radius."""
    gradient = np.zeros((3, 3))
    gradient[:dimension, :dimension] = np.random.default_rng(seed).uniform(
        -1e-3, 1e-3, (dimension, dimension)
    )
    if axisymmetric:
        gradient[0, 1] = gradient[1, 0] = 0.0
    return gradient


def exact_stress(gradient: np.ndarray, name: str) -> np.ndarray:
    """Hooke's law on the strain of a displacement gradient, xx yy zz xy yz xz."""
    strain = 0.5 * (gradient + gradient.T)
    if name == "Axisymmetric":
        strain[2, 2] = strain[0, 0]
    if name == "PlaneStress":
        strain[2, 2] = -NU / (1 - NU) * (strain[0, 0] + strain[1, 1])
    shear = E / (2 * (1 + NU))
    stress = 2 * shear * (strain + NU / (1 - 2 * NU) * np.trace(strain) * np.eye(3))
    return np.array([stress[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))])


def by_gradient(gradient: np.ndarray, on: object) -> dtw.PrescribedDisplacement:
    rows = {a: (lambda p, i=i: p @ gradient[i]) for i, a in enumerate("xyz") if gradient[i].any()}
    return dtw.PrescribedDisplacement(on=on, **rows)


@pytest.mark.parametrize(("element", "name", "formulation"), WAYS)
def test_patch(element, name, formulation, record_property):
    """Constant strain is found exactly, displacement and stress, on any shape of cells."""
    dimension = ELEMENTS[element].dimension
    for seed in SEEDS:
        mesh = distorted(element, seed)
        gradient = linear_field(dimension, seed, name == "Axisymmetric")
        model = dtw.Model(
            mesh,
            materials={"body": section(name, formulation)},
            supports=[by_gradient(gradient, dtw.exterior())],
            load_cases={"patch": []},
        )
        case = solve(model)
        exact = mesh.points @ gradient.T
        assert_allclose(case.displacement, exact, rtol=0, atol=1e-10 * np.abs(exact).max())
        stress = exact_stress(gradient, name)
        size = np.abs(stress).max()
        for found in (case.stress(), case.stress("averaged"), *case.stress("samples")):
            assert_allclose(found - stress, 0.0, atol=1e-10 * size)
        assert abs(case.energy_error) < 1e-9
    record_property("distorted meshes, seeds from 0", len(SEEDS))


def test_curved_quadratic_tetrahedra_pass_nearly():
    """Mid nodes 5 % of an edge off its middle, any way: the four-point rule errs by less than 3 %."""
    mesh = distorted("tetra10", 1)
    inside = np.ones(mesh.n_points, bool)
    inside[mesh.nodes_of_facets(mesh.exterior)] = False
    inside[mesh.cells["tetra10"][:, :4]] = False
    shift = np.random.default_rng(0).uniform(-0.05, 0.05, mesh.points.shape) * 0.02
    mesh = mesh.moved(mesh.points + shift * inside[:, None])
    gradient = linear_field(3, 1, False)
    model = dtw.Model(
        mesh,
        materials={"body": elastic(E, NU)},
        supports=[by_gradient(gradient, dtw.exterior())],
        load_cases={"patch": []},
    )
    stress = exact_stress(gradient, "Solid")
    error = np.abs(solve(model).stress("samples")[0] - stress).max() / np.abs(stress).max()
    assert 1e-6 < error < 0.03


@pytest.mark.parametrize(
    ("element", "name"),
    [(e, "Solid") for e in SOLIDS] + [(e, name) for e in PLANES for name in ("PlaneStress", "Axisymmetric")],
)
def test_heat_patch(element, name):
    """A uniform flux is found exactly (in a ring: along its axis)."""
    for seed in SEEDS:
        mesh = distorted(element, seed)
        slope = np.random.default_rng(seed).uniform(-1e3, 1e3, 3)
        slope[ELEMENTS[element].dimension :] = 0.0
        if name == "Axisymmetric":
            slope[0] = 0.0
        model = dtw.Model(
            mesh,
            materials={"body": section(name, conductivity=52.0)},
            supports=[
                dtw.FixedTemperature(on=dtw.exterior(), value=lambda p, slope=slope: 300.0 + p @ slope)
            ],
            load_cases={"patch": []},
        )
        case = dtw.solve_thermal(model)["patch"]
        exact = 300.0 + mesh.points @ slope
        assert_allclose(case.temperature, exact, rtol=0, atol=1e-12 * np.abs(exact).max())
        assert_allclose(case.heat_flux(), np.tile(-52.0 * slope, (len(case.points), 1)), atol=1e-8 * 52e3)


def one_cell(element: str, seed: int) -> Mesh:
    """A single cell whose nodes are all moved at random, mid nodes too."""
    reference = ELEMENTS[element]
    rng = np.random.default_rng(seed)
    corners = np.array(reference.nodes)[: reference.corners]
    corners = corners + rng.uniform(-0.12, 0.12, corners.shape)
    mids = [
        0.5 * (corners[a] + corners[b]) + rng.uniform(-0.02, 0.02, corners.shape[1])
        for a, b in reference.edges
    ]
    points = np.zeros((reference.n_nodes, 3))
    points[:, : reference.dimension] = np.vstack([corners, *mids])
    points[:, 0] += 2.0  # rings have no axis inside
    return Mesh(
        points, {element: np.arange(reference.n_nodes)[None, :]}, {"body": Group(cells=np.array([0]))}
    )


@pytest.mark.parametrize(("element", "name", "formulation"), WAYS)
def test_stiffness_is_symmetric_and_knows_rigid_motions_only_as_free(element, name, formulation):
    for seed in SEEDS:
        mesh = one_cell(element, seed)
        model = dtw.Model(mesh, materials={"body": section(name, formulation)}, load_cases={"none": []})
        K = stiffness_matrix(model, cell_blocks(model)).toarray()
        assert_allclose(K, K.T, rtol=0, atol=1e-14 * np.abs(K).max())
        values = np.linalg.eigvalsh(K)
        rigid = 1 if name == "Axisymmetric" else 3 if element in PLANES else 6
        # Energy of rigid motions is zero; nothing else is free (no hourglass), nothing gives energy back.
        assert np.abs(values[:rigid]).max() < 1e-12 * values[-1]
        assert values[rigid] > 1e-6 * values[-1]
        p = mesh.points - mesh.points.mean(axis=0)
        c = ELEMENTS[element].dimension
        motions = [np.tile(np.eye(3)[i], (len(p), 1)) for i in range(c)]
        motions += [np.cross(axis, p) for axis in (np.eye(3) if c == 3 else np.eye(3)[2:])]
        if name == "Axisymmetric":
            motions = motions[1:2]
        for motion in motions:
            u = motion[:, :c].ravel()
            assert np.abs(K @ u).max() < 1e-12 * np.abs(K).max() * np.abs(u).max()


@pytest.mark.parametrize("element", BLOCKS)
def test_large_part_moves_rigidly_without_stress(element):
    """Displacement of a small rotation about a far axis: no stress, no reactions, though u is large."""
    mesh = distorted(element, 3)
    w = np.array([0.0, 0.0, 1e-3]) if element in PLANES else np.array([1e-3, -2e-3, 3e-3])
    gradient = np.array([np.cross(w, e) for e in np.eye(3)]).T
    model = dtw.Model(
        mesh,
        materials={"body": section("Solid" if element in SOLIDS else "PlaneStrain")},
        supports=[by_gradient(gradient, dtw.exterior())],
        load_cases={"turn": []},
    )
    case = solve(model)
    assert np.abs(case.stress()).max() < 1e-11 * E
    assert np.abs(case.reactions).max() < 1e-13 * E


@pytest.mark.parametrize(("element", "name", "formulation"), WAYS)
def test_volume_kernels_compiled_as_written(element, name, formulation):
    """Compiled stiffness, strain and thermal force against the same lines run by Python."""
    mesh = one_cell(element, 5)
    model = dtw.Model(mesh, materials={"body": section(name, formulation)}, load_cases={"none": []})
    (cells,) = cell_blocks(model)
    t = tables(cells)
    c = model.dimension
    n = cells.element.n_nodes * c
    center = cells.element.gradient(cells.element.center)[0]
    tensor = np.ascontiguousarray(model.parts[0].section.stiffness())[None]
    which = np.zeros((1, len(t.xi)), np.int64)
    shared = (
        mesh.points, cells.conn, t.shape, t.gradient, t.weight, t.modes, center, cells.kind, cells.bbar, c,
        cells.scale, tensor, which,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    stress = rng.normal(size=(1, len(t.xi), 6)) * 1e6
    u = rng.normal(size=(mesh.n_points, 3)) * 1e-3
    answers = []
    for pick in (lambda kernel: kernel, lambda kernel: kernel.py_func):
        K, e, f = np.empty((1, n, n)), np.empty((1, len(t.xi), 6)), np.zeros((mesh.n_points, 3))
        pick(volume.stiffness)(*shared, K)
        pick(volume.strain)(*shared, stress, t.shape, t.gradient, t.modes, u, e)
        pick(volume.stress_force)(*shared, stress, f)
        answers.append((K, e, f))
    for compiled, plain in zip(*answers, strict=True):
        assert_allclose(compiled, plain, rtol=1e-12, atol=1e-13 * np.abs(plain).max())


@pytest.mark.parametrize("element", BLOCKS)
def test_scalar_kernels_compiled_as_written(element):
    """Conductivity, gradient, mass, body load and measures; sums that are known besides."""
    mesh = distorted(element, 4)
    reference = ELEMENTS[element]
    conn = mesh.cells[element]
    shape, gradient, weight = reference.tables(reference.mass_quadrature)
    n_cells, n_q, n = len(conn), len(weight), reference.n_nodes
    rng = np.random.default_rng(1)
    tensor = np.array([np.diag([1.0, 2.0, 3.0]), np.eye(3)])
    which = rng.integers(0, 2, (n_cells, n_q))
    scale, density, values = (
        rng.uniform(1, 2, n_cells),
        rng.uniform(1, 2, n_cells),
        rng.normal(size=mesh.n_points),
    )
    load = rng.normal(size=(n_cells, n_q, 3))
    for kind in (0, 1) if element in PLANES else (0,):
        answers = []
        for pick in (lambda kernel: kernel, lambda kernel: kernel.py_func):
            K, M = np.empty((n_cells, n, n)), np.empty((n_cells, n, n))
            g, f, v = np.empty((n_cells, n_q, 3)), np.zeros((mesh.n_points, 3)), np.empty((n_cells, n_q))
            common = mesh.points, conn, shape, gradient, weight, kind, scale
            pick(volume.conductivity)(*common, tensor, which, K)
            pick(volume.mass)(*common, density, M)
            pick(volume.scalar_gradient)(mesh.points, conn, gradient, values, g)
            pick(volume.volume_load)(*common, load, f)
            pick(volume.measures)(*common, v)
            answers.append((K, M, g, f, v))
        for compiled, plain in zip(*answers, strict=True):
            assert_allclose(compiled, plain, rtol=1e-12, atol=1e-13 * np.abs(plain).max())
        K, M, _, f, v = answers[0]
        assert_allclose(K.sum(axis=2), 0.0, atol=1e-12 * np.abs(K).max())
        assert_allclose(M.sum(axis=(1, 2)), density * v.sum(axis=1), rtol=1e-12)
        assert_allclose(f.sum(axis=0), np.einsum("cq,cqi->i", v, load), rtol=1e-11)
    box = (0.05 * 0.04 * 0.03) if element in SOLIDS else 0.05 * 0.04
    ones = np.ones(n_cells)
    volume.measures(mesh.points, conn, shape, gradient, weight, 0, ones, v)
    assert v.sum() == pytest.approx(box, rel=1e-12)


def test_pattern_kernels_compiled_as_written():
    mesh = block("tetra10", 2, distort=0.2)
    conn = mesh.cells["tetra10"]
    start = np.arange(0, conn.size + 1, conn.shape[1])
    answers = []
    for pick in (lambda kernel: kernel, lambda kernel: kernel.py_func):
        first, cells = np.empty(mesh.n_points + 1, np.int64), np.empty(conn.size, np.int64)
        pick(pattern.incidence)(mesh.n_points, start, conn.ravel(), first, cells)
        n, indptr = mesh.n_points, np.zeros(mesh.n_points + 1, np.int32)
        known = (first, cells, start, conn.ravel(), indptr)
        pick(pattern.neighbors)(0, n, *known, np.empty(0, np.int32))
        np.cumsum(indptr, out=indptr)
        indices = np.empty(indptr[-1], np.int32)
        pick(pattern.neighbors)(0, n // 2, *known, indices)
        pick(pattern.neighbors)(n // 2, n, *known, indices)
        data = np.zeros((len(indices), 1, 1))
        matrices = np.random.default_rng(2).normal(size=(len(conn), 10, 10))
        pick(pattern.add_blocks)(0, n // 3, indptr, indices, conn, matrices, data)
        pick(pattern.add_blocks)(n // 3, n, indptr, indices, conn, matrices, data)
        keys = np.empty(n, np.int64)
        pick(pattern.curve_keys)(0, n, mesh.points, mesh.points.min(axis=0), 100.0, keys)
        answers.append((first, cells, indptr, indices, data, keys))
    for compiled, plain in zip(*answers, strict=True):
        assert_allclose(compiled, plain, rtol=1e-13, atol=1e-15)
    first, cells, indptr, indices, data = answers[0][:5]
    dense = np.zeros((mesh.n_points, mesh.n_points))
    for one, matrix in zip(conn, matrices, strict=True):
        dense[np.ix_(one, one)] += matrix
    rows = np.repeat(np.arange(mesh.n_points), np.diff(indptr))
    assert_allclose(data[:, 0, 0], dense[rows, indices], atol=1e-13)
    assert np.count_nonzero(dense) == len(indices)
    for node in range(0, mesh.n_points, 7):
        assert set(cells[first[node] : first[node + 1]]) == set(np.flatnonzero((conn == node).any(axis=1)))


@pytest.mark.parametrize("element", ["triangle6", "hexahedron", "tetra10"])
def test_recovery_kernels_compiled_as_written(element, monkeypatch):
    mesh = block(element, 2, distort=0.2)
    model = dtw.Model(
        mesh,
        materials={"body": section("PlaneStress" if element in PLANES else "Solid")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=(1e3, 2e3, 0.0))]},
    )
    compiled = solve(model)
    stress, error, moved = compiled.stress(), compiled.stress_error(), compiled.displacement_error
    plain = replace(compiled, recovery=replace(compiled.recovery))
    for name, kernel in vars(recovery).items():
        if hasattr(kernel, "py_func"):
            monkeypatch.setattr(recovery, name, kernel.py_func)
    assert_allclose(plain.stress(), stress, rtol=1e-9, atol=1e-11 * np.abs(stress).max())
    assert_allclose(plain.stress_error(), error, rtol=1e-7)
    assert_allclose(plain.displacement_error, moved, rtol=1e-7)
