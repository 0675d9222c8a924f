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
from designtwin.assembly.heat import Given, HeatCells, HeatEquations, heat_cells
from designtwin.assembly.matrices import (
    conductivity_matrix,
    corner_coarsening,
    static_topology,
    stiffness_matrix,
    stiffness_terms,
    thermal_topology,
)
from designtwin.assembly.systems import Assembled, assemble_static
from designtwin.assembly.topology import NodePattern, Topology
from designtwin.assembly.unknowns import AffineMap, DofMap, rigid_modes, static_map

__all__ = [
    "AffineMap",
    "Assembled",
    "CellBlock",
    "DofMap",
    "Given",
    "HeatCells",
    "HeatEquations",
    "NodePattern",
    "PointTables",
    "Topology",
    "applied",
    "assemble_static",
    "cell_blocks",
    "conductivity_matrix",
    "conductivity_tensors",
    "corner_coarsening",
    "elastic_tensors",
    "heat_cells",
    "rigid_modes",
    "static_map",
    "static_topology",
    "stiffness_matrix",
    "stiffness_terms",
    "strain_at",
    "tables",
    "thermal_strain",
    "thermal_stress_force",
    "thermal_topology",
]
