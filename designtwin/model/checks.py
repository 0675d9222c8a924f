"""What is wrong with a model, said before solving: free motions, missing properties, broken cells, units.

Errors raise; what is merely odd comes back as notes for the result.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from designtwin import parallel
from designtwin.elements import ELEMENTS
from designtwin.errors import (
    MeshError,
    MissingPropertyError,
    ModelError,
    SingularSystemError,
)
from designtwin.mesh.mesh import Mesh
from designtwin.model.connections import bridges, equations_of, joined_pieces, linked_nodes
from designtwin.model.domains import NodalMatrices, rigid_motions
from designtwin.model.heat import COLD, HeatLoad
from designtwin.model.loads import Acceleration, Centrifugal, Gravity, Load
from designtwin.model.magnitude import Magnitude
from designtwin.model.sections import Section, Truss
from designtwin.model.supports import InertiaRelief, Prescribed, Support
from designtwin.typing import FloatArray, IntArray, SparseMatrix
from designtwin.units import show

if TYPE_CHECKING:
    from designtwin.model.model import LoadCase, Model

_WEIGHT = (Gravity, Acceleration, Centrifugal)
_FREE = 1e-12
"""Share of the largest resistance to a rigid motion under which it counts as free."""
_SOUND: weakref.WeakKeyDictionary[Model, set[str]] = weakref.WeakKeyDictionary()
"""Models whose cells were looked at, with the supports (by hash) found to hold them; cases share these."""
_FLAT = 1e-12
"""Volume of a cell, over the cube of its longest edge, under which it counts as flat."""


def check_static(model: Model, case: LoadCase) -> tuple[str, ...]:
    """Refuse what a static analysis cannot answer; return notes on what is odd.

    Raises
    ------
    MeshError
        Inverted or flat cells.
    MissingPropertyError
        A material without a property this case needs.
    ModelError
        Loads or supports on nodes that no cell uses.
    SingularSystemError
        A piece of the part is free to move; names the piece, the motion and what to add.
    """
    _check_cells(model)
    supports = (*model.supports, *case.supports)
    _check_properties(model, case, supports)
    _check_nodes(model, case.name, case.loads, supports)
    _check_motions(model, case.name, supports)
    joints = [note for one in model.connections for note in one.notes(model)]
    return (*_unit_notes(model), *joints, *_load_notes(model, case, supports))


def check_vibration(model: Model, *, test: str = "the vibration test") -> tuple[str, ...]:
    """Refuse what no vibration analysis can answer; return notes on what is odd.

    A part that is free to move as a whole is none of this: its motions are modes of frequency zero.

    Parameters
    ----------
    test : str
        What is asked, for messages: ``"the modal analysis"``.

    Raises
    ------
    MeshError
        Inverted or flat cells.
    MissingPropertyError
        A material without elasticity or density.
    ModelError
        Supports, springs or masses on nodes that no cell uses.
    """
    _check_cells(model)
    for part in model.parts:
        for name in ("density", *_elastic(part.section)):
            if not part.section.material.magnitude(name):
                raise MissingPropertyError(
                    f"{test} needs the {name} of {_material(part.section)} (part {part.name!r}), which is "
                    f"not stated; add {name}={_EXAMPLES[name]} or the like"
                )
    _check_nodes(model, "", (), model.supports)
    return (*_unit_notes(model), *(note for one in model.connections for note in one.notes(model)))


def check_thermal(model: Model, case: LoadCase, *, transient: bool = False) -> tuple[str, ...]:
    """Refuse what a thermal analysis cannot answer; return notes on what is odd.

    Parameters
    ----------
    transient : bool
        Whether temperatures are followed in time: then heat is stored, and nothing else need fix their level.

    Raises
    ------
    MeshError
        Inverted or flat cells.
    MissingPropertyError
        A material without conductivity, or in a transient without density or specific heat.
    ModelError
        Loads or temperatures on nodes that no cell uses; in a steady analysis, such as vary in time.
    SingularSystemError
        A piece without fixed temperature, convection or radiation: heat has nowhere to go, its level is
        undetermined.
    """
    _check_cells(model)
    needs = {"conductivity": "50 W/(m*K)"}
    if transient:
        needs |= {"specific_heat": "460 J/(kg*K)", "density": "7850 kg/m3"}
    for part in model.parts:
        for key, example in needs.items():
            if not part.section.material.magnitude(key):
                kind = "transient thermal" if transient else "thermal"
                raise MissingPropertyError(
                    f"case {case.name!r}: the {kind} test needs the {key} of {_material(part.section)} "
                    f'(part {part.name!r}), which is not stated; add {key}="{example}" or the like'
                )
    supports = (*model.heat_supports, *case.heat_supports)
    _check_nodes(model, case.name, case.heat_loads, supports)
    if not transient:
        items: list[Load | Support] = [*case.heat_loads, *supports]
        for item in items:
            if "time" in getattr(item, "varies", ()):
                raise ModelError(
                    f"case {case.name!r}: {item.said} varies in time, and a steady analysis has none; follow "
                    "it with ThermalTest(..., duration='20 min', initial='23 degC'), or state one value"
                )
        _check_levels(model, case, supports)
    notes = [*_unit_notes(model), *(note for one in model.connections for note in one.notes(model))]
    notes += _cold_notes(case, supports)
    if not case.heat_loads and not supports:
        notes.append(f"case {case.name!r}: no heat enters or leaves")
    return tuple(notes)


# Cells


def _check_cells(model: Model) -> None:
    """Raise MeshError on inverted or flat cells."""
    if _SOUND.get(model) is not None:
        return
    inverted, flat = broken_cells(model.mesh)
    if not len(inverted) and not len(flat):
        _SOUND[model] = set()
        return
    texts = []
    for ids, word, why in (
        (inverted, "inverted", "their nodes are numbered the wrong way round, or they are folded"),
        (flat, "flat", "they enclose no volume"),
    ):
        if len(ids):
            some = ", ".join(map(str, ids[:5].tolist())) + (" ..." if len(ids) > 5 else "")
            at = show(model.mesh.cell_centers[ids[0]], "length")
            one = "cell is" if len(ids) == 1 else "cells are"
            texts.append(f"{len(ids):,} {one} {word} (ids {some}; the first near {at}): {why}")
    raise MeshError("; ".join(texts) + "; repair the mesh (mesh.check() lists all of them)")


def broken_cells(mesh: Mesh) -> tuple[IntArray, IntArray]:
    """Ids of cells inverted at an integration point, and of cells without volume, int64[k] each."""
    from designtwin.kernels import topology

    found = np.empty(mesh.n_cells, np.int8)
    for name, ids, conn in mesh.blocks():
        element = ELEMENTS[name]
        _, gradient, _ = element.tables()
        in_plane = element.dimension == 2 and not mesh.points[conn, 2].any()
        parallel.run(
            topology.soundness, len(conn), mesh.points, conn, gradient, np.array(element.corner_edges),
            in_plane, _FLAT, found[ids[0] : ids[-1] + 1], grain=1024,
        )  # fmt: skip
    return np.flatnonzero(found == 1), np.flatnonzero(found == 2)


# Properties


def _material(section: Section) -> str:
    material = section.material
    return repr(material.name) if getattr(material, "name", "") else type(material).__name__


_EXAMPLES = {
    "density": '"7850 kg/m3"', "expansion": '"12e-6 1/K"', "youngs_modulus": '"210 GPa"',
    "poissons_ratio": "0.3", "shear_modulus": '("5 GPa", "4 GPa", "5 GPa")',
}  # fmt: skip


def _check_properties(model: Model, case: LoadCase, supports: Sequence[Support]) -> None:
    weight = [load for load in case.loads if isinstance(load, _WEIGHT)]
    needs: list[tuple[str, str]] = [("density", f"the {type(load).__name__} load") for load in weight[:1]]
    if any(isinstance(support, InertiaRelief) for support in supports):
        needs.append(("density", "inertia relief"))
    if case.temperature is not None:
        needs.append(("expansion", "its Temperature"))
    for part in model.parts:
        stiffness = [(name, "the static test") for name in _elastic(part.section)]
        for name, why in (*stiffness, *needs):
            if not part.section.material.magnitude(name):
                raise MissingPropertyError(
                    f"case {case.name!r}: {why} needs the {name} of {_material(part.section)} "
                    f"(part {part.name!r}), which is not stated; add {name}={_EXAMPLES[name]} or the like"
                )


def _elastic(section: Section) -> list[str]:
    """Names of the properties that its stiffness is made of."""
    names = ("youngs_modulus",) if isinstance(section, Truss) else (
        "youngs_modulus", "poissons_ratio", "shear_modulus",
    )  # fmt: skip
    return [name for name in names if name in section.material.properties]


# Nodes in no cell


def _check_nodes(model: Model, case: str, loads: Sequence[Load], supports: Sequence[Support]) -> None:
    used = np.zeros(model.mesh.n_points, bool)
    used[model.mesh.used_nodes] = True
    if used.all():
        return
    used[linked_nodes(model)] = True
    used[linked_nodes(model, heat=True)] = True
    items: list[Load | Support] = [*loads, *supports]
    for item in items:
        places = [getattr(item, name, None) for name in ("on", "to")]
        named = [model.region(on).nodes for on in places if on is not None]
        if not named:
            continue
        nodes = np.unique(np.concatenate(named))
        loose = nodes[~used[nodes]]
        if len(loose):
            some = ", ".join(map(str, loose[:5].tolist())) + (" ..." if len(loose) > 5 else "")
            where = f"case {case!r}: " if case else ""
            raise ModelError(
                f"{where}{item.said} acts on {len(nodes):,} nodes, of which no cell uses "
                f"{len(loose):,} (ids {some}; the first at {show(model.mesh.points[loose[0]], 'length')}): "
                "nothing carries it there; select nodes of the part"
            )


# Free motions


@dataclass(frozen=True, eq=False)
class Bodies:
    """What moves as one rigid thing: cells joined by facets are a body, free bar ends are points.

    Parameters
    ----------
    of_cell : int64[n_cells]
        Body of each cell, -1 for bars.
    n : int
        Number of bodies.
    loose : int64[k]
        Nodes that only bars use, or only connections.
    """

    of_cell: IntArray
    n: int
    loose: IntArray


def _bodies(model: Model) -> Bodies:
    from designtwin.kernels import topology

    mesh = model.mesh
    bar = np.zeros(mesh.n_cells, bool)
    for part in model.parts:
        bar[part.cells] = isinstance(part.section, Truss)
    forest = np.arange(mesh.n_cells)
    topology.join(mesh.neighbors, forest)
    of_cell = np.full(mesh.n_cells, -1, np.int64)
    solid = np.flatnonzero(~bar)
    body = np.empty(len(solid), np.int64)
    n = topology.number_sets(solid, forest, np.full(mesh.n_cells, -1), 0, body)
    of_cell[solid] = body
    ends = _nodes(mesh, np.flatnonzero(bar))
    loose = np.setdiff1d(ends, _nodes(mesh, solid)) if len(ends) else ends
    linked = linked_nodes(model)
    used = np.zeros(mesh.n_points, bool)
    used[mesh.used_nodes] = True
    alone = np.unique(linked[~used[linked]])
    loose = np.union1d(loose, alone) if len(alone) else loose
    return Bodies(of_cell, n, loose)


def _nodes(mesh: Mesh, cells: IntArray) -> IntArray:
    """Sorted points of cells; by flags, which is faster than sorting where the cells are many."""
    flag = np.zeros(mesh.n_points, bool)
    for name, rows in mesh.rows_by_block(cells):
        flag[mesh.cells[name][rows]] = True
    return np.flatnonzero(flag)


def _check_motions(model: Model, case: str, supports: Sequence[Support]) -> None:
    """Raise SingularSystemError if the supports leave a motion of any piece free."""
    key = "".join(sorted(support.content_key() for support in supports))
    if key in _SOUND.setdefault(model, set()):
        return
    held = [one for support in supports for one in support.prescribed(model)]
    springs = [one for support in supports for one in support.matrices(model)]
    bodies = _bodies(model)
    joined = bool(model.connections or bridges(model, supports))
    piece, piece_of_node = joined_pieces(model, supports=supports)
    links = [one.matrix for one in equations_of(model, model.connections)]
    texts: list[str] = []
    found = 0
    for number in range(int(piece.max()) + 1):
        cells = np.flatnonzero(piece == number)
        named = np.flatnonzero(piece_of_node == number) if joined else None
        free = _free_motions(model, bodies, cells, held, springs, links, named)
        if free:
            found += 1
            texts += free[: max(0, 4 - len(texts))]
    if not texts:
        _SOUND[model].add(key)
    if texts:
        more = f" And {found - len(texts)} more pieces." if found > len(texts) else ""
        raise SingularSystemError(f"case {case!r}: " + " ".join(texts) + more)


def _free_motions(
    model: Model,
    bodies: Bodies,
    cells: IntArray,
    held: Sequence[Prescribed],
    springs: Sequence[NodalMatrices],
    links: Sequence[SparseMatrix] = (),
    nodes: IntArray | None = None,
) -> list[str]:
    """Sentences on what can move in one piece; none if all is held.

    With connections: their equations over displacements, and the nodes of the piece.
    """
    mesh = model.mesh
    bodies_here = bodies.of_cell[cells]
    ids = np.flatnonzero(np.bincount(bodies_here[bodies_here >= 0], minlength=1))
    nodes = _nodes(mesh, cells) if nodes is None else nodes
    low, high = mesh.bounds(nodes)
    center, size = 0.5 * (low + high), max(0.5 * float(np.linalg.norm(high - low)), 1e-300)
    inside = np.zeros(mesh.n_points, bool)
    inside[nodes] = True
    loose = bodies.loose[inside[bodies.loose]]
    m = 1 if model.axisymmetric else 3 if model.dimension == 2 else 6
    c = model.dimension
    n_unknown = m * len(ids) + c * len(loose)
    if n_unknown > 1200:  # a lattice of many hinged cells: left to the solver's own word
        return []
    body_of = np.full(mesh.n_points, -1, np.int64)
    joints: list[tuple[int, int, int]] = []
    for k, body in enumerate(ids):
        own = _nodes(mesh, cells[bodies.of_cell[cells] == body])
        joints += [(int(node), int(body_of[node]), k) for node in own[body_of[own] >= 0]]
        body_of[own] = k
    point_of = np.full(mesh.n_points, -1, np.int64)
    point_of[loose] = np.arange(len(loose))

    def motion(at: IntArray) -> FloatArray:
        """Displacement of nodes per unknown, float64[k, 3, n_unknown]."""
        out = np.zeros((len(at), 3, n_unknown))
        modes = rigid_motions((mesh.points[at] - center) / size, c, model.axisymmetric)
        for k in range(len(ids)):
            here = body_of[at] == k
            out[np.ix_(here, range(3), range(m * k, m * (k + 1)))] = modes[here]
        for row in np.flatnonzero(point_of[at] >= 0):
            start = m * len(ids) + c * point_of[at[row]]
            out[row, range(c), range(start, start + c)] = 1.0
        return out

    gram = np.zeros((n_unknown, n_unknown))

    def resist(rows: FloatArray) -> None:
        nonlocal gram
        gram += rows.T @ rows

    for one in held:
        rows = np.flatnonzero(inside[one.nodes])
        for some in np.array_split(rows, max(1, len(rows) * 3 * n_unknown // 2_000_000)):
            u = motion(one.nodes[some])
            if one.axes is not None:
                u = np.einsum("kij,kjm->kim", one.axes[some], u)
            if len(some):
                resist(u[one.fixed[some]] / np.sqrt(len(rows)))
    for matrices in springs:
        rows = np.flatnonzero(inside[matrices.nodes[:, 0]])
        n = matrices.nodes.shape[1]
        total = np.zeros_like(gram)
        for some in np.array_split(rows, max(1, len(rows) * 3 * n * n_unknown // 2_000_000)):
            u = motion(matrices.nodes[some].ravel()).reshape(len(some), 3 * n, n_unknown)
            total += np.einsum("kim,kin->mn", u, matrices.values[some] @ u)
        scale = float(np.abs(total).max(initial=0.0))
        if scale > 0.0:
            gram += total / scale
    for node, a, b in joints:
        modes = rigid_motions((mesh.points[[node]] - center) / size, c, model.axisymmetric)[0]
        rows_ = np.zeros((3, n_unknown))
        rows_[:, m * a : m * (a + 1)], rows_[:, m * b : m * (b + 1)] = modes, -modes
        resist(rows_)
    for matrix in links:
        rows = np.flatnonzero(np.bincount(matrix.nonzero()[0][inside[matrix.nonzero()[1] // 3]],
                                          minlength=matrix.shape[0]))  # fmt: skip
        for some in np.array_split(rows, max(1, len(rows) * n_unknown // 2_000_000)):
            part = matrix[some]
            at = np.unique(part.indices // 3)
            columns = (3 * at[:, None] + np.arange(3)).ravel()
            change = part[:, columns] @ motion(at).reshape(-1, n_unknown)
            resist(change / np.sqrt(max(len(rows), 1)))
    if len(loose):
        for name, some in mesh.rows_by_block(cells[bodies.of_cell[cells] < 0]):
            ends = mesh.cells[name][some][:, :2]
            along = mesh.points[ends[:, 1]] - mesh.points[ends[:, 0]]
            along /= np.linalg.norm(along, axis=1)[:, None]
            change = motion(ends[:, 1]) - motion(ends[:, 0])
            resist(np.einsum("ki,kim->km", along, change))
    values, vectors = np.linalg.eigh(gram)
    free = vectors[:, values <= _FREE * max(float(values[-1]), 1e-300)]
    if not free.shape[1]:
        return []
    piece = _Piece(model, bodies, cells, ids, loose, center, size, held=bool(gram.any() and values[-1] > 0.0))
    return piece.sentences(free)


@dataclass(frozen=True, eq=False)
class _Piece:
    """A connected piece of the part, with the words for what it can do."""

    model: Model
    bodies: Bodies
    cells: IntArray
    ids: IntArray
    loose: IntArray
    center: FloatArray
    size: float
    held: bool

    @property
    def n_modes(self) -> int:
        return 1 if self.model.axisymmetric else 3 if self.model.dimension == 2 else 6

    def sentences(self, free: FloatArray) -> list[str]:
        """What the free motions are, float64[n_unknown, k]: of the whole piece, then of bodies within."""
        c, m = self.model.dimension, self.n_modes
        # The piece as a whole: motions of all bodies alike that lie in the free space.
        ends = (self.model.mesh.points[self.loose] - self.center) / self.size
        at_ends = rigid_motions(ends, c, self.model.axisymmetric)[:, :c].reshape(-1, m)
        whole = np.vstack([*[np.eye(m)] * len(self.ids), at_ends])
        whole /= np.linalg.norm(whole, axis=0)
        _, rest, right = np.linalg.svd(whole - free @ (free.T @ whole), full_matrices=True)
        rest = np.append(rest, np.zeros(m - len(rest)))
        rigid = right[rest < 1e-5].T
        texts = []
        if rigid.shape[1]:
            texts.append(self._whole(_embed(rigid / np.linalg.norm(whole[:m], axis=0)[:, None]
                                            if len(self.ids) else rigid)))  # fmt: skip
            moved = np.linalg.qr(whole @ rigid)[0]
            u, size, _ = np.linalg.svd(free - moved @ (moved.T @ free), full_matrices=False)
            free = u[:, size > 1e-5]
        if free.shape[1]:
            texts += self._within(free)
        return texts

    def _whole(self, basis: FloatArray) -> str:
        motion = describe_motion(basis, self.center, self.size, self.model)
        name = self._name(self.cells)
        if basis.shape[1] == self.n_modes:
            if len(np.unique(self.model.mesh.pieces)) == 1:
                return (
                    f"{name} is held by nothing: it {motion}. Add a support, such as FixedSupport(on=...), "
                    "or InertiaRelief() for a part in flight."
                )
            return f"{name} is attached to nothing: it {motion}. {self._neighbor()}"
        return f"{name} {motion}. Add a support that stops this."

    def _within(self, free: FloatArray) -> list[str]:
        """Bodies of the piece that move against its largest one, on a hinge of shared nodes."""
        m = self.n_modes
        counts = [int((self.bodies.of_cell[self.cells] == body).sum()) for body in self.ids]
        if not counts:
            return [f"{self._name(self.cells)} is a mechanism of bars: {self._moving_ends(free)}"]
        anchor = int(np.argmax(counts))
        base = free[m * anchor : m * (anchor + 1)]
        texts = []
        for k, body in enumerate(self.ids):
            relative = free[m * k : m * (k + 1)] - base
            u, size, _ = np.linalg.svd(relative, full_matrices=False)
            if k == anchor or size[0] < 1e-6:
                continue
            basis = _embed(u[:, size > 1e-6])
            cells = self.cells[self.bodies.of_cell[self.cells] == body]
            motion = describe_motion(basis, self.center, self.size, self.model)
            texts.append(
                f"{self._name(cells, of='body')} hangs on its piece by shared nodes "
                f"{'or connections ' if self.model.connections else ''}only, as on a hinge: it "
                f"{motion}. Join it by whole faces, or add a support that stops this."
            )
        return texts or [f"{self._name(self.cells)} is a mechanism: {self._moving_ends(free)}"]

    def _moving_ends(self, free: FloatArray) -> str:
        first = len(self.ids) * self.n_modes
        moves = np.abs(free[first:]).max(axis=1).reshape(-1, self.model.dimension).max(axis=1)
        nodes = self.loose[moves > 1e-6]
        if not len(nodes):
            return "it can move without strain."
        some = ", ".join(map(str, nodes[:5].tolist())) + (" ..." if len(nodes) > 5 else "")
        at = show(self.model.mesh.points[nodes[0]], "length")
        return (
            f"{len(nodes)} bar ends (nodes {some}; the first at {at}) can move without strain. "
            "Add bars or supports that stop this."
        )

    def _name(self, cells: IntArray, *, of: str = "piece") -> str:
        mesh = self.model.mesh
        n = len(np.unique(mesh.pieces))
        number = int(mesh.pieces[cells[0]]) + 1
        parts = [self.model.parts[i].name for i in np.unique(self.model.part_of_cell[cells])]
        groups = [
            name for name, group in mesh.groups.items()
            if group.cells is not None and len(group.cells) == len(cells) and name not in parts
            and np.array_equal(np.sort(cells), group.cells)
        ]  # fmt: skip
        named = "material group" if len(parts) == 1 else "material groups"
        words = f"{named} {', '.join(map(repr, parts[:4]))}"
        if groups:
            words = f"group {groups[0]!r}, {words}"
        near = mesh.cell_centers[cells].mean(axis=0)
        near = mesh.cell_centers[cells[np.argmin(np.linalg.norm(mesh.cell_centers[cells] - near, axis=1))]]
        count = f"{len(cells):,} cell{'s' if len(cells) > 1 else ''}"
        place = f"({words}, {count} near {_place(near)})"
        if of == "body":
            return f"A body {place}"
        return f"The part {place}" if n == 1 else f"Piece {number} of {n} {place}"

    def _neighbor(self) -> str:
        """How far the nearest other piece is, and whether nodes coincide."""
        from scipy.spatial import cKDTree

        mesh = self.model.mesh
        other = mesh.pieces != mesh.pieces[self.cells[0]]
        theirs = mesh.nodes_of_cells(np.flatnonzero(other))
        own = mesh.nodes_of_cells(self.cells)
        distance, at = cKDTree(mesh.points[theirs]).query(mesh.points[own])
        same = int((distance <= 1e-6 * mesh.size).sum())
        nearest = int(np.argmin(distance))
        node = theirs[at[nearest]]
        number = next(
            int(mesh.pieces[ids[users][0]]) + 1
            for _, ids, conn in mesh.blocks()
            if (users := (conn == node).any(axis=1)).any()
        )
        if same:
            return (
                f"{same:,} of its nodes lie on nodes of piece {number} but are not joined to them: "
                "merge coincident nodes in the mesh, bond the faces by connections=[Tie(a=..., b=...)], or "
                "add a support."
            )
        gap = show(float(distance[nearest]), "length", digits=3)
        return (
            f"The nearest node of another piece ({number}) is {gap} away. Add a support, or join the "
            "pieces: connections=[Tie(a=..., b=..., tolerance=...)]."
        )


def _embed(basis: FloatArray) -> FloatArray:
    """Motions as translations and rotations in space, float64[6, k]."""
    out = np.zeros((6, basis.shape[1]))
    rows = {1: [1], 3: [0, 1, 5], 6: list(range(6))}[len(basis)]
    out[rows] = basis
    return out


def describe_motion(basis: FloatArray, center: FloatArray, size: float, model: Model) -> str:
    """Words for a space of rigid motions.

    Parameters
    ----------
    basis : float64[6, k]
        Translations and rotations; a motion is t + w x (x - center) / size.
    center : float64[3], m
    size : float, m
    """
    plane = model.dimension == 2
    if basis.shape[1] == (1 if model.axisymmetric else 3 if plane else 6):
        if model.axisymmetric:
            return "is free to translate along y, its axis"
        return f"is free to move and turn {'in the plane' if plane else 'in every direction'}"
    _, s, right = np.linalg.svd(basis[3:], full_matrices=True)
    rank = int((s > 1e-6).sum())
    pure = basis[:3] @ right[rank:].T
    pure = np.linalg.svd(pure, full_matrices=False)[0] if pure.shape[1] else pure
    turns = np.linalg.svd(basis[3:])[0][:, :rank]
    texts = []
    if pure.shape[1]:
        texts.append("to translate along " + _listed([_direction_word(d) for d in _nice(pure)]))
    axes = []
    for w in _nice(turns):
        y = np.linalg.lstsq(basis[3:], w, rcond=1e-9)[0]
        t = basis[:3] @ y
        t = t - pure @ (pure.T @ t)
        turn = basis[3:] @ y  # w is the nearest named direction; a pitch along that would be its tilt
        pitch = float(t @ turn)
        through = center + size * np.cross(turn, t)
        axes.append((w, through, pitch, t))
    if plane:
        texts += [f"to rotate in the plane about {_place(through)}" for _, through, _, _ in axes]
    elif len(axes) == 3:
        # One point that all three axes share: w x p = -t for each.
        left = np.vstack([_cross_matrix(w) for w, *_ in axes])
        point = np.linalg.lstsq(left, np.concatenate([-t for *_, t in axes]), rcond=None)[0]
        texts.append(f"to rotate in every direction about the point {_place(center + size * point)}")
    else:
        for w, through, pitch, _ in axes:
            word = "to rotate" if abs(pitch) < 1e-5 else "to screw"
            texts.append(f"{word} about the axis along {_direction_word(w)} through {_place(through)}")
    return "is free " + " and ".join(texts)


def _cross_matrix(w: FloatArray) -> FloatArray:
    return np.array([[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]])


def _nice(basis: FloatArray) -> FloatArray:
    """A basis of the same space, one direction a row: x, y, z where they span it."""
    size = np.linalg.norm(basis, axis=1)
    named = np.flatnonzero(size > 1.0 - 1e-6)
    if len(named) == basis.shape[1]:
        return np.eye(3)[named]
    keep = [np.eye(3)[i] for i in named]
    for column in basis.T:
        rest = column - sum((column @ k) * k for k in keep) if keep else column
        if np.linalg.norm(rest) > 1e-6 and len(keep) < basis.shape[1]:
            keep.append(rest / np.linalg.norm(rest))
    return np.array(keep)


def _direction_word(vector: FloatArray) -> str:
    for axis, name in enumerate("xyz"):
        if abs(abs(vector[axis]) - 1.0) < 1e-6:
            return name
    vector = vector * np.sign(vector[np.argmax(np.abs(vector))])
    return "(" + ", ".join(f"{v:.3g}" for v in np.where(np.abs(vector) < 1e-6, 0.0, vector)) + ")"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _place(point: FloatArray) -> str:
    small = 1e-9
    return show(np.where(np.abs(point) < small, 0.0, point), "length")


# Heat that has nowhere to go


def _check_levels(model: Model, case: LoadCase, supports: Sequence[Support]) -> None:
    mesh = model.mesh
    piece, piece_of_node = joined_pieces(model, heat=True)
    anchored = np.zeros(mesh.n_points, bool)
    for support in supports:
        for one in support.prescribed(model):
            anchored[one.nodes] = True
    items: list[Load | Support] = [*case.heat_loads, *supports]
    joined: list[IntArray] = []
    for item in items:
        if hasattr(item, "joined_nodes"):  # a closed enclosure warms one part by another
            joined.append(item.joined_nodes(model))
            if len(joined[-1]):
                continue
        if isinstance(item, HeatLoad):
            anchored[item.level_nodes(model)] = True
            continue
        for matrices in item.matrices(model):
            anchored[matrices.nodes[np.abs(matrices.values).max(axis=(1, 2)) > 0.0]] = True
    n = int(piece.max()) + 1
    fixed = np.zeros(n, bool)
    fixed[piece_of_node[anchored & (piece_of_node >= 0)]] = True
    for _ in joined:  # as many rounds as there are enclosures in a row
        for nodes in joined:
            pieces = piece_of_node[nodes]
            fixed[pieces] |= fixed[pieces].any()
    if fixed.all():
        return
    cells = np.flatnonzero(piece == np.flatnonzero(~fixed)[0])
    name = _Piece(model, Bodies(mesh.pieces, n, mesh.used_nodes[:0]), cells, cells[:0], cells[:0],
                  np.zeros(3), 1.0, False)._name(cells)  # fmt: skip
    more = f" ({int((~fixed).sum()) - 1} more pieces likewise)" if (~fixed).sum() > 1 else ""
    raise SingularSystemError(
        f"case {case.name!r}: {name} has neither a fixed temperature nor convection or radiation{more}, "
        "so its temperature is undetermined: heat has nowhere to go. Add FixedTemperature(on=...), "
        "Convection(on=...) or Radiation(on=...)"
        + (
            ", or join it to a piece that has one: connections=[ContactConductance(a=..., b=..., "
            "conductance=...)] or a Tie."
            if n > 1
            else "."
        )
    )


# What is odd


def _load_notes(model: Model, case: LoadCase, supports: Sequence[Support]) -> list[str]:
    notes = []
    moved = any(one.value.any() for support in supports for one in support.prescribed(model))
    moved |= any(one.value.any() for one in equations_of(model, model.connections))
    if not case.loads and case.temperature is None and not moved:
        notes.append(f"case {case.name!r}: nothing loads it")
    elif (
        not moved
        and case.temperature is None
        and not any(isinstance(load, _WEIGHT) or load.nodal_forces(model).any() for load in case.loads)
    ):
        notes.append(f"case {case.name!r}: its loads are all zero")
    return notes


def _cold_notes(case: LoadCase, supports: Sequence[Support]) -> list[str]:
    """Sentences on temperatures beside radiation that look as if degC had been taken for kelvin."""
    items: list[Load | Support] = [*case.heat_loads, *supports]
    if not any(hasattr(item, "emissivity") for item in items):
        return []
    notes = []
    for item in items:
        given = getattr(item, "value", None) or getattr(item, "ambient", None)
        if hasattr(item, "emissivity") or not isinstance(given, Magnitude) or given.values is None:
            continue
        low = float(given.values.min())
        if given.dimension == "temperature" and low < COLD:
            notes.append(
                f"case {case.name!r}: {item.said} is at {show(low, 'temperature')}, {low:g} in kelvin, in a "
                f"case that radiates; if '{low:g} degC' was meant, write so"
            )
    return notes


_PLAUSIBLE = (
    ("youngs_modulus", 1e5, 2e12, "Pa", "a number without a unit is in Pa: write '210 GPa'"),
    ("density", 1.0, 30e3, "kg/m3", "a number without a unit is in kg/m3: write '7850 kg/m3'"),
    ("yield_strength", 1e4, 2e10, "Pa", "a number without a unit is in Pa: write '355 MPa'"),
    ("ultimate_strength", 1e4, 2e11, "Pa", "a number without a unit is in Pa: write '470 MPa'"),
    ("conductivity", 5e-3, 5e3, "W/(m*K)", "a number without a unit is in W/(m*K)"),
    ("specific_heat", 50.0, 2e4, "J/(kg*K)", "a number without a unit is in J/(kg*K)"),
    ("expansion", -1e-4, 1e-3, "1/K", "a number without a unit is in 1/K: write '12e-6 1/K'"),
)  # fmt: skip


def _unit_notes(model: Model) -> list[str]:
    """Sentences on numbers that look as if their unit were another."""
    notes = []
    for part in model.parts:
        material = part.section.material
        for key, low, high, unit, hint in _PLAUSIBLE:
            found = material.magnitude(key)
            if found is None or found.values is None:
                continue
            worst = float(found.values.min()) if found.values.min() < low else float(found.values.max())
            if not low <= worst <= high:
                notes.append(
                    f"the {key} of {_material(part.section)} is {worst:.4g} {unit}, which no "
                    f"known material has; {hint}"
                )
        notes += _odd_pair(part.section)
    size = model.mesh.size
    unit = model.mesh.length_unit
    if size > 50.0 or size < 1e-4:
        other = "mm" if size > 50.0 else "m"
        notes.append(
            f"the part is {size:.4g} m across (its file was read with length_unit={unit!r}); "
            f"if that is not so, read it with length_unit={other!r}"
        )
    return notes


def _odd_pair(section: Section) -> list[str]:
    """Stiffness and density that no one material has together: MPa typed as Pa, g/cm3 as kg/m3."""
    stiff, heavy = (section.material.magnitude(key) for key in ("youngs_modulus", "density"))
    if stiff is None or heavy is None or stiff.values is None or heavy.values is None:
        return []
    E, rho = float(stiff.values.max()), float(heavy.values.min())
    if E > 1e9 and 1.0 <= rho < 40.0:
        return [
            f"the density of {_material(section)} is {rho:.4g} kg/m3, a foam's, at a stiffness of {E:.4g} "
            "Pa; a number without a unit is in kg/m3: write '7.85 g/cm3' or '7850 kg/m3'"
        ]
    if 1e5 <= E < 1e7 and rho > 2500.0:
        return [
            f"the youngs_modulus of {_material(section)} is {E:.4g} Pa, rubber's, at a density of "
            f"{rho:.4g} kg/m3, a metal's or a stone's; a number without a unit is in Pa: write '210 GPa'"
        ]
    return []
