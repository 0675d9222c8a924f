"""Roofline: bytes and operations of our operator, cycle and CG iteration, counted, over measured time.

Bytes: the data an object stores, once, and vectors in and out; what a cache would save beyond that is not
counted, what it fails to save neither. Operations of a straight tet10 cell, from its formulas: gradient of
the corners 54, edge differences 54, corner gradients 4 x 54, strain 12, stress 48, weights 42, and the first
three once more for the transpose: 750. A stored number of an assembled block costs two.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

import harness
import numpy as np
import problems

TET10 = 750
LIMITS = (
    "The machine this was designed on moves 25 GB/s from memory and 31 GB/s from L3, and does 116 (float64) "
    "and 243 (float32) GFLOP/s, both with two threads."
)
CASE = "tet10-1M"


def measure(session: Any) -> None:
    """A process for each number of threads; lines for what it measured."""
    import run

    options = session.options
    known = [x for x in session.lines if x.get("part") == "roofline"]
    if any(options.loaded or not x.get("loaded") for x in known) and options.again is None:
        return
    name = "tet10-111k" if options.quick else CASE
    case = next(case for case in problems.all_cases() if case.name == name)
    path = problems.prepare(case, options.cache, options.meshes)
    for threads in (1, 2):
        done = subprocess.run(
            [sys.executable, str(harness.HERE / "roofline.py"), json.dumps(asdict(case)), str(path)],
            capture_output=True,
            text=True,
            env=harness.environment(threads),
            check=False,
        )
        if done.returncode:
            print(f"roofline       failed: {done.stderr.strip()[-300:]}", flush=True)
            return
        for found in json.loads(done.stdout.splitlines()[-1]):
            line = {
                "part": "roofline",
                "name": f"{found['title']} {threads}",
                "threads": threads,
                "limits": LIMITS,
                "case": "roofline",
                "contender": "",
                "round": 0,
                "status": "ok",
                "loaded": bool(options.loaded),
                **session.stated,
                **found,
            }
            speed = found["bytes_per_dof"] / found["ns_per_dof"]
            print(
                f"roofline       {found['title']}, {threads} thr: {found['ns_per_dof']:.2f} ns/DOF, "
                f"{speed:.1f} GB/s",
                flush=True,
            )
            run.add(options.results, line)
            session.lines.append(line)


class Spy:
    """A solver that keeps what it was given."""

    def factorize(self, system: Any) -> Any:
        import designtwin as dtw

        self.system = system
        self.factorization = dtw.MultigridCG().factorize(system)
        return self.factorization


def stored_bytes(thing: Any, seen: dict[int, int] | None = None, depth: int = 0) -> int:
    """Bytes of all arrays an object holds, each buffer once."""
    seen = {} if seen is None else seen
    if isinstance(thing, np.ndarray):
        owner = thing
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        seen[id(owner)] = min(owner.nbytes, max(seen.get(id(owner), 0), thing.nbytes))
    elif depth < 6:
        parts: list[Any] = []
        if isinstance(thing, (list, tuple)):
            parts = list(thing)
        elif isinstance(thing, dict):
            parts = list(thing.values())
        elif hasattr(thing, "__dict__"):
            parts = list(vars(thing).values())
        elif hasattr(thing, "__slots__"):
            parts = [getattr(thing, slot, None) for slot in thing.__slots__]
        for part in parts:
            stored_bytes(part, seen, depth + 1)
    return sum(seen.values())


def operations(operator: Any, n_cells: int) -> float:
    """Floating-point operations of a product with one vector."""
    if hasattr(operator, "values") and hasattr(operator, "indptr"):
        return 2.0 * operator.values.size
    if hasattr(operator, "parts"):
        return sum(operations(part, n_cells) for part in operator.parts)
    return float(TET10 * n_cells)


def _best(call: Any, least: float = 1.0) -> float:
    """Median seconds of a call, repeated for a second."""
    call()
    times: list[float] = []
    while sum(times) < least or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _measure_here(case: dict[str, Any], path: str) -> list[dict[str, Any]]:
    import designtwin as dtw

    data = problems.load(case, path)
    n_cells = len(data["cells"])
    data["mesh"] = dtw.Mesh(points=data["points"], cells={"tetra10": data["cells"]})
    spy = Spy()
    dtw.solve_static(problems.model(data), solver=spy)
    system, hierarchy = spy.system, spy.factorization.hierarchy
    n = system.n_dof
    found = []

    def tell(title: str, seconds: float, moved: float, flops: float) -> None:
        found.append(
            {
                "title": title,
                "ns_per_dof": 1e9 * seconds / n,
                "bytes_per_dof": moved / n,
                "flops_per_dof": flops / n,
                "n_dof": n,
            }
        )

    rng = np.random.default_rng(0)
    for dtype in (np.float64, np.float32):
        operator = system.operator(1.0, dtype)
        x = rng.standard_normal((n, 1)).astype(dtype)
        y = np.empty_like(x)
        seconds = _best(lambda operator=operator, x=x, y=y: operator.product(x, y))
        moved = stored_bytes(operator) + 2 * x.nbytes
        tell(f"operator, {np.dtype(dtype).name}", seconds, moved, operations(operator, n_cells))
    products = (
        2 * hierarchy.degree
    )  # one less before, as the guess is zero; one for the residual; degree after
    visits, moved, flops, size = 1, 0.0, 0.0, np.dtype(hierarchy.dtype).itemsize
    for level in hierarchy.levels:
        vector = level.n * size
        once = products * (stored_bytes(level.operator) + level.smoother.nbytes + 4 * vector)
        moved += visits * (once + 2 * stored_bytes(level.transfer))
        flops += visits * products * (operations(level.operator, n_cells) + 2 * level.smoother.nbytes // size)
        visits *= max(1, level.visits)
    moved += visits * hierarchy.last.nbytes
    flops += visits * 2 * hierarchy.last.nbytes / size
    r = rng.standard_normal((n, 1))
    cycle = _best(lambda: hierarchy.apply(r))
    tell("cycle, all levels", cycle, moved, flops)
    f = np.where(system.free, rng.standard_normal(n), 0.0)
    iterations = int(spy.factorization.solve(f).iterations.max())
    start = time.perf_counter()
    spy.factorization.solve(f)
    each = (time.perf_counter() - start) / iterations
    operator = system.operator(1.0, np.float64)
    tell(
        "CG iteration with cycle",
        each,
        moved + stored_bytes(operator) + 10 * 8 * n,
        flops + operations(operator, n_cells) + 12 * n,
    )
    return found


if __name__ == "__main__":
    print(json.dumps(_measure_here(json.loads(sys.argv[1]), sys.argv[2])))
