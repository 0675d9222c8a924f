"""Sweeps over cells in the order in which they are made: what rests on what, and slopes back through it."""

from __future__ import annotations

import math

from numba import njit

from designtwin.typing import FloatArray, IntArray


@njit(cache=True, nogil=True)
def rest(
    order: IntArray, start: IntArray, below: IntArray, free: FloatArray, density: FloatArray,
    power: float, root: float, round_off: float, most: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Density that can be printed: no more than there is to rest on, smin(density, smax(below)).

    Parameters
    ----------
    order : int64[n]
        Cells, lowest first; those below come before.
    start, below : int64[n + 1], int64[k]
        Cells on which each may rest.
    free : float64[n]
        1 where a cell needs no support.
    density : float64[n]
    power, root : float
        smax = (sum of below^power)^(1 / root).
    round_off : float
        epsilon of smin(a, b) = (a + b - sqrt((a - b)^2 + epsilon) + sqrt(epsilon)) / 2.
    most, out : float64[n]
        Overwritten: smax, and the density printed.

    Source: Langelaar, Topology optimization of 3D self-supporting structures for additive manufacturing,
    Additive Manufacturing 12 (2016), 60-70, eqs. 2-5.
    """
    for c in order:
        if free[c] > 0.5:
            most[c] = 1.0
            out[c] = density[c]
            continue
        total = 0.0
        for k in range(start[c], start[c + 1]):
            total += max(out[below[k]], 0.0) ** power
        most[c] = total ** (1.0 / root) if total > 0.0 else 0.0
        gap = density[c] - most[c]
        out[c] = 0.5 * (density[c] + most[c] - math.sqrt(gap * gap + round_off) + math.sqrt(round_off))


@njit(cache=True, nogil=True)
def rest_adjoint(
    order: IntArray, start: IntArray, below: IntArray, free: FloatArray, density: FloatArray,
    power: float, root: float, round_off: float, most: FloatArray, out: FloatArray, slope: FloatArray,
    back: FloatArray,
) -> None:  # fmt: skip
    """Slopes by `density` from those by `out` of `rest`.

    Parameters
    ----------
    slope : float64[n]
        By the density printed; overwritten on the way down.
    back : float64[n]
        Overwritten: by the density given. The others as in `rest`.
    """
    for i in range(len(order) - 1, -1, -1):
        c = order[i]
        if free[c] > 0.5:
            back[c] = slope[c]
            continue
        gap = density[c] - most[c]
        lean = gap / math.sqrt(gap * gap + round_off)
        back[c] = 0.5 * (1.0 - lean) * slope[c]
        if most[c] <= 0.0:
            continue
        by_most = 0.5 * (1.0 + lean) * slope[c] * power / root
        # The powers of densities as small as 1e-8 leave the numbers there are; their product does not.
        shift = (1.0 - root) * math.log(most[c])
        for k in range(start[c], start[c + 1]):
            value = out[below[k]]
            if value > 0.0:
                slope[below[k]] += by_most * math.exp((power - 1.0) * math.log(value) + shift)


@njit(cache=True, nogil=True)
def fill(
    order: IntArray, start: IntArray, above: IntArray, density: FloatArray, round_off: float,
    out: FloatArray,
) -> None:  # fmt: skip
    """Density without undercuts: at least what there is above, smax over it one after another.

    Parameters
    ----------
    order : int64[n]
        Cells, highest first.
    start, above : int64[n + 1], int64[k]
        Cells right above each.
    density : float64[n]
    round_off : float
        epsilon of smax(a, b) = (a + b + sqrt((a - b)^2 + epsilon) - sqrt(epsilon)) / 2, which is never above
        the larger of the two.
    out : float64[n]
        Overwritten.
    """
    edge = math.sqrt(round_off)
    for c in order:
        value = density[c]
        for k in range(start[c], start[c + 1]):
            gap = value - out[above[k]]
            value = 0.5 * (value + out[above[k]] + math.sqrt(gap * gap + round_off) - edge)
        out[c] = value


@njit(cache=True, nogil=True)
def fill_adjoint(
    order: IntArray, start: IntArray, above: IntArray, density: FloatArray, round_off: float,
    out: FloatArray, slope: FloatArray, back: FloatArray,
) -> None:  # fmt: skip
    """Slopes by `density` from those by `out` of `fill`.

    Parameters
    ----------
    slope : float64[n]
        By the density filled; overwritten on the way.
    back : float64[n]
        Overwritten: by the density given. The others as in `fill`.
    """
    edge = math.sqrt(round_off)
    for i in range(len(order) - 1, -1, -1):
        c = order[i]
        first, last = start[c], start[c + 1]
        left = slope[c]
        for k in range(last - 1, first - 1, -1):
            # The value before this step, found again from the start: few cells lie above one.
            value = density[c]
            for j in range(first, k):
                gap = value - out[above[j]]
                value = 0.5 * (value + out[above[j]] + math.sqrt(gap * gap + round_off) - edge)
            gap = value - out[above[k]]
            lean = gap / math.sqrt(gap * gap + round_off)
            slope[above[k]] += 0.5 * (1.0 - lean) * left
            left *= 0.5 * (1.0 + lean)
        back[c] = left
