"""How damage changes with a history: against differences, the cycles being what they are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from designtwin.fatigue.curves import fatigue_curve
from designtwin.fatigue.mean_stress import MeanStress
from designtwin.kernels import damage as kernels

MEAN_STRESS = (
    None, "Goodman", "Gerber", MeanStress(method="Morrow", fracture_strength=1.2e9), "SWT",
    MeanStress(method="Walker", exponent=0.6), MeanStress(method="FKM", sensitivity=0.3),
)  # fmt: skip


def count(stress, table):
    damage, slopes = np.empty(len(stress)), np.empty_like(stress)
    kernels.damage_slopes(0, len(stress), stress, np.zeros(len(stress), np.int64), table, damage, slopes)
    return damage, slopes


def counted(stress, table):
    """By the kernel of the analysis, of one channel that is the stress itself."""
    out = []
    for history in stress:
        damage, least, most = np.empty(1), np.empty(1), np.empty(1)
        kernels.damage_of_histories(
            0, 1, np.zeros((1, 0, 1)), np.ones((1, 1)), np.zeros(1, np.int64), table, history[None], damage,
            least, most,
        )  # fmt: skip
        out.append(damage[0])
    return np.array(out)


def tables_of(mean_stress):
    return fatigue_curve("S355 base metal").table(mean_stress, ultimate=600e6)[None]


@pytest.mark.parametrize("mean_stress", MEAN_STRESS, ids=lambda one: getattr(one, "method", one) or "none")
def test_damage_is_that_of_the_analysis_and_its_slopes_are_those_of_differences(mean_stress):
    rng = np.random.default_rng(5)
    stress = 120e6 * rng.normal(size=(3, 400)) + np.array([[0.0], [60e6], [-40e6]])
    table = tables_of(mean_stress)
    damage, slopes = count(stress, table)
    assert_allclose(damage, counted(stress, table), rtol=1e-12)
    assert (damage > 0.0).all()
    direction = rng.normal(size=stress.shape)
    by_step = []
    for h in (2e2, 1e2):
        up, down = counted(stress + h * direction, table), counted(stress - h * direction, table)
        by_step.append((up - down) / (2.0 * h))
    richardson = (4.0 * by_step[1] - by_step[0]) / 3.0
    assert_allclose((slopes * direction).sum(axis=1), richardson, rtol=1e-6)


def test_only_turning_points_count():
    stress = np.array([[0.0, 100e6, 200e6, 200e6, 50e6, -150e6, 0.0]])
    _, slopes = count(stress, tables_of(None))
    assert (slopes[0, [1, 4]] == 0.0).all()
    assert slopes[0, [2, 3]].sum() > 0.0 > slopes[0, 5]
