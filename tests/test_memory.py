"""How much memory is free, and how much was held."""

import numpy as np
import pytest

from designtwin import memory


def test_free_memory_is_a_sensible_number():
    free = memory.free_bytes()
    assert free is None or 1e6 < free < 1e14


def test_a_peak_is_told_after_it_is_over():
    peak = memory.Peak()
    if memory.resident_bytes() is None or memory._most_ever() is None:
        pytest.skip("the system does not tell")
    size = memory._most_ever() - memory.resident_bytes() + 60_000_000  # beyond every earlier peak
    np.ones(size, np.uint8)
    assert size - 40_000_000 < peak.bytes < size + 100_000_000


def test_a_peak_hidden_by_an_earlier_one_is_not_made_up(monkeypatch):
    monkeypatch.setattr(memory, "_most_ever", lambda: 10**9)
    assert memory.Peak().bytes is None
    monkeypatch.setattr(memory, "resident_bytes", lambda: None)
    assert memory.Peak().bytes is None
