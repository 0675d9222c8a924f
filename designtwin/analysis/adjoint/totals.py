"""Slope of the mass: no equation is solved."""

from __future__ import annotations

import numpy as np

from designtwin.assembly import cell_blocks, tables
from designtwin.assembly.gradients import CaseCells
from designtwin.model.model import LoadCase, Model
from designtwin.requirements.base import Quantity
from designtwin.requirements.totals import total_mass
from designtwin.results.sensitivity import Sensitivity


def mass_sensitivity(model: Model, quantity: Quantity) -> Sensitivity:
    """Slope of the mass over coordinates, thickness and density."""
    density = model.cell_density(needed_by=quantity.label)
    mesh = model.mesh
    points, scale, by_density = np.zeros((mesh.n_points, 3)), np.zeros(mesh.n_cells), np.zeros(mesh.n_cells)
    for block in cell_blocks(model):
        cells = CaseCells(model, LoadCase(""), block)
        at = tables(block, block.element.mass_quadrature)
        spread = np.repeat(density[block.cells][:, None], len(at.xi), axis=1)
        cells.add_up(cells.volume_slope(at, spread), points)
        size = cells.measured(at).sum(axis=1)
        by_density[block.cells] = size
        scale[block.cells] = size * density[block.cells] / block.scale
    value = total_mass(model)
    return Sensitivity(
        model=model, response=quantity.label, case="", dimension=quantity.dimension, value=value, true=value,
        points=points, scale=scale, density=by_density,
    )  # fmt: skip
