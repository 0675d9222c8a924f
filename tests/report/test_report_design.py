"""What the design loop finds stands in a report with what a reader asks: how found, how sure, how tested."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from builders import box, rectangle
from test_report import Page

import designtwin as dtw
from designtwin import viz
from designtwin.report import write_report

STEEL = dtw.LinearElastic(youngs_modulus=200e9, poissons_ratio=0.0, density=7800.0, yield_strength=250e6)
LIMIT = dtw.yield_margin() >= 2.0


def strip(values, mesh):
    return dtw.Model(
        mesh.moved(mesh.points * [1.0, values["width"] / 0.05, 1.0]),
        materials={"body": dtw.PlaneStress(STEEL, thickness=values["thickness"])},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=("8 kN", "0 N", "0 N"))]},
        name="strip",
    )


@pytest.fixture(scope="module")
def study():
    return dtw.Study(
        build=strip, mesh=rectangle("quad8", (4, 2), (0.2, 0.05)),
        variables={
            "thickness": dtw.variable("1 mm", "5 mm", start="4 mm"),
            "width": dtw.variable("20 mm", "60 mm", start="50 mm"),
        },
        tests=lambda model: [dtw.StrengthTest(model, requirements=[LIMIT])], minimize=dtw.mass(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def best(study):
    return study.run(max_analyses=12)


def read(path):
    page = Page(path.read_text(encoding="utf-8"))
    return page, [row for table in page.tables for row in table["rows"]]


def stamp(page):
    """What stands beside the title, the heading and the line of who and when."""
    return page.texts[3]


class Artist:
    """Draws nothing, and remembers what it was asked for; what `designtwin.viz` lacks it lacks too."""

    def __init__(self):
        self.drawn = []

    def __getattr__(self, name):
        getattr(viz, name)
        if name in ("colors_a_part", "field_name", "default_name"):
            return getattr(viz, name)
        if name == "web_view":
            return lambda *args: None
        png = b"\x89PNG"
        return lambda *args, **options: (
            self.drawn.append((name, args)) or SimpleNamespace(png=png, width=9, height=9)
        )


def test_the_best_design_says_how_it_was_found_and_whether_it_was_tested_again(best, tmp_path):
    fresh = replace(best, verification=None)
    page, rows = read(write_report(fresh, tmp_path / "fresh.html"))
    told = {row[0]: row[1] for row in rows if len(row) == 2}
    assert told["method"] == best.method
    assert "by adjoint: yield margin" in told["gradients"]
    assert told["stopped"] == best.stopped
    assert told["analyses"] == f"{len(best.history)}; {len(best.history.gradients)} gradients"
    assert told["verified"].startswith("not yet")
    assert "Verified on another mesh" not in page.texts
    assert "Design study" in page.texts
    found = fresh.verify()
    page, rows = read(write_report(fresh, tmp_path / "tested.html"))
    told = {row[0]: row[1] for row in rows if len(row) == 2}
    assert told["verified"].startswith(f"{found.status} on another mesh of {found.mesh.n_cells} cells, mass ")
    assert page.texts.count("strength test of strip: 1 of 1 requirement met for certain") == 2 or (
        found.status != "PASS"
    )
    assert "Verified on another mesh" in page.texts


def test_a_page_is_not_stamped_with_more_than_every_chapter_says(best, tmp_path):
    page, _ = read(write_report(best, tmp_path / "one.html"))
    assert stamp(page) == "PASS"
    missed = replace(best, feasible=False, conflict=("yield margin", "mass"))
    page, rows = read(write_report(missed, tmp_path / "two.html"))
    assert stamp(page) not in ("PASS", "FAIL")  # the verdict passes
    assert ["in conflict", "yield margin, mass"] in rows


def test_fronts_slopes_checks_samples_and_indices_have_tables_and_pictures(study, best, tmp_path):
    front = study.pareto(dtw.mass(), dtw.displacement("xmax", "x"), points=3)
    slopes, check = best.sensitivity(), study.check_gradients()
    artist = Artist()
    artist_path = tmp_path / "all.html"
    _, rows = read(write_report([front, slopes, check, best.history], artist_path, artist=artist))
    assert [name for name, _ in artist.drawn] == ["plot_front", "plot_study_sensitivity", "plot_history"]
    point = front.points[0]
    assert study.variables["thickness"].text(point.values["thickness"]) in next(
        row for row in rows if row[:2] == [dtw.units.show(v, q.dimension) for v, q in
                                           ((point.one, front.one), (point.other, front.other))]
    )  # fmt: skip
    assert [slopes.responses[0], *(f"{100 * v:+.2f} %" for v in slopes.scaled[0])] in [r[:3] for r in rows]
    row = check.rows[0]
    assert [row.response, row.variable, f"{row.adjoint:+.6e}"] in [r[:3] for r in rows]


def test_a_topology_and_its_part_stand_side_by_side(tmp_path):
    mesh = box("hexahedron", (8, 3, 4), (0.08, 0.03, 0.04))
    keep = dtw.box((0.069, 0.0, 0.0), (0.081, 0.03, 0.011))
    model = dtw.Model(
        mesh, materials={"body": STEEL}, supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"tip": [dtw.Force(on=dtw.faces(normal="+x") & keep, value=(0, 0, "-1 kN"))]},
    )  # fmt: skip
    found = dtw.Topology(
        model, minimize=dtw.compliance(), volume_fraction=0.5, keep=[keep], filter_radius="15 mm"
    ).run(max_iterations=6)
    test = found.as_model().retest(dtw.mass() <= "1 kg")
    artist = Artist()
    page, rows = read(write_report([found, test], tmp_path / "topology.html", artist=artist))
    assert any("by densities of cells. Only a re-test tells" in text for text in page.texts)
    assert not any("untested" in text for text in page.texts), "its re-test stands below"
    assert [args[1:] for name, args in artist.drawn if name == "plot_topology"] == [(), ("history",)]
    (what, dimension, by, of_part), *_ = test.compared
    told = [what, dtw.units.show(by, dimension), dtw.units.show(of_part, dimension)]
    assert told in [row[:3] for row in rows]
    assert {"Topology", "Re-test of the part"} <= set(page.texts)
    alone, _ = read(test.report(tmp_path / "test.html", picture_size=(400, 300)))
    assert "The part beside its densities" in alone.texts


def test_scatter_that_is_too_wide_fails_on_the_page(study, tmp_path):
    from designtwin.study.uncertainty import Robustness, Spread

    label = f"{LIMIT} | pull"
    spreads = {
        "objective": Spread("objective", 0.1, 0.01, {"pull": 1.0}),
        label: Spread(label, 0.2, 0.1, {"pull": 1.0}, sigma=3.0),
    }
    found = Robustness(study, {}, spreads, None, np.zeros((0, 1)), {})
    page, _ = read(write_report(found, tmp_path / "scatter.html"))
    assert "does NOT hold at 3 sigma" in page.texts
    assert stamp(page) == "FAIL"
