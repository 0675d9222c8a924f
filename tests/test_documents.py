"""README and CONTRIBUTING tell the truth: examples run, links lead somewhere, the order is the real one."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from builders import box
from test_layers import ROWS

import designtwin as dtw

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(p for p in ROOT.rglob("*.md") if not {".venv", "out", "build"} & set(p.parts))


def blocks(page):
    """The Python of a page, block by block."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def example(page):
    """All Python of a page, as one text."""
    return "\n\n".join(blocks(page))


@pytest.mark.slow
def test_the_readme_example_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (tmp_path / "meshes").symlink_to(ROOT / "meshes")
    monkeypatch.chdir(tmp_path)
    space = {}
    code = blocks("README.md")[0]
    assert len([line for line in code.splitlines() if line]) <= 16
    exec(compile(code, "README.md", "exec"), space)
    printed = capsys.readouterr().out
    assert "strength test: " in printed
    assert (tmp_path / "out" / "stress.png").stat().st_size > 20_000
    # the same verdict as the page shows, the numbers to 2 %
    shown = rows_of((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(shown) == 3
    for ours, theirs in zip(rows_of(printed), shown, strict=True):
        assert ours[0] == theirs[0]
        np.testing.assert_allclose(ours[1], theirs[1], rtol=0.02)


@pytest.mark.slow
def test_the_readme_example_of_heat_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (tmp_path / "meshes").symlink_to(ROOT / "meshes")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    space = {}
    exec(compile(blocks("README.md")[1], "README.md", "exec"), space)
    printed = capsys.readouterr().out
    assert (tmp_path / "out" / "die.png").stat().st_size > 10_000
    heat, shown = rows_of(printed, "thermal test"), rows_of(page, "thermal test")
    assert [row[0] for row in heat] == [row[0] for row in shown] == ["PASS", "PASS", "PASS"]
    np.testing.assert_allclose(heat[1][1], shown[1][1], rtol=0.01)  # the balance is rounding alone
    section = page[page.index("thermal test: ") :]
    stress, shown = rows_of(printed), rows_of(section)
    assert [row[0] for row in stress] == [row[0] for row in shown] == ["PASS", "PASS"]
    np.testing.assert_allclose(stress[1][1], shown[1][1], rtol=0.05)
    # what the section names beside it
    course = space["course"]
    np.testing.assert_allclose(course.at("10 min").temperature.max(), 273.15 + heat[1][1], atol=0.5)


@pytest.mark.slow
def test_the_readme_example_of_life_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (tmp_path / "meshes").symlink_to(ROOT / "meshes")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    space = {}
    exec(compile(blocks("README.md")[3], "README.md", "exec"), space)
    printed = capsys.readouterr().out
    ours, shown = rows_of(printed, "life test of jib arm"), rows_of(page, "life test of jib arm")
    assert [row[0] for row in ours] == [row[0] for row in shown] == ["PASS", "PASS"]
    np.testing.assert_allclose(ours[1][1], shown[1][1], rtol=0.05)
    assert (tmp_path / "out" / "life.png").stat().st_size > 20_000
    assert 200_000 < (tmp_path / "out" / "life.html").stat().st_size < 6_000_000
    (spot,) = space["used"].hotspots(1)
    assert f"1   ({', '.join(f'{1e3 * c:.4g}' for c in spot.point)}) mm" in page


@pytest.mark.slow
def test_the_readme_example_of_vibration_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (tmp_path / "meshes").symlink_to(ROOT / "meshes")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    exec(compile(blocks("README.md")[2], "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert (tmp_path / "out" / "modes.png").stat().st_size > 50_000
    for test, count in (("vibration test of mast", 3), ("buckling test of mast", 1)):
        ours, theirs = rows_of(printed, test), rows_of(page, test)
        assert [row[0] for row in ours] == [row[0] for row in theirs] == ["PASS"] * (count + 1)
        np.testing.assert_allclose([row[1] for row in ours], [row[1] for row in theirs], rtol=0.02)


@pytest.mark.slow
def test_the_readme_example_of_the_design_loop_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (tmp_path / "meshes").symlink_to(ROOT / "meshes")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    page = page[page.index("## The design loop") :]
    space = {}
    exec(compile(blocks("README.md")[4], "README.md", "exec"), space)
    printed = capsys.readouterr().out
    best = space["best"]
    assert best.feasible
    assert "best design: meets all requirements" in printed
    found = re.findall(r"^  (upright|base) +([\d.]+) mm", page, re.MULTILINE)
    shown = {name: float(value) for name, value in found}
    assert len(shown) == 2
    for name, value in shown.items():
        np.testing.assert_allclose(1e3 * best.values[name], value, rtol=0.02)
    ours, theirs = rows_of(printed, "strength test"), rows_of(page, "strength test")
    assert [row[0] for row in ours] == [row[0] for row in theirs] == ["PASS"] * 3
    np.testing.assert_allclose([row[1] for row in ours], [row[1] for row in theirs], rtol=0.02)
    assert len(space["study"].run(max_analyses=25).history) == len(best.history)  # from the store


def rows_of(text, test="strength test"):
    """Status and first value of the table that a verdict prints, headline first."""
    table = re.search(test + r": (PASS|FAIL|CANNOT TELL)\n.*?─\n(.*?)\n *mesh ", text, re.DOTALL)
    assert table is not None, "there is no table of a verdict"
    rows = re.findall(
        r"^.{20,34}? +([\d.e-]+) [±+%(].*?(PASS|FAIL|CANNOT TELL)", table.group(2), re.MULTILINE
    )
    return [(table.group(1), 0.0), *((status, float(value)) for value, status in rows)]


@pytest.fixture
def contributed(monkeypatch):
    """The classes that CONTRIBUTING.md writes."""
    module = types.ModuleType("contributed")
    monkeypatch.setitem(sys.modules, "contributed", module)
    exec(compile(example("CONTRIBUTING.md"), "CONTRIBUTING.md", "exec"), module.__dict__)
    return module


def test_a_load_and_a_quantity_of_ones_own_work_as_contributing_says(contributed):
    mast = box("hexahedron20", (2, 2, 8), (0.2, 0.2, 10.0))
    model = dtw.Model(
        mast,
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="zmin")],
        load_cases={"wind": [contributed.Wind(on="xmin", at_ten_meters="1 kPa")]},
    )
    stiffness = contributed.Stiffness(on="zmax")
    verdict = dtw.StrengthTest(model, requirements=[stiffness >= "1 N/mm", stiffness <= "1 kN/mm"]).run()
    assert verdict.status == "PASS"
    # integral of 1 kPa sqrt(z / 10 m) over 0.2 m x 10 m
    np.testing.assert_allclose(
        verdict.result["wind"].applied, (1000 * 0.2 * 10 * 2 / 3, 0, 0), rtol=1e-3, atol=1e-6
    )
    assert dtw.Requirement.from_dict(verdict.rows[0].requirement.to_dict()) == verdict.rows[0].requirement


def test_contributing_lists_the_rooms_in_the_order_that_is_tested():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.split("| row | room |")[1].split("\n\n")[0]
    assert tuple(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == ROWS


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_commands_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"`?make (\w+)", (ROOT / page).read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
