"""Mass, and what a loaded or turning part adds to its stiffness: terms over displacement.

Sources: Bathe, Finite Element Procedures, 2nd ed. (2014), sec. 4.2.1 (consistent mass), 6.8.2 (stiffness of
stress); Cook, Malkus, Plesha and Witt, Concepts and Applications of Finite Element Analysis, 4th ed. (2002),
sec. 11.3, 18.3.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from designtwin import parallel
from designtwin.assembly.cells import CellBlock, PointTables, storage_points, tables
from designtwin.assembly.matrices import CellMatrices, cell_matrix, extra_terms, weighted_products
from designtwin.assembly.tetrahedra import MassTetrahedra, StressTetrahedra, each_component
from designtwin.assembly.topology import Topology
from designtwin.kernels import volume
from designtwin.model.loads import Centrifugal, number_of
from designtwin.model.model import Model
from designtwin.solvers.system import MatrixTerm, Term
from designtwin.typing import FloatArray, IntArray

StressAt = Callable[[CellBlock, PointTables], FloatArray]
"""Stress float64[n_cells, q, 6], Pa, of cells at points of a table."""


def mass_terms(model: Model, topology: Topology, *, needed_by: str = "vibration") -> tuple[Term, ...]:
    """Consistent mass of all cells and point masses, kg.

    Parameters
    ----------
    needed_by : str
        What wants the mass, for the message where a density is missing.

    Raises
    ------
    MissingPropertyError
        If a material states no density.
    """
    masses = [matrices for mass in model.point_masses for matrices in mass.mass_matrices(model)]
    cells = _of_cells(model, topology, needed_by)
    return (*cells, *extra_terms(masses, topology, model.dimension))


def spin_softening_terms(model: Model, topology: Topology, spin: Centrifugal) -> tuple[Term, ...]:
    """What spin takes from stiffness, N/m: centrifugal force grows as the part moves away from the axis.

    The integral of -speed^2 density N^T (I - n n^T) N, n the axis, in a frame that turns with the part.
    """
    axis = np.array(spin.axis)
    across = np.eye(3) - np.outer(axis, axis)
    across *= -(number_of(spin.speed, "Centrifugal") ** 2)
    masses = [matrices for mass in model.point_masses for matrices in mass.mass_matrices(model, across)]
    cells = _of_cells(model, topology, "Centrifugal", across)
    return (*cells, *extra_terms(masses, topology, model.dimension))


def stress_stiffness_terms(model: Model, topology: Topology, stress: StressAt) -> tuple[Term, ...]:
    """What stress adds to stiffness, the integral of grad N^T stress grad N (x) I, N/m; tension stiffens.

    Rings add to it the work of their hoop stress on u_r / r. Incompatible modes are left out.

    Parameters
    ----------
    stress : function
        (block, tables) -> Cauchy stress float64[n_cells, q, 6], Pa, at the points of the tables; blocks may
        hold some of the cells of the model's blocks.
    """
    terms: list[Term] = []
    free, d = topology.free, model.dimension
    if free is not None:
        parts = [topology.blocks[i].take(rows) for i, rows in free.members]
        sigma = np.concatenate([_tensors(stress(part, tables(part))) for part in parts])
        of = partial(_alike, model, stress)
        assemble = partial(cell_matrix, topology, of, 1, members=free.members)
        terms.append(StressTetrahedra(free, assemble, stress=sigma))
    if topology.kept:
        terms.append(MatrixTerm(cell_matrix(topology, stress_stiffness_of(model, stress), d)))
    return tuple(terms)


def _tensors(stress: FloatArray) -> FloatArray:
    """Stress [..., 6] as tensors [..., 3, 3]."""
    return stress[..., [[0, 3, 5], [3, 1, 4], [5, 4, 2]]]


def stress_stiffness_of(model: Model, stress: StressAt) -> CellMatrices:
    """Matrices of the cells in `stress_stiffness_terms`, N/m."""
    d = model.dimension

    def matrices(block: CellBlock, rows: IntArray) -> FloatArray:
        alike = _alike(model, stress, block, rows)
        n = block.element.n_nodes
        out = np.zeros((len(alike), n, d, n, d))
        for i in range(d):
            out[:, :, i, :, i] = alike
        if block.kind == 1:
            out[:, :, 0, :, 0] += _hoop(model, block.take(rows), stress)
        return out.reshape(-1, n * d, n * d)

    return matrices


def _alike(model: Model, stress: StressAt, block: CellBlock, rows: IntArray) -> FloatArray:
    """The integral of grad N^T stress grad N of some cells, the same for each component, float64[k, n, n]."""
    part = block.take(rows)
    at = tables(part)
    sigma = np.ascontiguousarray(stress(part, at), np.float64)
    out = np.empty((len(part.conn), part.element.n_nodes, part.element.n_nodes))

    def cells(start: int, stop: int) -> None:
        volume.stress_stiffness(
            model.mesh.points, part.conn[start:stop], at.shape, at.gradient, at.weight, part.kind,
            part.scale[start:stop], sigma[start:stop], out[start:stop],
        )  # fmt: skip

    parallel.run(cells, len(out), grain=128)
    return out


def _hoop(model: Model, block: CellBlock, stress: StressAt) -> FloatArray:
    """The integral of N_i hoop stress / r^2 N_j around the rings, float64[k, n, n]."""
    at = tables(block)
    hoop = stress(block, at)[:, :, 2]
    measure = np.empty(hoop.shape)
    volume.measures(
        model.mesh.points, block.conn, at.shape, at.gradient, at.weight, block.kind, block.scale, measure
    )
    radius = block.at(model.mesh.points, at.shape)[..., 0]
    return weighted_products(at.shape, hoop * measure / radius**2)


def mass_of(model: Model, *, needed_by: str = "vibration") -> CellMatrices:
    """Consistent mass matrices of cells for one component, float64[k, n, n], kg."""
    density = model.cell_density(needed_by)

    def matrices(block: CellBlock, rows: IntArray) -> FloatArray:
        part = block.take(rows)
        shape, measure = storage_points(model, part)
        return weighted_products(shape, density[part.cells][:, None] * measure)

    return matrices


def _of_cells(
    model: Model, topology: Topology, needed_by: str, form: FloatArray | None = None
) -> tuple[Term, ...]:
    """Density N^T form N of all cells: tetrahedra without a matrix first, then the matrix of the others."""
    of, free = mass_of(model, needed_by=needed_by), topology.free
    terms: list[Term] = []
    if free is not None:
        density = model.cell_density(needed_by)
        ids = np.concatenate([topology.blocks[i].cells[rows] for i, rows in free.members])
        values, which = np.unique(density[ids], return_inverse=True)
        assemble = partial(cell_matrix, topology, of, 1, members=free.members)
        terms.append(MassTetrahedra(free, assemble, form, density=values, which=which.reshape(-1, 1)))
    if topology.kept:
        d = model.dimension
        whole = np.eye(d) if form is None else form[:d, :d]
        terms.append(MatrixTerm(each_component(cell_matrix(topology, of, 1), whole)))
    return tuple(terms)
