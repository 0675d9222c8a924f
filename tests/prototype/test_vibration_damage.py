"""Damage by random vibration in the field: moments of equivalent stress, Dirlik and its like, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_vibration_test import RANDOM, SWEEP, beam

import designtwin as dtw
from designtwin.errors import FatigueError, RequirementError
from designtwin.fatigue.spectral import damage_rate

CURVE = dtw.SNCurve(amplitude="100 MPa", cycles=1e6, slope=5, miner="elementary", scatter=0.2)
PLACE = dtw.near("xmin", "20 mm")


def vibrated(*requirements, cases=None):
    return dtw.VibrationTest(
        beam((10, 1, 1)), list(requirements), damping="2 %", cases=cases or {"transport": RANDOM}
    )


@pytest.fixture(scope="module")
def case():
    return vibrated(dtw.frequency(1) >= "65 Hz").run().result["transport"]


def test_moments_of_the_field_are_those_of_the_density_at_a_point(case):
    moments = case.stress_moments
    assert_allclose(np.sqrt(moments[:, 0]), case.von_mises(), rtol=1e-9)
    worst = int(np.argmax(moments[:, 0]))
    assert_allclose(case.psd(what="stress").moments, moments[worst], rtol=1e-8)
    # Schwarz holds everywhere.
    assert (moments[:, 2] ** 2 <= moments[:, 0] * moments[:, 4] * (1.0 + 1e-9)).all()
    assert (moments[:, 1] ** 2 <= moments[:, 0] * moments[:, 2] * (1.0 + 1e-9)).all()


def test_damage_goes_with_time_and_is_told_with_its_interval(case):
    rate = damage_rate(case.stress_moments, CURVE)
    verdict = vibrated(
        dtw.damage(case="transport", duration="8 h", curve=CURVE) <= 1.0,
        dtw.damage(case="transport", duration="16 h", curve=CURVE, survival=0.9) <= 1.0,
        dtw.damage("xmax", duration="8 h", curve=CURVE, excluding=PLACE, method="narrow band") <= 1.0,
    ).run()
    one, two, three = (row.value for row in verdict.rows)
    assert_allclose(one.value, rate.max() * 8.0 * 3600.0, rtol=1e-9)
    assert one.low < one.value < one.high
    # A slope of 5: the interval is that of the stress to its fifth power.
    error = case.field("von_mises").error / case.von_mises()
    assert_allclose(one.high, (rate * (1.0 + error) ** 5).max() * 8.0 * 3600.0, rtol=1e-6)
    assert_allclose(two.value / one.value, 2.0 * 10.0 ** (1.2815515655 * 0.2), rtol=1e-6)
    assert three.value < one.value
    assert "irregularity" in one.note
    assert "mean stress is not counted" in one.note
    assert json.dumps(verdict.to_dict())


def test_the_narrow_band_is_on_the_safe_side_of_dirlik(case):
    bands = {m: damage_rate(case.stress_moments, CURVE, method=m).max() for m in ("Dirlik", "narrow band")}
    assert 1.0 < bands["narrow band"] / bands["Dirlik"] < 3.0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"duration": "8 h"}, RequirementError, "wants both"),
        ({"curve": CURVE}, RequirementError, "wants both"),
        ({"duration": "0 s", "curve": CURVE}, RequirementError, "time above zero"),
        ({"duration": "8 h", "curve": "FAT 71 nominal"}, FatigueError, "FAT 71"),
        ({"duration": "8 h", "curve": 3.0}, RequirementError, "an SNCurve or the name"),
        ({"duration": "8 h", "curve": CURVE, "method": "Dirlick"}, RequirementError, "Dirlik"),
        ({"duration": "8 h", "curve": CURVE, "survival": 1.0}, RequirementError, "probability"),
        ({"duration": "8 h", "curve": "S355 base metal", "survival": 0.9}, FatigueError, "scatter"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        dtw.damage(**options)


def test_only_random_vibration_has_damage_by_moments():
    with pytest.raises(RequirementError, match="'sine' is not random"):
        vibrated(dtw.damage(duration="8 h", curve=CURVE) <= 1.0, cases={"sine": SWEEP})
    with pytest.raises(RequirementError, match=r"needs a life analysis"):
        vibrated(dtw.damage() <= 1.0)


def test_a_requirement_on_vibration_damage_is_plain_data():
    requirement = dtw.damage(case="transport", duration="8 h", curve=CURVE, method="Lalanne") <= 0.3
    again = type(requirement).from_dict(json.loads(json.dumps(requirement.to_dict())))
    assert again == requirement
    assert str(again) == "damage in case 'transport' in 8 h, Lalanne ≤ 0.3"
    one = dtw.damage("lug", survival=0.975) <= 0.3
    assert type(one).from_dict(one.to_dict()) == one
