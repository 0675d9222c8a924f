"""Values, half-widths of their intervals and true errors on published cases, six mesh sizes for each element.

``python tests/verification/intervals.py [case ...] [--nodes]`` prints them, and what sums them up; with
``--nodes`` also the share of nodes of exact fields whose intervals hold the truth.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import cases
import numpy as np
from cases import PLANE

import designtwin as dtw
from designtwin.elements import ELEMENTS
from designtwin.requirements import CANNOT_TELL, FAIL, PASS

SOLIDS = tuple(name for name, element in ELEMENTS.items() if element.dimension == 3)

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Known:
    """A quantity and the interval its true value lies in (a point but for LE10, known to three digits)."""

    quantity: dtw.Quantity
    low: float
    high: float

    def verdict(self, limit: float) -> str:
        """Whether value <= limit is true, false, or not known well enough."""
        return PASS if self.high <= limit else FAIL if self.low > limit else CANNOT_TELL

    def off(self, value: float) -> float:
        """How far a value is from the truth."""
        return max(self.low - value, value - self.high, 0.0)


def stress(component: str, at: Point, low: float, high: float | None = None) -> Known:
    return Known(dtw.stress(component, at=at), low, low if high is None else high)


def displacement(component: str, at: Point, value: float) -> Known:
    return Known(dtw.displacement(dtw.nearest(at), component, over="max"), value, value)


KNOWN: dict[str, tuple[Callable[[str, int], dtw.Model], tuple[str, ...], tuple[Known, ...]]] = {
    "D06 Cook": (
        cases.cook,
        PLANE,
        (displacement("y", (48, 52, 0), 23.9677), displacement("y", (48, 60, 0), 25.1894)),
    ),
    "D09 LE1": (
        cases.le1,
        PLANE,
        (
            stress("yy", (2, 0, 0), 92.658e6),
            stress("xx", (0, 1, 0), -7.2606e6),
            displacement("x", (2, 0, 0), -1.022085e-4),
        ),
    ),
    "D10 LE10": (cases.le10, SOLIDS, (stress("yy", (2, 0, 0.6), -5.41e6, -5.376e6),)),
    "D11a Kirsch": (
        cases.kirsch,
        (*PLANE, "tetra10", "hexahedron20"),
        (stress("yy", (1, 0, 0), 3.0), stress("xx", (0, 1, 0), -1.0), stress("principal_1", (1, 0, 0), 3.0)),
    ),
    "D11b plate": (
        cases.finite_plate,
        (*PLANE, "tetra10"),
        (stress("yy", (2, 0, 0), 3.15257), stress("xx", (0, 2, 0), -1.1189)),
    ),
    "D12 Lame": (
        cases.lame_sphere,
        SOLIDS,
        (
            displacement("x", (1, 0, 0), 4e-4),
            stress("yy", (1, 0, 0), 500e6 / 7),
            stress("yy", (2, 0, 0), 150e6 / 7),
            stress("von_mises", (1, 0, 0), 1200e6 / 7),
            stress("tresca", (1, 0, 0), 1200e6 / 7),
        ),
    ),
}


def sizes(case: str, element: str) -> tuple[int, ...]:
    """Six mesh sizes, coarse to fine."""
    linear = ELEMENTS[element].degree == 1
    if case == "D06 Cook":
        return (4, 8, 11, 17, 32, 96) if linear else (3, 5, 7, 11, 17, 33)  # odd: one triangle in the corner
    if case == "D11b plate":
        plane = element in PLANE
        return (4, 6, 8, 16, 32, 96) if linear else (2, 3, 4, 6, 8, 12) if plane else (2, 3, 4, 5, 6, 8)
    if element in PLANE:
        return (4, 8, 16, 32, 64, 256) if linear else (2, 4, 6, 8, 16, 24)
    return (4, 6, 8, 12, 16, 32) if linear else (2, 4, 6, 8, 10, 14)


@dataclass(frozen=True)
class Row:
    case: str
    element: str
    n: int
    quantity: str
    truth: float
    value: float
    low: float
    high: float
    true_error: float
    beyond: float
    """How far a limit may be off the truth and stay undecided."""
    wrong: bool
    """Whether the truth lies outside the interval."""

    @classmethod
    def of(cls, case: str, element: str, n: int, known: Known, result: dtw.StaticResult) -> Row:
        found = known.quantity.evaluate(result)
        return cls(
            case, element, n, known.quantity.label, 0.5 * (known.low + known.high), found.value,
            found.low, found.high, known.off(found.value),
            max(known.off(found.low), known.off(found.high)),
            found.low > known.high or found.high < known.low,
        )  # fmt: skip

    @property
    def half(self) -> float:
        return 0.5 * (self.high - self.low)

    def __str__(self) -> str:
        percent = 100.0 / abs(self.truth)
        return (
            f"{self.case:11s} {self.element:13s} {self.n:4d}  {self.quantity[:36]:36s} {self.value:12.5g}"
            f"  half-width {percent * self.half:8.3f} %  true error {percent * self.true_error:8.3f} %"
        )


def rows(chosen: Callable[[str], bool] = lambda case: True) -> Iterator[Row]:
    """All cases, elements, sizes and quantities."""
    for case, (build, elements, known) in KNOWN.items():
        if not chosen(case):
            continue
        for element in elements:
            for n in sizes(case, element):
                result = dtw.solve_static(build(element, n))
                for one in known:
                    yield Row.of(case, element, n, one, result)


def ratio(some: list[Row]) -> float:
    """Median of half-width over true error."""
    return statistics.median(row.half / max(row.true_error, 1e-9 * abs(row.truth)) for row in some)


def main(arguments: list[str]) -> None:
    wanted = [word for word in arguments if not word.startswith("-")]
    found: list[Row] = []
    for row in rows(lambda case: not wanted or any(word in case for word in wanted)):
        found.append(row)
        print(row, flush=True)
    print(f"\nmedian half-width over true error: {ratio(found):.2f} of {len(found)}")
    for case, (_, elements, known) in KNOWN.items():
        of_case = [row for row in found if row.case == case]
        for element in elements if of_case else ():
            some = [row for row in of_case if row.element == element]
            finest = some[-len(known) :]
            print(
                f"{case:11s} {element:13s} median {ratio(some):6.2f}, truth outside "
                f"{sum(row.wrong for row in some)} of {len(some)}, at "
                f"n = {finest[0].n} undecided within "
                + ", ".join(f"{100 * row.beyond / abs(row.truth):.2f} %" for row in finest)
            )
    if "--nodes" in arguments:
        nodes()


def nodes() -> None:
    """Share of the nodes of Kirsch's and Lame's fields whose intervals hold the exact stress."""
    for case, build, exact, elements in (
        ("Kirsch", cases.kirsch, cases.kirsch_stress, PLANE),
        ("Lame", cases.lame_sphere, cases.lame_stress, SOLIDS),
    ):
        for element in elements:
            for n in (4, 8, 12):
                covered, off = coverage(cases.solve(build(element, n)), exact)
                print(
                    f"{case:8s} {element:13s} {n:3d}  {100 * covered:6.2f} % of nodes; most off by {off:.3f}"
                )


def coverage(
    case: dtw.StaticCase, exact: Callable[[np.ndarray], np.ndarray], least: float = 0.005
) -> tuple[float, float]:
    """Share of stress components at nodes, off by more than so much of the largest stress, that lie in their
    intervals; the largest error over the largest stress."""
    truth = exact(case.points.xyz)
    level = float(np.sqrt((truth**2).sum(axis=1)).max())
    inside, counted, worst = 0, 0, 0.0
    for i, name in enumerate(("xx", "yy", "zz", "xy", "yz", "xz")):
        field = case.field(f"stress_{name}")
        assert field.interval is not None
        low, high = field.interval
        error = np.abs(field.values - truth[:, i])
        some = error > least * level
        inside += int(((low <= truth[:, i]) & (truth[:, i] <= high))[some].sum())
        counted += int(some.sum())
        worst = max(worst, float(error.max()) / level)
    return inside / counted if counted else 1.0, worst


if __name__ == "__main__":
    main(sys.argv[1:])
