"""Strain over a place, with the interval that the stress error leaves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from designtwin.mesh.selections import Selection
from designtwin.requirements import gauges
from designtwin.requirements.base import ValuesAlone, one_of, over_word
from designtwin.requirements.fields import TensorQuantity
from designtwin.requirements.strength import kelvin_at
from designtwin.results import stress as tensor
from designtwin.typing import FloatArray, IntArray

_COMPONENTS = {
    **{f"principal_{i}": f"principal strain {i}" for i in (1, 2, 3)},
    **{c: f"strain {c}" for c in tensor.COMPONENTS},
}


@dataclass(frozen=True, kw_only=True)
class StrainQuantity(TensorQuantity):
    """Strain over a place; see `strain`."""

    dimension: ClassVar[str] = "strain"
    component: str = "principal_1"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.component, tuple(_COMPONENTS), "component")

    @property
    def label(self) -> str:
        return f"{over_word(self.over, 'max')}{_COMPONENTS[self.component]}{self._place_words()}"

    @property
    def reads(self) -> str:
        return "strain" if self.component.startswith("principal") else f"strain_{self.component}"

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        strain = np.asarray(case.strain("points"), np.float64)[rows]
        if self.component.startswith("principal"):
            full = tensor.tensors(strain * tensor.ENGINEERING)
            values = np.asarray(np.linalg.eigvalsh(full)[:, ::-1][:, int(self.component[-1]) - 1])
            share = 1.0
        else:
            i = tensor.COMPONENTS.index(self.component)
            values = strain[:, i]
            share = 1.0 if i < 3 else 2.0  # engineering shear is twice that of the tensor
        error = self._error(case, rows) * share
        return values, values - error, values + error

    def _error(self, case: Any, rows: IntArray) -> FloatArray:
        """Half-width of the strain tensor (Frobenius), float64[k]; nan where none is known."""
        if isinstance(case, ValuesAlone):
            return np.full(len(rows), np.nan)
        return np.asarray(case.stress_tensor_error(), np.float64)[rows] * _flexibility(case, rows)


def _flexibility(case: Any, rows: IntArray) -> FloatArray:
    """The largest strain (Frobenius) a stress of 1 Pa (Frobenius) can cause, float64[k], 1/Pa."""
    if case.parts:
        return np.asarray(np.max([_flexibility(one, rows) for _, one in case.parts], axis=0))
    points, kelvin = case.points, kelvin_at(case, rows)
    out = np.empty(len(rows))
    for index in np.unique(points.part[rows]):
        here = points.part[rows] == index
        section = case.model.parts[index].section
        at = None if kelvin is None else kelvin[here]
        if section.dimension == 1:
            out[here] = 1.0 / section.axial_modulus(at)
            continue
        stiffness = gauges.mandel_stiffness(section.material.stiffness(at))
        out[here] = 1.0 / np.linalg.eigvalsh(stiffness)[..., 0]
    return out


def strain(
    component: str = "principal_1",
    *,
    on: str | Selection | None = None,
    over: str = "max",
    case: str | None = None,
    excluding: str | Selection | None = None,
) -> StrainQuantity:
    """Total strain over a place, free thermal strain included.

    Parameters
    ----------
    component : str
        "principal_1" to "principal_3" (descending), or "xx" "yy" "zz" "xy" "yz" "xz" (engineering shear).
    on, over, case, excluding
        As `displacement`; over "max" unless given.

    The interval is that of the stress by way of the compliance: a stress off by d (Frobenius) is a strain
    off by at most d over the smallest eigenvalue of the stiffness.
    """
    return StrainQuantity(
        component=component,
        on=on,  # type: ignore[arg-type]
        over=over,
        case=case,
        excluding=excluding,  # type: ignore[arg-type]
    )
