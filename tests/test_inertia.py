"""Mass, stiffness of stress and spin softening against what is exact on any mesh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import BLOCKS, PLANES, SOLIDS, bar, block, box
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import designtwin as dtw
from designtwin import parallel
from designtwin.assembly import cell_blocks, static_topology, stiffness_terms
from designtwin.assembly.inertia import mass_terms, spin_softening_terms, stress_stiffness_terms
from designtwin.assembly.matrices import corner_sum
from designtwin.elements import ELEMENTS
from designtwin.errors import MissingPropertyError
from designtwin.kernels import volume
from designtwin.solvers.system import FreeTerm, scaled

STEEL = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0)
RHO, THICK = 7850.0, 0.1


def model_of(element, n=2, *, section=None, supports=(), **options):
    if section is None:
        section = STEEL if element in SOLIDS else dtw.PlaneStress(STEEL, thickness=THICK)
    return dtw.Model(
        block(element, n, **options), materials={"body": section}, supports=list(supports), load_cases={}
    )


class Terms:
    """Terms of a model as products over nodal displacements [n_points, 3]."""

    def __init__(self, model, make, *args):
        self.topology = static_topology(model, cell_blocks(model))
        self.dofs = self.topology.dofs(model.dimension)
        self.terms = make(model, self.topology, *args)

    def __call__(self, u):
        q = self.dofs.gather(u)
        return self.dofs.scatter(sum(term.apply(q) for term in self.terms))

    def matrix(self):
        return sum(term.matrix().toarray() for term in self.terms)


def motions(points, dimension):
    """Rigid motions about the origin, [k, n_points, 3]."""
    e = np.eye(3)
    turns = [np.cross(e[i], points) for i in range(3)]
    if dimension == 2:
        return np.array([np.tile(e[0], (len(points), 1)), np.tile(e[1], (len(points), 1)), turns[2]])
    return np.array([*(np.tile(one, (len(points), 1)) for one in e), *turns])


def box_mass(size, rho, dimension):
    """Mass matrix of a box with a corner at the origin, as a rigid body about the origin."""
    a, b, c = size
    m = rho * a * b * c
    center = 0.5 * np.array([a, b, c])
    cross = np.array([[0, -center[2], center[1]], [center[2], 0, -center[0]], [-center[1], center[0], 0]])
    squares = np.outer(center, center) + np.diag(np.array([a, b, c]) ** 2 / 12)
    inertia = m * (np.trace(squares) * np.eye(3) - squares)
    out = np.block([[m * np.eye(3), -m * cross], [m * cross, inertia]])
    if dimension == 3:
        return out
    keep = [0, 1, 5]
    return out[np.ix_(keep, keep)]


@pytest.mark.parametrize("distort", [0.0, 0.2])
@pytest.mark.parametrize("element", BLOCKS)
def test_rigid_motions_see_the_exact_mass_center_and_inertia(element, distort):
    flat = element in PLANES
    size = (1.2, 0.7) if flat else (1.2, 0.7, 0.9)
    model = model_of(element, 3, size=size, distort=distort)
    mass = Terms(model, mass_terms)
    rigid = motions(model.mesh.points, model.dimension)
    found = np.einsum("ina,jna->ij", rigid, [mass(one) for one in rigid])
    if flat:  # a sheet is thin: no square of its thickness in the polar moment
        exact = box_mass((*size, 1e-9), RHO * THICK / 1e-9, 2)
    else:
        exact = box_mass(size, RHO, 3)
    # maps of distorted cells that are no simplices raise the degree beyond that of the rule
    close = 1e-12 if distort == 0.0 or ELEMENTS[element].linear in ("triangle", "tetra") else 1e-5
    assert_allclose(found, exact, atol=close * np.abs(exact).max())


@pytest.mark.parametrize("element", BLOCKS)
def test_mass_is_symmetric_and_positive_and_its_products_are_those_of_the_matrix(element):
    model = model_of(element, 1 if element in SOLIDS else 2, distort=0.2)
    mass = Terms(model, mass_terms)
    matrix = mass.matrix()
    assert_allclose(matrix, matrix.T, atol=1e-16 * np.abs(matrix).max())
    assert np.linalg.eigvalsh(matrix).min() > 0.0
    rng = np.random.default_rng(0)
    x = rng.standard_normal((len(matrix), 5))
    assert_allclose(sum(t.apply(x) for t in mass.terms), matrix @ x, atol=1e-13 * np.abs(matrix).max())
    blocks = sum(t.diagonal_blocks(model.dimension)[: model.mesh.n_points] for t in mass.terms)
    diagonal = np.einsum("nii->ni", blocks).ravel()
    assert_allclose(diagonal, np.diag(matrix), rtol=1e-13)


@pytest.mark.parametrize("element", ["tetra10", "hexahedron20", "quad8", "triangle"])
def test_mass_times_acceleration_is_the_load_of_inertia(element):
    bent = {} if element == "triangle" else {"shape": lambda x: x + 0.05 * np.sin(3 * x[:, [1, 0, 2]])}
    model = model_of(element, 2, **bent)
    a = np.array([3.0, -2.0, 0.0 if model.dimension == 2 else 5.0])
    load = dtw.Acceleration(value=tuple(-a)).nodal_forces(model)
    assert_allclose(
        Terms(model, mass_terms)(np.tile(a, (model.mesh.n_points, 1))), load, atol=1e-12 * np.abs(load).max()
    )


def two_parts(bent):
    """Tetrahedra of two densities; all straight, or some bent, some not."""

    def bend(x):
        return x + 0.03 * np.maximum(x[:, :1] - 0.5, 0.0) * np.sin(5.0 * x[:, [1, 2, 0]])

    mesh = box("tetra10", (4, 3, 3), distort=0.15, shape=bend if bent else None)
    low = dtw.box((0.0, 0.0, 0.0), (0.6, 1.0, 1.0))
    return dtw.Model(mesh, materials={dtw.everything() - low: STEEL, low: replace(STEEL, density=2700.0)})


@pytest.mark.parametrize("bent", [False, True], ids=["straight", "bent"])
@pytest.mark.parametrize("make", ["mass", "spin", "stress"])
def test_products_without_a_matrix_are_those_of_the_matrix(bent, make):
    model = two_parts(bent)
    spin = dtw.Centrifugal(speed="100 rad/s", axis=(1.0, 2.0, 3.0))
    terms = {
        "mass": lambda: Terms(model, mass_terms),
        "spin": lambda: Terms(model, spin_softening_terms, spin),
        "stress": lambda: Terms(model, stress_stiffness_terms, waves),
    }[make]()
    (term,) = terms.terms
    assert isinstance(term, FreeTerm)
    assert (terms.topology.free.n_general > 0) == bent
    matrix, rng = term.matrix(), np.random.default_rng(4)
    largest = np.abs(matrix.data).max()
    for k in (1, 3, 4, 7, 8, 16):
        x = rng.standard_normal((matrix.shape[0], k))
        wanted = matrix @ x
        assert_allclose(term.apply(x), wanted, atol=1e-13 * largest)
        single = np.empty_like(x, np.float32)
        term.operator(0.5, np.float32).product(x.astype(np.float32), single)
        assert_allclose(single, 0.5 * wanted, atol=1e-5 * largest)
        found = []
        for threads in (1, 2, 3):
            with parallel.use_threads(threads):
                found.append(term.apply(x))
        assert_array_equal(found[1:], [found[0]] * 2)
        added = x.copy()
        term.operator(2.0, np.float64).product(x, added, add=True)
        assert_allclose(added, x + 2.0 * wanted, atol=1e-13 * largest)
        about = term.magnitude(x).sum() / (abs(matrix) @ np.abs(x)).sum()
        assert 0.3 < about < 3.0
    blocks = term.diagonal_blocks(3)
    n = len(blocks)
    wanted = matrix.tocsr()
    for i in range(3):
        for j in range(3):
            assert_allclose(blocks[:, i, j], wanted[np.arange(n) * 3 + i, np.arange(n) * 3 + j], rtol=1e-12,
                            atol=1e-14 * largest)  # fmt: skip


@pytest.mark.parametrize("bent", [False, True], ids=["straight", "bent"])
def test_a_shifted_system_has_its_matrix_at_the_corners(bent):
    """P^T (K + 3 M) P of tetrahedra cell by cell is that of the matrices."""
    model = two_parts(bent)
    topology = static_topology(model, cell_blocks(model))
    terms = [
        *stiffness_terms(model, topology),
        scaled(3e9, mass_terms(model, topology)[0]),
        scaled(-7.0, stress_stiffness_terms(model, topology, waves)[0]),
    ]
    weights = topology.corner_weights
    found = corner_sum(topology, terms, weights, 3)
    wide = sparse.kron(weights, sparse.eye_array(3)).tocsr()
    wanted = wide.T @ sum(term.matrix() for term in terms) @ wide
    assert abs(found - wanted).max() < 1e-12 * abs(wanted).max()


@pytest.mark.parametrize(("element", "power"), [("triangle", 1), ("triangle6", 2)])
def test_rings_weigh_all_around(element, power):
    model = model_of(
        element, 2, section=dtw.Axisymmetric(STEEL), size=(0.5, 0.3), origin=(0.2, 0.0), distort=0.2
    )
    mass, x = Terms(model, mass_terms), model.mesh.points
    along = np.zeros_like(x)
    along[:, 1] = 1.0
    assert np.sum(along * mass(along)) == pytest.approx(RHO * np.pi * (0.7**2 - 0.2**2) * 0.3, rel=1e-13)
    grow = np.zeros_like(x)
    grow[:, 0] = x[:, 0] ** power  # the radius raises the degree of what is integrated
    n = 2 * power + 2
    exact = RHO * 2 * np.pi / n * (0.7**n - 0.2**n) * 0.3
    assert np.sum(grow * mass(grow)) == pytest.approx(exact, rel=1e-12)


def test_bars_weigh_their_length_times_area():
    mesh = bar(4, 2.0)
    steel = dtw.Truss(STEEL, area="3 mm2")
    model = dtw.Model(mesh, materials={dtw.everything(): steel}, supports=[], load_cases={})
    mass = Terms(model, mass_terms)
    for one in motions(mesh.points, 2)[:2]:
        assert np.sum(one * mass(one)) == pytest.approx(RHO * 3e-6 * 2.0, rel=1e-13)


def test_a_missing_density_is_named_with_what_needs_it():
    light = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, name="mystery")
    model = model_of("tetra10", 1, section=light)
    with pytest.raises(MissingPropertyError, match=r"density of .*mystery.* is needed by buckling"):
        mass_terms(model, static_topology(model, cell_blocks(model)), needed_by="buckling")


# Stiffness of stress


def uniform(sigma):
    return lambda block, at: np.broadcast_to(np.asarray(sigma), (len(block.conn), len(at.xi), 6))


def tensor(s):
    return np.array([[s[0], s[3], s[5]], [s[3], s[1], s[4]], [s[5], s[4], s[2]]])


@pytest.mark.parametrize("element", BLOCKS)
def test_under_uniform_stress_linear_fields_store_the_exact_energy(element):
    """2 W = V stress : (A^T A) for u = A x, on any mesh; nothing for a shift."""
    flat = element in PLANES
    rng = np.random.default_rng(1)
    sigma = rng.standard_normal(6) * 1e8
    model = model_of(element, 2, distort=0.2)
    a = np.zeros((3, 3))
    a[: model.dimension, : model.dimension] = rng.standard_normal((model.dimension, model.dimension))
    stiff = Terms(model, stress_stiffness_terms, uniform(sigma))
    u = model.mesh.points @ a.T
    exact = np.sum(tensor(sigma) * (a.T @ a)) * (THICK if flat else 1.0)
    assert np.sum(u * stiff(u)) == pytest.approx(exact, rel=1e-12)
    assert np.abs(stiff(np.ones_like(u))).max() < 1e-12 * np.abs(stiff(u)).max()
    matrix = stiff.matrix()
    assert_allclose(matrix, matrix.T, atol=1e-15 * np.abs(matrix).max())


def waves(block, at):
    """Some stress that varies within cells, Pa; the points of the cells do not matter."""
    i = np.arange(len(block.conn))[:, None, None]
    q = np.arange(len(at.xi))[None, :, None]
    return 1e8 * np.sin(1.0 + 0.7 * block.cells[i] + 0.3 * q + np.arange(6))


@pytest.mark.parametrize("element", BLOCKS)
def test_a_turned_part_takes_the_forces_of_its_stress_along(element):
    """Kg times a small rotation is the rotation of the nodal forces of the stress, whatever this is."""
    model = model_of(element, 2, distort=0.2)
    forces = np.zeros((model.mesh.n_points, 3))
    for one in cell_blocks(model):
        at = dtw.assembly.tables(one)
        center = one.element.gradient(one.element.center)[0]
        volume.stress_force(
            model.mesh.points, one.conn, at.shape, at.gradient, at.weight, at.modes[:, :0], center, one.kind,
            False, model.dimension, one.scale, np.zeros((1, 6, 6)),
            np.zeros((len(one.conn), len(at.xi)), np.int64), waves(one, at), forces,
        )  # fmt: skip
    omega = np.array([0.0, 0.0, 0.6]) if model.dimension == 2 else np.array([0.3, -0.5, 0.6])
    stiff = Terms(model, stress_stiffness_terms, waves)
    turned = stiff(np.cross(omega, model.mesh.points))
    assert_allclose(turned, np.cross(omega, forces), atol=1e-12 * np.abs(forces).max())


def test_hoop_stress_of_rings_works_on_their_growth():
    model = model_of("quad8", 3, section=dtw.Axisymmetric(STEEL), size=(0.5, 0.3), origin=(0.2, 0.0))
    stiff, x = Terms(model, stress_stiffness_terms, uniform([0, 0, 2e8, 0, 0, 0])), model.mesh.points
    grow = np.zeros_like(x)
    grow[:, 0] = x[:, 0]  # u_r / r = 1 everywhere
    volume_of = np.pi * (0.7**2 - 0.2**2) * 0.3
    assert np.sum(grow * stiff(grow)) == pytest.approx(2e8 * volume_of, rel=1e-12)
    rise = np.zeros_like(x)
    rise[:, 1] = x[:, 0]
    assert np.abs(stiff(rise)).max() < 1e-12 * np.abs(stiff(grow)).max()


def test_a_taut_bar_resists_across_as_its_force_over_its_length():
    mesh = bar(1, 2.0)
    truss = dtw.Truss(STEEL, area="3 mm2")
    model = dtw.Model(mesh, materials={dtw.everything(): truss}, supports=[], load_cases={})
    stiff = Terms(model, stress_stiffness_terms, uniform([1e8, 0, 0, 0, 0, 0]))
    across = np.zeros((2, 3))
    across[1, 1] = 1.0
    assert_allclose(stiff(across), [[0, -150.0, 0], [0, 150.0, 0]], rtol=1e-12)


# Spin


def test_spin_softens_across_the_axis_alone():
    model = model_of("tetra10", 2, distort=0.2)
    spin = dtw.Centrifugal(speed="100 rad/s", axis=(0.0, 3.0, 4.0), point=(1.0, 2.0, 3.0))
    soft, mass = Terms(model, spin_softening_terms, spin), Terms(model, mass_terms)
    axis, rng = np.array([0.0, 0.6, 0.8]), np.random.default_rng(2)
    u = rng.standard_normal(model.mesh.points.shape)
    across = u - (u @ axis)[:, None] * axis
    assert_allclose(soft(u), -1e4 * mass(across), atol=1e-12 * np.abs(soft(u)).max())


def test_spin_softening_is_how_centrifugal_force_grows_with_displacement():
    """Exactly, for a displacement without strain: a part that has moved is pulled harder."""
    spin = dtw.Centrifugal(speed="100 rad/s", axis="z")
    size, moved = (1.0, 0.5, 0.2), np.array([0.3, -0.2, 0.1])
    here, there = model_of("hexahedron20", 2, size=size), model_of("hexahedron20", 2, size=size, origin=moved)
    grown = spin.nodal_forces(there) - spin.nodal_forces(here)
    soft = Terms(here, spin_softening_terms, spin)
    assert_allclose(-soft(np.tile(moved, (here.mesh.n_points, 1))), grown, atol=1e-10 * np.abs(grown).max())


def test_rings_soften_in_radius_alone():
    model = model_of("quad8", 2, section=dtw.Axisymmetric(STEEL), size=(0.5, 0.3), origin=(0.2, 0.0))
    spin = dtw.Centrifugal(speed="10 rad/s", axis="y")
    soft, mass = Terms(model, spin_softening_terms, spin), Terms(model, mass_terms)
    u = np.random.default_rng(3).standard_normal(model.mesh.points.shape)
    u[:, 2] = 0.0
    assert_allclose(soft(u), -100.0 * mass(u * [1.0, 0.0, 0.0]), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("at", [None, (0.5, 0.5, 2.0)], ids=["spread", "off the face"])
def test_point_masses_soften_with_the_part(at):
    mass = dtw.PointMass(on="zmax", mass="2 kg", at=at)
    light = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, density=1e-9)
    model = model_of("tetra10", 2, section=light, supports=[mass])
    soft = Terms(model, spin_softening_terms, dtw.Centrifugal(speed="100 rad/s", axis="z"))
    for motion, expected in zip(motions(model.mesh.points, 3)[:3], (-2e4, -2e4, 0.0), strict=True):
        assert np.sum(motion * soft(motion)) == pytest.approx(expected, rel=1e-9, abs=1e-4)
    turn = np.cross([1.0, 0.0, 0.0], model.mesh.points - [0.5, 0.5, 1.0])  # about the middle of the face
    arm = 0.0 if at is None else 1.0
    assert np.sum(turn * soft(turn)) == pytest.approx(-2e4 * arm**2, rel=1e-9, abs=1e-4)
