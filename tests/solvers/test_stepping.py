"""Steps in time on small dense systems: closed forms, orders, exact energy, stability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.linalg import eigh

from designtwin.errors import ConvergenceError, ModelError
from designtwin.solvers.stepping import SCHEMES, Recursion, Scheme, State, Stepper, hermite_energy
from designtwin.solvers.system import MatrixTerm, System


@dataclass
class Dense:
    """M u'' + C u' + K u = f of dense matrices."""

    k: np.ndarray
    m: np.ndarray
    c: np.ndarray

    def __post_init__(self):
        self.free = np.ones(len(self.k), bool)
        self.size = len(self.k)
        self.has_damping = bool(self.c.any())

    def stiffness(self, q):
        return self.k @ q

    def mass(self, q):
        return self.m @ q

    def damping(self, q):
        return self.c @ q

    def system(self, stiffness=1.0, mass=0.0, damping=0.0):
        total = stiffness * self.k + mass * self.m + damping * self.c
        return System(terms=(MatrixTerm(sparse.csr_array(total)),), block=1, free=self.free)


def sdof(ratio: float = 0.0, period: float = 1.0) -> Dense:
    w = 2 * np.pi / period
    return Dense(np.array([[w * w]]), np.eye(1), np.array([[2 * ratio * w]]))


def chain(n: int = 6, damping: float = 0.0) -> Dense:
    """Masses in a row on springs, held at one end; a damper at the other."""
    k = 400.0 * (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1))
    k[-1, -1] = 400.0
    c = np.zeros((n, n))
    c[-1, -1] = damping
    return Dense(k, np.diag(np.linspace(1.0, 2.0, n)), c)


def march(motion, scheme, h, n, d, v=None, f=lambda t: 0.0, **options):
    """Steps from d at rest; states, and the numbers of each step."""
    stepper = Stepper(motion, scheme, **options)
    shape = np.ones(motion.size)
    state = stepper.begin(0.0, d, np.zeros_like(d) if v is None else v, shape * f(0.0))
    states, steps = [state], []
    for i in range(n):
        made = stepper.step(state, h, shape * f(i * h), shape * f((i + 1) * h))
        state = made.state
        states.append(state)
        steps.append(made)
    return states, steps, stepper


def period(states) -> float:
    """Of the numerical motion, from the angle by which (d, v) turns a step: exact for one frequency."""
    x = np.array([[s.d[0], s.v[0]] for s in states])
    turn = np.linalg.lstsq(x[:-1], x[1:], rcond=None)[0]
    values = np.linalg.eigvals(turn)
    h = states[1].time - states[0].time
    return 2 * np.pi * h / float(np.abs(np.angle(values)).max())


@pytest.mark.parametrize(("name", "expected"), [("Newmark", 1.032075), ("central difference", 0.983066)])
def test_d31b_the_period_is_that_of_the_scheme(name, expected):
    """D31 (b): dt / T = 0.1, undamped."""
    states, _, _ = march(sdof(), Scheme.of(name), 0.1, 40, np.ones(1))
    assert_allclose(period(states), expected, rtol=1e-6)


@pytest.mark.parametrize("name", SCHEMES)
def test_d31a_the_peak_after_a_step_of_force(name):
    """D31 (a): zeta = 0.05; peak over static."""
    motion = sdof(0.05)
    static = 1.0 / motion.k[0, 0]
    states, _, _ = march(motion, Scheme.of(name), 0.005, 200, np.zeros(1), f=lambda t: 1.0)
    peak = max(s.d[0] for s in states) / static
    assert_allclose(peak, 1.854468, rtol=0.002)


@pytest.mark.parametrize("name", SCHEMES)
def test_steps_are_of_second_order(name):
    motion = chain(damping=3.0)
    k, m = motion.k, motion.m
    a = np.block([[np.zeros_like(k), np.eye(6)], [-np.linalg.solve(m, k), -np.linalg.solve(m, motion.c)]])
    from scipy.linalg import expm

    start = np.linspace(0.0, 1.0, 6) ** 2
    exact = (expm(a * 0.5) @ np.concatenate([start, np.zeros(6)]))[:6]
    errors = []
    for n in (100, 200, 400):
        states, _, _ = march(motion, Scheme.of(name), 0.5 / n, n, start)
        errors.append(np.abs(states[-1].d - exact).max())
    rates = np.diff(-np.log2(errors))
    assert (rates > 1.9).all(), rates
    assert (rates < 2.2).all(), rates


def test_newmark_keeps_the_energy_to_rounding():
    states, steps, stepper = march(chain(), Scheme.of("Newmark"), 0.05, 2000, np.linspace(0.0, 1.0, 6))
    first = sum(stepper.energies(states[0]))
    energy = np.array([first] + [s.kinetic + s.strain for s in steps])
    assert np.abs(np.diff(energy)).max() < 1e-12 * first
    assert abs(energy[-1] - first) < 1e-11 * first


def test_work_of_the_load_is_energy_and_what_damping_took():
    """Of Newmark the balance is exact whatever the step."""
    motion = chain(damping=5.0)
    _, steps, _ = march(
        motion, Scheme.of("Newmark"), 0.08, 300, np.zeros(6), f=lambda t: np.sin(9 * t), rayleigh=(0.3, 1e-3)
    )
    put_in, lost = (np.cumsum([getattr(s, name) for s in steps]) for name in ("input", "dissipated"))
    stored = np.array([s.kinetic + s.strain for s in steps])
    assert lost[-1] > 10 * stored[-1]
    assert_allclose(put_in, stored + lost, atol=1e-11 * put_in[-1])


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 1.0])
def test_generalized_alpha_leaves_rho_of_the_highest_frequencies(rho):
    """The spectral radius of a step that is long against the period."""
    motion = sdof()
    scheme = Scheme.of("generalized-alpha", rho)
    stepper = Stepper(motion, scheme)
    columns = []
    for unit in np.eye(3):
        made = stepper.step(State(0.0, *(unit[i : i + 1] for i in range(3))), 1e4, np.zeros(1), np.zeros(1))
        columns.append([made.state.d[0], made.state.v[0] * 1e4, made.state.a[0] * 1e8])
    turn = np.array(columns).T / np.array([1.0, 1e4, 1e8])
    assert_allclose(np.abs(np.linalg.eigvals(turn)).max(), rho, atol=2e-2 if rho == 0.0 else 1e-3)


def test_the_error_of_a_step_is_about_what_it_is_said_to_be():
    motion, h = sdof(), 0.02
    for name in SCHEMES:
        scheme = Scheme.of(name, 0.5) if name == "generalized-alpha" else Scheme.of(name)
        states, steps, _ = march(motion, scheme, h, 200, np.ones(1))
        w = 2 * np.pi
        # angle by which the motion is off; what is told is the mean over a period, 2 / pi of it
        true = abs(2 * np.pi / period(states) - w) * 200 * h
        told = sum(s.error for s in steps)
        assert 0.5 * true < told < 0.8 * true, (name, true, told)


def test_the_critical_step_is_that_of_the_highest_frequency():
    motion = chain(20)
    highest = np.sqrt(eigh(motion.k, motion.m, eigvals_only=True)[-1])
    stepper = Stepper(motion, Scheme.of("central difference"))
    assert 0.9 * 2 / highest < stepper.critical() <= 2 / highest
    start = np.random.default_rng(1).standard_normal(20)
    states, _, _ = march(motion, Scheme.of("central difference"), stepper.critical(), 500, start)
    assert np.abs(states[-1].d).max() < 1e2
    with pytest.raises(ConvergenceError, match="smaller steps"):
        march(motion, Scheme.of("central difference"), 1.1 * 2 / highest, 2000, start)


def test_unknowns_without_mass_do_no_harm():
    motion = chain()
    motion.m[2, 2] = 0.0
    states, _, _ = march(motion, Scheme.of("generalized-alpha"), 0.01, 200, np.zeros(6), f=np.sin)
    assert np.isfinite(states[-1].d).all()
    rest = motion.k[2] @ states[-1].d - np.sin(2.0)
    assert abs(rest) < 0.05, "a node without mass is in equilibrium"


@pytest.mark.parametrize(
    ("name", "rho"), [("Euler", None), ("Newmark", 0.5), ("HHT", 0.3), ("generalized-alpha", 1.2)]
)
def test_schemes_that_do_not_exist_are_refused(name, rho):
    with pytest.raises(ModelError):
        Scheme.of(name, rho)


# Modal equations


def exact_by_quadrature(w, ratio, q0, v0, p0, p1, h):
    """Duhamel's integral of one damped equation, underdamped."""
    from scipy.integrate import quad

    wd = w * np.sqrt(1 - ratio**2)
    g = lambda t: np.exp(-ratio * w * t) * np.sin(wd * t) / wd  # noqa: E731
    load = lambda s: p0 + (p1 - p0) * s / h  # noqa: E731
    forced = quad(lambda s: load(s) * g(h - s), 0, h, epsabs=1e-14, epsrel=1e-13)[0]
    e = np.exp(-ratio * w * h)
    return forced + e * (q0 * np.cos(wd * h) + (v0 + ratio * w * q0) / wd * np.sin(wd * h))


@pytest.mark.parametrize("h", [1e-3, 0.3, 4.0])
def test_modal_steps_are_exact_for_linear_loads(h):
    w, ratio = np.array([1.0, 7.0, 40.0]), np.array([0.0, 0.02, 0.4])
    step = Recursion.of(w**2, 2 * ratio * w, h)
    q0, v0 = np.array([0.3, -1.0, 2.0]), np.array([1.0, 0.5, -3.0])
    p0, p1 = np.array([1.0, -2.0, 5.0]), np.array([4.0, 1.0, -1.0])
    q, v, _ = step.advance(q0, v0, p0, p1)
    expected = [exact_by_quadrature(*one, h) for one in zip(w, ratio, q0, v0, p0, p1)]
    assert_allclose(q, expected, rtol=1e-10, atol=1e-12)
    eps = 1e-6 * min(h, 1 / 40)
    later = Recursion.of(w**2, 2 * ratio * w, h + eps).advance(q0, v0, p0, p1 + (p1 - p0) * eps / h)[0]
    assert_allclose(v, (later - q) / eps, rtol=1e-3, atol=1e-3)


def test_rigid_overdamped_and_very_stiff_equations_are_no_exceptions():
    h = 0.1
    k, c = np.array([0.0, 1.0, 1e14, 0.0]), np.array([0.0, 50.0, 2e5, 3.0])
    q, v, total = Recursion.of(k, c, h).advance(np.zeros(4), np.zeros(4), np.ones(4), np.ones(4))
    assert_allclose(q[0], h * h / 2, rtol=1e-12)
    assert_allclose(v[0], h, rtol=1e-12)
    assert_allclose(total[0], h**3 / 6, rtol=1e-12)
    r = np.roots([1, 50, 1])
    assert_allclose(q[1], 1 - (r[0] * np.exp(r[1] * h) - r[1] * np.exp(r[0] * h)) / (r[0] - r[1]), rtol=1e-10)
    assert 0.0 <= q[2] <= 2.1e-14
    assert_allclose(v[3], (1 - np.exp(-3 * h)) / 3, rtol=1e-12)


def test_coupled_equations_agree_with_those_that_stand_alone():
    rng = np.random.default_rng(0)
    w, c = np.array([0.0, 2.0, 9.0, 300.0]), np.array([0.1, 0.2, 0.0, 5.0])
    ends = rng.standard_normal((4, 4))
    alone = Recursion.of(w**2, c, 0.05).advance(*ends)
    together = Recursion.of(w**2, np.diag(c), 0.05).advance(*ends)
    for a, b in zip(alone, together):
        assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    turned = Recursion.of(turn @ np.diag(w**2) @ turn.T, turn @ np.diag(c) @ turn.T, 0.05)
    for a, b in zip(alone, turned.advance(*(ends @ turn.T))):
        assert_allclose(a, turn.T @ b, rtol=1e-8, atol=1e-10)


def test_the_energy_of_a_cubic_is_integrated_exactly():
    from scipy.integrate import quad
    from scipy.interpolate import CubicHermiteSpline

    v, a, c = np.array([[1.0], [-2.0]]), np.array([[3.0], [0.5]]), np.array([4.0])
    spline = CubicHermiteSpline([0.0, 0.7], v[:, 0], a[:, 0])
    expected = quad(lambda t: 4.0 * spline(t) ** 2, 0, 0.7)[0]
    assert_allclose(hermite_energy(c, 0.7, v[0], a[0], v[1], a[1]), expected, rtol=1e-12)
    assert_allclose(hermite_energy(np.diag(c), 0.7, v[0], a[0], v[1], a[1]), expected, rtol=1e-12)
