"""The one door: choose a method, run it, tell what was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from designtwin.errors import EvaluationFailed, OptimizationError, did_you_mean
from designtwin.optimize import gradient
from designtwin.optimize.problem import Found, Iterate, Problem, Stop
from designtwin.optimize.run import Run

FEW = 200
"""Variables up to which the dense matrices of SQP cost nothing beside an analysis."""


class Choice(NamedTuple):
    """A method and the reason it was chosen, in words."""

    method: str
    why: str


def choose(problem: Problem, method: str = "auto") -> Choice:
    """The method for a problem, and why.

    Raises
    ------
    OptimizationError
        If there is no such method, or it cannot do what the problem asks.
    """
    if method != "auto":
        if method not in METHODS:
            raise OptimizationError(
                f"there is no method {method!r}{did_you_mean(method, METHODS)}; there are {', '.join(METHODS)} and auto"
            )
        if method in gradient.METHODS and problem.gradients is None:
            raise OptimizationError(f"method={method!r} wants gradients, which the problem has not")
        return Choice(method, "asked for")
    if problem.gradients is None:
        raise OptimizationError("a problem without gradients is not solved yet")
    if problem.n <= FEW:
        return Choice(
            "slsqp", f"gradients and {problem.n} variables, no more than {FEW}: SLSQP needs fewest analyses"
        )
    return Choice("mma", f"gradients and {problem.n} variables, more than {FEW}: MMA holds no matrix of them")


METHODS: dict[str, Callable[[Run], tuple[str, bool]]] = {**gradient.METHODS}


def minimize(
    problem: Problem,
    *,
    method: str = "auto",
    tolerance: float = 1e-4,
    feasibility: float = 1e-6,
    max_iterations: int = 200,
    max_evaluations: int = 10_000,
    callback: Callable[[Iterate], None] | None = None,
) -> Found:
    """Search for least f with g <= 0 between bounds.

    The same problem gives the same evaluations in the same order: a search that was interrupted goes on by being
    run again with functions that remember.

    Parameters
    ----------
    problem : Problem
    method : str
        "auto", "sqp", "slsqp", "trust-constr", "mma", "gcmma" or "oc".
    tolerance : float
        First-order optimality at which the search ends, over variables scaled to their ranges; a search also ends
        where f stands still, to a tenth of it, over three steps.
    feasibility : float
        A constraint up to here counts as met.
    max_iterations, max_evaluations : int
    callback : callable (Iterate) -> None, optional
        Told every step.

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
    chosen = choose(problem, method)
    run = Run(problem, tolerance, feasibility, max_iterations, max_evaluations, callback)
    stopped, converged = "", False
    try:
        run.at(run.start)
        if run.n == 0:
            stopped, converged = "every variable is fixed by its bounds", True
        else:
            stopped, converged = METHODS[chosen.method](run)
    except Stop as stop:
        stopped = str(stop)
    if run.best is None:
        raise EvaluationFailed(f"no design could be evaluated: {run.last_failure or stopped}")
    best = run.result(converged)
    return Found(
        x=best.x, f=best.f, g=best.g,
        multipliers=best.multipliers if best.multipliers is not None else np.full(max(run.m, 0), np.nan),
        iterations=max(0, len(run.history) - 1), evaluations=run.evaluations, gradients=run.gradients,
        failures=run.failures, stopped=stopped, converged=converged, feasible=run.feasible(best), kkt=best.kkt,
        method=chosen.method, why=chosen.why, history=tuple(run.history),
    )  # fmt: skip
