"""Utilization of a stress tensor by strength criteria, and its bounds where the tensor is known to a radius.

Every criterion here is a gauge: it grows in proportion with the load, so that its inverse is the factor on
the load at which it reaches 1. The exact tensor is expected within a ball of the Frobenius norm about the
computed one, its radius being the half-width of the stress; each function answers with the value at the
computed tensor and with bounds over that ball.

Tensors are float64[..., 6] in Mandel's order and scaling, xx yy zz and sqrt(2) times xy yz xz, whose
Euclidean norm is the Frobenius norm of the tensor; `mandel` makes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from designtwin.results import stress as tensor
from designtwin.typing import FloatArray

Bounds = tuple[FloatArray, FloatArray, FloatArray]
"""Value, lower and upper bound, float64[k] each."""
_SCALE = np.array([1.0, 1.0, 1.0, math.sqrt(2.0), math.sqrt(2.0), math.sqrt(2.0)])


def about(
    judge: Callable[[FloatArray, FloatArray], Bounds],
    stress: FloatArray,
    center: FloatArray,
    radius: FloatArray,
) -> Bounds:
    """A criterion's value at the stress, and its bounds over the ball in which the exact stress is expected.

    Parameters
    ----------
    judge : callable
        Of stress float64[k, 6] and radius float64[k], one of the criteria below.
    stress, center : float64[k, 6]
    radius : float64[k]
        nan where only values are wanted.
    """
    value = judge(stress, np.zeros(len(stress)))[0]
    if np.isnan(radius).all():
        return value, radius, radius
    _, low, high = judge(center, radius)
    return value, np.minimum(low, value), np.maximum(high, value)


def mandel(stress: FloatArray) -> FloatArray:
    """Mandel's form float64[..., 6] of stress xx yy zz xy yz xz."""
    return np.asarray(stress * _SCALE)


def mandel_stiffness(matrix: FloatArray) -> FloatArray:
    """Mandel's form of a stiffness float64[..., 6, 6] that takes engineering shear."""
    return np.asarray(matrix * np.outer(_SCALE, _SCALE))


def in_axes(stress: FloatArray, axes: FloatArray | None) -> FloatArray:
    """Stress float64[k, 6] in local axes float64[k, 3, 3] (rows), xx yy zz xy yz xz; None leaves it."""
    if axes is None:
        return stress
    turned = axes @ tensor.tensors(stress) @ np.swapaxes(axes, -1, -2)
    return np.stack([turned[..., i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))], axis=-1)


def planes(stress: FloatArray, radius: FloatArray, normals: FloatArray) -> Bounds:
    """The largest of linear functions of the stress, and never below 0: a polyhedron about the origin.

    Parameters
    ----------
    stress : float64[k, 6]
        Mandel.
    radius : float64[k]
    normals : float64[m, 6] or float64[k, m, 6]
        Inverse strengths; face j is reached where normals[j] . stress is 1.

    Returns
    -------
    value, low, high : float64[k]
        The upper bound is the exact largest over the ball: that of a linear function is its value and its
        norm times the radius, and maxima change places.
    """
    each = np.einsum("...mi,...i->...m", normals, stress)
    spread = np.linalg.norm(normals, axis=-1) * radius[:, None]
    value, low, high = (each.max(axis=-1), (each - spread).max(axis=-1), (each + spread).max(axis=-1))
    return np.maximum(value, 0.0), np.maximum(low, 0.0), np.maximum(high, 0.0)


def quadric(stress: FloatArray, radius: FloatArray, linear: FloatArray, matrix: FloatArray) -> Bounds:
    """Utilization u by ``l . s + s . A s <= 1``: the inverse of the factor R on s that makes it equal.

    From ``R^2 q + R a = 1`` follows ``u = (a + sqrt(a^2 + 4 q)) / 2`` with a = l . s and q = s . A s, which
    grows with a and with q; so bounds of these two bound it. Over a ball of radius d, a changes by |l| d
    and q by at most 2 |A s| d, beyond which only the second order remains, between d^2 times the smallest
    eigenvalue of A and d^2 times the largest. The two changes share one direction: at a tensor off by e,
    ``u^2 = u a + q + (u l + 2 A s) . e + e . A e``, in which |u l + 2 A s| is convex in u and so largest at
    an end of the bounds known so far. This narrows them, a few times over.

    Parameters
    ----------
    stress : float64[k, 6]
        Mandel.
    radius : float64[k]
    linear : float64[6] or float64[k, 6]
        1/Pa, Mandel.
    matrix : float64[6, 6] or float64[k, 6, 6]
        1/Pa^2, Mandel, symmetric. Where q is negative it counts as 0; then there must be no linear part.
    """
    along = np.einsum("...ij,...j->...i", matrix, stress)
    a, q = np.einsum("...i,...i->...", linear, stress), np.einsum("...i,...i->...", stress, along)
    da = np.linalg.norm(linear, axis=-1) * radius
    first = 2.0 * np.linalg.norm(along, axis=-1) * radius
    eigenvalues = np.linalg.eigvalsh(matrix)
    second = np.minimum(eigenvalues[..., 0], 0.0) * radius**2, eigenvalues[..., -1] * radius**2
    low, high = _root(a - da, q - first + second[0]), _root(a + da, q + first + second[1])
    for _ in range(3):
        ends = [np.linalg.norm(2.0 * along + u[:, None] * linear, axis=-1) for u in (low, high)]
        first = np.maximum(*ends) * radius
        least = q - first + second[0]
        low = np.where(least > 0.0, np.maximum(low, _root(a, least)), low)  # else the other root may be meant
        high = np.minimum(high, _root(a, q + first + second[1]))
    return _root(a, q), low, high


def _root(a: FloatArray, q: FloatArray) -> FloatArray:
    q = np.maximum(q, 0.0)
    root = np.sqrt(a * a + 4.0 * q)
    # where a is negative the sum cancels, and the other form of the root does not
    with np.errstate(divide="ignore", invalid="ignore"):
        stable = np.where(q > 0.0, 2.0 * q / (root - a), 0.0)
    return np.asarray(np.where(a > 0.0, 0.5 * (a + root), stable))


def drucker_prager(
    stress: FloatArray, radius: FloatArray, tensile: FloatArray, compressive: FloatArray
) -> Bounds:
    """Utilization by the cone ``alpha I1 + sqrt(J2) <= k`` through both uniaxial strengths.

    Parameters
    ----------
    stress : float64[k, 6]
        xx yy zz xy yz xz, Pa.
    radius : float64[k]
    tensile, compressive : float64[k]
        Pa.

    Returns
    -------
    value, low, high : float64[k]
        Never negative. I1 and the deviator take orthogonal shares of an error: together they change the sum
        by sqrt(3 alpha^2 + 1/2) of the radius at most, which is reached.

    Source: Drucker and Prager, Quarterly of Applied Mathematics 10 (1952) 157-165; through the strengths as
    in Chen and Han, Plasticity for Structural Engineers (1988), ch. 2.
    """
    alpha = (compressive - tensile) / (math.sqrt(3.0) * (compressive + tensile))
    k = 2.0 * compressive * tensile / (math.sqrt(3.0) * (compressive + tensile))
    value = alpha * stress[:, :3].sum(axis=1) + tensor.von_mises(stress) / math.sqrt(3.0)
    spread = np.sqrt(3.0 * alpha**2 + 0.5) * radius
    low, high = value - spread, value + spread
    return np.maximum(value, 0.0) / k, np.maximum(low, 0.0) / k, np.maximum(high, 0.0) / k


def tsai_wu(
    stress: FloatArray, radius: FloatArray, tensile: FloatArray, compressive: FloatArray, shear: FloatArray,
    interaction: float = -0.5,
) -> Bounds:  # fmt: skip
    """Utilization by Tsai and Wu's ellipsoid.

    ``F_i s_i + F_ij s_i s_j <= 1`` with F_i = 1/X_t - 1/X_c, F_ii = 1/(X_t X_c), 1/S^2 for shear, and
    F_ij = interaction sqrt(F_ii F_jj) between normal stresses.

    Parameters
    ----------
    stress : float64[k, 6]
        In material axes, 11 22 33 12 23 13, Pa.
    radius : float64[k]
    tensile, compressive, shear : float64[3] or float64[k, 3]
        Along 1 2 3; S12 S23 S13. Pa.
    interaction : float
        -1/2 makes it von Mises' criterion where all strengths are equal.

    Source: Tsai and Wu, Journal of Composite Materials 5 (1971) 58-80; the value of the interaction, Tsai and
    Hahn, Introduction to Composite Materials (1980).
    """
    normal = 1.0 / (tensile * compressive)
    shape = normal.shape[:-1]
    linear, matrix = np.zeros((*shape, 6)), np.zeros((*shape, 6, 6))
    linear[..., :3] = 1.0 / tensile - 1.0 / compressive
    root = np.sqrt(normal)
    matrix[..., :3, :3] = interaction * root[..., :, None] * root[..., None, :]
    for i in range(3):
        matrix[..., i, i] = normal[..., i]
        matrix[..., i + 3, i + 3] = 0.5 / shear[..., i] ** 2  # of sqrt(2) s: half of that of s
    return quadric(mandel(stress), radius, linear, matrix)


def max_stress(
    stress: FloatArray, radius: FloatArray, tensile: FloatArray, compressive: FloatArray, shear: FloatArray
) -> Bounds:
    """Utilization by the largest stress in material axes over its strength; parameters as `tsai_wu`.

    Source: Kaw, Mechanics of Composite Materials, 2nd ed. (2006), sec. 2.8.
    """
    return planes(mandel(stress), radius, _faces(tensile, compressive, shear))


def max_strain(
    stress: FloatArray, radius: FloatArray, tensile: FloatArray, compressive: FloatArray, shear: FloatArray,
    compliance: FloatArray,
) -> Bounds:  # fmt: skip
    """Utilization by the largest mechanical strain in material axes over the strain at its strength.

    The allowable strains are the strengths over the moduli: linear up to failure. Free thermal strain does
    not count.

    Parameters
    ----------
    stress, radius, tensile, compressive, shear
        As `tsai_wu`.
    compliance : float64[6, 6] or float64[k, 6, 6]
        In material axes, engineering shear, 1/Pa.

    Source: Kaw, Mechanics of Composite Materials, 2nd ed. (2006), sec. 2.8.
    """
    # strains over those under a lone stress of 1 Pa: what a lone stress would have to be, Pa
    alone = compliance / np.einsum("...ii->...i", compliance)[..., :, None]
    # compliance takes stress with plain shear; of Mandel's sqrt(2) s it takes 1/sqrt(2)
    return planes(mandel(stress), radius, _faces(tensile, compressive, shear, alone / _SCALE))


def _faces(
    tensile: FloatArray, compressive: FloatArray, shear: FloatArray, stress: FloatArray | None = None
) -> FloatArray:
    """Normals float64[..., 12, 6] of the box of strengths over six effective stresses float64[..., 6, 6]."""
    rows = np.diag(1.0 / _SCALE) if stress is None else stress
    positive = np.concatenate([tensile, shear], axis=-1)
    negative = np.concatenate([compressive, shear], axis=-1)
    return np.concatenate([rows / positive[..., :, None], -rows / negative[..., :, None]], axis=-2)


HASHIN_MODES = ("fiber tension", "fiber compression", "matrix tension", "matrix compression")


def hashin(
    stress: FloatArray, radius: FloatArray, tensile: FloatArray, compressive: FloatArray, shear: FloatArray
) -> tuple[Bounds, FloatArray]:
    """Utilization by Hashin's four modes of a unidirectional ply, fibers along 1.

    Fiber tension (s11 > 0) ``(s11/Xt)^2 + (s12^2 + s13^2)/SL^2``; fiber compression ``|s11|/Xc``; matrix
    tension (s22 + s33 > 0) ``(s22+s33)^2/Yt^2 + (s23^2 - s22 s33)/ST^2 + (s12^2+s13^2)/SL^2``; matrix
    compression ``((Yc/2ST)^2 - 1)(s22+s33)/Yc + (s22+s33)^2/4ST^2 + (s23^2 - s22 s33)/ST^2 +
    (s12^2+s13^2)/SL^2``.

    Parameters
    ----------
    stress, radius, tensile, compressive, shear
        As `tsai_wu`; used are X of axis 1, Y of axis 2, SL = S12 and ST = S23.

    Returns
    -------
    (value, low, high), modes
        The largest of the two modes that act, and each of the four, float64[k, 4], in the order of
        `HASHIN_MODES`; 0 for one that does not act. Where the radius reaches across the border between
        tension and compression either may be the true one, and the bounds hold both.

    Source: Hashin, Journal of Applied Mechanics 47 (1980) 329-334.
    """
    s = mandel(stress)
    xt, yt, xc, yc = tensile[..., 0], tensile[..., 1], compressive[..., 0], compressive[..., 1]
    sl, st = shear[..., 0], shear[..., 1]
    shape = np.shape(xt)
    along = np.zeros((*shape, 6, 6))  # (s12^2 + s13^2) / SL^2
    along[..., 3, 3] = along[..., 5, 5] = 0.5 / sl**2
    across = np.zeros((*shape, 6, 6))  # (s23^2 - s22 s33) / ST^2
    across[..., 4, 4] = 0.5 / st**2
    across[..., 1, 2] = across[..., 2, 1] = -0.5 / st**2
    none = np.zeros((*shape, 6))

    def transverse(strength: FloatArray) -> FloatArray:
        """(s22 + s33)^2 over a strength squared."""
        out = np.zeros((*shape, 6, 6))
        out[..., 1:3, 1:3] = (1.0 / strength**2)[..., None, None]
        return out

    fiber_tension, push, press = along.copy(), np.zeros((*shape, 6)), np.zeros((*shape, 6))
    fiber_tension[..., 0, 0] = 1.0 / xt**2
    push[..., 0] = -1.0 / xc
    press[..., 1:3] = (((yc / (2.0 * st)) ** 2 - 1.0) / yc)[..., None]
    modes = (
        quadric(s, radius, none, fiber_tension),
        quadric(s, radius, push, np.zeros((*shape, 6, 6))),
        quadric(s, radius, none, transverse(yt) + across + along),
        quadric(s, radius, press, transverse(2.0 * st) + across + along),
    )
    value, low, high = np.zeros((3, len(s)))
    each = np.zeros((len(s), 4))
    # what decides between tension and compression, and by how much the radius moves it
    for first, switch, reach in ((0, s[:, 0], 1.0), (2, s[:, 1] + s[:, 2], math.sqrt(2.0))):
        pull, press_ = modes[first], modes[first + 1]
        pulls = switch > 0.0
        each[pulls, first], each[~pulls, first + 1] = pull[0][pulls], press_[0][~pulls]
        surely_pulls, surely_presses = switch > reach * radius, switch <= -reach * radius
        np.maximum(value, np.where(pulls, pull[0], press_[0]), out=value)
        lower = np.where(
            surely_pulls, pull[1], np.where(surely_presses, press_[1], np.minimum(pull[1], press_[1]))
        )
        upper = np.where(
            surely_pulls, pull[2], np.where(surely_presses, press_[2], np.maximum(pull[2], press_[2]))
        )
        np.maximum(low, lower, out=low)
        np.maximum(high, upper, out=high)
    return (value, low, high), each
