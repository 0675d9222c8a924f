"""Intervals hold the truth on problems that their factors were not fitted to (see `elsewhere.py`)."""

from __future__ import annotations

import pytest
from elsewhere import ELSEWHERE, sizes
from intervals import Row
from surroundings import FULL

import designtwin as dtw

SHARE = {
    "Inglis": ("triangle6", "quad", "quad8", "tetra10"),
    "shaft": ("hexahedron20", "pyramid13"),
    "cavity": (),
}


@pytest.mark.parametrize(
    ("case", "element"),
    [
        pytest.param(case, element, id=f"{case}-{element}".replace(" ", "_").replace(",", ""))
        for case, (_, elements, _) in ELSEWHERE.items()
        for element in (elements if FULL else SHARE.get(case, ("triangle6", "quad8")))
    ],
)
def test_intervals_hold_the_truth_elsewhere(case, element):
    """Among them cells four times as long across a fillet as along it, where recovery sees least."""
    build, _, known = ELSEWHERE[case]
    for n in sizes(case, element)[: None if FULL else 2]:
        result = dtw.solve_static(build(element, n))
        for one in known:
            row = Row.of(case, element, n, one, result)
            assert not row.wrong, (n, row.quantity, row.low, row.high, row.truth)
