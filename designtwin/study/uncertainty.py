"""Designs that hold although loads, materials and dimensions scatter.

First order: the standard deviation of a margin is what its gradient makes of the covariance of all that
scatters; an adjoint gives that gradient for any number of scattered parameters at once. Sampling tells
whether first order is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import ConvergenceError, EvaluationFailed, StudyError, did_you_mean
from designtwin.study.doe import Variants
from designtwin.study.evaluate import OBJECTIVE
from designtwin.study.gradients import CLIPPED
from designtwin.study.scatter import Joint, completed, extended
from designtwin.study.search import Budget, Formulation, Search
from designtwin.study.store import Evaluation, Gradient
from designtwin.study.variants import run_variants
from designtwin.typing import FloatArray

if TYPE_CHECKING:
    from designtwin.study.study import Study

LINEAR = 0.1
"""Share of a standard deviation that first order may miss before it is said not to hold."""
_NEAR = 0.3
"""A robust constraint with more room than this holds nothing back: how its scatter changes is left out."""
_STEP = 0.1
"""Step in standard deviations, from which the change of scatter with the design is taken."""


def shifted(values: Mapping[str, float], joint: Joint, by: FloatArray) -> dict[str, float]:
    """Values of all that is designed or scatters, the scattered ones moved, in their order."""
    out = dict(values)
    for name, move in zip(joint.names, by, strict=True):
        out[name] += float(move)
    return out


def slopes_of(found: Gradient, label: str, names: Sequence[str]) -> FloatArray:
    """Derivatives of a response by the parameters named; 0 where it is too far from its limit to have any."""
    slopes = found.slopes.get(label)
    return np.zeros(len(names)) if slopes is None else np.array([slopes[name] for name in names])


def deviation(joint: Joint, slopes: FloatArray) -> FloatArray:
    """First-order standard deviation of responses with slopes [..., k]."""
    variance = ((slopes @ joint.covariance) * slopes).sum(axis=-1)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


class RobustFormulation(Formulation):
    """Requirements that hold at so many standard deviations, each at its own: g + sigma * std(g) <= 0.

    Where nothing scatters it is the formulation it extends.

    How the deviation changes with the design, d std / dx = v . d(ds/dp)/dx with v = covariance ds/dp / std
    held fixed (std is the length of a vector), is the change of ds/dx along v: one more gradient beside the
    design for each constraint that holds it back, or for each scattered parameter where these are fewer.

    Parameters
    ----------
    search : Search
    first : Evaluation
    tolerance : float
    """

    def __init__(self, search: Search, first: Evaluation, tolerance: float) -> None:
        study = search.study
        super().__init__(study, first, tolerance)
        self._search = search
        self._sigma = np.array([study.requirement_of(name).sigma or 0.0 for name in self.kept])
        self._joint = Joint(study.scatter, list(study.variables))

    def functions(self, e: Evaluation) -> tuple[float, FloatArray]:
        """f and g float64[m], with so many standard deviations added."""
        f, g = super().functions(e)
        if not len(self._joint):
            return f, g
        slopes = self._scattered(e, self._search.gradient(e.values))
        return f, g + self._sigma * deviation(self._joint, slopes)

    def gradients(self, e: Evaluation, found: Gradient) -> tuple[FloatArray, FloatArray]:
        """df float64[n] and dg float64[m, n], over scaled variables."""
        df, dg = super().gradients(e, found)
        if not len(self._joint):
            return df, dg
        slopes = self._scattered(e, found)
        std = deviation(self._joint, slopes)
        near = np.flatnonzero((self._sigma * std > 0.0) & (self._slacks(e) + self._sigma * std > -_NEAR))
        along = (slopes[near] @ self._joint.covariance) / std[near, None]
        grown = np.zeros_like(dg)
        if len(near) <= len(self._joint):
            for i, v in zip(near, along, strict=True):
                grown[i] = self._bend(e, dg, v)[i]
        else:
            each = [self._bend(e, dg, one) / one.max() for one in np.diag(self._joint.std)]
            for i, v in zip(near, along, strict=True):
                grown[i] = np.tensordot(v, np.array([bend[i] for bend in each]), axes=1)
        return df, dg + self._sigma[:, None] * grown

    def _scattered(self, e: Evaluation, found: Gradient) -> FloatArray:
        """Slopes of the slacks by what scatters, float64[m, k]."""
        slopes = [self._change(e, name) * slopes_of(found, name, self._joint.names) for name in self.kept]
        return np.array(slopes).reshape(-1, len(self._joint))

    def _bend(self, e: Evaluation, dg: FloatArray, along: FloatArray) -> FloatArray:
        """Change of -dg for a move of what scatters, float64[m, n]."""
        base = completed(self._search.study.scatter, e.values)
        for step in (_STEP, -_STEP):  # the other side where the first cannot be analyzed
            values = shifted(base, self._joint, step * along)
            try:
                beside = _beside(self._search, values)
            except EvaluationFailed as error:
                failure = error
                continue
            return (dg - self._slack_slopes(self._search.evaluate(values), beside)) / step
        raise failure


def _beside(search: Search, values: Mapping[str, float]) -> Gradient:
    """The gradient where something scattered is moved."""
    e = search.evaluate(values, "scatter")
    if e.failure:
        raise EvaluationFailed(e.failure)
    return search.gradient(values)


def at_sigma(search: Search) -> list[Evaluation]:
    """What a search has seen, the slacks of its designs less so many standard deviations of theirs.

    A design whose gradient was not found before the search ended cannot be judged, and is none to choose.
    """
    study = search.study
    if not study.scatter:
        return list(search.seen)
    joint = Joint(study.scatter, list(study.variables))
    out = []
    for e in search.seen:
        if e.purpose == "design" and not e.failure:
            found = search.known_gradient(e.values)
            if found is None:
                e = replace(e, purpose="scatter")
            else:
                slacks = {
                    label: slack
                    - (study.requirement_of(label).sigma or 0.0)
                    * float(deviation(joint, slopes_of(found, label, joint.names)))
                    for label, slack in e.slacks.items()
                }
                e = replace(e, slacks=slacks)
        out.append(e)
    return out


@dataclass(frozen=True, eq=False)
class Spread:
    """How one response of a design scatters.

    Parameters
    ----------
    label : str
        "requirement | case", or "objective".
    value : float
        With everything at its mean: the scaled margin of a requirement, else SI.
    std : float
        First order.
    shares : mapping of name to float
        Of the variance, by scattered parameter; what two correlated ones share is split between them.
    sampled_mean, sampled_std : float
        nan where nothing was sampled.
    missed : float
        Standard deviation of what a plane through the design misses at the samples, over that of the samples.
    failing : float
        Share of the samples that miss the requirement; nan for the objective.
    sigma : float
        Standard deviations it must hold at; 0 for the objective.
    """

    label: str
    value: float
    std: float
    shares: Mapping[str, float]
    sampled_mean: float = math.nan
    sampled_std: float = math.nan
    missed: float = math.nan
    failing: float = math.nan
    sigma: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether it keeps as many standard deviations from its limit as it must."""
        return self.level >= self.sigma

    @property
    def level(self) -> float:
        """Standard deviations between design and limit, by sampling where first order does not hold."""
        mean, std = (self.value, self.std) if self.linear else (self.sampled_mean, self.sampled_std)
        return mean / std if std > 0.0 else math.copysign(math.inf, mean)

    @property
    def told(self) -> str:
        """The level in words, with what was asked for where it is missed."""
        level = f"{self.level:.2f} sigma" if math.isfinite(self.level) else "does not scatter"
        return level if self.holds else f"{level} of {self.sigma:g}"

    @property
    def linear(self) -> bool:
        """False where samples say that first order is not enough."""
        return not self.missed > LINEAR


def _told(shares: Mapping[str, float], most: int = 3) -> str:
    """The largest shares in words; those that round to nothing are left out."""
    worth = [(name, share) for name, share in shares.items() if abs(share) >= 0.005]
    return ", ".join(f"{n} {100 * v:.0f} %" for n, v in sorted(worth, key=lambda pair: -pair[1])[:most])


@dataclass(frozen=True, eq=False)
class Robustness:
    """How a design stands the scatter.

    Parameters
    ----------
    study : Study
    values : mapping of variable to SI value
        The design.
    spreads : mapping of label to Spread
        The objective first.
    samples : Variants, optional
        What was analyzed to check.
    points : float64[n, k]
        Scattered parameters of the samples, SI.
    slopes : mapping of label to float64[k]
        d response / d scattered parameter.
    """

    study: Study
    values: Mapping[str, float]
    spreads: Mapping[str, Spread]
    samples: Variants | None
    points: FloatArray
    slopes: Mapping[str, FloatArray]

    @property
    def holds(self) -> bool:
        """True where every requirement holds at so many standard deviations, and no sample failed."""
        failed = self.samples is not None and bool(self.samples.failed)
        return not failed and all(s.holds for s in self.requirements)

    @property
    def sigma_told(self) -> str:
        """Standard deviations that are asked for, in words: "3 sigma", "1 and 3 sigma"."""
        levels = sorted({s.sigma for s in self.requirements})
        return " and ".join(f"{level:g}" for level in levels) + " sigma"

    @property
    def requirements(self) -> tuple[Spread, ...]:
        """Spreads of the requirements."""
        return tuple(s for label, s in self.spreads.items() if label != OBJECTIVE)

    @property
    def linear(self) -> bool:
        """True where sampling was done and first order is enough for every response."""
        return self.samples is not None and all(s.linear for s in self.spreads.values())

    def __bool__(self) -> bool:
        return self.holds

    def plot(self, **options: Any) -> Any:
        """Picture: what each requirement's margin does, and what makes it; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_robustness(self, **options)

    def __str__(self) -> str:
        from designtwin.units import show

        lines = [f"{'holds' if self.holds else 'does NOT hold'} at {self.sigma_told}"]
        wide = max((len(s.label) for s in self.requirements), default=0)
        for s in self.requirements:
            top = _told(s.shares)
            text = f"  {s.label:<{wide}}  margin {100.0 * s.value:+.1f} % ± {100.0 * s.std:.2f} %"
            text += f", {s.told}"
            if self.samples is not None:
                text += f"; sampled {100.0 * s.sampled_mean:+.1f} % ± {100.0 * s.sampled_std:.2f} %"
                text += f", {100.0 * s.failing:.1f} % miss it"
                if not s.linear:
                    text += f"; NOT linear ({100.0 * s.missed:.0f} % missed): the samples count"
            lines.append(f"{text}; made by {top}" if s.std > 0.0 else text)
        goal, dimension = self.spreads[OBJECTIVE], self.study.minimize.dimension
        unit = "temperature_difference" if dimension == "temperature" else dimension
        lines.append(
            f"  {self.study.minimize.label:<{wide}}  {show(goal.value, dimension)} ± {show(goal.std, unit)}"
        )
        if self.samples is None:
            lines.append("  first order only: nothing was sampled to check it")
        else:
            failed = len(self.samples.failed)
            lines.append(
                f"  checked by {len(self.samples)} samples: first order "
                + ("is enough" if self.linear else "is NOT enough everywhere")
                + (f"; {failed} of them could not be analyzed" if failed else "")
            )
        return "\n".join(lines)


def robustness(
    study: Study, values: Mapping[str, float], *, sigma: float | None, n: int, seed: int, gradients: str,
    workers: int | None, cluster: Any,
) -> Robustness:  # fmt: skip
    """How a design stands the scatter of a study (``Study.robustness``)."""
    joint = _joint(study)
    if isinstance(n, bool) or not isinstance(n, int) or n < 0 or 0 < n < 8:
        raise StudyError(f"n={n!r}: at least 8 samples are wanted for a check, or 0 for none")
    store = study.open_store()
    try:
        search = Search(study, store, Budget(10**9, math.inf), gradients=gradients)
        here = search.evaluate(values)
        if here.failure:
            raise StudyError(f"the design cannot be evaluated: {here.failure}")
        found = search.gradient(values)
    finally:
        store.close()
    labels = [OBJECTIVE, *here.slacks]
    slopes = {label: slopes_of(found, label, joint.names) for label in labels}
    numbers = {OBJECTIVE: float(here.objective or 0.0), **here.slacks}
    samples: Variants | None = None
    moves = np.zeros((0, len(joint)))
    if n:
        moves = joint.of_normal(joint.sample(n, seed)) - joint.mean
        base = completed(study.scatter, values)
        wide = extended(study)
        designs = [shifted(base, joint, move) for move in moves]
        samples = Variants(wide, tuple(run_variants(wide, designs, workers=workers, cluster=cluster)))
    asked = {label: study.requirement_of(label).sigma if sigma is None else sigma for label in here.slacks}
    spreads = {
        label: replace(
            _spread(label, numbers[label], slopes[label], joint, samples, moves),
            sigma=asked.get(label) or 0.0,
        )
        for label in labels
    }  # fmt: skip
    return Robustness(study, dict(values), spreads, samples, moves + joint.mean, slopes)


def _spread(
    label: str, value: float, slopes: FloatArray, joint: Joint, samples: Variants | None, moves: FloatArray
) -> Spread:
    std = float(deviation(joint, slopes))
    parts = slopes * (joint.covariance @ slopes)
    shares = dict(zip(joint.names, (parts / std**2 if std > 0.0 else 0.0 * parts).tolist(), strict=True))
    if samples is None:
        return Spread(label, value, std, shares)
    ok = np.array([not e.failure for e in samples.evaluations])
    numbers = np.array(
        [math.nan if e.failure else _number(e, label) for e in samples.evaluations], dtype=np.float64
    )
    failing = math.nan if label == OBJECTIVE else float(np.mean(~(numbers >= 0.0)))
    if ok.sum() < 2:
        return Spread(label, value, std, shares, missed=math.inf, failing=failing)
    there = numbers[ok]
    sampled = float(there.std(ddof=1))
    # A slack that is clipped or far away has no slope, and none is missed.
    missed = float((there - value - moves[ok] @ slopes).std(ddof=1)) if slopes.any() else sampled
    quiet = sampled <= 1e-9 * max(abs(value), 1e-300) or (label != OBJECTIVE and value >= CLIPPED)
    return Spread(
        label, value, std, shares, sampled_mean=float(there.mean()), sampled_std=sampled,
        missed=0.0 if quiet else missed / sampled, failing=failing,
    )  # fmt: skip


def _number(e: Evaluation, label: str) -> float:
    return float(e.objective or 0.0) if label == OBJECTIVE else e.slacks.get(label, math.nan)


def _joint(study: Study) -> Joint:
    if not study.scatter:
        raise StudyError(
            "nothing scatters in this study; give Study(scatter={'load': dtw.scatter('2.5 kN', std='4 %'), "
            "'thickness': dtw.tolerance('±0.1 mm')})"
        )
    return Joint(study.scatter, list(study.variables))


# First-order reliability


@dataclass(frozen=True, eq=False)
class Reliability:
    """Most probable way for a requirement to be missed.

    Parameters
    ----------
    label : str
    beta : float
        Distance from the means in standard deviations of independent normal numbers; negative where the
        requirement is missed with everything at its mean.
    values : mapping of name to float
        Where it is just missed, most probably: designed and scattered parameters, SI.
    importance : mapping of name to float
        Squared direction cosines; sum 1.
    iterations : int
    """

    label: str
    beta: float
    values: Mapping[str, float]
    importance: Mapping[str, float]
    iterations: int

    @property
    def probability(self) -> float:
        """Of missing the requirement, first order: the normal distribution beyond beta."""
        from scipy.special import ndtr

        return float(ndtr(-self.beta))

    def __str__(self) -> str:
        made = _told(self.importance)
        chance = f"missed with probability {self.probability:.2g}"
        return f"{self.label}: beta {self.beta:.3f}, {chance}; made by {made}"


def design_point(
    limit: Callable[[FloatArray], tuple[float, FloatArray]], k: int, *, tolerance: float = 1e-4,
    max_iterations: int = 50,
) -> tuple[FloatArray, float, int]:  # fmt: skip
    """Point of limit(u) = 0 nearest to the origin, the distance with its sign, and the iterations.

    Parameters
    ----------
    limit : callable (u float64[k]) -> (value, slopes float64[k])
        Positive where the requirement is met.
    k : int
    tolerance : float
        On the limit (over its value at the origin) and on the direction.

    Raises
    ------
    ConvergenceError
        If no point of the limit is found, as of one that nothing scattered can reach.

    Source: improved HL-RF; Zhang & Der Kiureghian, Reliability and Optimization of Structural Systems (1995),
    p. 297.
    """
    u = np.zeros(k)
    g, slope = limit(u)
    scale = abs(g) or 1.0
    sign = 1.0 if g >= 0.0 else -1.0
    for iteration in range(1, max_iterations + 1):
        steep = float(np.sqrt((slope * slope).sum()))
        if not math.isfinite(steep) or steep * 30.0 < 1e-12 * scale:
            raise ConvergenceError("the limit does not depend on what scatters: no distance to it exists")
        alpha = -slope / steep
        nearest = ((slope * u).sum() - g) / steep**2 * slope
        off = float(np.sqrt(((u - (alpha * u).sum() * alpha) ** 2).sum()))
        if abs(g) <= tolerance * scale and off <= tolerance * max(1.0, float(np.sqrt((u * u).sum()))):
            return u, sign * float(np.sqrt((u * u).sum())), iteration
        move = nearest - u
        # The merit falls along the move if c is above |u| / |slope| (l1 penalty of the limit).
        c = 2.0 * max(
            float(np.sqrt((u * u).sum())) / steep, 0.5 * float((nearest**2).sum()) / max(abs(g), 1e-9)
        )
        merit, share = 0.5 * float((u * u).sum()) + c * abs(g), 1.0
        while True:
            there = u + share * move
            g, slope = limit(there)
            if 0.5 * float((there * there).sum()) + c * abs(g) < merit or share < 0.02:
                break
            share *= 0.5
        u = there
        if float((u * u).sum()) > 40.0**2:
            raise ConvergenceError(
                "the limit lies beyond 40 standard deviations: no useful distance to it exists"
            )
    raise ConvergenceError(f"no design point within {max_iterations} iterations; the limit may be too rough")


def reliability(
    study: Study, values: Mapping[str, float], requirement: str, *, gradients: str
) -> Reliability:
    """First-order reliability of one requirement (``Study.reliability``)."""
    joint = _joint(study)
    base = completed(study.scatter, values)
    store = study.open_store()
    try:
        search = Search(study, store, Budget(10**9, math.inf), gradients=gradients)
        here = search.evaluate(values)
        if here.failure:
            raise StudyError(f"the design cannot be evaluated: {here.failure}")
        label = _label_like(requirement, here)

        def limit(u: FloatArray) -> tuple[float, FloatArray]:
            there = shifted(base, joint, joint.of_normal(u) - joint.mean)
            found = _beside(search, there)
            e = search.evaluate(there)
            if label not in found.slopes:
                far = f"a margin of {100.0 * e.slacks[label]:+.0f} %"
                raise StudyError(f"{label} has {far}: too far to ask how it is missed")
            return e.slacks[label], slopes_of(found, label, joint.names) @ joint.slopes(u)

        u, beta, iterations = design_point(limit, len(joint))
    finally:
        store.close()
    there = shifted(base, joint, joint.of_normal(u) - joint.mean)
    length = float((u * u).sum()) or 1.0
    importance = dict(zip(joint.names, (u * u / length).tolist(), strict=True))
    return Reliability(label, beta, there, importance, iterations)


def _label_like(asked: str, e: Evaluation) -> str:
    fits = [label for label in e.slacks if label == asked or label.split(" | ")[0] == asked]
    if not fits:
        fits = [label for label in e.slacks if asked in label]
    if not fits:
        raise StudyError(
            f"no requirement is {asked!r}{did_you_mean(asked, e.slacks)}; there are: {', '.join(e.slacks)}"
        )
    return min(fits, key=lambda label: e.slacks[label])  # the worst case of those
