"""Natural frequencies over the speed of a rotor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin.errors import RequirementError
from designtwin.results.modal import ModalCase
from designtwin.results.tables import Table
from designtwin.typing import FloatArray
from designtwin.units import show


@dataclass(frozen=True, eq=False, repr=False)
class Campbell:
    """Frequencies of a rotor at several speeds, in the frame that turns with it, mode by mode.

    Modes are followed from speed to speed by their shapes. Coriolis forces are left out: frequencies are
    those of blades and disks, and of shafts only as far as these do not whirl.

    Parameters
    ----------
    speeds : float64[s]
        rad/s, ascending.
    frequencies : float64[s, m]
        Hz; a column is one mode.
    modes : sequence of ModalCase
        At each speed.
    order : int64[s, m]
        Which mode of its speed each one is.
    """

    speeds: FloatArray
    frequencies: FloatArray
    modes: Sequence[ModalCase]
    order: Any

    def crossings(self, order: float) -> list[tuple[int, float, float]]:
        """Where modes meet an excitation of so many periods a turn: mode number, speed rad/s, frequency Hz.

        Frequencies in between are interpolated in the squares of speed and frequency, over which modes that
        keep their shape are straight.
        """
        if not (np.isfinite(order) and order > 0.0):
            raise RequirementError(f"an engine order is a number above 0, such as 1 or 6, got {order!r}")
        found = []
        x, excited = self.speeds**2, (order * self.speeds / (2.0 * np.pi)) ** 2
        for k, squares in enumerate((self.frequencies**2).T):
            above = squares - excited
            for i in np.flatnonzero(above[:-1] * above[1:] < 0.0):
                share = above[i] / (above[i] - above[i + 1])
                speed = float(np.sqrt(x[i] + share * (x[i + 1] - x[i])))
                found.append((k + 1, speed, order * speed / (2.0 * np.pi)))
            found += [
                (k + 1, float(self.speeds[i]), float(np.sqrt(squares[i])))
                for i in np.flatnonzero(above == 0.0)
            ]
        return sorted(found, key=lambda one: one[1])

    def table(self, orders: Sequence[float] = (1.0, 2.0, 3.0)) -> Table:
        """Frequencies by speed, and the speeds at which engine orders meet them."""
        headings = ["speed", *(f"mode {k + 1}" for k in range(self.frequencies.shape[1]))]
        cells = [
            [show(speed, "angular_velocity"), *(show(float(f), "frequency") for f in row)]
            for speed, row in zip(self.speeds, self.frequencies, strict=True)
        ]
        rows = [
            {"speed": float(speed), "frequencies": row.tolist()}
            for speed, row in zip(self.speeds, self.frequencies, strict=True)
        ]
        notes = ["frequencies in the turning frame, without Coriolis forces"]
        for order in orders:
            for mode, speed, frequency in self.crossings(order):
                notes.append(
                    f"order {order:g} meets mode {mode} at {show(speed, 'angular_velocity')}, "
                    f"{show(frequency, 'frequency')}"
                )
        return Table("Campbell", headings, cells, rows, notes)

    def plot(self, **options: Any) -> Any:
        """Campbell diagram; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_campbell(self, **options)

    def __repr__(self) -> str:
        return f"<Campbell: {self.frequencies.shape[1]} modes at {len(self.speeds)} speeds>"

    def __str__(self) -> str:
        return str(self.table())
