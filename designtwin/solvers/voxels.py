"""Grids of equal bricks, each with a modulus of its own: conjugate gradients, geometric multigrid, no matrix.

Coarse levels are grids of bricks twice as large with the mean modulus of their parts. The iteration runs in
float64, the preconditioner in float32. Smoothing needs no estimate: the matrix is at most its diagonal times
the largest eigenvalue of D_e^-1 K_e of a single brick, whatever the moduli.

Sources: Briggs, Henson & McCormick, A Multigrid Tutorial, 2nd ed. (2000); Amir, Aage & Lazarov, Structural
and Multidisciplinary Optimization 49 (2014), 815-829; Lottes, Numer. Linear Algebra Appl. 30 (2023), e2518.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product as every
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import eigh, lapack

from designtwin import parallel
from designtwin.errors import ConvergenceError, ModelError, SingularSystemError
from designtwin.solvers.solution import Solution
from designtwin.solvers.system import Array
from designtwin.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.kernels.voxels import Shape

_LANE = 16  # kernels.voxels.LANE
_DENSE = 400  # unknowns of a level that is inverted
_SPRING = 2.0  # stiffness of a support on coarse levels over the diagonal where it acts
_INNER = 2  # steps of conjugate gradients at a coarse level ...
_MORE_AFTER = 40  # ... one more each so many iterations ...
_MOST_INNER = 6  # ... up to so many: thin members between voids
_PIECE = 20_000  # numbers of a field in a piece of work at least
_STALLED = 200  # iterations without progress


def cell_matrix(tensor: FloatArray, spacing: Sequence[float]) -> FloatArray:
    """Matrix of one brick, float64[n, n], corners z fastest, x slowest, components of a corner together.

    Parameters
    ----------
    tensor : float64[6, 6], float64[3, 3] or float64[d]
        Elasticity in space (xx yy zz xy yz xz), in the plane (xx yy xy, times thickness), or conductivity
        along the axes. Axes of a brick are axes of symmetry.
    spacing : sequence of float
        Edges.
    """
    edges = np.asarray(spacing, np.float64)
    dimension = len(edges)
    corners = np.array(list(every((-1.0, 1.0), repeat=dimension)))
    components = 1 if tensor.ndim == 1 else dimension
    total: Any = np.zeros((len(corners) * components,) * 2)
    for point in every((-1 / math.sqrt(3.0), 1 / math.sqrt(3.0)), repeat=dimension):
        factors = 0.5 * (1.0 + corners * np.array(point))
        slope = np.empty((len(corners), dimension))
        for axis in range(dimension):
            others = np.delete(factors, axis, axis=1).prod(axis=1)
            slope[:, axis] = corners[:, axis] / edges[axis] * others
        if tensor.ndim == 1:
            total += (slope * tensor) @ slope.T
            continue
        strain = np.zeros((len(tensor), len(corners), dimension))
        pairs = ((0, 1), (1, 2), (0, 2)) if dimension == 3 else ((0, 1),)
        for axis in range(dimension):
            strain[axis, :, axis] = slope[:, axis]
        for row, (a, b) in enumerate(pairs, start=dimension):
            strain[row, :, a], strain[row, :, b] = slope[:, b], slope[:, a]
        flat = strain.reshape(len(tensor), -1)
        total += flat.T @ tensor @ flat
    return np.asarray(total * edges.prod() / 2**dimension)


def _blocks_of(matrix: FloatArray, dimension: int, components: int) -> FloatArray:
    """Blocks of a brick's matrix by parity (see `kernels.voxels`), float64[2, ..., 2(, c, c)]."""
    transform: Any = np.eye(1)
    for _ in range(dimension):
        transform = np.kron(transform, [[1.0, 1.0], [-1.0, 1.0]])
    transform = np.kron(transform, np.eye(components))
    axes = (2,) * dimension
    all_of = (transform @ matrix @ transform.T / 4**dimension).reshape(*axes, components, *axes, components)
    out = np.empty((*axes, components, components))
    for block in every((0, 1), repeat=dimension):
        for a, b in every(range(components), repeat=2):
            rows, columns = (_flipped(block, component, components) for component in (a, b))
            out[(*block, a, b)] = all_of[(*rows, a, *columns, b)]
    return np.ascontiguousarray(out if components > 1 else out[..., 0, 0])


def _matrix_of(blocks: FloatArray, dimension: int, components: int) -> FloatArray:
    """The other way round, with zero for what kernels leave out."""
    from designtwin.kernels.voxels import couplings

    table = blocks.reshape(*(2,) * dimension, components, components)
    axes = (2,) * dimension
    all_of = np.zeros((*axes, components, *axes, components))
    for block, a, b in couplings(dimension, components):
        rows, columns = (_flipped(block, component, components) for component in (a, b))
        all_of[(*rows, a, *columns, b)] = all_of[(*columns, b, *rows, a)] = table[(*block, a, b)]
    transform: Any = np.eye(1)
    for _ in range(dimension):
        transform = np.kron(transform, [[1.0, 1.0], [-1.0, 1.0]])
    transform = np.kron(transform, np.eye(components))
    return np.asarray(transform.T @ all_of.reshape(len(transform), -1) @ transform)


def _flipped(block: tuple[int, ...], component: int, components: int) -> tuple[int, ...]:
    return tuple(p ^ (components > 1 and axis == component) for axis, p in enumerate(block))


@dataclass(frozen=True, eq=False)
class _Grid:
    """A level: cells and what one of modulus 1 is worth."""

    counts: tuple[int, ...]
    matrix: FloatArray
    components: int

    @property
    def dimension(self) -> int:
        return len(self.counts)

    @cached_property
    def shape(self) -> Shape:
        from designtwin.kernels.voxels import Shape

        rows = self.counts[1] if self.dimension == 3 else 1
        node_rows = rows + 1 if self.dimension == 3 else 1
        row = _LANE * -(-(self.counts[0] + 1) // _LANE)
        return Shape(self.counts[-1], rows, node_rows, row, self.components)

    @cached_property
    def blocks(self) -> FloatArray:
        return _blocks_of(self.matrix, self.dimension, self.components)

    @property
    def lopsided(self) -> float:
        """How far a cell is from its mirrors: what of its matrix is in no block, over its largest entry."""
        mirrored = _matrix_of(self.blocks, self.dimension, self.components)
        return float(np.abs(self.matrix - mirrored).max() / np.abs(self.matrix).max())

    def coarse(self, steps: Sequence[int]) -> _Grid:
        """The grid of bricks of so many cells along each axis: the same energy of multilinear functions."""
        corners = np.array(list(every((0, 1), repeat=self.dimension)))
        total = np.zeros_like(self.matrix)
        for child in every(*(range(step) for step in steps)):
            at = (corners + np.array(child)) / np.array(steps)  # of the child's corners, in the coarse cell
            weights = np.where(corners[None] == 1, at[:, None], 1.0 - at[:, None]).prod(axis=2)
            spread = np.kron(weights, np.eye(self.components))
            total += spread.T @ self.matrix @ spread
        counts = tuple(-(-n // step) for n, step in zip(self.counts, steps, strict=True))
        return _Grid(counts, total, self.components)

    @cached_property
    def entries(self) -> FloatArray:
        """Diagonal of a cell by component; corners are mirrors of each other."""
        return np.ascontiguousarray(np.diag(self.matrix)[: self.components])

    @cached_property
    def largest(self) -> float:
        """Largest eigenvalue of D_e^-1 K_e."""
        scale = 1.0 / np.sqrt(np.diag(self.matrix))
        return float(eigh(self.matrix * scale * scale[:, None], eigvals_only=True)[-1])

    @property
    def n_nodes(self) -> int:
        return math.prod(n + 1 for n in self.counts)

    @property
    def n_cells(self) -> int:
        return math.prod(self.counts)

    def nodal(self, flat: Array) -> Array:
        """View float[planes, components, rows, nx + 1] of a field."""
        shape = self.shape
        planes = flat[: shape.size - _LANE].reshape(-1, self.components, shape.node_rows, shape.row)
        return planes[..., : self.counts[0] + 1]

    def pack(self, values: Array, dtype: Any = np.float64) -> Array:
        """A field of values [n_nodes, components]."""
        out = np.zeros(self.shape.size, dtype)
        shape = self.shape
        nodes = values.reshape(shape.layers + 1, shape.node_rows, self.counts[0] + 1, self.components)
        self.nodal(out)[:] = nodes.transpose(0, 3, 1, 2)
        return out

    def unpack(self, flat: Array) -> Array:
        """Values [n_nodes, components] of a field."""
        return np.ascontiguousarray(self.nodal(flat).transpose(0, 2, 3, 1)).reshape(-1, self.components)

    def cells(self, flat: Array) -> Array:
        """View float[layers, rows, nx] of numbers per cell."""
        shape = self.shape
        return flat[: flat.size - _LANE].reshape(shape.layers, shape.rows, shape.row)[..., : self.counts[0]]

    def empty_cells(self, dtype: Any = np.float64) -> Array:
        shape = self.shape
        return np.zeros(shape.layers * shape.rows * shape.row + _LANE, dtype)


@dataclass(frozen=True, eq=False, kw_only=True)
class VoxelSystem:
    """A grid of bricks: what does not depend on their moduli. Cells and nodes are numbered x first, z last.

    Parameters
    ----------
    counts : (nx, ny) or (nx, ny, nz)
        Cells; any numbers.
    spacing : sequence of float
        Edges of a cell, m.
    tensor : float64[6, 6], float64[3, 3] or float64[d]
        What a modulus of 1 is worth: elasticity in space (xx yy zz xy yz xz) or in the plane (xx yy xy; times
        the thickness), or conductivity along the axes. Isotropic, or orthotropic along the axes.
    held : bool[n_nodes, components]
        Unknowns that are zero.
    matrix : float64[n, n], optional
        Of a cell of modulus 1, as `cell_matrix` orders it, where it is of another formulation than
        `cell_matrix`: incompatible modes, reduced integration.

    Raises
    ------
    ModelError
        If shapes do not match, or a cell does not look the same in its mirrors: the material is not
        orthotropic along the axes.
    SingularSystemError
        If a rigid motion of the whole grid (or a constant temperature) is not held.
    """

    counts: tuple[int, ...]
    spacing: tuple[float, ...]
    tensor: FloatArray
    held: BoolArray
    matrix: FloatArray | None = None
    grid: _Grid = field(init=False, repr=False)

    def __post_init__(self) -> None:
        d = len(self.counts)
        if d not in (2, 3) or any(n < 1 or n != int(n) for n in self.counts):
            raise ModelError(f"a grid of {self.counts} cells is none; 2 or 3 positive numbers are wanted")
        if len(self.spacing) != d or not all(0.0 < h < math.inf for h in self.spacing):
            raise ModelError(f"spacing is {self.spacing}; {d} positive lengths are wanted")
        size = {2: 3, 3: 6}[d]
        tensor = np.asarray(self.tensor, np.float64)
        if tensor.shape not in ((size, size), (d,)) or not np.isfinite(tensor).all():
            raise ModelError(
                f"the tensor of a grid in {d} dimensions has shape {tensor.shape}; "
                f"({size}, {size}) for elasticity or ({d},) for conductivity is wanted, of finite numbers"
            )
        if np.linalg.eigvalsh(np.diag(tensor) if tensor.ndim == 1 else tensor)[0] <= 0.0:
            raise ModelError("the tensor of a voxel is not positive definite")
        components = 1 if tensor.ndim == 1 else d
        matrix = cell_matrix(tensor, self.spacing) if self.matrix is None else self.matrix
        if matrix.shape != (2**d * components,) * 2:
            raise ModelError(
                f"the matrix of a cell has shape {matrix.shape}; {2**d * components} rows are wanted"
            )
        fine = _Grid(self.counts, matrix, components)
        if fine.lopsided > 1e-9:
            raise ModelError("a voxel's material is isotropic, or orthotropic along the axes of the grid")
        if np.shape(self.held) != (fine.n_nodes, fine.components):
            raise ModelError(
                f"held has shape {np.shape(self.held)}; {(fine.n_nodes, fine.components)} is wanted"
            )
        object.__setattr__(self, "tensor", tensor)
        object.__setattr__(self, "grid", fine)
        self._refuse_free_motions()

    @property
    def n_nodes(self) -> int:
        """Nodes of the grid."""
        return int(self.grid.n_nodes)

    @property
    def n_cells(self) -> int:
        """Cells of the grid."""
        return int(self.grid.n_cells)

    def energies(self, u: FloatArray, v: FloatArray | None = None) -> FloatArray:
        """u_e . K_e v_e of each cell at a modulus of 1, float64[n_cells]; u, v float64[n_nodes, components].

        The stiffness of a cell is its modulus times K_e: minus this with v = u is the slope of the compliance
        over the modulus.
        """
        from designtwin.kernels import voxels as kernels

        grid = self.grid
        x = grid.pack(u)
        y = x if v is None or v is u else grid.pack(v)
        out = grid.empty_cells()
        _run(kernels.energies, grid.shape.layers, grid.shape, grid.blocks, x, y, out)
        return grid.cells(out).ravel()

    def _refuse_free_motions(self) -> None:
        grid = self.grid
        node, component = np.nonzero(self.held)
        if grid.components == 1:
            if not node.size:
                raise SingularSystemError("no temperature of the grid is held")
            return
        d = grid.dimension
        axes = [np.linspace(-1.0, 1.0, n + 1) * n * h for n, h in zip(self.counts, self.spacing)]
        at = np.stack(np.unravel_index(node, tuple(n + 1 for n in self.counts[::-1])), axis=1)[:, ::-1]
        points = np.stack([axes[i][at[:, i]] for i in range(d)], axis=1) / max(
            n * h for n, h in zip(self.counts, self.spacing)
        )
        modes = [component == i for i in range(d)]
        for a, b in ((0, 1), (1, 2), (0, 2))[: 3 if d == 3 else 1]:
            modes.append((component == b) * points[:, a] - (component == a) * points[:, b])
        modes_of = np.stack(modes, axis=1).astype(np.float64)
        values = np.linalg.eigvalsh(modes_of.T @ modes_of)
        free = int((values <= 1e-14 * max(values[-1], 1.0)).sum())
        if free:
            raise SingularSystemError(
                f"supports of the grid leave {free} rigid motion(s) free; hold more of its unknowns"
            )


@dataclass(frozen=True, kw_only=True)
class VoxelCG:
    """Conjugate gradients in float64, with a geometric multigrid cycle in float32.

    Parameters
    ----------
    rtol : float
        |f - A x| <= rtol |f| for every right-hand side, checked on the true residual.
    max_iterations : int
        Beyond it, ConvergenceError.
    degree : int
        Products with the matrix before and after each coarse correction.
    """

    rtol: float = 1e-8
    max_iterations: int = 1000
    degree: int = 2

    def __post_init__(self) -> None:
        if not 0.0 < self.rtol < 1.0:
            raise ModelError(f"rtol is {self.rtol}; a number between 0 and 1 is wanted, e.g. 1e-8")
        if self.max_iterations < 1:
            raise ModelError(f"max_iterations is {self.max_iterations}; at least 1 is wanted")
        if self.degree < 1:
            raise ModelError(f"degree is {self.degree}; at least 1 is wanted")

    def factorize(self, system: VoxelSystem, modulus: FloatArray) -> VoxelFactorization:
        """Build the levels for moduli float64[n_cells].

        Raises
        ------
        ModelError
            If a modulus is negative or not finite, or there are not as many as cells.
        """
        started = time.perf_counter()
        values = np.asarray(modulus, np.float64)
        if values.shape != (system.n_cells,):
            raise ModelError(f"moduli have shape {values.shape}; the grid has {system.n_cells} cells")
        if not (np.isfinite(values).all() and values.min() >= 0.0):
            bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0.0)))
            raise ModelError(
                f"the modulus of {bad.size} cells is negative or not finite, first cell {bad[0]}"
            )
        # the preconditioner sees moduli of 1 at most: float32 has no room for pascals squared
        largest = float(values.max()) * float(system.grid.entries.max())
        if largest == 0.0:
            raise SingularSystemError("every voxel has a modulus of 0")
        levels, index, inverse = _levels(system, values / largest)
        fine = np.zeros_like(levels[0].modulus, np.float64)
        levels[0].grid.cells(fine)[:] = values.reshape(levels[0].grid.cells(fine).shape)
        return VoxelFactorization(self, system, fine, levels, index, inverse, time.perf_counter() - started)


@dataclass(frozen=True, eq=False)
class _Level:
    """A grid with moduli in float32; arrays as in `kernels.voxels`. `steps` lead to the next coarser one."""

    grid: _Grid
    modulus: Array
    spring: Array
    inverse: Array
    blocks: Array
    steps: IntArray

    @property
    def operator(self) -> tuple[Any, ...]:
        return self.grid.shape, self.blocks, self.modulus, self.spring, self.inverse


def _run(kernel: Any, n: int, shape: Shape, *arguments: Any) -> None:
    """Over planes or layers, in few pieces: each computes the layer before its first plane once more.

    None is so small that threads cost more than they save.
    """
    grain = max(-(-n // (2 * parallel.threads())), _PIECE // shape.plane, 1)
    parallel.run(kernel, n, shape, *arguments, grain=grain)


def _levels(system: VoxelSystem, values: FloatArray) -> tuple[list[_Level], IntArray, Array]:
    """Levels, unknowns of the last one that are not held, and the inverse of its matrix there."""
    from designtwin.kernels import voxels as kernels

    grid = system.grid
    modulus = grid.empty_cells()
    grid.cells(modulus)[:] = values.reshape(grid.cells(modulus).shape)
    spring, edges = np.zeros(0), list(system.spacing)
    held = grid.pack(system.held)
    levels: list[_Level] = []
    while True:
        planes = grid.shape.layers + 1
        diagonal = np.zeros(grid.shape.size)
        _run(kernels.diagonal, planes, grid.shape, grid.entries, modulus, spring, diagonal)
        inverse = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0.0)
        if not levels:
            inverse[held > 0.0] = 0.0
        last = max(grid.counts) == 1 or grid.n_nodes * grid.components <= _DENSE
        # only the shorter edges double where cells are flat or needles
        shortest = min((h for h, n in zip(edges, grid.counts, strict=True) if n > 1), default=0.0)
        of_axis = [2 if n > 1 and h < 1.9 * shortest else 1 for h, n in zip(edges, grid.counts, strict=True)]
        edges = [h * step for h, step in zip(edges, of_axis, strict=True)]
        steps = np.array([of_axis[0], of_axis[1] if grid.dimension == 3 else 1, of_axis[-1]])
        levels.append(
            _Level(
                grid, modulus.astype(np.float32), spring.astype(np.float32), inverse.astype(np.float32),
                grid.blocks.astype(np.float32), steps,
            )
        )  # fmt: skip
        if last:
            index, matrix = _dense(grid, modulus, spring, diagonal * (inverse > 0.0))
            return levels, index, matrix
        coarse = grid.coarse(of_axis)
        moduli = coarse.empty_cells()
        share = 1.0 / math.prod(of_axis)
        _run(kernels.coarsen, coarse.shape.layers, grid.shape, coarse.shape, steps, share, modulus, moduli)
        # supports go on as springs: a coarse node need not lie where one acts
        ground = np.where(held > 0.0, _SPRING * diagonal, 0.0) if len(levels) == 1 else spring
        spring = np.zeros(coarse.shape.size)
        _run(kernels.restrict, coarse.shape.layers + 1, grid.shape, coarse.shape, steps, ground, spring)
        grid, modulus = coarse, moduli


def _dense(grid: _Grid, modulus: Array, spring: Array, diagonal: Array) -> tuple[IntArray, Array]:
    """Unknowns with a diagonal, as places in a field, and the inverse of the matrix there, float32."""
    n, d = grid.components, grid.dimension
    places = grid.nodal(np.arange(grid.shape.size))
    # numbers of a field by node axes x, y(, z) and component
    numbers = places.transpose(3, 2, 0, 1) if d == 3 else places[:, :, 0].transpose(2, 0, 1)
    cells = grid.cells(modulus).transpose(2, 1, 0) if d == 3 else grid.cells(modulus)[:, 0].T
    at = np.stack(
        [
            numbers[tuple(slice(c, c + m) for c, m in zip(corner, grid.counts))]
            for corner in every((0, 1), repeat=d)
        ],
        axis=-2,
    ).reshape(-1, 2**d * n)
    compact = np.full(grid.shape.size, -1)
    index = np.flatnonzero(diagonal > 0.0)
    compact[index] = np.arange(index.size)
    total = np.zeros((index.size + 1, index.size + 1))  # the last for unknowns that are held
    where = compact[at]
    np.add.at(
        total,
        (where[:, :, None], where[:, None, :]),
        cells.reshape(-1, 1, 1) * grid.matrix,
    )
    total = total[:-1, :-1]
    if spring.size:
        total[np.diag_indices(index.size)] += spring[index]
    scale = 1.0 / np.sqrt(np.diag(total))
    scaled = total * scale * scale[:, None]
    scaled[np.diag_indices(index.size)] += 1e-7  # parts that hang on nothing but voids; exact is not wanted
    factor, info = lapack.dpotrf(scaled, lower=1)
    assert info == 0, "a sum of cells is not definite"
    half, _ = lapack.dpotri(factor, lower=1)  # its upper triangle is not written
    inverse = (np.tril(half) + np.tril(half, -1).T) * scale * scale[:, None]
    return index, np.ascontiguousarray(inverse, np.float32)


class _Cycle:
    """Multigrid in float32: `run` turns the residual in `f` into a correction.

    Coarse levels are solved by a few steps of conjugate gradients preconditioned by what is below (K-cycle):
    where thin members cross voids, one coarse correction a level would leave much of the error.

    Source: Notay & Vassilevski, Numer. Linear Algebra Appl. 15 (2008), 473-487.
    """

    def __init__(self, owner: VoxelFactorization) -> None:
        from designtwin.kernels import voxels as kernels

        self._kernels, self._levels, self._degree = kernels, owner.levels, owner.solver.degree
        self._index, self._inverse = owner.index, owner.inverse
        sizes = [level.grid.shape.size for level in self._levels]
        self._f, self._x, self._other, self._d = (
            [np.zeros(size, np.float32) for size in sizes] for _ in range(4)
        )
        self._p, self._q, self._y = ([np.zeros(size, np.float32) for size in sizes[1:-1]] for _ in range(3))
        self._sums = [np.zeros(level.grid.shape.layers + 1) for level in self._levels]
        self.f = self._f[0]
        self.inner = _INNER

    def run(self) -> Array:
        return self._cycle(0)

    def _solve(self, depth: int) -> Array:
        """About A^-1 f at a coarse level; f changes."""
        if depth == len(self._levels) - 1:
            return self._cycle(depth)
        kernels, level, f = self._kernels, self._levels[depth], self._f[depth]
        p, q, y = self._p[depth - 1], self._q[depth - 1], self._y[depth - 1]
        shape, sums, keep, pq = level.grid.shape, self._sums[depth], 0.0, math.inf
        planes = shape.layers + 1
        y[:] = 0.0
        for step in range(self.inner):
            z = self._cycle(depth)
            if step:
                _run(kernels.dots, planes, shape, z, q, sums)
                keep = -float(sums.sum()) / pq
            _run(kernels.next_direction, planes, shape, keep, z, p)
            _run(kernels.product, planes, *level.operator, p, q, sums)
            pq = float(sums.sum())
            _run(kernels.dots, planes, shape, p, f, sums)
            along = float(sums.sum())
            if not (pq > 0.0 and along > 0.0):
                break
            _run(kernels.advance, planes, shape, along / pq, p, q, y, f, f, sums)
        return y

    def _cycle(self, depth: int) -> Array:
        kernels, level = self._kernels, self._levels[depth]
        shape, f = level.grid.shape, self._f[depth]
        planes = shape.layers + 1
        if depth == len(self._levels) - 1:
            x, n = self._x[depth], self._index.size
            parallel.run(kernels.direct, n, self._index, self._inverse, f, x, grain=256)
            return x
        below = self._levels[depth + 1].grid.shape
        gain = 4.0 / (3.0 * level.grid.largest)
        _run(kernels.begin, planes, shape, level.inverse, gain, f, self._d[depth], self._x[depth])
        self._smooth(depth, 1)
        r = self._other[depth]
        _run(kernels.residual, planes, *level.operator, f, self._x[depth], r)
        _run(kernels.restrict, below.layers + 1, shape, below, level.steps, r, self._f[depth + 1])
        coarse = self._solve(depth + 1)
        _run(kernels.prolong, planes, shape, below, level.steps, level.inverse, coarse, self._x[depth])
        self._smooth(depth, 0)
        return self._x[depth]

    def _smooth(self, depth: int, first: int) -> None:
        """Steps of the Chebyshev polynomial of the fourth kind (Lottes 2023, algorithm 1) from `first` on."""
        level, kernels = self._levels[depth], self._kernels
        for i in range(first, self._degree):
            keep = (2 * i - 1) / (2 * i + 3) if i else 0.0
            gain = (8 * i + 4) / (2 * i + 3) / level.grid.largest
            x, out = self._x[depth], self._other[depth]
            _run(
                kernels.smooth, level.grid.shape.layers + 1, *level.operator, keep, gain, self._f[depth], x,
                self._d[depth], out,
            )  # fmt: skip
            self._x[depth], self._other[depth] = out, x


@dataclass(frozen=True, eq=False)
class VoxelFactorization:
    """Levels for one set of moduli; `solve` as often as wanted."""

    solver: VoxelCG
    system: VoxelSystem
    modulus: Array
    levels: list[_Level]
    index: IntArray
    inverse: Array
    setup_seconds: float

    def solve(self, f: FloatArray, start: FloatArray | None = None) -> Solution:
        """Solve A x = f.

        Parameters
        ----------
        f : float64[n_nodes, components] or float64[n_nodes, components, n_rhs]
            Loads on held unknowns are ignored.
        start : float64 of the same shape, optional
            Where to begin, e.g. the answer for other moduli.

        Raises
        ------
        SingularSystemError
            If a load acts where nothing is stiff.
        ConvergenceError
            If rtol is not reached.
        ModelError
            If shapes do not match or f is not finite.
        """
        started = time.perf_counter()
        grid = self.system.grid
        wanted = (grid.n_nodes, grid.components)
        if f.shape[:2] != wanted or f.ndim > 3:
            raise ModelError(f"loads have shape {f.shape}; {wanted} or {(*wanted, 'n_rhs')} is wanted")
        if not np.isfinite(f).all():
            raise ModelError("a load is NaN or infinite")
        if start is not None and start.shape != f.shape:
            raise ModelError(f"the start has shape {start.shape}; that of the loads, {f.shape}, is wanted")
        columns = f.reshape(*wanted, -1)
        begin = None if start is None else start.reshape(*wanted, -1)
        out = np.zeros_like(columns, np.float64)
        n_rhs = columns.shape[2]
        iterations, residual = np.zeros(n_rhs, np.int64), np.zeros(n_rhs)
        cycle = _Cycle(self)
        for k in range(n_rhs):
            x = None if begin is None else grid.pack(begin[:, :, k])
            x, iterations[k], residual[k] = self._column(grid.pack(columns[:, :, k]), x, cycle, k)
            out[:, :, k] = grid.unpack(x)
        seconds = {"set-up": self.setup_seconds, "solve": time.perf_counter() - started}
        name = f"VoxelCG ({len(self.levels)} levels)"
        return Solution(
            x=out.reshape(f.shape), iterations=iterations, residual=residual, seconds=seconds, solver=name
        )

    @cached_property
    def _operator(self) -> tuple[Any, ...]:
        grid = self.system.grid
        return grid.shape, grid.blocks, self.modulus, np.zeros(0), self.levels[0].inverse

    def _column(self, f: Array, x: Array | None, cycle: _Cycle, number: int) -> tuple[Array, int, float]:
        """One right-hand side as a field (ours to change): its solution, iterations, residual."""
        from designtwin.kernels import voxels as kernels

        grid = self.system.grid
        shape, inverse = grid.shape, self.levels[0].inverse
        planes, rtol = shape.layers + 1, self.solver.rtol
        sums = np.zeros(planes)

        def total(a: Array, b: Array) -> float:
            _run(kernels.dots, planes, shape, a, b, sums)
            return float(sums.sum())

        f[grid.pack(self.system.held) > 0.0] = 0.0
        loaded = np.flatnonzero((f != 0.0) & (inverse == 0.0))
        if loaded.size:
            raise SingularSystemError(
                f"loads act on {loaded.size} unknowns of nodes around which every voxel has a modulus of 0"
            )
        size = math.sqrt(total(f, f))
        if size == 0.0:
            return f, 0, 0.0
        f /= size  # float32 is far from its ends then
        r = f.copy()
        if x is None:
            x = np.zeros_like(f)
        else:
            x /= size
            x[inverse == 0.0] = 0.0
            _run(kernels.residual, planes, *self._operator, f, x, r)
        norm = math.sqrt(total(r, r))
        p, q = np.zeros_like(f), np.zeros_like(f)
        cycle.f[:] = r
        pq, best, best_at, count = math.inf, math.inf, 0, 0
        for count in range(self.solver.max_iterations + 1):
            cycle.inner = min(_MOST_INNER, _INNER + count // _MORE_AFTER)
            if norm <= rtol:
                _run(kernels.residual, planes, *self._operator, f, x, r)
                norm = math.sqrt(total(r, r))
                if norm <= rtol:
                    x *= size
                    return x, count, norm
                cycle.f[:], pq = r, math.inf  # the recursion drifted from the truth: start over from here
            z = cycle.run()
            keep = -total(z, q) / pq  # flexible: the preconditioner is not the same map each time
            _run(kernels.next_direction, planes, shape, keep, z, p)
            _run(kernels.product, planes, *self._operator, p, q, sums)
            pq, along = float(sums.sum()), total(p, r)
            if not (0.0 < pq < math.inf and 0.0 < along < math.inf):
                break
            _run(kernels.advance, planes, shape, along / pq, p, q, x, r, cycle.f, sums)
            norm = math.sqrt(float(sums.sum()))
            energy = along * along / pq  # by which this step brought the error down
            if energy < 0.9 * best:
                best, best_at = energy, count
            if count - best_at > _STALLED:
                break
        raise ConvergenceError(
            f"VoxelCG stopped at residual {norm:.1e} of load case {number} after {count} iterations "
            f"(asked {rtol:.0e}); a larger floor of the moduli, or a support where parts hang loose, helps"
        )
