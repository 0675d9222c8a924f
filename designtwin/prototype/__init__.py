"""Virtual prototype tests: model + analysis + requirements -> Verdict; also as text files."""

from designtwin.prototype.cache import ResultCache
from designtwin.prototype.coupled import ThermalStressTest
from designtwin.prototype.life import LifeTest, UnitCase, unit_case
from designtwin.prototype.tests import PrototypeTest, StrengthTest, ThermalTest
from designtwin.prototype.textfile import Design, read_design
from designtwin.prototype.vibration import BucklingTest, VibrationTest

__all__ = [
    "BucklingTest", "Design", "LifeTest", "PrototypeTest", "ResultCache", "StrengthTest", "ThermalStressTest",
    "ThermalTest", "UnitCase", "VibrationTest", "read_design", "unit_case",
]  # fmt: skip
