"""Static answers over time: a load case whose temperature has a course, instant by instant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from designtwin.assembly.systems import SetUp
from designtwin.model.model import LoadCase, Model
from designtwin.results.common import Field, Result, SolveInfo
from designtwin.results.frames import Frames
from designtwin.results.recovery import Recovery
from designtwin.results.static import StaticCase
from designtwin.results.transient import Course, Instants, time_within
from designtwin.typing import FloatArray
from designtwin.units import show, show_time


@dataclass(frozen=True, eq=False, repr=False)
class StaticInstant(StaticCase):
    """A static case at one instant of a history; its recovered stress is computed once and kept."""

    _number: int = -1
    _kept: _Stress | None = None

    @cached_property
    def _nodal(self) -> FloatArray:
        if self._kept is None:
            return self._recovered_to_nodes()
        return self._kept.get(self._number, self._recovered_to_nodes)

    def __repr__(self) -> str:
        return f"<StaticInstant of {self.name!r} at {show_time(self.time or 0.0)}>"


class _Stress:
    """Recovered stress of all instants, as they are first walked through; beyond some size on disk."""

    def __init__(self) -> None:
        self._stored = Frames.create(None, "stress")

    def get(self, i: int, compute: Callable[[], FloatArray]) -> FloatArray:
        if i < len(self._stored):
            return self._stored.array(i, "stress").reshape(-1, 6)
        stress = compute()
        if i == len(self._stored):
            self._stored.append(float(i), np.empty(0), stress=stress)
        return stress


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class StaticHistory(Course):
    """Answer of a load case whose temperature has a course in time: statics at every instant of it.

    Fields by name, probes and pictures without a time are envelopes: at every point the largest over time
    (the smallest safety factor; of components with a sign the largest in size). ``at`` gives any instant.

    Parameters
    ----------
    name : str
    model : Model
    recovery : Recovery
    instants : float64[k]
        s, ascending.
    info : SolveInfo
    residual, imbalance : float
        Largest over time; see ``StaticCase``.
    applied, applied_moment : float64[3]
        Resultant of the loads, N, and its moment about the origin, N m; the same at all instants.
    stored : Frames, optional
        Displacements, m, and reactions, N, of all instants; None of a combination.
    case : LoadCase, optional
        What was solved; None of a combination.
    parts : tuple of (factor, StaticCase or StaticHistory)
        What a combination superposes.
    between : function, optional
        Time, s, to the answer there; None where answers between instants follow from their neighbors, as the
        stiffness and the expansion do not depend on temperature.
    """

    name: str
    model: Model
    recovery: Recovery
    instants: FloatArray
    info: SolveInfo
    residual: float
    imbalance: float
    applied: FloatArray
    applied_moment: FloatArray
    stored: Frames | None = None
    case: LoadCase | None = None
    parts: tuple[tuple[float, StaticCase | StaticHistory], ...] = ()
    between: Callable[[float], StaticCase] | None = None
    _stress: _Stress = dataclasses.field(default_factory=_Stress, init=False)

    _habitual: ClassVar[str] = "von_mises"
    _written: ClassVar[tuple[str, ...]] = ("displacement", "von_mises")

    @property
    def times(self) -> FloatArray:
        """Instants, float64[k], s, ascending."""
        return self.instants

    @cached_property
    def frames(self) -> Instants[StaticCase]:  # type: ignore[override]
        """All instants in order, made when asked for."""
        return Instants(len(self.times), self._instant)

    def at(self, time: Any) -> StaticCase:
        """The state at a time, such as "9 min" or 540.0 (s).

        Between instants temperatures are linear in time. So is then all the rest, unless the stiffness or the
        expansion depends on temperature: then the state is solved for.

        Raises
        ------
        DesignTwinError
            If the time lies outside the course.
        """
        t = time_within(time, self.times, f"case {self.name!r}")
        nearest = int(np.abs(self.times - t).argmin())
        if abs(float(self.times[nearest]) - t) <= 1e-9 * float(self.times[-1] - self.times[0]):
            return self.frames[nearest]
        if self.parts:
            each = tuple((f, one.at(t) if isinstance(one, StaticHistory) else one) for f, one in self.parts)
            return StaticCase.superposed(self.name, self.model, each, time=t)
        if self.between is not None:
            return self.between(t)
        left = int(np.searchsorted(self.times, t)) - 1
        share = float((t - self.times[left]) / (self.times[left + 1] - self.times[left]))
        u, r = (
            (1.0 - share) * self._vectors(left, what) + share * self._vectors(left + 1, what)
            for what in ("displacement", "reactions")
        )
        return self._state(t, u, r)

    def _vectors(self, i: int, what: str) -> FloatArray:
        assert self.stored is not None
        return self.stored.array(i, what).reshape(-1, 3)

    def _instant(self, i: int) -> StaticCase:
        time = float(self.times[i])
        if self.parts:
            each = tuple(
                (f, one.frames[i] if isinstance(one, StaticHistory) else one) for f, one in self.parts
            )
            return StaticCase.superposed(self.name, self.model, each, time=time)
        return self._state(time, self._vectors(i, "displacement"), self._vectors(i, "reactions"), i)

    def _state(self, time: float, u: FloatArray, reactions: FloatArray, number: int = -1) -> StaticCase:
        assert self.case is not None
        return StaticInstant(
            name=self.name, model=self.model, recovery=self.recovery, displacement=u, reactions=reactions,
            applied=self.applied, applied_moment=self.applied_moment, residual=self.residual,
            imbalance=self.imbalance, info=self.info, case=self.case.at(time), time=time, _number=number,
            _kept=None if number < 0 else self._stress,
        )  # fmt: skip

    # As a state: the envelope

    @property
    def field_names(self) -> tuple[str, ...]:
        # Strains are to be had one by one; all of them of all instants would be a long wait.
        return tuple(name for name in self.frames[0].field_names if not name.startswith("strain_"))

    def field(self, name: str) -> Field:
        """The envelope of a field over time, without errors; ``at(time).field(name)`` is one instant's."""
        first = self.frames[0].field(name)
        lowest = name == "safety_factor"
        out = np.array(first.values)
        for frame in self.frames:
            values = frame.field(name).values
            if lowest:
                np.minimum(out, values, out=out)
            elif name == "temperature":
                np.maximum(out, values, out=out)
            elif values.ndim == 1:
                np.copyto(out, values, where=np.abs(values) > np.abs(out))
            else:
                longer = np.linalg.norm(values, axis=1) > np.linalg.norm(out, axis=1)
                out[longer] = values[longer]
        word = "smallest" if lowest else "largest"
        return Field(name, f"{first.title}, {word} over time", out, first.dimension, first.location)

    @cached_property
    def largest(self) -> FloatArray:
        """Largest displacement at each instant, float64[k], m."""
        return np.array([np.linalg.norm(frame.displacement, axis=1).max() for frame in self.frames])

    @cached_property
    def energy_error(self) -> float:
        """Estimated error in the energy norm at the instant at which the part is deformed most."""
        return self.frames[int(np.argmax(self.largest))].energy_error

    def __getattr__(self, name: str) -> Any:
        # What an instant has and a course has not; dataclass fields and cached values never get here.
        if name in StaticCase.__dataclass_fields__ or (name[0] != "_" and hasattr(StaticCase, name)):
            raise AttributeError(
                f"case {self.name!r} has a course in time; say at which: .at({show_time(self.times[-1])!r})"
                f".{name}, or walk through .frames"
            )
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def __repr__(self) -> str:
        return (
            f"<StaticHistory {self.name!r}: {len(self.times)} instants to "
            f"{show_time(float(self.times[-1]))} of {self.model!r}>"
        )

    def told(self) -> list[str]:
        """The case in a few lines, as a printed result has it."""
        i = int(np.argmax(self.largest))
        stress = self.history(name="von_mises")
        j, span = int(np.argmax(stress.values)), float(self.times[-1])
        return [
            f"  {self.name}: {len(self.times)} instants to {show_time(span)}",
            f"    applied     {show(self.applied, 'force')}, moment about the origin "
            f"{show(self.applied_moment, 'moment')}",
            f"    balance     to {self.imbalance:.1e}, residual {self.residual:.1e}",
            f"    largest     displacement {show(float(self.largest[i]), 'length')} at "
            f"{show_time(float(self.times[i]), span)}, von Mises stress "
            f"{show(float(stress.values[j]), 'pressure')} at {show_time(float(self.times[j]), span)}",
        ]


@dataclass(frozen=True, eq=False, repr=False)
class StaticResult(Result["StaticCase | StaticHistory"]):
    """Answers of a static analysis, case by case; cases with a course in temperature are histories.

    Parameters
    ----------
    kept : mapping of case name to SetUp
        What adjoints take up again, where the analysis was told to keep it.
    warmed : mapping of case name to (thermal result, its case, time or None)
        Cases whose temperature is the answer of a thermal analysis of the same part.
    """

    kept: Mapping[str, SetUp] = field(default_factory=dict, repr=False, metadata={"kept": False})
    warmed: Mapping[str, tuple[Any, str, Any]] = field(default_factory=dict, repr=False)

    physics: ClassVar[str] = "static"

    def __str__(self) -> str:
        lines = ["static result"]
        for name, case in self.by_case.items():
            if isinstance(case, StaticHistory):
                lines += case.told()
                continue
            size = np.linalg.norm(case.displacement, axis=1).max()
            lines += [
                f"  {name}",
                f"    applied     {show(case.applied, 'force')}, moment about the origin "
                f"{show(case.applied_moment, 'moment')}",
                f"    reactions   {show(case.reactions.sum(axis=0), 'force')}; they balance to "
                f"{case.imbalance:.1e}, residual {case.residual:.1e}",
                f"    largest     displacement {show(size, 'length')}, von Mises stress "
                f"{show(case.von_mises().max(), 'pressure')}",
            ]
        return "\n".join(lines)
