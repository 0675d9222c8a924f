"""The command line: what it prints and, above all, how it exits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from builders import box

import designtwin
from designtwin import cli
from designtwin.io import write_mesh

PART = """\
requirements = ['{requirement}']
[mesh]
file = "bar.msh"
length_unit = "mm"
[materials]
body = "S355"
[[supports]]
type = "FixedSupport"
on = "xmin"
[[cases.lift]]
type = "Force"
on = "xmax"
value = ["0 N", "0 N", "-250 N"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("parts")
    write_mesh(box("tetra10", (4, 1, 1), (0.2, 0.02, 0.02)), path / "bar.msh")
    flat = box("tetra", 1, shape=lambda x: x * [1.0, 1.0, 0.0])
    write_mesh(flat, path / "flat.msh")
    for name, requirement in (
        ("pass", 'mass() <= "1 kg"'),
        ("fail", 'mass() <= "0.1 kg"'),
        ("unsure", 'displacement("xmax") <= "0.2427 mm"'),
        ("broken", 'mass() <= "1 m"'),
    ):
        (path / f"{name}.toml").write_text(PART.format(requirement=requirement))
    free = PART.format(requirement='mass() <= "1 kg"').replace(
        '[[supports]]\ntype = "FixedSupport"\non = "xmin"\n', ""
    )
    (path / "free.toml").write_text(free)
    return path


def run(*args):
    return cli.main([str(arg) for arg in args])


def command(*args, **options):
    return subprocess.run(
        [sys.executable, "-m", "designtwin", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


@pytest.mark.parametrize(
    ("name", "code"), [("pass", 0), ("fail", 1), ("broken", 3), ("free", 3), ("missing", 3)]
)
def test_run_exits_by_its_verdict(folder, capsys, name, code):
    assert run("run", folder / f"{name}.toml") == code
    out = capsys.readouterr()
    assert ("strength test" in out.out) == (code < 3)
    assert out.err.startswith("designtwin: ") == (code == 3)
    assert "Traceback" not in out.err


def test_run_exits_2_when_it_cannot_tell(folder, capsys):
    assert run("run", folder / "pass.toml", "--json", "-") == 0
    value = designtwin.read_design(folder / "unsure.toml").run()[0].rows[0].value
    assert value.error > 0.0
    text = (folder / "unsure.toml").read_text().replace("0.2427 mm", f"{value.value * 1e3!r} mm")
    (folder / "even.toml").write_text(text)
    assert run("run", folder / "even.toml") == 2
    assert "CANNOT TELL" in capsys.readouterr().out


def test_json_goes_where_it_is_asked(folder, capsys, tmp_path):
    assert run("run", folder / "fail.toml", "--json", "-") == 1
    data = json.loads(capsys.readouterr().out)  # nothing else on standard output
    assert data["status"] == "FAIL"
    assert data["verdicts"][0]["requirements"][0]["requirement"] == "mass ≤ 0.1 kg"
    assert run("run", folder / "fail.toml", "--json", tmp_path / "new" / "out.json") == 1
    written = json.loads((tmp_path / "new" / "out.json").read_text())
    for one in (data, written):  # the clock aside
        one["verdicts"][0]["checks"].pop("seconds")
    assert written == data
    assert "FAIL" in capsys.readouterr().out


def test_pictures_and_report_are_asked_of_the_edge(folder, capsys, tmp_path, monkeypatch):
    from designtwin import edge

    seen = []

    def draw(verdict, name, screenshot):
        screenshot.write_text(name)

    monkeypatch.setattr(edge, "plot_verdict", draw)
    monkeypatch.setattr(edge, "report", lambda verdict, path: seen.append(path))
    assert (
        run(
            "run",
            folder / "pass.toml",
            "--pictures",
            tmp_path / "pics",
            "--report",
            tmp_path / "a" / "r.html",
        )
        == 0
    )
    names = ["von_mises.png", "safety_factor.png", "displacement.png"]
    assert sorted(path.name for path in (tmp_path / "pics").iterdir()) == sorted(names)
    assert seen == [tmp_path / "a" / "r.html"]
    assert (tmp_path / "a").is_dir()


def test_check_grades_a_mesh(folder, capsys):
    assert run("check", folder / "bar.msh", "--length-unit", "mm") == 0
    assert "tetra10" in capsys.readouterr().out
    assert run("check", folder / "bar.msh", "--length-unit", "mm", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["mesh"]["cells"] == {"tetra10": 24}
    assert data["mesh"]["groups"]["xmin"]["facets"] == 2
    assert data["check"]["grade"] in ("ok", "warn")
    assert data["mesh"]["extents"]["high"] == pytest.approx([0.2, 0.02, 0.02])


@pytest.mark.parametrize(
    ("file", "unit", "says"),
    [
        ("flat.msh", "mm", "flat"),
        ("none.msh", "mm", "no such file"),
        ("pass.toml", "mm", ".toml"),
        ("bar.msh", "kg", "kg"),
    ],
)
def test_what_cannot_be_computed_with_is_broken(folder, capsys, file, unit, says):
    assert run("check", folder / file, "--length-unit", unit) == 3
    out = capsys.readouterr()
    assert says in out.out + out.err
    assert "Traceback" not in out.err


@pytest.mark.parametrize(
    "args",
    [[], ["bogus"], ["run"], ["run", "a", "b"], ["check", "x.msh"], ["run", "--bogus", "x"], ["--bogus"]],
)
def test_wrong_usage_is_4(args, capsys):
    assert run(*args) == 4
    assert "Usage" in capsys.readouterr().err


def test_help_and_version_are_0(capsys):
    assert run("--help") == 0
    assert "Exit codes: 0 PASS" in " ".join(capsys.readouterr().out.split())
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == designtwin.__version__
    assert run("run", "--help") == 0


def test_a_crash_is_4_and_owned(folder, capsys, monkeypatch):
    def crash(*args, **options):
        raise ZeroDivisionError("by surprise")

    monkeypatch.setattr("designtwin.prototype.read_design", crash)
    assert run("run", folder / "pass.toml") == 4
    err = capsys.readouterr().err
    assert "by surprise" in err
    assert "our mistake" in err


def test_an_interrupt_is_4(folder, capsys, monkeypatch):
    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("designtwin.prototype.read_design", stop)
    assert run("run", folder / "pass.toml") == 4
    assert "interrupted" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_4(folder, capsys):
    blocked = folder / "bar.msh" / "out.json"  # a file is no folder
    assert run("run", folder / "pass.toml", "--json", blocked) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_materials_are_listed_with_their_sources(capsys):
    assert run("materials") == 0
    out = capsys.readouterr().out
    assert "S355" in out
    assert "355 MPa" in out
    assert run("materials", "S355") == 0
    assert "EN 10025" in capsys.readouterr().out
    assert run("materials", "S356") == 3
    assert "S355" in capsys.readouterr().err


def test_demo_is_called_by_name(monkeypatch, tmp_path):
    from types import ModuleType

    seen = []
    module = ModuleType("designtwin.demo")
    module.main = seen.append
    monkeypatch.setitem(sys.modules, "designtwin.demo", module)
    assert run("demo", "--out", tmp_path) == 0
    assert seen == [tmp_path]


# --- in processes of their own -----------------------------------------------------------------------------


def test_the_process_exits_as_main_says(folder):
    for name, code in (("pass", 0), ("fail", 1), ("broken", 3)):
        done = command("run", folder / f"{name}.toml")
        assert done.returncode == code, done.stderr
    assert command("bogus").returncode == 4


def test_a_console_without_unicode_still_gets_its_verdict(folder):
    import os

    done = command("run", folder / "pass.toml", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "PASS" in done.stdout


def test_a_reader_that_leaves_is_no_crash(folder):
    first = subprocess.Popen(
        [sys.executable, "-m", "designtwin", "materials"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    first.stdout.close()
    _, err = first.communicate(timeout=60)
    assert first.returncode == 4
    assert b"Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_control_c_stops_with_4(folder):
    # A job in the background inherits an ignored interrupt; a terminal's does not.
    waits = "import signal, sys, time; signal.signal(signal.SIGINT, signal.default_int_handler); "
    waits += "from designtwin import cli, prototype; "
    waits += "prototype.read_design = lambda f: (print('ready', flush=True), time.sleep(60)); "
    waits += "sys.exit(cli.main(['run', 'x.toml']))"
    process = subprocess.Popen(
        [sys.executable, "-c", waits], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip() == "ready"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 4
    assert "interrupted" in err


def test_the_command_line_starts_fast():
    # Nothing heavy before it is known what is asked.
    code = (
        "import sys; from designtwin import cli; cli.main(['--version']); "
        "print(sorted({'numba', 'pint', 'vtk', 'pyvista', 'scipy', 'numpy'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"


def test_what_is_unchanged_is_not_solved_again_and_the_cache_can_be_told_to_forget(folder, capsys, tmp_path):
    part, kept = folder / "fail.toml", tmp_path / "kept"
    outs = []
    for _ in range(2):
        assert run("run", part, "--cache", kept, "--json", "-") == 1
        outs.append(capsys.readouterr())
    assert outs[0].out == outs[1].out  # its time, too, is that of the analysis
    assert "not solved again" not in outs[0].err
    assert outs[1].err == "strength test of fail: unchanged since it was last run, not solved again\n"
    assert run("run", part, "--cache", kept, "--no-cache") == 4
    assert "contradict each other" in capsys.readouterr().err
    assert run("cache", "--cache", kept, "--json") == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["verdicts"], info["results"], info["folder"]) == (1, 1, str(kept))
    assert run("cache", "info", "--cache", kept) == 0
    assert "1 verdict, 1 result" in capsys.readouterr().out
    assert run("cache", "clear", "--cache", kept) == 0
    assert capsys.readouterr().out == f"2 entries removed from {kept}\n"
    assert run("cache", "cleer", "--cache", kept) == 4
    assert "neither info nor clear" in capsys.readouterr().err


def test_a_run_uses_the_cache_that_the_environment_names(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("DESIGNTWIN_CACHE", str(tmp_path))
    assert run("run", folder / "pass.toml") == 0
    assert len(list(tmp_path.glob("*.verdict"))) == 1
    assert run("run", folder / "pass.toml", "--no-cache") == 0
    assert "not solved again" not in capsys.readouterr().err
    monkeypatch.setenv("DESIGNTWIN_CACHE", "off")
    assert run("run", folder / "pass.toml") == 0
    assert run("cache") == 3
    assert "switched off" in capsys.readouterr().err


def test_what_is_broken_is_told_as_json_too(folder, capsys, tmp_path):
    assert run("run", folder / "broken.toml", "--json", "-") == 3
    out = capsys.readouterr()
    data = json.loads(out.out)
    assert data["status"] == "BROKEN"
    assert f"designtwin: {data['error']}\n" == out.err
    # what an earlier run said of the file is not left standing
    (tmp_path / "out.json").write_text('{"status": "PASS"}')
    assert run("run", folder / "free.toml", "--json", tmp_path / "out.json") == 3
    assert json.loads((tmp_path / "out.json").read_text())["status"] == "BROKEN"


def test_pictures_are_there_all_or_none(folder, tmp_path, monkeypatch, capsys):
    from designtwin import edge
    from designtwin.errors import PictureError

    def draw(verdict, name, screenshot):
        if name == "displacement":
            raise PictureError("no more ink")
        screenshot.write_text(name)

    monkeypatch.setattr(edge, "plot_verdict", draw)
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "mine.png").write_text("kept")
    assert run("run", folder / "pass.toml", "--pictures", tmp_path / "pics") == 4
    out = capsys.readouterr()
    assert [path.name for path in (tmp_path / "pics").iterdir()] == ["mine.png"]
    assert "strength test of pass: PASS" in out.out  # what could be told is
    assert "no more ink" in out.err
    assert "Traceback" not in out.err


def test_a_report_that_could_not_be_written_is_told_before_anything_is_solved(folder, capsys, monkeypatch):
    from designtwin.report import browser

    assert run("run", folder / "pass.toml", "--report", "page.doc") == 4
    out = capsys.readouterr()
    assert "a page is .html, or .pdf" in out.err
    monkeypatch.setattr(browser, "find_browser", lambda: None)
    assert run("run", folder / "pass.toml", "--report", "page.pdf") == 4
    told = capsys.readouterr()
    assert "none is installed" in told.err
    assert out.out == told.out == ""
