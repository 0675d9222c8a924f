"""What natural frequencies obey on any mesh: scaling, turning, added mass and springs, bonds, links."""

from __future__ import annotations

import numpy as np
import pytest
from builders import apart, bar, box, merged, rectangle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.typing import FloatArray

STEEL = {"youngs_modulus": 210e9, "poissons_ratio": 0.3, "density": 7850.0}
CLAMP = dtw.FixedSupport(on="xmin")


def part(mesh, supports=(CLAMP,), connections=(), **material) -> dtw.Model:
    return dtw.Model(
        mesh,
        materials={"body": dtw.LinearElastic(**{**STEEL, **material})},
        supports=list(supports),
        load_cases={},
        connections=list(connections),
    )


def modes(model: dtw.Model, count: int = 5, **options):
    return dtw.solve_modes(model, count=count, **options).modes


@pytest.fixture(scope="module")
def beam():
    return box("hexahedron20", (6, 1, 1), (0.3, 0.02, 0.03))


@pytest.fixture(scope="module")
def clamped(beam):
    return modes(part(beam), 6)


# Scaling and turning


@settings(max_examples=15, deadline=None)
@given(
    stiffer=st.floats(1e-6, 1e3), denser=st.floats(1e-3, 1e3), larger=st.floats(1e-4, 1e3),
    axis=st.tuples(*[st.floats(-1.0, 1.0)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1),
)  # fmt: skip
def test_frequencies_scale_and_do_not_depend_on_axes(beam, clamped, stiffer, denser, larger, axis):
    """f ~ sqrt(E / rho) / size, in any position of the part."""
    w, x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    mesh = beam.moved(larger * beam.points @ turn.T)
    e, rho = STEEL["youngs_modulus"] * stiffer, STEEL["density"] * denser
    case = modes(part(mesh, youngs_modulus=e, density=rho), 6)
    assert_allclose(case.frequencies, clamped.frequencies * np.sqrt(stiffer / denser) / larger, rtol=1e-6)
    # What moves in a mode turns with the part.
    directed = np.einsum("mi,ji->mj", clamped.participation[:, :3], turn) * np.sqrt(denser * larger**3)
    size = np.abs(directed).max()
    assert_allclose(np.abs(case.participation[:, :3]), np.abs(directed), atol=2e-5 * size)


def test_units_are_taken_at_the_door(beam, clamped):
    case = modes(part(beam, youngs_modulus="210 GPa", density="7.85 g/cm3"), 3)
    assert_allclose(case.frequencies, clamped.frequencies[:3], rtol=1e-12)
    top = clamped.frequencies[3] * 1.001
    found = dtw.solve_modes(part(beam), up_to=f"{top / 1e3} kHz").modes
    assert_allclose(found.frequencies, clamped.frequencies[:4], rtol=1e-9)
    assert len(dtw.solve_modes(part(beam), up_to="1 Hz").modes) == 0


# Modes


@pytest.mark.parametrize("solver", [dtw.Direct(), dtw.MultigridCG()], ids=["factors", "multigrid"])
@pytest.mark.parametrize("element", ["tetra10", "hexahedron20", "tetra"])
def test_modes_are_orthonormal_in_mass_and_orthogonal_in_stiffness(element, solver):
    mesh = box(element, (8, 3, 3), (0.2, 0.05, 0.06))
    for supports in ((), (CLAMP,)):
        case = modes(part(mesh, supports), 6, solver=solver)
        k, m, _ = case.dynamics.matrices()
        free = case.dynamics.free
        phi = case.shapes
        assert not phi[~free].any()
        assert_allclose(phi.T @ (m @ phi), np.eye(len(case)), atol=1e-8)
        energy = phi.T @ (k @ phi)
        scale = np.sqrt(np.outer(case.omega2, case.omega2))[case.n_rigid :, case.n_rigid :]
        elastic = energy[case.n_rigid :, case.n_rigid :]
        assert np.abs(elastic / scale - np.eye(len(scale))).max() < 1e-8
        assert np.abs(energy[: case.n_rigid]).max(initial=0.0) < 1e-8 * case.omega2[-1]
        assert (np.diff(case.frequencies) > -1e-6).all()


def test_square_beam_has_pairs_of_equal_frequencies_and_shapes_across():
    case = modes(part(box("hexahedron20", (6, 2, 2), (0.3, 0.03, 0.03))), 6)
    f = case.frequencies
    assert f[1] == pytest.approx(f[0], rel=1e-9)
    tip = np.argmax(case.mesh.points.sum(axis=1))
    u, v = (case[i].displacement[tip, 1:] for i in (0, 1))
    assert abs(u @ v) < 1e-5 * np.linalg.norm(u) * np.linalg.norm(v)
    # A count that would cut the pair gives both.
    assert len(modes(case.model, 1)) == 2


def test_two_loose_pieces_have_twelve_rigid_motions_and_every_frequency_twice():
    one = box("tetra10", (4, 1, 1), (0.2, 0.05, 0.03))
    two = apart(one, box("tetra10", (4, 1, 1), (0.2, 0.05, 0.03), origin=(0.0, 0.1, 0.0)))
    single, both = modes(part(one, ()), 3), modes(part(two, ()), 6)
    assert (single.n_rigid, both.n_rigid) == (6, 12)
    assert_allclose(both.frequencies[12:], np.repeat(single.frequencies[6:], 2), rtol=1e-8)


@pytest.mark.parametrize(
    ("held", "rigid"),
    [
        ([dtw.PrescribedDisplacement(on=dtw.nearest((0.0, 0.0, 0.0)), x=0.0, y=0.0, z=0.0)], 3),
        ([dtw.Symmetry(on="zmin")], 3),
        ([dtw.Symmetry(on="zmin"), dtw.Symmetry(on="ymin")], 1),
        ([dtw.Spring(on="xmin", stiffness=(1e6, 0.0, 0.0))], 3),
        ([dtw.InertiaRelief()], 6),
        ([CLAMP], 0),
    ],
    ids=["ball", "slide", "rail", "spring", "flight", "clamp"],
)
def test_rigid_motions_that_supports_leave_are_counted_and_cost_nothing(beam, held, rigid):
    case = modes(part(beam, held), 2)
    assert case.n_rigid == rigid
    motions = case.shapes[:, :rigid]
    energy = np.einsum("ij,ij->j", motions, case.dynamics.stiffness(motions))
    assert np.abs(energy).max(initial=0.0) < 1e-6 * case.omega2[rigid]
    assert all(mode.is_rigid for mode in list(case)[:rigid])
    assert case.frequencies[rigid] > 1.0


@pytest.mark.parametrize(("section", "rigid"), [("PlaneStress", 3), ("PlaneStrain", 3), ("Axisymmetric", 1)])
def test_plane_parts_have_the_rigid_motions_of_their_plane(section, rigid):
    mesh = rectangle("quad8", (4, 2), (0.2, 0.05), origin=(0.1, 0.0))
    thickness = {"thickness": 0.01} if section == "PlaneStress" else {}
    material = getattr(dtw, section)(dtw.LinearElastic(**STEEL), **thickness)
    model = dtw.Model(mesh, materials={"body": material}, load_cases={})
    case = modes(model, 3)
    assert case.n_rigid == rigid
    volume = {"PlaneStress": 0.2 * 0.05 * 0.01, "PlaneStrain": 0.2 * 0.05,
              "Axisymmetric": np.pi * (0.3**2 - 0.1**2) * 0.05}[section]  # fmt: skip
    assert case.dynamics.total_mass == pytest.approx(7850.0 * volume, rel=1e-9)


def test_effective_masses_of_all_modes_add_up_to_what_the_supports_let_move(beam):
    """Sum over all modes of (phi^T M r)^2 = (M r)_f^T M_ff^-1 (M r)_f, close to the whole mass."""
    case = modes(part(beam), 10_000)
    assert len(case) == case.dynamics.free.sum()
    m = case.dynamics.matrices()[1].toarray()
    free = case.dynamics.free
    for i, axis in enumerate("xyz"):
        pull = case.dynamics.force(case.dynamics.inertia(case.dynamics.base(axis)))
        whole = pull[free] @ np.linalg.solve(m[np.ix_(free, free)], pull[free])
        assert case.effective_mass[:, i].sum() == pytest.approx(whole, rel=1e-8)
    assert (case.effective_mass[:, :3].sum(axis=0) < 1.0 * case.dynamics.total_mass + 1e-9).all()


def test_assurance_criterion_knows_modes_again_and_tells_them_apart(beam, clamped):
    stiffer = modes(part(beam, youngs_modulus=2 * STEEL["youngs_modulus"]), 6)
    same = clamped.mac(stiffer)
    assert_allclose(np.diag(same), 1.0, atol=1e-9)
    assert (same >= 0.0).all()
    assert (same <= 1.0 + 1e-12).all()
    assert same[0, 1] < 1e-6
    # A shape measured at a few points, in other units and with the other sign.
    some = np.full((beam.n_points, 3, 1), np.nan)
    some[::5, :, 0] = -17.0 * clamped[2].displacement[::5]
    assert clamped.mac(some)[2, 0] == pytest.approx(1.0, abs=1e-12)


# More mass, more stiffness


@settings(max_examples=12, deadline=None)
@given(mass=st.floats(1e-3, 1e3), at=st.tuples(st.floats(0.1, 0.3), st.floats(0, 0.02), st.floats(0, 0.03)))
def test_added_mass_lowers_frequencies_and_keeps_them_between_their_neighbors(beam, clamped, mass, at):
    """Each lies between the old one and the third below it, as a mass moves in three ways (Courant)."""
    heavy = modes(part(beam, (CLAMP, dtw.PointMass(on=dtw.nearest(at), mass=mass))), 6)
    old, new = clamped.frequencies, heavy.frequencies
    assert (new <= old * (1 + 1e-7)).all()
    assert (new[3:] >= old[:-3] * (1 - 1e-7)).all()
    assert heavy.dynamics.total_mass == pytest.approx(clamped.dynamics.total_mass + mass, rel=1e-9)


@settings(max_examples=12, deadline=None)
@given(stiffness=st.floats(1.0, 1e10), axis=st.integers(0, 2))
def test_a_spring_raises_frequencies_at_most_to_the_next(beam, clamped, stiffness, axis):
    k = np.zeros(3)
    k[axis] = stiffness
    held = modes(part(beam, (CLAMP, dtw.Spring(on=dtw.nearest((0.3, 0.0, 0.0)), stiffness=tuple(k)))), 5)
    old, new = clamped.frequencies, held.frequencies[:5]
    assert (new >= old[:5] * (1 - 1e-7)).all()
    assert (new <= old[1:6] * (1 + 1e-7)).all()


def compliance(mesh, force: FloatArray, moment: FloatArray, **options) -> FloatArray:
    """Displacement and rotation [6] of a rigid end face about its middle under a force and a moment."""
    middle = (0.3, 0.01, 0.015)
    model = part(mesh, connections=[dtw.RigidLink(on="xmax")], **options).with_(
        load_cases={"tip": [dtw.RemoteForce(on="xmax", at=middle, value=tuple(force)),
                            dtw.Moment(on="xmax", value=tuple(moment))]}
    )  # fmt: skip
    case = dtw.solve_static(model)["tip"]
    nodes = model.region("xmax").nodes
    x, u = mesh.points[nodes] - middle, case.displacement[nodes]
    rows = np.zeros((len(nodes), 3, 6))
    rows[:, 0, 0] = rows[:, 1, 1] = rows[:, 2, 2] = 1.0
    rows[:, 1, 3], rows[:, 2, 3] = -x[:, 2], x[:, 1]
    rows[:, 0, 4], rows[:, 2, 4] = x[:, 2], -x[:, 0]
    rows[:, 0, 5], rows[:, 1, 5] = -x[:, 1], x[:, 0]
    return np.linalg.lstsq(rows.reshape(-1, 6), u.ravel(), rcond=None)[0]


def test_heavy_body_on_a_light_beam_swings_as_six_unknowns_do(beam):
    """A mass off the rigid end, with its inertia: eigenvalues of a 6 x 6 stiffness and mass."""
    mass, center = 5.0, np.array([0.36, 0.03, 0.0])
    inertia = (0.02, 0.03, 0.05)
    flexibility = np.column_stack([compliance(beam, e[:3], e[3:]) for e in np.eye(6)])
    assert_allclose(flexibility, flexibility.T, atol=1e-6 * np.abs(flexibility).max())
    arm = center - [0.3, 0.01, 0.015]
    cross = np.array([[0, -arm[2], arm[1]], [arm[2], 0, -arm[0]], [-arm[1], arm[0], 0]])
    body = np.block(
        [[mass * np.eye(3), -mass * cross], [mass * cross, np.diag(inertia) - mass * cross @ cross]]
    )
    omega2 = np.sort(1 / np.linalg.eigvals(flexibility @ body).real)
    model = part(
        beam,
        (CLAMP, dtw.PointMass(on="xmax", mass=mass, at=tuple(center), inertia=inertia)),
        connections=[dtw.RigidLink(on="xmax")],
        density=1e-3,
    )
    assert_allclose(modes(model, 6).omega2, omega2, rtol=1e-4)


def test_free_mass_on_a_spring_between_two_bodies_beats_as_their_reduced_mass():
    """Two stiff blocks joined by a bar: omega^2 = k (1 / m1 + 1 / m2); the rest is rigid."""
    length, area, e = 0.5, 1e-4, 70e9
    model = dtw.Model(
        bar(1, length),
        materials={
            "body": dtw.Truss(
                dtw.LinearElastic(youngs_modulus=e, poissons_ratio=0.3, density=1e-6), area=area
            )
        },
        supports=[
            dtw.PrescribedDisplacement(on="body", y=0.0),
            dtw.PointMass(on="xmin", mass=2.0),
            dtw.PointMass(on="xmax", mass=3.0),
        ],
        load_cases={},
    )
    case = modes(model, 1)
    assert case.n_rigid == 1
    assert case.omega2[1] == pytest.approx(e * area / length * (1 / 2 + 1 / 3), rel=1e-6)


# Bonds and links


@pytest.mark.parametrize("element", ["tetra10", "hexahedron20"])
def test_bonded_halves_of_unlike_meshes_sound_as_one_piece(element):
    left = box(element, (4, 2, 2), (0.1, 0.04, 0.03))
    right = box(element, (4, 3, 3), (0.1, 0.04, 0.03), origin=(0.1, 0.0, 0.0))
    seam = dtw.plane((0.1, 0.0, 0.0), "x")
    tie = dtw.Tie(a=dtw.faces(normal="+x") & seam, b=dtw.faces(normal="-x") & seam)
    whole = merged(left, box(element, (4, 2, 2), (0.1, 0.04, 0.03), origin=(0.1, 0.0, 0.0)))
    for supports, rigid in (((), 6), ((dtw.FixedSupport(on=dtw.plane((0.0, 0.0, 0.0), "x")),), 0)):
        one = modes(part(whole, supports), 4)
        bonded = modes(part(apart(left, right), supports, [tie]), 4)
        assert one.n_rigid == bonded.n_rigid == rigid
        assert_allclose(bonded.frequencies[rigid:], one.frequencies[rigid:], rtol=1e-2)


def test_bonded_halves_of_like_meshes_sound_exactly_as_one_piece():
    left = box("hexahedron20", (4, 2, 2), (0.1, 0.04, 0.03))
    right = box("hexahedron20", (4, 2, 2), (0.1, 0.04, 0.03), origin=(0.1, 0.0, 0.0))
    seam = dtw.plane((0.1, 0.0, 0.0), "x")
    tie = dtw.Tie(a=dtw.faces(normal="+x") & seam, b=dtw.faces(normal="-x") & seam)
    one = modes(part(merged(left, right), ()), 4)
    bonded = modes(part(apart(left, right), (), [tie]), 4)
    assert_allclose(bonded.frequencies[6:], one.frequencies[6:], rtol=1e-7)


def test_skew_slides_hold_what_straight_ones_hold(beam):
    """Symmetry on a face that is turned by 30 degrees leaves the same frequencies and rigid motions."""
    straight = modes(part(beam, (dtw.Symmetry(on="zmin"), CLAMP)), 4)
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turned = beam.moved(beam.points @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T)
    assert_allclose(
        modes(part(turned, (dtw.Symmetry(on="zmin"), CLAMP)), 4).frequencies, straight.frequencies, rtol=1e-8
    )
    slide = modes(part(turned, (dtw.Symmetry(on="zmin"),)), 4)
    assert slide.n_rigid == 3


# Statics and modes


def test_static_answer_is_the_sum_over_all_modes(beam):
    """u = sum of phi (phi^T f) / omega^2 (Rayleigh)."""
    model = part(beam).with_(load_cases={"tip": [dtw.Force(on="xmax", value=(1.0, 2.0, 3.0))]})
    u = dtw.solve_static(model)["tip"].displacement
    case = modes(model, 10_000)
    f = case.dynamics.force(model.cases["tip"].loads[0].nodal_forces(model))
    assert_allclose(
        case.dynamics.displacement(case.shapes @ ((case.shapes.T @ f) / case.omega2)),
        u,
        atol=1e-9 * np.abs(u).max(),
    )


def test_base_loads_and_supports_of_a_mode_balance(beam, clamped):
    for mode in clamped:
        assert mode.imbalance < 1e-9
        assert mode.residual < 1e-6
        assert np.linalg.norm(mode.reactions.sum(axis=0) + mode.applied) < 1e-6 * np.abs(mode.reactions).sum()


# Parts that lose digits


def test_slender_bar_keeps_its_digits():
    """Length 200 times the width, K over fifteen decades: clamped and free as beam theory says."""
    mesh = box("hexahedron20", (60, 1, 1), (2.0, 0.01, 0.01))
    for supports, roots in (((CLAMP,), (1.8751041, 4.6940911, 7.8547574)), ((), (4.7300407, 7.8532046))):
        case = modes(part(mesh, supports), 2 * len(roots))
        found = case.frequencies[case.n_rigid :: 2]
        rate = np.sqrt(210e9 * 0.01**2 / (12 * 7850.0)) / (2 * np.pi * 2.0**2)
        assert_allclose(found[: len(roots)], np.square(roots) * rate, rtol=3e-3)
        assert_allclose(case.frequencies[case.n_rigid + 1 :: 2][: len(roots)], found[: len(roots)], rtol=2e-6)
        assert "Sturm count" in case.checked


def test_free_thin_plate_has_the_frequencies_of_plate_theory():
    """Square, 500 times as wide as thick: Leissa's 13.47, 19.60, 24.27 for nu = 0.3 (NASA SP-160, 1969)."""
    mesh = box("hexahedron20", (12, 12, 1), (1.0, 1.0, 0.002))
    case = modes(part(mesh, ()), 3)
    assert case.n_rigid == 6
    stiffness = np.sqrt(210e9 * 0.002**2 / (12 * (1 - 0.3**2) * 7850.0)) / (2 * np.pi)
    assert_allclose(case.frequencies[6:9], np.array([13.468, 19.596, 24.270]) * stiffness, rtol=8e-3)


def test_body_on_very_soft_springs_has_six_slow_modes_and_those_of_a_free_one():
    """Eight decades between stiffness of the springs and of the part."""
    mesh = box("tetra10", (6, 2, 2), (0.2, 0.05, 0.05))
    free = modes(part(mesh, ()), 2)
    soft = modes(part(mesh, (dtw.Spring(on="zmin", stiffness=(1.0, 1.0, 1.0)),)), 8)
    assert soft.n_rigid == 0
    assert soft.frequencies[5] < 1.0
    mass = soft.dynamics.total_mass
    assert (soft.omega2[:6] * mass).max() < 4.0
    assert_allclose(soft.frequencies[6:8], free.frequencies[6:8], rtol=1e-6)


# What has no answer


def test_bad_input_is_told(beam):
    light = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3)
    for model, options, error, words in (
        (part(beam).with_(materials={"body": light}), {}, dtw.MissingPropertyError, "density"),
        (part(beam), {"count": 0}, dtw.ModelError, "1 or more"),
        (part(beam), {"count": 3, "up_to": 50.0}, dtw.ModelError, "not both"),
        (part(beam), {"up_to": "-5 Hz"}, dtw.ModelError, "above 0"),
        (part(beam), {"up_to": "3 mm"}, dtw.UnitError, "frequency"),
        (part(beam), {"prestress": "wind"}, dtw.ModelError, "no load case 'wind'"),
        (part(beam, (dtw.FixedSupport(on="body"),)), {}, dtw.ModelError, "nothing can vibrate"),
    ):
        with pytest.raises(error, match=words):
            dtw.solve_modes(model, **options)


def test_bars_that_fold_without_effort_are_refused():
    model = dtw.Model(
        bar(3),
        materials={"body": dtw.Truss(dtw.LinearElastic(**STEEL), area=1e-4)},
        supports=[dtw.PrescribedDisplacement(on=end, x=0.0, y=0.0) for end in ("xmin", "xmax")],
        load_cases={},
    )
    with pytest.raises(dtw.SingularSystemError):
        dtw.solve_modes(model, count=1)


def test_inverted_cells_are_refused(beam):
    with pytest.raises(dtw.MeshError, match="inverted"):
        dtw.solve_modes(part(beam.moved(beam.points * [1.0, 1.0, -1.0])), count=1)
