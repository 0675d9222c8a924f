"""The space that modes and static shapes span, and the equations of forced vibration in it.

Modes up to a frequency leave out what stiffer ones would still give: the quasi-static answer to the loads.
One static shape for each load, made orthogonal to the modes, gives it back (a residual vector).

Sources: Dickens, Nakagawa and Wittbrodt, Computers and Structures 62 (1997) 985-998, for residual vectors;
Craig and Kurdila, Fundamentals of Structural Dynamics, 2nd ed. (2006), ch. 11.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from designtwin.assembly.cyclic import CyclicDynamics
from designtwin.assembly.dynamics import Dynamics
from designtwin.assembly.losses import loss_stiffness
from designtwin.errors import ConvergenceError, ModelError
from designtwin.model.damping import Damping, damping
from designtwin.model.excitation import Excitation
from designtwin.results.modal import ModalCase
from designtwin.solvers.harmonic import ComplexArray
from designtwin.solvers.system import SparseMatrix
from designtwin.typing import FloatArray
from designtwin.units import show

_NOTHING_LEFT = 1e-10
"""Share of a static shape's energy that modes leave and that is taken for rounding."""
_CHUNK = 32_000_000
"""Bytes of coupled equations that are held at once."""
_UNHELD = 1e-9
"""Share of the mass that a base must take along at least."""
_COUPLED = 1e-9
"""Entries off the diagonal below this share of the diagonal couple nothing."""


def damping_of(given: object, dynamics: Dynamics) -> Damping | None:
    """The damping that a user states; None where dampers or materials alone are to damp.

    Raises
    ------
    ModelError
        If nothing at all damps: nothing bounds the answer at a resonance.
    """
    if given is not None:
        return damping(given)
    if dynamics.has_damping or loss_stiffness(dynamics) is not None:
        return None
    raise ModelError(
        "nothing is said of damping, which alone bounds the answer at a resonance; state damping='1.5 %' (of "
        "critical), dtw.structural('3 %') or dtw.rayleigh(...), give materials a loss_factor, or add dampers"
    )


def refuse_unheld(dynamics: Dynamics, one: Excitation) -> None:
    """Raise ModelError where a base moves along what no support holds: it would leave the part at rest."""
    if not one.is_base or not dynamics.rigid.shape[1]:
        return
    base = dynamics.base(one.direction)
    inertia = dynamics.inertia(base)
    taken, whole = dynamics.rigid.T @ dynamics.force(inertia), float((base * inertia).sum())
    if float(taken @ taken) >= (1.0 - _UNHELD) * whole:
        raise ModelError(
            f"{one.said}: no support holds the part in this direction, so the base would move and the part "
            "stay where it is; add a support that holds it there, or excite the part by forces"
        )


def refuse_other_modes(modes: ModalCase, source: Any) -> None:
    """Raise ModelError unless modes are those of a model, a sector of one, or reduced equations."""
    own = {id(modes.model.mesh)}
    if isinstance(modes.dynamics, CyclicDynamics):
        own.add(id(modes.dynamics.sector.mesh))
    if id((source.model if isinstance(source, Dynamics) else source).mesh) not in own:
        raise ModelError("the modes given are those of another model")


@dataclass(frozen=True, eq=False)
class ModalSpace:
    """Shapes with M and K diagonal, and the damping between them: (k + i loss + i w damping - w^2 m) y = p.

    Parameters
    ----------
    dynamics : Dynamics
    modes : ModalCase
    shapes : float64[size, r]
        The modes, then residual vectors.
    stiffness, mass : float64[r]
        k and m: omega^2 and 1 of modes; 1 and 1 / omega^2 of residual vectors, which may have no mass.
    damping : float64[r, r]
        Viscous.
    loss : float64[r, r]
        Imaginary part of the stiffness.
    ratio : float64[r]
        Share of critical damping of each shape by itself.
    stated : Damping, optional
        What the user said of the whole part.
    """

    dynamics: Dynamics
    modes: ModalCase
    shapes: FloatArray
    stiffness: FloatArray
    mass: FloatArray
    damping: FloatArray
    loss: FloatArray
    stated: Damping | None

    @classmethod
    def of(cls, modes: ModalCase, loads: FloatArray, stated: Damping | None) -> ModalSpace:
        """The space of modes and of the static answers to loads float64[size, p] (forces on q).

        Raises
        ------
        ModelError
            If a damping ratio is missing or above critical.
        """
        dynamics = modes.dynamics
        more, mass = _residual_vectors(modes, loads)
        shapes = np.hstack([modes.shapes, more])
        m = len(modes)
        k = np.concatenate([modes.omega2, np.ones(len(mass))])
        mass = np.concatenate([np.ones(m), mass])
        viscous, loss = np.zeros(len(k)), np.zeros(len(k))
        if stated is not None and stated.is_modal:
            ratio = stated.ratio(modes.frequencies)
            # Residual vectors do not resonate in the band; they get what the last mode has.
            ratio = np.concatenate([ratio, np.full(len(k) - m, ratio[-1] if m else 0.0)])
            viscous = 2.0 * ratio * np.sqrt(k * mass)
        elif stated is not None and stated.is_rayleigh:
            stated.ratio(modes.frequencies)  # refuses a mode damped above critical
            viscous = stated.alpha * mass + stated.beta * k
        elif stated is not None:
            loss = stated.loss_factor * k
        c, h = np.diag(viscous), np.diag(loss)
        if dynamics.has_damping:
            c = c + _symmetric(shapes.T @ dynamics.damping(shapes))
        lossy = loss_stiffness(dynamics)
        if lossy is not None:
            h = h + _symmetric(shapes.T @ np.where(dynamics.free[:, None], lossy @ shapes, 0.0))
        return cls(dynamics, modes, shapes, k, mass, c, h, stated)

    @cached_property
    def ratio(self) -> FloatArray:
        """Share of critical damping of each shape by itself, float64[r]; 0 of rigid ones."""
        c, h = np.diag(self.damping), np.diag(self.loss)
        root = np.sqrt(self.stiffness * self.mass)
        safe = np.where(root > 0.0, root, 1.0)
        half = np.divide(h, self.stiffness, out=np.zeros_like(h), where=self.stiffness > 0.0)
        return np.asarray(np.where(root > 0.0, 0.5 * (c / safe + half), 0.0))

    @cached_property
    def coupled(self) -> bool:
        """Whether damping couples shapes."""
        for matrix in (self.damping, self.loss):
            size = np.sqrt(np.abs(np.outer(np.diag(matrix), np.diag(matrix))))
            off = np.abs(matrix - np.diag(np.diag(matrix)))
            if (off > _COUPLED * np.maximum(size, 1e-3 * size.max(initial=0.0))).any():
                return True
        return False

    @property
    def frequencies(self) -> FloatArray:
        """Of all shapes, float64[r], Hz; infinite of those without mass."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.sqrt(self.stiffness / np.maximum(self.mass, 0.0)) / (2.0 * np.pi))

    def answers(self, omega: FloatArray, loads: FloatArray, factors: ComplexArray) -> ComplexArray:
        """Coordinates complex128[f, r] under loads float64[size, p] times factors complex128[f, p].

        Raises
        ------
        ConvergenceError
            If a frequency is a resonance that nothing damps, or 0 of a free motion.
        """
        load = factors @ (self.shapes.T @ loads).T
        out = np.empty(load.shape, np.complex128)
        if not self.coupled:
            c, h = np.diag(self.damping), np.diag(self.loss)
            w = omega[:, None]
            matrix = self.stiffness - w * w * self.mass + 1j * (w * c + h)
            scale = np.maximum(self.stiffness, w * w * self.mass)
            _refuse_resonance(omega, np.abs(matrix), scale, load)
            return np.divide(load, matrix, out=np.zeros_like(load), where=load != 0.0)
        r = len(self.stiffness)
        step = max(1, _CHUNK // (16 * r * r))
        diagonal = np.arange(r)
        for start in range(0, len(omega), step):
            w = omega[start : start + step, None, None]
            matrices = 1j * (w * self.damping + self.loss)
            matrices[:, diagonal, diagonal] += self.stiffness - w[:, 0] ** 2 * self.mass
            out[start : start + step] = np.linalg.solve(matrices, load[start : start + step, :, None])[..., 0]
        if not np.isfinite(out).all():
            raise ConvergenceError("the equations of forced vibration are singular; state more damping")
        return out

    def softer(self, change: FloatArray) -> ModalSpace:
        """The space with omega^2 of the modes changed by shares float64[m]; their shares of damping stay."""
        factor = np.ones(len(self.stiffness))
        factor[: len(change)] += change
        root = np.sqrt(factor)
        c = self.damping * np.sqrt(np.outer(root, root))
        return replace(
            self, stiffness=self.stiffness * factor, damping=c, loss=self.loss * np.outer(root, root)
        )

    def damping_force(self, omega: float, q: ComplexArray, y: ComplexArray) -> ComplexArray:
        """i w C q + i H q of the full equations, complex128[size]."""
        dynamics, stated = self.dynamics, self.stated
        force = 1j * omega * dynamics.damping(q) if dynamics.has_damping else np.zeros_like(q)
        lossy = loss_stiffness(dynamics)
        if lossy is not None:
            force = force + 1j * np.where(dynamics.free, lossy @ q, 0.0)
        if stated is not None and stated.is_modal:
            c = 2.0 * self._stated_ratio * np.sqrt(self.stiffness * self.mass)
            amount = np.divide(c * y, self.stiffness, out=np.zeros_like(y), where=self.stiffness > 0.0)
            force = force + 1j * omega * dynamics.stiffness(self.shapes @ amount)
        elif stated is not None and stated.is_rayleigh:
            force = force + 1j * omega * (
                stated.alpha * dynamics.mass(q) + stated.beta * dynamics.stiffness(q)
            )
        elif stated is not None:
            force = force + 1j * stated.loss_factor * dynamics.stiffness(q)
        return force

    @cached_property
    def _stated_ratio(self) -> FloatArray:
        assert self.stated is not None
        ratio = self.stated.ratio(self.modes.frequencies)
        more = len(self.stiffness) - len(ratio)
        return np.concatenate([ratio, np.full(more, ratio[-1] if len(ratio) else 0.0)])


def _residual_vectors(modes: ModalCase, loads: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Static answers less what modes give of them, with unit stiffness: shapes [size, s] and masses [s]."""
    dynamics = modes.dynamics
    some = np.flatnonzero(np.abs(loads).max(axis=0, initial=0.0) > 0.0)
    if not len(some) or not dynamics.free.any():
        return np.zeros((dynamics.size, 0)), np.zeros(0)
    loads = np.ascontiguousarray(loads[:, some])
    static = dynamics.solve(loads)
    whole = np.einsum("is,is->s", static, loads)
    rest = static
    if len(modes):
        carried = dynamics.mass(modes.shapes)
        for _ in range(2):
            rest = rest - modes.shapes @ (carried.T @ rest)
    energy = _symmetric(rest.T @ dynamics.stiffness(rest))
    size = np.sqrt(np.where(whole > 0.0, whole, 1.0))
    energy = energy / np.outer(size, size)
    values, vectors = np.linalg.eigh(energy)
    kept = values > _NOTHING_LEFT
    rest = (rest / size) @ (vectors[:, kept] / np.sqrt(values[kept]))
    mass, turn = np.linalg.eigh(_symmetric(rest.T @ dynamics.mass(rest)))
    order = np.argsort(-mass)
    return np.asarray(rest @ turn[:, order]), np.maximum(mass[order], 0.0)


def _refuse_resonance(omega: FloatArray, size: FloatArray, scale: FloatArray, load: ComplexArray) -> None:
    hit = (size <= 1e-12 * scale) & (load != 0.0)
    if hit.any():
        at = float(omega[np.flatnonzero(hit.any(axis=1))[0]]) / (2.0 * np.pi)
        raise ConvergenceError(
            f"{show(at, 'frequency')} is a resonance that nothing damps, and the answer there has no bound; "
            "state damping, or other frequencies"
        )


def _symmetric(matrix: SparseMatrix) -> FloatArray:
    return np.asarray(0.5 * (matrix + matrix.T))
