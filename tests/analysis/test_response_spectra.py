"""Shock and response spectra: textbook sums, limits that are known exactly, and the motion itself in time."""

from __future__ import annotations

import numpy as np
import pytest
from builders import bar, box
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw
from designtwin.solvers.spectral import correlation

STEEL = dtw.LinearElastic(youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0, yield_strength=300e6)
SHOCK = dtw.half_sine("z", "50 g", "11 ms")
G = 9.80665


def beam(n=(8, 1, 1), size=(0.2, 0.02, 0.01), **more) -> dtw.Model:
    """A cantilever along x."""
    return dtw.Model(
        box("hexahedron20", n, size),
        materials={"body": STEEL},
        supports=[dtw.FixedSupport(on="xmin")],
        **more,
    )


def masses(*frequencies: float) -> dtw.Model:
    """A chain of bars that weigh nothing, with point masses of 1 kg, fixed at one end; it moves along x."""
    n = len(frequencies)
    mesh = bar(n)
    k = (2.0 * np.pi * frequencies[0]) ** 2 / n
    return dtw.Model(
        mesh,
        materials={
            "body": dtw.Truss(dtw.LinearElastic(youngs_modulus=k, poissons_ratio=0.0, density=1e-9), area=1.0)
        },
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0), dtw.PrescribedDisplacement(on="body", y=0.0),
            *(dtw.PointMass(on=dtw.nearest(tuple(x)), mass=1.0) for x in mesh.points[1:]),
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def model() -> dtw.Model:
    return beam()


@pytest.fixture(scope="module")
def modes(model) -> dtw.ModalCase:
    return dtw.solve_modes(model, count=14).modes


# Shock spectra


def test_the_spectrum_of_a_half_sine_has_its_published_peak():
    """Harris' Handbook, fig. 23.8: undamped, 1.77 times the pulse where f T = 0.81; then down to 1."""
    f = np.linspace(0.5, 2.0, 601) / 0.011
    spectrum = dtw.shock_spectrum(SHOCK, 0.0, frequencies=f)
    i = int(np.argmax(spectrum.values))
    assert_allclose(spectrum.values[i] / (50 * G), 1.768, rtol=1e-3)
    assert_allclose(f[i] * 0.011, 0.81, atol=0.02)
    stiff = dtw.shock_spectrum(SHOCK, "5 %", frequencies=["20 kHz"])
    assert_allclose(stiff.values, 50 * G, rtol=1e-3)


def test_kinds_and_quantities_belong_together():
    every = {kind: dtw.shock_spectrum(SHOCK, "5 %", kind=kind) for kind in
             ("maximax", "positive", "negative", "primary", "residual")}  # fmt: skip
    values = {kind: spectrum.values for kind, spectrum in every.items()}
    assert_allclose(values["maximax"], np.maximum(values["positive"], values["negative"]))
    assert_allclose(values["maximax"], np.maximum(values["primary"], values["residual"]))
    assert (values["positive"] > values["negative"]).all()
    frequencies = every["maximax"].frequencies
    one = {w: dtw.shock_spectrum(SHOCK, "5 %", what=w).values for w in
           ("pseudo_acceleration", "velocity", "displacement")}  # fmt: skip
    omega = 2.0 * np.pi * frequencies
    assert_allclose(one["pseudo_acceleration"], omega * one["velocity"])
    assert_allclose(one["velocity"], omega * one["displacement"])
    undamped = [
        dtw.shock_spectrum(SHOCK, 0.0, what=w).values for w in ("acceleration", "pseudo_acceleration")
    ]
    assert_allclose(*undamped, rtol=1e-6)
    # slow oscillators stay where they are while the base gains a velocity of 2 A T / pi
    assert_allclose(
        dtw.shock_spectrum(SHOCK, 0.0, frequencies=[0.01], what="velocity").values,
        2 * 50 * G * 0.011 / np.pi,
        rtol=1e-5,
    )


def test_pairs_and_base_motion_are_one_pulse():
    pairs = [(0.0, 0.0), ("2 ms", "30 g"), ("6 ms", 0.0)]
    one = dtw.shock_spectrum(pairs, "5 %")
    other = dtw.shock_spectrum(dtw.base_motion("-y", pairs), "5 %")
    assert_allclose(one.values, other.values)
    assert one.frequencies[0] < 0.1 / 0.006
    assert one.frequencies[-1] > 10.0 / 0.006


def test_a_spectrum_tells_its_values_and_writes_them(tmp_path):
    spectrum = dtw.shock_spectrum(SHOCK)
    assert spectrum.damping == 0.05
    assert_allclose(spectrum.at(spectrum.frequencies[7]), spectrum.values[7])
    i = int(np.argmax(spectrum.values))
    assert spectrum.at("80 Hz") <= spectrum.values[i]
    with pytest.raises(dtw.DesignTwinError, match="outside"):
        spectrum.at("1 MHz")
    head, first, *rest = spectrum.to_csv(tmp_path / "srs.csv").read_text().splitlines()
    assert head == "frequency [Hz],absolute acceleration of oscillators damped 5 % [m/s²]"
    assert_allclose([float(x) for x in first.split(",")], [spectrum.frequencies[0], spectrum.values[0]])
    assert len(rest) == len(spectrum) - 1
    assert "at most" in str(spectrum)
    residual = dtw.shock_spectrum(SHOCK, 0.0, kind="residual", frequencies=[100.0, 1.5 / 0.011, 200.0])
    assert residual.at(150.0) >= 0.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "sudden"}, "kind"), ({"what": "jerk"}, "what"), ({"damping": "100 %"}, "critical"),
        ({"damping": -0.1}, "critical"), ({"frequencies": [0.0, 1.0]}, "above zero"),
        ({"frequencies": [2.0, 1.0]}, "increase"), ({"pulse": dtw.base_motion("x", "3 g")}, "ends"),
        ({"pulse": dtw.base_psd("x", [(1.0, 1.0), (2.0, 1.0)])}, "half_sine"),
    ],
)  # fmt: skip
def test_spectra_that_make_no_sense_are_refused(arguments, words):
    with pytest.raises(dtw.DesignTwinError, match=words):
        dtw.shock_spectrum(**({"pulse": SHOCK} | arguments))


# Response spectra


def test_combinations_are_the_textbook_sums():
    """Three masses on three bars, a flat spectrum, all modes: base force and motion by hand."""
    model = masses(10.0, 1.0, 1.0)
    modes = dtw.solve_modes(model, count=3).modes
    table = [("0.1 Hz", "1 g"), ("100 Hz", "1 g")]
    for rule in ("SRSS", "CQC"):
        shake = dtw.response_spectrum("x", table, damping="5 %", combine=rule)
        case = dtw.solve_spectrum(model, shake, modes=modes, rigid=None)
        omega = np.sqrt(modes.omega2)
        phi = np.array([mode.displacement[1:, 0] for mode in modes])
        gamma = phi.sum(axis=1)  # masses of 1 kg
        peaks = (gamma / omega**2)[:, None] * phi * G
        rho = np.eye(3) if rule == "SRSS" else correlation(omega, np.full(3, 0.05))
        assert_allclose(
            case.field("ux").values[1:], np.sqrt(np.einsum("mi,mn,ni->i", peaks, rho, peaks)), rtol=1e-8
        )
        absolute = peaks * (omega**2)[:, None]
        assert_allclose(
            case.field("ax").values[1:], np.sqrt(np.einsum("mi,mn,ni->i", absolute, rho, absolute)), rtol=1e-6
        )
        assert_allclose([r["effective_mass"] for r in case.table().rows], gamma**2, rtol=1e-7)
        assert_allclose(sum(gamma**2), 3.0, rtol=1e-7)
        assert case.each[0].captured == pytest.approx(1.0)
        assert f"; {rule};" in str(case.table())


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_stiff_part_under_a_slow_shock_bears_its_weight_times_the_peak(model, modes, axis):
    """However few of its modes are known: in phase and missing mass."""
    slow = dtw.half_sine(axis, "50 g", "110 ms")
    still = dtw.solve_static(
        model.with_(load_cases={"g": [dtw.Gravity(direction=f"-{axis}", magnitude="50 g")]})
    )["g"]
    for some in (dtw.solve_modes(model, count=2).modes, modes):
        case = dtw.solve_spectrum(model, slow, modes=some, damping="2 %")
        assert_allclose(case.von_mises().max(), still.von_mises().max(), rtol=0.01)
        assert_allclose(case.field("displacement").values.max(), np.abs(still.displacement).max(), rtol=0.01)
        assert_allclose(case.field(f"a{axis}").values, 50 * G, rtol=0.03)


def test_spectra_are_near_the_motion_in_time(model, modes):
    """One mode rules; the answer in time is exact."""
    case = dtw.solve_spectrum(model, SHOCK, modes=modes, damping="2 %")
    motion = dtw.solve_dynamics(model, SHOCK, modes=modes, damping="2 %")
    tip = model.region("xmax").nodes
    moved = max(np.abs(frame.displacement[tip, 2]).max() for frame in motion.frames)
    felt = max(np.abs(frame.acceleration[tip, 2]).max() for frame in motion.frames)
    assert_allclose(case.field("uz").values[tip].max(), moved, rtol=0.03)
    assert_allclose(case.field("az").values[tip].max(), felt, rtol=0.05)


def test_cqc_of_modes_in_pairs_does_not_depend_on_which_pair_was_found():
    """A square beam bends alike in all directions: its two modes are any two at right angles."""
    model = beam((6, 1, 1), (0.2, 0.01, 0.01))
    table = [("1 Hz", "3 g"), ("5 kHz", "3 g")]
    for direction in ((0.0, 1.0, 0.0), (0.0, 0.6, 0.8)):
        case = dtw.solve_spectrum(
            model, dtw.response_spectrum(direction, table, damping="5 %"), count=2, rigid=None
        )
        field = case.field("displacement").values[model.region("xmax").nodes]
        along = field @ direction
        assert_allclose(np.hypot(field[:, 1], field[:, 2]), along, rtol=1e-4)
        if direction[1] == 1.0:
            straight = along.max()
        else:
            assert_allclose(along.max(), straight, rtol=1e-4)


def test_directions_together_add_squares(model, modes):
    table = [("1 Hz", "3 g"), ("20 kHz", "3 g")]
    each = [dtw.response_spectrum(d, table) for d in ("x", "y", "z")]
    apart = [dtw.solve_spectrum(model, one, modes=modes) for one in each]
    both = dtw.solve_spectrum(model, dtw.together(*each), modes=modes)
    # static shapes of three inputs are others than of each: equal but for what modes above leave
    total = np.sqrt(sum(case.von_mises() ** 2 for case in apart))
    assert_allclose(both.von_mises(), total, rtol=1e-6)
    assert len(both.table().rows) == 3 * len(modes)
    assert "input" in both.table().headings


@settings(max_examples=20 if FULL else 5, deadline=None)
@given(scale=st.floats(0.01, 100.0))
def test_peaks_grow_with_the_spectrum(model, modes, scale):
    one, other = (
        dtw.solve_spectrum(model, dtw.response_spectrum("z", [(1.0, a), (2e4, 2.0 * a)]), modes=modes)
        for a in (1.0, scale)
    )
    for name in ("displacement", "velocity", "acceleration", "von_mises"):
        assert_allclose(other.field(name).values, scale * one.field(name).values, rtol=1e-9)


def test_peaks_come_with_intervals_and_names(model, modes):
    case = dtw.solve_spectrum(model, SHOCK, modes=modes, damping="2 %", name="drop")
    assert not case.statistical
    for name in case.field_names:
        field = case.field(name)
        assert (np.asarray(field.values) >= 0.0).all(), name
        assert (np.asarray(field.error) >= 0.0).all(), name
        assert field.title.endswith("peak")
    assert "drop: half_sine 50 g" in str(case).splitlines()[0]
    with pytest.raises(dtw.DesignTwinError, match="phase"):
        case.field("principal_1")


def test_damping_beside_a_response_spectrum_is_not_used_and_said(model, modes):
    shake = dtw.response_spectrum("z", [(1.0, 1.0), (2e4, 1.0)], damping="5 %")
    case = dtw.solve_spectrum(model, shake, modes=modes, damping="1 %")
    assert any("1 % of critical is not used" in note for note in case.notes)
    assert_allclose(case.von_mises(), dtw.solve_spectrum(model, shake, modes=modes).von_mises(), rtol=1e-12)


def test_what_no_spectrum_can_answer_is_said(model, modes):
    fine = [("1 Hz", "1 g"), ("20 kHz", "1 g")]
    for excitation, options, words in (
        (dtw.base_psd("z", fine_psd()), {}, "solve_spectrum wants"),
        (
            dtw.force_history(dtw.Force(on="xmax", value=(0.0, 0.0, 1.0)), [(0.0, 0.0), (1.0, 0.0)]),
            {},
            "base",
        ),
        (SHOCK, {}, "damping"),
        (SHOCK, {"damping": "2 %", "combine": "ABS"}, "combine"),
        (SHOCK, {"damping": "2 %", "rigid": "Gupta"}, "rigid"),
        (dtw.response_spectrum("z", [("300 Hz", "1 g"), ("20 kHz", "1 g")]), {}, "below the table"),
        (dtw.response_spectrum("z", fine), {"count": 3}, "leave up_to"),
    ):
        with pytest.raises(dtw.DesignTwinError, match=words):
            dtw.solve_spectrum(model, excitation, modes=modes, **options)
    sliding = model.with_(supports=[dtw.PrescribedDisplacement(on="xmin", y=0.0, z=0.0)])
    with pytest.raises(dtw.DesignTwinError, match=r"nothing holds|support"):
        dtw.solve_spectrum(sliding, dtw.response_spectrum("x", fine), count=3)


def fine_psd():
    return [("10 Hz", "0.01 g**2/Hz"), ("2 kHz", "0.01 g**2/Hz")]
