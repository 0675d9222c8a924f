"""Topology optimization: densities of cells, what they become, and the part they tell of."""

from designtwin.topology.found import Optimum, Redesign, Retest, Step
from designtwin.topology.interpolation import RAMP, SIMP
from designtwin.topology.optimization import Topology
from designtwin.topology.surface import ClosedSurface

__all__ = ["RAMP", "SIMP", "ClosedSurface", "Optimum", "Redesign", "Retest", "Step", "Topology"]
