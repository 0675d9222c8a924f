"""Heat transfer coefficients of common shapes, from sourced correlations.

``natural_convection`` gives a table over the surface temperature, since buoyancy comes from the difference to
the ambient; ``forced_convection`` gives one number. Both are means over the surface, good to some 20 percent
in still or steady air; a coefficient that decides over a design deserves a measurement.

Sources, named below by their first author:
Bar-Cohen & Rohsenow, J. Heat Transfer 106 (1984), 116-123 (fins);
Catton, 6th Int. Heat Transfer Conf. (1978), vol. 6, 13-43 (low enclosures);
Churchill & Bernstein, J. Heat Transfer 99 (1977), 300-306 (cylinder in a cross flow);
Churchill & Chu, Int. J. Heat Mass Transfer 18 (1975), 1049-1053 and 1323-1329 (cylinder, vertical plate);
Churchill in Heat Exchanger Design Handbook (1983), sec. 2.5.7 (sphere);
ElSherbiny, Raithby & Hollands, J. Heat Transfer 104 (1982), 96-102 (high enclosures);
Gnielinski, Int. Chem. Eng. 16 (1976), 359-368, and in VDI Heat Atlas, 2nd ed. (2010), ch. G1 (pipe);
Hausen, Z. VDI Beih. Verfahrenstech. 4 (1943), 91-98 (entry of a pipe);
Hollands, Raithby & Konicek, Int. J. Heat Mass Transfer 18 (1975), 879-884 (enclosure heated from below);
Incropera, DeWitt, Bergman & Lavine, Fundamentals of Heat and Mass Transfer, 7th ed. (2011), ch. 7 to 9 (flat
plate, eq. 7.30 and 7.38), tables A.4 and A.6 (air, water);
Lloyd & Moran, J. Heat Transfer 96 (1974), 443-447 (plate that heats what is above it);
Radziemska & Lewandowski, Appl. Energy 68 (2001), 347-366 (plate that heats what is below it);
Teertstra, Yovanovich & Culham, J. Electronics Manufacturing 10 (2000), 253-261 (fins in a forced flow);
Whitaker, AIChE J. 18 (1972), 361-371 (sphere in a flow).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from designtwin.errors import ModelError, did_you_mean
from designtwin.model.magnitude import StatedTable, table
from designtwin.typing import BoolArray, FloatArray
from designtwin.units import STANDARD_GRAVITY, show, to_si

__all__ = ["forced_convection", "natural_convection", "optimal_fin_spacing"]

ATMOSPHERE = 101325.0
"""Pa."""

_COLDEST, _HOTTEST = 150.0, 1500.0
"""K. Surface temperatures that are tabulated; film temperatures stay within the table of air."""
_LEAST = 1.0
"""K. Within this difference the coefficient is held, or it would vanish and leave the temperature free."""
_RATIO = 1.15
"""Between successive differences; linear between them, a fourth root is met within 0.1 percent."""


# Fluids


class _Fluid(NamedTuple):
    """What a correlation asks of a fluid at one or many temperatures, SI."""

    conductivity: FloatArray
    viscosity: FloatArray
    kinematic: FloatArray
    prandtl: FloatArray


# Incropera et al. (2011), table A.4, air; its densities are those of an ideal gas at 100 kPa:
# K, density kg/m3, specific heat kJ/(kg K), viscosity 1e-7 Pa s, conductivity 1e-3 W/(m K)
_AIR = np.array([
    (100, 3.5562, 1.032, 71.1, 9.34), (150, 2.3364, 1.012, 103.4, 13.8), (200, 1.7458, 1.007, 132.5, 18.1),
    (250, 1.3947, 1.006, 159.6, 22.3), (300, 1.1614, 1.007, 184.6, 26.3), (350, 0.9950, 1.009, 208.2, 30.0),
    (400, 0.8711, 1.014, 230.1, 33.8), (450, 0.7740, 1.021, 250.7, 37.3), (500, 0.6964, 1.030, 270.1, 40.7),
    (550, 0.6329, 1.040, 288.4, 43.9), (600, 0.5804, 1.051, 305.8, 46.9), (650, 0.5356, 1.063, 322.5, 49.7),
    (700, 0.4975, 1.075, 338.8, 52.4), (750, 0.4643, 1.087, 354.6, 54.9), (800, 0.4354, 1.099, 369.8, 57.3),
    (850, 0.4097, 1.110, 384.3, 59.6), (900, 0.3868, 1.121, 398.1, 62.0), (950, 0.3666, 1.131, 411.3, 64.3),
    (1000, 0.3482, 1.141, 424.4, 66.7), (1100, 0.3166, 1.159, 449.0, 71.5),
    (1200, 0.2902, 1.175, 473.0, 76.3), (1300, 0.2679, 1.189, 496.0, 82.0),
])  # fmt: skip

# The same, table A.6, saturated liquid water:
# K, specific volume 1e-3 m3/kg, specific heat kJ/(kg K), viscosity 1e-6 Pa s, conductivity 1e-3 W/(m K)
_WATER = np.array([
    (273.15, 1.000, 4.217, 1750, 569), (280, 1.000, 4.198, 1422, 582), (290, 1.001, 4.184, 1080, 598),
    (300, 1.003, 4.179, 855, 613), (310, 1.007, 4.178, 695, 628), (320, 1.011, 4.180, 577, 640),
    (330, 1.016, 4.184, 489, 650), (340, 1.021, 4.188, 420, 660), (350, 1.027, 4.195, 365, 668),
    (360, 1.034, 4.203, 324, 674), (370, 1.041, 4.214, 289, 679), (373.15, 1.044, 4.217, 279, 680),
])  # fmt: skip


def _air(temperature: FloatArray, pressure: float) -> _Fluid:
    """Air as a gas whose density alone feels the pressure."""
    _, rho, cp, mu, k = _rows(_AIR, temperature, "air")
    density = rho * pressure / 1e5
    return _Fluid(k * 1e-3, mu * 1e-7, mu * 1e-7 / density, cp * mu * 0.1 / k)


def _water(temperature: FloatArray, pressure: float) -> _Fluid:
    """Liquid water, which feels no pressure."""
    _, v, cp, mu, k = _rows(_WATER, temperature, "water")
    return _Fluid(k * 1e-3, mu * 1e-6, mu * 1e-6 * v * 1e-3, cp * mu / k)


def _rows(data: FloatArray, temperature: FloatArray, what: str) -> FloatArray:
    """Columns of a table, linear between its rows: float64[n_columns, ...]."""
    low, high = float(data[0, 0]), float(data[-1, 0])
    at = np.asarray(temperature, np.float64)
    if at.size and (at.min() < low or at.max() > high):
        worst = float(at.min() if at.min() < low else at.max())
        raise ModelError(
            f"the properties of {what} are tabulated from {show(low, 'temperature')} to "
            f"{show(high, 'temperature')}; {show(worst, 'temperature')} is outside"
        )
    columns = [np.interp(at, data[:, 0], column) for column in data.T]
    if what == "air":  # of a gas, density times temperature is what varies slowly
        columns[1] = np.interp(at, data[:, 0], data[:, 0] * data[:, 1]) / at
    return np.array(columns)


_FLUIDS: dict[str, Callable[[FloatArray, float], _Fluid]] = {"air": _air, "water": _water}


# Nusselt numbers of natural convection


class _Flow(NamedTuple):
    """Numbers a correlation of natural convection takes, float64[n] each."""

    rayleigh: FloatArray
    prandtl: FloatArray
    slender: float
    """Height over spacing, or height over diameter; 1 where a shape has one size."""
    warm: BoolArray
    """Whether the surface is warmer than the ambient."""


def _vertical_plate(flow: _Flow) -> FloatArray:
    """Churchill & Chu (1975), all Rayleigh numbers up to 1e12."""
    damped = (1.0 + (0.492 / flow.prandtl) ** (9.0 / 16.0)) ** (8.0 / 27.0)
    return np.asarray((0.825 + 0.387 * flow.rayleigh ** (1.0 / 6.0) / damped) ** 2)


def _horizontal_cylinder(flow: _Flow) -> FloatArray:
    """Churchill & Chu (1975), up to 1e12."""
    damped = (1.0 + (0.559 / flow.prandtl) ** (9.0 / 16.0)) ** (8.0 / 27.0)
    return np.asarray((0.60 + 0.387 * flow.rayleigh ** (1.0 / 6.0) / damped) ** 2)


def _sphere(flow: _Flow) -> FloatArray:
    """Churchill (1983), up to 1e11."""
    damped = (1.0 + (0.469 / flow.prandtl) ** (9.0 / 16.0)) ** (4.0 / 9.0)
    return np.asarray(2.0 + 0.589 * flow.rayleigh**0.25 / damped)


def _rising(flow: _Flow) -> FloatArray:
    """Lloyd & Moran (1974): the larger of the laminar and the turbulent law, 1e4 to 1e11."""
    return np.asarray(np.maximum(0.54 * flow.rayleigh**0.25, 0.15 * flow.rayleigh ** (1.0 / 3.0)))


def _stratified(flow: _Flow) -> FloatArray:
    """Radziemska & Lewandowski (2001), 1e4 to 1e9."""
    return np.asarray(0.52 * flow.rayleigh**0.2)


def _facing_up(flow: _Flow) -> FloatArray:
    return np.asarray(np.where(flow.warm, _rising(flow), _stratified(flow)))


def _facing_down(flow: _Flow) -> FloatArray:
    return np.asarray(np.where(flow.warm, _stratified(flow), _rising(flow)))


def _fins(flow: _Flow) -> FloatArray:
    """Bar-Cohen & Rohsenow (1984): both walls of a channel equally warm, all spacings."""
    channel = np.maximum(flow.rayleigh / flow.slender, 1e-12)
    return np.asarray((576.0 / channel**2 + 2.87 / np.sqrt(channel)) ** -0.5)


def _vertical_enclosure(flow: _Flow) -> FloatArray:
    """ElSherbiny et al. (1982) from height 5 spacings on, Catton (1978) below; never under conduction."""
    Ra, Pr, slender = flow.rayleigh, flow.prandtl, flow.slender
    if slender >= 5.0:
        turbulent = 0.0605 * Ra ** (1.0 / 3.0)
        between = 0.104 * Ra**0.293 / (1.0 + (6310.0 / np.maximum(Ra, 1e-12)) ** 1.36)
        laminar = 0.242 * (Ra / slender) ** 0.272
        return np.asarray(np.maximum(np.maximum(turbulent, laminar), (1.0 + between**3) ** (1.0 / 3.0)))
    inertia = Pr / (0.2 + Pr) * Ra
    if slender >= 2.0:
        return np.asarray(np.maximum(0.22 * inertia**0.28 * slender**-0.25, 1.0))
    return np.asarray(np.maximum(0.18 * inertia**0.29, 1.0))


def _heated_from_below(flow: _Flow) -> FloatArray:
    """Hollands et al. (1975), air up to 1e8; conduction below 1708."""
    Ra = np.maximum(flow.rayleigh, 1e-12)
    cells = 1.44 * np.maximum(1.0 - 1708.0 / Ra, 0.0)
    return np.asarray(1.0 + cells + np.maximum((Ra / 5830.0) ** (1.0 / 3.0) - 1.0, 0.0))


def _enclosure_facing_up(flow: _Flow) -> FloatArray:
    return np.asarray(np.where(flow.warm, _heated_from_below(flow), 1.0))


def _enclosure_facing_down(flow: _Flow) -> FloatArray:
    return np.asarray(np.where(flow.warm, 1.0, _heated_from_below(flow)))


@dataclass(frozen=True)
class _Shape:
    """A shape in still air: which of its sizes the numbers are made with, which others it wants."""

    size: str
    nusselt: Callable[[_Flow], FloatArray]
    most: float
    """Rayleigh number up to which the correlation holds."""
    least: float = 0.0
    """And from which on; below it little heat flows, yet a body that never gets there needs another law."""
    also: str | None = None


_NATURAL = {
    "vertical plate": _Shape("length", _vertical_plate, 1e12),
    "vertical cylinder": _Shape("length", _vertical_plate, 1e12, also="diameter"),
    "horizontal cylinder": _Shape("diameter", _horizontal_cylinder, 1e12),
    "sphere": _Shape("diameter", _sphere, 1e11),
    "horizontal plate facing up": _Shape("length", _facing_up, 1e11, 1e4),
    "horizontal plate facing down": _Shape("length", _facing_down, 1e11, 1e4),
    "vertical fins": _Shape("spacing", _fins, 1e9, also="length"),
    "vertical enclosure": _Shape("spacing", _vertical_enclosure, 1e7, also="length"),
    "enclosure facing up": _Shape("spacing", _enclosure_facing_up, 1e8),
    "enclosure facing down": _Shape("spacing", _enclosure_facing_down, 1e8),
}


def natural_convection(
    *, shape: str, ambient: Any, length: Any = None, diameter: Any = None, spacing: Any = None,
    pressure: Any = ATMOSPHERE,
) -> StatedTable:  # fmt: skip
    """Mean heat transfer coefficient of a surface in still air, as a table over its temperature.

    ========================  ==================================  =================================
    shape                     sizes                               source
    ========================  ==================================  =================================
    vertical plate            length, upwards                     Churchill & Chu
    vertical cylinder         length upwards, diameter            the same, for thick cylinders
    horizontal cylinder       diameter                            Churchill & Chu
    sphere                    diameter                            Churchill
    horizontal plate facing   length: area over perimeter         Lloyd & Moran; Radziemska &
    up, ... facing down                                           Lewandowski where air stays put
    vertical fins             length upwards, spacing: the gap    Bar-Cohen & Rohsenow
    vertical enclosure        length upwards, spacing: to the     ElSherbiny et al.; Catton
                              other wall, whose temperature is
                              `ambient`
    enclosure facing up,      spacing to the other wall           Hollands et al.
    ... facing down
    ========================  ==================================  =================================

    Facing up is a surface with air above it. Air counts at the mean of surface and ambient. Within 1 K of
    the ambient the coefficient is held at its value there.

    Parameters
    ----------
    shape : str
    ambient : temperature
        Of still air away from the surface.
    length, diameter, spacing : length
        As the shape asks.
    pressure : pressure
        Of the air, 1 atm unless given.

    Returns
    -------
    table over temperature
        W/(m^2 K), from 150 K to 1500 K or as far as the correlation holds; beyond it asks are refused.
        For ``Convection(on=..., coefficient=..., ambient=...)`` with the same ambient.

    Raises
    ------
    ModelError
        If the shape is unknown, a size is missing or unwanted, or the correlation does not hold for it.

    Sources: see the module.
    """
    if shape not in _NATURAL:
        raise ModelError(
            f"natural_convection: shape {shape!r} is unknown{did_you_mean(shape, _NATURAL)}; known are "
            f"{', '.join(map(repr, _NATURAL))}"
        )
    kind, who = _NATURAL[shape], f"natural_convection of a {shape}"
    sizes = _sizes(who, {"length": length, "diameter": diameter, "spacing": spacing}, kind.size, kind.also)
    still = _surroundings(who, ambient)
    p = _one(pressure, "pressure", f"{who}: pressure")
    surface = _knots(still)
    warm = surface > still
    difference = np.maximum(np.abs(surface - still), _LEAST)
    film = 0.5 * (np.where(warm, still + difference, still - difference) + still)
    air = _air(film, p)
    size = sizes[kind.size]
    Ra = STANDARD_GRAVITY / film * difference * size**3 * air.prandtl / air.kinematic**2
    slender = 1.0 if kind.also is None or shape == "vertical cylinder" else sizes[kind.also] / size
    if shape == "vertical enclosure" and not 1.0 <= slender <= 110.0:
        raise ModelError(
            f"{who}: its height is {slender:g} times its spacing; the correlations hold from 1 to 110 times"
        )
    h = kind.nusselt(_Flow(Ra, air.prandtl, slender, warm)) * air.conductivity / size
    # On the side of the ambient the held coefficient is one number: that of the warmer side.
    near = int(np.argmin(np.abs(surface - still)))
    h[near] = max(h[near - 1], h[near + 1])
    holds = Ra <= kind.most
    if shape == "vertical cylinder":
        # Thick enough to be a plate, Incropera et al. (2011), sec. 9.6.2; judged at 20 to 200 K.
        thick = sizes["diameter"] / sizes["length"] >= 35.0 / (Ra / air.prandtl) ** 0.25
        if not (thick | (difference < 20.0) | (surface < 200.0) | (surface > still + 200.0)).all():
            raise ModelError(
                f"{who}: a cylinder {show(sizes['length'], 'length')} high and "
                f"{show(sizes['diameter'], 'length')} thick is too slender to count as a plate (diameter "
                "over length is to be above 35 / Grashof number^(1/4)); measure it, or take a plate as a low "
                "estimate"
            )
    if not holds[near] or Ra.max() < kind.least:
        worst = float(Ra[near]) if not holds[near] else float(Ra.max())
        raise ModelError(
            f"{who}: with {kind.size} {show(size, 'length')} its Rayleigh number is {worst:.2g}"
            f"{' at most' if holds[near] else ' at a difference of 1 K'}, and the correlation holds from "
            f"{kind.least:.0e} to {kind.most:.0e}; take another shape, or state a measured coefficient"
        )
    first = near - int(np.argmin(holds[near::-1])) + 1 if not holds[:near].all() else 0
    last = near + int(np.argmin(holds[near:])) if not holds[near:].all() else len(holds)
    return table(over="temperature", at=surface[first:last], values=h[first:last], outside="raise")


def _knots(ambient: float) -> FloatArray:
    """Surface temperatures, K: the ambient, and differences from 1 K on in even proportions."""
    n = int(np.ceil(np.log(_HOTTEST / _LEAST) / np.log(_RATIO)))
    away = _LEAST * _RATIO ** np.arange(n)
    up, down = ambient + away, ambient - away
    up, down = up[up < _HOTTEST - 1.0], down[down > _COLDEST + 1.0]
    return np.concatenate([[_COLDEST], down[::-1], [ambient], up, [_HOTTEST]])


def optimal_fin_spacing(*, length: Any, ambient: Any, surface: Any, pressure: Any = ATMOSPHERE) -> float:
    """Gap between vertical fins at which a heat sink of given size gives off most heat to still air, m.

    Parameters
    ----------
    length : length
        Of the fins, upwards.
    ambient, surface : temperature
        Of the air and of the fins.
    pressure : pressure

    Source: Bar-Cohen & Rohsenow, J. Heat Transfer 106 (1984), 116-123, thin fins of one temperature.
    """
    who = "optimal_fin_spacing"
    L = _one(length, "length", f"{who}: length")
    still, hot = _surroundings(who, ambient), _one(surface, "temperature", f"{who}: surface")
    if hot == still or L <= 0.0:
        raise ModelError(f"{who}: fins of a length above 0, warmer or colder than the air, are wanted")
    film = np.array([0.5 * (still + hot)])
    air = _air(film, _one(pressure, "pressure", f"{who}: pressure"))
    per_cube = STANDARD_GRAVITY / film * abs(hot - still) * air.prandtl / air.kinematic**2
    return float(2.714 * (per_cube[0] / L) ** -0.25)


# Forced convection


def _flat_plate(Re: float, Pr: float) -> float:
    """Incropera et al. (2011), eq. 7.30 up to 5e5 and eq. 7.38 up to 1e8."""
    if Re <= 5e5:
        return float(0.664 * Re**0.5 * Pr ** (1.0 / 3.0))
    return float((0.037 * Re**0.8 - 871.0) * Pr ** (1.0 / 3.0))


def _cross_flow(Re: float, Pr: float) -> float:
    """Churchill & Bernstein (1977), Re Pr above 0.2."""
    laminar = 0.62 * Re**0.5 * Pr ** (1.0 / 3.0) / (1.0 + (0.4 / Pr) ** (2.0 / 3.0)) ** 0.25
    return float(0.3 + laminar * (1.0 + (Re / 282_000.0) ** (5.0 / 8.0)) ** 0.8)


def _around_sphere(Re: float, Pr: float, ratio: float) -> float:
    """Whitaker (1972), with the viscosity of the fluid over that at the surface."""
    return float(2.0 + (0.4 * Re**0.5 + 0.06 * Re ** (2.0 / 3.0)) * Pr**0.4 * ratio**0.25)


def _pipe(Re: float, Pr: float, entry: float) -> float:
    """Hausen (1943) up to 2300, Gnielinski (1976) from 4000, between them as VDI Heat Atlas (2010), G1.

    `entry` is diameter over length.
    """

    def laminar(Re: float) -> float:
        graetz = entry * Re * Pr
        return float(3.66 + 0.0668 * graetz / (1.0 + 0.04 * graetz ** (2.0 / 3.0)))

    def turbulent(Re: float) -> float:
        f = (0.790 * np.log(Re) - 1.64) ** -2.0 / 8.0
        full = f * (Re - 1000.0) * Pr / (1.0 + 12.7 * np.sqrt(f) * (Pr ** (2.0 / 3.0) - 1.0))
        return float(full * (1.0 + entry ** (2.0 / 3.0)))

    if Re <= 2300.0:
        return laminar(Re)
    if Re >= 4000.0:
        return turbulent(Re)
    share = (Re - 2300.0) / 1700.0
    return (1.0 - share) * laminar(2300.0) + share * turbulent(4000.0)


def _between_fins(Re: float, Pr: float, short: float) -> float:
    """Teertstra et al. (2000), Re with the spacing; `short` is spacing over length."""
    channel = Re * short
    developed = 0.5 * channel * Pr
    entering = 0.664 * np.sqrt(channel) * Pr ** (1.0 / 3.0) * np.sqrt(1.0 + 3.65 / np.sqrt(channel))
    return float((developed**-3 + entering**-3) ** (-1.0 / 3.0))


_FORCED = {
    # size, another size, range of the Reynolds number (of fins: times spacing over length)
    "flat plate": ("length", None, (1e2, 1e8)),
    "cylinder": ("diameter", None, (0.4, 1e7)),
    "sphere": ("diameter", None, (3.5, 7.6e4)),
    "pipe": ("diameter", "length", (1.0, 5e6)),
    "fins": ("spacing", "length", (0.1, 100.0)),
}


def forced_convection(
    *, shape: str, speed: Any, ambient: Any, length: Any = None, diameter: Any = None, spacing: Any = None,
    surface: Any = None, fluid: str = "air", pressure: Any = ATMOSPHERE,
) -> float:  # fmt: skip
    """Mean heat transfer coefficient of a surface in a steady flow, W/(m^2 K).

    ==========  ==========================================  ===================================
    shape       sizes, speed                                source
    ==========  ==========================================  ===================================
    flat plate  length along the flow, speed away from it   Incropera et al.: laminar, then
                                                            turbulent from Re = 5e5
    cylinder    diameter, speed of the cross flow           Churchill & Bernstein
    sphere      diameter, speed away from it                Whitaker
    pipe        diameter and length, mean speed; of a duct  Hausen; Gnielinski
                in turbulent flow the hydraulic diameter
    fins        length along the flow, spacing: the gap;    Teertstra et al.
                speed between the fins
    ==========  ==========================================  ===================================

    Parameters
    ----------
    shape : str
    speed : velocity
        Of the flow.
    ambient : temperature
        Of the fluid as it comes: for fins at their entry, in a pipe its mean.
    length, diameter, spacing : length
        As the shape asks.
    surface : temperature, optional
        About how warm the surface will be; the fluid counts at the mean of both (around a sphere and in a
        pipe at the ambient). The ambient unless given.
    fluid : "air" or "water"
    pressure : pressure
        Of air, 1 atm unless given.

    Raises
    ------
    ModelError
        If the shape is unknown, a size is missing or unwanted, or the Reynolds number lies outside of the
        range of the correlation.

    Sources: see the module.
    """
    if shape not in _FORCED:
        raise ModelError(
            f"forced_convection: shape {shape!r} is unknown{did_you_mean(shape, _FORCED)}; known are "
            f"{', '.join(map(repr, _FORCED))}"
        )
    if fluid not in _FLUIDS:
        raise ModelError(f"forced_convection: fluid {fluid!r} is unknown; {' or '.join(map(repr, _FLUIDS))}")
    name, also, (least, most) = _FORCED[shape]
    who = f"forced_convection of {'' if shape == 'fins' else 'a '}{shape}"
    sizes = _sizes(who, {"length": length, "diameter": diameter, "spacing": spacing}, name, also)
    v = _one(speed, "velocity", f"{who}: speed")
    if v <= 0.0:
        raise ModelError(f"{who}: speed is {show(v, 'velocity')}; still air is natural_convection")
    coming = _one(ambient, "temperature", f"{who}: ambient")
    wall = coming if surface is None else _one(surface, "temperature", f"{who}: surface")
    p = _one(pressure, "pressure", f"{who}: pressure")
    at = coming if shape in ("sphere", "pipe") else 0.5 * (coming + wall)
    k, mu, nu, Pr = (float(one) for one in _FLUIDS[fluid](np.array(at), p))
    size = sizes[name]
    Re = v * size / nu
    small = size / sizes[also] if also else 1.0
    number, word = (Re * small, "Reynolds number times spacing over length") if shape == "fins" else (
        Re, "Reynolds number")  # fmt: skip
    if not least <= number <= most:
        raise ModelError(
            f"{who}: its {word} is {number:.3g} and the correlation holds from {least:g} to {most:g}; check "
            f"speed {show(v, 'velocity')} and {name} {show(size, 'length')}, or state a measured coefficient"
        )
    if shape == "flat plate":
        nusselt = _flat_plate(Re, Pr)
    elif shape == "cylinder":
        nusselt = _cross_flow(Re, Pr)
    elif shape == "sphere":
        nusselt = _around_sphere(Re, Pr, mu / float(_FLUIDS[fluid](np.array(wall), p).viscosity))
    elif shape == "pipe":
        nusselt = _pipe(Re, Pr, small)
    else:
        nusselt = _between_fins(Re, Pr, small)
    return nusselt * k / size


# What was stated


def _one(value: Any, dimension: str, name: str) -> float:
    number = to_si(value, dimension, name=name)
    if not isinstance(number, float):
        raise ModelError(f"{name}: one value is wanted, got {value!r}")
    return number


def _sizes(who: str, given: dict[str, Any], first: str, second: str | None) -> dict[str, float]:
    """The sizes a shape asks for, m; no others."""
    wanted = [first] if second is None else [first, second]
    for key, value in given.items():
        if (key in wanted) != (value is not None):
            what = "lacks its" if key in wanted else "knows no"
            raise ModelError(f"{who} {what} {key}; it wants {' and '.join(wanted)}, as {wanted[0]}='50 mm'")
    sizes = {key: _one(given[key], "length", f"{who}: {key}") for key in wanted}
    for key, size in sizes.items():
        if size <= 0.0:
            raise ModelError(f"{who}: {key} is {show(size, 'length')}; it must be positive")
    return sizes


def _surroundings(who: str, ambient: Any) -> float:
    still = _one(ambient, "temperature", f"{who}: ambient")
    if not _COLDEST + 5.0 <= still <= 1100.0:
        hint = f"; did you mean '{still:g} degC'?" if still < _COLDEST else ""
        raise ModelError(
            f"{who}: ambient is {show(still, 'temperature')}; air is tabulated for an ambient from "
            f"{show(_COLDEST + 5.0, 'temperature')} to {show(1100.0, 'temperature')}{hint}"
        )
    return still
