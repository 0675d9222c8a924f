"""Life of parts whose stress is known by hand: damage, hot spots, what is left, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from builders import box, merged, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import FatigueError, ModelError, RequirementError, UnitError
from designtwin.results.life import UnitStress, show_life

AREA = 0.02 * 0.01
CURVE = dtw.SNCurve(
    amplitude="100 MPa", cycles=1e6, slope=5, miner="elementary", knee=1e6, ultimate="600 MPa", scatter=0.2
)
PULL = [dtw.Force(on="xmax", value=("1 kN", "0 N", "0 N"))]
LIFT = [dtw.Force(on="xmax", value=("0 N", "0 N", "10 N"))]
STEEL = dtw.LinearElastic(
    youngs_modulus="200 GPa", poissons_ratio=0.0, density="8000 kg/m3", yield_strength="900 MPa", name="steel"
)


def bar(**cases) -> dtw.Model:
    """A bar clamped at one end; without lateral strain its stress is that of the textbook."""
    return dtw.Model(
        box("hexahedron20", (8, 1, 2), (0.2, 0.02, 0.01)),
        materials={"body": STEEL},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"pull": PULL, "lift": LIFT, "dead": [dtw.Force(on="xmax", value=("6 kN", "0 N", "0 N"))]}
        | cases,
    )


BAR = bar()
FORCE = {"force": dtw.unit_case("pull", per="1 kN")}
BOTH = FORCE | {"tip": dtw.unit_case("lift", per="10 N")}


def log(samples=600, seed=0, size=(10.0, 100.0), step=0.5, units=None, name="crane.csv"):
    rng = np.random.default_rng(seed)
    columns = {"force": size[0] * rng.normal(size=samples), "tip": size[1] * rng.normal(size=samples)}
    units = {"force": "kN", "tip": "N"} if units is None else units
    return dtw.SensorLog(name, np.arange(samples) * step, columns, units)


def test_damage_of_a_pulled_bar_is_that_of_its_stress_by_hand():
    test = dtw.LifeTest(BAR, curve=CURVE, mean_stress="Goodman", channels=FORCE, constant="dead")
    used = test.damage(log())
    stress = (log().columns["force"] * 1e3 + 6e3) / AREA
    by_hand = CURVE.damage(dtw.rainflow(stress, residue="repeated"), mean_stress="Goodman")
    assert_allclose(used.case.damage()[used.case.rows], by_hand, rtol=1e-6)
    assert_allclose(used.field("life").values[used.case.rows], 300.0 / by_hand, rtol=1e-6)
    assert used.duration == pytest.approx(300.0)
    largest = np.abs(stress).max()
    assert_allclose(used.field("von_mises").values[used.case.rows], largest, rtol=1e-6)
    # Nothing is counted inside.
    inside = np.setdiff1d(np.arange(len(used.points)), used.case.rows)
    assert len(inside)
    assert not used.field("damage").values[inside].any()
    assert np.isinf(used.field("life").values[inside]).all()


def test_channels_add_up_in_stress_not_in_damage():
    used = dtw.LifeTest(BAR, curve=CURVE, channels=BOTH).damage(log())
    force, tip = log().columns["force"] * 1e3, log().columns["tip"]
    xyz = used.points.xyz
    # Half way the bending stress at the upper face is F (L - x) / W, W = b h^2 / 6.
    middle = np.flatnonzero((np.abs(xyz[:, 0] - 0.1) < 1e-9) & (xyz[:, 2] > 0.0099))
    assert len(middle)
    stress = force / AREA - tip * 0.1 / (0.02 * 0.01**2 / 6.0)
    by_hand = CURVE.damage(dtw.rainflow(stress, residue="repeated"))
    assert_allclose(used.case.damage()[middle], by_hand, rtol=0.01)
    assert_allclose(used.case.history(int(middle[0])), stress, rtol=2e-3, atol=2e-3 * np.abs(stress).max())


def test_all_channels_share_one_set_up(monkeypatch):
    calls = []
    original = dtw.Direct.factorize
    monkeypatch.setattr(dtw.Direct, "factorize", lambda self, *a: calls.append(1) or original(self, *a))
    test = dtw.LifeTest(bar(unused=PULL), curve=CURVE, channels=BOTH, constant="dead", solver=dtw.Direct())
    test.damage(log())
    test.damage(log(seed=1))
    assert len(calls) == 1
    assert "unused" not in test.unit[1].cases


def test_a_point_in_alternating_shear_is_not_rectified():
    shear = np.zeros((1, 1, 6))
    shear[0, 0, 3] = 1e6
    unit = UnitStress(np.array([0]), ("torque",), shear, np.zeros((1, 1)))
    samples = np.zeros((4, 200))
    samples[0] = 50.0 * np.sin(np.arange(200) / 3.0)
    form, in_shear = unit.signs(samples)
    assert in_shear.all()
    history = np.copysign(np.linalg.norm(unit.roots[0] @ samples, axis=0), form[0] @ samples)
    assert_allclose(np.abs(history), math.sqrt(3.0) * 1e6 * np.abs(samples[0]), rtol=1e-12)
    assert_allclose(np.abs(np.diff(np.sign(history))).sum(), np.abs(np.diff(np.sign(samples[0]))).sum())


def test_the_sign_is_that_of_the_larger_principal_stress_on_a_free_surface():
    rng = np.random.default_rng(3)
    stress = np.zeros((3, 50, 6))
    stress[..., [0, 1, 3]] = rng.normal(size=(3, 50, 3))  # plane: nothing along z
    unit = UnitStress(np.arange(50), ("a", "b", "c"), stress, np.zeros((3, 50)))
    samples = np.zeros((4, 40))
    samples[:3] = rng.normal(size=(3, 40))
    form, in_shear = unit.signs(samples)
    tensors = np.einsum("mkc,mt->ktc", stress, samples[:3])
    from designtwin.results import stress as tensor

    principal = tensor.principal(tensors)
    larger = np.where(principal[..., 0] >= -principal[..., 2], 1.0, -1.0)
    plain = ~in_shear
    assert plain.sum() > 30
    assert_allclose(np.sign(form @ samples)[plain], larger[plain])
    assert_allclose(
        np.linalg.norm(np.einsum("kcm,mt->ktc", unit.roots, samples), axis=2), tensor.von_mises(tensors)
    )


@pytest.mark.parametrize("channels", [1, 5, 7])
def test_any_number_of_channels_gives_von_mises_stress(channels):
    rng = np.random.default_rng(channels)
    stress = rng.normal(size=(channels, 20, 6))
    unit = UnitStress(np.arange(20), tuple("abcdefg"[:channels]), stress, np.zeros((channels, 20)))
    samples = np.zeros((unit.roots.shape[2], 30))
    samples[:channels] = rng.normal(size=(channels, 30))
    from designtwin.results import stress as tensor

    expected = tensor.von_mises(np.einsum("mkc,mt->ktc", stress, samples[:channels]))
    assert_allclose(np.linalg.norm(np.einsum("kcm,mt->ktc", unit.roots, samples), axis=2), expected)


# Hot spots, what is left


def test_hot_spots_are_apart_and_say_what_governs():
    test = dtw.LifeTest(BAR, curve=CURVE, channels=BOTH)
    used = test.damage(log(size=(1.0, 400.0)))
    spots = used.hotspots(4)
    assert 1 <= len(spots) <= 4
    assert [s.damage for s in spots] == sorted((s.damage for s in spots), reverse=True)
    assert spots[0].damage == used.case.damage().max()
    assert spots[0].channel == "tip"
    assert spots[0].share > 0.9
    assert spots[0].point[0] < 0.03  # at the clamp
    assert spots[0].low < spots[0].damage < spots[0].high
    points = np.array([s.point for s in spots])
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(len(spots), 1)]
    assert (apart > 0.05 * used.mesh.size).all()
    assert "governs" in str(spots)
    assert test.damage(log(size=(20.0, 1.0))).hotspots(1)[0].channel == "force"
    assert json.loads(json.dumps(used.to_dict()))["hotspots"][0]["channel"] == "tip"


def test_what_if_is_the_damage_of_a_log_that_is_larger():
    test = dtw.LifeTest(BAR, curve=CURVE, channels=BOTH)
    used = test.damage(log())
    assert_allclose(
        used.what_if(force=1.3, tip=0.5).field("damage").values,
        test.damage(log(size=(13.0, 50.0))).field("damage").values,
        rtol=1e-9,
    )
    with pytest.raises(ModelError, match=r"no channel 'forc'; did you mean 'force'\? There"):
        used.what_if(forc=0.9)
    with pytest.raises(ModelError, match="a factor is wanted"):
        used.what_if(force="a lot")


def test_what_is_left_scatters_lognormally_and_shrinks_with_use():
    used = dtw.LifeTest(BAR, curve=CURVE, channels=FORCE).damage(log())
    left = used.remaining(usage="as logged").quantiles(0.1, 0.5, 0.9)
    whole = left + used.duration  # the log is used up
    assert_allclose(np.log10(whole[1] / whole[0]), 0.2 * NormalDist().inv_cdf(0.9), rtol=1e-9)
    assert_allclose(np.log10(whole[2] / whole[1]), 0.2 * NormalDist().inv_cdf(0.9), rtol=1e-9)
    assert_allclose(whole[1], used.duration / used.case.damage().max(), rtol=1e-9)
    softer = used.remaining(usage={"force": 0.9}).quantiles(0.5)[0]
    share = 1.0 - used.case.damage().max()
    assert_allclose(softer, share * whole[1] / 0.9**5, rtol=1e-6)
    assert "P10 / P50 / P90" in str(used.remaining())
    assert "days if it never stops" in str(used.remaining())
    # Used up already.
    gone = dtw.LifeTest(BAR, curve=CURVE, channels=FORCE).damage(log(size=(150.0, 0.0)))
    assert (gone.remaining().quantiles(0.1, 0.9) == 0.0).all()


def test_scatter_that_is_not_known_is_asked_for():
    used = dtw.LifeTest(BAR, curve=replace(CURVE, scatter=None), channels=FORCE).damage(log())
    with pytest.raises(ModelError, match=r"scatter of 'S-N curve' is not known.*scatter=0.2"):
        used.remaining()
    with pytest.raises(ModelError, match="scatter"):
        (dtw.damage(survival=0.9) <= 1.0).judge(used)
    # At its own probability a curve needs none.
    assert used.case.damage(0.5).max() == used.case.damage().max()
    stated = dtw.LifeTest(BAR, curve=replace(CURVE, scatter=None), channels=FORCE, scatter=0.3).damage(log())
    ten, half = stated.remaining().quantiles(0.1, 0.5) + used.duration
    assert_allclose(np.log10(half / ten), 0.3 * NormalDist().inv_cdf(0.9), rtol=1e-9)
    for wrong in (0.0, 1.0, True, "half"):
        with pytest.raises(ModelError, match="probability"):
            stated.remaining().quantiles(wrong)
    with pytest.raises(ModelError, match="as logged"):
        stated.remaining(usage="as always")


def test_parts_have_curves_of_their_own():
    left, right = box("hexahedron", (2, 1, 1)), box("hexahedron", (2, 1, 1), origin=(1.0, 0.0, 0.0))
    mesh = merged(left, right)
    stiff = {"youngs_modulus": "200 GPa", "poissons_ratio": 0.0, "density": "8000 kg/m3"}
    model = dtw.Model(
        mesh,
        materials={
            dtw.box((-1.0, -1.0, -1.0), (1.01, 2.0, 2.0)): dtw.LinearElastic(name="a", **stiff),
            dtw.box((0.99, -1.0, -1.0), (3.0, 2.0, 2.0)): dtw.LinearElastic(name="b", **stiff),
        },
        supports=[dtw.FixedSupport(on=dtw.faces("-x", at="min"))],
        load_cases={"pull": [dtw.Force(on=dtw.faces("+x", at="max"), value=("1 MN", "0 N", "0 N"))]},
    )
    one, two = (part.name for part in model.parts)
    curves = {one: CURVE, two: replace(CURVE, amplitude="50 MPa")}
    channels = {"force": dtw.unit_case("pull", per="1 kN")}
    case = dtw.LifeTest(model, curve=curves, channels=channels).damage(log()).case
    damage, part = case.damage()[case.rows], case.points.part[case.rows]
    assert_allclose(damage[part == 1], 2.0**5 * damage[part == 0][0], rtol=1e-6)
    with pytest.raises(ModelError, match="has no curve"):
        dtw.LifeTest(model, curve={one: CURVE}, channels=channels)
    with pytest.raises(ModelError, match="names the part 'arm'"):
        dtw.LifeTest(model, curve=curves | {"arm": CURVE}, channels=channels)


def test_a_critical_plane_of_a_pulled_bar_is_square_to_it():
    used = dtw.LifeTest(BAR, curve=CURVE, channels=FORCE, constant="dead", mean_stress="Goodman").damage(
        log(300)
    )
    (plane,) = used.critical_planes(1, criterion="normal stress")
    stress = (log(300).columns["force"] * 1e3 + 6e3) / AREA
    by_hand = CURVE.damage(dtw.rainflow(stress), mean_stress="Goodman")
    assert_allclose(plane.damage, by_hand, rtol=1e-4)
    assert abs(plane.normal[0]) > 0.999
    row = used.hotspots(1)[0].row
    assert_allclose(used.case.stress_history(row)[:, 0], stress, rtol=1e-6)
    with pytest.raises(dtw.DesignTwinError, match="not on the surface"):
        used.case.stress_history(int(np.setdiff1d(np.arange(len(used.points)), used.case.rows)[0]))


# Requirements


def judged(*requirements, history=None, **options):
    options = {"curve": CURVE, "channels": FORCE} | options
    return dtw.LifeTest(
        BAR, list(requirements), history=log() if history is None else history, **options
    ).run()


def test_a_verdict_on_damage_and_life():
    own = CURVE.damage(dtw.rainflow(log().columns["force"] * 1e3 / AREA, residue="repeated"))
    verdict = judged(
        dtw.damage() <= 2.0 * own,
        dtw.damage() <= 0.5 * own,
        dtw.damage() <= own * (1.0 + 1e-12),
        dtw.life() >= 250.0 / own,
        dtw.life(survival=0.99) >= 250.0 / own,
    )
    assert [row.status for row in verdict.rows][:2] == ["PASS", "FAIL"]
    assert verdict.rows[3].status == "PASS"
    assert verdict.rows[4].status == "FAIL"
    value = verdict.rows[0].value
    assert value.low <= own * (1.0 + 1e-6)
    assert value.high >= own * (1.0 - 1e-6)
    assert value.place is not None
    assert value.case == "crane"
    at = NormalDist().inv_cdf(0.99) * 0.2
    assert_allclose(verdict.rows[4].value.value, 300.0 / own / 10.0**at, rtol=1e-6)
    assert json.dumps(verdict.to_dict())
    assert "life test" in str(verdict)


def test_an_interval_that_holds_the_limit_cannot_tell():
    # At the clamp stress is known poorly, and damage goes with its fifth power.
    verdict = judged(dtw.damage() <= 1.0, channels=BOTH, history=log(size=(1.0, 100.0)))
    value = verdict.rows[0].value
    between = math.sqrt(value.low * value.value) if value.low > 0.0 else 0.5 * value.value
    for limit in (between, 0.5 * (value.value + value.high)):
        again = judged(dtw.damage() <= limit, channels=BOTH, history=log(size=(1.0, 100.0)))
        assert again.status == "CANNOT TELL"


def test_a_place_whose_error_could_overtake_is_named():
    solid = replace(STEEL, poissons_ratio=0.3)  # its clamped corners have stress without bound
    clamped = dtw.Model(
        box("tetra10", (16, 2, 2), (0.2, 0.02, 0.01)), materials={"body": solid}, supports=BAR.supports,
        load_cases=BAR.load_cases,
    )  # fmt: skip
    verdict = dtw.LifeTest(
        clamped, [dtw.damage() <= 0.01], curve=CURVE, channels=BOTH, history=log(200)
    ).run()
    value = verdict.rows[0].value
    assert value.high > 1.5 * value.value
    assert "within its error the stress at" in value.note
    band = dtw.damage().band(verdict.result, verdict.result.case)
    assert band.high.max() == pytest.approx(value.high)
    assert (band.low <= band.values).all()
    assert (band.values <= band.high).all()
    life = dtw.life().band(verdict.result, verdict.result.case)
    assert life.low.min() == pytest.approx(verdict.result.duration / value.high)


@pytest.mark.filterwarnings("error")
def test_stress_beyond_the_strength_fails():
    verdict = judged(
        dtw.damage() <= 0.3, dtw.life() >= "1 h", history=log(size=(200.0, 0.0)), mean_stress="Goodman",
        curve=replace(CURVE, ultimate="300 MPa"),
    )  # fmt: skip
    assert [row.status for row in verdict.rows] == ["FAIL", "FAIL"]
    assert verdict.rows[0].value.value == math.inf
    assert verdict.rows[1].value.value == 0.0
    used = verdict.result
    assert not np.isnan(used.field("damage").error).any()
    assert used.remaining().quantiles(0.5)[0] == 0.0
    assert used.hotspots(2)[0].life == 0.0
    assert used.hotspots(2)[0].channel == "force"


def test_no_damage_is_an_endless_life():
    limit = replace(CURVE, miner="original")
    verdict = judged(
        dtw.life() >= "1000 years", dtw.damage() <= 0.1, curve=limit, history=log(size=(0.1, 0.1))
    )
    assert verdict.status == "PASS"
    assert math.isinf(verdict.rows[0].value.value)
    assert verdict.result.hotspots(3) == ()
    assert "nothing is damaged" in str(verdict.result.hotspots(3))


def test_stress_whose_error_could_reach_the_endurance_limit_is_counted():
    # Just below the limit there is no damage; with the stress at the upper end there is.
    history = log(size=(0.1, 10.0))
    used = dtw.LifeTest(BAR, curve=CURVE, channels=BOTH).damage(history)
    limit = replace(CURVE, miner="original")
    largest = 0.5 * float((used.case.field("stress_range").values).max())
    tight = limit.scaled(1.02 * largest / limit.endurance)
    verdict = judged(dtw.damage() <= 1e-12, curve=tight, channels=BOTH, history=history)
    assert verdict.rows[0].value.value == 0.0
    assert verdict.rows[0].value.high > 0.0
    assert verdict.status == "CANNOT TELL"


def test_places_without_surface_and_words_that_mean_nothing_are_refused():
    with pytest.raises(RequirementError, match=r"no load case 'crain'|there is no such load case"):
        judged(dtw.damage(case="crain") <= 1.0)
    with pytest.raises(RequirementError, match="probability"):
        dtw.damage(survival=1.5)
    with pytest.raises(RequirementError, match=r"needs a static or vibration analysis.*StrengthTest"):
        judged(dtw.yield_margin() >= 1.5)
    with pytest.raises(RequirementError, match=r"needs a life analysis.*LifeTest"):
        dtw.StrengthTest(BAR, [dtw.damage() <= 1.0])


# Refusals


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"curve": "FAT 71 nominal"}, FatigueError, "FAT 71 nominal"),
        ({"curve": "FAT 90 hot-spot"}, FatigueError, "hot"),
        ({"curve": "FAT 225 effective notch"}, FatigueError, "effective notch"),
        ({"curve": "S356 base metal"}, FatigueError, "S355 base metal"),
        ({"curve": 71e6}, ModelError, "an SNCurve or its name is wanted"),
        ({"curve": replace(CURVE, ultimate=None), "mean_stress": "Goodman"}, FatigueError, "ultimate"),
        ({"channels": {}}, ModelError, "no channel is given"),
        ({"channels": {"force": "pull"}}, ModelError, "unit cases by column are wanted"),
        ({"channels": {"f": dtw.unit_case("pul", per=1)}}, ModelError,
         "no load case 'pul'; did you mean 'pull'"),
        ({"constant": "pull"}, ModelError, "count twice"),
        ({"constant": ["dead", "deaf"]}, ModelError, "constant: there is no load case 'deaf'"),
        ({"scatter": "wide"}, ModelError, "standard deviation"),
        ({"stress": "nominal"}, ModelError, "of kind 'notch'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_solved(options, error, words):
    with pytest.raises(error, match=words):
        dtw.LifeTest(BAR, **({"curve": CURVE, "channels": FORCE} | options))


def test_a_class_of_the_effective_notch_goes_with_a_model_that_has_one():
    test = dtw.LifeTest(BAR, curve="FAT 225 effective notch", channels=FORCE, stress="effective notch")
    assert test.damage(log()).case.damage().max() > 0.0
    with pytest.raises(FatigueError, match="mean stress"):
        dtw.LifeTest(
            BAR, curve="FAT 225 effective notch", channels=FORCE, stress="effective notch", mean_stress="SWT"
        )


TOE = dtw.box(("99 mm", "-1 mm", "9 mm"), ("101 mm", "21 mm", "11 mm"))


def test_classes_of_the_hot_spot_go_with_stress_extrapolated_to_the_toe():
    spot = dtw.hot_spot_stress(TOE, away="+x", thickness="10 mm")
    test = dtw.LifeTest(BAR, [dtw.damage() <= 1.0], curve="FAT 90 hot-spot", channels=BOTH, stress=spot)
    used = test.damage(log())
    force, tip = log().columns["force"] * 1e3, log().columns["tip"]
    stress = force / AREA - tip * 0.1 / (0.02 * 0.01**2 / 6.0)
    by_hand = dtw.fatigue_curve("FAT 90 hot-spot").damage(dtw.rainflow(stress, residue="repeated"))
    assert_allclose(used.points.xyz[used.case.rows][:, [0, 2]], [[0.1, 0.01]] * len(used.case.rows))
    assert_allclose(used.case.damage()[used.case.rows], by_hand, rtol=0.02)
    value = test.judged(used).rows[0].value
    assert value.low <= by_hand <= value.high
    assert_allclose(used.case.history(int(used.case.rows[0])), stress, atol=5e-3 * np.abs(stress).max())


def test_toes_that_cannot_be_read_are_refused():
    options = {"curve": "FAT 90 hot-spot", "channels": FORCE}
    with pytest.raises(RequirementError, match="off the surface"):
        dtw.LifeTest(BAR, stress=dtw.hot_spot_stress(TOE, away="+z", thickness="10 mm"), **options)
    with pytest.raises(ModelError, match="changes from sample to sample"):
        dtw.LifeTest(BAR, stress=dtw.hot_spot_stress(TOE, "+x", "10 mm", component="principal"), **options)
    point = dtw.LifeTest(
        BAR, stress=dtw.hot_spot_stress(("100 mm", "10 mm", "10 mm"), "+x", "10 mm"), **options
    )
    with pytest.raises(ModelError, match="name them by a group"):
        point.damage(log())
    with pytest.raises(FatigueError, match="hot-spot"):
        dtw.LifeTest(
            BAR, curve="S355 base metal", channels=FORCE, stress=dtw.hot_spot_stress(TOE, "+x", "10 mm")
        )


def test_cases_that_do_not_add_up_are_refused():
    held = bar(held=[*LIFT, dtw.FixedSupport(on="ymax")])
    channels = FORCE | {"other": dtw.unit_case("held", per="1 N")}
    with pytest.raises(ModelError, match="'pull' and 'held' differ in supports"):
        dtw.LifeTest(held, curve=CURVE, channels=channels)
    moved = BAR.with_(supports=[dtw.PrescribedDisplacement(on="xmin", x="0.1 mm", y=0.0, z=0.0)])
    with pytest.raises(ModelError, match="prescribed displacement other than zero"):
        dtw.LifeTest(moved, curve=CURVE, channels=FORCE)


def test_a_combination_may_be_a_unit_case():
    both = bar(both=dtw.combine(pull=1.0, dead=0.5))
    channels = {"force": dtw.unit_case("both", per="1 kN")}
    used = dtw.LifeTest(both, curve=CURVE, channels=channels).damage(log())
    four = dtw.LifeTest(BAR, curve=CURVE, channels=FORCE).damage(log(size=(40.0, 0.0)))
    assert_allclose(used.case.damage(), four.case.damage(), rtol=1e-6)


def test_logs_that_do_not_fit_are_named():
    test = dtw.LifeTest(BAR, curve=CURVE, channels=BOTH)
    short = dtw.SensorLog("crane.csv", np.arange(3.0), {"force": np.arange(3.0)}, {"force": "kN"})
    with pytest.raises(ModelError, match=r"crane.csv has no column 'tip'; it has 'force'"):
        test.damage(short)
    with pytest.raises(UnitError, match=r"channel 'tip', column 'tip' of crane.csv"):
        test.damage(log(units={"force": "kN", "tip": "N*m"}))
    with pytest.raises(ModelError, match="1 instants; two or more"):
        test.damage(log(samples=1))
    with pytest.raises(ModelError, match="later than the one before"):
        test.damage(replace(log(), times=log().times[::-1]))
    with pytest.raises(UnitError, match=r"column 'force' of crane.csv.*not finite"):
        test.damage(log(size=(np.nan, 1.0)))
    with pytest.raises(ModelError, match="a log, as read_log gives it"):
        test.damage({"force": [1.0]})
    with pytest.raises(ModelError, match="has no column"):
        dtw.LifeTest(BAR, curve=CURVE, channels=BOTH, history=short)


def test_a_channel_that_never_changes_is_told():
    whole = log()
    dead = replace(whole, columns={**whole.columns, "tip": np.full(len(whole), 3.0)})
    used = dtw.LifeTest(BAR, curve=CURVE, channels=BOTH).damage(dead)
    (told,) = [note for note in used.notes if "never changes" in note]
    assert "channel 'tip'" in told
    assert not any(
        "never changes" in n for n in dtw.LifeTest(BAR, curve=CURVE, channels=BOTH).damage(whole).notes
    )


def test_pauses_count_as_no_time_and_are_told():
    whole = log()
    times = whole.times.copy()
    times[300:] += 3600.0
    used = dtw.LifeTest(BAR, curve=CURVE, channels=FORCE).damage(
        replace(whole, times=times, notes=("dirty",))
    )
    assert used.duration == pytest.approx(300.0)
    assert "dirty" in used.notes
    assert any("1 pauses in the log, 1 h" in note or "60 min" in note for note in used.notes)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [(0.0, 0.0, 0.0), (5.0, 5.0, 5.0)])
def test_what_never_moves_lasts_for_ever(values):
    still = dtw.SensorLog("still", np.arange(3.0), {"force": np.array(values)}, {"force": "kN"})
    used = dtw.LifeTest(BAR, curve=CURVE, channels=FORCE).damage(still)
    assert not used.case.damage().any()
    assert used.hotspots(3) == ()
    assert np.isinf(used.remaining().quantiles(0.1, 0.9)).all()
    assert (dtw.life() >= "100 years").judge(used).status == "PASS"


def test_a_plane_part_is_counted_everywhere():
    plate = dtw.Model(
        rectangle("quad8", (4, 2), (0.2, 0.1)),
        materials={dtw.everything(): dtw.PlaneStress(STEEL, thickness="10 mm")},
        supports=[dtw.Symmetry(on="xmin"), dtw.Symmetry(on="ymin")],
        load_cases={"pull": [dtw.Force(on="xmax", value=("1 kN", "0 N", "0 N"))]},
    )
    case = dtw.LifeTest(plate, curve=CURVE, channels=FORCE).damage(log()).case
    assert len(case.rows) == len(case.points)
    stress = log().columns["force"] * 1e3 / (0.1 * 0.01)
    by_hand = CURVE.damage(dtw.rainflow(stress, residue="repeated"))
    assert_allclose(case.damage(), by_hand, rtol=1e-6)


def test_a_test_without_history_or_requirements_does_not_run():
    with pytest.raises(ModelError, match="life test is run on a history"):
        dtw.LifeTest(BAR, [dtw.damage() <= 1.0], curve=CURVE, channels=FORCE).run()
    with pytest.raises(ModelError, match="without requirements decides nothing"):
        dtw.LifeTest(BAR, curve=CURVE, channels=FORCE, history=log()).run()


def test_stress_beyond_yield_or_the_curve_is_told():
    used = dtw.LifeTest(BAR, curve=CURVE, channels=FORCE).damage(log(size=(120.0, 0.0)))
    assert any("beyond yield at 900 MPa" in note for note in used.notes)
    assert any("was not made" in note for note in used.notes)


@pytest.mark.parametrize("per", ["1 furlong per fortnight", 0.0, "0 kN", None, [1, 2], float("nan")])
def test_a_unit_case_wants_a_reading(per):
    with pytest.raises(ModelError, match="unit_case"):
        dtw.unit_case("pull", per=per)


def test_unit_cases_read_their_unit():
    assert dtw.unit_case("pull", per="5 kN") == dtw.unit_case("pull", per="5000 N")
    assert dtw.unit_case("turn", per="1 kN*m").dimension == "moment"
    assert dtw.unit_case("heave", per="1 g").dimension == "acceleration"
    assert dtw.unit_case("pull", per=2).dimension == "dimensionless"
    test = dtw.LifeTest(BAR, curve=CURVE, channels={"force": dtw.unit_case("pull", per="5 kN")})
    fifth = dtw.LifeTest(BAR, curve=CURVE, channels=FORCE).damage(log(size=(2.0, 0.0)))
    assert_allclose(test.damage(log()).case.damage(), fifth.case.damage(), rtol=1e-9)


def test_lives_are_told_in_units_that_suit():
    assert show_life(8160 * 365.25 * 86400) == "7.15e+07 h"
    assert show_life(3600.0 * 391_234) == "391,000 h"
    assert show_life(90.0) == "90 s"
    assert show_life(3600.0) == "60 min"
    assert show_life(math.inf) == "∞"


def test_a_channel_without_unit_is_no_force():
    test = dtw.LifeTest(BAR, curve=CURVE, channels=FORCE)
    with pytest.raises(UnitError, match=r"channel 'force': .* has no unit, its unit case is per 1000 N"):
        test.damage(log(units={}))
    plain = dtw.LifeTest(BAR, curve=CURVE, channels={"force": dtw.unit_case("pull", per=1.0)})
    assert plain.damage(log(units={})).case.samples[0] == pytest.approx(log().columns["force"])


def test_stress_beyond_the_ultimate_strength_never_passes():
    beyond = bar(dead=[dtw.Force(on="xmax", value=("140 kN", "0 N", "0 N"))])
    options = {"curve": CURVE, "channels": FORCE, "history": log()}
    calm = dtw.LifeTest(BAR, [dtw.damage() <= 1.0], constant="dead", **options).run()
    assert calm.status == "PASS"
    verdict = dtw.LifeTest(
        beyond, [dtw.damage() <= 1.0, dtw.life() >= "1 s"], constant="dead", **options
    ).run()
    assert [row.status for row in verdict.rows] == ["CANNOT TELL", "CANNOT TELL"]
    assert any("may break at the first load" in note for note in verdict.notes)


def test_remaining_life_of_a_wrong_usage_is_refused():
    used = dtw.LifeTest(BAR, curve=CURVE, scatter=0.2, channels=FORCE).damage(log())
    for wrong in (None, 0, 2.0, ["force"]):
        with pytest.raises(ModelError, match="factors on channels are wanted"):
            used.remaining(usage=wrong)


def test_an_orthotropic_part_never_passes():
    model = replace(BAR, materials={"body": dtw.material("CFRP AS4/3501-6")})
    test = dtw.LifeTest(
        model, [dtw.damage() <= 1.0], curve=CURVE, channels=FORCE, history=log(size=(0.1, 0.0))
    )
    verdict = test.run()
    assert verdict.status == "CANNOT TELL"
    assert any("is orthotropic" in note for note in verdict.notes)
