"""Assembly for peers that are linear solvers only: numpy alone, cells in blocks, no Python loop over cells.

Straight tetrahedra and hexahedra; the same stiffness as ours to rounding. It is a fast assembly by the
measure of packages written in Python, so that a peer does not lose by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

EDGES = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))
BLOCK = 20_000


def _tet10_gradient(bary: np.ndarray) -> np.ndarray:
    """dN[10] / d(barycentric[4]) at one point."""
    d = np.zeros((10, 4))
    for i in range(4):
        d[i, i] = 4 * bary[i] - 1
    for k, (i, j) in enumerate(EDGES):
        d[4 + k, i], d[4 + k, j] = 4 * bary[j], 4 * bary[i]
    return d


def _barycentric(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients [m, 4, 3] of the barycentric coordinates and volume [m] of tetrahedra [m, 4, 3]."""
    jacobian = corners[:, 1:] - corners[:, :1]
    inverse = np.linalg.inv(jacobian)  # column p: gradient of coordinate p + 1
    gradient = np.empty((len(corners), 4, 3))
    gradient[:, 1:] = inverse.transpose(0, 2, 1)
    gradient[:, 0] = -gradient[:, 1:].sum(axis=1)
    return gradient, np.abs(np.linalg.det(jacobian)) / 6


def _at_points(kind: str, x: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Gradients [m, nodes, 3] and weight [m] at each quadrature point.

    A hexahedron has three bubbles behind its nodes, Wilson's incompatible modes as in ours.
    """
    if kind == "hex8":
        corners = np.array(
            [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
        )
        sign = 2.0 * corners - 1
        center = np.einsum("mai,aj->mij", x, sign / 8)
        for at in product((-1, 1), repeat=3):
            s = 1 + sign * np.array(at) / np.sqrt(3)
            d = np.stack([sign[:, i] * s[:, (i + 1) % 3] * s[:, (i + 2) % 3] / 8 for i in range(3)], axis=1)
            jacobian = np.einsum("mai,aj->mij", x, d)
            volume = np.abs(np.linalg.det(jacobian))
            bubbles = np.diag(-2 * np.array(at) / np.sqrt(3)) @ np.linalg.inv(center)
            bubbles *= (np.abs(np.linalg.det(center)) / volume)[:, None, None]
            yield np.concatenate([d @ np.linalg.inv(jacobian), bubbles], axis=1), volume
        return
    gradient, volume = _barycentric(x[:, :4])
    if kind == "tet4":
        yield gradient, volume
        return
    a, b = 0.5854101966249685, 0.1381966011250105
    for i in range(4):
        bary = np.full(4, b)
        bary[i] = a
        yield _tet10_gradient(bary) @ gradient, volume / 4


def elements(case: dict[str, Any], cells: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of cells with their matrices: [m, nodes] and [m, nodes, c, nodes, c], c = 3 or 1 for heat."""
    kind, thermal = case["kind"], case["physics"] == "heat"
    young, nu = case["E"], case["nu"]
    lame, shear = young * nu / (1 + nu) / (1 - 2 * nu), young / 2 / (1 + nu)
    for start in range(0, len(cells), BLOCK):
        part = cells[start : start + BLOCK]
        x = case["points"][part]
        n = part.shape[1] + (3 if kind == "hex8" else 0)
        outer = np.zeros((len(part), n, 3, n, 3)) if not thermal else np.zeros((len(part), n, n))
        for gradient, weight in _at_points(kind, x):
            if thermal:
                outer += (case["k"] * weight)[:, None, None] * (gradient @ gradient.transpose(0, 2, 1))
                continue
            flat = gradient.reshape(len(part), -1)
            outer += ((weight[:, None] * flat)[:, :, None] * flat[:, None, :]).reshape(outer.shape)
        if thermal:
            yield part, outer[:, :, None, :, None]
            continue
        stiffness = lame * outer + shear * outer.transpose(0, 1, 4, 3, 2)  # lambda g_a g_b + mu g_b g_a
        trace = shear * np.einsum("maibi->mab", outer)
        for i in range(3):
            stiffness[:, :, i, :, i] += trace
        yield part, stiffness if n == part.shape[1] else _condensed(stiffness, part.shape[1])


def _condensed(stiffness: np.ndarray, nodes: int) -> np.ndarray:
    """Bubbles eliminated."""
    m, kept = len(stiffness), 3 * nodes
    whole = stiffness.reshape(m, 3 * stiffness.shape[1], -1)
    rest = np.linalg.solve(whole[:, kept:, kept:], whole[:, kept:, :kept])
    return (whole[:, :kept, :kept] - whole[:, :kept, kept:] @ rest).reshape(m, nodes, 3, nodes, 3)


def pattern(n: int, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row pointers and columns of the nodes' graph, diagonal included, columns sorted."""
    import scipy.sparse as sp

    m, nodes = cells.shape
    incidence = sp.csr_matrix(
        (np.ones(m * nodes, np.float32), cells.ravel(), np.arange(0, m * nodes + 1, nodes)), shape=(m, n)
    )
    graph = (incidence.T.tocsr() @ incidence).tocsr()
    graph.sort_indices()
    return graph.indptr, graph.indices


def assemble(case: dict[str, Any]) -> Any:
    """Stiffness as scipy BSR (CSR for heat) with rows and columns of held nodes replaced by the diagonal."""
    import scipy.sparse as sp

    cells, n = case["cells"], len(case["points"])
    c = 1 if case["physics"] == "heat" else 3
    pointer, column = pattern(n, cells)
    rows = np.repeat(np.arange(n, dtype=np.int64), np.diff(pointer))
    keys = rows * n + column
    data = np.zeros((len(column), c, c))
    for part, matrix in elements(case, cells):
        nodes = part.shape[1]
        key = (part[:, :, None].astype(np.int64) * n + part[:, None, :]).ravel()
        at = np.searchsorted(keys, key)
        values = matrix.transpose(0, 1, 3, 2, 4).reshape(-1, c * c)
        assert len(values) == len(part) * nodes * nodes
        low, high = int(at.min()), int(at.max()) + 1
        for k in range(c * c):
            data[low:high, k // c, k % c] += np.bincount(at - low, values[:, k], high - low)
    held = np.zeros(n, bool)
    held[case["held"]] = True
    inside = held[rows] | held[column]
    on_diagonal = inside & (rows == column)
    size = np.abs(np.einsum("nii->n", data[rows == column])).mean() / c
    data[inside] = 0.0
    data[on_diagonal] = size * np.eye(c)
    if c == 1:
        return sp.csr_matrix((data.ravel(), column, pointer), shape=(n, n))
    return sp.bsr_matrix((data, column, pointer), shape=(3 * n, 3 * n))


def right_side(case: dict[str, Any]) -> np.ndarray:
    """Nodal loads, flat, zero where held."""
    f = np.array(case["load"], float)
    f[case["held"]] = 0.0
    return f.ravel()


def rigid_modes(points: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Six motions [3 n, 6], centered and of like size, zero where held."""
    x = points - points.mean(axis=0)
    x = x / np.abs(x).max()
    modes = np.zeros((len(x), 3, 6))
    for i in range(3):
        modes[:, i, i] = 1.0
        a, b = (i + 1) % 3, (i + 2) % 3
        modes[:, a, 3 + i], modes[:, b, 3 + i] = -x[:, b], x[:, a]
    modes[held] = 0.0
    return modes.reshape(-1, 6)


def von_mises(case: dict[str, Any], u: np.ndarray) -> np.ndarray:
    """Von Mises stress [m] at the center of every cell, Pa: what a linear solver's user adds."""
    young, nu = case["E"], case["nu"]
    lame, shear = young * nu / (1 + nu) / (1 - 2 * nu), young / 2 / (1 + nu)
    cells, out = case["cells"], []
    for start in range(0, len(cells), BLOCK):
        part = cells[start : start + BLOCK]
        x = case["points"][part]
        center, total = 0.0, 0.0
        for gradient, weight in _at_points(case["kind"], x):
            center = center + weight[:, None, None] * np.einsum(
                "mai,maj->mij", u[part], gradient[:, : part.shape[1]]
            )
            total = total + weight
        center = center / total[:, None, None]
        strain = 0.5 * (center + center.transpose(0, 2, 1))
        stress = 2 * shear * strain
        spherical = lame * np.einsum("mii->m", strain)
        for i in range(3):
            stress[:, i, i] += spherical
        deviator = stress - np.einsum("mii->m", stress)[:, None, None] / 3 * np.eye(3)
        out.append(np.sqrt(1.5 * np.einsum("mij,mij->m", deviator, deviator)))
    return np.concatenate(out)
