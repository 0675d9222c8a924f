"""Unit load cases for damage: the stress that each load channel makes at the surface, solved for at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from designtwin.analysis.static import check_arguments, solve_static
from designtwin.errors import ModelError, did_you_mean
from designtwin.mesh.selections import Selection, exterior
from designtwin.model.model import Model
from designtwin.requirements.lines import HotSpotStress
from designtwin.results import StaticCase, StaticResult
from designtwin.results.life import UnitStress
from designtwin.results.places import region_rows
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.results.recovery import ResultPoints
    from designtwin.solvers.solution import LinearSolver

Reader: TypeAlias = Callable[[StaticCase], "tuple[FloatArray, FloatArray]"]
"""A case to stress float64[k, 6] and half-width float64[k] at the points that count."""


def check_unit_cases(model: Model, channels: Mapping[str, str], constant: Sequence[str] = ()) -> None:
    """Raise ModelError unless the load cases can be superposed.

    Parameters
    ----------
    model : Model
    channels : mapping of channel to load case
    constant : sequence of load cases
    """
    if not channels:
        raise ModelError("no channel is given; say which load case each column of the log scales")
    known = [*model.cases, *model.combinations]
    asked = [(f"channel {name!r}", case) for name, case in channels.items()]
    for who, name in (*asked, *(("constant", case) for case in constant)):
        if name not in known:
            hint = did_you_mean(str(name), known, n=2) or "."
            raise ModelError(
                f"{who}: there is no load case {name!r}{hint} The model has: {', '.join(known) or 'none'}"
            )
    both = set(channels.values()) & set(constant)
    if both:
        raise ModelError(f"case {min(both)!r} is constant and of a channel too; it would count twice")
    used = dict.fromkeys(
        part for case in (*channels.values(), *constant) for part in model.combinations.get(case, (case,))
    )
    cases = [model.cases[name] for name in used]
    for case in cases:
        if len(case.times):
            raise ModelError(
                f"case {case.name!r} has a temperature over time; damage adds up steady unit cases that a "
                "log scales"
            )
        if case.setup_key() != cases[0].setup_key():
            raise ModelError(
                f"cases {cases[0].name!r} and {case.name!r} differ in supports or stiffness, so that their "
                "stresses do not add up; state the supports with the model, and one state for all"
            )
        held = [*model.supports, *case.supports]
        if any(one.value.any() for support in held for one in support.prescribed(model)):
            raise ModelError(
                f"case {case.name!r}: a prescribed displacement other than zero acts in every unit case and "
                "would count once for each channel; use a load instead, or a support that does not move"
            )


def solve_unit_cases(
    model: Model, channels: Mapping[str, str], constant: Sequence[str] = (), *,
    toes: HotSpotStress | None = None, solver: LinearSolver | None = None, keep: bool = False,
) -> tuple[UnitStress, StaticResult]:  # fmt: skip
    """Stress at the surface by each channel's unit case, all from one set-up of the equations.

    Parameters
    ----------
    model : Model
    channels : mapping of channel to load case
        Each is solved as it is stated.
    constant : sequence of load cases
        What acts all the time, added up.
    toes : HotSpotStress, optional
        Counted is at weld toes alone, the stress across them extrapolated from beside; on the whole surface
        unless given.
    solver : LinearSolver, optional
    keep : bool
        Whether the answers hold on to factors or levels, so that `sensitivities` costs no set-up.

    Returns
    -------
    UnitStress
    StaticResult
        Of the cases that were needed.

    Raises
    ------
    ModelError
        As `check_unit_cases`.
    SingularSystemError, ConvergenceError
        As `solve_static`.
    """
    check_arguments(model, solver)
    check_unit_cases(model, channels, constant)
    wanted = dict.fromkeys((*channels.values(), *constant))
    needed = dict.fromkeys(part for case in wanted for part in model.combinations.get(case, (case,)))
    cases = {
        name: items
        for name, items in model.load_cases.items()
        if name in needed or (name in model.combinations and set(model.combinations[name]) <= set(needed))
    }
    result = solve_static(model.with_(load_cases=cases), solver=solver, keep=keep)
    stress, error = [], []
    rows, read = _toes(model, toes, result) if toes is not None else _surface(model, result)
    groups = tuple(tuple(group) for group in (*([case] for case in channels.values()), constant) if group)
    for group in groups:
        found = [read(_steady(result, name)) for name in group]
        stress.append(sum(one for one, _ in found))
        error.append(sum(half for _, half in found))
    cases_of = groups if toes is None else ()
    return UnitStress(rows, tuple(channels), np.array(stress), np.array(error), cases_of, result), result


def _surface(model: Model, result: StaticResult) -> tuple[IntArray, Reader]:
    """Rows of the surface, and what reads a case there."""
    rows = surface_rows(model, result.points)
    return rows, lambda case: (np.asarray(case.stress())[rows], case.stress_tensor_error()[rows])


def _toes(model: Model, toes: HotSpotStress, result: StaticResult) -> tuple[IntArray, Reader]:
    """Rows of weld toes, in the part from which they are read, and what reads a case there.

    The stress across the toe alone is read: it is its own signed von Mises stress.

    Raises
    ------
    ModelError
        If the toe is a point and no nodes.
    """
    if not isinstance(toes.toe, Selection):
        raise ModelError(
            "damage at weld toes is counted at nodes: name them by a group or a selection, as "
            "hot_spot_stress('toe', ...), not by a point"
        )
    at, reading, weights, _ = toes.placed(result)
    points, nodes = result.points, model.region(toes.toe).nodes
    part = points.part[reading.reshape(len(nodes), -1)[:, 0]]
    rows = np.empty(len(nodes), np.int64)
    for i, node in enumerate(nodes):
        there = points.rows_at(np.array([node]))
        rows[i] = next((row for row in there if points.part[row] == part[i]), there[0])
    along = np.outer(toes.away, toes.away)[[0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 2, 2]]
    twice = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])

    def read(case: StaticCase) -> tuple[FloatArray, FloatArray]:
        stress, half = toes.extrapolated(case, at, reading, weights)
        return (stress @ (twice * along))[:, None] * along, half

    return rows, read


def _steady(result: StaticResult, name: str) -> StaticCase:
    case = result[name]
    assert isinstance(case, StaticCase)
    return case


def surface_rows(model: Model, points: ResultPoints) -> IntArray:
    """Rows of ``points`` on the outside of a part in space; all of a plane model."""
    if model.mesh.dimension != 3:
        return np.arange(len(points))
    return np.flatnonzero(region_rows(model, points, exterior()))
