"""The equations of motion: products, rigid motions that supports leave, inertia relief, systems."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import designtwin as dtw
from designtwin.assembly.dynamics import dynamics
from designtwin.errors import MissingPropertyError, ModelError
from tests import builders

STEEL = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0, name="steel")
SIZE = (0.2, 0.05, 0.03)


def a_block(element="tetra10", n=(3, 2, 1), **options):
    mesh = builders.box(element, n, SIZE)
    return dtw.Model(mesh, {"body": STEEL}, **options)


@pytest.mark.parametrize("element", ["tetra", "tetra10", "hexahedron", "hexahedron20"])
def test_a_free_body_has_six_rigid_motions_that_cost_no_energy(element):
    motion = dynamics(a_block(element))
    assert motion.rigid.shape[1] == 6
    assert np.abs(motion.stiffness(motion.rigid)).max() < 1e-9 * motion.system().largest
    np.testing.assert_allclose(motion.rigid.T @ motion.mass(motion.rigid), np.eye(6), atol=1e-12)


def test_rigid_motions_come_as_translations_along_the_axes_first():
    motion = dynamics(a_block())
    u = motion.displacement(motion.rigid)
    for k in range(3):
        wanted = np.zeros((u.shape[0], 3))
        wanted[:, k] = 1.0 / np.sqrt(motion.total_mass)
        np.testing.assert_allclose(np.abs(u[:, :, k]), wanted, atol=1e-9)


SUPPORTED = {
    "held": ([dtw.FixedSupport(on="xmin")], 0),
    "on one plane": ([dtw.Symmetry(on="zmin")], 3),
    "at one node": ([dtw.FixedSupport(on=dtw.nearest((0.0, 0.0, 0.0)))], 3),
    "on springs along x": ([dtw.Spring(on="xmin", stiffness=(1e6, 0.0, 0.0))], 3),
    "on soft springs": ([dtw.Spring(on="xmin", stiffness=(1.0, 1.0, 1.0))], 0),
    "in flight": ([dtw.InertiaRelief()], 6),
}


@pytest.mark.parametrize("how", list(SUPPORTED))
def test_rigid_motions_are_those_that_nothing_resists(how):
    supports, count = SUPPORTED[how]
    motion = dynamics(a_block(supports=supports))
    assert motion.rigid.shape[1] == count
    assert np.abs(motion.stiffness(motion.rigid)).max(initial=0.0) < 1e-9 * motion.system().largest
    dense = motion.matrices()[0].toarray()[np.ix_(motion.free, motion.free)]
    values = np.linalg.eigvalsh(dense)
    assert np.sum(values < 1e-11 * values[-1]) == count or how == "on soft springs"


def test_a_hinge_between_two_pieces_leaves_seven_motions():
    left = builders.box("hexahedron", (2, 1, 1), (0.1, 0.05, 0.05))
    right = builders.box("hexahedron", (2, 1, 1), (0.1, 0.05, 0.05), origin=(0.1, 0.0, 0.0))
    mesh = builders.apart(left, right)
    pins = [
        dtw.LinearConstraint(terms=[(dtw.ids(nodes=[a]), axis, 1.0), (dtw.ids(nodes=[b]), axis, -1.0)])
        for a, b in _twins(mesh, y=0.0)
        for axis in ("x", "y", "z")
    ]
    motion = dynamics(dtw.Model(mesh, {dtw.everything(): STEEL}, connections=pins))
    assert motion.rigid.shape[1] == 7
    assert np.abs(motion.stiffness(motion.rigid)).max() < 1e-9 * motion.system().largest


def _twins(mesh, y):
    """Pairs of coincident nodes of the two halves on the line x = 0.1, y."""
    at = np.flatnonzero((np.abs(mesh.points[:, 0] - 0.1) < 1e-9) & (np.abs(mesh.points[:, 1] - y) < 1e-9))
    out = []
    for a in at:
        for b in at:
            if a < b and np.allclose(mesh.points[a], mesh.points[b]):
                out.append((int(a), int(b)))
    return out


def test_products_are_those_of_the_matrices():
    motion = dynamics(a_block(supports=[dtw.FixedSupport(on="xmin")]))
    k, m, _ = (one.toarray() for one in motion.matrices())
    q = np.where(motion.free, np.random.default_rng(0).normal(size=motion.size), 0.0)
    for product, matrix in ((motion.stiffness, k), (motion.mass, m)):
        wanted = np.where(motion.free, matrix @ q, 0.0)
        np.testing.assert_allclose(product(q), wanted, atol=1e-12 * np.abs(wanted).max())
        np.testing.assert_allclose(product(q * 1j), 1j * wanted, atol=1e-12 * np.abs(wanted).max())
    both = motion.system(2.0, 3.0).apply(q)
    np.testing.assert_allclose(both, 2.0 * motion.stiffness(q) + 3.0 * motion.mass(q), rtol=1e-9, atol=1e-6)


def test_a_sum_has_its_own_coarse_matrix():
    motion = dynamics(a_block(supports=[dtw.FixedSupport(on="xmin")]))
    system = motion.system(1.0, 1e9)
    coarse = system.coarse
    wide = sparse.kron(coarse.prolongation, sparse.eye_array(3), format="csr")
    wanted = (wide.T @ system.matrix().tocsr() @ wide).toarray()
    np.testing.assert_allclose(coarse.matrix().toarray(), wanted, atol=1e-12 * np.abs(wanted).max())


def test_inertia_relief_balances_a_force_on_a_free_body():
    motion = dynamics(a_block())
    nodal = np.zeros((motion.model.mesh.n_points, 3))
    nodal[0] = (1.0, 2.0, -3.0)
    f = motion.force(nodal)
    q = motion.solve(f)
    rest = motion.stiffness(q) - (f - motion.mass(motion.rigid) @ (motion.rigid.T @ f))
    assert np.abs(rest).max() < 1e-9 * np.abs(f).max()
    assert (
        np.abs(motion.rigid.T @ motion.mass(q)).max()
        < 1e-9 * np.abs(motion.rigid.T @ motion.mass(np.abs(q))).max()
    )


def test_mass_counts_cells_and_point_masses_once():
    mass = dtw.PointMass(on="xmax", mass=0.5)
    motion = dynamics(a_block(supports=[dtw.FixedSupport(on="xmin"), mass]))
    assert motion.total_mass == pytest.approx(7850.0 * np.prod(SIZE) + 0.5, rel=1e-12)
    along = motion.base("y")
    np.testing.assert_allclose(motion.inertia(along).sum(axis=0), [0.0, motion.total_mass, 0.0], atol=1e-12)


def test_support_forces_hold_inertia():
    motion = dynamics(a_block(supports=[dtw.FixedSupport(on="xmin")]))
    load = motion.inertia(motion.base("z"))
    u = motion.displacement(motion.solve(motion.force(load)))
    reactions = motion.support_forces(u, load)
    np.testing.assert_allclose(reactions.sum(axis=0), -load.sum(axis=0), atol=1e-9 * motion.total_mass)
    held = motion.model.region("xmin").nodes
    assert np.abs(np.delete(reactions, held, axis=0)).max() < 1e-9 * motion.total_mass


def test_bad_directions_and_missing_density_are_named():
    motion = dynamics(a_block(supports=[dtw.FixedSupport(on="xmin")]))
    with pytest.raises(ModelError, match="there is no direction 'w'"):
        motion.base("w")
    with pytest.raises(ModelError, match="not all zero"):
        motion.base((0.0, 0.0, 0.0))
    light = dtw.LinearElastic(youngs_modulus=1e9, poissons_ratio=0.3, name="unknown")
    with pytest.raises(MissingPropertyError, match="unknown"):
        dynamics(dtw.Model(builders.box("tetra10", 1, SIZE), {"body": light}))
