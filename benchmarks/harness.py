"""Frame of every benchmark: one run in a process of its own, phases, CPU, peak memory, one JSON line.

A contender is a file in `contenders/` with

- `NAME`, `SETTINGS` (what a reader must know), `INSTALL` (how to get it), `PACKAGES` (versions are stored);
- `probe()`: raises ImportError where it cannot run;
- `load(case) -> state`: imports and its own mesh, not timed;
- `run(state, phase) -> answer`: ``with phase("assemble"):`` times a part; answer is plain numbers, and under
  `"after"` a function that adds numbers which are not timed (the true residual).

The same file runs under any interpreter that has numpy: `python harness.py task.json`.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGES = ("numpy", "scipy")
MIB = 1024.0


class Phases:
    """Wall and CPU seconds by phase; `turn` waits for other ranks where there are some."""

    def __init__(self, turn: Any = None) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._turn = turn or (lambda: None)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._turn()
        wall, used = time.perf_counter(), cpu()
        yield
        self._turn()
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall
        self.cpu[name] = self.cpu.get(name, 0.0) + cpu() - used


def cpu() -> float:
    """CPU seconds of this process and of children that ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _status(key: str) -> float:
    with open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith(key + ":"):
                return float(line.split()[1]) / MIB
    return 0.0


def rss() -> float:
    """Memory in use now, MiB."""
    try:
        return _status("VmRSS")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def peak() -> float:
    """Most memory in use since `forget_peak`, MiB."""
    try:
        return _status("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def forget_peak() -> None:
    """Count the peak from here on, where the kernel lets us."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def give_back() -> None:
    """Freed memory returned to the system, so that the peak does not hide in what the small case left."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in (*packages, *PACKAGES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _serve(path: Path) -> None:
    """Run one task: warm up on the small case, load the case, run it, write the report."""
    task = json.loads(path.read_text())
    sys.path[:0] = [str(HERE), str(HERE / "contenders")]
    module = importlib.import_module(task["module"])
    report: dict[str, Any] = {}
    try:
        module.probe()
        if task.get("probe"):
            report = {"status": "ok", "versions": _versions(module)}
        else:
            report = _measure(module, task)
    except ImportError as error:
        report = {"status": "missing", "why": str(error)}
    except NotImplementedError as error:
        report = {"status": "skipped", "why": str(error)}
    except Exception as error:
        import traceback

        report = {"status": "failed", "why": f"{type(error).__name__}: {error}"[:500]}
        report["trace"] = traceback.format_exc()[-2000:]
    if report is not None and (getattr(module, "rank", None) is None or module.rank() == 0):
        Path(task["report"]).write_text(json.dumps(report))


def _versions(module: Any) -> dict[str, str]:
    more = module.versions() if hasattr(module, "versions") else {}
    return {**versions(module.PACKAGES), **more}


def _measure(module: Any, task: dict[str, Any]) -> dict[str, Any]:
    import problems

    turn = getattr(module, "turn", None)
    if task.get("warm"):
        small = problems.load(task["warm"], task["warm_path"])
        started = time.perf_counter()
        module.run(module.load({**small, "threads": task["threads"]}), Phases())
        first = time.perf_counter() - started
    else:
        first = 0.0
    gc.collect()
    state = module.load({**problems.load(task["case"], task["path"]), "threads": task["threads"]})
    gc.collect()
    give_back()
    forget_peak()
    phases, before = Phases(turn), rss()
    answer = module.run(state, phases)
    most = peak()
    after = answer.pop("after", None)
    if after is not None:
        answer.update(after())
    report = {
        "status": "ok", "wall": phases.wall, "cpu": phases.cpu, "answer": answer, "warm_up": first,
        "rss_before_mib": before, "rss_peak_mib": most, "versions": _versions(module),
    }  # fmt: skip
    return module.gather(report) if hasattr(module, "gather") else report


def environment(threads: int) -> dict[str, str]:
    """Ours and every library held to so many threads."""
    found = dict(os.environ)
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "DESIGNTWIN", "VECLIB_MAXIMUM"):
        found[f"{name}_{'' if name == 'DESIGNTWIN' else 'NUM_'}THREADS"] = str(threads)
    found.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's second start finds its bytecode
    found.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", PYTHONWARNINGS="ignore")
    return found


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    found, rest = [], [pid]
    while rest:
        one = rest.pop()
        found.append(one)
        try:
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children") as file:
                    rest += [int(word) for word in file.read().split()]
        except OSError:
            continue
    return found


def _memory(pid: int) -> float:
    total = 0.0
    for one in _family(pid):
        try:
            with open(f"/proc/{one}/statm") as file:
                total += int(file.read().split()[1]) * resource.getpagesize() / MIB / MIB
        except OSError:
            continue
    return total


def available() -> float:
    """Memory free for a run, MiB."""
    try:
        with open("/proc/meminfo") as lines:
            found = {line.split(":")[0]: float(line.split()[1]) / MIB for line in lines}
        return found["MemAvailable"]
    except OSError:
        return float("inf")


def run(
    command: list[str], task: dict[str, Any], folder: Path, *, threads: int, seconds: float, memory: float
) -> dict[str, Any]:
    """One task in a process of its own; ended when it takes too long or too much memory (MiB)."""
    folder.mkdir(parents=True, exist_ok=True)
    report, script = folder / "report.json", folder / "task.json"
    report.unlink(missing_ok=True)
    script.write_text(json.dumps({**task, "report": str(report), "threads": threads}))
    log = folder / "log.txt"
    started = time.monotonic()
    pin = None
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[:threads]
        pin = lambda: os.sched_setaffinity(0, cores)  # noqa: E731
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, str(HERE / "harness.py"), str(script)], stdout=output, stderr=output, cwd=folder,
            stdin=subprocess.DEVNULL, env=environment(threads), start_new_session=True, preexec_fn=pin,
        )  # fmt: skip
        why, rounds = "", 0
        try:
            while process.poll() is None:
                time.sleep(0.02 if rounds < 50 else 0.2)
                rounds += 1
                if time.monotonic() - started > seconds:
                    why = f"stopped after {seconds:.0f} s"
                elif rounds % 5 == 0 and _memory(process.pid) > memory:
                    why = f"stopped at {memory / MIB:.1f} GiB"
                if why:
                    break
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if why:
        return {"status": "stopped", "why": why}
    if not report.exists():
        tail = log.read_text(errors="replace").strip().splitlines()[-3:]
        return {"status": "failed", "why": f"exit code {process.returncode}: {' | '.join(tail)}"[:500]}
    return dict(json.loads(report.read_text()))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
