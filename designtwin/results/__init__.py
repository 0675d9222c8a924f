"""Results: fields, reactions, probes, instants and histories, and the error of each value."""

from designtwin.results.common import CaseResult, Field, Result, SolveInfo
from designtwin.results.frames import Frames, case_folder
from designtwin.results.history import StaticHistory, StaticResult
from designtwin.results.modal import ModalCase, ModalResult, Mode
from designtwin.results.recovery import Recovery, ResultPoints
from designtwin.results.static import StaticCase
from designtwin.results.thermal import ThermalCase, ThermalResult
from designtwin.results.transient import (
    Peak,
    StepRecord,
    ThermalInstant,
    TimeHistory,
    TransientCase,
    TransientResult,
)

__all__ = [
    "CaseResult",
    "Field",
    "Frames",
    "ModalCase",
    "ModalResult",
    "Mode",
    "Peak",
    "Recovery",
    "Result",
    "ResultPoints",
    "SolveInfo",
    "StaticCase",
    "StaticHistory",
    "StaticResult",
    "StepRecord",
    "ThermalCase",
    "ThermalInstant",
    "ThermalResult",
    "TimeHistory",
    "TransientCase",
    "TransientResult",
    "case_folder",
]
