"""Exact fields of elasticity and heat, meshes to meet them on, and rules fine enough to measure errors.

Displacements solve Navier's equation without body force (Papkovich and Neuber's form, in which Poisson's
ratio takes part), temperatures Laplace's.
"""

from __future__ import annotations

import numpy as np
from builders import PLANES, block
from cases import straightened
from scipy.special import j0, j1

from designtwin.elements import (
    ELEMENTS,
    Quadrature,
    gauss_legendre,
    pyramid_rule,
    tetrahedron_rule,
    triangle_rule,
    wedge_rule,
)
from designtwin.mesh import Mesh
from designtwin.typing import FloatArray

E, NU = 2.0, 0.3
MU = E / (2 * (1 + NU))
SERENDIPITY = ("quad8", "hexahedron20", "wedge15")


def rule_of(element: str) -> Quadrature:
    """A rule finer than any of the element's own, so that errors are measured and not sampled."""
    linear = ELEMENTS[element].linear
    if linear == "triangle":
        return triangle_rule(6)
    if linear == "tetra":
        return tetrahedron_rule(6)
    if linear == "wedge":
        return wedge_rule(6)
    if linear == "pyramid":
        return pyramid_rule(5)
    x, w = gauss_legendre(4)
    d = ELEMENTS[element].dimension
    grid = np.stack(np.meshgrid(*[x] * d, indexing="ij"), -1).reshape(-1, d)
    return grid, np.prod(np.stack(np.meshgrid(*[w] * d, indexing="ij"), -1).reshape(-1, d), axis=1)


def mesh_of(element: str, n: int) -> Mesh:
    """A unit block at x = 0.5, sheared (serendipity) or warped, cell edges straight."""

    def sheared(p: FloatArray) -> FloatArray:
        x, y, z = p.T
        flat = element in PLANES
        return np.column_stack([x + 0.2 * y + (0 if flat else 0.1 * z) + 0.5, y + 0.1 * x, z])

    def warped(p: FloatArray) -> FloatArray:
        x, y, z = p.T
        bump = 0.06 * np.sin(np.pi * x) * np.sin(np.pi * y)
        if element not in PLANES:
            bump = bump * np.sin(np.pi * z)
        return np.column_stack([x + bump + 0.5, y - bump, z + (0 if element in PLANES else bump)])

    if element in SERENDIPITY:
        return block(element, n, shape=sheared)
    return straightened(block(element, n, shape=warped))


# Exact fields


def waves(dimension: int) -> tuple[FloatArray, FloatArray]:
    """Complex wave vectors k [4, 3] with k.k = 0, and phases [4]: Re exp(k.x + phase) is harmonic."""
    rng = np.random.default_rng(4)
    k = np.zeros((4, 3), complex)
    for row in k:
        q, _ = np.linalg.qr(rng.normal(size=(dimension, dimension)))
        row[:dimension] = 1.3 * (q[0] + 1j * q[1])
    return k, 1j * rng.uniform(0, 6, 4)


def navier(x: FloatArray, name: str) -> tuple[FloatArray, FloatArray]:
    """Displacement [n, 3] and strain [n, 6] of a field: 2 mu u = 4 (1 - nu) psi - grad(x.psi + phi)."""
    if name == "Axisymmetric":
        return _ring(x)
    k, phase = waves(3 if name == "Solid" else 2)
    nu = NU / (1 + NU) if name == "PlaneStress" else NU
    f = np.exp(x @ k.T + phase)
    value = f.real
    slope = (f[:, :, None] * k).real
    curve = (f[:, :, None, None] * k[:, :, None] * k[:, None, :]).real
    psi, dpsi, ddpsi = value[:, :3], slope[:, :3], curve[:, :3]
    if name != "Solid":
        psi, dpsi, ddpsi = psi * [1, 1, 0], dpsi * [[1], [1], [0]], ddpsi * np.array([1, 1, 0])[:, None, None]
    u = 4 * (1 - nu) * psi - psi - np.einsum("nj,nji->ni", x, dpsi) - slope[:, 3]
    gradient = (3 - 4 * nu) * dpsi - np.swapaxes(dpsi, 1, 2)
    gradient = gradient - np.einsum("nj,njim->nim", x, ddpsi) - curve[:, 3]
    strain = 0.5 * (gradient + np.swapaxes(gradient, 1, 2)) / (2 * MU)
    if name == "PlaneStress":
        strain[:, 2, 2] = -NU / (1 - NU) * (strain[:, 0, 0] + strain[:, 1, 1])
    engineering = np.array([1, 1, 1, 2, 2, 2])
    return u / (2 * MU), engineering * np.stack(
        [strain[:, i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))], axis=1
    )


def _ring(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A ring's field from psi_z = J0(k r) exp(k z) and phi = J0(m r) exp(m z); z is the second axis."""
    r, z = x[:, 0], x[:, 1]

    def parts(k: float) -> tuple[FloatArray, ...]:
        e = np.exp(k * (z - 0.5))
        f, fr = j0(k * r) * e, -k * j1(k * r) * e
        return f, fr, k * f, -(k**2) * f - fr / r, k * fr, k**2 * f

    f, fr, fz, frr, frz, fzz = parts(1.9)
    _, gr, gz, grr, grz, gzz = parts(2.6)
    u, strain = np.zeros((len(x), 3)), np.zeros((len(x), 6))
    u[:, 0] = -(z * fr + gr)
    u[:, 1] = (3 - 4 * NU) * f - z * fz - gz
    strain[:, 0] = -(z * frr + grr)
    strain[:, 1] = (2 - 4 * NU) * fz - z * fzz - gzz
    strain[:, 2] = u[:, 0] / r
    strain[:, 3] = -(fr + z * frz + grz) + (3 - 4 * NU) * fr - z * frz - grz
    return u / (2 * MU), strain / (2 * MU)


def laplace(x: FloatArray, name: str) -> tuple[FloatArray, FloatArray]:
    """A harmonic temperature [n] and its gradient [n, 3]."""
    if name == "Axisymmetric":
        r, z, k = x[:, 0], x[:, 1], 2.2
        e = np.exp(k * z)
        return j0(k * r) * e, np.stack([-k * j1(k * r) * e, k * j0(k * r) * e, 0 * r], axis=1)
    k, phase = waves(3 if name == "Solid" else 2)
    f = np.exp(x @ k[0] + phase[0])
    return f.real, (f[:, None] * k[0]).real
