"""The design loop: tune variables of a built model against its own requirements."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.criteria.verdict import Verdict
from designtwin.errors import DesignTwinError, ModelError, StudyError
from designtwin.mesh import Mesh
from designtwin.model.model import Model
from designtwin.optimize import check_method
from designtwin.plain import Plain
from designtwin.prototype.cache import content
from designtwin.requirements import Quantity, Requirement
from designtwin.study.evaluate import TRIES_FOR_ALL, Test, Tested, patiently, read, tested, within
from designtwin.study.found import Best, History
from designtwin.study.gradients import WAYS
from designtwin.study.scatter import Joint, Scatter, completed
from designtwin.study.search import Budget, Formulation, Search, optimize
from designtwin.study.store import Evaluation, Gradient, Store
from designtwin.study.variables import Variable
from designtwin.study.variants import check_workers
from designtwin.units import show_time, to_si

if TYPE_CHECKING:
    from designtwin.study.doe import Variants
    from designtwin.study.front import Front
    from designtwin.study.indices import Indices, Screening
    from designtwin.study.tables import GradientCheck, StudySensitivity
    from designtwin.study.uncertainty import Reliability, Robustness

_ACTIVE = 0.02
"""A requirement with less slack than this holds the optimum back."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """Tune the variables of a built model so that a quantity is least and every requirement is met.

    Parameters
    ----------
    build : callable (values, mesh) -> Model
        Plain function; values are SI floats by variable name. It must not depend on anything else.
    mesh : Mesh
    variables : mapping of name to Variable
        See ``variable``.
    tests : callable (model) -> list of prototype tests
        Their requirements are the constraints.
    minimize : Quantity
        Such as ``mass()``.
    store : path, optional
        Folder that keeps every evaluation and gradient; the same study resumes from it.
    name : str
        For titles.
    goals : sequence of Quantity
        What else is read from every design, and has gradients, beside what is minimized and required.
    scatter : mapping of name to Scatter
        What ``build`` reads and nobody chooses (``scatter("2.5 kN", std="4 %")``), and tolerances of
        variables (``tolerance("±0.1 mm")``). Requirements must hold then at so many standard deviations, to
        first order.
    sigma : float
        How many, of requirements that do not say it themselves: ``(yield_margin() >= 1.5).at(sigma=4)``.
    time_limit : number or string, optional
        Longest that one analysis may take, ``build`` and tests together; beyond it a design has failed.
        Workers are ended then, whatever they do. This process stops at the next step of Python: a hang in
        compiled code it cannot end, and none outside of its main thread, on Windows or in a cluster;
        ``variants(designs, workers=2)`` ends every one.

    Raises
    ------
    StudyError
        If there is nothing to vary, or ``build`` or ``tests`` do not answer with what they should.
    """

    build: Callable[[dict[str, float], Mesh], Model]
    mesh: Mesh
    variables: Mapping[str, Variable]
    tests: Callable[[Model], Sequence[Test]]
    minimize: Quantity
    store: str | Path | None = None
    name: str = "design study"
    goals: Sequence[Quantity] = ()
    scatter: Mapping[str, Scatter] = field(default_factory=dict)
    sigma: float = 3.0
    time_limit: Any = None
    _digests: dict[tuple[tuple[str, float], ...], str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.variables, Mapping) or not self.variables:
            raise StudyError("a study needs variables={'thickness': dtw.variable('3 mm', '8 mm'), ...}")
        for name, one in self.variables.items():
            if not isinstance(one, Variable):
                raise StudyError(f"variable {name!r} is {one!r}; write dtw.variable(low, high, start=...)")
        for name in ("build", "tests"):
            if not callable(getattr(self, name)):
                raise StudyError(f"{name} must be a function, got {getattr(self, name)!r}")
        if not isinstance(self.minimize, Quantity):
            raise StudyError(f"minimize wants a quantity such as dtw.mass(), got {self.minimize!r}")
        goals = (self.goals,) if isinstance(self.goals, Quantity) else tuple(self.goals)
        object.__setattr__(self, "goals", goals)
        for goal in goals:
            if not isinstance(goal, Quantity):
                raise StudyError(f"goals wants quantities such as dtw.mass(), got {goal!r}")
        Joint(self.scatter, list(self.variables))
        _check_sigma(self.sigma)
        if self.time_limit is not None:
            seconds = float(to_si(self.time_limit, "time", name="time_limit"))
            if not 0.0 < seconds < float("inf"):
                raise StudyError(f"time_limit={self.time_limit!r}: a time above 0 is wanted, such as '5 min'")
            object.__setattr__(self, "time_limit", seconds)

    # The search

    def run(
        self, *, max_analyses: int = 80, max_time: Any = "30 min", tolerance: float = 1e-3,
        method: str = "auto", gradients: str = "auto", workers: int | None = None, starts: int = 1,
    ) -> Best:  # fmt: skip
        """Search for the best design; resume what the store holds.

        Parameters
        ----------
        max_analyses : int
            Evaluations in all, those in the store included. A gradient by adjoint is none.
        max_time : number or string
            Wall time of this call, s.
        tolerance : float
            Relative change of the objective at which the search ends; where extremes or ends of intervals
            steer it, also the share of a range below which steps of SQP make no difference.
        method : str
            "auto" or one of ``optimize.METHODS``; what was chosen, and why, is said by the answer.
        gradients : "auto", "adjoint" or "differences"
            "auto" takes the adjoint of every response that has one, and says which have not.
        workers : int, optional
            Processes that analyze designs side by side where several are wanted at once.
        starts : int
            Searches by slopes find a local optimum: so many begin, at the start and at designs that fill the
            ranges evenly, and the best is told with how many ended there. They share the budget.

        Raises
        ------
        StudyError
            If the store holds another study, the very first design cannot be evaluated, or adjoints are
            demanded of a response that has none.
        """
        budget = self._budget(max_analyses, max_time)
        _check_tolerance(tolerance)
        self._check_way(gradients)
        check_method(method)
        check_workers(workers)
        self._check_asked()
        store = self.open_store()  # misuse is told before the first analysis
        try:
            search = Search(self, store, budget, gradients=gradients, workers=workers)
            start = {name: v.start for name, v in self.variables.items()}
            outcome = optimize(
                search, start, lambda first: self._formulation(search, first, tolerance), method=method,
                tolerance=tolerance, starts=starts,
            )  # fmt: skip
            self._start()  # does build still answer as it did?
            return self._best(search, outcome)
        finally:
            store.close()

    def _formulation(self, search: Search, first: Evaluation, tolerance: float) -> Formulation:
        from designtwin.study.uncertainty import RobustFormulation

        if not self.scatter:
            return Formulation(self, first, tolerance)
        return RobustFormulation(search, first, tolerance)

    @staticmethod
    def _budget(max_analyses: int, max_time: Any) -> Budget:
        if isinstance(max_analyses, bool) or not isinstance(max_analyses, int) or max_analyses < 1:
            raise StudyError(f"max_analyses={max_analyses!r}: a whole number of at least 1 is wanted")
        seconds = float(to_si(max_time, "time", name="max_time"))
        if seconds <= 0.0:
            raise StudyError(f"max_time={max_time!r}: a time above 0 is wanted, such as '10 min'")
        return Budget(max_analyses, seconds)

    @staticmethod
    def _check_way(gradients: str) -> None:
        if gradients not in WAYS:
            raise StudyError(f"gradients={gradients!r}; it may be {', '.join(map(repr, WAYS))}")

    # One design

    def model_of(self, values: Mapping[str, float], mesh: Mesh | None = None) -> Model:
        """The model of a design, on the study's own mesh unless another is given."""
        mesh = self.mesh if mesh is None else mesh
        if not isinstance(mesh, Mesh):
            raise StudyError(f"a mesh is wanted, as read_mesh returns it; got {type(mesh).__name__} {mesh!r}")
        all_of_it = completed(self.scatter, values)
        with within(self.time_limit):
            model = _asked(lambda: self.build(all_of_it, mesh), f"build({dict(values)}, mesh)")
        if not isinstance(model, Model):
            raise StudyError(f"build must return a Model, got {type(model).__name__}")
        if mesh is self.mesh:
            self._check_same(all_of_it, model)
        return model

    def _check_same(self, values: Mapping[str, float], model: Model) -> None:
        """Raise where these values gave another model before: nothing found of either would be true."""
        digest = _digest_of(model)
        if self._digests.setdefault(tuple(values.items()), digest) != digest:
            raise StudyError(
                f"build({dict(values)}, mesh) gave another model this time: it draws at random or depends on "
                "something else that changes, as a file, a counter or the clock; let it depend on values and "
                "mesh alone (a generator with a fixed seed that is made inside build will do)"
            )

    def tests_of(self, model: Model) -> list[Test]:
        """The tests of a model, not run.

        Raises
        ------
        StudyError
            If ``tests`` does not answer with a list of them.
        """
        return [_at_the_means(one) for one in self._asked_tests(model)]

    def _asked_tests(self, model: Model) -> list[Test]:
        """The tests as they were stated, requirements with their sigma."""
        tests = _asked(lambda: self.tests(model), "tests(model)")
        if not isinstance(tests, list | tuple) or not tests:
            raise StudyError(
                "tests must return a list of a prototype test at least: [dtw.StrengthTest(model, ...)]"
            )
        for one in tests:
            if not hasattr(one, "requirements") or not hasattr(one, "run"):
                raise StudyError(
                    f"tests returned a {type(one).__name__} among its tests; return them as they are, "
                    "not run: [dtw.StrengthTest(model, ...)]"
                )
            if getattr(one, "store", None) is not None:
                raise StudyError(
                    f"a {type(one).__name__} of a study keeps its instants in store={str(one.store)!r}: a "
                    "design would find those of another there; leave it out, Study(store=) keeps the findings"
                )
        return list(tests)

    def _start(self) -> Model:
        start = {name: v.start for name, v in self.variables.items()}
        return patiently(lambda: self.model_of(start), TRIES_FOR_ALL)

    @cached_property
    def requirements(self) -> dict[str, Requirement]:
        """All requirements, by their text; with ``scatter`` each states the sigma it must hold at."""
        tests = self._asked_tests(self._start())
        found: dict[str, Requirement] = {}
        for one in (one for test in tests for one in test.requirements):
            sigma = self.sigma if one.sigma is None and self.scatter else one.sigma
            text = str(replace(one, sigma=None))
            if text not in found or (found[text].sigma or 0.0) < (sigma or 0.0):
                found[text] = replace(one, sigma=sigma)
        return found

    def requirement_of(self, label: str) -> Requirement:
        """The requirement of a constraint "requirement | case"."""
        known = self.requirements
        return known[label] if label in known else known[label.rpartition(" | ")[0]]

    @property
    def sigma_told(self) -> str:
        """At how many sigma the requirements hold, in words: "at 3 sigma"; "" where nothing scatters."""
        if not self.scatter:
            return ""
        levels = sorted({one.sigma or 0.0 for one in self.requirements.values()})
        if len(levels) == 1:
            return f"at {levels[0]:g} sigma"
        return (
            "at "
            + ", ".join(f"{level:g}" for level in levels[:-1])
            + f" and {levels[-1]:g} sigma, each at its own"
        )

    def _check_asked(self) -> None:
        """Raise where a requirement is about scatter, and none is stated."""
        for one in self.requirements.values():
            if one.sigma and not self.scatter:
                raise StudyError(
                    f"'{one}' is asked for, and nothing scatters in this study; give "
                    "Study(scatter={'load': dtw.scatter('2.5 kN', std='4 %'), 'thickness': "
                    "dtw.tolerance('±0.1 mm')}), or leave .at(sigma=) out"
                )

    def run_tests(self, model: Model) -> tuple[Verdict, ...]:
        """All verdicts of a model."""
        return tuple(test.run() for test in self.tests_of(model))

    def objective_of(self, model: Model, verdicts: Sequence[Verdict]) -> float:
        """The minimized quantity of a tested model, SI."""
        return read(self.minimize, model, [v.result for v in verdicts], "minimize")

    def analyze(self, values: Mapping[str, float], *, purpose: str = "design") -> Evaluation:
        """Build, test and read one design; nothing is kept.

        Parameters
        ----------
        values : mapping of variable to SI value
        purpose : str
            What it is for, as histories tell it.

        Returns
        -------
        Evaluation
            Of a design that fails, ``failure`` says why.

        Raises
        ------
        StudyError
            If the study itself is wrong, and not this design.
        """
        found = tested(self, self._all(values), purpose, keep=False)
        return found.evaluation if isinstance(found, Tested) else found

    def gradients(self, values: Mapping[str, float] | None = None, *, gradients: str = "auto") -> Gradient:
        """Derivatives of objective, goals and constraints with respect to every variable, SI per SI.

        Parameters
        ----------
        values : mapping of variable to SI value, optional
            The start unless given.
        gradients : "auto", "adjoint" or "differences"

        Raises
        ------
        StudyError
            If the design cannot be evaluated, or designs beside it where differences are needed.
        """
        self._check_way(gradients)
        store = self.open_store()
        try:
            search = Search(self, store, Budget(10**9, float("inf")), gradients=gradients)
            return search.at(self._all(values))
        finally:
            store.close()

    def _all(self, values: Mapping[str, float] | None) -> dict[str, float]:
        """Values of all variables in their order; those not given are at their start."""
        if not isinstance(values, Mapping | None):
            raise StudyError(f"values={values!r}: a value by variable is wanted, as {{'thickness': '4 mm'}}")
        given = dict(values or {})
        for name in given:
            if name not in self.variables:
                raise StudyError(f"values names {name!r}, and the variables are {', '.join(self.variables)}")
        found = {
            name: float(to_si(given.get(name, v.start), v.dimension, name=name))
            for name, v in self.variables.items()
        }
        for name, v in self.variables.items():
            if not v.low <= found[name] <= v.high:
                raise StudyError(
                    f"{name} is {v.text(found[name])}, outside {v.text(v.low)} to {v.text(v.high)}"
                )
        return found

    # Tables and fronts

    def check_gradients(
        self, values: Mapping[str, float] | None = None, *, step: float = 1e-2
    ) -> GradientCheck:
        """Compare every adjoint with differences: a table of responses and variables.

        Parameters
        ----------
        values : mapping of variable to SI value, optional
            The start unless given.
        step : float
            Of the central differences, share of a variable's range; the same over two steps sharpens them
            (Richardson 1911). Four analyses a variable.

        Raises
        ------
        StudyError
            If a design cannot be evaluated.
        """
        from designtwin.study.tables import check_gradients

        return check_gradients(self, self._all(values), step)

    def sensitivity(self, values: Mapping[str, float] | None = None) -> StudySensitivity:
        """How every response moves with every variable: scaled derivatives, to look at or to plot.

        Parameters
        ----------
        values : mapping of variable to SI value, optional
            The best design in the store unless given; the start where there is none.
        """
        from designtwin.study.tables import sensitivity

        return sensitivity(self, self._best_kept() if values is None else self._all(values))

    def pareto(
        self, one: Quantity, other: Quantity, *, points: int = 9, max_analyses: int = 200,
        max_time: Any = "1 h", tolerance: float = 1e-3, method: str = "auto", gradients: str = "auto",
        workers: int | None = None,
    ) -> Front:  # fmt: skip
        """The front between two quantities, no point of which is worse in both than another.

        Quantities whose smallest value governs, as a margin or a frequency, are wanted large, others small;
        all requirements hold at every point, at their sigma where something scatters; the two quantities
        themselves are those with everything at its mean.

        Parameters
        ----------
        one, other : Quantity
            Such as ``mass()`` and ``yield_margin()``.
        points : int
            Of the front, the two ends included; evenly spread by normalized normal constraints.
        max_analyses : int
            Evaluations in all, those in the store included.
        max_time, tolerance, method, gradients, workers
            As of ``run``.

        Raises
        ------
        StudyError
            If an end of the front cannot be found.

        Source: Messac, Ismail-Yahaya & Mattson, Struct. Multidisc. Optim. 25 (2003) 86.
        """
        from designtwin.study.front import pareto

        budget = self._budget(max_analyses, max_time)
        _check_tolerance(tolerance)
        self._check_way(gradients)
        check_method(method)
        check_workers(workers)
        self._check_asked()
        return pareto(
            self, one, other, points=points, budget=budget, tolerance=tolerance, method=method,
            gradients=gradients, workers=workers,
        )  # fmt: skip

    # Many designs, and what scatters

    def variants(
        self, designs: Sequence[Mapping[str, Any]], *, workers: int | None = None, cluster: Any = None
    ) -> Variants:
        """Analyze many designs at once: what the store knows is read, what failed is tried again.

        Parameters
        ----------
        designs : list of {variable: number or string}
        workers : int, optional
            Processes on this machine, which share its threads; as many as there are threads unless told.
        cluster : str, Client or Cluster of Dask, optional
            Where to analyze instead (extra ``cluster``), such as ``"tcp://head:8786"``.

        Raises
        ------
        StudyError
            If a design is not one of this study, or no worker can start.
        """
        from designtwin.study.doe import variants

        self._check_asked()
        return variants(self, designs, workers=workers, cluster=cluster)

    def sample(
        self, n: int, *, method: str = "sobol", seed: int = 0, workers: int | None = None,
        cluster: Any = None,
    ) -> Variants:  # fmt: skip
        """Analyze designs spread over the ranges of the variables.

        Parameters
        ----------
        n : int
            Designs; of "factorial" the levels of each variable.
        method : str
            "sobol" (powers of two are best), "halton", "lhs", "random" or "factorial".
        seed : int
        workers, cluster
            As of ``variants``.
        """
        from designtwin.study.doe import sample

        self._check_asked()
        return sample(self, n, method=method, seed=seed, workers=workers, cluster=cluster)

    def sobol(
        self, n: int = 128, *, over: str = "variables", values: Mapping[str, Any] | None = None,
        method: str = "chaos", seed: int = 0, workers: int | None = None, cluster: Any = None,
    ) -> Indices:  # fmt: skip
        """Sobol indices: which variable makes what share of the variance of every response.

        Parameters
        ----------
        n : int
            Designs analyzed; with method "saltelli" n (k + 2) of them.
        over : "variables" or "scatter"
            Uniform over the ranges of the variables; or over what scatters about a design.
        values : mapping of variable to value, optional
            That design; the start unless given.
        method : "chaos" or "saltelli"
            From a polynomial expansion, whose leave-one-out error is told; or by direct sampling (extra
            ``uq``).
        seed : int
        workers, cluster
            As of ``variants``.

        Source: Sudret, Reliability Engineering & System Safety 93 (2008) 964; Saltelli et al., Comput. Phys.
        Commun. 181 (2010) 259.
        """
        from designtwin.study.indices import sobol

        return sobol(
            self, n, over=over, values=self._all(values), method=method, seed=seed, workers=workers,
            cluster=cluster,
        )  # fmt: skip

    def morris(
        self, trajectories: int = 10, *, seed: int = 0, workers: int | None = None, cluster: Any = None
    ) -> Screening:
        """Elementary effects of many variables with few analyses, trajectories (k + 1) (extra ``uq``).

        Source: Morris, Technometrics 33 (1991) 161; Campolongo, Cariboni & Saltelli, Environ. Model. Softw.
        22 (2007) 1509.
        """
        from designtwin.study.indices import morris

        return morris(self, trajectories, seed=seed, workers=workers, cluster=cluster)

    def robustness(
        self, values: Mapping[str, Any] | None = None, *, sigma: float | None = None, n: int = 64,
        seed: int = 0, gradients: str = "auto", workers: int | None = None, cluster: Any = None,
    ) -> Robustness:  # fmt: skip
        """How a design stands what scatters: to first order by gradients, checked by sampling.

        Parameters
        ----------
        values : mapping of variable to value, optional
            The best design in the store unless given, the start where there is none.
        sigma : float, optional
            Standard deviations each requirement must hold at; unless given its own, or the study's.
        n : int
            Samples of the check (scrambled Sobol); 0 for none.
        gradients, workers, cluster
            As of ``run`` and ``variants``.

        Raises
        ------
        StudyError
            If nothing scatters, or the design cannot be evaluated.
        """
        from designtwin.study.uncertainty import robustness

        self._check_way(gradients)
        sigma = None if sigma is None else _check_sigma(sigma)
        at = self._best_kept() if values is None else self._all(values)
        return robustness(
            self, at, sigma=sigma, n=n, seed=seed, gradients=gradients, workers=workers, cluster=cluster
        )

    def reliability(
        self, requirement: Any, values: Mapping[str, Any] | None = None, *, gradients: str = "auto"
    ) -> Reliability:
        """First-order reliability of one requirement: the most probable way to miss it (FORM).

        Parameters
        ----------
        requirement : Requirement or str
            One of the tests', or its words.
        values : mapping of variable to value, optional
            The best design in the store unless given, the start where there is none.
        gradients : "auto", "adjoint" or "differences"

        Raises
        ------
        StudyError
            If nothing scatters, or there is no such requirement.
        ConvergenceError
            If what scatters cannot make it fail.
        """
        from designtwin.study.uncertainty import reliability

        self._check_way(gradients)
        at = self._best_kept() if values is None else self._all(values)
        return reliability(self, at, str(requirement), gradients=gradients)

    # What is kept

    def open_store(self) -> Store:
        """The store of this study, checked to be its own.

        Raises
        ------
        StudyError
            If the folder holds another study, or the study cannot be known again.
        """
        start = self._start()
        tests = self.tests_of(start)
        if self.store is None:  # what is kept in memory alone cannot meet another study
            return Store(None, {})
        try:
            return Store(self.store, self._fingerprint(start, tests))
        except StudyError:
            self._start()  # a build that draws at random is told as what it is
            raise

    def _fingerprint(self, model: Model, tests: Sequence[Test]) -> dict[str, str]:
        """What the evaluations depend on, by the word an error uses for it."""
        try:
            content = model.content_hash()[:16]
        except DesignTwinError as error:
            raise StudyError(
                f"a study with store= must know its model again, and cannot: {error}; or leave store= out"
            ) from error
        asked = [[[r.content_hash() for r in t.requirements], settings(t)] for t in tests]
        goals = [one.content_hash() for one in self.goals]
        return {
            "build function": _source_hash(self.build) + content,
            "tests": _source_hash(self.tests) + _hash(json.dumps(asked)),
            "mesh": self.mesh.content_hash(),
            "variables": _hash(json.dumps([[n, v.to_dict()] for n, v in sorted(self.variables.items())])),
            "objective": self.minimize.content_hash() + (_hash(json.dumps(goals)) if goals else ""),
        }

    def _best_kept(self) -> dict[str, float]:
        store = self.open_store()
        try:
            kept = [e for e in store.all() if not e.failure and set(e.values) == set(self.variables)]
        finally:
            store.close()
        best = best_of(kept)
        return self._all(None if best is None else best.values)

    def _best(self, search: Search, outcome: Any) -> Best:
        seen = search.seen
        if self.scatter:
            from designtwin.study.uncertainty import at_sigma

            seen = at_sigma(search)
        own = [e for e in seen if e.purpose == "design"] if self.scatter else seen  # others are moved by it
        best = best_of([e for e in own if all(v.allows(e.values[n]) for n, v in self.variables.items())])
        stopped = outcome.stopped
        if best is None:
            reason = search.seen[0].failure if search.seen else "no analysis was allowed"
            reason = reason or f"how it scatters was not found before the end: {stopped}"
            raise StudyError(f"no design could be evaluated; the first one failed: {reason}")
        feasible = best.worst_slack >= 0.0
        if not feasible:
            broken = sorted(k for k, s in best.slacks.items() if s < 0.0)
            stopped += f"; no design met all requirements, the nearest one misses {', '.join(broken)}"
        when = {key: f" at {show_time(time)}" for key, time in best.instants.items()}
        active = [key + when.get(key, "") for key, slack in best.slacks.items() if slack < _ACTIVE]
        for name, v in self.variables.items():
            at = v.scaled(best.values[name])
            if at < 1e-6 or at > 1 - 1e-6:
                active.append(f"{name} at its {'lower' if at < 0.5 else 'upper'} bound")
        one = search.tested(best.values)
        return Best(
            values=dict(best.values), objective=float(best.objective or 0.0), feasible=feasible,
            active=tuple(active), stopped=stopped, model=one.model, study=self, verdicts=one.verdicts(),
            method=outcome.method, conflict=() if feasible else outcome.conflict,
            optimality=outcome.optimality,
            history=History(
                tuple(seen), dict(self.variables), self.minimize, tuple(search.gradients)
            ),
        )  # fmt: skip


def best_of(evaluations: Sequence[Evaluation]) -> Evaluation | None:
    """The least of those that meet all; where none does, the nearest to it; None where all failed."""
    done = [e for e in evaluations if not e.failure and e.objective is not None]
    feasible = [e for e in done if e.worst_slack >= 0.0]
    # A point of a difference is a design too, but one the history does not show.
    feasible = [e for e in feasible if e.purpose == "design"] or feasible
    if feasible:
        return min(feasible, key=lambda e: (e.objective, e.number))
    return max(done, key=lambda e: (e.worst_slack, -e.number), default=None)


def _asked(function: Callable[[], Any], call: str) -> Any:
    """What a function of the user answers; what it stumbles over is the failure of a design."""
    try:
        return function()
    except DesignTwinError:
        raise
    except Exception as error:
        # Not this package's words, but its failure: the search goes on around such a design.
        raise ModelError(f"{call} failed: {type(error).__name__}: {error}") from error


def _at_the_means(test: Test) -> Test:
    """A test whose requirements are judged on one design; their scatter is the study's to add."""
    given: Any = test
    if all(one.sigma is None for one in given.requirements):
        return test
    means = [replace(one, sigma=None) for one in given.requirements]
    return replace(given, requirements=means)  # type: ignore[no-any-return]


def _digest_of(model: Model) -> str:
    """A model by its content; of one that holds functions, by its mesh and what its cells are like."""
    try:
        return model.content_hash()
    except DesignTwinError:
        return model.mesh.content_hash() + hashlib.sha256(model.cell_scale().tobytes()).hexdigest()


def _check_sigma(sigma: float) -> float:
    if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0.0 < sigma < 40.0:
        raise StudyError(f"sigma={sigma!r}: a number of standard deviations above 0 is wanted, such as 3")
    return float(sigma)


def _check_tolerance(tolerance: float) -> None:
    if not isinstance(tolerance, int | float) or not 0.0 < tolerance < 1.0:
        raise StudyError(f"tolerance is a relative change between 0 and 1, such as 1e-3; got {tolerance!r}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def settings(test: Any) -> dict[str, str]:
    """What a test is told besides model and requirements: duration, initial temperature, solver."""
    if not dataclasses.is_dataclass(test):
        return {"type": type(test).__qualname__}
    told = {
        field.name: setting(getattr(test, field.name))
        for field in dataclasses.fields(test)
        if field.name not in ("model", "requirements", "name")
    }
    return {"type": type(test).__qualname__} | told


def setting(value: Any) -> str:
    """One setting by its content."""
    value = getattr(value, "temperature", value)  # a thermal case at the start
    if isinstance(value, Plain):
        return value.content_hash()
    if isinstance(value, Mapping):
        return json.dumps({str(key): setting(one) for key, one in sorted(value.items())})
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return json.dumps(content(value, "a setting"))  # a solver, a log: not by how it prints
    return _source_hash(value) if callable(value) and not dataclasses.is_dataclass(value) else repr(value)


def _source_hash(function: Callable[..., Any]) -> str:
    try:
        return _hash(inspect.getsource(function))
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return _hash(repr((code.co_code, code.co_consts)) if code is not None else repr(type(function)))
