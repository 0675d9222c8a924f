"""Tests of what vibrates and of what may buckle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from designtwin.errors import ModelError, RequirementError, did_you_mean
from designtwin.model.damping import Damping, damping
from designtwin.model.excitation import Excitation
from designtwin.model.supports import Damper
from designtwin.prototype.tests import PrototypeTest
from designtwin.requirements import (
    BucklingFactor,
    FrequencyQuantity,
    MechanicalQuantity,
    NoModeIn,
    Requirement,
)
from designtwin.results.common import CaseResult
from designtwin.results.modal import ModalCase, ModalResult
from designtwin.results.vibration import MODES, VibrationResult
from designtwin.units import show, to_si

_CAPTURED = 0.9
"""Share of the mass, in a direction in which the base moves, below which the verdict says so."""
_BEYOND = {"excitation": 1.5, "requirement": 1.2}
"""How far modes are computed beyond the band of an excitation, and beyond limits on frequencies."""
_FEWEST = 10
_ANALYSES = {
    "random": "solve_random", "harmonic": "solve_harmonic", "spectrum": "solve_spectrum",
    "transient": "solve_dynamics",
}  # fmt: skip
"""By the kind of an excitation."""


@dataclass(frozen=True, eq=False)
class VibrationTest(PrototypeTest):
    """Natural frequencies, and the response to each excitation; see `PrototypeTest`.

    Parameters
    ----------
    modes_up_to : frequency, optional
        All modes up to it, such as "4 kHz".
    count : int, optional
        Or this many. Without either the excitations and the limits say how far: half beyond the band of an
        excitation, a fifth beyond a limit on frequencies; ten modes at least where nothing says.
    damping : share, or as `designtwin.damping` takes it
        Such as "1.5 %" of critical. Required with excitations, unless dampers or materials damp.
    cases : mapping of name to excitation
        Such as ``{"transport": base_psd("z", [("10 Hz", "0.01 g**2/Hz"), ("2 kHz", "0.01 g**2/Hz")])}``.
    prestress : str, optional
        The load case under which the part vibrates. Stress and displacement of the responses are those of
        the vibration alone.
    duration : time, optional
        How long shocks and courses in time are followed; until the lowest mode has swung three times after
        their end unless given.
    """

    modes_up_to: Any = None
    count: int | None = None
    damping: Any = None
    cases: Mapping[str, Excitation] = field(default_factory=dict)
    prestress: str | None = None
    duration: Any = None

    kind: ClassVar[str] = "vibration test"
    physics: ClassVar[str] = "vibration"
    example: ClassVar[str] = "frequency(1) >= '65 Hz'"

    def __post_init__(self) -> None:
        if not isinstance(self.cases, Mapping):
            raise ModelError(
                f"cases is {self.cases!r}; excitations by name are wanted, as {{'transport': base_psd(...)}}"
            )
        object.__setattr__(self, "cases", dict(self.cases))
        super().__post_init__()
        self._check_band()
        self.model.cell_density(needed_by="the vibration test")
        known = self._load_cases()
        if self.prestress is not None and self.prestress not in known:
            hint = did_you_mean(str(self.prestress), known) or f"; there are: {', '.join(known) or 'none'}"
            raise ModelError(f"prestress={self.prestress!r} is no load case{hint}")
        for name, excitation in self.cases.items():
            self._check_excitation(name, excitation)
        object.__setattr__(self, "damping", self._settled_damping())
        random = {name: one.kind == "random" for name, one in self.cases.items()}
        for requirement in self.requirements:
            self._check_response(requirement, random)

    def _load_cases(self) -> list[str]:
        return list(dict.fromkeys([*self.model.cases, *self.model.combinations]))

    def _check_band(self) -> None:
        if self.modes_up_to is not None and self.count is not None:
            raise ModelError("VibrationTest: give modes_up_to= or count=, not both")
        if self.count is not None and (
            isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1
        ):
            raise ModelError(f"count is {self.count!r}; how many modes are wanted, 1 or more?")
        if self.modes_up_to is not None:
            top = to_si(self.modes_up_to, "frequency", name="modes_up_to")
            if not isinstance(top, float) or not 0.0 < top < np.inf:
                raise ModelError(
                    f"modes_up_to is {self.modes_up_to!r}: the band is empty; a frequency above 0 Hz is "
                    "wanted, as '4 kHz'"
                )
        if self.duration is not None:
            end = to_si(self.duration, "time", name="duration")
            if not isinstance(end, float) or not 0.0 < end < np.inf:
                raise ModelError(f"duration is {self.duration!r}; a time above zero is wanted, as '0.2 s'")

    def _check_excitation(self, name: Any, excitation: Any) -> None:
        if not isinstance(name, str) or not name:
            raise ModelError(f"an excitation has a name of its own, as 'transport'; got {name!r}")
        if name == MODES:
            raise ModelError("an excitation cannot be named 'modes': that is the case of the frequencies")
        if not isinstance(excitation, Excitation):
            raise ModelError(
                f"case {name!r} is {excitation!r}, no excitation; write e.g. base_psd('z', [...]), "
                "base_harmonic('z', '1 g', low='10 Hz', high='2 kHz') or half_sine('z', '50 g', '11 ms')"
            )
        try:
            excitation.check(self.model)
        except ModelError as error:
            raise ModelError(f"case {name!r}: {error}") from error
        band = _swept(excitation)
        if band is not None and self.modes_up_to is not None:
            top, last = to_si(self.modes_up_to, "frequency", name="modes_up_to"), float(band[1])
            if top < last * (1.0 - 1e-9):
                raise ModelError(
                    f"modes_up_to={self.modes_up_to!r} ends inside the band of case {name!r}, up to "
                    f"{show(last, 'frequency')}: resonances between would be missed; give modes_up_to="
                    f"'{show(_BEYOND['excitation'] * last, 'frequency')}'"
                )
        ends = self.duration is not None or getattr(excitation, "duration", None) is not None
        if excitation.kind == "transient" and not ends:
            raise ModelError(f"case {name!r}: {excitation.said} has no end; give duration='0.2 s'")

    def _settled_damping(self) -> Damping | None:
        if self.damping is not None:
            return damping(self.damping)
        if self.cases and not _damps_itself(self.model):
            raise ModelError(
                f"VibrationTest: the response to {', '.join(map(repr, self.cases))} depends on damping, and "
                "none is stated; give damping='1.5 %' (of critical), or dampers or loss factors in the model"
            )
        return None

    def _check_response(self, requirement: Requirement, random: Mapping[str, bool]) -> None:
        quantity = requirement.quantity
        if not isinstance(quantity, MechanicalQuantity):
            return
        if not self.cases:
            raise RequirementError(
                f"{requirement}: a test without excitations has frequencies alone; give cases={{'transport': "
                "base_psd('z', [...])} and damping='1.5 %'"
            )
        quantity.check_sigma(random)
        if quantity.reads != "tresca" and not quantity.reads.startswith("principal"):
            return
        for name, excitation in self.cases.items():
            if quantity.case in (None, name) and excitation.kind != "transient":
                raise RequirementError(
                    f"{requirement}: in case {name!r} stresses have amplitudes and no common instant, so "
                    "no principal values; ask for yield_margin(), stress('von_mises') or a component, or "
                    "state a course in time"
                )

    def _cases(self) -> list[str]:
        return [MODES, *self.cases]

    def _answered(self) -> list[str]:
        return list(self.cases)

    # How far

    def _band(self) -> dict[str, Any]:
        """What `solve_modes` is asked for: a count or a frequency."""
        if self.modes_up_to is not None:
            return {"up_to": self.modes_up_to}
        if self.count is not None:
            return {"count": self.count}
        tops = [0.0]
        for excitation in self.cases.values():
            band = getattr(excitation, "band", None)
            tops.append(0.0 if band is None else _BEYOND["excitation"] * float(band[1]))
        asked = [(r, r.quantity) for r in self.requirements]
        tops += [_BEYOND["requirement"] * r.quantity.high for r, _ in asked if isinstance(r, NoModeIn)]
        single = [(r.limit, one) for r, one in asked if isinstance(one, FrequencyQuantity)]
        if max(tops) > 0.0 or any(one.direction is not None for _, one in single):
            tops += [_BEYOND["requirement"] * limit for limit, _ in single]
        top, most = max(tops), max([_FEWEST, *(one.number for _, one in single)])
        return {"up_to": top} if top > 0.0 else {"count": most}

    def _depends(self) -> Any:
        return self._band(), self._fewest()

    def _fewest(self) -> int:
        """How many modes there must be at least."""
        single = [r.quantity for r in self.requirements if isinstance(r.quantity, FrequencyQuantity)]
        return max([1, *(one.number for one in single if one.direction is None)])

    def _solve(self, *, keep: bool = False) -> VibrationResult:
        from designtwin import analysis

        def solve(band: dict[str, Any]) -> ModalResult:
            return analysis.solve_modes(self.model, **band, prestress=self.prestress, solver=self.solver)

        found = solve(self._band())
        told = self.modes_up_to is not None or self.count is not None
        if not told and len(found.modes.elastic) < self._fewest():
            # A part stiffer than all that was asked about still has frequencies to tell, and answers.
            found = solve({"count": self._fewest()})
        modes = found.modes
        if self.cases and not modes.elastic:
            raise ModelError(
                f"no mode deforms the part up to {show(modes.complete_to, 'frequency')}, and responses are "
                "sums over modes; give a larger modes_up_to"
            )
        cases: dict[str, CaseResult] = {MODES: modes}
        for name, excitation in self.cases.items():
            self._check_reach(name, excitation, modes)
            self._check_bounded(name, excitation, modes)
            cases[name] = self._respond(name, excitation, modes)
        notes = [*found.notes, *_adrift(modes), *self._captured(modes)]
        if self.prestress is not None and self.cases:
            notes.append(
                f"stress and displacement of {', '.join(self.cases)} are those of the vibration about case "
                f"{self.prestress!r}; what that case brings itself comes on top"
            )
        return VibrationResult(modes.model, cases, tuple(notes))

    def _check_bounded(self, name: str, excitation: Excitation, modes: ModalCase) -> None:
        """Raise where a sweep crosses a resonance that nothing damps: its amplitude has no bound."""
        if excitation.kind != "harmonic" or self.damping is None or _damps_itself(self.model):
            return
        if any(getattr(one, "frequencies", None) is not None for one in excitation.inputs):
            return  # at given frequencies alone
        low, high = excitation.band  # type: ignore[attr-defined]
        f = modes.frequencies
        hit = f[(f >= low) & (f <= high) & (self.damping.ratio(f) == 0.0)]
        if len(hit):
            raise ModelError(
                f"case {name!r}: nothing damps the resonance at {show(float(hit[0]), 'frequency')}, and "
                "the sweep crosses it; state damping='1.5 %'"
            )

    def _respond(self, name: str, excitation: Excitation, modes: ModalCase) -> CaseResult:
        """The answer to one excitation, from the modes that all share."""
        from designtwin import analysis

        solve = getattr(analysis, _ANALYSES[excitation.kind])
        options = {"duration": self.duration} if excitation.kind == "transient" else {}
        answer: CaseResult = solve(
            self.model, excitation, name=name, modes=modes, damping=self.damping, **options
        )
        return answer

    def _check_reach(self, name: str, excitation: Excitation, modes: ModalCase) -> None:
        """Raise where the band of an excitation goes on beyond the modes that were counted."""
        band = _swept(excitation)
        if band is not None and modes.complete_to < float(band[1]) * (1.0 - 1e-9):
            known, last, enough = (
                show(f, "frequency")
                for f in (modes.complete_to, float(band[1]), _BEYOND["excitation"] * float(band[1]))
            )
            raise ModelError(
                f"case {name!r} excites up to {last}, and the modes asked for ({self.count}) end at {known}: "
                f"resonances between would be missed; give modes_up_to='{enough}' or a larger count"
            )

    def _captured(self, modes: ModalCase) -> Iterator[str]:
        """A note for each direction in which the base moves and modes hold too little of the mass."""
        moved: dict[tuple[float, ...], list[str]] = {}
        for name, excitation in self.cases.items():
            for one in excitation.inputs:
                if one.is_base:
                    moved.setdefault(tuple(one.direction), []).append(name)
        for direction, names in moved.items():
            along = np.asarray(direction, np.float64)
            whole = float(along**2 @ modes.whole[:3])
            taking_part = modes.participation[:, :3] @ along
            share = float(taking_part @ taking_part) / whole if whole > 0.0 else 1.0
            if share < _CAPTURED:
                held = show(share, "share", digits=2)
                many = "mode has" if len(modes) == 1 else f"{len(modes)} modes have"
                yield (
                    f"{', '.join(dict.fromkeys(names))}: the {many} {held} of the mass along "
                    f"{_direction(along)}; the rest answers as if at rest"
                )


def _adrift(modes: ModalCase) -> Iterator[str]:
    """A note where supports leave rigid motions free: meant, or one that was forgotten."""
    if modes.n_rigid:
        yield (
            f"supports leave {modes.n_rigid} rigid motion{'s' * (modes.n_rigid > 1)} free; frequencies are "
            "counted without"
            + (", and the pieces of the mesh are not all joined" if modes.n_rigid > 6 else "")
        )


def _swept(excitation: Any) -> tuple[float, float] | None:
    """The band, Hz, in which every resonance answers; None of shocks and of response spectra.

    Beyond their rigid range spectra drive modes like the base alone, which a static answer takes in.
    """
    return excitation.band if excitation.kind in ("random", "harmonic") else None


def _direction(along: Any) -> str:
    for axis, name in enumerate("xyz"):
        if abs(along[axis]) == 1.0:
            return name
    return "(" + ", ".join(f"{one:.3g}" for one in along) + ")"


def _damps_itself(model: Any) -> bool:
    """Whether the model states damping of its own: dampers, or loss factors of materials."""
    return any(isinstance(item, Damper) for item in model.supports) or model.cell_loss_factor() is not None


@dataclass(frozen=True, eq=False)
class BucklingTest(PrototypeTest):
    """How much loads may grow until the part buckles, in all load cases; see `PrototypeTest`.

    Parameters
    ----------
    count : int
        Buckling modes looked for in each case.
    dead : str, optional
        The load case that acts in full however much the others grow: own weight, a bolt's tension.
    """

    count: int = 5
    dead: str | None = None

    kind: ClassVar[str] = "buckling test"
    physics: ClassVar[str] = "buckling"
    loads: ClassVar[str] = "forces, pressures or prescribed displacements"
    example: ClassVar[str] = "buckling_factor() >= 3"

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1:
            raise ModelError(f"count is {self.count!r}; how many buckling modes are wanted, 1 or more?")
        super().__post_init__()
        known = self._answered()
        if self.dead is not None and self.dead not in known:
            hint = did_you_mean(str(self.dead), known) or f"; there are: {', '.join(known)}"
            raise ModelError(f"dead={self.dead!r} is no load case{hint}")

    def _cases(self) -> list[str]:
        return [name for name, case in self.model.cases.items() if case.is_static and name != self.dead]

    def _depends(self) -> dict[str, Any]:
        asked = [r.quantity for r in self.requirements if isinstance(r.quantity, BucklingFactor)]
        stated = all(one.loads == "as stated" for one in asked)
        named = [one.case for one in asked if one.case is not None]
        every = not asked or len(named) < len(asked)
        return {
            "which": "positive" if stated else "both", "case": None if every else list(dict.fromkeys(named)),
        }  # fmt: skip

    def _solve(self, *, keep: bool = False) -> Any:
        from designtwin.analysis.buckling import solve_buckling

        return solve_buckling(
            self.model, count=self.count, dead=self.dead, solver=self.solver, keep=keep, **self._depends()
        )
