"""Failure zones are the connected places beyond a limit, with the right size, peak and case."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from builders import apart, box
from fake_results import FakeMaterial, StaticResult, ThermalResult
from numpy.testing import assert_allclose

from designtwin.criteria import failure_zones, utilization
from designtwin.criteria.zones import has_zones
from designtwin.errors import RequirementError
from designtwin.mesh import Mesh
from designtwin.requirements import (
    Value,
    brittle_margin,
    damage,
    displacement,
    life,
    stress,
    temperature,
    yield_margin,
)

N = 10
BAR = box("hexahedron", (N, 2, 2), (1.0, 0.2, 0.2))


def rows(**options):
    """Result points of the bar."""
    return StaticResult(BAR, {"any": {}}, **options).points


def test_two_bumps_are_two_zones_ranked_by_how_bad_they_are():
    x = rows().xyz[:, 0]
    sigma = 300e6 * np.exp(-(((x - 0.0) / 0.12) ** 2)) + 500e6 * np.exp(-(((x - 1.0) / 0.12) ** 2))
    first, second = failure_zones([yield_margin() >= 1.0], StaticResult(BAR, {"lift": {"von_mises": sigma}}))
    assert (first.number, second.number) == (1, 2)
    assert first.place.point[0] == pytest.approx(1.0)
    assert first.peak == pytest.approx(200 / 500, rel=1e-6)
    assert first.times_limit == pytest.approx(2.5, rel=1e-6)
    assert first.margin == pytest.approx(-0.6, rel=1e-6)
    assert second.place.point[0] == pytest.approx(0.0)
    assert "xmax" in str(first)
    assert "xmin" in str(second)
    assert "2.5 times the limit" in str(first)
    json.dumps([z.to_dict() for z in (first, second)], allow_nan=False)


@pytest.mark.parametrize("element", ["hexahedron", "tetra", "tetra10", "hexahedron20", "wedge15"])
def test_the_volume_of_a_half_loaded_bar_is_half_of_it(element):
    bar = box(element, (N, 2, 2), (1.0, 0.2, 0.2))
    x = StaticResult(bar, {"a": {}}).points.xyz[:, 0]
    result = StaticResult(bar, {"a": {"von_mises": 400e6 * x}})  # beyond 200 MPa right of the middle
    (zone,) = failure_zones([yield_margin() > 1.0], result)
    assert zone.volume == pytest.approx(0.5 * 0.04, rel=0.12)
    assert zone.n_points == (x >= 0.5).sum()
    assert zone.centroid[0] == pytest.approx(0.75, abs=0.03)
    assert 0.0 < zone.area < np.linalg.norm(bar.facet_vectors(bar.exterior)[0], axis=1).sum()
    (whole,) = failure_zones([yield_margin() >= 1e9], StaticResult(bar, {"a": {"von_mises": 1.0}}))
    assert whole.volume == pytest.approx(0.04)
    assert whole.area == pytest.approx(2 * 0.04 + 4 * 0.2)


def test_a_point_fails_if_it_fails_in_any_case_and_the_worst_case_governs():
    x = rows().xyz[:, 0]
    result = StaticResult(
        BAR,
        {
            "left": {"von_mises": 250e6 * (x < 0.55)},
            "right": {"von_mises": 300e6 * (x > 0.45)},
            "none": {"von_mises": 0.0},
        },
    )
    (zone,) = failure_zones([yield_margin() >= 1.0], result)
    assert zone.volume == pytest.approx(0.04)  # the two overlap, so one zone
    assert zone.case == "right"
    assert zone.cases == ("left", "right")
    (left,) = failure_zones([yield_margin(case="left") >= 1.0], result)
    assert left.case == "left"
    assert left.volume < 0.03


def test_what_is_excluded_is_in_no_zone():
    x = rows().xyz[:, 0]
    result = StaticResult(BAR, {"a": {"von_mises": 400e6 * (x < 0.05)}})
    assert len(failure_zones([yield_margin() >= 1.0], result)) == 1
    assert failure_zones([yield_margin(excluding="xmin") >= 1.0], result) == ()
    assert failure_zones([yield_margin(on="xmax") >= 1.0], result) == ()


def test_pieces_that_do_not_touch_are_zones_of_their_own_and_so_are_materials():
    two = apart(box("tetra", 1), box("tetra", 1, origin=(3.0, 0.0, 0.0)))
    assert len(failure_zones([yield_margin() >= 1.0], StaticResult(two, {"a": {"von_mises": 1e9}}))) == 2
    materials = {"soft": FakeMaterial(yield_strength=50e6), "hard": FakeMaterial(yield_strength=150e6)}
    result = StaticResult(BAR, {"a": {"von_mises": 100e6}}, materials=materials, split=0.5)
    (zone,) = failure_zones([yield_margin() >= 1.0], result)
    assert zone.volume == pytest.approx(0.02)  # the soft half and nothing of the hard one
    soft, hard = failure_zones([yield_margin() >= 2.0], result)
    assert (soft.peak, hard.peak) == (pytest.approx(0.5), pytest.approx(1.5))


def test_zones_of_stress_and_temperature():
    x, signed = rows().xyz[:, 0], 100e6 * np.linspace(-1, 1, len(rows().node))
    result = StaticResult(BAR, {"a": {"stress_xx": signed, "von_mises": 1e9 * x}})
    (high,) = failure_zones([stress("von_mises") <= "900 MPa"], result)
    assert high.peak == pytest.approx(1e9)
    both = failure_zones([stress("xx", over="max_abs") <= "90 MPa"], result)
    assert [z.peak for z in both] == pytest.approx([100e6, 100e6])
    (low,) = failure_zones([stress("xx", over="min") >= "-90 MPa"], result)
    assert low.peak == pytest.approx(-100e6)
    hot = ThermalResult(BAR, {"on": {"temperature": 300.0 + 100.0 * BAR.points[:, 0]}})
    (zone,) = failure_zones([temperature() <= 390.0], hot)
    assert zone.location == "points"
    assert "10 K beyond the limit" in str(zone)
    assert zone.volume > 0.0
    (face,) = failure_zones([temperature("ymax") <= "390 K"], hot)
    assert face.volume == 0.0  # a face has an area
    assert face.area > 0.0


def test_quantities_without_a_field_of_their_own_have_no_zones():
    result = StaticResult(BAR, {"a": {"uz": 1.0, "von_mises": 1e9}})
    requirements = [
        displacement("xmax", "z") <= "1 mm",
        stress(at=(0.1, 0.1, 0.1)) <= "1 MPa",
        stress(over="mean") <= 1.0,
    ]
    assert failure_zones(requirements, result) == ()
    # at least so hot somewhere: no point is guilty
    hot = ThermalResult(BAR, {"on": {"temperature": 300.0}})
    assert failure_zones([temperature() >= 310.0], hot) == ()


def test_utilization_is_the_inverse_of_the_margin_with_the_governing_case():
    materials = {
        "body": FakeMaterial(yield_strength=200e6, ultimate_strength=400e6, compressive_strength=800e6)
    }
    x = rows().xyz[:, 0]
    fields = {
        "a": {"von_mises": 100e6 * x, "principal_1": 100e6 * x, "principal_3": 0.0},
        "b": {"von_mises": 50e6, "principal_1": 0.0, "principal_3": -400e6},
    }
    result = StaticResult(BAR, fields, materials=materials)
    found = utilization(result)
    assert_allclose(found.values, np.maximum(0.5 * x, 0.25))
    assert_allclose(found.case, np.where(x > 0.499, 0, 1))
    assert found.cases == ("a", "b")
    assert_allclose(1.0 / found.values.max(), yield_margin().evaluate(result).value)
    brittle = utilization(result, "mohr_coulomb")
    assert_allclose(1.0 / brittle.values.max(), brittle_margin("mohr_coulomb").evaluate(result).value)
    assert_allclose(utilization(result, "rankine", case="a").values, 0.25 * x)
    with pytest.raises(RequirementError, match="did you mean 'von_mises'"):
        utilization(result, "vonmises")


def test_where_requirements_overlap_the_worst_governs_and_names_the_other():
    x = rows().xyz[:, 0]
    fields = {"von_mises": 400e6 * x, "tresca": 440e6 * x, "stress_xx": 500e6 * (x < 0.15)}
    result = StaticResult(BAR, {"lift": fields})
    mises, tresca, other = zones = failure_zones(
        [
            yield_margin() >= 1.0,
            yield_margin(criterion="tresca") >= 1.0,
            stress("xx") <= "490 MPa",
        ],
        result,
    )
    assert [zone.requirement.quantity.label for zone in zones[:2]] == [
        "yield margin (Tresca)",
        "yield margin (von Mises)",
    ]
    worst, less = mises, tresca
    assert (worst.within, less.within) == (None, 1)
    assert worst.also == ("yield margin (von Mises) ≥ 1",)
    assert less.also == ()
    assert other.within is None
    assert worst.times_limit == pytest.approx(2.2)
    assert worst.feature.startswith("corner of ")
    assert set(worst.groups) == {"xmax", "ymin", "zmin"}
    also = "also against yield margin (von Mises) ≥ 1"
    assert worst.sentence == (
        f"{worst.feature}, {worst.size_text}, load case lift, 2.2 times the limit; {also}"
    )
    assert worst.to_dict()["within"] is None
    assert "within zone 1" in str(less)


def test_a_singular_place_has_no_numbers_and_comes_last():
    x = rows().xyz[:, 0]
    sigma = 300e6 * np.exp(-(((x - 0.0) / 0.12) ** 2)) + 500e6 * np.exp(-(((x - 1.0) / 0.12) ** 2))
    result = StaticResult(BAR, {"lift": {"von_mises": sigma}})
    requirement = yield_margin() >= 1.0
    outcome = requirement.judge(result)
    node = outcome.value.place.node
    assert BAR.points[node, 0] == pytest.approx(1.0)
    told = replace(outcome, value=Value.without_bound(outcome.value, "a sharp corner"))
    zones = failure_zones([told], result)
    assert [zone.singular for zone in zones] == [False, True]
    assert zones[0].times_limit == pytest.approx(1.5, rel=1e-6)
    singular = zones[1]
    assert np.isnan([singular.peak, singular.margin, singular.times_limit]).all()
    assert singular.place.node == node
    data = singular.to_dict()
    json.dumps(data, allow_nan=False)
    assert (data["peak"], data["margin"], data["times_limit"]) == ("singular",) * 3
    for words in (str(singular), singular.sentence):
        assert "singular" in words
        assert "times the limit" not in words
        assert "mm³" not in words.split("singular")[0]


def test_the_centroid_is_that_of_the_volume_not_of_the_nodes():
    graded = box("hexahedron", (10, 2, 2), (1.0, 0.2, 0.2))
    points = graded.points.copy()
    points[:, 0] **= 3  # most nodes at one end
    mesh = Mesh(points, graded.cells, graded.groups)
    (zone,) = failure_zones([yield_margin() >= 1e9], StaticResult(mesh, {"a": {"von_mises": 1.0}}))
    assert points[:, 0].mean() < 0.3
    assert zone.centroid == pytest.approx((0.5, 0.1, 0.1), abs=1e-9)


def test_the_least_of_a_life_has_zones():
    assert has_zones(life() >= "1000 h")
    assert not has_zones(life() <= "1000 h")
    assert has_zones(damage() <= 0.3)


def test_what_fails_clear_of_a_singular_place_keeps_its_numbers():
    x = rows().xyz[:, 0]
    result = StaticResult(BAR, {"lift": {"von_mises": 300e6 * (x > 0.25) + 600e6 * (x > 0.95)}})
    outcome = (yield_margin() >= 1.0).judge(result)
    told = replace(outcome, value=Value.without_bound(outcome.value, "a sharp corner"))
    plain, singular = failure_zones([told], result)
    assert plain.times_limit == pytest.approx(1.5)  # not the 4.5 at the corner
    assert plain.volume > 0.015
    assert singular.singular
    assert singular.n_points + plain.n_points == (x > 0.25).sum()
