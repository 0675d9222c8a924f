"""Units at the door: what an engineer writes becomes SI, what we show becomes their units.

Inside the house every number is an SI float. `to_si` turns "2.5 kN" into 2500.0 and says no to a
value of another dimension; `show` turns 2500.0 back into "2500 N". Pint is loaded for the first unit
that is not an everyday one: numbers and arrays are SI already, and "4 MPa" is read without it.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from designtwin.errors import UnitError
from designtwin.typing import FloatArray

if TYPE_CHECKING:
    import pint

STANDARD_GRAVITY = 9.80665
"""m/s^2, CGPM 1901: the `g` of "2 g" where an acceleration is expected."""


# ---------------------------------------------------------------------------------------------------
# Dimensions
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Dimension:
    unit: str  # the SI unit
    noun: str  # "a force"
    example: str  # what a user might write
    display: str  # unit of tables; L D F P T dT M stand for what `display_units` chose


_DIMENSIONS = {
    "dimensionless": _Dimension("", "a plain number", "0.3", ""),
    "share": _Dimension("", "a share", "0.1 %", "%"),
    "strain": _Dimension("", "a strain", "500 ue", "µε"),
    "angle": _Dimension("rad", "an angle", "30 deg", "deg"),
    "length": _Dimension("m", "a length", "5 mm", "L"),
    "area": _Dimension("m**2", "an area", "20 mm2", "L^2"),
    "volume": _Dimension("m**3", "a volume", "1500 mm3", "L^3"),
    "inertia": _Dimension("m**4", "a second moment of area", "1200 mm4", "L^4"),
    "mass": _Dimension("kg", "a mass", "1.2 kg", "M"),
    "mass_inertia": _Dimension("kg*m**2", "a mass moment of inertia", "0.02 kg*m2", "M*m^2"),
    "density": _Dimension("kg/m**3", "a density", "7850 kg/m3", "M/D^3"),
    "time": _Dimension("s", "a time", "2 s", "s"),
    "life": _Dimension("s", "a life", "10 years", "h"),
    "frequency": _Dimension("1/s", "a frequency", "50 Hz", "Hz"),
    "velocity": _Dimension("m/s", "a velocity", "2 m/s", "D/s"),
    "acceleration": _Dimension("m/s**2", "an acceleration", "2 g", "D/s^2"),
    "angular_velocity": _Dimension("rad/s", "an angular velocity", "3000 rpm", "rpm"),
    "angular_acceleration": _Dimension("rad/s**2", "an angular acceleration", "10 rad/s2", "rad/s^2"),
    "force": _Dimension("N", "a force", "2.5 kN", "F"),
    "moment": _Dimension("N*m", "a moment", "30 N*m", "F*L"),
    "pressure": _Dimension("Pa", "a pressure", "4 MPa", "P"),
    "stress": _Dimension("Pa", "a stress", "250 MPa", "P"),
    "modulus": _Dimension("Pa", "a modulus", "210 GPa", "P"),
    "surface_traction": _Dimension("Pa", "a traction", "4 MPa", "P"),
    "stiffness": _Dimension("N/m", "a stiffness", "500 N/mm", "F/L"),
    "rotational_stiffness": _Dimension("N*m/rad", "a rotational stiffness", "80 N*m/rad", "F*L/rad"),
    "damping": _Dimension("N*s/m", "a damping constant", "2 N*s/mm", "F*s/L"),
    "rotational_damping": _Dimension("N*m*s", "a rotational damping constant", "3 N*m*s", "F*L*s/rad"),
    "foundation": _Dimension("N/m**3", "a foundation stiffness", "20 N/mm3", "F/L^3"),
    "acceleration_density": _Dimension("m**2/s**3", "a spectral density of acceleration", "0.04 g**2/Hz",
                                       "g^2/Hz"),
    "velocity_density": _Dimension("m**2/s", "a spectral density of velocity", "1e-4 (m/s)**2/Hz", "m^2/s"),
    "length_density": _Dimension("m**2*s", "a spectral density of displacement", "1e-3 mm**2/Hz", "L^2/Hz"),
    "force_density": _Dimension("N**2*s", "a spectral density of force", "4 N**2/Hz", "F^2/Hz"),
    "stress_density": _Dimension("Pa**2*s", "a spectral density of stress", "9 MPa**2/Hz", "P^2/Hz"),
    "factor_density": _Dimension("s", "a spectral density of a factor", "0.1 1/Hz", "1/Hz"),
    "stress_intensity": _Dimension("Pa*m**0.5", "a stress intensity", "60 MPa*sqrt(m)", "MPa√m"),
    "relative_gradient": _Dimension("1/m", "a relative gradient", "0.5 1/mm", "1/L"),
    "energy": _Dimension("J", "an energy", "3 J", "J"),
    "energy_density": _Dimension("J/m**3", "an energy density", "2 MJ/m3", "MJ/m^3"),
    "power": _Dimension("W", "a power", "12 W", "W"),
    "temperature": _Dimension("K", "a temperature", "85 degC", "T"),
    "temperature_difference": _Dimension("K", "a temperature difference", "10 K", "dT"),
    "conductivity": _Dimension("W/(m*K)", "a thermal conductivity", "50 W/(m*K)", "W/m/K"),
    "specific_heat": _Dimension("J/(kg*K)", "a specific heat", "460 J/(kg*K)", "J/kg/K"),
    "latent_heat": _Dimension("J/kg", "a latent heat", "397 kJ/kg", "kJ/kg"),
    "expansion": _Dimension("1/K", "a thermal expansion coefficient", "12e-6 1/K", "µm/m/K"),
    "heat_flux": _Dimension("W/m**2", "a heat flux", "5 kW/m2", "W/m^2"),
    "heat_source": _Dimension("W/m**3", "a volumetric heat source", "2 MW/m3", "W/m^3"),
    "heat_transfer": _Dimension("W/(m**2*K)", "a heat transfer coefficient", "25 W/(m2*K)", "W/m^2/K"),
    "heat_conductance": _Dimension("W/K", "a thermal conductance", "20 W/K", "W/K"),
    "heat_resistance": _Dimension("K/W", "a thermal resistance", "1.5 K/W", "K/W"),
    "contact_resistance": _Dimension("m**2*K/W", "a thermal contact resistance", "1e-4 m2*K/W", "m^2*K/W"),
    "volumetric_heat_capacity": _Dimension("J/(m**3*K)", "a heat capacity per volume", "3.6 MJ/(m3*K)",
                                           "J/m^3/K"),
}  # fmt: skip

DIMENSIONS: tuple[str, ...] = tuple(_DIMENSIONS)
"""The keys `to_si`, `show` and their like understand."""

# Radians carry no dimension in pint, so 3000 rpm would pass for 314 Hz and 30 deg for a Poisson's
# ratio. Where such a swap is possible the count of radians is checked as well.
_RADIANS = {"dimensionless": 0, "share": 0, "strain": 0, "angle": 1, "frequency": 0, "angular_velocity": 1,
            "angular_acceleration": 1}  # fmt: skip

# What people write and what they mean, tried when the first reading fails.
_MEANT = {"C": "degC", "F": "degF", "lb": "lbf", "lbs": "lbf", "kg": "kgf", "deg": "degC", "kp": "kgf"}

_COMMON = ("N", "kN", "MN", "lbf", "kgf", "m", "mm", "cm", "um", "µm", "in", "ft", "mm2", "m2", "mm3", "m3",
           "mm4", "m4", "kg", "g", "t", "lb", "Pa", "kPa", "MPa", "GPa", "bar", "mbar", "psi", "ksi",
           "N/mm2", "s", "ms", "min", "h", "Hz", "kHz", "rpm", "rad/s", "rad", "deg", "m/s", "m/s2", "mm/s2",
           "J", "kJ", "W", "kW", "mW", "K", "degC", "degF", "delta_degC", "1/K", "um/(m*K)", "ppm/K",
           "W/(m*K)", "J/(kg*K)", "W/m2", "kW/m2", "W/(m2*K)", "W/m3", "N*m", "N*mm", "kN*m", "N/m", "N/mm",
           "kN/mm", "kg/m3", "g/cm3", "ue", "percent")  # fmt: skip

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.DOTALL)
_UNIT_TEXT = re.compile(r"[\w\s*/^().%°·⋅²³⁴⁻¹+\N{MINUS SIGN}-]{0,80}")
_ROOT = re.compile(r"√(\w+)|sqrt\((\w+)\)")
_BAD_POWER = re.compile(r"\*\*(?!\s*-?\d(?:\.5)?(?![\d.]|\s*\*\*))")  # 9**9**9 would keep pint busy for years
_G_SQUARED = re.compile(r"g\s*(?:\*\*|\^)?\s*[2²]\s*/\s*Hz")  # of standard gravity, where pint reads grams
_POWER = re.compile(r"(?<![\w.])([A-Za-zµμΩ]+)([234])(?![\w.])")


def _dimension(key: str, name: str) -> _Dimension:
    try:
        return _DIMENSIONS[key]
    except KeyError:
        near = difflib.get_close_matches(key, _DIMENSIONS, n=3)
        hint = f"; did you mean {_either(near)}?" if near else f"; known are {', '.join(_DIMENSIONS)}"
        raise UnitError(f"{name}: dimension {key!r} is unknown{hint}") from None


def _either(words: Sequence[str]) -> str:
    quoted = [f"'{word}'" for word in words]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]


# ---------------------------------------------------------------------------------------------------
# The registry
# ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def registry() -> pint.UnitRegistry[float]:
    """The one pint registry of ours, made at first use.

    Returns
    -------
    pint.UnitRegistry
        With `ue` and `microstrain` as 1e-6; every Quantity designtwin hands out belongs to it.
    """
    import pint

    ours: pint.UnitRegistry[float] = pint.UnitRegistry()
    ours.define("microstrain = 1e-6 = ue = µε")  # `ue` would be a micro elementary charge
    return ours


class _Unit(NamedTuple):
    """SI = number * factor + offset, or number / inverse where that is the exact one."""

    factor: float
    inverse: float | None
    offset: float
    signature: tuple[tuple[str, float], ...]
    radians: float
    difference: bool  # delta_degC and its like


# What engineers write every day, read without pint, whose loading takes longer than a small analysis: factor,
# powers of kelvin, kilogram, meter and second, and of the radian. All else, and all errors, are pint's.
_EVERYDAY = {
    "m": ("1", 0, 0, 1, 0, 0), "km": ("1000", 0, 0, 1, 0, 0), "cm": ("1e-2", 0, 0, 1, 0, 0),
    "mm": ("1e-3", 0, 0, 1, 0, 0), "um": ("1e-6", 0, 0, 1, 0, 0), "µm": ("1e-6", 0, 0, 1, 0, 0),
    "kg": ("1", 0, 1, 0, 0, 0), "g": ("1e-3", 0, 1, 0, 0, 0), "t": ("1000", 0, 1, 0, 0, 0),
    "s": ("1", 0, 0, 0, 1, 0), "ms": ("1e-3", 0, 0, 0, 1, 0), "min": ("60", 0, 0, 0, 1, 0),
    "h": ("3600", 0, 0, 0, 1, 0), "Hz": ("1", 0, 0, 0, -1, 0), "kHz": ("1000", 0, 0, 0, -1, 0),
    "K": ("1", 1, 0, 0, 0, 0), "rad": ("1", 0, 0, 0, 0, 1),
    "N": ("1", 0, 1, 1, -2, 0), "kN": ("1e3", 0, 1, 1, -2, 0), "MN": ("1e6", 0, 1, 1, -2, 0),
    "Pa": ("1", 0, 1, -1, -2, 0), "kPa": ("1e3", 0, 1, -1, -2, 0), "MPa": ("1e6", 0, 1, -1, -2, 0),
    "GPa": ("1e9", 0, 1, -1, -2, 0), "bar": ("1e5", 0, 1, -1, -2, 0), "mbar": ("100", 0, 1, -1, -2, 0),
    "J": ("1", 0, 1, 2, -2, 0), "kJ": ("1e3", 0, 1, 2, -2, 0), "MJ": ("1e6", 0, 1, 2, -2, 0),
    "W": ("1", 0, 1, 2, -3, 0), "mW": ("1e-3", 0, 1, 2, -3, 0), "kW": ("1e3", 0, 1, 2, -3, 0),
    "MW": ("1e6", 0, 1, 2, -3, 0), "ue": ("1e-6", 0, 0, 0, 0, 0),
}  # fmt: skip
_TERM = re.compile(r"([A-Za-zµ]+)(?:\*\*|\^)?([234])?")


def _everyday(text: str) -> _Unit | None:
    """A product of everyday units over another, such as "W/(m2*K)"; None where it is not of this kind."""
    if text == "degC":
        return _Unit(1.0, None, 273.15, (("kelvin", 1.0),), 0.0, False)
    above, _, below = text.replace("**", "^").partition("/")
    if "*" in below:
        if not (below.startswith("(") and below.endswith(")")):
            return None
        below = below[1:-1]
    factor, powers = Decimal(1), [0] * 5
    for part, sign in ((above, 1), (below, -1)):
        for word in part.split("*") if part and part != "1" else ():
            term = _TERM.fullmatch(word)
            if term is None or term[1] not in _EVERYDAY:
                return None
            number, *own = _EVERYDAY[term[1]]
            power = sign * int(term[2] or 1)
            factor *= Decimal(number) ** power
            powers = [total + power * one for total, one in zip(powers, own, strict=True)]
    if ("/" in text and not below) or not text:
        return None
    inverse = _tidy(1.0 / float(factor))
    names = ("kelvin", "kilogram", "meter", "second")
    return _Unit(
        factor=_tidy(float(factor)),
        inverse=inverse if factor < 1 and inverse == round(inverse) else None,
        offset=0.0,
        signature=tuple((name, float(power)) for name, power in zip(names, powers, strict=False) if power),
        radians=float(powers[4]),
        difference=False,
    )


@lru_cache(maxsize=4096)
def _unit(text: str) -> _Unit:
    """Read a unit expression; KeyError if it holds an unknown unit, ValueError if it cannot be read."""
    return _everyday(text) or _by_pint(text)


def _by_pint(text: str) -> _Unit:
    import pint

    ours = registry()
    text = _ROOT.sub(r" \1\2**0.5", text)
    plain = _POWER.sub(r"\1**\2", text).replace("·", "*").replace("⋅", "*").replace("\N{MINUS SIGN}", "-")
    plain = plain.replace("^", "**")
    if not _UNIT_TEXT.fullmatch(text) or _BAD_POWER.search(plain):
        raise ValueError("no unit expression")
    if plain.startswith("/"):
        plain = "1" + plain
    try:
        units = ours.parse_units(plain)
        zero = ours.Quantity(0.0, units).to_base_units()
        one = ours.Quantity(1.0, units).to_base_units()
        two = ours.Quantity(2.0, units).to_base_units()
    except pint.UndefinedUnitError as error:
        names = error.unit_names
        raise KeyError(names if isinstance(names, str) else names[0]) from None
    except Exception as error:  # pint raises many kinds here, tokenizer errors among them
        raise ValueError(str(error)) from None
    offset = float(zero.magnitude)
    if not math.isclose(two.magnitude - one.magnitude, one.magnitude - offset, rel_tol=1e-9):
        raise ValueError("a logarithmic unit")  # decibels and their like
    factor = _tidy(float(one.magnitude) - offset)
    if not (math.isfinite(factor) and factor > 0.0):
        raise ValueError("out of range")
    if offset:  # degC, degF: the difference of two large numbers is no good factor
        factor = _tidy(float(ours.Quantity(1.0, f"delta_{units}").to("kelvin").magnitude))
    inverse = _tidy(1.0 / factor)
    base = {str(unit): float(power) for unit, power in one.unit_items()}
    return _Unit(
        factor=factor,
        inverse=inverse if factor < 1.0 and inverse == round(inverse) else None,
        offset=offset,
        signature=tuple(sorted((k, v) for k, v in base.items() if k != "radian" and v)),
        radians=base.get("radian", 0.0),
        difference="delta_" in str(units),
    )


def _tidy(factor: float) -> float:
    """Undo pint's rounding: 999999.9999999999 is a million."""
    whole = round(factor)
    return float(whole) if whole and abs(factor - whole) < 4e-15 * abs(factor) else factor


def _convert(number: Any, unit: _Unit, with_offset: bool) -> Any:
    scaled = number / unit.inverse if unit.inverse is not None else number * unit.factor
    return scaled + unit.offset if with_offset and unit.offset else scaled


def _exact(text: str, number: float, unit: _Unit) -> float:
    """The float nearest to the decimal the user wrote, so that "0.1 mm" equals 1e-4."""
    if number == 0.0 or abs(number) > 1e200:  # decimals have limits of their own
        return number * unit.factor
    if unit.inverse is not None:
        return float(Decimal(text) / int(unit.inverse))
    return float(Decimal(text) * int(unit.factor)) if unit.factor.is_integer() else number * unit.factor


def _fits(unit: _Unit, dimension: str) -> bool:
    wanted = _unit(_DIMENSIONS[dimension].unit)
    if unit.signature != wanted.signature:
        return False
    return dimension not in _RADIANS or unit.radians == _RADIANS[dimension]


def _noun(unit: _Unit) -> str:
    """What the user gave, in words: 'a force', or its base units where no word is ours."""
    if unit.difference and unit.signature == (("kelvin", 1.0),):
        return "a temperature difference"
    for key, dimension in _DIMENSIONS.items():
        if key != "strain" and _fits(unit, key):
            return dimension.noun
    return "in " + " ".join(k if v == 1 else f"{k}^{v:g}" for k, v in unit.signature)


def unit_of(dimension: str) -> str:
    """The SI unit of a dimension, "N/m" of a stiffness; dimensions of one unit may stand for each other."""
    return _dimension(dimension, "unit").unit


def example_of(dimension: str) -> str:
    """What a user might write for a dimension: "2.5 kN" for a force."""
    return _dimension(dimension, "unit").example


# ---------------------------------------------------------------------------------------------------
# To SI
# ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _read(text: str, dimension: str, name: str) -> float:
    wanted = _dimension(dimension, name)
    please = f"{wanted.noun} is wanted, e.g. '{wanted.example}'"
    if "," in text:
        raise UnitError(f"{name}: '{text}' holds a comma; write the decimal point as '.', and no "
                        f"thousands separator; {please}")  # fmt: skip
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UnitError(f"{name}: '{text}' does not begin with a number; {please}")
    number, unit_text = float(match[1]), match[2].strip()
    if not math.isfinite(number):
        raise UnitError(f"{name}: '{text}' is not finite; {please}")
    if not unit_text:
        if dimension in ("dimensionless", "strain"):
            return number
        raise UnitError(f"{name}: '{text}' has no unit; {please} (a number without quotes is in SI units)")
    if dimension == "acceleration" and unit_text in ("g", "mg"):
        return number * STANDARD_GRAVITY / (1.0 if unit_text == "g" else 1000.0)
    if dimension == "acceleration_density" and _G_SQUARED.fullmatch(unit_text):
        return number * STANDARD_GRAVITY**2
    unit = _lookup(unit_text, text, name, please)
    if not _fits(unit, dimension) or (dimension == "temperature" and unit.difference):
        raise UnitError(f"{name}: '{text}' is {_noun(unit)}; {please}{_maybe(unit_text, dimension)}")
    result = _exact(match[1], number, unit) + (unit.offset if dimension == "temperature" else 0.0)
    _check_finite(result, text, name, please)
    if dimension == "temperature" and result < 0.0:
        raise UnitError(f"{name}: '{text}' is below absolute zero")
    return result


def _lookup(unit_text: str, text: str, name: str, please: str) -> _Unit:
    try:
        return _unit(unit_text)
    except KeyError as error:
        word = str(error.args[0])
        near = _nearest(word)
        hint = f"; did you mean {_either(near)}?" if near else ""
        raise UnitError(f"{name}: unit '{word}' in '{text}' is unknown; {please}{hint}") from None
    except ValueError:
        raise UnitError(f"{name}: '{unit_text}' in '{text}' cannot be read as a unit; {please}") from None


def _nearest(word: str) -> list[str]:
    same = [unit for unit in _COMMON if unit.lower() == word.lower()]
    if same:
        return same
    if word in _MEANT:
        return [_MEANT[word]]
    lower = {unit.lower(): unit for unit in _COMMON}
    near = [lower[found] for found in difflib.get_close_matches(word.lower(), lower, n=3, cutoff=0.6)]
    return near or difflib.get_close_matches(word, dir(registry()), n=3, cutoff=0.7)


def _maybe(unit_text: str, dimension: str) -> str:
    """A unit of the wanted dimension that is spelled almost the same: 'kn' for 'kN', 'C' for 'degC'."""
    options = [u for u in _COMMON if u.lower() == unit_text.lower() and u != unit_text]
    options += [_MEANT[unit_text]] if unit_text in _MEANT else []
    options = [u for u in options if _fits(_unit(u), dimension)]
    return f"; did you mean {_either(options)}?" if options else ""


def _check_finite(result: Any, given: Any, name: str, please: str) -> None:
    if not np.all(np.isfinite(result)):
        raise UnitError(f"{name}: {_brief(given)} is not finite; {please}")


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def to_si(value: Any, dimension: str, *, name: str) -> float | FloatArray:
    """Turn what the user wrote into SI, checked for dimension.

    Parameters
    ----------
    value : number, array, str, pint.Quantity, or a sequence of these
        A plain number or array is in SI units already (kelvin for a temperature, radians for an
        angle). A string is a number and a unit: "2.5 kN", "85 degC", "500 ue", "2 g".
    dimension : str
        One of `DIMENSIONS`, such as "force". "5 degC" is 278.15 K as a temperature and 5 K as a
        temperature_difference.
    name : str
        The argument's name, for the message.

    Returns
    -------
    float or float64 array
        SI; an array for an array or a sequence, of its own memory.

    Raises
    ------
    UnitError
        If the dimension is another, the unit is unknown or missing, or the value is not finite.
    """
    if isinstance(value, str):
        return _read(value, dimension, name)
    wanted = _dimension(dimension, name)
    please = f"{wanted.noun} is wanted, e.g. '{wanted.example}'"
    if isinstance(value, bool | np.bool_) or value is None:
        raise UnitError(f"{name}: {value!r} is no number; {please}")
    if isinstance(value, int | float | np.integer | np.floating):
        result = float(value)
        _check_finite(result, value, name, please)
        if dimension == "temperature" and result < 0.0:
            raise UnitError(f"{name}: {value!r} is in kelvin and below absolute zero; {please}")
        return result
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        array: FloatArray = np.array(value, dtype=np.float64)
        _check_finite(array, value, name, please)
        if dimension == "temperature" and array.size and array.min() < 0.0:
            raise UnitError(f"{name}: {array.min():g} is in kelvin and below absolute zero; {please}")
        return float(array) if array.ndim == 0 else array
    if hasattr(value, "magnitude") and hasattr(value, "units"):
        return _from_quantity(value, dimension, name, please)
    if isinstance(value, list | tuple) and all(type(item) in (int, float) for item in value):
        return to_si(np.array(value, dtype=np.float64), dimension, name=name)
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0):
        parts = [to_si(item, dimension, name=f"{name}[{i}]") for i, item in enumerate(value)]
        try:
            return np.array(parts, dtype=np.float64)
        except ValueError:
            raise UnitError(f"{name}: rows of unequal length in {_brief(value)}; {please}") from None
    raise UnitError(f"{name}: {_brief(value)} ({type(value).__name__}) is no number, string with a unit, "
                    f"or sequence of these; {please}")  # fmt: skip


def _from_quantity(value: Any, dimension: str, name: str, please: str) -> float | FloatArray:
    # by long names, so that a Quantity of the user's own registry means what it says there
    text = f"{value.units:D}"
    unit = _lookup(text, str(value), name, please) if text not in ("", "dimensionless") else _unit("")
    if not _fits(unit, dimension) or (dimension == "temperature" and unit.difference):
        raise UnitError(f"{name}: '{value}' is {_noun(unit)}; {please}")
    magnitude = np.array(value.magnitude, dtype=np.float64)
    result = _convert(magnitude, unit, dimension == "temperature")
    return to_si(result if result.ndim else float(result), dimension, name=name)


# ---------------------------------------------------------------------------------------------------
# From SI
# ---------------------------------------------------------------------------------------------------


class DisplayUnits(NamedTuple):
    """Units of tables, pictures and reports."""

    length: str
    force: str
    pressure: str
    temperature: str


_DEFAULT = DisplayUnits("mm", "N", "MPa", "degC")
_display = _DEFAULT

_IMPERIAL = {"in", "inch", "ft", "foot", "mil", "thou", "yd"}
_PRETTY = {"degC": "°C", "degF": "°F", "delta_degF": "°F", "deg": "°", "um": "µm", "inch": "in"}
_POWERS = {1: "", 2: "²", 3: "³", 4: "⁴"}
# so that printing in the usual units does not load pint
_FAMILIAR = {"mm": 1e-3, "m": 1.0, "cm": 1e-2, "µm": 1e-6, "N": 1.0, "kN": 1e3, "MPa": 1e6, "K": 1.0,
             "s": 1.0, "kg": 1.0, "J": 1.0, "MJ": 1e6, "W": 1.0, "rad": 1.0,
             "MPa√m": 1e6, "g": STANDARD_GRAVITY, "Hz": 1.0,  # of grams no table speaks
             "deg": math.pi / 180.0, "%": 1e-2, "rpm": math.pi / 30.0, "µε": 1e-6}  # fmt: skip


def display_units(
    length: str | None = None,
    force: str | None = None,
    pressure: str | None = None,
    temperature: str | None = None,
) -> DisplayUnits:
    """Set the units of tables, pictures and reports, for this process.

    Parameters
    ----------
    length, force, pressure, temperature : str, optional
        Such as "mm", "N", "MPa", "degC" (the default at start); None keeps what is set.

    Returns
    -------
    DisplayUnits
        What was set before, so that `display_units(*previous)` puts it back.

    Raises
    ------
    UnitError
        If a unit is unknown or of another dimension.
    """
    global _display
    previous = _display
    given = (length, force, pressure, temperature)
    for dimension, unit, old in zip(DisplayUnits._fields, given, previous, strict=True):
        if unit is not None and unit not in (old, _DEFAULT[DisplayUnits._fields.index(dimension)]):
            _read(f"1 {unit}", dimension, f"display_units {dimension}")
    _display = DisplayUnits(*(new or old for new, old in zip(given, previous, strict=True)))
    _display_unit.cache_clear()
    return previous


class _Display(NamedTuple):
    factor: float
    offset: float
    symbol: str


@lru_cache(maxsize=256)
def _display_unit(dimension: str) -> _Display:
    recipe = _dimension(dimension, "unit").display
    imperial = _display.length in _IMPERIAL
    chosen = {
        "L": _display.length,
        "D": _display.length if imperial else "m",
        "M": "lb" if imperial else "kg",
        "F": _display.force,
        "P": _display.pressure,
        "T": _display.temperature,
        "dT": "delta_degF" if _display.temperature in ("degF", "°F") else "K",
    }
    if recipe == "T" and _display.temperature in ("degC", "°C"):
        return _Display(1.0, 273.15, "°C")
    if recipe == "T" and _display.temperature != "K":
        unit = _unit(_display.temperature)
        return _Display(unit.factor, unit.offset, _PRETTY.get(_display.temperature, _display.temperature))
    factor = 1.0
    above: list[str] = []
    below: list[str] = []
    for sign, part in re.findall(r"([*/]?)([^*/]+)", recipe):
        base, _, power = part.partition("^")
        unit_name, exponent = chosen.get(base, base), int(power or 1)
        scale = _FAMILIAR[unit_name] if unit_name in _FAMILIAR else _unit(unit_name).factor
        factor *= scale ** (-exponent if sign == "/" else exponent)
        word = _PRETTY.get(unit_name, unit_name) + _POWERS[exponent]
        (below if sign == "/" else above).append(word)
    symbol = "·".join(above)
    if below:
        symbol += "/" + ("·".join(below) if len(below) == 1 else f"({'·'.join(below)})")
    return _Display(_tidy(factor), 0.0, symbol)


def from_si(value: Any, dimension: str) -> Any:
    """An SI value in the display unit.

    Parameters
    ----------
    value : float or array
        SI.
    dimension : str
        One of `DIMENSIONS`.

    Returns
    -------
    float or float64 array
        In the unit `symbol(dimension)` names.
    """
    unit = _display_unit(dimension)
    if isinstance(value, np.ndarray | list | tuple):
        return _divide(np.asarray(value, dtype=np.float64) - unit.offset, unit.factor)
    return float(_divide(float(value) - unit.offset, unit.factor))


def _divide(value: Any, factor: float) -> Any:
    inverse = _tidy(1.0 / factor)  # 0.0004 m is 0.4 mm to the last digit
    return value * inverse if factor < 1.0 and inverse == round(inverse) else value / factor


def symbol(dimension: str) -> str:
    """The display unit as it is printed: "mm", "N·mm", "kg/m³", "" for a plain number."""
    return _display_unit(dimension).symbol


def show(value: Any, dimension: str, *, digits: int = 4) -> str:
    """An SI value as text in the display unit: "0.3961 mm", "(0, 0, -2500) N".

    Parameters
    ----------
    value : float or array
        SI.
    dimension : str
        One of `DIMENSIONS`.
    digits : int
        Significant digits; trailing zeros behind the point are dropped.
    """
    number = from_si(value, dimension)
    if isinstance(number, np.ndarray) and number.ndim > 0:
        text = "(" + ", ".join(_number(float(x), digits) for x in number.ravel()) + ")"
    else:
        text = _number(float(number), digits)
    unit = symbol(dimension)
    return text + ("" if unit in ("", "°") else " ") + unit


_CLOCK = (("s", 1.0, 180.0), ("min", 60.0, 3.0 * 3600.0), ("h", 3600.0, 4.0 * 86400.0))
# unit, seconds in it, longest time it is good for


def show_time(time: float, span: float | None = None) -> str:
    """An instant in words: "35 s", "9.5 min", in the unit that suits a course of `span` seconds."""
    span = abs(time) if span is None else span
    name, seconds = next(((n, s) for n, s, longest in _CLOCK if span <= longest), ("d", 86400.0))
    if span <= 0.0 or not math.isfinite(time):
        return f"{_number(time, 3)} {name}"
    # Three digits of the whole course tell its instants apart.
    places = max(2 - math.floor(math.log10(span / seconds)), 0)
    text = f"{time / seconds:.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{'0' if text == '-0' else text} {name}"


def _number(x: float, digits: int) -> str:
    if not math.isfinite(x):
        return "nan" if math.isnan(x) else "∞" if x > 0 else "-∞"
    if x == 0.0:
        return "0"
    size = math.floor(math.log10(abs(x)))
    if not -5 <= size < 9:
        mantissa, exponent = f"{x:.{max(digits - 1, 0)}e}".split("e")
        return (mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa) + f"e{int(exponent)}"
    places = max(digits - 1 - size, 0)
    text = f"{x:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def unit_factor(unit: str, dimension: str, *, name: str) -> float:
    """SI value of one `unit`: 0.001 for "mm" as a length.

    Raises
    ------
    UnitError
        If the unit is unknown, of another dimension, or has an offset (degC).
    """
    if not isinstance(unit, str):
        raise UnitError(f"{name}: {_brief(unit)} is no unit; write it as text, e.g. 'mm' for a length")
    if dimension == "temperature":
        raise UnitError(f"{name}: a temperature unit has no single factor")
    return _read(f"1 {unit}", dimension, name)
