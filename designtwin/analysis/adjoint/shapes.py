"""What slopes of eigenvalues have in common: work of shapes on matrices that move, and eigenvalues that meet.

Of a simple eigenvalue, here of K phi = omega^2 M phi, d(omega^2) = phi . (dK - omega^2 dM) phi with
phi . M phi = 1: no further solve. Where r shapes share an eigenvalue it splits along a direction into the
eigenvalues of the r x r matrix of phi_i . (dK - omega^2 dM) phi_j, which are not linear in the direction; and
where two nearly meet, the lowest has all but a kink. What an optimizer follows is therefore a smooth function
of all eigenvalues nearby that does not care which of them is called the first: with e_k the elementary
symmetric polynomials of v_i^-p,

    smooth n-th value = (e_(n-1) / e_n)^(1/p),    for n = 1 the p-norm (sum of v_i^-p)^(-1/p).

Sources: Seyranian, Lund and Olhoff, Structural Optimization 8 (1994) 207-227 (repeated eigenvalues); Haftka
and Gurdal, Elements of Structural Optimization, 3rd ed. (1992), sec. 7.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from designtwin.assembly.cells import CellBlock, storage_points, storage_tables
from designtwin.assembly.directions import map_of
from designtwin.assembly.gradients import CaseCells, Strained
from designtwin.errors import TopologyError
from designtwin.model.model import LoadCase, Model
from designtwin.model.supports import InertiaRelief
from designtwin.results.sensitivity import DifferenceAction, Partials, stiffness_partials
from designtwin.typing import FloatArray

Pairs = Sequence[tuple[float, FloatArray, FloatArray]]
"""Factors and two displacements a, b float64[n_points, 3] each: the sum of factor a . A b is meant."""

SHARPNESS = 400.0
"""Exponent p: of two equal values the smooth one is 0.17 % below, two 5 % apart do not feel each other."""
NO_WEIGHT = 1e-9
"""Slope of the smooth value over one of its values below which that does not count."""
_NEAR = 0.1
"""Logarithm of the ratio within which values count as near each other; others are 4e-18 of these."""


def smooth_rank(values: FloatArray, rank: int, sharpness: float = SHARPNESS) -> tuple[float, FloatArray]:
    """A smooth function near the rank-th smallest of positive values, and its slope over each.

    It depends on the values alone and not on their order, so that it has no kink where two of them cross.

    Parameters
    ----------
    values : float64[m]
    rank : int
        1 for the smallest.

    Returns
    -------
    float
        For rank 1 no more than the smallest.
    float64[m]
        Not negative; 0 for values that are far away.
    """
    near = np.sort(values)[rank - 1]
    off = np.log(values / near)
    below = off < -_NEAR
    kept = np.flatnonzero(~below & (off < _NEAR))
    n = rank - int(below.sum())
    x = np.exp(-sharpness * off[kept])
    whole = _symmetric(x, n)
    value = float(near * (whole[n - 1] / whole[n]) ** (1.0 / sharpness))
    slope = np.zeros(len(values))
    for i, index in enumerate(kept):
        rest = _symmetric(np.delete(x, i), n - 1)
        share = rest[n - 1] / whole[n] - (rest[n - 2] / whole[n - 1] if n > 1 else 0.0)
        slope[index] = x[i] * share * value / values[index]
    return value, slope


def _symmetric(x: FloatArray, most: int) -> FloatArray:
    """Elementary symmetric polynomials e_0 to e_most of numbers, float64[most + 1]."""
    out = np.zeros(most + 1)
    out[0] = 1.0
    for one in x:
        out[1:] = out[1:] + one * out[:-1]
    return out


def state_of_shapes(state: LoadCase) -> LoadCase:
    """The state that shapes deform about: its supports, and its temperature where that sets moduli."""
    if state.stiffness_varies and state.temperature is not None:
        return replace(state, loads=(), heat_loads=())
    # A name that no load case has: nothing of a case but its supports counts.
    return LoadCase("", supports=state.supports)


def stiffness_work(model: Model, case: LoadCase, blocks: Sequence[CellBlock], pairs: Pairs) -> Partials:
    """Slope of the sum of factor a . K b of cells, springs and foundations, the displacements fixed."""
    out = Partials(model=model)
    for block in blocks:
        cells = CaseCells(model, case, block)
        for factor, a, b in pairs:
            one, other = cells.displaced(a), cells.displaced(b)
            out = out + (-factor) * stiffness_partials(model, case, cells, one, other)
            if case.temperature is not None:  # its free strain works on a too, and is no part of K
                still = Strained(np.zeros_like(b), cells.no_modes)
                out = out + factor * stiffness_partials(model, case, cells, one, still)
    if any(one.matrices(model) for one in (*model.supports, *case.supports)):
        springs = [(factor, DifferenceAction(_Springs(case, a, b))) for factor, a, b in pairs]
        out = out + Partials(model=model, actions=tuple(springs))
    return out


def mass_work(
    model: Model, blocks: Sequence[CellBlock], pairs: Pairs, form: FloatArray | None = None
) -> Partials:
    """Slope of the sum of factor a . M b of cells and point masses, the displacements fixed.

    Parameters
    ----------
    form : float64[3, 3], optional
        Symmetric; of a . form b, integrated over the mass.
    """
    density = model.cell_density("vibration")
    n_cells = model.mesh.n_cells
    points, scale, by_density = np.zeros_like(model.mesh.points), np.zeros(n_cells), np.zeros(n_cells)
    for block in blocks:
        at = storage_tables(block)
        shape, measure = storage_points(model, block)
        product = np.zeros(measure.shape)
        for factor, a, b in pairs:
            other = b if form is None else b @ form
            for k in range(model.dimension):
                product += factor * (a[block.conn, k] @ shape.T) * (other[block.conn, k] @ shape.T)
        cells = CaseCells(model, LoadCase(""), block)
        cells.add_up(cells.volume_slope(at, density[block.cells][:, None] * product), points)
        by_density[block.cells] = (product * measure).sum(axis=1)
        scale[block.cells] = density[block.cells] * by_density[block.cells] / block.scale
    actions = tuple(
        (factor, DifferenceAction(_PointMasses(a, b, form))) for factor, a, b in pairs if model.point_masses
    )
    return Partials(model=model, points=points, scale=scale, density=by_density, actions=actions)


def link_work(model: Model, case: LoadCase, shape: FloatArray, rest: FloatArray) -> Partials:
    """Slope of rest . T q: nodes of a shape that follow others, or turn with a skew support.

    Parameters
    ----------
    shape : float64[n_points, 3]
        T q.
    rest : float64[n_points, 3]
        What links and supports hold at each node.
    """
    return Partials(model=model, actions=((1.0, DifferenceAction(_Links(model, case, shape, rest))),))


@dataclass(frozen=True, eq=False)
class _Springs:
    """a . K b of springs and foundations of a model."""

    case: LoadCase
    a: FloatArray
    b: FloatArray

    def __call__(self, model: Model) -> float:
        case = model.cases.get(self.case.name, self.case)
        held = [one for support in (*model.supports, *case.supports) for one in support.matrices(model)]
        return _nodal_work(held, self.a, self.b)


@dataclass(frozen=True, eq=False)
class _PointMasses:
    """a . M b of point masses."""

    a: FloatArray
    b: FloatArray
    form: FloatArray | None

    def __call__(self, model: Model) -> float:
        masses = [one for mass in model.point_masses for one in mass.mass_matrices(model, self.form)]
        return _nodal_work(masses, self.a, self.b)


class _Links:
    """rest . T q with the q of one shape."""

    def __init__(self, model: Model, case: LoadCase, shape: FloatArray, rest: FloatArray) -> None:
        self._case, self._own = case, self._map(model, case)
        c = model.dimension
        u, turn = np.ascontiguousarray(shape[:, :c]).ravel(), self._own.turn
        q = u if turn is None else np.asarray(turn.T @ u)
        self._q = np.where(self._own.fixed, 0.0, q)
        self._rest = np.ascontiguousarray(rest[:, :c]).ravel()

    @staticmethod
    def _map(model: Model, case: LoadCase) -> Any:
        if any(isinstance(one, InertiaRelief) for one in model.supports):  # what vibrates freely is not held
            model = model.with_(supports=[s for s in model.supports if not isinstance(s, InertiaRelief)])
        return map_of(model, model.cases.get(case.name, case))

    def __call__(self, model: Model) -> float:
        map_ = self._map(model, self._case)
        if not np.array_equal(map_.fixed, self._own.fixed):
            raise TopologyError(
                "the neighboring design holds other unknowns than this one; supports that name a place by "
                "its position catch other nodes there: name a group"
            )
        return float((map_.change(self._q) * self._rest).sum())


def _nodal_work(matrices: Sequence[Any], a: FloatArray, b: FloatArray) -> float:
    total = 0.0
    for one in matrices:
        k, n = one.nodes.shape
        left, right = (field[one.nodes].reshape(k, 3 * n) for field in (a, b))
        total += float(np.einsum("ki,kij,kj->", left, one.values, right))
    return total
