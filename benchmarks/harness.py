"""Frame of every benchmark: each contender in a process of its own, phases, peak memory, JIT apart, JSON out.

A contender is a function ``run(case, phase) -> answer`` in a ``bench_*.py``; ``with phase("solve"):`` times
a part of it. Every contender runs once to compile and load (told apart as ``first``), then ``repeat``
times, interleaved with the others so that a busy machine treats all alike. Ratios are medians of pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
Contender = Callable[[dict[str, Any], Callable[[str], Any]], dict[str, float]]
PACKAGES = ("designtwin", "numpy", "scipy", "numba", "scikit-fem", "pyamg")


class Phases:
    """Wall and CPU seconds by phase."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall
        self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - cpu


def _rss() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def _serve(contenders: Mapping[str, Contender]) -> None:
    """Worker: one JSON line in (what to run), one out (what it took)."""
    for line in sys.stdin:
        task = json.loads(line)
        phases, before = Phases(), _rss()
        answer = contenders[task["contender"]](task["case"], phases)
        report = {
            "wall": phases.wall, "cpu": phases.cpu, "answer": answer,
            "rss_before_mib": before, "rss_peak_mib": _rss(),
        }  # fmt: skip
        print(json.dumps(report), flush=True)


def _ask(worker: subprocess.Popen[str], task: dict[str, Any]) -> dict[str, Any]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(task) + "\n")
    worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"{task['contender']} died on {task['case']}")
    return dict(json.loads(line))


def machine(threads: int) -> dict[str, Any]:
    """What the figures were measured on."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(), "cores": os.cpu_count(), "threads": threads,
        "machine": platform.machine(), "versions": versions,
    }  # fmt: skip


def main(
    name: str, contenders: Mapping[str, Contender], cases: Sequence[dict[str, Any]], *, reference: str
) -> None:
    """Run all contenders on all cases, print a table, write JSON.

    Parameters
    ----------
    name : str
        Of the benchmark; names the JSON file.
    contenders : mapping of name to function
        The first is ours.
    cases : sequence of dict
        Each with a ``"title"``.
    reference : str
        Key of the answer that all contenders must agree on to 1e-4.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="timed runs of each contender")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", type=int, action="append", help="number of a case; all without it")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the JSON")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(contenders)
        return
    environment = dict(os.environ)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        environment[variable] = str(options.threads)
    results = []
    ours = next(iter(contenders))
    for number, case in enumerate(cases):
        if options.case and number not in options.case:
            continue
        workers = {
            key: subprocess.Popen(
                [sys.executable, sys.argv[0], "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True, env=environment,
            )
            for key in contenders
        }  # fmt: skip
        runs: dict[str, list[dict[str, Any]]] = {}
        try:
            first = {k: _ask(w, {"contender": k, "case": case}) for k, w in workers.items()}
            for _ in range(options.repeat):
                for key, worker in workers.items():
                    runs.setdefault(key, []).append(_ask(worker, {"contender": key, "case": case}))
        finally:
            for worker in workers.values():
                worker.stdin.close()  # type: ignore[union-attr]
                worker.wait()
        answers = {key: one["answer"][reference] for key, one in first.items()}
        for value in answers.values():
            if abs(value - answers[ours]) > 1e-4 * abs(answers[ours]):
                raise SystemExit(
                    f"{case['title']}: {reference} differs: {answers}; timing wrong answers is idle"
                )
        print(f"\n{case['title']}   (n_dof {first[ours]['answer']['n_dof']:.0f}, {options.threads} thread)")
        total = {k: [sum(run["wall"].values()) for run in r] for k, r in runs.items()}
        for key in contenders:
            phases = "  ".join(
                f"{p} {statistics.median(run['wall'][p] for run in runs[key]):.2f}"
                for p in runs[key][0]["wall"]
            )
            ratio = statistics.median(a / b for a, b in zip(total[key], total[ours], strict=True))
            extra = sum(first[key]["wall"].values()) - statistics.median(total[key])
            memory = first[key]["rss_peak_mib"] - first[key]["rss_before_mib"]
            print(
                f"  {key:<22} {statistics.median(total[key]):7.2f} s  {ratio:6.2f} x   {phases}   "
                f"[first run +{max(extra, 0.0):.1f} s, +{memory:.0f} MiB]"
            )
            results.append(
                {"benchmark": name, "case": case, "contender": key, "first": first[key], "runs": runs[key],
                 "ratio_to_ours": ratio}
            )  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{name}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"machine": machine(options.threads), "results": results}, indent=1))
    os.replace(temporary, path)
    print(f"\nwritten: {path}")
