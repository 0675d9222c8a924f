"""Places where the exact stress of a model has no bound, told by their geometry and by growth of the peak."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import DesignTwinError
from designtwin.mesh import Mesh
from designtwin.mesh.surface import facet_normals
from designtwin.typing import BoolArray, FloatArray, IntArray

_SHARP = math.radians(35.0)
"""Turn from which two faces meet at an edge; less is a facet of a curved face."""
_STEADY = 0.85
"""Share of the growth of the step before that a step without bound keeps at least."""
_CLAMPED = 0.15
_BONDED = 0.1
"""Least exponents that are called singular where they depend on the material: at the border of a support that
holds all directions Poisson's ratio and the angle decide (Williams 1952), at that of two materials their
stiffness (Bogy 1971)."""


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """Why the stress at a place may have no bound.

    Parameters
    ----------
    cause : str
        In words: "a sharp re-entrant corner (inside angle 270°)".
    remedy : str
        What to do about it, in words.
    exponent : float
        Stress grows with the size of the cells to the power of minus this.
    plain : bool
        True where the geometry alone proves it: edges, and forces on points and lines.
    """

    cause: str
    remedy: str
    exponent: float
    plain: bool = True


def suspicion(result: Any, case: Any, node: int, *, plain: bool = False) -> Suspicion | None:
    """What at or beside a mesh point could leave stress without bound; None where nothing does.

    Parameters
    ----------
    result : StaticResult
    case : StaticCase
        With the loads and supports that count.
    node : int
        Where the peak is; cells that touch it are looked at, for recovery may move a peak by one.
    plain : bool
        Look only for what the geometry alone proves.
    """
    model, mesh = result.model, result.model.mesh
    near = np.zeros(mesh.n_points, bool)
    for conn in mesh.cells.values():
        near[conn[(conn == node).any(axis=1)]] = True
    edges = _edges(mesh, near)
    found = [*_loads(model, case, near), *_corner(mesh, edges)]
    if not plain:
        found += [*_border(model, case, near, edges), *_bond(model, near)]
    return max(found, key=lambda one: (one.plain, one.exponent), default=None)


def suspects(result: Any, case: Any) -> BoolArray:
    """Mesh points at which something could leave stress without bound, bool[n_points]; see `suspicion`."""
    model, mesh = result.model, result.model.mesh
    every = np.ones(mesh.n_points, bool)
    edges = _edges(mesh, every)
    out = np.zeros(mesh.n_points, bool)
    out[edges.nodes[edges.inside > math.pi + _SHARP]] = True
    for one in (*_items(case, "loads"), *model.supports, *_items(case, "supports")):
        out[_bare_nodes(model, one)] = True
    for _, ends, clamps in _borders(model, case, every, edges):
        sharp = 2.0 * edges.inside[ends] > math.pi + _SHARP
        out[edges.nodes[ends[sharp | clamps]]] = True
    return out | _bonded(model)


def bend(result: Any, case: Any, node: int) -> float:
    """Largest angle, rad, at which pieces of a smooth face turn inwards at or beside a mesh point; 0 without.

    Facets of a curve meet at such angles, and so do curved ones, which are parabolas where the part is round.
    Finer meshes of the same facets keep them, and stress grows there as at any corner; see `corner_exponent`.
    A face that a support mirrors continues behind it.
    """
    mesh, model = result.model.mesh, result.model
    near = np.zeros(mesh.n_points, bool)
    for conn in mesh.cells.values():
        near[conn[(conn == node).any(axis=1)]] = True
    edges = _edges(mesh, near)
    angles = [edges.inside]
    for support in (*model.supports, *_items(case, "supports")):
        region = _region(model, support)
        if region is None or not len(region.facets) or not near[region.nodes].any():
            continue
        held = np.isin(edges.facets, _code(region.facets))
        if not _clamps(model, support, region, near):
            angles.append(2.0 * edges.inside[held[:, 0] != held[:, 1]])
    turn = np.concatenate(angles) - math.pi
    return float(turn[turn <= _SHARP].max(initial=0.0))


def grows(peaks: Sequence[float], found: Suspicion) -> bool | None:
    """Whether a peak grows without bound as the cells around it are halved; None while that is open.

    Parameters
    ----------
    peaks : sequence of float
        On meshes that halve the cells there each time, coarse to fine; the last ones count.
    found : Suspicion
        What may be there.

    What has no bound grows by the same factor from one halving to the next, 2 to the power of its exponent;
    half of that exponent is asked for, as loads beside the place add what does not grow. Two such steps are
    enough where the geometry proves the cause, three are asked for elsewhere: a notch that the mesh does not
    resolve yet also grows at first, but ever more slowly. What converges changes less and less, by a third
    at least.
    """
    steps = 2 if found.plain else 3
    if len(peaks) < 3 or not all(math.isfinite(one) and one > 0.0 for one in peaks):
        return None
    before, now = peaks[-2] - peaks[-3], peaks[-1] - peaks[-2]
    if now <= 0.6 * before or now <= 0.0:
        return False
    if len(peaks) <= steps:
        return None
    growth = [math.log2(b / a) for a, b in pairwise(peaks[-steps - 1 :])]
    steady = all(b >= _STEADY * a for a, b in pairwise(growth))
    return True if steady and growth[-1] >= 0.5 * found.exponent else None


def corner_exponent(angle: float) -> float:
    """How stress grows towards a free corner: r to the power of minus this.

    Parameters
    ----------
    angle : float
        Inside the material, rad, pi to 2 pi.

    Source: Williams, J. Appl. Mech. 19 (1952): 1 - k of the smallest k > 0 with sin(k a) + k sin(a) = 0.
    """
    if angle <= math.pi:
        return 0.0
    low, high = 0.5, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if math.sin(middle * angle) + middle * math.sin(angle) > 0.0:
            low = middle
        else:
            high = middle
    return 1.0 - low


# What may be there


@dataclass(frozen=True, eq=False)
class _Edges:
    """Edges of the outside: their ends, codes of the facets on both sides, int64[k, 2] each, and the angle
    inside, rad."""

    nodes: IntArray
    facets: IntArray
    inside: FloatArray


def _edges(mesh: Mesh, near: BoolArray) -> _Edges:
    """Edges between near nodes (in plane meshes, corners), once seen from each side."""
    keys, codes, normals, at, middle = [], [], [], [], []
    for block in mesh.facets(mesh.exterior):
        element = ELEMENTS[block.element]
        rows = np.flatnonzero(near[block.conn].any(axis=1))
        conn = block.conn[rows]
        local = np.array(element.nodes, np.float64)
        if element.dimension == 2:
            edges = np.array(element.corner_edges, np.int64)
            xi = local[edges].mean(axis=1)
        else:
            edges, xi = np.array([[0, 0], [1, 1]]), local[:2]
        x = mesh.points[conn]
        normals.append(facet_normals(x, element.gradient(xi)).reshape(-1, 3))
        keys.append(np.sort(conn[:, edges], axis=2).reshape(-1, 2))
        codes.append(np.repeat(_code(mesh.exterior[block.rows[rows]]), len(edges)))
        at.append(np.einsum("qn,fna->fqa", element.shape(xi), x).reshape(-1, 3))
        middle.append(np.repeat(x.mean(axis=1), len(edges), axis=0))
    if not keys:
        nothing = np.empty((0, 2), np.int64)
        return _Edges(nothing, nothing, np.empty(0))
    key = np.concatenate(keys)
    order = np.lexsort(key.T)
    same = (key[order[1:]] == key[order[:-1]]).all(axis=1) & near[key[order[1:]]].all(axis=1)
    a, b = order[:-1][same], order[1:][same]
    normal, edge, center = np.concatenate(normals), np.concatenate(at), np.concatenate(middle)
    rises = np.einsum("ma,ma->m", center[b] - edge[b], normal[a]) > 0.0
    turn = np.arccos(np.clip(np.einsum("ma,ma->m", normal[a], normal[b]), -1.0, 1.0))
    code = np.concatenate(codes)
    return _Edges(key[a], np.column_stack([code[a], code[b]]), math.pi + np.where(rises, turn, -turn))


def _code(facets: IntArray) -> IntArray:
    return np.asarray(facets[:, 0] * 8 + facets[:, 1])


def _corner(mesh: Mesh, edges: _Edges) -> Iterator[Suspicion]:
    """The sharpest edge at which the outside turns inwards."""
    angle = float(edges.inside.max(initial=0.0))
    if angle <= math.pi + _SHARP:
        return
    kind = "corner" if mesh.dimension == 2 else "edge"
    yield Suspicion(
        cause=f"a sharp re-entrant {kind} (inside angle {math.degrees(angle):.0f}°)",
        remedy="give it the radius it has in reality, or leave its surroundings out with excluding=",
        exponent=corner_exponent(angle),
    )


def _loads(model: Any, case: Any, near: BoolArray) -> Iterator[Suspicion]:
    """Forces and supports that act on single nodes or lines of them."""
    for load in _items(case, "loads"):
        nodes = _bare_nodes(model, load)
        if near[nodes].any():
            yield Suspicion(
                cause=f"{load.said}, a force on {'a line' if len(nodes) > 2 else 'a point'}",
                remedy="spread it over the area it acts on, or leave its surroundings out with excluding=",
                exponent=_concentrated(model, nodes),
            )
    for support in (*model.supports, *_items(case, "supports")):
        nodes = _bare_nodes(model, support)
        if near[nodes].any() and _carries(case, nodes[near[nodes]]):
            yield Suspicion(
                cause=f"{support.said}, a support on {'a line' if len(nodes) > 2 else 'a point'}",
                remedy="hold the area that is held in reality, or leave its surroundings out with excluding=",
                exponent=_concentrated(model, nodes),
            )


def _concentrated(model: Any, nodes: IntArray) -> float:
    """Stress goes with one over the distance from a line, over its square from a point of a solid."""
    return 2.0 if model.mesh.dimension == 3 and len(nodes) <= 2 else 1.0


def _border(model: Any, case: Any, near: BoolArray, edges: _Edges) -> Iterator[Suspicion]:
    """Where a held face ends at a free one."""
    for support, ends, clamps in _borders(model, case, near, edges):
        remedy = "leave its surroundings out with excluding="
        if clamps:
            yield Suspicion(
                cause=f"the border of {support.said}, where what is held ends at what is free",
                remedy=f"let it yield as in reality (ElasticFoundation), or {remedy}",
                exponent=_CLAMPED,
                plain=False,
            )
            continue
        # What slides is one half of a body that is whole: its corner is as wide again.
        angle = min(2.0 * float(edges.inside[ends].max()), 2.0 * math.pi)
        if angle > math.pi + _SHARP:
            yield Suspicion(
                cause=f"the border of {support.said}, which slides and meets a free face at "
                f"{math.degrees(0.5 * angle):.0f}°",
                remedy=remedy,
                exponent=corner_exponent(angle),
                plain=False,
            )


def _borders(model: Any, case: Any, near: BoolArray, edges: _Edges) -> Iterator[tuple[Any, IntArray, bool]]:
    """Supports whose faces end at free ones: at which edges, and whether they hold along the face too."""
    for support in (*model.supports, *_items(case, "supports")):
        region = _region(model, support)
        if region is None or not len(region.facets) or not near[region.nodes].any():
            continue
        held = np.isin(edges.facets, _code(region.facets))
        ends = np.flatnonzero(held[:, 0] != held[:, 1])
        if len(ends):
            yield support, ends, _clamps(model, support, region, near)


def _clamps(model: Any, support: Any, region: Any, near: BoolArray) -> bool:
    """Whether a support holds a face along itself, too, and not only square to it."""
    mesh = model.mesh
    vectors, _ = mesh.facet_vectors(region.facets)
    normals = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    for one in support.prescribed(model):
        rows = np.flatnonzero(near[one.nodes] & one.fixed.any(axis=1))
        if not len(rows):
            continue
        fixed = one.fixed[rows]
        axes = np.broadcast_to(np.eye(3), (len(rows), 3, 3)) if one.axes is None else one.axes[rows]
        directions = np.unique(axes[fixed].round(6), axis=0)
        along = np.abs(directions @ normals.T).max(axis=1, initial=0.0)
        # Square to some face of the place: what is held there slides along it.
        if (along < 0.98).any():
            return True
    return False


def _bond(model: Any, near: BoolArray) -> Iterator[Suspicion]:
    """Where the bond of two materials reaches the outside."""
    if (_bonded(model) & near).any():
        yield Suspicion(
            cause="the edge where two materials meet the outside",
            remedy="model the edge as it is made, or leave its surroundings out with excluding=",
            exponent=_BONDED,
            plain=False,
        )


def _bonded(model: Any) -> BoolArray:
    """Mesh points on the outside where materials meet."""
    n = model.mesh.n_points
    if len(model.parts) < 2:
        return np.zeros(n, bool)
    outside, touched = np.zeros(n, bool), np.zeros(n, np.int64)
    outside[model.mesh.nodes_of_facets(model.mesh.exterior)] = True
    for part in model.parts:
        touched[model.mesh.nodes_of_cells(part.cells)] += 1
    return (touched > 1) & outside


def _items(case: Any, name: str) -> Iterator[Any]:
    """Loads or supports of a case, or of those that a combination adds."""
    for _, one in getattr(case, "parts", ()):
        yield from _items(one, name)
    stated = getattr(case, "case", None)
    yield from getattr(stated, name, ())


def _region(model: Any, item: Any) -> Any:
    """Where an item acts; None where it has no place."""
    on = getattr(item, "on", None)
    if on is None:
        return None
    try:
        return model.region(on)
    except DesignTwinError:  # a list of points, or what else is no place of the mesh
        return None


def _bare_nodes(model: Any, item: Any) -> IntArray:
    """Nodes an item acts on where they make up no face and no cell; none otherwise."""
    region = _region(model, item)
    if region is None or len(region.facets) or len(region.cells):
        return np.empty(0, np.int64)
    return np.asarray(region.nodes, np.int64)


def _carries(case: Any, nodes: IntArray) -> bool:
    """Whether supports push at these nodes at all."""
    reactions: FloatArray | None = getattr(case, "reactions", None)
    if reactions is None or not np.isfinite(reactions).all():
        return True
    size = np.linalg.norm(reactions, axis=1)
    return bool(size[nodes].max() > 1e-6 * max(float(size.max()), 1e-300))
