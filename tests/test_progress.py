"""Progress is seen by who watches and by nobody else."""

import logging
import os
import subprocess
import sys

import pytest

from designtwin import progress
from designtwin.progress import track

SCRIPT = """
import time
from designtwin.progress import track
with track("study [a]", total=2) as study:
    for i in range(2):
        study.step(f"evaluation {i}")
        with track("strength test", total=1) as test:
            test.step("factorize [b]")
            time.sleep(0.3)
print("rich" in __import__("sys").modules)
"""


def run_in_terminal(**environment):
    pty = pytest.importorskip("pty")  # not on Windows
    keep = {k: v for k, v in os.environ.items() if k not in ("CI", "DESIGNTWIN_QUIET")}
    master, slave = pty.openpty()
    env = {**keep, "TERM": "xterm", "COLUMNS": "120", **environment}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=slave, env=env, timeout=60
    )
    os.close(slave)
    os.set_blocking(master, False)
    seen = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except (BlockingIOError, OSError):
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    return done.stdout.decode().strip(), seen.decode()


def test_a_terminal_sees_the_steps_and_keeps_one_line():
    out, seen = run_in_terminal()
    assert out == "True"
    assert "strength test" in seen
    assert "factorize [b]" in seen
    assert seen.count("✓") == 1, "the inner tracks leave no line"


@pytest.mark.parametrize("environment", [{"CI": "true"}, {"DESIGNTWIN_QUIET": "1"}])
def test_silence_where_asked_for(environment):
    out, seen = run_in_terminal(**environment)
    assert (out, seen) == ("False", "")


def test_zero_does_not_mean_quiet():
    assert "strength test" in run_in_terminal(CI="0", DESIGNTWIN_QUIET="0")[1]


def test_without_a_terminal_the_steps_are_logged(capfd, caplog):
    with caplog.at_level(logging.DEBUG, logger="designtwin.progress"), track("check", total=2) as bar:
        bar.step("read")
        bar.step("grade")
        assert bar.done == 1.0, "the second step is under way, not done"
    assert bar.done == 2.0
    assert capfd.readouterr() == ("", "")
    assert "check: read" in caplog.text
    assert "check: done" in caplog.text


def test_a_crash_closes_the_display_and_passes_on(caplog):
    with caplog.at_level(logging.INFO, logger="designtwin.progress"):
        with pytest.raises(ZeroDivisionError), track("solve"):
            _ = 1 / 0
        assert "solve: stopped" in caplog.text
    assert progress._stage.depth == 0


def test_a_notebook_gets_one_line_rewritten(monkeypatch):
    lines = []

    class Handle:
        def update(self, line):
            lines.append(repr(line))

    def display(line, *, display_id):
        lines.append(repr(line))
        return Handle()

    from IPython import display as module

    monkeypatch.setattr(module, "display", display)
    monkeypatch.setattr(progress, "watcher", lambda: "notebook")
    monkeypatch.setattr(progress, "_REDRAW", 0.0)
    monkeypatch.setattr(progress, "_WORTH_A_LINE", 0.0)
    with track("study", total=4) as study:
        study.step("evaluation 1")
        study.step("evaluation 2")
        with track("strength test"):
            pass
    assert "study 25% · evaluation 2" in lines
    assert "study 25% · evaluation 2  ›  strength test" in lines
    assert lines[-1].startswith("✓ study")
