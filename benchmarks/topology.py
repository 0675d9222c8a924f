"""Design iterations of a cantilever of voxels: ours beside pyMOTO, each run in a process of its own.

The same grid, filter (radius 1.5), SIMP, start and optimality criteria for both; loading, compiling and the
first design are no part of the time. Compliances of the last design are compared: different ones are no time.
Ours runs with its own tolerance of the solver for design iterations (1e-4) and with that of pyMOTO (1e-7).

    python benchmarks/topology.py designtwin 128 64 40 --designs 12 --rtol 1e-4
    out/peers/bin/python benchmarks/topology.py pymoto 128 64 40 --designs 12
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

FRACTION, RADIUS = 0.2, 1.5


def updated(x: Any, dc: Any, dv: Any) -> Any:
    """Optimality criteria, dv constant: the volume of the densities is its product with the design."""
    low, high = 1e-12, 1e12
    while high - low > 1e-6 * (low + high):
        middle = np.sqrt(low * high) if high > 4.0 * low else 0.5 * (low + high)
        new = np.clip(np.clip(x * np.sqrt(np.maximum(-dc, 0.0) / (dv * middle)), x - 0.2, x + 0.2), 0.0, 1.0)
        if dv @ new > FRACTION * dv.sum():
            low = middle
        else:
            high = middle
    return new


def pymoto(counts: tuple[int, int, int], designs: int, rtol: float) -> tuple[list[float], list[float]]:
    """Seconds and compliance of each design."""
    import pymoto as pym

    domain = pym.VoxelDomain(*counts)
    nx, ny, nz = counts
    j, k = np.meshgrid(np.arange(ny + 1), np.arange(nz + 1))
    held = domain.get_dofnumber(domain.get_nodenumber(0, j.ravel(), k.ravel()), ndof=3).ravel()
    force = np.zeros(3 * domain.nnodes)
    force[3 * domain.get_nodenumber(nx, 0, np.arange(nz + 1)) + 1] = -1.0
    x = pym.Signal("x", state=np.full(domain.nel, FRACTION))
    levels, inner = [domain], None
    while all(n % 2 == 0 for n in (levels[-1].nelx, levels[-1].nely, levels[-1].nelz)) and len(levels) < 5:
        last = levels[-1]
        if 3 * last.nnodes < 20_000:
            break
        levels.append(pym.VoxelDomain(last.nelx // 2, last.nely // 2, last.nelz // 2))
    for level in levels[-2::-1]:
        inner = pym.solvers.GeometricMultigrid(level, inner_level=inner)
    with pym.Network() as network:
        density = pym.DensityFilter(domain, radius=RADIUS)(x)
        modulus = pym.MathExpression("1e-9 + (1 - 1e-9)*inp0^3")(density)
        stiffness = pym.AssembleStiffness(domain, bc=held, poisson_ratio=0.3)(modulus)
        solver = pym.solvers.CG(preconditioner=inner, tol=rtol)
        u = pym.LinSolve(symmetric=True, positive_definite=True, solver=solver)(stiffness, force)
        compliance = pym.EinSum("i,i->")(u, force)
    volume = None
    seconds, values = [], []
    for _ in range(designs):
        begin = time.perf_counter()
        network.response()
        network.reset()
        compliance.sensitivity = 1.0
        network.sensitivity()
        if volume is None:
            ones = pym.Signal("v", state=x.state)
            with pym.Network() as alone:
                filtered = pym.DensityFilter(domain, radius=RADIUS)(ones)
            alone.response()
            filtered.sensitivity = np.ones(domain.nel)
            alone.sensitivity()
            volume = ones.sensitivity
        x.state = updated(x.state, x.sensitivity, volume)
        seconds.append(time.perf_counter() - begin)
        values.append(float(compliance.state))
        print(f"{values[-1]:.6e} {seconds[-1]:.2f} s", file=sys.stderr, flush=True)
    return seconds, values


def designtwin(counts: tuple[int, int, int], designs: int, rtol: float) -> tuple[list[float], list[float]]:
    """Seconds and compliance of each design."""
    from designtwin.solvers.voxels import VoxelCG
    from designtwin.topology.filters import GridConeFilter
    from designtwin.topology.grid import Compliance, GridProblem, VoxelGrid

    grid = VoxelGrid(counts)
    held, force = np.zeros((grid.n_nodes, 3), bool), np.zeros((grid.n_nodes, 3))
    points = grid.points
    held[points[:, 0] == 0.0] = True
    force[(points[:, 0] == counts[0]) & (points[:, 1] == 0.0), 1] = -1.0
    del points
    nu = 0.3
    tensor = np.diag([0.5 / (1.0 + nu)] * 6)
    tensor[:3, :3] = nu / (1.0 + nu) / (1.0 - 2.0 * nu) + np.eye(3) / (1.0 + nu)
    filtered = GridConeFilter(counts, RADIUS)
    problem = GridProblem(grid=grid, tensor=tensor, held=held, forces=force, filter=filtered)
    goal = Compliance(problem, VoxelCG(rtol=rtol))
    x, volume = np.full(grid.n_cells, FRACTION), filtered.adjoint(np.ones(grid.n_cells))
    seconds, values = [], []
    for _ in range(designs):
        begin = time.perf_counter()
        value, slopes = goal.at(problem.density(x))
        x = updated(x, problem.adjoint(x, slopes), volume)
        seconds.append(time.perf_counter() - begin)
        values.append(value)
        print(f"{value:.6e} {seconds[-1]:.3f} s {goal.iterations} its", file=sys.stderr, flush=True)
    return seconds, values


def one(words: list[str]) -> None:
    """A run of one contender; prints a JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("who", choices=("designtwin", "pymoto"))
    parser.add_argument("counts", type=int, nargs=3)
    parser.add_argument("--designs", type=int, default=12)
    parser.add_argument("--rtol", type=float, default=1e-7)
    options = parser.parse_args(words)
    run = {"designtwin": designtwin, "pymoto": pymoto}[options.who]
    begin = time.process_time()
    seconds, values = run(tuple(options.counts), options.designs, options.rtol)
    line = {
        "counts": options.counts, "n_dof": 3 * int(np.prod([n + 1 for n in options.counts])),
        "who": options.who, "rtol": options.rtol, "seconds": seconds,
        "median": statistics.median(seconds[1:] or seconds), "longest": max(seconds[1:] or seconds),
        "compliance": values, "cpu": time.process_time() - begin,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
    }  # fmt: skip
    print(json.dumps(line))


CASES = ((64, 32, 20), (128, 64, 40))
TURNS = (("designtwin", 1e-4), ("designtwin", 1e-7), ("pymoto", 1e-7))
AGREE = 1e-3


def measure(session: Any) -> None:
    """All contenders on all grids in turn; a line for each."""
    import run

    options = session.options
    if any(line.get("part") == "topology" for line in session.lines) and options.again is None:
        return
    for counts in CASES[:1] if options.quick else CASES:
        right = None
        for who, rtol in TURNS:
            python = sys.executable if who == "designtwin" else options.peer_python
            words = [python, __file__, who, *map(str, counts), "--rtol", str(rtol)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"topology: {who} did not run: {done.stderr.strip().splitlines()[-1:]}", flush=True)
                continue
            line = json.loads(done.stdout.splitlines()[-1])
            right = right or line["compliance"][-1]
            agrees = abs(line["compliance"][-1] / right - 1.0) <= AGREE
            status = {"status": "ok" if agrees else "wrong"}
            name = f"{'x'.join(map(str, counts))} {who} {rtol:.0e}"
            line = {
                "part": "topology", "name": name, "case": f"topology-{name}", "contender": who, "threads": 2,
                "round": 0, **line, **status, "loaded": bool(options.loaded), **session.stated,
            }  # fmt: skip
            run.add(options.results, line)
            session.lines.append(line)
            print(f"topology {counts} {who} rtol {rtol:.0e}: {line['median']:.2f} s a design", flush=True)


if __name__ == "__main__":
    one(sys.argv[1:])
