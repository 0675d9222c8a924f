"""Damage and life over a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from designtwin import units
from designtwin.errors import RequirementError
from designtwin.mesh.selections import Selection
from designtwin.requirements.fields import FieldQuantity
from designtwin.requirements.values import Value, place_of_node
from designtwin.typing import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class DamageQuantity(FieldQuantity):
    """Largest damage over a place; see `damage`."""

    needs: ClassVar[str] = "life"
    survival: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.over != "max":
            raise RequirementError(f"over={self.over!r}: of damage the largest counts, over='max'")
        if self.survival is None:
            return
        share = units.to_si(self.survival, "share", name="survival")
        if not isinstance(share, float) or not 0.0 < share < 1.0:
            raise RequirementError(
                f"survival={self.survival!r}: a probability between 0 and 1 is wanted, such as 0.975"
            )
        object.__setattr__(self, "survival", share)

    @property
    def label(self) -> str:
        return f"damage{self._place_words()}{self._survival_words}"

    @property
    def _survival_words(self) -> str:
        return "" if self.survival is None else f", survived by {units.show(self.survival, 'share')}"

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        values = case.damage(self.survival)[rows]
        nothing = np.full(len(rows), np.nan)
        return values, nothing, nothing

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
        best, low, high = case.worst(among, self.survival)
        row = int(case.rows[best])
        value = float(case.damage_of_rows(self.survival)[best])
        place = place_of_node(
            result.model.mesh, int(result.points.node[row]), prefer=getattr(self.on, "name", "")
        )
        return self._value(case, value, low, high, place)

    def _value(self, case: Any, damage: float, low: float, high: float, place: Any) -> Value:
        return Value.between(damage, low, high, place=place, case=case.name)


@dataclass(frozen=True, kw_only=True)
class LifeQuantity(DamageQuantity):
    """Shortest life over a place; see `life`."""

    dimension: ClassVar[str] = "life"
    unbounded: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return f"life{self._place_words()}{self._survival_words}"

    @property
    def largest_governs(self) -> bool:
        return False

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        damage, _, nothing = super()._field(case, rows)
        with np.errstate(divide="ignore"):
            return case.duration / damage, nothing, nothing

    def _value(self, case: Any, damage: float, low: float, high: float, place: Any) -> Value:
        with np.errstate(divide="ignore"):
            mean, least, most = (float(case.duration / np.float64(d)) for d in (damage, high, low))
        return Value.between(mean, least, most, place=place, case=case.name)


def damage(
    on: str | Selection | None = None,
    *,
    survival: Any = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
) -> DamageQuantity:
    """Largest damage on the surface of a place by one pass of a history; failure is expected at 1.

    Its interval is that of the stress: the history is counted again with stress larger and smaller by its
    error.

    Parameters
    ----------
    on : group name or selection, optional
        The place; the whole part unless given.
    survival : share, optional
        Probability of survival, such as 0.975; that of the curve unless given. Asks for its scatter.
    case : str, optional
        Name of the history.
    excluding : group name or selection, optional
        Left out of the place, such as a support that is no detail of the part.
    """
    return DamageQuantity(on=on, survival=survival, case=case, excluding=excluding)  # type: ignore[arg-type]


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
