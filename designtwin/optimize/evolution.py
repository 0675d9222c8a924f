"""Populations: CMA-ES for one objective, NSGA-II for a front of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from designtwin.errors import EvaluationFailed, OptimizationError
from designtwin.optimize.extras import load
from designtwin.optimize.run import Point, Run
from designtwin.typing import FloatArray

_SEED = 1
_AGAIN = 5
"""Times others are drawn in place of designs that fail, before these rank last."""


def cma(run: Run) -> tuple[str, bool]:
    """CMA-ES (Hansen & Ostermeier 2001), constraints by an augmented Lagrangian; needs no gradients.

    Others are drawn in place of designs that fail; where those fail too, they rank behind all of their
    generation.
    """
    cma = load("cma", method="cma")
    random = np.random.default_rng(_SEED)  # of its own: numpy's global one belongs to the user
    start = run.at(run.start)
    run.note(start)
    known: dict[bytes, Point] = {}

    def values(t: FloatArray) -> Point:
        return known[np.asarray(t).tobytes()]

    strategy = cma.CMAEvolutionStrategy(
        run.start.copy(),
        0.25,
        {"bounds": [0.0, 1.0], "randn": lambda *shape: random.standard_normal(shape), "seed": np.nan,
         "verbose": -9, "tolx": 1e-12, "tolfun": 0.0, "tolfunhist": 0.0,
         "tolflatfitness": 10**6, "tolstagnation": 10**6},
    )  # fmt: skip
    inside = 0.1 * run.tolerance  # multipliers come to rest on either side: this one is met
    lagrangian = (
        cma.ConstrainedFitnessAL(
            lambda t: values(t).f, lambda t: values(t).g + inside, logging=0, archives=False
        )
        if run.m
        else None
    )
    barren = 0
    while len(run.history) <= run.max_iterations:
        asked = strategy.ask()
        outcomes = run.at_all(np.array(asked))
        for _ in range(_AGAIN):  # others in place of those that fail
            failed = [i for i, outcome in enumerate(outcomes) if not isinstance(outcome, Point)]
            if not failed:
                break
            others = strategy.ask(len(failed))
            for i, t, outcome in zip(failed, others, run.at_all(np.array(others)), strict=True):
                asked[i], outcomes[i] = t, outcome
        fitness = np.full(len(asked), np.nan)
        for i, (t, outcome) in enumerate(zip(asked, outcomes, strict=True)):
            if isinstance(outcome, Point):
                known[np.asarray(t).tobytes()] = outcome
                fitness[i] = lagrangian(t) if lagrangian is not None else outcome.f
        bad = np.isnan(fitness)
        if bad.all():
            barren += 1
            if barren >= 20:
                return f"no design of 20 generations could be evaluated: {run.last_failure}", False
            continue
        # Only the order counts: behind the worst, by how far they were tried from the middle.
        behind = np.linalg.norm(np.array(asked)[bad] - strategy.mean, axis=1)
        fitness[bad] = np.nanmax(fitness) + 1.0 + behind
        strategy.tell(asked, list(fitness))
        if lagrangian is not None:
            lagrangian.update(strategy)
        known = {}
        assert run.best is not None
        run.note(run.best)
        spread = float(strategy.sigma * np.sqrt(strategy.dC.max()))
        if spread < 0.1 * run.tolerance:
            return f"the population drew together to {spread:.1e} of the ranges", run.feasible(run.best)
    return f"the {run.max_iterations} generations allowed were made", False


@dataclass(frozen=True, eq=False)
class Front:
    """Designs of which none is better than another in every objective.

    Parameters
    ----------
    x : float64[k, n]
        In order of the first objective.
    f : float64[k, p]
    g : float64[k, m]
        All <= 0.
    evaluations, failures : int
    stopped : str
    """

    x: FloatArray
    f: FloatArray
    g: FloatArray
    evaluations: int
    failures: int
    stopped: str


def front(
    functions: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    low: FloatArray,
    high: FloatArray,
    *,
    population: int = 40,
    generations: int = 60,
    allowed: Sequence[FloatArray | None] | None = None,
    many: Callable[[FloatArray], Sequence[tuple[FloatArray, FloatArray] | EvaluationFailed]] | None = None,
    seed: int = _SEED,
) -> Front:
    """The front of several objectives by NSGA-II (Deb et al. 2002), without gradients.

    Parameters
    ----------
    functions : callable (x) -> (f float64[p], g float64[m])
        All f are minimized; g <= 0 is met. May raise ``EvaluationFailed``: such a design ranks last.
    low, high : float64[n]
    population, generations : int
    allowed : sequence of float64[k] or None, optional
        Values each variable may take.
    many : callable (points float64[k, n]) -> sequence of (f, g) or EvaluationFailed, optional
        Several evaluations at once.
    seed : int
        The same seed gives the same front.

    Raises
    ------
    OptimizationError
        If pymoo is not installed, or sizes do not fit.
    EvaluationFailed
        If no design could be evaluated.

    Source: Deb et al., A fast and elitist multiobjective genetic algorithm: NSGA-II, IEEE Trans. Evol.
    Comput. 6 (2002) 182-197.
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    if low.shape != high.shape or low.ndim != 1 or not (low <= high).all():
        raise OptimizationError("a front wants bounds low <= high of one length")
    if allowed is not None and len(allowed) != len(low):
        raise OptimizationError(f"allowed wants one entry per variable, got {len(allowed)} for {len(low)}")
    if population < 4 or generations < 1:
        raise OptimizationError(
            f"a front wants 4 designs and 1 generation at least, got {population}, {generations}"
        )
    algorithms = load("pymoo.algorithms.moo.nsga2", method="nsga2")
    problems, door = load("pymoo.core.problem", method="nsga2"), load("pymoo.optimize", method="nsga2")
    known: dict[bytes, tuple[FloatArray, FloatArray] | EvaluationFailed] = {}

    def snapped(points: FloatArray) -> FloatArray:
        out = np.clip(points, low, high)
        for j, values in enumerate(allowed or ()):
            if values is not None:
                levels = np.asarray(values, dtype=np.float64)
                out[:, j] = levels[np.argmin(np.abs(out[:, j, None] - levels), axis=1)]
        return out

    def one(x: FloatArray) -> tuple[FloatArray, FloatArray] | EvaluationFailed:
        try:
            return functions(x)
        except EvaluationFailed as failure:
            return failure

    def evaluate(points: FloatArray) -> list[tuple[FloatArray, FloatArray] | EvaluationFailed]:
        new = list({x.tobytes(): x for x in points if x.tobytes() not in known}.values())
        outcomes = many(np.array(new)) if many is not None and new else [one(x) for x in new]
        for x, outcome in zip(new, outcomes, strict=True):
            if not isinstance(outcome, EvaluationFailed):
                f, g = (np.asarray(v, dtype=np.float64).ravel() for v in outcome)
                sound = bool(np.isfinite(f).all() and np.isfinite(g).all())
                outcome = (f, g) if sound else EvaluationFailed("objectives or constraints are not finite")
            known[x.tobytes()] = outcome
        return [known[x.tobytes()] for x in points]

    first = snapped(low + np.random.default_rng(seed).random((population, len(low))) * (high - low))
    outcomes = evaluate(first)
    sound = next((o for o in outcomes if not isinstance(o, EvaluationFailed)), None)
    if sound is None:
        raise EvaluationFailed(f"no design of the first {population} could be evaluated: {outcomes[0]}")
    p, m = len(sound[0]), len(sound[1])

    class Stated(problems.Problem):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(n_var=len(low), n_obj=p, n_ieq_constr=m + 1, xl=low, xu=high)

        def _evaluate(self, x: FloatArray, out: dict[str, FloatArray], *_: object, **__: object) -> None:
            f, g = np.zeros((len(x), p)), np.full((len(x), m + 1), -1.0)
            for i, outcome in enumerate(evaluate(snapped(x))):
                if isinstance(outcome, EvaluationFailed):
                    g[i, m] = 1e12  # behind all that could be evaluated, whatever they violate
                else:
                    f[i], g[i, :m] = outcome
            out["F"], out["G"] = f, g

    algorithm = algorithms.NSGA2(pop_size=population, sampling=first)
    door.minimize(Stated(), algorithm, ("n_gen", generations), seed=seed, verbose=False)
    n = len(low)
    done = [(np.frombuffer(key)[:n], *o) for key, o in known.items() if not isinstance(o, EvaluationFailed)]
    met = [row for row in done if (row[2] <= 0.0).all()]
    values = np.array([row[1] for row in met]).reshape(-1, p)
    beaten = [((values <= f).all(axis=1) & (values < f).any(axis=1)).any() for f in values]
    best = [row for row, worse in zip(met, beaten, strict=True) if not worse]
    best.sort(key=lambda row: tuple(row[1]))
    return Front(
        x=np.array([row[0] for row in best]).reshape(-1, n),
        f=np.array([row[1] for row in best]).reshape(-1, p),
        g=np.array([row[2] for row in best]).reshape(-1, m),
        evaluations=len(known),
        failures=len(known) - len(done),
        stopped=f"{generations} generations of {population} designs were made"
        + ("" if best else "; none met all constraints"),
    )
