"""Small finite-element systems from numpy alone: boxes of simplices in 2D and 3D, linear or quadratic.

Written apart from the package's own elements and assembly, so that solver tests stand on their own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import sparse

from designtwin.solvers.system import Coarsening, MatrixTerm, System

EDGES = {2: ((0, 1), (1, 2), (2, 0)), 3: ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))}


def box(n, lengths):
    """Points and simplices of a box with n[i] cells along each axis (Kuhn's division: conforming)."""
    axes = [np.linspace(0.0, length, count + 1) for length, count in zip(lengths, n)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(n))
    stride = np.array([np.prod([m + 1 for m in n[i + 1 :]], dtype=int) for i in range(len(n))])
    corner = np.stack(np.meshgrid(*[np.arange(m) for m in n], indexing="ij"), -1).reshape(-1, len(n)) @ stride
    cells = []
    for path in itertools.permutations(range(len(n))):
        steps = np.cumsum([0] + [stride[axis] for axis in path])
        if np.linalg.det(np.eye(len(n))[list(path)]) < 0.0:
            steps[[-1, -2]] = steps[[-2, -1]]
        cells.append(corner[:, None] + steps)
    return points, np.concatenate(cells)


def quadratic(points, cells):
    """Points and cells with mid nodes, and the weights [n_points, n_corners] of linear interpolation."""
    ends = np.sort(cells[:, EDGES[points.shape[1]]].reshape(-1, 2), axis=1)
    unique, inverse = np.unique(ends, axis=0, return_inverse=True)
    n, m = len(points), len(unique)
    weights = np.r_[np.ones(n), np.full(2 * m, 0.5)]
    rows = np.r_[np.arange(n), np.repeat(n + np.arange(m), 2)]
    columns = np.r_[np.arange(n), unique.ravel()]
    prolongation = sparse.csr_array((weights, (rows, columns)), shape=(n + m, n))
    mids = n + inverse.reshape(len(cells), -1)
    return np.r_[points, points[unique].mean(axis=1)], np.c_[cells, mids], prolongation


def _gradients(points, cells):
    """Shape gradients [n_q, n_cells, n_nodes, d] and weights [n_q, n_cells]."""
    d = points.shape[1]
    plain = np.r_[-np.ones((1, d)), np.eye(d)]
    x = points[cells[:, : d + 1]]
    jacobian = x[:, 1:] - x[:, :1]
    volume = np.linalg.det(jacobian) / (2.0 if d == 2 else 6.0)
    assert (volume > 0.0).all()
    inverse = np.linalg.inv(jacobian)
    if cells.shape[1] == d + 1:
        spots = [np.full(d + 1, 1.0 / (d + 1))]
        local = [plain]
    else:
        near, far = (2.0 / 3.0, 1.0 / 6.0) if d == 2 else (0.5854101966249685, 0.1381966011250105)
        spots = [np.full(d + 1, far) + (near - far) * np.eye(d + 1)[i] for i in range(d + 1)]
        local = [
            np.r_[
                [(4.0 * s[i] - 1.0) * plain[i] for i in range(d + 1)],
                [4.0 * (s[a] * plain[b] + s[b] * plain[a]) for a, b in EDGES[d]],
            ]
            for s in spots
        ]
    return [np.einsum("nd,ejd->enj", g, inverse) for g in local], volume / len(spots)


def _assemble(element_matrices, cells, block):
    n, nn = cells.max() + 1, cells.shape[1]
    rows = (cells[:, :, None] * block + np.arange(block)).reshape(len(cells), -1)
    i = np.repeat(rows, nn * block, axis=1).ravel()
    j = np.tile(rows, (1, nn * block)).ravel()
    full = sparse.coo_array((element_matrices.ravel(), (i, j)), shape=(n * block, n * block)).tocsr()
    full = 0.5 * (full + full.T)
    return full.tobsr(blocksize=(block, block))


def elasticity(points, cells, *, youngs_modulus=210e9, nu=0.3):
    """Stiffness, BSR; youngs_modulus may differ per cell. 2D is plane strain of unit thickness."""
    d, nn = points.shape[1], cells.shape[1]
    scale = np.broadcast_to(youngs_modulus, len(cells))
    lam, mu = nu / (1 + nu) / (1 - 2 * nu), 0.5 / (1 + nu)
    out = np.zeros((len(cells), nn, d, nn, d))
    gradients, weight = _gradients(points, cells)
    for g in gradients:
        outer = np.einsum("eai,ebj,e->eaibj", g, g, weight * scale)
        out += lam * outer + mu * outer.transpose(0, 1, 4, 3, 2)
        shear = mu * np.einsum("eaibi->eab", outer)
        for i in range(d):
            out[:, :, i, :, i] += shear
    return _assemble(out, cells, d)


def conduction(points, cells, *, conductivity=50.0):
    """Conductivity matrix, BSR with blocks of one."""
    gradients, weight = _gradients(points, cells)
    out = sum(np.einsum("eai,ebi,e->eab", g, g, weight * conductivity) for g in gradients)
    return _assemble(out, cells, 1)


def rigid_modes(points):
    """Translations and rotations, float64[n * d, 3 or 6], centered and scaled."""
    n, d = points.shape
    x = points - points.mean(axis=0)
    x = x / np.abs(x).max()
    turns = [(0, 1), (1, 2), (2, 0)] if d == 3 else [(0, 1)]
    modes = np.zeros((n, d, d + len(turns)))
    modes[:, range(d), range(d)] = 1.0
    for k, (a, b) in enumerate(turns):
        modes[:, a, d + k], modes[:, b, d + k] = -x[:, b], x[:, a]
    return modes.reshape(n * d, -1)


@dataclass(frozen=True, eq=False)
class Problem:
    """A system, its points, and two load cases."""

    system: System
    points: np.ndarray
    corners: np.ndarray
    matrix: sparse.bsr_array
    loads: np.ndarray

    def with_system(self, **changes):
        from dataclasses import replace

        return replace(self.system, **changes)


@cache
def problem(physics="elasticity", n=(6, 3, 3), lengths=(2.0, 1.0, 1.0), order=2, nu=0.3, contrast=1.0):
    """A box held at x = 0, or a heat conductor cold there; contrast stiffens the half beyond the middle."""
    corners, cells = box(n, lengths)
    points, weights = corners, None
    if order == 2:
        points, cells, weights = quadratic(corners, cells)
    if physics == "heat":
        block, matrix, modes, coarse_modes = 1, conduction(points, cells), None, None
    else:
        beyond = points[cells[:, : points.shape[1] + 1]].mean(axis=1)[:, 0] > 0.5 * lengths[0]
        modulus = 210e9 * np.where(beyond, contrast, 1.0)
        block, matrix = points.shape[1], elasticity(points, cells, youngs_modulus=modulus, nu=nu)
        modes, coarse_modes = rigid_modes(points), rigid_modes(corners)
    free = np.repeat(points[:, 0] > 1e-9, block)
    coarse = None if weights is None else Coarsening(weights, coarse_modes)
    system = System(terms=(MatrixTerm(matrix),), block=block, free=free, near_nullspace=modes, coarse=coarse)
    loads = np.zeros((len(points), block, 2))
    loads[points[:, 0] > lengths[0] - 1e-9, -1, 0] = -1e3
    loads[:, 0, 1] = 1.0 + points[:, 0]
    loads = loads.reshape(-1, 2)
    loads[~free] = 0.0
    return Problem(system, points, corners, matrix, loads)
