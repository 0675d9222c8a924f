"""Rainflow counting by the four-point rule, sample by sample."""

from __future__ import annotations

from numba import njit

from designtwin.typing import FloatArray


@njit(cache=True, nogil=True)
def count(samples: FloatArray, stack: FloatArray, size: int, out: FloatArray) -> tuple[int, int]:
    """Go on counting: closed cycles go out, turning points that wait stay on the stack.

    The last point of the stack is the last sample so far. It moves while the signal goes on in its direction,
    so that nothing is asked about what comes next, and where a history is cut makes no difference. The two
    inner of the last four points make a cycle as soon as their range is within both of its neighbors: the
    last range only grows until the signal turns, so what was within it stays within it.

    Parameters
    ----------
    samples : float64[n]
        The next piece of the history; finite.
    stack : float64[at least size + n]
        Turning points that wait, the first `size`; overwritten.
    size : int
        How many wait.
    out : float64[at least (size + n) / 2, 2]
        The ends of each closed cycle in the order of time; overwritten.

    Returns
    -------
    (size, cycles) : int
        How many points wait now, and how many cycles were closed.

    Source: Amzallag, Gerey, Robert, Bahuaud, Int. J. Fatigue 16 (1994) 287; ASTM E1049-85 (2017), 5.4.4, of
    which it gives the counts when what waits at the end counts half.
    """
    closed = 0
    n = samples.size
    at = 0
    if size == 0 and n > 0:
        stack[0] = samples[0]
        size = 1
        at = 1
    if size == 1:
        while at < n and samples[at] == stack[0]:
            at += 1
        if at < n:
            stack[1] = samples[at]
            size = 2
            at += 1
    if size < 2:
        return size, closed
    top = stack[size - 1]
    rising = top > stack[size - 2]
    while at < n:
        x = samples[at]
        at += 1
        if rising:
            if x >= top:
                # the signal goes on: run to where it stops rising
                while at < n and samples[at] >= x:
                    x = samples[at]
                    at += 1
                top = x
            else:
                stack[size - 1] = top
                size += 1
                top = x
                rising = False
        elif x <= top:
            while at < n and samples[at] <= x:
                x = samples[at]
                at += 1
            top = x
        else:
            stack[size - 1] = top
            size += 1
            top = x
            rising = True
        while size >= 4:
            a, b, c = stack[size - 4], stack[size - 3], stack[size - 2]
            inner = abs(b - c)
            if inner > abs(top - c) or inner > abs(a - b):
                break
            out[closed, 0] = b
            out[closed, 1] = c
            closed += 1
            size -= 2
    stack[size - 1] = top
    return size, closed


@njit(cache=True, nogil=True)
def turning_points(samples: FloatArray, out: FloatArray) -> int:
    """First and last sample and all peaks and valleys between, plateaus once.

    `samples` float64[n]; `out` float64[n] is overwritten at its beginning. How many there are is returned.
    """
    if samples.size == 0:
        return 0
    out[0] = samples[0]
    size = 1
    for at in range(1, samples.size):
        x = samples[at]
        if x == out[size - 1]:
            continue
        if size >= 2 and (x > out[size - 1]) == (out[size - 1] > out[size - 2]):
            out[size - 1] = x
        else:
            out[size] = x
            size += 1
    return size
