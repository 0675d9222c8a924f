"""What goes wrong from outside: hangs, numbers that are none, a store that cannot be written, Ctrl-C."""

import contextlib
import math
import os
import runpy
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
from surroundings import FULL
from test_variants import THICKNESSES, strip, study, told

import designtwin as dtw
from designtwin.study import evaluate, variants

# Time


def test_a_build_that_hangs_is_a_failed_design_and_the_search_goes_around_it():
    hangs = []

    def build(values, mesh):
        if abs(values["thickness"] - 4e-3) > 0.2e-3 and not hangs:
            hangs.append(values["thickness"])  # where the search goes first
        if values["thickness"] in hangs:
            with contextlib.suppress(Exception):  # a build may catch what it likes
                time.sleep(60.0)
        return strip(values, mesh)

    study().run(max_analyses=2)  # what is compiled when first used is not what is timed
    best = replace(study(build), time_limit="3 s").run()
    (late,) = [e for e in best.history.evaluations if e.failure]
    assert late.tries == 1
    assert late.failure == "OutOfTime: it took longer than the study's time_limit of 3 s"
    assert 1.6e-3 <= best.values["thickness"] < 1.02 * 1.6e-3
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_worker_that_cannot_stop_is_ended_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "_GRACE", 0.3)
    me = os.getpid()

    def build(values, mesh):
        if os.getpid() != me and values["thickness"] == 2e-3:  # as in compiled code, which hears nothing
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            time.sleep(60.0)
        return strip(values, mesh)

    study().run(max_analyses=1)  # workers find what is compiled
    one = replace(study(build, store=tmp_path), time_limit=5.0)
    found = one.variants(THICKNESSES[1:4], workers=2)
    (late,) = found.failed
    assert late.values == {"thickness": 2e-3}
    assert "time_limit of 5 s, and the worker that did not stop was ended" in late.failure
    with closing(one.open_store()) as kept:
        assert len(kept) == 3


@pytest.mark.parametrize("wrong", ["0 s", -1, "2 mm", math.inf])
def test_a_time_limit_that_is_none_is_told(wrong):
    with pytest.raises(dtw.DesignTwinError, match="time"):
        replace(study(), time_limit=wrong)


# Numbers that are none


@dataclass(frozen=True, kw_only=True)
class Odd(dtw.Quantity):
    """The thickness, but not a number where it is small."""

    needs: ClassVar[str] = "model"
    dimension: ClassVar[str] = "length"
    below: float
    instead: float

    @property
    def label(self):
        return "odd thickness"

    def by_case(self, model):
        t = float(getattr(model, "model", model).cell_scale()[0])
        t = t if t >= self.below else self.instead
        return [dtw.Value.between(t, t, t)]


@pytest.mark.parametrize("instead", [math.nan, math.inf, -math.inf])
def test_an_objective_that_is_no_number_is_a_failed_design_and_never_the_best(instead):
    one = replace(study(), minimize=Odd(below=3e-3, instead=instead))
    best = one.run(max_analyses=30)
    failed = [e for e in best.history.evaluations if e.failure]
    assert failed
    assert all("odd thickness is" in e.failure for e in failed)
    assert 3e-3 <= best.values["thickness"] < 3.05e-3


def test_a_requirement_that_is_no_number_is_a_failed_design():
    odd = Odd(below=3e-3, instead=math.nan) >= "1 mm"
    best = study(tests=lambda m: [dtw.StrengthTest(m, requirements=[odd])]).run(max_analyses=30)
    assert any("odd thickness is not a number" in e.failure for e in best.history.evaluations)
    assert best.values["thickness"] >= 3e-3


def test_a_start_that_is_no_number_says_which():
    with pytest.raises(dtw.StudyError, match="odd thickness is nan"):
        replace(study(), minimize=Odd(below=1.0, instead=math.nan)).run()
    with pytest.raises(dtw.StudyError, match="odd thickness is inf at the start"):
        study().pareto(dtw.mass(), Odd(below=1.0, instead=math.inf))


@pytest.mark.parametrize("answer", [None, "a model", (1, 2)])
def test_a_build_that_answers_with_no_model_is_told(answer):
    with pytest.raises(dtw.StudyError, match="build must return a Model"):
        study(lambda values, mesh: answer).run()


# The store


def test_a_store_of_a_study_with_other_variables_is_refused_and_kept(tmp_path):
    study(store=tmp_path).variants(THICKNESSES[:2], workers=1)
    other = {"thickness": dtw.variable("1 mm", "6 mm", start="4 mm")}
    with pytest.raises(dtw.StudyError, match="whose variables differ"):
        study(store=tmp_path, variables=other).run()
    with closing(study(store=tmp_path).open_store()) as kept:
        assert len(kept) == 2


@pytest.mark.parametrize("pragma", ["query_only = ON", "max_page_count = 1"])
def test_a_disk_that_is_full_or_read_only_in_the_middle_loses_nothing_found_before(
    tmp_path, monkeypatch, pragma
):
    from designtwin.study.store import Store

    add, added = Store.add, []

    def failing(self, found):
        if len(added) == 4:
            self._db.execute(f"PRAGMA {pragma}")
            if "page" in pragma:
                found = replace(found, purpose="x" * 100_000)
        add(self, found)
        added.append(found)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add", failing)
        with pytest.raises(
            dtw.StudyError, match=r"cannot keep an evaluation.*(full|readonly).*goes on from it"
        ):
            study(store=tmp_path).run()
    best = study(store=tmp_path).run()
    whole = study().run()
    assert best.values == whole.values
    assert len(best.history) == len(whole.history)


def test_a_file_that_is_no_store_is_told(tmp_path):
    (tmp_path / "study.sqlite").write_bytes(b"what a torn disk leaves " * 100)
    with pytest.raises(dtw.StudyError, match="cannot keep the study"):
        study(store=tmp_path).run()


# Ctrl-C

# A job in the background inherits an ignored interrupt; a terminal's does not.
SCRIPT = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:0] = {paths!r}
import designtwin as dtw
from test_variants import STRIP, strength, strip

def build(values, mesh):
    with open({log!r}, "a") as log:
        log.write(f"{{os.getpid()}}\\n")
    time.sleep(float(os.environ["PAUSE"]))
    return strip(values, mesh)

study = dtw.Study(
    build=build, mesh=STRIP, variables={{"thickness": dtw.variable("1 mm", "5 mm", start="4 mm")}},
    tests=lambda m: strength(m), minimize=dtw.mass(), store={store!r},
)
workers = int(os.environ["WORKERS"])
designs = [{{"thickness": 1e-3 + 1e-4 * i}} for i in range(12)]
stretch = dtw.displacement("xmax", "x")
answer = {what}
"""
WAYS = {
    "run": "study.run().history.evaluations",
    "sample": "study.sample(12, method='lhs', workers=workers).evaluations",
    "pareto": "study.pareto(dtw.mass(), stretch, points=4, workers=workers).evaluations",
    "variants": "study.variants(designs, workers=workers).evaluations",
}


def script(folder, way):
    here = Path(__file__).resolve().parent
    folder.mkdir()
    names = {"log": str(folder / "log"), "store": str(folder / "store"), "what": WAYS[way]}
    (folder / "study_script.py").write_text(SCRIPT.format(paths=[str(here), str(here.parent)], **names))
    return str(folder / "study_script.py")


def pids(folder):
    log = folder / "log"
    return [int(one) for one in log.read_text().split()] if log.exists() else []


def alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes")
@pytest.mark.parametrize("way", WAYS if FULL else ["sample"])
def test_ctrl_c_stops_at_once_leaves_nobody_behind_and_loses_nothing(tmp_path, way, monkeypatch):
    path = script(tmp_path / "one", way)
    process = subprocess.Popen(
        [sys.executable, path], env=os.environ | {"PAUSE": "0.15", "WORKERS": "2"}, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 120.0
    while len(pids(tmp_path / "one")) < 8 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    start = time.monotonic()
    said = process.communicate(timeout=60.0)[1]
    assert time.monotonic() - start < 20.0
    assert process.returncode == -signal.SIGINT
    assert said.count("Traceback") == 1  # workers say nothing
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert not [pid for pid in set(pids(tmp_path / "one")) if alive(pid)]
    store = next((tmp_path / "one" / "store").rglob("study.sqlite"))
    with closing(sqlite3.connect(store)) as kept:
        before = kept.execute("SELECT COUNT(*) FROM evaluation").fetchone()[0]
    assert before >= 2
    monkeypatch.setenv("PAUSE", "0")
    monkeypatch.setenv("WORKERS", "1")
    resumed = [told(e) for e in runpy.run_path(path)["answer"]]
    assert resumed == [told(e) for e in runpy.run_path(script(tmp_path / "other", way))["answer"]]


@pytest.mark.skipif(not FULL, reason="starts processes")
@pytest.mark.parametrize(("killed", "words"), [("scheduler", "is gone"), ("worker", "has had no worker")])
def test_a_dask_cluster_that_goes_loses_no_finished_design(tmp_path, monkeypatch, killed, words):
    pytest.importorskip("distributed")
    monkeypatch.setattr(variants, "_ALONE", 2.0)
    here = Path(__file__).resolve().parent
    paths = os.pathsep.join((str(here), str(here.parent), str(here.parent.parent)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"

    def started(what, *options):
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *options, "--no-dashboard"]
        return subprocess.Popen(
            command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, stderr=subprocess.DEVNULL
        )

    def slow(values, mesh):
        time.sleep(0.2)
        return strip(values, mesh)

    processes = {
        "scheduler": started("scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2])
    }
    processes["worker"] = started("worker", address, "--no-nanny", "--nthreads", "1")
    one = study(slow, store=tmp_path / "store")

    def found():
        with closing(sqlite3.connect(tmp_path / "store" / "study.sqlite")) as kept:
            return kept.execute("SELECT COUNT(*) FROM evaluation").fetchone()[0]

    def kill():
        until = time.monotonic() + 60.0
        while time.monotonic() < until:
            time.sleep(0.1)
            with contextlib.suppress(sqlite3.Error):
                if found() >= 3:
                    break
        processes[killed].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(dtw.StudyError, match=rf"{words}.* of 40 designs were finished.*the same call"):
            one.sample(40, cluster=address)
    finally:
        killer.join()
        for process in processes.values():
            process.kill()
            process.wait()
    assert 3 <= found() < 40


def test_an_alarm_that_is_swallowed_rings_again(monkeypatch):
    """What is raised within a callback of the garbage collector goes nowhere."""

    def build():
        with contextlib.suppress(BaseException):
            time.sleep(30.0)
        time.sleep(30.0)

    monkeypatch.setattr(evaluate, "_RING", 0.05)
    with pytest.raises(evaluate.OutOfTime, match="time_limit"), evaluate.within(0.05):
        build()
