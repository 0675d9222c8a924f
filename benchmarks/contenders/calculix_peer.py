"""CalculiX as a process: reads the .inp, solves, writes displacements and nodal stresses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

NAME = "CalculiX"
SETTINGS = (
    "Debian's `ccx` with SPOOLES as a process: reads its .inp (written outside the clock), solves, writes "
    "displacements and nodal stress as text; memory is the peak of the whole process. Modes: `*FREQUENCY`"
)
INSTALL = "apt install calculix-ccx"
PACKAGES = ()
TYPES = {"tet10": "C3D10", "tet4": "C3D4", "hex8": "C3D8"}


def probe() -> None:
    if shutil.which("ccx") is None:
        raise ImportError("no ccx on the path")


def versions() -> dict[str, str]:
    text = subprocess.run(["ccx", "-v"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"[Vv]ersion ([\d.]+)", text)
    return {"ccx": found[1] if found else "?"}


def load(case: dict[str, Any]) -> Any:
    folder = Path(tempfile.mkdtemp(prefix="ccx-", dir=os.getcwd()))
    with (folder / "job.inp").open("w") as file:
        write(case, file)
    return {
        "folder": folder,
        **{key: case[key] for key in ("corners", "threads", "physics")},
        "n": len(case["points"]),
    }


def write(case: dict[str, Any], file: Any) -> None:
    """The case as a CalculiX deck."""
    points, cells = case["points"], case["cells"]
    file.write("*NODE,NSET=ALL\n")
    np.savetxt(file, np.column_stack([np.arange(1, len(points) + 1), points]), fmt="%d,%.12e,%.12e,%.12e")
    file.write(f"*ELEMENT,TYPE={TYPES[case['kind']]},ELSET=BODY\n")
    table = np.column_stack([np.arange(1, len(cells) + 1), cells + 1])
    np.savetxt(file, table, fmt=",".join(["%d"] * table.shape[1]))
    file.write(
        f"*MATERIAL,NAME=M\n*ELASTIC\n{case['E']:.9e},{case['nu']}\n"
        f"*DENSITY\n{case['density']:.9e}\n*SOLID SECTION,ELSET=BODY,MATERIAL=M\n"
    )
    file.write("*NSET,NSET=HELD\n")
    np.savetxt(file, case["held"] + 1, fmt="%d,")
    if case["physics"] == "modes":
        import problems

        file.write(f"*BOUNDARY\nHELD,1,3\n*STEP\n*FREQUENCY\n{problems.MODES}\n*NODE FILE\nU\n*END STEP\n")
        return
    file.write("*BOUNDARY\nHELD,1,3\n*STEP\n*STATIC\n*CLOAD\n")
    load = case["load"]
    for axis in range(3):
        nodes = np.flatnonzero(load[:, axis])
        np.savetxt(file, np.column_stack([nodes + 1, load[nodes, axis]]), fmt=f"%d,{axis + 1},%.12e")
    file.write("*NODE FILE\nU\n*EL FILE\nS\n*END STEP\n")


def run(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    folder, most = state["folder"], [0.0]
    environment = {**os.environ, "CCX_NPROC_EQUATION_SOLVER": str(state["threads"])}
    try:
        with phase("process"), (folder / "log.txt").open("w") as log:
            process = subprocess.Popen(
                ["ccx", "-i", "job"], cwd=folder, env=environment, stdout=log, stderr=log
            )
            watch = threading.Thread(target=_watch, args=(process.pid, most), daemon=True)
            watch.start()
            code = process.wait()
        if code:
            raise RuntimeError("ccx: " + (folder / "log.txt").read_text()[-300:])
        if state["physics"] == "modes":
            frequencies = _frequencies(folder / "job.dat")
            return {
                "largest": frequencies[-1], "n_dof": 3 * state["n"], "iterations": 0,
                "rss_process_mib": most[0], "frequencies": frequencies,
            }  # fmt: skip
        u = _displacements(folder / "job.frd", state["n"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    largest = float(np.linalg.norm(u[state["corners"]], axis=1).max())
    return {"largest": largest, "n_dof": 3 * state["n"], "iterations": 0, "rss_process_mib": most[0]}


def _watch(pid: int, most: list[float]) -> None:
    while True:
        try:
            with open(f"/proc/{pid}/status") as lines:
                for line in lines:
                    if line.startswith("VmHWM"):
                        most[0] = max(most[0], float(line.split()[1]) / 1024)
        except OSError:
            return
        time.sleep(0.02)


def _frequencies(path: Path) -> list[float]:
    """Hz, from the table of eigenvalues in the .dat."""
    found = []
    for line in path.read_text().splitlines():
        words = line.split()
        if "P A R T I C I P A T I O N" in line:
            break
        if len(words) == 5 and words[0].isdigit():
            found.append(float(words[3]))
    return found


def _displacements(path: Path, n: int) -> np.ndarray:
    """The DISP block of an ASCII .frd."""
    u = np.zeros((n, 3))
    with path.open() as lines:
        inside = False
        for line in lines:
            if line.startswith(" -4"):
                inside = "DISP" in line
            elif inside and line.startswith(" -1"):
                u[int(line[3:13]) - 1] = [float(line[13 + 12 * k : 25 + 12 * k]) for k in range(3)]
            elif inside and line.startswith(" -3"):
                break
    return u
