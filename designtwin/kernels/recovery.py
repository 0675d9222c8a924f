"""Superconvergent patch recovery: a polynomial fitted to the samples around each corner node.

Kernels here see the cells of all blocks as one list. ``layout`` int64[n_blocks, 6] says of each block: its
first cell, nodes and samples of a cell, where its rows begin in ``rows`` and its samples in ``samples``, and
the degree of its shape functions; ``block_of`` int16[n_cells] is the block of each cell. A row is a node of
one part. ``row_start`` int32[k + 1] and ``row_cells`` int32[.] are the cells at each row.
"""

from __future__ import annotations

import numpy as np
from numba import njit

RIDGE = 1e-4
"""Weight of the pull on curvature (Frobenius norm of second derivatives), in units of all weights."""
FAR = (0.0, 0.1, 0.03)
"""Weight, by degree, of samples in cells that do not touch the corner: they steady the fit, not rule it."""

_LOOSE = {"reassoc", "contract", "nsz"}
"""Sums may be regrouped, which lets them run on vectors; NaN and infinity stay what they are."""


@njit(cache=True, nogil=True)
def incidence(layout, block_of, rows, start, cells):
    """Cells at each row, ascending; start int32[k + 1] and cells int32[len(rows)] are overwritten."""
    start[:] = 0
    for p in range(rows.shape[0]):
        start[rows[p] + 1] += 1
    for row in range(start.shape[0] - 1):
        start[row + 1] += start[row]
    fill = start[:-1].copy()
    for c in range(block_of.shape[0]):
        b = block_of[c]
        first = layout[b, 3] + (c - layout[b, 0]) * layout[b, 1]
        for p in range(first, first + layout[b, 1]):
            cells[fill[rows[p]]] = c
            fill[rows[p]] += 1


@njit(cache=True, nogil=True, fastmath=_LOOSE)
def _dot(a, b, n):
    value = 0.0
    for i in range(n):
        value += a[i] * b[i]
    return value


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
    for i in range(m):
        for k in range(i):
            for c in range(right.shape[1]):
                right[i, c] -= normal[i, k] * right[k, c]
        for c in range(right.shape[1]):
            right[i, c] /= normal[i, i]
    for i in range(m - 1, -1, -1):
        for k in range(i + 1, m):
            for c in range(right.shape[1]):
                right[i, c] -= normal[k, i] * right[k, c]
        for c in range(right.shape[1]):
            right[i, c] /= normal[i, i]
    return True


@njit(cache=True, nogil=True)
def _patch_frame(place, weight, n, dimension, frame):
    """Coordinates of a patch: the inverse Cholesky factor of its samples' second moments.

    place float64[3, .] are distances from the corner, m, of which n count, by the square of their weight.
    frame float64[3, 3] is overwritten; a direction in which the samples do not scatter gets a row of zeros.
    Returns the sum of the squared weights.
    """
    moment, factor = np.zeros((3, 3)), np.zeros((3, 3))
    total = trace = 0.0
    for q in range(n):
        share = weight[q] * weight[q]
        total += share
        for i in range(dimension):
            for j in range(i + 1):
                moment[i, j] += share * place[i, q] * place[j, q]
    for i in range(dimension):
        trace += moment[i, i]
    frame[:] = 0.0
    for i in range(dimension):
        for j in range(i + 1):
            value = moment[i, j]
            for k in range(j):
                value -= factor[i, k] * factor[j, k]
            if i > j:
                factor[i, j] = value / factor[j, j] if factor[j, j] > 0.0 else 0.0
            elif value > 1e-14 * trace:
                factor[i, i] = np.sqrt(value)
                frame[i, i] = 1.0
                for k in range(i):
                    for m in range(k + 1):
                        frame[i, m] -= factor[i, k] * frame[k, m]
                for m in range(i + 1):
                    frame[i, m] /= factor[i, i]
    for i in range(dimension):
        for j in range(i + 1):
            frame[i, j] *= np.sqrt(total)
    return total


@njit(cache=True, nogil=True)
def fit_patches(
    start, stop, dimension, corners, outside, row_start, row_cells, layout, block_of, rows,
    sample_xyz, samples, xyz, out, polynomial, frame,
):  # fmt: skip
    """Polynomials around corner rows start to stop of ``corners``, and their values there.

    Parameters
    ----------
    dimension : int
        2 or 3.
    corners : int32[m]
        Rows that are corners of cells.
    outside : bool[k]
        Rows on the surface of their part: patches of first-order cells take one more ring there, because a
        fit to the few cells at hand would be an extrapolation.
    sample_xyz, samples : float64[s, 3], float64[s, c]
    xyz : float64[k, 3]
        Positions of the rows, m.
    out : float64[k, c]
        Overwritten at the corner rows.
    polynomial, frame : float64[m, 10, c], float64[m, 3, 3]
        Overwritten: coefficients of the monomials (see ``_basis``) of the patch's coordinates, and the matrix
        that makes these of a distance from the corner. Of length 0 where no row lies between corners.

    Source: Zienkiewicz and Zhu, IJNME 33 (1992) 1331-1364. Patches with too few samples grow by
    the cells around them; a patch that cannot carry the degree falls to a lower one. In a patch's coordinates
    its samples scatter alike in all directions (their second moments are the unit matrix), so that a fit
    depends neither on how a part lies in space nor on how thin its cells are.
    """
    n_components = samples.shape[1]
    keep = polynomial.shape[0] > 0
    cell_seen = np.full(block_of.shape[0], -1, np.int32)
    patch = np.empty(block_of.shape[0], np.int32)
    # One row per monomial, per component and per coordinate: sums over samples run along memory.
    basis, value, place = np.empty((10, 512)), np.empty((n_components, 512)), np.empty((3, 512))
    weight = np.empty(512)
    terms = np.empty(10)
    normal, right = np.empty((10, 10)), np.empty((10, n_components))
    to_patch = np.empty((3, 3))
    for index in range(start, stop):
        corner = corners[index]
        size = 0
        degree = 0
        n = 0
        for p in range(row_start[corner], row_start[corner + 1]):
            c = row_cells[p]
            b = block_of[c]
            cell_seen[c] = corner
            patch[size] = c
            size += 1
            degree = max(degree, layout[b, 5])
            n += layout[b, 2]
        inner = size
        if dimension == 3:
            wanted = 4 if degree == 1 else 10
        else:
            wanted = 3 if degree == 1 else 6
        # A fit through just enough samples follows their noise: ask for two or three times as many.
        rings = 0
        far = np.sqrt(FAR[degree])
        least = (1 + degree) * wanted
        while rings < 3 and (n < least or (rings < 1 and degree == 1 and outside[corner])):
            old = size
            for s in range(old):
                c = patch[s]
                b = block_of[c]
                first = layout[b, 3] + (c - layout[b, 0]) * layout[b, 1]
                for q in range(first, first + layout[b, 1]):
                    for p in range(row_start[rows[q]], row_start[rows[q] + 1]):
                        other = row_cells[p]
                        if cell_seen[other] != corner:
                            cell_seen[other] = corner
                            patch[size] = other
                            size += 1
                            n += layout[block_of[other], 2]
            rings += 1
            if size == old:
                break
        if n > weight.shape[0]:
            basis, value, place = np.empty((10, 2 * n)), np.empty((n_components, 2 * n)), np.empty((3, 2 * n))
            weight = np.empty(2 * n)
        at = 0
        for s in range(size):
            c = patch[s]
            b = block_of[c]
            first = layout[b, 4] + (c - layout[b, 0]) * layout[b, 2]
            pull = 1.0 if s < inner else far
            for q in range(first, first + layout[b, 2]):
                weight[at] = pull
                for i in range(3):
                    place[i, at] = sample_xyz[q, i] - xyz[corner, i]
                for j in range(n_components):
                    value[j, at] = pull * samples[q, j]
                at += 1
        total = _patch_frame(place, weight, n, dimension, to_patch)
        for q in range(n):
            x, y, z = place[0, q], place[1, q], place[2, q]
            for i in range(3):
                place[i, q] = to_patch[i, 0] * x + to_patch[i, 1] * y + to_patch[i, 2] * z
        fitted = False
        m = 1
        while not fitted:
            for q in range(n):
                m = _basis(place[0, q], place[1, q], place[2, q], degree, dimension, terms)
                for i in range(m):
                    basis[i, q] = weight[q] * terms[i]
            for i in range(m):
                for j in range(i + 1):
                    normal[i, j] = _dot(basis[i], basis[j], n)
                for j in range(n_components):
                    right[i, j] = _dot(basis[i], value[j], n)
            # A slight pull of the curved terms to zero keeps poorly placed samples from blowing them up;
            # it costs a share of a second-order term, so the order of the fit stays.
            for i in range(1, m):
                square = dimension < i <= 2 * dimension if dimension == 3 else i == 3 or i == 5
                normal[i, i] += total * (1e-8 if i <= dimension else 2.0 * RIDGE if square else RIDGE)
            if n >= m:
                fitted = _solve(normal, right, m)
            if not fitted:
                degree -= 1
        for j in range(n_components):
            out[corner, j] = right[0, j]
        if keep:
            frame[index] = to_patch
            for i in range(10):
                for j in range(n_components):
                    polynomial[index, i, j] = right[i, j] if i < m else 0.0


@njit(cache=True, nogil=True)
def between_corners(
    start, stop, dimension, corners, corner_of, ends, row_start, row_cells, layout, block_of, rows, xyz,
    polynomial, frame, out,
):  # fmt: skip
    """Values at rows start to stop that lie between two corners: the mean of the two corners' polynomials.

    Parameters
    ----------
    corners, corner_of : int32[m], int32[k]
        Corner rows; place of each row among them, -1 for others.
    ends : int64[n_blocks, n, 2]
        Corners of the edge that each node of a block's cells lies on.
    polynomial, frame : as ``fit_patches`` leaves them
    out : float64[k, c]
        Overwritten at the rows between.
    """
    terms, local = np.empty(10), np.empty(3)
    for row in range(start, stop):
        if corner_of[row] >= 0 or row_start[row] == row_start[row + 1]:
            continue
        c = row_cells[row_start[row]]
        b = block_of[c]
        first = layout[b, 3] + (c - layout[b, 0]) * layout[b, 1]
        node = 0
        while rows[first + node] != row:
            node += 1
        for j in range(out.shape[1]):
            out[row, j] = 0.0
        for side in range(2):
            index = corner_of[rows[first + ends[b, node, side]]]
            corner = corners[index]
            for i in range(3):
                local[i] = 0.0
                for j in range(3):
                    local[i] += frame[index, i, j] * (xyz[row, j] - xyz[corner, j])
            m = _basis(local[0], local[1], local[2], 2, dimension, terms)
            for i in range(m):
                for j in range(out.shape[1]):
                    out[row, j] += 0.5 * terms[i] * polynomial[index, i, j]


@njit(cache=True, nogil=True)
def average(
    start, stop, wanted, row_start, row_cells, layout, block_of, rows, extrapolation, samples, out, low, high
):
    """Mean, lowest and highest of the cells' own values at rows start to stop of ``wanted``.

    Parameters
    ----------
    wanted : int32[w]
        Rows.
    extrapolation : float64[n_blocks, n, s]
        From the samples of a block's cell to its nodes.
    samples : float64[s, c]
    out : float64[w, c]
        Overwritten.
    low, high : float64[w, c]
        Overwritten; of length 0 where they are not asked for.
    """
    n_components = samples.shape[1]
    own = np.empty(n_components)
    spread = low.shape[0] > 0
    for w in range(start, stop):
        row = wanted[w]
        count = row_start[row + 1] - row_start[row]
        for j in range(n_components):
            out[w, j] = 0.0
        for p in range(row_start[row], row_start[row + 1]):
            c = row_cells[p]
            b = block_of[c]
            node = 0
            first = layout[b, 3] + (c - layout[b, 0]) * layout[b, 1]
            while rows[first + node] != row:
                node += 1
            first = layout[b, 4] + (c - layout[b, 0]) * layout[b, 2]
            for j in range(n_components):
                own[j] = extrapolation[b, node, 0] * samples[first, j]
            for s in range(1, layout[b, 2]):
                factor = extrapolation[b, node, s]
                for j in range(n_components):
                    own[j] += factor * samples[first + s, j]
            for j in range(n_components):
                out[w, j] += own[j] / count
            if spread:
                for j in range(n_components):
                    begun = p > row_start[row]
                    low[w, j] = min(low[w, j], own[j]) if begun else own[j]
                    high[w, j] = max(high[w, j], own[j]) if begun else own[j]


@njit(cache=True, nogil=True)
def against_neighbors(
    start, stop, dimension, row_start, row_cells, layout, block_of, rows, xyz, value, out
):  # fmt: skip
    """What the neighbors of rows start to stop lead one to expect there, less the value there.

    Expected is a linear fit to the values at all other rows of the cells around, with one more ring of cells
    where these are few; their mean where they lie in a line. For a smooth field the difference is half the
    curvature times the square of the distance.

    Parameters
    ----------
    dimension : int
        2 or 3.
    xyz, value : float64[k, 3], float64[k, c]
    out : float64[k, c]
        Overwritten.
    """
    n_components = value.shape[1]
    m = dimension + 1
    least = m + (m + 1) // 2
    cell_seen = np.full(block_of.shape[0], -1, np.int32)
    row_seen = np.full(xyz.shape[0], -1, np.int32)
    patch, near = np.empty(block_of.shape[0], np.int32), np.empty(xyz.shape[0], np.int32)
    place, weight = np.empty((3, 512)), np.ones(512)
    normal, right = np.empty((m, m)), np.empty((m, n_components))
    to_patch, terms = np.empty((3, 3)), np.empty(m)
    for row in range(start, stop):
        size = 0
        for p in range(row_start[row], row_start[row + 1]):
            cell_seen[row_cells[p]] = row
            patch[size] = row_cells[p]
            size += 1
        row_seen[row] = row
        n = done = 0
        while True:
            for s in range(done, size):
                c = patch[s]
                b = block_of[c]
                first = layout[b, 3] + (c - layout[b, 0]) * layout[b, 1]
                for q in range(first, first + layout[b, 1]):
                    if row_seen[rows[q]] != row:
                        row_seen[rows[q]] = row
                        near[n] = rows[q]
                        n += 1
            if n >= least or done == size:
                break
            done = size
            for s in range(done):
                c = patch[s]
                b = block_of[c]
                first = layout[b, 3] + (c - layout[b, 0]) * layout[b, 1]
                for q in range(first, first + layout[b, 1]):
                    for p in range(row_start[rows[q]], row_start[rows[q] + 1]):
                        if cell_seen[row_cells[p]] != row:
                            cell_seen[row_cells[p]] = row
                            patch[size] = row_cells[p]
                            size += 1
        for j in range(n_components):
            out[row, j] = 0.0
        if n == 0:
            continue
        if n > weight.shape[0]:
            place, weight = np.empty((3, 2 * n)), np.ones(2 * n)
        for s in range(n):
            for i in range(3):
                place[i, s] = xyz[near[s], i] - xyz[row, i]
        _patch_frame(place, weight, n, dimension, to_patch)
        normal[:] = 0.0
        right[:] = 0.0
        terms[0] = 1.0
        for s in range(n):
            for i in range(dimension):
                terms[i + 1] = 0.0
                for j in range(i + 1):
                    terms[i + 1] += to_patch[i, j] * place[j, s]
            for i in range(m):
                for j in range(i + 1):
                    normal[i, j] += terms[i] * terms[j]
                for j in range(n_components):
                    right[i, j] += terms[i] * (value[near[s], j] - value[row, j])
        for j in range(n_components):
            out[row, j] = right[0, j] / n
        for i in range(1, m):
            normal[i, i] += 1e-8 * n
        if n > dimension and _solve(normal, right, m):
            for j in range(n_components):
                out[row, j] = right[0, j]


@njit(cache=True, nogil=True)
def interpolate(start, stop, rows, shape, value, out):
    """Values float64[k, 3] at rows int64[n, n_nodes], interpolated by shape float64[q, n_nodes].

    out float64[n, q, 3] is overwritten in cells start to stop.
    """
    for c in range(start, stop):
        for q in range(shape.shape[0]):
            x = y = z = 0.0
            for a in range(shape.shape[1]):
                row = rows[c, a]
                x += shape[q, a] * value[row, 0]
                y += shape[q, a] * value[row, 1]
                z += shape[q, a] * value[row, 2]
            out[c, q, 0], out[c, q, 1], out[c, q, 2] = x, y, z


@njit(cache=True, nogil=True)
def over_cells(start, stop, layout, block_of, rows, xyz, value, out):
    """Per cell the root mean squares of two nodal values, the largest of the first, and the cell's extent.

    Parameters
    ----------
    xyz, value : float64[k, 3], float64[k, 2]
    out : float64[n_cells, 4]
        Overwritten from start to stop; the extent is the longest side of the box around the nodes.
    """
    for c in range(start, stop):
        b = block_of[c]
        n = layout[b, 1]
        first = layout[b, 3] + (c - layout[b, 0]) * n
        one = other = largest = extent = 0.0
        for p in range(first, first + n):
            row = rows[p]
            one += value[row, 0] * value[row, 0]
            other += value[row, 1] * value[row, 1]
            largest = max(largest, value[row, 0])
        for i in range(3):
            low = high = xyz[rows[first], i]
            for p in range(first + 1, first + n):
                low = min(low, xyz[rows[p], i])
                high = max(high, xyz[rows[p], i])
            extent = max(extent, high - low)
        out[c, 0], out[c, 1], out[c, 2], out[c, 3] = np.sqrt(one / n), np.sqrt(other / n), largest, extent


@njit(cache=True, nogil=True)
def largest_around(start, stop, row_start, row_cells, per_cell, out):
    """Largest of each column of per_cell float64[n_cells, v] over the cells at each row; 0 for none.

    out float64[k, v] is overwritten at rows start to stop.
    """
    for row in range(start, stop):
        for j in range(per_cell.shape[1]):
            out[row, j] = 0.0
            for p in range(row_start[row], row_start[row + 1]):
                out[row, j] = max(out[row, j], per_cell[row_cells[p], j])


@njit(cache=True, nogil=True)
def error_energy(rows, shape, weight, nodal, own, compliance, compliance_of):
    """Energy of nodal values less the cells' own, and of their own, at integration points.

    Parameters
    ----------
    rows : int64[n, n_nodes]
    shape : float64[q, n_nodes]
    weight : float64[n, q]
        Volume each point stands for, m^3.
    nodal : float64[k, c]
    own : float64[n, q, c]
    compliance, compliance_of : float64[t, c, c], int64[n, q]
        Which tensor weighs each point.

    Returns
    -------
    float, float

    Source: Zienkiewicz and Zhu, IJNME 24 (1987) 337-357.
    """
    k = nodal.shape[1]
    error = energy = 0.0
    off, has = np.empty(k), np.empty(k)
    for c in range(rows.shape[0]):
        for q in range(shape.shape[0]):
            for j in range(k):
                has[j] = own[c, q, j]
                off[j] = -has[j]
            for a in range(shape.shape[1]):
                for j in range(k):
                    off[j] += shape[q, a] * nodal[rows[c, a], j]
            t = compliance_of[c, q]
            one = two = 0.0
            for i in range(k):
                for j in range(k):
                    one += off[i] * compliance[t, i, j] * off[j]
                    two += has[i] * compliance[t, i, j] * has[j]
            error += weight[c, q] * one
            energy += weight[c, q] * two
    return error, energy
