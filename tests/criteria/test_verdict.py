"""One status of many."""

from __future__ import annotations

from itertools import product

import pytest

from designtwin.criteria.verdict import overall


@pytest.mark.parametrize("statuses", list(product(["PASS", "FAIL", "CANNOT TELL"], repeat=3)))
def test_a_failure_outweighs_doubt_and_doubt_outweighs_success(statuses):
    if "FAIL" in statuses:
        assert overall(statuses) == "FAIL"
    elif "CANNOT TELL" in statuses:
        assert overall(statuses) == "CANNOT TELL"
    else:
        assert overall(statuses) == "PASS"
