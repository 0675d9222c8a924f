"""Harmonic response whatever the part: limits, reciprocity, energy, both methods, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from builders import apart, box, merged, rectangle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.analysis.harmonic import sweep_frequencies
from designtwin.analysis.superposition import ModalSpace, damping_of
from designtwin.errors import ConvergenceError, DesignTwinError, MissingPropertyError, ModelError

few = settings(max_examples=8, deadline=None)
STEEL = {"youngs_modulus": 210e9, "poissons_ratio": 0.3, "density": 7850.0}


def steel(**more: float) -> dtw.LinearElastic:
    return dtw.LinearElastic(**{**STEEL, **more})


def bracket(element: str = "hexahedron", *more: object, n=(4, 2, 2), material=None, **options) -> dtw.Model:
    """A short distorted cantilever with loads at two places."""
    supports = options.pop("supports", [dtw.FixedSupport(on="xmin")])
    return dtw.Model(
        box(element, n, (0.2, 0.05, 0.04), distort=0.15, seed=3), materials={"body": material or steel()},
        supports=[*supports, *more],
        load_cases={
            "tip": [dtw.Force(on="xmax", value=(10.0, 300.0, 500.0))],
            "top": [dtw.Pressure(on="ymax", magnitude=1e5)],
        },
    )  # fmt: skip


def work(model: dtw.Model, load: str, u: np.ndarray) -> complex:
    """Of the loads of a case on a displacement."""
    return complex(sum(one.nodal_forces(model) for one in model.cases[load].loads).ravel() @ u.ravel())


# Limits


@pytest.mark.parametrize("element", ["hexahedron", "tetra10"])
@pytest.mark.parametrize("method", ["modal", "direct"])
def test_at_a_low_frequency_it_is_statics(element, method):
    """One mode would miss the local bulge under the pressure; the static shape has it."""
    model = bracket(element)
    static = dtw.solve_static(model)["top"]
    case = dtw.solve_harmonic(
        model, dtw.harmonic("top", frequencies=[0.01]), damping=dtw.structural(0.0), method=method,
        **({"count": 1} if method == "modal" else {}),
    )  # fmt: skip
    most = np.abs(static.displacement).max()
    assert_allclose(case.displacement(0), static.displacement, atol=1e-7 * most)
    stress = static.von_mises()
    assert_allclose(case.frames[0].von_mises(), stress, atol=1e-6 * stress.max())
    assert_allclose(case.field("von_mises").values, stress, atol=1e-6 * stress.max())


def test_without_static_shapes_the_answer_would_be_off():
    """What the test above rests on: the mode alone gives a tenth of the bulge."""
    model = bracket()
    modes = dtw.solve_modes(model, count=1).modes
    phi = modes[0].displacement
    static = dtw.solve_static(model)["top"].displacement
    alone = phi * work(model, "top", phi).real / modes.omega2[0]
    assert np.abs(alone - static).max() > 0.05 * np.abs(static).max()


@pytest.mark.parametrize("damping", ["structural", "Rayleigh", "loss factor", "damper"])
def test_all_modes_answer_as_the_full_equations_do(damping):
    """Dampers and lossy parts couple modes; both ways of solving must see it."""
    more, material, stated = [], None, None
    if damping == "structural":
        stated = dtw.structural("5 %")
    elif damping == "Rayleigh":
        stated = dtw.rayleigh(("500 Hz", "2 %"), ("5 kHz", "3 %"))
    elif damping == "loss factor":
        material = steel(loss_factor=0.05)
    else:
        more = [dtw.Damper(on="xmax", damping=(0.0, 2000.0, 500.0))]
    model = bracket("hexahedron", *more, n=(3, 1, 1), material=material)
    n_free = 3 * 12
    sweep = dtw.together(
        dtw.harmonic("tip", low="100 Hz", high="8 kHz"),
        dtw.harmonic("top", low="50 Hz", high="9 kHz", phase=1.0),
    )
    by_modes = dtw.solve_harmonic(model, sweep, damping=stated, count=n_free)
    assert by_modes.basis.shape[1] == n_free, "all modes, and no static shape is left"
    full = dtw.solve_harmonic(
        model, sweep, damping=stated, method="direct", modes=dtw.solve_modes(model, count=n_free).modes
    )
    assert_allclose(full.frequencies, by_modes.frequencies)
    one, other = (np.array([c.displacement(i) for i in range(len(c))]) for c in (by_modes, full))
    # modes are converged to 1e-8 or so; near a resonance their residual counts over its width
    assert (np.abs(one - other).max(axis=(1, 2)) < 2e-5 * np.abs(other).max(axis=(1, 2))).all()
    assert by_modes.residual < 1e-4
    assert full.residual <= 1e-8
    assert_allclose(by_modes.dissipated_power, full.dissipated_power, rtol=2e-4)


def test_modes_and_a_static_shape_are_close_to_the_full_equations_in_the_band():
    model = bracket("tetra10")
    sweep = dtw.harmonic("top", low="100 Hz", high="4 kHz")
    stated = dtw.structural("4 %")
    modes = dtw.solve_modes(model, up_to="8 kHz").modes
    found = dtw.solve_harmonic(model, sweep, damping=stated, modes=modes)
    full = dtw.solve_harmonic(model, sweep, damping=stated, modes=modes, method="direct")
    for what in (("xmax", "y"), ("ymax", "y", "acceleration")):
        a, b = found.response(*what).values, full.response(*what).values
        assert np.abs(a - b).max() < 2e-4 * np.abs(b).max()
    a, b = (c.response("xmin", None, "stress").values for c in (found, full))
    assert np.abs(a - b).max() < 2e-3 * np.abs(b).max()


@pytest.mark.parametrize("supports", [[dtw.FixedSupport(on="xmin")], []], ids=["held", "free"])
def test_what_modes_leave_out_is_estimated(supports):
    """Against the full equations, in the energy norm, at half the last frequency: to a factor of 1.5."""
    model = bracket(supports=supports)
    modes = dtw.solve_modes(model, count=5).modes
    at = 0.5 * float(modes.frequencies[-1])
    stated, sweep = dtw.structural("4 %"), dtw.harmonic("top", frequencies=[at])
    found = dtw.solve_harmonic(model, sweep, damping=stated, modes=modes)
    full = dtw.solve_harmonic(model, sweep, damping=stated, modes=modes, method="direct")
    q = [c.basis @ c.coordinates[0] for c in (found, full)]
    stiffness = modes.dynamics.stiffness
    energy = [float((x.conj() @ stiffness(x)).real) for x in (q[1] - q[0], q[0])]
    true = np.sqrt(energy[0] / energy[1])
    assert 1e-4 < true < 0.5
    assert true / 1.5 < found.residual < 1.5 * true


# Laws


@few
@given(st.floats(200.0, 6000.0), st.floats(0.0, 0.2), st.floats(0.0, 3000.0))
def test_reciprocity_and_energy_hold_at_any_frequency_and_damping(frequency, loss, damper):
    model = bracket("hexahedron", dtw.Damper(on="xmax", damping=(0.0, damper, 10.0)), n=(3, 1, 1))
    answers = {
        name: dtw.solve_harmonic(
            model, dtw.harmonic(name, frequencies=[frequency]), damping=dtw.structural(loss), method="direct"
        )
        for name in ("tip", "top")
    }
    one = work(model, "top", answers["tip"].displacement(0))
    other = work(model, "tip", answers["top"].displacement(0))
    assert abs(one - other) <= 1e-7 * max(abs(one), abs(other))
    for name, case in answers.items():
        omega = 2.0 * np.pi * frequency
        power = 0.5 * (1j * omega * work(model, name, case.displacement(0))).real
        assert_allclose(case.input_power[0], power, rtol=1e-6)
        assert case.dissipated_power[0] >= 0.0
        assert case.imbalance < 1e-6


@few
@given(st.floats(0.01, 100.0), st.floats(-3.0, 3.0))
def test_twice_the_load_gives_twice_the_answer_and_a_phase_turns_it(factor, phase):
    model = bracket(n=(2, 1, 1))
    modes = dtw.solve_modes(model, count=3).modes
    options = {"modes": modes, "damping": "2 %"}
    plain = dtw.solve_harmonic(model, dtw.harmonic("tip", low="100 Hz", high="3 kHz"), **options)
    turned = dtw.solve_harmonic(
        model, dtw.harmonic("tip", amplitude=factor, low="100 Hz", high="3 kHz", phase=phase), **options
    )
    a, b = plain.response("xmax", "z").values, turned.response("xmax", "z").values
    assert_allclose(b, factor * np.exp(1j * phase) * a, rtol=1e-9)
    assert_allclose(turned.field("von_mises").values, factor * plain.field("von_mises").values, rtol=1e-9)


def test_turned_in_space_it_answers_the_same():
    """The part, its loads and the direction of the base turned by 30 degrees about z."""
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    straight = bracket()
    mesh = straight.mesh
    leaning = straight.with_(mesh=box("hexahedron", (4, 2, 2), (0.2, 0.05, 0.04), distort=0.15, seed=3,
                                      shape=lambda p: p @ turn.T))  # fmt: skip
    assert_allclose(leaning.mesh.points, mesh.points @ turn.T, atol=1e-15)
    answers = [
        dtw.solve_harmonic(
            model, dtw.base_harmonic(direction, "2 g", low="300 Hz", high="3 kHz"), damping="2 %",
        )
        for model, direction in ((straight, (1.0, 1.0, 0.0)), (leaning, tuple(turn @ [1.0, 1.0, 0.0])))
    ]  # fmt: skip
    a, b = (case.response("xmax", None, "acceleration").amplitude for case in answers)
    assert_allclose(b, a, rtol=1e-5)
    a, b = (case.field("von_mises").values for case in answers)
    assert_allclose(b, a, rtol=1e-4, atol=1e-5 * a.max())


def test_supports_carry_what_accelerates_the_mass():
    """At a low frequency the base pushes the whole mass, and a force on the part goes to the base."""
    model = bracket()
    mass = 7850.0 * 0.2 * 0.05 * 0.04
    shaken = dtw.solve_harmonic(model, dtw.base_harmonic("z", 3.0, frequencies=[1.0]), damping="1 %")
    assert_allclose(shaken.response(None, "z", "reaction").values, 3.0 * mass, rtol=1e-4)
    pushed = dtw.solve_harmonic(model, dtw.harmonic("tip", frequencies=[1.0]), damping="1 %")
    assert_allclose(pushed.response(None, "y", "reaction").values, -300.0, rtol=1e-4)


def test_a_force_that_grows_with_the_base_is_its_inertia():
    """Relative motion under a shaken base is that under the load -M a, which gravity states too."""
    model = bracket().with_case("inertia", [dtw.Acceleration(value=(0.0, 0.0, 5.0))])
    options = {"damping": "2 %", "modes": dtw.solve_modes(model, count=6).modes}
    base = dtw.solve_harmonic(model, dtw.base_harmonic("z", 5.0, low="200 Hz", high="2 kHz"), **options)
    load = dtw.solve_harmonic(model, dtw.harmonic("inertia", low="200 Hz", high="2 kHz"), **options)
    assert_allclose(base.response("xmax", "z").values, load.response("xmax", "z").values, rtol=1e-6)
    assert_allclose(base.field("von_mises").values, load.field("von_mises").values, rtol=1e-6)


# Free bodies, and parts where nothing or little vibrates


@pytest.mark.parametrize("method", ["modal", "direct"])
def test_a_free_body_moves_as_its_mass_says_at_low_frequencies(method):
    model = bracket(supports=[])
    case = dtw.solve_harmonic(
        model, dtw.harmonic("tip", frequencies=[20.0]), damping=dtw.structural("2 %"), method=method
    )
    mass = 7850.0 * 0.2 * 0.05 * 0.04
    # the force acts at the middle of the end: turns add nothing to the motion of the center along x
    mean = case.response("body", "x", "acceleration").values[0]
    assert_allclose(mean, 10.0 / mass, rtol=1e-3)
    assert np.abs(case.reactions).max() < 1e-6 * 500.0
    assert case.frames[0].von_mises().max() > 0.0


def test_a_plane_and_a_ring_vibrate_too():
    plate = dtw.Model(
        rectangle("quad8", (8, 2), (0.2, 0.02)), materials={"body": dtw.PlaneStress(steel(), thickness=0.01)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"tip": [dtw.Force(on="xmax", value=(0.0, 10.0, 0.0))]},
    )  # fmt: skip
    case = dtw.solve_harmonic(plate, dtw.harmonic("tip", low="10 Hz", high="1 kHz"), damping="2 %")
    assert case.response("xmax", "y").peak.frequency == pytest.approx(case.resonances[0], rel=0.01)
    with pytest.raises(DesignTwinError, match="plane"):
        dtw.solve_harmonic(plate, dtw.base_harmonic("z", 1.0, low=10.0, high=1e3), damping="2 %")
    tube = dtw.Model(
        rectangle("quad8", (2, 4), (0.01, 0.05), origin=(0.05, 0.0)),
        materials={"body": dtw.Axisymmetric(steel())},
        supports=[dtw.PrescribedDisplacement(on="ymin", x=0.0, y=0.0)],
        load_cases={"breath": [dtw.Pressure(on="xmin", magnitude=1e5)]},
    )
    case = dtw.solve_harmonic(tube, dtw.harmonic("breath", frequencies=[1.0]), damping="2 %")
    static = dtw.solve_static(tube)["breath"].displacement
    assert_allclose(case.displacement(0).real, static, atol=1e-4 * np.abs(static).max())


def test_two_parts_one_at_rest():
    """The part that is not loaded does not move, and repeated frequencies do no harm."""
    mesh = apart(box("hexahedron", (3, 1, 1), (0.1, 0.02, 0.02)),
                 box("hexahedron", (3, 1, 1), (0.1, 0.02, 0.02), origin=(0.0, 0.1, 0.0)))  # fmt: skip
    first = dtw.box((-1.0, -1.0, -1.0), (1.0, 0.05, 1.0))
    model = dtw.Model(
        mesh, materials={"body": steel()}, supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"push": [dtw.Force(on=dtw.group("xmax") & first, value=(0.0, 5.0, 5.0))]},
    )  # fmt: skip
    sweep = dtw.harmonic("push", low="100 Hz", high="5 kHz")
    for case in (
        dtw.solve_harmonic(model, sweep, damping="2 %"),
        dtw.solve_harmonic(model, sweep, damping=dtw.structural("4 %"), method="direct"),
    ):
        still = mesh.points[:, 1] > 0.05
        u = np.linalg.norm(case.field("displacement").values, axis=1)
        assert u[still].max() < 1e-6 * u.max()


# Rings of sectors, and reduced models


def blade(sectors: int, k: int = 0) -> np.ndarray:
    """One sector of a disk of 0.1 to 0.2 m, held at the bore."""

    def shape(p: np.ndarray) -> np.ndarray:
        r, a = 0.1 + 0.1 * p[:, 0], 2.0 * np.pi / sectors * (k + p[:, 1])
        return np.column_stack([r * np.cos(a), r * np.sin(a), 0.005 * p[:, 2]])

    return box("hexahedron20", (2, 1, 1), shape=shape)


@pytest.mark.parametrize("method", ["modal", "direct"])
def test_a_ring_from_one_sector_answers_as_the_whole_ring(method):
    """Under its base and by the losses of its material, with the modes given or found."""
    sectors = 5
    common = {"materials": {"body": steel(loss_factor=0.04)}, "supports": [dtw.FixedSupport(on="xmin")]}
    link = dtw.CyclicSymmetry(low="ymin", high="ymax", sectors=sectors)
    one = dtw.Model(blade(sectors), connections=[link], **common)
    ring = dtw.Model(merged(*[blade(sectors, k) for k in range(sectors)], tolerance=1e-7), **common)
    sweep = dtw.base_harmonic("z", "1 g", low="200 Hz", high="3 kHz")
    answers = []
    for model in (one, ring):
        modes = dtw.solve_modes(model, up_to="9 kHz").modes
        answers.append(dtw.solve_harmonic(model, sweep, modes=modes, method=method))
    a, b = answers
    assert a.mesh.n_points == b.mesh.n_points
    assert_allclose(a.frequencies, b.frequencies, rtol=1e-7)
    for what in ("acceleration", "stress"):
        x, y = (case.response(None, None, what).amplitude for case in answers)
        assert_allclose(x, y, rtol=1e-4)
    assert a.imbalance < 1e-6


def test_a_reduced_model_answers_as_the_whole_one_in_its_band():
    model = bracket(
        "hexahedron", dtw.Damper(on="xmax", damping=(0.0, 200.0, 0.0)), material=steel(loss_factor=0.03)
    )
    reduced = dtw.reduce(model, keep=["xmax"], up_to="12 kHz", loads=["tip"])
    sweep = dtw.harmonic("tip", low="100 Hz", high="4 kHz")
    modes = dtw.solve_modes(model, up_to="12 kHz").modes
    whole = dtw.solve_harmonic(model, sweep, modes=modes)
    small = dtw.solve_harmonic(reduced, sweep, up_to="12 kHz")
    assert_allclose(small.frequencies, whole.frequencies, rtol=1e-3)
    for case in (small, dtw.solve_harmonic(reduced, sweep, up_to="12 kHz", method="direct")):
        a, b = (c.response("xmax", "z") for c in (case, whole))
        assert_allclose(a.peak.amplitude, b.peak.amplitude, rtol=2e-3)
        assert_allclose(a.at("500 Hz"), b.at("500 Hz"), rtol=2e-3)
        stress = [c.field("von_mises").values for c in (case, whole)]
        assert_allclose(stress[0], stress[1], atol=0.02 * stress[1].max())


# Frequencies


def test_points_stand_at_the_peak_and_at_half_power():
    model = bracket(n=(2, 1, 1))
    modes = dtw.solve_modes(model, count=4).modes
    sweep = dtw.harmonic("tip", amplitude=[("100 Hz", 1.0), ("1234 Hz", 5.0), ("9 kHz", 1.0)])
    f = sweep_frequencies(sweep, modes.frequencies, np.full(4, 0.02))
    assert f[0] == 100.0
    assert f[-1] == 9000.0
    assert (np.diff(f) > 0.0).all()
    inside = modes.frequencies[(modes.frequencies > 100.0) & (modes.frequencies < 9000.0)]
    assert len(inside) >= 2
    for wanted in (1234.0, *inside, *(0.98 * inside), *(1.02 * inside)):
        assert np.abs(f / wanted - 1.0).min() < 1e-8
    # between any two points near a resonance the phase turns by 12 degrees at most
    for resonance in inside:
        near = f[np.abs(f / resonance - 1.0) < 0.09]
        turn = np.degrees(np.arctan((near / resonance - 1.0) / 0.02))
        assert np.diff(turn).max() < 12.0
    single = sweep_frequencies(sweep, modes.frequencies, np.full(4, 0.02), 1)
    assert len(single) < len(f)


def test_undamped_sweeps_stay_off_resonances_and_a_resonance_asked_for_is_refused():
    model = bracket(n=(2, 1, 1))
    modes = dtw.solve_modes(model, count=4).modes
    options = {"modes": modes, "damping": dtw.structural(0.0)}
    case = dtw.solve_harmonic(model, dtw.harmonic("tip", low="100 Hz", high="5 kHz"), **options)
    assert np.isfinite(case.coordinates).all()
    assert_allclose(case.input_power, 0.0, atol=1e-9 * np.abs(case.coordinates).max())
    at = float(modes.frequencies[0])
    with pytest.raises(ConvergenceError, match="resonance that nothing damps"):
        dtw.solve_harmonic(model, dtw.harmonic("tip", frequencies=[at]), **options)


# Damping


def test_ratios_are_those_stated_and_lossy_parts_share_theirs():
    model = bracket(n=(3, 1, 1), material=steel(loss_factor=0.06))
    modes = dtw.solve_modes(model, count=5).modes
    loads = np.zeros((modes.dynamics.size, 0))
    own = ModalSpace.of(modes, loads, damping_of(None, modes.dynamics))
    assert_allclose(own.ratio, 0.03, rtol=1e-6)
    both = ModalSpace.of(modes, loads, damping_of(["1 %", "2 %", "3 %", "4 %", "5 %"], modes.dynamics))
    assert_allclose(both.ratio, 0.03 + 0.01 * np.arange(1, 6), rtol=1e-6)
    assert not both.coupled


def test_a_damper_couples_modes():
    model = bracket("hexahedron", dtw.Damper(on="xmax", damping=(0.0, 2000.0, 0.0)), n=(3, 1, 1))
    modes = dtw.solve_modes(model, count=5).modes
    assert ModalSpace.of(modes, np.zeros((modes.dynamics.size, 0)), None).coupled


# What is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"damping": None}, "nothing is said of damping"),
        ({"damping": "120 %"}, "of critical"),
        ({"damping": "-1 %"}, "below zero"),
        ({"method": "exact"}, "say 'modal' or 'direct'"),
        ({"method": "direct", "damping": "2 %"}, "mode by mode"),
        ({"points_per_resonance": 0}, "1 or more"),
        ({"excitation": dtw.half_sine("z", "9 g", "1 ms")}, "solve_harmonic wants"),
        ({"excitation": "tip"}, "solve_harmonic wants"),
        ({"excitation": dtw.harmonic("typ", frequencies=[10.0])}, "no load case 'typ'"),
        ({"modes": "these"}, "solve_modes"),
        ({"count": 3, "up_to": "1 kHz"}, "not both"),
        ({"model": "bracket"}, "wants a Model"),
        ({"model": bracket(supports=[]),
          "excitation": dtw.base_harmonic("z", 1, frequencies=[9])}, "supports"),
        ({"model": bracket(material=dtw.LinearElastic(youngs_modulus=1e9, poissons_ratio=0.3))}, "density"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said(change, message):
    options = {
        "model": bracket(n=(2, 1, 1)), "excitation": dtw.harmonic("tip", frequencies=[100.0]),
        "damping": "2 %", **change,
    }  # fmt: skip
    with pytest.raises(DesignTwinError, match=message):
        dtw.solve_harmonic(options.pop("model"), options.pop("excitation"), **options)


def test_modes_of_another_part_are_refused():
    other = dtw.solve_modes(bracket(n=(3, 1, 1)), count=2).modes
    with pytest.raises(ModelError, match="another model"):
        dtw.solve_harmonic(
            bracket(n=(2, 1, 1)), dtw.harmonic("tip", frequencies=[9.0]), modes=other, damping="2 %"
        )
    with pytest.raises(ModelError, match="modes are given"):
        dtw.solve_harmonic(
            other.model, dtw.harmonic("tip", frequencies=[9.0]), modes=other, damping="2 %", count=2
        )


def test_the_error_names_the_density():
    light = bracket(material=dtw.LinearElastic(youngs_modulus=1e9, poissons_ratio=0.3))
    with pytest.raises(MissingPropertyError, match="density"):
        dtw.solve_harmonic(light, dtw.harmonic("tip", frequencies=[9.0]), damping=dtw.structural(0.1),
                           method="direct")  # fmt: skip


def test_a_wholly_fixed_part_is_said_to_stand_still():
    model = bracket(n=(2, 1, 1), supports=[dtw.FixedSupport(on="body")])
    with pytest.raises(DesignTwinError, match="nothing can vibrate"):
        dtw.solve_harmonic(model, dtw.harmonic("tip", frequencies=[9.0]), damping="2 %")
