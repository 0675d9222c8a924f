"""The design loop on a strip whose answer is known in closed form."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import rectangle
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.study.store import Evaluation, Store

PULL, MODULUS, DENSITY, YIELD = 8e3, 200e9, 7800.0, 250e6
STRIP = rectangle("quad8", (4, 2), (0.2, 0.04))


def strip(values, mesh):
    """A strip pulled along x: stress is PULL / (width * thickness), everywhere."""
    width = values.get("width", 0.04)
    shaped = mesh.morphed(dtw.stretch("y", {0.0: 0.0, 0.04: width}))
    steel = dtw.LinearElastic(
        youngs_modulus=MODULUS, poissons_ratio=0.3, density=DENSITY, yield_strength=YIELD, name="steel"
    )
    return dtw.Model(
        shaped,
        materials={"body": dtw.PlaneStress(steel, thickness=values["thickness"])},
        supports=[dtw.PrescribedDisplacement(on="xmin", x=0.0), dtw.PrescribedDisplacement(on="ymin", y=0.0)],
        load_cases={"pull": [dtw.Force(on="xmax", value=(PULL, 0.0, 0.0))]},
    )


def strength(model):
    return [dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 2.0])]


def study(build=strip, *, store=None, variables=None, tests=strength):
    variables = variables or {"thickness": dtw.variable("1 mm", "5 mm", start="4 mm")}
    return dtw.Study(
        build=build, mesh=STRIP, variables=variables, tests=tests, minimize=dtw.mass(), store=store
    )


THICKNESS = PULL / 0.04 / (YIELD / 2.0)


def test_one_variable_ends_where_stress_meets_its_limit():
    best = study().run()
    assert best.feasible
    assert THICKNESS <= best.values["thickness"] < 1.01 * THICKNESS
    assert_allclose(best.objective, 0.2 * 0.04 * best.values["thickness"] * DENSITY, rtol=1e-9)
    assert any("yield margin" in word for word in best.active)
    assert best.status == "PASS"
    assert "first-order optimality" in best.stopped


def test_two_variables_end_on_the_curve_of_equal_stress():
    variables = {
        "thickness": dtw.variable("1 mm", "5 mm", start="4 mm"),
        "width": dtw.variable("20 mm", "60 mm", start="50 mm"),
    }
    best = study(variables=variables).run()
    area = best.values["thickness"] * best.values["width"]
    assert PULL / (YIELD / 2.0) <= area < 1.01 * PULL / (YIELD / 2.0)


def test_a_bound_that_holds_the_optimum_is_named():
    best = study(variables={"thickness": dtw.variable("3 mm", "5 mm")}).run()
    assert_allclose(best.values["thickness"], 0.003)
    assert "thickness at its lower bound" in best.active


def test_requirements_nothing_can_meet_are_told_not_hidden():
    best = study(variables={"thickness": dtw.variable("0.5 mm", "1 mm")}).run()
    assert not best.feasible
    assert best.status == "FAIL"
    assert "no design met all requirements" in best.stopped
    assert "yield margin" in best.stopped


def test_verify_tests_the_same_design_on_another_mesh():
    best = study().run()
    check = best.verify(rectangle("triangle6", (12, 4), (0.2, 0.04)))
    assert check.status == "PASS"
    assert check.verdicts[0].result.mesh.n_cells == 96
    assert_allclose(check.objective, best.objective, rtol=1e-9)


def test_verify_without_a_test_is_refused_not_passed():
    best = study(tests=lambda model: strength(model) if model.mesh.n_cells == STRIP.n_cells else []).run()
    with pytest.raises(dtw.StudyError, match="a prototype test at least"):
        best.verify(rectangle("triangle6", (12, 4), (0.2, 0.04)))


def test_designs_that_fail_are_survived():
    def fragile(values, mesh):
        if 0.0017 < values["thickness"] < 0.0019 or 0.0024 < values["thickness"] < 0.0026:
            raise dtw.MeshError("the mesher gave up here")
        return strip(values, mesh)

    best = study(fragile).run()
    assert best.feasible
    assert best.values["thickness"] < 1.02 * THICKNESS


def test_a_start_that_fails_says_why():
    def broken(values, mesh):
        raise dtw.MeshError("no such shape")

    with pytest.raises(dtw.MeshError, match="no such shape"):
        study(broken).run()


def test_a_second_run_analyses_nothing_again(tmp_path):
    calls = []

    def counted(model):
        calls.append(1)
        return strength(model)

    first = study(store=tmp_path, tests=counted).run()
    analyzed = len(calls)
    second = study(store=tmp_path, tests=counted).run()
    assert second.values == first.values
    # The requirements are asked for: for the fingerprint, for what the optimizer sees, for the last verdict.
    assert len(calls) - analyzed <= 3


def test_another_build_is_noticed(tmp_path):
    study(store=tmp_path).run(max_analyses=3)

    def other(values, mesh):
        return strip({**values, "width": 0.05}, mesh)

    with pytest.raises(dtw.StudyError, match="build function"):
        study(other, store=tmp_path).run()


def test_another_requirement_is_noticed(tmp_path):
    study(store=tmp_path).run(max_analyses=3)

    def stricter(model):
        return [dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 2.5])]

    with pytest.raises(dtw.StudyError, match="tests"):
        study(tests=stricter, store=tmp_path).run()


def test_budgets_end_the_search_with_the_best_so_far():
    best = study().run(max_analyses=2, gradients="differences")
    assert "2 analyses" in best.stopped
    assert len(best.history) == 2
    assert "budget of 1 analysis was used" in study().run(max_analyses=1).stopped


SCRIPT = """
import sys, time
sys.path[:0] = {paths!r}
from test_study import study, dtw
one = study(store={store!r}, variables={{
    "thickness": dtw.variable("1 mm", "5 mm", start="4 mm"),
    "width": dtw.variable("20 mm", "60 mm", start="50 mm"),
}})
print("began", flush=True)
began = time.perf_counter()
best = one.run(tolerance=1e-5, gradients={gradients!r})
print(*(value.hex() for value in best.values.values()), len(best.history), best.stopped)
print(time.perf_counter() - began)
"""


def script(store, gradients):
    here = Path(__file__).resolve().parent
    code = SCRIPT.format(paths=[str(here), str(here.parent)], store=str(store), gradients=gradients)
    return [sys.executable, "-c", code]


@pytest.fixture(scope="module", params=["auto", "differences"] if FULL else ["auto"])
def uninterrupted(tmp_path_factory, request):
    command = script(tmp_path_factory.mktemp("study") / "whole", request.param)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return request.param, said[1], float(said[2])


@pytest.mark.parametrize("share", np.linspace(0.02, 0.98, 20) if FULL else (0.2, 0.5, 0.8))
def test_killed_at_any_moment_of_the_search_it_resumes_to_the_same_bits(tmp_path, uninterrupted, share):
    gradients, known, seconds = uninterrupted
    command = script(tmp_path / "killed", gradients)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "began\n"
    try:
        process.wait(timeout=share * seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    resumed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert resumed.stdout.splitlines()[1] == known


def test_store_keeps_what_it_was_given(tmp_path):
    one = Evaluation(1, {"a": 0.1}, 2.0, {"r | c": float("inf")}, {"r": "PASS"}, {"r": 1.5}, "", 0.2)
    store = Store(tmp_path, {"mesh": "x"})
    store.add(one)
    store.close()
    assert Store(tmp_path, {"mesh": "x"}).find({"a": 0.1}) == one
    assert Store(tmp_path, {"mesh": "x"}).find({"a": 0.2}) is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(dtw.StudyError, match="cannot keep the study"):
        Store(tmp_path / "file" / "below", {})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dtw.variable("8 mm", "3 mm"), "low must be below high"),
        (lambda: dtw.variable("3 mm", "8 mm", start="9 mm"), "outside"),
        (lambda: dtw.variable("3 mm", "8 kg"), "length is wanted"),
        (lambda: dtw.variable("three", "8 mm"), "no unit we know"),
        (lambda: study(variables={"t": (1, 2)}), "dtw.variable"),
    ],
)
def test_bad_variables_are_told(make, words):
    with pytest.raises(dtw.DesignTwinError, match=words):
        make()


def misspelt(values, mesh):
    return strip({"width": values["widht"]}, mesh)


def test_what_build_and_tests_do_wrong_is_told():
    with pytest.raises(dtw.ModelError, match="KeyError: 'widht'"):
        study(build=misspelt).run()
    with pytest.raises(dtw.StudyError, match="not run"):
        study(tests=lambda model: [test.run() for test in strength(model)]).run()
    with pytest.raises(dtw.StudyError, match="a list of a prototype test"):
        study(tests=lambda model: strength(model)[0]).run()
    with pytest.raises(dtw.StudyError, match="relative change"):
        study().run(tolerance=float("nan"))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: study().gradients({"thickness": "30 mm"}), "thickness is 30 mm, outside 1 mm to 5 mm"),
        (lambda: study().check_gradients([0.003]), "a value by variable"),
        (lambda: study().run(tolerance="fine"), "tolerance is a relative change"),
        (lambda: study().run(max_time="0 s"), "a time above 0"),
        (lambda: study().run(workers=-1), "no number of processes"),
        (lambda: study().run(method=None), "no method None"),
        (lambda: study(tests=lambda model: 1 / 0).run(), r"tests\(model\) failed: ZeroDivisionError"),
        (lambda: study(store=3).run(), "path of a folder"),
        (lambda: study(variables=[dtw.variable("1 mm", "5 mm")]), "a study needs variables="),
    ],
)
def test_what_is_asked_wrongly_is_told_in_words(ask, words):
    with pytest.raises(dtw.DesignTwinError, match=words):
        ask()


def test_the_best_of_several_starts_is_told_with_how_many_ended_there():
    best = study().run(starts=3)
    assert "of 3 starts ended within" in best.stopped
    assert best.feasible
    assert best.optimality < 1e-2
    assert "optimality  " in str(best)
