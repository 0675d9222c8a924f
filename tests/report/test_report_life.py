"""A page of a life test and of a refined one: what its tables say is what the results say."""

import json

import numpy as np
import pytest
from builders import box
from test_report import Page

import designtwin as dtw
from designtwin.criteria.verdict import jsonable
from designtwin.report import write_report


def model():
    return dtw.Model(
        box("tetra10", (5, 1, 1), (0.1, 0.02, 0.02)),
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"down": [dtw.Force(on="xmax", value=("0 N", "0 N", "-1 kN"))]},
        name="arm",
    )


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    t = np.arange(400)
    force = 1.0 + 2.0 * np.sin(0.9 * t) * np.sin(0.11 * t)
    path = tmp_path_factory.mktemp("log") / "crane.csv"
    path.write_text("t,force\n" + "".join(f"{a},{f:.5f}\n" for a, f in zip(t, force)))
    log = dtw.read_log(path, time="t", units={"force": "kN"})
    return dtw.LifeTest(
        model(), curve="S355 base metal", scatter=0.2, history=log, requirements=[dtw.damage() <= 0.3],
        channels={"force": dtw.unit_case("down", per="1 kN")},
    ).run()  # fmt: skip


def test_a_page_of_life_says_what_the_result_says(life, tmp_path):
    page = Page(write_report(life, tmp_path / "life.html").read_text(encoding="utf-8"))
    data = json.loads(page.data)
    told = json.loads(json.dumps(jsonable(life.result.to_dict())))
    assert data["verdicts"] == [json.loads(json.dumps(life.to_dict()))]
    assert data["lives"] == [told]
    rows = [table["rows"] for table in page.tables]
    table = life.result.hotspots().table()
    assert len(table.cells) > 0
    assert [list(row) for row in table.cells] in [some[1:] for some in rows]
    facts = [row for some in rows for row in some]
    assert ["history", "crane.csv"] in facts
    assert ["samples", "400"] in facts
    assert any(row[0] == "S-N curve of body" and "S355 base metal" in row[1] for row in facts)
    assert any(str(life.result.remaining())[1:] in text for text in page.texts)
    for note in told["notes"]:
        assert page.texts.count(note) == 1, "a note of the result is one of the verdict: told once"


def test_cycles_at_the_worst_place_are_all_there(life, tmp_path):
    page = Page(write_report(life, tmp_path / "life.html").read_text(encoding="utf-8"))
    (cycles,) = [t["rows"] for t in page.tables if t["rows"][0] == ["range", "cycles", "share of the damage"]]
    case, spot = life.result.case, life.result.hotspots(1)[0]
    counted = dtw.rainflow(case.history(spot.row), residue="repeated")
    assert sum(float(row[1].replace(",", "")) for row in cycles[1:]) == pytest.approx(counted.total)
    # The page sums the damage of what it lists: that of the hot spot.
    assert case.curves["body"].damage(counted) == pytest.approx(spot.damage, rel=1e-9)
    shares = [float(row[2].split()[-2]) for row in cycles[1:] if not row[2].startswith("less")]
    assert sum(shares) == pytest.approx(100.0, abs=0.5)


def test_a_result_of_life_alone_has_its_chapter(life, tmp_path):
    page = Page(write_report([("Used up", life.result)], tmp_path / "l.html").read_text(encoding="utf-8"))
    assert "Used up" in page.texts
    assert len(json.loads(page.data)["lives"]) == 1


def test_rounds_of_refinement_are_those_of_the_verdict(tmp_path):
    found = dtw.StrengthTest(model(), requirements=[dtw.displacement("xmax", "z") <= "1 mm"]).run()
    limit = found.rows[0].value.value * 1.001
    test = dtw.StrengthTest(model(), requirements=[dtw.displacement("xmax", "z") <= f"{limit} m"])
    verdict = test.run(refine="uniform", max_unknowns=10_000, max_rounds=2)
    assert len(verdict.rounds) > 1, "a limit so close is not told on the first mesh"
    page = Page(write_report(verdict, tmp_path / "r.html").read_text(encoding="utf-8"))
    (rows,) = [table["rows"] for table in page.tables if table["class"] == "rounds"]
    assert len(rows) == 1 + len(verdict.rounds)
    for row, one in zip(rows[1:], verdict.to_dict()["rounds"]):
        assert row[0] == one["how"]
        assert row[2] == f"{one['n_dof']:,}"
        (said,) = one["requirements"]
        assert row[3] == f"{said['text']['value']}  {said['status']}"


def test_a_picture_of_damage_counts_its_error_only_where_it_tells_it(life, tmp_path, monkeypatch):
    case = life.result.case
    field = case.field("damage")
    rows = case.rows[::7]
    np.testing.assert_array_equal(field.error_at(rows), field.error[rows])
    counted = []
    bounds = type(case).bounds
    monkeypatch.setattr(
        type(case), "bounds", lambda self, some, *more: counted.append(len(some)) or bounds(self, some, *more)
    )
    words = life.result.plot(screenshot=tmp_path / "damage.png", window_size=(600, 450)).texts
    assert any("up to" in text for text in words)
    assert sum(counted) <= 4
