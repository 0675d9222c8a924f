"""Local strain: curves made of two powers, and the loops a notch goes through with its memory."""

from __future__ import annotations

import math

from numba import njit

from designtwin.typing import FloatArray


@njit(cache=True, nogil=True, error_model="numpy")
def balance(a: float, p: float, b: float, q: float, total: float) -> float:
    """x > 0 with a x^p + b x^q = total; p and q of one sign, all else positive.

    Newton's method between the logarithms of x and of the sum, which is convex: from where either power alone
    would give the total, it walks to the root from one side.
    """
    if not total > 0.0:
        return 0.0 if p > 0.0 else math.inf
    if not total < math.inf:
        return math.inf if p > 0.0 else 0.0
    first = math.log(total / a) / p
    second = math.log(total / b) / q
    y = min(first, second) if p > 0.0 else max(first, second)
    wanted = math.log(total)
    log_a = math.log(a)
    log_b = math.log(b)
    for _ in range(60):
        u = log_a + p * y
        v = log_b + q * y
        top = max(u, v)
        one = math.exp(u - top)
        two = math.exp(v - top)
        over = top + math.log(one + two) - wanted
        step = over * (one + two) / (p * one + q * two)
        y -= step
        if abs(step) <= 1e-15 * max(1.0, abs(y)):
            break
    return math.exp(y)


@njit(cache=True, nogil=True, error_model="numpy")
def neuber(elastic: float, modulus: float, strength: float, hardening: float) -> tuple[float, float]:
    """Stress (Pa) and strain with stress times strain = elastic^2 / E on the cyclic curve.

    `elastic` is the stress of linear theory, Pa, positive; `modulus` E and `strength` K' in Pa, `hardening`
    n'. Source: Neuber, J. Appl. Mech. 28 (1961) 544; Ramberg and Osgood, NACA TN 902 (1943).
    """
    if elastic <= 0.0:
        return 0.0, 0.0
    q = 1.0 / hardening
    # in units of the elastic stress, so that powers stay in range
    stress = elastic * balance(1.0, 2.0, modulus / elastic * (elastic / strength) ** q, 1.0 + q, 1.0)
    return stress, elastic / modulus * (elastic / stress)


@njit(cache=True, nogil=True, error_model="numpy")
def lives(
    strain: FloatArray,
    mean: FloatArray,
    highest: FloatArray,
    swt: bool,
    constants: FloatArray,
    out: FloatArray,
) -> None:
    """Cycles to failure of strain amplitudes; `out` float64[n] is overwritten.

    Parameters
    ----------
    strain, mean, highest : float64[n]
        Strain amplitude, mean stress and highest stress of each loop, Pa.
    swt : bool
        Smith, Watson and Topper; else Morrow.
    constants : float64[5]
        E, s_f', b, e_f', c.
    """
    modulus, strength, b, ductility, c = constants[0], constants[1], constants[2], constants[3], constants[4]
    for i in range(strain.size):
        if swt:
            work = highest[i] * strain[i] if highest[i] > 0.0 else 0.0
            # over s_f' e_f', so that numbers stay near one
            reversals = balance(
                strength / (modulus * ductility), 2.0 * b, 1.0, b + c, work / (strength * ductility)
            )
        elif mean[i] >= strength:
            reversals = 0.0
        else:
            reversals = balance((strength - mean[i]) / modulus, b, ductility, c, strain[i])
        out[i] = 0.5 * reversals


@njit(cache=True, nogil=True, error_model="numpy")
def loops(
    history: FloatArray, cyclic: FloatArray, stack: FloatArray, out: FloatArray
) -> tuple[int, int, int]:
    """The closed stress-strain loops of a notch under a history of elastic stress.

    The first loading follows the cyclic curve, each branch after a turn its double (Masing). A branch that
    closes a loop goes on where it had been left before (memory), and one that goes beyond all before it goes
    on along the cyclic curve.

    Parameters
    ----------
    history : float64[n]
        Turning points of the stress of linear theory, Pa, gone through once.
    cyclic : float64[3]
        E, K' (Pa) and n'.
    stack : float64[n + 1, 3]
        Open turning points at the end: elastic stress, stress (Pa), strain; overwritten.
    out : float64[n, 4]
        Of each closed loop its two stresses (Pa) and its two strains; overwritten.

    Returns
    -------
    (closed, open, primary) : int
        How many loops closed, how many points are open, how many of these lie on the cyclic curve.

    Source: Clormann and Seeger, Stahlbau 55 (1986) 65 (HCM); Masing, Proc. 2nd Int. Congr. Appl. Mech.
    (1926).
    """
    modulus, strength, hardening = cyclic[0], cyclic[1], cyclic[2]
    closed = 0
    size = 0
    primary = 0  # of the stack, points on the cyclic curve
    for t in range(history.size):
        e = history[t]
        while size > primary and size >= 2:
            if abs(e - stack[size - 1, 0]) < abs(stack[size - 1, 0] - stack[size - 2, 0]):
                break
            out[closed, 0] = stack[size - 2, 1]
            out[closed, 1] = stack[size - 1, 1]
            out[closed, 2] = stack[size - 2, 2]
            out[closed, 3] = stack[size - 1, 2]
            closed += 1
            size -= 2
            primary = min(primary, size)
        if size == primary and (size == 0 or abs(e) > abs(stack[size - 1, 0])):
            stress, strain = neuber(abs(e), modulus, strength, hardening)
            side = 1.0 if e >= 0.0 else -1.0
            stack[size, 1] = side * stress
            stack[size, 2] = side * strain
            primary = size + 1
        else:
            back = e - stack[size - 1, 0]
            stress, strain = neuber(0.5 * abs(back), modulus, strength, hardening)
            side = 2.0 if back >= 0.0 else -2.0
            stack[size, 1] = stack[size - 1, 1] + side * stress
            stack[size, 2] = stack[size - 1, 2] + side * strain
        stack[size, 0] = e
        size += 1
    return closed, size, primary
