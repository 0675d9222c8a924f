"""Sparse direct solution: our own multifrontal factors, refined and checked.

For small systems, flat and nearly incompressible ones, indefinite ones, many right-hand sides, and what
iteration does not solve. A system of a few hundred unknowns goes to LAPACK whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

from designtwin.errors import ConvergenceError, ModelError, ResourceError
from designtwin.memory import free_bytes
from designtwin.solvers import dense
from designtwin.solvers.dense import NotDefiniteError
from designtwin.solvers.singular import (
    NULL_LEVEL,
    null_share,
    refuse_empty_rows,
    refuse_null_vectors,
    rounding_level,
    singular_error,
)
from designtwin.solvers.solution import Solution, columns_of, relative_residual
from designtwin.solvers.system import SparseMatrix, System
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.solvers.multifrontal import Symbolic

_RATE = 4e10  # floating-point operations a second of one thread in a matrix product
_ORDER = 5e-6  # seconds per unknown for an order of elimination
DENSE_UP_TO = 400  # free unknowns below which one dense array is the fastest
_PROBES = 12  # vectors in the search for free motions: two bodies' worth at once
_REFINE_ABOVE = 1e-12  # relative residual; a factor that is any good leaves less
_SOFT_IN_SINGLE = 1e-6  # a share of forces (see `singular.null_share`) that float32 cannot tell from zero
_KEPT = 2  # layouts kept for systems with the same pattern: Newton steps, changed materials


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a factorization would take, known before it is made.

    Parameters
    ----------
    seconds : float
        Wall time of analysis, factorization and one solve on two threads of a usual machine: a choice that
        rests on it is the same on all machines and at any time, and with it the digits.
    bytes : float
        Memory at the fullest moment, beyond the matrix.
    flops : float
        Floating-point operations, a multiplication and an addition counted as two.
    fill : float
        Numbers in the factor over numbers in a triangle of the matrix.
    """

    seconds: float
    bytes: float
    flops: float
    fill: float


class _Factors(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def negative(self) -> int: ...

    @property
    def lifted(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    def solve(self, f: FloatArray) -> FloatArray: ...


@dataclass(frozen=True, kw_only=True)
class Direct:
    """Factor the free rows and columns once, then solve for as many right-hand sides as wanted.

    Parameters
    ----------
    memory_limit : float or None
        Bytes the factorization may take; None means what is free now. Compared with an estimate before
        factoring.
    precision : "double" or "single"
        Of the factor. Single halves its memory; conjugate gradients in double around it restore the digits.
        Where single precision breaks down, double takes over and the solution says so.
    backend : "auto", "own", "pardiso" or "superlu"
        auto takes our own factors, and PARDISO (if pypardiso can be imported) or SuperLU where pivots of an
        indefinite system come out too small for ours.
    """

    memory_limit: float | None = None
    precision: Literal["double", "single"] = "double"
    backend: Literal["auto", "own", "pardiso", "superlu"] = "auto"

    def factorize(self, system: System) -> DirectFactorization:
        """Factor the system.

        Raises
        ------
        SingularSystemError
            If a free unknown has no stiffness or a motion costs no energy; `.dofs` and `.motions` say which.
        ModelError
            If a number of the matrix is NaN or infinite.
        ResourceError
            If the factorization would take more memory than there is, or PARDISO is asked for and absent.
        """
        started = time.perf_counter()
        refuse_empty_rows(system)
        _refuse_no_numbers(system)
        try:
            factors, share, notes = _factor_or_name(self, system)
        except MemoryError as error:
            raise ResourceError(
                f"memory ran out while factoring {len(system.free_index)} unknowns; {_alternative(system)}"
            ) from error
        if share < 1e-12:
            digits = max(1, int(np.log10(share / np.finfo(float).eps)))
            notes += (f"the softest motion is so soft that about {digits} digits of displacement are safe",)
        return DirectFactorization(system, factors, time.perf_counter() - started, notes)


def estimate(system: System, *, precision: Literal["double", "single"] = "double") -> Estimate:
    """What Direct() would take for a system, from the order of elimination; the layout is kept for factoring.

    Needs the assembled pattern: `system.matrix()` is made. `rough_estimate` needs nothing.
    """
    n = len(system.free_index)
    matrix = system.matrix()
    if n <= DENSE_UP_TO:
        return Estimate(seconds=1e-3 + n**3 / 3e10, bytes=16.0 * n * n, flops=n**3 / 3.0, fill=1.0)
    from designtwin import parallel

    layout = layout_of(system)
    threads = parallel.threads()
    width = 8.0 if precision == "double" else 4.0
    speed = _RATE * (1.0 if precision == "double" else 1.9)
    # measured on boxes, brackets, plates: work on small fronts runs at a third of the rate of large ones,
    # and clearing and filling memory costs about 1 ns a byte
    work = 1.15 * layout.flops + 2.0 * layout.shallow_flops
    moved = 1.2e-9 * width * layout.peak_entries(2)
    return Estimate(
        seconds=_ORDER * n + (work / speed + moved) / 1.9,
        bytes=width * layout.peak_entries(threads) + 24.0 * n,
        flops=layout.flops,
        fill=layout.entries / max(0.5 * (matrix.nnz + matrix.shape[0]), 1.0),
    )


def rough_estimate(n_free: int) -> Estimate:
    """What Direct() would take for a compact solid of tetra10, by size alone; flat parts take far less.

    Fitted to brackets of 36k and 111k unknowns (4.8 and 60 Gflop, 0.13 and 0.77 GB).
    """
    flops = 60e9 * (n_free / 120e3) ** 2.05
    size = 0.77e9 * (n_free / 120e3) ** 1.4
    seconds = flops / (0.6 * _RATE * 2.0) + 1e-5 * n_free
    return Estimate(seconds=seconds, bytes=size, flops=flops, fill=size / 8.0 / (40.0 * n_free))


@dataclass(frozen=True, eq=False)
class DirectFactorization:
    """Factors of one system."""

    system: System
    factors: Any
    setup_seconds: float
    notes: tuple[str, ...] = ()

    @property
    def negative(self) -> int | None:
        """Negative eigenvalues of the free part (Sturm count); None where the backend does not tell."""
        count = self.factors.negative
        return None if count < 0 else int(count)

    @property
    def nbytes(self) -> int:
        """Bytes of the factor."""
        return int(self.factors.nbytes)

    def solve(self, f: FloatArray) -> Solution:
        """Solve A x = f for f[n_dof] or f[n_dof, n_rhs], with iterative refinement.

        Raises
        ------
        ConvergenceError
            If refinement leaves a residual above what rounding explains.
        ModelError
            If f is not finite.
        """
        started = time.perf_counter()
        system = self.system
        rhs = columns_of(system, f)
        x = np.zeros_like(rhs)
        steps = np.zeros(rhs.shape[1], np.int64)
        residual = np.zeros(rhs.shape[1])
        active = np.flatnonzero(np.abs(rhs).max(axis=0, initial=0.0) > 0.0)
        if active.size and system.free_index.size:
            some = rhs if active.size == rhs.shape[1] else np.ascontiguousarray(rhs[:, active])
            found = self.factors.solve(some)
            left = relative_residual(system, some, found)
            if _is_single(self.factors) and system.definite:
                found, left, steps[active] = _conjugate_gradients(system, self.factors, some, found)
            found, left, refined = _refine(system, self.factors, some, found, left)
            x[:, active], residual[active] = found, left
            steps[active] += refined
            self._check(rhs, x, residual)
        seconds = {"set-up": self.setup_seconds, "solve": time.perf_counter() - started}
        return Solution(
            x=x.reshape(np.shape(f)),
            iterations=steps,
            residual=residual,
            seconds=seconds,
            solver=f"Direct ({self.factors.name})",
            notes=self.notes,
        )

    def _check(self, rhs: FloatArray, x: FloatArray, residual: FloatArray) -> None:
        if np.isfinite(residual).all() and (residual < 1e-10).all():
            return
        size = np.linalg.norm(rhs, axis=0)
        failed = ~(residual * size <= np.maximum(1e-10 * size, rounding_level(self.system, rhs, x)))
        if failed.any():
            raise ConvergenceError(
                f"the direct solution left a residual of {residual[failed].max():.1e} after refinement; "
                "the system is close to singular: check supports, stiffness contrasts and cell quality"
            )


def _refine(
    system: System, factors: _Factors, rhs: FloatArray, x: FloatArray, residual: FloatArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Iterative refinement of the columns that need it: solution, relative residual, steps taken."""
    steps = np.zeros(len(residual), np.int64)
    rough = np.flatnonzero(~(residual < _REFINE_ABOVE))
    for _ in range(20 if factors.lifted else 5):
        if not rough.size:
            break
        some = np.ascontiguousarray(x[:, rough])
        trial = some + factors.solve(rhs[:, rough] - system.apply(some))
        now = relative_residual(system, rhs[:, rough], trial)
        better = now < 0.5 * residual[rough]
        x[:, rough[better]], residual[rough[better]] = trial[:, better], now[better]
        steps[rough[better]] += 1
        rough = rough[better & (now > 0.1 * _REFINE_ABOVE)]
    return x, residual, steps


def _conjugate_gradients(
    system: System, factors: _Factors, rhs: FloatArray, x: FloatArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Conjugate gradients around factors of single precision, all columns side by side."""
    size = np.linalg.norm(rhs, axis=0)
    r = rhs - system.apply(x)
    p = np.zeros_like(r)
    before = np.ones(r.shape[1])
    steps = np.zeros(r.shape[1], np.int64)
    active = np.linalg.norm(r, axis=0) > 1e-13 * size
    for step in range(40):
        if not active.any():
            break
        scale = np.maximum(np.linalg.norm(r, axis=0), 1e-300)
        z = factors.solve(r / scale) * scale
        now = np.einsum("ij,ij->j", r, z)
        p = z + p * (now / before if step else 0.0)
        before = np.where(now > 0.0, now, 1.0)
        q = system.apply(p)
        curvature = np.einsum("ij,ij->j", p, q)
        along = np.where(active & (curvature > 0.0), now / np.where(curvature > 0.0, curvature, 1.0), 0.0)
        x += along * p
        r -= along * q
        steps += active
        active &= np.linalg.norm(r, axis=0) > 1e-13 * size
    return x, relative_residual(system, rhs, x), steps


# ---- which factors -----------------------------------------------------------------------------------------


def _factor_or_name(settings: Direct, system: System) -> tuple[_Factors, float, tuple[str, ...]]:
    """Factors, the softest motion's share and what to tell, after making sure that no motion is free."""
    if not system.free_index.size:
        return _Nothing(), 1.0, ()
    notes: tuple[str, ...] = ()
    try:
        factors = _factors(settings, system, definite=system.definite)
    except NotDefiniteError as broken:
        if settings.precision == "single":
            plain = replace(settings, precision="double")
            again, share, more = _factor_or_name(plain, system)
            return again, share, ("single precision broke down; factored in double", *more)
        # a slightly stiffer system shows what moves
        held = _held(system)
        with contextlib.suppress(NotDefiniteError):
            _refuse_free_motions(system, _factors(settings, held, definite=True))
        factors = _factors(settings, system, definite=False)
        if factors.negative > 0:
            notes = (f"the matrix is not positive definite: {factors.negative} negative eigenvalues",)
        if factors.lifted:
            raise singular_error(system.free_index, "depend on each other") from broken
    share = _refuse_free_motions(system, factors)
    if _is_single(factors) and share < _SOFT_IN_SINGLE:
        again, share, more = _factor_or_name(replace(settings, precision="double"), system)
        return again, share, ("too soft for single precision; factored in double", *more)
    if factors.lifted and settings.backend == "auto":
        other = _instead(system)
        if other is not None:
            count = factors.lifted
            return other, share, (f"{other.name} took over: {count} pivots were too small for ours", *notes)
    return factors, share, notes


def _refuse_no_numbers(system: System) -> None:
    matrix = system.matrix()
    if np.isfinite(matrix.data.sum()):
        return
    entries = matrix.tocoo()
    bad = np.unique(entries.row[~np.isfinite(entries.data)])
    bad = bad[system.free[bad]]
    if bad.size:
        shown = ", ".join(str(dof) for dof in bad[:5]) + (", ..." if bad.size > 5 else "")
        raise ModelError(
            f"the matrix is NaN or infinite at {bad.size} unknowns ({shown}); "
            "check material values, spring stiffness and cells without volume"
        )


def _held(system: System) -> System:
    """The system with a little stiffness more on every diagonal entry."""
    from designtwin.solvers.system import MatrixTerm

    matrix = system.matrix().tocsr()
    diagonal = np.abs(matrix.diagonal())
    diagonal[diagonal == 0.0] = diagonal.max(initial=1.0)
    stiffer = (matrix + sparse.diags_array(1e-10 * diagonal)).tocsr()
    return replace(system, terms=(MatrixTerm(stiffer),), coarse=None)


def _instead(system: System) -> _Factors | None:
    """Factors with pivoting across the whole matrix, where they can be had."""
    try:
        return _pardiso(system, definite=False) or _SuperLU.of(system, definite=False)
    except (RuntimeError, MemoryError):
        return None


def _factors(settings: Direct, system: System, *, definite: bool) -> _Factors:
    n = len(system.free_index)
    if settings.backend == "pardiso":
        found = _pardiso(system, definite=definite)
        if found is None:
            raise ResourceError("Direct(backend='pardiso') needs the package pypardiso; leave backend out")
        return found
    if settings.backend == "superlu":
        _refuse_too_large(settings, system, estimated_bytes(system.matrix()))
        try:
            return _SuperLU.of(system, definite=definite)
        except RuntimeError as exact:  # "Factor is exactly singular"
            raise NotDefiniteError(-1) from exact
    if settings.backend == "auto" and n <= DENSE_UP_TO:
        _refuse_too_large(settings, system, 16.0 * n * n)
        return dense.factor(system.matrix(), system.free, definite=definite)
    from designtwin import parallel
    from designtwin.solvers import multifrontal

    layout = layout_of(system)
    single = settings.precision == "single"
    need = (4.0 if single else 8.0) * layout.peak_entries(parallel.threads())
    _refuse_too_large(settings, system, need, single=single)
    return multifrontal.factor(
        layout, system.matrix(), definite=definite, dtype=np.float32 if single else np.float64
    )


def _is_single(factors: Any) -> bool:
    values = getattr(factors, "values", None)
    return values is not None and values.dtype == np.float32


_layouts: OrderedDict[bytes, Symbolic] = OrderedDict()


def layout_of(system: System) -> Symbolic:
    """The order and fronts of a system, kept for the next with the same pattern."""
    from designtwin.solvers import multifrontal

    matrix = system.matrix()
    mark = hashlib.blake2b(digest_size=16)
    for array in (matrix.indptr, matrix.indices, system.free):
        mark.update(np.ascontiguousarray(array).data)
    mark.update(repr((matrix.format, matrix.shape, matrix.data.shape, system.block, system.extra)).encode())
    key = mark.digest()
    layout = _layouts.get(key)
    if layout is None:
        layout = multifrontal.analyze(matrix, system.free, block=system.block, extra=system.extra)
        _layouts[key] = layout
        while len(_layouts) > _KEPT:
            _layouts.popitem(last=False)
    else:
        _layouts.move_to_end(key)
    return layout


def _refuse_too_large(settings: Direct, system: System, need: float, *, single: bool = False) -> None:
    limit = settings.memory_limit if settings.memory_limit is not None else free_bytes()
    if limit is None or need <= limit:
        return
    what = _alternative(system)
    if not single and settings.backend in ("auto", "own") and 0.5 * need <= limit and system.definite:
        what = f"Direct(precision='single') takes {_size(0.5 * need)}; or {what}"
    raise ResourceError(
        f"a direct solution of {len(system.free_index)} unknowns needs about {_size(need)}; "
        f"{_size(limit)} are free; {what}"
    )


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e9:.4f} GB"


def _alternative(system: System) -> str:
    if system.definite and not system.extra:
        return "use MultigridCG(), a coarser mesh, or more memory"
    return "use a coarser mesh or more memory"


def _refuse_free_motions(system: System, factors: _Factors) -> float:
    """Inverse iteration: a motion that costs nothing grows without bound, so two steps show it.

    Returns the share of its forces that the softest motion leaves after cancellation (see
    `singular.null_share`).
    """
    index = system.free_index
    diagonal = np.abs(system.diagonal())[index]
    diagonal[diagonal == 0.0] = diagonal.max(initial=1.0)
    weight = np.sqrt(diagonal)
    share = np.inf
    vectors = np.zeros((system.n_dof, 0))
    for probes in (1, min(_PROBES, diagonal.size)):  # one vector tells whether, several tell which
        z = np.random.default_rng(11).standard_normal((diagonal.size, probes)) / weight[:, None]
        for _ in range(2):
            force = np.zeros((system.n_dof, probes))
            force[index] = diagonal[:, None] * z
            z = factors.solve(force)[index]
            if not np.isfinite(z).all():
                raise singular_error(index, "depend on each other")
            z = np.linalg.qr(weight[:, None] * z)[0] / weight[:, None]
        vectors = np.zeros((system.n_dof, probes))
        vectors[index] = z
        if factors.lifted:  # of a matrix a little off: take out what costs energy, twice
            for _ in range(2):
                vectors = vectors - factors.solve(system.apply(vectors))
        share = float(null_share(system, vectors).min())
        if probes == 1 and (share > NULL_LEVEL or _is_single(factors)):
            return share
    refuse_null_vectors(system, vectors)
    return share


# ---- other backends ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Nothing:
    """Where everything is fixed."""

    name: str = "nothing free"
    negative: int = 0
    lifted: int = 0
    nbytes: int = 0

    def solve(self, f: FloatArray) -> FloatArray:
        return np.zeros_like(f)


@dataclass(frozen=True, eq=False)
class _SuperLU:
    """scipy's SuperLU in its symmetric mode; pivots of any size, slow."""

    index: Any
    factors: Any
    negative: int = -1
    lifted: int = 0
    name: str = "SuperLU"

    @classmethod
    def of(cls, system: System, *, definite: bool) -> _SuperLU:
        return cls(
            system.free_index,
            sparse_linalg.splu(
                system.free_matrix(),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0 if definite else 0.01,
                options={"SymmetricMode": True, "Equil": False},
            ),
        )

    @property
    def nbytes(self) -> int:
        return int(12 * self.factors.nnz)

    def solve(self, f: FloatArray) -> FloatArray:
        out = np.zeros_like(f)
        out[self.index] = self.factors.solve(np.asfortranarray(f[self.index]))
        return out


@dataclass(frozen=True, eq=False)
class _Pardiso:
    """MKL PARDISO through pypardiso."""

    index: Any
    matrix: Any
    solver: Any
    negative: int = -1
    lifted: int = 0
    name: str = "PARDISO"

    @property
    def nbytes(self) -> int:
        return int(8 * self.solver.get_iparm(18))

    def solve(self, f: FloatArray) -> FloatArray:
        out = np.zeros_like(f)
        self.solver.set_phase(33)
        x = self.solver._call_pardiso(self.matrix, np.asfortranarray(f[self.index]))
        out[self.index] = np.asarray(x).reshape(len(self.index), -1)
        return out


def _pardiso(system: System, *, definite: bool) -> _Pardiso | None:
    try:
        from pypardiso import PyPardisoSolver
    except (ImportError, OSError):
        return None
    index = system.free_index
    matrix = system.matrix().tocsr()[index][:, index]
    upper = sparse.triu(matrix + sparse.diags_array(np.zeros(len(index))), format="csr")
    upper.sort_indices()
    solver = PyPardisoSolver(mtype=2 if definite else -2)
    solver.set_phase(12)
    try:
        solver._call_pardiso(upper, np.zeros((len(index), 1)))
    except Exception as failed:  # its own error type, with a number
        if definite:
            raise NotDefiniteError(-1) from failed
        raise RuntimeError(str(failed)) from failed
    return _Pardiso(index, upper, solver)


def estimated_bytes(matrix: SparseMatrix) -> float:
    """Rough size of SuperLU's factors of a symmetric matrix [n, n], growing as n^(4/3)."""
    n = matrix.shape[0]
    per_row = matrix.nnz / max(n, 1)
    return float(16.0 * n * (per_row + 0.35 * per_row * max(n, 1) ** (1.0 / 3.0)))
