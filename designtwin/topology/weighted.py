"""Analyses of a part whose cells have only a share of their stiffness, mass or conductivity.

What the cells are made of is computed once; a design is a weight for each of them. Slopes by these weights
come from the same numbers: d(psi^T K u) = sum over cells of dw psi_e^T K_e u_e.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from designtwin.analysis.static import named
from designtwin.assembly import Assembled, CellBlock, HeatEquations, Topology, cell_blocks, static_map
from designtwin.assembly.cells import (
    applied,
    elastic_tensors,
    tables,
    thermal_strain,
    thermal_stress_force,
)
from designtwin.assembly.constraints import connected
from designtwin.assembly.inertia import mass_of
from designtwin.assembly.matrices import (
    CellMatrices,
    cell_matrix,
    conductivity_of,
    extra_terms,
    stiffness_of,
)
from designtwin.assembly.systems import coarsening_of, system_of, turned
from designtwin.assembly.tetrahedra import each_component
from designtwin.elements import Quadrature
from designtwin.errors import ConvergenceError, SingularSystemError, StudyError
from designtwin.kernels import volume
from designtwin.mesh.mesh import Group, Mesh
from designtwin.model.connections import bound_nodes, linked_nodes
from designtwin.model.loads import Acceleration, Centrifugal, Gravity
from designtwin.model.model import LoadCase, Model, Temperature
from designtwin.model.sections import Truss
from designtwin.solvers.choice import FALL_BACK_UP_TO, choose_solver
from designtwin.solvers.direct import Direct, estimate
from designtwin.solvers.eigen import eigenpairs
from designtwin.solvers.solution import Factorization, LinearSolver
from designtwin.solvers.system import MatrixTerm, System, Term
from designtwin.solvers.voxels import VoxelSystem
from designtwin.topology.lattice import Lattice, OnLattice
from designtwin.typing import FloatArray, IntArray

_KEPT = 1 << 30
"""Bytes of cell matrices that are kept; where they need more they are made anew at every design."""
_GENERAL = 10_000
"""Unknowns up to which factors are as quick as a multigrid cycle of bricks."""
_SPARSE = 2.0
"""Nodes of the box over those of the mesh from which on most of what cycles do may be in vain."""
_BRICKS = 2e-6
"""Seconds of cycles for an unknown of the box and a load case, two threads: some fifty of 40 ns."""
_QUICK = 5.0
"""Seconds up to which factors are taken: voids do not hinder them, and all designs have one order."""
_BATCH = 1 << 25
"""Bytes of cell matrices looked at in one go."""


class Cells:
    """The cells of a model and their matrices at full weight.

    Parameters
    ----------
    model : Model
    of : function
        Matrices of some cells of a block.
    components : int
        Of the field, at each node.
    heat : bool
        Whether the field is temperature.
    """

    def __init__(self, model: Model, of: CellMatrices, components: int, *, heat: bool = False) -> None:
        self.model, self.components = model, components
        self.blocks = cell_blocks(model)
        self.topology = Topology.of(
            model.mesh, self.blocks, [""] * len(self.blocks), bound_nodes(model, heat=heat)
        )
        self._of = of
        size = sum(8 * len(b.conn) * (b.element.n_nodes * components) ** 2 for b in self.blocks)
        self._kept: dict[int, FloatArray] = {}
        if size <= _KEPT:
            self._kept = {id(b): of(b, np.arange(len(b.conn))) for b in self.blocks}

    def matrices(self, block: CellBlock, rows: IntArray) -> FloatArray:
        """At full weight, float64[k, n, n]."""
        kept = self._kept.get(id(block))
        return self._of(block, rows) if kept is None else kept[rows]

    def weighted(self, weight: FloatArray) -> CellMatrices:
        """With a weight for each cell, float64[n_cells]."""

        def matrices(block: CellBlock, rows: IntArray) -> FloatArray:
            return self.matrices(block, rows) * weight[block.cells[rows], None, None]

        return matrices

    def batches(self) -> Iterator[tuple[CellBlock, IntArray]]:
        """All cells, some at a time."""
        for block in self.blocks:
            step = max(64, _BATCH // (8 * (block.element.n_nodes * self.components) ** 2))
            for first in range(0, len(block.conn), step):
                yield block, np.arange(first, min(first + step, len(block.conn)))

    def work(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """a_e^T A_e b_e of every cell at full weight, float64[n_cells], for fields [n_points, 3] or [n]."""
        out = np.zeros(self.model.mesh.n_cells)
        for block, rows in self.batches():
            conn = block.conn[rows]
            left, right = (self._local(field, conn) for field in (a, b))
            product = np.einsum("kij,kj->ki", self.matrices(block, rows), right)
            out[block.cells[rows]] = (left * product).sum(axis=1)
        return out

    def _local(self, field: FloatArray, conn: IntArray) -> FloatArray:
        if field.ndim == 1:
            return np.asarray(field[conn])
        return np.asarray(field[conn][:, :, : self.components].reshape(len(conn), -1))


@dataclass(frozen=True, eq=False)
class Shattered:
    """The model with nodes of its own for every cell: what loads and strains do cell by cell.

    Parameters
    ----------
    model : Model
        Without supports and cases.
    node : int64[n]
        The node of the whole model that each node is a copy of.
    """

    model: Model
    node: IntArray

    @classmethod
    def of(cls, model: Model) -> Shattered:
        """Take a model apart."""
        mesh = model.mesh
        nodes, cells, count = [], {}, 0
        for name, conn in mesh.cells.items():
            nodes.append(conn.ravel())
            cells[name] = count + np.arange(conn.size).reshape(conn.shape)
            count += conn.size
        node = np.concatenate(nodes)
        groups = {n: Group(cells=g.cells) for n, g in mesh.groups.items() if g.cells is not None}
        apart = Mesh(mesh.points[node], cells, groups, source=mesh.source)
        parts = {part.name: part for part in model.parts}
        named_cells = {name: Group(cells=part.cells) for name, part in parts.items()}
        return cls(
            Model(apart.with_groups(named_cells), materials={n: p.section for n, p in parts.items()}), node
        )

    def summed(self, field: FloatArray, n_points: int) -> FloatArray:
        """Forces of the copies [n, 3] on the nodes of the whole model [n_points, 3]."""
        out = np.zeros((n_points, 3))
        for i in range(3):
            out[:, i] = np.bincount(self.node, field[:, i], n_points)
        return out

    def by_cell(self, values: FloatArray) -> FloatArray:
        """Sum of a number of each copy [n] over the nodes of each cell, float64[n_cells]."""
        mesh = self.model.mesh
        out = np.empty(mesh.n_cells)
        for _, ids, conn in mesh.blocks():
            out[ids] = values[conn].sum(axis=1)
        return out

    def weights(self, weight: FloatArray) -> FloatArray:
        """The weight of each cell at the copies of its nodes, float64[n]."""
        mesh = self.model.mesh
        out = np.empty(len(self.node))
        for _, ids, conn in mesh.blocks():
            out[conn.ravel()] = np.repeat(weight[ids], conn.shape[1])
        return out


@dataclass(frozen=True, eq=False)
class _Forces:
    """Loads of a case: what never changes, what goes with mass, what goes with stiffness (thermal strain)."""

    fixed: FloatArray
    body: FloatArray | None
    thermal: FloatArray | None


@dataclass(frozen=True, eq=False)
class State:
    """The answer of one load case at one design.

    Parameters
    ----------
    name : str
    u : float64[n_points, 3] or [n_points]
        Displacement, or temperature.
    force : float64[n_points, 3] or [n_points]
        Loads on the nodes, without what free strain does.
    adjoint : function
        From slopes by u to psi with K psi = slope, 0 where u is given.
    slope : function
        (psi) -> (by weight, by mass weight): psi . (f' - K' u) of each cell, float64[n_cells] each.
    """

    name: str
    u: FloatArray
    force: FloatArray
    adjoint: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, eq=False)
class _Assembly:
    """A design, assembled and set up: solves for loads, as long as its weights hold."""

    model: Model
    assembled: Assembled
    made: Factorization

    def solve(self, forces: Sequence[FloatArray]) -> list[FloatArray]:
        """Displacements [n_points, 3] of nodal forces [n_points, 3]."""
        dofs, map_ = self.assembled.dofs, self.assembled.map
        loads = [self.assembled.right_hand_side(dofs.gather(force)) for force in forces]
        try:
            x = self.made.solve(np.stack(loads, axis=1)).x
        except SingularSystemError as error:
            raise named(self.model, dofs, error) from error
        return [dofs.scatter(map_.expand(np.ascontiguousarray(column))) for column in x.T]

    def adjoint(self, slope: FloatArray) -> FloatArray:
        """psi with K psi = slope, 0 where u is given."""
        dofs, map_ = self.assembled.dofs, self.assembled.map
        return dofs.scatter(map_.change(self.made.solve(map_.at_free(dofs.gather(slope))).x))


def _solver_of(system: System, n_rhs: int) -> LinearSolver:
    """Factors where they are quick, else what is chosen for any system."""
    if system.n_dof <= FALL_BACK_UP_TO and estimate(system).seconds < _QUICK:
        return Direct()
    return choose_solver(system, n_rhs)


class Statics:
    """Static answers of a weighted model.

    Parameters
    ----------
    model : Model
    cases : sequence of str
        Which to solve.
    solver : LinearSolver, optional
    """

    def __init__(self, model: Model, cases: Sequence[str], solver: LinearSolver | None) -> None:
        self.model, self.solver = model, solver
        self.cases = [model.cases[name] for name in cases]
        for part in model.parts:
            if isinstance(part.section, Truss):
                raise StudyError(
                    f"part {part.name!r} is of trusses; topology optimization takes solid or plane cells"
                )
        for case in self.cases:
            if case.stiffness_varies and case.temperature is not None:
                raise StudyError(
                    f"case {case.name!r}: stiffness that changes with temperature is not part of topology "
                    "optimization; state one temperature's properties"
                )
            if len(case.times):
                raise StudyError(f"case {case.name!r} has a course in time; freeze the instant that governs")
        self.lattice = self._lattice()
        self._forces = {case.name: self._forces_of(case) for case in self.cases}
        groups: dict[str, list[LoadCase]] = {}
        for case in self.cases:
            groups.setdefault(case.setup_key(), []).append(case)
        self.groups = list(groups.values())
        if self.lattice is not None and self.groups and not (self._systems and self._suits(self.lattice)):
            self.lattice = None

    @cached_property
    def cells(self) -> Cells:
        """Cells with their matrices; a lattice needs but one of them."""
        return Cells(self.model, stiffness_of(self.model), self.model.dimension)

    @cached_property
    def apart(self) -> Shattered:
        """Cell by cell."""
        return Shattered.of(self.model)

    def _lattice(self) -> Lattice | None:
        """The box of bricks that the mesh is part of, where it pays to solve without a matrix."""
        model = self.model
        small = model.mesh.n_points * model.dimension <= _GENERAL
        plain = len(model.parts) == 1 and not model.connections and not model.axisymmetric
        if self.solver is not None or small or not plain:
            return None
        for support in (*model.supports, *(s for case in self.cases for s in case.supports)):
            held = support.prescribed(model)
            if support.matrices(model) or any(h.axes is not None or h.value.any() for h in held):
                return None
        blocks = cell_blocks(model)
        if len(blocks) > 1 or len(elastic_tensors(model, blocks[0], tables(blocks[0]), None)[0]) > 1:
            return None
        return Lattice.of(model.mesh)

    def _suits(self, lattice: Lattice) -> bool:
        """Whether cycles over the whole box are quicker than factors of what there is in it."""
        nodes, mesh = lattice.grid.n_nodes, self.model.mesh
        unknowns = mesh.n_points * mesh.dimension
        if nodes < _SPARSE * mesh.n_points or unknowns > FALL_BACK_UP_TO:
            return True
        cycles = _BRICKS * nodes * mesh.dimension * len(self.cases)
        full = np.ones(mesh.n_cells)
        factors = sum(estimate(self._assembled(group[0], full).system).seconds for group in self.groups)
        return cycles < factors

    def work(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """a_e^T K_e b_e of every cell at full weight, float64[n_cells]."""
        if self.lattice is None:
            return self.cells.work(a, b)
        system = next(iter(self._systems.values()))
        assert system is not None
        left = self.lattice.spread(a)
        right = left if a is b else self.lattice.spread(b)
        return np.asarray(system.energies(left, right)[self.lattice.cell])

    @cached_property
    def _systems(self) -> dict[str, VoxelSystem]:
        """Equations of the box by the set-up of a case; none where one of them is not for a lattice."""
        assert self.lattice is not None
        model, out = self.model, {}
        block = cell_blocks(model)[0]
        matrix = stiffness_of(model)(block, np.arange(1))[0]
        tensor = elastic_tensors(model, block.take(np.arange(1)), tables(block), None)[0][0]
        rows = np.arange(6) if model.dimension == 3 else np.array([0, 1, 3])
        for group in self.groups:
            dofs = self._topology.dofs(model.dimension)
            map_ = static_map(model, group[0], dofs, linked_nodes(model))
            held = dofs.scatter(map_.fixed.astype(np.float64))[:, : model.dimension] > 0.5
            made = self.lattice.system(matrix, tensor[np.ix_(rows, rows)], held)
            if made is None:
                return {}
            out[group[0].setup_key()] = made
        return out

    @cached_property
    def _topology(self) -> Topology:
        return Topology.plain(self.model.mesh, cell_blocks(self.model))

    def _forces_of(self, case: LoadCase) -> _Forces:
        model = self.model
        fixed = np.zeros((model.mesh.n_points, 3))
        body = None
        for load in case.loads:
            if not isinstance(load, Gravity | Acceleration | Centrifugal):
                fixed += load.nodal_forces(model)
                continue
            apart = self.apart
            local = load.nodal_forces(apart.model)
            body = local if body is None else body + local
            # Point masses are no part of the design: what they weigh stays.
            fixed += load.nodal_forces(model) - apart.summed(local, model.mesh.n_points)
        thermal = None
        if case.temperature is not None:
            apart = self.apart
            warm = Temperature(case.temperature.at_nodes(model)[apart.node], case.temperature.reference)
            alone = LoadCase(case.name, temperature=warm)
            thermal = thermal_stress_force(apart.model, alone, cell_blocks(apart.model))
        return _Forces(fixed, body, thermal)

    def solve(self, weight: FloatArray, mass: FloatArray) -> list[State]:
        """All cases at a design: share of stiffness and of mass of each cell, float64[n_cells] each.

        Raises
        ------
        SingularSystemError
            If the supports leave a motion free.
        ConvergenceError
            If the solver gives up.
        """
        states = {}
        for group in self.groups:
            made: _Assembly | OnLattice = self._set_up(group, weight)
            forces = [self._force(case, mass) for case in group]
            pushed = [
                force + self._free_strain(case, weight) for case, force in zip(group, forces, strict=True)
            ]
            try:
                found = made.solve(pushed)
            except ConvergenceError:
                if self.lattice is None:
                    raise
                # A solid that hangs loose in voids, as before members reach it: factors do not mind.
                made = self._factorized(group, weight)
                found = made.solve(pushed)
            for case, force, u in zip(group, forces, found, strict=True):
                states[case.name] = State(case.name, u, force, made.adjoint, self._slope(case, u))
        return [states[case.name] for case in self.cases]

    def _set_up(self, group: Sequence[LoadCase], weight: FloatArray) -> _Assembly | OnLattice:
        if self.lattice is not None:
            return OnLattice.of(self.lattice, self._systems[group[0].setup_key()], weight)
        return self._factorized(group, weight)

    def _factorized(self, group: Sequence[LoadCase], weight: FloatArray) -> _Assembly:
        assembled = self._assembled(group[0], weight)
        try:
            solver = self.solver or _solver_of(assembled.system, 2 * len(group))
            return _Assembly(self.model, assembled, solver.factorize(assembled.system))
        except SingularSystemError as error:
            raise named(self.model, assembled.dofs, error) from error

    def _force(self, case: LoadCase, mass: FloatArray) -> FloatArray:
        """Loads on the nodes."""
        forces = self._forces[case.name]
        if forces.body is None:
            return forces.fixed
        apart = self.apart
        local = forces.body * apart.weights(mass)[:, None]
        return forces.fixed + apart.summed(local, len(forces.fixed))

    def _free_strain(self, case: LoadCase, weight: FloatArray) -> FloatArray | float:
        """What free strain pushes the nodes with."""
        thermal = self._forces[case.name].thermal
        if thermal is None:
            return 0.0
        apart = self.apart
        return apart.summed(thermal * apart.weights(weight)[:, None], self.model.mesh.n_points)

    def _assembled(self, case: LoadCase, weight: FloatArray) -> Assembled:
        model, topology, of = self.model, self.cells.topology, self.cells.weighted(weight)
        dofs = topology.dofs(model.dimension)
        cells: tuple[Term, ...] = (MatrixTerm(cell_matrix(topology, of, dofs.components)),)
        given = [m for s in (*model.supports, *case.supports) for m in s.matrices(model)]
        extra = extra_terms(given, topology, dofs.components)
        map_ = connected(model, dofs, static_map(model, case, dofs, linked_nodes(model)))
        terms = turned((*cells, *extra), map_, dofs.components)
        coarse = coarsening_of(model, topology, of, terms, extra, map_)
        return Assembled(dofs, cells, extra, map_, system_of(model, topology, dofs, terms, map_, coarse))

    def _slope(self, case: LoadCase, u: FloatArray) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
        forces = self._forces[case.name]

        def slope(psi: FloatArray) -> tuple[FloatArray, FloatArray]:
            by_weight = -self.work(psi, u)
            by_mass = np.zeros(len(by_weight))
            if forces.thermal is not None:
                apart = self.apart
                by_weight += apart.by_cell((forces.thermal * psi[apart.node]).sum(axis=1))
            if forces.body is not None:
                apart = self.apart
                by_mass = apart.by_cell((forces.body * psi[apart.node]).sum(axis=1))
            return by_weight, by_mass

        return slope

    def follows(self, case: str) -> tuple[bool, bool]:
        """Whether free strain acts in a case, and whether its loads go with the mass."""
        forces = self._forces[case]
        return forces.thermal is not None, forces.body is not None

    def free_stress(self, case: str, block: CellBlock) -> FloatArray | None:
        """What the free strain of a warm case takes off the stress at the centers, float64[k, 6], Pa."""
        at = tables(block, (block.element.center, np.ones(1)))
        free = thermal_strain(self.model, block, at, self.model.cases[case])
        if free is None:
            return None
        tensor, of = elastic_tensors(self.model, block, at, None)
        return applied(tensor, of, free)[:, 0]

    @cached_property
    def stress_of(self) -> tuple[FloatArray, ...]:
        """Stress at the centers of cells by their displacements, float64[k, 6, n] of each block, Pa/m."""
        model, out = self.model, []
        for block, own in zip(self.cells.blocks, cell_blocks(self.apart.model), strict=True):
            center = block.element.center
            rule: Quadrature = (center, np.ones(1))
            n, d = block.element.n_nodes, model.dimension
            strain = np.empty((len(own.conn), 6, n * d))
            at, stiff = tables(own, rule), tables(own)
            tensor, of = elastic_tensors(self.apart.model, own, stiff, None)
            local, local_of = elastic_tensors(self.apart.model, own, at, None)
            nothing = np.zeros((0, len(stiff.xi), 6))
            unit = np.zeros((self.apart.model.mesh.n_points, 3))
            found = np.empty((len(own.conn), 1, 6))
            for i in range(n):
                for j in range(d):
                    unit[own.conn[:, i], j] = 1.0
                    volume.strain(
                        self.apart.model.mesh.points, own.conn, stiff.shape, stiff.gradient, stiff.weight,
                        stiff.modes, own.element.gradient(center)[0], own.kind, own.bbar, d, own.scale,
                        tensor, of, nothing, at.shape, at.gradient, at.modes, unit, found,
                    )  # fmt: skip
                    unit[own.conn[:, i], j] = 0.0
                    strain[:, :, i * d + j] = applied(local, local_of, found)[:, 0]
            out.append(strain)
        return tuple(out)


class Heat:
    """Steady temperatures of a weighted model."""

    def __init__(self, model: Model, cases: Sequence[str], solver: LinearSolver | None) -> None:
        self.model, self.solver = model, solver
        self.cells = Cells(model, conductivity_of(model), 1, heat=True)
        self.cases = [model.cases[name] for name in cases]
        for part in model.parts:
            if part.section.material.varies_with_temperature("conductivity"):
                raise StudyError(
                    f"part {part.name!r}: conductivity that changes with temperature is not part of topology "
                    "optimization; state it as one number"
                )
        ones = np.ones(model.mesh.n_cells)
        for case in self.cases:
            if not HeatEquations(model, case, _WeightedCells(self.cells, ones)).linear:
                raise StudyError(
                    f"case {case.name!r} is not linear in temperature (radiation, a film that changes with "
                    "it); topology optimization takes linear heat"
                )

    def solve(self, weight: FloatArray) -> list[State]:
        """All cases at a design: share of conductivity of each cell, float64[n_cells].

        Raises
        ------
        SingularSystemError
            If nothing fixes the level of temperature.
        """
        return [self._solve(case, weight) for case in self.cases]

    def _solve(self, case: LoadCase, weight: FloatArray) -> State:
        equations = HeatEquations(self.model, case, _WeightedCells(self.cells, weight))
        map_, dofs = equations.map(), equations.dofs
        u0 = map_.expand(np.zeros(dofs.n_dof))
        given = equations.given(u0)
        system = equations.system(u0)
        made = (self.solver or _solver_of(system, 2)).factorize(system)
        found = made.solve(map_.at_free(given.total - equations.conducted(u0)))
        u = dofs.scatter(map_.expand(found.x))

        def adjoint(slope: FloatArray) -> FloatArray:
            return dofs.scatter(map_.change(made.solve(map_.at_free(dofs.gather(slope))).x))

        def slope(psi: FloatArray) -> tuple[FloatArray, FloatArray]:
            by_weight = -self.cells.work(psi, u)
            return by_weight, np.zeros(len(by_weight))

        return State(case.name, u, dofs.scatter(given.applied), adjoint, slope)


@dataclass(frozen=True, eq=False)
class _WeightedCells:
    """Cells that conduct with a weight, as heat equations take them."""

    cells: Cells
    weight: FloatArray
    constant: bool = True
    skewed: bool = False

    @property
    def topology(self) -> Topology:
        return self.cells.topology

    @cached_property
    def _term(self) -> MatrixTerm:
        return MatrixTerm(cell_matrix(self.topology, self.cells.weighted(self.weight), 1))

    def conducted(self, u: FloatArray) -> FloatArray:
        """K u, W."""
        return self._term.apply(u)

    def stored(self, u: FloatArray) -> FloatArray:
        """Heat at rest is not stored."""
        raise NotImplementedError("topology optimization is of steady heat")

    def terms(self, u: FloatArray, rate: float) -> tuple[Term, ...]:
        """K."""
        return (self._term,)

    def matrices(self, u: FloatArray, rate: float) -> CellMatrices:
        """K cell by cell."""
        return self.cells.weighted(self.weight)

    def tangent(self, u: FloatArray, rate: float) -> Any:
        """K."""
        return self._term.matrix()


class Modes:
    """Natural frequencies of a weighted model at rest."""

    def __init__(self, model: Model, solver: LinearSolver | None, statics: Statics | None = None) -> None:
        self.model, self.solver = model, solver
        self.case = LoadCase("at rest")
        self._statics = statics or Statics(model, (), solver)
        self.stiff = self._statics.cells
        self.mass = Cells(model, mass_of(model, needed_by="topology optimization"), 1)

    def solve(self, weight: FloatArray, mass: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
        """Lowest eigenvalues omega^2 [k] and mode shapes [k, n_points, 3], phi^T M phi = 1."""
        assembled = self._statics._assembled(self.case, weight)
        model, topology, dofs = self.model, self.stiff.topology, assembled.dofs
        # The mass is numbered as the stiffness is: its cell matrices go into the same pattern.
        alike = cell_matrix(topology, self._mass_of(mass), 1)
        point = [matrices for one in model.point_masses for matrices in one.mass_matrices(model)]
        terms = (
            MatrixTerm(each_component(alike, np.eye(dofs.components))),
            *extra_terms(point, topology, dofs.components),
        )
        terms = turned(terms, assembled.map, dofs.components)
        system = replace(assembled.system, terms=terms, coarse=None)
        found = eigenpairs(assembled.system, system, count=count, solver=self.solver)
        shapes = np.stack([dofs.scatter(assembled.map.change(x)) for x in found.vectors.T])
        return found.values, shapes

    def _mass_of(self, weight: FloatArray) -> CellMatrices:
        index = {id(a): b for a, b in zip(self.stiff.blocks, self.mass.blocks, strict=True)}
        weighted = self.mass.weighted(weight)

        def matrices(block: CellBlock, rows: IntArray) -> FloatArray:
            return weighted(index[id(block)], rows)

        return matrices

    def slopes(self, value: float, shape: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Slopes of one eigenvalue by the weights of stiffness and of mass, float64[n_cells] each."""
        by_mass = np.zeros(self.model.mesh.n_cells)
        for i in range(self.model.dimension):
            column = np.ascontiguousarray(shape[:, i])
            by_mass -= value * self.mass.work(column, column)
        return self.stiff.work(shape, shape), by_mass
