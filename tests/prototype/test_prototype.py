"""Prototype tests on real little parts: numbers by hand, refusals before anything is solved."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from builders import box

import designtwin as dtw
from designtwin.errors import ModelError, RequirementError
from designtwin.requirements import Requirement, Value

LENGTH, SIDE, FORCE = 0.2, 0.02, 20e3
STEEL = {
    "youngs_modulus": "200 GPa",
    "poissons_ratio": 0.3,
    "density": "8000 kg/m3",
    "yield_strength": "300 MPa",
    "name": "steel",
}


def bar(element="hexahedron20", n=(6, 2, 2), **cases) -> dtw.Model:
    """A bar on rollers: pulled, its stress is exactly force over area everywhere."""
    mesh = box(element, n, (LENGTH, SIDE, SIDE))
    return dtw.Model(
        mesh,
        materials={"body": dtw.LinearElastic(**STEEL)},
        supports=[dtw.Symmetry(on="xmin"), dtw.Symmetry(on="ymin"), dtw.Symmetry(on="zmin")],
        load_cases=cases or {"pull": [dtw.Force(on="xmax", value=(FORCE, 0.0, 0.0))]},
        name="bar",
    )


def wall() -> dtw.Model:
    """A wall with 100 W through it: linear temperature."""
    return dtw.Model(
        box("hexahedron", (4, 1, 1), (0.1, 0.1, 0.1)),
        materials={"body": dtw.LinearElastic(conductivity="10 W/(m*K)", density="1000 kg/m3", name="brick")},
        supports=[dtw.FixedTemperature(on="xmin", value="20 degC")],
        load_cases={"on": [dtw.HeatFlow(on="xmax", total="100 W")]},
    )


SIGMA = FORCE / SIDE**2  # 50 MPa, so the margin is 6


def test_a_pulled_bar_by_hand():
    verdict = dtw.StrengthTest(
        bar(),
        requirements=[
            dtw.yield_margin() >= 5.9,
            dtw.yield_margin(criterion="tresca") >= 5.9,
            dtw.displacement("xmax", "x") <= "0.051 mm",
            dtw.stress("xx", at=("50 mm", "10 mm", "10 mm")) <= "50.1 MPa",
            dtw.reaction("xmin", "x") <= "20.1 kN",
            dtw.mass() <= "0.65 kg",
        ],
    ).run()
    assert verdict.status == "PASS"
    assert bool(verdict)
    values = [row.value.value for row in verdict.rows]
    assert values == pytest.approx([6.0, 6.0, SIGMA / 200e9 * LENGTH, SIGMA, FORCE, 0.64], rel=1e-9)
    assert all(
        row.value.error <= 1e-6 * row.value.value for row in verdict.rows
    )  # the exact answer is in the space
    assert [row.value.case for row in verdict.rows[:5]] == ["pull"] * 5
    assert verdict.failure_zones() == ()
    assert verdict.result["pull"].displacement.shape == (bar().mesh.n_points, 3)


def test_one_failure_fails_the_whole_and_is_a_zone():
    verdict = dtw.StrengthTest(bar(), requirements=[dtw.yield_margin() >= 7, dtw.mass() <= "1 kg"]).run()
    assert verdict.status == "FAIL"
    assert not verdict
    (zone,) = verdict.failure_zones()
    assert zone.volume == pytest.approx(LENGTH * SIDE**2)
    assert zone.times_limit == pytest.approx(7 / 6)


def test_cases_and_combinations_govern_by_name():
    model = bar(
        pull=[dtw.Force(on="xmax", value=("20 kN", 0.0, 0.0))],
        push=[dtw.Force(on="xmax", value=("-30 kN", 0.0, 0.0))],
        both=dtw.combine(pull=2.0, push=0.5),
    )
    rows = dtw.StrengthTest(
        model,
        requirements=[
            dtw.stress("xx") <= "1 GPa",
            dtw.stress("xx", over="min") >= "-1 GPa",
            dtw.yield_margin() >= 1,
            dtw.yield_margin(case="both") >= 1,
        ],
    ).run().rows  # fmt: skip
    assert [row.value.case for row in rows] == ["both", "push", "push", "both"]
    assert [row.value.value for row in rows] == pytest.approx([62.5e6, -75e6, 4.0, 4.8], rel=1e-9)


def test_a_wall_by_hand():
    verdict = dtw.ThermalTest(
        wall(),
        requirements=[
            dtw.temperature() <= "125 degC",
            dtw.temperature("xmax", over="mean") <= "121 degC",
            dtw.temperature("xmin", over="min") >= "19 degC",
            dtw.mass() <= "2 kg",
        ],
    ).run()
    values = [row.value.value for row in verdict.rows]
    assert values == pytest.approx([393.15, 393.15, 293.15, 1.0], rel=1e-9)  # q L / k = 100 K
    assert verdict.status == "PASS"
    assert verdict.rows[0].margin == pytest.approx(5.0, rel=1e-6)
    assert "+5 K" in str(verdict)


def test_two_parts_are_judged_each_by_its_own_material():
    mesh = box("tetra10", (4, 1, 1), (LENGTH, SIDE, SIDE))
    left = mesh.cell_centers[:, 0] < LENGTH / 2
    mesh = mesh.with_groups(
        {"soft": dtw.Group(cells=np.flatnonzero(left)), "hard": dtw.Group(cells=np.flatnonzero(~left))}
    )
    model = dtw.Model(
        mesh,
        materials={
            "soft": dtw.LinearElastic(**STEEL | {"yield_strength": "100 MPa"}),
            "hard": dtw.LinearElastic(**STEEL),
        },
        supports=[dtw.Symmetry(on="xmin"), dtw.Symmetry(on="ymin"), dtw.Symmetry(on="zmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=(FORCE, 0.0, 0.0))]},
    )
    places = [{}, {"on": "hard"}, {"excluding": "soft"}]
    test = dtw.StrengthTest(model, requirements=[dtw.yield_margin(**place) >= 1 for place in places])
    rows = test.run().rows
    assert [row.value.value for row in rows] == pytest.approx([2.0, 6.0, 6.0], rel=1e-6)


# --- the verdict as data and as text -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def verdict():
    model = bar(pull=[dtw.Force(on="xmax", value=(FORCE, 0.0, 0.0))], rest=[dtw.Gravity(direction="-x")])
    requirements = [
        dtw.yield_margin(excluding=dtw.near("xmin", "4 mm")) >= 7,
        dtw.yield_margin(case="rest", on=dtw.box((0.15, None, None), (None, None, None))) >= 1,
        dtw.displacement("xmax", "x") <= "0.4 mm",
    ]
    return dtw.StrengthTest(model, requirements=requirements).run()


def test_a_verdict_is_json_without_infinities(verdict):
    data = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    assert data["status"] == "FAIL"
    assert data["test"] == "strength test"
    assert data["name"] == "bar"
    assert [row["status"] for row in data["requirements"]] == ["FAIL", "PASS", "PASS"]
    first = data["requirements"][0]
    assert first["value"] == pytest.approx(6.0)
    assert first["excluded"] == "within 4 mm of 'xmin'"
    assert first["case"] == "pull"
    assert len(first["place"]["point"]) == 3
    assert len(data["failure_zones"]) == 1
    assert data["checks"]["n_dof"] == 3 * bar().mesh.n_points
    # what was asked can be asked again from the data
    again = Requirement.from_dict(
        {"type": "Requirement", **{k: first[k] for k in ("quantity", "relation", "limit")}}
    )
    assert again == verdict.rows[0].requirement


def test_infinite_margins_are_words_in_json():
    model = bar(pull=[dtw.Force(on="xmax", value=(FORCE, 0.0, 0.0))])
    outcome = dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1]).run()
    endless = Value.between(math.inf, 2.0, math.inf)
    row = outcome.rows[0]
    changed = type(row)(requirement=row.requirement, value=endless, margin=math.inf, status="PASS")
    data = type(outcome)(rows=(changed,), result=outcome.result).to_dict()
    assert data["requirements"][0]["value"] == "inf"
    json.dumps(data, allow_nan=False)


def test_the_table_says_all_an_engineer_asks_within_its_width(verdict):
    text = str(verdict)
    assert max(map(len, text.splitlines())) <= 110
    flat = " ".join(text.split())
    for words in (
        "strength test of bar: FAIL", "yield margin", "≥ 7", "0.4 mm", "pull", "rest", "within 4 mm", "FAIL",
        "PASS", "mm on", "unknowns", "hexahedron20", "residual", "balance", "-14 %", "energy error",
    ):  # fmt: skip
        assert words in flat, words
    assert "\x1b" not in text


def test_colors_are_for_terminals_only(verdict):
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    Console(file=out, force_terminal=True, color_system="standard", width=110).print(verdict)
    assert "\x1b[1;31m" in out.getvalue()  # bold red


# --- refused before anything is solved ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requirements", "says"),
    [
        ([], "without requirements decides nothing"),
        ([dtw.yield_margin()], "has no limit"),
        ([dtw.yield_margin() == 1.5], "write <= or >="),
        (["yield_margin() >= 1.5"], "is a str"),
        ([dtw.temperature("xmax") <= "95 degC"], "put it into a ThermalTest"),
        ([dtw.displacement("xmx") <= "1 mm"], "'xmax'"),
        ([dtw.yield_margin(case="pul") >= 1], "'pull'"),
        ([dtw.yield_margin(excluding=dtw.near("xmin", "1 m")) >= 1], "nothing is left"),
        ([dtw.brittle_margin() >= 1], "ultimate_strength of material 'steel'"),
        ([dtw.yield_margin(excluding=dtw.near("bolts", "4 mm")) >= 1], "no group 'bolts'"),
    ],
)
def test_what_cannot_be_judged_is_refused_at_construction(requirements, says):
    with pytest.raises(dtw.DesignTwinError, match=says):
        dtw.StrengthTest(bar(), requirements=requirements)


def test_a_single_requirement_needs_no_list():
    assert len(dtw.StrengthTest(bar(), requirements=dtw.yield_margin() >= 1).requirements) == 1


def test_a_test_without_its_kind_of_load_is_refused():
    with pytest.raises(ModelError, match="thermal test needs a load case with heat"):
        dtw.ThermalTest(bar(), requirements=[dtw.temperature() <= "95 degC"])
    with pytest.raises(ModelError, match="strength test needs a load case with forces"):
        dtw.StrengthTest(wall(), requirements=[dtw.mass() <= "95 kg"])
    with pytest.raises(RequirementError, match="put it into a StrengthTest"):
        dtw.ThermalTest(wall(), requirements=[dtw.yield_margin() >= 1])


def test_a_coarse_mesh_near_the_limit_cannot_tell():
    # A bent bar of few linear tetrahedra: its stress is unsure by far more than one percent.
    mesh = box("tetra", (6, 2, 2), (LENGTH, SIDE, SIDE))
    model = dtw.Model(
        mesh,
        materials={"body": dtw.LinearElastic(**STEEL)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"bend": [dtw.Force(on="xmax", value=(0.0, 0.0, -100.0))]},
    )
    margin = dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1]).run().rows[0].value
    limit = 1.01 * margin.value
    verdict = dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= limit]).run()
    assert verdict.status == "CANNOT TELL"
    assert not verdict
    assert "a finer mesh" in str(verdict)


def test_large_displacements_are_doubted():
    """Young's modulus in MPa without its unit: 210000 Pa."""
    soft = {**STEEL, "youngs_modulus": 210000.0}
    model = dtw.Model(
        bar(n=(2, 1, 1)).mesh,
        materials={"body": dtw.LinearElastic(**soft)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=(FORCE, 0.0, 0.0))]},
    )
    verdict = dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1.5]).run()
    assert any("check the units" in note for note in verdict.notes)
    assert not any("check the units" in note for note in dtw.solve_static(bar(n=(2, 1, 1))).notes)


def test_probes_and_cases_asked_for_wrongly_are_named():
    result = dtw.solve_static(bar(n=(2, 1, 1)))
    with pytest.raises(dtw.SelectionError, match="three coordinates"):
        result["pull"].probe((0.0, 0.0), "von_mises")
    with pytest.raises(RequirementError, match="no case 0"):
        result[0]


def test_loads_on_held_faces_are_doubted():
    """All is well, says a verdict on a part that nothing strains."""
    model = bar(
        n=(2, 1, 1), push=[dtw.FixedSupport(on="xmax"), dtw.Force(on="xmax", value=(FORCE, 0.0, 0.0))]
    )
    verdict = dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1.5]).run()
    assert any("nothing moves" in note for note in verdict.notes)


def test_a_test_wants_a_model():
    with pytest.raises(ModelError, match="is a Model"):
        dtw.StrengthTest("bracket", requirements=[dtw.yield_margin() >= 1.5])
