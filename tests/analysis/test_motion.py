"""Motion of whole parts over time: modes against steps, energy, reactions, stores, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box, rectangle
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin import parallel
from designtwin.errors import DesignTwinError, MissingPropertyError, ModelError

RAMP = [(0.0, 0.0), (4e-4, 1.0), (1.0, 1.0)]


def beam(element: str = "tetra10", n=(5, 1, 1), *, held: bool = True, **more: object) -> dtw.Model:
    """A cantilever of aluminum, 0.2 x 0.03 x 0.02 m; first frequencies about 400 and 600 Hz."""
    cases = {
        "tip": [dtw.Force(on="xmax", value=(0.0, 0.0, 100.0))],
        "top": [dtw.Pressure(on="zmax", magnitude=1e4)],
    }
    material = dtw.LinearElastic(
        youngs_modulus=70e9, poissons_ratio=0.3, density=2700.0, yield_strength=200e6
    )
    return dtw.Model(
        box(element, n, (0.2, 0.03, 0.02)),
        materials={"body": material},
        supports=[dtw.FixedSupport(on="xmin")] if held else [],
        load_cases=cases,
        **more,
    )


@pytest.fixture(scope="module")
def part() -> dtw.Model:
    return beam()


@pytest.fixture(scope="module")
def modes(part):
    return dtw.solve_modes(part, count=8).modes


@pytest.fixture(scope="module")
def pushed(part, modes):
    return dtw.solve_dynamics(
        part, dtw.force_history("tip", RAMP), modes=modes, damping="2 %", duration="6 ms", step="20 us"
    )


# Against each other and against statics


def test_steps_of_the_whole_part_agree_with_modes(part, modes):
    damping = dtw.rayleigh(mass=50.0, stiffness=2e-6)
    push = dtw.force_history("tip", RAMP)
    more = {"damping": damping, "duration": "3 ms", "step": "20 us", "keep": 5}
    by_modes = dtw.solve_dynamics(part, push, modes=modes, **more)
    for method in ("Newmark", "HHT", "generalized-alpha"):
        stepped = dtw.solve_dynamics(part, push, method=method, **more)
        for on, name in (("xmax", "uz"), ("xmax", "vz"), ("xmin", "stress_xx")):
            a, b = (case.history(on, name=name).values for case in (by_modes, stepped))
            assert_allclose(b, a, atol=0.03 * np.abs(a).max(), err_msg=f"{method} {name}")


def test_a_motion_that_damps_out_ends_in_the_static_answer(part, modes):
    case = dtw.solve_dynamics(
        part, dtw.force_history("tip"), modes=modes, damping="60 %", duration="60 ms", step="0.5 ms"
    )
    static = dtw.solve_static(part)["tip"]
    last = case.frames[-1]
    assert_allclose(last.displacement, static.displacement, atol=1e-6 * np.abs(static.displacement).max())
    assert_allclose(last.von_mises(), static.von_mises(), atol=1e-4 * static.von_mises().max())
    assert_allclose(last.reactions, static.reactions, atol=1e-5 * np.abs(static.reactions).max())
    assert_allclose(last.applied, [0.0, 0.0, 100.0], atol=1e-9)


def test_static_shapes_stand_for_the_modes_left_out(part):
    """Slow loads: with one mode alone, and a static shape, the answer is that of many modes."""
    slow = dtw.force_history("top", [(0.0, 0.0), (0.05, 1.0)])
    few = dtw.solve_dynamics(part, slow, count=1, duration="50 ms", step="1 ms").frames[-1]
    many = dtw.solve_dynamics(part, slow, count=30, duration="50 ms", step="1 ms").frames[-1]
    assert_allclose(few.displacement, many.displacement, atol=1e-3 * np.abs(many.displacement).max())


def test_supports_bear_what_accelerates_the_part(part):
    case = dtw.solve_dynamics(
        part, dtw.half_sine("z", "20 g", "3 ms"), damping=dtw.rayleigh(stiffness=1e-5), duration="5 ms",
        method="Newmark", step="20 us",
    )  # fmt: skip
    for frame in (case.frames[50], case.at("2.2 ms"), case.frames[-1]):
        inertia = case.dynamics.inertia(frame.acceleration).sum(axis=0)
        size = np.abs(case.dynamics.inertia(frame.acceleration)).sum()
        assert_allclose(frame.reactions.sum(axis=0), inertia, atol=1e-3 * size)
    assert not case.frames[10].applied.any()


def test_a_slow_base_motion_moves_the_part_as_a_whole(part, modes):
    """Acceleration is that of the base, and displacement that under the body force."""
    slow = dtw.base_motion("z", [(0.0, 0.0), (0.2, 9.80665)])
    case = dtw.solve_dynamics(part, slow, modes=modes, damping="20 %", duration="200 ms", step="1 ms")
    frame = case.frames[-1]
    assert_allclose(frame.acceleration, np.tile([0.0, 0.0, 9.80665], (len(frame.acceleration), 1)), atol=2e-2)
    weighed = part.with_(load_cases={"weight": [dtw.Gravity(direction="-z")]})
    static = dtw.solve_static(weighed)["weight"].displacement
    assert_allclose(frame.displacement, static, atol=5e-3 * np.abs(static).max())


def test_a_free_part_flies_away_as_its_mass_says():
    model = beam(held=False)
    case = dtw.solve_dynamics(model, dtw.force_history("tip"), count=4, duration="10 ms", step="0.1 ms")
    dynamics = case.dynamics
    mass, last = dynamics.total_mass, case.frames[-1]
    momentum = dynamics.inertia(last.velocity).sum(axis=0)
    assert_allclose(momentum, [0.0, 0.0, 100.0 * 0.01], atol=1e-8)
    center = dynamics.inertia(last.displacement).sum(axis=0) / mass
    assert_allclose(center, [0.0, 0.0, 0.5 * 100.0 / mass * 0.01**2], atol=1e-9)
    stepped = dtw.solve_dynamics(
        model, dtw.force_history("tip"), duration="10 ms", step="0.1 ms", method="Newmark"
    )
    assert_allclose(dynamics.inertia(stepped.frames[-1].velocity).sum(axis=0), [0.0, 0.0, 1.0], atol=1e-9)


def test_a_part_let_go_swings_with_its_first_frequency(part, modes):
    start = dtw.solve_static(part)["tip"]
    quiet = dtw.force_history("tip", 0.0)
    case = dtw.solve_dynamics(part, quiet, modes=modes, duration="5 ms", step="5 us", initial=start)
    assert_allclose(case.frames[0].displacement, start.displacement, atol=1e-9)
    uz = case.history("xmax", over="mean", name="uz").values
    falls = np.flatnonzero((uz[:-1] > 0.0) & (uz[1:] <= 0.0))
    across = case.times[falls] + 5e-6 * uz[falls] / (uz[falls] - uz[falls + 1])
    along_z = modes.frequencies[int(np.argmax(modes.effective_mass[:3, 2]))]
    assert_allclose(np.diff(across), 1.0 / along_z, rtol=5e-3)
    work = 0.5 * 100.0 * start.displacement[part.region("xmax").nodes, 2].mean()  # about: the force is spread
    assert_allclose(case.energy.strain[0], work, rtol=1e-2)
    assert_allclose(case.energy.total, case.energy.strain[0], rtol=1e-9)


# Energy


@pytest.mark.parametrize("solver", [None, dtw.MultigridCG()], ids=["factors", "multigrid"])
def test_undamped_newmark_keeps_its_energy(solver):
    """Drift below 1e-10 a step."""
    model = beam(n=(8, 2, 2))
    start = dtw.solve_static(model)["tip"]
    case = dtw.solve_dynamics(
        model, dtw.force_history("tip", 0.0), duration="0.4 ms", step="20 us", method="Newmark",
        initial=start, solver=solver,
    )  # fmt: skip
    assert ("multigrid" in case.info.solver) == (solver is not None)
    energy = case.energy.total
    assert np.abs(np.diff(energy)).max() < 1e-10 * energy[0]
    assert case.residual <= 1e-11


def test_energy_balances_whatever_moves_the_part(part, modes):
    shock = dtw.together(dtw.half_sine("z", "50 g", "1 ms"), dtw.force_history("top", RAMP))
    for more in (
        {"modes": modes, "damping": "3 %"},
        {"method": "Newmark", "step": "20 us", "damping": dtw.rayleigh(mass=100.0, stiffness=1e-6)},
    ):
        case = dtw.solve_dynamics(part, shock, duration="4 ms", **more)
        e = case.energy
        assert e.dissipated[-1] > 0.05 * e.total.max()
        assert e.worst < 1e-5
        assert case.imbalance == e.worst
    numerical = dtw.solve_dynamics(
        part, shock, duration="4 ms", method="generalized-alpha", rho_infinity=0.0, step="50 us"
    )
    assert numerical.energy.balance[-1] > 1e-3 * numerical.energy.total.max(), "it damps on purpose"


def test_dampers_dissipate(part):
    damped = beam(n=(5, 1, 1))
    damped = damped.with_(supports=[*damped.supports, dtw.Damper(on="xmax", damping=("5 N*s/m",) * 3)])
    for method, more in (("modal", {"count": 8}), ("Newmark", {"step": "20 us"})):
        case = dtw.solve_dynamics(
            damped, dtw.force_history("tip", RAMP), duration="4 ms", method=method, **more
        )
        assert case.energy.dissipated[-1] > 1e-3 * case.energy.total.max()
        assert (np.diff(case.energy.dissipated) > -1e-12 * case.energy.total.max()).all()
        assert case.energy.worst < 1e-4


# Answers


def test_envelopes_and_histories_are_those_of_the_instants(pushed):
    frames = list(pushed.frames)
    for name in (
        "von_mises",
        "uz",
        "displacement",
        "acceleration",
        "stress_xx",
        "principal_1",
        "safety_factor",
    ):
        values = np.stack([frame.field(name).values for frame in frames])
        sizes = np.linalg.norm(values, axis=2) if values.ndim == 3 else np.abs(values)
        got = pushed.field(name).values
        if name == "safety_factor":
            finite = np.isfinite(values.min(axis=0))
            assert_allclose(got[finite], values.min(axis=0)[finite], rtol=1e-9)
            continue
        got = np.linalg.norm(got, axis=1) if got.ndim == 2 else np.abs(got)
        assert_allclose(got, sizes.max(axis=0), rtol=1e-9, atol=1e-9 * sizes.max())
        history = pushed.history(name=name).values
        shown = sizes if values.ndim == 3 or name in ("von_mises",) else values
        assert_allclose(history, shown.max(axis=1), rtol=1e-9, atol=1e-9 * sizes.max())


def test_between_instants_a_motion_is_smooth(part, modes):
    push = dtw.force_history("tip", RAMP)
    coarse, fine = (
        dtw.solve_dynamics(part, push, modes=modes, damping="2 %", duration="4 ms", step=step)
        for step in ("0.1 ms", "0.05 ms")
    )
    for k in range(1, len(fine.times), 2):
        t = float(fine.times[k])
        a, b = coarse.at(t), fine.frames[k]
        assert_allclose(a.displacement, b.displacement, atol=2e-3 * fine.farthest)
    with pytest.raises(DesignTwinError, match="lies outside"):
        fine.at("5 ms")


def test_fewer_instants_can_be_kept(part, modes, pushed):
    some = dtw.solve_dynamics(
        part,
        dtw.force_history("tip", RAMP),
        modes=modes,
        damping="2 %",
        duration="6 ms",
        step="20 us",
        keep=7,
    )
    assert len(some.times) == len(pushed.times) // 7 + 2 - (len(pushed.times) % 7 == 0)
    assert_allclose(some.frames[3].displacement, pushed.frames[21].displacement, rtol=1e-12, atol=1e-18)
    assert_allclose(some.energy.dissipated[-1], pushed.energy.dissipated[-1], rtol=1e-12)


def test_a_motion_is_told_in_words(pushed):
    text = str(pushed)
    for word in (
        "8 modes",
        "1 static shape",
        "damping 2 % of critical",
        "force_history of case 'tip'",
        "put in",
        "von Mises",
        "acceleration",
    ):
        assert word in text
    assert pushed.peak(name="acceleration").dimension == "acceleration"
    assert pushed.history(name="kinetic").values.max() > 0.0


def test_own_steps_follow_their_error(part):
    push = dtw.force_history("tip", [(0.0, 0.0), (2e-3, 1.0), (1.0, 1.0)])
    answers = {}
    for tolerance in (3e-3, 3e-4):
        case = dtw.solve_dynamics(part, push, duration="4 ms", method="Newmark", tolerance=tolerance)
        assert case.steps.errors.max() <= tolerance
        assert any(np.isclose(case.times, 2e-3, rtol=1e-9)), "a kink is hit"
        answers[tolerance] = case
    coarse, fine = answers[3e-3], answers[3e-4]
    assert len(fine.times) > 1.6 * len(coarse.times)
    off = np.abs(coarse.frames[-1].displacement - fine.frames[-1].displacement).max() / fine.farthest
    assert off < coarse.time_error


def test_threads_do_not_change_a_digit():
    model, answers = beam(n=(8, 2, 2)), []
    for n in (1, 2):
        with parallel.use_threads(n):
            case = dtw.solve_dynamics(
                model, dtw.force_history("tip", RAMP), duration="0.2 ms", step="20 us", method="HHT",
                solver=dtw.MultigridCG(),
            )  # fmt: skip
        answers.append(case.frames[-1].displacement.tobytes())
    assert answers[0] == answers[1]


# What is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"duration": "-1 ms"}, "duration"),
        ({"duration": None}, "state the duration"),
        ({"method": "Euler"}, "method is 'Euler'"),
        ({"step": "1 s"}, "longer than the duration"),
        ({"keep": 0}, "keep is 0"),
        ({"rho_infinity": 0.5}, "exactly"),
        ({"tolerance": 1e-3}, "exactly"),
        ({"method": "Newmark", "damping": "2 %"}, "method='modal'"),
        ({"method": "Newmark", "damping": dtw.structural("2 %")}, "method='modal'"),
        ({"method": "Newmark", "count": 3}, "leave out modes="),
        ({"method": "Newmark", "step": "1 us", "tolerance": 0.1}, "not both"),
        ({"method": "HHT", "rho_infinity": 0.2}, "rho_infinity"),
        ({"method": "central difference", "step": "20 us"}, "critical"),
        ({"damping": "110 %"}, "critical"),
        ({"initial": np.zeros(3)}, "shape"),
        ({"step": "1 ns"}, "instants"),
        ({"prestress": "tops"}, "tops"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(part, options, words):
    with pytest.raises(ModelError, match=words):
        dtw.solve_dynamics(part, dtw.force_history("tip"), **{"duration": "1 ms", **options})


def test_bad_models_and_excitations_are_refused(part):
    with pytest.raises(ModelError, match="course in time"):
        dtw.solve_dynamics(
            part, dtw.base_psd("z", [("10 Hz", "1 g**2/Hz"), ("20 Hz", "1 g**2/Hz")]), duration=1
        )
    with pytest.raises(ModelError, match="excitation is wanted"):
        dtw.solve_dynamics(part, "tip", duration=1)
    with pytest.raises(ModelError, match="moves the supports"):
        dtw.solve_dynamics(beam(held=False), dtw.half_sine("z", "1 g", "1 ms"))
    weightless = part.with_(materials={"body": dtw.LinearElastic(youngs_modulus=1e9, poissons_ratio=0.3)})
    with pytest.raises(MissingPropertyError, match="density"):
        dtw.solve_dynamics(weightless, dtw.force_history("tip"), duration=1)
    start = np.ones((part.mesh.n_points, 3))
    with pytest.raises(ModelError, match="supports"):
        dtw.solve_dynamics(part, dtw.force_history("tip"), duration="1 ms", initial=start)
    with pytest.raises(ModelError, match="no load case"):
        dtw.solve_dynamics(part, dtw.force_history("tipp"), duration="1 ms")


def test_odd_parts_move_all_the_same():
    """No mode below a frequency, unused nodes, a plane part, one that is round, loss factors."""
    push, more = dtw.force_history("tip"), {"duration": "0.2 ms"}
    none = dtw.solve_dynamics(beam(), push, up_to="1 Hz", **more)
    assert none.info.solver == "1 static shape"
    lossy = beam().with_(
        materials={
            "body": dtw.LinearElastic(
                youngs_modulus=70e9, poissons_ratio=0.3, density=2700.0, loss_factor=0.1
            )
        }
    )
    damped = dtw.solve_dynamics(lossy, push, count=2, **more)
    assert damped.energy.dissipated[-1] > 0.0
    assert "loss factor" in damped.info.notes[-1]
    assert (
        "damp nothing"
        in dtw.solve_dynamics(lossy, push, method="Newmark", step="50 us", **more).info.notes[-1]
    )
    steel = dtw.LinearElastic(youngs_modulus=200e9, poissons_ratio=0.3, density=7800.0)
    cases = {"tip": [dtw.Pressure(on="xmax", magnitude=1e5)]}
    for section in (dtw.PlaneStress(steel, thickness=0.01), dtw.PlaneStrain(steel), dtw.Axisymmetric(steel)):
        model = dtw.Model(
            rectangle("quad8", (3, 2), (0.03, 0.02), origin=(0.01, 0.0)), materials={"body": section},
            supports=[dtw.FixedSupport(on="xmin")], load_cases=cases,
        )  # fmt: skip
        by_modes = dtw.solve_dynamics(
            model, dtw.force_history("tip", RAMP), count=6, duration="0.4 ms", step="2 us"
        )
        stepped = dtw.solve_dynamics(
            model, dtw.force_history("tip", RAMP), method="Newmark", duration="0.4 ms", step="2 us"
        )
        assert_allclose(
            by_modes.frames[-1].displacement, stepped.frames[-1].displacement, atol=1e-2 * stepped.farthest
        )


def test_nothing_acts_and_nothing_moves(part, modes):
    for more in ({"modes": modes}, {"method": "generalized-alpha"}):
        case = dtw.solve_dynamics(part, dtw.force_history("tip", 0.0), duration="1 ms", **more)
        assert not case.frames[-1].displacement.any()
        assert case.energy.worst == 0.0
        str(case)
