"""Parts tested by pytest: the verdict is the message, and nothing is loaded before it is asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from builders import box
from test_cli import PART

from designtwin.io import write_mesh

ROOT = Path(__file__).parents[1]
TESTS = """\
def test_sound(design):
    assert design("sound.toml").passes()

def test_weak(design):
    assert design("weak.toml").passes()

def test_unsure(design):
    assert design("unsure.toml").passes(), "in words of the test"

def test_not_readable(design):
    assert design("broken.toml").passes()

def test_not_there(design):
    assert design("sond.toml").passes()

def test_known_to_be_weak(design):
    assert not design("weak.toml").passes()

def test_no_part_at_all():
    assert 1 == 2

def test_an_assertion_beside_a_sound_part(design):
    assert design("sound.toml").passes()
    assert 3 == 4
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """What pytest prints of `TESTS`, by the name of the test."""
    folder = tmp_path_factory.mktemp("tested")
    parts = folder / "parts"
    parts.mkdir()
    write_mesh(box("tetra10", (4, 1, 1), (0.2, 0.02, 0.02)), parts / "bar.msh")
    for name, requirement in (
        ("sound", 'mass() <= "1 kg"'),
        ("weak", 'mass() <= "0.1 kg"'),
        ("unsure", 'displacement("xmax") <= "0.23 mm"'),
        ("broken", 'mass() <= "1 m"'),
    ):
        (parts / f"{name}.toml").write_text(PART.format(requirement=requirement))
    (parts / "test_parts.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "designtwin.pytest_plugin", "-p", "no:cacheprovider", "parts"],
        cwd=folder,  # paths are those beside the test, wherever pytest stands
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "DESIGNTWIN_CACHE": str(folder / "kept")},
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(list((folder / "kept").glob("*.verdict"))) == 3  # each part was solved once
    failures = done.stdout.split("short test summary info")[0]
    sections = re.split(r"^_{3,} (test_\w+) _{3,}$", failures, flags=re.MULTILINE)
    return {"": done.stdout} | dict(zip(sections[1::2], sections[2::2], strict=True))


def test_what_surely_holds_passes_and_the_rest_does_not(out):
    assert "6 failed, 2 passed" in out[""]
    assert "test_sound" not in out
    assert "test_known_to_be_weak" not in out


def test_a_failing_part_shows_its_verdict_as_the_message(out):
    table = out["test_weak"]
    assert re.search(r"^E +AssertionError: strength test of weak: FAIL$", table, re.MULTILINE)
    assert re.search(r"^E +mass ≤ 0.1 kg +0.628 kg +-528 % +FAIL$", table, re.MULTILINE)


def test_what_cannot_be_told_fails_with_its_reason(out):
    told = out["test_unsure"]
    assert "strength test of unsure: CANNOT TELL" in told
    assert "E       CANNOT TELL: the limit 0.23 mm lies within" in told
    assert "in words of the test" in told


def test_a_broken_file_fails_with_its_line_and_no_traceback(out):
    told = out["test_not_readable"]
    assert "broken.toml, line 1: limit of mass: '1 m' is a length" in told
    assert "Traceback" not in told
    assert "Error" not in told
    assert "did you mean 'sound.toml'" in out["test_not_there"]


def test_other_assertions_are_left_alone(out):
    assert "strength test" not in out["test_no_part_at_all"]
    assert "strength test" not in out["test_an_assertion_beside_a_sound_part"]
    assert "assert 3 == 4" in out["test_an_assertion_beside_a_sound_part"]


def test_pytest_finds_the_plugin():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert callable(import_module(stated["designtwin"]).design)


def test_the_plugin_costs_nothing_where_no_design_is_asked_for():
    code = (
        "import sys, pytest, designtwin.pytest_plugin; "
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('designtwin', 'numpy', 'numba')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['designtwin', 'designtwin.pytest_plugin']"
