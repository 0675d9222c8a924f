"""gmsh (GPL) in a process of its own: never imported into the user's; a crash of it is one sentence there.

The process is handed a job (JSON) and arrays (npz) in a folder, and leaves arrays there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from designtwin.errors import MeshError

_DONE, _REFUSED = 0, 3


def gmsh_process(
    module: str, job: Mapping[str, Any], arrays: Mapping[str, Any], folder: Path, *, seconds: float,
    task: str, advice: str,
) -> dict[str, Any]:  # fmt: skip
    """Run ``python -m module FOLDER`` and return the arrays it leaves.

    Parameters
    ----------
    module : str
    job : mapping
        As JSON takes it.
    arrays : mapping of name to array
    folder : path
        Of this run alone.
    seconds : float
        After which it is ended.
    task, advice : str
        What gmsh is to do ("mesh part.geo (radius 4 mm)"), and what helps where it does not end, in words.

    Raises
    ------
    MeshError
        If gmsh is missing, refuses (in its own words), crashes or does not end in time.
    """
    if importlib.util.find_spec("gmsh") is None:
        raise MeshError(f"gmsh is to {task}, and is missing: pip install 'designtwin[mesher]'")
    (folder / "job.json").write_text(json.dumps(job))
    np.savez(folder / "job.npz", **arrays)
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path[1:]]),
        "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    try:
        worker = subprocess.run(
            [sys.executable, "-m", module, str(folder)], stdin=subprocess.DEVNULL, capture_output=True,
            env=environment, cwd=folder, timeout=seconds, check=False, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MeshError(f"gmsh did not {task} within {seconds:.3g} s; {advice}") from None
    result = folder / "out.npz"
    if worker.returncode != _DONE or not result.is_file():
        last = worker.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
        why = last[0][:300] if worker.returncode == _REFUSED else f"its process ended: {last[0][:200]}"
        raise MeshError(f"gmsh cannot {task}: {why or worker.returncode}")
    with np.load(result, allow_pickle=False) as found:
        out = {name: found[name] for name in found.files}
    result.unlink()
    return out


# --- in the worker ----------------------------------------------------------------------------------------


def given(folder: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job and its arrays."""
    job = json.loads((Path(folder) / "job.json").read_text())
    with np.load(Path(folder) / "job.npz", allow_pickle=False) as found:
        return job, {name: found[name] for name in found.files}


def refused(error: Exception) -> int:
    """Exit status of a job that gmsh could not do; its words go to the one who asked."""
    print(str(error).replace("\n", " "), file=sys.stderr)
    return _REFUSED


def done(folder: str, out: Mapping[str, Any]) -> int:
    """Exit status of a job that is done, its arrays left in the folder."""
    np.savez(Path(folder) / "out.npz", **out)
    return _DONE
