"""Rings of equal sectors: the equations of motion of the whole ring from those of one sector.

What a ring does is a sum over harmonic indices h (nodal diameters): sector k moves by
R^k (cos(k h a) u - sin(k h a) v), a the angle of a sector, R its turn. Each h has equations of its own, in u
and v: two copies of the sector, joined by links from cut to cut. They are ordinary models, with all that
solvers know of these.

Sources: Thomas, Int. J. Numer. Methods Eng. 14 (1979) 81-102; Wildheim, J. Appl. Mech. 46 (1979) 891-893.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from designtwin.assembly.cells import CellBlock, PointTables
from designtwin.assembly.dynamics import Dynamics, Field, ModelDynamics, dynamics
from designtwin.assembly.inertia import StressAt
from designtwin.errors import DesignTwinError, ModelError
from designtwin.mesh.mesh import Group, Mesh
from designtwin.mesh.selections import everything
from designtwin.model.connections import Connection, CyclicSymmetry, Equations, with_axis
from designtwin.model.coordinates import rotate_stiffness
from designtwin.model.domains import NodalMatrices
from designtwin.model.loads import Centrifugal
from designtwin.model.materials import ROOM_TEMPERATURE
from designtwin.model.model import LoadCase, Model, Temperature
from designtwin.model.sections import Section
from designtwin.model.supports import InertiaRelief, PointMass, Prescribed, Support
from designtwin.solvers.solution import LinearSolver
from designtwin.solvers.system import MatrixTerm, System
from designtwin.typing import BoolArray, FloatArray, IntArray

_SAME = 1e-6
"""Distance, over the size of the sector, at which nodes of the two cuts are one."""


def cyclic_symmetry(model: Model) -> CyclicSymmetry | None:
    """The symmetry a model states, if it does."""
    return next((one for one in model.connections if isinstance(one, CyclicSymmetry)), None)


# Copies of a model


@dataclass(frozen=True, eq=False)
class Copies:
    """Where copies of a model's nodes are.

    Parameters
    ----------
    home : Model
    number : int64[c, n_points]
        Node of the new mesh for every node of each copy.
    turns : float64[c, 3, 3]
        How each copy is turned.
    """

    home: Model
    number: IntArray
    turns: FloatArray

    def matrices(self, given: Sequence[NodalMatrices]) -> list[NodalMatrices]:
        """Matrices of the home on every copy."""
        out = []
        for one in given:
            n = one.nodes.shape[1]
            for number, turn in zip(self.number, self.turns, strict=True):
                wide = np.kron(np.eye(n), turn)
                out.append(NodalMatrices(number[one.nodes], wide @ one.values @ wide.T))
        return out

    def prescribed(self, given: Sequence[Any]) -> list[Prescribed]:
        """What a support of the home prescribes, on every copy."""
        out = []
        for one in given:
            for number, turn in zip(self.number, self.turns, strict=True):
                whole = bool(one.fixed[:, : self.home.dimension].all()) and not one.value.any()
                axes = one.axes
                if not np.array_equal(turn, np.eye(3)) and not whole:
                    own = np.broadcast_to(np.eye(3), (len(one.nodes), 3, 3)) if axes is None else axes
                    axes = own @ turn.T
                out.append(Prescribed(number[one.nodes], one.fixed, one.value, axes))
        return out


class _Copied:
    """What belongs to a ring has the content of its sector, and is saved with that."""

    of: Any
    copies: Any

    def _plain_fields(self) -> dict[str, Any]:
        copies: Copies = self.copies
        return {
            "of": self.of,
            "home": copies.home.content_hash(),
            "copies": copies.number,
            "turns": copies.turns,
        }

    @classmethod
    def _from_plain(cls, fields: dict[str, Any]) -> Any:
        raise DesignTwinError(
            "a part of a ring is not read by itself; save the sector and its CyclicSymmetry"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _CopiedSupport(_Copied, Support):
    """A support of a model, on every copy of it."""

    of: Any
    copies: Any

    def prescribed(self, model: Model) -> list[Prescribed]:
        return self.copies.prescribed(self.of.prescribed(self.copies.home))  # type: ignore[no-any-return]

    def matrices(self, model: Model) -> list[NodalMatrices]:
        return self.copies.matrices(self.of.matrices(self.copies.home))  # type: ignore[no-any-return]

    def damping_matrices(self, model: Model) -> list[NodalMatrices]:
        return self.copies.matrices(self.of.damping_matrices(self.copies.home))  # type: ignore[no-any-return]

    def is_base(self, model: Model) -> bool:
        return bool(self.of.is_base(self.copies.home))

    @property
    def said(self) -> str:
        return str(self.of.said)


@dataclass(frozen=True, kw_only=True, eq=False)
class _CopiedMass(_Copied, PointMass):
    """A point mass of a model, on every copy of it; ``mass`` is that of all."""

    of: Any
    copies: Any

    def mass_matrices(self, model: Model, weight: FloatArray | None = None) -> list[NodalMatrices]:
        out = []
        for number, turn in zip(self.copies.number, self.copies.turns, strict=True):
            own = weight if weight is None else turn.T @ weight @ turn
            one = Copies(self.copies.home, number[None], turn[None])
            out += one.matrices(self.of.mass_matrices(self.copies.home, own))
        return out

    def inertia_forces(self, model: Model, acceleration: Callable[[FloatArray], FloatArray]) -> FloatArray:
        out = np.zeros((model.mesh.n_points, 3))
        home, points = self.copies.home, model.mesh.points
        for number, turn in zip(self.copies.number, self.copies.turns, strict=True):
            shift = points[number[0]] - turn @ home.mesh.points[0]
            own = self.of.inertia_forces(
                home, lambda x, turn=turn, shift=shift: acceleration(x @ turn.T + shift) @ turn
            )
            np.add.at(out, number, own @ turn.T)
        return out

    def location(self, model: Model) -> FloatArray:
        home, points = self.copies.home, model.mesh.points
        place = self.of.location(home) - home.mesh.points[0]
        each = [
            points[number[0]] + turn @ place
            for number, turn in zip(self.copies.number, self.copies.turns, strict=True)
        ]
        return np.asarray(np.mean(each, axis=0))

    def check(self, model: Model) -> None:
        """The home's own was checked."""

    @property
    def said(self) -> str:
        return str(self.of.said)


@dataclass(frozen=True, kw_only=True, eq=False)
class _CopiedConnection(_Copied, Connection):
    """Equations of a model, on every copy of it (none is turned)."""

    of: Any
    copies: Any

    def equations(self, model: Model) -> Equations | None:
        one = self.of.equations(self.copies.home)
        if one is None:
            return None
        c, width = len(self.copies.number), one.matrix.shape[1]
        follower = [np.where(one.follower < 0, -1, one.follower + width * i) for i in range(c)]
        return Equations(
            matrix=sparse.block_diag([one.matrix] * c, format="csr"), value=np.tile(one.value, c),
            follower=np.concatenate(follower), firm=one.firm,
            weight=None if one.weight is None else np.tile(one.weight, c),
            beside=None if one.beside is None else sparse.block_diag([one.beside] * c, format="csr"),
        )  # fmt: skip

    @property
    def said(self) -> str:
        return str(self.of.said)


@dataclass(frozen=True, kw_only=True, eq=False)
class _CyclicLink(_Copied, Connection):
    """The cut ``high`` moves as the cut ``low``, turned and with the phase of a harmonic index."""

    of: Any
    copies: Any
    harmonic: int

    def equations(self, model: Model) -> Equations:
        home, symmetry = self.copies.home, self.of
        found, c = symmetry.coupling(home), len(self.copies.number)
        phase = 2.0 * np.pi * self.harmonic / symmetry.sectors
        cos, sin = np.cos(phase), np.sin(phase)
        mixed = np.array([[np.round(cos)]]) if c == 1 else np.array([[cos, -sin], [sin, cos]])
        n, k, d = home.mesh.n_points, len(found.nodes), home.dimension
        many = sparse.kron(mixed, sparse.kron(found.weights, symmetry.turn), format="csr")
        follower = (3 * n * np.arange(c)[:, None, None] + 3 * found.nodes[:, None] + np.arange(3)).ravel()
        one = sparse.csr_array((np.ones(3 * k * c), (np.arange(3 * k * c), follower)), shape=many.shape)
        rows = np.flatnonzero(np.tile(np.arange(3) < d, k * c))
        matrix = (one - many).tocsr()[rows]
        matrix.data[np.abs(matrix.data) < 1e-14] = 0.0
        matrix.eliminate_zeros()
        link = Equations(
            matrix, np.zeros(len(rows)), follower[rows], False, np.tile(np.repeat(found.weight, d), c),
            sparse.kron(sparse.eye_array(c), sparse.kron(found.beside, sparse.eye_array(d)), format="csr"),
        )  # fmt: skip
        return with_axis(link, home, symmetry.on_axis(home), np.kron(mixed, symmetry.turn))

    @property
    def said(self) -> str:
        return f"{self.of.said}, harmonic index {self.harmonic}"


def _copied_mesh(mesh: Mesh, points: FloatArray, number: IntArray) -> tuple[Mesh, IntArray]:
    """A mesh of copies with their groups united, and the cells of each copy, int64[c, n_cells]."""
    c = len(number)
    cells = {name: np.concatenate([one[conn] for one in number]) for name, conn in mesh.cells.items()}
    cell_of = np.empty((c, mesh.n_cells), np.int64)
    start = 0
    for name, ids, conn in mesh.blocks():
        assert name in cells
        cell_of[:, ids] = start + len(conn) * np.arange(c)[:, None] + np.arange(len(conn))
        start += c * len(conn)

    def copied(group: Group) -> Group:
        facets = group.facets
        return Group(
            None if group.nodes is None else number[:, group.nodes],
            None if facets is None else np.concatenate(
                [np.column_stack([own[facets[:, 0]], facets[:, 1]]) for own in cell_of]
            ),
            None if group.cells is None else cell_of[:, group.cells],
        )  # fmt: skip

    groups = {name: copied(group) for name, group in mesh.groups.items()}
    return Mesh(points, cells, groups, mesh.length_unit, mesh.source, fold_case=mesh.fold_case), cell_of


def _copied_model(
    home: Model, mesh: Mesh, cell_of: IntArray, copies: Copies, connections: Sequence[Connection]
) -> Model:
    """A model of copies: sections, supports and masses; no loads."""
    mesh = mesh.with_groups({part.name: Group(cells=cell_of[:, part.cells]) for part in home.parts})
    supports = [_copied_support(one, copies) for one in home.supports if not isinstance(one, InertiaRelief)]
    return Model(
        mesh, {part.name: part.section for part in home.parts}, supports=supports, name=home.name,
        connections=connections,
    )  # fmt: skip


def _copied_support(one: Support, copies: Copies) -> Support:
    if isinstance(one, PointMass):
        return _CopiedMass(on=everything(), mass=one.mass * len(copies.number), of=one, copies=copies)
    return _CopiedSupport(of=one, copies=copies)


def _copied_case(case: LoadCase, copies: Copies, n_points: int) -> LoadCase:
    """Supports and temperature of a state, on copies."""
    temperature = case.temperature
    if temperature is not None:
        values = np.empty(n_points)
        for number in copies.number:
            values[number] = temperature.at_nodes(copies.home)
        temperature = Temperature(values, reference=temperature.reference)
    return replace(
        case, loads=(), heat_loads=(), heat_supports=(), temperature=temperature,
        supports=tuple(_copied_support(one, copies) for one in case.supports),
    )  # fmt: skip


# The ring


def _ring(symmetry: CyclicSymmetry, sector: Model) -> tuple[Mesh, IntArray, Copies]:
    """The whole ring; sectors share the nodes of their cuts where these lie on each other."""
    from scipy.spatial import cKDTree

    mesh, n = sector.mesh, sector.mesh.n_points
    through = np.array(symmetry.through)
    turns = [np.eye(3)]
    for _ in range(symmetry.sectors - 1):
        turns.append(symmetry.turn @ turns[-1])
    low = sector.region(symmetry.low).nodes
    high = sector.region(symmetry.high).nodes
    # Nodes of high as low of the next sector; of each of them there is one, or the cuts do not match.
    moved = through + (mesh.points[low] - through) @ symmetry.turn.T
    distance, at = cKDTree(moved).query(mesh.points[high])
    match = len(low) == len(high) and bool((distance <= _SAME * mesh.size).all())
    match &= len(np.unique(at)) == len(at)
    number = n * np.arange(symmetry.sectors)[:, None] + np.arange(n)
    if match:
        number[:, high] = np.roll(number, -1, axis=0)[:, low[at]]
        axis = high[high == low[at]]
        number[:, axis] = number[0, axis]
    used, place = np.unique(number, return_inverse=True)
    everywhere = np.concatenate([through + (mesh.points - through) @ turn.T for turn in turns])
    points = everywhere[used]
    if match:
        mesh = replace(
            mesh, groups={k: v for k, v in mesh.groups.items() if k not in (symmetry.low, symmetry.high)}
        )
    number = place.reshape(number.shape)
    whole, cell_of = _copied_mesh(mesh, points, number)
    return whole, cell_of, Copies(sector, number, np.array(turns))


def _check_axes(sector: Model, symmetry: CyclicSymmetry) -> None:
    """Raise ModelError where material axes do not go around with the sectors."""
    through, turn = np.array(symmetry.through), symmetry.turn
    for part in sector.parts:
        x = sector.mesh.cell_centers[part.cells]
        here, there = (_axes(part.section, at) for at in (x, through + (x - through) @ turn.T))
        material = part.section.material.stiffness(ROOM_TEMPERATURE)
        other = np.abs(rotate_stiffness(material, turn) - material).max() > 1e-9 * np.abs(material).max()
        # Axes that go around are, at the turned point, the turned axes.
        if other and np.abs(here - there @ turn).max() > 1e-9:
            raise ModelError(
                f"{symmetry.said}: the material axes of part {part.name!r} are the same in every sector and "
                "do not go around with it; give its section orientation=Cylindrical(axis=...)"
            )


def _axes(section: Section, at: FloatArray) -> FloatArray:
    """Material axes at points, float64[k, 3, 3]."""
    axes = section.axes(at)
    return np.broadcast_to(np.eye(3), (len(at), 3, 3)) if axes is None else axes


class CyclicDynamics(Dynamics):
    """The equations of motion of a ring of sectors, harmonic index by harmonic index.

    Its unknowns are those of index 0, of 1, ... up to half the number of sectors; ``model`` is the whole
    ring. Loads and places of an excitation are those of the ring.

    Parameters
    ----------
    sector : Model
        With its `CyclicSymmetry`.
    case, stress, spins, solver
        As in `dynamics`.
    """

    def __init__(
        self, sector: Model, *, case: LoadCase | None = None, stress: StressAt | None = None,
        spins: Sequence[Centrifugal] = (), solver: LinearSolver | None = None,
    ) -> None:  # fmt: skip
        symmetry = cyclic_symmetry(sector)
        assert symmetry is not None
        _check_axes(sector, symmetry)
        self.sector, self.symmetry, self.solver = sector, symmetry, solver
        self._case, self._stress, self._spins = case or LoadCase(""), stress, tuple(spins)
        mesh, cell_of, self.copies = _ring(symmetry, sector)
        self.model = _copied_model(sector, mesh, cell_of, self.copies, ())
        n = symmetry.sectors
        self.harmonics = tuple(range(n // 2 + 1))
        """Harmonic indices."""
        self._copies_of = [1 if h in (0, n / 2) else 2 for h in self.harmonics]
        sizes = np.array(self._copies_of) * sector.mesh.n_points * sector.dimension
        self._ends = np.concatenate([[0], np.cumsum(sizes)])
        self._subs: dict[int, ModelDynamics] = {}

    @property
    def state(self) -> LoadCase:
        """What the ring vibrates about."""
        return _copied_case(self._case, self.copies, self.model.mesh.n_points)

    def sub(self, h: int) -> ModelDynamics:
        """The equations of one harmonic index; their motions count ``share(h)`` times."""
        if h not in self._subs:
            self._subs[h] = self._made(h)
        return self._subs[h]

    def _made(self, h: int | None) -> ModelDynamics:
        """Equations of an index; of None those of the sector cut out, its cuts free."""
        home, c = self.sector, 1 if h is None else self._copies_of[h]
        n = home.mesh.n_points
        number = n * np.arange(c)[:, None] + np.arange(n)
        copies = Copies(home, number, np.tile(np.eye(3), (c, 1, 1)))
        mesh, cell_of = _copied_mesh(home.mesh, np.tile(home.mesh.points, (c, 1)), number)
        links: list[Connection] = [
            _CopiedConnection(of=one, copies=copies) for one in home.connections if one is not self.symmetry
        ]
        if h is not None:
            links.append(_CyclicLink(of=self.symmetry, copies=copies, harmonic=h))
        model = _copied_model(home, mesh, cell_of, copies, links)
        stress = self._stress
        if stress is not None:
            original = np.empty(mesh.n_cells, np.int64)
            original[cell_of] = np.arange(home.mesh.n_cells)
            given = stress

            def stress(block: CellBlock, at: PointTables) -> FloatArray:
                own = replace(block, cells=original[block.cells], conn=block.conn % n)
                return given(own, at)

        case = _copied_case(self._case, copies, mesh.n_points)
        return dynamics(model, case=case, stress=stress, spins=self._spins, solver=self.solver)

    @cached_property
    def _open(self) -> ModelDynamics:
        return self._made(None)

    def share(self, h: int) -> float:
        """How often the energy of an index counts in that of the ring."""
        return self.symmetry.sectors / self._copies_of[h]

    def rows(self, h: int) -> slice:
        """Where the unknowns of an index are."""
        return slice(int(self._ends[h]), int(self._ends[h + 1]))

    def nodal_diameters(self, q: FloatArray) -> int:
        """The harmonic index with most of a motion q[size]."""
        return int(np.argmax([float(np.abs(q[self.rows(h)]).max(initial=0.0)) for h in self.harmonics]))

    @property
    def size(self) -> int:
        return int(self._ends[-1])

    @cached_property
    def free(self) -> BoolArray:  # type: ignore[override]
        return np.concatenate([self.sub(h).free for h in self.harmonics])

    @property
    def has_damping(self) -> bool:
        return self.sub(0).has_damping

    def _each(self, of: Callable[[ModelDynamics, Any], Any], q: Field) -> Field:
        out: Any = np.empty_like(q)
        for h in self.harmonics:
            some = self.rows(h)
            out[some] = self.share(h) * of(self.sub(h), q[some])
        return out  # type: ignore[no-any-return]

    def stiffness(self, q: Field) -> Field:
        return self._each(lambda sub, x: sub.stiffness(x), q)

    def mass(self, q: Field) -> Field:
        return self._each(lambda sub, x: sub.mass(x), q)

    def damping(self, q: Field) -> Field:
        return self._each(lambda sub, x: sub.damping(x), q)

    def system(self, stiffness: float = 1.0, mass: float = 0.0, damping: float = 0.0) -> System:
        """stiffness K + mass M + damping C of the whole ring as one matrix; `sub` has those of each index."""
        d = self.sector.dimension
        blocks = [
            self.share(h) * self.sub(h).system(stiffness, mass, damping).matrix().tocsr()
            for h in self.harmonics
        ]
        whole = sparse.block_diag(blocks, format="csr")
        return System(
            terms=(MatrixTerm(whole.tobsr(blocksize=(d, d))),), block=d, free=self.free, definite=True
        )

    def solve(self, f: FloatArray) -> FloatArray:
        out = np.empty_like(f)
        for h in self.harmonics:
            some = self.rows(h)
            out[some] = self.sub(h).solve(f[some]) / self.share(h)
        return out

    @cached_property
    def rigid(self) -> FloatArray:
        columns = []
        for h in self.harmonics:
            own = self.sub(h).rigid
            wide = np.zeros((self.size, own.shape[1]))
            wide[self.rows(h)] = own / np.sqrt(self.share(h))
            columns.append(wide)
        return np.hstack(columns)

    # Between the ring and its sectors

    def _angles(self, h: int) -> tuple[FloatArray, FloatArray]:
        """Cosine and sine of each sector's phase."""
        k = np.arange(self.symmetry.sectors)
        phase = 2.0 * np.pi * ((h * k) % self.symmetry.sectors) / self.symmetry.sectors
        return np.cos(phase), np.sin(phase)

    @cached_property
    def _first(self) -> BoolArray:
        """Where a node of a sector is the first that a node of the ring has, bool[sectors, n]."""
        flat = self.copies.number.ravel()
        out = np.zeros(len(flat), bool)
        out[np.unique(flat, return_index=True)[1]] = True
        return out.reshape(self.copies.number.shape)

    def force(self, nodal: FloatArray) -> FloatArray:
        if nodal.ndim == 3:
            return np.stack([self.force(nodal[..., i]) for i in range(nodal.shape[2])], axis=-1)
        each = np.where(self._first[..., None], nodal[self.copies.number], 0.0) @ self.copies.turns
        out = np.zeros(self.size)
        for h in self.harmonics:
            cos, sin = self._angles(h)
            parts = [np.einsum("k,kni->ni", cos, each), -np.einsum("k,kni->ni", sin, each)]
            out[self.rows(h)] = self.sub(h).force(np.concatenate(parts[: self._copies_of[h]]))
        return out

    def displacement(self, q: Field) -> Field:
        if q.ndim == 2:
            return np.stack([self.displacement(q[:, i]) for i in range(q.shape[1])], axis=-1)  # type: ignore[return-value]
        if np.iscomplexobj(q):
            real, imaginary = (self.displacement(np.ascontiguousarray(part)) for part in (q.real, q.imag))
            return real + 1j * imaginary  # type: ignore[return-value]
        n = self.sector.mesh.n_points
        each = np.zeros((self.symmetry.sectors, n, 3))
        for h in self.harmonics:
            some = q[self.rows(h)]
            if not some.any():
                continue
            pair = self.sub(h).displacement(some).reshape(-1, n, 3)
            cos, sin = self._angles(h)
            each += cos[:, None, None] * pair[0]
            if len(pair) == 2:
                each -= sin[:, None, None] * pair[1]
        out = np.zeros((self.model.mesh.n_points, 3))
        out[self.copies.number] = each @ np.swapaxes(self.copies.turns, 1, 2)
        return out  # type: ignore[return-value]

    def _sector_by_sector(self, of: Callable[[int, IntArray], FloatArray]) -> FloatArray:
        """Nodal forces of the ring from each sector's, of its number and nodes, [n, 3] in its own axes."""
        out = np.zeros((self.model.mesh.n_points, 3))
        for k, (number, turn) in enumerate(zip(self.copies.number, self.copies.turns, strict=True)):
            np.add.at(out, number, of(k, number) @ turn.T)
        return out

    def inertia(self, motion: FloatArray) -> FloatArray:
        if motion.ndim == 3:
            return np.stack([self.inertia(motion[..., i]) for i in range(motion.shape[2])], axis=-1)
        turns = self.copies.turns
        return self._sector_by_sector(lambda k, at: self._open.inertia(motion[at] @ turns[k]))

    def support_forces(self, displacement: FloatArray, force: FloatArray) -> FloatArray:
        turns = self.copies.turns

        def held(k: int, at: IntArray) -> FloatArray:
            own = np.where(self._first[k][:, None], force[at], 0.0) @ turns[k]
            return self._open.support_forces(displacement[at] @ turns[k], own)

        return self._sector_by_sector(held)
