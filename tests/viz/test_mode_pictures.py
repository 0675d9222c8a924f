"""Pictures of modes of vibration and buckling: shapes, sheets, swings, and verdicts about them."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from builders import bar, box, rectangle
from numpy.testing import assert_allclose
from PIL import Image

import designtwin as dtw
from designtwin import edge
from designtwin.errors import PictureError
from designtwin.viz import animation, fields

SMALL = (480, 360)
LOOK = {"window_size": SMALL, "show": False}


def plate(**more):
    """A strip of steel of 200 x 50 x 4 mm, held at one end, pushed and pulled along."""
    more = {"supports": [dtw.FixedSupport(on="xmin")], **more}
    cases = {
        name: [dtw.Force(on="xmax", value=(f"{size} N", "0 N", "0 N"))]
        for name, size in (("push", -1000), ("pull", 1000))
    }
    mesh = box("hexahedron20", (6, 1, 1), (0.2, 0.05, 0.004))
    return dtw.Model(mesh, materials={"body": dtw.material("S355")}, load_cases=cases, name="plate", **more)


@pytest.fixture(scope="module")
def modes():
    return dtw.solve_modes(plate(), count=5).modes


@pytest.fixture(scope="module")
def free():
    return dtw.solve_modes(plate(supports=[]), count=3).modes


@pytest.fixture(scope="module")
def buckling():
    return dtw.BucklingTest(plate(), requirements=[dtw.buckling_factor() >= 3]).run()


@pytest.fixture(scope="module")
def verdict():
    """The second mode, near 540 Hz, is in the forbidden band for all this mesh can tell; the sweep passes."""
    return dtw.VibrationTest(
        plate(), count=5, damping="2 %", name="strip",
        cases={"sweep": dtw.base_harmonic("z", "0.1 g", low="10 Hz", high="300 Hz"),
               "ride": dtw.base_psd("z", [("10 Hz", "1e-4 g**2/Hz"), ("300 Hz", "1e-4 g**2/Hz")])},
        requirements=[dtw.frequency(1) >= "65 Hz", dtw.no_mode_in("500 Hz", "600 Hz"),
                      dtw.acceleration("xmax", "z", sigma=3, case="ride") <= "100 g",
                      dtw.yield_margin(case="sweep") >= 2],
    ).run()  # fmt: skip


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float) / 255


def frames_of(path):
    film = Image.open(path)
    out = []
    for i in range(film.n_frames):
        film.seek(i)
        out.append(np.asarray(film.convert("RGB"), float) / 255)
    return film, out


def scene_of(source, name, **options):
    result, verdict = fields.unwrap(source)
    shown = fields.read(result, name, None, verdict)
    return shown, fields.field_scene(result, shown, verdict=verdict, **options)


# One mode


def test_a_mode_tells_its_frequency_and_no_size(modes):
    picture = modes[0].plot(**LOOK)
    assert picture.texts[0] == f"Mode 1, {modes[0].frequency:.4g} Hz"
    words = " ".join(picture.texts)
    assert "deformation ×" not in words
    assert "mm" not in words
    assert (pixels(picture.png).min(axis=2) < 0.95).mean() > 0.08


def test_stress_of_a_mode_is_relative(modes):
    shown, scene = scene_of(modes[1], "von_mises")
    assert np.nanmax(shown.values) == pytest.approx(1.0)
    assert scene.scale.title == "Von Mises stress, of the largest"
    assert scene.title == f"Von Mises stress, {modes[1].caption}"
    assert [callout.text for callout in scene.callouts] == ["largest"]
    row = np.nanargmax(modes[1].von_mises())
    assert_allclose(scene.callouts[0].at[:2], modes[1].mesh.points[modes[1].points.node[row], :2], atol=0.01)
    signed, _ = scene_of(modes[1], "stress_xx")
    assert np.nanmin(signed.values) < -0.5, "signs stay"


def test_a_mode_has_no_safety_factor(modes):
    with pytest.raises(PictureError, match="a mode has no size"):
        modes[0].plot("safety_factor", **LOOK)


def test_a_rigid_motion_is_drawn_moved_and_without_stress(free):
    shown, scene = scene_of(free[0], "shape")
    assert scene.title == "Mode 1, rigid motion"
    assert (scene.scale.low, scene.scale.high) == (0.0, 1.0)
    with pytest.raises(PictureError, match="strains nothing"):
        free[0].plot("von_mises", **LOOK)
    assert_allclose(shown.values.max(), 1.0)


# Sheets


def test_a_sheet_has_every_mode_with_its_frequency(modes):
    texts = modes.plot(**LOOK).texts
    assert texts[0] == "Modes of vibration"
    assert [t for t in texts if t.startswith("mode ")] == [mode.caption for mode in list(modes)[:6]]
    assert texts.count("Shape") == 1, "one color bar for all"


def test_a_sheet_of_a_free_body_leaves_rigid_motions_out(free):
    texts = edge.plot_modes(free, **LOOK).texts
    assert [t for t in texts if t.startswith("mode ")] == [mode.caption for mode in free if not mode.is_rigid]
    assert free[6].caption in texts
    with pytest.raises(PictureError, match="no mode that deforms"):
        edge.plot_modes(list(free)[:6], **LOOK)


def test_signed_stress_of_a_sheet_is_on_a_scale_around_zero(modes):
    texts = modes.plot("stress_xx", count=2, **LOOK).texts
    assert {"−1.0", "1.0"} <= set(texts) or {"−1.00", "1.00"} <= set(texts)


@pytest.mark.parametrize("count", [0, 13, True, 2.0])
def test_a_sheet_holds_so_many(modes, count):
    with pytest.raises(PictureError, match="between 1 and 12"):
        modes.plot(count=count, **LOOK)


def test_panels_of_a_sheet_differ(modes):
    image = pixels(edge.plot_modes(modes, count=3, window_size=(900, 360), show=False).png)
    first, third = image[60:300, :250], image[60:300, 500:750]
    assert np.abs(first - third).max(axis=2).mean() > 0.02


# Swings


def test_a_swing_is_a_loop_of_the_literal_kind(modes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film = modes[0].animate("out/mode1.gif", frames=8, window_size=SMALL)
    opened, pictures = frames_of(tmp_path / "out" / "mode1.gif")
    assert opened.info["loop"] == 0
    assert len(pictures) == 8
    assert len({opened.seek(i) or opened.info["duration"] for i in range(8)}) == 1, "no picture stays longer"
    assert film.texts[0] == f"Mode 1, {modes[0].frequency:.4g} Hz"
    for k in (1, 2, 3):
        assert np.abs(pictures[k] - pictures[8 - k]).max() == 0.0, "it comes back the way it went"
    moved = [np.abs(p - pictures[0]).max(axis=2).mean() for p in pictures[:5]]
    assert moved[0] < moved[1] < moved[2] < moved[4]


def test_a_swing_draws_what_comes_back_once(modes, tmp_path, monkeypatch):
    drawn = []
    real = animation.render
    monkeypatch.setattr(animation, "render", lambda scene, view: drawn.append(scene) or real(scene, view))
    modes[0].animate(tmp_path / "m.webp", frames=8, window_size=SMALL)
    assert len(drawn) == 5
    assert len(frames_of(tmp_path / "m.webp")[1]) == 8


def test_a_page_of_a_swing_has_its_phases(modes, tmp_path):
    modes[1].animate(tmp_path / "m.html", frames=4, window_size=SMALL)
    text = (tmp_path / "m.html").read_text()
    assert '["0\\u00b0", "90\\u00b0", "180\\u00b0", "270\\u00b0"]' in text


def test_an_mp4_of_a_mode_asks_for_an_encoder(modes, tmp_path, monkeypatch):
    monkeypatch.setattr(animation.shutil, "which", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(PictureError, match="needs an encoder"):
        modes[0].animate(tmp_path / "mode.mp4", window_size=SMALL)
    assert not list(tmp_path.iterdir())


def test_a_case_of_modes_swings_in_the_one_that_counts(free, buckling, tmp_path):
    film = free.animate(tmp_path / "a.gif", frames=2, window_size=SMALL)
    assert film.texts[0] == f"Mode 7, {free[6].frequency:.4g} Hz"
    film = edge.animate(buckling, tmp_path / "b.gif", frames=2, window_size=SMALL)
    assert film.texts[0].startswith("Buckling mode 1, factor 3.6")
    assert film.texts[0].endswith("load case push")
    with pytest.raises(PictureError, match="a swing is shown whole"):
        free[6].animate(tmp_path / "c.gif", times=["1 s"])


# Buckling


def test_a_buckling_verdict_shows_how_the_part_gives_way(buckling):
    texts = buckling.plot(**LOOK).texts
    assert texts[0].startswith("Buckling mode 1, factor 3.6")
    assert "buckling factor ≥ 3: PASS" in texts[1]
    again = buckling.plot(dtw.buckling_factor(), case="push", **LOOK).texts
    assert again[0] == texts[0]


def test_a_case_that_buckles_nothing_says_why(buckling):
    pull = buckling.result["pull"]
    for draw in (pull.plot, lambda **options: edge.plot_modes(pull, **options)):
        with pytest.raises(PictureError, match="they only pull"):
            draw(**LOOK)


def test_loads_the_other_way_have_the_mode_of_theirs():
    reversed_ = dtw.buckling_factor(case="pull", loads="reversed")
    done = dtw.BucklingTest(plate(), count=2, requirements=[reversed_ >= 3]).run()
    assert done.plot(**LOOK).texts[0].startswith("Buckling mode 1, factor -3.6")


def test_of_factors_of_both_signs_that_of_the_loads_asked_for_is_shown(buckling):
    case = buckling.result["push"]
    two = replace(case, modes=(replace(case[0], factor=-2.0), replace(case[1], factor=3.0)))
    result = replace(buckling.result, by_case={"push": two})
    assert fields.standing_for(two).factor == 3.0
    for loads, factor in (("as stated", 3.0), ("reversed", -2.0), ("either way", -2.0)):
        mode, _ = fields.governing_mode(result, dtw.buckling_factor(loads=loads), None, None)
        assert mode.factor == factor, loads


# Verdicts of vibration


def test_a_verdict_shows_the_mode_that_is_worst_off(verdict):
    texts = verdict.plot(**LOOK).texts
    modes = verdict.result.modes
    assert texts[0] == f"Mode 2, {modes[1].frequency:.4g} Hz"
    assert "no mode in 500 Hz to 600 Hz: CANNOT TELL" in texts[1]
    asked = verdict.plot(dtw.frequency(1), **LOOK).texts
    assert asked[0] == f"Mode 1, {modes[0].frequency:.4g} Hz"
    assert "frequency of mode 1 ≥ 65 Hz: PASS" in asked[1]
    assert verdict.plot(dtw.frequency(3), **LOOK).texts[0].startswith("Mode 3"), "asked, though not required"


def test_what_is_judged_at_three_sigma_is_drawn_whole_at_three_sigma(verdict):
    quantity = verdict.rows[2].requirement.quantity
    shown, scene = scene_of(verdict, quantity)
    assert scene.title == "Acceleration z, 3σ, load case ride"
    one = verdict.result["ride"].field("az").values
    assert_allclose(shown.values, 3 * one)
    assert shown.judged.all()
    assert scene.scale.low == 0.0, "not the face alone, on which it is the same everywhere"


def test_stress_is_that_of_responses_not_of_modes(verdict):
    shown, _ = scene_of(verdict, "von_mises")
    assert shown.case.name in ("sweep", "ride")
    assert scene_of(verdict.result, "shape")[0].case.name == "mode 1"
    assert edge.plot(verdict.result, "", **LOOK).texts[0].startswith("Von Mises stress")


def test_acceleration_is_not_drawn_as_displacement():
    assert fields.field_name(dtw.acceleration("xmax", "z")) == "az"
    assert fields.field_name(dtw.acceleration()) == "acceleration"
    assert fields.field_name(dtw.displacement("xmax", "z")) == "uz"


def test_every_response_has_a_picture(verdict):
    assert "RMS" in verdict.result["ride"].plot(**LOOK).texts[0]
    assert "largest over frequency" in verdict.result["sweep"].plot(**LOOK).texts[0]


def test_a_sweep_moves_at_the_frequency_of_its_largest_value(verdict, tmp_path):
    film = verdict.result["sweep"].animate(tmp_path / "s.gif", frames=4, window_size=SMALL)
    peak = verdict.result.modes[0].frequency
    told = float(film.texts[0].split(" at ")[1].split(" Hz")[0])
    assert told == pytest.approx(peak, rel=1e-2)
    with pytest.raises(PictureError, match="nothing to animate"):
        verdict.result["ride"].animate(tmp_path / "r.gif")


def test_the_frequency_is_that_of_the_worst_point():
    class Sweep:
        name = "sweep"

        def field(self, name):
            return SimpleNamespace(values=np.array([1.0, -5.0, 2.0]))

        def peak_frequency(self, name):
            return np.array([10.0, 20.0, 30.0])

        def at(self, frequency):
            return frequency

    assert animation._moving(Sweep(), "ux") == 20.0
    assert animation._moving(Sweep(), "safety_factor") == 10.0, "the least margin, not the largest"


# Other kinds of parts


def test_plane_parts_and_trusses_have_shapes():
    strip = dtw.Model(
        rectangle("quad8", (6, 2), (0.2, 0.05)),
        materials={"body": dtw.PlaneStress(dtw.material("S355"), thickness="5 mm")},
        supports=[dtw.FixedSupport(on="xmin")], name="strip",
    )  # fmt: skip
    modes = dtw.solve_modes(strip, count=2).modes
    assert modes[0].caption in modes.plot(**LOOK).texts
    truss = dtw.Model(
        bar(4), materials={"body": dtw.Truss(dtw.material("S355"), area="1 cm**2")},
        name="truss",
        supports=[dtw.FixedSupport(on="xmin"), dtw.PrescribedDisplacement(on=dtw.everything(), y=0.0)],
    )  # fmt: skip
    modes = dtw.solve_modes(truss, count=2).modes
    picture = modes[0].plot(**LOOK)
    assert picture.texts[0] == f"Mode 1, {modes[0].frequency:.4g} Hz"
    assert (pixels(picture.png).min(axis=2) < 0.95).mean() > 0.01
