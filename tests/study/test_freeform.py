"""Free form: gradients are those of the analyses, shapes found are better and meet what is asked."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from builders import box, rectangle
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.errors import MeshError, NoAdjointError, StudyError
from designtwin.study.freeform import _Search, planes_of_symmetry

MM = 1e-3


def beam(element="quad8", n=(20, 4), case="tip", **more):
    """A cantilever of 100 x 20 mm whose upper side is free."""
    size = (0.1, 0.02, 0.01)
    mesh = (
        rectangle(element, n, size[:2]) if element in ("quad8", "triangle6") else box(element, (*n, 1), size)
    )
    steel = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0)
    cases = {
        "tip": [dtw.Force(on="xmax", value=(0, "-1 kN", 0))],
        "pull": [dtw.Force(on="xmax", value=("20 kN", 0, 0))],
    }
    return dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(steel, thickness="10 mm") if mesh.is_plane else steel},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={case: cases[case]} if case != "both" else cases,
        **more,
    )


def form(model, minimize, requirements=None, **more):
    given = requirements or [dtw.mass() <= 1.001 * dtw.mass().evaluate(model).value]
    options = {"on": "ymax", "filter_radius": "14 mm", "reach": "8 mm"}
    return dtw.FreeForm(test=dtw.StrengthTest(model, given), minimize=minimize, **options | more)


@pytest.mark.parametrize(
    "quantity",
    [dtw.compliance(), dtw.displacement("xmax", "y", over="min"), dtw.stress("von_mises", on="ymin")],
    ids=["compliance", "displacement", "stress"],
)
@pytest.mark.parametrize("case", ["tip", "both"])
def test_slopes_over_heights_are_those_of_the_analyses(quantity, case):
    search = _Search(
        form(beam(case=case), quantity, [dtw.mass() <= 0.2, dtw.displacement("xmax") <= "1 mm"]), 99, 1e12
    )
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, len(search.shape.low)) * 2 * MM
    df, dg = search.gradients(x)
    for d in rng.normal(size=(2, len(x))):
        h = 1e-7
        (f1, g1), (f0, g0) = search.functions(x + h * d), search.functions(x - h * d)
        assert_allclose((f1 - f0) / (2 * h), df @ d, atol=2e-4 * np.linalg.norm(df) * np.linalg.norm(d))
        # of displacement, the end of its interval stands for the number that is differentiated
        assert_allclose((g1 - g0)[[0, -1]] / (2 * h), (dg @ d)[[0, -1]], rtol=1e-4)
        assert_allclose((g1 - g0) / (2 * h), dg @ d, rtol=0.05)


def test_a_cantilever_becomes_deep_at_its_root_and_no_heavier():
    model = beam()
    found = form(model, dtw.compliance(), symmetric="").run(max_analyses=12, verify=False)
    assert found.value < 0.75 * found.start
    assert found.status == "PASS"
    assert dtw.mass().evaluate(found.model).value <= 1.001 * dtw.mass().evaluate(model).value
    top = dtw.select("ymax").resolve(model.mesh).nodes
    x, rise = model.mesh.points[top, 0], found.displacement[top, 1]
    # The root itself stays, as the clamped face slides in its plane only where the form lets it.
    assert rise[(x > 5 * MM) & (x < 40 * MM)].mean() > 1 * MM > -1 * MM > rise[x > 70 * MM].mean()
    assert np.abs(rise).max() <= 8.0001 * MM
    assert not found.displacement[dtw.select("ymin").resolve(model.mesh).nodes, 1].any()
    assert "analyses" in str(found)
    assert found.history[0][0] == pytest.approx(found.start)


def test_the_shape_is_tested_again_on_a_finer_mesh():
    found = form(beam(n=(10, 2)), dtw.compliance()).run(max_analyses=3)
    assert found.verified[0].result.model.mesh.n_cells == 4 * found.mesh.n_cells
    assert found.status == found.verified[0].status


def test_the_same_search_gives_the_same_digits():
    a, b = (form(beam(n=(10, 2)), dtw.compliance()).run(max_analyses=5, verify=False) for _ in range(2))
    assert np.array_equal(a.displacement, b.displacement)


def test_a_lattice_may_be_what_moves():
    model = beam()
    lattice = dtw.Lattice((-0.001, -0.001, -1.0), (0.101, 0.021, 1.0), (5, 3, 2), fixed="xmin", fade="20 mm")
    options = {"on": None, "filter_radius": None, "lattice": lattice, "axes": "y", "reach": "6 mm"}
    found = form(model, dtw.compliance(), **options).run(max_analyses=10, verify=False)
    assert found.value < 0.8 * found.start
    assert found.status == "PASS"
    assert not found.displacement[dtw.select("xmin").resolve(model.mesh).nodes].any()


def test_cells_keep_the_share_of_their_quality_that_is_asked():
    soft = form(
        beam(), dtw.compliance(), [dtw.mass() <= 1.0], quality=0.75, reach="60 mm", filter_radius="9 mm"
    )
    found = soft.run(max_analyses=12, verify=False)
    assert found.quality > 0.7
    assert found.value < found.start
    assert found.mesh.check()["inverted"].count == 0


def test_a_solid_finds_the_same_beam():
    flat = form(beam(), dtw.compliance()).run(max_analyses=8, verify=False)
    solid = form(beam("hexahedron20"), dtw.compliance(), extruded="z").run(max_analyses=8, verify=False)
    assert_allclose(solid.value / solid.start, flat.value / flat.start, rtol=0.05)


def test_places_found_by_a_rule_stay_the_same_faces():
    model = beam()
    rule = dtw.box((None, "19.9 mm", None), (None, None, None))
    search = _Search(form(model, dtw.stress("von_mises", on=rule)), 9, 1e12)
    x = np.full(len(search.shape.low), -3 * MM)
    moved = search.design(x)
    assert search.value(moved) > 1.2 * search.start, "a rule of y = 20 mm would find nothing any more"


def test_planes_of_symmetry_are_read_off_the_supports():
    model = beam()
    assert planes_of_symmetry(model) == {}
    held = model.with_(supports=[dtw.Symmetry(on="xmin"), dtw.Symmetry(on="ymin")])
    assert planes_of_symmetry(held) == {"x": 0.0, "y": 0.0}
    notes = form(held, dtw.compliance()).run(max_analyses=2, verify=False).notes
    assert any("symmetric to x = 0" in note for note in notes)


def test_loads_and_supports_that_move_with_the_shape_are_in_its_slope():
    # Pressure on the free face, weight of the whole, a bed of springs below the free face's neighbors.
    model = beam().with_(
        load_cases={"press": [dtw.Pressure(on="ymax", magnitude="5 MPa"), dtw.Gravity(direction="-y")]},
        supports=[dtw.FixedSupport(on="xmin"), dtw.ElasticFoundation(on="xmax", normal="1 N/mm3")],
    )
    search = _Search(form(model, dtw.compliance()), 99, 1e12)
    assert len(search.carrying) == len(search.shape.low)
    assert any("move loads" in note for note in search.notes)
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, len(search.shape.low)) * 2 * MM
    df, _ = search.gradients(x)
    d, h = rng.normal(size=len(x)), 1e-6
    assert_allclose(
        (search.functions(x + h * d)[0] - search.functions(x - h * d)[0]) / (2 * h), df @ d, rtol=1e-5
    )


def test_only_what_moves_a_load_is_differenced():
    search = _Search(form(beam(n=(40, 4)), dtw.compliance()), 99, 1e12)
    x = search.mesh.points[search.shape.nodes[search.shape.controls[search.carrying]], 0]
    assert 0 < len(x) < len(search.shape.low)
    assert x.min() > 0.03, "the force acts on the far end"


def test_what_cannot_be_met_is_named():
    found = form(beam(n=(10, 2)), dtw.compliance(), [dtw.mass() <= 0.01]).run(max_analyses=8, verify=False)
    assert found.status == "FAIL"
    assert "mass ≤ 0.01 kg cannot be met within the reach" in found.stopped
    assert found.stopped in str(found)


def test_a_budget_of_one_or_of_no_time_gives_the_shape_as_it_is():
    for budget in ({"max_analyses": 1}, {"max_time": 0.0}):
        found = form(beam(n=(10, 2)), dtw.compliance()).run(verify=False, **budget)
        assert not found.displacement.any()
        assert found.analyses == 1
        assert "allowed" in found.stopped


def test_wrong_use_is_told():
    model = beam()
    for wrong, words in (
        ({"filter_radius": None}, "filter_radius="),
        ({"on": None}, "say on="),
        ({"quality": 1.5}, "quality"),
        ({"aggregate": "max"}, "aggregate"),
        ({"lattice": dtw.Lattice((0, 0, 0), (1, 1, 1), (2, 2, 2))}, "say on="),
    ):
        with pytest.raises(StudyError, match=words):
            form(model, dtw.compliance(), **wrong)
    with pytest.raises(StudyError, match="prototype test"):
        dtw.FreeForm(test=model, minimize=dtw.compliance(), on="ymax", reach=1.0, filter_radius=1.0)
    with pytest.raises(StudyError, match="quantity"):
        form(model, "compliance")
    good = form(model, dtw.compliance())
    with pytest.raises(StudyError, match="one and the same model"):
        replace(good, test=[*good.test, replace(good.test[0], model=beam())])
    with pytest.raises(MeshError, match="every node is held"):
        form(model, dtw.compliance(), fixed="ymax").run()
    with pytest.raises(StudyError, match="needs a thermal analysis"):
        form(model, dtw.temperature()).run()
    with pytest.raises(StudyError, match="max_analyses=0"):
        good.run(max_analyses=0)
    with pytest.raises(dtw.OptimizationError, match="no method 'simplex'"):
        good.run(method="simplex")
    with pytest.raises(NoAdjointError, match="a point stays"):
        form(beam(n=(10, 2)), dtw.compliance(), [dtw.stress(at=(0.05, 0.01)) <= "2 MPa"]).run()


@dataclass(frozen=True, kw_only=True)
class Wear(dtw.Quantity):
    """None yet, counted in decades."""

    needs: ClassVar[str] = "static"
    spans_decades: ClassVar[bool] = True

    @property
    def label(self):
        return "wear"

    def by_case(self, result):
        return [dtw.Value.between(0.0, 0.0, 0.0, case=case.name) for case in self.cases_of(result)]


def test_what_is_nothing_at_the_start_cannot_be_made_less():
    with pytest.raises(StudyError, match=r"wear is 0.* at the start: there is nothing"):
        form(beam(n=(10, 2)), Wear()).run()


@pytest.mark.skipif(not FULL, reason="starts gmsh some twenty times: in full only")
def test_a_study_takes_slopes_through_cells_that_follow_their_geometry(tmp_path):
    if importlib.util.find_spec("gmsh") is None:
        pytest.skip("gmsh is an extra")
    path = tmp_path / "plate.geo"
    path.write_text(
        'SetFactory("OpenCASCADE");\nDefineConstant[ radius = 6, at = 25 ];\n'
        "Rectangle(1) = {0, 0, 0, 60, 30};\nDisk(2) = {at, 15, 0, radius};\n"
        "BooleanDifference(3) = { Surface{1}; Delete; }{ Surface{2}; Delete; };\n"
        'Physical Surface("plate") = {3};\ne = 1e-3;\n'
        "left() = Curve In BoundingBox{-e, -e, -e, e, 30 + e, e};\n"
        "right() = Curve In BoundingBox{60 - e, -e, -e, 60 + e, 30 + e, e};\n"
        'Physical Curve("left") = {left()};\nPhysical Curve("right") = {right()};\n'
    )
    part = dtw.Cad(geometry=path, parameters={"radius": "length", "at": "length"}, size="5 mm")
    start = {"radius": 6 * MM, "at": 25 * MM}

    def build(values, mesh):
        steel = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0)
        return dtw.Model(
            part.fitted(mesh, values),
            materials={"plate": dtw.PlaneStress(steel, thickness="5 mm")},
            supports=[dtw.FixedSupport(on="left")],
            load_cases={"bend": [dtw.Force(on="right", value=(0, "-1 kN", 0))]},
        )

    study = dtw.Study(
        build=build,
        mesh=part.mesh(start),
        variables={
            name: dtw.variable(0.8 * v, 1.2 * v, start=v, dimension="length") for name, v in start.items()
        },
        tests=lambda m: [dtw.StrengthTest(m, [dtw.displacement("right", "y", over="min") >= "-1 mm"])],
        minimize=dtw.compliance(),
    )
    table = study.check_gradients()
    assert table.worst.apart < 1e-3, str(table)


@pytest.mark.parametrize(("words", "given"), [("reach", {"reach": ("1 mm",)}), ("quality", {"quality": "a"})])
def test_free_forms_say_what_is_wanted_of_them(words, given):
    test = dtw.StrengthTest(beam(), requirements=[dtw.mass() <= 1.0])
    usual = {"on": "ymax", "reach": "1 mm", "filter_radius": "30 mm"}
    with pytest.raises(dtw.DesignTwinError, match=words):
        dtw.FreeForm(test=test, minimize=dtw.stress("von_mises"), **(usual | given))


def test_a_free_form_that_was_interrupted_goes_on_to_the_same_digits(tmp_path, monkeypatch):
    def one(store, **more):
        return form(beam(n=(10, 2)), dtw.compliance(), store=tmp_path / store, **more)

    whole = one("whole").run(max_analyses=8, verify=False)
    analyzed, solve = [], dtw.StrengthTest.solve

    def counted(self, **options):
        analyzed.append(self)
        if len(analyzed) == left:
            raise KeyboardInterrupt
        return solve(self, **options)

    monkeypatch.setattr(dtw.StrengthTest, "solve", counted)
    for moment in (4, 3):
        left = moment
        analyzed.clear()
        with pytest.raises(KeyboardInterrupt):
            one("cut").run(max_analyses=8, verify=False)
    left = 0
    again = one("cut").run(max_analyses=8, verify=False)
    assert again.found.x.tobytes() == whole.found.x.tobytes()
    assert again.history == whole.history
    assert again.analyses == whole.analyses == 8
    assert str(again.found) == str(whole.found)
    analyzed.clear()
    assert one("cut").run(max_analyses=8, verify=False).value == whole.value
    assert len(analyzed) <= 2, "the start and the end"
    with pytest.raises(StudyError, match="free form differ"):
        one("cut", reach="7 mm").run()
