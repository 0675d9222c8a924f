"""Reduced models: frequencies and motions close to those of the whole, the error as large as it is said."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import ModelError, SingularSystemError, StoreError

RAMP = [(0.0, 0.0), (5e-4, 1.0), (1.0, 1.0)]


def beam(element: str = "tetra10", n=(6, 1, 1), *, held: bool = True, supports=()) -> dtw.Model:
    return dtw.Model(
        box(element, n, (0.2, 0.025, 0.02)),
        materials={"body": dtw.LinearElastic(youngs_modulus=70e9, poissons_ratio=0.3, density=2700.0)},
        supports=[*([dtw.FixedSupport(on="xmin")] if held else []), *supports],
        load_cases={
            "tip": [dtw.Force(on="xmax", value=(0.0, 0.0, 100.0))],
            "top": [dtw.Pressure(on="zmax", magnitude=1e5)],
        },
    )


@pytest.fixture(scope="module")
def part() -> dtw.Model:
    return beam()


@pytest.fixture(scope="module")
def whole(part):
    return dtw.solve_modes(part, count=30).modes


def craig_bampton(model: dtw.Model, **more) -> dtw.ReducedModel:
    return dtw.reduce(model, **{"keep": ["xmax"], "count": 6, "loads": ["tip"], **more})


# Frequencies


@pytest.mark.parametrize("held", [True, False], ids=["held", "free"])
def test_frequencies_are_above_those_of_the_whole_by_what_is_said(held):
    model = beam(held=held)
    modes = dtw.solve_modes(model, count=6).modes
    reduced = craig_bampton(model, count=8)
    found = dtw.solve_modes(reduced, count=6).modes
    assert found.n_rigid == modes.n_rigid == (0 if held else 6)
    n = found.n_rigid
    true = found.frequencies[n:] / modes.frequencies[n:] - 1.0
    estimate, bound = (one[n:] for one in reduced.frequency_errors(found.omega2, found.shapes))
    assert (true > -1e-8).all(), "a space of fewer shapes is stiffer"
    good = np.flatnonzero((true < 0.01) & (true > 1e-6))
    assert len(good) >= 2
    assert (estimate[good] > 0.9 * true[good]).all(), (estimate, true)
    near = good[true[good] < 0.003]
    assert len(near) >= 2
    assert_allclose(estimate[near], true[near], rtol=0.3)
    assert (true[good] < bound[good]).all()
    assert_allclose(dtw.reduction_error(found)[n:][good], estimate[good])


def test_a_node_that_does_not_hold_the_part_may_be_kept():
    """Held at one node the part still turns about it; those motions are among the shapes."""
    model = beam(held=False)
    reduced = dtw.reduce(model, keep=[dtw.nearest((0.2, 0.0, 0.0))], count=8)
    found, modes = (dtw.solve_modes(one, count=3).modes for one in (reduced, model))
    assert found.n_rigid == 6
    assert_allclose(found.frequencies[6:], modes.frequencies[6:], rtol=0.03)
    assert reduced.said.startswith("Craig-Bampton: 3 kept, 8 modes, 3 static shapes")


def test_more_modes_make_smaller_errors(part, whole):
    errors = []
    for count in (1, 4, 12):
        found = dtw.solve_modes(craig_bampton(part, count=count), count=4).modes
        errors.append(np.abs(found.frequencies / whole.frequencies[:4] - 1.0).max())
    assert errors[0] > 3.0 * errors[1] > 9.0 * errors[2]
    assert errors[2] < 1e-3


def test_a_modal_reduction_has_the_modes_of_the_whole(part, whole):
    reduced = dtw.reduce(part, method="modal", count=8, loads=["tip"])
    found = dtw.solve_modes(reduced, count=8).modes
    assert_allclose(found.frequencies, whole.frequencies[:8], rtol=1e-9)
    assert np.diag(found.mac(whole)[:, :8]).min() > 1.0 - 1e-6
    assert_allclose(found.participation[:, :3] ** 2, whole.participation[:8, :3] ** 2, atol=1e-6)
    assert_allclose(found.whole, whole.whole, rtol=1e-9)
    assert_allclose(
        found[2].von_mises(), whole[2].von_mises(), rtol=1e-4, atol=1e-4 * whole[2].von_mises().max()
    )
    sign = np.sign((found[0].displacement * whole[0].displacement).sum())
    forces = whole[0].reactions
    assert_allclose(sign * found[0].reactions, forces, atol=1e-5 * np.abs(forces).max())


# Statics and what is kept


def test_kept_nodes_move_as_they_do(part):
    """Static answers to forces on what is kept, and to loads that were named, are exact."""
    reduced = craig_bampton(part, loads=["top"])
    for name in ("tip", "top"):
        static = dtw.solve_static(part)[name].displacement
        got = reduced.displacement(reduced.solve(reduced.force(loads(part, name))))
        assert_allclose(got, static, atol=1e-6 * np.abs(static).max())
    nodes = part.region("xmax").nodes
    assert_allclose(reduced.kept, nodes)
    q = np.random.default_rng(0).standard_normal(reduced.size)
    u = reduced.displacement(q)
    unknowns = 3 * len(nodes)
    assert_allclose(np.sort(u[nodes].ravel()), np.sort(q[:unknowns]), atol=1e-12)


def test_static_answers_of_a_reduced_model_err_by_what_is_said():
    """A load that was not named: its error in the energy norm, and reactions that balance."""
    part = beam(n=(6, 2, 2))
    reduced = dtw.reduce(part, keep=["xmax"], count=4, loads=["tip"])
    whole, small = dtw.solve_static(part), dtw.solve_static(reduced)
    for name in ("tip", "top"):
        work = lambda case: (case.displacement * loads(part, name)).sum()  # noqa: E731, B023
        true = np.sqrt(max(1.0 - work(small[name]) / work(whole[name]), 0.0))
        assert_allclose(small[name].residual, true, rtol=1e-2, atol=1e-5)
    assert small["top"].residual > 1e-4 > small["tip"].residual
    assert small["tip"].imbalance < 1e-6 < small["top"].imbalance < 0.05, (
        "what is missing is missed by supports"
    )
    assert "errs by" in small["top"].info.notes[0]
    with pytest.raises(SingularSystemError):
        dtw.solve_static(craig_bampton(beam(held=False)))


def loads(part: dtw.Model, name: str) -> np.ndarray:
    return sum(load.nodal_forces(part) for load in part.load_cases[name])


def test_energy_of_a_motion_is_that_of_the_whole(part, whole):
    reduced = craig_bampton(part)
    rng = np.random.default_rng(1)
    q = rng.standard_normal((reduced.size, 2))
    u = reduced.displacement(q)
    inertia = whole.dynamics.inertia(u)
    assert_allclose(reduced.inertia(u), inertia, atol=1e-9 * np.abs(inertia).max())
    assert_allclose(np.einsum("im,im->m", q, reduced.mass(q)), np.einsum("nim,nim->m", u, inertia), rtol=1e-9)
    assert_allclose(reduced.total_mass, whole.dynamics.total_mass, rtol=1e-9)
    other = rng.standard_normal((part.mesh.n_points, 3))  # no motion of the reduced model
    assert_allclose(reduced.inertia(other), whole.dynamics.inertia(other), rtol=1e-12)


# Motions


@pytest.mark.parametrize("excitation", ["named", "base", "other"])
def test_motions_err_by_what_is_said(part, whole, excitation):
    """Against the same modal answer of the whole part, in the energy norm."""
    shakes = {
        "named": dtw.force_history("tip", RAMP),
        "base": dtw.half_sine("z", "50 g", "2 ms"),
        "other": dtw.force_history([dtw.Pressure(on="zmax", magnitude=1e5)], RAMP),
    }[excitation]
    reduced = craig_bampton(part, count=2)
    modes = dtw.solve_modes(reduced, count=reduced.size).modes
    more = {"damping": "2 %", "duration": "4 ms", "step": "20 us"}
    exact = dtw.solve_dynamics(part, shakes, modes=whole, **more)
    case = dtw.solve_dynamics(reduced, shakes, modes=modes, **more)
    dynamics, error = whole.dynamics, dtw.reduction_error(case)
    unknowns = exact.motion.unknowns @ exact.motion.amplitudes("displacement")
    ours = reduced._unknown_shapes @ (case.motion.unknowns @ case.motion.amplitudes("displacement"))
    off = unknowns - ours
    true = np.sqrt(np.einsum("it,it->t", off, dynamics.stiffness(off)) / (2.0 * exact.energy.strain.max()))
    assert 1e-4 < true.max() < 0.05
    assert_allclose(error.max(), true.max(), rtol=0.3)
    assert np.corrcoef(error, true)[0, 1] > 0.8
    assert_allclose(case.frames[50].displacement, exact.frames[50].displacement, atol=0.02 * exact.farthest)


def test_implicit_steps_take_a_reduced_model(part):
    reduced = craig_bampton(part)
    push, more = dtw.force_history("tip", RAMP), {"duration": "2 ms", "step": "20 us", "method": "Newmark"}
    small, large = (dtw.solve_dynamics(model, push, **more) for model in (reduced, part))
    assert_allclose(small.history("xmax", name="uz").values, large.history("xmax", name="uz").values,
                    atol=5e-3 * large.farthest)  # fmt: skip
    assert small.stored.bytes < 0.2 * large.stored.bytes
    assert dtw.reduction_error(small).max() < 0.05


def test_dampers_and_point_masses_are_reduced_too():
    added = [dtw.Damper(on="xmax", damping=("5 N*s/m",) * 3), dtw.PointMass(on="xmax", mass=0.1)]
    model = beam(supports=added)
    reduced = craig_bampton(model)
    assert reduced.has_damping
    push, more = dtw.force_history("tip", RAMP), {"duration": "3 ms", "step": "20 us", "method": "Newmark"}
    small, large = (dtw.solve_dynamics(one, push, **more) for one in (reduced, model))
    assert_allclose(small.energy.dissipated[-1], large.energy.dissipated[-1], rtol=1e-2)
    assert large.energy.dissipated[-1] > 0.0


# Files and what is refused


def test_a_reduced_model_is_read_back(part, tmp_path):
    reduced = craig_bampton(part)
    again = dtw.ReducedModel.load(reduced.save(tmp_path / "beam.npz"), part)
    one, other = (dtw.solve_modes(model, count=4).modes for model in (reduced, again))
    assert_allclose(other.frequencies, one.frequencies, rtol=0.0)
    assert_allclose(other[0].von_mises(), one[0].von_mises(), rtol=1e-12)
    assert str(again) == str(reduced)
    assert_allclose(dtw.reduction_error(other), dtw.reduction_error(one), rtol=1e-9)
    with pytest.raises(StoreError, match="another model"):
        dtw.ReducedModel.load(tmp_path / "beam.npz", beam(held=False))
    with pytest.raises(StoreError, match="no such file"):
        dtw.ReducedModel.load(tmp_path / "other.npz", part)
    (tmp_path / "bad.npz").write_bytes((tmp_path / "beam.npz").read_bytes()[:5000])
    with pytest.raises(StoreError, match="damaged"):
        dtw.ReducedModel.load(tmp_path / "bad.npz", part)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"keep": []}, "say which"),
        ({"keep": ["xmin"]}, "supports hold every node"),
        ({"keep": ["xmax"], "method": "modal"}, "keeps no nodes"),
        ({"keep": ["xmax"], "method": "Guyan"}, "method is 'Guyan'"),
        ({"keep": ["xmax"], "count": -1}, "count is -1"),
        ({"keep": ["xmax"], "count": 3, "up_to": "1 kHz"}, "not both"),
        ({"keep": ["xmax"], "up_to": "0 Hz"}, "above 0 Hz"),
        ({"keep": ["xmax"], "loads": ["tipp"]}, "no load case 'tipp'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(part, options, words):
    with pytest.raises(ModelError, match=words):
        dtw.reduce(part, **options)


def test_too_much_to_keep_is_refused():
    with pytest.raises(ModelError, match="RigidLink"):
        dtw.reduce(beam(n=(6, 6, 6)), keep=["xmax", "zmax"])


def test_an_error_is_of_a_reduced_model(whole):
    with pytest.raises(ModelError, match="whole model"):
        dtw.reduction_error(whole)


def test_nothing_but_kept_nodes_is_guyan_and_static(part):
    reduced = dtw.reduce(part, keep=["xmax"], count=0)
    found = dtw.solve_modes(reduced, count=2).modes
    assert np.isfinite(found.frequencies).all()
    with pytest.raises(ModelError, match="supports hold every node"):
        dtw.reduce(beam(supports=[dtw.FixedSupport(on=dtw.everything())]), keep=["xmax"])
