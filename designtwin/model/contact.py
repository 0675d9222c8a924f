"""Heat between parts that touch without being one: contact conductance, layers between them, heat pipes.

Each answers ``heat_matrices(model)``: what passes from node to node per kelvin. Displacements are left
alone: parts that also hold together are bonded by a ``Tie``, which makes their temperatures equal, or are
supported on their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import ModelError
from designtwin.mesh.interfaces import REACH, Faces, OverlapBlock, overlap
from designtwin.model.connections import Connection, _number, _once, _settle, apart, facing, smaller_side
from designtwin.model.domains import NodalMatrices, domain_of, said
from designtwin.model.loads import On, place
from designtwin.model.magnitude import Magnitude
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show

if TYPE_CHECKING:
    from designtwin.model.model import Model

__all__ = ["ContactConductance", "HeatPipe", "ThermalInterface"]

_DENSE = 2000
"""Nodes at both ends of a heat pipe together up to which each may warm every other: four million entries."""
_PAIRS = 60_000
"""Pairs of pieces that a longer one has about, each a small matrix."""
_SPREAD = 8
"""Places of the other end, at least, between which the partners of a piece are spread."""
_GOLDEN = 0.5 * (5.0**0.5 - 1.0)
"""Multiples of it fill the unit interval evenly, whatever their number."""
_LAYERS = 1.5
"""How many times over a facet may be covered before another face must lie behind the one opposite."""


@dataclass(frozen=True, eq=False)
class _Found:
    """What was found between two faces.

    matrices stand pair by pair, nodes of the first face first (`first` says how many); covered is a share of
    the smaller face.
    """

    matrices: list[NodalMatrices]
    first: list[int]
    swapped: bool
    area: float
    covered: float


class _Joint(Connection):
    """Faces between which heat passes in proportion to the difference in temperature, place by place."""

    a: On
    b: On
    tolerance: Any

    @property
    def said(self) -> str:
        return f"{type(self).__name__} of {said(self.a)} and {said(self.b)}"

    def _settle_places(self) -> None:
        who = type(self).__name__
        _settle(self, a=place(self.a, f"{who} a"), b=place(self.b, f"{who} b"))
        if self.tolerance is not None:
            tolerance = _number(self.tolerance, "length", f"{self.said}: tolerance")
            if tolerance < 0.0:
                raise ModelError(f"{self.said}: a tolerance below zero bridges nothing; give a length")
            _settle(self, tolerance=tolerance)

    def _coefficient(self, model: Model, block: OverlapBlock) -> FloatArray:
        """Conductance at the points of a block, float64[q], W/(m^2 K)."""
        raise NotImplementedError

    def _reach(self, model: Model, a: IntArray, b: IntArray) -> float | None:
        """Largest gap that is bridged, m; None for a tenth of the facets."""
        return None if self.tolerance is None else float(self.tolerance)

    def _found(self, model: Model) -> _Found:
        key = ("joint", self.content_key())
        return _once(model, key, lambda: self._look(model))  # type: ignore[no-any-return]

    def _look(self, model: Model) -> _Found:
        mesh = model.mesh
        a, b = facing(model, self.a, self.b, self.said, "joins")
        swapped = smaller_side(model, a, b) == "b"
        first, second = (b, a) if swapped else (a, b)
        tolerance = self._reach(model, first, second)
        common = overlap(mesh, first, second, tolerance=tolerance, ring=model.axisymmetric)
        if not common.blocks:
            raise apart(
                model, first, second, common.nearest, tolerance, f"{self.said}: no heat passes between them"
            )
        if common.layers > _LAYERS:
            raise ModelError(
                f"{self.said}: some facets find {common.layers:.2g} times their area opposite, for faces "
                f"lie behind each other within {show(common.gap, 'length', digits=3)}; give a smaller "
                "tolerance=, or name only the face that touches"
            )
        scale = model.cell_scale()
        turn = 2.0 * np.pi if model.axisymmetric else 1.0
        matrices, sizes, area = [], [], 0.0
        for block in common.blocks:
            # Of two plates of unlike thickness only the thinner touches all over.
            width = np.minimum(scale[block.cells_a], scale[block.cells_b])
            measure = turn * block.measure * width[block.pair]
            area += float(measure.sum())
            weight = measure * self._coefficient(model, block)
            matrices.append(_exchange(block, weight))
            sizes.append(block.nodes_a.shape[1])
        return _Found(matrices, sizes, swapped, area, common.covered)

    def heat_matrices(self, model: Model) -> list[NodalMatrices]:
        return self._found(model).matrices

    def area(self, model: Model) -> float:
        """Area over which the two faces look at each other, m^2."""
        return self._found(model).area

    def heat(self, model: Model, temperature: FloatArray) -> float:
        """Heat that flows from a to b, W, for temperatures float64[n_points] in K."""
        found = self._found(model)
        total = 0.0
        for one, n in zip(found.matrices, found.first, strict=True):
            total += float(np.einsum("kij,kj->", one.values[:, :n], temperature[one.nodes]))
        return -total if found.swapped else total

    def notes(self, model: Model) -> list[str]:
        covered = self._found(model).covered
        if covered > 0.995:
            return []
        return [
            f"{self.said}: {100.0 * covered:.3g} % of the smaller face finds the other; no heat passes "
            "through the rest"
        ]


def _exchange(block: OverlapBlock, weight: FloatArray) -> NodalMatrices:
    """Integral of h (Na - Nb)^T (Na - Nb) over the common part of each pair; weight is h dA, float64[q]."""
    nodes = np.concatenate([block.nodes_a, block.nodes_b], axis=1)
    n = nodes.shape[1]
    values = np.zeros((len(nodes), n, n))
    step = 20_000
    for start in range(0, len(weight), step):  # products of all points at once would not fit
        some = slice(start, min(start + step, len(weight)))
        jump = np.concatenate([block.shape_a[some], -block.shape_b[some]], axis=1)
        product = np.einsum("q,qi,qj->qij", weight[some], jump, jump)
        pair = block.pair[some]
        new = np.flatnonzero(np.diff(pair, prepend=-1))
        values[pair[new]] += np.add.reduceat(product, new, axis=0)
    return NodalMatrices(nodes, values)


def _settle_resistance(item: Any, inverse: str, example: str, other: str) -> None:
    """Refuse both or neither of conductance and resistance; bring the resistance to SI if it is given."""
    if (item.conductance is None) == (item.resistance is None):
        what = "neither is" if item.conductance is None else "both are"
        raise ModelError(
            f"{item.said}: conductance or resistance says how well heat passes, and {what} given; "
            f'write conductance="{example}" or resistance="{other}"'
        )
    if item.resistance is None:
        return
    resistance = _number(item.resistance, inverse, f"{item.said}: resistance")
    if resistance <= 0.0:
        raise ModelError(
            f"{item.said}: the resistance is {show(resistance, inverse)}; give one above zero, or a Tie for "
            "perfect contact"
        )
    _settle(item, resistance=resistance)


@dataclass(frozen=True, kw_only=True, eq=False)
class ContactConductance(_Joint):
    """Heat passes between two faces that touch: q = h (Ta - Tb). Their meshes need not match.

    The law holds at every place of the common area, in the mean over shape functions (mortar), so that what
    leaves one face enters the other exactly, and a constant flux through flat faces has no error. Areas are
    those of the smaller face.

    Parameters
    ----------
    a, b : str or Selection
        Faces. Heat passes only where they look at each other.
    conductance : heat transfer coefficient, optional
        One value or a field in space, such as ``"5 kW/(m2*K)"``.
    resistance : contact resistance, optional
        Its inverse, such as ``"2e-4 m2*K/W"``; one of the two is wanted.
    tolerance : length, optional
        Largest gap that is bridged; a tenth of the facet size without.

    Sources: Carslaw & Jaeger, Conduction of Heat in Solids, 2nd ed. (1959), sec. 1.9; Puso & Laursen, CMAME
    193 (2004): integration over segments of common area.
    """

    a: On
    b: On
    conductance: Any = None
    resistance: Any = None
    tolerance: Any = None

    def __post_init__(self) -> None:
        self._settle_places()
        _settle_resistance(self, "contact_resistance", "5 kW/(m2*K)", "2e-4 m2*K/W")
        if self.conductance is None:
            return
        name = f"{self.said}: conductance"
        conductance = Magnitude.of(self.conductance, "heat_transfer", name=name)
        if conductance.over is not None:
            raise ModelError(
                f"{name} varies with {conductance.over}; a joint takes one value, or a field in space"
            )
        _settle(self, conductance=conductance)
        if conductance.is_constant:
            self._refuse(float(conductance.at()))

    def _refuse(self, least: float, at: FloatArray | None = None) -> None:
        if least < 0.0:
            where = "" if at is None else f" at {show(at, 'length')}"
            raise ModelError(
                f"{self.said}: the conductance is {show(least, 'heat_transfer')}{where}, so that heat would "
                "flow from cold to hot; give at least 0"
            )

    @property
    def amount(self) -> str:
        if self.conductance is None:
            return show(self.resistance, "contact_resistance")
        return str(self.conductance)

    def _coefficient(self, model: Model, block: OverlapBlock) -> FloatArray:
        n = len(block.pair)
        if self.conductance is None:
            return np.full(n, 1.0 / self.resistance)
        if self.conductance.is_constant:
            return np.full(n, float(self.conductance.at()))
        nodes = block.nodes_a[block.pair]
        at = np.einsum("qn,qna->qa", block.shape_a, model.mesh.points[nodes])
        if self.conductance.kind == "nodal":
            nodal = self.conductance.at(points=model.mesh.points)
            values = np.einsum("qn,qn->q", block.shape_a, nodal[nodes])
        else:
            values = self.conductance.at(points=at)
        worst = int(np.argmin(values))
        self._refuse(float(values[worst]), at[worst])
        return np.asarray(values, np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class ThermalInterface(_Joint):
    """A layer between two faces that is not meshed (paste, pad, adhesive): q = k/t (Ta - Tb).

    The layer is thin against its extent and its curvature: heat crosses it, and none flows or is stored
    along it. It need not be drawn: faces may touch, or stand apart.

    Parameters
    ----------
    a, b : str or Selection
        Faces; see ``ContactConductance``.
    thickness : length
    conductivity : thermal conductivity
        Of the layer.
    tolerance : length, optional
        Largest gap that is bridged; without, one and a half times the thickness or a tenth of the facet
        size, whichever is larger.
    """

    a: On
    b: On
    thickness: Any
    conductivity: Any
    tolerance: Any = None

    def __post_init__(self) -> None:
        self._settle_places()
        for name, kind in (("thickness", "length"), ("conductivity", "conductivity")):
            value = _number(getattr(self, name), kind, f"{self.said}: {name}")
            if value <= 0.0:
                raise ModelError(f"{self.said}: the {name} is {show(value, kind)}; give one above zero")
            _settle(self, **{name: value})

    @property
    def amount(self) -> str:
        return f"{show(self.thickness, 'length')} of {show(self.conductivity, 'conductivity')}"

    def _reach(self, model: Model, a: IntArray, b: IntArray) -> float | None:
        if self.tolerance is not None:
            return float(self.tolerance)
        largest = max(float(np.concatenate(Faces(model.mesh, one).sizes).max()) for one in (a, b))
        return max(1.5 * float(self.thickness), REACH * largest)

    def _coefficient(self, model: Model, block: OverlapBlock) -> FloatArray:
        return np.full(len(block.pair), float(self.conductivity) / float(self.thickness))


@dataclass(frozen=True, eq=False)
class _End:
    """One end of a heat pipe, piece by piece: facets, cells or nodes, in the order of a curve through space.

    nodes int64[k, n] and share float64[k, n], 1 in all, say what the mean temperature of a piece is; one of
    fewer nodes repeats its last with share 0. weight float64[k] is its part of the end, 1 in all.
    """

    nodes: IntArray
    share: FloatArray
    weight: FloatArray

    @property
    def mean(self) -> tuple[IntArray, FloatArray]:
        """Nodes of the end, and what each counts in the mean temperature; 1 in all."""
        used = self.share != 0.0
        nodes, which = np.unique(self.nodes[used], return_inverse=True)
        counts = np.bincount(which, (self.share * self.weight[:, None])[used])
        return nodes, counts / counts.sum()

    @classmethod
    def of(cls, model: Model, on: On, who: str) -> _End:
        from designtwin.kernels.pattern import curve_keys

        domain = domain_of(model, on)
        width = max(patch.conn.shape[1] for patch in domain.patches)
        nodes, share, weight, middle = [], [], [], []
        for patch in domain.patches:
            own = np.zeros((len(patch.conn), width))
            size = patch.measure.sum(axis=1)
            lost = width - patch.conn.shape[1]
            own[:, : width - lost] = patch.measure @ patch.shape / np.maximum(size, 1e-300)[:, None]
            nodes.append(np.pad(patch.conn, ((0, 0), (0, lost)), mode="edge"))
            share.append(own)
            weight.append(size)
            middle.append(
                np.einsum("fq,fqa->fa", patch.measure, patch.at) / np.maximum(size, 1e-300)[:, None]
            )
        size = np.concatenate(weight)
        at = np.concatenate(middle)
        if not size.sum() > 0.0:
            raise ModelError(f"{who}: {said(on)} holds nothing that could be warm")
        low, keys = at.min(axis=0), np.empty(len(at), np.int64)
        curve_keys(0, len(at), at, low, 1e6 / max(float(np.ptp(at, axis=0).max()), 1e-300), keys)
        order = np.argsort(keys, kind="stable")
        order = order[size[order] > 0.0]
        every = np.concatenate(share)[order]
        # Corners of straight quadratic triangles count nothing but for rounding.
        every[np.abs(every) < 1e-12] = 0.0
        some = every.any(axis=0)
        return cls(np.concatenate(nodes)[order][:, some], every[:, some], size[order] / size[order].sum())


def _every(a: _End, b: _End) -> NodalMatrices:
    """Every piece of a with every piece of b, for a conductance of 1 W/K: one matrix over all nodes."""
    from scipy import sparse

    nodes = np.union1d(a.mean[0], b.mean[0])
    total = np.zeros((len(nodes), len(nodes)))
    means = []
    for end in (a, b):
        used = end.share != 0.0
        at = np.searchsorted(nodes, end.nodes[used])
        shape = len(end.weight), len(nodes)
        piece = sparse.coo_array((end.share[used], (np.nonzero(used)[0], at)), shape=shape).tocsr()
        total += (piece.T @ sparse.diags_array(end.weight) @ piece).toarray()
        means.append(piece.T @ end.weight)
    across = np.outer(*means)
    return NodalMatrices(nodes[None], (total - across - across.T)[None])


def _spread(a: _End, b: _End) -> NodalMatrices:
    """Every piece of a with some of b, for a conductance of 1 W/K; each passes its own weight in all.

    The partners of a piece lie at equal distances along the curve through the other end, and other ones for
    every piece.
    """
    na, nb = len(a.weight), len(b.weight)
    n_places = max(_SPREAD, _PAIRS // (na + nb))
    # Neighbors on the curve begin far apart: any region of a finds all of b, and the other way round.
    mixed = np.argsort(np.mod(_GOLDEN * np.arange(na), 1.0), kind="stable")
    ends_a, ends_b = (np.concatenate([[0.0], np.cumsum(one)]) for one in (a.weight[mixed], b.weight))
    ends_a[-1] = ends_b[-1] = 1.0
    pairs, shares = [], []
    for k in range(n_places):
        shift = (k + 0.5) / n_places
        cuts = np.unique(np.concatenate([ends_a, np.mod(ends_b - shift, 1.0), [1.0]]))
        middle = 0.5 * (cuts[1:] + cuts[:-1])
        # The last cuts may differ from 1 by rounding.
        i = np.minimum(np.searchsorted(ends_a, middle, side="right"), na) - 1
        j = np.minimum(np.searchsorted(ends_b, np.mod(middle + shift, 1.0), side="right"), nb) - 1
        pairs.append(mixed[i] * nb + j)
        shares.append(np.diff(cuts) / n_places)
    pair, which = np.unique(np.concatenate(pairs), return_inverse=True)
    i, j = np.divmod(pair, nb)
    part = np.bincount(which, np.concatenate(shares))
    nodes = np.concatenate([a.nodes[i], b.nodes[j]], axis=1)
    jump = np.concatenate([a.share[i], -b.share[j]], axis=1)
    return NodalMatrices(nodes, part[:, None, None] * jump[:, :, None] * jump[:, None, :])


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatPipe(Connection):
    """Heat carried from one place to another: Q = C (mean Ta - mean Tb).

    A piece (facet) of a gives heat in proportion to how much warmer it is than the mean of b, and b takes it
    likewise: a pipe of very high conductance makes both ends evenly warm. What leaves a enters b.

    Parameters
    ----------
    a, b : str or Selection
        Faces if they hold any, else nodes, else cells. Means are over area, share or volume.
    conductance : thermal conductance, optional
        Of the whole pipe, its two walls counted, such as ``"20 W/K"``.
    resistance : thermal resistance, optional
        Its inverse, such as ``"0.05 K/W"``; one of the two is wanted.

    Notes
    -----
    Every piece of a exchanges heat with every piece of b, which would fill the matrix where there are many
    (ends of more than 2,000 nodes together). There each has some partners instead, spread evenly over the
    other end: the law above still holds exactly, the matrix is sparse and positive, and no solver needs to
    know of it; where along the ends heat passes differs by some thousandths.
    """

    a: On
    b: On
    conductance: Any = None
    resistance: Any = None

    def __post_init__(self) -> None:
        _settle(self, a=place(self.a, "HeatPipe a"), b=place(self.b, "HeatPipe b"))
        _settle_resistance(self, "heat_resistance", "20 W/K", "0.05 K/W")
        if self.conductance is not None:
            value = _number(self.conductance, "heat_conductance", f"{self.said}: conductance")
            if value < 0.0:
                raise ModelError(
                    f"{self.said}: the conductance is {show(value, 'heat_conductance')}, so that heat would "
                    "flow from cold to hot; give at least 0"
                )
            _settle(self, conductance=value)

    @property
    def said(self) -> str:
        return f"HeatPipe from {said(self.a)} to {said(self.b)}"

    @property
    def amount(self) -> str:
        if self.conductance is None:
            return show(self.resistance, "heat_resistance")
        return show(self.conductance, "heat_conductance")

    @property
    def _strength(self) -> float:
        return 1.0 / float(self.resistance) if self.conductance is None else float(self.conductance)

    def _ends(self, model: Model) -> tuple[_End, _End]:
        key = ("pipe", self.a, self.b)
        return _once(model, key, lambda: self._find(model))  # type: ignore[no-any-return]

    def _find(self, model: Model) -> tuple[_End, _End]:
        a, b = (_End.of(model, on, self.said) for on in (self.a, self.b))
        first, second = a.mean[0], b.mean[0]
        both = len(np.intersect1d(first, second))
        if both == len(first) == len(second):
            raise ModelError(f"{self.said}: both ends are the same place; name two")
        if 2 * both > min(len(first), len(second)):
            raise ModelError(f"{self.said}: its ends have {both:,} nodes in common; name two places apart")
        return a, b

    def heat_matrices(self, model: Model) -> list[NodalMatrices]:
        key = ("pipe matrix", self.a, self.b, self._strength)
        return _once(model, key, lambda: self._matrices(model))  # type: ignore[no-any-return]

    def _matrices(self, model: Model) -> list[NodalMatrices]:
        a, b = self._ends(model)
        n_nodes = len(a.mean[0]) + len(b.mean[0])
        one = _every(a, b) if n_nodes <= _DENSE else _spread(a, b)
        return [replace(one, values=self._strength * one.values)]

    def heat(self, model: Model, temperature: FloatArray) -> float:
        """Heat that flows from a to b, W, for temperatures float64[n_points] in K."""
        means = [float(counts @ temperature[nodes]) for nodes, counts in (e.mean for e in self._ends(model))]
        return self._strength * (means[0] - means[1])
