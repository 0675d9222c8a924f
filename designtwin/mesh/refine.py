"""Finer meshes of the same body: every cell divided, or those of a region, groups carried along.

Children of quadratic cells lie on the map of their parent, so that curved faces stay as curved as they were;
first-order cells stay the facets they are. Nodes keep their numbers and new ones follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import MeshError
from designtwin.mesh.mesh import Group, Mesh
from designtwin.typing import BoolArray, FloatArray, IntArray

_DIVISIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "line": (("line", "0 01"), ("line", "01 1")),
    "triangle": tuple(("triangle", one) for one in ("0 01 02", "01 1 12", "02 12 2", "01 12 02")),
    "quad": tuple(
        ("quad", one) for one in ("0 01 0123 03", "01 1 12 0123", "0123 12 2 23", "03 0123 23 3")
    ),
    "tetra": tuple(("tetra", one) for one in ("0 01 02 03", "01 1 12 13", "02 12 2 23", "03 13 23 3")),
    "wedge": tuple(
        ("wedge", one)
        for one in (
            "0 01 02 03 0134 0235", "01 1 12 0134 14 1245", "02 12 2 0235 1245 25", "01 12 02 0134 1245 0235",
            "03 0134 0235 3 34 35", "0134 14 1245 34 4 45", "0235 1245 25 35 45 5", "0134 1245 0235 34 45 35",
        )
    ),
    "pyramid": (
        *(("pyramid", one) for one in ("0 01 0123 03 04", "01 1 12 0123 14", "0123 12 2 23 24")),
        *(("pyramid", one) for one in ("03 0123 23 3 34", "04 14 24 34 4", "04 34 24 14 0123")),
        *(("tetra", one) for one in ("0123 01 04 14", "0123 12 14 24", "0123 23 24 34", "0123 03 34 04")),
    ),
}  # fmt: skip
"""Children by their corners, each the middle of the corners of the parent that it names."""
_INSIDE: dict[tuple[str, str], tuple[str, ...]] = {
    ("01", "23"): ("01 23 02 12", "01 23 12 13", "01 23 13 03", "01 23 03 02"),
    ("02", "13"): ("02 13 12 01", "02 13 23 12", "02 13 03 23", "02 13 01 03"),
    ("03", "12"): ("03 12 01 02", "03 12 13 01", "03 12 23 13", "03 12 02 23"),
}
"""The octahedron that is left of a tetrahedron, divided around each of its diagonals."""

Corners = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Refined:
    """A finer mesh and where it came from.

    Parameters
    ----------
    mesh : Mesh
        Nodes of the coarse mesh have the numbers they had.
    coarse : Mesh
        What was refined.
    parent : int64[n_cells]
        The cell of the coarse mesh that each cell lies in.
    how : str
        "uniform" or "local".
    """

    mesh: Mesh
    coarse: Mesh
    parent: IntArray
    how: str
    _born: tuple[_Born, ...] = ()

    def carried(self, values: FloatArray) -> FloatArray:
        """Nodal values of the coarse mesh float64[n, ...] at the nodes of this one, by shape functions."""
        values = np.asarray(values, np.float64)
        out = np.empty((self.mesh.n_points, *values.shape[1:]))
        out[: len(values)] = values
        for born in self._born:
            weights = ELEMENTS[born.element].shape(born.xi)
            out[born.nodes] = np.einsum("kn,kn...->k...", weights, values[born.conn])
        return out


@dataclass(frozen=True, eq=False)
class _Born:
    """New nodes in cells of one element: ids [k], nodes of the parents [k, n], where in them [k, d]."""

    element: str
    nodes: IntArray
    conn: IntArray
    xi: FloatArray

    @cached_property
    def entity(self) -> BoolArray:
        """Which nodes of the parent span the edge, face or cell that each node lies in, bool[k, n]."""
        element = ELEMENTS[self.element]
        corner = ELEMENTS[element.linear].shape(self.xi) > 1e-9
        mids = [corner[:, a] & corner[:, b] for a, b in element.edges]
        return np.column_stack([corner, *mids])


@dataclass(frozen=True, eq=False)
class _Children:
    """Cells of one element inside parents of one block.

    Corners are nodes of the new mesh [k, c]; `xi`, natural coordinates of the corners in the parent, is
    [k, c, d], or [1, c, d] where it is the same for all.
    """

    element: str
    block: str
    rows: IntArray
    corners: IntArray
    xi: FloatArray


def refine(mesh: Mesh, cells: IntArray | None = None) -> Refined:
    """A finer mesh: every cell halved along each edge, or only those of a region and what they touch.

    Parameters
    ----------
    mesh : Mesh
    cells : int64[k], optional
        Ids of the cells whose edges are halved; all of them unless given. A region is for lines, triangles
        and tetrahedra alone. Their neighbors are divided such that faces match again, and always across
        their longest edge too, which bounds how thin cells become however often this is repeated.

    Returns
    -------
    Refined
        The mesh with its groups, and the parent of each cell. A group of cells or facets holds the children
        of its own. A group of nodes also holds the new nodes on edges and faces of the outside whose nodes
        are all in it, and those inside where it reaches inside.

    Raises
    ------
    MeshError
        If a region is given for a mesh that holds other cells, or names cells that do not exist.

    Source: Plaza and Rivara, Mesh refinement based on the 8-tetrahedra longest-edge partition, 12th
    International Meshing Roundtable (2003); tetrahedra divided along their shortest diagonal where all are:
    Zhang, Houston J. Math. 21 (1995). Pyramids leave four tetrahedra each.
    """
    mids = _mids(mesh)
    numbers = _Numbers(mesh.n_points, mids)
    if cells is None:
        children = [one for name, conn in mesh.cells.items() for one in _divided(mesh, name, conn, numbers)]
    else:
        children = _bisected(mesh, np.unique(np.asarray(cells, np.int64)), numbers)
    blocks: dict[str, list[tuple[_Children, IntArray]]] = {}
    for one in children:
        blocks.setdefault(one.element, []).append((one, _with_mids(one, numbers)))
    new_cells: dict[str, IntArray] = {}
    parents: list[IntArray] = []
    facets: list[IntArray] = []
    for name, parts in blocks.items():
        parent = np.concatenate([mesh.block_offsets[one.block] + one.rows for one, _ in parts])
        # Children of one parent stay together: what is near in space is near in memory.
        order = np.argsort(parent, kind="stable")
        new_cells[name] = np.concatenate([conn for _, conn in parts])[order]
        parents.append(parent[order])
        facets.append(np.concatenate([_facets_of_parent(one) for one, _ in parts])[order])
    born = _born(mesh, [part for parts in blocks.values() for part in parts])
    points = np.empty((numbers.count, 3))
    points[: mesh.n_points] = mesh.points
    for new in born:
        weights = ELEMENTS[new.element].shape(new.xi)
        points[new.nodes] = np.einsum("kn,kna->ka", weights, mesh.points[new.conn])
    if mesh.is_plane:
        points[:, 2] = 0.0
    fine = replace(mesh, points=points, cells=new_cells, groups={})
    parent = np.concatenate(parents)
    groups = _groups(mesh, fine, parent, facets, born)
    return Refined(
        replace(fine, groups=groups), mesh, parent, "uniform" if cells is None else "local", tuple(born)
    )


# Numbers of new nodes


class _Numbers:
    """Gives nodes in the middle of edges and faces their numbers, the same from every side."""

    def __init__(self, n_points: int, mids: tuple[IntArray, IntArray]) -> None:
        self.count = n_points
        self._keys, self._nodes = mids

    def of_edges(self, pairs: IntArray) -> IntArray:
        """Node in the middle of each edge between two nodes, int64[...] of pairs int64[..., 2]."""
        key = _packed(pairs)
        unique, back = np.unique(key, return_inverse=True)
        at = np.searchsorted(self._keys, unique)
        known = at < len(self._keys)
        known[known] = self._keys[at[known]] == unique[known]
        nodes = np.empty(len(unique), np.int64)
        nodes[known] = self._nodes[at[known]]
        nodes[~known] = self.count + np.arange(len(unique) - int(known.sum()))
        self.count += len(unique) - int(known.sum())
        if not known.all():
            keys = np.concatenate([self._keys, unique[~known]])
            order = np.argsort(keys, kind="stable")
            self._keys, self._nodes = keys[order], np.concatenate([self._nodes, nodes[~known]])[order]
        return np.asarray(nodes[back.reshape(key.shape)])

    def of_faces(self, corners: IntArray) -> IntArray:
        """Node in the middle of each face, int64[k], of its corners in order around it, int64[k, 4].

        The diagonal from its lowest corner names a face: no edge and no other face has it.
        """
        lowest = np.argmin(corners, axis=1)
        ends = np.stack([lowest, (lowest + 2) % 4], axis=1)
        return self.of_edges(np.take_along_axis(corners, ends, axis=1))

    def of_cells(self, n: int) -> IntArray:
        """Nodes of one cell each, int64[n]."""
        self.count += n
        return np.arange(self.count - n, self.count)


def _packed(pairs: IntArray) -> IntArray:
    """One number for each pair of node ids, in whichever order."""
    low, high = np.minimum(pairs[..., 0], pairs[..., 1]), np.maximum(pairs[..., 0], pairs[..., 1])
    return np.asarray((low << 32) | high)


def _mids(mesh: Mesh) -> tuple[IntArray, IntArray]:
    """Edges of quadratic cells, packed and sorted, and the node in the middle of each."""
    keys, nodes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for name, conn in mesh.cells.items():
        element = ELEMENTS[name]
        if element.edges:
            keys.append(_packed(conn[:, np.array(element.edges)]).ravel())
            nodes.append(conn[:, element.corners :].ravel())
    unique, first = np.unique(np.concatenate(keys), return_index=True)
    return unique, np.concatenate(nodes)[first]


def _with_mids(children: _Children, numbers: _Numbers) -> IntArray:
    """Connectivity of the children with the nodes that their element wants beyond the corners."""
    edges = ELEMENTS[children.element].edges
    if not edges:
        return children.corners
    mids = numbers.of_edges(children.corners[:, np.array(edges)])
    return np.column_stack([children.corners, mids])


# Every cell


@cache
def _division(linear: str) -> tuple[tuple[str, Corners], ...]:
    """Children of an element: the element of each, and the corners of the parent around each corner."""
    if linear == "hexahedron":
        nodes = np.array(ELEMENTS[linear].nodes)
        # A child reaches from a corner to the middle; its corners lie amid the corners that share what
        # that corner and theirs have in common.
        return tuple(
            (linear, tuple(tuple(np.flatnonzero((nodes[:, c == k] == c[c == k]).all(axis=1))) for k in nodes))
            for c in nodes
        )
    return tuple((name, _oriented(linear, name, one)) for name, one in _DIVISIONS[linear])


def _oriented(linear: str, child: str, corners: str) -> Corners:
    """The corners that a text names, in an order of positive volume."""
    found = tuple(tuple(int(c) for c in one) for one in corners.split())
    if child == "tetra":
        x = _middle(linear, found)
        if np.linalg.det(x[1:] - x[0]) < 0.0:
            found = (found[1], found[0], *found[2:])
    return found


def _middle(linear: str, corners: Corners) -> FloatArray:
    """Natural coordinates of the middles of corners, float64[c, d]."""
    nodes = np.array(ELEMENTS[linear].nodes, np.float64)
    return np.array([nodes[list(one)].mean(axis=0) for one in corners])


def _divided(mesh: Mesh, name: str, conn: IntArray, numbers: _Numbers) -> Iterator[_Children]:
    """All children of one block."""
    linear, quadratic = ELEMENTS[name].linear, ELEMENTS[name].degree > 1
    nodes: dict[tuple[int, ...], IntArray] = {(i,): conn[:, i] for i in range(ELEMENTS[name].corners)}
    edges = np.array([sorted(pair) for pair in ELEMENTS[linear].corner_edges])
    mids = numbers.of_edges(conn[:, edges])
    nodes |= {(int(a), int(b)): mids[:, i] for i, (a, b) in enumerate(edges)}
    every = np.arange(len(conn))
    wanted = [(child, corners, every) for child, corners in _division(linear)]
    if linear == "tetra":
        x = mesh.points[conn[:, :4]]
        length = np.stack(
            [np.linalg.norm(_halfway(x, a) - _halfway(x, b), axis=1) for a, b in _INSIDE], axis=1
        )
        shortest = np.argmin(length, axis=1)
        for i, inside in enumerate(_INSIDE.values()):
            rows = np.flatnonzero(shortest == i)
            wanted += [("tetra", _oriented("tetra", "tetra", one), rows) for one in inside if len(rows)]
    around = [facet for facet in (*ELEMENTS[linear].facets, tuple(range(4))) if len(facet) == 4]
    for one in sorted({one for _, corners, _ in wanted for one in corners} - set(nodes)):
        face = next((facet for facet in around if len(one) == 4 and set(facet) == set(one)), None)
        nodes[one] = numbers.of_cells(len(conn)) if face is None else numbers.of_faces(conn[:, face])
    for child, corners, rows in wanted:
        yield _Children(
            _of_degree(child, quadratic), name, rows,
            np.column_stack([nodes[one][rows] for one in corners]), _middle(linear, corners)[None],
        )  # fmt: skip


def _halfway(x: FloatArray, pair: str) -> FloatArray:
    return np.asarray(0.5 * (x[:, int(pair[0])] + x[:, int(pair[1])]))


def _of_degree(linear: str, quadratic: bool) -> str:
    """The element of the same corners with or without nodes on its edges."""
    if not quadratic:
        return linear
    return next(name for name, one in ELEMENTS.items() if one.linear == linear and one.degree == 2)


# A region


def _bisected(mesh: Mesh, cells: IntArray, numbers: _Numbers) -> list[_Children]:
    """Children where all edges of the given cells are halved; the others as they are."""
    for name in mesh.cells:
        if ELEMENTS[name].linear not in ("line", "triangle", "tetra"):
            raise MeshError(
                "only meshes of lines, triangles and tetrahedra can be refined in a region, and this one "
                f"has {name!r} cells; refine all of it: refine(mesh)"
            )
    if len(cells) and (cells[0] < 0 or cells[-1] >= mesh.n_cells):
        raise MeshError(f"cells to refine: they are numbered 0 to {mesh.n_cells - 1}")
    pairs = {
        name: conn[:, np.array(ELEMENTS[name].corner_edges)].reshape(-1, 2)
        for name, conn in mesh.cells.items()
    }
    keys, back = np.unique(np.concatenate([_packed(one) for one in pairs.values()]), return_inverse=True)
    ends = np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)
    length = np.linalg.norm(mesh.points[ends[:, 0]] - mesh.points[ends[:, 1]], axis=1)
    # One order for all cells: faces are then divided alike from both sides. Equal lengths are so to rounding.
    rank = np.empty(len(keys), np.int64)
    rank[np.lexsort((keys, np.round(np.log(np.maximum(length, 1e-300)) * 1e8)))] = np.arange(len(keys))
    edges: dict[str, IntArray] = {}
    at = 0
    for name, one in pairs.items():
        edges[name] = back[at : at + len(one)].reshape(len(mesh.cells[name]), -1)
        at += len(one)
    marked = np.zeros(len(keys), bool)
    for name, rows in mesh.rows_by_block(cells):
        marked[edges[name][rows]] = True
    _close(edges, rank, marked)
    mids = np.full(len(keys), -1)
    mids[marked] = numbers.of_edges(ends[marked])
    out: list[_Children] = []
    for name, conn in mesh.cells.items():
        out += _split(name, conn, edges[name], rank, mids)
    return out


def _close(edges: dict[str, IntArray], rank: IntArray, marked: BoolArray) -> None:
    """Mark the longest edge of every cell and face that has a marked one, until none is left (in place)."""
    groups = []
    for name, of_cell in edges.items():
        element = ELEMENTS[ELEMENTS[name].linear]
        groups.append(of_cell)
        if element.dimension == 3:
            for facet in element.facets:
                inside = [i for i, pair in enumerate(element.corner_edges) if set(pair) <= set(facet)]
                groups.append(of_cell[:, inside])
    longest = [np.take_along_axis(g, np.argmax(rank[g], axis=1)[:, None], axis=1)[:, 0] for g in groups]
    count = -1
    while count != (count := int(marked.sum())):
        for group, top in zip(groups, longest, strict=True):
            marked[top[marked[group].any(axis=1)]] = True


def _split(name: str, conn: IntArray, edges: IntArray, rank: IntArray, mids: IntArray) -> list[_Children]:
    """Cells of one block bisected at their marked edges, the longest first."""
    element = ELEMENTS[ELEMENTS[name].linear]
    nodes = np.array(element.nodes, np.float64)
    hit = (mids[edges] >= 0).any(axis=1)
    rows = np.flatnonzero(~hit)
    done = [_Children(name, name, rows, conn[rows, : element.corners], nodes[None])] if len(rows) else []
    rows = np.flatnonzero(hit)
    corners, edges = conn[rows, : element.corners], edges[rows]
    xi = np.broadcast_to(nodes, (len(rows), *nodes.shape))
    while len(rows):
        # -1 stands for edges that came about by dividing: they have no middle yet.
        order = np.where((edges >= 0) & (mids[edges] >= 0), rank[edges], -1)
        pick = np.argmax(order, axis=1)
        whole = order[np.arange(len(rows)), pick] < 0
        if whole.any():
            done.append(_Children(name, name, rows[whole], corners[whole], xi[whole]))
        parts = []
        for i, ends in enumerate(element.corner_edges):
            here = np.flatnonzero(~whole & (pick == i))
            for moved in ends if len(here) else ():
                new_corners, new_xi, new_edges = corners[here], xi[here].copy(), edges[here]
                new_corners[:, moved] = mids[edges[here, i]]
                new_xi[:, moved] = xi[here][:, list(ends)].mean(axis=1)
                new_edges[:, [k for k, pair in enumerate(element.corner_edges) if moved in pair]] = -1
                parts.append((rows[here], new_corners, new_xi, new_edges))
        if not parts:
            break
        rows, corners, xi, edges = (np.concatenate(column) for column in zip(*parts, strict=True))
    return done


# What follows the cells


def _facets_of_parent(children: _Children) -> IntArray:
    """The local facet of the parent that each facet of the children lies on, int64[k, 6]; -1 inside."""
    parent = ELEMENTS[ELEMENTS[children.block].linear]
    child = ELEMENTS[ELEMENTS[children.element].linear]
    weights = parent.shape(children.xi.reshape(-1, parent.dimension))
    spanned: BoolArray = (weights > 1e-9).reshape(*children.xi.shape[:2], parent.corners)
    out = np.full((len(children.xi), 6), -1, np.int64)
    for i, facet in enumerate(child.facets):
        corners = np.asarray(spanned[:, list(facet)].any(axis=1))
        for j, other in enumerate(parent.facets):
            outside = np.setdiff1d(np.arange(parent.corners), other)
            out[~corners[:, outside].any(axis=1), i] = j
    return np.broadcast_to(out, (len(children.rows), 6))


def _born(mesh: Mesh, parts: Sequence[tuple[_Children, IntArray]]) -> list[_Born]:
    """New nodes, each in the first cell that has it."""
    seen = np.zeros(max(int(conn.max()) for _, conn in parts) + 1, bool)
    seen[: mesh.n_points] = True
    out = []
    for one, conn in parts:
        element = ELEMENTS[one.element]
        local = element.nodes[element.corners :]
        # A node amid two corners lies halfway in the parent, too.
        mids = [one.xi[:, list(pair)].mean(axis=1) for pair in element.edges[: len(local)]]
        xi = np.concatenate([one.xi, np.stack(mids, axis=1)], axis=1) if mids else one.xi
        for i in range(conn.shape[1]):
            rows = np.flatnonzero(~seen[conn[:, i]])
            if not len(rows):
                continue
            nodes, first = np.unique(conn[rows, i], return_index=True)
            rows = rows[first]
            seen[nodes] = True
            at = xi[rows, i] if len(xi) > 1 or len(conn) == 1 else np.repeat(xi[:, i], len(rows), axis=0)
            out.append(_Born(one.block, nodes, mesh.cells[one.block][one.rows[rows]], at))
    return out


def _groups(
    mesh: Mesh, fine: Mesh, parent: IntArray, facets: list[IntArray], born: Sequence[_Born]
) -> dict[str, Group]:
    """The groups of the coarse mesh on the fine one."""
    of_parent = np.concatenate(facets)
    row, local = np.nonzero(of_parent >= 0)
    code = parent[row] * 8 + of_parent[row, local]
    order = np.argsort(code, kind="stable")
    code, children = code[order], np.column_stack([row, local])[order]
    outside = np.zeros((2, fine.n_points), bool)
    if any(group.nodes is not None for group in mesh.groups.values()) and mesh.dimension > 1:
        outside[0, mesh.nodes_of_facets(mesh.exterior)] = True
        outside[1, fine.nodes_of_facets(fine.exterior)] = True
    out = {}
    for name, group in mesh.groups.items():
        cells = fine_facets = nodes = None
        if group.cells is not None:
            flag = np.zeros(mesh.n_cells, bool)
            flag[group.cells] = True
            cells = np.flatnonzero(flag[parent])
        if group.facets is not None:
            wanted = group.facets[:, 0] * 8 + group.facets[:, 1]
            start, stop = np.searchsorted(code, wanted), np.searchsorted(code, wanted, side="right")
            picks = [np.arange(a, b) for a, b in zip(start, stop, strict=True)]
            fine_facets = children[np.concatenate([np.empty(0, np.int64), *picks])]
        if group.nodes is not None:
            nodes = _carried_nodes(mesh, fine, parent, born, group.nodes, outside)
        out[name] = Group(nodes, fine_facets, cells)
    return out


def _carried_nodes(
    mesh: Mesh, fine: Mesh, parent: IntArray, born: Sequence[_Born], nodes: IntArray, outside: BoolArray
) -> IntArray:
    """A group's nodes and the new ones on what it wholly holds."""
    flag = np.zeros(mesh.n_points, bool)
    flag[nodes] = True
    sure, doubtful = [nodes], [np.empty(0, np.int64)]
    for one in born:
        whole = (flag[one.conn] | ~one.entity).all(axis=1)
        # Between nodes of the outside an edge or a face may cross the body: that is no part of the group.
        inner = (one.entity & ~outside[0, one.conn]).any(axis=1)
        plain = outside[1, one.nodes] | inner
        sure.append(one.nodes[whole & plain])
        doubtful.append(one.nodes[whole & ~plain])
    unsure = np.concatenate(doubtful)
    if len(unsure):  # they count where the group holds all cells around
        other = np.zeros(mesh.n_cells, bool)
        for _, ids, conn in mesh.blocks():
            other[ids] = ~flag[conn].all(axis=1)
        touched = np.zeros(fine.n_points, bool)
        touched[fine.nodes_of_cells(np.flatnonzero(other[parent]))] = True
        sure.append(unsure[~touched[unsure]])
    return np.unique(np.concatenate(sure))
