"""Heat between parts that touch without being one: contact conductance, layers between them, heat pipes.

Each answers ``heat_matrices(model)``: what passes from node to node per kelvin. Displacements are left
alone: parts that also hold together are bonded by a ``Tie``, which makes their temperatures equal, or are
supported on their own.
"""

from __future__ import annotations

from dataclasses import dataclass
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

_PIPE_NODES = 3000
"""Nodes at both ends of a heat pipe together, each of which warms every other: 9 million entries."""
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


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatPipe(Connection):
    """Heat carried from one place to another: Q = C (mean Ta - mean Tb).

    It is taken from and given to the faces evenly, as their means are taken: what leaves a enters b.
    Every node of both ends warms every other, so that ends hold some thousand nodes at most together.

    Parameters
    ----------
    a, b : str or Selection
        Faces if they hold any, else nodes, else cells. Means are over area, share or volume.
    conductance : thermal conductance, optional
        Of the whole pipe, its two walls counted, such as ``"20 W/K"``.
    resistance : thermal resistance, optional
        Its inverse, such as ``"0.05 K/W"``; one of the two is wanted.
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

    def _difference(self, model: Model) -> tuple[IntArray, FloatArray]:
        """Nodes of both ends, and what their temperatures count in the difference of the means."""
        key = ("pipe", self.a, self.b)
        return _once(model, key, lambda: self._means(model))  # type: ignore[no-any-return]

    def _means(self, model: Model) -> tuple[IntArray, FloatArray]:
        means = []
        for on in (self.a, self.b):
            domain = domain_of(model, on)
            weight = domain.spread(lambda patch: np.ones((*patch.measure.shape, 1)), 1)[:, 0]
            total = float(weight.sum())
            if not total > 0.0:
                raise ModelError(f"{self.said}: {said(on)} holds nothing that could be warm")
            # Corners of straight quadratic triangles have no weight but for rounding.
            weight[np.abs(weight) < 1e-12 * np.abs(weight).max()] = 0.0
            means.append(weight / weight.sum())
        both = (means[0] != 0.0) & (means[1] != 0.0)
        difference = means[0] - means[1]
        if np.abs(difference).max() < 1e-9 * np.abs(means[0]).max():
            raise ModelError(f"{self.said}: both ends are the same place; name two")
        if both.sum() > 0.5 * min((means[0] != 0.0).sum(), (means[1] != 0.0).sum()):
            raise ModelError(
                f"{self.said}: its ends have {int(both.sum()):,} nodes in common; name two places apart"
            )
        nodes = np.flatnonzero(difference)
        if len(nodes) > _PIPE_NODES:
            raise ModelError(
                f"{self.said}: its ends hold {len(nodes):,} nodes, each of which warms every other; "
                f"{_PIPE_NODES:,} are the most. Name smaller faces (the pads of the pipe), or state several "
                "pipes side by side over parts of the faces, whose conductances add up"
            )
        return nodes, difference[nodes]

    def heat_matrices(self, model: Model) -> list[NodalMatrices]:
        nodes, share = self._difference(model)
        return [NodalMatrices(nodes[None], self._strength * np.outer(share, share)[None])]

    @property
    def _strength(self) -> float:
        return 1.0 / float(self.resistance) if self.conductance is None else float(self.conductance)

    def heat(self, model: Model, temperature: FloatArray) -> float:
        """Heat that flows from a to b, W, for temperatures float64[n_points] in K."""
        nodes, share = self._difference(model)
        return self._strength * float(share @ temperature[nodes])
