"""Published cases as functions of element and mesh size; the tests beside this file hold the targets."""

from __future__ import annotations

import numpy as np
from builders import block, box, elevate, merged, rectangle

import designtwin as dtw
from designtwin.elements import ELEMENTS
from designtwin.mesh import Group, Mesh
from designtwin.typing import FloatArray, IntArray

PLANE = ("triangle", "triangle6", "quad", "quad8")


def is_plane(element: str) -> bool:
    return ELEMENTS[element].dimension == 2


def elastic(youngs_modulus: float, poissons_ratio: float, **more: float) -> dtw.LinearElastic:
    return dtw.LinearElastic(youngs_modulus=youngs_modulus, poissons_ratio=poissons_ratio, **more)


def cook(element: str, n: int) -> dtw.Model:
    """Cook's membrane: (0,0) (48,44) (48,60) (0,44), E = 1, nu = 1/3, unit shear on the right side."""

    def tapered(p: FloatArray) -> FloatArray:
        r, s = p[:, 0], p[:, 1]
        return np.column_stack([48 * r, 44 * r + s * (44 - 28 * r), p[:, 2]])

    mesh = rectangle(element, n, shape=tapered)
    return dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(elastic(1.0, 1 / 3), thickness=1.0)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"shear": [dtw.Force(on="xmax", value=(0.0, 1.0, 0.0))]},
    )


def ellipse_quarter(p: FloatArray) -> FloatArray:
    """Unit square to a quarter of the ring between the ellipses (2, 1) and (3.25, 2.75), from D on."""
    s, t = p[:, 0], p[:, 1] * np.pi / 2
    return np.column_stack([(2 + 1.25 * s) * np.cos(t), (1 + 1.75 * s) * np.sin(t), p[:, 2]])


def le1(element: str, n: int) -> dtw.Model:
    """NAFEMS LE1, elliptic membrane; t = 0.1 m, 10 MPa outward on the outer ellipse."""
    mesh = block(element, (n, 2 * n, max(1, n // 4)), (1.0, 1.0, 0.1), shape=ellipse_quarter)
    material = elastic(210e9, 0.3)
    supports = [dtw.PrescribedDisplacement(on="ymin", y=0.0), dtw.PrescribedDisplacement(on="ymax", x=0.0)]
    section: object = dtw.PlaneStress(material, thickness=0.1)
    if not is_plane(element):
        section = material  # the two planes of symmetry leave one motion free, along z
        supports.append(dtw.PrescribedDisplacement(on=dtw.nearest((3.25, 0.0, 0.0)), z=0.0))
    return dtw.Model(
        mesh,
        materials={"body": section},
        supports=supports,
        load_cases={"tension": [dtw.Pressure(on="xmax", magnitude=-10e6)]},
    )


def le10(element: str, n: int) -> dtw.Model:
    """NAFEMS LE10, thick plate: LE1's outline, 0.6 m thick, 1 MPa on top."""
    mesh = box(element, (n, int(1.5 * n), max(2, 2 * (n // 4))), (1.0, 1.0, 0.6), shape=ellipse_quarter)
    x, y, z = mesh.points.T
    edge = np.flatnonzero((np.abs((x / 3.25) ** 2 + (y / 2.75) ** 2 - 1) < 1e-6) & (np.abs(z - 0.3) < 1e-9))
    return dtw.Model(
        mesh,
        materials={"body": elastic(210e9, 0.3)},
        supports=[
            dtw.PrescribedDisplacement(on="ymin", y=0.0),
            dtw.PrescribedDisplacement(on="ymax", x=0.0),
            dtw.PrescribedDisplacement(on="xmax", x=0.0, y=0.0),
            dtw.PrescribedDisplacement(on=dtw.ids(nodes=edge), z=0.0),
        ],
        load_cases={"pressure": [dtw.Pressure(on="zmax", magnitude=1e6)]},
    )


def kirsch_stress(x: FloatArray) -> FloatArray:
    """Exact stress around a hole of radius 1 under unit tension along y, [n, 6] (Kirsch 1898)."""
    r, t = np.hypot(x[:, 0], x[:, 1]), np.arctan2(x[:, 1], x[:, 0])
    a2, a4 = 1 / r**2, 1 / r**4
    # The textbook's tension is along x: turned by 90 degrees, cos 2t and sin 2t change sign.
    radial = 0.5 * (1 - a2) - 0.5 * (1 - 4 * a2 + 3 * a4) * np.cos(2 * t)
    hoop = 0.5 * (1 + a2) + 0.5 * (1 + 3 * a4) * np.cos(2 * t)
    shear = 0.5 * (1 + 2 * a2 - 3 * a4) * np.sin(2 * t)
    c, s = np.cos(t), np.sin(t)
    out = np.zeros((len(x), 6))
    out[:, 0] = radial * c * c + hoop * s * s - 2 * shear * c * s
    out[:, 1] = radial * s * s + hoop * c * c + 2 * shear * c * s
    out[:, 3] = (radial - hoop) * c * s + shear * (c * c - s * s)
    return out


def kirsch(element: str, n: int) -> dtw.Model:
    """Quarter ring r = 1 to 4 around a hole with the exact tractions of an infinite plate."""

    def ring(p: FloatArray) -> FloatArray:
        r, t = 4.0 ** p[:, 0], p[:, 1] * np.pi / 2
        return np.column_stack([r * np.cos(t), r * np.sin(t), p[:, 2]])

    mesh = block(element, (n, n, max(1, n // 4)), (1.0, 1.0, 0.5), shape=ring)

    def traction(x: FloatArray) -> FloatArray:
        stress, normal = kirsch_stress(x), x[:, :2] / np.hypot(x[:, 0], x[:, 1])[:, None]
        return np.column_stack(
            [
                stress[:, 0] * normal[:, 0] + stress[:, 3] * normal[:, 1],
                stress[:, 3] * normal[:, 0] + stress[:, 1] * normal[:, 1],
                np.zeros(len(x)),
            ]
        )

    material = elastic(210e3, 0.3)
    supports = [dtw.PrescribedDisplacement(on="ymin", y=0.0), dtw.PrescribedDisplacement(on="ymax", x=0.0)]
    section: object = dtw.PlaneStress(material, thickness=1.0)
    if not is_plane(element):
        # Held in z on both faces: the stress in the plane is the same, and constant through the thickness.
        section = material
        supports += [dtw.PrescribedDisplacement(on=side, z=0.0) for side in ("zmin", "zmax")]
    return dtw.Model(
        mesh,
        materials={"body": section},
        supports=supports,
        load_cases={"tension": [dtw.Traction(on="xmax", value=traction)]},
    )


def lame_sphere(element: str, n: int) -> dtw.Model:
    """Octant of a hollow sphere a = 1, b = 2 m, 100 MPa inside; three patches, no pole; n cells deep."""
    axes = np.eye(3)
    center = np.ones(3) / np.sqrt(3)
    patches = []
    for i in range(3):
        x, y, z = axes[i], axes[(i + 1) % 3], axes[(i + 2) % 3]
        corners = (x, (x + y) / np.sqrt(2), center, (x + z) / np.sqrt(2))

        def sector(p: FloatArray, corners: tuple[FloatArray, ...] = corners) -> FloatArray:
            # The radius is the third coordinate, along which wedges are extruded: patches then meet in quads.
            s, t, r = (p[:, k : k + 1] for k in range(3))
            d = (1 - s) * (1 - t) * corners[0] + s * (1 - t) * corners[1] + s * t * corners[2]
            d = d + (1 - s) * t * corners[3]
            return 2**r * d / np.linalg.norm(d, axis=1)[:, None]  # finer inside, where the stress is steep

        patches.append(box(element, (n // 2, n // 2, n), shape=sector))
    mesh = merged(*patches)
    return dtw.Model(
        mesh,
        materials={"body": elastic(200e9, 0.3)},
        supports=[
            dtw.PrescribedDisplacement(on=dtw.plane((0.0, 0.0, 0.0), axis), **{axis: 0.0}) for axis in "xyz"
        ],
        load_cases={"pressure": [dtw.Pressure(on="zmin", magnitude=100e6)]},
    )


def lame_stress(x: FloatArray) -> FloatArray:
    """Exact stress of `lame_sphere`, [n, 6] (Lame 1852)."""
    r = np.linalg.norm(x, axis=1)
    n = x / r[:, None]
    radial, hoop = -100e6 / 7 * (8 / r**3 - 1), 100e6 / 7 * (4 / r**3 + 1)
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))
    return np.stack([hoop * (i == j) + (radial - hoop) * n[:, i] * n[:, j] for i, j in pairs], axis=1)


def thick_cylinder(element: str, poissons_ratio: float, n: int = 5) -> dtw.Model:
    """MacNeal-Harder thick cylinder a = 3, b = 9, plane strain, unit pressure inside, a quarter of it."""

    def ring(p: FloatArray) -> FloatArray:
        # Radii 3, 3.5, 4.2, 5.2, 6.75, 9 of the 1985 mesh; smooth between.
        radius = np.interp(p[:, 0], np.linspace(0, 1, 6), [3.0, 3.5, 4.2, 5.2, 6.75, 9.0])
        t = p[:, 1] * np.pi / 2
        return np.column_stack([radius * np.cos(t), radius * np.sin(t), p[:, 2]])

    mesh = block(element, (n, 9, 1), (1.0, 1.0, 1.0), shape=ring)
    material = elastic(1000.0, poissons_ratio)
    supports = [dtw.PrescribedDisplacement(on="ymin", y=0.0), dtw.PrescribedDisplacement(on="ymax", x=0.0)]
    section: object = dtw.PlaneStrain(material)
    if not is_plane(element):
        section = material
        supports.append(dtw.PrescribedDisplacement(on=dtw.everything(), z=0.0))
    return dtw.Model(
        mesh,
        materials={"body": section},
        supports=supports,
        load_cases={"pressure": [dtw.Pressure(on="xmin", magnitude=1.0)]},
    )


def beam(
    element: str, n: tuple[int, int, int], load: tuple[float, float, float], *, skew: str = "rectangular"
) -> dtw.Model:
    """MacNeal-Harder straight cantilever, 6 x 0.2 (y) x 0.1 (z); skew = trapezoidal or parallelogram."""

    def slanted(p: FloatArray) -> FloatArray:
        x, y = p[:, 0], p[:, 1]
        inner = (x > 1e-9) & (x < 6 - 1e-9)
        odd = np.round(x * n[0] / 6) % 2 == 1
        lean = {"rectangular": 0.0, "parallelogram": 1.0, "trapezoidal": np.where(odd, 1.0, -1.0)}[skew]
        corner = np.abs(x * n[0] / 6 - np.round(x * n[0] / 6)) < 1e-9
        shift = np.where(inner & corner, lean * (y - 0.1), 0.0)
        return np.column_stack([x + shift, p[:, 1:]])

    mesh = block(element, n, (6.0, 0.2, 0.1), shape=slanted)
    mesh = straightened(mesh)
    material = elastic(1e7, 0.3)
    section: object = dtw.PlaneStress(material, thickness=0.1) if is_plane(element) else material
    return dtw.Model(
        mesh,
        materials={"body": section},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"tip": [dtw.Force(on="xmax", value=load)]},
    )


def straightened(mesh: Mesh) -> Mesh:
    """Mid-side nodes back in the middle of their edges."""
    points = mesh.points.copy()
    for name, conn in mesh.cells.items():
        element = ELEMENTS[name]
        for i, (a, b) in enumerate(element.edges):
            points[conn[:, element.corners + i]] = 0.5 * (points[conn[:, a]] + points[conn[:, b]])
    return mesh.moved(points)


def curved_beam(element: str, n: tuple[int, int, int], load: tuple[float, float, float]) -> dtw.Model:
    """MacNeal-Harder curved cantilever: 90 degree arc, radii 4.12 and 4.32, 0.1 thick; clamped at x = 0.

    The free end lies at y = 0, its edge along x; a force along x is in the plane, along z normal to it.
    """

    def arc(p: FloatArray) -> FloatArray:
        r, t = 4.12 + p[:, 1], p[:, 0] * np.pi / 2
        return np.column_stack([r * np.sin(t), r * np.cos(t), p[:, 2]])

    mesh = block(element, n, (1.0, 0.2, 0.1), shape=arc)
    material = elastic(1e7, 0.25)
    section: object = dtw.PlaneStress(material, thickness=0.1) if is_plane(element) else material
    return dtw.Model(
        mesh,
        materials={"body": section},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"tip": [dtw.Force(on="xmax", value=load)]},
    )


def twisted_beam(element: str, n: tuple[int, int, int], load: tuple[float, float, float]) -> dtw.Model:
    """MacNeal-Harder twisted beam: L = 12, width 1.1 (y), depth 0.32 (z) at the root, 90 degrees of twist."""

    def twist(p: FloatArray) -> FloatArray:
        t = p[:, 0] / 12 * np.pi / 2
        y, z = p[:, 1], p[:, 2]
        return np.column_stack([p[:, 0], y * np.cos(t) - z * np.sin(t), y * np.sin(t) + z * np.cos(t)])

    mesh = box(element, n, (12.0, 1.1, 0.32), origin=(0.0, -0.55, -0.16), shape=twist)
    return dtw.Model(
        mesh,
        materials={"body": elastic(29e6, 0.22)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"tip": [dtw.Force(on="xmax", value=load)]},
    )


def timoshenko(element: str, n: int) -> dtw.Model:
    """Cantilever 0 <= x <= 48, |y| <= 6 with the exact tractions and root displacement, P = 1000."""
    e, nu, load, length, half = 3e7, 0.3, 1000.0, 48.0, 6.0
    inertia = 144.0

    def ux(p: FloatArray) -> FloatArray:
        x, y = p[:, 0], p[:, 1]
        return load * y / (6 * e * inertia) * ((6 * length - 3 * x) * x + (2 + nu) * (y**2 - half**2))

    def uy(p: FloatArray) -> FloatArray:
        x, y = p[:, 0], p[:, 1]
        return (
            -load
            / (6 * e * inertia)
            * (3 * nu * y**2 * (length - x) + (4 + 5 * nu) * half**2 * x + (3 * length - x) * x**2)
        )

    def shear(p: FloatArray) -> FloatArray:
        tau = -load / (2 * inertia) * (half**2 - p[:, 1] ** 2)
        return np.column_stack([0 * tau, tau, 0 * tau])

    mesh = rectangle(element, (4 * n, n), (length, 2 * half), origin=(0.0, -half))
    return dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(elastic(e, nu), thickness=1.0)},
        supports=[dtw.PrescribedDisplacement(on="xmin", x=ux, y=uy)],
        load_cases={"shear": [dtw.Traction(on="xmax", value=shear)]},
    )


def finite_plate(element: str, n: int) -> dtw.Model:
    """D11 (b): a quarter of the plate |x| <= 10, |y| <= 30 with a hole r = 2, unit tension along y."""

    def sheet(p: FloatArray, top: bool = False) -> FloatArray:
        s, t = p[:, 0], p[:, 1]
        angle = np.pi / 4 * (t + (1.0 if top else 0.0))
        inner = 2 * np.column_stack([np.cos(angle), np.sin(angle)])
        side = np.column_stack([10 * np.ones_like(t), 10 * t])
        if top:
            side = np.column_stack([10 * (1 - t), 10 * np.ones_like(t)])
        grade = (np.exp(2.0 * s) - 1) / (np.exp(2.0) - 1)
        xy = inner + grade[:, None] * (side - inner)
        return np.column_stack([xy, p[:, 2]])

    layers = max(1, n // 4)
    size = (1.0, 1.0, 1.0)
    mesh = merged(
        block(element, (2 * n, n, layers), size, shape=sheet),
        block(element, (2 * n, n, layers), size, shape=lambda p: sheet(p, top=True)),
        block(element, (n, n, layers), (10.0, 20.0, 1.0), origin=(0.0, 10.0, 0.0)),
    )
    material = elastic(210e3, 0.3)
    supports = [
        dtw.PrescribedDisplacement(on=dtw.plane((0.0, 0.0, 0.0), "y"), y=0.0),
        dtw.PrescribedDisplacement(on=dtw.plane((0.0, 0.0, 0.0), "x"), x=0.0),
    ]
    section: object = dtw.PlaneStress(material, thickness=1.0)
    if not is_plane(element):
        section = material
        supports += [dtw.PrescribedDisplacement(on=side, z=0.0) for side in ("zmin", "zmax")]
    return dtw.Model(
        mesh,
        materials={"body": section},
        supports=supports,
        load_cases={"tension": [dtw.Traction(on=dtw.faces(normal="+y", at="max"), value=(0.0, 1.0, 0.0))]},
    )


def membrane_patch(element: str) -> Mesh:
    """D01: MacNeal-Harder's five quadrilaterals in 0.24 x 0.12, each in two for triangles."""
    points = np.zeros((8, 3))
    points[:, :2] = [
        (0, 0), (0.24, 0), (0.24, 0.12), (0, 0.12), (0.04, 0.02), (0.18, 0.03), (0.16, 0.08), (0.08, 0.08),
    ]  # fmt: skip
    quads = np.array([(0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 6, 7)])
    linear = ELEMENTS[element].linear
    corners = quads if linear == "quad" else quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
    return _grouped(*elevate(points, corners, element), element)


_INNER = (
    (0.249, 0.342, 0.192), (0.826, 0.288, 0.288), (0.850, 0.649, 0.263), (0.273, 0.750, 0.230),
    (0.320, 0.186, 0.643), (0.677, 0.305, 0.683), (0.788, 0.693, 0.644), (0.165, 0.745, 0.702),
)  # fmt: skip


def solid_patch(element: str) -> Mesh:
    """D02: MacNeal-Harder's unit cube of seven hexahedra, one inside six, each divided for other elements.

    Wedges and tetrahedra cut every hexahedron across two opposite faces, chosen so that neighbors agree.
    """
    o = [0, 1, 2, 3, 4, 5, 6, 7]
    i = [8, 9, 10, 11, 12, 13, 14, 15]
    points = np.array([(x, y, z) for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))] + list(_INNER))
    # First four and last four nodes are the faces that wedges cut, from the first node to the third.
    hexes = [
        [o[0], o[1], o[2], o[3], i[0], i[1], i[2], i[3]],
        [i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7]],
        [i[4], i[5], i[6], i[7], o[4], o[5], o[6], o[7]],
    ]
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
        hexes.append([o[a], i[a], i[a + 4], o[a + 4], o[b], i[b], i[b + 4], o[b + 4]])
    for k, nodes in enumerate(hexes):
        e1, e2, e3 = (points[nodes[j]] - points[nodes[0]] for j in (1, 3, 4))
        if np.dot(np.cross(e1, e2), e3) < 0:
            hexes[k] = [*nodes[4:], *nodes[:4]]
    corners = np.array(hexes)
    linear = ELEMENTS[element].linear
    if linear == "pyramid":
        centers = len(points) + np.arange(len(corners))
        faces = corners[:, [facet[::-1] for facet in ELEMENTS["hexahedron"].facets]]
        apex = np.repeat(centers, 6).reshape(-1, 6, 1)
        points = np.concatenate([points, points[corners].mean(axis=1)])
        corners = np.concatenate([faces, apex], axis=2).reshape(-1, 5)
    elif linear != "hexahedron":
        corners = corners[:, [[0, 1, 2, 4, 5, 6], [0, 2, 3, 4, 6, 7]]].reshape(-1, 6)
        if linear == "tetra":
            corners = np.array([tet for wedge in corners for tet in _three_tetrahedra(wedge)])
    return _grouped(*elevate(points, corners, element), element)


def _three_tetrahedra(wedge: IntArray) -> list[list[int]]:
    """A wedge cut so that each of its quadrilaterals is cut from its lowest node (Dompierre et al. 1999)."""
    turns = ((0, 1, 2, 3, 4, 5), (1, 2, 0, 4, 5, 3), (2, 0, 1, 5, 3, 4))
    turns += tuple((t[3], t[5], t[4], t[0], t[2], t[1]) for t in turns)
    v = next([int(wedge[j]) for j in turn] for turn in turns if wedge[turn[0]] == wedge.min())
    if min(v[1], v[5]) < min(v[2], v[4]):
        return [[v[0], v[1], v[2], v[5]], [v[0], v[1], v[5], v[4]], [v[0], v[4], v[5], v[3]]]
    return [[v[0], v[1], v[2], v[4]], [v[0], v[4], v[2], v[5]], [v[0], v[4], v[5], v[3]]]


def _grouped(points: FloatArray, conn: IntArray, element: str) -> Mesh:
    """The mesh with cell group ``body`` and node groups ``outer`` and ``corners`` of its bounding box."""
    mesh = Mesh(points, {element: conn})
    outer = mesh.nodes_of_facets(mesh.exterior)
    axes = slice(0, ELEMENTS[element].dimension)
    low, high = points.min(axis=0), points.max(axis=0)
    corner = ((points == low) | (points == high))[:, axes].all(axis=1)
    groups = {
        "body": Group(cells=np.arange(mesh.n_cells)),
        "outer": Group(nodes=outer),
        "corners": Group(nodes=np.flatnonzero(corner)),
    }
    return Mesh(points, {element: conn}, groups)


def solve(model: dtw.Model) -> dtw.StaticCase:
    result = dtw.solve_static(model)
    return result[result.cases[0]]


def at(case: dtw.StaticCase, point: tuple[float, float, float], name: str) -> tuple[float, float]:
    """Value and half-width of a field at the node nearest a point."""
    field = case.field(name)
    xyz = case.mesh.points if field.location == "points" else case.points.xyz
    row = int(np.argmin(np.linalg.norm(xyz - np.asarray(point), axis=1)))
    error = np.inf if field.error is None else float(field.error[row])
    return float(field.values[row]), error
