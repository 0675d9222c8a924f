"""Heat as equations: what cells conduct and store, and what loads give, at a temperature and a time.

With u the temperature of every node in the order of unknowns, E(u) the heat stored at the nodes, K(u) u what
cells conduct and Q(u, t) what loads put in, heat is conserved where dE/dt + K(u) u = Q(u, t). An analysis
takes residuals and systems from here; it knows neither cells nor loads.

Source: Bathe, Finite Element Procedures, 2nd ed. (2014), sec. 7.2; enthalpy: Lewis, Nithiarasu and
Seetharamu, Fundamentals of the Finite Element Method for Heat and Fluid Flow (2004), sec. 6.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from designtwin import parallel
from designtwin.assembly.cells import (
    CellBlock,
    PointTables,
    applied,
    axes_at,
    conductivity_tensors,
    storage_points,
    tables,
    warmth_at,
)
from designtwin.assembly.constraints import connected
from designtwin.assembly.matrices import (
    CellMatrices,
    cell_matrix,
    conductivity_of,
    conductivity_terms,
    extra_terms,
    thermal_topology,
    weighted_products,
)
from designtwin.assembly.systems import coarsening_of, system_of, turned
from designtwin.assembly.tetrahedra import Capacity, HeatTetrahedra
from designtwin.assembly.topology import Topology
from designtwin.assembly.unknowns import AffineMap, DofMap
from designtwin.kernels import pattern, surface, volume
from designtwin.model.connections import bound_nodes, linked_nodes
from designtwin.model.domains import Domain, NodalMatrices, face_matrices
from designtwin.model.model import LoadCase, Model
from designtwin.solvers.system import MatrixTerm, System, Term
from designtwin.typing import FloatArray, IntArray, SparseMatrix

Spread = Callable[[FloatArray], FloatArray]
"""A product over nodal values of the mesh, float64[n_points]."""


class Given(NamedTuple):
    """Heat into the nodes by loads, float64[n_dof] each, W.

    Parameters
    ----------
    applied : whatever the part's temperature
        Fluxes, sources.
    exchanged : with the surroundings, by its temperature
        Convection, radiation.
    """

    applied: FloatArray
    exchanged: FloatArray

    @property
    def total(self) -> FloatArray:
        """Both, float64[n_dof], W."""
        return self.applied + self.exchanged


# Cells


class HeatCells(Protocol):
    """Conduction and storage of all cells; u is float64[n_dof], in the order of unknowns."""

    @property
    def topology(self) -> Topology:
        """Numbers of nodes."""
        ...

    @property
    def constant(self) -> bool:
        """Whether properties do not change with temperature."""
        ...

    @property
    def skewed(self) -> bool:
        """Whether the tangent has a part that is not symmetric."""
        ...

    def conducted(self, u: FloatArray) -> FloatArray:
        """K(u) u, W."""
        ...

    def stored(self, u: FloatArray) -> FloatArray:
        """E(u), J above 0 degC."""
        ...

    def terms(self, u: FloatArray, rate: float) -> tuple[Term, ...]:
        """Symmetric part of the tangent K + rate C, W/K."""
        ...

    def matrices(self, u: FloatArray, rate: float) -> CellMatrices:
        """The same cell by cell."""
        ...

    def tangent(self, u: FloatArray, rate: float) -> SparseMatrix:
        """The whole tangent, with what conductivity that changes with temperature adds; not symmetric."""
        ...


@dataclass(frozen=True, eq=False)
class _ConstantCells:
    """Properties that do not change: terms are made once, and only the rate changes."""

    model: Model
    topology: Topology
    conduction: tuple[Term, ...]
    capacity: MatrixTerm | None
    """Of the cells that are assembled."""
    constant: bool = True
    skewed: bool = False

    @classmethod
    def of(cls, model: Model, blocks: Sequence[CellBlock], *, storing: bool) -> _ConstantCells:
        topology = thermal_topology(model, blocks)
        conduction = conductivity_terms(model, topology)
        if storing and topology.free is not None:
            stored = _capacity_of_free(model, topology)
            conduction = tuple(
                replace(term, capacity=stored) if isinstance(term, HeatTetrahedra) else term
                for term in conduction
            )
        kept = storing and bool(topology.kept)
        capacity = MatrixTerm(cell_matrix(topology, capacity_of(model), 1)) if kept else None
        return cls(model, topology, conduction, capacity)

    def conducted(self, u: FloatArray) -> FloatArray:
        return np.asarray(sum(term.apply(u) for term in self.conduction))

    def stored(self, u: FloatArray) -> FloatArray:
        above = u - _ZERO_CELSIUS
        out = np.zeros_like(u) if self.capacity is None else self.capacity.apply(above)
        for term in self.conduction:
            if isinstance(term, HeatTetrahedra):
                out += term.capacity_apply(above)
        return out

    def terms(self, u: FloatArray, rate: float) -> tuple[Term, ...]:
        if rate == 0.0:
            return self.conduction
        out: list[Term] = []
        for term in self.conduction:
            if isinstance(term, HeatTetrahedra):
                out.append(term.with_alpha(rate))
                continue
            assert isinstance(term, MatrixTerm)
            assert self.capacity is not None
            total = term.values.copy()
            total.data = term.values.data + rate * self.capacity.values.data
            out.append(MatrixTerm(total))
        return tuple(out)

    def matrices(self, u: FloatArray, rate: float) -> CellMatrices:
        return _both(conductivity_of(self.model), capacity_of(self.model), rate)

    def tangent(self, u: FloatArray, rate: float) -> SparseMatrix:
        raise AssertionError("the tangent of constant properties is symmetric")


def _capacity_of_free(model: Model, topology: Topology) -> Capacity:
    """Capacity of the cells without a matrix, one number a part."""
    assert topology.free is not None
    members = topology.free.members
    values = [float(topology.blocks[i].section.material.heat_capacity()) for i, _ in members]
    which = [np.full((len(rows), 1), k) for k, (_, rows) in enumerate(members)]
    assemble = partial(cell_matrix, topology, capacity_of(model), 1, members=members)
    return Capacity(np.array(values), np.concatenate(which), assemble)


@dataclass(frozen=True, eq=False)
class _ChangingCells:
    """Properties over temperature: everything is assembled, anew for every temperature."""

    model: Model
    topology: Topology
    skewed: bool
    constant: bool = False

    @classmethod
    def of(cls, model: Model, blocks: Sequence[CellBlock]) -> _ChangingCells:
        topology = Topology.of(model.mesh, blocks, [""] * len(blocks), bound_nodes(model, heat=True))
        skewed = any(block.section.material.varies_with_temperature("conductivity") for block in blocks)
        return cls(model, topology, skewed)

    @cached_property
    def _points(self) -> tuple[tuple[FloatArray, FloatArray], ...]:
        """Of each block: shape functions and volumes of the points that integrate storage."""
        return tuple(storage_points(self.model, block) for block in self.topology.blocks)

    @cached_property
    def _slots(self) -> tuple[NDArray[np.int32], ...]:
        """Of each block: where the entries of its cells are."""
        place, shared = self.topology.place, self.topology.pattern
        return tuple(shared.slots(place[block.conn]) for block in self.topology.blocks)

    def _nodal(self, u: FloatArray) -> FloatArray:
        return self.topology.dofs(1).scatter(u)

    def conducted(self, u: FloatArray) -> FloatArray:
        warm = self._nodal(u)
        out = np.zeros((len(warm), 1))
        for block in self.topology.blocks:
            at = tables(block)
            grad = _gradient(self.model, block, at, warm)
            k, k_of = conductivity_tensors(self.model, block, at, warm)
            volume.flux_divergence(
                self.model.mesh.points, block.conn, at.shape, at.gradient, at.weight, block.kind, block.scale,
                applied(k, k_of, grad), out,
            )  # fmt: skip
        return self.topology.dofs(1).gather(out[:, 0])

    def stored(self, u: FloatArray) -> FloatArray:
        warm = self._nodal(u)
        out = np.zeros((len(warm), 1))
        for block, (shape, measure) in zip(self.topology.blocks, self._points, strict=True):
            local = warmth_at(block, shape, warm)
            heat = block.section.material.enthalpy(local) * measure
            surface.scatter(block.conn, shape, np.ascontiguousarray(heat[:, :, None]), out)
        return self.topology.dofs(1).gather(out[:, 0])

    def terms(self, u: FloatArray, rate: float) -> tuple[Term, ...]:
        return (MatrixTerm(self._assembled(u, rate, skew=False)),)

    def tangent(self, u: FloatArray, rate: float) -> SparseMatrix:
        return self._assembled(u, rate, skew=True).tocsr()

    def _assembled(self, u: FloatArray, rate: float, *, skew: bool) -> SparseMatrix:
        warm = self._nodal(u)
        data = self.topology.pattern.empty(1)
        for k, block in enumerate(self.topology.blocks):
            step = max(64, _BATCH // block.element.n_nodes**2)
            for first in range(0, len(block.conn), step):
                rows = np.arange(first, min(first + step, len(block.conn)))
                matrices = conductivity_of(self.model, warm)(block, rows)
                if skew:
                    matrices += _flux_change_of(self.model, warm)(block, rows)
                if rate != 0.0:
                    shape, measure = self._points[k]
                    part = block.take(rows)
                    stored = part.section.material.heat_capacity(warmth_at(part, shape, warm))
                    matrices += rate * weighted_products(shape, stored * measure[rows])
                pattern.add_at(self._slots[k][rows], matrices.reshape(len(rows), -1), data.reshape(-1))
        return self.topology.pattern.matrix(data)

    def matrices(self, u: FloatArray, rate: float) -> CellMatrices:
        warm = self._nodal(u)
        return _both(conductivity_of(self.model, warm), capacity_of(self.model, warm), rate)


_BATCH = 3_000_000  # numbers in the cell matrices that are held at once


def _gradient(model: Model, block: CellBlock, at: PointTables, nodal: FloatArray) -> FloatArray:
    """Gradient of a nodal field at table points, float64[n_cells, q, 3]."""
    out = np.empty((len(block.conn), len(at.xi), 3))

    def cells(start: int, stop: int) -> None:
        conn = block.conn[start:stop]
        volume.scalar_gradient(model.mesh.points, conn, at.gradient, nodal, out[start:stop])

    parallel.run(cells, len(out), grain=1024)
    return out


_ZERO_CELSIUS = 273.15


def _both(conduction: CellMatrices, capacity: CellMatrices, rate: float) -> CellMatrices:
    def matrices(block: CellBlock, rows: IntArray) -> FloatArray:
        out = conduction(block, rows)
        if rate != 0.0:
            out += rate * capacity(block, rows)
        return out

    return matrices


def capacity_of(model: Model, temperature: FloatArray | None = None) -> CellMatrices:
    """Heat capacity matrices of cells, the integral of N_i rho c N_j, J/K; at nodal temperatures if given."""

    def matrices(block: CellBlock, rows: IntArray) -> FloatArray:
        part = block.take(rows)
        shape, measure = storage_points(model, part)
        local = None if temperature is None else warmth_at(part, shape, temperature)
        return weighted_products(shape, part.section.material.heat_capacity(local) * measure)

    return matrices


def _flux_change_of(model: Model, temperature: FloatArray) -> CellMatrices:
    """The integral of grad N_i . k'(T) grad T N_j of cells, W/K."""

    def matrices(block: CellBlock, rows: IntArray) -> FloatArray:
        part = block.take(rows)
        at = tables(part)
        grad = _gradient(model, part, at, temperature)
        local = warmth_at(part, at.shape, temperature)
        axes = axes_at(model, part, at)
        slope = np.asarray(part.section.conductivity_slope(local.ravel(), axes)).reshape(*local.shape, 3, 3)
        flux = np.ascontiguousarray(np.einsum("cqij,cqj->cqi", slope, grad))
        out = np.empty((len(part.conn), part.element.n_nodes, part.element.n_nodes))

        def cells(start: int, stop: int) -> None:
            volume.flux_change(
                model.mesh.points, part.conn[start:stop], at.shape, at.gradient, at.weight, part.kind,
                part.scale[start:stop], flux[start:stop], out[start:stop],
            )  # fmt: skip

        parallel.run(cells, len(out), grain=256)
        return out

    return matrices


# Loads


class _Bent(NamedTuple):
    """A load that is not linear in temperature, and where it acts."""

    load: Any
    domain: Domain


class _Linear(NamedTuple):
    """Heat that is linear in temperature, at a time: applied + inflow - film u; vectors float64[n_dof], W."""

    time: float | None
    applied: FloatArray
    inflow: FloatArray
    film: tuple[Term, ...]
    products: tuple[SparseMatrix, ...]


class _Loads:
    """Heat by the loads of a case; nodal values are in the mesh's own order."""

    def __init__(self, model: Model, case: LoadCase, topology: Topology) -> None:
        load: Any
        self._model, self._topology, self._dofs = model, topology, topology.dofs(1)
        n = model.mesh.n_points
        self._applied, self._inflow = np.zeros(n), np.zeros(n)
        fixed: list[NodalMatrices] = []
        self._timed: list[Any] = []
        self._bent: list[_Bent] = []
        self._enclosures: list[Any] = []
        for load in case.heat_loads:
            varies = getattr(load, "varies", ())
            if hasattr(load, "bind"):
                self._enclosures.append(load.bind(model))
            elif "temperature" in varies:
                self._bent.append(_Bent(load, load.domain(model)))
            elif "time" in varies:
                self._timed.append(load)
            else:
                heat, matrices = load.nodal_heat(model), load.matrices(model)
                if matrices:
                    self._inflow += heat
                else:
                    self._applied += heat
                fixed += matrices
        for support in (*model.heat_supports, *case.heat_supports):
            fixed += support.matrices(model)
        self._film = extra_terms(fixed, topology, 1)
        self._at = self._gathered(None, self._applied, self._inflow, self._film)

    @property
    def linear(self) -> bool:
        """Whether heat by loads is linear in temperature."""
        return not self._bent and not self._enclosures

    @property
    def far_reaching(self) -> bool:
        """Whether heat at one place depends on the temperature of another."""
        return bool(self._enclosures)

    @property
    def film_varies(self) -> bool:
        """Whether what they add to the matrix changes with time."""
        return any(load.film_varies for load in self._timed)

    def _gathered(
        self, time: float | None, applied_: FloatArray, inflow: FloatArray, film: tuple[Term, ...]
    ) -> _Linear:
        products = tuple(term.matrix().tocsr() for term in film)  # blocks of one number multiply slowly
        return _Linear(time, self._dofs.gather(applied_), self._dofs.gather(inflow), film, products)

    def _linear_at(self, time: float | None) -> _Linear:
        """Heat of the loads that are linear in temperature."""
        if self._timed and self._at.time != time:
            applied_, inflow, found = self._applied.copy(), self._inflow.copy(), []
            for load in self._timed:
                heat, matrices = load.nodal_heat(self._model, time), load.matrices(self._model, time)
                if matrices:
                    inflow += heat
                else:
                    applied_ += heat
                found += matrices
            film = (*self._film, *extra_terms(found, self._topology, 1))
            self._at = self._gathered(time, applied_, inflow, film)
        return self._at

    def _density(self, bent: _Bent, warm: FloatArray, time: float | None, patch: Any) -> tuple[Any, Any]:
        local = warm[patch.conn] @ patch.shape.T
        heat, slope = bent.load.density(self._model, patch, local, time)
        return np.broadcast_to(heat, local.shape), np.broadcast_to(slope, local.shape)

    def given(self, u: FloatArray, time: float | None) -> Given:
        linear = self._linear_at(time)
        out = linear.inflow.copy()
        if self._bent or self._enclosures:
            warm, exchanged = self._dofs.scatter(u), np.zeros(len(u))
            for bent in self._bent:
                for patch in bent.domain.patches:
                    heat, _ = self._density(bent, warm, time, patch)
                    one = replace(bent.domain, patches=(patch,))
                    exchanged += one.spread(lambda patch, heat=heat: heat[..., None], 1)[:, 0]  # type: ignore[misc]
            for enclosure in self._enclosures:
                exchanged += enclosure.nodal_heat(warm, time)
            out += self._dofs.gather(exchanged)
        for product in linear.products:
            out -= product @ u
        return Given(linear.applied, out)

    def film(self, u: FloatArray, time: float | None) -> tuple[Term, ...]:
        """-dQ/dT but for what enclosures carry from face to face."""
        film = self._linear_at(time).film
        if self.linear:
            return film
        warm = self._dofs.scatter(u)
        found: list[NodalMatrices] = []
        for bent in self._bent:
            for patch in bent.domain.patches:
                _, slope = self._density(bent, warm, time, patch)
                one = replace(bent.domain, patches=(patch,))
                found += face_matrices(one, lambda patch, slope=slope: -slope[..., None, None])  # type: ignore[misc]
        for enclosure in self._enclosures:
            found += enclosure.matrices(warm, time)
        return (*film, *extra_terms(found, self._topology, 1))

    def far(self, u: FloatArray, time: float | None, *, transposed: bool = False) -> Spread | None:
        """The rest of -dQ/dT: what enclosures carry from face to face, as a product of unknowns."""
        if not self._enclosures:
            return None
        warm = self._dofs.scatter(u)
        whole = [enclosure.tangent(warm, time, transposed=transposed) for enclosure in self._enclosures]
        near = [m for enclosure in self._enclosures for m in enclosure.matrices(warm, time)]
        local = extra_terms(near, self._topology, 1)

        def product(x: FloatArray) -> FloatArray:
            nodal = self._dofs.scatter(x)
            out = self._dofs.gather(np.asarray(sum(one(nodal) for one in whole)))
            for term in local:
                out -= term.apply(x)
            return out

        return product


# Both


def heat_cells(model: Model, blocks: Sequence[CellBlock], *, storing: bool = False) -> HeatCells:
    """Conduction and, if wanted, storage of all cells; serves every load case of a model."""
    changing = any(_changes(block, storing=storing) for block in blocks)
    if changing:
        return _ChangingCells.of(model, blocks)
    return _ConstantCells.of(model, blocks, storing=storing)


class HeatEquations:
    """Heat in one load case.

    Parameters
    ----------
    model : Model
    case : LoadCase
    cells : HeatCells
        Of the model; see `heat_cells`.
    """

    def __init__(self, model: Model, case: LoadCase, cells: HeatCells) -> None:
        self.model, self.case, self._cells = model, case, cells
        self.topology = cells.topology
        self.dofs: DofMap = self.topology.dofs(1)
        inner = [m for one in model.connections for m in one.heat_matrices(model)]
        self.joints = extra_terms(inner, self.topology, 1)
        """Heat from part to part: contact conductance, layers, pipes."""
        self._loads = _Loads(model, case, self.topology)
        self._maps: dict[float | None, AffineMap] = {}
        self._last: dict[str, tuple[FloatArray, float | None, Any]] = {}
        supports = (*model.heat_supports, *case.heat_supports)
        self.timed_supports = any("time" in getattr(s, "varies", ()) for s in supports)
        """Whether given temperatures change with time."""
        self.linear = cells.constant and self._loads.linear
        """Whether heat is linear in temperature."""
        self.symmetric = not cells.skewed and not self._loads.far_reaching
        """Whether the tangent is symmetric."""
        self.constant = self.linear and not self._loads.film_varies
        """Whether the tangent is the same at all temperatures and times."""

    # Prescribed temperatures

    def map(self, time: float | None = None) -> AffineMap:
        """Prescribed temperatures at a time, s, and what connections make follow."""
        key = time if self.timed_supports else None
        if key not in self._maps:
            self._maps.clear()
            self._maps[key] = self._map(time)
        return self._maps[key]

    def _map(self, time: float | None) -> AffineMap:
        return heat_map(self.model, self.case, self.dofs, time)

    # What is conserved

    def conducted(self, u: FloatArray) -> FloatArray:
        """K(u) u, float64[n_dof], W; across joints too."""

        def answer() -> FloatArray:
            out = self._cells.conducted(u)
            for term in self.joints:
                out = out + term.apply(u)
            return out

        return self._once("conducted", u, None, answer)  # type: ignore[no-any-return]

    def stored(self, u: FloatArray) -> FloatArray:
        """E(u), float64[n_dof], J above 0 degC."""
        return self._once("stored", u, None, lambda: self._cells.stored(u))  # type: ignore[no-any-return]

    def given(self, u: FloatArray, time: float | None = None) -> Given:
        """Heat by loads, W."""
        return self._once("given", u, time, lambda: self._loads.given(u, time))  # type: ignore[no-any-return]

    def _once(self, what: str, u: FloatArray, time: float | None, answer: Callable[[], Any]) -> Any:
        """The answer for a u (which nobody changes in place) that was asked of it last, or a new one."""
        kept = self._last.get(what)
        if kept is None or kept[0] is not u or kept[1] != time:
            self._last[what] = kept = (u, time, answer())
        return kept[2]

    # Tangent

    def system(self, u: FloatArray, time: float | None = None, rate: float = 0.0) -> System:
        """Symmetric part of the tangent, rate C + K - dQ/dT, in the unknowns of `map`.

        Parameters
        ----------
        rate : float
            1/s: what the time step makes of heat stored.
        """
        map_ = self.map(time)
        extra = (*self.joints, *self._loads.film(u, time))
        terms = turned((*self._cells.terms(u, rate), *extra), map_, 1)
        cells = self._cells.matrices(u, rate)
        coarse = coarsening_of(self.model, self.topology, cells, terms, extra, map_)
        return system_of(self.model, self.topology, self.dofs, terms, map_, coarse)

    def product(
        self, u: FloatArray, time: float | None, rate: float, system: Callable[[], System], *,
        transposed: bool = False,
    ) -> Spread:  # fmt: skip
        """The whole tangent at u times x of the unknowns of `map`; fixed rows and columns left out.

        Parameters
        ----------
        system : function
            Returns what `system` does for the same state; not called where the tangent is not symmetric.
        transposed : bool
            The transpose instead, for adjoints.
        """
        map_, far = self.map(time), self._loads.far(u, time, transposed=transposed)
        if not self._cells.skewed:
            symmetric = system().apply
            if far is None:
                return symmetric
        else:
            tangent = self._cells.tangent(u, rate)
            parts = [tangent.T.tocsr() if transposed else tangent]
            parts += [t.matrix().tocsr() for t in (*self.joints, *self._loads.film(u, time))]

        def product(x: FloatArray) -> FloatArray:
            wide = map_.change(np.where(map_.fixed, 0.0, x))
            more = np.zeros_like(wide) if far is None else far(wide)
            if not self._cells.skewed:
                return symmetric(x) + map_.at_free(more)
            for part in parts:
                more += part @ wide
            return map_.at_free(more)

        return product

    def pulled(self, u: FloatArray, psi: FloatArray, time: float | None = None) -> FloatArray:
        """The transposed steady tangent at u times any psi, fixed rows and columns too; float64[n_dof]."""
        if self._cells.skewed:
            out = self._cells.tangent(u, 0.0).T @ psi
        else:
            out = np.asarray(sum(term.apply(psi) for term in self._cells.terms(u, 0.0)))
        for term in (*self.joints, *self._loads.film(u, time)):
            out = out + term.apply(psi)
        far = self._loads.far(u, time, transposed=True)
        return np.asarray(out if far is None else out + far(psi))


def heat_map(model: Model, case: LoadCase, dofs: DofMap, time: float | None = None) -> AffineMap:
    """Prescribed temperatures of a case at a time, s, and what connections make follow."""
    fixed = np.ones(dofs.n_points, bool)
    fixed[model.mesh.used_nodes] = False
    fixed[linked_nodes(model, heat=True)] = False
    value = np.zeros(dofs.n_points)
    for support in (*model.heat_supports, *case.heat_supports):
        for held in (support if time is None else support.at(time)).prescribed(model):
            fixed[held.nodes] = True
            value[held.nodes] = held.value
    return connected(model, dofs, AffineMap(dofs.gather(fixed), dofs.gather(value)))


def heat_source(
    model: Model, case: LoadCase, topology: Topology
) -> Callable[[FloatArray, float | None], FloatArray]:
    """Heat into the nodes by loads and across joints, float64[n_dof], W, of temperatures u and a time.

    Parameters
    ----------
    topology : Topology
        Of this model, or of another on the same cells.
    """
    loads = _Loads(model, case, topology)
    inner = [m for one in model.connections for m in one.heat_matrices(model)]
    joints = extra_terms(inner, topology, 1)

    def source(u: FloatArray, time: float | None) -> FloatArray:
        out = loads.given(u, time).total
        for term in joints:
            out = out - term.apply(u)
        return out

    return source


def heat_put_in(
    model: Model, case: LoadCase, topology: Topology, u: FloatArray, time: float | None = None
) -> FloatArray:
    """What `heat_source` says of one temperature and time."""
    return heat_source(model, case, topology)(u, time)


def _changes(block: CellBlock, *, storing: bool) -> bool:
    """Whether conduction or, if it counts, storage of a block changes with temperature."""
    material = block.section.material
    stored = storing and material.varies_with_temperature("heat_capacity")
    return material.varies_with_temperature("conductivity") or stored
