"""Crack growth from a flaw: Paris with Walker's load ratio, threshold, toughness; cycles to failure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin.errors import FatigueError, did_you_mean
from designtwin.fatigue.curves import number
from designtwin.fatigue.cycles import Cycles
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

_POINTS = 24
"""Of the Gauss rule on each panel of crack length."""
_PANELS = 24
"""Panels of the logarithm of crack length."""
_STEPS = 200
"""Halvings of the search for a crack length."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ParisLaw(Plain):
    """Growth of a crack in a cycle, da/dN = rate (dK / at)^exponent.

    Parameters
    ----------
    rate : "1e-11 m"
        Growth in one cycle whose range of stress intensity is `at`.
    at : "1 MPa*sqrt(m)"
    exponent : float
        m of Paris.
    walker : float
        Exponent g: the range counts as dK (1 - R)^(g - 1) for R > 0. 1: no influence of R.
    threshold : "2 MPa*sqrt(m)", optional
        Ranges up to it do not grow a crack.
    toughness : "60 MPa*sqrt(m)"
        K_c: the crack is at its end where the highest K reaches it.
    closure : bool
        Whether the compressive part of a cycle is left out (R < 0 counts the tensile part alone). Not to be
        taken where welds leave tension behind.
    name, source, grade : str, optional

    Source: Paris and Erdogan, J. Basic Eng. 85 (1963) 528; Walker, ASTM STP 462 (1970) 1; Dowling, Mechanical
    Behavior of Materials, 4th ed. (2013), sec. 11.3 to 11.7.
    """

    rate: Any
    exponent: float
    toughness: Any
    at: Any = "1 MPa*sqrt(m)"
    walker: float = 1.0
    threshold: Any = 0.0
    closure: bool = True
    name: str = "Paris law"
    source: str | None = None
    grade: str | None = None

    def __post_init__(self) -> None:
        for key in ("rate", "toughness", "at", "threshold"):
            dimension = "length" if key == "rate" else "stress_intensity"
            value = float(to_si(getattr(self, key), dimension, name=f"{key} of {self.name}"))
            object.__setattr__(self, key, value)
            if value < 0.0 or (value == 0.0 and key != "threshold"):
                raise FatigueError(f"{key} of {self.name} is {show(value, dimension)}; it must be positive")
        for key in ("exponent", "walker"):
            object.__setattr__(self, key, number(getattr(self, key), f"{key} of {self.name}"))
        if not 0.0 < self.exponent < 20.0:
            raise FatigueError(f"exponent of {self.name} is {self.exponent:g}; it is positive, about 3")
        if not 0.0 < self.walker <= 1.0:
            raise FatigueError(f"walker of {self.name} is {self.walker:g}; it lies between 0 and 1")
        if self.threshold >= self.toughness:
            raise FatigueError(
                f"threshold of {self.name} ({show(self.threshold, 'stress_intensity')}) is not below its "
                f"toughness ({show(self.toughness, 'stress_intensity')})"
            )

    def effective(self, low: Any, high: Any) -> FloatArray:
        """The range that counts of cycles between two values of stress or of K, in the same unit."""
        lowest, highest = np.broadcast_arrays(np.asarray(low, dtype=float), np.asarray(high, dtype=float))
        bottom = np.maximum(lowest, 0.0) if self.closure else lowest
        span = np.maximum(highest - bottom, 0.0)
        # 1 - R for R > 0; 1 of all others, and of what does not move
        share = np.divide(span, highest, out=np.ones_like(span), where=(bottom > 0.0) & (span > 0.0))
        return np.asarray(span * share ** (self.walker - 1.0))

    def growth(self, effective: Any) -> FloatArray:
        """Growth of one cycle of an effective range of K (Pa sqrt(m)), m."""
        k = np.asarray(effective, dtype=np.float64)
        return np.where(k > self.threshold, self.rate * (k / self.at) ** self.exponent, 0.0)


_LAWS = {
    "steel in air": ("5.21e-13 mm", "63 N/mm^1.5"),
    "aluminum in air": ("1.41e-11 mm", "21 N/mm^1.5"),
}


def paris_law(name: str, toughness: Any, **overrides: Any) -> ParisLaw:
    """Growth that is safe to assume where no tests are at hand, of base metal and welds.

    Parameters
    ----------
    name : "steel in air" or "aluminum in air"
    toughness : "60 MPa*sqrt(m)"
        Of the very material; nothing stands in for it.
    **overrides
        Fields of `ParisLaw` to state otherwise.

    Raises
    ------
    FatigueError
        If the name is another.

    Source: IIW-2259-15 (Hobbacher 2016), sec. 3, resistance against crack propagation (steel in air,
    aluminum; the threshold is that of welds).
    """
    if name not in _LAWS:
        raise FatigueError(
            f"no growth law of {name!r}{did_you_mean(str(name), _LAWS)}; known are {', '.join(_LAWS)}"
        )
    rate, threshold = _LAWS[name]
    stated: dict[str, Any] = {
        "rate": rate,
        "at": "1 N/mm^1.5",
        "exponent": 3.0,
        "threshold": threshold,
        "toughness": toughness,
        "closure": False,  # welds hold tension
        "name": name,
        "source": "IIW-2259-15 (Hobbacher 2016), sec. 3, resistance against crack propagation",
        "grade": "standard",
    }
    return ParisLaw(**stated | overrides)


# ---------------------------------------------------------------------------------------------------
# Geometry: K = Y(a) s sqrt(pi a)
# ---------------------------------------------------------------------------------------------------


def _wide(ratio: FloatArray) -> FloatArray:
    return np.ones_like(ratio)


def _center(ratio: FloatArray) -> FloatArray:
    # 2 a over the width
    return (1.0 - 0.025 * ratio**2 + 0.06 * ratio**4) * np.sqrt(1.0 / np.cos(0.5 * np.pi * ratio))


def _edge(ratio: FloatArray) -> FloatArray:
    half = np.maximum(0.5 * np.pi * ratio, 1e-300)
    tan = np.sqrt(np.tan(half) / half)
    return tan * (0.752 + 2.02 * ratio + 0.37 * (1.0 - np.sin(half)) ** 3) / np.cos(half)


def _edge_bending(ratio: FloatArray) -> FloatArray:
    return 1.122 + ratio * (-1.40 + ratio * (7.33 + ratio * (-13.08 + ratio * 14.0)))


def _surface(ratio: FloatArray, aspect: float) -> FloatArray:
    """Newman and Raju at the deepest point of a semi-ellipse in a wide plate, tension."""
    q = 1.0 + 1.464 * aspect**1.65
    m1 = 1.13 - 0.09 * aspect
    m2 = -0.54 + 0.89 / (0.2 + aspect)
    m3 = 0.5 - 1.0 / (0.65 + aspect) + 14.0 * (1.0 - aspect) ** 24
    return (m1 + m2 * ratio**2 + m3 * ratio**4) / math.sqrt(q)


_SHAPES: dict[str, tuple[Callable[[FloatArray], FloatArray] | None, float, bool, str]] = {
    # factor over a / size, largest ratio it holds for, whether a size is needed, source
    "wide": (_wide, math.inf, False, "a crack of length 2 a in a wide plate: Y = 1"),
    "penny": (
        lambda r: np.full_like(r, 2.0 / np.pi),
        math.inf,
        False,
        "Sneddon, Proc. R. Soc. A 187 (1946) 229",
    ),
    "wide edge": (
        lambda r: np.full_like(r, 1.1215),
        math.inf,
        False,
        "edge of a half plane, Tada (2000), 8.1",
    ),
    "center": (
        _center,
        0.95,
        True,
        "Tada, Paris, Irwin, Stress Analysis of Cracks Handbook (2000), 2.2; 2 a / width",
    ),
    "edge": (
        _edge,
        0.95,
        True,
        "Tada, Paris, Irwin (2000), 2.11: one edge, tension, free to bend; a / width",
    ),
    "edge in bending": (
        _edge_bending,
        0.6,
        True,
        "Brown and Srawley, ASTM STP 410 (1966): one edge, pure bending; a / width",
    ),
    "surface": (
        None,
        0.8,
        True,
        "Newman and Raju, Eng. Fract. Mech. 15 (1981) 185: deepest point; a / thickness",
    ),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Flaw(Plain):
    """A crack where it begins, and how its stress intensity grows: K = Y s sqrt(pi a).

    Parameters
    ----------
    depth : "1 mm"
        a at the start: depth, or half of the length of an inner crack.
    shape : str
        "wide" (inner crack, wide plate, Y = 1), "wide edge" (1.1215), "penny" (inner disc, 2 / pi), "center"
        (inner, finite width), "edge", "edge in bending", "surface" (semi-ellipse of constant aspect, deepest
        point).
    size : "50 mm"
        Full width of "center", "edge" and "edge in bending"; thickness of "surface".
    aspect : float
        a / c of "surface", depth over half length, up to 1.
    factor : float, optional
        A constant Y in place of a shape.

    Raises
    ------
    FatigueError
        If the shape is unknown, lacks its size, or is cut through by the flaw.
    """

    depth: Any
    shape: str = "wide"
    size: Any = None
    aspect: float = 1.0
    factor: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", float(to_si(self.depth, "length", name="depth of the flaw")))
        if self.size is not None:
            object.__setattr__(self, "size", float(to_si(self.size, "length", name="size at the flaw")))
        object.__setattr__(self, "aspect", number(self.aspect, "aspect of the flaw"))
        if self.factor is not None:
            object.__setattr__(self, "factor", number(self.factor, "factor of the flaw"))
        if not self.depth > 0.0:
            raise FatigueError(f"depth of the flaw is {show(self.depth, 'length')}; it must be positive")
        if self.shape not in _SHAPES:
            raise FatigueError(
                f"shape of the flaw is {self.shape!r}{did_you_mean(str(self.shape), _SHAPES)}; it is one of "
                f"{', '.join(_SHAPES)}"
            )
        if self.factor is not None and not self.factor > 0.0:
            raise FatigueError(f"factor of the flaw is {self.factor:g}; it must be positive")
        if not 0.0 < self.aspect <= 1.0:
            raise FatigueError(f"aspect of the flaw is {self.aspect:g}; a / c lies between 0 and 1")
        sized = self.factor is None and _SHAPES[self.shape][2]
        if self.size is not None and not sized:
            whose = "a factor of its own" if self.factor is not None else f"shape {self.shape!r}"
            raise FatigueError(
                f"a flaw of {whose} knows no size: leave size= out, or say which it is of: "
                f"{', '.join(name for name, one in _SHAPES.items() if one[2])}"
            )
        if sized:
            if self.size is None or not self.size > 0.0:
                raise FatigueError(
                    f"a flaw of shape {self.shape!r} needs size=, such as '50 mm' ({self.source})"
                )
            if self.depth >= self.limit:
                raise FatigueError(
                    f"the flaw is {show(self.depth, 'length')} deep where its factor holds up to "
                    f"{show(self.limit, 'length')} ({self.source})"
                )

    @property
    def source(self) -> str:
        """Where the factor comes from."""
        return "stated" if self.factor is not None else _SHAPES[self.shape][3]

    @property
    def limit(self) -> float:
        """Depth up to which the factor holds, m; a crack that gets there has failed."""
        if self.factor is not None or self.size is None or not _SHAPES[self.shape][2]:
            return math.inf
        reach = 0.5 if self.shape == "center" else 1.0
        return float(_SHAPES[self.shape][1] * self.size * reach)

    def geometry(self, depth: Any) -> FloatArray:
        """Y at depths, m; float64[...]."""
        a = np.asarray(depth, dtype=np.float64)
        if self.factor is not None:
            return np.full(a.shape, float(self.factor))
        ratio = (
            np.zeros_like(a)
            if self.size is None
            else a / self.size * (2.0 if self.shape == "center" else 1.0)
        )
        function = _SHAPES[self.shape][0]
        return _surface(ratio, self.aspect) if function is None else function(ratio)

    def intensity(self, depth: Any) -> FloatArray:
        """K over stress, sqrt(m), at depths; float64[...]."""
        a = np.asarray(depth, dtype=np.float64)
        return np.asarray(self.geometry(a) * np.sqrt(np.pi * a))


# ---------------------------------------------------------------------------------------------------
# Life
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class CrackLife(Plain):
    """How long a flaw takes to become a crack that breaks.

    Parameters
    ----------
    repetitions : float
        Cycles, or repetitions of the history, until the end; inf where the flaw does not grow.
    final : float
        Depth at the end, m.
    depth, at : float64[n]
        The course: depth (m) over repetitions.
    ended_by : str
        "toughness", "size" (the factor of the shape holds no further) or "nothing" (it does not grow).
    """

    repetitions: float
    final: float
    depth: FloatArray
    at: FloatArray
    ended_by: str

    def depth_after(self, repetitions: Any) -> FloatArray:
        """Depth after a number of repetitions, m; the final one beyond the end."""
        return np.asarray(np.interp(np.asarray(repetitions, dtype=np.float64), self.at, self.depth))

    def __str__(self) -> str:
        if math.isinf(self.repetitions):
            return f"the flaw does not grow beyond {show(self.final, 'length')}"
        end = f"a crack of {show(self.final, 'length')}, ended by {self.ended_by}"
        return f"{self.repetitions:.6g} repetitions to {end}"


def critical_depth(flaw: Flaw, highest: Any, toughness: Any) -> float:
    """Depth at which the highest stress brings K to the toughness, m; the limit of the flaw's factor if
    earlier.

    Parameters
    ----------
    flaw : Flaw
    highest : "100 MPa"
        Highest stress.
    toughness : "60 MPa*sqrt(m)"
    """
    stress = float(to_si(highest, "stress", name="highest"))
    k = float(to_si(toughness, "stress_intensity", name="toughness"))
    start = float(flaw.depth)
    if stress <= 0.0:
        return flaw.limit
    if stress * float(flaw.intensity(start)) >= k:
        return start
    low, high = start, min(flaw.limit, 2.0 * start)
    while high < flaw.limit and stress * float(flaw.intensity(high)) < k:
        low, high = high, min(2.0 * high, flaw.limit)
    if stress * float(flaw.intensity(high)) < k:
        return float(flaw.limit)
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        low, high = (middle, high) if stress * float(flaw.intensity(middle)) < k else (low, middle)
    return 0.5 * (low + high)


def crack_life(flaw: Flaw, law: ParisLaw, cycles: Cycles) -> CrackLife:
    """How often a history repeats until its crack breaks.

    Growth of one repetition is the sum over its cycles, without influence of their order, and small over the
    crack; so repetitions are the integral of crack length over growth.

    Parameters
    ----------
    flaw : Flaw
    law : ParisLaw
    cycles : Cycles
        Of the stress at the flaw, Pa, as if it were not there: from `rainflow`, or of constant amplitude,
        ``Cycles(range=[100e6], mean=[50e6], count=[1])``.

    Returns
    -------
    CrackLife

    Raises
    ------
    FatigueError
        If there are no cycles.

    Source: Dowling, Mechanical Behavior of Materials, 4th ed. (2013), sec. 11.7 to 11.8.
    """
    if not isinstance(flaw, Flaw) or not isinstance(law, ParisLaw):
        raise FatigueError(
            f"a Flaw and a ParisLaw are wanted, in this order; got {type(flaw).__name__} and "
            f"{type(law).__name__}"
        )
    if not isinstance(cycles, Cycles):
        raise FatigueError(f"cycles are wanted, as rainflow gives them; got {type(cycles).__name__}")
    if not len(cycles) or not cycles.total > 0.0:
        raise FatigueError("no cycles, no growth: the history is empty")
    effective = law.effective(cycles.lowest, cycles.highest)
    spans, at = np.unique(effective, return_inverse=True)
    # of a crack length only those above the threshold count: a sum from the largest down to them
    powers = np.bincount(at, weights=cycles.count * effective**law.exponent, minlength=len(spans))
    above = np.concatenate([np.cumsum(powers[::-1])[::-1], [0.0]])
    highest = float(cycles.highest.max())
    final = critical_depth(flaw, highest, law.toughness)
    reason = "toughness" if final < flaw.limit else "size"
    start = float(flaw.depth)

    def growth(depth: FloatArray) -> FloatArray:
        k = flaw.intensity(depth)
        awake = above[np.searchsorted(spans, law.threshold / k, side="right")]
        return np.asarray(law.rate * (k / law.at) ** law.exponent * awake)

    if final <= start:
        return CrackLife(
            repetitions=0.0, final=start, depth=np.array([start]), at=np.zeros(1), ended_by=reason
        )
    if not math.isfinite(final) or not float(growth(np.array([start]))[0]) > 0.0:
        return CrackLife(
            repetitions=math.inf, final=start, depth=np.array([start]), at=np.zeros(1), ended_by="nothing"
        )
    # Cycles that wake up on the way put kinks into the growth: panels end where they do.
    wakes = (
        np.empty(0)
        if law.threshold == 0.0
        else _wakes(flaw, law.threshold / spans[spans > 0.0], start, final)
    )
    edges = np.unique(np.concatenate([np.geomspace(start, final, _PANELS + 1), wakes]))
    edges[0], edges[-1] = start, final
    x, w = np.polynomial.legendre.leggauss(_POINTS)
    lengths = np.diff(np.log(edges))
    at = np.exp(np.log(edges[:-1])[:, None] + 0.5 * lengths[:, None] * (x + 1.0))
    rates = growth(at.ravel()).reshape(at.shape)
    with np.errstate(divide="ignore"):
        parts = 0.5 * lengths * ((at / rates) @ w)
    course = np.concatenate([[0.0], np.cumsum(parts)])
    if math.isinf(course[-1]):  # its stress intensity falls as it grows, as in bending: it comes to rest
        grows = int(np.count_nonzero(np.isfinite(course)))
        return CrackLife(
            repetitions=math.inf,
            final=float(edges[grows - 1]),
            depth=edges[:grows],
            at=course[:grows],
            ended_by="nothing",
        )
    return CrackLife(repetitions=float(course[-1]), final=final, depth=edges, at=course, ended_by=reason)


def _wakes(flaw: Flaw, wanted: FloatArray, start: float, final: float) -> FloatArray:
    """Depths between start and end at which K over stress reaches what cycles need to grow the crack."""
    depths = np.geomspace(start, final, 512)
    reach = flaw.intensity(depths)
    if (np.diff(reach) <= 0.0).any():
        return np.empty(0)
    inside = wanted[(wanted > reach[0]) & (wanted < reach[-1])]
    return np.asarray(np.exp(np.interp(inside[:: max(1, len(inside) // 64)], reach, np.log(depths))))
