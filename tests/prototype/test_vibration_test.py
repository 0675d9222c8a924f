"""Vibration and buckling on real little parts: numbers by hand, refusals before anything is solved."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from builders import box

import designtwin as dtw
from designtwin.errors import MissingPropertyError, ModelError, RequirementError
from designtwin.model.excitation import Excitation

LENGTH, WIDTH, HEIGHT = 0.2, 0.02, 0.01
MODULUS, DENSITY = 200e9, 8000.0
STEEL = {
    "youngs_modulus": "200 GPa",
    "poissons_ratio": 0.0,  # plane sections stay so, as in the beam's equation
    "density": "8000 kg/m3",
    "yield_strength": "300 MPa",
    "name": "steel",
}
PUSH = [dtw.Force(on="xmax", value=("-10 kN", "0 N", "0 N"))]
PULL = [dtw.Force(on="xmax", value=("10 kN", "0 N", "0 N"))]
FIRST = [dtw.frequency(1) >= "65 Hz"]
RANDOM = dtw.base_psd("z", [("20 Hz", "0.01 g**2/Hz"), ("2 kHz", "0.01 g**2/Hz")])
SWEEP = dtw.base_harmonic("z", "1 g", low="20 Hz", high="500 Hz")


def beam(n=(10, 1, 1), *, cases=None, supports=None, **properties) -> dtw.Model:
    """A beam clamped at one end."""
    return dtw.Model(
        box("hexahedron20", n, (LENGTH, WIDTH, HEIGHT)),
        materials={"body": dtw.LinearElastic(**{**STEEL, **properties})},
        supports=[dtw.FixedSupport(on="xmin")] if supports is None else supports,
        load_cases={"push": PUSH} if cases is None else cases,
        name="beam",
    )


def by_hand(mode: int, height: float) -> float:
    """Bending frequency of a clamped beam, Hz (Euler and Bernoulli)."""
    root = (1.8751, 4.6941, 7.8548)[mode - 1]
    inertia, area = WIDTH * HEIGHT * height**2 / 12.0, WIDTH * HEIGHT
    return root**2 / (2.0 * math.pi) * math.sqrt(MODULUS * inertia / (DENSITY * area * LENGTH**4))


@pytest.fixture(scope="module")
def shaken():
    """A test with a response of every kind, on ten cells."""
    return dtw.VibrationTest(
        beam(),
        requirements=[
            dtw.frequency(1) >= "180 Hz",
            dtw.frequency(1, direction="y") >= "360 Hz",
            dtw.no_mode_in("250 Hz", "350 Hz"),
            dtw.acceleration("xmax", "z", case="sweep") <= "70 g",
            dtw.displacement("xmax", "z", case="sweep") <= "1 mm",
            dtw.yield_margin(case="sweep") >= 1.2,
            dtw.mass() <= "1 kg",
        ],
        modes_up_to="4 kHz",
        damping="2 %",
        cases={"sweep": SWEEP},
        name="beam",
    ).run()


def test_frequencies_by_hand(shaken):
    found = shaken.rows[0].value.value, shaken.rows[1].value.value
    assert found[0] == pytest.approx(by_hand(1, HEIGHT), rel=3e-3)
    assert found[1] == pytest.approx(by_hand(1, WIDTH), rel=1e-2)  # stiffer across: shear shows
    assert shaken.rows[1].value.case == "mode 2"
    assert [row.status for row in shaken.rows[:3]] == ["PASS"] * 3


def test_a_sweep_through_resonance_by_hand(shaken):
    """At resonance the tip moves by participation over 2 zeta: 1.566 times the base, relative to it."""
    omega = 2.0 * math.pi * shaken.rows[0].value.value
    tip = 1.566 * 9.80665 / (2.0 * 0.02 * omega**2)
    moved = shaken.rows[4].value
    assert moved.value == pytest.approx(tip, rel=1e-2)
    assert moved.frequency == pytest.approx(shaken.rows[0].value.value, rel=2e-3)
    assert moved.case_text.startswith("sweep at 2")
    # in front of the clamp stress is M h / (2 I), with the inertia of the first mode
    felt = shaken.rows[3].value
    assert felt.value == pytest.approx(1.566 * 9.80665 / 0.04, rel=2e-2)
    assert felt.low < felt.value < felt.high


def test_the_verdict_tells_modes_responses_and_what_they_hold(shaken):
    text = str(shaken)
    assert "vibration test of beam: PASS" in text
    assert "inertia and reactions of" in text
    assert "modes up to 4000 Hz" in text
    assert "response sweep: " in text
    data = shaken.to_dict()
    json.dumps(data, allow_nan=False)
    assert data["checks"]["modes"]["count"] == len(shaken.result.modes)
    assert data["checks"]["responses"]["sweep"]["said"].startswith("sweep")
    row = data["requirements"][4]
    assert row["frequency"] == pytest.approx(shaken.rows[4].value.frequency)
    assert row["text"]["instant"].endswith("Hz")
    band = data["requirements"][2]
    assert (band["relation"], band["requirement"]) == ("outside", "no mode in 250 Hz to 350 Hz")


def test_the_result_is_modes_and_responses(shaken):
    assert shaken.result.cases == ("modes", "sweep")
    assert shaken.result.modes is shaken.result["modes"]
    assert list(shaken.result.responses) == ["sweep"]
    assert "frequency" in str(shaken.result)
    assert len(shaken.result.modes[0].displacement) == shaken.result.model.mesh.n_points


def test_stress_adds_up_in_zones_of_the_sweep(shaken):
    tight = dtw.failure_zones([dtw.yield_margin(case="sweep") >= 100.0], shaken.result)
    assert tight
    assert tight[0].case == "sweep"
    assert tight[0].place.point[0] < 0.3 * LENGTH


# --- how far modes are computed ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requirements", "options", "band"),
    [
        ([dtw.frequency(1) >= "65 Hz"], {}, {"count": 10}),
        ([dtw.frequency(14) >= "65 Hz"], {}, {"count": 14}),
        ([dtw.no_mode_in("95 Hz", "105 Hz")], {}, {"up_to": 126.0}),
        ([dtw.no_mode_in("95 Hz", "105 Hz"), dtw.frequency(1) >= "400 Hz"], {}, {"up_to": 480.0}),
        ([dtw.frequency(1) >= "400 Hz", dtw.no_mode_in("95 Hz", "105 Hz")], {}, {"up_to": 480.0}),
        ([dtw.frequency(1) >= "65 Hz"], {"cases": {"t": RANDOM}, "damping": "2 %"}, {"up_to": 3000.0}),
        ([dtw.frequency(1) >= "65 Hz"], {"count": 3}, {"count": 3}),
        ([dtw.frequency(1) >= "65 Hz"], {"modes_up_to": "1 kHz"}, {"up_to": "1 kHz"}),
    ],
)
def test_excitations_and_limits_say_how_far_modes_are_needed(requirements, options, band):
    found = dtw.VibrationTest(beam((2, 1, 1)), requirements=requirements, **options)._band()
    assert found == pytest.approx(band) if "up_to" in band and "modes_up_to" not in options else found == band


def test_a_free_part_counts_elastic_modes_and_says_what_is_rigid():
    verdict = dtw.VibrationTest(
        beam((6, 1, 1), supports=[], cases={}), requirements=[dtw.frequency(1) >= "1 kHz"], count=2
    ).run()
    free = 22.373 / (2.0 * math.pi) * math.sqrt(MODULUS * HEIGHT**2 / (12.0 * DENSITY * LENGTH**4))
    assert verdict.rows[0].value.value == pytest.approx(free, rel=5e-3)
    assert verdict.rows[0].value.case == "mode 7"
    assert "6 of them rigid motions" in str(verdict)


def test_too_little_mass_in_the_modes_is_told():
    test = dtw.VibrationTest(
        beam((4, 1, 1)),
        requirements=[dtw.frequency(1) >= "65 Hz"],
        count=1,
        damping="2 %",
        cases={"sweep": dtw.base_harmonic("z", "1 g", low="20 Hz", high="200 Hz")},
    )
    assert any("the mode has 61 % of the mass along z" in note for note in test.run().notes)


def test_resonances_beyond_the_modes_that_were_counted_are_refused():
    test = dtw.VibrationTest(
        beam((4, 1, 1)),
        requirements=[dtw.frequency(1) >= "65 Hz"],
        count=2,
        damping="2 %",
        cases={"t": RANDOM},
    )
    with pytest.raises(
        ModelError, match=r"case 't' excites up to 2000 Hz, and the modes asked for \(2\) end at 4"
    ):
        test.run()


def test_a_response_spectrum_may_go_beyond_the_modes():
    quake = dtw.response_spectrum("z", [("1 Hz", "1 g"), ("900 Hz", "1 g")])
    test = dtw.VibrationTest(
        beam((4, 1, 1)), requirements=FIRST, modes_up_to="300 Hz", damping="2 %", cases={"quake": quake}
    )
    assert not [note for note in test.run().notes if "missed" in note]


def test_a_part_too_stiff_for_the_band_has_no_responses():
    stiff = dtw.base_psd("z", [("5 Hz", "0.01 g**2/Hz"), ("20 Hz", "0.01 g**2/Hz")])
    test = dtw.VibrationTest(
        beam((2, 1, 1)), requirements=FIRST, modes_up_to="50 Hz", damping="2 %", cases={"t": stiff}
    )
    with pytest.raises(ModelError, match="no mode deforms the part up to 50 Hz, and responses are sums"):
        test.run()


def test_a_sweep_across_a_resonance_that_nothing_damps_has_no_largest_amplitude():
    asked = {"requirements": FIRST, "damping": "0 %"}
    crossing = {"s": dtw.base_harmonic("z", "1 g", low="20 Hz", high="500 Hz")}
    with pytest.raises(ModelError, match=r"case 's': nothing damps the resonance at 2\d\d"):
        dtw.VibrationTest(beam((4, 1, 1)), **asked, cases=crossing).run()
    below = {"s": dtw.base_harmonic("z", "1 g", low="20 Hz", high="100 Hz")}
    assert dtw.VibrationTest(beam((4, 1, 1)), **asked, cases=below).run().status == "PASS"


def test_a_part_stiffer_than_what_shakes_it_still_answers():
    """Far below its frequencies the base carries it along: it feels the acceleration of the base."""
    slow = dtw.base_harmonic("z", "1 g", low="1 Hz", high="5 Hz")
    verdict = dtw.VibrationTest(
        beam((4, 1, 1)),
        requirements=[dtw.frequency(2) >= "65 Hz", dtw.acceleration("xmax", "z") <= "1.01 g"],
        damping="2 %",
        cases={"slow": slow},
    ).run()
    assert verdict.rows[0].value.case == "mode 2"
    assert verdict.rows[1].value.value == pytest.approx(9.80665, rel=2e-3)


def test_tension_raises_a_frequency_and_pressure_lowers_it():
    model = beam((6, 1, 1), cases={"push": PUSH, "pull": PULL})
    found = {
        state: dtw.VibrationTest(
            model, requirements=[dtw.frequency(1) >= "65 Hz"], count=2, prestress=state
        ).run().rows[0].value.value
        for state in (None, "push", "pull")
    }  # fmt: skip
    assert found["push"] < 0.99 * found[None] < found[None] < 0.99 * found["pull"]


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"modes_up_to": "0 Hz"}, ModelError, "the band is empty"),
        ({"modes_up_to": "-1 kHz"}, ModelError, "the band is empty"),
        ({"modes_up_to": "1 kHz", "count": 3}, ModelError, "not both"),
        ({"count": 0}, ModelError, "count is 0"),
        ({"count": 2.0}, ModelError, "count is 2.0"),
        ({"prestress": "pusch"}, ModelError, r"prestress='pusch' is no load case.*did you mean 'push'"),
        ({"cases": {"transport": RANDOM}}, ModelError, r"depends on damping, and none is stated.*'1.5 %'"),
        ({"cases": {"transport": RANDOM}, "damping": "120 %"}, ModelError, "does not vibrate"),
        ({"cases": {"transport": RANDOM}, "damping": 2}, ModelError, "for 2 percent write '2 %'"),
        ({"cases": {"modes": RANDOM}, "damping": "1 %"}, ModelError, "cannot be named 'modes'"),
        ({"cases": {"transport": "z"}, "damping": "1 %"}, ModelError, "no excitation; write e.g. base_psd"),
        ({"cases": [RANDOM], "damping": "1 %"}, ModelError, "excitations by name are wanted"),
        ({"duration": "0 s"}, ModelError, "duration is '0 s'"),
        (
            {"cases": {"transport": RANDOM}, "damping": "1 %", "modes_up_to": "1 kHz"},
            ModelError,
            r"modes_up_to='1 kHz' ends inside the band of case 'transport'.*modes_up_to='3000 Hz'",
        ),
        (
            {"cases": {"step": dtw.force_history("push")}, "damping": "1 %"},
            ModelError,
            "case 'step': .* has no end; give duration=",
        ),
        (
            {
                "requirements": [dtw.yield_margin(criterion="tresca", sigma=3) >= 1.5],
                "cases": {"transport": RANDOM},
                "damping": "1 %",
            },
            RequirementError,
            "have amplitudes and no common instant",
        ),
        ({"requirements": []}, RequirementError, r"decides nothing.*frequency\(1\)"),
        ({"requirements": [dtw.frequency(1)]}, RequirementError, r"has no limit.*frequency\(1\) >= '65 Hz'"),
        ({"requirements": [dtw.buckling_factor() >= 3]}, RequirementError, "put it into a BucklingTest"),
        ({"requirements": [dtw.temperature() <= "95 degC"]}, RequirementError, "put it into a ThermalTest"),
        ({"requirements": [dtw.yield_margin() >= 1.5]}, RequirementError, "a test without excitations"),
        (
            {
                "requirements": [dtw.yield_margin(case="transprt", sigma=3) >= 1.5],
                "cases": {"transport": RANDOM},
                "damping": "1 %",
            },
            RequirementError,
            "did you mean 'transport'",
        ),
        (
            {"requirements": [dtw.yield_margin() >= 1.5], "cases": {"transport": RANDOM}, "damping": "1 %"},
            RequirementError,
            r"case 'transport' is random.*sigma=3",
        ),
        (
            {"requirements": [dtw.stress(sigma=3) <= "1 MPa"], "cases": {"s": SWEEP}, "damping": "1 %"},
            RequirementError,
            "sigma=3 is of random responses, and there is none in 's'",
        ),
    ],
)
def test_what_cannot_be_tested_is_refused_before_anything_is_solved(options, error, words):
    with pytest.raises(error, match=words):
        dtw.VibrationTest(beam((2, 1, 1)), **{"requirements": FIRST, **options})


def test_a_part_without_density_has_no_frequencies():
    with pytest.raises(MissingPropertyError, match=r"density.*vibration test"):
        dtw.VibrationTest(beam((2, 1, 1), density=None), requirements=FIRST)


def test_a_base_that_holds_nothing_cannot_shake():
    free = beam((2, 1, 1), supports=[], cases={})
    with pytest.raises(ModelError, match=r"case 'transport': .*moves the supports, and the model has none"):
        dtw.VibrationTest(free, requirements=FIRST, cases={"transport": RANDOM}, damping="1 %")


def test_damping_of_the_material_is_enough():
    model = beam((2, 1, 1), loss_factor="2 %")
    assert dtw.VibrationTest(model, requirements=FIRST, cases={"sweep": SWEEP}).damping is None


def test_a_strength_test_names_the_test_of_a_frequency():
    with pytest.raises(RequirementError, match="put it into a VibrationTest"):
        dtw.StrengthTest(beam((2, 1, 1)), requirements=FIRST)
    with pytest.raises(RequirementError, match="put it into a VibrationTest"):
        dtw.StrengthTest(beam((2, 1, 1)), requirements=[dtw.stress(sigma=3) <= "1 MPa"])


def test_every_kind_of_excitation_has_its_analysis():
    from designtwin import analysis
    from designtwin.prototype.vibration import _ANALYSES

    def kinds(cls):
        for child in cls.__subclasses__():
            yield from kinds(child)
            if isinstance(child.__dict__.get("kind"), str):
                yield child.kind

    assert set(kinds(Excitation)) == set(_ANALYSES)
    assert all(callable(getattr(analysis, name)) for name in _ANALYSES.values())


# --- buckling ----------------------------------------------------------------------------------------------


def euler(modulus: float = MODULUS) -> float:
    """Force at which a column clamped at one end buckles, N."""
    return math.pi**2 * modulus * (WIDTH * HEIGHT**3 / 12.0) / (2.0 * LENGTH) ** 2


def test_a_column_buckles_at_eulers_force():
    verdict = dtw.BucklingTest(
        beam(), requirements=[dtw.buckling_factor() >= 1.9, dtw.mass() <= "1 kg"]
    ).run()
    row = verdict.rows[0]
    assert row.value.value == pytest.approx(euler() / 10e3, rel=5e-3)
    assert row.value.low < euler() / 10e3 * 1.005
    assert (row.status, row.value.case) == ("PASS", "push")
    assert row.value.place.point[0] == pytest.approx(LENGTH)
    assert "buckling test of beam: PASS" in str(verdict)
    json.dumps(verdict.to_dict(), allow_nan=False)


def test_only_the_cases_asked_for_are_solved_and_a_pulled_column_never_buckles():
    model = beam((6, 1, 1), cases={"push": PUSH, "pull": PULL})
    asked = dtw.BucklingTest(model, requirements=[dtw.buckling_factor(case="pull") >= 3]).run()
    assert asked.result.cases == ("pull",)
    assert asked.rows[0].status == "PASS"
    assert np.isinf(asked.rows[0].value.value)
    both = dtw.BucklingTest(
        model,
        requirements=[
            dtw.buckling_factor() >= 1.9,
            dtw.buckling_factor(case="pull", loads="reversed") >= 1.9,
        ],
    ).run()
    assert both.result.cases == ("push", "pull")
    assert both.rows[0].value.case == "push"
    assert both.rows[1].value.value == pytest.approx(both.rows[0].value.value, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"count": 0}, ModelError, "count is 0"),
        ({"dead": "weigth"}, ModelError, "dead='weigth' is no load case"),
        ({"requirements": [dtw.buckling_factor(case="puhs") >= 3]}, RequirementError, "did you mean 'push'"),
        ({"requirements": [dtw.frequency(1) >= 3]}, RequirementError, "put it into a VibrationTest"),
        ({"requirements": [dtw.buckling_factor()]}, RequirementError, r"buckling_factor\(\) >= 3"),
    ],
)
def test_a_buckling_test_refuses_what_it_cannot_answer(options, error, words):
    with pytest.raises(error, match=words):
        dtw.BucklingTest(beam((2, 1, 1)), **{"requirements": [dtw.buckling_factor() >= 3], **options})


def test_a_buckling_test_needs_a_load():
    with pytest.raises(ModelError, match="needs a load case with forces"):
        dtw.BucklingTest(beam((2, 1, 1), cases={}), requirements=[dtw.buckling_factor() >= 3])


ROLLER = [dtw.PrescribedDisplacement(on="xmin", x="0 mm")]


@pytest.mark.parametrize(
    "excitation",
    [
        RANDOM,
        SWEEP,
        dtw.half_sine("z", "50 g", "11 ms"),
        dtw.response_spectrum("z", [("10 Hz", "1 g"), ("1 kHz", "1 g")]),
    ],
)
def test_a_base_that_moves_along_what_nothing_holds_is_refused_and_passes_nothing(excitation):
    loose = beam((2, 1, 1), supports=ROLLER)
    with pytest.raises(ModelError, match="no support holds the part in this direction"):
        dtw.VibrationTest(loose, requirements=FIRST, damping="2 %", cases={"a": excitation}).run()


def test_a_base_moves_a_part_that_may_turn_about_a_hinge():
    hinge = dtw.PrescribedDisplacement(on=dtw.ids(nodes=[0]), x=0.0, y=0.0, z=0.0)
    swung = beam((2, 1, 1), supports=[hinge])
    dtw.VibrationTest(swung, requirements=FIRST, damping="2 %", cases={"a": RANDOM}).run()


def test_the_verdict_says_what_supports_leave_free():
    notes = dtw.VibrationTest(beam((2, 1, 1), supports=[]), requirements=FIRST).run().notes
    assert any("supports leave 6 rigid motions free" in note for note in notes)
    assert not any("rigid" in n for n in dtw.VibrationTest(beam((2, 1, 1)), requirements=FIRST).run().notes)


@pytest.mark.parametrize("requirement", [dtw.frequency(1) >= "65 Hz", dtw.no_mode_in("50 Hz", "65 Hz")])
def test_the_band_that_is_advised_tells(requirement):
    short = dtw.VibrationTest(beam((2, 1, 1)), requirements=[requirement], modes_up_to="20 Hz").run()
    assert short.status == "CANNOT TELL"
    advised = str(short).split("modes_up_to='")[1].split("'")[0]
    again = dtw.VibrationTest(beam((2, 1, 1)), requirements=[requirement], modes_up_to=advised).run()
    assert again.status == "PASS"


def test_a_sweep_beyond_the_modes_says_so():
    case = dtw.solve_harmonic(beam((2, 1, 1)), SWEEP, count=1, damping="2 %")
    assert "resonances above are not in the answer" in str(case)
    whole = dtw.solve_harmonic(beam((2, 1, 1)), SWEEP, up_to="1 kHz", damping="2 %")
    assert "resonances above" not in str(whole)


def test_random_vibration_below_all_modes_claims_none():
    low = dtw.base_psd("z", [("1 Hz", "0.01 g**2/Hz"), ("2 Hz", "0.01 g**2/Hz")])
    assert "modes       none" in str(dtw.solve_random(beam((2, 1, 1)), low, damping="2 %"))


@pytest.mark.parametrize("options", [{"step": "10 ns"}, {"duration": "1 h"}])
def test_more_instants_than_can_be_kept_are_refused_before_they_are_made(options):
    """Two million, and 10^9, which would take 8 GB: the refusal takes none."""
    pulse = dtw.half_sine("z", "50 g", "11 ms")
    with pytest.raises(ModelError, match=r"instants of .* are more than can be kept"):
        dtw.solve_dynamics(beam((2, 1, 1)), pulse, damping="2 %", **{"duration": "20 ms", **options})


def test_endless_steps_and_points_are_refused_at_once():
    pulse, rayleigh = dtw.half_sine("z", "50 g", "11 ms"), dtw.rayleigh(("10 Hz", "2 %"), ("1 kHz", "2 %"))
    with pytest.raises(ModelError, match=r"steps of .* over 0\.02 s are 20,000,000,000"):
        dtw.solve_dynamics(
            beam((2, 1, 1)), pulse, damping=rayleigh, duration="20 ms", step="1 ps", method="Newmark"
        )
    with pytest.raises(ModelError, match=r"points_per_resonance is 1000000000; .* up to 10,000"):
        dtw.solve_harmonic(beam((2, 1, 1)), SWEEP, damping="2 %", points_per_resonance=10**9)
