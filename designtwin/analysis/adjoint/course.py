"""Slopes of what statics say over time, where the course is that of temperature.

Each instant has an adjoint of its own; what they owe to temperature goes back through the steps of the
thermal analysis in one sweep. The extreme over time is the aggregate of `transient.over_time`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from designtwin.analysis.adjoint.static import at_fixed_heat
from designtwin.analysis.adjoint.transient import UNSEEN, over_time, step_at, through_heat
from designtwin.errors import NoAdjointError
from designtwin.requirements.base import Quantity
from designtwin.requirements.responses import Response, response_of
from designtwin.results import StaticHistory
from designtwin.results.sensitivity import Sensitivity
from designtwin.typing import FloatArray


def smooth_value(result: Any, quantity: Quantity, case: StaticHistory, **options: Any) -> float:
    """The smooth number of a quantity over all instants of a case; options as `response_of`."""
    return _over_time(result, quantity, case, options)[0]


def sensitivity(result: Any, quantity: Quantity, case: StaticHistory, **options: Any) -> Sensitivity:
    """Slope of a quantity over the instants of a case; options as `response_of`.

    Raises
    ------
    NoAdjointError
        If the course of temperature is stated and not solved for.
    """
    value, true, weights = _over_time(result, quantity, case, options)
    total: Sensitivity | None = None
    slopes: dict[str, dict[int, FloatArray]] = {}
    for i in np.flatnonzero(np.abs(weights) > UNSEEN * np.abs(weights).max()):
        frame, weight = case.frames[int(i)], float(weights[i])
        response: Response = response_of(quantity, result, frame, **options)
        ((found,)) = at_fixed_heat(result, quantity, [response], [frame])
        for _, part in frame.parts or ((1.0, frame),):
            if part.name in result.warmed:
                thermal, of, at = result.warmed[part.name]
                step = step_at(thermal[of], float(case.times[i]) if at is None else at, f"case {part.name!r}")
                own = slopes.setdefault(part.name, {})
                own[step] = own.get(step, 0.0) + weight * found.temperature(part.name)
            elif part.case is not None and len(result.model.cases[part.name].times):
                raise NoAdjointError(
                    f"case {part.name!r} states a course of temperature; no gradient is known over it"
                )
        total = weight * found if total is None else total + weight * found
    assert total is not None
    for name, by_step in slopes.items():
        thermal, of, _ = result.warmed[name]
        total = total + through_heat(thermal, thermal[of], by_step)
    return replace(total, case=case.name, value=value, true=true)


def _over_time(
    result: Any, quantity: Quantity, case: StaticHistory, options: Any
) -> tuple[float, float, FloatArray]:
    """Smooth and true number over time, and the slope over the smooth number of each instant."""
    told = [response_of(quantity, result, frame, **options) for frame in case.frames]
    numbers, true = np.array([[one.value, one.true] for one in told]).T
    value, weights = over_time(case.times, numbers, largest=options["largest"])
    return value, float(true.max() if options["largest"] else true.min()), weights
