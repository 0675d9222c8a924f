"""Virtual prototype tests: a model and its requirements in, a verdict out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from designtwin.criteria.verdict import Verdict
from designtwin.errors import ModelError, RequirementError
from designtwin.model.model import Model
from designtwin.progress import track
from designtwin.prototype.refine import WAYS, Budget, error_by_cell, hinted, refined_until_told
from designtwin.requirements import Quantity, Requirement, TimeTo
from designtwin.results.transient import TransientCase
from designtwin.typing import FloatArray
from designtwin.units import show_time, to_si

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
    example: ClassVar[str] = "mass() <= '2 kg'"
    others: ClassVar[dict[str, str]] = {
        "static": "StrengthTest", "thermal": "ThermalTest", "vibration": "VibrationTest",
        "buckling": "BucklingTest", "life": "LifeTest",
    }  # fmt: skip

    def __post_init__(self) -> None:
        if not isinstance(self.model, Model):
            raise ModelError(f"{type(self).__name__}: the first argument is a Model, got {self.model!r}")
        if self.solver is not None and not hasattr(self.solver, "factorize"):
            raise ModelError(
                f"{type(self).__name__}: solver={self.solver!r} is none; Direct() is one, or MultigridCG()"
            )
        given = self.requirements
        if isinstance(given, Requirement | Quantity) or not isinstance(given, Sequence):
            given = [given]  # type: ignore[list-item]
        if not given:
            raise RequirementError(
                f"a {self.kind} without requirements decides nothing; give at least one, e.g. {self.example}"
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
            requirement.quantity.check_case(self._answered())
            requirement.quantity.check(self.model)

    def _check(self, number: int, requirement: Any) -> None:
        if isinstance(requirement, Quantity):
            raise RequirementError(
                f"requirement {number}, {requirement.label}, has no limit; compare it with one, "
                f"e.g. {self.example}"
            )
        if isinstance(requirement, bool):
            raise RequirementError(
                f"requirement {number} is {requirement}: == and != compare descriptions; write <= or >= "
                f"between a quantity and a limit, e.g. {self.example}"
            )
        if not isinstance(requirement, Requirement):
            raise RequirementError(
                f"requirement {number} is a {type(requirement).__name__}; write a comparison, "
                f"e.g. {self.example}"
            )
        needs = requirement.quantity.read_from
        if self.physics not in needs and "model" not in needs:
            fits = " or a ".join(self.others.get(one, f"{one} analysis") for one in needs)
            raise RequirementError(
                f"requirement {number}, {requirement}, needs a {' or '.join(needs)} analysis, which a "
                f"{type(self).__name__} does not run; put it into a {fits}"
            )

    def _cases(self) -> list[str]:
        """Load cases this test applies."""
        raise NotImplementedError

    def _answered(self) -> list[str]:
        """Names of cases that requirements may ask for."""
        return list(dict.fromkeys([*self.model.cases, *self.model.combinations]))

    def _solve(self, *, keep: bool = False) -> Any:
        raise NotImplementedError

    def solve(self, *, keep: bool = False) -> Any:
        """The result of the analysis, not judged yet; see `judged`.

        Parameters
        ----------
        keep : bool
            Whether it holds on to factors or levels, so that `designtwin.sensitivities` costs no set-up.
        """
        return self._solve(keep=keep)

    def run(
        self, *, refine: str | None = None, max_unknowns: int = 500_000, max_time: Any = "5 min",
        max_rounds: int = 6,
    ) -> Verdict:  # fmt: skip
        """Solve the model and judge every requirement.

        Parameters
        ----------
        refine : "auto" or "uniform", optional
            Solve again on finer meshes until every requirement can be told and it is known whether a peak of
            stress has a bound, or the budget ends: "auto" refines where requirements are left open (all cells
            where the mesh holds other than triangles and tetrahedra), "uniform" halves every cell. The given
            mesh alone unless said.
        max_unknowns : int
            No mesh of more unknowns.
        max_time : time
            No round that would end later, as far as can be foreseen.
        max_rounds : int
            No more meshes than this beyond the given one.

        Returns
        -------
        Verdict
            True in a condition only when every requirement passes. With ``refine`` its ``rounds`` are told,
            and a note says what ended them.

        Raises
        ------
        SingularSystemError, ConvergenceError, MissingPropertyError
            If the analysis has no answer; a verdict never stands on half of one.
        ModelError
            If the test cannot refine its mesh; the message says why.
        """
        for requirement in self.requirements:
            requirement.check_alone()
        if refine is None:
            return self._run_once()
        if refine not in WAYS:
            raise ModelError(f"refine={refine!r}; it may be {' or '.join(map(repr, WAYS))}")
        why = self._cannot_refine()
        if why:
            raise ModelError(f"{type(self).__name__}: refine={refine!r} is not possible: {why}")
        budget = Budget.of(max_unknowns, max_time, max_rounds)
        return refined_until_told(self, refine, budget)

    def _cannot_refine(self) -> str:
        """Why the test cannot be run on finer meshes, in words; "" where it can."""
        return ""

    def _error_by_cell(self, result: Any, case: str) -> FloatArray | None:
        """Share of each cell in the energy of the error of a case; None where it is not known by cells."""
        return error_by_cell(result, case)

    def _run_once(self) -> Verdict:
        """Solve and judge on the given mesh."""
        start = time.perf_counter()
        with track(f"{self.kind} {self.name}".rstrip(), total=2) as progress:
            progress.step("solve")
            result = self._solve()
            progress.step("judge")
            verdict = self.judged(result)
        return replace(verdict, seconds=time.perf_counter() - start)

    def judged(self, result: Any, *, hints: bool = True) -> Verdict:
        """Judge every requirement on a result of this test's own analysis; nothing is solved.

        With ``hints`` a word is said on peaks that may have no bound.
        """
        rows = [requirement.judge(result) for requirement in self.requirements]
        rows, doubts = hinted(rows, result) if hints else (rows, [])
        return Verdict(
            rows=tuple(rows),
            result=result,
            test=self.kind,
            name=self.name or self.model.name,
            notes=(*result.notes, *_doubts(result), *doubts),
        )

    def _depends(self) -> Any:
        """What of the requirements the analysis itself depends on, plain data; of most nothing."""
        return None


@dataclass(frozen=True, eq=False)
class StrengthTest(PrototypeTest):
    """Static strength and stiffness in all load cases; see `PrototypeTest`."""

    kind: ClassVar[str] = "strength test"
    physics: ClassVar[str] = "static"
    loads: ClassVar[str] = "forces, pressures or prescribed displacements"
    example: ClassVar[str] = "yield_margin() >= 1.5"

    def _cases(self) -> list[str]:
        return [name for name, case in self.model.cases.items() if case.is_static]

    def _solve(self, *, keep: bool = False) -> Any:
        from designtwin.analysis import solve_static

        return solve_static(self.model, solver=self.solver, keep=keep)


@dataclass(frozen=True, eq=False)
class ThermalTest(PrototypeTest):
    """Temperatures in all load cases, steady or over time; see `PrototypeTest`.

    With a duration every requirement must hold at every instant, and the worst one is said.

    Parameters
    ----------
    duration : time, optional
        How long, such as "20 min"; steady unless given. What follows is of a test over time alone.
    initial : temperature, field, or a thermal case
        At the start, such as "23 degC"; required.
    method : str or number
        "BDF2", "Crank-Nicolson", "backward Euler", or theta from 0.5 to 1.
    tolerance : temperature difference, optional
        Error that all steps in time together may make; see `solve_transient`.
    step, max_step : time, optional
        A fixed step; the largest step.
    times : sequence of times
        Instants to be hit exactly.
    store : path, optional
        Folder of instants and checkpoints: an interrupted test goes on from there.
    """

    duration: Any = None
    initial: Any = None
    method: str | float = "BDF2"
    tolerance: Any = None
    step: Any = None
    max_step: Any = None
    times: Sequence[Any] = ()
    store: str | Path | None = None

    kind: ClassVar[str] = "thermal test"
    physics: ClassVar[str] = "thermal"
    loads: ClassVar[str] = "heat or given temperatures"
    example: ClassVar[str] = "temperature() <= '95 degC'"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.duration is None:
            stray = [
                name
                for name, usual in _OVER_TIME.items()
                if (given := getattr(self, name)) is not usual
                and not (isinstance(given, str) and given == usual)
            ]
            if stray:
                raise ModelError(
                    f"ThermalTest: {' and '.join(f'{name}=' for name in stray)} belong to a test over time; "
                    "give duration='20 min' too, or leave them out for a steady one"
                )
            for requirement in self.requirements:
                self._check_steady(requirement)
            return
        end = to_si(self.duration, "time", name="duration")
        if not isinstance(end, float) or end <= 0.0:
            raise ModelError(f"duration is {self.duration!r}; one time above zero is wanted, as '20 min'")
        if self.initial is None:
            raise ModelError(
                "ThermalTest: a test over time needs the temperature at its start: initial='23 degC', a "
                "field, or a thermal case"
            )
        for requirement in self.requirements:
            when = getattr(requirement.quantity, "time", None)
            if when is not None and when > end:
                raise RequirementError(
                    f"{requirement} is asked after the end of the test, {show_time(end)}; give a longer "
                    "duration"
                )

    def _check_steady(self, requirement: Requirement) -> None:
        quantity = requirement.quantity
        if getattr(quantity, "time", None) is None and not isinstance(quantity, TimeTo):
            return
        raise RequirementError(
            f"{requirement} is a question of time, and this test is steady; give "
            "ThermalTest(..., duration='20 min', initial='23 degC')"
        )

    def _cases(self) -> list[str]:
        return [
            name for name, case in self.model.cases.items() if case.is_thermal or self.model.heat_supports
        ]

    def _cannot_refine(self) -> str:
        return "" if self.duration is None else "a test over time runs on one mesh; refine a steady one"

    def _solve(self, *, keep: bool = False) -> Any:
        from designtwin import analysis

        if self.duration is None:
            return analysis.solve_thermal(self.model, solver=self.solver, keep=keep)
        return analysis.solve_transient(
            self.model, duration=self.duration, initial=self.initial, method=self.method,
            tolerance=self.tolerance, step=self.step, max_step=self.max_step, times=self.times,
            store=self.store, solver=self.solver, keep=keep,
        )  # fmt: skip


_OVER_TIME: dict[str, Any] = {
    "initial": None, "method": "BDF2", "tolerance": None, "step": None, "max_step": None, "times": (),
    "store": None,
}  # fmt: skip
"""Options of a test over time alone, and what they are unless given."""


def _doubts(result: Any) -> list[str]:
    """What in the numbers themselves should make a reader careful."""
    notes = []
    for name in result.cases:
        case = result[name]
        # Over time what the equations leave open is part of the error in time, and is in every interval; so
        # is what an iteration for modes leaves.
        linear = result.physics in ("static", "thermal") and not isinstance(case, TransientCase)
        if linear and abs(case.residual) > _RESIDUAL:
            notes.append(
                f"case {name}: the equations hold only to {abs(case.residual):.1e}; try solver=Direct()"
            )
        notes += [f"case {name}: {note}" for note in case.info.notes]
    return list(dict.fromkeys(notes))
