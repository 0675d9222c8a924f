"""Is a system singular, and in which unknowns? One answer for all solvers."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from designtwin.errors import SingularSystemError
from designtwin.solvers.system import System
from designtwin.typing import FloatArray, IntArray

# |A z| / ||A| |z||. Motions that cost no energy were measured at 1e-16 to 4e-16, the first bending mode of
# tet10 cantilevers at 2e-12 (length 200 times thickness) and 5e-15 (1000 times)
NULL_LEVEL = 1e-15


def refuse_empty_rows(system: System, diagonal: FloatArray | None = None) -> None:
    """Raise SingularSystemError where a free unknown has no stiffness at all; diagonal float64[n_dof]."""
    diagonal = system.diagonal() if diagonal is None else diagonal
    empty = np.flatnonzero(system.free & (diagonal == 0.0))
    if empty.size and (system.extra or not system.definite):  # Lagrange multipliers have no diagonal
        total = np.asarray(abs(system.matrix()).sum(axis=1)).ravel()
        empty = empty[total[empty] == 0.0]
    if empty.size:
        raise singular_error(empty, "have no stiffness")


def null_share(system: System, vectors: FloatArray) -> FloatArray:
    """|A z| / ||A| |z|| per column of vectors[n_dof, k], weighted: soft and stiff parts count alike."""
    z = np.where(system.free[:, None], vectors, 0.0)
    diagonal = np.abs(system.diagonal())
    stiff = system.free & (diagonal > 0.0)
    weight = np.zeros(system.n_dof)
    weight[stiff] = 1.0 / np.sqrt(diagonal[stiff])
    bare = system.free & ~stiff  # Lagrange multipliers: their rows are displacements, not forces
    if bare.any() and stiff.any():
        total = np.asarray(abs(system.matrix()).sum(axis=1)).ravel()[bare]
        weight[bare] = np.sqrt(diagonal[stiff].mean()) / np.where(total > 0.0, total, np.inf)
    force = np.linalg.norm(weight[:, None] * system.apply(z), axis=0)
    size = np.linalg.norm(weight[:, None] * system.magnitude(z), axis=0)
    return np.asarray(np.divide(force, size, out=np.zeros_like(force), where=size > 0.0))


def refuse_null_vectors(system: System, vectors: FloatArray) -> None:
    """Raise SingularSystemError if any of vectors[n_dof, k] costs no energy beyond rounding."""
    null = vectors[:, null_share(system, vectors) < NULL_LEVEL]
    if not null.shape[1]:
        return
    # pivoted QR: the unknowns which, held, would stop these motions
    null = np.where(system.free[:, None], null, 0.0)
    _, r, order = linalg.qr(null.T, mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    rank = int((size > 1e-8 * size[0]).sum())
    raise singular_error(np.sort(order[:rank]), "can move without resistance", null)


def singular_error(dofs: IntArray, what: str, motions: FloatArray | None = None) -> SingularSystemError:
    """The error with its unknowns; assembly turns them into nodes and directions."""
    shown = ", ".join(str(dof) for dof in dofs[:8]) + (", ..." if len(dofs) > 8 else "")
    return SingularSystemError(
        f"the system is singular: {len(dofs)} unknowns {what} ({shown}); "
        "supports leave a motion free, or a region has no stiffness",
        dofs=dofs,
        motions=motions,
    )


def rounding_level(system: System, f: FloatArray, x: FloatArray) -> FloatArray:
    """Residual norm that float64 leaves even for the exact solution, per column."""
    size = system.magnitude(x) + np.where(system.free[:, None], np.abs(f), 0.0)
    return np.asarray(8.0 * np.finfo(float).eps * np.linalg.norm(size, axis=0))
