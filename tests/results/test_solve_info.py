"""A result tells how it was obtained."""

import numpy as np

from designtwin.results import SolveInfo
from designtwin.results.common import Field


def test_what_is_known_of_a_solve_is_told_and_what_is_not_is_left_out():
    bare = SolveInfo("Direct", 1200, 0, {})
    assert str(bare) == "Direct, 1,200 unknowns"
    full = SolveInfo(
        "MultigridCG", 36000, 18, {"set-up": 0.25, "solve": 0.5}, ("switched",), 3e-9, 48_000_000
    )
    assert str(full) == (
        "MultigridCG, 36,000 unknowns, 18 iterations, residual 3.0e-09, "
        "0.75 s (set-up 0.25 s, solve 0.50 s), 48 MB; switched"
    )


def test_a_lopsided_interval_has_its_larger_side_as_error():
    values = np.array([np.inf, np.inf, 1.0, np.nan])
    ends = np.array([np.inf, 5.0, 0.5, np.nan]), np.array([np.inf, np.inf, 3.0, np.nan])
    field = Field("margin", "Margin", values, "dimensionless", interval=lambda: ends)
    # equal infinities lie no distance apart, one that reaches down to 5 is off by anything
    assert np.array_equal(field.error, [0.0, np.inf, 2.0, np.nan], equal_nan=True)
