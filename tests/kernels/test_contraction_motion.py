"""Exact slopes of integrals over cells against differences of high order of the integrals themselves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from designtwin.elements import ELEMENTS
from designtwin.kernels import contraction as slopes
from designtwin.kernels import volume

# Formulations: (element, axisymmetric, mean dilatation, incompatible modes).
CASES = [
    *((name, 0, False, False) for name in ELEMENTS if ELEMENTS[name].dimension > 1),
    *((name, 1, False, False) for name in ("triangle", "triangle6", "quad8")),
    ("quad", 1, True, False), ("quad", 0, True, False), ("hexahedron", 0, True, False),
    ("quad", 0, False, True), ("hexahedron", 0, False, True),
]  # fmt: skip
EIGHTH = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])


class Cell:
    """One distorted cell, a state of it, and its tables."""

    def __init__(self, name, kind, bbar, incompatible):
        rng = np.random.default_rng(len(name) + 7 * kind + 3 * bbar + incompatible)
        self.element, self.kind, self.bbar = ELEMENTS[name], kind, bbar
        d, n = self.element.dimension, self.element.n_nodes
        self.nc = max(d, 2)
        self.x = np.zeros((n, 3))
        self.x[:, :d] = np.array(self.element.nodes) + rng.uniform(-0.07, 0.07, (n, d))
        self.x[:, 0] += 3.0 * kind
        self.u = np.zeros((n, 3))
        self.u[:, :d] = rng.normal(size=(n, d))
        self.v = np.zeros((n, 3))
        self.v[:, :d] = rng.normal(size=(n, d))
        self.conn, self.scale = np.arange(n)[None], np.array([0.7])
        xi, weight = self.element.mass_quadrature if kind else self.element.quadrature
        self.shape, self.gradient = self.element.shape(xi), self.element.gradient(xi)
        self.weight = np.asarray(weight)
        q = len(xi)
        self.modes = self.element.mode_gradient(xi) if incompatible else np.zeros((q, 0, d))
        self.center = self.element.gradient(self.element.center)[0]
        root = rng.normal(size=(6, 6))
        self.tensor, self.tensor_of = (root @ root.T + 6.0 * np.eye(6))[None], np.zeros((1, q), np.int64)
        self.stress = rng.normal(size=(1, q, 6))
        self.density = rng.normal(size=(1, q))

    @property
    def rule(self):
        return self.shape, self.gradient, self.weight

    def measure(self, x):
        out = np.empty_like(self.density)
        volume.measures(x, self.conn, *self.rule, self.kind, self.scale, out)
        return out

    def strain(self, x, u):
        out = np.empty_like(self.stress)
        volume.strain(
            x, self.conn, *self.rule, self.modes, self.center, self.kind, self.bbar, self.nc, self.scale,
            self.tensor, self.tensor_of, np.zeros((0, len(self.weight), 6)), self.shape, self.gradient,
            self.modes, u, out,
        )  # fmt: skip
        return out

    def amplitudes(self, stress):
        """Amplitudes of the modes under a stress, and their strain."""
        out, strain = np.zeros((1, self.modes.shape[1], 3)), np.zeros_like(self.stress)
        if self.modes.shape[1]:
            slopes.mode_amplitudes(
                0, 1, self.x, self.conn, self.gradient, self.weight, self.modes, self.center, self.scale,
                self.tensor, self.tensor_of, stress, np.zeros_like(out), out,
            )  # fmt: skip
            slopes.strains(
                0, 1, self.x, self.conn, *self.rule, self.modes, self.center, self.kind, self.bbar,
                self.shape, self.gradient, self.modes, 0.0 * self.x, out, strain,
            )  # fmt: skip
        return out, strain

    def strain_slope(self, stress, u, amplitude):
        out = np.zeros((1, *self.x.shape))
        slopes.strain_slope(
            0, 1, self.x, self.conn, *self.rule, self.modes, self.center, self.kind, self.bbar,
            self.shape, self.gradient, self.modes, stress[None], u[None], amplitude[None],
            0.0 * self.density, out,
        )  # fmt: skip
        return out[0]

    def volume_slope(self, density):
        out = np.zeros((1, *self.x.shape))
        slopes.volume_slope(0, 1, self.x, self.conn, *self.rule, self.kind, self.scale, density, out)
        return out[0]

    def differenced(self, of):
        """Slope of a function of places by central differences of eighth order."""
        h, out = 4e-3, np.zeros_like(self.x)
        for a in range(len(self.x)):
            for i in range(self.element.dimension):
                for k, weight in enumerate(EIGHTH):
                    if weight:
                        moved = self.x.copy()
                        moved[a, i] += (k - 4) * h
                        out[a, i] += weight / h * of(moved)
        return out


@pytest.fixture(
    params=CASES, ids=lambda case: f"{case[0]}{'-ring' * case[1]}{'-bbar' * case[2]}{'-modes' * case[3]}"
)
def cell(request):
    return Cell(*request.param)


def agree(exact, differenced):
    assert_allclose(exact, differenced, atol=1e-9 * np.abs(differenced).max(), rtol=0)


def test_the_slope_of_a_volume_integral_is_that_of_its_differences(cell):
    agree(cell.volume_slope(cell.density), cell.differenced(lambda x: (cell.measure(x) * cell.density).sum()))


def test_the_slope_of_the_work_on_a_strain_is_that_of_its_differences(cell):
    # Modes answer to the nodes: what they add follows from how they give way to the stress.
    measure = cell.measure(cell.x)
    work = measure[..., None] * cell.stress
    strain = cell.strain(cell.x, cell.u)
    give, given = cell.amplitudes(cell.stress)
    plain = Cell.__new__(Cell)
    plain.__dict__.update(cell.__dict__)
    plain.modes = cell.modes[:, :0]
    nodal = plain.strain(cell.x, cell.u)
    amplitude, own = cell.amplitudes(nodal @ cell.tensor[0].T)
    assert_allclose(nodal + own, strain, atol=1e-12)
    state = strain @ cell.tensor[0].T
    more = given @ cell.tensor[0].T
    exact = cell.strain_slope(work + measure[..., None] * more, cell.u, amplitude)
    exact += cell.strain_slope(measure[..., None] * state, 0.0 * cell.u, give)
    exact += cell.volume_slope((state * given).sum(axis=2))
    agree(exact, cell.differenced(lambda x: (work * cell.strain(x, cell.u)).sum()))


def test_the_slope_of_stress_stiffness_is_that_of_its_differences(cell):
    at = (0, 1, cell.x, cell.conn)
    strain = np.empty_like(cell.stress)
    slopes.stress_of_gradients(*at, cell.shape, cell.gradient, cell.kind, cell.u, cell.v, strain)
    out = np.zeros((1, *cell.x.shape))
    slopes.stress_stiffness_slope(*at, *cell.rule, cell.kind, cell.scale, cell.stress, cell.u, cell.v, out)

    def energy(x):
        n = len(x)
        matrix = np.empty((1, n, n))
        volume.stress_stiffness(x, cell.conn, *cell.rule, cell.kind, cell.scale, cell.stress, matrix)
        value = np.einsum("ai,ab,bi->", cell.u, matrix[0], cell.v)
        if cell.kind:
            at_points = cell.shape @ np.stack([x[:, 0], cell.u[:, 0], cell.v[:, 0]], axis=1)
            r, u, v = at_points.T
            value += (cell.measure(x)[0] * cell.stress[0, :, 2] * u * v / r**2).sum()
        return value

    density = (cell.stress * strain).sum(axis=2)
    assert_allclose((cell.measure(cell.x) * density).sum(), energy(cell.x), rtol=1e-11)
    agree(out[0] + cell.volume_slope(density), cell.differenced(energy))


def test_cells_add_up_at_their_nodes():
    conn = np.array([[0, 1, 2], [2, 1, 3]])
    values = np.arange(18.0).reshape(2, 3, 3)
    out = np.ones((4, 3))
    slopes.add_up(conn, values, out)
    assert_allclose(
        out - 1.0, [values[0, 0], values[0, 1] + values[1, 1], values[0, 2] + values[1, 0], values[1, 2]]
    )
