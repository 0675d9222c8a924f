"""Eigenpairs of K x = lambda M x and K x = -lambda Kg x at the low end: block iterations around a solver.

Both are G x = nu K x with nu = 1 / lambda, the largest nu wanted, K positive definite: vectors are kept
orthonormal in K, which the preconditioner (one multigrid cycle, or factors) inverts about; G may be
semidefinite or indefinite. A body that is free to move is treated on the complement of its rigid motions.

Sources: Knyazev, SIAM J. Sci. Comput. 23 (2001) 517-541 (LOBPCG); Duersch, Shao, Yang, Gu, SIAM J. Sci.
Comput. 40 (2018) C655-C676 (stable bases); Knyazev, Argentati, Lashuk, Ovtchinnikov, SIAM J. Sci. Comput. 29
(2007) 2224-2239 (soft locking).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from scipy import linalg

from designtwin import parallel
from designtwin.errors import ConvergenceError, ModelError, ResourceError, SingularSystemError
from designtwin.progress import Progress
from designtwin.solvers.choice import AutomaticSolver, choose_solver
from designtwin.solvers.direct import DENSE_UP_TO, Direct, DirectFactorization
from designtwin.solvers.hierarchy import Cycle, Hierarchy
from designtwin.solvers.lanczos import BLOCK, krylov_pairs
from designtwin.solvers.multifrontal import blas_alone
from designtwin.solvers.multigrid import MultigridCG
from designtwin.solvers.solution import LinearSolver
from designtwin.solvers.system import Array, ScaledTerm, System
from designtwin.typing import BoolArray, FloatArray, IntArray

TOLERANCE = 1e-6
"""Of the energy norm of K^-1 (K x - lambda M x) over that of x; eigenvalues err by about its square."""
CLUSTER = 1e-5
"""Eigenvalues closer than this, relatively, are one cluster: its vectors mean something only together."""
_GUARD = 4  # vectors beyond those wanted, which make the last of them converge
_WIDEST = 32  # vectors iterated at once; more pairs are found window by window
_IN_SIGHT = 1e-3  # errors at which a random vector joins: it is as far when the others are done
_REFRESH = 40  # iterations after which images are made anew
_NOTHING = 1e-13  # nu, over the largest, of what has no share in G
_DROPPED = 1e-11  # share of a direction that others span up to rounding


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Eigenvalues and vectors, and how they were found.

    Parameters
    ----------
    values : float64[m]
        Ascending (modes); by size (buckling).
    vectors : float64[n_dof, m]
        M-orthonormal (modes) or K-orthonormal (buckling); 0 at fixed unknowns.
    residuals : float64[m]
        Energy norm of K^-1 times the residual over that of the vector, K^-1 as the solver has it; the square
        is about the relative error of the eigenvalue.
    iterations : int
    solver : str
        What ran.
    seconds : mapping of str to float
        Wall time per phase.
    notes : tuple of str
        What the user should know.
    checked : str
        How it was made sure that none was missed.
    """

    values: FloatArray
    vectors: FloatArray
    residuals: FloatArray
    iterations: int
    solver: str
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())
    checked: str = ""


def eigenpairs(
    stiffness: System,
    mass: System,
    *,
    count: int | None = None,
    up_to: float | None = None,
    rigid: FloatArray | None = None,
    tolerance: float = TOLERANCE,
    max_iterations: int = 300,
    solver: LinearSolver | None = None,
    progress: Progress | None = None,
) -> Eigenpairs:
    """Lowest pairs of K x = lambda M x, rigid motions left out.

    Parameters
    ----------
    stiffness : System
        K, positive definite but for `rigid`.
    mass : System
        M, semidefinite, with the same block and free unknowns; unknowns without mass are allowed.
    count : int, optional
        How many pairs; a cluster of equal eigenvalues is not cut, so that there may be more.
    up_to : float, optional
        All pairs up to this eigenvalue, at most `count` if that is given too.
    rigid : float64[n_dof, r], optional
        Motions with K rigid = 0, zero where fixed.
    tolerance : float
        See ``Eigenpairs.residuals``.
    max_iterations : int
        Beyond it ConvergenceError.
    solver : LinearSolver, optional
        Whose levels or factors precondition; chosen from the system when left out.
    progress : Progress, optional
        Told how many have converged.

    Returns
    -------
    Eigenpairs
        values float64[m], ascending, of the unit of K over that of M; vectors float64[n_dof, m].

    Raises
    ------
    ModelError
        If neither count nor up_to says how many, or nothing free has mass.
    SingularSystemError
        If a motion outside `rigid` costs no energy.
    ConvergenceError
        If the pairs do not reach the tolerance, or K is not positive definite.
    """
    if count is None and up_to is None:
        raise ModelError("say how many eigenpairs are wanted: count=10, or up_to= for all below a bound")
    if count is not None and count < 1:
        raise ModelError(f"count is {count}; at least 1 eigenpair is wanted")
    if up_to is not None and not up_to > 0.0:
        raise ModelError(f"up_to is {up_to:g}; a positive bound on eigenvalues is wanted")
    _check(stiffness, mass, tolerance)
    pencil = _Pencil(stiffness, mass, 1.0, rigid)
    if not pencil.motion.any():
        raise ModelError("nothing that is free to move has mass; state densities or point masses")
    goal = _Goal(count, None if up_to is None else 1.0 / up_to, "largest", tolerance, max_iterations)
    found = _solve(pencil, goal, solver, progress)
    order = np.argsort(1.0 / found.nu, kind="stable")
    values = 1.0 / found.nu[order]
    vectors = np.ascontiguousarray(found.vectors[:, order])
    vectors *= np.sqrt(values)
    return Eigenpairs(
        values=values, vectors=vectors, residuals=found.residuals[order], iterations=found.iterations,
        solver=found.solver, seconds=found.seconds, notes=found.notes, checked=found.checked,
    )  # fmt: skip


def buckling_pairs(
    stiffness: System,
    geometric: System,
    *,
    count: int,
    which: Literal["positive", "negative", "both"] = "both",
    tolerance: float = TOLERANCE,
    max_iterations: int = 300,
    solver: LinearSolver | None = None,
    progress: Progress | None = None,
) -> Eigenpairs:
    """Pairs of K x = -lambda Kg x with the smallest |lambda|.

    Parameters
    ----------
    stiffness : System
        K, positive definite.
    geometric : System
        Kg, indefinite, of the load whose factors are wanted; the same block and free unknowns.
    count : int
        How many pairs; fewer are returned where there are no more, more where a cluster would be cut.
    which : "positive", "negative" or "both"
        Sign of the factors that are wanted.

    Other parameters as in `eigenpairs`.

    Returns
    -------
    Eigenpairs
        values float64[m], the smallest |lambda| first; vectors float64[n_dof, m] with x^T K x = 1.

    Raises
    ------
    SingularSystemError
        If a motion costs no energy.
    ConvergenceError
        If the pairs do not reach the tolerance, or K is not positive definite.
    """
    if count < 1:
        raise ModelError(f"count is {count}; at least 1 buckling factor is wanted")
    _check(stiffness, geometric, tolerance)
    pencil = _Pencil(stiffness, geometric, 1.0 if which == "negative" else -1.0, None)
    sign = -1.0 if which == "negative" else 1.0
    if not _acts(pencil):
        none = np.empty(0)
        return Eigenpairs(
            values=none, vectors=np.empty((pencil.n, 0)), residuals=none, iterations=0, solver="none needed",
            seconds={}, notes=("there are no factors: the load does not stress the part",),
            checked="the geometric stiffness is zero",
        )  # fmt: skip
    end: Literal["largest", "size"] = "size" if which == "both" else "largest"
    goal = _Goal(count, None, end, tolerance, max_iterations, _strain_of_one(pencil))
    found = _solve(pencil, goal, solver, progress)
    values = sign / found.nu
    notes = found.notes
    if len(values) < count:
        kind = "" if which == "both" else f"{which} "
        notes += (f"there are {len(values)} {kind}factors: any other would strain the part by more than 1",)
    order = np.argsort(np.abs(values), kind="stable")
    return Eigenpairs(
        values=values[order], vectors=np.ascontiguousarray(found.vectors[:, order]),
        residuals=found.residuals[order], iterations=found.iterations, solver=found.solver,
        seconds=found.seconds, notes=notes, checked=found.checked,
    )  # fmt: skip


def _strain_of_one(pencil: _Pencil) -> float:
    """1 / lambda at which the load strains the part by about 1: |stress| over modulus, node by node.

    No factor beyond means anything; and there, at the size of cells, they crowd.
    """
    k, g = (system.block_diagonal() for system in (pencil.stiffness, pencil.other))
    stiff = np.einsum("nii->n", k)
    stress = np.sqrt(np.einsum("nij,nij->n", g, g))
    used = stiff > 0.0
    return float(np.sqrt(np.mean((stress[used] / stiff[used]) ** 2))) if used.any() else 0.0


def _acts(pencil: _Pencil) -> bool:
    """Whether G is not zero."""
    chance = np.random.default_rng(1).standard_normal((pencil.n, 1))
    chance[~pencil.free] = 0.0
    image = pencil.g_product(chance, np.zeros_like(chance))
    return bool(image[pencil.free].any())


def _check(stiffness: System, other: System, tolerance: float) -> None:
    assert stiffness.n_dof == other.n_dof
    assert stiffness.block == other.block
    if not 0.0 < tolerance < 1.0:
        raise ModelError(f"tolerance is {tolerance}; a number between 0 and 1 is wanted, e.g. 1e-6")


# --- what is solved


@dataclass(frozen=True)
class _Goal:
    """Which pairs: so many, or all with nu >= least; the largest nu or the largest |nu|.

    Below `floor` nothing is wanted.
    """

    count: int | None
    least: float | None
    end: Literal["largest", "size"]
    tolerance: float
    max_iterations: int
    floor: float = 0.0

    def key(self, nu: FloatArray) -> FloatArray:
        """What is to be large."""
        return nu if self.end == "largest" else np.abs(nu)

    def order(self, nu: FloatArray) -> IntArray:
        """Numbers of the pairs, those wanted most first."""
        return np.argsort(-self.key(nu), kind="stable")

    def enough(self, nu: FloatArray, done: BoolArray, none: BoolArray) -> int | None:
        """How many of nu (those wanted most first) answer the question; None to go on.

        `none` tells which are no pairs that mean anything. A cluster is not cut: the next value must be known
        to lie apart.
        """
        key = self.key(nu)
        settled = done | none
        ready = len(settled) if settled.all() else int(np.argmin(settled))
        last = int(np.argmax(none[:ready])) if none[:ready].any() else len(nu) + 1
        if self.least is not None and ready and key[ready - 1] < self.least:
            most = min(last, int((key[:ready] >= self.least).sum()))
            if self.count is None or most <= self.count:
                return most
        if last < ready and (self.count is None or last <= self.count):
            return last
        if self.count is None or ready < self.count:
            return None
        last = self.count
        while last < len(key) and key[last] > (1.0 - CLUSTER) * key[last - 1]:
            last += 1
        return last if last <= ready else None


class _Pencil:
    """G x = nu K x on free unknowns, on the complement of rigid motions.

    rigid is made orthonormal in G (the mass); `dual` is G rigid.
    """

    def __init__(self, stiffness: System, other: System, factor: float, rigid: FloatArray | None) -> None:
        self.stiffness, self.other, self.factor = stiffness, other, factor
        self.free = stiffness.free
        self.n = stiffness.n_dof
        self.motion = (other.diagonal() != 0.0) & self.free
        if rigid is None or not rigid.shape[1]:
            self.rigid = np.zeros((self.n, 0))
            self.dual = self.rigid
        else:
            start = np.where(self.free[:, None], rigid, 0.0)
            start = np.ascontiguousarray(start / np.abs(start).max(axis=0))
            for _ in range(2):
                weight = _gram(start, _product(other, start, np.empty_like(start)))
                size, turn = linalg.eigh(weight)
                if size[0] <= 1e-12 * size[-1]:
                    raise ModelError("a rigid motion has no mass: state densities or point masses")
                start = np.ascontiguousarray(start @ (turn / np.sqrt(size)))
            self.rigid = start
            self.dual = _product(other, start, np.empty_like(start))
            self.dual[~self.free] = 0.0

    def k_product(self, x: FloatArray, out: FloatArray) -> FloatArray:
        """K x; at fixed unknowns anything."""
        return _product(self.stiffness, x, out)

    def g_product(self, x: FloatArray, out: FloatArray) -> FloatArray:
        """G x; at fixed unknowns anything."""
        _product(self.other, x, out)
        if self.factor != 1.0:
            out *= self.factor
        return out


def _product(system: System, x: FloatArray, out: FloatArray) -> FloatArray:
    """A x for C-ordered x[n, k] that is zero at fixed unknowns; rows of fixed unknowns are not cleared."""
    if system.extra:
        out[:] = system.matrix() @ x
    else:
        system._operator.product(x, out)
    return out


def _chunks(n: int) -> int:
    from designtwin.kernels import subspace as kernels

    return -(-n // kernels.CHUNK)


def _gram(a: FloatArray, b: FloatArray) -> FloatArray:
    """a^T b, summed in fixed chunks."""
    from designtwin.kernels import subspace as kernels

    parts = np.empty((_chunks(len(a)), a.shape[1], b.shape[1]))
    parallel.run(kernels.gram, len(parts), a, b, parts, grain=4)
    return np.asarray(parts.sum(axis=0))


def _away(nu: FloatArray) -> FloatArray:
    """|nu|, but not zero."""
    return np.maximum(np.abs(nu), np.finfo(float).tiny)


def _blocks(n: int) -> list[slice]:
    """Columns some at a time."""
    return [slice(first, min(first + 16, n)) for first in range(0, n, 16)]


def _combined(a: FloatArray, c: FloatArray) -> FloatArray:
    """a c, row by row; a itself where c is square."""
    from designtwin.kernels import subspace as kernels

    n, none = len(a), np.empty((len(a), 0))
    out = a if c.shape[0] == c.shape[1] else np.empty((n, c.shape[1]))
    zero = np.empty((0, c.shape[1]))
    work = (a, none, none, np.ascontiguousarray(c), zero, zero, out, none)
    parallel.run(kernels.combine, _chunks(n), *work, grain=4)
    return out


# --- preconditioners


class _Preconditioner(Protocol):
    """About K^-1, for some columns at once: write to `f`, `run`, times `gain`."""

    title: str
    notes: tuple[str, ...]
    seconds: float
    gain: float
    steps_to_see: int

    def room(self, k: int) -> Array:
        """Where k residuals go, float32 or float64 [n, k]."""
        ...

    def run(self) -> Array:
        """About K^-1 times those over gain; zero at fixed unknowns."""
        ...


class _Cycles:
    """One multigrid cycle."""

    steps_to_see = 4

    def __init__(self, hierarchy: Hierarchy, seconds: float, notes: tuple[str, ...], title: str) -> None:
        self.hierarchy, self.seconds, self.notes, self.title = hierarchy, seconds, notes, title
        self.gain = hierarchy.scale
        self._cycle: Cycle | None = None
        self._columns = 0

    def room(self, k: int) -> Array:
        """Where residuals go."""
        if self._cycle is None or self._columns != k:
            self._cycle = None  # the old vectors go before new ones come
            self._cycle, self._columns = Cycle(self.hierarchy, k), k
        return self._cycle.f

    def run(self) -> Array:
        """One cycle."""
        assert self._cycle is not None
        return self._cycle.run()


class _Solves:
    """Factors, of K or of K a little shifted."""

    gain = 1.0
    steps_to_see = 2

    def __init__(self, factorization: DirectFactorization, n: int) -> None:
        self.factorization, self.seconds = factorization, factorization.setup_seconds
        self.notes = factorization.notes
        self.negative = factorization.negative or 0
        self.counts = factorization.negative is not None
        self.title = f"factors ({factorization.factors.name})"
        self._f = np.empty((n, 0))

    def room(self, k: int) -> Array:
        """Where residuals go."""
        if self._f.shape[1] != k:
            self._f = np.empty((len(self._f), k))
        return self._f

    def run(self) -> Array:
        """One solution, not refined."""
        return np.asarray(self.factorization.factors.solve(self._f))


def _shift_of(pencil: _Pencil) -> float:
    """A shift of about the lowest eigenvalue of a compact free body: what makes K + shift M definite."""
    stiffness, mass = (np.abs(s.diagonal()[pencil.free]).sum() for s in (pencil.stiffness, pencil.other))
    return float(0.1 * stiffness / mass / max(pencil.stiffness.n_nodes, 8) ** (2.0 / 3.0))


def _factors_of(pencil: _Pencil, solver: Direct) -> _Solves:
    system = pencil.stiffness
    if pencil.rigid.shape[1]:
        extra = tuple(ScaledTerm(_shift_of(pencil), term) for term in pencil.other.terms)
        system = replace(system, terms=system.terms + extra)
    made = solver.factorize(system)
    _refuse_indefinite(made)
    return _Solves(made, pencil.n)


def _levels_of(pencil: _Pencil, solver: MultigridCG) -> _Cycles:
    started = time.perf_counter()
    n_rigid = pencil.rigid.shape[1]
    if n_rigid:
        hierarchy = solver.levels(pencil.stiffness, solver.precision, motions=n_rigid)
    else:
        hierarchy = solver.factorize(pencil.stiffness).hierarchy
    groups = ", groups" if solver.smoother == "groups" else ""
    title = f"multigrid ({len(hierarchy.sizes)} levels{groups})"
    return _Cycles(hierarchy, time.perf_counter() - started, (), title)


# --- the iteration


class _Found(NamedTuple):
    """nu descending, vectors K-orthonormal."""

    nu: FloatArray
    vectors: FloatArray
    residuals: FloatArray
    iterations: int
    solver: str
    seconds: Mapping[str, float]
    notes: tuple[str, ...]
    checked: str


def _solve(pencil: _Pencil, goal: _Goal, solver: LinearSolver | None, progress: Progress | None) -> _Found:
    """By the solver that is given, or by those that come into question, one after another."""
    n_free = int(pencil.free.sum()) - pencil.rigid.shape[1]
    if n_free <= DENSE_UP_TO:
        return _dense(pencil, goal)
    chosen = solver or choose_solver(pencil.stiffness)
    automatic = isinstance(chosen, AutomaticSolver)
    first = chosen.first if isinstance(chosen, AutomaticSolver) else chosen
    notes: tuple[str, ...] = ()
    if isinstance(first, MultigridCG):
        try:
            return _iterate(pencil, goal, _levels_of(pencil, first), progress)
        except ConvergenceError as reason:
            if not automatic:
                raise
            notes = (f"Direct() took over: {reason}",)
            try:
                found = _by_factors(pencil, goal, Direct(), progress)
            except ResourceError as short:
                raise ConvergenceError(f"{reason}. Direct() cannot take over: {short}") from reason
            return found._replace(notes=notes + found.notes)
    if not isinstance(first, Direct):
        raise ModelError(f"modes take Direct() or MultigridCG() as solver, not {type(first).__name__}")
    return _by_factors(pencil, goal, first, progress)


def _by_factors(pencil: _Pencil, goal: _Goal, solver: Direct, progress: Progress | None) -> _Found:
    """A Krylov space of exact solutions; what of the rigid motions is in the way is held at single unknowns.

    Raises
    ------
    ConvergenceError
        If it does not converge, K is not positive definite, or a count tells that pairs are missing.
    """
    if solver.precision != "double":
        return _iterate(pencil, goal, _factors_of(pencil, solver), progress)
    system, rigid, dual = pencil.stiffness, pencil.rigid, pencil.dual
    if rigid.shape[1]:
        _, pivots = linalg.qr(rigid.T, mode="r", pivoting=True)
        free = system.free.copy()
        free[pivots[: rigid.shape[1]]] = False
        system = replace(system, free=free)
    made = solver.factorize(system)
    solves = _Solves(made, pencil.n)
    _refuse_indefinite(made)

    def solve(f: FloatArray) -> FloatArray:
        w = np.asarray(made.factors.solve(np.ascontiguousarray(f)))
        # What balanced forces leave open is how the body lies.
        return w - rigid @ (dual.T @ w) if rigid.shape[1] else w

    def product(x: FloatArray) -> FloatArray:
        x = np.where(pencil.free[:, None], x, 0.0)
        f = pencil.g_product(x, np.empty_like(x))
        f[~pencil.free] = 0.0
        return f - dual @ (rigid.T @ f) if rigid.shape[1] else f

    def enough(nu: FloatArray, error: FloatArray) -> int | None:
        key = goal.key(nu)
        floor = max(goal.floor, _NOTHING * float(key.max(initial=0.0)))
        return goal.enough(nu, error <= goal.tolerance, key + error * np.abs(nu) < floor)

    started, checked = time.perf_counter(), ""
    wanted = 16 if goal.count is None else goal.count
    with blas_alone():
        for block in (BLOCK, 4 * BLOCK):
            found = krylov_pairs(
                solve, product, pencil.n, wanted=wanted, order=goal.order, enough=enough,
                tolerance=goal.tolerance, block=block,
            )  # fmt: skip
            key = goal.key(found.nu)
            floor = max(goal.floor, _NOTHING * float(key.max(initial=0.0)), goal.least or 0.0)
            real = key >= floor
            nu, x, error = found.nu[real], np.ascontiguousarray(found.x[:, real]), found.error[real]
            try:
                checked = _sturm_count(pencil, goal, solves, nu, abs(found.next))
                break
            except ConvergenceError:
                if block > BLOCK:
                    raise
    seconds = {"set-up": made.setup_seconds, "iterate": time.perf_counter() - started}
    return _Found(
        nu, x, error, found.solutions // block, f"Lanczos, {solves.title}", seconds, made.notes, checked
    )


def _refuse_indefinite(made: DirectFactorization) -> None:
    if made.system.definite and (made.negative or 0) > 0:
        raise ConvergenceError(
            f"the stiffness has {made.negative} negative eigenvalues: the prestress is beyond the load at "
            "which the part buckles, or a spring is negative"
        )


def _dense(pencil: _Pencil, goal: _Goal) -> _Found:
    """All pairs of a small system by LAPACK."""
    started = time.perf_counter()
    index = np.flatnonzero(pencil.free)
    k, g = (
        factor * system.matrix().tocsr()[index][:, index].toarray()
        for factor, system in ((1.0, pencil.stiffness), (pencil.factor, pencil.other))
    )
    with blas_alone():
        basis = np.eye(len(index))
        if pencil.rigid.shape[1]:
            basis = linalg.null_space(pencil.dual[index].T)
        k, g = basis.T @ k @ basis, basis.T @ g @ basis
        k, g = 0.5 * (k + k.T), 0.5 * (g + g.T)
        weight = 1.0 / np.sqrt(np.maximum(np.diag(k), np.finfo(float).tiny))
        k, g = weight[:, None] * k * weight, weight[:, None] * g * weight
        try:
            nu, y = linalg.eigh(g, k)
        except linalg.LinAlgError as broken:
            low = linalg.eigvalsh(k)[0]
            if abs(low) < 1e-13:
                raise SingularSystemError(
                    "the stiffness is singular: a motion that costs no energy is free"
                ) from broken
            raise ConvergenceError(
                f"the stiffness is not positive definite (eigenvalue {low:.1e})"
            ) from broken
        x = np.zeros((pencil.n, len(nu)))
        x[index] = basis @ (weight[:, None] * y)
    order = np.argsort(-goal.key(nu), kind="stable")
    nu, x = nu[order], x[:, order]
    real = goal.key(nu) > 1e-14 * np.abs(nu).max(initial=0.0)
    nu, x = nu[real], np.ascontiguousarray(x[:, real])
    real = goal.key(nu) >= goal.floor
    nu, x = nu[real], np.ascontiguousarray(x[:, real])
    many = goal.enough(nu, np.ones(len(nu), bool), np.zeros(len(nu), bool))
    if many is None:  # fewer than asked for
        many = len(nu) if goal.least is None else int((goal.key(nu) >= goal.least).sum())
    nu, x = nu[:many], np.ascontiguousarray(x[:, :many])
    r = pencil.g_product(x, np.empty_like(x)) - nu * pencil.k_product(x, np.empty_like(x))
    z = (
        linalg.solve(k, weight[:, None] * (basis.T @ r[index]), assume_a="pos")
        if many
        else np.zeros((len(k), 0))
    )
    size = np.sqrt(np.maximum(np.einsum("ij,ij->j", weight[:, None] * (basis.T @ r[index]), z), 0.0))
    seconds = {"set-up": 0.0, "iterate": time.perf_counter() - started}
    checked = "all eigenvalues of the system were computed"
    return _Found(nu, x, size / np.abs(nu), 1, "dense (LAPACK)", seconds, (), checked)


def _iterate(
    pencil: _Pencil, goal: _Goal, precondition: _Preconditioner, progress: Progress | None
) -> _Found:
    """LOBPCG, then a look at whether something was missed.

    Raises
    ------
    ConvergenceError
        If it does not converge, or a count of eigenvalues tells that some are missing.
    """
    started = time.perf_counter()
    counted = isinstance(precondition, _Solves) and goal.end == "largest" and precondition.counts
    with blas_alone():
        run = _Iteration(pencil, goal, precondition, progress, probe=not counted)
        run.run()
        checked = "a random vector, iterated beside the others, led to no other pair"
        if counted:
            assert isinstance(precondition, _Solves)
            checked = _sturm_count(pencil, goal, precondition, run.nu)
    seconds = {"set-up": precondition.seconds, "iterate": time.perf_counter() - started}
    return _Found(
        run.nu, run.x, run.error, run.count, f"LOBPCG, {precondition.title}", seconds, precondition.notes,
        checked,
    )  # fmt: skip


def _sturm_count(
    pencil: _Pencil, goal: _Goal, solves: _Solves, nu: FloatArray, beyond: float = np.nan
) -> str:
    """Count the eigenvalues below the last of those found, nu, by the signs of pivots.

    `beyond` is about the size of the next nu, where it is known: far from both pivots are safe.
    """
    if not solves.counts:
        return "residuals alone: the factors do not count"
    found = len(nu)
    if goal.least is not None and (goal.count is None or found < goal.count):
        at = 1.0 / goal.least
    elif found:
        last = float(goal.key(nu)[-1])
        apart = np.isfinite(beyond) and 0.0 < beyond < (1.0 - CLUSTER) * last
        at = 1.0 / np.sqrt(last * max(beyond, 0.25 * last)) if apart else (1.0 + 0.5 * CLUSTER) / last
    else:
        return ""
    count = 0
    for sign in (1.0, -1.0) if goal.end == "size" else (1.0,):
        terms = tuple(ScaledTerm(-sign * at * pencil.factor, term) for term in pencil.other.terms)
        shifted = replace(pencil.stiffness, terms=pencil.stiffness.terms + terms, definite=False, coarse=None)
        try:
            below = Direct().factorize(shifted).negative
        except SingularSystemError:  # a pair sits right there
            below = None
        if below is None:
            return "residuals alone: the count of eigenvalues could not be made"
        count += below - solves.negative - pencil.rigid.shape[1]
    if count != found:
        raise ConvergenceError(
            f"{found} eigenpairs converged, but there are {count} below {at:.6g}; ask for a few more"
        )
    return f"Sturm count: none of the {found} lowest is missing"


class _Iteration:
    """Locally optimal block preconditioned conjugate gradients for the largest nu, K-orthonormal.

    x holds the vectors, p the directions of the last step, both with their images under K and G. Pairs that
    have converged stay in x, but get no new directions; where more are wanted than are iterated at once, they
    move to the deflated basis.
    """

    def __init__(
        self,
        pencil: _Pencil,
        goal: _Goal,
        precondition: _Preconditioner,
        progress: Progress | None,
        *,
        probe: bool,
        seed: int = 5,
    ) -> None:
        from designtwin.kernels import subspace as kernels

        self._kernels, self._pencil, self._goal = kernels, pencil, goal
        self._precondition, self._progress = precondition, progress
        n_free = int(pencil.free.sum()) - pencil.rigid.shape[1]
        wanted = goal.count if goal.count is not None and goal.least is None else _WIDEST // 2
        width = min(4 * -(-(wanted + _GUARD) // 4), _WIDEST, max(1, n_free // 4))
        self.count = 0
        self._chance = np.random.default_rng(seed)
        self._wants_probe = probe
        self._probed_at: int | None = None
        self._n_kept = 0  # pairs moved to the basis
        self._kept_nu, self._kept_error = np.empty(0), np.empty(0)
        self._basis, self._dual = pencil.rigid, pencil.dual
        self._start(width)
        self._exhausted = len(self.nu) < width  # G has no more directions

    # -- vectors

    def _deflate(self, w: FloatArray) -> None:
        """Leave only what is orthogonal to the basis: in G to rigid motions, in K to pairs kept."""
        if self._basis.shape[1]:
            share = _gram(self._dual, w)
            self._run(self._kernels.deflate, self._basis, share, w)

    def _run(self, kernel: Any, *arguments: Any) -> None:
        parallel.run(kernel, _chunks(self._pencil.n), *arguments, grain=4)

    def _images(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        kw, gw = np.empty_like(w), np.empty_like(w)
        self._pencil.k_product(w, kw)
        self._pencil.g_product(w, gw)
        return kw, gw

    def _start(self, width: int) -> None:
        """Vectors that a solve has smoothed."""
        self.x = self._random(width)
        self._kx, self._gx = self._images(self.x)
        self._drop_directions()
        hk, hg = _gram(self.x, self._kx), _gram(self.x, self._gx)
        self._refuse_negative(np.diag(hk))
        ritz = _ritz(hk, hg, self._goal, width, 0, np.empty(0, np.int64))
        self.nu, c = ritz.nu, ritz.x
        self._turn(c)
        self.error = np.full(len(self.nu), np.inf)
        self._size = np.ones(len(self.nu))

    def _random(self, k: int) -> FloatArray:
        """Random vectors, smoothed by G and a solve."""
        random = self._chance.standard_normal((self._pencil.n, k))
        random[~self._pencil.free] = 0.0
        image = self._pencil.g_product(random, np.empty_like(random))
        image[~self._pencil.free] = 0.0
        self._dual_out(image)
        size = np.sqrt(np.einsum("ij,ij->j", image, image))
        self._precondition.room(k)[:] = image / np.where(size > 0.0, size, 1.0)
        w = np.array(self._precondition.run(), np.float64)
        self._deflate(w)
        return w

    def _probe(self) -> None:
        """A random vector in the place of the last one: it shows pairs that none of the others has met."""
        z = self._random(1)
        kz, gz = self._images(z)
        energy = float(_gram(z, kz)[0, 0])
        self._refuse_negative(np.array([energy]))
        if energy == 0.0:
            return
        for block, column in ((self.x, z), (self._kx, kz), (self._gx, gz)):
            block[:, -1:] = column / np.sqrt(energy)
        self.nu[-1] = float(_gram(z, gz)[0, 0]) / energy
        self.error[-1], self._size[-1] = np.inf, 1.0
        self._foreign, self._probed_at = True, self.count

    def _probed(self) -> bool:
        """Whether a random vector has been iterated along for long enough to show what is missing."""
        if not self._wants_probe or len(self.nu) < 2:
            return True
        if self._probed_at is None:
            self._probe()
        assert self._probed_at is not None
        return self.count >= self._probed_at + self._precondition.steps_to_see

    def _drop_directions(self) -> None:
        self._p = np.empty((self._pencil.n, 0))
        self._kp = self._gp = self._p
        self._pgp = np.empty((0, 0))
        self._foreign = False

    def _dual_out(self, image: Array) -> None:
        """Leave of forces what does no work on the basis."""
        if self._basis.shape[1]:
            share = _gram(self._basis, image)
            self._run(self._kernels.deflate, self._dual, share, image)

    def _turn(self, c: FloatArray) -> None:
        """x = x c, and so its images."""
        for name in ("x", "_kx", "_gx"):
            setattr(self, name, _combined(getattr(self, name), c))

    def _refuse_negative(self, energy: FloatArray) -> None:
        if not np.isfinite(energy).all():
            raise ConvergenceError("eigenvectors came out as NaN; check material values and cell quality")
        if (energy < 0.0).any():
            raise ConvergenceError(
                "the stiffness is not positive definite: the prestress is beyond the load at which the part "
                "buckles, or a spring is negative"
            )

    # -- steps

    def run(self) -> None:
        """Iterate until the goal is met.

        Raises
        ------
        ConvergenceError
            If it is not.
        """
        best, best_at, most = np.inf, 0, 0
        while True:
            active = self._active()
            f = self._precondition.room(len(active))
            norm = self._residuals(active, f)
            if self._met(active, norm):
                return
            w = self._corrections(active, f, norm)
            worst = float(self.error[active].max())
            ready = self._n_kept + int((self.error <= self._goal.tolerance).sum())
            if worst < 0.7 * best or ready > most:
                best, best_at, most = min(worst, best), self.count, max(ready, most)
            if self.count >= self._goal.max_iterations or self.count - best_at > 60:
                raise ConvergenceError(
                    f"LOBPCG stopped after {self.count} iterations with {ready} pairs converged and a "
                    f"residual of {worst:.1e} (asked {self._goal.tolerance:.0e}); try solver=Direct(), or "
                    "check for cells of poor quality"
                )
            del f
            self._step(w)

    @property
    def _windows(self) -> bool:
        """Whether more is wanted than is iterated at once."""
        goal = self._goal
        return goal.count is None or goal.least is not None or self._n_kept + len(self.nu) < goal.count + 1

    def _active(self) -> IntArray:
        """Columns that get new directions: those not converged, filled up to a multiple of four."""
        rough = self.error > self._goal.tolerance
        if not rough.any():
            rough[-1] = True
        active = np.flatnonzero(rough)
        fill = -len(active) % 4
        if fill:
            rest = np.flatnonzero(~rough)
            rest = rest[np.argsort(-self.error[rest], kind="stable")][:fill]
            active = np.sort(np.concatenate([active, rest]))
        return active

    def _corrections(self, active: IntArray, f: Array, norm: FloatArray) -> FloatArray:
        """What the preconditioner makes of residuals f of some columns; their errors are updated."""
        w = np.empty((self._pencil.n, len(active)))
        self.error[active] = self._energies(f, self._size[active], w) / _away(self.nu[active])
        self._size[active] = np.where(norm > 0.0, norm, 1.0)
        return w

    def _energies(self, f: Array, size: FloatArray, w: FloatArray | None = None) -> FloatArray:
        """Square roots of r . B r of residuals r = size f, column by column; w, if given, becomes B f."""
        z = self._precondition.run()
        w = np.empty((self._pencil.n, f.shape[1])) if w is None else w
        parts = np.empty((_chunks(self._pencil.n), f.shape[1]))
        self._run(self._kernels.taken, f, z, np.ones(f.shape[1]), w, parts)
        energy = self._precondition.gain * parts.sum(axis=0)
        if not np.isfinite(energy).all():
            raise ConvergenceError("eigenvectors came out as NaN; check material values and cell quality")
        return np.asarray(np.sqrt(np.maximum(energy, 0.0)) * size)

    def _residuals(self, columns: IntArray, f: Array) -> FloatArray:
        """f = residuals over `_size`, of some columns; returns their norms."""
        norm = self._residuals_of(self._kx, self._gx, self.nu, columns, self._size[columns], f)
        far = ~(np.abs(np.log10(np.maximum(norm, 1e-300) / self._size[columns])) < 6.0) & (norm > 0.0)
        if far.any():
            self._size[columns] = np.where(norm > 0.0, norm, 1.0)
            norm = self._residuals_of(self._kx, self._gx, self.nu, columns, self._size[columns], f)
        self._dual_out(f)
        return norm

    def _residuals_of(
        self, kx: FloatArray, gx: FloatArray, nu: FloatArray, columns: IntArray, size: FloatArray, f: Array
    ) -> FloatArray:
        """f = (G x - nu K x) / size; returns the norms of the residuals."""
        parts = np.empty((_chunks(self._pencil.n), len(columns)))
        scale = 1.0 / np.where(size > 0.0, size, 1.0)
        self._run(self._kernels.residuals, self._pencil.free, kx, gx, nu, columns, scale, f, parts)
        return np.asarray(np.sqrt(parts.sum(axis=0)))

    def _step(self, w: FloatArray) -> None:
        """The best vectors in the span of x, w and p."""
        self.count += 1
        self._deflate(w)
        kw, gw = self._images(w)
        x, p = self.x, self._p
        m, k, n_p = x.shape[1], w.shape[1], p.shape[1]
        parts = np.empty((_chunks(self._pencil.n), 2, m + k + n_p, k))
        self._run(self._kernels.grams, x, w, p, kw, gw, parts)
        new = parts.sum(axis=0)
        del parts
        span, old, fresh = slice(m, m + k), slice(0, m), slice(m + k, m + k + n_p)
        hk, hg = np.eye(m + k + n_p), np.zeros((m + k + n_p, m + k + n_p))
        hg[old, old], hg[fresh, fresh] = np.diag(self.nu), self._pgp
        if self._foreign:  # a vector came in from outside: nothing is orthogonal to it
            for h, with_x in ((hk, self._kx), (hg, self._gx)):
                h[old, old], h[fresh, old] = _gram(x, with_x), _gram(p, with_x)
                h[old, fresh] = h[fresh, old].T
            self._foreign = False
        for h, block in ((hk, new[0]), (hg, new[1])):
            h[:, span], h[span, :] = block, block.T
            h[span, span] = 0.5 * (block[span] + block[span].T)
        self._refuse_negative(np.diag(hk))
        done = self.error <= self._goal.tolerance
        move = 0
        if self._windows:
            move = len(done) if done.all() else int(np.argmin(done))
            move = min(4 * (move // 4), m - 4) if move >= 8 else 0
        many = min(m + move, m + k + n_p)
        rough = np.flatnonzero(np.concatenate([~done[move:], np.ones(move, bool)]))[: many - move]
        ritz = _ritz(hk, hg, self._goal, many, m, move + rough[move + rough < many])
        coefficients = np.concatenate([ritz.x, ritz.p], axis=1)
        parts_of = [np.ascontiguousarray(coefficients[s]) for s in (old, span, fresh)]
        n_new, n_dir = ritz.x.shape[1], ritz.p.shape[1]
        sets = ((x, w, p), (self._kx, kw, self._kp), (self._gx, gw, self._gp))
        made = []
        for a, b, c in sets:
            new_x = a if n_new == m else np.empty((self._pencil.n, n_new))
            new_p = b if n_dir == k else c if n_dir == n_p else np.empty((self._pencil.n, n_dir))
            self._run(self._kernels.combine, a, b, c, *parts_of, new_x, new_p)
            made.append((new_x, new_p))
        (self.x, self._p), (self._kx, self._kp), (self._gx, self._gp) = made
        self.nu, self._pgp = ritz.nu, ritz.pgp
        error = np.full(n_new, np.inf)
        same = min(m, n_new)
        stays = np.abs(np.diag(ritz.x[:same, :same])) > 0.9  # another order means other errors
        error[:same] = np.where(stays, self.error[:same], np.inf)
        size = np.ones(n_new) * float(np.median(self._size))
        size[:same] = self._size[:same]
        self.error, self._size = error, size
        if move:
            self._keep(move)
        if self.count % _REFRESH == 0:
            self._refresh()
        if self._wants_probe and self._probed_at is None and self._nearly():
            self._probe()
        if self._progress is not None:
            ready = self._n_kept + int((self.error <= self._goal.tolerance).sum())
            self._progress.advance(0.0, f"iteration {self.count}, {ready} pairs")

    def _keep(self, many: int) -> None:
        """Move the first columns to the basis that is deflated."""
        x, kx = self.x[:, :many], self._kx[:, :many].copy()
        kx[~self._pencil.free] = 0.0
        self._basis = np.concatenate([self._basis, x], axis=1)
        self._dual = np.concatenate([self._dual, kx], axis=1)
        self._kept_nu = np.concatenate([self._kept_nu, self.nu[:many]])
        self._kept_error = np.concatenate([self._kept_error, self.error[:many]])
        self._n_kept += many
        for name in ("x", "_kx", "_gx"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[:, many:]))
        self.nu, self.error, self._size = self.nu[many:], self.error[many:], self._size[many:]

    def _refresh(self) -> None:
        """Images anew from the vectors, and pairs from these: what combinations have rounded is gone."""
        self._deflate(self.x)
        self._kx, self._gx = self._images(self.x)
        hk, hg = _gram(self.x, self._kx), _gram(self.x, self._gx)
        self._refuse_negative(np.diag(hk))
        ritz = _ritz(hk, hg, self._goal, len(self.nu), 0, np.empty(0, np.int64))
        assert len(ritz.nu) == len(self.nu)
        self.nu = ritz.nu
        self._turn(ritz.x)
        self._drop_directions()

    def _nearly(self) -> bool:
        """Whether what is wanted comes in sight, so that a random vector can catch up."""
        return self._enough(_IN_SIGHT) is not None

    def _enough(self, tolerance: float) -> int | None:
        """How many pairs are the answer; None to go on."""
        nu, error = self._together()
        order = self._goal.order(nu)
        nu, error = nu[order], error[order]
        key = self._goal.key(nu)
        rest = np.where(np.isfinite(error), error, np.inf) * np.abs(nu)  # how far nu may be off
        floor = max(self._goal.floor, _NOTHING * float(key.max(initial=0.0)))
        goal = self._goal
        if self._exhausted and goal.count is not None:
            goal = replace(goal, count=min(goal.count, len(nu)))
        many = goal.enough(nu, error <= tolerance, key + rest < floor)
        if many is None and self._exhausted and (error <= tolerance).all():
            return len(nu) if goal.least is None else int((key >= goal.least).sum())
        return many

    def _together(self) -> tuple[FloatArray, FloatArray]:
        """nu and errors of the pairs kept and of those at work."""
        return np.concatenate([self._kept_nu, self.nu]), np.concatenate([self._kept_error, self.error])

    def _met(self, active: IntArray, norm: FloatArray) -> bool:
        """Whether the goal is met: first by what residuals promise, then by pairs made anew."""
        goal, usual = self._goal, self.error.copy()
        self.error[active] *= norm / self._size[active]
        many = self._enough(goal.tolerance)
        self.error = usual
        if many is None or not self._probed():
            return False
        kept = self._n_kept
        self._unite()
        many = self._enough(goal.tolerance)
        if many is None:
            self._part(kept)
            return False
        self.x = np.ascontiguousarray(self.x[:, :many])
        self.nu, self.error = self.nu[:many], self.error[:many]
        return True

    def _unite(self) -> None:
        """All pairs, kept or not, from products made anew, with true errors; `x` holds all of them."""
        first = self._basis[:, self._pencil.rigid.shape[1] :]
        nu, _ = self._together()
        order = self._goal.order(nu)
        self._drop_directions()
        self._kx = self._gx = self._p
        v = np.concatenate([first, self.x], axis=1)[:, order] if first.shape[1] else self.x
        self.x = v = np.ascontiguousarray(v)
        self._basis, self._dual = self._pencil.rigid, self._pencil.dual
        self._n_kept, self._kept_nu, self._kept_error = 0, np.empty(0), np.empty(0)
        self._deflate(v)
        n = v.shape[1]
        hk, hg = np.empty((n, n)), np.empty((n, n))
        for some in _blocks(n):
            kb, gb = self._images(np.ascontiguousarray(v[:, some]))
            hk[:, some], hg[:, some] = _gram(v, kb), _gram(v, gb)
        self._refuse_negative(np.diag(hk))
        ritz = _ritz(0.5 * (hk + hk.T), 0.5 * (hg + hg.T), self._goal, n, 0, np.empty(0, np.int64))
        assert len(ritz.nu) == n
        self.x, self.nu = _combined(v, ritz.x), ritz.nu
        self.error, self._size = np.full(n, np.inf), np.ones(n)
        for some in _blocks(n):
            kb, gb = self._images(np.ascontiguousarray(self.x[:, some]))
            columns = np.arange(kb.shape[1])
            f = self._precondition.room(len(columns))
            norm = np.ones(len(columns))
            for _ in range(2):
                norm = self._residuals_of(kb, gb, self.nu[some], columns, norm, f)
            self.error[some] = self._energies(f, norm) / _away(self.nu[some])
            self._size[some] = norm

    def _part(self, kept: int) -> None:
        """Go on after `_unite`: as many as before are kept, those that have converged best."""
        ready = np.argsort(self.error, kind="stable")[:kept]
        rest = np.setdiff1d(np.arange(len(self.nu)), ready)
        order = np.concatenate([np.sort(ready), rest])
        self.x = np.ascontiguousarray(self.x[:, order])
        self.nu, self.error, self._size = self.nu[order], self.error[order], self._size[order]
        self._kx, self._gx = self._images(self.x)
        if kept:
            self._keep(kept)


class _Ritz(NamedTuple):
    """Ritz values, coefficients of vectors and of directions orthogonal to them, and G on the directions."""

    nu: FloatArray
    x: FloatArray
    p: FloatArray
    pgp: FloatArray


def _ritz(hk: FloatArray, hg: FloatArray, goal: _Goal, many: int, n_old: int, columns: IntArray) -> _Ritz:
    """Rayleigh-Ritz on a basis of which hk and hg are the Gram matrices in K and G.

    Parameters
    ----------
    many : int
        Ritz vectors wanted.
    n_old : int
        Leading vectors of the basis that are those of before.
    columns : int64[k]
        Ritz vectors of which the step, that is all but the part along those of before, is kept.
    """
    weight = 1.0 / np.sqrt(np.diag(hk))
    size, turn = linalg.eigh(weight[:, None] * hk * weight)
    kept = size > _DROPPED * size[-1]
    size, turn = np.sqrt(size[kept]), turn[:, kept]
    basis = weight[:, None] * (turn / size)
    inner = basis.T @ hg @ basis
    nu, y = linalg.eigh(0.5 * (inner + inner.T))
    order = np.argsort(-goal.key(nu), kind="stable")[:many]
    nu, y = nu[order], y[:, order]
    x = basis @ y
    if not columns.size or not n_old:
        return _Ritz(nu, x, np.empty((len(hk), 0)), np.empty((0, 0)))
    step = x[:, columns[columns < x.shape[1]]].copy()
    step[:n_old] = 0.0
    z = size[:, None] * (turn.T @ (step / weight[:, None]))
    length = np.linalg.norm(z, axis=0)
    z = z[:, length > 0.0] / length[length > 0.0]
    for _ in range(2):
        z -= y @ (y.T @ z)
    q, r, _ = linalg.qr(z, mode="economic", pivoting=True)
    rank = int((np.abs(np.diag(r)) > 1e-8).sum())
    q = q[:, :rank]
    q -= y @ (y.T @ q)
    return _Ritz(nu, x, basis @ q, q.T @ inner @ q)
