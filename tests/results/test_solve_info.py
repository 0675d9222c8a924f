"""A result tells how it was obtained."""

from designtwin.results import SolveInfo


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
