"""Answers that are sums over modes of unknown phase: root mean squares, and peaks combined from modes.

All that is known of the modal coordinates q is the matrix P of their mean products (or of combined peaks).
What follows linearly from q, y = sum y_r q_r, has the mean square y^T P y; cross terms between modes count.
Von Mises stress is no linear function, but its square is a quadratic one, s^T A s, so that its mean square
is exact as well: the sum over r, s of P_rs s_r^T A s_s.

Source: Segalman, Fulcher, Reese and Field, An efficient method for calculating R.M.S. von Mises stress in a
random vibration environment, Sandia SAND98-0260 (1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from designtwin.errors import DesignTwinError, did_you_mean
from designtwin.model.model import LoadCase, Model
from designtwin.results import stress as tensor
from designtwin.results.common import CaseResult, Field, SolveInfo
from designtwin.results.modal import ModalCase, Mode, ShapeErrors
from designtwin.results.modal_stress import modal_stress, row_chunks
from designtwin.results.recovery import Recovery
from designtwin.typing import FloatArray, IntArray

MOTIONS = {
    "displacement": ("u", "length", "Displacement"),
    "velocity": ("v", "velocity", "Velocity"),
    "acceleration": ("a", "acceleration", "Acceleration"),
}
"""Letter of components, dimension and title."""
_SMALL = 1e-3
"""Share of the largest stress below which the error of a shape does not count."""
_SENSITIVITY = 4.0
"""Relative error of a response by frequencies that are off, over the energy error squared: a frequency is off
by up to twice that, and stress and displacement go with its -3/2 to -2 power."""
# A = L L^T of von Mises stress, p^2 = s^T A s, L^T s from xx yy zz xy yz xz.
VON_MISES = np.array(
    [
        [np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0, 0.0, 0.0],
        [0.0, np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0, 0.0],
        [-np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, np.sqrt(3.0), 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, np.sqrt(3.0), 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, np.sqrt(3.0)],
    ]
)


def root_of(matrix: FloatArray) -> FloatArray:
    """L float64[m, k] with L L^T = P for a symmetric P >= 0; k is its rank.

    Scaled to a unit diagonal first, as modal coordinates differ by many orders.
    """
    size = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    safe = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(safe, safe))
    keep = values > 1e-15 * max(float(values[-1]), 0.0) if len(values) else np.zeros(0, bool)
    return np.asarray(size[:, None] * vectors[:, keep] * np.sqrt(values[keep]))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModalSum(CaseResult):
    """Fields of a response whose modal coordinates are known by their mean products alone.

    Parameters
    ----------
    name : str
    model : Model
    recovery : Recovery
    modes : ModalCase
    extra : tuple of Mode
        Static shapes that complete the modes.
    shapes : float64[size, m]
        Modes and static shapes in the unknowns of ``modes.dynamics``.
    stiffness : float64[m]
        Of each, (rad/s)^2 times its mass.
    directions : float64[n, 3]
        Of base motion of each input; zeros of loads.
    info : SolveInfo
    notes : tuple of str
        What the user should know.
    """

    name: str
    model: Model
    recovery: Recovery
    modes: ModalCase
    extra: tuple[Mode, ...]
    shapes: FloatArray
    stiffness: FloatArray
    directions: FloatArray
    info: SolveInfo
    notes: tuple[str, ...] = ()

    statistical: ClassVar[bool] = False
    """Whether fields are root mean squares, which requirements multiply by sigma."""
    _word: ClassVar[str] = "peak"

    @property
    def case(self) -> LoadCase:
        """The state that the part vibrates about: its temperature sets the strength."""
        return self.modes.state

    @property
    def residual(self) -> float:  # type: ignore[override]
        """The largest of the modes."""
        return self.modes.residual

    @property
    def imbalance(self) -> float:  # type: ignore[override]
        """Nothing to balance: modes have no size of their own."""
        return 0.0

    def products(self, motion: str) -> FloatArray:
        """Mean products of modal coordinates, or of a derivative, float64[m, m].

        Of the second derivative float64[m + n, m + n]: base accelerations of the inputs follow.

        Parameters
        ----------
        motion : "displacement", "velocity" or "acceleration"
        """
        raise NotImplementedError

    @property
    def _relative_error(self) -> float:
        """Of all mean products together, of other sources than the mesh."""
        return 0.0

    @property
    def shares(self) -> FloatArray:
        """Share of each mode (and static shape) in the strain energy, float64[m]."""
        energy = np.diag(self.products("displacement")) * self.stiffness
        total = float(energy.sum())
        return np.asarray(energy / total if total > 0.0 else energy)

    # Fields

    def _motion(self, motion: str) -> FloatArray:
        """Root mean squares of the components of a motion, float64[n_points, 3]."""
        kept: dict[str, FloatArray] = self.__dict__.setdefault("_motions", {})
        if motion not in kept:
            root, m = root_of(self.products(motion)), len(self.stiffness)
            total = np.zeros((self.mesh.n_points, 3))
            for column in root.T:
                u = self.modes.dynamics.displacement(self.shapes @ column[:m])
                if len(column) > m:
                    u = u + column[m:] @ self.directions
                total += u * u
            kept[motion] = np.sqrt(total)
        return kept[motion]

    @cached_property
    def _extra_stress(self) -> FloatArray:
        return modal_stress(self.extra)

    def stress_of_shapes(self, rows: slice | IntArray) -> FloatArray:
        """Stress of all shapes at some rows of ``points``, float64[m, rows, 6], Pa per unit each."""
        parts = []
        if len(self.modes):
            parts.append(np.asarray(self.modes.shape_stress[:, rows]))
        if self.extra:
            parts.append(np.asarray(self._extra_stress[:, rows]))
        if not parts:
            return np.zeros((0, len(np.arange(len(self.points))[rows]), 6))
        return np.concatenate(parts)

    @cached_property
    def _stress(self) -> tuple[FloatArray, FloatArray]:
        """Root mean squares of von Mises stress float64[rows] and of the components float64[rows, 6], Pa."""
        root, n = root_of(self.products("displacement")), len(self.points)
        equivalent, components = np.zeros(n), np.zeros((n, 6))
        for some in row_chunks(n, 48 * (2 * len(root) + 2 * root.shape[1])):
            independent = np.einsum("mrc,mk->krc", self.stress_of_shapes(some), root, optimize=True)
            components[some] = np.sqrt((independent**2).sum(axis=0))
            equivalent[some] = np.sqrt(((independent @ VON_MISES.T) ** 2).sum(axis=(0, 2)))
        return equivalent, components

    def stress_covariance(self, rows: IntArray) -> FloatArray:
        """Mean products of stress components at rows of ``points``, float64[rows, 6, 6], Pa^2."""
        stress = self.stress_of_shapes(rows)
        return np.asarray(
            np.einsum("mrc,mn,nrd->rcd", stress, self.products("displacement"), stress, optimize=True)
        )

    def von_mises(self) -> FloatArray:
        """Von Mises stress at the rows of ``points``, float64[k], Pa: see the module for its meaning."""
        return self._stress[0]

    def yield_strength(self) -> FloatArray:
        """Yield strength at the rows of ``points``, float64[k], Pa.

        Raises
        ------
        MissingPropertyError
            If a part's material does not state it.
        """
        some: Mode = self.modes[0] if len(self.modes) else self.extra[0]
        return some.yield_strength()

    @property
    def field_names(self) -> tuple[str, ...]:
        names = [name for motion, (letter, _, _) in MOTIONS.items()
                 for name in (motion, *(letter + axis for axis in "xyz"))]  # fmt: skip
        names += ["von_mises", *(f"stress_{c}" for c in tensor.COMPONENTS)]
        if all(part.section.material.magnitude("yield_strength") is not None for part in self.model.parts):
            names.append("safety_factor")
        return tuple(names)

    def field(self, name: str) -> Field:
        """A field by name: displacement, ux, uy, uz, velocity, vx .., acceleration, ax .., von_mises,
        stress_xx .. stress_xz, safety_factor."""
        return self._field(name, 1.0, self._word)

    def _field(self, name: str, times: float, word: str) -> Field:
        """A field so many times, with its error."""
        motion = _motion_of(name)
        if motion:
            _, dimension, title = MOTIONS[motion]
            values = times * self._motion(motion)
            if name != motion:
                values, title = values[:, "xyz".index(name[1])], f"{title} {name[1]}"
            size = values if values.ndim == 1 else np.linalg.norm(values, axis=1)
            return Field(
                name, f"{title}, {word}", values, dimension, "points",
                lambda: times * self._motion_error(motion) + self._common_error * size,
            )  # fmt: skip
        if name == "von_mises":
            values = times * self.von_mises()
            return Field(
                name, f"Von Mises stress, {word}", values, "pressure",
                error=lambda: times * self._stress_error * np.sqrt(1.5) + self._common_error * values,
            )  # fmt: skip
        if name.startswith("stress_") and name[7:] in tensor.COMPONENTS:
            values = times * self._stress[1][:, tensor.COMPONENTS.index(name[7:])]
            return Field(
                name, f"Stress {name[7:]}, {word}", values, "pressure",
                error=lambda: times * self._stress_error + self._common_error * values,
            )  # fmt: skip
        if name == "safety_factor":
            stress, strength = self._field("von_mises", times, word), self.yield_strength()
            with np.errstate(divide="ignore"):
                factor = strength / stress.values

            def spread() -> FloatArray:
                error = np.asarray(stress.error)
                with np.errstate(divide="ignore", invalid="ignore"):
                    return np.where(
                        stress.values > error, strength / (stress.values - error) - factor, np.inf
                    )

            return Field(name, f"Safety factor to yield, {word}", factor, "dimensionless", error=spread)
        if name == "tresca" or name.startswith("principal"):
            raise DesignTwinError(
                f"{name!r} of case {self.name!r} does not follow from modes of unknown phase; ask for "
                "'von_mises', whose square is a sum over modes, or for components 'stress_xx'"
            )
        hint = did_you_mean(name, self.field_names, n=2) or f"; there are: {', '.join(self.field_names)}"
        raise DesignTwinError(f"there is no field {name!r}{hint}")

    # Errors

    def _errors_of(self, i: int) -> ShapeErrors:
        if i < len(self.modes):
            return self.modes.shape_errors(i)
        kept: dict[int, ShapeErrors] = self.__dict__.setdefault("_extra_errors", {})
        if i not in kept:
            kept[i] = ShapeErrors.of(self.extra[i - len(self.modes)])
        return kept[i]

    @cached_property
    def _counting(self) -> IntArray:
        """Shapes whose stress is seen anywhere."""
        size = np.sqrt(np.maximum(np.diag(self.products("displacement")), 0.0))
        largest = np.zeros(len(size))
        for some in row_chunks(len(self.points), 96 * max(len(size), 1)):
            local = tensor.von_mises(self.stress_of_shapes(some))
            np.maximum(largest, size * local.max(axis=1, initial=0.0), out=largest)
        return np.flatnonzero(largest > _SMALL * largest.max(initial=0.0))

    def _bound(self, products: FloatArray, errors: Sequence[FloatArray]) -> FloatArray:
        """Root mean square of a sum of errors of shapes, at most: the triangle inequality of each pair."""
        some = self._counting
        each = np.array(errors)
        pairs = np.abs(products[np.ix_(some, some)])
        return np.asarray(np.sqrt((each * (pairs @ each)).sum(axis=0)))

    @cached_property
    def _stress_error(self) -> FloatArray:
        """Half-width of the tensor (Frobenius), float64[rows], Pa."""
        if not len(self._counting):
            return np.zeros(len(self.points))
        errors = [self._errors_of(int(i)).stress for i in self._counting]
        return self._bound(self.products("displacement"), errors)

    def _motion_error(self, motion: str) -> FloatArray:
        if not len(self._counting):
            return np.zeros(self.mesh.n_points)
        errors = [self._errors_of(int(i)).displacement for i in self._counting]
        return self._bound(self.products(motion), errors)

    @cached_property
    def _common_error(self) -> float:
        """Relative half-width of all fields: of integrals and by frequencies that are off."""
        shares, some = self.shares, self._counting
        off = sum(float(shares[i]) * self._errors_of(int(i)).energy ** 2 for i in some)
        return float(_SENSITIVITY * off + self._relative_error)

    @cached_property
    def energy_error(self) -> float:
        """Estimated error in the energy norm over the energy norm, mean square over the modes."""
        shares = self.shares
        total = sum(float(shares[i]) * self._errors_of(int(i)).energy ** 2 for i in self._counting)
        return float(np.sqrt(total))


def _motion_of(name: str) -> str:
    """The motion that a field is, or is a component of: "velocity" of "vx"."""
    for motion, (letter, _, _) in MOTIONS.items():
        if name == motion or (len(name) == 2 and name[0] == letter and name[1] in "xyz"):
            return motion
    return ""


def with_displacement(modes: ModalCase, q: FloatArray, omega2: float, number: int, name: str) -> Mode:
    """A shape that is no mode, as one: its fields per unit of its coordinate.

    Parameters
    ----------
    q : float64[size]
    omega2 : float
        Its Rayleigh quotient, (rad/s)^2.
    """
    return Mode(
        name=name, model=modes.model, recovery=modes.recovery, displacement=modes.dynamics.displacement(q),
        reactions=np.zeros((modes.mesh.n_points, 3)), applied=np.zeros(3), applied_moment=np.zeros(3),
        residual=0.0, imbalance=0.0, info=modes.info, case=modes.state, number=number,
        frequency=float(np.sqrt(max(omega2, 0.0)) / (2.0 * np.pi)), omega2=omega2, is_rigid=False,
        participation=np.zeros(6),
    )  # fmt: skip
