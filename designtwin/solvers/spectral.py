"""Modal equations under random and transient base motion: transfer functions, their integrals, combinations.

Coordinates q of modes obey M q'' + D q' + (K + i L) q = p, in harmonic motion for the i L of structural
damping. Matrices in, no meshes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from designtwin.errors import DesignTwinError
from designtwin.typing import FloatArray

ComplexArray: TypeAlias = np.ndarray[Any, np.dtype[np.complex128]]

ORDER = 16
"""Points of the Gauss rule on each panel."""
_CHECK = 12
"""Points of the rule that tells the error."""
_ELLIPSE = 2.75
"""Bernstein ellipse of a panel without a pole: a rule of n points is then off by its power -2 n, 9e-15."""
_CHUNK = 4_000_000
"""Bytes of responses that are held at once."""
_DEFECTIVE = 1e6
"""Condition of the vectors of state space beyond which frequencies are solved one by one."""


@dataclass(frozen=True, eq=False)
class ModalTransfer:
    """q(f) = H(f) p of modal equations M q'' + D q' + (K + i L) q = p, with K and M diagonal.

    Parameters
    ----------
    stiffness, mass : float64[m]
        Of modes omega^2 and 1; a static shape may have no mass.
    damping : float64[m] or float64[m, m]
        2 zeta omega of each mode, or the projected damping matrix.
    loss : float64[m] or float64[m, m]
        eta omega^2 of each mode, or the projected imaginary stiffness.
    """

    stiffness: FloatArray
    mass: FloatArray
    damping: FloatArray
    loss: FloatArray

    def __post_init__(self) -> None:
        m = len(self.stiffness)
        assert self.mass.shape == (m,), (self.mass.shape, m)
        assert self.damping.shape in ((m,), (m, m)), (self.damping.shape, m)
        assert self.loss.shape in ((m,), (m, m)), (self.loss.shape, m)

    def __len__(self) -> int:
        return len(self.stiffness)

    @property
    def coupled(self) -> bool:
        """Whether modes exchange energy through the damping."""
        return self.damping.ndim == 2 or self.loss.ndim == 2

    @cached_property
    def _matrices(self) -> tuple[ComplexArray, ComplexArray]:
        """D and K + i L, whole."""
        damping = self.damping if self.damping.ndim == 2 else np.diag(self.damping)
        loss = self.loss if self.loss.ndim == 2 else np.diag(self.loss)
        return np.asarray(damping + 0j), np.asarray(np.diag(self.stiffness) + 1j * loss)

    @cached_property
    def _state(self) -> tuple[ComplexArray, ComplexArray, ComplexArray] | None:
        """Roots s of M s^2 + D s + K + i L, their vectors' upper half [m, 2m], and what p excites [2m, m].

        None where a shape has no mass, or the vectors are no good basis, as near critical damping.
        """
        m = len(self)
        if not (self.mass > 0.0).all():
            return None
        size = np.sqrt(self.mass)
        damping, stiffness = (matrix / np.outer(size, size) for matrix in self._matrices)
        # A unit of time near the modes' own: without one, velocities would outweigh displacements.
        scale = float(np.sqrt(np.median(np.abs(np.diag(stiffness))))) or 1.0
        matrix = np.zeros((2 * m, 2 * m), np.complex128)
        matrix[:m, m:] = scale * np.eye(m)
        matrix[m:, :m] = -stiffness / scale
        matrix[m:, m:] = -damping
        roots, vectors = np.linalg.eig(matrix)
        if not np.linalg.cond(vectors) < _DEFECTIVE:
            return None
        excited, upper = np.linalg.inv(vectors)[:, m:], vectors[:m]
        excited = excited / (scale * size)
        return np.asarray(roots), np.asarray(upper / size[:, None]), np.asarray(excited)

    @cached_property
    def poles(self) -> ComplexArray:
        """Frequencies, Hz, complex, at which responses are infinite, complex128[p]."""
        if self.coupled:
            roots = self._state[0] / 1j if self._state is not None else self._roots() / 1j
        else:
            stiffness = self.stiffness + 1j * self.loss
            heavy = self.mass > 0.0
            k, mass, c = stiffness[heavy], self.mass[heavy], self.damping[heavy]
            root = np.sqrt(4.0 * mass * k - c * c + 0j)
            light = ~heavy & (self.damping > 0.0)
            roots = np.concatenate(
                [
                    (1j * c + root) / (2.0 * mass),
                    (1j * c - root) / (2.0 * mass),
                    1j * stiffness[light] / self.damping[light],
                ]
            )
        return np.asarray(roots / (2.0 * np.pi))

    def _roots(self) -> ComplexArray:
        from scipy.linalg import eigvals

        m = len(self)
        damping, stiffness = self._matrices
        none, one = np.zeros((m, m)), np.eye(m)
        left = np.block([[none, one], [-stiffness, -damping]])
        right = np.block([[one, none], [none, np.diag(self.mass)]])
        above, below = eigvals(left, right, homogeneous_eigvals=True)
        finite = np.abs(below) > 1e-12 * np.abs(above)
        return np.asarray(above[finite] / below[finite])

    def __call__(self, frequencies: FloatArray, force: ComplexArray | FloatArray) -> ComplexArray:
        """Coordinates complex128[k, m, n] at frequencies float64[k], Hz, for modal forces [m, n]."""
        omega = 2.0 * np.pi * frequencies
        if not self.coupled:
            stiffness = self.stiffness + 1j * self.loss
            dynamic = stiffness - (omega * omega)[:, None] * self.mass + 1j * omega[:, None] * self.damping
            return np.asarray(force / dynamic[:, :, None])
        if self._state is not None:
            roots, upper, excited = self._state
            each = 1.0 / (1j * omega[:, None] - roots)
            amount = excited @ force
            return np.stack([each @ (upper * column).T for column in amount.T], axis=2)
        damping, matrix = self._matrices
        dynamic = matrix + 1j * omega[:, None, None] * damping
        dynamic[:, range(len(self)), range(len(self))] -= (omega * omega)[:, None] * self.mass
        return np.asarray(np.linalg.solve(dynamic, np.broadcast_to(force, (len(omega), *force.shape))))


def undamped_inside(poles: ComplexArray, low: float, high: float) -> FloatArray:
    """Frequencies, Hz, in a band at which a response without damping is infinite, float64[k].

    A rigid-body mode has its pole at zero, which no band holds.
    """
    real, imaginary = np.abs(poles.real), np.abs(poles.imag)
    hit = (imaginary <= 1e-12 * real) & (real >= low * (1.0 - 1e-12)) & (real <= high * (1.0 + 1e-12))
    return np.unique(real[hit])


def panels(knots: FloatArray, poles: ComplexArray, *, ellipse: float = _ELLIPSE) -> FloatArray:
    """Ends float64[n, 2], ascending, of panels on which a Gauss rule converges fast.

    Intervals between knots are halved until no pole lies in the Bernstein ellipse of a panel. Zero counts as
    one: powers of the frequency branch there.

    Parameters
    ----------
    knots : float64[k]
        Positive and ascending.
    poles : complex128[p]
        None of them real and between the first and the last knot.
    ellipse : float
        Sum of the half axes of the ellipse, in half lengths of the panel.

    Source: Trefethen, Approximation Theory and Approximation Practice (2013), theorem 19.3.
    """
    poles = np.concatenate([[0.0], poles])
    todo = np.column_stack([knots[:-1], knots[1:]])
    done: list[FloatArray] = []
    while len(todo):
        middle, half = todo.mean(axis=1), 0.5 * (todo[:, 1] - todo[:, 0])
        nearest = np.full(len(todo), np.inf)
        for start in range(0, len(poles), 64):  # bounded memory
            at = (poles[start : start + 64] - middle[:, None]) / half[:, None]
            grown = np.abs(at + np.sqrt(at - 1.0) * np.sqrt(at + 1.0))
            nearest = np.minimum(nearest, np.maximum(grown, 1.0 / np.maximum(grown, 1e-300)).min(axis=1))
        fine = nearest >= ellipse
        done.append(todo[fine])
        rough, cut = todo[~fine], middle[~fine]
        todo = np.concatenate(
            [np.column_stack([rough[:, 0], cut]), np.column_stack([cut, rough[:, 1]])]
        )  # fmt: skip
    out = np.concatenate(done)
    return np.asarray(out[np.argsort(out[:, 0])])


def gauss(ends: FloatArray, order: int = ORDER) -> tuple[FloatArray, FloatArray]:
    """Points and weights float64[n * order] of the composite Gauss rule on panels float64[n, 2]."""
    x, w = np.polynomial.legendre.leggauss(order)
    half = 0.5 * (ends[:, 1] - ends[:, 0])
    return (
        np.asarray((ends.mean(axis=1)[:, None] + half[:, None] * x).ravel()),
        np.asarray((half[:, None] * w).ravel()),
    )


Spectra: TypeAlias = Callable[[FloatArray], ComplexArray]
"""Cross spectra of n inputs, one-sided, complex128[k, n, n], Hermitian, at frequencies float64[k], Hz."""


def roots_of(spectra: ComplexArray) -> ComplexArray:
    """F with F F^H = S for Hermitian S >= 0, complex128[k, n, n].

    Raises
    ------
    DesignTwinError
        If S has a negative eigenvalue: no signals have such spectra.
    """
    if spectra.shape[1] == 1:
        if (spectra.real < 0.0).any():
            raise DesignTwinError("a power spectral density is negative")
        return np.sqrt(spectra.real) + 0j
    # Scaled to unit diagonal first: inputs may differ in unit and by many orders.
    size = np.sqrt(np.maximum(np.einsum("kii->ki", spectra).real, 0.0))
    safe = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(spectra / (safe[:, :, None] * safe[:, None, :]))
    if values.min() < -1e-9:
        raise DesignTwinError(
            f"the cross spectra of the inputs are not those of any signals: an eigenvalue of their coherence "
            f"is {values.min():.2g}; lower the coherence between them"
        )
    return np.asarray(safe[:, :, None] * vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])


@dataclass(frozen=True, eq=False)
class Covariances:
    """Covariances of modal coordinates, and how well the integrals are known.

    Parameters
    ----------
    displacement, velocity : float64[m, m]
        Of q and its first derivative.
    acceleration : float64[m + n, m + n]
        Of the second derivative of q, then of the inputs themselves.
    error : float
        Largest relative error of any variance, by a rule of lower order.
    points : int
        Frequencies at which responses were computed.
    """

    displacement: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    error: float
    points: int


def covariances(
    transfer: ModalTransfer, force: FloatArray | ComplexArray, spectra: Spectra, knots: FloatArray
) -> Covariances:
    """Covariance of modal coordinates under inputs with given spectra, all cross terms between modes kept.

    Composite Gauss rules on panels refined towards every resonance (`panels`): off by rounding alone where
    spectra are powers of the frequency between knots. All weights are positive, so the matrices are positive
    semidefinite.

    Parameters
    ----------
    transfer : ModalTransfer
    force : float64[m, n]
        Modal force of a unit of each input.
    spectra : function
        See `Spectra`.
    knots : float64[k]
        Frequencies, Hz, between which spectra are smooth; the first and last bound the band.

    Raises
    ------
    DesignTwinError
        If the cross spectra are not positive semidefinite.
    """
    ends = panels(knots, transfer.poles)
    fine, n_points = _sums(transfer, force, spectra, ends, ORDER)
    coarse, _ = _sums(transfer, force, spectra, ends, _CHECK)
    error = 0.0
    for one, other in zip(fine, coarse, strict=True):
        variance, check = np.diag(one), np.diag(other)
        known = variance > 0.0
        if known.any():
            error = max(error, float(np.abs(check[known] / variance[known] - 1.0).max()))
    return Covariances(*fine, error=error, points=n_points)


def _sums(
    transfer: ModalTransfer, force: FloatArray | ComplexArray, spectra: Spectra, ends: FloatArray, order: int
) -> tuple[tuple[FloatArray, FloatArray, FloatArray], int]:
    m, n = force.shape
    out = (np.zeros((m, m)), np.zeros((m, m)), np.zeros((m + n, m + n)))
    frequencies, weights = gauss(ends, order)
    for some in chunks(len(frequencies), 16 * (m + n) * n):
        f, w = frequencies[some], weights[some]
        root = roots_of(spectra(f)) * np.sqrt(w)[:, None, None]
        q = transfer(f, force) @ root
        omega = (2.0 * np.pi * f)[:, None, None]
        extended = np.concatenate([-(omega**2) * q, root], axis=1)
        for total, x in zip(out, (q, omega * q, extended), strict=True):
            flat = x.transpose(1, 0, 2).reshape(x.shape[1], -1)
            total += flat.real @ flat.real.T + flat.imag @ flat.imag.T
    return out, len(frequencies)


def products(
    transfer: ModalTransfer, force: FloatArray | ComplexArray, spectra: Spectra, knots: FloatArray,
    order: float,
) -> FloatArray:  # fmt: skip
    """Mean products float64[m + n, m + n] of a derivative of modal coordinates, and of the inputs integrated.

    Parameters
    ----------
    order : float
        0 to 2; inputs are accelerations, of which ``2 - order`` integrals are taken. Halves give the odd
        moments of spectra.
    """
    m, n = force.shape
    out = np.zeros((m + n, m + n))
    frequencies, weights = gauss(panels(knots, transfer.poles))
    for some in chunks(len(frequencies), 16 * (m + n) * n):
        f = frequencies[some]
        root = roots_of(spectra(f)) * np.sqrt(weights[some])[:, None, None]
        rate = 2j * np.pi * f[:, None, None]
        x = np.concatenate([rate**order * (transfer(f, force) @ root), rate ** (order - 2) * root], axis=1)
        flat = x.transpose(1, 0, 2).reshape(m + n, -1)
        out += flat.real @ flat.real.T + flat.imag @ flat.imag.T
    return out


def chunks(n: int, bytes_each: int) -> Iterator[slice]:
    """Slices of a range, of bounded memory each."""
    step = max(16, _CHUNK // max(bytes_each, 1))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def plot_frequencies(knots: FloatArray, poles: ComplexArray, *, per_decade: int = 60) -> FloatArray:
    """Frequencies that show a spectrum: knots, even steps on a logarithmic scale, dense around resonances.

    Parameters
    ----------
    knots : float64[k]
        Hz; first and last bound the band.
    poles : complex128[p]
        Hz.
    """
    low, high = float(knots[0]), float(knots[-1])
    n = max(2, int(np.ceil(per_decade * np.log10(high / low))) + 1)
    center, width = np.abs(poles.real), np.abs(poles.imag)
    keep = (center > 0.0) & (width < 0.5 * center)
    spread = np.concatenate([[0.0], np.array([0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0])])
    around = center[keep, None] + width[keep, None] * np.concatenate([-spread[:0:-1], spread])
    # The largest response of a damped mode lies a little below its pole.
    peaks = np.sqrt(center[keep] ** 2 - width[keep] ** 2)
    every = np.concatenate([knots, np.geomspace(low, high, n), around.ravel(), peaks])
    every = np.unique(every[(every >= low) & (every <= high)])
    apart = np.concatenate([[True], np.diff(every) > 1e-9 * every[1:]])
    return np.asarray(every[apart])


def miles(frequency: float, ratio: float, density: float) -> float:
    """RMS absolute acceleration of one degree of freedom on a base of flat spectrum: sqrt(pi/2 f Q S).

    Source: Miles, J. Aeronautical Sciences 21 (1954) 753-762.
    """
    return float(np.sqrt(0.25 * np.pi * frequency * density / ratio))


def correlation(frequency: FloatArray, ratio: FloatArray) -> FloatArray:
    """CQC coefficients float64[m, m] of modes with circular frequencies (any unit) and damping ratios.

    The correlation of two modal coordinates under white noise.

    Source: Der Kiureghian, Earthquake Engng Struct. Dyn. 9 (1981) 419-435, eq. 24.
    """
    i, n = frequency[:, None], frequency[None, :]
    zi, zn = ratio[:, None], ratio[None, :]
    above = 8.0 * np.sqrt(zi * zn * i * n) * (zi * i + zn * n) * i * n
    below = (i**2 - n**2) ** 2 + 4.0 * zi * zn * i * n * (i**2 + n**2) + 4.0 * (zi**2 + zn**2) * i**2 * n**2
    out = np.divide(above, below, out=np.zeros_like(above), where=below > 0.0)
    np.fill_diagonal(out, 1.0)
    return np.asarray(out)
