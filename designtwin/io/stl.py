"""STL, ASCII and binary: a surface of triangles, equal points merged.

Source: M. Burns, Automated Fabrication (1993), section 6.5, "The StL format".
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from designtwin.errors import MeshReadError
from designtwin.io._common import RawBlock, RawMesh, line_at, parse_numbers, read_bytes, text_of
from designtwin.io.files import atomic
from designtwin.typing import FloatArray, IntArray

_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read(path: str | Path) -> RawMesh:
    """Read an STL file; each 'solid' becomes a group of cells.

    Raises
    ------
    MeshReadError
        With the line (ASCII).
    """
    data = read_bytes(path)
    file = str(path)
    binary = _is_binary(data)
    groups: list[tuple[str, int, int]] = []
    if binary:
        corners = _binary(data, file)
    else:
        corners, groups = _ascii(data, file)
    flat = corners.reshape(-1, 3)
    # -0.0 and 0.0 are one coordinate.
    points, inverse = np.unique(flat + 0.0, axis=0, return_inverse=True)
    conn = inverse.reshape(-1, 3).astype(np.int64)
    raw = RawMesh(
        f"STL {'binary' if binary else 'ASCII'}", file, np.arange(len(points)), points,
        [RawBlock("triangle", conn, np.arange(len(conn)))],
    )  # fmt: skip
    raw.notes.append(
        f"{len(flat)} corners merged to {len(points)} points; "
        "STL holds a surface: mesh its inside to test a solid"
    )
    if len({name for name, _, _ in groups if name}) > 1:
        for name, first, last in groups:
            raw.group(name or "solid").cells.append(np.arange(first, last))
    return raw


def _is_binary(data: bytes) -> bool:
    """A file may begin with 'solid' and be binary all the same: then its length fits its count."""
    if len(data) >= 84:
        count = int.from_bytes(data[80:84], "little")
        if len(data) == 84 + 50 * count:
            return True
    return re.match(rb"\s*solid\b", data) is None


def _binary(data: bytes, file: str) -> FloatArray:
    if len(data) < 84:
        raise MeshReadError("neither 'solid' nor the 84 bytes of a binary header: not an STL file", file=file)
    count = int.from_bytes(data[80:84], "little")
    room = (len(data) - 84) // 50
    if count > room:
        raise MeshReadError(f"{count} facets announced, the file has room for {room}", file=file)
    if len(data) - 84 - 50 * count > 1024:
        raise MeshReadError(f"{len(data) - 84 - 50 * count} bytes follow after the {count} facets", file=file)
    if count == 0:
        raise MeshReadError("no facets", file=file)
    facets = np.frombuffer(data, _FACET, count, 84)
    return facets["corners"].astype(np.float64)


def _ascii(data: bytes, file: str) -> tuple[FloatArray, list[tuple[str, int, int]]]:
    text = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found = list(re.finditer(rb"(?mi)^[ \t]*vertex\b([^\n]*)", text))
    bodies = b"\n".join(match.group(1) for match in found)
    values = parse_numbers(bodies, np.float64)
    if values is None or len(values) != 3 * len(found):
        for match in found:
            three = parse_numbers(match.group(1), np.float64)
            if three is None or len(three) != 3:
                word = match.group().strip()[:60].decode("ascii", "replace")
                raise MeshReadError(
                    f"{word!r}: three numbers are wanted", file=file, line=line_at(text, match.start())
                )
        raise MeshReadError("vertices not readable", file=file)
    loops = [match.start() for match in re.finditer(rb"(?mi)^[ \t]*outer[ \t]+loop\b", text)]
    starts = np.array([match.start() for match in found], np.int64)
    if not loops:
        raise MeshReadError("no facets", file=file)
    first = np.searchsorted(starts, loops)
    sizes = np.diff(np.append(first, len(starts)))
    if first[0] != 0 or (sizes != 3).any():
        i = int(np.flatnonzero(sizes != 3)[0]) if (sizes != 3).any() else 0
        raise MeshReadError(
            f"facet {i} has {sizes[i]} vertices; three are wanted", file=file, line=line_at(text, loops[i])
        )
    solids = list(re.finditer(rb"(?mi)^[ \t]*solid\b([^\n]*)", text))
    ends = re.findall(rb"(?mi)^[ \t]*end[ \t]*solid\b", text)
    if len(ends) < len(solids):
        raise MeshReadError(
            "'endsolid' is missing; the file is cut off", file=file, line=line_at(text, len(text))
        )
    limits = np.searchsorted(loops, [match.start() for match in solids])
    limits = np.append(limits, len(loops))
    groups = [
        (text_of(match.group(1).strip()), int(limits[i]), int(limits[i + 1]))
        for i, match in enumerate(solids)
    ]
    return values.reshape(-1, 3, 3), groups


def write(path: str | Path, points: FloatArray, triangles: IntArray) -> None:
    """Write triangles as binary STL, whole or not at all; coordinates as they are.

    Parameters
    ----------
    points : float64[n, 3]
    triangles : int64[k, 3]
        Counterclockwise seen from outside.
    """
    facets = np.zeros(len(triangles), _FACET)
    facets["corners"] = points[triangles]
    a, b, c = (points[triangles[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    size = np.linalg.norm(normal, axis=1)[:, None]
    facets["normal"] = np.divide(normal, size, out=np.zeros_like(normal), where=size > 0.0)
    header = b"designtwin".ljust(80, b" ") + len(facets).to_bytes(4, "little")
    with atomic(Path(path)) as file:
        file.write(header + facets.tobytes())
