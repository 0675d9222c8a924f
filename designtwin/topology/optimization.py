"""Topology optimization of a model: where material pays, found by densities of its cells."""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from designtwin.errors import DesignTwinError, SelectionError, StudyError
from designtwin.io.files import atomic
from designtwin.model.model import Model
from designtwin.optimize.mma import MMA
from designtwin.optimize.oc import OC
from designtwin.plain import Plain
from designtwin.progress import track
from designtwin.requirements import Quantity, Requirement
from designtwin.requirements.compliance import ComplianceQuantity
from designtwin.requirements.fields import StressQuantity
from designtwin.requirements.strength import YieldMargin
from designtwin.requirements.totals import MassQuantity
from designtwin.requirements.vibration import FrequencyQuantity
from designtwin.solvers.solution import LinearSolver
from designtwin.topology.chain import Chain, Fields
from designtwin.topology.filters import MatrixFilter, cone_filter, helmholtz_filter
from designtwin.topology.found import MET, Optimum, Step
from designtwin.topology.goals import POWER, Limit, Physics, Told, check_quantity
from designtwin.topology.interpolation import RAMP, SIMP, Interpolation
from designtwin.topology.lattice import voxelized
from designtwin.topology.manufacturing import (
    AXES,
    Draw,
    Overhang,
    axis_of,
    cell_size,
    extruded,
    heights,
    mirrored,
)
from designtwin.typing import BoolArray, FloatArray
from designtwin.units import show, to_si

SHARPEST = 32.0
"""Sharpness of the projection at the end."""
_LOCAL = 8.0
"""The same where stress is limited: crisper edges add peaks that the part itself does not have."""
_STAGE = 15
"""Designs after which the projection gets sharper at the latest."""
_STILL = 0.02
"""Change of a density at which it does so earlier."""
_MOVE, _CAREFUL = 0.2, 0.05
"""Longest step of a density; where more than a volume is limited, which falls steeply once members part."""
_CRISP = 0.8
"""No step longer than this over the sharpness: a sharp projection turns longer ones into holes."""
_FLOORS = {"static": 1e-9, "thermal": 1e-4}


@dataclass(frozen=True, eq=False)
class Topology:
    """Find where in a design space material is worth having.

    Every cell gets a density between 0 and 1. The stiffness of what lies between falls off faster than its
    mass, so that it does not pay; a filter gives members a size, a projection makes them crisp.

    Parameters
    ----------
    model : Model
        The design space: solid or plane cells, supports, load cases.
    minimize, maximize : Quantity
        One of them: compliance, mass, displacement, von Mises stress or temperature to be least, or frequency
        to be highest.
    volume_fraction : float, optional
        Share of the volume of the design space that may be used. Where mass is minimized, none.
    requirements : sequence of Requirement
        On the same quantities and yield margins, in every case they look at.
    cases : "sum", "worst", or mapping of case to weight
        How load cases make one objective.
    grid : length, optional
        Cubes of this size whose centers lie in the part take the place of its cells; loads and supports go
        with their groups. Cubes are solved without a matrix, many times faster; a mesh that consists of equal
        cubes is so without being asked.
    keep, void : group or selection, or a sequence of these
        Cells that stay solid (those at faces or nodes, where it names these), cells that stay empty unless
        they are kept.
    filter_radius : length, optional
        Radius over which densities are smoothed; 1.6 cells, or the minimum length, where left out.
    filter : "density" or "pde"
        Cone, or Helmholtz equation: the latter does not reach across voids of the design space.
    min_length : length, optional
        No member and no gap thinner: the thinned design is analyzed and the thickened one weighed. Along
        faces of the design space members may be half as thick.
    projection : bool
        Whether densities are driven to 0 and 1.
    interpolation : "SIMP", "RAMP", or one with a penalty of its own, SIMP(penalty=4)
    symmetry : "x", ("x", "12 mm"), or a list of these
        Planes of symmetry by their normals, in the middle or where said.
    extrusion : direction, optional
        Constant along it.
    draw : direction, optional
        A die can be drawn along it: no undercuts.
    draft : angle
        Lean of the walls from the direction of draw.
    overhang : angle, optional
        Printed without support: nothing leans less than this from the plate.
    build : direction
        In which a printed part grows.
    method : "auto", "oc" or "mma"
    solver : LinearSolver, optional
    store : path, optional
        Folder that keeps every step: an interrupted run goes on from there to the same digits.
    name : str

    Raises
    ------
    StudyError
        If it contradicts itself, or asks for what no slope by densities is known of.

    Source: Bendsøe & Sigmund, Topology Optimization, 2nd ed. (2004); Sigmund & Maute, Topology optimization
    approaches, Struct. Multidisc. Optim. 48 (2013), 1031-1055.
    """

    model: Model
    minimize: Quantity | None = field(default=None, kw_only=True)
    maximize: Quantity | None = field(default=None, kw_only=True)
    volume_fraction: float | None = field(default=None, kw_only=True)
    requirements: Sequence[Requirement] = field(default=(), kw_only=True)
    cases: Any = field(default="sum", kw_only=True)
    grid: Any = field(default=None, kw_only=True)
    keep: Any = field(default=(), kw_only=True)
    void: Any = field(default=(), kw_only=True)
    filter_radius: Any = field(default=None, kw_only=True)
    filter: str = field(default="density", kw_only=True)
    min_length: Any = field(default=None, kw_only=True)
    projection: bool = field(default=True, kw_only=True)
    interpolation: Any = field(default="SIMP", kw_only=True)
    symmetry: Any = field(default=(), kw_only=True)
    extrusion: Any = field(default=None, kw_only=True)
    draw: Any = field(default=None, kw_only=True)
    draft: Any = field(default="0 deg", kw_only=True)
    overhang: Any = field(default=None, kw_only=True)
    build: Any = field(default="z", kw_only=True)
    method: str = field(default="auto", kw_only=True)
    solver: LinearSolver | None = field(default=None, kw_only=True)
    store: str | Path | None = field(default=None, kw_only=True)
    name: str = field(default="", kw_only=True)
    objective: Quantity = field(init=False)
    kept: BoolArray = field(init=False)
    voided: BoolArray = field(init=False)
    chain: Chain = field(init=False)
    physics: Physics = field(init=False)
    stiffness: Interpolation = field(init=False)
    volume: FloatArray = field(init=False)
    notes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.model, Model):
            raise StudyError(f"Topology: the first argument is a Model, got {self.model!r}")
        if self.grid is not None:
            object.__setattr__(self, "model", self._on_grid(_length(self.grid, "grid")))
        if (self.minimize is None) == (self.maximize is None):
            raise StudyError("Topology wants one of minimize=dtw.compliance() and maximize=dtw.frequency(1)")
        goal: Any = self.minimize if self.minimize is not None else self.maximize
        check_quantity(goal, "minimize" if self.maximize is None else "maximize")
        if isinstance(goal, FrequencyQuantity) == (self.maximize is None) or isinstance(goal, YieldMargin):
            better = (
                f"requirements=[{'dtw.yield_margin() >= 1.5'}]" if isinstance(goal, YieldMargin)
                else "maximize=dtw.frequency(1)" if self.maximize is None else "minimize="
            )  # fmt: skip
            raise StudyError(f"{goal.label} is no goal of this kind; say {better}")
        object.__setattr__(self, "objective", goal)
        given = [self.requirements] if isinstance(self.requirements, Requirement) else self.requirements
        for number, one in enumerate(given, 1):
            if not isinstance(one, Requirement):
                raise StudyError(f"requirement {number} is {one!r}; write dtw.yield_margin() >= 1.5")
            check_quantity(one.quantity, f"requirement {number}")
            if isinstance(one.quantity, YieldMargin) and one.is_upper:
                raise StudyError(f"requirement {number}, {one}: a margin has a lower limit; write >=")
        object.__setattr__(self, "requirements", tuple(given))
        for quantity in (goal, *(one.quantity for one in given)):
            quantity.check_case([*self.model.cases])
            quantity.check(self.model)
        self._check_volume(goal)
        self._check_cases()
        kept, voided = self._cells(self.keep, "keep"), self._cells(self.void, "void")
        voided &= ~kept
        object.__setattr__(self, "kept", kept)
        object.__setattr__(self, "voided", voided)
        self._check_void(voided)
        if not isinstance(self.projection, bool):
            raise StudyError(f"projection is {self.projection!r}; True or False is wanted")
        if not isinstance(self.store, str | Path | None):
            raise StudyError(f"store is {self.store!r}; the path of a folder is wanted")
        if self.method not in ("auto", "oc", "mma"):
            raise StudyError(f"method is {self.method!r}; 'auto', 'oc' or 'mma' is wanted")
        if self.method == "oc" and (self.volume_fraction is None or given or self.maximize is not None):
            raise StudyError(
                "method='oc' holds a volume_fraction and knows no other limit and no maximize=; say 'mma'"
            )
        quantities = [goal, *(one.quantity for one in given)]
        object.__setattr__(self, "stiffness", self._interpolation(goal))
        physics = Physics(self.model, quantities, self.solver)
        object.__setattr__(self, "physics", physics)
        object.__setattr__(self, "volume", physics.volume)
        self._make_chain()
        if not (~kept & ~voided).any():
            raise StudyError("keep and void leave no cell to design")
        total = float(self.volume.sum())
        least = float(self.volume[kept].sum()) / total
        if self.volume_fraction is not None and self.volume_fraction * total < float(self.volume.min()):
            raise StudyError(f"volume_fraction={self.volume_fraction:g} is less than a cell of the mesh")
        if self.volume_fraction is not None and least >= self.volume_fraction:
            raise StudyError(
                f"what is kept is {least:.1%} of the design space already; volume_fraction="
                f"{self.volume_fraction:g} leaves nothing to design"
            )

    def _on_grid(self, size: float) -> Model:
        """The model on cubes."""
        mesh = voxelized(self.model.mesh, size)
        try:
            return self.model.with_(mesh=mesh)
        except DesignTwinError as error:
            raise StudyError(
                f"grid={show(size, 'length')}: the model does not go onto cubes of that size: {error}"
            ) from error

    def _check_volume(self, goal: Any) -> None:
        share = self.volume_fraction
        if share is not None and not (isinstance(share, int | float) and 0.0 < share < 1.0):
            raise StudyError(f"volume_fraction is {share!r}; a share between 0 and 1 is wanted, such as 0.3")
        limited = share is not None or any(
            isinstance(one.quantity, MassQuantity) and one.is_upper for one in self.requirements
        )
        if isinstance(goal, MassQuantity):
            if self.maximize is not None:
                raise StudyError("mass is highest where everything is solid; minimize it")
            if not any(not isinstance(one.quantity, MassQuantity) for one in self.requirements):
                raise StudyError(
                    "mass is least where there is nothing; say what must hold: "
                    "requirements=[dtw.yield_margin() >= 1.5]"
                )
        elif not limited:
            raise StudyError(
                f"{goal.label} is best where everything is solid; say volume_fraction=0.3, or "
                "requirements=[dtw.mass() <= '2 kg']"
            )

    def _check_cases(self) -> None:
        if self.cases in ("sum", "worst"):
            return
        if not isinstance(self.cases, Mapping):
            raise StudyError(f"cases is {self.cases!r}; 'sum', 'worst', or weights {{'lift': 2, 'brake': 1}}")
        for name, weight in self.cases.items():
            if name not in self.model.cases:
                raise StudyError(
                    f"cases names {name!r}; the model's cases are: {', '.join(self.model.cases)}"
                )
            if not (isinstance(weight, int | float) and 0.0 <= weight < math.inf):
                raise StudyError(f"cases: the weight of {name!r} is {weight!r}; a number from 0 on is wanted")
        if not any(self.cases.values()):
            raise StudyError(f"cases is {self.cases!r}; at least one case needs a weight above 0")

    def _interpolation(self, goal: Any) -> Interpolation:
        known: dict[str, Callable[..., Interpolation]] = {"SIMP": SIMP, "RAMP": RAMP}
        if not isinstance(self.interpolation, str):
            made = not isinstance(self.interpolation, type) and callable(self.interpolation)
            if not made or not hasattr(self.interpolation, "derivative"):
                raise StudyError(
                    f"interpolation is {self.interpolation!r}; 'SIMP', 'RAMP' or one with a penalty of its "
                    "own, SIMP(penalty=4), is wanted"
                )
            chosen: Interpolation = self.interpolation
            return chosen
        if self.interpolation not in known:
            raise StudyError(f"interpolation is {self.interpolation!r}; 'SIMP' or 'RAMP' is wanted")
        heat = {goal.needs, *(one.quantity.needs for one in self.requirements)} & {"thermal"}
        # Voids that all but insulate make temperatures of thousands of kelvin where heat has no way out.
        return known[self.interpolation](floor=_FLOORS["thermal" if heat else "static"])

    def _cells(self, given: Any, name: str) -> BoolArray:
        """Cells of places: those named, or at the faces or nodes named."""
        mesh = self.model.mesh
        out = np.zeros(mesh.n_cells, bool)
        one = isinstance(given, str | Plain) or not isinstance(given, Sequence)
        for place in [given] if one else given:
            try:
                region = self.model.region(place)
            except SelectionError as error:
                raise StudyError(f"{name}: {error}") from error
            group = mesh.groups.get(place) if isinstance(place, str) else None
            if len(region.cells) and (group is None or group.cells is not None):
                out[region.cells] = True
                continue
            flag = np.zeros(mesh.n_points, bool)
            flag[mesh.nodes_of_facets(region.facets) if len(region.facets) else region.nodes] = True
            for _, ids, conn in mesh.blocks():
                out[ids[flag[conn].any(axis=1)]] = True
        return out

    def _check_void(self, voided: BoolArray) -> None:
        """Refuse voids that leave nothing of what a support or a load acts on."""
        model = self.model
        if not voided.any():
            return
        left = np.zeros(model.mesh.n_points, bool)
        left[model.mesh.nodes_of_cells(np.flatnonzero(~voided))] = True
        cases = [item for case in model.cases.values() for item in case.items]
        for item in (*model.supports, *model.heat_supports, *cases):
            on = getattr(item, "on", None)
            if on is not None and not left[model.region(on).nodes].any():
                raise StudyError(
                    f"void leaves nothing of what {type(item).__name__} on {on!r} acts on; keep= goes before "
                    "void=, and may name the same place"
                )

    def _make_chain(self) -> None:
        mesh, notes = self.model.mesh, []
        if self.grid is not None:
            notes.append(
                f"the design space is of {mesh.n_cells:,} cubes: faces not along the axes are stairs"
            )
        h = cell_size(mesh)
        length = None if self.min_length is None else _length(self.min_length, "min_length")
        radius = 1.6 * h if length is None else length
        if self.filter_radius is not None:
            radius = _length(self.filter_radius, "filter_radius")
        if length is not None and radius < length:
            raise StudyError(
                f"min_length={show(length, 'length')} needs a filter of that radius at least, and it is "
                f"{show(radius, 'length')}"
            )
        longest = float(np.ptp(mesh.extents[:, : mesh.dimension], axis=0).max())
        if radius > longest:
            raise StudyError(
                f"the filter reaches {show(radius, 'length')}, farther than the part is long "
                f"({show(longest, 'length')}): nothing could take form"
            )
        if radius < h:
            raise StudyError(
                f"the filter reaches {show(radius, 'length')}, not to the next cell ({show(h, 'length')}): "
                "designs would be checkerboards; take a finer mesh, or 1.6 cells or more"
            )
        if radius < 1.2 * h:
            notes.append(
                f"the filter reaches {show(radius, 'length')}, hardly beyond a cell of {show(h, 'length')}: "
                "expect checkerboards"
            )
        if length is not None and not self.projection:
            raise StudyError("min_length needs the projection; leave projection= out")
        links = []
        if not (isinstance(self.symmetry, Sequence) and not len(self.symmetry)):
            mirror, words = mirrored(mesh, self.symmetry)
            if self.draw is not None:
                self._check_mirrored(mirror)
            links.append(mirror)
            notes += words
        if self.extrusion is not None:
            links.append(extruded(mesh, self._axis("extrusion")))
        if self.filter == "density":
            smoothing: Any = cone_filter(mesh.cell_centers, self.volume, radius)
        elif self.filter == "pde":
            smoothing = helmholtz_filter(mesh, radius)
        else:
            raise StudyError(f"filter is {self.filter!r}; 'density' or 'pde' is wanted")
        shaping: list[Any] = []
        draft, threshold = self.draft_angle, np.asarray(0.5)
        if self.draw is not None:
            self._check_draw(length)
            axis = self._axis("draw")
            links.append(extruded(mesh, axis))
            threshold = heights(mesh, axis)
            shaping.append(Draw.of(mesh, axis, draft))
        if self.overhang is not None:
            angle = self.overhang_angle
            shaping.append(Overhang.of(mesh, self._axis("build"), angle, self.kept))
        robust = length is not None
        chain = Chain(tuple(links), smoothing, tuple(shaping), self.kept, self.voided, robust, threshold)
        object.__setattr__(self, "chain", chain)
        object.__setattr__(self, "notes", tuple(notes))

    def _check_draw(self, length: float | None) -> None:
        if length is not None:
            raise StudyError(
                "min_length is not held where a die is drawn; take a filter_radius of that length"
            )
        if not self.projection:
            raise StudyError("draw= needs the projection; leave projection= out")
        if self.extrusion is not None:
            raise StudyError(
                "draw= and extrusion= exclude each other: what is extruded has no undercuts along it"
            )

    def _check_mirrored(self, mirror: MatrixFilter) -> None:
        up = self.model.mesh.cell_centers @ self._axis("draw")
        if np.abs(mirror(up) - up).max() > 0.5 * cell_size(self.model.mesh):
            raise StudyError("draw= and symmetry= about a plane across it exclude each other: undercuts")

    def _axis(self, name: str) -> FloatArray:
        """A direction of these settings, in the plane of a plane model."""
        given = getattr(self, name)
        axis = axis_of(given, name)
        if self.model.mesh.dimension == 2 and abs(axis[2]) > 1e-9:
            raise StudyError(f"{name} is {given!r}, out of the plane of this model; say 'x' or 'y'")
        return axis

    @property
    def overhang_angle(self) -> float:
        """From the plate, rad.

        Raises
        ------
        StudyError
            If it is no angle between 0 and 90 degrees, or none was stated.
        """
        if self.overhang is None:
            raise StudyError("no overhang= was stated")
        angle = float(to_si(self.overhang, "angle", name="overhang"))
        if not 0.0 < angle < 0.5 * math.pi:
            raise StudyError(f"overhang is {self.overhang!r}; an angle between 0 and 90 deg is wanted")
        return angle

    @property
    def draft_angle(self) -> float:
        """From the direction of draw, rad.

        Raises
        ------
        StudyError
            If it is no angle from 0 to 45 degrees, or there is none to draw along.
        """
        if isinstance(self.draft, str) and self.draft.strip() in AXES:
            raise StudyError(f"draft is {self.draft!r}; it is an angle: draw={self.draft!r}, draft='3 deg'")
        angle = float(to_si(self.draft, "angle", name="draft"))
        if not 0.0 <= angle <= 0.25 * math.pi:
            raise StudyError(f"draft is {self.draft!r}; an angle from 0 to 45 deg is wanted")
        if angle and self.draw is None:
            raise StudyError("draft= is the lean of walls along a die's way; say which: draw='z'")
        return angle

    # Running

    def run(
        self, *, max_iterations: int = 200, max_time: Any = "1 h", tolerance: float = 0.01,
        watch: Callable[[Optimum], None] | None = None, live: bool | None = None,
    ) -> Optimum:  # fmt: skip
        """Optimize; resume what the store holds.

        Parameters
        ----------
        max_iterations : int
            Designs in all, those in the store included.
        max_time : time
            Of this call.
        tolerance : float
            Change of every density at which it ends, once the projection is sharp.
        watch : callable (Optimum) -> None, optional
            Told every design.
        live : bool, optional
            A picture that follows the run; in notebooks unless said otherwise.

        Raises
        ------
        StudyError
            If the store holds another topology.
        SingularSystemError, ConvergenceError
            If an analysis has no answer.
        """
        seconds = float(to_si(max_time, "time", name="max_time"))
        if seconds <= 0.0:
            raise StudyError(f"max_time is {max_time!r}; a time above 0 is wanted")
        if not isinstance(max_iterations, int) or isinstance(max_iterations, bool) or max_iterations < 1:
            raise StudyError(f"max_iterations is {max_iterations!r}; 1 or more is wanted")
        if not isinstance(tolerance, int | float) or not 0.0 < tolerance < 1.0:
            raise StudyError(f"tolerance is {tolerance!r}; a change of density such as 0.01 is wanted")
        if watch is not None and not callable(watch):
            raise StudyError(f"watch is {watch!r}; a function of an Optimum is wanted")
        from designtwin import edge

        search = _Search(self, max_iterations, time.monotonic() + seconds, tolerance)
        search.resume()
        show_live = edge.follow_topology(live)
        with track(self.name or "topology optimization", total=max_iterations) as progress:
            progress.advance(search.number)
            while not search.stopped:
                search.step()
                last = search.history[-1]
                progress.advance(1, str(last))
                for one in (show_live, watch):
                    if one is not None:
                        one(search.optimum())
        return search.optimum()

    # What a design is worth

    def evaluate(self, x: FloatArray, sharpness: float) -> Evaluated:
        """Objective, constraints and slopes of a design.

        Parameters
        ----------
        x : float64[n_cells]
        sharpness : float
            Of the projection; 0 for none.
        """
        fields = self.chain.fields(x, sharpness)
        answers = self.physics.solve(fields.stiff, self.stiffness)
        value, slope = self._objective(self._told(self.objective, answers, fields))
        sign = 1.0 if self.maximize is None else -1.0
        mass = isinstance(self.objective, MassQuantity)
        df = self._by_design(x, sharpness, sign * slope, heavy=mass)
        names, g, dg = [], [], []
        if self.volume_fraction is not None:
            wanted = self.volume_fraction * float(self.volume.sum())
            names.append(f"volume ≤ {self.volume_fraction:.4g} of the space")
            designed = self._volume_of(fields.part)
            g.append(designed / wanted - 1.0)
            # The thickened design is held, to where the part itself has the volume.
            share = designed / self._volume_of(fields.heavy)
            dg.append(self._by_design(x, sharpness, share * self.volume / wanted, heavy=True))
        for one in self.requirements:
            heavy = isinstance(one.quantity, MassQuantity)
            for name, gi, slope in Limit(one).terms(self._told(one.quantity, answers, fields)):
                names.append(name)
                g.append(gi)
                dg.append(self._by_design(x, sharpness, slope, heavy=heavy))
        return Evaluated(
            fields, value, sign * value, df, tuple(names), np.array(g),
            np.array(dg).reshape(len(g), len(x)),
        )  # fmt: skip

    def _volume_of(self, density: FloatArray) -> float:
        """m^3; summed here, for the digits of BLAS go with its threads."""
        return float((self.volume * density).sum())

    def _told(self, quantity: Quantity, answers: Any, fields: Fields) -> list[Told]:
        told = self.physics.told(quantity, answers)
        if not isinstance(quantity, MassQuantity):
            return told
        case, slope = told[0].case, told[0].slope
        value = float((slope * fields.part).sum())
        # The thickened design is weighed, to where the part itself has the mass.
        return [Told(case, value, slope * (value / float((slope * fields.heavy).sum())))]

    def _by_design(self, x: FloatArray, sharpness: float, slope: FloatArray, *, heavy: bool) -> FloatArray:
        nothing = np.zeros(len(slope))
        if heavy:
            return self.chain.slopes(x, sharpness, nothing, slope)
        return self.chain.slopes(x, sharpness, slope)

    def _objective(self, told: Sequence[Told]) -> tuple[float, FloatArray]:
        """One number of all cases."""
        if self.cases == "worst" and len(told) > 1:
            values = np.array([one.value for one in told])
            # Cases within some percent of the worst count too, whatever the sign of the values.
            share = np.exp(POWER * (values - values.max()) / (float(np.abs(values).max()) or 1.0))
            share /= share.sum()
            return float(values.max()), np.asarray(
                sum(s * one.slope for s, one in zip(share, told, strict=True))
            )
        weights = self.cases if isinstance(self.cases, Mapping) else {}
        total, slope = 0.0, np.zeros(len(self.volume))
        for one in told:
            weight = float(weights.get(one.case, 0.0 if weights and len(told) > 1 else 1.0))
            total += weight * one.value
            slope += weight * one.slope
        return total, slope

    def told_as(self, values: Sequence[Any]) -> float:
        """The objective of values by case, as cases make it one."""
        none = np.zeros(len(self.volume))
        return self._objective([Told(one.case or "", float(one.value), none) for one in values])[0]

    @property
    def limits_stress(self) -> bool:
        """Whether a requirement is on stress, which is ruled by a few cells."""
        return any(isinstance(one.quantity, YieldMargin | StressQuantity) for one in self.requirements)

    @property
    def uses_oc(self) -> bool:
        """Whether optimality criteria fit: one resource, an objective that every density lowers."""
        if self.method != "auto":
            return self.method == "oc"
        plain = isinstance(self.objective, ComplianceQuantity) and self.maximize is None
        # Under a projection their steps swing between designs that hold together and such that do not.
        alone = self.volume_fraction is not None and not self.requirements and not self.projection
        assert self.physics is not None
        statics = self.physics.statics
        own = statics is not None and any(any(statics.follows(c.name)) for c in statics.cases)
        return plain and alone and not own and not self.chain.shaping and not self.chain.robust

    def fingerprint(self) -> str:
        """Equal for topologies that run alike."""
        settings = {
            "model": self.model.content_hash(), "objective": self.objective.content_hash(),
            "sense": self.maximize is not None, "volume": self.volume_fraction,
            "requirements": [one.content_hash() for one in self.requirements],
            "cases": self.cases if isinstance(self.cases, str) else sorted(self.cases.items()),
            "keep": hashlib.sha256(np.packbits(self.kept).tobytes()).hexdigest(),
            "void": hashlib.sha256(np.packbits(self.voided).tobytes()).hexdigest(),
            "shape": repr((self.filter_radius, self.filter, self.min_length, self.projection, self.symmetry,
                           self.extrusion, self.draw, self.draft, self.overhang, self.build, self.method)),
            "interpolation": repr(self.stiffness),
        }  # fmt: skip
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A design with its numbers and slopes.

    Parameters
    ----------
    fields : Fields
    value : float
        The objective as it is told, SI.
    f : float
        The objective as it is minimized.
    df : float64[n]
    names : tuple of str
        Constraints.
    g, dg : float64[m], float64[m, n]
        Met where g <= 0.
    """

    fields: Fields
    value: float
    f: float
    df: FloatArray
    names: tuple[str, ...]
    g: FloatArray
    dg: FloatArray


class _Search:
    """One run: the design, the state of the method, what was seen."""

    def __init__(self, topology: Topology, most: int, deadline: float, tolerance: float) -> None:
        self.topology, self.most, self.deadline, self.tolerance = topology, most, deadline, tolerance
        n = topology.model.mesh.n_cells
        share = topology.volume_fraction
        start = 1.0 if share is None and isinstance(topology.objective, MassQuantity) else share or 0.5
        free = ~(topology.kept | topology.voided)
        if share is not None:
            held = float(topology.volume[topology.kept].sum())
            room = float(topology.volume[free].sum())
            start = min(max((share * float(topology.volume.sum()) - held) / max(room, 1e-300), 0.01), 1.0)
        self.x = np.where(topology.kept, 1.0, np.where(topology.voided, 0.0, start))
        low, high = np.zeros(n), np.ones(n)
        low[~free] = high[~free] = self.x[~free]
        self.free = free
        self.low, self.high = low, high
        self.method: MMA | OC | None = None
        self.number = 0
        self.sharpness = 1.0 if topology.projection else 0.0
        self.since = 0
        self.scale = 0.0
        self.history: list[Step] = []
        self.stopped = ""
        self.converged = False
        self.fields: Fields | None = None
        self.analyzed = self.x
        self.best: tuple[int, FloatArray, Fields] | None = None

    def step(self) -> None:
        """Evaluate the design and move to the next."""
        topology = self.topology
        started = time.perf_counter()
        found = topology.evaluate(self.x, self.sharpness)
        self.fields = found.fields
        if not self.scale:
            self.scale = abs(found.value) or 1.0
        method = self._method(len(found.g))
        if isinstance(method, OC):
            # Far from the threshold slopes of a sharp projection vanish; both do, and their ratio counts.
            grows = np.maximum(found.dg[0], 1e-12 * float(found.dg[0].max()))
            new = method.step(
                self.x, np.minimum(found.df, 0.0) / self.scale, float(found.g[0]), grows,
                constraint=self._excess,
            )  # fmt: skip
        else:
            new = method.step(self.x, found.f / self.scale, found.df / self.scale, found.g, found.dg)
        change = float(np.abs(new - self.x)[self.free].max(initial=0.0))
        part = found.fields.part
        space = float(topology.volume.sum())
        gray = 4.0 * topology._volume_of(part * (1.0 - part)) / space
        self.history.append(
            Step(
                number=self.number, value=found.value, limits=dict(zip(found.names, found.g, strict=True)),
                volume=topology._volume_of(part) / space, change=change, gray=gray,
                sharpness=self.sharpness, seconds=time.perf_counter() - started,
                dimension=topology.objective.dimension,
            )
        )  # fmt: skip
        if self._is_best():
            self.best = (self.number, self.x, found.fields)
        self.number += 1
        self.since += 1
        self.analyzed, self.x = self.x, new
        self._next(change, found)
        self.save()

    def _is_best(self) -> bool:
        """Whether the last design meets all limits and is better than those before, or crisper."""
        last = self.history[-1]
        if last.worst > MET or self.best is None:
            return last.worst <= MET
        before = self.history[self.best[0]]
        sign = 1.0 if self.topology.maximize is None else -1.0
        return last.sharpness > before.sharpness or sign * last.value < sign * before.value

    def _excess(self, x: FloatArray) -> float:
        """Volume above what is allowed, as a share of it."""
        topology = self.topology
        part = topology.chain.fields(x, self.sharpness).part
        share = topology.volume_fraction
        assert share is not None
        return topology._volume_of(part) / (share * float(topology.volume.sum())) - 1.0

    def _method(self, m: int) -> MMA | OC:
        topology = self.topology
        careful = topology.requirements or topology.limits_stress
        move = _CAREFUL if careful else _MOVE
        if self.sharpness:
            move = min(move, _CRISP / self.sharpness)
        if self.method is None:
            n = len(self.x)
            kind = OC if topology.uses_oc else MMA
            self.method = OC(n, self.low, self.high) if kind is OC else MMA(n, m, self.low, self.high)
        self.method.longest = move
        return self.method

    def _next(self, change: float, found: Evaluated) -> None:
        """Sharpen the projection, or end."""
        most = _LOCAL if self.topology.limits_stress else SHARPEST
        sharp = self.sharpness == 0.0 or self.sharpness >= most
        if sharp and change < self.tolerance and found.g.max(initial=0.0) <= MET:
            self.converged = True
            self.stopped = f"no density changed by more than {self.tolerance:g}"
        elif sharp and self._still() and found.g.max(initial=0.0) <= MET:
            self.converged = True
            self.stopped = f"the objective stood still to {1e-4:g} over {_WINDOW} designs"
        elif self.number >= self.most:
            self.stopped = f"the {self.most} designs allowed were used"
        elif time.monotonic() > self.deadline:
            self.stopped = "the time allowed was used"
        elif not sharp and (change < _STILL or self.since >= _STAGE):
            self.sharpness = min(2.0 * self.sharpness, most)
            self.since = 0

    def _still(self) -> bool:
        values = [s.value for s in self.history[-_WINDOW:] if s.sharpness == self.sharpness]
        return len(values) == _WINDOW and np.ptp(values) <= 1e-4 * abs(values[-1])

    def optimum(self) -> Optimum:
        """What there is by now; where the budget ended it, the best that met all limits."""
        assert self.fields is not None
        number, x, fields = self.number - 1, self.analyzed, self.fields
        stopped = self.stopped or "still running"
        if self.stopped and not self.converged:
            stopped += "; no design met all limits, this is the last"
            if self.best is not None:
                number, x, fields = self.best
                stopped = f"{self.stopped}; this is design {number}, the best that met all limits"
        return Optimum(
            topology=self.topology, density=fields.part, x=x, history=tuple(self.history), stopped=stopped,
            converged=self.converged, number=number,
        )  # fmt: skip

    # Checkpoints

    @property
    def _path(self) -> Path | None:
        store = self.topology.store
        return None if store is None else Path(store) / "topology.npz"

    def save(self) -> None:
        """Keep all that the next step depends on."""
        if self._path is None or self.fields is None:
            return
        about = {
            "fingerprint": self.topology.fingerprint(), "number": self.number, "since": self.since,
            "sharpness": self.sharpness, "scale": self.scale, "stopped": self.stopped,
            "converged": self.converged, "history": [step.to_plain() for step in self.history],
            "best": None if self.best is None else self.best[0],
        }  # fmt: skip
        state = self.method.state() if isinstance(self.method, MMA) else {}
        arrays: dict[str, Any] = {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8), "x": self.x,
            "analyzed": self.analyzed, **self.fields._asdict(),
        }  # fmt: skip
        arrays |= {f"mma_{key}": value for key, value in state.items()}
        if self.best is not None:
            arrays |= {"best": self.best[1]}
            arrays |= {f"best_{key}": value for key, value in self.best[2]._asdict().items()}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        with atomic(self._path, error=StudyError, make_folder=True) as file:
            file.write(buffer.getvalue())

    def resume(self) -> None:
        """Go on where the store left off.

        Raises
        ------
        StudyError
            If it holds another topology, or cannot be read.
        """
        if self._path is None or not self._path.is_file():
            return
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            about = json.loads(arrays.pop("about").tobytes().decode())
        except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StudyError(f"{self._path} cannot be read: {error}; remove it to begin anew") from error
        if about["fingerprint"] != self.topology.fingerprint():
            raise StudyError(
                f"{self._path.parent} holds another topology (model, goal or limits differ); give another "
                "store=, or remove it"
            )
        self.x, self.analyzed = arrays["x"], arrays["analyzed"]
        self.fields = Fields(arrays["part"], arrays["stiff"], arrays["heavy"])
        if about["best"] is not None:
            best = Fields(arrays["best_part"], arrays["best_stiff"], arrays["best_heavy"])
            self.best = (about["best"], arrays["best"], best)
        self.number, self.since = about["number"], about["since"]
        self.sharpness, self.scale = about["sharpness"], about["scale"]
        self.history = [Step.from_plain(one) for one in about["history"]]
        self.converged, self.stopped = about["converged"], about["stopped"]
        if not self.converged and self.number < self.most:
            self.stopped = ""
        state = {k.removeprefix("mma_"): v for k, v in arrays.items() if k.startswith("mma_")}
        if state:
            method = self._method(len(state["g"]))
            assert isinstance(method, MMA)
            method.restore(state)


_WINDOW = 10


def _length(given: Any, name: str) -> float:
    length = to_si(given, "length", name=name)
    if not isinstance(length, float) or not 0.0 < length < math.inf:
        raise StudyError(f"{name} is {given!r}; a positive length is wanted")
    return length
