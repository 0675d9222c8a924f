"""Rainflow counting by the four-point rule, sample by sample."""

from __future__ import annotations

from numba import njit

from designtwin.typing import FloatArray


@njit(cache=True, nogil=True)
def count(
    samples: FloatArray, stack: FloatArray, size: int, ranges: FloatArray, means: FloatArray
) -> tuple[int, int]:
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
    ranges, means : float64[at least (size + n) / 2]
        Of each closed cycle, in the order of closing; overwritten.

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
            ranges[closed] = inner
            means[closed] = 0.5 * (b + c)
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


@njit(cache=True, nogil=True)
def count_beside(samples: FloatArray, beside: FloatArray, stack: FloatArray, out: FloatArray) -> int:
    """Cycles of one signal, each with the highest value of another while it lasts.

    Parameters
    ----------
    samples, beside : float64[n]
        The signal whose cycles are counted, by the rule of `count`, and the other.
    stack : float64[n, 2]
        Turning points, and the highest of the other since the turning point before; overwritten.
    out : float64[n, 3]
        Range, highest of the other, and 1 or, of what stays open, 0.5; overwritten at its beginning.

    Returns
    -------
    int
        How many cycles there are.
    """
    found = 0
    size = 0
    for at in range(samples.size):
        x = samples[at]
        y = beside[at]
        if size == 0:
            stack[0, 0], stack[0, 1] = x, y
            size = 1
            continue
        top = stack[size - 1, 0]
        if x == top:
            stack[size - 1, 1] = max(stack[size - 1, 1], y)
            continue
        if size >= 2 and (x > top) == (top > stack[size - 2, 0]):
            stack[size - 1, 0] = x
        else:
            # what the other was at the turn belongs to both sides of it
            before = beside[at - 1]
            stack[size, 0], stack[size, 1] = x, before
            size += 1
        # A sample that closes cycles is beyond them: its own value of the other is counted after that.
        while size >= 4:
            a, b, c = stack[size - 4, 0], stack[size - 3, 0], stack[size - 2, 0]
            inner = abs(b - c)
            if inner > abs(x - c) or inner > abs(a - b):
                break
            during = max(stack[size - 2, 1], stack[size - 1, 1])
            out[found, 0], out[found, 1], out[found, 2] = inner, during, 1.0
            found += 1
            stack[size - 3, 0] = x
            stack[size - 3, 1] = max(stack[size - 3, 1], during)
            size -= 2
        stack[size - 1, 1] = max(stack[size - 1, 1], y)
    for i in range(1, size):
        out[found, 0], out[found, 1], out[found, 2] = abs(stack[i, 0] - stack[i - 1, 0]), stack[i, 1], 0.5
        found += 1
    return found
