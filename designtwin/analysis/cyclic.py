"""Modes of rings: the lowest of every number of nodal diameters, found one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from designtwin.assembly.cyclic import CyclicDynamics
from designtwin.progress import Progress
from designtwin.solvers.eigen import Eigenpairs, eigenpairs
from designtwin.solvers.solution import LinearSolver

_SLACK = 1e-5
"""Relative distance at which eigenvalues are one cluster, which is not cut."""


def cyclic_pairs(
    equations: CyclicDynamics, *, count: int | None = None, up_to: float | None = None,
    solver: LinearSolver | None = None, progress: Progress | None = None,
) -> Eigenpairs:  # fmt: skip
    """Lowest pairs of all harmonic indices of a ring; arguments as in `eigenpairs`.

    Each index is asked for what may still be among the lowest: up to the last one known so far.
    """
    values, columns, residuals = np.empty(0), np.empty((equations.size, 0)), np.empty(0)
    found: list[Eigenpairs] = []
    for h in equations.harmonics:
        sub = equations.sub(h)
        elastic = int(sub.free.sum()) - sub.rigid.shape[1]
        bound = up_to
        if count is not None and len(values) >= count:
            known = float(values[count - 1]) * (1.0 + _SLACK)
            bound = known if bound is None else min(bound, known)
        if not elastic:
            continue
        one = eigenpairs(
            sub.system(), sub.system(0.0, 1.0), count=None if count is None else min(count, elastic),
            up_to=bound, rigid=sub.rigid, solver=solver, progress=progress,
        )  # fmt: skip
        found.append(one)
        wide = np.zeros((equations.size, len(one.values)))
        wide[equations.rows(h)] = one.vectors / np.sqrt(equations.share(h))
        order = np.argsort(np.concatenate([values, one.values]), kind="stable")
        values = np.concatenate([values, one.values])[order]
        columns = np.hstack([columns, wide])[:, order]
        residuals = np.concatenate([residuals, one.residuals])[order]
        if count is not None and len(values) > count:
            kept = int(np.searchsorted(values, values[count - 1] * (1.0 + _SLACK), side="right"))
            values, columns, residuals = values[:kept], columns[:, :kept], residuals[:kept]
    last = found[-1]
    seconds: dict[str, float] = {}
    for one in found:
        for phase, spent in one.seconds.items():
            seconds[phase] = seconds.get(phase, 0.0) + spent
    said = dict.fromkeys(one.checked for one in found)
    return replace(
        last, values=values, vectors=columns, residuals=residuals, seconds=seconds,
        iterations=sum(one.iterations for one in found),
        notes=tuple(dict.fromkeys(note for one in found for note in one.notes)),
        checked=f"{len(found)} harmonic indices: {'; '.join(said)}",
    )  # fmt: skip
