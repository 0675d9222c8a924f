"""Gmsh MSH 2.2 and 4.1, ASCII and binary.

Source: Gmsh reference manual, "Gmsh file formats" (MSH 4.1, MSH 2.2) and "Node ordering".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError, MeshReadError
from designtwin.io._common import (
    RawBlock,
    RawMesh,
    edge_permutation,
    format_rows,
    line_at,
    numbers,
    read_bytes,
    text_of,
    token_offset,
    whole,
)
from designtwin.io.files import atomic
from designtwin.mesh import Mesh
from designtwin.typing import FloatArray, IntArray

# type number: (meshio name, nodes)
TYPES: dict[int, tuple[str, int]] = {
    1: ("line", 2), 2: ("triangle", 3), 3: ("quad", 4), 4: ("tetra", 4), 5: ("hexahedron", 8),
    6: ("wedge", 6), 7: ("pyramid", 5), 8: ("line3", 3), 9: ("triangle6", 6), 10: ("quad9", 9),
    11: ("tetra10", 10), 12: ("hexahedron27", 27), 13: ("wedge18", 18), 14: ("pyramid14", 14),
    15: ("vertex", 1), 16: ("quad8", 8), 17: ("hexahedron20", 20), 18: ("wedge15", 15), 19: ("pyramid13", 13),
}  # fmt: skip
DIMENSION = {name: d for names, d in (
    (("vertex",), 0), (("line", "line3"), 1), (("triangle", "triangle6", "quad", "quad8", "quad9"), 2),
) for name in names}  # fmt: skip

_HEX_EDGES = (
    (0, 1), (0, 3), (0, 4), (1, 2), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 7), (5, 6), (6, 7),
)  # fmt: skip
_WEDGE_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 4), (2, 5), (3, 4), (3, 5), (4, 5))
_PYRAMID_EDGES = ((0, 1), (0, 3), (0, 4), (1, 2), (1, 4), (2, 3), (2, 4), (3, 4))
_TET_EDGES = ((0, 1), (1, 2), (2, 0), (3, 0), (3, 2), (3, 1))
# Our column j is gmsh's column ORDER[name][j]; center nodes of the fuller types follow in gmsh's order.
ORDER: dict[str, IntArray] = {
    "tetra10": edge_permutation("tetra10", _TET_EDGES),
    "hexahedron20": edge_permutation("hexahedron20", _HEX_EDGES),
    "wedge15": edge_permutation("wedge15", _WEDGE_EDGES),
    "pyramid13": edge_permutation("pyramid13", _PYRAMID_EDGES),
}
ORDER["hexahedron27"] = np.append(ORDER["hexahedron20"], np.arange(20, 27))
ORDER["wedge18"] = np.append(ORDER["wedge15"], np.arange(15, 18))
ORDER["pyramid14"] = np.append(ORDER["pyramid13"], 13)

# Sections whose absence from the mesh needs no word.
_QUIET = {"MeshFormat", "PhysicalNames", "Entities", "PartitionedEntities", "Nodes", "Elements", "Comments"}
_DIMENSION_WORD = {0: "point", 1: "curve", 2: "surface", 3: "volume"}


@dataclass
class _File:
    """A file being read, and what was found so far."""

    data: bytes
    name: str
    binary: bool = False
    order: str = "<"
    size: str = "u8"
    names: dict[tuple[int, int], str] = field(default_factory=dict)
    physical: dict[tuple[int, int], list[int]] = field(default_factory=dict)  # of (dimension, entity)
    node_ids: list[IntArray] = field(default_factory=list)
    points: list[FloatArray] = field(default_factory=list)
    # (type number, element ids, nodes, physical tags) of each run of elements
    elements: list[tuple[int, IntArray, IntArray, list[int]]] = field(default_factory=list)
    # version 2: (type number, element ids, nodes, physical tag, entity) of each run
    tagged: list[tuple[int, IntArray, IntArray, IntArray, IntArray]] = field(default_factory=list)
    tagged_rows: dict[tuple[int, int], IntArray] = field(
        default_factory=dict
    )  # of (type number, physical tag)
    partitioned: bool = False
    notes: list[str] = field(default_factory=list)

    def refuse(self, reason: str, offset: int | None = None) -> NoReturn:
        line = None if self.binary or offset is None else line_at(self.data, offset)
        if self.binary and offset is not None:
            reason += f" (byte {offset})"
        raise MeshReadError(reason, file=self.name, line=line)


def read(path: str | Path) -> RawMesh:
    """Read a .msh file of gmsh.

    Raises
    ------
    MeshReadError
        With the line, or the byte of a binary file.
    """
    f = _File(read_bytes(path), str(path))
    at = f.data.find(b"$MeshFormat")
    if at < 0:
        f.refuse("no $MeshFormat section: not a gmsh file (ANSYS Fluent .msh files need format='ansys')")
    version, position = _mesh_format(f, at)
    skipped: dict[str, int] = {}
    seen: set[str] = set()
    while True:
        match = re.compile(rb"^\$(\w+)[ \t\r]*$", re.M).search(f.data, position)
        if match is None:
            break
        section, body = match.group(1).decode(), match.end() + 1
        if section.startswith("End"):
            position = match.end()
            continue
        seen.add(section)
        if f.binary and section in ("Nodes", "Elements", "Entities", "PartitionedEntities"):
            reader = _BINARY.get((version, section))
            if reader is None:
                f.refuse(f"section ${section} does not belong to version {version}", match.start())
            position = reader(f, body)
            continue
        end = f.data.find(b"$End" + section.encode(), body)
        if end < 0:
            f.refuse(f"section ${section} has no end; the file is cut off", match.start())
        if (version, section) in _ASCII:
            _ASCII[version, section](f, body, end)
        elif section == "PhysicalNames":
            _physical_names(f, body, end)
        elif section not in _QUIET:
            skipped[section] = skipped.get(section, 0) + 1
        position = end + 4 + len(section)
    for section in ("Nodes", "Elements"):
        if section not in seen and not (section == "Nodes" and "ParametricNodes" in seen and not f.binary):
            f.refuse(f"no ${section} section")
    if skipped:
        f.notes.append("not read: " + ", ".join(f"${name}" for name in sorted(skipped)))
    return _raw(f, version)


def _mesh_format(f: _File, at: int) -> tuple[str, int]:
    end_of_line = f.data.find(b"\n", at)
    second = f.data.find(b"\n", end_of_line + 1)
    words = f.data[end_of_line + 1 : second].split() if end_of_line >= 0 and second >= 0 else []
    if len(words) != 3:
        f.refuse("$MeshFormat wants a version, 0 or 1, and a data size", at)
    version, kind, size = (w.decode("ascii", "replace") for w in words)
    if version not in ("2", "2.0", "2.1", "2.2", "4.1"):
        f.refuse(
            f"MSH version {version} is not read; save it from gmsh as 4.1 or 2.2 "
            "(gmsh file.msh -save -format msh41)",
            end_of_line + 1,
        )
    if kind not in ("0", "1") or size not in ("4", "8"):
        f.refuse(
            f"$MeshFormat says {kind} {size}; a kind of 0 or 1 and a size of 4 or 8 are known",
            end_of_line + 1,
        )
    position = second + 1
    if kind == "1":
        f.binary = True
        one = f.data[position : position + 4]
        if one == b"\x01\x00\x00\x00":
            f.order = "<"
        elif one == b"\x00\x00\x00\x01":
            f.order = ">"
        else:
            f.refuse("the byte order mark of the binary file is damaged", position)
        f.size = "u" + size
        position += 4
    return "4.1" if version == "4.1" else "2.2", position


def _physical_names(f: _File, body: int, end: int) -> None:
    lines = f.data[body:end].split(b"\n")
    offset = body + len(lines[0]) + 1
    for line in lines[1:]:
        text = text_of(line.strip())
        if text:
            match = re.fullmatch(r'(\d+)\s+(-?\d+)\s+"(.*)"', text) or re.fullmatch(
                r"(\d+)\s+(-?\d+)\s+(\S+)", text
            )
            if match is None or len(match.group(1)) > 1 or len(match.group(2)) > 12:
                f.refuse(
                    f"physical name {text[:60]!r}: a dimension, a tag and a quoted name are wanted", offset
                )
            f.names[int(match.group(1)), abs(int(match.group(2)))] = match.group(3).strip()
        offset += len(line) + 1


# --- ASCII ----------------------------------------------------------------------------------------------


class _Tokens:
    """Numbers of a section, taken in order."""

    def __init__(
        self, f: _File, body: int, end: int, dtype: type[np.float64] | type[np.int64], what: str
    ) -> None:
        self.f, self.body, self.what = f, body, what
        self.values = numbers(f.data, body, end, dtype, file=f.name, what=what)
        self.at = 0

    def refuse(self, reason: str, index: int | None = None) -> NoReturn:
        at = self.at if index is None else index
        self.f.refuse(f"{self.what}: {reason}", token_offset(self.f.data, self.body, at))

    def take(self, n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        if n < 0 or self.at + n > len(self.values):
            self.refuse(f"{n} more numbers announced, {len(self.values) - self.at} are there")
        self.at += n
        return self.values[self.at - n : self.at]

    def whole(self, n: int, what: str) -> IntArray:
        at = self.at
        return whole(self.take(n), lambda i: self.refuse(f"{what} must be a whole number", at + i))

    def ints(self, n: int) -> list[int]:
        at = self.at
        values = self.take(n).tolist()
        if any(x != x // 1 for x in values):
            self.refuse("a whole number is wanted", at)
        return [int(x) for x in values]


def _entities_41(f: _File, body: int, end: int, partitioned: bool = False) -> None:
    t = _Tokens(f, body, end, np.float64, "$PartitionedEntities" if partitioned else "$Entities")
    if partitioned:
        (n_parts,) = t.ints(1)
        f.notes.append(f"{n_parts} partitions joined")
        (n_ghost,) = t.ints(1)
        t.take(2 * n_ghost if n_ghost >= 0 else -1)
    counts = t.ints(4)
    rest = t.values[t.at :].tolist()  # thousands of short records: a plain list is quicker than slices
    at = 0

    def count_at(i: int) -> int:
        n = rest[i] if i < len(rest) else -1.0
        if not 0 <= n <= len(rest) - i - 1 or n != int(n):
            t.refuse("a count is wanted that the section can hold", t.at + min(i, len(rest) - 1))
        return int(n)

    for dimension, count in enumerate(counts):
        if count < 0 or count > len(rest):
            t.refuse(f"{count} entities announced, more than the section can hold")
        for _ in range(count):
            tag = at
            at += 1
            if partitioned:
                at += 3 + count_at(at + 2)
            at += 3 if dimension == 0 else 6
            n = count_at(at)
            tags = rest[at + 1 : at + 1 + n]
            if any(x != x // 1 for x in [rest[tag], *tags]):
                t.refuse("a tag is a whole number", t.at + tag)
            f.physical[dimension, int(rest[tag])] = [abs(int(x)) for x in tags]
            at += 1 + n
            if dimension:
                at += 1 + count_at(at)


def _nodes_41(f: _File, body: int, end: int) -> None:
    t = _Tokens(f, body, end, np.float64, "$Nodes")
    n_blocks, n_nodes, _, _ = t.ints(4)
    for _ in range(n_blocks):
        dimension, _, parametric, n = t.ints(4)
        if dimension not in (0, 1, 2, 3) or parametric not in (0, 1):
            t.refuse("a node block wants a dimension 0 to 3, a tag, 0 or 1, and a count", t.at - 4)
        f.node_ids.append(t.whole(n, "a node tag"))
        width = 3 + (dimension if parametric else 0)
        f.points.append(t.take(n * width).reshape(n, width)[:, :3])
    _count(t, n_nodes, sum(map(len, f.node_ids)), "nodes")


def _elements_41(f: _File, body: int, end: int) -> None:
    t = _Tokens(f, body, end, np.int64, "$Elements")
    n_blocks, n_elements, _, _ = t.ints(4)
    total = 0
    for _ in range(n_blocks):
        dimension, entity, kind, n = t.ints(4)
        width = _width(kind, lambda reason: t.refuse(reason, t.at - 2))
        rows = t.take(n * (1 + width)).reshape(n, 1 + width).astype(np.int64)
        f.elements.append((kind, rows[:, 0], rows[:, 1:], f.physical.get((dimension, entity), [])))
        total += n
    _count(t, n_elements, total, "elements")


def _count(t: _Tokens, announced: int, found: int, what: str) -> None:
    if announced != found:
        t.refuse(f"the header announces {announced} {what}, the blocks hold {found}", 0)
    if t.at != len(t.values):
        t.refuse(f"{len(t.values) - t.at} numbers too many")


def _width(kind: int, complain: Callable[[str], NoReturn]) -> int:
    if kind not in TYPES:
        complain(f"element type {kind} is not supported; supported are gmsh's types 1 to 19 (orders 1 and 2)")
    return TYPES[kind][1]


def _nodes_22(f: _File, body: int, end: int) -> None:
    t = _Tokens(f, body, end, np.float64, "$Nodes")
    (n,) = t.ints(1)
    rows = t.take(4 * n if n >= 0 else -1).reshape(-1, 4)
    f.node_ids.append(whole(rows[:, 0], lambda i: t.refuse("a node number is a whole number", 1 + 4 * i)))
    f.points.append(rows[:, 1:])
    _count(t, n, len(rows), "nodes")


def _parametric_nodes_22(f: _File, body: int, end: int) -> None:
    """Rows of number, x, y, z, dimension, entity, and a parameter per dimension of curves and surfaces."""
    t = _Tokens(f, body, end, np.float64, "$ParametricNodes")
    (n,) = t.ints(1)
    starts = []
    for _ in range(n):
        starts.append(t.at)
        width = {0.0: 6, 1.0: 7, 2.0: 8, 3.0: 6}.get(float(t.take(5)[4]))
        if width is None:
            t.refuse("the dimension of an entity is 0 to 3", t.at - 1)
        t.take(width - 5)
    rows = np.array(starts, np.int64)
    ids = t.values[rows] if n else np.empty(0)
    f.node_ids.append(whole(ids, lambda i: t.refuse("a node number is a whole number", starts[i])))
    f.points.append(t.values[rows[:, None] + np.arange(1, 4)] if n else np.empty((0, 3)))
    _count(t, n, len(rows), "nodes")


def _elements_22(f: _File, body: int, end: int) -> None:
    t = _Tokens(f, body, end, np.int64, "$Elements")
    (n,) = t.ints(1)
    value, size, at = t.values.item, len(t.values), t.at
    found: dict[tuple[int, int], list[int]] = {}  # by type and number of tags: where each element begins
    for done in range(n):
        if at + 3 > size:
            t.refuse(f"{n} elements announced, {done} are there", size)
        kind, n_tags = value(at + 1), value(at + 2)
        width = TYPES[kind][1] if kind in TYPES else _width(kind, partial(t.refuse, index=at + 1))
        if n_tags < 0 or at + 3 + n_tags + width > size:
            t.refuse(f"an element announces {n_tags} tags, which are not there", at + 2)
        found.setdefault((kind, n_tags), []).append(at)
        at += 3 + n_tags + width
    t.at = at
    for (kind, n_tags), starts in found.items():
        stride = 3 + n_tags + TYPES[kind][1]
        rows = t.values[np.array(starts)[:, None] + np.arange(stride)]
        _add_22(f, kind, n_tags, rows[:, 0], rows[:, 3:])
    _count(t, n, n, "elements")


def _add_22(f: _File, kind: int, n_tags: int, ids: IntArray, rest: IntArray) -> None:
    none = np.zeros(len(ids), np.int64)
    f.tagged.append(
        (
            kind,
            ids,
            rest[:, n_tags:],
            np.abs(rest[:, 0]) if n_tags > 0 else none,
            rest[:, 1] if n_tags > 1 else none,
        )
    )
    f.partitioned |= n_tags > 2 and bool((rest[:, 2] > 1).any())


def _untag_22(f: _File) -> None:
    """Elements by type and physical tag.

    An element in several physical groups stands in the file once for each.
    """
    for kind in dict.fromkeys(part[0] for part in f.tagged):
        parts = [part[1:] for part in f.tagged if part[0] == kind]
        ids, conn, physical, entity = (np.concatenate(column) for column in zip(*parts))
        same = _first_of_equals(np.column_stack([conn, entity]))
        # Copies under one tag are the file's own mistake: they stay, and the mesh doctor names them.
        pairs = np.column_stack([same, physical])
        again = np.flatnonzero(same != np.arange(len(same)))
        if len(again):
            _, first = np.unique(pairs, axis=0, return_index=True)
            once = np.zeros(len(pairs), bool)
            once[first] = True
            same[~once] = np.flatnonzero(~once)
        keep = same == np.arange(len(same))
        row = np.cumsum(keep) - 1
        f.elements.append((kind, ids[keep], conn[keep], []))
        for tag in np.unique(physical):
            if tag:
                f.tagged_rows.setdefault((kind, int(tag)), np.unique(row[same[physical == tag]]))
        if not keep.all():
            f.notes.append(
                f"{int((~keep).sum())} {TYPES[kind][0]} elements are copies with a further physical tag; "
                "each is one cell in several groups"
            )


def _first_of_equals(rows: IntArray) -> IntArray:
    """For each row the first row equal to it."""
    # Equal rows have equal keys; that equal keys mean equal rows is checked below.
    weights = np.random.default_rng(1).integers(1, 2**62, rows.shape[1], np.int64)
    key = (rows * weights).sum(axis=1)
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    same = np.asarray(first[inverse.reshape(-1)], np.int64)
    differ = (rows[same] != rows).any(axis=1)
    same[differ] = np.flatnonzero(differ)
    return same


# --- binary ---------------------------------------------------------------------------------------------


class _Bytes:
    """Numbers of a binary section, taken in order; never more than the file holds."""

    def __init__(self, f: _File, body: int, what: str) -> None:
        self.f, self.at, self.what = f, body, what

    def refuse(self, reason: str) -> NoReturn:
        self.f.refuse(f"{self.what}: {reason}", self.at)

    def take(self, kind: str, n: int) -> np.ndarray[Any, Any]:
        dtype = np.dtype(self.f.order + kind)
        left = (len(self.f.data) - self.at) // dtype.itemsize
        if n < 0 or n > left:
            self.refuse(f"{n} numbers announced, the file has room for {left}")
        out = np.frombuffer(self.f.data, dtype, n, self.at)
        self.at += n * dtype.itemsize
        return out

    def ints(self, n: int) -> list[int]:
        return [int(i) for i in self.take("i4", n)]

    def sizes(self, n: int) -> list[int]:
        return [int(i) for i in self.take(self.f.size, n)]

    def line(self) -> int:
        """A count on a line of text of its own (version 2)."""
        end = self.f.data.find(b"\n", self.at, self.at + 40)
        word = self.f.data[self.at : end].strip() if end >= 0 else b""
        if not word.isdigit():
            self.refuse("a count is wanted here")
        self.at = end + 1
        return int(word)

    def end(self, section: str) -> int:
        found = self.f.data[self.at : self.at + 8 + len(section)].lstrip(b"\r\n")
        if not found.startswith(b"$End" + section.encode()):
            self.refuse(f"$End{section} is not where the counts put it")
        return self.f.data.index(b"$End", self.at) + 4 + len(section)


def _entities_41_binary(f: _File, body: int, partitioned: bool = False) -> int:
    section = "PartitionedEntities" if partitioned else "Entities"
    b = _Bytes(f, body, f"${section}")
    if partitioned:
        n_parts, n_ghost = b.sizes(2)
        f.notes.append(f"{n_parts} partitions joined")
        b.take("i4", 2 * n_ghost)
    counts = b.sizes(4)
    for dimension, count in enumerate(counts):
        if count * 28 > len(f.data):
            b.refuse(f"{count} entities announced, more than the file can hold")
        for _ in range(count):
            (tag,) = b.ints(1)
            if partitioned:
                b.take("i4", 2)
                b.take("i4", b.sizes(1)[0])
            b.take("f8", 3 if dimension == 0 else 6)
            f.physical[dimension, tag] = [abs(p) for p in b.ints(b.sizes(1)[0])]
            if dimension:
                b.take("i4", b.sizes(1)[0])
    return b.end(section)


def _nodes_41_binary(f: _File, body: int) -> int:
    b = _Bytes(f, body, "$Nodes")
    n_blocks, n_nodes, _, _ = b.sizes(4)
    for _ in range(n_blocks):
        dimension, _, parametric = b.ints(3)
        (n,) = b.sizes(1)
        if dimension not in (0, 1, 2, 3) or parametric not in (0, 1):
            b.refuse("a node block wants a dimension 0 to 3, a tag, and 0 or 1")
        f.node_ids.append(_signed(b, b.take(f.size, n)))
        width = 3 + (dimension if parametric else 0)
        f.points.append(b.take("f8", n * width).reshape(n, width)[:, :3])
    if n_nodes != sum(map(len, f.node_ids)):
        b.refuse(f"the header announces {n_nodes} nodes, the blocks hold {sum(map(len, f.node_ids))}")
    return b.end("Nodes")


def _elements_41_binary(f: _File, body: int) -> int:
    b = _Bytes(f, body, "$Elements")
    n_blocks, n_elements, _, _ = b.sizes(4)
    total = 0
    for _ in range(n_blocks):
        dimension, entity, kind = b.ints(3)
        (n,) = b.sizes(1)
        width = _width(kind, b.refuse)
        rows = _signed(b, b.take(f.size, n * (1 + width))).reshape(n, 1 + width)
        f.elements.append((kind, rows[:, 0], rows[:, 1:], f.physical.get((dimension, entity), [])))
        total += n
    if n_elements != total:
        b.refuse(f"the header announces {n_elements} elements, the blocks hold {total}")
    return b.end("Elements")


def _signed(b: _Bytes, tags: np.ndarray[Any, Any]) -> IntArray:
    if len(tags) and int(tags.max()) >= 2**53:
        b.refuse(f"a tag of {int(tags.max())} cannot be")
    return tags.astype(np.int64)


def _nodes_22_binary(f: _File, body: int) -> int:
    b = _Bytes(f, body, "$Nodes")
    n = b.line()
    raw = b.take("u1", 28 * n).view(np.dtype([("id", f.order + "i4"), ("x", f.order + "f8", 3)]))
    f.node_ids.append(raw["id"].astype(np.int64))
    f.points.append(raw["x"].astype(np.float64))
    return b.end("Nodes")


def _elements_22_binary(f: _File, body: int) -> int:
    b = _Bytes(f, body, "$Elements")
    n = b.line()
    values = np.frombuffer(f.data, f.order + "i4", (len(f.data) - b.at) // 4, b.at)
    value, size, at, done = values.item, len(values), 0, 0
    found: dict[
        tuple[int, int], list[tuple[int, int]]
    ] = {}  # by type and tags: where a block begins, its length
    while done < n:
        if at + 3 > size:
            b.refuse(f"{n} elements announced, {done} are there")
        kind, follow, n_tags = value(at), value(at + 1), value(at + 2)
        stride = 1 + n_tags + (TYPES[kind][1] if kind in TYPES else _width(kind, b.refuse))
        if follow < 1 or follow > n - done or n_tags < 0 or at + 3 + follow * stride > size:
            b.refuse(f"a block of {follow} elements with {n_tags} tags cannot be; {n - done} are left")
        found.setdefault((kind, n_tags), []).append((at + 3, follow))
        at += 3 + follow * stride
        done += follow
    for (kind, n_tags), blocks in found.items():
        stride = 1 + n_tags + TYPES[kind][1]
        begins, lengths = np.array(blocks).T
        nth = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = values[(np.repeat(begins, lengths) + stride * nth)[:, None] + np.arange(stride)].astype(
            np.int64
        )
        _add_22(f, kind, n_tags, rows[:, 0], rows[:, 1:])
    b.at += 4 * at
    return b.end("Elements")


_ASCII: dict[tuple[str, str], Callable[[_File, int, int], None]] = {
    ("4.1", "Entities"): _entities_41,
    ("4.1", "PartitionedEntities"): partial(_entities_41, partitioned=True),
    ("4.1", "Nodes"): _nodes_41,
    ("4.1", "Elements"): _elements_41,
    ("2.2", "Nodes"): _nodes_22,
    ("2.2", "ParametricNodes"): _parametric_nodes_22,
    ("2.2", "Elements"): _elements_22,
}
_BINARY: dict[tuple[str, str], Callable[[_File, int], int]] = {
    ("4.1", "Entities"): _entities_41_binary,
    ("4.1", "PartitionedEntities"): partial(_entities_41_binary, partitioned=True),
    ("4.1", "Nodes"): _nodes_41_binary,
    ("4.1", "Elements"): _elements_41_binary,
    ("2.2", "Nodes"): _nodes_22_binary,
    ("2.2", "Elements"): _elements_22_binary,
}


# --- from tags to groups --------------------------------------------------------------------------------


def _raw(f: _File, version: str) -> RawMesh:
    if version == "2.2":
        _untag_22(f)
        if f.partitioned:
            f.notes.append("partitions joined")
    raw = RawMesh(
        f"gmsh {version} {'binary' if f.binary else 'ASCII'}",
        f.name,
        np.concatenate(f.node_ids) if f.node_ids else np.empty(0, np.int64),
        np.concatenate(f.points) if f.points else np.empty((0, 3)),
        [],
        notes=f.notes,
    )
    members: dict[tuple[int, int], list[IntArray]] = {}
    start = 0
    for kind in dict.fromkeys(part[0] for part in f.elements):
        parts = [part for part in f.elements if part[0] == kind]
        name = TYPES[kind][0]
        dimension = DIMENSION.get(name, 3)
        ids = np.concatenate([part[1] for part in parts])
        conn = np.concatenate([part[2] for part in parts])
        # Entities tear apart what was numbered in one go: the elements' own numbers restore the order.
        order = np.argsort(ids, kind="stable")
        row = np.empty(len(ids), np.int64)
        row[order] = np.arange(len(ids))
        conn = conn[order][:, ORDER[name]] if name in ORDER else conn[order]
        raw.blocks.append(RawBlock(name, conn, ids[order]))
        at = 0
        for _, part_ids, _, tags in parts:
            for tag in dict.fromkeys(tags):
                members.setdefault((dimension, tag), []).append(start + row[at : at + len(part_ids)])
            at += len(part_ids)
        for (other, tag), rows in f.tagged_rows.items():
            if other == kind:
                members.setdefault((dimension, tag), []).append(start + row[rows])
        start += len(ids)
    for label in f.names.values():  # in the file's order; a name without elements is an empty group
        if label:
            raw.group(label)
    unnamed = [key for key in members if not f.names.get(key)]
    for dimension, tag in members:
        label = f.names.get((dimension, tag), "")
        if not label:
            clash = sum(other == tag for _, other in unnamed) > 1
            label = f"group_{tag}_{_DIMENSION_WORD[dimension]}" if clash else f"group_{tag}"
        raw.group(label).cells.extend(members[dimension, tag])
    return raw


# --- writing --------------------------------------------------------------------------------------------

_NUMBER = {name: number for number, (name, _) in TYPES.items()}
_BACK = {name: np.argsort(columns) for name, columns in ORDER.items()}


def _signatures(n: int, members: list[tuple[int, IntArray]]) -> tuple[IntArray, list[tuple[int, ...]]]:
    """Number n things by the physical tags they carry: a number for each, and the tags of each number."""
    number = np.zeros(n, np.int64)
    sets: list[tuple[int, ...]] = [()]
    for tag, rows in members:
        inside = np.zeros(n, np.int64)
        inside[rows] = 1
        keys, number = np.unique(2 * number + inside, return_inverse=True)
        sets = [sets[key >> 1] + ((tag,) if key & 1 else ()) for key in keys.tolist()]
    return number.reshape(-1), sets


def write(mesh: Mesh, path: str | Path, factor: float) -> None:
    """Write MSH 4.1 in ASCII; groups become physical groups of all dimensions they have members in.

    Raises
    ------
    MeshError
        If a group's name cannot stand between quotes.
    """
    for name in mesh.groups:
        if '"' in name or "\n" in name or not name.strip() or name != name.strip():
            raise MeshError(f"{path}: group name {name!r} cannot stand in a gmsh file")
    groups = list(mesh.groups.values())
    tag_of = dict(zip(mesh.groups, range(1, len(groups) + 1)))
    names: set[tuple[int, str]] = set()
    # by dimension: tags of each entity, and blocks (entity, kind, element ids, nodes)
    entities: dict[int, list[tuple[int, ...]]] = {d: [] for d in range(4)}
    blocks: list[tuple[int, int, str, IntArray, IntArray]] = []

    def add(
        dimension: int,
        kind: str,
        tags: list[tuple[int, ...]],
        number: IntArray,
        ids: IntArray,
        conn: IntArray,
    ) -> None:
        for i in np.unique(number).tolist():
            if tags[i] not in entities[dimension]:
                entities[dimension].append(tags[i])
            rows = np.flatnonzero(number == i)
            entity = entities[dimension].index(tags[i]) + 1
            blocks.append((dimension, entity, kind, ids[rows], conn[rows]))

    number, tags = _signatures(
        mesh.n_cells, [(t, g.cells) for t, g in enumerate(groups, 1) if g.cells is not None]
    )
    for kind, cell_ids, conn in mesh.blocks():
        add(ELEMENTS[kind].dimension, kind, tags, number[cell_ids], cell_ids + 1, conn)
    next_id = mesh.n_cells + 1
    facets = [g.facets for g in groups if g.facets is not None]
    if facets and sum(map(len, facets)):
        every = np.unique(np.concatenate(facets), axis=0)
        width = int(every[:, 1].max()) + 1
        key = every[:, 0] * width + every[:, 1]
        members = [
            (t, np.searchsorted(key, g.facets[:, 0] * width + g.facets[:, 1]))
            for t, g in enumerate(groups, 1)
            if g.facets is not None
        ]
        number, tags = _signatures(len(every), members)
        for block in mesh.facets(every):
            ids = next_id + np.arange(len(block.rows))
            next_id += len(ids)
            add(mesh.dimension - 1, block.element, tags, number[block.rows], ids, block.conn)
    nodes = [g.nodes for g in groups if g.nodes is not None]
    if nodes and sum(map(len, nodes)):
        every = np.unique(np.concatenate(nodes))
        members = [
            (t, np.searchsorted(every, g.nodes)) for t, g in enumerate(groups, 1) if g.nodes is not None
        ]
        number, tags = _signatures(len(every), members)
        add(0, "vertex", tags, number, next_id + np.arange(len(every)), every[:, None])
    for dimension, sets in entities.items():
        for carried in sets:
            names |= {(dimension, list(tag_of)[tag - 1]) for tag in carried}
    named = {name for _, name in names}
    names |= {(mesh.dimension, name) for name in mesh.groups if name not in named}  # empty groups
    _write(mesh, path, factor, sorted((d, tag_of[n], n) for d, n in names), entities, blocks)


def _write(
    mesh: Mesh,
    path: str | Path,
    factor: float,
    names: list[tuple[int, int, str]],
    entities: dict[int, list[tuple[int, ...]]],
    blocks: list[tuple[int, int, str, IntArray, IntArray]],
) -> None:
    points = mesh.points / factor
    low, high = points.min(axis=0), points.max(axis=0)
    box = " ".join(map(repr, [*low.tolist(), *high.tolist()]))
    with atomic(path) as stream:

        def put(text: str) -> None:
            stream.write(text.encode())

        put("$MeshFormat\n4.1 0 8\n$EndMeshFormat\n")
        if names:
            put(f"$PhysicalNames\n{len(names)}\n")
            put("".join(f'{d} {tag} "{name}"\n' for d, tag, name in names))
            put("$EndPhysicalNames\n")
        put("$Entities\n" + " ".join(str(len(entities[d])) for d in range(4)) + "\n")
        for d, sets in entities.items():
            where = " ".join(map(repr, low.tolist())) if d == 0 else box
            for i, tags in enumerate(sets, 1):
                put(" ".join(map(str, [i, where, len(tags), *tags])) + (" 0\n" if d else "\n"))
        put("$EndEntities\n")
        n = mesh.n_points
        put(f"$Nodes\n1 {n} 1 {n}\n{mesh.dimension} 1 0 {n}\n")
        put("\n".join(map(str, range(1, n + 1))) + "\n")
        stream.write(format_rows([], points, " "))
        put("$EndNodes\n")
        total = sum(len(ids) for *_, ids, _ in blocks)
        put(f"$Elements\n{len(blocks)} {total} 1 {total}\n")
        for dimension, entity, kind, ids, conn in blocks:
            put(f"{dimension} {entity} {_NUMBER[kind]} {len(ids)}\n")
            conn = conn[:, _BACK[kind]] if kind in _BACK else conn
            rows = np.column_stack([ids, conn + 1]).tolist()
            put("\n".join(" ".join(map(str, row)) for row in rows) + "\n")
        put("$EndElements\n")
