"""Eigenpairs of G x = nu K x from exact solutions with K: a block Krylov space of K^-1 G.

Nothing is multiplied by K: a vector that was solved for, w = K^-1 f, has the image K w = f, and combinations
of vectors have those of their images. What a slender part loses in products with K (differences of large
forces) is not lost here. Rounding lets vectors and images drift apart, faster the more cancels; before it
matters vectors are solved for anew from their images.

Source: Grimes, Lewis, Simon, SIAM J. Matrix Anal. Appl. 15 (1994) 228-272 (block Lanczos around factors);
Wu, Simon, SIAM J. Matrix Anal. Appl. 22 (2000) 602-616 (thick restart).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from designtwin.errors import ConvergenceError
from designtwin.typing import FloatArray, IntArray

BLOCK = 6  # vectors solved for at once; a pair of higher multiplicity takes more rounds to appear whole
_ROUNDING = 1e-18  # share of its energy that rounding leaves of a vector that others span
_DRIFT = 1e4  # growth of errors after which vectors are solved for anew from their images
_ALIKE = 1e-13  # share of the largest energy below which a combination of vectors is rounding
_BYTES = 2_000_000_000  # of vectors kept before the space is begun anew with the best of them

Map = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class KrylovPairs:
    """What was found, those wanted most first.

    Parameters
    ----------
    nu, error : float64[m]
        Values, and the energy norm of K^-1 (G x - nu K x) over that of nu x.
    x : float64[n, m]
        x^T K x = 1.
    next : float
        The value that would come next, if it is known to three digits; nan else.
    solutions : int
        Vectors solved for.
    """

    nu: FloatArray
    error: FloatArray
    x: FloatArray
    next: float
    solutions: int


def krylov_pairs(
    solve: Map,
    product: Map,
    n: int,
    *,
    wanted: int,
    order: Callable[[FloatArray], IntArray],
    enough: Callable[[FloatArray, FloatArray], int | None],
    tolerance: float,
    block: int = BLOCK,
    stop: int = 60,
    seed: int = 5,
) -> KrylovPairs:
    """Pairs of G x = nu K x at the ends of the spectrum.

    Parameters
    ----------
    solve : function
        f[n, k] to w with K w = f, K symmetric positive definite on the space of what it returns.
    product : function
        x[n, k] to G x, G symmetric, as forces that `solve` takes.
    n : int
    wanted : int
        About how many pairs; sets the size of the space, which grows where more turn up.
    order : function
        nu to the numbers of those wanted most, in order.
    enough : function
        nu in that order and their errors, relative, to how many are the answer; None to go on.
    tolerance : float
        Error at which a pair counts as progress.
    block : int
        Vectors solved for at once.
    stop : int
        Rounds after the last progress at which to give up.

    Raises
    ------
    ConvergenceError
    """
    block = min(block, n)
    most = max(4 * wanted + 8 * block, 120)
    v, image, h = np.empty((n, 0), order="F"), np.empty((n, 0), order="F"), np.zeros((0, 0))
    size, solutions, ready = 0, 0, 0
    chance = np.random.default_rng(seed)
    f = product(chance.standard_normal((n, block)))
    w = solve(f)
    solutions += block
    drift, again = 1.0, False
    best, rounds, nu, y = np.inf, 0, np.empty(0), np.empty((0, 0))
    last = slice(0, 0)
    while True:
        before = np.einsum("ij,ij->j", w, f)
        for _ in range(2):
            _away_from(v[:, :size], image[:, :size], w, f)
        energy = w.T @ f
        energy = 0.5 * (energy + energy.T)
        if size:
            error = np.sqrt(np.maximum(np.einsum("im,ij,jm->m", y[last], energy, y[last]), 0.0))
            error /= np.maximum(np.abs(nu), np.finfo(float).tiny)
            sorted_ = order(nu)
            many = enough(nu[sorted_], error[sorted_])
            if many is not None:
                chosen = sorted_[:many]
                x = np.ascontiguousarray(v[:, :size] @ y[:, chosen])
                after = sorted_[many : many + 1]
                known = len(after) > 0 and error[after[0]] < 1e-3
                beyond = float(nu[after[0]]) if known else np.nan
                return KrylovPairs(nu[chosen], error[chosen], x, beyond, solutions)
            done = int((error <= tolerance).sum())
            worst = float(error[sorted_[: ready + 1]].max())
            if done > ready or worst < 0.7 * best:
                ready, best, rounds = max(ready, done), np.inf if done > ready else worst, 0
            rounds += 1
            if rounds >= stop:
                raise ConvergenceError(
                    f"Lanczos stopped after {solutions} solutions with {ready} pairs converged; check for "
                    "cells of poor quality, and for materials of very unlike stiffness"
                )
        w, f, gain = _orthonormal(w, f, energy, before)
        if not w.shape[1] and size:  # all that this start leads to is there; another may lead further
            f = product(chance.standard_normal((n, block)))
            w = solve(f)
            solutions += block
            before = np.einsum("ij,ij->j", w, f)
            for _ in range(2):
                _away_from(v[:, :size], image[:, :size], w, f)
            w, f, gain = _orthonormal(w, f, w.T @ f, before)
        if not w.shape[1]:  # the space is all there is
            sorted_ = order(nu)
            many = enough(nu[sorted_], np.zeros(size))
            chosen = sorted_[: size if many is None else many]
            x = np.ascontiguousarray(v[:, :size] @ y[:, chosen])
            return KrylovPairs(nu[chosen], np.zeros(len(chosen)), x, np.nan, solutions)
        drift *= gain
        if drift > _DRIFT or again:  # two blocks in turn, as each is made of the two before it
            w = solve(f)
            solutions += w.shape[1]
            drift, again = 1.0, not again
        _away_from(v[:, :size], image[:, :size], w, f)
        w, f, _ = _orthonormal(w, f, w.T @ f, np.ones(w.shape[1]))
        if size + w.shape[1] > most:
            if 3 * ready > size and 32 * n * size <= _BYTES:
                most = 2 * size
            else:
                kept = max(size // 2, min(ready + 2 * block, size - 2 * block))
                best_of = order(nu)[:kept]
                for one in (v, image):
                    one[:, :kept] = one[:, :size] @ y[:, best_of]
                h[:] = 0.0
                h[np.arange(kept), np.arange(kept)] = nu[best_of]
                size = kept
        if size + w.shape[1] > v.shape[1]:
            room = min(max(2 * v.shape[1], 8 * block), most + block)
            v, image, h = (_grown(one, size, room) for one in (v, image, h))
        last = slice(size, size + w.shape[1])
        v[:, last], image[:, last] = w, f
        size = last.stop
        f = product(np.ascontiguousarray(w))
        h[:size, last] = v[:, :size].T @ f
        h[last, :size] = h[:size, last].T
        h[last, last] = 0.5 * (h[last, last] + h[last, last].T)
        nu, y = linalg.eigh(h[:size, :size])
        w = solve(f)
        solutions += w.shape[1]


def _grown(a: FloatArray, size: int, room: int) -> FloatArray:
    """The array with room for more columns, and rows where it is square."""
    square = a.shape[0] == a.shape[1]
    out = np.zeros((room if square else a.shape[0], room), order="F")
    rows = size if square else a.shape[0]
    out[:rows, :size] = a[:rows, :size]
    return out


def _away_from(v: FloatArray, image: FloatArray, w: FloatArray, f: FloatArray) -> None:
    """Take out of w, and of its image f, what v spans."""
    share = image.T @ w
    w -= v @ share
    f -= image @ share


def _orthonormal(
    w: FloatArray, f: FloatArray, energy: FloatArray, before: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Combinations of w, and of their images, with w^T f = 1; what is rounding against `before` goes.

    Also by how much errors of w and f have grown against them.
    """
    own = np.diag(energy)
    kept = own > _ROUNDING * before
    w, f, energy = w[:, kept], f[:, kept], energy[np.ix_(kept, kept)]
    if not w.shape[1]:
        return w, f, 1.0
    scale = 1.0 / np.sqrt(own[kept])
    value, turn = linalg.eigh(scale[:, None] * (0.5 * (energy + energy.T)) * scale)
    good = value > _ALIKE * value[-1]
    turn = scale[:, None] * turn[:, good] / np.sqrt(value[good])
    gain = float(np.sqrt((before[kept] / own[kept]).max() * value[-1] / value[good].min()))
    return w @ turn, f @ turn, gain
