"""The envelope of a field: its worst at every point over load cases and time, and what governs there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin import units
from designtwin.criteria.zones import has_zones
from designtwin.errors import RequirementError, did_you_mean
from designtwin.requirements import FieldQuantity, Place, Quantity, ValuesAlone, place_of_node
from designtwin.requirements.base import frames_of, one_of
from designtwin.typing import FloatArray, IntArray

WORST = ("max", "min", "max_abs")
_LEAST = ("safety_factor", "life")  # fields of which the least is the worst
_SIZES = ("von_mises", "tresca", "displacement", "velocity", "acceleration", "temperature", "damage")


@dataclass(frozen=True, kw_only=True, eq=False)
class Envelope:
    """The worst of a field at each point over load cases and their instants.

    Parameters
    ----------
    name, title : str
        Of the field, for code and for people.
    dimension : str
        What `units.show` needs.
    worst : str
        "max", "min" or "max_abs", which keeps the sign of the value that is largest in size.
    values : float64[k]
        SI; nan where a quantity does not look.
    case : int64[k]
        Which of `cases` governs; the first of several that are equally bad; -1 where there is no value.
    instants : float64[k]
        When, s; nan in cases without a course in time.
    cases : tuple of str
    location : str
        "points" or "result_points": the rows are mesh points or those of ``result.points``.
    result : StaticResult, ThermalResult and others
        What it was read from.
    """

    name: str
    title: str
    dimension: str
    worst: str
    values: FloatArray
    case: IntArray
    instants: FloatArray
    cases: tuple[str, ...]
    location: str
    result: Any

    @property
    def nodes(self) -> IntArray:
        """The mesh point of each row, int64[k]."""
        if self.location == "points":
            return np.arange(self.result.model.mesh.n_points)
        return np.asarray(self.result.points.node)

    @property
    def row(self) -> int:
        """The row of the worst value of all."""
        values = np.abs(self.values) if self.worst == "max_abs" else self.values
        return int(np.nanargmin(values) if self.worst == "min" else np.nanargmax(values))

    @property
    def place(self) -> Place:
        """Where the worst value of all is."""
        return place_of_node(self.result.model.mesh, int(self.nodes[self.row]))

    @property
    def shares(self) -> dict[str, float]:
        """The share of the points at which each case governs."""
        valid = self.case >= 0
        count = np.bincount(self.case[valid], minlength=len(self.cases))
        return {name: float(n / valid.sum()) for name, n in zip(self.cases, count, strict=True)}

    def plot(self, what: str = "values", **options: Any) -> Any:
        """Picture of the "values", of the "case" that governs or of the "instant"; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_envelope(self, what, **options)

    def __str__(self) -> str:
        row = self.row
        when = "" if math.isnan(self.instants[row]) else f" at {units.show_time(float(self.instants[row]))}"
        word = {"max": "largest", "min": "smallest", "max_abs": "largest in size"}[self.worst]
        shares = ", ".join(f"{name} at {100 * share:.3g} %" for name, share in self.shares.items())
        return (
            f"{self.title}, {word} over {len(self.cases)} case{'s' if len(self.cases) > 1 else ''}: "
            f"{units.show(float(self.values[row]), self.dimension)} in {self.cases[self.case[row]]}{when}, "
            f"{self.place}\nof the points governs: {shares}"
        )


def envelope(
    source: Any, name: str | Quantity = "", *, cases: Sequence[str] | None = None, worst: str | None = None
) -> Envelope:
    """The worst of a field at every point over load cases and their instants.

    Parameters
    ----------
    source : Verdict or result
    name : str or Quantity
        A field, such as "von_mises", or a quantity read from one, such as ``yield_margin()``. By default what
        a verdict's worst requirement on a field asks for; of a result the stress, or the temperature.
    cases : names, optional
        All that have the field by default, combinations included.
    worst : str, optional
        "max", "min" or "max_abs". By default what the quantity asks for; the least safety factor; the largest
        of what has no sign; else the largest in size.

    Returns
    -------
    Envelope

    Raises
    ------
    RequirementError
        If there is no such field or case, or the result is of modes, whose size means nothing.
    """
    result = getattr(source, "result", source)
    if not hasattr(result, "by_case"):
        raise RequirementError(f"an envelope is of a verdict or a result, not of a {type(source).__name__}")
    if not name:
        name = _default(source, result)
    known = _compared(result, name)
    if cases is not None:
        for one in cases:
            if one not in known:
                raise RequirementError(
                    f"there is no load case {one!r} to compare{did_you_mean(one, list(known), n=2)}; "
                    f"there are {', '.join(known)}"
                )
        known = {one: known[one] for one in dict.fromkeys(cases)}
    if not known:
        raise RequirementError(f"no load case has the field {name!r}, so that there is no envelope of it")
    if worst is None:
        worst = _usual(name)
    one_of(worst, WORST, "worst")
    return _of_cases(result, name, known, worst)


def _default(source: Any, result: Any) -> str | Quantity:
    rows = [row for row in getattr(source, "rows", ()) if has_zones(row.requirement)]
    if rows:
        quantity = min(rows, key=lambda row: row.requirement.slack(row.value.value)).requirement.quantity
        assert isinstance(quantity, Quantity)
        return quantity
    return "temperature" if result.physics == "thermal" else "von_mises"


def _usual(name: str | Quantity) -> str:
    if isinstance(name, FieldQuantity):
        return "min" if not name.largest_governs else "max_abs" if name.over == "max_abs" else "max"
    return "min" if name in _LEAST else "max" if name in _SIZES else "max_abs"


def _compared(result: Any, name: str | Quantity) -> dict[str, Any]:
    """The cases whose values can be compared."""
    if isinstance(name, Quantity):
        if not isinstance(name, FieldQuantity) or getattr(name, "at", None) is not None:
            raise RequirementError(f"{name.label} is one number, not a field, and has no envelope")
        return {case.name: case for case in name.cases_of(result)}
    if result.physics == "buckling" or (result.physics == "vibration" and not result.responses):
        raise RequirementError("modes have no size of their own, so that there is no envelope of them")
    every = result.responses if result.physics == "vibration" else {c: result[c] for c in result.cases}
    names = list(dict.fromkeys(n for case in every.values() for n in case.field_names))
    if name not in names:
        hint = did_you_mean(name, names, n=2, cutoff=0.6)
        raise RequirementError(f"there is no field {name!r}{hint or '.'} There are: {', '.join(names)}")
    return {key: case for key, case in every.items() if name in case.field_names}


def _of_cases(result: Any, name: str | Quantity, cases: dict[str, Any], worst: str) -> Envelope:
    values = instants = np.empty(0)
    governing = np.empty(0, np.int64)
    title, dimension, location = "", "", ""
    for number, case in enumerate(cases.values()):
        states = name.states_of(case) if isinstance(name, FieldQuantity) else frames_of(case)
        for state in states:
            now, title, dimension, location = _read(result, name, state)
            if not len(values):
                values, instants = np.full(len(now), np.nan), np.full(len(now), np.nan)
                governing = np.full(len(now), -1, np.int64)
            with np.errstate(invalid="ignore"):
                worse = (
                    np.abs(now) > np.abs(values)
                    if worst == "max_abs"
                    else now > values
                    if worst == "max"
                    else now < values
                )
            worse |= np.isnan(values) & ~np.isnan(now)
            values[worse], governing[worse] = now[worse], number
            instants[worse] = np.nan if state is case else float(state.time)
    return Envelope(
        name=name if isinstance(name, str) else type(name).__name__,
        title=title,
        dimension=dimension,
        worst=worst,
        values=values,
        case=governing,
        instants=instants,
        cases=tuple(cases),
        location=location,
        result=result,
    )


def _read(result: Any, name: str | Quantity, state: Any) -> tuple[FloatArray, str, str, str]:
    """Values on all rows, title, dimension and location of a field in one state; without its error."""
    if isinstance(name, FieldQuantity):
        band = name.band(result, ValuesAlone(state))
        n = result.model.mesh.n_points if band.location == "points" else len(result.points.node)
        values = np.full(n, np.nan)
        values[band.rows] = band.values
        return values, name.label, name.dimension, band.location
    field = state.field(name)
    values = np.asarray(field.values, np.float64)
    values = np.linalg.norm(values, axis=1) if values.ndim == 2 else values
    return values, field.title, field.dimension, field.location


__all__ = ["Envelope", "envelope"]
