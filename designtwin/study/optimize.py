"""The design loop: tune variables of a built model against its own requirements."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from designtwin.criteria.verdict import Verdict, overall
from designtwin.errors import DesignTwinError, ModelError, StudyError
from designtwin.mesh import Mesh
from designtwin.model.model import Model
from designtwin.plain import Plain
from designtwin.progress import track
from designtwin.prototype.cache import content
from designtwin.requirements import Quantity, Requirement
from designtwin.study.store import Evaluation, Store
from designtwin.study.variables import Variable
from designtwin.typing import FloatArray
from designtwin.units import show, show_time, to_si

_STEP = 2e-3
"""Difference step, share of a variable's range."""
_AIM = 2.0
"""Slack the optimizer aims for, in tolerances: SLSQP lets constraints be missed by up to one."""
_ACTIVE = 0.02
"""A requirement with less slack than this holds the optimum back."""


class Test(Protocol):
    """A prototype test: ``StrengthTest``, ``ThermalTest``, ..."""

    __test__: bool = False  # not one of pytest's

    @property
    def requirements(self) -> Sequence[Requirement]:
        """What it judges."""
        ...

    def run(self) -> Verdict:
        """Analyse and judge."""
        ...


@dataclass(frozen=True, eq=False)
class History:
    """All evaluations of a study in order.

    Parameters
    ----------
    evaluations : tuple of Evaluation
    variables : mapping of name to Variable
    objective : Quantity
    """

    evaluations: tuple[Evaluation, ...]
    variables: Mapping[str, Variable]
    objective: Quantity

    @property
    def designs(self) -> tuple[Evaluation, ...]:
        """The steps of the optimizer, differences for gradients left out."""
        return tuple(e for e in self.evaluations if e.purpose == "design")

    def __len__(self) -> int:
        return len(self.evaluations)

    def plot(self, **options: Any) -> Any:
        """Picture of objective and slacks over the designs; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_history(self, **options)

    def __str__(self) -> str:
        lines = []
        for e in self.designs:
            values = "  ".join(f"{n} {self.variables[n].text(v)}" for n, v in e.values.items())
            if e.failure:
                lines.append(f"{e.number:4d}  {values}  failed: {e.failure}")
            else:
                goal = show(e.objective, self.objective.dimension)
                met = "meets all" if e.worst_slack >= 0 else f"worst margin {e.worst_slack:+.1%}"
                lines.append(f"{e.number:4d}  {values}  {goal}  {met}")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Verification:
    """The tuned design tested again, on a mesh the optimizer never saw.

    Parameters
    ----------
    verdicts : tuple of Verdict
    objective : float
        SI, on the new mesh.
    """

    verdicts: tuple[Verdict, ...]
    objective: float

    @property
    def status(self) -> str:
        """FAIL if any verdict fails, else CANNOT TELL if any cannot tell, else PASS."""
        return overall(verdict.status for verdict in self.verdicts)

    def __bool__(self) -> bool:
        return self.status == "PASS"

    def __str__(self) -> str:
        return "\n".join(str(verdict) for verdict in self.verdicts)


@dataclass(frozen=True, eq=False)
class Best:
    """What a study found.

    Parameters
    ----------
    values : mapping of variable to SI value
    objective : float
        SI.
    feasible : bool
        True where every requirement is met with the numerical error on the bad side.
    active : tuple of str
        Requirements and bounds that hold the optimum back.
    stopped : str
        Why the search ended, in words.
    history : History
    verdicts : tuple of Verdict
        Of the design on the study's own mesh.
    model : Model
    study : Study
        The study it is the answer of.
    """

    values: Mapping[str, float]
    objective: float
    feasible: bool
    active: tuple[str, ...]
    stopped: str
    history: History
    verdicts: tuple[Verdict, ...]
    model: Model
    study: Study

    @property
    def status(self) -> str:
        """Joint status of the verdicts."""
        return overall(verdict.status for verdict in self.verdicts)

    def verify(self, mesh: Mesh) -> Verification:
        """Build and test the design on another mesh; an optimum is never reported untested."""
        model = self.study.model_of(self.values, mesh)
        verdicts = self.study.run_tests(model)
        return Verification(verdicts, self.study.objective_of(model, verdicts))

    def __str__(self) -> str:
        variables, goal = self.history.variables, self.history.objective
        start = next((e for e in self.history.designs if not e.failure), None)
        lines = [f"best design: {'meets' if self.feasible else 'does NOT meet'} all requirements"]
        for name, value in self.values.items():
            v = variables[name]
            lines.append(f"  {name:<16} {v.text(value):>12}   between {v.text(v.low)} and {v.text(v.high)}")
        before = f"   from {show(start.objective, goal.dimension)}" if start else ""
        lines.append(f"  {goal.label:<16} {show(self.objective, goal.dimension):>12}{before}")
        lines.append(f"  held back by     {', '.join(self.active) or 'nothing'}")
        lines.append(f"  stopped          {self.stopped}")
        return "\n".join(lines)


class _Ended(Exception):
    """Ends the optimizer from inside an evaluation."""


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
        Folder that keeps every evaluation; the same study resumes from it.
    name : str
        For titles.

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

    def __post_init__(self) -> None:
        if not self.variables:
            raise StudyError("a study needs variables={'thickness': dtw.variable('3 mm', '8 mm'), ...}")
        for name, one in self.variables.items():
            if not isinstance(one, Variable):
                raise StudyError(f"variable {name!r} is {one!r}; write dtw.variable(low, high, start=...)")
        for name in ("build", "tests"):
            if not callable(getattr(self, name)):
                raise StudyError(f"{name} must be a function, got {getattr(self, name)!r}")
        if not isinstance(self.minimize, Quantity):
            raise StudyError(f"minimize wants a quantity such as dtw.mass(), got {self.minimize!r}")

    def run(self, *, max_analyses: int = 80, max_time: Any = "30 min", tolerance: float = 1e-3) -> Best:
        """Search with SLSQP (Kraft 1988) and differences; resume what the store holds.

        Parameters
        ----------
        max_analyses : int
            Evaluations in all, those in the store included.
        max_time : number or string
            Wall time of this call, s.
        tolerance : float
            Relative change of the objective at which the search ends.

        Raises
        ------
        StudyError
            If the store holds another study, or the very first design cannot be evaluated.
        """
        seconds = float(to_si(max_time, "time", name="max_time"))
        if not 0.0 < tolerance < 1.0:
            raise StudyError(
                f"tolerance is a relative change between 0 and 1, such as 1e-3; got {tolerance!r}"
            )
        start = self.model_of({name: v.start for name, v in self.variables.items()})
        tests = self._tests_of(start)  # misuse is told before the first analysis
        # What is kept in memory alone cannot meet another study.
        store = Store(self.store, {} if self.store is None else self._fingerprint(start, tests))
        search = _Search(self, store, max_analyses, seconds, tolerance)
        try:
            stopped = search.minimize()
            return self._best(search, stopped)
        finally:
            search.store.close()

    def model_of(self, values: Mapping[str, float], mesh: Mesh | None = None) -> Model:
        """The model of a design, on the study's own mesh unless another is given."""
        mesh = self.mesh if mesh is None else mesh
        if not isinstance(mesh, Mesh):
            raise StudyError(f"a mesh is wanted, as read_mesh returns it; got {type(mesh).__name__} {mesh!r}")
        try:
            model = self.build(dict(values), mesh)
        except DesignTwinError:
            raise
        except Exception as error:
            # Not this package's words, but its failure: the search goes on around such a design.
            raise ModelError(
                f"build({dict(values)}, mesh) failed: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(model, Model):
            raise StudyError(f"build must return a Model, got {type(model).__name__}")
        return model

    def run_tests(self, model: Model) -> tuple[Verdict, ...]:
        """All verdicts of a model."""
        return tuple(test.run() for test in self._tests_of(model))

    def _tests_of(self, model: Model) -> list[Test]:
        tests = self.tests(model)
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

    def objective_of(self, model: Model, verdicts: Sequence[Verdict]) -> float:
        """The minimized quantity of a tested model, SI."""
        if self.minimize.needs == "model":
            return float(self.minimize.evaluate(model).value)
        for verdict in verdicts:
            if verdict.result.physics in self.minimize.read_from:
                return float(self.minimize.evaluate(verdict.result).value)
        raise StudyError(
            f"minimize={self.minimize.label} needs a {self.minimize.needs} analysis, which no test makes"
        )

    def _fingerprint(self, model: Model, tests: Sequence[Test]) -> dict[str, str]:
        """What the evaluations depend on, by the word an error uses for it."""
        try:
            content = model.content_hash()[:16]
        except DesignTwinError as error:
            raise StudyError(
                f"a study with store= must know its model again, and cannot: {error}; or leave store= out"
            ) from error
        asked = [[[r.content_hash() for r in t.requirements], _settings(t)] for t in tests]
        return {
            "build function": _source_hash(self.build) + content,
            "tests": _source_hash(self.tests) + _hash(json.dumps(asked)),
            "mesh": self.mesh.content_hash(),
            "variables": _hash(json.dumps([[n, v.to_dict()] for n, v in sorted(self.variables.items())])),
            "objective": self.minimize.content_hash(),
        }

    def _best(self, search: _Search, stopped: str) -> Best:
        done = [e for e in search.seen if not e.failure and e.objective is not None]
        if not done:
            reason = search.seen[0].failure if search.seen else "no analysis was allowed"
            raise StudyError(f"no design could be evaluated; the first one failed: {reason}")
        feasible = [e for e in done if e.worst_slack >= 0.0]
        # A point of a difference is a design too, but one the history does not show.
        feasible = [e for e in feasible if e.purpose == "design"] or feasible
        if feasible:
            best = min(feasible, key=lambda e: (e.objective, e.number))
        else:
            best = max(done, key=lambda e: (e.worst_slack, -e.number))
            broken = sorted(k for k, s in best.slacks.items() if s < 0.0)
            stopped += f"; no design met all requirements, the nearest one misses {', '.join(broken)}"
        when = {key: f" at {show_time(time)}" for key, time in best.instants.items()}
        active = [key + when.get(key, "") for key, slack in best.slacks.items() if slack < _ACTIVE]
        for name, v in self.variables.items():
            at = v.scaled(best.values[name])
            if at < 1e-6 or at > 1 - 1e-6:
                active.append(f"{name} at its {'lower' if at < 0.5 else 'upper'} bound")
        model = self.model_of(best.values)
        return Best(
            values=dict(best.values), objective=float(best.objective or 0.0), feasible=bool(feasible),
            active=tuple(active), stopped=stopped, model=model, study=self, verdicts=self.run_tests(model),
            history=History(tuple(search.seen), dict(self.variables), self.minimize),
        )  # fmt: skip


class _Search:
    """One run of the optimizer: evaluates, remembers, differences."""

    def __init__(
        self, study: Study, store: Store, max_analyses: int, max_seconds: float, tolerance: float
    ) -> None:
        self.study, self.store, self.tolerance = study, store, tolerance
        self.names = list(study.variables)
        self.max_analyses, self.deadline = max_analyses, time.monotonic() + max_seconds
        self.max_seconds = max_seconds
        self.seen: list[Evaluation] = []
        self._by_key: dict[tuple[float, ...], Evaluation] = {}
        self._constraints: list[str] | None = None
        self._scale = 1.0
        self.progress: Any = None

    def values(self, x: FloatArray) -> dict[str, float]:
        return {n: self.study.variables[n].value(float(s)) for n, s in zip(self.names, x, strict=True)}

    def evaluate(self, x: FloatArray, purpose: str = "design") -> Evaluation:
        """The evaluation of scaled variables, from memory or store if it is known."""
        values = self.values(x)
        key = tuple(values.values())
        if key in self._by_key:
            return self._by_key[key]
        known = self.store.find(values)
        if known is None:
            if len(self.seen) >= self.max_analyses:
                raise _Ended(f"the budget of {self.max_analyses} analyses was used")
            if time.monotonic() > self.deadline:
                raise _Ended(f"the time of {self.max_seconds:.0f} s was used")
            known = self._analyse(values, purpose)
            self.store.add(known)
        self.seen.append(known)
        self._by_key[key] = known
        if self.progress is not None:
            words = ", ".join(f"{n} {self.study.variables[n].text(v)}" for n, v in values.items())
            self.progress.step(f"{known.purpose} {len(self.seen)}: {words}")
        return known

    def _analyse(self, values: dict[str, float], purpose: str) -> Evaluation:
        start = time.perf_counter()
        number = len(self.seen) + 1
        try:
            model = self.study.model_of(values)
            verdicts = self.study.run_tests(model)
            objective = self.study.objective_of(model, verdicts)
        except StudyError:
            raise  # the study itself is wrong, not this design
        except (DesignTwinError, FloatingPointError, np.linalg.LinAlgError) as error:
            return Evaluation(
                number, values, None, failure=f"{type(error).__name__}: {error}",
                seconds=time.perf_counter() - start, purpose=purpose,
            )  # fmt: skip
        slacks: dict[str, float] = {}
        status: dict[str, str] = {}
        readings: dict[str, float] = {}
        instants: dict[str, float] = {}
        for verdict in verdicts:
            for row in verdict.rows:
                requirement = row.requirement
                status[str(requirement)] = row.status
                readings[str(requirement)] = row.value.value
                for value in requirement.by_case(verdict.result):
                    slack = requirement.slack(requirement.bad_end(value))
                    # Which mode it is may change from design to design; which load case may not.
                    of_case = value.case in verdict.result.cases
                    label = str(requirement) + (f" | {value.case}" if of_case else "")
                    # An unbounded interval is no number to steer by; far outside is as bad.
                    slacks[label] = float(np.clip(slack, -10.0, 10.0)) if not np.isnan(slack) else -10.0
                    if value.instant is not None:
                        instants[label] = value.instant
        return Evaluation(
            number,
            values,
            objective,
            slacks,
            status,
            readings,
            "",
            time.perf_counter() - start,
            purpose,
            instants,
        )

    def responses(self, e: Evaluation) -> tuple[float, FloatArray]:
        """Scaled objective and slacks less the aim; a failed design is far from good in both."""
        if self._constraints is None:
            if e.failure:
                raise StudyError(f"the starting design cannot be evaluated: {e.failure}")
            self._constraints = list(e.slacks)
            self._scale = abs(e.objective or 0.0) or 1.0
        if e.failure or e.objective is None:
            return 10.0, np.full(len(self._constraints), -10.0)
        slacks = np.array([e.slacks.get(key, -10.0) for key in self._constraints])
        return e.objective / self._scale, np.minimum(slacks, 3.0) - _AIM * self.tolerance

    def gradient(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Differences of objective [n] and slacks [m, n] at scaled variables."""
        here = self.evaluate(x)
        f0, c0 = self.responses(here)
        df, dc = np.zeros(len(x)), np.zeros((len(c0), len(x)))
        failures: list[str] = []
        stuck = 0
        for i in range(len(x)):
            for step in (_STEP, -_STEP) if x[i] + _STEP <= 1.0 else (-_STEP, _STEP):
                y = x.copy()
                y[i] += step
                if not 0.0 <= y[i] <= 1.0:
                    continue
                beside = self.evaluate(y, "gradient")
                if beside.failure:
                    failures.append(beside.failure)
                    continue
                f1, c1 = self.responses(beside)
                df[i], dc[:, i] = (f1 - f0) / step, (c1 - c0) / step
                break
            else:
                stuck += 1
        # Slopes of zero all around would look like an optimum.
        if stuck == len(x) and failures and not here.failure:
            raise _Ended(f"no design beside this one could be evaluated: {failures[0]}")
        return df, dc

    def minimize(self) -> str:
        """Run SLSQP; the reason it stopped, in words."""
        from scipy.optimize import minimize

        x0 = np.array([v.scaled(v.start) for v in self.study.variables.values()])
        with track(self.study.name, total=self.max_analyses) as self.progress:
            try:
                self.responses(self.evaluate(x0))
                out = minimize(
                    lambda x: self.responses(self.evaluate(x))[0],
                    x0,
                    jac=lambda x: self.gradient(x)[0],
                    method="SLSQP",
                    bounds=[(0.0, 1.0)] * len(x0),
                    constraints={
                        "type": "ineq",
                        "fun": lambda x: self.responses(self.evaluate(x))[1],
                        "jac": lambda x: self.gradient(x)[1],
                    },
                    options={"ftol": self.tolerance, "maxiter": 100},
                )
            except _Ended as stop:
                return str(stop)
        if out.success:
            return f"the objective changes by less than {self.tolerance:.1%} (SLSQP, {out.nit} steps)"
        return f"SLSQP ended after {out.nit} steps: {str(out.message).lower()}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _settings(test: Any) -> dict[str, str]:
    """What a test is told besides model and requirements: duration, initial temperature, solver."""
    if not dataclasses.is_dataclass(test):
        return {"type": type(test).__qualname__}
    told = {
        field.name: _setting(getattr(test, field.name))
        for field in dataclasses.fields(test)
        if field.name not in ("model", "requirements", "name")
    }
    return {"type": type(test).__qualname__} | told


def _setting(value: Any) -> str:
    """One setting by its content."""
    value = getattr(value, "temperature", value)  # a thermal case at the start
    if isinstance(value, Plain):
        return value.content_hash()
    if isinstance(value, Mapping):
        return json.dumps({str(key): _setting(one) for key, one in sorted(value.items())})
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
