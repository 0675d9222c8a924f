"""VTKHDF files: one mesh, fields at many instants, in one HDF5 file that ParaView opens and steps through."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from designtwin.errors import StoreError
from designtwin.io.results import VTK_TYPES
from designtwin.typing import FloatArray, IntArray

_VERSION = (2, 0)
"""Of the format; the first with instants."""


def write_vtkhdf(
    path: str | Path,
    points: FloatArray,
    cells: Mapping[str, IntArray],
    times: Sequence[float] | FloatArray,
    frames: Iterator[Mapping[str, FloatArray]],
    *,
    point_data: Mapping[str, np.ndarray[Any, Any]] | None = None,
    compression: int = 1,
) -> None:
    """Write one mesh with point fields at many instants, whole or not at all; one instant is in memory.

    Parameters
    ----------
    path : path
        Usually ``*.vtkhdf``; an existing file is replaced at the end.
    points : float64[n_points, 3]
        m.
    cells : mapping of meshio name to int64[k, n_nodes]
        Node order is VTK's.
    times : float64[k]
        s.
    frames : iterator of (mapping of name to float64[n_points] or float64[n_points, c])
        The fields of each instant, the same names at all.
    point_data : mapping of name to array[n_points, ...], optional
        What does not change.
    compression : int
        gzip level of the fields, 0 to 9.

    Raises
    ------
    StoreError
        If the file cannot be written, or fields come and go.

    Source: VTK file formats, "VTKHDF", version 2.0, UnstructuredGrid with Steps.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise StoreError(f"{path}: the folder {path.parent} does not exist")
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        _write(part, points, cells, np.asarray(times, np.float64), frames, point_data or {}, compression)
        with open(part, "r+b") as stream:
            os.fsync(stream.fileno())
        os.replace(part, path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _write(
    path: Path,
    points: FloatArray,
    cells: Mapping[str, IntArray],
    times: FloatArray,
    frames: Iterator[Mapping[str, FloatArray]],
    fixed: Mapping[str, np.ndarray[Any, Any]],
    compression: int,
) -> None:
    import h5py

    blocks = {name: np.asarray(conn, np.int64) for name, conn in cells.items() if len(conn)}
    connectivity = np.concatenate([conn.ravel() for conn in blocks.values()])
    sizes = np.concatenate([np.full(len(conn), conn.shape[1]) for conn in blocks.values()])
    types = np.concatenate([np.full(len(conn), VTK_TYPES[name], np.uint8) for name, conn in blocks.items()])
    n, k = len(points), len(times)
    packed: dict[str, Any] = {"compression": "gzip", "compression_opts": compression, "shuffle": True}
    with h5py.File(path, "w", libver="v110") as file:
        root = file.create_group("VTKHDF", track_order=True)
        root.attrs["Version"] = np.array(_VERSION, np.int64)
        kind = b"UnstructuredGrid"
        root.attrs.create("Type", kind, dtype=h5py.string_dtype("ascii", len(kind)))
        # One piece, the same at all instants: every step starts reading it at its beginning.
        root["NumberOfPoints"] = np.array([n], np.int64)
        root["NumberOfCells"] = np.array([len(sizes)], np.int64)
        root["NumberOfConnectivityIds"] = np.array([len(connectivity)], np.int64)
        root["Offsets"] = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        root["Types"] = types
        root["Connectivity"] = connectivity
        root["Points"] = np.asarray(points, np.float64)
        steps = root.create_group("Steps")
        steps.attrs["NSteps"] = np.int64(k)
        steps["Values"] = times
        steps["NumberOfParts"] = np.ones(k, np.int64)
        for name in ("PartOffsets", "PointOffsets"):
            steps[name] = np.zeros(k, np.int64)
        for name in ("CellOffsets", "ConnectivityIdOffsets"):
            steps[name] = np.zeros((k, 1), np.int64)
        data, offsets = root.create_group("PointData"), steps.create_group("PointDataOffsets")
        for name, values in fixed.items():
            data.create_dataset(_label(name), data=np.asarray(values, np.float64), **packed)
            offsets[_label(name)] = np.zeros(k, np.int64)
        series: dict[str, Any] = {}
        count = 0
        for i, fields in enumerate(frames):
            if i == 0:
                for name, values in fields.items():
                    shape = np.shape(values)
                    series[name] = data.create_dataset(
                        _label(name), shape=(k * n, *shape[1:]), chunks=(n, *shape[1:]), dtype="<f8", **packed
                    )
                    offsets[_label(name)] = np.arange(k, dtype=np.int64) * n
            if set(fields) != set(series):
                raise StoreError(f"{path}: fields come and go: {sorted(set(fields) ^ set(series))}")
            for name, values in fields.items():
                series[name][i * n : (i + 1) * n] = values
            count += 1
        assert count == k, (count, k)


def _label(name: str) -> str:
    return name.replace("/", " ")  # HDF5 takes a slash for a folder
