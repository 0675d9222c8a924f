"""States about another state, and shapes: motions that have no size of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from designtwin.assembly.cells import CellBlock, PointTables, strain_at
from designtwin.results.common import Field
from designtwin.results.static import StaticCase
from designtwin.typing import FloatArray
from designtwin.units import to_si


class AboutState(StaticCase):
    """A static answer about a state that may be warm: the state's own thermal strain is none of its own."""

    def _at_tables(self, block: CellBlock, at: PointTables) -> tuple[FloatArray, FloatArray]:
        assert self.case is not None
        strain, stress = strain_at(self.model, self.case, block, at, self.displacement)
        if self.case.temperature is None:
            return strain, stress
        rest, its_stress = strain_at(self.model, self.case, block, at, np.zeros_like(self.displacement))
        return strain - rest, stress - its_stress


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Shape(AboutState):
    """A mode: only ratios of its fields mean something. Its field "shape" is 1 where it moves most."""

    @property
    def caption(self) -> str:
        """The mode in words."""
        raise NotImplementedError

    @property
    def field_names(self) -> tuple[str, ...]:
        return ("shape", *super().field_names)

    def field(self, name: str) -> Field:
        """As of a static case, and "shape": displacement over the largest, without a unit."""
        if name != "shape":
            return super().field(name)
        moved = np.linalg.norm(self.displacement, axis=1)
        most = float(moved.max(initial=0.0))
        return Field(name, "Shape", moved / most if most else moved, "dimensionless", "points")

    def at_phase(self, angle: Any) -> Self:
        """The state at a phase of the swing, such as "90 deg" (plain numbers: rad); whole at 0."""
        turn = float(np.cos(to_si(angle, "angle", name="angle")))
        return replace(self, displacement=turn * self.displacement)

    def plot(self, name: str = "shape", **options: Any) -> Any:
        """Picture of the shape, or of another field; see ``designtwin.viz``."""
        return super().plot(name, **options)

    def animate(self, path: Any, name: str = "shape", **options: Any) -> Any:
        """Film of one swing, which plays as a loop: GIF, WebP, MP4, or a page; see ``designtwin.viz``."""
        return super().animate(path, name, **options)
