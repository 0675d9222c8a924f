"""The equations of motion of a model, M u'' + C u' + K u = f, in the unknowns that its supports leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from designtwin.assembly.cells import cell_blocks
from designtwin.assembly.inertia import StressAt, mass_terms, spin_softening_terms, stress_stiffness_terms
from designtwin.assembly.matrices import corner_sum, extra_terms, static_topology
from designtwin.assembly.systems import Assembled, assemble_static, turned
from designtwin.assembly.topology import Topology
from designtwin.assembly.unknowns import AffineMap, DofMap
from designtwin.errors import ModelError, SingularSystemError
from designtwin.model.domains import rigid_motions
from designtwin.model.loads import Centrifugal
from designtwin.model.model import LoadCase, Model
from designtwin.model.supports import InertiaRelief
from designtwin.solvers.choice import choose_solver
from designtwin.solvers.solution import Factorization, LinearSolver
from designtwin.solvers.system import SparseMatrix, System, Term, scaled
from designtwin.typing import BoolArray, FloatArray, IntArray

Field = TypeVar("Field", bound=NDArray[Any])

_FREE = 1e-11
"""Share of the stiffest motion's energy below which a rigid motion costs none (squares of rounding)."""


class Dynamics:
    """Mass, damping and stiffness of a model, and what its unknowns q mean.

    Analyses need no more of it than this class offers; a reduced model offers the same.

    Parameters
    ----------
    model : Model
    solver : LinearSolver, optional
        For systems of its matrices; chosen by size unless given.
    """

    model: Model
    free: BoolArray
    """Unknowns that move, bool[size]; the others stay 0."""
    solver: LinearSolver | None = None

    @property
    def size(self) -> int:
        """Number of unknowns q, fixed ones too."""
        return len(self.free)

    def stiffness(self, q: Field) -> Field:
        """K q for q[size] or [size, k], real or complex; zero where fixed."""
        return cast(Field, _applied(self.system(), q))

    def mass(self, q: Field) -> Field:
        """M q, as `stiffness`."""
        return cast(Field, _applied(self.system(0.0, 1.0), q))

    def damping(self, q: Field) -> Field:
        """C q of dampers, as `stiffness`."""
        return cast(Field, _applied(self.system(0.0, 0.0, 1.0), q)) if self.has_damping else np.zeros_like(q)

    @property
    def has_damping(self) -> bool:
        """Whether the model has dampers."""
        raise NotImplementedError

    def system(self, stiffness: float = 1.0, mass: float = 0.0, damping: float = 0.0) -> System:
        """stiffness K + mass M + damping C as a system for solvers."""
        raise NotImplementedError

    def matrices(self) -> tuple[SparseMatrix, SparseMatrix, SparseMatrix]:
        """K, M and C as CSR [size, size], rows of fixed unknowns too."""
        none = sparse.csr_array((self.size, self.size))
        c = self.system(0.0, 0.0, 1.0).matrix().tocsr() if self.has_damping else none
        return self.system().matrix().tocsr(), self.system(0.0, 1.0).matrix().tocsr(), c

    def force(self, nodal: FloatArray) -> FloatArray:
        """Nodal forces [n_points, 3] or [n_points, 3, k], N, as forces on q, [size] or [size, k]."""
        raise NotImplementedError

    def displacement(self, q: Field) -> Field:
        """Displacement [n_points, 3] or [n_points, 3, k], m, of q[size] or [size, k], real or complex."""
        raise NotImplementedError

    def inertia(self, motion: FloatArray) -> FloatArray:
        """Nodal forces of a unit acceleration along nodal motions [n_points, 3] or [n_points, 3, k]: M u, kg,
        supported nodes too."""
        raise NotImplementedError

    def support_forces(self, displacement: FloatArray, force: FloatArray) -> FloatArray:
        """Forces of supports and springs on the part, float64[n_points, 3], N.

        A displacement [n_points, 3] is held by them and by nodal forces [n_points, 3], inertia among them.
        """
        raise NotImplementedError

    @cached_property
    def rigid(self) -> FloatArray:
        """Motions that cost no energy and that supports leave free, float64[size, r]; R^T M R = 1."""
        raise NotImplementedError

    def base(self, direction: str | Sequence[float]) -> FloatArray:
        """Nodal motion float64[n_points, 3] when all supports move alike.

        By 1 m along x, y, z or a unit vector, or by 1 rad about axes rx, ry, rz through the origin.
        """
        points, dimension = self.model.mesh.points, self.model.dimension
        if isinstance(direction, str):
            names = ("x", "y", "z", "rx", "ry", "rz")
            if direction not in names:
                raise ModelError(
                    f"there is no direction {direction!r}; say one of {', '.join(names)} or a vector"
                )
            number = names.index(direction)
            if (dimension == 2 and number in (2, 3, 4)) or (self.model.axisymmetric and number != 1):
                kind = "axisymmetric" if self.model.axisymmetric else "plane"
                raise ModelError(f"a {kind} model does not move along {direction}")
            return np.ascontiguousarray(rigid_motions(points, 3, False)[:, :, number])
        vector = np.asarray(direction, np.float64)
        size = float(np.linalg.norm(vector)) if vector.shape == (3,) else 0.0
        if not np.isfinite(size) or size == 0.0:
            raise ModelError(f"a direction is a vector of three numbers, not all zero, got {direction!r}")
        lost = [0, 2] if self.model.axisymmetric else [2] if dimension == 2 else []
        if vector[lost].any():
            raise ModelError(f"the model is plane and cannot move along {vector.tolist()}")
        return np.tile(vector / size, (len(points), 1))

    @cached_property
    def total_mass(self) -> float:
        """Of cells and attached masses, kg (full turn of an axisymmetric model)."""
        along = np.zeros((self.model.mesh.n_points, 3))
        along[:, 1] = 1.0
        return float((along * self.inertia(along)).sum())

    def solve(self, f: FloatArray) -> FloatArray:
        """K q = f for f[size] or [size, k].

        Where a rigid motion is free, the inertia of the rigid acceleration balances f, and q is M-orthogonal
        to rigid motions.

        Raises
        ------
        SingularSystemError
            If something else than a rigid motion is free.
        ConvergenceError
        """
        f = np.where(self.free.reshape(-1, *[1] * (f.ndim - 1)), f, 0.0)
        rigid = self.rigid
        if not rigid.shape[1]:
            return self._held.solve(f).x
        carried = self._carried
        q = self._held.solve(f - carried @ (rigid.T @ f)).x
        return np.asarray(q - rigid @ (carried.T @ q))

    @cached_property
    def _carried(self) -> FloatArray:
        """M R of the rigid motions."""
        return self.mass(self.rigid)

    @cached_property
    def _held(self) -> Factorization:
        """K factored; rigid motions are held at as many unknowns as there are of them, far apart."""
        from scipy.linalg import qr

        system = self.system()
        rigid = self.rigid
        if rigid.shape[1]:
            _, pivots = qr(rigid.T, mode="r", pivoting=True)
            free = system.free.copy()
            free[pivots[: rigid.shape[1]]] = False
            system = replace(system, free=free)
        return (self.solver or choose_solver(system)).factorize(system)


def _applied(system: System, q: Any) -> Any:
    if np.iscomplexobj(q):
        return system.apply(np.ascontiguousarray(q.real)) + 1j * system.apply(np.ascontiguousarray(q.imag))
    return system.apply(q)


@dataclass(eq=False)
class ModelDynamics(Dynamics):
    """The equations of motion of a model itself; made by `dynamics`.

    Parameters
    ----------
    model : Model
    dofs : DofMap
    map : AffineMap
        Prescribed values count as zero: motions are about the state at rest.
    terms_k, terms_m, terms_c : tuple of Term
        Stiffness, mass and damping, in the map's unknowns.
    whole_mass : tuple of Term
        Mass in x, y, z of every node.
    resistance : tuple of Term
        Stiffness of springs and foundations, in x, y, z of every node.
    added : tuple of Term
        Stiffness of the state it vibrates about, in x, y, z of every node.
    coarsening : Coarsening, optional
        Of the stiffness.
    assembled : Assembled
    topology : Topology
    solver : LinearSolver, optional
    """

    model: Model
    dofs: DofMap
    map: AffineMap
    terms_k: tuple[Term, ...]
    terms_m: tuple[Term, ...]
    terms_c: tuple[Term, ...]
    whole_mass: tuple[Term, ...]
    resistance: tuple[Term, ...]
    added: tuple[Term, ...]
    assembled: Assembled
    topology: Topology
    solver: LinearSolver | None = None

    def __post_init__(self) -> None:
        self.free = ~self.map.fixed
        self._systems: dict[tuple[float, float, float], System] = {}

    @property
    def has_damping(self) -> bool:
        return bool(self.terms_c)

    def system(self, stiffness: float = 1.0, mass: float = 0.0, damping: float = 0.0) -> System:
        """stiffness K + mass M + damping C as a system for solvers; the three alone are kept."""
        weights = (float(stiffness), float(mass), float(damping))
        if weights in self._systems:
            return self._systems[weights]
        terms = tuple(
            scaled(weight, term)
            for weight, group in zip(weights, (self.terms_k, self.terms_m, self.terms_c), strict=True)
            for term in group if weight != 0.0
        )  # fmt: skip
        given = self.assembled.system
        coarse = given.coarse
        if coarse is not None and terms != given.terms:
            weighted, block = coarse.prolongation, given.block
            coarse = replace(coarse, matrix=lambda: corner_sum(self.topology, terms, weighted, block))
        system = replace(given, terms=terms, coarse=coarse if stiffness != 0.0 else None)
        if sorted(weights) == [0.0, 0.0, 1.0]:
            self._systems[weights] = system
        return system

    def force(self, nodal: FloatArray) -> FloatArray:
        return self.map.at_free(self.dofs.gather(nodal)) if nodal.ndim == 2 else self._each(self.force, nodal)

    def _each(self, of: Callable[[FloatArray], FloatArray], columns: FloatArray) -> FloatArray:
        return np.stack(
            [of(np.ascontiguousarray(columns[..., k])) for k in range(columns.shape[-1])], axis=-1
        )

    def displacement(self, q: Field) -> Field:
        if q.ndim == 2:
            return self._each(self.displacement, q)  # type: ignore[return-value]
        if np.iscomplexobj(q):
            real, imaginary = (self.displacement(np.ascontiguousarray(part)) for part in (q.real, q.imag))
            return real + 1j * imaginary  # type: ignore[return-value]
        return self.dofs.scatter(self.map.change(q))  # type: ignore[return-value]

    def inertia(self, motion: FloatArray) -> FloatArray:
        if motion.ndim == 3:
            return self._each(self.inertia, motion)
        u = self.dofs.gather(motion)
        return self.dofs.scatter(np.asarray(sum(term.apply(u) for term in self.whole_mass)))

    def support_forces(self, displacement: FloatArray, force: FloatArray) -> FloatArray:
        u, f = self.dofs.gather(displacement), self.dofs.gather(force)
        rest = self._internal(u) - f
        ground = -np.asarray(sum((term.apply(u) for term in self.resistance), np.zeros_like(u)))
        return self.dofs.scatter(self.map.lift(rest - ground) + ground)

    def _internal(self, u: FloatArray) -> FloatArray:
        """Forces of cells, prestress included, in x, y, z of every node."""
        return np.asarray(sum(term.apply(u) for term in (*self.assembled.cells, *self.added)))

    @cached_property
    def rigid(self) -> FloatArray:
        motions = self._free_motions()
        if not motions.shape[1]:
            return motions
        gram = motions.T @ self.mass(motions)
        values, vectors = np.linalg.eigh(0.5 * (gram + gram.T))
        if values[0] <= _FREE * values[-1]:
            raise SingularSystemError(
                "a piece without mass is free to move: give it a density or a point mass, or hold it"
            )
        free = np.asarray(motions @ (vectors / np.sqrt(values)))
        # As far as can be: translations along x, y, z, then turns about the center of gravity.
        x = self.model.mesh.points
        along = self.inertia(rigid_motions(x, 3, False)[:, :, : self.model.dimension])
        mass = along[:, self.model.dimension - 1, -1]
        wanted = rigid_motions(x - mass @ x / mass.sum(), self.model.dimension, self.model.axisymmetric)
        share = free.T @ self.force(self.inertia(wanted))
        size = np.linalg.norm(share, axis=0)
        basis = np.hstack([share / np.where(size > 0.0, size, 1.0), np.eye(len(share))])
        chosen = np.zeros((len(share), 0))
        for column in basis.T:
            for _ in range(2):
                column = column - chosen @ (chosen.T @ column)
            if np.linalg.norm(column) > 1e-4:
                chosen = np.column_stack([chosen, column / np.linalg.norm(column)])
        return free @ chosen

    def _free_motions(self) -> FloatArray:
        """Rigid motions of the pieces of the mesh, combined so that no support, spring or link resists."""
        pieces = _Pieces(self.model, self.dofs)
        links, turn = self.map.constraints, self.map.turn
        held = np.flatnonzero(self.map.fixed if links is None else links.held)
        eye = sparse.eye_array(self.size, format="csr")
        rows = [eye[held] if turn is None else turn.T.tocsr()[held]]
        if links is not None:
            size = np.sqrt(links.reduced.rows.multiply(links.reduced.rows).sum(axis=1))
            unit = sparse.diags_array(1.0 / np.where(size > 0.0, size, 1.0)) @ links.reduced.rows
            rows.append((unit if turn is None else unit @ turn.T).tocsr())
        gram = np.zeros((pieces.n_motions, pieces.n_motions))
        for matrix in rows:
            violated = _over_columns(matrix, pieces.at)
            gram += (violated.T @ violated).toarray()
        for term in self.resistance:
            matrix = term.matrix().tocsr()
            energy = (pieces.at(np.arange(self.size)).T @ _over_columns(matrix, pieces.at)).toarray()
            most = float(np.abs(energy).max(initial=0.0))
            gram += energy / most if most > 0.0 else 0.0
        values, vectors = np.linalg.eigh(gram)
        kept = vectors[:, values <= _FREE * max(float(values[-1]), 1.0)]
        if not kept.shape[1]:
            return np.zeros((self.size, 0))
        u = pieces.combined(kept)
        q = u if turn is None else np.asarray(turn.T @ u)
        q[~self.free] = 0.0
        # A bar that turns about its own axis does not move at all.
        values, vectors = np.linalg.eigh(q.T @ q)
        return np.asarray(q @ vectors[:, values > 1e-20 * max(float(values[-1]), 1e-300)])


def _over_columns(matrix: SparseMatrix, at: Callable[[IntArray], SparseMatrix]) -> SparseMatrix:
    """matrix @ at(all), of which only the columns that the matrix has are made."""
    used = np.unique(matrix.indices)
    return matrix[:, used] @ at(used)


class _Pieces:
    """Rigid motions of each connected piece of a mesh, six in space; nodes of no cell are pieces."""

    def __init__(self, model: Model, dofs: DofMap) -> None:
        mesh = self._mesh = model.mesh
        self._model, self._dofs = model, dofs
        piece = np.full(mesh.n_points, -1)
        for _, ids, conn in mesh.blocks():
            piece[conn] = mesh.pieces[ids][:, None]
        alone = np.flatnonzero(piece < 0)
        piece[alone] = int(mesh.pieces.max()) + 1 + np.arange(len(alone))
        self._piece, n = piece, int(piece.max()) + 1
        count = np.maximum(np.bincount(piece, minlength=n), 1)[:, None]
        self._center = np.stack([np.bincount(piece, x, n) for x in mesh.points.T], axis=1) / count
        size = np.zeros(n)
        np.maximum.at(size, piece, np.abs(mesh.points - self._center[piece]).max(axis=1))
        self._size = np.where(size > 0.0, size, 1.0)
        self._each = self._motions(np.arange(1)).shape[2]
        self.n_motions = self._each * n

    def _motions(self, nodes: IntArray) -> FloatArray:
        piece = self._piece[nodes]
        x = (self._mesh.points[nodes] - self._center[piece]) / self._size[piece, None]
        return rigid_motions(x, self._model.dimension, self._model.axisymmetric)

    def at(self, unknowns: IntArray) -> SparseMatrix:
        """Unknowns by motions, CSR."""
        nodes = self._dofs.nodes(unknowns)
        values = self._motions(nodes)[np.arange(len(nodes)), unknowns % self._dofs.components]
        columns = self._piece[nodes][:, None] * self._each + np.arange(self._each)
        starts = np.arange(len(nodes) + 1) * self._each
        return sparse.csr_array((values.ravel(), columns.ravel(), starts), (len(nodes), self.n_motions))

    def combined(self, shares: FloatArray) -> FloatArray:
        """Motions in given shares float64[n_motions, r], as unknowns float64[size, r]."""
        by_piece = shares.reshape(-1, self._each, shares.shape[1])
        out = np.empty((self._mesh.n_points, 3, shares.shape[1]))
        for start in range(0, len(out), 100_000):
            some = np.arange(start, min(start + 100_000, len(out)))
            out[some] = np.einsum("nim,nmr->nir", self._motions(some), by_piece[self._piece[some]])
        return np.stack([self._dofs.gather(out[:, :, k]) for k in range(out.shape[2])], axis=1)


def dynamics(
    model: Model, *, case: LoadCase | None = None, stress: StressAt | None = None,
    spins: Sequence[Centrifugal] = (), solver: LinearSolver | None = None,
) -> ModelDynamics:  # fmt: skip
    """The equations of motion of a model about a state.

    Parameters
    ----------
    case : LoadCase, optional
        Whose supports hold as well, and whose temperature the stiffness has.
    stress : function, optional
        Of the state, adds its stiffness.
    spins : sequence of Centrifugal
        The frame that turns with the part takes from the stiffness.

    Raises
    ------
    MissingPropertyError
        If a material states no density.
    """
    flying = any(isinstance(support, InertiaRelief) for support in model.supports)
    if flying:
        model = model.with_(supports=[s for s in model.supports if not isinstance(s, InertiaRelief)])
    blocks = cell_blocks(model)
    topology = static_topology(model, blocks)
    case = case or LoadCase("")
    assembled = assemble_static(model, case, blocks, topology)
    dofs, map_ = assembled.dofs, assembled.map
    map_ = replace(map_, value=np.broadcast_to(0.0, dofs.n_dof), offset=None)
    whole = mass_terms(model, topology)
    added: list[Term] = []
    if stress is not None:
        added += stress_stiffness_terms(model, topology, stress)
    for spin in spins:
        added += spin_softening_terms(model, topology, spin)
    dampers = [
        one for support in (*model.supports, *case.supports) for one in support.damping_matrices(model)
    ]
    c = dofs.components
    return ModelDynamics(
        model=model, dofs=dofs, map=map_,
        terms_k=(*assembled.system.terms, *turned(added, map_, c)), terms_m=turned(whole, map_, c),
        terms_c=turned(extra_terms(dampers, topology, c), map_, c), whole_mass=whole,
        resistance=assembled.extra, added=tuple(added), assembled=assembled, topology=topology, solver=solver,
    )  # fmt: skip
