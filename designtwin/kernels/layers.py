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
def _squares(x: float, reach: float, size: float, n: int) -> tuple[int, int]:
    """The first square of n in a row within reach of x, and the one after the last."""
    return max(0, int((x - reach) / size)), min(n - 1, int((x + reach) / size)) + 1


@njit(cache=True, nogil=True)
def fill(
    start: int, stop: int, height: FloatArray, aside: FloatArray, bins: IntArray, begin: IntArray,
    member: IntArray, end: float, size: float, tangent: float, slack: float, step: float, power: float,
    floor: float, density: FloatArray, total: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Density that a die leaves: what there is in the cone above each cell, sum of x^(p + 1) over sum of x^p.

    This mean is that of the densest: exact where all are 0 or 1, and never above the largest.

    Parameters
    ----------
    start, stop : int
        Cells.
    height : float64[n]
        Along the way of the die, m.
    aside : float64[n, 2]
        Across it, m, from a corner that no cell is beyond.
    bins : int64[2]
        Squares across.
    begin, member : int64[bins[0] * bins[1] + 1], int64[n]
        Cells of each square, highest first.
    end : float
        Height of the highest cell, m.
    size : float
        Edge of a square, m.
    tangent, slack : float
        The cone is slack + tangent * height wide, m.
    step : float
        Height from which on a cell is above another, m.
    power, floor : float
        p, and the least density, whose powers are still numbers.
    density : float64[n]
    total, out : float64[n]
        Overwritten: sum of x^p, and the density filled.
    """
    for c in range(start, stop):
        reach = slack + tangent * (end - height[c])
        value = max(density[c], floor)
        low = value**power
        high = low * value
        for i in range(*_squares(aside[c, 0], reach, size, bins[0])):
            for j in range(*_squares(aside[c, 1], reach, size, bins[1])):
                for k in range(begin[i * bins[1] + j], begin[i * bins[1] + j + 1]):
                    other = member[k]
                    along = height[other] - height[c]
                    if along <= step:
                        break
                    wide = slack + tangent * along
                    x, y = aside[other, 0] - aside[c, 0], aside[other, 1] - aside[c, 1]
                    if x * x + y * y <= wide * wide:
                        value = max(density[other], floor)
                        part = value**power
                        low += part
                        high += part * value
        total[c] = low
        out[c] = high / low


@njit(cache=True, nogil=True)
def fill_adjoint(
    start: int, stop: int, height: FloatArray, aside: FloatArray, bins: IntArray, begin: IntArray,
    member: IntArray, end: float, size: float, tangent: float, slack: float, step: float, power: float,
    floor: float, density: FloatArray, total: FloatArray, out: FloatArray, slope: FloatArray,
    back: FloatArray,
) -> None:  # fmt: skip
    """Slopes by `density` from those by `out` of `fill`: of the cells in the cone below each.

    Parameters
    ----------
    slope : float64[n]
        By the density filled.
    back : float64[n]
        Overwritten: by the density given. The others as in `fill`, `total` and `out` as it left them, the
        cells of each square lowest first, `end` the height of the lowest.
    """
    for c in range(start, stop):
        value = max(density[c], floor)
        reach = slack + tangent * (height[c] - end)
        grown = value ** (power - 1.0)
        sum_ = slope[c] / total[c] * ((power + 1.0) * value - power * out[c])
        for i in range(*_squares(aside[c, 0], reach, size, bins[0])):
            for j in range(*_squares(aside[c, 1], reach, size, bins[1])):
                for k in range(begin[i * bins[1] + j], begin[i * bins[1] + j + 1]):
                    other = member[k]
                    along = height[c] - height[other]
                    if along <= step:
                        break
                    wide = slack + tangent * along
                    x, y = aside[other, 0] - aside[c, 0], aside[other, 1] - aside[c, 1]
                    if x * x + y * y <= wide * wide:
                        sum_ += slope[other] / total[other] * ((power + 1.0) * value - power * out[other])
        back[c] = grown * sum_
