"""Static strength of unwelded steel parts in the manner of the FKM guideline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin import units
from designtwin.errors import RequirementError
from designtwin.mesh.selections import Selection
from designtwin.requirements.base import one_of
from designtwin.requirements.fields import MechanicalQuantity
from designtwin.requirements.strength import check_strength, ratio, strength_at
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.model.model import Model

SAFETY = {
    ("high", "high"): (2.0, 1.5),
    ("high", "low"): (1.8, 1.35),
    ("low", "high"): (1.75, 1.3),
    ("low", "low"): (1.6, 1.2),
}
"""(consequence of failure, likelihood of the highest load): safety factors on Rm and on Rp, table 3.5.1."""
CRITICAL_STRAIN = 0.05
"""Of steel, sec. 3.3.1."""


@dataclass(frozen=True, kw_only=True)
class FkmMargin(MechanicalQuantity):
    """Inverse of the degree of utilization of the static strength; see `fkm_margin`."""

    over: str = "min"
    consequence: str = "high"
    likelihood: str = "high"
    plastic_limit: Any = 1.0
    size_factor: Any = 1.0
    anisotropy: Any = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.over, ("min",), "over")
        one_of(self.consequence, ("high", "low"), "consequence")
        one_of(self.likelihood, ("high", "low"), "likelihood")
        for name, low, high, what in (
            ("plastic_limit", 1.0, np.inf, "the plastic over the elastic limit load, 1 or more"),
            ("size_factor", 0.0, 1.0, "K_d, above 0 and at most 1"),
            ("anisotropy", 0.0, 1.0, "K_A, above 0 and at most 1"),
        ):
            number = units.to_si(getattr(self, name), "dimensionless", name=name)
            if not isinstance(number, float) or not low <= number <= high or number == 0.0:
                raise RequirementError(f"{name}={getattr(self, name)!r}: it is {what}")
            object.__setattr__(self, name, number)

    @property
    def read_from(self) -> tuple[str, ...]:
        return ("static",)

    @property
    def reads(self) -> str:
        return "von_mises"

    @property
    def label(self) -> str:
        words = [f"{self.consequence} consequence, {self.likelihood} likelihood"]
        for name, sign in (("plastic_limit", "K_p"), ("size_factor", "K_d"), ("anisotropy", "K_A")):
            if getattr(self, name) != 1.0:
                words.append(f"{sign} {getattr(self, name):g}")
        return f"FKM margin ({', '.join(words)}){self._place_words()}"

    def check(self, model: Model) -> None:
        super().check(model)
        for name in ("yield_strength", "ultimate_strength", "youngs_modulus"):
            check_strength(model, name, self.label, self.on)

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        stress, low, high = self.read(case, "von_mises", rows)
        share = self.size_factor * self.anisotropy
        yields = strength_at(case, rows, "yield_strength", self.label) * share
        breaks = strength_at(case, rows, "ultimate_strength", self.label) * share
        modulus = strength_at(case, rows, "youngs_modulus", self.label)
        on_break, on_yield = SAFETY[self.consequence, self.likelihood]
        safety = np.maximum(on_break * yields / breaks, on_yield)
        support = np.minimum(np.sqrt(modulus * CRITICAL_STRAIN / yields), self.plastic_limit)
        allowed = yields * np.maximum(support, 1.0) / safety
        return ratio(allowed, stress), ratio(allowed, high), ratio(allowed, np.maximum(low, 0.0))


def fkm_margin(
    *,
    on: str | Selection | None = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
    consequence: str = "high",
    likelihood: str = "high",
    plastic_limit: float = 1.0,
    size_factor: float = 1.0,
    anisotropy: float = 1.0,
) -> FkmMargin:
    """Inverse of the degree of utilization of the static strength of rolled or forged steel; 1 or more
    passes.

    Local stresses: von Mises stress times the safety factor ``max(j_m Rp/Rm, j_p)`` over ``Rp n_pl``, with
    the support ``n_pl = min(sqrt(E 5 % / Rp), plastic_limit)``. The safety factors are inside; the margin
    is the factor on the load beyond them.

    Parameters
    ----------
    on, case, excluding
        As `displacement`.
    consequence : str
        Of failure: "high" or "low".
    likelihood : str
        Of the highest load or its combination: "high" or "low".
    plastic_limit : float
        K_p: plastic limit load over the load at first yield, of the part, from a limit analysis or a
        handbook. 1 allows no yielding anywhere.
    size_factor, anisotropy : float
        K_d and K_A of the guideline's tables, where the material's strengths are those of the norm and not of
        the part: 1 unless given.

    Not covered, and not to be read into it: welds, castings, aluminum, strengths at high temperature and
    their own safety factors, residual stress, and the guard against brittle fracture under high triaxiality.

    Source: FKM Guideline, Analytical Strength Assessment of Components, 6th ed. (2012), ch. 3
    (local stresses), secs. 3.3 and 3.5.
    """
    return FkmMargin(
        on=on,  # type: ignore[arg-type]
        case=case,
        excluding=excluding,  # type: ignore[arg-type]
        consequence=consequence,
        likelihood=likelihood,
        plastic_limit=plastic_limit,
        size_factor=size_factor,
        anisotropy=anisotropy,
    )
