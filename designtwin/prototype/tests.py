"""Virtual prototype tests: a model and its requirements in, a verdict out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from designtwin.criteria.verdict import Verdict
from designtwin.errors import ModelError, RequirementError
from designtwin.model.model import Model
from designtwin.progress import track
from designtwin.requirements import Quantity, Requirement

if TYPE_CHECKING:
    from designtwin.solvers.solution import LinearSolver

_RESIDUAL = 1e-6
"""Residual above which the verdict carries a note; the analyses refuse what does not balance."""


@dataclass(frozen=True, eq=False)
class PrototypeTest:
    """What all tests share: the requirements are checked against the model before anything is solved.

    Parameters
    ----------
    model : Model
    requirements : sequence of Requirement
        Such as ``[yield_margin() >= 1.5, displacement("lug", "z") <= "0.4 mm"]``.
    solver : LinearSolver, optional
        Chosen by size unless given.
    name : str
        The design's name, for titles; the model's unless given.

    Raises
    ------
    RequirementError
        If one is no requirement, belongs to another test, or names what the model lacks.
    ModelError
        If the model has nothing this test could apply.
    """

    model: Model
    requirements: Sequence[Requirement]
    solver: LinearSolver | None = None
    name: str = ""

    kind: ClassVar[str] = "test"
    physics: ClassVar[str] = ""
    loads: ClassVar[str] = ""
    others: ClassVar[dict[str, str]] = {"static": "StrengthTest", "thermal": "ThermalTest"}

    def __post_init__(self) -> None:
        if not isinstance(self.model, Model):
            raise ModelError(f"{type(self).__name__}: the first argument is a Model, got {self.model!r}")
        given = self.requirements
        if isinstance(given, Requirement | Quantity) or not isinstance(given, Sequence):
            given = [given]  # type: ignore[list-item]
        if not given:
            raise RequirementError(
                f"a {self.kind} without requirements decides nothing; give at least one, e.g. {self._example}"
            )
        for number, requirement in enumerate(given, 1):
            self._check(number, requirement)
        object.__setattr__(self, "requirements", tuple(given))
        if not self._cases():
            raise ModelError(
                f"a {self.kind} needs a load case with {self.loads}; the model's cases are: "
                f"{', '.join(self.model.cases) or 'none'}"
            )
        for requirement in self.requirements:
            requirement.quantity.check(self.model)

    @property
    def _example(self) -> str:
        return "yield_margin() >= 1.5" if self.physics == "static" else "temperature() <= '95 degC'"

    def _check(self, number: int, requirement: Any) -> None:
        if isinstance(requirement, Quantity):
            raise RequirementError(
                f"requirement {number}, {requirement.label}, has no limit; compare it with one, "
                f"e.g. {self._example}"
            )
        if isinstance(requirement, bool):
            raise RequirementError(
                f"requirement {number} is {requirement}: == and != compare descriptions; write <= or >= "
                f"between a quantity and a limit, e.g. {self._example}"
            )
        if not isinstance(requirement, Requirement):
            raise RequirementError(
                f"requirement {number} is a {type(requirement).__name__}; write a comparison, "
                f"e.g. {self._example}"
            )
        needs = requirement.quantity.needs
        if needs not in (self.physics, "model"):
            fits = self.others.get(needs, f"{needs} analysis")
            raise RequirementError(
                f"requirement {number}, {requirement}, needs a {needs} analysis, which a "
                f"{type(self).__name__} does not run; put it into a {fits}"
            )

    def _cases(self) -> list[str]:
        """Load cases this test applies."""
        raise NotImplementedError

    def _solve(self) -> Any:
        raise NotImplementedError

    def run(self) -> Verdict:
        """Solve the model and judge every requirement.

        Returns
        -------
        Verdict
            True in a condition only when every requirement passes.

        Raises
        ------
        SingularSystemError, ConvergenceError, MissingPropertyError
            If the analysis has no answer; a verdict never stands on half of one.
        """
        start = time.perf_counter()
        with track(f"{self.kind} {self.name}".rstrip(), total=2) as progress:
            progress.step("solve")
            result = self._solve()
            progress.step("judge")
            rows = tuple(requirement.judge(result) for requirement in self.requirements)
        return Verdict(
            rows=rows,
            result=result,
            test=self.kind,
            name=self.name or self.model.name,
            notes=(*result.notes, *_doubts(result)),
            seconds=time.perf_counter() - start,
        )


@dataclass(frozen=True, eq=False)
class StrengthTest(PrototypeTest):
    """Static strength and stiffness in all load cases; see `PrototypeTest`."""

    kind: ClassVar[str] = "strength test"
    physics: ClassVar[str] = "static"
    loads: ClassVar[str] = "forces, pressures or prescribed displacements"

    def _cases(self) -> list[str]:
        return [name for name, case in self.model.cases.items() if case.is_static]

    def _solve(self) -> Any:
        from designtwin.analysis import solve_static

        return solve_static(self.model, solver=self.solver)


@dataclass(frozen=True, eq=False)
class ThermalTest(PrototypeTest):
    """Steady temperatures in all load cases; see `PrototypeTest`."""

    kind: ClassVar[str] = "thermal test"
    physics: ClassVar[str] = "thermal"
    loads: ClassVar[str] = "heat or given temperatures"

    def _cases(self) -> list[str]:
        return [
            name for name, case in self.model.cases.items() if case.is_thermal or self.model.heat_supports
        ]

    def _solve(self) -> Any:
        from designtwin.analysis import solve_thermal

        return solve_thermal(self.model, solver=self.solver)


def _doubts(result: Any) -> list[str]:
    """What in the numbers themselves should make a reader careful."""
    notes = []
    for name in result.cases:
        case = result[name]
        if abs(case.residual) > _RESIDUAL:
            notes.append(
                f"case {name}: the equations hold only to {abs(case.residual):.1e}; try solver=Direct()"
            )
        notes += [f"case {name}: {note}" for note in case.info.notes]
    return list(dict.fromkeys(notes))
