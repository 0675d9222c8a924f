"""Quality of the cells as a number that a design loop may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from designtwin.errors import RequirementError
from designtwin.mesh.quality import scaled_jacobians
from designtwin.requirements.base import Quantity
from designtwin.requirements.values import Value

if TYPE_CHECKING:
    from designtwin.model.model import Model


@dataclass(frozen=True, kw_only=True)
class MeshQuality(Quantity):
    """Least scaled Jacobian of the cells; see `mesh_quality`."""

    needs: ClassVar[str] = "model"
    dimension: ClassVar[str] = "dimensionless"

    @property
    def label(self) -> str:
        return "mesh quality"

    @property
    def largest_governs(self) -> bool:
        return False

    def by_case(self, result: Any) -> list[Value]:
        model = getattr(result, "model", result)
        if not hasattr(model, "mesh"):
            raise RequirementError(f"mesh quality needs a model or a result, not a {type(result).__name__}")
        quality = scaled_jacobians(model.mesh)
        return [Value(value=float(np.nanmin(quality)))]

    def check(self, model: Model) -> None:
        if model.mesh.dimension < 2:
            raise RequirementError("mesh quality: lines have none; ask it of solids and plane meshes")


def mesh_quality() -> MeshQuality:
    """Least scaled Jacobian of all cells: 1 for regular cells, 0 where one is flat.

    The guard of a design loop that morphs: ``mesh_quality() >= 0.15`` in a test's requirements keeps the
    search away from shapes that its cells cannot follow, before any of them inverts (which is an error,
    with the design).

    Source: Knupp et al., "The Verdict geometric quality library", SAND2007-1751.
    """
    return MeshQuality()
