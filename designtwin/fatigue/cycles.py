"""Rainflow: the closed cycles of a history, counted as it comes in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from designtwin.errors import FatigueError
from designtwin.kernels import rainflow as kernels
from designtwin.plain import Plain
from designtwin.typing import FloatArray

_PIECE = 65_536
"""Samples that the kernel takes at once: its memory stays in cache, however long the history is."""
Residue = Literal["half", "repeated", "none"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Cycles(Plain):
    """Cycles of a history, in the unit of the history.

    Parameters
    ----------
    range : float64[n]
        Highest less lowest value of each.
    mean : float64[n]
        Between its highest and its lowest value.
    count : float64[n]
        1 for a closed cycle, 0.5 for a half cycle; any other number of times it occurs.
    """

    range: FloatArray
    mean: FloatArray
    count: FloatArray

    def __post_init__(self) -> None:
        try:
            values = [
                np.atleast_1d(np.ascontiguousarray(v, dtype=np.float64))
                for v in (self.range, self.mean, self.count)
            ]
        except (TypeError, ValueError) as error:
            raise FatigueError(f"range, mean and count of Cycles are rows of numbers: {error}") from None
        for name, value in zip(("range", "mean", "count"), values):
            object.__setattr__(self, name, value)
            if value.ndim != 1 or value.shape != values[0].shape:
                shapes = ", ".join(str(v.shape) for v in values)
                raise FatigueError(
                    f"range, mean and count of Cycles are of shapes {shapes}; one row is wanted"
                )
            if not np.isfinite(value).all():
                raise FatigueError(
                    f"{name} of Cycles holds {value[~np.isfinite(value)][0]}; numbers are wanted"
                )
        for name in ("range", "count"):
            if len(values[0]) and getattr(self, name).min() < 0.0:
                raise FatigueError(
                    f"{name} of Cycles goes down to {getattr(self, name).min():g}; below 0 is none"
                )

    @classmethod
    def together(cls, pieces: Iterable[Cycles]) -> Self:
        """The cycles of all pieces, one after the other."""
        parts = [piece for piece in pieces if len(piece)]
        if len(parts) == 1 and isinstance(parts[0], cls):
            return parts[0]  # nothing here changes
        none = [np.empty(0)]
        return cls(
            range=np.concatenate([p.range for p in parts] or none),
            mean=np.concatenate([p.mean for p in parts] or none),
            count=np.concatenate([p.count for p in parts] or none),
        )

    def __len__(self) -> int:
        return len(self.range)

    @property
    def amplitude(self) -> FloatArray:
        """Half of each range."""
        return 0.5 * self.range

    @property
    def lowest(self) -> FloatArray:
        """Lowest value of each cycle."""
        return self.mean - 0.5 * self.range

    @property
    def highest(self) -> FloatArray:
        """Highest value of each cycle."""
        return self.mean + 0.5 * self.range

    @property
    def total(self) -> float:
        """How many cycles there are, halves counted as such."""
        return float(self.count.sum())

    def scaled(self, factor: float) -> Self:
        """Cycles of the history times a factor; one below zero turns it upside down."""
        return type(self)(range=abs(factor) * self.range, mean=factor * self.mean, count=self.count)

    def by_range(self) -> dict[float, float]:
        """How many cycles there are of each range that occurs, from small to large."""
        ranges, at = np.unique(self.range, return_inverse=True)
        return dict(zip(ranges.tolist(), np.bincount(at, weights=self.count, minlength=len(ranges)).tolist()))

    def histogram(self, bins: int | FloatArray = 64) -> tuple[FloatArray, FloatArray]:
        """How many cycles fall into classes of range.

        Parameters
        ----------
        bins : int or float64[m + 1]
            Number of equal classes from 0 to the largest range, or their edges.

        Returns
        -------
        (counts, edges) : float64[m], float64[m + 1]

        Raises
        ------
        FatigueError
            If edges do not grow, or cycles lie outside of them: nothing is dropped unsaid.
        """
        edges = _edges(bins, 0.0, float(self.range.max(initial=0.0)), self.range, "range")
        return np.histogram(self.range, edges, weights=self.count)[0], edges

    def matrix(
        self, bins: int | FloatArray = 64, mean_bins: int | FloatArray = 64
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """How many cycles fall into classes of range and mean.

        Parameters
        ----------
        bins, mean_bins : int or array of edges
            Classes of range, from 0 on, and of mean.

        Returns
        -------
        (counts, range_edges, mean_edges) : float64[m, k], float64[m + 1], float64[k + 1]

        Raises
        ------
        FatigueError
            If edges do not grow, or cycles lie outside of them.
        """
        low, high = (float(self.mean.min()), float(self.mean.max())) if len(self) else (0.0, 0.0)
        edges = _edges(bins, 0.0, float(self.range.max(initial=0.0)), self.range, "range")
        means = _edges(mean_bins, low, high, self.mean, "mean")
        counts = np.histogram2d(self.range, self.mean, [edges, means], weights=self.count)[0]
        return counts, edges, means

    def binned(self, bins: int | FloatArray = 64, mean_bins: int | FloatArray = 64) -> Self:
        """The same cycles in classes, each at the upper range and the middle mean of its class."""
        counts, edges, means = self.matrix(bins, mean_bins)
        i, j = np.nonzero(counts)
        return type(self)(range=edges[i + 1], mean=0.5 * (means[j] + means[j + 1]), count=counts[i, j])

    def exceedance(self) -> tuple[FloatArray, FloatArray]:
        """Ranges from large to small, and how many cycles are as large or larger: the load spectrum."""
        order = np.argsort(-self.range, kind="stable")
        return self.range[order], np.cumsum(self.count[order])

    def __repr__(self) -> str:
        if not len(self):
            return "Cycles(none)"
        return f"Cycles({self.total:g}, ranges {self.range.min():.4g} to {self.range.max():.4g})"


def _edges(bins: int | FloatArray, low: float, high: float, values: FloatArray, name: str) -> FloatArray:
    if isinstance(bins, int | np.integer):
        if bins < 1:
            raise FatigueError(f"{bins} classes of {name}; one or more are wanted")
        return np.linspace(low, high if high > low else low + 1.0, int(bins) + 1)
    try:
        edges = np.asarray(bins, dtype=np.float64)
    except (TypeError, ValueError):
        raise FatigueError(f"classes of {name} are a number of them or their edges; got {bins!r}") from None
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0.0).all():
        raise FatigueError(f"edges of classes of {name} are to grow one by one; got {bins!r}")
    outside = int(np.count_nonzero((values < edges[0]) | (values > edges[-1])))
    if outside:
        raise FatigueError(
            f"{outside} of {len(values)} cycles have a {name} outside of the classes ({edges[0]:g} to "
            f"{edges[-1]:g}; cycles: {values.min():g} to {values.max():g}); widen the edges"
        )
    return edges


class Rainflow(Plain):
    """Counts cycles of a history that comes in pieces; how it is cut makes no difference.

    `push` takes the next samples and returns the cycles they closed. What is still open waits: `residue` has
    its turning points, `cycles` counts it in. The object changes; `to_dict` saves what it knows and
    `from_dict` goes on from there.

    Parameters
    ----------
    keep : bool
        Whether `cycles` is to be asked for. False holds what is open alone, for histories without end: their
        damage is added up from what `push` returns.

    Source: four-point rule of Amzallag et al., Int. J. Fatigue 16 (1994) 287. Counts are those of ASTM
    E1049-85 (2017), 5.4.4, when the residue counts half.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self.keep = keep
        self._stack = np.empty(0)
        self._closed: list[Cycles] = []
        self.samples = 0
        """How many samples were pushed."""

    def push(self, samples: Any) -> Cycles:
        """Count on over the next samples.

        Parameters
        ----------
        samples : float or float64[n]
            The history goes on with these.

        Returns
        -------
        Cycles
            Those that closed, in the order of closing.

        Raises
        ------
        FatigueError
            If a sample is no finite number; then none of them is counted.
        """
        values = series(samples, first=self.samples)
        size = len(self._stack)
        stack = np.empty(size + min(len(values), _PIECE))
        stack[:size] = self._stack
        # A cycle takes two samples: this is room for all there can be.
        ranges, means = np.empty((2, (size + len(values)) // 2 + 1))
        closed = 0
        for begin in range(0, len(values), _PIECE):
            piece = values[begin : begin + _PIECE]
            if len(stack) < size + len(piece):  # a long residue
                stack = np.concatenate([stack[:size], np.empty(2 * size + len(piece))])
            size, found = kernels.count(piece, stack, size, ranges[closed:], means[closed:])
            closed += found
        self._stack = stack[:size].copy()
        self.samples += len(values)
        cycles = Cycles(range=ranges[:closed].copy(), mean=means[:closed].copy(), count=np.ones(closed))
        if self.keep and closed:
            self._closed.append(cycles)
        return cycles

    @property
    def residue(self) -> FloatArray:
        """Turning points of what is open, in order; the last is the last sample."""
        return self._stack.copy()

    def rest(self, residue: Residue = "half") -> Cycles:
        """What is open as cycles.

        Parameters
        ----------
        residue : "half", "repeated" or "none"
            Each range between turning points as half a cycle (ASTM E1049, a history that happens once); the
            cycles that close when the history is repeated; or nothing.
        """
        if residue == "half":
            a, b = self._stack[:-1], self._stack[1:]
            with np.errstate(over="ignore"):  # told by Cycles
                ranges = np.abs(b - a)
            return Cycles(range=ranges, mean=0.5 * (a + b), count=np.full(len(a), 0.5))
        if residue == "repeated":
            again = Rainflow()
            again.push(np.concatenate([self._stack, self._stack]))
            return again.cycles("none")
        if residue == "none":
            return Cycles.together([])
        raise FatigueError(f"residue is {residue!r}; it is 'half', 'repeated' or 'none'")

    def cycles(self, residue: Residue = "half") -> Cycles:
        """All cycles so far, the open ones counted as `rest` says.

        Raises
        ------
        FatigueError
            If the counter was told not to keep them.
        """
        if not self.keep:
            raise FatigueError(
                "this Rainflow keeps no cycles (keep=False): add up what push returns, then rest()"
            )
        self._closed = [Cycles.together(self._closed)]
        return self._closed[0] if residue == "none" else Cycles.together([*self._closed, self.rest(residue)])

    def _plain_fields(self) -> dict[str, Any]:
        return {
            "keep": self.keep,
            "stack": self._stack,
            "closed": Cycles.together(self._closed),
            "samples": self.samples,
        }

    @classmethod
    def _from_plain(cls, fields: dict[str, Any]) -> Self:
        counter = cls(keep=bool(fields["keep"]))
        counter._stack = series(fields["stack"])
        counter._closed = [fields["closed"]]
        counter.samples = int(fields["samples"])
        return counter

    def __repr__(self) -> str:
        return f"Rainflow({self.samples:,} samples, {len(self._stack)} turning points open)"


def rainflow(history: Any, *, residue: Residue = "half") -> Cycles:
    """The rainflow cycles of a history.

    Parameters
    ----------
    history : float64[n]
        Samples in order of time, of any unit.
    residue : "half", "repeated" or "none"
        What does not close: half cycles (ASTM E1049); closed by repeating the history; or left out.

    Returns
    -------
    Cycles
        Range, mean and count, in the order of closing, what is left over last.

    Raises
    ------
    FatigueError
        If a sample is no finite number, or there are fewer than two.

    Source: ASTM E1049-85 (2017), 5.4.4.
    """
    values = series(history)
    if len(values) < 2:
        raise FatigueError(f"a history of {len(values)} sample has no cycle; two or more are wanted")
    counter = Rainflow()
    counter.push(values)
    return counter.cycles(residue)


def series(samples: Any, *, first: int = 0) -> FloatArray:
    """Samples as float64[n], all finite; errors count samples from `first`."""
    try:
        values: FloatArray = np.ascontiguousarray(np.atleast_1d(np.asarray(samples, dtype=np.float64)))
    except (TypeError, ValueError) as error:
        raise FatigueError(f"a history is a row of numbers; got {type(samples).__name__}: {error}") from None
    if values.ndim != 1:
        raise FatigueError(f"a history is a row of numbers; got an array of shape {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise FatigueError(
            f"{len(bad)} of {len(values)} samples are no finite number, the first is sample "
            f"{first + int(bad[0])} ({values[bad[0]]}); clean the history before it is counted"
        )
    return values
