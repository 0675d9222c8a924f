"""Sparse patterns of nodes that share a cell, and adding cell matrices into them."""

from __future__ import annotations

import numpy as np
from numba import njit


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
def count_neighbors(start, cells, cell_start, cell_nodes, counts):
    """Number of nodes that share a cell with each node, itself included; counts int64[n_points]."""
    n_points = counts.shape[0]
    seen = np.full(n_points, -1, np.int64)
    for i in range(n_points):
        count = 0
        for k in range(start[i], start[i + 1]):
            c = cells[k]
            for m in range(cell_start[c], cell_start[c + 1]):
                j = cell_nodes[m]
                if seen[j] != i:
                    seen[j] = i
                    count += 1
        counts[i] = count


@njit(cache=True, nogil=True)
def fill_neighbors(start, cells, cell_start, cell_nodes, indptr, indices):
    """Sorted neighbors of each node into indices, int32[indptr[-1]]."""
    n_points = indptr.shape[0] - 1
    seen = np.full(n_points, -1, np.int64)
    for i in range(n_points):
        at = indptr[i]
        for k in range(start[i], start[i + 1]):
            c = cells[k]
            for m in range(cell_start[c], cell_start[c + 1]):
                j = cell_nodes[m]
                if seen[j] != i:
                    seen[j] = i
                    indices[at] = j
                    at += 1
        indices[indptr[i] : at].sort()


@njit(cache=True, nogil=True)
def add_blocks(indptr, indices, nodes, matrices, data):
    """Add cell matrices into a block-sparse matrix.

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
            for q in range(n):
                column = nodes[c, q]
                low, high = indptr[row], indptr[row + 1] - 1
                while low < high:
                    middle = (low + high) // 2
                    if indices[middle] < column:
                        low = middle + 1
                    else:
                        high = middle
                for i in range(b):
                    for j in range(b):
                        data[low, i, j] += matrices[c, p * b + i, q * b + j]
