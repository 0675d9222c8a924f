"""Bars, rings, slices, springs, beds and oriented materials against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from builders import PLANES, SOLIDS, bar, block, box, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.elements import ELEMENTS

E, NU = 210e9, 0.3
STEEL = dtw.LinearElastic(youngs_modulus=E, poissons_ratio=NU, expansion=1.2e-5, density=7850.0)


def solve(model: dtw.Model) -> dtw.StaticCase:
    result = dtw.solve_static(model)
    return result[result.cases[0]]


def at(case: dtw.StaticCase, x: float, y: float = 0.0, z: float = 0.0) -> int:
    return int(np.argmin(np.linalg.norm(case.mesh.points - [x, y, z], axis=1)))


# Trusses


def frame(points: list, bars: list, supports: list, loads: list, **more: object) -> dtw.StaticCase:
    points = np.asarray(points, float)
    points = points if points.shape[1] == 3 else np.column_stack([points, np.zeros(len(points))])
    mesh = dtw.Mesh(points, {"line": np.asarray(bars)})
    model = dtw.Model(
        mesh,
        materials={dtw.everything(): dtw.Truss(STEEL, area=1e-4)},
        supports=[dtw.FixedSupport(on=dtw.ids(nodes=[i])) for i in supports],
        load_cases={"load": [dtw.Force(on=dtw.ids(nodes=[i]), value=f) for i, f in loads], **more},
    )
    return solve(model)


def test_two_bars_under_a_load_between_them():
    """Two bars at 45 degrees: force P / (2 sin a) in each, deflection P L / (2 E A sin^2 a)."""
    case = frame([(-1, 1), (1, 1), (0, 0)], [(0, 2), (1, 2)], [0, 1], [(2, (0.0, -1e4, 0.0))])
    length, sin = np.sqrt(2), np.sqrt(0.5)
    assert case.displacement[2, 1] == pytest.approx(-1e4 * length / (2 * E * 1e-4 * sin**2), rel=1e-12)
    assert abs(case.displacement[2, 0]) < 1e-18
    assert_allclose(case.von_mises(), 1e4 / (2 * sin) / 1e-4, rtol=1e-12)
    # Each bar pulls its support along itself.
    assert_allclose(case.reactions[0], [-5e3, 5e3, 0.0], atol=1e-8)
    assert_allclose(case.reactions[1], [5e3, 5e3, 0.0], atol=1e-8)


def test_tripod_in_space():
    """Three bars to a square load: solved joint by joint, forces N with sum N t = -P."""
    feet = np.array([(1.0, 0.0, 0.0), (-0.5, 0.8, 0.0), (-0.5, -0.8, 0.2)])
    top, load = np.array([0.1, 0.05, 1.5]), np.array([1e3, -2e3, -5e3])
    case = frame([*feet, top], [(0, 3), (1, 3), (2, 3)], [0, 1, 2], [(3, load)])
    t = top - feet
    length = np.linalg.norm(t, axis=1)
    t = t / length[:, None]
    forces = np.linalg.solve(t.T, load)  # each bar carries its share along itself to its foot
    found = [case.stress("samples")[0][k, 0] for k in range(3)]
    for k in range(3):
        axial = np.outer(t[k], t[k]) * forces[k] / 1e-4
        assert_allclose(found[k], axial[[0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 2, 2]], rtol=1e-10, atol=1e-3)
    K = sum(E * 1e-4 / length[k] * np.outer(t[k], t[k]) for k in range(3))
    assert_allclose(case.displacement[3], np.linalg.solve(K, load), rtol=1e-12)
    assert_allclose(case.reactions[:3], -forces[:, None] * t, atol=1e-9 * 5e3)


def test_a_bar_that_turns_is_not_strained():
    """Strain of a bar is along it: a rigid turn gives none, a pull gives N / (E A) along and nothing else."""
    ends = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.5]])
    n = ends[1] / np.linalg.norm(ends[1])
    spin = np.array([1e-3, 2e-3, -1e-3])

    def moved(stretch: float) -> dtw.StaticCase:
        u = np.cross(spin, ends) + stretch * ends
        held = [
            dtw.PrescribedDisplacement(on=dtw.ids(nodes=[i]), **dict(zip("xyz", u[i].tolist(), strict=True)))
            for i in (0, 1)
        ]
        mesh = dtw.Mesh(ends, {"line": np.array([[0, 1]])})
        truss = dtw.Truss(STEEL, area=1e-4)
        return solve(
            dtw.Model(mesh, materials={dtw.everything(): truss}, supports=held, load_cases={"moved": []})
        )

    assert_allclose(moved(0.0).strain(), 0.0, atol=1e-17)
    assert_allclose(moved(0.0).stress(), 0.0, atol=1e-6)
    axial = 1e-4 * np.outer(n, n)
    expected = axial[[0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 2, 2]] * [1, 1, 1, 2, 2, 2]
    assert_allclose(moved(1e-4).strain(), np.tile(expected, (2, 1)), rtol=1e-9)
    assert_allclose(moved(1e-4).von_mises(), E * 1e-4, rtol=1e-9)


def test_a_heated_bar_between_walls_and_a_free_one():
    supports = [dtw.FixedSupport(on="xmin"), dtw.PrescribedDisplacement(on=dtw.everything(), y=0.0)]
    hot = [dtw.Temperature(343.15, reference=293.15)]
    model = dtw.Model(
        bar(4, 2.0),
        materials={"body": dtw.Truss(STEEL, area=1e-4)},
        supports=supports,
        load_cases={"hot": hot},
    )
    free = solve(model)
    assert free.displacement[at(free, 2.0), 0] == pytest.approx(1.2e-5 * 50 * 2.0, rel=1e-12)
    assert np.abs(free.stress()).max() < 1e-3
    held = solve(model.with_(supports=[*supports, dtw.FixedSupport(on="xmax")]))
    assert_allclose(held.stress()[:, 0], -E * 1.2e-5 * 50, rtol=1e-12)
    assert held.reaction("xmax")[0] == pytest.approx(-E * 1.2e-5 * 50 * 1e-4, rel=1e-12)


def test_truss_and_solid_share_nodes():
    """A bar welded to a block: the bar's pull arrives at the block's support."""
    solid = box("hexahedron", 1, (0.1, 0.1, 0.1))
    far = np.array([[1.1, 0.1, 0.1]])
    corner = int(np.argmin(np.abs(solid.points - [0.1, 0.1, 0.1]).sum(axis=1)))
    mesh = dtw.Mesh(
        np.vstack([solid.points, far]),
        {"hexahedron": solid.cells["hexahedron"], "line": np.array([[corner, solid.n_points]])},
    )
    model = dtw.Model(
        mesh,
        materials={dtw.ids(cells=[0]): STEEL, dtw.ids(cells=[1]): dtw.Truss(STEEL, area=1e-4)},
        supports=[
            dtw.FixedSupport(on=dtw.plane((0.0, 0.0, 0.0), "x")),
            dtw.PrescribedDisplacement(on=dtw.ids(nodes=[solid.n_points]), y=0.0, z=0.0),
        ],
        load_cases={"pull": [dtw.Force(on=dtw.ids(nodes=[solid.n_points]), value=(1e3, 0.0, 0.0))]},
    )
    case = solve(model)
    assert_allclose(case.reaction(dtw.plane((0.0, 0.0, 0.0), "x"))[0], -1e3, rtol=1e-9)
    assert case.stress("samples")[1][0, 0, 0] == pytest.approx(1e7, rel=1e-4)
    stretch = case.displacement[solid.n_points, 0] - case.displacement[corner, 0]
    assert stretch == pytest.approx(1e7 / E, rel=1e-4)


# Rings and slices


@pytest.mark.parametrize("element", PLANES)
def test_thick_cylinder_as_a_ring(element):
    """Lame: open ends, pressure inside; radius 1 to 2."""
    a, b, p = 1.0, 2.0, 50e6
    n = 24 if ELEMENTS[element].degree == 1 else 12
    model = dtw.Model(
        rectangle(element, (n, 2), (b - a, 0.2), origin=(a, 0.0)),
        materials={"body": dtw.Axisymmetric(STEEL)},
        supports=[dtw.PrescribedDisplacement(on="ymin", y=0.0)],
        load_cases={"pressure": [dtw.Pressure(on="xmin", magnitude=p)]},
    )
    case = solve(model)
    near = 1e-2 if ELEMENTS[element].degree == 1 else 1e-3
    k = p * a**2 / (b**2 - a**2)
    r = case.points.xyz[:, 0]
    size = np.abs(k * (1 + b**2 / a**2))
    assert_allclose(case.stress()[:, 0], k * (1 - b**2 / r**2), atol=5 * near * size)
    assert_allclose(case.stress()[:, 2], k * (1 + b**2 / r**2), atol=5 * near * size)
    assert_allclose(case.stress()[:, [1, 3]], 0.0, atol=5 * near * size)
    u = k / E * ((1 - NU) * r + (1 + NU) * b**2 / r)
    assert_allclose(case.displacement[case.points.node, 0], u, rtol=near)
    # The radial push all around is the pressure times the whole inner face.
    assert case.applied[0] == pytest.approx(p * 2 * np.pi * a * 0.2, rel=1e-12)
    assert np.abs(case.reactions[:, 0]).max() < 1e-6 * p


@pytest.mark.parametrize("element", PLANES)
def test_thick_sphere_as_a_ring_section(element):
    """A quarter of the section, from the axis to the equator: the same answer as D12."""

    def quarter(x: np.ndarray) -> np.ndarray:
        r, t = 1.0 + x[:, 0], x[:, 1] * np.pi / 2
        return np.column_stack([r * np.cos(t), r * np.sin(t), x[:, 2]])

    n = 24 if ELEMENTS[element].degree == 1 else 10
    mesh = rectangle(element, n, shape=quarter)
    points = mesh.points.copy()
    points[np.abs(points[:, 0]) < 1e-12, 0] = 0.0
    model = dtw.Model(
        mesh.moved(points),
        materials={"body": dtw.Axisymmetric(dtw.LinearElastic(youngs_modulus=200e9, poissons_ratio=0.3))},
        supports=[
            dtw.PrescribedDisplacement(on="ymin", y=0.0),
            dtw.PrescribedDisplacement(on="ymax", x=0.0),
        ],
        load_cases={"pressure": [dtw.Pressure(on="xmin", magnitude=100e6)]},
    )
    case = solve(model)
    for x, y in ((1.0, 0.0), (np.sqrt(0.5), np.sqrt(0.5)), (0.0, 1.0)):
        assert np.linalg.norm(case.displacement[at(case, x, y)]) == pytest.approx(4e-4, rel=6e-3)
    row = case.points.rows_at(np.array([at(case, 1.0)]))[0]
    assert case.stress()[row, 1] == pytest.approx(500e6 / 7, rel=0.05)
    assert case.stress()[row, 2] == pytest.approx(500e6 / 7, rel=0.05)
    # On the axis hoop and radial stress are one.
    axis = case.points.rows_at(np.array([at(case, 0.0, 1.5)]))[0]
    assert case.stress()[axis, 0] == pytest.approx(case.stress()[axis, 2], rel=0.03)
    # Upward push on half a sphere: pressure times its shadow.
    assert case.applied[1] == pytest.approx(100e6 * np.pi, rel=2e-3)
    assert case.reaction("ymin")[1] == pytest.approx(-case.applied[1], rel=1e-9)


def test_spinning_disc():
    """Centrifugal load of a thin disc with a bore (Timoshenko, art. 32); forces are totals over the ring."""
    a, b, speed = 0.05, 0.2, 1000.0
    model = dtw.Model(
        rectangle("quad8", (24, 1), (b - a, 0.002), origin=(a, 0.0)),
        materials={"body": dtw.Axisymmetric(STEEL)},
        supports=[dtw.PrescribedDisplacement(on="ymin", y=0.0)],
        load_cases={"spin": [dtw.Centrifugal(speed=speed, axis="y")]},
    )
    case = solve(model)
    rho = 7850.0 * speed**2
    hoop = (3 + NU) / 4 * rho * (b**2 + (1 - NU) / (3 + NU) * a**2)
    inner = case.points.rows_at(model.region("xmin").nodes)
    assert_allclose(case.stress()[inner, 2], hoop, rtol=5e-3)
    peak = (3 + NU) / 8 * rho * (b - a) ** 2  # radial stress at sqrt(a b)
    assert case.stress()[:, 0].max() == pytest.approx(peak, rel=5e-3)


@pytest.mark.parametrize("element", PLANES)
def test_a_slice_of_a_long_body_is_pressed_along_it(element):
    """Plane strain: s_zz = nu (s_xx + s_yy); stiffer by 1 / (1 - nu^2) than a sheet."""
    model = dtw.Model(
        rectangle(element, 2),
        materials={"body": dtw.PlaneStrain(STEEL, thickness=0.5)},
        supports=[dtw.PrescribedDisplacement(on="xmin", x=0.0), dtw.PrescribedDisplacement(on="ymin", y=0.0)],
        load_cases={"pull": [dtw.Force(on="xmax", value=(1e6, 0.0, 0.0))]},
    )
    case = solve(model)
    assert_allclose(case.stress()[:, 0], 2e6, rtol=1e-7)
    assert_allclose(case.stress()[:, 2], NU * 2e6, rtol=1e-7)
    assert_allclose(case.strain()[:, 2], 0.0, atol=1e-15)
    moved = case.displacement[model.region("xmax").nodes, 0]
    assert_allclose(moved, 2e6 * (1 - NU**2) / E, rtol=1e-9)
    sheet = solve(model.with_(materials={"body": dtw.PlaneStress(STEEL, thickness=0.5)}))
    assert_allclose(sheet.displacement[model.region("xmax").nodes, 0], 2e6 / E, rtol=1e-9)
    assert_allclose(sheet.stress()[:, 2], 0.0, atol=1.0)
    assert_allclose(sheet.strain()[:, 2], -NU * 2e6 / E, rtol=1e-7)


# Skew supports


@pytest.mark.parametrize("element", ["hexahedron", "tetra10", "wedge15"])
def test_a_part_on_a_slope_gives_the_turned_answer(element):
    """Symmetry planes and local coordinates turned with the part: everything turns."""
    angle = 0.6
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    flat = box(element, (3, 2, 2), (0.2, 0.1, 0.1), distort=0.15)
    axes = dtw.Cartesian(x=tuple(turn[:, 0]), xy=tuple(turn[:, 1]))

    def model(mesh: dtw.Mesh, local: dtw.Cartesian | None, force: np.ndarray) -> dtw.StaticCase:
        given = {"coordinates": local} if local else {}
        return solve(
            dtw.Model(
                mesh,
                materials={"body": STEEL},
                supports=[
                    dtw.Symmetry(on="ymin"),
                    dtw.Symmetry(on="zmin"),
                    dtw.PrescribedDisplacement(on="xmin", x=0.0, **given),
                    dtw.PrescribedDisplacement(on="xmax", x=1e-4, **given),
                ],
                load_cases={"push": [dtw.Force(on="ymax", value=force)]},
            )
        )

    here = model(flat, None, np.array([0.0, -5e4, 2e4]))
    there = model(flat.moved(flat.points @ turn.T), axes, turn @ [0.0, -5e4, 2e4])
    size = np.abs(here.displacement).max()
    assert_allclose(there.displacement, here.displacement @ turn.T, atol=1e-9 * size)
    assert_allclose(there.reactions, here.reactions @ turn.T, atol=1e-8 * np.abs(here.reactions).max())
    assert_allclose(there.von_mises(), here.von_mises(), rtol=2e-2, atol=1e-3 * here.von_mises().max())
    assert there.imbalance < 1e-9


def test_a_seat_without_friction_holds_a_ring_along_its_radius():
    """Symmetry on a curved face: nodes slide along it. A bushing in a rigid bore, pressed from inside."""

    def ring(x: np.ndarray) -> np.ndarray:
        r, t = 1.0 + x[:, 0], x[:, 1] * np.pi / 2
        return np.column_stack([r * np.cos(t), r * np.sin(t), 0.2 * x[:, 2]])

    mesh = box("hexahedron20", (6, 12, 1), shape=ring)
    model = dtw.Model(
        mesh,
        materials={"body": STEEL},
        supports=[
            dtw.Symmetry(on="xmax"),
            *(dtw.Symmetry(on=side) for side in ("ymin", "ymax", "zmin", "zmax")),
        ],
        load_cases={"pressure": [dtw.Pressure(on="xmin", magnitude=10e6)]},
    )
    case = solve(model)
    # Plane strain, u_r(b) = 0: u = A r + B / r.
    a, b, p, g = 1.0, 2.0, 10e6, E / (2 * (1 + NU))
    k = g / (1 - 2 * NU)
    A = p / (-2 * k - 2 * g * b**2 / a**2)
    u = A * (a - b**2 / a)
    assert case.displacement[at(case, 1.0), 0] == pytest.approx(u, rel=2e-3)
    assert case.displacement[at(case, 0.0, 1.0), 1] == pytest.approx(u, rel=2e-3)
    assert np.abs(case.displacement[case.model.region("xmax").nodes]).max() < 1e-3 * abs(u)


# Springs and beds


def test_springs_share_a_load_by_stiffness():
    """A stiff block on two springs: deflection F / sum k, reactions as k."""
    stiff = dtw.LinearElastic(youngs_modulus=1e15, poissons_ratio=0.0)
    model = dtw.Model(
        box("hexahedron", (2, 1, 1), (0.2, 0.1, 0.1)),
        materials={"body": stiff},
        supports=[
            dtw.Spring(on="xmin", stiffness=(0.0, 2e6, 0.0)),
            dtw.Spring(on="xmax", stiffness=(0.0, 2e6, 0.0)),
            dtw.PrescribedDisplacement(on="zmin", z=0.0),
            dtw.PrescribedDisplacement(on="xmin", x=0.0),
        ],
        load_cases={"press": [dtw.Force(on="ymax", value=(0.0, -1e3, 0.0))]},
    )
    case = solve(model)
    assert_allclose(case.displacement[:, 1], -1e3 / 4e6, rtol=1e-6)
    assert_allclose(case.reaction("xmin")[1], 500.0, rtol=1e-6)
    assert_allclose(case.reactions.sum(axis=0), [0.0, 1e3, 0.0], atol=1e-5)  # forces of 1e8 cancel


@pytest.mark.parametrize("element", SOLIDS)
def test_a_block_on_an_elastic_bed(element):
    """Uniform pressure on a bed: it sinks p / k, and pushes back as much."""
    model = dtw.Model(
        block(element, 2, (0.2, 0.2, 0.1)),
        materials={"body": dtw.LinearElastic(youngs_modulus=E, poissons_ratio=0.0)},
        supports=[
            dtw.ElasticFoundation(on="zmin", normal=1e9),
            dtw.PrescribedDisplacement(on="xmin", x=0.0),
            dtw.PrescribedDisplacement(on="ymin", y=0.0),
        ],
        load_cases={"press": [dtw.Pressure(on="zmax", magnitude=1e6)]},
    )
    case = solve(model)
    assert_allclose(case.displacement[model.region("zmin").nodes, 2], -1e-3, rtol=1e-8)
    assert_allclose(case.displacement[model.region("zmax").nodes, 2], -1e-3 - 1e6 * 0.1 / E, rtol=1e-8)
    assert_allclose(case.reaction("zmin"), [0.0, 0.0, 1e6 * 0.04], atol=1e-3)
    assert_allclose(case.stress()[:, 2], -1e6, rtol=1e-6)


def test_a_bar_held_along_its_sides_by_a_bed():
    """Shear lag: E A u'' = k u with a pull at one end, u = F cosh(m (L - x)) / (E A m sinh(m L))."""
    length, width, modulus, bed, pull = 1.0, 0.02, 1e9, 1e8, 100.0
    rubber = dtw.LinearElastic(youngs_modulus=modulus, poissons_ratio=0.0)
    model = dtw.Model(
        rectangle("quad8", (40, 1), (length, width)),
        materials={"body": dtw.PlaneStress(rubber, thickness=0.01)},
        supports=[
            dtw.ElasticFoundation(on=side, normal=0.0, tangential=bed) for side in ("ymin", "ymax")
        ] + [dtw.PrescribedDisplacement(on=dtw.everything(), y=0.0)],
        load_cases={"pull": [dtw.Force(on="xmin", value=(-pull, 0.0, 0.0))]},
    )  # fmt: skip
    case = solve(model)
    m = np.sqrt(2 * bed * 0.01 / (modulus * width * 0.01))
    x = case.mesh.points[:, 0]
    exact = -pull * np.cosh(m * (length - x)) / (modulus * width * 0.01 * m * np.sinh(m * length))
    # The section shears a little, which the bar does not know of.
    assert_allclose(case.displacement[:, 0], exact, atol=0.01 * np.abs(exact).max())


# Temperature


@pytest.mark.parametrize("element", ["quad8", "triangle6", "quad"])
def test_a_temperature_gradient_through_a_clamped_plate_presses_one_side(element):
    """Ends that may not move: s = -E a (T - T0) over the height, whose resultant is nil.

    The plate thickens as a square of the height, which bilinear cells hold by their incompatible modes.
    """
    height, rise = 0.1, 80.0
    model = dtw.Model(
        rectangle(element, (8, 4), (0.4, height), origin=(0.0, -height / 2)),
        materials={"body": dtw.PlaneStress(STEEL, thickness=0.01)},
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0),
            dtw.PrescribedDisplacement(on="xmax", x=0.0),
            dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.0, 0.0)), y=0.0),
        ],
        load_cases={"hot": [dtw.Temperature(lambda p: 293.15 + rise * p[:, 1] / height, reference=293.15)]},
    )
    case = solve(model)
    y = case.recovery.sample_xyz[:, 1]
    samples = case.stress("samples")[0].reshape(-1, 6)
    assert_allclose(samples[:, 0], -E * 1.2e-5 * rise * y / height, atol=1e-6 * E * 1.2e-5 * rise)
    assert_allclose(samples[:, 1:], 0.0, atol=1e-6 * E * 1.2e-5 * rise)
    assert abs(case.reaction("xmin")[0]) < 1e-6 * E * 1.2e-5 * rise * height * 0.01


@pytest.mark.parametrize("element", ["hexahedron", "tetra10", "quad8"])
def test_a_modulus_that_falls_with_temperature_gives_more_way(element):
    """E(T) is read where the case says it is warm; stress of the same strain falls with it."""
    table = dtw.table(over="temperature", at=["20 degC", "220 degC"], values=["200 GPa", "100 GPa"])
    soft = dtw.LinearElastic(youngs_modulus=table, poissons_ratio=0.0, expansion=0.0)
    flat = element in PLANES
    model = dtw.Model(
        block(element, 2),
        materials={"body": dtw.PlaneStress(soft, thickness=1.0) if flat else soft},
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0),
            dtw.PrescribedDisplacement(on="ymin", y=0.0),
            *([] if flat else [dtw.PrescribedDisplacement(on="zmin", z=0.0)]),
        ],
        load_cases={
            name: [
                dtw.Traction(on="xmax", value=(1e6, 0.0, 0.0)),
                dtw.Temperature(value, reference="20 degC"),
            ]
            for name, value in (("cold", "20 degC"), ("warm", "120 degC"), ("hot", "220 degC"))
        },
    )
    result = dtw.solve_static(model)
    for name, modulus in (("cold", 200e9), ("warm", 150e9), ("hot", 100e9)):
        assert_allclose(result[name].displacement[model.region("xmax").nodes, 0], 1e6 / modulus, rtol=1e-8)
        assert_allclose(result[name].stress()[:, 0], 1e6, rtol=1e-6)


def test_expansion_counts_from_its_own_reference():
    """A secant coefficient measured from 20 degC, a part free of stress at 120 degC, seen at 220 degC."""
    secant = dtw.table(
        over="temperature", at=["20 degC", "120 degC", "220 degC"], values=[10e-6, 11e-6, 12e-6]
    )
    material = dtw.LinearElastic(
        youngs_modulus=E, poissons_ratio=NU, expansion=secant, expansion_reference="20 degC"
    )
    model = dtw.Model(
        box("hexahedron", 2),
        materials={"body": material},
        supports=[dtw.PrescribedDisplacement(on=f"{a}min", **{a: 0.0}) for a in "xyz"],
        load_cases={"hot": [dtw.Temperature("220 degC", reference="120 degC")]},
    )
    case = solve(model)
    strain = 12e-6 * 200 - 11e-6 * 100
    assert_allclose(case.displacement, strain * case.mesh.points, atol=1e-12)
    assert np.abs(case.stress()).max() < 1e-3 * E * strain


# Oriented materials


@pytest.mark.parametrize("angle", [0.0, 17.0, 45.0, 73.0, 90.0])
def test_off_axis_pull_of_a_laminate(angle):
    """Lekhnitskii: 1 / Ex = c^4 / E1 + (1 / G12 - 2 nu12 / E1) s^2 c^2 + s^4 / E2, and S16 of the shear."""
    e1, e2, g12, nu12 = 140e9, 10e9, 5e9, 0.3
    ply = dtw.Orthotropic(
        youngs_modulus=(e1, e2, e2), poissons_ratio=(nu12, 0.4, nu12), shear_modulus=(g12, 3.5e9, g12)
    )
    t = np.deg2rad(angle)
    c, s = np.cos(t), np.sin(t)
    axes = dtw.Cartesian(x=(c, s, 0.0), xy=(-s, c, 0.0))
    flexible = 1 / e1 * c**4 + (1 / g12 - 2 * nu12 / e1) * s**2 * c**2 + s**4 / e2
    s16 = (2 / e1 + 2 * nu12 / e1 - 1 / g12) * s * c**3 - (2 / e2 + 2 * nu12 / e1 - 1 / g12) * s**3 * c
    for element in ("quad", "triangle6", "hexahedron", "tetra10"):
        flat = element in PLANES
        section = (
            dtw.PlaneStress(ply, thickness=0.01, orientation=axes)
            if flat
            else dtw.Solid(ply, orientation=axes)
        )
        level = {} if flat else {"z": 0.0}
        rest = [
            dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.0, 0.0)), x=0.0, y=0.0, **level),
            dtw.PrescribedDisplacement(on=dtw.nearest((1.0, 0.0, 0.0)), y=0.0, **level),
            *([] if flat else [dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 1.0, 0.0)), z=0.0)]),
        ]
        model = dtw.Model(
            block(element, 2, distort=0.1),
            materials={"body": section},
            supports=rest,
            load_cases={
                "pull": [
                    dtw.Traction(on="xmax", value=(1e6, 0.0, 0.0)),
                    dtw.Traction(on="xmin", value=(-1e6, 0.0, 0.0)),
                ]
            },
        )
        case = solve(model)
        assert_allclose(case.stress()[:, 0], 1e6, rtol=1e-6)
        assert_allclose(case.stress()[:, 1:], 0.0, atol=1.0)
        assert_allclose(case.strain()[:, 0], 1e6 * flexible, rtol=1e-6)
        assert_allclose(case.strain()[:, 3], 1e6 * s16, rtol=1e-6, atol=1e-12)


def test_wood_in_a_round():
    """Cylindrical axes: a ring stiff along its hoop opens as one of that modulus would."""
    hoop, other = 50e9, 1e9
    ply = dtw.Orthotropic(
        youngs_modulus=(other, hoop, other), poissons_ratio=(0.0, 0.0, 0.0), shear_modulus=(1e9, 1e9, 1e9)
    )
    a, b = 1.0, 1.05

    def ring(x: np.ndarray) -> np.ndarray:
        r, t = a + (b - a) * x[:, 0], x[:, 1] * np.pi / 2
        return np.column_stack([r * np.cos(t), r * np.sin(t), x[:, 2]])

    model = dtw.Model(
        rectangle("quad8", (4, 16), shape=ring),
        materials={"body": dtw.PlaneStress(ply, thickness=0.1, orientation=dtw.Cylindrical(axis="z"))},
        supports=[
            dtw.PrescribedDisplacement(on="ymin", y=0.0),
            dtw.PrescribedDisplacement(on="ymax", x=0.0),
        ],
        load_cases={"pressure": [dtw.Pressure(on="xmin", magnitude=1e5)]},
    )
    case = solve(model)
    # r^2 u'' + r u' - k^2 u = 0 with k^2 = hoop / other: u = A r^k + B r^-k.
    k = np.sqrt(hoop / other)
    A, B = np.linalg.solve(
        [
            [other * k * a ** (k - 1), -other * k * a ** (-k - 1)],
            [other * k * b ** (k - 1), -other * k * b ** (-k - 1)],
        ],
        [-1e5, 0.0],
    )
    assert case.displacement[at(case, a), 0] == pytest.approx(A * a**k + B * a**-k, rel=1e-3)
    assert case.displacement[at(case, 0.0, b), 1] == pytest.approx(A * b**k + B * b**-k, rel=1e-3)


# Inertia relief


def test_a_free_bar_pulled_at_one_end_carries_half_in_the_middle():
    """Thrust F on a free rod: it accelerates at F / m, and the section at x carries F (1 - x / L)."""
    length, force = 1.0, 1e4
    model = dtw.Model(
        box("hexahedron20", (10, 2, 2), (length, 0.1, 0.1)),
        materials={"body": dtw.LinearElastic(youngs_modulus=E, poissons_ratio=0.0, density=7850.0)},
        supports=[dtw.InertiaRelief()],
        load_cases={"thrust": [dtw.Traction(on="xmin", value=(force / 0.01, 0.0, 0.0))]},
    )
    case = solve(model)
    x = case.points.xyz[:, 0]
    inner = (x > 0.05) & (x < 0.95)
    assert_allclose(
        case.stress()[inner, 0], -force / 0.01 * (1 - x[inner] / length), atol=1e-3 * force / 0.01
    )
    assert np.abs(case.reactions).max() < 1e-6 * force
    assert case.imbalance < 1e-9


def test_a_free_plate_spun_up_by_a_couple_has_no_net_force():
    model = dtw.Model(
        box("tetra10", (4, 4, 1), (0.4, 0.4, 0.05)),
        materials={"body": STEEL},
        supports=[dtw.InertiaRelief()],
        load_cases={"couple": [dtw.Moment(on="xmax", value=(0.0, 0.0, 1e3))]},
    )
    case = solve(model)
    assert np.abs(case.reactions).max() < 1e-5 * 1e3 / 0.4
    assert np.isfinite(case.von_mises()).all()
    assert case.von_mises().max() > 1e4
