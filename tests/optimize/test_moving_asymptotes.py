"""MMA, GCMMA and optimality criteria step by step, and the convex problem inside a step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_problems import cantilever, slopes
from numpy.testing import assert_allclose
from surroundings import FULL

from designtwin import parallel
from designtwin.errors import OptimizationError
from designtwin.kernels import separable
from designtwin.optimize import GCMMA, MMA, OC
from designtwin.optimize.quadratic import solve_quadratic
from designtwin.optimize.subproblem import Separable, _Dual, _InteriorPoint


def one_step(seed, n, m):
    random = np.random.default_rng(seed)
    x = random.random(n)
    return Separable.about(
        x, 0.1 * random.normal(size=m + 1), random.normal(size=(m + 1, n)) / np.sqrt(n), x - 0.5, x + 0.5,
        np.maximum(x - 0.2, 0.0), np.minimum(x + 0.2, 1.0), np.full(m + 1, 1e-5),
    )  # fmt: skip


def slope_of(problem, x, multipliers):
    weights = np.concatenate([[1.0], multipliers])
    p, q = weights @ problem.p, weights @ problem.q
    return p / (problem.upper - x) ** 2 - q / (x - problem.lower) ** 2


@settings(max_examples=200 if FULL else 25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), m=st.integers(0, 60))
def test_the_convex_problem_of_a_step_is_solved_to_its_optimality_conditions(seed, n, m):
    problem = one_step(seed, n, m)
    penalty = np.full(m, 20.0)
    x, multipliers = problem.solve(penalty)
    assert (x >= problem.low).all()
    assert (x <= problem.high).all()
    assert (multipliers >= 0.0).all()
    left = problem.values(x)[1:] - np.maximum(0.0, multipliers - penalty)
    # The barrier ends at 1e-9, a product: its root is what a constraint about to be broken may miss.
    assert left.max(initial=0.0) < 4e-5
    assert np.abs(multipliers * left).max(initial=0.0) < 4e-5 * 20.0
    slope = slope_of(problem, x, multipliers)
    # Downhill leads out of the box, or nowhere.
    moved = np.clip(x - slope / (1.0 + multipliers.sum()), problem.low, problem.high)
    assert_allclose(moved, x, atol=2e-4)


@pytest.mark.parametrize(("n", "m"), [(50, 1), (5000, 1), (400, 3), (5000, 6)])
def test_the_dual_and_interior_points_find_the_same(n, m):
    problem, penalty = one_step(3, n, m), np.full(m, 1000.0)
    dual = _Dual(problem, penalty)
    found = dual.bracketed() if m == 1 else dual.climbed()
    assert found is not None
    x, multipliers = found
    other, others = _InteriorPoint(problem, penalty).solve()
    assert (multipliers > 0.0).all()
    assert_allclose(others, multipliers, rtol=1e-4)
    assert problem.values(other)[0] == pytest.approx(problem.values(x)[0], abs=1e-6)
    assert np.abs(problem.values(x)[1:]).max() < 1e-10


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_the_size_of_variables_and_gradients_changes_nothing(size):
    """Lengths in meters or micrometers, sums over few or millions: the same step."""
    random = np.random.default_rng(2)
    df, dg, x = -random.random(9), random.random((3, 9)), random.random(9)
    method = MMA(9, 3, 0.0, 1.0)
    plain = method.step(x, 1.0, df, np.array([0.02, -0.01, 0.03]), dg)
    scaled = MMA(9, 3, 0.0, size).step(x * size, 1.0, df / size, np.array([0.02, -0.01, 0.03]), dg / size)
    assert_allclose(scaled / size, plain, atol=1e-6)


def test_digits_do_not_depend_on_threads():
    n = 30_000
    random = np.random.default_rng(1)
    df, dg = -random.random(n), random.random((2, n)) / n
    designs = []
    for threads in (1, 3):
        with parallel.use_threads(threads):
            one, two = MMA(n, 1, 0.0, 1.0), MMA(n, 2, 0.0, 1.0)
            x = one.step(np.full(n, 0.5), 1.0, df, 0.1, dg[:1])
            y = two.step(np.full(n, 0.5), 1.0, df, np.array([0.1, -0.05]), dg)
            designs.append((x.tobytes(), y.tobytes(), one.multipliers.tobytes(), two.multipliers.tobytes()))
    assert designs[0] == designs[1]


@pytest.mark.parametrize("method", [MMA, GCMMA])
def test_state_restored_goes_on_to_the_bit(method):
    first, x = method(5, 1, 1.0, 10.0), np.full(5, 5.0)
    for step in range(8):
        if step == 4:
            state, at = {k: v.copy() for k, v in first.state().items()}, x.copy()
        f, g = cantilever(x)
        x = first.step(x, f, *_ordered(x, g))
    second, y = method(5, 1, 1.0, 10.0), at
    second.restore(state)
    for _ in range(4):
        f, g = cantilever(y)
        y = second.step(y, f, *_ordered(y, g))
    assert x.tobytes() == y.tobytes()
    with pytest.raises(OptimizationError, match="lacks"):
        second.restore({"x": x})


def _ordered(x, g):
    df, dg = slopes(cantilever, x)
    return df, g, dg


def test_a_retreat_halves_the_step_at_least():
    method, x = MMA(5, 1, 1.0, 10.0), np.full(5, 5.0)
    f, g = cantilever(x)
    far = method.step(x, f, *_ordered(x, g))
    near = method.retreat()
    nearer = method.retreat()
    lengths = [np.abs(y - x).max() for y in (far, near, nearer)]
    assert lengths[1] <= 0.5 * 9.0 * 0.5 + 1e-12
    assert lengths[2] <= 0.25 * 9.0 * 0.5 + 1e-12
    assert lengths[2] < lengths[0]


def test_gcmma_never_takes_a_step_that_is_worse():
    def wavy(x):
        return np.cos(3 * x[0]) + 0.5 * x[0] ** 2 + (x[1] - x[0] ** 2) ** 2, np.array([x[0] + x[1] - 3.0])

    method, x = GCMMA(2, 1, -3.0, 3.0), np.array([2.8, -2.0])
    values = []
    for _ in range(25):
        f, g = wavy(x)
        values.append(f)
        df, dg = slopes(wavy, x)
        new = method.step(x, f, df, g, dg)
        while (again := method.refine(new, *wavy(new))) is not None:
            new = again
        x = new
    assert (np.diff(values) < 1e-6).all()
    assert values[-1] < values[0] - 1.0
    assert np.abs(slopes(wavy, x)[0]).max() < 1e-2


def test_variables_with_no_range_stay_and_the_others_move_as_if_alone():
    low, high = np.zeros(6), np.ones(6)
    low[[1, 4]] = high[[1, 4]] = 0.3
    x = np.array([0.5, 0.3, 0.5, 0.5, 0.3, 0.5])
    df, dg = -np.arange(1.0, 7.0), np.ones((1, 6))
    free = [0, 2, 3, 5]
    whole = MMA(6, 1, low, high).step(x, 1.0, df, 0.2, dg)
    alone = MMA(4, 1, 0.0, 1.0).step(x[free], 1.0, df[free], 0.2, dg[:, free])
    assert_allclose(whole[[1, 4]], 0.3, rtol=0)
    assert_allclose(whole[free], alone, rtol=0, atol=0)


def test_oc_finds_the_shares_of_a_resource_that_pay_equally():
    cost = np.array([1.0, 4.0, 9.0, 16.0])

    def compliance(x):
        return (cost / x).sum(), -cost / x**2

    method, x = OC(4, 0.01, 5.0), np.full(4, 1.0)
    for _ in range(60):
        _, df = compliance(x)
        x = method.step(x, df, x.sum() / 4.0 - 1.0, np.full(4, 0.25))
    assert_allclose(x, 4.0 * np.sqrt(cost) / np.sqrt(cost).sum(), rtol=1e-6)
    assert x.sum() == pytest.approx(4.0, rel=1e-8)
    assert method.multiplier == pytest.approx(4.0 * (np.sqrt(cost).sum() / 4.0) ** 2, rel=1e-5)


def test_oc_meets_a_constraint_that_is_not_linear_itself():
    def volume(x):
        return float((np.tanh(3 * x) ** 2).mean()) - 0.4

    x = np.linspace(0.3, 0.7, 50)
    df, dg = -np.linspace(1.0, 3.0, 50), 6 * np.tanh(3 * x) / np.cosh(3 * x) ** 2 / 50
    new = OC(50, 0.0, 1.0, move=0.5).step(x, df, volume(x), dg, constraint=volume)
    assert abs(volume(new)) < 1e-7


def test_oc_uses_no_more_than_pays():
    x = np.full(3, 0.5)
    new = OC(3, 0.0, 1.0).step(x, np.array([-1.0, 0.0, 2.0]), -0.9, np.full(3, 0.1))
    assert_allclose(new, [0.7, 0.3, 0.3])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MMA(0, 1, 0.0, 1.0), "a variable at least"),
        (lambda: MMA(2, 1, 1.0, 0.0), "lower one first"),
        (lambda: MMA(2, 1, 0.0, np.inf), "finite bounds"),
        (lambda: MMA(2, 1, 0.0, 1.0, move=2.0), "0 < move <= 1"),
        (lambda: MMA(2, 1, 0.0, 1.0).retreat(), "nothing to retreat to"),
        (lambda: MMA(2, 1, 0.0, 1.0).step(np.ones(2), 1.0, np.ones(3), 0.0, np.ones((1, 2))), r"df\[3\]"),
        (
            lambda: MMA(2, 1, 0.0, 1.0).step(np.ones(2), np.nan, np.ones(2), 0.0, np.ones((1, 2))),
            "not finite",
        ),
        (lambda: OC(2, -1.0, 1.0), "not negative"),
        (lambda: OC(2, 0.0, 1.0).step(np.ones(2), -np.ones(2), 0.0, np.array([1.0, -1.0])), "use MMA"),
    ],
)
def test_misuse_is_told(call, words):
    with pytest.raises(OptimizationError, match=words):
        call()


@settings(max_examples=200 if FULL else 30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 12),
    m=st.integers(0, 12),
    price=st.sampled_from([1, 1e2, 1e5]),
)
def test_quadratic_problems_are_solved_to_their_optimality_conditions(seed, n, m, price):
    random = np.random.default_rng(seed)
    root = random.normal(size=(n, n))
    curvature, slope = root @ root.T + 0.01 * np.eye(n), random.normal(size=n)
    jacobian, constant = random.normal(size=(m, n)), 0.5 * random.normal(size=m)
    low, high = -random.random(n) - 0.01, random.random(n) + 0.01
    d, multipliers = solve_quadratic(curvature, slope, jacobian, constant, low, high, float(price))
    left = jacobian @ d + constant
    scale = 1.0 + multipliers.sum()
    assert (multipliers >= 0.0).all()
    assert (multipliers <= price * (1 + 1e-9)).all()
    total = curvature @ d + slope + jacobian.T @ multipliers
    assert_allclose(np.clip(d - total / scale, low, high), d, atol=1e-6)
    assert np.abs(multipliers * np.minimum(left, 0.0)).max(initial=0.0) < 1e-6 * scale
    assert np.abs((price - multipliers) * np.maximum(left, 0.0)).max(initial=0.0) < 1e-6 * scale * price


def test_kernels_of_a_step_are_what_python_makes_of_them():
    random = np.random.default_rng(5)
    n, m = 30, 3
    problem = one_step(5, n, m)
    state = np.stack([0.5 * (problem.low + problem.high), random.random(n) + 0.1, random.random(n) + 0.1])
    change = 0.01 * random.normal(size=(3, n))
    for kernel in (separable.assemble, separable.assemble.py_func):
        out = [np.zeros((3, n)), np.zeros(n), np.zeros(n), np.zeros((m, n))]
        sums = np.zeros((4, 2 * m + 2 + m * m))
        kernel(
            0, 4, 8, 0.5, 0.1, np.array([0.5, 1.0, 2.0]), problem.p, problem.q, problem.lower, problem.upper,
            problem.low, problem.high, state, change, *out, True, sums,
        )  # fmt: skip
        if kernel is separable.assemble:
            compiled = [*out, sums]
    for a, b in zip(compiled, [*out, sums], strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-14)
