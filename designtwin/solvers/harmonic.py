"""Steady vibration without modes: (K + i H + i w C - w^2 M) q = f at many frequencies.

A complex factorization at every frequency would answer everything, and cost as much as hundreds of static
analyses. Answers of neighboring frequencies lie close to one small space. It grows here by what factors at
one frequency give (the answer and its derivatives over frequency), there where the residual of the answer
from the space is largest, until it is small at every frequency. So each answer is checked against the full
equations, whichever way it was found.

Sources: Grimme, Krylov projection methods for model reduction, thesis, Illinois (1997), for the space;
Hetmaniuk, Tezaur and Farhat, IJNME 93 (2013) 636-662, for its growth by residuals in frequency sweeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse import linalg as sparse_linalg

from designtwin.errors import ConvergenceError, ResourceError
from designtwin.memory import free_bytes
from designtwin.solvers.direct import DENSE_UP_TO
from designtwin.solvers.system import SparseMatrix
from designtwin.typing import BoolArray, FloatArray, IntArray

ComplexArray: TypeAlias = NDArray[np.complex128]

TOLERANCE = 1e-8
"""Relative residual at which an answer is accepted."""
_ROUNDING = 1e-6
"""Relative residual that is still let pass where rounding keeps factors themselves from less."""
_MOMENTS = 2
"""Derivatives over frequency that each factorization adds."""
_DEPENDENT = 1e-12
"""What orthogonalization leaves of a vector that adds nothing."""
_REFINE_ABOVE = 1e-13
_BEYOND = 1e13
"""Answer over load, in units of the stiffness on the diagonal, of which no digit is left."""
_CHUNK_BYTES = 64_000_000


class DynamicStiffness:
    """K + i H + i w C - w^2 M of one model, for any circular frequency w.

    Parameters
    ----------
    stiffness, mass : CSR or BSR [n_dof, n_dof]
        N/m and kg, all rows and columns, fixed ones too.
    damping, hysteresis : CSR or BSR, or None
        Viscous, N s/m; and what the stiffness has as imaginary part, N/m.
    free : bool[n_dof]
    block : int
        Unknowns per node.
    extra : int
        Unknowns after the nodal ones.
    """

    def __init__(
        self, stiffness: SparseMatrix, mass: SparseMatrix, damping: SparseMatrix | None = None,
        hysteresis: SparseMatrix | None = None, *, free: BoolArray, block: int = 1, extra: int = 0,
    ) -> None:  # fmt: skip
        self.free, self.block, self.extra = free, block, extra
        parts = [stiffness, mass, damping, hysteresis]
        shape = (block, block)
        fits = extra == 0 and len(free) % block == 0
        stored = [None if p is None else _sorted(p.tobsr(shape) if fits else p.tocsr()) for p in parts]
        self._parts = stored
        self._pattern, self._values = _aligned([p for p in stored if p is not None])
        self._given = [i for i, p in enumerate(stored) if p is not None]
        self.index: IntArray = np.flatnonzero(free)

    @property
    def n_dof(self) -> int:
        """Unknowns, fixed ones too."""
        return len(self.free)

    @property
    def damped(self) -> bool:
        """Whether anything takes energy out."""
        return any(p is not None and bool(np.any(p.data)) for p in self._parts[2:])

    @property
    def is_dense(self) -> bool:
        """Whether one dense array is the fastest."""
        return len(self.index) <= DENSE_UP_TO

    def weights(self, omega: float) -> tuple[complex, complex, complex, complex]:
        """Factors of K, M, C and H."""
        return 1.0 + 0.0j, complex(-omega * omega), 1j * omega, 1j

    def at(self, omega: float) -> SparseMatrix:
        """The complex matrix at a circular frequency, rad/s."""
        weights = self.weights(omega)
        data = sum(weights[i] * values for i, values in zip(self._given, self._values, strict=True))
        _, indptr, indices, kind = self._pattern
        make = sparse.bsr_array if kind == "bsr" else sparse.csr_array
        return make((np.asarray(data, np.complex128), indices, indptr), shape=(self.n_dof, self.n_dof))

    def products(self, q: FloatArray) -> list[FloatArray | None]:
        """K q, M q, C q and H q for real q[n_dof, k], zero where fixed; None for what is not there."""
        free = self.free[:, None]
        return [None if p is None else np.where(free, np.asarray(p @ q), 0.0) for p in self._parts]

    def apply(self, omega: float, q: ComplexArray) -> ComplexArray:
        """The matrix at a circular frequency times complex q[n_dof] or [n_dof, k]."""
        columns = q.reshape(self.n_dof, -1)
        both = np.ascontiguousarray(np.concatenate([columns.real, columns.imag], axis=1))
        k = columns.shape[1]
        out = np.zeros(columns.shape, np.complex128)
        for weight, product in zip(self.weights(omega), self.products(both), strict=True):
            if product is not None:
                out += weight * (product[:, :k] + 1j * product[:, k:])
        return out.reshape(q.shape)

    @cached_property
    def scale(self) -> FloatArray:
        """Root of the stiffness at each unknown, float64[n_dof]: forces over it compare with each other."""
        stiffness = self._parts[0]
        assert stiffness is not None
        diagonal = np.abs(stiffness.diagonal())
        diagonal[~self.free] = 0.0
        diagonal[diagonal == 0.0] = diagonal.max(initial=0.0) or 1.0
        return np.asarray(np.sqrt(diagonal))

    def size_of(self, force: NDArray[Any]) -> FloatArray:
        """Norms of forces [n_dof, k] in which residuals are told: over `scale`, float64[k]."""
        return np.asarray(np.linalg.norm(force / self.scale[:, None], axis=0))

    @cached_property
    def _layout(self) -> Any:
        from designtwin.solvers import multifrontal

        return multifrontal.analyze(self.at(1.0), self.free, block=self.block, extra=self.extra)

    def factorize(self, omega: float) -> Factors:
        """Factors at a circular frequency, rad/s.

        Raises
        ------
        ResourceError
            If they would take more memory than there is.
        """
        matrix = self.at(omega)
        if self.is_dense:
            factors = linalg.lu_factor(self._of_free(matrix).toarray(), check_finite=False)

            def solve(f: ComplexArray) -> ComplexArray:
                return np.asarray(linalg.lu_solve(factors, f, check_finite=False))

            return Factors(self, omega, self._on_free(solve), "dense LU")
        from designtwin import parallel
        from designtwin.solvers import multifrontal

        layout = self._layout
        need, have = 16.0 * layout.peak_entries(parallel.threads()), free_bytes()
        if have is not None and need > have:
            raise ResourceError(
                f"a complex factorization of {len(self.index):,} unknowns needs about {need / 1e9:.1f} GB; "
                f"{have / 1e9:.1f} GB are free; use method='modal', a coarser mesh, or more memory"
            )
        made = multifrontal.factor(layout, matrix, definite=False, dtype=np.complex128)
        return Factors(self, omega, made.solve, f"complex {made.name}")

    def pivoted(self, omega: float) -> Callable[[ComplexArray], ComplexArray] | None:
        """A solution with pivots from the whole matrix, slow; None where even that breaks down."""
        try:
            factors = sparse_linalg.splu(self._of_free(self.at(omega)).tocsc())
        except RuntimeError:  # exactly singular
            return None
        return self._on_free(factors.solve)

    def _of_free(self, matrix: SparseMatrix) -> SparseMatrix:
        return matrix.tocsr()[self.index][:, self.index]

    def _on_free(
        self, solve: Callable[[ComplexArray], ComplexArray]
    ) -> Callable[[ComplexArray], ComplexArray]:
        def on_all(f: ComplexArray) -> ComplexArray:
            out = np.zeros(f.shape, np.complex128)
            out[self.index] = solve(f[self.index])
            return out

        return on_all


class Factors:
    """Factors of a dynamic stiffness at one frequency."""

    def __init__(
        self, system: DynamicStiffness, omega: float, once: Callable[[ComplexArray], ComplexArray], name: str
    ) -> None:
        self.system, self.omega, self.name = system, omega, name
        self._once = once

    def solve(self, f: ComplexArray) -> ComplexArray:
        """q for f[n_dof], refined until rounding is reached.

        Raises
        ------
        ConvergenceError
            If the residual stays large: at a resonance of an undamped part, or at 0 Hz of a free one.
        """
        system = self.system
        f = np.where(system.free, f, 0.0)
        size = float(system.size_of(f[:, None])[0])
        if size == 0.0:
            return np.zeros_like(f)
        q, left = self._refined(f, size)
        if not left <= _ROUNDING and not system.is_dense:
            other = system.pivoted(self.omega)
            if other is not None:
                self._once, self.name = other, "SuperLU"
                q, left = self._refined(f, size)
        if not left <= _ROUNDING or float(np.linalg.norm(q * system.scale)) > _BEYOND * size:
            raise ConvergenceError(
                f"the equations at {self.omega / (2.0 * np.pi):.6g} Hz are singular: "
                "an undamped part answers without bound at a resonance, and one that nothing holds at 0 Hz; "
                "state damping, or another frequency"
            )
        return q

    def _refined(self, f: ComplexArray, size: float) -> tuple[ComplexArray, float]:
        """The answer after refinement, and its relative residual."""
        system = self.system
        best, kept = np.inf, np.zeros_like(f)
        with np.errstate(all="ignore"):  # what is singular shows in the residual
            q = self._once(f)
            for _ in range(8):
                rest = f - system.apply(self.omega, q)
                left = float(system.size_of(rest[:, None])[0]) / size
                if not np.isfinite(left) or left > 0.5 * best:
                    break
                best, kept = left, q
                if left <= _REFINE_ABOVE:
                    break
                q = q + self._once(rest)
        return kept, best


@dataclass(frozen=True, eq=False)
class Sweep:
    """Answers at many frequencies: coordinates in one real space.

    Parameters
    ----------
    basis : float64[n_dof, r]
    coordinates : complex128[f, r]
        The answer at frequency i is ``basis @ coordinates[i]``.
    residual : float64[f]
        Of the full equations, relative; recomputed from the answers.
    factored : float64[.]
        Circular frequencies at which factors were made, rad/s.
    seconds : float
    solver : str
    """

    basis: FloatArray
    coordinates: ComplexArray
    residual: FloatArray
    factored: FloatArray
    seconds: float
    solver: str


def sweep(
    system: DynamicStiffness, omega: FloatArray, patterns: FloatArray, factors: ComplexArray, *,
    tolerance: float = TOLERANCE, step: Callable[[str], None] | None = None,
) -> Sweep:  # fmt: skip
    """Solve at many frequencies to a residual that is checked at each.

    Parameters
    ----------
    system : DynamicStiffness
    omega : float64[f]
        Circular frequencies, rad/s.
    patterns : float64[n_dof, p]
        Forces ...
    factors : complex128[f, p]
        ... and how much of each acts at each frequency.
    tolerance : float
        Relative residual.
    step : function of a text, optional
        Called before each factorization.

    Raises
    ------
    ConvergenceError
        If a frequency is a resonance of what nothing damps.
    ResourceError
        If memory does not suffice.
    """
    from designtwin.solvers.multifrontal import blas_alone

    started = time.perf_counter()
    patterns = np.where(system.free[:, None], patterns, 0.0)
    with blas_alone():  # digits must not depend on how BLAS cuts its work
        space = _Space(system, patterns)
        size = _sizes(system, patterns, factors)
        coordinates: ComplexArray = np.zeros((len(omega), 0), np.complex128)
        residual = np.where(size > 0.0, 1.0, 0.0)
        factored: list[int] = []
        name = "nothing to solve"
        while residual.max(initial=0.0) > tolerance:
            worst = int(np.argmax(residual)) if factored else _first(omega, size)
            if worst in factored:
                if residual[worst] <= _ROUNDING:
                    break
                raise ConvergenceError(
                    f"the answer at {omega[worst] / (2.0 * np.pi):.6g} Hz keeps a residual of "
                    f"{residual[worst]:.1e}; the equations are close to singular there: state damping, or "
                    "check for cells of poor quality"
                )
            if step is not None:
                step(f"factor at {omega[worst] / (2.0 * np.pi):.4g} Hz")
            made = system.factorize(float(omega[worst]))
            space.grow(_moments(system, made, patterns @ factors[worst]))
            name = made.name
            factored.append(worst)
            del made
            coordinates = space.answers(omega, factors)
            residual = space.residuals(omega, factors, coordinates, size)
    return Sweep(
        space.basis, coordinates, residual, omega[np.array(sorted(factored), np.int64)],
        time.perf_counter() - started, name,
    )  # fmt: skip


def _first(omega: FloatArray, size: FloatArray) -> int:
    """A loaded frequency in the middle of the sweep."""
    loaded = np.flatnonzero(size > 0.0)
    return int(loaded[len(loaded) // 2])


def _sizes(system: DynamicStiffness, patterns: FloatArray, factors: ComplexArray) -> FloatArray:
    """Norms of the loads at each frequency, float64[f]."""
    r = np.asarray(np.linalg.qr(patterns / system.scale[:, None], mode="r"))
    return np.asarray(np.linalg.norm(factors @ r.T, axis=1))


def _moments(system: DynamicStiffness, made: Factors, f: ComplexArray) -> FloatArray:
    """The answer and its derivatives over frequency, as real columns float64[n_dof, 2 (1 + moments)]."""
    omega = made.omega
    answers = [made.solve(f)]
    for k in range(1, _MOMENTS + 1):
        # Z q = f, differentiated k times: Z q(k) = -k Z' q(k-1) - k (k - 1) / 2 Z'' q(k-2), f held
        last = answers[-1]
        _, m, c, _ = _products_of(system, last)
        rest = k * (2.0 * omega * m - 1j * c)
        if k > 1:
            rest = rest + k * (k - 1) * _products_of(system, answers[-2])[1]
        if not system.size_of(rest[:, None])[0] > 0.0:
            break
        answers.append(made.solve(rest))
    columns = [part for q in answers for part in (q.real, q.imag)]
    return np.stack(columns, axis=1)


def _products_of(system: DynamicStiffness, q: ComplexArray) -> tuple[Any, Any, Any, Any]:
    """K q, M q, C q and H q, 0 for what is not there."""
    found = system.products(np.stack([q.real, q.imag], axis=1))
    a, b, c, d = (0.0 if p is None else p[:, 0] + 1j * p[:, 1] for p in found)
    return a, b, c, d


class _Space:
    """A real space of answers, orthonormal in the stiffness of the diagonal, and the equations in it."""

    def __init__(self, system: DynamicStiffness, patterns: FloatArray) -> None:
        self.system, self.patterns = system, patterns
        self.basis = np.zeros((system.n_dof, 0))
        self._products: list[FloatArray | None] = [None] * 4

    def grow(self, columns: FloatArray) -> None:
        """Add what the columns have beyond the space."""
        scale = self.system.scale[:, None]
        have = self.basis * scale
        added: list[FloatArray] = []
        for j in range(columns.shape[1]):
            v = columns[:, j] * scale[:, 0]
            before = float(np.linalg.norm(v))
            if not before > 0.0:
                continue
            v = v / before
            v = v - have @ (have.T @ v)
            left = float(np.linalg.norm(v))
            if left <= _DEPENDENT:
                continue
            for _ in range(2):
                v = v / np.linalg.norm(v)
                v = v - have @ (have.T @ v)
            v = v / np.linalg.norm(v)
            have = np.concatenate([have, v[:, None]], axis=1)
            added.append(v / scale[:, 0])
        if not added:
            return
        new = np.stack(added, axis=1)
        more = self.system.products(new)
        self._products = [
            b if a is None else None if b is None else np.concatenate([a, b], axis=1)
            for a, b in zip(self._products, more, strict=True)
        ]
        self.basis = np.concatenate([self.basis, new], axis=1)

    def answers(self, omega: FloatArray, factors: ComplexArray) -> ComplexArray:
        """Coordinates complex128[f, r] of the answers, by Galerkin's condition."""
        small = [None if p is None else self.basis.T @ p for p in self._products]
        small = [None if p is None else 0.5 * (p + p.T) for p in small]
        load = factors @ (self.basis.T @ self.patterns).T
        out = np.empty(load.shape, np.complex128)
        for i, at in enumerate(omega):
            matrix = sum(w * p for w, p in zip(self.system.weights(at), small, strict=True) if p is not None)
            try:
                out[i] = np.linalg.solve(np.asarray(matrix), load[i])
            except np.linalg.LinAlgError:
                out[i] = 0.0  # its residual calls for factors there
        return out

    def residuals(
        self, omega: FloatArray, factors: ComplexArray, coordinates: ComplexArray, size: FloatArray
    ) -> FloatArray:
        """Residuals of the full equations over the loads, float64[f], row by row of them."""
        total = np.zeros(len(omega))
        weights = np.array([self.system.weights(at) for at in omega])
        amounts = [
            np.ascontiguousarray((weights[:, i : i + 1] * coordinates).T) for i in range(len(self._products))
        ]
        step = max(256, _CHUNK_BYTES // (32 * max(len(omega), 1)))
        for start in range(0, self.system.n_dof, step):
            some = slice(start, start + step)
            rest = self.patterns[some] @ factors.T
            for product, amount in zip(self._products, amounts, strict=True):
                if product is not None:
                    rest = rest - product[some] @ amount.real - 1j * (product[some] @ amount.imag)
            rest = rest / self.system.scale[some, None]
            total += np.einsum("if,if->f", rest.real, rest.real) + np.einsum("if,if->f", rest.imag, rest.imag)
        return np.divide(np.sqrt(total), size, out=np.zeros(len(omega)), where=size > 0.0)


def _sorted(matrix: SparseMatrix) -> SparseMatrix:
    if matrix.has_canonical_format:
        return matrix
    matrix = matrix.copy()
    matrix.sum_duplicates()
    return matrix


def _aligned(parts: list[SparseMatrix]) -> tuple[tuple[int, Any, Any, str], list[FloatArray]]:
    """One pattern that holds all parts, and the values of each in it."""
    first = parts[0]
    rows = first.indptr.size - 1
    keys = []
    for part in parts:
        row = np.repeat(np.arange(rows, dtype=np.int64), np.diff(part.indptr))
        keys.append(row * rows + part.indices)
    if all(np.array_equal(keys[0], key) for key in keys[1:]):
        union = keys[0]
    else:
        union = np.unique(np.concatenate(keys))
    values = []
    for part, key in zip(parts, keys, strict=True):
        data = np.zeros((len(union), *part.data.shape[1:]))
        data[np.searchsorted(union, key)] = part.data
        values.append(data)
    indptr = np.searchsorted(union, rows * np.arange(rows + 1, dtype=np.int64)).astype(np.int32)
    return (rows, indptr, (union % rows).astype(np.int32), first.format), values
