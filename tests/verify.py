"""Every test at its full count, file by file: ``make verify``, with ``JOBS=2`` two files at a time.

By hand: ``python -m tests.verify [--jobs 2] [path ...]``.

A run that was interrupted goes on where it stopped, as long as no source changed. When all files have passed,
what was run is written to ``tests/verification/RECORD.json``, which is committed with a release.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out" / "verify"
RECORD = ROOT / "tests" / "verification" / "RECORD.json"
SEED = 20240229
"""Of the generated examples; seeds of a test's own stand in the test."""
SOURCES = ("designtwin", "tests", "meshes", "notebooks", "benchmarks")
LIMIT = 3600  # s per file


def main(wanted: list[str]) -> int:
    """Run what has not passed yet; 0 if everything asked for has passed, 1 if not, 130 when interrupted."""
    jobs = 1
    if wanted[:1] == ["--jobs"]:
        if len(wanted) < 2 or not wanted[1].isdigit() or int(wanted[1]) < 1:
            print("--jobs wants a number of files to run at once, as in --jobs 2", file=sys.stderr)
            return 1
        jobs, wanted = int(wanted[1]), wanted[2:]
    OUT.mkdir(parents=True, exist_ok=True)
    state_file = OUT / "state.json"
    state: dict[str, Any] = {"sources": fingerprint(), "files": {}}
    if state_file.exists():
        known = json.loads(state_file.read_text(encoding="utf-8"))
        if known["sources"] == state["sources"]:
            state = known
    everything = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests").rglob("test_*.py"))
    files = [f for f in everything if not wanted or any(f.startswith(w.rstrip("/")) for w in wanted)]
    if not files:
        print(f"no test file under {' '.join(wanted)}", file=sys.stderr)
        return 1
    failed = []
    heads = {name: f"[{number}/{len(files)}] {name:<44}" for number, name in enumerate(files, 1)}
    for name in files:
        if name in state["files"]:
            print(f"{heads[name]} passed before: {said(state['files'][name])}", flush=True)
    left = [name for name in files if name not in state["files"]]
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(run, name): name for name in left}
        try:
            for done in as_completed(running):
                name, outcome = running[done], done.result()
                if outcome["failed"]:
                    failed.append(name)
                    where = log_of(name).relative_to(ROOT)
                    print(f"{heads[name]} FAILED: {said(outcome)}; see {where}", flush=True)
                    continue
                print(f"{heads[name]} {said(outcome)}", flush=True)
                state["files"][name] = outcome
                part = state_file.with_suffix(".part")
                part.write_text(json.dumps(state, indent=1), encoding="utf-8")
                part.replace(state_file)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            print("interrupted; run it again to go on from here")
            return 130
    state["files"] = {name: state["files"][name] for name in everything if name in state["files"]}
    if failed:
        print(f"{len(failed)} of {len(files)} files failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    if set(everything) <= set(state["files"]):
        if fingerprint() != state["sources"]:
            print("sources changed while this ran; nothing is recorded, run it again", file=sys.stderr)
            return 1
        record = recorded(state)
        RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"all passed: {said(record['total'])}; recorded in {RECORD.relative_to(ROOT)}")
    return 0


def run(name: str) -> dict[str, Any]:
    """Run one test file with full counts: numbers of tests, seconds, what the tests recorded."""
    report = log_of(name).with_suffix(".xml")
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", name, "-q", "-rs", f"--junitxml={report}"]
    command += [f"--hypothesis-seed={SEED}", "-p", "no:cacheprovider"]
    start = time.perf_counter()
    with open(log_of(name), "w", encoding="utf-8") as log:
        environment = {**os.environ, "DESIGNTWIN_VERIFY": "1"}
        try:
            code = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, timeout=LIMIT
            ).returncode
        except subprocess.TimeoutExpired:
            print(f"\nstopped after {LIMIT} s", file=log)
            code = 1
    outcome: dict[str, Any] = {"passed": 0, "failed": 0, "skipped": 0}
    outcome["seconds"] = round(time.perf_counter() - start, 1)
    recorded: dict[str, Any] = {}
    reasons = set()
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        kinds = {child.tag for child in case}
        word = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        outcome[word] += 1
        reasons |= {child.get("message", "") for child in case.iter("skipped")}
        for one in case.iter("property"):
            recorded[f"{case.get('name')}: {one.get('name')}"] = one.get("value")
    if reasons:
        outcome["skipped because"] = sorted(reasons)
    if recorded:
        outcome["recorded"] = recorded
    if code != 0 and not outcome["failed"]:
        outcome["failed"] = 1  # a crash leaves no report
    return outcome


def recorded(state: dict[str, Any]) -> dict[str, Any]:
    """What a reader needs to judge the run, and to repeat it."""
    files = state["files"]
    total = {key: sum(f[key] for f in files.values()) for key in ("passed", "failed", "skipped", "seconds")}
    total["seconds"] = round(total["seconds"], 1)
    packages = ("numpy", "numba", "scipy", "meshio", "pyvista", "vtk", "matplotlib", "pint", "hypothesis")
    return {
        "what": "all tests at full counts: make verify",
        "commit": git("rev-parse", "HEAD"),
        "commit is what ran": git("status", "--porcelain", "--untracked-files=no") == "",
        "sources": state["sources"],
        "date": time.strftime("%Y-%m-%d"),
        "seed of generated examples": SEED,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: version(name) for name in packages},
        "total": total,
        "files": files,
    }


def fingerprint() -> str:
    """Hash of all that a test's outcome depends on in this folder."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix not in (".pyc", ".nbi", ".nbc") and path != RECORD:
                digest.update(str(path.relative_to(ROOT)).encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def git(*words: str) -> str:
    """What git says, or nothing where there is no git."""
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def log_of(name: str) -> Path:
    """Where the output of a test file goes."""
    return OUT / (name.removeprefix("tests/").removesuffix(".py").replace("/", "-") + ".log")


def said(outcome: dict[str, Any]) -> str:
    """Counts in words."""
    parts = [f"{outcome[key]} {key}" for key in ("passed", "failed", "skipped") if outcome[key]]
    return f"{', '.join(parts) or 'no tests'} in {outcome['seconds']:.0f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
