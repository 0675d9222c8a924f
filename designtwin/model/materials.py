"""Materials: what a part is made of, stated or taken from the sourced library.

Every property is optional. A test asks for what it needs with `Material.require`, and what is
missing is named; nothing is guessed. Each property is a constant, or a table or function over temperature.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np

from designtwin.errors import MaterialError, MissingPropertyError
from designtwin.model.magnitude import Magnitude, MagnitudeLike, Shape
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import example_of, show, to_si

ROOM_TEMPERATURE = 293.15
"""K. Handbooks give secant expansion from 20 degC."""
ZERO_ENTHALPY = 273.15
"""K. Where the enthalpy is counted from."""
_PANEL = 10.0
"""K. The specific heat of a function is integrated in panels of this width, with eight points in each."""

_TITLES = {
    "youngs_modulus": "Young's modulus",
    "poissons_ratio": "Poisson's ratio",
    "shear_modulus": "shear modulus",
    "density": "density",
    "yield_strength": "yield strength",
    "ultimate_strength": "ultimate strength",
    "tensile_strength": "tensile strength",
    "compressive_strength": "compressive strength",
    "shear_strength": "shear strength",
    "expansion": "thermal expansion",
    "conductivity": "thermal conductivity",
    "specific_heat": "specific heat",
    "latent_heat": "latent heat",
    "loss_factor": "loss factor",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Material(Plain):
    """What every material may state; `LinearElastic` and `Orthotropic` add their elasticity.

    Parameters
    ----------
    density : "7850 kg/m3"
    specific_heat : "460 J/(kg*K)"
    expansion : "12e-6 1/K"
        Secant coefficient, measured from `expansion_reference`.
    conductivity : "50 W/(m*K)"
    latent_heat : "397 kJ/kg", optional
        Taken up between the temperatures of `melting`, beyond the specific heat.
    melting : (solidus, liquidus), optional
        Such as ``("555 degC", "615 degC")``; a pure substance gets a range of a kelvin or two.
    loss_factor : "0.2 %", optional
        Structural damping: energy lost in a cycle over 2 pi times the largest strain energy; below 2.
    expansion_reference : temperature
        Where the expansion was measured from, 20 degC in handbooks. The stress-free temperature of
        a test is another thing: it belongs to the load case.
    name : str, optional
        Stands in messages and tables.
    source : str or dict, optional
        Where the numbers come from, for all or per property.
    """

    density: MagnitudeLike | None = None
    specific_heat: MagnitudeLike | None = None
    expansion: MagnitudeLike | None = None
    conductivity: MagnitudeLike | None = None
    expansion_reference: Any = ROOM_TEMPERATURE
    name: str | None = None
    source: str | Mapping[str, str] | None = None
    latent_heat: MagnitudeLike | None = None
    melting: Any = None
    loss_factor: MagnitudeLike | None = None

    properties: ClassVar[dict[str, tuple[str, Shape]]] = {}
    """Name to dimension and shape."""
    signed: ClassVar[frozenset[str]] = frozenset({"expansion", "poissons_ratio"})

    def __post_init__(self) -> None:
        for key, (dimension, shape) in self.properties.items():
            stated = getattr(self, key)
            if stated is not None:
                object.__setattr__(self, key, self._read(key, stated, dimension, shape))
        reference = Magnitude.of(self.expansion_reference, "temperature", name="expansion_reference").value
        object.__setattr__(self, "expansion_reference", reference)
        self._bind_melting()
        loss = self.magnitude("loss_factor")
        if loss is not None and loss.values is not None and loss.values.max() >= 2.0:
            raise MaterialError(
                f"loss_factor of {self._who} is {show(float(loss.values.max()), 'share')}; below 200 % is "
                "possible, which is critical damping: write '0.2 %' or 0.002"
            )
        if isinstance(self.source, Mapping):
            unknown = [key for key in self.source if key not in self.properties]
            if unknown:
                raise MaterialError(f"source of {self}: {unknown[0]!r} is no property of it")
            object.__setattr__(self, "source", dict(self.source))
        self._check()

    def _read(self, key: str, stated: MagnitudeLike, dimension: str, shape: Shape) -> Magnitude:
        magnitude = Magnitude.of(stated, dimension, name=key, shape=shape)
        if magnitude.depends_on not in (None, "temperature"):
            raise MaterialError(
                f"{key} of {self._who} varies over {magnitude.depends_on}; a property is a constant, or a "
                "table or function over temperature"
            )
        if magnitude.values is not None and key not in self.signed and magnitude.values.min() <= 0.0:
            low = show(float(magnitude.values.min()), dimension)
            what = str(magnitude) if magnitude.is_constant else f"a {magnitude}, with values down to {low}"
            raise MaterialError(f"{key} of {self._who} is {what}; it must be positive")
        return magnitude

    def _bind_melting(self) -> None:
        if (self.latent_heat is None) != (self.melting is None):
            given, other = ("latent_heat", "melting") if self.melting is None else ("melting", "latent_heat")
            example = "('555 degC', '615 degC')" if other == "melting" else "'397 kJ/kg'"
            raise MaterialError(
                f"{self._who} states {given} and no {other}; a change of phase needs both, as "
                f"{other}={example}"
            )
        if self.latent_heat is None:
            return
        latent = Magnitude.of(self.latent_heat, "latent_heat", name="latent_heat")
        if not latent.is_constant or latent.value <= 0.0:
            raise MaterialError(f"latent_heat of {self._who} is {latent}; one positive value is wanted")
        object.__setattr__(self, "latent_heat", latent)
        ends = np.atleast_1d(to_si(self.melting, "temperature", name=f"melting of {self._who}"))
        if ends.shape != (2,) or not ends[0] < ends[1]:
            raise MaterialError(
                f"melting of {self._who} is {show(ends, 'temperature')}; two rising temperatures are wanted, "
                "solidus and liquidus. A pure substance gets a range of a kelvin or two, as ('-0.5 degC', "
                "'0.5 degC')"
            )
        object.__setattr__(self, "melting", (float(ends[0]), float(ends[1])))

    def _plain_fields(self) -> dict[str, Any]:
        fields = super()._plain_fields()
        # A material that states none of these has the hash it had before there were any.
        later = ("latent_heat", "melting", "loss_factor", "creep_rupture")
        return {k: v for k, v in fields.items() if v is not None or k not in later}

    def _check(self) -> None:
        """What the laws of physics ask of this kind of material."""

    @property
    def _who(self) -> str:
        return f"material {self.name!r}" if self.name else f"the {type(self).__name__} material"

    def magnitude(self, key: str) -> Magnitude | None:
        """The property, or None where it is not stated."""
        if key not in self.properties:
            return None
        value = getattr(self, key)
        assert value is None or isinstance(value, Magnitude)
        return value

    def require(self, key: str, *, test: str) -> Magnitude:
        """The property; named if it is missing.

        Parameters
        ----------
        key : str
            Such as "density".
        test : str
            What needs it, for the message: "Gravity".

        Raises
        ------
        MissingPropertyError
            If the material does not state it.
        """
        found = self.magnitude(key)
        if found is not None:
            return found
        if key not in self.properties:
            raise MissingPropertyError(
                f"{key} of {self._who} is needed by {test}; a {type(self).__name__} material has no such "
                "property"
            )
        dimension, shape = self.properties[key]
        example = f"'{example_of(dimension)}'" if shape == () else "(...)"
        raise MissingPropertyError(
            f"{key} of {self._who} is needed by {test}; state it, e.g. {key}={example}: nothing missing "
            "is guessed"
        )

    def depends_on_temperature(self, what: str) -> bool:
        """Whether a property is no constant, or any that the "stiffness" is made of."""
        keys = ("youngs_modulus", "poissons_ratio", "shear_modulus") if what == "stiffness" else (what,)
        found = [self.magnitude(key) for key in keys]
        return any(one is not None and not one.is_constant for one in found)

    def at(
        self, key: str, temperature: FloatArray | float | None = None, *, test: str = "this test"
    ) -> FloatArray:
        """The property at temperatures.

        Parameters
        ----------
        temperature : float or float64[...], optional
            K; may be left out where the property is a constant.

        Returns
        -------
        float64[..., *shape]
            SI.
        """
        magnitude = self.require(key, test=test)
        found = dataclasses.replace(magnitude, name=f"{key} of {self._who}").at(temperature=temperature)
        if magnitude.kind == "function" and key not in self.signed:
            self._positive(key, found, temperature)
        return found

    def _positive(self, key: str, found: FloatArray, temperature: FloatArray | float | None) -> None:
        """Raise MaterialError if what a function returned cannot be."""
        if found.size and found.min() <= 0.0:
            shape = self.properties[key][1]
            worst = np.unravel_index(int(np.argmin(found)), found.shape)
            at = np.broadcast_to(np.asarray(temperature), found.shape[: found.ndim - len(shape)])
            raise MaterialError(
                f"{key} of {self._who} is {show(float(found[worst]), self.properties[key][0])} at "
                f"{show(float(at[worst[: at.ndim]]), 'temperature')}; it must be positive"
            )

    def varies_with_temperature(self, what: str) -> bool:
        """True where a property depends on temperature, or "stiffness" or "heat_capacity" as a whole."""
        if what == "heat_capacity":
            return self.latent_heat is not None or self.varies_with_temperature("specific_heat")
        elastic = ("youngs_modulus", "poissons_ratio", "shear_modulus")
        found = [self.magnitude(key) for key in (elastic if what == "stiffness" else (what,))]
        return any(one is not None and one.depends_on == "temperature" for one in found)

    def stiffness(self, temperature: FloatArray | float | None = None) -> FloatArray:
        """Elastic stiffness in material axes.

        Returns
        -------
        float64[..., 6, 6]
            Pa, order xx yy zz xy yz xz, engineering shear; leading axes of `temperature`.
        """
        raise NotImplementedError

    def axial_modulus(self, temperature: FloatArray | float | None = None) -> FloatArray:
        """Young's modulus along the first material axis, float64[...], Pa."""
        raise NotImplementedError

    def conductivity_tensor(self, temperature: FloatArray | float | None = None) -> FloatArray:
        """Thermal conductivity in material axes, float64[..., 3, 3], W/(m K)."""
        values = self.at("conductivity", temperature, test="heat conduction")
        if self.properties["conductivity"][1] == ():
            values = np.repeat(values[..., None], 3, axis=-1)
        return np.asarray(values[..., None] * np.eye(3))

    def conductivity_slope(self, temperature: FloatArray | float) -> FloatArray:
        """Derivative of `conductivity_tensor` over temperature, float64[..., 3, 3], W/(m K^2)."""
        slope = self.require("conductivity", test="heat conduction").slope(temperature=temperature)
        if self.properties["conductivity"][1] == ():
            slope = np.repeat(slope[..., None], 3, axis=-1)
        return np.asarray(slope[..., None] * np.eye(3))

    def expansion_vector(
        self, temperature: FloatArray | float | None = None, *, needed_by: str = "thermal strain"
    ) -> FloatArray:
        """Secant expansion in material axes, float64[..., 6], 1/K, measured from `expansion_reference`."""
        values = self.at("expansion", temperature, test=needed_by)
        if self.properties["expansion"][1] == ():
            values = np.repeat(values[..., None], 3, axis=-1)
        return np.concatenate([values, np.zeros_like(values)], axis=-1)

    def thermal_strain(
        self, temperature: FloatArray | float, reference: float, *, needed_by: str = "thermal strain"
    ) -> FloatArray:
        """Free thermal strain in material axes, zero at the stress-free temperature.

        The coefficients are secants from `expansion_reference` Ta, which need not be the stress-free
        temperature T0: strain = a(T) (T - Ta) - a(T0) (T0 - Ta).

        Parameters
        ----------
        temperature : float or float64[...]
            K.
        reference : float
            Stress-free temperature T0, K.

        Returns
        -------
        float64[..., 6]
            Order xx yy zz xy yz xz.
        """
        warm = np.asarray(temperature, dtype=np.float64)
        start = self.expansion_reference
        at_warm = self.expansion_vector(warm, needed_by=needed_by) * (warm - start)[..., None]
        at_reference = self.expansion_vector(reference, needed_by=needed_by) * (reference - start)
        return np.asarray(at_warm - at_reference)

    def heat_capacity(self, temperature: FloatArray | float | None = None) -> FloatArray:
        """Heat stored per volume and kelvin, the slope of `enthalpy`: float64[...], J/(m^3 K).

        Density at 20 degC times specific heat; between solidus and liquidus also the latent heat over their
        distance.

        Parameters
        ----------
        temperature : float or float64[...], optional
            K; may be left out where the specific heat is a constant and nothing melts.

        Raises
        ------
        MissingPropertyError
            If the material lacks density or specific heat.
        """
        capacity = self._stored_density * self.at("specific_heat", temperature, test="stored heat")
        if self.latent_heat is None:
            return np.asarray(capacity)
        if temperature is None:
            raise MaterialError(
                f"the heat capacity of {self._who}, which melts, is asked for without a temperature"
            )
        solidus, liquidus, latent = self._melting
        where = np.asarray(temperature, dtype=np.float64)
        melts = (where >= solidus) & (where < liquidus)
        return np.asarray(capacity + np.where(melts, latent / (liquidus - solidus), 0.0))

    def enthalpy(self, temperature: FloatArray | float) -> FloatArray:
        """Heat stored per volume above 0 degC, the exact integral of `heat_capacity`.

        Mass does not change with temperature: the density counts at 20 degC. Below a table that does not
        reach to 0 degC its end value counts; that shifts the zero and no difference.

        Parameters
        ----------
        temperature : float or float64[...]
            K.

        Returns
        -------
        float64[...]
            J/m^3, of the shape of `temperature`.

        Raises
        ------
        MissingPropertyError
            If the material lacks density or specific heat.
        ModelError
            If a temperature lies outside of the table of the specific heat.

        Source: Voller, Swaminathan & Thomas, Int. J. Numer. Meth. Eng. 30 (1990), 875-898.
        """
        where = np.asarray(temperature, dtype=np.float64)
        heat = self.require("specific_heat", test="stored heat")
        named = dataclasses.replace(heat, name=f"specific_heat of {self._who}")
        if heat.is_constant:
            stored = heat.value * (where - ZERO_ENTHALPY)
        elif heat.kind == "table":
            named.at(temperature=where)  # says so where the table ends
            stored = _table_integral(heat, where) - _table_integral(heat, np.asarray(ZERO_ENTHALPY))
        else:
            stored = self._function_integral(named, where)
        if self.latent_heat is not None:
            solidus, liquidus, latent = self._melting
            zero = np.clip((ZERO_ENTHALPY - solidus) / (liquidus - solidus), 0.0, 1.0)
            melted = np.clip((where - solidus) / (liquidus - solidus), 0.0, 1.0)
            return np.asarray(self._stored_density * stored + latent * (melted - zero))
        return np.asarray(self._stored_density * stored)

    def liquid_fraction(self, temperature: FloatArray | float) -> FloatArray:
        """Share that is melted, 0 up to the solidus and 1 from the liquidus: float64[...]."""
        where = np.asarray(temperature, dtype=np.float64)
        if self.latent_heat is None:
            return np.zeros(where.shape)
        solidus, liquidus, _ = self._melting
        return np.asarray(np.clip((where - solidus) / (liquidus - solidus), 0.0, 1.0))

    @property
    def _stored_density(self) -> float:
        return float(self.at("density", ROOM_TEMPERATURE, test="stored heat"))

    @property
    def _melting(self) -> tuple[float, float, float]:
        """Solidus and liquidus, K; latent heat, J/m^3."""
        assert isinstance(self.latent_heat, Magnitude)
        return (*self.melting, self.latent_heat.value * self._stored_density)

    @cached_property
    def _panels(self) -> dict[str, FloatArray]:
        """Of a specific heat that is a function: numbers of the first and last panel whose integrals from
        0 degC are known, and these; filled as wider temperatures are asked for."""
        return {}

    def _function_integral(self, heat: Magnitude, where: FloatArray) -> FloatArray:
        """Integral of a function of temperature from 0 degC, float64[...], J/kg."""
        x, w = np.polynomial.legendre.leggauss(8)

        def within(low: FloatArray, high: FloatArray) -> FloatArray:
            half = 0.5 * (high - low)
            at = 0.5 * (high + low)[..., None] + half[..., None] * x
            found = heat.at(temperature=at)
            self._positive("specific_heat", found, at)
            return np.asarray(half * (found @ w))

        panel = np.floor((where - ZERO_ENTHALPY) / _PANEL).astype(np.int64)
        first, last = min(int(panel.min(initial=0)), 0), max(int(panel.max(initial=0)), 0)
        known = self._panels.get("known")
        if known is None or first < known[0] or last > known[1]:
            if known is not None:
                first, last = min(first, int(known[0])), max(last, int(known[1]))
            if last - first > 100_000:
                raise MaterialError(
                    f"the enthalpy of {self._who} is asked for at "
                    f"{show(float(np.abs(where).max()), 'temperature')}: "
                    "no specific heat reaches that far; the temperatures have run away"
                )
            ends: FloatArray = ZERO_ENTHALPY + _PANEL * np.arange(first, last + 1, dtype=np.float64)
            pieces = within(ends[:-1], ends[1:])
            sums = np.concatenate([[0.0], np.cumsum(pieces)])
            known = np.concatenate([[first, last], sums - sums[-first]])
            self._panels["known"] = known
        low: FloatArray = np.asarray(ZERO_ENTHALPY + _PANEL * panel, dtype=np.float64)
        return np.asarray(known[2 + panel - int(known[0])] + within(low, where))

    def source_of(self, key: str) -> str:
        """Where a property comes from, "" if unsaid."""
        if isinstance(self.source, Mapping):
            return self.source.get(key, "")
        return self.source or ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or 'unnamed'}>"

    def __str__(self) -> str:
        rows = []
        for key in self.properties:
            value = self.magnitude(key)
            if value is not None:
                rows.append((_TITLES.get(key, key), str(value), self.source_of(key)))
        if self.latent_heat is not None:
            rows.append(
                (
                    _TITLES["latent_heat"],
                    f"{self.latent_heat}, {show(self.melting[0], 'temperature')} to "
                    f"{show(self.melting[1], 'temperature')}",
                    "",
                )
            )
        creep = getattr(self, "creep_rupture", None)
        if creep is not None:
            rows.append(("creep rupture", str(creep), creep.source))
        widths = [max((len(row[i]) for row in rows), default=0) for i in (0, 1)]
        lines = [f"{self.name or 'unnamed'} ({type(self).__name__})"]
        lines += [f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows]
        return "\n".join(lines)


def _table_integral(heat: Magnitude, where: FloatArray) -> FloatArray:
    """Integral of a table from its first row, its end values held beyond: float64[...]."""
    assert heat.knots is not None
    assert heat.values is not None
    knots, values = heat.knots, heat.values
    sums = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(knots) * (values[1:] + values[:-1]))])
    inside = np.clip(where, knots[0], knots[-1])
    piece = np.clip(np.searchsorted(knots, inside, side="right") - 1, 0, len(knots) - 2)
    up = inside - knots[piece]
    slope = (np.diff(values) / np.diff(knots))[piece]
    beyond = values[0] * np.minimum(where - knots[0], 0.0) + values[-1] * np.maximum(where - knots[-1], 0.0)
    return np.asarray(sums[piece] + up * (values[piece] + 0.5 * slope * up) + beyond)


@dataclass(frozen=True, kw_only=True)
class LarsonMiller(Plain):
    """Creep rupture by the parameter of Larson and Miller: P = T (C + log10 t), T in K and t in hours.

    Between the points of the curve log10 of stress is linear in P. Beyond its ends nothing is known but
    the bound: a stress below the lowest lasts at least as long as that, one above the highest at most.

    Parameters
    ----------
    constant : float
        C; 20 fits many steels and nickel alloys, 9 % chromium steels about 30.
    parameter : sequence of float
        P of the points, K (not thousands), ascending.
    stress : sequence of stresses
        Rupture stress at each, descending: ("300 MPa", "100 MPa").
    source : str
        Where the curve comes from, and whether it is of the mean or of the lowest.

    Raises
    ------
    MaterialError
        If points are missing or out of order.

    Source: Larson and Miller, Trans. ASME 74 (1952) 765-775.
    """

    constant: float = 20.0
    parameter: Any
    stress: Any
    source: str = ""

    def __post_init__(self) -> None:
        constant = to_si(self.constant, "dimensionless", name="LarsonMiller constant")
        parameter = np.atleast_1d(to_si(self.parameter, "dimensionless", name="LarsonMiller parameter"))
        stress = np.atleast_1d(to_si(self.stress, "stress", name="LarsonMiller stress"))
        if not isinstance(constant, float) or constant <= 0.0:
            raise MaterialError(f"LarsonMiller: constant={self.constant!r}; one positive number is wanted")
        if parameter.ndim != 1 or parameter.shape != stress.shape or len(parameter) < 2:
            raise MaterialError(
                f"LarsonMiller: {parameter.size} parameters and {stress.size} stresses; two or more of "
                "each are wanted, one for one"
            )
        if not (np.diff(parameter) > 0.0).all() or not (np.diff(stress) < 0.0).all() or stress[-1] <= 0.0:
            raise MaterialError(
                "LarsonMiller: the parameter must rise and the rupture stress fall from point to point, and "
                f"stay positive; got P {parameter.tolist()} and {show(stress, 'stress')}"
            )
        if parameter[0] < 1000.0:
            raise MaterialError(
                f"LarsonMiller: parameters of {parameter[0]:g} to {parameter[-1]:g} are too small for K (C + "
                "log10 h); tables often give thousands: write 24.0e3 for 24.0"
            )
        object.__setattr__(self, "constant", constant)
        object.__setattr__(self, "parameter", tuple(parameter.tolist()))
        object.__setattr__(self, "stress", tuple(stress.tolist()))

    def life(self, stress: FloatArray, temperature: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Time to rupture under constant stress and temperature.

        Parameters
        ----------
        stress : float64[k]
            Pa, not negative.
        temperature : float64[k]
            K.

        Returns
        -------
        life, low, high : float64[k]
            s. Beyond the curve `life` is that at its end, and low is 0 or high is infinite.
        """
        log = np.log10(np.maximum(stress, 1e-300))
        ends = np.log10(self.stress)
        parameter = np.interp(log, ends[::-1], np.array(self.parameter)[::-1])
        with np.errstate(over="ignore"):
            found = 3600.0 * 10.0 ** (parameter / temperature - self.constant)
        return found, np.where(log > ends[0], 0.0, found), np.where(log < ends[-1], np.inf, found)

    def rupture_stress(
        self, life: float, temperature: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Stress that lasts just so long, with what is known beyond the curve as in `life`.

        Parameters
        ----------
        life : float
            s.
        temperature : float64[k]
            K.

        Returns
        -------
        stress, low, high : float64[k]
            Pa.
        """
        parameter = temperature * (self.constant + np.log10(life / 3600.0))
        found = 10.0 ** np.interp(parameter, self.parameter, np.log10(self.stress))
        beyond, before = parameter > self.parameter[-1], parameter < self.parameter[0]
        return found, np.where(beyond, 0.0, found), np.where(before, np.inf, found)

    def __str__(self) -> str:
        return (
            f"Larson-Miller, C = {self.constant:g}, {show(self.stress[0], 'stress')} at P = "
            f"{self.parameter[0]:g} to {show(self.stress[-1], 'stress')} at {self.parameter[-1]:g}"
        )


_COMMON: dict[str, tuple[str, Shape]] = {
    "density": ("density", ()),
    "specific_heat": ("specific_heat", ()),
    "loss_factor": ("share", ()),
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LinearElastic(Material):
    """An isotropic linear elastic material, or a purely thermal one where no modulus is stated.

    Parameters
    ----------
    youngs_modulus : "210 GPa"
    poissons_ratio : 0.3
        Between -1 and 0.5, both excluded.
    yield_strength, ultimate_strength : "355 MPa", optional
        Tension; the ultimate strength of a brittle material is its tensile strength.
    compressive_strength : "840 MPa", optional
        Positive; for brittle materials.
    creep_rupture : LarsonMiller, optional
    density, specific_heat, expansion, conductivity, expansion_reference, name, source
        See `Material`.

    Raises
    ------
    MaterialError
        If no such material can exist.
    """

    youngs_modulus: MagnitudeLike | None = None
    poissons_ratio: MagnitudeLike | None = None
    yield_strength: MagnitudeLike | None = None
    ultimate_strength: MagnitudeLike | None = None
    compressive_strength: MagnitudeLike | None = None
    creep_rupture: LarsonMiller | None = None

    properties: ClassVar[dict[str, tuple[str, Shape]]] = {
        "youngs_modulus": ("modulus", ()),
        "poissons_ratio": ("dimensionless", ()),
        **_COMMON,
        "yield_strength": ("stress", ()),
        "ultimate_strength": ("stress", ()),
        "compressive_strength": ("stress", ()),
        "expansion": ("expansion", ()),
        "conductivity": ("conductivity", ()),
    }

    def _check(self) -> None:
        ratio = self.magnitude("poissons_ratio")
        if ratio is not None and ratio.values is not None:
            worst = float(ratio.values.flat[np.argmax(np.abs(ratio.values - 0.125))])
            if not -1.0 < worst < 0.5:
                hint = " (an incompressible material: 0.499 is close enough)" if worst == 0.5 else ""
                raise MaterialError(
                    f"poissons_ratio of {self._who} is {worst:g}; it must lie between -1 and 0.5{hint}"
                )
        if self.creep_rupture is not None and not isinstance(self.creep_rupture, LarsonMiller):
            raise MaterialError(
                f"creep_rupture of {self._who} is {self.creep_rupture!r}; a LarsonMiller(constant=20, "
                "parameter=..., stress=...) is wanted"
            )
        yields, breaks = self.magnitude("yield_strength"), self.magnitude("ultimate_strength")
        if yields and breaks and yields.is_constant and breaks.is_constant and breaks.value < yields.value:
            raise MaterialError(
                f"ultimate_strength of {self._who} is {breaks}, below its yield_strength of {yields}"
            )

    def axial_modulus(self, temperature: FloatArray | float | None = None) -> FloatArray:
        """See `Material.axial_modulus`."""
        return self.at("youngs_modulus", temperature, test="elastic stiffness")

    def stiffness(self, temperature: FloatArray | float | None = None) -> FloatArray:
        """See `Material.stiffness`."""
        E = self.at("youngs_modulus", temperature, test="elastic stiffness")
        nu = self.at("poissons_ratio", temperature, test="elastic stiffness")
        shear = E / (2.0 * (1.0 + nu))
        lame = E * nu / ((1.0 + nu) * (1.0 - 2.0 * nu))
        out = np.zeros((*E.shape, 6, 6))
        out[..., :3, :3] = lame[..., None, None]
        for i in range(3):
            out[..., i, i] += 2.0 * shear
            out[..., i + 3, i + 3] = shear
        return out


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Orthotropic(Material):
    """A linear elastic material with three planes of symmetry: laminates, wood, crystals, prints.

    Axes 1 2 3 are the x y z of the section's `orientation`, or of the mesh where none is given.

    Parameters
    ----------
    youngs_modulus : (E1, E2, E3)
    poissons_ratio : (nu12, nu23, nu13)
        nu12 is minus strain 2 over strain 1 under stress 1, and so on.
    shear_modulus : (G12, G23, G13)
    expansion, conductivity : three values
    tensile_strength, compressive_strength : three values along 1 2 3, optional
        Positive both.
    shear_strength : (S12, S23, S13), optional
    density, specific_heat, expansion_reference, name, source
        See `Material`.

    Raises
    ------
    MaterialError
        If the stiffness is not positive definite: such a material would give energy away.
    """

    youngs_modulus: MagnitudeLike | None = None
    poissons_ratio: MagnitudeLike | None = None
    shear_modulus: MagnitudeLike | None = None
    tensile_strength: MagnitudeLike | None = None
    compressive_strength: MagnitudeLike | None = None
    shear_strength: MagnitudeLike | None = None

    properties: ClassVar[dict[str, tuple[str, Shape]]] = {
        "youngs_modulus": ("modulus", (3,)),
        "poissons_ratio": ("dimensionless", (3,)),
        "shear_modulus": ("modulus", (3,)),
        **_COMMON,
        "tensile_strength": ("stress", (3,)),
        "compressive_strength": ("stress", (3,)),
        "shear_strength": ("stress", (3,)),
        "expansion": ("expansion", (3,)),
        "conductivity": ("conductivity", (3,)),
    }

    def _check(self) -> None:
        E, nu = self.magnitude("youngs_modulus"), self.magnitude("poissons_ratio")
        if E is None or nu is None:
            return
        knots = [m.knots for m in (E, nu) if m.knots is not None]
        temperature: FloatArray | None = None
        if knots:
            low, high = max(k[0] for k in knots), min(k[-1] for k in knots)
            every = np.unique(np.concatenate(knots))
            temperature = every[(every >= low) & (every <= high)]
        elif "temperature" in (E.over, nu.over):
            temperature = np.array([ROOM_TEMPERATURE])  # of a function: where it surely is defined
        compliance = _normal_compliance(E.at(temperature=temperature), nu.at(temperature=temperature))
        # scaled to a unit diagonal, so that stiff and soft axes weigh the same
        scale = np.sqrt(np.einsum("...ii->...i", compliance))
        eigenvalues = np.linalg.eigvalsh(compliance / (scale[..., :, None] * scale[..., None, :]))
        if eigenvalues.min(initial=1.0) <= 1e-9:
            raise MaterialError(
                f"the stiffness of {self._who} is not positive definite; check poissons_ratio=(nu12, nu23, "
                "nu13): each must satisfy nu_ij^2 < E_i/E_j, and nu_ij = nu_ji E_i/E_j turns one into another"
            )

    def axial_modulus(self, temperature: FloatArray | float | None = None) -> FloatArray:
        """See `Material.axial_modulus`."""
        return np.asarray(self.at("youngs_modulus", temperature, test="elastic stiffness")[..., 0])

    def stiffness(self, temperature: FloatArray | float | None = None) -> FloatArray:
        """See `Material.stiffness`."""
        E, nu, G = (
            self.at(key, temperature, test="elastic stiffness")
            for key in ("youngs_modulus", "poissons_ratio", "shear_modulus")
        )
        out = np.zeros((*E.shape[:-1], 6, 6))
        out[..., :3, :3] = np.linalg.inv(_normal_compliance(E, nu))
        for i in range(3):
            out[..., i + 3, i + 3] = G[..., i]  # 12 23 13 stand where xy yz xz do
        return out


def _normal_compliance(E: FloatArray, nu: FloatArray) -> FloatArray:
    """Compliance of the normal components, float64[..., 3, 3], 1/Pa."""
    out = np.zeros((*E.shape[:-1], 3, 3))
    for i in range(3):
        out[..., i, i] = 1.0 / E[..., i]
    for (i, j), k in {(0, 1): 0, (1, 2): 1, (0, 2): 2}.items():
        out[..., i, j] = out[..., j, i] = -nu[..., k] / E[..., i]
    return out


# ---------------------------------------------------------------------------------------------------
# The library
# ---------------------------------------------------------------------------------------------------


@cache
def _library() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Entries by name, and names by their letters and digits alone."""
    import tomllib

    text = files("designtwin.model").joinpath("library.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    sources: dict[str, str] = data.pop("sources")
    spellings: dict[str, str] = {}
    for name, entry in data.items():
        for spelling in (name, *entry.get("aliases", ())):
            taken = spellings.setdefault(_plain_name(spelling), name)
            if taken != name:
                raise MaterialError(f"the library gives {spelling!r} to both {taken!r} and {name!r}")
        entry["sources"] = sources
    return data, spellings


def _plain_name(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def material_names() -> tuple[str, ...]:
    """The materials `material` knows, in the order of the library."""
    return tuple(_library()[0])


def material(name: str, /, **overrides: Any) -> LinearElastic | Orthotropic:
    """A material of the sourced library, changed where asked.

    Parameters
    ----------
    name : str
        "S355", "1.4301", "Al 6061-T6"; blanks, dashes and case do not matter.
    **overrides
        Properties to state otherwise: ``material("S355", yield_strength="345 MPa")``. None takes a
        property out.

    Returns
    -------
    LinearElastic or Orthotropic
        Values at 20 degC, with the source of each.

    Raises
    ------
    MaterialError
        If the library has no such material or it has no such property; near names are given.
    """
    entries, spellings = _library()
    if not isinstance(name, str):
        raise MaterialError(f"material wants a name, got {name!r}; known are {', '.join(entries)}")
    found = spellings.get(_plain_name(name))
    if found is None:
        near = difflib.get_close_matches(_plain_name(name), spellings, n=4, cutoff=0.5)
        kinds = [key for key, entry in entries.items() if name.casefold() in entry["title"].split(",")[0]]
        names = list(dict.fromkeys([*kinds, *(spellings[word] for word in near)]))[:6]
        hint = f"did you mean {' or '.join(map(repr, names))}?" if names else f"it has {', '.join(entries)}"
        raise MaterialError(
            f"the library has no material {name!r}; {hint} Or state it with LinearElastic(...)"
        )
    entry = entries[found]
    cls: type[LinearElastic | Orthotropic] = (
        Orthotropic if entry.get("type") == "Orthotropic" else LinearElastic
    )
    values: dict[str, Any] = {}
    source: dict[str, str] = {}
    for key in cls.properties:
        if key in entry:
            value, where, grade = entry[key]
            values[key] = tuple(value) if isinstance(value, list) else value
            source[key] = f"{entry['sources'][where]} ({grade})"
    fields = {field.name for field in dataclasses.fields(cls)}
    for key, value in overrides.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=2)
            hint = (
                f"did you mean {' or '.join(map(repr, near))}?"
                if near
                else f"it has {', '.join(cls.properties)}"
            )
            raise MaterialError(f"material {found!r} has no property {key!r}; {hint}")
        values[key] = value
        source.pop(key, None)
        if key in cls.properties and value is not None:
            source[key] = "stated by the user"
    return cls(**({"name": found, "source": source} | values))
