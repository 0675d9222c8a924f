"""Rings from one sector: what they answer is what the whole ring answers."""

import builders
import numpy as np
import pytest
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.assembly.cyclic import CyclicDynamics

STEEL = dtw.material("S355")
HEAVY = {"mass": 0.3, "inertia": (2e-4, 3e-4, 4e-4)}


def sector(element, sectors, k=0, *, n=(3, 2, 1), shift=(0.0, 0.0, 0.0), skew=0.0):
    """Sector k of a bladed disk, thicker in the middle of each sector; cuts are ymin and ymax."""
    angle = 2.0 * np.pi / sectors

    def shape(p):
        r = 0.1 + 0.2 * p[:, 0]
        a = angle * (k + p[:, 1]) + skew * p[:, 0]
        z = 0.02 * p[:, 2] * (1.0 + 0.5 * np.sin(np.pi * p[:, 1]) * p[:, 0])
        return np.column_stack([r * np.cos(a), r * np.sin(a), z]) + shift

    if builders.ELEMENTS[element].dimension == 2:

        def flat(p):
            r, a = 0.1 + 0.2 * p[:, 0], angle * (k + p[:, 1])
            return np.column_stack([r * np.cos(a), r * np.sin(a), 0.0 * r])

        return builders.rectangle(element, n[:2], shape=flat)
    return builders.box(element, n, shape=shape)


def ring(element, sectors, **options):
    return builders.merged(*[sector(element, sectors, k, **options) for k in range(sectors)], tolerance=1e-7)


def of(mesh):
    return {"body": STEEL if mesh.dimension == 3 else dtw.PlaneStress(STEEL, thickness="5 mm")}


def one_of(mesh, sectors, *supports, low="ymin", high="ymax", **options):
    link = dtw.CyclicSymmetry(low=low, high=high, sectors=sectors, **options.pop("symmetry", {}))
    return dtw.Model(mesh, of(mesh), supports=supports, connections=[link], **options)


def whole(mesh, *supports, **options):
    return dtw.Model(mesh, of(mesh), supports=supports, **options)


CASES = {
    "even": ("hexahedron20", 6, True), "odd": ("hexahedron20", 5, True), "two": ("hexahedron", 2, True),
    "three, tetrahedra": ("tetra10", 3, True), "free": ("wedge15", 4, False),
    "free, odd": ("hexahedron20", 3, False), "plane": ("quad8", 5, True),
}  # fmt: skip


@pytest.mark.parametrize(("element", "sectors", "held"), CASES.values(), ids=CASES)
def test_modes_of_a_sector_are_those_of_the_whole_ring(element, sectors, held):
    supports = [dtw.FixedSupport(on="xmin")] if held else []
    a = dtw.solve_modes(one_of(sector(element, sectors), sectors, *supports), count=11).modes
    b = dtw.solve_modes(whole(ring(element, sectors), *supports), count=11).modes
    n = min(len(a), len(b))
    assert a.n_rigid == b.n_rigid == (0 if held else 6)
    assert n >= 11 + a.n_rigid
    assert_allclose(a.frequencies[a.n_rigid : n], b.frequencies[a.n_rigid : n], rtol=1e-8)
    assert a.model.mesh.n_points == b.model.mesh.n_points
    assert_allclose(a.whole, b.whole, rtol=1e-9)
    assert_allclose(a.shapes.T @ a.dynamics.mass(a.shapes), np.eye(len(a)), atol=1e-8)
    assert max(mode.imbalance for mode in a) < 1e-6
    assert b.nodal_diameters is None


def test_the_table_of_a_ring_tells_nodal_diameters():
    """Repeated modes are the two phases of one number of diameters; 0 and half the sectors come alone."""
    case = dtw.solve_modes(one_of(sector("hexahedron20", 6), 6, dtw.FixedSupport(on="xmin")), count=8).modes
    diameters = np.array(case.nodal_diameters)
    twice = np.isclose(case.frequencies[:, None], case.frequencies, rtol=1e-8).sum(axis=1) == 2
    assert set(diameters[twice]) == {1, 2}
    assert set(diameters[~twice]) == {0, 3}
    table = case.table()
    assert "diameters" in str(table)
    assert [row["nodal_diameters"] for row in table.rows] == diameters.tolist()


def test_shapes_span_those_of_the_whole_ring():
    a = dtw.solve_modes(one_of(sector("tetra10", 4), 4, dtw.FixedSupport(on="xmin")), count=9).modes
    b = dtw.solve_modes(whole(ring("tetra10", 4), dtw.FixedSupport(on="xmin")), count=9).modes
    where = np.lexsort(np.round(a.model.mesh.points, 7).T), np.lexsort(np.round(b.model.mesh.points, 7).T)
    assert_allclose(a.model.mesh.points[where[0]], b.model.mesh.points[where[1]], atol=1e-9)
    u, inertia = (
        np.stack([field(mode)[at].ravel() for mode in case], axis=1)
        for case, at, field in (
            (a, where[0], lambda mode: mode.displacement),
            (b, where[1], lambda mode: b.dynamics.inertia(mode.displacement)),
        )
    )
    overlap = inertia.T @ u
    apart = np.abs(a.frequencies[:, None] / b.frequencies - 1.0) > 1e-6
    assert np.abs(overlap[apart.T]).max() < 1e-4
    assert_allclose(np.linalg.norm(overlap[:, :9], axis=0), 1.0, rtol=1e-5)
    for i, mode in enumerate(a):
        if np.sum(~apart[i]) == 1:  # of repeated modes each solver has its own
            largest = [case.field("von_mises").values.max() for case in (mode, b[i])]
            assert_allclose(*largest, rtol=1e-5)
            assert_allclose(mode.effective_mass, b[i].effective_mass, atol=1e-6 * b.whole.max())


def test_what_rides_on_sectors_is_turned_with_them():
    """Masses off the face, springs to ground and dampers, on every sector in its own axes."""
    n, at = 5, np.array([0.35, 0.05, 0.03])

    def attached(k, on):
        a = 2.0 * np.pi * k / n
        turn = np.array([[np.cos(a), -np.sin(a), 0.0], [np.sin(a), np.cos(a), 0.0], [0.0, 0.0, 1.0]])
        axes = dtw.Cartesian(x=turn[:, 0], xy=turn[:, 1])
        j = turn @ np.diag(HEAVY["inertia"]) @ turn.T
        tensor = (j[0, 0], j[1, 1], j[2, 2], j[0, 1], j[1, 2], j[0, 2])
        return (
            dtw.PointMass(on=on, mass=HEAVY["mass"], at=turn @ at, inertia=tensor),
            dtw.Spring(
                on=on, stiffness=(1e6, 2e6, 3e6), rotational=(1e3, 2e3, 3e3), coordinates=axes, at=turn @ at
            ),
            dtw.Damper(on=on, damping=(10.0, 20.0, 30.0), coordinates=axes),
        )  # fmt: skip

    hold = dtw.PrescribedDisplacement(on="xmin", x=0.0, z=0.0, coordinates=dtw.Cylindrical())
    a = dtw.solve_modes(one_of(sector("hexahedron20", n), n, hold, *attached(0, "xmax")), count=10).modes
    full = ring("hexahedron20", n)
    single = len(sector("hexahedron20", n).group("xmax").facets)
    tips = {
        f"tip{k}": dtw.Group(facets=full.group("xmax").facets[k * single : (k + 1) * single])
        for k in range(n)
    }
    full = full.with_groups(tips)
    b = dtw.solve_modes(
        whole(full, hold, *[s for k in range(n) for s in attached(k, f"tip{k}")]), count=10
    ).modes
    assert_allclose(a.frequencies[:10], b.frequencies[:10], rtol=1e-7)
    assert_allclose(a.whole, b.whole, rtol=1e-8)
    assert a.dynamics.has_damping
    mean = [np.trace(case.shapes[:, :2].T @ case.dynamics.damping(case.shapes[:, :2])) for case in (a, b)]
    assert_allclose(*mean, rtol=1e-5)


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_turning_ring_is_stiffened_and_softened_as_a_whole(warm):
    state = [dtw.Centrifugal(speed="6000 rpm", axis="z"), *([dtw.Temperature("60 degC")] if warm else [])]
    hold = dtw.FixedSupport(on="xmin")
    a, b = (
        dtw.solve_modes(model.with_(load_cases={"spin": state}), count=8, prestress="spin").modes
        for model in (
            one_of(sector("hexahedron20", 6), 6, hold),
            whole(ring("hexahedron20", 6), hold),
        )
    )
    still = dtw.solve_modes(one_of(sector("hexahedron20", 6), 6, hold), count=8).modes
    assert_allclose(a.frequencies[:8], b.frequencies[:8], rtol=1e-7)
    assert (np.abs(a.frequencies[:8] / still.frequencies[:8] - 1.0) > 1e-3).any()


def test_forces_on_the_ring_are_conjugate_to_its_displacements():
    """f.u = F.q for any forces and unknowns, and statics of the ring is that of the whole one."""
    hold = dtw.FixedSupport(on="xmin")
    ours = CyclicDynamics(one_of(sector("hexahedron20", 5), 5, hold))
    chance = np.random.default_rng(3)
    f = chance.standard_normal((ours.model.mesh.n_points, 3))
    q = np.where(ours.free, chance.standard_normal(ours.size), 0.0)
    assert_allclose((f * ours.displacement(q)).sum(), ours.force(f) @ q, rtol=1e-12)
    u = ours.displacement(ours.solve(ours.force(f)))
    push = dtw.Model(
        ours.model.mesh, {"body": STEEL}, supports=[hold],
        load_cases={"push": [dtw.Force(on=dtw.nearest((0.3, 0.0, 0.02)), value=(1.0, 2.0, 3.0))]},
    )  # fmt: skip
    case = dtw.solve_static(push)["push"]
    one = push.cases["push"].loads[0].nodal_forces(push)
    assert_allclose(
        ours.displacement(ours.solve(ours.force(one))), case.displacement,
        atol=1e-8 * np.abs(case.displacement).max(),
    )  # fmt: skip
    motion = ours.stiffness(ours.solve(ours.force(f)))
    assert_allclose(motion, ours.force(f), atol=1e-7 * np.abs(motion).max())
    whole_system = ours.system()
    assert_allclose(whole_system.apply(q)[ours.free], ours.stiffness(q)[ours.free], rtol=1e-9, atol=1e-3)
    assert u.shape == f.shape


def test_a_ring_shaken_at_its_base_answers_as_the_whole_one():
    shake = dtw.base_psd("z", [("10 Hz", "0.01 g**2/Hz"), ("2 kHz", "0.01 g**2/Hz")])
    hold = dtw.FixedSupport(on="xmin")
    rms = []
    for model in (one_of(sector("hexahedron20", 4), 4, hold), whole(ring("hexahedron20", 4), hold)):
        case = dtw.solve_random(model, shake, count=8, damping="2 %")
        rms.append(case.field("acceleration").values.max())
    assert_allclose(*rms, rtol=1e-5)


def test_cuts_whose_meshes_do_not_match_come_near():
    """Cuts are curved surfaces of other meshes on either side; the ring is that of the like sectors."""
    lower = sector("hexahedron20", 4, n=(4, 2, 1))
    angle = np.pi / 2.0

    def shape(p):
        r = 0.1 + 0.2 * p[:, 0]
        a = 0.5 * angle * (1.0 + p[:, 1])
        z = 0.02 * p[:, 2] * (1.0 + 0.5 * np.sin(np.pi * (0.5 + 0.5 * p[:, 1])) * p[:, 0])
        return np.column_stack([r * np.cos(a), r * np.sin(a), z])

    def first(p):
        r = 0.1 + 0.2 * p[:, 0]
        a = 0.5 * angle * p[:, 1]
        z = 0.02 * p[:, 2] * (1.0 + 0.5 * np.sin(0.5 * np.pi * p[:, 1]) * p[:, 0])
        return np.column_stack([r * np.cos(a), r * np.sin(a), z])

    two = builders.apart(
        builders.box("hexahedron20", (4, 1, 1), shape=first),
        builders.box("hexahedron20", (6, 1, 1), shape=shape),
    )
    n_first = 4
    groups = two.groups
    halves = {
        name: dtw.Group(facets=groups[side].facets[groups[side].facets[:, 0] // n_first == part])
        for name, side, part in (("low", "ymin", 0), ("a", "ymax", 0))
    }
    late = groups["ymin"].facets[groups["ymin"].facets[:, 0] >= n_first]
    high = groups["ymax"].facets[groups["ymax"].facets[:, 0] >= n_first]
    two = two.with_groups({**halves, "b": dtw.Group(facets=late), "high": dtw.Group(facets=high)})
    hold = dtw.FixedSupport(on="xmin")
    model = dtw.Model(
        two, {"body": STEEL}, supports=[hold],
        connections=[dtw.Tie(a="a", b="b"), dtw.CyclicSymmetry(low="low", high="high", sectors=4)],
    )  # fmt: skip
    a = dtw.solve_modes(model, count=6).modes
    b = dtw.solve_modes(one_of(lower, 4, hold), count=6).modes
    assert a.model.mesh.n_points == 4 * two.n_points
    assert_allclose(a.frequencies[:6], b.frequencies[:6], rtol=0.02)
    doublets = a.frequencies[:2]
    assert_allclose(*doublets, rtol=1e-9)


def test_the_axis_itself_may_be_meshed():
    """A solid disk: nodes on the axis are their own partners."""

    def pie(k):
        a0, a1 = (2.0 * np.pi * (k + i) / 6 for i in (0, 1))

        def shape(p):
            a = a0 + (a1 - a0) * p[:, 1]
            return np.column_stack([p[:, 0] * np.cos(a), p[:, 0] * np.sin(a), 0.05 * p[:, 2]])

        return shape

    def mesh(k):
        points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1]], float)
        points = pie(k)(points)
        cells = {"wedge": np.array([[0, 1, 2, 3, 4, 5]])}
        return builders.Mesh(points, cells, {"body": dtw.Group(cells=np.array([0]))})

    one = mesh(0)
    normal = (np.sin(np.pi / 3), -np.cos(np.pi / 3), 0.0)
    low, high = dtw.faces(normal="-y"), dtw.faces(normal=tuple(-v for v in normal))
    a = dtw.solve_modes(one_of(one, 6, low=low, high=high), count=6).modes
    b = dtw.solve_modes(whole(builders.merged(*[mesh(k) for k in range(6)])), count=6).modes
    assert a.n_rigid == b.n_rigid == 6
    assert_allclose(a.frequencies[6:12], b.frequencies[6:12], rtol=1e-8)
    assert a.model.mesh.n_points == b.model.mesh.n_points


def test_static_answers_of_a_sector_are_those_in_which_all_do_the_same():
    spin = dtw.Centrifugal(speed="3000 rpm", axis="z")
    hold = dtw.FixedSupport(on="xmin")
    mesh = sector("hexahedron20", 5)
    case = dtw.solve_static(one_of(mesh, 5, hold, load_cases={"spin": [spin]}))["spin"]
    full = dtw.solve_static(whole(ring("hexahedron20", 5), hold, load_cases={"spin": [spin]}))["spin"]
    at = [int(np.argmin(np.linalg.norm(full.mesh.points - x, axis=1))) for x in mesh.points]
    assert_allclose(case.displacement, full.displacement[at], atol=1e-8 * np.abs(full.displacement).max())


BAD = {
    "sectors": (lambda: dtw.CyclicSymmetry(low="a", high="b", sectors=1), "how many make the ring"),
    "half a sector": (lambda: dtw.CyclicSymmetry(low="a", high="b", sectors=2.5), "how many make the ring"),
    "axis": (lambda: dtw.CyclicSymmetry(low="a", high="b", sectors=4, axis="q"), "no direction"),
    "wrong number": (lambda: one_of(sector("hexahedron", 6), 5), "low is not on high"),
    "exchanged": (
        lambda: one_of(sector("hexahedron", 6), 6, low="ymax", high="ymin"), "exchange low and high"
    ),
    "no faces": (lambda: one_of(sector("hexahedron", 6), 6, low=dtw.ids(nodes=[1])), "holds none"),
    "two of them": (
        lambda: dtw.Model(
            sector("hexahedron", 6), {"body": STEEL},
            connections=[
                dtw.CyclicSymmetry(low="ymin", high="ymax", sectors=6),
                dtw.CyclicSymmetry(low="ymax", high="ymin", sectors=6, axis="-z"),
            ],
        ), "state one CyclicSymmetry",
    ),
    "plane about x": (lambda: one_of(sector("quad", 5), 5, symmetry={"axis": "x"}), "turns about z only"),
    "unknown group": (lambda: one_of(sector("hexahedron", 6), 6, low="ymn"), "ymn"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_symmetries_that_make_no_sense_are_refused(make, message):
    with pytest.raises(dtw.DesignTwinError, match=message):
        make()


def test_buckling_of_a_sector_alone_is_refused():
    load = [dtw.Centrifugal(speed="3000 rpm", axis="z")]
    model = one_of(
        sector("hexahedron", 6), 6, dtw.FixedSupport(on="xmin"), load_cases={"spin": load}
    )  # fmt: skip
    with pytest.raises(dtw.ModelError, match="model the whole ring"):
        dtw.solve_buckling(model)


def test_a_ring_is_not_reduced():
    model = one_of(sector("hexahedron", 6), 6, dtw.FixedSupport(on="xmin"))
    with pytest.raises(dtw.ModelError, match="a ring is not reduced"):
        dtw.reduce(model, method="modal", count=3)


def test_shaken_and_turning_rings_answer_as_the_whole_ones():
    """Implicit steps and the full complex equations take the ring's own matrices; so do turning ones."""
    models = [
        model.with_(load_cases={"spin": [dtw.Centrifugal(speed="6000 rpm", axis="z")]})
        for hold in [dtw.FixedSupport(on="xmin")]
        for model in (one_of(sector("hexahedron20", 5), 5, hold), whole(ring("hexahedron20", 5), hold))
    ]
    sweep = dtw.base_harmonic("z", "1 g", frequencies=["100 Hz", "400 Hz"])
    pulse = dtw.half_sine("z", "20 g", "2 ms")
    slow = dtw.rayleigh(mass=10.0, stiffness=1e-6)
    answers = [
        (
            dtw.solve_harmonic(one, sweep, method="direct", damping=dtw.structural("4 %"))
            .field("displacement").values.max(),
            dtw.solve_dynamics(
                one, pulse, method="generalized-alpha", step="0.1 ms", duration="2 ms", damping=slow
            ).field("displacement").values.max(),
            *dtw.campbell(one, "spin", ["0 rpm", "6000 rpm"], count=4).frequencies.ravel(),
        )
        for one in models
    ]  # fmt: skip
    assert_allclose(*answers, rtol=1e-8)


def test_material_axes_have_to_go_around():
    wood = dtw.Orthotropic(
        youngs_modulus=("12 GPa", "1 GPa", "1 GPa"), poissons_ratio=(0.3, 0.3, 0.3),
        shear_modulus=("1 GPa", "1 GPa", "1 GPa"), density="600 kg/m3",
    )  # fmt: skip
    link = dtw.CyclicSymmetry(low="ymin", high="ymax", sectors=6)
    hold = dtw.FixedSupport(on="xmin")
    mesh = sector("hexahedron", 6)
    straight = dtw.Model(mesh, {"body": dtw.Solid(wood)}, supports=[hold], connections=[link])
    with pytest.raises(dtw.ModelError, match="do not go around"):
        dtw.solve_modes(straight, count=2)
    around = {"body": dtw.Solid(wood, orientation=dtw.Cylindrical())}
    a = dtw.solve_modes(dtw.Model(mesh, around, supports=[hold], connections=[link]), count=5).modes
    b = dtw.solve_modes(dtw.Model(ring("hexahedron", 6), around, supports=[hold]), count=5).modes
    assert_allclose(a.frequencies[:5], b.frequencies[:5], rtol=1e-8)
