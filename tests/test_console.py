"""What a console shows of an object that was not printed: a line, not its arrays."""

import pytest
from builders import box

import designtwin as dtw


@pytest.fixture(scope="module")
def bar():
    return dtw.Model(
        box("hexahedron", (4, 1, 1)),
        materials={"body": dtw.LinearElastic(youngs_modulus=2e11, poissons_ratio=0.3, yield_strength=3e8)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=(1.0, 0.0, 0.0))]},
    )


def test_objects_show_themselves_in_a_line(bar):
    verdict = dtw.StrengthTest(bar, requirements=[dtw.yield_margin() >= 1.5]).run()
    mesh = bar.mesh
    things = {
        "Mesh": mesh,
        "Group": mesh.groups["xmin"],
        "Region": bar.region("xmin"),
        "MeshReport": mesh.check(),
        "Model": bar,
        "StaticResult": verdict.result,
        "StaticCase": verdict.result["pull"],
        "Verdict": verdict,
    }
    for name, thing in things.items():
        assert repr(thing).startswith(f"<{name}"), repr(thing)
        assert len(repr(thing)) < 200, repr(thing)
        assert "\n" not in repr(thing)
    assert "PASS" in repr(verdict)


def test_a_misspelt_name_gets_a_hint():
    with pytest.raises(AttributeError, match="did you mean 'yield_margin'"):
        _ = dtw.yeild_margin


def test_a_model_without_load_cases_is_not_solved_silently(bar):
    empty = bar.with_(load_cases={})
    with pytest.raises(dtw.ModelError, match="nothing to solve"):
        dtw.solve_static(empty)
    with pytest.raises(dtw.ModelError, match="nothing to solve"):
        dtw.solve_thermal(bar)
