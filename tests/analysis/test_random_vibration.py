"""Random vibration: oscillators, beams and parts against closed forms and against sweeps, input by input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import bar, box
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import chi2
from surroundings import FULL

import designtwin as dtw
from designtwin.results.random import exceedance
from designtwin.solvers.spectral import gauss, miles, panels

G = 9.80665
STEEL = {"youngs_modulus": 210e9, "poissons_ratio": 0.3, "density": 7850.0, "yield_strength": 300e6}
FLAT = [("20 Hz", "0.04 g**2/Hz"), ("2 kHz", "0.04 g**2/Hz")]
SHAPED = [("10 Hz", "0.01 g**2/Hz"), ("200 Hz", "0.04 g**2/Hz"), ("2 kHz", "0.01 g**2/Hz")]


def oscillator(f: float = 100.0, mass: float = 2.0, *more: object) -> dtw.Model:
    """A mass on a rod that weighs nothing to speak of; it moves along x."""
    k = mass * (2.0 * np.pi * f) ** 2
    material = dtw.LinearElastic(youngs_modulus=k, poissons_ratio=0.0, density=1e-9)
    return dtw.Model(
        bar(1), materials={"body": dtw.Truss(material, area=1.0)},
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0), dtw.PrescribedDisplacement(on="body", y=0.0),
            dtw.PointMass(on="xmax", mass=mass), *more,
        ],
    )  # fmt: skip


def beam(
    element: str = "hexahedron20", n=(8, 1, 1), size=(0.2, 0.02, 0.01), *, nu=0.3, more=(), **loads
) -> dtw.Model:
    """A cantilever along x."""
    return dtw.Model(
        box(element, n, size), materials={"body": dtw.LinearElastic(**(STEEL | {"poissons_ratio": nu}))},
        supports=[dtw.FixedSupport(on="xmin"), *more], load_cases=loads,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model() -> dtw.Model:
    return beam()


@pytest.fixture(scope="module")
def modes(model) -> dtw.ModalCase:
    return dtw.solve_modes(model, up_to="3 kHz").modes


# One degree of freedom


@pytest.mark.parametrize("ratio", [0.01, 0.05])
def test_an_oscillator_has_the_closed_root_mean_squares(ratio):
    """Absolute acceleration (1 + 2 i z r) / (1 - r^2 + 2 i z r), displacement 1 / w^2 / (the same)."""
    f0, density = 100.0, 0.04 * G**2
    case = dtw.solve_random(oscillator(f0), dtw.base_psd("x", FLAT), damping=ratio)
    r = lambda f: f / f0  # noqa: E731

    def integral(response) -> float:
        return np.sqrt(
            density * quad(response, 20.0, 2000.0, points=[99.0, 100.0, 101.0], limit=500, epsrel=1e-11)[0]
        )

    below = lambda f: (1 - r(f) ** 2) ** 2 + (2 * ratio * r(f)) ** 2  # noqa: E731
    absolute = integral(lambda f: (1 + (2 * ratio * r(f)) ** 2) / below(f))
    relative = integral(lambda f: 1 / below(f)) / (2 * np.pi * f0) ** 2
    assert_allclose(case.field("ax").values[1], absolute, rtol=1e-9)
    assert_allclose(case.field("ux").values[1], relative, rtol=1e-9)
    assert_allclose(case.field("ax").values[0], np.sqrt(density * 1980.0), rtol=1e-9)  # the base itself
    assert_allclose(case.field("stress_xx").values, 2.0 * (2 * np.pi * f0) ** 2 * relative, rtol=1e-9)
    assert_allclose(case.field("von_mises").values, case.field("stress_xx").values, rtol=1e-9)


def test_miles_equation_is_told_beside_the_answer_and_agrees():
    case = dtw.solve_random(oscillator(200.0), dtw.base_psd("x", FLAT), damping="2 %")
    check = case.miles
    assert check is not None
    assert_allclose(check.single, np.sqrt(0.5 * np.pi * 200.0 * 25.0 * 0.04) * G, rtol=1e-9)  # Q = 25
    assert_allclose(check.amplified, check.single, rtol=1e-6)  # the mass moves as the oscillator does
    assert_allclose(check.computed, case.field("ax").values[1], rtol=1e-9)
    # Miles' band has no end; that of the input does, and it adds the base's own motion
    assert 0.98 < check.computed / check.single < 1.03
    assert "Miles" in str(case)
    assert miles(200.0, 0.02, 1.0) == pytest.approx(np.sqrt(0.25 * np.pi * 200.0 / 0.02))


def test_a_damper_damps_as_the_ratio_it_makes():
    c = 2.0 * 0.03 * 2.0 * (2.0 * np.pi * 100.0)
    one = dtw.solve_random(oscillator(), dtw.base_psd("x", FLAT), damping="3 %")
    damper = dtw.Damper(on="xmax", damping=(c, 0.0, 0.0))
    other = dtw.solve_random(oscillator(100.0, 2.0, damper), dtw.base_psd("x", FLAT))
    assert_allclose(
        other.field("displacement").values, one.field("displacement").values, rtol=1e-9, atol=1e-15
    )


def test_structural_damping_of_the_material_or_of_the_whole_is_one():
    lossy = replace(oscillator().parts[0].section.material, loss_factor=0.04)
    model = oscillator().with_(materials={"body": dtw.Truss(lossy, area=1.0)})
    one = dtw.solve_random(model, dtw.base_psd("x", FLAT))
    other = dtw.solve_random(oscillator(), dtw.base_psd("x", FLAT), damping=dtw.structural("4 %"))
    assert_allclose(one.field("acceleration").values, other.field("acceleration").values, rtol=1e-9)


def test_apparent_frequency_of_an_oscillator_is_its_own():
    case = dtw.solve_random(oscillator(), dtw.base_psd("x", FLAT), damping="0.5 %")
    psd = case.psd("xmax", "x", "displacement")
    assert 0.99 < psd.apparent_frequency / 100.0 < 1.01
    assert 0.9 < psd.irregularity < 1.0


# A beam


def euler_bernoulli(length, height, e, rho, count):
    """Circular frequencies, tips of shapes with mean square 1, and how much of them the base moves."""
    roots = [1.875104068711961, 4.694091132974175, 7.854757438237613, 10.995540734875467, 14.13716839104647]
    roots += [(2 * i + 1) * np.pi / 2 for i in range(5, count)]
    lam = np.array(roots[:count])
    omega = lam**2 * np.sqrt(e * height**2 / 12.0 / rho) / length**2
    sigma = (np.cosh(lam) + np.cos(lam)) / (np.sinh(lam) + np.sin(lam))
    tip = 2.0 * (-1.0) ** np.arange(count)  # of shapes with mean square 1
    return omega, tip, 2.0 * sigma / lam


def test_density_and_root_mean_square_at_a_beams_tip_are_the_closed_series():
    """Euler and Bernoulli's cantilever on a shaken base: a (1 + sum of tip gamma w^2 H) at its tip."""
    length, height, ratio, count = 1.0, 0.01, 0.02, 40
    model = beam("hexahedron20", (24, 1, 1), (length, 0.01, height), nu=0.0)
    table = [("5 Hz", "0.01 g**2/Hz"), ("60 Hz", "0.04 g**2/Hz"), ("400 Hz", "0.02 g**2/Hz")]
    shake = dtw.base_psd("z", table)
    case = dtw.solve_random(model, shake, damping=ratio, count=12)
    omega, tip, gamma = euler_bernoulli(length, height, STEEL["youngs_modulus"], STEEL["density"], count)

    def density(f):
        w = 2.0 * np.pi * f[:, None]
        h = 1.0 / (omega**2 - w**2 + 2j * ratio * omega * w)
        return np.abs(1.0 + (tip * gamma * w**2 * h).sum(axis=1)) ** 2 * shake.at(f)

    psd = case.psd("xmax", "z")
    poles = omega / (2.0 * np.pi) * (1.0 + 1j * ratio)
    f, weight = gauss(panels(np.array([5.0, 60.0, 400.0]), poles))
    exact = np.sqrt(weight @ density(f))
    assert_allclose(psd.rms, exact, rtol=2e-3)
    assert_allclose(case.field("az").values[model.region("xmax").nodes], psd.rms, rtol=1e-3)
    # Away from the steep flanks of resonances, which lie 0.1 % off, the density itself
    calm = psd.frequencies[(np.abs(psd.frequencies[:, None] * 2 * np.pi / omega - 1.0) > 0.15).all(axis=1)]
    assert len(calm) > 50
    some = np.isin(psd.frequencies, calm)
    assert_allclose(psd.values[some], density(calm), rtol=0.06)


# Parts


def test_densities_are_those_of_harmonic_sweeps(model, modes):
    """At single frequencies, by the full complex equations: another way through the house."""
    damping = dtw.rayleigh(("100 Hz", "2 %"), ("2 kHz", "3 %"))
    shake = dtw.base_psd("z", SHAPED)
    random = dtw.solve_random(model, shake, damping=damping, count=20)
    f = np.array([30.0, 211.0, 700.0, 1330.0, 1900.0])
    sweep = dtw.solve_harmonic(
        model, dtw.base_harmonic("z", 1.0, frequencies=f), damping=damping, method="direct"
    )
    for place, direction, what in (
        ("xmax", "z", "acceleration"), ("xmax", "z", "displacement"), ((0.03, 0.01, 0.01), "xx", "stress"),
        ((0.03, 0.01, 0.01), (1.0, 0.0, 1.0), "velocity"),
    ):  # fmt: skip
        psd = random.psd(place, direction, what, frequencies=f)
        response = sweep.response(place, direction, what)
        assert_allclose(psd.values, np.abs(response.values) ** 2 * shake.at(f), rtol=2e-3)
    with pytest.raises(dtw.DesignTwinError, match="band"):
        random.psd("xmax", "z", frequencies=["5 kHz"])


def test_root_mean_squares_are_integrals_of_densities(model, modes):
    case = dtw.solve_random(model, dtw.base_psd((1.0, 0.5, 2.0), SHAPED), modes=modes, damping="1.5 %")
    tip = (0.2, 0.0, 0.01)
    node = int(model.region(dtw.nearest(tip)).nodes[0])
    for what, name in (("displacement", "uz"), ("velocity", "vz"), ("acceleration", "az")):
        psd = case.psd(tip, "z", what)
        assert_allclose(psd.rms, case.field(name).values[node], rtol=1e-9)
        assert_allclose(np.trapezoid(psd.values, psd.frequencies), psd.rms**2, rtol=0.03)
        total = case.psd(tip, None, what)
        assert_allclose(total.rms, np.linalg.norm(case.field(what).values[node]), rtol=1e-9)
    row = int(np.argmax(case.von_mises()))
    worst = case.psd(what="stress")
    assert_allclose(worst.rms, case.von_mises()[row], rtol=1e-9)
    assert worst.dimension == "pressure"
    for c in ("xx", "xz"):
        assert_allclose(
            case.psd(None, c, "stress", over="max").rms, case.field(f"stress_{c}").values.max(), rtol=1e-9
        )
    # with respect to ground, and how far the base itself goes
    base = case.psd("xmin", (1.0, 0.5, 2.0), "displacement", relative=False)
    piece = case.psd("xmin", "z", "acceleration").input
    assert_allclose(case.psd("xmin", "z", "acceleration").values, piece.values, rtol=1e-12)
    assert_allclose(
        base.values * (2 * np.pi * base.frequencies) ** 4,
        dtw.base_psd("x", SHAPED).at(base.frequencies),
        rtol=1e-9,
    )


def test_von_mises_by_segalman_is_the_mean_over_many_draws(model, modes):
    """Normal modal coordinates with the covariance found, drawn 40,000 times."""
    case = dtw.solve_random(model, dtw.base_psd((1.0, 1.0, 1.0), SHAPED), modes=modes, damping="2 %")
    rows = np.argsort(case.von_mises())[-3:]
    covariance = case.products("displacement")
    size = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(size, size))
    rng = np.random.default_rng(1)
    n = 40_000
    q = size[:, None] * (
        vectors @ (np.sqrt(np.maximum(values, 0.0))[:, None] * rng.normal(size=(len(size), n)))
    )
    stress = np.einsum("mrc,mn->nrc", case.stress_of_shapes(rows), q)
    xx, yy, zz, xy, yz, xz = np.moveaxis(stress, -1, 0)
    drawn = np.sqrt(0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3.0 * (xy**2 + yz**2 + xz**2))
    assert_allclose(np.sqrt((drawn**2).mean(axis=0)), case.von_mises()[rows], rtol=0.02)
    worst = drawn[:, -1]
    for sigma in (1.0, 2.0, 3.0):
        share = (worst > sigma * case.von_mises()[rows[-1]]).mean()
        assert abs(share - case.exceedance(sigma)) < 4.0 * np.sqrt(share / n + 1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.0, 3.0, 4.0])
def test_the_share_of_time_above_a_level_is_chi_square(n, sigma):
    assert_allclose(exceedance(np.full(n, 7.0), sigma), chi2.sf(n * sigma**2, n), rtol=1e-7, atol=1e-15)


@settings(max_examples=200 if FULL else 40, deadline=None)
@given(weights=st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=6), sigma=st.floats(1.3, 4.0))
def test_no_mixture_is_above_a_level_for_longer_than_one_direction_alone(weights, sigma):
    """Szekely and Bakirov (2003): for levels above 1.24 root mean squares."""
    assert exceedance(np.array(weights), sigma) <= exceedance(np.ones(1), sigma) * (1.0 + 1e-7)


def test_static_shapes_give_what_modes_leave_out(model):
    """Far below the first mode the part follows quasi-statically, however few modes are taken."""
    slow = dtw.base_psd("x", [("0.5 Hz", 1.0), ("5 Hz", 1.0)])
    case = dtw.solve_random(model, slow, damping="2 %", count=2)  # neither moves along x
    still = dtw.solve_static(model.with_(load_cases={"g": [dtw.Gravity(direction="-x", magnitude=1.0)]}))["g"]
    assert_allclose(case.von_mises(), np.sqrt(4.5) * still.von_mises(), rtol=1e-4)
    assert_allclose(
        case.field("ux").values, np.sqrt(4.5) * np.abs(still.displacement[:, 0]), rtol=1e-4, atol=1e-18
    )


def test_few_modes_and_many_answer_alike(model, modes):
    shake = dtw.base_psd("z", SHAPED)
    few = dtw.solve_random(model, shake, modes=modes, damping="1.5 %")
    many = dtw.solve_random(model, shake, count=60, damping="1.5 %")
    assert len(few.modes) < 8
    assert_allclose(few.von_mises(), many.von_mises(), rtol=2e-3, atol=1e-4 * many.von_mises().max())
    assert_allclose(few.field("az").values, many.field("az").values, rtol=1e-3)


def test_loads_and_base_agree_where_they_are_the_same(model, modes):
    """Relative to a shaken base the part feels its own weight, shaken."""
    table = [("10 Hz", 2.0), ("2 kHz", 2.0)]
    base = dtw.solve_random(model, dtw.base_psd("z", table), modes=modes, damping="2 %")
    force = dtw.solve_random(
        model, dtw.force_psd(dtw.Gravity(direction="-z", magnitude=1.0), [(f, s) for (f, s) in table]),
        modes=modes, damping="2 %",
    )  # fmt: skip
    assert_allclose(force.von_mises(), base.von_mises(), rtol=1e-9)
    assert_allclose(
        force.field("displacement").values, base.field("displacement").values, rtol=1e-9, atol=1e-20
    )
    assert force.miles is None
    # of a force acceleration is absolute anyway
    assert_allclose(
        force.psd("xmax", "z", "acceleration").rms,
        base.psd("xmax", "z", "acceleration", relative=True).rms,
        rtol=1e-9,
    )


def test_inputs_of_one_source_add_and_of_several_add_squares():
    """With all modes of a small mesh, so that no static shapes differ."""
    model = beam(n=(2, 1, 1))
    modes = dtw.solve_modes(model, count=1000).modes
    table = [("20 Hz", "1 1/Hz"), ("1 kHz", "4 1/Hz")]
    loads = [dtw.Force(on="xmax", value=(0.0, 0.0, 1.0)), dtw.Force(on="ymax", value=(0.0, 1.0, -2.0))]
    each = [dtw.force_psd(load, table) for load in loads]

    def run(excitation):
        return dtw.solve_random(model, excitation, modes=modes, damping="2 %").von_mises()

    both = run(dtw.force_psd(loads, table))
    assert_allclose(run(dtw.correlated(each, coherence=1.0)), both, rtol=1e-7)
    apart = np.hypot(*(run(one) for one in each))
    assert_allclose(run(dtw.correlated(each, coherence=0.0)), apart, rtol=1e-7)
    against = run(dtw.correlated(each, coherence=1.0, phase="180 deg"))
    opposite = run(dtw.force_psd([loads[0], dtw.Force(on="ymax", value=(0.0, -1.0, 2.0))], table))
    assert_allclose(against, opposite, rtol=1e-7)
    half = run(dtw.correlated(each, coherence=0.25))
    assert_allclose(half**2, apart**2 + 0.5 * (both**2 - apart**2), rtol=1e-7)  # the root of the coherence


def test_a_free_part_is_shaken_by_loads_and_has_no_base(model):
    free = model.with_(supports=[])
    load = dtw.force_psd(dtw.Force(on="xmax", value=(0.0, 0.0, 1.0)), [("20 Hz", 1.0), ("200 Hz", 1.0)])
    case = dtw.solve_random(free, load, damping="2 %", count=3)
    assert case.modes.n_rigid == 6
    # far below its first mode it moves as a rigid body: at the center of mass by F / m
    mass = case.modes.dynamics.total_mass
    center = case.psd((0.1, 0.01, 0.005), "z", "acceleration")
    low = center.values[0] * mass**2
    assert_allclose(low, 1.0, rtol=0.01)
    with pytest.raises(dtw.DesignTwinError, match="support"):
        dtw.solve_random(free, dtw.base_psd("z", FLAT), damping="2 %")


def test_everything_held_but_loads_elsewhere_is_an_error(model):
    held = model.with_(supports=[dtw.FixedSupport(on="body")])
    with pytest.raises(dtw.DesignTwinError, match="nothing can vibrate"):
        dtw.solve_random(held, dtw.base_psd("z", FLAT), damping="2 %")


def test_bands_without_modes_are_answered_by_static_shapes_alone(model):
    quiet = dtw.base_psd("z", [("1 Hz", 1.0), ("10 Hz", 1.0)])
    case = dtw.solve_random(model, quiet, damping="2 %")
    assert len(case.modes) == 0
    assert len(case.extra) == 1
    still = dtw.solve_static(model.with_(load_cases={"g": [dtw.Gravity(magnitude=1.0)]}))["g"]
    assert_allclose(case.von_mises(), 3.0 * still.von_mises(), rtol=2e-3)
    assert case.field("safety_factor").values.min() > 0.0
    assert case.field("von_mises").error is not None
    assert "0 to" in str(case) or "modes" in str(case)


def test_a_reduced_model_answers_as_the_whole(model):
    shake = dtw.base_psd("z", SHAPED)
    whole = dtw.solve_random(model, shake, damping="2 %")
    small = dtw.solve_random(dtw.reduce(model, keep=["xmax"], count=12), shake, damping="2 %")
    assert_allclose(small.von_mises(), whole.von_mises(), rtol=0.01, atol=5e-3 * whole.von_mises().max())
    assert_allclose(small.field("az").values, whole.field("az").values, rtol=0.01)


def test_a_part_that_is_pulled_shakes_less_and_its_stress_at_rest_is_left_out():
    model = beam(pull=[dtw.Force(on="xmax", value=("20 kN", 0.0, 0.0))])
    shake = dtw.base_psd("z", FLAT)
    slack, tight = (dtw.solve_random(model, shake, damping="2 %", prestress=case) for case in (None, "pull"))
    assert tight.field("uz").values.max() < 0.8 * slack.field("uz").values.max()
    assert any("'pull'" in note for note in tight.notes)
    assert not slack.notes


def test_dampers_beyond_critical_are_taken_as_they_are(model):
    """All modes coupled, the first overdamped: beside the full complex equations."""
    damper = dtw.Damper(on="xmax", damping=("500 N*s/m",) * 3)
    damped = model.with_(supports=[*model.supports, damper])
    f, shake = np.array([20.0, 150.0, 900.0]), dtw.base_psd("z", SHAPED)
    case = dtw.solve_random(damped, shake, count=30)
    assert case.transfer.coupled
    assert case.miles is None
    sweep = dtw.solve_harmonic(damped, dtw.base_harmonic("z", 1.0, frequencies=f), method="direct")
    found = case.psd("xmax", "z", "displacement", frequencies=f).values
    assert_allclose(found, np.abs(sweep.response("xmax", "z").values) ** 2 * shake.at(f), rtol=0.01)


# Fields


def test_sigma_multiplies_fields_and_their_errors(model, modes):
    case = dtw.solve_random(model, dtw.base_psd("z", SHAPED), modes=modes, damping="1.5 %")
    assert case.statistical
    for name in ("displacement", "az", "vy", "von_mises", "stress_xy"):
        one, three = case.field(name), case.field(name, sigma=3.0)
        assert_allclose(three.values, 3.0 * one.values)
        assert_allclose(three.error, 3.0 * one.error)
        assert (one.error >= 0.0).all()
        assert one.title.endswith("RMS")
        assert three.title.endswith("3σ")
    assert_allclose(case.field("von_mises rms").values, case.von_mises())
    factor = case.field("safety_factor", sigma=3.0).values
    assert_allclose(factor, 300e6 / (3.0 * case.von_mises()))
    assert set(case.field_names) >= {"displacement", "ax", "von_mises", "stress_xx", "safety_factor"}
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(dtw.DesignTwinError, match="sigma"):
            case.field("von_mises", sigma=wrong)
    with pytest.raises(dtw.DesignTwinError, match="phase"):
        case.field("tresca")
    with pytest.raises(dtw.DesignTwinError, match="von_mises"):
        case.field("von_misses")


def test_intervals_hold_the_answer_of_a_finer_mesh():
    """Root mean squares away from the clamp, whose edge is singular, on coarse meshes."""
    shake = dtw.base_psd("z", [("10 Hz", 1.0), ("3 kHz", 1.0)])
    options = {"damping": "2 %", "count": 4}
    fine = dtw.solve_random(beam("hexahedron20", (14, 2, 2), nu=0.0), shake, **options)
    for element, n in (("tetra10", (8, 1, 1)), ("hexahedron20", (5, 1, 1)), ("hexahedron", (12, 1, 1))):
        coarse = dtw.solve_random(beam(element, n, nu=0.0), shake, **options)
        for at, name in (
            ((0.1, 0.01, 0.01), "von_mises"),
            ((0.2, 0.01, 0.005), "uz"),
            ((0.2, 0.01, 0.005), "az"),
        ):
            truth = fine.probe(at, name)
            field = coarse.field(name)
            holder = replace_field(coarse, field)
            assert abs(coarse.probe(at, name) - truth) < holder.probe(at, name), (element, name)


def replace_field(case, field):
    """The case with the error of a field in the place of its values."""
    from designtwin.results.common import CaseResult, Field

    class Holder(CaseResult):
        model, recovery, name = case.model, case.recovery, case.name

        def field(self, name):
            return Field(name, name, np.asarray(field.error), field.dimension, field.location)

    return Holder()


@settings(max_examples=20 if FULL else 4, deadline=None)
@given(
    turn=st.tuples(*[st.floats(-1.0, 1.0)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1),
    scale=st.floats(0.01, 100.0),
)
def test_a_part_turned_with_its_base_answers_the_same(turn, scale):
    w, x, y, z = np.array(turn) / np.linalg.norm(turn)
    q = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    model, d = beam(n=(4, 1, 1)), np.array([0.3, -0.5, 0.8])
    turned = model.with_(mesh=replace(model.mesh, points=model.mesh.points @ q.T))
    table = [("50 Hz", 1.0), ("2 kHz", 0.3)]
    one = dtw.solve_random(model, dtw.base_psd(d, table), damping="2 %", count=5)
    other = dtw.solve_random(
        turned, dtw.base_psd(q @ d, [(f, scale * s) for f, s in table]), damping="2 %", count=5
    )
    for name in ("displacement", "velocity", "acceleration"):
        size = [np.linalg.norm(case.field(name).values, axis=1) for case in (one, other)]
        assert_allclose(size[1], np.sqrt(scale) * size[0], rtol=1e-6, atol=1e-9 * size[1].max())


# At the door


def test_what_makes_no_sense_is_said(model, modes):
    shake = dtw.base_psd("z", FLAT)
    for options, words in (
        ({"excitation": dtw.half_sine("z", "10 g", "5 ms")}, "solve_random wants"),
        ({"excitation": "z"}, "solve_random wants"),
        ({"damping": 0.0}, "nothing damps"),
        ({}, "damping"),
        ({"damping": "2 %", "count": 3}, "leave up_to"),
        ({"damping": "2 %", "modes": [1, 2]}, "modes is"),
        ({"damping": "120 %"}, "critical"),
    ):
        given_ = {"excitation": shake, "modes": modes} | options
        with pytest.raises(dtw.DesignTwinError, match=words):
            dtw.solve_random(model, given_.pop("excitation"), **given_)
    with pytest.raises(dtw.DesignTwinError, match="another model"):
        dtw.solve_random(beam(), shake, modes=modes, damping="2 %")
    case = dtw.solve_random(model, shake, modes=modes, damping="2 %")
    for arguments, words in (
        (("xmax", "z", "jerk"), "no 'jerk'"),
        (("xmax", "w"), "direction"),
        (("xmax", "xy", "stres"), "stress"),
        (("xmax", "q", "stress"), "stress 'q'"),
        (("nowhere", "z"), "nowhere"),
        (((9.0, 9.0, 9.0), "z"), "outside"),
    ):
        with pytest.raises(dtw.DesignTwinError, match=words):
            case.psd(*arguments)


def test_modes_that_end_within_the_band_are_noted(model):
    case = dtw.solve_random(model, dtw.base_psd("z", FLAT), count=1, damping="2 %")
    assert any("resonances above" in note for note in case.notes)
    assert "resonances above" in str(case)


def test_densities_are_written_with_units(model, modes, tmp_path):
    case = dtw.solve_random(model, dtw.base_psd("z", FLAT), modes=modes, damping="2 %", name="flight")
    psd = case.psd("xmax", "z")
    lines = psd.to_csv(tmp_path / "a.csv").read_text().splitlines()
    assert lines[0].startswith("frequency [Hz],")
    assert "[g²/Hz]" in lines[0]
    assert len(lines) == len(psd) + 1
    assert_allclose(
        [float(v) for v in lines[1].split(",")], [psd.frequencies[0], psd.values[0] / G**2], rtol=1e-12
    )
    assert "in case 'flight'" in str(psd)
    assert psd.density_dimension == "acceleration_density"
