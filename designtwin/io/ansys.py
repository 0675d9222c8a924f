"""ANSYS archives (.cdb): nodes, elements with their degenerate forms, components, materials as groups.

Source: ANSYS Mechanical APDL Command Reference (NBLOCK, EBLOCK, CMBLOCK) and Element Reference (node order
and degenerate shapes of SOLID185, SOLID186, SOLID187, PLANE183).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from designtwin.errors import MeshReadError
from designtwin.io._common import Labels, RawBlock, RawMesh, counted, read_bytes, text_of
from designtwin.typing import FloatArray, IntArray

# Element type numbers by shape; what is in none of these is refused.
_BRICKS = {5, 45, 46, 62, 64, 65, 69, 70, 73, 90, 95, 96, 97, 117, 122, 147, 185, 186, 190, 215, 226, 231}
_BRICKS |= {236, 278, 279}
_TETS = {72, 87, 92, 98, 123, 127, 148, 168, 187, 227, 232, 237, 285, 291}
_PLANES = {
    2,
    13,
    25,
    35,
    42,
    53,
    55,
    67,
    75,
    77,
    78,
    82,
    83,
    121,
    145,
    146,
    182,
    183,
    223,
    230,
    233,
    292,
    293,
}
_SHELLS = {28, 41, 43, 57, 63, 91, 93, 99, 131, 132, 143, 150, 151, 152, 153, 154, 157, 163, 181, 281}
_LINES = {1, 4, 8, 10, 23, 24, 33, 34, 44, 54, 68, 180, 188, 189}
_SHAPELESS = {
    7,
    14,
    21,
    27,
    37,
    38,
    39,
    40,
    50,
    71,
    94,
    124,
    125,
    171,
    172,
    173,
    174,
    175,
    176,
    177,
    178,
    179,
}
_SHAPELESS |= {169, 170, 184, 200, 201, 202, 203, 204, 205}

# Nodes I J K L M N O P, then mid-side nodes Q ... B; the columns of each shape a brick can collapse to.
_WEDGE = (0, 1, 2, 4, 5, 6, 8, 9, 11, 12, 13, 15, 16, 17, 18)
_PYRAMID = (0, 1, 2, 3, 4, 8, 9, 10, 11, 16, 17, 18, 19)
_TET = (0, 1, 2, 4, 8, 9, 11, 16, 17, 18)
_TRIANGLE = (0, 1, 2, 4, 5, 7)
_HEADER = 11


@dataclass
class _Archive:
    file: str
    lines: list[bytes]
    at: int = 0
    types: dict[int, int] = field(default_factory=dict)
    node_ids: list[IntArray] = field(default_factory=list)
    points: list[FloatArray] = field(default_factory=list)
    node_lines: list[int] = field(default_factory=list)  # line of the first node of each block
    # by shape: rows of (element number, material, line) and nodes
    cells: dict[str, tuple[list[tuple[int, int, int]], list[list[int]]]] = field(default_factory=dict)
    components: list[tuple[str, str, int, IntArray]] = field(default_factory=list)
    shapeless: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: str, line: int | None = None) -> NoReturn:
        raise MeshReadError(reason, file=self.file, line=(self.at if line is None else line) + 1)


def read(path: str | Path) -> RawMesh:
    """Read an archive written by CDWRITE.

    Raises
    ------
    MeshReadError
        With the line.
    """
    data = read_bytes(path).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    f = _Archive(str(path), data.split(b"\n"))
    while f.at < len(f.lines):
        line = f.lines[f.at]
        word = line[:8].strip().upper()
        if word.startswith(b"ET,"):
            _type(f, text_of(line))
        elif word.startswith(b"NBLOCK"):
            _nodes(f)
        elif word.startswith(b"EBLOCK"):
            _elements(f, text_of(line))
        elif word.startswith(b"CMBLOCK"):
            _component(f, text_of(line))
        f.at += 1
    if not f.node_ids:
        f.refuse("no NBLOCK: not an archive of CDWRITE with its nodes in blocks", 0)
    return _raw(f)


def _type(f: _Archive, line: str) -> None:
    words = [w.strip() for w in line.split(",")]
    if (
        len(words) > 2
        and re.fullmatch(r"\d{1,6}", words[1])
        and (match := re.search(r"(\d{1,4})$", words[2]))
    ):
        f.types[int(words[1])] = int(match.group(1))


def _format(f: _Archive) -> list[tuple[str, int, int]]:
    """Kind, count and width of the columns a format line such as (3i9,6e21.13e3) states."""
    f.at += 1
    text = text_of(f.lines[f.at]) if f.at < len(f.lines) else ""
    parts = re.findall(r"(\d*)([ieIE])(\d+)", text.partition("(")[2].replace("e3", "").replace("E3", ""))
    if not parts or any(len(n) > 3 or len(w) > 2 for n, _, w in parts):
        f.refuse(f"{text.strip()[:40]!r} is no format such as (3i9,6e21.13e3)")
    return [(kind.lower(), int(n or 1), int(w)) for n, kind, w in parts]


def _columns(rows: list[bytes], start: int, count: int, width: int) -> np.ndarray[Any, Any]:
    """Fixed columns of lines as bytes [n, count], without blanks."""
    end = start + count * width
    text = b"".join(row[start:end].ljust(end - start) for row in rows)
    return np.char.strip(np.frombuffer(text, f"S{width}").reshape(len(rows), count))


def _nodes(f: _Archive) -> None:
    parts = _format(f)
    if len(parts) != 2 or parts[0][0] != "i" or parts[1][0] != "e" or parts[1][1] < 3:
        f.refuse("the format of NBLOCK wants whole numbers, then at least three reals")
    (_, n_int, w_int), (_, _, w_real) = parts
    f.at += 1
    first = f.at
    while f.at < len(f.lines) and not re.match(rb"\s*(-1\b|N,)", f.lines[f.at][:12]):
        f.at += 1
    if f.at == len(f.lines):
        f.refuse("NBLOCK has no end; the file is cut off", first)
    rows = [line for line in f.lines[first : f.at] if line.strip()]
    if len(rows) != f.at - first:
        f.refuse("an empty line among the nodes", first)
    if not rows:
        return
    ids = _columns(rows, 0, 1, w_int)[:, 0]
    xyz = _columns(rows, n_int * w_int, 3, w_real)
    try:
        f.node_ids.append(ids.astype(np.int64))
        f.points.append(np.where(xyz == b"", b"0", xyz).astype(np.float64))
    except (ValueError, OverflowError):
        for i, (label, row) in enumerate(zip(ids.tolist(), xyz.tolist())):
            if not re.fullmatch(rb"\d{1,12}", label) or not all(_real(w) for w in row):
                f.refuse("a node wants a number and coordinates", first + i)
        f.refuse("nodes not readable", first)
    f.node_lines.append(first)


def _real(word: bytes) -> bool:
    try:
        float(word or b"0")
    except ValueError:
        return False
    return True


def _elements(f: _Archive, line: str) -> None:
    words = [w.strip().upper() for w in line.split(",")]
    if len(words) < 3 or words[1] != "19" or words[2] != "SOLID":
        f.refuse("only EBLOCK,19,SOLID is read; write the archive with CDWRITE,DB")
    ((kind, _, width), *_) = _format(f)
    if kind != "i":
        f.refuse("the format of EBLOCK wants whole numbers")
    f.at += 1
    while f.at < len(f.lines):
        row = _ints(f, width)
        if row[:1] == [-1]:
            return
        begin = f.at
        if len(row) <= _HEADER or not 1 <= row[8] <= 40:
            f.refuse("an element wants eleven numbers and its nodes")
        n_nodes = row[8]
        while len(row) < _HEADER + n_nodes and f.at + 1 < len(f.lines):
            f.at += 1
            more = _ints(f, width)
            if not more or more[0] == -1:
                break
            row += more
        if len(row) < _HEADER + n_nodes:
            f.refuse(f"element {row[10]} has {len(row) - _HEADER} of {n_nodes} nodes", begin)
        _element(f, row, begin)
        f.at += 1
    f.refuse("EBLOCK has no end; the file is cut off")


def _ints(f: _Archive, width: int) -> list[int]:
    line = f.lines[f.at].rstrip()
    words = [line[i : i + width].strip() for i in range(0, len(line), width)]
    try:
        return [int(word) if len(word) < 16 else f.refuse("a number is too long") for word in words]
    except ValueError:
        f.refuse(f"{text_of(line).strip()[:60]!r}: whole numbers are wanted")


def _element(f: _Archive, row: list[int], line: int) -> None:
    """Sort one element by the shape its nodes make."""
    material, type_id, number = row[0], row[1], row[10]
    nodes = row[_HEADER : _HEADER + row[8]]
    kind = f.types.get(type_id)
    if kind is None:
        f.refuse(f"element {number} is of type {type_id}, which no ET states", line)
    if kind in _SHAPELESS:
        f.shapeless[f"type {kind}"] = f.shapeless.get(f"type {kind}", 0) + 1
        return
    if kind in _BRICKS:
        nodes, name = _brick(f, nodes, number, line)
    elif kind in _TETS:
        nodes, name = _sized(f, nodes, {4: "tetra", 10: "tetra10"}, number, line)
    elif kind in _PLANES | _SHELLS:
        nodes, name = _plane(f, nodes, number, line)
    elif kind in _LINES:
        nodes, name = nodes[:2], "line"
    else:
        f.refuse(f"element {number} is of ANSYS type {kind}, which is not supported", line)
    heads, conn = f.cells.setdefault(name, ([], []))
    heads.append((number, material, line))
    conn.append(nodes)


def _sized(
    f: _Archive, nodes: list[int], names: dict[int, str], number: int, line: int
) -> tuple[list[int], str]:
    """The shape by the number of nodes; mid-side nodes left out altogether make it linear."""
    linear = min(names)
    if not any(nodes[linear:]):
        nodes = nodes[:linear]
    if len(nodes) not in names or 0 in nodes:
        wanted = " or ".join(map(str, sorted(names)))
        f.refuse(
            f"element {number} has {len(nodes) - nodes.count(0)} nodes; {wanted} are wanted "
            "(some mid-side nodes missing is not supported)",
            line,
        )
    return nodes, names[len(nodes)]


def _brick(f: _Archive, nodes: list[int], number: int, line: int) -> tuple[list[int], str]:
    if len(nodes) in (4, 10):
        return _sized(f, nodes, {4: "tetra", 10: "tetra10"}, number, line)
    if len(nodes) < 8:
        f.refuse(f"element {number} has {len(nodes)} nodes; 8 or 20 are wanted", line)
    # Corners I J K L below, M N O P above.
    front, top = nodes[2] == nodes[3], len(set(nodes[4:8])) == 1
    columns: tuple[int, ...]
    if front and top:
        columns, names = _TET, {4: "tetra", 10: "tetra10"}
    elif front and nodes[6] == nodes[7]:
        columns, names = _WEDGE, {6: "wedge", 15: "wedge15"}
    elif top:
        columns, names = _PYRAMID, {5: "pyramid", 13: "pyramid13"}
    else:
        return _sized(f, nodes, {8: "hexahedron", 20: "hexahedron20"}, number, line)
    return _sized(f, [nodes[c] for c in columns if c < len(nodes)], names, number, line)


def _plane(f: _Archive, nodes: list[int], number: int, line: int) -> tuple[list[int], str]:
    if len(nodes) in (3, 6):
        return _sized(f, nodes, {3: "triangle", 6: "triangle6"}, number, line)
    if len(nodes) >= 4 and nodes[2] == nodes[3]:
        short = [nodes[c] for c in _TRIANGLE if c < len(nodes)] if len(nodes) == 8 else nodes[:3]
        return _sized(f, short, {3: "triangle", 6: "triangle6"}, number, line)
    # Shells may name further nodes for their orientation.
    return _sized(f, nodes[: 8 if len(nodes) >= 8 else 4], {4: "quad", 8: "quad8"}, number, line)


def _component(f: _Archive, line: str) -> None:
    """CMBLOCK,NAME,NODE,8: numbers, where -b after a is the range a to b."""
    words = [w.strip() for w in line.partition("!")[0].split(",")]
    if len(words) < 4 or not re.fullmatch(r"\d{1,12}", words[3]):
        f.refuse("CMBLOCK wants a name, NODE or ELEM, and a count")
    begin, count = f.at, int(words[3])
    ((_, _, width), *_) = _format(f)
    values: list[int] = []
    while len(values) < count:
        f.at += 1
        row = _ints(f, width) if f.at < len(f.lines) else []
        if not row:
            f.refuse(f"component {words[1]!r} announces {count} numbers; {len(values)} are there", begin)
        values += row
    f.components.append((words[1], words[2].upper(), begin, np.array(values[:count], np.int64)))


def _line(lines: IntArray, row: int) -> int:
    return int(lines[row]) + 1


def _raw(f: _Archive) -> RawMesh:
    raw = RawMesh(
        "ANSYS archive", f.file, np.concatenate(f.node_ids), np.concatenate(f.points), [], fold_case=True
    )
    node_lines = np.concatenate([first + np.arange(len(i)) for first, i in zip(f.node_lines, f.node_ids)])
    raw.node_line = partial(_line, node_lines)
    heads = []
    for name, (head, conn) in f.cells.items():
        table = np.array(head, np.int64)
        heads.append(table)
        stays = name == "line"
        raw.blocks.append(
            RawBlock(name, np.array(conn, np.int64), table[:, 0], stays, partial(_line, table[:, 2]))
        )
    every = np.concatenate(heads) if heads else np.empty((0, 3), np.int64)
    labels = Labels(every[:, 0])
    again = labels.duplicates()
    if len(again):
        f.refuse(f"element {every[again[0], 0]} is given twice ({len(again)} are)", int(every[again[0], 2]))
    for material in np.unique(every[:, 1]).tolist():
        raw.group(f"mat_{material}").cells.append(np.flatnonzero(every[:, 1] == material))
    known = {"NODE": np.unique(raw.node_ids), "ELEM": np.unique(every[:, 0])}
    budget = 10_000_000 + 200 * (len(raw.node_ids) + len(every))
    for name, kind, line, values in f.components:
        if kind[:4] not in known:
            raw.notes.append(f"component {name!r} of {kind} not read")
            continue
        members = _members(f, name, known[kind[:4]], values, line)
        budget -= len(members)
        if budget < 0:
            f.refuse("the components together name more members than any mesh of this size needs", line)
        if kind.startswith("NODE"):
            raw.group(name).nodes.append(members)
        else:
            raw.group(name).cells.append(labels.rows(members))
    if f.shapeless:
        raw.notes.append("elements without a shape, or contact, not read: " + counted(f.shapeless))
    return raw


def _members(f: _Archive, name: str, known: IntArray, values: IntArray, line: int) -> IntArray:
    parts = []
    i = 0
    flat = values.tolist()
    while i < len(flat):
        first = last = flat[i]
        if i + 1 < len(flat) and flat[i + 1] < 0:
            last = -flat[i + 1]
            i += 1
        low, high = np.searchsorted(known, [first, last + 1])
        if first < 1 or last < first:
            f.refuse(f"component {name!r}: {first} to {last} is no range", line)
        if high == low and not f.shapeless:
            f.refuse(f"component {name!r} names {first}, which the file does not define", line)
        parts.append(known[low:high])
        i += 1
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
