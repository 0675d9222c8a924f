"""Failure zones, envelopes and findings of the mesh doctor are seen without being asked how."""

import io
from dataclasses import replace

import numpy as np
import pytest
from builders import box, rectangle
from fake_results import StaticResult
from PIL import Image

import designtwin as dtw
from designtwin import edge
from designtwin.criteria import Verdict, envelope
from designtwin.errors import PictureError
from designtwin.mesh import Group, Mesh
from designtwin.requirements import Value
from designtwin.viz import fields, zones
from designtwin.viz.page import power_of_ten
from designtwin.viz.scene import Scale, paint

WIDE, SMALL = (700, 300), (480, 360)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float) / 255


def drawn(png):
    """Share of the pixels that are not background."""
    return float((pixels(png).min(axis=2) < 0.95).mean())


def says(picture, words):
    return any(words in text for text in picture.texts)


# Zones


def test_a_zone_has_a_close_up_a_cut_and_its_whereabouts(verdict, tmp_path):
    path = tmp_path / "zones.png"
    picture = verdict.plot_zones(most=1, screenshot=path, window_size=WIDE)
    (zone, *_) = verdict.failure_zones()
    assert path.read_bytes() == picture.png
    assert drawn(picture.png) > 0.2
    for words in (
        "close-up",
        "cut at",
        "in the part",
        zone.sentence,
        f"{zone.times_limit:.3g} times the limit",
    ):
        assert says(picture, words)
    assert says(picture, "pale: not judged")
    red = pixels(picture.png)
    assert ((red[..., 0] > 0.7) & (red[..., 1] < 0.25) & (red[..., 2] < 0.35)).mean() > 1e-3


def test_the_cut_goes_through_the_peak_and_shows_what_is_behind(verdict):
    result, _ = fields.unwrap(verdict)
    zone = verdict.failure_zones()[0]
    row = zones._Row(result, verdict, zone, verdict.failure_zones())
    normal, origin = row._plane()
    assert np.linalg.norm(normal) == pytest.approx(1.0)
    peak = np.array(zone.place.point)
    assert abs((peak - origin) @ normal) < 0.01 * row.near.reach
    assert abs(normal).max() == 1.0, "the bar's axes are those of the coordinates"
    assert row.near.normal is not None
    assert abs(normal @ row.near.normal) < 0.8, "the plane goes into the part"


def test_one_picture_for_one_zone_and_a_sheet_for_several(verdict):
    every = verdict.failure_zones()
    one = edge.plot_zones(verdict, every[:1], window_size=WIDE, show=False)
    assert says(one, "zone 1: ")
    assert one.texts[0].startswith("Failure zone 1")
    assert one.size == WIDE
    sheet = edge.plot_zones(verdict, [every[0], every[0]], show=False, window_size=(500, 420))
    assert sheet.texts[0].startswith("Failure zones")
    assert sum(text == "close-up" for text in sheet.texts) == 2


def test_without_zones_there_is_no_picture_of_them(result, verdict):
    good = dtw.StrengthTest(verdict.result.model, requirements=[dtw.displacement() <= "1 m"]).judged(result)
    with pytest.raises(PictureError, match="no zone is beyond a limit"):
        good.plot_zones(show=False)
    with pytest.raises(PictureError, match="failure zones are of a verdict"):
        edge.plot_zones(result, show=False)
    for most in (0, 7, True, 2.0):
        with pytest.raises(PictureError, match="fit on a sheet"):
            verdict.plot_zones(most=most, show=False)


def test_a_plane_part_has_no_cut(tmp_path):
    model = dtw.Model(
        rectangle("quad8", (6, 3), (0.1, 0.05)),
        materials={"body": dtw.PlaneStress(dtw.material("S355"), thickness="2 mm")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=("30 kN", "0 N", "0 N"))]},
    )
    verdict = dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1.5]).run()
    picture = verdict.plot_zones(most=1, show=False, window_size=WIDE)
    assert says(picture, "close-up")
    assert not says(picture, "cut")


def test_singular_places_are_told_as_such_and_have_no_number(verdict):
    outcome = verdict.rows[0]
    told = replace(
        outcome,
        value=Value.without_bound(outcome.value, "a sharp corner"),
        status="CANNOT TELL",
        margin=np.nan,
    )
    singular = replace(verdict, rows=(told, *verdict.rows[1:]))
    zone = next(z for z in singular.failure_zones() if z.singular)
    picture = singular.plot_zones([zone], show=False, window_size=WIDE)
    assert says(picture, "singular: no number")
    assert not says(picture, "times the limit")
    shown = fields.read(verdict.result, "safety_factor", "down", singular)
    assert shown.singular is not None
    assert shown.singular.any()
    assert not shown.singular.all()
    at = int(np.flatnonzero(shown.node == outcome.value.place.node)[0])
    assert shown.singular[at]
    words = [text for row, text, _ in fields.marks(shown) if shown.singular[row]]
    assert words == ["singular: no number"]
    # how far the part moves is bounded there
    assert fields.read(verdict.result, "displacement", "down", singular).singular is None
    whole = verdict.plot("safety_factor", show=False, window_size=SMALL)
    assert not says(whole, "singular")


# Envelopes


def test_an_envelope_shows_values_and_what_governs(verdict):
    found = verdict.envelope("von_mises")
    values = found.plot(show=False, window_size=(800, 600))
    assert says(values, "largest of 2 load cases")
    assert says(values, "load case down")
    cases = found.plot("case", show=False, window_size=(800, 600))
    for name, share in found.shares.items():
        if share > 0.01:
            assert says(cases, f"{name}, ")
    with pytest.raises(PictureError, match="no case of this envelope"):
        found.plot("instant", show=False)
    with pytest.raises(PictureError, match="not 'when'"):
        found.plot("when", show=False)


def test_the_governing_case_has_its_color_where_it_governs():
    bar = box("hexahedron", (10, 2, 2), (1.0, 0.2, 0.2))
    x = StaticResult(bar, {"a": {}}).points.xyz[:, 0]
    found = envelope(
        StaticResult(bar, {"left": {"von_mises": 1.0 - x}, "right": {"von_mises": x}}),
        dtw.stress("von_mises"),
    )
    image = pixels(found.plot("case", show=False, camera="front", window_size=(800, 600)).png)
    blue = (image[..., 2] > image[..., 0] + 0.15).nonzero()[1]
    orange = (image[..., 0] > image[..., 2] + 0.25).nonzero()[1]
    part = (blue < 520), (orange < 520)  # the legend is on the right
    assert np.median(blue[part[0]]) < np.median(orange[part[1]])


# Fields that span decades


def test_a_logarithmic_scale_has_decades():
    scale = Scale("Damage", 1e-8, 1.0, "gray", log=True)
    assert scale.share(1e-4) == pytest.approx(0.5)
    assert scale.share(np.array([0.0, 1e-9, 5.0])) == pytest.approx([0.0, 0.0, 1.0])
    assert [power_of_ten(t) for t in scale.ticks()] == [
        "10⁻⁸", "10⁻⁷", "10⁻⁶", "10⁻⁵", "10⁻⁴", "0.001", "0.01", "0.1", "1",
    ]  # fmt: skip
    middle = paint(np.array([1e-4]), scale)[0]
    assert middle == pytest.approx(paint(np.array([0.5]), Scale("x", 0.0, 1.0, "gray"))[0])


@pytest.mark.parametrize(("name", "worst"), [("damage", "max"), ("life", "min")])
def test_damage_and_life_are_drawn_over_decades(name, worst):
    rng = np.random.default_rng(5)
    values = 10.0 ** rng.uniform(-12.0, -1.5, 400)
    values[:20] = 0.0
    if name == "life":
        with np.errstate(divide="ignore"):
            values = 1.0 / values
    shown = fields.Shown(
        name=name, title=name, dimension="dimensionless", values=values, error=None, node=np.arange(400),
        cells=(("line", np.arange(399), np.column_stack([np.arange(399), np.arange(1, 400)])),),
        judged=np.ones(400, bool), case=None,
    )  # fmt: skip
    scale = fields.scale_of(shown)
    assert scale.log
    assert np.log10(scale.high / scale.low) == pytest.approx(fields.MOST_DECADES)
    finite = values[np.isfinite(values) & (values > 0.0)]
    if name == "life":
        assert scale.low <= finite.min() < 10.0 * scale.low
        assert scale.above
    else:
        assert scale.high / 10.0 < finite.max() <= scale.high
        assert scale.below
    (kind, row), *more = fields._extremes(shown)
    assert (kind, more) == (worst, [])
    assert values[row] == (finite.min() if name == "life" else finite.max())
    # a field within two decades stays as it is
    assert not fields.scale_of(replace(shown, values=np.linspace(1.0, 50.0, 400))).log


# The mesh doctor


def test_every_finding_has_words_and_what_to_do_beside_the_picture():
    good = box("tetra10", 2, (0.1, 0.1, 0.1))
    points, conn = good.points.copy(), good.cells["tetra10"].copy()
    conn[5] = conn[5][[0, 2, 1, 3, 6, 5, 4, 7, 9, 8]]
    extra = np.concatenate([points, [[0.2, 0.2, 0.2]]])
    mesh = Mesh(extra, {"tetra10": conn})
    report = mesh.check()
    picture = edge.plot_check(mesh, report, window_size=(800, 600), show=False)
    text = " ".join(picture.texts)
    for finding in report.at_least("warn"):
        for word in (finding.title.split()[:3], finding.advice.split()[:3]):
            assert " ".join(word) in text
    assert "close-up: inverted" in picture.texts
    assert "loose nodes: 1 node" in picture.texts


def test_surface_cells_among_solids_and_open_surfaces_are_seen():
    block = box("hexahedron", 2, (0.1, 0.1, 0.1))
    face = next(iter(block.facets(block.groups["xmax"].facets))).conn
    mixed = Mesh(block.points, {**block.cells, "quad": face})
    picture = edge.plot_check(mixed, window_size=(800, 600), show=False)
    assert says(picture, "surface cells: 4 cells")
    triangles = next(iter(box("tetra", 2).facets(box("tetra", 2).exterior))).conn[3:]
    surface = Mesh(box("tetra", 2).points, {"triangle": triangles}, {"skin": Group(cells=np.arange(3))})
    picture = edge.plot_check(surface, window_size=(800, 600), show=False)
    assert any(text.startswith("open: ") for text in picture.texts)
    image = pixels(picture.png)
    assert ((image[..., 0] > 0.6) & (image[..., 1] < 0.3)).mean() > 1e-3


def test_zones_of_a_verdict_without_a_field_leave_the_rest_alone(verdict):
    only = Verdict(rows=verdict.rows[1:], result=verdict.result)
    assert only.failure_zones() == ()
    assert only.envelope().name == "von_mises"
