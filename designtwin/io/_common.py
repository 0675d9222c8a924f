"""What every reader shares: raw blocks as a file states them, and the one way from there to a Mesh."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError, MeshReadError, UnitError
from designtwin.mesh import Group, Mesh
from designtwin.typing import FloatArray, IntArray
from designtwin.units import to_si

LENGTH_UNITS = {
    "m": 1.0, "dm": 0.1, "cm": 0.01, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "micron": 1e-6,
    "nm": 1e-9, "km": 1e3, "in": 0.0254, "inch": 0.0254, "ft": 0.3048, "foot": 0.3048, "mil": 2.54e-5,
    "yd": 0.9144, "meter": 1.0, "metre": 1.0, "millimeter": 1e-3, "millimetre": 1e-3, "centimeter": 0.01,
    "centimetre": 0.01, "micrometer": 1e-6,
}  # fmt: skip

LARGEST = 1e9
"""Coordinates beyond this many meters are damage, not a part; squares of them would overflow later."""

# Cells with nodes in faces or body, which serendipity elements do without: the wanted type keeps the first n.
CENTRE_NODES = {
    "hexahedron27": "hexahedron20",
    "hexahedron24": "hexahedron20",
    "quad9": "quad8",
    "wedge18": "wedge15",
    "pyramid14": "pyramid13",
    "triangle7": "triangle6",
}


def length_factor(unit: str) -> float:
    """Meters per unit of length.

    Raises
    ------
    UnitError
        If the unit is not one of length.
    """
    if not isinstance(unit, str) or not unit.strip():
        raise UnitError(
            f"length_unit: {unit!r} is no unit of length; use 'mm', 'm', 'cm', 'um', 'in' or 'ft'"
        )
    if unit.strip() in LENGTH_UNITS:  # the usual ones need no registry of units
        return LENGTH_UNITS[unit.strip()]
    return float(to_si(f"1 {unit.strip()}", "length", name="length_unit"))


# --- what a file states ---------------------------------------------------------------------------------


@dataclass
class RawBlock:
    """Cells of one type as the file lists them.

    Parameters
    ----------
    name : str
        meshio name; may be ``vertex`` or a type with center nodes.
    conn : int64[k, n]
        Node ids of the file (labels), in VTK's node order.
    ids : int64[k]
        Cell ids of the file, for messages.
    stays : bool or bool[k]
        True where the file says that cells of lower dimension carry physics (a truss with a section).
    line : callable, optional
        Line of the file on which a row stands.
    """

    name: str
    conn: IntArray
    ids: IntArray
    stays: bool | np.ndarray[Any, np.dtype[np.bool_]] = False
    line: Callable[[int], int | None] | None = None


@dataclass
class RawGroup:
    """A named set: node labels of the file, rows of raw cells, and (raw cell row, facet of our element)."""

    nodes: list[IntArray] = field(default_factory=list)
    cells: list[IntArray] = field(default_factory=list)
    facets: list[IntArray] = field(default_factory=list)
    exterior: list[IntArray] = field(default_factory=list)
    """Raw cell rows whose facets on the outside of the body are meant."""


@dataclass
class RawMesh:
    """A file's content before ids become rows.

    Parameters
    ----------
    format : str
        In words, for the first note.
    node_ids : int64[n]
        Labels of the points.
    points : float64[n, 2 or 3]
        In the file's unit.
    blocks : list of RawBlock
        Raw cell rows run over these in order.
    groups : dict of name to RawGroup
    notes : list of str
    node_line : callable, optional
        Line of the file on which a point stands.
    """

    format: str
    file: str
    node_ids: IntArray
    points: FloatArray
    blocks: list[RawBlock]
    groups: dict[str, RawGroup] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    node_line: Callable[[int], int | None] | None = None
    fold_case: bool = False
    group_lines: dict[str, int] = field(default_factory=dict)

    def group(self, name: str) -> RawGroup:
        """The group of that name, made when new."""
        return self.groups.setdefault(name, RawGroup())


class Labels:
    """From the labels of a file to rows 0, 1, ...

    Parameters
    ----------
    ids : int64[n]
        Labels, unique.
    """

    def __init__(self, ids: IntArray) -> None:
        self.n = len(ids)
        self.first = int(ids[0]) if len(ids) else 0
        # The common case, 1, 2, 3, ..., needs no table.
        self.contiguous = len(ids) > 0 and bool((np.diff(ids) == 1).all())
        if not self.contiguous:
            self.order = np.argsort(ids, kind="stable")
            self.sorted = np.asarray(ids)[self.order]

    def duplicates(self) -> IntArray:
        """Rows whose label stood earlier already."""
        if self.contiguous or self.n < 2:
            return np.empty(0, np.int64)
        again = np.flatnonzero(self.sorted[1:] == self.sorted[:-1]) + 1
        return np.sort(self.order[again])

    def rows(self, labels: IntArray) -> IntArray:
        """Rows of the labels, -1 where there is none; the shape is kept."""
        labels = np.asarray(labels, np.int64)
        if self.n == 0:
            return np.full(labels.shape, -1, np.int64)
        if self.contiguous:
            inside = (labels >= self.first) & (labels <= self.first + (self.n - 1))
            return np.where(inside, labels - self.first, -1)
        at = np.minimum(np.searchsorted(self.sorted, labels), self.n - 1)
        return np.where(self.sorted[at] == labels, self.order[at], -1)


# --- from there to a Mesh -------------------------------------------------------------------------------


def build_mesh(raw: RawMesh, *, length_unit: str) -> Mesh:
    """Check what a file states and make it a Mesh.

    Cells of the highest dimension are the body. Surface (edge) cells that are facets of it become facet
    groups; the facet between two cells belongs to the one it faces away from (the first where that is not
    clear). Line cells on edges of solids and vertices become node groups. Other cells of lower dimension
    stay cells, and a note says so.

    Raises
    ------
    MeshReadError
        With file, and line where the format has lines.
    """
    factor = length_factor(length_unit)
    notes = list(raw.notes)

    def refuse(reason: str, line: int | None = None) -> NoReturn:
        raise MeshReadError(reason, file=raw.file, line=line)

    points = np.asarray(raw.points, np.float64)
    node_ids = np.asarray(raw.node_ids, np.int64)
    if points.shape[0] == 0:
        refuse("no nodes")
    _check_points(points, node_ids, factor, raw, refuse)
    if points.shape[1] == 2:
        points = np.column_stack([points, np.zeros(len(points))])
    labels = Labels(node_ids)
    again = labels.duplicates()
    if len(again):
        row = int(again[0])
        line = raw.node_line(row) if raw.node_line else None
        refuse(f"node {node_ids[row]} is given twice ({len(again)} nodes are)", line)

    blocks = _serendipity([b for b in raw.blocks if len(b.conn)], notes)
    for block in blocks:
        if block.name not in ELEMENTS and block.name != "vertex":
            refuse(
                f"cell type {block.name!r} (first cell {block.ids[0]}) is not supported; "
                f"known are {', '.join(sorted(ELEMENTS))}",
                block.line(0) if block.line else None,
            )
    conns = []
    for block in blocks:
        rows = labels.rows(block.conn)
        if rows.size and rows.min() < 0:
            r, c = (int(i) for i in np.argwhere(rows < 0)[0])
            line = block.line(r) if block.line else None
            refuse(
                f"{block.name} cell {block.ids[r]} names node {block.conn[r, c]}, "
                "which the file does not define",
                line,
            )
        conns.append(rows)
    dimensions = [0 if b.name == "vertex" else ELEMENTS[b.name].dimension for b in blocks]
    top = max(dimensions, default=0)
    if top == 0:
        refuse("no cells; a mesh of nodes alone cannot be tested")

    points, conns, groups_nodes = _drop_centre_nodes(points, conns, labels, raw, notes, refuse)
    if top == 2:
        points = _flatten(points, notes)

    # Which raw cells stay cells; rows of raw cells run over the blocks.
    starts = np.cumsum([0, *(len(c) for c in conns)])
    n_raw = int(starts[-1])
    stays = np.zeros(n_raw, bool)
    for start, block, d in zip(starts, blocks, dimensions):
        stays[start : start + len(block.conn)] = True if d == top else block.stays if d else False
    body = _body(points, blocks, conns)
    facet_of = np.full((n_raw, 2), -1, np.int64)  # in ids of `body`
    to_nodes = np.zeros(n_raw, bool)
    _classify(body, blocks, conns, dimensions, top, starts, stays, facet_of, to_nodes, notes)

    # The cells that stay, by type, the highest dimension first.
    kinds = dict.fromkeys(
        name
        for _, name in sorted(((-d, b.name) for d, b in zip(dimensions, blocks) if d), key=lambda p: p[0])
    )
    cells: dict[str, IntArray] = {}
    new_id = np.full(n_raw, -1, np.int64)
    n_cells = 0
    for kind in kinds:
        parts = []
        for start, block, conn in zip(starts, blocks, conns):
            if block.name != kind:
                continue
            keep = np.flatnonzero(stays[start : start + len(conn)])
            if len(keep):
                parts.append(conn[keep])
                new_id[start + keep] = n_cells + np.arange(len(keep))
                n_cells += len(keep)
        if parts:
            cells[kind] = np.concatenate(parts) if len(parts) > 1 else parts[0]
    # `body` numbers the cells in the same way: highest dimension first, same order of types.
    _note_collapsed(cells, notes)

    groups: dict[str, Group] = {}
    for name, group in raw.groups.items():
        groups[name] = _group(
            name, group, groups_nodes[name], conns, starts, new_id, facet_of, to_nodes, body, notes
        )

    used = np.zeros(len(points), bool)
    for conn in cells.values():
        used[conn] = True
    if not used.all():
        loose = np.flatnonzero(~used)
        notes.append(f"{len(loose)} nodes belong to no cell; they stay, without effect")
    counts = ", ".join(f"{len(conn):,} {name}" for name, conn in cells.items())
    notes.insert(0, f"{raw.format}: {len(points):,} nodes, {counts}; {len(groups)} groups")
    try:
        return Mesh(
            points * factor, cells, groups,
            length_unit=length_unit.strip(), source=raw.file, notes=tuple(notes), fold_case=raw.fold_case,
        )  # fmt: skip
    except MeshReadError:
        raise
    except MeshError as error:
        raise MeshReadError(str(error)) from error


def _check_points(
    points: FloatArray, node_ids: IntArray, factor: float, raw: RawMesh, refuse: Callable[..., NoReturn]
) -> None:
    bad = ~np.isfinite(points).all(axis=1)
    far = ~bad & (np.abs(points).max(axis=1) * factor > LARGEST)
    for rows, words in (
        (bad, "is not a finite number"),
        (far, "is farther than a million km from the origin"),
    ):
        if rows.any():
            row = int(np.flatnonzero(rows)[0])
            at = ", ".join(f"{x:g}" for x in points[row])
            refuse(
                f"node {node_ids[row]} at ({at}) {words} ({int(rows.sum())} nodes)",
                raw.node_line(row) if raw.node_line else None,
            )


def _serendipity(blocks: Sequence[RawBlock], notes: list[str]) -> list[RawBlock]:
    """Blocks without the center nodes our elements do not have."""
    out = []
    for block in blocks:
        wanted = CENTRE_NODES.get(block.name)
        if wanted is not None:
            n = ELEMENTS[wanted].n_nodes
            notes.append(
                f"{len(block.conn)} {block.name} cells (first {block.ids[0]}) read as {wanted}: "
                "their face and center nodes were dropped"
            )
            block = RawBlock(
                wanted, np.ascontiguousarray(block.conn[:, :n]), block.ids, block.stays, block.line
            )
        out.append(block)
    return out


def _drop_centre_nodes(
    points: FloatArray,
    conns: list[IntArray],
    labels: Labels,
    raw: RawMesh,
    notes: list[str],
    refuse: Callable[..., NoReturn],
) -> tuple[FloatArray, list[IntArray], dict[str, IntArray | None]]:
    """Take out the nodes that only dropped center positions used; resolve the groups' node labels to rows."""
    dropped = np.zeros(len(points), bool)
    for block in raw.blocks:
        if block.name in CENTRE_NODES and len(block.conn):
            n = ELEMENTS[CENTRE_NODES[block.name]].n_nodes
            rows = labels.rows(block.conn[:, n:])
            dropped[rows[rows >= 0]] = True
    for conn in conns:
        dropped[conn] = False
    renumber = np.cumsum(~dropped) - 1 if dropped.any() else None
    if renumber is not None:
        points = points[~dropped]
        conns = [renumber[conn] for conn in conns]
    groups: dict[str, IntArray | None] = {}
    for name, group in raw.groups.items():
        if not group.nodes:
            groups[name] = None
            continue
        wanted = np.concatenate(group.nodes)
        rows = labels.rows(wanted)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            refuse(
                f"set {name!r} names node {wanted[missing[0]]}, which the file does not define "
                f"({len(missing)} such)",
                raw.group_lines.get(name),
            )
        if renumber is not None:
            lost = int(dropped[rows].sum())
            if lost:
                notes.append(f"set {name!r}: {lost} center nodes left out, which went with their cells' type")
            rows = renumber[rows[~dropped[rows]]]
        groups[name] = rows
    return points, conns, groups


def _flatten(points: FloatArray, notes: list[str]) -> FloatArray:
    """Plane meshes lie in z = 0; take out a constant z and rounding."""
    z = points[:, 2]
    span = float(np.ptp(points[:, :2], axis=0).max()) if len(points) else 0.0
    if not z.any() or float(np.ptp(z)) > 1e-9 * span:
        return points
    level = float(z.mean())
    points = points.copy()
    points[:, 2] = 0.0
    if abs(level) > 1e-9 * span:
        notes.append(f"plane mesh at z = {level:g} (file's unit) moved to z = 0")
    return points


def _body(points: FloatArray, blocks: Sequence[RawBlock], conns: Sequence[IntArray]) -> Mesh:
    """The cells of highest dimension as a mesh, to find facets in."""
    top = max(ELEMENTS[b.name].dimension for b in blocks if b.name != "vertex")
    cells: dict[str, list[IntArray]] = {}
    for block, conn in zip(blocks, conns):
        if block.name != "vertex" and ELEMENTS[block.name].dimension == top:
            cells.setdefault(block.name, []).append(conn)
    return Mesh(
        points, {name: np.concatenate(parts) if len(parts) > 1 else parts[0] for name, parts in cells.items()}
    )


def _corner_edges(name: str, conn: IntArray) -> IntArray:
    pairs = np.array(ELEMENTS[name].corner_edges)
    return np.sort(conn[:, pairs].reshape(-1, 2), axis=1)


def _outward_owner(body: Mesh, corners: IntArray) -> IntArray:
    """Owner (cell, facet) int64[k, 2] of each facet, -1 where none.

    Between two cells it is the one from which the corners as given run outward, so that a surface inside
    the body, turned one way as mesh generators write it, keeps to one side; the first where neither does.
    """
    owners = body.find_facets(corners)
    out = owners[:, 0].copy()
    between = np.flatnonzero(owners[:, 1, 0] >= 0)
    if len(between):
        second = owners[between, 1]
        for block in body.facets(second):
            rows = between[block.rows]
            n = corners.shape[1]
            own, given = block.conn[:, :n], corners[rows]
            if n == 2:
                same = own[:, 0] == given[:, 0]
            else:
                at = np.argmax(given == own[:, :1], axis=1)
                same = given[np.arange(len(given)), (at + 1) % n] == own[:, 1]
            out[rows[same]] = owners[rows[same], 1]
    return out


def _classify(
    body: Mesh,
    blocks: Sequence[RawBlock],
    conns: Sequence[IntArray],
    dimensions: Sequence[int],
    top: int,
    starts: IntArray,
    stays: np.ndarray[Any, np.dtype[np.bool_]],
    facet_of: IntArray,
    to_nodes: np.ndarray[Any, np.dtype[np.bool_]],
    notes: list[str],
) -> None:
    """Decide for each cell of lower dimension: facet of the body, nodes, or a cell of its own."""
    asked: dict[int, list[tuple[IntArray, IntArray]]] = {}  # by number of corners: raw rows, corner nodes
    for start, block, conn, d in zip(starts, blocks, conns, dimensions):
        if d == 0:
            to_nodes[start : start + len(conn)] = True
        elif d == top - 1:
            corners = ELEMENTS[block.name].corners
            free = np.flatnonzero(~stays[start : start + len(conn)])
            asked.setdefault(corners, []).append((start + free, conn[free, :corners]))
    for parts in asked.values():
        rows = np.concatenate([r for r, _ in parts])
        found = _outward_owner(body, np.concatenate([c for _, c in parts]))
        hit = found[:, 0] >= 0
        facet_of[rows[hit]] = found[hit]
        stays[rows[~hit]] = True
        if not hit.all():
            what = (
                "surface cells are no facets of a solid"
                if top == 3
                else "line cells are no sides of a plane cell"
            )
            notes.append(f"{int((~hit).sum())} {what}; they stay as cells of their own")
    lines = [i for i, d in enumerate(dimensions) if d == 1 and top == 3]
    if not lines:
        return
    edges = []
    for start, block, conn, d in zip(starts, blocks, conns, dimensions):
        if d >= 2:
            edges.append(_corner_edges(block.name, conn[stays[start : start + len(conn)]]))
    n = len(body.points)
    all_edges = np.unique(np.concatenate(edges) @ np.array([n, 1]))
    for i in lines:
        start, conn = int(starts[i]), conns[i]
        free = np.flatnonzero(~stays[start : start + len(conn)])
        key = np.sort(conn[free, :2], axis=1) @ np.array([n, 1])
        at = np.minimum(np.searchsorted(all_edges, key), len(all_edges) - 1)
        hit = all_edges[at] == key
        to_nodes[start + free[hit]] = True
        stays[start + free[~hit]] = True
        if (~hit).any():
            notes.append(
                f"{int((~hit).sum())} {blocks[i].name} cells lie on no edge of a cell; they stay as lines"
            )


def _note_collapsed(cells: dict[str, IntArray], notes: list[str]) -> None:
    for name, conn in cells.items():
        ordered = np.sort(conn, axis=1)
        collapsed = int((ordered[:, 1:] == ordered[:, :-1]).any(axis=1).sum())
        if collapsed:
            notes.append(f"{collapsed} {name} cells name a node twice (collapsed cells)")


def _group(
    name: str,
    group: RawGroup,
    nodes: IntArray | None,
    conns: Sequence[IntArray],
    starts: IntArray,
    new_id: IntArray,
    facet_of: IntArray,
    to_nodes: np.ndarray[Any, np.dtype[np.bool_]],
    body: Mesh,
    notes: list[str],
) -> Group:
    node_parts = [] if nodes is None else [nodes]
    facet_parts: list[IntArray] = []
    cell_parts: list[IntArray] = []
    if group.cells:
        rows = np.unique(np.concatenate(group.cells))
        ids = new_id[rows]
        if (ids >= 0).any():
            cell_parts.append(ids[ids >= 0])
        on_facet = rows[facet_of[rows, 0] >= 0]
        if len(on_facet):
            facet_parts.append(facet_of[on_facet])
        pointed = rows[to_nodes[rows]]
        if len(pointed):
            block_of = np.searchsorted(starts, pointed, side="right") - 1
            for b in np.unique(block_of):
                node_parts.append(conns[b][pointed[block_of == b] - starts[b]].ravel())
    if group.facets:
        pairs = np.concatenate(group.facets)
        solid = new_id[pairs[:, 0]] >= 0
        facet_parts.append(np.column_stack([new_id[pairs[solid, 0]], pairs[solid, 1]]))
        if not solid.all():
            notes.append(
                f"surface {name!r}: {int((~solid).sum())} sides of cells that are no solids left out"
            )
    if group.exterior:
        ids = new_id[np.unique(np.concatenate(group.exterior))]
        facet_parts.append(body.exterior[np.isin(body.exterior[:, 0], ids)])
    made = Group(
        nodes=np.concatenate(node_parts) if node_parts else None,
        facets=np.concatenate(facet_parts) if facet_parts else None,
        cells=np.concatenate(cell_parts) if cell_parts else None,
    )
    if made.nodes is None and made.facets is None and made.cells is None:
        notes.append(f"group {name!r} is empty")
        made = Group(nodes=np.empty(0, np.int64))
    return made


def counted(counts: dict[str, int]) -> str:
    """Names with how often they occur; at most fifty are listed."""
    words = [name if n == 1 else f"{name} ({n})" for name, n in sorted(counts.items())]
    return ", ".join(words[:50]) + (f" and {len(words) - 50} more" if len(words) > 50 else "")


# --- text -----------------------------------------------------------------------------------------------


def read_bytes(path: str | Path) -> bytes:
    """The file's content.

    Raises
    ------
    MeshReadError
        If there is none, or it is empty.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        folder = Path(path).parent
        where = f"the folder {folder} does not exist" if not folder.is_dir() else "there is no such file"
        raise MeshReadError(where, file=path) from None
    except OSError as error:
        raise MeshReadError(f"cannot be read: {error.strerror}", file=path) from error
    if not data.strip():
        raise MeshReadError("the file is empty", file=path)
    return data


def text_of(data: bytes) -> str:
    """Text in UTF-8, or in Latin-1 where it is not."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def line_at(data: bytes, offset: int) -> int:
    """The line, from 1, on which a byte stands."""
    return data.count(b"\n", 0, max(offset, 0)) + 1


def token_offset(data: bytes, start: int, index: int) -> int:
    """Where the token of that index begins; for messages only, it walks."""
    at = start
    for i, match in enumerate(re.finditer(rb"\S+", data[start:])):
        at = start + match.start()
        if i == index:
            break
    return at


def parse_numbers(text: bytes, dtype: type[np.float64] | type[np.int64]) -> np.ndarray[Any, Any] | None:
    """All numbers of blank-separated text, or None when something else stands there."""
    with warnings.catch_warnings():
        # numpy 1 warns of text it cannot read, numpy 2 raises.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, dtype, sep=" ")
        except (ValueError, DeprecationWarning):
            return None


def numbers(
    data: bytes, start: int, end: int, dtype: type[np.float64] | type[np.int64], *, file: str, what: str
) -> np.ndarray[Any, Any]:
    """All numbers between two bytes of a file.

    Raises
    ------
    MeshReadError
        With the line of the first token that is no number.
    """
    values = parse_numbers(data[start:end], dtype)
    if values is None:
        kind = "whole number" if dtype is np.int64 else "number"
        for match in re.finditer(rb"\S+", data[start:end]):
            if parse_numbers(match.group(), dtype) is None:
                word = match.group()[:40].decode("ascii", "replace")
                raise MeshReadError(
                    f"{what}: {word!r} is not a {kind}", file=file, line=line_at(data, start + match.start())
                )
        raise MeshReadError(f"{what}: not readable as numbers", file=file, line=line_at(data, start))
    return values


def whole(values: FloatArray, complain: Callable[[int], NoReturn]) -> IntArray:
    """Floats that must be whole numbers, as int64; calls `complain` with the first that is none."""
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(values) < 2**53) | (np.floor(values) != values)
    if bad.any():
        complain(int(np.flatnonzero(bad)[0]))
    return values.astype(np.int64)


def edge_permutation(name: str, edges: Sequence[tuple[int, int]]) -> IntArray:
    """Columns that bring a foreign order of mid-side nodes, given as corner pairs, into ours."""
    element = ELEMENTS[name]
    at = {frozenset(edge): i for i, edge in enumerate(edges)}
    mids = [element.corners + at[frozenset(edge)] for edge in element.edges]
    return np.array([*range(element.corners), *mids])


def facet_permutation(name: str, faces: Sequence[Sequence[int]]) -> IntArray:
    """For each face given by its corners, the number of our facet."""
    element = ELEMENTS[name]
    ours = {}
    for i, (nodes, kind) in enumerate(zip(element.facets, element.facet_elements)):
        ours[frozenset(nodes[: ELEMENTS[kind].corners])] = i
    return np.array([ours[frozenset(face)] for face in faces])


# --- writing --------------------------------------------------------------------------------------------


def format_rows(ids: Sequence[IntArray], values: FloatArray, separator: str) -> bytes:
    """Text lines of whole numbers and of floats that read back to the same bits."""
    columns = [list(map(str, column.tolist())) for column in ids]
    columns += [list(map(repr, column.tolist())) for column in values.T]
    return ("\n".join(map(separator.join, zip(*columns))) + "\n").encode()
