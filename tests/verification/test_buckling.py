"""Buckling: D27, D28 and closed forms for beams, sheets, shells of revolution, bars and dead loads."""

from __future__ import annotations

import exact_modes as exact
import numpy as np
import pytest
from builders import PLANES, SOLIDS, apart, bar, box, rectangle
from cases import elastic
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.elements import ELEMENTS

E, LENGTH, WIDE, DEEP = 210e9, 1.0, 0.02, 0.03


def column(element: str, n: tuple[int, int, int], nu: float = 0.0, size: tuple[float, float] = (WIDE, DEEP)):
    """Clamped at x = 0, pushed by 1 N at the other end."""
    mesh = box(element, n, (LENGTH, *size))
    return dtw.Model(
        mesh,
        materials={"body": elastic(E, nu)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"push": [dtw.Traction(on="xmax", value=(-1.0 / (size[0] * size[1]), 0.0, 0.0))]},
    )


def factors(model: dtw.Model, **options):
    result = dtw.solve_buckling(model, **options)
    return result[result.cases[0]].factors


def euler(
    width: float, depth: float, length: float, k: float = 0.25, e: float = E, g: float = E / 2
) -> float:
    """Critical load of a column with Engesser's shear correction (5/6), deflecting along its width."""
    area, inertia = width * depth, depth * width**3 / 12
    load = k * np.pi**2 * e * inertia / length**2
    return load / (1.0 + load / (5 / 6 * g * area))


# D27

SIZES = {
    "tetra10": (30, 1, 1), "hexahedron": (40, 2, 2), "hexahedron20": (16, 1, 1), "wedge15": (24, 1, 1),
    "pyramid13": (16, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("element", SIZES)
@pytest.mark.parametrize(("nu", "target"), [(0.0, 10360.4), (0.3, 10383.7)])
def test_euler_column(element, nu, target, record_property):
    """D27; Euler with Engesser's shear correction, and CalculiX 2.20 where the clamped end stiffens."""
    n = SIZES[element]
    # The clamped end of nu = 0.3 is a local matter that takes finer cells along the column.
    found = factors(column(element, n if nu == 0.0 else (2 * n[0], 2, 2), nu), count=2)
    record_property("error of the critical load", f"{found[0] / target - 1:+.3%}")
    assert found[0] == pytest.approx(target, rel=0.003)
    assert found[1] / found[0] == pytest.approx(2.25, rel=0.01)


@pytest.mark.parametrize("element", ["tetra", "wedge", "pyramid"])
def test_euler_column_of_cells_that_lock(element, record_property):
    """D27 on first-order cells without a remedy against locking: what their two finest meshes converge to."""
    n = {"tetra": (60, 4, 6), "wedge": (50, 4, 6), "pyramid": (40, 4, 6)}[element]
    sizes = (2, 3) if FULL and element == "tetra" else (1, 2)
    loads = [factors(column(element, tuple(k * i for i in n)), count=1)[0] for k in sizes]
    extrapolated = loads[1] + (loads[1] - loads[0]) / ((sizes[1] / sizes[0]) ** 2 - 1)
    record_property("error of the finest", f"{loads[1] / 10360.4 - 1:+.3%}")
    record_property("error of the limit", f"{extrapolated / 10360.4 - 1:+.3%}")
    assert loads[0] > loads[1] > 10360.4
    assert extrapolated == pytest.approx(10360.4, rel=0.003 if FULL or element != "tetra" else 0.005)


# D28


def plate(element: str, n: int, layers: int = 1) -> dtw.Model:
    """Quarter of the plate 1 x 1 x 0.01 m, edges at x = 0.5 and y = 0.5 held in z along their middle line.

    The load is uniform: half of it would bend plates whose edges were held in their plane.
    """
    side, t = 0.5, 0.01
    mesh = box(element, (n, n, 2 * layers), (side, side, t), origin=(0.0, 0.0, -t / 2))
    x, y, z = mesh.points.T
    middle = np.abs(z) < 1e-9
    edges = np.flatnonzero(middle & ((np.abs(x - side) < 1e-9) | (np.abs(y - side) < 1e-9)))
    return dtw.Model(
        mesh,
        materials={"body": elastic(70e9, 0.33)},
        supports=[
            dtw.Symmetry(on="xmin"),
            dtw.Symmetry(on="ymin"),
            dtw.PrescribedDisplacement(on=dtw.ids(nodes=edges), z=0.0),
        ],
        load_cases={"edge": [dtw.Traction(on="xmax", value=(-1.0, 0.0, 0.0))]},
    )


@pytest.mark.parametrize(("element", "n"), [("hexahedron20", 6), ("tetra10", 12)])
def test_simply_supported_plate(element, n, record_property):
    """D28; k = 4 of plate theory, which a line support of a solid meets to 1 % (CalculiX 25.98e6)."""
    case = dtw.solve_buckling(plate(element, n), count=2)["edge"]
    record_property("error of the critical stress", f"{case.critical / 25.843e6 - 1:+.3%}")
    assert case.critical == pytest.approx(25.843e6, rel=0.02)
    assert np.abs(case[0].displacement[:, 2]).max() > 0.99


# Exact solutions


def strip(element: str, n: int, name: str) -> tuple[dtw.Model, float]:
    """A sliding strip under stress -1 along x, and its exact factor; 1 x 0.5 (x 0.25)."""
    solid = element in SOLIDS
    if solid:
        mesh = box(element, (2 * n, n, max(1, n // 2)), (1.0, 0.5, 0.25))
    elif name == "Axisymmetric":
        mesh = rectangle(element, (max(1, n // 2), 2 * n), (0.1, TUBE), origin=(0.95, 0.0))
    else:
        mesh = rectangle(element, (2 * n, n), (1.0, 0.5))
    section = elastic(exact.E, exact.NU)
    along, length = ("y", TUBE) if name == "Axisymmetric" else ("x", 1.0)
    if name == "PlaneStress" or name == "Axisymmetric":
        modulus = exact.E
    else:
        modulus = exact.E / (1 - exact.NU**2)
    if not solid:
        section = getattr(dtw, name)(section, **({"thickness": 1.0} if name == "PlaneStress" else {}))
    supports = [
        dtw.PrescribedDisplacement(on=f"{along}min", **{along: 0.0}),
        dtw.PrescribedDisplacement(on=f"{along}max", **{along: -length / modulus}),
    ]
    if name != "Axisymmetric":
        # One point is held across: that fixes the translation alone, as no force acts along it.
        supports.append(dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.0, 0.0)), y=0.0))
    if solid:
        supports += [dtw.PrescribedDisplacement(on=side, z=0.0) for side in ("zmin", "zmax")]
    model = dtw.Model(mesh, materials={"body": section}, supports=supports, load_cases={"pushed": []})
    if name == "Axisymmetric":
        return model, exact.tube_values(np.pi / TUBE, 0.95, 1.05)[0] / (np.pi / TUBE) ** 2
    omega = exact.strip_frequencies(np.pi, 0.25, "PlaneStrain" if solid else name, 4.0)[0]
    return model, exact.RHO * (omega / np.pi) ** 2


TUBE = 0.55
"""Length, m, of a tube of radius 1 and wall 0.1 that buckles most easily in one half wave."""


WAYS = [
    (element, name)
    for element in (*PLANES, *SOLIDS)
    for name in (["Solid"] if element in SOLIDS else ["PlaneStress", "PlaneStrain", "Axisymmetric"])
]


@pytest.mark.parametrize(("element", "name"), WAYS)
def test_factors_converge_at_twice_the_order_of_the_element(element, name):
    """Strang and Fix, An Analysis of the Finite Element Method (1973), ch. 6."""
    p = ELEMENTS[element].degree
    sizes = (
        ((3, 6) if "tetra" in element else (2, 4)) if p == 2 else (6, 12) if element in SOLIDS else (8, 16)
    )
    errors = []
    for n in sizes:
        model, target = strip(element, n, name)
        errors.append(dtw.solve_buckling(model, count=1, which="positive")["pushed"].critical / target - 1)
    order = np.log2(errors[0] / errors[1])
    assert 2 * p - 0.45 < order < 2 * p + 0.4, errors
    assert abs(errors[1]) < (0.03 if p == 1 else 0.002), errors


def test_cylinder_buckles_axially_as_shell_theory_says():
    """Axisymmetric: D (k^2 + E t / (D R^2 k^2)) / t with k = m pi / L (Timoshenko and Gere, sec. 11.1)."""
    e, nu, radius, t, length = 200e9, 0.3, 1.0, 0.01, 0.8
    mesh = rectangle("quad8", (1, 60), (t, length), origin=(radius - t / 2, 0.0))
    stress = 1e8
    model = dtw.Model(
        mesh,
        materials={"body": dtw.Axisymmetric(elastic(e, nu))},
        supports=[
            dtw.PrescribedDisplacement(on="ymin", y=0.0),
            dtw.PrescribedDisplacement(on="ymax", y=-stress / e * length),
        ],
        load_cases={"squeeze": []},
    )
    stiffness = e * t**3 / (12 * (1 - nu**2))
    k = np.arange(1, 12) * np.pi / length
    critical = np.sort((stiffness * k**2 + e * t / (radius**2 * k**2)) / t)
    case = dtw.solve_buckling(model, count=3, which="positive")["squeeze"]
    assert_allclose(case.factors * stress, critical[:3], rtol=0.02)
    assert any("without waves around the axis" in note for note in dtw.solve_buckling(model, count=1).notes)


def test_ring_under_pressure_of_fixed_direction_buckles_at_four():
    """4 E I / R^3 (Boresi, J. Appl. Mech. 22 (1955)); following pressure would have 3: a note says so."""
    e, radius, t = 200e9, 1.0, 0.02

    def quarter(p):
        r, angle = radius + t * (p[:, 1] - 0.5), (1 - p[:, 0]) * np.pi / 2
        return np.column_stack([r * np.cos(angle), r * np.sin(angle), p[:, 2]])

    mesh = rectangle("quad8", (24, 1), (1.0, 1.0), shape=quarter)
    model = dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(elastic(e, 0.3), thickness=1.0)},
        supports=[dtw.PrescribedDisplacement(on="xmin", x=0.0), dtw.PrescribedDisplacement(on="xmax", y=0.0)],
        load_cases={"deep water": [dtw.Pressure(on="ymax", magnitude=1.0)]},
    )
    result = dtw.solve_buckling(model, count=1, which="positive")
    assert result.critical == pytest.approx(4 * e * t**3 / 12 / radius**3, rel=0.02)
    assert any("follows the buckling shape is not included" in note for note in result.notes)


def test_strip_on_edge_tips_sideways_under_either_sign_of_its_load():
    """Prandtl 1899; Timoshenko and Gere, sec. 6.3: 4.013 sqrt(E Iy G J) / (L - a)^2, and bent in its plane.

    The clamped end cannot warp: a = sqrt(E C / G J) is lost of the length, C = t^3 depth^3 / 144.
    """
    e, nu, length, depth, t = 210e9, 0.0, 1.0, 0.05, 0.005
    mesh = box("hexahedron20", (60, 1, 4), (length, t, depth), origin=(0.0, -t / 2, -depth / 2))
    model = dtw.Model(
        mesh,
        materials={"body": elastic(e, nu)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"tip": [dtw.Force(on="xmax", value=(0.0, 0.0, -1.0))]},
    )
    iy, iz = depth * t**3 / 12, t * depth**3 / 12
    torsion = depth * t**3 / 3 * (1 - 0.630 * t / depth)
    target = 4.013 * np.sqrt(e * iy * e / (2 * (1 + nu)) * torsion / (1 - iy / iz))
    target /= (length - np.sqrt(2 * t**3 * depth**3 / 144 / torsion)) ** 2
    found = factors(model, count=2)
    assert_allclose(np.sort(found), [-target, target], rtol=0.015)


@pytest.mark.parametrize("k", [1.0, 2.5])
def test_hinged_bars_with_a_spring_are_held_up_to_half_its_stiffness_times_their_length(k):
    """Two bars in line, hinged, a spring k across the middle: P = k a / 2."""
    a, stiffness = 0.5, 1e5 * k
    model = dtw.Model(
        bar(2, 2 * a),
        materials={"body": dtw.Truss(elastic(200e9, 0.3), area=1e-4)},
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0, y=0.0),
            dtw.PrescribedDisplacement(on="xmax", y=0.0),
            dtw.Spring(on=dtw.ids(nodes=[1]), stiffness=(0.0, stiffness, 0.0)),
        ],
        load_cases={"push": [dtw.Force(on="xmax", value=(-1.0, 0.0, 0.0))]},
    )
    assert_allclose(factors(model, count=1), stiffness * a / 2, rtol=1e-9)


def test_heated_bar_between_walls_buckles_at_the_load_of_euler():
    """E A alpha dT = 4 pi^2 E I / L^2 with Engesser's shear; the factor multiplies the warming."""
    width, length, alpha, warming = 0.02, 1.0, 12e-6, 10.0
    model = dtw.Model(
        rectangle("quad8", (40, 2), (length, width)),
        materials={"body": dtw.PlaneStress(elastic(E, 0.0, expansion=alpha), thickness=1.0)},
        supports=[dtw.FixedSupport(on=side) for side in ("xmin", "xmax")],
        load_cases={"warm": [dtw.Temperature(293.15 + warming, reference=293.15)]},
    )
    target = euler(width, 1.0, length, k=4.0) / (E * width * alpha * warming)
    found = factors(model, count=1)
    assert found[0] == pytest.approx(target, rel=2e-3)


# Laws that hold on any mesh


@pytest.fixture(scope="module")
def reference():
    model = column("hexahedron20", (8, 1, 1), 0.3)
    return model, dtw.solve_buckling(model, count=4)["push"]


def test_modes_are_in_balance_and_orthogonal(reference):
    """K phi = - factor Kg phi, and phi^T K phi' = 0 between modes."""
    model, case = reference
    from designtwin.assembly import assemble_static, cell_blocks, static_topology
    from designtwin.assembly.inertia import stress_stiffness_terms

    blocks = cell_blocks(model)
    topology = static_topology(model, blocks)
    assembled = assemble_static(model, model.cases["push"], blocks, topology)
    geometric = sum(
        t.matrix() for t in stress_stiffness_terms(model, topology, case.prestress.stress_at)
    ).tocsr()
    stiffness = assembled.system.matrix().tocsr()
    free = assembled.system.free_index
    shapes = np.column_stack([assembled.dofs.gather(mode.displacement) for mode in case])
    forces, turned = stiffness @ shapes, geometric @ shapes
    rest = (forces + case.factors * turned)[free]
    assert (np.linalg.norm(rest, axis=0) < 1e-6 * np.linalg.norm(forces[free], axis=0)).all()
    gram = shapes.T @ forces
    gram /= np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    assert np.abs(gram - np.eye(4)).max() < 1e-8


def test_factors_follow_modulus_load_and_size(reference):
    model, case = reference
    stiffer = model.with_(materials={"body": elastic(3 * E, 0.3)})
    assert_allclose(factors(stiffer, count=4), 3 * case.factors, rtol=1e-7)
    doubled = model.with_case("push", [dtw.Traction(on="xmax", value=(-2.0 / (WIDE * DEEP), 0.0, 0.0))])
    assert_allclose(factors(doubled, count=4), case.factors / 2, rtol=1e-7)
    # Twice the size at the same traction: the same stress, the same factor.
    larger = model.with_(mesh=model.mesh.moved(2 * model.mesh.points))
    assert_allclose(factors(larger, count=4), case.factors, rtol=1e-7)


def test_factors_do_not_depend_on_how_the_part_is_turned(reference):
    model, case = reference
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    turned = model.with_(mesh=model.mesh.moved(model.mesh.points @ turn.T)).with_case(
        "push", [dtw.Traction(on="xmax", value=tuple(turn @ [-1.0 / (WIDE * DEEP), 0.0, 0.0]))]
    )
    assert_allclose(factors(turned, count=4), case.factors, rtol=1e-7)


def test_reversed_loads_have_reversed_factors(reference):
    model, case = reference
    pulled = model.with_case("push", [dtw.Traction(on="xmax", value=(1.0 / (WIDE * DEEP), 0.0, 0.0))])
    assert_allclose(factors(pulled, count=4, which="negative"), -case.factors, rtol=1e-7)


def test_dead_loads_use_up_their_share(reference):
    """What is dead and what grows are the same load: factor = critical - 0.4 critical."""
    model, case = reference
    dead = [dtw.Traction(on="xmax", value=(-0.4 * case.critical / (WIDE * DEEP), 0.0, 0.0))]
    both = model.with_case("weight", dead)
    result = dtw.solve_buckling(both, count=2, dead="weight")
    assert result.cases == ("push",)
    assert_allclose(result["push"].factors[0], 0.6 * case.critical, rtol=1e-6)
    assert any("alone buckle the part at 2.5 times" in note for note in result.notes)
    with pytest.raises(dtw.ModelError, match=r"buckle the part by themselves, at 0\.8"):
        dtw.solve_buckling(
            model.with_case(
                "weight", [dtw.Traction(on="xmax", value=(-1.25 * case.critical / (WIDE * DEEP), 0, 0))]
            ),
            dead="weight",
        )


def test_combinations_superpose_their_stress(reference):
    model, case = reference
    mixed = model.with_case("side", [dtw.Traction(on="xmax", value=(0.0, 5.0, 0.0))]).with_case(
        "three", dtw.combine(push=3.0, side=0.0)
    )
    result = dtw.solve_buckling(mixed, count=2, case="three")
    assert result.cases == ("three",)
    assert_allclose(result["three"].factors, case.factors[:2] / 3, rtol=1e-6)


def test_square_column_has_pairs_of_equal_factors():
    found = factors(column("hexahedron20", (8, 1, 1), 0.3, size=(0.02, 0.02)), count=4)
    assert_allclose(found[[1, 3]], found[[0, 2]], rtol=1e-7)
    assert found[2] > 8 * found[0]


def test_bonded_halves_buckle_as_one_piece():
    left = box("hexahedron20", (8, 2, 2), (0.5, WIDE, DEEP))
    right = box("hexahedron20", (8, 3, 3), (0.5, WIDE, DEEP), origin=(0.5, 0.0, 0.0))
    mesh = apart(left, right)
    x = mesh.points[:, 0]
    whole = column("hexahedron20", (16, 2, 2), 0.3)
    model = whole.with_(
        mesh=mesh,
        supports=[dtw.FixedSupport(on=dtw.plane((0.0, 0.0, 0.0), "x"))],
        load_cases={
            "push": [dtw.Traction(on=dtw.plane((LENGTH, 0.0, 0.0), "x"), value=(-1.0 / (WIDE * DEEP), 0, 0))]
        },
        connections=[
            dtw.Tie(
                a=dtw.faces(normal="+x") & dtw.plane((0.5, 0.0, 0.0), "x"),
                b=dtw.faces(normal="-x") & dtw.plane((0.5, 0.0, 0.0), "x"),
            )
        ],
    )
    assert x.max() == LENGTH
    assert_allclose(factors(model, count=2), factors(whole, count=2), rtol=1e-4)


@pytest.mark.parametrize(
    ("element", "n"),
    [("tetra10", 4), ("tetra10", 16), ("hexahedron20", 4), ("hexahedron", 12), ("tetra", 20), ("wedge15", 5),
     ("pyramid", 10), ("pyramid13", 8)],
)  # fmt: skip
def test_the_interval_of_a_factor_holds_the_limit(element, n):
    model = column(element, (n, 2, 2), 0.3)
    mode = dtw.solve_buckling(model, count=1, which="positive")["push"][0]
    assert abs(mode.factor - 10383.7) < mode.factor_error
    assert mode.factor_error < 15 * abs(mode.factor - 10383.7) + 0.002 * mode.factor


# What has no answer


def test_pulled_parts_and_unloaded_ones_have_no_positive_factor():
    # Pulled uniformly, ends free to thin: nothing is compressed anywhere.
    model = dtw.Model(
        box("hexahedron20", (4, 1, 1), (1.0, 0.1, 0.1)),
        materials={"body": elastic(E, 0.3)},
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0),
            dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.0, 0.0)), y=0.0, z=0.0),
            dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.1, 0.0)), z=0.0),
        ],
        load_cases={"pull": [dtw.Traction(on="xmax", value=(1e6, 0.0, 0.0))], "nothing": []},
    )
    result = dtw.solve_buckling(model, count=2)
    pull, nothing = result["pull"], result["nothing"]
    assert pull.critical == nothing.critical == np.inf
    assert pull.factors.max() < 0.0
    assert len(nothing) == 0
    assert "they only pull" in pull.why_none
    assert "leave no stress" in str(nothing.table())
    assert any("no positive buckling factor" in note for note in result.notes)
    with pytest.raises(dtw.DesignTwinError, match="has no buckling mode to show"):
        nothing.field("displacement")
    assert len(dtw.solve_buckling(model, case="pull", which="positive")["pull"]) == 0
    assert "reversed" in str(pull.table())


def test_bad_input_is_told(reference):
    model, _ = reference
    for options, words in (
        ({"case": "pusch"}, "no static load case 'pusch'"),
        ({"count": 0}, "whole number from 1 on"),
        ({"which": "most"}, "say 'positive', 'negative' or 'both'"),
        ({"dead": "push"}, "nothing to multiply"),
        ({"dead": "push", "case": "push"}, "is dead and is to be multiplied"),
    ):
        with pytest.raises(dtw.ModelError, match=words):
            dtw.solve_buckling(model, **options)
    with pytest.raises(dtw.SingularSystemError):
        dtw.solve_buckling(model.with_(supports=[]))
    heavy = model.with_(materials={"body": elastic(E, 0.3, density=7850.0)}, supports=[dtw.InertiaRelief()])
    with pytest.raises(dtw.ModelError, match="turn over as a whole"):
        dtw.solve_buckling(heavy)


def test_cases_over_time_are_left_out_and_told(reference):
    model, _ = reference
    hot = dtw.Temperature(
        dtw.table(over="time", at=["0 s", "9 s"], values=["20 degC", "90 degC"]), reference="20 degC"
    )
    both = model.with_(materials={"body": elastic(E, 0.3, expansion=12e-6)}).with_case("warming", [hot])
    result = dtw.solve_buckling(both, count=1)
    assert result.cases == ("push",)
    assert any("'warming'" in note and "course in time" in note for note in result.notes)
    for options in ({"case": "warming"}, {"dead": "warming"}):
        with pytest.raises(dtw.ModelError, match="course in time"):
            dtw.solve_buckling(both, **options)
    with pytest.raises(dtw.ModelError, match="nothing to multiply"):
        dtw.solve_buckling(both.with_(load_cases={"warming": [hot]}))


def test_yield_before_buckling_is_told():
    mesh = box("hexahedron20", (4, 1, 1), (0.1, 0.02, 0.02))
    model = column("hexahedron20", (4, 1, 1)).with_(
        mesh=mesh, materials={"body": elastic(E, 0.3, yield_strength=235e6)}
    )
    assert any("reaches yield" in note for note in dtw.solve_buckling(model, count=1).notes)
    slender = column("hexahedron20", (8, 1, 1)).with_(
        materials={"body": elastic(E, 0.3, yield_strength=235e6)}
    )
    assert not any("reaches yield" in note for note in dtw.solve_buckling(slender, count=1).notes)


def test_more_modes_than_unknowns_and_a_single_cell():
    model = column("hexahedron20", (1, 1, 1), 0.3)
    case = dtw.solve_buckling(model, count=500)["push"]
    assert 0 < len(case) < 500
    assert (np.diff(np.abs(case.factors)) >= 0.0).all()
    assert case.residual < 1e-6
