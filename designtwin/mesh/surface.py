"""The outside of a body as the rules see it: normals, neighbors across edges, smooth patches, cylinders."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.mesh.mesh import FacetBlock, Mesh
from designtwin.typing import BoolArray, FloatArray, IntArray

_FIT = 2e-3  # a whole face between edges is a cylinder if its corners lie within this share of the radius
_EXACT = 5e-4  # part of a smooth face, where tori and free forms come near
_SMOOTH = np.deg2rad(35.0)  # steeper edges bound a face
_COARSE = np.deg2rad(50.0)  # first-order holes of eight sides turn 45 degrees at each edge
_SMALLEST_ARC = np.deg2rad(20.0)
_CLOSED = np.deg2rad(200.0)  # a hole with a keyway is still a hole


@dataclass(frozen=True, eq=False)
class CylinderFace:
    """A face that lies on a cylinder.

    Parameters
    ----------
    rows : int64[k]
        Its facets, as rows of ``Surface.facets``.
    center, axis : float64[3]
        A point of the axis at half the length, m; unit direction.
    radius, length : float
        m.
    hollow : bool
        True if the material lies outside of the cylinder.
    arc : float
        Angle covered, rad.
    middle : float64[3]
        Unit direction from the axis to the middle of the arc.
    """

    rows: IntArray
    center: FloatArray
    axis: FloatArray
    radius: float
    length: float
    hollow: bool
    arc: float
    middle: FloatArray

    @property
    def kind(self) -> str:
        """``"hole"`` or ``"pin"`` where it closes, ``"fillet"`` or ``"round"`` where it covers less."""
        if self.arc > _CLOSED:
            return "hole" if self.hollow else "pin"
        return "fillet" if self.hollow else "round"


class Surface:
    """Exterior facets of a mesh with what geometry they carry; made once per mesh by ``surface_of``."""

    def __init__(self, mesh: Mesh) -> None:
        # Only arrays are kept: the cache must not hold its own key.
        self.facets: IntArray = mesh.exterior
        self.points: FloatArray = mesh.points
        self.blocks: list[FacetBlock] = mesh.facets(self.facets)
        self.vectors, self.centers = mesh.facet_vectors(self.facets)
        self.areas: FloatArray = np.linalg.norm(self.vectors, axis=1)
        self.normals: FloatArray = self.vectors / np.maximum(self.areas, 1e-300)[:, None]
        self.corners: IntArray = np.full((len(self.facets), 4), -1, np.int64)
        for block in self.blocks:
            n = ELEMENTS[block.element].corners
            self.corners[block.rows, :n] = block.conn[:, :n]

    def __len__(self) -> int:
        return len(self.facets)

    def wholly(self, flag: BoolArray) -> BoolArray:
        """Facets whose nodes all carry the flag, bool[k]."""
        out = np.zeros(len(self), bool)
        for block in self.blocks:
            out[block.rows] = flag[block.conn].all(axis=1)
        return out

    def touching(self, flag: BoolArray) -> BoolArray:
        """Facets with a node that carries the flag, bool[k]."""
        out = np.zeros(len(self), bool)
        for block in self.blocks:
            out[block.rows] = flag[block.conn].any(axis=1)
        return out

    def spread(self, value: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest of a value at the points [n] over each facet's nodes."""
        low, high = np.zeros(len(self)), np.zeros(len(self))
        for block in self.blocks:
            low[block.rows] = value[block.conn].min(axis=1)
            high[block.rows] = value[block.conn].max(axis=1)
        return low, high

    @cached_property
    def pairs(self) -> tuple[IntArray, FloatArray]:
        """Rows of facets that share an edge, int64[m, 2], and the angle between their normals there, rad."""
        keys, rows, normals = [], [], []
        for block in self.blocks:
            element = ELEMENTS[block.element]
            local = np.array(element.nodes, np.float64)
            if element.dimension == 2:
                edges = np.array(element.corner_edges, np.int64)
                at = local[edges].mean(axis=1)
            else:
                edges = np.array([[0, 0], [1, 1]])
                at = local[:2]
            # On curved facets the normals at the common edge say whether the surface is smooth there.
            normals.append(facet_normals(self.points[block.conn], element.gradient(at)).reshape(-1, 3))
            keys.append(np.sort(block.conn[:, edges].reshape(-1, 2), axis=1))
            rows.append(np.repeat(block.rows, len(edges)))
        if not keys:
            return np.empty((0, 2), np.int64), np.empty(0)
        key, row, normal = np.concatenate(keys), np.concatenate(rows), np.concatenate(normals)
        order = np.lexsort(key.T)
        same = (key[order[1:]] == key[order[:-1]]).all(axis=1)
        a, b = order[:-1][same], order[1:][same]
        cosine = np.clip(np.einsum("ma,ma->m", normal[a], normal[b]), -1.0, 1.0)
        return np.column_stack([row[a], row[b]]), np.arccos(cosine)

    def patches(self, angle: float, rows: IntArray | None = None) -> IntArray:
        """Number of the patch of each facet, int64[k]: neighbors whose normals differ by less than the angle.

        With ``rows``, only those facets connect; the others are patches of their own.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        pairs, turn = self.pairs
        keep = turn <= angle
        if rows is not None:
            inside = np.zeros(len(self), bool)
            inside[rows] = True
            keep = keep & inside[pairs].all(axis=1)
        a, b = pairs[keep].T
        graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(len(self), len(self)))
        return np.asarray(connected_components(graph, directed=False)[1], np.int64)

    def grown(self, seed: IntArray, angle: float) -> IntArray:
        """Rows of the facets reached from the seed without crossing an edge steeper than the angle."""
        label = self.patches(angle)
        return np.flatnonzero(np.isin(label, label[seed]))

    @cached_property
    def cylinders(self) -> tuple[CylinderFace, ...]:
        """Faces that lie on cylinders: holes, bosses and straight fillets, the largest first."""
        found: list[CylinderFace] = []
        free = np.ones(len(self), bool)
        for angle in (_SMOOTH, _COARSE):
            label = self.patches(angle, np.flatnonzero(free))
            order = np.argsort(label, kind="stable")
            for rows in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
                if len(rows) < 4 or not free[rows[0]]:
                    continue
                for face in self._cylinders_in(rows):
                    free[face.rows] = False
                    found.append(face)
        found.sort(key=lambda face: -float(self.areas[face.rows].sum()))
        return tuple(found)

    def cylinders_through(self, rows: IntArray) -> tuple[CylinderFace, ...] | None:
        """The cylinders that given facets lie on, one per connected part, or None if they do not."""
        label = self.patches(np.pi, rows)[rows]
        parts = [self._accepted(rows[label == one]) for one in np.unique(label)]
        return None if None in parts else tuple(part for part in parts if part is not None)

    def _cylinders_in(self, rows: IntArray) -> list[CylinderFace]:
        """Cylinders in one smooth patch: the whole of it, or the parts that its bends suggest."""
        bend = np.linalg.norm(self.normals[rows] - self.normals[rows[0]], axis=1).max()
        if bend < np.sin(_SMALLEST_ARC):
            return []
        whole = self._accepted(rows)
        if whole is not None:
            return [whole]
        found: list[CylinderFace] = []
        seeds, center, axis, radius = self._local_cylinders(rows)
        free = np.zeros(len(self), bool)
        free[rows] = True
        failures = 0
        for i, seed in enumerate(seeds):
            if not free[seed]:
                continue
            left = np.flatnonzero(free)
            face = self._consensus(left, int(seed), center[i], axis[i], float(radius[i]))
            if face is None:
                failures += 1
                if failures > 80:  # a free-form face: nothing to find here
                    break
                continue
            free[face.rows] = False
            found.append(face)
            failures = 0
        return found

    def _local_cylinders(self, rows: IntArray) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
        """Cylinders through each facet and its neighbors, those that most neighbors agree on first."""
        pairs, turn = self.pairs
        inside = np.zeros(len(self), bool)
        inside[rows] = True
        pairs = pairs[inside[pairs].all(axis=1) & (turn <= _COARSE)]
        both = np.concatenate([pairs, pairs[:, ::-1]])
        both = both[np.argsort(both[:, 0], kind="stable")]
        seeds, start, count = np.unique(both[:, 0], return_index=True, return_counts=True)
        most = int(count.max(initial=0))
        ring = np.full((len(seeds), most + 1), -1, np.int64)
        ring[:, 0] = seeds
        for i in range(most):
            has = count > i
            ring[has, i + 1] = both[start[has] + i, 1]
        weight = ring >= 0
        normals = self.normals[ring] * weight[..., None]
        bent = np.linalg.norm((normals - normals[:, :1]) * weight[..., None], axis=2).max(axis=1, initial=0.0)
        keep = bent > np.sin(np.deg2rad(2.0))
        seeds, ring, weight, normals, bent = seeds[keep], ring[keep], weight[keep], normals[keep], bent[keep]
        if not len(seeds):
            return seeds, np.empty((0, 3)), np.empty((0, 3)), np.empty(0)
        axis = np.linalg.eigh(np.einsum("fka,fkb->fab", normals, normals))[1][:, :, 0]
        nodes = self.corners[ring].reshape(len(seeds), -1)
        valid = (nodes >= 0) & np.repeat(weight, 4, axis=1)
        center, axis, radius = fit_cylinders(self.points[nodes], valid, axis)
        out = self.points[nodes] - center[:, None]
        out -= np.einsum("fka,fa->fk", out, axis)[..., None] * axis[:, None]
        off = np.abs(np.linalg.norm(out, axis=2) - radius[:, None]) * valid
        keep = off.max(axis=1) <= _EXACT * radius
        seeds, center, axis, radius = seeds[keep], center[keep], axis[keep], radius[keep]
        # A neighbor that finds the same cylinder tells a true one from six points that fit anything.
        place = np.full(len(self), -1, np.int64)
        place[seeds] = np.arange(len(seeds))
        a, b = place[both].T
        a, b = a[(a >= 0) & (b >= 0)], b[(a >= 0) & (b >= 0)]
        off = center[b] - center[a]
        off -= np.einsum("pa,pa->p", off, axis[a])[:, None] * axis[a]
        agree = np.abs(radius[a] - radius[b]) < 0.004 * radius[a]
        agree &= np.abs(np.einsum("pa,pa->p", axis[a], axis[b])) > np.cos(np.deg2rad(0.5))
        agree &= np.linalg.norm(off, axis=1) < 0.01 * radius[a]
        votes = np.bincount(a[agree], minlength=len(seeds))
        order = np.lexsort([seeds, -votes])[: np.count_nonzero(votes)]
        return seeds[order], center[order], axis[order], radius[order]

    def _on(
        self, rows: IntArray, center: FloatArray, axis: FloatArray, radius: float, fit: float
    ) -> BoolArray:
        """Which of the rows have their corners on a cylinder and look along its radius."""
        nodes, corners = self._corner_nodes
        out = self.points[nodes] - center
        along = out @ axis
        off = np.sqrt(np.maximum(np.einsum("na,na->n", out, out) - along * along, 0.0)) - radius
        # Triangles have no fourth corner: their -1 reads the last entry, which is always on.
        near = np.append(np.abs(off) <= fit * radius, True)
        on = near[corners[rows]].all(axis=1)
        found = np.flatnonzero(on)
        radial = self.centers[rows[found]] - center
        radial -= (radial @ axis)[:, None] * axis
        radial /= np.maximum(np.linalg.norm(radial, axis=1), 1e-300)[:, None]
        on = np.asarray(on)
        on[found] = np.abs(np.einsum("fa,fa->f", radial, self.normals[rows[found]])) > 0.85
        return np.asarray(on)

    @cached_property
    def _corner_nodes(self) -> tuple[IntArray, IntArray]:
        """Corner nodes of the outside, and each facet's corners as places in that list, -1 for none."""
        nodes = _unique(self.corners)
        place = np.searchsorted(nodes, np.maximum(self.corners, 0))
        return nodes, np.where(self.corners >= 0, place, -1)

    def _consensus(
        self, rows: IntArray, seed: int, center: FloatArray, axis: FloatArray, radius: float
    ) -> CylinderFace | None:
        """The connected facets around a seed that agree on one cylinder."""
        # Tight first; loose where six points extrapolate badly, then tight for as long as the face grows.
        for ladder in ([_EXACT] * 8, [80 * _EXACT, 20 * _EXACT, 4 * _EXACT, *[_EXACT] * 8]):
            part = self._grown(rows, seed, (center, axis, radius), ladder)
            face = None if part is None else self._accepted(part, _EXACT)
            if face is not None:
                return face
        return None

    def _grown(
        self, rows: IntArray, seed: int, cylinder: tuple[FloatArray, FloatArray, float], ladder: list[float]
    ) -> IntArray | None:
        center, axis, radius = cylinder
        part, size = rows[:0], 0
        for fit in ladder:
            on = rows[self._on(rows, center, axis, radius, fit)]
            if len(on) < 6 or seed not in on:
                return None
            part = self._connected(on, seed)
            if len(part) < 6:
                return None
            if fit == _EXACT and len(part) <= size:
                break
            size = len(part) if fit == _EXACT else 0
            nodes = _unique(self.corners[part])
            fitted = fit_cylinders(self.points[nodes][None], np.ones((1, len(nodes)), bool), axis[None])
            center, axis, radius = fitted[0][0], fitted[1][0], float(fitted[2][0])
        return part

    def _bulges(self, rows: IntArray, center: FloatArray, axis: FloatArray, radius: float) -> bool:
        """Whether mid-side nodes off the chords lie on the cylinder too."""
        parts = [block.conn[np.isin(block.rows, rows)].ravel() for block in self.blocks]
        nodes = np.setdiff1d(np.concatenate(parts), self.corners[rows])
        out = self.points[nodes] - center
        out -= (out @ axis)[:, None] * axis
        off = np.abs(np.linalg.norm(out, axis=1) - radius)
        return len(nodes) > 0 and bool((off <= _FIT * radius).all())

    def _connected(self, rows: IntArray, seed: int) -> IntArray:
        """Those of the rows that neighbors join to the seed."""
        start, others = self._adjacency
        wanted = np.zeros(len(self), bool)
        wanted[rows] = True
        wanted[seed] = False
        front = np.array([seed])
        found = [front]
        while len(front):
            spans = [others[start[i] : start[i + 1]] for i in front]
            step = np.unique(np.concatenate(spans))
            front = step[wanted[step]]
            wanted[front] = False
            found.append(front)
        return np.sort(np.concatenate(found))

    @cached_property
    def _adjacency(self) -> tuple[IntArray, IntArray]:
        """Neighbors of each facet across edges that are not steep: start [k + 1] and rows."""
        pairs, turn = self.pairs
        pairs = pairs[turn <= _COARSE]
        both = np.concatenate([pairs, pairs[:, ::-1]])
        both = both[np.argsort(both[:, 0], kind="stable")]
        return np.searchsorted(both[:, 0], np.arange(len(self) + 1)), both[:, 1]

    def _accepted(self, rows: IntArray, fit: float = _FIT) -> CylinderFace | None:
        """The cylinder through all of the facets, or None if there is none."""
        weighted = self.normals[rows] * self.areas[rows, None]
        axis = np.linalg.eigh(weighted.T @ self.normals[rows])[1][:, 0]
        nodes = _unique(self.corners[rows])
        x = self.points[nodes]
        center, axis, radius = (
            part[0] for part in fit_cylinders(x[None], np.ones((1, len(x)), bool), axis[None])
        )
        size = float(np.linalg.norm(np.ptp(x, axis=0)))
        if not 0 < radius < 20 * size or not self._on(rows, center, axis, float(radius), fit).all():
            return None
        along = (x - center) @ axis
        radial = x - center - along[:, None] * axis
        first = radial[0] / np.linalg.norm(radial[0])
        second = np.cross(axis, first)
        angle = np.sort(np.arctan2(radial @ second, radial @ first))
        if np.count_nonzero(np.diff(angle) > 0.01) < 3 and not self._bulges(
            rows, center, axis, float(radius)
        ):
            return None  # three lines lie on some cylinder, whatever they are
        gaps = np.diff(np.append(angle, angle[0] + 2 * np.pi))
        widest = int(np.argmax(gaps))
        gap = gaps[widest]
        arc = 2 * np.pi if gap < 1.1 * np.pi / 3 else 2 * np.pi - gap
        at = angle[widest] + 0.5 * gap + np.pi
        middle = np.cos(at) * first + np.sin(at) * second
        if arc < _SMALLEST_ARC:
            return None
        center = center + 0.5 * (along.min() + along.max()) * axis
        axis = axis * np.sign(axis[np.argmax(np.abs(axis))])
        out = self.centers[rows] - center
        out -= (out @ axis)[:, None] * axis
        hollow = bool((np.einsum("fa,fa->f", out, self.normals[rows]) * self.areas[rows]).sum() < 0)
        return CylinderFace(
            np.sort(rows), center, axis, float(radius), float(np.ptp(along)), hollow, float(arc), middle
        )


_SURFACES: weakref.WeakKeyDictionary[Mesh, Surface] = weakref.WeakKeyDictionary()


def surface_of(mesh: Mesh) -> Surface:
    """The mesh's outside; kept as long as the mesh lives."""
    surface = _SURFACES.get(mesh)
    if surface is None:
        surface = _SURFACES[mesh] = Surface(mesh)
    return surface


def facet_normals(x: FloatArray, gradient: FloatArray) -> FloatArray:
    """Unit outward normals float64[f, q, 3] of facets: nodes x [f, n, 3], gradients [q, n, d]."""
    tangents = np.einsum("fna,qnd->fqad", x, gradient)
    if gradient.shape[2] == 2:
        normal = np.cross(tangents[..., 0], tangents[..., 1])
    else:
        normal = np.stack([tangents[..., 1, 0], -tangents[..., 0, 0], np.zeros(tangents.shape[:2])], -1)
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-300))


def fit_cylinders(
    x: FloatArray, valid: BoolArray, axis: FloatArray, *, steps: int = 12
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cylinders of least squared distance to sets of points.

    Parameters
    ----------
    x : float64[m, k, 3]
        Points of each set.
    valid : bool[m, k]
        Which of them count.
    axis : float64[m, 3]
        First guess of the directions.

    Returns
    -------
    center float64[m, 3], axis float64[m, 3], radius float64[m]

    Circle fit for the start (Kasa 1976), then Gauss-Newton on distance with five unknowns.
    """
    w = valid.astype(np.float64)
    count = np.maximum(w.sum(axis=1), 1.0)
    mean = np.einsum("mk,mka->ma", w, x) / count[:, None]
    y = (x - mean[:, None]) * w[..., None]
    scale = np.sqrt(np.einsum("mka,mka->m", y, y) / count)
    scale = np.where(scale > 0, scale, 1.0)
    y = y / scale[:, None, None]
    axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    e1, e2 = _frames(axis)
    p = np.stack([np.einsum("mka,ma->mk", y, e1), np.einsum("mka,ma->mk", y, e2)], axis=-1)
    rows = np.concatenate([2 * p, np.ones((*p.shape[:2], 1))], axis=-1) * w[..., None]
    square = np.einsum("mka,mka->mk", p, p) * w
    normal = np.einsum("mki,mkj->mij", rows, rows) + 1e-12 * np.eye(3)
    solved = np.linalg.solve(normal, np.einsum("mki,mk->mi", rows, square)[..., None])[..., 0]
    center = solved[:, :1] * e1 + solved[:, 1:2] * e2
    radius = np.sqrt(np.maximum(solved[:, 2] + solved[:, 0] ** 2 + solved[:, 1] ** 2, 1e-24))
    for _ in range(steps):
        e1, e2 = _frames(axis)
        d = y - center[:, None]
        along = np.einsum("mka,ma->mk", d, axis)
        radial = d - along[..., None] * axis[:, None]
        distance = np.maximum(np.linalg.norm(radial, axis=2), 1e-12)
        unit = radial / distance[..., None]
        u1, u2 = np.einsum("mka,ma->mk", unit, e1), np.einsum("mka,ma->mk", unit, e2)
        jacobian = np.stack([-u1, -u2, -along * u1, -along * u2, -np.ones_like(u1)], axis=-1) * w[..., None]
        residual = (distance - radius[:, None]) * w
        # The damping holds what the points leave open, such as the tilt of a plane arc.
        normal = np.einsum("mki,mkj->mij", jacobian, jacobian) + 1e-9 * np.eye(5)
        step = -np.linalg.solve(normal, np.einsum("mki,mk->mi", jacobian, residual)[..., None])[..., 0]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1.0, 0.5 * np.maximum(radius, 0.1)[:, None] / np.maximum(length, 1e-300))
        center = center + step[:, :1] * e1 + step[:, 1:2] * e2
        axis = axis + step[:, 2:3] * e1 + step[:, 3:4] * e2
        axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
        radius = np.abs(radius + step[:, 4])
        if length.max(initial=0.0) < 1e-9:
            break
    return center * scale[:, None] + mean, axis, radius * scale


def _frames(axis: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors square to each axis [m, 3] and to each other."""
    helper = np.zeros_like(axis)
    helper[np.arange(len(axis)), np.argmin(np.abs(axis), axis=1)] = 1.0
    first = _cross(axis, helper)
    first /= np.sqrt(np.einsum("ma,ma->m", first, first))[:, None]
    return first, _cross(axis, first)


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """Vector products of rows; numpy's own spends more on checks than on these few rows."""
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def _unique(corners: IntArray) -> IntArray:
    return np.unique(corners[corners >= 0])
