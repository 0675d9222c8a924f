"""Nastran bulk data (.bdf, .nas, .fem): grid points, elements, properties as groups, sets.

Source: MSC Nastran Quick Reference Guide, bulk data entries (formats of bulk data; GRID, CTETRA, CHEXA,
CPENTA, CPYRAM and their node numbering; SPC, SPC1, SET1, INCLUDE).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshReadError
from designtwin.io._common import Labels, RawBlock, RawMesh, counted, edge_permutation, read_bytes, text_of
from designtwin.typing import FloatArray, IntArray

Fields = np.ndarray[Any, np.dtype[np.bytes_]]

_HEX_EDGES = (
    (0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 5), (2, 6), (3, 7), (4, 5), (5, 6), (6, 7), (7, 4),
)  # fmt: skip
_WEDGE_EDGES = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 4), (2, 5), (3, 4), (4, 5), (5, 3))
_ORDER = {
    "hexahedron20": edge_permutation("hexahedron20", _HEX_EDGES),
    "wedge15": edge_permutation("wedge15", _WEDGE_EDGES),
}
# Card: our types by growing number of nodes, first column of the nodes, column of the property (-1: none).
_ELEMENTS: dict[str, tuple[tuple[str, ...], int, int]] = {
    "CTETRA": (("tetra", "tetra10"), 2, 1), "CHEXA": (("hexahedron", "hexahedron20"), 2, 1),
    "CPENTA": (("wedge", "wedge15"), 2, 1), "CPYRAM": (("pyramid", "pyramid13"), 2, 1),
    "CPYRA": (("pyramid", "pyramid13"), 2, 1),
    "CTRIA3": (("triangle",), 2, 1), "CTRIAR": (("triangle",), 2, 1),
    "CTRIA6": (("triangle6",), 2, 1), "CQUAD4": (("quad",), 2, 1), "CQUADR": (("quad",), 2, 1),
    "CQUAD8": (("quad8",), 2, 1), "CSHEAR": (("quad",), 2, 1), "CROD": (("line",), 2, 1),
    "CTUBE": (("line",), 2, 1), "CONROD": (("line",), 1, -1), "CBAR": (("line",), 2, 1),
    "CBEAM": (("line",), 2, 1), "CPLSTN3": (("triangle",), 2, 1), "CPLSTN4": (("quad",), 2, 1),
    "CPLSTN6": (("triangle6",), 2, 1), "CPLSTN8": (("quad8",), 2, 1), "CPLSTS3": (("triangle",), 2, 1),
    "CPLSTS4": (("quad",), 2, 1), "CPLSTS6": (("triangle6",), 2, 1), "CPLSTS8": (("quad8",), 2, 1),
}  # fmt: skip
# Lines that carry load by their own section: they stay cells also along edges of solids.
_LINES = {"CROD", "CTUBE", "CONROD", "CBAR", "CBEAM"}
_REFUSED = {
    "CTRIAX": "axisymmetric elements", "CTRIAX6": "axisymmetric elements", "CQUADX": "axisymmetric elements",
    "CTRAX3": "axisymmetric elements", "CTRAX6": "axisymmetric elements", "CQUADX4": "axisymmetric elements",
    "CQUADX8": "axisymmetric elements", "CQUAD": "quadrilaterals of nine nodes",
    "CHEXCZ": "cohesive cells", "CIFHEX": "interface cells", "CIFPENT": "interface cells",
}  # fmt: skip
_MAX_INCLUDES = 100


@dataclass
class _Cards:
    """Bulk data lines, and where each came from."""

    file: str
    lines: list[bytes] = field(default_factory=list)
    origin: list[tuple[int, str, int]] = field(default_factory=list)  # first index, file, its line number
    # by name, kind of format and lines of the card: index of the first line of each
    found: dict[tuple[str, str, int], list[int]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)  # of properties
    set_names: dict[int, tuple[str, str]] = field(default_factory=dict)

    def where(self, index: int) -> tuple[str, int]:
        first, file, number = max((o for o in self.origin if o[0] <= index), key=lambda o: o[0])
        return file, number + index - first

    def refuse(self, reason: str, index: int) -> NoReturn:
        file, line = self.where(index)
        raise MeshReadError(reason, file=file, line=line)

    def of(self, name: str) -> tuple[Fields, IntArray]:
        """All cards of a name: fields after the name, padded, and the index of their first line."""
        parts: list[tuple[Fields, IntArray]] = []
        for (other, kind, n_lines), at in self.found.items():
            if other == name:
                parts.append((self.table(kind, n_lines, at), np.array(at)))
        if not parts:
            return np.empty((0, 0), "S16"), np.empty(0, np.int64)
        width = max(table.shape[1] for table, _ in parts)
        tables = []
        for table, _ in parts:
            padded = np.full((len(table), width), b"", "S16")
            padded[:, : table.shape[1]] = table
            tables.append(padded)
        lines = np.concatenate([at for _, at in parts])
        order = np.argsort(lines, kind="stable")
        return np.char.strip(np.concatenate(tables)[order]), lines[order]

    def table(self, kind: str, n_lines: int, at: list[int]) -> Fields:
        lines = self.lines
        if kind in ("small", "large"):
            wide = b"".join(lines[i + j][8:72].ljust(64) for i in at for j in range(n_lines))
            size = 8 if kind == "small" else 16
            return np.frombuffer(wide, f"S{size}").reshape(len(at), -1).astype("S16")
        rows = []
        for i in at:
            row: list[bytes] = []
            for j in range(n_lines):
                row += _loose_fields(lines[i + j])
            for word in row:
                if len(word) > 16:
                    if len(word) > 64 or re.fullmatch(rb"[+-]?[\d.]+([eEdD]?[+-]?\d+)?", word) is None:
                        self.refuse(
                            f"field {word[:40].decode('ascii', 'replace')!r} has more than 16 characters", i
                        )
                    row[row.index(word)] = _shortened(word)
            rows.append(row)
        width = max(map(len, rows))
        return np.array([row + [b""] * (width - len(row)) for row in rows], "S16").reshape(len(rows), width)


def _shortened(word: bytes) -> bytes:
    """A number of many digits in sixteen characters, for free format alone."""
    try:
        value = float(word.replace(b"D", b"E").replace(b"d", b"e"))
    except ValueError:
        return word[:16]
    return f"{value:.9g}".encode()


def _loose_fields(line: bytes) -> list[bytes]:
    """Data fields of one line in any format."""
    if b"," in line:
        fields = [word.strip() for word in line.split(b",")][1:9]
        return fields + [b""] * (8 - len(fields))
    large = b"*" in line[:8]
    size, count = (16, 4) if large else (8, 8)
    body = line[8:72].ljust(64)
    return [body[i * size : (i + 1) * size].strip() for i in range(count)]


# --- from bytes to cards --------------------------------------------------------------------------------


def _gather(path: Path) -> _Cards:
    cards = _Cards(str(path))
    root = path.resolve().parent
    budget = [_MAX_INCLUDES]
    state = {"bulk": False, "begun": False}
    data = read_bytes(path)
    # A file without BEGIN BULK is bulk data from its first line.
    has_begin = re.search(rb"(?mi)^[ \t]*BEGIN[ \t]*(BULK|[=,])", data) is not None
    state["bulk"] = not has_begin
    _scan(path, data, root, (), cards, budget, state)
    _classify(cards)
    return cards


def _scan(
    path: Path,
    data: bytes,
    root: Path,
    parents: tuple[Path, ...],
    cards: _Cards,
    budget: list[int],
    state: dict[str, bool],
) -> None:
    """Append the bulk data lines of a file and of those it includes; comments stay, for their names."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    resume = True
    for i, line in enumerate(lines):
        head = line[:8].upper().lstrip()
        if head.startswith(b"INCLUDE") and line.lstrip()[:1] != b"$":
            words = text_of(line.strip()[7:].strip().strip(b"'\""))
            budget[0] -= 1
            here = f"INCLUDE {words!r}"
            other = (path.parent / words.replace("\\", "/")).resolve()
            reason = ""
            if not words or not other.is_relative_to(root):
                reason = f"lies outside the deck's folder {root}; files elsewhere are not opened"
            elif not other.is_file():
                reason = f"does not exist below {root}"
            elif other == path.resolve() or other in parents or budget[0] < 0:
                reason = f"includes itself, or more than {_MAX_INCLUDES} files are included"
            if reason:
                raise MeshReadError(f"{here} {reason}", file=path, line=i + 1)
            _scan(other, read_bytes(other), root, (*parents, path.resolve()), cards, budget, state)
            resume = True
            continue
        if not state["bulk"]:
            if re.match(rb"[ \t]*BEGIN[ \t]*(BULK|[=,])", line, re.I):
                state["bulk"] = True
                resume = True
            continue
        if head.startswith(b"ENDDATA"):
            state["bulk"] = False
            return
        if head.startswith(b"BEGIN"):
            continue
        if resume:
            cards.origin.append((len(cards.lines), str(path), i + 1))
            resume = False
        cards.lines.append(line)
    if not cards.origin:
        cards.origin.append((0, str(path), 1))


_NAME_COMMENTS = (
    re.compile(r'\$HMNAME\s+PROP\s+(\d+)\s*"([^"]+)"'),
    re.compile(r"\$ANSA_NAME_COMMENT;(\d+);P\w+;([^;]+);"),
    re.compile(r"\$\s*Femap.*?Property\s+(\d+)\s*:\s*(.+)", re.I),
)
_SET_COMMENT = re.compile(r'\$HMSET\s+(\d+)\s+(\d+)\s+"([^"]+)"')
_NEXT_PROPERTY = (
    re.compile(r"\$ Elements and Element Properties for region\s*:\s*(.+)", re.I),
    re.compile(r"\$\*\s*Property\s*:\s*(.+)", re.I),
)


def _classify(cards: _Cards) -> None:
    """Join continuations to their cards and sort the cards by name and format."""
    lines = cards.lines
    pending = ""
    current: tuple[str, str] | None = None
    start = count = 0
    found = cards.found

    def close() -> None:
        if current is not None:
            found.setdefault((current[0], current[1], count), []).append(start)

    for i, line in enumerate(lines):
        first = line[:1]
        if first == b"$":
            text = text_of(line).strip()
            pending = _comment(cards, text) or pending
            continue
        if b"$" in line or b"\t" in line:
            line = lines[i] = line.partition(b"$")[0].expandtabs(8)
        if first in (b"+", b"*", b",") or (not line[:8].strip() and line.strip()):
            # A continuation; comments may stand between, so the lines of a card are put together again.
            if current is not None:
                if i != start + count:
                    lines[start + count] = line
                kind = "free" if b"," in line else "large" if first == b"*" else "small"
                if kind != current[1]:
                    current = (current[0], "free")
                count += 1
            continue
        if not line.strip():
            continue
        close()
        word = line.partition(b",")[0][:8].strip() if b"," in line else line[:8].strip()
        name = word.decode("ascii", "replace").upper()
        kind = "free" if b"," in line else "large" if name.endswith("*") else "small"
        name = name.rstrip("*").strip().rstrip("_")
        current, start, count = (name, kind), i, 1
        if pending and re.match(r"P[A-Z]", name):
            digits = re.match(rb"\s*(\d+)", (_loose_fields(line) or [b""])[0])
            if digits:
                cards.names.setdefault(int(digits.group(1)), pending)
            pending = ""
    close()


def _comment(cards: _Cards, text: str) -> str:
    """Keep a name a preprocessor wrote as a comment; returns one that belongs to the next property card."""
    for pattern in _NAME_COMMENTS:
        match = pattern.match(text)
        if match and len(match.group(1)) < 12:
            cards.names.setdefault(int(match.group(1)), match.group(2).strip())
            return ""
    match = _SET_COMMENT.match(text)
    if match and len(match.group(1)) < 12:
        cards.set_names[int(match.group(1))] = (match.group(3).strip(), match.group(2))
    for pattern in _NEXT_PROPERTY:
        match = pattern.match(text)
        if match:
            return match.group(1).strip()
    return ""


# --- numbers --------------------------------------------------------------------------------------------


def _ints(cards: _Cards, column: Fields, lines: IntArray, what: str, *, blank: int | None = None) -> IntArray:
    """Whole numbers; a blank field takes the default, or is refused."""
    empty = column == b""
    if empty.any():
        if blank is None:
            cards.refuse(f"{what} is blank", int(lines[np.flatnonzero(empty)[0]]))
        column = np.where(empty, str(blank).encode(), column)
    try:
        return column.astype(np.int64)
    except (ValueError, OverflowError):
        for word, line in zip(column.tolist(), lines.tolist()):
            if re.fullmatch(rb"[+-]?\d{1,15}", word) is None:
                cards.refuse(f"{what} {word.decode('ascii', 'replace')!r} is not a whole number", line)
        cards.refuse(f"{what} is not a whole number", int(lines[0]))


def _floats(cards: _Cards, column: Fields, lines: IntArray, what: str) -> FloatArray:
    """Nastran reals, such as 1.5-3 for 1.5e-3; blank is 0."""
    column = np.where(column == b"", b"0", column)
    try:
        return column.astype(np.float64)
    except ValueError:
        pass
    out = np.empty(len(column))
    for i, word in enumerate(column.tolist()):
        text = re.sub(rb"(?<=[\d.])([+-]\d+)$", rb"e\1", re.sub(rb"[dD]", b"e", word))
        try:
            out[i] = float(text)
        except ValueError:
            cards.refuse(f"{what} {word.decode('ascii', 'replace')!r} is not a number", int(lines[i]))
    return out


def _line(cards: _Cards, at: IntArray, row: int) -> int:
    return cards.where(int(at[row]))[1]


# --- reading --------------------------------------------------------------------------------------------


def read(path: str | Path) -> RawMesh:
    """Read the mesh of a Nastran deck.

    Raises
    ------
    MeshReadError
        With file and line.
    """
    path = Path(path)
    cards = _gather(path)
    names = {name for name, _, _ in cards.found}
    if "GRID" not in names:
        raise MeshReadError("no GRID entry: not Nastran bulk data", file=path)
    for name in sorted(names & set(_REFUSED)):
        _, at = cards.of(name)
        cards.refuse(f"{name}: {_REFUSED[name]} are not supported", int(at[0]))
    raw = RawMesh("Nastran bulk data", str(path), *_grid_points(cards, names), [])
    node_lines = cards.of("GRID")[1]
    raw.node_line = partial(_line, cards, node_lines)
    groups: dict[int, list[IntArray]] = {}
    ids = []
    row = 0
    for name in [n for n in dict.fromkeys(k[0] for k in cards.found) if n in _ELEMENTS]:
        table, lines = cards.of(name)
        kinds, first, property_column = _ELEMENTS[name]
        labels = _ints(cards, table[:, 0], lines, f"{name}: element number")
        if property_column > 0:
            pids = _ints(cards, table[:, 1], lines, f"{name}: property", blank=0)
        else:
            pids = np.zeros(len(table), np.int64)
        for kind, rows, conn in _connect(cards, name, kinds, table, lines, first):
            at = lines[rows]
            line = partial(_line, cards, at)
            raw.blocks.append(RawBlock(kind, conn, labels[rows], name in _LINES, line))
            ids.append(np.column_stack([labels[rows], at]))
            for pid in np.unique(pids[rows]):
                groups.setdefault(int(pid), []).append(row + np.flatnonzero(pids[rows] == pid))
            row += len(rows)
    all_ids = np.concatenate(ids) if ids else np.empty((0, 2), np.int64)
    labels_of = Labels(all_ids[:, 0])
    again = labels_of.duplicates()
    if len(again):
        label, line = all_ids[again[0]]
        cards.refuse(f"element {label} is given twice ({len(again)} elements are)", int(line))
    for pid in sorted(groups):
        if pid == 0:
            raw.notes.append(f"{sum(map(len, groups[pid]))} elements name no property: in no group for that")
            continue
        raw.group(cards.names.get(pid, f"pid_{pid}")).cells.extend(groups[pid])
    _sets(cards, names, raw, labels_of)
    skipped = names - set(_ELEMENTS) - {"GRID", "SPC", "SPC1", "SET1"}
    if skipped:
        counts = dict.fromkeys(skipped, 0)
        for (name, _, _), at_lines in cards.found.items():
            if name in counts:
                counts[name] += len(at_lines)
        raw.notes.append(f"entries not read: {counted(counts)}")
    bars = sorted({"CBAR", "CBEAM"} & names)
    if bars:
        raw.notes.append(f"{' and '.join(bars)} read as lines without bending")
    return raw


def _grid_points(cards: _Cards, names: set[str]) -> tuple[IntArray, FloatArray]:
    table, lines = cards.of("GRID")
    if "GRDSET" in names:
        default, at = cards.of("GRDSET")
        if default.shape[1] > 1 and (default[:, 1] != b"").any() and (default[:, 1] != b"0").any():
            cards.refuse("GRDSET: grid points in a local coordinate system are not read", int(at[0]))
    if table.shape[1] < 5:
        table = np.pad(table, ((0, 0), (0, 5 - table.shape[1])))
    ids = _ints(cards, table[:, 0], lines, "GRID: number")
    local = _ints(cards, table[:, 1], lines, "GRID: coordinate system", blank=0)
    if local.any():
        i = int(np.flatnonzero(local)[0])
        cards.refuse(
            f"GRID {ids[i]} lies in coordinate system {local[i]}; only the basic system is read: "
            "export the deck with all grid points in it",
            int(lines[i]),
        )
    xyz = [_floats(cards, table[:, 2 + j], lines, f"GRID: coordinate {j + 1}") for j in range(3)]
    return ids, np.column_stack(xyz)


def _connect(
    cards: _Cards, name: str, kinds: tuple[str, ...], table: Fields, lines: IntArray, first: int
) -> list[tuple[str, IntArray, IntArray]]:
    """Types, rows and nodes of a card; a solid with its mid-side fields filled is quadratic."""
    full = ELEMENTS[kinds[-1]].n_nodes
    if table.shape[1] < first + full:
        table = np.pad(table, ((0, 0), (0, first + full - table.shape[1])))
    nodes = np.zeros((len(table), full), np.int64)
    for j in range(full):
        nodes[:, j] = _ints(cards, table[:, first + j], lines, f"{name}: node {j + 1}", blank=0)
    out = []
    rest = np.ones(len(table), bool)
    for kind in reversed(kinds):
        n = ELEMENTS[kind].n_nodes
        which = np.flatnonzero(rest & (nodes[:, :n] != 0).all(axis=1) & (nodes[:, n:] == 0).all(axis=1))
        if len(which):
            conn = nodes[which, :n]
            out.append((kind, which, conn[:, _ORDER[kind]] if kind in _ORDER else conn))
        rest[which] = False
    if rest.any():
        i = int(np.flatnonzero(rest)[0])
        wanted = " or ".join(str(ELEMENTS[kind].n_nodes) for kind in kinds)
        have = int((nodes[i] != 0).sum())
        cards.refuse(
            f"{name} {table[i, 0].decode('ascii', 'replace')} has {have} nodes in its {full} fields; "
            f"{wanted} are wanted (some mid-side nodes missing is not supported)",
            int(lines[i]),
        )
    return out


def _listed(cards: _Cards, row: Fields, line: int, what: str) -> list[tuple[int, int]]:
    """Ranges stated by 'a b c' or 'a THRU b'."""
    words = [w.decode("ascii", "replace").upper() for w in row.tolist() if w]
    out: list[tuple[int, int]] = []
    i = 0
    while i < len(words):
        if re.fullmatch(r"\d{1,15}", words[i]) is None:
            cards.refuse(f"{what}: {words[i]!r} is not a number", line)
        first = last = int(words[i])
        if i + 2 < len(words) and words[i + 1] == "THRU":
            if re.fullmatch(r"\d{1,15}", words[i + 2]) is None or int(words[i + 2]) < first:
                cards.refuse(f"{what}: {first} THRU {words[i + 2]!r} is no range", line)
            last = int(words[i + 2])
            i += 2
        out.append((first, last))
        i += 1
    return out


def _sets(cards: _Cards, names: set[str], raw: RawMesh, elements: Labels) -> None:
    """SPC, SPC1 and SET1 as groups."""
    nodes = Labels(raw.node_ids)
    known_nodes = np.sort(raw.node_ids)
    for name in ("SPC1", "SPC"):
        if name not in names:
            continue
        table, lines = cards.of(name)
        sids = _ints(cards, table[:, 0], lines, f"{name}: set")
        for row, sid, line in zip(table, sids.tolist(), lines.tolist()):
            fields = row[2:] if name == "SPC1" else row[[c for c in (1, 4) if c < len(row)]]
            found = _members(cards, _listed(cards, fields, line, name), known_nodes, name, line)
            if len(found):
                raw.group(f"spc_{sid}").nodes.append(found)
    if "SET1" not in names:
        return
    table, lines = cards.of("SET1")
    for row, line in zip(table, lines.tolist()):
        sid = int(_ints(cards, row[:1], np.array([line]), "SET1: number")[0])
        label, kind = cards.set_names.get(sid, (f"set_{sid}", ""))
        ranges = _listed(cards, row[1:], line, "SET1")
        singles = np.array([a for a, _ in ranges], np.int64)
        are_nodes = bool((nodes.rows(singles) >= 0).all()) and kind != "2"
        are_cells = bool((elements.rows(singles) >= 0).all()) and kind != "1"
        if not are_nodes and not are_cells:
            cards.refuse(f"SET1 {sid} names a node or element that the file does not define", line)
        if are_nodes and are_cells:
            raw.notes.append(f"SET1 {sid} does not say whether it lists nodes or elements: read as both")
        for first, last in ranges:
            if are_nodes:
                raw.group(label).nodes.append(known_nodes[(known_nodes >= first) & (known_nodes <= last)])
            if are_cells:
                labels = _labels_between(elements, first, last)
                raw.group(label).cells.append(elements.rows(labels))


def _labels_between(labels: Labels, first: int, last: int) -> IntArray:
    if labels.n == 0:
        return np.empty(0, np.int64)
    if labels.contiguous:
        return np.arange(max(first, labels.first), min(last, labels.first + labels.n - 1) + 1)
    return np.asarray(labels.sorted[(labels.sorted >= first) & (labels.sorted <= last)])


def _members(cards: _Cards, ranges: list[tuple[int, int]], known: IntArray, what: str, line: int) -> IntArray:
    parts = []
    for first, last in ranges:
        if first == last and first == 0:
            continue  # an empty second half of SPC
        inside = known[(known >= first) & (known <= last)]
        if not len(inside):
            cards.refuse(f"{what} names node {first}, which the file does not define", line)
        parts.append(inside)
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
