"""All benchmarks in one command: ours beside peers, in turn, each run in a process of its own.

Every run adds a JSON line to the results; what is there already is not run again. At the end the page
(`README.md`, `pictures/`) is made from the lines.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]
import harness  # noqa: E402
import problems  # noqa: E402

ROOT = HERE.parent
RESULTS = HERE / "results.jsonl"


@dataclass(frozen=True)
class Contender:
    """Where it runs, and how large a case it is given (DOFs): above it a run takes minutes or all memory."""

    module: str
    python: str = "peer"
    up_to: int = 400_000
    also: tuple[str, ...] = ()


CONTENDERS = {
    "designtwin": Contender("ours", "own", 20_000_000),
    "ngsolve": Contender("ngsolve_peer", up_to=4_000_000),
    "ngsolve-cg": Contender("ngsolve_cg", up_to=4_000_000),
    "gamg": Contender("gamg", "petsc", 1_500_000),
    "boomeramg": Contender("boomeramg", "petsc", 4_000_000),
    "amgcl": Contender("kratos_peer"),
    "pyamg": Contender("pyamg_peer", up_to=1_100_000),
    "scikit-fem": Contender("skfem_peer"),
    "calculix": Contender("calculix_peer", "own"),
}
AGREE = 1e-4
PARTS = ("views", "startup", "rainflow", "life", "design", "topology", "roofline")


def command_of(name: str, options: argparse.Namespace, threads: int) -> list[str]:
    """How the contender's interpreter is started."""
    python = CONTENDERS[name].python
    if python == "own":
        return [sys.executable]
    if python == "petsc":
        return ["mpiexec", "-n", str(threads), options.petsc_python]
    return [options.peer_python]


def stored(path: Path) -> list[dict[str, Any]]:
    """The lines of earlier runs."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def add(path: Path, line: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def key(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["case"], line["contender"], line["threads"], line["round"]


def commit() -> str:
    """Of the source that ran; with a plus where files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "designtwin") else "")


def machine() -> str:
    """Processor, cores and memory in a line."""
    model = "unknown processor"
    try:
        with open("/proc/cpuinfo") as lines:
            model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
        gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except OSError:
        gib = 0.0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {gib:.0f} GiB"


class Session:
    """One call of the command: what is left of its time, what is installed, where lines go."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.ends = time.monotonic() + 60 * options.minutes
        self.lines = stored(options.results)
        self.done = {key(line) for line in self.lines if self._counts(line)}
        self.stated = {"commit": commit(), "machine": machine()}
        self.absent: dict[str, str] = {}
        self.scratch = options.cache / "runs"

    def _counts(self, line: dict[str, Any]) -> bool:
        """Whether a stored line makes a new run needless."""
        if self.options.again is not None and (
            not self.options.again or line["contender"] in self.options.again
        ):
            return False
        return line["status"] != "missing" and (self.options.loaded or not line.get("loaded"))

    @property
    def left(self) -> float:
        return self.ends - time.monotonic()

    def probe(self, names: Sequence[str]) -> None:
        """Which contenders can run here; the others are named with how to get them."""
        for name in names:
            task = {"module": CONTENDERS[name].module, "probe": True}
            try:
                found = harness.run(
                    command_of(name, self.options, 1),
                    task,
                    self.scratch / name,
                    threads=1,
                    seconds=60,
                    memory=8000,
                )
            except FileNotFoundError as error:
                found = {"status": "missing", "why": f"no {error.filename}"}
            if found["status"] != "ok":
                self.absent[name] = found.get("why", "")
                hint = _install(name)
                print(
                    f"skipped: {name}: {self.absent[name]}" + (f"; to have it: {hint}" if hint else ""),
                    flush=True,
                )

    def one(self, case: problems.Case, name: str, threads: int, turn: int) -> dict[str, Any] | None:
        """Run one contender once; its line, or None where there is nothing to do."""
        options = self.options
        wanted = (case.name, name, threads, turn)
        if wanted in self.done or name in self.absent or case.n_dof > CONTENDERS[name].up_to * options.reach:
            return None
        if self.left < 30:
            return None
        warm = problems.warm_up(case)
        task = {
            "module": CONTENDERS[name].module, "case": asdict(case), "warm": asdict(warm),
            "path": str(problems.prepare(case, options.cache, options.meshes)),
            "warm_path": str(problems.prepare(warm, options.cache, options.meshes)),
        }  # fmt: skip
        free = harness.available()
        line = {
            "case": case.name, "contender": name, "threads": threads, "round": turn,
            "time": datetime.now(UTC).isoformat(timespec="seconds"), "load_average": os.getloadavg()[0],
            "loaded": bool(options.loaded), **self.stated,
        }  # fmt: skip
        print(f"{case.name:<14} {name:<11} {threads} thr  round {turn} ", end="", flush=True)
        nice = ["nice", "-n", "10"] if options.nice else []
        line |= harness.run(
            [*nice, *command_of(name, options, threads)], task, self.scratch / name, threads=threads,
            seconds=min(options.limit, self.left), memory=0.92 * free,
        )  # fmt: skip
        self._judge(line)
        self._say(line)
        if line["status"] == "stopped" and self.left < 5:
            return None  # our time was up, not the contender's
        line.pop("trace", None)
        add(options.results, line)
        self.lines.append(line)
        self.done.add(wanted)
        return line

    def _judge(self, line: dict[str, Any]) -> None:
        """A wrong answer is not a time."""
        if line["status"] != "ok":
            return
        right = next(
            (x["answer"]["largest"] for x in reversed(self.lines)
             if x["case"] == line["case"] and x["contender"] == "designtwin" and x["status"] == "ok"), None,
        )  # fmt: skip
        value = line["answer"]["largest"]
        if right is not None and not abs(value - right) <= AGREE * abs(right):
            line["status"], line["why"] = "wrong", f"largest is {value:.6g}, ours {right:.6g}"

    @staticmethod
    def _say(line: dict[str, Any]) -> None:
        if line["status"] != "ok":
            print(f"{line['status']}: {line.get('why', '')}", flush=True)
            return
        wall, answer = sum(line["wall"].values()), line["answer"]
        memory = answer.get("rss_process_mib", line["rss_peak_mib"] - line["rss_before_mib"])
        print(
            f"{wall:8.2f} s wall {sum(line['cpu'].values()):8.2f} s CPU {memory:7.0f} MiB  "
            f"{answer['iterations']:4d} its  residual {answer.get('residual', 0):.0e}  "
            f"largest {answer['largest']:.6e}",
            flush=True,
        )


def _install(name: str) -> str:
    sys.path.append(str(HERE / "contenders"))
    from importlib import import_module

    return str(import_module(CONTENDERS[name].module).INSTALL)


def solve_all(session: Session, chosen: Sequence[problems.Case]) -> None:
    """Case by case, round by round, the contenders in turn."""
    options = session.options
    for case in chosen:
        names = [n for n in case.peers if not options.only or n in options.only]
        for turn in range(options.rounds):
            for threads in case.threads:
                if options.threads and threads not in options.threads:
                    continue
                for name in names:
                    if threads == 1 and name not in problems.FEW:
                        continue
                    if turn and name != "designtwin" and not _again(session, case.name, name, threads):
                        continue
                    session.one(case, name, threads, turn)
        if session.left < 30:
            print("time is up; the same command goes on from here", flush=True)
            return


def _again(session: Session, case: str, name: str, threads: int) -> bool:
    """Whether an earlier round of the contender was short enough to repeat."""
    rounds = [x for x in session.lines if (x["case"], x["contender"], x["threads"]) == (case, name, threads)]
    good = [x for x in rounds if x["status"] == "ok"]
    return bool(good) and sum(good[-1]["wall"].values()) <= session.options.patience


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_ = made.add_argument
    add_("--quick", action="store_true", help="cases up to 130,000 DOF, one round: minutes")
    add_("--table", action="store_true", help="only make the page from the stored lines")
    add_("--case", action="append", default=[], help="only cases whose name begins so; may be repeated")
    add_("--only", action="append", default=[], help="only this contender; may be repeated")
    add_(
        "--again",
        nargs="*",
        default=None,
        metavar="NAME",
        help="run again though lines are there; of these contenders, or of all",
    )
    add_("--threads", type=int, action="append", default=[], help="only so many threads; may be repeated")
    add_("--rounds", type=int, default=3, help="times the contenders take turns; the page shows medians")
    add_(
        "--minutes",
        type=float,
        default=600.0,
        help="stop starting runs after so long; go on with the same command",
    )
    add_("--limit", type=float, default=900.0, help="seconds a single run may take")
    add_(
        "--patience",
        type=float,
        default=40.0,
        help="a peer that took longer than so many seconds runs once only",
    )
    add_("--reach", type=float, default=1.0, help="factor on the size up to which each peer is run")
    add_(
        "--peer-python",
        default=os.environ.get("BENCHMARK_PEER_PYTHON", sys.executable),
        help="interpreter with the pip peers",
    )
    add_(
        "--petsc-python",
        default=os.environ.get("BENCHMARK_PETSC_PYTHON", "/usr/bin/python3"),
        help="interpreter with petsc4py",
    )
    add_(
        "--meshes",
        type=Path,
        help="folder with meshes 36k.npz ... 3M.npz (points, conn), to save gmsh's time",
    )
    add_("--cache", type=Path, default=ROOT / "out" / "benchmarks", help="folder of meshes and scratch files")
    add_("--results", type=Path, default=RESULTS, help="file of the JSON lines")
    add_(
        "--loaded",
        action="store_true",
        help="mark the lines as measured on a busy machine; a run without this measures them anew",
    )
    add_("--nice", action="store_true", help="leave the machine to others")
    add_(
        "--skip",
        action="append",
        default=[],
        choices=("solves", *PARTS),
        help="leave out a part; may be repeated",
    )
    return made


def main(words: Sequence[str] | None = None) -> None:
    options = parser().parse_args(words)
    options.cache, options.results = options.cache.resolve(), options.results.resolve()
    import page

    if not options.table:
        options.cache.mkdir(parents=True, exist_ok=True)
        if options.quick:
            options.rounds = 1
        chosen = [
            case for case in problems.all_cases()
            if (not options.quick or case.n_dof <= 130_000)
            and (not options.case or any(case.name.startswith(word) for word in options.case))
        ]  # fmt: skip
        session = Session(options)
        session.probe([n for n in CONTENDERS if not options.only or n in options.only])
        if "solves" not in options.skip:
            solve_all(session, chosen)
        for part in PARTS:
            if part not in options.skip and session.left > 60 and not options.case:
                __import__(part).measure(session)
    page.write(options.results, HERE)
    print(f"page: {HERE / 'README.md'}", flush=True)


if __name__ == "__main__":
    main()
