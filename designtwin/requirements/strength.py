"""Strength over stress: margins against yielding and breaking.

A margin is the factor on the load at which the criterion is reached, all loads growing together: every
criterion here grows in proportion with stress. Where something acts in full however much the rest grows
(preload, dead weight, heat), the factor on the rest alone is another number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import MissingPropertyError
from designtwin.mesh.selections import Selection
from designtwin.requirements import gauges
from designtwin.requirements.base import one_of
from designtwin.requirements.fields import MechanicalQuantity, TensorQuantity, refuse_amplitudes, tensor_at
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.model.model import Model


@dataclass(frozen=True, kw_only=True)
class TensorMargin(TensorQuantity):
    """One over a utilization that is made of the whole stress tensor."""

    over: str = "min"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.over, ("min",), "over")

    def utilization(self, case: Any, rows: IntArray) -> gauges.Bounds:
        """Demand over allowable at rows, with its bounds, float64[k] each."""
        raise NotImplementedError

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        value, low, high = self.utilization(case, rows)
        one = np.ones(len(rows))
        return ratio(one, value), ratio(one, high), ratio(one, low)


@dataclass(frozen=True, kw_only=True)
class YieldMargin(MechanicalQuantity):
    """Yield strength over equivalent stress; see `yield_margin`."""

    over: str = "min"
    criterion: str = "von_mises"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.over, ("min",), "over")
        one_of(self.criterion, ("von_mises", "tresca"), "criterion")

    @property
    def label(self) -> str:
        name = {"von_mises": "von Mises", "tresca": "Tresca"}[self.criterion]
        return f"yield margin ({name}){self._place_words()}{self._sigma_words}"

    def check(self, model: Model) -> None:
        super().check(model)
        check_strength(model, "yield_strength", self.label, self.on)

    @property
    def reads(self) -> str:
        return self.criterion

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        stress, low, high = self.read(case, self.reads, rows)
        strength = strength_at(case, rows, "yield_strength", self.label)
        return ratio(strength, stress), ratio(strength, high), ratio(strength, np.maximum(low, 0.0))


_BRITTLE = {
    "rankine": "Rankine",
    "mohr_coulomb": "Mohr-Coulomb",
    "modified_mohr": "modified Mohr",
    "drucker_prager": "Drucker-Prager",
}


@dataclass(frozen=True, kw_only=True)
class BrittleMargin(MechanicalQuantity):
    """Ultimate strength over the stress of a brittle criterion; see `brittle_margin`."""

    over: str = "min"
    criterion: str = "rankine"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.over, ("min",), "over")
        one_of(self.criterion, tuple(_BRITTLE), "criterion")

    @property
    def label(self) -> str:
        return f"brittle margin ({_BRITTLE[self.criterion]}){self._place_words()}{self._sigma_words}"

    def check(self, model: Model) -> None:
        super().check(model)
        check_strength(model, "ultimate_strength", self.label, self.on)
        if self.criterion != "rankine":
            check_strength(model, "compressive_strength", self.label, self.on)

    @property
    def reads(self) -> str:
        return "principal_1"

    def cases_of(self, result: Any) -> list[Any]:
        cases = super().cases_of(result)
        if self.criterion == "drucker_prager" and result.physics == "vibration":
            names = [case.name for case in cases if getattr(case, "times", None) is None]
            refuse_amplitudes(self.label, names)
        return cases

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        tensile = strength_at(case, rows, "ultimate_strength", self.label)
        none = math.inf if self.criterion == "rankine" else None
        compressive = strength_at(case, rows, "compressive_strength", self.label, otherwise=none)
        one = np.ones(len(rows))
        if self.criterion == "drucker_prager":
            bounds = gauges.about(
                lambda s, d: gauges.drucker_prager(s, d, tensile, compressive), *tensor_at(case, rows)
            )
        else:
            first, third = self.read(case, "principal_1", rows), self.read(case, "principal_3", rows)
            # the utilization grows with the first and falls with the third principal stress
            bounds = tuple(  # type: ignore[assignment]
                brittle_utilization(first[i], third[j], tensile, compressive, criterion=self.criterion)
                for i, j in ((0, 0), (1, 2), (2, 1))
            )
        value, low, high = bounds
        return ratio(one, value), ratio(one, high), ratio(one, low)


def brittle_utilization(
    first: FloatArray, third: FloatArray, tensile: FloatArray, compressive: FloatArray, *, criterion: str
) -> FloatArray:
    """Demand over allowable of a brittle material, float64[k], never negative.

    Rankine bounds the first principal stress by the tensile strength, and the third by the compressive one
    (inf leaves it out). Where one pulls and the other pushes, Mohr-Coulomb bounds their sum ``s1 / St -
    s3 / Sc``, and modified Mohr, which fits cast iron better, ``(1/St - 1/Sc) s1 - s3 / Sc``. What pushes
    from all sides gets no credit for it.

    Source: Budynas & Nisbett, Shigley's Mechanical Engineering Design, 9th ed. (2011), secs. 5-8 and 5-9
    (eqs. 5-31 and 5-32).
    """
    pull, push = first / tensile, -third / compressive
    out = np.maximum(np.maximum(pull, push), 0.0)
    if criterion == "mohr_coulomb":
        return np.maximum(out, pull + push)
    if criterion == "modified_mohr":
        return np.maximum(out, pull - first / compressive + push)
    return out


def ratio(strength: FloatArray, stress: FloatArray) -> FloatArray:
    """Strength over stress, infinite where the stress is zero."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(strength / np.abs(stress))


def parts_on(model: Any, on: Selection | None) -> IntArray:
    """Indices of the parts a place touches."""
    every: IntArray = np.arange(len(model.parts))
    if on is None:
        return every
    region = model.region(on)
    if len(region.cells):
        return np.unique(model.part_of_cell[region.cells])
    if len(region.facets):
        return np.unique(model.part_of_cell[region.facets[:, 0]])
    return every  # the rows of bare nodes are known only with a result


def check_strength(model: Any, name: str, needed_by: str, on: Selection | None) -> None:
    """Raise MissingPropertyError unless every material of the place states a strength."""
    for index in parts_on(model, on):
        _require(model.parts[index], name, needed_by)


def _require(part: Any, name: str, needed_by: str) -> None:
    try:
        part.section.material.require(name, test=needed_by)
    except MissingPropertyError as error:
        raise MissingPropertyError(f"part {part.name!r}: {error}") from error


def strength_at(
    case: Any, rows: IntArray, name: str, needed_by: str, *, otherwise: float | None = None,
    shape: tuple[int, ...] = (),
) -> FloatArray:  # fmt: skip
    """A strength at result points float64[k, *shape], Pa, at the temperature of the case.

    A combination has the lowest strength of the cases it combines. `otherwise` stands in for materials that
    do not state it, which are an error without it.
    """
    if getattr(case, "parts", ()):
        each = [
            strength_at(one, rows, name, needed_by, otherwise=otherwise, shape=shape) for _, one in case.parts
        ]
        return np.asarray(np.min(each, axis=0))
    points, model = case.points, case.model
    kelvin = kelvin_at(case, rows)
    out = np.empty((len(rows), *shape))
    for index in np.unique(points.part[rows]):
        here = points.part[rows] == index
        material = model.parts[index].section.material
        if material.magnitude(name) is None and otherwise is not None:
            out[here] = otherwise
            continue
        _require(model.parts[index], name, needed_by)
        out[here] = material.at(name, None if kelvin is None else kelvin[here], test=needed_by)
    return out


def kelvin_at(case: Any, rows: IntArray) -> FloatArray | None:
    """The temperature of a load case at result points, float64[k], K; None where it states none."""
    stated = getattr(case, "case", None)  # a response to vibration is of no load case
    state = None if stated is None else stated.temperature
    return None if state is None else state.at_nodes(case.model)[case.points.node[rows]]


def yield_margin(
    *,
    on: str | Selection | None = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
    criterion: str = "von_mises",
    sigma: float | None = None,
) -> YieldMargin:
    """Yield strength over equivalent stress, the smallest over the place; infinite where nothing is stressed.

    Parameters
    ----------
    on, case, excluding, sigma
        As `displacement`. Von Mises stress is not Gaussian, so that 3σ of it, three times its root mean
        square (Segalman), is not passed with the probability of a normal variable.
    criterion : str
        "von_mises" (drawn as the field ``safety_factor``) or "tresca".
    """
    return YieldMargin(on=on, case=case, excluding=excluding, criterion=criterion, sigma=sigma)  # type: ignore[arg-type]


def brittle_margin(
    criterion: str = "rankine",
    *,
    on: str | Selection | None = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
    sigma: float | None = None,
) -> BrittleMargin:
    """Ultimate strength over the stress of a brittle criterion, the smallest over the place.

    Parameters
    ----------
    criterion : str
        "rankine": the largest principal stress against the ultimate strength, and the smallest against the
        compressive strength where the material states one. The others need both: "mohr_coulomb",
        "modified_mohr" (cast iron; see `brittle_utilization`) and "drucker_prager", the smooth cone through
        both (see `gauges.drucker_prager`).
    on, case, excluding, sigma
        As `displacement`. Of vibration only courses in time have principal stresses.
    """
    return BrittleMargin(criterion=criterion, on=on, case=case, excluding=excluding, sigma=sigma)  # type: ignore[arg-type]
