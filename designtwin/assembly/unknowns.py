"""Unknowns: their numbers, and supports as an affine map of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from designtwin.model.model import LoadCase, Model
from designtwin.solvers.system import SparseMatrix
from designtwin.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.assembly.constraints import Constraints


@dataclass(frozen=True, eq=False)
class DofMap:
    """Numbers of the unknowns: components of one node, of the next, ..., then those of no node.

    Parameters
    ----------
    n_points : int
    components : int
        1 temperature, 2 plane displacement, 3 displacement.
    extra : int
        Unknowns that belong to no node (rigid bodies, multipliers); numbered last.
    order : int64[n_points], optional
        Which node of the mesh comes at which place; the mesh's own order if left out.
    """

    n_points: int
    components: int
    extra: int = 0
    order: IntArray | None = None

    @property
    def n_dof(self) -> int:
        return self.n_points * self.components + self.extra

    def nodes(self, unknowns: IntArray) -> IntArray:
        """Nodes of the mesh that unknowns belong to."""
        places = np.asarray(unknowns) // self.components
        return places if self.order is None else self.order[places]

    def gather(self, field: NDArray[Any]) -> NDArray[Any]:
        """Nodal values [n_points, 3] (or [n_points] for scalars) as unknowns [n_dof]; 0 for extra ones."""
        nodal = field.reshape(self.n_points, -1)[:, : self.components]
        out = np.zeros(self.n_dof, nodal.dtype)
        out[: nodal.size] = (nodal if self.order is None else nodal[self.order]).ravel()
        return out

    def scatter(self, x: FloatArray) -> FloatArray:
        """Unknowns as nodal values float64[n_points, 3], or [n_points] for scalars."""
        nodal = x[: self.n_points * self.components].reshape(self.n_points, self.components)
        if self.components == 1:
            out = np.empty(self.n_points)
            out[slice(None) if self.order is None else self.order] = nodal[:, 0]
            return out
        out = np.zeros((self.n_points, 3))
        out[slice(None) if self.order is None else self.order, : self.components] = nodal
        return out


@dataclass(frozen=True, eq=False)
class AffineMap:
    """Supports and connections as u = T q + u0: some q fixed, the rest free.

    T is the identity but at skew supports and at unknowns that follow others.

    Parameters
    ----------
    fixed : bool[n_dof]
        Which q are prescribed, or follow others (these have an empty column in T).
    value : float64[n_dof]
        Prescribed values, 0 elsewhere; u0 = T value + offset.
    transform : CSR [n_dof, n_dof], optional
        T; None for the identity.
    offset : float64[n_dof], optional
        What prescribed values in connections add to u.
    constraints : Constraints, optional
        The equations behind T, for the forces that they exert.
    """

    fixed: BoolArray
    value: FloatArray
    transform: SparseMatrix | None = None
    offset: FloatArray | None = None
    constraints: Constraints | None = None

    @property
    def turn(self) -> SparseMatrix | None:
        """The part of T that turns the axes of skew supports; None without any."""
        return self.transform if self.constraints is None else self.constraints.turn

    def expand(self, q: FloatArray) -> FloatArray:
        """u [n_dof] from the free unknowns q (0 where fixed)."""
        q = q + self.value
        u = q if self.transform is None else self.transform @ q
        return u if self.offset is None else u + self.offset

    def restrict(self, f: FloatArray) -> FloatArray:
        """Forces conjugate to q, T^T f, for f[n_dof] or [n_dof, k]."""
        return f if self.transform is None else self.transform.T @ f

    def at_free(self, f: FloatArray) -> FloatArray:
        """Forces conjugate to the free q, for f[n_dof]; 0 where fixed."""
        return np.where(self.fixed, 0.0, self.restrict(f))

    def change(self, q: FloatArray) -> FloatArray:
        """By how much u [n_dof] changes when the free unknowns change by q (0 where fixed)."""
        return q if self.transform is None else np.asarray(self.transform @ q)

    def lift(self, reaction: FloatArray) -> FloatArray:
        """Keep of nodal forces [n_dof] what acts along prescribed directions, or comes through links from
        outside."""
        if self.constraints is not None:
            return self.constraints.reactions(reaction)
        along = np.where(self.fixed, self.restrict(reaction), 0.0)
        return along if self.transform is None else self.transform @ along

    def carried(self, motion: FloatArray) -> FloatArray:
        """What a motion [n_dof] of prescribed unknowns moves: itself there, and all that follows them."""
        local = motion if self.turn is None else self.turn.T @ motion
        return self.change(np.where(self.fixed, local, 0.0))


def rigid_modes(points: FloatArray, components: int, *, axisymmetric: bool = False) -> FloatArray:
    """Rigid-body motions as columns float64[n_points * components, k], centered and of like size.

    Three translations and three rotations in space, two and one in the plane, one about an axis.
    """
    n = len(points)
    x = points - points.mean(axis=0)
    x = x / max(float(np.abs(x).max()), 1e-300)
    if components == 1:
        return np.ones((n, 1))
    if components == 2:
        modes = np.zeros((n, 2, 3))
        modes[:, 0, 0] = modes[:, 1, 1] = 1.0
        modes[:, 0, 2], modes[:, 1, 2] = -x[:, 1], x[:, 0]
        return (modes[:, :, 1:2] if axisymmetric else modes).reshape(2 * n, -1)
    modes = np.zeros((n, 3, 6))
    for i in range(3):
        modes[:, i, i] = 1.0
    modes[:, 0, 3], modes[:, 1, 3] = -x[:, 1], x[:, 0]
    modes[:, 1, 4], modes[:, 2, 4] = -x[:, 2], x[:, 1]
    modes[:, 2, 5], modes[:, 0, 5] = -x[:, 0], x[:, 2]
    return modes.reshape(3 * n, 6)


def _node_frame(
    held: Sequence[tuple[FloatArray, float]], components: int
) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Axes float64[3, 3] of a node at a skew support, which of them are held, and by how much.

    The held directions, made orthonormal one after another, come first; the others complete the frame.
    """
    rows: list[FloatArray] = []
    amounts: list[float] = []
    for direction, amount in held:
        rest, left = direction.copy(), amount
        for row, known in zip(rows, amounts, strict=True):
            share = float(rest @ row)
            rest, left = rest - share * row, left - share * known
        size = float(np.linalg.norm(rest[:components]))
        if size < 1e-6:
            continue  # held already; the model has seen to it that the values agree
        rows.append(rest / size)
        amounts.append(left / size)
    n_held = len(rows)
    if components == 2 and n_held == 1:
        frame = np.array([rows[0], [-rows[0][1], rows[0][0], 0.0], [0.0, 0.0, 1.0]])
    elif components == 2:
        frame = np.array([*rows[:2], [0.0, 0.0, 1.0]])
    else:
        rest = np.linalg.svd(np.array([*rows, *np.zeros((3 - n_held, 3))]))[2][n_held:]
        frame = np.array([*rows, *rest])
    value = np.zeros(3)
    value[:n_held] = amounts
    return frame, np.arange(3) < n_held, value


def static_map(model: Model, case: LoadCase, dofs: DofMap, linked: IntArray | None = None) -> AffineMap:
    """The affine map of a case's supports; nodes in no cell are held, but those that connections name.

    Supports that contradict each other were refused when the model was made.
    """
    components = dofs.components
    fixed = np.zeros((dofs.n_points, 3), bool)
    value = np.zeros((dofs.n_points, 3))
    axes: dict[int, FloatArray] = {}
    directions: list[tuple[int, FloatArray, float]] = []
    for support in (*model.supports, *case.supports):
        for held in support.prescribed(model):
            if held.axes is None:
                rows = held.nodes
                value[rows] = np.where(held.fixed, held.value, value[rows])
                fixed[rows] |= held.fixed
            else:
                for k, node in enumerate(held.nodes):
                    for i in range(3):
                        if held.fixed[k, i]:
                            directions.append((int(node), held.axes[k, i], float(held.value[k, i])))
    skew: dict[int, list[tuple[FloatArray, float]]] = {}
    for node, direction, amount in directions:
        skew.setdefault(node, []).append((direction, amount))
    for node, wanted in skew.items():
        straight = [(np.eye(3)[i], float(value[node, i])) for i in range(3) if fixed[node, i]]
        axes[node], fixed[node], value[node] = _node_frame(straight + wanted, components)
    unused = np.ones(dofs.n_points, bool)
    unused[model.mesh.used_nodes] = False
    if linked is not None:
        unused[linked] = False
    fixed[unused] = True
    value[unused] = 0.0
    value[~fixed] = 0.0
    transform = None
    if axes:
        turned = np.zeros((dofs.n_points, components, components))
        turned[:] = np.eye(components)
        for node, frame in axes.items():
            turned[node] = frame[:components, :components].T
        if dofs.order is not None:
            turned = turned[dofs.order]
        transform = sparse.bsr_array(
            (turned, np.arange(dofs.n_points), np.arange(dofs.n_points + 1)), shape=(dofs.n_dof, dofs.n_dof)
        )
    given = dofs.gather(value) if value.any() else np.broadcast_to(0.0, dofs.n_dof)
    return AffineMap(fixed=dofs.gather(fixed), value=given, transform=transform)
