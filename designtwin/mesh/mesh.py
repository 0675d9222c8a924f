"""The mesh: points, cells by element type, and named groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin import parallel
from designtwin.elements import ELEMENTS, facet_table
from designtwin.errors import MeshError, SelectionError
from designtwin.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.mesh.morphing import Move
    from designtwin.mesh.quality import MeshReport


FREE_SURFACE = "designed surface"
"""Group of facets that stand for one smooth face, however coarse: no edge of the part is between them."""


@dataclass(frozen=True, eq=False)
class Group:
    """A named set of nodes, facets and cells; each part may be absent.

    Parameters
    ----------
    nodes : int64[k], optional
        Point ids, sorted and unique.
    facets : int64[k, 2], optional
        Cell id and local facet of that cell.
    cells : int64[k], optional
        Cell ids, sorted and unique.

    Raises
    ------
    MeshError
        If they are no such numbers, as those of a mask are not.
    """

    nodes: IntArray | None = None
    facets: IntArray | None = None
    cells: IntArray | None = None

    def __post_init__(self) -> None:
        for what in ("nodes", "cells", "facets"):
            given = getattr(self, what)
            if given is not None:
                ids = _numbers(given, what)
                ids = np.unique(ids.reshape(-1, 2), axis=0) if what == "facets" else np.unique(ids)
                object.__setattr__(self, what, ids)

    def merged(self, other: Group) -> Group:
        """Union, part by part."""

        def union(a: IntArray | None, b: IntArray | None) -> IntArray | None:
            return b if a is None else a if b is None else np.concatenate([a, b])

        return Group(
            union(self.nodes, other.nodes), union(self.facets, other.facets), union(self.cells, other.cells)
        )

    def __repr__(self) -> str:
        return f"<Group: {self}>"

    def __str__(self) -> str:
        parts = [
            f"{len(ids):,} {word}"
            for ids, word in ((self.cells, "cells"), (self.facets, "facets"), (self.nodes, "nodes"))
            if ids is not None
        ]
        return ", ".join(parts) or "empty"


def _numbers(given: Any, what: str) -> IntArray:
    """Ids of a group as int64."""
    try:
        array = np.asarray(given)
        if array.dtype == bool and array.size:
            raise MeshError(f"Group: {what} are numbers, and this is a mask; say np.flatnonzero(mask)")
        with np.errstate(invalid="ignore"):  # nan is no number of anything, which is found below
            ids = array.astype(np.int64)
        fits = array.size == 0 or (array.dtype.kind in "iuf" and np.array_equal(ids, array))
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits or (what == "facets" and ids.size % 2):
        wanted = "[cell, local facet] each" if what == "facets" else "whole numbers"
        raise MeshError(f"Group: {what} are {given!r}; {wanted} are wanted")
    return ids


@dataclass(frozen=True, eq=False)
class FacetBlock:
    """Facets of one element type.

    Parameters
    ----------
    element : str
        Name of the facet's element, such as ``"triangle6"``.
    conn : int64[k, n]
        Point ids, outward by the right-hand rule.
    cells : int64[k]
        The cell that owns each facet.
    rows : int64[k]
        Where each facet stood in the list asked for.
    """

    element: str
    conn: IntArray
    cells: IntArray
    rows: IntArray


@dataclass(frozen=True, eq=False)
class Mesh:
    """Points, cells and groups of a part, in meters.

    Parameters
    ----------
    points : float64[n, 3]
        Coordinates, m. A mesh of plane cells has z = 0 everywhere unless it is a surface in space.
    cells : mapping of element name to int64[n_cells, n_nodes]
        Cell ids run over the blocks in this order. Node order is VTK's.
    groups : mapping of name to Group
    length_unit : str
        The unit the file was written in; the points here are meters already.
    source : str
        Where it came from, for messages and reports.
    notes : tuple of str
        What the reader left out or changed, in words.
    fold_case : bool
        True where group names are the same in upper and lower case (Abaqus).

    Raises
    ------
    MeshError
        If ids are out of range, coordinates are not finite, or a cell type is unknown.
    """

    points: FloatArray
    cells: Mapping[str, IntArray]
    groups: Mapping[str, Group] = field(default_factory=dict)
    length_unit: str = "m"
    source: str = ""
    notes: tuple[str, ...] = ()
    fold_case: bool = False

    def __post_init__(self) -> None:
        points = _own(self.points, np.float64)
        where = f"{self.source}: " if self.source else ""
        if points.ndim != 2 or points.shape[1] not in (2, 3):
            raise MeshError(f"{where}points have shape {points.shape}; [n, 3] is wanted")
        if points.shape[1] == 2:
            points = np.column_stack([points, np.zeros(len(points))])
        bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
        if len(bad):
            raise MeshError(f"{where}{len(bad)} points are not finite numbers, the first is point {bad[0]}")
        cells: dict[str, IntArray] = {}
        for name, conn in self.cells.items():
            if name not in ELEMENTS:
                raise MeshError(f"{where}cell type {name!r} is not supported; known: {sorted(ELEMENTS)}")
            conn = _own(conn, np.int64)
            if conn.ndim != 2 or conn.shape[1] != ELEMENTS[name].n_nodes:
                raise MeshError(
                    f"{where}cells {name!r} have shape {conn.shape}; [n, {ELEMENTS[name].n_nodes}] is wanted"
                )
            if len(conn) == 0:
                continue
            outside = np.flatnonzero(((conn < 0) | (conn >= len(points))).any(axis=1))
            if len(outside):
                raise MeshError(
                    f"{where}{len(outside)} cells of type {name!r} name points that do not exist "
                    f"(there are {len(points)}); the first is number {outside[0]}: "
                    f"{conn[outside[0]].tolist()}"
                )
            cells[name] = conn
            conn.setflags(write=False)
        if not cells:
            raise MeshError(f"{where}no cells; nothing can be tested on points alone")
        points.setflags(write=False)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "groups", dict(self.groups))
        n_cells = sum(len(c) for c in cells.values())
        for name, group in self.groups.items():
            if not isinstance(group, Group):
                raise MeshError(f"{where}group {name!r} is {group!r}; a Group is wanted: Group(nodes=[0, 1])")
            for ids, limit, word in (
                (group.nodes, len(points), "points"),
                (group.cells, n_cells, "cells"),
                (None if group.facets is None else group.facets[:, 0], n_cells, "cells"),
            ):
                if ids is not None and len(ids) and (ids.min() < 0 or ids.max() >= limit):
                    raise MeshError(f"{where}group {name!r} names {word} that do not exist")

    # Counts and addresses

    @property
    def n_points(self) -> int:
        return len(self.points)

    @cached_property
    def n_cells(self) -> int:
        return sum(len(conn) for conn in self.cells.values())

    @cached_property
    def dimension(self) -> int:
        """Highest dimension of the cells: 3 solids, 2 plane or surface, 1 lines."""
        return max(ELEMENTS[name].dimension for name in self.cells)

    @cached_property
    def is_plane(self) -> bool:
        """True for two-dimensional meshes that lie in z = 0."""
        return self.dimension == 2 and not self.points[:, 2].any()

    @cached_property
    def block_offsets(self) -> dict[str, int]:
        """First cell id of each block."""
        ends = np.cumsum([0, *(len(conn) for conn in self.cells.values())])
        return dict(zip(self.cells, ends[:-1].tolist(), strict=True))

    def blocks(self) -> Iterator[tuple[str, IntArray, IntArray]]:
        """Element name, cell ids and connectivity of each block."""
        for name, conn in self.cells.items():
            start = self.block_offsets[name]
            yield name, np.arange(start, start + len(conn)), conn

    def cell(self, cell_id: int) -> tuple[str, IntArray]:
        """Element name and nodes of one cell."""
        for name, ids, conn in self.blocks():
            if ids[0] <= cell_id <= ids[-1]:
                return name, conn[cell_id - ids[0]]
        raise MeshError(f"cell {cell_id} does not exist; there are {self.n_cells}")

    def rows_by_block(self, cell_ids: IntArray) -> Iterator[tuple[str, IntArray]]:
        """For each block that holds some of the cells: its name and the rows within it."""
        cell_ids = np.asarray(cell_ids, np.int64)
        for name, ids, _ in self.blocks():
            inside = cell_ids[(cell_ids >= ids[0]) & (cell_ids <= ids[-1])]
            if len(inside):
                yield name, inside - ids[0]

    def nodes_of_cells(self, cell_ids: IntArray) -> IntArray:
        """Sorted ids of the points that the cells use."""
        return self._marked(self.cells[name][rows] for name, rows in self.rows_by_block(cell_ids))

    @cached_property
    def used_nodes(self) -> IntArray:
        """Sorted ids of the points in at least one cell."""
        nodes = self._marked(self.cells.values())
        nodes.setflags(write=False)
        return nodes

    def _marked(self, parts: Iterable[IntArray]) -> IntArray:
        """Sorted ids of the points named; by flags, which is faster than sorting where they are many."""
        flag = np.zeros(self.n_points, bool)
        for ids in parts:
            flag[ids] = True
        return np.flatnonzero(flag)

    # Groups

    def group_name(self, name: str) -> str:
        """The group's name as the mesh spells it.

        Raises
        ------
        SelectionError
            If there is no such group; the message names the nearest ones.
        """
        if name in self.groups:
            return name
        if self.fold_case:
            for other in self.groups:
                if other.casefold() == name.casefold():
                    return other
        from difflib import get_close_matches

        folded = {other.casefold(): other for other in self.groups}
        near = [folded[n] for n in get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)]
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        known = sorted(self.groups) or "none"
        raise SelectionError(f"the mesh has no group {name!r}{hint or '.'} It has: {known}")

    def group(self, name: str) -> Group:
        """The named group (see ``group_name`` for errors)."""
        return self.groups[self.group_name(name)]

    def with_groups(self, groups: Mapping[str, Group]) -> Mesh:
        """The same mesh with these groups added; a name already there is replaced."""
        return self._numbering(replace(self, groups={**self.groups, **groups}))

    # Facets

    @cached_property
    def _facet_kinds(self) -> tuple[tuple[int, IntArray, IntArray, IntArray], ...]:
        """Facets of highest-dimension cells are numbered kind by kind, cell by cell: first number, cells
        [n, nodes], local ids [f] and local corners [f, c] of each kind, and the first cell's id."""
        kinds, number = [], 0
        for name, conn in self.cells.items():
            if ELEMENTS[name].dimension != self.dimension or self.dimension == 1:
                continue
            for kind, (local, nodes) in facet_table(name).items():
                corners = np.ascontiguousarray(nodes[:, : ELEMENTS[kind].corners])
                kinds.append((number, conn, local + 8 * self.block_offsets[name], corners))
                number += len(conn) * len(local)
        return tuple(kinds)

    def _facets_numbered(self, numbers: IntArray) -> IntArray:
        """Facets int64[k, 2] by number (see ``_facet_kinds``)."""
        out = np.empty((len(numbers), 2), np.int64)
        for first, conn, local, _ in self._facet_kinds:
            inside = np.flatnonzero((numbers >= first) & (numbers < first + len(conn) * len(local)))
            row, column = np.divmod(numbers[inside] - first, len(local))
            start, ids = np.divmod(local, 8)
            out[inside, 0], out[inside, 1] = start[0] + row, ids[column]
        return out

    @property
    def _facet_keys(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Sorted corners of all facets, int32[k, 4], -1 behind fewer than four."""
        from designtwin.kernels import topology

        parts = [np.empty((0, 4), np.int32)]
        for _, conn, local, corners in self._facet_kinds:
            parts.append(np.empty((len(conn) * len(local), 4), np.int32))
            parallel.run(topology.facet_corners, len(conn), conn, corners, parts[-1], grain=1024)
        return parts[-1] if len(parts) <= 2 else np.concatenate(parts)

    @property
    def _all_facets(self) -> tuple[IntArray, np.ndarray[Any, np.dtype[np.int32]]]:
        """All facets of highest-dimension cells [k, 2] and their sorted corner ids [k, 4]."""
        keys = self._facet_keys
        return self._facets_numbered(np.arange(len(keys))), keys

    @cached_property
    def _sorted_facets(self) -> tuple[Any, BoolArray]:
        """Numbers of all facets with those of equal corners together, int32[k], and whether others than
        before begin there, bool[k]."""
        from designtwin.kernels import topology

        keys = self._facet_keys
        start, order = np.empty(self.n_points + 1, np.int32), np.empty(len(keys), np.int32)
        begins = np.empty(len(keys), bool)
        topology.by_first_corner(keys, start, order)
        parallel.run(topology.equal_together, self.n_points, keys, start, order, begins, grain=1024)
        return order, begins

    @property
    def _facet_groups(self) -> tuple[IntArray, IntArray]:
        """Facets sorted by their corners: order [k] and start of each run of equal ones."""
        order, begins = self._sorted_facets
        return order, np.flatnonzero(begins)

    @cached_property
    def exterior(self) -> IntArray:
        """Facets int64[k, 2] that one cell alone owns: the outside of the body."""
        order, begins = self._sorted_facets
        alone = begins & np.append(begins[1:], True)
        return self._facets_numbered(np.sort(order[alone]).astype(np.int64))

    @property
    def neighbors(self) -> IntArray:
        """Pairs of cells int64[k, 2] that share a facet."""
        order, start = self._facet_groups
        twice = start[np.diff(start, append=len(order)) == 2]
        pairs = np.stack(
            [self._facets_numbered(order[at].astype(np.int64))[:, 0] for at in (twice, twice + 1)], axis=1
        )
        pairs.setflags(write=False)
        return pairs

    def find_facets(self, corner_nodes: IntArray) -> IntArray:
        """Facets whose corners are the given nodes.

        Parameters
        ----------
        corner_nodes : int64[k, c]
            Corner point ids of the wanted facets, any order.

        Returns
        -------
        int64[k, 2, 2]
            Cell and local facet of the first two owners; -1 where there is none.
        """
        out = np.full((len(corner_nodes), 2, 2), -1, np.int64)
        # Readers ask this for the faces of a part, few beside all its facets: only those of the nodes count.
        near = np.zeros(self.n_points, bool)
        near[corner_nodes] = True
        facets, keys = [np.empty((0, 2), np.int64)], [np.sort(corner_nodes, axis=1)]
        for name, ids, conn in self.blocks():
            if ELEMENTS[name].dimension != self.dimension or self.dimension == 1:
                continue
            for kind, (local, nodes) in facet_table(name).items():
                if ELEMENTS[kind].corners != corner_nodes.shape[1]:
                    continue
                corners = conn[:, nodes[:, : ELEMENTS[kind].corners]]
                row, column = np.nonzero(near[corners].all(axis=2))
                facets.append(np.column_stack([ids[row], local[column]]))
                keys.append(np.sort(corners[row, column], axis=1))
        key, facet = np.concatenate(keys), np.concatenate(facets)
        order = np.lexsort(key.T)
        new = np.append(True, (key[order[1:]] != key[order[:-1]]).any(axis=1))
        rank = np.empty(len(key), np.int64)
        rank[order] = np.cumsum(new[: len(key)]) - 1
        wanted, found = rank[: len(out)], rank[len(out) :]
        by_rank = np.argsort(found, kind="stable")
        first = np.searchsorted(found[by_rank], wanted)
        for owner in range(2):
            at = np.minimum(first + owner, len(found) - 1)
            hit = np.flatnonzero(found[by_rank[at]] == wanted) if len(found) else at[:0]
            hit = hit[first[hit] + owner < len(found)]
            out[hit, owner] = facet[by_rank[at[hit]]]
        return out

    def facets(self, facets: IntArray) -> list[FacetBlock]:
        """The facets' own connectivity, grouped by facet element.

        Parameters
        ----------
        facets : int64[k, 2]
            Cell id and local facet.
        """
        facets = np.asarray(facets, np.int64).reshape(-1, 2)
        found: dict[str, list[tuple[IntArray, IntArray]]] = {}
        for name, ids, conn in self.blocks():
            inside = np.flatnonzero((facets[:, 0] >= ids[0]) & (facets[:, 0] <= ids[-1]))
            if not len(inside):
                continue
            for kind, (local, nodes) in facet_table(name).items():
                for one, columns in zip(local, nodes, strict=True):
                    rows = inside[facets[inside, 1] == one]
                    if len(rows):
                        found.setdefault(kind, []).append((rows, conn[facets[rows, 0] - ids[0]][:, columns]))
        blocks = []
        for kind, parts in found.items():
            rows = np.concatenate([r for r, _ in parts])
            conn = np.concatenate([c for _, c in parts])
            order = np.argsort(rows, kind="stable")
            blocks.append(
                FacetBlock(kind, np.ascontiguousarray(conn[order]), facets[rows[order], 0], rows[order])
            )
        return blocks

    def nodes_of_facets(self, facets: IntArray) -> IntArray:
        """Sorted ids of the points on the facets."""
        return self._marked(block.conn for block in self.facets(facets))

    def facet_vectors(self, facets: IntArray) -> tuple[FloatArray, FloatArray]:
        """Area vectors float64[k, 3] (outward normal times area, m^2) and centroids [k, 3].

        For plane meshes the area is a length: the facets are edges, per unit thickness.
        """
        from designtwin.kernels.surface import facet_geometry

        facets = np.asarray(facets, np.int64).reshape(-1, 2)
        vectors, centers = np.zeros((len(facets), 3)), np.zeros((len(facets), 3))
        for block in self.facets(facets):
            element = ELEMENTS[block.element]
            shape, gradient, weight = element.tables(element.mass_quadrature)
            at = np.empty((len(block.conn), len(weight), 3))
            area, ones = np.empty_like(at), np.ones(len(at))
            facet_geometry(self.points, block.conn, shape, gradient, weight, 0, ones, at, area)
            vectors[block.rows] = area.sum(axis=1)
            size = np.sqrt(np.einsum("fqa,fqa->fq", area, area))
            # A facet without area has no centroid of its own; the mean of its nodes stands for it.
            size[size.sum(axis=1) <= 0.0] = weight
            centers[block.rows] = np.einsum("fq,fqa->fa", size, at) / size.sum(axis=1)[:, None]
        return vectors, centers

    # Geometry

    @cached_property
    def extents(self) -> FloatArray:
        """Lowest and highest corner of the used points, float64[2, 3], m."""
        return self.bounds(self.used_nodes)

    def bounds(self, nodes: IntArray) -> FloatArray:
        """Lowest and highest corner of some points, float64[2, 3], m."""
        columns = self.points.T if len(nodes) == self.n_points else self.points[nodes].T
        return np.array([[one.min() for one in columns], [one.max() for one in columns]])

    @cached_property
    def size(self) -> float:
        """Diagonal of the bounding box, m."""
        return float(np.linalg.norm(self.extents[1] - self.extents[0]))

    def cell_measures(self, *, order: str = "stiffness") -> FloatArray:
        """Volume (solids, m^3), area (plane, m^2) or length (lines, m) of every cell; signed."""
        out = np.empty(self.n_cells)
        for name, ids, conn in self.blocks():
            element = ELEMENTS[name]
            rule = element.quadrature if order == "stiffness" else element.mass_quadrature
            _, gradient, weight = element.tables(rule)
            out[ids] = np.einsum("cq,q->c", jacobian_determinants(self.points[conn], gradient), weight)
        return out

    @cached_property
    def cell_centers(self) -> FloatArray:
        """Mean of each cell's corners, float64[n_cells, 3], m."""
        out = np.empty((self.n_cells, 3))
        for name, ids, conn in self.blocks():
            out[ids] = self.points[conn[:, : ELEMENTS[name].corners]].mean(axis=1)
        return out

    @cached_property
    def pieces(self) -> IntArray:
        """Number of the connected piece each cell belongs to, int64[n_cells]; cells joined by nodes."""
        from designtwin.kernels import topology

        forest, number = np.arange(self.n_points), np.full(self.n_points, -1)
        for conn in self.cells.values():
            topology.join(conn, forest)
        piece, count = np.empty(self.n_cells, np.int64), 0
        for _, ids, conn in self.blocks():
            count = topology.number_sets(
                np.ascontiguousarray(conn[:, 0]), forest, number, count, piece[ids[0] : ids[-1] + 1]
            )
        return piece

    def mass_properties(self, density: float | FloatArray) -> MassProperties:
        """Mass, center of mass and inertia about it for a density (per cell or one), kg/m^3."""
        rho = np.broadcast_to(np.asarray(density, np.float64), (self.n_cells,))
        mass, first, second = 0.0, np.zeros(3), np.zeros((3, 3))
        for name, ids, conn in self.blocks():
            element = ELEMENTS[name]
            if element.dimension != self.dimension:
                continue
            shape, gradient, weight = element.tables(element.mass_quadrature)
            x = np.einsum("qn,cna->cqa", shape, self.points[conn])
            dm = jacobian_determinants(self.points[conn], gradient) * weight * rho[ids, None]
            mass += float(dm.sum())
            first += np.einsum("cq,cqa->a", dm, x)
            second += np.einsum("cq,cqa,cqb->ab", dm, x, x)
        center = first / mass
        second -= mass * np.outer(center, center)
        return MassProperties(mass, center, np.trace(second) * np.eye(3) - second)

    def moved(self, points: FloatArray) -> Mesh:
        """The same cells and groups on other points; unknowns keep their order."""
        return self._numbering(replace(self, points=points))

    def _numbering(self, mesh: Mesh) -> Mesh:
        """A mesh of the same cells, its unknowns in the order of this one."""
        mesh.__dict__["numbering_points"] = self.numbering_points
        return mesh

    @cached_property
    def numbering_points(self) -> FloatArray:
        """Points whose order along a curve through space numbers the unknowns, float64[n, 3], m.

        A moved mesh takes over those of the mesh it came from: one order of elimination then serves all
        designs of a study.
        """
        return self.points

    def morphed(
        self,
        *moves: Move,
        controls: Sequence[tuple[Any, Any]] = (),
        fixed: Any = (),
        slide: bool = True,
        method: str = "distance",
        radius: float | str | None = None,
        symmetric: str | Mapping[str, Any] = "",
    ) -> Mesh:
        """A new design on the same cells and groups: all points follow the moves.

        Parameters
        ----------
        *moves : Move
            What changes: ``stretch``, ``fillet``, ``bore``, ``scale``, ``move``, ``offset``, ``Lattice``.
            Their displacements add up, each read at the original points.
        controls : sequence of (place, displacement), optional
            Groups, selections or points [k, 3] with a vector, one per point, or a function of points.
        fixed : selection or group name, or a sequence of these
            What stays where it is, unless moved.
        slide : bool
            Flat faces and straight holes along the axes stay in their planes and on their axes, unless moved.
        method : "distance" or "rbf"
            How the rest follows ``move``, ``offset`` and ``controls``: by inverse distance, or by radial
            basis functions (smoother, exact for affine moves).
        radius : length, optional
            Support of the radial basis functions; they reach everywhere where left out.
        symmetric : "x", "xy", ... or mapping of axis to position, optional
            Planes of symmetry (at 0 unless told) that mirror ``move``, ``offset`` and ``controls``, of a
            whole part or of the half that is modeled.

        Raises
        ------
        MeshError
            If a cell would turn inside out: how many, where, and what share of the move is safe.
        """
        from designtwin.mesh.morphing import morph

        return morph(
            self, *moves, controls=controls, fixed=fixed, slide=slide, method=method, radius=radius,
            symmetric=symmetric,
        )  # fmt: skip

    def refined(self, on: Any = None) -> Mesh:
        """A finer mesh of the same body: every cell halved along each edge; groups follow.

        Parameters
        ----------
        on : group name or selection, optional
            Only the cells that touch it and what has to follow (lines, triangles and tetrahedra alone).

        Raises
        ------
        MeshError
            If a place is given and the mesh holds other cells; see ``refine.refine``.
        """
        from designtwin.mesh.refine import refine
        from designtwin.mesh.selections import select

        if on is None:
            return refine(self).mesh
        flag = np.zeros(self.n_points, bool)
        flag[select(on).resolve(self).nodes] = True
        touch = [ids[flag[conn].any(axis=1)] for _, ids, conn in self.blocks()]
        return refine(self, np.concatenate(touch)).mesh

    def joined(self, *, tolerance: float | None = None) -> Mesh:
        """The mesh with nodes in one place (within a tolerance, m) merged; see ``repair.joined``."""
        from designtwin.mesh.repair import joined

        return joined(self, tolerance=tolerance)

    @cached_property
    def _hash(self) -> str:
        digest = hashlib.sha256(self.points.tobytes())
        for name, conn in self.cells.items():
            digest.update(name.encode() + conn.tobytes())
        for name in sorted(self.groups):
            group = self.groups[name]
            digest.update(name.encode())
            for ids in (group.nodes, group.facets, group.cells):
                digest.update(b"-" if ids is None else ids.tobytes())
        return digest.hexdigest()

    def content_hash(self) -> str:
        """Hexadecimal SHA-256 of points, cells and groups."""
        return self._hash

    def check(self) -> MeshReport:
        """The mesh doctor: graded findings with ids and places."""
        from designtwin.mesh.quality import check

        return check(self)

    def __repr__(self) -> str:
        cells = ", ".join(f"{len(conn):,} {name}" for name, conn in self.cells.items())
        return f"<Mesh {self.source}: {self.n_points:,} points, {cells}, groups {list(self.groups)}>"

    def __str__(self) -> str:
        from designtwin.mesh.quality import describe

        return describe(self)


def _own(array: Any, dtype: type) -> Any:
    """A contiguous array that may be made read-only: the caller's own one is copied."""
    out: Any = np.ascontiguousarray(array, dtype)
    return out.copy() if out is array and out.flags.writeable else out


@dataclass(frozen=True, eq=False)
class MassProperties:
    """Mass (kg), center of mass (m, [3]) and inertia about it (kg m^2, [3, 3])."""

    mass: float
    center: FloatArray
    inertia: FloatArray


def jacobian_determinants(x: FloatArray, gradient: FloatArray) -> FloatArray:
    """Measure of the map from the reference element, float64[n_cells, n_q].

    Parameters
    ----------
    x : float64[n_cells, n_nodes, 3]
    gradient : float64[n_q, n_nodes, dim]

    Signed for solids and for plane cells in z = 0; positive for lines and surfaces in space.
    """
    jacobian = np.einsum("cna,qnd->cqad", x, gradient)
    dimension = gradient.shape[2]
    if dimension == 3:
        return np.asarray(np.linalg.det(jacobian))
    if dimension == 2:
        normal = np.cross(jacobian[..., 0], jacobian[..., 1])
        if not x[..., 2].any():
            return np.asarray(normal[..., 2])
        return np.asarray(np.linalg.norm(normal, axis=-1))
    return np.asarray(np.linalg.norm(jacobian[..., 0], axis=-1))
