"""Modes of rings: the lowest of every number of nodal diameters, found one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from designtwin.assembly.cyclic import CyclicDynamics
from designtwin.errors import ModelError
from designtwin.progress import Progress
from designtwin.solvers.eigen import CLUSTER, Eigenpairs, eigenpairs
from designtwin.solvers.solution import LinearSolver


def cyclic_pairs(
    equations: CyclicDynamics, *, count: int | None = None, up_to: float | None = None,
    solver: LinearSolver | None = None, progress: Progress | None = None,
) -> Eigenpairs:  # fmt: skip
    """Lowest pairs of all harmonic indices of a ring; arguments as in `eigenpairs`.

    Where a count is wanted, each index is asked for its share of it, and again for twice as many as long as
    its last pair is among the lowest of all.
    """
    elastic = {
        h: int(equations.sub(h).free.sum()) - equations.sub(h).rigid.shape[1] for h in equations.harmonics
    }
    moving = [h for h in equations.harmonics if elastic[h]]
    if not moving:
        raise ModelError("nothing can vibrate: supports hold every node, or what is free moves rigidly")

    def pairs(h: int, number: int | None) -> Eigenpairs:
        sub = equations.sub(h)
        return eigenpairs(
            sub.system(), sub.system(0.0, 1.0), count=number, up_to=up_to if number is None else None,
            rigid=sub.rigid, solver=solver, progress=progress,
        )  # fmt: skip

    found: dict[int, Eigenpairs] = {}
    if count is None:
        found = {h: pairs(h, None) for h in moving}
    else:
        asked = {h: min(elastic[h], max(4, -(-2 * count // len(moving)))) for h in moving}
        while asked:
            found |= {h: pairs(h, number) for h, number in asked.items()}
            known = np.sort(np.concatenate([one.values for one in found.values()]))
            last = known[count - 1] if len(known) >= count else np.inf
            asked = {
                h: min(elastic[h], 2 * len(one.values)) for h, one in found.items()
                if len(one.values) < elastic[h] and one.values[-1] <= last
            }  # fmt: skip
    return _together(equations, found, count)


def _together(equations: CyclicDynamics, found: dict[int, Eigenpairs], count: int | None) -> Eigenpairs:
    """Pairs of all indices, the lowest first; a cluster of equal values is not cut."""
    values = np.concatenate([one.values for one in found.values()])
    owner = np.concatenate([np.full(len(one.values), h) for h, one in found.items()])
    column = np.concatenate([np.arange(len(one.values)) for one in found.values()])
    order = np.argsort(values, kind="stable")
    if count is not None and len(order) > count:
        top = float(values[order[count - 1]]) * (1.0 + CLUSTER)
        order = order[: int(np.searchsorted(values[order], top, side="right"))]
    vectors = np.zeros((equations.size, len(order)))
    for i, k in enumerate(order):
        h = int(owner[k])
        vectors[equations.rows(h), i] = found[h].vectors[:, column[k]] / np.sqrt(equations.share(h))
    seconds: dict[str, float] = {}
    for one in found.values():
        for phase, spent in one.seconds.items():
            seconds[phase] = seconds.get(phase, 0.0) + spent
    each = list(found.values())
    how = dict.fromkeys(one.checked.partition(":")[0] for one in each)
    return replace(
        each[-1], values=values[order], vectors=vectors,
        residuals=np.concatenate([one.residuals for one in each])[order], seconds=seconds,
        iterations=sum(one.iterations for one in each),
        notes=tuple(dict.fromkeys(note for one in each for note in one.notes)),
        checked=f"{len(each)} harmonic indices, each: {', or '.join(how)}",
    )  # fmt: skip
