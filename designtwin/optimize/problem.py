"""A problem of optimization and what was found: numbers in, numbers out, no meshes and no models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import EvaluationFailed, OptimizationError
from designtwin.typing import FloatArray

if TYPE_CHECKING:
    from designtwin.optimize.conflict import Conflict


class Stop(Exception):
    """Raised by an evaluation to end the search; its words are the reason told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Least f(x) with g(x) <= 0 between bounds.

    f and g are scaled to the order of one by whoever states the problem: tolerances are judged so.
    An evaluation that cannot be made raises ``EvaluationFailed``; the methods then try nearer to what is
    known, and never take a failure for a value. Any other exception passes through.

    Parameters
    ----------
    x0, low, high : float64[n]
        Start and finite bounds; a variable with low == high stays where it is.
    functions : callable (x) -> (f, g float64[m])
    gradients : callable (x) -> (df float64[n], dg float64[m, n]), optional
        Asked only at points whose functions were evaluated before; without it, methods that need none.
    constraints : sequence of str
        Names of g, for words.
    variables : sequence of str
        Names of x, for words.
    allowed : sequence of float64[k] or None, optional
        Values each variable may take; None where every value between the bounds is allowed.
    between : bool
        Whether functions can be evaluated between allowed values (a thickness can, a number of fins cannot).
    resolution : float
        Share of a range below which steps make no difference: where values are noisy, or not asked to be
        better, searches that go step by step end there.
    many : callable (points float64[k, n]) -> sequence of (f, g) or EvaluationFailed, optional
        Several evaluations at once, for methods that work on populations.

    Raises
    ------
    OptimizationError
        If shapes differ, bounds are not finite or cross, or the start lies outside.
    """

    x0: FloatArray
    low: FloatArray
    high: FloatArray
    functions: Callable[[FloatArray], tuple[float, FloatArray]]
    gradients: Callable[[FloatArray], tuple[FloatArray, FloatArray]] | None = None
    constraints: Sequence[str] = ()
    variables: Sequence[str] = ()
    allowed: Sequence[FloatArray | None] | None = None
    between: bool = True
    resolution: float = 0.0
    many: Callable[[FloatArray], Sequence[tuple[float, FloatArray] | EvaluationFailed]] | None = None

    def __post_init__(self) -> None:
        for name in ("x0", "low", "high"):
            object.__setattr__(self, name, np.array(getattr(self, name), dtype=np.float64).ravel())
        n = len(self.x0)
        if not 0.0 <= self.resolution < 1.0:
            raise OptimizationError(f"resolution is {self.resolution!r}; a share from 0 to 1 is wanted")
        if n == 0:
            raise OptimizationError("a problem needs a variable at least")
        if len(self.low) != n or len(self.high) != n:
            raise OptimizationError(
                f"x0, low and high must be of one length, got {n}, {len(self.low)} and {len(self.high)}"
            )
        if self.variables and len(self.variables) != n:
            raise OptimizationError(f"{n} variables have {len(self.variables)} names")
        wrong = ~(np.isfinite(self.low) & np.isfinite(self.high)) | (self.low > self.high)
        if wrong.any():
            j = int(np.argmax(wrong))
            raise OptimizationError(
                f"variable {self.name(j)} is bounded by {self.low[j]:g} and {self.high[j]:g}: "
                "give finite bounds, the lower one first"
            )
        outside = ~((self.low <= self.x0) & (self.x0 <= self.high))
        if outside.any():
            j = int(np.argmax(outside))
            raise OptimizationError(
                f"variable {self.name(j)} starts at {self.x0[j]:g}, outside {self.low[j]:g} to "
                f"{self.high[j]:g}"
            )
        if self.allowed is not None:
            object.__setattr__(self, "allowed", self._settled(self.allowed))

    def _settled(self, allowed: Sequence[FloatArray | None]) -> tuple[FloatArray | None, ...]:
        if len(allowed) != len(self.x0):
            raise OptimizationError(
                f"allowed wants one entry per variable, got {len(allowed)} for {len(self.x0)}"
            )
        kept: list[FloatArray | None] = []
        for j, values in enumerate(allowed):
            if values is None:
                kept.append(None)
                continue
            found = np.unique(np.asarray(values, dtype=np.float64))
            if not len(found) or not np.isfinite(found).all():
                raise OptimizationError(
                    f"variable {self.name(j)} is allowed {values!r}: finite numbers are wanted"
                )
            if found[0] < self.low[j] or found[-1] > self.high[j]:
                raise OptimizationError(
                    f"variable {self.name(j)} is allowed {found[0]:g} to {found[-1]:g}, "
                    f"beyond its bounds {self.low[j]:g} to {self.high[j]:g}"
                )
            kept.append(found)
        return tuple(kept)

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.x0)

    @property
    def discrete(self) -> bool:
        """True where a variable may take only some values."""
        return self.allowed is not None and any(values is not None for values in self.allowed)

    def name(self, j: int) -> str:
        """Word for variable j."""
        return f"{self.variables[j]!r}" if self.variables else str(j)

    def constraint(self, i: int) -> str:
        """Word for constraint i."""
        return self.constraints[i] if i < len(self.constraints) else f"constraint {i}"


@dataclass(frozen=True, eq=False)
class Iterate:
    """A step of a method.

    Parameters
    ----------
    number : int
        From 0, the start.
    x : float64[n]
    f : float
    g : float64[m]
    kkt : float
        First-order optimality there (see ``optimize.kkt``); nan where there are no gradients.
    evaluations : int
        Made so far.
    """

    number: int
    x: FloatArray
    f: float
    g: FloatArray
    kkt: float
    evaluations: int

    @property
    def violation(self) -> float:
        """Largest g, 0 where all are met."""
        return float(np.maximum(self.g, 0.0).max(initial=0.0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a method found.

    Parameters
    ----------
    x : float64[n]
        The best design evaluated: least f among those that meet all constraints, else least violation.
    f : float
    g : float64[m]
    multipliers : float64[m]
        What each constraint costs, df/dg; 0 where it does not bind; nan for methods without gradients.
    iterations, evaluations, gradients, failures : int
        Steps; evaluations of f and g (failed ones included), of their gradients; evaluations that failed.
    stopped : str
        Why the search ended, in words.
    converged : bool
        True where the method's own test of an optimum was met (not where a budget ended it).
    feasible : bool
    kkt : float
        First-order optimality at x: see ``optimize.kkt``; nan for methods without gradients.
    method, why : str
        What was used, and why "auto" chose it.
    history : tuple of Iterate
    conflict : Conflict, optional
        Constraints that cannot be met together, where none meets all.
    details : dict
        What a method alone has to tell: predicted errors, what was tried, what is proved.
    starts : tuple of Found
        Where each search from a start of its own ended, if several were asked for.
    """

    x: FloatArray
    f: float
    g: FloatArray
    multipliers: FloatArray
    iterations: int
    evaluations: int
    gradients: int
    failures: int
    stopped: str
    converged: bool
    feasible: bool
    kkt: float
    method: str
    why: str = ""
    history: tuple[Iterate, ...] = ()
    conflict: Conflict | None = None
    details: dict[str, Any] = field(default_factory=dict)
    starts: tuple[Found, ...] = ()

    @property
    def optimality(self) -> str:
        """How far slopes at the end are from those of an optimum, in words; "" where they are not known."""
        if not np.isfinite(self.kkt):
            return ""
        return f"{self.kkt:.1e}, of slopes that limits and bounds do not balance (0 at an optimum)"

    def __str__(self) -> str:
        lines = [
            f"{'optimum' if self.converged else 'best so far'}: f = {self.f:.6g} after "
            f"{self.evaluations} evaluations"
            f" ({self.method}), largest constraint {self.g.max(initial=-np.inf):+.2g}",
            f"  stopped: {self.stopped}",
        ]
        if self.optimality:
            lines.append(f"  first-order optimality: {self.optimality}")
        if self.why:
            lines.append(f"  method:  {self.why}")
        if self.conflict is not None:
            lines.append(f"  {self.conflict}")
        return "\n".join(lines)
