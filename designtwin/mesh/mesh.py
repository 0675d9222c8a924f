"""The mesh: points, cells by element type, and named groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.elements import ELEMENTS, facet_table
from designtwin.errors import MeshError, SelectionError
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.mesh.morphing import Move
    from designtwin.mesh.quality import MeshReport


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
    """

    nodes: IntArray | None = None
    facets: IntArray | None = None
    cells: IntArray | None = None

    def __post_init__(self) -> None:
        if self.nodes is not None:
            object.__setattr__(self, "nodes", np.unique(np.asarray(self.nodes, np.int64).reshape(-1)))
        if self.cells is not None:
            object.__setattr__(self, "cells", np.unique(np.asarray(self.cells, np.int64).reshape(-1)))
        if self.facets is not None:
            facets = np.asarray(self.facets, np.int64).reshape(-1, 2)
            object.__setattr__(self, "facets", np.unique(facets, axis=0))

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
        parts = [self.cells[name][rows].ravel() for name, rows in self.rows_by_block(cell_ids)]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)

    @cached_property
    def used_nodes(self) -> IntArray:
        """Sorted ids of the points in at least one cell."""
        return np.unique(np.concatenate([conn.ravel() for conn in self.cells.values()]))

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
        return replace(self, groups={**self.groups, **groups})

    # Facets

    @cached_property
    def _all_facets(self) -> tuple[IntArray, IntArray]:
        """All facets of highest-dimension cells [k, 2] and their sorted corner ids [k, 4]."""
        ids, keys = [], []
        for name, cell_ids, conn in self.blocks():
            element = ELEMENTS[name]
            if element.dimension != self.dimension or self.dimension == 1:
                continue
            for kind, (local, nodes) in facet_table(name).items():
                corners = ELEMENTS[kind].corners
                key = np.full((len(conn) * len(local), 4), -1, np.int64)
                key[:, :corners] = np.sort(conn[:, nodes[:, :corners]].reshape(-1, corners), axis=1)
                keys.append(key)
                ids.append(np.column_stack([np.repeat(cell_ids, len(local)), np.tile(local, len(conn))]))
        if not ids:
            return np.empty((0, 2), np.int64), np.empty((0, 4), np.int64)
        return np.concatenate(ids), np.concatenate(keys)

    @cached_property
    def _facet_groups(self) -> tuple[IntArray, IntArray]:
        """Facets sorted by their corners: order [k] and start of each run of equal ones."""
        _, keys = self._all_facets
        order = np.lexsort(keys.T)
        ordered = keys[order]
        first = np.ones(len(order), bool)
        first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        return order, np.flatnonzero(first)

    @cached_property
    def exterior(self) -> IntArray:
        """Facets int64[k, 2] that one cell alone owns: the outside of the body."""
        facets, _ = self._all_facets
        order, start = self._facet_groups
        count = np.diff(np.append(start, len(order)))
        alone = np.sort(order[start[count == 1]])
        return np.asarray(facets[alone])

    @cached_property
    def neighbors(self) -> IntArray:
        """Pairs of cells int64[k, 2] that share a facet."""
        facets, _ = self._all_facets
        order, start = self._facet_groups
        count = np.diff(np.append(start, len(order)))
        twice = start[count == 2]
        return np.column_stack([facets[order[twice], 0], facets[order[twice + 1], 0]])

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
        facets, keys = self._all_facets
        wanted = np.full((len(corner_nodes), 4), -1, np.int64)
        wanted[:, : corner_nodes.shape[1]] = np.sort(corner_nodes, axis=1)
        out = np.full((len(wanted), 2, 2), -1, np.int64)
        if not len(keys) or not len(wanted):
            return out
        order, start = self._facet_groups
        count = np.diff(np.append(start, len(order)))
        unique = np.ascontiguousarray(keys[order[start]])
        # Both lists ranked together: equal corners get equal numbers.
        both = np.concatenate([unique, wanted])
        _, rank = np.unique(both, axis=0, return_inverse=True)
        rank = rank.reshape(-1)
        position = np.full(rank.max() + 1, -1, np.int64)
        position[rank[: len(unique)]] = np.arange(len(unique))
        found = position[rank[len(unique) :]]
        hit = found >= 0
        out[hit, 0] = facets[order[start[found[hit]]]]
        pair = hit.copy()
        pair[hit] = count[found[hit]] >= 2
        out[pair, 1] = facets[order[start[found[pair]] + 1]]
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
        parts = [block.conn.ravel() for block in self.facets(facets)]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)

    def facet_vectors(self, facets: IntArray) -> tuple[FloatArray, FloatArray]:
        """Area vectors float64[k, 3] (outward normal times area, m^2) and centroids [k, 3].

        For plane meshes the area is a length: the facets are edges, per unit thickness.
        """
        facets = np.asarray(facets, np.int64).reshape(-1, 2)
        vectors, centers = np.zeros((len(facets), 3)), np.zeros((len(facets), 3))
        for block in self.facets(facets):
            shape, gradient, weight = ELEMENTS[block.element].tables(ELEMENTS[block.element].mass_quadrature)
            x = self.points[block.conn]
            tangents = np.einsum("fna,qnd->fqad", x, gradient)
            if gradient.shape[2] == 2:
                area = np.cross(tangents[..., 0], tangents[..., 1])
            else:
                area = np.stack([tangents[..., 1, 0], -tangents[..., 0, 0], np.zeros(tangents.shape[:2])], -1)
            vectors[block.rows] = np.einsum("fqa,q->fa", area, weight)
            size = np.linalg.norm(area, axis=2) * weight
            at = np.einsum("qn,fna->fqa", shape, x)
            # A facet without area has no centroid of its own; the mean of its nodes stands for it.
            flat = size.sum(axis=1) <= 0.0
            size[flat] = 1.0
            centers[block.rows] = np.einsum("fq,fqa->fa", size, at) / size.sum(axis=1)[:, None]
        return vectors, centers

    # Geometry

    @cached_property
    def extents(self) -> FloatArray:
        """Lowest and highest corner of the used points, float64[2, 3], m."""
        used = self.points[self.used_nodes]
        return np.array([used.min(axis=0), used.max(axis=0)])

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
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        rows = np.concatenate([np.repeat(ids, conn.shape[1]) for _, ids, conn in self.blocks()])
        nodes = np.concatenate([conn.ravel() for conn in self.cells.values()]) + self.n_cells
        n = self.n_cells + self.n_points
        graph = coo_array((np.ones(len(rows), np.int8), (rows, nodes)), shape=(n, n))
        _, label = connected_components(graph, directed=False)
        _, piece = np.unique(label[: self.n_cells], return_inverse=True)
        return np.asarray(piece, np.int64)

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
        """The same cells and groups on other points."""
        return replace(self, points=points)

    def morphed(
        self,
        *moves: Move,
        controls: Sequence[tuple[Any, Any]] = (),
        fixed: Any = (),
        slide: bool = True,
        method: str = "distance",
        radius: float | str | None = None,
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

        Raises
        ------
        MeshError
            If a cell would turn inside out: how many, where, and what share of the move is safe.
        """
        from designtwin.mesh.morphing import morph

        return morph(self, *moves, controls=controls, fixed=fixed, slide=slide, method=method, radius=radius)

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
