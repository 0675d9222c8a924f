"""The mesh doctor: what is wrong with a mesh, how badly, where, and what to do about it.

Each check looks at the whole mesh at once and gives one ``Finding``: ``ok``, ``warn`` (the answer may suffer
or is not what was meant) or ``bad`` (no trustworthy answer). The report prints as a table and passes on all
ids, for a picture or a mesher.

Source of the shape measures: Knupp et al., "The Verdict geometric quality library", SAND2007-1751
(scaled Jacobian); Knupp, "Algebraic mesh quality metrics", SIAM J. Sci. Comput. 23 (2001) (condition number).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from designtwin.elements import ELEMENTS, facet_table
from designtwin.errors import MeshError, UnitError
from designtwin.mesh.mesh import Mesh
from designtwin.mesh.surface import surface_of
from designtwin.typing import BoolArray, FloatArray, IntArray, PlainData
from designtwin.units import from_si, show, symbol, to_si

WIDTH = 108
"""Columns of the printed table."""
_GRADES = ("ok", "warn", "bad")

_SLIVER, _THIN = 0.003, 0.05  # scaled Jacobian below which a cell is flat, or nearly
_STRETCHED = 30.0  # condition number of the map from the regular cell
_SHARP, _BLUNT = math.radians(8.0), math.radians(168.0)
_OFF_MIDDLE, _BULGE = 0.2, 0.3  # mid-side nodes, as shares of the edge
_SMALL, _LARGE = 1e-4, 100.0  # plausible sizes of a part, m


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing the doctor looked at.

    Parameters
    ----------
    check : str
        Short name of the check, such as ``"inverted"``.
    grade : str
        ``"ok"``, ``"warn"`` or ``"bad"``.
    title : str
        What was found, in words.
    count : int
        How many; 0 where it is ok.
    of : str
        What is counted and numbered by ``ids``: ``"cells"``, ``"nodes"``, ``"facets"``, or ``""``.
    ids : int64[k] or int64[k, 2]
        All of them, the worst first where there is a worst.
    place : str
        Where the first one is.
    advice : str
        What to do.
    """

    check: str
    grade: str
    title: str
    count: int = 0
    of: str = ""
    ids: IntArray | None = None
    place: str = ""
    advice: str = ""

    def to_dict(self) -> PlainData:
        """Plain JSON-able data, all ids included."""
        return {
            "check": self.check,
            "grade": self.grade,
            "title": self.title,
            "count": self.count,
            "of": self.of,
            "ids": [] if self.ids is None else self.ids.tolist(),
            "place": self.place,
            "advice": self.advice,
        }


@dataclass(frozen=True, eq=False)
class MeshReport:
    """What the mesh doctor found.

    Parameters
    ----------
    source : str
        The mesh's origin.
    findings : tuple of Finding
        One per check, in the order looked at.
    """

    source: str
    findings: tuple[Finding, ...]

    @property
    def grade(self) -> str:
        """The worst grade of all."""
        return max((finding.grade for finding in self.findings), key=_GRADES.index, default="ok")

    def at_least(self, grade: str) -> tuple[Finding, ...]:
        """Findings of this grade or worse, the worst first."""
        if grade not in _GRADES:
            raise MeshError(f"a grade is one of {_GRADES}, not {grade!r}")
        level = _GRADES.index(grade)
        found = [f for f in self.findings if _GRADES.index(f.grade) >= level]
        return tuple(sorted(found, key=lambda f: -_GRADES.index(f.grade)))

    def __getitem__(self, check: str) -> Finding:
        """The finding of a check by its short name."""
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise MeshError(f"no check {check!r} was made; there are {[f.check for f in self.findings]}")

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def raise_on(self, grade: str = "bad") -> MeshReport:
        """Raise if anything is of this grade or worse; the report itself otherwise.

        Raises
        ------
        MeshError
            With every such finding, its place and what to do.
        """
        found = self.at_least(grade)
        if found:
            lines = [f"{_sentence(f)}" for f in found]
            raise MeshError(f"{self.source or 'the mesh'} is {self.grade}: " + "; ".join(lines))
        return self

    def to_dict(self) -> PlainData:
        """Plain JSON-able data."""
        return {
            "source": self.source,
            "grade": self.grade,
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def __repr__(self) -> str:
        return f"<MeshReport of {self.source or 'mesh'}: {self.grade}>"

    def __str__(self) -> str:
        from io import StringIO

        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        counts = [sum(f.grade == grade for f in self.findings) for grade in ("bad", "warn")]
        worst = {"ok": "no complaints", "warn": f"{counts[1]} to look at", "bad": f"{counts[0]} to repair"}
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
        table.add_column("", no_wrap=True)
        table.add_column("found", max_width=44)
        table.add_column("where")
        table.add_column("what to do", max_width=38)
        for f in sorted(self.findings, key=lambda f: -_GRADES.index(f.grade)):
            table.add_row(Text(f.grade), Text(f.title), Text(_where(f)), Text(f.advice))
        out = StringIO()
        # In a notebook a console would show itself instead of filling `out`.
        console = Console(file=out, width=WIDTH, color_system=None, legacy_windows=False, force_jupyter=False)
        console.print(table)
        title = f"{self.source or 'mesh'}: {self.grade}, {worst[self.grade]}"
        return "\n".join([title, *(line.rstrip() for line in out.getvalue().strip("\n").splitlines())])


def check(mesh: Mesh) -> MeshReport:
    """Look at everything that is known to spoil an analysis.

    Parameters
    ----------
    mesh : Mesh

    Returns
    -------
    MeshReport
        One finding per check, graded ok, warn or bad, with all ids.
    """
    findings = [*_shape(mesh), *_nodes(mesh), *_connections(mesh), *_kinds(mesh), _size(mesh), *_groups(mesh)]
    return MeshReport(mesh.source, tuple(findings))


# --- the shape of cells -----------------------------------------------------------------------------------


def _shape(mesh: Mesh) -> list[Finding]:
    inside = np.full(mesh.n_cells, np.inf)  # least det J at integration points, over the mean
    corner = np.full(mesh.n_cells, np.inf)  # least det J at the nodes, over the mean
    scaled = np.ones(mesh.n_cells)
    stretch = np.ones(mesh.n_cells)
    low, high = np.full(mesh.n_cells, np.pi / 2), np.full(mesh.n_cells, np.pi / 2)
    along, bulge = np.zeros(mesh.n_cells), np.zeros(mesh.n_cells)
    for name, ids, conn in mesh.blocks():
        element = ELEMENTS[name]
        x = mesh.points[conn]
        n_inside = len(element.quadrature[1])
        at = np.concatenate([element.quadrature[0], checked_nodes(name)])
        det = determinants(x, element.gradient(at))
        mean = np.abs(det[:, :n_inside]).mean(axis=1)
        # A cell without volume has no mean to compare with: its longest edge gives the measure.
        edges = x[:, np.array(element.corner_edges)]
        longest = np.linalg.norm(edges[:, :, 1] - edges[:, :, 0], axis=2).max(axis=1)
        mean = np.maximum(np.maximum(mean, 1e-12 * longest**element.dimension), 1e-300)
        inside[ids] = det[:, :n_inside].min(axis=1) / mean
        corner[ids] = det[:, n_inside:].min(axis=1) / mean
        if element.dimension > 1:
            scaled[ids], stretch[ids] = _scaled_jacobian(name, x), _stretch(name, x)
            low[ids], high[ids] = _angles(name, x)
        if element.edges:
            along[ids], bulge[ids] = _middles(name, x)
    turned = inside <= 1e-9
    folded = (corner <= 1e-9) & ~turned
    flat = (np.abs(scaled) < _SLIVER) & ~turned
    thin = (np.abs(scaled) < _THIN) & ~turned & ~flat & ~folded
    findings = [_inverted(mesh, turned, inside)]
    findings.append(
        _cells(
            mesh,
            "folded",
            "warn",
            folded,
            corner,
            "cells folded at a node (negative Jacobian there)",
            "no cell folded at its nodes",
            "straighten edges or move mid-side nodes; stress there is not to be trusted",
        )
    )
    good = scaled[~turned] if not turned.all() else scaled
    quality = f"scaled Jacobian {good.min():.2g} to {good.max():.2g}, median {np.median(good):.2g}"
    solid = scaled[_highest(mesh)]
    findings.append(
        _cells(
            mesh,
            "flat",
            "bad" if flat.any() else "warn",
            flat if flat.any() else thin,
            np.abs(scaled),
            "cells flat, almost without volume"
            if flat.any()
            else f"cells nearly flat (scaled Jacobian below {_THIN:g})",
            f"shapes good: {quality}" if len(solid) and mesh.dimension > 1 else "no shapes to judge",
            "remesh there, or merge the short edges",
        )
    )
    findings.append(
        _cells(
            mesh,
            "stretched",
            "warn",
            (stretch > _STRETCHED) & ~turned & ~flat,
            -stretch,
            f"cells stretched more than {_STRETCHED:g} to 1 (up to {stretch.max():.3g})",
            f"stretch: median {np.median(stretch):.2g}, 99 % below {np.quantile(stretch, 0.99):.2g}, "
            f"largest {stretch.max():.3g}",
            "refine along the long side where stress varies",
        )
    )
    findings.append(
        _cells(
            mesh,
            "angles",
            "warn",
            ((low < _SHARP) | (high > _BLUNT)) & ~turned & ~flat,
            np.minimum(low, np.pi - high),
            f"cells with face angles below {show(_SHARP, 'angle')} or above {show(_BLUNT, 'angle')}",
            f"face angles {show(low.min(), 'angle', digits=3)} to {show(high.max(), 'angle', digits=3)}",
            "remesh there if stress matters there",
        )
    )
    if any(ELEMENTS[name].edges for name in mesh.cells):
        findings.append(
            _cells(
                mesh,
                "midside",
                "warn",
                (along > _OFF_MIDDLE) | (bulge > _BULGE),
                -np.maximum(along / _OFF_MIDDLE, bulge / _BULGE),
                "cells with mid-side nodes far off the middle",
                f"mid-side nodes at most {_percent(along.max())} off the middle, bulge at most "
                f"{_percent(bulge.max())} of the edge",
                "smaller cells on tight curves; a node at a quarter makes the stress singular",
            )
        )
    return findings


def _inverted(mesh: Mesh, turned: BoolArray, inside: FloatArray) -> Finding:
    share = turned[_highest(mesh)].mean()
    advice = "move its nodes apart, or remesh there"
    title = "cells inverted or without volume"
    if share > 0.5:
        title = "cells inside out: the node order is another"
        advice = "read the file with the right element type, or reverse the node order of these cells"
    return _cells(mesh, "inverted", "bad", turned, inside, title, "no cell inverted", advice)


@lru_cache
def checked_nodes(name: str) -> FloatArray:
    """Nodes where the map must not fold; a pyramid's apex is singular for every pyramid."""
    nodes = np.array(ELEMENTS[name].nodes, np.float64)
    return np.array(
        [node for node in nodes if len(node) < 3 or not (name.startswith("pyramid") and node[2] > 0.9)]
    )


def determinants(x: FloatArray, gradient: FloatArray) -> FloatArray:
    """Jacobian determinants float64[c, q], as ``mesh.jacobian_determinants`` gives, in one matrix product.

    Parameters
    ----------
    x : float64[c, n, 3]
    gradient : float64[q, n, dim]
    """
    q, n, dim = gradient.shape
    table = gradient.transpose(1, 0, 2).reshape(n, q * dim)
    jacobian = (x.transpose(0, 2, 1).reshape(-1, n) @ table).reshape(len(x), 3, q, dim)
    if dim == 1:
        return np.asarray(np.linalg.norm(jacobian[..., 0], axis=1))
    a, b = jacobian[..., 0], jacobian[..., 1]
    normal = (
        a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
        a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
        a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
    )
    if dim == 3:
        c = jacobian[..., 2]
        return np.asarray(normal[0] * c[:, 0] + normal[1] * c[:, 1] + normal[2] * c[:, 2])
    if not x[..., 2].any():
        return np.asarray(normal[2])
    return np.asarray(np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2))


@lru_cache
def _regular(name: str) -> FloatArray:
    """Corners float64[n, dim] of the cell whose edges are all equal."""
    h, s = math.sqrt(3) / 2, math.sqrt(2) / 2
    linear = ELEMENTS[name].linear
    triangle = [(0, 0), (1, 0), (0.5, h)]
    corners = {
        "triangle": triangle,
        "quad": [(0, 0), (1, 0), (1, 1), (0, 1)],
        "tetra": [(0, 0, 0), (1, 0, 0), (0.5, h, 0), (0.5, h / 3, math.sqrt(2 / 3))],
        "hexahedron": [(x, y, z) for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))],
        "wedge": [(x, y, z) for z in (0, 1) for x, y in triangle],
        "pyramid": [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0.5, 0.5, s)],
    }[linear]
    return np.array(corners, np.float64)


@lru_cache
def corner_edges(name: str) -> list[tuple[int, tuple[int, ...], float]]:
    """Each corner with its neighbors, right-handed, and the measure of its edges in the regular cell."""
    element = ELEMENTS[ELEMENTS[name].linear]
    x = _regular(name)
    out = []
    for corner in range(element.corners):
        others = [b if a == corner else a for a, b in element.corner_edges if corner in (a, b)]
        if len(others) != element.dimension:
            continue  # the apex of a pyramid
        value = float(np.linalg.det(x[others] - x[corner]))
        if value < 0:
            others[0], others[1] = others[1], others[0]
        out.append((corner, tuple(others), abs(value)))
    return out


def scaled_jacobians(mesh: Mesh) -> FloatArray:
    """Scaled Jacobian of every cell of the highest dimension, float64[n_cells]; nan for the others.

    Least determinant of unit edges at the corners: 1 for the regular cell, 0 for a flat one, negative where
    a cell is inside out.
    """
    out = np.full(mesh.n_cells, np.nan)
    for name, ids, conn in mesh.blocks():
        if ELEMENTS[name].dimension == mesh.dimension:
            out[ids] = _scaled_jacobian(name, mesh.points[conn])
    return out


def _scaled_jacobian(name: str, x: FloatArray) -> FloatArray:
    """Least determinant of unit edges at the corners, 1 for the regular cell, float64[c]."""
    worst = np.full(len(x), np.inf)
    for corner, others, regular in corner_edges(name):
        e = [x[:, other] - x[:, corner] for other in others]
        length = np.prod([np.sqrt(np.einsum("ca,ca->c", v, v)) for v in e], axis=0)
        normal = np.stack(
            [
                e[0][:, 1] * e[1][:, 2] - e[0][:, 2] * e[1][:, 1],
                e[0][:, 2] * e[1][:, 0] - e[0][:, 0] * e[1][:, 2],
                e[0][:, 0] * e[1][:, 1] - e[0][:, 1] * e[1][:, 0],
            ],
            axis=1,
        )
        if len(e) == 3:
            value = np.einsum("ca,ca->c", normal, e[2])
        elif not x[..., 2].any():
            value = normal[:, 2]
        else:
            value = np.sqrt(np.einsum("ca,ca->c", normal, normal))
        worst = np.minimum(worst, value / np.maximum(length, 1e-300) / regular)
    return worst


def _stretch(name: str, x: FloatArray) -> FloatArray:
    """Condition number of the linear map from the regular cell at the center, float64[c]."""
    linear = ELEMENTS[ELEMENTS[name].linear]
    gradient = linear.gradient(linear.center)[0]
    # dx/d(regular) = dx/dxi (d(regular)/dxi)^-1
    table = gradient @ np.linalg.inv(_regular(name).T @ gradient)
    jacobian = np.swapaxes(x[:, : linear.corners], 1, 2) @ table
    metric = np.swapaxes(jacobian, 1, 2) @ jacobian
    value = np.linalg.eigvalsh(metric)
    return np.asarray(
        np.sqrt(value[:, -1] / np.maximum(value[:, 0], 1e-16 * np.maximum(value[:, -1], 1e-300)))
    )


def _angles(name: str, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Least and largest angle at the corners of the faces, rad, float64[c] each."""
    element = ELEMENTS[ELEMENTS[name].linear]
    faces = element.facets if element.dimension == 3 else (tuple(range(element.corners)),)
    high_cosine, low_cosine = np.full(len(x), -1.0), np.full(len(x), 1.0)
    edge = {}
    for a, b in element.corner_edges:
        v = x[:, b] - x[:, a]
        edge[a, b] = v / np.maximum(np.sqrt(np.einsum("ca,ca->c", v, v)), 1e-300)[:, None]
        edge[b, a] = -edge[a, b]
    for face in faces:
        for i, corner in enumerate(face):
            cosine = np.einsum("ca,ca->c", edge[corner, face[i - 1]], edge[corner, face[(i + 1) % len(face)]])
            high_cosine, low_cosine = np.maximum(high_cosine, cosine), np.minimum(low_cosine, cosine)
    return np.arccos(np.clip(high_cosine, -1, 1)), np.arccos(np.clip(low_cosine, -1, 1))


def _middles(name: str, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How far mid-side nodes lie off the middle, along and across, as shares of the edge; float64[c] each."""
    element = ELEMENTS[name]
    ends = np.array(element.edges)
    a, b = x[:, ends[:, 0]], x[:, ends[:, 1]]
    chord = b - a
    square = np.maximum(np.einsum("cea,cea->ce", chord, chord), 1e-300)
    off = x[:, element.corners :] - 0.5 * (a + b)
    along = np.einsum("cea,cea->ce", off, chord) / square
    across = np.sqrt(np.maximum(np.einsum("cea,cea->ce", off, off) / square - along**2, 0.0))
    return np.abs(along).max(axis=1), across.max(axis=1)


# --- nodes ------------------------------------------------------------------------------------------------


def _nodes(mesh: Mesh) -> list[Finding]:
    unused = np.ones(mesh.n_points, bool)
    unused[mesh.used_nodes] = False
    loose = np.flatnonzero(unused)
    named = [
        name for name, group in mesh.groups.items() if group.nodes is not None and unused[group.nodes].any()
    ]
    finding = Finding("loose_nodes", "ok", "every node is in a cell")
    if len(loose):
        text = f"; {_listed(named)} name{'s' if len(named) == 1 else ''} some" if named else ""
        finding = Finding(
            "loose_nodes",
            "warn",
            _counted(len(loose), f"nodes in no cell{text}"),
            len(loose),
            "nodes",
            loose,
            _point(mesh.points[loose[0]]),
            "they are left out of the analysis; nothing can be fixed or loaded there",
        )
    return [finding, _coincident(mesh)]


def _coincident(mesh: Mesh) -> Finding:
    from scipy.spatial import cKDTree

    used = mesh.used_nodes
    reach = 1e-6 * mesh.size
    pairs = cKDTree(mesh.points[used]).query_pairs(reach, output_type="ndarray")
    # Two nodes of one cell that close make it flat, which is said elsewhere.
    if not len(pairs):
        return Finding("duplicate_nodes", "ok", "no two nodes in one place")
    pairs = used[pairs]
    nodes = np.unique(pairs)
    piece = _node_pieces(mesh)
    within = piece[pairs[:, 0]] == piece[pairs[:, 1]]
    torn = bool(within.any())
    return Finding(
        "duplicate_nodes",
        "bad" if torn else "warn",
        f"{len(pairs):,} pairs of nodes in one place"
        + (": the mesh is torn there" if torn else ", of pieces that touch"),
        len(pairs),
        "nodes",
        nodes,
        _point(mesh.points[nodes[0]]),
        "mesh.joined() merges them" + ("" if torn else "; leave them if the parts are meant to come apart"),
    )


def _node_pieces(mesh: Mesh) -> IntArray:
    """The piece of each node, -1 for those in no cell."""
    out = np.full(mesh.n_points, -1, np.int64)
    for _, ids, conn in mesh.blocks():
        out[conn] = mesh.pieces[ids][:, None]
    return out


# --- how cells hang together ------------------------------------------------------------------------------


def _connections(mesh: Mesh) -> list[Finding]:
    findings = [_pieces(mesh)]
    if mesh.dimension == 1:
        return findings
    findings.append(_hinges(mesh))
    facets, _ = mesh._all_facets
    order, start = mesh._facet_groups
    count = np.diff(np.append(start, len(order)))
    many = np.flatnonzero(count > 2)
    word = "faces" if mesh.dimension == 3 else "edges"
    surface = mesh.dimension == 2 and not mesh.is_plane
    if len(many):
        first = np.unique(facets[order[start[many]]], axis=0)
        findings.append(
            Finding(
                "shared_facets",
                "bad",
                f"{len(many):,} {word} shared by more than two cells",
                len(many),
                "facets",
                first,
                _point(mesh.facet_vectors(first[:1])[1][0]),
                "take the surplus cells away: cells overlap there"
                if not surface
                else "a closed surface has two triangles at each edge",
            )
        )
    else:
        findings.append(Finding("shared_facets", "ok", f"no {word[:-1]} shared by more than two cells"))
    findings.append(_mixed_order(mesh, order, start, count))
    findings.append(_duplicate_cells(mesh))
    if mesh.dimension == 3:
        findings.append(_touching(mesh))
    return findings


def _pieces(mesh: Mesh) -> Finding:
    piece = mesh.pieces
    n = int(piece.max()) + 1
    if n == 1:
        return Finding("pieces", "ok", "all cells hang together")
    sizes = np.bincount(piece)
    order = np.argsort(-sizes, kind="stable")
    parts = []
    for p in order[:4]:
        cells = np.flatnonzero(piece == p)
        names = [
            name
            for name, group in mesh.groups.items()
            if group.cells is not None and len(group.cells) and (piece[group.cells] == p).all()
        ]
        at = mesh.cell_centers[cells].mean(axis=0)
        parts.append(f"{len(cells):,} cells " + (f"of {_listed(names)}" if names else f"around {_point(at)}"))
    more = f"; and {n - 4} more" if n > 4 else ""
    small = np.flatnonzero(np.isin(piece, order[1:]))
    return Finding(
        "pieces",
        "warn",
        f"{n} pieces that do not hang together",
        n,
        "cells",
        small,
        "; ".join(parts) + more,
        "each needs supports of its own, a Tie that bonds it, or mesh.joined() if they should be one",
    )


def _hinges(mesh: Mesh) -> Finding:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = mesh.neighbors.T
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(mesh.n_cells, mesh.n_cells))
    label = connected_components(graph, directed=False)[1]
    highest = _highest(mesh)
    pairs = np.unique(np.column_stack([mesh.pieces[highest], label[highest]]), axis=0)
    extra = len(pairs) - len(np.unique(pairs[:, 0]))
    if not extra:
        return Finding(
            "hinges", "ok", "cells join over whole faces" if mesh.dimension == 3 else "cells join over edges"
        )
    # All but the largest part of each piece.
    sizes = np.bincount(label[highest], minlength=int(label.max()) + 1)
    main: dict[int, int] = {}
    for p, part in pairs.tolist():
        if p not in main or sizes[part] > sizes[main[p]]:
            main[p] = part
    loose = highest[~np.isin(label[highest], list(main.values()))]
    word = "a node or an edge" if mesh.dimension == 3 else "a node"
    return Finding(
        "hinges",
        "warn",
        f"{extra} parts joined to the rest over {word} only, like hinges",
        len(loose),
        "cells",
        loose,
        _point(mesh.cell_centers[loose[0]]),
        "join whole faces: pyramids between hexahedra and tetrahedra, matching meshes elsewhere",
    )


def _mixed_order(mesh: Mesh, order: IntArray, start: IntArray, count: IntArray) -> Finding:
    """Neighbors that share corners of a face but not its mid-side nodes."""
    middles = []
    for name, _, conn in mesh.blocks():
        element = ELEMENTS[name]
        if element.dimension != mesh.dimension:
            continue
        for kind, (local, nodes) in facet_table(name).items():
            corners = ELEMENTS[kind].corners
            # The sum of ids tells different sets apart here: corners are equal already.
            total = conn[:, nodes[:, corners:]].sum(axis=2).ravel() if nodes.shape[1] > corners else None
            middles.append(np.full(len(conn) * len(local), -1, np.int64) if total is None else total)
    middle = np.concatenate(middles)
    twice = start[count == 2]
    a, b = order[twice], order[twice + 1]
    wrong = np.flatnonzero(middle[a] != middle[b])
    if not len(wrong):
        return Finding("mixed_order", "ok", "mid-side nodes are shared by neighbors")
    facets, _ = mesh._all_facets
    cells = np.unique(np.concatenate([facets[a[wrong], 0], facets[b[wrong], 0]]))
    first = facets[a[wrong[0]]]
    orders = (middle[a[wrong]] < 0) != (middle[b[wrong]] < 0)
    text = (
        "first-order cells beside second-order ones"
        if orders.any()
        else "neighbors with mid-side nodes of their own"
    )
    return Finding(
        "mixed_order",
        "bad",
        f"{text}: {len(wrong):,} faces gape",
        len(wrong),
        "cells",
        cells,
        _point(mesh.facet_vectors(first[None])[1][0]),
        "make all cells of one order" if orders.any() else "mesh.joined() merges nodes in one place",
    )


def _duplicate_cells(mesh: Mesh) -> Finding:
    # Sums of random numbers per node: equal sets of nodes, equal sums, whatever their order.
    code = np.random.default_rng(0).integers(0, 2**63 - 1, mesh.n_points, np.int64)
    keys = np.concatenate([code[conn].sum(axis=1) for _, _, conn in mesh.blocks()])
    _, first, inverse, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    extra = np.flatnonzero(
        (count[inverse.reshape(-1)] > 1) & (first[inverse.reshape(-1)] != np.arange(len(keys)))
    )
    if not len(extra):
        return Finding("duplicate_cells", "ok", "no cell twice")
    return Finding(
        "duplicate_cells",
        "bad",
        f"{len(extra):,} cells on the same nodes as another",
        len(extra),
        "cells",
        extra,
        _point(mesh.cell_centers[extra[0]]),
        "delete them: the part is twice as stiff there",
    )


def _touching(mesh: Mesh) -> Finding:
    """Outside faces that lie in one another without being joined: cracks, contact, meshes that differ."""
    from scipy.spatial import cKDTree

    outside = surface_of(mesh)
    ok = Finding("touching", "ok", "no faces touch without being joined")
    if len(outside) < 2:
        return ok
    nearby = min(12, len(outside))
    _, other = cKDTree(outside.centers).query(outside.centers, k=nearby)
    a = np.repeat(np.arange(len(outside)), nearby - 1)
    b = other[:, 1:].ravel()
    # Centers of the smaller face inside the larger, faces looking at each other.
    keep = (np.einsum("fa,fa->f", outside.normals[a], outside.normals[b]) < -0.9) & (
        outside.areas[a] <= 1.001 * outside.areas[b]
    )
    a, b = a[keep], b[keep]
    scale = np.sqrt(outside.areas[b])
    gap = np.abs(np.einsum("fa,fa->f", outside.centers[a] - outside.centers[b], outside.normals[b]))
    keep = gap < 1e-3 * scale
    a, b = a[keep], b[keep]
    inside = np.zeros(len(a), bool)
    corners = mesh.points[outside.corners[b]]
    four = outside.corners[b, 3] >= 0
    for i, j, k, valid in ((0, 1, 2, np.ones(len(a), bool)), (0, 2, 3, four)):
        inside |= valid & _in_triangle(outside.centers[a], corners[:, i], corners[:, j], corners[:, k])
    rows = np.unique(a[inside])
    if not len(rows):
        return ok
    area = float(outside.areas[rows].sum())
    return Finding(
        "touching",
        "warn",
        f"{len(rows):,} outside faces ({show(area, 'area', digits=3)}) lie on others without being joined",
        len(rows),
        "facets",
        outside.facets[rows],
        _point(outside.centers[rows[0]]),
        "mesh.joined() where nodes match; else no force or heat passes there",
    )


def _in_triangle(p: FloatArray, a: FloatArray, b: FloatArray, c: FloatArray) -> BoolArray:
    """Whether points, projected, lie in triangles (rows)."""
    u, v, w = b - a, c - a, p - a
    uu, uv, vv = (np.einsum("fa,fa->f", s, t) for s, t in ((u, u), (u, v), (v, v)))
    wu, wv = np.einsum("fa,fa->f", w, u), np.einsum("fa,fa->f", w, v)
    det = np.maximum(uu * vv - uv * uv, 1e-300)
    s, t = (vv * wu - uv * wv) / det, (uu * wv - uv * wu) / det
    return np.asarray((s >= -1e-6) & (t >= -1e-6) & (s + t <= 1 + 1e-6))


# --- kinds of cells ---------------------------------------------------------------------------------------


def _kinds(mesh: Mesh) -> list[Finding]:
    findings = []
    if mesh.dimension == 3:
        thin = [name for name in mesh.cells if ELEMENTS[name].dimension == 2]
        if thin:
            cells = np.concatenate([ids for name, ids, _ in mesh.blocks() if name in thin])
            findings.append(
                Finding(
                    "surface_cells",
                    "warn",
                    f"{len(cells):,} surface cells ({', '.join(thin)}) among the solids",
                    len(cells),
                    "cells",
                    cells,
                    _point(mesh.cell_centers[cells[0]]),
                    "they carry nothing; name them as faces (a group of facets) or drop them",
                )
            )
    if mesh.dimension == 2 and not mesh.is_plane:
        findings.append(_surface(mesh))
    stiff = [
        name
        for name in ("tetra", "triangle")
        if name in mesh.cells and ELEMENTS[name].dimension == mesh.dimension
    ]
    if stiff and (mesh.dimension == 3 or mesh.is_plane):
        ids = np.concatenate([ids for name, ids, _ in mesh.blocks() if name in stiff])
        better = "tetra10" if stiff[0] == "tetra" else "triangle6"
        findings.append(
            Finding(
                "first_order",
                "warn",
                f"{len(ids):,} first-order {stiff[0]} cells, too stiff in bending",
                len(ids),
                "cells",
                ids,
                "",
                f"mesh with second order ({better}) where stress or stiffness counts",
            )
        )
    return findings


def _surface(mesh: Mesh) -> Finding:
    z = mesh.extents[:, 2]
    if z[0] == z[1]:
        return Finding(
            "surface_mesh",
            "bad",
            f"plane cells at z = {show(float(z[0]), 'length')}, not at z = 0",
            mesh.n_cells,
            "cells",
            np.arange(mesh.n_cells),
            "",
            "move the mesh to z = 0",
        )
    free = mesh.exterior
    closed = "closed" if not len(free) else f"open along {len(free):,} edges"
    place = _point(mesh.points[mesh.nodes_of_facets(free[:1])].mean(axis=0)) if len(free) else ""
    advice = "make a volume mesh of it (gmsh, Netgen): a surface alone has no stiffness"
    if len(free):
        advice = "close the gaps, then make a volume mesh of it (gmsh, Netgen)"
    return Finding(
        "surface_mesh",
        "bad",
        f"a surface, {closed}; a test needs a volume mesh",
        mesh.n_cells,
        "cells",
        np.arange(mesh.n_cells),
        place,
        advice,
    )


def _size(mesh: Mesh) -> Finding:
    low, high = mesh.extents
    longest = float((high - low).max())
    text = " x ".join(f"{v:.4g}" for v in from_si(high - low, "length")) + f" {symbol('length')}"
    if _SMALL <= longest <= _LARGE:
        return Finding("size", "ok", f"a size of {text} is plausible")
    other = "m" if longest < _SMALL else "mm"
    return Finding(
        "size",
        "warn",
        f"a size of {text} is implausible for a part",
        1,
        "",
        None,
        f"read as {mesh.length_unit}",
        f"check length_unit=; in {other} it would be {_resized(longest, mesh.length_unit, other)} long",
    )


def _resized(longest: float, read_as: str, other: str) -> str:
    try:
        factor = float(to_si(f"1 {other}", "length", name="unit")) / float(
            to_si(f"1 {read_as}", "length", name="unit")
        )
    except UnitError:  # a unit of the file's own: the ratio is not worth an error
        return "another size"
    return show(longest * factor, "length")


def _groups(mesh: Mesh) -> list[Finding]:
    empty = [
        name
        for name, group in mesh.groups.items()
        if not any(ids is not None and len(ids) for ids in (group.nodes, group.facets, group.cells))
    ]
    if not empty:
        return []
    return [
        Finding(
            "empty_groups",
            "warn",
            f"groups with nothing in them: {_listed(empty)}",
            len(empty),
            advice="check the names in the file",
        )
    ]


# --- what print(mesh) says --------------------------------------------------------------------------------


def describe(mesh: Mesh, *, density: float | str | None = None) -> str:
    """Counts per cell type, groups, extents and volume in words; mass properties with a density.

    Parameters
    ----------
    density : density, optional
        Such as ``"7850 kg/m3"``.
    """
    counts = ", ".join(f"{len(conn):,} {name}" for name, conn in mesh.cells.items())
    low, high = (from_si(corner, "length") for corner in mesh.extents)
    unit = symbol("length")
    sides = ", ".join(
        f"{a} {_short(p)} to {_short(q)}" for a, p, q in zip("xyz", low, high) if mesh.dimension > 2 or p != q
    )
    lines = [
        f"{mesh.source or 'mesh'}: {mesh.n_points:,} nodes, {mesh.n_cells:,} cells ({counts})",
        f"extents  {sides} {unit}  ({' x '.join(_short(v) for v in high - low)}; read as {mesh.length_unit})",
    ]
    measure = mesh.cell_measures()[_highest(mesh)].sum()
    if mesh.dimension == 3:
        area = float(surface_of(mesh).areas.sum())
        lines.append(f"volume   {show(measure, 'volume')}, surface {show(area, 'area')}")
    elif mesh.dimension == 2:
        lines.append(f"area     {show(measure, 'area')}")
    else:
        lines.append(f"length   {show(measure, 'length')}")
    pieces = int(mesh.pieces.max()) + 1
    if pieces > 1:
        lines[-1] += f", {pieces} pieces"
    if density is not None:
        lines += _mass_lines(mesh, density)
    elif mesh.dimension == 3 and measure > 0:
        lines.append(
            f"mass     {show(7850.0 * measure, 'mass', digits=3)} if steel, "
            f"{show(2700.0 * measure, 'mass', digits=3)} if aluminum"
        )
    width = max((len(name) for name in mesh.groups), default=0)
    for i, (name, group) in enumerate(mesh.groups.items()):
        lines.append(
            f"{'groups   ' if not i else '         '}{name:<{width}}  {group}{_group_measure(mesh, name)}"
        )
    lines += [f"note     {note}" for note in mesh.notes]
    return "\n".join(lines)


def _mass_lines(mesh: Mesh, density: float | str) -> list[str]:
    from designtwin.units import to_si

    rho = float(to_si(density, "density", name="density"))
    properties = mesh.mass_properties(rho)
    inertia = properties.inertia
    moments = ", ".join(f"{a} {v:.4g}" for a, v in zip(("xx", "yy", "zz"), np.diag(inertia)))
    products = ", ".join(f"{a} {inertia[i, j]:.3g}" for a, i, j in (("xy", 0, 1), ("yz", 1, 2), ("xz", 0, 2)))
    return [
        f"mass     {show(properties.mass, 'mass')} at {show(rho, 'density')}, "
        f"center {_point(properties.center)}",
        f"inertia  {moments}, {products} kg·m² about the center",
    ]


def _group_measure(mesh: Mesh, name: str) -> str:
    group = mesh.groups[name]
    if group.facets is not None and len(group.facets):
        size = float(np.linalg.norm(mesh.facet_vectors(group.facets)[0], axis=1).sum())
        return f"  {show(size, 'area' if mesh.dimension == 3 else 'length')}"
    return ""


# --- words ------------------------------------------------------------------------------------------------


def _cells(
    mesh: Mesh,
    check: str,
    grade: str,
    wrong: BoolArray,
    badness: FloatArray,
    title: str,
    fine: str,
    advice: str,
) -> Finding:
    """A finding over cells, the one of least ``badness`` value first."""
    ids = np.flatnonzero(wrong)
    if not len(ids):
        return Finding(check, "ok", fine)
    ids = ids[np.argsort(badness[ids], kind="stable")]
    return Finding(
        check,
        grade,
        _counted(len(ids), title),
        len(ids),
        "cells",
        ids,
        _point(mesh.cell_centers[ids[0]]),
        advice,
    )


def _highest(mesh: Mesh) -> IntArray:
    """Ids of the cells of the highest dimension."""
    return np.concatenate(
        [ids for name, ids, _ in mesh.blocks() if ELEMENTS[name].dimension == mesh.dimension]
    )


def _point(point: FloatArray) -> str:
    return f"({', '.join(_short(v) for v in from_si(point, 'length'))}) {symbol('length')}"


def _short(value: float) -> str:
    return f"{round(float(value), 9) + 0.0:.4g}"


def _counted(n: int, title: str) -> str:
    """A title that begins with a plural, with its count: "1 cell inverted"."""
    first, _, rest = title.partition(" ")
    return f"{n:,} {first.removesuffix('s') if n == 1 else first} {rest}"


def _percent(share: float) -> str:
    return f"{round(100 * float(share), 3):.2g} %"


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:3]) + (
        f" and {len(names) - 3} more" if len(names) > 3 else ""
    )


def _where(finding: Finding) -> str:
    if finding.grade == "ok" or finding.ids is None:
        return finding.place
    first = ", ".join(_id(i) for i in finding.ids[:3]) + (", …" if len(finding.ids) > 3 else "")
    if finding.check == "pieces":
        return finding.place
    return f"{finding.of[:-1] if len(finding.ids) == 1 else finding.of} {first}" + (
        f" at {finding.place}" if finding.place else ""
    )


def _id(item: IntArray | np.int64) -> str:
    return str(int(item)) if np.ndim(item) == 0 else f"{int(item[0])}/{int(item[1])}"  # type: ignore[index]


def _sentence(finding: Finding) -> str:
    where = _where(finding)
    return (
        f"{finding.title}"
        + (f" ({where})" if where else "")
        + (f": {finding.advice}" if finding.advice else "")
    )
