"""Virtual prototype tests: model + analysis + requirements -> Verdict."""

from designtwin.prototype.tests import PrototypeTest, StrengthTest, ThermalTest

__all__ = ["PrototypeTest", "StrengthTest", "ThermalTest"]
