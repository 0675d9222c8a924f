"""What a study found: its history, the best design, the same tested again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.criteria.verdict import Verdict, overall
from designtwin.errors import StudyError
from designtwin.mesh import Mesh
from designtwin.model.model import Model
from designtwin.requirements import Quantity
from designtwin.study.store import Evaluation, Gradient
from designtwin.study.variables import Variable
from designtwin.units import show

if TYPE_CHECKING:
    from designtwin.study.study import Study
    from designtwin.study.tables import StudySensitivity


@dataclass(frozen=True, eq=False)
class History:
    """All evaluations of a study in order.

    Parameters
    ----------
    evaluations : tuple of Evaluation
    variables : mapping of name to Variable
    objective : Quantity
    gradients : tuple of Gradient
    """

    evaluations: tuple[Evaluation, ...]
    variables: Mapping[str, Variable]
    objective: Quantity
    gradients: tuple[Gradient, ...] = ()

    @property
    def designs(self) -> tuple[Evaluation, ...]:
        """The steps of the optimizer, differences for gradients left out."""
        return tuple(e for e in self.evaluations if e.purpose == "design")

    def __len__(self) -> int:
        return len(self.evaluations)

    def plot(self, **options: Any) -> Any:
        """Picture of objective and slacks over the designs; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_history(self, **options)

    @property
    def gradients_told(self) -> str:
        """Where slopes came from, in words."""
        if not self.gradients:
            return "no gradients were needed"
        ways: dict[str, list[str]] = {}
        for one in self.gradients:
            for label, way in one.how.items():
                if label not in ways.setdefault(way, []):
                    ways[way].append(label)
        reasons = {label: reason for one in self.gradients for label, reason in one.why.items()}
        words = {"adjoint": "by adjoint", "build": "of build alone", "differences": "by differences"}
        told = []
        for way in (way for way in words if way in ways):
            labels = ways[way]
            text = f"{words[way]}: {', '.join(labels)}"
            if way == "differences":
                why = dict.fromkeys(reasons[one] for one in labels if one in reasons)
                text += f" ({'; '.join(why)})" if why else ""
            told.append(text)
        return "; ".join(told)

    def __str__(self) -> str:
        lines = []
        for e in self.designs:
            values = "  ".join(f"{n} {self.variables[n].text(v)}" for n, v in e.values.items())
            if e.failure:
                lines.append(f"{e.number:4d}  {values}  failed: {e.failure}")
            else:
                goal = show(e.objective, self.objective.dimension)
                met = "meets all" if e.worst_slack >= 0 else f"worst margin {100.0 * e.worst_slack:+.1f} %"
                lines.append(f"{e.number:4d}  {values}  {goal}  {met}")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Verification:
    """The tuned design tested again, on a mesh the optimizer never saw.

    Parameters
    ----------
    verdicts : tuple of Verdict
    objective : float
        SI, on the new mesh.
    mesh : Mesh
    """

    verdicts: tuple[Verdict, ...]
    objective: float
    mesh: Mesh

    @property
    def status(self) -> str:
        """FAIL if any verdict fails, else CANNOT TELL if any cannot tell, else PASS."""
        return overall(verdict.status for verdict in self.verdicts)

    def __bool__(self) -> bool:
        return self.status == "PASS"

    def __str__(self) -> str:
        return "\n".join(str(verdict) for verdict in self.verdicts)


@dataclass(frozen=True, eq=False)
class Best:
    """What a study found.

    Parameters
    ----------
    values : mapping of variable to SI value
    objective : float
        SI.
    feasible : bool
        True where every requirement is met with the numerical error on the bad side.
    active : tuple of str
        Requirements and bounds that hold the optimum back.
    stopped : str
        Why the search ended, in words.
    history : History
    verdicts : tuple of Verdict
        Of the design on the study's own mesh.
    model : Model
    study : Study
        The study it is the answer of.
    method : str
        Which method searched, and why that one.
    conflict : tuple of str
        Requirements that cannot be met together, as far as slopes tell; none where all are met.
    verification : Verification, optional
        Of the last ``verify``.
    optimality : float
        First-order optimality where the search ended, within its tolerance of this design, over variables
        scaled to their ranges: 0 where slopes allow nothing better (`designtwin.optimize.kkt`); nan where
        none tell.
    """

    values: Mapping[str, float]
    objective: float
    feasible: bool
    active: tuple[str, ...]
    stopped: str
    history: History
    verdicts: tuple[Verdict, ...]
    model: Model
    study: Study
    method: str = ""
    conflict: tuple[str, ...] = ()
    verification: Verification | None = None
    optimality: float = float("nan")

    @property
    def status(self) -> str:
        """Joint status of the verdicts."""
        return overall(verdict.status for verdict in self.verdicts)

    def verify(self, mesh: Mesh | None = None) -> Verification:
        """Build and test the design on another mesh; an optimum is never reported untested.

        Parameters
        ----------
        mesh : Mesh, optional
            One that was meshed on its own tells most; the study's with every cell halved unless given.

        Raises
        ------
        StudyError
            If the design cannot be built or tested there.
        """
        finer = self.study.mesh.refined() if mesh is None else mesh
        model = self.study.model_of(self.values, finer)
        if mesh is None and model.mesh.n_cells == self.model.mesh.n_cells:
            raise StudyError(
                "build makes its own mesh and leaves the finer one it is given alone; "
                "verify(mesh) needs a build that takes its mesh, or a model of a finer one tested by hand"
            )
        verdicts = self.study.run_tests(model)
        found = Verification(verdicts, self.study.objective_of(model, verdicts), model.mesh)
        object.__setattr__(self, "verification", found)  # so that what is printed says it
        return found

    def report(self, path: Any, **options: Any) -> Any:
        """Write design, course and verdicts as one HTML page; see `designtwin.report`."""
        from designtwin import edge

        return edge.report(self, path, **options)

    def sensitivity(self) -> StudySensitivity:
        """How every response moves with every variable at this design; see ``Study.sensitivity``."""
        return self.study.sensitivity(self.values)

    def __str__(self) -> str:
        variables, goal = self.history.variables, self.history.objective
        start = next((e for e in self.history.designs if not e.failure), None)
        at = f" {self.study.sigma_told}" if self.study.scatter else ""
        lines = [f"best design: {'meets' if self.feasible else 'does NOT meet'} all requirements{at}"]
        for name, value in self.values.items():
            v = variables[name]
            range_ = f"between {v.text(v.low)} and {v.text(v.high)}"
            range_ += f", one of {len(v.choices)}" if v.choices else ""
            lines.append(f"  {name:<16} {v.text(value):>12}   {range_}")
        before = f"   from {show(start.objective, goal.dimension)}" if start else ""
        lines.append(f"  {goal.label:<16} {show(self.objective, goal.dimension):>12}{before}")
        lines.append(f"  held back by     {', '.join(self.active) or 'nothing'}")
        if self.conflict:
            lines.append(f"  in conflict      {', '.join(self.conflict)}")
        lines.append(f"  stopped          {self.stopped}")
        if np.isfinite(self.optimality):
            lines.append(f"  optimality       {self.optimality:.1e} first order, at the end of the search")
        failed = sum(1 for e in self.history.evaluations if e.failure)
        lines.append(
            f"  analyses         {len(self.history)}, {len(self.history.gradients)} gradients"
            + (f", {failed} failed" if failed else "")
        )
        lines += [f"  method           {self.method}"] if self.method else []
        lines.append(f"  gradients        {self.history.gradients_told}")
        if self.study.scatter:
            asked = list(self.study.requirements.values())
            if len({one.sigma for one in asked}) > 1:
                lines += [f"  must hold        {one}" for one in asked]
            lines.append("  scatter          to first order; study.robustness() checks it by samples")
        if self.verification is None:
            lines.append("  verified         not yet: verify() tests it on a mesh the search never saw")
        else:
            cells = self.verification.mesh.n_cells
            lines.append(f"  verified         {self.verification.status} on another mesh of {cells:,} cells")
        return "\n".join(lines)
