"""Densities on a grid of equal voxels: the stiffest design of so much material, by products without a matrix.

For parts of millions of voxels: loads are forces at nodes of the grid, supports hold components of nodes. A
model with all that a `Model` can state goes through `dtw.Topology`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from designtwin.errors import StudyError
from designtwin.mesh.mesh import Mesh
from designtwin.optimize.mma import MMA
from designtwin.optimize.oc import OC
from designtwin.solvers.voxels import VoxelCG, VoxelSystem
from designtwin.topology.filters import Filter, Projection, filtered_slopes
from designtwin.topology.interpolation import SIMP, Interpolation
from designtwin.typing import BoolArray, FloatArray, IntArray

CORNERS = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))
"""Of a hexahedron, the first four of a quad, in VTK's order."""


@dataclass(frozen=True)
class VoxelGrid:
    """A box of equal bricks; cells and nodes are numbered x first, then y, then z.

    Parameters
    ----------
    counts : (nx, ny) or (nx, ny, nz)
        Cells along the axes.
    spacing : float or sequence of float
        Edges of a cell, m.
    origin : sequence of float, optional
        The lowest corner, m.

    Raises
    ------
    StudyError
        If a count or a length is not positive.
    """

    counts: tuple[int, ...]
    spacing: tuple[float, ...] | float = 1.0
    origin: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        try:
            counts = tuple(int(n) for n in self.counts)
        except (TypeError, ValueError):
            counts = ()
        d = len(counts)
        if d not in (2, 3) or any(n < 1 for n in counts) or counts != tuple(self.counts):
            raise StudyError(f"{self.counts} cells make no grid; 2 or 3 whole numbers from 1 on do")
        try:
            spacing = tuple(float(h) for h in np.broadcast_to(np.asarray(self.spacing, np.float64), d))
        except (TypeError, ValueError):
            spacing = ()
        if not spacing:
            raise StudyError(f"the spacing of a grid of {d} axes is {self.spacing!r}; a length in m, or {d}")
        if not all(0.0 < h < math.inf for h in spacing):
            raise StudyError(f"the spacing of a grid is {spacing}; positive lengths are wanted")
        origin = tuple(float(x) for x in self.origin) or (0.0,) * d
        if len(origin) != d or not all(map(math.isfinite, origin)):
            raise StudyError(f"the origin of a grid of {d} axes is {origin}; {d} numbers are wanted")
        for name, value in (("counts", counts), ("spacing", spacing), ("origin", origin)):
            object.__setattr__(self, name, value)

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.counts)

    @property
    def edges(self) -> tuple[float, ...]:
        """Edges of a cell, m."""
        assert isinstance(self.spacing, tuple)
        return self.spacing

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return math.prod(self.counts)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return math.prod(n + 1 for n in self.counts)

    @property
    def cell_volume(self) -> float:
        """m^3, in the plane m^2."""
        return math.prod(self.edges)

    @property
    def centers(self) -> FloatArray:
        """Centers of the cells, float64[n_cells, d], m."""
        return self._spread([np.arange(n) + 0.5 for n in self.counts])

    @property
    def points(self) -> FloatArray:
        """Nodes, float64[n_nodes, d], m."""
        return self._spread([np.arange(n + 1.0) for n in self.counts])

    def _spread(self, steps: Sequence[Any]) -> FloatArray:
        axes = [x0 + h * step for x0, h, step in zip(self.origin, self.edges, steps, strict=True)]
        return np.stack(np.meshgrid(*axes[::-1], indexing="ij")[::-1], axis=-1).reshape(-1, self.dimension)

    @property
    def conn(self) -> IntArray:
        """Nodes of each cell in VTK's order, int64[n_cells, 4 or 8]."""
        strides = np.cumprod([1, *(n + 1 for n in self.counts[:-1])])
        axes = [stride * np.arange(n) for stride, n in zip(strides, self.counts, strict=True)]
        first = np.sum(np.meshgrid(*axes[::-1], indexing="ij"), axis=0).ravel()
        corners = np.array([c[: self.dimension] for c in CORNERS[: 2**self.dimension]])
        return np.asarray(first[:, None] + corners @ strides)

    def mesh(self, kept: BoolArray | None = None) -> Mesh:
        """The grid, or the cells of it that are kept (bool[n_cells]), as a mesh of hexahedra or quads."""
        conn = self.conn if kept is None else self.conn[kept]
        points, name = self.points, "hexahedron" if self.dimension == 3 else "quad"
        if kept is not None:
            used, flat = np.unique(conn, return_inverse=True)
            points, conn = points[used], flat.reshape(conn.shape)
        return Mesh(points=points, cells={name: conn}, source="voxel grid")


@dataclass(frozen=True, eq=False, kw_only=True)
class GridProblem:
    """What is to be stiff: a grid, its material, supports and forces.

    Parameters
    ----------
    grid : VoxelGrid
    tensor : float64[6, 6] or float64[3, 3]
        Elasticity of the full material, Pa (xx yy zz xy yz xz); in the plane (xx yy xy) times the thickness,
        N/m. Isotropic, or orthotropic along the axes.
    held : bool[n_nodes, d]
        Components of displacement that are zero.
    forces : float64[n_nodes, d] or float64[n_nodes, d, n_cases]
        N.
    weights : sequence of float, optional
        Of the cases' compliances in the sum that is made small; 1 each where not stated.
    filter : Filter, optional
        From design variables to densities.
    interpolation : Interpolation
    projection : Projection, optional
        Applied to what the filter gives.
    solid, void : bool[n_cells], optional
        Cells that are full, or empty, whatever the design.

    Raises
    ------
    StudyError
        If shapes do not match, or a cell is to be full and empty.
    ModelError, SingularSystemError
        From `VoxelSystem`.
    """

    grid: VoxelGrid
    tensor: FloatArray
    held: BoolArray
    forces: FloatArray
    weights: Sequence[float] = ()
    filter: Filter | None = None
    interpolation: Interpolation = field(default_factory=SIMP)
    projection: Projection | None = None
    solid: BoolArray | None = None
    void: BoolArray | None = None

    def __post_init__(self) -> None:
        n, d = self.grid.n_nodes, self.grid.dimension
        forces = np.asarray(self.forces, np.float64)
        if forces.shape[:2] != (n, d) or forces.ndim > 3:
            raise StudyError(f"forces have shape {forces.shape}; {(n, d)} or {(n, d, 'n_cases')} is wanted")
        forces = forces.reshape(n, d, -1)
        weights = np.asarray(self.weights or np.ones(forces.shape[2]), np.float64)
        if weights.shape != (forces.shape[2],) or not (weights >= 0.0).all() or not weights.any():
            raise StudyError(f"{len(weights)} weights for {forces.shape[2]} load cases: {list(weights)}")
        if not np.where(self.held[:, :, None], 0.0, forces).any():
            raise StudyError("no force acts on anything that can move")
        for name in ("solid", "void"):
            flags = getattr(self, name)
            if flags is not None and (np.shape(flags) != (self.grid.n_cells,) or flags.dtype != np.bool_):
                raise StudyError(f"{name} is not an array bool[{self.grid.n_cells}]")
        if self.solid is not None and self.void is not None and (self.solid & self.void).any():
            raise StudyError(f"{int((self.solid & self.void).sum())} cells are to be full and empty at once")
        object.__setattr__(self, "forces", forces)
        object.__setattr__(self, "weights", tuple(weights))
        assert self.system  # checks what is left

    @cached_property
    def system(self) -> VoxelSystem:
        """The grid for its solver."""
        return VoxelSystem(
            counts=self.grid.counts, spacing=self.grid.edges, tensor=self.tensor, held=self.held
        )

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest design variables, float64[n_cells]."""
        low, high = np.zeros(self.grid.n_cells), np.ones(self.grid.n_cells)
        if self.solid is not None:
            low[self.solid] = 1.0
        if self.void is not None:
            high[self.void] = 0.0
        return low, high

    def density(self, design: FloatArray) -> FloatArray:
        """Physical densities of design variables, float64[n_cells]."""
        return self._fixed(self._projected(self._filtered(design)))

    def adjoint(self, design: FloatArray, slopes: FloatArray) -> FloatArray:
        """Slopes by the design variables, from slopes by the densities."""
        slopes = self._fixed(slopes, there=0.0)
        if self.projection is not None:
            slopes = slopes * self.projection.derivative(self._filtered(design))
        return slopes if self.filter is None else self.filter.adjoint(slopes)

    def _filtered(self, design: FloatArray) -> FloatArray:
        return design if self.filter is None else self.filter(design)

    def _projected(self, values: FloatArray) -> FloatArray:
        return values if self.projection is None else self.projection(values)

    def _fixed(self, values: FloatArray, there: float | None = None) -> FloatArray:
        """Values with those of full and empty cells set."""
        for cells, value in ((self.solid, 1.0), (self.void, 0.0)):
            if cells is not None:
                values = np.where(cells, value if there is None else there, values)
        return values


@dataclass(frozen=True, eq=False)
class Step:
    """One design on the way: its compliance, volume fraction, the change to the next, and what it cost."""

    number: int
    compliance: float
    volume_fraction: float
    change: float
    iterations: int
    seconds: float


@dataclass(frozen=True, eq=False, kw_only=True)
class GridDesign:
    """What was found.

    Parameters
    ----------
    problem : GridProblem
    density : float64[n_cells]
        Physical densities of the last design that was analyzed.
    compliance : float
        Its weighted sum of compliances, J.
    displacement : float64[n_nodes, d, n_cases]
        m.
    variables : float64[n_cells]
        Design variables of the step after it.
    history : tuple of Step
    converged : bool
    stopped : str
        Why the search ended.
    """

    problem: GridProblem
    density: FloatArray
    compliance: float
    displacement: FloatArray
    variables: FloatArray
    history: tuple[Step, ...]
    converged: bool
    stopped: str

    @property
    def volume_fraction(self) -> float:
        """Share of the grid, without cells that are empty anyway."""
        return _share(self.problem, self.density)


class Compliance:
    """Weighted compliance of designs, one after the other: each solution begins where the one before ended.

    Parameters
    ----------
    problem : GridProblem
    solver : VoxelCG
        Its rtol decides how exact values and slopes are.
    """

    def __init__(self, problem: GridProblem, solver: VoxelCG) -> None:
        self.problem, self.solver = problem, solver
        self.displacement: FloatArray | None = None
        self.iterations = 0

    def at(self, density: FloatArray) -> tuple[float, FloatArray]:
        """Value, J, and slopes by the densities, float64[n_cells].

        Raises
        ------
        ConvergenceError, SingularSystemError
            From the solver.
        """
        problem = self.problem
        modulus = problem.interpolation(density)
        solution = self.solver.factorize(problem.system, modulus).solve(problem.forces, self.displacement)
        u = self.displacement = solution.x
        self.iterations = int(solution.iterations.sum())
        energy = np.zeros(problem.grid.n_cells)
        for k, weight in enumerate(problem.weights):
            if weight:
                energy += weight * problem.system.energies(u[:, :, k])
        # with u as exact as it is, 2 f.u - u.K.u is the better by an order
        work = np.array([float((problem.forces[:, :, k] * u[:, :, k]).sum()) for k in range(u.shape[2])])
        value = 2.0 * float((work * problem.weights).sum()) - float((modulus * energy).sum())
        return value, -problem.interpolation.derivative(density) * energy


def _share(problem: GridProblem, density: FloatArray) -> float:
    return float(density.sum()) / _room(problem)


def _room(problem: GridProblem) -> int:
    """Cells that are not empty whatever the design."""
    return problem.grid.n_cells - (0 if problem.void is None else int(problem.void.sum()))


def stiffest(
    problem: GridProblem,
    volume_fraction: float,
    *,
    method: str = "oc",
    heuristic: Filter | None = None,
    move: float = 0.2,
    tolerance: float = 0.01,
    max_iterations: int = 500,
    start: FloatArray | None = None,
    solver: VoxelCG | None = None,
    watch: Callable[[Step, FloatArray], None] | None = None,
) -> GridDesign:
    """Least compliance of so much material.

    Parameters
    ----------
    problem : GridProblem
    volume_fraction : float
        Share of the cells that may be filled, of those that are not empty anyway.
    method : "oc" or "mma"
        Optimality criteria, or the method of moving asymptotes.
    heuristic : Filter, optional
        Slopes go through it as a sensitivity filter (`filtered_slopes`); then `problem.filter` is left out.
    move : float
        Longest step of a design variable.
    tolerance : float
        The search ends when no design variable changes by more.
    max_iterations : int
        Analyses at most.
    start : float64[n_cells], optional
        First design variables; the volume fraction everywhere where not stated.
    solver : VoxelCG, optional
        rtol 1e-4 where not stated: compliance is then exact to about 1e-7, for it converges twice as fast.
    watch : function of Step and float64[n_cells], optional
        Called with every design's densities.

    Raises
    ------
    StudyError
        If settings contradict each other.

    Source: Andreassen, Clausen, Schevenels, Lazarov & Sigmund, Structural and Multidisciplinary Optimization
    43 (2011), 1-16 (OC); Svanberg, Int. J. Numer. Methods Engrg. 24 (1987), 359-373 (MMA).
    """
    if method not in ("oc", "mma"):
        raise StudyError(f"method is {method!r}; 'oc' or 'mma' is wanted")
    if max_iterations < 1:
        raise StudyError(f"max_iterations is {max_iterations}; at least 1 is wanted")
    if heuristic is not None and (problem.filter is not None or problem.projection is not None):
        raise StudyError("with a sensitivity filter densities are the design: no other filter, no projection")
    low, high = problem.bounds
    least, room = float(low.sum()), _room(problem)
    if not least / room < volume_fraction <= 1.0:
        raise StudyError(
            f"the volume fraction is {volume_fraction}; it lies above {least / room:g}, the share of cells "
            "that are full anyway, and is 1 at most"
        )
    wanted = volume_fraction * room
    x = np.full(len(low), volume_fraction) if start is None else np.array(start, np.float64)
    if x.shape != low.shape or not np.isfinite(x).all():
        raise StudyError(f"the start has shape {x.shape}; finite numbers of shape {low.shape} are wanted")
    x = np.clip(x, low, high)
    goal = Compliance(problem, solver or VoxelCG(rtol=1e-4))
    oc = OC(len(x), low, high, move=move, tolerance=1e-6)
    mma = MMA(len(x), 1, low, high, move=move)

    def excess(design: FloatArray) -> float:
        return float(problem.density(design).sum()) / wanted - 1.0

    history: list[Step] = []
    scale, stopped, converged = 1.0, f"the {max_iterations} analyses allowed were used", False
    while True:
        began = time.perf_counter()
        density = problem.density(x)
        value, slopes = goal.at(density)
        df = problem.adjoint(x, slopes) if heuristic is None else filtered_slopes(heuristic, x, slopes)
        dg = problem.adjoint(x, np.full(len(x), 1.0 / wanted))
        over = float(density.sum()) / wanted - 1.0
        if not history:
            scale = 1.0 / max(value, 1e-300)
        if method == "oc":
            new = oc.step(x, scale * df, over, dg, constraint=excess if problem.projection else None)
        else:
            new = mma.step(x, scale * value, scale * df, np.array([over]), dg)
        change = float(np.abs(new - x).max())
        seconds = time.perf_counter() - began
        step = Step(len(history), value, _share(problem, density), change, goal.iterations, seconds)
        history.append(step)
        if watch is not None:
            watch(step, density)
        x = new
        if change < tolerance:
            stopped, converged = f"no design variable changed by more than {tolerance:g}", True
        if converged or len(history) == max_iterations:
            assert goal.displacement is not None
            return GridDesign(
                problem=problem, density=density, compliance=value, displacement=goal.displacement,
                variables=x, history=tuple(history), converged=converged, stopped=stopped,
            )  # fmt: skip
