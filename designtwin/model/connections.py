"""Connections: what joins parts without common nodes, and equations between nodes.

A connection answers ``equations(model)`` (displacements) or ``heat_equations(model)`` (temperatures): rows
over nodal values. None numbers an unknown; ``assembly.constraints`` turns all rows of a model into one map.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import ModelError
from designtwin.mesh.interfaces import Coupling, Faces, couple, project
from designtwin.model.coordinates import point, unit_vector
from designtwin.model.domains import NodalMatrices, domain_of, rigid_motions, said
from designtwin.model.loads import On, place
from designtwin.plain import Plain
from designtwin.typing import FloatArray, IntArray, SparseMatrix
from designtwin.units import show, to_si

if TYPE_CHECKING:
    from designtwin.mesh.mesh import Mesh
    from designtwin.model.model import Model

__all__ = [
    "Connection", "CyclicSymmetry", "Equations", "LinearConstraint", "Periodic", "RigidLink", "SpreadLink",
    "Tie",
]  # fmt: skip

_SMALL = 1e-13
"""Coefficients below this share of the largest are rounding."""
_MOTIONS = ("x", "y", "z", "rx", "ry", "rz")


@dataclass(frozen=True, eq=False)
class Equations:
    """Linear equations between nodal values: matrix @ u = value.

    Parameters
    ----------
    matrix : CSR [k, 3 n_points] or [k, n_points]
        Over displacements, x y z of node 0, of node 1, ..., or over temperatures.
    value : float64[k]
        m or K.
    follower : int64[k]
        The column whose value the equation gives (its coefficient is 1), -1 where any may be.
    firm : bool
        True where the equations hold even where supports or other connections give the follower already;
        false for bonds, of which such a node is left out.
    weight : float64[k], optional
        Area each equation of a bond stands for.
    beside : CSR [k, k], optional
        Equations of neighbors: they take over the area of one that is left out, so that a constant traction
        still passes.
    """

    matrix: SparseMatrix
    value: FloatArray
    follower: IntArray
    firm: bool
    weight: FloatArray | None = None
    beside: SparseMatrix | None = None


class Connection(Plain):
    """What joins nodes. A class of your own needs ``equations``, ``heat_equations`` or ``heat_matrices``."""

    def equations(self, model: Model) -> Equations | None:
        """Equations between displacements."""
        return None

    def heat_equations(self, model: Model) -> Equations | None:
        """Equations between temperatures."""
        return None

    def heat_matrices(self, model: Model) -> list[NodalMatrices]:
        """Heat that passes between nodes per kelvin, node set by node set, W/K; rows add up to 0."""
        return []

    def notes(self, model: Model) -> list[str]:
        """Sentences on what is odd."""
        return []

    def check(self, model: Model) -> None:
        """Raise ModelError if the connection makes no sense on this model."""
        self.equations(model)
        self.heat_equations(model)
        self.heat_matrices(model)

    @property
    def said(self) -> str:
        """The connection in a sentence: ``Tie of 'lid' and 'body'``."""
        on = getattr(self, "on", None)
        return type(self).__name__ if on is None else f"{type(self).__name__} on {said(on)}"

    @property
    def amount(self) -> str:
        """How much, where there is something to say: ``5000 W/(m²·K)``, ``x 0.1 mm``."""
        return ""


_KNOWN: weakref.WeakKeyDictionary[Mesh, dict[tuple[Any, ...], Any]] = weakref.WeakKeyDictionary()


def _once(model: Model, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """What was computed for this mesh before: a projection is asked for by checks and every analysis."""
    known = _KNOWN.setdefault(model.mesh, {})
    key = (*key, model.dimension, model.axisymmetric)
    if key not in known:
        if len(known) > 100:
            known.clear()
        known[key] = make()
    return known[key]


def _settle(item: Plain, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(item, name, value)


def _number(value: Any, dimension: str, name: str) -> float:
    number = to_si(value, dimension, name=name)
    if not isinstance(number, float):
        raise ModelError(f"{name}: one value is wanted, got {value!r}")
    return number


def _facets(model: Model, on: On, who: str) -> IntArray:
    facets = model.region(on).facets
    if not len(facets):
        raise ModelError(
            f"{who} joins faces, and {said(on)} holds none; name a face group, or a rule such as "
            'faces(normal="+x", at="max")'
        )
    return facets


def facing(model: Model, a: On, b: On, who: str, joins: str) -> tuple[IntArray, IntArray]:
    """Facets of two places that a connection joins, int64[k, 2] each.

    Raises
    ------
    ModelError
        If a place has no faces, or both are the same.
    """
    mesh = model.mesh
    one, other = _facets(model, a, who), _facets(model, b, who)
    both = set(map(tuple, one.tolist())) & set(map(tuple, other.tolist()))
    if both:
        whole = len(both) == len(one) == len(other)
        raise ModelError(
            f"{who} {joins} a face to itself: "
            + ("both are the same face" if whole else f"they have {len(both):,} facets in common")
            + "; name the two faces that touch"
        )
    first, second = mesh.nodes_of_facets(one), mesh.nodes_of_facets(other)
    if len(np.intersect1d(first, second)) in (len(first), len(second)):
        raise ModelError(f"{who}: they share all their nodes, so that they are one already")
    return one, other


def smaller_side(model: Model, a: IntArray, b: IntArray) -> str:
    """Which of two faces, "a" or "b", is the smaller, of like ones the finer; "" where they are alike."""
    one, other = Faces(model.mesh, a), Faces(model.mesh, b)
    # What is covered wholly passes a constant traction exactly: the smaller face lies within the larger.
    if abs(one.area - other.area) > 0.02 * max(one.area, other.area):
        return "a" if one.area < other.area else "b"
    if len(one.nodes) != len(other.nodes):
        return "a" if len(one.nodes) > len(other.nodes) else "b"
    return ""


def apart(
    model: Model, first: IntArray, second: IntArray, nearest: float, tolerance: float | None, nothing: str
) -> ModelError:
    """Why two faces found nothing in common; `nearest` as `couple` or `overlap` tell it."""
    mesh, near = model.mesh, nearest
    if not np.isfinite(near):
        touch = project(mesh, second, mesh.points[mesh.nodes_of_facets(first)])
        near = float(touch.distance.min())
        if tolerance is None or near <= tolerance:
            return ModelError(
                f"{nothing}, for no part of one looks at the other within reach; "
                f"they come as near as {show(near, 'length', digits=3)}. Check the two faces, or give "
                "tolerance= above the gap"
            )
    bridged = "a tenth of the facets" if tolerance is None else show(tolerance, "length")
    return ModelError(
        f"{nothing}, for the gap between them is at least {show(near, 'length', digits=3)} and the tolerance "
        f"{bridged}; give tolerance= above the gap, or move the parts together"
    )


def _following(
    n_points: int, found: Coupling, weights: SparseMatrix, axes: Sequence[int], value: FloatArray
) -> Equations:
    """Equations u(node, axis) = weights @ u + value for rows sorted node by node, 3 to a node."""
    from scipy import sparse

    nodes, k = found.nodes, len(found.nodes)
    some = (3 * np.arange(k)[:, None] + np.array(axes)).ravel()
    follower = (3 * nodes[:, None] + np.array(axes)).ravel()
    one = sparse.csr_array(
        (np.ones(len(some)), follower, np.arange(len(some) + 1)), shape=(len(some), 3 * n_points)
    )
    beside = sparse.kron(found.beside, sparse.eye_array(len(axes)), format="csr")
    weight = np.repeat(found.weight, len(axes))
    return Equations((one - weights[some]).tocsr(), value[some], follower, False, weight, beside)


# Bonds


@dataclass(frozen=True, kw_only=True, eq=False)
class Tie(Connection):
    """Two faces bonded; their meshes need not match. Temperatures are tied as well: perfect contact.

    The nodes of one face, the secondary, follow the other, equal in the mean over the common area (dual
    mortar functions): rigid motions, linear displacements and constant tractions pass exactly through flat
    faces. A gap within the tolerance is bridged by rigid arms, so that nothing needs to be moved.

    Parameters
    ----------
    a, b : str or Selection
        Faces. Only where they look at each other they are joined.
    tolerance : length, optional
        Largest gap that is bridged; a tenth of the facet size without.
    secondary : "a" or "b", optional
        Which side follows. Without it the smaller face, of like ones the finer.
    method : "mortar" or "node"
        ``"node"`` glues each secondary node to the facet below it, as most programs do; a constant traction
        then passes only nearly.
    """

    a: On
    b: On
    tolerance: Any = None
    secondary: str | None = None
    method: str = "mortar"

    def __post_init__(self) -> None:
        _settle(self, a=place(self.a, "Tie a"), b=place(self.b, "Tie b"))
        if self.tolerance is not None:
            tolerance = _number(self.tolerance, "length", f"{self.said}: tolerance")
            if tolerance < 0.0:
                raise ModelError(f"{self.said}: a tolerance below zero bridges nothing; give a length")
            _settle(self, tolerance=tolerance)
        if self.secondary not in (None, "a", "b"):
            raise ModelError(f"{self.said}: secondary is {self.secondary!r}; 'a' or 'b' is wanted")
        if self.method not in ("mortar", "node"):
            raise ModelError(f"{self.said}: method is {self.method!r}; 'mortar' or 'node' is wanted")

    @property
    def said(self) -> str:
        return f"Tie of {said(self.a)} and {said(self.b)}"

    def coupling(self, model: Model) -> Coupling:
        """The secondary nodes and their weights.

        Raises
        ------
        ModelError
            If a side has no faces, both are the same, or nothing lies within the tolerance.
        """
        key = ("tie", self.a, self.b, self.tolerance, self.secondary, self.method)
        return _once(model, key, lambda: self._coupling(model))  # type: ignore[no-any-return]

    def _coupling(self, model: Model) -> Coupling:
        mesh = model.mesh
        a, b = facing(model, self.a, self.b, self.said, "bonds")
        first, second = (a, b) if self._secondary(model, a, b) == "a" else (b, a)
        found = couple(
            mesh, first, second, tolerance=self.tolerance, method=self.method, ring=model.axisymmetric
        )
        if len(found.nodes):
            return found
        raise apart(model, first, second, found.nearest, self.tolerance, f"{self.said}: nothing to bond")

    def _secondary(self, model: Model, a: IntArray, b: IntArray) -> str:
        if self.secondary is not None:
            return self.secondary
        smaller = smaller_side(model, a, b)
        if smaller:
            return smaller
        return "a" if str(self.a) <= str(self.b) else "b"

    def equations(self, model: Model) -> Equations:
        found = self.coupling(model)
        return _following(
            model.mesh.n_points, found, found.displacement(), range(model.dimension),
            np.zeros(3 * len(found.nodes)),
        )  # fmt: skip

    def heat_equations(self, model: Model) -> Equations:
        return _heat_following(model.mesh.n_points, self.coupling(model))

    def notes(self, model: Model) -> list[str]:
        found = self.coupling(model)
        if found.covered > 0.995 and not len(found.loose):
            return []
        return [
            f"{self.said}: {100.0 * found.covered:.3g} % of the smaller face is bonded; "
            f"{len(found.loose):,} of its {len(found.loose) + len(found.nodes):,} nodes have nothing "
            "opposite and are free"
        ]


def _heat_following(n_points: int, found: Coupling) -> Equations:
    from scipy import sparse

    k = len(found.nodes)
    one = sparse.csr_array((np.ones(k), found.nodes, np.arange(k + 1)), shape=(k, n_points))
    matrix = (one - found.weights).tocsr()
    return Equations(matrix, np.zeros(k), found.nodes, False, found.weight, found.beside)


@dataclass(frozen=True, kw_only=True, eq=False)
class Periodic(Connection):
    """Face a moves as face b does: one cell of a pattern that repeats, or one sector of a ring.

    Face b, moved to where a is, must lie on it; the meshes need not match. Supports have to stop rigid
    motions as in any model.

    Parameters
    ----------
    a, b : str or Selection
        Faces.
    angle : angle, optional
        Turn about ``axis`` that brings b onto a (cyclic symmetry); moved straight without.
    axis : str or three numbers
        Direction of the axis of the ring.
    through : point
        A point of the axis.
    jump : three lengths, optional
        Displacement of a less that of b: a mean strain of the pattern, times the period.
    """

    a: On
    b: On
    angle: Any = None
    axis: Any = "z"
    through: Any = (0.0, 0.0, 0.0)
    jump: Any = None

    def __post_init__(self) -> None:
        _settle(self, a=place(self.a, "Periodic a"), b=place(self.b, "Periodic b"))
        _settle(
            self, axis=unit_vector(self.axis, name=f"{self.said}: axis"),
            through=point(self.through, name=f"{self.said}: through"),
        )  # fmt: skip
        if self.angle is not None:
            _settle(self, angle=_number(self.angle, "angle", f"{self.said}: angle"))
        if self.jump is not None:
            jump = np.asarray(to_si(self.jump, "length", name=f"{self.said}: jump"), np.float64)
            if jump.shape != (3,):
                raise ModelError(f"{self.said}: jump is {self.jump!r}; three lengths are wanted")
            _settle(self, jump=tuple(jump.tolist()))

    @property
    def said(self) -> str:
        return f"Periodic {said(self.a)} as {said(self.b)}"

    def _turn(self) -> FloatArray:
        if self.angle is None:
            return np.eye(3)
        x, y, z = self.axis
        cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        return np.asarray(np.eye(3) + np.sin(self.angle) * cross + (1 - np.cos(self.angle)) * cross @ cross)

    def coupling(self, model: Model) -> Coupling:
        """The nodes of a and their weights over those of b, before any turn.

        Raises
        ------
        ModelError
            If b moved does not lie on a.
        """
        key = ("periodic", self.a, self.b, self.angle, self.axis, self.through)
        return _once(model, key, lambda: self._coupling(model))  # type: ignore[no-any-return]

    def _coupling(self, model: Model) -> Coupling:
        mesh = model.mesh
        a, b = _facets(model, self.a, self.said), _facets(model, self.b, self.said)
        if self.angle is None:
            centers = []
            for facets in (a, b):
                vectors, center = mesh.facet_vectors(facets)
                size = np.linalg.norm(vectors, axis=1)
                centers.append(size @ center / size.sum())
            moved = mesh.points + (centers[0] - centers[1])
        else:
            through = np.array(self.through)
            moved = through + (mesh.points - through) @ self._turn().T
        found = couple(mesh, a, b, ring=model.axisymmetric, moved=moved)
        if found.covered < 0.99:
            how = "moved straight" if self.angle is None else f"turned by {show(self.angle, 'angle')}"
            raise ModelError(
                f"{self.said}: {said(self.b)} {how} covers {100 * found.covered:.3g} % of {said(self.a)}; "
                "the faces of a pattern lie on each other wholly. Check the two faces, the axis and the angle"
            )
        return found

    def equations(self, model: Model) -> Equations:
        from scipy import sparse

        found = self.coupling(model)
        n = model.mesh.n_points
        jump = np.zeros(3) if self.jump is None else np.array(self.jump)
        weights = sparse.kron(found.weights, sparse.csr_array(self._turn()), format="csr")
        out = _following(
            n, found, weights, range(model.dimension), np.tile(jump, len(found.nodes))
        )  # fmt: skip
        return out if self.angle is None else with_axis(out, model, self.on_axis(model), self._turn())

    def on_axis(self, model: Model) -> IntArray:
        """Nodes that both faces have: those on the axis, their own partners. Sorted, int64[k]."""
        first, second = (_facets(model, on, self.said) for on in (self.a, self.b))
        of = model.mesh.nodes_of_facets
        return np.intersect1d(of(first), of(second))

    def heat_equations(self, model: Model) -> Equations:
        return _heat_following(model.mesh.n_points, self.coupling(model))


@dataclass(frozen=True, kw_only=True, eq=False)
class CyclicSymmetry(Connection):
    """The model is one of so many equal sectors of a ring: blades, impellers, rotors.

    Face ``low``, turned about the axis by one sector, lies on face ``high``; the meshes of the two need not
    match. Static and thermal answers are those in which all sectors do the same. Modes are found for every
    number of nodal diameters, and belong to the whole ring.

    Parameters
    ----------
    low, high : str or Selection
        The two cut faces; the turn from low to high is right-handed about ``axis``.
    sectors : int
        Of the whole ring, 2 or more.
    axis : str or three numbers
        Direction of the axis.
    through : point
        A point of the axis.
    """

    low: On
    high: On
    sectors: int
    axis: Any = "z"
    through: Any = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        _settle(self, low=place(self.low, "CyclicSymmetry low"), high=place(self.high, "CyclicSymmetry high"))
        if isinstance(self.sectors, bool) or not isinstance(self.sectors, int) or self.sectors < 2:
            raise ModelError(f"{self.said}: sectors is {self.sectors!r}; how many make the ring, 2 or more?")
        _settle(
            self, axis=unit_vector(self.axis, name=f"{self.said}: axis"),
            through=point(self.through, name=f"{self.said}: through"),
        )  # fmt: skip

    @property
    def said(self) -> str:
        return f"CyclicSymmetry from {said(self.low)} to {said(self.high)}"

    @property
    def amount(self) -> str:
        return f"{self.sectors} sectors"

    def _turned(self, low: On, high: On) -> Periodic:
        angle = 2.0 * np.pi / self.sectors
        return Periodic(a=high, b=low, angle=angle, axis=self.axis, through=self.through)

    @property
    def turn(self) -> FloatArray:
        """Rotation by one sector, float64[3, 3]."""
        return self._turned(self.low, self.high)._turn()

    def coupling(self, model: Model) -> Coupling:
        """The nodes of ``high`` and their weights over those of ``low``, before any turn.

        Raises
        ------
        ModelError
            If low turned does not lie on high.
        """
        if model.axisymmetric:
            raise ModelError(f"{self.said}: an axisymmetric model is the whole ring already")
        if model.dimension == 2 and abs(self.axis[2]) != 1.0:
            raise ModelError(f"{self.said}: a plane model turns about z only; give axis='z'")
        for on in (self.low, self.high):
            _facets(model, on, self.said)
        try:
            return self._turned(self.low, self.high).coupling(model)
        except ModelError as error:
            angle = show(2.0 * np.pi / self.sectors, "angle")
            try:
                self._turned(self.high, self.low).coupling(model)
            except ModelError:
                found = str(error).partition(": ")[2].partition(";")[0]
                raise ModelError(
                    f"{self.said}: turned by {angle}, one sector of {self.sectors}, low is not on high "
                    f"({found}). Check the faces, sectors=, axis= and through="
                ) from None
            raise ModelError(
                f"{self.said}: high turned by {angle} lies on low; the turn is right-handed about the axis: "
                "exchange low and high, or turn the axis round"
            ) from None

    def on_axis(self, model: Model) -> IntArray:
        """Nodes that both cuts have: those on the axis. Sorted, int64[k]."""
        return self._turned(self.low, self.high).on_axis(model)

    def equations(self, model: Model) -> Equations:
        self.coupling(model)
        return self._turned(self.low, self.high).equations(model)

    def heat_equations(self, model: Model) -> Equations:
        self.coupling(model)
        return self._turned(self.low, self.high).heat_equations(model)

    def check(self, model: Model) -> None:
        super().check(model)
        if sum(isinstance(one, CyclicSymmetry) for one in model.connections) > 1:
            raise ModelError(f"{self.said}: a model is a sector of one ring; state one CyclicSymmetry")


def with_axis(out: Equations, model: Model, nodes: IntArray, turn: FloatArray) -> Equations:
    """Equations of a turn and those of nodes on its axis, which say what of them stays: u = turn u.

    Parameters
    ----------
    nodes : int64[k]
    turn : float64[3 c, 3 c]
        Of the displacements of a node in each of c copies of the mesh.
    """
    from scipy import sparse

    c, d, n = len(turn) // 3, model.dimension, model.mesh.n_points
    if not len(nodes):
        return out
    rest = np.eye(3 * c) - turn
    rest[np.abs(rest) < _SMALL] = 0.0
    rows = [i for i in range(3 * c) if i % 3 < d and rest[i].any()]
    column = 3 * n * (np.arange(3 * c) // 3) + np.arange(3 * c) % 3 + 3 * nodes[:, None]
    k, width = len(nodes) * len(rows), out.matrix.shape[1]
    own = sparse.csr_array(
        (
            np.tile(rest[rows].ravel(), len(nodes)),
            np.repeat(column, len(rows), axis=0).ravel(),
            3 * c * np.arange(k + 1),
        ),
        shape=(k, width),
    )
    own.eliminate_zeros()
    assert out.weight is not None  # bonds have areas
    assert out.beside is not None
    return Equations(
        sparse.vstack([out.matrix, own], format="csr"), np.concatenate([out.value, np.zeros(k)]),
        np.concatenate([out.follower, np.full(k, -1)]), out.firm,
        np.concatenate([out.weight, np.zeros(k)]),
        sparse.block_diag([out.beside, sparse.csr_array((k, k))], format="csr"),
    )  # fmt: skip


# Links


@dataclass(frozen=True, kw_only=True, eq=False)
class RigidLink(Connection):
    """Nodes of a region move as one rigid body (RBE2); forces and moments act on it as on a rigid body.

    No unknowns are added: six displacements of the region carry the others. To join several places, name
    them all in ``on``; a load with its moment is a ``RemoteForce`` on the region.

    Parameters
    ----------
    on : str, Selection or a list of these
        Nodes, or the nodes of its faces or cells.
    at : point, optional
        About which the motions below are stated; the middle of the region without.
    x, y, z : length, optional
        Displacement of that point, given.
    rx, ry, rz : angle, optional
        Rotation of the body about x, y, z, given (small).
    """

    on: On
    at: Any = None
    x: Any = None
    y: Any = None
    z: Any = None
    rx: Any = None
    ry: Any = None
    rz: Any = None

    def __post_init__(self) -> None:
        _settle_motions(self)

    @property
    def amount(self) -> str:
        return _motions_said(self)

    def equations(self, model: Model) -> Equations:
        return _once(  # type: ignore[no-any-return]
            model, ("rigid", self.content_key()), lambda: self._equations(model)
        )

    def _equations(self, model: Model) -> Equations:
        from scipy import sparse
        from scipy.linalg import qr

        mesh = model.mesh
        nodes = model.region(self.on).nodes
        if len(nodes) < 2:
            raise ModelError(f"{self.said} holds {len(nodes)} node; a rigid link joins two at least")
        x = mesh.points[nodes]
        at = x.mean(axis=0) if self.at is None else np.array(self.at)
        size = max(float(np.abs(x - at).max()), 1e-300)
        c = model.dimension
        modes = rigid_motions((x - at) / size, c, model.axisymmetric)[:, :c]
        k, m = len(nodes), modes.shape[2]
        flat = modes.reshape(-1, m)
        _, r, pivots = qr(flat.T, mode="economic", pivoting=True)
        rank = int((np.abs(np.diag(r)) > 1e-9 * abs(r[0, 0])).sum())
        carrier = pivots[:rank]
        # In a region on a line one turn moves nothing: the carriers give the other motions.
        motion = np.linalg.pinv(flat[carrier], rcond=1e-10)
        share = flat @ motion
        share[np.abs(share) < _SMALL] = 0.0
        column = (3 * nodes[:, None] + np.arange(c)).ravel()
        rest = np.setdiff1d(np.arange(c * k), carrier)
        rows = np.arange(len(rest))
        n = 3 * mesh.n_points
        one = sparse.coo_array((np.ones(len(rest)), (rows, column[rest])), shape=(len(rest), n))
        many = sparse.coo_array(
            (share[rest].ravel(), (np.repeat(rows, rank), np.tile(column[carrier], len(rest)))),
            shape=(len(rest), n),
        )
        matrix, value, follower = (one - many).tocsr(), np.zeros(len(rest)), column[rest]
        given = _given(self, model, rank == m)
        if given:
            # Motions in m and rad; rotations were scaled by the size.
            unit = motion / np.array([1.0 if i < _translations(model) else size for i in range(m)])[:, None]
            more = np.zeros((len(given), n))
            more[:, column[carrier]] = unit[[i for i, _ in given]]
            matrix = sparse.vstack([matrix, sparse.csr_array(more)], format="csr")
            value = np.concatenate([value, [v for _, v in given]])
            follower = np.concatenate([follower, np.full(len(given), -1)])
        return Equations(matrix, value, follower, True)


def _translations(model: Model) -> int:
    return 1 if model.axisymmetric else model.dimension


def _settle_motions(link: Any) -> None:
    """Places and motions of a link, in SI."""
    who = type(link).__name__
    _settle(link, on=place(link.on, who))
    if link.at is not None:
        _settle(link, at=point(link.at, name=f"{link.said}: at"))
    for name in _MOTIONS:
        if getattr(link, name) is not None:
            kind = "length" if len(name) == 1 else "angle"
            _settle(link, **{name: _number(getattr(link, name), kind, f"{link.said}: {name}")})


def _motions_said(link: Any) -> str:
    """Motions that are prescribed, in words."""
    given = [(name, getattr(link, name)) for name in _MOTIONS if getattr(link, name) is not None]
    return ", ".join(
        f"{name} {show(value, 'length' if len(name) == 1 else 'angle')}" for name, value in given
    )


def _given(link: Any, model: Model, turns: bool) -> list[tuple[int, float]]:
    """Motions that are prescribed: number among the model's rigid motions, and value."""
    names = (
        ["y"] if model.axisymmetric else ["x", "y", "rz"] if model.dimension == 2 else list(_MOTIONS)
    )  # fmt: skip
    out = []
    for name in _MOTIONS:
        value = getattr(link, name)
        if value is None:
            continue
        if name not in names:
            raise ModelError(
                f"{link.said}: {name} is given, but the model "
                + ("is axisymmetric and moves along y only" if model.axisymmetric else "is plane")
            )
        if len(name) == 2 and not turns:
            raise ModelError(
                f"{link.said}: {name} is given, but its nodes lie on one line (or in one point), which "
                "cannot tell every rotation; add nodes beside it"
            )
        out.append((names.index(name), value))
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class SpreadLink(Connection):
    """The mean motion of a region, which stays flexible (RBE3): given, or followed by a node.

    The mean is that of the displacement over the area (least squares for the rotation), so that a force or a
    moment through the link reaches the face as an even, or linear, traction.

    Parameters
    ----------
    on : str or Selection
        Faces if it holds any, else nodes, else cells.
    node : str or Selection, optional
        A node that follows the mean motion, such as the end of a bar, or a node of no cell.
    at : point, optional
        About which the motions below are stated; the centroid of the region without.
    x, y, z : length, optional
        Mean displacement, given.
    rx, ry, rz : angle, optional
        Mean rotation, given (small).
    """

    on: On
    node: On | None = None
    at: Any = None
    x: Any = None
    y: Any = None
    z: Any = None
    rx: Any = None
    ry: Any = None
    rz: Any = None

    def __post_init__(self) -> None:
        _settle_motions(self)
        if self.node is not None:
            _settle(self, node=place(self.node, f"{self.said}: node"))
        elif all(getattr(self, name) is None for name in _MOTIONS):
            raise ModelError(f"{self.said} joins nothing: give node=, or one of {', '.join(_MOTIONS)}")

    @property
    def amount(self) -> str:
        return _motions_said(self)

    def equations(self, model: Model) -> Equations:
        return _once(  # type: ignore[no-any-return]
            model, ("spread", self.content_key()), lambda: self._equations(model)
        )

    def _equations(self, model: Model) -> Equations:
        from scipy import sparse

        mesh = model.mesh
        domain = domain_of(model, self.on)
        at = domain.center if self.at is None else np.array(self.at)
        size = max(float(np.abs(mesh.points[model.region(self.on).nodes] - at).max()), 1e-300)

        def motions(x: FloatArray) -> FloatArray:
            return rigid_motions((x - at) / size, model.dimension, model.axisymmetric)

        m = motions(at[None]).shape[2]
        spread = np.stack(
            [
                domain.spread(lambda p, i=i: motions(p.at.reshape(-1, 3))[:, :, i].reshape(p.at.shape))  # type: ignore[misc]
                for i in range(m)
            ],
            axis=2,
        ).reshape(-1, m)
        gram = np.einsum("im,in->mn", spread, motions(mesh.points).reshape(-1, m))
        gram = 0.5 * (gram + gram.T)
        values, vectors = np.linalg.eigh(gram)
        full = bool(values[0] > 1e-9 * values[-1])
        # Nodes on a line: the turn about it moves nothing and is left out of the mean.
        inverse = np.where(values > 1e-9 * values[-1], 1.0 / np.maximum(values, 1e-300), 0.0)
        mean = (vectors * inverse) @ vectors.T @ spread.T
        mean[np.abs(mean) < _SMALL * np.abs(mean).max()] = 0.0
        rows, value, follower = [], [], []
        if self.node is not None:
            nodes = model.region(self.node).nodes
            if len(nodes) != 1:
                raise ModelError(
                    f"{self.said}: node={said(self.node)} holds {len(nodes):,} nodes; one is wanted"
                )
            if mean[:, 3 * nodes[0] : 3 * nodes[0] + 3].any():
                raise ModelError(f"{self.said}: the node {nodes[0]} is of the region that it should follow")
            follows = motions(mesh.points[nodes])[0] @ mean
            for axis in range(model.dimension):
                row = -follows[axis]
                row[3 * nodes[0] + axis] += 1.0
                rows.append(row)
                value.append(0.0)
                follower.append(3 * int(nodes[0]) + axis)
        for i, given in _given(self, model, full):
            scale = 1.0 if i < _translations(model) else size
            rows.append(mean[i] / scale)
            value.append(given)
            follower.append(-1)
        return Equations(
            sparse.csr_array(np.array(rows)), np.array(value), np.array(follower, np.int64), True
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearConstraint(Connection):
    """A sum of displacements (or temperatures) times coefficients has a given value (MPC).

    Parameters
    ----------
    terms : list of (place, direction, coefficient)
        Direction is ``"x"``, ``"y"``, ``"z"`` or ``"temperature"``. The first place may hold many nodes: each
        has its own equation. The others hold one node, or stand for the mean of their nodes.
    value : length or temperature difference
        What the sum is, 0 by default.

    For example ``terms=[("left", "x", 1.0), ("right", "x", -2.0)]`` moves left twice as far as right.
    """

    terms: Any
    value: Any = 0.0

    def __post_init__(self) -> None:
        terms = []
        if isinstance(self.terms, str) or not isinstance(self.terms, Sequence) or not self.terms:
            raise ModelError(
                "LinearConstraint: terms is a list of (place, direction, coefficient), such as "
                '("lug", "x", 1.0)'
            )
        for term in self.terms:
            if isinstance(term, str) or not isinstance(term, Sequence) or len(term) != 3:
                raise ModelError(f"LinearConstraint: a term is (place, direction, coefficient), got {term!r}")
            on, direction, coefficient = term
            if direction not in ("x", "y", "z", "temperature"):
                raise ModelError(
                    f"LinearConstraint: direction {direction!r} is none of 'x', 'y', 'z', 'temperature'"
                )
            number = _number(coefficient, "dimensionless", "LinearConstraint coefficient")
            if number == 0.0:
                raise ModelError(f"LinearConstraint: the coefficient of {said(on)} is zero; leave it out")
            terms.append((place(on, "LinearConstraint"), direction, number))
        kinds = {direction == "temperature" for _, direction, _ in terms}
        if len(kinds) > 1:
            raise ModelError("LinearConstraint: displacements and temperatures do not add; state two")
        dimension = "temperature_difference" if kinds == {True} else "length"
        value = _number(self.value, dimension, "LinearConstraint value")
        _settle(self, terms=tuple(terms), value=value)

    @property
    def said(self) -> str:
        left = " + ".join(f"{c:g} {d} of {said(on)}" for on, d, c in self.terms)
        kind = "temperature_difference" if self._thermal else "length"
        return f"LinearConstraint {left} = {show(self.value, kind)}"

    @property
    def _thermal(self) -> bool:
        return bool(self.terms[0][1] == "temperature")

    def equations(self, model: Model) -> Equations | None:
        return None if self._thermal else self._rows(model, 3)

    def heat_equations(self, model: Model) -> Equations | None:
        return self._rows(model, 1) if self._thermal else None

    def _rows(self, model: Model, width: int) -> Equations:
        from scipy import sparse

        n = width * model.mesh.n_points
        total: Any = None
        for i, (on, direction, coefficient) in enumerate(self.terms):
            nodes = model.region(on).nodes
            if direction == "z" and model.dimension == 2:
                raise ModelError(f"{self.said}: a plane model has no displacement along z")
            columns = width * nodes + ("xyz".index(direction) if width == 3 else 0)
            if i == 0:
                k = len(nodes)
                entry = (np.full(k, coefficient), columns, np.arange(k + 1))
            else:
                share = np.full(k * len(nodes), coefficient / len(nodes))
                entry = (share, np.tile(columns, k), len(nodes) * np.arange(k + 1))
            term = sparse.csr_array(entry, shape=(k, n))
            total = term if total is None else total + term
        total.sum_duplicates()
        total.eliminate_zeros()
        if (np.diff(total.indptr) == 0).any():
            raise ModelError(f"{self.said}: its terms cancel, and nothing is left to constrain")
        return Equations(total, np.full(total.shape[0], self.value), np.full(total.shape[0], -1), True)


def equations_of(model: Model, connections: Sequence[Connection], *, heat: bool = False) -> list[Equations]:
    """Equations of each connection, in the order given; empty ones where a connection has none."""
    from scipy import sparse

    width = model.mesh.n_points * (1 if heat else 3)
    out = []
    for one in connections:
        found = one.heat_equations(model) if heat else one.equations(model)
        if found is None:
            none = np.empty(0)
            found = Equations(sparse.csr_array((0, width)), none, none.astype(np.int64), False)
        out.append(found)
    return out


def linked_nodes(model: Model, *, heat: bool = False) -> IntArray:
    """Nodes that connections name; those of no cell count as part of the model. Sorted, int64[k]."""
    if not model.connections:
        return np.empty(0, np.int64)
    found = equations_of(model, model.connections, heat=heat)
    nodes = [np.unique(one.matrix.indices) // (1 if heat else 3) for one in found]
    nodes += [one.ravel() for one in heated_sets(model) if heat]
    return np.unique(np.concatenate(nodes))


def heated_sets(model: Model) -> list[IntArray]:
    """Node sets between which connections pass heat, int64[k, n] each."""
    return [
        one.nodes[np.abs(one.values).max(axis=(1, 2), initial=0.0) > 0.0]
        for joint in model.connections
        for one in joint.heat_matrices(model)
    ]


def bound_nodes(model: Model, *, heat: bool = False) -> IntArray:
    """Nodes whose displacement or temperature may follow from others by connections; sorted, int64[k]."""
    size = 1 if heat else 3
    nodes = [np.empty(0, np.int64)]
    for one in equations_of(model, model.connections, heat=heat):
        free = one.follower < 0
        nodes.append((one.matrix.indices if one.firm else one.matrix[free].indices) // size)
        nodes.append(one.follower[~free] // size)
    return np.unique(np.concatenate(nodes))


def bridges(model: Model, supports: Sequence[Plain]) -> list[IntArray]:
    """Nodes of both ends of every spring between two places, int64[k] each."""
    return [
        np.union1d(model.region(support.on).nodes, model.region(support.to).nodes)  # type: ignore[attr-defined]
        for support in supports
        if getattr(support, "to", None) is not None
    ]


def joined_pieces(
    model: Model, *, heat: bool = False, supports: Sequence[Plain] = ()
) -> tuple[IntArray, IntArray]:
    """Pieces of the mesh that connections join count as one.

    Parameters
    ----------
    supports : sequence of Support
        Springs among them that go from piece to piece join as well.

    Returns
    -------
    cells : int64[n_cells]
        Number of the piece of each cell.
    nodes : int64[n_points]
        Of each node, -1 where no cell uses it and no connection names it.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    mesh = model.mesh
    nodes = np.full(mesh.n_points, -1)
    for _, ids, conn in mesh.blocks():
        nodes[conn] = mesh.pieces[ids][:, None]
    springs = bridges(model, supports)
    if not model.connections and not springs:
        return mesh.pieces, nodes
    n = int(mesh.pieces.max()) + 1
    named = np.unique(linked_nodes(model, heat=heat))
    alone = named[nodes[named] < 0]
    nodes[alone] = n + np.arange(len(alone))
    n += len(alone)
    rows, pieces, start = [np.empty(0, np.int64)], [np.empty(0, np.int64)], n
    for one in equations_of(model, model.connections, heat=heat):
        entries = one.matrix.tocoo()
        rows.append(entries.row + start)
        start += one.matrix.shape[0]
        pieces.append(nodes[entries.col // (1 if heat else 3)])
    for sets in heated_sets(model) if heat else ():
        rows.append(start + np.repeat(np.arange(len(sets)), sets.shape[1]))
        start += len(sets)
        pieces.append(nodes[sets.ravel()])
    for ends in springs:
        own = nodes[ends]
        pieces.append(own[own >= 0])
        rows.append(np.full(len(pieces[-1]), start))
        start += 1
    row, piece = np.concatenate(rows), np.concatenate(pieces)
    size = int(row.max(initial=n - 1)) + 1
    graph = coo_array((np.ones(len(row), np.int8), (row, piece)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    _, number = np.unique(label[:n], return_inverse=True)
    return np.asarray(number[mesh.pieces]), np.where(nodes >= 0, number[nodes], -1)
