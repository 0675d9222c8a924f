"""What a vibration test computes: modes, and the response to each excitation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from designtwin.results.common import CaseResult, Result
from designtwin.results.modal import ModalCase

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

    def __str__(self) -> str:
        return "\n".join([str(self.modes.table()), *(str(case) for case in self.responses.values())])
