"""Statics of a weighted model whose cells are equal bricks of one grid: by products without a matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from designtwin.assembly import CellBlock, cell_blocks
from designtwin.assembly.cells import elastic_tensors, tables
from designtwin.assembly.matrices import stiffness_of
from designtwin.errors import ModelError
from designtwin.model.model import LoadCase, Model
from designtwin.model.supports import InertiaRelief
from designtwin.solvers.solution import LinearSolver
from designtwin.solvers.voxels import VoxelCG, VoxelFactorization, VoxelSystem
from designtwin.topology.grid import VoxelGrid
from designtwin.topology.weighted import State, Statics
from designtwin.typing import BoolArray, FloatArray, IntArray

_FEWEST = 4_000
"""Cells below which a matrix is factored in less time than an iteration takes."""
_EMPTIEST = 6
"""Cells of the box around a part, over its own, beyond which most products would be with nothing."""
_EXACT = 1e-6
"""Of the edge of a cell: how far nodes may be from the grid."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A mesh as part of a grid.

    Parameters
    ----------
    grid : VoxelGrid
    cell : int64[n_cells]
        The cell of the grid that each cell of the mesh is.
    node : int64[n_points]
        The node of the grid that each point of the mesh is; -1 for points of no cell.
    """

    grid: VoxelGrid
    cell: IntArray
    node: IntArray

    @classmethod
    def of(cls, model: Model) -> Fitted | str:
        """The grid a model's cells are bricks of, or why there is none."""
        mesh, d = model.mesh, model.dimension
        names = list(mesh.cells)
        if names != [{2: "quad", 3: "hexahedron"}[d]]:
            return f"cells are {', '.join(names)}, not bricks"
        conn, used = mesh.cells[names[0]], mesh.used_nodes
        points = mesh.points[:, :d]
        first = points[conn[0]]
        origin, edges = points[used].min(axis=0), np.ptp(first, axis=0)
        if not (edges > 0.0).all():
            return "cells are not aligned with the axes"
        steps = (points - origin) / edges
        index = np.rint(steps).astype(np.int64)
        if np.abs(steps[used] - index[used]).max() > _EXACT:
            return "nodes are not those of one grid of equal bricks along the axes"
        counts = index[used].max(axis=0)
        if counts.prod() > _EMPTIEST * mesh.n_cells:
            return f"the part fills {mesh.n_cells / counts.prod():.0%} of the box around it"
        low = index[conn].min(axis=1)
        corner = index[conn] - low[:, None]
        code = np.sort(corner @ (1 << np.arange(d)), axis=1)
        if corner.max() > 1 or (code != np.arange(2**d)).any():
            return "cells are not the bricks of one grid"
        strides = np.cumprod([1, *(counts[:-1] + 1)])
        node = np.full(mesh.n_points, -1)
        node[used] = index[used] @ strides
        cell = low @ np.cumprod([1, *counts[:-1]])
        if len(np.unique(node[used])) < len(used) or len(np.unique(cell)) < len(cell):
            return "two nodes or two cells are at one place"
        grid = VoxelGrid(tuple(map(int, counts)), tuple(map(float, edges)), tuple(map(float, origin)))
        return cls(grid, cell, node)


def _matrix(model: Model, block: CellBlock, fitted: Fitted) -> FloatArray:
    """Matrix of one cell with corners as `solvers.voxels.cell_matrix` orders them."""
    d = model.dimension
    own = stiffness_of(model)(block, np.zeros(1, np.int64))[0]
    points = model.mesh.points[block.conn[0], :d]
    corner = np.rint((points - points.min(axis=0)) / np.ptp(points, axis=0)).astype(np.int64)
    place = np.argsort(corner @ (1 << np.arange(d)[::-1]))  # x slowest
    rows = (place[:, None] * d + np.arange(d)).ravel()
    return np.ascontiguousarray(own[np.ix_(rows, rows)])


def _held(model: Model, case: LoadCase) -> BoolArray | str:
    """Components that are held at zero, bool[n_points, d], or why they cannot be told so."""
    held = np.zeros((model.mesh.n_points, 3), np.bool_)
    for support in (*model.supports, *case.supports):
        if isinstance(support, InertiaRelief):
            return "InertiaRelief balances what nothing holds"
        if support.matrices(model):
            return f"{type(support).__name__} is elastic"
        for one in support.prescribed(model):
            if one.axes is not None or np.any(np.where(one.fixed, one.value, 0.0)):
                return f"{type(support).__name__} prescribes a motion, or is askew to the grid"
            held[one.nodes] |= one.fixed
    return held[:, : model.dimension]


class VoxelStatics(Statics):
    """Static answers of a weighted model whose cells are bricks of a grid; `Statics` without a matrix.

    Each design begins where the one before ended.
    """

    def __init__(
        self, model: Model, cases: Sequence[str], fitted: Fitted, systems: Sequence[VoxelSystem]
    ) -> None:
        super().__init__(model, cases, None)
        self.fitted, self.systems = fitted, dict(zip((g[0].name for g in self.groups), systems, strict=True))
        self.rule = VoxelCG(rtol=1e-6)
        self.cells.work = self._work  # type: ignore[method-assign]
        self._before: dict[str, FloatArray] = {}

    def solve(self, weight: FloatArray, mass: FloatArray) -> list[State]:
        """As `Statics.solve`."""
        states = {}
        modulus = np.zeros(self.fitted.grid.n_cells)
        modulus[self.fitted.cell] = weight
        for group in self.groups:
            made = self.rule.factorize(self.systems[group[0].name], modulus)
            for case in group:
                force = self._force(case, mass)
                load = self._gathered(force + self._free_strain(case, weight))
                found = made.solve(load, self._before.get(case.name))
                self._before[case.name] = found.x
                self.solver_name = found.solver
                u = self._scattered(found.x)
                states[case.name] = State(case.name, u, force, self._back(made), self._slope(case, u))
        return [states[case.name] for case in self.cases]

    def _back(self, made: VoxelFactorization) -> Callable[[FloatArray], FloatArray]:
        return lambda slope: self._scattered(made.solve(self._gathered(slope)).x)

    def _work(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """a_e^T K_e b_e of every cell at full weight."""
        system = self.systems[self.groups[0][0].name]
        left = self._gathered(a)
        return system.energies(left, left if a is b else self._gathered(b))[self.fitted.cell]

    def _gathered(self, field: FloatArray) -> FloatArray:
        """A field [n_points, 3] on the nodes of the grid."""
        d, node = self.model.dimension, self.fitted.node
        out = np.zeros((self.fitted.grid.n_nodes, d))
        out[node[node >= 0]] = field[node >= 0, :d]
        return out

    def _scattered(self, values: FloatArray) -> FloatArray:
        """The other way round; zero at points of no cell."""
        node = self.fitted.node
        out = np.zeros((len(node), 3))
        out[node >= 0, : self.model.dimension] = values[node[node >= 0]]
        return out


def statics_of(model: Model, cases: Sequence[str], solver: LinearSolver | None) -> tuple[Statics, str]:
    """The statics of a weighted model, and why they are not those of a grid ("" where they are).

    On a grid where no solver is asked for, cells are equal bricks of one material, and supports hold
    components at zero; else by matrices.
    """
    if solver is not None:
        return Statics(model, cases, solver), "a solver was asked for"
    found = _on_grid(model, cases)
    return (Statics(model, cases, None), found) if isinstance(found, str) else (found, "")


def _on_grid(model: Model, cases: Sequence[str]) -> VoxelStatics | str:
    if model.mesh.n_cells < _FEWEST:
        return f"{model.mesh.n_cells} cells are few"
    if model.connections:
        return "the model has connections"
    blocks = cell_blocks(model)
    if len(blocks) != 1:
        return "the part is of more than one material"
    if model.axisymmetric:
        return "rings differ by their radius"
    if np.ptp(blocks[0].scale) > 1e-12 * np.abs(blocks[0].scale).max():
        return "thickness varies"
    tensor, _ = elastic_tensors(model, blocks[0], tables(blocks[0].take(np.zeros(1, np.int64))), None)
    fitted = Fitted.of(model)
    if isinstance(fitted, str):
        return fitted
    if np.abs(tensor - tensor[0]).max() > 1e-12 * np.abs(tensor[0]).max():
        return "the material varies"
    systems = []
    seen: set[str] = set()
    for name in cases:
        case = model.cases[name]
        if case.setup_key() in seen:
            continue
        seen.add(case.setup_key())
        held = _held(model, case)
        if isinstance(held, str):
            return held
        on_grid = np.zeros((fitted.grid.n_nodes, model.dimension), np.bool_)
        on_grid[fitted.node[fitted.node >= 0]] = held[fitted.node >= 0]
        plane = [0, 1, 3]  # what is left of a tensor in the plane; its size means nothing beside the matrix
        try:
            systems.append(
                VoxelSystem(
                    counts=fitted.grid.counts, spacing=fitted.grid.edges, held=on_grid,
                    tensor=tensor[0] if model.dimension == 3 else tensor[0][np.ix_(plane, plane)],
                    matrix=_matrix(model, blocks[0], fitted),
                )
            )  # fmt: skip
        except ModelError as error:
            return str(error)
    return VoxelStatics(model, cases, fitted, systems)
