"""A report opened in a real browser: silent, alone, true to its JSON, and with a view that turns."""

import io
import json
import re

import numpy as np
import pytest
from builders import box
from PIL import Image

import designtwin as dtw
from designtwin import units
from designtwin.errors import PictureError
from designtwin.report import browser

pytest.importorskip("fcntl", reason="the helper speaks to browsers through POSIX pipes")
from helpers_browser import BROWSER, NONE, Browser

needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no browser is installed that runs without a window"
)


@pytest.fixture(scope="module")
def verdict():
    model = dtw.Model(
        box("tetra10", (6, 2, 2), (0.1, 0.02, 0.02)),
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "down": [dtw.Force(on="xmax", value=("0 N", "0 N", "-6 kN"))],
            "pull": [dtw.Force(on="xmax", value=("90 kN", "0 N", "0 N"))],
        },
        name="bar <b> & </script> Söhne",
    )
    requirements = [
        dtw.yield_margin(excluding=dtw.near("xmin", "10 mm")) >= 1.5,
        dtw.displacement("xmax", "z") <= "10 mm",
        dtw.mass() <= "1 kg",
    ]
    return dtw.StrengthTest(model, requirements=requirements, name=model.name).run()


@pytest.fixture(scope="module")
def file(verdict, tmp_path_factory):
    return verdict.report(tmp_path_factory.mktemp("page") / "bar.html", picture_size=(640, 480))


@pytest.fixture(scope="module")
def page(file):
    with Browser(file) as one:
        one.ask("document.querySelector('figure.view').scrollIntoView()")
        one.until("document.querySelector('figure.view').dataset.state === 'drawn'")
        yield one


def pixels(page):
    """The view as it is on the screen, uint8[height, width, 3]."""
    page.settle()
    box_of = page.ask("JSON.stringify(document.querySelector('.stage').getBoundingClientRect())")
    r = json.loads(box_of)
    image = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    return image[round(r["top"]) : round(r["bottom"]), round(r["left"]) : round(r["right"])]


def choose(page, field, case):
    """Pick a field and a case as a reader does, and wait until they are drawn."""
    page.ask(
        f"""(() => {{
          const pick = (at, text) => {{
            const one = document.querySelectorAll('.tools select')[at];
            one.value = text;
            one.dispatchEvent(new Event('change'));
          }};
          pick(0, {json.dumps(field)}); pick(1, {json.dumps(case)});
        }})()"""
    )
    page.until(
        f"""[...document.querySelectorAll('.tools select')].map((s) => s.value).join() ===
        {json.dumps(f"{field},{case}")} && document.querySelector('.legend b').textContent"""
    )
    page.settle()


@needs_browser
def test_the_page_asks_for_nothing_and_complains_of_nothing(page):
    assert page.ask("document.readyState") == "complete"
    assert page.requests == []
    assert page.complaints == []


@needs_browser
def test_a_page_that_asks_and_complains_would_be_seen(tmp_path):
    path = tmp_path / "bad.html"
    path.write_text("<img src='http://127.0.0.1:9/a.png'><script>console.error('bad'); missing()</script>")
    with Browser(path) as page:
        page.settle()
        assert page.requests == ["http://127.0.0.1:9/a.png"]
        assert any("bad" in text for text in page.complaints)
        assert any("missing is not defined" in text for text in page.complaints)


@needs_browser
def test_the_table_on_the_screen_is_the_json_inside_and_that_of_the_verdict(page, verdict):
    inside = json.loads(page.ask("document.getElementById('data').textContent"))
    (data,) = inside["verdicts"]
    assert data == json.loads(json.dumps(verdict.to_dict()))
    rows = json.loads(
        page.ask(
            """JSON.stringify([...document.querySelectorAll('table.req tbody tr')]
            .map((row) => [...row.cells].map((cell) => cell.innerText)))"""
        )
    )
    assert [row[:6] for row in rows] == [
        [
            row["requirement"],
            row["text"]["value"],
            row["text"]["margin"],
            row["status"],
            row["case"] or "",
            row["text"]["place"],
        ]
        for row in data["requirements"]
    ]
    zones = json.loads(
        page.ask(
            """JSON.stringify([...document.querySelectorAll('table.zones tbody tr')]
            .map((row) => [...row.cells].map((cell) => cell.innerText)))"""
        )
    )
    assert len(zones) == len(data["failure_zones"]) > 0
    for row, zone in zip(zones, data["failure_zones"]):
        assert row[0] == str(zone["number"])
        assert row[3] == units.show(zone["peak"], "dimensionless")
        assert row[4] == zone["case"]


@needs_browser
def test_the_view_has_the_colors_of_its_scale(page):
    choose(page, "Von Mises stress", "down")
    image = pixels(page).reshape(-1, 3).astype(int)
    colored = image[np.ptp(image, axis=1) > 60]
    assert len(colored) > 0.02 * len(image)
    # Red where it is fixed, blue and white where it is free: the hues of the scale are all there.
    red = (colored[:, 0] > colored[:, 2] + 60).mean()
    blue = (colored[:, 2] > colored[:, 0] + 40).mean()
    assert red > 0.05
    assert blue > 0.05


@needs_browser
def test_another_case_another_deformation_and_another_side_look_different(page):
    choose(page, "Von Mises stress", "down")
    first = pixels(page)
    choose(page, "Von Mises stress", "pull")
    other = pixels(page)
    assert (first != other).any(axis=2).mean() > 0.02
    page.ask(
        """(() => { const one = document.querySelector('.tools input[type=range]'); one.value = 0;
        one.dispatchEvent(new Event('input')); })()"""
    )
    flat = pixels(page)
    assert (flat != other).any(axis=2).mean() > 0.002
    r = json.loads(page.ask("JSON.stringify(document.querySelector('.stage').getBoundingClientRect())"))
    middle = ((r["left"] + r["right"]) / 2, (r["top"] + r["bottom"]) / 2)
    page.drag(middle, (middle[0] + 120, middle[1] + 40))
    turned = pixels(page)
    assert (flat != turned).any(axis=2).mean() > 0.02
    page.ask("document.querySelector('.views button:last-child').click()")
    page.ask(
        """(() => { const one = document.querySelector('.tools input[type=range]'); one.value = 1;
        one.dispatchEvent(new Event('input')); })()"""
    )
    page.settle()
    assert (pixels(page) != other).any(axis=2).mean() < 0.002, "the whole part again, as at first"


@needs_browser
def test_values_that_are_pointed_at_are_those_of_the_result(page, verdict):
    choose(page, "Von Mises stress", "down")
    field = verdict.result["down"].field("von_mises").values
    r = json.loads(page.ask("JSON.stringify(document.querySelector('.stage').getBoundingClientRect())"))
    read = 0
    for x, y in np.random.default_rng(7).uniform(0.1, 0.9, (60, 2)):
        page.mouse("mouseMoved", r["left"] + x * r["width"], r["top"] + y * r["height"])
        said = page.ask(
            "[...document.querySelectorAll('.said:not([hidden])')].map((s) => s.innerText).join()"
        )
        if not said:
            continue
        value = float(re.search(r"^([\d.]+)(?: MPa)?$", said.splitlines()[0]).group(1))
        node = int(re.search(r"node (\d+)", said).group(1))
        place = [float(t.replace("−", "-")) for t in re.search(r"\((.*)\) mm", said).group(1).split(", ")]
        exact = float(units.from_si(field[node], "pressure"))
        assert value == pytest.approx(exact, rel=6e-4), said
        np.testing.assert_allclose(place, 1e3 * verdict.result.mesh.points[node], rtol=1e-3, atol=2e-3)
        read += 1
    assert read > 10


@needs_browser
def test_the_worst_place_is_marked_and_reads_as_the_table_says(page, verdict):
    choose(page, "Safety factor to yield", "down")
    worst = verdict.to_dict()["requirements"][0]
    assert worst["case"] == "down"
    assert worst["text"]["value"] in page.ask("document.querySelector('.over .word').innerText")
    zone = page.ask("document.querySelector('.pin.zone').title")
    assert zone == verdict.failure_zones()[0].sentence
    limit = page.ask("document.querySelector('.strip u').innerText")
    assert limit == "limit ≥ 1.5"
    assert "pale: not judged" in page.ask("document.querySelector('.legend small').innerText")


@needs_browser
def test_on_paper_the_picture_stands_in_for_the_view(page):
    page.send("Emulation.setEmulatedMedia", media="print")
    shown = json.loads(
        page.ask(
            """JSON.stringify(Object.fromEntries(
            ['canvas', '.tools', '.legend', '.over', 'img'].map((name) => {
            const style = getComputedStyle(document.querySelector('figure.view ' + name));
            return [name, style.display !== 'none' && style.visibility !== 'hidden'];
            })))"""
        )
    )
    page.send("Emulation.setEmulatedMedia", media="")
    assert shown == {"canvas": False, ".tools": False, ".legend": False, ".over": False, "img": True}


@needs_browser
def test_without_graphics_the_picture_stays_and_nothing_complains(file):
    with Browser(file, flags=NONE) as page:
        page.ask("document.querySelector('figure.view').scrollIntoView()")
        page.until("document.querySelector('figure.view').dataset.state === 'picture'")
        assert page.ask("document.querySelectorAll('canvas, .tools, .legend').length") == 0
        assert page.ask("getComputedStyle(document.querySelector('figure.view img')).visibility") == "visible"
        assert "draws no 3D view" in page.ask("document.querySelector('.hint').innerText")
        assert page.requests == []
        assert page.complaints == []


@needs_browser
def test_on_a_phone_nothing_is_wider_than_the_screen(file):
    with Browser(file, size=(390, 800), touch=True) as page:
        page.ask("document.querySelector('figure.view').scrollIntoView()")
        page.until("document.querySelector('figure.view').dataset.state === 'drawn'")
        assert page.ask("document.documentElement.scrollWidth") <= 390
        before = pixels(page)
        r = json.loads(page.ask("JSON.stringify(document.querySelector('.stage').getBoundingClientRect())"))
        x, y = (r["left"] + r["right"]) / 2 - 60, (r["top"] + r["bottom"]) / 2
        touch = [{"x": x, "y": y}]
        page.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=touch)
        for step in range(1, 6):
            moved = [{"x": x + 20 * step, "y": y}]
            page.send("Input.dispatchTouchEvent", type="touchMove", touchPoints=moved)
        page.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        assert (pixels(page) != before).any(axis=2).mean() > 0.02, "a finger turns it"
        assert page.complaints == []


@needs_browser
def test_a_report_becomes_a_pdf(verdict, tmp_path):
    path = verdict.report(tmp_path / "new" / "bar.pdf", picture_size=(640, 480))
    data = path.read_bytes()
    assert data.startswith(b"%PDF-")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", data)) <= 12
    assert [p.name for p in path.parent.iterdir()] == ["bar.pdf"], "no half-written file is left"


def test_without_a_browser_a_pdf_is_refused_before_anything_is_drawn(verdict, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "_PLACES", {})
    with pytest.raises(PictureError, match=r"none of chromium, .* is on PATH; write the report as \.html"):
        verdict.report(tmp_path / "bar.pdf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'no display' >&2; exit 3", r"ended with 3 and printed no PDF: no display; write"),
        ("exit 0", r"ended with 0 and printed no PDF; write"),
    ],
)
def test_a_browser_that_prints_nothing_is_told(tmp_path, monkeypatch, script, words):
    fake = tmp_path / "chromium"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(PictureError, match=words):
        browser.print_pdf("<p>words</p>")
