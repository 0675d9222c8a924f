"""VTK files: legacy .vtk (ASCII, binary) and XML .vtu (ASCII, base64, appended, zlib, lzma).

Source: "VTK file formats" (docs.vtk.org); vtkCellType.h for cell numbers.
"""

from __future__ import annotations

import base64
import binascii
import lzma
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote
from xml.parsers import expat

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshReadError
from designtwin.io._common import CENTRE_NODES, RawBlock, RawMesh, line_at, parse_numbers, read_bytes, text_of
from designtwin.io.results import write_vtu
from designtwin.mesh import Mesh
from designtwin.typing import FloatArray, IntArray

# Cell number: name and, where VTK's order is not ours, the columns to take.
_TYPES: dict[int, tuple[str, tuple[int, ...] | None]] = {
    1: ("vertex", None), 3: ("line", None), 5: ("triangle", None), 8: ("quad", (0, 1, 3, 2)),
    9: ("quad", None),
    10: ("tetra", None), 11: ("hexahedron", (0, 1, 3, 2, 4, 5, 7, 6)), 12: ("hexahedron", None),
    13: ("wedge", None), 14: ("pyramid", None), 21: ("line3", None), 22: ("triangle6", None),
    23: ("quad8", None), 24: ("tetra10", None), 25: ("hexahedron20", None), 26: ("wedge15", None),
    27: ("pyramid13", None), 28: ("quad9", None), 29: ("hexahedron27", None), 32: ("wedge18", None),
    33: ("hexahedron24", None), 34: ("triangle7", None),
}  # fmt: skip
# Types with any number of nodes: by that number, the plain type of the same order of nodes.
_BY_SIZE: dict[int, dict[int, int]] = {
    2: {1: 1}, 4: {2: 3}, 7: {3: 5, 4: 9},
    68: {2: 3, 3: 21}, 69: {3: 5, 6: 22}, 70: {4: 9, 9: 28}, 71: {4: 10, 10: 24}, 72: {8: 12}, 73: {6: 13},
    75: {2: 3}, 76: {3: 5}, 77: {4: 9}, 78: {4: 10}, 79: {8: 12}, 80: {6: 13},
}  # fmt: skip
_VTK_NAMES = {
    2: "poly vertex", 4: "polyline", 6: "triangle strip", 7: "polygon", 15: "pentagonal prism",
    16: "hexagonal prism", 30: "quad of 6 nodes", 31: "wedge of 12 nodes", 35: "cubic line",
    37: "pyramid of 19 nodes", 41: "convex point set", 42: "polyhedron", 68: "Lagrange curve",
    69: "Lagrange triangle", 70: "Lagrange quadrilateral", 71: "Lagrange tetrahedron",
    72: "Lagrange hexahedron", 73: "Lagrange wedge", 74: "Lagrange pyramid",
}  # fmt: skip

GROUP = "group:"
FACETS = "group facets:"
MOST_VALUES = 1000
"""An array with more different values than this numbers things; it does not group them."""


@dataclass
class _Grid:
    """An unstructured grid as the file states it."""

    points: FloatArray
    types: IntArray
    starts: IntArray
    sizes: IntArray
    connectivity: IntArray
    point_data: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    cell_data: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    field_data: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


# --- from grid to groups --------------------------------------------------------------------------------


def _raw(grid: _Grid, file: str, kind: str) -> RawMesh:
    n = len(grid.points)
    raw = RawMesh(kind, file, np.arange(n), grid.points, [])

    def refuse(reason: str) -> NoReturn:
        raise MeshReadError(reason, file=file)

    if not (len(grid.types) == len(grid.starts) == len(grid.sizes)):
        refuse(f"{len(grid.types)} cell types for {len(grid.starts)} cells")
    row_of = np.empty(len(grid.types), np.int64)
    row = 0
    turned = 0
    for number in np.unique(grid.types):
        for size in np.unique(grid.sizes[grid.types == number]):
            which = np.flatnonzero((grid.types == number) & (grid.sizes == size))
            plain = _BY_SIZE.get(int(number), {}).get(int(size), int(number))
            name, columns = _TYPES.get(plain, ("", None))
            wanted = 0 if not name else _n_nodes(name)
            if not name or size != wanted:
                word = _VTK_NAMES.get(int(number), name or f"type {number}")
                refuse(
                    f"cell {which[0]} is a VTK {word} (type {number}) of {size} nodes, "
                    f"which is not supported ({len(which)} cells)"
                )
            conn = grid.connectivity[grid.starts[which][:, None] + np.arange(wanted)]
            if columns is not None:
                conn = conn[:, columns]
            if name == "wedge":
                conn, flipped = _wedges(grid.points, conn)
                turned += flipped
            raw.blocks.append(RawBlock(name, conn, which))
            row_of[which] = np.arange(row, row + len(which))
            row += len(which)
    if turned:
        raw.notes.append(
            f"{turned} wedges were in the order of VTK's manual (base normal outward); "
            "read with top and base exchanged"
        )
    names = {
        int(v.ravel()[0]): name
        for name, v in grid.field_data.items()
        if v.dtype.kind in "iu" and v.size == 2 and not name.startswith(FACETS)
    }
    for name, values in grid.cell_data.items():
        for label, rows in _sets(raw, name, values, names, keep_zero=True):
            raw.group(label).cells.append(row_of[rows])
    for name, values in grid.point_data.items():
        for label, rows in _sets(raw, name, values, {}, keep_zero=False):
            raw.group(label).nodes.append(rows)
    for name, values in grid.field_data.items():
        if name.startswith(FACETS):
            pairs = (
                np.asarray(values, np.int64).reshape(-1, 2) if values.size % 2 == 0 else np.full((1, 2), -1)
            )
            _check_facets(grid, pairs, name, refuse)
            pairs = np.column_stack([row_of[pairs[:, 0]], pairs[:, 1]])
            raw.group(name[len(FACETS) :]).facets.append(pairs)
        elif len(values.ravel()) != 2:
            grid.skipped.append(f"field {name!r}")
    if grid.skipped:
        raw.notes.append("data not read: " + ", ".join(grid.skipped))
    return raw


def _check_facets(grid: _Grid, pairs: IntArray, name: str, refuse: Any) -> None:
    if not len(pairs):
        return
    if pairs[:, 0].min() < 0 or pairs[:, 0].max() >= len(grid.types) or pairs[:, 1].min() < 0:
        refuse(f"facet group {name[len(FACETS) :]!r} names cells that do not exist")
    for number in np.unique(grid.types[pairs[:, 0]]):
        kind = _TYPES.get(int(number), ("vertex", None))[0]
        n = len(ELEMENTS[kind].facets) if kind in ELEMENTS else 0
        if pairs[grid.types[pairs[:, 0]] == number, 1].max() >= n:
            refuse(f"facet group {name[len(FACETS) :]!r} names facets that a {kind} cell lacks")


def _n_nodes(name: str) -> int:
    if name == "vertex":
        return 1
    if name in CENTRE_NODES:
        return int(re.sub(r"\D", "", name))
    return ELEMENTS[name].n_nodes


def _wedges(points: FloatArray, conn: IntArray) -> tuple[IntArray, int]:
    """VTK's manual has the normal of a wedge's base outward; VTK itself and we have it inward."""
    if conn.size == 0 or conn.min() < 0 or conn.max() >= len(points):
        return conn, 0  # named later, with the cell
    x = points[conn]
    with np.errstate(all="ignore"):
        normal = np.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0])
        along = (normal * (x[:, 3:].mean(axis=1) - x[:, :3].mean(axis=1))).sum(axis=1)
    if 2 * int((along < 0).sum()) <= len(conn):
        return conn, 0  # a few inverted cells are the mesh's own fault
    return conn[:, [3, 4, 5, 0, 1, 2]], len(conn)


def _sets(
    raw: RawMesh, name: str, values: np.ndarray[Any, Any], names: dict[int, str], *, keep_zero: bool
) -> list[tuple[str, IntArray]]:
    """Groups a data array states: name and rows of each."""
    if values.ndim > 1:
        raw.notes.append(f"data not read: {name!r} with {values.shape[1]} components")
        return []
    if name.startswith(GROUP):
        return [(name[len(GROUP) :], np.flatnonzero(values))]
    if values.dtype.itemsize == 1 and len(values) and int(values.min()) >= 0 and int(values.max()) <= 1:
        return [(name, np.flatnonzero(values))]  # a flag
    different, inverse = np.unique(values, return_inverse=True)
    if len(different) > min(MOST_VALUES, max(len(values) // 2, 16)):
        raw.notes.append(
            f"integer array {name!r} has {len(different)} different values: numbers, not groups; not read"
        )
        return []
    if not keep_zero and not different.any():
        raw.notes.append(f"point array {name!r} is 0 everywhere: no group")
    order = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[order], np.arange(len(different) + 1))
    out = []
    for i, value in enumerate(different):
        if value or keep_zero:
            label = names.get(int(value), f"{name}_{value}")
            out.append((label, np.sort(order[bounds[i] : bounds[i + 1]])))
    return out


# --- XML ------------------------------------------------------------------------------------------------

_DTYPES = {
    "Int8": "i1", "UInt8": "u1", "Int16": "i2", "UInt16": "u2", "Int32": "i4", "UInt32": "u4", "Int64": "i8",
    "UInt64": "u8", "Float32": "f4", "Float64": "f8", "Bit": "",  "String": "",
}  # fmt: skip
_DEPTH = 32


@dataclass
class _Element:
    tag: str
    attributes: dict[str, str]
    line: int
    children: list[_Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def find(self, tag: str) -> _Element | None:
        return next((child for child in self.children if child.tag == tag), None)

    def all(self, tag: str) -> list[_Element]:
        return [child for child in self.children if child.tag == tag]


class _Xml:
    """A .vtu file: its elements, and the bytes after them."""

    def __init__(self, path: str | Path) -> None:
        self.file = str(path)
        self.data = read_bytes(path)
        # The sum of all decompressed arrays: far above any mesh, far below what a bomb unpacks to.
        self.budget = (256 << 20) + 50 * len(self.data)
        text, self.appended, self.appended_raw = self.data, b"", False
        tag = re.search(rb"<AppendedData\b[^>]*>", self.data)
        if tag is not None:
            end = self.data.rfind(b"</AppendedData")
            mark = self.data.find(b"_", tag.end())
            if end < 0 or mark < 0 or mark > end:
                self.refuse("the appended data has no beginning or no end; the file is cut off")
            self.appended_raw = b"raw" in tag.group()
            self.appended = self.data[mark + 1 : end]
            text = self.data[: tag.end()] + self.data[end:]
        self.root = self.parse(text)
        if self.root.tag != "VTKFile":
            self.refuse(f"<{self.root.tag}> is not a VTK file")
        a = self.root.attributes
        if a.get("type") != "UnstructuredGrid":
            self.refuse(f"VTK file of type {a.get('type')!r}; an UnstructuredGrid (.vtu) is wanted")
        self.order = {"LittleEndian": "<", "BigEndian": ">"}.get(a.get("byte_order", "LittleEndian"), "")
        header = {"UInt32": "u4", "UInt64": "u8"}.get(a.get("header_type", "UInt32"), "")
        if not self.order or not header:
            self.refuse(
                f"byte_order {a.get('byte_order')!r} or header_type {a.get('header_type')!r} is unknown"
            )
        self.header = np.dtype(self.order + header)
        self.compressor = a.get("compressor", "")
        if self.compressor not in ("", "vtkZLibDataCompressor", "vtkLZMADataCompressor"):
            self.refuse(f"compressed by {self.compressor}, which is not read; save with zlib or uncompressed")

    def refuse(self, reason: str, element: _Element | None = None) -> NoReturn:
        raise MeshReadError(reason, file=self.file, line=element.line if element else None)

    def parse(self, text: bytes) -> _Element:
        stack: list[_Element] = []
        roots: list[_Element] = []
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.buffer_size = 1 << 16

        def start(tag: str, attributes: dict[str, str]) -> None:
            element = _Element(tag, attributes, parser.CurrentLineNumber)
            (stack[-1].children if stack else roots).append(element)
            stack.append(element)
            if len(stack) > _DEPTH:
                self.refuse(f"elements are nested more than {_DEPTH} deep", element)

        def end(_: str) -> None:
            stack.pop()

        def characters(data: str) -> None:
            if stack:
                stack[-1].text.append(data)

        def forbidden(*_: Any) -> None:
            raise MeshReadError(
                "the file declares a DTD or entities, which no VTU needs", file=self.file,
                line=parser.CurrentLineNumber,
            )  # fmt: skip

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = characters
        parser.StartDoctypeDeclHandler = forbidden
        parser.EntityDeclHandler = forbidden
        try:
            parser.Parse(text, True)
        except expat.ExpatError as error:
            raise MeshReadError(f"not well-formed XML: {error}", file=self.file, line=error.lineno) from error
        except (LookupError, UnicodeError) as error:
            raise MeshReadError(f"text encoding not readable: {error}", file=self.file) from error
        return roots[0]

    def number(self, element: _Element, key: str, default: int | None = None) -> int:
        word = element.attributes.get(key, "" if default is None else str(default)).strip()
        if not re.fullmatch(r"\d{1,15}", word):
            self.refuse(f"<{element.tag}> wants a whole number {key}, not {word!r}", element)
        return int(word)

    def array(self, element: _Element, n: int | None) -> np.ndarray[Any, Any]:
        """Values of a DataArray: n of them, or as many as there are."""
        a = element.attributes
        name = a.get("Name", "?")
        kind = _DTYPES.get(a.get("type", ""), "")
        if not kind:
            self.refuse(f"array {name!r} is of type {a.get('type')!r}, which is not read", element)
        form = a.get("format", "ascii")
        if form == "ascii":
            exact = np.int64 if kind[0] in "iu" else np.float64
            text = "".join(element.text)
            values = parse_numbers(text.encode("ascii", "replace"), exact)
            if values is None:
                self.refuse(f"array {name!r} holds something that is no number", element)
            if n is not None and len(values) != n:
                self.refuse(f"array {name!r} has {len(values)} values; {n} are wanted", element)
            return values
        dtype = np.dtype(self.order + kind)
        if form == "binary":
            source = self.base64("".join(element.text).encode("ascii", "replace"), element)
        elif form == "appended":
            offset = self.number(element, "offset")
            if offset >= len(self.appended):
                self.refuse(f"array {name!r} begins after the end of the appended data", element)
            source = self.appended[offset:]
            if not self.appended_raw:
                source = self.appended_base64(source, element)
        else:
            self.refuse(f"array {name!r} has format {form!r}; ascii, binary and appended are known", element)
        raw = self.unpack(source, None if n is None else n * dtype.itemsize, name, element)
        if len(raw) % dtype.itemsize:
            self.refuse(f"array {name!r}: {len(raw)} bytes are no whole number of values", element)
        return np.frombuffer(raw, dtype)

    def base64(self, text: bytes, element: _Element) -> bytes:
        """Header and data may be encoded apart: each stream ends in its own padding."""
        packed = b"".join(text.split())
        try:
            return b"".join(
                base64.b64decode(part, validate=True) for part in re.findall(rb"[^=]+={0,2}", packed)
            )
        except binascii.Error as error:
            raise MeshReadError(f"base64 data damaged: {error}", file=self.file, line=element.line) from error

    def appended_base64(self, text: bytes, element: _Element) -> bytes:
        """Arrays follow each other; the header says where this one ends."""
        text = b"".join(text.split())
        step = self.header.itemsize

        def chars(n: int) -> int:
            return -(-n // 3) * 4

        if not self.compressor:
            head = self.base64(text[: chars(step)], element)
            return self.base64(text[: chars(step + self.words(head, 1, element)[0])], element)
        head = self.base64(text[: chars(step)], element)
        n_blocks = self.words(head, 1, element)[0]
        if n_blocks > len(text):
            self.refuse("more blocks announced than the file can hold", element)
        head_chars = chars(step * (3 + n_blocks))
        head = self.base64(text[:head_chars], element)
        total = sum(self.words(head, 3 + n_blocks, element)[3:])
        return head + self.base64(text[head_chars : head_chars + chars(total)], element)

    def words(self, data: bytes, n: int, element: _Element) -> list[int]:
        if len(data) < n * self.header.itemsize:
            self.refuse("the header of an array is cut off", element)
        return [int(word) for word in np.frombuffer(data, self.header, n)]

    def unpack(self, source: bytes, wanted: int | None, name: str, element: _Element) -> bytes:
        step = self.header.itemsize
        if not self.compressor:
            (size,) = self.words(source, 1, element)
            if wanted is not None and size != wanted:
                self.refuse(f"array {name!r} announces {size} bytes; {wanted} are wanted", element)
            if size > len(source) - step:
                self.refuse(f"array {name!r} announces {size} bytes; {len(source) - step} are left", element)
            return source[step : step + size]
        (n_blocks,) = self.words(source, 1, element)
        if n_blocks == 0:
            if wanted:
                self.refuse(f"array {name!r} is empty; {wanted} bytes are wanted", element)
            return b""
        if n_blocks > len(source) // step:
            self.refuse(f"array {name!r} announces {n_blocks} blocks, more than the file holds", element)
        _, block, last, *packed = self.words(source, 3 + n_blocks, element)
        size = block * (n_blocks - 1) + (last or block)
        if wanted is not None and size != wanted:
            self.refuse(f"array {name!r} announces {size} bytes; {wanted} are wanted", element)
        self.budget -= size
        if self.budget < 0 or sum(packed) > len(source):
            self.refuse(
                f"array {name!r} announces {size} bytes, more than this file can sensibly hold", element
            )
        out, at = [], (3 + n_blocks) * step
        for i, length in enumerate(packed):
            expected = block if i < n_blocks - 1 else last or block
            out.append(self.decompress(source[at : at + length], expected, name, element))
            at += length
        return b"".join(out)

    def decompress(self, packed: bytes, size: int, name: str, element: _Element) -> bytes:
        try:
            if self.compressor == "vtkZLibDataCompressor":
                out = zlib.decompressobj().decompress(packed, size + 1)
            else:
                out = lzma.LZMADecompressor(memlimit=64 << 20).decompress(packed, size + 1)
        except (zlib.error, lzma.LZMAError, EOFError) as error:
            raise MeshReadError(f"array {name!r}: {error}", file=self.file, line=element.line) from error
        if len(out) != size:
            self.refuse(f"array {name!r}: a block unpacks to another size than announced", element)
        return out


def read_vtu(path: str | Path) -> RawMesh:
    """Read an XML unstructured grid.

    Raises
    ------
    MeshReadError
        With the line of the array at fault.
    """
    xml = _Xml(path)
    grid_element = xml.root.find("UnstructuredGrid")
    if grid_element is None:
        xml.refuse("there is no <UnstructuredGrid>", xml.root)
    pieces = grid_element.all("Piece")
    if not pieces:
        xml.refuse("there is no <Piece>", grid_element)
    grids = [_piece(xml, piece) for piece in pieces]
    grid = grids[0] if len(grids) == 1 else _joined(grids)
    data = grid_element.find("FieldData")
    for element in data.children if data else []:
        name = element.attributes.get("Name", "")
        if element.tag == "DataArray" and _DTYPES.get(element.attributes.get("type", ""), "")[:1] in (
            "i",
            "u",
        ):
            grid.field_data[name] = xml.array(element, None)
        else:
            grid.skipped.append(f"field {name!r}")
    raw = _raw(grid, xml.file, "VTU")
    if len(grids) > 1:
        raw.notes.append(f"{len(grids)} pieces joined; points that lie on each other were not merged")
    return raw


def _piece(xml: _Xml, piece: _Element) -> _Grid:
    n_points, n_cells = xml.number(piece, "NumberOfPoints"), xml.number(piece, "NumberOfCells")
    points, cells = piece.find("Points"), piece.find("Cells")
    coordinates = points.find("DataArray") if points else None
    if coordinates is None or cells is None:
        xml.refuse("a piece wants <Points> with one array, and <Cells>", piece)
    arrays = {e.attributes.get("Name", ""): e for e in cells.all("DataArray")}
    for name in ("connectivity", "offsets", "types"):
        if name not in arrays:
            xml.refuse(f"<Cells> has no array {name!r}", cells)
    if xml.number(coordinates, "NumberOfComponents", 3) != 3:
        xml.refuse("points want 3 components", coordinates)
    xyz = xml.array(coordinates, 3 * n_points).astype(np.float64).reshape(-1, 3)
    offsets = _whole(xml, arrays["offsets"], xml.array(arrays["offsets"], n_cells))
    sizes = np.diff(offsets, prepend=0)
    if len(sizes) and (sizes.min() < 1 or offsets[-1] > 2**40):
        xml.refuse("offsets must increase", arrays["offsets"])
    n_conn = int(offsets[-1]) if len(offsets) else 0
    conn = _whole(xml, arrays["connectivity"], xml.array(arrays["connectivity"], n_conn))
    types = _whole(xml, arrays["types"], xml.array(arrays["types"], n_cells))
    grid = _Grid(xyz, types, offsets - sizes, sizes, conn)
    for tag, n, target in (("PointData", n_points, grid.point_data), ("CellData", n_cells, grid.cell_data)):
        data = piece.find(tag)
        for element in data.children if data else []:
            name = element.attributes.get("Name", "")
            kind = _DTYPES.get(element.attributes.get("type", ""), "")
            components = xml.number(element, "NumberOfComponents", 1)
            if element.tag == "DataArray" and kind[:1] in ("i", "u") and components == 1:
                target[name] = xml.array(element, n)
            else:
                grid.skipped.append(f"{'point' if tag == 'PointData' else 'cell'} array {name!r}")
    return grid


def _whole(xml: _Xml, element: _Element, values: np.ndarray[Any, Any]) -> IntArray:
    if values.dtype.kind not in "iu":
        xml.refuse(f"array {element.attributes.get('Name')!r} must hold whole numbers", element)
    return values.astype(np.int64)


def _joined(grids: list[_Grid]) -> _Grid:
    points = np.concatenate([g.points for g in grids])
    shift, at, parts = 0, 0, []
    starts = []
    for g in grids:
        # Points outside their own piece must not land in the next one.
        outside = (g.connectivity < 0) | (g.connectivity >= len(g.points))
        parts.append(np.where(outside, -1, g.connectivity + shift))
        starts.append(g.starts + at)
        shift += len(g.points)
        at += len(g.connectivity)
    out = _Grid(
        points,
        np.concatenate([g.types for g in grids]),
        np.concatenate(starts),
        np.concatenate([g.sizes for g in grids]),
        np.concatenate(parts),
        skipped=grids[0].skipped,
    )
    for which in ("point_data", "cell_data"):
        tables = [getattr(g, which) for g in grids]
        for name in tables[0]:
            if all(name in table for table in tables):
                getattr(out, which)[name] = np.concatenate([table[name] for table in tables])
            else:
                out.skipped.append(f"array {name!r}, which some pieces lack")
    return out


# --- legacy ---------------------------------------------------------------------------------------------

_LEGACY = {
    "char": "i1", "signed_char": "i1", "unsigned_char": "u1", "short": "i2", "unsigned_short": "u2",
    "int": "i4", "unsigned_int": "u4", "long": "i8", "unsigned_long": "u8", "long_long": "i8",
    "unsigned_long_long": "u8",
    "float": "f4", "double": "f8", "vtkidtype": "i4", "vtktypeint8": "i1", "vtktypeuint8": "u1",
    "vtktypeint16": "i2", "vtktypeuint16": "u2", "vtktypeint32": "i4", "vtktypeuint32": "u4",
    "vtktypeint64": "i8", "vtktypeuint64": "u8", "vtktypefloat32": "f4", "vtktypefloat64": "f8",
}  # fmt: skip


class _Legacy:
    """A legacy file and where we are in it."""

    def __init__(self, path: str | Path) -> None:
        self.file = str(path)
        self.data = read_bytes(path)
        self.at = 0
        first = self.line()
        match = re.match(r"#\s*vtk\s+DataFile\s+Version\s+(\d+)\.(\d+)", first, re.I)
        if match is None:
            self.refuse("the first line is not '# vtk DataFile Version ...'")
        self.version = (int(match.group(1)[:6]), int(match.group(2)[:6]))
        self.line()  # title
        kind = self.words()
        if not kind or kind[0].upper() not in ("ASCII", "BINARY"):
            self.refuse("ASCII or BINARY is wanted here")
        self.binary = kind[0].upper() == "BINARY"

    def refuse(self, reason: str) -> NoReturn:
        raise MeshReadError(reason, file=self.file, line=line_at(self.data, self.at - 1))

    def line(self) -> str:
        end = self.data.find(b"\n", self.at)
        end = len(self.data) if end < 0 else end
        text = self.data[self.at : end]
        self.at = min(end + 1, len(self.data))
        return text_of(text[:2000]).rstrip("\r")

    def words(self) -> list[str]:
        """Words of the next line that has any; none at the end."""
        while self.at < len(self.data):
            words = self.line().split()
            if words:
                return words
        return []

    def count(self, words: list[str], i: int) -> int:
        if i >= len(words) or not re.fullmatch(r"\d{1,12}", words[i]):
            self.refuse(f"{' '.join(words)[:60]!r}: a count is wanted")
        return int(words[i])

    def array(self, kind: str, n: int) -> np.ndarray[Any, Any]:
        dtype = _LEGACY.get(kind.lower())
        if dtype is None:
            self.refuse(f"data type {kind!r} is not read")
        if self.binary:
            big = np.dtype(">" + dtype)
            if n > (len(self.data) - self.at) // big.itemsize:
                room = (len(self.data) - self.at) // big.itemsize
                self.refuse(f"{n} values announced, the file has room for {room}")
            values = np.frombuffer(self.data, big, n, self.at)
            self.at += n * big.itemsize
            return values.astype(big.newbyteorder("="))
        end = self.after(n)
        exact = np.int64 if dtype[0] in "iu" else np.float64
        parsed = parse_numbers(self.data[self.at : end], exact)
        if parsed is None or len(parsed) != n:
            self.refuse(f"{n} values announced; something else stands among them")
        self.at = end
        return parsed

    def after(self, n: int) -> int:
        """Where n blank-separated words end."""
        left = len(self.data) - self.at
        if 2 * n - 1 > left:
            self.refuse(f"{n} values announced, {left} bytes are left")
        window = 12 * n + 64
        while True:
            blank = np.isin(np.frombuffer(self.data[self.at : self.at + window], np.uint8), (32, 9, 10, 13))
            begins = np.flatnonzero(~blank & np.append(True, blank[:-1]))
            if len(begins) > n:
                return self.at + int(begins[n])
            if window >= left:
                if len(begins) < n:
                    self.refuse(f"{n} values announced, {len(begins)} are there")
                return len(self.data)
            window *= 2


def read_vtk(path: str | Path) -> RawMesh:
    """Read a legacy VTK file with an unstructured grid.

    Raises
    ------
    MeshReadError
        With the line (ASCII), or the line where the section begins.
    """
    f = _Legacy(path)
    words = f.words()
    if len(words) < 2 or words[0].upper() != "DATASET":
        f.refuse("DATASET is wanted here")
    if words[1].upper() != "UNSTRUCTURED_GRID":
        f.refuse(f"a dataset of type {words[1]}; UNSTRUCTURED_GRID is read")
    points: FloatArray | None = None
    types: IntArray | None = None
    cells: tuple[IntArray, IntArray, IntArray] | None = None
    tables: dict[str, dict[str, np.ndarray[Any, Any]]] = {"POINT_DATA": {}, "CELL_DATA": {}, "": {}}
    lengths = {"POINT_DATA": -1, "CELL_DATA": -1}
    skipped: list[str] = []
    where = ""
    while words := f.words():
        key = words[0].upper()
        if key == "POINTS":
            n = f.count(words, 1)
            points = f.array(words[2] if len(words) > 2 else "float", 3 * n).astype(np.float64).reshape(-1, 3)
        elif key == "CELLS":
            cells = _legacy_cells(f, words)
        elif key == "CELL_TYPES":
            types = f.array("int", f.count(words, 1)).astype(np.int64)
        elif key in lengths:
            where = key
            lengths[key] = f.count(words, 1)
        elif key == "METADATA":
            while f.at < len(f.data) and f.line().strip():
                pass
        else:
            _legacy_attribute(f, key, words, where, lengths.get(where, -1), tables[where], skipped)
    if points is None or cells is None or types is None:
        missing = "POINTS" if points is None else "CELLS" if cells is None else "CELL_TYPES"
        f.refuse(f"there is no {missing} section")
    for key, n in (("POINT_DATA", len(points)), ("CELL_DATA", len(types))):
        if lengths[key] not in (-1, n):
            f.refuse(f"{key} announces {lengths[key]} values; there are {n}")
    starts, sizes, conn = cells
    data = tables["POINT_DATA"], tables["CELL_DATA"], tables[""]
    grid = _Grid(points, types, starts, sizes, conn, *data, skipped)
    return _raw(grid, f.file, f"legacy VTK {'binary' if f.binary else 'ASCII'}")


def _legacy_cells(f: _Legacy, words: list[str]) -> tuple[IntArray, IntArray, IntArray]:
    """Start and size of each cell, and the connectivity."""
    n, size = f.count(words, 1), f.count(words, 2)
    if f.version >= (5, 0):
        head = f.words()
        if len(head) < 2 or head[0].upper() != "OFFSETS":
            f.refuse("OFFSETS is wanted after CELLS")
        offsets = f.array(head[1], n).astype(np.int64)
        head = f.words()
        if len(head) < 2 or head[0].upper() != "CONNECTIVITY":
            f.refuse("CONNECTIVITY is wanted after OFFSETS")
        conn = f.array(head[1], size).astype(np.int64)
        if len(offsets) and (offsets[0] != 0 or offsets[-1] != size or (np.diff(offsets) < 1).any()):
            f.refuse("OFFSETS must run upward from 0 to the length of CONNECTIVITY")
        return offsets[:-1], np.diff(offsets), conn
    flat = f.array("int", size).astype(np.int64)
    value, at = flat.item, 0
    begins = []
    for cell in range(n):
        length = value(at) if at < size else 0
        if length < 1 or at + length >= size:
            f.refuse(f"CELLS announces {n} cells in {size} numbers; cell {cell} does not fit")
        begins.append(at)
        at += length + 1
    starts = np.array(begins, np.int64)
    if at != size:
        f.refuse(f"CELLS announces {size} numbers; the cells use {at}")
    return starts + 1, flat[starts], flat


def _legacy_attribute(
    f: _Legacy,
    key: str,
    words: list[str],
    where: str,
    n: int,
    table: dict[str, np.ndarray[Any, Any]],
    skipped: list[str],
) -> None:
    kind = "point" if where == "POINT_DATA" else "cell" if where else "field"

    def keep(name: str, values: np.ndarray[Any, Any], components: int) -> None:
        if values.dtype.kind in "iu" and (components == 1 or not where):
            table[name] = values
        else:
            skipped.append(f"{kind} array {name!r}")

    if key == "FIELD":
        for _ in range(f.count(words, 2)):
            head = f.words()
            if len(head) == 1 and head[0].upper() == "METADATA":
                while f.at < len(f.data) and f.line().strip():
                    pass
                head = f.words()
            components, rows = f.count(head, 1), f.count(head, 2)
            if where and rows != n:
                f.refuse(f"array {head[0]!r} has {rows} rows; {n} are wanted")
            if len(head) > 3 and head[3].lower() == "string":
                f.refuse(f"array {head[0]!r} holds text, which is not read")
            keep(
                unquote(head[0]),
                f.array(head[3] if len(head) > 3 else "float", components * rows),
                components,
            )
        return
    if not where:
        f.refuse(f"{words[0][:40]!r} is no section of an unstructured grid")
    name = unquote(words[1]) if len(words) > 1 else ""
    if key == "SCALARS":
        components = f.count(words, 3) if len(words) > 3 else 1
        position = f.at
        head = f.words()
        if not head or head[0].upper() != "LOOKUP_TABLE":
            f.at = position
        keep(name, f.array(words[2] if len(words) > 2 else "float", components * n), components)
    elif key in ("VECTORS", "NORMALS", "TENSORS", "TENSORS6"):
        width = {"TENSORS": 9, "TENSORS6": 6}.get(key, 3)
        keep(name, f.array(words[2] if len(words) > 2 else "float", width * n), width)
    elif key in ("GLOBAL_IDS", "PEDIGREE_IDS"):
        f.array(words[2] if len(words) > 2 else "int", n)
        skipped.append(f"{kind} array {name!r}")
    elif key == "TEXTURE_COORDINATES":
        f.array(words[3] if len(words) > 3 else "float", f.count(words, 2) * n)
        skipped.append(f"{kind} array {name!r}")
    elif key == "COLOR_SCALARS":
        f.array("unsigned_char" if f.binary else "float", f.count(words, 2) * n)
        skipped.append(f"{kind} array {name!r}")
    elif key == "LOOKUP_TABLE":
        f.array("unsigned_char" if f.binary else "float", 4 * f.count(words, 2))
    else:
        f.refuse(f"{words[0][:40]!r} is no section of an unstructured grid")


# --- writing --------------------------------------------------------------------------------------------


def write(mesh: Mesh, path: str | Path, factor: float) -> None:
    """Write a .vtu with groups as arrays 'group:name' of points and cells, and tables of facets."""
    point_data: dict[str, np.ndarray[Any, Any]] = {}
    cell_data: dict[str, np.ndarray[Any, Any]] = {}
    field_data: dict[str, np.ndarray[Any, Any]] = {}
    for name, group in mesh.groups.items():
        if group.nodes is not None:
            point_data[GROUP + name] = np.zeros(mesh.n_points, np.uint8)
            point_data[GROUP + name][group.nodes] = 1
        if group.cells is not None:
            cell_data[GROUP + name] = np.zeros(mesh.n_cells, np.uint8)
            cell_data[GROUP + name][group.cells] = 1
        if group.facets is not None:
            field_data[FACETS + name] = group.facets
    write_vtu(path, mesh.points / factor, mesh.cells, point_data, cell_data, field_data=field_data)
