"""Pictures of heat: isotherms, arrows along the flux, instants, films, histories and the balance."""

import base64
import io
import json
import re
import shutil
import subprocess
import types

import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose
from PIL import Image

import designtwin as dtw
from designtwin import edge
from designtwin.errors import PictureError, RequirementError
from designtwin.results import Frames, StepRecord, TransientCase, TransientResult
from designtwin.viz import animation, fields, flow
from designtwin.viz import course as course_module

SMALL = (480, 360)
SIZE = (0.1, 0.02, 0.02)


def bar(element="tetra10", n=(6, 2, 2)):
    """A bar of 100 mm between 20 °C and 80 °C: the flux is k dT/dx everywhere, toward -x."""
    return dtw.Model(
        box(element, n, SIZE),
        materials={"body": dtw.LinearElastic(youngs_modulus="70 GPa", poissons_ratio=0.3,
                                             conductivity="200 W/(m*K)")},
        supports=[
            dtw.FixedTemperature(on=on, value=t) for on, t in (("xmin", "20 degC"), ("xmax", "80 degC"))
        ],
        load_cases={"hot": []},
        name="bar",
    )  # fmt: skip


@pytest.fixture(scope="module")
def steady():
    return dtw.solve_thermal(bar())["hot"]


TIMES = np.r_[0.0, np.geomspace(5.0, 600.0, 12)]


@pytest.fixture(scope="module")
def course(steady):
    """A made-up warm-up in ten minutes: 20 °C at first, and the steady state at the end, then 5 K less."""
    stored = Frames.create(None, "made up")
    start, end = 293.15, steady.temperature
    energy = 0.0
    for i, t in enumerate(TIMES):
        share = min(t / 300.0, 1.0) - (5.0 / 60.0 if i == len(TIMES) - 1 else 0.0)
        energy += 12.0 * (t - TIMES[max(i - 1, 0)])
        stored.append(
            float(t), start + share * (end - start), held=np.full(len(end), 10.0 / len(end)),
            applied=20.0, exchanged=-18.0, heat_in=energy, stored_energy=energy,
        )  # fmt: skip
    case = TransientCase(
        name="hot", model=steady.model, recovery=steady.recovery, case=steady.case, stored=stored,
        info=steady.info, residual=1e-12, imbalance=1e-8, time_error=np.full(len(TIMES), 0.01),
        steps=StepRecord(TIMES[1:], np.diff(TIMES), np.full(len(TIMES) - 1, 1e-3)),
    )  # fmt: skip
    return TransientResult(model=steady.model, by_case={"hot": case})


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float) / 255


def scene_of(source, name="temperature", *, at=None, **options):
    result, verdict = fields.unwrap(source)
    shown = fields.read(result, name, None, verdict, at=at)
    return fields.field_scene(result, shown, verdict=verdict, **options)


# Isotherms


def levels_drawn(scene):
    """Temperatures, °C, at which a bar of 20 to 80 °C has its last lines."""
    lines = scene.lines[-1].segments
    return np.unique(np.round(20 + 600 * lines.points[lines.conn].reshape(-1, 3)[:, 0], 3))


def test_isotherms_are_drawn_where_asked(steady):
    scene = scene_of(steady, isotherms=["35 degC", "50 degC", 340.15])
    assert_allclose(levels_drawn(scene), [35, 50, 67])
    assert_allclose(scene.scale.lines, [35, 50, 67])
    assert "lines: equal temperature, 35, 50, 67 °C" in scene.notes


@pytest.mark.parametrize(("about", "step"), [(5, 10), (11, 5), (29, 2)])
def test_a_number_of_isotherms_gives_round_steps(steady, about, step):
    scene = scene_of(steady, isotherms=about)
    assert_allclose(levels_drawn(scene), np.arange(20 + step, 80, step))
    assert f"lines: equal temperature, {step} K apart" in scene.notes


def test_isotherms_can_be_left_out(steady):
    assert not any("equal temperature" in note for note in scene_of(steady, isotherms=False).notes)
    with pytest.raises(PictureError, match="isotherms= are lines on the temperature"):
        scene_of(steady, "heat_flux_magnitude", isotherms=5)
    with pytest.raises(PictureError, match="between 1 and 200"):
        scene_of(steady, isotherms=0)


# Arrows


def test_arrows_point_along_the_heat_and_lie_apart(steady):
    found = flow.heat_flow(steady, about=200)
    assert_allclose(found.flux, np.tile([-200 * 600.0, 0, 0], (len(found.flux), 1)), rtol=1e-6, atol=1e-3)
    assert found.largest == pytest.approx(120e3)
    from scipy.spatial import cKDTree

    side = found.normals[:, 2] > 0.9
    near, _ = cKDTree(found.points[side]).query(found.points[side], k=2)
    assert near[:, 1].min() >= found.spacing
    assert 100 < len(found.points) < 400
    finer = flow.heat_flow(dtw.solve_thermal(bar(n=(12, 4, 4)))["hot"], about=200)
    assert 0.8 < len(finer.points) / len(found.points) < 1.25, "a finer mesh has as many arrows"


def test_the_longest_arrow_is_told_and_small_fluxes_have_none(steady):
    scene = scene_of(steady, arrows=True)
    assert "arrows: heat flux, length by its root, the longest 120000 W/m² and more" in scene.notes
    assert scene.bodies[-1].color == flow.FLOW
    found = flow.heat_flow(steady, about=200)
    lengths = {}
    for share in (1.0, 0.25):
        body = found.body(found.largest / share)
        x = body.triangles.points.reshape(len(found.points), -1, 3) if share == 1.0 else body.triangles.points
        lengths[share] = np.ptp(x.reshape(-1, 3)[:, 0])
    assert found.body(found.largest / (0.9 * flow.LEAST)) is None
    assert lengths[0.25] < lengths[1.0]


def test_arrows_on_a_cut_lie_in_its_plane(steady):
    normal, origin = np.array([0.0, 1.0, 1.0]) / np.sqrt(2), np.array([0.05, 0.01, 0.01])
    found = flow.heat_flow(steady, (normal, origin))
    assert_allclose((found.points - origin) @ normal, 0.0, atol=1e-9)
    assert_allclose(found.flux @ normal, 0.0, atol=1e-6)
    across = flow.heat_flow(steady, (np.array([1.0, 0.0, 0.0]), origin))
    assert_allclose(across.flux, 0.0, atol=1e-3, err_msg="all of it crosses that plane")


def test_a_cut_that_only_touches_the_part_leaves_the_arrows_on_its_skin(steady):
    on_skin = flow.heat_flow(steady, (np.array([0.0, 1.0, 0.0]), np.array([0.05, 0.02, 0.01])))
    assert len(np.unique(on_skin.normals.round(2), axis=0)) > 3


def test_arrows_need_heat(result):
    with pytest.raises(PictureError, match="it is for thermal results"):
        edge.plot(result["down"], arrows=True, window_size=SMALL, show=False)


def test_arrows_are_seen(steady):
    plain, with_arrows = (
        pixels(steady.plot("temperature", window_size=SMALL, show=False, arrows=a).png) for a in (False, 60)
    )
    dark = np.abs(with_arrows - plain).max(axis=2) > 0.2
    assert dark.mean() > 0.004


# Instants


def test_the_caption_tells_the_instant(course):
    picture = course.plot("temperature", at="2.5 min", window_size=SMALL, show=False)
    assert "Temperature at 2.5 min, load case hot" in picture.texts
    scene = scene_of(course, at="2.5 min")
    assert_allclose([scene.scale.low, scene.scale.high], [20.0, 50.0], atol=0.05)


def test_the_hottest_instant_is_shown_unless_told(course):
    scene = scene_of(course)
    assert scene.title == "Temperature at 6.5 min, load case hot"
    assert scene.scale.high == pytest.approx(80.0)
    times = course["hot"].times
    assert times[-2] / 60.0 == pytest.approx(6.48, abs=0.01), "the last one has cooled down by 5 K"


def test_a_time_outside_the_course_or_of_a_steady_case_is_told(course, steady):
    with pytest.raises(PictureError, match="runs from 0 min to 10 min"):
        course.plot("temperature", at="11 min")
    with pytest.raises(PictureError, match="one state without a course in time"):
        steady.plot("temperature", at="1 min")


# Films


def frames_of(path):
    film = Image.open(path)
    out = []
    for i in range(film.n_frames):
        film.seek(i)
        out.append(np.asarray(film.convert("RGB"), float) / 255)
    return film, out


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_a_film_shows_every_instant_on_one_scale(course, tmp_path, ending):
    path = tmp_path / "new" / f"heat.{ending}"
    film = course["hot"].animate(path, times=["0 s", "2.5 min", "5 min"], seconds=3.0, window_size=SMALL)
    opened, pictures = frames_of(path)
    assert opened.size == (film.width, film.height) == SMALL
    assert len(pictures) == 3
    assert {"0 min", "2.5 min", "5 min", "Temperature, load case hot"} <= set(film.texts)
    bar_of_colors = [p[100:280, 438:441] for p in pictures]
    assert all(np.abs(b - bar_of_colors[0]).max() < 0.05 for b in bar_of_colors), "the scale stays"
    part = [p[90:280, 20:400] for p in pictures]
    red = [float((q[..., 0] - q[..., 2] > 0.3).mean()) for q in part]
    assert red[0] < 0.01
    assert red[2] > red[1] > 0.0, "it warms up"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_film_has_the_colors_of_its_scale(course, tmp_path):
    """Few colors must not make bands: the bar of a GIF is as smooth as it can be."""
    course["hot"].animate(tmp_path / "heat.gif", frames=3, window_size=SMALL)
    _, pictures = frames_of(tmp_path / "heat.gif")
    column = pictures[-1][120:260, 439]
    assert len(np.unique(column.round(3), axis=0)) > 25


def test_a_page_with_a_slider_asks_for_nothing_from_elsewhere(course, tmp_path):
    film = course["hot"].animate(tmp_path / "heat.html", frames=4, window_size=SMALL)
    text = (tmp_path / "heat.html").read_text()
    assert "@" not in re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"(src|href)\s*=\s*[\"']?http", text)
    words = json.loads(re.search(r"words = (\[.*?\]), pause", text).group(1))
    assert words == ["0 min", "3.3 min", "6.7 min", "10 min"]
    coded = json.loads(re.search(r"pictures = (\[.*?\]), words", text).group(1))
    sizes = [Image.open(io.BytesIO(base64.b64decode(c.partition(",")[2]))).size for c in coded]
    assert sizes == [SMALL] * 4
    assert "<iframe" in film._repr_html_()


def test_an_mp4_needs_an_encoder_and_says_which(course, tmp_path, monkeypatch):
    monkeypatch.setattr(animation.shutil, "which", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(PictureError, match=r"pip install designtwin\[film\]"):
        course["hot"].animate(tmp_path / "heat.mp4", window_size=SMALL)
    assert not list(tmp_path.iterdir())


def test_an_encoder_gets_all_pictures_and_its_failure_is_told(course, tmp_path, monkeypatch):
    script = tmp_path / "encoder"
    # A stand-in: it counts the bytes it is sent and writes that as the "film".
    script.write_text('#!/bin/sh\nfor last; do :; done\nwc -c > "$last"\n')
    script.chmod(0o755)
    monkeypatch.setattr(animation, "_ffmpeg", lambda: str(script))
    course["hot"].animate(tmp_path / "heat.mp4", frames=3, window_size=SMALL)
    assert int((tmp_path / "heat.mp4").read_text()) == 3 * SMALL[0] * SMALL[1] * 3
    script.write_text("#!/bin/sh\ncat > /dev/null\necho 'no such codec' >&2\nexit 3\n")
    with pytest.raises(PictureError, match="ended with 3: no such codec"):
        course["hot"].animate(tmp_path / "other.mp4", frames=3, window_size=SMALL)
    assert not (tmp_path / "other.mp4").exists()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg here")
def test_an_mp4_plays(course, tmp_path):
    course["hot"].animate(tmp_path / "heat.mp4", frames=4, seconds=2.0, window_size=(481, 361))
    done = subprocess.run(
        ["ffmpeg", "-i", str(tmp_path / "heat.mp4"), "-f", "null", "-"], capture_output=True, check=False
    )
    assert done.returncode == 0
    assert b"h264" in done.stderr


def test_what_cannot_be_animated_is_told(course, steady, tmp_path):
    case = course["hot"]
    for path in ("heat.avi", "heat", "."):
        with pytest.raises(PictureError, match=r"\.gif|folder"):
            case.animate(tmp_path / path)
    with pytest.raises(PictureError, match="nothing to animate"):
        steady.animate(tmp_path / "heat.gif")
    with pytest.raises(PictureError, match="instants from 0 min to 10 min"):
        case.animate(tmp_path / "heat.gif", times=["1 min", "20 min"])
    with pytest.raises(PictureError, match="no load case 'cold'"):
        edge.animate(course, tmp_path / "heat.gif", case="cold")
    with pytest.raises(PictureError, match="pictures are wanted"):
        case.animate(tmp_path / "heat.gif", frames=1)
    assert not list(tmp_path.iterdir())


def test_a_film_with_arrows_and_a_cut_keeps_both(course, tmp_path):
    film = course["hot"].animate(
        tmp_path / "heat.gif", times=["30 s", TIMES[-2]], arrows=60, isotherms=["30 degC", "50 degC"],
        cut_plane=("y", ("50 mm", "10 mm", "10 mm")), window_size=SMALL,
    )  # fmt: skip
    text = " ".join(film.texts)
    assert "cut at y" in text
    assert "the longest 120000 W/m²" in text, "one scale of arrows for all"
    _, pictures = frames_of(tmp_path / "heat.gif")
    assert np.abs(pictures[0] - pictures[1]).mean() > 0.005


# Histories


def history(values, times=TIMES, label="die", **more):
    return types.SimpleNamespace(times=np.asarray(times), values=np.asarray(values), label=label, **more)


def test_a_history_has_units_and_its_limit(course):
    limits = [dtw.temperature("xmax") <= "75 degC", dtw.mass() <= "1 kg"]
    picture = course["hot"].history("xmax").plot(limits=limits, window_size=SMALL, show=False)
    assert {"temperature, °C", "time, min", "temperature of 'xmax' ≤ 75 °C"} <= set(picture.texts)
    assert "highest 80 °C at 6.5 min" in picture.texts
    colored = (np.abs(pixels(picture.png) - np.array([0xF9, 0xE6, 0xE8]) / 255).max(axis=2) < 0.02).mean()
    assert colored > 0.02, "what lies beyond the limit is colored"


@pytest.mark.parametrize(
    ("end", "unit"), [(90.0, "time, s"), (600.0, "time, min"), (20 * 3600.0, "time, h"), (1e6, "time, d")]
)
def test_the_time_axis_has_the_unit_that_suits(end, unit):
    source = history(293.15 + np.arange(5.0), np.linspace(0, end, 5))
    assert unit in edge.plot_times(source, window_size=SMALL, show=False).texts


def test_several_histories_share_a_picture(course):
    case = course["hot"]
    many = [case.history("xmax"), case.history("body", over="mean")]
    texts = edge.plot_times(many, window_size=SMALL, show=False).texts
    assert {"largest temperature on 'xmax'", "mean temperature on 'body'"} <= set(texts)
    named = edge.plot_times({"hot end": many[0], "all": many[1]}, window_size=SMALL, show=False).texts
    assert {"hot end", "all"} <= set(named)
    two = [history(300 + TIMES, case=c, label="die") for c in ("idle", "full")]
    texts = edge.plot_times(two, window_size=SMALL, show=False).texts
    assert {"die, idle", "die, full"} <= set(texts), "cases tell equal labels apart"


def test_a_limit_far_away_is_told_and_does_not_flatten_the_curve():
    source = history(300 + np.linspace(0, 5, len(TIMES)))
    picture = edge.plot_times(source, limits="900 degC", window_size=SMALL, show=False)
    assert "900 °C lies above this picture" in picture.texts


def test_a_margin_that_begins_at_infinity_is_drawn_near_its_limit():
    values = np.r_[np.inf, 1e5 / TIMES[1:]]
    source = history(values, dimension="dimensionless", label="yield margin")
    picture = edge.plot_times(source, limits=dtw.yield_margin() >= 100.0, window_size=SMALL, show=False)
    assert picture.texts[0] == "Yield margin"
    low, high = course_module._range(values.min(), values[1:].max(), [(100.0, "", False)])
    assert low < 100.0 < values.min() < high < 10 * values.min(), "not squeezed under a peak of 20,000"


def test_histories_that_make_no_picture_are_told():
    good = history(300 + TIMES)
    for bad, why in (
        ([], "no history"),
        ([good, history(TIMES, dimension="power")], "do not share an axis"),
        (history(TIMES[:3]), "no course in time"),
        (history(np.full(len(TIMES), np.nan)), "holds no number"),
        ([good] * 13, "cannot be told apart"),
        ([3.0], "with times and values"),
    ):
        with pytest.raises(PictureError, match=why):
            edge.plot_times(bad, show=False)
    with pytest.raises(RequirementError, match="has no limit"):
        edge.plot_times(good, limits=dtw.temperature("die"), show=False)


# The balance


def test_the_heat_balance_shows_powers_and_energies(course, steady):
    picture = edge.plot_heat_balance(course["hot"], window_size=SMALL, show=False)
    words = {"by loads", "by convection and radiation", "by given temperatures", "stored in the part",
             "put in", "power into the part, W", "heat since the start, kJ", "time, min"}  # fmt: skip
    assert words <= set(picture.texts)
    with pytest.raises(PictureError, match="is steady"):
        edge.plot_heat_balance(steady)
