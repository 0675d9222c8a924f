"""Temperature, heat flux and heat balance of thermal load cases: steady ones, and any instant of a course."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from designtwin.assembly import CellBlock, PointTables, applied, conductivity_tensors
from designtwin.errors import DesignTwinError
from designtwin.kernels import volume
from designtwin.mesh.selections import everything, ids, select
from designtwin.model.model import LoadCase, Model
from designtwin.results.common import CaseResult, Field, Result, SolveInfo
from designtwin.results.recovery import Recovery
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.units import show

if TYPE_CHECKING:
    from designtwin.mesh.selections import Selection


class ThermalState(CaseResult):
    """A temperature field and what follows from it: flux, heat through places, errors.

    ``ThermalCase`` is the steady one, ``ThermalInstant`` one of a course in time.
    """

    temperature: FloatArray
    held: FloatArray
    applied: float
    case: LoadCase

    def _sampled(self) -> FloatArray:
        """Heat flux at all sampling points float64[s, 3], W/m^2."""
        return self.recovery.sampled(self._flux, 3)

    def _flux(self, block: CellBlock, at: PointTables) -> FloatArray:
        """Heat flux at table points, float64[n_cells, q, 3], W/m^2."""
        gradient = np.empty((len(block.conn), len(at.xi), 3))
        volume.scalar_gradient(self.mesh.points, block.conn, at.gradient, self.temperature, gradient)
        k, k_of = conductivity_tensors(self.model, block, at, self.temperature)
        return -applied(k, k_of, gradient)

    @cached_property
    def _recovered(self) -> FloatArray:
        return self.recovery.recovered(self._sampled())

    @cached_property
    def _nodal(self) -> FloatArray:
        return self.recovery.nodal(self._sampled())

    def heat_flux(self) -> FloatArray:
        """Heat flux vector at the rows of ``points``, float64[k, 3], W/m^2."""
        return self._nodal

    def heat(self, on: str | Selection) -> float:
        """Heat that prescribed temperatures and convection put in over a selection, W.

        Convection counts over the faces selected; a prescribed temperature counts at the nodes it shares
        with the selection, where the two share a face (or where one of them has no faces).
        """
        return sum(self._heat(on))

    def heat_error(self, on: str | Selection) -> float:
        """Half-width of the interval of ``heat(on)``, W.

        Exchanged heat is as sure as the temperature it follows. What prescribed temperatures put in is as
        sure as the mesh and the steps in time: the energy error squared, and their error over the spread.
        """
        exchanged, held = self._heat(on)
        warmer = self.temperature + self.temperature_error
        spread = float(np.ptp(self.temperature[self.mesh.used_nodes]))
        late = float(getattr(self, "time_error", 0.0)) / max(spread, 1e-300)
        share = min(4.0 * self.energy_error**2 + late, 1.0) if held else 0.0
        lost = abs(self.imbalance) * max(abs(exchanged) + abs(held), abs(self.applied))
        return abs(self._heat(on, warmer)[0] - exchanged) + share * abs(held) + lost

    def _heat(self, on: str | Selection, temperature: FloatArray | None = None) -> tuple[float, float]:
        """Heat exchanged over a selection at a temperature (its own unless given), and held there, W."""
        loads, nodes, held = exchange_over(self.model, self.case, on)
        total = sum(float(self._put_in(load, temperature).sum()) for load in loads)
        total += sum(float(self._put_in(load, temperature)[at].sum()) for load, at in nodes)
        return total, float(self.held[held].sum())

    def _put_in(self, load: Any, temperature: FloatArray | None = None) -> FloatArray:
        """Heat a load puts into the nodes at a temperature (its own unless given), float64[n_points], W."""
        time = getattr(self, "time", None)
        temperature = self.temperature if temperature is None else temperature
        if hasattr(load, "bind"):
            return np.asarray(load.bind(self.model).nodal_heat(temperature, time), np.float64)
        return np.asarray(load.heat_at(self.model, temperature, time), np.float64)

    @cached_property
    def energy_error(self) -> float:
        """Estimated error of the flux over the flux (Zienkiewicz and Zhu, IJNME 24 (1987))."""

        def own(block: CellBlock, at: PointTables) -> tuple[FloatArray, FloatArray, IntArray]:
            flux = self._flux(block, at)
            return flux, np.eye(3)[None], np.zeros(flux.shape[:2], np.int64)

        error, size = self.recovery.energies(self._recovered, own)
        return float(np.sqrt(error / size)) if size > 0.0 else 0.0

    @cached_property
    def temperature_error(self) -> float:
        """Half-width of the interval of any temperature, K."""
        return self._space_error

    @property
    def _space_error(self) -> float:
        """What the mesh leaves open of any temperature, K."""
        return 4.0 * self.energy_error**2 * float(np.ptp(self.temperature[self.mesh.used_nodes]))

    @property
    def field_names(self) -> tuple[str, ...]:
        return ("temperature", "heat_flux", "heat_flux_magnitude")

    def field(self, name: str) -> Field:
        """A field by name: temperature, heat_flux (vector), heat_flux_magnitude."""
        if name == "temperature":
            return Field(
                name, "Temperature", self.temperature, "temperature", "points",
                lambda: np.full(self.mesh.n_points, self.temperature_error),
            )  # fmt: skip
        if name == "heat_flux":
            return Field(name, "Heat flux", self._nodal, "heat_flux")
        if name == "heat_flux_magnitude":
            return Field(name, "Heat flux", np.linalg.norm(self._nodal, axis=1), "heat_flux")
        raise DesignTwinError(f"there is no field {name!r}; there are: {', '.join(self.field_names)}")


@dataclass(frozen=True, eq=False, repr=False)
class ThermalCase(ThermalState):
    """Answer of one thermal load case.

    Parameters
    ----------
    name : str
    model : Model
    recovery : Recovery
    temperature : float64[n_points]
        K.
    reactions : float64[n_points]
        Heat that prescribed temperatures and convection put into the part, W.
    held : float64[n_points]
        The share of prescribed temperatures in it, W.
    applied : float
        Heat that fluxes and sources put in, W.
    residual : float
        Unbalanced heat over heat moved, at free unknowns.
    imbalance : float
        Heat in less heat out over heat moved.
    info : SolveInfo
    case : LoadCase
    """

    name: str
    model: Model
    recovery: Recovery
    temperature: FloatArray
    reactions: FloatArray
    held: FloatArray
    applied: float
    residual: float
    imbalance: float
    info: SolveInfo
    case: LoadCase


@dataclass(frozen=True, eq=False, repr=False)
class ThermalResult(Result[ThermalCase]):
    """Answers of a thermal analysis, case by case.

    Parameters
    ----------
    kept : mapping of case name to what solved it
        What adjoints take up again, where the analysis was told to keep it.
    """

    kept: Mapping[str, Any] = field(default_factory=dict, repr=False, metadata={"kept": False})

    physics: ClassVar[str] = "thermal"

    def __str__(self) -> str:
        lines = ["thermal result"]
        for name, case in self.by_case.items():
            used = case.temperature[self.mesh.used_nodes]
            lines += [
                f"  {name}",
                f"    heat        {show(case.applied, 'power')} by fluxes and sources, "
                f"{show(case.reactions.sum(), 'power')} by prescribed temperatures and convection; "
                f"they balance to {case.imbalance:.1e}, residual {case.residual:.1e}",
                f"    temperature {show(used.min(), 'temperature')} to {show(used.max(), 'temperature')}",
            ]
        return "\n".join(lines)


def exchanges(load: Any, model: Model) -> bool:
    """Whether a load's heat depends on the temperature of the part, as that of convection does."""
    return bool(len(load.level_nodes(model)))


_EXCHANGE: weakref.WeakKeyDictionary[Model, dict[Any, Any]] = weakref.WeakKeyDictionary()
"""What exchanges heat over a place, by model, case and place: asked anew at every instant."""


def exchange_over(
    model: Model, case: LoadCase, on: str | Selection
) -> tuple[list[Any], list[tuple[Any, IntArray]], BoolArray]:
    """Loads that exchange heat, cut to a selection; those that cannot be cut, and its nodes; nodes held."""
    known = _EXCHANGE.setdefault(model, {})
    key = (case.name, select(on))
    if key in known:
        found: tuple[list[Any], list[tuple[Any, IntArray]], BoolArray] = known[key]
        return found
    region = model.region(on)
    faces = {(int(c), int(f)) for c, f in region.facets}
    loads: list[Any] = []
    whole: list[tuple[Any, IntArray]] = []
    for load in case.heat_loads:
        place = getattr(load, "on", None)
        if place is None or not exchanges(load, model):
            continue
        shared = faces & {(int(c), int(f)) for c, f in model.region(place).facets}
        if shared and hasattr(load, "bind"):
            # Its faces see one another: a share of them is no such load. Their nodes answer.
            whole.append((load, model.region(ids(facets=sorted(shared))).nodes))
        elif shared:
            part: Any = load
            loads.append(replace(part, on=ids(facets=sorted(shared))))
    held = np.zeros(model.mesh.n_points, bool)
    for support in (*model.heat_supports, *case.heat_supports):
        other = model.region(getattr(support, "on", everything()))
        if faces and len(other.facets) and not faces & {(int(c), int(f)) for c, f in other.facets}:
            continue
        held[np.intersect1d(region.nodes, other.nodes)] = True
    known[key] = loads, whole, held
    return loads, whole, held
