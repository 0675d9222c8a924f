"""The one door: choose a method, run it, tell what was found."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from designtwin.errors import EvaluationFailed, OptimizationError, did_you_mean
from designtwin.optimize import discrete, gradient
from designtwin.optimize.conflict import Conflict, conflict, restore
from designtwin.optimize.evolution import cma
from designtwin.optimize.extras import has
from designtwin.optimize.problem import Found, Iterate, Problem, Stop
from designtwin.optimize.run import Run
from designtwin.optimize.surrogate import ego
from designtwin.typing import FloatArray


class Choice(NamedTuple):
    """A method and the reason it was chosen, in words."""

    method: str
    why: str


METHODS: dict[str, Callable[[Run], tuple[str, bool]]] = {
    **gradient.METHODS,
    **discrete.METHODS,
    "ego": ego,
    "cma": cma,
}
"""What `minimize` can use, by name."""

_ALL_OF_THEM = 64
"""Combinations up to which all are simply tried."""
_ALIKE = 1e-3
"""Share of the objective within which two searches ended at the same optimum, or at one as good."""
_DEAR = 10
"""Variables up to which a statistical model pays."""


def check_method(method: str) -> None:
    """Whether there is such a method.

    Raises
    ------
    OptimizationError
        If there is none.
    """
    if method != "auto" and method not in METHODS:
        raise OptimizationError(
            f"there is no method {method!r}{did_you_mean(str(method), METHODS)}; "
            f"there are {', '.join(METHODS)} and auto"
        )


def choose(problem: Problem, method: str = "auto") -> Choice:
    """The method for a problem, and why.

    Raises
    ------
    OptimizationError
        If there is no such method, or it cannot do what the problem asks.
    """
    check_method(method)
    if method == "auto":
        return _chosen(problem)
    if method in (*gradient.METHODS, "branch") and problem.gradients is None:
        raise OptimizationError(
            f"method={method!r} wants gradients, which this problem has not; use 'ego' or 'cma'"
        )
    if method == "cma" and np.count_nonzero(problem.high > problem.low) == 1:
        raise OptimizationError("method='cma' wants two variables at least; use 'ego' for one")
    if method not in discrete.METHODS and problem.discrete:
        raise OptimizationError(
            f"method={method!r} takes any value between bounds, but some variables are allowed only some; "
            f"use {', '.join(discrete.METHODS)} or auto"
        )
    if method in discrete.METHODS and not problem.discrete:
        raise OptimizationError(
            f"method={method!r} is for variables that are allowed only some values; here all are"
        )
    if method == "branch" and not problem.between:
        raise OptimizationError(
            "method='branch' evaluates between allowed values, which this problem cannot; use 'neighbors'"
        )
    return Choice(method, "asked for")


def _variables(n: int) -> str:
    return f"{n} variable{'' if n == 1 else 's'}"


def _chosen(problem: Problem) -> Choice:
    n = int(np.count_nonzero(problem.high > problem.low))
    if problem.discrete:
        allowed = problem.allowed or ()
        count = math.prod(len(values) for values in allowed if values is not None)
        only = all(
            v is not None or low == high
            for v, low, high in zip(allowed, problem.low, problem.high, strict=True)
        )
        if only and count <= _ALL_OF_THEM:
            return Choice(
                "enumerate", f"all variables are discrete, with {count} combinations: all are tried"
            )
        if problem.gradients is not None and problem.between:
            return Choice(
                "branch",
                f"discrete variables with {count} combinations, gradients, and values in between "
                f"can be evaluated",
            )
        return Choice(
            "neighbors",
            f"discrete variables with {count} combinations and no slopes between them: steps to neighbors",
        )
    if problem.gradients is not None:
        if n <= gradient.FEW:
            return Choice(
                "sqp",
                f"gradients and {_variables(n)}, no more than {gradient.FEW}: sequential quadratic "
                "programming in a trust region needs fewest evaluations",
            )
        return Choice(
            "mma", f"gradients and {_variables(n)}, more than {gradient.FEW}: MMA holds no matrix of them"
        )
    if n <= _DEAR and has("smt"):
        return Choice(
            "ego", f"no gradients and {_variables(n)}, no more than {_DEAR}: a statistical model (kriging)"
        )
    if n > 1 and has("cma"):
        why = f"more than {_DEAR}" if n > _DEAR else "and smt for a statistical model is not installed"
        return Choice("cma", f"no gradients and {_variables(n)}, {why}: CMA-ES")
    raise OptimizationError(
        "a problem without gradients needs an optional package: pip install 'designtwin[surrogate]' "
        "(few variables) or 'designtwin[global]' (two or more)"
    )


def minimize(
    problem: Problem,
    *,
    method: str = "auto",
    tolerance: float = 1e-4,
    feasibility: float = 1e-6,
    max_iterations: int = 200,
    max_evaluations: int = 10_000,
    callback: Callable[[Iterate], None] | None = None,
    starts: int = 1,
) -> Found:
    """Search for least f with g <= 0 between bounds.

    The same problem gives the same evaluations in the same order: a search that was interrupted goes on by
    being run again with functions that remember.

    Parameters
    ----------
    problem : Problem
    method : str
        "auto", with gradients "sqp", "slsqp", "trust-constr", "mma", "gcmma" or "oc", without "ego" (extra
        `surrogate`) or "cma" (extra `global`), for allowed values "enumerate", "branch" or "neighbors".
    tolerance : float
        First-order optimality at which the search ends, over variables scaled to their ranges; a search also
        ends where f stands still, to a tenth of it, over three steps.
    feasibility : float
        A constraint up to here counts as met.
    max_iterations, max_evaluations : int
    callback : callable (Iterate) -> None, optional
        Told every step.
    starts : int
        Searches in all: from x0, and from points that fill the box evenly (Halton's sequence). A search that
        goes step by step finds a local optimum; the best of several is told with how many ended there. They
        share the evaluations allowed.

    Returns
    -------
    Found

    Raises
    ------
    OptimizationError
        If the method cannot do what is asked.
    EvaluationFailed
        If the very start cannot be evaluated.
    """
    if not 0.0 < tolerance < 1.0 or not 0.0 <= feasibility < 1.0:
        raise OptimizationError(
            f"tolerance and feasibility are numbers between 0 and 1, got {tolerance!r} and {feasibility!r}"
        )
    counts = {"max_iterations": max_iterations, "max_evaluations": max_evaluations, "starts": starts}
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise OptimizationError(f"{name}={count!r}: a whole number of at least 1 is wanted")
    chosen = choose(problem, method)
    if starts > 1 and chosen.method not in gradient.METHODS:
        raise OptimizationError(
            f"starts={starts}: method={chosen.method!r} looks at the whole box by itself; leave starts out"
        )
    found: list[Found] = []
    failed, left = [], max_evaluations
    for x0 in _starts(problem, starts):
        run = Run(replace(problem, x0=x0), tolerance, feasibility, max_iterations, left, callback)
        try:
            one, ended = _search(run, chosen)
        except EvaluationFailed as failure:
            if starts == 1:
                raise
            failed.append(str(failure))
        else:
            found.append(one)
            if ended:  # by the budget, or by whoever counts it
                break
        left -= run.evaluations
        if left < 1:
            break
    if not found:
        raise EvaluationFailed(f"none of {len(failed)} starts could be evaluated: {failed[0]}")
    return found[0] if starts == 1 else _best_of(found, len(failed), starts)


def _starts(problem: Problem, count: int) -> Iterator[FloatArray]:
    """The start of a problem, and points that fill its box evenly."""
    yield problem.x0
    if count > 1:
        from scipy.stats import qmc

        # Not scrambled: of more starts the first are those of fewer. The first point is a corner.
        for share in qmc.Halton(problem.n, scramble=False).random(count)[1:]:
            yield problem.low + share * (problem.high - problem.low)


def _best_of(found: Sequence[Found], failed: int, asked: int) -> Found:
    """The best of several searches, with how many ended there."""
    best = min(found, key=lambda one: (0.0 if one.feasible else float(one.g.max()), one.f))
    at_best = [
        one for one in found if one.feasible == best.feasible and one.f <= best.f + _ALIKE * abs(best.f)
    ]
    words = [f"{len(at_best)} of {len(found)} starts ended within {100.0 * _ALIKE:.1f} % of it"]
    words += [f"{failed} could not be evaluated"] if failed else []
    missing = asked - len(found) - failed
    words += [f"{missing} more were not begun"] if missing else []
    return replace(
        best, stopped=f"{best.stopped}; {', '.join(words)}", starts=tuple(found),
        evaluations=sum(one.evaluations for one in found), gradients=sum(one.gradients for one in found),
        failures=sum(one.failures for one in found),
    )  # fmt: skip


def _search(run: Run, chosen: Choice) -> tuple[Found, bool]:
    """One search, and whether whoever counts evaluations ended it."""
    problem, feasibility = run.problem, run.feasibility
    found: Conflict | None = None
    stopped, converged, ended = "", False, False
    try:
        if run.n == 0:
            run.note(run.at(run.start))
            stopped, converged = "every variable is fixed by its bounds", True
        else:
            search = METHODS[chosen.method]
            stopped, converged = search(run)
            if chosen.method in gradient.METHODS and run.best is not None and not run.feasible(run.best):
                # The objective may have kept it away: is there a design that meets all constraints at all?
                restore(run, gradient.METHODS["sqp" if run.n <= gradient.FEW else "mma"])
                if run.feasible(run.best):
                    run.begin_at(run.best)
                    stopped, converged = search(run)
    except Stop as stop:
        stopped, ended = str(stop), True
    if run.best is None:
        raise EvaluationFailed(f"no design could be evaluated: {run.last_failure or stopped}")
    best = run.result(converged)
    feasible = run.feasible(best)
    if run.n and chosen.method in gradient.METHODS and not ended:
        with contextlib.suppress(EvaluationFailed, Stop):  # the end is told with its own optimality
            run.slopes(best)
    if not feasible:
        converged = False
        if run.n and chosen.method in gradient.METHODS:
            found = conflict(run, best, ask=not ended)
        if found is not None:
            stopped += f"; {found}"
        else:
            missed = [problem.constraint(int(i)) for i in np.flatnonzero(best.g > feasibility)]
            stopped += f"; no design met all constraints, the nearest one misses {', '.join(missed)}"
    answer = Found(
        x=best.x, f=best.f, g=best.g,
        multipliers=best.multipliers if best.multipliers is not None else np.full(max(run.m, 0), np.nan),
        iterations=max(0, len(run.history) - 1), evaluations=run.evaluations, gradients=run.gradients,
        failures=run.failures, stopped=stopped, converged=converged, feasible=feasible, kkt=best.kkt,
        method=chosen.method, why=chosen.why, history=tuple(run.history), conflict=found, details=run.details,
    )  # fmt: skip
    return answer, ended
