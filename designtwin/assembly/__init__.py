"""From a model to a system of equations: numbers of unknowns, tables for kernels, matrices, load vectors.

This room alone knows DOF numbers and picks quadrature. It feeds tables to kernels and sums what loads and
supports answer.
"""

from designtwin.assembly.cells import (
    CellBlock,
    PointTables,
    applied,
    cell_blocks,
    conductivity_tensors,
    elastic_tensors,
    strain_at,
    tables,
    thermal_strain,
    thermal_stress_force,
)
from designtwin.assembly.matrices import NodePattern, conductivity_matrix, corner_coarsening, stiffness_matrix
from designtwin.assembly.systems import Assembled, assemble_static, assemble_thermal
from designtwin.assembly.unknowns import AffineMap, DofMap, rigid_modes, static_map

__all__ = [
    "AffineMap",
    "Assembled",
    "CellBlock",
    "DofMap",
    "NodePattern",
    "PointTables",
    "applied",
    "assemble_static",
    "assemble_thermal",
    "cell_blocks",
    "conductivity_matrix",
    "conductivity_tensors",
    "corner_coarsening",
    "elastic_tensors",
    "rigid_modes",
    "static_map",
    "stiffness_matrix",
    "strain_at",
    "tables",
    "thermal_strain",
    "thermal_stress_force",
]
