"""A motion over time that is stopped goes on with the same digits, also after kill -9."""

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
from designtwin.errors import StoreError
from designtwin.results.frames import Frames

RAMP = [(0.0, 0.0), (4e-4, 1.0), (1.0, 1.0)]


def beam() -> dtw.Model:
    return dtw.Model(
        box("tetra10", (4, 1, 1), (0.2, 0.03, 0.02)),
        materials={"body": dtw.LinearElastic(youngs_modulus=70e9, poissons_ratio=0.3, density=2700.0)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "tip": [dtw.Force(on="xmax", value=(0.0, 0.0, 100.0))],
            "top": [dtw.Pressure(on="zmax", magnitude=1e4)],
        },
    )


def digits(case: dtw.DynamicsCase) -> dict[str, bytes]:
    """All that is kept of a motion."""
    names = case.stored.names
    kept = {
        name: b"".join(np.asarray(case.stored.get(i, name)).tobytes() for i in range(len(case.times)))
        for name in names
    }
    return kept | {"times": case.times.tobytes(), "errors": case.steps.errors.tobytes()}


class Stop(Exception):
    """Raised in the middle of a run."""


@pytest.mark.parametrize(
    "options",
    [{"method": "generalized-alpha", "step": "20 us"}, {"method": "Newmark", "tolerance": 2e-3}],
    ids=["fixed steps", "own steps"],
)
@pytest.mark.parametrize("solver", [None, dtw.MultigridCG()], ids=["factors", "multigrid"])
def test_a_stopped_motion_goes_on_digit_by_digit(monkeypatch, tmp_path, options, solver):
    monkeypatch.setattr(Frames, "due", property(lambda self: True))
    model, push = beam(), dtw.force_history("tip", RAMP)

    def run(store=None):
        return dtw.solve_dynamics(model, push, duration="0.47 ms", store=store, solver=solver, **options)

    whole = run()
    append = Frames.append
    last = len(whole.times) - 1
    for after in range(1, last + 1, 4) if FULL else (last // 2, last - 1):
        store = tmp_path / str(after)

        def failing(self, at, temperature, _after=after, **more):
            if len(self) >= _after:
                raise Stop
            append(self, at, temperature, **more)

        with monkeypatch.context() as patch:
            patch.setattr(Frames, "append", failing)
            with pytest.raises(Stop):
                run(store)
        again = run(store)
        assert digits(again) == digits(whole)
        assert digits(run(store)) == digits(whole), "a complete one is read"


def test_a_store_of_another_motion_is_refused(tmp_path):
    part = beam()
    modes = dtw.solve_modes(part, count=4).modes
    push = dtw.force_history("tip", RAMP)
    more = {"modes": modes, "duration": "1 ms", "store": tmp_path}
    first = dtw.solve_dynamics(part, push, damping="2 %", **more)
    assert digits(dtw.solve_dynamics(part, push, damping="2 %", **more)) == digits(first)
    with pytest.raises(StoreError):
        dtw.solve_dynamics(part, push, damping="3 %", **more)
    with pytest.raises(StoreError):
        dtw.solve_dynamics(part, dtw.force_history("top", RAMP), damping="2 %", **more)


@pytest.mark.skipif(not FULL, reason="kill -9 in a process of its own: make verify")
def test_a_killed_motion_goes_on(tmp_path):
    code = (
        "import test_motion_restart as t, designtwin as dtw\n"
        "from designtwin.results.frames import Frames\n"
        "Frames.due = property(lambda self: True)\n"
        "dtw.solve_dynamics(t.beam(), dtw.force_history('tip', t.RAMP), duration='8 ms', step='5 us',"
        f" method='Newmark', store={str(tmp_path)!r})\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})
    index = tmp_path / "motion" / "checkpoint.npz"
    while not index.exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    more = {"duration": "8 ms", "step": "5 us", "method": "Newmark"}
    again = dtw.solve_dynamics(beam(), dtw.force_history("tip", RAMP), store=tmp_path, **more)
    assert digits(again) == digits(dtw.solve_dynamics(beam(), dtw.force_history("tip", RAMP), **more))
