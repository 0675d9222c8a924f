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
from dataclasses import dataclass
from pathlib import Path

import gmsh

HERE = Path(__file__).resolve().parent
DECIMALS = 5  # coordinates are rounded to 1e-5 mm, which keeps text files small
OPTIONS = {"General.Verbosity": 1, "General.NumThreads": 1, "Mesh.RandomSeed": 1}
EVER = math.inf

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


# --- the door ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A file to make: its model, and the scale of the cell sizes given to it."""

    build: Callable[[float], None]
    scale: float = 1.0


PARTS = {
    "bracket.msh": Part(bracket, 1.0),
    "bracket_fine.msh": Part(bracket, 0.56),
}

NUDGES = (1.0, 0.99, 1.01, 0.98, 1.02, 0.97, 1.03)  # tried in turn until no cell is poor
POOREST = 0.15  # inverse condition number of the poorest cell we accept


def worst_cell() -> float:
    """Return the smallest inverse condition number of the cells; not positive if one is inverted."""
    cells = [int(tag) for part in gmsh.model.mesh.getElements(gmsh.model.getDimension())[1] for tag in part]
    return float(min(gmsh.model.mesh.getElementQualities(cells, "minSICN")))


def make(name: str) -> None:
    """Make one file."""
    part, start = PARTS[name], time.perf_counter()
    for nudge in NUDGES:
        gmsh.initialize()
        try:
            for option, value in OPTIONS.items():
                gmsh.option.setNumber(option, value)
            gmsh.model.add(Path(name).stem)
            part.build(part.scale * nudge)
            round_nodes()
            worst = worst_cell()
            if worst < POOREST:
                continue
            gmsh.write(str(HERE / name))
            nodes, size = len(gmsh.model.mesh.getNodes()[0]), (HERE / name).stat().st_size / 1e6
        finally:
            gmsh.finalize()
        seconds = time.perf_counter() - start
        print(f"{name}: {nodes} nodes, scale {part.scale * nudge:.4g}, poorest cell {worst:.2f}, {size:.1f} MB, {seconds:.0f} s", flush=True)
        return
    raise RuntimeError(f"{name}: every mesh tried has a poor cell")


def main(names: Sequence[str]) -> None:
    """Make the files whose names or stems are given, or all of them."""
    wanted = [name for name in PARTS if not names or name in names or Path(name).stem in names]
    if not wanted:
        raise SystemExit(f"no part named {' '.join(names)}; there are {' '.join(PARTS)}")
    for name in wanted:
        make(name)


if __name__ == "__main__":
    main(sys.argv[1:])
