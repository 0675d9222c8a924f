"""Fatigue of a point: cycles of a history, curves of a material, damage; knows no mesh and no model."""

from designtwin.fatigue.curves import SNCurve, base_metal_curve, fatigue_curve, fatigue_curve_names
from designtwin.fatigue.cycles import Cycles, Rainflow, rainflow
from designtwin.fatigue.mean_stress import MeanStress, mean_stress_sensitivity

__all__ = [
    "Cycles",
    "MeanStress",
    "Rainflow",
    "SNCurve",
    "base_metal_curve",
    "fatigue_curve",
    "fatigue_curve_names",
    "mean_stress_sensitivity",
    "rainflow",
]
