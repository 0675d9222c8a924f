"""Where to look from: a parallel view of a scene, the same for every renderer.

Parallel projection, because a report is measured by eye: equal lengths stay equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from designtwin.errors import PictureError
from designtwin.typing import BoolArray, FloatArray
from designtwin.viz.scene import Body, Scene, used

NAMED = {
    "iso": (-0.62, -0.66, 0.42),
    "+x": (1, 0, 0),
    "-x": (-1, 0, 0),
    "+y": (0, 1, 0),
    "-y": (0, -1, 0),
    "+z": (0, 0, 1),
    "-z": (0, 0, -1),
    "front": (0, -1, 0),
    "back": (0, 1, 0),
    "left": (-1, 0, 0),
    "right": (1, 0, 0),
    "top": (0, 0, 1),
    "bottom": (0, 0, -1),
}


@dataclass(frozen=True, eq=False)
class View:
    """A parallel projection onto a picture.

    Parameters
    ----------
    toward : float64[3]
        Unit, from the part to the viewer.
    right, up : float64[3]
        Unit, along the picture's sides.
    center : float64[3]
        The point in the middle of the picture, m.
    half_height : float
        m of the part between the middle and the upper side.
    width, height : int
        Pixels.
    """

    toward: FloatArray
    right: FloatArray
    up: FloatArray
    center: FloatArray
    half_height: float
    width: int
    height: int

    @property
    def pixel(self) -> float:
        """m per pixel."""
        return 2.0 * self.half_height / self.height

    def project(self, points: FloatArray) -> FloatArray:
        """Pixels from the left, pixels from the top, and nearness to the viewer in m: float64[n, 3]."""
        d = np.asarray(points) - self.center
        x = self.width / 2 + (d @ self.right) / self.pixel
        y = self.height / 2 - (d @ self.up) / self.pixel
        return np.stack([x, y, d @ self.toward], axis=-1)

    def resized(self, factor: int) -> View:
        """The same view on more pixels."""
        return replace(self, width=self.width * factor, height=self.height * factor)


def directions(camera: str | Sequence[float] | None) -> FloatArray | None:
    """The unit vector to the viewer that a name or three numbers ask for.

    Raises
    ------
    PictureError
        If the name is unknown or the vector has no direction.
    """
    if camera is None:
        return None
    if isinstance(camera, str):
        if camera not in NAMED:
            raise PictureError(f"camera {camera!r} is unknown; known: {', '.join(NAMED)}, or three numbers")
        vector = np.array(NAMED[camera], np.float64)
    else:
        vector = np.asarray(camera, np.float64)
        if vector.shape != (3,) or not np.isfinite(vector).all() or not vector.any():
            raise PictureError(f"camera must be a name or a direction of three numbers, not {camera!r}")
    return np.asarray(vector / np.linalg.norm(vector))


def axes(toward: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Right and up of a picture seen from `toward`: z up, or y where that cannot be."""
    up = np.array([0.0, 0.0, 1.0]) if abs(toward[2]) < 0.99 else np.array([0.0, 1.0, 0.0])
    right = np.cross(up, toward)
    right /= np.linalg.norm(right)
    return right, np.cross(toward, right)


def frame(
    points: FloatArray,
    toward: FloatArray,
    width: int,
    height: int,
    *,
    margins: tuple[float, float, float, float],
) -> View:
    """The view that holds all points within margins (left, right, top, bottom) in shares of the picture."""
    right, up = axes(toward)
    x, y = points @ right, points @ up
    left, rightm, top, bottom = margins
    usable_w, usable_h = width * (1 - left - rightm), height * (1 - top - bottom)
    span_x, span_y = np.ptp(x), np.ptp(y)
    pixel = float(max(span_x / usable_w, span_y / usable_h))
    if not pixel > 0:  # a single point
        pixel = 1e-3 / min(usable_w, usable_h)
    # The middle of the usable rectangle lies beside the middle of the picture.
    mid_x = (x.max() + x.min()) / 2 - pixel * width * (left - rightm) / 2
    mid_y = (y.max() + y.min()) / 2 + pixel * height * (top - bottom) / 2
    center = mid_x * right + mid_y * up + ((points @ toward).max() + (points @ toward).min()) / 2 * toward
    return View(toward, right, up, center, pixel * height / 2, width, height)


def look_at(
    scene: Scene, camera: str | Sequence[float] | None, important: FloatArray, *, alike: bool = False
) -> FloatArray:
    """The direction to look from: as asked, or the one that shows the important points.

    Parameters
    ----------
    scene : Scene
    camera : str or [3], optional
    important : float64[k, 3]
        Points that should be seen, most important first.
    alike : bool
        True where all of them count the same.
    """
    asked = directions(camera)
    if asked is not None:
        return asked
    if scene.flat:
        return np.array([0.0, 0.0, 1.0])
    a, b, c = NAMED["iso"]
    choices = [
        np.array([sx * a, sy * b, sz * c])
        for sz in (1, -1)
        for sx, sy in ((1, 1), (-1, 1), (-1, -1), (1, -1))
    ]
    if scene.facing is not None:
        choices = [c for c in choices if c @ scene.facing > 0.2] or choices
    solid = [body for body in scene.bodies if body.opacity > 0.9 and body.hides]
    if not len(important) or not solid:
        return np.asarray(choices[0] / np.linalg.norm(choices[0]))
    best, best_score = choices[0], -np.inf
    weight = np.ones(len(important)) / len(important) if alike else 0.25 ** np.arange(len(important))
    for rank, choice in enumerate(choices):
        toward = choice / np.linalg.norm(choice)
        seen = visible(important, toward, solid)
        # Seeing the worst place counts most; then a view from above; then the habitual one.
        score = 4.0 * float(weight @ seen) - (1.5 if choice[2] < 0 else 0.0) - 0.05 * rank
        if score > best_score:
            best, best_score = toward, score
    return np.asarray(best / np.linalg.norm(best))


def visible(points: FloatArray, toward: FloatArray, bodies: Sequence[Body]) -> BoolArray:
    """Which points a viewer in direction `toward` sees, past the bodies' triangles."""
    out = np.ones(len(points), bool)
    right, up = axes(toward)
    for body in bodies:
        tri = body.triangles
        size = float(np.linalg.norm(np.ptp(used(tri.points, tri.conn), axis=0))) if len(tri.conn) else 1.0
        corner = np.stack([tri.points @ right, tri.points @ up, tri.points @ toward], axis=1)[tri.conn]
        low, high = corner.min(axis=1), corner.max(axis=1)
        for i, point in enumerate(points):
            if not out[i]:
                continue
            x, y, z = point @ right, point @ up, point @ toward
            near = np.flatnonzero(
                (low[:, 0] <= x)
                & (high[:, 0] >= x)
                & (low[:, 1] <= y)
                & (high[:, 1] >= y)
                & (high[:, 2] > z + 4e-3 * size)
            )
            out[i] = not _covered(corner[near], x, y, z + 4e-3 * size)
    return out


def _covered(corner: FloatArray, x: float, y: float, z: float) -> bool:
    """True if a triangle [k, 3, 3] lies over (x, y) higher than z."""
    if not len(corner):
        return False
    a, b, c = corner[:, 0], corner[:, 1], corner[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        s = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (y - a[:, 1]) * (c[:, 0] - a[:, 0])) / area
        t = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (b[:, 1] - a[:, 1]) * (x - a[:, 0])) / area
        height = a[:, 2] + s * (b[:, 2] - a[:, 2]) + t * (c[:, 2] - a[:, 2])
        inside = (s >= 0) & (t >= 0) & (s + t <= 1)
    return bool((inside & (height > z)).any())
