"""Radiation between surfaces on a model: textbook networks, balance, tangent, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import ModelError, SingularSystemError
from designtwin.model.checks import check_thermal
from designtwin.model.enclosure import Enclosure
from designtwin.model.heat import STEFAN_BOLTZMANN as SIGMA
from designtwin.plain import Plain
from tests.builders import apart, ball, box, hollow, merged, rectangle

STEEL = dtw.LinearElastic(
    name="steel", youngs_modulus="210 GPa", poissons_ratio=0.3, conductivity="50 W/(m*K)"
)
PLATE = dtw.PlaneStress(STEEL, thickness="20 mm")


def model_of(mesh, *items, section=STEEL):
    return dtw.Model(mesh, materials={dtw.everything(): section}, load_cases={"hot": list(items)})


@pytest.fixture(scope="module")
def mesh():
    """A body inside a cavity, not touching it."""
    return hollow("hexahedron", 4, core=0.5)


@pytest.fixture(scope="module")
def random(mesh):
    rng = np.random.default_rng(7)
    return 300.0 + 400.0 * rng.random(mesh.n_points), rng.standard_normal(mesh.n_points)


def named(mesh, **nodes):
    """Temperatures of a mesh: those of named cell groups."""
    out = np.full(mesh.n_points, 500.0)
    for name, value in nodes.items():
        out[mesh.nodes_of_cells(mesh.groups[name].cells)] = value
    return out


# Textbook networks


def plates(n, gap=1e-3, length=2.0):
    """Two plates face to face so close that one sees nothing but the other; groups ``low``, ``high``."""
    mesh = apart(
        rectangle("quad", (n, 1), (length, 0.01), origin=(0.0, -0.01)),
        rectangle("quad", (n, 1), (length, 0.01), origin=(0.0, gap)),
    )
    facets = mesh.exterior
    _, at = mesh.facet_vectors(facets)
    groups = {
        "low": dtw.Group(facets=facets[np.abs(at[:, 1]) < 1e-9]),
        "high": dtw.Group(facets=facets[np.abs(at[:, 1] - gap) < 1e-9]),
    }
    return mesh.with_groups(groups)


@pytest.mark.parametrize("n", [1, 4])
def test_parallel_plates_exchange_what_the_network_says(n):
    """D22 (a): 800 K and 400 K, emissivity 0.8 and 0.5: 9677.439 W/m^2 between infinite plates."""
    mesh = plates(n)
    bound = Enclosure(emissivity={"low": 0.8, "high": 0.5}).bind(model_of(mesh, section=PLATE))
    below = mesh.points[:, 1] < 0.5e-3
    heat = bound.nodal_heat(np.where(below, 800.0, 400.0))
    area = 2.0 * 0.020
    assert heat[below].sum() / area == pytest.approx(-9677.439, rel=1e-3 if n > 1 else 1e-6)
    assert heat.sum() == pytest.approx(0.0, abs=1e-9 * np.abs(heat).sum())
    assert 0.99 < bound.report.lowest <= bound.report.highest < 1.0 + 1e-6


def cylinders(n):
    """Two tubes around each other in the plane; groups ``inner`` and ``outer`` face each other."""

    def polar(inside, outside):
        def bent(x):
            r, angle = inside + (outside - inside) * x[:, 0], 2 * np.pi * x[:, 1]
            return np.column_stack([r * np.cos(angle), r * np.sin(angle), 0 * r])

        return merged(rectangle("quad8", (1, n), shape=bent))

    mesh = apart(polar(0.05, 0.1), polar(0.2, 0.25))
    facets = mesh.exterior
    _, at = mesh.facet_vectors(facets)
    r = np.linalg.norm(at, axis=1)
    return mesh.with_groups({
        "inner": dtw.Group(facets=facets[np.abs(r - 0.1) < 0.01]),
        "outer": dtw.Group(facets=facets[np.abs(r - 0.2) < 0.01]),
    })  # fmt: skip


def test_concentric_cylinders_exchange_what_the_network_says():
    """D22 (b): r = 0.1 m at 800 K, 0.2 m at 400 K: 12442.4216 W/m^2 on the inner one."""
    mesh = cylinders(32)
    bound = Enclosure(emissivity={"inner": 0.8, "outer": 0.5}).bind(model_of(mesh, section=PLATE))
    inside = np.linalg.norm(mesh.points, axis=1) < 0.15
    heat = bound.nodal_heat(np.where(inside, 800.0, 400.0))
    area = 2 * np.pi * 0.1 * 0.020
    assert heat[inside].sum() / area == pytest.approx(-12442.4216, rel=5e-4)


@pytest.mark.parametrize("eps", [(1.0, 1.0), (0.8, 0.5), (0.05, 0.1)])
def test_concentric_spheres_exchange_what_the_network_says(eps):
    """q1 = sigma (T1^4 - T2^4) / (1/e1 + A1/A2 (1/e2 - 1)), Siegel and Howell, 4th ed., ch. 7."""
    mesh = hollow("hexahedron", 8, core=0.5, shape=ball)
    bound = Enclosure(emissivity={"core": eps[0], "wall": eps[1]}).bind(model_of(mesh))
    heat = bound.nodal_heat(named(mesh, kernel=700.0, shell=300.0))
    own = mesh.nodes_of_cells(mesh.groups["kernel"].cells)
    facets, ratio = mesh.groups["core"].facets, 0.25
    area = np.linalg.norm(mesh.facet_vectors(facets)[0], axis=1).sum()
    exact = SIGMA * (700.0**4 - 300.0**4) / (1 / eps[0] + ratio * (1 / eps[1] - 1)) * area
    assert heat[own].sum() == pytest.approx(-exact, rel=0.01)


def test_a_convex_body_alone_radiates_as_to_an_ambient():
    solid = box("tetra10", 2)
    outside = dtw.exterior()
    model = model_of(solid)
    temperature = 300.0 + 100.0 * solid.points[:, 0]
    alone = Enclosure(on=outside, emissivity=0.7, ambient="20 degC").bind(model)
    far = dtw.Radiation(on=outside, emissivity=0.7, ambient="20 degC")
    expected = far.heat_at(model, temperature)
    assert_allclose(alone.nodal_heat(temperature), expected, atol=1e-6 * np.abs(expected).max())
    assert alone.report.opening == pytest.approx(6.0)


def test_an_open_box_is_blacker_than_its_walls():
    """Effective emissivity of an isothermal cavity: above that of its walls, below 1."""
    cup = hollow("hexahedron", 4)
    facets = cup.groups["wall"].facets
    _, at = cup.facet_vectors(facets)
    bound = Enclosure(
        on=dtw.ids(facets=facets[at[:, 2] < 1 - 1e-9].tolist()),
        emissivity=0.3,
        ambient="1 K",
        occlusion=False,
    ).bind(model_of(cup))
    lost = -bound.nodal_heat(np.full(cup.n_points, 1000.0)).sum()
    assert bound.report.opening == pytest.approx(4.0, rel=5e-3)  # all of the opening, 2 m x 2 m
    # One-zone estimate: eps_eff = 1 / (1 + a (1/eps - 1)), a = opening over walls (Siegel and Howell, ch. 7).
    assert lost / (SIGMA * 1000.0**4 * 4.0) == pytest.approx(1 / (1 + 0.2 * (1 / 0.3 - 1)), rel=0.03)


# What always holds


@pytest.mark.parametrize("eps", [1.0, 0.6, {"core": 0.9, "wall": 0.02}])
def test_no_heat_is_lost_and_none_flows_where_all_is_as_warm(mesh, random, eps):
    on = ["core", "wall"]
    bound = Enclosure(on=on, emissivity=eps).bind(model_of(mesh))
    heat = bound.nodal_heat(random[0])
    assert abs(heat.sum()) < 1e-11 * np.abs(heat).sum()
    even = bound.nodal_heat(np.full(mesh.n_points, 600.0))
    assert np.abs(even).max() < 1e-11 * np.abs(heat).max()


@pytest.mark.parametrize("ambient", [None, "25 degC"])
@pytest.mark.parametrize("eps", [1.0, {"core": 0.8, "wall": 0.3}])
def test_the_tangent_is_the_derivative(mesh, random, eps, ambient):
    bound = Enclosure(on=["core", "wall"], emissivity=eps, ambient=ambient).bind(model_of(mesh))
    temperature, v = random
    tangent, h = bound.tangent(temperature), 1e-2
    slope = (bound.nodal_heat(temperature + h * v) - bound.nodal_heat(temperature - h * v)) / (2 * h)
    assert_allclose(tangent(v), -slope, atol=1e-7 * np.abs(slope).max())


def test_the_matrices_are_its_local_part(mesh, random):
    """Own emission alone: symmetric and definite; the rest of the tangent is what reaches other facets."""
    temperature, _ = random
    bound = Enclosure(on=["core", "wall"], emissivity=1.0).bind(model_of(mesh))
    local = np.zeros((mesh.n_points, mesh.n_points))
    for one in bound.matrices(temperature):
        for nodes, values in zip(one.nodes, one.values, strict=True):
            assert_allclose(values, values.T, rtol=1e-13)
            assert np.linalg.eigvalsh(values).min() > 0.0
            local[np.ix_(nodes, nodes)] += values
    # Black: what a node of the core sends to its own facets does not come back, for the core is convex.
    core = mesh.nodes_of_facets(mesh.groups["core"].facets)
    v = np.zeros(mesh.n_points)
    v[core] = 1.0
    assert_allclose(bound.tangent(temperature)(v)[core], (local @ v)[core], rtol=1e-12)
    wall = mesh.nodes_of_facets(mesh.groups["wall"].facets)
    assert (bound.tangent(temperature)(v)[wall] < 0.0).all()


def test_reflections_summed_at_once_and_iterated_agree(mesh, random):
    bound = Enclosure(emissivity={"core": 0.1, "wall": 0.3}).bind(model_of(mesh))
    assert bound.reflected is not None
    iterated = replace(bound, reflected=None)
    heat = bound.nodal_heat(random[0])
    assert_allclose(iterated.nodal_heat(random[0]), heat, atol=1e-11 * np.abs(heat).max())


def test_what_was_computed_is_told_before_it_is_enforced(mesh):
    bound = Enclosure(on=["core", "wall"], emissivity=0.5).bind(model_of(mesh))
    report = bound.report
    assert 0.99 < report.lowest < 1.0 < report.highest < 1.01
    assert report.closure == pytest.approx(max(1 - report.lowest, report.highest - 1))
    assert 0.0 < report.reciprocity < 0.02
    assert report.self_seen < 1e-6
    assert "120 facets" in str(report)
    ones = np.ones(len(bound.area))
    assert_allclose(bound._exchange(ones), bound.area, rtol=1e-12)  # afterwards rows close


def test_a_closed_enclosure_has_no_opening_though_an_ambient_is_stated(mesh, random):
    closed = Enclosure(on=["core", "wall"], emissivity=0.5)
    stated = Enclosure(on=["core", "wall"], emissivity=0.5, ambient="0 degC")
    model = model_of(mesh)
    assert stated.bind(model).report.opening == 0.0
    assert_allclose(stated.bind(model).nodal_heat(random[0]), closed.bind(model).nodal_heat(random[0]))


def test_the_ambient_may_vary_over_time():
    solid = box("hexahedron", 1)
    over = dtw.table(over="time", at=["0 s", "100 s"], values=["0 degC", "100 degC"])
    load = Enclosure(on=dtw.exterior(), emissivity=1.0, ambient=over)
    assert load.varies == {"temperature", "time"}
    assert load.breakpoints.tolist() == [0.0, 100.0]
    warm = np.full(solid.n_points, 323.15)
    bound = load.bind(model_of(solid))
    heat = bound.nodal_heat(warm, 50.0)
    assert np.abs(heat).max() < 1e-8 * SIGMA * 323.15**4
    assert bound.nodal_heat(warm, 0.0).sum() == pytest.approx(-6 * SIGMA * (323.15**4 - 273.15**4))


def test_cases_and_models_of_one_geometry_share_view_factors(mesh):
    one = Enclosure(on=["core", "wall"], emissivity=0.5)
    other = Enclosure(on=["wall", "core"], emissivity=0.9)
    model = model_of(mesh)
    assert one.bind(model) is one.bind(model)
    assert one.bind(model).factors is other.bind(model).factors
    assert one.bind(model_of(mesh)).factors is one.bind(model).factors


def test_it_is_plain_data():
    load = Enclosure(emissivity={"lid": "90 percent", "tray": 0.1}, ambient="25 degC")
    again = Plain.from_dict(load.to_dict())
    assert again == load
    assert again.emissivity == {"lid": 0.9, "tray": 0.1}


# What is refused


def refused(load, mesh, *words, section=STEEL):
    with pytest.raises(ModelError) as error:
        load.bind(model_of(mesh, section=section))
    for word in words:
        assert word in str(error.value), error.value


def test_a_hole_is_named_with_its_worst_facet(mesh):
    facets = mesh.groups["wall"].facets
    _, at = mesh.facet_vectors(facets)
    lid = (at[:, 2] > 1 - 1e-9) & (np.abs(at[:, :2]).max(axis=1) < 0.5)
    cut = mesh.with_groups(
        {"walls": dtw.Group(facets=facets[~lid]), "walls_too": dtw.Group(facets=facets[:1])}
    )
    refused(
        Enclosure(on=["walls", "core"], emissivity=0.8), cut, "hole", "'walls'", "add up to 0.", "ambient="
    )
    Enclosure(on=["walls", "core"], emissivity=0.8, ambient="25 degC").bind(model_of(cut))


def test_facets_that_face_away_are_named(mesh):
    outside = np.abs(mesh.facet_vectors(mesh.exterior)[1]).max(axis=1) > 1.1
    back = mesh.with_groups({"back": dtw.Group(facets=mesh.exterior[outside][:4])})
    refused(Enclosure(on=["core", "wall", "back"], emissivity=0.8), back, "4 of 124", "face away", "'back'")


def test_facets_inside_the_part_do_not_radiate():
    solid = box("hexahedron", 2)
    inner = solid.with_groups({"inner": dtw.Group(facets=np.array([[0, 2], [0, 3]]))})
    facets = set(map(tuple, solid.exterior.tolist()))
    assert {(0, 2), (0, 3)} - facets
    refused(Enclosure(on="inner", emissivity=0.8, ambient="25 degC"), inner, "inside the part")


def test_axisymmetric_models_are_refused():
    flat = rectangle("quad", 2)
    refused(
        Enclosure(on="xmax", emissivity=0.8, ambient="25 degC"), flat, "axisymmetric",
        section=dtw.Axisymmetric(STEEL),
    )  # fmt: skip


def test_plane_models_need_one_thickness():
    strips = plates(1)
    cells = {"bottom": dtw.Group(cells=np.array([0])), "top": dtw.Group(cells=np.array([1]))}
    strips = strips.with_groups(cells)
    sections = {
        "bottom": dtw.PlaneStress(STEEL, thickness="1 mm"), "top": dtw.PlaneStress(STEEL, thickness="2 mm"),
    }  # fmt: skip
    with pytest.raises(ModelError, match="1 mm to 2 mm thick"):
        dtw.Model(
            strips, materials=sections, load_cases={"hot": [Enclosure(on=["low", "high"], emissivity=0.8)]}
        )


def test_groups_that_share_facets_need_one_emissivity(mesh):
    both = mesh.with_groups({"some": dtw.Group(facets=mesh.groups["wall"].facets[:3])})
    eps = {"core": 0.8, "wall": 0.5, "some": 0.9}
    refused(Enclosure(emissivity=eps), both, "'wall' and 'some' share 3 facets")
    Enclosure(emissivity=eps | {"some": 0.5}).bind(model_of(both))


def test_every_facet_needs_an_emissivity(mesh):
    refused(Enclosure(on=["core", "wall"], emissivity={"core": 0.8}), mesh, "96 of 120", "no emissivity")


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"on": "wall"}, "lacks its emissivity"),
        ({"on": "wall", "emissivity": 0.0}, "emissivity is 0"),
        ({"on": "wall", "emissivity": 85.0}, "'80 percent'"),
        ({"emissivity": {"wall": 1.2}}, "emissivity is 1.2"),
        ({"emissivity": {}}, "empty"),
        ({"emissivity": 0.8}, "on="),
        ({"on": "wall", "emissivity": 0.8, "ambient": 25.0}, "25 degC"),
        ({"on": "wall", "emissivity": 0.8, "ambient": lambda x: x}, "one temperature"),
    ],
)
def test_bad_statements_are_refused_when_made(stated, words):
    with pytest.raises(ModelError, match=words):
        Enclosure(**stated)


# Which temperatures it fixes


def test_a_body_inside_is_held_by_what_holds_the_shell(mesh):
    on = ["core", "wall"]
    held = dtw.FixedTemperature(on=dtw.exterior() & dtw.box((-2, -2, -2), (-1.2, 2, 2)), value="20 degC")
    closed = Enclosure(on=on, emissivity=0.8)
    model = model_of(mesh, held, closed, dtw.HeatFlow(on="core", total="10 W"))
    check_thermal(model, model.cases["hot"])
    free = model_of(mesh, closed, dtw.HeatFlow(on="core", total="10 W"))
    with pytest.raises(SingularSystemError, match="neither a fixed temperature"):
        check_thermal(free, free.cases["hot"])
    open_ = model_of(mesh, replace(closed, ambient="20 degC"), dtw.HeatFlow(on="core", total="10 W"))
    check_thermal(open_, open_.cases["hot"])
