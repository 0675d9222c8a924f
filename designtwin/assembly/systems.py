"""From a load case to a system of equations that a solver takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from designtwin.assembly.cells import CellBlock
from designtwin.assembly.constraints import connected, tied_prolongation
from designtwin.assembly.matrices import (
    CellMatrices,
    corner_coarsening,
    corner_sum,
    extra_terms,
    static_topology,
    stiffness_of,
    stiffness_terms,
)
from designtwin.assembly.topology import Topology
from designtwin.assembly.unknowns import AffineMap, DofMap, rigid_modes, static_map
from designtwin.model.connections import linked_nodes
from designtwin.model.model import LoadCase, Model
from designtwin.solvers.solution import Factorization
from designtwin.solvers.system import Coarsening, MatrixTerm, SparseMatrix, System, Term
from designtwin.typing import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Assembled:
    """A system ready to solve: what cells resist, what supports hold, which unknowns are free.

    Parameters
    ----------
    dofs : DofMap
    cells : tuple of Term
        Resistance of the cells alone: stiffness (N/m) or conductivity (W/K).
    extra : tuple of Term
        Springs, foundations, convection.
    map : AffineMap
    system : System
        In the map's free unknowns.
    """

    dofs: DofMap
    cells: tuple[Term, ...]
    extra: tuple[Term, ...]
    map: AffineMap
    system: System

    def internal(self, u: FloatArray) -> FloatArray:
        """What the cells answer to u [n_dof]: forces or heat at the nodes."""
        return np.asarray(sum(term.apply(u) for term in self.cells))

    def right_hand_side(self, loads: FloatArray) -> FloatArray:
        """Loads on the free unknowns, with prescribed values moved over; float64[n_dof]."""
        f = loads
        u0 = self.map.expand(np.zeros(self.dofs.n_dof))
        if u0.any():
            f = f - self.internal(u0)
            for term in self.extra:
                f = f - term.apply(u0)
        return np.where(self.map.fixed, 0.0, self.map.restrict(f))

    @property
    def stiffest(self) -> float:
        """Largest entry on the diagonal, N/m or W/K."""
        return self.system.largest

    @cached_property
    def held(self) -> BoolArray:
        """Unknowns at nodes of which some direction is prescribed, bool[n_dof]."""
        nodes = self.map.fixed.reshape(self.dofs.n_points, self.dofs.components).any(axis=1)
        return np.repeat(nodes, self.dofs.components)


@dataclass(frozen=True, eq=False)
class SetUp:
    """What an analysis leaves for adjoints: the system of some cases, its factors or levels, the unknowns.

    Parameters
    ----------
    assembled : Assembled
    factorization : Factorization
    unknowns : dict of case name to float64[n_dof]
        Of each case, as the solver gave them.
    memory : dict
        Strains and the like of a case, kept between quantities.
    """

    assembled: Assembled
    factorization: Factorization
    unknowns: dict[str, FloatArray] = field(default_factory=dict)
    memory: dict[Any, Any] = field(default_factory=dict, repr=False)


def turned(terms: Sequence[Term], map_: AffineMap, components: int) -> tuple[Term, ...]:
    """Terms in the map's unknowns, T^T A T; tetrahedra without a matrix keep away from what T mixes."""
    if map_.transform is None:
        return tuple(terms)
    t, shape = map_.transform, (components, components)
    return tuple(
        MatrixTerm((t.T @ term.matrix() @ t).tobsr(blocksize=shape))
        if map_.turn is not None or isinstance(term, MatrixTerm)
        else term
        for term in terms
    )


def coarsening_of(
    model: Model, topology: Topology, cell_matrices: CellMatrices, terms: Sequence[Term],
    extra: Sequence[Term], map_: AffineMap,
) -> Coarsening | None:  # fmt: skip
    """From a quadratic mesh to its corners, some of which may follow others; terms in the map's unknowns."""
    if map_.turn is not None:
        # Corner averages mean nothing between nodes whose axes differ: aggregation from the finest level on.
        return None
    c = len(map_.fixed) // model.mesh.n_points
    plain = corner_coarsening(model, topology, cell_matrices, c, terms, extra)
    if plain is None or map_.constraints is None:
        return plain
    weights = tied_prolongation(plain.prolongation, map_.constraints.reduced, c)

    def matrix() -> SparseMatrix:
        return corner_sum(topology, terms, weights, c)

    return replace(plain, prolongation=weights, matrix=None if topology.free is None else matrix)


def system_of(
    model: Model, topology: Topology, dofs: DofMap, terms: Sequence[Term], map_: AffineMap,
    coarse: Coarsening | None,
) -> System:  # fmt: skip
    modes = None
    if coarse is None:
        points = model.mesh.points[topology.order]
        modes = rigid_modes(points, dofs.components, axisymmetric=model.axisymmetric)
        modes = modes if map_.turn is None else map_.turn.T @ modes
    return System(
        terms=tuple(terms), block=dofs.components, free=~map_.fixed, near_nullspace=modes, coarse=coarse,
        definite=True,
    )  # fmt: skip


def assemble_static(
    model: Model, case: LoadCase, blocks: Sequence[CellBlock], topology: Topology | None = None
) -> Assembled:
    """Stiffness and supports of a load case; `topology` where one is there from another case or step."""
    topology = topology or static_topology(model, blocks)
    dofs = topology.dofs(model.dimension)
    temperature = None if case.temperature is None else case.temperature.at_nodes(model)
    cells = stiffness_terms(model, topology, temperature)
    contributions = [m for s in (*model.supports, *case.supports) for m in s.matrices(model)]
    extra = extra_terms(contributions, topology, dofs.components)
    map_ = connected(model, dofs, static_map(model, case, dofs, linked_nodes(model)))
    terms = turned((*cells, *extra), map_, dofs.components)
    coarse = coarsening_of(model, topology, stiffness_of(model, temperature), terms, extra, map_)
    system = system_of(model, topology, dofs, terms, map_, coarse)
    return Assembled(dofs, cells, extra, map_, system)
