"""Adjoint gradients: a result and a quantity in, the slope over all that the model is made of out."""

from __future__ import annotations

from typing import Any

from designtwin.analysis.adjoint import buckling, course, life, modal, transient
from designtwin.analysis.adjoint.static import static_sensitivities
from designtwin.analysis.adjoint.thermal import thermal_sensitivities
from designtwin.analysis.adjoint.totals import mass_sensitivity
from designtwin.errors import NoAdjointError, RequirementError
from designtwin.requirements import responses_lines, responses_through  # noqa: F401  they register
from designtwin.requirements.base import Quantity
from designtwin.requirements.life import DamageQuantity
from designtwin.requirements.responses import AGGREGATES, WITH_ENDS, response_of
from designtwin.requirements.totals import MassQuantity
from designtwin.requirements.vibration import BucklingFactor, ModeQuantity
from designtwin.results import StaticHistory, ThermalResult, TransientResult
from designtwin.results.sensitivity import Sensitivity

__all__ = ["sensitivities", "smooth_values"]


def sensitivities(
    result: Any, quantity: Quantity, *, aggregate: str = "ks", largest: bool | None = None,
    ends: bool = False,
) -> list[Sensitivity]:  # fmt: skip
    """Slope of a quantity over everything the model is made of, in each load case asked for.

    One adjoint solve per case, with the factors or levels of the analysis where it was told to keep them
    (``solve_static(model, keep=True)``); its cost does not depend on how many variables follow.

    Parameters
    ----------
    result : Result
        Of `solve_static`, and the like.
    quantity : Quantity
        An extreme over a place has the slope of its aggregate, and both are told: ``value`` and ``true``.
    aggregate : "ks" or "p-norm"
        See `designtwin.requirements.responses`.
    largest : bool, optional
        Whether the largest value over the place is asked for; as the quantity governs unless given.
    ends : bool
        Of stress and margins: whether the ends of their intervals are meant, which a requirement is judged
        by and which may be worst elsewhere. Their widths keep their share of the values.

    Returns
    -------
    list of Sensitivity
        ``s.points`` float64[n_points, 3] and the like; ``s.along(directions)`` float64[k].

    Raises
    ------
    NoAdjointError
        If the quantity has no adjoint in this result; differences of whole analyses then serve.
    RequirementError
        If the quantity does not fit the result.

    Source: Haftka and Gurdal, Elements of Structural Optimization, 3rd ed. (1992), ch. 7.
    """
    _check(quantity)
    if isinstance(quantity, MassQuantity):
        quantity.by_case(result)  # refuses what has no mass
        return [mass_sensitivity(getattr(result, "model", result), quantity)]
    if isinstance(quantity, ModeQuantity):
        return modal.sensitivities(result, quantity)
    if isinstance(quantity, BucklingFactor):
        return buckling.sensitivities(result, quantity)
    if isinstance(quantity, DamageQuantity):
        return life.sensitivities(result, quantity)
    if isinstance(result, TransientResult):
        wanted = quantity.largest_governs if largest is None else largest
        return transient.sensitivities(result, quantity, aggregate=aggregate, largest=wanted)
    cases, options = _asked(result, quantity, aggregate, largest, ends)
    if any(isinstance(case, StaticHistory) for case in cases):
        return [_of_static(result, quantity, case, options) for case in cases]
    responses = [response_of(quantity, result, case, **options) for case in cases]
    if result.physics == "static":
        return static_sensitivities(result, quantity, responses)
    if isinstance(result, ThermalResult):
        return thermal_sensitivities(result, quantity, responses)
    raise NoAdjointError(f"no adjoint gradient is known of {quantity.label} of a {result.physics} result")


def smooth_values(
    result: Any, quantity: Quantity, *, aggregate: str = "ks", largest: bool | None = None,
    ends: bool = False,
) -> list[tuple[str, float]]:  # fmt: skip
    """The smooth number of a quantity in each load case, without its slope; arguments as `sensitivities`."""
    _check(quantity)
    if isinstance(quantity, MassQuantity):
        return [(one.case or "", one.value) for one in quantity.by_case(result)]
    if isinstance(quantity, ModeQuantity):
        return modal.smooth_values(result, quantity)
    if isinstance(quantity, BucklingFactor):
        return buckling.smooth_values(result, quantity)
    if isinstance(quantity, DamageQuantity):
        return life.smooth_values(result, quantity)
    if isinstance(result, TransientResult):
        wanted = quantity.largest_governs if largest is None else largest
        return transient.smooth_values(result, quantity, aggregate=aggregate, largest=wanted)
    cases, options = _asked(result, quantity, aggregate, largest, ends)
    return [
        (
            case.name,
            course.smooth_value(result, quantity, case, **options)
            if isinstance(case, StaticHistory)
            else response_of(quantity, result, case, **options).value,
        )
        for case in cases
    ]


def _of_static(result: Any, quantity: Quantity, case: Any, options: dict[str, Any]) -> Sensitivity:
    if isinstance(case, StaticHistory):
        return course.sensitivity(result, quantity, case, **options)
    return static_sensitivities(result, quantity, [response_of(quantity, result, case, **options)])[0]


def _check(quantity: object) -> None:
    if not isinstance(quantity, Quantity):
        raise RequirementError(
            f"a gradient is that of a quantity, such as stress() or mass(); got {quantity!r}"
        )


def _asked(
    result: Any, quantity: Quantity, aggregate: str, largest: bool | None, ends: bool
) -> tuple[list[Any], dict[str, Any]]:
    """The cases that a quantity looks at, and options of `response_of`."""
    if aggregate not in AGGREGATES:
        raise RequirementError(f"aggregate={aggregate!r} is unknown (known: {', '.join(AGGREGATES)})")
    if quantity.needs == "model":
        raise NoAdjointError(f"no adjoint gradient is known of {quantity.label}; differences will do")
    wanted = quantity.largest_governs if largest is None else largest
    more = {"ends": True} if ends and isinstance(quantity, WITH_ENDS) else {}
    return quantity.cases_of(result), {"aggregate": aggregate, "largest": wanted, **more}
