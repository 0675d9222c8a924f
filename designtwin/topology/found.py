"""What a topology optimization found, and the part that comes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import DesignTwinError, MissingPropertyError, ModelError, RequirementError, StudyError
from designtwin.mesh.morphing import above_zero
from designtwin.model.model import Model
from designtwin.prototype import StrengthTest, ThermalTest, VibrationTest
from designtwin.requirements import Quantity, Requirement, mass, yield_margin
from designtwin.requirements.totals import MassQuantity
from designtwin.topology.fairing import PASSES
from designtwin.topology.fitted import Fitted, fitted
from designtwin.topology.goals import cell_volumes
from designtwin.topology.manufacturing import MakingCheck, axis_of, check_draft, check_overhang
from designtwin.topology.remeshed import remeshed
from designtwin.topology.simplices import Simplices
from designtwin.topology.surface import ClosedSurface, closed_surface, nodal
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.units import show, to_si

if TYPE_CHECKING:
    from designtwin.criteria.verdict import Verdict
    from designtwin.topology.optimization import Topology

MET = 1e-3
"""Share of a limit by which it may be missed and still count as met."""
SOLID = 0.5
"""Density from which on a cell counts as solid."""
_HEAVIER = 1.01
"""A body-fitted mesh may be this much heavier than the design and still be within its limit."""
_APART = 0.5
"""Share by which the part may differ from its densities before the reader is told why that may be."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One design of a run.

    Parameters
    ----------
    number : int
    value : float
        Objective, SI.
    limits : mapping of constraint to g
        Met where g <= 0; shares of the limit.
    volume : float
        Share of the design space.
    change : float
        Of the density that changes most, to the next design.
    gray : float
        Share of the design that is neither solid nor void, 0 to 1.
    sharpness : float
        Of the projection.
    seconds : float
    dimension : str
        Of the objective.
    """

    number: int
    value: float
    limits: Mapping[str, float]
    volume: float
    change: float
    gray: float
    sharpness: float
    seconds: float
    dimension: str

    @property
    def worst(self) -> float:
        """Largest g."""
        return max(self.limits.values(), default=-np.inf)

    def to_plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)} | {
            "limits": {name: float(g) for name, g in self.limits.items()}
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Step:
        """Back from `to_plain`."""
        return cls(**data)

    def __str__(self) -> str:
        broken = f", misses a limit by {self.worst:.1%}" if self.worst > 1e-3 else ""
        return f"design {self.number}: {show(self.value, self.dimension)}, volume {self.volume:.1%}{broken}"


@dataclass(frozen=True, eq=False)
class Optimum:
    """Densities that a topology optimization ended with.

    Parameters
    ----------
    topology : Topology
    density : float64[n_cells]
        Of the part that is to be made, 0 to 1.
    x : float64[n_cells]
        The design variables it comes from.
    history : tuple of Step
    stopped : str
        Why it ended, in words.
    converged : bool
    number : int
        Of the design in the history: the last, or the best that met all limits where the budget ended it.
    """

    topology: Topology
    density: FloatArray
    x: FloatArray
    history: tuple[Step, ...]
    stopped: str
    converged: bool
    number: int = -1

    @property
    def step(self) -> Step:
        """The design in the history that this is."""
        return self.history[self.number]

    @property
    def model(self) -> Model:
        """The design space."""
        return self.topology.model

    @property
    def value(self) -> float:
        """The objective, SI, as densities have it; ``as_model().retest()`` tests the part itself."""
        return self.step.value

    @cached_property
    def feasible(self) -> bool:
        """Whether densities meet every limit, to 0.1 %."""
        return self.step.worst <= MET

    @property
    def volume(self) -> float:
        """Of the design, m^3."""
        return float(self.topology.volume @ self.printed)

    @property
    def volume_fraction(self) -> float:
        """Share of the design space."""
        return self.volume / float(self.topology.volume.sum())

    @cached_property
    def printed(self) -> FloatArray:
        """The densities without what would be printed on air, where overhangs count; float64[n_cells]."""
        overhangs = [one for one in self.topology.chain.shaping if hasattr(one, "cleaned")]
        out = self.density
        for one in overhangs:
            solid = out >= SOLID
            kept = one.cleaned(solid) | self.topology.kept
            out = np.where(solid & ~kept, 0.0, out)
        return out

    @property
    def solid(self) -> BoolArray:
        """Cells that are there, bool[n_cells]."""
        return np.asarray(self.printed >= SOLID)

    def check_overhang(self) -> MakingCheck:
        """Look whether every solid cell rests on another; knows nothing of the optimizer.

        Raises
        ------
        StudyError
            If no overhang was stated.
        """
        topology = self.topology
        return check_overhang(
            self.model.mesh, self.solid, axis_of(topology.build, "build"), topology.overhang_angle,
            exempt=topology.kept,
        )  # fmt: skip

    def check_draft(self) -> MakingCheck:
        """Look whether anything solid is in the way of the die; knows nothing of the optimizer.

        Raises
        ------
        StudyError
            If there is no direction of draw.
        """
        topology = self.topology
        if topology.draw is None:
            raise StudyError("no draw= was stated")
        return check_draft(
            self.model.mesh, self.solid, axis_of(topology.draw, "draw"), topology.draft_angle,
            exempt=topology.voided,
        )  # fmt: skip

    # The part

    @cached_property
    def _body(self) -> Simplices:
        return Simplices.of(self.model.mesh)

    @cached_property
    def _nodal(self) -> FloatArray:
        mesh = self.model.mesh
        return nodal(mesh, self.printed, self.topology.kept, np.abs(mesh.cell_measures()))

    @cached_property
    def _anchors(self) -> IntArray:
        """Nodes that loads and supports act on, and those of kept cells."""
        model = self.model
        parts = [model.mesh.nodes_of_cells(np.flatnonzero(self.topology.kept))]
        every = (*model.supports, *model.heat_supports, *(i for c in model.cases.values() for i in c.items))
        for item in every:
            on = getattr(item, "on", None)
            if on is not None:
                parts.append(model.region(on).nodes)
        return np.unique(np.concatenate(parts))

    def surface(self, *, passes: int = PASSES) -> ClosedSurface:
        """The part as a closed surface: of the volume of the design, smoothed; ``.save("part.stl")``.

        Parameters
        ----------
        passes : int
            Of smoothing.

        Raises
        ------
        StudyError
            If the design is a ring, or no level of density encloses its volume.
        """
        model = self.model
        body, value, anchors = self._body, self._nodal, self._anchors
        if model.axisymmetric:
            raise StudyError(
                "a part of revolution has no surface of triangles here; as_model() gives its section"
            )
        if model.dimension == 3:
            return closed_surface(body, value, self.volume, anchors=anchors, passes=passes)
        scale = model.cell_scale()
        if np.ptp(scale) > 1e-9 * scale.max():
            raise StudyError("plane parts of several thicknesses have no one surface here; use as_model()")
        n = model.mesh.n_points
        return closed_surface(
            body.extruded(float(scale[0])), np.concatenate([value, value]), self.volume,
            anchors=np.concatenate([anchors, anchors + n]), passes=passes,
        )  # fmt: skip

    def as_model(
        self, *, quadratic: bool = True, mesher: str | None = None, edge: Any = None, max_time: Any = "2 min"
    ) -> Redesign:
        """The part as a model on a mesh that follows its surface, with supports, loads and materials.

        Cells of the design space are cut where the surface passes, and groups go with them: no mesher is
        needed. With ``mesher="gmsh"`` (the extra `mesher`) what is inside that surface is meshed anew, by
        cells of an even size; faces of groups keep their outline.

        Parameters
        ----------
        quadratic : bool
            Cells with nodes on the middle of edges, which bend as they should.
        mesher : str, optional
            "gmsh"; of solids.
        edge : length, optional
            Of gmsh's cells; unless said those of the surface as it is, on average.
        max_time : time
            After which gmsh is ended.

        Raises
        ------
        StudyError
            If nothing is left of a place that a support or load acts on: keep it. If cells of this edge miss
            the shape.
        MeshError
            If gmsh is missing, cannot mesh the part or does not end in time.
        """
        if mesher not in (None, "gmsh"):
            raise StudyError(
                f"there is no mesher {mesher!r}; there is 'gmsh', and None: cells cut as they are"
            )
        if edge is not None and mesher is None:
            raise StudyError(
                "cells cut as they are have the size of the design space; edge= is of mesher='gmsh'"
            )
        model = self.model
        if mesher is None:
            made = self._fitted(quadratic)
        elif model.dimension != 3:
            raise StudyError("gmsh meshes solids here; as_model() without a mesher makes plane parts")
        else:
            made = remeshed(
                self._fitted(False), edge=None if edge is None else above_zero(edge, "edge"),
                max_time=float(to_si(max_time, "time", name="max_time")), quadratic=quadratic,
            )  # fmt: skip
        try:
            plain = model.with_(mesh=made.mesh, name=self._name)
        except DesignTwinError as error:
            raise StudyError(
                f"the model cannot be carried over to the design: {error}. Keep what supports and loads act "
                "on: Topology(..., keep=[...])"
            ) from error
        taken = {f.name: getattr(plain, f.name) for f in dataclasses.fields(Model) if f.init}
        taken["supports"] = (*plain.supports, *plain.heat_supports)
        notes = [*self.topology.notes, *made.notes]
        if not self.feasible:
            missed = [name for name, g in self.step.limits.items() if g > MET]
            notes.append(f"the densities miss {', '.join(missed)}")
        return Redesign(**taken, source=self, notes=tuple(notes))

    def _fitted(self, quadratic: bool) -> Fitted:
        model = self.model
        return fitted(
            model.mesh, self._body, self._nodal, self.volume, self._anchors, model.cell_scale(),
            ring=model.axisymmetric, quadratic=quadratic,
        )  # fmt: skip

    @property
    def _name(self) -> str:
        name = self.topology.name or self.model.name
        return f"{name}, optimized".lstrip(", ")

    def plot(self, what: str = "density", **options: Any) -> Any:
        """Picture: "density" (design space and design side by side), or "history"."""
        from designtwin import edge

        return edge.plot_topology(self, what, **options)

    def __str__(self) -> str:
        topology, last, first = self.topology, self.step, self.history[0]
        dimension = topology.objective.dimension
        met = "meets" if self.feasible else "does NOT meet"
        now, then = show(last.value, dimension), show(first.value, dimension)
        lines = [
            f"topology: {met} all limits, by densities of cells; untested until as_model().retest()",
            f"  {topology.objective.label:<16} {now}   from {then}",
            f"  volume           {self.volume_fraction:.1%} of the design space, {last.gray:.1%} of it gray",
        ]
        for name, g in last.limits.items():
            lines.append(f"  limit            {name}: {'met' if g <= MET else f'missed by {g:.1%}'}")
        if topology.overhang is not None:
            lines.append(f"  overhang         {self.check_overhang()}")
            lost = 1.0 - float(self.printed @ topology.volume) / float(self.density @ topology.volume)
            if lost > 1e-3:
                lines.append(f"  left out         {lost:.1%} of the material, which would be printed on air")
        if topology.draw is not None:
            lines.append(f"  draft            {self.check_draft()}")
        lines.append(f"  stopped          after {len(self.history)} designs: {self.stopped}")
        lines += [f"  note             {note}" for note in topology.notes]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, repr=False)
class Redesign(Model):
    """A model of the part that a topology optimization found; see `Optimum.as_model`.

    Parameters
    ----------
    source : Optimum
    notes : tuple of str
        What the reader should know, in words.
    """

    source: Any = field(default=None, kw_only=True)
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    def retest(self, *requirements: Requirement, **options: Any) -> Retest:
        """Test the part by what was asked of the densities, or by other requirements.

        Where none was stated: mass within what was allowed, and no yielding where strengths are known.

        Parameters
        ----------
        *requirements : Requirement
        **options
            Of the tests' `run`, such as ``refine="auto"``.

        Raises
        ------
        SingularSystemError, ConvergenceError
            If the part has no answer, as when it came apart.
        """
        for one in requirements:
            if not isinstance(one, Requirement):
                raise RequirementError(f"retest was given {one!r}; write retest(dtw.yield_margin() >= 1.5)")
        optimum: Optimum = self.source
        notes = list(self.notes)
        asked = [*requirements] or [*optimum.topology.requirements]
        if not requirements and optimum.topology.volume_fraction is not None:
            asked += self._allowed(optimum)
        if not requirements and not optimum.topology.requirements:
            try:
                yield_margin().check(self)
                asked.append(yield_margin() >= 1.0)
            except MissingPropertyError as error:
                notes.append(f"not tested against yielding: {error}")
        verdicts: list[Verdict] = []
        for kind in (StrengthTest, ThermalTest, VibrationTest):
            mine = [one for one in asked if one.quantity.needs == kind.physics]
            anywhere = [one for one in asked if one.quantity.needs == "model"]
            goal = optimum.topology.objective.needs == kind.physics
            if not mine and not (goal and anywhere):
                continue
            mine += [one for one in anywhere if not verdicts]
            verdicts.append(kind(self, mine).run(**options))
        if not verdicts:
            raise ModelError(
                "there is nothing to test: state requirements, retest(dtw.yield_margin() >= 1.5)"
            )
        compared = self._compared(verdicts)
        for what, _, by, of_part in compared[:-1]:
            if by and abs(of_part - by) > _APART * abs(by):
                notes.append(
                    f"{what} of the part is {of_part / by:.2g} times that of the densities: much was gray or "
                    "members a cell thin were cut; take a larger filter_radius, finer cells or more designs"
                )
        return Retest(tuple(verdicts), compared, tuple(notes))

    def _allowed(self, optimum: Optimum) -> list[Requirement]:
        """The mass that the volume fraction stands for."""
        topology = optimum.topology
        try:
            density = topology.model.cell_density("mass")
        except MissingPropertyError:
            return []
        share = float(topology.volume_fraction or 0.0)
        full = float(topology.volume @ density)
        return [mass() <= _HEAVIER * share * full]

    def _compared(self, verdicts: Sequence[Verdict]) -> tuple[tuple[str, str, float, float], ...]:
        """Objective and mass as densities had them, and as they are."""
        optimum: Optimum = self.source
        rows = []
        quantity: Quantity = optimum.topology.objective
        if not isinstance(quantity, MassQuantity):
            for verdict in verdicts:
                if verdict.result.physics in quantity.read_from:
                    found = optimum.topology.told_as(quantity.by_case(verdict.result))
                    rows.append((quantity.label, quantity.dimension, optimum.value, found))
                    break
        volume = float(cell_volumes(self).sum())
        rows.append(("volume", "volume", optimum.volume, volume))
        return tuple(rows)


@dataclass(frozen=True, eq=False)
class Retest:
    """Verdicts on the part, and how it compares with the densities it came from.

    Parameters
    ----------
    verdicts : tuple of Verdict
    compared : tuple of (what, dimension, by densities, of the part)
    notes : tuple of str
    """

    verdicts: tuple[Verdict, ...]
    compared: tuple[tuple[str, str, float, float], ...]
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """FAIL if any verdict fails, else CANNOT TELL if any cannot tell, else PASS."""
        words = [verdict.status for verdict in self.verdicts]
        return next((word for word in ("FAIL", "CANNOT TELL") if word in words), "PASS")

    @property
    def result(self) -> Any:
        """Of the first test."""
        return self.verdicts[0].result

    def __bool__(self) -> bool:
        return self.status == "PASS"

    def plot(self, *what: Any, **options: Any) -> Any:
        """Picture of the first verdict."""
        return self.verdicts[0].plot(*what, **options)

    def report(self, path: Any, **options: Any) -> Any:
        """Write the comparison and the verdicts as one HTML page; see `designtwin.report`."""
        from designtwin import edge

        return edge.report(self, path, **options)

    def __str__(self) -> str:
        lines = [str(verdict) for verdict in self.verdicts]
        for what, dimension, by, found in self.compared:
            off = f" ({(found - by) / abs(by):+.1%})" if by else ""
            lines.append(
                f"{what}: {show(found, dimension)} of the part, {show(by, dimension)} by densities{off}"
            )
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)
