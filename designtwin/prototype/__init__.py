"""Virtual prototype tests: model + analysis + requirements -> Verdict; also as text files."""

from designtwin.prototype.tests import PrototypeTest, StrengthTest, ThermalTest
from designtwin.prototype.textfile import Design, read_design

__all__ = ["Design", "PrototypeTest", "StrengthTest", "ThermalTest", "read_design"]
