"""Amplitudes over a cycle are exact, and responses at places say what the fields say."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from builders import box
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import DesignTwinError
from designtwin.results import stress as tensor
from designtwin.results.frequency import (
    FrequencyResponse,
    at_largest,
    largest_length,
    largest_von_mises,
)  # fmt: skip

few = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)
CYCLE = np.exp(2j * np.pi * np.arange(7200) / 7200)


def random_complex(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((4, n)) * 10.0 ** rng.integers(-3, 4) + 1j * rng.standard_normal((4, n))


@few
@given(seeds)
def test_the_largest_length_over_a_cycle_is_that_of_its_instants(seed):
    z = random_complex(seed, 3)
    lengths = np.linalg.norm((z * CYCLE[:, None, None]).real, axis=2).max(axis=0)
    assert_allclose(largest_length(z), lengths, rtol=1e-6)
    assert (largest_length(z) >= lengths * (1.0 - 1e-12)).all()
    assert_allclose(np.linalg.norm(at_largest(z), axis=1), largest_length(z), rtol=1e-10)


@few
@given(seeds)
def test_the_largest_von_mises_stress_over_a_cycle_is_that_of_its_instants(seed):
    s = random_complex(seed, 6)
    instants = tensor.von_mises((s * CYCLE[:, None, None]).real).max(axis=0)
    assert_allclose(largest_von_mises(s), instants, rtol=1e-6)


def test_a_real_amplitude_is_its_own_largest():
    s = np.random.default_rng(1).standard_normal((5, 6))
    assert_allclose(largest_von_mises(s.astype(complex)), tensor.von_mises(s), rtol=1e-12)
    assert_allclose(largest_von_mises(1j * s), tensor.von_mises(s), rtol=1e-12)
    assert not largest_von_mises(np.zeros((2, 6), complex)).any()


def bracket() -> dtw.Model:
    """A short cantilever with a soft end, hit from the side."""
    mesh = box("hexahedron20", (4, 2, 1), (0.2, 0.05, 0.02))
    steel = dtw.LinearElastic(
        youngs_modulus=210e9, poissons_ratio=0.3, density=7850.0, yield_strength="250 MPa"
    )
    return dtw.Model(
        mesh, materials={"body": steel}, supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"side": [dtw.Force(on="xmax", value=(0.0, 300.0, 500.0))]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def case() -> dtw.HarmonicCase:
    sweep = dtw.harmonic("side", low="100 Hz", high="3 kHz")
    return dtw.solve_harmonic(bracket(), sweep, damping="3 %", name="side")


def test_envelopes_are_the_largest_of_all_frequencies(case):
    some = {name: case.field(name) for name in ("displacement", "uz", "vy", "az", "von_mises", "stress_xx")}
    most = {name: np.zeros(len(field.values)) for name, field in some.items()}
    where = {name: np.zeros(len(field.values)) for name, field in some.items()}
    for frame in case.frames:
        for name in some:
            values = frame.field(name).values
            size = np.linalg.norm(values, axis=1) if values.ndim == 2 else values
            larger = size > most[name]
            most[name][larger], where[name][larger] = size[larger], frame.frequency
    for name, field in some.items():
        size = np.linalg.norm(field.values, axis=1) if field.values.ndim == 2 else field.values
        assert_allclose(size, most[name], rtol=1e-9, atol=1e-12 * most[name].max())
        big = size > 1e-6 * size.max()
        assert_allclose(case.peak_frequency(name)[big], where[name][big])
    assert_allclose(case.field("safety_factor").values, 250e6 / some["von_mises"].values, rtol=1e-9)


def test_one_frequency_is_a_superposition_of_two_static_states(case):
    """Stress of the complex amplitude is that of its real and of its imaginary part."""
    point = case.frames[int(case.largest)]
    for angle in ("0 deg", "90 deg", "200 deg"):
        state = point.at_phase(angle)
        turn = np.exp(1j * np.radians(float(angle.split()[0])))
        assert_allclose(state.displacement, (point.amplitude * turn).real, atol=1e-18)
        own = (point.stress_amplitude * turn).real
        assert_allclose(state.stress(), own, atol=1e-9 * np.abs(own).max())
        assert (state.von_mises() <= point.von_mises() * (1.0 + 1e-9)).all()
        assert (state.tresca() <= point.tresca() * 1.002 + 1e-9).all()
    shown = case.frames[int(case.largest)]
    assert_allclose(shown.displacement, (shown.amplitude * np.exp(1j * shown.phase)).real, atol=1e-18)
    assert np.linalg.norm(shown.displacement) >= np.linalg.norm(shown.amplitude.real)
    assert (shown.principal()[:, 0] >= -shown.principal()[:, 2] - 1e-6).all(), "a cycle changes signs"


def test_responses_at_places_read_the_same_field(case):
    i = case.largest
    frame = case.frames[i]
    node = (
        int(case.mesh.groups["xmax"].nodes[0])
        if case.mesh.groups["xmax"].nodes is not None
        else int(case.model.region("xmax").nodes[0])
    )
    at = tuple(case.mesh.points[node])
    assert_allclose(case.response(at, "z").values[i], frame.amplitude[node, 2], rtol=1e-9)
    assert_allclose(case.response(at, "y", "acceleration").values[i], frame.acceleration[node, 1], rtol=1e-9)
    whole = case.response(None, "magnitude")
    assert_allclose(whole.amplitude[i], largest_length(frame.amplitude).max(), rtol=1e-9)
    stress = case.response("xmin", None, "stress")
    rows = np.isin(case.points.node, case.model.region("xmin").nodes)
    assert_allclose(stress.amplitude[i], frame.von_mises()[rows].max(), rtol=1e-9)
    mean = case.response("xmax", (0.0, 0.0, 1.0))
    assert_allclose(mean.values, case.response("xmax", "z").values, rtol=1e-12)
    farthest = case.response("xmax", "z", over="max")
    assert farthest.peak.amplitude >= mean.peak.amplitude
    w = 2.0 * np.pi * mean.frequencies
    assert_allclose(case.response("xmax", "z", "velocity").values, 1j * w * mean.values, rtol=1e-9)
    assert_allclose(case.response("xmax", "z", "acceleration").values, -w * w * mean.values, rtol=1e-9)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"what": "displcement"}, "did you mean 'displacement'"),
        ({"direction": "xx", "what": "displacement"}, "direction"),
        ({"direction": "qq", "what": "stress"}, "Say one of von_mises, xx"),
        ({"on": "nowhere"}, "nowhere"),
        ({"over": "min"}, "say 'mean' or 'max'"),
        ({"what": "stress", "relative": True}, "leave relative out"),
        ({"on": (9.0, 9.0, 9.0)}, "outside|no cell|not in"),
    ],
)
def test_what_is_not_there_is_said(case, asked, message):
    with pytest.raises(DesignTwinError, match=message):
        case.response(**{"on": "xmax", **asked})


def test_frequencies_and_fields_that_are_not_there_are_said(case):
    with pytest.raises(DesignTwinError, match="outside of the sweep, 100 Hz to 3000 Hz"):
        case.at("5 kHz")
    with pytest.raises(DesignTwinError, match="did you mean 'von_mises'"):
        case.field("vonmises")
    with pytest.raises(DesignTwinError, match="no field 'temperature'"):
        case.frames[0].field("temperature")
    with pytest.raises(DesignTwinError, match="outside of the sweep"):
        case.response("xmax", "z").at("1 Hz")


def test_a_response_goes_to_a_file_and_into_words(case, tmp_path):
    found = case.response("xmax", "z")
    path = found.to_csv(tmp_path / "tip.csv")
    with open(path, encoding="utf-8", newline="") as stream:
        head, *rows = list(csv.reader(stream))
    assert head[:3] == ["frequency [Hz]", "displacement z of 'xmax' [mm]", "phase [deg]"]
    numbers = np.array(rows, float)
    assert_allclose(numbers[:, 0], found.frequencies)
    assert_allclose(1e-3 * numbers[:, 1], found.amplitude, rtol=1e-12)
    turned = numbers[:, 1] * np.exp(1j * np.radians(numbers[:, 2]))
    assert_allclose(turned, numbers[:, 3] + 1j * numbers[:, 4], atol=1e-9 * numbers[:, 1].max())
    assert f"at most {found.peak}" in str(found)
    assert "3 % of critical" in str(case)
    assert "modal" in str(case)
    middle = 0.5 * (found.frequencies[3] + found.frequencies[4])
    assert_allclose(found.at(middle), 0.5 * (found.values[3] + found.values[4]), rtol=1e-9)


def test_phase_is_zero_below_a_resonance_and_half_a_turn_above():
    f = np.array([1.0, 10.0, 100.0])
    values = 1.0 / (1.0 - (f / 10.0) ** 2 + 0.02j * f / 10.0)
    found = FrequencyResponse(f, values, "oscillator", "length")
    assert_allclose(np.degrees(found.phase), [-0.1, -90.0, -179.9], atol=0.2)
    assert found.peak.frequency == 10.0


def test_every_field_has_an_error_and_it_is_smaller_on_a_finer_mesh(case):
    for name in case.field_names:
        field = case.field(name)
        assert field.error is not None, name
        assert field.error.shape == (len(field.values),), name
        assert (field.error >= 0.0).all(), name
    fine = bracket().with_(mesh=box("hexahedron20", (8, 4, 2), (0.2, 0.05, 0.02)))
    other = dtw.solve_harmonic(fine, dtw.harmonic("side", low="100 Hz", high="3 kHz"), damping="3 %")
    for name in ("uz", "az"):
        assert other.field(name).error.max() < 0.6 * case.field(name).error.max()
