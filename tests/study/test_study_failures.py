"""Designs that fail, by chance or for good, and choices that are few."""

import numpy as np
import pytest
from test_study import PULL, STRIP, YIELD, strip
from test_study_gradients import MARGIN, VARIABLES, study

import designtwin as dtw

AREA = PULL / (YIELD / 2.0)


def unlucky(seed, share=0.2):
    """A build that fails now and then, for reasons that are not the design's."""
    rng = np.random.default_rng(seed)

    def build(values, mesh):
        if rng.random() < share:
            raise OSError("no license was free")
        return strip(values, mesh)

    return build


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("gradients", ["auto", "differences"])
def test_one_evaluation_in_five_failing_does_not_keep_it_from_the_optimum(seed, gradients):
    best = study(MARGIN, build=unlucky(seed)).run(gradients=gradients)
    area = best.values["thickness"] * best.values["width"]
    assert best.feasible
    assert AREA <= area < 1.005 * AREA


@pytest.mark.parametrize("seed", range(3))
def test_designs_of_which_one_in_five_never_works_are_gone_around(seed):
    """Not by chance: such a design fails whenever it is tried; the start works."""

    def build(values, mesh):
        start = values == {name: v.start for name, v in VARIABLES.items()}
        lot = np.random.default_rng([seed, *np.array(list(values.values())).view(np.uint64)]).random()
        if lot < 0.2 and not start:
            raise dtw.MeshError("a sliver in the fillet")
        return strip(values, mesh)

    best = study(MARGIN, build=build).run()
    area = best.values["thickness"] * best.values["width"]
    assert AREA <= area < 1.01 * AREA


def test_a_failure_is_tried_once_more_before_it_counts():
    tries = []

    def build(values, mesh):
        tries.append(values)
        if len(tries) == 3:
            raise dtw.ResourceError("the disk was full for a moment")
        return strip(values, mesh)

    one = study(MARGIN, build=build)
    for _ in range(2):
        tries.append(None)
    found = one.analyze({"thickness": 0.002})
    assert not found.failure
    assert found.tries == 2


def test_a_design_that_fails_says_why_and_is_kept(tmp_path):
    def build(values, mesh):
        if values["thickness"] < 0.003:
            raise dtw.MeshError("too thin to mesh")
        return strip(values, mesh)

    best = study(MARGIN, build=build, store=tmp_path).run(max_analyses=20)
    failed = [e for e in best.history.evaluations if e.failure]
    assert failed
    assert all(e.failure == "MeshError: too thin to mesh" and e.tries == 2 for e in failed)
    assert best.values["thickness"] >= 0.003
    assert f"{len(failed)} failed" in str(best)


def test_requirements_that_exclude_each_other_are_named():
    light = dtw.mass() <= "50 g"
    stiff = dtw.displacement("xmax", "x") <= "0.3 mm"
    best = study(MARGIN, light, stiff).run()
    assert not best.feasible
    assert set(best.conflict) == {f"{MARGIN} | pull", str(light)}  # the third could be met with either
    assert "in conflict" in str(best)


# Choices


CHOICES = {
    "thickness": dtw.variable(choices=["1 mm", "1.5 mm", "2 mm", "3 mm"]),
    "width": dtw.variable("20 mm", "40 mm", start="40 mm"),
}


def test_a_thickness_is_one_that_can_be_bought():
    """With at most 40 mm of width the least area needs 1.6 mm: 2 mm is the sheet, and the width follows."""
    best = study(MARGIN, variables=CHOICES).run()
    assert best.values["thickness"] == 0.002
    assert AREA / 0.002 <= best.values["width"] < 1.005 * AREA / 0.002
    assert "branch" in best.method
    assert "one of 4" in str(best)


def test_choices_alone_are_all_tried():
    best = study(MARGIN, variables={"thickness": CHOICES["thickness"]}).run()
    assert best.values["thickness"] == 0.002
    assert {e.values["thickness"] for e in best.history.evaluations} == {0.001, 0.0015, 0.002, 0.003}


def test_a_count_is_whole_at_every_design_that_is_built():
    seen = []

    def build(values, mesh):
        seen.append(values["sheets"])
        return strip({"thickness": 0.5e-3 * values["sheets"], "width": values["width"]}, mesh)

    variables = {"sheets": dtw.variable(1, 8, integer=True), "width": dtw.variable("20 mm", "40 mm")}
    best = study(MARGIN, build=build, variables=variables).run()
    assert all(one == round(one) for one in seen)
    area = 0.5e-3 * best.values["sheets"] * best.values["width"]
    assert AREA <= area < 1.005 * AREA


def test_an_ordinary_variable_is_known_by_what_it_always_was():
    """So that stores from before there were choices are read."""
    assert dtw.variable("1 mm", "5 mm").to_dict() == {
        "type": "Variable", "low": 0.001, "high": 0.005, "start": 0.003, "dimension": "length",
    }  # fmt: skip
    one = CHOICES["thickness"]
    assert type(one).from_dict(one.to_dict()) == one


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dtw.variable(choices=["3 mm"]), "nothing to choose"),
        (lambda: dtw.variable(choices=[]), "choices is empty"),
        (lambda: dtw.variable(choices="3 mm"), "a list is wanted"),
        (lambda: dtw.variable(choices=["3 mm", "4 kg"]), "length is wanted"),
        (lambda: dtw.variable(choices=["3 mm", "4 mm"], start="3.5 mm"), "not one of its choices"),
        (lambda: dtw.variable("3 mm", "5 mm", choices=["3 mm", "4 mm"]), "leave low, high"),
        (lambda: dtw.variable(0.5, 3, integer=True), "two whole numbers"),
        (lambda: dtw.variable("3 mm"), "a low and a high"),
        (lambda: study(MARGIN).run(max_analyses=0), "max_analyses=0"),
        (lambda: study(MARGIN).run(method="simplex"), "no method 'simplex'"),
    ],
)
def test_what_is_no_choice_is_told(make, words):
    with pytest.raises(dtw.DesignTwinError, match=words):
        make()


def test_a_method_that_is_none_costs_no_analysis():
    built = []

    def build(values, mesh):
        built.append(values)
        return strip(values, mesh)

    with pytest.raises(dtw.OptimizationError, match="no method 'simplex'"):
        study(MARGIN, build=build).run(method="simplex")
    assert not built


def test_the_best_is_tested_on_a_finer_mesh_by_itself():
    best = study(MARGIN).run()
    assert "not yet" in str(best)
    check = best.verify()
    assert check.status == "PASS"
    assert check.mesh.n_cells == 4 * STRIP.n_cells
    assert f"PASS on another mesh of {4 * STRIP.n_cells} cells" in str(best)


def test_a_build_that_makes_its_own_mesh_is_not_verified_on_the_same_again():
    best = study(MARGIN, build=lambda values, mesh: strip(values, STRIP)).run(max_analyses=2)
    with pytest.raises(dtw.StudyError, match="leaves the finer one it is given alone"):
        best.verify()
