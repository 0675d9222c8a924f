"""Springs, dampers and masses that act through a point, and how rigid bodies swing on them."""

import builders
import numpy as np
import pytest
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.model.domains import rigid_motions
from designtwin.plain import Plain

STEEL = dtw.material("S355")
MESHES = {
    "hexahedron": builders.box("hexahedron", (2, 2, 1), (0.3, 0.2, 0.1)),
    "tetra10": builders.box("tetra10", 1, (0.3, 0.2, 0.1), distort=0.0),
    "hexahedron20": builders.box("hexahedron20", (2, 1, 1), (0.3, 0.2, 0.1)),
    "quad8": builders.rectangle("quad8", (2, 2), (0.3, 0.2)),
}


def part(mesh, *supports, **options):
    of = STEEL if mesh.dimension == 3 else dtw.PlaneStress(STEEL, thickness="1 mm")
    return dtw.Model(mesh, {"body": of}, supports=supports, **options)


def rigid(model):
    """Unit rigid motions about the origin, float64[n_points, 3, m]."""
    return rigid_motions(model.mesh.points, model.dimension, model.axisymmetric)


def matrix(model, matrices):
    """Matrices added up over all displacements, float64[3 n_points, 3 n_points]."""
    n = model.mesh.n_points
    out = np.zeros((3 * n, 3 * n))
    for one in matrices:
        for nodes, values in zip(one.nodes, one.values, strict=True):
            at = (3 * nodes[:, None] + np.arange(3)).ravel()
            out[np.ix_(at, at)] += values
    return out


def energy(model, matrices, motion):
    u = np.asarray(motion).reshape(3 * model.mesh.n_points, -1)
    return np.squeeze(np.einsum("im,in->mn", u, matrix(model, matrices) @ u))


# Masses


@pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
@pytest.mark.parametrize("inertia", [None, (0.02, 0.03, 0.04), (0.02, 0.03, 0.04, 2e-3, -1e-3, 3e-3)])
def test_the_mass_matrix_of_a_point_mass_is_that_of_a_rigid_body(mesh, inertia):
    """Kinetic energy of any rigid motion: m v^2 + w.J w, with v that of its center of gravity."""
    at = np.array([0.5, 0.1, 0.25]) if mesh.dimension == 3 else np.array([0.5, 0.1, 0.0])
    mass = dtw.PointMass(on="xmax", mass="2.5 kg", at=at, inertia=inertia)
    model = part(mesh, mass)
    motions = rigid(model)
    j = np.zeros(6)
    j[: len(inertia or ())] = inertia or ()
    tensor = np.array([[j[0], j[3], j[5]], [j[3], j[1], j[4]], [j[5], j[4], j[2]]])
    v = rigid_motions(at[None], model.dimension, False)[0]
    w = np.zeros_like(v)
    turns = [2] if model.dimension == 2 else [0, 1, 2]
    w[turns, -len(turns) + np.arange(len(turns))] = 1.0
    expected = 2.5 * v.T @ v + w.T @ tensor @ w
    found = energy(model, mass.mass_matrices(model), motions)
    assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
@pytest.mark.parametrize(
    "options",
    [{}, {"at": (0.4, 0.1, 0.0)}, {"at": (0.4, 0.1, 0.0), "inertia": (0.02, 0.02, 0.03)}],
    ids=["spread", "at a point", "with inertia"],
)
def test_inertia_forces_are_the_mass_matrix_times_the_acceleration(mesh, options):
    mass = dtw.PointMass(on="xmax", mass="2.5 kg", **options)
    model = part(mesh, mass)
    product = matrix(model, mass.mass_matrices(model)) @ rigid(model).reshape(3 * mesh.n_points, -1)
    for column, motion in zip(product.T, np.moveaxis(rigid(model), 2, 0), strict=True):
        number = next(
            i for i in range(6) if np.array_equal(motion, rigid_motions(mesh.points, 3, False)[..., i])
        )
        forces = mass.inertia_forces(model, lambda x, i=number: rigid_motions(x, 3, False)[..., i])
        forces[:, model.dimension :] = 0.0
        assert_allclose(column.reshape(-1, 3), forces, atol=1e-12 * np.abs(forces).max())


def test_a_spinning_body_askew_gives_its_gyroscopic_moment():
    """Centrifugal acceleration of a body whose axes are not those of the spin: moment w x J w about it."""
    mesh = builders.box("hexahedron", 1)
    at, spin = np.array([1.5, 0.4, 0.7]), np.array([0.0, 0.0, 30.0])
    tensor = np.array([[0.02, 2e-3, 3e-3], [2e-3, 0.03, -1e-3], [3e-3, -1e-3, 0.04]])
    mass = dtw.PointMass(on="xmax", mass=2.0, at=at, inertia=(0.02, 0.03, 0.04, 2e-3, -1e-3, 3e-3))
    model = part(mesh, mass)
    forces = -mass.inertia_forces(model, lambda x: np.cross(spin, np.cross(spin, x)))
    moment = np.cross(mesh.points - at, forces).sum(axis=0)
    assert_allclose(moment, -np.cross(spin, tensor @ spin), rtol=1e-10, atol=1e-10)
    assert_allclose(forces.sum(axis=0), 2.0 * 900.0 * np.array([1.5, 0.4, 0.0]), rtol=1e-12, atol=1e-9)


def test_inertia_relief_counts_the_turning_of_attached_bodies():
    mesh = builders.box("tetra10", 1, (0.3, 0.2, 0.1))
    mass = dtw.PointMass(on="xmax", mass="5 kg", at=(0.5, 0.1, 0.3), inertia=(0.2, 0.3, 0.4))
    push = dtw.Force(on="zmax", value=("0 N", "0 N", "100 N"))
    model = part(mesh, mass, dtw.InertiaRelief(), load_cases={"push": [push]})
    force, moment = dtw.resultant(model.cases["push"].loads, model)
    assert_allclose(force, 0.0, atol=1e-9)
    # The balance is of forces through the nodes and of the body's own spin, of which nodes have the moment.
    assert_allclose(moment, 0.0, atol=1e-8)


# Springs


@pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
@pytest.mark.parametrize("kind", ["axial", "bushing"])
def test_springs_between_two_places_resist_no_rigid_motion(mesh, kind):
    options = (
        {"stiffness": "500 N/mm"} if kind == "axial"
        else {"stiffness": (1e5, 2e5, 3e5), "rotational": (0.0, 0.0, 50.0)}
    )  # fmt: skip
    spring = dtw.Spring(on="xmin", to="ymax", **options)
    model = part(mesh, spring)
    found = energy(model, spring.matrices(model), rigid(model))
    assert np.abs(found).max() < 1e-9 * np.abs(matrix(model, spring.matrices(model))).max()
    assert np.abs(matrix(model, spring.matrices(model))).max() > 1e3


def test_an_axial_spring_feels_the_change_of_its_length_alone():
    mesh = builders.apart(
        builders.box("tetra10", 1), builders.box("tetra10", 1, origin=(3.0, 1.0, 0.5))
    )  # fmt: skip
    start, end = (1.2, 0.6, 0.4), (3.0, 1.4, 0.9)
    sides = dtw.faces(normal="+x", at=1.0), dtw.faces(normal="-x", at=3.0)
    spring = dtw.Spring(on=sides[0], to=sides[1], stiffness="7 kN/m", at=start, to_at=end)
    model = part(mesh, spring)
    far = mesh.points[:, 0] > 2.0
    line = np.subtract(end, start) / np.linalg.norm(np.subtract(end, start))
    motion = rigid_motions(mesh.points, 3, False)
    motion[~far] = 0.0  # one body moves against the other
    v = line @ rigid_motions(np.array([end]), 3, False)[0]
    assert_allclose(
        energy(model, spring.matrices(model), motion), 7e3 * np.outer(v, v), rtol=1e-10, atol=1e-9
    )


def test_a_bushing_acts_at_its_point_and_along_its_axes():
    mesh = builders.box("hexahedron20", (1, 2, 2))
    axes = dtw.Cartesian(x=(1.0, 1.0, 0.0), xy=(-1.0, 1.0, 0.0))
    at = np.array([1.5, 0.2, 0.9])
    spring = dtw.Spring(
        on="xmax", stiffness=(1e5, 2e5, 3e5), rotational=(10.0, 20.0, 30.0), coordinates=axes, at=at
    )
    model = part(mesh, spring)
    q = axes.axes(at)
    v = rigid_motions(at[None], 3, False)[0]
    w = np.hstack([np.zeros((3, 3)), np.eye(3)])
    expected = v.T @ q.T @ np.diag([1e5, 2e5, 3e5]) @ q @ v + w.T @ q.T @ np.diag([10.0, 20.0, 30.0]) @ q @ w
    found = energy(model, spring.matrices(model), rigid(model))
    assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * expected.max())


def test_a_damper_has_the_matrix_of_the_like_spring_and_holds_nothing():
    mesh = builders.box("tetra10", 1)
    for options in (
        {}, {"at": (1.2, 0.5, 0.5)}, {"to": "xmin"}, {"rotational": (1.0, 2.0, 3.0)},
    ):  # fmt: skip
        damper = dtw.Damper(on="xmax", damping=(10.0, 20.0, 30.0), **options)
        spring = dtw.Spring(on="xmax", stiffness=(10.0, 20.0, 30.0), **options)
        model = part(mesh, damper)
        assert_allclose(
            matrix(model, damper.damping_matrices(model)), matrix(model, spring.matrices(model)), atol=1e-15
        )
        assert damper.matrices(model) == [] == spring.damping_matrices(model)
        assert not damper.is_base(model)


def test_two_parts_on_a_spring_move_apart_by_force_over_stiffness():
    first = builders.box("hexahedron", (2, 1, 1))
    mesh = builders.apart(first, builders.box("hexahedron", (2, 2, 1), origin=(2.0, 0.0, 0.0)))
    faces = dtw.faces(normal="+x", at=1.0), dtw.faces(normal="-x", at=2.0)
    bushing = dtw.Spring(on=faces[0], to=faces[1], stiffness=("1 kN/m", "1 kN/m", "1 kN/m"),
                         rotational=(1e3, 1e3, 1e3))  # fmt: skip
    pull = dtw.Force(on=dtw.faces(normal="+x", at=3.0), value=("5 N", "0 N", "0 N"))
    model = dtw.Model(
        mesh, {"body": STEEL}, load_cases={"pull": [pull]},
        supports=[dtw.FixedSupport(on=dtw.faces(normal="-x", at=0.0)), bushing],
    )  # fmt: skip
    case = dtw.solve_static(model)["pull"]
    assert_allclose(case.displacement[mesh.points[:, 0] >= 2.0, 0], 5.0 / 1e3, rtol=1e-6)
    assert_allclose(case.reaction(dtw.faces(normal="-x", at=0.0)), [-5.0, 0.0, 0.0], atol=1e-6)


def test_an_axial_spring_alone_leaves_the_other_motions_free_and_they_are_named():
    mesh = builders.apart(
        builders.box("hexahedron", 1), builders.box("hexahedron", 1, origin=(2.0, 0.0, 0.0))
    )  # fmt: skip
    faces = dtw.faces(normal="+x", at=1.0), dtw.faces(normal="-x", at=2.0)
    model = dtw.Model(
        mesh, {"body": STEEL}, load_cases={"pull": []},
        supports=[
            dtw.FixedSupport(on=dtw.faces(normal="-x", at=0.0)),
            dtw.Spring(on=faces[0], to=faces[1], stiffness="1 kN/m"),
        ],
    )  # fmt: skip
    with pytest.raises(dtw.SingularSystemError, match="translate along y and z"):
        dtw.solve_static(model)


# Rigid bodies on springs


def test_a_rigid_body_on_a_bushing_swings_at_its_six_frequencies():
    """Closed form: sqrt(k / m) and sqrt(kr / J), of a block with a heavier body beside it on a rigid face."""
    size = np.array([0.3, 0.2, 0.1])
    mesh = builders.box("tetra10", 1, size)
    center, density = 0.5 * size, 1000.0
    block = density * size.prod()
    own = block / 12.0 * (size @ size - size**2)
    at, extra, turning = center + np.array([0.25, 0.0, 0.0]), 4.0, np.array([0.05, 0.06, 0.07])
    total = block + extra
    middle = (block * center + extra * at) / total
    parallel = [m * (np.dot(d, d) - d**2) for m, d in ((block, center - middle), (extra, at - middle))]
    tensor = own + turning + sum(parallel)
    k, kr = np.array([1e5, 2e5, 3e5]), np.array([900.0, 1000.0, 1100.0])
    model = dtw.Model(
        mesh,
        {"body": dtw.LinearElastic(youngs_modulus="210 GPa", poissons_ratio=0.3, density=density)},
        supports=[
            dtw.Spring(on="xmin", stiffness=k, rotational=kr, at=middle),
            dtw.PointMass(on="xmax", mass=extra, at=at, inertia=turning),
        ],
        connections=[dtw.RigidLink(on="body")],
    )
    modes = dtw.solve_modes(model, count=6).modes
    expected = np.sort(np.sqrt(np.concatenate([k / total, kr / tensor]))) / (2.0 * np.pi)
    assert_allclose([mode.frequency for mode in modes], expected, rtol=1e-8)


def test_two_masses_on_a_spring_in_flight_swing_at_the_reduced_mass():
    mesh = builders.apart(
        builders.box("hexahedron", 1), builders.box("hexahedron", 1, origin=(2.0, 0.0, 0.0))
    )  # fmt: skip
    faces = dtw.faces(normal="+x", at=1.0), dtw.faces(normal="-x", at=2.0)
    model = dtw.Model(
        mesh, {"body": dtw.LinearElastic(youngs_modulus="210 GPa", poissons_ratio=0.3, density=1000.0)},
        supports=[
            dtw.Spring(on=faces[0], to=faces[1], stiffness=(1e6, 0.0, 0.0)),
            dtw.PointMass(on=dtw.faces(normal="+x", at=3.0), mass=500.0),
        ],
    )  # fmt: skip
    modes = dtw.solve_modes(model, count=1).modes
    assert modes.n_rigid == 11  # twelve motions of two bodies less that of the spring
    reduced = 1.0 / (1.0 / 1000.0 + 1.0 / 1500.0)
    assert_allclose(modes[11].frequency, np.sqrt(1e6 / reduced) / (2.0 * np.pi), rtol=1e-4)


# Statements


BAD = {
    "one value needs another end": ({"stiffness": 1e3}, "name the other by to="),
    "neither": ({}, "give stiffness="),
    "two values": ({"stiffness": (1.0, 2.0)}, "wants 3 values"),
    "negative": ({"stiffness": (1.0, -2.0, 0.0)}, "below zero is no spring"),
    "negative turning": ({"rotational": (1.0, -2.0, 0.0)}, "below zero is no spring"),
    "unit": ({"stiffness": "3 N"}, "a stiffness is wanted"),
    "three values at two ends": ({"stiffness": (1.0, 1.0, 1.0), "to_at": (0, 0, 1)}, "act at one point"),
    "one value turned": ({"stiffness": 1.0, "to": "xmin", "rotational": (1, 1, 1)}, "has no rotational="),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_springs_that_make_no_sense_are_refused(options, message):
    with pytest.raises(dtw.DesignTwinError, match=message):
        dtw.Spring(on="xmax", **options)


PLACES = {
    "ends coincide": (
        dtw.Spring(on="xmax", stiffness=1e3, to="xmin", at=(0, 0, 0), to_at=(0, 0, 0)), "ends coincide"
    ),
    "itself": (dtw.Spring(on="xmax", stiffness=(1, 1, 1), to="xmax"), "joins a region to itself"),
    "a point has no moment": (
        dtw.Spring(on=dtw.nearest((1, 1, 1)), stiffness=(1, 1, 1), at=(2, 2, 2)), "select a face"
    ),
    "unknown end": (dtw.Spring(on="xmax", stiffness=(1, 1, 1), to="xmxi"), "xmxi"),
    "mass off a point": (dtw.PointMass(on=dtw.nearest((1, 1, 1)), mass=1, at=(2, 2, 2)), "cannot carry"),
    "turning of a point": (
        dtw.PointMass(on=dtw.nearest((1, 1, 1)), mass=1, at=(1, 1, 1), inertia=(1, 1, 1)), "cannot carry"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("item", "message"), PLACES.values(), ids=PLACES)
def test_places_that_cannot_take_what_is_fastened_are_refused(item, message):
    with pytest.raises(dtw.DesignTwinError, match=message):
        part(builders.box("hexahedron", 1), item)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inertia": (1, 1, 1)}, "state that by at="),
        ({"inertia": (1, 1), "at": (0, 0, 0)}, "three values"),
        ({"inertia": (1, 1, 3), "at": (0, 0, 0)}, "no body has the inertia"),
        ({"inertia": (-1, 1, 1), "at": (0, 0, 0)}, "no body has the inertia"),
        ({"inertia": "3 kg", "at": (0, 0, 0)}, "mass moment of inertia"),
    ],
)
def test_inertia_that_no_body_has_is_refused(options, message):
    with pytest.raises(dtw.DesignTwinError, match=message):
        dtw.PointMass(on="xmax", mass=1.0, **options)


def test_a_mass_on_a_node_at_its_own_center_is_that_of_the_node():
    mesh = builders.box("hexahedron", 1)
    mass = dtw.PointMass(on=dtw.nearest((1, 1, 1)), mass=3.0, at=(1, 1, 1))
    model = part(mesh, mass)
    assert_allclose(np.diag(matrix(model, mass.mass_matrices(model))).max(), 3.0)
    assert_allclose(matrix(model, mass.mass_matrices(model)).sum(), 9.0)


def test_plane_models_turn_about_z_alone():
    mesh = builders.rectangle("quad", 1)
    with pytest.raises(dtw.ModelError, match="turns about z only"):
        part(mesh, dtw.Spring(on="xmax", rotational=(1.0, 0.0, 0.0)))
    part(mesh, dtw.Spring(on="xmax", rotational=(0.0, 0.0, 1.0)))


def test_a_point_joined_to_more_nodes_than_memory_takes_is_refused(monkeypatch):
    from designtwin.model import domains

    monkeypatch.setattr(domains, "free_bytes", lambda: 1e5)
    model = part(builders.box("hexahedron", 4), dtw.PointMass(on="xmax", mass=1.0, at=(2, 0, 0)))
    with pytest.raises(dtw.ResourceError, match="25 nodes couples each with each"):
        dtw.solve_modes(model)


def test_what_is_fastened_is_plain_data_and_keeps_its_hash():
    items = [
        dtw.Spring(on="a", stiffness=(1, 2, 3)), dtw.Spring(on="a", to="b", stiffness=5.0, at=(0, 0, 1)),
        dtw.Damper(on="a", damping=(1, 2, 3), rotational=(1, 1, 1)),
        dtw.PointMass(on="a", mass=1.0, at=(0, 0, 0), inertia=(1, 1, 1)),
    ]  # fmt: skip
    for item in items:
        assert Plain.from_dict(item.to_dict()) == item
    assert set(items[0].to_dict()) == {"type", "on", "stiffness", "coordinates"}
    assert set(dtw.PointMass(on="a", mass=1.0).to_dict()) == {"type", "on", "mass", "at"}


# Masses on nodes of their own


@pytest.mark.parametrize("link", ["rigid", "spread"])
def test_a_mass_on_a_linked_node_is_that_mass_at_its_place(link):
    """RBE2 or RBE3 to a node of no cell that carries the mass, against the mass stated off the face."""
    box = builders.box("tetra10", (3, 1, 1), (0.3, 0.1, 0.1))
    at = (0.45, 0.05, 0.12)
    mesh = builders.Mesh([*box.points.tolist(), at], box.cells, box.groups)
    node = dtw.ids(nodes=[box.n_points])
    if link == "rigid":
        joint, other = dtw.RigidLink(on=["xmax", node]), [dtw.RigidLink(on="xmax")]
    else:
        joint, other = dtw.SpreadLink(on="xmax", node=node), []
    hold = dtw.FixedSupport(on="xmin")
    linked = dtw.Model(
        mesh, {"body": STEEL}, supports=[hold, dtw.PointMass(on=node, mass=2.0)], connections=[joint]
    )
    stated = dtw.Model(
        box, {"body": STEEL}, supports=[hold, dtw.PointMass(on="xmax", mass=2.0, at=at)], connections=other
    )
    bare = dtw.Model(box, {"body": STEEL}, supports=[hold], connections=other)
    a, b, c = (dtw.solve_modes(one, count=5).modes.frequencies[:5] for one in (linked, stated, bare))
    assert_allclose(a, b, rtol=1e-7)
    assert c[0] > 1.3 * b[0]


def test_mass_that_is_added_lowers_no_frequency_beyond_the_next():
    """Rayleigh: of a mass with one motion each frequency lies between its own and the one below."""
    mesh = builders.box("hexahedron20", (4, 1, 1), (0.4, 0.05, 0.1))
    hold = dtw.FixedSupport(on="xmin")
    before = dtw.solve_modes(part(mesh, hold), count=8).modes.frequencies
    tip = dtw.PointMass(on=dtw.nearest((0.4, 0.0, 0.0)), mass=1.0)
    only_z = dtw.PrescribedDisplacement(on=dtw.nearest((0.4, 0.0, 0.0)), x=0.0, y=0.0)
    held = dtw.solve_modes(part(mesh, hold, only_z), count=8).modes.frequencies
    after = dtw.solve_modes(part(mesh, hold, only_z, tip), count=7).modes.frequencies
    assert (after <= held[:7] * (1.0 + 1e-9)).all()
    assert (after[1:] >= held[:6] * (1.0 - 1e-9)).all()
    assert (held[:8] >= before * (1.0 - 1e-9)).all()


def test_springs_and_masses_of_plane_and_ring_models_count_in_them():
    """A stiff disk on a spring: sqrt(k / m), with the thickness, or the whole turn, in the mass."""
    stiff = dtw.LinearElastic(youngs_modulus="1e6 GPa", poissons_ratio=0.0, density=1000.0)
    mesh = builders.rectangle("quad8", (2, 2), (0.2, 0.1))
    for section, volume in (
        (dtw.PlaneStress(stiff, thickness="50 mm"), 0.2 * 0.1 * 0.05),
        (dtw.Axisymmetric(stiff), np.pi * 0.2**2 * 0.1),
    ):
        spring = dtw.Spring(on="ymin", stiffness=(0.0, 1e4, 0.0))
        mass = dtw.PointMass(on="ymax", mass=3.0, at=(0.1, 0.3, 0.0))
        if isinstance(section, dtw.PlaneStress):
            hold = [dtw.PrescribedDisplacement(on="xmin", x=0.0)]
        else:
            hold = []
        model = dtw.Model(mesh, {"body": section}, supports=[spring, mass, *hold])
        mode = dtw.solve_modes(model, count=1).modes[0]
        assert_allclose(
            mode.frequency, np.sqrt(1e4 / (1000.0 * volume + 3.0)) / (2.0 * np.pi), rtol=1e-3
        )  # fmt: skip
