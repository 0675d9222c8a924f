"""Abaqus and CalculiX input decks (.inp): the mesh, its sets and surfaces.

Source: Abaqus Keywords Reference Guide (*NODE, *ELEMENT, *NSET, *ELSET, *SURFACE, *PART, *INSTANCE) and
Elements Guide (node and face numbering); CalculiX CrunchiX user's manual.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError, MeshReadError
from designtwin.io._common import (
    CENTRE_NODES,
    Labels,
    RawBlock,
    RawMesh,
    counted,
    facet_permutation,
    format_rows,
    parse_numbers,
    read_bytes,
    text_of,
)
from designtwin.io.files import atomic
from designtwin.mesh import Mesh
from designtwin.typing import FloatArray, IntArray

_SOLIDS = {
    4: "tetra", 5: "pyramid", 6: "wedge", 8: "hexahedron", 10: "tetra10", 13: "pyramid13", 15: "wedge15",
    20: "hexahedron20", 27: "hexahedron27",
}  # fmt: skip
_PLANES = {3: "triangle", 4: "quad", 6: "triangle6", 8: "quad8", 9: "quad9"}
_PATTERNS: tuple[tuple[str, dict[int, str]], ...] = (
    (r"(?:DC|AC|EMC|C|F)3D(\d+)(?!\w*V)[A-Z]*", _SOLIDS),
    (r"(?:CPS|CPE|CPEG|CAX|CGAX|DC2D|DCAX|AC2D|ACAX|WARP2D)([34689])[A-Z]*", _PLANES),
    (r"(?:S|DS|M3D|SFM3D|R3D)([34689])(?:R5|5|[A-Z]*)", _PLANES),
    (r"(?:STRI)(3)", _PLANES),
    (r"(?:T2D|T3D|DC1D)(2|3)[A-Z]*", {2: "line", 3: "line3"}),
    (r"B[23](1|2|3)[A-Z]*", {1: "line", 2: "line3", 3: "line"}),
)
# Elements without a shape of their own: read past, with a word.
_SHAPELESS = re.compile(
    r"(MASS|ROTARYI|SPRING|DASHPOT|CONN|GAP|JOINT|DCOUP|DISTRIBUTING|HEATCAP|ITS|PIPE|MPC|U\d|D\d?$|D$)"
)

# Faces S1, S2, ... by their corners.
_FACES = {
    "tetra": ((0, 1, 2), (0, 3, 1), (1, 3, 2), (2, 3, 0)),
    "pyramid": ((0, 1, 2, 3), (0, 4, 1), (1, 4, 2), (2, 4, 3), (3, 4, 0)),
    "wedge": ((0, 1, 2), (3, 5, 4), (0, 3, 4, 1), (1, 4, 5, 2), (2, 5, 3, 0)),
    "hexahedron": ((0, 1, 2, 3), (4, 7, 6, 5), (0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 4, 0)),
    "triangle": ((0, 1), (1, 2), (2, 0)),
    "quad": ((0, 1), (1, 2), (2, 3), (3, 0)),
}
FACETS: dict[str, IntArray] = {
    name: facet_permutation(name, _FACES[element.linear])
    for name, element in ELEMENTS.items()
    if element.linear in _FACES
}
"""Our facet of each face S1, S2, ... of an element."""

# Cards that make or move nodes and elements in ways not read: without them the mesh would be wrong.
_REFUSED = {
    "NGEN", "NFILL", "NCOPY", "NMAP", "ELGEN", "ELCOPY", "SYSTEM", "SUBSTRUCTURE PATH",
    "SYMMETRIC MODEL GENERATION", "SUBMODEL", "IMPORT", "MAP SOLUTION", "PARAMETER",
}  # fmt: skip
_OUR_CARDS = {
    "HEADING", "NODE", "ELEMENT", "NSET", "ELSET", "SURFACE", "INCLUDE", "PART", "END PART", "ASSEMBLY",
    "END ASSEMBLY", "INSTANCE", "END INSTANCE", "PREPRINT",
}  # fmt: skip
_FLAGS = {b"GENERATE", b"INTERNAL", b"UNSORTED"}
_MAX_INCLUDES = 100


@dataclass
class _Chunk:
    """Data lines of one file."""

    file: str
    data: bytes
    start: int
    end: int
    line: int

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Line number and text of each line that is neither blank nor a comment."""
        number = self.line
        for i, line in enumerate(self.data[self.start : self.end].split(b"\n")):
            stripped = line.strip()
            if stripped and not stripped.startswith(b"**"):
                yield number + i, stripped

    def text(self) -> bytes:
        """The data lines, without comments."""
        text = self.data[self.start : self.end]
        return re.sub(rb"(?m)^[ \t]*\*\*.*$", b"", text) if b"**" in text else text


@dataclass
class _Card:
    name: str
    parameters: dict[str, str]
    file: str
    line: int
    chunks: list[_Chunk] = field(default_factory=list)

    def refuse(self, reason: str, line: int | None = None, file: str | None = None) -> NoReturn:
        raise MeshReadError(f"*{self.name}: {reason}", file=file or self.file, line=line or self.line)

    def __getitem__(self, key: str) -> str:
        value = self.parameters.get(key, "")
        if not value:
            self.refuse(f"{key}= is missing")
        return value

    def lines(self) -> Iterator[tuple[_Chunk, int, list[str]]]:
        """Chunk, line number and fields of each data line."""
        for chunk in self.chunks:
            for number, line in chunk.lines():
                yield chunk, number, _fields(text_of(line))


def _fields(line: str) -> list[str]:
    """Comma separated fields; quotes protect commas and go away."""
    if '"' not in line:
        return [part.strip() for part in line.split(",")]
    parts = re.findall(r'((?:[^,"]|"[^"]*"?)*)(?:,|$)', line)
    if not line.endswith(","):
        parts = parts[:-1] if len(parts) > 1 and parts[-1] == "" else parts
    return [part.strip().replace('"', "") for part in parts]


# --- from bytes to cards --------------------------------------------------------------------------------


def _cards(path: Path) -> list[_Card]:
    cards: list[_Card] = []
    root = path.resolve().parent
    budget = [_MAX_INCLUDES]
    _scan(path, root, (), cards, budget)
    return cards


def _below(card: _Card, root: Path, folder: Path, name: str) -> Path:
    """A file named in a deck; only those below the deck's own folder are opened."""
    if not name:
        card.refuse("INPUT= names no file")
    path = (folder / name.replace("\\", "/")).resolve()
    if not path.is_relative_to(root):
        card.refuse(f"{name!r} lies outside the deck's folder {root}; files elsewhere are not opened")
    if not path.is_file():
        card.refuse(f"the file {name!r} does not exist below {root}")
    return path


def _scan(path: Path, root: Path, parents: tuple[Path, ...], cards: list[_Card], budget: list[int]) -> None:
    data = read_bytes(path).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    file = str(path)
    position = 0
    line, counted = 1, 0  # the line number is counted on, not anew for each card
    for match in re.finditer(rb"(?m)^[ \t]*\*(?!\*)[^\n]*", data):
        if match.start() < position:
            continue
        if position < match.start():
            line, counted = line + data.count(b"\n", counted, position), position
            _data(cards, _Chunk(file, data, position, match.start(), line))
        used, position = match.group(), match.end()
        # A keyword goes on while its line ends in a comma and the next one states parameters.
        while used.rstrip().endswith(b","):
            end = data.find(b"\n", position + 1)
            more = data[position + 1 : end if end >= 0 else len(data)]
            if b"=" not in more and more.strip(b" \t,").upper() not in _FLAGS:
                break
            used += b" " + more
            position += 1 + len(more)
        line, counted = line + data.count(b"\n", counted, match.start()), match.start()
        words = _fields(text_of(used))
        name = " ".join(words[0].strip().lstrip("*").upper().split())
        parameters = {}
        for word in words[1:]:
            key, _, value = word.partition("=")
            if key.strip():
                parameters[" ".join(key.upper().split())] = value.strip()
        card = _Card(name, parameters, file, line)
        if name == "INCLUDE":
            budget[0] -= 1
            other = _below(card, root, path.parent, card["INPUT"])
            if other == path.resolve() or other in parents or budget[0] < 0:
                card.refuse(
                    f"{card['INPUT']!r} includes itself, or more than {_MAX_INCLUDES} files are included"
                )
            _scan(other, root, (*parents, path.resolve()), cards, budget)
            continue
        cards.append(card)
        if name in ("NODE", "ELEMENT", "NSET", "ELSET", "SURFACE") and parameters.get("INPUT"):
            budget[0] -= 1
            other = _below(card, root, path.parent, parameters["INPUT"])
            if budget[0] < 0:
                card.refuse(f"more than {_MAX_INCLUDES} files are included")
            text = read_bytes(other).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            card.chunks.append(_Chunk(str(other), text, 0, len(text), 1))
    if position < len(data):
        line += data.count(b"\n", counted, position)
        _data(cards, _Chunk(file, data, position, len(data), line))


def _data(cards: list[_Card], chunk: _Chunk) -> None:
    """Data lines belong to the card before them, also across *INCLUDE."""
    if cards and chunk.data[chunk.start : chunk.end].strip():
        cards[-1].chunks.append(chunk)


# --- tables of numbers ----------------------------------------------------------------------------------


def _line_counts(text: bytes) -> IntArray:
    """Fields of each line that has any; a comma at the end of a line adds none."""
    array = np.frombuffer(text, np.uint8)
    ends = np.append(np.flatnonzero(array == 10), len(array))
    starts = np.append(0, ends[:-1] + 1)
    solid = np.flatnonzero((array != 32) & (array != 9) & (array != 10))
    if not len(solid):
        return np.empty(0, np.int64)
    commas = np.append(0, np.cumsum(array == 44))
    last = np.searchsorted(solid, ends) - 1  # the last character of each line that is not blank
    full = (last >= 0) & (solid[np.maximum(last, 0)] >= starts)
    trailing = array[solid[last[full]]] == 44
    return np.asarray(commas[ends[full]] - commas[starts[full]] + np.where(trailing, 0, 1), np.int64)


def _numbers_and_counts(text: bytes, dtype: type[np.float64] | type[np.int64]) -> tuple[Any, IntArray] | None:
    """All numbers and how many each line holds, or None where the text is not that regular."""
    values = parse_numbers(text.replace(b",", b" "), dtype)
    if values is None:
        return None
    counts = _line_counts(text)
    return (values, counts) if int(counts.sum()) == len(values) else None


def _number(card: _Card, word: str, line: int, file: str) -> float:
    try:
        return float(re.sub(r"[dD]", "e", word)) if word else 0.0
    except ValueError:
        card.refuse(f"{word[:40]!r} is not a number", line, file)


def _label(card: _Card, word: str, line: int, file: str) -> int:
    if not re.fullmatch(r"[+]?\d{1,15}", word):
        card.refuse(f"{word[:40]!r} is not a number of a node or element", line, file)
    return int(word)


def _node_table(card: _Card) -> FloatArray:
    """float64[n, 4]: label, x, y, z; fields left empty are 0."""
    tables = []
    for chunk in card.chunks:
        fast = _numbers_and_counts(chunk.text(), np.float64)
        if fast is not None and len(fast[1]) and (fast[1] == fast[1][0]).all() and fast[1][0] in (3, 4, 7):
            table = fast[0].reshape(len(fast[1]), -1)[:, :4]
            if table.shape[1] == 3:
                table = np.column_stack([table, np.zeros(len(table))])
            bad = np.flatnonzero((table[:, 0] != np.floor(table[:, 0])) | ~(np.abs(table[:, 0]) < 1e15))
            if not len(bad):
                tables.append(table)
                continue
        rows = []
        for number, line in chunk.lines():
            words = _fields(text_of(line))
            row = [float(_label(card, words[0], number, chunk.file))]
            row += [_number(card, word, number, chunk.file) for word in words[1:4]]
            rows.append(row + [0.0] * (4 - len(row)))
        if rows:
            tables.append(np.array(rows))
    return np.concatenate(tables) if tables else np.empty((0, 4))


def _element_table(card: _Card, width: int) -> IntArray:
    """int64[n, 1 + width]: label and nodes; an element may run over several lines."""
    tables = []
    for chunk in card.chunks:
        fast = _numbers_and_counts(chunk.text(), np.int64)
        if fast is not None:
            values, counts = fast
            ends = np.cumsum(counts)
            # Each element must end where a line ends.
            wanted = np.arange(width + 1, len(values) + 1, width + 1)
            if len(values) % (width + 1) == 0 and np.isin(wanted, ends).all():
                tables.append(values.reshape(-1, width + 1))
                continue
        rows: list[list[int]] = []
        open_row: list[int] = []
        number = chunk.line
        for number, line in chunk.lines():
            words = _fields(text_of(line))
            words = words[:-1] if words[-1] == "" else words
            open_row += [_label(card, word, number, chunk.file) for word in words]
            if len(open_row) > width + 1:
                card.refuse(
                    f"element {open_row[0]} has {len(open_row) - 1} nodes or more; "
                    f"{card.parameters.get('TYPE')} has {width}",
                    number, chunk.file,
                )  # fmt: skip
            if len(open_row) == width + 1:
                rows.append(open_row)
                open_row = []
            elif not line.endswith(b",") and len(words) < 8:
                card.refuse(
                    f"element {open_row[0]} has {len(open_row) - 1} nodes; "
                    f"{card.parameters.get('TYPE')} has {width}",
                    number, chunk.file,
                )  # fmt: skip
        if open_row:
            card.refuse(
                f"element {open_row[0]} has {len(open_row) - 1} nodes; "
                f"{card.parameters.get('TYPE')} has {width}",
                number, chunk.file,
            )  # fmt: skip
        if rows:
            tables.append(np.array(rows, np.int64))
    return np.concatenate(tables) if tables else np.empty((0, width + 1), np.int64)


# --- what a scope (the deck, a part, the assembly) defines ----------------------------------------------


@dataclass
class _Item:
    """One statement of what a set holds: labels, a range, or the name of another set."""

    card: _Card
    line: int
    labels: IntArray | None = None
    span: tuple[int, int, int] | None = None
    name: str = ""
    face: str = ""
    instance: str = ""


@dataclass
class _Scope:
    name: str
    nodes: list[tuple[_Card, FloatArray]] = field(default_factory=list)
    elements: list[tuple[_Card, str, IntArray]] = field(default_factory=list)  # card, meshio name, table
    nsets: dict[str, list[_Item]] = field(default_factory=dict)
    elsets: dict[str, list[_Item]] = field(default_factory=dict)
    surfaces: dict[str, list[_Item]] = field(default_factory=dict)  # names end in the type, see _surface
    spelled: dict[str, str] = field(default_factory=dict)

    def spell(self, name: str) -> str:
        """Key of a name, which keeps the spelling first met."""
        key = name.casefold()
        self.spelled.setdefault(key, name)
        return key


@dataclass
class _Instance:
    name: str
    part: str
    card: _Card
    own: _Scope
    shift: FloatArray
    turn: FloatArray


@dataclass
class _Deck:
    root: _Scope = field(default_factory=lambda: _Scope(""))
    parts: dict[str, _Scope] = field(default_factory=dict)
    instances: list[_Instance] = field(default_factory=list)
    sectioned: list[tuple[_Scope, str, _Card]] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    shapeless: dict[str, int] = field(default_factory=dict)
    materials: list[str] = field(default_factory=list)


def _element_kind(card: _Card) -> str | None:
    """meshio name of an element type; None for one without a shape."""
    kind = card["TYPE"].upper()
    for pattern, names in _PATTERNS:
        match = re.fullmatch(pattern, kind)
        if match and int(match.group(1)) in names:
            return names[int(match.group(1))]
    if kind == "STRI65":
        return "triangle6"
    if _SHAPELESS.match(kind):
        return None
    card.refuse(f"element type {kind} is not supported (its first element stands on line {card.line + 1})")


def _width(name: str) -> int:
    return {"hexahedron27": 27, "quad9": 9}.get(name) or ELEMENTS[name].n_nodes


def _items(card: _Card) -> list[_Item]:
    """The members a *NSET or *ELSET states."""
    instance = card.parameters.get("INSTANCE", "")
    items = []
    if "GENERATE" in card.parameters:
        for chunk, line, words in card.lines():
            numbers = [_label(card, word, line, chunk.file) for word in words if word]
            if (
                len(numbers) not in (2, 3)
                or (len(numbers) == 3 and numbers[2] < 1)
                or numbers[1] < numbers[0]
            ):
                card.refuse("GENERATE wants first, last and a step of 1 or more", line, chunk.file)
            first, last, step = (*numbers, 1)[:3]
            items.append(_Item(card, line, span=(first, last, step), instance=instance))
        return items
    for chunk in card.chunks:
        labels = parse_numbers(chunk.text().replace(b",", b" "), np.int64)
        if labels is not None:
            items.append(_Item(card, chunk.line, labels=labels, instance=instance))
            continue
        for number, text in chunk.lines():
            for word in _fields(text_of(text)):
                if re.fullmatch(r"\d+", word):
                    one = np.array([_label(card, word, number, chunk.file)])
                    items.append(_Item(card, number, labels=one, instance=instance))
                elif word:
                    items.append(_Item(card, number, name=word, instance=instance))
    return items


def _surface_items(card: _Card) -> list[_Item]:
    items: list[_Item] = []
    numbered: dict[str, list[int]] = {}  # by face: a surface may list thousands of elements
    kind = card.parameters.get("TYPE", "ELEMENT").upper()
    for chunk, line, words in card.lines():
        word = words[0]
        if not word:
            card.refuse("an element, a node or a set is wanted first", line, chunk.file)
        face = words[1].upper() if len(words) > 1 and kind == "ELEMENT" else ""
        if card.parameters.get("COMBINE"):
            items += [_Item(card, line, name=name) for name in words if name]
        elif re.fullmatch(r"\d+", word):
            numbered.setdefault(face, []).append(_label(card, word, line, chunk.file))
        else:
            items.append(_Item(card, line, name=word, face=face))
    return items + [_Item(card, card.line, np.array(labels), face=face) for face, labels in numbered.items()]


def _placement(card: _Card) -> tuple[FloatArray, FloatArray]:
    """Shift [3] and rotation [3, 3] of an instance: lines 'x, y, z' and 'ax, ay, az, bx, by, bz, angle'."""
    shift, turn = np.zeros(3), np.eye(3)
    for i, (chunk, line, words) in enumerate(card.lines()):
        numbers = [_number(card, word, line, chunk.file) for word in words if word]
        if i == 0 and len(numbers) <= 3:
            shift[: len(numbers)] = numbers
        elif i == 1 and len(numbers) == 7:
            a, b = np.array(numbers[:3]), np.array(numbers[3:6])
            axis = b - a
            length = float(np.linalg.norm(axis))
            if not length > 0 or not np.isfinite(numbers).all():
                card.refuse("the axis of rotation has no length", line, chunk.file)
            x, y, z = axis / length
            k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
            angle = np.deg2rad(numbers[6])
            turn = np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)
            # Moved first, then turned about the axis.
            shift = turn @ (shift - a) + a
        else:
            card.refuse("an instance takes a translation and an axis with an angle", line, chunk.file)
    return shift, turn


def _collect(cards: list[_Card]) -> _Deck:
    deck = _Deck()
    scope = deck.root
    for card in cards:
        name = card.name
        if name in _REFUSED:
            card.refuse("is not supported, and the mesh would be wrong without it; write the deck out flat")
        if name == "PART":
            scope = deck.parts.setdefault(card["NAME"].casefold(), _Scope(card["NAME"]))
        elif name in ("END PART", "END INSTANCE", "ASSEMBLY", "END ASSEMBLY"):
            scope = deck.root
        elif name == "INSTANCE":
            if "LIBRARY" in card.parameters:
                card.refuse("an instance from a results library is not supported; write the deck out flat")
            shift, turn = _placement(card)
            own = _Scope(card["NAME"])
            deck.instances.append(_Instance(card["NAME"], card["PART"].casefold(), card, own, shift, turn))
            scope = own
        elif name == "NODE":
            table = _node_table(card)
            system = card.parameters.get("SYSTEM", "R").upper()
            if system == "C":
                r, t = table[:, 1].copy(), np.deg2rad(table[:, 2])
                table[:, 1], table[:, 2] = r * np.cos(t), r * np.sin(t)
            elif system != "R":
                card.refuse(f"SYSTEM={system} is not supported; R and C are")
            scope.nodes.append((card, table))
            if card.parameters.get("NSET"):
                labels = table[:, 0].astype(np.int64)
                scope.nsets.setdefault(scope.spell(card["NSET"]), []).append(_Item(card, card.line, labels))
        elif name == "ELEMENT":
            kind = _element_kind(card)
            if kind is None:
                count = sum(1 for _ in card.lines())
                word = card["TYPE"].upper()
                deck.shapeless[word] = deck.shapeless.get(word, 0) + count
                continue
            table_of_ids = _element_table(card, _width(kind))
            scope.elements.append((card, kind, table_of_ids))
            if card.parameters.get("ELSET"):
                key = scope.spell(card["ELSET"])
                scope.elsets.setdefault(key, []).append(_Item(card, card.line, table_of_ids[:, 0]))
        elif name == "NSET":
            key = scope.spell(card["NSET"])
            items = scope.nsets.setdefault(key, [])
            items += _items(card)
            if card.parameters.get("ELSET"):
                items.append(_Item(card, card.line, name=card["ELSET"], face="ELSET"))
        elif name == "ELSET":
            scope.elsets.setdefault(scope.spell(card["ELSET"]), []).extend(_items(card))
        elif name == "SURFACE":
            _surface(scope, card, deck)
        else:
            if name.endswith("SECTION") and card.parameters.get("ELSET"):
                deck.sectioned.append((scope, card["ELSET"].casefold(), card))
            if name == "MATERIAL" and card.parameters.get("NAME"):
                deck.materials.append(card["NAME"])
            if name not in _OUR_CARDS:
                deck.skipped[name] = deck.skipped.get(name, 0) + 1
    return deck


def _surface(scope: _Scope, card: _Card, deck: _Deck) -> None:
    kind = card.parameters.get("TYPE", "ELEMENT").upper()
    combine = card.parameters.get("COMBINE", "").upper()
    if (combine and combine != "UNION") or kind not in ("ELEMENT", "NODE"):
        word = f"SURFACE {'COMBINE=' + combine if combine else 'TYPE=' + kind}"
        deck.skipped[word] = deck.skipped.get(word, 0) + 1
        return
    items = _surface_items(card)
    for item in items:
        if combine:
            item.face = "SURFACE"
        elif kind == "NODE":
            item.face = "NODE"
    scope.surfaces.setdefault(scope.spell(card["NAME"]), []).extend(items)


# --- from scopes to one mesh ----------------------------------------------------------------------------


@dataclass
class _Placed:
    """A scope in the mesh: its sets in global labels (nodes) and raw cell rows (elements)."""

    scope: _Scope
    prefix: str
    offset: int
    node_labels: IntArray
    element_labels: IntArray
    first_row: int
    labels: Labels
    node_table: Labels


class _Resolver:
    """Members of sets, with sets of sets followed once."""

    def __init__(self, placed: dict[str, _Placed], raw: RawMesh) -> None:
        self.placed, self.raw, self.notes = placed, raw, raw.notes
        self.ends = np.cumsum([len(block.conn) for block in raw.blocks] or [0])
        self.done: dict[tuple[int, str, str], Any] = {}
        self.budget = 10_000_000 + 200 * (len(raw.node_ids) + int(self.ends[-1]))
        self.busy: set[tuple[int, str, str]] = set()

    def by_block(self, rows: IntArray) -> Iterator[tuple[RawBlock, IntArray, IntArray]]:
        """Blocks that hold some of the raw rows: the block, the rows within it, and the raw rows."""
        which = np.searchsorted(self.ends, rows, side="right")
        for b in np.unique(which).tolist():
            mine = rows[which == b]
            block = self.raw.blocks[b]
            yield block, mine - (self.ends[b] - len(block.conn)), mine

    def find(self, at: _Placed, item: _Item, table: str) -> tuple[_Placed, str] | None:
        """Where a set named in an item is defined: here, or 'instance.name'."""
        name = item.name.casefold()
        here = self.at_instance(at, item)
        if name in getattr(here.scope, table):
            return here, name
        instance, _, rest = name.partition(".")
        if rest and instance in self.placed and rest in getattr(self.placed[instance].scope, table):
            return self.placed[instance], rest
        return None

    def at_instance(self, at: _Placed, item: _Item) -> _Placed:
        if not item.instance:
            return at
        if item.instance.casefold() not in self.placed:
            item.card.refuse(f"there is no instance {item.instance!r}; there are {sorted(self.placed)}")
        return self.placed[item.instance.casefold()]

    def members(self, at: _Placed, table: str, name: str) -> Any:
        """What a set holds.

        nsets: global node labels; elsets: raw rows; surfaces: (pairs [k, 2], node labels, free rows, rows).
        """
        key = (id(at), table, name)
        if key in self.done:
            return self.done[key]
        items = getattr(at.scope, table)[name]
        if key in self.busy:
            items[0].card.refuse(f"set {at.scope.spelled[name]!r} holds itself")
        if len(self.busy) > 200:
            items[0].card.refuse("sets of sets are nested more than 200 deep")
        self.busy.add(key)
        if table == "surfaces":
            value: Any = self.surface(at, items, name)
            size = sum(map(len, value))
        else:
            parts = [self.plain(at, item, table, name) for item in items]
            value = np.concatenate(parts) if parts else np.empty(0, np.int64)
            if len(value) > 1 and not (np.diff(value) > 0).all():
                value = np.unique(value)
            size = len(value)
        # A short deck may state sets of everything by the thousand.
        self.budget -= size
        if self.budget < 0:
            items[0].card.refuse("the sets together name more members than any mesh of this size needs")
        self.busy.discard(key)
        self.done[key] = value
        return value

    def plain(self, at: _Placed, item: _Item, table: str, name: str) -> IntArray:
        word = "node" if table == "nsets" else "element"
        spelled = at.scope.spelled.get(name, name)
        if item.name and item.face == "ELSET":  # *NSET, ELSET=: the nodes of elements
            found = self.find(at, item, "elsets")
            if found is None:
                item.card.refuse(f"set {spelled!r}: there is no element set {item.name!r}")
            rows: IntArray = self.members(found[0], "elsets", found[1])
            parts = [block.conn[local].ravel() for block, local, _ in self.by_block(rows)]
            return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)
        if item.name:
            found = self.find(at, item, table)
            if found is None:
                item.card.refuse(f"set {spelled!r} names {item.name!r}, which is no {word} set", item.line)
            return np.asarray(self.members(found[0], table, found[1]), np.int64)
        here = self.at_instance(at, item)
        known = here.node_labels if table == "nsets" else here.element_labels
        if item.span is not None:
            first, last, step = item.span
            low, high = np.searchsorted(known, [first, last + 1])
            labels = known[low:high]
            labels = labels[(labels - first) % step == 0] if step > 1 else labels
            missing = (last - first) // step + 1 - len(labels)
            if not len(labels):
                item.card.refuse(f"set {spelled!r}: no {word} exists from {first} to {last}", item.line)
            if missing:
                self.notes.append(
                    f"set {spelled!r}: {missing} of the {word}s generated do not exist; left out"
                )
        else:
            labels = np.empty(0, np.int64) if item.labels is None else item.labels
        if table == "nsets":
            unknown = np.flatnonzero(here.node_table.rows(labels) < 0)
            if len(unknown):
                item.card.refuse(
                    f"set {spelled!r} names node {labels[unknown[0]]}, which the file does not define "
                    f"({len(unknown)} such)", self.line(item, int(labels[unknown[0]])),
                )  # fmt: skip
            return np.asarray(labels + here.offset, np.int64)
        rows = here.labels.rows(labels)
        unknown = np.flatnonzero(rows < 0)
        if len(unknown):
            item.card.refuse(
                f"set {spelled!r} names element {labels[unknown[0]]}, which the file does not define "
                f"({len(unknown)} such)", self.line(item, int(labels[unknown[0]])),
            )  # fmt: skip
        return rows + here.first_row

    @staticmethod
    def line(item: _Item, label: int) -> int:
        """The line on which a label stands in a set."""
        for _, number, words in item.card.lines():
            if str(label) in words:
                return number
        return item.line

    def surface(
        self, at: _Placed, items: list[_Item], name: str
    ) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        pairs: list[IntArray] = []
        nodes: list[IntArray] = []
        free: list[IntArray] = []
        whole_cells: list[IntArray] = []
        spelled = at.scope.spelled.get(name, name)
        for item in items:
            if item.face == "NODE":
                as_set = _Item(item.card, item.line, item.labels, None, item.name)
                nodes.append(self.plain(at, as_set, "nsets", name))
                continue
            if item.face == "SURFACE":
                found = self.find(at, item, "surfaces")
                if found is None:
                    item.card.refuse(
                        f"surface {spelled!r} names {item.name!r}, which is no surface", item.line
                    )
                for target, part in zip(
                    (pairs, nodes, free, whole_cells), self.members(found[0], "surfaces", found[1])
                ):
                    target.append(part)
                continue
            if item.name:
                found = self.find(at, item, "elsets")
                if found is None:
                    item.card.refuse(
                        f"surface {spelled!r} names {item.name!r}, which is no element set", item.line
                    )
                rows = self.members(found[0], "elsets", found[1])
            else:
                as_set = _Item(item.card, item.line, item.labels)
                rows = self.plain(at, as_set, "elsets", name)
            if not item.face:
                free.append(rows)
                continue
            if item.face in ("SPOS", "SNEG", "POS", "NEG", "SP", "SN"):
                whole_cells.append(rows)
                continue
            match = re.fullmatch(r"[SE](\d)", item.face)
            if match is None:
                item.card.refuse(f"surface {spelled!r}: {item.face!r} is no face; S1 to S6 are", item.line)
            face = int(match.group(1)) - 1
            for block, local, mine in self.by_block(rows):
                kind = CENTRE_NODES.get(block.name, block.name)
                if kind not in FACETS or face < 0 or face >= len(FACETS[kind]):
                    item.card.refuse(
                        f"surface {spelled!r}: a {kind} cell has no face {item.face} "
                        f"(element {block.ids[local[0]]})", item.line,
                    )  # fmt: skip
                pairs.append(np.column_stack([mine, np.full(len(mine), FACETS[kind][face])]))
        empty = np.empty(0, np.int64)
        return (
            np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64),
            np.concatenate(nodes) if nodes else empty,
            np.concatenate(free) if free else empty,
            np.concatenate(whole_cells) if whole_cells else empty,
        )


def read(path: str | Path) -> RawMesh:
    """Read an Abaqus or CalculiX deck.

    Raises
    ------
    MeshReadError
        With file and line; cards that would change the mesh but are not read are refused by name.
    """
    path = Path(path)
    cards = _cards(path)
    if not any(card.name in ("NODE", "PART") for card in cards):
        raise MeshReadError("no *NODE card: not an Abaqus or CalculiX deck", file=path)
    deck = _collect(cards)
    scopes: list[tuple[_Scope, str, FloatArray, FloatArray, _Card | None]] = []
    if deck.instances:
        for instance in deck.instances:
            part = deck.parts.get(instance.part)
            if part is None:
                instance.card.refuse(f"there is no part {instance.card['PART']!r}")
            scopes.append(
                (_merged(part, instance.own), instance.name, instance.shift, instance.turn, instance.card)
            )
    else:
        for part in deck.parts.values():  # parts without an assembly stand where they are
            scopes.append((part, part.name, np.zeros(3), np.eye(3), None))
    scopes.append((deck.root, "", np.zeros(3), np.eye(3), None))
    return _assemble(path, deck, scopes)


def _merged(part: _Scope, own: _Scope) -> _Scope:
    """A part as one instance sees it: with what the instance adds."""
    out = _Scope(own.name, part.nodes + own.nodes, part.elements + own.elements)
    for table in ("nsets", "elsets", "surfaces"):
        for scope in (part, own):
            for name, items in getattr(scope, table).items():
                getattr(out, table).setdefault(name, []).extend(items)
    out.spelled = {**own.spelled, **part.spelled}
    return out


def _assemble(
    path: Path, deck: _Deck, scopes: list[tuple[_Scope, str, FloatArray, FloatArray, _Card | None]]
) -> RawMesh:
    notes: list[str] = []
    raw = RawMesh("Abaqus deck", str(path), np.empty(0, np.int64), np.empty((0, 3)), [], fold_case=True)
    raw.notes = notes
    placed: dict[str, _Placed] = {}
    node_ids, points, node_cards = [], [], []
    row, offset = 0, 0
    for scope, name, shift, turn, _ in scopes:
        labels: IntArray = np.concatenate([t[:, 0] for _, t in scope.nodes] or [np.empty(0)]).astype(np.int64)
        for card, table in scope.nodes:
            node_ids.append(table[:, 0].astype(np.int64) + offset)
            points.append(table[:, 1:] if (turn == np.eye(3)).all() else table[:, 1:] @ turn.T)
            if shift.any():
                points[-1] = points[-1] + shift
            node_cards.append((card, len(table), offset))
        ids = []
        for card, kind, rows in scope.elements:
            conn = rows[:, 1:] + offset
            raw.blocks.append(RawBlock(kind, conn, rows[:, 0], False, _line_finder(card, rows[:, 0])))
            ids.append(rows[:, 0])
        element_labels = np.concatenate(ids) if ids else np.empty(0, np.int64)
        table_of = Labels(element_labels)
        again = table_of.duplicates()
        if len(again):
            label = int(element_labels[again[0]])
            last = [card for card, _, rows in scope.elements if label in rows[:, 0]][-1]
            raise MeshReadError(
                f"element {label} is given twice ({len(again)} elements are)",
                file=path, line=_line_of_label(last, label),
            )  # fmt: skip
        placed[name.casefold()] = _Placed(
            scope, name, offset, np.unique(labels), np.unique(element_labels), row, table_of, Labels(labels)
        )
        row += len(element_labels)
        offset += int(labels.max()) + 1 if len(labels) and len(scopes) > 1 else 0
    raw.node_ids = np.concatenate(node_ids) if node_ids else np.empty(0, np.int64)
    raw.points = np.concatenate(points) if points else np.empty((0, 3))
    raw.node_line = _node_line_finder(node_cards)
    _fix_line3(raw)
    resolver = _Resolver({k: v for k, v in placed.items() if k}, raw)
    _mark_sections(deck, placed, resolver, raw)
    _name_groups(placed, resolver, raw, len(scopes) > 2)
    if deck.materials:
        notes.append(
            "materials are stated in the model, not read here: " + ", ".join(map(repr, deck.materials))
        )
    if deck.shapeless:
        notes.append("elements without a shape not read: " + counted(deck.shapeless))
    if deck.skipped:
        notes.append("cards not read: " + counted({f"*{k}": v for k, v in deck.skipped.items()}))
    return raw


def _line_finder(card: _Card, ids: IntArray) -> Callable[[int], int | None]:
    return lambda row: _line_of_label(card, int(ids[row]))


def _line_of_label(card: _Card, label: int) -> int:
    """Line of a card that begins with a label; the last one where there are several."""
    found = [number for _, number, words in card.lines() if words[0] == str(label)]
    return found[-1] if found else card.line


def _node_line_finder(cards: list[tuple[_Card, int, int]]) -> Callable[[int], int | None]:
    def line(row: int) -> int | None:
        for card, n, _ in cards:
            if row < n:
                for i, (_, number, _) in enumerate(card.lines()):
                    if i == row:
                        return number
                return card.line
            row -= n
        return None

    return line


def _fix_line3(raw: RawMesh) -> None:
    """Three-node lines: Abaqus puts the middle node second in beams; ours is last."""
    labels = Labels(raw.node_ids)
    for block in raw.blocks:
        if block.name != "line3":
            continue
        rows = labels.rows(block.conn)
        if rows.min(initial=0) < 0:
            continue
        x = raw.points[rows]
        second = np.linalg.norm(x[:, 1] - 0.5 * (x[:, 0] + x[:, 2]), axis=1)
        third = np.linalg.norm(x[:, 2] - 0.5 * (x[:, 0] + x[:, 1]), axis=1)
        swap = second < third
        conn = block.conn.copy()
        conn[swap] = conn[swap][:, [0, 2, 1]]
        block.conn = conn


def _mark_sections(deck: _Deck, placed: dict[str, _Placed], resolver: _Resolver, raw: RawMesh) -> None:
    """Lines that a section names are trusses: they stay cells, also along edges of solids.

    Shells on solids are taken for their surface all the same: a coat of membranes is how decks mark one.
    """
    wanted = []
    for scope, name, _ in deck.sectioned:
        for at in placed.values():
            if (
                at.scope is scope or at.scope.name == scope.name or not scope.name
            ) and name in at.scope.elsets:
                wanted.append(resolver.members(at, "elsets", name))
    if not wanted:
        return
    n = sum(len(b.conn) for b in raw.blocks)
    stays = np.zeros(n, bool)
    stays[np.concatenate(wanted)] = True
    start = 0
    for block in raw.blocks:
        if block.name in ("line", "line3"):
            block.stays = stays[start : start + len(block.conn)]
        start += len(block.conn)


def _name_groups(placed: dict[str, _Placed], resolver: _Resolver, raw: RawMesh, several: bool) -> None:
    """Sets under their own names; under 'instance.name' where several instances have one of that name."""
    owners: dict[str, list[_Placed]] = {}
    for at in placed.values():
        names = {*at.scope.nsets, *at.scope.elsets, *at.scope.surfaces}
        for name in names:
            owners.setdefault(name, []).append(at)
    spelled: dict[str, str] = {}
    for at in [placed[""], *(p for k, p in placed.items() if k)]:
        for table in ("nsets", "elsets", "surfaces"):
            for name in getattr(at.scope, table):
                full = at.scope.spelled[name]
                if at.prefix and len(owners[name]) > 1:
                    full = f"{at.prefix}.{full}"
                group = raw.group(spelled.setdefault(full.casefold(), full))
                members = resolver.members(at, table, name)
                if table == "nsets":
                    group.nodes.append(members)
                elif table == "elsets":
                    group.cells.append(members)
                else:
                    pairs, nodes, free, whole_cells = members
                    for part, target in (
                        (nodes, group.nodes),
                        (free, group.exterior),
                        (whole_cells, group.cells),
                    ):
                        if len(part):
                            target.append(part)
                    if len(pairs):
                        group.facets.append(pairs)
        if several and at.prefix and len(at.element_labels):
            rows = np.arange(at.first_row, at.first_row + len(at.element_labels))
            raw.group(spelled.setdefault(at.prefix.casefold(), at.prefix)).cells.append(rows)


# --- writing --------------------------------------------------------------------------------------------

_WRITTEN = {
    "tetra": "C3D4", "tetra10": "C3D10", "hexahedron": "C3D8", "hexahedron20": "C3D20", "wedge": "C3D6",
    "wedge15": "C3D15", "pyramid": "C3D5", "pyramid13": "C3D13", "line": "T3D2", "line3": "T3D3",
}  # fmt: skip
_WRITTEN_PLANE = {"triangle": "CPS3", "triangle6": "CPS6", "quad": "CPS4", "quad8": "CPS8"}
_WRITTEN_SPACE = {"triangle": "S3", "triangle6": "S6", "quad": "S4", "quad8": "S8"}


def write(mesh: Mesh, path: str | Path, factor: float) -> None:
    """Write a deck with *NODE, *ELEMENT, *NSET, *ELSET and *SURFACE; no materials, no step.

    Raises
    ------
    MeshError
        If two groups differ in upper and lower case alone, or a name cannot stand in a deck.
    """
    folded: dict[str, str] = {}
    for name in mesh.groups:
        if '"' in name or "\n" in name or not name.strip() or name != name.strip():
            raise MeshError(f"{path}: group name {name!r} cannot stand in an Abaqus deck")
        if name.casefold() in folded:
            raise MeshError(
                f"{path}: groups {folded[name.casefold()]!r} and {name!r} differ in case alone, "
                "which Abaqus ignores"
            )
        folded[name.casefold()] = name
    with atomic(path) as stream:
        stream.write(b"*HEADING\nwritten by designtwin\n*NODE\n")
        ids = np.arange(1, mesh.n_points + 1)
        stream.write(format_rows([ids], mesh.points / factor, ", "))
        for kind, cell_ids, conn in mesh.blocks():
            table = _WRITTEN_PLANE if mesh.is_plane else _WRITTEN_SPACE
            stream.write(f"*ELEMENT, TYPE={_WRITTEN.get(kind) or table[kind]}\n".encode())
            rows = np.column_stack([cell_ids, conn]) + 1
            # At most 16 entries stand on a line.
            for line in rows.tolist():
                for at in range(0, len(line), 15):
                    end = ",\n" if at + 15 < len(line) else "\n"
                    stream.write((", ".join(map(str, line[at : at + 15])) + end).encode())
        inverse = {name: np.argsort(faces) for name, faces in FACETS.items()}
        for name, group in mesh.groups.items():
            label = name if re.fullmatch(r"[A-Za-z_][\w.-]*", name) else f'"{name}"'
            if group.nodes is not None:
                stream.write(f"*NSET, NSET={label}\n".encode() + _listed(group.nodes + 1))
            if group.cells is not None:
                stream.write(f"*ELSET, ELSET={label}\n".encode() + _listed(group.cells + 1))
            if group.facets is not None:
                stream.write(f"*SURFACE, NAME={label}, TYPE=ELEMENT\n".encode())
                for kind, rows in mesh.rows_by_block(np.unique(group.facets[:, 0])):
                    first = mesh.block_offsets[kind]
                    mine = group.facets[np.isin(group.facets[:, 0], rows + first)]
                    faces = inverse[kind][mine[:, 1]] + 1
                    text = "".join(f"{c}, S{s}\n" for c, s in zip((mine[:, 0] + 1).tolist(), faces.tolist()))
                    stream.write(text.encode())


def _listed(ids: IntArray) -> bytes:
    values = list(map(str, ids.tolist()))
    return "".join(", ".join(values[i : i + 16]) + "\n" for i in range(0, len(values), 16)).encode()
