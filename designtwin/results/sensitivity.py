"""Slopes of a response over all that a model is made of, and over design variables.

A response is a number read from a result. An adjoint gives its slope over every nodal coordinate, thickness,
density and force at once (`Partials`); what moves these with a variable is `assembly.directions.Directions`;
the slope over the variable is the product of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from designtwin.assembly.cells import PointTables, applied, conductivity_tensors
from designtwin.assembly.directions import Directions
from designtwin.assembly.gradients import CaseCells, Strained
from designtwin.assembly.topology import Topology
from designtwin.errors import ModelError
from designtwin.model.model import LoadCase, Model
from designtwin.results.common import SolveInfo
from designtwin.typing import FloatArray

if TYPE_CHECKING:
    from designtwin.viz.picture import Picture

P = TypeVar("P", bound="Partials")


class Action(Protocol):
    """A share of a slope that is no plain array over the mesh: what it gives along directions."""

    def along(self, directions: Directions) -> FloatArray:
        """Slope over each variable, float64[k]."""
        ...


def _check_kind(given: object, wanted: type, rule: str) -> None:
    if not isinstance(given, wanted):
        raise ModelError(f"{rule}; got {given!r}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Partials:
    """Slope of a number over what a model is made of; zero where an array is None.

    Parameters
    ----------
    points : float64[n_points, 3]
        Over nodal coordinates, material and loads staying as they are, unit per m.
    scale : float64[n_cells]
        Over thickness (per m) or area (per m^2) of plane cells and bars.
    density : float64[n_cells]
        Over density of each cell, per kg/m^3.
    conductivity : float64[n_cells]
        Over a factor on the conductivity of each cell.
    forces : mapping of load case to float64[n_points, 3]
        Over the nodal forces of its loads, per N.
    heat : mapping of load case to float64[n_points]
        Over heat into the nodes, per W.
    actions : tuple of (factor, Action)
        What is left: the elastic law, supports, springs, temperature.
    """

    model: Model
    points: FloatArray | None = None
    scale: FloatArray | None = None
    density: FloatArray | None = None
    conductivity: FloatArray | None = None
    forces: Mapping[str, FloatArray] = field(default_factory=dict)
    heat: Mapping[str, FloatArray] = field(default_factory=dict)
    actions: tuple[tuple[float, Action], ...] = ()

    def along(self, directions: Directions) -> FloatArray:
        """Slope over each variable, float64[k], in the unit of the response per that of the variable.

        Parameters
        ----------
        directions : Directions
            Of the same model.

        Raises
        ------
        ModelError
            If they are none, or of another mesh.
        """
        _check_kind(
            directions,
            Directions,
            "a slope is taken along Directions, such as Directions.of(model, neighbors)",
        )
        ours, theirs = self.model.mesh, directions.model.mesh
        if (ours.n_points, ours.n_cells) != (theirs.n_points, theirs.n_cells):
            raise ModelError(
                f"the directions are of a model of {theirs.n_cells:,} cells, the slope of one of "
                f"{ours.n_cells:,}; both are of one model"
            )
        out = np.zeros(len(directions))
        for matrix, array in (
            (directions.points, self.points), (directions.scale, self.scale),
            (directions.density, self.density), (directions.conductivity, self.conductivity),
        ):  # fmt: skip
            if array is not None:
                out += matrix @ array.ravel()
        for case, force in self.forces.items():
            out += directions.forces(case) @ force.ravel()
        for case, heat in self.heat.items():
            if case in directions.given_heat:  # what loads and joints do to it is in an action
                out += directions.given_heat[case] @ heat
        for factor, action in self.actions:
            out += factor * action.along(directions)
        return out

    def __add__(self: P, other: Partials) -> P:
        _check_kind(other, Partials, "a slope is added to a slope")

        def both(a: FloatArray | None, b: FloatArray | None) -> FloatArray | None:
            return b if a is None else a if b is None else a + b

        def merged(a: Mapping[str, FloatArray], b: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
            return {**a, **{case: a[case] + one if case in a else one for case, one in b.items()}}

        return replace(
            self,
            points=both(self.points, other.points),
            scale=both(self.scale, other.scale),
            density=both(self.density, other.density),
            conductivity=both(self.conductivity, other.conductivity),
            forces=merged(self.forces, other.forces),
            heat=merged(self.heat, other.heat),
            actions=(*self.actions, *other.actions),
        )

    def __rmul__(self: P, factor: float) -> P:
        _check_kind(factor, Real, "a slope is multiplied by a number")

        def times(a: FloatArray | None) -> FloatArray | None:
            return None if a is None else factor * a

        return replace(
            self,
            points=times(self.points),
            scale=times(self.scale),
            density=times(self.density),
            conductivity=times(self.conductivity),
            forces={case: factor * force for case, force in self.forces.items()},
            heat={case: factor * heat for case, heat in self.heat.items()},
            actions=tuple((factor * one, action) for one, action in self.actions),
        )

    __mul__ = __rmul__

    def _of_law(self) -> list[tuple[float, LawAction]]:
        return [(factor, action) for factor, action in self.actions if isinstance(action, LawAction)]

    @cached_property
    def stiffness(self) -> FloatArray:
        """Slope over a factor on the elastic tensor of each cell, float64[n_cells]; 1 is the model's own."""
        out = np.zeros(self.model.mesh.n_cells)
        for factor, law in self._of_law():
            out[law.cells.block.cells] += factor * law.by_stiffness
        return out

    @cached_property
    def tangent(self) -> FloatArray:
        """Slope over the elastic tensor of each cell in global axes, float64[n_cells, 6, 6], per Pa."""
        out = np.zeros((self.model.mesh.n_cells, 6, 6))
        for factor, law in self._of_law():
            out[law.cells.block.cells] += factor * law.by_tangent
        return out

    def temperature(self, case: str | None = None) -> FloatArray:
        """Slope over the temperature of the load case at each node, float64[n_points], per K.

        Parameters
        ----------
        case : str, optional
            One load case of those that a combination adds up; all of them unless given.

        Raises
        ------
        ModelError
            If there is no such case.
        """
        if case is not None and case not in self.model.cases:
            raise ModelError(f"there is no load case {case!r}; the model has {', '.join(self.model.cases)}")
        out = np.zeros(self.model.mesh.n_points)
        for factor, action in self.actions:
            by_temperature = getattr(action, "by_temperature", None)
            if by_temperature is not None and case in (None, action.case_name):  # type: ignore[attr-defined]
                out += factor * by_temperature()
        return out


@dataclass(frozen=True, eq=False, kw_only=True)
class Sensitivity(Partials):
    """Slope of one quantity in one load case; see `designtwin.sensitivities`.

    Parameters
    ----------
    response : str
        The quantity in words.
    case : str
    dimension : str
        Of the response, as ``units`` has it.
    value : float
        The smooth number whose slope this is: an extreme over a place is its aggregate.
    true : float
        What the quantity itself says.
    info : SolveInfo, optional
        How the adjoint was solved.
    """

    response: str
    case: str
    dimension: str
    value: float
    true: float
    info: SolveInfo | None = None

    @property
    def factor(self) -> float:
        """The quantity itself over its smooth number, 1 where that says nothing.

        Times this, the slope is that of the quantity as long as the two stay in proportion (Le, Norato,
        Bruns, Ha and Tortorelli, SMO 41 (2010) 605-620).
        """
        ratio = self.true / self.value if self.value != 0.0 else 1.0
        return ratio if np.isfinite(ratio) and ratio > 0.0 else 1.0

    def __str__(self) -> str:
        from designtwin.units import show

        return (
            f"sensitivity of {self.response} in case {self.case!r}: {show(self.true, self.dimension)}, "
            f"smooth {show(self.value, self.dimension)}"
        )

    def __repr__(self) -> str:
        return f"<{self}>"

    def plot(self, **options: Any) -> Picture:
        """Draw how moving the surface outward changes the response; see `designtwin.viz.plot_sensitivity`."""
        from designtwin import edge

        return edge.plot_sensitivity(self, **options)


@dataclass(frozen=True, eq=False)
class LawAction:
    """What the elastic law at points of cells does to a response: the sum of left . stress(strain).

    Parameters
    ----------
    cells : CaseCells
    at : PointTables
    strain, left : float64[n_cells, p, 6]
    """

    cells: CaseCells
    at: PointTables
    strain: FloatArray
    left: FloatArray

    @property
    def case_name(self) -> str:
        return self.cells.case.name

    def along(self, directions: Directions) -> FloatArray:
        cells = self.cells
        out = directions.stress(cells.case, cells.block, self.at, self.strain, self.left, solved=cells.solved)
        if directions.stiffness.nnz:
            out = out + directions.stiffness[:, self.cells.block.cells] @ self.by_stiffness
        return out

    @property
    def _elastic(self) -> FloatArray:
        free = self.cells.law(self.at)[2]
        return self.strain if free is None else self.strain - free

    @cached_property
    def by_stiffness(self) -> FloatArray:
        """Slope over a factor on the stiffness of each cell, float64[n_cells]."""
        tensor, which, _ = self.cells.law(self.at)
        return np.asarray((self.left * applied(tensor, which, self._elastic)).sum(axis=(1, 2)))

    @cached_property
    def by_tangent(self) -> FloatArray:
        """Slope over the tensor of each cell, float64[n_cells, 6, 6]."""
        return np.asarray(np.einsum("cpi,cpj->cij", self.left, self._elastic))

    def by_temperature(self) -> FloatArray:
        """Slope over nodal temperature, float64[n_points]; tables are linear between their knots."""
        cells, out = self.cells, np.zeros(self.cells.model.mesh.n_points)
        if cells.case.temperature is None:
            return out
        slope = cells.stress_over_temperature(self.at, self.strain)
        at_points = (self.left * slope).sum(axis=2)
        np.add.at(out, cells.block.conn, np.einsum("cp,pa->ca", at_points, self.at.shape))
        return out


@dataclass(frozen=True, eq=False)
class ConductionAction:
    """What the law of conduction at points of cells does to a response: the sum of left . k(T) gradient.

    Parameters
    ----------
    cells : CaseCells
    temperature : float64[n_points]
    gradient, left : float64[n_cells, p, 3]
    """

    cells: CaseCells
    temperature: FloatArray
    gradient: FloatArray
    left: FloatArray

    def along(self, directions: Directions) -> FloatArray:
        cells = self.cells
        return directions.flux(cells.block, cells.rule, self.temperature, self.gradient, self.left)


@dataclass(frozen=True, eq=False)
class HeatAction:
    """What heat by loads and across joints does: psi . Q(T) with the temperature fixed.

    Parameters
    ----------
    case : LoadCase
    topology : Topology
    u, psi : float64[n_dof]
        Temperature and adjoint in the order of unknowns.
    """

    case: LoadCase
    topology: Topology
    u: FloatArray
    psi: FloatArray

    def along(self, directions: Directions) -> FloatArray:
        moved = directions.heat(self.case, self.topology, self.u)
        return np.array([float((row * self.psi).sum()) for row in moved])


@dataclass(frozen=True, eq=False)
class SpringAction:
    """What springs and foundations do: -psi . K u of them alone, whose matrices may move with a variable.

    Parameters
    ----------
    case : str
    psi, u : float64[n_points, 3]
    """

    case: str
    psi: FloatArray
    u: FloatArray

    def along(self, directions: Directions) -> FloatArray:
        return directions.difference(self._work)

    def _work(self, model: Model) -> float:
        total = 0.0
        for support in (*model.supports, *model.cases[self.case].supports):
            for one in support.matrices(model):
                k, n = one.nodes.shape
                psi, u = (a[one.nodes].reshape(k, 3 * n) for a in (self.psi, self.u))
                total -= float(np.einsum("ki,kij,kj->", psi, one.values, u))
        return total


@dataclass(frozen=True, eq=False)
class SupportAction:
    """What given motions and links do, u = T q + u0: (dT q + du0) . pull - (dT adjoint) . rest.

    All in the mesh's order of nodes, float64[n_dof].

    Parameters
    ----------
    case : LoadCase
    q, adjoint : unknowns of the answer and of the adjoint
    pull : slope of the response over u less K psi
    rest : K u - f
    heat : bool
        Whether temperatures are given, and not motions.
    """

    case: LoadCase
    q: FloatArray
    adjoint: FloatArray
    pull: FloatArray
    rest: FloatArray
    heat: bool = False

    def along(self, directions: Directions) -> FloatArray:
        out = np.zeros(len(directions))
        of = directions.heat_supports(self.case) if self.heat else directions.supports(self.case.name)
        for i, (change, offset) in enumerate(of):
            if offset is not None:
                out[i] += float(np.einsum("i,i->", offset, self.pull))
            if change is not None:
                out[i] += float(np.einsum("i,i->", change @ self.q, self.pull))
                out[i] -= float(np.einsum("i,i->", change @ self.adjoint, self.rest))
        return out


@dataclass(frozen=True, eq=False)
class DifferenceAction:
    """A number of the model that is differenced as it is, all else fixed.

    Parameters
    ----------
    of : function of a Model
    """

    of: Any

    def along(self, directions: Directions) -> FloatArray:
        return directions.difference(self.of)


def conduction_partials(model: Model, cells: CaseCells, psi: FloatArray, temperature: FloatArray) -> Partials:
    """Slope of -psi . K(T) T of the cells of one block, psi and T [n_points] fixed."""
    mesh, rule, dv = model.mesh, cells.rule, cells.measure[..., None]
    tensor, which = conductivity_tensors(model, cells.block, rule, temperature)
    slope_t, slope_psi = cells.gradient(rule, temperature), cells.gradient(rule, psi)
    flux_t = applied(tensor, which, slope_t)
    flux_psi = applied(np.swapaxes(tensor, 1, 2), which, slope_psi)
    work = (flux_t * slope_psi).sum(axis=2)
    points = np.zeros((mesh.n_points, 3))
    for slope in (
        cells.flux_slope(rule, flux_t * dv, psi),
        cells.flux_slope(rule, flux_psi * dv, temperature),
        cells.volume_slope(rule, work),
    ):
        cells.add_up(-slope, points)
    of_cell = -(work * cells.measure).sum(axis=1)
    scale, conductivity = np.zeros(mesh.n_cells), np.zeros(mesh.n_cells)
    scale[cells.block.cells] = of_cell / cells.block.scale
    conductivity[cells.block.cells] = of_cell
    law = ConductionAction(cells, temperature, slope_t, -slope_psi * dv)
    return Partials(model=model, points=points, scale=scale, conductivity=conductivity, actions=((1.0, law),))


def stiffness_partials(
    model: Model, case: LoadCase, cells: CaseCells, psi: Strained, u: Strained
) -> Partials:
    """Slope of -psi . (K u - f_thermal) of the cells of one block, psi and u fixed.

    Parameters
    ----------
    psi, u : Strained
        With their amplitudes of modes (``CaseCells.displaced``).
    """
    work, slope = cells.work_slope(psi, u)
    points, scale = np.zeros((model.mesh.n_points, 3)), np.zeros(model.mesh.n_cells)
    cells.add_up(-slope, points)
    scale[cells.block.cells] = -work.sum(axis=1) / cells.block.scale
    (strain_u, _), (strain_psi, _) = cells.strained(u, warmed=True), cells.strained(psi)
    law = LawAction(cells, cells.rule, strain_u, -strain_psi * cells.measure[..., None])
    return Partials(model=model, points=points, scale=scale, actions=((1.0, law),))
