"""Eigenpairs are those of LAPACK, none is missing, whatever the preconditioner, size, and what is free."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers_solvers import box, conduction, problem, quadratic, rigid_modes
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg, sparse

from designtwin import parallel
from designtwin.errors import ConvergenceError, ModelError, SingularSystemError
from designtwin.kernels import subspace
from designtwin.solvers import DiagonalTerm, Direct, MatrixTerm, MultigridCG, ScaledTerm, System, eigen
from designtwin.solvers.eigen import buckling_pairs, eigenpairs
from designtwin.solvers.lanczos import krylov_pairs

SOLVERS = {"direct": Direct(), "multigrid": MultigridCG(dense_nodes=20)}
SHAPES = {
    "tet10": {"n": (5, 2, 2)},
    "tet4": {"n": (10, 4, 3), "order": 1},
    "tri6": {"n": (14, 7), "lengths": (2.0, 1.0)},
}


@pytest.fixture(params=SOLVERS)
def solver(request):
    return SOLVERS[request.param]


@cache
def mesh(n, lengths, order):
    points, cells = box(n, lengths)
    return quadratic(points, cells)[:2] if order == 2 else (points, cells)


def mass_of(system, n=(6, 3, 3), lengths=(2.0, 1.0, 1.0), order=2, density=7850.0):
    """A mass on each node: its share of the volume of its cells, mid nodes with six times that of corners."""
    points, cells = mesh(n, lengths, order)
    corners = points[cells[:, : points.shape[1] + 1]]
    volume = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / (2.0 if points.shape[1] == 2 else 6.0)
    share = np.ones(cells.shape[1])
    share[points.shape[1] + 1 :] = 6.0
    nodal = np.bincount(cells.ravel(), weights=np.outer(density * volume, share / share.sum()).ravel())
    return replace(system, terms=(DiagonalTerm(np.repeat(nodal, system.block)),), coarse=None)


@cache
def pencil(free=False, **options):
    """Stiffness and mass of a cantilever, or of the body without supports, with its rigid motions."""
    stiffness = problem(**options).system
    rigid = None
    if free:
        stiffness = replace(stiffness, free=np.ones(stiffness.n_dof, bool))
        rigid = rigid_modes(problem(**options).points)
    return stiffness, mass_of(stiffness, **options), rigid


@cache
def all_values(free=False, **options):
    """Every eigenvalue, by LAPACK."""
    stiffness, mass, rigid = pencil(free, **options)
    k, m = (s.free_matrix().toarray() for s in (stiffness, mass))
    return linalg.eigh(k, m, eigvals_only=True)[0 if rigid is None else rigid.shape[1] :]


def assert_pairs(found, stiffness, mass, *, tolerance=2e-6):
    x, n = found.vectors, len(found.values)
    assert x.shape == (stiffness.n_dof, n)
    assert x.flags.c_contiguous
    assert not x[~stiffness.free].any()
    kx, mx = stiffness.apply(x), mass.apply(x)
    assert_allclose(x.T @ mx, np.eye(n), atol=1e-10)
    assert_allclose(x.T @ kx, np.diag(found.values), atol=1e-9 * found.values.max(initial=0.0))
    assert (np.diff(found.values) >= 0.0).all()
    assert (found.residuals <= eigen.TOLERANCE).all()
    left = kx - mx * found.values
    k = stiffness.matrix().tocsr().toarray()[np.ix_(stiffness.free, stiffness.free)]
    size = np.abs(k).max()
    if np.linalg.eigvalsh(k / size)[0] > 1e-12:  # what `residuals` estimates
        error = linalg.solve(k / size, left[stiffness.free] / size, assume_a="pos")
        true = np.sqrt(np.einsum("ij,ij->j", error, left[stiffness.free]) / found.values)
        assert (true < tolerance).all()


@pytest.mark.parametrize("options", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("free", [False, True], ids=["held", "free"])
def test_lowest_pairs_are_those_of_lapack(options, free, solver):
    stiffness, mass, rigid = pencil(free, **options)
    found = eigenpairs(stiffness, mass, count=10, rigid=rigid, solver=solver)
    assert len(found.values) >= 10
    assert_allclose(found.values, all_values(free, **options)[: len(found.values)], rtol=1e-9)
    assert_pairs(found, stiffness, mass)
    assert "Sturm count: none of the" in found.checked or "random vector" in found.checked
    if rigid is not None:
        assert_allclose(rigid.T @ mass.apply(found.vectors), 0.0, atol=1e-9 * np.sqrt(mass.diagonal().sum()))


@pytest.mark.parametrize("free", [False, True], ids=["held", "free"])
def test_more_pairs_than_are_iterated_at_once_come_window_by_window(free, solver):
    options = SHAPES["tet10"]
    stiffness, mass, rigid = pencil(free, **options)
    found = eigenpairs(stiffness, mass, count=90, rigid=rigid, solver=solver)
    assert_allclose(found.values, all_values(free, **options)[: len(found.values)], rtol=1e-9)
    assert_pairs(found, stiffness, mass)


@pytest.mark.parametrize("many", [0, 1, 7, 45])
def test_all_pairs_up_to_a_bound(many, solver):
    options = SHAPES["tet10"]
    stiffness, mass, _ = pencil(**options)
    values = all_values(**options)
    bound = 0.5 * values[0] if many == 0 else 0.5 * (values[many - 1] + values[many])
    found = eigenpairs(stiffness, mass, up_to=bound, solver=solver)
    assert len(found.values) == int((values <= bound).sum())
    assert_allclose(found.values, values[: len(found.values)], rtol=1e-9)
    assert found.checked
    few = eigenpairs(stiffness, mass, up_to=bound, count=3, solver=solver)
    assert min(many, 3) <= len(few.values) <= min(many, 4)


def test_repeated_eigenvalues_are_all_found_and_clusters_are_not_cut(solver):
    """Two like bodies that do not touch: every eigenvalue is there twice."""
    stiffness, mass, _ = pencil(**SHAPES["tet10"])
    twice = sparse.block_diag([stiffness.matrix()] * 2).tobsr(blocksize=(3, 3))
    two = replace(
        stiffness, terms=(MatrixTerm(twice),), free=np.tile(stiffness.free, 2), coarse=None,
        near_nullspace=np.tile(stiffness.near_nullspace, (2, 1)),
    )  # fmt: skip
    heavy = replace(two, terms=(DiagonalTerm(np.tile(mass.diagonal(), 2)),))
    found = eigenpairs(two, heavy, count=7, solver=solver)
    assert_allclose(found.values, np.repeat(all_values(**SHAPES["tet10"])[:4], 2), rtol=1e-9)
    assert_pairs(found, two, heavy)
    assert_allclose(found.vectors.T @ heavy.apply(found.vectors), np.eye(8), atol=1e-10)


def test_a_vector_that_is_missing_from_the_start_is_found(monkeypatch):
    """Start and all that follows stay symmetric: bending out of plane is met by the random vector alone."""
    options = {"n": (6, 2, 2), "lengths": (2.0, 1.0, 1.1)}
    stiffness, mass, _ = pencil(**options)
    lowest = eigenpairs(stiffness, mass, count=10, solver=Direct())
    first = lowest.vectors[:, :1]
    fair = eigen._Iteration._random

    def blind(self, k):
        w = fair(self, k)
        if k > 1:
            w -= first @ (first.T @ mass.apply(w))
        return w

    monkeypatch.setattr(eigen._Iteration, "_random", blind)
    monkeypatch.setattr(
        eigen._Iteration, "_corrections", _without(first, mass, eigen._Iteration._corrections)
    )
    found = eigenpairs(stiffness, mass, count=4, solver=MultigridCG(dense_nodes=20))
    assert_allclose(found.values, lowest.values[: len(found.values)], rtol=1e-8)


def _without(first, mass, corrections):
    """Corrections that do not see a vector, as long as none of the iterates does."""

    def blind(self, active, f, norm):
        w = corrections(self, active, f, norm)
        if np.abs(first.T @ mass.apply(self.x)).max() < 1e-6:
            w -= first @ (first.T @ mass.apply(w))
        return w

    return blind


def test_a_count_that_disagrees_is_an_error(monkeypatch):
    """Were a pair lost on the way, the signs of pivots would tell."""
    stiffness, mass, _ = pencil(**SHAPES["tet10"])

    def losing(*arguments, **options):
        found = krylov_pairs(*arguments, **options)
        return replace(found, nu=found.nu[1:], error=found.error[1:], x=found.x[:, 1:])

    monkeypatch.setattr(eigen, "krylov_pairs", losing)
    with pytest.raises(ConvergenceError, match="3 eigenpairs converged, but there are 4 below"):
        eigenpairs(stiffness, mass, count=4, solver=Direct())


@pytest.mark.parametrize("kind", ["held", "free"])
def test_digits_do_not_depend_on_threads(kind, solver):
    stiffness, mass, rigid = pencil(kind == "free", **SHAPES["tet10"])
    answers = []
    for threads in (1, 2, 3):
        with parallel.use_threads(threads):
            answers.append(eigenpairs(stiffness, mass, count=6, rigid=rigid, solver=solver))
    for other in answers[1:]:
        assert_array_equal(other.values, answers[0].values)
        assert_array_equal(other.vectors, answers[0].vectors)


def test_unknowns_without_mass_follow(solver):
    """Half of the nodes carry no mass: as many eigenvalues less, the others those of the condensed system."""
    stiffness, mass, _ = pencil(**SHAPES["tet10"])
    diagonal = mass.diagonal() * np.repeat(np.arange(stiffness.n_nodes) % 2, 3)
    light = replace(mass, terms=(DiagonalTerm(diagonal),))
    found = eigenpairs(stiffness, light, count=8, solver=solver)
    k, m = stiffness.free_matrix().toarray(), diagonal[stiffness.free]
    heavy = m > 0.0
    rest = linalg.solve(k[np.ix_(~heavy, ~heavy)], k[np.ix_(~heavy, heavy)], assume_a="pos")
    condensed = k[np.ix_(heavy, heavy)] - k[np.ix_(heavy, ~heavy)] @ rest
    values = linalg.eigh(condensed, np.diag(m[heavy]), eigvals_only=True)
    assert_allclose(found.values, values[: len(found.values)], rtol=1e-8)
    assert_pairs(found, stiffness, light)


@pytest.mark.parametrize("up_to", [None, 1e30])
def test_three_masses_on_a_massless_part_have_three_modes_each_way(up_to, solver):
    stiffness, mass, _ = pencil(**SHAPES["tet10"])
    diagonal = np.zeros(stiffness.n_dof)
    diagonal[stiffness.free_index[[300, 600]]] = 2.0, 3.0
    found = eigenpairs(
        stiffness, replace(mass, terms=(DiagonalTerm(diagonal),)), count=10, up_to=up_to, solver=solver
    )
    inverse = np.linalg.inv(stiffness.free_matrix().toarray())[np.ix_([300, 600], [300, 600])]
    root = np.sqrt([2.0, 3.0])
    assert_allclose(
        found.values, np.sort(1.0 / np.linalg.eigvalsh(root[:, None] * inverse * root)), rtol=1e-9
    )


def test_small_systems_go_to_lapack_whole():
    options = {"n": (3, 1, 1)}
    for free in (False, True):
        stiffness, mass, rigid = pencil(free, **options)
        values = all_values(free, **options)
        found = eigenpairs(stiffness, mass, count=1000, rigid=rigid)
        assert len(found.values) == len(values)
        assert_allclose(found.values, values, rtol=1e-8)
        assert found.solver == "dense (LAPACK)"
        assert_allclose(found.vectors.T @ mass.apply(found.vectors), np.eye(len(values)), atol=1e-9)


def test_supports_that_leave_some_motions_free(solver):
    """Held in x and y at x = 0 alone: it moves along z and turns, without energy."""
    stiffness, mass, _ = pencil(True, **SHAPES["tet10"])
    points = problem(**SHAPES["tet10"]).points
    held = np.zeros((len(points), 3), bool)
    held[points[:, 0] < 1e-9, :2] = True
    stiffness, mass = (replace(s, free=~held.ravel()) for s in (stiffness, mass))
    k, m = stiffness.free_matrix().toarray(), mass.free_matrix().toarray()
    values = linalg.eigh(k, m, eigvals_only=True)
    n_free = int((values < 1e-6 * values[8]).sum())
    assert n_free == 1  # along z
    found = eigenpairs(stiffness, mass, count=6, rigid=_null_space(stiffness, n_free), solver=solver)
    assert_allclose(found.values, values[n_free : n_free + len(found.values)], rtol=1e-8)


def _null_space(system, many):
    _, vectors = linalg.eigh(system.free_matrix().toarray())
    out = np.zeros((system.n_dof, many))
    out[system.free] = vectors[:, :many]
    return out


def test_multipliers_go_to_factors():
    """A constraint by Lagrange's multiplier, massless: as if the unknown were held."""
    stiffness, mass, _ = pencil(**SHAPES["tet10"])
    k, n = stiffness.matrix().tocsr(), stiffness.n_dof
    dof = stiffness.free_index[-1]
    row = sparse.csr_array(([1e9], ([0], [dof])), shape=(1, n))
    whole = sparse.block_array([[k, row.T], [row, None]]).tocsr()
    free = np.r_[stiffness.free, True]
    tied = System(terms=(MatrixTerm(whole),), block=3, free=free, definite=False, extra=1)
    heavy = System(terms=(DiagonalTerm(np.r_[mass.diagonal(), 0.0]),), block=3, free=free, extra=1)
    found = eigenpairs(tied, heavy, count=5)
    free = stiffness.free.copy()
    free[dof] = False
    held = eigenpairs(*(replace(s, free=free) for s in (stiffness, mass)), count=5)
    assert_allclose(found.values, held.values, rtol=1e-8)
    assert_allclose(found.vectors[dof], 0.0, atol=1e-9 * np.abs(found.vectors).max())


# --- buckling


def geometric(stiffness, stress, n=(6, 3, 3), lengths=(2.0, 1.0, 1.0), order=2):
    """Stress times unity, in each cell: integral of sigma grad N . grad N."""
    points, cells = mesh(n, lengths, order)
    if callable(stress):
        stress = stress(points[cells].mean(axis=1))
    values = conduction(points, cells, conductivity=stress)
    wide = sparse.kron(values, sparse.eye_array(points.shape[1]), format="bsr")
    return replace(stiffness, terms=(MatrixTerm(wide),), coarse=None, definite=False)


def factors_by_lapack(stiffness, other):
    k, g = (s.free_matrix().toarray() for s in (stiffness, other))
    nu = linalg.eigh(-g, k, eigvals_only=True)
    return nu[np.argsort(-np.abs(nu))]


@pytest.mark.parametrize("which", ["positive", "negative", "both"])
def test_buckling_factors_are_those_of_lapack(which, solver):
    options = {"n": (10, 1, 1), "lengths": (8.0, 1.0, 1.5)}
    stiffness, _, _ = pencil(**options)
    other = geometric(stiffness, lambda x: 1e6 * (x[:, 0] - 5.0), **options)
    nu = factors_by_lapack(stiffness, other)
    wanted = nu if which == "both" else nu[nu > 0.0] if which == "positive" else nu[nu < 0.0]
    assert (nu[:10] > 0.0).any()
    assert (nu[:10] < 0.0).any()
    found = buckling_pairs(stiffness, other, count=5, which=which, solver=solver)
    assert 5 <= len(found.values) <= 6
    assert_allclose(found.values, 1.0 / wanted[: len(found.values)], rtol=1e-8)
    x = found.vectors
    assert_allclose(x.T @ stiffness.apply(x), np.eye(x.shape[1]), atol=1e-9)
    left = stiffness.apply(x) + other.apply(x) * found.values
    assert np.linalg.norm(left, axis=0).max() < 1e-3 * np.linalg.norm(stiffness.apply(x), axis=0).min()


def test_where_all_is_in_tension_nothing_buckles(solver):
    options = SHAPES["tet10"]
    stiffness, _, _ = pencil(**options)
    pulled = geometric(stiffness, 1e6, **options)
    found = buckling_pairs(stiffness, pulled, count=3, which="positive", solver=solver)
    assert found.values.size == 0
    assert found.vectors.shape == (stiffness.n_dof, 0)
    assert "there are 0 positive factors" in found.notes[-1]
    turned = buckling_pairs(stiffness, pulled, count=1, which="negative", solver=solver)
    assert turned.values[0] < 0.0


def test_without_stress_there_are_no_factors(solver):
    options = SHAPES["tet10"]
    stiffness, _, _ = pencil(**options)
    found = buckling_pairs(stiffness, geometric(stiffness, 0.0, **options), count=3, solver=solver)
    assert found.values.size == 0


# --- what is refused


def test_it_must_be_said_how_many():
    stiffness, mass, _ = pencil(**SHAPES["tet10"])
    with pytest.raises(ModelError, match="count=10"):
        eigenpairs(stiffness, mass)
    with pytest.raises(ModelError, match="count is 0"):
        eigenpairs(stiffness, mass, count=0)
    with pytest.raises(ModelError, match="positive bound"):
        eigenpairs(stiffness, mass, up_to=-1.0)
    with pytest.raises(ModelError, match="tolerance"):
        eigenpairs(stiffness, mass, count=1, tolerance=0.0)
    with pytest.raises(ModelError, match="count is 0"):
        buckling_pairs(stiffness, mass, count=0)


def test_what_has_no_mass_has_no_modes():
    stiffness, mass, _ = pencil(**SHAPES["tet10"])
    with pytest.raises(ModelError, match="has mass"):
        eigenpairs(stiffness, replace(mass, terms=(ScaledTerm(0.0, mass.terms[0]),)), count=1)


def test_a_free_motion_that_is_not_stated_is_an_error(solver):
    stiffness, mass, _ = pencil(True, **SHAPES["tet10"])
    with pytest.raises(SingularSystemError):
        eigenpairs(stiffness, mass, count=3, solver=solver)
    with pytest.raises(SingularSystemError):
        eigenpairs(*pencil(True, n=(3, 1, 1))[:2], count=3)


@pytest.mark.parametrize("options", [SHAPES["tet10"], {"n": (3, 1, 1)}], ids=["large", "small"])
def test_a_stiffness_that_is_not_positive_is_an_error(options, solver):
    stiffness, mass, _ = pencil(**options)
    lowest = all_values(**options)[0]
    buckled = replace(stiffness, terms=(*stiffness.terms, ScaledTerm(-1.5 * lowest, mass.terms[0])))
    with pytest.raises(ConvergenceError, match=r"buckle|not positive definite"):
        eigenpairs(buckled, mass, count=3, solver=solver)


def test_not_converging_is_an_error():
    stiffness, mass, _ = pencil(**SHAPES["tet10"])
    with pytest.raises(ConvergenceError, match="stopped after 3 iterations"):
        eigenpairs(stiffness, mass, count=5, max_iterations=3, solver=MultigridCG(dense_nodes=20))


# --- invariants


@settings(max_examples=8, deadline=None)
@given(st.floats(1e-12, 1e12), st.floats(1e-9, 1e9))
def test_values_scale_with_stiffness_over_mass(stiffer, heavier):
    stiffness, mass, _ = pencil(n=(5, 2, 2))
    scaled = replace(stiffness, terms=(MatrixTerm(stiffness.matrix() * stiffer),))
    found = eigenpairs(scaled, replace(mass, terms=(ScaledTerm(heavier, mass.terms[0]),)), count=4)
    assert_allclose(found.values * heavier / stiffer, all_values(n=(5, 2, 2))[:4], rtol=1e-8)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 1e4))
def test_added_mass_lowers_every_value_but_not_below_the_one_before(place, kilograms):
    stiffness, mass, _ = pencil(n=(5, 2, 2))
    extra = np.zeros(stiffness.n_dof)
    extra[stiffness.free_index[place % len(stiffness.free_index)]] = kilograms
    before = all_values(n=(5, 2, 2))
    after = eigenpairs(stiffness, replace(mass, terms=(*mass.terms, DiagonalTerm(extra))), count=6).values
    assert (after <= before[: len(after)] * (1.0 + 1e-9)).all()
    assert (after[1:] >= before[: len(after) - 1] * (1.0 - 1e-9)).all()


# --- kernels


@pytest.mark.parametrize("n", [3, 1024, 2500])
@pytest.mark.parametrize("columns", [(16, 12, 7), (1, 1, 0), (5, 4, 3)])
def test_block_kernels_are_matrix_products(n, columns):
    rng = np.random.default_rng(3)
    x, w, p = (rng.standard_normal((n, k)) for k in columns)
    kw, gw = rng.standard_normal((2, n, columns[1]))
    chunks = -(-n // subspace.CHUNK)
    parts = np.empty((chunks, 2, sum(columns), columns[1]))
    subspace.grams(0, chunks, x, w, p, kw, gw, parts)
    s = np.concatenate([x, w, p], axis=1)
    assert_allclose(parts.sum(axis=0), np.stack([s.T @ kw, s.T @ gw]), atol=1e-12 * n)
    part = np.empty((chunks, columns[0], columns[1]))
    subspace.gram(0, chunks, x, w, part)
    assert_allclose(part.sum(axis=0), x.T @ w, atol=1e-12 * n)

    c = rng.standard_normal((sum(columns), columns[0] + 3))
    ends = np.cumsum((0, *columns))
    pieces = [np.ascontiguousarray(c[a:b]) for a, b in itertools.pairwise(ends)]
    expected = s @ c
    new_p = np.empty((n, 3))
    subspace.combine(0, chunks, x, w, p, *pieces, x, new_p)  # in place
    assert_allclose(np.concatenate([x, new_p], axis=1), expected, atol=1e-12 * n)

    share = rng.standard_normal((columns[0], columns[1]))
    left = w - x @ share
    subspace.deflate(0, chunks, x, share, w)
    assert_allclose(w, left, atol=1e-12 * n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_residual_kernels(dtype):
    rng = np.random.default_rng(4)
    n, chunks = 2500, 3
    kx, gx = rng.standard_normal((2, n, 6))
    nu, free, columns = rng.standard_normal(6), rng.random(n) > 0.2, np.array([0, 3, 5])
    out, parts = np.empty((n, 3), dtype), np.empty((chunks, 3))
    subspace.residuals(0, chunks, free, kx, gx, nu, columns, np.array([1.0, 2.0, 4.0]), out, parts)
    r = np.where(free[:, None], gx - nu * kx, 0.0)[:, columns]
    assert_allclose(out, r * [1.0, 2.0, 4.0], rtol=1e-6)
    assert_allclose(parts.sum(axis=0), (r**2).sum(axis=0))
    z, w = rng.standard_normal((n, 3)).astype(dtype), np.empty((n, 3))
    subspace.taken(0, chunks, out, z, np.array([1.0, 0.5, 2.0]), w, parts)
    assert_allclose(w, z * np.array([1.0, 0.5, 2.0]))
    assert_allclose(parts.sum(axis=0), (out.astype(float) * z).sum(axis=0), rtol=1e-6, atol=1e-9)
