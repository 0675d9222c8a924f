"""Rainflow of one history: ours beside pyLife and fatpack, in turn, each run in a process of its own.

Cycles are compared before anything is timed; importing and compiling are no part of it. Processor time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from typing import Any

HISTORY = """
import json, sys, time
import numpy as np
kind, n, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(seed)
history = rng.normal(size=n)
if kind == "band":  # of 1 to 50 Hz, sampled 20 times faster than its highest frequency
    spectrum = np.fft.rfft(history)
    f = np.fft.rfftfreq(n, 1e-3)
    history = np.fft.irfft(np.where((f > 1.0) & (f < 50.0), spectrum, 0.0), n)
"""
REPORT = """
def timed(count, *first):
    begin = time.process_time()
    count(first[0])
    warm = time.process_time() - begin
    begin = time.process_time()
    ranges = count(history)
    print(json.dumps({"seconds": time.process_time() - begin, "first": warm, "cycles": len(ranges),
                      "sum": float(np.sort(ranges).sum()), "largest": float(ranges.max())}))
timed(count, history[:1000])
"""
CONTENDERS = {
    "designtwin": """
import designtwin as dtw
def count(history):
    counter = dtw.Rainflow()
    counter.push(history)
    return counter.cycles("none").range
""",
    "pyLife": """
from pylife.stress.rainflow import FourPointDetector, FullRecorder
def count(history):
    recorder = FullRecorder()
    FourPointDetector(recorder=recorder).process(history, flush=True)
    return np.abs(np.asarray(recorder.values_from) - np.asarray(recorder.values_to))
""",
    "fatpack": """
import fatpack
def count(history):
    turns = np.flatnonzero(np.diff(np.sign(np.diff(history)))) + 1
    reversals = history[np.concatenate([[0], turns, [len(history) - 1]])]
    cycles, residue = fatpack.find_rainflow_cycles(reversals)
    return np.abs(np.diff(cycles, axis=1)).ravel()
""",
}


ROUNDS = 5
SAMPLES = 2_000_000


def measure(session: Any) -> None:
    """Rounds of all in turn; a line for each history."""
    import run

    options = session.options
    if any(line.get("part") == "rainflow" for line in session.lines) and options.again is None:
        return
    samples = SAMPLES // 10 if options.quick else SAMPLES
    for kind in ("white", "band"):
        names = list(CONTENDERS)
        seconds: dict[str, list[float]] = {name: [] for name in names}
        absent: dict[str, str] = {}
        counted: dict[str, Any] = {}
        for seed in range(2 if options.quick else ROUNDS):
            for name in names:
                if name in absent:
                    continue
                found = _counted(options.peer_python, name, kind, samples, seed)
                if "why" in found:
                    absent[name] = found["why"]
                    continue
                seconds[name].append(found["seconds"])
                counted[name] = found
            for name, other in counted.items():
                same = all(
                    abs(counted["designtwin"][k] - other[k]) <= 1e-9 * abs(other[k])
                    for k in ("cycles", "sum", "largest")
                )
                assert same, f"{name} counts otherwise: {other} beside {counted['designtwin']}"
        line = {
            "part": "rainflow",
            "name": kind,
            "samples": samples,
            "cycles": counted["designtwin"]["cycles"],
            "cpu_seconds": seconds,
            "absent": absent,
            "case": f"rainflow-{kind}",
            "contender": "",
            "threads": 1,
            "round": 0,
            "status": "ok",
            "loaded": bool(options.loaded),
            **session.stated,
        }
        told = ", ".join(f"{name} {statistics.median(of):.4f} s" for name, of in seconds.items() if of)
        print(f"rainflow       {kind}: {told}", flush=True)
        run.add(options.results, line)
        session.lines.append(line)


def _counted(peer: str, name: str, kind: str, samples: int, seed: int) -> dict[str, Any]:
    """What one process counted and the seconds of it; why not, where it did not run."""
    done = subprocess.run(
        [
            sys.executable if name == "designtwin" else peer,
            "-c",
            HISTORY + CONTENDERS[name] + REPORT,
            *map(str, (kind, samples, seed)),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode:
        assert name != "designtwin", done.stderr[-800:]
        return {"why": (done.stderr.splitlines() or ["no word"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
