"""The design loop on frequencies, in a beam whose answer is known in closed form."""

from __future__ import annotations

import math

import pytest
from builders import box

import designtwin as dtw
from designtwin.results.vibration import VibrationResult

LENGTH, WIDTH, MODULUS, DENSITY = 0.2, 0.02, 200e9, 8000.0
BEAM = box("hexahedron20", (8, 1, 1), (LENGTH, WIDTH, 0.01))


def beam(values, mesh):
    """A clamped beam of some height; its first frequency grows with the height."""
    return dtw.Model(
        mesh.morphed(dtw.stretch("z", {0.0: 0.0, 0.01: values["height"]})),
        materials={
            "body": dtw.LinearElastic(
                youngs_modulus=MODULUS,
                poissons_ratio=0.0,
                density=DENSITY,
                yield_strength="300 MPa",
                name="s",
            )
        },
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"push": [dtw.Force(on="xmax", value=("-1 kN", "0 N", "0 N"))]},
    )


def by_hand(height: float) -> float:
    return 1.8751**2 / (2.0 * math.pi) * math.sqrt(MODULUS * height**2 / (12.0 * DENSITY * LENGTH**4))


def study(*requirements, test=dtw.VibrationTest, minimize=None, store=None, low="4 mm", **options):
    return dtw.Study(
        build=beam,
        mesh=BEAM,
        variables={"height": dtw.variable(low, "12 mm", start="11 mm")},
        tests=lambda model: [test(model, requirements=list(requirements), **options)],
        minimize=minimize or dtw.mass(),
        store=store,
    )


def test_the_lightest_beam_has_its_frequency_at_the_limit():
    """The interval of the frequency stays on the good side: the beam is a little higher than by hand."""
    best = study(dtw.frequency(1) >= "150 Hz").run()
    assert best.feasible
    assert best.status == "PASS"
    assert by_hand(best.values["height"]) == pytest.approx(150.0, rel=0.05)
    assert by_hand(best.values["height"]) > 150.0
    assert any("frequency of mode 1" in word for word in best.active)


def test_a_band_without_modes_keeps_the_search_out_of_it():
    best = study(dtw.no_mode_in("150 Hz", "160 Hz"), low="7.6 mm").run()
    assert best.feasible
    assert best.status == "PASS"
    assert 160.0 < by_hand(best.values["height"]) < by_hand(0.011)


def test_a_column_as_light_as_buckling_allows():
    best = study(dtw.buckling_factor() >= 3, test=dtw.BucklingTest).run()
    height = (3.0 * 1e3 * 12.0 * (2.0 * LENGTH) ** 2 / (math.pi**2 * MODULUS * WIDTH)) ** (1.0 / 3.0)
    assert best.feasible
    assert best.values["height"] == pytest.approx(height, rel=0.03)


def test_a_frequency_may_be_the_objective():
    goal = study(dtw.frequency(1) >= "150 Hz", minimize=dtw.frequency(2))
    model = goal.model_of({"height": 0.01})
    verdicts = goal.run_tests(model)
    assert isinstance(verdicts[0].result, VibrationResult)
    assert goal.objective_of(model, verdicts) == pytest.approx(2.0 * by_hand(0.01), rel=0.02)


def test_a_study_knows_its_test_again_by_what_shakes_the_part(tmp_path):
    """Excitations and damping are part of what a stored evaluation depends on."""
    sweep = {"s": dtw.base_harmonic("z", "1 g", low="50 Hz", high="300 Hz")}
    asked = dtw.displacement("xmax", "z") <= "2 mm"
    kept = study(asked, cases=sweep, damping="2 %", store=tmp_path).run(max_analyses=3)
    assert len(kept.history) <= 3
    again = study(asked, cases=sweep, damping="2 %", store=tmp_path).run(max_analyses=3)
    assert [e.slacks for e in again.history.evaluations] == [e.slacks for e in kept.history.evaluations]
    with pytest.raises(dtw.StudyError, match="tests"):
        study(asked, cases=sweep, damping="3 %", store=tmp_path).run(max_analyses=3)
