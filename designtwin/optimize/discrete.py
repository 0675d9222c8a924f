"""Variables that may take only some values: sheet thicknesses, bolt sizes, numbers of fins."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from designtwin.errors import EvaluationFailed, OptimizationError
from designtwin.optimize import gradient
from designtwin.optimize.problem import Problem, Stop
from designtwin.optimize.run import Point, Run
from designtwin.typing import FloatArray

Bounds = tuple[tuple[int, int], ...]
"""First and last allowed value of each discrete variable, by its place among them."""


class _Catalogue:
    """Allowed values of the variables that vary, in the unit box."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.levels: dict[int, FloatArray] = {}
        assert run.problem.allowed is not None
        for k, j in enumerate(run.free):
            values = run.problem.allowed[int(j)]
            if values is not None:
                self.levels[k] = (values - run.low[k]) / run.range[k]
        self.at = list(self.levels)
        self.continuous = [k for k in range(run.n) if k not in self.levels]

    @property
    def combinations(self) -> int:
        return math.prod(len(levels) for levels in self.levels.values())

    def place(self, t: FloatArray) -> tuple[int, ...]:
        """The allowed values nearest to t."""
        return tuple(int(np.argmin(np.abs(levels - t[k]))) for k, levels in self.levels.items())

    def point(self, t: FloatArray, place: tuple[int, ...]) -> FloatArray:
        """t with its discrete variables at a place."""
        out = t.copy()
        for k, index in zip(self.at, place, strict=True):
            out[k] = self.levels[k][index]
        return out

    def best(self, t: FloatArray, place: tuple[int, ...]) -> Point | None:
        """The best design with discrete variables at a place, from t on; None if it cannot be evaluated."""
        start = self.point(t, place)
        try:
            if not self.continuous:
                return self.run.at(start)
            low, high = np.zeros(self.run.n), np.ones(self.run.n)
            low[self.at] = high[self.at] = start[self.at]
            return _relaxed(self.run, start, low, high)
        except EvaluationFailed:
            return None


def _relaxed(run: Run, start: FloatArray, low: FloatArray, high: FloatArray) -> Point:
    """The best design of a box in which every value is taken for allowed."""
    problem = Problem(
        x0=np.clip(start, low, high),
        low=low,
        high=high,
        functions=lambda t: (lambda point: (point.f, point.g))(run.at(t)),
        gradients=lambda t: run.slopes(run.at(t)),
    )
    inner = Run(problem, run.tolerance, run.feasibility, run.max_iterations, 10**9)
    point = inner.at(inner.start)
    converged = False
    if inner.n:
        method = gradient.METHODS["sqp" if inner.n <= gradient.FEW else "mma"]
        _, converged = method(inner)
        point = inner.result(converged)
    return run.at(point.x)


def enumerate_all(run: Run) -> tuple[str, bool]:
    """Every combination of allowed values."""
    catalogue = _Catalogue(run)
    if catalogue.continuous:
        raise OptimizationError("method='enumerate' wants every variable to be discrete; use 'branch'")
    count = catalogue.combinations
    failed = 0
    for place in itertools.product(*(range(len(levels)) for levels in catalogue.levels.values())):
        try:
            run.note(run.at(catalogue.point(run.start, place)))
        except EvaluationFailed:
            failed += 1
    run.details |= {"combinations": count, "failed": failed}
    words = f"all {count} combinations were evaluated"
    return words + (f", of which {failed} failed: {run.last_failure}" if failed else ""), True


def branch(run: Run) -> tuple[str, bool]:
    """Branch and bound on relaxations in which every value between bounds is allowed (Land & Doig 1960).

    Sure to find the best combination where each relaxation finds its least value, as in convex problems.
    """
    catalogue = _Catalogue(run)
    root: Bounds = tuple((0, len(levels) - 1) for levels in catalogue.levels.values())
    order = itertools.count()
    opened: list[tuple[float, int, Bounds, FloatArray]] = []
    relaxations = 0
    seen: set[tuple[int, ...]] = set()

    def settle(t: FloatArray, bounds: Bounds) -> None:
        """Evaluate the allowed design nearest to a relaxed one."""
        place = tuple(int(np.clip(p, *b)) for p, b in zip(catalogue.place(t), bounds, strict=True))
        if place not in seen:
            seen.add(place)
            found = catalogue.best(t, place)
            if found is not None:
                run.note(found)

    def relax(bounds: Bounds, start: FloatArray) -> None:
        nonlocal relaxations
        low, high = np.zeros(run.n), np.ones(run.n)
        for k, (first, last) in zip(catalogue.at, bounds, strict=True):
            low[k], high[k] = catalogue.levels[k][first], catalogue.levels[k][last]
        relaxations += 1
        try:
            point = _relaxed(run, start, low, high)
        except EvaluationFailed:
            unknown.append(bounds)
            return
        if run.rank(point)[0] > 0.0 and bounds != root:
            return  # no design of this box meets the constraints, as far as the relaxation can tell
        settle(point.t, bounds)
        heapq.heappush(opened, (point.f, next(order), bounds, point.t))

    def least() -> float:
        return opened[0][0] if opened else np.inf

    unknown: list[Bounds] = []
    try:
        relax(root, run.start)
        while opened:
            bound, _, bounds, t = heapq.heappop(opened)
            best = run.best
            if best is not None and run.feasible(best) and bound >= best.f - run.tolerance * abs(best.f):
                break  # the others are no better: the heap is in order
            split = _split(catalogue, bounds, t)
            if split is None:
                settle(t, bounds)
                continue
            index, below = split
            for part in ((bounds[index][0], below), (below + 1, bounds[index][1])):
                relax((*bounds[:index], part, *bounds[index + 1 :]), t)
    except Stop as stop:
        run.details |= {"relaxations": relaxations, "bound": least(), "proved": False}
        raise Stop(f"{stop}; {len(opened)} parts of the search were still open") from stop
    proved = not unknown
    run.details |= {"relaxations": relaxations, "designs": len(seen), "proved": proved}
    words = f"branch and bound closed after {relaxations} relaxations and {len(seen)} allowed designs: "
    if unknown:
        words += f"{len(unknown)} parts could not be relaxed because designs failed ({run.last_failure})"
    else:
        words += (
            "no better combination exists if each relaxation found its least value, as in convex problems"
        )
    return words, proved


def _split(catalogue: _Catalogue, bounds: Bounds, t: FloatArray) -> tuple[int, int] | None:
    """The discrete variable farthest from its allowed values, and the last value of its lower part."""
    worst, split = 1e-6, None
    for index, (k, (first, last)) in enumerate(zip(catalogue.at, bounds, strict=True)):
        if first == last:
            continue
        levels = catalogue.levels[k]
        below = int(np.clip(np.searchsorted(levels, t[k], side="right") - 1, first, last - 1))
        gap = levels[below + 1] - levels[below]
        off = min(t[k] - levels[below], levels[below + 1] - t[k]) / gap
        if off > worst:
            worst, split = off, (index, below)
    if split is None:
        # All stand on allowed values of which the box holds others: it is closed by its own relaxation.
        return None
    return split


def neighbors(run: Run) -> tuple[str, bool]:
    """Step to the best of the neighboring combinations until none is better.

    Neighbors have one discrete variable one allowed value up or down, or two of them one each. Continuous
    variables are tuned for each combination.
    """
    catalogue = _Catalogue(run)
    if catalogue.continuous and run.problem.gradients is None:
        raise OptimizationError(
            "continuous variables beside discrete ones want gradients; give these, or values that are "
            "allowed for every variable"
        )
    tried: dict[tuple[int, ...], Point | None] = {}

    def at(place: tuple[int, ...], t: FloatArray) -> Point | None:
        if place not in tried:
            tried[place] = catalogue.best(t, place)
        return tried[place]

    here = catalogue.place(run.start)
    point = at(here, run.start)
    if point is None:
        raise EvaluationFailed(
            f"the allowed design nearest to the start cannot be evaluated: {run.last_failure}"
        )
    run.note(point)
    for _ in range(run.max_iterations):
        better: tuple[int, ...] | None = None
        for place in _beside(here, catalogue):
            other = at(place, point.t)
            if other is not None and _better(run, other, point):
                better, point = place, other
        if better is None:
            run.details |= {"combinations": catalogue.combinations, "tried": len(tried)}
            return (
                f"none of the neighbors of this combination is better ({len(tried)} of "
                f"{catalogue.combinations} combinations tried; a better one farther away is not ruled out)"
            ), True
        here = better
        run.note(point)
    return f"the {run.max_iterations} steps allowed were made", False


def _better(run: Run, a: Point, b: Point) -> bool:
    """Less violation, else less f, else (where f is the same) more slack, from which a next step may draw."""
    (over_a, f_a), (over_b, f_b) = run.rank(a), run.rank(b)
    same = 1e-9 * max(abs(f_a), abs(f_b))
    if over_a != over_b or abs(f_a - f_b) > same:
        return (over_a, f_a) < (over_b, f_b)
    return float(a.g.max(initial=-np.inf)) < float(b.g.max(initial=-np.inf)) - 1e-9


def _beside(place: tuple[int, ...], catalogue: _Catalogue) -> Iterator[tuple[int, ...]]:
    sizes = [len(levels) for levels in catalogue.levels.values()]
    moves = [(i, s) for i in range(len(place)) for s in (-1, 1)]
    pairs = [(a, b) for a, b in itertools.combinations(moves, 2) if a[0] != b[0]]
    for steps in itertools.chain(((m,) for m in moves), pairs):
        out = list(place)
        for i, s in steps:
            out[i] += s
        if all(0 <= out[i] < sizes[i] for i in range(len(out))):
            yield tuple(out)


METHODS: dict[str, Callable[[Run], tuple[str, bool]]] = {
    "enumerate": enumerate_all,
    "branch": branch,
    "neighbors": neighbors,
}
