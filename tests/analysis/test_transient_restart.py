"""A transient run that is stopped goes on with the same digits, also after kill -9 and on other threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from builders import box
from surroundings import FULL

import designtwin as dtw
from designtwin import parallel
from designtwin.errors import StoreError
from designtwin.results import frames as frames_module
from designtwin.results.frames import Frames

RUNS = {
    "own steps": {"tolerance": 0.3},
    "BDF2": {"step": 2.5},
    "Crank-Nicolson": {"step": 2.5, "method": "Crank-Nicolson"},
    "Crank-Nicolson, own steps": {"tolerance": 0.3, "method": "Crank-Nicolson"},
}


def part(kind: str = "linear", power: float = 60.0, n: int = 2) -> dtw.Model:
    """A block heated in ramps; nonlinear by k(T), c(T) and radiation; plain data, so that it has a hash."""
    linear = kind == "linear"
    k = 20.0 if linear else dtw.table(over="temperature", at=[200.0, 900.0], values=[15.0, 30.0])
    c = 500.0 if linear else dtw.table(over="temperature", at=[200.0, 350.0, 900.0], values=[450, 500, 650])
    loads: list[object] = [
        dtw.HeatFlow(on="ymin", total=dtw.table(over="time", at=[0, 20, 30, 500], values=[0, power, -5, -5])),
        dtw.Convection(on="xmax", coefficient=80.0, ambient=320.0),
    ]
    if not linear:
        loads.append(dtw.Radiation(on="ymax", emissivity=0.8, ambient="250 K"))
    return dtw.Model(
        box("tetra10", n, (0.05, 0.04, 0.03), distort=0.2, seed=3),
        materials={"body": dtw.LinearElastic(conductivity=k, specific_heat=c, density=7000.0)},
        supports=[dtw.FixedTemperature(on="xmin", value=300.0)],
        load_cases={"full power": loads},
    )


def run(model: dtw.Model, store: Path | None = None, **options: object) -> object:
    return dtw.solve_transient(model, duration=50.0, initial=300.0, store=store, **options)["full power"]


def digits(case: object) -> dict[str, bytes]:
    """All that is kept of a run, as bytes."""
    kept = {
        name: b"".join(np.asarray(case.stored.get(i, name)).tobytes() for i in range(len(case.stored)))
        for name in case.stored.names
    }
    others = {
        "times": case.times, "error bound": case.time_error, "sizes": case.steps.sizes,
        "errors": case.steps.errors, "rejected": case.steps.rejected, "imbalance": case.imbalance,
        "residual": case.residual,
    }  # fmt: skip
    return kept | {name: np.asarray(value).tobytes() for name, value in others.items()}


def same(one: object, other: object) -> None:
    a, b = digits(one), digits(other)
    assert a.keys() == b.keys()
    assert not [name for name in a if a[name] != b[name]]


class Stop(Exception):
    """Raised in the middle of a run."""


@pytest.fixture
def eager(monkeypatch):
    """A checkpoint after every step."""
    monkeypatch.setattr(Frames, "due", property(lambda self: True))


def stopped(monkeypatch, model: dtw.Model, store: Path, after: int, **options: object) -> None:
    """Run until so many instants are kept, and end there without warning."""
    append = Frames.append

    def failing(self, at, temperature, **more):
        if len(self) >= after:
            raise Stop
        append(self, at, temperature, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Frames, "append", failing)
        with pytest.raises(Stop):
            run(model, store, **options)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("kind", ["linear", "nonlinear"] if FULL else ["nonlinear"])
@pytest.mark.parametrize("how", RUNS)
def test_a_stopped_run_goes_on_digit_by_digit(monkeypatch, tmp_path, kind, how):
    options = RUNS[how]
    whole = run(part(kind), **options)
    last = len(whole.stored) - 1
    for after in sorted({1, 2, 5, last // 2, last}) if FULL else (2, last // 2):
        store = tmp_path / str(after)
        stopped(monkeypatch, part(kind), store, after, **options)
        again = run(part(kind), store, **options)
        same(whole, again)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_levels_made_anew_give_the_same_digits(monkeypatch, tmp_path, kind):
    """Multigrid, whose set-up outlives many steps: it is made again as it was, also on other threads."""
    model, options = part(kind, n=4), {"tolerance": 1.0, "solver": dtw.MultigridCG()}
    whole = run(model, **options)
    assert "multigrid" in whole.info.solver
    assert whole.steps.setups < 0.5 * len(whole.steps)
    for after in (4, len(whole.stored) // 2, len(whole.stored) - 2) if FULL else (len(whole.stored) // 2,):
        store = tmp_path / str(after)
        with parallel.use_threads(1):
            stopped(monkeypatch, model, store, after, **options)
        same(whole, run(model, store, **options))


@pytest.mark.usefixtures("eager")
def test_a_run_stopped_many_times_goes_on(monkeypatch, tmp_path):
    options = RUNS["own steps"]
    whole = run(part("nonlinear"), **options)
    for after in range(2, len(whole.stored) - 1, 3 if FULL else 9):
        stopped(monkeypatch, part("nonlinear"), tmp_path, after, **options)
    same(whole, run(part("nonlinear"), tmp_path, **options))


def test_what_was_kept_after_the_last_checkpoint_is_done_again(monkeypatch, tmp_path):
    """Checkpoints are seldom: instants beyond the last are dropped and come back the same."""
    options = RUNS["own steps"]
    whole = run(part(), **options)
    monkeypatch.setattr(Frames, "due", property(lambda self: len(self) % 4 == 0))
    stopped(monkeypatch, part(), tmp_path, 11, **options)
    taken = []
    append = Frames.append
    monkeypatch.setattr(
        Frames, "append", lambda self, at, T, **more: (taken.append(at), append(self, at, T, **more))[1]
    )
    same(whole, run(part(), tmp_path, **options))
    assert len(taken) == len(whole.stored) - 8


@pytest.mark.usefixtures("eager")
def test_threads_may_change_on_the_way(monkeypatch, tmp_path):
    options = RUNS["own steps"]
    with parallel.use_threads(2):
        whole = run(part("nonlinear"), **options)
        stopped(monkeypatch, part("nonlinear"), tmp_path, 7, **options)
    with parallel.use_threads(1):
        same(whole, run(part("nonlinear"), tmp_path, **options))


def test_a_complete_run_is_read_and_not_done_again(monkeypatch, tmp_path):
    whole = run(part(), tmp_path, **RUNS["own steps"])
    kept = digits(whole)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a step was taken")

    monkeypatch.setattr(Frames, "append", never)
    again = run(part(), tmp_path, **RUNS["own steps"])
    assert digits(again) == kept


def test_another_computation_does_not_go_on_there(tmp_path):
    run(part(), tmp_path, step=10.0)
    for model, options in (
        (part(power=61.0), {"step": 10.0}),
        (part(), {"step": 5.0}),
        (part(), {"step": 10.0, "method": "backward Euler"}),
    ):
        with pytest.raises(StoreError, match="another computation"):
            run(model, tmp_path, **options)


SCRIPT = """
import sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import numpy as np
from designtwin.results import frames
frames.Frames.due = property(lambda self: True)
import test_transient_restart as here
append, load = frames.Frames.append, frames.Frames.load
slow = float(sys.argv[4])
def slowly(self, at, temperature, **more):
    time.sleep(slow)
    append(self, at, temperature, **more)
frames.Frames.append = slowly
def told(self):
    state = load(self)
    print("instants", len(self), flush=True)
    return state
frames.Frames.load = told
case = here.run(here.part("nonlinear"), Path(sys.argv[3]), **here.RUNS["own steps"])
np.savez(sys.argv[5], **{k: np.frombuffer(v, np.uint8) for k, v in here.digits(case).items()})
"""


def process(store: Path, slow: float, out: Path) -> subprocess.Popen:
    here = Path(__file__).parent
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(here), str(here.parent), str(store), str(slow), str(out)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_a_killed_process_loses_nothing(tmp_path):
    """kill -9 in the middle of a run, as often as asked; another process ends it."""
    whole = run(part("nonlinear"), **RUNS["own steps"])
    store, out = tmp_path / "store", tmp_path / "out.npz"
    (folder,) = [frames_module.case_folder(store, "full power")]
    rng = np.random.default_rng(5)
    reached = 0
    for _ in range(6 if FULL else 1):
        one = process(store, 0.05, out)
        deadline = time.monotonic() + 120
        while one.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
            if _at_checkpoint(folder) > reached + 2:
                break
        assert one.poll() is None, "ended before it could be killed"
        time.sleep(float(rng.uniform(0.0, 0.1)))
        os.kill(one.pid, signal.SIGKILL)
        one.wait()
        assert one.returncode == -signal.SIGKILL
        reached = _at_checkpoint(folder)
        assert 0 < reached < len(whole.stored)
        if reached > len(whole.stored) - 6:
            break
    last = process(store, 0.0, out)
    said, _ = last.communicate(timeout=120)
    assert last.returncode == 0
    assert f"instants {reached}" in said, (said, reached)  # it went on and did not begin anew
    with np.load(out) as found:
        for name, value in digits(whole).items():
            assert found[name].tobytes() == value, name


def _at_checkpoint(folder: Path) -> int:
    """Instants that the last checkpoint counts; it is replaced whole, so it reads at any time."""
    try:
        with np.load(folder / "checkpoint.npz") as data:
            return int(data["frames:"])
    except FileNotFoundError:
        return 0
