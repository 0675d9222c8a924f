"""VTU files of points, cells and fields, for ParaView and for ourselves."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from designtwin.errors import MeshError
from designtwin.io.files import atomic
from designtwin.typing import FloatArray, IntArray

VTK_TYPES = {
    "vertex": 1, "line": 3, "triangle": 5, "quad": 9, "tetra": 10, "hexahedron": 12, "wedge": 13,
    "pyramid": 14, "line3": 21, "triangle6": 22, "quad8": 23, "tetra10": 24, "hexahedron20": 25,
    "wedge15": 26, "pyramid13": 27,
}  # fmt: skip
_BLOCK = 1 << 20  # bytes that are compressed together

_TYPE_NAMES = {
    "float32": "Float32", "float64": "Float64", "int8": "Int8", "int16": "Int16", "int32": "Int32",
    "int64": "Int64", "uint8": "UInt8", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64",
}  # fmt: skip

Arrays = Mapping[str, np.ndarray[Any, Any]]


def write_vtu(
    path: str | Path,
    points: FloatArray,
    cells: Mapping[str, IntArray],
    point_data: Arrays | None = None,
    cell_data: Arrays | None = None,
    *,
    field_data: Arrays | None = None,
) -> None:
    """Write an unstructured grid with fields, whole or not at all (XML, zlib).

    Parameters
    ----------
    path : path
        Where; an existing file is replaced at the end.
    points : float64[n_points, 3]
        In meters, or whatever unit the reader of the file expects.
    cells : mapping of meshio name to int64[k, n_nodes]
        Node order is VTK's, as in ``Mesh``; cells count over the blocks in this order.
    point_data, cell_data : mapping of name to array[n_points or n_cells, ...], optional
        Floats, whole numbers or bools; more axes are flattened to components.
    field_data : mapping of name to array[k, ...], optional
        Tables that belong to no point and no cell.

    Raises
    ------
    MeshError
        If a field has another length than points or cells, or is not numeric.

    Source: VTK file formats, "XML file formats", UnstructuredGrid.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    unknown = sorted(set(cells) - set(VTK_TYPES))
    if unknown:
        raise MeshError(f"{path}: VTU files of ours hold no cells of type {unknown[0]!r}")
    blocks = {name: np.asarray(conn, np.int64) for name, conn in cells.items() if len(conn)}
    n_cells = sum(len(conn) for conn in blocks.values())
    sizes = [np.full(len(conn), conn.shape[1]) for conn in blocks.values()]
    types = [np.full(len(conn), VTK_TYPES[name], np.uint8) for name, conn in blocks.items()]
    with atomic(path) as stream:

        def put(text: str) -> None:
            stream.write(text.encode())

        put(
            '<?xml version="1.0"?>\n<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian" '
        )
        put('header_type="UInt64" compressor="vtkZLibDataCompressor">\n<UnstructuredGrid>\n')
        if field_data:
            put("<FieldData>\n")
            for name, values in field_data.items():
                stream.write(_data_array(path, name, values, None))
            put("</FieldData>\n")
        put(f'<Piece NumberOfPoints="{len(points)}" NumberOfCells="{n_cells}">\n<Points>\n')
        stream.write(_data_array(path, "Points", points, len(points)))
        put("</Points>\n<Cells>\n")
        empty = [np.empty(0, np.int64)]
        conn = np.concatenate([conn.ravel() for conn in blocks.values()] or empty)
        stream.write(_data_array(path, "connectivity", conn, None))
        stream.write(_data_array(path, "offsets", np.cumsum(np.concatenate(sizes or empty)), n_cells))
        stream.write(_data_array(path, "types", np.concatenate(types or [np.empty(0, np.uint8)]), n_cells))
        put("</Cells>\n")
        for tag, data, n in (("PointData", point_data, len(points)), ("CellData", cell_data, n_cells)):
            put(f"<{tag}>\n")
            for name, values in (data or {}).items():
                stream.write(_data_array(path, name, values, n))
            put(f"</{tag}>\n")
        put("</Piece>\n</UnstructuredGrid>\n</VTKFile>\n")


def _data_array(path: str | Path, name: str, values: np.ndarray[Any, Any], n: int | None) -> bytes:
    array = np.asarray(values)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if array.dtype.name not in _TYPE_NAMES:
        raise MeshError(f"{path}: field {name!r} is of type {array.dtype}; numbers are wanted")
    if n is not None and (array.ndim == 0 or len(array) != n):
        raise MeshError(f"{path}: field {name!r} has shape {array.shape}; its first length must be {n}")
    rows = len(array) if array.ndim else 1
    array = np.ascontiguousarray(array.reshape(rows, -1) if rows else array.reshape(0, *array.shape[1:]))
    components = array.shape[1] if array.ndim > 1 else 1
    tuples = f' NumberOfTuples="{rows}"' if n is None else ""
    head = (
        f"<DataArray type={quoteattr(_TYPE_NAMES[array.dtype.name])} Name={quoteattr(name)} "
        f'NumberOfComponents="{components}"{tuples} format="binary">'
    )
    raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    chunks = [raw[i : i + _BLOCK] for i in range(0, len(raw), _BLOCK)]
    packed = [zlib.compress(chunk, 3) for chunk in chunks]
    last = len(raw) % _BLOCK
    header = np.array([len(chunks), _BLOCK, last, *map(len, packed)], "<u8").tobytes()
    body = base64.b64encode(header) + base64.b64encode(b"".join(packed))
    return head.encode() + body + b"</DataArray>\n"
