"""Response and shock response spectra: the largest answers of oscillators, and of a part by its modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from designtwin.errors import DesignTwinError
from designtwin.results.modal_sums import MOTIONS, ModalSum
from designtwin.results.random import write_curve
from designtwin.results.tables import Table
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

if TYPE_CHECKING:
    from designtwin.model.excitation import Excitation


@dataclass(frozen=True, eq=False)
class ShockSpectrum:
    """Largest answers of oscillators on a shaken base over their natural frequency.

    Parameters
    ----------
    frequencies : float64[k]
        Hz, ascending.
    values : float64[k]
        SI, 0 or more.
    label : str
    dimension : str
        Of the values, a key of `designtwin.units`.
    damping : float
        Share of critical of the oscillators.
    """

    frequencies: FloatArray
    values: FloatArray
    label: str
    dimension: str
    damping: float

    def __len__(self) -> int:
        return len(self.frequencies)

    def at(self, frequency: Any) -> float:
        """The value, SI, at a natural frequency such as "60 Hz"; straight on logarithmic scales between.

        Raises
        ------
        DesignTwinError
            If the frequency lies outside.
        """
        f = float(to_si(frequency, "frequency", name="frequency"))
        low, high = float(self.frequencies[0]), float(self.frequencies[-1])
        if not low * (1.0 - 1e-9) <= f <= high * (1.0 + 1e-9):
            raise DesignTwinError(
                f"{self.label}: {show(f, 'frequency')} lies outside of {show(low, 'frequency')} to "
                f"{show(high, 'frequency')}"
            )
        x = np.log(self.frequencies)
        if (self.values > 0.0).all():
            return float(np.exp(np.interp(np.log(f), x, np.log(self.values))))
        return float(np.interp(np.log(f), x, self.values))

    def to_csv(self, path: str | Path) -> Path:
        """Write natural frequency in Hz and value in the display unit, which the head of the column names."""
        return write_curve(path, self.frequencies, self.values, self.label, self.dimension)

    def plot(self, **options: Any) -> Any:
        """Picture of the spectrum; see `designtwin.viz.plot_shock_spectrum` for the options."""
        from designtwin import edge

        return edge.plot_shock_spectrum(self, **options)

    def __str__(self) -> str:
        i = int(np.argmax(self.values))
        return (
            f"{self.label}: at most {show(float(self.values[i]), self.dimension)} at "
            f"{show(float(self.frequencies[i]), 'frequency')}"
        )


@dataclass(frozen=True, eq=False)
class SpectrumInput:
    """What one input of a spectrum analysis does to each mode.

    Parameters
    ----------
    said : str
        The input in words.
    combine : "CQC" or "SRSS"
    participation : float64[m]
        sqrt(kg).
    acceleration : float64[m]
        Spectral (pseudo-)acceleration at each mode's frequency, m/s^2; 0 where the input does not move it.
    rigid : float64[m]
        Share of each mode's peak that comes in phase with the input, 0 to 1.
    zero_period : float
        Peak acceleration of the base itself, m/s^2.
    captured : float
        Share of the mass that the modes move.
    """

    said: str
    combine: str
    participation: FloatArray
    acceleration: FloatArray
    rigid: FloatArray
    zero_period: float
    captured: float


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SpectrumCase(ModalSum):
    """Peaks of the response to a shock or an earthquake, combined from the peaks of the modes.

    Fields are estimates of the largest value over time, without sign: displacement relative to the base,
    velocity (pseudo-velocity, relative), absolute acceleration, stress. Modes peak at different times;
    the rule of combination stands for that. Von Mises stress is the same combination of modal stress tensors
    in the von Mises norm, so that no sign is lost between components.

    Parameters
    ----------
    name, model, recovery, modes, extra, shapes, stiffness, directions, info, notes
        See `ModalSum`.
    excitation : Excitation
    each : sequence of SpectrumInput
    combined : mapping of motion to float64[m, m]
        Combined products of the modal peaks.
    """

    excitation: Excitation
    each: Sequence[SpectrumInput]
    combined: dict[str, FloatArray]

    _word: ClassVar[str] = "peak"

    def products(self, motion: str) -> FloatArray:
        return self.combined[motion]

    def table(self) -> Table:
        """Modes with frequency, spectral acceleration and share in the strain energy, input by input."""
        shares, frequencies = self.shares, self.modes.frequencies
        several = len(self.each) > 1
        headings = ["mode", "frequency", *(["input"] if several else []), "effective mass %", "acceleration",
                    "in phase %", "energy %"]  # fmt: skip
        cells, rows = [], []
        mass = self.modes.dynamics.total_mass
        for number, one in enumerate(self.each, 1):
            for i, frequency in enumerate(frequencies):
                effective = float(one.participation[i] ** 2) / mass
                cells.append(
                    [
                        str(i + 1), show(float(frequency), "frequency"), *([str(number)] if several else []),
                        f"{100.0 * effective:.1f}", show(float(one.acceleration[i]), "acceleration"),
                        f"{100.0 * one.rigid[i]:.0f}", f"{100.0 * shares[i]:.1f}",
                    ]
                )  # fmt: skip
                rows.append(
                    {
                        "mode": i + 1, "frequency": float(frequency), "input": one.said,
                        "effective_mass": effective * mass, "acceleration": float(one.acceleration[i]),
                        "rigid": float(one.rigid[i]), "energy": float(shares[i]),
                    }
                )  # fmt: skip
        notes = [
            f"input {number}: {one.said}, {show(one.zero_period, 'acceleration')} at most; {one.combine}; "
            f"modes move {100.0 * one.captured:.1f} % of the mass, the rest follows the base"
            for number, one in enumerate(self.each, 1)
        ]
        return Table(f"modes under {self.name!r}", headings, cells, rows, notes)

    def __str__(self) -> str:
        motion = {name: float(np.linalg.norm(self._motion(name), axis=1).max()) for name in MOTIONS}
        largest = ", ".join(f"{name} {show(motion[name], MOTIONS[name][1])}" for name in MOTIONS)
        lines = [
            f"{self.name}: {self.excitation.said}; peaks",
            *(
                f"    {one.combine}: modes move {100.0 * one.captured:.1f} % of the mass, the base peaks at "
                f"{show(one.zero_period, 'acceleration')}"
                for one in self.each
            ),
            f"    largest     {largest}",
            f"                von Mises stress {show(float(self.von_mises().max(initial=0.0)), 'pressure')}",
        ]
        return "\n".join([*lines, *(f"    note        {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return f"<SpectrumCase {self.name!r}: {self.excitation.said} of {self.model!r}>"
