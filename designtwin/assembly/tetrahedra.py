"""Straight quadratic tetrahedra as a term of a system: multiplied from geometry, no matrix built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin import parallel
from designtwin.assembly.topology import FreeCells
from designtwin.kernels import tetra
from designtwin.solvers.system import Array, SparseMatrix
from designtwin.typing import FloatArray

_MANY = 4  # right-hand sides from which it pays to give lanes to them instead of to cells
_CANCEL = 6.0  # |A| |x| over |diagonal| |x| for tetrahedra of a decent shape


@dataclass(frozen=True, eq=False)
class TetrahedronTerm:
    """Stiffness of straight tetrahedra of 10 nodes with a constant isotropic material each.

    Parameters
    ----------
    cells : FreeCells
        Order of cells and nodes; unknowns are numbered as its plan says.
    points : float64[n_points, 3]
        Of the mesh, m.
    lam, mu : float64[n_cells]
        Lame's constants in the order of ``cells.conn``, Pa.
    assemble : function
        Returns the matrix, for solvers that want one.
    """

    cells: FreeCells
    points: FloatArray
    lam: FloatArray
    mu: FloatArray
    assemble: Callable[[], SparseMatrix]

    def matrix(self) -> SparseMatrix:
        """The stiffness assembled, BSR."""
        return self.assemble()

    def apply(self, x: FloatArray) -> FloatArray:
        """The stiffness times x[n_dof] or x[n_dof, n_rhs]."""
        columns = np.ascontiguousarray(x.reshape(len(x), -1), np.float64)
        out = np.empty_like(columns)
        self.operator(1.0, np.float64).product(columns, out)
        return out.reshape(x.shape)

    def diagonal_blocks(self, block: int) -> FloatArray:
        """Blocks on the diagonal, float64[n_points, 3, 3]."""
        plan, conn = self.cells.plan, self.cells.conn
        x = self.points[conn[:, :4]]
        out = np.zeros((len(self.points), 9))
        number = plan.number
        e = x[:, 1:] - x[:, :1]
        inv = np.linalg.inv(e)
        vol = np.abs(np.linalg.det(e)) / 6
        g = np.empty((len(conn), 4, 3))
        g[:, 1:] = inv.transpose(0, 2, 1)
        g[:, 0] = -g[:, 1:].sum(axis=1)
        gg = np.einsum("cai,cbj->cabij", g, g)
        pairs = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))
        for i in range(10):
            if i < 4:
                m = 0.6 * gg[:, i, i]
            else:
                p, q = pairs[i - 4]
                m = 1.6 * (gg[:, p, p] + gg[:, q, q]) + 0.8 * (gg[:, p, q] + gg[:, q, p])
            m = m * vol[:, None, None]
            k = (self.lam + self.mu)[:, None, None] * m + (self.mu * np.trace(m, axis1=1, axis2=2))[
                :, None, None
            ] * np.eye(3)
            for j in range(9):
                out[:, j] += np.bincount(number[conn[:, i]], k.reshape(-1, 9)[:, j], minlength=len(out))
        return out.reshape(-1, 3, 3)

    def magnitude(self, x: FloatArray) -> FloatArray:
        """About |A| |x|."""
        diagonal = np.abs(np.einsum("nii->ni", self.diagonal_blocks(3))).reshape(-1, 1)
        return np.asarray(_CANCEL * diagonal * np.abs(x))

    def operator(self, scale: float, dtype: type[np.floating[Any]]) -> TetrahedronOperator:
        """The stiffness times scale, in a precision."""
        return TetrahedronOperator(self.cells.plan, len(self.points), self._geometry(scale, dtype))

    def _geometry(self, scale: float, dtype: type[np.floating[Any]]) -> Array:
        plan = self.cells.plan
        geo = np.empty((len(plan.cells), 11, tetra.LANES), dtype)
        parallel.run(
            tetra.geometry, len(geo), self.cells.conn, plan.cells, self.points, scale * self.lam,
            scale * self.mu, geo, grain=256,
        )  # fmt: skip
        return geo

    def _add_shared(self, components: int, buffer: Array, y: Array) -> None:
        plan = self.cells.plan
        parallel.run(
            tetra.add_shared, plan.n_shared, plan.copies_start, plan.copies, plan.n_interior, components,
            buffer, y, grain=2048,
        )  # fmt: skip


class TetrahedronOperator:
    """Products in one precision; holds the geometry of the cells and room for the rows chunks share."""

    def __init__(self, plan: tetra.Plan, n_points: int, geo: Array) -> None:
        self._plan, self._n_points, self._geo = plan, n_points, geo
        self._buffer = np.empty((3 * plan.n_copies, 1), geo.dtype)

    def product(self, x: Array, y: Array, *, add: bool = False) -> None:
        """y = A x or y += A x for [n_dof, n_rhs]."""
        if add:
            image = np.empty_like(y)
            self.product(x, image)
            y += image
            return
        plan, n_rhs = self._plan, x.shape[1]
        if self._buffer.shape[1] != n_rhs:
            self._buffer = np.empty((3 * plan.n_copies, n_rhs), self._geo.dtype)
        chunks = (plan.conn, plan.batches, plan.interior, plan.shared, plan.shared_start, self._geo)
        kernel = tetra.product if n_rhs < _MANY else tetra.product_of_many
        columns = np.array([0, n_rhs])
        parallel.run(kernel, tetra.CHUNKS, *chunks, False, x, self._buffer, y, columns)
        y[3 * plan.n_nodes :] = 0.0
        parallel.run(
            tetra.add_shared, plan.n_shared, plan.copies_start, plan.copies, plan.n_interior, 3, self._buffer,
            y, grain=2048,
        )  # fmt: skip
