"""I-DEAS universal files (.unv): nodes, elements, permanent groups.

Source: SDRC Universal File Format, datasets 164 (units), 2411 (nodes), 2412 (elements), 2452, 2467 and 2477
(groups); node order of the parabolic elements as written by gmsh and Salome.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshReadError
from designtwin.io._common import Labels, RawBlock, RawMesh, counted, line_at, read_bytes, text_of
from designtwin.typing import IntArray

_TRIANGLES, _TRIANGLES6 = (41, 51, 61, 71, 81, 91), (42, 52, 62, 72, 82, 92)
_QUADS, _QUADS8 = (44, 54, 64, 74, 84, 94), (45, 55, 65, 75, 85, 95)
_TYPES = {
    **dict.fromkeys((11, 21), "line"), **dict.fromkeys((22, 24), "line3"),
    **dict.fromkeys(_TRIANGLES, "triangle"), **dict.fromkeys(_TRIANGLES6, "triangle6"),
    **dict.fromkeys(_QUADS, "quad"), **dict.fromkeys(_QUADS8, "quad8"),
    111: "tetra", 118: "tetra10", 112: "wedge", 113: "wedge15", 115: "hexahedron", 116: "hexahedron20",
}  # fmt: skip
_WITH_ORIENTATION = {11, 21, 22, 24}  # rods and beams carry a line of their own before the nodes
_SHAPELESS = {136, 137, 138, 139, 141, 142, 151, 152, 161, 171, 121, 122}
_GROUPS = (2429, 2430, 2432, 2435, 2452, 2467, 2477)


def _ring(corners: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Corners and the mid-side nodes between them, around a ring."""
    out: list[tuple[int, ...]] = []
    for a, b in zip(corners, corners[1:] + corners[:1]):
        out += [(a,), (a, b)]
    return out


# Parabolic elements list each ring of corners with its mid-side nodes, then the uprights, then the next ring.
_ORDERS: dict[str, list[tuple[int, ...]]] = {
    "line3": [(0,), (0, 1), (1,)],
    "triangle6": _ring((0, 1, 2)),
    "quad8": _ring((0, 1, 2, 3)),
    "tetra10": [*_ring((0, 1, 2)), (0, 3), (1, 3), (2, 3), (3,)],
    "wedge15": [*_ring((0, 1, 2)), (0, 3), (1, 4), (2, 5), *_ring((3, 4, 5))],
    "hexahedron20": [*_ring((0, 1, 2, 3)), (0, 4), (1, 5), (2, 6), (3, 7), *_ring((4, 5, 6, 7))],
}


def _columns(name: str) -> IntArray:
    """Our column j is the file's column [j]."""
    element = ELEMENTS[name]
    at = {frozenset(nodes): i for i, nodes in enumerate(_ORDERS[name])}
    ours = [frozenset((i,)) for i in range(element.corners)] + [frozenset(e) for e in element.edges]
    return np.array([at[nodes] for nodes in ours])


_ORDER = {name: _columns(name) for name in _ORDERS}


class _Lines:
    """Lines of one dataset."""

    def __init__(self, file: str, data: bytes, start: int, end: int) -> None:
        self.file = file
        self.first = line_at(data, start)
        self.lines = data[start:end].rstrip(b"\n").split(b"\n")
        self.at = 0

    def refuse(self, reason: str, at: int | None = None) -> NoReturn:
        raise MeshReadError(reason, file=self.file, line=self.first + (self.at if at is None else at))

    def __bool__(self) -> bool:
        return self.at < len(self.lines)

    def next(self, what: str) -> bytes:
        if not self:
            self.refuse(f"{what} is cut off")
        self.at += 1
        return self.lines[self.at - 1]

    def ints(self, what: str) -> list[int]:
        line = self.next(what)
        # Columns of ten may touch when the numbers are long.
        words = line.split() if len(line.split()) > len(line) // 11 else _tens(line)
        try:
            return [int(word) for word in words if len(word) < 16]
        except ValueError:
            self.refuse(f"{what}: {text_of(line).strip()[:60]!r} are no whole numbers", self.at - 1)


def _tens(line: bytes) -> list[bytes]:
    return [line[i : i + 10].strip() for i in range(0, len(line.rstrip()), 10)]


def read(path: str | Path) -> RawMesh:
    """Read a universal file. Physical property 7 becomes the group ``property_7``.

    Raises
    ------
    MeshReadError
        With the line.
    """
    data = read_bytes(path).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    file = str(path)
    marks = [m.start() for m in re.finditer(rb"(?m)^[ ]{0,5}-1[ \t]*$", data)]
    if len(marks) < 2:
        raise MeshReadError("no datasets between lines of -1: not a universal file", file=file)
    if len(marks) % 2:
        raise MeshReadError("the last dataset has no end; the file is cut off", file=file)
    nodes: list[tuple[int, list[float], int]] = []
    cells: dict[str, tuple[list[tuple[int, int, int]], list[list[int]]]] = {}
    groups: list[tuple[str, int, list[tuple[int, int]]]] = []
    skipped: dict[str, int] = {}
    shapeless: dict[str, int] = {}
    notes: list[str] = []
    for begin, end in zip(marks[::2], marks[1::2]):
        lines = _Lines(file, data, data.find(b"\n", begin) + 1, end)
        number = lines.ints("a dataset's number")[:1]
        if number == [2411]:
            _nodes(lines, nodes)
        elif number == [2412]:
            _elements(lines, cells, shapeless)
        elif number and number[0] in _GROUPS:
            _groups(lines, groups)
        elif number == [164]:
            notes.append(f"the file states its unit as {text_of(lines.next('units'))[10:30].strip()!r}")
        elif number and number[0] not in (151, 2420):
            skipped[str(number[0])] = skipped.get(str(number[0]), 0) + 1
    if not nodes:
        raise MeshReadError("no dataset 2411 with nodes", file=file)
    ids, points = np.array([n for n, _, _ in nodes]), np.array([x for _, x, _ in nodes])
    raw = RawMesh("I-DEAS universal file", file, ids, points, [], notes=notes)
    node_lines = np.array([line for _, _, line in nodes])
    raw.node_line = partial(_line, node_lines)
    heads = []
    for name, (head, conn) in cells.items():
        table = np.array(head, np.int64)
        heads.append(table)
        columns = _ORDER.get(name)
        array = np.array(conn, np.int64)
        array = array if columns is None else array[:, columns]
        raw.blocks.append(RawBlock(name, array, table[:, 0], False, partial(_line, table[:, 2])))
    _name(raw, np.concatenate(heads) if heads else np.empty((0, 3), np.int64), groups)
    if shapeless:
        notes.append("elements without a shape not read: " + counted(shapeless))
    if skipped:
        notes.append("datasets not read: " + counted(skipped))
    return raw


def _line(lines: IntArray, row: int) -> int:
    return int(lines[row])


def _nodes(lines: _Lines, nodes: list[tuple[int, list[float], int]]) -> None:
    while lines:
        line = lines.first + lines.at
        head = lines.ints("a node")
        text = lines.next("a node").replace(b"D", b"E").replace(b"d", b"e")
        words = text.split() if len(text.split()) == 3 else [text[i : i + 25] for i in (0, 25, 50)]
        try:
            xyz = [float(word) for word in words]
        except ValueError:
            lines.refuse(f"{text_of(text).strip()[:60]!r}: three coordinates are wanted", lines.at - 1)
        if not head:
            lines.refuse("a node wants its number", lines.at - 2)
        nodes.append((head[0], xyz, line))


def _elements(
    lines: _Lines,
    cells: dict[str, tuple[list[tuple[int, int, int]], list[list[int]]]],
    shapeless: dict[str, int],
) -> None:
    while lines:
        begin = lines.at
        head = lines.ints("an element")
        if len(head) < 6:
            lines.refuse("an element wants six numbers", begin)
        label, kind, prop, n_nodes = head[0], head[1], head[2], head[5]
        if not 0 < n_nodes <= 64:
            lines.refuse(f"element {label} announces {n_nodes} nodes", begin)
        if kind in _WITH_ORIENTATION:
            lines.next("an element")
        row: list[int] = []
        while len(row) < n_nodes:
            more = lines.ints(f"element {label}")
            if not more:
                lines.refuse(f"element {label} has {len(row)} of {n_nodes} nodes")
            row += more
        if kind in _SHAPELESS:
            shapeless[f"type {kind}"] = shapeless.get(f"type {kind}", 0) + 1
            continue
        name = _TYPES.get(kind)
        if name is None or len(row) != ELEMENTS[name].n_nodes:
            lines.refuse(
                f"element {label} is of type {kind} with {len(row)} nodes, which is not supported", begin
            )
        heads, conn = cells.setdefault(name, ([], []))
        heads.append((label, prop, lines.first + begin))
        conn.append(row)


def _groups(lines: _Lines, groups: list[tuple[str, int, list[tuple[int, int]]]]) -> None:
    while lines:
        begin = lines.at
        head = lines.ints("a group")
        if len(head) < 8 or head[7] < 0:
            lines.refuse("a group wants eight numbers, the last its count of members", begin)
        name = text_of(lines.next("a group")).strip() or f"group_{head[0]}"
        members: list[tuple[int, int]] = []
        while len(members) < head[7]:
            row = lines.ints(f"group {name!r}")
            if len(row) < 4:
                lines.refuse(f"group {name!r} announces {head[7]} members; {len(members)} are there")
            members += [(row[i], row[i + 1]) for i in range(0, len(row) - 3, 4)]
        groups.append((name, lines.first + begin, members[: head[7]]))


def _name(raw: RawMesh, heads: IntArray, groups: list[tuple[str, int, list[tuple[int, int]]]]) -> None:
    labels, nodes = Labels(heads[:, 0]), Labels(raw.node_ids)
    again = labels.duplicates()
    if len(again):
        label, _, line = heads[again[0]].tolist()
        raise MeshReadError(f"element {label} is given twice ({len(again)} are)", file=raw.file, line=line)
    for name, line, members in groups:
        group = raw.group(name)
        for kind, word, table in ((7, "node", nodes), (8, "element", labels)):
            wanted = np.array([label for k, label in members if k == kind], np.int64)
            if not len(wanted):
                continue
            rows = table.rows(wanted)
            if rows.min() < 0:
                missing = int(wanted[np.argmin(rows)])
                raise MeshReadError(
                    f"group {name!r} names {word} {missing}, which the file does not define",
                    file=raw.file, line=line,
                )  # fmt: skip
            (group.nodes if kind == 7 else group.cells).append(wanted if kind == 7 else rows)
        other = sum(1 for k, _ in members if k not in (7, 8))
        if other:
            raw.notes.append(f"group {name!r}: {other} members that are no nodes or elements left out")
    for prop in np.unique(heads[:, 1]).tolist():
        if len(np.unique(heads[:, 1])) > 1 or not groups:
            raw.group(f"property_{prop}").cells.append(np.flatnonzero(heads[:, 1] == prop))
