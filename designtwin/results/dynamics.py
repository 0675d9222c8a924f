"""Motion over time: displacement, velocity, acceleration, stress at instants, and where the energy went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from designtwin.assembly.dynamics import Dynamics
from designtwin.model.excitation import Excitation
from designtwin.results import stress as tensor
from designtwin.results.common import Field
from designtwin.results.frames import Frames
from designtwin.results.history import StaticHistory, StaticInstant
from designtwin.results.modal_stress import modal_stress, row_chunks
from designtwin.results.shapes import AboutState
from designtwin.results.transient import Instants, StepRecord, time_within
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show, show_time

ENERGIES = {
    "kinetic": ("kinetic energy", "energy"),
    "strain": ("strain energy", "energy"),
    "dissipated": ("energy that damping took", "energy"),
    "input": ("work of the excitation", "energy"),
}
"""What of the energy is kept over time, in words and by dimension."""
_FEW = 3  # instants whose stress is recovered one by one
_VECTORS = {
    "displacement": ("Displacement", "length", "u"),
    "velocity": ("Velocity", "velocity", "v"),
    "acceleration": ("Acceleration", "acceleration", "a"),
}
_COMPONENTS = {
    f"{letter}{axis}": (whole, i)
    for whole, (_, _, letter) in _VECTORS.items() for i, axis in enumerate("xyz")
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class EnergyBalance:
    """Energy at the instants, float64[k] each, J; about the base, where that is what moves.

    Parameters
    ----------
    kinetic, strain : float64[k]
        At the instant.
    dissipated, input : float64[k]
        Taken by damping, and put in by the excitation, since the start.
    """

    kinetic: FloatArray
    strain: FloatArray
    dissipated: FloatArray
    input: FloatArray

    @property
    def total(self) -> FloatArray:
        """Kinetic and strain energy, float64[k], J."""
        return np.asarray(self.kinetic + self.strain)

    @cached_property
    def balance(self) -> FloatArray:
        """What was put in and is neither there nor dissipated, float64[k], J: loss of the steps themselves.

        Newmark's average acceleration loses none but by rounding and unsolved residuals; generalized-alpha
        and HHT damp high frequencies on purpose.
        """
        return np.asarray(self.input - self.dissipated - (self.total - self.total[0]))

    @property
    def scale(self) -> float:
        """The largest energy there ever was or that went through, J."""
        return float(max(self.total.max(), np.abs(self.input).max(), self.dissipated.max()))

    @property
    def worst(self) -> float:
        """The largest of `balance`, over `scale`."""
        return float(np.abs(self.balance).max() / self.scale) if self.scale > 0.0 else 0.0

    def __str__(self) -> str:
        return (
            f"{show(float(self.input[-1]), 'energy')} put in, {show(float(self.dissipated[-1]), 'energy')} "
            f"dissipated, at most {show(float(self.total.max()), 'energy')} in the part; steps lost "
            f"{self.worst:.1e} of it at most"
        )


class Drive(Protocol):
    """What drives a motion."""

    excitation: Excitation

    def at(self, times: FloatArray) -> FloatArray:
        """How much of each input at times [n], s, float64[n, k]: acceleration, m/s^2, or factor of loads."""
        ...

    def external(self, time: float) -> FloatArray:
        """Loads on the nodes, float64[n_points, 3], N; those of base motion are inertia."""
        ...


class Motion(Protocol):
    """Displacement, velocity and acceleration at instants, without those that no one asks for."""

    def nodal(self, i: int, what: str, rows: IntArray | None = None) -> FloatArray:
        """One of the three at instant i, float64[n_points, 3] or [len(rows), 3], about the base."""
        ...


@dataclass(frozen=True, eq=False)
class NodalMotion:
    """Motion kept node by node."""

    stored: Frames

    def nodal(self, i: int, what: str, rows: IntArray | None = None) -> FloatArray:
        """As `Motion.nodal`."""
        if rows is None:
            return self.stored.array(i, what).reshape(-1, 3)
        return self.stored.array(i, what, (3 * rows[:, None] + np.arange(3)).ravel()).reshape(-1, 3)


@dataclass(frozen=True, eq=False)
class ModalMotion:
    """Motion kept as amplitudes of shapes.

    Parameters
    ----------
    stored : Frames
        Amplitudes, and their rates.
    dynamics : Dynamics
    unknowns : float64[size, m]
        The shapes.
    """

    stored: Frames
    dynamics: Dynamics
    unknowns: FloatArray

    @cached_property
    def shapes(self) -> FloatArray:
        """The shapes on the nodes, float64[n_points, 3, m]."""
        return self.dynamics.displacement(self.unknowns)

    def nodal(self, i: int, what: str, rows: IntArray | None = None) -> FloatArray:
        """As `Motion.nodal`."""
        shapes = self.shapes if rows is None else self.shapes[rows]
        return np.asarray(shapes @ self.stored.array(i, what))

    def amplitudes(self, what: str) -> FloatArray:
        """Of all instants, float64[m, k]."""
        return np.stack([self.stored.array(i, what) for i in range(len(self.stored))], axis=1)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class DynamicInstant(AboutState, StaticInstant):
    """One instant of a motion.

    Displacement is that about the base. What few ask for, `velocity`, `acceleration`, `reactions` and
    `applied`, is made when it is.

    Parameters
    ----------
    velocity : float64[n_points, 3]
        m/s, about the base.
    acceleration : float64[n_points, 3]
        m/s^2, that of the base added.
    """

    reactions: FloatArray = field(init=False)
    applied: FloatArray = field(init=False)
    applied_moment: FloatArray = field(init=False)
    velocity: FloatArray = field(init=False)
    acceleration: FloatArray = field(init=False)
    _course: DynamicsCase
    _rates: Callable[[], tuple[FloatArray, FloatArray]]

    def __getattr__(self, name: str) -> Any:
        if name in ("velocity", "acceleration"):
            made: dict[str, FloatArray] = dict(zip(("velocity", "acceleration"), self._rates(), strict=True))
        elif name in ("reactions", "applied", "applied_moment"):
            made = self._course._forces(self)
        else:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        self.__dict__.update(made)
        return made[name]

    @cached_property
    def _nodal(self) -> FloatArray:
        known = self._course._nodal_of(self._number)
        if known is not None:
            return known
        return self._recovered_to_nodes()

    @property
    def field_names(self) -> tuple[str, ...]:
        names = super().field_names
        return (*names[:4], "velocity", "vx", "vy", "vz", "acceleration", "ax", "ay", "az", *names[4:])

    def field(self, name: str) -> Field:
        """As `StaticCase.field`, and velocity, vx, vy, vz, acceleration, ax, ay, az."""
        whole, i = _COMPONENTS.get(name, (name, None))
        if whole not in ("velocity", "acceleration"):
            return super().field(name)
        title, dimension, _ = _VECTORS[whole]
        values: FloatArray = getattr(self, whole)
        error = lambda: self._share_of_error(values)  # noqa: E731
        if i is None:
            return Field(name, title, values, dimension, "points", error)
        return Field(name, f"{title} {'xyz'[i]}", values[:, i], dimension, "points", error)

    def _share_of_error(self, values: FloatArray) -> FloatArray:
        """The error of the displacement over the largest one is that of its rates."""
        largest = float(np.linalg.norm(self.displacement, axis=1).max())
        most = float(np.linalg.norm(values, axis=1).max())
        return self.displacement_error * (most / largest) if largest > 0.0 else np.zeros(len(values))

    @cached_property
    def displacement_error(self) -> FloatArray:
        """Half-width of the displacement, float64[n_points], m: of the mesh, and of the steps in time."""
        error = super().displacement_error
        return error + self._course.time_error * self._course._most

    def __repr__(self) -> str:
        return f"<DynamicInstant of {self.name!r} at {show_time(self.time or 0.0)}>"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class DynamicsCase(StaticHistory):
    """Motion of a part over time.

    Fields by name, probes and pictures without a time are envelopes: at every point the largest over time, in
    size where there is a sign. ``at`` gives any instant, ``history`` any number over time.

    Parameters
    ----------
    dynamics : Dynamics
        The equations of motion.
    motion : Motion
        Displacement, velocity and acceleration about the base.
    stored : Frames
        Amplitudes or nodal values, ``base`` (acceleration of the base, m/s^2, float64[3]) and the energies.
    drive : Drive
        What drives it.
    rayleigh : (float, float)
        Damping a M + b K, 1/s and s, that the supports take up.
    steps : StepRecord
        Errors over the largest displacement.
    time_error : float
        Errors of all steps, over the largest displacement: by modes what the excitation leaves straight lines
        by, else their sum, as if none met another the other way.
    damping : str
        In words.
    """

    dynamics: Dynamics
    motion: NodalMotion | ModalMotion
    stored: Frames
    drive: Drive
    rayleigh: tuple[float, float] = (0.0, 0.0)
    _asked: set[int] = field(default_factory=set, init=False)
    steps: StepRecord
    time_error: float
    damping: str = ""

    _totals: ClassVar[Mapping[str, tuple[str, str]]] = ENERGIES
    _written: ClassVar[tuple[str, ...]] = ("displacement", "acceleration", "von_mises")

    def __post_init__(self) -> None:
        self.stored.finish()

    # Instants

    @cached_property
    def frames(self) -> Instants[DynamicInstant]:  # type: ignore[override]
        """All instants in order, made when asked for."""
        return Instants(len(self.times), self._instant)

    def at(self, time: Any) -> DynamicInstant:
        """The state at a time, such as "9 ms" or 0.009 (s).

        Between instants displacement is the cubic that has both ends' velocities, and so is velocity with
        accelerations.

        Raises
        ------
        DesignTwinError
            If the time lies outside the course.
        """
        t = time_within(time, self.times, f"case {self.name!r}")
        nearest = int(np.abs(self.times - t).argmin())
        if abs(float(self.times[nearest]) - t) <= 1e-9 * float(self.times[-1] - self.times[0]):
            return self.frames[nearest]
        left = int(np.searchsorted(self.times, t)) - 1
        h = float(self.times[left + 1] - self.times[left])
        s = float(t - self.times[left]) / h
        d, v, a = (
            [self.motion.nodal(k, what) for k in (left, left + 1)]
            for what in ("displacement", "velocity", "acceleration")
        )
        base = (1.0 - s) * self._base(left) + s * self._base(left + 1)
        moves = _cubic(s, h, v, a), (1.0 - s) * a[0] + s * a[1] + base
        return self._made(t, _cubic(s, h, d, v), lambda: moves, -1)

    def _instant(self, i: int) -> DynamicInstant:
        def rates() -> tuple[FloatArray, FloatArray]:
            return self.motion.nodal(i, "velocity"), self.motion.nodal(i, "acceleration") + self._base(i)

        return self._made(float(self.times[i]), self.motion.nodal(i, "displacement"), rates, i)

    def _base(self, i: int) -> FloatArray:
        return self.stored.array(i, "base")

    def _made(
        self, time: float, d: FloatArray, rates: Callable[[], tuple[FloatArray, FloatArray]], number: int
    ) -> DynamicInstant:
        return DynamicInstant(
            name=self.name, model=self.model, recovery=self.recovery, displacement=d,
            residual=self.residual, imbalance=self.imbalance, info=self.info, case=self.case, time=time,
            _number=number, _course=self, _rates=rates,
        )  # fmt: skip

    def _forces(self, at: DynamicInstant) -> dict[str, FloatArray]:
        """Forces of supports and loads at an instant."""
        external = self.drive.external(float(at.time or 0.0))
        mass, stiffness = self.rayleigh
        d, v, a = at.displacement, at.velocity, at.acceleration
        inertia = self.dynamics.inertia(a + mass * v if mass else a)
        reactions = self.dynamics.support_forces(d + stiffness * v if stiffness else d, external - inertia)
        moment = np.cross(self.mesh.points, external).sum(axis=0)
        return {"reactions": reactions, "applied": external.sum(axis=0), "applied_moment": moment}

    # Stress of many instants

    @cached_property
    def _shape_stress(self) -> FloatArray:
        """Stress of the shapes, float64[m, rows, 6]; only of motions that are kept as amplitudes."""
        assert isinstance(self.motion, ModalMotion)
        shapes = np.ascontiguousarray(np.moveaxis(self.motion.shapes, -1, 0))
        zero = np.zeros(3)
        return modal_stress(
            [
                AboutState(
                    name="", model=self.model, recovery=self.recovery, displacement=shape,
                    reactions=np.zeros_like(shape), applied=zero, applied_moment=zero, residual=0.0,
                    imbalance=0.0, info=self.info, case=self.case,
                )
                for shape in shapes
            ]
        )  # fmt: skip

    def _nodal_of(self, i: int) -> FloatArray | None:
        """Stress at an instant from that of the shapes, once several instants were asked for; else None."""
        if i < 0 or not isinstance(self.motion, ModalMotion):
            return None
        self._asked.add(i)
        if len(self._asked) <= _FEW:
            return None
        return np.asarray(np.tensordot(self.stored.array(i, "displacement"), self._shape_stress, 1))

    # As a state: the envelope

    def field(self, name: str) -> Field:
        """The envelope of a field over time; ``at(time).field(name)`` is one instant's."""
        if not isinstance(self.motion, ModalMotion) or name.startswith("strain_"):
            return super().field(name)
        first = self.frames[0].field(name)
        lowest = name == "safety_factor"
        out = np.empty_like(first.values)
        n = len(out)
        per_row = 8 * len(self.times) * (12 if first.location != "points" else 6)
        for rows in row_chunks(n, per_row):
            some = np.arange(n)[rows]
            values = self._over_time(name, some)
            if lowest:
                out[rows] = values.min(axis=0)
                continue
            sizes = np.linalg.norm(values, axis=2) if values.ndim == 3 else np.abs(values)
            most = sizes.argmax(axis=0)
            out[rows] = values[most, np.arange(len(some))]
        word = "smallest" if lowest else "largest"
        return Field(name, f"{first.title}, {word} over time", out, first.dimension, first.location)

    def _over_time(self, name: str, rows: IntArray) -> FloatArray:
        """A field at rows at all instants, float64[k, len(rows)] or [k, len(rows), 3]."""
        assert isinstance(self.motion, ModalMotion)
        whole, i = _COMPONENTS.get(name, (name, None))
        if whole in _VECTORS:
            shapes = self.motion.shapes[rows] if i is None else self.motion.shapes[rows, i]
            values = np.moveaxis(shapes @ self.motion.amplitudes(whole), -1, 0)
            if whole == "acceleration":
                base = np.stack([self._base(k) for k in range(len(self.times))])
                values = values + (base[:, None, :] if i is None else base[:, None, i])
            return np.asarray(values)
        stress = np.tensordot(self.motion.amplitudes("displacement"), self._shape_stress[:, rows], (0, 0))
        if name.startswith("stress_"):
            return np.asarray(stress[..., tensor.COMPONENTS.index(name[7:])])
        if name == "von_mises":
            return tensor.von_mises(stress)
        if name == "tresca":
            return tensor.tresca(stress)
        if name.startswith("principal_"):
            return np.asarray(tensor.principal(stress)[..., int(name[10:]) - 1])
        assert name == "safety_factor", name
        with np.errstate(divide="ignore"):
            return np.asarray(self.frames[0].yield_strength()[rows] / tensor.von_mises(stress))

    def _each(self, name: str, rows: IntArray | None) -> Iterator[FloatArray]:
        whole, _ = _COMPONENTS.get(name, (name, None))
        if name.startswith("strain_"):
            yield from super()._each(name, rows)
            return
        if isinstance(self.motion, ModalMotion):
            n = len(self.frames[0].field(name).values)
            some = np.arange(n) if rows is None else rows
            chunks = list(row_chunks(len(some), 96 * len(self.times)))
            if len(chunks) == 1:
                yield from _lengths(self._over_time(name, some), 2)
                return
        if whole in _VECTORS:
            for i in range(len(self.times)):
                yield self._vector(i, name, rows)
            return
        yield from super()._each(name, rows)

    def _vector(self, i: int, name: str, rows: IntArray | None) -> FloatArray:
        whole, axis = _COMPONENTS.get(name, (name, None))
        values = self.motion.nodal(i, whole, rows)
        if whole == "acceleration":
            values = values + self._base(i)
        return _lengths(values, 1) if axis is None else values[:, axis]

    # Over time

    @cached_property
    def energy(self) -> EnergyBalance:
        """Where the energy was and went."""
        return EnergyBalance(**{name: self.stored.series(name) for name in ENERGIES})

    def _total(self, name: str) -> FloatArray:
        return self.stored.series(name)

    @cached_property
    def largest(self) -> FloatArray:
        """Largest displacement at each instant, float64[k], m."""
        used = self.mesh.used_nodes
        return np.array(
            [
                np.linalg.norm(self.motion.nodal(i, "displacement", used), axis=1).max()
                for i in range(len(self.times))
            ]
        )

    @property
    def farthest(self) -> float:
        """The largest displacement of all instants, m."""
        return float(self.largest.max())

    @cached_property
    def _most(self) -> float:
        """The largest displacement when the part holds most energy, m."""
        i = int(np.argmax(self.energy.strain))
        return float(np.linalg.norm(self.motion.nodal(i, "displacement"), axis=1).max())

    def __repr__(self) -> str:
        return (
            f"<DynamicsCase {self.name!r}: {len(self.times)} instants to "
            f"{show_time(float(self.times[-1]))} of {self.model!r}>"
        )

    def told(self) -> list[str]:
        """The case in a few lines, as a printed result has it."""
        span = float(self.times[-1])
        frame = self.frames[int(np.argmax(self.energy.strain))]
        moved = float(np.linalg.norm(frame.displacement, axis=1).max())
        acceleration = self.history(name="acceleration")
        k = int(np.argmax(acceleration.values))
        return [
            f"{self.name}: {self.drive.excitation.said}; {len(self.times)} instants to {show_time(span)}",
            f"    by          {self.info.solver}; damping {self.damping or 'none stated'}",
            f"    energy      {self.energy}",
            f"    strained    most at {show_time(float(frame.time or 0.0), span)}: displacement "
            f"{show(moved, 'length')}, von Mises stress {show(float(frame.von_mises().max()), 'pressure')}",
            f"    largest     acceleration {show(float(acceleration.values[k]), 'acceleration')} at "
            f"{show_time(float(self.times[k]), span)}",
        ]

    def __str__(self) -> str:
        return "\n".join(self.told())


def _lengths(values: FloatArray, ndim: int) -> FloatArray:
    """Vectors along the last of ndim + 1 axes by their length, numbers as they are."""
    return values if values.ndim == ndim else np.asarray(np.linalg.norm(values, axis=-1))


def _cubic(s: float, h: float, ends: list[FloatArray], rates: list[FloatArray]) -> FloatArray:
    """Value a share s into a step h, from values and rates at its ends."""
    return np.asarray(
        (1.0 + 2.0 * s) * (1.0 - s) ** 2 * ends[0]
        + s * s * (3.0 - 2.0 * s) * ends[1]
        + h * s * (1.0 - s) ** 2 * rates[0]
        + h * s * s * (s - 1.0) * rates[1]
    )


__all__ = [
    "DynamicInstant",
    "DynamicsCase",
    "EnergyBalance",
    "ModalMotion",
    "NodalMotion",
]
