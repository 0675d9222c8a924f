"""Conflicts, allowed values, statistical models and populations."""

import itertools

import numpy as np
import pytest
from known_problems import KNOWN, cantilever, slopes
from surroundings import FULL

from designtwin.errors import EvaluationFailed, OptimizationError
from designtwin.optimize import Problem, choose, extras, front, minimize


def stiff_and_light(x):
    """Stiffness wants u v >= 1/2, mass u + v <= limit; the other three have nothing to do with it."""
    return x.sum(), np.array([1.0 - 2 * x[0] * x[1], x[0] + x[1] - 1.0, x[2] - 0.9, 0.2 - x[2], x[0] - 5.0])


def stated(functions, n, **changes):
    given = {
        "x0": np.full(n, 0.45), "low": np.zeros(n), "high": np.ones(n), "functions": functions,
        "gradients": lambda x: slopes(functions, x), "constraints": ("stiffness", "mass", "a", "b", "c"),
        "variables": ("u", "v", "w"),
    }  # fmt: skip
    return Problem(**(given | changes))


@pytest.mark.parametrize("method", ["auto", "mma", "gcmma", "slsqp"])
def test_constraints_that_cannot_be_met_together_are_named_and_no_others(method):
    found = minimize(stated(stiff_and_light, 3), method=method)
    assert not found.feasible
    assert not found.converged
    assert found.conflict is not None
    assert found.conflict.constraints == ("stiffness", "mass")
    assert found.conflict.indices == (0, 1)
    assert "stiffness and mass cannot be met together" in found.stopped
    assert 0.0 < max(found.conflict.missed.values()) <= 0.55


def test_a_constraint_that_a_bound_forbids_is_named_with_the_bound():
    found = minimize(
        stated(lambda x: (x.sum(), np.array([1.5 - x[0], x[1] - 0.9])), 2,
               constraints=("frequency", "width"), variables=("t", "w"))
    )  # fmt: skip
    assert found.conflict is not None
    assert found.conflict.constraints == ("frequency",)
    assert found.conflict.bounds == ("variable 't' at its upper bound",)
    assert found.conflict.missed == {"frequency": pytest.approx(0.5, abs=1e-6)}


def test_what_can_be_met_is_met_from_an_infeasible_start_and_no_conflict_is_told():
    def eased(x):
        f, g = stiff_and_light(x)
        return f, g - np.array([0.0, 0.5, 0.0, 0.0, 0.0])

    for method in ("sqp", "mma"):
        found = minimize(stated(eased, 3), method=method)
        assert found.feasible
        assert found.conflict is None
        assert found.f == pytest.approx(np.sqrt(2.0) + 0.2, rel=1e-3)


SIZES = np.array([1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 8.0, 10.0])


def best_of_all():
    """The lightest cantilever of catalogue sections, by trying all near the continuous optimum."""
    near = [SIZES[(c - 2.0 < SIZES) & (c + 2.0 > SIZES)] for c in (6.0, 5.3, 4.5, 3.5, 2.15)]
    designs = (np.array(x) for x in itertools.product(*near))
    return min(f for f, g in map(cantilever, designs) if g[0] <= 0.0)


@pytest.mark.parametrize("method", ["branch", "neighbors"])
def test_catalogue_sections_are_the_lightest_there_are(method):
    stock = SIZES[::2] if method == "branch" else SIZES
    found = minimize(KNOWN["cantilever"].problem(allowed=[stock] * 5), method=method)
    assert found.feasible
    assert all(value in stock for value in found.x)
    if method == "neighbors":
        assert found.f == pytest.approx(best_of_all(), rel=1e-12)
        assert "not ruled out" in found.stopped
        assert found.details["tried"] < found.details["combinations"]
    else:
        designs = (np.array(x) for x in itertools.product(*[stock] * 5))
        assert found.f == pytest.approx(min(f for f, g in map(cantilever, designs) if g[0] <= 0.0), rel=1e-12)
        assert found.details["proved"]
        assert "as in convex problems" in found.stopped


def test_all_of_a_few_combinations_are_tried_and_said_so():
    calls = []

    def counted(x):
        calls.append(x)
        if x[0] == 6.5 and x[1] == 6.5:
            raise EvaluationFailed("holes overlap")
        return cantilever(np.append(x, [4.0, 3.0]))

    found = minimize(
        Problem(
            x0=[5.0] * 3,
            low=[1.0] * 3,
            high=[10.0] * 3,
            functions=counted,
            allowed=[np.array([2.0, 4.5, 6.5])] * 3,
        )
    )
    assert found.method == "enumerate"
    assert len(calls) == 27
    assert found.failures == 3
    assert "of which 3 failed: holes overlap" in found.stopped
    assert found.feasible


def test_continuous_variables_are_tuned_beside_discrete_ones():
    allowed = [SIZES, SIZES, None, None, None]
    found = minimize(KNOWN["cantilever"].problem(allowed=allowed))
    assert found.method == "branch"
    assert found.x[0] in SIZES
    assert found.x[1] in SIZES
    assert 1.3399564 < found.f < 1.345
    assert abs(found.g[0]) < 1e-4


def test_branch_and_bound_that_runs_out_of_evaluations_says_so():
    found = minimize(KNOWN["cantilever"].problem(allowed=[SIZES] * 5), method="branch", max_evaluations=60)
    assert not found.converged
    assert "still open" in found.stopped
    assert not found.details["proved"]
    # The bound is below any design, hence below what was found.
    assert found.details["bound"] <= found.f
    assert all(value in SIZES for value in found.x)


def test_functions_are_not_evaluated_between_allowed_values_where_they_cannot_be():
    def whole(x):
        assert x[0] == round(x[0])
        return (x[0] - 7.3) ** 2, np.array([x[0] - 9.0])

    numbers = np.arange(1.0, 200.0)
    found = minimize(
        Problem(x0=[150.4], low=[1.0], high=[199.0], functions=whole, allowed=[numbers], between=False)
    )
    assert found.method == "neighbors"
    assert found.x[0] == 7.0
    with pytest.raises(OptimizationError, match="evaluates between"):
        choose(
            Problem(
                x0=[1.0], low=[1.0], high=[9.0], functions=whole, gradients=lambda x: (x, x[None]),
                allowed=[numbers[:9]], between=False,
            ),
            "branch",
        )  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_cma_finds_the_cantilever_without_gradients(share):
    random, calls = np.random.default_rng(2), []

    def fragile(x):
        calls.append(x)
        if len(calls) > 1 and random.random() < share:
            raise EvaluationFailed("diverged")
        return cantilever(x)

    found = minimize(
        KNOWN["cantilever"].problem(functions=fragile, derivatives=False), method="cma", max_iterations=300
    )
    assert found.feasible
    assert found.f == pytest.approx(1.3399564, rel=3e-3)
    assert np.isnan(found.multipliers).all()
    assert (found.failures > 0) == (share > 0)


def test_cma_asks_whole_generations_at_once_where_it_may_and_is_the_same_search():
    batches = []

    def many(points):
        batches.append(len(points))
        return [cantilever(x) for x in points]

    alone = KNOWN["cantilever"].problem(derivatives=False)
    together = KNOWN["cantilever"].problem(derivatives=False, many=many)
    a, b = (minimize(p, method="cma", max_iterations=20) for p in (alone, together))
    assert a.x.tobytes() == b.x.tobytes()
    assert a.evaluations == b.evaluations
    assert sum(batches) == b.evaluations - 1  # the start


def test_a_statistical_model_finds_an_optimum_in_few_evaluations_and_tells_its_error():
    def branin(x):
        a, b = x
        f = (
            (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2
            + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a)
            + 10
        )
        if a > 9.6:
            raise EvaluationFailed("outside the range of the solver")
        return f / 10, np.array([5.0 - a])  # without the first two of the three minima

    found = minimize(
        Problem(x0=[6.0, 10.0], low=[-5.0, 0.0], high=[10.0, 15.0], functions=branin),
        method="ego", tolerance=1e-3, max_evaluations=45,
    )  # fmt: skip
    assert found.feasible
    assert found.f == pytest.approx(0.0397887, abs=5e-3)  # Branin's least value, 0.397887, at (9.42, 2.47)
    assert found.failures > 0
    assert 0.0 <= found.details["foretold_error"] < 0.5


def two_goals(x):
    return np.array([x[0] ** 2 + x[1] ** 2, (x[0] - 1.0) ** 2 + x[1] ** 2]), np.array([0.1 - x[0]])


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_front_of_two_goals_is_the_line_between_their_optima(share):
    random = np.random.default_rng(4)

    def fragile(x):
        if random.random() < share:
            raise EvaluationFailed("diverged")
        return two_goals(x)

    found = front(fragile, [-2.0, -2.0], [2.0, 2.0], generations=60 if FULL else 30)
    assert (found.failures > 0) == (share > 0)
    assert (found.g <= 0.0).all()
    assert len(found.x) > 50
    # On the line, sqrt(f1) + sqrt(f2) = 1.
    assert np.abs(np.sqrt(found.f).sum(axis=1) - 1.0).max() < 0.02
    assert found.x[:, 0].min() < 0.13
    assert found.x[:, 0].max() > 0.95
    assert (np.diff(found.f[:, 0]) >= 0.0).all()
    assert (np.diff(found.f[:, 1]) <= 0.0).all()


def test_a_front_is_the_same_again_and_takes_allowed_values_only():
    levels = np.array([-1.0, 0.25, 0.5, 0.75, 1.5])
    a, b = (
        front(two_goals, [-2.0, -2.0], [2.0, 2.0], generations=8, population=20, allowed=[levels, None])
        for _ in range(2)
    )
    assert a.x.tobytes() == b.x.tobytes()
    assert set(a.x[:, 0]) <= set(levels)
    with pytest.raises(OptimizationError, match="one entry per variable"):
        front(two_goals, [-2.0, -2.0], [2.0, 2.0], allowed=[levels])


def test_a_population_is_drawn_from_numbers_of_its_own():
    problem = KNOWN["cantilever"].problem(derivatives=False)
    first = minimize(problem, method="cma", max_evaluations=60)
    np.random.seed(5)  # noqa: NPY002, the user's, which is neither read nor moved
    before = np.random.get_state()[2]  # noqa: NPY002
    again = minimize(problem, method="cma", max_evaluations=60)
    assert np.random.get_state()[2] == before  # noqa: NPY002
    assert again.x.tobytes() == first.x.tobytes()


def test_one_variable_is_no_population():
    one = Problem(x0=[0.5], low=[0.0], high=[1.0], functions=lambda x: ((x[0] - 0.3) ** 2, np.zeros(0)))
    with pytest.raises(OptimizationError, match="two variables at least"):
        minimize(one, method="cma")
    assert choose(one).method == "ego"


def test_what_no_method_can_do_is_said_without_advice_that_fails():
    mixed = KNOWN["cantilever"].problem(derivatives=False, allowed=[SIZES, None, None, None, None])
    with pytest.raises(OptimizationError, match="allowed for every variable"):
        minimize(mixed)


def test_packages_that_are_missing_are_named_with_the_extra_that_brings_them(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", absent)
    for method, extra in (("cma", "global"), ("ego", "surrogate")):
        with pytest.raises(OptimizationError, match=rf"designtwin\[{extra}\]"):
            minimize(KNOWN["cantilever"].problem(derivatives=False), method=method)
    with pytest.raises(OptimizationError, match=r"pymoo, which is not installed: .*\[global\]"):
        front(two_goals, [0.0, 0.0], [1.0, 1.0])


def test_auto_without_gradients_takes_what_is_installed(monkeypatch):
    problem = KNOWN["cantilever"].problem(derivatives=False)
    assert choose(problem).method == "ego"
    monkeypatch.setattr("designtwin.optimize.auto.has", lambda package: package == "cma")
    assert choose(problem).method == "cma"
    assert "smt for a statistical model is not installed" in choose(problem).why
    monkeypatch.setattr("designtwin.optimize.auto.has", lambda package: False)
    with pytest.raises(OptimizationError, match="needs an optional package"):
        choose(problem)
    one = Problem(x0=[0.5], low=[0.0], high=[1.0], functions=lambda x: (x[0], np.zeros(0)))
    monkeypatch.setattr("designtwin.optimize.auto.has", lambda package: package == "cma")
    with pytest.raises(OptimizationError, match=r"designtwin\[surrogate\]"):
        choose(one)
