"""Curves over frequency: responses, densities, shock spectra and the Campbell diagram."""

import io
from dataclasses import replace

import numpy as np
import pytest
from builders import box
from PIL import Image

import designtwin as dtw
from designtwin import edge
from designtwin.errors import PictureError, RequirementError, UnitError
from designtwin.results.campbell import Campbell
from designtwin.results.frequency import FrequencyResponse
from designtwin.results.random import ResponsePsd
from designtwin.viz import course

SMALL = (480, 360)
LOOK = {"window_size": SMALL, "show": False}
F = np.geomspace(10.0, 1000.0, 200)
PEAK = 100.0
PINK = np.array([0xF9, 0xE6, 0xE8]) / 255


def oscillator(f=F, damping=0.02):
    """Amplitude of an oscillator of 100 Hz on a base shaken by 1 m/s^2."""
    r = f / PEAK
    return (1.0 + 2j * damping * r) / (1.0 - r**2 + 2j * damping * r)


def response(values=None, f=F, label="acceleration z of 'lug'", dimension="acceleration", case="sweep"):
    values = oscillator(f) if values is None else values
    return FrequencyResponse(f, values, label, dimension, case, np.array([PEAK, 700.0]))


def density(case="ride", own=True):
    flat = np.full(len(F), 2.0)
    source = ResponsePsd(F, flat, np.array([4.0, 0, 0, 0, 0]), "base z", "acceleration")
    values = 2.0 * np.abs(oscillator()) ** 2
    moments = np.array([np.trapezoid(values, F), 0, 0, 0, 0])
    return ResponsePsd(
        F, values, moments, "acceleration z of 'lug'", "acceleration", source if own else None, case
    )


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float) / 255


def blue(png):
    """Share of the pixels that belong to the first curve."""
    image = pixels(png)
    return float((image[..., 2] - image[..., 0] > 0.12).mean())


def share_of(png, color, slack=0.02):
    return float((np.abs(pixels(png) - color).max(axis=2) < slack).mean())


# Responses


def test_a_response_has_its_peak_its_axes_and_its_phase():
    picture = edge.plot_response(response(), **LOOK)
    words = {"Acceleration z of 'lug', case sweep", "amplitude of acceleration, m/s²", "phase, deg",
             "frequency, Hz; dotted: natural frequencies"}  # fmt: skip
    assert words <= set(picture.texts)
    assert picture.texts[1].startswith("at most 2")
    assert picture.texts[1].endswith("Hz")
    assert blue(picture.png) > 0.006, "there are lines"
    assert "phase, deg" not in edge.plot_response(response(), phase=False, **LOOK).texts
    real = response(np.abs(oscillator()).astype(complex))
    assert "phase, deg" not in edge.plot_response(real, **LOOK).texts, "what has no phase has no axis for it"


def test_limits_are_lines_with_what_lies_beyond_colored():
    inside = dtw.acceleration("lug", "z") <= "1 g"
    picture = edge.plot_response(response(), limits=[inside, dtw.frequency(1) >= "50 Hz"], **LOOK)
    assert [t for t in picture.texts if "≤" in t] == ["acceleration z of 'lug' ≤ 9.807 m/s²"]
    assert share_of(picture.png, PINK) > 0.01
    bare = edge.plot_response(response(), limits="2 g", **LOOK)
    assert "19.61 m/s²" in bare.texts
    assert share_of(bare.png, PINK) < 0.001, "of a bare limit no side is wrong"


@pytest.mark.parametrize(
    "other",
    [
        dtw.acceleration("lug", "z", case="drop") <= "1 g",
        dtw.acceleration("lug", "x") <= "1 g",
        dtw.acceleration("lug", "z", sigma=3) <= "1 g",
        dtw.displacement("lug", "z") <= "1 mm",
        dtw.yield_margin() >= 2,
    ],
    ids=["another case", "another direction", "of random vibration", "another dimension", "no motion"],
)
def test_requirements_on_something_else_are_no_limit_of_a_curve(other):
    assert not [t for t in edge.plot_response(response(), limits=other, **LOOK).texts if "≤" in t or "≥" in t]


def test_stress_has_the_limit_of_its_component():
    one = response(label="stress xx at (0, 0, 4) mm", dimension="pressure")
    limits = [dtw.stress("xx") <= "10 Pa", dtw.stress("yy") <= "10 Pa", dtw.stress("von_mises") <= "10 Pa"]
    texts = edge.plot_response(one, limits=limits, **LOOK).texts
    assert len([t for t in texts if t.startswith("stress xx ≤")]) == 1
    assert not [t for t in texts if "yy" in t or "Mises" in t]


def test_equal_limits_share_a_line_and_far_ones_are_told():
    twice = [dtw.acceleration("lug", "z") <= "1 g", dtw.acceleration("lug") <= "1 g"]
    texts = edge.plot_response(response(), limits=twice, **LOOK).texts
    assert "acceleration z of 'lug' ≤ 9.807 m/s²; acceleration of 'lug' ≤ 9.807 m/s²" in texts
    picture = edge.plot_response(response(), limits="5000 g", **LOOK)
    assert "49033 m/s²" in picture.texts


def test_several_responses_have_their_names():
    two = {"before": response(), "after": response(0.5 * oscillator())}
    texts = edge.plot_response(two, **LOOK).texts
    assert {"before", "after", "Acceleration over frequency, case sweep"} <= set(texts)
    texts = edge.plot_response(list(two.values()), labels=["a", "b"], **LOOK).texts
    assert {"a", "b"} <= set(texts)


def test_a_response_at_one_frequency_is_a_point():
    one = response(np.array([3.0 + 1j]), np.array([50.0]))
    picture = edge.plot_response(one, **LOOK)
    assert picture.texts[1] == "at most 3.162 m/s² at 50 Hz"
    assert 1e-4 < blue(picture.png) < 2e-3


def test_what_does_not_move_says_so():
    assert "zero at all frequencies" in edge.plot_response(response(0.0 * oscillator()), **LOOK).texts
    assert "zero at all frequencies" not in edge.plot_response(response(), **LOOK).texts


def test_responses_that_make_no_picture_are_told(tmp_path):
    moved = response(dimension="length", label="displacement")
    for bad, why in (
        ([], "no curve"),
        ([response(), moved], "acceleration and length do not share an axis"),
        (response(np.full(len(F), np.nan + 0j)), "holds no number"),
        ([response()] * 9, "cannot be told apart"),
        ([3.0], "not a float"),
        (response(np.ones(1, complex), np.zeros(1)), "no frequency above 0 Hz"),
    ):
        with pytest.raises(PictureError, match=why):
            edge.plot_response(bad, show=False)
    with pytest.raises(PictureError, match="1 labels for 2"):
        edge.plot_response([response()] * 2, labels=["a"], show=False)
    with pytest.raises(UnitError, match="acceleration is wanted"):
        edge.plot_response(response(), limits="3 mm", show=False)
    with pytest.raises(RequirementError, match="has no limit"):
        edge.plot_response(response(), limits=dtw.acceleration("lug", "z"), show=False)
    with pytest.raises(PictureError, match=r"\.png"):
        edge.plot_response(response(), screenshot=tmp_path / "r.doc")


# Densities


def test_a_density_has_its_rms_and_its_input():
    one = density()
    picture = edge.plot_psd(one, **LOOK)
    assert {"input", "acceleration z of 'lug'", "spectral density, g²/Hz", "frequency, Hz"} <= set(
        picture.texts
    )
    assert picture.texts[1] == f"{dtw.units.show(one.rms, 'acceleration')} RMS"
    assert "input" not in edge.plot_psd(density(own=False), **LOOK).texts


def test_a_requirement_on_three_sigma_is_told_beside_the_rms():
    one = density()
    limit = dtw.acceleration("lug", "z", sigma=3) <= "4 g"
    text = edge.plot_psd(one, limits=[limit, dtw.frequency(1) >= "1 Hz"], **LOOK).texts[1]
    assert text.endswith(f"3σ: {dtw.units.show(3 * one.rms, 'acceleration')}, required ≤ 39.23 m/s²")
    other = dtw.acceleration("lug", "z", sigma=3, case="truck") <= "4 g"
    assert "required" not in edge.plot_psd(one, limits=other, **LOOK).texts[1]
    assert "1 g²/Hz" in edge.plot_psd(one, limits="1 g**2/Hz", **LOOK).texts


# Shock spectra


def test_a_shock_spectrum_tells_its_peak_in_plain_numbers():
    spectrum = dtw.shock_spectrum(dtw.half_sine("z", "50 g", "11 ms"), damping="5 %")
    picture = spectrum.plot(limits="80 g", **LOOK)
    assert picture.texts[1].startswith("at most 80")
    assert {"natural frequency, Hz", "784.5 m/s²", "largest acceleration, m/s²"} <= set(picture.texts)
    assert {"a", "b"} <= set(edge.plot_shock_spectrum({"a": spectrum, "b": spectrum}, **LOOK).texts)


# Campbell


def test_a_campbell_diagram_marks_where_orders_meet_modes():
    speeds = np.linspace(0.0, 600.0, 4)
    squares = np.array([60.0, 150.0]) ** 2 + np.outer((speeds / (2 * np.pi)) ** 2, [0.2, 1.5])
    diagram = Campbell(speeds, np.sqrt(squares), (), None)
    picture = diagram.plot(orders=(1.0, 2.0), **LOOK)
    assert {"Campbell diagram", "mode 1", "mode 2", "order 1", "order 2", "natural frequency, Hz"} <= set(
        picture.texts
    )
    assert any(text.startswith("speed, ") for text in picture.texts)
    with pytest.raises(RequirementError, match="engine order"):
        diagram.plot(orders=(0.0,), **LOOK)


# Courses of a vibration in time


class Course:
    times = np.linspace(0.0, 1.0, 50)
    values = 2e-3 * np.sin(9.0 * times) * np.exp(-times)
    label, dimension, case = "largest displacement z on 'lug'", "length", "drop"


def test_a_course_with_signs_has_both_ends_and_both_limits():
    texts = edge.plot_times(Course(), limits=dtw.displacement("lug", "z") <= "3 mm", **LOOK).texts
    assert texts[1].startswith("lowest −1.")
    assert "highest 1.6" in texts[1]
    assert {"displacement, mm", "displacement z of 'lug' ≤ 3 mm", "−3 mm"} <= set(texts)
    one_side = course._limits(dtw.displacement("lug", "z", over="max") <= "3 mm", "length", signed=True)
    assert len(one_side) == 1


# Of a real part


def test_a_solved_response_is_drawn_with_its_verdict(tmp_path):
    mesh = box("hexahedron20", (4, 1, 1), (0.2, 0.05, 0.004))
    model = dtw.Model(mesh, materials={"body": dtw.material("S355")}, supports=[dtw.FixedSupport(on="xmin")])
    verdict = dtw.VibrationTest(
        model, count=4, damping="2 %",
        cases={"sweep": dtw.base_harmonic("z", "1 g", low="10 Hz", high="300 Hz"),
               "ride": dtw.base_psd("z", [("10 Hz", "0.01 g**2/Hz"), ("300 Hz", "0.01 g**2/Hz")])},
        requirements=[dtw.acceleration("xmax", "z", case="sweep") <= "20 g",
                      dtw.acceleration("xmax", "z", case="ride", sigma=3) <= "20 g"],
    ).run()  # fmt: skip
    sweep, ride = verdict.result["sweep"], verdict.result["ride"]
    path = tmp_path / "r.png"
    texts = sweep.response("xmax", "z", "acceleration").plot(limits=verdict, screenshot=path, **LOOK).texts
    assert [t for t in texts if "≤" in t] == ["acceleration z of 'xmax' in case 'sweep' ≤ 196.1 m/s²"]
    assert path.stat().st_size > 1000
    texts = ride.psd("xmax", "z", "acceleration").plot(limits=verdict, **LOOK).texts
    assert "3σ" in texts[1]
    assert "required ≤ 196.1 m/s²" in texts[1]
    assert replace(sweep.response("xmax", "z", "displacement")).plot(limits=verdict, **LOOK).texts[1]
