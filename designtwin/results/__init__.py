"""Results: fields, reactions, probes, and the error of each value."""

from designtwin.results.common import CaseResult, Field, Result, SolveInfo
from designtwin.results.recovery import Recovery, ResultPoints
from designtwin.results.static import StaticCase, StaticResult
from designtwin.results.thermal import ThermalCase, ThermalResult

__all__ = [
    "CaseResult",
    "Field",
    "Recovery",
    "Result",
    "ResultPoints",
    "SolveInfo",
    "StaticCase",
    "StaticResult",
    "ThermalCase",
    "ThermalResult",
]
