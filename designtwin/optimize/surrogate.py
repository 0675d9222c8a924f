"""Search on a statistical model of few, dear evaluations: efficient global optimization by kriging."""

from __future__ import annotations

from typing import Any

import numpy as np

from designtwin.errors import OptimizationError
from designtwin.optimize.extras import load
from designtwin.optimize.run import Point, Run
from designtwin.typing import FloatArray

_SEED = 1
_CLOUD = 4096
_WIDTHS = (0.1, 0.03, 0.01, 0.003, 0.001)
"""Clouds of candidates around the best design, in ranges."""
_TUNED_EVERY = 5
"""Evaluations after which correlation lengths are tuned anew."""
_NEAR = 0.1
_AROUND_FAILURES = 0.05
"""A design this near to one that failed is expected to fail too, in ranges."""


def ego(run: Run) -> tuple[str, bool]:
    """Efficient global optimization: evaluates where improvement is most to be expected; needs no gradients.

    Objective and constraints are each modeled by kriging, which tells its own error; the next design has the
    largest expected improvement times the probability that all constraints hold.

    Source: Jones, Schonlau & Welch, Efficient global optimization of expensive black-box functions, J.
    Global Optim. 13 (1998) 455-492; Schonlau, Welch & Jones (1998) for constraints.
    """
    from scipy.stats import norm, qmc

    models = load("smt.surrogate_models", method="ego")
    n = run.n
    if n > 20:
        raise OptimizationError(f"method='ego' is for 20 variables at most, got {n}; use 'cma' or gradients")
    first = qmc.LatinHypercube(n, seed=np.random.default_rng(_SEED)).random(max(4, 2 * n + 1))
    done: list[Point] = []
    failed: list[FloatArray] = []

    def take(points: FloatArray) -> None:
        for t, outcome in zip(points, run.at_all(points), strict=True):
            if isinstance(outcome, Point):
                done.append(outcome)
            else:
                failed.append(np.array(t))

    take(np.vstack([run.start, first]))
    if not done:
        return f"none of the first {len(first) + 1} designs could be evaluated: {run.last_failure}", False
    run.note(done[0])
    space = qmc.Sobol(n, seed=np.random.default_rng(_SEED + 1)).random(_CLOUD)
    rng = np.random.default_rng(_SEED + 2)
    blind: list[tuple[float, float]] = []  # error of f foretold, in shares of its spread and in its own sigma
    lengths: dict[int, FloatArray] = {}
    quiet = 0
    while len(run.history) <= run.max_iterations:
        t = np.array([p.t for p in done])
        best = run.best if run.best is not None and run.feasible(run.best) else None
        center = (best or min(done, key=run.rank)).t
        around = [center + w * rng.standard_normal((_CLOUD // 8, n)) for w in _WIDTHS]
        candidates = np.clip(np.vstack([space, *around]), 0.0, 1.0)
        tune = len(done) % _TUNED_EVERY == 0 or not lengths
        f_model = _kriging(models, t, np.array([p.f for p in done]), lengths, 0, tune)
        mean, sigma = _foretold(f_model, candidates)
        likely = np.ones(len(candidates))
        for i in range(run.m):
            values = _squeezed(np.array([p.g[i] for p in done]))
            g_mean, g_sigma = _foretold(_kriging(models, t, values, lengths, i + 1, tune), candidates)
            likely *= norm.cdf((_squeezed(run.feasibility) - g_mean) / g_sigma)
        for bad in failed:
            likely *= 1.0 - np.exp(-np.sum(((candidates - bad) / _AROUND_FAILURES) ** 2, axis=1))
        if best is not None:
            z = (best.f - mean) / sigma
            hoped = ((best.f - mean) * norm.cdf(z) + sigma * norm.pdf(z)) * likely
        else:
            hoped = likely
        # One that was evaluated has nothing left to tell.
        hoped[(np.abs(candidates[:, None] - t).max(axis=2) < 1e-7).any(axis=1)] = -1.0
        pick = int(np.argmax(hoped))
        if best is not None:
            quiet = quiet + 1 if hoped[pick] < run.tolerance * max(abs(best.f), 1e-12) else 0
            if quiet >= 3:
                return (
                    f"no more than {hoped[pick]:.1e} of improvement is expected anywhere, three "
                    f"times in a row"
                ), True
        before = len(done)
        take(candidates[pick : pick + 1])
        if len(done) > before:
            spread = float(np.ptp([p.f for p in done])) or 1.0
            off = float(done[-1].f - mean[pick])
            blind.append((off / spread, off / float(sigma[pick])))
        recent = np.array(blind[-20:]).reshape(-1, 2)
        run.details |= {
            "foretold_error": float(np.sqrt(np.mean(recent[:, 0] ** 2))) if len(recent) else float("nan"),
            "within_two_sigma": float(np.mean(np.abs(recent[:, 1]) < 2.0)) if len(recent) else float("nan"),
            "expected_improvement": float(hoped[pick]) if best is not None else float("nan"),
        }
        run.note(run.best or done[-1])
    return f"the {run.max_iterations} designs allowed were proposed", False


def _squeezed(g: FloatArray | float) -> FloatArray:
    """g as it is near zero, where it decides, and its logarithm far from it, which would swamp a model."""
    return np.asarray(np.arcsinh(np.asarray(g) / _NEAR))


def _kriging(
    models: Any, t: FloatArray, values: FloatArray, lengths: dict[int, FloatArray], which: int, tune: bool
) -> tuple[Any, float, float]:
    """A kriging model of values over the unit box, with their middle and spread.

    Its correlation lengths are those of the last time unless they are to be tuned.
    """
    middle, spread = float(np.mean(values)), float(np.std(values))
    if spread < 1e-14 * (1.0 + abs(middle)):
        return None, middle, 0.0
    start = lengths.get(which)
    model = models.KRG(
        print_global=False, theta0=list(np.full(t.shape[1], 0.1) if start is None else start),
        theta_bounds=[1e-4, 50.0], n_start=2, nugget=1e-9, seed=_SEED,
        hyper_opt="TNC" if tune or start is None else "NoOp",
    )  # fmt: skip
    model.set_training_values(t, ((values - middle) / spread)[:, None])
    model.train()
    lengths[which] = np.clip(np.ravel(model.optimal_theta), 1.01e-4, 49.0)
    return model, middle, spread


def _foretold(kriging: tuple[Any, float, float], t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard error at points."""
    model, middle, spread = kriging
    if model is None:
        return np.full(len(t), middle), np.full(len(t), 1e-12)
    mean = middle + spread * np.ravel(model.predict_values(t))
    variance = np.maximum(np.ravel(model.predict_variances(t)), 1e-16)
    return mean, spread * np.sqrt(variance)
