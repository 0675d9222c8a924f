"""From a load case to a system of equations that a solver takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from designtwin.assembly.cells import CellBlock
from designtwin.assembly.constraints import connected, tied_prolongation
from designtwin.assembly.matrices import (
    _extra_terms,
    conductivity_matrix,
    corner_coarsening,
    stiffness_matrix,
)
from designtwin.assembly.unknowns import AffineMap, DofMap, rigid_modes, static_map
from designtwin.model.connections import linked_nodes
from designtwin.model.model import LoadCase, Model
from designtwin.solvers.system import Coarsening, MatrixTerm, SparseMatrix, System, Term
from designtwin.typing import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Assembled:
    """A system ready to solve: what cells resist, what supports hold, which unknowns are free.

    Parameters
    ----------
    dofs : DofMap
    cells : block-sparse [n_dof, n_dof]
        Resistance of the cells alone: stiffness (N/m) or conductivity (W/K).
    extra : tuple of Term
        Springs, foundations, convection.
    map : AffineMap
    system : System
        In the map's free unknowns.
    """

    dofs: DofMap
    cells: SparseMatrix
    extra: tuple[Term, ...]
    map: AffineMap
    system: System

    def right_hand_side(self, loads: FloatArray) -> FloatArray:
        """Loads on the free unknowns, with prescribed values moved over; float64[n_dof]."""
        f = loads
        u0 = self.map.expand(np.zeros(self.dofs.n_dof))
        if u0.any():
            f = f - self.cells @ u0
            for term in self.extra:
                f = f - term.apply(u0)
        return np.where(self.map.fixed, 0.0, self.map.restrict(f))

    @cached_property
    def held(self) -> BoolArray:
        """Unknowns at nodes of which some direction is prescribed, bool[n_dof]."""
        nodes = self.map.fixed.reshape(self.dofs.n_points, self.dofs.components).any(axis=1)
        return np.repeat(nodes, self.dofs.components)


def _system(
    dofs: DofMap,
    cells: SparseMatrix,
    extra: Sequence[Term],
    map_: AffineMap,
    near_nullspace: FloatArray,
    coarse: Coarsening | None,
) -> System:
    terms: list[Term] = [MatrixTerm(cells), *extra]
    if map_.transform is not None:
        t = map_.transform
        b = dofs.components
        turned = [MatrixTerm((t.T @ term.matrix() @ t).tobsr(blocksize=(b, b))) for term in terms]
        terms = list(turned)
        skew = map_.constraints.turn if map_.constraints is not None else t
        if skew is not None:
            near_nullspace, coarse = skew.T @ near_nullspace, None
        elif coarse is not None:
            coarse = replace(
                coarse, prolongation=tied_prolongation(coarse.prolongation, map_.constraints.reduced, b)
            )
    return System(
        terms=tuple(terms), block=dofs.components, free=~map_.fixed, near_nullspace=near_nullspace,
        coarse=coarse, definite=True,
    )  # fmt: skip


def assemble_static(model: Model, case: LoadCase, blocks: Sequence[CellBlock]) -> Assembled:
    """Stiffness and supports of a load case."""
    dofs = DofMap(model.mesh.n_points, model.dimension)
    temperature = None if case.temperature is None else case.temperature.at_nodes(model)
    cells = stiffness_matrix(model, blocks, temperature)
    contributions = [m for s in (*model.supports, *case.supports) for m in s.matrices(model)]
    extra = _extra_terms(contributions, dofs.n_points, dofs.components)
    map_ = connected(model, dofs, static_map(model, case, dofs, linked_nodes(model)))
    modes = rigid_modes(model.mesh.points, dofs.components, axisymmetric=model.axisymmetric)
    coarse = corner_coarsening(model, dofs.components)
    return Assembled(dofs, cells, tuple(extra), map_, _system(dofs, cells, extra, map_, modes, coarse))


def assemble_thermal(
    model: Model, case: LoadCase, blocks: Sequence[CellBlock], temperature: FloatArray | None = None
) -> Assembled:
    """Conductivity, convection and prescribed temperatures of a load case."""
    dofs = DofMap(model.mesh.n_points, 1)
    cells = conductivity_matrix(model, blocks, temperature)
    contributions = [m for load in case.heat_loads for m in load.matrices(model)]
    contributions += [m for s in (*model.heat_supports, *case.heat_supports) for m in s.matrices(model)]
    extra = _extra_terms(contributions, dofs.n_points, 1)
    fixed = np.ones(dofs.n_points, bool)
    fixed[model.mesh.used_nodes] = False
    fixed[linked_nodes(model, heat=True)] = False
    value = np.zeros(dofs.n_points)
    for support in (*model.heat_supports, *case.heat_supports):
        for held in support.prescribed(model):
            fixed[held.nodes] = True
            value[held.nodes] = held.value
    map_ = connected(model, dofs, AffineMap(fixed, value))
    modes = np.ones((dofs.n_points, 1))
    return Assembled(
        dofs, cells, tuple(extra), map_,
        _system(dofs, cells, extra, map_, modes, corner_coarsening(model, 1)),
    )  # fmt: skip
