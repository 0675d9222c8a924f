"""Damage of cycles of stress: mean stress corrections and S-N curves as plain tables."""

from __future__ import annotations

import math

from numba import njit

from designtwin.typing import FloatArray

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

    Source: Dowling, Mechanical Behavior of Materials, 4th ed. (2013), sec. 9.7; FKM Guideline, 6th ed. (2012),
    sec. 2.4.2, the four fields of the Haigh diagram.
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
