"""The frame of the benchmarks works without any peer, and its page is made from stored lines."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def frame(monkeypatch):
    """The folder on the path, its modules forgotten afterwards."""
    for folder in (BENCHMARKS, BENCHMARKS / "contenders"):
        monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def small(frame):
    """An L of cubes of 12 mm."""
    import problems

    return replace(
        problems.all_cases()[0], name="small", mesh="hex8", h=12.0, n_dof=500, peers=("designtwin",)
    )


@pytest.mark.usefixtures("frame")
def test_every_case_has_a_name_of_its_own_and_known_contenders():
    import problems
    import run

    listed = problems.all_cases()
    assert len({case.name for case in listed}) == len(listed)
    assert {peer for case in listed for peer in case.peers} <= set(run.CONTENDERS)


def test_ours_runs_in_the_frame_in_a_process_of_its_own(small, tmp_path):
    import harness
    import problems

    task = {"module": "ours", "case": asdict(small), "path": str(problems.prepare(small, tmp_path, None))}
    line = harness.run([sys.executable], task, tmp_path / "run", threads=1, seconds=120, memory=4000)
    assert line["status"] == "ok", line
    assert set(line["wall"]) == {"model", "solve", "stress"}
    assert 1e-7 < line["answer"]["largest"] < 1e-3
    assert line["rss_peak_mib"] >= line["rss_before_mib"] > 10


def test_ours_steps_in_the_frame(small, tmp_path):
    import harness
    import problems

    case = replace(small, physics="transient", steps=3, step=10.0)
    task = {"module": "ours", "case": asdict(case), "path": str(problems.prepare(case, tmp_path, None))}
    line = harness.run([sys.executable], task, tmp_path / "run", threads=1, seconds=120, memory=4000)
    assert line["status"] == "ok", line
    assert set(line["wall"]) == {"model", "solve"}
    assert 0.1 < line["answer"]["largest"] < 100.0


def test_what_takes_too_long_is_ended_and_named(small, tmp_path):
    import harness
    import problems

    task = {"module": "ours", "case": asdict(small), "path": str(problems.prepare(small, tmp_path, None))}
    line = harness.run([sys.executable], task, tmp_path / "run", threads=1, seconds=0.01, memory=4000)
    assert line["status"] == "stopped"


@pytest.mark.usefixtures("frame")
@pytest.mark.parametrize("kind", ["hex8", "tet4", "tet10"])
def test_the_assembly_given_to_peers_is_ours(kind):
    import fem
    import parts
    import problems

    import designtwin as dtw

    points, cells = parts.ell(12.0)
    if kind != "hex8":
        six = [(0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6)]
        cells = cells[:, six].reshape(-1, 4)
    if kind == "tet10":
        points, cells = parts.quadratic(points, cells)
    name = {"hex8": "hexahedron", "tet4": "tetra", "tet10": "tetra10"}[kind]
    stated = {
        "physics": "elastic", "nu": 0.3, "bonded": False, "load_cases": 1, "kind": kind, "E": problems.YOUNG,
        "points": points, "cells": cells, "held": np.flatnonzero(points[:, 0] < 1e-9),
    }  # fmt: skip
    model = problems.model({**stated, "mesh": dtw.Mesh(points=points, cells={name: cells})})
    result = dtw.solve_static(model)["load 0"]
    stated["load"] = model.cases["load 0"].loads[0].nodal_forces(model)
    u = result.displacement.ravel()
    rest = fem.assemble(stated) @ u - fem.right_side(stated)
    assert np.abs(rest).max() < 1e-6 * np.abs(stated["load"]).max()


@pytest.mark.usefixtures("frame")
def test_refinement_keeps_the_volume_and_halves_the_cells():
    import parts

    points, cells = parts.quadratic(
        np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]), np.array([[0, 1, 2, 3]])
    )
    eight = parts.split(cells)
    volume = np.linalg.det(points[eight[:, 1:]] - points[eight[:, :1]]) / 6
    np.testing.assert_allclose(volume, 1 / 48)


LINE = {
    "case": "tet10-36k", "contender": "designtwin", "threads": 2, "round": 0, "time": "", "loaded": False,
    "commit": "abc", "machine": "a machine", "status": "ok", "wall": {"model": 0.1, "solve": 0.3},
    "cpu": {"model": 0.1, "solve": 0.5}, "rss_before_mib": 100.0, "rss_peak_mib": 110.0,
    "versions": {"numpy": "2"},
    "answer": {"largest": 1e-4, "n_dof": 36000, "iterations": 21, "residual": 1e-9},
}  # fmt: skip


def _peer(**changes):
    return {**LINE, "contender": "ngsolve", "wall": {"solve": 4.0}, "cpu": {"solve": 6.0}, **changes}


@pytest.mark.usefixtures("frame")
def test_the_table_gives_medians_and_ratios_of_stored_lines(tmp_path):
    import page

    lines = [LINE, {**LINE, "round": 1, "wall": {"model": 0.1, "solve": 0.5}}, _peer()]
    (tmp_path / "results.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    page.write(tmp_path / "results.jsonl", tmp_path)
    text = (tmp_path / "README.md").read_text()
    (ours,) = [row for row in text.splitlines() if row.startswith("| bracket") and "designtwin" in row]
    assert [cell.strip() for cell in ours.split("|")][3:9] == ["0.5", "1.0", "0.6", "1.0", "291 / 291", "21"]
    (peer,) = [row for row in text.splitlines() if "NGSolve | 4" in row]
    assert "| 8.0 |" in peer
    for name in ("time", "memory", "iterations"):
        assert 1_000 < (tmp_path / "pictures" / f"{name}.png").stat().st_size < 100_000


@pytest.mark.usefixtures("frame")
def test_a_wrong_answer_is_no_time_and_a_busy_machine_no_ratio():
    import page

    wrong = page.body([LINE, _peer(answer={**LINE["answer"], "largest": 1.001e-4})])
    assert "wrong: largest off by 1e-03" in wrong
    assert "| 8.0 |" not in wrong
    busy = page.body([LINE, _peer(loaded=True)])
    assert "| 4† |  |" in busy
    quiet = page.body([LINE, _peer(), _peer(loaded=True, wall={"solve": 9.0})])
    assert "| 4 | 10.0 |" in quiet


@pytest.mark.usefixtures("frame")
def test_view_factors_run_in_a_process_of_their_own_and_come_to_the_page(tmp_path, monkeypatch):
    import page
    import run
    import views

    monkeypatch.setattr(views, "CASES", {"screen between squares": "a reference"})
    options = run.parser().parse_args(["--quick", "--results", str(tmp_path / "results.jsonl"), "--loaded"])
    options.cache = tmp_path
    session = run.Session(options)
    views.measure(session)
    (line,) = [json.loads(text) for text in options.results.read_text().splitlines()]
    assert line["facets"] == 128
    assert line["factor"] == pytest.approx(line["exact"], rel=0.01)
    (row,) = [one for one in page.body([line]).splitlines() if one.startswith("| screen between squares†")]
    assert "| 128 |" in row
    assert "| open |" in row


@pytest.mark.usefixtures("frame")
def test_rainflow_is_counted_by_each_and_comes_to_the_page(tmp_path, monkeypatch):
    import page
    import rainflow
    import run

    monkeypatch.setattr(rainflow, "SAMPLES", 20_000)
    monkeypatch.setattr(rainflow, "ROUNDS", 1)
    options = run.parser().parse_args(["--results", str(tmp_path / "results.jsonl"), "--loaded"])
    options.peer_python = sys.executable  # fatpack is here, pyLife is not
    session = run.Session(options)
    rainflow.measure(session)
    lines = [json.loads(text) for text in options.results.read_text().splitlines()]
    assert [line["name"] for line in lines] == ["white", "band"]
    assert all(len(line["cpu_seconds"]["fatpack"]) == 1 for line in lines)
    rows = [row for row in page.body(lines).splitlines() if row.startswith("| white noise†")]
    assert [row.split("|")[2].strip() for row in rows] == ["designtwin", "pyLife", "fatpack"]


@pytest.mark.usefixtures("frame")
def test_damage_in_the_field_comes_to_the_page_without_its_peer_too(tmp_path):
    import life
    import page
    import run

    words = ["--results", str(tmp_path / "results.jsonl"), "--loaded", "--quick"]
    options = run.parser().parse_args(words)
    options.peer_python = sys.executable  # pyLife is not here
    session = run.Session(options)
    life.measure(session)
    (line,) = [json.loads(text) for text in options.results.read_text().splitlines()]
    assert line["points"] > 1_500
    assert line["samples"] == 20_000
    assert line["largest_damage"] > 0.0
    section = page.body([line])
    assert "designtwin: stress and damage" in section
    assert "pylife" in line["absent"]
