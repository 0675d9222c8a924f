"""What a vibration test computes: modes, and the response to each excitation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from designtwin.results.common import CaseResult, Result
from designtwin.results.modal import ModalCase
from designtwin.results.tables import Table
from designtwin.typing import FloatArray

MODES = "modes"
"""The case that holds the natural frequencies; no excitation may have its name."""


@dataclass(frozen=True, eq=False, repr=False)
class VibrationResult(Result[CaseResult]):
    """Modes, and responses by the name of what excites; ``result.modes``, ``result["transport"]``."""

    physics: ClassVar[str] = "vibration"

    @property
    def modes(self) -> ModalCase:
        """All modes."""
        case: Any = self.by_case[MODES]
        return case  # type: ignore[no-any-return]

    @property
    def responses(self) -> dict[str, CaseResult]:
        """Answers to excitations by name."""
        return {name: case for name, case in self.by_case.items() if name != MODES}

    @property
    def tables(self) -> tuple[Table, ...]:
        return (self.modes.table(),)

    def to_vtu(self, path: str | Path, fields: Sequence[str] | None = None) -> Path:
        """Write the shapes of all modes and the fields of responses to a VTU file that ParaView opens.

        Points are in meters. A course in time has a file of its own: ``result[name].to_vtkhdf(path)``.
        """
        from designtwin.io.results import write_vtu

        data: dict[str, FloatArray] = {"part": self.points.part.astype(np.float64)}
        for mode in self.modes:
            for key in fields or ("displacement",):
                data[f"{mode.caption}: {key}"] = mode.on_result_points(mode.field(key))
        for name, case in self.responses.items():
            if getattr(case, "times", None) is None:
                for key in fields or case.field_names:
                    data[f"{name}: {key}"] = case.on_result_points(case.field(key))
        write_vtu(path, self.points.xyz, self.points.by_element, point_data=data)
        return Path(path)

    def __str__(self) -> str:
        return "\n".join([str(self.modes.table()), *(str(case) for case in self.responses.values())])
