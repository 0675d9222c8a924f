"""Analyses: a model in, a result out, the recipe in order."""

from designtwin.analysis.buckling import solve_buckling
from designtwin.analysis.campbell import campbell
from designtwin.analysis.dynamics import solve_dynamics
from designtwin.analysis.harmonic import solve_harmonic
from designtwin.analysis.modal import solve_modes
from designtwin.analysis.random import solve_random
from designtwin.analysis.reduction import reduce, reduction_error
from designtwin.analysis.spectrum import shock_spectrum, solve_spectrum
from designtwin.analysis.static import solve_static
from designtwin.analysis.thermal import solve_thermal
from designtwin.analysis.transient import solve_transient

__all__ = [
    "campbell",
    "reduce",
    "reduction_error",
    "shock_spectrum",
    "solve_buckling",
    "solve_dynamics",
    "solve_harmonic",
    "solve_modes",
    "solve_random",
    "solve_spectrum",
    "solve_static",
    "solve_thermal",
    "solve_transient",
]
