"""The report is one file, asks for nothing, and says what the verdict says."""

import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from builders import box

import designtwin as dtw
from designtwin import edge, viz
from designtwin.errors import DesignTwinError, PictureError
from designtwin.report import Section, Table, write_report
from designtwin.study.found import Best, History, Verification
from designtwin.study.store import Evaluation

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Checks that elements close, and collects tables, pictures, links and the data."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.images, self.links, self.texts = [], [], [], [], []
        self.data, self.ids = "", set()
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids.add(attributes.get("id"))
        if tag not in VOID:
            self.open.append((tag, attributes.get("id")))
        if tag == "table":
            self.tables.append({"class": attributes.get("class"), "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in ("td", "th"):
            self.tables[-1]["rows"][-1].append("")
        elif tag == "img":
            self.images.append(attributes)
        for name in ("src", "href", "data", "action", "poster", "srcset"):
            if name in attributes:
                self.links.append(attributes[name])

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a start"
        assert self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1]}"
        self.open.pop()

    def handle_data(self, data):
        inside = [tag for tag, _ in self.open]
        if inside and inside[-1] == "script":
            self.data += data if self.open[-1][1] == "data" else ""
        elif inside and inside[-1] in ("td", "th"):
            self.tables[-1]["rows"][-1][-1] += data
        elif data.strip() and inside[-1] != "style":
            self.texts.append(data.strip())


@pytest.fixture(scope="module")
def verdict():
    model = dtw.Model(
        box("tetra10", (6, 2, 2), (0.1, 0.02, 0.02)),
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "down": [dtw.Force(on="xmax", value=("0 N", "0 N", "-6 kN"))],
            "own </script> weight": [dtw.Gravity()],
        },
        name="bar <b> & Söhne",
    )
    requirements = [
        dtw.yield_margin(excluding=dtw.near("xmin", "10 mm")) >= 4.0,
        dtw.displacement("xmax", "z") <= "10 mm",
        dtw.mass() <= "1 kg",
    ]
    return dtw.StrengthTest(model, requirements=requirements, name=model.name).run()


@pytest.fixture(scope="module")
def file(verdict, tmp_path_factory):
    return verdict.report(tmp_path_factory.mktemp("report") / "new" / "bar.html", picture_size=(640, 480))


@pytest.fixture(scope="module")
def page(file):
    return Page(file.read_text(encoding="utf-8"))


def test_the_page_stands_alone(file, page):
    assert [p.name for p in file.parent.iterdir()] == ["bar.html"], "no half-written file is left"
    assert file.stat().st_size < 6_000_000
    for link in page.links:
        assert link.startswith(("data:image/", "#")), link[:80]
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", file.read_text(encoding="utf-8"))


def test_the_table_is_that_of_the_verdict(page, verdict):
    (table,) = [t for t in page.tables if t["class"] == "req"]
    data = verdict.to_dict()["requirements"]
    assert table["rows"][0][:4] == ["requirement", "value ± error", "margin", "status"]
    assert table["rows"][1:] == [
        [
            row["requirement"],
            row["text"]["value"],
            row["text"]["margin"],
            row["status"],
            row["case"] or "",
            row["text"]["place"],
            row["excluded"],
        ]
        for row in data
    ]


def test_the_data_inside_is_the_plain_data(page, verdict):
    inside = json.loads(page.data)
    assert inside["verdicts"] == [json.loads(json.dumps(verdict.to_dict()))]


def test_there_is_a_picture_for_each_field_zone_and_input(page, verdict):
    assert all(image["alt"] for image in page.images)
    captions = " ".join(page.texts)
    for words in (
        "yield margin",
        "displacement z",
        "Von Mises stress",
        "What holds the part",
        "named groups",
    ):
        assert words in captions
    zones = [zone for zone in verdict.failure_zones() if zone.within is None]
    assert zones
    for zone in zones[:3]:
        assert f"Zone {zone.number}: {zone.sentence}" in captions
    assert len(page.images) == 5 + len(zones[:3])


def test_what_it_stands_on_is_there(page, verdict):
    text = " ".join([*page.texts, *(c for t in page.tables for row in t["rows"] for c in row)])
    model = verdict.result.model
    for words in (
        "FAIL",
        "S355",
        "Young's modulus",
        "210000 MPa",
        "EN 1993-1-1",
        "FixedSupport on 'xmin'",
        "(0, 0, -6000) N",
        "own </script> weight",
        "residual",
        "balance of loads and reactions",
        "estimated error in energy",
        "numpy",
        model.content_hash(),
        model.mesh.content_hash(),
        "Failure zones",
        "zone",
        "bar <b> & Söhne",
    ):
        assert words in text, words


def test_sections_tell_a_longer_story(verdict, tmp_path):
    start = Evaluation(1, {"thickness": 0.005}, 0.9)
    history = History((start,), {"thickness": dtw.variable("3 mm", "8 mm")}, dtw.mass())
    best = Best(
        values={"thickness": 0.004}, objective=0.7, feasible=True, active=("yield margin",),
        stopped="converged", history=history, verdicts=(verdict,), model=verdict.result.model, study=None,
    )  # fmt: skip
    check = Verification((verdict,), 0.71, verdict.result.model.mesh)
    picture = edge.plot_mesh(box("tetra", 1), window_size=(400, 300), show=False)
    path = write_report(
        [
            ("Strength", verdict),
            Section(
                "Words",
                ["first\n\nsecond", Table(("a", "empty"), [(1, ""), (2, "")], title="Numbers")],
                note="n",
            ),
            ("Design loop", [best, picture]),
            ("On a finer mesh", check),
        ],
        tmp_path / "story.html",
        title="Story",
        author="A. N. Engineer",
    )
    page = Page(path.read_text(encoding="utf-8"))
    assert [link for link in page.links if link.startswith("#")] == ["#s1", "#s2", "#s3", "#s4"]
    assert {"s1", "s2", "s3", "s4"} <= page.ids
    assert {"Story", "Words", "n", "first", "second", "Numbers", "On a finer mesh"} <= set(page.texts)
    rows = [t["rows"] for t in page.tables]
    assert [["a"], ["1"], ["2"]] in rows, "the empty column is gone"
    assert ["thickness", "5 mm", "4 mm", "3 mm", "8 mm"] in [row for t in rows for row in t]
    assert ["stopped", "converged"] in [row for t in rows for row in t]
    assert len(json.loads(page.data)["verdicts"]) == 3
    models = [text for text in page.texts if text.startswith("Model of")]
    assert len(models) == 1, "the same model is described once"
    assert path.stat().st_size < 6_000_000


def test_pictures_give_way_before_the_page_grows_too_large(verdict, tmp_path):
    import io

    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(8).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    noisy = SimpleNamespace(png=out.getvalue(), width=1200, height=900)
    path = write_report([("Noise", [noisy] * 6)], tmp_path / "noise.html")
    assert path.stat().st_size < 6_000_000
    assert len(Page(path.read_text(encoding="utf-8")).images) == 6


def test_without_an_artist_there_are_words_alone(verdict, tmp_path):
    page = Page(write_report(verdict, tmp_path / "words.html").read_text(encoding="utf-8"))
    assert not page.images
    assert len(page.tables) > 4


def test_a_picture_that_fails_does_not_take_the_report_with_it(verdict, tmp_path):
    def broken(*args, **options):
        raise PictureError("no pixels today")

    artist = SimpleNamespace(
        plot_field=broken, plot_mesh=broken, plot_model=broken, plot_zones=broken, web_view=broken,
        field_name=viz.field_name, default_name=None, colors_a_part=viz.colors_a_part,
    )  # fmt: skip
    page = Page(write_report(verdict, tmp_path / "r.html", artist=artist).read_text(encoding="utf-8"))
    assert any("no pixels today" in text for text in page.texts)
    assert not page.images


@pytest.mark.parametrize(
    ("source", "path", "words"),
    [
        ("text", "report.docx", "written as .html or .pdf"),
        ([], "report.html", "nothing to report on"),
        ([("A", 3.0)], "report.html", "a float has no place here"),
    ],
)
def test_what_cannot_be_reported_is_told(tmp_path, source, path, words):
    with pytest.raises(DesignTwinError, match=words):
        write_report(source, tmp_path / path)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told(verdict, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PictureError, match="cannot be written"):
        write_report("words", tmp_path / "file" / "report.html")
