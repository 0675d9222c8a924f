"""Margins of fiber composites and other orthotropic materials, in their own axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin import units
from designtwin.errors import MissingPropertyError, RequirementError
from designtwin.mesh.selections import Selection
from designtwin.model.materials import Orthotropic
from designtwin.requirements import gauges
from designtwin.requirements.base import one_of
from designtwin.requirements.fields import tensor_at
from designtwin.requirements.strength import TensorMargin, check_strength, kelvin_at, parts_on, strength_at
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.model.model import Model

_NAMES = {
    "tsai_wu": "Tsai-Wu", "hashin": "Hashin", "max_stress": "maximum stress", "max_strain": "maximum strain"
}  # fmt: skip
STRENGTHS = ("tensile_strength", "compressive_strength", "shear_strength")


@dataclass(frozen=True, kw_only=True)
class CompositeMargin(TensorMargin):
    """Factor on the load to first failure of an orthotropic material; see `composite_margin`."""

    criterion: str = "tsai_wu"
    interaction: float = -0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.criterion, tuple(_NAMES), "criterion")
        number = units.to_si(self.interaction, "dimensionless", name="interaction")
        if not isinstance(number, float) or not -0.5 <= number < 1.0:
            raise RequirementError(
                f"interaction={self.interaction!r}: Tsai and Wu's surface is closed between -0.5 and 1; -0.5 "
                "makes it von Mises' where all strengths are equal"
            )
        object.__setattr__(self, "interaction", number)

    @property
    def label(self) -> str:
        factor = f", interaction {self.interaction:g}" if self.interaction != -0.5 else ""
        return f"composite margin ({_NAMES[self.criterion]}{factor}){self._place_words()}"

    def check(self, model: Model) -> None:
        super().check(model)
        for index in parts_on(model, self.on):
            part = model.parts[index]
            if not isinstance(part.section.material, Orthotropic):
                raise MissingPropertyError(
                    f"part {part.name!r}: {self.label} needs an Orthotropic material and this is a "
                    f"{type(part.section.material).__name__}; look at the composite alone by on='...'"
                )
        for name in STRENGTHS:
            check_strength(model, name, self.label, self.on)
        if self.criterion != "hashin":
            return
        for index in parts_on(model, self.on):
            material = model.parts[index].section.material
            for name, one, other in (*((name, 1, 2) for name in STRENGTHS[:2]), ("shear_strength", 0, 2)):
                stated = material.magnitude(name)
                values = None if stated is None else stated.values
                if values is not None and not np.allclose(values[..., one], values[..., other], rtol=1e-3):
                    raise RequirementError(
                        f"part {model.parts[index].name!r}: Hashin's criterion is of plies with fibers "
                        f"along 1 and the same strength along 2 and 3, and {name} is {stated}; use tsai_wu"
                    )

    def utilization(self, case: Any, rows: IntArray) -> gauges.Bounds:
        stress, center, radius = tensor_at(case, rows)
        stress, center = (in_material_axes(case, rows, one) for one in (stress, center))
        return gauges.about(self._judge(case, rows), stress, center, radius)

    def _judge(self, case: Any, rows: IntArray) -> Callable[[FloatArray, FloatArray], gauges.Bounds]:
        """The criterion with the strengths at rows, of stress in material axes."""
        tensile, compressive, shear, compliance = self._properties(case, rows)
        if self.criterion == "hashin":
            return lambda s, d: gauges.hashin(s, d, tensile, compressive, shear)[0]
        if self.criterion == "tsai_wu":
            return lambda s, d: gauges.tsai_wu(s, d, tensile, compressive, shear, self.interaction)
        if self.criterion == "max_stress":
            return lambda s, d: gauges.max_stress(s, d, tensile, compressive, shear)
        return lambda s, d: gauges.max_strain(s, d, tensile, compressive, shear, compliance)

    def _properties(self, case: Any, rows: IntArray) -> list[FloatArray]:
        """Strengths float64[k, 3] and compliance float64[k, 6, 6]; without k where all are one."""
        found = [strength_at(case, rows, name, self.label, shape=(3,)) for name in STRENGTHS]
        found.append(self._compliance(case, rows) if self.criterion == "max_strain" else np.zeros((1, 6, 6)))
        # one material, nowhere warm: tables of the criterion are needed once and not at every point
        return [one[0] for one in found] if all((one == one[:1]).all() for one in found) else found

    def _compliance(self, case: Any, rows: IntArray) -> FloatArray:
        """In material axes at rows, float64[k, 6, 6], engineering shear, 1/Pa."""
        out = np.empty((len(rows), 6, 6))
        kelvin = kelvin_at(case, rows)
        part = case.points.part[rows]
        for index in np.unique(part):
            here = part == index
            at = None if kelvin is None else kelvin[here]
            out[here] = np.linalg.inv(case.model.parts[index].section.material.stiffness(at))
        return out

    def _note(self, case: Any, row: int) -> str:
        if self.criterion != "hashin":
            return ""
        rows = np.array([row])
        stress = in_material_axes(case, rows, np.asarray(case.stress("points"))[rows])
        _, modes = gauges.hashin(stress, np.zeros(1), *self._properties(case, rows)[:3])
        return gauges.HASHIN_MODES[int(np.argmax(modes[0]))]


def in_material_axes(case: Any, rows: IntArray, stress: FloatArray) -> FloatArray:
    """Stress float64[k, 6] at result points in the axes of their materials, 11 22 33 12 23 13."""
    points = case.points
    out = np.array(stress)
    for index in np.unique(points.part[rows]):
        here = points.part[rows] == index
        axes = case.model.parts[index].section.axes(points.xyz[rows][here])
        out[here] = gauges.in_axes(stress[here], axes)
    return out


def composite_margin(
    criterion: str = "tsai_wu",
    *,
    on: str | Selection | None = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
    interaction: float = -0.5,
) -> CompositeMargin:
    """Factor on the load to first failure of an orthotropic material, the smallest over the place.

    Stress is turned into the axes of the section's `orientation`; the material states `tensile_strength`,
    `compressive_strength` and `shear_strength` along them. All loads grow together.

    Parameters
    ----------
    criterion : str
        "tsai_wu"; "hashin" (fiber and matrix modes apart, fibers along 1; the mode stands in the note);
        "max_stress"; "max_strain" (strengths over moduli, free thermal strain left out).
    on, case, excluding
        As `displacement`. The place must hold orthotropic parts alone.
    interaction : float
        Of Tsai and Wu, between -0.5 and 1: F12 over sqrt(F11 F22), the same for 23 and 13.

    Raises
    ------
    RequirementError
        If a word is unknown, or Hashin's criterion meets a material that is not the same along 2 and 3.
    MissingPropertyError
        If a part of the place is not orthotropic or lacks a strength.

    Source: see `designtwin.requirements.gauges`.
    """
    return CompositeMargin(
        criterion=criterion,
        on=on,  # type: ignore[arg-type]
        case=case,
        excluding=excluding,  # type: ignore[arg-type]
        interaction=interaction,
    )
