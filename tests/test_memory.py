"""How much memory is free, and how much was held."""

import subprocess
import sys

import pytest

from designtwin import memory


def test_free_memory_is_a_sensible_number():
    free = memory.free_bytes()
    assert free is None or 1e6 < free < 1e14


def test_a_peak_is_told_after_it_is_over():
    """In a process of its own: in this one an earlier test may have held more."""
    code = """
import numpy as np
from designtwin import memory
peak = memory.Peak()
np.ones(300_000_000, np.uint8)
print(peak.bytes)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    if memory.resident_bytes() is None:
        pytest.skip("the system does not tell")
    assert 250e6 < int(told) < 400e6


def test_a_peak_hidden_by_an_earlier_one_is_not_made_up(monkeypatch):
    monkeypatch.setattr(memory, "_most_ever", lambda: 10**9)
    assert memory.Peak().bytes is None
    monkeypatch.setattr(memory, "resident_bytes", lambda: None)
    assert memory.Peak().bytes is None
