"""Formats that meshio alone reads, in a worker process with limits; meshio never runs in the user's process.

``python -m designtwin.io.guarded FILE FORMAT OUT.npz`` is the worker: it reads the file with meshio under
limits of memory, processor time and file size, and hands plain arrays back. It may crash, exit or hang; the
caller then says so in one sentence.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshReadError
from designtwin.io._common import CENTRE_NODES, RawBlock, RawMesh, read_bytes
from designtwin.typing import FloatArray, IntArray

FORMATS = (
    "ansys", "avsucd", "cgns", "dolfin-xml", "exodus", "flac3d", "h5m", "hmf", "mdpa", "med", "netgen", "obj",
    "off", "permas", "ply", "su2", "tecplot", "tetgen", "ugrid", "wkt", "xdmf",
)  # fmt: skip
"""Names of meshio's formats that come through here."""

MEMORY = 1 << 30
"""Bytes the worker may take besides 40 times the file."""
SECONDS = 60.0
"""Wall-clock time besides one second per megabyte."""

_DONE, _REFUSED, _MISSING = 0, 3, 4


def read(path: str | Path, kind: str, *, memory: int | None = None, seconds: float | None = None) -> RawMesh:
    """Read a file with meshio in a process of its own.

    Parameters
    ----------
    path : path
    kind : str
        meshio's name of the format, one of ``FORMATS``.
    memory : int, optional
        Bytes of address space for the worker; by default 1 GiB and 40 times the file.
    seconds : float, optional
        Wall-clock limit; by default a minute and one second per megabyte.

    Raises
    ------
    MeshReadError
        Also when the worker crashed, ran out of memory or of time.
    """
    path = Path(path)
    size = len(read_bytes(path))
    memory = memory or MEMORY + 40 * size
    seconds = seconds or SECONDS + size / 1e6

    def refuse(reason: str) -> NoReturn:
        raise MeshReadError(reason, file=path)

    with tempfile.TemporaryDirectory(prefix="designtwin-") as folder:
        out = Path(folder) / "mesh.npz"
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path[1:]]),
            "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        }  # fmt: skip
        limits = [str(int(memory)), str(int(seconds) + 1)]
        worker = subprocess.Popen(
            [sys.executable, "-m", "designtwin.io.guarded", str(path.resolve()), kind, str(out), *limits],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
            start_new_session=True, cwd=folder,
        )  # fmt: skip
        try:
            _, errors = worker.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.communicate()
            refuse(f"meshio did not finish reading within {seconds:.0f} s")
        except BaseException:
            worker.kill()
            worker.communicate()
            raise
        last = errors.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
        if worker.returncode == _MISSING:
            refuse(f"{last[0]}; or save the mesh as gmsh .msh, Abaqus .inp or .vtu")
        if worker.returncode != _DONE or not out.is_file():
            why = (
                last[0][:300]
                if worker.returncode == _REFUSED
                else f"its reader stopped: {last[0][:200] or worker.returncode}"
            )
            refuse(f"meshio cannot read this {kind} file: {why}")
        try:
            with np.load(out, allow_pickle=False) as arrays:
                content = {name: arrays[name] for name in arrays.files}
            layout = json.loads(content.pop("layout").tobytes().decode())
        except (ValueError, OSError, KeyError) as error:
            refuse(f"the worker handed back something unreadable: {error}")
    return _raw(path, kind, content, layout, refuse)


# --- in the user's process ------------------------------------------------------------------------------

_MIRRORED = {
    "tetra": (0, 2, 1, 3), "hexahedron": (0, 3, 2, 1, 4, 7, 6, 5), "wedge": (0, 2, 1, 3, 5, 4),
    "pyramid": (0, 3, 2, 1, 4),
}  # fmt: skip


def _mirrored(name: str) -> IntArray | None:
    """Columns of a solid numbered the other way round."""
    element = ELEMENTS.get(name)
    if element is None or element.linear not in _MIRRORED:
        return None
    corners = _MIRRORED[element.linear]
    at = {frozenset(edge): element.corners + i for i, edge in enumerate(element.edges)}
    mids = [at[frozenset((corners[a], corners[b]))] for a, b in element.edges]
    return np.array([*corners, *mids])


def _raw(path: Path, kind: str, arrays: dict[str, Any], layout: dict[str, Any], refuse: Any) -> RawMesh:
    points = np.asarray(arrays["points"], np.float64)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        refuse(f"points of shape {points.shape}; two or three coordinates are wanted")
    raw = RawMesh(f"{kind} through meshio", str(path), np.arange(len(points)), points, [])
    row, starts = 0, []
    turned = 0
    for i, name in enumerate(layout["cells"]):
        conn = np.asarray(arrays[f"cells_{i}"], np.int64)
        n = _n_nodes(name)
        if conn.ndim != 2 or (n and conn.shape[1] != n):
            refuse(f"cells of type {name} come with {conn.shape} nodes")
        if kind == "med":
            conn, count = _upright(points, name, conn)
            turned += count
        raw.blocks.append(RawBlock(name, conn, row + np.arange(len(conn))))
        starts.append(row)
        row += len(conn)
    if turned:
        raw.notes.append(f"{turned} solids turned: MED numbers them the other way round")
    for name, parts in layout["cell_groups"]:
        group = raw.group(name)
        for block, key in parts:
            rows = np.asarray(arrays[key], np.int64).reshape(-1)
            if len(rows) and (rows.min() < 0 or rows.max() >= len(raw.blocks[block].conn)):
                refuse(f"set {name!r} names cells that do not exist")
            group.cells.append(starts[block] + rows)
    for name, key in layout["point_groups"]:
        raw.group(name).nodes.append(np.asarray(arrays[key], np.int64).reshape(-1))
    raw.notes += layout["notes"]
    return raw


def _n_nodes(name: str) -> int:
    if name in ELEMENTS:
        return ELEMENTS[name].n_nodes
    if name in CENTRE_NODES:
        return int(re.sub(r"\D", "", name))
    return 1 if name == "vertex" else 0


def _upright(points: FloatArray, name: str, conn: IntArray) -> tuple[IntArray, int]:
    columns = _mirrored(name)
    if columns is None or not len(conn) or conn.min() < 0 or conn.max() >= len(points):
        return conn, 0
    element = ELEMENTS[name]
    corners = np.array(element.nodes)[: element.corners]
    center = corners.mean(axis=0)
    with np.errstate(all="ignore"):
        gradient = ELEMENTS[element.linear].gradient(center[None])[0]
        jacobian = np.einsum("cna,nd->cad", points[conn[:, : element.corners]], gradient)
        negative = np.linalg.det(jacobian) < 0
    if 2 * int(negative.sum()) <= len(conn):
        return conn, 0  # a few inverted cells are the mesh's own fault
    return np.where(negative[:, None], conn[:, columns], conn), int(negative.sum())


# --- in the worker --------------------------------------------------------------------------------------


def _limit(memory: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: the caller's clock alone
        return
    for what, amount in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, max(memory, 1 << 30)),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (amount if hard < 0 else min(amount, hard), hard))


def _work(path: str, kind: str, out: str, memory: str, seconds: str) -> int:
    _limit(int(memory), int(seconds))
    try:
        import meshio
    except ModuleNotFoundError:
        print("this format is read through meshio, which is missing: pip install meshio", file=sys.stderr)
        return _MISSING
    try:
        mesh = meshio.read(path, file_format=kind)
    except ModuleNotFoundError as error:
        print(f"meshio needs {error.name} for this format: pip install {error.name}", file=sys.stderr)
        return _MISSING
    except BaseException as error:  # meshio raises anything, SystemExit among them
        words = " ".join(str(error).split())
        print(f"{type(error).__name__}: {words}" if words else type(error).__name__, file=sys.stderr)
        return _REFUSED
    arrays, layout = _plain(mesh)
    layout_bytes = np.frombuffer(json.dumps(layout).encode(), np.uint8)
    np.savez(out, layout=layout_bytes, **arrays)
    return _DONE


def _plain(mesh: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A meshio mesh as arrays and names: sets, and integer data that group."""
    arrays: dict[str, Any] = {"points": np.asarray(mesh.points, np.float64)}
    cell_groups: list[tuple[str, list[tuple[int, str]]]] = []
    point_groups: list[tuple[str, str]] = []
    notes: list[str] = []

    def keep(values: Any) -> str:
        key = f"a{len(arrays)}"
        arrays[key] = np.asarray(values, np.int64)
        return key

    for i, block in enumerate(mesh.cells):
        arrays[f"cells_{i}"] = np.asarray(block.data, np.int64)
    for name, parts in (mesh.cell_sets or {}).items():
        rows = [(i, keep(part)) for i, part in enumerate(parts) if part is not None and len(part)]
        cell_groups.append((str(name), rows))
    for name, part in (mesh.point_sets or {}).items():
        point_groups.append((str(name), keep(part)))
    named = {}
    for name, value in (mesh.field_data or {}).items():
        flat = np.asarray(value).ravel()
        if flat.size == 2 and flat.dtype.kind in "iu":
            named[int(flat[0])] = str(name)
    tags = {int(k): [str(n) for n in v] for k, v in getattr(mesh, "cell_tags", {}).items()}
    for name, blocks in (mesh.cell_data or {}).items():
        values = [np.asarray(block) for block in blocks]
        if any(v.ndim != 1 or v.dtype.kind not in "iub" for v in values):
            notes.append(f"data not read: cell array {name!r}")
            continue
        different = np.unique(np.concatenate(values)) if values else np.empty(0)
        if len(different) > 1000:
            notes.append(f"cell array {name!r} has {len(different)} values: numbers, not groups; not read")
            continue
        for value in different.tolist():
            rows = [(i, keep(np.flatnonzero(v == value))) for i, v in enumerate(values) if (v == value).any()]
            if name == "cell_tags" and tags:
                cell_groups += [(label, rows) for label in tags.get(int(value), [])]
            elif name != "cell_tags" or value:
                cell_groups.append((named.get(int(value), f"{name}_{int(value)}"), rows))
    tags = {int(k): [str(n) for n in v] for k, v in getattr(mesh, "point_tags", {}).items()}
    for name, value in (mesh.point_data or {}).items():
        array = np.asarray(value)
        if array.ndim != 1 or array.dtype.kind not in "iub":
            notes.append(f"data not read: point array {name!r}")
            continue
        different = np.unique(array)
        if len(different) > 1000:
            notes.append(f"point array {name!r} has {len(different)} values: numbers, not groups; not read")
            continue
        for number in different.tolist():
            if not number:
                continue
            labels = tags.get(int(number), []) if name == "point_tags" and tags else [f"{name}_{int(number)}"]
            point_groups += [(label, keep(np.flatnonzero(array == number))) for label in labels]
    layout = {
        "cells": [str(block.type) for block in mesh.cells],
        "cell_groups": cell_groups, "point_groups": point_groups, "notes": notes,
    }  # fmt: skip
    return arrays, layout


if __name__ == "__main__":
    sys.exit(_work(*sys.argv[1:]))
