"""An order of elimination that keeps factors small: nested dissection of the graph of a matrix.

Needs no coordinates: separators come from the graph alone, by coarsening and refinement.
"""

from __future__ import annotations

from collections.abc import Callable
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
    place = perm.copy()
    ranges = [(0, n)]
    if n > _SERIAL:
        for level in range(3):  # the first cuts one by one, then all parts side by side
            ends = np.zeros((len(ranges), 2), np.int64)
            bounds = np.array(ranges, np.int64)
            _over(_cut, len(ranges), bounds, ends, indptr, indices, weight, perm, place, level)
            ranges = [
                part
                for (begin, end), (first, second) in zip(bounds.tolist(), ends.tolist(), strict=True)
                for part in ([(begin, first), (first, second)] if first else [(begin, end)])
                if part[1] > part[0]
            ]
    begins, ends = np.array(ranges, np.int64).reshape(-1, 2).T.copy()
    parallel.run(dissection.dissect, len(begins), begins, ends, indptr, indices, weight, perm, place, _LEAF)
    return perm


def _over(kernel: Callable[..., Any], n: int, *arguments: Any) -> None:
    parallel.run(kernel, n, *arguments)


def _cut(
    start: int,
    stop: int,
    bounds: Array,
    ends: Array,
    indptr: Array,
    indices: Array,
    weight: Array,
    perm: Array,
    place: Array,
    level: int,
) -> None:
    for r in range(start, stop):
        begin, end = (int(x) for x in bounds[r])
        if end - begin > _SERIAL // 4:
            dissection.split(indptr, indices, weight, perm, place, begin, end, 11 + level, ends[r])
            if ends[r, 0] == begin or ends[r, 0] == ends[r, 1]:
                ends[r] = 0  # a clique has no halves
