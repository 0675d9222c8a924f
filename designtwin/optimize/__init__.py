"""Optimization as pure mathematics: numbers in, numbers out."""

from designtwin.optimize.auto import METHODS, Choice, check_method, choose, minimize
from designtwin.optimize.conflict import Conflict
from designtwin.optimize.evolution import Front, front
from designtwin.optimize.mma import GCMMA, MMA
from designtwin.optimize.oc import OC
from designtwin.optimize.problem import Found, Iterate, Problem, Stop

__all__ = [
    "GCMMA",
    "METHODS",
    "MMA",
    "OC",
    "Choice",
    "Conflict",
    "Found",
    "Front",
    "Iterate",
    "Problem",
    "Stop",
    "check_method",
    "choose",
    "front",
    "minimize",
]
