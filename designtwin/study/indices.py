"""Which variable makes what of a response vary: Sobol indices, and Morris's screening before them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import DesignTwinError, StudyError
from designtwin.study import chaos
from designtwin.study.doe import Variants, designs_of
from designtwin.study.scatter import Joint, completed, extended, sobol_points
from designtwin.study.uncertainty import shifted
from designtwin.study.variants import run_variants
from designtwin.typing import FloatArray

if TYPE_CHECKING:
    from designtwin.study.study import Study

_LEAST = 8
"""Samples below which the scatter of an index says nothing of its error."""
SURE = 0.05
"""Leave-one-out error of an expansion above which its indices are not to be trusted."""


@dataclass(frozen=True, eq=False)
class Indices:
    """Shares of the variance of responses, by what varies.

    Parameters
    ----------
    names : tuple of str
        What varies.
    labels : tuple of str
        Responses.
    first, total : float64[m, k]
        Alone; together with others.
    error : float64[m]
        Of an expansion: the share of variance it misses (leave-one-out). Of sampling: the largest 95 %
        half-width of an index.
    method : str
        "chaos" or "saltelli".
    over : str
        "variables" or "scatter".
    samples : Variants, optional
        What was analyzed.
    dropped : int
        Samples that failed and were left out.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    first: FloatArray
    total: FloatArray
    error: FloatArray
    method: str
    over: str = "variables"
    samples: Variants | None = None
    dropped: int = 0

    def of(self, label: str) -> dict[str, tuple[float, float]]:
        """First and total index of one response, by name."""
        if label not in self.labels:
            raise StudyError(f"no response is {label!r}; there are: {', '.join(self.labels)}")
        i = self.labels.index(label)
        return {n: (float(self.first[i, j]), float(self.total[i, j])) for j, n in enumerate(self.names)}

    @property
    def doubtful(self) -> tuple[str, ...]:
        """Responses whose indices are not to be trusted: more samples are needed."""
        return tuple(label for label, e in zip(self.labels, self.error, strict=True) if not e <= SURE)

    def plot(self, **options: Any) -> Any:
        """Picture: bars of both indices for each response; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_indices(self, **options)

    def __str__(self) -> str:
        how = "polynomial chaos" if self.method == "chaos" else "sampling after Saltelli"
        n = "" if self.samples is None else f", {len(self.samples)} analyses"
        lines = [f"Sobol indices over the {self.over} by {how}{n}: alone (with others)"]
        for i, label in enumerate(self.labels):
            shares = ", ".join(
                f"{name} {self.first[i, j]:.2f} ({self.total[i, j]:.2f})" for j, name in enumerate(self.names)
            )
            word = "misses" if self.method == "chaos" else "±"
            doubt = "  DOUBTFUL: more samples" if label in self.doubtful else ""
            lines.append(f"  {label}: {shares}; {word} {self.error[i]:.2g}{doubt}")
        if self.dropped:
            lines.append(f"  {self.dropped} samples failed and are left out")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Screening:
    """Morris's elementary effects: what matters, and what matters together with others or not in proportion.

    Parameters
    ----------
    names, labels : tuple of str
    mean : float64[m, k]
        Mean magnitude of the change of a response over the range of a variable (mu*).
    deviation : float64[m, k]
        Its standard deviation (sigma): large against the mean where effects interact or bend.
    samples : Variants
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    mean: FloatArray
    deviation: FloatArray
    samples: Variants | None = None

    def of(self, label: str) -> dict[str, tuple[float, float]]:
        """Mean magnitude and deviation of the effects on one response, by name."""
        if label not in self.labels:
            raise StudyError(f"no response is {label!r}; there are: {', '.join(self.labels)}")
        i = self.labels.index(label)
        return {n: (float(self.mean[i, j]), float(self.deviation[i, j])) for j, n in enumerate(self.names)}

    def __str__(self) -> str:
        lines = ["effect of each variable over its range: mean magnitude ± deviation"]
        for i, label in enumerate(self.labels):
            order = np.argsort(-self.mean[i], kind="stable")
            lines.append(
                f"  {label}: "
                + ", ".join(
                    f"{self.names[j]} {self.mean[i, j]:.3g} ± {self.deviation[i, j]:.2g}" for j in order
                )
            )
        return "\n".join(lines)


def sobol_indices(
    function: Callable[[FloatArray], FloatArray], inputs: Mapping[str, tuple[float, float]], *, n: int = 512,
    method: str = "chaos", seed: int = 0,
) -> Indices:  # fmt: skip
    """Sobol indices of any function of independent uniform inputs.

    Parameters
    ----------
    function : callable (x float64[n, k]) -> float64[n] or [n, m]
    inputs : mapping of name to (low, high)
    n : int
        Points; of method "saltelli" n (k + 2) evaluations.
    method : "chaos" or "saltelli"
        Indices from a polynomial expansion with its leave-one-out error, or by sampling (extra ``uq``).
    seed : int

    Raises
    ------
    StudyError
        If points are too few, or values not finite.
    """
    try:
        ends = np.array([*inputs.values()], np.float64)
    except (AttributeError, TypeError, ValueError):
        ends = np.zeros((0, 2))
    if ends.shape != (len(inputs or ()), 2) or not len(ends) or not _are_ranges(*ends.T):
        raise StudyError(f"inputs must be finite ranges {{'x': (low, high), ...}}; got {inputs!r}")
    names, (low, high) = tuple(inputs), ends.T
    if not callable(function):
        raise StudyError(f"function is {function!r}; a function of points x[n, {len(names)}] is wanted")
    points = _points(n, len(names), method, seed)
    try:
        answer = function(low + points * (high - low))
        y = np.asarray(answer, np.float64) if np.isrealobj(answer) else np.zeros(0)
    except DesignTwinError:
        raise
    except Exception as error:
        raise StudyError(
            f"the function failed at points x[{len(points)}, {len(names)}]: {type(error).__name__}: {error}"
        ) from error
    if y.ndim not in (1, 2) or len(y) != len(points) or not y.size:
        raise StudyError(
            f"of {len(points)} points x[{len(points)}, {len(names)}] the function must give as many real "
            f"numbers, or rows of these; it gave {list(np.shape(answer))}"
        )
    y = y.reshape(len(points), -1)
    labels = tuple(f"y{i + 1}" for i in range(y.shape[1])) if y.shape[1] > 1 else ("y",)
    return _indices(names, labels, points, y, ("uniform",) * len(names), method, seed)


def _are_ranges(low: FloatArray, high: FloatArray) -> bool:
    return bool((np.isfinite(low) & np.isfinite(high) & (low < high)).all())


def _points(n: int, k: int, method: str, seed: int) -> FloatArray:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise StudyError(f"seed={seed!r}: a whole number from 0 on is wanted")
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise StudyError(f"n={n!r} is no number of samples")
    if method == "chaos":
        return sobol_points(n, k, seed)
    if method != "saltelli":
        raise StudyError(f"method={method!r} is unknown (known: chaos, saltelli)")
    if n < _LEAST:
        raise StudyError(f"n={n}: of fewer than {_LEAST} samples no share of a variance can be told")
    _salib()
    from SALib.sample import sobol

    power = 2 ** max(math.ceil(math.log2(n)), 0)
    return np.asarray(sobol.sample(_problem(k), power, calc_second_order=False, seed=seed))


def _indices(
    names: tuple[str, ...], labels: tuple[str, ...], x: FloatArray, y: FloatArray, families: Sequence[str],
    method: str, seed: int,
) -> Indices:  # fmt: skip
    first, total = np.zeros((len(labels), len(names))), np.zeros((len(labels), len(names)))
    error = np.zeros(len(labels))
    for i in range(len(labels)):
        if method == "chaos":
            found = chaos.fit(x, y[:, i], families)
            first[i], total[i], error[i] = found.first, found.total, found.error
            continue
        if not np.isfinite(y[:, i]).all():
            raise StudyError(
                f"{labels[i]} is not finite at every sample, which method='saltelli' needs; take 'chaos'"
            )
        if np.ptp(y[:, i]) == 0.0:
            continue  # nothing varies: no shares
        from SALib.analyze import sobol

        told = sobol.analyze(_problem(len(names)), y[:, i], calc_second_order=False, seed=seed)
        first[i], total[i] = told["S1"], told["ST"]
        error[i] = max(np.max(told["S1_conf"]), np.max(told["ST_conf"]))
    return Indices(names, labels, first, total, error, method)


def _problem(k: int) -> dict[str, Any]:
    return {"num_vars": k, "names": [f"x{i}" for i in range(k)], "bounds": [[0.0, 1.0]] * k}


def _salib() -> None:
    try:
        import SALib  # noqa: F401
    except ImportError as error:
        raise StudyError("this needs SALib: pip install designtwin[uq]") from error


def sobol(
    study: Study, n: int, *, over: str, values: Mapping[str, float], method: str, seed: int,
    workers: int | None, cluster: Any,
) -> Indices:  # fmt: skip
    """Sobol indices of the responses of a study (``Study.sobol``)."""
    import dataclasses

    if over == "variables":
        names = tuple(study.variables)
        points = _points(n, len(names), method, seed)
        target, designs = study, designs_of(study.variables, points)
        x, families = points, ["uniform"] * len(names)
    elif over == "scatter":
        from scipy.special import ndtri

        if not study.scatter:
            raise StudyError("over='scatter', and nothing scatters in this study; give Study(scatter={...})")
        joint = Joint(study.scatter, list(study.variables))
        if any(one.correlated for one in joint.parts):
            raise StudyError(
                "Sobol indices share variance among independent inputs, and some here are correlated; "
                "robustness() splits it to first order"
            )
        names = joint.names
        points = np.clip(_points(n, len(names), method, seed), 2.0**-31, 1.0 - 2.0**-31)
        z = np.asarray(ndtri(points))
        base = completed(study.scatter, values)
        target = extended(study)
        designs = [shifted(base, joint, move) for move in joint.of_normal(z) - joint.mean]
        families = ["uniform" if one.kind == "uniform" else "normal" for one in joint.parts]
        x = np.where([f == "uniform" for f in families], points, z)
    else:
        raise StudyError(f"over={over!r}; it may be 'variables' or 'scatter'")
    samples = Variants(target, tuple(run_variants(target, designs, workers=workers, cluster=cluster)))
    labels, y = _table(samples)
    ok = np.asarray(np.isfinite(y).all(axis=1))
    dropped = int((~ok).sum())
    if dropped and method == "saltelli":
        raise StudyError(
            f"{dropped} of {len(ok)} samples failed, and method='saltelli' needs all; 'chaos' does not"
        )
    found = _indices(names, labels, x[ok], y[ok], families, method, seed)
    return dataclasses.replace(found, over=over, samples=samples, dropped=dropped)


def morris(study: Study, trajectories: int, *, seed: int, workers: int | None, cluster: Any) -> Screening:
    """Elementary effects of the variables of a study (``Study.morris``)."""
    _salib()
    from SALib.analyze import morris as analyze
    from SALib.sample import morris as draw

    if isinstance(trajectories, bool) or not isinstance(trajectories, int) or trajectories < 2:
        raise StudyError(f"trajectories={trajectories!r}: two at least are wanted")
    problem = _problem(len(study.variables))
    points = np.asarray(draw.sample(problem, trajectories, num_levels=4, seed=seed))
    samples = Variants(
        study,
        tuple(run_variants(study, designs_of(study.variables, points), workers=workers, cluster=cluster)),
    )
    labels, y = _table(samples)
    if not np.isfinite(y).all():
        raise StudyError(
            f"{len(samples.failed)} of {len(samples)} samples failed, and a trajectory needs all; the first "
            f"says: {samples.failed[0].failure if samples.failed else 'a response is not finite'}"
        )
    told = [analyze.analyze(problem, points, y[:, i], num_levels=4, seed=seed) for i in range(len(labels))]
    mean = np.array([t["mu_star"] for t in told], np.float64)
    deviation = np.array([t["sigma"] for t in told], np.float64)
    return Screening(tuple(study.variables), labels, mean, deviation, samples)


def _table(samples: Variants) -> tuple[tuple[str, ...], FloatArray]:
    """Objective and readings, float64[n, m]; nan rows where designs failed."""
    columns = samples.responses
    return tuple(columns), np.stack(list(columns.values()), axis=1)
