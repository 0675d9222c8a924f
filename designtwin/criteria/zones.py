"""Failure zones: connected regions of a part where a required field is beyond its limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from designtwin import units
from designtwin.mesh.landmarks import landmark
from designtwin.requirements import FieldQuantity, Outcome, Place, Requirement, ValuesAlone, place_of_node
from designtwin.requirements.life import DamageQuantity
from designtwin.typing import BoolArray, FloatArray, IntArray, PlainData


@dataclass(frozen=True, kw_only=True, eq=False)
class FailureZone:
    """A connected region where a requirement is not met in at least one load case.

    Parameters
    ----------
    requirement : Requirement
    number : int
        From 1, the worst first.
    peak : float
        The worst value in the zone, SI; nan where it is singular.
    margin : float
        Of the peak, negative; see ``Requirement.margin``.
    place : Place
        Where the peak is.
    case : str
        The load case of the peak.
    instant : float, optional
        Its time, s, in a case that has a course in time.
    cases : tuple of str
        All cases in which some of the zone fails.
    volume : float
        m^3; each cell counts with the share of its nodes beyond the limit. 0 on a bare face.
    area : float
        m^2 of outside faces, counted likewise.
    centroid : (x, y, z)
        Of its volume or area, m.
    feature : str
        What is there in the words of a drawing: "fillet between 'lug' and 'web'"; see `mesh.landmarks`.
    groups : tuple of str
        The named groups next to the peak, nearest first.
    also : tuple of str
        Other requirements that are not met in some of it, less badly.
    within : int, optional
        The number of the zone of a requirement that governs there instead.
    singular : bool
        True where the peak grows without end as the mesh is refined: it has a place and no number.
    rows : int64[n]
        Its points: mesh points or rows of ``result.points``, as `location` says.
    location : str
        "points" or "result_points".
    """

    requirement: Requirement
    number: int
    peak: float
    margin: float
    place: Place
    case: str
    cases: tuple[str, ...]
    volume: float
    area: float
    centroid: tuple[float, float, float]
    rows: IntArray
    location: str
    instant: float | None = None
    feature: str = ""
    groups: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    within: int | None = None
    singular: bool = False

    @property
    def n_points(self) -> int:
        """Number of points beyond the limit."""
        return len(self.rows)

    @property
    def times_limit(self) -> float:
        """Demand over allowable at the peak, above 1; nan where the ratio means nothing (temperature)."""
        if self.singular or not self.requirement.margin_is_relative:
            return math.nan
        if self.peak * self.requirement.limit < 0.0:
            return math.nan
        if self.peak == 0.0:
            return math.inf
        ratio = self.peak / self.requirement.limit
        return max(ratio, 1.0 / ratio)

    @property
    def size_text(self) -> str:
        """Volume, or area of a zone that has none, in display units."""
        size, dimension = (self.volume, "volume") if self.volume > 0.0 else (self.area, "area")
        return units.show(float(f"{size:.2g}"), dimension, digits=2) if size > 0.0 else ""

    @property
    def case_text(self) -> str:
        """The load case of the peak, and when it is."""
        return self.case if self.instant is None else f"{self.case} at {units.show_time(self.instant)}"

    @property
    def over_text(self) -> str:
        """How far beyond the limit the peak is: "1.4 times the limit", "12 K beyond the limit"."""
        if self.singular:
            return "singular: no number"
        times = self.times_limit
        if math.isnan(times):
            beyond = units.show(-self.margin, _difference(self.requirement.quantity.dimension), digits=3)
            return f"{beyond} beyond the limit"
        # A margin of half of what is asked for is a demand of twice the limit.
        return f"{times:.{3 if times > 1.05 else 4}g} times the limit"

    @property
    def where_text(self) -> str:
        """The feature and, where no group names it, the nearest one."""
        near = self.place.near if not self.groups or self.feature == "inside" else ""
        return ", ".join(part for part in (self.feature, near) if part) or str(self.place)

    @property
    def sentence(self) -> str:
        """In a line: "fillet between 'lug' and 'web', 41 mm³, load case lift, 1.4 times the limit"."""
        parts = [self.where_text, "" if self.singular else self.size_text, f"load case {self.case_text}"]
        text = ", ".join(part for part in (*parts, self.over_text) if part)
        return text if not self.also else f"{text}; also against {', '.join(self.also)}"

    def to_dict(self) -> PlainData:
        """Plain JSON-able data, SI."""
        return {
            "number": self.number,
            "requirement": str(self.requirement),
            "peak": self._word(self.peak),
            "margin": self._word(self.margin),
            "times_limit": self._word(self.times_limit),
            "place": {"point": list(self.place.point), "node": self.place.node, "near": self.place.near},
            "case": self.case,
            "instant": self.instant,
            "cases": list(self.cases),
            "volume": self.volume,
            "area": self.area,
            "centroid": list(self.centroid),
            "points": self.n_points,
            "feature": self.feature,
            "groups": list(self.groups),
            "also": list(self.also),
            "within": self.within,
            "singular": self.singular,
            "sentence": self.sentence,
            "text": str(self),
        }

    def _word(self, number: float) -> float | str:
        """A number, or the word for what is none."""
        return "singular" if self.singular else number if math.isfinite(number) else str(number)

    def __str__(self) -> str:
        quantity, limit = self.requirement.quantity, self.requirement.limit_text
        spot = f"{self.place}{f' ({self.feature})' if self.feature else ''}; load case {self.case_text}"
        also = f"; also against {', '.join(self.also)}" if self.also else ""
        within = "" if self.within is None else f"; within zone {self.within}, which is worse"
        if self.singular:
            return (
                f"zone {self.number}: {quantity.label} is singular ({limit} required) at {spot}, its peak "
                f"grows without end as the mesh is refined{also}{within}"
            )
        points = "1 point" if self.n_points == 1 else f"{self.n_points:,} points"
        size = f"about {self.size_text}, {points}" if self.size_text else points
        return (
            f"zone {self.number}: {quantity.label} is {units.show(self.peak, quantity.dimension)} "
            f"({limit} required) at {spot}, {self.over_text}; {size}{also}{within}"
        )


def _difference(dimension: str) -> str:
    return "temperature_difference" if dimension == "temperature" else dimension


def failure_zones(judged: Sequence[Requirement | Outcome], result: Any) -> tuple[FailureZone, ...]:
    """Connected regions beyond the limit of each requirement, the worst first.

    Parameters
    ----------
    judged : sequence of Requirement or Outcome
        Those on a local field (stress, margins, temperature) have zones; the rest have none. Of an outcome
        that is singular the zone around its place has no numbers.
    result : StaticResult, ThermalResult or TransientResult
        A point fails if it fails in any load case asked for, at any instant; what a requirement excludes is
        left out.

    Returns
    -------
    tuple of FailureZone
        Numbered from 1 over all requirements, by margin; singular ones last. Where zones of several
        requirements overlap, the worst governs: it lists the others, and they name it.
    """
    found: list[FailureZone] = []
    for one in judged:
        if isinstance(one, Outcome):
            place = None if one.without_bound is None else one.without_bound.place
            if place is None or place.node is None:
                found += _zones(one.requirement, result)
                continue
            # What is beyond the limit clear of the singular place is a zone of its own, with numbers.
            apart = _around(result.model.mesh, place.node)
            zones = _zones(one.requirement, result, apart)
            found += [_without_numbers(zone, place, apart, result) for zone in zones]
        else:
            found += _zones(one, result)
    found.sort(key=lambda zone: (zone.singular, 0.0 if zone.singular else zone.requirement.slack(zone.peak)))
    return _governed([replace(zone, number=i) for i, zone in enumerate(found, 1)], result)


def _around(mesh: Any, node: int) -> BoolArray:
    """Mesh points of the cells that touch a node, and of those beside them: what recovery takes there."""
    near = np.zeros(mesh.n_points, bool)
    near[node] = True
    for _ in range(2):
        grown = near.copy()
        for conn in mesh.cells.values():
            grown[conn[near[conn].any(axis=1)]] = True
        near = grown
    return near


def _without_numbers(zone: FailureZone, place: Place, apart: BoolArray, result: Any) -> FailureZone:
    """The zone as it is, or as a singular one where it is of the surroundings of a singular place."""
    nodes = _nodes(zone, result)
    if not apart[nodes].all():
        return zone
    spot = landmark(result.model.mesh, int(place.node)) if place.node is not None else None
    return replace(
        zone, peak=math.nan, margin=math.nan, place=place, singular=True,
        feature="" if spot is None else str(spot), groups=() if spot is None else spot.groups,
    )  # fmt: skip


def _nodes(zone: FailureZone, result: Any) -> IntArray:
    """Mesh points of a zone, sorted."""
    return np.unique(zone.rows if zone.location == "points" else result.points.node[zone.rows])


def _governed(zones: list[FailureZone], result: Any) -> tuple[FailureZone, ...]:
    """The zones, told of those of other requirements that they overlap; each is governed by the worst."""
    if len({id(zone.requirement) for zone in zones}) < 2:
        return tuple(zones)
    nodes = [_nodes(zone, result) for zone in zones]
    holder = np.full(result.model.mesh.n_points, -1, np.int64)  # the worst zone of each point
    also: list[list[str]] = [[] for _ in zones]
    within: list[int | None] = [None] * len(zones)
    for i, (zone, inside) in enumerate(zip(zones, nodes, strict=True)):
        taken = np.unique(holder[inside])
        for k in taken[taken >= 0]:
            if str(zone.requirement) not in (*also[k], str(zones[k].requirement)):
                also[k].append(str(zone.requirement))
        peak = -1 if zone.place.node is None else int(holder[zone.place.node])
        if peak >= 0:
            within[i] = zones[peak].number
        inside = inside[holder[inside] < 0]
        holder[inside] = i
    return tuple(
        replace(zone, also=tuple(names), within=number)
        for zone, names, number in zip(zones, also, within, strict=True)
    )


def has_zones(requirement: Requirement) -> bool:
    """True where every point of the place must meet the limit by itself."""
    quantity = requirement.quantity
    if (
        not isinstance(quantity, FieldQuantity)
        or not quantity.zoned
        or getattr(quantity, "at", None) is not None
    ):
        return False
    return quantity.over != "mean" and quantity.largest_governs == requirement.is_upper


@dataclass(frozen=True, kw_only=True, eq=False)
class Worst:
    """The worst of a required field at each of its points.

    Parameters
    ----------
    rows : int64[k]
        The place.
    worst : float64[k]
        Over all cases and instants.
    values : float64[n_cases, k]
        Over the instants of each case.
    instants : float64[n_cases, k]
        When that is, s; nan in cases without a course in time.
    cases : tuple of str
    """

    rows: IntArray
    worst: FloatArray
    values: FloatArray
    instants: FloatArray
    cases: tuple[str, ...]


def worst_over_cases(requirement: Requirement, result: Any) -> Worst:
    """The worst value at each point of the place of a requirement that has zones."""
    quantity = requirement.quantity
    assert isinstance(quantity, FieldQuantity)
    cases = quantity.cases_of(result)
    rows = quantity.rows(result)
    values, instants = np.empty((2, len(cases), len(rows)))
    for found, when, case in zip(values, instants, cases, strict=True):
        found[:], when[:] = np.nan, np.nan
        states = quantity.states_of(case)
        for i, state in enumerate(states):
            now = quantity.band(result, ValuesAlone(state)).values
            if quantity.over == "max_abs":
                now = np.abs(now)
            if i == 0:
                found[:] = now
                if state is not case:
                    when[:] = state.time
                continue
            worse = now > found if requirement.is_upper else now < found
            found[worse], when[worse] = now[worse], state.time
    worst = values.max(axis=0) if requirement.is_upper else values.min(axis=0)
    return Worst(
        rows=rows, worst=worst, values=values, instants=instants, cases=tuple(case.name for case in cases)
    )


def _zones(requirement: Requirement, result: Any, apart: BoolArray | None = None) -> list[FailureZone]:
    """Zones of one requirement; points `apart` bool[n_points] are in none with others."""
    if not has_zones(requirement):
        return []
    quantity = requirement.quantity
    assert isinstance(quantity, FieldQuantity)
    over = worst_over_cases(requirement, result)
    rows, worst, values, names = over.rows, over.worst, over.values, over.cases
    beyond = ~requirement.met_by(values)
    bad = beyond.any(axis=0)
    if not bad.any():
        return []
    model = result.model
    mesh = model.mesh
    of_results = quantity.location == "result_points"
    n = len(result.points.node) if of_results else mesh.n_points
    flag = np.zeros(n, bool)
    flag[rows[bad]] = True
    cells = (
        tuple(result.points.cells)
        if of_results
        else tuple((name, ids, conn) for name, ids, conn in mesh.blocks())
    )
    if apart is None:
        label = _components(n, cells, flag)
    else:
        inside = apart[result.points.node] if of_results else apart
        label = _components(n, cells, flag & ~inside)
        other = _components(n, cells, flag & inside)
        label = np.where(other >= 0, other + label.max() + 1, label)
    column = np.full(n, -1, np.int64)
    column[rows] = np.arange(len(rows))
    # Damage is counted on the surface alone.
    in_cells = not isinstance(quantity, DamageQuantity) and (
        quantity.on is None or bool(len(model.region(quantity.on).cells))
    )
    measure = np.abs(mesh.cell_measures()) * model.cell_scale()
    if model.axisymmetric:
        measure = measure * 2.0 * np.pi * mesh.cell_centers[:, 0]
    count = int(label.max()) + 1
    node_of = result.points.node if of_results else np.arange(mesh.n_points)
    volume, moment = np.zeros(count), np.zeros((count, 3))
    if in_cells:
        for _, ids, conn in cells:
            _add_share(label[conn], measure[ids], mesh.points[node_of[conn]], volume, moment)
    area, first = _areas(mesh, label, result.points.node if of_results else None, count)
    zones = []
    for k in range(count):
        inside = np.flatnonzero(label == k)
        at = column[inside]
        peak = int(np.argmax(worst[at]) if requirement.is_upper else np.argmin(worst[at]))
        value = float(worst[at[peak]])
        which = int(np.argmax(values[:, at[peak]] == value))
        when = float(over.instants[which, at[peak]])
        if volume[k] > 0.0:
            centroid = moment[k] / volume[k]
        elif area[k] > 0.0:
            centroid = first[k] / area[k]
        else:
            centroid = mesh.points[np.unique(node_of[inside])].mean(axis=0)
        place = place_of_node(mesh, int(node_of[inside[peak]]))
        spot = landmark(mesh, int(node_of[inside[peak]]))
        zones.append(
            FailureZone(
                requirement=requirement,
                number=0,
                peak=value,
                margin=requirement.margin(value),
                place=place,
                feature=str(spot),
                groups=spot.groups,
                case=names[which],
                instant=None if math.isnan(when) else when,
                cases=tuple(name for name, row in zip(names, beyond[:, at], strict=True) if row.any()),
                volume=float(volume[k]),
                area=float(area[k]),
                centroid=(float(centroid[0]), float(centroid[1]), float(centroid[2])),
                rows=inside,
                location=quantity.location,
            )
        )
    return zones


def _components(n: int, cells: Sequence[tuple[str, IntArray, IntArray]], flag: BoolArray) -> IntArray:
    """Number of the connected region of each flagged row, int64[n]; -1 elsewhere. Rows of one cell touch."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right, first = [], [], n
    for _, _, conn in cells:
        cell, corner = np.nonzero(flag[conn])
        left.append(conn[cell, corner])
        right.append(cell + first)
        first += len(conn)
    a, b = np.concatenate(left), np.concatenate(right)
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(first, first))
    _, raw = connected_components(graph, directed=False)
    label = np.full(n, -1, np.int64)
    label[flag] = np.unique(raw[:n][flag], return_inverse=True)[1].reshape(-1)
    return label


def _add_share(
    label: IntArray, measure: FloatArray, at: FloatArray, out: FloatArray, moment: FloatArray
) -> None:
    """Give each zone of each cell's measure the share that its nodes are of the cell's; first moments too."""
    cell, corner = np.nonzero(label >= 0)
    share, zone = measure[cell] / label.shape[1], label[cell, corner]
    np.add.at(out, zone, share)
    np.add.at(moment, zone, share[:, None] * at[cell, corner])


def _areas(mesh: Any, label: IntArray, node: IntArray | None, count: int) -> tuple[FloatArray, FloatArray]:
    """Outside area of each zone, float64[count], m^2, and its first moments, float64[count, 3], m^3."""
    out, moment = np.zeros(count), np.zeros((count, 3))
    if mesh.dimension != 3:
        return out, moment
    of_point = label
    if node is not None:
        of_point = np.full(mesh.n_points, -1, np.int64)
        of_point[node[label >= 0]] = label[label >= 0]
    vectors, _ = mesh.facet_vectors(mesh.exterior)
    size = np.linalg.norm(vectors, axis=1)
    for block in mesh.facets(mesh.exterior):
        _add_share(of_point[block.conn], size[block.rows], mesh.points[block.conn], out, moment)
    return out, moment


__all__ = ["FailureZone", "Worst", "failure_zones", "has_zones", "worst_over_cases"]
