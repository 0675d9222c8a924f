"""Quantities and requirements: one object for tests, the optimizer's constraints and later alarms.

    yield_margin(excluding=near("bolt_holes", "4 mm")) >= 1.5
    displacement("lug", "z") <= "0.4 mm"

A quantity states which analysis it needs and reads one number, with its interval, out of a result. A
comparison makes a requirement of it. All numbers are SI; texts show display units.
"""

from designtwin.requirements.base import Quantity, Requirement, ValuesAlone, one_of, worst
from designtwin.requirements.composite import CompositeMargin, composite_margin
from designtwin.requirements.creep import CreepLife, CreepMargin, creep_life, creep_margin
from designtwin.requirements.fields import (
    Band,
    DisplacementQuantity,
    FieldQuantity,
    MechanicalQuantity,
    StressQuantity,
    TemperatureQuantity,
    TensorQuantity,
    displacement,
    stress,
    temperature,
)
from designtwin.requirements.fkm import FkmMargin, fkm_margin
from designtwin.requirements.life import DamageQuantity, LifeQuantity, damage, life
from designtwin.requirements.lines import (
    HotSpotStress,
    LinearizedStress,
    hot_spot_stress,
    linearized_stress,
)
from designtwin.requirements.strain import StrainQuantity, strain
from designtwin.requirements.strength import (
    BrittleMargin,
    YieldMargin,
    brittle_margin,
    brittle_utilization,
    yield_margin,
)
from designtwin.requirements.thermal import (
    HeatBalance,
    HeatQuantity,
    TimeTo,
    first_crossing,
    heat,
    heat_balance,
    time_to,
)
from designtwin.requirements.totals import MassQuantity, ReactionQuantity, mass, reaction, total_mass
from designtwin.requirements.values import (
    CANNOT_TELL,
    FAIL,
    PASS,
    SINGULAR,
    Outcome,
    Place,
    Value,
    place_of_node,
    place_of_point,
    show_margin,
    show_value,
)
from designtwin.requirements.vibration import (
    AccelerationQuantity,
    BucklingFactor,
    FrequencyQuantity,
    NearestMode,
    NoModeIn,
    acceleration,
    buckling_factor,
    complete_to,
    frequency,
    no_mode_in,
)

__all__ = [
    "CANNOT_TELL",
    "FAIL",
    "PASS",
    "SINGULAR",
    "AccelerationQuantity",
    "Band",
    "BrittleMargin",
    "BucklingFactor",
    "CompositeMargin",
    "CreepLife",
    "CreepMargin",
    "DamageQuantity",
    "DisplacementQuantity",
    "FieldQuantity",
    "FkmMargin",
    "FrequencyQuantity",
    "HeatBalance",
    "HeatQuantity",
    "HotSpotStress",
    "LifeQuantity",
    "LinearizedStress",
    "MassQuantity",
    "MechanicalQuantity",
    "NearestMode",
    "NoModeIn",
    "Outcome",
    "Place",
    "Quantity",
    "ReactionQuantity",
    "Requirement",
    "StrainQuantity",
    "StressQuantity",
    "TemperatureQuantity",
    "TensorQuantity",
    "TimeTo",
    "Value",
    "ValuesAlone",
    "YieldMargin",
    "acceleration",
    "brittle_margin",
    "brittle_utilization",
    "buckling_factor",
    "complete_to",
    "composite_margin",
    "creep_life",
    "creep_margin",
    "damage",
    "displacement",
    "first_crossing",
    "fkm_margin",
    "frequency",
    "heat",
    "heat_balance",
    "hot_spot_stress",
    "life",
    "linearized_stress",
    "mass",
    "no_mode_in",
    "one_of",
    "place_of_node",
    "place_of_point",
    "reaction",
    "show_margin",
    "show_value",
    "strain",
    "stress",
    "temperature",
    "time_to",
    "total_mass",
    "worst",
    "yield_margin",
]  # fmt: skip
