"""Rainflow of one history: ours beside pyLife and fatpack, in turn, each run in a process of its own.

    python benchmarks/rainflow.py --peer-python PYTHON [--rounds 5] [--samples 2000000]

PYTHON has pyLife and fatpack. Cycles are compared before anything is timed; compiling and importing are told
apart. Prints a Markdown table: median seconds of processor time, samples per second, ratio to ours in the
same round.
"""

from __future__ import annotations

import argparse
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


def run(python: str, name: str, kind: str, samples: int, seed: int) -> dict[str, Any]:
    """One process: what it counted and the seconds of it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "-c", HISTORY + CONTENDERS[name] + REPORT, kind, str(samples), str(seed)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name} did not run:\n{done.stderr[-800:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", required=True, help="an interpreter with pyLife and fatpack")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=2_000_000)
    options = parser.parse_args()
    print("| history | contender | cycles | seconds | samples/s | times ours |")
    print("|---|---|---:|---:|---:|---:|")
    for kind in ("white", "band"):
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
        for seed in range(options.rounds):
            for name in CONTENDERS:
                python = sys.executable if name == "designtwin" else options.peer_python
                rounds[name].append(run(python, name, kind, options.samples, seed))
            ours, *others = (rounds[name][-1] for name in CONTENDERS)
            for name, other in zip(list(CONTENDERS)[1:], others):
                same = all(
                    abs(ours[k] - other[k]) <= 1e-9 * abs(ours[k]) for k in ("cycles", "sum", "largest")
                )
                if not same:
                    raise SystemExit(f"{name} counts otherwise: {other} beside {ours}")
        for name, found in rounds.items():
            seconds = statistics.median(f["seconds"] for f in found)
            ratio = statistics.median(
                f["seconds"] / own["seconds"] for f, own in zip(found, rounds["designtwin"])
            )
            print(
                f"| {kind} | {name} | {found[0]['cycles']:,} | {seconds:.4f} | "
                f"{options.samples / seconds:.3g} | "
                f"{ratio:.2f} |"
            )


if __name__ == "__main__":
    main()
