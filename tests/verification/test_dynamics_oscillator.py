"""D31: one degree of freedom over time, through the whole chain from a model to a result."""

from __future__ import annotations

import numpy as np
import pytest
from builders import bar
from numpy.testing import assert_allclose

import designtwin as dtw

STIFFNESS, MASS = (2.0 * np.pi) ** 2, 1.0
"""Of the oscillator: a period of one second."""


def oscillator(ratio: float = 0.0) -> dtw.Model:
    """A point mass at the end of a rod without mass, and a damper to ground."""
    c = 2.0 * ratio * np.sqrt(STIFFNESS * MASS)
    damper = [dtw.Damper(on="xmax", damping=(c, 0.0, 0.0))] if ratio else []
    return dtw.Model(
        bar(1, 1.0),
        materials={"body": dtw.Truss(dtw.LinearElastic(youngs_modulus=STIFFNESS, density=1e-12), area=1.0)},
        supports=[
            dtw.FixedSupport(on="xmin"),
            dtw.PrescribedDisplacement(on="xmax", y=0.0),
            dtw.PointMass(on="xmax", mass=MASS),
            *damper,
        ],
        load_cases={"push": [dtw.Force(on="xmax", value=(STIFFNESS, 0.0, 0.0))]},
    )


def tip(case: dtw.DynamicsCase) -> np.ndarray:
    """Displacement over time of the mass."""
    return case.history((1.0, 0.0, 0.0), name="ux").values


METHODS = ("modal", "Newmark", "HHT", "generalized-alpha", "central difference")


@pytest.mark.parametrize(
    ("method", "damping"),
    [(method, kind) for method in METHODS for kind in ("dampers", "Rayleigh")] + [("modal", "ratio")],
)
def test_d31a_peak_after_a_step_of_force(method, damping):
    """(a) zeta = 0.05: peak over static 1.854468, tolerance 0.002."""
    model = oscillator(0.05 if damping == "dampers" else 0.0)
    stated = {"dampers": None, "ratio": "5 %", "Rayleigh": dtw.rayleigh(stiffness=0.1 / (2.0 * np.pi))}[
        damping
    ]
    more = {} if method == "modal" else {"step": 0.004}
    case = dtw.solve_dynamics(
        model, dtw.force_history("push"), duration="1 s", damping=stated, method=method, **more
    )
    assert_allclose(tip(case).max(), 1.854468, rtol=0.002)


@pytest.mark.parametrize(
    ("method", "expected"), [("Newmark", 1.032075), ("central difference", 0.983066), ("modal", 1.0)]
)
def test_d31b_period_of_the_numerical_solution(method, expected):
    """(b) undamped, dt / T = 0.1; tolerance 1e-4."""
    start = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    model = oscillator()
    quiet = dtw.force_history("push", 0.0)  # nothing acts
    case = dtw.solve_dynamics(model, quiet, duration="4 s", method=method, step=0.1, initial=start)
    u, v = tip(case), case.history((1.0, 0.0, 0.0), name="vx").values
    x = np.column_stack([u, v])
    turn = np.linalg.lstsq(x[:-1], x[1:], rcond=None)[0]
    period = 0.2 * np.pi / np.abs(np.angle(np.linalg.eigvals(turn))).max()
    assert_allclose(period, expected, rtol=1e-4)


def test_a_half_sine_of_the_base_drives_the_mass_as_duhamel_says():
    """Undamped: relative displacement by the closed form, at the instants of the pulse and after."""
    peak, length = 10.0, 0.6
    case = dtw.solve_dynamics(oscillator(), dtw.half_sine("x", peak, length), duration="2 s")
    w, p, t = 2.0 * np.pi, np.pi / length, case.times
    during = -peak / (w * w - p * p) * (np.sin(p * t) - p / w * np.sin(w * t))

    def at_end(f):
        return f(np.array([length]))[0]

    d = at_end(lambda t: -peak / (w * w - p * p) * (np.sin(p * t) - p / w * np.sin(w * t)))
    v = at_end(lambda t: -peak / (w * w - p * p) * p * (np.cos(p * t) - np.cos(w * t)))
    after = d * np.cos(w * (t - length)) + v / w * np.sin(w * (t - length))
    exact = np.where(t < length, during, after)
    assert_allclose(tip(case), exact, atol=2e-4 * np.abs(exact).max())
    # The absolute acceleration of the mass is what the rod does to it.
    force = -STIFFNESS * tip(case)
    acceleration = case.history((1.0, 0.0, 0.0), name="ax").values
    assert_allclose(acceleration, force / MASS, atol=1e-9 * np.abs(force).max())
