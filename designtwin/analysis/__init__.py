"""Analyses: a model in, a result out, the recipe in order."""

from designtwin.analysis.static import solve_static
from designtwin.analysis.thermal import solve_thermal

__all__ = ["solve_static", "solve_thermal"]
