"""Damping as users state it, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.plain import Plain

F = np.array([10.0, 20.0, 100.0])


def test_one_ratio_is_that_of_all_modes():
    for given in ("1.5 %", 0.015):
        assert_allclose(dtw.damping(given).ratio(F), 0.015)
    assert dtw.damping(dtw.damping("2 %")) == dtw.damping(0.02)


def test_a_ratio_for_each_mode_counts_from_the_first():
    stated = dtw.damping(["1 %", 0.02, "3 %", "4 %"])
    assert_allclose(stated.ratio(F), [0.01, 0.02, 0.03])
    with pytest.raises(dtw.ModelError, match="stated for 4 modes, and 5 are used"):
        stated.ratio(np.arange(5.0))


def test_ratios_over_frequency_are_linear_and_keep_their_ends():
    stated = dtw.damping([("20 Hz", "1 %"), ("40 Hz", "3 %")])
    assert_allclose(stated.ratio(np.array([0.0, 20.0, 30.0, 40.0, 1e4])), [0.01, 0.01, 0.02, 0.03, 0.03])
    assert dtw.damping(np.array([[20.0, 0.01], [40.0, 0.03]])) == stated


def test_rayleigh_damping_has_the_ratios_it_was_fitted_to():
    stated = dtw.rayleigh(("10 Hz", "2 %"), ("100 Hz", "3 %"))
    assert_allclose(stated.ratio(F)[[0, 2]], [0.02, 0.03], rtol=1e-12)
    assert stated.ratio(np.array([np.sqrt(1000.0)]))[0] < 0.02  # between the two there is less
    w = 2.0 * np.pi * F
    assert_allclose(stated.ratio(F), 0.5 * (stated.alpha / w + stated.beta * w), rtol=1e-12)
    assert stated.ratio(np.zeros(1))[0] == 0.0  # rigid motions
    same = dtw.rayleigh(mass=stated.alpha, stiffness=stated.beta)
    assert same == stated
    edge = dtw.rayleigh(("10 Hz", "2 %"), ("100 Hz", "20 %"))  # stiffness alone
    assert abs(edge.alpha) < 1e-12
    assert_allclose(edge.beta, 0.04 / (2.0 * np.pi * 10.0))


def test_structural_damping_is_twice_the_ratio():
    stated = dtw.structural("3 %")
    assert_allclose(stated.ratio(F), 0.015)
    assert (stated.loss_factor, stated.is_structural, stated.is_modal) == (0.03, True, False)


BAD = {
    "critical": (lambda: dtw.damping(1.0), "such a mode does not vibrate"),
    "per cent without sign": (lambda: dtw.damping(1.5), "write '1.5 %'"),
    "above critical": (lambda: dtw.damping("120 %"), "120 % of critical"),
    "negative": (lambda: dtw.damping(-0.01), "feed the vibration"),
    "one of many": (lambda: dtw.damping([("1 Hz", "1 %"), ("2 Hz", "100 %")]), "does not vibrate"),
    "unit": (lambda: dtw.damping("3 N"), "share of critical damping is wanted"),
    "none": (lambda: dtw.damping(None), "share of critical damping is wanted"),
    "empty": (lambda: dtw.damping([]), "wants one ratio"),
    "order": (lambda: dtw.damping([("2 Hz", "1 %"), ("1 Hz", "2 %")]), "must increase"),
    "table": (lambda: dtw.damping(np.ones((2, 3)) * 0.1), "wants one ratio"),
    "rayleigh nothing": (lambda: dtw.rayleigh(), "give mass= and stiffness="),
    "rayleigh negative": (lambda: dtw.rayleigh(mass=-1.0), "feed the vibration"),
    "rayleigh both": (lambda: dtw.rayleigh(("1 Hz", "1 %"), ("2 Hz", "1 %"), mass=1.0), "not both"),
    "rayleigh one": (lambda: dtw.rayleigh(("1 Hz", "1 %")), "at two frequencies"),
    "rayleigh same": (lambda: dtw.rayleigh(("1 Hz", "1 %"), ("1 Hz", "2 %")), "not the same"),
    "rayleigh apart": (
        lambda: dtw.rayleigh(("10 Hz", "2 %"), ("100 Hz", "30 %")), "the ratio can be 0.2 % to 20 %"
    ),
    "rayleigh critical": (
        lambda: dtw.rayleigh(stiffness="1 ms").ratio(np.array([10.0, 1000.0])), "mode 2 at 1000 Hz"
    ),
    "structural": (lambda: dtw.structural(2.0), "below 2"),
    "structural negative": (lambda: dtw.structural("-1 %"), "0 or more"),
    "structural many": (lambda: dtw.structural([0.1, 0.2]), "one loss factor"),
    "loss factor": (lambda: dtw.LinearElastic(loss_factor=2.0), "which is critical damping"),
    "loss factor zero": (lambda: dtw.LinearElastic(loss_factor=-0.1), "must be positive"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_damping_that_cannot_be_is_refused(make, message):
    with pytest.raises(dtw.DesignTwinError, match=message):
        make()


def test_damping_is_plain_data():
    for stated in (
        dtw.damping("1 %"), dtw.damping(["1 %", "2 %"]), dtw.damping([("1 Hz", "1 %"), ("9 Hz", "2 %")]),
        dtw.rayleigh(mass=1.0, stiffness=1e-5), dtw.structural("2 %"),
    ):  # fmt: skip
        assert Plain.from_dict(stated.to_dict()) == stated
        assert stated.said


def test_loss_factors_of_materials_are_told_cell_by_cell():
    import builders

    mesh = builders.box("hexahedron", (2, 1, 1)).with_groups(
        {"rubber": dtw.Group(cells=[0]), "steel": dtw.Group(cells=[1])}
    )
    steel = {"youngs_modulus": "210 GPa", "poissons_ratio": 0.3, "density": 7850.0}
    plain = dtw.LinearElastic(**steel)
    assert "loss_factor" not in plain.to_dict()  # and so it has the hash it had before there was any
    model = dtw.Model(mesh, {"rubber": dtw.LinearElastic(**steel, loss_factor="8 %"), "steel": plain})
    assert_allclose(model.cell_loss_factor(), [0.08, 0.0])
    assert dtw.Model(mesh, {"body": plain}).cell_loss_factor() is None
