"""Arrows along the heat flux, evenly spread over what a picture shows of a part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from designtwin import units
from designtwin.errors import PictureError
from designtwin.typing import FloatArray
from designtwin.viz.geometry import Skin, Triangles, arrows, section
from designtwin.viz.scene import Body

FLOW = "#10161c"
ABOUT = 500  # arrows, those on hidden faces included
LEAST = 0.02  # of the largest flux; what is less gets no arrow
_CANDIDATES = 12_000
_LARGE = 97.0  # percentile that the longest arrow stands for; above lie only corners and edges


@dataclass(frozen=True, eq=False)
class Flow:
    """Heat flux at points of what is seen.

    Parameters
    ----------
    points, normals : float64[k, 3]
        m; outward.
    flux : float64[k, 3]
        W/m^2; in the plane of a cut where the point lies on one.
    spacing : float
        Between neighbors, m.
    """

    points: FloatArray
    normals: FloatArray
    flux: FloatArray
    spacing: float

    @property
    def largest(self) -> float:
        """The flux that the longest arrow stands for, W/m^2."""
        size = np.linalg.norm(self.flux, axis=1)
        return float(np.percentile(size, _LARGE)) if len(size) else 0.0

    def body(self, largest: float) -> Body | None:
        """The arrows: length by the root of the flux, `largest` being the longest."""
        size = np.linalg.norm(self.flux, axis=1)
        keep = size > LEAST * largest
        if not keep.any():
            return None
        direction = self.flux[keep] / size[keep, None]
        share = np.sqrt(np.minimum(size[keep] / largest, 1.0))
        length = 1.3 * self.spacing * share
        along = np.einsum("ij,ij->i", direction, self.normals[keep])
        # Along a face an arrow has its middle at the point; leaving it begins there, entering it ends.
        tips = self.points[keep] + (0.5 + 0.5 * along)[:, None] * length[:, None] * direction
        tips += 0.06 * self.spacing * self.normals[keep]
        # Shafts thin out slower than they shorten, so that the short ones are still seen.
        return Body(
            arrows(tips, length[:, None] * direction, thickness=0.032 / np.sqrt(share)),
            color=FLOW,
            hides=False,
        )


def note(largest: float) -> str:
    """What the arrows mean."""
    round_one = float(f"{largest:.2g}")
    return f"arrows: heat flux, length by its root, the longest {units.show(round_one, 'heat_flux')} and more"


def heat_flow(case: Any, cut: tuple[FloatArray, FloatArray] | None = None, *, about: int = ABOUT) -> Flow:
    """The heat flux of a case at points spread over its skin or, if it is cut, over the cut.

    Parameters
    ----------
    case : ThermalCase or an instant of one
    cut : (normal float64[3], origin float64[3]), optional
        The plane of the cut.
    about : int
        How many points, roughly.

    Raises
    ------
    PictureError
        If the case has no heat flux.
    """
    if not hasattr(case, "heat_flux"):
        raise PictureError(
            f"arrows= shows heat flux, which case {case.name!r} does not have; it is for thermal results"
        )
    at = case.points
    flux = np.asarray(case.heat_flux(), np.float64)
    xyz = case.mesh.points[at.node]
    tri, vectors = Triangles.none(), np.empty((0, 3))
    if cut is not None:
        normal, origin = cut
        pieces = [section(at.cells, xyz, flux[:, axis], normal, origin) for axis in range(3)]
        tri = pieces[0][0]
        vectors = np.column_stack([values for _, values in pieces])
        vectors -= (vectors @ normal)[:, None] * normal
        about //= 3  # all of them are seen
    if not len(tri.conn):  # no cut, or one that only touches the part
        skin = Skin(case.mesh, at.node, at.cells)
        tri, sampler = skin.triangles(xyz, min(skin.level(), 2))
        vectors = np.column_stack([sampler(flux[:, axis]) for axis in range(3)])
    if not len(tri.conn):
        raise PictureError("arrows= needs faces to stand on; there are none here")
    points, normals, vectors, area = _candidates(tri, vectors)
    spacing = float(np.sqrt(area / max(about, 1)))
    keep = _apart(points, normals, spacing)
    return Flow(points[keep], normals[keep], vectors[keep], spacing)


def _candidates(tri: Triangles, vectors: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Points, normals and vectors at places that do not depend on how fine the mesh is, and the area."""
    random = np.random.default_rng(20)
    a, b, c = (tri.points[tri.conn[:, i]] for i in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    total = float(area.sum())
    pick = random.choice(len(area), size=_CANDIDATES, p=area / total)
    s, t = random.random((2, _CANDIDATES))
    outside = s + t > 1
    s[outside], t[outside] = 1 - s[outside], 1 - t[outside]
    weight = np.column_stack([1 - s - t, s, t])
    points, normals, values = (
        np.einsum("kc,kca->ka", weight, each[tri.conn[pick]]) for each in (tri.points, tri.normals, vectors)
    )
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    return points, normals, values, total


def _apart(points: FloatArray, normals: FloatArray, spacing: float) -> Any:
    """Rows of points at least `spacing` apart on faces that look the same way, as many as fit."""
    tree = cKDTree(points)
    alive = np.ones(len(points), bool)
    chosen = []
    for row in range(len(points)):
        if not alive[row]:
            continue
        chosen.append(row)
        near = np.array(tree.query_ball_point(points[row], spacing))
        alive[near[normals[near] @ normals[row] > 0.3]] = False
    return np.array(chosen, np.int64)
