"""Mass and reactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from designtwin import units
from designtwin.errors import RequirementError
from designtwin.mesh.selections import Selection, select
from designtwin.model.domains import cell_patches
from designtwin.requirements.base import Quantity, one_of, over_word
from designtwin.requirements.values import Value

if TYPE_CHECKING:
    from designtwin.model.model import Model


@dataclass(frozen=True, kw_only=True)
class MassQuantity(Quantity):
    """Mass of the part; see `mass`."""

    needs: ClassVar[str] = "model"
    dimension: ClassVar[str] = "mass"

    @property
    def label(self) -> str:
        return "mass"

    def by_case(self, result: Any) -> list[Value]:
        model = getattr(result, "model", result)
        if not hasattr(model, "cell_density"):
            raise RequirementError(f"mass needs a model or a result, not a {type(result).__name__}")
        return [Value(value=total_mass(model))]

    def check(self, model: Model) -> None:
        model.cell_density(needed_by=self.label)


def total_mass(model: Any) -> float:
    """Density integrated over all cells, kg; over the full turn where the model is axisymmetric.

    Masses attached to the part are not of it.
    """
    density = model.cell_density(needed_by="mass")
    total = 0.0
    for patch in cell_patches(model, np.arange(model.mesh.n_cells)):
        total += float((density[patch.cells, None] * patch.measure).sum())
    return total


@dataclass(frozen=True, kw_only=True)
class ReactionQuantity(Quantity):
    """Force a support exerts on the part; see `reaction`."""

    needs: ClassVar[str] = "static"
    dimension: ClassVar[str] = "force"
    on: Selection
    component: str = "magnitude"
    over: str = "max_abs"
    case: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", select(self.on))
        one_of(self.component, ("x", "y", "z", "magnitude"), "component")
        one_of(self.over, ("max_abs", "max", "min"), "over")

    @property
    def largest_governs(self) -> bool:
        return self.over != "min"

    @property
    def label(self) -> str:
        what = "reaction" if self.component == "magnitude" else f"reaction {self.component}"
        case = "" if self.case is None else f" in case '{self.case}'"
        return f"{over_word(self.over, 'max_abs')}{what} at {self.on}{case}"

    def check(self, model: Model) -> None:
        super().check(model)
        model.region(self.on)

    def by_case(self, result: Any) -> list[Value]:
        return [self._over_time(result, case, self.largest_governs) for case in self.cases_of(result)]

    def _number(self, result: Any, state: Any) -> float:
        force = np.asarray(state.reaction(self.on), np.float64)
        if self.component == "magnitude":
            return float(np.linalg.norm(force))
        value = float(force["xyz".index(self.component)])
        return abs(value) if self.over == "max_abs" else value

    def _of_state(self, result: Any, state: Any) -> Value:
        case, nodes = state, result.model.region(self.on).nodes
        force = np.asarray(case.reaction(self.on), np.float64)
        forces = np.asarray(case.reactions, np.float64)
        largest = max(float(np.linalg.norm(case.applied)), float(np.linalg.norm(force)))
        half = float(abs(case.imbalance)) * largest
        elsewhere = np.delete(forces, nodes, axis=0)
        if elsewhere.size and np.abs(elsewhere).max() > 1e-9 * np.abs(forces).max():
            # With other supports the share of this one is computed; what the whole mesh leaves open of it
            # goes with the energy error squared, as it does for displacements.
            share = min(4.0 * float(case.energy_error) ** 2, 1.0)
            half += share * float(np.linalg.norm(np.abs(forces[nodes]).sum(axis=0)))
        value, note = float(np.linalg.norm(force)), ""
        if self.component != "magnitude":
            value = float(force["xyz".index(self.component)])
            if self.over == "max_abs" and value < 0.0:
                value, note = -value, f"magnitude; it is {units.show(value, self.dimension)} there"
        low = value - half
        if self.over == "max_abs" or self.component == "magnitude":
            low = max(low, 0.0)
        return Value.between(value, low, value + half, case=case.name, note=note)


def mass() -> MassQuantity:
    """Mass of the part, kg; needs a density for every material. Masses attached to it are not counted."""
    return MassQuantity()


def reaction(
    on: str | Selection, component: str = "magnitude", *, over: str = "max_abs", case: str | None = None
) -> ReactionQuantity:
    """Total force a support exerts on the part, N.

    Parameters
    ----------
    on : group name or selection
        Where the part is held.
    component : str
        "x", "y", "z" or "magnitude".
    over : str
        "max_abs", the largest magnitude over the load cases; "max" and "min" keep signs.
    case : str, optional
        One load case; the envelope of all unless given.
    """
    return ReactionQuantity(on=on, component=component, over=over, case=case)  # type: ignore[arg-type]
