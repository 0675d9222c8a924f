"""Steady vibration over frequency: complex amplitudes, their largest values, and responses at places."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from designtwin import units
from designtwin.assembly.dynamics import Dynamics
from designtwin.elements import ELEMENTS
from designtwin.errors import DesignTwinError, did_you_mean
from designtwin.io.files import atomic
from designtwin.mesh.locate import locate
from designtwin.mesh.selections import Selection, select
from designtwin.model.coordinates import unit_vector
from designtwin.model.model import LoadCase, Model
from designtwin.results import stress as tensor
from designtwin.results.common import CaseResult, Field, SolveInfo
from designtwin.results.modal import ModalCase, ShapeErrors
from designtwin.results.modal_stress import modal_stress, row_chunks
from designtwin.results.places import mean_weights, rows_of
from designtwin.results.recovery import Recovery
from designtwin.results.shapes import AboutState
from designtwin.results.static import StaticCase
from designtwin.results.transient import Instants, _is_point
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show, to_si

ComplexArray: TypeAlias = NDArray[np.complex128]

VECTORS: Mapping[str, tuple[str, str, str, int]] = {
    "displacement": ("Displacement", "length", "u", 0),
    "velocity": ("Velocity", "velocity", "v", 1),
    "acceleration": ("Acceleration", "acceleration", "a", 2),
}
"""What moves: title, dimension, letter of its components, and how often it is differentiated."""
_COMPONENTS = {
    f"{letter}{axis}": (whole, i)
    for whole, (_, _, letter, _) in VECTORS.items() for i, axis in enumerate("xyz")
}  # fmt: skip
_EVALUATED = 4
"""Frequencies at which errors are estimated where there are no modes; others take the largest of these."""
_COUNTS = 1e-3
"""Share of the strain energy's root from which a mode's error counts."""
_LOWER = 4.0
"""By how many squared energy errors of its shape a mesh may have raised omega^2 of a mode."""
_PHASES = 24
"""Instants of half a cycle at which principal stresses are looked at; they miss 0.2 % at most."""


# ---------------------------------------------------------------------------------------------------
# Amplitudes
# ---------------------------------------------------------------------------------------------------


def largest_length(vector: ComplexArray) -> FloatArray:
    """Largest length over a cycle of real(vector e^(i w t)), float64[...], for complex [..., n]; exact.

    The square of the length is half of |z|^2 + real(z.z e^(2 i w t)).
    """
    size = np.einsum("...i,...i->...", vector.real, vector.real) + np.einsum(
        "...i,...i->...", vector.imag, vector.imag
    )
    turning = np.abs(np.einsum("...i,...i->...", vector, vector))
    return np.asarray(np.sqrt(0.5 * (size + turning)))


def at_largest(vector: ComplexArray) -> FloatArray:
    """The real vector [..., n] at the phase at which it is longest."""
    turn = np.exp(-0.5j * np.angle(np.einsum("...i,...i->...", vector, vector)))
    return np.asarray((vector * turn[..., None]).real)


_LENGTHS = np.array(
    [
        [np.sqrt(0.75), -np.sqrt(0.75), 0.0, 0.0, 0.0, 0.0],
        [0.5, 0.5, -1.0, 0.0, 0.0, 0.0],
        *(np.sqrt(3.0) * np.eye(6)[3:]),
    ]
)
"""Five numbers of a stress whose length is its von Mises stress, as it leaves the mean stress out."""


def largest_von_mises(stress: ComplexArray) -> FloatArray:
    """Largest von Mises stress over a cycle, float64[...], for complex amplitudes [..., 6]; exact."""
    return largest_length(stress @ _LENGTHS.T)


def _largest_of(shapes: FloatArray, amounts: ComplexArray) -> FloatArray:
    """`largest_length` of amounts [f, r] of shapes [r, k, c], float64[f, k], by real products alone."""
    r, k, c = shapes.shape
    flat = shapes.reshape(r, k * c)
    real, imaginary = (
        (np.ascontiguousarray(part) @ flat).reshape(-1, k, c) for part in (amounts.real, amounts.imag)
    )
    a, b, mixed = (
        np.einsum("fkc,fkc->fk", one, other)
        for one, other in ((real, real), (imaginary, imaginary), (real, imaginary))
    )
    return np.asarray(np.sqrt(0.5 * (a + b + np.hypot(a - b, 2.0 * mixed))))


# ---------------------------------------------------------------------------------------------------
# A response at a place
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResponsePeak:
    """Where a response is largest.

    Parameters
    ----------
    frequency : float
        Hz.
    amplitude : float
        SI.
    dimension : str
    """

    frequency: float
    amplitude: float
    dimension: str

    def __str__(self) -> str:
        return f"{show(self.amplitude, self.dimension)} at {show(self.frequency, 'frequency')}"


@dataclass(frozen=True, eq=False)
class FrequencyResponse:
    """A complex amplitude over frequency: the real part of it times e^(i w t) is what moves.

    Parameters
    ----------
    frequencies : float64[f]
        Hz, ascending.
    values : complex128[f]
        SI. Of what has no phase, such as von Mises stress, the largest over a cycle.
    label : str
        What it is, for legends: "acceleration z of 'lug'".
    dimension : str
        A key of `designtwin.units`.
    case : str
    resonances : float64[m]
        Natural frequencies in the band, Hz, for pictures; empty where they are not known.
    """

    frequencies: FloatArray
    values: ComplexArray
    label: str
    dimension: str
    case: str = ""
    resonances: FloatArray = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.frequencies)

    @property
    def amplitude(self) -> FloatArray:
        """float64[f], SI."""
        return np.asarray(np.abs(self.values))

    @property
    def phase(self) -> FloatArray:
        """By which it leads the excitation, float64[f], rad, -pi to pi; negative: it lags."""
        return np.asarray(np.angle(self.values))

    @property
    def peak(self) -> ResponsePeak:
        """Where the amplitude is largest."""
        i = int(np.argmax(self.amplitude))
        return ResponsePeak(float(self.frequencies[i]), float(self.amplitude[i]), self.dimension)

    def at(self, frequency: Any) -> complex:
        """The value at a frequency, such as "60 Hz", linear between points.

        Raises
        ------
        DesignTwinError
            If the frequency lies outside of the sweep.
        """
        f = float(to_si(frequency, "frequency", name="frequency"))
        low, high = float(self.frequencies[0]), float(self.frequencies[-1])
        if not low * (1.0 - 1e-9) <= f <= high * (1.0 + 1e-9):
            raise DesignTwinError(
                f"{self.label}: {show(f, 'frequency')} lies outside of the sweep, "
                f"{show(low, 'frequency')} to {show(high, 'frequency')}"
            )
        return complex(
            np.interp(f, self.frequencies, self.values.real), np.interp(f, self.frequencies, self.values.imag)
        )

    def plot(self, **options: Any) -> Any:
        """Picture of amplitude and phase over frequency; see `designtwin.viz` for the options."""
        from designtwin import edge

        return edge.plot_response(self, **options)

    def to_csv(self, path: str | Path) -> Path:
        """Write frequency in Hz, amplitude, phase in degrees, real and imaginary part, in display units."""
        unit = units.symbol(self.dimension)
        head = f"{self.label} [{unit}]" if unit else self.label
        columns = [
            self.frequencies, units.from_si(self.amplitude, self.dimension), np.degrees(self.phase),
            units.from_si(self.values.real, self.dimension), units.from_si(self.values.imag, self.dimension),
        ]  # fmt: skip
        out = StringIO()
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(["frequency [Hz]", head, "phase [deg]", "real part", "imaginary part"])
        lines.writerows([repr(float(value)) for value in row] for row in zip(*columns, strict=True))
        with atomic(path, error=DesignTwinError) as stream:
            stream.write(out.getvalue().encode("utf-8"))
        return Path(path)

    def __str__(self) -> str:
        where = f" in case {self.case!r}" if self.case else ""
        span = f"{show(float(self.frequencies[0]), 'frequency')} to " + show(
            float(self.frequencies[-1]), "frequency"
        )
        return f"{self.label}{where}: at most {self.peak}; {len(self)} frequencies, {span}"


# ---------------------------------------------------------------------------------------------------
# One frequency
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class HarmonicPoint(AboutState):
    """Vibration at one frequency; it answers what a static case does, with amplitudes.

    ``displacement`` is the state at the phase at which the part moves farthest, which pictures show; fields,
    stress invariants and margins are the largest over a cycle. Reactions are not kept by node (nan);
    ``HarmonicCase.response(what="reaction")`` has their sum.

    Parameters
    ----------
    frequency : float
        Hz.
    phase : float
        Of that state, rad: it is the real part of ``amplitude`` times e^(i phase).
    amplitude : complex128[n_points, 3]
        Displacement, relative to the base, m.
    acceleration : complex128[n_points, 3]
        Absolute, m/s^2.
    """

    frequency: float
    phase: float
    amplitude: ComplexArray
    acceleration: ComplexArray
    _stress: Callable[[], ComplexArray]

    @property
    def caption(self) -> str:
        """In words: "65.2 Hz"."""
        return show(self.frequency, "frequency")

    @property
    def velocity(self) -> ComplexArray:
        """Amplitude relative to the base, complex128[n_points, 3], m/s."""
        return np.asarray(2j * np.pi * self.frequency * self.amplitude)

    def at_phase(self, angle: Any) -> StaticCase:
        """The state at a phase of the cycle, such as "90 deg" (plain numbers: rad)."""
        turn = np.exp(1j * float(to_si(angle, "angle", name="angle")))
        return self._state(np.ascontiguousarray((self.amplitude * turn).real))

    def _state(self, displacement: FloatArray) -> AboutState:
        return AboutState(
            name=self.name, model=self.model, recovery=self.recovery, displacement=displacement,
            reactions=self.reactions, applied=self.applied, applied_moment=self.applied_moment,
            residual=self.residual, imbalance=self.imbalance, info=self.info, case=self.case,
        )  # fmt: skip

    @cached_property
    def stress_amplitude(self) -> ComplexArray:
        """At the rows of ``points``, complex128[k, 6], Pa."""
        return self._stress()

    @cached_property
    def _nodal(self) -> FloatArray:
        return np.asarray((self.stress_amplitude * np.exp(1j * self.phase)).real)

    def von_mises(self) -> FloatArray:
        """Largest von Mises stress over a cycle at the rows of ``points``, float64[k], Pa; exact."""
        return largest_von_mises(self.stress_amplitude)

    def _principals(self) -> FloatArray:
        """Principal stresses over half a cycle, float64[phases, k, 3]; the other half changes signs."""
        turns = np.exp(1j * np.pi * np.arange(_PHASES) / _PHASES)
        return np.stack([tensor.principal((self.stress_amplitude * turn).real) for turn in turns])

    def tresca(self) -> FloatArray:
        """Largest Tresca stress over a cycle (at 48 instants of it), float64[k], Pa."""
        found = self._principals()
        return np.asarray((found[..., 0] - found[..., 2]).max(axis=0))

    def principal(self) -> FloatArray:
        """Principal stresses, the largest each is over a cycle (at 48 instants of it), float64[k, 3], Pa."""
        found = self._principals()
        return np.maximum(found, -found[..., ::-1]).max(axis=0)  # type: ignore[no-any-return]

    # Errors: of the real and of the imaginary part, which are a quarter of a cycle apart

    @cached_property
    def _both(self) -> tuple[AboutState, AboutState]:
        return self._state(np.ascontiguousarray(self.amplitude.real)), self._state(
            np.ascontiguousarray(self.amplitude.imag)
        )

    @cached_property
    def _tensor_error(self) -> FloatArray:
        one, other = (part._tensor_error for part in self._both)
        return np.asarray(np.hypot(one, other))

    @cached_property
    def displacement_error(self) -> FloatArray:
        """Half-width of the displacement at the mesh points, float64[n_points], m."""
        one, other = (part.displacement_error for part in self._both)
        return np.asarray(np.hypot(one, other))

    @cached_property
    def energy_error(self) -> float:
        """The larger of the two parts' (see ``StaticCase``), of those that deform the part noticeably."""
        sizes = [float(np.abs(part.displacement).max(initial=0.0)) for part in self._both]
        return max(
            part.energy_error
            for part, size in zip(self._both, sizes, strict=True)
            if size >= 0.1 * max(sizes)
        )

    @property
    def field_names(self) -> tuple[str, ...]:
        return field_names(self.model)

    def field(self, name: str) -> Field:
        """A field by name: amplitudes; see ``field_names``."""
        if name in VECTORS:
            title, dimension, _, order = VECTORS[name]
            values = at_largest(self._vector(name))
            return Field(name, title, values, dimension, "points", lambda: self._moving_error(order))
        if name in _COMPONENTS:
            whole, i = _COMPONENTS[name]
            title, dimension, _, order = VECTORS[whole]
            values = np.abs(self._vector(whole)[:, i])
            return Field(
                name, f"{title} {name[1]}", values, dimension, "points", lambda: self._moving_error(order)
            )
        if name.startswith("stress_") and name[7:] in tensor.COMPONENTS:
            values = np.abs(self.stress_amplitude[:, tensor.COMPONENTS.index(name[7:])])
            return Field(name, f"Stress {name[7:]}", values, "pressure", error=lambda: self._tensor_error)
        _known(name, self.field_names)
        return super().field(name)

    def _vector(self, name: str) -> ComplexArray:
        return {"displacement": self.amplitude, "acceleration": self.acceleration}.get(name, self.velocity)

    def _moving_error(self, order: int) -> FloatArray:
        return np.asarray((2.0 * np.pi * self.frequency) ** order * self.displacement_error)

    def __repr__(self) -> str:
        return f"<HarmonicPoint of {self.name!r} at {self.caption}>"


def field_names(model: Model) -> tuple[str, ...]:
    """Fields of steady vibration."""
    names = [*VECTORS, *_COMPONENTS, "von_mises", "tresca", *(f"principal_{i}" for i in (1, 2, 3))]
    names += [f"stress_{c}" for c in tensor.COMPONENTS]
    if all(part.section.material.magnitude("yield_strength") is not None for part in model.parts):
        names.append("safety_factor")
    return tuple(names)


def _known(name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        hint = did_you_mean(name, names, n=2) or f"; there are: {', '.join(names)}"
        raise DesignTwinError(f"there is no field {name!r}{hint}")


# ---------------------------------------------------------------------------------------------------
# All frequencies
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class HarmonicCase(CaseResult):
    """Steady vibration under one excitation, over frequency.

    Fields, probes and pictures without a frequency are envelopes: at every point the largest amplitude over
    the sweep. ``at("65 Hz")`` gives one frequency, ``response(...)`` a place over all of them.

    Parameters
    ----------
    name : str
    model : Model
    recovery : Recovery
    dynamics : Dynamics
    frequencies : float64[f]
        Hz, ascending.
    basis : float64[size, r]
        Shapes in the unknowns of ``dynamics`` ...
    coordinates : complex128[f, r]
        ... and how much of each; the motion relative to the base.
    loads : float64[n_points, 3, p]
        Nodal forces, N.
    factors : complex128[f, p]
        How much of each acts.
    base : float64[n_points, 3, b]
        Rigid motions of the base, per m.
    base_acceleration : complex128[f, b]
        m/s^2.
    input_power, dissipated_power : float64[f]
        Mean over a cycle, W: of the excitation, and taken by damping.
    resonances : float64[m]
        Natural frequencies in the band, Hz; empty where they are not known.
    excitation : str
        In words.
    damping : str
        In words.
    method : "modal" or "direct"
    residual : float
        By modes: what those left out would add, over the answer, in the energy norm; estimated from what the
        full equations leave unbalanced, at the lowest and highest frequency and where the answer is largest.
        Direct: what they leave unbalanced over the load, largest of all frequencies.
    state : LoadCase
        What the part vibrates about.
    info : SolveInfo
    modes : ModalCase, optional
        The first shapes of the basis.
    softer : function, optional
        Relative changes of omega^2 of the modes, float64[m], to the answer with these.
    """

    name: str
    model: Model
    recovery: Recovery
    dynamics: Dynamics
    frequencies: FloatArray
    basis: FloatArray
    coordinates: ComplexArray
    loads: FloatArray
    factors: ComplexArray
    base: FloatArray
    base_acceleration: ComplexArray
    input_power: FloatArray
    dissipated_power: FloatArray
    resonances: FloatArray
    excitation: str
    damping: str
    method: str
    residual: float
    state: LoadCase
    info: SolveInfo
    modes: ModalCase | None = None
    softer: Callable[[FloatArray], HarmonicCase] | None = None

    @cached_property
    def imbalance(self) -> float:  # type: ignore[override]
        """Power put in less power dissipated over the larger of both, at the frequency where it is worst."""
        most = np.maximum(np.abs(self.input_power), np.abs(self.dissipated_power))
        kept = most > 1e-12 * most.max(initial=0.0)
        off = np.abs(self.input_power - self.dissipated_power)[kept] / most[kept]
        return float(off.max(initial=0.0))

    # One frequency

    @cached_property
    def frames(self) -> Instants[HarmonicPoint]:  # type: ignore[override]
        """All frequencies in order, made when asked for."""
        return Instants(len(self.frequencies), self._point)

    def __len__(self) -> int:
        return len(self.frequencies)

    def displacement(self, i: int, *, relative: bool = True) -> ComplexArray:
        """Complex amplitude at frequency i, complex128[n_points, 3], m; to the base, or to the ground."""
        q = self.basis @ self.coordinates[i]
        u = np.asarray(self.dynamics.displacement(q), np.complex128)
        if relative or not self.base.shape[2]:
            return u
        omega = 2.0 * np.pi * self.frequencies[i]
        return np.asarray(u - self.base @ self.base_acceleration[i] / omega**2)

    def acceleration(self, i: int) -> ComplexArray:
        """Complex amplitude at frequency i, complex128[n_points, 3], m/s^2, absolute."""
        omega = 2.0 * np.pi * self.frequencies[i]
        return np.asarray(-(omega**2) * self.displacement(i) + self.base @ self.base_acceleration[i])

    def at(self, frequency: Any) -> HarmonicPoint:
        """Vibration at a frequency of the sweep, such as "65 Hz"; between its points, at a nearby one.

        Raises
        ------
        DesignTwinError
            If the frequency lies outside of the sweep.
        """
        f = float(to_si(frequency, "frequency", name="frequency"))
        low, high = float(self.frequencies[0]), float(self.frequencies[-1])
        if not low * (1.0 - 1e-9) <= f <= high * (1.0 + 1e-9):
            raise DesignTwinError(
                f"case {self.name!r}: {show(f, 'frequency')} lies outside of the sweep, "
                f"{show(low, 'frequency')} to {show(high, 'frequency')}"
            )
        return self.frames[int(np.argmin(np.abs(self.frequencies - f)))]

    def _point(self, i: int) -> HarmonicPoint:
        u = self.displacement(i)
        phase = -0.5 * float(np.angle((u * u).sum()))
        zero = np.zeros(3)
        return HarmonicPoint(
            name=self.name, model=self.model, recovery=self.recovery,
            displacement=np.ascontiguousarray((u * np.exp(1j * phase)).real),
            reactions=np.broadcast_to(np.nan, u.shape), applied=zero, applied_moment=zero,
            residual=self.residual, imbalance=self.imbalance, info=self.info, case=self.state,
            frequency=float(self.frequencies[i]), phase=phase, amplitude=u, acceleration=self.acceleration(i),
            _stress=lambda: self._stress_at(i),
        )  # fmt: skip

    @property
    def _n_modes(self) -> int:
        return 0 if self.modes is None else len(self.modes)

    def _others(self) -> list[AboutState]:
        """Shapes that are no modes."""
        still = np.zeros((self.mesh.n_points, 3))
        return [
            AboutState(
                name=self.name, model=self.model, recovery=self.recovery,
                displacement=np.ascontiguousarray(self.dynamics.displacement(np.ascontiguousarray(q))),
                reactions=still, applied=np.zeros(3), applied_moment=np.zeros(3), residual=0.0, imbalance=0.0,
                info=self.info, case=self.state,
            )
            for q in self.basis.T[self._n_modes :]
        ]  # fmt: skip

    @cached_property
    def _other_stress(self) -> FloatArray:
        """Their stress, float64[s, rows, 6]."""
        others = self._others()
        return modal_stress(others) if others else np.zeros((0, len(self.points), 6))

    def _stress(self, rows: slice | IntArray) -> FloatArray:
        """Stress of every shape at some rows, float64[r, k, 6]."""
        others = np.asarray(self._other_stress[:, rows])
        if self.modes is None:
            return others
        return np.concatenate([np.asarray(self.modes.shape_stress[:, rows]), others])

    def _stress_at(self, i: int) -> ComplexArray:
        y, n = self.coordinates[i], len(self.points)
        out = np.zeros((n, 6), np.complex128)
        for some in row_chunks(n, 48 * (len(y) + 2)):
            out[some] = np.tensordot(y, self._stress(some), axes=(0, 0))
        return out

    # Over all frequencies

    def response(
        self, on: Any = None, direction: Any = None, what: str = "displacement", *, over: str = "",
        relative: bool | None = None,
    ) -> FrequencyResponse:  # fmt: skip
        """A number at a place over frequency.

        Parameters
        ----------
        on : group name, selection, or point (x, y, z)
            The whole part unless given.
        direction : "x", "y", "z", three numbers, or "magnitude"; of stress "xx" .. "xz" or "von_mises"
            Unless given the magnitude, and von Mises stress: the largest over a cycle, without a phase.
        what : "displacement", "velocity", "acceleration", "stress" or "reaction"
            A reaction is the sum of the forces of all supports on the part.
        over : "mean" or "max"
            Over the nodes of the place: of components the mean, which has a phase, unless given; of what has
            none the largest. The largest component is that of the node where it is largest of all.
        relative : bool, optional
            Of motion: to the base, or absolute. Accelerations are absolute unless said otherwise, the rest is
            relative.

        Raises
        ------
        DesignTwinError
            If there is no such place, direction or quantity.
        """
        if what == "reaction":
            return self._reaction(direction)
        if what != "stress" and what not in VECTORS:
            known = (*VECTORS, "stress", "reaction")
            hint = did_you_mean(what, known) or f"; there are: {', '.join(known)}"
            raise DesignTwinError(f"response: there is no {what!r}{hint}")
        if over not in ("", "mean", "max"):
            raise DesignTwinError(f"response over={over!r}: say 'mean' or 'max'")
        if what == "stress":
            if relative is not None:
                raise DesignTwinError("response: stress is neither relative nor absolute; leave relative out")
            invariant = direction in (None, "von_mises")
            if not invariant and direction not in tensor.COMPONENTS:
                words = ", ".join(("von_mises", *tensor.COMPONENTS))
                raise DesignTwinError(f"response: stress {direction!r}? Say one of {words}")
            rows, weights, place = self._place(on, "result_points")
            values = self._stress_of(rows)
            name = "von Mises stress" if invariant else f"stress {direction}"
            one = values if invariant else values[..., tensor.COMPONENTS.index(direction)]
            found = self._reduced(one, weights, over, largest_von_mises if invariant else None)
            return FrequencyResponse(
                self.frequencies, found, name + place, "pressure", self.name, self.resonances
            )
        title, dimension, _, _ = VECTORS[what]
        invariant = direction is None or (isinstance(direction, str) and direction == "magnitude")
        rows, weights, place = self._place(on, "points")
        values = self._motion_of(what, rows, relative)
        words = title.lower()
        if relative is not None and self.base.shape[2]:
            words = f"{'relative' if relative else 'absolute'} {words}"
        if not invariant:
            along = np.asarray(unit_vector(direction, name="response direction"))
            words += (
                f" {direction}"
                if isinstance(direction, str)
                else " along " + str(tuple(np.round(along, 4).tolist()))
            )
            values = values @ along
        found = self._reduced(values, weights, over, largest_length if invariant else None)
        return FrequencyResponse(
            self.frequencies, found, words + place, dimension, self.name, self.resonances
        )

    def _reaction(self, direction: Any) -> FrequencyResponse:
        if direction is None or (isinstance(direction, str) and direction == "magnitude"):
            values = largest_length(self.reactions).astype(np.complex128)
            words = ""
        else:
            along = np.asarray(unit_vector(direction, name="response direction"))
            values, words = self.reactions @ along, f" {direction}"
        label = f"reaction{words} of all supports"
        return FrequencyResponse(self.frequencies, values, label, "force", self.name, self.resonances)

    @cached_property
    def reactions(self) -> ComplexArray:
        """Sum of the forces of all supports, springs and dampers to ground on the part, complex128[f, 3], N:
        what accelerates the part's mass, less the loads."""
        along = np.zeros((self.mesh.n_points, 3, 3))
        along[:, range(3), range(3)] = 1.0
        carried = self.dynamics.inertia(along).reshape(-1, 3)
        shapes = self._shapes.reshape(-1, self._shapes.shape[2])
        force = self._amounts(2, False) @ (carried.T @ shapes).T
        return np.asarray(force - self.factors @ self.loads.sum(axis=0).T)

    def _reduced(
        self, values: ComplexArray, weights: FloatArray, over: str,
        length: Callable[[ComplexArray], FloatArray] | None,
    ) -> ComplexArray:  # fmt: skip
        """One number for each frequency of values [f, k] (or [f, k, n], of which the length counts)."""
        if length is not None:
            sizes = length(values)
            one = sizes @ weights if over == "mean" else sizes.max(axis=1)
            return one.astype(np.complex128)
        if over == "max":
            return np.asarray(values[:, int(np.argmax(np.abs(values).max(axis=0)))])
        return np.asarray(values @ weights)

    def _place(self, on: Any, location: str) -> tuple[Any, FloatArray, str]:
        """Rows (or interpolation) of a place, weights of a mean over it, and the place in words."""
        if _is_point(on):
            xyz = np.asarray(to_si(on, "length", name="on"), np.float64)
            place = locate(self.mesh, xyz[None])[0]
            weights = ELEMENTS[place.element].shape(place.xi)[0]
            rows = self._rows_of_cells[place.cell]
            rows = self.points.node[rows] if location == "points" else rows
            return (rows, weights), np.ones(1), f" at {show(xyz, 'length')}"
        selection: Selection | None = None if on is None else select(on)
        rows = rows_of(self.model, self.points, selection, location)
        nodes = rows if location == "points" else self.points.node[rows]
        words = "" if selection is None else f" of {selection}"
        return rows, mean_weights(self.model, selection, nodes), words

    def _motion_of(self, what: str, rows: Any, relative: bool | None) -> ComplexArray:
        """Amplitudes at nodes or interpolated between them, complex128[f, k, 3]."""
        order = VECTORS[what][3]
        amounts = self._amounts(order, order < 2 if relative is None else relative)
        shapes = _gathered(self._shapes, rows)
        return np.asarray(np.tensordot(amounts, shapes, axes=(1, 2)))

    def _stress_of(self, rows: Any) -> ComplexArray:
        """Amplitudes at result points or interpolated between them, complex128[f, k, 6]."""
        picked = np.moveaxis(self._stress(rows[0] if isinstance(rows, tuple) else rows), 0, 2)
        if isinstance(rows, tuple):
            picked = np.einsum("n,ncr->cr", rows[1], picked)[None]
        return np.asarray(np.tensordot(self.coordinates, picked, axes=(1, 2)))

    @cached_property
    def _shapes(self) -> FloatArray:
        """Shapes, and rigid motions of the base, at the nodes, float64[n_points, 3, r + b]."""
        n, r = self.mesh.n_points, self.basis.shape[1]
        out = np.empty((n, 3, r + self.base.shape[2]))
        for j in range(r):
            out[:, :, j] = self.dynamics.displacement(np.ascontiguousarray(self.basis[:, j]))
        out[:, :, r:] = self.base
        return out

    def _amounts(self, order: int, relative: bool) -> ComplexArray:
        """How much of each of `_shapes`, complex128[f, r + b]."""
        omega = 2.0 * np.pi * self.frequencies[:, None]
        times = (1j * omega) ** order
        own = times * self.coordinates
        if relative:
            return np.concatenate([own, np.zeros_like(self.base_acceleration)], axis=1)
        return np.concatenate([own, -times / omega**2 * self.base_acceleration], axis=1)

    # Envelopes

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(n for n in field_names(self.model) if n != "tresca" and not n.startswith("principal"))

    def field(self, name: str) -> Field:
        """The largest amplitude over the sweep; one frequency's is ``at(frequency).field(name)``."""
        _known(name, self.field_names)
        values, governing = self._envelope(name)
        location = "points" if name in VECTORS or name in _COMPONENTS else "result_points"
        template = self.frames[0]
        if name == "safety_factor":
            strength = template.yield_strength()
            with np.errstate(divide="ignore"):
                factor = strength / values

            def spread() -> FloatArray:
                error = self._error("von_mises", governing)
                with np.errstate(divide="ignore", invalid="ignore"):
                    return np.where(values > error, strength / (values - error) - factor, np.inf)

            title = "Safety factor to yield, smallest over frequency"
            return Field(name, title, factor, "dimensionless", error=spread)
        if name in VECTORS:
            title, dimension = VECTORS[name][:2]
        elif name in _COMPONENTS:
            whole, _ = _COMPONENTS[name]
            title, dimension = f"{VECTORS[whole][0]} {name[1]}", VECTORS[whole][1]
        else:
            title = "Von Mises stress" if name == "von_mises" else f"Stress {name[7:]}"
            dimension = "pressure"
        return Field(
            name, f"{title}, largest over frequency", values, dimension, location,
            lambda: self._error(name, governing),
        )  # fmt: skip

    def peak_frequency(self, name: str) -> FloatArray:
        """Hz at which a field is largest (a safety factor smallest), at each of its rows, float64[k]."""
        _known(name, self.field_names)
        return np.asarray(self.frequencies[self._envelope(name)[1]])

    @cached_property
    def _envelopes(self) -> dict[str, tuple[FloatArray, IntArray]]:
        return {}

    def _envelope(self, name: str) -> tuple[FloatArray, IntArray]:
        """Largest amplitude over frequency at each row, and at which frequency; vectors at that instant."""
        name = "von_mises" if name == "safety_factor" else name
        if name not in self._envelopes:
            on_stress = name == "von_mises" or name.startswith("stress_")
            self._envelopes[name] = self._of_stress(name) if on_stress else self._of_motion(name)
        return self._envelopes[name]

    def _of_motion(self, name: str) -> tuple[FloatArray, IntArray]:
        whole, axis = _COMPONENTS.get(name, (name, None))
        order = VECTORS[whole][3]
        amounts = self._amounts(order, order < 2)
        n, f = self.mesh.n_points, len(self.frequencies)
        values = np.zeros((n, 3)) if axis is None else np.zeros(n)
        governing = np.zeros(n, np.int64)
        for some in row_chunks(n, 64 * f):
            shapes = self._shapes[some] if axis is None else self._shapes[some, axis][:, None]
            sizes = _largest_of(np.moveaxis(shapes, 2, 0), amounts)
            best = sizes.argmax(axis=0)
            governing[some] = best
            if axis is not None:
                values[some] = sizes.max(axis=0)
            else:
                values[some] = at_largest(np.einsum("kcr,kr->kc", shapes, amounts[best]))
        return values, governing

    def _of_stress(self, name: str) -> tuple[FloatArray, IntArray]:
        n, f = len(self.points), len(self.frequencies)
        component = None if name == "von_mises" else tensor.COMPONENTS.index(name[7:])
        values, governing = np.zeros(n), np.zeros(n, np.int64)
        for some in row_chunks(n, 100 * f):
            shapes = self._stress(some)
            lengths = shapes[:, :, component, None] if component is not None else shapes @ _LENGTHS.T
            sizes = _largest_of(lengths, self.coordinates)
            governing[some] = sizes.argmax(axis=0)
            values[some] = sizes.max(axis=0)
        return values, governing

    def _error(self, name: str, governing: IntArray) -> FloatArray:
        """Half-width of an envelope at its rows: of the shapes at the frequency that governs each, and of the
        frequencies, which a mesh makes too high."""
        if self.modes is None:
            return self._error_at_frequencies(name, governing)
        whole = _COMPONENTS.get(name, (name, 0))[0]
        moves = whole in VECTORS
        amount = np.abs(self.coordinates)
        if moves:
            amount = amount * (2.0 * np.pi * self.frequencies[:, None]) ** VECTORS[whole][3]
        out = np.zeros(len(governing))
        for j, errors in self._shape_errors.items():
            out += amount[governing, j] * (errors.displacement if moves else errors.stress)
        if name == "von_mises":
            out *= np.sqrt(1.5)
        own = _sizes(self._envelope(name)[0])
        off = np.zeros(len(own))
        for other in self._softened:
            np.maximum(off, np.abs(_sizes(other._envelope(name)[0]) - own), out=off)
        return out + off

    @cached_property
    def _counting(self) -> IntArray:
        """Shapes whose error counts, by their share of the strain energy at any frequency."""
        assert self.modes is not None
        m, n_rigid = len(self.modes), self.modes.n_rigid
        stiffness = np.ones(self.basis.shape[1])
        stiffness[:m] = self.modes.omega2
        share = np.abs(self.coordinates) * np.sqrt(np.maximum(stiffness, 0.0))
        most = np.linalg.norm(share, axis=1)[:, None]
        share = np.divide(share, most, out=np.zeros_like(share), where=most > 0.0).max(axis=0, initial=0.0)
        share[:n_rigid] = 0.0
        return np.flatnonzero(share >= _COUNTS)

    @cached_property
    def _shape_errors(self) -> dict[int, ShapeErrors]:
        """Errors of the shapes that count."""
        assert self.modes is not None
        others = self._others()
        m = len(self.modes)
        return {
            int(j): self.modes.shape_errors(int(j)) if j < m else ShapeErrors.of(others[int(j) - m])
            for j in self._counting
        }

    @cached_property
    def _softened(self) -> tuple[HarmonicCase, ...]:
        """Answers of modes as low as the errors of their shapes allow, and of some between.

        A resonance may pass a frequency on its way down, which a sweep with many sees anyway.
        """
        if self.softer is None or self.modes is None:
            return ()
        change = np.zeros(len(self.modes))
        for j, errors in self._shape_errors.items():
            if j < len(change):
                change[j] = -min(_LOWER * errors.energy**2, 0.5)
        others = [self.softer(change)]
        if np.array_equal(others[0].frequencies, self.frequencies):  # stated ones, not placed at resonances
            others += [self.softer(share * change) for share in (0.25, 0.5, 0.75)]
        for other in others:
            for kept in ("_shapes", "_other_stress"):  # the shapes are the same
                if kept in self.__dict__:
                    other.__dict__[kept] = self.__dict__[kept]
        return tuple(others)

    def _error_at_frequencies(self, name: str, governing: IntArray) -> FloatArray:
        """Half-width of an envelope without modes.

        Errors are estimated at the frequencies that govern the largest values; rows governed by others take
        the largest error of these. That resonances lie a little low counts where the sweep has them inside.
        """
        size = _sizes(self._envelope(name)[0])
        most = np.zeros(len(self.frequencies))
        np.maximum.at(most, governing, size)
        seen = np.unique(governing)
        chosen = seen[np.argsort(-most[seen], kind="stable")][:_EVALUATED]
        errors = {}
        for i in chosen:
            error = self.frames[int(i)].field(name).error
            assert error is not None
            errors[int(i)] = error
        out = np.max(list(errors.values()), axis=0)
        for i, error in errors.items():
            own = governing == i
            out[own] = error[own]
        return np.asarray(out)

    @property
    def energy_error(self) -> float:
        """Estimated error in the energy norm where the part moves farthest."""
        return self.frames[self.largest].energy_error

    @cached_property
    def largest(self) -> int:
        """Number of the frequency at which the part moves farthest."""
        return int(self._envelope("displacement")[1][self._farthest])

    @cached_property
    def _farthest(self) -> int:
        return int(np.argmax(np.linalg.norm(self._envelope("displacement")[0], axis=1)))

    def __repr__(self) -> str:
        return f"<HarmonicCase {self.name!r}: {len(self)} frequencies of {self.model!r}>"

    def __str__(self) -> str:
        low, high = (show(float(f), "frequency") for f in self.frequencies[[0, -1]])
        u = float(np.linalg.norm(self._envelope("displacement")[0][self._farthest]))
        a = self.field("acceleration")
        where = self.peak_frequency("acceleration")
        row = int(np.argmax(np.linalg.norm(a.values, axis=1)))
        stress = self.field("von_mises")
        hot = int(np.argmax(stress.values))
        at = self.peak_frequency("von_mises")
        lines = [
            f"{self.name}: {self.excitation}; {self.damping}; {self.method}, {len(self)} frequencies from "
            f"{low} to {high}",
            f"  largest     displacement {show(u, 'length')} at "
            f"{show(float(self.frequencies[self.largest]), 'frequency')}",
            f"              acceleration {show(float(np.linalg.norm(a.values[row])), 'acceleration')} at "
            f"{show(float(where[row]), 'frequency')}",
            f"              von Mises stress {show(float(stress.values[hot]), 'pressure')} at "
            f"{show(float(at[hot]), 'frequency')}",
            f"  balance     power to {self.imbalance:.1e}, residual {self.residual:.1e}",
        ]
        return "\n".join([*lines, *(f"  note        {note}" for note in self.info.notes)])


def _sizes(values: FloatArray) -> FloatArray:
    return np.linalg.norm(values, axis=1) if values.ndim == 2 else np.abs(values)


def _gathered(shapes: FloatArray, rows: Any) -> FloatArray:
    """Shapes at nodes [k, 3, r], or interpolated at one point [1, 3, r]."""
    if isinstance(rows, tuple):
        return np.asarray(np.einsum("n,ncr->cr", rows[1], shapes[rows[0]])[None])
    return np.asarray(shapes[rows])
