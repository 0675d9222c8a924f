"""Derivatives of what a study looks at: adjoints chained with differences of ``build``, or differences."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import DesignTwinError, NoAdjointError, StudyError, TopologyError
from designtwin.model.model import Model
from designtwin.requirements import Quantity
from designtwin.study.evaluate import (
    FAILURES,
    OBJECTIVE,
    Constraint,
    Standin,
    Tested,
    label_of,
    patiently,
    slack_slope,
    source_of,
)
from designtwin.study.store import Evaluation, Gradient
from designtwin.typing import FloatArray

if TYPE_CHECKING:
    from designtwin.study.study import Study

WAYS = ("auto", "adjoint", "differences")
CLIPPED = 3.0
"""A slack beyond this does not steer the search: neither it nor its slope is looked at."""
_STEP = 2e-3
"""Step of a difference of whole analyses, share of a variable's range: above the noise of an analysis."""
_BUILD_STEP = 1e-3
"""Step of a central difference of ``build``, share of the range."""
_BUILD_STEP_AT_BOUND = 1e-5
"""The same where only one side is within bounds: the error goes with it, and not with its square."""


class Stuck(Exception):
    """No design beside this one could be evaluated."""


@dataclass(frozen=True, eq=False)
class Response:
    """What has a slope: the objective, a goal, or a constraint.

    Parameters
    ----------
    label : str
    quantity : Quantity
    source : Model or result
        What it is read from.
    test : int
        Whose result, -1 for the model.
    value : float
        SI; of a constraint its slack.
    constraint : Constraint, optional
    """

    label: str
    quantity: Quantity
    source: Any
    test: int
    value: float
    constraint: Constraint | None = None

    @property
    def largest(self) -> bool:
        """Which extreme over cases and time is meant."""
        if self.constraint is not None:
            return self.constraint.requirement.is_upper
        return self.quantity.largest_governs

    def slope(self, smooth: float) -> float:
        """d response / d smooth number, as a `Standin` made here has it."""
        if self.constraint is None:
            return Standin.of(self.quantity, smooth, self.value).factor
        requirement = self.constraint.requirement
        end = requirement.bad_end(self.constraint.value)
        return slack_slope(requirement, end) * Standin.of(self.quantity, smooth, end).factor


def responses_of(study: Study, one: Tested, *, clipped: bool = True) -> list[Response]:
    """What a gradient is wanted of; of constraints only those that steer unless told otherwise."""
    out = []
    for label, quantity in [(OBJECTIVE, study.minimize), *((q.label, q) for q in study.goals)]:
        source = source_of(quantity, one.model, one.results, label)
        test = next((i for i, result in enumerate(one.results) if result is source), -1)
        e = one.evaluation
        value = e.objective if label == OBJECTIVE else e.goals[label]
        assert value is not None
        out.append(Response(label, quantity, source, test, value))
    for constraint in one.constraints:
        if clipped and constraint.slack >= CLIPPED:
            continue
        quantity = constraint.requirement.quantity
        of_model = quantity.needs == "model"
        # a quantity of the model is read off the model that is tested, which tests may have changed
        source = one.tests[constraint.test].model if of_model else one.results[constraint.test]  # type: ignore[attr-defined]
        test = constraint.test
        out.append(Response(constraint.label, quantity, source, test, constraint.slack, constraint))
    return out


def gradient(
    study: Study, one: Tested, way: str, evaluate: Callable[[list[dict[str, float]]], list[Evaluation]]
) -> Gradient:
    """Derivatives of all responses of a tested design with respect to all variables.

    Parameters
    ----------
    way : "auto", "adjoint" or "differences"
    evaluate : callable
        Analyses designs, for what has no adjoint.

    Raises
    ------
    StudyError
        If adjoints are demanded and a response has none; what has none is named.
    Stuck
        If no design beside this one can be built, or evaluated.
    """
    start = time.perf_counter()
    slopes: dict[str, FloatArray] = {}
    how: dict[str, str] = {}
    why: dict[str, str] = {}
    wanted = responses_of(study, one)
    if way != "differences" or all(r.quantity.needs == "model" for r in wanted):
        by_adjoint = Chain(study, one)
        for group in _grouped(wanted):
            try:
                found = by_adjoint.slopes(group)
            except Stuck:
                raise
            except FAILURES as error:
                if isinstance(error, StudyError) and not isinstance(error, TopologyError):
                    raise
                reason = f"{type(error).__name__}: {error}"
                why.update({r.label: reason for r in group})
                continue
            slopes.update(found)
            how.update({r.label: "build" if r.quantity.needs == "model" else "adjoint" for r in group})
    else:
        why = {r.label: "differences were asked for" for r in wanted}
    if why and way == "adjoint":
        raise StudyError(
            "gradients='adjoint', and "
            + "; ".join(f"{label} has none ({reason})" for label, reason in why.items())
            + "; gradients='auto' takes differences for these"
        )
    beside: list[dict[str, float]] = []
    if why:

        def noted(designs: list[dict[str, float]]) -> list[Evaluation]:
            beside.extend(designs)
            return evaluate(designs)

        open_ = [r for r in wanted if r.label in why]
        slopes.update(_differences(study, one.values, open_, noted))
        how.update({r.label: "differences" for r in open_})
    names = list(study.variables)
    return Gradient(
        values=dict(one.values),
        slopes={r.label: dict(zip(names, (float(s) for s in slopes[r.label]), strict=True)) for r in wanted},
        how={r.label: how[r.label] for r in wanted},
        why=why,
        asked=way,
        beside=tuple(beside),
        seconds=time.perf_counter() - start,
    )


def _grouped(wanted: Sequence[Response]) -> Iterator[list[Response]]:
    """Responses that one call answers: of one quantity and one result, in all load cases."""
    groups: dict[tuple[str, int, bool, bool], list[Response]] = {}
    for one in wanted:
        key = (one.quantity.content_key(), one.test, one.largest, one.constraint is None)
        groups.setdefault(key, []).append(one)
    yield from groups.values()


class Chain:
    """How the model's arrays move with the variables, found once; adjoints then cost a product each."""

    def __init__(self, study: Study, one: Tested) -> None:
        self.study, self.one = study, one
        self._sides: list[_Sides] | None = None
        self._directions: dict[int, Any] = {}

    def slopes(self, group: Sequence[Response]) -> dict[str, FloatArray]:
        """Slopes of responses of one quantity and one source, float64[k] each."""
        if group[0].quantity.needs == "model":
            return {r.label: self._of_constraint(r) for r in group}
        # A requirement is judged by the end of the interval, which is worst where that is.
        found = self._adjoints(group[0], ends=group[0].constraint is not None)
        out = {}
        for response in group:
            # Of an objective the case that is worst as the smooth numbers have it.
            fit = [s for s in found if self._label(response, s.case) == response.label]
            if not fit:
                raise NoAdjointError(f"no adjoint belongs to {response.label}")
            one = (max if response.largest else min)(fit, key=lambda s: s.value)
            out[response.label] = response.slope(one.value) * self._along(one, response)
        return out

    def smooth_slopes(self, response: Response) -> dict[str | None, FloatArray]:
        """Slopes of the smooth numbers themselves by load case, float64[k] each."""
        if response.quantity.needs == "model":
            return {None: self._of_model(response)}
        return {one.case: self._along(one, response) for one in self._adjoints(response)}

    @staticmethod
    def _adjoints(response: Response, *, ends: bool = False) -> list[Any]:
        from designtwin.analysis.adjoint import sensitivities

        return sensitivities(response.source, response.quantity, largest=response.largest, ends=ends)

    def _along(self, one: Any, response: Response) -> FloatArray:
        slope = np.asarray(one.along(self.directions(response.test)), np.float64)
        if not np.isfinite(slope).all():
            raise DesignTwinError(f"the adjoint of {response.label} is not a number")
        return slope

    @staticmethod
    def _label(response: Response, case: str | None) -> str:
        if response.constraint is None:
            return response.label
        return label_of(response.constraint.requirement, case, response.source)

    def _of_model(self, response: Response) -> FloatArray:
        """Of a quantity that is read off the model, as the mass is: no analysis, no adjoint."""
        out = np.empty(len(self.sides))
        for i, side in enumerate(self.sides):
            above, below = (
                float(response.quantity.evaluate(self._tested_model(m, response.test)).value)
                for m in (side.above, side.below)
            )
            out[i] = (above - below) / side.span
        return out

    def _of_constraint(self, response: Response) -> FloatArray:
        slope = self._of_model(response)
        if response.constraint is None:
            return slope
        requirement = response.constraint.requirement
        return slack_slope(requirement, requirement.bad_end(response.constraint.value)) * slope

    def directions(self, test: int) -> Any:
        """How the model of a test moves with the variables."""
        from designtwin.assembly.directions import Directions

        mine = self.one.tests[test].model  # type: ignore[attr-defined]
        # Tests of one and the same model share what moves.
        key = -1 if mine is self.one.model else test
        if key not in self._directions:
            neighbors = [
                (self._tested_model(side.above, key), self._tested_model(side.below, key), side.span)
                for side in self.sides
            ]
            self._directions[key] = Directions.of(mine, neighbors)
        return self._directions[key]

    def _tested_model(self, model: Model, test: int) -> Model:
        if test < 0 or self.one.tests[test].model is self.one.model:  # type: ignore[attr-defined]
            return model
        return self.study.tests_of(model)[test].model  # type: ignore[attr-defined, no-any-return]

    @property
    def sides(self) -> list[_Sides]:
        """The models beside this one, by variable."""
        if self._sides is None:
            self._sides = [
                self._beside(name) if v.between else _Sides(self.one.model, self.one.model, 1.0)
                for name, v in self.study.variables.items()
            ]
        return self._sides

    def _beside(self, name: str) -> _Sides:
        variable, values = self.study.variables[name], self.one.values
        at = variable.scaled(values[name])
        room = min(at, 1.0 - at)
        if room > _BUILD_STEP_AT_BOUND:
            h = min(_BUILD_STEP, room)
            pairs = [p for s in (h, h / 3.0) for p in ((at + s, at - s), (at + s, at), (at, at - s))]
        else:
            h = _BUILD_STEP_AT_BOUND if at < 0.5 else -_BUILD_STEP_AT_BOUND
            pairs = [(at + s * h, at) for s in (1.0, 3.0, 10.0)]
        failure: Exception | None = None
        for one, other in pairs:
            low, high = sorted((one, other))
            try:
                above, below = (self._built(name, variable.inside(s), s == at) for s in (high, low))
            except StudyError:
                raise
            except FAILURES as error:
                failure = error
                continue
            return _Sides(above, below, variable.inside(high) - variable.inside(low))
        raise Stuck(
            f"no design beside this one could be evaluated: {type(failure).__name__}: {failure}"
        ) from failure

    def _built(self, name: str, value: float, same: bool) -> Model:
        if same:
            return self.one.model
        return patiently(lambda: self.study.model_of({**self.one.values, name: value}))


@dataclass(frozen=True, eq=False)
class _Sides:
    """Models above and below in one variable, and how far apart, SI."""

    above: Model
    below: Model
    span: float


def _differences(
    study: Study,
    values: Mapping[str, float],
    wanted: Sequence[Response],
    evaluate: Callable[[list[dict[str, float]]], list[Evaluation]],
) -> dict[str, FloatArray]:
    """Differences of whole analyses, one-sided, on the side that can be evaluated."""
    names = list(study.variables)
    sides: list[list[float]] = []
    for name in names:
        variable = study.variables[name]
        at = variable.scaled(values[name])
        steps = [s for h in (_STEP, _STEP / 2.0) for s in ((h, -h) if at + h <= 1.0 else (-h, h))]
        # What cannot be varied a little has no slope.
        near = [variable.inside(at + s) for s in steps if 0.0 <= at + s <= 1.0]
        sides.append(near if variable.between else [])
    found: list[Evaluation | None] = [None] * len(names)
    failures: list[str] = []
    for k in range(4):  # the other side, then nearer, where the first failed
        open_ = [i for i in range(len(names)) if found[i] is None and len(sides[i]) > k]
        beside = evaluate([{**values, names[i]: sides[i][k]} for i in open_])
        for i, tried in zip(open_, beside, strict=True):
            if tried.failure:
                failures.append(tried.failure)
            else:
                found[i] = tried
    # Slopes of zero would look like an optimum.
    for name, e in zip(names, found, strict=True):
        if e is None and study.variables[name].between:
            raise Stuck(f"no design beside this one could be evaluated: {failures[0]} (in {name})")
    out = {r.label: np.zeros(len(names)) for r in wanted}
    for i, side in enumerate(found):
        for r in wanted:
            there = None if side is None else _reading(side, r.label)
            if side is not None and there is not None:
                out[r.label][i] = (there - r.value) / (side.values[names[i]] - values[names[i]])
    return out


def _reading(e: Evaluation, label: str) -> float | None:
    if label == OBJECTIVE:
        return e.objective
    return e.goals[label] if label in e.goals else e.slacks.get(label)
