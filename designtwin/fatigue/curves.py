"""S-N curves: stress amplitude over cycles, with scatter; a library of sourced ones."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from importlib.resources import files
from statistics import NormalDist
from typing import Any, Self

import numpy as np

from designtwin.errors import FatigueError, did_you_mean
from designtwin.fatigue.cycles import Cycles
from designtwin.fatigue.mean_stress import MeanStress, mean_stress_sensitivity
from designtwin.kernels import damage as kernels
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import show, to_si


def number(value: Any, name: str, dimension: str = "dimensionless") -> float:
    """One number at the door, SI; a UnitError names what is none."""
    found = to_si(value, dimension, name=name)
    if not isinstance(found, float):
        raise FatigueError(f"{name} is {value!r}; one number is wanted")
    return found


def curve_of(curve: Any) -> SNCurve:
    """A curve, or that of the library with such a name."""
    if isinstance(curve, str):
        return fatigue_curve(curve)
    if not isinstance(curve, SNCurve):
        raise FatigueError(f"curve={curve!r}: an SNCurve or the name of one is wanted")
    return curve


KINDS = {
    "base metal": "notch",
    "nominal": "nominal",
    "hot-spot": "hot-spot",
    "effective notch": "effective notch",
}
"""Kind of a curve, and the kind of stress it was made for."""
_STRESSES = {
    "notch": "the stress of the model at its surface, notches and weld toes as they are meshed",
    "nominal": "the stress of the section, without the notch",
    "hot-spot": "the surface stress extrapolated to the weld toe",
    "effective notch": "the stress of a model whose weld toes and roots are rounded with 1 mm",
}
_REMEDY = {
    "base metal": "use a curve of the base metal where the surface is plain, and a FAT class at welds",
    "nominal": "read a nominal stress, or extrapolate to the hot spot and take a hot-spot class, or round "
    "the toes with 1 mm and take the effective notch class ('FAT 225 effective notch' for steel)",
    "hot-spot": "extrapolate the stress to the weld toe (dtw.hot_spot_stress), or round the toes with 1 mm "
    "and take the effective notch class ('FAT 225 effective notch' for steel)",
    "effective notch": "round weld toes and roots with 1 mm in the model and say that its stress is of kind "
    "'effective notch'; where the surface is no weld, take a curve of the base metal",
}
_BEYOND = ("elementary", "original", "Haibach")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SNCurve(Plain):
    """Cycles to failure over stress amplitude: straight lines between logarithms.

    Parameters
    ----------
    amplitude : "180 MPa"
        Half of the range, at `cycles`. Welded details are stated by range: `SNCurve.of_range`.
    cycles : float
        Where the amplitude holds, such as 1e6.
    slope : float or (float, ...)
        k in N = cycles (amplitude / s)^k; one more for each further `knee`.
    knee : float or (float, ...), optional
        Cycles at which the slope changes; none is a line without end.
    miner : "elementary", "original" or "Haibach"
        Beyond the last knee: the same slope, no damage at all, or 2 k - 1 (Haibach 1970), which is right for
        loads of variable amplitude. Slopes one more than knees say it themselves.
    survival : float
        Probability of survival the curve is drawn at, such as 0.975.
    scatter : float, optional
        Standard deviation of log10 N.
    ratio : float, optional
        Load ratio R of the tests, -1 by default. None: the curve does not depend on mean stress, as of welds
        with their residual stress.
    kind : "base metal", "nominal", "hot-spot" or "effective notch"
        What stress the curve was made for; `check_stress` refuses another.
    ultimate : "470 MPa", optional
        Of the material: Goodman, Gerber and FKM ask for it.
    family : str, optional
        Of the material ("steel", "ductile iron", ...), for the sensitivity and the roughness of FKM.
    valid_from : float
        Fewer cycles than this are outside of the curve: strain decides there.
    thickness : ("25 mm", 0.3), optional
        Reference thickness and exponent of `at_thickness`.
    name, source, grade : str, optional
        Where it comes from; grade "standard", "rule" or "typical".

    Source: IIW-2259-15 (Hobbacher, Recommendations for Fatigue Design of Welded Joints, 2016), sec. 3; FKM
    Guideline, 6th ed. (2012), sec. 2.4; Haibach, Betriebsfestigkeit, 3rd ed. (2006), sec. 2.
    """

    amplitude: Any
    cycles: float
    slope: Any
    knee: Any = ()
    miner: str = "original"
    survival: float = 0.5
    scatter: float | None = None
    ratio: float | None = -1.0
    kind: str = "base metal"
    ultimate: Any = None
    family: str | None = None
    valid_from: float = 1e4
    thickness: Any = None
    name: str = "S-N curve"
    source: str | None = None
    grade: str | None = None

    def __post_init__(self) -> None:
        self._settle("amplitude", float(to_si(self.amplitude, "stress", name=f"amplitude of {self.name}")))
        if self.ultimate is not None:
            self._settle("ultimate", float(to_si(self.ultimate, "stress", name=f"ultimate of {self.name}")))
        for key in ("cycles", "survival", "valid_from", "scatter", "ratio"):
            if getattr(self, key) is not None or key in ("cycles", "survival", "valid_from"):
                dimension = "share" if key == "survival" else "dimensionless"
                self._settle(key, number(getattr(self, key), f"{key} of {self.name}", dimension))
        for key in ("slope", "knee"):
            given = getattr(self, key)
            row = () if given is None else given if isinstance(given, list | tuple | np.ndarray) else (given,)
            self._settle(key, tuple(v if v == math.inf else number(v, f"{key} of {self.name}") for v in row))
        if self.thickness is not None:
            if not isinstance(self.thickness, list | tuple) or len(self.thickness) != 2:
                raise FatigueError(
                    f"thickness of {self.name} is {self.thickness!r}; the reference and its exponent are "
                    "wanted, such as ('25 mm', 0.3)"
                )
            reference, exponent = self.thickness
            where = f"thickness of {self.name}"
            self._settle(
                "thickness", (number(reference, where, "length"), number(exponent, f"exponent of {where}"))
            )
        self._check()

    def _settle(self, key: str, value: Any) -> None:
        object.__setattr__(self, key, value)

    def _check(self) -> None:
        positive = {
            "amplitude": (self.amplitude,),
            "cycles": (self.cycles,),
            "slope": self.slope,
            "knee": self.knee,
        }
        positive["ultimate"] = (1.0 if self.ultimate is None else self.ultimate,)
        positive["valid_from"] = (self.valid_from,)
        positive["thickness"] = self.thickness or ()
        for key, values in positive.items():
            if not all(v > 0.0 for v in values):
                raise FatigueError(f"{key} of {self.name} is {getattr(self, key)!r}; it must be positive")
        if not math.isfinite(self.cycles) or not all(map(math.isfinite, self.knee)):
            raise FatigueError(f"cycles and knees of {self.name} are to be finite numbers")
        if any(b <= a for a, b in zip(self.knee, self.knee[1:])):
            raise FatigueError(f"knees of {self.name} are {self.knee}; they must grow")
        if len(self.slope) not in (max(1, len(self.knee)), len(self.knee) + 1):
            raise FatigueError(
                f"{self.name} has {len(self.slope)} slopes and {len(self.knee)} knees; one slope for each "
                "knee (what follows the last is said by miner), or one more"
            )
        if any(not math.isfinite(k) for k in self.slope[:-1]) or not math.isfinite(self.slope[0]):
            raise FatigueError(f"slopes of {self.name} are {self.slope}; only the last may be infinite")
        if self.miner not in _BEYOND:
            raise FatigueError(
                f"miner of {self.name} is {self.miner!r}{did_you_mean(str(self.miner), _BEYOND)}; it is one "
                f"of {', '.join(_BEYOND)}"
            )
        if self.kind not in KINDS:
            raise FatigueError(
                f"kind of {self.name} is {self.kind!r}{did_you_mean(str(self.kind), KINDS)}; it is one of "
                f"{', '.join(KINDS)}"
            )
        if not 0.0 < self.survival < 1.0:
            raise FatigueError(f"survival of {self.name} is {self.survival:g}; it lies between 0 and 1")
        if self.scatter is not None and not 0.0 <= self.scatter < 2.0:
            raise FatigueError(
                f"scatter of {self.name} is {self.scatter:g}; it is the standard deviation of log10 N, such "
                "as 0.2"
            )
        if self.ratio is not None and not self.ratio < 1.0:
            raise FatigueError(f"ratio of {self.name} is {self.ratio:g}; a load ratio R lies below 1")

    @classmethod
    def of_range(cls, range: Any, **options: Any) -> Self:
        """A curve stated by its range, as FAT classes are: ``of_range("71 MPa", cycles=2e6, slope=3)``."""
        return cls(amplitude=0.5 * float(to_si(range, "stress", name="range")), **options)

    @classmethod
    def basquin(cls, coefficient: Any, exponent: float, **options: Any) -> Self:
        """s_a = s_f' (2 N)^b, with b negative.

        Parameters
        ----------
        coefficient : "900 MPa"
            s_f', the amplitude at one reversal; it becomes `cycles` 0.5.
        exponent : float
            b, such as -0.09.
        """
        exponent = number(exponent, "exponent")
        if not -1.0 < exponent < 0.0:
            raise FatigueError(
                f"exponent of Basquin's line is {exponent:g}; b lies between -1 and 0, such as -0.09"
            )
        return cls(amplitude=coefficient, cycles=0.5, slope=-1.0 / exponent, **options)

    # ------------------------------------------------------------------------------------------ the line

    @cached_property
    def segments(self) -> tuple[tuple[float, float, float, float], ...]:
        """From high to low: lowest amplitude (Pa), slope, and a point (Pa, cycles) of each line."""
        slopes = list(self.slope)
        if len(slopes) == len(self.knee):
            last = slopes[-1]
            slopes.append({"elementary": last, "original": math.inf, "Haibach": 2.0 * last - 1.0}[self.miner])
        home = bisect_left(self.knee, self.cycles)
        points = {home: (self.amplitude, self.cycles)}  # one of each line; the others follow at the knees
        for line in [*range(home - 1, -1, -1), *range(home + 1, len(slopes))]:
            neighbor = line + 1 if line < home else line - 1
            knee = self.knee[min(line, neighbor)]
            s, n = points[neighbor]
            points[line] = (s * (knee / n) ** (-1.0 / slopes[neighbor]), knee)
        lines = []
        for line, k in enumerate(slopes):
            s, n = points[line]
            lowest = s * (self.knee[line] / n) ** (-1.0 / k) if line < len(self.knee) else 0.0
            if math.isfinite(k):
                lines.append((lowest, k, s, n))
        return tuple(lines)

    @property
    def endurance(self) -> float:
        """Amplitude below which the curve counts no damage, Pa; 0 where it goes on falling."""
        return self.segments[-1][0]

    @property
    def largest_amplitude(self) -> float:
        """Amplitude at `valid_from` cycles, Pa: beyond it the curve was not made."""
        return float(self.strength(self.valid_from))

    def table(self, mean_stress: str | MeanStress | None = None, *, ultimate: Any = None) -> FloatArray:
        """The curve and its mean stress correction as the kernels read it.

        Parameters
        ----------
        mean_stress, ultimate
            As of `correction`.

        Returns
        -------
        float64[3 + 3 n]
            Laid out as said in `kernels.damage`.

        Raises
        ------
        FatigueError
            As `correction`.
        """
        correction = self.correction(mean_stress, ultimate=ultimate)
        # tests at another load ratio stand for larger amplitudes at R = -1
        factor = 1.0
        if self.ratio is not None and correction.method != "none":
            factor = float(correction.equivalent(1.0, (1.0 + self.ratio) / (1.0 - self.ratio)))
        rows = [
            (factor * lowest, k, k * math.log(factor * s) + math.log(n)) for lowest, k, s, n in self.segments
        ]
        return np.array([correction.code, correction.parameter, len(rows), *np.ravel(rows)])

    def correction(self, mean_stress: str | MeanStress | None = None, *, ultimate: Any = None) -> MeanStress:
        """The mean stress correction by its name, with the parameter the curve states.

        Parameters
        ----------
        mean_stress : str or MeanStress, optional
            "Goodman", "Gerber", "SWT" or "FKM" by name; Morrow and Walker with their parameter:
            ``MeanStress(method="Walker", exponent=0.65)``. None: mean stress does not count.
        ultimate : "470 MPa", optional
            Of the material, where the curve states none.

        Raises
        ------
        FatigueError
            If a parameter is missing, the curve does not depend on mean stress, or its load ratio is not -1
            and the correction has no single factor for it.
        """
        word = mean_stress.method if isinstance(mean_stress, MeanStress) else str(mean_stress or "none")
        if word.casefold() == "none":
            return MeanStress()
        if self.ratio is None:
            raise FatigueError(
                f"{self.name} does not depend on mean stress (a weld holds its residual stress); {word} "
                "would count it a second time: leave mean_stress out"
            )
        known = self.ultimate if self.ultimate is not None else ultimate
        if isinstance(mean_stress, MeanStress):
            found = mean_stress
        elif word.casefold() in ("goodman", "gerber"):
            if known is None:
                raise FatigueError(
                    f"{word} needs the ultimate strength, which neither {self.name} nor the material states; "
                    f"write MeanStress(method={word!r}, ultimate='510 MPa')"
                )
            found = MeanStress(method=word, ultimate=known)
        elif word.casefold() == "fkm":
            if known is None or self.family is None:
                raise FatigueError(
                    f"FKM needs the sensitivity, and {self.name} lacks what it follows from (family and "
                    "ultimate); write MeanStress(method='FKM', sensitivity=0.15)"
                )
            found = MeanStress(method="FKM", sensitivity=mean_stress_sensitivity(_iron(self.family), known))
        else:
            found = MeanStress(method=word)
        if self.ratio != -1.0 and not found.is_proportional:
            raise FatigueError(
                f"{self.name} is stated at R = {self.ratio:g}, and {found.method} starts from R = -1; state "
                "the curve at R = -1, or use SWT, Walker or FKM"
            )
        return found

    # --------------------------------------------------------------------------------------------- damage

    def life(
        self,
        amplitude: Any,
        mean: Any = 0.0,
        *,
        mean_stress: str | MeanStress | None = None,
        ultimate: Any = None,
    ) -> FloatArray:
        """Cycles to failure.

        Parameters
        ----------
        amplitude, mean : "200 MPa", float or float64[...]
            Pa.
        mean_stress, ultimate
            As of `correction`.

        Returns
        -------
        float64[...]
            inf where a cycle does no damage.
        """
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / self._damages(amplitude, mean, mean_stress, ultimate))

    def _damages(
        self, amplitude: Any, mean: Any, mean_stress: str | MeanStress | None, ultimate: Any
    ) -> FloatArray:
        amplitudes = np.asarray(to_si(amplitude, "stress", name="amplitude"), dtype=np.float64)
        means = np.asarray(to_si(mean, "stress", name="mean"), dtype=np.float64)
        if amplitudes.size and amplitudes.min() < 0.0:
            raise FatigueError(
                f"an amplitude is {show(float(amplitudes.min()), 'stress')}; it is half of a range"
            )
        a, m = np.broadcast_arrays(amplitudes, means)
        out = np.empty(a.size)
        table = self.table(mean_stress, ultimate=ultimate)
        kernels.cycle_damages(np.ascontiguousarray(a).ravel(), np.ascontiguousarray(m).ravel(), table, out)
        return out.reshape(a.shape)

    def damage(
        self, cycles: Cycles, *, mean_stress: str | MeanStress | None = None, ultimate: Any = None
    ) -> float:
        """Damage sum of cycles of stress (Pa) by Palmgren and Miner: failure is expected at 1.

        Raises
        ------
        FatigueError
            As `correction`.

        Source: Miner, J. Appl. Mech. 12 (1945) A159.
        """
        if not isinstance(cycles, Cycles):
            raise FatigueError(f"cycles are wanted, as rainflow gives them; got {type(cycles).__name__}")
        return float(cycles.count @ self._damages(cycles.amplitude, cycles.mean, mean_stress, ultimate))

    def strength(self, cycles: Any) -> FloatArray:
        """Amplitude that is endured for a number of cycles, Pa; float64[...] for an array."""
        n = np.asarray(cycles, dtype=np.float64)
        if n.size and not n.min() > 0.0:
            raise FatigueError(f"strength at {n.min():g} cycles; a positive number is wanted")
        _, k, s, reference = np.transpose(self.segments)
        line = np.searchsorted(self.knee, n, side="left")
        at = np.minimum(line, len(k) - 1)
        return np.where(line < len(k), s[at] * (n / reference[at]) ** (-1.0 / k[at]), self.endurance)

    # ------------------------------------------------------------------------------------ the same otherwise

    def life_factor(self, survival: float) -> float:
        """Life at another probability of survival over that of the curve: lives scatter lognormally.

        Raises
        ------
        FatigueError
            If the curve states no scatter.
        """
        survival = number(survival, "survival", "share")
        if not 0.0 < survival < 1.0:
            raise FatigueError(f"survival is {survival:g}; it lies between 0 and 1")
        if self.scatter is None:
            raise FatigueError(
                f"{self.name} states no scatter, which another probability of survival needs; state "
                "scatter=, the standard deviation of log10 N"
            )
        normal = NormalDist()
        return float(10.0 ** (self.scatter * (normal.inv_cdf(self.survival) - normal.inv_cdf(survival))))

    def at_survival(self, survival: float) -> Self:
        """The curve at another probability of survival.

        Lives before the first knee change by `life_factor`. The strength changes by one factor everywhere,
        knees stay at their cycles: an endurance limit scatters as the strength before it does.

        Raises
        ------
        FatigueError
            If the curve states no scatter.
        """
        survival = number(survival, "survival", "share")
        factor = self.life_factor(survival)
        return replace(self, amplitude=self.amplitude * factor ** (1.0 / self.slope[0]), survival=survival)

    def scaled(self, factor: float, why: str = "scaled") -> Self:
        """The curve with its strength times a factor, such as of size or surface, said in its name."""
        factor = number(factor, f"factor on {self.name}")
        if not factor > 0.0:
            raise FatigueError(
                f"factor on the strength of {self.name} is {factor!r}; a positive number is wanted"
            )
        return replace(self, amplitude=self.amplitude * factor, name=f"{self.name}, {why} ({factor:.3g})")

    def at_thickness(self, thickness: Any) -> Self:
        """The curve of a plate thicker than its reference: strength times (reference / thickness)^n.

        Raises
        ------
        FatigueError
            If the curve states no reference thickness.

        Source: IIW-2259-15 (2016), sec. 3.5.2.
        """
        if self.thickness is None:
            raise FatigueError(
                f"{self.name} states no thickness=(reference, exponent), such as ('25 mm', 0.3)"
            )
        t = number(thickness, "thickness", "length")
        if not t > 0.0:
            raise FatigueError(f"thickness is {show(t, 'length')}; it must be positive")
        reference, exponent = self.thickness
        if t <= reference:
            return self
        return self.scaled((reference / t) ** exponent, f"thickness {show(t, 'length')}")

    def at_roughness(self, roughness: Any) -> Self:
        """The curve of a surface of roughness Rz: 1 - a lg(Rz / 1 um) lg(2 R_m / R_m,N).

        Raises
        ------
        FatigueError
            If the curve does not state family and ultimate, or is none of a base metal.

        Source: FKM Guideline, 6th ed. (2012), sec. 2.3.3 and table 2.3.5.
        """
        strength, family = self._base_metal("roughness")
        rz = float(to_si(roughness, "length", name="roughness"))
        if not 0.0 < rz < 1e-3:
            raise FatigueError(f"roughness Rz is {show(rz, 'length')}; it is given as '25 um'")
        a, smallest = _ROUGHNESS[_iron(family)]
        factor = 1.0
        if rz > 1e-6:
            factor -= a * math.log10(rz / 1e-6) * math.log10(max(1.0, 2.0 * strength / smallest))
        return self.scaled(factor, f"Rz {rz * 1e6:.3g} µm")

    def at_gradient(self, gradient: Any) -> Self:
        """The curve where stress falls steeply below the surface, as in a sharp notch: it supports.

        Parameters
        ----------
        gradient : "0.5 1/mm"
            Fall of the stress per length into the part, over the stress at the surface; about 2 / radius of a
            notch in tension. What a linear analysis gives at the surface is to be judged with this curve.

        Raises
        ------
        FatigueError
            If the curve does not state family and ultimate, is none of a base metal, or the gradient is
            beyond 100 per millimeter.

        Source: FKM Guideline, 6th ed. (2012), sec. 2.3.2 (Stieler's support factor).
        """
        strength, family = self._base_metal("support")
        g = number(gradient, "gradient", "relative_gradient") * 1e-3  # per millimeter
        if not 0.0 <= g <= 100.0:
            raise FatigueError(f"a gradient of {g:g} per millimeter; it lies between 0 and 100")
        a, b = _SUPPORT["stainless steel" if family == "stainless steel" else _iron(family)]
        exponent = a + strength / b
        if g <= 0.1:
            factor = 1.0 + g * 10.0 ** (0.5 - exponent)
        else:
            factor = 1.0 + g ** (0.5 if g <= 1.0 else 0.25) * 10.0**-exponent
        return self.scaled(factor, f"gradient {g:.3g}/mm")

    def _base_metal(self, what: str) -> tuple[float, str]:
        """Ultimate strength (Pa) and family, which factors of the surface follow from."""
        if self.kind != "base metal":
            raise FatigueError(
                f"{self.name} is a curve of welds, whose class holds surface and {what} already"
            )
        if self.family is None or self.ultimate is None:
            raise FatigueError(
                f"{self.name} lacks family and ultimate, which the factor of {what} follows from"
            )
        return self.ultimate, self.family

    def check_stress(self, kind: str) -> None:
        """Refuse stress the curve was not made for.

        Parameters
        ----------
        kind : "notch", "nominal", "hot-spot" or "effective notch"
            "notch" is what a model gives at its surface, as it is meshed.

        Raises
        ------
        FatigueError
            If the curve is of another kind: what it needs, and what to do.
        """
        if kind not in _STRESSES:
            raise FatigueError(
                f"stress {kind!r}{did_you_mean(str(kind), _STRESSES)}; it is one of {', '.join(_STRESSES)}"
            )
        wanted = KINDS[self.kind]
        if kind != wanted:
            raise FatigueError(
                f"{self.name} is a curve for {wanted} stress ({_STRESSES[wanted]}); the stress at hand is "
                f"{kind} stress ({_STRESSES[kind]}): {_REMEDY[self.kind]}"
            )

    def __repr__(self) -> str:
        what = f"{show(self.amplitude, 'stress')} amplitude at {self.cycles:.3g} cycles"
        slopes = " then ".join(f"{k:g}" for k in self.slope)
        return f"{self.name}: {what}, slope {slopes}, survival {100 * self.survival:g} %"


_ROUGHNESS = {
    "steel": (0.22, 400e6), "cast steel": (0.20, 400e6), "ductile iron": (0.16, 400e6),
    "malleable iron": (0.12, 350e6), "gray iron": (0.06, 100e6), "wrought aluminum": (0.22, 133e6),
    "cast aluminum": (0.20, 133e6),
}  # fmt: skip
_SUPPORT = {
    "steel": (0.50, 2700e6), "stainless steel": (0.40, 2400e6), "cast steel": (0.25, 2000e6),
    "ductile iron": (0.05, 3200e6), "malleable iron": (-0.05, 3200e6), "gray iron": (-0.05, 3200e6),
    "wrought aluminum": (0.05, 850e6), "cast aluminum": (-0.05, 3200e6),
}  # fmt: skip
# Of gray iron 0.30 is the safer value among the editions of the guideline (0.30, 0.34).
_FATIGUE_LIMIT = {
    "steel": 0.45, "case-hardening steel": 0.40, "stainless steel": 0.40, "forging steel": 0.40,
    "cast steel": 0.34, "ductile iron": 0.34, "malleable iron": 0.30, "gray iron": 0.30,
    "wrought aluminum": 0.30, "cast aluminum": 0.30,
}  # fmt: skip


def _iron(family: str) -> str:
    """The family whose sensitivity and roughness a steel has."""
    return "steel" if family.endswith("steel") and family != "cast steel" else family


def base_metal_curve(family: str, ultimate: Any, **options: Any) -> SNCurve:
    """The curve of a polished, unwelded base metal under normal stress, from its ultimate strength.

    Parameters
    ----------
    family : str
        "steel", "case-hardening steel", "stainless steel", "forging steel", "cast steel", "ductile iron",
        "malleable iron", "gray iron", "wrought aluminum", "cast aluminum".
    ultimate : "470 MPa"
    **options
        Of `SNCurve`, to state otherwise.

    Returns
    -------
    SNCurve
        Fully reversed, at 97.5 % survival. Steel and iron: slope 5 to a knee at 1e6 cycles. Aluminum and
        stainless (austenitic) steel: slope 5 to 1e6, 15 to 1e8.

    Raises
    ------
    FatigueError
        If the family is unknown.

    Source: FKM Guideline, 6th ed. (2012), tables 2.2.1 (fatigue limit over R_m) and 2.4.5 (slopes, knees).
    """
    if family not in _FATIGUE_LIMIT:
        raise FatigueError(
            f"no fatigue limit of {family!r}{did_you_mean(family, _FATIGUE_LIMIT)}; known are "
            f"{', '.join(_FATIGUE_LIMIT)}"
        )
    strength = float(to_si(ultimate, "stress", name="ultimate"))
    two = family in ("wrought aluminum", "cast aluminum", "stainless steel")
    stated: dict[str, Any] = {
        "amplitude": _FATIGUE_LIMIT[family] * strength,
        "cycles": 1e6,
        "slope": (5.0, 15.0) if two else 5.0,
        "knee": (1e6, 1e8) if two else 1e6,
        "survival": 0.975,
        "ultimate": strength,
        "family": family,
        "name": f"{family}, R_m {show(strength, 'stress')}",
        "source": "FKM Guideline, 6th ed. (2012), tables 2.2.1 and 2.4.5",
        "grade": "rule",
    }
    return SNCurve(**stated | options)


# ---------------------------------------------------------------------------------------------------
# The library
# ---------------------------------------------------------------------------------------------------


@cache
def _library() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Entries by name, and names by their letters and digits alone."""
    import tomllib

    data = tomllib.loads(files("designtwin.fatigue").joinpath("library.toml").read_text(encoding="utf-8"))
    sources = data.pop("sources")
    entries: dict[str, dict[str, Any]] = {}
    for title, group in data.items():
        shared = {k: v for k, v in group.items() if k not in ("classes", "aliases")}
        shared["source"] = sources[shared["source"]]
        if shared.get("ratio") == "none":  # TOML has no word for it
            shared["ratio"] = None
        aliases = group.get("aliases", {})
        for word, value in group["classes"].items():
            name = title.replace("*", word)
            entries[name] = shared | (value if isinstance(value, dict) else {"stated": value})
            entries[name]["aliases"] = aliases.get(word, [])
    spellings: dict[str, str] = {}
    for name, entry in entries.items():
        for spelling in (name, *entry.pop("aliases")):
            taken = spellings.setdefault(_letters(spelling), name)
            if taken != name:
                raise FatigueError(f"the library gives {spelling!r} to both {taken!r} and {name!r}")
    return entries, spellings


def _letters(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def fatigue_curve_names() -> tuple[str, ...]:
    """The curves `fatigue_curve` knows, in the order of the library."""
    return tuple(_library()[0])


def fatigue_curve(name: str, /, **overrides: Any) -> SNCurve:
    """A curve of the sourced library, changed where asked.

    Parameters
    ----------
    name : str
        "S355 base metal", "FAT 71 nominal", "FAT 100 hot-spot", "FAT 225 effective notch", "EC3 80"; blanks,
        dashes and case do not matter.
    **overrides
        Fields of `SNCurve` to state otherwise: ``fatigue_curve("S355 base metal", scatter=0.2)``.

    Raises
    ------
    FatigueError
        If the library has no such curve; near names are given.
    """
    entries, spellings = _library()
    found = spellings.get(_letters(name)) if isinstance(name, str) else None
    if found is None:
        from difflib import get_close_matches

        near = get_close_matches(_letters(str(name)), spellings, n=4, cutoff=0.4)
        names = " or ".join(dict.fromkeys(repr(spellings[word]) for word in near))
        raise FatigueError(
            f"the library has no fatigue curve {name!r}; "
            + (f"did you mean {names}? " if names else "fatigue_curve_names() lists what it has. ")
            + "Or state it with SNCurve(...)"
        )
    known = [field.name for field in fields(SNCurve)]
    for key in overrides:
        if key not in known:
            hint = did_you_mean(key, known) or f"; it has {', '.join(known)}"
            raise FatigueError(f"an S-N curve has no {key!r}{hint}")
    entry = dict(entries[found])
    stated = entry.pop("stated", None)
    if entry.pop("by", None) == "ultimate":
        family = entry.pop("family")
        note = entry.pop("ultimate_source", None)
        source = entry["source"] + (f"; R_m: {note}" if note else "")
        options = {"name": found, **entry, "source": source} | overrides
        return base_metal_curve(family, options.pop("ultimate", stated), **options)
    if stated is not None:
        entry["amplitude"] = 0.5 * float(to_si(stated, "stress", name=found))
    return SNCurve(**{"name": found, **entry} | overrides)
