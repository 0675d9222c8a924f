"""Utilization: demand over allowable at every result point; above 1 fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin.requirements import BrittleMargin, FieldQuantity, ValuesAlone, YieldMargin, one_of
from designtwin.typing import FloatArray, IntArray

CRITERIA = ("von_mises", "tresca", "rankine", "mohr_coulomb")


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
    """

    criterion: str
    values: FloatArray
    case: IntArray
    cases: tuple[str, ...]


def utilization(
    result: Any, criterion: str = "von_mises", *, case: str | None = None, sigma: float | None = None
) -> Utilization:
    """Utilization by a strength criterion, the largest over the instants of each case.

    Parameters
    ----------
    result : StaticResult or VibrationResult
    criterion : str
        "von_mises" or "tresca" against the yield strength, "rankine" or "mohr_coulomb" against the ultimate
        strengths.
    case : str, optional
        One load case; the envelope of all unless given.
    sigma : float, optional
        In a random response, how many standard deviations count, such as 3.

    Raises
    ------
    MissingPropertyError
        If a material does not state the strength.
    """
    one_of(criterion, CRITERIA, "criterion")
    margin: FieldQuantity
    if criterion in ("von_mises", "tresca"):
        margin = YieldMargin(criterion=criterion, case=case, sigma=sigma)
    else:
        margin = BrittleMargin(criterion=criterion, case=case, sigma=sigma)
    cases = margin.cases_of(result)
    values = np.zeros((len(cases), len(margin.rows(result))))
    for over_time, one in zip(values, cases, strict=True):
        for state in margin.states_of(one):
            with np.errstate(divide="ignore"):
                now = 1.0 / margin.band(result, ValuesAlone(state)).values
            np.maximum(over_time, now, out=over_time)
    governing = np.argmax(values, axis=0)
    return Utilization(
        criterion=criterion,
        values=np.take_along_axis(values, governing[None], axis=0)[0],
        case=governing,
        cases=tuple(one.name for one in cases),
    )
