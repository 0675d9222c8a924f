"""Intervals of natural frequencies hold the truth, and are not much wider than they need to be."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box
from surroundings import FULL

import designtwin as dtw

SIZE = (0.2, 0.03, 0.01)
STEEL = {"youngs_modulus": "200 GPa", "poissons_ratio": 0.3, "density": "8000 kg/m3", "name": "steel"}
# The lowest bending modes in both planes, whose order no mesh below changes.
# Of hexahedron20 on 20 x 4 x 2 and 40 x 8 x 4, Hz: 203.473 and 203.085, 598.527 and 597.777, 1260.738 and
# 1258.007, free 1274.635 and 1274.459; extrapolated with h^1.42 of the clamped edge and h^4 of the free part.
TRUTH = {"clamped": (202.85, 597.33, 1256.38), "free": (1274.45,)}
MESHES = [
    ("hexahedron20", (3, 1, 1)), ("hexahedron20", (6, 2, 1)), ("hexahedron20", (12, 3, 2)),
    ("tetra10", (3, 1, 1)), ("tetra10", (6, 2, 1)), ("tetra10", (12, 3, 2)), ("wedge15", (5, 2, 1)),
    ("hexahedron", (10, 2, 1)), ("hexahedron", (20, 4, 2)), ("wedge", (10, 2, 2)), ("tetra", (10, 2, 2)),
]  # fmt: skip


def modes(element, n, held):
    model = dtw.Model(
        box(element, n, SIZE),
        materials={"body": dtw.LinearElastic(**STEEL)},
        supports=[dtw.FixedSupport(on="xmin")] if held == "clamped" else [],
    )
    return dtw.solve_modes(model, count=len(TRUTH[held])).modes.elastic


@pytest.mark.parametrize("held", TRUTH)
@pytest.mark.parametrize(("element", "n"), MESHES if FULL else MESHES[::2], ids=str)
def test_the_interval_of_a_frequency_holds_the_truth(element, n, held):
    found = modes(element, n, held)
    for mode, truth in zip(found, TRUTH[held], strict=False):
        low, high = mode.interval
        assert low <= truth <= high, f"{mode.caption}: {low:.5g} to {high:.5g} Hz, {truth} Hz is right"
        if mode.energy_error < 0.2:  # where the mesh resolves the shape at all
            error = abs(mode.frequency - truth)
            assert high - low <= max(20.0 * error, 0.01 * truth)


def test_the_error_of_omega_squared_goes_with_the_energy_error_squared():
    """Within 0.3 to 3.4 on all these meshes, of which the interval takes four times downwards."""
    shares = []
    for element, n in MESHES[1:6:2]:
        (first, *_), truth = modes(element, n, "clamped"), TRUTH["clamped"][0]
        shares.append((1.0 - (truth / first.frequency) ** 2) / first.energy_error**2)
    assert np.all((np.array(shares) > 0.3) & (np.array(shares) < 3.4))
