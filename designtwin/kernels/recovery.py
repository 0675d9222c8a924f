"""Superconvergent patch recovery: a polynomial fitted to the samples around each corner node."""

from __future__ import annotations

import numpy as np
from numba import njit

RIDGE = 1e-4
"""Weight of the pull on second-order terms, in units of the sample count."""
FAR = (0.0, 0.1, 0.03)
"""Weight, by degree, of samples in cells that do not touch the corner: they steady the fit, not rule it."""


@njit(cache=True, nogil=True)
def _basis(x, y, z, degree, dimension, out):
    """Monomials to the degree at a point; returns how many."""
    out[0] = 1.0
    if degree == 0:
        return 1
    out[1] = x
    out[2] = y
    if dimension == 2:
        if degree == 1:
            return 3
        out[3] = x * x
        out[4] = x * y
        out[5] = y * y
        return 6
    out[3] = z
    if degree == 1:
        return 4
    out[4] = x * x
    out[5] = y * y
    out[6] = z * z
    out[7] = x * y
    out[8] = y * z
    out[9] = x * z
    return 10


@njit(cache=True, nogil=True)
def _solve(normal, right, m):
    """Cholesky solution in place of normal [m, m] c = right [m, k]; False when not well posed."""
    for i in range(m):
        for j in range(i + 1):
            value = normal[i, j]
            for k in range(j):
                value -= normal[i, k] * normal[j, k]
            if i == j:
                if value <= 1e-9:
                    return False
                normal[i, i] = np.sqrt(value)
            else:
                normal[i, j] = value / normal[j, j]
    for c in range(right.shape[1]):
        for i in range(m):
            value = right[i, c]
            for k in range(i):
                value -= normal[i, k] * right[k, c]
            right[i, c] = value / normal[i, i]
        for i in range(m - 1, -1, -1):
            value = right[i, c]
            for k in range(i + 1, m):
                value -= normal[k, i] * right[k, c]
            right[i, c] = value / normal[i, i]
    return True


@njit(cache=True, nogil=True)
def patch_recovery(
    dimension, corners, outside, row_start, row_cells, cell_start, cell_rows, cell_degree, ends,
    sample_start, sample_xyz, samples, xyz, out, count,
):  # fmt: skip
    """Recovered values at result rows, a patch around each corner row.

    Parameters
    ----------
    dimension : int
        2 or 3.
    corners : int64[n]
        Rows that are corners of cells.
    outside : bool[k]
        Rows on the surface of their part: patches take one more ring there, because a fit to the few
        cells at hand would be an extrapolation.
    row_start, row_cells : int64[k + 1], int64[.]
        Cells at each row.
    cell_start, cell_rows : int64[n_cells + 1], int64[.]
        Rows of each cell.
    cell_degree : int64[n_cells]
        Degree of its shape functions.
    ends : int64[k, 2]
        The two corner rows between which a mid row lies; a corner row twice itself.
    sample_start, sample_xyz, samples : int64[n_cells + 1], float64[s, 3], float64[s, c]
    xyz : float64[k, 3]
    out, count : float64[k, c], int64[k]
        Overwritten: sums over patches and their number.

    Source: Zienkiewicz and Zhu, IJNME 33 (1992) 1331-1364. Patches with too few samples grow by
    the cells around them; a patch that cannot carry the degree falls to a lower one.
    """
    n_components = samples.shape[1]
    k, n_cells = xyz.shape[0], cell_start.shape[0] - 1
    out[:] = 0.0
    count[:] = 0
    cell_seen = np.full(n_cells, -1, np.int64)
    row_seen = np.full(k, -1, np.int64)
    patch = np.empty(n_cells, np.int64)
    basis = np.empty(10)
    normal, right = np.empty((10, 10)), np.empty((10, n_components))
    for corner in corners:
        size = 0
        degree = 0
        n_samples = 0
        for p in range(row_start[corner], row_start[corner + 1]):
            c = row_cells[p]
            cell_seen[c] = corner
            patch[size] = c
            size += 1
            degree = max(degree, cell_degree[c])
            n_samples += sample_start[c + 1] - sample_start[c]
        inner = size
        if dimension == 3:
            wanted = 4 if degree == 1 else 10
        else:
            wanted = 3 if degree == 1 else 6
        # A fit through just enough samples follows their noise: ask for two or three times as many.
        rings = 0
        far = FAR[degree]
        least = (1 + degree) * wanted
        while rings < 3 and (n_samples < least or (rings < 1 and degree == 1 and outside[corner])):
            old = size
            for s in range(old):
                c = patch[s]
                for q in range(cell_start[c], cell_start[c + 1]):
                    row = cell_rows[q]
                    for p in range(row_start[row], row_start[row + 1]):
                        other = row_cells[p]
                        if cell_seen[other] != corner:
                            cell_seen[other] = corner
                            patch[size] = other
                            size += 1
                            n_samples += sample_start[other + 1] - sample_start[other]
            rings += 1
            if size == old:
                break
        hx = hy = hz = 1e-300
        for s in range(size):
            c = patch[s]
            for q in range(sample_start[c], sample_start[c + 1]):
                hx = max(hx, abs(sample_xyz[q, 0] - xyz[corner, 0]))
                hy = max(hy, abs(sample_xyz[q, 1] - xyz[corner, 1]))
                hz = max(hz, abs(sample_xyz[q, 2] - xyz[corner, 2]))
        fitted = False
        while not fitted:
            normal[:] = 0.0
            right[:] = 0.0
            m = 1
            for s in range(size):
                c = patch[s]
                pull = 1.0 if s < inner else far
                for q in range(sample_start[c], sample_start[c + 1]):
                    m = _basis(
                        (sample_xyz[q, 0] - xyz[corner, 0]) / hx,
                        (sample_xyz[q, 1] - xyz[corner, 1]) / hy,
                        (sample_xyz[q, 2] - xyz[corner, 2]) / hz,
                        degree, dimension, basis,
                    )  # fmt: skip
                    for i in range(m):
                        for j in range(i + 1):
                            normal[i, j] += pull * basis[i] * basis[j]
                        for j in range(n_components):
                            right[i, j] += pull * basis[i] * samples[q, j]
            # A slight pull of the curved terms to zero keeps poorly placed samples from blowing them up;
            # it costs a share of a second-order term, so the order of the fit stays.
            for i in range(1, m):
                normal[i, i] += n_samples * (RIDGE if i > dimension else 1e-8)
            if n_samples >= m:
                fitted = _solve(normal, right, m)
            if not fitted:
                degree -= 1
        for p in range(inner):
            c = patch[p]
            for q in range(cell_start[c], cell_start[c + 1]):
                row = cell_rows[q]
                if row_seen[row] == corner or (ends[row, 0] != corner and ends[row, 1] != corner):
                    continue
                row_seen[row] = corner
                m = _basis(
                    (xyz[row, 0] - xyz[corner, 0]) / hx,
                    (xyz[row, 1] - xyz[corner, 1]) / hy,
                    (xyz[row, 2] - xyz[corner, 2]) / hz,
                    degree, dimension, basis,
                )  # fmt: skip
                for j in range(n_components):
                    value = 0.0
                    for i in range(m):
                        value += basis[i] * right[i, j]
                    out[row, j] += value
                count[row] += 1


@njit(cache=True, nogil=True)
def average(cell_start, cell_rows, values, out, low, high, count):
    """Mean, lowest and highest of the cells' own values at each row.

    Parameters
    ----------
    cell_start, cell_rows : int64[n_cells + 1], int64[.]
    values : float64[len(cell_rows), c]
        Value of each cell at each of its rows.
    out, low, high, count : float64[k, c] three times, int64[k]
        Overwritten.
    """
    out[:] = 0.0
    low[:] = np.inf
    high[:] = -np.inf
    count[:] = 0
    for p in range(cell_rows.shape[0]):
        row = cell_rows[p]
        count[row] += 1
        for j in range(values.shape[1]):
            value = values[p, j]
            out[row, j] += value
            low[row, j] = min(low[row, j], value)
            high[row, j] = max(high[row, j], value)
    for row in range(out.shape[0]):
        for j in range(values.shape[1]):
            out[row, j] /= max(count[row], 1)
