"""Pixels of a scene, from VTK where it works here and from our own renderer where it does not."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from designtwin.typing import BoolArray, FloatArray
from designtwin.viz import raster
from designtwin.viz.geometry import Segments, Triangles
from designtwin.viz.scene import EXCLUDED, PAPER, Body, Line, Scale, Scene, color_steps, rgb
from designtwin.viz.screen import give_up, graphics
from designtwin.viz.view import View

logger = logging.getLogger("designtwin.viz")

SAMPLES = 2  # pixels drawn for each pixel shown, along each side


def render(scene: Scene, view: View) -> tuple[FloatArray, BoolArray]:
    """Draw bodies and lines of a scene.

    Returns
    -------
    image : float64[height, width, 3]
        RGB in 0..1.
    filled : bool[height, width]
        Where something was drawn.
    """
    fine = view.resized(SAMPLES)
    if graphics() != "none":
        try:
            drawn = _with_vtk(scene, fine)
        except ImportError as error:  # the probe's process had what this one lacks
            logger.warning("pyvista cannot be loaded (%s): designtwin's own renderer draws", error)
            give_up()
        else:
            # Red, green, blue are blended with the paper already; alpha tells where something is.
            image = _shrunk(drawn)
            return image[:, :, :3] / 255.0, image[:, :, 3] > 4.0
    pixels, depth = raster.rasterize(scene, fine, line_scale=SAMPLES)
    return _shrunk(pixels), _shrunk(np.isfinite(depth)) > 0.0


def _shrunk(pixels: Any) -> FloatArray:
    """Mean over blocks of SAMPLES x SAMPLES pixels."""
    total = np.zeros((pixels.shape[0] // SAMPLES, pixels.shape[1] // SAMPLES, *pixels.shape[2:]))
    for row in range(SAMPLES):
        for column in range(SAMPLES):
            total += pixels[row::SAMPLES, column::SAMPLES]
    return total / SAMPLES**2


def _with_vtk(scene: Scene, view: View) -> Any:
    """RGBA uint8[height, width, 4]."""
    import pyvista as pv

    plotter = pv.Plotter(off_screen=True, window_size=(view.width, view.height), lighting="none")
    try:
        plotter.render_window.SetMultiSamples(1)  # we average SAMPLES x SAMPLES pixels already
        plotter.set_background(PAPER)
        lights(plotter)
        populate(plotter, scene, view, line_scale=SAMPLES)
        aim(plotter, view)
        return plotter.screenshot(None, return_img=True, transparent_background=True)
    finally:
        plotter.close()


def aim(plotter: Any, view: View) -> None:
    """Set the plotter's camera to a view."""
    camera = plotter.camera
    camera.parallel_projection = True
    camera.focal_point = tuple(view.center)
    reach = 10.0 * view.half_height * max(view.width / view.height, 1.0)
    camera.position = tuple(view.center + reach * view.toward)
    camera.up = tuple(view.up)
    camera.parallel_scale = view.half_height
    plotter.reset_camera_clipping_range()


def lights(plotter: Any) -> None:
    """The same two lights that the numpy renderer has, fixed to the camera."""
    import pyvista as pv

    for at, strength in ((raster.KEY_LIGHT, raster.DIFFUSE), (raster.FILL_LIGHT, raster.FILL)):
        light = pv.Light(position=at, focal_point=(0, 0, 0), light_type="camera light", intensity=strength)
        plotter.add_light(light)


def polydata(triangles: Triangles) -> Any:
    """Triangles as pyvista takes them, with their normals."""
    import pyvista as pv

    # VTK lights the side a triangle's winding shows, whatever the normals say.
    a, b, c = (triangles.points[triangles.conn[:, i]] for i in range(3))
    turned = np.einsum("ij,ij->i", np.cross(b - a, c - a), triangles.normals[triangles.conn[:, 0]]) < 0
    conn = np.where(turned[:, None], triangles.conn[:, ::-1], triangles.conn)
    faces = np.column_stack([np.full(len(conn), 3), conn]).ravel()
    data = pv.PolyData(triangles.points, faces=faces)
    data.point_data["Normals"] = triangles.normals.astype(np.float32)
    data.point_data.active_normals_name = "Normals"
    return data


def linedata(segments: Segments, shift: FloatArray) -> Any:
    """Segments as pyvista takes them."""
    import pyvista as pv

    lines = np.column_stack([np.full(len(segments.conn), 2), segments.conn]).ravel()
    return pv.PolyData(segments.points + shift, lines=lines)


def populate(plotter: Any, scene: Scene, view: View, *, line_scale: float = 1.0, live: bool = False) -> None:
    """Add every body and line of a scene to a plotter.

    Parameters
    ----------
    plotter : pyvista.Plotter
    scene : Scene
    view : View
        Lines are shifted a little toward its viewer, in front of the faces they lie on.
    line_scale : float
        Pixels drawn for each pixel shown.
    live : bool
        True in a window that turns: colors then follow a lookup table, so that the bar can show it.
    """
    for body in scene.bodies:
        _add_body(plotter, scene, body, view, live)
    for line in scene.lines:
        _add_line(plotter, line, view, line_scale, live)
    if any(body.opacity < 1 for body in scene.bodies):
        plotter.enable_depth_peeling(8)


def _add_body(plotter: Any, scene: Scene, body: Body, view: View, live: bool) -> None:
    if not len(body.triangles.conn):
        return
    data = polydata(body.triangles)
    if body.on_top and not live:
        data.points = data.points + raster.ON_TOP * view.half_height * view.toward
    look: dict[str, Any] = {
        "lighting": True,
        "ambient": raster.AMBIENT,
        "diffuse": 1.0,
        "specular": 0.25,
        "specular_power": 30,
        "opacity": body.opacity,
        "show_scalar_bar": False,
        "smooth_shading": False,
        "copy_mesh": False,
    }
    if body.tags is not None:
        data.cell_data["color"] = (255 * np.array([rgb(c) for c in body.palette])[body.tags]).astype(np.uint8)
        actor = plotter.add_mesh(data, scalars="color", rgb=True, **look)
    elif body.values is not None and scene.scale is not None:
        scale = scene.scale
        data.point_data["values"] = scale.share(body.values) if scale.log else body.values
        actor = plotter.add_mesh(
            data,
            scalars="values",
            clim=(0.0, 1.0) if scale.log else (scale.low, scale.high),
            cmap=_listed(scale, body.faded),
            nan_color=EXCLUDED,
            interpolate_before_map=True,
            **look,
        )
    else:
        actor = plotter.add_mesh(data, color=body.color, **look)
    # The normals are ours: curved faces smooth, edges sharp.
    actor.prop.interpolation = "Phong"
    actor.mapper.SetInterpolateScalarsBeforeMapping(body.values is not None)
    actor.prop.specular_color = "white"
    if live:
        actor.mapper.SetResolveCoincidentTopologyToPolygonOffset()
        actor.mapper.SetRelativeCoincidentTopologyPolygonOffsetParameters(2.0, 4.0)


def _add_line(plotter: Any, line: Line, view: View, line_scale: float, live: bool) -> None:
    if not len(line.segments.conn):
        return
    shift = (
        np.zeros(3)
        if live
        else 1.5 * line.lift * max(line.width, 1.0) * view.pixel * line_scale * view.toward
    )
    actor = plotter.add_mesh(
        linedata(line.segments, shift),
        color=line.color,
        line_width=line.width * line_scale,
        opacity=line.opacity,
        lighting=False,
        show_scalar_bar=False,
        render_lines_as_tubes=False,
    )
    if live:  # a view that turns has no one direction to shift lines in
        actor.mapper.SetResolveCoincidentTopologyToPolygonOffset()
        actor.mapper.SetRelativeCoincidentTopologyLineOffsetParameters(0.0, -8.0 * line.lift)


def _listed(scale: Scale, faded: bool) -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap(color_steps(scale, faded))
