"""A renderer in numpy: pixels where no graphics library is to be had.

Depth buffer, smooth normals, per-pixel colors; slower than OpenGL and otherwise the same picture.
"""

from __future__ import annotations

import numpy as np

from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.viz.scene import PAPER, Body, Scale, Scene, rgb, tint
from designtwin.viz.view import View

AMBIENT, DIFFUSE, FILL, SHINE = 0.70, 0.30, 0.12, 0.05
KEY_LIGHT, FILL_LIGHT = (
    (-0.35, 0.45, 1.0),
    (0.6, -0.8, 0.8),
)  # along the picture's right, up, and to the viewer
ON_TOP = 4.0
"""Half picture heights by which a body that is never hidden comes nearer."""
_BATCH = 2_000_000  # pixels tested at once


def rasterize(scene: Scene, view: View, *, line_scale: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Draw bodies and lines.

    Returns
    -------
    image : float64[height, width, 3]
        RGB in 0..1.
    depth : float64[height, width]
        Nearness to the viewer, m; -inf where nothing is.
    """
    image = np.empty((view.height, view.width, 3))
    image[:] = rgb(PAPER)
    depth = np.full((view.height, view.width), -np.inf)
    for body in scene.bodies:
        if body.opacity > 0.9:
            _draw(body, scene.scale, view, image, depth)
    for line in scene.lines:
        _line(
            line.segments.points,
            line.segments.conn,
            line.color,
            line.width * line_scale,
            line.opacity,
            line.lift,
            view,
            image,
            depth,
        )
    for body in scene.bodies:
        if body.opacity <= 0.9:
            over, over_depth = image.copy(), depth.copy()
            _draw(body, scene.scale, view, over, over_depth)
            image += body.opacity * (over - image)
            depth = np.maximum(depth, over_depth)
    return image, depth


def _draw(body: Body, scale: Scale | None, view: View, image: FloatArray, depth: FloatArray) -> None:
    tri = body.triangles
    projected = view.project(tri.points)
    if body.on_top:
        projected[:, 2] += ON_TOP * view.half_height
    pixels, owner, weights = _cover(projected, tri.conn, view, depth)
    if not len(pixels):
        return
    corners = tri.conn[owner]
    normal = np.einsum("pc,pca->pa", weights, tri.normals[corners])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    if body.tags is not None:
        base = np.array([rgb(c) for c in body.palette])[body.tags[owner]]
    elif body.values is not None and scale is not None:
        base = tint(np.einsum("pc,pc->p", weights, scale.share(body.values)[corners]), scale, body.faded)
    else:
        base = np.broadcast_to(rgb(body.color), (len(pixels), 3))
    image.reshape(-1, 3)[pixels] = np.clip(
        shade(normal, view)[:, None] * base + _shine(normal, view)[:, None], 0, 1
    )


def shade(normal: FloatArray, view: View) -> FloatArray:
    """Brightness of surfaces, float64[n]: a key light over the viewer's left shoulder and a soft fill.

    Most of it is ambient, so that a color means the same on every face.
    """
    facing = _facing(normal, view)
    out = AMBIENT + DIFFUSE * np.maximum(facing @ _toward(KEY_LIGHT, view), 0)
    return np.asarray(out + FILL * np.maximum(facing @ _toward(FILL_LIGHT, view), 0))


def _shine(normal: FloatArray, view: View) -> FloatArray:
    half = _toward(KEY_LIGHT, view) + view.toward
    return np.asarray(SHINE * np.maximum(_facing(normal, view) @ (half / np.linalg.norm(half)), 0) ** 30)


def _toward(light: tuple[float, float, float], view: View) -> FloatArray:
    direction = light[0] * view.right + light[1] * view.up + light[2] * view.toward
    return np.asarray(direction / np.linalg.norm(direction))


def _facing(normal: FloatArray, view: View) -> FloatArray:
    return np.asarray(np.where((normal @ view.toward)[:, None] < 0, -normal, normal))


def _cover(
    projected: FloatArray, conn: IntArray, view: View, depth: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """The nearest triangle at each covered pixel: pixel, triangle, barycentric weights; updates depth."""
    corner = projected[conn]  # [k, 3, 3]
    low = np.floor(corner[:, :, :2].min(axis=1) - 0.5).astype(np.int64)
    high = np.ceil(corner[:, :, :2].max(axis=1) + 0.5).astype(np.int64)
    size_limit = np.array([view.width, view.height])
    inside = ((high >= 0) & (low < size_limit)).all(axis=1)
    low, high = np.clip(low, 0, size_limit - 1), np.clip(high, 0, size_limit - 1)
    extent = high - low + 1
    flat_depth = depth.reshape(-1)
    pixel_parts, owner_parts, height_parts, weight_parts = [], [], [], []
    # Triangles of like size together, so that the test grids are small.
    power = np.ceil(np.log2(np.maximum(extent.max(axis=1), 1))).astype(np.int64)
    for p in np.unique(power[inside]):
        rows = np.flatnonzero(inside & (power == p))
        side = int(2**p)
        per_batch = max(1, _BATCH // (side * side))
        for start in range(0, len(rows), per_batch):
            batch = rows[start : start + per_batch]
            pixels, owner, z, w = _cover_batch(corner[batch], low[batch], high[batch], side, view)
            hit = z > flat_depth[pixels]
            pixel_parts.append(pixels[hit])
            owner_parts.append(batch[owner[hit]])
            height_parts.append(z[hit])
            weight_parts.append(w[hit])
    if not pixel_parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 3))
    pixels, owner = np.concatenate(pixel_parts), np.concatenate(owner_parts)
    z, w = np.concatenate(height_parts), np.concatenate(weight_parts)
    order = np.lexsort((z, pixels))
    last = np.r_[pixels[order][1:] != pixels[order][:-1], True] if len(order) else np.empty(0, bool)
    top = order[last]
    flat_depth[pixels[top]] = z[top]
    return pixels[top], owner[top], w[top]


def _cover_batch(
    corner: FloatArray, low: IntArray, high: IntArray, side: int, view: View
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    step = np.arange(side)
    x = low[:, 0, None, None] + step[None, None, :]
    y = low[:, 1, None, None] + step[None, :, None]
    a, b, c = (corner[:, i, :, None, None] for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        px, py = x + 0.5 - a[:, 0], y + 0.5 - a[:, 1]
        s = (px * (c[:, 1] - a[:, 1]) - py * (c[:, 0] - a[:, 0])) / area
        t = ((b[:, 0] - a[:, 0]) * py - (b[:, 1] - a[:, 1]) * px) / area
        slack = 1e-9
        keep: BoolArray = (s >= -slack) & (t >= -slack) & (s + t <= 1 + slack)
    keep &= (x <= high[:, 0, None, None]) & (y <= high[:, 1, None, None])
    owner, row, column = np.nonzero(keep)
    s, t = s[owner, row, column], t[owner, row, column]
    weights = np.column_stack([1 - s - t, s, t])
    z = np.einsum("pc,pc->p", weights, corner[owner, :, 2])
    pixels = (low[owner, 1] + row) * view.width + low[owner, 0] + column
    return pixels, owner, z, weights


def _line(
    points: FloatArray,
    conn: IntArray,
    color: str,
    width: float,
    opacity: float,
    lift: float,
    view: View,
    image: FloatArray,
    depth: FloatArray,
) -> None:
    if not len(conn):
        return
    projected = view.project(points)
    a, b = projected[conn[:, 0]], projected[conn[:, 1]]
    # A close-up has most lines outside of the picture.
    low, high = np.minimum(a, b)[:, :2] - width, np.maximum(a, b)[:, :2] + width
    inside = ((high >= 0) & (low < np.array([view.width, view.height]))).all(axis=1)
    a, b, conn = a[inside], b[inside], conn[inside]
    if not len(conn):
        return
    steps = np.maximum(np.ceil(np.linalg.norm((b - a)[:, :2], axis=1)).astype(np.int64), 1) + 1
    owner = np.repeat(np.arange(len(conn)), steps)
    place = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
    share = place / np.maximum(steps[owner] - 1, 1)
    at = a[owner] + share[:, None] * (b - a)[owner]
    reach = max(width / 2, 0.5)
    offsets = np.arange(-int(np.ceil(reach)), int(np.ceil(reach)) + 1)
    front = 1.5 * lift * view.pixel * max(width, 1.0)
    covered = np.zeros(image.shape[:2], bool)
    for dx in offsets:
        for dy in offsets:
            if dx * dx + dy * dy > reach * reach + 0.25:
                continue
            x, y = np.floor(at[:, 0]).astype(np.int64) + dx, np.floor(at[:, 1]).astype(np.int64) + dy
            inside = (x >= 0) & (x < view.width) & (y >= 0) & (y < view.height)
            x, y, z = x[inside], y[inside], at[inside, 2] + front
            seen = z >= depth[y, x]
            covered[y[seen], x[seen]] = True
    image[covered] += opacity * (rgb(color) - image[covered])
