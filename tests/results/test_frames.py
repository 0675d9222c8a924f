"""A store of instants: gives back what it got, from memory or disk, after any kill, and costs little."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from surroundings import FULL

from designtwin.errors import DesignTwinError, StoreError
from designtwin.io import files
from designtwin.results import Frames, case_folder
from designtwin.results import frames as module

N = 57


def temperature(i: int, n: int = N):
    return np.random.default_rng(i).normal(300.0, 10.0, n)


def held(i: int, n: int = N):
    """Mostly zero; the pattern of zeros changes at instants 5 and 11."""
    out = np.zeros(n)
    out[[3, 8]] = np.random.default_rng(i + 1000).normal(size=2)
    if i >= 5:
        out[17] = i
    if i >= 11:
        out[20:] = -float(i)
    return out


def fill(frames: Frames, start: int, stop: int) -> None:
    for i in range(start, stop):
        frames.append(0.1 * i, temperature(i), held=held(i), applied=float(i), odd=np.inf if i == 2 else 0.25)


def holds(frames: Frames, count: int) -> None:
    assert len(frames) == count
    assert_array_equal(frames.times, 0.1 * np.arange(count))
    for i in range(count):
        assert_array_equal(frames.temperature(i), temperature(i))
        assert_array_equal(frames.array(i, "held"), held(i))
        assert_array_equal(frames.array(i, "held", np.array([3, 17, 30])), held(i)[[3, 17, 30]])
        assert frames.get(i, "applied") == float(i)
    assert not count or frames.series("odd").tolist() == [np.inf if i == 2 else 0.25 for i in range(count)]
    assert not count or frames.names == ("temperature", "held", "applied", "odd")


@pytest.fixture(params=["memory", "spilled", "folder"])
def frames(request, tmp_path, monkeypatch):
    if request.param == "spilled":
        monkeypatch.setattr(module, "MEMORY", 3000)
    return Frames.create(tmp_path / "store" if request.param == "folder" else None, "key")


def test_instants_come_back_digit_by_digit(frames):
    fill(frames, 0, 40)
    holds(frames, 40)
    assert_array_equal(frames.temperature(-1), temperature(39))
    frames.finish()
    holds(frames, 40)


def test_after_a_checkpoint_a_run_goes_on_as_if_nothing_had_happened(frames):
    fill(frames, 0, 9)
    u = np.random.default_rng(7).normal(size=(3, N))
    frames.checkpoint(u=u, size=0.1 + 0.2, steps=9)
    fill(frames, 9, 20)
    state = frames.load()
    assert_array_equal(state["u"], u)
    assert state["size"] == 0.1 + 0.2
    assert state["steps"] == 9
    holds(frames, 9)
    fill(frames, 9, 25)
    holds(frames, 25)


def test_without_a_checkpoint_a_run_begins_again(frames):
    fill(frames, 0, 7)
    assert frames.load() is None
    assert len(frames) == 0
    fill(frames, 0, 12)
    holds(frames, 12)


def test_memory_is_left_for_files_that_go_with_the_object(monkeypatch):
    monkeypatch.setattr(module, "MEMORY", 3000)
    frames = Frames.create(None, "key")
    frames.append(0.0, temperature(0), held=held(0))
    assert not frames.on_disk
    for i in range(1, 40):
        frames.append(0.1 * i, temperature(i), held=held(i))
    assert frames.on_disk
    folder = frames._folder
    assert folder.is_dir()
    del frames
    assert not folder.exists()


def test_mostly_zero_arrays_cost_what_is_not_zero():
    n = 10_000
    frames = Frames.create(None, "key")
    some = np.zeros(n)
    some[:10] = 1.0
    for i in range(32):
        frames.append(float(i), np.ones(n), held=some)
    assert 8 * n * 32 <= frames.bytes < 1.05 * 8 * n * 32


def test_files_are_plain_npy_that_anyone_reads(tmp_path):
    frames = Frames.create(tmp_path / "s", "key")
    fill(frames, 0, 4)
    frames.finish()
    block = np.load(tmp_path / "s" / "temperature.000000.npy")
    assert_array_equal(block[2], temperature(2))
    index = json.loads((tmp_path / "s" / "index.json").read_text())
    assert index["times"] == [0.0, 0.1, 0.2, 0.1 * 3]
    assert index["scalars"]["odd"][2] == "inf"  # JSON has no such number


def test_another_process_reads_what_was_written(tmp_path):
    frames = Frames.create(tmp_path / "s", "key")
    fill(frames, 0, 20)
    frames.checkpoint()
    fill(frames, 20, 22)
    holds(Frames.open(tmp_path / "s"), 20)  # while the run goes on
    frames.finish()
    holds(Frames.open(tmp_path / "s", "key"), 22)


WRITING = ("checkpoint", "_write_index", "_sweep", "atomic", "_file", "put", "create", "_take", "load")


def run_until_killed(path: Path, line: int) -> int:
    """Write in a forked process that is killed at the n-th line of what changes files; its exit status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    left = [line]

    def trace(frame, event, _):
        where = frame.f_code
        if where.co_filename not in (module.__file__, files.__file__) or where.co_name not in WRITING:
            return None
        left[0] -= event == "line"
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    module._CHUNK, module._ROWS = 8 * N * 4, 4  # many files, so that kills meet the change of one
    os.fsync = lambda _: None  # a kill, other than a power cut, leaves to the system what was written
    sys.settrace(trace)
    try:
        frames = Frames.resume(path, "key")
        state = frames.load()
        start = 0 if state is None else int(state["next"])
        for i in range(start, start + 7):
            fill(frames, i, i + 1)
            if i % 3 == 2:
                frames.checkpoint(next=i + 1, u=temperature(i))
        frames.finish()
    finally:
        os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_line_leaves_a_store_that_reads_and_goes_on(tmp_path):
    reached, whole = 0, 0
    for line in range(1, 640, 1 if FULL else 17):
        path = tmp_path / str(line)
        for again in (line, 1 + (5 * line) % 600):  # killed in a first run, and in the one that goes on
            whole += not os.WIFSIGNALED(run_until_killed(path, again))
            if (path / "index.json").exists():
                seen = Frames.open(path, "key")  # as it is, before anyone repairs it
                holds(seen, len(seen))
        frames = Frames.resume(path, "key")
        state = frames.load()
        if state is not None:
            assert_array_equal(state["u"], temperature(int(state["next"]) - 1))
            reached = max(reached, int(state["next"]))
        holds(frames, 0 if state is None else int(state["next"]))
        assert not [file for file in path.iterdir() if file.name.startswith(".")], "half-written files stay"
        frames.finish()
    assert reached > 7
    assert whole > 0, "kills did not reach to the end of a run"


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from test_frames import *
from designtwin.results import frames as module
module._CHUNK, module._ROWS = 8 * N * 4, 4     # many files, so that many kills meet the change of one
frames = Frames.resume({path!r}, "key")
state = frames.load()
start = 0 if state is None else int(state["next"])
holds(frames, start) if start else None
print("go", flush=True)
for i in range(start, 100_000):
    fill(frames, i, i + 1)
    if i % 3 == 2:
        frames.checkpoint(next=i + 1, u=temperature(i))
"""


def test_a_kill_at_any_moment_leaves_a_store_that_reads_and_goes_on(tmp_path):
    path = tmp_path / "s"
    code = WRITER.format(tests=str(Path(__file__).parent), path=str(path))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    rng = np.random.default_rng(5)
    reached = 0
    for _ in range(12 if FULL else 2):
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
        ) as run:
            assert run.stdout.readline() == b"go\n", run.stderr.read().decode()
            time.sleep(float(rng.uniform(0.02, 0.3)))
            run.send_signal(signal.SIGKILL)
            run.wait()
        seen = Frames.open(path, "key")  # as it is, before anyone repairs it
        assert len(seen) >= reached
        holds(seen, len(seen))
        frames = Frames.resume(path, "key")
        state = frames.load()
        if state is not None:
            assert_array_equal(state["u"], temperature(int(state["next"]) - 1))
            reached = int(state["next"])
            holds(frames, reached)
        left = {p.name for p in path.iterdir()}
        assert not [name for name in left if name.startswith(".")], "half-written files stay behind"
        frames.finish()
        del frames
    assert reached > 0


def test_one_run_writes_at_a_time(tmp_path):
    path = tmp_path / "s"
    code = f"""
import sys, time
from designtwin.results import Frames
frames = Frames.create({str(path)!r}, "key")
print("go", flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as run:
        assert run.stdout.readline() == b"go\n"
        with pytest.raises(StoreError, match=rf"another run \(process {run.pid}\) is writing"):
            Frames.resume(path, "key")
        run.stdin.write(b"\n")
        run.stdin.close()
        run.wait()
    Frames.resume(path, "key").finish()


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(StoreError, match=r"no results over time: there is no index\.json"):
        Frames.open(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="is not empty"):
        Frames.resume(tmp_path / "a", "key")
    assert (tmp_path / "a" / "notes.txt").read_text() == "mine"
    path = tmp_path / "s"
    frames = Frames.create(path, "key")
    fill(frames, 0, 6)
    frames.checkpoint(u=temperature(0))
    frames.finish()
    with pytest.raises(StoreError, match="another computation"):
        Frames.resume(path, "other")
    with pytest.raises(StoreError, match="no 'pressure' over time; there are: temperature, held"):
        frames.array(0, "pressure")
    (path / "checkpoint.npz").write_bytes(b"PK nonsense")
    with pytest.raises(StoreError, match=r"checkpoint\.npz: damaged"):
        Frames.resume(path, "key").load()
    file = path / "temperature.000000.npy"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(StoreError, match=r"temperature\.000000\.npy.*cannot be read|damaged"):
        Frames.open(path).temperature(0)
    for text in ("{", "[]", '{"format": "other"}', '{"format": "designtwin frames 1"}'):
        (path / "index.json").write_text(text)
        with pytest.raises(StoreError, match=r"damaged|is no index"):
            Frames.open(path)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    frames = Frames.create(tmp_path / "s", "key")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module._Column, "put", full)
    with pytest.raises(StoreError, match="No space left on device; free the disk"):
        frames.append(0.0, temperature(0))
    assert len(frames) == 0


def test_names_of_cases_become_folders_of_their_own(tmp_path):
    names = ["full power", "full_power", "Full_power", "a/b", "a\\b", "..", "lift", "LIFT", "ü"]
    folders = [case_folder(tmp_path, name) for name in names]
    assert len({str(f).lower() for f in folders}) == len(names)
    assert all(f.parent == tmp_path and f.name not in ("", ".", "..") for f in folders)
    assert case_folder(tmp_path, "lift") == tmp_path / "lift"
    assert case_folder(None, "lift") is None


@settings(max_examples=60 if FULL else 15, deadline=None)
@given(data=st.data())
def test_any_arrays_come_back(data):
    n = data.draw(st.integers(0, 9))
    values = st.floats(allow_nan=False) | st.just(-0.0) | st.just(0.0)
    rows = data.draw(st.lists(st.lists(values, min_size=n, max_size=n), min_size=1, max_size=25))
    frames = Frames.create(None, "key")
    for i, row in enumerate(rows):
        frames.append(float(i), np.zeros(1), x=np.array(row))
    for i, row in enumerate(rows):
        assert_array_equal(frames.array(i, "x"), np.array(row))


def test_checkpoints_are_due_only_as_often_as_they_are_worth(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.clock, "monotonic", lambda: now[0])
    frames = Frames.create(tmp_path / "s", "key")
    assert not frames.due
    now[0] += 5.1
    assert frames.due

    def slow():
        now[0] += 1.0

    monkeypatch.setattr(frames, "flush", slow)
    frames.checkpoint()
    now[0] += 39.0
    assert not frames.due  # one second of it a minute ago: no more than a fortieth of the run goes into them
    now[0] += 1.5
    assert frames.due


def test_writing_is_a_small_share_of_stepping(tmp_path):
    """100 instants of 200,000 nodes; the issue's run of them takes 5.8 s at best."""
    n = 200_000
    T, some = temperature(0, n), held(0, n)
    frames = Frames.create(tmp_path / "s", "key")
    spent = []
    for i in range(100 if FULL else 20):
        start = time.perf_counter()
        frames.append(float(i), T, held=some, applied=1.0)
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.03 * 0.058  # the least, as others use this machine too
    frames.finish()


def test_errors_are_of_the_family():
    assert issubclass(StoreError, DesignTwinError)
