"""Equations between unknowns, eliminated: u = T q + u0 with supports, ties and links in one map.

Connections give rows (``model.connections.Equations``); here chains are followed, rings cut, contradictions
named. The map is sparse and does not depend on the order in which connections are stated. A solver may
assemble T^T A T, or apply T before and T^T after an operator that has no matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.linalg import qr, solve_triangular
from scipy.sparse.csgraph import connected_components

from designtwin.assembly.unknowns import AffineMap, DofMap, rigid_modes
from designtwin.errors import ModelError
from designtwin.model.connections import Equations, equations_of, heated_sets
from designtwin.model.model import Model
from designtwin.typing import BoolArray, FloatArray, IntArray, SparseMatrix

_ZERO = 1e-14
"""Coefficients below this are rounding."""
_DEPENDENT = 1e-9
"""Share of an equation's size below which the rest of it is another equation."""
_LARGEST = 40_000_000
"""Entries of a set of equations that hang together and name no follower, beyond which it is refused."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """Unknowns w = T q + u0 in terms of the independent ones, with what forces the equations exert.

    Parameters
    ----------
    transform : CSR [n, n]
        T; columns of dependent unknowns are empty, rows of independent ones are those of the identity.
    offset : float64[n]
        u0: what prescribed values in the equations add; 0 at independent unknowns.
    dependent : bool[n]
    rows : CSR [m, n]
        All equations.
    kept, follower : int64[k]
        Equations that give a follower each, and these.
    rest : tuple
        Equations that name none, set by set.
    n_chain : int
        How long chains of followers are.
    """

    transform: SparseMatrix
    offset: FloatArray
    dependent: BoolArray
    rows: SparseMatrix
    kept: IntArray
    follower: IntArray
    rest: tuple[_Set, ...]
    n_chain: int

    def multipliers(self, force: FloatArray) -> FloatArray:
        """The force of each equation, float64[m], from nodal constraint forces [n] = rows^T multipliers."""
        out = np.zeros(self.rows.shape[0])
        through = self._through(force)
        for one in self.rest:
            answer = np.linalg.lstsq(one.matrix.T, through[one.columns], rcond=1e-12)[0]
            out[one.equations] = answer
        left = force - self.rows.T @ out
        out[self.kept] = self._through(left)[self.follower]
        return out

    def _through(self, force: FloatArray) -> FloatArray:
        """Forces carried along the chains of followers to whom they follow; those on the way are kept."""
        follow = self.rows[self.kept]
        out = force.copy()
        for _ in range(self.n_chain):
            at = out[self.follower]
            out = force + at_columns(self.follower, at, len(force)) - follow.T @ at
        return out


def at_columns(columns: IntArray, values: FloatArray, n: int) -> FloatArray:
    """Values put at columns of a vector of zeros [n]; columns come once."""
    out = np.zeros(n)
    out[columns] = values
    return out


@dataclass(frozen=True, eq=False)
class _Set:
    """Equations without follower that hang together: dense over the unknowns they may give."""

    equations: IntArray
    columns: IntArray
    matrix: FloatArray


def reduce(
    n: int,
    equations: Sequence[Equations],
    *,
    names: Sequence[str],
    fixed: BoolArray,
    value: FloatArray,
    order: Sequence[str] | None = None,
) -> Reduced:
    """Eliminate equations between n unknowns.

    Parameters
    ----------
    equations : sequence of Equations
        Matrices CSR [k, n]; followers are unknowns.
    names : sequence of str
        Said in errors, one for each.
    fixed, value : bool[n], float64[n]
        Unknowns that supports prescribe, and their values.
    order : sequence of str, optional
        Where two bonds want one follower, the one whose word here comes first has it; names without.

    Raises
    ------
    ModelError
        If equations contradict each other or the supports, or a bond has all its followers held.
    """
    word = list(order if order is not None else names)
    rank = np.empty(len(equations), np.int64)
    rank[sorted(range(len(equations)), key=lambda i: (not equations[i].firm, word[i], i))] = np.arange(
        len(equations)
    )
    rows = sparse.vstack([one.matrix for one in equations], format="csr")
    rows.sum_duplicates()
    right = np.concatenate([one.value for one in equations])
    owner = np.repeat(np.arange(len(equations)), [len(one.value) for one in equations])
    firm = np.array([one.firm for one in equations], bool)[owner]
    follower = np.concatenate([one.follower for one in equations])
    follower = _give_up_held(follower, firm, owner, fixed, names)
    follower, dropped = _one_each(follower, firm, rank[owner])
    weight, beside = _neighbors(equations)
    rows, right = _taken_over(rows, right, follower, dropped, weight, beside)
    for _ in range(3):  # what takes over may close another ring; the last ones are cut without heirs
        before = dropped.copy()
        follower, dropped = _without_rings(rows, follower, dropped, firm, rank[owner])
        if (dropped == before).all():
            break
        rows, right = _taken_over(rows, right, follower, dropped & ~before, weight, beside)
    follower, dropped = _without_rings(rows, follower, dropped, firm, rank[owner])
    kept = np.flatnonzero(follower >= 0)
    follow = _followers(rows, kept, follower[kept], n)
    given = at_columns(follower[kept], right[kept], n)
    transform, offset, chain = _chained(follow, given, follower[kept], n)
    dependent = np.zeros(n, bool)
    dependent[follower[kept]] = True
    free = np.flatnonzero((follower < 0) & ~dropped)
    transform, offset, sets = _eliminated(
        rows[free],
        right[free],
        free,
        transform,
        offset,
        dependent,
        fixed,
        value,
        [names[o] for o in owner[free]],
    )
    return Reduced(transform, offset, dependent, rows, kept, follower[kept], sets, chain)


def _give_up_held(
    follower: IntArray, firm: BoolArray, owner: IntArray, fixed: BoolArray, names: Sequence[str]
) -> IntArray:
    """Followers that supports hold: bonds leave them out (-2), firm equations look for another (-1)."""
    out = follower.copy()
    held = np.zeros(len(follower), bool)
    held[follower >= 0] = fixed[follower[follower >= 0]]
    out[held] = np.where(firm[held], -1, -2)
    for o in np.unique(owner[held & ~firm]):
        own = owner == o
        if held[own].all():
            raise ModelError(
                f"{names[o]}: supports hold every node of the side that follows, which leaves nothing to "
                "join; name the other side, such as secondary='b', or hold the other side instead"
            )
    return out


def _one_each(follower: IntArray, firm: BoolArray, rank: IntArray) -> tuple[IntArray, BoolArray]:
    """One equation for each follower; of two bonds the first in rank has it, firm equations look on."""
    dropped = follower == -2
    out = np.where(dropped, -1, follower)
    some = np.flatnonzero(out >= 0)
    order = some[np.lexsort([some, rank[some], out[some]])]
    again = np.zeros(len(order), bool)
    again[1:] = out[order[1:]] == out[order[:-1]]
    late = order[again]
    dropped[late[~firm[late]]] = True
    out[late] = -1
    return out, dropped


def _neighbors(equations: Sequence[Equations]) -> tuple[FloatArray, SparseMatrix]:
    """Area of all equations, 0 where they have none, and which are neighbors."""
    weight, beside = [], []
    for one in equations:
        k = len(one.value)
        weight.append(np.zeros(k) if one.weight is None else one.weight)
        beside.append(sparse.csr_array((k, k)) if one.beside is None else one.beside)
    return np.concatenate(weight), sparse.block_diag(beside, format="csr")


def _taken_over(
    rows: SparseMatrix, right: FloatArray, follower: IntArray, dropped: BoolArray, weight: FloatArray,
    beside: SparseMatrix,
) -> tuple[SparseMatrix, FloatArray]:  # fmt: skip
    """Equations of bonds with their dropped neighbors added, weighted with area.

    The sum over all, which stands for a constant traction, is again a sum over those that are left.
    Source: Wohlmuth, Discretization Methods Based on Domain Decomposition (Springer, 2001), ch. 1.
    """
    lost = np.flatnonzero(dropped & (weight != 0.0))
    if not len(lost):
        return rows, right
    heirs = beside[lost].tocoo()
    keep = (follower[heirs.col] >= 0) & (weight[heirs.col] > 0.0)
    row, column = heirs.row[keep], heirs.col[keep]
    total = np.bincount(row, weight[column], minlength=len(lost))
    share = weight[lost[row]] / total[row]
    m = rows.shape[0]
    add = sparse.coo_array((share, (column, lost[row])), shape=(m, m)).tocsr()
    return (rows + add @ rows).tocsr(), right + add @ right


def _without_rings(
    rows: SparseMatrix, follower: IntArray, dropped: BoolArray, firm: BoolArray, rank: IntArray
) -> tuple[IntArray, BoolArray]:
    """Cut where followers follow each other round in a ring."""
    n = rows.shape[1]
    while True:
        kept = np.flatnonzero(follower >= 0)
        if not len(kept):
            return follower, dropped
        inner = _followers(rows, kept, follower[kept], n)[:, follower[kept]][follower[kept]]
        own = inner.diagonal() != 0.0
        _, label = connected_components(inner, directed=True, connection="strong")
        ring = own | (np.bincount(label)[label] > 1)
        if not ring.any():
            return follower, dropped
        cut = np.zeros(len(kept), bool)
        for one in np.unique(label[ring]):
            members = np.flatnonzero(label == one)
            bonds = members[~firm[kept[members]]]
            some = bonds if len(bonds) else members
            last = rank[kept[some]].max()
            cut[some[rank[kept[some]] == last]] = True
        dropped[kept[cut & ~firm[kept]]] = True
        follower[kept[cut]] = -1


def _followers(rows: SparseMatrix, kept: IntArray, follower: IntArray, n: int) -> SparseMatrix:
    """What followers take from others, CSR [n, n]: minus their equation's other coefficients."""
    own = sparse.csr_array((np.ones(len(kept)), follower, np.arange(len(kept) + 1)), shape=(len(kept), n))
    rest = (own - rows[kept]).tocoo()
    keep = np.abs(rest.data) > _ZERO
    return sparse.coo_array(
        (rest.data[keep], (follower[rest.row[keep]], rest.col[keep])), shape=(n, n)
    ).tocsr()


def _chained(
    follow: SparseMatrix, given: FloatArray, follower: IntArray, n: int
) -> tuple[SparseMatrix, FloatArray, int]:
    """Followers of followers traced to independent unknowns; transform, offset, and how long chains are."""
    one = np.ones(n)
    one[follower] = 0.0
    base = sparse.diags_array(one, format="csr")
    step, transform, offset, length = base, base, given, 0
    more = given
    while step.nnz or more.any():
        step, more = (follow @ step).tocsr(), follow @ more
        transform, offset, length = transform + step, offset + more, length + 1
        assert length <= n + 1, "followers go round in a ring"
    transform = transform.tocsr()
    transform.sum_duplicates()
    return transform, offset, length


def _eliminated(
    rows: SparseMatrix, right: FloatArray, numbers: IntArray, transform: SparseMatrix, offset: FloatArray,
    dependent: BoolArray, fixed: BoolArray, value: FloatArray, names: Sequence[str],
) -> tuple[SparseMatrix, FloatArray, tuple[_Set, ...]]:  # fmt: skip
    """Give each equation without follower the unknown it determines best; updates ``dependent``."""
    n = len(offset)
    if not len(numbers):
        return transform, offset, ()
    left = (rows @ transform).tocsr()
    rest = right - rows @ offset - left @ np.where(fixed, value, 0.0)
    size = np.asarray(np.sqrt(rows.multiply(rows).sum(axis=1))).ravel()
    left.data[fixed[left.indices]] = 0.0
    left.data[np.abs(left.data) <= _ZERO * np.repeat(size, np.diff(left.indptr))] = 0.0
    left.eliminate_zeros()
    m = len(numbers)
    entries = left.tocoo()
    graph = sparse.coo_array((np.ones(left.nnz), (entries.row, m + entries.col)), shape=(m + n, m + n))
    _, label = connected_components(graph, directed=False)
    order = np.argsort(label[:m], kind="stable")
    sets, at, data = [], [], []
    given = np.zeros(n)
    scale = max(float(np.abs(value).max(initial=0.0)), float(np.abs(right).max(initial=0.0)), 1e-300)
    for some in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
        columns = np.unique(left[some].indices)
        if len(some) * max(len(columns), 1) > _LARGEST:
            raise ModelError(
                f"{names[some[0]]}: {len(some):,} equations over {len(columns):,} unknowns hang together, "
                "more than can be eliminated; link a smaller region"
            )
        dense = left[some][:, columns].toarray() / size[some, None]
        goal = rest[some] / size[some]
        q, r, pivot = qr(dense, mode="economic", pivoting=True) if len(columns) else (dense, dense, columns)
        found = int((np.abs(np.diag(r)) > _DEPENDENT).sum()) if len(columns) else 0
        turned = q[:, :found].T @ goal
        miss = np.abs(goal - q[:, :found] @ turned)
        if (miss > 1e-9 * scale).any():
            _contradict(some[miss > 1e-9 * scale], some, names, found)
        p, f = columns[pivot[:found]], columns[pivot[found:]]
        given[p] = solve_triangular(r[:found, :found], turned)
        share = -solve_triangular(r[:found, :found], r[:found, found:])
        share[np.abs(share) < _ZERO] = 0.0
        row, column = np.nonzero(share)
        at.append(np.stack([p[row], f[column]]))
        data.append(share[row, column])
        dependent[p] = True
        sets.append(_Set(numbers[some], columns, dense * size[some, None]))
    one = np.ones(n)
    one[dependent] = 0.0
    row, column = np.concatenate(at, axis=1)
    second = sparse.diags_array(one) + sparse.coo_array((np.concatenate(data), (row, column)), shape=(n, n))
    offset = offset + transform @ given
    transform = (transform @ second.tocsr()).tocsr()
    transform.sum_duplicates()
    transform.data[np.abs(transform.data) < _ZERO] = 0.0
    transform.eliminate_zeros()
    return transform, offset, tuple(sets)


def _contradict(wrong: IntArray, some: IntArray, names: Sequence[str], found: int) -> None:
    involved = sorted({names[i] for i in some})
    first = names[wrong[0]]
    others = [name for name in involved if name != first]
    against = f"{' and '.join(others[:3])} or the supports" if others else "the supports of its nodes"
    raise ModelError(
        f"{first} contradicts {against}: {len(some):,} equations leave only {found:,} unknowns to choose, "
        "and no values meet them all; take one of them away, or give equal values"
    )


# Connections of a model


@dataclass(frozen=True, eq=False)
class Constraints:
    """The equations of a model's connections, eliminated, in the unknowns of a load case.

    Parameters
    ----------
    reduced : Reduced
        In the axes of skew supports where there are any.
    turn : CSR [n_dof, n_dof] or None
        From these axes to x, y, z.
    held : bool[n_dof]
        Unknowns that supports prescribe.
    owner : int64[m]
        The connection of each equation.
    grounded : bool[m]
        Those of connections that a rigid motion of everything violates: they pull from outside the part.
    """

    reduced: Reduced
    turn: SparseMatrix | None
    held: BoolArray
    owner: IntArray
    grounded: BoolArray

    def _local(self, force: FloatArray) -> FloatArray:
        return force if self.turn is None else self.turn.T @ force

    def _global(self, force: FloatArray) -> FloatArray:
        return force if self.turn is None else self.turn @ force

    def reactions(self, rest: FloatArray) -> FloatArray:
        """Of the nodal forces [n_dof] that equilibrium lacks: those from outside the part.

        The forces of bonds and links, which balance in themselves, are left out.
        """
        force = self._local(rest)
        multipliers = self.reduced.multipliers(force)
        held = np.where(self.held, force - self.reduced.rows.T @ multipliers, 0.0)
        return self._global(held + self.reduced.rows.T @ np.where(self.grounded, multipliers, 0.0))

    def forces(self, rest: FloatArray, number: int) -> FloatArray:
        """Nodal forces [n_dof] on the part by one connection (its number), out of those equilibrium lacks."""
        multipliers = self.reduced.multipliers(self._local(rest))
        own = np.where(self.owner == number, multipliers, 0.0)
        return self._global(self.reduced.rows.T @ own)


def _equations(model: Model, dofs: DofMap) -> list[Equations]:
    """Equations of the model's connections over the unknowns."""
    c, n = dofs.components, dofs.n_points
    found = equations_of(model, model.connections, heat=c == 1)
    width = 1 if c == 1 else 3
    order = np.arange(n) if dofs.order is None else dofs.order
    columns = (width * order[:, None] + np.arange(c)).ravel()
    number = np.full(width * n, -1)
    number[columns] = np.arange(len(columns))
    return [
        replace(
            one,
            matrix=one.matrix[:, columns],
            follower=np.where(one.follower < 0, -1, number[one.follower]),
        )
        for one in found
    ]


def connected(model: Model, dofs: DofMap, map_: AffineMap) -> AffineMap:
    """The map of supports with the model's connections in it.

    Parameters
    ----------
    map_ : AffineMap
        Of the supports alone; ``linked_nodes`` of no cell are not held for want of one.
    """
    if not model.connections:
        return map_
    equations, components = _equations(model, dofs), dofs.components
    points = model.mesh.points if dofs.order is None else model.mesh.points[dofs.order]
    owner = np.repeat(np.arange(len(equations)), [len(one.value) for one in equations])
    grounded = np.zeros(len(owner), bool)
    if len(owner):
        modes = rigid_modes(points, components, axisymmetric=model.axisymmetric)
        rows = sparse.vstack([one.matrix for one in equations], format="csr")
        size = abs(rows) @ np.abs(modes).max(axis=1)
        violated = np.abs(rows @ modes).max(axis=1) > 1e-7 * size
        grounded = np.isin(owner, owner[violated])
    turn = map_.transform
    local = equations if turn is None else [_turned(one, turn.tocsr(), components) for one in equations]
    reduced = reduce(
        len(map_.fixed), local, names=[one.said for one in model.connections], fixed=map_.fixed,
        value=map_.value, order=[one.content_key() for one in model.connections],
    )  # fmt: skip
    # Nodes of no cell that nothing follows, and no heat reaches, have no stiffness from anywhere.
    unused = np.ones(model.mesh.n_points, bool)
    unused[model.mesh.used_nodes] = False
    for nodes in heated_sets(model) if components == 1 else ():
        unused[nodes] = False
    unused = unused if dofs.order is None else unused[dofs.order]
    idle = np.repeat(unused, components) & ~reduced.dependent
    idle[np.unique(reduced.transform[reduced.dependent].indices)] = False
    transform = reduced.transform if turn is None else (turn @ reduced.transform).tocsr()
    offset = reduced.offset if turn is None else turn @ reduced.offset
    return AffineMap(
        fixed=map_.fixed | reduced.dependent | idle, value=map_.value, transform=transform, offset=offset,
        constraints=Constraints(reduced, turn, map_.fixed, owner, grounded),
    )  # fmt: skip


def _turned(one: Equations, turn: SparseMatrix, components: int) -> Equations:
    """Equations in the axes of skew supports; a follower there gets its own axes too."""
    matrix, value, follower = (one.matrix @ turn).tocsr(), one.value.copy(), one.follower.copy()
    moved = np.diff(turn.indptr) > 1
    skew = np.zeros(len(moved) // components, bool)
    skew[np.flatnonzero(moved) // components] = True
    mine = np.flatnonzero(follower >= 0)
    mine = mine[skew[follower[mine] // components]]
    if not len(mine):
        return replace(one, matrix=matrix)
    _, number, count = np.unique(follower[mine] // components, return_inverse=True, return_counts=True)
    whole = count[number] == components
    # All components of a node follow: the same equations, combined so that each gives one local component.
    rows = mine[whole]
    rows = rows[np.argsort(follower[rows], kind="stable")]
    if len(rows):
        axes = turn[follower[rows]][:, follower[rows]]
        mix = axes.T.tocoo()
        others = np.ones(len(value))
        others[rows] = 0.0
        combine = sparse.diags_array(others) + sparse.coo_array(
            (mix.data, (rows[mix.row], rows[mix.col])), shape=(len(value), len(value))
        )
        matrix, value = (combine @ matrix).tocsr(), combine @ value
    follower[mine[~whole]] = -1
    return replace(one, matrix=matrix, value=value, follower=follower)


def tied_prolongation(prolongation: SparseMatrix, reduced: Reduced, components: int) -> SparseMatrix:
    """From corners to all nodes: where a corner follows others, mid nodes beside it take from these.

    Parameters
    ----------
    prolongation : CSR [n_nodes, n_corners]
        Corners copy, mid nodes take the mean of their ends.

    Returns
    -------
    CSR [n_nodes, n_corners]
        Followers' mid nodes have an empty row; a following corner keeps a column of its own, which no other
        node uses.
    """
    n = prolongation.shape[0]
    follows = np.asarray(reduced.dependent.reshape(-1, components).any(axis=1))
    # Weights per node, the mean over its components; arms across a gap are left out.
    rows = reduced.transform.tocoo()
    same = (rows.row % components == rows.col % components) & follows[rows.row // components]
    weights = sparse.coo_array(
        (rows.data[same] / components, (rows.row[same] // components, rows.col[same] // components)),
        shape=(n, n),
    ).tocsr()
    plain = sparse.csr_array(prolongation)
    corner = np.asarray(np.diff(plain.indptr) == 1)
    number = np.full(n, -1)
    number[corner] = plain.indices[plain.indptr[:-1][corner]]
    tied = np.flatnonzero(corner & follows)
    m = plain.shape[1]
    keep = np.ones(m)
    keep[number[tied]] = 0.0
    own = sparse.diags_array(keep, format="csr")
    # Coarse values of following corners, from those they follow; chains end after a few rounds.
    step = (weights[tied] @ plain).tocsr()
    put = sparse.csr_array((np.ones(len(tied)), (number[tied], np.arange(len(tied)))), shape=(m, len(tied)))
    through = (put @ step).tocsr()
    total = own + through @ own
    back = through @ sparse.diags_array(1.0 - keep, format="csr")
    for _ in range(3):
        if not back.nnz:
            break
        back = (through @ back).tocsr()
        total = total + back @ own
    free = sparse.diags_array(np.where(follows, 0.0, 1.0), format="csr")
    out = (free @ (plain @ total)).tocsr()
    marked = sparse.csr_array((np.ones(len(tied)), (tied, number[tied])), shape=plain.shape)
    out = (out + marked).tocsr()
    out.sum_duplicates()
    out.data[np.abs(out.data) < 1e-12] = 0.0
    out.eliminate_zeros()
    return out
