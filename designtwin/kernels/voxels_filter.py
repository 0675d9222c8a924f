"""Weighted sums over the neighborhood of every voxel."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def convolve(start, stop, rows, steps, weights, values, out):
    """Sum of weights times the values of neighbors; what lies outside the box counts as zero.

    Parameters
    ----------
    start, stop : int
        Rows of voxels along x, numbered y first.
    rows : int
        Rows in a layer.
    steps : int64[n, 3]
        Neighbors: steps along x, y, z.
    weights : float64[n]
    values : float64[n_layers * rows, nx]
    out : float64[n_layers * rows, nx]
        Overwritten.
    """
    n_layers, nx = values.shape[0] // rows, values.shape[1]
    total = np.empty(nx)
    for row in range(start, stop):
        j, k = row % rows, row // rows
        total[:] = 0.0
        for s in range(steps.shape[0]):
            step = steps[s, 0]
            jj, kk = j + steps[s, 1], k + steps[s, 2]
            if jj < 0 or jj >= rows or kk < 0 or kk >= n_layers:
                continue
            weight = weights[s]
            of = values[kk * rows + jj]
            for i in range(max(0, -step), min(nx, nx - step)):
                total[i] += weight * of[i + step]
        out[row] = total
