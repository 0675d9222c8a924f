"""Designs of experiments: where to look, and the table of what was found there."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import StudyError, did_you_mean
from designtwin.io.files import atomic
from designtwin.requirements import Quantity
from designtwin.study.scatter import sobol_points
from designtwin.study.store import Evaluation
from designtwin.study.variables import Variable
from designtwin.study.variants import run_variants
from designtwin.typing import BoolArray, FloatArray
from designtwin.units import from_si, show, symbol

if TYPE_CHECKING:
    from designtwin.study.study import Study

METHODS = ("sobol", "halton", "lhs", "random", "factorial")
_MOST = 100_000
_SHOWN = 12


def unit_points(n: int, dimensions: int, method: str, seed: int) -> FloatArray:
    """Points of the unit cube, float64[m, dimensions].

    Parameters
    ----------
    n : int
        Points; levels along each axis where factorial.
    method : str
        "sobol" (scrambled, powers of two are best), "halton", "lhs" (Latin hypercube of least discrepancy
        among random ones), "random" or "factorial" (every combination of levels, ends included).

    Raises
    ------
    StudyError
        If the method is unknown, n is no number of points, or there would be more than 100,000.

    Source: Owen, J. Complexity 14 (1998) 466 (Sobol); McKay, Beckman & Conover, Technometrics 21 (1979) 239
    (Latin hypercube).
    """
    if method not in METHODS:
        hint = did_you_mean(str(method), METHODS)
        raise StudyError(f"method={method!r} is unknown{hint} (known: {', '.join(METHODS)})")
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise StudyError(f"n={n!r} is no number of {'levels' if method == 'factorial' else 'designs'}")
    count = n**dimensions if method == "factorial" else n
    if count > _MOST:
        raise StudyError(
            f"{count:,} designs are more than {_MOST:,}; "
            + ("fewer levels, or method='sobol'" if method == "factorial" else "ask for fewer")
        )
    if method == "sobol":
        return sobol_points(n, dimensions, seed)
    if method == "factorial":
        levels = np.linspace(0.0, 1.0, n) if n > 1 else np.array([0.5])
        return np.stack(np.meshgrid(*[levels] * dimensions, indexing="ij"), -1).reshape(-1, dimensions)
    rng = np.random.default_rng(seed)
    if method == "random":
        return rng.random((n, dimensions))
    from scipy.stats import qmc

    if method == "halton":
        return np.asarray(qmc.Halton(dimensions, seed=rng).random(n))
    # random-cd exchanges coordinates at random; it wants two points and two axes to do so
    better = "random-cd" if n > 1 and dimensions > 1 else None
    return np.asarray(qmc.LatinHypercube(dimensions, optimization=better, seed=rng).random(n))


def designs_of(variables: Mapping[str, Variable], points: FloatArray) -> list[dict[str, float]]:
    """Designs for points of the unit cube; of a variable with choices each gets an equal share."""
    return [
        {name: _value(v, float(u)) for (name, v), u in zip(variables.items(), row, strict=True)}
        for row in points
    ]


def _value(variable: Variable, u: float) -> float:
    k = len(variable.choices)
    return variable.choices[min(int(u * k), k - 1)] if k else variable.value(u)


@dataclass(frozen=True, eq=False)
class Variants:
    """Evaluations of designs that were asked for, failed ones included.

    Parameters
    ----------
    study : Study
    evaluations : tuple of Evaluation
        In the order of the designs.
    """

    study: Study
    evaluations: tuple[Evaluation, ...]

    def __len__(self) -> int:
        return len(self.evaluations)

    @property
    def variables(self) -> dict[str, Variable]:
        """What was varied, by name."""
        return dict(self.study.variables)

    @property
    def objective(self) -> Quantity:
        return self.study.minimize

    @property
    def values(self) -> FloatArray:
        """Designs float64[n, k], SI, in the order of `variables`."""
        names = list(self.variables)
        return np.array([[e.values[name] for name in names] for e in self.evaluations]).reshape(
            -1, len(names)
        )

    @property
    def failed(self) -> tuple[Evaluation, ...]:
        """Designs that could not be analyzed; each says why in ``failure``."""
        return tuple(e for e in self.evaluations if e.failure)

    @property
    def responses(self) -> dict[str, FloatArray]:
        """Objective, readings of requirements, goals: float64[n] in SI by name, nan where a design failed."""
        done = [e for e in self.evaluations if not e.failure]
        labels = list(dict.fromkeys(label for e in done for label in (*e.readings, *e.goals)))
        out = {self.objective.label: _column(e.objective for e in self.evaluations)}
        for label in labels:
            out[label] = _column({**e.readings, **e.goals}.get(label) for e in self.evaluations)
        return out

    @property
    def slacks(self) -> dict[str, FloatArray]:
        """Scaled margin of every requirement in every case: float64[n] by name, nan where a design failed."""
        labels = dict.fromkeys(label for e in self.evaluations for label in e.slacks)
        return {label: _column(e.slacks.get(label) for e in self.evaluations) for label in labels}

    @property
    def feasible(self) -> BoolArray:
        """Whether each design meets every requirement, bool[n]."""
        return np.array([e.worst_slack >= 0.0 for e in self.evaluations])

    @property
    def best(self) -> Evaluation | None:
        """The design of least objective among those that meet all requirements; None where none does."""
        good = [e for e in self.evaluations if e.worst_slack >= 0.0 and e.objective is not None]
        return min(good, key=lambda e: e.objective or 0.0, default=None)

    def retry(self, *, workers: int | None = None, cluster: Any = None) -> Variants:
        """The same with the failed designs tried again."""
        designs = [e.values for e in self.evaluations]
        return Variants(
            self.study, tuple(run_variants(self.study, designs, workers=workers, cluster=cluster))
        )

    def save(self, path: str | Path) -> None:
        """Write the table as CSV in display units: variables, responses, the worst margin, failures.

        Raises
        ------
        StudyError
            If the file cannot be written.
        """
        variables, responses = self.variables, self.responses
        dimensions = self.dimensions()
        head = [_titled(name, v.dimension) for name, v in variables.items()]
        head += [_titled(label, dimensions.get(label, "dimensionless")) for label in responses]
        text = io.StringIO(newline="")
        table = csv.writer(text)
        table.writerow([*head, "worst slack", "failure"])
        for i, e in enumerate(self.evaluations):
            row = [repr(float(from_si(e.values[n], v.dimension))) for n, v in variables.items()]
            for label, column in responses.items():
                number = float(from_si(column[i], dimensions.get(label, "dimensionless")))
                row.append("" if math.isnan(number) else repr(number))
            table.writerow([*row, "" if e.failure else repr(e.worst_slack), e.failure])
        with atomic(path, error=StudyError) as file:
            file.write(text.getvalue().encode())

    def dimensions(self) -> dict[str, str]:
        """Dimensions of the responses, by name."""
        out = {q.label: q.dimension for q in (self.objective, *self.study.goals)}
        start = self.study.model_of({name: v.start for name, v in self.variables.items()})
        for test in self.study.tests_of(start):
            out.update({str(r): r.quantity.dimension for r in test.requirements})
        return out

    def plot(self, kind: str = "scatter", **options: Any) -> Any:
        """Picture of the table: ``"scatter"`` or ``"parallel"``; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_variants(self, kind, **options)

    def __str__(self) -> str:
        failed = len(self.failed)
        lines = [
            f"{len(self)} variants: {int(self.feasible.sum())} meet all requirements"
            + (f", {failed} failed" if failed else "")
        ]
        shown = sorted(
            self.evaluations, key=lambda e: (e.worst_slack < 0.0, e.objective is None, e.objective or 0.0)
        )
        for e in shown[:_SHOWN]:
            text = "  ".join(f"{n} {v.text(e.values[n])}" for n, v in self.variables.items())
            if e.failure:
                lines.append(f"  {text}  failed: {e.failure}")
            else:
                met = "meets all" if e.worst_slack >= 0.0 else f"worst margin {100.0 * e.worst_slack:+.1f} %"
                lines.append(f"  {text}  {show(e.objective, self.objective.dimension)}  {met}")
        if len(self) > _SHOWN:
            lines.append(f"  and {len(self) - _SHOWN} more")
        return "\n".join(lines)


def _column(numbers: Any) -> FloatArray:
    return np.array([math.nan if number is None else number for number in numbers], np.float64)


def _titled(name: str, dimension: str) -> str:
    unit = symbol(dimension)
    return f"{name} [{unit}]" if unit else name


def variants(
    study: Study, designs: Sequence[Mapping[str, Any]], *, workers: int | None = None, cluster: Any = None
) -> Variants:
    """Analyze designs side by side (``Study.variants``)."""
    return Variants(
        study, tuple(run_variants(study, _read_designs(study, designs), workers=workers, cluster=cluster))
    )


def sample(
    study: Study,
    n: int,
    *,
    method: str = "sobol",
    seed: int = 0,
    workers: int | None = None,
    cluster: Any = None,
) -> Variants:
    """Analyze designs spread over the ranges of the variables (``Study.sample``)."""
    designs = designs_of(study.variables, unit_points(n, len(study.variables), method, seed))
    return Variants(study, tuple(run_variants(study, designs, workers=workers, cluster=cluster)))


def _read_designs(study: Study, designs: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    from designtwin.units import to_si

    if isinstance(designs, Mapping) or not isinstance(designs, Sequence) or not designs:
        raise StudyError("designs must be a list of at least one {'thickness': '4 mm', ...}")
    out = []
    for number, design in enumerate(designs):
        if not isinstance(design, Mapping):
            raise StudyError(f"design {number} is {design!r}; a design is {{'thickness': '4 mm', ...}}")
        for name in design:
            if name not in study.variables:
                hint = did_you_mean(str(name), study.variables)
                raise StudyError(f"design {number} has {name!r}, which is no variable{hint}")
        missing = [name for name in study.variables if name not in design]
        if missing:
            raise StudyError(f"design {number} lacks {', '.join(map(repr, missing))}")
        out.append(
            {
                name: float(to_si(design[name], v.dimension, name=f"{name} of design {number}"))
                for name, v in study.variables.items()
            }
        )
    return out
