"""From design variables to the densities that are analyzed and weighed, and slopes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from designtwin.topology.filters import Filter, Projection
from designtwin.topology.manufacturing import Shaping
from designtwin.typing import BoolArray, FloatArray

ERODED, DILATED = 0.75, 0.25
"""Thresholds of the thinned and the thickened design: what is in both has the minimum length."""


class Fields(NamedTuple):
    """Physical densities of a design, float64[n_cells] each.

    Parameters
    ----------
    part : what is to be made
    stiff : what is analyzed: the part, or thinned where a minimum length is asked for
    heavy : what is weighed: the part, or thickened
    """

    part: FloatArray
    stiff: FloatArray
    heavy: FloatArray


@dataclass(frozen=True, eq=False)
class Chain:
    """Links, filter, projection, shaping; cells that are kept or void stay so throughout.

    Parameters
    ----------
    links : tuple of Filter
        Symmetry, extrusion: linear maps before the filter and after it.
    filter : Filter
    shaping : tuple of Shaping
        Draw, overhang: after the projection.
    keep, void : bool[n_cells]
    robust : bool
        Whether what is analyzed is thinned, and what is weighed thickened.
    threshold : float or float64[n_cells]
        Of the projection of the part; heights of cells, where smooth values say how high columns reach.

    Source: Wang, Lazarov & Sigmund, On projection methods, convergence and robust formulations in topology
    optimization, Struct. Multidisc. Optim. 43 (2011), 767-784.
    """

    links: tuple[Filter, ...]
    filter: Filter
    shaping: tuple[Shaping, ...]
    keep: BoolArray
    void: BoolArray
    robust: bool
    threshold: float | FloatArray = 0.5

    def fields(self, x: FloatArray, sharpness: float) -> Fields:
        """Densities of a design; with sharpness 0 nothing is projected."""
        smooth = self._smooth(x)
        part = self._made(smooth, sharpness, self.threshold)
        if not self.robust or sharpness == 0.0:
            return Fields(part, part, part)
        return Fields(part, self._made(smooth, sharpness, ERODED), self._made(smooth, sharpness, DILATED))

    def slopes(
        self, x: FloatArray, sharpness: float, stiff: FloatArray, heavy: FloatArray | None = None
    ) -> FloatArray:
        """By the design variables, from slopes by the analyzed (and the weighed) densities."""
        smooth = self._smooth(x)
        apart = self.robust and sharpness > 0.0
        out = self._back(smooth, sharpness, ERODED if apart else self.threshold, stiff)
        if heavy is not None:
            out = out + self._back(smooth, sharpness, DILATED if apart else self.threshold, heavy)
        for link in reversed(self.links):
            out = link.adjoint(out)
        out = self.filter.adjoint(out)
        out[self.keep | self.void] = 0.0
        for link in reversed(self.links):
            out = link.adjoint(out)
        return out

    def _smooth(self, x: FloatArray) -> FloatArray:
        for link in self.links:
            x = link(x)
        x = self.filter(self._fixed(x))
        # At the ends of a column the filter sees less than in its middle.
        for link in self.links:
            x = link(x)
        return x

    def _fixed(self, density: FloatArray) -> FloatArray:
        return np.where(self.keep, 1.0, np.where(self.void, 0.0, density))

    def _made(self, smooth: FloatArray, sharpness: float, threshold: float | FloatArray) -> FloatArray:
        density = smooth if sharpness == 0.0 else Projection(sharpness=sharpness, threshold=threshold)(smooth)
        density = self._fixed(density)
        for shape in self.shaping:
            density = self._fixed(shape(density))
        return np.clip(density, 0.0, 1.0)

    def _back(
        self, smooth: FloatArray, sharpness: float, threshold: float | FloatArray, slopes: FloatArray
    ) -> FloatArray:
        project = None if sharpness == 0.0 else Projection(sharpness=sharpness, threshold=threshold)
        density = self._fixed(smooth if project is None else project(smooth))
        before = []
        for shape in self.shaping:
            before.append(density)
            density = self._fixed(shape(density))
        fixed = self.keep | self.void
        out = slopes
        for shape, given in zip(reversed(self.shaping), reversed(before), strict=True):
            out = shape.adjoint(given, np.where(fixed, 0.0, out))
        out = np.where(fixed, 0.0, out)
        return out if project is None else out * project.derivative(smooth)
