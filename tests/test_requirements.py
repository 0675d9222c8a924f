"""Quantities read the right number with an interval that holds; requirements decide only what is sure."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from builders import box, merged, rectangle
from fake_results import FakeMaterial, StaticResult, ThermalResult
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from designtwin.errors import MissingPropertyError, RequirementError, SelectionError, UnitError
from designtwin.mesh.selections import near
from designtwin.requirements import (
    Quantity,
    Requirement,
    Value,
    brittle_margin,
    displacement,
    mass,
    place_of_node,
    reaction,
    show_value,
    stress,
    temperature,
    worst,
    yield_margin,
)

BOX = box("hexahedron", (4, 2, 2), (0.2, 0.1, 0.1))
X = BOX.points[:, 0]


def static(fields, **options):
    return StaticResult(
        BOX, {"lift": fields} if not isinstance(next(iter(fields.values())), dict) else fields, **options
    )


# --- what a user writes ------------------------------------------------------------------------------------


def test_comparisons_make_requirements_in_si_from_either_side():
    limit = displacement("xmax", "z") <= "0.4 mm"
    assert (limit.relation, limit.limit) == ("<=", 0.4e-3)
    from_the_left = "0.4 mm" >= displacement("xmax", "z")  # noqa: SIM300
    assert from_the_left == limit
    assert (np.float64(0.4e-3) >= displacement("xmax", "z")) == limit
    assert (yield_margin() > 1.5).relation == ">"
    assert (temperature() < "95 degC").limit == 368.15


def test_equality_compares_descriptions_and_is_not_hijacked():
    assert yield_margin() == yield_margin()
    assert yield_margin() != yield_margin(on="xmax")
    assert len({yield_margin() >= 1.5, yield_margin() >= 1.5}) == 1


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda: 1 <= yield_margin() <= 2, "write two requirements"),
        (lambda: bool(mass() <= "2 kg"), "write two requirements"),
        (lambda: mass() <= mass(), "a limit is a number"),
        (lambda: yield_margin() >= (1.5, 2.0), "one is wanted"),
        (lambda: displacement("lug", "w"), "component='w'"),
        (lambda: stress("vonmises"), "did you mean 'von_mises'"),
        (lambda: temperature("die", over="max_abs"), "over='max_abs'"),
        (lambda: stress(at=(0, 0, 0), on="lug"), "takes neither"),
        (lambda: yield_margin(case=3), "no name of a load case"),
        (lambda: yield_margin(criterion="hill"), "von_mises, tresca"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_written(write, says):
    with pytest.raises(RequirementError, match=says):
        write()


def test_a_limit_of_another_dimension_is_refused():
    with pytest.raises(UnitError, match=r"displacement z of 'lug'.*length"):
        displacement("lug", "z") <= "4 MPa"  # noqa: B015


@pytest.mark.parametrize(
    "requirement",
    [
        yield_margin(excluding=near("bolt_holes", "4 mm")) >= 1.5,
        displacement("lug", "z", case="lift", over="min") > "-0.4 mm",
        stress("xx", at=("10 mm", "0 mm", "5 mm")) < "100 MPa",
        brittle_margin("mohr_coulomb", on="lug") >= 3,
        temperature("die", over="mean") <= "95 degC",
        mass() <= "1.2 kg",
        reaction("base", "x") <= "3 kN",
    ],
    ids=str,
)
def test_requirements_survive_json(requirement):
    text = json.dumps(requirement.to_dict(), allow_nan=False)
    back = Requirement.from_dict(json.loads(text))
    assert back == requirement
    assert back.content_hash() == requirement.content_hash()
    assert str(back) == str(requirement)


# --- intervals and status ----------------------------------------------------------------------------------

sizes = st.floats(-1e6, 1e6, allow_subnormal=False)
widths = st.floats(0.0, 1e6, allow_subnormal=False)


def plain(relation: str, limit: float) -> Requirement:
    return Requirement(quantity=yield_margin(), relation=relation, limit=limit)


@given(sizes, widths, sizes, st.sampled_from(["<=", "<", ">=", ">"]))
def test_pass_and_fail_only_when_the_whole_interval_agrees(value, error, limit, relation):
    requirement = plain(relation, limit)
    seen = Value(value=value, error=error)
    ends = {requirement.met(seen.low), requirement.met(seen.high), requirement.met(value)}
    expected = {(True,): "PASS", (False,): "FAIL"}.get(tuple(ends), "CANNOT TELL")
    assert requirement.status(seen) == expected


@given(sizes, widths, sizes, widths)
def test_a_looser_limit_never_makes_the_status_worse(value, error, limit, step):
    order = ["FAIL", "CANNOT TELL", "PASS"]
    seen = Value(value=value, error=error)
    tight, loose = plain("<=", limit), plain("<=", limit + step)
    assert order.index(loose.status(seen)) >= order.index(tight.status(seen))
    tight, loose = plain(">=", limit + step), plain(">=", limit)
    assert order.index(loose.status(seen)) >= order.index(tight.status(seen))


@given(sizes, sizes, st.sampled_from(["<=", ">="]))
def test_the_margin_is_positive_just_when_the_limit_is_met(value, limit, relation):
    requirement = plain(relation, limit)
    margin = requirement.margin(value)
    assert (margin >= 0.0) == requirement.met(value)
    assert (requirement.slack(value) >= 0.0) == requirement.met(value)


@given(st.floats(1e-3, 10.0), st.floats(1e-3, 10.0), st.floats(0.0, 1.0))
def test_units_do_not_change_a_status(value, limit, error):
    result = static({"uz": (value, error)})
    by_mm = displacement("xmax", "z") <= f"{limit * 1e3!r} mm"
    by_m = displacement("xmax", "z") <= f"{limit!r} m"
    assert by_mm.limit == pytest.approx(limit, rel=1e-14)
    if abs(value + error - limit) > 1e-9 and abs(value - error - limit) > 1e-9:
        assert by_mm.judge(result).status == by_m.judge(result).status


@pytest.mark.parametrize("error", [math.nan, math.inf])
def test_without_an_error_nothing_can_be_told(error):
    for relation in ("<=", ">="):
        assert plain(relation, 1.0).status(Value(value=0.5, error=error)) == "CANNOT TELL"
    assert plain("<=", 1.0).status(Value(value=math.nan)) == "CANNOT TELL"


def test_a_field_without_an_estimate_cannot_be_judged():
    outcome = (displacement("xmax", "z") <= "1 m").judge(static({"uz": (0.1, None)}))
    assert outcome.status == "CANNOT TELL"
    assert "no error" in outcome.reason


def test_temperature_margins_are_kelvins_since_a_share_of_kelvin_means_nothing():
    requirement = temperature() <= "95 degC"
    assert requirement.margin(365.15) == pytest.approx(3.0)
    assert (displacement() <= 0.0).margin(0.1) == pytest.approx(-0.1)
    assert (displacement() <= "0.4 mm").margin(0.3e-3) == pytest.approx(0.25)


@given(st.lists(st.tuples(sizes, widths), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_envelope_interval_holds_the_envelope_of_any_truth_within_the_intervals(cases, random):
    values = [Value(value=v, error=e, case=str(i)) for i, (v, e) in enumerate(cases)]
    truth = [random.uniform(v.low, v.high) for v in values]
    for largest, pick in ((True, max), (False, min)):
        envelope = worst(values, largest=largest)
        assert envelope.value == pick(v.value for v in values)
        assert envelope.low <= pick(truth) <= envelope.high


# --- fields over places ------------------------------------------------------------------------------------


def test_largest_magnitude_on_a_group_keeps_the_sign_in_a_note():
    value = displacement("xmax", "z").evaluate(static({"uz": (-X, 0.01)}))
    assert value.value == pytest.approx(0.2)
    assert (value.low, value.high) == (pytest.approx(0.19), pytest.approx(0.21))
    assert value.case == "lift"
    assert "-200 mm" in value.note
    assert value.place.point[0] == pytest.approx(0.2)
    assert "'xmax'" in str(value.place) or "'y" in str(value.place) or "'z" in str(value.place)


def test_extremes_over_places_and_signs():
    result = static({"ux": X - 0.05, "displacement": np.column_stack([3 * X, 4 * X, 0 * X])})
    assert displacement(component="x", over="max").evaluate(result).value == pytest.approx(0.15)
    assert displacement(component="x", over="min").evaluate(result).value == pytest.approx(-0.05)
    assert displacement().evaluate(result).value == pytest.approx(1.0)
    assert displacement("xmin", "x", over="max").evaluate(result).value == pytest.approx(-0.05)


def test_a_neighbor_that_is_less_sure_widens_the_interval():
    values, error = np.zeros(len(X)), np.zeros(len(X))
    values[0], error[0] = 1.0, 0.1
    values[1], error[1] = 0.9, 0.5
    value = displacement(component="z").evaluate(static({"uz": (values, error)}))
    assert (value.value, value.low, value.high) == pytest.approx((1.0, 0.9, 1.4))
    assert value.error == pytest.approx(0.4)
    lowest = displacement(component="z", over="min").evaluate(static({"uz": (-values, error)}))
    assert (lowest.value, lowest.low, lowest.high) == pytest.approx((-1.0, -1.4, -0.9))


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1)), min_size=2, max_size=2), st.integers(0, 99))
def test_intervals_of_extremes_hold_the_extreme_of_any_field_within_the_errors(ends, seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(ends[0][0], ends[1][0] + 2.0, len(X))
    error = rng.uniform(0.0, ends[0][1] + ends[1][1], len(X))
    truth = values + rng.uniform(-1.0, 1.0, len(X)) * error
    result = static({"uz": (values, error)})
    for over, pick in (("max", truth.max()), ("min", truth.min()), ("max_abs", np.abs(truth).max())):
        value = displacement(component="z", over=over).evaluate(result)
        assert value.low - 1e-12 <= pick <= value.high + 1e-12


def test_the_envelope_takes_the_worst_case_for_the_relation():
    result = static({"lift": {"uz": 0.1}, "brake": {"uz": 0.3}, "rest": {"uz": 0.0}})
    assert displacement(component="z").evaluate(result).case == "brake"
    assert (displacement(component="z") <= "0.2 m").judge(result).status == "FAIL"
    # a lower limit must hold in every case too
    lower = (displacement(component="z") >= "0.05 m").judge(result)
    assert (lower.status, lower.value.case) == ("FAIL", "rest")
    assert (displacement(component="z", case="lift") <= "0.2 m").judge(result).status == "PASS"


def test_what_is_excluded_is_left_out():
    result = static(
        {"von_mises": np.where(StaticResult(BOX, {"a": {}}).points.xyz[:, 0] < 0.01, 400e6, 100e6)}
    )
    assert yield_margin().evaluate(result).value == pytest.approx(0.5)
    judged = (yield_margin(excluding="xmin") >= 1.5).judge(result)
    assert judged.value.value == pytest.approx(2.0)
    assert judged.status == "PASS"
    assert judged.excluded == "'xmin'"
    with pytest.raises(RequirementError, match=r"nothing is left of 'xmin' once .* is excluded"):
        yield_margin(on="xmin", excluding=near("xmin", "4 mm")).evaluate(result)
    with pytest.raises(RequirementError, match="nothing is left of the whole part"):
        yield_margin(excluding="body").check(result.model)


def test_means_are_by_area_and_by_volume_not_by_node():
    # Two cells, one four times as long: its share of the mean is four fifths.
    mesh = merged(rectangle("quad8", (1, 1)), rectangle("quad8", (1, 1), (4.0, 1.0), origin=(1.0, 0.0)))
    x = mesh.points[:, 0]
    result = ThermalResult(mesh, {"hot": {"temperature": (300.0 + x, 0.5)}})
    value = temperature(over="mean").evaluate(result)
    assert value.value == pytest.approx(302.5)
    assert value.error == pytest.approx(0.5)
    assert temperature("ymin", over="mean").evaluate(result).value == pytest.approx(302.5)
    assert temperature("xmax", over="mean").evaluate(result).value == pytest.approx(303.0)  # ends of both


@pytest.mark.parametrize("element", ["hexahedron20", "tetra10", "wedge15", "hexahedron"])
def test_the_mean_of_a_linear_field_is_that_at_the_centroid_with_an_interval_around(element):
    mesh = box(element, 2, (3.0, 2.0, 1.0), distort=0.1)
    result = ThermalResult(mesh, {"hot": {"temperature": (300.0 + mesh.points @ [1.0, 2.0, 3.0], 0.5)}})
    value = temperature(over="mean").evaluate(result)
    assert value.value == pytest.approx(300.0 + 1.5 + 2.0 + 1.5)
    assert value.low <= value.value - 0.499
    assert value.high >= value.value + 0.499
    face = temperature("zmax", over="mean").evaluate(result)
    assert face.value == pytest.approx(300.0 + 1.5 + 2.0 + 3.0)


def test_the_mean_of_a_ring_counts_what_lies_outside_for_more():
    mesh = rectangle("quad8", 2, (1.0, 1.0))
    result = ThermalResult(mesh, {"hot": {"temperature": 300.0 + mesh.points[:, 0]}})
    result.model.axisymmetric = True
    assert temperature(over="mean").evaluate(result).value == pytest.approx(300.0 + 2.0 / 3.0)
    assert temperature("ymin", over="mean").evaluate(result).value == pytest.approx(300.0 + 2.0 / 3.0)


def test_stress_at_a_point_is_interpolated_in_its_cell():
    fake = StaticResult(BOX, {"a": {}})
    result = static({"von_mises": (1e9 * fake.points.xyz[:, 0], 1e6)})
    value = stress(at=("130 mm", "25 mm", "25 mm")).evaluate(result)
    assert value.value == pytest.approx(130e6)
    assert value.error == pytest.approx(1e6)
    with pytest.raises(SelectionError, match="outside the mesh"):
        stress(at=("1 m", "0 mm", "0 mm")).evaluate(result)


# --- margins -----------------------------------------------------------------------------------------------


@given(st.floats(1e5, 1e9), st.floats(0.0, 1e9))
def test_the_interval_of_a_yield_margin_is_strength_over_each_end(sigma, error):
    value = yield_margin().evaluate(static({"von_mises": (sigma, error)}))
    assert value.value == pytest.approx(200e6 / sigma)
    assert value.low == pytest.approx(200e6 / (sigma + error))
    if error < sigma:
        assert value.high == pytest.approx(200e6 / (sigma - error), rel=1e-6)
    else:
        assert value.high == math.inf
    assert value.error >= value.high - value.value


def test_a_part_that_nothing_strains_was_not_tested():
    outcome = (yield_margin() >= 1.5).judge(static({"von_mises": 0.0}))
    assert outcome.value.value == math.inf
    assert outcome.status == "CANNOT TELL"
    assert "nothing was tested" in outcome.reason
    assert (yield_margin() >= 1.5).judge(static({"von_mises": (0.0, 1e9)})).status == "CANNOT TELL"


def test_each_part_is_judged_by_its_own_strength_at_a_shared_border():
    materials = {"soft": FakeMaterial(yield_strength=50e6), "hard": FakeMaterial(yield_strength=500e6)}
    result = static({"von_mises": 100e6}, materials=materials, split=0.1)
    assert len(result.points.node) > BOX.n_points  # the border has two rows a node
    assert yield_margin().evaluate(result).value == pytest.approx(0.5)
    assert yield_margin(on="xmax").evaluate(result).value == pytest.approx(5.0)


def test_a_missing_strength_names_property_material_and_part():
    materials = {"soft": FakeMaterial("rubber"), "hard": FakeMaterial(yield_strength=500e6)}
    result = static({"von_mises": 100e6}, materials=materials, split=0.1)
    for ask in (yield_margin().evaluate, lambda r: yield_margin().check(r.model)):
        with pytest.raises(
            MissingPropertyError, match=r"part 'soft': yield_strength of 'rubber'.*yield margin"
        ):
            ask(result)
    assert yield_margin(on="xmax").evaluate(result).value == pytest.approx(5.0)  # the other part alone


BRITTLE = {"body": FakeMaterial(ultimate_strength=100e6, compressive_strength=400e6)}


@pytest.mark.parametrize(
    ("first", "third", "rankine", "coulomb"),
    [
        (50e6, 0.0, 2.0, 2.0),  # tension
        (0.0, -100e6, 4.0, 4.0),  # compression
        (50e6, -100e6, 2.0, 1 / 0.75),  # one of each: s1/St - s3/Sc = 0.75
        (50e6, 20e6, 2.0, 2.0),  # all tension
        (-10e6, -100e6, 4.0, 4.0),
        (0.0, 0.0, math.inf, math.inf),
    ],
)
def test_brittle_margins_by_hand(first, third, rankine, coulomb):
    result = static({"principal_1": first, "principal_3": third}, materials=BRITTLE)
    assert brittle_margin().evaluate(result).value == pytest.approx(rankine)
    assert brittle_margin("mohr_coulomb").evaluate(result).value == pytest.approx(coulomb)


def test_rankine_judges_compression_only_where_a_strength_is_stated_and_coulomb_needs_it():
    materials = {"body": FakeMaterial("glass", ultimate_strength=40e6)}
    result = static({"principal_1": 0.0, "principal_3": -1e9}, materials=materials)
    assert brittle_margin().evaluate(result).value == math.inf
    with pytest.raises(MissingPropertyError, match="compressive_strength of 'glass'"):
        brittle_margin("mohr_coulomb").check(result.model)
    with pytest.raises(MissingPropertyError, match="compressive_strength of 'glass'"):
        brittle_margin("mohr_coulomb").evaluate(result)


@given(st.floats(-3e8, 3e8), st.floats(0, 3e8), st.floats(0, 1e8), st.floats(-1, 1), st.floats(-1, 1))
def test_the_interval_of_a_brittle_margin_holds_every_stress_within_the_errors(first, gap, error, a, b):
    third = first - gap
    result = static({"principal_1": (first, error), "principal_3": (third, error)}, materials=BRITTLE)
    truth = static({"principal_1": first + a * error, "principal_3": third + b * error}, materials=BRITTLE)
    for criterion in ("rankine", "mohr_coulomb"):
        value = brittle_margin(criterion).evaluate(result)
        true = brittle_margin(criterion).evaluate(truth).value
        assert value.low * (1 - 1e-12) <= true <= value.high * (1 + 1e-12)


# --- mass, reaction ----------------------------------------------------------------------------------------


def test_mass_comes_from_a_result_or_from_the_model_alone():
    result = static({"uz": 0.0})
    assert mass().evaluate(result).value == pytest.approx(2.0)  # 2e-3 m3 of 1000 kg/m3
    assert mass().evaluate(result.model).value == pytest.approx(2.0)
    assert (mass() <= "2.1 kg").judge(result).status == "PASS"
    plane = StaticResult(rectangle("triangle6", 2, (2.0, 1.0)), {"a": {}})
    assert mass().evaluate(plane.model).value == pytest.approx(2000.0)
    plane.model.axisymmetric = True  # the ring: 1000 * 1 * pi * 2**2
    assert mass().evaluate(plane.model).value == pytest.approx(4000.0 * math.pi)


def test_a_reaction_is_exact_where_one_support_takes_all_and_as_sure_as_the_mesh_elsewhere():
    result = static({"uz": 0.0})
    case = result["lift"]
    case.reactions[X == 0.0, 2] = 100.0
    total = 100.0 * (X == 0.0).sum()
    alone = reaction("xmin", "z").evaluate(result)
    assert alone.value == pytest.approx(total)
    assert alone.error < 1e-6 * total
    case.reactions[X > 0.199, 2] = -50.0
    shared = reaction("xmin", "z").evaluate(result)
    assert shared.error == pytest.approx(4 * 0.1**2 * total, rel=1e-6)  # four times the energy error squared
    pushed = reaction("xmax", "z").evaluate(result)
    assert pushed.value == pytest.approx(total / 2)
    assert "-" in pushed.note
    assert reaction("xmax", "z", over="min").evaluate(result).value == pytest.approx(-total / 2)
    assert reaction("xmax").evaluate(result).value == pytest.approx(total / 2)


# --- what is wrong is named --------------------------------------------------------------------------------


def test_a_case_that_does_not_exist_is_named_with_the_nearest():
    result = static({"lift": {"uz": 0.0}, "brake": {"uz": 0.0}})
    quantity = displacement(component="z", case="lfit")
    for ask in (quantity.evaluate, lambda r: quantity.check_case(r.cases)):
        with pytest.raises(RequirementError, match=r"displacement z in case 'lfit'.*did you mean 'lift'"):
            ask(result)


def test_a_group_that_does_not_exist_is_named_with_the_nearest():
    result = static({"uz": 0.0})
    for ask in (displacement("xmx", "z").evaluate, lambda r: displacement("xmx", "z").check(r.model)):
        with pytest.raises(SelectionError, match="xmax"):
            ask(result)


def test_a_result_of_the_other_analysis_is_refused_with_what_fits():
    with pytest.raises(
        RequirementError, match=r"needs a thermal result, and this is a static one.*ThermalTest"
    ):
        temperature().evaluate(static({"uz": 0.0}))
    hot = ThermalResult(BOX, {"hot": {"temperature": 300.0}})
    with pytest.raises(RequirementError, match=r"needs a static or vibration result.*StrengthTest"):
        yield_margin().evaluate(hot)
    with pytest.raises(RequirementError, match="mass needs a model or a result"):
        mass().evaluate(3.0)


def test_a_quantity_of_your_own_is_one_class():
    class WidthChange(Quantity):
        needs = "static"
        label = "width change"
        dimension = "length"

        def by_case(self, result):
            return [
                Value(value=float(np.ptp(c.field("ux").values)), case=c.name) for c in self.cases_of(result)
            ]

    outcome = (WidthChange() <= "0.3 m").judge(static({"ux": X}))
    assert (outcome.status, str(outcome.requirement)) == ("PASS", "width change ≤ 300 mm")


# --- words -------------------------------------------------------------------------------------------------


def test_a_place_names_the_smallest_nearest_group_and_never_the_whole_part():
    corner = int(np.argmin(np.linalg.norm(BOX.points - [0.2, 0.05, 0.05], axis=1)))
    assert str(place_of_node(BOX, corner)) == "(200, 50, 50) mm on 'xmax'"
    edge = int(np.argmin(np.linalg.norm(BOX.points - [0.2, 0.0, 0.05], axis=1)))
    assert str(place_of_node(BOX, edge, prefer="ymin")).endswith("on 'ymin'")
    assert str(place_of_node(BOX, edge)).endswith("on 'xmax'")  # fewer nodes
    middle = int(np.argmin(np.linalg.norm(BOX.points - [0.1, 0.05, 0.05], axis=1)))
    assert "50 mm from" in str(place_of_node(BOX, middle))
    assert "body" not in str(place_of_node(BOX, middle))


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (Value(value=0.3961e-3, error=0.0042e-3), "length", "0.3961 ± 0.0042 mm"),
        (Value(value=1.834, error=0.06), "dimensionless", "1.834 ± 0.060"),
        (Value.between(2.391, 1.663, 2.64), "dimensionless", "2.39 +0.25 -0.73"),
        (Value(value=1.2), "mass", "1.2 kg"),
        (Value(value=368.15, error=0.5), "temperature", "95.00 ± 0.50 °C"),
        (Value(value=250e6, error=12.3e6), "stress", "250 ± 12 MPa"),
        (Value(value=250e6, error=math.nan), "stress", "250 ± ? MPa"),
        (Value.between(450381.0, 74713.0, 1304205.0), "dimensionless", "450000 +854000 -376000"),
        (Value.between(103e6, 60e6, 217e6), "stress", "103 +114 -43 MPa"),
        (Value(value=1234567.0, error=432.0), "dimensionless", "1234570 ± 430"),
        (Value(value=math.inf), "dimensionless", "∞"),
        (Value.between(3.0, 1.0, math.inf), "dimensionless", "3 (at least 1)"),
        (Value.between(math.inf, 2.0, math.inf), "dimensionless", "∞ (at least 2)"),
        (Value(value=0.0, error=2e-6), "length", "0.0000 ± 0.0020 mm"),
        (Value(value=0.0), "length", "0 mm"),
        (Value(value=123456.0, error=1e-7), "force", "123456 N"),
        (Value(value=1.0, error=1e-12), "dimensionless", "1"),
        (Value.between(1.45e-6, 0.0, 1e-3), "dimensionless", "1.5e-6 (0 to 0.001)"),
        (Value.between(3e-8, -2e-6, 2e-6), "length", "0.00003 (-0.002 to 0.002) mm"),
        (Value.without_bound(Value(value=3.0), "a corner"), "stress", "singular"),
    ],
)
def test_values_are_shown_with_as_many_digits_as_their_error_allows(value, dimension, text):
    assert show_value(value, dimension) == text


def test_cannot_tell_says_what_would_help():
    outcome = (displacement("xmax", "z") <= "0.2 m").judge(static({"uz": (X, 0.01)}))
    assert outcome.status == "CANNOT TELL"
    assert "200 mm lies within 190 mm to 210 mm" in outcome.reason
    assert "finer mesh" in outcome.reason


def test_intervals_of_values_hold_the_value():
    value = Value.between(1.0, 1.2, 0.8)
    assert (value.low, value.high) == (1.0, 1.0)
    assert_allclose(Value.between(1.0, 0.5, 1.1).error, 0.5)


@pytest.mark.parametrize("quantity", [displacement("xmax", "z"), reaction("xmin", "z")])
def test_a_magnitude_has_no_negative_limit(quantity):
    """Every result would meet it, whatever it does."""
    with pytest.raises(RequirementError, match="over='min'"):
        _ = quantity >= -1.0
    assert (displacement("xmax", "z", over="min") >= "-0.1 mm").limit < 0.0
