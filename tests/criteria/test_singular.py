"""Peaks without bound: told by their cause and by how they grow, and not where a mesh is only coarse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import block, box, merged, rectangle

import designtwin as dtw
from designtwin.criteria.singular import Suspicion, corner_exponent, grows, suspicion
from designtwin.mesh import Group, Mesh


def found(exponent: float, *, plain: bool = True) -> Suspicion:
    return Suspicion(cause="a corner", remedy="a radius", exponent=exponent, plain=plain)


@pytest.mark.parametrize(
    ("degrees", "exponent"),
    [(180, 0.0), (225, 0.3264), (240, 0.3843), (270, 0.4555), (300, 0.4878), (315, 0.4950), (360, 0.5)],
)
def test_stress_at_a_free_corner_grows_as_williams_found(degrees, exponent):
    """Exponents 1 - k of Williams (1952), k = 0.6736, 0.6157, 0.5445, 0.5122, 0.5050, 0.5 for mode I."""
    assert corner_exponent(math.radians(degrees)) == pytest.approx(exponent, abs=2e-4)


def test_what_grows_by_the_same_factor_has_no_bound():
    peaks = [100.0 * 2 ** (0.4555 * k) + 40.0 for k in range(5)]  # with stress beside the corner's own
    assert grows(peaks[:2], found(0.4555)) is None
    assert grows(peaks[:3], found(0.4555)) is True
    assert grows(peaks[:3], found(0.15, plain=False)) is None, "three steps where geometry proves nothing"
    assert grows(peaks[:4], found(0.15, plain=False)) is True
    assert grows(peaks[:3], found(2.0)) is None, "too slow for a force on a point: nothing is said"


def test_what_converges_has_a_bound_however_fast_it_grew_before():
    for order in (1.0, 2.0):
        smooth = [100.0 * (1.0 - 0.6 * 2 ** (-order * k)) for k in range(5)]
        assert grows(smooth, found(0.4555)) is False
        assert grows(smooth, found(0.15, plain=False)) is False
    # A notch that the first meshes do not see: peaks of the ellipse of tests/verification/test_refinement.py.
    notch = [41.0, 59.0, 81.0, 102.0, 112.0, 116.3]
    said = [grows(notch[: k + 1], found(0.15, plain=False)) for k in range(len(notch))]
    assert True not in said
    assert said[-1] is False
    assert grows([1.0, 2.0, 1.5], found(0.5)) is False
    assert grows([1.0, math.inf, 2.0], found(0.5)) is None


def ell(element: str, n: int = 4, turn: float = 90.0) -> Mesh:
    """Two unit squares and a third above the left one; the arm hangs so that the sides turn by this angle."""
    lean = -math.tan(math.radians(90.0 - turn))

    def bent(x):
        return np.column_stack([x[:, 0], x[:, 1] + lean * np.maximum(x[:, 0] - 1.0, 0.0), x[:, 2]])

    squares = [((0, 0), "a"), ((1, 0), "b"), ((0, 1), "c")]
    mesh = merged(*(rectangle(element, n, origin=at, shape=bent) for at, _ in squares))
    outside = mesh.exterior
    _, at = mesh.facet_vectors(outside)
    return mesh.with_groups(
        {
            "body": Group(cells=np.arange(mesh.n_cells)),
            "top": Group(facets=outside[at[:, 1] > 2.0 - 1e-9]),
            "end": Group(facets=outside[at[:, 0] > 2.0 - 1e-9]),
        }
    )


def hung(mesh: Mesh, load: object = None) -> dtw.Model:
    material = dtw.material("S355")
    plane = dtw.PlaneStress(material, thickness="10 mm")
    pull = dtw.Force(on="end", value=("0 N", "-10 kN", "0 N")) if load is None else load
    return dtw.Model(
        mesh,
        materials={"body": plane if mesh.dimension == 2 else material},
        supports=[dtw.FixedSupport(on="top")],
        load_cases={"pull": [pull]},
    )


def node_at(mesh: Mesh, *point: float) -> int:
    return int(np.argmin(np.linalg.norm(mesh.points - np.resize([*point, 0.0], 3), axis=1)))


@pytest.mark.parametrize("element", ["triangle", "triangle6", "quad8"])
def test_a_re_entrant_corner_is_found_with_its_angle_and_none_on_a_smooth_side(element):
    result = dtw.solve_static(hung(ell(element)))
    here = suspicion(result, result["pull"], node_at(result.mesh, 1, 1))
    assert here is not None
    assert here.cause == "a sharp re-entrant corner (inside angle 270°)"
    assert here.exponent == pytest.approx(0.4555, abs=1e-4)
    assert suspicion(result, result["pull"], node_at(result.mesh, 0, 0)) is None, "a corner that sticks out"
    assert suspicion(result, result["pull"], node_at(result.mesh, 0, 1)) is None


def test_the_angle_is_that_of_the_mesh():
    result = dtw.solve_static(hung(ell("triangle6", turn=45.0)))
    here = suspicion(result, result["pull"], node_at(result.mesh, 1, 1))
    assert here is not None
    assert "inside angle 225°" in here.cause
    flat = dtw.solve_static(hung(ell("triangle6", turn=20.0)))
    assert suspicion(flat, flat["pull"], node_at(flat.mesh, 1, 1)) is None, "a facet of a curve turns less"


@pytest.mark.parametrize("element", ["triangle6", "tetra10", "hexahedron"])
def test_forces_and_supports_on_points_are_found(element):
    mesh = block(element, 2)
    at = mesh.extents[1] * [0.5, 1.0, 0.5]
    mesh = mesh.with_groups({"tip": Group(nodes=[node_at(mesh, *at)]), "top": mesh.groups["ymin"]})
    result = dtw.solve_static(hung(mesh, dtw.Force(on="tip", value=("0 N", "-1 kN", "0 N"))))
    here = suspicion(result, result["pull"], node_at(mesh, *at))
    assert here is not None
    assert here.cause == "Force on 'tip', a force on a point"
    assert here.exponent == (1.0 if mesh.dimension == 2 else 2.0), "1/r in a plane, 1/r^2 in a solid"


def test_a_support_on_a_point_counts_where_it_carries_something():
    mesh = box("tetra10", 2)
    mesh = mesh.with_groups(
        {"pin": Group(nodes=[node_at(mesh, 1, 1, 1)]), "top": mesh.groups["ymin"], "end": mesh.groups["xmax"]}
    )

    def with_pin(y: bool) -> object:
        model = hung(mesh)
        pin = dtw.PrescribedDisplacement(on="pin", y=0.0) if y else dtw.FixedSupport(on="pin")
        model = model.with_(
            supports=[dtw.PrescribedDisplacement(on="ymin", y=0.0), dtw.FixedSupport(on="zmin"), pin]
        )
        result = dtw.solve_static(model)
        return suspicion(result, result["pull"], node_at(mesh, 1, 1, 1), plain=True)

    held = with_pin(y=True)
    assert isinstance(held, Suspicion)
    assert "a support on a point" in held.cause


def test_symmetry_is_no_border_and_a_clamp_is_one():
    mesh = rectangle("triangle6", 4)

    def at_corner(support: object) -> Suspicion | None:
        model = dtw.Model(
            mesh,
            materials={"body": dtw.PlaneStress(dtw.material("S355"), thickness="1 mm")},
            supports=[support, dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.5, 0.0)), x=0.0, y=0.0)],
            load_cases={"pull": [dtw.Traction(on="xmax", value=("1 MPa", "0 MPa", "0 MPa"))]},
        )
        result = dtw.solve_static(model)
        return suspicion(result, result["pull"], node_at(mesh, 0, 1))

    assert at_corner(dtw.PrescribedDisplacement(on="xmin", x=0.0)) is None
    clamped = at_corner(dtw.FixedSupport(on="xmin"))
    assert clamped is not None
    assert "the border of FixedSupport on 'xmin'" in clamped.cause
    assert not clamped.plain


def test_the_edge_of_a_bond_of_two_materials_is_suspect():
    mesh = rectangle("triangle6", 4)
    left = np.flatnonzero(mesh.cell_centers[:, 0] < 0.5)
    right = np.flatnonzero(mesh.cell_centers[:, 0] > 0.5)
    mesh = mesh.with_groups({"left": Group(cells=left), "right": Group(cells=right)})
    plane = {"left": "S355", "right": "EN AW-6060-T66"}
    model = dtw.Model(
        mesh,
        materials={name: dtw.PlaneStress(dtw.material(of), thickness="1 mm") for name, of in plane.items()},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Traction(on="xmax", value=("1 MPa", "0 MPa", "0 MPa"))]},
    )
    result = dtw.solve_static(model)
    here = suspicion(result, result["pull"], node_at(mesh, 0.5, 1.0))
    assert here is not None
    assert here.cause == "the edge where two materials meet the outside"
    assert suspicion(result, result["pull"], node_at(mesh, 0.5, 0.5)) is None, "inside there is no edge"
