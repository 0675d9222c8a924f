"""Excitations as users state them: tables over frequency and time, and what is refused."""

from itertools import pairwise

import builders
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import ModelError
from designtwin.plain import Plain
from designtwin.units import STANDARD_GRAVITY

G = STANDARD_GRAVITY
LAUNCH = [("10 Hz", "0.01 g**2/Hz"), ("200 Hz", "0.04 g**2/Hz"), ("2 kHz", "0.01 g**2/Hz")]
PUSH = dtw.Force(on="xmax", value=("0 N", "0 N", "1 N"))
UP = [(1.0, 1.0), (2.0, 4.0)]
CHAIN = [[1, 1, 0], [1, 1, 1], [0, 1, 1]]


def model(*supports, **options):
    held = supports or (dtw.FixedSupport(on="xmin"),)
    mesh = options.pop("mesh", builders.box("hexahedron", 1))
    of = dtw.material("S355")
    return dtw.Model(
        mesh, {"body": of if mesh.dimension == 3 else dtw.PlaneStress(of, thickness="1 mm")},
        supports=held, **options,
    )  # fmt: skip


# Random


def test_a_density_is_straight_on_logarithmic_scales_and_ends_with_its_table():
    psd = dtw.base_psd("z", LAUNCH)
    middle = np.sqrt(10.0 * 200.0)
    assert_allclose(psd.at([10.0, middle, 200.0, 2000.0]) / G**2, [0.01, 0.02, 0.04, 0.01], rtol=1e-12)
    assert_allclose(psd.at([9.0, 2001.0]), 0.0)
    assert psd.band == (10.0, 2000.0)
    assert psd.direction == (0.0, 0.0, 1.0)
    assert (psd.kind, psd.is_base, psd.inputs) == ("random", True, (psd,))
    assert_allclose(psd.density([100.0]), psd.at([100.0])[:, None, None])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 3.0), st.floats(-3.0, 3.0)), min_size=2, max_size=6),
    st.floats(0.5, 50.0),
)
def test_the_rms_of_a_table_is_its_exact_integral(steps, first):
    """Against the trapezoidal rule on many points; slopes of -1, at which the antiderivative changes, too."""
    f = first * np.cumprod([1.0 + step for step, _ in steps])
    values = 10.0 ** np.array([level for _, level in steps])
    psd = dtw.base_psd("x", list(zip(f, values, strict=True)))
    fine = np.unique(np.concatenate([np.geomspace(a, b, 4001) for a, b in pairwise(f)]))
    assert_allclose(psd.rms**2, np.trapezoid(psd.at(fine), fine), rtol=1e-5)
    falling = dtw.base_psd("x", [(f[0], 1.0), (f[-1], f[0] / f[-1])])
    assert_allclose(falling.rms**2, f[0] * np.log(f[-1] / f[0]), rtol=1e-9)


def test_numbers_are_si_and_g_is_that_of_gravity():
    by_number = dtw.base_psd("x", [(10.0, 0.02 * G**2), (20.0, 0.02 * G**2)])
    for unit, factor in (("g**2/Hz", 1.0), ("g^2/Hz", 1.0), ("g²/Hz", 1.0), ("(m/s**2)**2/Hz", G**2)):
        text = f"{0.02 * factor!r} {unit}"
        assert_allclose(dtw.base_psd("x", [("10 Hz", text), ("20 Hz", text)]).values, by_number.values)


def test_a_force_density_is_that_of_the_factor_of_its_loads():
    psd = dtw.force_psd(PUSH, [("10 Hz", "4 N**2/Hz"), ("1 kHz", "4 N**2/Hz")])
    assert_allclose(psd.rms, np.sqrt(4.0 * 990.0))
    assert_allclose(psd.nodal_forces(model()).sum(axis=0), [0.0, 0.0, 1.0], atol=1e-15)
    assert not psd.is_base
    psd.check(model())


def test_loads_may_be_those_of_a_case_or_a_combination():
    with_cases = model(
        load_cases={"lift": [PUSH], "both": dtw.combine(lift=2.5), "hot": [dtw.Temperature("80 degC")],
                    "own": [PUSH, dtw.FixedSupport(on="ymin")], "idle": []}
    )  # fmt: skip
    for name, force in (("lift", 1.0), ("both", 2.5)):
        one = dtw.harmonic(name, low=1.0, high=2.0)
        one.check(with_cases)
        assert_allclose(one.nodal_forces(with_cases)[:, 2].sum(), force)
    for name, message in (
        ("lfit", "did you mean 'lift'"), ("hot", "prestress="), ("own", "supports of its own"),
        ("idle", "has no loads"),
    ):  # fmt: skip
        with pytest.raises(dtw.ModelError, match=message):
            dtw.harmonic(name, low=1.0, high=2.0).check(with_cases)


def test_correlated_inputs_have_a_hermitian_density_of_rank_by_their_coherence():
    a, b = dtw.base_psd("x", UP), dtw.base_psd("y", [(1.0, 4.0), (3.0, 4.0)])
    both = dtw.correlated([a, b], coherence=0.25, phase="90 deg")
    s = both.density([1.0, 2.0, 2.5])
    assert_allclose(s, np.conj(np.swapaxes(s, 1, 2)))
    assert_allclose(s[0], [[1.0, 1j], [-1j, 4.0]], atol=1e-12)  # sqrt(0.25 1 4) = 1, and x leads
    assert_allclose(s[2], [[0.0, 0.0], [0.0, 4.0]], atol=1e-12)
    one_source = dtw.correlated([a, b], coherence=1.0).density([1.0])
    assert_allclose(np.linalg.eigvalsh(one_source[0]), [0.0, 5.0], atol=1e-12)
    assert both.band == (1.0, 3.0)
    assert [one.direction for one in both.inputs] == [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]


# Harmonic


def test_a_sweep_is_as_large_as_stated_in_acceleration_velocity_or_displacement():
    f = np.array([5.0, 20.0, 100.0])
    w = 2.0 * np.pi * f
    for amplitude, expected in (("1 g", G), ("2 mm", 2e-3 * w**2), ("0.1 m/s", 0.1 * w), (3.0, 3.0)):
        sweep = dtw.base_harmonic("x", amplitude, low="5 Hz", high="100 Hz")
        assert_allclose(sweep.at(f), np.broadcast_to(expected, 3) + 0j, rtol=1e-12)
        assert_allclose(sweep.knots, [5.0, 100.0])
    crossed = dtw.base_harmonic(
        "x", [("5 Hz", "10 mm"), ("20 Hz", "10 mm"), ("100 Hz", "0.01 m")], phase="90 deg"
    )
    assert_allclose(crossed.at(f), 1j * 0.01 * w**2, rtol=1e-12, atol=1e-12)
    assert_allclose(crossed.knots, f)
    at = dtw.base_harmonic("x", "1 g", frequencies=["20 Hz", "30 Hz"])
    assert at.band == (20.0, 30.0)
    assert_allclose(at.frequencies, [20.0, 30.0])
    assert dtw.base_harmonic("x", "1 g", frequencies=[20.0]).band == (20.0, 20.0)


def test_an_unbalance_grows_with_the_square_of_the_speed():
    load = dtw.harmonic(PUSH, amplitude=[(1.0, 1.0), (10.0, 100.0)], phase="-90 deg")
    assert_allclose(load.at([2.0, 3.0]), [-4j, -9j], atol=1e-12)


def test_sweeps_act_together_where_both_are_stated():
    pair = dtw.together(
        dtw.harmonic(PUSH, low=1.0, high=10.0), dtw.harmonic(PUSH, low=5.0, high=20.0, phase=1.0)
    )
    assert (pair.kind, pair.band, len(pair.inputs)) == ("harmonic", (5.0, 10.0), 2)


# Spectra and courses


def test_a_spectrum_keeps_its_last_value_above_and_wants_to_be_known_below():
    spectrum = dtw.response_spectrum("y", [("1 Hz", "0.1 g"), ("10 Hz", "1 g"), ("33 Hz", "0.5 g")])
    assert_allclose(
        spectrum.at([1.0, np.sqrt(10.0), 10.0, 1e3]) / G, [0.1, np.sqrt(0.1), 1.0, 0.5], rtol=1e-9
    )
    assert spectrum.damping == 0.05
    with pytest.raises(dtw.ModelError, match="below the table"):
        spectrum.at([0.5])


def test_a_half_sine_has_its_peak_in_the_middle_and_its_exact_change_of_velocity():
    pulse = dtw.half_sine("-z", "50 g", "11 ms")
    t = np.linspace(-1e-3, 0.012, 200001)
    assert_allclose(pulse.at([5.5e-3])[0], 50.0 * G)
    assert_allclose(np.trapezoid(pulse.at(t), t), 2.0 / np.pi * 50.0 * G * 0.011, rtol=1e-8)
    assert (pulse.duration, pulse.direction, pulse.kind) == (0.011, (0.0, 0.0, -1.0), "transient")
    assert_allclose(pulse.breakpoints, [0.0, 0.011])


def test_courses_stay_zero_behind_tables_that_end_with_zero_and_refuse_others():
    ends = dtw.base_motion("x", [("0 s", "0 g"), ("1 s", "1 g"), ("2 s", "0 g")])
    assert_allclose(ends.at([-1.0, 0.5, 1.0, 3.0]) / G, [0.0, 0.5, 1.0, 0.0])
    assert ends.duration == 2.0
    stops = dtw.force_history(PUSH, [(0.0, 0.0), (1.0, 2.0)])
    with pytest.raises(dtw.ModelError, match="ends at 1 s with 2 and is asked for at 3 s"):
        stops.at([0.5, 3.0])
    starts = dtw.force_history(PUSH, [(1.0, 2.0), (2.0, 0.0)])
    with pytest.raises(dtw.ModelError, match="begins at 1 s with 2"):
        starts.at([0.0])
    holds = dtw.force_history(PUSH, dtw.table(over="time", at=[0, 1], values=[0, 2], outside="hold"))
    assert_allclose(holds.at([0.5, 9.0]), [1.0, 2.0])
    step = dtw.force_history(PUSH)
    assert_allclose(step.at([0.0, 5.0]), 1.0)
    assert step.duration is None
    rising = dtw.force_history(PUSH, dtw.function(lambda t: t**2, over="time", breakpoints=[1.0]))
    assert_allclose(rising.at([2.0]), 4.0)
    assert_allclose(rising.breakpoints, [1.0])


def test_courses_act_together_till_the_last_ends():
    pair = dtw.together(
        dtw.half_sine("x", "1 g", "1 ms"), dtw.base_motion("y", [(0.0, 0.0), (0.5, 1.0), (1.0, 0.0)])
    )
    assert (pair.kind, pair.duration) == ("transient", 1.0)
    assert_allclose(pair.breakpoints, [0.0, 1e-3, 0.5, 1.0])
    assert dtw.together(dtw.half_sine("x", "1 g", "1 ms"), dtw.force_history(PUSH)).duration is None


# What is refused


BAD = {
    "zero": (lambda: dtw.base_psd("z", [(1.0, 1.0), (2.0, 0.0)]), "at 2 Hz is 0 g²/Hz; it must be positive"),
    "negative": (lambda: dtw.base_psd("z", [(1.0, -1.0), (2.0, 1.0)]), "must be positive"),
    "falls": (lambda: dtw.base_psd("z", [(2.0, 1.0), (1.0, 1.0)]), "row 2 \\(1 Hz\\) follows 2 Hz"),
    "twice": (lambda: dtw.base_psd("z", [(2.0, 1.0), (2.0, 1.0)]), "must increase"),
    "from zero": (lambda: dtw.base_psd("z", [(0.0, 1.0), (2.0, 1.0)]), "not above zero"),
    "one row": (lambda: dtw.base_psd("z", [(1.0, 1.0)]), "at least 2 frequencies"),
    "no row": (lambda: dtw.base_psd("z", []), "at least 2 frequencies"),
    "no table": (lambda: dtw.base_psd("z", "1 g"), "a list of pairs is wanted"),
    "triples": (lambda: dtw.base_psd("z", [(1, 2, 3)]), "a list of pairs is wanted"),
    "direction": (lambda: dtw.base_psd("up", UP), "is no direction"),
    "no direction": (lambda: dtw.base_psd((0, 0, 0), UP), "no length"),
    "unit": (lambda: dtw.base_psd("z", [("1 Hz", "1 g"), ("2 Hz", "1 g")]), "density of acceleration"),
    "not a number": (lambda: dtw.base_psd("z", [(1.0, np.nan), (2.0, 1.0)]), "not finite"),
    "force unit": (lambda: dtw.force_psd(PUSH, [("1 Hz", "1 g**2/Hz"), ("2 Hz", "1 N**2/Hz")]), "N..2/Hz"),
    "no loads": (lambda: dtw.force_psd([], UP), "loads are wanted"),
    "heat": (lambda: dtw.force_psd(dtw.HeatFlux(on="xmax", magnitude=1.0), UP), "moves nothing"),
    "alone": (lambda: dtw.correlated([dtw.base_psd("x", UP)], coherence=0), "two excitations or more"),
    "coherence": (lambda: dtw.correlated([dtw.base_psd("x", UP)] * 2, coherence=1.5), "between 0"),
    "coherences": (
        lambda: dtw.correlated([dtw.base_psd(i, UP) for i in "xyz"], coherence=CHAIN),
        "if a goes with b and b with c",
    ),
    "shape": (lambda: dtw.correlated([dtw.base_psd("x", UP)] * 2, coherence=[[1.0]]), "shape \\[1, 1\\]"),
    "no density": (lambda: dtw.correlated([dtw.half_sine("x", 1.0, 1.0)] * 2, coherence=0), "is no density"),
    "no band": (lambda: dtw.base_harmonic("x", "1 g"), "over which frequencies"),
    "empty band": (lambda: dtw.base_harmonic("x", "1 g", low="20 Hz", high="10 Hz"), "is empty"),
    "no width": (lambda: dtw.base_harmonic("x", "1 g", low="20 Hz", high="20 Hz"), "is empty"),
    "zero amplitude": (lambda: dtw.base_harmonic("x", 0.0, low=1, high=2), "must be positive"),
    "amplitude": (lambda: dtw.base_harmonic("x", "1 N", low=1, high=2), "such as '2 g'"),
    "table too short": (lambda: dtw.base_harmonic("x", UP, low=1, high=3), "extend the table"),
    "outside": (lambda: dtw.base_harmonic("x", 1.0, low=1, high=3).at([4.0]), "lies outside of the band"),
    "apart": (
        lambda: dtw.together(dtw.harmonic(PUSH, low=1, high=2), dtw.harmonic(PUSH, low=3, high=4)), "is empty"
    ),
    "unlike": (
        lambda: dtw.together(dtw.harmonic(PUSH, low=1, high=2), dtw.half_sine("x", 1, 1)), "different anal"
    ),
    "random together": (lambda: dtw.together(*[dtw.base_psd("x", UP)] * 2), "joined by correlated"),
    "spectrum": (lambda: dtw.response_spectrum("x", UP, combine="ABS"), "'SRSS' or 'CQC'"),
    "undamped": (lambda: dtw.response_spectrum("x", UP, damping=0.0), "write combine='SRSS'"),
    "damped": (lambda: dtw.response_spectrum("x", UP, damping=1.0), "below 100 %"),
    "no pulse": (lambda: dtw.half_sine("x", "0 g", "1 ms"), "is no pulse"),
    "no time": (lambda: dtw.half_sine("x", "1 g", "0 ms"), "is no pulse"),
    "field": (lambda: dtw.force_history(PUSH, lambda x: x[:, 0]), "over='time'"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_excitations_that_make_no_sense_are_refused(make, message):
    with pytest.raises(dtw.DesignTwinError, match=message):
        make()


def test_a_base_needs_supports_and_a_direction_the_model_has():
    shake = dtw.base_psd("z", UP)
    shake.check(model())
    shake.check(model(dtw.Spring(on="xmin", stiffness=(1.0, 1.0, 1.0))))
    loose = (
        dtw.InertiaRelief(), dtw.PointMass(on="xmin", mass=1.0), dtw.Damper(on="xmin", damping=(1, 1, 1)),
        dtw.Spring(on="xmin", to="xmax", stiffness=1.0), dtw.Spring(on="xmin", stiffness=(0, 0, 0)),
    )  # fmt: skip
    for support in loose:
        with pytest.raises(dtw.ModelError, match="moves the supports, and the model has none"):
            shake.check(model(support))
    with pytest.raises(dtw.ModelError, match="plane"):
        shake.check(model(mesh=builders.rectangle("quad", 1)))
    dtw.base_psd("x", UP).check(model(mesh=builders.rectangle("quad", 1)))


def test_loads_of_nothing_shake_nothing():
    nothing = dtw.Force(on="xmax", value=(0.0, 0.0, 0.0))
    with pytest.raises(dtw.ModelError, match="all zero"):
        dtw.harmonic(nothing, low=1.0, high=2.0).check(model())
    with pytest.raises(dtw.DesignTwinError, match="xmx"):
        dtw.harmonic(dtw.Force(on="xmx", value=(1.0, 0.0, 0.0)), low=1.0, high=2.0).check(model())


def test_excitations_are_plain_data():
    psd = dtw.base_psd("z", LAUNCH)
    for one in (
        psd, dtw.force_psd("lift", UP), dtw.force_psd(PUSH, UP),
        dtw.correlated([psd, dtw.force_psd(PUSH, UP)], coherence=0.3, phase=0.1),
        dtw.base_harmonic("x", "1 mm", low=1, high=2), dtw.base_harmonic("x", UP, low=1.5, phase=1.0),
        dtw.harmonic(PUSH, amplitude=UP), dtw.harmonic("lift", frequencies=[3.0]),
        dtw.response_spectrum("x", UP), dtw.half_sine("x", "50 g", "11 ms"),
        dtw.base_motion("x", [(0.0, 0.0), (1.0, 2.0)]), dtw.force_history([PUSH, PUSH], 2.0),
        dtw.together(dtw.half_sine("x", 1.0, 1.0), dtw.force_history(PUSH)),
    ):  # fmt: skip
        assert Plain.from_dict(one.to_dict()) == one
        assert one.said
        assert one.content_hash() == Plain.from_dict(one.to_dict()).content_hash()


def test_a_density_of_force_is_for_loads_of_one_newton():
    model = dtw.Model(
        builders.box("tetra10", 1), {"body": dtw.material("S355")}, supports=[dtw.FixedSupport(on="xmin")]
    )
    table = [("10 Hz", "4 N**2/Hz"), ("1 kHz", "4 N**2/Hz")]
    dtw.force_psd(PUSH, table).check(model)
    ten = dtw.force_psd(dtw.Force(on="xmax", value=(0.0, 0.0, 10.0)), table)
    with pytest.raises(ModelError, match="these add up to 10 N"):
        ten.check(model)
    assert type(ten).from_dict(ten.to_dict()) == ten
    dtw.force_psd(
        dtw.Force(on="xmax", value=(0.0, 0.0, 10.0)), [("10 Hz", "0.04 1/Hz"), ("1 kHz", "0.04 1/Hz")]
    ).check(model)
