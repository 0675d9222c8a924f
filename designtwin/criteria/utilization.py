"""Utilization: demand over allowable at every result point; above 1 fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from designtwin.errors import RequirementError
from designtwin.requirements import (
    BrittleMargin,
    CompositeMargin,
    CreepMargin,
    FkmMargin,
    MechanicalQuantity,
    ValuesAlone,
    YieldMargin,
    one_of,
)
from designtwin.typing import FloatArray, IntArray

_MARGINS: dict[str, Callable[..., MechanicalQuantity]] = {
    "von_mises": YieldMargin, "tresca": YieldMargin,
    "rankine": BrittleMargin, "mohr_coulomb": BrittleMargin, "modified_mohr": BrittleMargin,
    "drucker_prager": BrittleMargin,
    "tsai_wu": CompositeMargin, "hashin": CompositeMargin, "max_stress": CompositeMargin,
    "max_strain": CompositeMargin,
}  # fmt: skip
CRITERIA = (*_MARGINS, "fkm")


@dataclass(frozen=True, kw_only=True, eq=False)
class Utilization:
    """Demand over allowable at the result points, the largest over the load cases.

    Parameters
    ----------
    criterion : str
    values : float64[k]
        0 where nothing is stressed; above 1 fails.
    case : int64[k]
        Which of `cases` governs at each point.
    cases : tuple of str
    rows : int64[k]
        The result points: all, unless a margin looks at a place.
    """

    criterion: str
    values: FloatArray
    case: IntArray
    cases: tuple[str, ...]
    rows: IntArray

    meaning: ClassVar[str] = (
        "demand over allowable; one over it is the factor on the load at which the criterion is reached, "
        "everything that acts growing together"
    )


def utilization(
    result: Any,
    criterion: str | MechanicalQuantity = "von_mises",
    *,
    case: str | None = None,
    sigma: float | None = None,
) -> Utilization:
    """Utilization by a strength criterion, the largest over the instants of each case.

    Parameters
    ----------
    result : StaticResult or VibrationResult
    criterion : str or margin
        "von_mises" or "tresca" against the yield strength; "rankine", "mohr_coulomb", "modified_mohr" or
        "drucker_prager" against the ultimate strengths; "tsai_wu", "hashin", "max_stress" or "max_strain"
        of orthotropic materials; "fkm". Or a margin of your own making, such as ``creep_margin("100000
        h")`` or ``composite_margin("tsai_wu", on="skin", interaction=0)``, at the points of its place.
    case : str, optional
        One load case; the envelope of all unless given.
    sigma : float, optional
        In a random response, how many standard deviations count, such as 3.

    Raises
    ------
    RequirementError
        If the criterion is unknown or no margin, or a margin comes with case or sigma of its own beside them.
    MissingPropertyError
        If a material does not state the strength.
    """
    margin = _margin(criterion, case, sigma)
    cases = margin.cases_of(result)
    rows = margin.rows(result)
    values = np.zeros((len(cases), len(rows)))
    for over_time, one in zip(values, cases, strict=True):
        for state in margin.states_of(one):
            with np.errstate(divide="ignore"):
                now = 1.0 / margin.band(result, ValuesAlone(state)).values
            np.maximum(over_time, now, out=over_time)
    governing = np.argmax(values, axis=0)
    return Utilization(
        criterion=criterion if isinstance(criterion, str) else margin.label,
        values=np.take_along_axis(values, governing[None], axis=0)[0],
        case=governing,
        cases=tuple(one.name for one in cases),
        rows=rows,
    )


def _margin(criterion: Any, case: str | None, sigma: float | None) -> MechanicalQuantity:
    """The margin whose inverse is wanted."""
    if not isinstance(criterion, str):
        margins = (YieldMargin, BrittleMargin, CompositeMargin, CreepMargin, FkmMargin)
        if not isinstance(criterion, margins):
            what = getattr(criterion, "label", repr(criterion))
            raise RequirementError(f"utilization: {what} is no margin, such as {', '.join(CRITERIA)}")
        if case is not None or sigma is not None:
            raise RequirementError("utilization: a margin says case and sigma itself; leave them out here")
        return criterion
    one_of(criterion, CRITERIA, "criterion")
    if criterion == "fkm":
        return FkmMargin(case=case, sigma=sigma)
    return _MARGINS[criterion](criterion=criterion, case=case, sigma=sigma)
