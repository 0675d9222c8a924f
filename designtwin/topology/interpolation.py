"""Stiffness of a material that is there in part: what a density between 0 and 1 is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from designtwin.errors import StudyError
from designtwin.typing import FloatArray


class Interpolation(Protocol):
    """Share of the full stiffness (or conductivity) that a physical density has, and its slope."""

    def __call__(self, density: FloatArray) -> FloatArray:
        """Share of the full value, of the shape of `density`."""

    def derivative(self, density: FloatArray) -> FloatArray:
        """Slope of the share, of the shape of `density`."""


def _check(name: str, penalty: float, floor: float, least: float) -> None:
    if not (isinstance(penalty, int | float) and isinstance(floor, int | float)):
        raise StudyError(f"penalty and floor of {name} are {penalty!r} and {floor!r}; numbers are wanted")
    if not least <= penalty < float("inf"):
        raise StudyError(f"the penalty of {name} is {penalty}; a number from {least:g} on is wanted")
    if not 0.0 <= floor < 1.0:
        raise StudyError(f"the floor of {name} is {floor}; a share from 0 to below 1 is wanted, e.g. 1e-9")


@dataclass(frozen=True, kw_only=True)
class SIMP:
    """Solid isotropic material with penalization, floor + (1 - floor) density^penalty.

    Parameters
    ----------
    penalty : float
        Exponent; 3 makes densities between 0 and 1 a poor buy at a Poisson's ratio of 0.3.
    floor : float
        Share that a void keeps, so that the system stays regular.

    Source: Sigmund, Structural and Multidisciplinary Optimization 33 (2007), eq. 3 ("modified SIMP").
    """

    penalty: float = 3.0
    floor: float = 1e-9

    def __post_init__(self) -> None:
        _check("SIMP", self.penalty, self.floor, 1.0)

    def __call__(self, density: FloatArray) -> FloatArray:
        """Share of the full stiffness."""
        return self.floor + (1.0 - self.floor) * density**self.penalty

    def derivative(self, density: FloatArray) -> FloatArray:
        """Its slope over the density."""
        return (1.0 - self.floor) * self.penalty * density ** (self.penalty - 1.0)


@dataclass(frozen=True, kw_only=True)
class RAMP:
    """Rational approximation, floor + (1 - floor) density / (1 + penalty (1 - density)).

    Its slope at a void is not zero, so that material can come back there: for loads that depend on the
    density (own weight, heat) and frequencies.

    Source: Stolpe & Svanberg, Structural and Multidisciplinary Optimization 22 (2001), 116-124.
    """

    penalty: float = 8.0
    floor: float = 1e-9

    def __post_init__(self) -> None:
        _check("RAMP", self.penalty, self.floor, 0.0)

    def __call__(self, density: FloatArray) -> FloatArray:
        """Share of the full stiffness."""
        return self.floor + (1.0 - self.floor) * density / (1.0 + self.penalty * (1.0 - density))

    def derivative(self, density: FloatArray) -> FloatArray:
        """Its slope over the density."""
        return (1.0 - self.floor) * (1.0 + self.penalty) / (1.0 + self.penalty * (1.0 - density)) ** 2
