"""Fields between meshes: exact where they can be, honest where the source does not reach."""

import numpy as np
import pytest
from builders import BLOCKS, PLANES, block, box, rectangle, ring
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.elements import ELEMENTS
from designtwin.mesh import Mesh
from designtwin.mesh.locate import find_cells
from designtwin.mesh.transfer import integral_of, interpolation, scattered


def mesh_of(element: str, n: int, **options: float) -> Mesh:
    return block(element, n, (1.0, 1.0, 1.0), **options)


def linear(p):
    return 300.0 + p @ [40.0, -20.0, 7.0]


def hot_spot(p):
    return 300.0 + 500.0 * np.exp(-(((p - 0.42) / 0.06) ** 2).sum(axis=1))


def bent(p):
    """A quarter of a thick ring."""
    r, angle = 1.0 + p[:, 0], 1.5 * p[:, 1]
    return np.column_stack([r * np.cos(angle), r * np.sin(angle), p[:, 2]])


@pytest.mark.parametrize("element", BLOCKS)
def test_points_are_found_in_the_cell_that_holds_them(element):
    rng = np.random.default_rng(3)
    mesh = mesh_of(element, 3, distort=0.15)
    points = rng.random((300, 3)) * ([1, 1, 0] if element in PLANES else 1)
    places = find_cells(mesh, points)
    assert places.off.max() < 1e-12
    back = [
        ELEMENTS[name].shape(xi[None, : ELEMENTS[name].dimension])[0] @ mesh.points[conn]
        for (name, conn), xi in zip((mesh.cell(int(c)) for c in places.cell), places.xi, strict=True)
    ]
    assert_allclose(back, points, atol=1e-12)


def test_points_are_found_in_cells_that_differ_in_size_by_a_thousand():
    # The center of the large cell is farther from most of its points than those of many small ones.
    small, large = box("tetra", 6, (1e-3,) * 3, origin=(1.0, 0.0, 0.0)), box("hexahedron", 1)
    mesh = Mesh(
        np.concatenate([large.points, small.points]),
        {"hexahedron": large.cells["hexahedron"], "tetra": small.cells["tetra"] + large.n_points},
    )
    points = np.array([[0.999, 0.001, 0.001], [0.9, 0.2, 0.01], [1.0004, 0.0005, 0.0005]])
    places = find_cells(mesh, points)
    assert places.off.max() < 1e-9
    assert places.cell[0] == places.cell[1] == 0
    assert places.cell[2] > 0


@pytest.mark.parametrize("target", BLOCKS)
@pytest.mark.parametrize("method", ["interpolate", "conservative"])
def test_linear_fields_arrive_exactly_on_any_cells(target, method):
    new = mesh_of(target, 3, distort=0.15, seed=1)
    source = mesh_of("quad8" if target in PLANES else "tetra10", 4, distort=0.15, seed=2)
    found = dtw.transfer((source, linear(source.points)), new, method=method)
    assert_allclose(found.values[new.used_nodes], linear(new.points)[new.used_nodes], atol=1e-7)
    assert not len(found.outside)
    assert found.after == pytest.approx(float(found.before), rel=1e-12)


def test_quadratic_cells_hand_on_quadratic_fields_in_space_of_any_shape():
    def field(p):
        return 300.0 + p[:, 0] ** 2 - 3.0 * p[:, 0] * p[:, 1] + p[:, 2] ** 2

    source, new = mesh_of("tetra10", 3, distort=0.2), mesh_of("hexahedron20", 4, distort=0.1)
    found = dtw.transfer((source, field(source.points)), new)
    assert_allclose(found.values, field(new.points), rtol=1e-12)


@pytest.mark.parametrize(("fine", "coarse"), [(12, 3), (3, 10)])
def test_the_conservative_map_keeps_the_integral_of_a_hot_spot(fine, coarse):
    source, new = mesh_of("tetra", fine), mesh_of("hexahedron", coarse)
    values = hot_spot(source.points)
    kept = dtw.transfer((source, values), new, method="conservative")
    assert kept.after == pytest.approx(float(kept.before), rel=1e-12)
    assert kept.before == pytest.approx(float(integral_of(source) @ values), rel=1e-12)


def test_cells_finer_than_the_source_are_filled_between_its_points():
    source, new = mesh_of("tetra", 2), mesh_of("tetra10", 6)
    found = dtw.transfer((source, linear(source.points)), new, method="conservative")
    assert_allclose(found.values, linear(new.points), atol=1e-6)


def test_interpolation_to_coarse_cells_misstates_the_heat_that_the_conservative_map_keeps():
    source, new = mesh_of("tetra", 16), mesh_of("hexahedron", 3)
    values = hot_spot(source.points)
    excess = float(integral_of(source) @ (values - 300.0))
    off = dtw.transfer((source, values), new)
    kept = dtw.transfer((source, values), new, method="conservative")
    assert abs(off.after - 300.0 - excess) > 0.5 * excess
    assert kept.after - 300.0 == pytest.approx(excess, rel=1e-9)
    # The heat stays where it was, near the spot, and is not spread over the part.
    assert np.argmax(kept.values) == np.argmin(np.linalg.norm(new.points - 0.42, axis=1))


def test_volumes_go_all_around_in_rings():
    def model(n):
        return dtw.Model(
            rectangle("quad8", n, (1.0, 1.0), origin=(0.5, 0.0)),
            materials={"body": dtw.Axisymmetric(dtw.LinearElastic(conductivity=50.0))},
            supports=[dtw.FixedTemperature(on="xmin", value=400.0)],
            load_cases={"warm": [dtw.FixedTemperature(on="xmax", value=300.0)]},
        )

    case = dtw.solve_thermal(model(6))["warm"]
    found = dtw.transfer(case, rectangle("triangle", 4, (1.0, 1.0), origin=(0.5, 0.0)), method="conservative")
    r = case.mesh.points[:, 0]
    assert found.before == pytest.approx(
        float((integral_of(case.mesh) * 2 * np.pi * r) @ case.temperature), rel=1e-3
    )
    assert found.after == pytest.approx(float(found.before), rel=1e-12)


def test_meshes_of_one_curved_part_differ_by_their_sag_and_no_more():
    source, new = box("hexahedron", (3, 8, 2), shape=bent), box("tetra10", (4, 21, 3), shape=bent)
    found = dtw.transfer((source, linear(source.points)), new)
    assert not len(found.outside)
    sag = 2.0 * (1.5 / 8) ** 2 / 8
    assert_allclose(found.values, linear(new.points), atol=1.5 * 50.0 * sag)


def test_nodes_beyond_the_source_are_named_or_take_the_nearest_value():
    source, new = mesh_of("tetra10", 3), box("hexahedron", 3, (1.3, 1.0, 1.0))
    beyond = np.flatnonzero(new.points[:, 0] > 1.0)
    with pytest.raises(
        dtw.MeshError, match=f"{len(beyond)} nodes .* lie outside the source.*300 mm away"
    ) as told:
        dtw.transfer((source, linear(source.points)), new)
    assert str(beyond[0]) in str(told.value)
    found = dtw.transfer((source, linear(source.points)), new, outside="nearest")
    assert_allclose(np.sort(found.outside), beyond)
    assert_allclose(found.distance, new.points[found.outside, 0] - 1.0, atol=1e-12)
    clipped = np.minimum(new.points, 1.0)
    assert_allclose(found.values, linear(clipped), atol=1e-9)
    assert f"{len(beyond)} nodes" in str(found)
    assert not len(dtw.transfer((source, linear(source.points)), new, reach="301 mm").outside)


def test_scattered_points_are_read_linearly_and_only_inside_their_hull():
    rng = np.random.default_rng(5)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    cloud = np.concatenate([corners, rng.random((400, 3))])
    points = np.concatenate([rng.random((200, 3)), corners, [[1.2, 0.5, 0.5]]])
    way = scattered(cloud, points)
    assert way.outside.tolist() == [len(points) - 1]
    assert 0.2 <= way.distance[0] < 0.35
    assert_allclose((way.weights @ linear(cloud))[:-1], linear(points)[:-1], rtol=1e-10)


@pytest.mark.parametrize("axes", [(1, 1, 0), (1, 0, 0)])
def test_points_in_a_plane_or_on_a_line_say_nothing_beside_it(axes):
    rng = np.random.default_rng(5)
    cloud = np.concatenate([np.zeros((1, 3)), np.eye(3), [[1, 1, 1]], rng.random((60, 3))]) * axes
    way = scattered(cloud, np.array([[0.4, 0.4, 0.0], [0.4, 0.4, 0.2]]) * [1, axes[1], 1])
    assert way.outside.tolist() == [1]
    assert way.weights[[0]] @ linear(cloud) == pytest.approx(linear(np.array([[0.4, 0.4 * axes[1], 0.0]])))


def test_weights_do_not_depend_on_the_number_of_threads():
    from designtwin import parallel

    source, points = mesh_of("hexahedron20", 4, distort=0.2), np.random.default_rng(0).random((2000, 3))
    found = []
    for n in (1, 3):
        with parallel.use_threads(n):
            found.append(interpolation(source, points).weights.toarray())
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"method": "exact"}, "'interpolate' or 'conservative'"),
        ({"outside": "hold"}, "'raise' or 'nearest'"),
        ({"name": "von_mises"}, "there is no field"),
    ],
)
def test_what_cannot_be_done_is_said(options, text):
    model = dtw.Model(
        mesh_of("tetra", 2),
        materials={"body": dtw.LinearElastic(conductivity=50.0)},
        load_cases={"warm": [dtw.FixedTemperature(on="xmin", value=400.0)]},
    )
    case = dtw.solve_thermal(model)["warm"]
    with pytest.raises(dtw.DesignTwinError, match=text):
        dtw.transfer(case, mesh_of("tetra", 3), **options)
    with pytest.raises(dtw.ModelError, match=r"say which case: result\['warm'\]"):
        dtw.transfer(dtw.solve_thermal(model), mesh_of("tetra", 3))


def test_a_plane_field_is_no_volume():
    with pytest.raises(dtw.MeshError, match="one dimension"):
        dtw.transfer((mesh_of("quad", 3), np.full(16, 300.0)), mesh_of("tetra", 2), method="conservative")


def test_a_ring_closed_on_itself_takes_the_field_of_a_finer_one():
    source, new = ring("tetra10", (3, 24, 3)), ring("hexahedron20", (2, 16, 2))

    def field(p):
        return 300.0 + 1e3 * np.hypot(p[:, 0], p[:, 1])

    for method in ("interpolate", "conservative"):
        found = dtw.transfer((source, field(source.points)), new, method=method)
        assert_allclose(found.values, field(new.points), atol=0.02)
