"""Pictures: something is on them, it is the right thing, and one always appears."""

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import SOLIDS, bar, box, rectangle
from numpy.testing import assert_allclose
from PIL import Image

import designtwin as dtw
from designtwin import edge
from designtwin.errors import PictureError
from designtwin.mesh import Group, Mesh
from designtwin.requirements import show_value
from designtwin.viz import fields, render, screen
from designtwin.viz.models import draw_model
from designtwin.viz.page import Grid, Page, compose, folded, format_ticks
from designtwin.viz.scene import ALARM, Body, Scene
from designtwin.viz.view import frame, look_at, visible

SMALL = (480, 360)
ROOT = Path(dtw.__file__).parents[1]


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float) / 255


def drawn(png):
    """Share of the pixels that are not background."""
    return float((pixels(png).min(axis=2) < 0.95).mean())


def scene_of(source, name, case=None, **options):
    result, verdict = fields.unwrap(source)
    shown = fields.read(result, name, case, verdict)
    return fields.field_scene(result, shown, verdict=verdict, **options)


# Files


def test_a_picture_is_written_whole_and_shows_something(verdict, tmp_path):
    path = tmp_path / "new" / "folder" / "sf.png"
    picture = verdict.plot("safety_factor", case="down", screenshot=path, window_size=SMALL)
    assert picture.size == SMALL == Image.open(path).size
    assert path.read_bytes() == picture.png == picture._repr_png_()
    assert [p.name for p in path.parent.iterdir()] == ["sf.png"], "no half-written file is left"
    assert drawn(picture.png) > 0.10
    assert str(path) in str(picture)


@pytest.mark.parametrize("ending", [".jpg", ".webp", ".pdf", ".svg"])
def test_the_ending_chooses_the_format(result, tmp_path, ending):
    start = {".jpg": b"\xff\xd8", ".webp": b"RIFF", ".pdf": b"%PDF", ".svg": b"<?xml"}
    path = tmp_path / f"stress{ending}"
    edge.plot(result["down"], screenshot=path, window_size=SMALL)
    assert path.read_bytes().startswith(start[ending])


@pytest.mark.parametrize("name", ["picture.doc", "picture", "."])
def test_an_unknown_format_is_refused_before_any_work(tmp_path, name):
    with pytest.raises(PictureError, match=r"\.png|folder"):
        edge.plot(object(), screenshot=tmp_path / name)


def test_a_place_that_cannot_be_written_is_told(result, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PictureError, match="cannot be written"):
        edge.plot(result["down"], screenshot=tmp_path / "file" / "x.png", window_size=SMALL)


def test_a_blank_picture_is_an_error(result):
    scene = scene_of(result, "von_mises", "down")
    elsewhere = Scene(
        bodies=scene.bodies, scale=scene.scale, focus=np.array([[9.0, 9.0, 9.0], [9.1, 9.1, 9.1]])
    )
    with pytest.raises(PictureError, match="blank"):
        fields.deliver(elsewhere, screenshot=None, window_size=SMALL, camera="iso", show=False, file_name="x")


def test_without_a_screen_the_picture_goes_to_out_and_says_so(result, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("designtwin.viz.window.has_screen", lambda: False)
    with caplog.at_level(logging.WARNING):
        picture = edge.plot(result["down"], "uz", window_size=SMALL)
    assert picture.path == Path("out/bar-uz-down.png")
    assert picture.path.stat().st_size > 1000
    assert "out/bar-uz-down.png" in caplog.text


# Renderers


def test_both_renderers_draw_the_same(verdict, monkeypatch):
    if screen.graphics() == "none":
        pytest.skip("no graphics library here")
    scene = scene_of(verdict, "safety_factor", "down")
    view = frame(scene.framed(), np.array([-0.62, -0.66, 0.42]), 400, 300, margins=(0.1, 0.1, 0.1, 0.1))
    vtk, filled = render.render(scene, view)
    monkeypatch.setenv("DESIGNTWIN_GL", "none")
    ours, ours_filled = render.render(scene, view)
    assert (filled == ours_filled).mean() > 0.98
    both = filled & ours_filled
    assert np.abs(vtk - ours)[both].mean() < 0.03


PROGRAM = """
import sys
if {block}:
    class Block:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in ("vtk", "vtkmodules", "pyvista"):
                raise ImportError("libXrender.so.1: cannot open shared object file")
    sys.meta_path.insert(0, Block())
sys.path.insert(0, {tests!r})
from builders import box
from designtwin import edge
picture = edge.plot_mesh(box("hexahedron", 2), screenshot={path!r}, window_size=(400, 300))
from designtwin.viz import graphics
print(graphics(), "pyvista" in sys.modules)
"""


@pytest.mark.parametrize(
    ("what", "environment", "answers"),
    [
        ("no EGL", {"__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent.json"}, ("none", "osmesa")),
        ("no VTK", {}, ("none",)),
        ("dead display", {"DISPLAY": ":4711"}, ("egl", "osmesa", "none")),
        ("asked for", {"DESIGNTWIN_GL": "none"}, ("none",)),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the display matrix is that of Linux")
def test_a_picture_always_appears(tmp_path, what, environment, answers):
    path = tmp_path / "mesh.png"
    clean = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "DESIGNTWIN_GL")}
    program = PROGRAM.format(block=what == "no VTK", tests=str(ROOT / "tests"), path=str(path))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        text=True,
        capture_output=True,
        timeout=240,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in answers
    assert drawn(path.read_bytes()) > 0.10


def test_a_notebook_shows_each_picture_once(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    cells = [
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "from builders import box\nfrom designtwin import edge\nmesh = box('tetra', 2)",
        "edge.plot_mesh(mesh, window_size=(400, 300))",
        "picture = edge.plot_mesh(mesh, window_size=(400, 300))\nprint(picture.path)",
        "picture",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    env_path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        nbclient.NotebookClient(book, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    finally:
        os.environ["PYTHONPATH"] = env_path
    images = [[o for o in c.outputs if "image/png" in o.get("data", {})] for c in book.cells]
    assert [len(found) for found in images] == [0, 1, 1, 1]
    import base64

    assert drawn(base64.b64decode(images[1][0]["data"]["image/png"])) > 0.10
    assert book.cells[2].outputs[-1]["text"].strip() == "None", "nothing is written to disk"
    assert not list(tmp_path.iterdir())


def test_drawing_is_loaded_only_when_asked():
    code = (
        "import sys, designtwin.edge, designtwin.criteria; "
        "print([m for m in ('pyvista', 'vtkmodules', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# What is on a picture of a field


def test_labels_say_what_the_table_says(verdict):
    picture = verdict.plot("safety_factor", window_size=SMALL, show=False)
    row = verdict.rows[0]
    text = " ".join(picture.texts)
    assert f"min {show_value(row.value, 'dimensionless')}" in text
    assert f"limit {row.requirement.limit_text}" in text
    assert "load case down" in text
    assert f"strength test: {verdict.status}" in text
    assert "deformation ×" in text
    assert "10 mm of 'xmin'" in text


def test_values_and_scale_stand_in_display_units(result):
    previous = dtw.display_units("mm", "N", "MPa", "degC")
    try:
        scene = scene_of(result, "von_mises", "down")
        largest = result["down"].von_mises().max() / 1e6
        assert scene.scale.title == "Von Mises stress, MPa"
        assert_allclose([scene.scale.low, scene.scale.high], [0.0, largest])
        assert scene.callouts[0].text.startswith("max ")
        assert scene.callouts[0].text.endswith(" MPa")
        dtw.display_units(pressure="psi")
        scene = scene_of(result, "von_mises", "down")
        assert scene.scale.title == "Von Mises stress, psi"
        assert_allclose(scene.scale.high, largest * 145.0377, rtol=1e-4)
    finally:
        dtw.display_units(*previous)


def test_a_safety_factor_is_red_where_low_and_ends_in_a_point(verdict):
    scale = scene_of(verdict, "safety_factor", "down").scale
    red, _, blue = fields_color(scale, scale.low)
    assert red > 2 * blue
    red, _, blue = fields_color(scale, scale.high)
    assert blue > red
    assert scale.low == 0.0
    assert scale.high == 8.0, "twice the limit at least"
    assert scale.above
    assert not scale.below
    assert scale.mark == 4.0


def fields_color(scale, value):
    from designtwin.viz.scene import paint

    return paint(np.array([float(value)]), scale)[0]


def test_a_safety_factor_marks_its_least_value_alone(result):
    scene = scene_of(result, "safety_factor", "down")
    assert [c.text.split()[0] for c in scene.callouts] == ["min"]


def test_a_part_without_stress_has_a_picture_too():
    model = dtw.Model(
        box("hexahedron", 1),
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"none": [dtw.PrescribedDisplacement(on="xmax", x="0 mm")]},
    )
    result = dtw.solve_static(model)
    for name in ("safety_factor", "von_mises", "displacement"):
        assert drawn(edge.plot(result, name, window_size=SMALL, show=False).png) > 0.1


def test_signed_fields_are_white_at_zero(result):
    scale = scene_of(result, "stress_xx", "down").scale
    assert scale.low == -scale.high
    assert fields_color(scale, 0.0).min() > 0.9


def test_a_field_that_is_nearly_all_negative_is_strong_at_its_far_end(result):
    scale = scene_of(result, "uz", "down").scale
    assert scale.low < 0
    assert fields_color(scale, scale.low).mean() < 0.4 < fields_color(scale, scale.high).mean()


def test_the_worst_case_is_shown_unless_told(result, verdict):
    assert scene_of(result, "von_mises").title.endswith("load case down")
    assert scene_of(result, "von_mises", "pull").title.endswith("load case pull")
    assert scene_of(verdict, "safety_factor").title.endswith(f"load case {verdict.rows[0].value.case}")
    with pytest.raises(PictureError, match="no load case 'lift'; there are down, pull"):
        scene_of(result, "von_mises", "lift")


def test_a_misspelt_field_is_told_the_nearest(result):
    with pytest.raises(PictureError, match="did you mean 'von_mises'"):
        edge.plot(result["down"], "vonmises")


def test_a_quantity_without_a_field_can_be_drawn(result):
    quantity = dtw.yield_margin(criterion="tresca")
    scene = scene_of(result, quantity, "down")
    assert scene.scale.low == 0.0
    with pytest.raises(PictureError, match="one number"):
        edge.plot(result, dtw.mass())


def test_what_is_not_judged_is_pale_and_has_no_marker(verdict):
    scene = scene_of(verdict, "safety_factor", "down", deformed=False)
    pale = [body for body in scene.bodies if body.faded]
    assert len(pale) == 1
    at = pale[0].triangles.points[pale[0].triangles.conn].reshape(-1, 3)
    assert at[:, 0].max() <= 0.0101
    assert scene.callouts[0].at[0] > 0.0099, "the least value is that of what is judged"
    everything = scene_of(verdict.result, "safety_factor", "down", deformed=False)
    assert not any(body.faded for body in everything.bodies)


def test_failure_zones_are_outlined_at_the_limit(verdict):
    zones = [z for z in verdict.failure_zones() if "down" in z.cases]
    assert zones
    scene = scene_of(verdict, "safety_factor", "down", deformed=False)
    red = [line for line in scene.lines if line.color == ALARM]
    assert len(red) == len(zones)
    text = " ".join(c.text for c in scene.callouts)
    assert f"zone {zones[0].number}: {zones[0].times_limit:.3g} × limit" in text
    case = verdict.result["down"]
    at = red[0].segments.points[red[0].segments.conn].mean(axis=1)
    factor = np.array([case.yield_strength()[0] / case.probe(p, "von_mises") for p in at[::7]])
    assert np.median(np.abs(factor - 4.0)) < 0.25, "the line is where the factor is 4"
    assert not [
        line for line in scene_of(verdict, "safety_factor", "down", zones=False).lines if line.color == ALARM
    ]


def test_displacements_are_not_cluttered_with_zones(verdict):
    scene = scene_of(verdict, "uz", "down")
    assert not [line for line in scene.lines if line.color == ALARM]
    judged = show_value(verdict.rows[1].value, "length")
    assert judged in scene.callouts[0].text, "the judged value has a label"


def test_the_deformation_scale_is_round_and_stated(result):
    displacement = result["down"].displacement
    size = result.mesh.size
    scale = fields.deformation_scale(displacement, size, True)
    drawn_as = scale * np.linalg.norm(displacement, axis=1).max() / size
    assert 0.03 < drawn_as <= fields.DEFORMED * 1.001
    assert f"{scale:g}" in (
        "1",
        "1.2",
        "1.5",
        "2",
        "2.5",
        "3",
        "4",
        "5",
        "6",
        "8",
        "10",
        "12",
        "15",
        "20",
        "25",
        "30",
    )
    assert fields.deformation_scale(displacement, size, 7.0) == 7.0
    assert fields.deformation_scale(displacement, size, False) == 0.0
    assert fields.deformation_scale(displacement * 1e3, size, True) == 1.0, "large ones are shown as they are"
    with pytest.raises(PictureError, match="no scale"):
        fields.deformation_scale(displacement, size, float("nan"))
    scene = scene_of(result, "von_mises", "down", deformed=7.0)
    assert "deformation × 7" in scene.notes
    low = scene.bodies[0].triangles.points[:, 2].min()
    assert_allclose(low, (result.mesh.points + 7 * displacement)[:, 2].min(), atol=1e-6)


def test_a_cut_shows_the_inside(result):
    whole, cut = (scene_of(result, "von_mises", "down", cut_plane=p, deformed=False) for p in (None, "y"))
    assert any("cut at y" in note for note in cut.notes)

    def highest(scene):
        return max(b.triangles.points[b.triangles.conn][..., 1].max() for b in scene.bodies)

    assert highest(whole) == pytest.approx(0.02)
    assert all(callout.at @ cut.facing <= 0.02 * abs(cut.facing).max() + 1e-9 for callout in cut.callouts)
    for bad in ("w", ("x",), ((0, 0, 0), (0, 0, 0))):
        with pytest.raises(PictureError, match="cut_plane"):
            edge.plot(result["down"], cut_plane=bad)


def test_a_cut_beyond_the_part_is_told(result):
    with pytest.raises(PictureError, match="takes the whole part away"):
        edge.plot(result["down"], cut_plane=("x", ("-1 m", "0 m", "0 m")))


def test_temperatures_have_degrees_and_isotherms():
    model = dtw.Model(
        box("tetra10", (4, 2, 2), (0.1, 0.02, 0.02)),
        materials={"body": dtw.material("S355")},
        supports=[
            dtw.FixedTemperature(on=on, value=t) for on, t in (("xmin", "20 degC"), ("xmax", "80 degC"))
        ],
        load_cases={"hot": []},
    )
    result = dtw.solve_thermal(model)
    scene = scene_of(result, "temperature")
    assert scene.scale.title == "Temperature, °C"
    assert_allclose([scene.scale.low, scene.scale.high], [20, 80], atol=1e-6)
    assert "lines: equal temperature, 10 K apart" in scene.notes
    iso = scene.lines[-1].segments
    x = iso.points[iso.conn].reshape(-1, 3)[:, 0]
    levels = np.unique(np.round(20 + 600 * x, 3))
    assert_allclose(levels, scene.scale.ticks()[(scene.scale.ticks() > 20) & (scene.scale.ticks() < 80)])


# Where to look from, and where labels go


def test_the_camera_sees_the_worst_place(result):
    scene = scene_of(result, "von_mises", "down", deformed=False)
    solid = [body for body in scene.bodies if body.opacity > 0.9]
    for at in ([0.1, 0.02, 0.01], [0.05, 0.0, 0.01], [0.05, 0.01, 0.0], [0.0, 0.01, 0.01]):
        point = np.array([at])
        assert visible(point, look_at(scene, None, point), solid)[0]
    assert_allclose(look_at(scene, "-y", np.empty((0, 3))), [0, -1, 0])
    with pytest.raises(PictureError, match="camera 'above' is unknown"):
        look_at(scene, "above", np.empty((0, 3)))


def test_plane_parts_are_seen_flat_from_above():
    model = dtw.Model(
        rectangle("quad8", (6, 2), (0.1, 0.03)),
        materials={"body": dtw.PlaneStress(dtw.material("S355"), thickness="5 mm")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=("1 kN", "0 N", "0 N"))]},
    )
    scene = scene_of(dtw.solve_static(model), "von_mises")
    assert scene.flat
    assert_allclose(look_at(scene, None, np.empty((0, 3))), [0, 0, 1])
    assert drawn(edge.plot_model(model, window_size=SMALL, show=False).png) > 0.1


def test_bars_are_tubes():
    model = dtw.Model(
        bar(3, 0.5),
        materials={"body": dtw.Truss(dtw.material("S355"), area="1 cm2")},
        supports=[dtw.FixedSupport(on="xmin"), dtw.PrescribedDisplacement(on="body", y="0 mm")],
        load_cases={"pull": [dtw.Force(on="xmax", value=("1 kN", "0 N", "0 N"))]},
    )
    picture = edge.plot(dtw.solve_static(model), "displacement", window_size=SMALL, show=False)
    assert drawn(picture.png) > 0.005


def test_labels_keep_off_the_part_and_off_each_other():
    filled = np.zeros((300, 400), bool)
    filled[100:200, 100:300] = True
    grid = Grid(filled, 4)
    boxes = []
    for anchor in ((150, 150), (160, 150), (250, 150), (251, 151), (120, 120)):
        x, y = grid.place(np.array(anchor, float), 70.0, 24.0, gap=12.0)
        boxes.append((x, y, x + 70, y + 24))
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        assert 0 <= x0 < x1 <= 400
        assert 0 <= y0 < y1 <= 300
        assert x1 <= 100 or x0 >= 300 or y1 <= 100 or y0 >= 200, "off the part"
        for a0, b0, a1, b1 in boxes[:i]:
            assert x1 <= a0 or x0 >= a1 or y1 <= b0 or y0 >= b1, "off each other"


def test_the_view_keeps_all_points_within_its_margins():
    points = np.random.default_rng(3).normal(size=(200, 3))
    view = frame(points, np.array([0.6, -0.64, 0.48]), 500, 400, margins=(0.1, 0.2, 0.05, 0.15))
    x, y, _ = view.project(points).T
    assert_allclose([y.min(), y.max()], [0.05 * 400, 0.85 * 400], atol=1e-6)
    assert x.min() >= 0.1 * 500 - 1e-6
    assert x.max() <= 0.8 * 500 + 1e-6


def test_tick_labels_have_the_decimals_they_need():
    assert format_ticks(np.array([0, 25, 50.0])) == ["0", "25", "50"]
    assert format_ticks(np.array([0, 0.25, 0.5])) == ["0.00", "0.25", "0.50"]
    assert format_ticks(np.array([-0.1, 0.0, 0.1])) == ["−0.1", "0.0", "0.1"]


def test_long_titles_stay_on_the_page():
    page = Page((600, 450))
    page.header("A title of many words that would never fit on one line of the page " * 2, "and more " * 40)
    for text in page.figure.texts:
        assert text.get_window_extent().x1 <= 600


def test_sizes_that_make_no_sense_are_refused(result):
    with pytest.raises(PictureError, match="window_size"):
        edge.plot(result["down"], window_size=(10, 10), show=False)


# Meshes, models, studies


@pytest.mark.parametrize("element", ["tetra10", "pyramid", "wedge15", "hexahedron20"])
def test_a_mesh_shows_its_groups_by_name(element):
    picture = edge.plot_mesh(box(element, 2), window_size=(800, 600), show=False)
    for name in ("xmin", "xmax", "ymin", "zmax"):
        assert any(text.startswith(f"{name}: ") for text in picture.texts), "in the legend"
        assert name in picture.texts, "and on the part"
    only = edge.plot_mesh(box(element, 2), groups=["zmax"], window_size=(800, 600), show=False)
    assert "xmin" not in only.texts


def test_a_bad_cell_is_shown(tmp_path):
    good = box("tetra", 2)
    conn = good.cells["tetra"].copy()
    conn[5, [0, 1]] = conn[5, [1, 0]]
    mesh = Mesh(good.points, {"tetra": conn}, {"body": Group(cells=np.arange(len(conn)))})
    picture = edge.plot_check(mesh, window_size=(800, 600), show=False)
    assert "bad" in picture.texts[0]
    assert any(text.startswith("inverted: 1") for text in picture.texts)
    red = pixels(picture.png)
    assert ((red[..., 0] > 0.6) & (red[..., 1] < 0.35)).mean() > 1e-3
    assert "bad" not in edge.plot_check(good, window_size=(800, 600), show=False).texts[0]


def test_a_long_name_is_folded_and_stays_on_the_page(verdict):
    place = dtw.faces(normal="+x") & dtw.box((-1, -1, -1), (1, 1, 1)) & dtw.box((-2, -2, -2), (2, 2, 2))
    model = verdict.result.model
    model = model.with_(load_cases={"pull": [dtw.Force(on=place, value=("1 N", "0 N", "0 N"))]})
    page, _ = compose(draw_model(model), (800, 600))
    page.figure.canvas.draw()
    labels = [t for axes in page.figure.axes for t in axes.texts if "Force on" in t.get_text()]
    assert labels
    for label in labels:
        box = label.get_window_extent()
        assert "\n" in label.get_text().split("\n(1, 0, 0)")[0]
        assert box.x0 >= 0
        assert box.x1 <= 800
        assert box.width < 480
    words = "one two three four five six seven"
    assert folded(f"{words}\nb", 9, 3) == "one two\nthree\nfour …\nb"
    assert folded("short\nlines", 9) == "short\nlines"


def test_a_model_shows_supports_loads_and_totals(verdict):
    model = verdict.result.model
    texts = edge.plot_model(model, window_size=(800, 600), show=False).texts
    assert any("FixedSupport on 'xmin'" in t for t in texts)
    assert any("down: Force on 'xmax'\n(0, 0, −6000) N" in t for t in texts)
    texts = edge.plot_model(model, case="pull", window_size=(800, 600), show=False).texts
    assert any("(200, 0, 0) N" in t for t in texts)
    assert not any("6000" in t for t in texts)
    with pytest.raises(PictureError, match="no load case 'x'"):
        edge.plot_model(model, case="x")


def test_two_designs_share_scale_and_camera(verdict, lighter):
    picture = edge.compare(
        verdict,
        lighter,
        "von_mises",
        case="down",
        headings=("start", "tuned"),
        window_size=(1000, 500),
        show=False,
    )
    assert picture.size == (1000, 500)
    assert {"start", "tuned"} <= set(picture.texts)
    image = pixels(picture.png)
    for half in (image[60:, :400], image[60:, 420:820]):
        assert (half.min(axis=2) < 0.95).mean() > 0.05


def test_a_study_shows_its_course():
    from designtwin.requirements import mass
    from designtwin.study.found import History
    from designtwin.study.store import Evaluation
    from designtwin.study.variables import variable

    name = "yield margin (von Mises) ≥ 1.5"
    designs = [
        Evaluation(1, {"t": 0.005}, 1.0, slacks={f"{name} | lift": 0.3, f"{name} | brake": -0.1}),
        Evaluation(2, {"t": 0.005}, 1.0, slacks={f"{name} | lift": 0.3}, purpose="gradient"),
        Evaluation(3, {"t": 0.004}, None, failure="the mesh folds"),
        Evaluation(4, {"t": 0.004}, 0.8, slacks={f"{name} | lift": 0.05, f"{name} | brake": 0.01}),
    ]
    history = History(tuple(designs), {"t": variable("3 mm", "8 mm", start="5 mm")}, mass())
    picture = history.plot(show=False, window_size=(800, 600))
    text = " ".join(picture.texts)
    assert "mass over 3 designs" in text
    assert "1 failed" in text
    assert "best: 0.8 kg" in text
    assert "t: 5 mm → 4 mm" in text
    assert name in text
    assert drawn(picture.png) > 0.01
    with pytest.raises(PictureError, match="no designs"):
        edge.plot_history(History((), {}, mass()))


def test_a_window_holds_the_same_scene(verdict):
    if screen.graphics() == "none":
        pytest.skip("no graphics library here")
    from designtwin.viz import window

    scene = scene_of(verdict, "safety_factor", "down")
    plotter = window.build(scene, SMALL, None, off_screen=True)
    try:
        image = plotter.screenshot(None, return_img=True)
        assert (image.min(axis=2) < 240).mean() > 0.1
        assert len(plotter.scalar_bars) == 1
    finally:
        plotter.close()


@pytest.mark.parametrize("element", SOLIDS)
def test_opaque_bodies_hide_what_is_behind(element):
    scene = Scene(bodies=tuple(_bodies(element)))
    solid = list(scene.bodies)
    toward = np.array([0.0, 0.0, 1.0])
    assert not visible(np.array([[0.5, 0.5, 0.2]]), toward, solid)[0]
    assert visible(np.array([[0.5, 0.5, 1.0]]), toward, solid)[0]


def _bodies(element):
    from designtwin.viz.geometry import Skin

    mesh = box(element, 2)
    skin = Skin(mesh)
    yield Body(skin.triangles(mesh.points, skin.level())[0])


def test_plain_data_of_a_verdict_is_not_touched_by_drawing(verdict):
    before = json.dumps(verdict.to_dict())
    verdict.plot(window_size=SMALL, show=False)
    assert json.dumps(verdict.to_dict()) == before


def test_a_window_is_opened_only_where_someone_sees_it(monkeypatch, caplog):
    from designtwin.viz import window

    monkeypatch.setattr(window, "in_notebook", lambda: False)
    monkeypatch.setattr(window, "has_screen", lambda: True)
    assert window.wanted(None, has_file=False)
    assert not window.wanted(None, has_file=True), "a script that asks for a file does not wait for a window"
    assert window.wanted(True, has_file=True)
    assert not window.wanted(False, has_file=False)
    monkeypatch.setattr(window, "has_screen", lambda: False)
    assert not window.wanted(True, has_file=False)
    assert "no screen" in caplog.text
    monkeypatch.setattr(window, "in_notebook", lambda: True)
    assert window.wanted(True, has_file=False)
    assert not window.wanted(None, has_file=False), "static unless asked"


def test_an_interactive_notebook_view_without_its_packages_falls_back(result, monkeypatch, caplog):
    from designtwin.viz import window

    monkeypatch.setattr(window, "in_notebook", lambda: True)
    monkeypatch.setattr(window, "_trame", lambda: False)
    monkeypatch.setattr(window, "graphics", lambda: "egl")
    assert window.open_window(scene_of(result, "von_mises", "down"), SMALL, None) is None
    assert "designtwin[notebook]" in caplog.text


def test_continuous_integration_has_no_screen(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("DESIGNTWIN_GL", "screen")
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "")  # what the call sets is taken back
    monkeypatch.delenv("PYVISTA_OFF_SCREEN", raising=False)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setenv("CI", "true")
    assert not screen.has_screen()
    monkeypatch.delenv("CI")
    assert screen.has_screen()
    monkeypatch.setenv("PYVISTA_OFF_SCREEN", "true")
    assert not screen.has_screen()
