"""An order of elimination that keeps factors small: nested dissection of the graph of a matrix.

Needs no coordinates: separators come from the graph alone, by coarsening and refinement.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from designtwin import parallel
from designtwin.kernels import dissection

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]  # int32 here, as kernels take them

_LEAF = 80  # vertices ordered by least degree instead
_SERIAL = 2000  # vertices below which one thread is faster


def nested_dissection(indptr: Array, indices: Array, weight: Array) -> Array:
    """Order the vertices of a symmetric graph for elimination.

    Parameters
    ----------
    indptr, indices : int32
        Neighbors of every vertex, itself left out or not.
    weight : int32[n]
        Unknowns of every vertex.

    Returns
    -------
    int32[n]
        Vertices in order of elimination; the same for any number of threads.

    Source: George, Nested dissection of a regular finite element mesh, SIAM J. Numer. Anal. 10 (1973).
    """
    n = len(weight)
    perm = np.arange(n, dtype=np.int32)
    graph = (indptr, indices, weight, perm, perm.copy(), _LEAF)
    ranges = [(0, n)]
    if n > _SERIAL:
        for _ in range(3):  # the first cuts one after another, then all parts side by side
            bounds = np.array(ranges, np.int64).reshape(-1, 2)
            cuts = np.zeros_like(bounds)
            parallel.run(dissection.dissect, len(bounds), bounds, cuts, True, *graph)
            ranges = []
            for (begin, end), (first, second) in zip(bounds.tolist(), cuts.tolist(), strict=True):
                parts = [(begin, first), (first, second)] if first else [(begin, end)]
                ranges += [part for part in parts if part[1] > part[0]]
    bounds = np.array(ranges, np.int64).reshape(-1, 2)
    parallel.run(dissection.dissect, len(bounds), bounds, np.zeros_like(bounds), False, *graph)
    return perm
