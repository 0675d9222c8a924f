"""Damage and life over a place, by histories and by random vibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from designtwin import units
from designtwin.errors import RequirementError
from designtwin.fatigue.curves import SNCurve, fatigue_curve
from designtwin.fatigue.spectral import damage_rate
from designtwin.mesh.selections import Selection
from designtwin.requirements.base import ValuesAlone, one_of
from designtwin.requirements.fields import Band, FieldQuantity, MechanicalQuantity
from designtwin.requirements.values import Place, Value, place_of_node
from designtwin.typing import FloatArray, IntArray

_BESIDE = 0.02
"""Share of the size of the part within which two points are one place."""
_OVERTAKES = 1.5
"""Times the largest damage that another point must be able to reach for it to be told."""


@dataclass(frozen=True, kw_only=True)
class DamageQuantity(FieldQuantity):
    """Largest damage over a place; see `damage`."""

    spans_decades: ClassVar[bool] = True
    needs: ClassVar[str] = "life"
    unbounded: ClassVar[bool] = True  # of stress beyond the strength
    survival: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.over != "max":
            raise RequirementError(f"over={self.over!r}: of damage the largest counts, over='max'")
        object.__setattr__(self, "survival", probability(self.survival))

    @property
    def label(self) -> str:
        return f"damage{self._place_words()}{self._survival_words}"

    @property
    def _survival_words(self) -> str:
        return "" if self.survival is None else f", survived by {units.show(self.survival, 'share')}"

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        values = case.damage(self.survival)[rows]
        if isinstance(case, ValuesAlone):
            nothing = np.full(len(rows), np.nan)
            return values, nothing, nothing
        low, high = case.bounds(self._numbers(case, rows), self.survival)
        return values, low, high

    @staticmethod
    def _numbers(case: Any, rows: IntArray) -> IntArray:
        """Which of the points where damage is counted these rows are."""
        number = np.full(len(case.points), -1)
        number[case.rows] = np.arange(len(case.rows))
        return np.asarray(number[rows])

    def rough_band(self, result: Any, case: Any) -> Band:
        rows = self.rows(result)
        among = self._numbers(case, rows)
        damage, low, high = (one[among] for one in case.rough_bounds(self.survival))
        ends = self._of_damage(case, damage), self._of_damage(case, low), self._of_damage(case, high)
        lowest, highest = np.minimum(ends[1], ends[2]), np.maximum(ends[1], ends[2])
        return Band(rows=rows, values=ends[0], low=lowest, high=highest, location=self.location)

    def _of_damage(self, case: Any, damage: FloatArray) -> FloatArray:
        """What is asked for, of damage."""
        return damage

    def rows(self, result: Any) -> IntArray:
        rows = super().rows(result)
        counted = np.zeros(len(result.points), bool)
        for case in self.cases_of(result):
            counted[case.rows] = True
        rows = rows[counted[rows]]
        if not len(rows):
            raise RequirementError(
                f"{self.label}: no point of the surface is in the place, and damage is counted there alone"
            )
        return rows

    def _reduce(self, result: Any, case: Any) -> Value:
        among = np.isin(case.rows, self.rows(result))
        best, low, high, whose = case.worst(among, self.survival)
        value = float(case.damage_of_rows(self.survival)[best])
        place, end = (self._place(result, case, one) for one in (best, whose))
        far = np.linalg.norm(np.subtract(place.point, end.point)) > _BESIDE * result.model.mesh.size
        note = ""
        if far and high > _OVERTAKES * value:
            note = f"within its error the stress at {end} could do damage {high:.2g}: refine or exclude it"
        return self._value(case, value, low, high, place, note)

    def _place(self, result: Any, case: Any, number: int) -> Place:
        node = int(result.points.node[case.rows[number]])
        return place_of_node(result.model.mesh, node, prefer=getattr(self.on, "name", ""))

    def _value(self, case: Any, damage: float, low: float, high: float, place: Place, note: str) -> Value:
        return Value.between(damage, low, high, place=place, case=case.name, note=note)


@dataclass(frozen=True, kw_only=True)
class LifeQuantity(DamageQuantity):
    """Shortest life over a place; see `life`."""

    dimension: ClassVar[str] = "life"

    @property
    def label(self) -> str:
        return f"life{self._place_words()}{self._survival_words}"

    @property
    def largest_governs(self) -> bool:
        return False

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        damage, low, high = super()._field(case, rows)
        with np.errstate(divide="ignore"):
            return case.duration / damage, case.duration / high, case.duration / low

    def _of_damage(self, case: Any, damage: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore"):
            return np.asarray(case.duration / damage)

    def _value(self, case: Any, damage: float, low: float, high: float, place: Place, note: str) -> Value:
        with np.errstate(divide="ignore"):
            mean, least, most = (float(case.duration / np.float64(d)) for d in (damage, high, low))
        return Value.between(mean, least, most, place=place, case=case.name, note=note)


@dataclass(frozen=True, kw_only=True)
class VibrationDamage(MechanicalQuantity):
    """Damage by random vibration over a time; see `damage`."""

    spans_decades: ClassVar[bool] = True
    needs: ClassVar[str] = "vibration"
    unbounded: ClassVar[bool] = True
    duration: float
    curve: SNCurve
    method: str = "Dirlik"
    survival: float | None = None
    stress: str = "notch"

    def __post_init__(self) -> None:
        super().__post_init__()
        seconds = units.to_si(self.duration, "time", name="duration")
        if not isinstance(seconds, float) or not 0.0 < seconds < np.inf:
            raise RequirementError(f"duration={self.duration!r}: a time above zero is wanted, such as '8 h'")
        object.__setattr__(self, "duration", seconds)
        curve = fatigue_curve(self.curve) if isinstance(self.curve, str) else self.curve
        if not isinstance(curve, SNCurve):
            raise RequirementError(f"curve={self.curve!r}: an SNCurve or the name of one is wanted")
        one_of(self.stress, ("notch", "effective notch"), "stress")
        curve.check_stress(self.stress)
        object.__setattr__(self, "curve", curve)
        one_of(self.method, ("Dirlik", "narrow band", "Lalanne", "Tovo-Benasciutti"), "method")
        object.__setattr__(self, "survival", probability(self.survival))
        if self.survival is not None:
            curve.life_factor(self.survival)
        if self.over != "max":
            raise RequirementError(f"over={self.over!r}: of damage the largest counts, over='max'")

    @property
    def read_from(self) -> tuple[str, ...]:
        return ("vibration",)

    @property
    def reads(self) -> str:
        return "von_mises"

    @property
    def label(self) -> str:
        survived = "" if self.survival is None else f", survived by {units.show(self.survival, 'share')}"
        return f"damage{self._place_words()} in {units.show_time(self.duration)}, {self.method}{survived}"

    def check_sigma(self, random: Mapping[str, bool]) -> None:
        asked = {name: one for name, one in random.items() if self.case in (None, name)}
        other = [name for name, one in asked.items() if not one]
        if other:
            raise RequirementError(
                f"{self.label}: the response in case {', '.join(map(repr, other))} is not random; name a "
                "random one, as damage(case='transport', ...)"
            )

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        curve = self.curve if self.survival is None else self.curve.at_survival(self.survival)
        moments = case.stress_moments[rows]

        def by(factor: FloatArray | float) -> FloatArray:
            scale = np.square(factor) * np.ones(len(rows))
            rate = damage_rate(moments * scale[:, None], curve, method=self.method)
            return np.asarray(rate * self.duration)

        field = case.field("von_mises")
        if field.error is None:
            nothing = np.full(len(rows), np.nan)
            return by(1.0), nothing, nothing
        size = np.sqrt(moments[:, 0])
        off = np.divide(np.asarray(field.error)[rows], size, out=np.zeros(len(rows)), where=size > 0.0)
        return by(1.0), by(np.maximum(1.0 - off, 0.0)), by(1.0 + off)

    def _note(self, case: Any, row: int) -> str:
        m = case.stress_moments[row]
        if m[0] <= 0.0:
            return ""
        crossings = units.show(float(np.sqrt(m[2] / m[0])), "frequency")
        irregularity = float(m[2] / np.sqrt(m[0] * m[4]))
        return (
            f"equivalent von Mises stress {units.show(float(np.sqrt(m[0])), 'stress')} RMS, {crossings} "
            f"crossings of zero, irregularity {irregularity:.2f}; mean stress is not counted"
        )


def probability(given: Any) -> float | None:
    """A probability of survival; None stays."""
    if given is None:
        return None
    share = units.to_si(given, "share", name="survival")
    if not isinstance(share, float) or not 0.0 < share < 1.0:
        raise RequirementError(f"survival={given!r}: a probability between 0 and 1 is wanted, such as 0.975")
    return share


def damage(
    on: str | Selection | None = None,
    *,
    survival: Any = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
    duration: Any = None,
    curve: str | SNCurve | None = None,
    method: str = "Dirlik",
    stress: str = "notch",
) -> DamageQuantity | VibrationDamage:
    """Largest damage over a place; failure is expected at 1.

    Of a history (`LifeTest`) on the surface, by one pass through it. Its interval is that of the stress: the
    history is counted again with stress larger and smaller by its error.

    Of random vibration (`VibrationTest`) where `duration` and `curve` are given: from the moments of the
    spectral density of equivalent von Mises stress, whose interval is that of its root mean square.

    Parameters
    ----------
    on : group name or selection, optional
        The place; the whole part unless given.
    survival : share, optional
        Probability of survival, such as 0.975; that of the curve unless given. Asks for its scatter.
    case : str, optional
        Name of the history, or of the random excitation.
    excluding : group name or selection, optional
        Left out of the place, such as a support that is no detail of the part.
    duration : time, optional
        Of the vibration, such as "8 h".
    curve : str or SNCurve, optional
        Of vibration; a `LifeTest` has its own.
    method : "Dirlik", "narrow band", "Lalanne" or "Tovo-Benasciutti"
        Of vibration; see `fatigue.spectral.damage_rate`.
    stress : "notch" or "effective notch"
        Of vibration: what the stress of the model is; see `LifeTest`.

    Raises
    ------
    RequirementError
        If one of duration and curve is given without the other.
    FatigueError
        If the curve was made for another kind of stress.

    Source: Preumont and Piefort, J. Vib. Acoust. 116 (1994) 245-248, for the equivalent stress of vibration.
    """
    if duration is None and curve is None:
        return DamageQuantity(on=on, survival=survival, case=case, excluding=excluding)  # type: ignore[arg-type]
    if duration is None or curve is None:
        raise RequirementError(
            "damage by vibration wants both, duration='8 h' and curve='S355 base metal'; damage by a history "
            "neither: a LifeTest has them"
        )
    return VibrationDamage(
        on=on, survival=survival, case=case, excluding=excluding, duration=duration, curve=curve,  # type: ignore[arg-type]
        method=method, stress=stress,
    )  # fmt: skip


def life(
    on: str | Selection | None = None,
    *,
    survival: Any = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
) -> LifeQuantity:
    """Shortest life on the surface of a place if a history repeats, s: its duration over its damage.

    Without damage it is infinite, and meets any lower limit.

    Parameters
    ----------
    on, survival, case, excluding
        As `damage`.
    """
    return LifeQuantity(on=on, survival=survival, case=case, excluding=excluding)  # type: ignore[arg-type]
