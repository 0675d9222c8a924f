"""Damage of cycles of stress, mean stress corrections and S-N curves as plain tables; many nodes at once."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from designtwin.typing import FloatArray, IntArray

# A table: float64[3 + 3 n].
#   [0] code of the mean stress correction, in the order of fatigue.mean_stress.METHODS
#   [1] its parameter: ultimate strength (Goodman, Gerber) or true fracture strength (Morrow), Pa;
#       exponent (Walker); mean stress sensitivity M (FKM)
#   [2] n, number of segments of the curve, from high to low amplitudes; of each
#       lowest amplitude, Pa; slope k; c, so that one cycle does the damage exp(k ln(amplitude) - c)
# Amplitudes below the lowest of the last segment do no damage.


@njit(cache=True, nogil=True)
def equivalent_amplitude(amplitude: float, mean: float, table: FloatArray) -> float:
    """The fully reversed amplitude (R = -1) that does the damage of a cycle, Pa; inf beyond the strength.

    Parameters
    ----------
    amplitude, mean : float
        Of the cycle, Pa.
    table : float64[3 + 3 n]
        As said at the top of this file; the first two numbers are read.

    Source: Dowling, Mechanical Behavior of Materials, 4th ed. (2013), sec. 9.7; FKM Guideline, 6th ed.
    (2012), sec. 2.4.2, the four fields of the Haigh diagram.
    """
    code = table[0]
    p = table[1]
    if code == 0.0 or amplitude <= 0.0:
        return amplitude
    if code == 5.0 or code == 4.0:  # Smith-Watson-Topper is Walker's with an exponent of one half
        highest = mean + amplitude
        if highest <= 0.0:
            return 0.0
        if code == 4.0:
            return math.sqrt(highest * amplitude)
        return highest ** (1.0 - p) * amplitude**p
    if code == 6.0:
        if mean < -amplitude:  # R > 1, all compression
            return amplitude * (1.0 - p)
        if mean <= amplitude:  # R <= 0
            return amplitude + p * mean
        flat = (1.0 + p) / (1.0 + p / 3.0)
        if mean < 3.0 * amplitude:  # R < 0.5
            return (amplitude + p / 3.0 * mean) * flat
        return amplitude * (1.0 + p) * flat
    if mean <= 0.0 and code != 3.0:  # Goodman and Gerber: compression is not credited
        return amplitude
    share = mean / p
    if code == 2.0:
        share *= share
    return amplitude / (1.0 - share) if share < 1.0 else math.inf


@njit(cache=True, nogil=True)
def cycle_damage(amplitude: float, mean: float, table: FloatArray) -> float:
    """Damage of one cycle, 1/N; `amplitude` and `mean` in Pa, `table` as said at the top of this file."""
    equivalent = equivalent_amplitude(amplitude, mean, table)
    if equivalent <= 0.0:
        return 0.0
    for at in range(3, 3 + 3 * int(table[2]), 3):
        if equivalent >= table[at]:
            return math.exp(table[at + 1] * math.log(equivalent) - table[at + 2])
    return 0.0


@njit(cache=True, nogil=True)
def equivalent_amplitudes(
    amplitude: FloatArray, mean: FloatArray, table: FloatArray, out: FloatArray
) -> None:
    """`equivalent_amplitude` of each cycle; `out` float64[n] is overwritten, Pa."""
    for i in range(amplitude.size):
        out[i] = equivalent_amplitude(amplitude[i], mean[i], table)


@njit(cache=True, nogil=True)
def cycle_damages(amplitude: FloatArray, mean: FloatArray, table: FloatArray, out: FloatArray) -> None:
    """`cycle_damage` of each cycle; `out` float64[n] is overwritten."""
    for i in range(amplitude.size):
        out[i] = cycle_damage(amplitude[i], mean[i], table)


# ---------------------------------------------------------------------------------------------------
# Many nodes, few channels
#
# The stress of a node is linear in the channels, so that its square of von Mises is a quadratic form of them:
# all that a node needs of its unit cases is a small triangle of numbers. Samples go through in stretches that
# lie in the first cache; of a node only its residue of rainflow is carried from one stretch to the next.
# ---------------------------------------------------------------------------------------------------

STRETCH = 512
"""Samples of a stretch."""


@njit(cache=True, nogil=True)
def signed_of_four(
    root: FloatArray, sign: FloatArray, channels: FloatArray, first: int, n: int, out: FloatArray
) -> None:
    """What `signed` gives where there are four channels and four rows, in one sweep."""
    x0, x1, x2, x3 = channels[0], channels[1], channels[2], channels[3]
    a00, a01, a02, a03 = root[0, 0], root[0, 1], root[0, 2], root[0, 3]
    a11, a12, a13 = root[1, 1], root[1, 2], root[1, 3]
    a22, a23, a33 = root[2, 2], root[2, 3], root[3, 3]
    s0, s1, s2, s3 = sign[0], sign[1], sign[2], sign[3]
    for t in range(n):
        p, q, r, s = x0[first + t], x1[first + t], x2[first + t], x3[first + t]
        u = a00 * p + a01 * q + a02 * r + a03 * s
        v = a11 * q + a12 * r + a13 * s
        w = a22 * r + a23 * s
        z = a33 * s
        side = s0 * p + s1 * q + s2 * r + s3 * s
        out[t] = math.copysign(math.sqrt(u * u + v * v + w * w + z * z), side)


@njit(cache=True, nogil=True)
def linear(form: FloatArray, channels: FloatArray, first: int, n: int, out: FloatArray) -> None:
    """``form @ channels`` over a stretch of samples."""
    for t in range(n):
        out[t] = 0.0
    for j in range(len(form)):
        a, x = form[j], channels[j]
        if a != 0.0:
            for t in range(n):
                out[t] += a * x[first + t]


@njit(cache=True, nogil=True)
def signed(
    root: FloatArray, sign: FloatArray, channels: FloatArray, first: int, n: int,
    row: FloatArray, side: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Length of ``root @ channels`` with the sign of ``sign @ channels`` over a stretch of samples.

    Parameters
    ----------
    root : float64[r, m]
        Upper triangular, Pa per unit of each channel; without rows the answer is ``sign @ channels`` itself.
    sign : float64[m]
    channels : float64[m, samples]
    first, n : int
        The stretch.
    row, side : float64[n]
        Overwritten.
    out : float64[n]
        Overwritten, Pa.
    """
    if len(root) == 0:
        linear(sign, channels, first, n, out)
        return
    for t in range(n):
        out[t] = 0.0
    for i in range(len(root)):
        linear(root[i], channels, first, n, row)
        for t in range(n):
            out[t] += row[t] * row[t]
    linear(sign, channels, first, n, side)
    for t in range(n):
        out[t] = math.copysign(math.sqrt(out[t]), side[t])


@njit(cache=True, nogil=True)
def turns(stress: FloatArray, n: int, last: float, rises: bool, out: FloatArray) -> tuple[int, float, bool]:
    """Turning points of a stretch, without branches: how many, its last sample, and whether that was rising.

    Parameters
    ----------
    stress : float64[n]
    last : float
        The sample before.
    rises : bool
        Whether that was reached rising.
    out : float64[n + 1]
        Overwritten with the turning points.
    """
    found = 0
    for t in range(n):
        step = stress[t] - last
        up = step > 0.0
        moves = step != 0.0
        out[found] = last
        found += moves & (up != rises)
        rises = up if moves else rises
        last = stress[t]
    return found, last, rises


@njit(cache=True, nogil=True)
def power(x: float, k: float) -> float:
    """x^k for x > 0; whole exponents, which most slopes are, by products: far faster than a logarithm."""
    if k != math.floor(k) or not 0.0 < k <= 64.0:
        return math.exp(k * math.log(x))
    n, out = int(k), 1.0
    while n:
        if n & 1:
            out *= x
        x *= x
        n >>= 1
    return out


@njit(cache=True, nogil=True)
def lines_of(table: FloatArray) -> FloatArray:
    """Segments of a curve as float64[n, 3]: lowest amplitude, slope k, and u with 1/N = (u amplitude)^k."""
    out = np.empty((int(table[2]), 3))
    for i in range(len(out)):
        out[i, 0], out[i, 1] = table[3 + 3 * i], table[4 + 3 * i]
        out[i, 2] = math.exp(-table[5 + 3 * i] / table[4 + 3 * i])
    return out


@njit(cache=True, nogil=True)
def close_cycles(stack: FloatArray, depth: int, table: FloatArray, lines: FloatArray) -> tuple[int, float]:
    """Take closed cycles off the top of a residue: its depth after, and their damage.

    A range that both its neighbors reach over is a cycle; its damage is that of `cycle_damage`, `lines` as
    `lines_of` gives them.

    Source: Amzallag, Gerey, Robert and Bahuaud, Int. J. Fatigue 16 (1994) 287-293.
    """
    damage = 0.0
    while depth >= 4:
        a, b, c, d = stack[depth - 4], stack[depth - 3], stack[depth - 2], stack[depth - 1]
        inner = abs(c - b)
        if inner > min(abs(d - c), abs(b - a)):
            break
        amplitude = equivalent_amplitude(0.5 * inner, 0.5 * (b + c), table)
        for i in range(len(lines)):
            if amplitude >= lines[i, 0]:
                if amplitude > 0.0:
                    damage += power(lines[i, 2] * amplitude, lines[i, 1])
                break
        stack[depth - 3] = d
        depth -= 2
    return depth, damage


@njit(cache=True, nogil=True)
def close_residue(stack: FloatArray, depth: int, table: FloatArray, lines: FloatArray) -> float:
    """Damage of the cycles that a residue closes when its history comes again.

    Source: ASTM E1049-85 (2017), sec. 5.4.5, of histories that repeat.
    """
    again = stack[:depth].copy()
    if len(stack) < 2 * depth:
        stack = np.concatenate((again, np.empty(depth)))
    damage = 0.0
    for point in again:
        step = point - stack[depth - 1]
        if step == 0.0:
            continue
        # Where the end meets the beginning a point may lie on the way from one to the next.
        if depth > 1 and step * (stack[depth - 1] - stack[depth - 2]) > 0.0:
            depth -= 1
        stack[depth] = point
        depth, closed = close_cycles(stack, depth + 1, table, lines)
        damage += closed
    return damage


@njit(cache=True, nogil=True)
def damage_of_histories(
    start: int, stop: int, roots: FloatArray, signs: FloatArray, table_of: IntArray, tables: FloatArray,
    channels: FloatArray, damage: FloatArray, least: FloatArray, most: FloatArray,
) -> None:  # fmt: skip
    """Damage at nodes over one pass of a history that repeats, of each node's own stress cycle by cycle.

    Parameters
    ----------
    roots : float64[n, r, m]
        Of each node, see `signed`, Pa per unit of a channel.
    signs : float64[n, m]
    table_of : int64[n]
        Row of ``tables`` of each node.
    tables : float64[c, ...]
        See `cycle_damage`.
    channels : float64[m, samples]
    damage : float64[n]
        Overwritten: sum of 1/N over all cycles.
    least, most : float64[n]
        Overwritten: the smallest and largest stress, Pa.
    """
    n_samples = channels.shape[1]
    four = roots.shape[1] == 4 and roots.shape[2] == 4
    row, side = np.empty(STRETCH), np.empty(STRETCH)
    stress, points = np.empty(STRETCH), np.empty(STRETCH + 1)
    stack = np.empty(256)
    for node in range(start, stop):
        root, sign, table = roots[node], signs[node], tables[table_of[node]]
        lines = lines_of(table)
        depth, total, last, rises = 0, 0.0, 0.0, True
        low, high = math.inf, -math.inf
        for first in range(0, n_samples, STRETCH):
            n = min(STRETCH, n_samples - first)
            if four:
                signed_of_four(root, sign, channels, first, n, stress)
            else:
                signed(root, sign, channels, first, n, row, side, stress)
            if first == 0:
                last = low = high = stack[0] = stress[0]
                depth = 1  # where the history falls first this point comes again, which makes no cycle
            found, last, rises = turns(stress, n, last, rises, points)
            while depth + found + 1 > len(stack):
                stack = np.concatenate((stack, np.empty(len(stack))))
            for k in range(found):
                low, high = min(low, points[k]), max(high, points[k])
                stack[depth] = points[k]
                depth, closed = close_cycles(stack, depth + 1, table, lines)
                total += closed
        if last != stack[depth - 1]:
            low, high = min(low, last), max(high, last)
            stack[depth] = last
            depth, closed = close_cycles(stack, depth + 1, table, lines)
            total += closed
        damage[node] = total + close_residue(stack, depth, table, lines)
        least[node], most[node] = low, high


# ---------------------------------------------------------------------------------------------------
# How damage changes with the history
# ---------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def equivalent_slopes(amplitude: float, mean: float, table: FloatArray) -> tuple[float, float]:
    """How `equivalent_amplitude` changes with amplitude and with mean; 0, 0 where it is 0 or infinite."""
    code, p = table[0], table[1]
    if code == 0.0 or amplitude <= 0.0:
        return 1.0, 0.0
    if code == 5.0 or code == 4.0:
        highest = mean + amplitude
        if highest <= 0.0:
            return 0.0, 0.0
        if code == 4.0:
            p = 0.5
        equivalent = highest ** (1.0 - p) * amplitude**p
        of_mean = (1.0 - p) * equivalent / highest
        return of_mean + p * equivalent / amplitude, of_mean
    if code == 6.0:
        if mean < -amplitude:
            return 1.0 - p, 0.0
        if mean <= amplitude:
            return 1.0, p
        flat = (1.0 + p) / (1.0 + p / 3.0)
        if mean < 3.0 * amplitude:
            return flat, p / 3.0 * flat
        return (1.0 + p) * flat, 0.0
    if mean <= 0.0 and code != 3.0:
        return 1.0, 0.0
    share, steep = mean / p, 1.0 / p
    if code == 2.0:
        share, steep = share * share, 2.0 * share / p
    if share >= 1.0:
        return 0.0, 0.0
    return 1.0 / (1.0 - share), amplitude * steep / (1.0 - share) ** 2


@njit(cache=True, nogil=True)
def close_cycles_at(
    stress: FloatArray, stack: IntArray, depth: int, table: FloatArray, lines: FloatArray, out: FloatArray
) -> tuple[int, float]:
    """`close_cycles` of samples that are known by their numbers; slopes of the damage are added to `out`."""
    damage = 0.0
    while depth >= 4:
        b, c = stack[depth - 3], stack[depth - 2]
        first, last = stress[stack[depth - 4]], stress[stack[depth - 1]]
        inner = abs(stress[c] - stress[b])
        if inner > min(abs(last - stress[c]), abs(stress[b] - first)):
            break
        amplitude, mean = 0.5 * inner, 0.5 * (stress[b] + stress[c])
        equivalent = equivalent_amplitude(amplitude, mean, table)
        for i in range(len(lines)):
            if equivalent >= lines[i, 0]:
                if equivalent > 0.0:
                    one = power(lines[i, 2] * equivalent, lines[i, 1])
                    damage += one
                    if math.isfinite(one):
                        of_amplitude, of_mean = equivalent_slopes(amplitude, mean, table)
                        steep = 0.5 * lines[i, 1] * one / equivalent
                        rises = 1.0 if stress[c] > stress[b] else -1.0
                        out[c] += steep * (of_mean + rises * of_amplitude)
                        out[b] += steep * (of_mean - rises * of_amplitude)
                break
        stack[depth - 3] = stack[depth - 1]
        depth -= 2
    return depth, damage


@njit(cache=True, nogil=True)
def damage_slopes(
    start: int, stop: int, stress: FloatArray, table_of: IntArray, tables: FloatArray, damage: FloatArray,
    out: FloatArray,
) -> None:  # fmt: skip
    """How damage changes with each sample, the cycles that were counted staying what they are.

    Parameters
    ----------
    stress : float64[n, samples]
        Histories, Pa, each of which repeats.
    table_of : int64[n]
        Row of ``tables`` of each.
    tables : float64[c, ...]
        See `cycle_damage`.
    damage : float64[n]
        Overwritten: as `damage_of_histories` counts it.
    out : float64[n, samples]
        Overwritten: its derivative, 1/Pa; not zero at turning points alone.
    """
    n_samples = stress.shape[1]
    stack = np.empty(2 * n_samples + 4, np.int64)
    for node in range(start, stop):
        history, table = stress[node], tables[table_of[node]]
        lines = lines_of(table)
        out[node] = 0.0
        depth, total, rises = 1, 0.0, True
        stack[0] = 0
        for t in range(1, n_samples):
            step = history[t] - history[t - 1]
            if step != 0.0 and (step > 0.0) != rises:
                rises = step > 0.0
                stack[depth] = t - 1
                depth, closed = close_cycles_at(history, stack, depth + 1, table, lines, out[node])
                total += closed
        if history[n_samples - 1] != history[stack[depth - 1]]:
            stack[depth] = n_samples - 1
            depth, closed = close_cycles_at(history, stack, depth + 1, table, lines, out[node])
            total += closed
        again = stack[:depth].copy()
        for point in again:
            step = history[point] - history[stack[depth - 1]]
            if step == 0.0:
                continue
            if depth > 1 and step * (history[stack[depth - 1]] - history[stack[depth - 2]]) > 0.0:
                depth -= 1
            stack[depth] = point
            depth, closed = close_cycles_at(history, stack, depth + 1, table, lines, out[node])
            total += closed
        damage[node] = total
