"""A design loop whose requirements span decades: life and damage of a log."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box

import designtwin as dtw
from designtwin.errors import StudyError
from designtwin.io.logs import SensorLog

MESH = box("tetra10", (6, 1, 1), (0.2, 0.02, 0.02))
AT = np.arange(200.0)
LOG = SensorLog("made up", 0.1 * AT, {"pull": 1e3 * np.sin(0.7 * AT)}, {"pull": "N"})


def bar(values, mesh):
    return dtw.Model(
        dtw.Mesh(mesh.points * [1.0, 1.0, values["height"] / 0.02], mesh.cells, mesh.groups),
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=("0 N", "0 N", "-1 kN"))]},
    )


def study(requirement, log=LOG, **options):
    def tests(model):
        pull = dtw.unit_case("pull", per="1 kN")
        options = {"curve": "S355 base metal", "channels": {"pull": pull}, "history": log}
        return [dtw.LifeTest(model, requirements=[requirement], **options)]

    return dtw.Study(
        build=bar, mesh=MESH, variables={"height": dtw.variable("10 mm", "40 mm", start="30 mm")},
        tests=tests, minimize=dtw.mass(), **options,
    )  # fmt: skip


@pytest.mark.parametrize("requirement", [dtw.life() >= "100000 h", dtw.damage() <= 1e-5], ids=str)
def test_the_lightest_design_that_lasts_is_found_in_a_few_steps(requirement):
    best = study(requirement).run(max_analyses=30)
    assert best.feasible
    assert len(best.history) <= 15
    assert 0.0102 < best.values["height"] < 0.0398
    assert [name.split(" | ")[0] for name in best.active] == [str(requirement)]
    value = best.verdicts[0].rows[0].value
    at_limit = requirement.bad_end(value) / requirement.limit
    assert 0.98 < at_limit < 1.05 if not requirement.is_upper else 0.95 < at_limit < 1.02


def test_slack_of_what_spans_decades_is_the_decades_to_the_limit():
    life, damage = dtw.life() >= "10 h", dtw.damage() <= 0.1
    assert life.slack(360e3) == pytest.approx(1.0)
    assert life.slack(3.6) == pytest.approx(-4.0)
    assert damage.slack(1e-3) == pytest.approx(2.0)
    assert damage.slack(1.0) == pytest.approx(-1.0)
    assert (damage.slack(0.0), life.slack(np.inf), life.slack(0.0)) == (np.inf, np.inf, -np.inf)


def test_a_store_knows_a_log_by_its_readings(tmp_path):
    store = tmp_path / "kept"
    study(dtw.damage() <= 1e-5, store=store).run(max_analyses=2)
    columns = {"pull": LOG.columns["pull"].copy()}
    columns["pull"][100] += 1e-6  # in the middle, where no print shows it
    other = SensorLog(LOG.source, LOG.times, columns, LOG.units)
    with pytest.raises(StudyError, match="tests differ"):
        study(dtw.damage() <= 1e-5, log=other, store=store).run(max_analyses=2)
