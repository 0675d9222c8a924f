"""Medit .mesh, ASCII: vertices, cells of orders 1 and 2, references as groups.

Source: P. Frey, MEDIT: an interactive mesh visualization software, INRIA RT-0253 (2001), appendix.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np

from designtwin.errors import MeshReadError
from designtwin.io._common import RawBlock, RawMesh, edge_permutation, line_at, numbers, read_bytes, whole
from designtwin.typing import FloatArray, IntArray

# Section: (name, nodes, word for groups)
_CELLS = {
    "edges": ("line", 2, "edges"), "triangles": ("triangle", 3, "triangles"),
    "quadrilaterals": ("quad", 4, "quads"), "tetrahedra": ("tetra", 4, "tetrahedra"),
    "hexahedra": ("hexahedron", 8, "hexahedra"), "hexaedra": ("hexahedron", 8, "hexahedra"),
    "prisms": ("wedge", 6, "prisms"), "pentahedra": ("wedge", 6, "prisms"),
    "pyramids": ("pyramid", 5, "pyramids"), "edgesp2": ("line3", 3, "edges"),
    "trianglesp2": ("triangle6", 6, "triangles"),
    "tetrahedrap2": ("tetra10", 10, "tetrahedra"),
}  # fmt: skip
# Counts of numbers per entry of sections that are read past.
_SKIPPED = {
    "corners": 1, "requiredvertices": 1, "ridges": 1, "requirededges": 1, "requiredtriangles": 1,
    "requiredquadrilaterals": 1, "tangents": 3, "normals": 3, "normalatvertices": 2, "tangentatvertices": 2,
    "normalattrianglevertices": 3, "normalatquadrilateralvertices": 3, "tangentatedgevertices": 3,
}  # fmt: skip
_P2_EDGES = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))


def _line(data: bytes, offset: int, _: int) -> int:
    return line_at(data, offset)


def read(path: str | Path) -> RawMesh:
    """Read a Medit mesh. Reference 7 of tetrahedra becomes the group ``tetrahedra_ref_7``.

    Raises
    ------
    MeshReadError
        With the line.
    """
    data = read_bytes(path)
    file = str(path)

    def refuse(reason: str, offset: int) -> NoReturn:
        raise MeshReadError(reason, file=file, line=line_at(data, offset))

    def integers(values: FloatArray, what: str, offset: int) -> IntArray:
        return whole(values, lambda _: refuse(f"{what} must be a whole number", offset))

    if b"#" in data:
        # Comments become blanks, so that offsets stay.
        data = re.sub(rb"#[^\n]*", lambda m: b" " * len(m.group()), data)
    if b"MFEM" in data[:200]:
        refuse("an MFEM mesh, not Medit; save it as gmsh .msh or .vtu", 0)
    keywords = list(re.finditer(rb"(?m)(?<![\w.])[A-Za-z]\w*", data))
    # 1e5 and nan are numbers, not keywords.
    keywords = [k for k in keywords if k.group().lower() not in (b"nan", b"inf", b"e", b"infinity")]
    if not keywords or keywords[0].group() != b"MeshVersionFormatted":
        refuse("the first word is not MeshVersionFormatted: not an ASCII Medit file", 0)
    if len(keywords) > 1000:
        refuse(f"{len(keywords)} sections; a mesh has a few dozen", keywords[1000].start())
    dimension = 0
    points: FloatArray | None = None
    point_refs = np.empty(0, np.int64)
    raw = RawMesh("Medit ASCII", file, np.empty(0, np.int64), np.empty((0, 3)), [])
    row = 0
    skipped: list[str] = []
    for i, match in enumerate(keywords):
        name = match.group().decode("ascii").lower()
        begin = match.end()
        end = keywords[i + 1].start() if i + 1 < len(keywords) else len(data)
        if name in ("meshversionformatted", "end"):
            continue
        values = numbers(data, begin, end, np.float64, file=file, what=match.group().decode("ascii"))
        if not len(values):
            refuse(f"{match.group().decode('ascii')} wants a number", begin)
        count = int(integers(values[:1], "the count", begin)[0])
        if name == "dimension":
            dimension = count
            if dimension not in (2, 3):
                refuse(f"dimension {dimension}; 2 and 3 are read", begin)
            continue
        if not dimension:
            refuse("Dimension must come before the data", match.start())
        width = 0
        if name == "vertices":
            width = dimension + 1
        elif name in _CELLS:
            width = _CELLS[name][1] + 1
        elif name in _SKIPPED:
            width = dimension if name in ("normals", "tangents") else _SKIPPED[name]
            skipped.append(match.group().decode("ascii"))
        else:
            refuse(f"section {match.group().decode('ascii')[:40]!r} is not known", match.start())
        if count < 0 or len(values) - 1 != count * width:
            refuse(
                f"{match.group().decode('ascii')} announces {count} entries of {width} numbers; "
                f"{len(values) - 1} numbers follow",
                begin,
            )
        table = values[1:].reshape(count, width)
        if name == "vertices":
            if points is not None:
                refuse("Vertices are given twice", match.start())
            points = table[:, :dimension]
            point_refs = integers(table[:, -1], "a reference", begin)
        elif name in _CELLS:
            kind, n, word = _CELLS[name]
            ints = integers(table.ravel(), "a node", begin).reshape(count, width)
            conn = ints[:, :n]
            if kind == "tetra10":
                conn = conn[:, edge_permutation("tetra10", _P2_EDGES)]
            line = partial(_line, data, match.start())
            raw.blocks.append(RawBlock(kind, conn, np.arange(1, count + 1), line=line))
            for ref in np.unique(ints[:, n]):
                if ref:
                    rows = row + np.flatnonzero(ints[:, n] == ref)
                    raw.group(f"{word}_ref_{ref}").cells.append(rows)
            row += count
    if points is None:
        refuse("there is no Vertices section", 0)
    raw.points = points
    raw.node_ids = np.arange(1, len(points) + 1)
    for ref in np.unique(point_refs):
        if ref:
            raw.group(f"vertices_ref_{ref}").nodes.append(np.flatnonzero(point_refs == ref) + 1)
    if skipped:
        raw.notes.append("sections not read: " + ", ".join(skipped))
    return raw
