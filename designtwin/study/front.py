"""The front between two quantities: designs that no other beats in both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import EvaluationFailed, StudyError
from designtwin.requirements import Quantity
from designtwin.study.evaluate import OBJECTIVE
from designtwin.study.search import Budget, Search, optimize
from designtwin.study.store import Evaluation, Gradient
from designtwin.study.tables import printed
from designtwin.study.uncertainty import RobustFormulation, at_sigma
from designtwin.study.variables import Variable
from designtwin.typing import FloatArray
from designtwin.units import show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from designtwin.study.study import Study

_OTHER = 1e-2
"""What the other quantity counts at an end of the front: of equal designs the one better in both."""


@dataclass(frozen=True, eq=False)
class FrontPoint:
    """A design of the front.

    Parameters
    ----------
    values : mapping of variable to SI value
    one, other : float
        Its two quantities, SI.
    evaluation : Evaluation
    stopped : str
        Why the search for it ended.
    dominated : bool
        True where another design found is as good in both and better in one: it is not of the front.
    """

    values: Mapping[str, float]
    one: float
    other: float
    evaluation: Evaluation
    stopped: str
    dominated: bool = False


@dataclass(frozen=True, eq=False)
class Front:
    """What can be had of one quantity at which cost in the other; print or plot it.

    Parameters
    ----------
    one, other : Quantity
    points : tuple of FrontPoint
        From the best in `one` to the best in `other`; dominated ones are marked.
    evaluations : tuple of Evaluation
        All designs analyzed on the way.
    variables : mapping of name to Variable
    stopped : str
        Why there are fewer points than were asked for, "" where there are not.
    study : Study
    """

    one: Quantity
    other: Quantity
    points: tuple[FrontPoint, ...]
    evaluations: tuple[Evaluation, ...]
    variables: Mapping[str, Variable]
    stopped: str
    study: Study

    @property
    def best(self) -> tuple[FrontPoint, ...]:
        """The points that are not dominated."""
        return tuple(p for p in self.points if not p.dominated)

    @property
    def knee(self) -> FrontPoint | None:
        """The point farthest from the line between the ends, where little of one begins to cost much.

        None where the front is straight, bulges to the wrong side, or has no inside.

        Source: Das, Struct. Optim. 18 (1999) 107.
        """
        best = self.best
        if len(best) < 3:
            return None
        f = np.array([[signs(self.one) * p.one, signs(self.other) * p.other] for p in best])
        low, span = f.min(axis=0), np.ptp(f, axis=0)
        if (span == 0.0).any():
            return None
        depth = 1.0 - ((f - low) / span).sum(axis=1)
        i = int(np.argmax(depth))
        return best[i] if depth[i] > 0.02 else None

    def model_of(self, point: FrontPoint) -> Any:
        """The model of a point, to look at or to test again."""
        return self.study.model_of(point.values)

    def plot(self, **options: Any) -> Any:
        """Picture of the front; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_front(self, **options)

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in (self.one.label, self.other.label, *self.variables):
            table.add_column(name, justify="right")
        table.add_column("")
        for p in self.points:
            note = "dominated" if p.dominated else "knee" if p is self.knee else ""
            table.add_row(
                show(p.one, self.one.dimension), show(p.other, self.other.dimension),
                *(self.variables[n].text(v) for n, v in p.values.items()), Text(note),
            )  # fmt: skip
        at = f"; requirements hold {self.study.sigma_told}" if self.study.scatter else ""
        lines = [Text(f"{len(self.best)} designs of the front, {len(self.evaluations)} analyses{at}")]
        return Group(*lines, table, *([Text(self.stopped)] if self.stopped else []))

    def __str__(self) -> str:
        return printed(self)


def signs(quantity: Quantity) -> float:
    """1 where a quantity is wanted small, -1 where it is wanted large, as what governs by its smallest."""
    return 1.0 if quantity.largest_governs else -1.0


class _Both(RobustFormulation):
    """The two quantities beside the constraints of a study, normalized between the ends of the front.

    Parameters
    ----------
    ends : float64[2, 2]
        Of the two ends (rows) the two quantities, signed to be wanted small.
    weights : (float, float)
        Of the normalized quantities in what is minimized.
    share : float, optional
        Where on the line between the ends, from 0 to 1; without it there is no normal constraint.
    """

    def __init__(
        self, search: Search, first: Evaluation, tolerance: float, sign: FloatArray, ends: FloatArray,
        weights: Sequence[float], share: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(search, first, tolerance)
        self.labels = (OBJECTIVE, search.study.goals[0].label)
        self.low, self.width = ends.min(axis=0), np.ptp(ends, axis=0)
        self.sign, self.weights, self.share = sign, np.asarray(weights, np.float64), share
        if share is not None:
            self.names = (*self.names, "place on the front")

    def normalized(self, e: Evaluation) -> FloatArray:
        """The two quantities, 0 at their best and 1 at the other end, float64[2]."""
        seen = np.array([self.number(e, label) for label in self.labels])
        if not np.isfinite(seen).all():
            raise EvaluationFailed(f"{self.labels[1]} is {seen[1]}: it has no place on a front")
        return np.asarray((self.sign * seen - self.low) / self.width)

    def functions(self, e: Evaluation) -> tuple[float, FloatArray]:
        """See `Formulation.functions`."""
        slacks = super().functions(e)[1]
        if self.share is not None:
            slacks = np.append(slacks, self.beyond(e))
        return self.aim(e), slacks

    def aim(self, e: Evaluation) -> float:
        """What is minimized."""
        return float(self.weights @ self.normalized(e))

    def beyond(self, e: Evaluation) -> float:
        """How far a design is on the wrong side of its place on the front."""
        n = self.normalized(e)
        return -np.inf if self.share is None else float(n[0] - n[1] - (2.0 * self.share - 1.0))

    def gradients(self, e: Evaluation, found: Gradient) -> tuple[FloatArray, FloatArray]:
        """See `Formulation.gradients`."""
        dg = super().gradients(e, found)[1]
        dn = np.array([self._seen_slopes(e, found, label) for label in self.labels])
        dn *= (self.sign / self.width)[:, None]
        if self.share is not None:
            dg = np.vstack([dg, dn[0] - dn[1]])
        return self.weights @ dn, dg

    def __call__(self, e: Evaluation) -> _Both:
        return self


def _pair(e: Evaluation, other: str) -> FloatArray:
    assert e.objective is not None
    return np.array([e.objective, e.goals[other]])


def pareto(
    study: Study, one: Quantity, other: Quantity, *, points: int, budget: Budget, tolerance: float,
    method: str, gradients: str, workers: int | None,
) -> Front:  # fmt: skip
    """See `Study.pareto`."""
    for quantity in (one, other):
        if not isinstance(quantity, Quantity):
            raise StudyError(f"pareto wants two quantities, as mass() and yield_margin(); got {quantity!r}")
    if one.content_key() == other.content_key():
        raise StudyError(f"pareto wants two different quantities, and both are {one.label}")
    if isinstance(points, bool) or not isinstance(points, int) or not 3 <= points <= 1000:
        raise StudyError(f"points={points!r}: a front has 3 or more")
    store_of = study.store
    if store_of is not None:
        key = hashlib.sha256(f"{one.content_hash()} {other.content_hash()}".encode()).hexdigest()[:10]
        store_of = Path(store_of) / f"pareto-{key}"
    both = replace(study, minimize=one, goals=(other,), store=store_of)
    store = both.open_store()
    try:
        search = Search(both, store, budget, gradients=gradients, workers=workers)
        return _front(search, points, tolerance, method)
    finally:
        store.close()


def _front(search: Search, points: int, tolerance: float, method: str) -> Front:
    study = search.study
    one, other = study.minimize, study.goals[0]
    sign = np.array([signs(one), signs(other)])
    start = {name: v.start for name, v in study.variables.items()}

    def sought(values: Mapping[str, float], **how: Any) -> tuple[_Both, str]:
        made: list[_Both] = []

        def make(first: Evaluation) -> _Both:
            size = np.abs(_pair(first, other.label))
            if not np.isfinite(size).all():
                raise StudyError(f"{other.label} is {size[1]} at the start: it has no place on a front")
            size[size == 0.0] = 1.0
            # Before the ends are known each quantity is in units of itself at the start.
            ends = how.get("ends", np.array([[0.0, 0.0], size]))
            made.append(_Both(search, first, tolerance, sign, ends, how["weights"], how.get("share")))
            return made[0]

        outcome = optimize(search, values, make, method=method, tolerance=tolerance)
        if not made:
            raise StudyError(f"no end of the front was found: {outcome.stopped}")
        return made[0], outcome.stopped

    found: list[FrontPoint] = []
    for weights in ((1.0, _OTHER), (_OTHER, 1.0)):
        form, stopped = sought(start, weights=weights)
        end = _least(search, form, tolerance)
        if end is None:
            raise StudyError(f"no end of the front was found, as no design met all requirements: {stopped}")
        found.append(_point(end, other, stopped))
    ends = sign * np.array([[p.one, p.other] for p in found])
    if (np.ptp(ends, axis=0) <= 1e-9 * np.abs(ends).max(axis=0)).any():
        found, why = found[:1], f"one design is best in both {one.label} and {other.label}: there is no front"
        return _told(search, one, other, found, why)
    inside: list[FrontPoint] = []
    why = ""
    for j in range(1, points - 1):
        share = j / (points - 1)
        made = _Both(search, found[0].evaluation, tolerance, sign, ends, (0.0, 1.0), share)
        begin = _least(search, made, tolerance)
        values = found[0].values if begin is None else begin.values
        _, stopped = sought(values, weights=(0.0, 1.0), share=share, ends=ends)
        best = _least(search, made, tolerance)
        if best is None:
            where = f"at {100.0 * share:.0f} % between the ends"
            why = f"{why}; " * bool(why) + f"nothing was found {where}: {stopped}"
            continue
        inside.append(_point(best, other, stopped))
        if search.ended:
            why = f"{len(inside) + 2} of {points} points: {stopped}"
            break
    return _told(search, one, other, [found[0], *inside, found[1]], why)


def _least(search: Search, form: _Both, tolerance: float) -> Evaluation | None:
    """Of the designs that meet all, at their sigma, the one that is best as a formulation has it."""
    best, least = None, np.inf
    for e in at_sigma(search):
        if e.failure or e.objective is None or e.worst_slack < 0.0 or e.purpose != "design":
            continue
        if not np.isfinite(e.goals[form.labels[1]]):
            continue
        if form.beyond(e) <= tolerance and form.aim(e) < least:
            best, least = e, form.aim(e)
    return best


def _point(e: Evaluation, other: Quantity, stopped: str) -> FrontPoint:
    assert e.objective is not None
    return FrontPoint(dict(e.values), e.objective, e.goals[other.label], e, stopped)


def _told(search: Search, one: Quantity, other: Quantity, points: list[FrontPoint], why: str) -> Front:
    f = np.array([[signs(one) * p.one, signs(other) * p.other] for p in points])
    beaten = [bool(((f <= f[i]).all(axis=1) & (f < f[i]).any(axis=1)).any()) for i in range(len(points))]
    unique: dict[tuple[float, ...], FrontPoint] = {}
    for p, dominated in zip(points, beaten, strict=True):
        unique.setdefault(tuple(p.values.values()), replace(p, dominated=dominated))
    ordered = sorted(unique.values(), key=lambda p: signs(one) * p.one)
    return Front(
        one=one, other=other, points=tuple(ordered), evaluations=tuple(at_sigma(search)),
        variables=dict(search.study.variables), stopped=why, study=search.study,
    )  # fmt: skip
