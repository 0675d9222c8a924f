"""Requirements on frequencies, responses and buckling, judged on results made of given numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builders import box
from fake_results import FakeCase, StaticResult
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from designtwin.errors import RequirementError
from designtwin.plain import Plain
from designtwin.requirements import (
    CANNOT_TELL,
    FAIL,
    PASS,
    NoModeIn,
    acceleration,
    buckling_factor,
    displacement,
    frequency,
    no_mode_in,
    stress,
    yield_margin,
)
from designtwin.results.modal import frequency_interval

BOX = box("hexahedron", (2, 1, 1), (0.2, 0.1, 0.1))


@dataclass
class FakeMode:
    number: int
    frequency: float
    energy_error: float = 0.0
    residual: float = 0.0
    is_rigid: bool = False

    @property
    def name(self) -> str:
        return f"mode {self.number}"

    @property
    def interval(self) -> tuple[float, float]:
        return frequency_interval(self.frequency, self.energy_error, self.residual)

    @property
    def displacement(self) -> Any:
        return np.tile(np.arange(BOX.n_points, dtype=float)[:, None], 3)


class FakeModes:
    name = "modes"

    def __init__(self, frequencies, *, error=0.0, rigid=0, shares=None, complete_to=None):
        self.n_rigid = rigid
        self.all = [FakeMode(i + 1, 0.0, is_rigid=True) for i in range(rigid)]
        self.all += [FakeMode(rigid + i + 1, f, error) for i, f in enumerate(frequencies)]
        self.elastic = tuple(self.all[rigid:])
        self.frequencies = np.array([mode.frequency for mode in self.all])
        self.shares = np.zeros((len(self.all), 6)) if shares is None else np.asarray(shares, float)
        self.whole = np.array([2.0, 2.0, 2.0, 0.1, 0.1, 0.0])
        self.complete_to = max(frequencies, default=0.0) if complete_to is None else complete_to
        self.model = SimpleNamespace(mesh=BOX)
        self.asked: list[int] = []

    def interval(self, i: int) -> tuple[float, float]:
        self.asked.append(i)
        return self.all[i].interval


class FakeRandom(FakeCase):
    """Fields are root mean squares."""

    statistical = True

    def field(self, name: str, sigma: float = 1.0) -> Any:
        found = super().field(name)
        found.values = sigma * found.values
        found.error = None if found.error is None else sigma * found.error
        return found


class VibrationResult(StaticResult):
    physics = "vibration"

    def __init__(self, modes: FakeModes, fields=None, random=()) -> None:
        super().__init__(BOX, fields or {})
        for name in random:
            self.by_case[name] = FakeRandom(self, name, (fields or {})[name])
        self.responses = dict(self.by_case)
        self.modes = modes
        self.by_case = {"modes": modes, **self.by_case}
        self.cases = tuple(self.by_case)


def of(*frequencies, **options) -> VibrationResult:
    return VibrationResult(FakeModes(frequencies, **options))


# --- natural frequencies -----------------------------------------------------------------------------------


def test_a_frequency_names_its_mode_and_the_place_that_moves_most():
    row = (frequency(2) >= "65 Hz").judge(of(60.0, 80.0))
    assert (row.status, row.value.value, row.value.case) == (PASS, 80.0, "mode 2")
    assert row.value.place.node == BOX.n_points - 1
    assert str(row.requirement) == "frequency of mode 2 ≥ 65 Hz"


def test_rigid_motions_do_not_count():
    value = frequency(1).evaluate(of(60.0, 80.0, rigid=6))
    assert (value.value, value.case) == (60.0, "mode 7")


def test_the_interval_of_a_frequency_reaches_down_four_times_the_energy_error_squared():
    low, high = frequency_interval(100.0, 0.1, 0.0)
    assert_allclose([low, high], [100.0 * math.sqrt(0.96), 100.0 * math.sqrt(1.01)])
    low, high = frequency_interval(100.0, 0.1, 1e-3)
    assert_allclose([low, high], [100.0 * math.sqrt(0.959), 100.0 * math.sqrt(1.011)])
    assert frequency_interval(100.0, 2.0, 0.0)[0] == 0.0


@pytest.mark.parametrize(("limit", "status"), [("97 Hz", PASS), ("98.5 Hz", CANNOT_TELL), ("101 Hz", FAIL)])
def test_an_interval_around_the_limit_cannot_tell(limit, status):
    assert (frequency(1) >= limit).judge(of(100.0, error=0.1)).status == status


def test_a_mode_beyond_those_found_is_known_from_below():
    known = of(60.0, 80.0, complete_to=100.0)
    row = (frequency(3) >= "95 Hz").judge(known)
    assert row.status == PASS
    assert (row.value.low, row.value.high) == (100.0, math.inf)
    row = (frequency(3) >= "110 Hz").judge(known)
    assert row.status == CANNOT_TELL
    assert "modes_up_to='200 Hz'" in row.reason
    assert (frequency(3) <= "95 Hz").judge(known).status == FAIL


def test_what_lies_beyond_may_truly_be_lower_by_the_error_of_the_last_mode():
    value = frequency(3).evaluate(of(60.0, 80.0, complete_to=100.0, error=0.1))
    assert_allclose(value.low, 100.0 * math.sqrt(0.96))


def test_a_direction_picks_modes_by_effective_mass():
    shares = np.zeros((3, 6))
    shares[0, 0], shares[1, 2], shares[2, 2] = 0.7, 0.09, 0.6
    result = of(60.0, 80.0, 90.0, shares=shares)
    assert frequency(1, direction="z").evaluate(result).value == 90.0
    assert frequency(1, direction="z", share="5 %").evaluate(result).value == 80.0
    assert "with 10 % of the mass along z" in frequency(1, direction="z").label
    row = (frequency(1, direction="y") >= "50 Hz").judge(result)
    assert row.status == PASS  # nothing moves along y up to what was computed
    assert "3 modes were found, of which 0 count" in row.value.note


def test_a_direction_in_which_nothing_can_move_is_refused():
    with pytest.raises(RequirementError, match="nothing of this model moves along 'rz'"):
        frequency(1, direction="rz").evaluate(of(60.0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: frequency(0), "counted from 1"),
        (lambda: frequency(1.5), "counted from 1"),
        (lambda: frequency(True), "counted from 1"),
        (lambda: frequency(1, direction="w"), "direction='w' is unknown"),
        (lambda: frequency(1, direction="x", share="120 %"), "share="),
        (lambda: no_mode_in("105 Hz", "95 Hz"), "the band is empty"),
        (lambda: no_mode_in("95 Hz", "95 Hz"), "the band is empty"),
        (lambda: no_mode_in("-5 Hz", "95 Hz"), "the band is empty"),
        (lambda: displacement(sigma=0), "sigma=0"),
        (lambda: yield_margin(sigma=-3.0), "sigma=-3"),
        (lambda: buckling_factor(loads="up"), "loads='up' is unknown"),
    ],
)
def test_what_makes_no_sense_is_refused_when_written(make, words):
    with pytest.raises(RequirementError, match=words):
        make()


# --- a band without modes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frequencies", "status", "margin", "mode"),
    [
        ((60.0, 150.0), PASS, (95.0 - 60.0) / 95.0, "mode 1"),
        ((90.0, 150.0), PASS, 5.0 / 95.0, "mode 1"),
        ((60.0, 110.0, 400.0), PASS, 5.0 / 105.0, "mode 2"),
        ((94.0, 106.0, 400.0), PASS, 1.0 / 105.0, "mode 2"),
        ((60.0, 98.0, 400.0), FAIL, -3.0 / 105.0, "mode 2"),
        ((96.0, 101.0, 104.5, 400.0), FAIL, -4.0 / 105.0, "mode 2"),
        ((95.0, 400.0), FAIL, 0.0, "mode 1"),  # ends belong to the band
    ],
)
def test_a_band_is_judged_by_the_mode_deepest_in_it(frequencies, status, margin, mode):
    row = no_mode_in("95 Hz", "105 Hz").judge(of(*frequencies))
    assert (row.status, row.value.case) == (status, mode)
    assert_allclose(row.margin, margin, atol=1e-12)


def test_an_interval_that_reaches_into_the_band_cannot_tell():
    # 107 Hz may truly be 104.9 Hz; 90 Hz cannot be above 90.5 Hz
    row = no_mode_in("95 Hz", "105 Hz").judge(of(90.0, 107.0, 400.0, error=0.1))
    assert (row.status, row.value.case) == (CANNOT_TELL, "mode 2")
    assert "overlap" in row.reason
    assert "finer mesh" in row.reason


def test_a_mode_in_the_band_for_certain_outweighs_one_that_may_be():
    result = of(100.5, 400.0)
    result.modes.elastic[0].energy_error = 0.3  # 80 to 104.9 Hz
    assert no_mode_in("95 Hz", "105 Hz").judge(result).status == CANNOT_TELL
    result = of(95.5, 100.5, 400.0)
    result.modes.elastic[1].energy_error = 0.3
    row = no_mode_in("95 Hz", "105 Hz").judge(result)
    assert (row.status, row.value.case) == (FAIL, "mode 1")


@pytest.mark.parametrize(
    ("complete_to", "status"), [(90.0, CANNOT_TELL), (105.0, CANNOT_TELL), (106.0, PASS)]
)
def test_modes_must_be_known_beyond_the_band(complete_to, status):
    row = no_mode_in("95 Hz", "105 Hz").judge(of(60.0, complete_to=complete_to))
    assert row.status == status
    assert ("modes_up_to=" in row.reason) == (status == CANNOT_TELL)


def test_a_band_looks_only_at_modes_of_its_direction():
    shares = np.zeros((2, 6))
    shares[0, 0], shares[1, 2] = 0.8, 0.8
    result = of(100.0, 400.0, shares=shares)
    assert no_mode_in("95 Hz", "105 Hz", direction="z").judge(result).status == PASS
    assert no_mode_in("95 Hz", "105 Hz", direction="x").judge(result).status == FAIL
    assert "with 10 % of the mass along z in 95 Hz to 105 Hz" in str(
        no_mode_in("95 Hz", "105 Hz", direction="z")
    )


def test_a_band_is_plain_data_and_reads_well():
    made = no_mode_in("95 Hz", "105 Hz")
    assert str(made) == "no mode in 95 Hz to 105 Hz"
    back = Plain.from_dict(made.to_dict())
    assert isinstance(back, NoModeIn)
    assert back == made
    assert back.content_hash() == made.content_hash()
    assert no_mode_in("95 Hz", "106 Hz") != made


def test_intervals_are_asked_only_of_modes_that_could_reach_the_band():
    result = of(20.0, 40.0, 80.0, 110.0, 120.0, 300.0, 400.0, error=0.1)
    assert no_mode_in("95 Hz", "105 Hz").judge(result).status == PASS
    assert set(result.modes.asked) == {
        2,
        3,
        6,
    }  # the nearest on both sides, and the last for what lies beyond


@given(
    frequencies=st.lists(st.floats(1.0, 500.0), min_size=1, max_size=6),
    low=st.floats(1.0, 400.0),
    width=st.floats(0.1, 100.0),
    error=st.floats(0.0, 0.4),
)
def test_a_band_agrees_with_looking_at_every_mode(frequencies, low, width, error):
    high = low + width
    result = of(*sorted(frequencies), error=error, complete_to=2000.0)
    spans = [mode.interval for mode in result.modes.elastic]
    inside = any(low <= a and b <= high for a, b in spans)
    touched = any(a <= high and b >= low for a, b in spans)
    expected = FAIL if inside else CANNOT_TELL if touched else PASS
    assert no_mode_in(low, high).judge(result).status == expected


# --- responses ---------------------------------------------------------------------------------------------


FIELDS = {
    "transport": {
        "displacement": (1e-3, 1e-4), "uz": (1e-3, 1e-4), "von_mises": (50e6, 5e6),
        "acceleration": (30.0, 1.0), "az": (30.0, 1.0), "stress_xx": (40e6, 4e6),
    },
    "sweep": {
        "displacement": (2e-3, 1e-4), "uz": (2e-3, 1e-4), "von_mises": (90e6, 5e6),
        "acceleration": (50.0, 1.0), "az": (50.0, 1.0), "stress_xx": (80e6, 4e6),
    },
}  # fmt: skip


def shaken() -> VibrationResult:
    return VibrationResult(FakeModes([60.0]), FIELDS, random=["transport"])


@pytest.mark.parametrize(
    ("quantity", "value", "error"),
    [
        (displacement(component="z", sigma=3, case="transport"), 3e-3, 3e-4),
        (stress(sigma=3, case="transport"), 150e6, 15e6),
        (stress("xx", sigma=2, case="transport"), 80e6, 8e6),
        (stress("xx", at=(0.1, 0.05, 0.05), sigma=2, case="transport"), 80e6, 8e6),
        (acceleration(component="z", sigma=3, case="transport"), 90.0, 3.0),
        (stress(case="sweep"), 90e6, 5e6),
        (acceleration(case="sweep"), math.sqrt(3.0) * 50.0, None),
        (stress(sigma=3), 150e6, 15e6),  # of all cases: three times 50 MPa, and 90 MPa as it is
        (stress(sigma=1), 90e6, 5e6),
    ],
)
def test_sigma_multiplies_what_is_random_and_nothing_else(quantity, value, error):
    found = quantity.evaluate(shaken())
    assert_allclose(found.value, value)
    if error is not None:
        assert_allclose(found.high - found.value, error)


def test_a_margin_at_three_sigma():
    value = yield_margin(sigma=3, case="transport").evaluate(shaken())
    assert_allclose([value.value, value.low, value.high], [200 / 150, 200 / 165, 200 / 135])
    assert yield_margin(sigma=3, case="transport").label == "yield margin (von Mises) in case 'transport', 3σ"


def test_a_random_response_needs_sigma_and_no_other_takes_it():
    with pytest.raises(RequirementError, match=r"case 'transport' is random .* sigma=3"):
        stress().evaluate(shaken())
    with pytest.raises(
        RequirementError, match=r"sigma=3 is of random responses, and there is none in 'sweep'"
    ):
        stress(sigma=3, case="sweep").evaluate(shaken())


def test_modes_have_no_stress_of_their_own():
    with pytest.raises(RequirementError, match="modes have no size of their own"):
        stress().evaluate(of(60.0))


def test_a_static_result_has_no_sigma_and_no_acceleration():
    static = StaticResult(BOX, {"lift": {"von_mises": 1e6}})
    assert stress().evaluate(static).value == 1e6
    with pytest.raises(RequirementError, match="needs a vibration result"):
        stress(sigma=3).evaluate(static)
    with pytest.raises(RequirementError, match="needs a vibration result, and this is a static one"):
        acceleration().evaluate(static)
    with pytest.raises(RequirementError, match=r"frequency of mode 1 needs a vibration result.*solve_modes"):
        frequency(1).evaluate(static)


# --- buckling ----------------------------------------------------------------------------------------------


class FakeBuckling:
    def __init__(self, name, factors, *, count=5, largest_factor=1e6):
        self.name, self.count, self.largest_factor = name, count, largest_factor
        self.model = SimpleNamespace(mesh=BOX)
        self.modes = [SimpleNamespace(factor=f, factor_error=0.1 * abs(f), node=3) for f in factors]

    def __iter__(self):
        return iter(self.modes)

    def __len__(self):
        return len(self.modes)


def buckled(**cases) -> Any:
    made = {
        name: one if isinstance(one, FakeBuckling) else FakeBuckling(name, one) for name, one in cases.items()
    }

    class Result(dict):
        physics = "buckling"
        cases = tuple(made)
        by_case = made

    return Result(made)


def test_the_smallest_factor_of_all_cases_governs():
    row = (buckling_factor() >= 3).judge(buckled(lift=[-2.0, 4.0, 9.0], brake=[3.6, 7.0]))
    assert (row.status, row.value.value, row.value.case) == (PASS, 3.6, "brake")
    assert row.value.place.node == 3
    assert (buckling_factor() >= 3.5).judge(buckled(lift=[3.6])).status == CANNOT_TELL
    assert (buckling_factor() >= 4.5).judge(buckled(lift=[3.6])).status == FAIL
    assert (buckling_factor(case="lift") >= 3.5).judge(buckled(lift=[4.0], brake=[1.0])).status == PASS


def test_reversed_loads_are_asked_for():
    result = buckled(lift=[-2.0, 4.0])
    assert buckling_factor(loads="reversed").evaluate(result).value == 2.0
    either = buckling_factor(loads="either way").evaluate(result)
    assert (either.value, either.note) == (2.0, "loads reversed")
    assert "loads either way" in buckling_factor(loads="either way").label


def test_loads_that_only_pull_pass_and_no_stress_tells_nothing():
    pulled = (buckling_factor() >= 3).judge(buckled(pull=[-2.0]))
    assert (pulled.status, pulled.value.value) == (PASS, math.inf)
    assert "however large" in pulled.value.note
    none = FakeBuckling("idle", [], largest_factor=math.inf)
    assert (buckling_factor() >= 3).judge(buckled(idle=none)).status == CANNOT_TELL


def test_factors_all_of_the_other_way_bound_the_one_wanted_from_below():
    many = FakeBuckling("lift", [-1.0, -2.0, -4.0], count=3)
    assert (buckling_factor() >= 3).judge(buckled(lift=many)).status == PASS
    row = (buckling_factor() >= 5).judge(buckled(lift=many))
    assert row.status == CANNOT_TELL
    assert "count=20" in row.reason
