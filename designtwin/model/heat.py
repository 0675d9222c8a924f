"""Heat loads: heat put in through faces or inside cells, exchanged with a fluid, radiated to surroundings.

Every load states a density of heat at integration points, which may depend on the temperature there and on
time, with its slope over temperature; nodal heat, matrices and the tangent of Newton's method follow.
In plane models heat is the total over the thickness, in axisymmetric models over the whole ring.
"""

from __future__ import annotations

import dataclasses
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from designtwin.errors import ModelError
from designtwin.model.domains import (
    Domain,
    NodalMatrices,
    Patch,
    cell_domain,
    domain_of,
    face_matrices,
    faces_of,
    facets_of,
)
from designtwin.model.loads import Load, On, not_negative, number_of, settle, values_at
from designtwin.model.magnitude import Magnitude, MagnitudeLike, StatedField, StatedTable
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show

if TYPE_CHECKING:
    from designtwin.model.model import Model

__all__ = [
    "STEFAN_BOLTZMANN", "Convection", "HeatFlow", "HeatFlux", "HeatLoad", "HeatSource", "Radiation",
]  # fmt: skip

STEFAN_BOLTZMANN = 5.670374419e-8
"""W/(m^2 K^4), exact in the SI of 2019 (CODATA 2018, rounded to ten digits)."""

COLD = 150.0
"""K. A plain number below it, given as a temperature beside what radiates, was most likely meant in degC."""


class _Shares(NamedTuple):
    """What one watt per unit of measure gives a load's nodes, and one watt per unit and kelvin takes."""

    heat: FloatArray
    matrices: tuple[NodalMatrices, ...]


_SHARES: weakref.WeakKeyDictionary[Model, dict[object, _Shares]] = weakref.WeakKeyDictionary()
"""By model, and kind and place of a load: asked in every time step, integrated once."""
_MEASURES: weakref.WeakKeyDictionary[Model, dict[object, float]] = weakref.WeakKeyDictionary()
"""Area or volume a total is spread over, likewise."""


class HeatLoad(Load):
    """A load of a thermal case.

    A class of your own needs ``domain`` and ``density``; or, where its heat is constant and linear in
    temperature, ``nodal_heat(model)`` and ``matrices(model)`` alone.
    """

    physics: ClassVar[str] = "thermal"

    @property
    def varies(self) -> frozenset[str]:
        """What its heat depends on: "time", and "temperature" if it is not linear in that."""
        over = {one.over for one in _magnitudes(self)}
        return frozenset(word for word in ("temperature", "time") if word in over)

    @property
    def breakpoints(self) -> FloatArray:
        """Times at which its heat kinks or jumps, float64[k], s, increasing."""
        return _kinks(self)

    @property
    def film_varies(self) -> bool:
        """Whether ``matrices`` changes with time: then a solver's set-up lasts no longer than a step."""
        return "time" in self.varies

    def domain(self, model: Model) -> Domain | None:
        """Where it acts; None for a load that answers ``nodal_heat`` and ``matrices`` itself."""
        return None

    def density(
        self, model: Model, patch: Patch, temperature: FloatArray, time: float | None
    ) -> tuple[FloatArray, FloatArray]:
        """Heat into the body at the points of a patch of its domain, and its slope over temperature.

        Parameters
        ----------
        temperature : float64[f, q]
            K, at the points.
        time : float, optional
            s; needed where the load varies in time.

        Returns
        -------
        heat : float64[f, q]
            W per unit of the patch's measure (W/m^2 on faces, W/m^3 in cells).
        slope : float64[f, q]
            The same per kelvin.
        """
        raise NotImplementedError(f"{type(self).__name__} states no density")

    def nodal_heat(self, model: Model, time: float | None = None) -> FloatArray:
        """Its part that does not depend on temperature, float64[n_points], W into the body.

        Parameters
        ----------
        time : float, optional
            s; needed where the load varies in time.

        Raises
        ------
        ModelError
            If the heat is not linear in temperature: then ``heat_at`` answers.
        """
        shares = self._shares(model)
        if shares is not None:
            return self._even_density(model, time)[0] * shares.heat
        domain = self._linear_domain(model)
        if domain is None:
            return np.zeros(model.mesh.n_points)
        return domain.spread(lambda patch: self._at_zero(model, patch, time)[0][..., None], 1)[:, 0]

    def matrices(self, model: Model, time: float | None = None) -> list[NodalMatrices]:
        """Minus the slope of its heat over the nodal temperatures, W/K; empty where that is zero.

        Raises
        ------
        ModelError
            If the heat is not linear in temperature.
        """
        shares = self._shares(model)
        if shares is not None:
            slope = self._even_density(model, time)[1]
            return [NodalMatrices(one.nodes, -slope * one.values) for one in shares.matrices] if slope else []
        domain = self._linear_domain(model)
        if domain is None:
            return []
        slopes = {id(patch): self._at_zero(model, patch, time)[1] for patch in domain.patches}
        if not any(slope.any() for slope in slopes.values()):
            return []
        return face_matrices(domain, lambda patch: -slopes[id(patch)][..., None, None])

    def heat_at(self, model: Model, temperature: FloatArray, time: float | None = None) -> FloatArray:
        """Heat into the nodes at given temperatures, float64[n_points], W.

        Parameters
        ----------
        temperature : float64[n_points]
            K.
        time : float, optional
            s; needed where the load varies in time.
        """
        domain = self.domain(model)
        if domain is None:
            heat = np.array(self.nodal_heat(model), np.float64)
            for one in self.matrices(model):
                np.subtract.at(heat, one.nodes, np.einsum("kij,kj->ki", one.values, temperature[one.nodes]))
            return heat

        def heat_of(patch: Patch) -> FloatArray:
            return self.density(model, patch, temperature[patch.conn] @ patch.shape.T, time)[0][..., None]

        return domain.spread(heat_of, 1)[:, 0]

    def level_nodes(self, model: Model) -> IntArray:
        """Nodes that it draws towards a temperature of its own, int64[k]; none if it only puts heat in."""
        found = [one.nodes[np.abs(one.values).max(axis=(1, 2)) > 0.0].ravel() for one in self.matrices(model)]
        return np.unique(np.concatenate([*found, np.empty(0, np.int64)]))

    def summary(self, model: Model) -> str:
        """How much heat it puts in, in a few words; "" where that depends on the answer."""
        if "temperature" in self.varies:
            return ""
        if "time" in self.varies:
            return "; ".join(
                f"{one.name.split()[-1]} {one}" for one in _magnitudes(self) if one.over == "time"
            )
        return super().summary(model)

    def _shares(self, model: Model) -> _Shares | None:
        """What its nodes get of an even heat, if it is even in space, varies in time and is linear."""
        ours = type(self) in (HeatFlux, HeatFlow, HeatSource, Convection)  # a class of one's own may differ
        uneven = any(one.depends_on == "points" for one in _magnitudes(self))
        if not ours or uneven or self.varies != {"time"}:
            return None
        known = _SHARES.setdefault(model, {})
        key = (type(self), getattr(self, "on", None))
        if key not in known:
            domain = self.domain(model)
            if domain is None:
                return None
            heat = domain.spread(lambda patch: np.ones((*patch.measure.shape, 1)), 1)[:, 0]
            film = face_matrices(domain, _one_each) if isinstance(self, Convection) else []
            known[key] = _Shares(heat, tuple(film))
        return known[key]

    def _even_density(self, model: Model, time: float | None) -> tuple[float, float]:
        """Heat and slope of a load that is even in space, at 0 K."""
        point = Patch(np.zeros((1, 1), np.int64), np.ones((1, 1)), np.zeros((1, 1, 3)), np.ones((1, 1)))
        heat, slope = self._at_zero(model, point, time)
        return float(heat[0, 0]), float(slope[0, 0])

    def _linear_domain(self, model: Model) -> Domain | None:
        if "temperature" in self.varies:
            raise ModelError(
                f"the heat of {self.said} is not linear in temperature, so it has no matrix of its own; ask "
                "heat_at(model, temperature)"
            )
        return self.domain(model)

    def _at_zero(self, model: Model, patch: Patch, time: float | None) -> tuple[FloatArray, FloatArray]:
        return self.density(model, patch, np.zeros(patch.measure.shape), time)


def _one_each(patch: Patch) -> FloatArray:
    return np.ones((*patch.measure.shape, 1, 1))


def _magnitudes(item: Any) -> list[Magnitude]:
    """The magnitudes among an item's fields."""
    if not dataclasses.is_dataclass(item):
        return []
    found = [getattr(item, field.name) for field in dataclasses.fields(item)]
    return [one for one in found if isinstance(one, Magnitude)]


def _kinks(item: Any) -> FloatArray:
    """Breakpoints of all magnitudes of an item, float64[k], s, increasing."""
    return np.unique(np.concatenate([one.breakpoints for one in _magnitudes(item)] or [np.empty(0)]))


def _given(
    magnitude: MagnitudeLike | None, patch: Patch, model: Model, temperature: FloatArray, time: float | None
) -> tuple[FloatArray, FloatArray]:
    """A magnitude at points and its slope over temperature, float64[f, q] each."""
    assert isinstance(magnitude, Magnitude)
    value = values_at(magnitude, patch, model, temperature=temperature, time=time)
    return value, magnitude.slope(temperature=temperature)


def _even(
    load: HeatLoad, total: MagnitudeLike | None, model: Model, patch: Patch, time: float | None
) -> tuple[FloatArray, FloatArray]:
    """A total spread evenly over the domain of a load."""
    known = _MEASURES.setdefault(model, {})
    key = (type(load).__name__, load.on)  # type: ignore[attr-defined]
    if key not in known:
        domain = load.domain(model)
        assert domain is not None
        known[key] = domain.measure
    each = number_of(total, load.said, time) / known[key]
    return np.full(patch.measure.shape, each), np.zeros(patch.measure.shape)


def _not_over(magnitude: MagnitudeLike | None, over: str, sentence: str) -> None:
    """Raise ModelError with this sentence if a magnitude depends on what it may not."""
    assert isinstance(magnitude, Magnitude)
    if over in (magnitude.over, magnitude.depends_on):
        raise ModelError(sentence)


# Heat put in


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatFlux(HeatLoad):
    """Heat per area through faces, positive into the body.

    Parameters
    ----------
    on : str or Selection
    magnitude : heat flux
        Constant, a field, or over time or surface temperature, such as ``"5 kW/m2"``.
    """

    on: On
    magnitude: MagnitudeLike

    def __post_init__(self) -> None:
        settle(self, magnitude=Magnitude.of(self.magnitude, "heat_flux", name="HeatFlux magnitude"))

    @property
    def film_varies(self) -> bool:
        """See `HeatLoad.film_varies`: it only puts heat in."""
        return False

    def domain(self, model: Model) -> Domain:
        """See `HeatLoad.domain`."""
        return faces_of(model, self.on, self.said)

    def density(
        self, model: Model, patch: Patch, temperature: FloatArray, time: float | None
    ) -> tuple[FloatArray, FloatArray]:
        """See `HeatLoad.density`."""
        return _given(self.magnitude, patch, model, temperature, time)

    def check(self, model: Model) -> None:
        facets_of(model, self.on, self.said)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatFlow(HeatLoad):
    """A total heat, spread evenly over faces (or nodes, or cells), positive into the body.

    Parameters
    ----------
    on : str or Selection
    total : power
        Constant or over time, such as ``"12 W"``.
    """

    on: On
    total: MagnitudeLike

    def __post_init__(self) -> None:
        settle(self, total=Magnitude.of(self.total, "power", name="HeatFlow total"))
        _not_over(self.total, "temperature", f"{self.said}: {_TOTAL}")

    @property
    def film_varies(self) -> bool:
        """See `HeatLoad.film_varies`: it only puts heat in."""
        return False

    def domain(self, model: Model) -> Domain:
        """See `HeatLoad.domain`."""
        return domain_of(model, self.on)

    def density(
        self, model: Model, patch: Patch, temperature: FloatArray, time: float | None
    ) -> tuple[FloatArray, FloatArray]:
        """See `HeatLoad.density`."""
        return _even(self, self.total, model, patch, time)


_TOTAL = (
    "a total is one number at a time and cannot depend on the temperature, which differs from place to "
    "place; state heat per area or volume: HeatFlux(magnitude=...) or HeatSource(magnitude=...)"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatSource(HeatLoad):
    """Heat made inside cells: per volume, or in total.

    Parameters
    ----------
    on : str or Selection
        Cells.
    magnitude : heat per volume, optional
        Constant, a field, or over time or temperature, such as ``"2 MW/m3"``.
    total : power, optional
        Instead of ``magnitude``: constant or over time, spread evenly over the volume.
    """

    on: On
    magnitude: MagnitudeLike | None = None
    total: MagnitudeLike | None = None

    def __post_init__(self) -> None:
        if (self.magnitude is None) == (self.total is None):
            raise ModelError(f"{self.said}: say either magnitude= (W/m^3) or total= (W)")
        if self.magnitude is not None:
            settle(self, magnitude=Magnitude.of(self.magnitude, "heat_source", name="HeatSource magnitude"))
        if self.total is not None:
            settle(self, total=Magnitude.of(self.total, "power", name="HeatSource total"))
            _not_over(self.total, "temperature", f"{self.said}: {_TOTAL}")

    @property
    def film_varies(self) -> bool:
        """See `HeatLoad.film_varies`: it only puts heat in."""
        return False

    def domain(self, model: Model) -> Domain:
        """See `HeatLoad.domain`."""
        cells = model.region(self.on).cells
        assert cells is not None
        return cell_domain(model, cells)

    def density(
        self, model: Model, patch: Patch, temperature: FloatArray, time: float | None
    ) -> tuple[FloatArray, FloatArray]:
        """See `HeatLoad.density`."""
        if self.total is not None:
            return _even(self, self.total, model, patch, time)
        return _given(self.magnitude, patch, model, temperature, time)

    def check(self, model: Model) -> None:
        cells = model.region(self.on).cells
        if cells is None or not len(cells):
            raise ModelError(f"{self.said} acts on cells, and the selection holds none; name a cell group")


# Heat exchanged


@dataclass(frozen=True, kw_only=True, eq=False)
class Convection(HeatLoad):
    """Heat exchanged with a fluid: coefficient times (ambient - surface temperature), into the body.

    Parameters
    ----------
    on : str or Selection
        Faces.
    coefficient : heat transfer coefficient
        Constant, a field, or over time or surface temperature, such as ``"25 W/(m2*K)"``;
        ``natural_convection`` and ``forced_convection`` give sourced ones.
    ambient : temperature
        Of the fluid: constant, a field, or over time, such as ``"40 degC"``.
    """

    on: On
    coefficient: MagnitudeLike
    ambient: MagnitudeLike

    def __post_init__(self) -> None:
        settle(
            self,
            coefficient=Magnitude.of(self.coefficient, "heat_transfer", name="Convection coefficient"),
            ambient=Magnitude.of(self.ambient, "temperature", name="Convection ambient"),
        )
        not_negative(self.coefficient, f"{self.said}: a coefficient below zero would heat what is hot")
        _not_over(
            self.ambient, "temperature",
            f"{self.said}: the ambient is the temperature of the fluid; it may vary in space or time, not "
            "over the temperature of the surface",
        )  # fmt: skip

    def domain(self, model: Model) -> Domain:
        """See `HeatLoad.domain`."""
        return faces_of(model, self.on, self.said)

    def density(
        self, model: Model, patch: Patch, temperature: FloatArray, time: float | None
    ) -> tuple[FloatArray, FloatArray]:
        """See `HeatLoad.density`."""
        h, slope = _given(self.coefficient, patch, model, temperature, time)
        if h.min(initial=0.0) < 0.0:  # a function's values are known only here
            raise ModelError(
                f"{self.said}: its coefficient is {show(float(h.min()), 'heat_transfer')} somewhere; a "
                "coefficient below zero would heat what is hot"
            )
        excess = values_at(self.ambient, patch, model, time=time) - temperature
        return h * excess, slope * excess - h

    @property
    def film_varies(self) -> bool:
        """See `HeatLoad.film_varies`: an ambient over time leaves the matrices as they are."""
        assert isinstance(self.coefficient, Magnitude)
        return self.coefficient.over == "time"

    def level_nodes(self, model: Model) -> IntArray:
        """See `HeatLoad.level_nodes`; where the coefficient varies, all nodes it may act on."""
        assert isinstance(self.coefficient, Magnitude)
        if not self.varies:
            return super().level_nodes(model)
        h = self.coefficient.values
        if h is not None and not h.any():
            return np.empty(0, np.int64)
        return model.region(self.on).nodes

    def summary(self, model: Model) -> str:
        """See `HeatLoad.summary`."""
        return ""

    def check(self, model: Model) -> None:
        facets_of(model, self.on, self.said)


@dataclass(frozen=True, kw_only=True, eq=False)
class Radiation(HeatLoad):
    """Heat radiated between a surface and large surroundings of one temperature.

    Into the body goes emissivity times Stefan and Boltzmann's constant times (ambient^4 - T^4).

    Parameters
    ----------
    on : str or Selection
        Faces.
    emissivity : number
        Above 0 and at most 1: constant, a field, or over surface temperature.
    ambient : temperature
        Of what the surface sees, with its unit: constant, a field, or over time, such as ``"25 degC"``.

    Raises
    ------
    ModelError
        If the emissivity is missing or outside of 0 to 1, or the ambient is a plain number (kelvin) that was
        most likely meant in degC.

    Source: Incropera et al., Fundamentals of Heat and Mass Transfer, 7th ed. (2011), eq. 1.7.
    """

    on: On
    emissivity: MagnitudeLike | None = None
    ambient: MagnitudeLike | None = None

    def __post_init__(self) -> None:
        if self.emissivity is None:
            raise ModelError(
                f"{self.said} lacks its emissivity, which no one can guess: about 0.05 for polished metal, "
                "0.8 for oxidized steel, 0.9 for paint of any color; state emissivity=0.9 or the like"
            )
        if self.ambient is None:
            raise ModelError(f"{self.said} lacks its ambient; state what it sees, as ambient='25 degC'")
        refuse_celsius(self.ambient, f"{self.said}: its ambient")
        settle(
            self,
            emissivity=Magnitude.of(self.emissivity, "dimensionless", name="Radiation emissivity"),
            ambient=Magnitude.of(self.ambient, "temperature", name="Radiation ambient"),
        )
        check_emissivity(self.emissivity, self.said)
        _not_over(
            self.ambient, "temperature",
            f"{self.said}: the ambient is the temperature of the surroundings; it may vary in space or time, "
            "not over the temperature of the surface",
        )  # fmt: skip

    @property
    def varies(self) -> frozenset[str]:
        """Always "temperature": the fourth power is not linear."""
        return super().varies | {"temperature"}

    def domain(self, model: Model) -> Domain:
        """See `HeatLoad.domain`."""
        return faces_of(model, self.on, self.said)

    def density(
        self, model: Model, patch: Patch, temperature: FloatArray, time: float | None
    ) -> tuple[FloatArray, FloatArray]:
        """See `HeatLoad.density`."""
        emissivity, slope = _given(self.emissivity, patch, model, temperature, time)
        if emissivity.min(initial=0.5) < 0.0 or emissivity.max(initial=0.5) > 1.0:
            worst = float(emissivity.min() if emissivity.min() < 0.0 else emissivity.max())
            raise ModelError(f"{self.said}: its emissivity is {worst:g} somewhere; it lies between 0 and 1")
        ambient = values_at(self.ambient, patch, model, time=time)
        if ambient.min(initial=0.0) < 0.0:
            raise ModelError(
                f"{self.said}: its ambient is {float(ambient.min()):g} K somewhere, below absolute zero; "
                "a function returns kelvin"
            )
        # T |T|^3 is T^4, and goes on falling where a step of Newton's method overshoots below 0 K.
        cube = np.abs(temperature) ** 3
        rise = STEFAN_BOLTZMANN * (ambient**4 - temperature * cube)
        return emissivity * rise, slope * rise - 4.0 * STEFAN_BOLTZMANN * emissivity * cube

    def level_nodes(self, model: Model) -> IntArray:
        """See `HeatLoad.level_nodes`."""
        return model.region(self.on).nodes

    def check(self, model: Model) -> None:
        facets_of(model, self.on, self.said)


def check_emissivity(emissivity: MagnitudeLike | None, who: str) -> None:
    """Raise ModelError unless all values stated lie above 0 and at most at 1."""
    assert isinstance(emissivity, Magnitude)
    if emissivity.over == "time":
        raise ModelError(f"{who}: emissivity may depend on temperature or place, not on time")
    if emissivity.values is None:
        return
    for worst in (float(emissivity.values.min()), float(emissivity.values.max())):
        if not 0.0 < worst <= 1.0:
            hint = "; percent are written '80 percent'" if 1.0 < worst <= 100.0 else ""
            raise ModelError(
                f"{who}: its emissivity is {worst:g}; it is a share of what a black body radiates, above 0 "
                f"and at most 1{hint}"
            )


def refuse_celsius(stated: Any, what: str) -> None:
    """Raise ModelError if a temperature that radiates is a plain number that looks like degC.

    Parameters
    ----------
    stated : what the user wrote
        Amounts with units pass, "3 K" among them; so does what was read before.
    what : str
        Begins the sentence, such as ``"Radiation on 'lid': its ambient"``.
    """
    if isinstance(stated, StatedTable | StatedField):
        stated = stated.values
    for number in _plain_numbers(stated):
        if number < COLD:
            raise ModelError(
                f"{what} is the plain number {number:g}, which is in kelvin: {show(number, 'temperature')}. "
                f"Did you mean '{number:g} degC'? Absolute temperatures matter here, so say which: with a "
                f"unit, '{number:g} K' is taken too"
            )


def _plain_numbers(stated: Any) -> list[float]:
    if isinstance(stated, bool | str) or stated is None:
        return []
    if isinstance(stated, int | float | np.integer | np.floating):
        return [float(stated)]
    if isinstance(stated, np.ndarray) and stated.dtype.kind in "fiu":
        return [float(stated.min())] if stated.size else []
    if isinstance(stated, list | tuple):
        return [number for item in stated for number in _plain_numbers(item)]
    return []
