"""Linearized stress is that of closed forms; hot-spot stress leaves the notch out; both know their error."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import RequirementError
from designtwin.mesh import Group, Mesh
from designtwin.requirements.lines import METHODS, linearized
from designtwin.results import stress as tensor

STEEL = dtw.LinearElastic(youngs_modulus="210 GPa", poissons_ratio=0.3, yield_strength="355 MPa")
KINDS = ("membrane", "bending", "membrane+bending", "peak", "total")


# --- the parts of a stress ---------------------------------------------------------------------------------


def along(function):
    """A uniaxial stress zz along a line in x of length 1, 97 points."""
    x = np.linspace(0.0, 1.0, 97)
    out = np.zeros((97, 6))
    out[:, 2] = function(x)
    return out


def parts(function, kind, **options):
    found, _ = linearized(along(function), np.zeros(97), np.array([1.0, 0.0, 0.0]), kind, **options)
    return found[:, 2]


def test_a_cubic_stress_comes_apart_as_its_integrals_say():
    def cubic(x):
        return 3.0 + 2.0 * x - 5.0 * x**2 + 7.0 * x**3

    membrane = 3.0 + 1.0 - 5.0 / 3.0 + 7.0 / 4.0
    # 6 times the integral of f (1/2 - x)
    bending = 6.0 * (membrane / 2.0 - (3.0 / 2.0 + 2.0 / 3.0 - 5.0 / 4.0 + 7.0 / 5.0))
    assert_allclose(parts(cubic, "membrane"), [membrane], rtol=1e-12)
    assert_allclose(parts(cubic, "bending"), [bending, -bending], rtol=1e-6)
    assert_allclose(parts(cubic, "total"), [3.0, 7.0], rtol=1e-12)
    assert_allclose(parts(cubic, "peak"), [3.0 - membrane - bending, 7.0 - membrane + bending], rtol=1e-6)


def test_bending_of_the_annex_leaves_the_components_along_the_line_out():
    stress = np.zeros((97, 6))
    lever = np.linspace(1.0, -1.0, 97)
    stress[:] = lever[:, None] * np.arange(1.0, 7.0)  # xx yy zz xy yz xz, the line along x
    line = np.array([2.0, 0.0, 0.0])
    annex, _ = linearized(stress, np.zeros(97), line, "bending", "5-A")
    every, _ = linearized(stress, np.zeros(97), line, "bending", "all")
    assert_allclose(every[0], np.arange(1.0, 7.0), rtol=1e-3)
    assert_allclose(annex[0], [0.0, 2.0, 3.0, 0.0, 5.0, 0.0], rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bending", ["5-A", "all"])
def test_no_error_within_the_radius_leaves_the_interval_of_a_line(kind, bending):
    rng = np.random.default_rng(11)
    line = np.array([1.0, 2.0, -1.0])
    for _ in range(60):
        stress, radius = rng.normal(size=(97, 6)), 0.2 * rng.random(97)
        center, spread = linearized(stress, radius, line, kind, bending)
        # errors that all pull one way are the worst ones
        off = rng.normal(size=6) + 0.3 * rng.normal(size=(97, 6))
        off *= rng.choice([-1.0, 1.0]) * np.where(np.arange(97) < 48, 1.0, rng.choice([-1.0, 1.0]))[:, None]
        off *= (radius / tensor.norm(off))[:, None]
        moved, _ = linearized(stress + off, radius, line, kind, bending)
        assert (tensor.norm(moved - center) <= spread * (1.0 + 1e-12)).all()
        gap = np.abs(tensor.von_mises(moved) - tensor.von_mises(center))
        assert (gap <= np.sqrt(1.5) * spread * (1.0 + 1e-12)).all()


def test_an_error_along_the_line_counts_where_bending_across_it_cancels_the_mean():
    """At two thirds of the line membrane plus bending of the first end weighs stress across it with 0."""
    radius, off = np.zeros(97), np.zeros((97, 6))
    radius[64] = off[64, 0] = 1.0  # the line along x: xx keeps its mean, and has no bending
    line = np.array([1.0, 0.0, 0.0])
    moved, _ = linearized(off, radius, line, "membrane+bending")
    _, spread = linearized(np.zeros((97, 6)), radius, line, "membrane+bending")
    assert tensor.norm(moved)[0] > 0.0
    assert (tensor.norm(moved) <= spread * (1.0 + 1e-12)).all()


# --- read off models ---------------------------------------------------------------------------------------


def test_lames_cylinder_comes_apart_as_its_integrals_say():
    """ASME's design by analysis of a closed form: a thick cylinder under inner pressure in plane strain."""
    a, b, p, nu = 0.1, 0.16, 20e6, 0.3

    def sector(x):
        r, t = a + (b - a) * x[:, 0], 0.5 * np.pi * x[:, 1]
        return np.column_stack([r * np.cos(t), r * np.sin(t), x[:, 2]])

    def solved(n):
        return dtw.solve_static(
            dtw.Model(
                rectangle("quad8", (n, 3 * n), shape=sector),
                materials={"body": dtw.PlaneStrain(STEEL)},
                supports=[
                    dtw.PrescribedDisplacement(on="ymin", y=0.0),
                    dtw.PrescribedDisplacement(on="ymax", x=0.0),
                ],
                load_cases={"pressure": [dtw.Pressure(on="xmin", magnitude=p)]},
            )
        )

    r = np.linspace(a, b, 20001)
    k = p * a**2 / (b**2 - a**2)
    exact = np.zeros((len(r), 6))
    exact[:, 0], exact[:, 1], exact[:, 2] = k * (1 - b**2 / r**2), k * (1 + b**2 / r**2), 2 * nu * k
    ends = {}
    for kind in KINDS:
        tensors, _ = linearized(exact, np.zeros(len(r)), np.array([1.0, 0.0, 0.0]), kind)
        ends[kind] = float(tensor.von_mises(tensors).max())
    hoop = p * a / (b - a)
    assert_allclose(linearized(exact, np.zeros(len(r)), np.array([1.0, 0, 0]), "membrane")[0][0, 1], hoop)
    c = np.cos(0.25 * np.pi)
    for n, share in ((2, 0.05), (6, 3e-3)):
        result = solved(n)
        for kind in KINDS:
            quantity = dtw.linearized_stress((a * c, a * c), (b * c, b * c), kind)
            value = quantity.evaluate(result)
            assert value.low <= ends[kind] <= value.high, (n, kind)
            assert value.value == pytest.approx(ends[kind], abs=share * ends["total"]), (n, kind)
            if n == 6 and kind != "peak":
                assert value.high - value.low < 0.1 * ends["total"]
    worst = dtw.linearized_stress((a * c, a * c), (b * c, b * c), "total").evaluate(result)
    assert_allclose(worst.place.point, (a * c, a * c, 0.0), atol=1e-9)  # at the bore


def test_a_wall_of_hexahedra_pulled_and_bent_has_what_beam_theory_says():
    """sigma = N/A +- 6 M / (b h^2), patches of a cantilever away from its ends."""
    length, width, height = 0.5, 0.02, 0.04
    model = dtw.Model(
        box("hexahedron20", (20, 1, 4), (length, width, height)),
        materials={"body": STEEL},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "pull": [dtw.Force(on="xmax", value=(8e3, 0.0, 0.0))],
            "bend": [dtw.Force(on="xmax", value=(0.0, 0.0, -400.0))],
            "both": dtw.combine(pull=1.0, bend=2.0),
        },
    )
    result = dtw.solve_static(model)
    x = 0.25
    pull, bend = 8e3 / (width * height), 400.0 * (length - x) * 6.0 / (width * height**2)
    ends = (x, width / 2, 0.0), (x, width / 2, height)
    for case, kind, expected in (
        ("pull", "membrane", pull), ("bend", "bending", bend), ("both", "membrane+bending", pull + 2 * bend),
    ):  # fmt: skip
        value = dtw.linearized_stress(*ends, kind, case=case).evaluate(result)
        assert value.value == pytest.approx(expected, rel=2e-3)
        assert value.low <= expected <= value.high
    envelope = dtw.linearized_stress(*ends, "membrane+bending").evaluate(result)
    assert envelope.case == "both"
    top = dtw.linearized_stress(*ends, "membrane+bending", case="both").evaluate(result)
    assert top.place.point[2] == pytest.approx(height)  # where both pull


def test_lines_that_leave_the_part_are_refused_before_anything_is_solved():
    model = dtw.Model(
        rectangle("quad8", 3), materials={"body": dtw.PlaneStrain(STEEL)},
        supports=[dtw.FixedSupport(on="xmin")], load_cases={"p": [dtw.Pressure(on="xmax", magnitude=1e6)]},
    )  # fmt: skip
    outside = dtw.linearized_stress((0.5, 0.0), (0.5, 1.2)) <= "100 MPa"
    with pytest.raises(RequirementError, match="must run inside the part"):
        dtw.StrengthTest(model, [outside])


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda: dtw.linearized_stress((0, 0, 0), (0, 0, 0)), "no length"),
        (lambda: dtw.linearized_stress((0, 0, 0), (1, 0, 0), "shear"), "membrane"),
        (lambda: dtw.linearized_stress((0,), (1, 0, 0)), "is no point"),
        (lambda: dtw.linearized_stress((0, 0, 0), (1, 0, 0), bending="5-B"), "5-A, all"),
        (lambda: dtw.linearized_stress((0, 0, 0), (1, 0, 0), case=3), "no name of a load case"),
        (lambda: dtw.hot_spot_stress("toe", "x"), "give thickness="),
        (lambda: dtw.hot_spot_stress("toe", "x", "10 mm", method="4 8 12 mm"), "leave thickness out"),
        (lambda: dtw.hot_spot_stress("toe", "x", "0 mm"), "one length"),
        (lambda: dtw.hot_spot_stress("toe", "x", "10 mm", method="0.3t"), "0.4t 1.0t"),
        (lambda: dtw.hot_spot_stress("toe", "x", "10 mm", component="normal"), "perpendicular, principal"),
    ],
)
def test_what_cannot_be_meant_is_refused(write, says):
    with pytest.raises(RequirementError, match=says):
        write()


# --- weld toes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_extrapolation_takes_constant_and_linear_stress_to_the_toe(method):
    how = METHODS[method]
    assert sum(how.factors) == pytest.approx(1.0, abs=1e-12)
    # IIW's factors are rounded to two decimals
    assert np.dot(how.factors, how.at) == pytest.approx(0.0, abs=2.1e-3)
    if len(how.at) == 3:
        assert np.dot(how.factors, np.square(how.at)) == pytest.approx(0.0, abs=1e-9)


def plate_with_gusset(n=2):
    """A plate 10 mm thick along x with a block on it: its toe at x = 60 mm on top is a sharp corner."""
    mm = 1e-3
    whole = box("hexahedron20", (15 * n, 1, 5 * n), (150 * mm, 10 * mm, 50 * mm))
    center = whole.cell_centers
    keep = (center[:, 2] < 10 * mm) | ((center[:, 0] > 60 * mm) & (center[:, 0] < 90 * mm))
    return _kept(whole, keep)


def _kept(mesh, keep):
    conn = mesh.cells["hexahedron20"][keep]
    used = np.unique(conn)
    number = np.full(mesh.n_points, -1)
    number[used] = np.arange(len(used))
    return Mesh(
        points=mesh.points[used], cells={"hexahedron20": number[conn]},
        groups={"body": Group(cells=np.arange(len(conn)))},
    )  # fmt: skip


def pulled_gusset(n=2, bend=0.0):
    mesh = plate_with_gusset(n)
    return dtw.solve_static(
        dtw.Model(
            mesh,
            materials={"body": STEEL},
            supports=[
                dtw.FixedSupport(on=dtw.faces(normal="-x", at="min")),
                dtw.PrescribedDisplacement(on=dtw.faces(normal="-y", at="min"), y=0.0),
            ],
            load_cases={
                "pull": [dtw.Force(on=dtw.faces(normal="+x", at="max"), value=("10 kN", 0.0, bend))],
                "push": [dtw.Force(on=dtw.faces(normal="+x", at="max"), value=("-10 kN", 0.0, bend))],
            },
        )
    )


def test_hot_spot_stress_settles_where_the_toe_itself_does_not():
    toe = dtw.box(("59.9 mm", "-1 mm", "9.9 mm"), ("60.1 mm", "11 mm", "10.1 mm"))
    coarse, fine = pulled_gusset(3), pulled_gusset(6)
    raw = [dtw.stress("xx", on=toe, case="pull").evaluate(one).value for one in (coarse, fine)]
    assert raw[1] > 1.15 * raw[0]  # the notch grows with the mesh
    for method, share in (("0.4t 1.0t", 0.01), ("0.4t 0.9t 1.4t", 0.015)):
        rough, sharp = (
            dtw.hot_spot_stress(toe, "-x", "10 mm", method=method, case="pull").evaluate(one)
            for one in (coarse, fine)
        )
        assert sharp.value == pytest.approx(rough.value, rel=share)
        assert rough.low < sharp.value < rough.high
        # the plate carries 100 MPa, and the block adds little: it is as free to bend as the plate
        assert 100e6 < sharp.value < 115e6
        assert sharp.note == ""
    crude = dtw.hot_spot_stress(toe, "-x", "10 mm", case="pull").evaluate(pulled_gusset(1))
    assert crude.note == "cells are 10 mm long where it is read; 0.4t 1.0t asks for 4 mm at most"


def test_signs_directions_and_the_worst_toe():
    result = pulled_gusset(2)
    toe = ("60 mm", "5 mm", "10 mm")
    pull = dtw.hot_spot_stress(toe, "-x", "10 mm", case="pull").evaluate(result)
    push = dtw.hot_spot_stress(toe, "-x", "10 mm", case="push").evaluate(result)
    assert push.value == pytest.approx(pull.value, rel=1e-9)
    assert (push.low, push.high) == pytest.approx((pull.low, pull.high), rel=1e-9)
    assert push.note.startswith("magnitude; it is -")
    signed = dtw.hot_spot_stress(toe, "-x", "10 mm", over="min").evaluate(result)
    assert signed.case == "push"
    assert signed.value == pytest.approx(-pull.value, rel=1e-9)
    along = dtw.hot_spot_stress(toe, "-x", "10 mm", case="pull", component="principal").evaluate(result)
    assert along.value == pytest.approx(pull.value, rel=0.05)
    assert along.low <= along.value <= along.high


def test_reading_points_must_lie_on_the_surface():
    model = pulled_gusset(2).model
    toe = ("60 mm", "5 mm", "10 mm")
    with pytest.raises(RequirementError, match="off the surface; away="):
        dtw.StrengthTest(model, [dtw.hot_spot_stress(toe, "-z", "10 mm") <= "200 MPa"])
    with pytest.raises(RequirementError, match="off the surface"):
        dtw.StrengthTest(model, [dtw.hot_spot_stress(toe, "-x", "70 mm") <= "200 MPa"])
    verdict = dtw.StrengthTest(model, [dtw.hot_spot_stress(toe, "-x", "10 mm") <= "300 MPa"]).run()
    assert verdict


@pytest.mark.parametrize("upward", [False, True])
def test_a_section_of_a_joint_is_read_on_its_edge(upward):
    """Plane strain, turned or not: pure bending has the same hot-spot stress as beam theory has stress."""
    height, length, moment = 0.01, 0.1, 100.0

    def turned(x):
        return x[:, [1, 0, 2]] * [-1.0, 1.0, 1.0] if upward else x

    mesh = rectangle("quad8", (40, 6), (length, height), shape=turned)
    through = -mesh.points[:, 0] if upward else mesh.points[:, 1]
    push = -12.0 * moment / height**3 * (through - 0.5 * height)  # pressed below the middle, pulled above
    model = dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStrain(STEEL)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"bend": [dtw.Pressure(on="xmax", magnitude=dtw.nodal(push))]},
    )
    result = dtw.solve_static(model)
    toe, away = ((-height, 0.05), "+y") if upward else ((0.05, height), "+x")
    value = dtw.hot_spot_stress(toe, away, height).evaluate(result)
    assert value.value == pytest.approx(6.0 * moment / height**2, rel=2e-3)
    assert value.low <= 6.0 * moment / height**2 <= value.high


def test_over_time_the_worst_instant_counts_and_only_its_error_is_estimated(monkeypatch):
    """A held bar is warmed and cooled again: E alpha dT at the hottest instant, pressed."""
    from designtwin.results.static import StaticCase

    steel = dtw.LinearElastic(youngs_modulus="200 GPa", poissons_ratio=0.0, expansion="10e-6 1/K")
    course = dtw.table(
        over="time", at=["0 s", "10 s", "20 s", "30 s"], values=["20 degC", "70 degC", "120 degC", "40 degC"]
    )
    model = dtw.Model(
        box("hexahedron20", (4, 1, 1), (0.4, 0.1, 0.1)),
        materials={"body": steel},
        supports=[
            *(
                dtw.PrescribedDisplacement(on=side, **{side[0]: 0.0})
                for side in ("xmin", "xmax", "ymin", "zmin")
            )
        ],
        load_cases={"heat": [dtw.Temperature(course)]},
    )
    result = dtw.solve_static(model)
    asked = []
    genuine = StaticCase.expected_stress
    monkeypatch.setattr(
        StaticCase, "expected_stress", lambda case: (asked.append(case.time), genuine(case))[1]
    )
    for quantity in (
        dtw.linearized_stress((0.2, 0.05, 0.0), (0.2, 0.05, 0.1), "membrane"),
        dtw.hot_spot_stress((0.2, 0.05, 0.1), "+x", "20 mm"),
    ):
        asked.clear()
        value = quantity.evaluate(result)
        assert value.instant == pytest.approx(20.0)
        assert value.value == pytest.approx(200e9 * 10e-6 * 100.0, rel=1e-6)
        assert set(asked) == {20.0}
