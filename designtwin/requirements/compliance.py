"""Compliance: the work that loads do on the displacements they cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from designtwin.requirements.base import Quantity
from designtwin.requirements.values import Value
from designtwin.typing import FloatArray


@dataclass(frozen=True, kw_only=True)
class ComplianceQuantity(Quantity):
    """Work of the loads; see `compliance`."""

    needs: ClassVar[str] = "static"
    dimension: ClassVar[str] = "energy"
    case: str | None = None

    @property
    def label(self) -> str:
        return "compliance" + ("" if self.case is None else f" in case '{self.case}'")

    def by_case(self, result: Any) -> list[Value]:
        return [self._over_time(result, case, largest=True) for case in self.cases_of(result)]

    def _number(self, result: Any, state: Any) -> float:
        return float((loads_of(state) * state.displacement).sum())

    def _of_state(self, result: Any, state: Any) -> Value:
        value = self._number(result, state)
        # The energy of the exact answer is that found and the energy of the error: Galerkin's is too small.
        missing = abs(value) * float(state.energy_error) ** 2
        return Value.between(value, value - missing, value + 2.0 * missing, case=state.name)


def loads_of(state: Any) -> FloatArray:
    """Nodal forces of the loads of a static case, of a combination too, float64[n_points, 3], N."""
    if state.parts:
        return np.asarray(sum(factor * loads_of(part) for factor, part in state.parts))
    out = np.zeros((state.model.mesh.n_points, 3))
    for load in state.case.loads:
        out += load.nodal_forces(state.model)
    return out


def compliance(*, case: str | None = None) -> ComplianceQuantity:
    """Work of the loads on their displacements, force times displacement summed, J; small where stiff.

    Twice the strain energy where supports do not move and nothing is warmed. The load case of the largest
    governs unless one is named.
    """
    return ComplianceQuantity(case=case)
