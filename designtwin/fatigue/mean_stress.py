"""Mean stress: the fully reversed amplitude that does the same damage as a cycle with a mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin.errors import FatigueError, did_you_mean
from designtwin.kernels import damage as kernels
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

METHODS = ("none", "Goodman", "Gerber", "Morrow", "SWT", "Walker", "FKM")
"""In the order of the codes of the kernel."""
_NEEDS = {
    "Goodman": ("ultimate", "stress", "'510 MPa'"),
    "Gerber": ("ultimate", "stress", "'510 MPa'"),
    "Morrow": ("fracture_strength", "stress", "'900 MPa'"),
    "Walker": ("exponent", "dimensionless", "0.65"),
    "FKM": ("sensitivity", "dimensionless", "0.15"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanStress(Plain):
    """A mean stress correction with its parameter.

    Parameters
    ----------
    method : str
        "Goodman" s_a / (1 - s_m / R_m) and "Gerber" s_a / (1 - (s_m / R_m)^2): compression is not credited;
        "Morrow" s_a / (1 - s_m / s_f), in compression too; "SWT" sqrt(s_max s_a) and "Walker"
        s_max^(1-g) s_a^g: none where the cycle stays in compression; "FKM": sensitivity M for R <= 0, M / 3
        for 0 < R < 0.5, level beyond and under pure compression; "none".
    ultimate : "510 MPa"
        Of Goodman and Gerber.
    fracture_strength : "900 MPa"
        True fracture strength of Morrow; the fatigue strength coefficient s_f' is often used.
    exponent : float
        g of Walker, 0 to 1; steel: about 0.65, aluminum: about 0.45 (Dowling 2013, sec. 9.7).
    sensitivity : float
        M of FKM; `mean_stress_sensitivity` estimates it.

    Source: Dowling, Mechanical Behavior of Materials, 4th ed. (2013), sec. 9.7; FKM Guideline, 6th ed.
    (2012), sec. 2.4.2.
    """

    method: str = "none"
    ultimate: Any = None
    fracture_strength: Any = None
    exponent: Any = None
    sensitivity: Any = None

    def __post_init__(self) -> None:
        names = {m.casefold(): m for m in METHODS} | {"smith-watson-topper": "SWT"}
        method = names.get(str(self.method).casefold())
        if method is None:
            raise FatigueError(
                f"mean stress correction {self.method!r} is "
                f"unknown{did_you_mean(str(self.method), METHODS)}; known are {', '.join(METHODS)}"
            )
        object.__setattr__(self, "method", method)
        for name, dimension, _ in _NEEDS.values():
            given = getattr(self, name)
            if given is not None:
                value = float(to_si(given, dimension, name=f"{name} of {method}"))
                object.__setattr__(self, name, value)
                if value < 0.0 or (value == 0.0 and name != "sensitivity"):
                    raise FatigueError(f"{name} of {method} is {show(value, dimension)}; it must be positive")
                if name in ("exponent", "sensitivity") and value > 1.0:
                    raise FatigueError(f"{name} of {method} is {value:g}; it lies between 0 and 1")
        if method in _NEEDS and getattr(self, _NEEDS[method][0]) is None:
            name, _, example = _NEEDS[method]
            raise FatigueError(f"{method} needs {name}, such as {name}={example}")

    @property
    def code(self) -> int:
        """Of the kernel's table."""
        return METHODS.index(self.method)

    @property
    def parameter(self) -> float:
        """Of the kernel's table, SI."""
        return float(getattr(self, _NEEDS[self.method][0])) if self.method in _NEEDS else 0.0

    @property
    def is_proportional(self) -> bool:
        """Whether twice the cycle is worth twice the amplitude, so that a load ratio has one factor."""
        return self.method in ("none", "SWT", "Walker", "FKM")

    def equivalent(self, amplitude: Any, mean: Any = 0.0) -> FloatArray:
        """Fully reversed amplitudes that do the damage of cycles.

        Parameters
        ----------
        amplitude, mean : "200 MPa", float or float64[...]
            Of the cycles, Pa.

        Returns
        -------
        float64[...]
            Pa; inf where the mean reaches the strength, 0 where a cycle does no damage.
        """
        amplitudes = np.asarray(to_si(amplitude, "stress", name="amplitude"), dtype=np.float64)
        a, m = np.broadcast_arrays(
            amplitudes, np.asarray(to_si(mean, "stress", name="mean"), dtype=np.float64)
        )
        out = np.empty(a.size)
        table = np.array([self.code, self.parameter, 0.0])
        kernels.equivalent_amplitudes(
            np.ascontiguousarray(a).ravel(), np.ascontiguousarray(m).ravel(), table, out
        )
        return out.reshape(a.shape)

    def __str__(self) -> str:
        if self.method not in _NEEDS:
            return self.method
        name, dimension, _ = _NEEDS[self.method]
        return f"{self.method} ({name.replace('_', ' ')} {show(self.parameter, dimension)})"


_SENSITIVITY = {
    "steel": (0.35, -0.10), "cast steel": (0.35, 0.05), "ductile iron": (0.35, 0.08),
    "malleable iron": (0.35, 0.13), "gray iron": (0.0, 0.50), "wrought aluminum": (1.00, -0.04),
    "cast aluminum": (1.00, 0.20),
}  # fmt: skip


def mean_stress_sensitivity(family: str, ultimate: Any) -> float:
    """Mean stress sensitivity M = a R_m / 1000 MPa + b of normal stress.

    Parameters
    ----------
    family : str
        "steel", "cast steel", "ductile iron", "malleable iron", "gray iron", "wrought aluminum", "cast
        aluminum".
    ultimate : "510 MPa"

    Raises
    ------
    FatigueError
        If the family is unknown.

    Source: FKM Guideline, 6th ed. (2012), table 2.4.2.
    """
    if family not in _SENSITIVITY:
        raise FatigueError(
            f"no mean stress sensitivity of {family!r}{did_you_mean(family, _SENSITIVITY)}; known are "
            f"{', '.join(_SENSITIVITY)}"
        )
    a, b = _SENSITIVITY[family]
    return max(0.0, a * float(to_si(ultimate, "stress", name="ultimate")) / 1e9 + b)
