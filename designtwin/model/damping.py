"""Damping: how much vibration energy a part loses per cycle, as a share of critical damping or as a matrix.

`damping` reads what a user writes; analyses ask the object that it makes. Damping that belongs to a place is
elsewhere: `Damper` among supports, ``loss_factor`` of a material.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from designtwin.errors import ModelError, UnitError
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

__all__ = [
    "Damping", "ModalDamping", "RayleighDamping", "StructuralDamping", "damping", "rayleigh", "structural",
]  # fmt: skip


class Damping(Plain):
    """What every kind of damping answers; see `damping` for the kinds.

    Attributes
    ----------
    alpha, beta : float
        C = alpha M + beta K, 1/s and s; 0 for other kinds.
    loss_factor : float
        K (1 + i loss_factor), of the whole part; 0 for other kinds.
    """

    alpha: float = 0.0
    beta: float = 0.0
    loss_factor: float = 0.0
    is_modal: ClassVar[bool] = False
    """Whether it is stated mode by mode, so that no matrix of the whole part has it."""
    is_rayleigh: ClassVar[bool] = False
    is_structural: ClassVar[bool] = False

    def ratio(self, frequency: FloatArray) -> FloatArray:
        """Share of critical damping of each mode.

        Parameters
        ----------
        frequency : float64[m]
            Of the modes in their order from the first, Hz; 0 for rigid ones, which no ratio damps.

        Returns
        -------
        float64[m]
            0 at least and below 1.

        Raises
        ------
        ModelError
            If a mode would be damped above critical, or is not stated.
        """
        raise NotImplementedError

    @property
    def said(self) -> str:
        """The damping in a few words: ``1.5 % of critical``."""
        raise NotImplementedError


def _settle(item: Damping, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(item, name, value)


def _one(value: Any, dimension: str, name: str) -> float:
    number = to_si(value, dimension, name=name)
    if not isinstance(number, float):
        raise ModelError(f"{name}: one value is wanted, got {value!r}")
    return number


def _share(value: Any, name: str) -> FloatArray:
    """Ratios of damping, float64[...]; numbers in text may go without the unit."""
    try:
        return np.asarray(to_si(value, "share", name=name), np.float64)
    except UnitError as error:
        text = str(error)
        raise UnitError(text.replace("a share is wanted, e.g. '0.1 %'", _EXAMPLE)) from None


_EXAMPLE = "a share of critical damping is wanted, e.g. '1.5 %'"


def _check_ratios(ratio: FloatArray, name: str) -> None:
    if (ratio < 0.0).any():
        raise ModelError(
            f"{name} is {show(float(ratio.min()), 'share')}: damping below zero would feed the vibration; "
            "give 0 or more"
        )
    if (ratio >= 1.0).any():
        worst = float(ratio.max())
        hint = f"; for {worst:g} percent write '{worst:g} %'" if worst < 100.0 else ""
        raise ModelError(
            f"{name} is {show(worst, 'share')} of critical: such a mode does not vibrate; a ratio below 1 is "
            f"wanted, as '1.5 %' or 0.015{hint}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ModalDamping(Damping):
    """Shares of critical damping: one for all modes, over frequency, or mode by mode.

    Parameters
    ----------
    ratios : share, or sequence of shares
        Below 1. With ``frequencies`` one at each of these, else one for all, or one per mode.
    frequencies : sequence of frequencies, optional
        Increasing; the ratio is linear between them and keeps its end values beyond.
    """

    ratios: Any
    frequencies: Any = None

    is_modal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        ratios = _share(self.ratios, "damping")
        if ratios.ndim > 1 or not ratios.size:
            raise ModelError(
                "damping wants one ratio ('1.5 %'), one per mode (['1 %', '2 %', ...]), or pairs over "
                f"frequency ([('10 Hz', '1 %'), ('1 kHz', '3 %')]); got shape {list(ratios.shape)}"
            )
        _check_ratios(ratios, "damping")
        ratios.setflags(write=False)
        if self.frequencies is None:
            _settle(self, ratios=float(ratios) if ratios.ndim == 0 else ratios)
            return
        at = np.asarray(to_si(self.frequencies, "frequency", name="damping frequencies"), np.float64)
        if at.ndim != 1 or at.shape != ratios.shape:
            raise ModelError(
                f"damping over frequency: {at.size} frequencies and {ratios.size} ratios are given; a ratio "
                "for each is wanted"
            )
        if (at < 0.0).any() or (np.diff(at) <= 0.0).any():
            raise ModelError(
                f"damping over frequency: frequencies must increase from 0 or more, and are "
                f"{show(at, 'frequency')}"
            )
        at.setflags(write=False)
        _settle(self, ratios=ratios, frequencies=at)

    def ratio(self, frequency: FloatArray) -> FloatArray:
        f = np.atleast_1d(np.asarray(frequency, np.float64))
        if self.frequencies is not None:
            return np.asarray(np.interp(f, self.frequencies, self.ratios))
        if isinstance(self.ratios, float):
            return np.full(len(f), self.ratios)
        if len(self.ratios) < len(f):
            raise ModelError(
                f"damping is stated for {len(self.ratios)} modes, and {len(f)} are used; state the others, "
                "or use pairs over frequency, which hold for all: [('10 Hz', '1 %'), ('1 kHz', '3 %')]"
            )
        return np.array(self.ratios[: len(f)])

    @property
    def said(self) -> str:
        if isinstance(self.ratios, float):
            return f"{show(self.ratios, 'share')} of critical"
        low, high = (show(float(edge), "share") for edge in (self.ratios.min(), self.ratios.max()))
        how = "over frequency" if self.frequencies is not None else f"for {len(self.ratios)} modes"
        return f"{low if low == high else f'{low} to {high}'} of critical, {how}"


@dataclass(frozen=True, kw_only=True, eq=False)
class RayleighDamping(Damping):
    """C = alpha M + beta K; a mode of angular frequency w is damped alpha / (2 w) + beta w / 2 of critical.

    Parameters
    ----------
    alpha : frequency (1/s)
        Times the mass.
    beta : time
        Times the stiffness.

    Source: Bathe, Finite Element Procedures, 2nd ed. (2014), sec. 9.3.3.
    """

    alpha: Any = 0.0
    beta: Any = 0.0

    is_rayleigh: ClassVar[bool] = True

    def __post_init__(self) -> None:
        alpha = _one(self.alpha, "frequency", "rayleigh mass")
        beta = _one(self.beta, "time", "rayleigh stiffness")
        for name, value, unit in (("mass", alpha, "frequency"), ("stiffness", beta, "time")):
            if value < 0.0:
                raise ModelError(
                    f"rayleigh: the factor of the {name} is {show(value, unit)}: damping below zero would "
                    "feed the vibration; give 0 or more"
                )
        _settle(self, alpha=alpha, beta=beta)

    def ratio(self, frequency: FloatArray) -> FloatArray:
        f = np.atleast_1d(np.asarray(frequency, np.float64))
        w = 2.0 * np.pi * f
        out = np.zeros(len(f))
        moves = w > 0.0
        out[moves] = 0.5 * (self.alpha / w[moves] + self.beta * w[moves])
        if (out >= 1.0).any():
            worst = int(np.argmax(out))
            raise ModelError(
                f"{self.said}: mode {worst + 1} at {show(float(f[worst]), 'frequency')} would be damped "
                f"{show(float(out[worst]), 'share')} of critical; fit the two factors to the range that is "
                "used, rayleigh(('10 Hz', '2 %'), ('1 kHz', '2 %')), or state one ratio, '2 %'"
            )
        return out

    @property
    def said(self) -> str:
        return f"Rayleigh damping {self.alpha:.4g} 1/s M + {self.beta:.4g} s K"


@dataclass(frozen=True, kw_only=True, eq=False)
class StructuralDamping(Damping):
    """Loss factor of the whole part: K (1 + i loss_factor), the same loss per cycle at every frequency.

    Parameters
    ----------
    loss_factor : share
        Twice the share of critical damping at a resonance; below 2.
    """

    loss_factor: Any = 0.0

    is_structural: ClassVar[bool] = True

    def __post_init__(self) -> None:
        value = _share(self.loss_factor, "structural loss factor")
        if value.ndim:
            raise ModelError(f"structural: one loss factor is wanted, got {self.loss_factor!r}")
        if not 0.0 <= value < 2.0:
            raise ModelError(
                f"structural: the loss factor is {float(value):g}; it must be 0 or more, and below 2, which "
                "is critical damping"
            )
        _settle(self, loss_factor=float(value))

    def ratio(self, frequency: FloatArray) -> FloatArray:
        return np.full(np.size(frequency), 0.5 * self.loss_factor)

    @property
    def said(self) -> str:
        return f"loss factor {show(self.loss_factor, 'share')}"


def damping(value: Any) -> Damping:
    """Damping as an analysis takes it, from what a user writes.

    Parameters
    ----------
    value : share, sequence or Damping
        ``"1.5 %"`` of critical for all modes; a list of shares, one per mode; a list of pairs over frequency,
        ``[("10 Hz", "1 %"), ("1 kHz", "3 %")]``; ``rayleigh(...)``; ``structural("2 %")``.

    Raises
    ------
    ModelError
        If a ratio is negative, or critical and above.
    UnitError
        If it is no share.
    """
    if isinstance(value, Damping):
        return value
    if _are_pairs(value):
        return ModalDamping(frequencies=[f for f, _ in value], ratios=[ratio for _, ratio in value])
    return ModalDamping(ratios=value)


def _are_pairs(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 2 and value.shape[1] == 2
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(row, Sequence) and not isinstance(row, str) and len(row) == 2 for row in value)
    )


def rayleigh(
    first: tuple[Any, Any] | None = None,
    second: tuple[Any, Any] | None = None,
    /,
    *,
    mass: Any = None,
    stiffness: Any = None,
) -> RayleighDamping:
    """C = alpha M + beta K, from its two factors or from the ratios at two frequencies.

    Parameters
    ----------
    first, second : (frequency, share), optional
        Such as ``("10 Hz", "2 %"), ("100 Hz", "3 %")``: between the two, modes are damped less.
    mass : frequency, optional
        alpha, 1/s.
    stiffness : time, optional
        beta, s.

    Raises
    ------
    ModelError
        If a factor is negative, or no two factors that are not have these ratios.
    """
    if first is None and second is None:
        if mass is None and stiffness is None:
            raise ModelError(
                "rayleigh: give mass= and stiffness=, or ratios at two frequencies: "
                "rayleigh(('10 Hz', '2 %'), ('100 Hz', '3 %'))"
            )
        return RayleighDamping(alpha=mass or 0.0, beta=stiffness or 0.0)
    if mass is not None or stiffness is not None or first is None or second is None:
        raise ModelError("rayleigh: ratios at two frequencies are wanted, or mass= and stiffness=, not both")
    if not _are_pairs([first, second]):
        raise ModelError(
            "rayleigh: two pairs of frequency and ratio are wanted: "
            "rayleigh(('10 Hz', '2 %'), ('100 Hz', '3 %'))"
        )
    f = np.array([_one(one[0], "frequency", "rayleigh frequency") for one in (first, second)])
    ratio = np.array([float(_share(one[1], "rayleigh ratio")) for one in (first, second)])
    _check_ratios(ratio, "rayleigh ratio")
    if f.min() <= 0.0 or f[0] == f[1]:
        raise ModelError(
            f"rayleigh: two frequencies above zero are wanted, not the same; got {show(f, 'frequency')}"
        )
    w = 2.0 * np.pi * f
    alpha, beta = np.linalg.solve(0.5 * np.stack([1.0 / w, w], axis=1), ratio)
    scale = float(ratio.max())
    if alpha < -1e-12 * scale * w.min() or beta < -1e-12 * scale / w.max():
        low, high = sorted((float(ratio[0] * f[0] / f[1]), float(ratio[0] * f[1] / f[0])))
        raise ModelError(
            f"rayleigh: no factors of 0 or more give {show(float(ratio[0]), 'share')} at "
            f"{show(float(f[0]), 'frequency')} and {show(float(ratio[1]), 'share')} at "
            f"{show(float(f[1]), 'frequency')}; there the ratio can be {show(low, 'share')} to "
            f"{show(high, 'share')}. Pairs over frequency hold any ratio: damping=[('10 Hz', '1 %'), ...]"
        )
    return RayleighDamping(alpha=max(float(alpha), 0.0), beta=max(float(beta), 0.0))


def structural(loss_factor: Any) -> StructuralDamping:
    """Structural (hysteretic) damping of the whole part: K (1 + i loss_factor).

    Parameters
    ----------
    loss_factor : share
        Such as ``"2 %"``, twice the share of critical damping at a resonance. Where materials differ, state
        ``loss_factor=`` of each instead.
    """
    return StructuralDamping(loss_factor=loss_factor)
