"""Start-up: fresh processes from a mesh file to a first result, beside bare imports; compiling told apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import harness
import problems

IMPORTS = "import numpy, scipy.sparse, numba"
MODEL = """
import sys, designtwin as dtw
mesh = dtw.read_mesh(sys.argv[1], length_unit="mm")
model = dtw.Model(
    mesh, materials={dtw.everything(): dtw.material("S355")},
    supports=[dtw.FixedSupport(on=dtw.faces("-x", at="min"))],
    load_cases={"lift": [dtw.Force(on=dtw.faces("+x", at="max"), value=(0.0, 0.0, -2500.0))]},
)
"""
RESULT = MODEL + "print(abs(dtw.solve_static(model)['lift'].displacement).max())"
VERDICT = MODEL + "print(dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1.5]).run())"
NGSOLVE = """
import sys
import ngsolve as ng
from ngsolve import *
mesh = ng.Mesh(sys.argv[1])
fes = H1(mesh, order=2, dim=3, dirichlet="held")
u, v = fes.TnT()
eps = lambda w: 0.5 * (grad(w) + grad(w).trans)
with TaskManager():
    a = BilinearForm(fes, symmetric=True)
    a += (2 * 80.8e9 * InnerProduct(eps(u), eps(v)) + 121e9 * Trace(eps(u)) * Trace(eps(v))).Compile() * dx
    pre = Preconditioner(a, "multigrid", inverse="sparsecholesky")
    a.Assemble()
    f = LinearForm(CF((0, 0, -3.5e6)) * v * ds("loaded")).Assemble()
    x = GridFunction(fes)
    x.vec.data = solvers.CG(a.mat, f.vec, pre.mat, tol=1e-9, maxsteps=300, printrates=False)
print(max(abs(x.vec.FV().NumPy()[: 3 * mesh.nv])))
"""
SAVE = """
import json, sys
sys.path[:0] = {paths!r}
import problems, ngsolve_peer
state = ngsolve_peer.load({{**problems.load(json.loads({case!r}), {path!r}), "threads": 2}})
state["mesh"].ngmesh.Save({to!r})
"""
ROUNDS = 7


def measure(session: Any) -> None:
    """Rounds of all in turn; a line each."""
    options = session.options
    if (
        any(x.get("part") == "startup" and (options.loaded or not x.get("loaded")) for x in session.lines)
        and options.again is None
    ):
        return
    folder = options.cache / "startup"
    folder.mkdir(parents=True, exist_ok=True)
    files = {size: _file(session, f"tet10-{size}", folder) for size in ("36k", "111k")}
    own = sys.executable
    jobs: dict[str, tuple[str, list[str]]] = {
        "imports": (f"`{IMPORTS}`", [own, "-c", IMPORTS]),
        "result": ("designtwin: 36k DOF file (.msh) to first result", [own, "-c", RESULT, files["36k"]]),
        "verdict": ("designtwin: 120k DOF file (.msh) to verdict", [own, "-c", VERDICT, files["111k"]]),
    }
    if "ngsolve" not in session.absent and (vol := _vol(session, folder)):
        jobs["ngsolve"] = (
            "NGSolve: 36k DOF file (.vol) to displacement",
            [options.peer_python, "-c", NGSOLVE, vol],
        )
    if shutil.which("ccx"):
        jobs["calculix"] = (
            "CalculiX: 36k DOF .inp to displacement and stress",
            ["ccx", "-i", _deck(session, folder)],
        )
    times: dict[str, list[float]] = {name: [] for name in jobs}
    cpu: dict[str, list[float]] = {name: [] for name in jobs}
    failed: dict[str, str] = {}
    for turn in range(-1, 3 if options.quick else ROUNDS):
        for name, (_, command) in jobs.items():
            if name in failed:
                continue
            seconds, used, why = _timed(command, folder)
            if why:
                failed[name] = why
            elif turn >= 0:  # the first fills caches
                times[name].append(seconds)
                cpu[name].append(used)
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        jobs["cold"] = ("designtwin: 36k DOF file to first result, nothing compiled", [])
        seconds, used, why = _timed([own, "-c", RESULT, files["36k"]], folder, NUMBA_CACHE_DIR=empty)
        times["cold"], cpu["cold"] = ([], []) if why else ([seconds], [used])
        if why:
            failed["cold"] = why
    for name, (title, _) in jobs.items():
        line = {
            "part": "startup",
            "name": name,
            "title": title,
            "seconds": times[name],
            "cpu_seconds": cpu[name],
            "why": failed.get(name, ""),
            "case": f"startup-{name}",
            "contender": "",
            "threads": 2,
            "round": 0,
            "status": "ok",
            "loaded": bool(options.loaded),
            **session.stated,
        }
        least = min(times[name], default=0.0)
        used = min(cpu[name], default=0.0)
        print(
            f"startup        {title}: {least:.2f} s wall, {used:.2f} s CPU {failed.get(name, '')}", flush=True
        )
        _add(session, line)


def _add(session: Any, line: dict[str, Any]) -> None:
    import run

    run.add(session.options.results, line)
    session.lines.append(line)


def _timed(command: list[str], folder: Path, **more: str) -> tuple[float, float, str]:
    """Wall and CPU seconds of a process, and what it said where it failed."""
    started, before = time.perf_counter(), harness.cpu()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**harness.environment(2), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    seconds, used = time.perf_counter() - started, harness.cpu() - before
    return seconds, used, (done.stderr.strip()[-200:] or "failed") if done.returncode else ""


def _case(name: str) -> problems.Case:
    return next(case for case in problems.all_cases() if case.name == name)


def _arrays(session: Any, name: str) -> Path:
    return problems.prepare(_case(name), session.options.cache, session.options.meshes)


def _file(session: Any, name: str, folder: Path) -> str:
    path = folder / f"{name}.msh"
    if not path.exists():
        import numpy as np

        import designtwin as dtw

        with np.load(_arrays(session, name)) as stored:
            dtw.write_mesh(dtw.Mesh(points=stored["points"], cells={"tetra10": stored["cells"]}), path)
    return str(path)


def _vol(session: Any, folder: Path) -> str:
    import json

    path = folder / "tet10-36k.vol"
    if not path.exists():
        script = SAVE.format(
            paths=[str(harness.HERE), str(harness.HERE / "contenders")],
            case=json.dumps(asdict(_case("tet10-36k"))),
            path=str(_arrays(session, "tet10-36k")),
            to=str(path),
        )
        subprocess.run(
            [session.options.peer_python, "-c", script], capture_output=True, check=False, cwd=folder
        )
    return str(path) if path.exists() else ""


def _deck(session: Any, folder: Path) -> str:
    path = folder / "tet10-36k.inp"
    if not path.exists():
        sys.path.append(os.fspath(harness.HERE / "contenders"))
        import calculix_peer

        with path.open("w") as file:
            calculix_peer.write(
                problems.load(asdict(_case("tet10-36k")), _arrays(session, "tet10-36k")), file
            )
    return path.stem
