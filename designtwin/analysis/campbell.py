"""Modes of a rotor from speed to speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.analysis.modal import solve_modes
from designtwin.analysis.static import check_arguments
from designtwin.errors import ModelError
from designtwin.model.loads import Centrifugal
from designtwin.model.model import Combination, Model
from designtwin.progress import track
from designtwin.results.campbell import Campbell
from designtwin.units import to_si

if TYPE_CHECKING:
    from designtwin.solvers.solution import LinearSolver

COUNT = 6
_SPARE = 4  # modes beyond those wanted at each speed, as curves cross


def campbell(
    model: Model, case: str, speeds: Sequence[Any], *, count: int = COUNT, solver: LinearSolver | None = None
) -> Campbell:
    """Find the natural frequencies of a turning part at several speeds.

    At each speed the stress of the load case stiffens the part and the turning frame softens it; Coriolis
    forces are left out.

    Parameters
    ----------
    model : Model
    case : str
        A load case with one `Centrifugal`, whose speed is varied; its other loads stay.
    speeds : sequence of angular velocities
        Two at least, ascending, such as ``["0 rpm", "3000 rpm", "6000 rpm"]``.
    count : int
        How many modes are followed.

    Raises
    ------
    ModelError
        If the case has no `Centrifugal`, or speeds do not ascend.

    Source: Bathe, Finite Element Procedures, 2nd ed. (2014), sec. 6.8.2; Campbell, Trans. ASME 46 (1924) 31.
    """
    check_arguments(model, solver)
    items = model.load_cases.get(case) if isinstance(case, str) else None
    if items is None or isinstance(items, Combination):
        raise ModelError(
            f"campbell: there is no load case {case!r}; there are: {list(model.cases) or 'none'}"
        )
    turning = [item for item in items if isinstance(item, Centrifugal)]
    if len(turning) != 1:
        raise ModelError(
            f"campbell: case {case!r} has {len(turning)} Centrifugal; one is wanted, whose speed varies"
        )
    if isinstance(speeds, str) or not isinstance(speeds, Sequence | np.ndarray) or len(speeds) < 2:
        raise ModelError("campbell: two speeds at least are wanted, such as ['0 rpm', '6000 rpm']")
    values = np.array([float(to_si(one, "angular_velocity", name="speeds")) for one in speeds])
    if not (np.isfinite(values).all() and values[0] >= 0.0 and (np.diff(values) > 0.0).all()):
        raise ModelError(f"campbell: speeds must ascend from 0 or more, got {list(speeds)}")
    found = []
    with track("Campbell diagram", total=len(values)) as progress:
        for speed in values:
            progress.step(f"{speed:.4g} rad/s")
            others = [item for item in items if not isinstance(item, Centrifugal)]
            now = [*others, replace(turning[0], speed=float(speed))] if speed > 0.0 else others
            at = model.with_(load_cases={case: now})
            loaded = at.cases[case].loads or at.cases[case].temperature is not None or at.cases[case].supports
            found.append(
                solve_modes(at, count=count + _SPARE, prestress=case if loaded else None, solver=solver).modes
            )
    return _followed(values, found, count)


def _followed(speeds: Any, found: Sequence[Any], count: int) -> Campbell:
    """Pair the modes of each speed with those before by their shapes."""
    from scipy.optimize import linear_sum_assignment

    first = found[0].n_rigid
    order = [np.arange(first, min(first + count, len(found[0])))]
    for before, after in pairwise(found):
        alike = before.mac(after)[order[-1]]
        alike[:, : after.n_rigid] = -1.0
        _, columns = linear_sum_assignment(-alike)
        order.append(columns)
    numbers = np.array(order)
    frequencies = np.array([modes.frequencies[row] for modes, row in zip(found, numbers, strict=True)])
    return Campbell(speeds, frequencies, tuple(found), numbers)
