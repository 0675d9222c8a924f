"""Strain life: local stress and strain at a notch, and the cycles until a crack begins there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self

import numpy as np

from designtwin.errors import FatigueError, did_you_mean
from designtwin.fatigue.curves import number
from designtwin.fatigue.cycles import series
from designtwin.kernels import rainflow
from designtwin.kernels import strain_life as kernels
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

Correction = Literal["Morrow", "SWT", "none"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Loops(Plain):
    """Stress-strain loops of a notch.

    Parameters
    ----------
    stress_range : float64[n]
        Pa.
    strain_range : float64[n]
    highest : float64[n]
        Highest stress of each, Pa.
    count : float64[n]
        1 for a closed loop, 0.5 for a branch of one that stays open.
    """

    stress_range: FloatArray
    strain_range: FloatArray
    highest: FloatArray
    count: FloatArray

    def __len__(self) -> int:
        return len(self.count)

    @property
    def strain_amplitude(self) -> FloatArray:
        """Half of each range."""
        return 0.5 * self.strain_range

    @property
    def mean(self) -> FloatArray:
        """Mean stress of each, Pa."""
        return self.highest - 0.5 * self.stress_range

    @classmethod
    def between(cls, a: FloatArray, b: FloatArray, count: float) -> Self:
        """Loops between two points each: stress (Pa) and strain, float64[n, 2]."""
        return cls(
            stress_range=np.abs(a[:, 0] - b[:, 0]),
            strain_range=np.abs(a[:, 1] - b[:, 1]),
            highest=np.maximum(a[:, 0], b[:, 0]),
            count=np.full(len(a), count),
        )

    def __repr__(self) -> str:
        if not len(self):
            return "Loops(none)"
        largest = show(float(self.strain_range.max()), "strain")
        return f"Loops({self.count.sum():g}, strain ranges up to {largest})"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class StrainLife(Plain):
    """Coffin-Manson-Basquin with the cyclic curve of Ramberg and Osgood.

    strain amplitude = s_f' / E (2 N)^b + e_f' (2 N)^c;  strain = s / E + (s / K')^(1 / n').

    Parameters
    ----------
    youngs_modulus : "207 GPa"
    strength : "938 MPa"
        Fatigue strength coefficient s_f'.
    strength_exponent : float
        b, negative.
    ductility : float
        Fatigue ductility coefficient e_f'.
    ductility_exponent : float
        c, negative.
    cyclic_strength, cyclic_hardening : "903 MPa", float, optional
        K' and n'. Left out, they follow from the others: n' = b / c, K' = s_f' / e_f'^n'.
    survival : float
        Probability of survival of the curve.
    scatter : float, optional
        Standard deviation of log10 N.
    name, source, grade : str, optional

    Source: Dowling, Mechanical Behavior of Materials, 4th ed. (2013), ch. 12 and 14.
    """

    youngs_modulus: Any
    strength: Any
    strength_exponent: float
    ductility: float
    ductility_exponent: float
    cyclic_strength: Any = None
    cyclic_hardening: float | None = None
    survival: float = 0.5
    scatter: float | None = None
    name: str = "strain-life curve"
    source: str | None = None
    grade: str | None = None

    def __post_init__(self) -> None:
        for key, dimension in (
            ("youngs_modulus", "modulus"),
            ("strength", "stress"),
            ("cyclic_strength", "stress"),
        ):
            given = getattr(self, key)
            if given is not None:
                object.__setattr__(self, key, float(to_si(given, dimension, name=f"{key} of {self.name}")))
        for key in ("strength_exponent", "ductility", "ductility_exponent", "cyclic_hardening", "scatter"):
            if getattr(self, key) is not None or key not in ("cyclic_hardening", "scatter"):
                object.__setattr__(self, key, number(getattr(self, key), f"{key} of {self.name}"))
        object.__setattr__(self, "survival", number(self.survival, f"survival of {self.name}", "share"))
        for key in ("strength_exponent", "ductility_exponent"):
            if not -2.0 < getattr(self, key) < 0.0:
                raise FatigueError(
                    f"{key} of {self.name} is {getattr(self, key):g}; it is negative, such as -0.09"
                )
        if (self.cyclic_strength is None) != (self.cyclic_hardening is None):
            raise FatigueError(
                f"{self.name} states one of cyclic_strength and cyclic_hardening; state both or none"
            )
        for key in ("youngs_modulus", "strength", "ductility"):
            if not getattr(self, key) > 0.0:
                raise FatigueError(f"{key} of {self.name} is {getattr(self, key):g}; it must be positive")
        if self.cyclic_hardening is None:
            hardening = self.strength_exponent / self.ductility_exponent
            object.__setattr__(self, "cyclic_hardening", hardening)
            object.__setattr__(self, "cyclic_strength", self.strength / self.ductility**hardening)
        assert self.cyclic_hardening is not None
        if not 0.0 < self.cyclic_hardening < 1.0 or not self.cyclic_strength > 0.0:
            raise FatigueError(
                f"{self.name} has K' {show(self.cyclic_strength, 'stress')} and n' "
                f"{self.cyclic_hardening:g}; K' is positive and n' lies between 0 and 1, about 0.15"
            )
        if not 0.0 < self.survival < 1.0:
            raise FatigueError(f"survival of {self.name} is {self.survival:g}; it lies between 0 and 1")

    @classmethod
    def uniform_material_law(
        cls, family: str, ultimate: Any, *, youngs_modulus: Any = None, **options: Any
    ) -> Self:
        """The curve estimated from the ultimate strength alone.

        Parameters
        ----------
        family : "steel" or "aluminum"
            Unalloyed and low-alloy steel; aluminum and titanium.
        ultimate : "600 MPa"
        youngs_modulus : optional
            206 GPa of steel, 70 GPa of aluminum unless stated; 110 GPa or so is to be stated of titanium.

        Raises
        ------
        FatigueError
            If the family is another.

        Source: Bäumel and Seeger, Materials Data for Cyclic Loading, Suppl. 1 (1990), Uniform Material Law.
        """
        if family not in ("steel", "aluminum"):
            raise FatigueError(
                f"the uniform material law is of 'steel' and 'aluminum' (and titanium), not {family!r}"
            )
        steel = family == "steel"
        usual = "206 GPa" if steel else "70 GPa"
        modulus = float(
            to_si(usual if youngs_modulus is None else youngs_modulus, "modulus", name="youngs_modulus")
        )
        if not modulus > 0.0:
            raise FatigueError(f"youngs_modulus is {show(modulus, 'modulus')}; it must be positive")
        strength = float(to_si(ultimate, "stress", name="ultimate"))
        if not strength > 0.0:
            raise FatigueError(f"ultimate strength is {show(strength, 'stress')}; it must be positive")
        ratio = strength / modulus
        share = 1.0 if ratio <= 3e-3 else 1.375 - 125.0 * ratio
        if steel and share <= 0.0:
            raise FatigueError(
                f"the uniform material law ends at R_m = {show(0.011 * modulus, 'stress')} for steel; state "
                "the curve"
            )
        law = (
            (1.5, -0.087, 0.59 * share, -0.58, 1.65, 0.15)
            if steel
            else (1.67, -0.095, 0.35, -0.69, 1.61, 0.11)
        )
        stated: dict[str, Any] = {
            "youngs_modulus": modulus,
            "strength": law[0] * strength,
            "strength_exponent": law[1],
            "ductility": law[2],
            "ductility_exponent": law[3],
            "cyclic_strength": law[4] * strength,
            "cyclic_hardening": law[5],
            "name": f"{family}, R_m {show(strength, 'stress')}, by the uniform material law",
            "source": "Bäumel and Seeger (1990), Uniform Material Law",
            "grade": "rule",
        }
        return cls(**stated | options)

    # --------------------------------------------------------------------------------------- the curves

    @property
    def transition(self) -> float:
        """Reversals 2 N at which elastic and plastic strain are equal."""
        exponent = 1.0 / (self.strength_exponent - self.ductility_exponent)
        return float((self.ductility * self.youngs_modulus / self.strength) ** exponent)

    def strain_amplitude(self, cycles: Any) -> FloatArray:
        """Strain amplitude that is endured for a number of cycles, without mean stress."""
        reversals = 2.0 * np.asarray(cycles, dtype=np.float64)
        elastic = self.strength / self.youngs_modulus * reversals**self.strength_exponent
        return np.asarray(elastic + self.ductility * reversals**self.ductility_exponent)

    def strain(self, stress: Any) -> FloatArray:
        """Strain of a stress on the cyclic curve."""
        s = np.asarray(to_si(stress, "stress", name="stress"), dtype=np.float64)
        assert self.cyclic_hardening is not None
        plastic = (np.abs(s) / self.cyclic_strength) ** (1.0 / self.cyclic_hardening)
        return np.asarray(s / self.youngs_modulus + np.copysign(plastic, s))

    def stress(self, strain: Any) -> FloatArray:
        """Stress (Pa) of a strain on the cyclic curve."""
        e = np.asarray(to_si(strain, "strain", name="strain"), dtype=np.float64)
        q = 1.0 / self._cyclic[2]
        # in units of K', so that powers stay in range
        found = [kernels.balance(self._cyclic[1] / self._cyclic[0], 1.0, 1.0, q, abs(x)) for x in e.ravel()]
        return np.asarray(np.copysign(np.reshape(found, e.shape) * self._cyclic[1], e))

    def neuber(self, elastic: Any) -> tuple[float, float]:
        """Stress and strain at a notch from the stress of linear theory.

        Parameters
        ----------
        elastic : "500 MPa"
            K_t times the nominal stress, or what a linear analysis gives at the notch.

        Returns
        -------
        (stress, strain) : float
            Pa, and a plain number: their product is elastic^2 / E.

        Source: Neuber, J. Appl. Mech. 28 (1961) 544.
        """
        e = float(to_si(elastic, "stress", name="elastic"))
        stress, strain = kernels.neuber(abs(e), *self._cyclic)
        return (stress, strain) if e >= 0.0 else (-stress, -strain)

    @property
    def _cyclic(self) -> FloatArray:
        return np.array([self.youngs_modulus, self.cyclic_strength, self.cyclic_hardening])

    def life(
        self,
        strain_amplitude: Any,
        *,
        mean: Any = 0.0,
        highest: Any = None,
        correction: Correction = "Morrow",
    ) -> FloatArray:
        """Cycles until a crack begins.

        Parameters
        ----------
        strain_amplitude : float, "5000 ue" or float64[...]
        mean : "50 MPa", float or float64[...]
            Mean stress, Pa; Morrow takes it off s_f'.
        highest : optional
            Highest stress, Pa, for "SWT"; without it, mean stress plus the stress amplitude of the cyclic
            curve.
        correction : "Morrow", "SWT" or "none"
            SWT: highest stress times strain amplitude = s_f'^2 / E (2 N)^2b + s_f' e_f' (2 N)^(b+c).

        Returns
        -------
        float64[...]
            inf where a loop does no damage, 0 where the mean stress reaches s_f'.

        Raises
        ------
        FatigueError
            If the correction is another.

        Source: Dowling (2013), sec. 14.3 to 14.5; Smith, Watson, Topper, J. Materials 5 (1970) 767.
        """
        if correction not in ("Morrow", "SWT", "none"):
            raise FatigueError(
                f"correction is {correction!r}{did_you_mean(str(correction), ('Morrow', 'SWT', 'none'))}; it "
                "is 'Morrow', 'SWT' or 'none'"
            )
        strains = np.asarray(to_si(strain_amplitude, "strain", name="strain_amplitude"), dtype=np.float64)
        if strains.size and strains.min() < 0.0:
            raise FatigueError(f"a strain amplitude is {strains.min():g}; it is half of a range")
        means = np.asarray(to_si(mean, "stress", name="mean"), dtype=np.float64)
        if correction == "none":
            means = np.zeros_like(means)
        if highest is None:
            peaks = means + (self.stress(strains) if correction == "SWT" else 0.0)
        else:
            peaks = np.asarray(to_si(highest, "stress", name="highest"), dtype=np.float64)
        strains, means, peaks = np.broadcast_arrays(strains, means, peaks)
        out = np.empty(strains.size)
        constants = np.array(
            [
                self.youngs_modulus,
                self.strength,
                self.strength_exponent,
                self.ductility,
                self.ductility_exponent,
            ]
        )
        rows = [np.ascontiguousarray(a, dtype=np.float64).ravel() for a in (strains, means, peaks)]
        kernels.lives(*rows, correction == "SWT", constants, out)
        return out.reshape(strains.shape)

    # --------------------------------------------------------------------------------------- a history

    def loops(self, history: Any, *, residue: Literal["half", "repeated"] = "repeated") -> Loops:
        """The loops of a notch under a history of elastic stress, by Neuber, Masing and memory.

        Parameters
        ----------
        history : float64[n]
            Stress of linear theory at the notch, Pa, in order of time, from an unloaded part.
        residue : "repeated" or "half"
            The loops of one passage when the history repeats (the second passage, in which all close); or
            those of the first passage, with what stays open as half loops.

        Raises
        ------
        FatigueError
            If a sample is no finite number, or the history has no turn.

        Source: Clormann and Seeger, Stahlbau 55 (1986) 65.
        """
        if residue not in ("half", "repeated"):
            raise FatigueError(f"residue is {residue!r}; it is 'half' or 'repeated'")
        samples = series(history)
        turns = np.empty(len(samples))
        turns = turns[: rainflow.turning_points(samples, turns)]
        if len(turns) < 2:
            raise FatigueError(f"a history of {len(samples)} samples that never turns has no loop")
        once, stack = self._loops(turns)
        if residue == "half":
            opened = Loops.between(stack[:-1, 1:], stack[1:, 1:], 0.5)
            closed = Loops.between(once[:, [0, 2]], once[:, [1, 3]], 1.0)
            return Loops(
                **{k: np.concatenate([getattr(closed, k), getattr(opened, k)]) for k in Loops.__annotations__}
            )
        twice = np.concatenate([turns, turns])
        both = np.empty(len(twice))
        twice, _ = self._loops(both[: rainflow.turning_points(twice, both)])
        again = twice[len(once) :]
        return Loops.between(again[:, [0, 2]], again[:, [1, 3]], 1.0)

    def _loops(self, turns: FloatArray) -> tuple[FloatArray, FloatArray]:
        stack, out = np.empty((len(turns) + 1, 3)), np.empty((len(turns), 4))
        closed, waiting, _ = kernels.loops(turns, self._cyclic, stack, out)
        return out[:closed], stack[:waiting]

    def damage(
        self,
        history: Any,
        *,
        correction: Correction = "SWT",
        residue: Literal["half", "repeated"] = "repeated",
    ) -> float:
        """Damage of one passage of a history of elastic stress (Pa): a crack is expected at 1.

        Parameters
        ----------
        history, residue
            As of `loops`.
        correction
            As of `life`.
        """
        loops = self.loops(history, residue=residue)
        lives = self.life(
            loops.strain_amplitude, mean=loops.mean, highest=loops.highest, correction=correction
        )
        with np.errstate(divide="ignore"):
            return float(loops.count @ (1.0 / lives))

    def __repr__(self) -> str:
        return (
            f"{self.name}: s_f' {show(self.strength, 'stress')}, b {self.strength_exponent:g}, e_f' "
            f"{self.ductility:g}, c {self.ductility_exponent:g}"
        )


@cache
def _library() -> dict[str, dict[str, Any]]:
    import tomllib

    data = tomllib.loads(files("designtwin.fatigue").joinpath("strain_life.toml").read_text(encoding="utf-8"))
    shared = {k: v for k, v in data.items() if not isinstance(v, dict)}
    return {name: shared | row for name, row in data.items() if isinstance(row, dict)}


def strain_life_names() -> tuple[str, ...]:
    """The materials `strain_life` knows."""
    return tuple(_library())


def strain_life(name: str, /, **overrides: Any) -> StrainLife:
    """Strain-life constants of the sourced library, changed where asked.

    Parameters
    ----------
    name : str
        "RQC-100", "SAE 1015", "Al 2024-T351"; `strain_life_names` lists them. All are typical values.

    Raises
    ------
    FatigueError
        If the library has no such material; near names are given.
    """
    letters = {"".join(c for c in word.casefold() if c.isalnum()): word for word in _library()}
    found = letters.get("".join(c for c in str(name).casefold() if c.isalnum()))
    if found is None:
        raise FatigueError(
            f"the library has no strain-life constants of {name!r}{did_you_mean(str(name), _library())}; it "
            f"has {', '.join(_library())}. StrainLife.uniform_material_law estimates them from the ultimate "
            "strength"
        )
    return StrainLife(**{"name": found, **_library()[found]} | overrides)
