"""Tests that refine their mesh where it matters, until every requirement can be told or a budget ends."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from designtwin.criteria.singular import (
    Suspicion,
    bend,
    corner_exponent,
    grows,
    suspects,
    suspicion,
)
from designtwin.criteria.verdict import Round, Verdict
from designtwin.elements import ELEMENTS
from designtwin.errors import DesignTwinError, ModelError, RequirementError, SelectionError
from designtwin.mesh import Group, Mesh
from designtwin.mesh.refine import Refined, refine
from designtwin.mesh.selections import Ids, InGroup, Selection, ids, select
from designtwin.mesh.surface import surface_of
from designtwin.model.connections import CyclicSymmetry, Periodic
from designtwin.model.magnitude import Magnitude
from designtwin.model.model import Combination, Model
from designtwin.plain import Plain
from designtwin.requirements import CANNOT_TELL, FAIL, FieldQuantity, Outcome, Quantity, Requirement, Value
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.units import show_time, to_si

if TYPE_CHECKING:
    from designtwin.prototype.tests import PrototypeTest

WAYS = ("auto", "uniform")
_BULK = 0.5
"""Share of the estimated error that the cells to be refined hold together (Dörfler 1996)."""
_ELSEWHERE = 0.3
"""Share of it that is refined in any case where a peak governs: a coarse mesh may not know yet where."""
_FEWEST = 0.05
"""Share of all cells refined in a round at least: rounds of a few cells each cost a solve each."""
_MOST = 0.5
"""Share of cells from which all are refined."""
_NARROW = 0.005
"""Half-width of a peak's interval, as a share of it, from which one mesh alone is believed."""
_EXPLAINED = 0.75
"""Share of an estimate by which halving the cells may move a peak: an error that falls with the square of the
size is three quarters gone then."""
_CELLS_APART = 2
"""Cells of the given mesh around what may be singular, in which nothing is judged beside it."""
_ROUND = 1e-4
"""Share of a value below which bends of the given mesh are not worth a word."""
_SAFETY = 2.0
"""Factor on what Richardson's extrapolation says is left (Roache's grid convergence index asks for 1.25)."""
_STEP = 0.75
"""Share of the change before the last that is left at least: recovered values pass their limit underway, and
their last change may be small by chance."""
_RATIOS = 0.5, 0.7
"""Of successive changes: no smaller one is believed, and from the larger one on nothing is extrapolated."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What refinement may take.

    Parameters
    ----------
    unknowns : int
        No mesh of more.
    seconds : float
        No round that would end later, as far as can be foreseen.
    rounds : int
        No more meshes than this beyond the given one.
    """

    unknowns: int
    seconds: float
    rounds: int

    @classmethod
    def of(cls, unknowns: Any, seconds: Any, rounds: Any) -> Budget:
        """From what a user wrote.

        Raises
        ------
        ModelError
            If one is no number above zero.
        """
        for name, given in (("max_unknowns", unknowns), ("max_rounds", rounds)):
            if isinstance(given, bool) or not isinstance(given, int) or given < 1:
                raise ModelError(f"{name} is {given!r}; a whole number of 1 or more is wanted")
        limit = to_si(seconds, "time", name="max_time")
        if not isinstance(limit, float) or not limit > 0.0:
            raise ModelError(f"max_time is {seconds!r}; a time above zero is wanted, as '5 min'")
        return cls(unknowns=unknowns, seconds=limit, rounds=rounds)


@dataclass
class _Course:
    """What the rounds said of one requirement."""

    values: list[Value] = field(default_factory=list)
    told: list[Value] = field(default_factory=list)
    """The same as it stands in the verdict."""
    peaks: list[float] = field(default_factory=list)
    suspicion: Suspicion | None = None
    dismissed: bool = False
    singular: Value | None = None
    peak: bool = False

    @property
    def pending(self) -> bool:
        """Whether growth of the peak still has to be looked at."""
        return self.suspicion is not None and not self.dismissed and self.singular is None

    @property
    def confirmed(self) -> bool:
        """Whether the estimate of a peak can be believed: meshes that miss a notch know nothing of it.

        It is narrow, or halving the cells moved the peak by less than three quarters of what was estimated.
        """
        last = self.values[-1]
        if not self.peak or self.singular is not None or not math.isfinite(last.value):
            return True
        if last.error <= _NARROW * abs(last.value):
            return True
        if len(self.values) < 2:
            return False
        earlier = self.values[-2]
        return abs(last.value - earlier.value) <= _EXPLAINED * earlier.error


def refined_until_told(test: PrototypeTest, how: str, budget: Budget) -> Verdict:
    """Run a test on finer and finer meshes until every requirement can be told.

    Parameters
    ----------
    test : PrototypeTest
    how : str
        "auto": in the places that leave requirements undecided where the mesh allows it, else "uniform".
    budget : Budget

    Returns
    -------
    Verdict
        Of the last mesh, with its rounds, and a note on what ended them.
    """
    start = time.perf_counter()
    courses = [_Course() for _ in test.requirements]
    rounds: list[Round] = []
    way, notes = "as given", list(_facets_told(test.model.mesh))
    given: Any = None
    while True:
        began, worked = time.perf_counter(), time.process_time()
        verdict = test.judged(test._solve(), hints=False)
        ways = [*(one.how for one in rounds), way]
        given = verdict.result if given is None else given
        rows = _rows(verdict, courses, ways, given)
        took = time.perf_counter() - began
        rounds.append(_round(way, verdict, rows, took))
        end = _ended(rows, courses, rounds, budget)
        worked = min(took, time.process_time() - worked)
        step = end or _next(test, verdict, rows, courses, how, budget, start, rounds, worked)
        if isinstance(step, str):
            notes.append(step)
            break
        test, way = step
    rounds = [_without_numbers(one, courses) for one in rounds]
    return replace(
        verdict,
        rows=tuple(rows),
        rounds=tuple(rounds),
        notes=(*verdict.notes, *notes),
        seconds=time.perf_counter() - start,
    )


def _round(way: str, verdict: Verdict, rows: Sequence[Outcome], seconds: float) -> Round:
    checks = verdict.checks
    return Round(
        how=way, n_cells=verdict.result.model.mesh.n_cells, n_dof=checks["n_dof"], rows=tuple(rows),
        seconds=seconds,
    )  # fmt: skip


def _without_numbers(one: Round, courses: Sequence[_Course]) -> Round:
    """A round in which what turned out singular has no number either."""
    rows = tuple(
        row if course.singular is None or row.beside is not None else row.requirement.outcome(course.singular)
        for row, course in zip(one.rows, courses, strict=True)
    )
    return replace(one, rows=rows)


# What the rounds say together


def _rows(verdict: Verdict, courses: Sequence[_Course], ways: Sequence[str], given: Any) -> list[Outcome]:
    """Outcomes by all rounds: singular where a peak grows, narrower where they converge, wider by what the
    faces of the given mesh are worth."""
    rows = []
    for row, course in zip(verdict.rows, courses, strict=True):
        if course.singular is None:
            _look(verdict, row, course)
        value = row.value
        if course.singular is not None:
            value = course.singular
        elif row.status == CANNOT_TELL and "local" not in ways and _of_one_place(verdict.result, row):
            value = extrapolated(course.values)
        if course.peak:
            value = calibrated(value, course.values)
        value = _as_round_as_given(value, row, given, len(ways) - 1)
        course.told.append(value)
        outcome = row.requirement.outcome(value)
        if course.singular is not None:
            outcome = _failing_elsewhere(outcome, verdict.result, given, len(ways) - 1) or outcome
        if outcome.status == CANNOT_TELL and course.pending:
            assert course.suspicion is not None
            outcome = replace(outcome, reason=f"{outcome.reason}; {_open_doubt(course)}")
        rows.append(outcome)
    return rows


def _failing_elsewhere(row: Outcome, result: Any, given: Any, halvings: int) -> Outcome | None:
    """A requirement whose peak has no bound, judged clear of what may have none; None unless that fails.

    What meets the limit there proves nothing. The surroundings left out are cells of the given mesh: finer
    ones would creep up to the corner, where any limit is passed at last.
    """
    quantity = row.requirement.quantity
    if given.physics != "static" or not isinstance(quantity, FieldQuantity):
        return None
    left_out = ids(nodes=np.flatnonzero(_beside_suspects(quantity, result, given)))
    excluding = left_out if quantity.excluding is None else quantity.excluding | left_out
    try:
        found = replace(row.requirement, quantity=replace(quantity, excluding=excluding)).judge(result)
    except RequirementError:  # nothing is left
        return None
    value = _as_round_as_given(found.value, row, given, halvings)
    if row.requirement.status(value) != FAIL:
        return None
    surroundings = f"within {_CELLS_APART} cells of what may be singular"
    note = (
        f"{row.value.note}. The rest fails, too: judged without what is {surroundings}, cells as on the "
        "mesh as given"
    )
    return replace(
        row.requirement.outcome(replace(value, note="; ".join(filter(None, (value.note, note))))),
        excluded=", ".join(filter(None, (row.excluded, surroundings))),
        beside=row.value,
    )


def _beside_suspects(quantity: FieldQuantity, result: Any, given: Any) -> BoolArray:
    """Mesh points within a few cells of the given mesh of what may leave stress without bound there."""
    mesh = given.model.mesh
    flag = np.zeros(mesh.n_points, bool)
    for case in quantity.cases_of(given):
        flag |= suspects(given, case)
    size = np.zeros(mesh.n_points)
    for conn in mesh.cells.values():
        across = np.linalg.norm(np.ptp(mesh.points[conn], axis=1), axis=1)
        np.maximum.at(size, conn, across[:, None])
    at = np.flatnonzero(flag)
    points = result.model.mesh.points
    if not len(at):
        return np.zeros(len(points), bool)
    from scipy.spatial import cKDTree

    apart, nearest = cKDTree(mesh.points[at]).query(points)
    return np.asarray(apart <= _CELLS_APART * size[at[nearest]] * (1.0 + 1e-9))


def _as_round_as_given(value: Value, row: Outcome, given: Any, halvings: int) -> Value:
    """A value with its interval widened by what stress grows to at the bends of the given mesh.

    Finer meshes have its faces, and its exact stress is not that of the part: between facets, or parabolas,
    it grows with every halving from the second on: cells as large as a facet do not see its ends. On Kirsch's
    plate with arcs of 11 to 45 degrees, of first and second order, halved up to five times, the peak went
    beyond the truth by at most 0.86 of what is added.
    """
    quantity = row.requirement.quantity
    local = isinstance(quantity, FieldQuantity) and quantity.location == "result_points"
    if halvings < 2 or not local or getattr(quantity, "over", "") == "mean" or given.physics != "static":
        return value
    if value.singular or value.place is None or value.case not in given.cases:
        return value
    mesh = given.model.mesh
    turn = bend(given, given[value.case], _nearest(mesh, value.place.point))
    share = 2.0 ** ((halvings - 1) * corner_exponent(math.pi + turn)) - 1.0
    if share < _ROUND:
        return value
    more = share * abs(value.value)
    note = (
        f"faces meet at {math.degrees(turn):.2g}° there on the given mesh, and on finer ones of it: "
        f"{100.0 * share:.2g} % is added to the interval; a mesh that is finer along the curve adds less"
    )
    note = "; ".join(filter(None, (value.note, note)))
    return value.within(value.low - more, value.high + more, note=note)


def _nearest(mesh: Mesh, point: Sequence[float]) -> int:
    """The mesh point nearest a place."""
    used = mesh.used_nodes
    off = mesh.points[used] - np.asarray(point)
    return int(used[np.argmin(np.einsum("na,na->n", off, off))])


def _of_one_place(result: Any, row: Outcome) -> bool:
    """Whether a number is read at one place, as it is or as a mean: the interval of an extreme over many may
    end where another point could overtake it, of which its convergence says nothing."""
    quantity = row.requirement.quantity
    if not isinstance(quantity, FieldQuantity):
        return len(result.cases) == 1 or hasattr(result, "modes")
    if len(result.cases) > 1 and quantity.case is None:
        return False  # another case could overtake it, too
    if quantity.over == "mean" or getattr(quantity, "at", None) is not None:
        return True
    return quantity.on is not None and len(quantity.rows(result)) == 1


def _look(verdict: Verdict, row: Outcome, course: _Course) -> None:
    """Add a round to a course, and say whether its peak has no bound."""
    value = row.value
    course.values.append(value)
    course.peak = _peak_of_stress(verdict.result, row)
    found = peak_suspicion(verdict.result, row)
    if found is None:
        course.peaks.clear()
        course.suspicion = None
        return
    if course.suspicion is None or found.cause != course.suspicion.cause or _moved(course.values):
        course.peaks.clear()  # another place: what it grows to there begins anew
        course.dismissed = False
    course.suspicion = found
    course.peaks.append(_peak(row.requirement, value))
    grown = grows(course.peaks, found)
    if grown:
        a, b, c = course.peaks[-3:]
        course.singular = Value.without_bound(
            value,
            f"the peak{_near(value)} lies at {found.cause} and grew {b / a:.3g} and {c / b:.3g} times as the "
            f"cells there were halved twice; it has no finite value on this geometry: {found.remedy}",
        )
    course.dismissed = grown is False


def peak_suspicion(result: Any, row: Outcome, *, plain: bool = False) -> Suspicion | None:
    """What could leave a requirement's peak without bound; None for what is no peak of stress.

    With ``plain`` only what the geometry alone proves.
    """
    value = row.value
    if not _peak_of_stress(result, row) or value.place is None or value.place.node is None:
        return None
    return suspicion(result, result[value.case], value.place.node, plain=plain)


def _peak_of_stress(result: Any, row: Outcome) -> bool:
    """Whether a requirement asks for the extreme of a stress over a place."""
    quantity, value = row.requirement.quantity, row.value
    local = isinstance(quantity, FieldQuantity) and quantity.location == "result_points"
    if not local or getattr(quantity, "over", "") == "mean" or result.physics != "static":
        return False
    if value.place is None or value.case not in result.cases or not math.isfinite(value.value):
        return False
    return value.place.node is not None  # at a stated point a corner beside it is not at it


def hinted(rows: Sequence[Outcome], result: Any) -> tuple[list[Outcome], list[str]]:
    """Outcomes on one mesh with a word on peaks that may have no bound: in the reason of what cannot be told,
    as a note where a number looks as if it could be."""
    out, notes = [], []
    for row in rows:
        found = peak_suspicion(result, row, plain=True)
        if found is not None and row.status == CANNOT_TELL:
            row = replace(row, reason=f"{row.reason}; {doubt(found)}")
        elif found is not None:
            notes.append(f"{row.requirement.quantity.label}: {doubt(found)}")
        out.append(row)
    return out, list(dict.fromkeys(notes))


def doubt(found: Suspicion) -> str:
    """A suspicion in a sentence, for those who did not refine."""
    return (
        f"the peak lies at {found.cause}, where stress may have no bound: refine='auto' tells by its growth; "
        f"if it has none, {found.remedy}"
    )


def _open_doubt(course: _Course) -> str:
    """What is known so far of a peak that may have no bound."""
    assert course.suspicion is not None
    steps = " and ".join(f"{b / a:.3g}" for a, b in pairwise(course.peaks[-3:]))
    grown = f", and has grown {steps} times from mesh to mesh," if steps else ""
    return (
        f"the peak lies at {course.suspicion.cause}{grown} where stress may have no bound: further rounds "
        f"would tell; if it has none, {course.suspicion.remedy}"
    )


def _near(value: Value) -> str:
    return f" {value.place.near}" if value.place is not None and value.place.near else ""


def _moved(values: Sequence[Value]) -> bool:
    """Whether the last two peaks are of different load cases."""
    return len(values) > 1 and values[-1].case != values[-2].case


def _peak(requirement: Requirement, value: Value) -> float:
    """What grows where stress does: the value itself, or one over it where small is bad."""
    number = abs(value.value)
    if requirement.is_upper or requirement.quantity.dimension != "dimensionless":
        return number
    return 1.0 / number if number > 0.0 else math.inf


def calibrated(value: Value, values: Sequence[Value]) -> Value:
    """A value with its interval widened where the estimate on the mesh before was shown to be too small.

    Parameters
    ----------
    value : Value
        What is told of the last mesh.
    values : sequence of Value
        On all meshes, coarse to fine.

    Where halving the cells moved a peak by more than three quarters of what had been estimated, the mesh did
    not resolve it, and the next estimate is taken as many times larger.
    """
    if len(values) < 2 or values[-2].case != values[-1].case:
        return value
    earlier, last = values[-2:]
    told = _EXPLAINED * earlier.error
    moved = abs(last.value - earlier.value)
    if not (math.isfinite(moved) and math.isfinite(value.error) and told > 0.0) or moved <= told:
        return value
    more = moved / told
    return value.within(
        value.value - more * (value.value - value.low), value.value + more * (value.high - value.value)
    )


def extrapolated(values: Sequence[Value]) -> Value:
    """The last of several values, its interval narrowed by how they converge.

    Parameters
    ----------
    values : sequence of Value
        On meshes that halve every cell each time, coarse to fine.

    Returns
    -------
    Value
        Where the last three change ever less, what is left is a geometric series of their changes
        (Richardson 1911; Aitken 1926), taken at least as slow as first order and twice. It counts where the
        interval of the last mesh agrees with it, and only narrows that. On LE1, LE10, Kirsch's plate, Cook's
        membrane and Lame's sphere it narrowed 90 of 512 intervals, to 0.74 of their width in the median, and
        none of them past the truth.

    Source: Roache, J. Fluids Eng. 116 (1994); Celik et al., J. Fluids Eng. 130 (2008) 078001.
    """
    last = values[-1]
    if len(values) < 3 or any(not math.isfinite(v.value) for v in values[-3:]):
        return last
    if not (math.isfinite(last.low) and math.isfinite(last.high)):
        return last
    first, second, third = (v.value for v in values[-3:])
    before, now = second - first, third - second
    least, most = _RATIOS
    if before == 0.0 or not 0.0 < now / before < most:
        return last
    ratio = now / before
    limit = third + now * ratio / (1.0 - ratio)
    if not last.low <= limit <= last.high:
        return last
    slow = max(ratio, least)
    half = max(_SAFETY * abs(now) * slow / (1.0 - slow), _STEP * abs(before))
    low, high = max(last.low, third - half), min(last.high, third + half)
    narrowed = last.within(low, high)
    return narrowed if high - low < last.high - last.low else last


# Whether to go on, and how


def _ended(
    rows: Sequence[Outcome], courses: Sequence[_Course], rounds: Sequence[Round], budget: Budget
) -> str:
    """Why no further mesh is wanted, a sentence; "" where one is."""
    times = len(rounds) - 1
    how_often = {0: "no refinement was needed", 1: "refined once"}.get(times, f"refined {times} times")
    open_ = [i for i, row in enumerate(rows) if _helps(row)]
    if all(course.confirmed and not course.pending for course in courses):
        left = sum(row.status == CANNOT_TELL for row in rows)
        if not left:
            return f"{how_often}: every requirement can be told"
        if not open_:
            return f"{how_often}: no finer mesh would tell more ({left} of {len(rows)} requirements open)"
        if all(_stuck(courses[i].told) for i in open_):
            names = ", ".join(rows[i].requirement.quantity.label for i in open_)
            return (
                f"{how_often}: the interval of {names} does not get narrower: the error of something "
                "without bound is felt there, such as a force on a point or a sharp corner, or the faces of "
                "the given mesh are no rounder than this"
            )
    if times >= budget.rounds:
        return _stopped(how_often, rows, courses, f"max_rounds is {budget.rounds}")
    return ""


def _stuck(values: Sequence[Value]) -> bool:
    """Whether the last two rounds narrowed an interval by nothing while its middle stood still."""
    if len(values) < 3:
        return False
    first, second, third = (value.high - value.low for value in values[-3:])
    still = all(abs(b.value - a.value) < 0.05 * third for a, b in pairwise(values[-3:]))
    return still and third > 0.98 * second and second > 0.98 * first


def _stopped(how_often: str, rows: Sequence[Outcome], courses: Sequence[_Course], why: str) -> str:
    left = sum(row.status == CANNOT_TELL for row in rows)
    unsure = sum(course.pending or not course.confirmed for course in courses)
    what = [f"{left} of {len(rows)} requirements open"] if left else []
    if unsure:
        what.append(f"{unsure} peak{'s' * (unsure > 1)} of stress not followed to the end")
    return f"{how_often}, and the budget ended: {why}; {', '.join(what)}"


def _helps(row: Outcome) -> bool:
    """Whether a finer mesh can decide a requirement."""
    value = row.value
    return (
        row.status == CANNOT_TELL
        and not value.singular
        and math.isfinite(value.value)
        and not (math.isnan(value.low) or math.isnan(value.high))
    )


def _next(
    test: PrototypeTest, verdict: Verdict, rows: Sequence[Outcome], courses: Sequence[_Course], how: str,
    budget: Budget, start: float, rounds: Sequence[Round], worked: float,
) -> tuple[PrototypeTest, str] | str:  # fmt: skip
    """The test on a finer mesh and how that came about, or why there is none.

    `worked` is what the last round took, s, without what others took of the machine meanwhile.
    """
    times = len(rounds) - 1
    how_often = {0: "not refined", 1: "refined once"}.get(times, f"refined {times} times")
    cells = _where(test, verdict, rows, courses) if how == "auto" else None
    spent = time.perf_counter() - start
    n_dof = rounds[-1].n_dof
    children = 2.0**test.model.mesh.dimension
    if cells is None and n_dof * children * 0.7 > budget.unknowns:
        why = f"the next mesh would have about {n_dof * children:,.0f} unknowns, and max_unknowns is"
        return _stopped(how_often, rows, courses, f"{why} {budget.unknowns:,}")
    try:
        finer, fine = carried(test, cells)
    except DesignTwinError as error:
        return f"{how_often}, and not further: {error}"
    mesh = test.model.mesh
    growth = fine.mesh.n_points / mesh.n_points
    if n_dof * growth > budget.unknowns:
        why = f"the next mesh would have about {n_dof * growth:,.0f} unknowns, and max_unknowns is"
        return _stopped(how_often, rows, courses, f"{why} {budget.unknowns:,}")
    more = worked * growth**1.2
    if spent + more > budget.seconds:
        why = f"the next mesh would take about {show_time(more)} more, and max_time is"
        return _stopped(how_often, rows, courses, f"{why} {show_time(budget.seconds)}")
    return finer, fine.how


def _where(
    test: PrototypeTest, verdict: Verdict, rows: Sequence[Outcome], courses: Sequence[_Course]
) -> IntArray | None:
    """Cells to be refined for all that is open; None for all cells."""
    model, mesh = test.model, test.model.mesh
    if any(ELEMENTS[name].linear not in ("line", "triangle", "tetra") for name in mesh.cells):
        return None
    if any(isinstance(one, Periodic | CyclicSymmetry) for one in model.connections):
        return None  # faces that belong together have to stay alike
    marked = np.zeros(mesh.n_cells, bool)
    estimated: dict[str, FloatArray | None] = {}
    for row, course in zip(rows, courses, strict=True):
        if not (_helps(row) or course.pending or not course.confirmed):
            continue
        case, place = row.value.case, row.value.place
        if case is None or case not in verdict.result.cases:
            return None  # it has no place and no case: everything counts
        if case not in estimated:
            estimated[case] = test._error_by_cell(verdict.result, case)
        found = estimated[case]
        if found is None:
            return None
        if place is not None:
            marked |= _around(mesh, row.value)
            if _local(row):
                marked |= _bulk(found, _ELSEWHERE, fewest=0.0)
                found = felt_at(mesh, found, place.point)
        marked |= _undecided(verdict.result, row) | _bulk(found)
    return None if marked.mean() > _MOST or not marked.any() else np.flatnonzero(marked)


def _local(row: Outcome) -> bool:
    """Whether a requirement is about a field of stress, point by point."""
    quantity = row.requirement.quantity
    local = isinstance(quantity, FieldQuantity) and quantity.location == "result_points"
    return local and getattr(quantity, "over", "") != "mean"


def felt_at(mesh: Mesh, energy: FloatArray, point: Sequence[float]) -> FloatArray:
    """How much of the error in each cell is felt in the stress at a point, float64[n_cells], any scale.

    Parameters
    ----------
    energy : float64[n_cells]
        Share of each cell in the energy of the error.

    Of a dual weighted residual: the displacement by a dipole of forces at the point falls with the distance r
    to the power of 1 - d in d dimensions, and what cells of size h and degree p cannot follow of it, in the
    norm of energy, is as h^(p + d/2) / r^(d + p).

    Source: Becker and Rannacher, Acta Numerica 10 (2001); Demlow, Math. Comp. 73 (2004), for its decay.
    """
    d, p = mesh.dimension, min(ELEMENTS[name].degree for name in mesh.cells)
    size = np.abs(mesh.cell_measures()) ** (1.0 / d)
    apart = np.linalg.norm(mesh.cell_centers - np.asarray(point), axis=1) + size
    return np.asarray(np.sqrt(energy) * size ** (p + 0.5 * d) / apart ** (d + p))


def _around(mesh: Mesh, value: Value) -> BoolArray:
    """Cells around the place of a value, and those that touch them."""
    assert value.place is not None
    node = value.place.node
    if node is None:
        node = _nearest(mesh, value.place.point)
    near = np.zeros(mesh.n_points, bool)
    near[node] = True
    for _ in range(2):
        cells = _touching(mesh, near)
        near[mesh.nodes_of_cells(np.flatnonzero(cells))] = True
    return cells


def _touching(mesh: Mesh, flag: BoolArray) -> BoolArray:
    """Cells with a node that carries the flag."""
    return np.concatenate([flag[conn].any(axis=1) for conn in mesh.cells.values()])


def _undecided(result: Any, row: Outcome) -> BoolArray:
    """Cells at which the interval of a local quantity holds the limit."""
    quantity, mesh = row.requirement.quantity, result.model.mesh
    nothing = np.zeros(mesh.n_cells, bool)
    if not _local(row) or getattr(quantity, "at", None) is not None:
        return nothing
    case = result[row.value.case]
    if len(case.frames) > 1:
        return nothing
    assert isinstance(quantity, FieldQuantity)
    band = quantity.rough_band(result, case)
    limit = row.requirement.limit
    flag = np.zeros(mesh.n_points, bool)
    flag[result.points.node[band.rows[(band.low <= limit) & (band.high >= limit)]]] = True
    return _touching(mesh, flag)


def error_by_cell(result: Any, name: str) -> FloatArray | None:
    """Share of each cell in the energy of the error of a case; None where it is not known by cells."""
    try:
        found = result[name].error_by_cell()
    except DesignTwinError:
        return None
    if result.physics == "static":
        for part in result.model.parts:
            modulus = part.section.material.axial_modulus()
            found[part.cells] /= float(np.mean(np.asarray(modulus)))
    return np.asarray(found)


def _bulk(indicator: FloatArray, share: float = _BULK, fewest: float = _FEWEST) -> BoolArray:
    """The fewest cells that hold a share of the error, but no fewer than pays."""
    order = np.argsort(-indicator, kind="stable")
    held = np.cumsum(indicator[order])
    count = int(np.searchsorted(held, share * held[-1])) + 1
    out = np.zeros(len(indicator), bool)
    out[order[: max(count, math.ceil(fewest * len(order)))]] = True
    return out


def _facets_told(mesh: Mesh) -> Iterator[str]:
    """A note where first-order cells stand for curved faces: no refinement makes these rounder."""
    flat = [name for name in mesh.cells if ELEMENTS[name].degree == 1 and ELEMENTS[name].dimension > 1]
    if not flat or mesh.dimension < 2:
        return
    _, turn = surface_of(mesh).pairs
    bent = (turn > np.deg2rad(1.0)) & (turn < np.deg2rad(50.0))
    if bent.any():
        yield (
            f"curved faces of {flat[0]} cells stay the facets they are on finer meshes; intervals are about "
            "that part, with corners between facets. Cells with nodes on their edges follow the curve"
        )


# The same test on a finer mesh


def carried(test: PrototypeTest, cells: IntArray | None) -> tuple[PrototypeTest, Refined]:
    """A test on a finer mesh of its model; what is stated stays the same.

    Rules find their places anew. What is stated node by node is carried over by the shape functions, and
    numbers of nodes, facets and cells by the cells they lie in.

    Raises
    ------
    DesignTwinError
        If a rule finds nothing on the finer mesh, or a face of another size.
    """
    model = test.model
    numbered = _numbered([*_stated(model), *test.requirements])
    names = {one: f"\x00{i}" for i, one in enumerate(numbered)}
    groups = {names[one]: Group(_own(one.nodes), _own(one.facets), _own(one.cells)) for one in numbered}
    fine = refine(model.mesh.with_groups(groups), cells)
    new_ids: dict[Ids, Selection] = {}
    for one in numbered:
        group = fine.mesh.groups[names[one]]
        new_ids[one] = ids(
            nodes=() if group.nodes is None else group.nodes,
            facets=() if group.facets is None else group.facets,
            cells=() if group.cells is None else group.cells,
        )
    kept = {name: group for name, group in fine.mesh.groups.items() if not name.startswith("\x00")}
    fine = replace(fine, mesh=replace(fine.mesh, groups=kept), coarse=model.mesh)

    def change(item: Any) -> Any:
        if isinstance(item, Ids):
            return new_ids[item]
        if isinstance(item, Magnitude) and item.kind == "nodal" and item.values is not None:
            values = item.values if item.over is None else np.moveaxis(item.values, 0, -1)
            new = fine.carried(values)
            new = new if item.over is None else np.ascontiguousarray(np.moveaxis(new, -1, 0))
            new.setflags(write=False)
            return replace(item, values=new)
        return None

    finer = _on(model, fine.mesh, change)
    _same_places(model, finer)
    requirements = tuple(_rewritten(one, change) for one in test.requirements)
    return replace(test, model=finer, requirements=requirements), fine


def _own(given: Any) -> IntArray | None:
    return np.array(given, np.int64) if len(given) else None


def _stated(model: Model) -> list[Any]:
    """Everything a model states beside its mesh."""
    items = [item for case in model.cases.values() for item in case.items]
    return [*model.materials, *model.materials.values(), *model.supports, *model.heat_supports,
            *items, *model.connections]  # fmt: skip


def _on(model: Model, mesh: Mesh, change: Callable[[Any], Any]) -> Model:
    """The model on another mesh, its items rewritten."""

    def new(item: Any) -> Any:
        return _rewritten(item, change)

    return model.with_(
        mesh=mesh,
        materials={new(on): new(section) for on, section in model.materials.items()},
        supports=[new(one) for one in (*model.supports, *model.heat_supports)],
        load_cases={
            name: items if isinstance(items, Combination) else [new(item) for item in model.cases[name].items]
            for name, items in model.load_cases.items()
        },
        connections=[new(one) for one in model.connections],
    )


def _rewritten(item: Any, change: Callable[[Any], Any]) -> Any:
    """An item with parts of it replaced by what ``change`` says; itself where nothing changes."""
    changed = change(item)
    if changed is not None:
        return changed
    if isinstance(item, tuple):
        new = tuple(_rewritten(one, change) for one in item)
        return new if any(a is not b for a, b in zip(new, item, strict=True)) else item
    if isinstance(item, Mapping):
        found = {key: _rewritten(one, change) for key, one in item.items()}
        return found if any(found[key] is not item[key] for key in item) else item
    if not isinstance(item, Plain):
        return item
    fields = {f.name: getattr(item, f.name) for f in dataclasses.fields(cast(Any, item)) if f.init}
    changes = {name: _rewritten(one, change) for name, one in fields.items()}
    changes = {name: one for name, one in changes.items() if one is not fields[name]}
    return replace(cast(Any, item), **changes) if changes else item


def _numbered(items: Sequence[Any]) -> list[Ids]:
    """Selections by numbers among items, each once."""
    seen: dict[Ids, None] = {}

    def look(item: Any) -> None:
        if isinstance(item, Ids):
            seen[item] = None

    for item in items:
        _rewritten(item, look)
    return list(seen)


def _same_places(model: Model, finer: Model) -> None:
    """Raise where a rule finds a face of another size on the finer mesh: it would be another load."""
    for old, new in zip(_stated(model), _stated(finer), strict=True):
        on, on_new = getattr(old, "on", None), getattr(new, "on", None)
        if on is None or on_new is None or isinstance(on, Ids):
            continue
        a, b = _area(model.mesh, select(on)), _area(finer.mesh, select(on_new))
        if a > 0.0 and not 0.8 < b / a < 1.25:
            raise SelectionError(
                f"{on} finds {b / a:.2f} times the area on the finer mesh; name that face by a group of the "
                "mesh, which stays the same"
            )


def _area(mesh: Mesh, on: Selection) -> float:
    return float(np.linalg.norm(mesh.facet_vectors(on.resolve(mesh).facets)[0], axis=1).sum())


# --- the same test on moved points ------------------------------------------------------------------------


def bound(test: PrototypeTest, quantity: Quantity) -> tuple[PrototypeTest, Quantity]:
    """A test and a quantity whose rules are replaced by the nodes, facets and cells they find; groups stay.

    For a mesh whose points are about to move: a cylinder that is none any more is still the same face.
    """
    mesh = test.model.mesh

    def change(item: Any) -> Any:
        if not isinstance(item, Selection) or isinstance(item, Ids | InGroup):
            return None
        found = item.resolve(mesh)
        return ids(nodes=found.nodes, facets=found.facets, cells=found.cells)

    requirements = tuple(_rewritten(one, change) for one in test.requirements)
    bound_test = replace(test, model=_on(test.model, mesh, change), requirements=requirements)
    return bound_test, cast(Quantity, _rewritten(quantity, change))
