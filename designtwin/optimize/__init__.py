"""Optimization as pure mathematics: numbers in, numbers out."""

from designtwin.optimize.auto import Choice, choose, minimize
from designtwin.optimize.mma import GCMMA, MMA
from designtwin.optimize.oc import OC
from designtwin.optimize.problem import Found, Iterate, Problem, Stop

__all__ = ["GCMMA", "MMA", "OC", "Choice", "Found", "Iterate", "Problem", "Stop", "choose", "minimize"]
