"""Make the parts of this folder with gmsh (OpenCASCADE kernel).

Run by the maintainers; users get the committed mesh files and need no gmsh::

    python meshes/make_meshes.py              # every part
    python meshes/make_meshes.py bracket      # only the parts named

Lengths are millimeters. One thread and a fixed seed: the same gmsh gives the same files.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import gmsh
import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
DECIMALS = 5  # coordinates are rounded to 1e-5 mm, which keeps text files small
OPTIONS = {"General.Verbosity": 1, "General.NumThreads": 1, "Mesh.RandomSeed": 1}
EVER = math.inf

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Range = tuple[float, float]
Point2 = tuple[float, float]

occ = gmsh.model.occ


# --- helpers on the OpenCASCADE model -------------------------------------------------------------------


def sweep_y(curves: Sequence[int], width: float) -> int:
    """Return the volume swept along y by a closed loop of curves in an xz plane."""
    face = occ.addPlaneSurface([occ.addCurveLoop(list(curves))])
    return int(next(tag for dim, tag in occ.extrude([(2, face)], 0, width, 0) if dim == 3))


def prism_y(corners: Sequence[Point2], y0: float, y1: float) -> int:
    """Return the prism over a polygon of (x, z) corners between two y."""
    points = [occ.addPoint(x, y0, z) for x, z in corners]
    return sweep_y([occ.addLine(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)], y1 - y0)


def polyline(corners: Sequence[Point2], z: float) -> int:
    """Return the closed loop of lines through (x, y) corners at one z."""
    points = [occ.addPoint(x, y, z) for x, y in corners]
    lines = [occ.addLine(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)]
    return int(occ.addCurveLoop(lines))


def fuse(first: int, *others: int) -> int:
    """Unite volumes into one and return it."""
    out, _ = occ.fuse([(3, first)], [(3, tag) for tag in others])
    assert len(out) == 1, f"the union is {len(out)} pieces"
    return int(out[0][1])


def cut(volume: int, *tools: int) -> int:
    """Take volumes away from one and return what is left."""
    out, _ = occ.cut([(3, volume)], [(3, tag) for tag in tools])
    assert len(out) == 1, f"the cut leaves {len(out)} pieces"
    return int(out[0][1])


def common(first: int, *others: int) -> int:
    """Return what volumes have in common."""
    for other in others:
        out, _ = occ.intersect([(3, first)], [(3, other)])
        assert len(out) == 1, f"the intersection is {len(out)} pieces"
        first = int(out[0][1])
    return first


def fillet(volume: int, edges: Sequence[int], radius: float) -> int:
    """Round edges of a volume and return it."""
    assert edges, "no edge to round"
    return int(occ.fillet([volume], list(edges), [radius])[0][1])


def inside(
    dim: int,
    x: Range = (-EVER, EVER),
    y: Range = (-EVER, EVER),
    z: Range = (-EVER, EVER),
    *,
    kind: str | None = None,
    within: float = 1e-3,
) -> list[int]:
    """Return the entities lying wholly in a box; `kind` is gmsh's name of the type, such as Cylinder."""
    occ.synchronize()
    limits = (x, y, z)
    found = []
    for _, tag in gmsh.model.getEntities(dim):
        b = gmsh.model.getBoundingBox(dim, tag)
        fits = all(b[i] >= low - within and b[i + 3] <= high + within for i, (low, high) in enumerate(limits))
        if fits and (kind is None or gmsh.model.getType(dim, tag) == kind):
            found.append(tag)
    return found


def box_center(dim: int, tag: int) -> tuple[float, float, float]:
    """Return the center of the bounding box of an entity."""
    b = gmsh.model.getBoundingBox(dim, tag)
    return (b[0] + b[3]) / 2, (b[1] + b[4]) / 2, (b[2] + b[5]) / 2


def edges_of(volume: int) -> list[int]:
    """Return the edges of a volume."""
    faces = gmsh.model.getBoundary([(3, volume)], oriented=False)
    return sorted({abs(tag) for _, tag in gmsh.model.getBoundary(faces, combined=False, oriented=False)})


def runs_along(curve: int, axis: int) -> bool:
    """Tell whether a curve runs along one axis."""
    b = gmsh.model.getBoundingBox(1, curve)
    return all(b[i + 3] - b[i] < 1e-3 for i in range(3) if i != axis)


def seam(x: Range, y: Range, z: Range) -> list[int]:
    """Return the edges in a box where a face of the box meets a face that reaches out of it."""
    faces = set(inside(2, x, y, z))
    edges = inside(1, x, y, z)
    return [e for e in edges if sum(int(f) in faces for f in gmsh.model.getAdjacencies(1, e)[0]) == 1]


def tangent(start: Point2, center: Point2, radius: float, side: int) -> Point2:
    """Return where the tangent from a point touches a circle; side 1 or -1 picks one of the two."""
    dx, dz = start[0] - center[0], start[1] - center[1]
    angle = math.atan2(dz, dx) + side * math.acos(radius / math.hypot(dx, dz))
    return center[0] + radius * math.cos(angle), center[1] + radius * math.sin(angle)


def is_circle(edge: int, *radii: float) -> bool:
    """Tell whether an edge is a full circle in an xy plane with one of the radii."""
    b = gmsh.model.getBoundingBox(1, edge)
    sizes = (b[3] - b[0], b[4] - b[1])
    return any(all(abs(size - 2 * r) < 1e-3 for size in sizes) for r in radii)


def face_at(edge: int, height: float) -> int:
    """Return the flat face at z = height or z = -height that an edge bounds."""
    faces = (int(f) for f in gmsh.model.getAdjacencies(1, edge)[0])
    return next(f for f in faces if abs(abs(box_center(2, f)[2]) - height) < 1e-3)


def group(dim: int, name: str, tags: Sequence[int]) -> None:
    """Name a set of entities."""
    assert tags, f"group {name} is empty"
    gmsh.model.addPhysicalGroup(dim, list(tags), name=name)


def size_near(
    tags: Sequence[int], at: float, reach: float, far: float, *, dim: int = 2, growth: float = 0.9
) -> int:
    """Return a size field: `at` on the entities and `reach` around them, growing to `far`."""
    field = gmsh.model.mesh.field
    distance = field.add("Distance")
    field.setNumbers(distance, {1: "CurvesList", 2: "SurfacesList"}[dim], list(tags))
    field.setNumber(distance, "Sampling", 40)
    threshold = field.add("Threshold")
    field.setNumber(threshold, "InField", distance)
    field.setNumber(threshold, "SizeMin", at)
    field.setNumber(threshold, "SizeMax", far)
    field.setNumber(threshold, "DistMin", reach)
    field.setNumber(threshold, "DistMax", reach + (far - at) / growth)
    return int(threshold)


def use_sizes(fields: Sequence[int]) -> None:
    """Let the smallest of the size fields alone govern the mesh."""
    field = gmsh.model.mesh.field
    smallest = field.add("Min")
    field.setNumbers(smallest, "FieldsList", list(fields))
    field.setAsBackgroundMesh(smallest)
    for source in ("ExtendFromBoundary", "FromPoints", "FromCurvature"):
        gmsh.option.setNumber(f"Mesh.MeshSize{source}", 0)


def mesh_tetra10() -> None:
    """Mesh the model with quadratic tetrahedra that follow the curved faces."""
    gmsh.model.mesh.generate(3)
    gmsh.model.mesh.optimize("Netgen")
    gmsh.model.mesh.optimize("Relocate3D")
    gmsh.model.mesh.optimize("")
    gmsh.model.mesh.setOrder(2)
    gmsh.option.setNumber("Mesh.HighOrderThresholdMin", 0.35)
    gmsh.option.setNumber("Mesh.HighOrderPassMax", 40)
    gmsh.option.setNumber("Mesh.HighOrderNumLayers", 4)
    gmsh.model.mesh.optimize("HighOrder")


def round_nodes() -> None:
    """Round the coordinates of all nodes."""
    for dim, tag in gmsh.model.getEntities():
        nodes, points, parametric = gmsh.model.mesh.getNodes(dim, tag, returnParametricCoord=dim in (1, 2))
        for i, node in enumerate(nodes):
            # adding 0.0 turns -0.0 into 0.0
            point = [round(float(value), DECIMALS) + 0.0 for value in points[3 * i : 3 * i + 3]]
            gmsh.model.mesh.setNode(
                node, point, list(parametric[dim * i : dim * i + dim]) if len(parametric) else []
            )


# --- the parts --------------------------------------------------------------------------------------------


def bracket_shape(
    t: float = 5.0,
    rib: float = 10.0,
    root: float = 6.0,
) -> None:
    """L-bracket: base plate with four bolt holes, upright, notched rib, lug with a bore, buffer pad.

    The root corner runs along y at x = 0, z = 0; the base lies on z = 0 towards -x, the back of the
    upright on x = 0; y = 0 is the plane of symmetry.

    Parameters
    ----------
    t, rib, root : float
        Thickness of both plates, width of the rib, radius of the fillet between base and upright.
    """
    width, length, height = 90.0, 100.0, 95.0
    toe, nose, rib_top, shoulder, notch = -62.0, 10.0, 33.0, 6.3, 18.0
    lug_x, lug_z, eye, bore, foot, lug_half = -14.0, 74.0, 9.5, 4.5, 13.0, 18.0
    pad_x, pad_half, pad_low, pad_high = 4.0, 33.0, 21.0, 30.0
    hole, hole_x, hole_y = 4.5, (-26.0, -88.0), 35.0

    # base and upright in one sweep, the root fillet in its profile; free corners rounded
    corners = [(0, 0), (0, height), (-t, height), (-t, t + root), (-t - root, t), (-length, t), (-length, 0)]
    p = [occ.addPoint(x, -width / 2, z) for x, z in corners]
    center = occ.addPoint(-t - root, -width / 2, t + root)
    curves = [occ.addLine(a, b) for a, b in zip(p, p[1:] + p[:1], strict=True) if (a, b) != (p[3], p[4])]
    curves.insert(3, occ.addCircleArc(p[3], center, p[4]))
    whole = sweep_y(curves, width)
    whole = fillet(whole, [c for c in inside(1, z=(height, height)) if runs_along(c, 0)], 10.0)
    whole = fillet(whole, [c for c in inside(1, x=(-length, -length)) if runs_along(c, 2)], 10.0)

    # rib with fully rounded ends and a notch clear of the root fillet
    corners = [(-t / 2, t + notch), (-t / 2, rib_top), (-t - shoulder, rib_top), (toe, t + nose)]
    corners += [(toe, t / 2), (-t - notch, t / 2), (-t - notch, t), (-t, t + notch)]
    p = [occ.addPoint(x, -rib / 2, z) for x, z in corners]
    center = occ.addPoint(-t, -rib / 2, t)
    curves = [occ.addLine(a, b) for a, b in zip(p, p[1:] + p[:1], strict=True) if a != p[6]]
    curves.insert(6, occ.addCircleArc(p[6], center, p[7]))
    r, far = rib / 2, 300.0
    nose_plan = fuse(
        occ.addBox(toe + r, -r, -far, far, rib, 2 * far), occ.addCylinder(toe + r, 0, -far, 0, 0, 2 * far, r)
    )
    top_view = fuse(
        occ.addBox(-far, -r, rib_top - r, 2 * far, rib, -far),
        occ.addCylinder(-far, 0, rib_top - r, 2 * far, 0, 0, r),
    )
    whole = fuse(whole, common(sweep_y(curves, rib), nose_plan, top_view))
    whole = fillet(whole, seam(x=(toe, -t), y=(-r, r), z=(t, rib_top)), 6.0)

    # lug, its rims rounded
    ear = lug(-t / 2, lug_x, lug_z, foot, eye, lug_half)
    rims = [
        c
        for y in (-lug_half, lug_half)
        for c in inside(1, x=(lug_x - eye, -t / 2), y=(y, y), z=(lug_z - foot, lug_z + foot))
        if box_center(1, c)[0] < -t / 2 - 0.1
    ]
    whole = fuse(whole, fillet(ear, rims, 4.0))
    ear_box = ((lug_x - eye, -t), (-lug_half, lug_half), (lug_z - foot, lug_z + foot))
    whole = fillet(whole, seam(*ear_box), 4.0)

    # buffer pad on the back
    r, z, thick = (pad_high - pad_low) / 2, (pad_high + pad_low) / 2, pad_x + t / 2
    straight = pad_half - r
    pad = occ.addBox(-t / 2, -straight, pad_low, thick, 2 * straight, 2 * r)
    pad = fuse(pad, *(occ.addCylinder(-t / 2, y, z, thick, 0, 0, r) for y in (-straight, straight)))
    whole = fuse(whole, pad)
    whole = fillet(whole, seam((0, pad_x), (-pad_half, pad_half), (pad_low, pad_high)), 2.0)

    holes = [occ.addCylinder(x, y, -1, 0, 0, t + 2, hole) for x in hole_x for y in (-hole_y, hole_y)]
    cut(whole, *holes, occ.addCylinder(lug_x, -2 * lug_half, lug_z, 0, 4 * lug_half, 0, bore))
    occ.synchronize()


def lug(x0: float, x: float, z: float, foot: float, radius: float, half_width: float) -> int:
    """Return a lug: the hull of an eye at (x, z) and of a foot of half height `foot` at x0."""
    high, low = tangent((x0, z + foot), (x, z), radius, 1), tangent((x0, z - foot), (x, z), radius, -1)
    y = -half_width
    p = [occ.addPoint(px, y, pz) for px, pz in ((x0, z - foot), (x0, z + foot), high, (x - radius, z), low)]
    center = occ.addPoint(x, y, z)
    lines = [occ.addLine(p[0], p[1]), occ.addLine(p[1], p[2])]
    arcs = [occ.addCircleArc(p[2], center, p[3]), occ.addCircleArc(p[3], center, p[4])]
    return sweep_y([*lines, *arcs, occ.addLine(p[4], p[0])], 2 * half_width)


def bracket(scale: float) -> None:
    """Mesh the bracket; `scale` multiplies every cell size."""
    bracket_shape()
    curved = [f for f in inside(2) if gmsh.model.getType(2, f) != "Plane"]
    holes = [f for f in inside(2, x=(-95, -20), y=(-40, 40), z=(0, 5)) if f in curved]
    bore = [f for f in inside(2, x=(-18.5, -9.5), z=(69.5, 78.5)) if f in curved]
    pad_rounds = [f for f in curved if box_center(2, f)[0] > 0]
    corners = [f for f in inside(2, z=(85, 95)) + inside(2, x=(-100, -90)) if f in curved]
    rounds = [f for f in curved if f not in holes + pad_rounds + corners]

    centers = {f: occ.getCenterOfMass(2, f) for f in rounds}
    rib_end = [f for f, (x, _, z) in centers.items() if x > -9 and 30 < z < 41]
    rib_nose = inside(2, x=(-62, -57), y=(-5, 5))
    lug_foot = [f for f, (x, _, z) in centers.items() if x > -7.5 and 50 < z < 68]
    group(3, "body", inside(3))
    group(2, "bolt_holes", holes)
    group(2, "lug", bore)
    group(2, "lug_sides", inside(2, x=(-25, -5), y=(-18, -18)) + inside(2, x=(-25, -5), y=(18, 18)))
    group(2, "base", inside(2, z=(0, 0)))
    group(2, "back", inside(2, x=(0, 0)))
    group(2, "pad", inside(2, x=(4, 4)))
    group(2, "root_fillet", inside(2, x=(-11, -5), z=(5, 11)))
    group(2, "rib_sides", inside(2, x=(-60, -5), y=(-5, -5)) + inside(2, x=(-60, -5), y=(5, 5)))

    far = 9.5 * scale
    use_sizes(
        [
            size_near(rounds, 3.8 * scale, 0.0, far),
            size_near(rib_end, 1.5 * scale, 0.0, far),
            size_near(rib_nose, 2.4 * scale, 0.0, far),
            size_near(lug_foot, 2.3 * scale, 0.0, far),
            size_near(pad_rounds, 3.0 * scale, 0.0, far),
            size_near([*holes, *bore], 3.7 * scale, 0.0, far),
        ]
    )
    mesh_tetra10()


def connecting_rod(scale: float) -> None:
    """Connecting rod: two eyes of one thickness, a shank of I section between them, an oil hole."""
    length, thick = 150.0, 22.0
    big, big_bore, small, small_bore = 34.0, 24.0, 18.0, 11.0
    half = thick / 2

    # outline swept through the thickness, its inner corners rounded
    shank = [(0.0, -17.0), (length, -11.0), (length, 11.0), (0.0, 17.0)]
    plate = occ.addPlaneSurface([polyline(shank, -half)])
    body = next(tag for dim, tag in occ.extrude([(2, plate)], 0, 0, thick) if dim == 3)
    eyes = [occ.addCylinder(x, 0, -half, 0, 0, thick, r) for x, r in ((0.0, big), (length, small))]
    body = fuse(body, *eyes)
    corners = [e for e in inside(1, x=(15, length - 5)) if runs_along(e, 2)]
    body = fillet(body, corners, 14.0)

    # a pocket on each side, 6 mm deep, leaves the I section
    for side in (-1, 1):
        z = side * (half + 1)
        pocket = occ.addPlaneSurface(
            [polyline([(46.0, -10.2), (118.0, -7.2), (118.0, 7.2), (46.0, 10.2)], z)]
        )
        tool = next(tag for dim, tag in occ.extrude([(2, pocket)], 0, 0, -side * 7.0) if dim == 3)
        occ.synchronize()
        upright = [e for e in edges_of(tool) if runs_along(e, 2)]
        tool = fillet(tool, upright, 5.0)
        occ.synchronize()
        floor = [e for e in edges_of(tool) if abs(box_center(1, e)[2] - side * (half - 6)) < 1e-3]
        body = cut(body, fillet(tool, floor, 3.0))
    bores = [occ.addCylinder(0, 0, -half, 0, 0, thick, big_bore)]
    bores.append(occ.addCylinder(length, 0, -half, 0, 0, thick, small_bore))
    bores.append(occ.addCylinder(length, 0, 0, 2 * small, 0, 0, 1.5))  # oil hole
    body = cut(body, *bores)
    rims = [
        e for side in (-half, half) for e in inside(1, z=(side, side)) if is_circle(e, big_bore, small_bore)
    ]
    body = int(occ.chamfer([body], rims, [face_at(e, half) for e in rims], [1.0])[0][1])

    # the shank is a set of cells of its own
    cuts = [occ.addRectangle(-50, -50, 0, 100, 100) for _ in range(2)]
    for tag, x in zip(cuts, (42.0, 124.0), strict=True):
        occ.rotate([(2, tag)], 0, 0, 0, 0, 1, 0, math.pi / 2)
        occ.translate([(2, tag)], x, 0, 0)
    occ.fragment([(3, body)], [(2, tag) for tag in cuts])
    occ.synchronize()
    for tag in (t for _, t in gmsh.model.getEntities(2) if not len(gmsh.model.getAdjacencies(2, t)[0])):
        occ.remove([(2, tag)], recursive=True)
    occ.synchronize()

    group(3, "rod", inside(3))
    group(3, "shank", inside(3, x=(42, 124)))
    group(2, "big_end", inside(2, x=(-24, 24), y=(-24, 24), z=(-10, 10), kind="Cylinder"))
    group(2, "small_end", inside(2, x=(139, 161), y=(-11, 11), z=(-10, 10), kind="Cylinder"))
    group(0, "gauge_points", inside(0, x=(42, 42), z=(-half, -half)) + inside(0, x=(42, 42), z=(half, half)))
    hole = inside(2, x=(160, 169), y=(-1.5, 1.5), z=(-1.5, 1.5))
    rounds = [f for kind in ("Cylinder", "Torus") for f in inside(2, x=(20, 135), kind=kind)]
    bore = inside(2, x=(139, 161), y=(-11, 11))
    far = 8.0 * scale
    use_sizes(
        [
            size_near(rounds, 3.6 * scale, 0.0, far),
            size_near(hole, 1.3 * scale, 0.0, far),
            size_near(bore, 4.0 * scale, 0.0, far),
        ]
    )
    mesh_tetra10()


def nozzle(scale: float) -> None:
    """Cylindrical pressure vessel with a radial nozzle: a quarter, on the planes x = 0 and y = 0."""
    radius, wall, half_length = 150.0, 10.0, 240.0
    bore, nozzle_wall, top = 40.0, 8.0, 235.0
    weld, edge = 12.0, 5.0  # outer weld toe, inner rounding

    solids = []
    for r_vessel, r_nozzle, rounding in ((radius + wall, bore + nozzle_wall, weld), (radius, bore, edge)):
        vessel = occ.addCylinder(-half_length, 0, 0, 2 * half_length, 0, 0, r_vessel)
        solid = fuse(vessel, occ.addCylinder(0, 0, 0, 0, 0, top, r_nozzle))
        occ.synchronize()
        solids.append(
            fillet(solid, [e for e in edges_of(solid) if _is_crotch(e, r_vessel, r_nozzle)], rounding)
        )
    quarter = occ.addBox(0, 0, -2 * radius, half_length, 2 * radius, 4 * radius)
    common(cut(*solids), quarter)

    ends = {
        "sym_x": inside(2, x=(0, 0)),
        "sym_y": inside(2, y=(0, 0)),
        "vessel_end": inside(2, x=(half_length, half_length)),
        "nozzle_end": inside(2, z=(top, top)),
    }
    group(3, "shell", inside(3))
    rest = [f for f in inside(2) if not any(f in faces for faces in ends.values())]
    inner = [f for f in rest if _is_wetted(f, radius, wall, bore, nozzle_wall)]
    group(2, "inner", inner)
    group(2, "outer", [f for f in rest if f not in inner])
    for name, faces in ends.items():
        group(2, name, faces)
    crotch = [f for f in rest if gmsh.model.getType(2, f) not in ("Cylinder", "Plane")]
    pipe = [f for f in rest if gmsh.model.getBoundingBox(2, f)[5] > top - 1]
    far = 20.0 * scale
    use_sizes([size_near(crotch, 4.0 * scale, 0.0, far, growth=0.35), size_near(pipe, 9.0 * scale, 0.0, far)])
    mesh_tetra10()


def _is_crotch(edge: int, r_vessel: float, r_nozzle: float) -> bool:
    """Tell whether an edge is where the nozzle meets the vessel."""
    x0, y0, z0, x1, y1, z1 = gmsh.model.getBoundingBox(1, edge)
    low, high = math.sqrt(r_vessel**2 - r_nozzle**2), r_vessel
    return bool(z0 > low - 1 and z1 < high + 1 and x1 - x0 > 0.9 * r_nozzle and y1 - y0 > 0.9 * r_nozzle)


def _is_wetted(face: int, radius: float, wall: float, bore: float, nozzle_wall: float) -> bool:
    """Tell whether a face lies nearer to the inside than to the outside of the walls."""
    (u0, v0), (u1, v1) = gmsh.model.getParametrizationBounds(2, face)
    x, y, z = gmsh.model.getValue(2, face, [0.5 * (u0 + u1), 0.5 * (v0 + v1)])
    depth = min(math.hypot(y, z) - radius - wall / 2, math.hypot(x, y) - bore - nozzle_wall / 2)
    return depth < 0


def enclosure(scale: float) -> None:
    """Electronics enclosure, open at the top: a housing with standoffs and ears, and the board it carries."""
    length, width, height, wall = 120.0, 80.0, 32.0, 2.5
    standoffs = [(x, y) for x in (-47.0, 47.0) for y in (-27.0, 27.0)]
    lift, board = 6.0, 1.6
    screw, ear, ear_hole = 1.7, 11.0, 2.25

    def rounded_box(dx: float, dy: float, z0: float, z1: float, corner: float, floor: float) -> int:
        box = occ.addBox(-dx / 2, -dy / 2, z0, dx, dy, z1 - z0)
        occ.synchronize()
        box = fillet(box, [e for e in edges_of(box) if runs_along(e, 2)], corner)
        occ.synchronize()
        edges = [e for e in edges_of(box) if gmsh.model.getBoundingBox(1, e)[5] < z0 + 1e-3]
        base = next(int(f) for f in gmsh.model.getAdjacencies(1, edges[0])[0] if f in inside(2, z=(z0, z0)))
        return int(occ.chamfer([box], edges, [base] * len(edges), [floor])[0][1])

    shell = cut(
        rounded_box(length, width, 0.0, height, 8.0, 3.0),
        rounded_box(length - 2 * wall, width - 2 * wall, wall, height + 5, 5.5, 1.5),
    )
    x_ear = length / 2 + ear / 2
    ears = []
    for side in (-1, 1):
        plate = occ.addBox(
            min(side * (x_ear), side * (length / 2 - 4)), -ear, 0, ear / 2 + 4, 2 * ear, 2 * wall
        )
        ears.append(fuse(plate, occ.addCylinder(side * x_ear, 0, 0, 0, 0, 2 * wall, ear)))
    keep_out = rounded_box(length - 2 * wall, width - 2 * wall, wall, height, 5.5, 1.5)
    ears = [occ.cut([(3, e)], [(3, keep_out)], removeTool=False)[0][0][1] for e in ears]
    occ.remove([(3, keep_out)], recursive=True)
    posts = [occ.addCylinder(x, y, wall / 2, 0, 0, lift + wall / 2, 4.0) for x, y in standoffs]
    housing = fuse(shell, *ears, *posts)
    housing = fillet(housing, [e for e in inside(1, z=(wall, wall)) if is_circle(e, 4.0)], 1.5)
    holes = [occ.addCylinder(x, y, wall, 0, 0, lift, screw) for x, y in standoffs]
    holes += [occ.addCylinder(side * x_ear, 0, 0, 0, 0, 2 * wall, ear_hole) for side in (-1, 1)]
    housing = cut(housing, *holes)

    z0 = wall + lift
    pcb = occ.addBox(-53, -33, z0, 106, 66, board)
    occ.synchronize()
    pcb = fillet(pcb, [e for e in edges_of(pcb) if runs_along(e, 2)], 3.0)
    pcb = cut(pcb, *(occ.addCylinder(x, y, z0, 0, 0, board, screw) for x, y in standoffs))
    chip = occ.addRectangle(8, -10, z0 + board, 16, 16)
    occ.fragment([(3, housing), (3, pcb)], [(2, chip)])
    occ.synchronize()

    board_volume = inside(3, z=(z0, z0 + board))
    housing_volume = [v for v in inside(3) if v not in board_volume]
    group(3, "housing", housing_volume)
    group(3, "board", board_volume)
    seats = set(inside(2, z=(z0, z0)))
    skin = [abs(t) for _, t in gmsh.model.getBoundary([(3, v) for v in housing_volume], oriented=False)]
    mounts, rim = [f for f in skin if _is_hole(f, ear_hole)], inside(2, z=(height, height))
    outline = (length / 2 - 8.0, width / 2 - 8.0, 8.0, wall)
    group(2, "mounts", mounts)
    group(2, "underside", inside(2, z=(0, 0)))
    group(2, "outside", [f for f in skin if f not in mounts + rim and _faces_out(f, *outline)])
    group(2, "rim", rim)
    group(2, "chip", inside(2, x=(8, 24), y=(-10, 6), z=(z0 + board, z0 + board)))
    group(2, "board_top", inside(2, z=(z0 + board, z0 + board)))
    small = [f for f in skin if _is_hole(f, screw) or _is_hole(f, ear_hole)]
    rounds = [f for f in skin if gmsh.model.getType(2, f) == "Torus"]
    bends = [
        f for f in inside(2, z=(wall + 1, height), kind="Cylinder") if gmsh.model.getBoundingBox(2, f)[5] > 30
    ]
    far = 9.0 * scale
    use_sizes(
        [
            size_near(sorted(seats), 3.0 * scale, 0.0, far),
            size_near(small, 2.2 * scale, 0.0, far),
            size_near(rounds, 2.6 * scale, 0.0, far),
            size_near(bends, 4.5 * scale, 0.0, far),
        ]
    )
    mesh_tetra10()


def _is_hole(face: int, radius: float) -> bool:
    """Tell whether a face is a whole upright cylinder of that radius."""
    b = gmsh.model.getBoundingBox(2, face)
    return gmsh.model.getType(2, face) == "Cylinder" and all(
        abs(b[i + 3] - b[i] - 2 * radius) < 1e-3 for i in (0, 1)
    )


def _faces_out(face: int, x_corner: float, y_corner: float, corner: float, wall: float) -> bool:
    """Tell whether the middle of a face lies on the outer walls, under the floor or on an ear."""
    (u0, v0), (u1, v1) = gmsh.model.getParametrizationBounds(2, face)
    x, y, z = gmsh.model.getValue(2, face, [0.5 * (u0 + u1), 0.5 * (v0 + v1)])
    dx, dy = abs(x) - x_corner, abs(y) - y_corner
    beyond = math.hypot(max(dx, 0.0), max(dy, 0.0)) + min(max(dx, dy), 0.0) - corner
    return bool(beyond > -0.6 * wall or z < 0.9 * wall)


# --- parts swept from a plane mesh ------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """A plane mesh of quad8, tri6 and line3 with named surfaces and curves.

    Attributes
    ----------
    points : float64[n, 2]
    faces : mapping of surface name to list of (gmsh type, int64[k, 8 or 6])
    edges : mapping of curve name to int64[k, 3], ends first
    """

    points: Floats
    faces: dict[str, list[tuple[int, Ints]]]
    edges: dict[str, Ints]


@dataclass(frozen=True)
class Span:
    """Layers of a sweep: which surfaces go from one level to another, and into which groups."""

    surfaces: Sequence[str]
    first: int
    last: int
    volumes: Sequence[str]


def section(size: float, quality: float = 0.05) -> Section:
    """Mesh the plane model with quadratic quads and a few triangles, and take it out of gmsh.

    Quads poorer than `quality` are left as two triangles.
    """
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.option.setNumber("Mesh.Algorithm", 8)
    gmsh.option.setNumber("Mesh.RecombineAll", 1)
    gmsh.option.setNumber("Mesh.RecombineMinimumQuality", quality)
    gmsh.option.setNumber("Mesh.SecondOrderIncomplete", 1)
    gmsh.model.mesh.generate(2)
    for dim, tag in gmsh.model.getEntities(2):
        low, high = gmsh.model.getParametrizationBounds(dim, tag)
        if gmsh.model.getNormal(tag, [0.5 * (a + b) for a, b in zip(low, high, strict=True)])[2] < 0:
            gmsh.model.mesh.reverse([(dim, tag)])
    gmsh.model.mesh.setOrder(2)
    gmsh.model.mesh.optimize("HighOrder")
    tags, points, _ = gmsh.model.mesh.getNodes()
    row = np.zeros(int(max(tags)) + 1, np.int64)
    row[tags] = np.arange(len(tags))
    xy = points.reshape(-1, 3)[:, :2].copy()

    def named(dim: int) -> dict[str, list[tuple[int, Ints]]]:
        out: dict[str, list[tuple[int, Ints]]] = {}
        for _, physical in gmsh.model.getPhysicalGroups(dim):
            blocks = out.setdefault(gmsh.model.getPhysicalName(dim, physical), [])
            for entity in gmsh.model.getEntitiesForPhysicalGroup(dim, physical):
                for kind, _, nodes in zip(*gmsh.model.mesh.getElements(dim, entity), strict=True):
                    conn = row[nodes].reshape(-1, {8: 3, 9: 6, 16: 8}[int(kind)])
                    blocks.append((int(kind), conn if dim == 1 else _turned(conn, xy)))
        return out

    edges = {name: np.concatenate([conn for _, conn in blocks]) for name, blocks in named(1).items()}
    return Section(xy, named(2), edges)


def _turned(conn: Ints, xy: Floats) -> Ints:
    """Return cells of a plane with their nodes counterclockwise."""
    n = conn.shape[1] // 2
    x, y = xy[conn[:, :n]].transpose(2, 0, 1)
    area = (x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1)
    reverse = [0, *range(n - 1, 0, -1), *range(2 * n - 1, n - 1, -1)]
    return np.where((area > 0)[:, None], conn, conn[:, reverse])


def sweep(
    plane: Section,
    levels: int,
    place: Callable[[Floats, float], Floats],
    spans: Sequence[Span],
    sides: Sequence[tuple[str, str, int, int]],
    caps: Sequence[tuple[str, Sequence[str], int]],
) -> None:
    """Sweep a section through levels into hexahedron20 and wedge15, as a new discrete model.

    Parameters
    ----------
    plane : Section
    levels : int
        Number of levels; level k + 1/2 carries the mid-side nodes of the layer above level k.
    place : callable
        Points float64[n, 3] of plane points float64[n, 2] at a level.
    spans : sequence of Span
        The layers of cells.
    sides : sequence of (group, curve, first level, last level)
        Surfaces swept by curves.
    caps : sequence of (group, surfaces, level)
        Surfaces of the section at a level.
    """
    n = len(plane.points)
    at = [place(plane.points, 0.5 * half) for half in range(2 * levels - 1)]
    points = np.concatenate(at)

    def node(rows: Ints, level: float) -> Ints:
        return np.asarray(rows + round(2 * level) * n)

    def layer(kind: int, conn: Ints, k: int) -> tuple[int, Ints]:
        """Cells of one layer in gmsh's order of nodes."""
        low, high, mid = node(conn, k), node(conn, k + 1), node(conn, k + 0.5)
        if kind == 16:
            # edges 01 03 04 12 15 23 26 37 45 47 56 67
            order = [
                low[:, :4],
                high[:, :4],
                low[:, [4, 7]],
                mid[:, [0]],
                low[:, [5]],
                mid[:, [1]],
                low[:, [6]],
            ]
            order += [mid[:, [2, 3]], high[:, [4, 7, 5, 6]]]
            return 17, np.concatenate(order, axis=1)
        # edges 01 02 03 12 14 25 34 35 45
        order = [low[:, :3], high[:, :3], low[:, [3, 5]], mid[:, [0]], low[:, [4]], mid[:, [1, 2]]]
        order += [high[:, [3, 5, 4]]]
        return 18, np.concatenate(order, axis=1)

    # a group of volumes or surfaces: blocks of (gmsh type, nodes)
    volumes: list[tuple[Sequence[str], list[tuple[int, Ints]]]] = []
    for span in spans:
        plates = [block for name in span.surfaces for block in plane.faces[name]]
        volumes.append((span.volumes, [layer(*b, k) for k in range(span.first, span.last) for b in plates]))
    surfaces: dict[str, list[tuple[int, Ints]]] = {}
    for name, curve, first, last in sides:
        e = plane.edges[curve]
        for k in range(first, last):
            low, high, mid = node(e, k), node(e, k + 1), node(e, k + 0.5)
            quad = [low[:, [0, 1]], high[:, [1, 0]], low[:, [2]], mid[:, [1]], high[:, [2]], mid[:, [0]]]
            surfaces.setdefault(name, []).append((16, np.concatenate(quad, axis=1)))
    for name, plates_of, level in caps:
        blocks = [(kind, node(conn, level)) for s in plates_of for kind, conn in plane.faces[s]]
        surfaces.setdefault(name, []).extend(blocks)

    used = np.unique(np.concatenate([c.ravel() for _, blocks in volumes for _, c in blocks]))
    number = np.zeros(len(points), np.int64)
    number[used] = np.arange(1, len(used) + 1)
    gmsh.model.add("swept")
    gmsh.option.setNumber("Mesh.SecondOrderIncomplete", 1)
    members: dict[tuple[int, str], list[int]] = {}
    entities = [(3, names, blocks) for names, blocks in volumes]
    entities += [(2, [name], blocks) for name, blocks in surfaces.items()]
    next_cell = 1
    for tag, (dim, names, blocks) in enumerate(entities, 1):
        gmsh.model.addDiscreteEntity(dim, tag)
        if tag == 1:
            gmsh.model.mesh.addNodes(dim, tag, number[used].tolist(), points[used].ravel().tolist())
        for kind in sorted({kind for kind, _ in blocks}):
            conn = number[np.concatenate([c for other, c in blocks if other == kind])]
            ids = np.arange(next_cell, next_cell + len(conn))
            next_cell += len(conn)
            gmsh.model.mesh.addElementsByType(tag, kind, ids.tolist(), conn.ravel().tolist())
        for name in names:
            members.setdefault((dim, name), []).append(tag)
    for (dim, name), tags in members.items():
        group(dim, name, tags)


def rounded_polygon(corners: Sequence[tuple[float, float, float]]) -> int:
    """Return the plane surface of a polygon of (x, y, radius of the corner), radius 0 for a sharp one."""
    ends = []
    for k, (x, y, radius) in enumerate(corners):
        here = np.array([x, y])
        arms = [np.array(corners[j][:2]) - here for j in (k - 1, (k + 1) % len(corners))]
        u, v = (arm / np.linalg.norm(arm) for arm in arms)
        half = 0.5 * math.acos(float(u @ v))
        reach = radius / math.tan(half)
        ends.append(
            (
                here + reach * u,
                here + reach * v,
                here + radius / math.sin(half) * (u + v) / np.linalg.norm(u + v),
            )
        )
    curves = []
    points = [
        [occ.addPoint(*p, 0) for p in (end if r else end[:1])]
        for end, (_, _, r) in zip(ends, corners, strict=True)
    ]
    for k, tags in enumerate(points):
        if len(tags) == 3:
            curves.append(occ.addCircleArc(tags[0], tags[2], tags[1]))
        leave, arrive = tags[min(1, len(tags) - 1)], points[(k + 1) % len(points)][0]
        curves.append(occ.addLine(leave, arrive))
    return int(occ.addPlaneSurface([occ.addCurveLoop(curves)]))


def heat_sink(scale: float) -> None:
    """Plate-fin heat sink, 48 mm square, over a silicon die with interface material between."""
    width, base, top, n_fins = 48.0, 4.0, 26.0, 8
    root, tip = 2.2, 1.4  # fin thickness at root and tip
    die, die_thick, tim = 14.0, 0.8, 0.15
    pitch = (width - root) / (n_fins - 1)

    # the section in the plane of x and z; fins have draft and root fillets
    outline = [(-width / 2, 0.0, 0.0), (width / 2, 0.0, 0.0)]
    for k in reversed(range(n_fins)):
        x = -width / 2 + root / 2 + k * pitch
        if k < n_fins - 1:
            outline.append((x + root / 2, base, 1.0))
        outline += [(x + tip / 2, top, 0.0), (x - tip / 2, top, 0.0)]
        if k:
            outline.append((x - root / 2, base, 1.0))
    solid = rounded_polygon(outline)
    below = [occ.addRectangle(-die / 2, -tim, 0, die, tim)]
    below.append(occ.addRectangle(-die / 2, -tim - die_thick, 0, die, die_thick))
    occ.fragment([(2, solid)], [(2, tag) for tag in below])
    occ.synchronize()
    strips = {"tim": inside(2, y=(-tim, 0)), "die": inside(2, y=(-tim - die_thick, -tim))}
    group(2, "sink", inside(2, y=(0, top)))
    for name, tags in strips.items():
        group(2, name, tags)
        for tag in edges_of_face(tags[0]):
            gmsh.model.mesh.setTransfiniteCurve(tag, 9 if runs_along(tag, 0) else 2)
        gmsh.model.mesh.setTransfiniteSurface(tags[0])
    curves = inside(1)
    under = inside(1, y=(0, 0))
    group(1, "under", [c for c in under if box_center(1, c)[0] < -die / 2 or box_center(1, c)[0] > die / 2])
    group(1, "seat", [c for c in under if abs(box_center(1, c)[0]) < die / 2])
    group(1, "die_bottom", inside(1, y=(-tim - die_thick, -tim - die_thick)))
    group(1, "fins", [c for c in curves if gmsh.model.getBoundingBox(1, c)[4] > 1e-3])
    plane = section(1.95 * scale)

    steps = [
        np.linspace(-width / 2, -die / 2, 5),
        np.linspace(-die / 2, die / 2, 5),
        np.linspace(die / 2, width / 2, 5),
    ]
    stations = np.unique(np.concatenate(steps))[::-1]  # downwards: x, z and -y are right-handed
    last = len(stations) - 1

    def place(points: Floats, level: float) -> Floats:
        y = float(np.interp(level, np.arange(len(stations)), stations))
        return np.column_stack([points[:, 0], np.full(len(points), y), points[:, 1]])

    sweep(
        plane,
        len(stations),
        place,
        spans=[
            Span(["sink"], 0, last, ["sink"]),
            Span(["tim"], 4, 8, ["tim"]),
            Span(["die"], 4, 8, ["die"]),
        ],
        sides=[
            ("fins_outside", "fins", 0, last),
            ("base_bottom", "under", 0, last),
            ("base_bottom", "seat", 0, 4),
            ("base_bottom", "seat", 8, last),
            ("die_bottom", "die_bottom", 4, 8),
        ],
        caps=[("fins_outside", ["sink"], 0), ("fins_outside", ["sink"], last)],
    )


def edges_of_face(face: int) -> list[int]:
    """Return the curves around a surface."""
    return [abs(tag) for _, tag in gmsh.model.getBoundary([(2, face)], oriented=False)]


def blade(scale: float) -> None:
    """Turbine blade: a twisted, tapered airfoil with a flared foot, a platform and a dovetail root."""
    chord, camber, thickness = 46.0, 0.13, 0.13
    span, twist, taper, flare = 85.0, math.radians(28.0), 0.72, 3.0
    platform_half, neck_half, half_length = 22.0, 15.0, 30.0
    flared = np.array([1.0 + 2 * flare / chord, 1.5])  # the foot over the airfoil

    # foot of the airfoil: parabolic camber line, blunt nose, rounded trailing edge
    t = 0.5 * (1.0 - np.cos(np.linspace(0.0, 0.9 * np.pi, 13)))
    mean, slope = 4.0 * camber * t * (1.0 - t), np.arctan(4.0 * camber * (1.0 - 2.0 * t))
    half = thickness * (1.5 * np.sqrt(t) * (1.0 - t) + 0.25 * t)
    normal = np.column_stack([-np.sin(slope), np.cos(slope)])
    line = np.column_stack([t, mean]) - [0.5, 0.55 * camber]
    suction, pressure = (chord * flared * (line + side * half[:, None] * normal) for side in (1, -1))
    nose = occ.addPoint(*suction[0], 0)
    ends, splines = [], []
    for row in (suction, pressure):
        points = [nose, *(occ.addPoint(*p, 0) for p in row[1:])]
        splines.append(occ.addSpline(points))
        ends.append(points[-1])
    across, middle = suction[-1] - pressure[-1], 0.5 * (suction[-1] + pressure[-1])
    tail = occ.addPoint(*(middle + 0.5 * np.array([across[1], -across[0]])), 0)
    center = occ.addPoint(*middle, 0)
    rear = [occ.addCircleArc(ends[0], center, tail), occ.addCircleArc(tail, center, ends[1])]
    foil = occ.addPlaneSurface([occ.addCurveLoop([splines[0], *rear, splines[1]])])
    plates = [
        occ.addRectangle(-half_length, -y, 0, 2 * half_length, 2 * y) for y in (neck_half, platform_half)
    ]
    _, pieces = occ.fragment([(2, foil)], [(2, tag) for tag in plates])
    occ.synchronize()
    foil_faces, neck_faces, all_faces = ({tag for _, tag in row} for row in pieces)
    group(2, "foil", sorted(foil_faces))
    group(2, "neck", sorted(neck_faces - foil_faces))
    group(2, "rim", sorted(all_faces - neck_faces))
    outline = [
        abs(tag) for _, tag in gmsh.model.getBoundary([(2, tag) for tag in foil_faces], oriented=False)
    ]
    outline.sort(key=lambda c: gmsh.model.occ.getMass(1, c))
    long_sides = sorted(outline[-2:], key=lambda c: occ.getCenterOfMass(1, c)[1])
    group(1, "pressure", [long_sides[0]])
    group(1, "suction", [long_sides[1]])
    group(1, "trailing", outline[:-2])
    group(1, "flanks", [c for y in (-neck_half, neck_half) for c in inside(1, y=(y, y))])
    use_sizes([size_near(outline[:-2], 1.6 * scale, 0.0, 3.6 * scale, dim=1)])
    plane = section(3.6 * scale, quality=0.4)

    heights = np.array(
        [-34, -30, -26, -22, -18, -14, -11, -8, -4, 0, 1.7, 3.6, 6, 10, 16, 23, 32, 42, 52, 63, 74, 85.0]
    )
    root_top, top, last = 7, 9, len(heights) - 1
    waist = ([-34, -24, -14, -8], [0.8, 0.95, 0.62, 1.0])  # heights and widths of the dovetail

    def place(points: Floats, level: float) -> Floats:
        z = float(np.interp(level, np.arange(len(heights)), heights))
        x, y = points.T.copy()
        if z < heights[root_top]:
            k = int(np.searchsorted(waist[0], z, side="right")) - 1
            way = 0.5 - 0.5 * math.cos(math.pi * (z - waist[0][k]) / (waist[0][k + 1] - waist[0][k]))
            y *= (1 - way) * waist[1][k] + way * waist[1][k + 1]
        elif z > 0:
            rest = (
                1.0 - min(0.5 * z / flare, 1.0)
            ) ** 2  # of the flare, which leaves the platform at 45 degrees
            grow = (1.0 - (1.0 - taper) * z / span) * (1.0 + (flared - 1.0) * rest) / flared
            a = twist * z / span
            x, y = x * grow[0], y * grow[1]
            x, y = math.cos(a) * x - math.sin(a) * y, math.sin(a) * x + math.cos(a) * y
        return np.column_stack([x, y, np.full(len(x), z)])

    sweep(
        plane,
        len(heights),
        place,
        spans=[
            Span(["neck", "foil"], 0, root_top, ["blade", "root"]),
            Span(["rim", "neck", "foil"], root_top, top, ["blade", "platform"]),
            Span(["foil"], top, last, ["blade", "airfoil"]),
        ],
        sides=[
            ("root_flanks", "flanks", 0, root_top),
            ("pressure_side", "pressure", top, last),
            ("suction_side", "suction", top, last),
            ("trailing_edge", "trailing", top, last),
        ],
        caps=[
            ("root_bottom", ["neck", "foil"], 0),
            ("platform_top", ["rim", "neck"], top),
            ("tip", ["foil"], last),
        ],
    )


def gear_sector(scale: float) -> None:
    """Five teeth of a spur gear of module 5 with 20 teeth and 20 degrees of pressure angle."""
    module, teeth, width, bore, kept = 5.0, 20, 20.0, 28.0, 5
    pitch, tip, root = 0.5 * module * teeth, 0.5 * module * (teeth + 2), 0.5 * module * (teeth - 2.5)
    base = pitch * math.cos(math.radians(20.0))

    def half_angle(radius: float) -> float:
        """Half the angle of a tooth at a radius on the involute."""
        a, b = math.radians(20.0), math.acos(base / radius)
        return math.pi / (2 * teeth) + (math.tan(a) - a) - (math.tan(b) - b)

    def point(radius: float, angle: float) -> int:
        return int(occ.addPoint(radius * math.sin(angle), radius * math.cos(angle), 0))

    origin, step = occ.addPoint(0, 0, 0), 2 * math.pi / teeth
    radii = np.linspace(base, tip, 7)
    edge = point(root, -0.5 * kept * step)
    start, curves = edge, []
    for k in range(kept):
        middle = (k - 0.5 * (kept - 1)) * step
        rise = [point(r, middle - half_angle(r)) for r in radii]
        fall = [point(r, middle + half_angle(r)) for r in reversed(radii)]
        feet = [point(root, middle + side * half_angle(base)) for side in (-1, 1)]
        curves += [
            occ.addCircleArc(edge, origin, feet[0]),
            occ.addLine(feet[0], rise[0]),
            occ.addSpline(rise),
        ]
        curves += [
            occ.addCircleArc(rise[-1], origin, fall[0]),
            occ.addSpline(fall),
            occ.addLine(fall[-1], feet[1]),
        ]
        edge = feet[1]
    end = point(root, 0.5 * kept * step)
    inner = [point(bore, side * 0.5 * kept * step) for side in (1, -1)]
    curves += [occ.addCircleArc(edge, origin, end), occ.addLine(end, inner[0])]
    curves += [occ.addCircleArc(inner[0], origin, inner[1]), occ.addLine(inner[1], start)]
    face = occ.addPlaneSurface([occ.addCurveLoop(curves)])
    gear = next(tag for dim, tag in occ.extrude([(2, face)], 0, 0, width) if dim == 3)
    occ.synchronize()
    feet = [e for e in edges_of(gear) if runs_along(e, 2) and _at_radius(e, root) and not _at_radius(e, bore)]
    ends = {e for e in feet if abs(abs(math.atan2(*box_center(1, e)[:2])) - 0.5 * kept * step) < 1e-3}
    fillet(gear, [e for e in feet if e not in ends], 1.6)
    occ.synchronize()

    centers = {f: occ.getCenterOfMass(2, f) for f in inside(2)}
    group(3, "gear", inside(3))
    fillets = [
        f
        for f in inside(2, kind="Cylinder")
        if abs(gmsh.model.getCurvature(2, f, [0.1, 0.1])[0] - 1 / 1.6) < 0.01
    ]
    group(2, "root_fillets", fillets)
    group(2, "bore", [f for f in inside(2, kind="Cylinder") if math.hypot(*centers[f][:2]) < bore + 1])
    flat = [
        f for f in inside(2, kind="Plane") if abs(abs(math.atan2(*centers[f][:2])) - 0.5 * kept * step) < 1e-3
    ]
    group(2, "cut_faces", flat)
    flanks = [
        f
        for f in inside(2)
        if gmsh.model.getType(2, f) not in ("Plane", "Cylinder") and abs(centers[f][0]) < 6
    ]
    group(2, "flank", [max(flanks, key=lambda f: centers[f][0])])
    far = 6.5 * scale
    use_sizes(
        [size_near(fillets, 1.5 * scale, 0.0, far, growth=0.6), size_near(flanks, 2.4 * scale, 0.0, far)]
    )
    mesh_tetra10()


def _at_radius(edge: int, radius: float) -> bool:
    """Tell whether the middle of an edge lies at a distance from the z axis."""
    x, y, _ = box_center(1, edge)
    return abs(math.hypot(x, y) - radius) < 1e-3


def sensor_mast(scale: float) -> None:
    """Sensor mast: a rod on a bolted foot, a round head that carries the sensor."""
    foot, thick, radius, length, head, lid = 30.0, 8.0, 8.0, 200.0, 22.0, 6.0
    top = thick + length + lid

    body = occ.addBox(-foot, -foot, 0, 2 * foot, 2 * foot, thick)
    rod = occ.addCylinder(0, 0, 0, 0, 0, thick + length, radius)
    plate = occ.addCylinder(0, 0, thick + length, 0, 0, lid, head)
    body = fuse(body, rod, plate)
    occ.synchronize()
    upright = [e for e in inside(1, z=(0, thick)) if runs_along(e, 2) and not is_circle(e, radius)]
    body = fillet(body, upright, 6.0)
    occ.synchronize()
    roots = [e for z in (thick, thick + length) for e in inside(1, z=(z, z)) if is_circle(e, radius)]
    body = fillet(body, roots, 4.0)
    at = foot - 9.0
    holes = [occ.addCylinder(x, y, 0, 0, 0, thick, 3.3) for x in (-at, at) for y in (-at, at)]
    cut(body, *holes)
    occ.synchronize()

    fillets = inside(2, z=(0, length / 2), kind="Torus")
    others = inside(2, z=(length / 2, top), kind="Torus")
    walls = inside(2, z=(0, thick), kind="Cylinder")
    bores = [face for face in walls if max(map(abs, box_center(2, face)[:2])) < at + 1]
    shaft = (-radius, radius)
    group(3, "mast", inside(3))
    group(2, "bolt_holes", bores)
    group(2, "foot", inside(2, z=(0, 0)))
    group(2, "head", inside(2, z=(top, top)))
    group(2, "root_fillet", fillets)
    group(2, "rod", inside(2, x=shaft, y=shaft, z=(thick, thick + length), kind="Cylinder"))
    far = 7.0 * scale
    use_sizes(
        [
            size_near(fillets, 1.9 * scale, 1.0, far),
            size_near(others, 3.0 * scale, 0.0, far),
            size_near(bores, 3.0 * scale, 0.0, far),
            size_near(inside(2, z=(thick, thick + length), kind="Cylinder"), 4.5 * scale, 0.0, far),
        ]
    )
    mesh_tetra10()


def jib_arm(scale: float) -> None:
    """Arm of a slewing crane: a plate on four bolts, a tapered beam with two openings, an eye at its end."""
    width, thick, reach = 40.0, 18.0, 600.0
    plate, post = (70.0, 105.0), 11.0  # half sizes of the plate; radius of the bolt holes
    eye = (reach, 0.0, 34.0, 15.0)  # x, z, outer and inner radius

    beam = prism_y([(0.0, -60.0), (reach, -24.0), (reach, 24.0), (0.0, 60.0)], -width / 2, width / 2)
    occ.synchronize()
    lengthwise = [e for e in inside(1) if not runs_along(e, 1) and not runs_along(e, 2)]
    beam = fillet(beam, lengthwise, 7.0)
    end = occ.addCylinder(eye[0], -26.0, eye[1], 0, 52.0, 0, eye[2])
    base = occ.addBox(-thick, -plate[0], -plate[1], thick, 2 * plate[0], 2 * plate[1])
    arm = fuse(beam, end)
    openings = [occ.addCylinder(x, -width, 0, 0, 2 * width, 0, r) for x, r in ((180.0, 27.0), (330.0, 21.0))]
    arm = fuse(cut(arm, *openings), base)
    occ.synchronize()
    corners = [e for e in inside(1, x=(-thick, 0)) if runs_along(e, 0)]
    arm = fillet(arm, corners, 16.0)
    occ.synchronize()
    root = inside(1, x=(0, 0), y=(-width / 2, width / 2), z=(-60, 60))
    arm = fillet(arm, root, 9.0)
    holes = [
        occ.addCylinder(-thick, y, z, thick, 0, 0, post)
        for y in (-plate[0] + 25, plate[0] - 25)
        for z in (-plate[1] + 25, plate[1] - 25)
    ]
    bore = occ.addCylinder(eye[0], -width, eye[1], 0, 2 * width, 0, eye[3])
    cut(arm, bore, *holes)
    occ.synchronize()

    bolts = inside(2, x=(-thick, 0), kind="Cylinder")
    bolts = [f for f in bolts if abs(abs(box_center(2, f)[1]) - (plate[0] - 25)) < 1]
    pin = inside(2, x=(reach - eye[3], reach + eye[3]), z=(-eye[3], eye[3]), kind="Cylinder")
    rims = inside(2, x=(150, 210), z=(-27, 27), kind="Cylinder")
    rims += inside(2, x=(300, 360), z=(-21, 21), kind="Cylinder")
    fillets = [
        f for f in inside(2, x=(0, 12), y=(-30, 30), z=(-75, 75)) if gmsh.model.getType(2, f) != "Plane"
    ]
    group(3, "arm", inside(3))
    group(2, "bolt_holes", bolts)
    group(2, "plate_back", inside(2, x=(-thick, -thick)))
    group(2, "eye", pin)
    group(2, "openings", rims)
    group(2, "root_fillet", fillets)
    far = 17.0 * scale
    use_sizes(
        [
            size_near(fillets, 4.0 * scale, 2.0, far),
            size_near(rims, 7.0 * scale, 0.0, far),
            size_near(bolts + pin, 6.5 * scale, 0.0, far),
            size_near(inside(2, x=(reach - eye[2], reach + eye[2]), kind="Cylinder"), 7.0 * scale, 0.0, far),
        ]
    )
    mesh_tetra10()


def jib_arm_log(path: Path) -> None:
    """Write what a logger on the jib arm may read in 20 minutes: made up, with a few readings lost."""
    rng = np.random.default_rng(7)
    t = np.arange(0.0, 1200.0, 0.1)
    force, torque = 0.03 * rng.standard_normal(len(t)), 0.01 * rng.standard_normal(len(t))
    lift = 20.0
    while lift < t[-1] - 150.0:
        load, down = rng.uniform(3.0, 13.0), lift + rng.uniform(70.0, 100.0)
        since = np.clip(t - lift, 0.0, None)
        bounce = 0.22 * np.exp(-since / 2.5) * np.sin(2 * np.pi * 1.9 * since) * (t < down)
        force += load * (np.clip(since / 0.6, 0.0, 1.0) * (1.0 - np.clip(t - down, 0.0, 1.0)) + bounce)
        for at, sign in ((lift + 25, 1), (lift + 33, -1), (down + 12, -1), (down + 20, 1)):
            jerk = (0.25 + 0.75 * load / 13 if at < down else 0.25) * rng.uniform(0.6, 1.0)
            torque += sign * jerk * np.exp(-(((t - at) / 1.1) ** 2))
        lift = down + rng.uniform(30.0, 60.0)
    rows = [f"{a:.1f},{b:.3f},{c:.4f}" for a, b, c in zip(t, force, torque, strict=True)]
    for lost in (4000, 4001, 4002, 9000):
        rows[lost] = f"{t[lost]:.1f},,"
    path.write_text("\n".join(["t,boom_force,slew", *rows]) + "\n")


def plate_with_hole(scale: float) -> None:
    """Plate of 200 x 100 with a hole of 40 across: plane, quad8 and triangle6."""
    plate = occ.addRectangle(-100, -50, 0, 200, 100)
    hole = occ.addDisk(0, 0, 0, 20, 20)
    occ.cut([(2, plate)], [(2, hole)])
    occ.synchronize()
    rim = inside(1, x=(-20, 20), y=(-20, 20))
    group(2, "plate", inside(2))
    group(1, "hole", rim)
    group(1, "left", inside(1, x=(-100, -100)))
    group(1, "right", inside(1, x=(100, 100)))
    use_sizes([size_near(rim, 2.5 * scale, 0.0, 9.0 * scale, dim=1, growth=0.2)])
    section(9.0 * scale)


def tee_lever(scale: float) -> None:
    """Lever of plate: post of 50 x 160, arm of 30 x 110 to its right, corners of radius 8: plane, quad8."""
    corners = [
        (0, 0), (50, 0), (50, 20), (50, 52), (58, 60), (110, 60), (160, 60), (160, 90), (58, 90), (50, 98),
        (50, 160), (0, 160),
    ]  # fmt: skip
    points = [occ.addPoint(x, y, 0) for x, y in corners]
    centers = {3: occ.addPoint(58, 52, 0), 8: occ.addPoint(58, 98, 0)}
    curves = [
        occ.addCircleArc(a, centers[i], b) if i in centers else occ.addLine(a, b)
        for i, (a, b) in enumerate(zip(points, points[1:] + points[:1], strict=True))
    ]
    occ.addPlaneSurface([occ.addCurveLoop(curves)])
    occ.synchronize()
    occ.remove([(0, center) for center in centers.values()])
    occ.synchronize()
    group(2, "lever", inside(2))
    group(1, "foot", inside(1, y=(0, 0)))
    group(1, "top", inside(1, y=(160, 160)))
    group(1, "tip", inside(1, x=(160, 160)))
    group(1, "lower_fillet", [curves[3]])
    group(1, "upper_fillet", [curves[8]])
    group(1, "lower_edges", curves[2:5])  # what another shape of the lower corner may take in
    use_sizes([size_near([curves[i]], size * scale, reach, 7.0 * scale, dim=1, growth=5.0)
               for i, size, reach in ((3, 1.2, 14.0), (8, 2.0, 2.0))])  # fmt: skip
    section(7.0 * scale)


# --- the door ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A file to make.

    Attributes
    ----------
    build : callable
        Makes the mesh in gmsh, its cell sizes multiplied by the number it is given.
    scale : float
        That number.
    poorest : float
        Least inverse condition number of a cell that we accept; long cells of good angles have a low one.
    options : mapping
        gmsh's options for the file.
    """

    build: Callable[[float], None]
    scale: float = 1.0
    poorest: float = 0.15
    options: dict[str, float] = field(default_factory=dict)


PARTS = {
    "bracket.msh": Part(bracket, 1.0),
    "bracket_fine.msh": Part(bracket, 0.56),
    "connecting_rod.inp": Part(connecting_rod, 0.95),
    "enclosure.msh": Part(enclosure, 1.02, options={"Mesh.Binary": 1}),
    "gear_sector.mesh": Part(gear_sector, options={"Mesh.SaveElementTagType": 2}),
    "heat_sink.msh": Part(heat_sink, poorest=0.1, options={"Mesh.MshFileVersion": 2.2}),
    "jib_arm.msh": Part(jib_arm, 1.14, options={"Mesh.Binary": 1}),
    "plate_with_hole.msh": Part(plate_with_hole),
    "sensor_mast.msh": Part(sensor_mast, options={"Mesh.Binary": 1}),
    "tee_lever.msh": Part(tee_lever),
    "turbine_blade.vtu": Part(blade, 1.05, poorest=0.08),
    "vessel_nozzle.bdf": Part(nozzle, options={"Mesh.SaveElementTagType": 2, "Mesh.BdfFieldFormat": 1}),
}

NUDGES = (1.0, 0.99, 1.01, 0.98, 1.02, 0.97, 1.03)  # of the scale, tried in turn until no cell is poor


def worst(measure: str) -> float:
    """Return a measure of gmsh's of the worst cell; not positive if a cell is inverted."""
    cells = [int(tag) for part in gmsh.model.mesh.getElements(gmsh.model.getDimension())[1] for tag in part]
    return float(min(gmsh.model.mesh.getElementQualities(cells, measure)))


def write(path: Path) -> None:
    """Write the mesh with its groups."""
    if path.suffix not in (".inp", ".vtu"):
        gmsh.write(str(path))
        if path.suffix == ".bdf":
            name_properties(path)
        elif path.suffix == ".mesh":
            drop_vertex_references(path)
        return
    # gmsh does not name groups in these; our writers do
    import designtwin as dtw

    with TemporaryDirectory() as folder:
        whole = str(Path(folder) / "part.msh")
        gmsh.write(whole)
        dtw.write_mesh(dtw.read_mesh(whole, length_unit="mm"), path, length_unit="mm")


def name_properties(path: Path) -> None:
    """Name the properties of a Nastran deck by the comments that preprocessors write and read."""
    groups = [(tag, gmsh.model.getPhysicalName(dim, tag)) for dim, tag in gmsh.model.getPhysicalGroups()]
    names = "".join(f'$HMNAME PROP{tag:16d}"{name}"\n' for tag, name in sorted(groups))
    path.write_text(names + path.read_text())


def drop_vertex_references(path: Path) -> None:
    """Set the references of the vertices of a Medit file to 0: gmsh numbers its entities there."""
    head, mark, rest = path.read_text().partition("Vertices\n")
    lines = rest.split("\n")
    n = int(lines[0])
    lines[1 : n + 1] = [" ".join([*line.split()[:-1], "0"]) for line in lines[1 : n + 1]]
    path.write_text(head + mark + "\n".join(lines))


def make(name: str) -> None:
    """Make one file."""
    part, start = PARTS[name], time.perf_counter()
    for nudge in NUDGES:
        gmsh.initialize()
        try:
            for option, value in (OPTIONS | part.options).items():
                gmsh.option.setNumber(option, value)
            gmsh.model.add(Path(name).stem)
            part.build(part.scale * nudge)
            round_nodes()
            condition = worst("minSICN")
            if condition < part.poorest or worst("minSJ") < 0.1:
                continue
            write(HERE / name)
            nodes, size = len(gmsh.model.mesh.getNodes()[0]), (HERE / name).stat().st_size / 1e6
        finally:
            gmsh.finalize()
        if name == "jib_arm.msh":
            jib_arm_log(HERE / "jib_arm.csv")
        seconds = time.perf_counter() - start
        print(
            f"{name}: {nodes} nodes, scale {part.scale * nudge:.4g}, poorest cell {condition:.2f}, "
            f"{size:.1f} MB, {seconds:.0f} s",
            flush=True,
        )
        return
    raise RuntimeError(f"{name}: every mesh tried has a poor cell")


def main(names: Sequence[str]) -> None:
    """Make the files whose names or stems are given, or all of them."""
    unknown = [name for name in names if name not in {*PARTS, *(Path(file).stem for file in PARTS)}]
    if unknown:
        raise SystemExit(f"no part named {', '.join(unknown)}; there are {', '.join(PARTS)}")
    for name in PARTS:
        if not names or name in names or Path(name).stem in names:
            make(name)


if __name__ == "__main__":
    main(sys.argv[1:])
