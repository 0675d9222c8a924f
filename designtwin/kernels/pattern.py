"""Which nodes share a cell: orders, sparse patterns, and adding cell matrices into them.

Kernels that take `start, stop` first do that range alone and write only there (see `parallel.run`).
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def curve_keys(start, stop, points, low, scale, keys):
    """Place of points start to stop on Morton's curve: bits of three coordinates in turn.

    Parameters
    ----------
    points : float64[n, 3]
    low, scale : float64[3], float
        Coordinates map to (x - low) * scale, within 0 to 2^20.
    keys : int64[n]
        Overwritten.
    """
    for p in range(start, stop):
        key = 0
        for i in range(3):
            v = np.int64((points[p, i] - low[i]) * scale) & 0xFFFFF
            v = (v | (v << 32)) & 0x1F00000000FFFF
            v = (v | (v << 16)) & 0x1F0000FF0000FF
            v = (v | (v << 8)) & 0x100F00F00F00F00F
            v = (v | (v << 4)) & 0x10C30C30C30C30C3
            v = (v | (v << 2)) & 0x1249249249249249
            key |= v << i
        keys[p] = key


@njit(cache=True, nogil=True)
def incidence(n_points, cell_start, cell_nodes, start, cells):
    """Cells at each node, in ascending order.

    Parameters
    ----------
    cell_start, cell_nodes : int64[n_cells + 1], int64[.]
        Nodes of each cell, one after another.
    start, cells : int64[n_points + 1], int64[len(cell_nodes)]
        Overwritten: cells of node i are cells[start[i]:start[i + 1]].
    """
    start[:] = 0
    for k in range(cell_nodes.shape[0]):
        start[cell_nodes[k] + 1] += 1
    for i in range(n_points):
        start[i + 1] += start[i]
    fill = start[:n_points].copy()
    for c in range(cell_start.shape[0] - 1):
        for k in range(cell_start[c], cell_start[c + 1]):
            i = cell_nodes[k]
            cells[fill[i]] = c
            fill[i] += 1


@njit(cache=True, nogil=True)
def neighbors(begin, end, start, cells, cell_start, cell_nodes, indptr, indices):
    """Sorted nodes that share a cell with each node begin to end, itself included.

    Parameters
    ----------
    start, cells, cell_start, cell_nodes
        See `incidence`.
    indptr : int32[n_points + 1]
        If indices is empty, the number of neighbors of i is left in i + 1; else sums of them are read.
    indices : int32[nnz]
        Overwritten.
    """
    n_points = indptr.shape[0] - 1
    seen = np.full(n_points, -1, np.int32)
    fill = indices.shape[0] > 0
    for i in range(begin, end):
        first = indptr[i] if fill else 0
        at = first
        for k in range(start[i], start[i + 1]):
            c = cells[k]
            for m in range(cell_start[c], cell_start[c + 1]):
                j = cell_nodes[m]
                if seen[j] != i:
                    seen[j] = i
                    if fill:
                        indices[at] = j
                    at += 1
        if fill:
            indices[first:at].sort()
        else:
            indptr[i + 1] = at


@njit(cache=True, nogil=True)
def _slot(indptr, indices, row, column):
    """Where an entry of a sorted pattern is."""
    low, high = indptr[row], indptr[row + 1] - 1
    while low < high:
        middle = (low + high) // 2
        if indices[middle] < column:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def add_blocks(begin, end, indptr, indices, nodes, matrices, data):
    """Add cell matrices into rows begin to end of a block-sparse matrix, in the order of cells.

    Parameters
    ----------
    indptr, indices : int32[n_points + 1], int32[nnz]
        Sorted block pattern.
    nodes : int64[n_cells, n]
    matrices : float64[n_cells, n * b, n * b]
    data : float64[nnz, b, b]
        Added to.
    """
    b = data.shape[1]
    n = nodes.shape[1]
    for c in range(nodes.shape[0]):
        for p in range(n):
            row = nodes[c, p]
            if row < begin or row >= end:
                continue
            for q in range(n):
                slot = _slot(indptr, indices, row, nodes[c, q])
                for i in range(b):
                    for j in range(b):
                        data[slot, i, j] += matrices[c, p * b + i, q * b + j]


@njit(cache=True, nogil=True)
def find_slots(start, stop, indptr, indices, nodes, out):
    """Where the entries of cells start to stop are in a sparse matrix.

    Parameters
    ----------
    indptr, indices : int32[n_points + 1], int32[nnz]
        Sorted pattern.
    nodes : int64[n_cells, n]
    out : int32[n_cells, n * n]
        Overwritten.
    """
    n = nodes.shape[1]
    for c in range(start, stop):
        for p in range(n):
            row = nodes[c, p]
            for q in range(n):
                out[c, p * n + q] = _slot(indptr, indices, row, nodes[c, q])


@njit(cache=True, nogil=True)
def add_at(slots, values, data):
    """Add values float64[n_cells, k] to data float64[nnz] at their slots int32[n_cells, k], cell by cell."""
    for c in range(slots.shape[0]):
        for k in range(slots.shape[1]):
            data[slots[c, k]] += values[c, k]


@njit(cache=True, nogil=True)
def weighted(start, stop, table, weight, out):
    """out[c] = sum over q of weight[c, q] table[q], for rows start to stop.

    With the products of shape functions as table that is the matrix of each cell: the integral of N_i w N_j.

    Parameters
    ----------
    table : float64[q, k]
    weight : float64[n_cells, q]
    out : float64[n_cells, k]
        Overwritten.
    """
    for c in range(start, stop):
        for k in range(table.shape[1]):
            out[c, k] = 0.0
        for q in range(table.shape[0]):
            w = weight[c, q]
            for k in range(table.shape[1]):
                out[c, k] += w * table[q, k]
