"""From samples to nodes: polynomials exactly, one material at a time, and what files and readers get."""

from __future__ import annotations

import numpy as np
import pytest
from builders import BLOCKS, PLANES, SOLIDS, bar, block, merged, rectangle
from numpy.testing import assert_allclose, assert_array_equal

import designtwin as dtw
from designtwin.assembly import cell_blocks
from designtwin.elements import ELEMENTS
from designtwin.results import Recovery


def recovery_of(element: str, n: int = 3, **options) -> Recovery:
    material = dtw.LinearElastic(youngs_modulus=1.0, poissons_ratio=0.3)
    model = dtw.Model(
        block(element, n, **options),
        materials={"body": material if element in SOLIDS else dtw.PlaneStress(material, thickness=1.0)},
        load_cases={"none": []},
    )
    return Recovery(model.mesh, cell_blocks(model))


def polynomial(x: np.ndarray, degree: int, dimension: int, seed: int = 0) -> np.ndarray:
    """Six random polynomials of full degree at points [n, 3], of order one."""
    rng = np.random.default_rng(seed)
    terms = [np.ones(len(x))]
    terms += [x[:, i] for i in range(dimension)]
    if degree > 1:
        terms += [x[:, i] * x[:, j] for i in range(dimension) for j in range(i, dimension)]
    return np.stack(terms, axis=1) @ rng.uniform(-1, 1, (len(terms), 6))


@pytest.mark.parametrize("element", BLOCKS)
def test_patches_find_fields_of_their_degree(element):
    """Linear for first-order cells, quadratic for the others, at every node of a distorted mesh.

    The slight pull that steadies poor patches costs a hundredth of the quadratic terms at most (at corners
    of the part) and no digit of engineering of the linear ones.
    """
    recovery = recovery_of(element, 4, distort=0.15)
    d, degree = ELEMENTS[element].dimension, ELEMENTS[element].degree
    linear = recovery.recovered(polynomial(recovery.sample_xyz, 1, d))
    assert_allclose(linear, polynomial(recovery.points.xyz, 1, d), atol=2e-5)
    if degree == 2:
        found = recovery.recovered(polynomial(recovery.sample_xyz, 2, d))
        error = np.abs(found - polynomial(recovery.points.xyz, 2, d))
        assert error.max() < 0.03
        assert error[~recovery._outside].max() < 0.004


@pytest.mark.parametrize("element", BLOCKS)
def test_a_constant_stays_constant_in_every_way_of_reading(element):
    recovery = recovery_of(element, 2, distort=0.2)
    value = np.array([1.0, -2.0, 3.0, 4.0, -5.0, 6.0])
    samples = np.tile(value, (len(recovery.sample_xyz), 1))
    for found in (recovery.recovered(samples), recovery.nodal(samples), *recovery.averaged(samples)):
        assert_allclose(found, np.tile(value, (len(recovery.points), 1)), rtol=1e-8)
    for own in recovery.at_cell_nodes(samples):
        assert_allclose(own - value, 0.0, atol=1e-12)


@pytest.mark.parametrize("element", BLOCKS)
def test_average_lies_between_the_cells_and_jump_is_their_spread(element):
    recovery = recovery_of(element, 2)
    samples = np.random.default_rng(0).normal(size=(len(recovery.sample_xyz), 6))
    mean, low, high = recovery.averaged(samples)
    assert (low <= mean + 1e-12).all()
    assert (mean <= high + 1e-12).all()
    own = recovery.at_cell_nodes(samples)[0]
    rows = recovery.points.cells[0][2]
    for row in range(0, len(recovery.points), 5):
        mine = own[rows == row]
        assert_allclose(mean[row], mine.mean(axis=0), atol=1e-12)
        assert_allclose(low[row], mine.min(axis=0), atol=1e-12)
        assert_allclose(high[row], mine.max(axis=0), atol=1e-12)


@pytest.mark.parametrize("element", BLOCKS)
def test_split_undoes_joining_and_measures_fill_the_part(element):
    recovery = recovery_of(element, 2, distort=0.2)
    samples = np.arange(6.0 * len(recovery.sample_xyz)).reshape(-1, 6)
    assert_array_equal(np.concatenate([s.reshape(-1, 6) for s in recovery.split(samples)]), samples)
    (cells,) = recovery.blocks
    assert recovery.measure(cells, recovery.tables[0]).sum() == pytest.approx(1.0, rel=1e-12)


# Two materials


def strip(element: str) -> dtw.Model:
    """Steel under aluminium, stretched alike: each keeps its own stress, E times strain (nu = 0)."""
    lower = block(element, (4, 2, 2), (0.4, 0.1, 0.1))
    upper = block(element, (4, 2, 2), (0.4, 0.1, 0.1), origin=(0.0, 0.1, 0.0))
    mesh = merged(_renamed(lower, "steel"), _renamed(upper, "aluminium"))

    def section(modulus: float) -> object:
        material = dtw.LinearElastic(youngs_modulus=modulus, poissons_ratio=0.0)
        return material if element in SOLIDS else dtw.PlaneStress(material, thickness=0.1)

    ends = dtw.PrescribedDisplacement(on="xmax", x=0.4e-3)
    return dtw.Model(
        mesh,
        materials={"steel": section(210e9), "aluminium": section(70e9)},
        supports=[dtw.FixedSupport(on="xmin"), ends],
        load_cases={"stretch": []},
    )


def _renamed(mesh: dtw.Mesh, name: str) -> dtw.Mesh:
    groups = {key: group for key, group in mesh.groups.items() if key != "body"}
    return dtw.Mesh(mesh.points, mesh.cells, {**groups, name: mesh.groups["body"]})


@pytest.mark.parametrize("element", BLOCKS)
def test_nothing_is_averaged_across_materials(element):
    case = dtw.solve_static(strip(element))["stretch"]
    stress, points = case.stress(), case.points
    for part, modulus in enumerate((210e9, 70e9)):
        rows = points.part == part
        assert_allclose(stress[rows, 0], modulus * 1e-3, rtol=1e-7)
        assert_allclose(case.von_mises()[rows], modulus * 1e-3, rtol=1e-7)
    # Nodes of the interface stand twice, once for each material; all others once.
    interface = np.flatnonzero(np.abs(case.mesh.points[:, 1] - 0.1) < 1e-12)
    assert len(points) == case.mesh.n_points + len(interface)
    for node in interface:
        rows = points.rows_at(np.array([node]))
        assert_array_equal(np.sort(points.part[rows]), [0, 1])
        assert_allclose(np.sort(stress[rows, 0]), [70e6, 210e6], rtol=1e-7)
    # The strain is the same on both sides, and the step between materials is no error of the mesh.
    assert_allclose(case.strain()[:, 0], 1e-3, rtol=1e-7)
    assert case.energy_error < 1e-7
    assert case.jump().max() < 1e-5 * 210e6


def test_probe_and_line_see_the_jump_from_either_side():
    case = dtw.solve_static(strip("quad8"))["stretch"]
    below, above = case.probe([[0.2, 0.0999, 0.0], [0.2, 0.1001, 0.0]], "stress_xx")
    assert below == pytest.approx(210e6, rel=1e-7)
    assert above == pytest.approx(70e6, rel=1e-7)
    distance, values = case.line((0.2, 0.0, 0.0), (0.2, 0.2, 0.0), "stress_xx", n=10)
    assert_allclose(distance, np.linspace(0.0, 0.2, 10))
    assert_allclose(values, np.where(distance < 0.1, 210e6, 70e6), rtol=1e-7)


# Reading


@pytest.mark.parametrize("element", BLOCKS)
def test_probe_interpolates_in_the_cell(element):
    """A linear displacement is read exactly anywhere, one point or many; outside there is nothing to read."""
    mesh = block(element, 2, distort=0.2)
    flat = element in PLANES
    material = dtw.LinearElastic(youngs_modulus=1e9, poissons_ratio=0.3)
    slope = np.array([1e-3, 2e-3, 0.0 if flat else -1e-3])
    model = dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(material, thickness=1.0) if flat else material},
        supports=[
            dtw.PrescribedDisplacement(on=dtw.exterior(), x=lambda p: p @ slope, y=lambda p: 2 * (p @ slope))
        ] + ([] if flat else [dtw.PrescribedDisplacement(on=dtw.exterior(), z=0.0)]),
        load_cases={"field": []},
    )  # fmt: skip
    case = dtw.solve_static(model)["field"]
    x = np.random.default_rng(0).uniform(0.02, 0.98, (20, 3)) * [1, 1, 0 if flat else 1]
    assert_allclose(case.probe(x, "ux"), x @ slope, atol=1e-15)
    assert case.probe(x, "displacement").shape == (20, 3)
    assert case.probe(x[0], "uy") == pytest.approx(2 * x[0] @ slope, abs=1e-15)
    assert isinstance(case.probe(x[0], "uy"), float)
    assert case.probe(("500 mm", "250 mm", "0 mm"), "ux") == pytest.approx(1e-3, rel=1e-9)
    with pytest.raises(dtw.SelectionError):
        case.probe((5.0, 0.5, 0.0), "ux")


@pytest.mark.parametrize("element", BLOCKS)
def test_integral_of_stress_over_a_section_is_the_force(element):
    flat = element in PLANES
    material = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.0)
    model = dtw.Model(
        block(element, (4, 2, 2), (0.4, 0.1, 0.1)),
        materials={"body": dtw.PlaneStress(material, thickness=0.1) if flat else material},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=(5e3, 0.0, 0.0))]},
    )
    case = dtw.solve_static(model)["pull"]
    assert case.integrate("xmin", "stress_xx") == pytest.approx(5e3, rel=1e-7)
    assert case.integrate("xmax", "ux") == pytest.approx(5e3 * 0.4 / 210e9, rel=1e-7)
    moved = case.integrate("ymin", "displacement")
    assert_allclose(moved, [5e5 / 210e9 * 0.4**2 / 2 * 0.1, 0.0, 0.0], rtol=1e-7, atol=1e-15)


def test_integrals_of_rings_go_all_around():
    model = dtw.Model(
        rectangle("quad8", (2, 3), (0.5, 2.0), origin=(1.0, 0.0)),
        materials={"body": dtw.Axisymmetric(dtw.LinearElastic(youngs_modulus=1e9, poissons_ratio=0.0))},
        supports=[dtw.PrescribedDisplacement(on="ymin", y=0.0)],
        load_cases={"press": [dtw.Force(on="ymax", value=(0.0, -1e3, 0.0))]},
    )
    case = dtw.solve_static(model)["press"]
    area = np.pi * (1.5**2 - 1.0**2)
    assert case.integrate("ymin", "stress_yy") == pytest.approx(-1e3, rel=1e-9)
    assert_allclose(case.stress()[:, 1], -1e3 / area, rtol=1e-9)
    assert case.reaction("ymin")[1] == pytest.approx(1e3, rel=1e-9)
    assert case.applied[1] == pytest.approx(-1e3, rel=1e-12)


def test_every_field_is_read_by_name_and_unknown_ones_are_named():
    case = dtw.solve_static(strip("hexahedron"))["stretch"]
    for name in case.field_names:
        field = case.field(name)
        assert field.name == name
        assert field.title
        wanted = case.mesh.n_points if field.location == "points" else len(case.points)
        assert len(field.values) == wanted
        assert np.isfinite(field.values).all()
        if field.error is not None:
            assert len(field.error) == wanted
            assert (field.error >= 0.0).all()
        assert len(case.on_result_points(field)) == len(case.points)
    assert "safety_factor" not in case.field_names  # these materials state no yield strength
    with pytest.raises(dtw.DesignTwinError, match="von_mises"):
        case.field("mises")
    with pytest.raises(dtw.DesignTwinError, match="averaged"):
        case.stress("nodes")
    principal = np.stack([case.field(f"principal_{i}").values for i in (1, 2, 3)], axis=1)
    assert (np.diff(principal, axis=1) <= 1e-6).all()


def test_a_result_of_one_case_stands_for_it_and_of_many_asks_which():
    model = strip("quad")
    one = dtw.solve_static(model)
    assert_array_equal(one.von_mises(), one["stretch"].von_mises())
    assert one.cases == ("stretch",)
    assert len(one) == 1
    two = dtw.solve_static(model.with_case("rest", []))
    with pytest.raises(AttributeError, match=r"result\[case\].von_mises"):
        two.von_mises()
    with pytest.raises(dtw.RequirementError, match="did you mean 'stretch'"):
        two["strech"]
    assert list(two) == ["stretch", "rest"]


def test_cells_of_two_orders_share_a_part():
    """Linear and quadratic plane cells beside each other in one part (a nonmatching edge, but one body)."""
    left, right = rectangle("quad", 2), rectangle("quad8", 2, origin=(1.0, 0.0))
    mesh = merged(left, right)
    material = dtw.LinearElastic(youngs_modulus=1e9, poissons_ratio=0.3)
    model = dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(material, thickness=1.0)},
        supports=[
            dtw.PrescribedDisplacement(
                on=dtw.everything(), x=lambda p: 1e-3 * p[:, 0], y=lambda p: 0 * p[:, 0]
            )
        ],
        load_cases={"field": []},
    )
    case = dtw.solve_static(model)["field"]
    assert_allclose(case.stress()[:, 0], 1e9 / (1 - 0.09) * 1e-3, rtol=1e-7)
    assert {name for name, _, _ in case.points.cells} == {"quad", "quad8"}


def test_bars_have_one_stress_each():
    model = dtw.Model(
        bar(3, 0.3),
        materials={
            "body": dtw.Truss(dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3), area="1 cm2")
        },
        supports=[
            dtw.FixedSupport(on="xmin"),
            dtw.PrescribedDisplacement(on=dtw.everything(), y=0.0),
        ],
        load_cases={"pull": [dtw.Force(on="xmax", value=(1e4, 0.0, 0.0))]},
    )
    case = dtw.solve_static(model)["pull"]
    assert_allclose(case.stress()[:, 0], 1e8, rtol=1e-10)
    assert_allclose(case.stress()[:, 1:], 0.0, atol=1e-3)
    assert_allclose(case.stress_error(), 0.0, atol=1.0)


def test_vtu_holds_every_case_and_field(tmp_path):
    model = strip("hexahedron").with_case("rest", [])
    path = dtw.solve_static(model).to_vtu(tmp_path / "strip.vtu", fields=["von_mises", "displacement"])
    mesh = dtw.read_mesh(path, length_unit="m")
    assert mesh.n_cells == model.mesh.n_cells
    text = path.read_bytes()
    for name in (b"stretch: von_mises", b"rest: displacement", b"part"):
        assert name in text
