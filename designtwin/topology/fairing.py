"""Smoothing of what a cut made: points move, the volume does not, flat faces stay flat and edges sharp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from designtwin.errors import StudyError
from designtwin.typing import BoolArray, FloatArray, IntArray

PASSES = 20
"""Passes of smoothing unless said otherwise: stairs of the cells vanish, members stay."""
_SHRINK, _SWELL = 0.5, -0.53
"""Taubin's pair: low waves pass, high ones vanish (pass band 0.1)."""
_LEAST = 0.05
"""Share of its area below which an outer face may not shrink."""
_MISSED = 1e-4
"""Share of its volume by which a body may be off."""
_FLAT = 0.9999
"""Cosine from which on two faces of the outside are one plane."""


def outward(points: FloatArray, facets: IntArray) -> FloatArray:
    """Outward normals of edges [t, 2] or triangles [t, 3] times their measure, float64[t, 3]."""
    a, b = points[facets[:, 0]], points[facets[:, 1]]
    if facets.shape[1] == 3:
        return np.asarray(0.5 * np.cross(b - a, points[facets[:, 2]] - a))
    along = b - a
    return np.stack([along[:, 1], -along[:, 0], np.zeros(len(along))], axis=1)


@dataclass(frozen=True, eq=False)
class Fairing:
    """The outside of a body, part of which a cut made.

    Parameters
    ----------
    points : float64[n, 3]
    facets : int64[t, d]
        Edges or triangles, outward.
    on_level : bool[t]
        Facets that the cut made.
    free : bool[n]
        Points that may move.
    normals : float64[n, 3]
        Of the plane in which a point must stay; 0 for none.
    """

    points: FloatArray
    facets: IntArray
    on_level: BoolArray
    free: BoolArray
    normals: FloatArray

    @classmethod
    def of(cls, points: FloatArray, facets: IntArray, on_level: BoolArray, movable: BoolArray) -> Fairing:
        """Of the points that may move, those between outer faces of two directions stay."""
        free = np.zeros(len(points), bool)
        free[facets[on_level]] = True
        free &= movable
        normals = np.zeros_like(points)
        outer = facets[~on_level]
        vectors = outward(points, outer)
        size = np.linalg.norm(vectors, axis=1)
        # Slivers say nothing of the plane they lie in.
        good = size > 1e-9 * max(float(size.max(initial=0.0)), 1e-300)
        unit = vectors[good] / size[good][:, None]
        corners = outer[good]
        np.add.at(normals, corners.ravel(), np.repeat(vectors[good], facets.shape[1], axis=0))
        length = np.linalg.norm(normals, axis=1)
        on = length > 0.0
        normals[on] /= length[on][:, None]
        bent = np.einsum("tia,ta->ti", normals[corners], unit) < _FLAT
        free[np.unique(corners[bent])] = False
        free[np.setdiff1d(outer, corners)] = False
        return cls(points, facets, on_level, free, normals)

    def smoothed(self, passes: int) -> FloatArray:
        """Points after some passes.

        Source: Taubin, A signal processing approach to fair surface design, SIGGRAPH (1995).
        """
        n, points = len(self.points), self.points.copy()
        if not passes or not self.free.any():
            return points
        on_plane: BoolArray = np.any(self.normals != 0.0, axis=1)
        d = self.facets.shape[1]
        sides = np.array([[0, 1]] if d == 2 else [[0, 1], [1, 2], [2, 0]])
        pairs = self.facets[self.on_level][:, sides].reshape(-1, 2)
        pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
        if d == 3:
            # Points of a plane follow their neighbors along the outline in it, not what rises from it.
            pairs = pairs[~on_plane[pairs[:, 0]] | on_plane[pairs[:, 1]]]
        pairs = pairs[self.free[pairs[:, 0]]]
        graph = sparse.csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
        degree = np.asarray(graph.sum(axis=1)).ravel()
        # The end of a line says nothing of how it goes on.
        moving = self.free & (degree > 1)
        for _ in range(passes):
            for factor in (_SHRINK, _SWELL):
                step = np.zeros_like(points)
                step[moving] = (graph @ points)[moving] / degree[moving, None] - points[moving]
                step -= np.einsum("va,va->v", step, self.normals)[:, None] * self.normals
                points = points + factor * step
        return self._unfolded(points)

    def _unfolded(self, after: FloatArray) -> FloatArray:
        """Points moved as far as no outer face turns over."""
        outer = self.facets[~self.on_level]
        before = outward(self.points, outer)
        least = _LEAST * np.einsum("ta,ta->t", before, before)
        share = np.ones(len(after))
        for attempt in range(12):
            points = self.points + share[:, None] * (after - self.points)
            over = np.einsum("ta,ta->t", outward(points, outer), before) < least
            if not over.any():
                break
            share[np.unique(outer[over])] *= 0.5 if attempt < 10 else 0.0
        return np.asarray(points)

    def grown(self, points: FloatArray, amount: float) -> FloatArray:
        """Points moved outward, along their normals, so that the body gains about this volume (area)."""
        facets = self.facets[self.on_level]
        d = facets.shape[1]
        along = np.zeros_like(points)
        np.add.at(along, facets.ravel(), np.repeat(outward(points, facets), d, axis=0) / d)
        # Outlines on flat faces stay: what rises from them moves.
        along[~self.free | np.any(self.normals != 0.0, axis=1)] = 0.0
        size = np.linalg.norm(along, axis=1)
        total = float(size.sum())
        if total <= 0.0:
            return points
        direction = np.divide(along, size[:, None], out=np.zeros_like(along), where=size[:, None] > 0.0)
        return np.asarray(points + (amount / total) * direction)

    def of_measure(
        self, points: FloatArray, wanted: float, measure: Callable[[FloatArray], float]
    ) -> FloatArray:
        """Points grown until the body has the wanted volume (area), by Newton's method.

        Raises
        ------
        StudyError
            If it does not come within 0.01 % of it.
        """
        for _ in range(20):
            off = wanted - measure(points)
            if abs(off) <= 1e-12 * wanted:
                return points
            points = self.grown(points, off)
        missed = measure(points) / wanted - 1.0
        if not abs(missed) <= _MISSED:
            raise StudyError(
                f"the smoothed surface is {missed:+.2%} off the volume designed, and its points may not "
                "move that far; take fewer passes, or finer cells"
            )
        return points
