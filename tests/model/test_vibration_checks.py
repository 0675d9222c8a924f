"""What a vibration analysis refuses before it begins, and what it lets through."""

import builders
import pytest

import designtwin as dtw
from designtwin.model.checks import check_vibration

STEEL = {"youngs_modulus": "210 GPa", "poissons_ratio": 0.3, "density": "7850 kg/m3"}


@pytest.mark.parametrize("lacks", STEEL)
def test_a_missing_property_is_named_with_its_part_and_the_test(lacks):
    material = dtw.LinearElastic(**{k: v for k, v in STEEL.items() if k != lacks}, name="mystery")
    model = dtw.Model(builders.box("tetra10", 1), {"body": material})
    with pytest.raises(
        dtw.MissingPropertyError, match=f"the modal analysis needs the {lacks} of 'mystery' \\(part 'body'\\)"
    ):
        check_vibration(model, test="the modal analysis")
    with pytest.raises(dtw.MissingPropertyError, match=lacks):
        dtw.solve_modes(model)


def test_a_part_in_flight_may_vibrate_and_not_be_loaded_statically():
    push = dtw.Force(on="xmax", value=("1 N", "0 N", "0 N"))
    model = dtw.Model(
        builders.box("tetra10", 1), {"body": dtw.LinearElastic(**STEEL)}, load_cases={"push": [push]}
    )
    assert check_vibration(model) == ()
    assert dtw.solve_modes(model, count=1).modes.n_rigid == 6
    with pytest.raises(dtw.SingularSystemError, match="free to move and turn in every direction"):
        dtw.solve_static(model)


def test_what_is_fastened_to_nodes_of_no_cell_is_refused():
    mesh = builders.box("hexahedron", 1)
    lone = builders.Mesh([*mesh.points.tolist(), [5.0, 0.0, 0.0]], mesh.cells, mesh.groups)
    for item in (
        dtw.PointMass(on=dtw.ids(nodes=[8]), mass=1.0),
        dtw.Spring(on="xmax", to=dtw.ids(nodes=[8]), stiffness=(1.0, 1.0, 1.0), at=(5.0, 0.0, 0.0)),
    ):
        model = dtw.Model(lone, {"body": dtw.LinearElastic(**STEEL)}, supports=[item])
        with pytest.raises(dtw.ModelError, match="of which no cell uses 1"):
            check_vibration(model)


def test_odd_units_are_told():
    odd = dtw.LinearElastic(youngs_modulus="210 GPa", poissons_ratio=0.3, density=7.85)
    notes = check_vibration(dtw.Model(builders.box("hexahedron", 1), {"body": odd}))
    assert any("a foam's" in note for note in notes)
