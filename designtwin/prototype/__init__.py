"""Virtual prototype tests: model + analysis + requirements -> Verdict; also as text files."""

from designtwin.prototype.cache import ResultCache
from designtwin.prototype.tests import PrototypeTest, StrengthTest, ThermalTest
from designtwin.prototype.textfile import Design, read_design
from designtwin.prototype.vibration import BucklingTest, VibrationTest

__all__ = [
    "BucklingTest", "Design", "PrototypeTest", "ResultCache", "StrengthTest", "ThermalTest", "VibrationTest",
    "read_design",
]  # fmt: skip
